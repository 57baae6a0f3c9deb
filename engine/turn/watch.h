// SPDX-License-Identifier: MIT
// watch.h: who sees a session without having sent anything: a reply that somebody was cut off from
// (attach.c), and all that happens in it (watch.c). On the worker's thread.
#ifndef TURN_WATCH_H
#define TURN_WATCH_H

#include "turn/turn_int.h"

enum { WATCHES_MAX = 1024, WATCH_POLL_MS = 250, WATCH_POLL_MAX_MS = 2000 };

// The run of this worker that has a turn of the session (0: whichever) under way, accepted; or
// NULL.
struct run *run_under_way(struct worker *w, const char *session, uint32_t turn);

void attach_start(struct run *run);
// Who attached goes away; the reply goes on.
void attach_let_go(struct run *run);

void watch_start(struct run *run);
void watch_stop(struct run *run);
void watch_over(struct run *run);  // harmless for who does not watch
// Something of run's turn is told: those who watch its session see it.
void watch_feed(struct run *run, const struct event *event);
// The session goes on on another device.
void watch_moved(struct worker *w, const struct session_head *head);

// replay.c: a stored turn (run->turn, 0: the newest) of the session run->replay_session answers,
// when it is over. What `status` and `stop` of a turn come to, as DONE says.
void replay_stored(struct run *run);
int replay_outcome(const struct turn *turn, bool keyed, const char **message);

#endif
