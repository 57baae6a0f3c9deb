// SPDX-License-Identifier: MIT
// resume.c: what coming back after a while means, as a pure function of time. Any thread.
#include "session/session.h"

enum { HOUR_MS = 60 * 60 * 1000, DAY_MS = 24 * HOUR_MS };

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
