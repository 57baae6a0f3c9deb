// SPDX-License-Identifier: MIT
// test_fiber.c: stacks that are left and taken up again, by another thread too; errors that leave
// by longjmp on them.
#include "base/fiber.h"

#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { FIBERS = 9, STEPS = 7, CROSSINGS = 60 };

struct work {
    struct fiber_pool *pool;
    unsigned steps, done;
    unsigned deep;
};

// Something on the stack at every level, which has to be there still.
static unsigned go_deep(struct work *w, unsigned left)
{
    volatile char here[512];

    memset((char *)(uintptr_t)here, (int)left, sizeof(here));
    if (left > 0)
        go_deep(w, left - 1);
    else
        fiber_pause(fiber_running(w->pool));
    for (size_t i = 0; i < sizeof(here); i++)
        assert_int_equal((unsigned char)here[i], left);
    return left;
}

static void work(void *user)
{
    struct work *w = user;

    for (; w->done < w->steps; w->done++)
        go_deep(w, w->deep);
}

static void test_fiber__interleaved(void **state)
{
    struct fiber_pool *pool;
    struct work works[FIBERS];
    struct fiber *fibers[FIBERS];

    (void)state;
    assert_int_equal(fiber_pool_new(&pool, NULL, NULL), E_OK);
    for (int round = 0; round < 3; round++) {
        for (unsigned i = 0; i < FIBERS; i++) {
            works[i] = (struct work){.pool = pool, .steps = STEPS, .deep = 10 * i};
            fibers[i] = fiber_start(pool, work, &works[i]);
            assert_non_null(fibers[i]);
        }
        for (unsigned step = 1; step <= STEPS; step++)
            for (unsigned i = 0; i < FIBERS; i++) {
                assert_int_equal(works[i].done, step - 1);
                assert_int_equal(fiber_resume(pool, fibers[i]), step < STEPS);
            }
    }
    fiber_pool_free(pool);
}

static void test_fiber__over_at_once(void **state)
{
    struct fiber_pool *pool;
    struct work w = {0};

    (void)state;
    assert_int_equal(fiber_pool_new(&pool, NULL, NULL), E_OK);
    w.pool = pool;
    assert_null(fiber_start(pool, work, &w));
    assert_null(fiber_running(pool));  // nobody to put aside
    fiber_pool_free(pool);
    fiber_pool_free(NULL);
}

static void start_another(void *user)
{
    struct work *w = user;

    // It is part of the one that runs, and pauses with it.
    assert_null(fiber_start(w->pool, work, w));
    w->deep = 77;
}

static void test_fiber__nested(void **state)
{
    struct fiber_pool *pool;
    struct work w = {.steps = 2};

    (void)state;
    assert_int_equal(fiber_pool_new(&pool, NULL, NULL), E_OK);
    w.pool = pool;
    struct fiber *f = fiber_start(pool, start_another, &w);
    assert_non_null(f);
    assert_true(fiber_resume(pool, f));
    assert_false(fiber_resume(pool, f));
    assert_int_equal(w.deep, 77);
    fiber_pool_free(pool);
}

struct jump {
    struct fiber_pool *pool;
    jmp_buf back;
    unsigned caught;
};

static void throw_it(struct jump *j)
{
    fiber_pause(fiber_running(j->pool));
    longjmp(j->back, 1);
}

static void jump(void *user)
{
    struct jump *j = user;

    for (volatile int i = 0; i < 3; i++) {
        if (setjmp(j->back) == 0)
            throw_it(j);
        j->caught++;
    }
}

// Who leaves by longjmp stays on its own stack.
static void test_fiber__longjmp(void **state)
{
    struct fiber_pool *pool;
    struct jump jumps[2] = {{0}};
    struct fiber *fibers[2];

    (void)state;
    assert_int_equal(fiber_pool_new(&pool, NULL, NULL), E_OK);
    for (int i = 0; i < 2; i++) {
        jumps[i].pool = pool;
        fibers[i] = fiber_start(pool, jump, &jumps[i]);
    }
    for (int step = 1; step <= 3; step++)
        for (int i = 0; i < 2; i++)
            assert_int_equal(fiber_resume(pool, fibers[i]), step < 3);
    assert_int_equal(jumps[0].caught + jumps[1].caught, 6);
    fiber_pool_free(pool);
}

static bool is_blocked(int signal)
{
    sigset_t now;

    assert_int_equal(pthread_sigmask(SIG_SETMASK, NULL, &now), 0);
    return sigismember(&now, signal);
}

static void block_it(void *user)
{
    struct work *w = user;
    sigset_t only;

    sigemptyset(&only);
    sigaddset(&only, SIGUSR2);
    pthread_sigmask(SIG_BLOCK, &only, NULL);
    fiber_pause(fiber_running(w->pool));
    assert_false(is_blocked(SIGUSR2));
}

// Signals are the thread's: a timer that is set up on one stack ends what runs on another.
static void test_fiber__signal_mask(void **state)
{
    struct fiber_pool *pool;
    struct work w = {0};
    sigset_t only;

    (void)state;
    assert_int_equal(fiber_pool_new(&pool, NULL, NULL), E_OK);
    w.pool = pool;
    struct fiber *f = fiber_start(pool, block_it, &w);
    assert_true(is_blocked(SIGUSR2));
    sigemptyset(&only);
    sigaddset(&only, SIGUSR2);
    pthread_sigmask(SIG_UNBLOCK, &only, NULL);
    assert_false(fiber_resume(pool, f));
    assert_false(is_blocked(SIGUSR2));
    fiber_pool_free(pool);
}

// ---- across threads

// Two threads that hand one fiber to and fro, and what it saw.
struct crossing {
    struct fiber_pool *home, *away;
    struct fiber *fiber;
    pthread_mutex_t lock;
    pthread_cond_t moved;
    bool is_away, over;
    pid_t threads[CROSSINGS];
    unsigned seen, caught;
    jmp_buf back;
};

static unsigned cross_deep(struct crossing *c, struct fiber *f, unsigned left)
{
    volatile char here[512];

    memset((char *)(uintptr_t)here, (int)left, sizeof(here));
    if (left > 0) {
        cross_deep(c, f, left - 1);
    } else {
        fiber_pause(f);
        c->threads[c->seen++] = gettid();
        if (c->seen % 3 == 0)
            longjmp(c->back, 1);
    }
    for (size_t i = 0; i < sizeof(here); i++)
        assert_int_equal((unsigned char)here[i], left);
    return left;
}

static void cross(void *user)
{
    struct crossing *c = user;
    struct fiber *f = fiber_running(c->home);

    assert_ptr_equal(fiber_owner(f), c);
    while (c->seen < CROSSINGS) {
        if (setjmp(c->back) == 0)
            cross_deep(c, f, c->seen);
        else
            c->caught++;
        assert_ptr_equal(fiber_place(f), c->seen % 2 ? c->away : c->home);
    }
}

static void hand_over(struct crossing *c, bool away, bool over)
{
    pthread_mutex_lock(&c->lock);
    c->is_away = away;
    c->over = over;
    pthread_cond_broadcast(&c->moved);
    pthread_mutex_unlock(&c->lock);
}

static bool wait_until(struct crossing *c, bool away)
{
    pthread_mutex_lock(&c->lock);
    while (c->is_away != away && !c->over)
        pthread_cond_wait(&c->moved, &c->lock);
    bool over = c->over;
    pthread_mutex_unlock(&c->lock);
    return !over;
}

static void *go_on_away(void *arg)
{
    struct crossing *c = arg;

    assert_int_equal(fiber_pool_new(&c->away, NULL, NULL), E_OK);
    while (wait_until(c, true)) {
        assert_true(fiber_resume(c->away, c->fiber));
        hand_over(c, false, false);
    }
    fiber_pool_free(c->away);
    return NULL;
}

// On one thread and the other in turn: what is on its stack stays, and it leaves by longjmp on
// either; it ends where it began.
static void test_fiber__across_threads(void **state)
{
    struct crossing c = {.lock = PTHREAD_MUTEX_INITIALIZER, .moved = PTHREAD_COND_INITIALIZER};
    pthread_t thread;
    bool paused = true;

    (void)state;
    assert_int_equal(fiber_pool_new(&c.home, &c, NULL), E_OK);
    c.fiber = fiber_start(c.home, cross, &c);
    assert_non_null(c.fiber);
    assert_int_equal(pthread_create(&thread, NULL, go_on_away, &c), 0);
    while (paused) {
        hand_over(&c, true, false);
        assert_true(wait_until(&c, false));
        paused = fiber_resume(c.home, c.fiber);
    }
    hand_over(&c, false, true);
    pthread_join(thread, NULL);
    assert_int_equal(c.seen, CROSSINGS);
    assert_int_equal(c.caught, CROSSINGS / 3);
    for (unsigned i = 0; i < CROSSINGS; i++)
        assert_int_equal(c.threads[i] == gettid(), i % 2);
    fiber_pool_free(c.home);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fiber__interleaved),
        cmocka_unit_test(test_fiber__over_at_once),
        cmocka_unit_test(test_fiber__nested),
        cmocka_unit_test(test_fiber__longjmp),
        cmocka_unit_test(test_fiber__signal_mask),
        cmocka_unit_test(test_fiber__across_threads),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
