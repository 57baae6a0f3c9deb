// SPDX-License-Identifier: MIT
// sent.c: the stored form of what a request was made of. Plain values; any thread.
#include "model/sent.h"

#include "model/meta_int.h"

static const char *const why_words[] = {
    [SENT_NEWEST] = "newest", [SENT_PINNED] = "pinned",
    [SENT_PINNED_BY_USER] = "pinned by the user", [SENT_PINNED_BY_POLICY] = "pinned by the policy",
};
enum { WHY_WORDS = sizeof(why_words) / sizeof(why_words[0]) };

static const char *const kind_words[] = {
    [SENT_TURN] = "turn", [SENT_FACT] = "fact", [SENT_KNOWLEDGE] = "knowledge",
    [SENT_JOURNAL] = "journal",
};
enum { KIND_WORDS = sizeof(kind_words) / sizeof(kind_words[0]) };

const char *sent_kind_word(enum sent_kind kind)
{
    BUG_ON((unsigned)kind >= KIND_WORDS);
    return kind_words[kind];
}

const char *sent_why_word(enum sent_why why)
{
    BUG_ON((unsigned)why >= WHY_WORDS);
    return why_words[why];
}

void sent_add(struct sent *s, uint32_t n, enum sent_why why)
{
    struct sent_run *last = s->runs_len ? &s->runs[s->runs_len - 1] : NULL;

    BUG_ON(last && n <= last->last);
    if (last && last->last + 1 == n && last->why == why && !s->more)
        last->last = n;
    else if (s->runs_len == SENT_RUNS_MAX)
        s->more = true;
    else
        s->runs[s->runs_len++] = (struct sent_run){n, n, why};
}

bool sent_has(const struct sent *s, uint32_t n)
{
    uint32_t low = 0, high = s->runs_len;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;

        if (s->runs[middle].last < n)
            low = middle + 1;
        else
            high = middle;
    }
    return low < s->runs_len && s->runs[low].first <= n;
}

static void write_recalled(const struct sent *s, struct json_writer *w)
{
    if (s->recalled_len == 0)
        return;
    jw_key(w, "recalled");
    jw_array(w);
    for (uint32_t i = 0; i < s->recalled_len; i++) {
        const struct sent_recalled *r = &s->recalled[i];
        jw_array(w);
        jw_str(w, r->id);
        jw_i64(w, r->turn);
        jw_i64(w, r->score);
        if (r->kind != SENT_TURN)
            jw_str(w, sent_kind_word(r->kind));
        jw_array_end(w);
    }
    jw_array_end(w);
    jw_kv_i64(w, "recalled_tokens", (int64_t)s->recalled_tokens);
}

void sent_write_meta(const struct sent *s, struct json_writer *w)
{
    jw_key(w, "sent");
    jw_object(w);
    jw_kv_str(w, "strategy", s->strategy);
    jw_kv_str(w, "by", s->by);
    jw_key(w, "runs");
    jw_array(w);
    for (uint32_t i = 0; i < s->runs_len; i++) {
        jw_array(w);
        jw_i64(w, s->runs[i].first);
        jw_i64(w, s->runs[i].last);
        jw_str(w, sent_why_word(s->runs[i].why));
        jw_array_end(w);
    }
    jw_array_end(w);
    if (s->more)
        jw_kv_bool(w, "more", true);
    write_recalled(s, w);
    if (s->summary_upto) {
        jw_key(w, "summary");
        jw_array(w);
        jw_i64(w, s->summary_upto);
        jw_i64(w, (int64_t)s->summary_tokens);
        jw_array_end(w);
    }
    if (s->constraints) {
        jw_key(w, "constraints");
        jw_array(w);
        jw_i64(w, s->constraints);
        jw_i64(w, (int64_t)s->constraints_tokens);
        jw_array_end(w);
    }
    if (s->core_tokens)
        jw_kv_i64(w, "core", (int64_t)s->core_tokens);
    if (s->cut_moved)
        jw_kv_bool(w, "cut", true);
    jw_kv_i64(w, "system", (int64_t)s->system_tokens);
    jw_kv_i64(w, "history", (int64_t)s->history_tokens);
    jw_key(w, "predicted");
    jw_object(w);
    usage_write_meta(&s->predicted, w);
    jw_object_end(w);
    jw_object_end(w);
}

static bool read_run(struct json v, int64_t before, struct sent_run *out)
{
    int64_t first = json_i64(json_at(v, 0), 0), last = json_i64(json_at(v, 1), 0);
    struct json why = json_at(v, 2);

    if (json_type(v) != JSON_ARRAY || first <= before || last < first || last > UINT32_MAX)
        return false;
    for (unsigned i = 0; i < WHY_WORDS; i++) {
        if (json_is_string(why, why_words[i])) {
            *out = (struct sent_run){(uint32_t)first, (uint32_t)last, (enum sent_why)i};
            return true;
        }
    }
    return false;
}

static void read_runs(struct sent *s, struct meta *m)
{
    struct json runs = json_get(m->root, "runs");
    struct json_iter it = {0};
    struct json key, v;
    int64_t before = 0;

    if (json_type(runs) != JSON_ARRAY || json_count(runs) > SENT_RUNS_MAX) {
        meta_fail(m, "runs");
        return;
    }
    while (json_next(runs, &it, &key, &v)) {
        struct sent_run *run = &s->runs[s->runs_len];

        if (!read_run(v, before, run)) {
            meta_fail(m, "runs");
            return;
        }
        before = run->last;
        s->runs_len++;
    }
}

// Of a turn nothing is said; false: it is no kind.
static bool read_kind(struct json v, enum sent_kind *out)
{
    *out = SENT_TURN;
    for (unsigned i = SENT_TURN + 1; i < KIND_WORDS && *out == SENT_TURN; i++)
        if (json_is_string(v, kind_words[i]))
            *out = (enum sent_kind)i;
    return *out != SENT_TURN || json_type(v) == JSON_NONE;
}

// A session, or what may be the id of a fact or the name of a part of the journal.
static bool names_kind(struct slice id, enum sent_kind kind)
{
    if (kind == SENT_TURN)
        return id_valid(id);
    for (size_t i = 0; i < id.len; i++)
        if (id.ptr[i] <= ' ' || id.ptr[i] > '~')
            return false;
    return id.len > 0 && id.len < ID_TEXT_BYTES;
}

static bool read_one_recalled(struct json v, struct sent_recalled *out)
{
    struct buf scratch = BUF_INIT(ID_TEXT_BYTES);
    struct slice id = json_text(json_at(v, 0), &scratch);
    int64_t turn = json_i64(json_at(v, 1), -1), score = json_i64(json_at(v, 2), -1);
    enum sent_kind kind;
    bool good = read_kind(json_at(v, 3), &kind) && names_kind(id, kind) &&
                turn >= (kind == SENT_TURN) && turn <= UINT32_MAX && score >= 0 &&
                score <= UINT32_MAX;

    *out = (struct sent_recalled){.kind = kind, .turn = (uint32_t)turn, .score = (uint32_t)score};
    if (good)
        memcpy(out->id, id.ptr, id.len);
    buf_release(&scratch);
    return good;
}

static void read_recalled(struct sent *s, struct meta *m)
{
    struct json list = json_get(m->root, "recalled");
    struct json_iter it = {0};
    struct json key, v;

    if (m->code || json_type(list) == JSON_NONE)
        return;
    if (json_type(list) != JSON_ARRAY || json_count(list) > SENT_RECALLED_MAX) {
        meta_fail(m, "recalled");
        return;
    }
    while (json_next(list, &it, &key, &v)) {
        if (!read_one_recalled(v, &s->recalled[s->recalled_len])) {
            meta_fail(m, "recalled");
            return;
        }
        s->recalled_len++;
    }
}

static void read_summary(struct sent *s, struct meta *m)
{
    struct json summary = json_get(m->root, "summary");
    int64_t upto = json_i64(json_at(summary, 0), 0), tokens = json_i64(json_at(summary, 1), -1);

    if (m->code || json_type(summary) == JSON_NONE)
        return;
    if (upto < 1 || upto > UINT32_MAX || tokens < 0) {
        meta_fail(m, "summary");
        return;
    }
    s->summary_upto = (uint32_t)upto;
    s->summary_tokens = (uint64_t)tokens;
}

static void read_constraints(struct sent *s, struct meta *m)
{
    struct json v = json_get(m->root, "constraints");
    int64_t n = json_i64(json_at(v, 0), 0), tokens = json_i64(json_at(v, 1), -1);

    if (m->code || json_type(v) == JSON_NONE)
        return;
    if (json_type(v) != JSON_ARRAY || n < 1 || n > 2 * CONSTRAINTS_MAX || tokens < 0) {
        meta_fail(m, "constraints");
        return;
    }
    s->constraints = (uint32_t)n;
    s->constraints_tokens = (uint64_t)tokens;
}

int sent_read_meta(struct sent *s, struct slice attempt_meta, struct err *err)
{
    struct meta m;

    *s = (struct sent){0};
    meta_open(&m, attempt_meta, "attempt", err);
    struct json sent = m.code ? m.root : json_get(m.root, "sent");
    if (!m.code && json_type(sent) == JSON_NONE) {
        meta_close(&m);
        return err_set(err, E_NOT_FOUND, "the attempt does not say what was sent");
    }
    m.root = sent;
    m.at = (struct json_iter){0};
    meta_chars(&m, "strategy", true, s->strategy, sizeof(s->strategy));
    meta_chars(&m, "by", true, s->by, sizeof(s->by));
    read_runs(s, &m);
    s->more = meta_has(&m, "more");
    read_recalled(s, &m);
    s->recalled_tokens = (uint64_t)meta_i64_or(&m, "recalled_tokens", 0, INT64_MAX, 0);
    read_summary(s, &m);
    read_constraints(s, &m);
    s->core_tokens = (uint64_t)meta_i64_or(&m, "core", 0, INT64_MAX, 0);
    s->cut_moved = meta_has(&m, "cut");
    s->system_tokens = (uint64_t)meta_i64_or(&m, "system", 0, INT64_MAX, 0);
    s->history_tokens = (uint64_t)meta_i64_or(&m, "history", 0, INT64_MAX, 0);
    usage_read_meta(&s->predicted, m.code ? m.root : json_get(m.root, "predicted"));
    s->predicted.estimated = true;
    return meta_close(&m);
}
