// SPDX-License-Identifier: MIT
// learn.h: what is to be remembered of sessions is learnt beside their turns: facts, found by the
// policy's rules, and when a session is over by a model too; then its summary and its journal.
// learn.c draws how.
//
// Invariants:
//   1. No turn waits for it, and no turn needs it. It reads the ledger for itself.
//   2. A fact comes out of the user's own words, or is quarantined (memory/gate.h). What was
//      recalled is no material.
//   3. Facts, and how far they were looked for (`learnt`), are one commit, guarded by the manifest
//      (turn/book.h): killed anywhere, repeated, or done by two at once, it comes to the same book.
//   4. A model is asked LEARN_CALLS_MAX times at most each time a session ends. One that fails or
//      is late keeps a session from being archived for a while: it is tried LEARN_TRIES_MAX times,
//      with growing rests; then rules alone have to do.
//   5. Of a turn that was undone or edited nothing is learnt, and what rested on it alone is not
//      believed any more.
#ifndef TURN_LEARN_H
#define TURN_LEARN_H

#include "turn/turn_int.h"

enum {
    LEARN_TURNS = 64,                // are walked at once, and are one commit
    LEARN_BEFORE = 4,                // so many before them are looked back at ("no, it is Milan")
    LEARN_CALLS_MAX = 6,
    LEARN_TRIES_MAX = 3,
    LEARN_REST_MS = 2 * 60 * 1000,   // after the first failure; LEARN_REST_FACTOR times after the
    LEARN_REST_FACTOR = 8,           // next one
    LEARN_UNWRITTEN_MAX = 32,        // turns without a finding, before that is written down
};

// After A2, and an import: what the run's session says since it was last learnt from is looked at,
// by rules. Posts a job to the run's own worker (JOB_LEARN), unless one is under way that will.
void learn_after(struct run *run);
// After an undo, whatever the policy is.
void learn_undone(struct run *run);
// A session that is over, as another one follows it: with all that is done at its end.
void learn_ended(struct run *run, const struct session_head *head);
// JOB_LEARN: job->session of job->partition; JOB_ENDED: it is over. The job's `over` gets E_OK: it
// is learnt from, or nothing more will come of it; E_NOT_FOUND: its policy remembers nothing;
// E_BUSY: it rests after a failure, or another run is at it; E_CANCELLED: the worker drains;
// E_PROVIDER, E_POLICY …: it failed, and is to be asked again.
void learn_start(struct run *run);

#endif
