// SPDX-License-Identifier: MIT
// usage.h: what a provider call consumed. Plain values.
#ifndef MODEL_USAGE_H
#define MODEL_USAGE_H

#include "base/json.h"
#include <stdbool.h>
#include <stdint.h>

enum { COST_UNKNOWN = -1 };

struct usage {
    int64_t input_tokens;        // all of the input: cached and cache-written ones included
    int64_t cached_tokens;       // of these, read from the provider's cache
    int64_t cache_write_tokens;  // of these, written to it
    int64_t output_tokens;
    int64_t cost_nusd;           // billionths of a US dollar; COST_UNKNOWN where no price is known
    bool estimated;              // counted by us, not told by the provider
};

// a += b. An unknown cost makes the sum unknown unless that side has no tokens at all.
void usage_add(struct usage *a, const struct usage *b);
// Members input_tokens, cached_tokens, cache_write_tokens, output_tokens (zeros of the middle two
// left out), cost_nusd if known, estimated if true: written into the writer's open object (record
// meta).
void usage_write_meta(const struct usage *u, struct json_writer *w);
// Reads the same out of an object; absent members are 0, an absent cost is unknown.
void usage_read_meta(struct usage *u, struct json meta);
// As the outside sees it, into the open object too: all members, cost_usd a number or null.
void usage_write_public(const struct usage *u, struct json_writer *w);

#endif
