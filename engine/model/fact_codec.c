// SPDX-License-Identifier: MIT
// fact_codec.c: the stored form of a slot. Reading is strict: what is not read by its bytes alone
// (fact_quick.c) is read as JSON and written again, and must be the same bytes. Plain values; any
// thread.
#include "model/fact_int.h"

#include "model/meta_int.h"
#include "model/safe_text_int.h"

enum {
    FACT_OVERHEAD_BYTES = 512,      // of one fact's members
    EVIDENCE_BYTES = 256,           // of one piece's, beside its names
    PERIOD_BYTES = 96,
    TURN_HASH_BYTES = 11,
    WORD_BYTES = 16,                // more than any word of ours has
};

// ---- writing

static void write_time(struct json_writer *w, const char *key, int64_t ms)
{
    if (ms)
        jw_kv_i64(w, key, ms);
}

static void write_chars(struct json_writer *w, const char *key, const char *text)
{
    if (text[0])
        jw_kv_str(w, key, text);
}

static void write_evidence(struct json_writer *w, const struct fact_evidence *e)
{
    jw_object(w);
    jw_kv_str(w, "session", e->session);
    jw_kv_i64(w, "turn", e->turn);
    jw_kv_i64(w, "step", e->step);
    jw_kv_i64(w, "start", e->start);
    jw_kv_i64(w, "end", e->end);
    jw_kv_str(w, "author", fact_author_word(e->author));
    jw_kv_bool(w, "supported", e->supported);
    if (e->negates)
        jw_kv_bool(w, "negates", true);
    jw_kv_i64(w, "at", e->at_ms);
    write_time(w, "valid_from", e->valid_from_ms);
    write_time(w, "valid_to", e->valid_to_ms);
    write_chars(w, "extractor", e->extractor);
    write_chars(w, "policy", e->policy);
    write_chars(w, "fact", e->fact);
    jw_object_end(w);
}

static void write_lists(struct json_writer *w, const struct fact *f)
{
    if (f->turns.len) {
        jw_key(w, "turns");
        jw_array(w);
        for (size_t i = 0; i < f->turns.len; i++)
            jw_i64(w, *VEC_AT(&f->turns, uint32_t, i));
        jw_array_end(w);
    }
    if (f->earlier.len) {
        jw_key(w, "earlier");
        jw_array(w);
        for (size_t i = 0; i < f->earlier.len; i++) {
            const struct fact_period *p = VEC_AT(&f->earlier, struct fact_period, i);

            jw_array(w);
            jw_i64(w, p->valid_from_ms);
            jw_i64(w, p->valid_to_ms);
            jw_i64(w, p->recorded_at_ms);
            jw_i64(w, p->retired_at_ms);
            jw_array_end(w);
        }
        jw_array_end(w);
    }
    jw_key(w, "evidence");
    jw_array(w);
    for (size_t i = 0; i < f->evidence.len; i++)
        write_evidence(w, fact_evidence_at(f, i));
    jw_array_end(w);
}

static void write_fact(struct json_writer *w, const struct fact *f)
{
    jw_object(w);
    jw_kv_str(w, "id", f->id);
    jw_kv_str(w, "kind", fact_kind_word(f->kind));
    jw_kv_str(w, "status", fact_status_word(f->status));
    if (f->status != FACT_FORGOTTEN)
        jw_kv_slice(w, "value", safe_slice(fact_value(f)));
    write_time(w, "valid_from", f->valid_from_ms);
    write_time(w, "valid_to", f->valid_to_ms);
    jw_kv_i64(w, "recorded_at", f->recorded_at_ms);
    write_time(w, "retired_at", f->retired_at_ms);
    write_time(w, "confirmed_at", f->confirmed_at_ms);
    write_time(w, "forgotten_at", f->forgotten_at_ms);
    write_chars(w, "by", f->by);
    write_lists(w, f);
    jw_object_end(w);
}

static void write_meta(const struct fact_slot *s, struct buf *out)
{
    struct json_writer w;

    jw_init(&w, out);
    jw_object(&w);
    jw_kv_bool(&w, "one", s->one);
    for (enum fact_status i = FACT_QUARANTINED; i <= FACT_FORGOTTEN; i++)
        jw_kv_i64(&w, fact_status_word(i), fact_slot_count(s, i));
    jw_object_end(&w);
}

void fact_slot_write(const struct fact_slot *s, struct buf *meta, struct safe_buf *body)
{
    struct json_writer w;

    write_meta(s, meta);
    // All parts are safe text, or ours.
    jw_init(&w, safe_buf_bytes(body));
    jw_object(&w);
    write_chars(&w, "scope", s->scope);
    jw_kv_str(&w, "subject", s->subject);
    jw_kv_str(&w, "predicate", s->predicate);
    jw_key(&w, "facts");
    jw_array(&w);
    for (size_t i = 0; i < s->facts.len; i++)
        write_fact(&w, fact_slot_at(s, i));
    jw_array_end(&w);
    jw_object_end(&w);
}

size_t fact_slot_bytes(const struct fact_slot *s)
{
    size_t n = FACT_OVERHEAD_BYTES + 2 * (sizeof(s->subject) + sizeof(s->predicate));

    for (size_t i = 0; i < s->facts.len; i++) {
        const struct fact *f = fact_slot_at(s, i);

        // A blank is the only control character of a value, so that escapes at most double it.
        n += FACT_OVERHEAD_BYTES + 2 * fact_value(f).len + f->earlier.len * PERIOD_BYTES +
             f->turns.len * TURN_HASH_BYTES;
        for (size_t k = 0; k < f->evidence.len; k++) {
            const struct fact_evidence *e = fact_evidence_at(f, k);

            n += EVIDENCE_BYTES + 2 * (strlen(e->extractor) + strlen(e->policy));
        }
    }
    return n;
}

// ---- reading

static int64_t read_time(struct meta *m, const char *key)
{
    return meta_i64_or(m, key, -fact_time_max_ms, fact_time_max_ms, 0);
}

static bool is_hex(const char *text, size_t len)
{
    return strlen(text) == len && strspn(text, "0123456789abcdef") == len;
}

// A member that is an array; each of its items is read by `item`.
static void read_array(struct meta *m, const char *key, bool required, struct vec *out,
                       size_t max, void (*item)(struct meta *m, struct json v, void *place))
{
    struct json list = json_get(m->root, key), v;
    struct json_iter it = {0};

    if (m->code || (!required && json_type(list) == JSON_NONE))
        return;
    if (json_type(list) != JSON_ARRAY || json_count(list) > max) {
        meta_fail(m, key);
        return;
    }
    while (!m->code && json_next(list, &it, NULL, &v)) {
        void *place = vec_push(out);

        if (!place)
            m->code = err_set(m->err, E_NOMEM, "out of memory for facts");
        else
            item(m, v, place);
    }
}

// The meta of an object within m's.
static struct meta within(const struct meta *m, struct json v, const char *what)
{
    struct meta inner = {.root = v, .what = what, .err = m->err, .code = m->code};

    if (!inner.code && json_type(v) != JSON_OBJECT)
        inner.code = err_set(m->err, E_CORRUPT, "stored %s: not an object; run `parley verify`",
                             what);
    return inner;
}

static bool read_bool(struct meta *m, const char *key, bool required)
{
    struct json v = json_get(m->root, key);
    enum json_type type = json_type(v);

    if (type != JSON_TRUE && type != JSON_FALSE && (required || type != JSON_NONE))
        meta_fail(m, key);
    return json_bool(v, false);
}

static void read_evidence(struct meta *outer, struct json v, void *place)
{
    struct meta m = within(outer, v, "fact's evidence");
    struct fact_evidence *e = place;
    char word[WORD_BYTES];

    *e = (struct fact_evidence){0};
    meta_chars(&m, "session", true, e->session, sizeof(e->session));
    e->turn = (uint32_t)meta_i64(&m, "turn", 0, UINT32_MAX);
    e->step = (uint32_t)meta_i64(&m, "step", 0, UINT32_MAX);
    e->start = (uint32_t)meta_i64(&m, "start", 0, UINT32_MAX);
    e->end = (uint32_t)meta_i64(&m, "end", e->start, UINT32_MAX);
    meta_chars(&m, "author", true, word, sizeof(word));
    if (!m.code && !fact_author_find(slice_str(word), &e->author))
        meta_fail(&m, "author");
    e->supported = read_bool(&m, "supported", true);
    e->negates = read_bool(&m, "negates", false);
    e->at_ms = meta_i64(&m, "at", -fact_time_max_ms, fact_time_max_ms);
    e->valid_from_ms = read_time(&m, "valid_from");
    e->valid_to_ms = read_time(&m, "valid_to");
    meta_chars(&m, "extractor", false, e->extractor, sizeof(e->extractor));
    meta_chars(&m, "policy", false, e->policy, sizeof(e->policy));
    meta_chars(&m, "fact", false, e->fact, sizeof(e->fact));
    if (e->fact[0] && !is_hex(e->fact, FACT_ID_BYTES - 1))
        meta_fail(&m, "fact");
    outer->code = m.code;
}

static void read_period(struct meta *m, struct json v, void *place)
{
    struct fact_period *p = place;
    int64_t n[4] = {0};

    for (uint32_t i = 0; i < 4; i++) {
        n[i] = json_i64(json_at(v, i), INT64_MIN);
        if (json_count(v) != 4 || n[i] < -fact_time_max_ms || n[i] > fact_time_max_ms)
            meta_fail(m, "earlier");
    }
    *p = (struct fact_period){n[0], n[1], n[2], n[3]};
}

static void read_turn(struct meta *m, struct json v, void *place)
{
    int64_t n = json_i64(v, -1);

    if (n < 0 || n > UINT32_MAX)
        meta_fail(m, "turns");
    *(uint32_t *)place = (uint32_t)n;
}

static void read_value(struct meta *m, struct fact *f)
{
    struct buf text = BUF_INIT(FACT_VALUE_BYTES_MAX);
    struct json v = json_get(m->root, "value");
    bool there = json_type(v) == JSON_STRING && json_string(v, &text) && buf_ok(&text);

    if (buf_check(&text, "a fact", NULL) == E_NOMEM) {
        m->code = err_set(m->err, E_NOMEM, "out of memory for a fact");
    } else if (!m->code) {
        // A forgotten value has no text, and every other one has some, as fact_set_value leaves it.
        if (f->status == FACT_FORGOTTEN ? json_type(v) != JSON_NONE : !there)
            meta_fail(m, "value");
        else if (there)
            m->code = fact_set_value(f, safe_text_vouch(buf_slice(&text)), m->err);
        if (m->code == E_USAGE)
            m->code = err_set(m->err, E_CORRUPT, "stored fact: \"value\" is empty; run `parley "
                              "verify`");
    }
    buf_release(&text);
}

static void check_fact(struct meta *m, const struct fact *f)
{
    if (!is_hex(f->id, FACT_ID_BYTES - 1))
        meta_fail(m, "id");
    if (f->by[0] && (f->status != FACT_SUPERSEDED || !is_hex(f->by, FACT_ID_BYTES - 1)))
        meta_fail(m, "by");
    if ((f->status == FACT_ACTIVE || f->status == FACT_QUARANTINED) && f->retired_at_ms)
        meta_fail(m, "retired_at");
    for (size_t i = 1; i < f->evidence.len; i++)
        if (fact_evidence_at(f, i - 1)->at_ms > fact_evidence_at(f, i)->at_ms)
            meta_fail(m, "evidence");
}

static void read_fact(struct meta *outer, struct json v, void *place)
{
    struct meta m = within(outer, v, "fact");
    struct fact *f = place;

    fact_init(f);
    meta_chars(&m, "id", true, f->id, sizeof(f->id));
    char word[WORD_BYTES];
    meta_chars(&m, "kind", true, word, sizeof(word));
    if (!m.code && !fact_kind_find(slice_str(word), &f->kind))
        meta_fail(&m, "kind");
    meta_chars(&m, "status", true, word, sizeof(word));
    if (!m.code && !fact_status_find(slice_str(word), &f->status))
        meta_fail(&m, "status");
    read_value(&m, f);
    f->valid_from_ms = read_time(&m, "valid_from");
    f->valid_to_ms = read_time(&m, "valid_to");
    f->recorded_at_ms = meta_i64(&m, "recorded_at", -fact_time_max_ms, fact_time_max_ms);
    f->retired_at_ms = read_time(&m, "retired_at");
    f->confirmed_at_ms = read_time(&m, "confirmed_at");
    f->forgotten_at_ms = read_time(&m, "forgotten_at");
    meta_chars(&m, "by", false, f->by, sizeof(f->by));
    read_array(&m, "turns", false, &f->turns, FACT_TURNS_MAX, read_turn);
    f->confirmations = (uint32_t)f->turns.len;
    read_array(&m, "earlier", false, &f->earlier, FACT_PERIODS_MAX - 1, read_period);
    read_array(&m, "evidence", true, &f->evidence, FACT_EVIDENCE_MAX, read_evidence);
    check_fact(&m, f);
    outer->code = m.code;
}

static void read_names(struct meta *m, struct fact_slot *s)
{
    char name[FACT_NAME_BYTES];

    meta_chars(m, "scope", false, s->scope, sizeof(s->scope));
    if (s->scope[0] && !is_hex(s->scope, FACT_SCOPE_BYTES - 1))
        meta_fail(m, "scope");
    meta_chars(m, "subject", true, s->subject, sizeof(s->subject));
    if (!s->subject[0])
        meta_fail(m, "subject");
    meta_chars(m, "predicate", true, s->predicate, sizeof(s->predicate));
    if (!fact_name_normal(slice_str(s->predicate), name) || strcmp(name, s->predicate) != 0)
        meta_fail(m, "predicate");
}

static void check_slot(struct meta *m, const struct fact_slot *s)
{
    if (s->one && fact_slot_count(s, FACT_ACTIVE) > 1)
        meta_fail(m, "facts");
    for (size_t i = 0; i < s->facts.len; i++)
        if (fact_slot_find(s, fact_slot_at(s, i)->id) != fact_slot_at(s, i))
            meta_fail(m, "id");
}

static int check_rewritten(const struct fact_slot *s, struct slice meta, struct safe_text body,
                           struct err *err)
{
    struct buf m = BUF_INIT(RECORD_META_BYTES_MAX);
    struct safe_buf b;

    safe_buf_init(&b, body.len + 1);
    fact_slot_write(s, &m, &b);
    int code = buf_check(&m, "facts", err);
    if (!code)
        code = safe_buf_check(&b, "facts", err);
    if (code != E_NOMEM && (code || !slice_eq(buf_slice(&m), meta) ||
                            !slice_eq(safe_slice(safe_buf_text(&b)), safe_slice(body))))
        code = err_set(err, E_CORRUPT, "stored facts: %s; run `parley verify`",
                       slice_eq(buf_slice(&m), meta) ? "a member is unknown, repeated or out of "
                       "order" : "the counts are not those of the facts");
    buf_release(&m);
    safe_buf_release(&b);
    return code;
}

// As it was before it was read.
static void start_over(struct fact_slot *s, const struct fact_slot *was)
{
    fact_slot_release(s);
    memcpy(s->digest, was->digest, sizeof(s->digest));
    s->version = was->version;
    s->due_at_ms = was->due_at_ms;
}

int fact_slot_read(struct fact_slot *s, struct slice meta, struct safe_text body, struct err *err)
{
    struct fact_slot keep = *s;
    struct meta m;

    if (fact_slot_read_quick(s, meta, body))
        return E_OK;
    start_over(s, &keep);

    if (meta_open(&m, meta, "facts", err) == E_OK)
        s->one = read_bool(&m, "one", true);
    int code = meta_close(&m);
    if (!code) {
        if (meta_open(&m, safe_slice(body), "facts", err) == E_OK) {
            read_names(&m, s);
            read_array(&m, "facts", true, &s->facts, SLOT_VALUES_MAX, read_fact);
            check_slot(&m, s);
        }
        code = meta_close(&m);
    }
    if (!code)
        code = check_rewritten(s, meta, body, err);
    if (!code) {
        fact_slot_trim(s);
    } else {
        start_over(s, &keep);
    }
    return code;
}
