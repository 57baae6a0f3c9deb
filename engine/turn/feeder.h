// SPDX-License-Identifier: MIT
// feeder.h: what a worker does for the audit trail beside its turns (ledger/trail.h).
//
// One operation at a time, in the background: no turn waits for it, and what fails is told to the
// log and tried again with the next occasion. The worker's thread.
#ifndef TURN_FEEDER_H
#define TURN_FEEDER_H

#include "ledger/trail.h"
#include "turn/turn_int.h"

enum {
    FEED_EVERY_MS = 10 * 1000,       // passes of a worker, and its own beginning, are so far apart,
    FEED_MORE_MS = 1000,             // … or than this, where the last one left some
    FEED_NOTES = 1000,               // of a pass
    FEED_AGAIN_MS = 20,              // where another feeds and a job waits for it …
    FEED_TRIES = 100,                // … so often; then it goes on without
    FEED_POLICIES = 32,              // that wait to be noted; more wait for their next turn
};

int feeder_new(struct feeder **out, struct worker *w, struct err *err);
void feeder_free(struct feeder *f);  // not busy; NULL allowed
// At the start of an engine: a pass if a whole batch of notes is there. So commands of a shell,
// each an engine of its own, share the cost of one.
void feeder_start(struct worker *w);
// Notes were written: a pass begins, now or with the first job that ends after FEED_EVERY_MS.
void feeder_wake(struct worker *w);
void feeder_job_over(struct worker *w);
// Begins a pass, after one that is under way, and calls `then` when it is over: what was a note
// when this was called is then in the trail. What it could not do is in the log.
void feeder_pass(struct worker *w, struct run *run, void (*then)(struct run *run));
// run's policy was loaded: noted once for each version that a worker loads.
void feeder_policy(struct run *run);
// While the worker drains: a pass under way ends after its batch.
bool feeder_busy(struct worker *w);

// Notes that an operator is about to read what run's job asks for, then goes on with `then`; at
// once if nobody else's words are read. What cannot be noted is not read: run ends with the error.
void feeder_note_read(struct run *run, void (*then)(struct run *run));

// trail_job.c: the jobs about the trail. All that is a note by then is in it.
void trail_job_start(struct run *run);

#endif
