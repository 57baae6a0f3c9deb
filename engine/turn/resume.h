// SPDX-License-Identifier: MIT
// resume.h: who comes back after a while (resume.c draws it). Only turn/ may include this file; one
// worker, one thread.
#ifndef TURN_RESUME_H
#define TURN_RESUME_H

#include "turn/turn_int.h"

// What coming back now means for run's session, which is ours, by its policy, which is chosen.
enum resume_kind resume_due(const struct run *run);
// Not RESUME_RESTORE: run->live becomes a new session, durable; `then` is called, later. `again`:
// somebody was faster, run->target is what the newest session is now.
void resume_start(struct run *run, void (*then)(struct run *run), void (*again)(struct run *run));
void resuming_free(struct run *run);  // harmless without
// Puts what is known of the session before in front of what was recalled. E_NOMEM, E_REFUSED.
int resume_prime(struct run *run, struct err *err);
void resume_job(struct run *run);

#endif
