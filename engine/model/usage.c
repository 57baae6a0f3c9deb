// SPDX-License-Identifier: MIT
// usage.c: adding, writing and reading usage. Plain values; any thread.
#include "model/usage.h"

enum { NANO = 1000000000, NANO_DIGITS = 9 };

// Sums of counts that strangers reported stay sums: they stop at the largest number.
static int64_t sum(int64_t a, int64_t b)
{
    int64_t total;

    return __builtin_add_overflow(a, b, &total) ? INT64_MAX : total;
}

static bool no_tokens(const struct usage *u)
{
    return !u->input_tokens && !u->cached_tokens && !u->cache_write_tokens && !u->output_tokens;
}

static int64_t sum_cost(const struct usage *a, const struct usage *b)
{
    if (a->cost_nusd >= 0 && b->cost_nusd >= 0)
        return sum(a->cost_nusd, b->cost_nusd);
    if (a->cost_nusd < 0 && no_tokens(a))
        return b->cost_nusd;
    if (b->cost_nusd < 0 && no_tokens(b))
        return a->cost_nusd;
    return COST_UNKNOWN;
}

void usage_add(struct usage *a, const struct usage *b)
{
    a->cost_nusd = sum_cost(a, b);
    a->input_tokens = sum(a->input_tokens, b->input_tokens);
    a->cached_tokens = sum(a->cached_tokens, b->cached_tokens);
    a->cache_write_tokens = sum(a->cache_write_tokens, b->cache_write_tokens);
    a->output_tokens = sum(a->output_tokens, b->output_tokens);
    a->estimated |= b->estimated;
}

void usage_write_meta(const struct usage *u, struct json_writer *w)
{
    jw_kv_i64(w, "input_tokens", u->input_tokens);
    if (u->cached_tokens)
        jw_kv_i64(w, "cached_tokens", u->cached_tokens);
    if (u->cache_write_tokens)
        jw_kv_i64(w, "cache_write_tokens", u->cache_write_tokens);
    jw_kv_i64(w, "output_tokens", u->output_tokens);
    if (u->cost_nusd >= 0)
        jw_kv_i64(w, "cost_nusd", u->cost_nusd);
    if (u->estimated)
        jw_kv_bool(w, "estimated", true);
}

// Counts are never negative; what is no count is taken as absent.
static int64_t count_of(struct json meta, const char *key, int64_t fallback)
{
    int64_t n = json_i64(json_get(meta, key), fallback);

    return n < 0 ? fallback : n;
}

void usage_read_meta(struct usage *u, struct json meta)
{
    u->input_tokens = count_of(meta, "input_tokens", 0);
    u->cached_tokens = count_of(meta, "cached_tokens", 0);
    u->cache_write_tokens = count_of(meta, "cache_write_tokens", 0);
    u->output_tokens = count_of(meta, "output_tokens", 0);
    u->cost_nusd = count_of(meta, "cost_nusd", COST_UNKNOWN);
    u->estimated = json_bool(json_get(meta, "estimated"), false);
}

// Billionths as dollars, exact and without an exponent: "0.0000015".
static void write_dollars(int64_t nusd, struct json_writer *w)
{
    char text[32];
    char *end = text + sizeof(text);
    char *at = end;
    int64_t fraction = nusd % NANO;

    for (int i = 0; i < NANO_DIGITS; i++, fraction /= 10)
        *--at = (char)('0' + fraction % 10);
    *--at = '.';
    int64_t whole = nusd / NANO;
    do {
        *--at = (char)('0' + whole % 10);
        whole /= 10;
    } while (whole);
    while (end[-1] == '0')
        end--;
    if (end[-1] == '.')
        end--;
    jw_raw(w, slice_of(at, (size_t)(end - at)));
}

void usage_write_public(const struct usage *u, struct json_writer *w)
{
    jw_kv_i64(w, "input_tokens", u->input_tokens);
    jw_kv_i64(w, "cached_tokens", u->cached_tokens);
    jw_kv_i64(w, "cache_write_tokens", u->cache_write_tokens);
    jw_kv_i64(w, "output_tokens", u->output_tokens);
    jw_kv_bool(w, "estimated", u->estimated);
    jw_key(w, "cost_usd");
    if (u->cost_nusd < 0)
        jw_null(w);
    else
        write_dollars(u->cost_nusd, w);
}
