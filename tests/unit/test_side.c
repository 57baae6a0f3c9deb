// SPDX-License-Identifier: MIT
// test_side.c: fibers that go on beside the loop's thread, and come home.
#include "base/side.h"

#include "base/mem.h"

#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

enum { WORKS = 40, TRIPS = 5, TURNS = 3 };

struct place {
    struct loop *loop;
    struct fiber_pool *pool;
    struct side *side;
    pid_t home;
    unsigned under_way, came_home;
};

static void go_on(struct place *p, struct fiber *f)
{
    if (fiber_resume(p->pool, f))
        side_take(p->side, f);
}

static void came_home(void *user, struct fiber *f)
{
    struct place *p = user;

    p->came_home++;
    go_on(p, f);
    if (p->under_way == 0)
        loop_stop(p->loop);
}

static void open_place(struct place *p)
{
    *p = (struct place){.home = gettid()};
    assert_int_equal(loop_new(&p->loop, clock_system(), NULL), E_OK);
    assert_int_equal(fiber_pool_new(&p->pool, p, NULL), E_OK);
    assert_int_equal(side_new(&p->side, p->loop, "parley-test", came_home, p, NULL), E_OK);
}

static void close_place(struct place *p)
{
    side_free(p->side);
    fiber_pool_free(p->pool);
    loop_free(p->loop);
}

static void start(struct place *p, void (*fn)(void *user), void *user)
{
    p->under_way++;
    struct fiber *f = fiber_start(p->pool, fn, user);
    assert_non_null(f);
    side_take(p->side, f);
}

struct work {
    struct place *place;
    unsigned at_home, aside;        // trips that were where they are to be
};

static bool is_home(const struct work *w)
{
    return gettid() == w->place->home;
}

static void travel(void *user)
{
    struct work *w = user;
    struct place *p = w->place;
    struct fiber *f = fiber_running(p->pool);

    for (unsigned trip = 0; trip < TRIPS; trip++) {
        assert_false(side_has(p->side, f));
        fiber_pause(f);
        w->aside += side_has(p->side, f) && !is_home(w);
        for (unsigned turn = 0; turn < TURNS; turn++)
            side_turn(p->side, f);
        side_leave(p->side, f);
        w->at_home += !side_has(p->side, f) && is_home(w);
    }
    p->under_way--;
}

static void test_side__there_and_back(void **state)
{
    struct place p;
    struct work works[WORKS];

    (void)state;
    open_place(&p);
    for (unsigned i = 0; i < WORKS; i++) {
        works[i] = (struct work){.place = &p};
        start(&p, travel, &works[i]);
    }
    loop_run(p.loop);
    assert_int_equal(p.came_home, WORKS * TRIPS);
    for (unsigned i = 0; i < WORKS; i++) {
        assert_int_equal(works[i].aside, TRIPS);
        assert_int_equal(works[i].at_home, TRIPS);
    }
    close_place(&p);
}

// One that goes on for ever as far as it knows; another ends it.
struct pair {
    struct place *place;
    bool ended;                     // the side thread's
};

static void go_on_until_ended(void *user)
{
    struct pair *pair = user;
    struct place *p = pair->place;
    struct fiber *f = fiber_running(p->pool);

    fiber_pause(f);
    while (!pair->ended)
        side_turn(p->side, f);
    side_leave(p->side, f);
    p->under_way--;
}

static void end_the_other(void *user)
{
    struct pair *pair = user;
    struct place *p = pair->place;
    struct fiber *f = fiber_running(p->pool);

    fiber_pause(f);
    pair->ended = true;
    side_leave(p->side, f);
    p->under_way--;
}

static void test_side__all_have_their_turn(void **state)
{
    struct place p;
    struct pair pair = {&p, false};

    (void)state;
    open_place(&p);
    start(&p, go_on_until_ended, &pair);
    start(&p, end_the_other, &pair);
    loop_run(p.loop);
    assert_int_equal(p.came_home, 2);
    close_place(&p);
}

struct priority {
    struct place *place;
    int nice, policy;
};

static void look_at_priority(void *user)
{
    struct priority *priority = user;
    struct place *p = priority->place;
    struct fiber *f = fiber_running(p->pool);

    fiber_pause(f);
    priority->nice = getpriority(PRIO_PROCESS, 0);
    priority->policy = sched_getscheduler(0);
    side_leave(p->side, f);
    p->under_way--;
}

static void test_side__makes_way(void **state)
{
    struct place p;
    struct priority priority = {.place = &p};
    int own = getpriority(PRIO_PROCESS, 0);

    (void)state;
    open_place(&p);
    start(&p, look_at_priority, &priority);
    loop_run(p.loop);
    assert_true(priority.nice > own || own == 19);
    assert_int_equal(priority.policy, SCHED_BATCH);
    assert_int_equal(getpriority(PRIO_PROCESS, 0), own);  // the loop's thread is as it was
    close_place(&p);
}

static void test_side__not_needed(void **state)
{
    struct place p;

    (void)state;
    open_place(&p);
    close_place(&p);
    side_free(NULL);
}

static void test_side__no_memory(void **state)
{
    struct loop *loop;
    struct side *side = NULL;

    (void)state;
    assert_int_equal(loop_new(&loop, clock_system(), NULL), E_OK);
    for (uint64_t n = 1; n <= 2; n++) {
        mem_fail_at(n, 0);
        assert_int_equal(side_new(&side, loop, "parley-test", came_home, NULL, NULL), E_NOMEM);
        mem_fail_at(0, 0);
    }
    assert_null(side);
    loop_free(loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_side__there_and_back),
        cmocka_unit_test(test_side__all_have_their_turn),
        cmocka_unit_test(test_side__makes_way),
        cmocka_unit_test(test_side__not_needed),
        cmocka_unit_test(test_side__no_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
