// SPDX-License-Identifier: MIT
// spend.c: the names of the counters. Pure; any thread.
#include "model/spend.h"

#include "base/clock.h"
#include "model/record.h"

#include <stdio.h>

const char *spend_unit_word(enum spend_unit unit)
{
    return unit == SPEND_USD ? "usd" : "tokens";
}

void spend_day(int64_t wall_ms, char out[SPEND_DAY_BYTES])
{
    char time[CLOCK_TEXT_BYTES];

    clock_format(wall_ms, time);
    snprintf(out, SPEND_DAY_BYTES, "%.10s", time);
}

void spend_key(const char *day, enum spend_unit unit, const char *bot, char out[SPEND_KEY_BYTES])
{
    snprintf(out, SPEND_KEY_BYTES, "spend/%s/%s%s%s", day, spend_unit_word(unit), bot ? "/" : "",
             bot ? bot : "");
}

bool spend_read_key(struct slice key, char day[SPEND_DAY_BYTES], enum spend_unit *unit,
                    struct slice *bot)
{
    struct slice parts[5];
    int64_t ms;
    unsigned n = key_split(key, parts, 5);

    if (n < 3 || n > 4 || !slice_is(parts[0], "spend") || parts[1].len != SPEND_DAY_BYTES - 1 ||
        clock_parse(parts[1], &ms, NULL) ||
        (!slice_is(parts[2], "usd") && !slice_is(parts[2], "tokens")))
        return false;
    memcpy(day, parts[1].ptr, SPEND_DAY_BYTES - 1);
    day[SPEND_DAY_BYTES - 1] = '\0';
    *unit = slice_is(parts[2], "usd") ? SPEND_USD : SPEND_TOKENS;
    *bot = n == 4 ? parts[3] : SLICE_NONE;
    return true;
}
