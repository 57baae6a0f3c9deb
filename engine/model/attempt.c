// SPDX-License-Identifier: MIT
// attempt.c: the stored form of an attempt. Plain values; any thread.
#include "model/attempt.h"

#include "model/meta_int.h"

static const char *const status_words[] = {
    [ATTEMPT_OPEN] = "open",     [ATTEMPT_DONE] = "done",     [ATTEMPT_CUT] = "cut",
    [ATTEMPT_FAILED] = "failed", [ATTEMPT_UNUSED] = "unused", [ATTEMPT_LOST] = "lost",
};
enum { STATUS_WORDS = sizeof(status_words) / sizeof(status_words[0]) };

static const char *const kind_words[] = {
    [ATTEMPT_REPLY] = "reply",
    [ATTEMPT_SUMMARY] = "summary",
    [ATTEMPT_EMBEDDING] = "embedding",
    [ATTEMPT_EXTRACTION] = "extraction",
    [ATTEMPT_JOURNAL] = "journal",
    [ATTEMPT_REFLECTION] = "reflection",
};
enum { KIND_WORDS = sizeof(kind_words) / sizeof(kind_words[0]) };

const char *attempt_status_word(enum attempt_status s)
{
    BUG_ON((unsigned)s >= STATUS_WORDS);
    return status_words[s];
}

const char *attempt_kind_word(enum attempt_kind k)
{
    BUG_ON((unsigned)k >= KIND_WORDS);
    return kind_words[k];
}

void attempt_write_meta(const struct attempt *a, const struct sent *sent, struct buf *out)
{
    struct json_writer w;

    jw_init(&w, out);
    jw_object(&w);
    jw_kv_str(&w, "status", attempt_status_word(a->status));
    if (a->kind != ATTEMPT_REPLY)
        jw_kv_str(&w, "kind", attempt_kind_word(a->kind));
    if (a->status == ATTEMPT_OPEN)
        jw_kv_str(&w, "owner", a->owner);
    jw_kv_str(&w, "bot", a->bot);
    jw_kv_str(&w, "provider", a->provider);
    jw_kv_str(&w, "model", a->model);
    if (a->http_status)
        jw_kv_i64(&w, "http", a->http_status);
    jw_kv_i64(&w, "at", a->at_ms);
    usage_write_meta(&a->usage, &w);
    if (sent)
        sent_write_meta(sent, &w);
    jw_object_end(&w);
}

// Leaves turn and n alone: they are in the key. What was sent is read by sent_read_meta, where it
// is wanted.
int attempt_read_meta(struct attempt *a, struct slice meta, struct err *err)
{
    struct meta m;

    meta_open(&m, meta, "attempt", err);
    a->status = (enum attempt_status)meta_word(&m, "status", status_words, STATUS_WORDS);
    a->kind = meta_has(&m, "kind")
                  ? (enum attempt_kind)meta_word(&m, "kind", kind_words, KIND_WORDS)
                  : ATTEMPT_REPLY;
    meta_chars(&m, "owner", a->status == ATTEMPT_OPEN, a->owner, sizeof(a->owner));
    meta_chars(&m, "bot", true, a->bot, sizeof(a->bot));
    meta_chars(&m, "provider", false, a->provider, sizeof(a->provider));
    meta_chars(&m, "model", false, a->model, sizeof(a->model));
    a->http_status = (int)meta_i64_or(&m, "http", 0, 999, 0);
    a->at_ms = meta_i64(&m, "at", 0, INT64_MAX);
    usage_read_meta(&a->usage, m.root);
    return meta_close(&m);
}
