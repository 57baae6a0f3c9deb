// SPDX-License-Identifier: MIT
// cachemodel.h: what a provider's prompt cache would have read and written of a row of requests.
//
// A request is a list of units (system prompt, message steps), each with an identity and a number
// of tokens. What was written up to a mark of one request is read by a later one that begins with
// the same units, as long as it lives; reading renews it. Pure: time is an argument. The rules are
// those that Anthropic documents for `cache_control` (prefix match at breakpoints; a lifetime of 5
// minutes or an hour that counts from the request's start; nothing shorter than a minimum). OpenAI
// matches prefixes by itself: there every unit has a mark. One thread.
#ifndef TOKENS_CACHEMODEL_H
#define TOKENS_CACHEMODEL_H

#include "base/err.h"
#include "base/vec.h"
#include <stdbool.h>
#include <stdint.h>

struct cache_unit {
    uint64_t id;       // units with the same id are the same bytes
    uint64_t tokens;
    bool mark;         // a breakpoint is after it
};

struct cache_use {
    uint64_t input_tokens;   // of all units; the rest of it is neither read nor written
    uint64_t read_tokens, written_tokens;
};

// What the requests of one conversation have left in the cache.
struct cache_model {
    int64_t lifetime_ms;
    uint64_t min_tokens;     // shorter prefixes are not cached; 0: nothing is
    // private
    struct vec entries;      // of struct entry
    struct vec prefixes;     // of struct prefix: scratch
};
void cache_model_init(struct cache_model *m, int64_t lifetime_ms, uint64_t min_tokens);
void cache_model_release(struct cache_model *m);
void cache_model_clear(struct cache_model *m);  // another conversation begins

// A request that starts at now_ms, which is no earlier than the one before it. E_NOMEM.
int cache_model_request(struct cache_model *m, int64_t now_ms, const struct cache_unit *units,
                        uint32_t len, struct cache_use *out, struct err *err);

#endif
