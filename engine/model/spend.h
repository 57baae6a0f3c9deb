// SPDX-License-Identifier: MIT
// spend.h: what may be spent in a day, and where it is counted. Plain values.
//
// A counter is a record whose `count` is what calls of one UTC day have cost, and what those under
// way may still cost: key spend/<day>/<unit>[/<bot>], meta {}. What one user spent is in the user's
// partition, what a bot and all together did in SPEND_PARTITION, which has no key: names of bots
// and days are nobody's data. As the store changes counts by itself, they are outside the seal.
#ifndef MODEL_SPEND_H
#define MODEL_SPEND_H

#include "base/slice.h"
#include <stdbool.h>
#include <stdint.h>

#define SPEND_PARTITION "~spend"

enum spend_unit {
    SPEND_USD,     // billionths of a US dollar
    SPEND_TOKENS,  // of input and output
    SPEND_UNITS,
};
const char *spend_unit_word(enum spend_unit unit);  // "usd", "tokens"

enum { SPEND_DAY_BYTES = 11 /* "2026-01-31" */, SPEND_KEY_BYTES = 104,
       SPEND_DOLLARS_MAX = 1000000000 };

void spend_day(int64_t wall_ms, char out[SPEND_DAY_BYTES]);  // the UTC day of a time
// bot: NULL for the counter of all bots.
void spend_key(const char *day, enum spend_unit unit, const char *bot, char out[SPEND_KEY_BYTES]);
// The day, unit and bot (empty: all) of a counter's key; false if it is none.
bool spend_read_key(struct slice key, char day[SPEND_DAY_BYTES], enum spend_unit *unit,
                    struct slice *bot);

// Of a day.
struct spend_limit {
    bool set;
    int64_t most;
};

#endif
