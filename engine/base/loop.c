// SPDX-License-Identifier: MIT
// loop.c: the public verbs, and what both kinds of loop have in common (see loop_int.h).
// Thread: the loop's, except loop_post and loop_stop.
#include "base/loop_int.h"

#include "base/mem.h"

int loop_init(struct loop *l, const struct loop_ops *ops, const struct clock *clock,
              struct err *err)
{
    l->ops = ops;
    l->clock = clock;
    l->heap = mem_alloc(LOOP_TIMERS_MAX * sizeof(struct loop_timer *));
    if (!l->heap)
        return err_set(err, E_NOMEM, "out of memory for the timers of an event loop");
    pthread_mutex_init(&l->lock, NULL);
    return E_OK;
}

void loop_release(struct loop *l)
{
    pthread_mutex_destroy(&l->lock);
    mem_free(l->heap);
}

void loop_free(struct loop *l)
{
    if (!l)
        return;
    // Whoever posted the last task may still be on its way out of the lock.
    pthread_mutex_lock(&l->lock);
    bool idle = !l->first;
    pthread_mutex_unlock(&l->lock);
    if (!idle || l->timers || l->running)
        BUG("loop_free with %u timers active%s%s", l->timers, idle ? "" : ", tasks posted",
            l->running ? ", from inside its run" : "");
    l->ops->free(l);
}

const struct clock *loop_clock(const struct loop *l)
{
    return l->clock;
}

static void wake(struct loop *l)
{
    if (!l->sleeping)
        return;
    l->sleeping = false;
    l->ops->wake(l);
}

void loop_post(struct loop *l, struct loop_task *task)
{
    task->next = NULL;
    pthread_mutex_lock(&l->lock);
    if (l->last)
        l->last->next = task;
    else
        l->first = task;
    l->last = task;
    wake(l);
    pthread_mutex_unlock(&l->lock);
}

void loop_stop(struct loop *l)
{
    pthread_mutex_lock(&l->lock);
    atomic_store_explicit(&l->stop, true, memory_order_relaxed);
    wake(l);
    pthread_mutex_unlock(&l->lock);
}

bool loop_take_stop(struct loop *l)
{
    return loop_stopping(l) && atomic_exchange(&l->stop, false);
}

bool loop_may_sleep(struct loop *l)
{
    pthread_mutex_lock(&l->lock);
    l->sleeping = !l->first && !loop_stopping(l);
    bool may = l->sleeping;
    pthread_mutex_unlock(&l->lock);
    return may;
}

// Timer a goes before timer b.
static bool before(const struct loop_timer *a, const struct loop_timer *b)
{
    return a->due_ns != b->due_ns ? a->due_ns < b->due_ns : a->order < b->order;
}

static void put(struct loop *l, uint32_t at, struct loop_timer *t)
{
    l->heap[at] = t;
    t->heap_at = at + 1;
}

// Puts t at `at` or above, wherever it belongs.
static void sift_up(struct loop *l, uint32_t at, struct loop_timer *t)
{
    while (at > 0 && before(t, l->heap[(at - 1) / 2])) {
        put(l, at, l->heap[(at - 1) / 2]);
        at = (at - 1) / 2;
    }
    put(l, at, t);
}

// Puts t at `at` or below, wherever it belongs.
static void sift_down(struct loop *l, uint32_t at, struct loop_timer *t)
{
    for (uint32_t child; (child = 2 * at + 1) < l->timers; at = child) {
        if (child + 1 < l->timers && before(l->heap[child + 1], l->heap[child]))
            child++;
        if (!before(l->heap[child], t))
            break;
        put(l, at, l->heap[child]);
    }
    put(l, at, t);
}

void loop_timer_start(struct loop *l, struct loop_timer *t, int64_t ms)
{
    int64_t now = clock_mono_ns(l->clock);

    loop_timer_stop(l, t);
    BUG_ON(l->timers == LOOP_TIMERS_MAX);
    if (ms < 0)
        ms = 0;
    t->due_ns = ms > (LOOP_NEVER - now) / MS_NS ? LOOP_NEVER : now + ms * MS_NS;
    t->order = l->next_order++;
    l->lazy_timers += t->lazy;
    sift_up(l, l->timers++, t);
}

void loop_timer_stop(struct loop *l, struct loop_timer *t)
{
    if (!loop_timer_active(t))
        return;
    uint32_t at = t->heap_at - 1;
    BUG_ON(at >= l->timers || l->heap[at] != t);
    struct loop_timer *last = l->heap[--l->timers];

    t->heap_at = 0;
    l->lazy_timers -= t->lazy;
    if (last == t)
        return;
    if (before(last, t))
        sift_up(l, at, last);
    else
        sift_down(l, at, last);
}

bool loop_timer_active(const struct loop_timer *t)
{
    return t->heap_at != 0;
}

int64_t loop_next_due(const struct loop *l)
{
    return l->timers ? l->heap[0]->due_ns : LOOP_NEVER;
}

// Puts the rest of a batch back, before whatever was posted since.
static void give_back(struct loop *l, struct loop_task *first, struct loop_task *last)
{
    pthread_mutex_lock(&l->lock);
    last->next = l->first;
    if (!l->first)
        l->last = last;
    l->first = first;
    pthread_mutex_unlock(&l->lock);
}

static bool run_tasks(struct loop *l)
{
    bool ran = false;

    pthread_mutex_lock(&l->lock);
    struct loop_task *task = l->first, *last = l->last;
    l->first = l->last = NULL;
    l->sleeping = false;
    pthread_mutex_unlock(&l->lock);

    while (task) {
        if (loop_stopping(l)) {
            give_back(l, task, last);
            break;
        }
        struct loop_task *next = task->next; // the task may be gone once it ran
        task->fn(task);
        ran = true;
        task = next;
    }
    return ran;
}

static bool run_timers(struct loop *l)
{
    uint64_t started_later = l->next_order;
    bool ran = false;

    if (l->timers == 0)
        return false;
    int64_t now = clock_mono_ns(l->clock);
    while (l->timers && !loop_stopping(l)) {
        struct loop_timer *t = l->heap[0];

        if (t->due_ns > now || t->order >= started_later)
            break;
        loop_timer_stop(l, t);
        t->fn(t);
        ran = true;
    }
    return ran;
}

bool loop_turn(struct loop *l)
{
    bool ran = run_tasks(l);

    ran |= run_timers(l);
    if (l->after_turn)
        l->after_turn->fn(l->after_turn);
    return ran;
}

void loop_after_turn(struct loop *l, struct loop_task *task)
{
    l->after_turn = task;
}

int loop_watch_start(struct loop *l, struct loop_watch *w, struct err *err)
{
    return l->ops->watch_start(l, w, err);
}

void loop_watch_stop(struct loop *l, struct loop_watch *w)
{
    if (w->polled)
        l->ops->watch_stop(l, w);
}

void loop_run(struct loop *l)
{
    BUG_ON(l->running);
    l->running = true;
    l->ops->run(l);
    l->running = false;
}

bool loop_run_for(struct loop *l, int64_t ms)
{
    if (!l->ops->run_for)
        BUG("loop_run_for on the loop \"%s\": only simulated time can be steered", l->ops->name);
    BUG_ON(l->running);
    l->running = true;
    bool ran = l->ops->run_for(l, ms);
    l->running = false;
    return ran;
}
