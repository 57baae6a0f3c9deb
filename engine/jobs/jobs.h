// SPDX-License-Identifier: MIT
// jobs.h: what the engine does by itself, beside the turns: jobs that are resumable and idempotent,
// a bounded pass at a time, run by one process over all that have the store.
//
//   timer (jittered), or asked ─▶ lease ─▶ each job: pass after pass ─▶ released
//                                  └ held by a process that lives: not now
//
// The lease is a record of the house; it spares work, and nothing depends on it: every pass guards
// what it writes by versions, so that two at once, or one that is killed anywhere, do no harm.
// A runner and its jobs belong to one loop.
#ifndef JOBS_JOBS_H
#define JOBS_JOBS_H

#include "base/log.h"
#include "base/loop.h"
#include "base/rand.h"
#include "ledger/ledger.h"

enum { RUNNER_JOBS_MAX = 8, RUNNER_EVERY_MS = 5 * 60 * 1000, RUNNER_LEASE_MS = 60 * 1000,
       RUNNER_PASSES_MAX = 10000 /* of one job, when asked */ };

// All is borrowed for the life of what it is given to.
struct jobs_env {
    struct store *store;
    struct vault *vault;
    struct loop *loop;
    const struct clock *clock;
    const struct rand *rand;
    const struct log *log;
    const char *boot_id;     // clock_boot_id
    // Makes what recall remembers of a user and bot agree with their sessions, and calls
    // done(arg, code) once, when that is durable. NULL: nothing remembers.
    void (*forget)(void *user, const char *partition, const char *bot,
                   void (*done)(void *arg, int code), void *arg);
    // Has a session that is over learnt from, by the worker of its user, and calls done(arg, code)
    // once: E_OK: it is, or nothing more will come of it; E_NOT_FOUND: its policy remembers
    // nothing; E_BUSY: it failed lately and rests. Others: it failed, and is asked again by a later
    // pass. NULL: nobody learns.
    void (*learn)(void *user, const char *partition, const char *session,
                  void (*done)(void *arg, int code), void *arg);
    // Has what a bot remembers of a user thought over, if that is due (turn/reflect.h), and calls
    // done(arg, code) once. NULL: nobody reflects.
    void (*reflect)(void *user, const char *partition, const char *bot,
                    void (*done)(void *arg, int code), void *arg);
    // Has what a bot remembers of a user without their word dropped, as far as it has been in
    // quarantine long enough by now_ms, and calls done(arg, code) once. NULL: nobody does.
    void (*drop_quarantined)(void *user, const char *partition, const char *bot, int64_t now_ms,
                             void (*done)(void *arg, int code), void *arg);
    void *user;
    bool believe_clock;      // for negative controls: the clock is the time, whatever it does
};

// One pass of a job, under way. The job's until `over`.
struct job_pass {
    bool trust_clock;        // an operator says that the clock is right
    bool stop;               // set by the runner: end soon
    int code;                // how it ended
    struct err err;
    bool more;               // there is more to do now
    void (*over)(struct job_pass *p);  // the runner's; never called inside `pass`
    void *runner;
};
struct runner_job {
    const char *name;
    void (*pass)(void *self, struct job_pass *p);
    void *self;
};

struct runner;
int runner_new(struct runner **out, const struct jobs_env *env, struct err *err);
void runner_free(struct runner *r);  // NULL allowed; nothing may be under way
// In the order in which they run. BUG over RUNNER_JOBS_MAX.
void runner_add(struct runner *r, const struct runner_job *job);
// Every so often, give or take a fifth; one pass of each job at a time.
void runner_start(struct runner *r, int64_t every_ms);
// At once, pass after pass until there is nothing left to do. `done` is called once, later: E_OK,
// E_REFUSED (another process is at it, says which), E_BUSY (this one is), or what a job ended with.
struct runner_ask {
    bool trust_clock;
    void (*done)(struct runner_ask *a);
    void *user;
    int code;
    struct err err;
    struct loop_task task;   // private
};
void runner_now(struct runner *r, struct runner_ask *a);
// Nothing new begins; what is under way ends soon. `idle` is called once, later.
void runner_stop(struct runner *r, void (*idle)(void *user), void *user);

#endif
