// SPDX-License-Identifier: MIT
// phone_plan.c: walks through the automaton of the numbering plans.
#include "redact/phone_plan.h"

#include "redact/phone.h"

#include <string.h>

unsigned phone_walk(unsigned from, const char *digits, size_t len)
{
    unsigned state = from;

    for (size_t i = 0; i < len; i++) {
        state = phone_states[state & PHONE_STATE_MASK].to[digits[i] - '0'];
        if (state == 0)
            return 0;
    }
    return state;
}

bool phone_accepts(unsigned from, const char *digits, size_t len)
{
    return (phone_walk(from, digits, len) & PHONE_ACCEPTS) != 0;
}

const struct phone_plan *phone_plan_of(const char *iso, size_t len)
{
    size_t low = 0, high = phone_plans_len;
    char key[3] = {0};

    if (len != 2)
        return NULL;
    for (int i = 0; i < 2; i++)
        key[i] = (char)(is_letter(iso[i]) ? iso[i] & ~('a' - 'A') : 0);
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        int order = memcmp(phone_plans[mid].iso, key, 2);

        if (order == 0)
            return &phone_plans[mid];
        if (order < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return NULL;
}

bool phone_region_known(struct slice iso)
{
    return phone_plan_of(iso.ptr, iso.len) != NULL;
}

// Whether `digits` more digits, or fewer, are a number.
static bool ends_within(unsigned state, unsigned digits)
{
    for (int d = 0; d < 10 && digits > 0; d++) {
        unsigned to = phone_states[state & PHONE_STATE_MASK].to[d];

        if (to & PHONE_ACCEPTS || (to && ends_within(to, digits - 1)))
            return true;
    }
    return false;
}

unsigned phone_digits_min(const char *region)
{
    const struct phone_plan *plan = phone_plan_of(region, strlen(region));
    unsigned least = 1;

    while (least < PHONE_DIGITS_MIN && (!plan || !ends_within(plan->national, least)))
        least++;
    return least;
}

bool phone_valid_in_america(const char *digits)
{
    return (phone_walk(phone_states[phone_world].to[1], digits, 10) & PHONE_ACCEPTS) != 0;
}
