// SPDX-License-Identifier: MIT
// summary.c: the stored form of a summary, and whether it holds. Plain values; any thread.
#include "model/summary.h"

#include "model/meta_int.h"

void summary_init(struct summary *s)
{
    *s = (struct summary){0};
    safe_buf_init(&s->text, SUMMARY_BYTES_MAX);
}

void summary_release(struct summary *s)
{
    safe_buf_release(&s->text);
    summary_init(s);
}

bool summary_holds(const struct summary *s, const struct session_head *h)
{
    return s->upto && s->upto <= h->turns && !session_is_superseded(h, s->upto) &&
           session_live_turns(h, s->upto) == s->turns;
}

void summary_write_meta(const struct summary *s, struct buf *out)
{
    struct json_writer w;

    jw_init(&w, out);
    jw_object(&w);
    jw_kv_i64(&w, "turns", s->turns);
    if (s->base)
        jw_kv_i64(&w, "base", s->base);
    jw_kv_i64(&w, "generation", s->generation);
    if (s->left_out)
        jw_kv_i64(&w, "left_out", s->left_out);
    jw_kv_i64(&w, "tokens", s->tokens);
    jw_kv_i64(&w, "at", s->at_ms);
    jw_kv_str(&w, "by", s->by);
    jw_kv_str(&w, "provider", s->provider);
    jw_kv_str(&w, "model", s->model);
    jw_object_end(&w);
}

int summary_read_meta(struct summary *s, struct slice meta, struct err *err)
{
    struct meta m;

    meta_open(&m, meta, "summary", err);
    s->turns = (uint32_t)meta_i64(&m, "turns", 1, SESSION_TURNS_MAX);
    s->base = (uint32_t)meta_i64_or(&m, "base", 0, SESSION_TURNS_MAX, 0);
    s->generation = (uint32_t)meta_i64(&m, "generation", 1, UINT32_MAX);
    s->left_out = (uint32_t)meta_i64_or(&m, "left_out", 0, UINT32_MAX, 0);
    s->tokens = (uint32_t)meta_i64(&m, "tokens", 0, UINT32_MAX);
    s->at_ms = meta_i64(&m, "at", 0, INT64_MAX);
    meta_chars(&m, "by", true, s->by, sizeof(s->by));
    meta_chars(&m, "provider", true, s->provider, sizeof(s->provider));
    meta_chars(&m, "model", true, s->model, sizeof(s->model));
    return meta_close(&m);
}
