// SPDX-License-Identifier: MIT
// session_notes.c: what a session knows beside its turns, and what time makes of it. Owned by its
// head; one thread at a time.
#include "base/mem.h"
#include "model/meta_int.h"
#include "model/safe_text_int.h"
#include "model/session_int.h"

static const char *const origin_words[] = {
    [ORIGIN_NEW] = "new", [ORIGIN_FRESH] = "fresh", [ORIGIN_OFFERED] = "offered",
    [ORIGIN_PRIMED] = "primed",
};
enum { ORIGIN_WORDS = sizeof(origin_words) / sizeof(origin_words[0]), NOTES_FORMAT = 1 };

const char *session_origin_word(enum session_origin o)
{
    BUG_ON((unsigned)o >= ORIGIN_WORDS);
    return origin_words[o];
}

int session_notes_new(struct session_notes **out, struct err *err)
{
    *out = mem_zalloc(sizeof(**out));
    if (!*out)
        return err_set(err, E_NOMEM, "out of memory for a session");
    safe_buf_init(&(*out)->state, SESSION_STATE_BYTES_MAX);
    safe_buf_init(&(*out)->primer, SESSION_PRIMER_BYTES_MAX);
    safe_buf_init(&(*out)->greeting, SESSION_GREETING_BYTES_MAX);
    return E_OK;
}

void session_notes_free(struct session_notes *n)
{
    if (!n)
        return;
    safe_buf_release(&n->state);
    safe_buf_release(&n->primer);
    safe_buf_release(&n->greeting);
    mem_free(n);
}

static int check(const struct session_notes *n, struct err *err)
{
    int code = safe_buf_check(&n->state, "the session's state", err);

    if (!code)
        code = safe_buf_check(&n->primer, "what is told of the session before", err);
    return code ? code : safe_buf_check(&n->greeting, "the greeting", err);
}

int session_notes_copy(struct session_notes **out, const struct session_notes *n, struct err *err)
{
    *out = NULL;
    if (!n)
        return E_OK;
    int code = session_notes_new(out, err);
    if (code)
        return code;
    safe_buf_add(&(*out)->state, safe_buf_text(&n->state));
    safe_buf_add(&(*out)->primer, safe_buf_text(&n->primer));
    safe_buf_add(&(*out)->greeting, safe_buf_text(&n->greeting));
    code = check(*out, err);
    if (code) {
        session_notes_free(*out);
        *out = NULL;
    }
    return code;
}

struct safe_text session_state(const struct session_head *h)
{
    return h->notes ? safe_buf_text(&h->notes->state) : SAFE_NONE;
}

struct safe_text session_primer(const struct session_head *h)
{
    return h->notes ? safe_buf_text(&h->notes->primer) : SAFE_NONE;
}

struct safe_text session_greeting(const struct session_head *h)
{
    return h->notes ? safe_buf_text(&h->notes->greeting) : SAFE_NONE;
}

// ---- state

static void add_member(struct json_writer *w, struct json key, struct json value,
                       struct buf *scratch)
{
    buf_clear(scratch);
    json_string(key, scratch);
    buf_add(scratch, "", 1);
    if (!buf_ok(scratch)) {  // it is cleared for the next one
        w->out->failed = true;
        w->out->no_memory |= scratch->no_memory;
        return;
    }
    jw_key(w, scratch->ptr);
    jw_raw(w, json_raw(value));
}

// Keys were written by us, so that the same one has the same bytes.
static bool has_member(struct json object, struct json key)
{
    struct json_iter it = {0};
    struct json other, value;

    while (json_next(object, &it, &other, &value))
        if (slice_eq(json_raw(other), json_raw(key)))
            return true;
    return false;
}

static uint32_t merge(struct json old, struct json more, struct buf *out)
{
    struct buf scratch = BUF_INIT(SESSION_STATE_BYTES_MAX);
    struct json_writer w;
    struct json_iter it = {0}, next = {0};
    struct json key, value;
    uint32_t keys = 0;

    jw_init(&w, out);
    jw_object(&w);
    while (json_next(old, &it, &key, &value)) {
        if (has_member(more, key))
            continue;
        add_member(&w, key, value, &scratch);
        keys++;
    }
    while (json_next(more, &next, &key, &value)) {
        if (json_type(value) == JSON_FALSE)
            continue;
        add_member(&w, key, value, &scratch);
        keys++;
    }
    jw_object_end(&w);
    buf_release(&scratch);
    return keys;
}

int session_merge_state(struct session_head *h, struct safe_text more, struct err *err)
{
    struct json_doc was = JSON_DOC_INIT, put = JSON_DOC_INIT;
    struct safe_text old = session_state(h);
    struct safe_buf merged;
    uint32_t keys = 0;
    int code = h->notes ? E_OK : session_notes_new(&h->notes, err);

    safe_buf_init(&merged, SESSION_STATE_BYTES_MAX);
    if (!code && old.len)
        code = json_parse(&was, safe_slice(old), 0, err);
    if (!code)
        code = json_parse(&put, safe_slice(more), 0, err);
    if (!code)
        keys = merge(json_root(&was), json_root(&put), safe_buf_bytes(&merged));
    if (!code && keys > SESSION_STATE_KEYS_MAX)
        code = err_set(err, E_REFUSED, "the session's state would have %u keys: at most %d", keys,
                       SESSION_STATE_KEYS_MAX);
    if (!code)
        code = safe_buf_check(&merged, "the session's state", err);
    json_doc_release(&was);
    json_doc_release(&put);
    if (code) {
        safe_buf_release(&merged);
        return code;
    }
    safe_buf_release(&h->notes->state);
    h->notes->state = merged;
    if (keys == 0)
        safe_buf_clear(&h->notes->state);
    return E_OK;
}

static const char *const inherited[] = {"topic", "open_questions"};

int session_inherit_state(struct session_head *h, const struct session_head *before,
                          struct err *err)
{
    struct json_doc doc = JSON_DOC_INIT;
    struct safe_text state = session_state(before);
    struct safe_buf some;
    struct json_writer w;

    if (state.len == 0)
        return E_OK;
    safe_buf_init(&some, SESSION_STATE_BYTES_MAX);
    int code = json_parse(&doc, safe_slice(state), 0, err);
    if (!code) {
        jw_init(&w, safe_buf_bytes(&some));
        jw_object(&w);
        for (size_t i = 0; i < sizeof(inherited) / sizeof(inherited[0]); i++) {
            struct json value = json_get(json_root(&doc), inherited[i]);

            if (json_type(value) == JSON_NONE)
                continue;
            jw_key(&w, inherited[i]);
            jw_raw(&w, json_raw(value));
        }
        jw_object_end(&w);
        code = safe_buf_check(&some, "the session's state", err);
    }
    if (!code)
        code = session_merge_state(h, safe_buf_text(&some), err);
    json_doc_release(&doc);
    safe_buf_release(&some);
    return code;
}

struct safe_text session_open_question(const struct session_head *h, uint32_t i)
{
    struct json_doc doc = JSON_DOC_INIT;
    struct safe_text state = session_state(h), found = SAFE_NONE;

    if (state.len && json_parse(&doc, safe_slice(state), 0, NULL) == E_OK) {
        struct json item = json_at(json_get(json_root(&doc), "open_questions"), i);
        struct slice raw = json_raw(item);

        if (json_type(item) == JSON_STRING && raw.len > 2)
            found = safe_text_part(state, (size_t)(raw.ptr + 1 - state.ptr), raw.len - 2);
    }
    json_doc_release(&doc);
    return found;
}

bool session_state_text(const struct session_head *h, const char *key, uint32_t i,
                        struct safe_buf *out)
{
    struct json_doc doc = JSON_DOC_INIT;
    struct buf text = BUF_INIT(SESSION_STATE_BYTES_MAX);
    struct safe_text state = session_state(h);
    bool found = false;

    if (state.len && json_parse(&doc, safe_slice(state), 0, NULL) == E_OK) {
        struct json value = json_get(json_root(&doc), key);

        if (json_type(value) == JSON_ARRAY)
            value = json_at(value, i);
        else if (i > 0)
            value = (struct json){0};
        found = json_string(value, &text) && buf_ok(&text) && text.len;
        if (found)
            safe_buf_add(out, safe_text_vouch(buf_slice(&text)));
    }
    json_doc_release(&doc);
    buf_release(&text);
    return found;
}

// ---- time

enum session_status session_status_at(const struct session_head *h, int64_t now_ms)
{
    const struct expiry *e = &h->expiry;
    int64_t soft = expiry_soft_at(e, h->created_at_ms, h->last_active_at_ms);
    int64_t hard = expiry_hard_at(e, h->created_at_ms, h->last_active_at_ms);

    if (h->status == SESSION_ARCHIVED)
        return SESSION_ARCHIVED;
    if (h->open_turn)
        return SESSION_ACTIVE;
    if (hard && now_ms >= hard)
        return SESSION_HARD_EXPIRED;
    return soft && now_ms >= soft ? SESSION_SOFT_EXPIRED : SESSION_ACTIVE;
}

int64_t session_due_at(const struct session_head *h)
{
    struct expiry purge = {.kind = EXPIRY_FIXED, .hard_ms = h->expiry.purge_ms};

    if (h->status != SESSION_ARCHIVED)
        return h->open_turn ? 0
                            : expiry_hard_at(&h->expiry, h->created_at_ms, h->last_active_at_ms);
    // One that was only greeted knows of the one before, too.
    bool something = h->purging || (h->turns && !h->purged) || !session_notes_empty(h->notes);
    if (!something)
        return 0;
    return expiry_hard_at(&purge, h->archived_at_ms, h->archived_at_ms);
}

// ---- stored

static void write_text(struct json_writer *w, const char *key, const struct safe_buf *text)
{
    if (safe_buf_text(text).len)
        jw_kv_slice(w, key, safe_slice(safe_buf_text(text)));
}

void session_notes_write(const struct session_notes *n, struct json_writer *w)
{
    jw_kv_i64(w, "v", NOTES_FORMAT);
    if (safe_buf_text(&n->state).len) {
        jw_key(w, "state");
        jw_raw(w, safe_slice(safe_buf_text(&n->state)));
    }
    write_text(w, "primer", &n->primer);
    write_text(w, "greeting", &n->greeting);
}

bool session_notes_empty(const struct session_notes *n)
{
    return !n || (!safe_buf_text(&n->state).len && !safe_buf_text(&n->primer).len &&
                  !safe_buf_text(&n->greeting).len);
}

static void read_text(struct meta *m, const char *key, struct safe_buf *out)
{
    struct json text = json_get(m->root, key);

    if (json_type(text) != JSON_NONE && !json_string(text, safe_buf_bytes(out)))
        meta_fail(m, key);
}

void session_notes_read(struct session_notes **out, struct meta *m)
{
    struct json state = json_get(m->root, "state");

    if (m->code || json_type(json_get(m->root, "v")) == JSON_NONE)
        return;
    meta_i64(m, "v", NOTES_FORMAT, NOTES_FORMAT);
    if (!m->code)
        m->code = session_notes_new(out, m->err);
    if (m->code)
        return;
    if (json_type(state) == JSON_OBJECT)
        buf_add_slice(safe_buf_bytes(&(*out)->state), json_raw(state));
    else if (json_type(state) != JSON_NONE)
        meta_fail(m, "state");
    read_text(m, "primer", &(*out)->primer);
    read_text(m, "greeting", &(*out)->greeting);
    struct err err = ERR_INIT;
    int code = m->code ? E_OK : check(*out, &err);
    if (code == E_NOMEM)
        m->code = err_set(m->err, E_NOMEM, "out of memory for a stored session");
    else if (code)
        meta_fail(m, "state");
}

// ---- expiry and origin in the meta

static const char *const kind_words[] = {[EXPIRY_SLIDING] = "sliding", [EXPIRY_FIXED] = "fixed"};
enum { KIND_WORDS = sizeof(kind_words) / sizeof(kind_words[0]) };

void session_life_write(const struct session_head *h, struct json_writer *w)
{
    jw_key(w, "expiry");
    jw_array(w);
    jw_str(w, kind_words[h->expiry.kind]);
    jw_i64(w, h->expiry.soft_ms);
    jw_i64(w, h->expiry.hard_ms);
    jw_i64(w, h->expiry.purge_ms);
    jw_array_end(w);
    if (h->archived_at_ms)
        jw_kv_i64(w, "archived_at", h->archived_at_ms);
    if (h->purged)
        jw_kv_i64(w, "purged", h->purged);
    if (h->purging)
        jw_kv_bool(w, "purging", true);
    if (h->origin)
        jw_kv_str(w, "origin", origin_words[h->origin]);
    if (h->before[0])
        jw_kv_str(w, "before", h->before);
}

static bool read_expiry(struct json array, struct expiry *e)
{
    int kind = -1;
    int64_t n[3];

    for (unsigned i = 0; i < KIND_WORDS; i++)
        if (json_is_string(json_at(array, 0), kind_words[i]))
            kind = (int)i;
    for (unsigned i = 0; i < 3; i++) {
        n[i] = json_i64(json_at(array, i + 1), -1);
        if (n[i] < 0 || n[i] > EXPIRY_MS_MAX)
            return false;
    }
    *e = (struct expiry){kind < 0 ? EXPIRY_SLIDING : (enum expiry_kind)kind, n[0], n[1], n[2]};
    return kind >= 0 && json_count(array) == 4;
}

// An older head says nothing of it.
void session_life_read(struct session_head *h, struct meta *m)
{
    struct json expiry = json_get(m->root, "expiry");

    h->expiry = expiry_default;
    if (!m->code && json_type(expiry) != JSON_NONE && !read_expiry(expiry, &h->expiry))
        meta_fail(m, "expiry");
    h->archived_at_ms = meta_i64_or(m, "archived_at", 0, INT64_MAX, 0);
    h->purged = (uint32_t)meta_i64_or(m, "purged", 0, h->turns, 0);
    h->purging = json_bool(json_get(m->root, "purging"), false);
    h->origin = ORIGIN_NEW;
    if (!m->code && json_type(json_get(m->root, "origin")) != JSON_NONE)
        h->origin = (enum session_origin)meta_word(m, "origin", origin_words, ORIGIN_WORDS);
    meta_chars(m, "before", false, h->before, sizeof(h->before));
}
