// SPDX-License-Identifier: MIT
// fiber.h: a function that may be put aside in its middle, wherever it is, and taken up again.
//
// It runs on a stack of its own: fiber_pause leaves that stack as it is and goes back to whoever
// started or resumed the fiber. So a long work makes way for others without knowing where it
// stands: no frame of it has to be written for that, C libraries included. What it borrows must
// stay until it is over.
//
// A pool belongs to one thread. A fiber begins and ends on the thread of the pool that it comes
// from; in between any thread with a pool may go on with it, one at a time, where each has to see
// what the one before did (a lock between them). What a function keeps of its thread across a pause
// (errno, its id, the address of a thread-local) is then another's. Nesting is not possible: a
// fiber that starts another runs it on its own stack, as part of itself.
#ifndef BASE_FIBER_H
#define BASE_FIBER_H

#include "base/err.h"
#include <stdbool.h>

struct fiber_pool;
struct fiber;

// `owner` is what fiber_owner tells; borrowed. E_NOMEM.
int fiber_pool_new(struct fiber_pool **out, void *owner, struct err *err);
void fiber_pool_free(struct fiber_pool *p);  // no fiber under way; NULL allowed

// Runs fn(user) until it is over (returns NULL) or pauses (returns the fiber, owned by the pool).
// Without memory for a stack fn runs on the caller's, and cannot be put aside.
struct fiber *fiber_start(struct fiber_pool *p, void (*fn)(void *user), void *user);
// Goes on with a paused fiber on the thread of pool `on`; true: it has paused again, false: it is
// over, and the pool it comes from has it.
bool fiber_resume(struct fiber_pool *on, struct fiber *f);
// The fiber that runs on the pool's thread; NULL: none does, what runs cannot be put aside.
struct fiber *fiber_running(const struct fiber_pool *p);
// Puts the running fiber aside, and returns when it is resumed: perhaps on another thread.
void fiber_pause(struct fiber *f);
// From inside it: the pool on whose thread it runs now.
struct fiber_pool *fiber_place(const struct fiber *f);
void *fiber_owner(const struct fiber *f);  // of the pool that it comes from

// Paused fibers, first come, first served.
struct fiber_queue {
    struct fiber *first, *last;
};
void fiber_queue_put(struct fiber_queue *q, struct fiber *f);
struct fiber *fiber_queue_take(struct fiber_queue *q);  // NULL: empty

#endif
