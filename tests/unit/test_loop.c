// SPDX-License-Identifier: MIT
// Loops. What both kinds promise is one suite that runs on each; then what only one of them can do.
#include "base/loop.h"
#include "base/mem.h"
#include "base/rand.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

struct fixture {
    struct loop *loop;
    struct clock_sim time;
    struct clock clock; // the real one, which stands still until the loop runs
    bool running;
    int64_t frozen_ns;
    char trace[256]; // what ran, a letter each
    size_t ran;
};

static int64_t frozen_wall_ms(void *self)
{
    (void)self;
    return clock_wall_ms(clock_system());
}

static int64_t frozen_mono_ns(void *self)
{
    const struct fixture *f = self;

    return f->running ? clock_mono_ns(clock_system()) : f->frozen_ns;
}

// While a test starts timers no time passes, however slow the machine is: their order is certain.
static int set_up_real(void **state)
{
    struct fixture *f = mem_zalloc(sizeof(*f));

    *state = f;
    f->clock = (struct clock){.wall_ms = frozen_wall_ms, .mono_ns = frozen_mono_ns, .self = f};
    f->frozen_ns = clock_mono_ns(clock_system());
    return loop_new(&f->loop, &f->clock, NULL);
}

static int set_up_simulated(void **state)
{
    struct fixture *f = mem_zalloc(sizeof(*f));

    *state = f;
    clock_sim_init(&f->time, 1000);
    return loop_new_sim(&f->loop, &f->time, NULL);
}

static void run(struct fixture *f)
{
    f->running = true;
    loop_run(f->loop);
    f->frozen_ns = clock_mono_ns(clock_system());
    f->running = false;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    mem_fail_at(0, 0);
    loop_free(f->loop);
    mem_free(f);
    return 0;
}

// Each step of a test is an item that writes its letter and then does what `then` says.
struct item {
    struct loop_task task; // first: on_task casts
    struct loop_timer timer;
    struct loop_watch watch;
    struct fixture *f;
    char letter;
    void (*then)(struct item *item);
    struct item *other;
    int left;
};

static void ran(struct item *item)
{
    struct fixture *f = item->f;

    assert_true(f->ran < sizeof(f->trace) - 1);
    f->trace[f->ran++] = item->letter;
    if (item->then)
        item->then(item);
}

static void on_task(struct loop_task *task)
{
    ran((struct item *)task);
}

static void on_timer(struct loop_timer *timer)
{
    ran((struct item *)((char *)timer - offsetof(struct item, timer)));
}

static struct item item_of(struct fixture *f, char letter, void (*then)(struct item *item))
{
    return (struct item){
        .task.fn = on_task,
        .timer.fn = on_timer,
        .f = f,
        .letter = letter,
        .then = then,
    };
}

static void then_stop(struct item *item)
{
    loop_stop(item->f->loop);
}

static void then_post_other(struct item *item)
{
    loop_post(item->f->loop, &item->other->task);
}

static void then_stop_other_timer(struct item *item)
{
    loop_timer_stop(item->f->loop, &item->other->timer);
}

static void then_again(struct item *item)
{
    assert_false(loop_timer_active(&item->timer));
    if (--item->left > 0)
        loop_timer_start(item->f->loop, &item->timer, 0);
    else
        loop_stop(item->f->loop);
}

// A timer of 0 ms that starts itself for ever, until something stops the loop.
static void then_for_ever(struct item *item)
{
    loop_timer_start(item->f->loop, &item->timer, 0);
}

static void test_loop__tasks_run_once_in_order_of_posting(void **state)
{
    struct fixture *f = *state;
    struct item b = item_of(f, 'b', NULL), end = item_of(f, '.', then_stop);
    struct item a = item_of(f, 'a', then_post_other), c = item_of(f, 'c', then_post_other);

    a.other = &end; // comes after c, which was posted before a ran
    c.other = &b;
    loop_post(f->loop, &a.task);
    loop_post(f->loop, &c.task);
    run(f);
    assert_string_equal(f->trace, "ac.");
    // What was posted but not run when the loop stopped is still there.
    loop_post(f->loop, &end.task);
    run(f);
    assert_string_equal(f->trace, "ac.b.");
}

static void test_loop__timers_run_in_order_of_due_then_start(void **state)
{
    struct fixture *f = *state;
    struct item a = item_of(f, 'a', NULL), b = item_of(f, 'b', NULL), c = item_of(f, 'c', NULL);
    struct item d = item_of(f, 'd', NULL), end = item_of(f, '.', then_stop);
    int64_t start = clock_mono_ns(loop_clock(f->loop));

    loop_timer_start(f->loop, &end.timer, 9);
    loop_timer_start(f->loop, &b.timer, 0);
    loop_timer_start(f->loop, &c.timer, -5);
    loop_timer_start(f->loop, &d.timer, 5);
    loop_timer_start(f->loop, &a.timer, 2);
    assert_true(loop_timer_active(&a.timer));
    run(f);
    assert_string_equal(f->trace, "bcad.");
    assert_false(loop_timer_active(&a.timer));
    assert_true(clock_mono_ns(loop_clock(f->loop)) - start >= 9000000);
}

static void test_loop__restart_moves_and_stop_removes(void **state)
{
    struct fixture *f = *state;
    struct item a = item_of(f, 'a', NULL), b = item_of(f, 'b', NULL), c = item_of(f, 'c', NULL);
    struct item end = item_of(f, '.', then_stop);

    loop_timer_start(f->loop, &a.timer, 1);
    loop_timer_start(f->loop, &b.timer, 3);
    loop_timer_start(f->loop, &c.timer, 2);
    loop_timer_start(f->loop, &end.timer, 8);
    loop_timer_start(f->loop, &a.timer, 6); // later than it was
    loop_timer_start(f->loop, &b.timer, 0); // earlier than it was
    loop_timer_stop(f->loop, &c.timer);
    loop_timer_stop(f->loop, &c.timer);
    assert_false(loop_timer_active(&c.timer));
    run(f);
    assert_string_equal(f->trace, "ba.");
}

static void test_loop__callbacks_may_stop_and_restart_timers(void **state)
{
    struct fixture *f = *state;
    struct item a = item_of(f, 'a', then_again), b = item_of(f, 'b', then_stop_other_timer);
    struct item c = item_of(f, 'c', NULL);

    a.left = 3;
    b.other = &c; // due in the same turn
    loop_timer_start(f->loop, &b.timer, 0);
    loop_timer_start(f->loop, &c.timer, 0);
    loop_timer_start(f->loop, &a.timer, 0);
    run(f);
    assert_string_equal(f->trace, "baaa");
}

// A timer that always starts itself again for at once lets tasks and other timers through.
static void test_loop__no_timer_starves_the_rest(void **state)
{
    struct fixture *f = *state;
    struct item busy = item_of(f, 't', then_for_ever), a = item_of(f, 'a', then_post_other);
    struct item end = item_of(f, '.', then_stop);

    a.other = &end;
    loop_timer_start(f->loop, &busy.timer, 0);
    loop_post(f->loop, &a.task);
    run(f);
    assert_string_equal(f->trace, "at.");
    loop_timer_stop(f->loop, &busy.timer);
}

static void test_loop__what_is_after_a_turn_runs_once_for_all_of_it(void **state)
{
    struct fixture *f = *state;
    struct item after = item_of(f, '|', NULL), end = item_of(f, '.', then_stop);
    struct item a = item_of(f, 'a', then_post_other), b = item_of(f, 'b', NULL);
    struct item c = item_of(f, 'c', NULL);

    a.other = &end;
    loop_after_turn(f->loop, &after.task);
    loop_post(f->loop, &a.task);
    loop_post(f->loop, &b.task);
    loop_timer_start(f->loop, &c.timer, 0);
    run(f);
    assert_string_equal(f->trace, "abc|.|");
}

static void test_loop__stop_takes_effect_after_the_callback(void **state)
{
    struct fixture *f = *state;
    struct item a = item_of(f, 'a', then_stop), b = item_of(f, 'b', then_stop);
    struct item c = item_of(f, 'c', then_stop), d = item_of(f, 'd', NULL);

    loop_post(f->loop, &a.task);
    loop_post(f->loop, &b.task);
    loop_timer_start(f->loop, &c.timer, 0);
    loop_timer_start(f->loop, &d.timer, 0);
    run(f);
    assert_string_equal(f->trace, "a");
    run(f);
    assert_string_equal(f->trace, "ab");
    run(f);
    assert_string_equal(f->trace, "abc");
    // A request from before the run counts: none is ever lost.
    loop_stop(f->loop);
    run(f);
    assert_string_equal(f->trace, "abc");
    loop_timer_stop(f->loop, &d.timer);
}

static void test_loop__never_is_a_time_too(void **state)
{
    struct fixture *f = *state;
    struct item a = item_of(f, 'a', NULL), end = item_of(f, '.', then_stop);

    loop_timer_start(f->loop, &a.timer, INT64_MAX);
    loop_timer_start(f->loop, &end.timer, 1);
    run(f);
    assert_string_equal(f->trace, ".");
    assert_true(loop_timer_active(&a.timer));
    loop_timer_stop(f->loop, &a.timer);
}

// Many timers, started, moved and stopped at random, run in their order.
struct crowd {
    struct loop_timer timer;
    struct crowd_log *log;
    int64_t due;
    uint64_t order;
};
struct crowd_log {
    int64_t last_due;
    uint64_t last_order;
    size_t ran;
};

static void on_crowd(struct loop_timer *timer)
{
    struct crowd *c = (struct crowd *)timer;

    assert_true(c->due > c->log->last_due ||
                (c->due == c->log->last_due && c->order > c->log->last_order));
    c->log->last_due = c->due;
    c->log->last_order = c->order;
    c->log->ran++;
}

static void test_loop__a_crowd_of_timers_keeps_its_order(void **state)
{
    enum { CROWD = 2000, STEPS = 10000 };
    struct fixture *f = *state;
    struct crowd *crowd = mem_calloc(CROWD, sizeof(*crowd));
    struct crowd_log log = {.last_due = -1};
    struct item end = item_of(f, '.', then_stop);
    struct rand_sim r;
    size_t active = 0;

    rand_sim_init(&r, 5);
    for (uint64_t step = 1; step <= STEPS; step++) {
        struct crowd *c = &crowd[rand_below(&r.rand, CROWD)];

        active -= loop_timer_active(&c->timer);
        if (rand_below(&r.rand, 4) == 0) {
            loop_timer_stop(f->loop, &c->timer);
            continue;
        }
        c->timer.fn = on_crowd;
        c->log = &log;
        loop_timer_start(f->loop, &c->timer, (int64_t)rand_below(&r.rand, 30));
        c->due = c->timer.due_ns;
        c->order = step;
        active++;
    }
    loop_timer_start(f->loop, &end.timer, 40);
    run(f);
    assert_int_equal(log.ran, active);
    mem_free(crowd);
}

// Real only, from here on.

enum { POSTS = 2000 };
struct poster {
    struct loop *loop;
    struct posted {
        struct loop_task task;
        struct poster *by;
        int number;
    } posted[POSTS];
    int next;
};

static void on_posted(struct loop_task *task)
{
    struct posted *p = (struct posted *)task;

    assert_int_equal(p->number, p->by->next++);
    if (p->number == POSTS - 1)
        loop_stop(p->by->loop);
}

static void *post_all(void *arg)
{
    struct poster *p = arg;

    for (int i = 0; i < POSTS; i++) {
        p->posted[i] = (struct posted){.task.fn = on_posted, .by = p, .number = i};
        loop_post(p->loop, &p->posted[i].task);
    }
    return NULL;
}

static void test_loop__other_threads_post_while_it_sleeps(void **state)
{
    enum { THREADS = 3 };
    struct fixture *f = *state;
    struct poster *posters = mem_calloc(THREADS, sizeof(*posters));
    pthread_t threads[THREADS];

    for (int i = 0; i < THREADS; i++) {
        posters[i].loop = f->loop;
        assert_int_equal(pthread_create(&threads[i], NULL, post_all, &posters[i]), 0);
    }
    // Each one's last task stops the loop; two stops may fall together, so count what came.
    while (posters[0].next + posters[1].next + posters[2].next < THREADS * POSTS)
        run(f);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    mem_free(posters);
}

static void *stop_it(void *arg)
{
    loop_stop(arg);
    return NULL;
}

static void test_loop__other_threads_stop_it(void **state)
{
    struct fixture *f = *state;
    pthread_t thread;

    assert_int_equal(pthread_create(&thread, NULL, stop_it, f->loop), 0);
    run(f); // returns only because of it
    pthread_join(thread, NULL);
}

static void on_readable(struct loop_watch *w, unsigned events)
{
    struct item *item = (struct item *)((char *)w - offsetof(struct item, watch));
    char byte;

    assert_int_equal(events, LOOP_READ);
    if (read(w->fd, &byte, 1) == 1)
        item->letter = byte;
    else
        item->letter = '$';
    ran(item);
    if (item->letter == '$' || item->letter == '.') {
        loop_watch_stop(item->f->loop, w);
        loop_stop(item->f->loop);
    }
}

static void test_loop__watches_a_pipe(void **state)
{
    struct fixture *f = *state;
    struct item a = item_of(f, 0, NULL);
    int ends[2];

    assert_int_equal(pipe(ends), 0);
    a.watch = (struct loop_watch){.fn = on_readable, .fd = ends[0], .events = LOOP_READ};
    assert_int_equal(loop_watch_start(f->loop, &a.watch, NULL), E_OK);
    assert_int_equal(write(ends[1], "ab.c", 4), 4);
    run(f);
    assert_string_equal(f->trace, "ab."); // level-triggered: one byte a call
    loop_watch_stop(f->loop, &a.watch);
    close(ends[1]);
    assert_int_equal(loop_watch_start(f->loop, &a.watch, NULL), E_OK);
    assert_int_equal(loop_watch_start(f->loop, &a.watch, NULL), E_OK);
    run(f);
    assert_string_equal(f->trace, "ab.c$"); // what was left, then the end
    close(ends[0]);
}

static void on_writable(struct loop_watch *w, unsigned events)
{
    struct item *item = (struct item *)((char *)w - offsetof(struct item, watch));

    assert_true(events & LOOP_WRITE);
    ran(item);
    loop_watch_stop(item->f->loop, w);
    loop_stop(item->f->loop);
}

static void test_loop__restart_changes_events_and_descriptor(void **state)
{
    struct fixture *f = *state;
    struct item a = item_of(f, 'w', NULL);
    int one[2], two[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, one), 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, two), 0);
    a.watch = (struct loop_watch){.fn = on_writable, .fd = one[0], .events = LOOP_READ};
    assert_int_equal(loop_watch_start(f->loop, &a.watch, NULL), E_OK);
    a.watch.events = LOOP_READ | LOOP_WRITE;
    assert_int_equal(loop_watch_start(f->loop, &a.watch, NULL), E_OK);
    run(f);
    assert_string_equal(f->trace, "w");

    a.watch.events = LOOP_READ;
    assert_int_equal(loop_watch_start(f->loop, &a.watch, NULL), E_OK);
    a.watch.fd = two[0];
    a.watch.events = LOOP_WRITE;
    assert_int_equal(loop_watch_start(f->loop, &a.watch, NULL), E_OK);
    run(f);
    assert_string_equal(f->trace, "ww");
    for (int i = 0; i < 2; i++) {
        close(one[i]);
        close(two[i]);
    }
}

// The reader is gone: the writer is woken to find out.
static void test_loop__a_broken_pipe_wakes_the_writer(void **state)
{
    struct fixture *f = *state;
    struct item a = item_of(f, 'w', NULL);
    int ends[2];

    assert_int_equal(pipe(ends), 0);
    close(ends[0]);
    a.watch = (struct loop_watch){.fn = on_writable, .fd = ends[1], .events = LOOP_WRITE};
    assert_int_equal(loop_watch_start(f->loop, &a.watch, NULL), E_OK);
    run(f);
    assert_string_equal(f->trace, "w");
    close(ends[1]);
}

static void test_loop__refuses_what_cannot_be_watched(void **state)
{
    struct fixture *f = *state;
    struct loop_watch w = {.fn = on_readable, .fd = -1, .events = LOOP_READ};
    struct err err = ERR_INIT;
    int ends[2];

    assert_int_equal(loop_watch_start(f->loop, &w, &err), E_USAGE);
    assert_non_null(strstr(err.message, "-1"));
    assert_int_equal(pipe(ends), 0);
    w.fd = ends[0];
    w.events = 0;
    assert_int_equal(loop_watch_start(f->loop, &w, &err), E_USAGE);
    w.events = 8;
    assert_int_equal(loop_watch_start(f->loop, &w, &err), E_USAGE);
    w.events = LOOP_READ;
    mem_fail_at(1, 0); // nothing to fail: a watch takes no memory
    assert_int_equal(loop_watch_start(f->loop, &w, &err), E_OK);
    mem_fail_at(0, 0);
    struct loop_watch second = w;
    second.polled = 0;
    assert_int_equal(loop_watch_start(f->loop, &second, &err), E_USAGE);
    close(ends[0]); // behind its back
    assert_int_equal(loop_watch_start(f->loop, &w, &err), E_USAGE);
    assert_false(w.polled);
    close(ends[1]);
    FILE *file = tmpfile();
    w.fd = fileno(file);
    assert_int_equal(loop_watch_start(f->loop, &w, &err), E_USAGE);
    fclose(file);
    loop_watch_stop(f->loop, &w);
}

// More descriptors are ready than are told at once. Each callback takes its own watch and its
// neighbour's away: what was stopped is told no more, though it was ready when the loop woke.
static void on_one_of_two(struct loop_watch *w, unsigned events)
{
    struct item *item = CONTAINER_OF(w, struct item, watch);

    assert_int_equal(events, LOOP_READ);
    ran(item);
    loop_watch_stop(item->f->loop, w);
    assert_true(item->other->watch.polled);
    loop_watch_stop(item->f->loop, &item->other->watch);
    if (item->f->ran == (size_t)item->left)
        loop_stop(item->f->loop);
}

static void test_loop__a_stopped_watch_is_told_no_more(void **state)
{
    enum { ITEMS = 200 };
    struct fixture *f = *state;
    struct item *items = mem_calloc(ITEMS, sizeof(*items));
    int ends[ITEMS][2];

    for (int i = 0; i < ITEMS; i++) {
        items[i] = item_of(f, 'r', NULL);
        items[i].other = &items[i ^ 1];
        items[i].left = ITEMS / 2;
        assert_int_equal(pipe(ends[i]), 0);
        close(ends[i][1]); // at its end, which is to be read
        items[i].watch =
            (struct loop_watch){.fn = on_one_of_two, .fd = ends[i][0], .events = LOOP_READ};
        assert_int_equal(loop_watch_start(f->loop, &items[i].watch, NULL), E_OK);
    }
    run(f);
    assert_int_equal(f->ran, ITEMS / 2);
    for (int i = 0; i < ITEMS; i++)
        close(ends[i][0]);
    mem_free(items);
}

static void test_loop__new_survives_each_failed_allocation(void **state)
{
    struct clock_sim time;
    struct loop *l;

    (void)state;
    clock_sim_init(&time, 0);
    for (uint64_t n = 1; n <= 2; n++) {
        mem_fail_at(n, 0);
        assert_int_equal(loop_new(&l, clock_system(), NULL), E_NOMEM);
        assert_null(l);
        mem_fail_at(n, 0);
        assert_int_equal(loop_new_sim(&l, &time, NULL), E_NOMEM);
        assert_null(l);
    }
    loop_free(NULL);
}

// Simulated only, from here on.

static void then_in_an_hour(struct item *item)
{
    if (--item->left > 0)
        loop_timer_start(item->f->loop, &item->timer, 3600000);
}

static void test_loop__a_simulated_day_costs_nothing(void **state)
{
    struct fixture *f = *state;
    struct item hourly = item_of(f, 'h', then_in_an_hour);

    hourly.left = 24;
    loop_timer_start(f->loop, &hourly.timer, 3600000);
    run(f); // returns when nothing is left
    assert_int_equal(f->ran, 24);
    assert_int_equal(f->time.mono_now_ns, 86400000000000);
    assert_int_equal(f->time.wall_now_ms, 1000 + 86400000);
}

static void test_loop__run_for_passes_no_more_time_than_told(void **state)
{
    struct fixture *f = *state;
    struct item now = item_of(f, 'n', NULL), a = item_of(f, 'a', NULL), b = item_of(f, 'b', NULL);

    loop_timer_start(f->loop, &a.timer, 10);
    loop_timer_start(f->loop, &b.timer, 11);
    loop_timer_start(f->loop, &now.timer, 0);
    assert_true(loop_run_for(f->loop, 0));
    assert_string_equal(f->trace, "n");
    assert_false(loop_run_for(f->loop, 9));
    assert_int_equal(f->time.mono_now_ns, 0);
    assert_true(loop_run_for(f->loop, 10));
    assert_string_equal(f->trace, "na");
    assert_int_equal(f->time.mono_now_ns, 10000000);
    assert_true(loop_run_for(f->loop, INT64_MAX));
    assert_string_equal(f->trace, "nab");
    assert_false(loop_run_for(f->loop, INT64_MAX));
}

// Time moved from outside makes timers late, never early, and never runs back.
static void test_loop__time_may_be_moved_from_outside(void **state)
{
    struct fixture *f = *state;
    struct item a = item_of(f, 'a', NULL), b = item_of(f, 'b', NULL);

    loop_timer_start(f->loop, &a.timer, 10);
    loop_timer_start(f->loop, &b.timer, 30);
    clock_sim_advance(&f->time, 20);
    assert_true(loop_run_for(f->loop, 0));
    assert_string_equal(f->trace, "a");
    assert_int_equal(f->time.mono_now_ns, 20000000);
    run(f);
    assert_int_equal(f->time.mono_now_ns, 30000000);
}

static void test_loop__simulated_refuses_watches(void **state)
{
    struct fixture *f = *state;
    struct loop_watch w = {.fn = on_readable, .fd = 0, .events = LOOP_READ};
    struct err err = ERR_INIT;

    assert_int_equal(loop_watch_start(f->loop, &w, &err), E_USAGE);
    assert_true(strlen(err.message) > 0);
    loop_watch_stop(f->loop, &w);
}

#define REAL(test)                                                                                 \
    {                                                                                              \
        "test_loop__" #test " (real)", test_loop__##test, set_up_real, tear_down, NULL             \
    }
#define SIMULATED(test)                                                                            \
    {                                                                                              \
        "test_loop__" #test " (simulated)", test_loop__##test, set_up_simulated, tear_down, NULL   \
    }
#define BOTH(test) REAL(test), SIMULATED(test)

int main(void)
{
    const struct CMUnitTest tests[] = {
        BOTH(tasks_run_once_in_order_of_posting),
        BOTH(timers_run_in_order_of_due_then_start),
        BOTH(restart_moves_and_stop_removes),
        BOTH(callbacks_may_stop_and_restart_timers),
        BOTH(no_timer_starves_the_rest),
        BOTH(what_is_after_a_turn_runs_once_for_all_of_it),
        BOTH(stop_takes_effect_after_the_callback),
        BOTH(never_is_a_time_too),
        BOTH(a_crowd_of_timers_keeps_its_order),
        REAL(other_threads_post_while_it_sleeps),
        REAL(other_threads_stop_it),
        REAL(watches_a_pipe),
        REAL(restart_changes_events_and_descriptor),
        REAL(a_broken_pipe_wakes_the_writer),
        REAL(refuses_what_cannot_be_watched),
        REAL(a_stopped_watch_is_told_no_more),
        REAL(new_survives_each_failed_allocation),
        SIMULATED(a_simulated_day_costs_nothing),
        SIMULATED(run_for_passes_no_more_time_than_told),
        SIMULATED(time_may_be_moved_from_outside),
        SIMULATED(simulated_refuses_watches),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
