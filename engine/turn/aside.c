// SPDX-License-Identifier: MIT
// aside.c: a hook that takes long makes way for the other turns of its worker.
//
// What may call hooks runs on a stack of its own (base/fiber.h). The sandbox asks for a pause when
// the hook's slice of time is over; the turn is then put aside, and the loop goes on:
//
//   aside_run ──the hook ends──▶ over
//       │ worker_pause                          ┌──── nobody else works: at once ◀───┐
//       ▼                                       ▼                                    │
//   queue ──one turn of the loop later──▶ look whether others work                go_on
//       ▲                                       │                                    │ ▲
//       │                                       └── somebody does: WAIT_MS later ────┼─┘
//       └──────────────the next slice is over too────────────────────────────────────┘
//
// So the hooks put aside have what time the worker has left; while it is busy, one slice (50 µs)
// each WAIT_MS, all together: 2 or 3 % of it. A turn that comes meanwhile waits a slice at most.
#include "turn/turn_int.h"

enum { WAIT_MS = 3, LOOK_RUNS = 64 };

static void go_on(struct worker *w);

// Whether a turn beside those put aside waits for nothing but this worker and the store. The newest
// runs come first: the oldest, beyond LOOK_RUNS, wait for their provider.
static bool others_at_work(const struct worker *w)
{
    uint32_t at_work = 0, looked = 0;

    for (const struct run *r = w->runs; r && looked < LOOK_RUNS; r = r->next, looked++)
        at_work += r->state != RUN_WAITING && r->state != RUN_CALLING && r->state != RUN_BACKOFF;
    return at_work > w->aside.len;
}

static void look(struct loop_task *task)
{
    struct worker *w = CONTAINER_OF(task, struct worker, aside.task);
    struct loop *l = w->env.loop;

    if (loop_callbacks(l) > w->aside.callbacks + 1 || others_at_work(w))
        loop_timer_start(l, &w->aside.timer, WAIT_MS);
    else
        go_on(w);
}

static void waited(struct loop_timer *timer)
{
    go_on(CONTAINER_OF(timer, struct worker, aside.timer));
}

static void look_later(struct worker *w)
{
    w->aside.callbacks = loop_callbacks(w->env.loop);
    loop_post(w->env.loop, &w->aside.task);
}

static void put_aside(struct worker *w, struct fiber *f)
{
    bool first = !w->aside.queue.first;

    fiber_queue_put(&w->aside.queue, f);
    w->aside.len++;
    if (first)
        look_later(w);
}

// One slice for the one that has waited longest.
static void go_on(struct worker *w)
{
    struct fiber *f = fiber_queue_take(&w->aside.queue);
    bool more = w->aside.queue.first != NULL;

    w->aside.len--;
    if (fiber_resume(f))
        put_aside(w, f);
    if (more)
        look_later(w);
}

bool worker_pause(struct worker *w)
{
    return fiber_pause(w->aside.fibers);
}

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
    w->aside.task.fn = look;
    w->aside.timer.fn = waited;
    return fiber_pool_new(&w->aside.fibers, err);
}

void aside_release(struct worker *w)
{
    BUG_ON(w->aside.queue.first);
    fiber_pool_free(w->aside.fibers);
}
