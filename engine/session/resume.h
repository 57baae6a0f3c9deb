// SPDX-License-Identifier: MIT
// resume.h: what coming back after a while means, as a pure function of time and of a policy's
// rules. Any thread.
//
//   last activity ──restore_within──┬────────fresh_after────────┬─────────▶
//      the session goes on          │ a new one, that is told   │ a new one, that is told nothing
//      as if nothing had happened   │ what was before (primed)  │
#ifndef SESSION_RESUME_H
#define SESSION_RESUME_H

#include <stdbool.h>
#include <stdint.h>

struct resume_rules {
    int64_t restore_within_ms;  // within: goes on as if nothing had happened
    int64_t fresh_after_ms;     // after: starts fresh; INT64_MAX: never
    bool offer;                 // a new session waits to be told until its policy says so
};
extern const struct resume_rules resume_default;  // 2 h, 21 d
enum resume_kind { RESUME_RESTORE, RESUME_PRIMED, RESUME_FRESH };
// A gap below zero (the clock went back) counts as none.
enum resume_kind session_resume(const struct resume_rules *rules, int64_t last_active_ms,
                                int64_t now_ms);
// A gap as people feel it: "moment" (up to the restore window of 2 h), "hours", "day", "days",
// "weeks", "months"; "ages" from a year on.
const char *session_gap_word(int64_t gap_ms);

#endif
