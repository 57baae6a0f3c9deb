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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sweep__says_that_originals_are_left),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
