// SPDX-License-Identifier: MIT
// backtest_report.c: the figures of a back-test as JSON. parley.h tells what its members mean.
#include "turn/backtest_int.h"

enum { ROWS_MAX = 500 };  // of by_turn: more turns share a row

static const double nusd_per_usd = 1e9;

static double part_of(uint64_t part, uint64_t whole)
{
    return whole ? (double)part / (double)whole : 0;
}

static void write_cost(struct json_writer *w, const char *key, bool known, double nusd)
{
    jw_key(w, key);
    if (known)
        jw_double(w, nusd / nusd_per_usd);
    else
        jw_null(w);
}

static void write_count(struct json_writer *w, const char *key, uint64_t n)
{
    jw_kv_i64(w, key, (int64_t)n);
}

static void write_tally(const struct backtest *b, const struct tally *t, struct json_writer *w)
{
    write_count(w, "turns", t->turns);
    write_count(w, "requests", t->requests);
    write_count(w, "answered", t->answered);
    write_count(w, "refused", t->refused);
    write_count(w, "invalid", t->invalid);
    write_count(w, "overflows", t->overflows);
    write_count(w, "cuts", t->cuts);
    write_count(w, "resets", t->resets);
    write_count(w, "sent_turns", t->sent_turns);
    write_count(w, "dropped_turns", t->dropped_turns);
    write_count(w, "recalled_turns", t->recalled_turns);
    write_count(w, "input_tokens", t->input_tokens);
    write_count(w, "cached_tokens", t->read_tokens[CACHE_FIVE_MINUTES]);
    write_count(w, "cache_write_tokens", t->written_tokens[CACHE_FIVE_MINUTES]);
    jw_kv_double(w, "hit_rate", part_of(t->read_tokens[CACHE_FIVE_MINUTES], t->input_tokens));
    write_count(w, "cached_tokens_1h", t->read_tokens[CACHE_HOUR]);
    write_count(w, "cache_write_tokens_1h", t->written_tokens[CACHE_HOUR]);
    jw_kv_double(w, "hit_rate_1h", part_of(t->read_tokens[CACHE_HOUR], t->input_tokens));
    write_count(w, "output_tokens", t->output_tokens);
    write_cost(w, "cost_usd", b->priced, (double)t->cost_nusd[CACHE_FIVE_MINUTES]);
    write_cost(w, "cost_usd_1h", b->priced, (double)t->cost_nusd[CACHE_HOUR]);
    write_cost(w, "output_usd", b->priced, (double)t->output_tokens * b->price.output * 1000);
    write_count(w, "summaries", t->summaries);
    write_count(w, "summary_tokens", t->summary_tokens);
    write_cost(w, "summary_usd", b->priced, (double)t->summary_nusd);
    write_count(w, "hook_failures", t->hook_failures);
}

static void write_recall(const struct recall_sum *r, struct json_writer *w)
{
    jw_key(w, "recall");
    if (r->evidence == 0) {
        jw_null(w);
        return;
    }
    jw_object(w);
    write_count(w, "questions", r->questions);
    write_count(w, "evidence", r->evidence);
    write_count(w, "found", r->found);
    jw_kv_double(w, "recall", part_of(r->found, r->evidence));
    jw_kv_double(w, "k", part_of(r->sent_turns, r->questions));
    jw_object_end(w);
}

// The mean request of each turn; of several turns, where there are many.
static void write_by_turn(const struct backtest *b, const struct lane *lane, struct json_writer *w)
{
    size_t stride = (lane->points.len + ROWS_MAX - 1) / ROWS_MAX;
    jw_key(w, "by_turn");
    jw_array(w);
    for (size_t i = 0; i < lane->points.len; i += stride) {
        struct point sum = {0};
        for (size_t at = i; at < i + stride && at < lane->points.len; at++) {
            const struct point *p = vec_at(&lane->points, at);
            sum.requests += p->requests;
            sum.tokens += p->tokens;
            sum.cost_nusd += p->cost_nusd;
        }
        jw_object(w);
        write_count(w, "turn", i + 1);
        write_count(w, "requests", sum.requests);
        jw_kv_double(w, "input_tokens", part_of(sum.tokens, sum.requests));
        write_cost(w, "cost_usd", b->priced && sum.requests,
                   (double)sum.cost_nusd / (double)(sum.requests ? sum.requests : 1));
        jw_object_end(w);
    }
    jw_array_end(w);
}

static void write_told(const struct backtest *b, const struct lane *lane, struct json_writer *w)
{
    jw_key(w, "conversations");
    jw_array(w);
    for (size_t i = 0; i < lane->told.len; i++) {
        const struct told *t = vec_at(&lane->told, i);
        jw_object(w);
        jw_kv_str(w, "conversation", *VEC_AT(&b->names, char *, i));
        write_tally(b, &t->sum, w);
        jw_key(w, "dropped");
        jw_array(w);
        for (uint32_t at = 0; at < t->dropped_len; at++) {
            jw_array(w);
            jw_i64(w, t->dropped[at].first);
            jw_i64(w, t->dropped[at].last);
            jw_array_end(w);
        }
        jw_array_end(w);
        jw_kv_bool(w, "dropped_more", t->dropped_more);
        jw_object_end(w);
    }
    jw_array_end(w);
}

static void write_lane(const struct backtest *b, const struct lane *lane, struct json_writer *w)
{
    jw_object(w);
    jw_kv_str(w, "policy", lane->name);
    jw_kv_bool(w, "baseline", lane->sliding);
    jw_kv_str(w, "strategy", lane->sliding ? "sliding" : lane->strategy);
    jw_kv_str(w, "by", lane->by);
    write_tally(b, &lane->sum, w);
    write_recall(&lane->recall, w);
    jw_kv_str(w, "hook_error", lane->hook_error[0] ? lane->hook_error : NULL);
    write_by_turn(b, lane, w);
    write_told(b, lane, w);
    jw_object_end(w);
}

void backtest_write(struct backtest *b, struct json_writer *w)
{
    write_count(w, "conversations", backtest_conversations(b));
    write_count(w, "turns", b->turns);
    write_count(w, "timed_turns", b->timed);
    jw_kv_i64(w, "assumed_seconds", BACKTEST_TURN_MS / 1000);
    jw_kv_str(w, "provider", b->env.provider);
    jw_kv_str(w, "model", b->env.model);
    write_count(w, "window_tokens", b->env.caps.window_tokens);
    write_count(w, "cache_min_tokens", b->env.caps.cache_min_tokens);
    jw_key(w, "policies");
    jw_array(w);
    for (uint32_t i = 0; i < b->lanes_len; i++)
        write_lane(b, b->lanes[i], w);
    jw_array_end(w);
}
