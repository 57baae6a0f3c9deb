// SPDX-License-Identifier: MIT
// test_fiber.c: stacks that are left and taken up again; errors that leave by longjmp on them.
#include "base/fiber.h"

#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { FIBERS = 9, STEPS = 7 };

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
        fiber_pause(w->pool);
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
    assert_int_equal(fiber_pool_new(&pool, NULL), E_OK);
    for (int round = 0; round < 3; round++) {
        for (unsigned i = 0; i < FIBERS; i++) {
            works[i] = (struct work){.pool = pool, .steps = STEPS, .deep = 10 * i};
            fibers[i] = fiber_start(pool, work, &works[i]);
            assert_non_null(fibers[i]);
        }
        for (unsigned step = 1; step <= STEPS; step++)
            for (unsigned i = 0; i < FIBERS; i++) {
                assert_int_equal(works[i].done, step - 1);
                assert_int_equal(fiber_resume(fibers[i]), step < STEPS);
            }
    }
    fiber_pool_free(pool);
}

static void test_fiber__over_at_once(void **state)
{
    struct fiber_pool *pool;
    struct work w = {0};

    (void)state;
    assert_int_equal(fiber_pool_new(&pool, NULL), E_OK);
    w.pool = pool;
    assert_null(fiber_start(pool, work, &w));
    assert_false(fiber_pause(pool));  // nobody to put aside
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
    assert_int_equal(fiber_pool_new(&pool, NULL), E_OK);
    w.pool = pool;
    struct fiber *f = fiber_start(pool, start_another, &w);
    assert_non_null(f);
    assert_true(fiber_resume(f));
    assert_false(fiber_resume(f));
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
    fiber_pause(j->pool);
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
    assert_int_equal(fiber_pool_new(&pool, NULL), E_OK);
    for (int i = 0; i < 2; i++) {
        jumps[i].pool = pool;
        fibers[i] = fiber_start(pool, jump, &jumps[i]);
    }
    for (int step = 1; step <= 3; step++)
        for (int i = 0; i < 2; i++)
            assert_int_equal(fiber_resume(fibers[i]), step < 3);
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
    fiber_pause(w->pool);
    assert_false(is_blocked(SIGUSR2));
}

// Signals are the thread's: a timer that is set up on one stack ends what runs on another.
static void test_fiber__signal_mask(void **state)
{
    struct fiber_pool *pool;
    struct work w = {0};
    sigset_t only;

    (void)state;
    assert_int_equal(fiber_pool_new(&pool, NULL), E_OK);
    w.pool = pool;
    struct fiber *f = fiber_start(pool, block_it, &w);
    assert_true(is_blocked(SIGUSR2));
    sigemptyset(&only);
    sigaddset(&only, SIGUSR2);
    pthread_sigmask(SIG_UNBLOCK, &only, NULL);
    assert_false(fiber_resume(f));
    assert_false(is_blocked(SIGUSR2));
    fiber_pool_free(pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fiber__interleaved),
        cmocka_unit_test(test_fiber__over_at_once),
        cmocka_unit_test(test_fiber__nested),
        cmocka_unit_test(test_fiber__longjmp),
        cmocka_unit_test(test_fiber__signal_mask),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
