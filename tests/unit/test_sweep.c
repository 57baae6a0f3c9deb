// SPDX-License-Identifier: MIT
// What a pass of the sweep leaves for the next, it says.
#include "jobs/sweep.h"
#include "unit/ledger_kit.h"

enum { ORIGINALS = SWEEP_RECORDS_MAX + 20 };

static void over(struct job_pass *p)
{
    *(bool *)p->runner = true;
}

static void test_sweep__says_that_originals_are_left(void **state)
{
    struct kit k;
    struct sweep *s;

    (void)state;
    kit_open(&k, "memory:");
    for (uint32_t i = 1; i <= ORIGINALS; i++) {
        char key[64];

        snprintf(key, sizeof(key), "original/email/%010u", i);
        kit_put(&k, key, "{}", SLICE_NONE, 1);
    }
    kit_put(&k, "original/email/kept_for_ever", "{}", SLICE_NONE, 0);
    kit_put(&k, "original/email/kept_for_now", "{}", SLICE_NONE, 2 * (int64_t)KIT_WALL_MS);
    struct jobs_env env = {.store = k.store, .vault = k.vault, .loop = k.loop,
                           .clock = &k.clock->clock, .rand = &k.rand->rand, .boot_id = "boot"};
    assert_int_equal(sweep_new(&s, &env, NULL), E_OK);
    struct runner_job job = sweep_job(s);
    bool more = true;
    for (unsigned passes = 0; more; passes++) {
        bool done = false;
        struct job_pass p = {.trust_clock = true, .over = over, .runner = &done};

        assert_true(passes < 2);
        job.pass(job.self, &p);
        loop_run(k.loop);
        assert_true(done);
        assert_int_equal(p.code, E_OK);
        more = p.more;
    }
    assert_int_equal(kit_count(&k, "original/"), 2);
    sweep_free(s);
    kit_close(&k);
}

struct dropping {
    struct kit *k;
    char bots[64];
    int64_t now_ms;
    int code;
};

// As the worker does: the slot is not due any more.
static void drop(void *user, const char *partition, const char *bot, int64_t now_ms,
                 void (*done)(void *arg, int code), void *arg)
{
    struct dropping *d = user;

    assert_string_equal(partition, d->k->partition);
    strncat(d->bots, bot, sizeof(d->bots) - strlen(d->bots) - 1);
    d->now_ms = now_ms;
    done(arg, d->code);
}

static void test_sweep__has_what_is_in_quarantine_dropped(void **state)
{
    struct kit k;
    struct sweep *s;
    struct dropping d = {.k = &k};

    (void)state;
    kit_open(&k, "memory:");
    kit_put(&k, "fact/a/0123456789abcdef0123456789abcdef", "{}", SLICE_NONE, 1);
    kit_put(&k, "fact/b/0123456789abcdef0123456789abcdef", "{}", SLICE_NONE,
            2 * (int64_t)KIT_WALL_MS);
    kit_put(&k, "knowledge/c/0123456789abcdef0123456789abcdef", "{}", SLICE_NONE, 2);
    kit_put(&k, "memory/d", "{}", SLICE_NONE, 3);
    struct jobs_env env = {.store = k.store, .vault = k.vault, .loop = k.loop,
                           .clock = &k.clock->clock, .rand = &k.rand->rand, .boot_id = "boot",
                           .drop_quarantined = drop, .user = &d};
    assert_int_equal(sweep_new(&s, &env, NULL), E_OK);
    struct runner_job job = sweep_job(s);
    for (unsigned i = 0; i < 2; i++) {
        bool done = false;
        struct job_pass p = {.trust_clock = true, .over = over, .runner = &done};

        d.bots[0] = '\0';
        d.code = i ? E_STORE : E_BUSY;
        job.pass(job.self, &p);
        loop_run(k.loop);
        assert_true(done);
        assert_string_equal(d.bots, i ? "a" : "ac");  // a store that fails ends the pass
        assert_int_equal(p.code, i ? E_STORE : E_OK);
        assert_true(d.now_ms > 0 && d.now_ms <= clock_wall_ms(&k.clock->clock));
    }
    assert_int_equal(sweep_report(s).failed, 2);
    sweep_free(s);
    kit_close(&k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sweep__says_that_originals_are_left),
        cmocka_unit_test(test_sweep__has_what_is_in_quarantine_dropped),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
