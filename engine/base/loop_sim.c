// SPDX-License-Identifier: MIT
// loop_sim.c: the simulated loop. Time stands still while anything can run, and then jumps to the
// next timer: a day costs nothing, and every run is the same.
//
// Invariant: time moves only here, only forward, and never past a timer that has not run.
// One thread (posting from others works, but then the order is theirs to answer for).
#include "base/loop_int.h"

#include "base/mem.h"

struct loop_sim {
    struct loop base;
    struct clock_sim *time; // borrowed
};

static bool run_until(struct loop *l, int64_t last_ns)
{
    struct loop_sim *sim = (struct loop_sim *)l;
    bool ran = false;

    while (!loop_take_stop(l)) {
        if (loop_turn(l)) {
            ran = true;
            continue;
        }
        int64_t due = loop_next_due(l);
        bool idle = last_ns == LOOP_NEVER && l->timers == l->lazy_timers;
        if (due > last_ns || due == LOOP_NEVER || idle)
            break;
        clock_sim_advance(sim->time, loop_ms_between(clock_mono_ns(l->clock), due));
    }
    return ran;
}

static void sim_run(struct loop *l)
{
    run_until(l, LOOP_NEVER);
}

static bool sim_run_for(struct loop *l, int64_t ms)
{
    int64_t now = clock_mono_ns(l->clock);

    BUG_ON(ms < 0);
    return run_until(l, ms > (LOOP_NEVER - now) / MS_NS ? LOOP_NEVER : now + ms * MS_NS);
}

static int sim_watch_start(struct loop *l, struct loop_watch *w, struct err *err)
{
    (void)l;
    (void)w;
    return err_set(err, E_USAGE,
                   "a simulated loop cannot watch file descriptors: use a real loop, "
                   "or a simulated source of data that posts tasks");
}

static void sim_watch_stop(struct loop *l, struct loop_watch *w)
{
    (void)l;
    (void)w;
    BUG("a simulated loop has no watch to stop");
}

static void sim_free(struct loop *l)
{
    loop_release(l);
    mem_free(l);
}

static const struct loop_ops sim_ops = {
    .name = "simulated",
    .watch_start = sim_watch_start,
    .watch_stop = sim_watch_stop,
    .run = sim_run,
    .run_for = sim_run_for,
    .free = sim_free,
};

int loop_new_sim(struct loop **out, struct clock_sim *clock, struct err *err)
{
    struct loop_sim *sim = mem_zalloc(sizeof(*sim));

    *out = NULL;
    if (!sim)
        return err_set(err, E_NOMEM, "out of memory for a simulated event loop");
    int rc = loop_init(&sim->base, &sim_ops, &clock->clock, err);
    if (rc != E_OK) {
        mem_free(sim);
        return rc;
    }
    sim->time = clock;
    *out = &sim->base;
    return E_OK;
}
