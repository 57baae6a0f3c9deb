// SPDX-License-Identifier: MIT
// aside.c: a hook that takes long makes way for the other turns of its worker.
//
// What may call hooks runs on a stack of its own (base/fiber.h). The sandbox asks for a pause when
// the hook's first slice of time is over, or before it begins when it is known to take long. From
// there the hook runs on the side thread (base/side.h), and only it: the turn around it comes back.
//
//   aside_run ──▶ worker ──no hook took long──▶ over
//                  │   ▲
//       hook_pause ▼   │ hook_end
//               side thread: slice after slice, in turn with the others there
//
//   hook_wait: worker ──▶ waiting ──a hook came back, or WAIT_MS later──▶ worker
//
// So a turn waits for one slice of another's hook at most. On the side thread a hook touches its
// own state, its view and its plan, which no other turn does. Its run is the worker's all the
// while: it can be stopped, which is looked at when the hook is over, and is under way until then.
#include "turn/turn_int.h"

enum { WAIT_MS = 3, SLICE_US = 1000 };

static void put_aside(struct worker *w, struct fiber *f)
{
    if (!w->aside.waits) {
        side_take(w->aside.side, f);
        return;
    }
    w->aside.waits = false;
    fiber_queue_put(&w->aside.waiting, f);
    if (!loop_timer_active(&w->aside.timer))
        loop_timer_start(w->env.loop, &w->aside.timer, WAIT_MS);
}

static void go_on(struct worker *w, struct fiber *f)
{
    if (fiber_resume(w->aside.fibers, f))
        put_aside(w, f);
}

// The one that has waited longest looks whether it can go on.
static void look(struct worker *w)
{
    struct fiber *f = fiber_queue_take(&w->aside.waiting);

    if (f)
        go_on(w, f);
}

static void waited(struct loop_timer *timer)
{
    struct worker *w = CONTAINER_OF(timer, struct worker, aside.timer);

    look(w);
    if (w->aside.waiting.first)
        loop_timer_start(w->env.loop, timer, WAIT_MS);
}

static void came_home(void *user, struct fiber *f)
{
    go_on(user, f);
    look(user);
}

// ---- a hook; what it is called by here is its fiber

void *worker_hook_begin(struct worker *w)
{
    return w->aside.side ? fiber_running(w->aside.fibers) : NULL;
}

struct way_slice worker_hook_pause(void *hook)
{
    const struct worker *w = fiber_owner(hook);

    if (side_has(w->aside.side, hook))
        side_turn(w->aside.side, hook);
    else
        fiber_pause(hook);
    return (struct way_slice){.ns = SLICE_US * INT64_C(1000), .elsewhere = true};
}

void worker_hook_end(void *hook)
{
    const struct worker *w = fiber_owner(hook);

    if (side_has(w->aside.side, hook))
        side_leave(w->aside.side, hook);
}

bool worker_hook_wait(struct worker *w)
{
    struct fiber *f = worker_hook_begin(w);

    if (!f)
        return false;
    w->aside.waits = true;
    fiber_pause(f);
    return true;
}

// ---- turns

static void enter(void *user)
{
    struct run *run = user;

    run->aside_fn(run);
}

void aside_run(struct run *run, void (*fn)(struct run *run))
{
    struct worker *w = run->w;

    run->aside_fn = fn;
    struct fiber *f = fiber_start(w->aside.fibers, enter, run);
    if (f)
        put_aside(w, f);
}

int aside_init(struct worker *w, struct err *err)
{
    w->aside.timer.fn = waited;
    int code = fiber_pool_new(&w->aside.fibers, w, err);
    if (code == E_OK && w->env.side_thread)
        code = side_new(&w->aside.side, w->env.loop, "parley-hooks", came_home, w, err);
    if (code != E_OK)
        fiber_pool_free(w->aside.fibers);
    return code;
}

void aside_release(struct worker *w)
{
    BUG_ON(w->aside.waiting.first);
    loop_timer_stop(w->env.loop, &w->aside.timer);
    side_free(w->aside.side);
    fiber_pool_free(w->aside.fibers);
}
