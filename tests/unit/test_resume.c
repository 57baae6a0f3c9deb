// SPDX-License-Identifier: MIT
// test_resume.c: what coming back means, at every boundary of time.
#include "unit/ledger_kit.h"

static void test_resume__boundaries(void **state)
{
    (void)state;
    const struct resume_rules *r = &resume_default;
    const int64_t hour = 3600 * 1000, day = 24 * hour, then = 1700000000000;

    assert_int_equal(r->restore_within_ms, 2 * hour);
    assert_int_equal(r->fresh_after_ms, 21 * day);
    assert_int_equal(session_resume(r, then, then), RESUME_RESTORE);
    assert_int_equal(session_resume(r, then, then + 2 * hour), RESUME_RESTORE);
    assert_int_equal(session_resume(r, then, then + 2 * hour + 1), RESUME_PRIMED);
    assert_int_equal(session_resume(r, then, then + 21 * day), RESUME_PRIMED);
    assert_int_equal(session_resume(r, then, then + 21 * day + 1), RESUME_FRESH);
}

static void test_resume__odd_clocks_and_rules(void **state)
{
    (void)state;
    const struct resume_rules none = {0}, never = {.fresh_after_ms = INT64_MAX};

    assert_int_equal(session_resume(&resume_default, 1000, 0),
                     RESUME_RESTORE); // the clock went back
    assert_int_equal(session_resume(&resume_default, INT64_MAX, INT64_MIN), RESUME_RESTORE);
    assert_int_equal(session_resume(&resume_default, INT64_MIN, INT64_MAX), RESUME_FRESH);
    assert_int_equal(session_resume(&none, 0, 0), RESUME_RESTORE);
    assert_int_equal(session_resume(&none, 0, 1), RESUME_FRESH);
    assert_int_equal(session_resume(&never, INT64_MIN, INT64_MAX), RESUME_PRIMED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_resume__boundaries),
        cmocka_unit_test(test_resume__odd_clocks_and_rules),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
