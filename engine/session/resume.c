// SPDX-License-Identifier: MIT
// resume.c: what coming back after a while means, as a pure function of time. Any thread.
#include "session/resume.h"

enum { HOUR_MS = 60 * 60 * 1000, DAY_MS = 24 * HOUR_MS };

static const struct {
    int64_t below_ms;
    const char *word;
} gaps[] = {
    {(int64_t)2 * HOUR_MS, "moment"}, {(int64_t)16 * HOUR_MS, "hours"},
    {(int64_t)36 * HOUR_MS, "day"},   {(int64_t)7 * DAY_MS, "days"},
    {(int64_t)30 * DAY_MS, "weeks"},  {(int64_t)365 * DAY_MS, "months"},
};

const char *session_gap_word(int64_t gap_ms)
{
    for (unsigned i = 0; i < sizeof(gaps) / sizeof(gaps[0]); i++)
        if (gap_ms <= gaps[i].below_ms)
            return gaps[i].word;
    return "ages";
}

const struct resume_rules resume_default = {
    .restore_within_ms = (int64_t)2 * HOUR_MS,
    .fresh_after_ms = (int64_t)21 * DAY_MS,
};

enum resume_kind session_resume(const struct resume_rules *rules, int64_t last_active_ms,
                                int64_t now_ms)
{
    int64_t gap;

    if (now_ms <= last_active_ms)
        return RESUME_RESTORE;
    if (__builtin_sub_overflow(now_ms, last_active_ms, &gap))
        gap = INT64_MAX;
    if (gap <= rules->restore_within_ms)
        return RESUME_RESTORE;
    return gap > rules->fresh_after_ms ? RESUME_FRESH : RESUME_PRIMED;
}
