// SPDX-License-Identifier: MIT
// sweep.h: the job that has sessions whose time has come learnt from, and archives them; that
// deletes the turns of those that were archived long enough ago, and originals whose lifetime is
// over. It finds them by what is due, so that its work grows with them and not with how many there
// are. A pass is bounded, by sessions, records and time; where one ends so, the next one goes on.
// Owned by a runner's loop.
#ifndef JOBS_SWEEP_H
#define JOBS_SWEEP_H

#include "jobs/jobs.h"
#include "jobs/trust.h"

enum { SWEEP_SESSIONS_MAX = 1000, SWEEP_RECORDS_MAX = 5000,  // of one pass
       SWEEP_MS_MAX = 60 * 1000,   // then a pass ends: learning from a session may take long
       SWEEP_AHEAD_MS = 60 * 1000 };  // a clock that is ahead by more has jumped

// What the passes did since sweep_report_clear.
struct sweep_report {
    uint32_t looked;     // sessions that were due
    uint32_t archived, purged;
    uint32_t learnt;     // that were learnt from before they were archived
    uint32_t failed;     // of which that failed: they are tried again later
    uint32_t left;       // that could not be handled now: they are due still
    uint64_t records;    // that were deleted
    int64_t trusted_ms;  // the time that deletions go by
    int64_t ahead_ms;    // by which the clock is ahead of it, and not believed
};

struct sweep;
int sweep_new(struct sweep **out, const struct jobs_env *env, struct err *err);
void sweep_free(struct sweep *s);  // NULL allowed; no pass may be under way
struct runner_job sweep_job(struct sweep *s);
struct sweep_report sweep_report(const struct sweep *s);
void sweep_report_clear(struct sweep *s);

#endif
