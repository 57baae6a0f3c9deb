// SPDX-License-Identifier: MIT
// test_runner.c: the engine's jobs are run by one process at a time, pass after pass for who asks,
// one pass now and then by the clock; and the time that deletions go by.
#include "jobs/jobs.h"
#include "jobs/trust.h"
#include "unit/ledger_kit.h"

enum { HOUR = 3600 * 1000, ROUNDS = 50 };
#define DAY ((int64_t)24 * HOUR)

// A job that is over when it is told, or after a moment.
struct work_for {
    struct loop *loop;
    struct job_pass *pass;
    struct loop_timer timer;
    unsigned passes, left;
    int64_t at_ms[ROUNDS];
    const struct clock *clock;
    bool held;
    int code;
};

static void over(struct work_for *f)
{
    struct job_pass *p = f->pass;

    f->pass = NULL;
    p->more = f->left > 0;
    p->code = f->code;
    if (f->code)
        err_set(&p->err, f->code, "told to fail");
    p->over(p);
}

static void moment(struct loop_timer *timer)
{
    over(CONTAINER_OF(timer, struct work_for, timer));
}

static void pass(void *self, struct job_pass *p)
{
    struct work_for *f = self;

    if (f->passes < ROUNDS)
        f->at_ms[f->passes] = clock_wall_ms(f->clock);
    f->passes++;
    f->left -= f->left > 0;
    f->pass = p;
    f->timer.fn = moment;
    if (!f->held)
        loop_timer_start(f->loop, &f->timer, 10);
}

struct asking {
    struct runner_ask ask;
    bool done;
};

static void asked(struct runner_ask *a)
{
    CONTAINER_OF(a, struct asking, ask)->done = true;
}

static struct runner *make(struct kit *k, struct work_for *f)
{
    struct jobs_env env = {.store = k->store, .vault = k->vault, .loop = k->loop,
                           .clock = &k->clock->clock, .rand = &k->rand->rand, .boot_id = "b"};
    struct runner_job job = {.name = "some", .pass = pass, .self = f};
    struct runner *r;

    f->loop = k->loop;
    f->clock = &k->clock->clock;
    assert_int_equal(runner_new(&r, &env, NULL), E_OK);
    runner_add(r, &job);
    return r;
}

static void test_runner__one_process_at_a_time(void **state)
{
    struct kit k, other;
    struct work_for f = {.held = true}, g = {0};
    struct asking first = {.ask.done = asked}, second = {.ask.done = asked};

    (void)state;
    kit_open(&k, "memory:runner");
    kit_open_beside(&other, &k, "memory:runner");
    struct runner *a = make(&k, &f), *b = make(&other, &g);
    runner_now(a, &first.ask);
    loop_run(k.loop);
    assert_int_equal(f.passes, 1);
    assert_false(first.done);
    runner_now(b, &second.ask);
    loop_run(k.loop);
    assert_true(second.done);
    assert_int_equal(second.ask.code, E_REFUSED);
    assert_non_null(strstr(second.ask.err.message, "another process is at it"));
    assert_int_equal(g.passes, 0);
    second.done = false;
    runner_now(a, &second.ask);  // it is at it itself
    loop_run(k.loop);
    assert_int_equal(second.ask.code, E_BUSY);
    over(&f);
    loop_run(k.loop);
    assert_true(first.done);
    assert_int_equal(first.ask.code, E_OK);
    runner_now(b, &second.ask);
    loop_run(k.loop);
    assert_int_equal(second.ask.code, E_OK);
    assert_int_equal(g.passes, 1);
    // One that dies in the middle keeps nobody from it.
    first.done = second.done = false;
    runner_now(b, &first.ask);
    loop_run_for(k.loop, 5);
    assert_int_equal(g.passes, 2);
    ledger_free(other.ledger);
    struct store *dead = other.store;
    struct kit_store_op lease = {.op = {.verb = STORE_LEASE, .key = SLICE_LIT("lease/jobs"),
                                        .holder = SLICE_LIT("0123456789abcdef"),
                                        .ttl_ms = HOUR, .epoch = UINT64_MAX}};
    loop_run(k.loop);
    memcpy(other.partition, HOUSE_PARTITION, sizeof(HOUSE_PARTITION));
    kit_submit(&other, &lease);
    store_op_release(&lease.op);
    runner_now(a, &second.ask);
    f.held = false;
    loop_run(k.loop);
    assert_int_equal(second.ask.code, E_OK);
    runner_free(a);
    runner_free(b);
    store_free(dead);
    kit_close(&k);
}

static void test_runner__until_nothing_is_left(void **state)
{
    struct kit k;
    struct work_for f = {.left = 7};
    struct asking ask = {.ask.done = asked};

    (void)state;
    kit_open(&k, "memory:");
    struct runner *r = make(&k, &f);
    runner_now(r, &ask.ask);
    loop_run(k.loop);
    assert_int_equal(ask.ask.code, E_OK);
    assert_int_equal(f.passes, 7);
    f.code = E_STORE;
    f.left = 5;
    runner_now(r, &ask.ask);
    loop_run(k.loop);
    assert_int_equal(ask.ask.code, E_STORE);
    assert_string_equal(ask.ask.err.message, "some: told to fail");
    assert_int_equal(f.passes, 8);
    runner_free(r);
    kit_close(&k);
}

static void say(void *user)
{
    *(bool *)user = true;
}

// Simulated time stands still while there is nothing to do.
static void wait_ms(struct kit *k, int64_t ms)
{
    int64_t until = clock_wall_ms(&k->clock->clock) + ms;

    loop_run_for(k->loop, ms);
    if (clock_wall_ms(&k->clock->clock) < until)
        clock_sim_advance(k->clock, until - clock_wall_ms(&k->clock->clock));
}

static void test_runner__every_so_often_and_not_all_at_once(void **state)
{
    struct kit k;
    struct work_for f = {.left = 1000};
    bool idle = false;
    int64_t least = INT64_MAX, most = 0;

    (void)state;
    kit_open(&k, "memory:");
    struct runner *r = make(&k, &f);
    runner_start(r, RUNNER_EVERY_MS);
    for (int64_t ms = 0; ms < ROUNDS * (int64_t)RUNNER_EVERY_MS; ms += 60000)
        wait_ms(&k, 60000);
    assert_in_range(f.passes, ROUNDS - 10, ROUNDS + 10);  // one pass each, though there is more
    for (unsigned i = 1; i < f.passes && i < ROUNDS; i++) {
        int64_t gap = f.at_ms[i] - f.at_ms[i - 1];
        least = gap < least ? gap : least;
        most = gap > most ? gap : most;
    }
    assert_true(least >= RUNNER_EVERY_MS * 4 / 5 && most <= RUNNER_EVERY_MS * 6 / 5 + 1000);
    assert_true(most - least > RUNNER_EVERY_MS / 10);
    f.held = true;
    while (!f.pass)
        wait_ms(&k, 60000);
    runner_stop(r, say, &idle);
    wait_ms(&k, 1000);
    assert_false(idle);
    assert_true(f.pass->stop);
    over(&f);
    loop_run(k.loop);
    assert_true(idle);
    runner_free(r);
    kit_close(&k);
}

static void test_runner__time_that_is_known_to_have_passed(void **state)
{
    struct trust t = {0};

    (void)state;
    assert_int_equal(trust_advance(&t, 100 * DAY, 5 * HOUR, "one"), 0);
    assert_int_equal(t.trusted_ms, 100 * DAY);
    // A jump within a boot is none of it, whichever way.
    assert_int_equal(trust_advance(&t, 4000 * DAY, 6 * HOUR, "one"), 3900 * DAY - HOUR);
    assert_int_equal(t.trusted_ms, 100 * DAY + HOUR);
    assert_int_equal(trust_advance(&t, 3 * DAY, 7 * HOUR, "one"), 0);
    assert_int_equal(t.trusted_ms, 100 * DAY + 2 * HOUR);
    // Off for two days.
    assert_int_equal(trust_advance(&t, 102 * DAY, 1000, "two"), 0);
    assert_int_equal(t.trusted_ms, 102 * DAY);
    // Off, and a clock that is ten years ahead afterwards: not believed, and not at the next boot.
    assert_int_equal(trust_advance(&t, 3752 * DAY, 1000, "three"), 3650 * DAY);
    assert_int_equal(trust_advance(&t, 3753 * DAY, 1000, "four"), 3650 * DAY);
    assert_int_equal(t.trusted_ms, 103 * DAY);
    // What it was ahead is not taken for time that has passed, once it is right again.
    assert_int_equal(trust_advance(&t, 104 * DAY, 2000, "four"), DAY - 1000);
    trust_clock(&t, 104 * DAY);
    assert_int_equal(t.trusted_ms, 104 * DAY);
    assert_int_equal(trust_advance(&t, INT64_MAX, 3000, "four"), INT64_MAX - 104 * DAY - 1000);
    assert_int_equal(trust_advance(&t, INT64_MIN, 4000, "five"), 0);
}

static void test_runner__the_record_of_time(void **state)
{
    struct trust t = {5, 6, 7, "boot"}, back;
    struct buf meta = BUF_INIT(4096);
    struct err err = ERR_INIT;
    struct kit k;

    (void)state;
    kit_open(&k, "memory:");
    trust_write(k.vault, &t, &meta);
    struct record r = {.meta = buf_slice(&meta)};
    assert_int_equal(trust_read(k.vault, &r, &back, &err), E_OK);
    assert_int_equal(back.trusted_ms, 5);
    assert_int_equal(back.ahead_ms, 6);
    assert_int_equal(back.boot_ms, 7);
    assert_string_equal(back.boot_id, "boot");
    char *at = strstr(meta.ptr, "\"trusted\":5");
    assert_non_null(at);
    at[10] = '6';
    assert_int_equal(trust_read(k.vault, &r, &back, &err), E_CORRUPT);
    assert_int_equal(back.trusted_ms, 0);
    r.meta = SLICE_LIT("{}");
    assert_int_equal(trust_read(k.vault, &r, &back, &err), E_CORRUPT);
    buf_release(&meta);
    kit_close(&k);
}

int main(void)
{
#define TEST(name) cmocka_unit_test(test_runner__##name)
    const struct CMUnitTest tests[] = {
        TEST(one_process_at_a_time), TEST(until_nothing_is_left),
        TEST(every_so_often_and_not_all_at_once), TEST(time_that_is_known_to_have_passed),
        TEST(the_record_of_time)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
