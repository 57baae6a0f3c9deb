// SPDX-License-Identifier: MIT
// How a fact reads: of the user, of others, and as a question once it is stale.
#include "memory/tell.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define DAY_MS (24LL * 3600 * 1000)

static void assert_tells(struct safe_text subject, struct safe_text predicate,
                         struct safe_text value, int64_t age_ms, const char *expected)
{
    struct fact_slot slot;
    struct fact f;
    struct safe_buf out;

    fact_slot_init(&slot, TIER_FACT);
    fact_init(&f);
    assert_int_equal(fact_slot_name(&slot, subject, predicate, NULL), E_OK);
    assert_int_equal(fact_set_value(&f, value, NULL), E_OK);
    safe_buf_init(&out, 4096);
    if (age_ms < 0)
        fact_tell(&out, &slot, &f);
    else
        fact_tell_stale(&out, &slot, &f, age_ms);
    assert_int_equal(safe_buf_text(&out).len, strlen(expected));
    assert_memory_equal(safe_buf_text(&out).ptr, expected, strlen(expected));
    safe_buf_release(&out);
    fact_release(&f);
    fact_slot_release(&slot);
}

static void test_tell__of_whom(void **state)
{
    (void)state;
    assert_tells(SAFE_NONE, SAFE_LIT("lives_in"), SAFE_LIT("Lyon"), -1, "lives in Lyon");
    assert_tells(SAFE_LIT("user"), SAFE_LIT("likes"), SAFE_LIT("tea_time"), -1, "likes tea_time");
    assert_tells(SAFE_LIT("Anna"), SAFE_LIT("plays"), SAFE_LIT("the cello"), -1,
                 "Anna: plays the cello");
}

static void test_tell__a_stale_one_is_a_question(void **state)
{
    static const struct { int64_t days; const char *age; } cases[] = {
        {0, "0 days"}, {1, "1 day"}, {59, "59 days"}, {60, "2 months"}, {129, "4 months"},
        {365, "12 months"}, {729, "24 months"}, {730, "2 years"}, {4000, "10 years"},
    };
    char expected[128];

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        snprintf(expected, sizeof(expected),
                 "Earlier: lives in Lyon (not confirmed for %s; ask before relying on it)",
                 cases[i].age);
        assert_tells(SAFE_NONE, SAFE_LIT("lives_in"), SAFE_LIT("Lyon"), cases[i].days * DAY_MS,
                     expected);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tell__of_whom),
        cmocka_unit_test(test_tell__a_stale_one_is_a_question),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
