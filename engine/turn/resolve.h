// SPDX-License-Identifier: MIT
// resolve.h: whom and what a job is about: its user, session, bot and context. Each calls `then`,
// now or later; or the run ends with an error. One at a time for a run. The worker's thread.
#ifndef TURN_RESOLVE_H
#define TURN_RESOLVE_H

#include "turn/turn_int.h"

// partition, context_hash and user_key (NULL if the user is new and create is false).
void resolve_user(struct run *run, bool create, void (*then)(struct run *run));
// run->target: the session that the job means, pinned. NULL if it names none, has JOB_CONTINUE and
// there is none yet, and make is false.
void resolve_session(struct run *run, bool make, void (*then)(struct run *run));
// run->live: a view of a stored session of its own, not shared with others. By run->find.id, or
// newest.
void resolve_view(struct run *run, const char *id, void (*then)(struct run *run));
// A session belongs to one bot and context: what the job left out comes from there, what it says
// must agree. E_USAGE if it does not.
int resolve_agree(struct run *run, const struct session_head *head, struct err *err);
// The same of the session that the job names, if it names one and somebody knows the user.
void resolve_scope(struct run *run, void (*then)(struct run *run));

#endif
