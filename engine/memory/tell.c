// SPDX-License-Identifier: MIT
// tell.c: facts in words. Plain values; any thread.
#include "memory/tell.h"

#define DAY_MS (24LL * 3600 * 1000)
enum { DAYS_OF_MONTH = 30, DAYS_OF_YEAR = 365 };

// Digits are nobody's data.
static void add_number(struct safe_buf *out, uint32_t n)
{
    static const struct safe_text digits = {"0123456789", 10};
    uint32_t unit = 1;
    while (n / unit >= 10)
        unit *= 10;
    for (; unit; unit /= 10)
        safe_buf_add(out, safe_text_part(digits, n / unit % 10, 1));
}

static void add_count(struct safe_buf *out, uint32_t n, struct safe_text one, struct safe_text many)
{
    add_number(out, n);
    safe_buf_add(out, SAFE_LIT(" "));
    safe_buf_add(out, n == 1 ? one : many);
}

// "4 months": in the unit of which there are some.
static void add_age(struct safe_buf *out, int64_t age_ms)
{
    int64_t all = age_ms > 0 ? age_ms / DAY_MS : 0;
    uint32_t days = all < UINT32_MAX ? (uint32_t)all : UINT32_MAX;
    if (days < 2 * DAYS_OF_MONTH)
        add_count(out, days, SAFE_LIT("day"), SAFE_LIT("days"));
    else if (days < 2 * DAYS_OF_YEAR)
        add_count(out, days / DAYS_OF_MONTH, SAFE_LIT("month"), SAFE_LIT("months"));
    else
        add_count(out, days / DAYS_OF_YEAR, SAFE_LIT("year"), SAFE_LIT("years"));
}

// "lives_in" as "lives in".
static void add_name(struct safe_buf *out, struct safe_text name)
{
    for (size_t at = 0, from = 0; at <= name.len; at++) {
        if (at < name.len && name.ptr[at] != '_')
            continue;
        safe_buf_add(out, safe_text_part(name, from, at - from));
        if (at < name.len)
            safe_buf_add(out, SAFE_LIT(" "));
        from = at + 1;
    }
}

void fact_tell(struct safe_buf *out, const struct fact_slot *slot, const struct fact *f)
{
    if (strcmp(slot->subject, "user") != 0) {
        safe_buf_add(out, fact_slot_subject(slot));
        safe_buf_add(out, SAFE_LIT(": "));
    }
    add_name(out, fact_slot_predicate(slot));
    safe_buf_add(out, SAFE_LIT(" "));
    safe_buf_add(out, fact_value(f));
}

void fact_tell_stale(struct safe_buf *out, const struct fact_slot *slot, const struct fact *f,
                     int64_t unconfirmed_ms)
{
    safe_buf_add(out, SAFE_LIT("Earlier: "));
    fact_tell(out, slot, f);
    safe_buf_add(out, SAFE_LIT(" (not confirmed for "));
    add_age(out, unconfirmed_ms);
    safe_buf_add(out, SAFE_LIT("; ask before relying on it)"));
}
