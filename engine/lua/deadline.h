// SPDX-License-Identifier: MIT
// deadline.h: interrupts the thread that works when its time is up, without a cost until then.
//
// A timer of the kernel sends the thread a signal; the handler calls `fn` on that same thread,
// wherever it is, so fn may do only what a signal handler may (lua_sethook is made for it), and set
// another deadline, when it is not time yet by its own measure. The
// timer is not taken down when work ends in time: it finds nothing to do when it fires, or goes on
// to the deadline that is set by then. So calls in quick succession cost no system call each, and
// an interrupt every DEADLINE_LATE_NS at most (one takes some 20 us in a virtual machine); so late
// work may be told that its time is up, where it follows other work.
// While work goes on past its deadline, fn is called again every DEADLINE_AGAIN_NS.
//
// Owned by one thread, the one that calls deadline_new; the thread that frees it is that one, or
// any once deadline_stop was the last that it called, or it has ended. The signal belongs to the
// process; several deadlines share it.
#ifndef LUA_DEADLINE_H
#define LUA_DEADLINE_H

#include "base/err.h"
#include <stdint.h>

enum { DEADLINE_AGAIN_NS = 5000000, DEADLINE_LATE_NS = 1000000 };

struct deadline;

// E_USAGE when the signal cannot be used, E_NOMEM.
int deadline_new(struct deadline **out, int signal, void (*fn)(void *user), void *user,
                 struct err *err);
void deadline_free(struct deadline *d);  // NULL allowed

// Work begins that has to end at at_ns (the system's monotonic clock), and ends.
void deadline_set(struct deadline *d, int64_t at_ns);
void deadline_clear(struct deadline *d);
// As deadline_clear, and nothing fires from here on until a deadline is set again.
void deadline_stop(struct deadline *d);

#endif
