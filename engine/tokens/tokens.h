// SPDX-License-Identifier: MIT
// tokens.h: how many tokens a text is, and what tokens cost.
//
// Counts are exact where the model's vocabulary is public (encoding.h), elsewhere estimates: by
// character class, tuned to be close and rather high. Each message is counted once in its life, as
// the model counts that it is counted for. Prices are data: scripts/data/prices.json.
// The table is read-only once loaded; any thread.
#ifndef TOKENS_TOKENS_H
#define TOKENS_TOKENS_H

#include "base/err.h"
#include "base/slice.h"
#include "model/message.h"
#include "model/usage.h"
#include "tokens/encoding.h"

// What chat formats add to the text, as OpenAI's does (OpenAI Cookbook, "How to count tokens with
// tiktoken"): to a message, the system's too, three and its role; to a request, the beginning of
// the reply.
enum { TOKENS_PER_MESSAGE = 4, TOKENS_PER_REQUEST = 3 };

uint32_t tokens_estimate(struct slice text);
// In an encoding; NULL: estimated, as is a text that there is no memory to count, or that is over
// ENCODING_BYTES_MAX.
uint32_t tokens_count(const struct encoding *e, struct slice text);
// 0 for none; else with TOKENS_PER_MESSAGE.
uint32_t tokens_of_system(const struct encoding *e, struct safe_text system);
// With TOKENS_PER_MESSAGE. Thinking that nobody signed is not sent again (llm/render.c), and is not
// counted.
uint32_t tokens_of_content(const struct encoding *e, const struct content *c);

struct prices;
// From JSON:
// {"source":"…","as_of":"YYYY-MM-DD","models":[{"provider":"anthropic","model":"claude-…*",
// "input":n,"cached":n,"cache_write":n,"output":n}]}, US dollars per million tokens; "*" at the end
// of a model matches any rest, the longest match wins. E_POLICY says what is wrong where.
int prices_load(struct prices **out, struct slice json, struct err *err);
void prices_free(struct prices *p);
// Fills u->cost_nusd, COST_UNKNOWN when there is no row. `free` rows (all zero) cost 0.
void prices_apply(const struct prices *p, const char *provider, const char *model, struct usage *u);

struct price {
    double input, cached, cache_write, output;  // US dollars per million tokens
};
// False: none is known. `model` may also be a pattern: the price of all that it matches.
bool prices_find(const struct prices *p, const char *provider, const char *model,
                 struct price *out);
// Every row in the table's order; `model` may end in "*".
void prices_each(const struct prices *p,
                 void (*fn)(void *user, const char *provider, const char *model), void *user);

#endif
