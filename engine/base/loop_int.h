// SPDX-License-Identifier: MIT
// loop_int.h: what the two kinds of loop share: the tasks, the heap of timers, and the turn.
//
// A turn is the same for both kinds, and so is its order:
//   1. the tasks that were posted before the turn began, in the order of posting;
//   2. the timers that were due when that was done, in the order of (due, started). One that is
//      started by a callback of this turn waits for the next turn, even with 0 ms.
//   3. the task of loop_after_turn, also where the turn was stopped in between.
// Between turns the real loop polls its file descriptors and the simulated one moves its clock.
//
// Invariants
// 1. `first`, `last` and `sleeping` change only under `lock`; `stop` is set only under it. A poster
//    holds the lock until it is through with the loop, so a task may lead to loop_free.
// 2. `sleeping` is true only from loop_may_sleep (nothing to do, about to block) to the next turn
//    or wake, so posting to a loop that is awake costs no system call.
// 3. heap[0..timers) is a binary heap; heap[i]->heap_at == i + 1. Its room is there from the start.
#ifndef BASE_LOOP_INT_H
#define BASE_LOOP_INT_H

#include "base/loop.h"

#include <pthread.h>
#include <stdatomic.h>

enum { LOOP_TIMERS_MAX = 65536 };
#define LOOP_NEVER INT64_MAX
#define MS_NS ((int64_t)1000000)

struct loop_ops {
    const char *name;
    // Any thread, under the lock: ends the sleep. NULL where a loop never sleeps.
    void (*wake)(struct loop *l);
    int (*watch_start)(struct loop *l, struct loop_watch *w, struct err *err);
    void (*watch_stop)(struct loop *l, struct loop_watch *w); // only with w->polled set
    void (*run)(struct loop *l);
    bool (*run_for)(struct loop *l, int64_t ms); // NULL where time passes by itself
    void (*free)(struct loop *l);                // never called with NULL
};

struct loop {
    const struct loop_ops *ops;
    const struct clock *clock; // borrowed
    pthread_mutex_t lock;
    struct loop_task *first, *last;
    struct loop_task *after_turn; // borrowed; or NULL
    bool sleeping;
    atomic_bool stop;
    bool running;
    struct loop_timer **heap; // owned; LOOP_TIMERS_MAX places
    uint32_t timers, lazy_timers;
    uint64_t next_order;
};

// Fills the shared part. E_NOMEM.
int loop_init(struct loop *l, const struct loop_ops *ops, const struct clock *clock,
              struct err *err);
void loop_release(struct loop *l);

// One turn; whether any callback ran. Ends early when the loop is stopped.
bool loop_turn(struct loop *l);
// Whether to leave the run; takes the request to stop away.
bool loop_take_stop(struct loop *l);
// True when there is neither a task nor a request to stop: whoever brings one will wake the loop.
bool loop_may_sleep(struct loop *l);
// When the earliest timer is due, LOOP_NEVER without one.
int64_t loop_next_due(const struct loop *l);

static inline bool loop_stopping(struct loop *l)
{
    return atomic_load_explicit(&l->stop, memory_order_relaxed);
}

// Whole milliseconds that reach from `from` to `to` at least; 0 when `to` is past.
static inline int64_t loop_ms_between(int64_t from, int64_t to)
{
    int64_t ns = to > from ? to - from : 0;

    return ns / MS_NS + (ns % MS_NS != 0);
}

#endif
