// SPDX-License-Identifier: MIT
// calibration.h: what a provider bills for a request, beside what we estimate, learned from usage.
//
// One per provider and model whose vocabulary is not public. An observation is the ratio of the
// input tokens that were billed for a whole request to our estimate of it; kept is a histogram of
// the ratios' logarithms, integers of a fixed size: nothing of any text. From it come a median, to
// show and to predict by, and an upper quantile, to keep limits by.
//
// Invariants:
//   1. `total` is the sum of the bins, > 0 once calibration_init was called or anything observed.
//   2. likely <= most; both within RATIO_MIN_LOG2 and RATIO_MAX_LOG2 octaves of the estimate,
//      whatever a provider says.
//   3. Histograms add up: what two processes saw is the sum of what each saw, in any order (until
//      one is over CALIBRATION_TOTAL_MAX, when all of it is halved, so that old ratios fade).
// Pure; one thread at a time.
#ifndef TOKENS_CALIBRATION_H
#define TOKENS_CALIBRATION_H

#include "base/err.h"
#include "base/json.h"
#include <stdbool.h>
#include <stdint.h>

enum {
    CALIBRATION_BINS_PER_OCTAVE = 32,     // a bin is 2.2 % wide
    CALIBRATION_OCTAVES = 4,              // ratios from 1/4 to 4; others are no count of the text
    CALIBRATION_BINS = CALIBRATION_OCTAVES * CALIBRATION_BINS_PER_OCTAVE,
    CALIBRATION_WEIGHT = 256,             // of an ordinary observation
    CALIBRATION_TOTAL_MAX = 256 * CALIBRATION_WEIGHT,
    CALIBRATION_TOKENS_MIN = 128,         // of a request that is observed: smaller ones say more of
                                          // what a provider adds than of its vocabulary
    CALIBRATION_MOST_PERMILLE = 980,      // the upper quantile
};

struct calibration {
    uint32_t bins[CALIBRATION_BINS];  // weights of what was observed, by ratio
    uint32_t total;
    uint64_t seen;           // observations, ever
    uint64_t took_tokens;    // the most that a server took that cuts silently what is more; 0: none
    int64_t took_at_ms;      // when that was seen
};

// The prior: what holds before anything was observed, as if a few observations had been made. Its
// figures: our estimate is within some 10 % of cl100k_base and o200k_base and rather high (`make
// bench`, bench_calibration); the newest Anthropic vocabularies have about 30 % more tokens than
// those before them (Anthropic's documentation of Claude Opus 4.7).
void calibration_init(struct calibration *c);

// false, and nothing changes: too small a request, or a figure beyond measure.
bool calibration_observe(struct calibration *c, uint64_t estimated_tokens, uint64_t billed_tokens,
                         uint32_t weight);
// Adds what was observed elsewhere. `from` may be all zero; of two that were cut, the later counts.
void calibration_add(struct calibration *c, const struct calibration *from);

// What a request of so many tokens by our estimate has for the provider: as likely more as less; at
// most, but for one in fifty.
uint64_t calibration_likely(const struct calibration *c, uint64_t estimated_tokens);
uint64_t calibration_most(const struct calibration *c, uint64_t estimated_tokens);
// At least, but for one in fifty.
uint64_t calibration_least(const struct calibration *c, uint64_t estimated_tokens);
// The other way: the largest estimate whose `likely`, or `most`, is within `tokens`.
uint64_t calibration_fits_likely(const struct calibration *c, uint64_t tokens);
uint64_t calibration_fits_most(const struct calibration *c, uint64_t tokens);

// Members of the writer's open object: {"seen":n,"from":i,"bins":[…],"took":n,"took_at":ms}; the
// bins from the i-th to the last that is not 0. "took" and "took_at" only where there are any.
void calibration_write_meta(const struct calibration *c, struct json_writer *w);
// E_CORRUPT names the member; *c is then the prior.
int calibration_read_meta(struct calibration *c, struct json meta, struct err *err);

#endif
