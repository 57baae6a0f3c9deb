// SPDX-License-Identifier: MIT
// fiber.h: a function that may be put aside in its middle, wherever it is, and taken up again.
//
// It runs on a stack of its own, on the thread that starts it: fiber_pause leaves that stack as it
// is and goes back to whoever started or resumed the fiber. So a long work makes way for others
// without knowing where it stands: no frame of it has to be written for that, C libraries included.
// What it borrows must stay until it is over.
//
// A pool belongs to one thread, and its fibers with it. Nesting is not possible: a fiber that
// starts another runs it on its own stack, as part of itself.
#ifndef BASE_FIBER_H
#define BASE_FIBER_H

#include "base/err.h"
#include <stdbool.h>

struct fiber_pool;
struct fiber;

// E_NOMEM.
int fiber_pool_new(struct fiber_pool **out, struct err *err);
void fiber_pool_free(struct fiber_pool *p);  // no fiber under way; NULL allowed

// Runs fn(user) until it is over (returns NULL) or pauses (returns the fiber, owned by the pool).
// Without memory for a stack fn runs on the caller's, and cannot be put aside.
struct fiber *fiber_start(struct fiber_pool *p, void (*fn)(void *user), void *user);
// Goes on with a paused fiber; true: it has paused again, false: it is over, and the pool has it.
bool fiber_resume(struct fiber *f);
// Puts the running fiber of the pool aside and returns when it is resumed; false, at once, when
// none is running.
bool fiber_pause(struct fiber_pool *p);

// Paused fibers, first come, first served.
struct fiber_queue {
    struct fiber *first, *last;
};
void fiber_queue_put(struct fiber_queue *q, struct fiber *f);
struct fiber *fiber_queue_take(struct fiber_queue *q);  // NULL: empty

#endif
