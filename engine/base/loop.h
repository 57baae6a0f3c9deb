// SPDX-License-Identifier: MIT
// loop.h: the seam for "later": tasks, timers and file descriptors on one thread.
//
// A loop belongs to the thread that runs it. Only loop_post may be called from other threads.
// Two kinds: over epoll (real time), and simulated (one thread, virtual time from a clock_sim: when
// nothing is runnable, time jumps to the next timer, so a day costs nothing and every run is the
// same).
//
// Tasks, timers and watches are structs inside their owner: the loop allocates nothing for them, so
// scheduling cannot fail for lack of memory. A started timer or watch must be stopped before its
// memory goes; a posted task must have run.
#ifndef BASE_LOOP_H
#define BASE_LOOP_H

#include "base/clock.h"
#include "base/err.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// The owner of a task, timer, watch or op, out of a pointer to that member of it.
#define CONTAINER_OF(ptr, type, member) ((type *)(void *)((char *)(ptr) - offsetof(type, member)))

struct loop;

struct loop_task {
    void (*fn)(struct loop_task *task);  // runs once on the loop's thread, in the order of posting
    struct loop_task *next;              // the loop's
};

struct loop_timer {
    void (*fn)(struct loop_timer *timer);
    int64_t due_ns;                      // the loop's; monotonic
    bool lazy;                           // time that is simulated does not pass for it alone; not
                                         // to be changed while it is started
    uint64_t order;                      // the loop's: first started first among equals
    uint32_t heap_at;                    // the loop's: index + 1 in the heap, 0 when stopped
};

enum { LOOP_READ = 1, LOOP_WRITE = 2 };
struct loop_watch {
    void (*fn)(struct loop_watch *watch, unsigned events);
    int fd;
    unsigned events;
    int polled;                          // the loop's: fd + 1 while watched, 0 when stopped
};

// A real loop. `clock` is borrowed.
int loop_new(struct loop **out, const struct clock *clock, struct err *err);
// A simulated one that moves `clock`. Watches are refused (E_USAGE).
int loop_new_sim(struct loop **out, struct clock_sim *clock, struct err *err);
// All timers and watches stopped, all tasks run. NULL allowed.
void loop_free(struct loop *l);
const struct clock *loop_clock(const struct loop *l);

// Any thread. Takes no memory; task must stay until it ran.
void loop_post(struct loop *l, struct loop_task *task);
// From now on task runs at the end of each turn of the loop, when all that was due has run, and
// before the loop sleeps: for what need be done only once for all of it. NULL: nothing does.
// Before the loop runs; task stays until it is freed.
void loop_after_turn(struct loop *l, struct loop_task *task);
// (Re)starts: fn runs once, no earlier than ms from now. At most 65,536 at a time; more is a BUG.
void loop_timer_start(struct loop *l, struct loop_timer *t, int64_t ms);
void loop_timer_stop(struct loop *l, struct loop_timer *t);  // harmless when stopped
bool loop_timer_active(const struct loop_timer *t);
// (Re)starts watching w->fd for w->events; one watch per descriptor, stopped before that is closed.
// E_NOMEM, E_USAGE: then it is stopped.
int loop_watch_start(struct loop *l, struct loop_watch *w, struct err *err);
void loop_watch_stop(struct loop *l, struct loop_watch *w);

// Runs until loop_stop. Simulated: also returns when nothing is left to do but lazy timers.
void loop_run(struct loop *l);
// Simulated only: runs until nothing is runnable without time passing more than ms; returns whether
// anything ran. With 0: only what is due now.
// Time moves from timer to timer: it stands at the last one that ran, not at ms (clock_sim_advance
// goes the rest of the way).
bool loop_run_for(struct loop *l, int64_t ms);
// Any thread; takes effect after the current callback. While no run is on, the next returns at
// once.
void loop_stop(struct loop *l);

#endif
