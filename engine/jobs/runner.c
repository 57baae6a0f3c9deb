// SPDX-License-Identifier: MIT
// runner.c: when jobs run, and that only one process runs them (jobs.h draws it).
//
//   IDLE ─timer, runner_now─▶ LEASING ─held─▶ ASKING whether its holder lives ─yes─▶ IDLE
//                                │ ◀─────────── by force ──no─┘
//                                ▼
//                             PASSING, job after job; the lease is renewed between passes
//                                ▼
//                             RELEASING ─▶ IDLE
//
// One thread, its loop's.
#include "jobs/jobs.h"

#include "base/mem.h"

#include <stdio.h>

#define LEASE_KEY "lease/jobs"

struct runner {
    struct jobs_env env;
    struct runner_job jobs[RUNNER_JOBS_MAX];
    unsigned jobs_len;
    int64_t every_ms;           // 0: only when it is asked
    struct loop_timer timer;
    struct loop_task task;
    struct store_op op;
    struct job_pass pass;
    struct runner_ask *ask;     // who asked for what is under way; NULL: the timer
    bool busy;
    unsigned job, passes;       // under way
    uint64_t epoch;
    char holder[64];            // who has the lease instead of us
    int code;                   // of the round; the first failure stays
    struct err err;
    bool stopping;
    void (*idle)(void *user);
    void *idle_user;
};

static void lease(struct runner *r, uint64_t epoch, struct slice holder,
                  void (*done)(struct store_op *op))
{
    store_op_release(&r->op);
    r->op = (struct store_op){
        .verb = STORE_LEASE,
        .loop = r->env.loop,
        .done = done,
        .partition = SLICE_LIT(HOUSE_PARTITION),
        .key = SLICE_LIT(LEASE_KEY),
        .holder = holder,
        .ttl_ms = RUNNER_LEASE_MS,
        .epoch = epoch,
    };
    store_submit(r->env.store, &r->op);
}

static struct slice own(const struct runner *r)
{
    return slice_str(store_claim(r->env.store));
}

// ---- the end of a round

static void plan_next(struct runner *r)
{
    int64_t fifth = r->every_ms / 5;
    uint32_t n = 0;

    if (r->every_ms == 0 || r->stopping)
        return;
    rand_fill(r->env.rand, &n, sizeof(n));
    loop_timer_start(r->env.loop, &r->timer,
                     r->every_ms - fifth + (int64_t)(n % (uint64_t)(2 * fifth + 1)));
}

static void round_over(struct runner *r)
{
    struct runner_ask *a = r->ask;

    store_op_release(&r->op);
    r->op = (struct store_op){0};
    r->busy = false;
    r->ask = NULL;
    if (!a && r->code && r->code != E_REFUSED)
        log_line(r->env.log, LOG_WARN, "jobs: %s", r->err.message);
    plan_next(r);
    if (a) {
        a->code = r->code;
        a->err = r->err;
        a->done(a);
    }
    if (r->stopping && !r->busy)
        r->idle(r->idle_user);
}

static void released(struct store_op *op)
{
    round_over(CONTAINER_OF(op, struct runner, op));
}

static void release(struct runner *r)
{
    lease(r, r->epoch, SLICE_NONE, released);
}

static void fail(struct runner *r, int code, const struct err *err)
{
    if (r->code == E_OK) {
        r->code = code;
        r->err = *err;
    }
}

// ---- passes

static void next_pass(struct runner *r)
{
    const struct runner_job *job = &r->jobs[r->job];

    r->pass.code = E_OK;
    r->pass.err = (struct err)ERR_INIT;
    r->pass.more = false;
    r->passes++;
    job->pass(job->self, &r->pass);
}

// A lease that was lost meanwhile stops nothing but what would begin.
static void renewed(struct store_op *op)
{
    struct runner *r = CONTAINER_OF(op, struct runner, op);

    if (op->code) {
        fail(r, op->code, &op->err);
        round_over(r);
        return;
    }
    next_pass(r);
}

static void pass_over(struct job_pass *p)
{
    struct runner *r = p->runner;
    bool again = p->more && p->code == E_OK && r->ask && r->passes < RUNNER_PASSES_MAX;

    if (p->code) {
        err_prefix(&p->err, "%s: ", r->jobs[r->job].name);
        fail(r, p->code, &p->err);
    }
    if (!again) {
        r->job++;
        r->passes = 0;
    }
    if (r->job == r->jobs_len || r->stopping)
        release(r);
    else
        lease(r, r->epoch, own(r), renewed);
}

// ---- the lease

static void leased(struct store_op *op);

static void holder_told(struct store_op *op)
{
    struct runner *r = CONTAINER_OF(op, struct runner, op);

    if (op->code) {
        fail(r, op->code, &op->err);
        round_over(r);
    } else if (op->alive && !slice_is(own(r), r->holder)) {
        struct err err = ERR_INIT;

        fail(r, err_set(&err, E_REFUSED, "another process is at it (%s): let it, or try again in a "
                        "minute", r->holder), &err);
        round_over(r);
    } else {
        lease(r, UINT64_MAX, own(r), leased);  // its holder is dead, or this very process
    }
}

static void leased(struct store_op *op)
{
    struct runner *r = CONTAINER_OF(op, struct runner, op);

    if (op->code == E_REFUSED && op->holder_now[0]) {
        memcpy(r->holder, op->holder_now, sizeof(r->holder));
        store_op_release(op);
        *op = (struct store_op){.verb = STORE_CLAIM_ALIVE, .loop = r->env.loop,
                                .done = holder_told, .key = slice_str(r->holder)};
        store_submit(r->env.store, op);
    } else if (op->code) {
        fail(r, op->code, &op->err);
        round_over(r);
    } else {
        r->epoch = op->epoch;
        next_pass(r);
    }
}

static void begin(struct runner *r, struct runner_ask *a)
{
    r->busy = true;
    r->ask = a;
    r->job = r->passes = 0;
    r->code = E_OK;
    r->err = (struct err)ERR_INIT;
    r->pass = (struct job_pass){.trust_clock = a && a->trust_clock, .over = pass_over, .runner = r};
    lease(r, 0, own(r), leased);
}

// ---- when

static void timer_due(struct loop_timer *timer)
{
    struct runner *r = CONTAINER_OF(timer, struct runner, timer);

    if (r->busy || r->jobs_len == 0)
        plan_next(r);
    else
        begin(r, NULL);
}

static void answer(struct loop_task *task)
{
    struct runner_ask *a = CONTAINER_OF(task, struct runner_ask, task);

    a->done(a);
}

void runner_now(struct runner *r, struct runner_ask *a)
{
    a->code = E_OK;
    a->err = (struct err)ERR_INIT;
    if (r->busy || r->stopping)
        a->code = err_set(&a->err, E_BUSY, r->busy ? "it is under way already: try again later"
                                                   : "the engine is closing");
    if (a->code || r->jobs_len == 0) {
        a->task.fn = answer;
        loop_post(r->env.loop, &a->task);
        return;
    }
    loop_timer_stop(r->env.loop, &r->timer);
    begin(r, a);
}

void runner_start(struct runner *r, int64_t every_ms)
{
    r->every_ms = every_ms;
    if (!r->busy)
        plan_next(r);
}

static void say_idle(struct loop_task *task)
{
    struct runner *r = CONTAINER_OF(task, struct runner, task);

    r->idle(r->idle_user);
}

void runner_stop(struct runner *r, void (*idle)(void *user), void *user)
{
    r->stopping = r->pass.stop = true;
    r->idle = idle;
    r->idle_user = user;
    loop_timer_stop(r->env.loop, &r->timer);
    if (r->busy)
        return;
    r->task.fn = say_idle;
    loop_post(r->env.loop, &r->task);
}

int runner_new(struct runner **out, const struct jobs_env *env, struct err *err)
{
    struct runner *r = mem_zalloc(sizeof(*r));

    *out = r;
    if (!r)
        return err_set(err, E_NOMEM, "out of memory for the engine's jobs");
    r->env = *env;
    r->timer.fn = timer_due;
    return E_OK;
}

void runner_free(struct runner *r)
{
    if (!r)
        return;
    BUG_ON(r->busy);
    mem_free(r);
}

void runner_add(struct runner *r, const struct runner_job *job)
{
    BUG_ON(r->jobs_len == RUNNER_JOBS_MAX);
    r->jobs[r->jobs_len++] = *job;
}
