// SPDX-License-Identifier: MIT
// memory.c: the stored forms of the records beside facts, see memory.h. Plain values; any thread.
#include "model/memory.h"

#include "model/meta_int.h"
#include "model/safe_text_int.h"

#include <stdio.h>

static void write_unless_0(struct json_writer *w, const char *key, int64_t n)
{
    if (n)
        jw_kv_i64(w, key, n);
}

// ---- the manifest

void memory_manifest_write(const struct memory_manifest *m, struct buf *out)
{
    struct json_writer w;

    jw_init(&w, out);
    jw_object(&w);
    jw_kv_i64(&w, "facts", m->facts);
    jw_kv_i64(&w, "knowledge", m->knowledge);
    jw_kv_i64(&w, "sessions", m->sessions);
    write_unless_0(&w, "reflected_at", m->reflected_at_ms);
    write_unless_0(&w, "tries", m->tries);
    jw_object_end(&w);
}

int memory_manifest_read(struct memory_manifest *m, struct slice meta, struct err *err)
{
    struct meta r;

    meta_open(&r, meta, "memory", err);
    m->facts = (uint32_t)meta_i64(&r, "facts", 0, BOOK_SLOTS_MAX * SLOT_VALUES_MAX);
    m->knowledge = (uint32_t)meta_i64(&r, "knowledge", 0, BOOK_SLOTS_MAX * SLOT_VALUES_MAX);
    m->sessions = (uint32_t)meta_i64(&r, "sessions", 0, UINT32_MAX);
    m->reflected_at_ms = meta_i64_or(&r, "reflected_at", 0, INT64_MAX, 0);
    m->tries = (uint32_t)meta_i64_or(&r, "tries", 0, UINT32_MAX, 0);
    return meta_close(&r);
}

// ---- the journal

void journal_entry_init(struct journal_entry *e)
{
    *e = (struct journal_entry){.sessions = 1, .context = JOURNAL_NO_CONTEXT};
    safe_buf_init(&e->text, JOURNAL_ENTRY_BYTES_MAX);
    vec_init(&e->of, sizeof(struct journal_of), JOURNAL_OF_MAX);
}

void journal_entry_release(struct journal_entry *e)
{
    safe_buf_release(&e->text);
    vec_release(&e->of);
    journal_entry_init(e);
}

int journal_entry_copy(struct journal_entry *out, const struct journal_entry *e, struct err *err)
{
    struct safe_buf text;

    safe_buf_init(&text, JOURNAL_ENTRY_BYTES_MAX);
    safe_buf_add(&text, safe_buf_text(&e->text));
    *out = *e;
    out->text = text;
    vec_init(&out->of, sizeof(struct journal_of), JOURNAL_OF_MAX);
    int code = safe_buf_check(&out->text, "a journal's entry", err);
    if (!code && !vec_reserve(&out->of, e->of.len))
        code = err_set(err, E_NOMEM, "out of memory for a journal's entry");
    for (size_t i = 0; i < e->of.len && !code; i++)
        *(struct journal_of *)vec_push(&out->of) = *VEC_AT(&e->of, struct journal_of, i);
    if (code)
        journal_entry_release(out);
    return code;
}

static void write_of(const struct vec *of, struct json_writer *w)
{
    jw_key(w, "of");
    jw_array(w);
    for (size_t i = 0; i < of->len; i++) {
        const struct journal_of *o = VEC_AT(of, struct journal_of, i);

        jw_array(w);
        jw_str(w, o->session);
        jw_i64(w, o->turns);
        jw_i64(w, o->lines);
        jw_array_end(w);
    }
    jw_array_end(w);
}

void journal_entry_write_meta(const struct journal_entry *e, struct buf *out)
{
    struct json_writer w;

    jw_init(&w, out);
    jw_object(&w);
    jw_kv_i64(&w, "from", e->from_ms);
    jw_kv_i64(&w, "at", e->at_ms);
    jw_kv_i64(&w, "turns", e->turns);
    jw_kv_i64(&w, "sessions", e->sessions);
    jw_kv_str(&w, "by", e->by);
    jw_kv_str(&w, "context", e->context);
    if (e->of.len)
        write_of(&e->of, &w);
    jw_object_end(&w);
}

static bool read_one_of(struct json v, struct journal_of *out)
{
    struct buf session = BUF_INIT(ID_TEXT_BYTES);
    int64_t turns = json_i64(json_at(v, 1), -1), lines = json_i64(json_at(v, 2), -1);
    bool good = json_type(v) == JSON_ARRAY && json_string(json_at(v, 0), &session) &&
                session.len > 0 && session.len < sizeof(out->session) && turns >= 0 &&
                turns <= UINT32_MAX && lines >= 0 && lines <= JOURNAL_ENTRY_BYTES_MAX;

    if (good)
        *out = (struct journal_of){.turns = (uint32_t)turns, .lines = (uint32_t)lines};
    snprintf(out->session, sizeof(out->session), "%.*s", SLICE_FMT(buf_slice(&session)));
    buf_release(&session);
    return good;
}

static void read_of(struct meta *m, struct vec *out)
{
    struct json array = json_get(m->root, "of");
    struct json_iter it = {0};
    struct json v;

    vec_clear(out);
    if (m->code || json_type(array) == JSON_NONE)
        return;
    if (json_type(array) != JSON_ARRAY || json_count(array) > JOURNAL_OF_MAX)
        meta_fail(m, "of");
    while (!m->code && json_next(array, &it, NULL, &v)) {
        struct journal_of *of = vec_push(out);

        if (!of)
            m->code = err_set(m->err, E_NOMEM, "out of memory for a journal's entry");
        else if (!read_one_of(v, of))
            meta_fail(m, "of");
    }
}

int journal_entry_read_meta(struct journal_entry *e, struct slice meta, struct err *err)
{
    struct meta m;

    meta_open(&m, meta, "journal", err);
    e->from_ms = meta_i64(&m, "from", 0, INT64_MAX);
    e->at_ms = meta_i64(&m, "at", e->from_ms, INT64_MAX);
    e->turns = (uint32_t)meta_i64(&m, "turns", 0, UINT32_MAX);
    e->sessions = (uint32_t)meta_i64(&m, "sessions", 1, UINT32_MAX);
    meta_chars(&m, "by", true, e->by, sizeof(e->by));
    meta_chars(&m, "context", false, e->context, sizeof(e->context));
    if (!e->context[0])  // written before it was noted
        memcpy(e->context, JOURNAL_NO_CONTEXT, sizeof(JOURNAL_NO_CONTEXT));
    read_of(&m, &e->of);
    return meta_close(&m);
}

// ---- core memory

void core_memory_init(struct core_memory *c)
{
    *c = (struct core_memory){0};
    safe_buf_init(&c->persona, CORE_BYTES_MAX);
    safe_buf_init(&c->human, CORE_BYTES_MAX);
}

void core_memory_release(struct core_memory *c)
{
    safe_buf_release(&c->persona);
    safe_buf_release(&c->human);
    core_memory_init(c);
}

int core_memory_copy(struct core_memory *out, const struct core_memory *c, struct err *err)
{
    core_memory_init(out);
    out->at_ms = c->at_ms;
    out->version = c->version;
    safe_buf_add(&out->persona, safe_buf_text(&c->persona));
    safe_buf_add(&out->human, safe_buf_text(&c->human));
    int code = safe_buf_check(&out->persona, "core memory", err);
    if (!code)
        code = safe_buf_check(&out->human, "core memory", err);
    if (code)
        core_memory_release(out);
    return code;
}

void core_memory_write(const struct core_memory *c, struct buf *meta, struct safe_buf *body)
{
    struct json_writer w;

    jw_init(&w, meta);
    jw_object(&w);
    jw_kv_i64(&w, "at", c->at_ms);
    jw_object_end(&w);
    // Both are safe text.
    jw_init(&w, safe_buf_bytes(body));
    jw_object(&w);
    jw_kv_slice(&w, "persona", safe_slice(safe_buf_text(&c->persona)));
    jw_kv_slice(&w, "human", safe_slice(safe_buf_text(&c->human)));
    jw_object_end(&w);
}

static void read_text(struct meta *m, const char *key, struct safe_buf *out)
{
    struct json v = json_get(m->root, key);

    if (m->code)
        return;
    safe_buf_clear(out);
    if (json_type(v) != JSON_STRING) {
        meta_fail(m, key);
        return;
    }
    json_string(v, safe_buf_bytes(out));
    int code = safe_buf_check(out, "core memory", m->err);
    if (code == E_NOMEM)
        m->code = code;
    else if (code)
        meta_fail(m, key);
}

int core_memory_read(struct core_memory *c, struct slice meta, struct safe_text body,
                     struct err *err)
{
    struct meta m;

    meta_open(&m, meta, "core memory", err);
    c->at_ms = meta_i64(&m, "at", 0, INT64_MAX);
    int code = meta_close(&m);
    if (code)
        return code;
    meta_open(&m, safe_slice(body), "core memory", err);
    read_text(&m, "persona", &c->persona);
    read_text(&m, "human", &c->human);
    return meta_close(&m);
}

// ---- what was learnt from

void learnt_write_meta(const struct learnt *l, struct buf *out)
{
    struct json_writer w;

    jw_init(&w, out);
    jw_object(&w);
    jw_kv_i64(&w, "upto", l->upto);
    write_unless_0(&w, "model", l->model_upto);
    write_unless_0(&w, "past", l->past);
    if (l->extractor[0])
        jw_kv_str(&w, "extractor", l->extractor);
    if (l->journal)
        jw_kv_bool(&w, "journal", true);
    write_unless_0(&w, "tries", l->tries);
    jw_kv_i64(&w, "at", l->at_ms);
    jw_object_end(&w);
}

int learnt_read_meta(struct learnt *l, struct slice meta, struct err *err)
{
    struct meta m;

    meta_open(&m, meta, "learning", err);
    l->upto = (uint32_t)meta_i64(&m, "upto", 0, SESSION_TURNS_MAX);
    l->model_upto = (uint32_t)meta_i64_or(&m, "model", 0, SESSION_TURNS_MAX, 0);
    l->past = (unsigned)meta_i64_or(&m, "past", 0, 255, 0);
    meta_chars(&m, "extractor", false, l->extractor, sizeof(l->extractor));
    struct json journal = m.code ? (struct json){0} : json_get(m.root, "journal");
    l->journal = json_bool(journal, false);
    if (json_type(journal) != JSON_NONE && !l->journal)
        meta_fail(&m, "journal");
    l->tries = (uint32_t)meta_i64_or(&m, "tries", 0, UINT32_MAX, 0);
    l->at_ms = meta_i64(&m, "at", 0, INT64_MAX);
    return meta_close(&m);
}
