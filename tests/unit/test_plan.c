// SPDX-License-Identifier: MIT
// Plans: what stands in them before a policy speaks, and their limits.
#include "model/plan.h"

#include "model/message.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void test_plan__full_history(void **state)
{
    struct history_plan p;

    (void)state;
    memset(&p, 0xA5, sizeof(p));
    history_plan_full(&p);
    assert_string_equal(p.strategy, "full");
    assert_string_equal(p.by, "plain");
    assert_int_equal(p.last, UINT32_MAX);
    assert_int_equal(p.pin_first, 0);
    assert_int_equal(p.budget_tokens, 0);
    assert_int_equal(p.pinned_len, 0);
}

static void test_plan__texts_are_limited(void **state)
{
    char state_text[PLAN_STATE_BYTES_MAX + 1];
    struct plan p;

    (void)state;
    memset(state_text, ' ', sizeof(state_text));
    plan_init(&p);
    assert_int_equal(p.verb, PLAN_GO);
    assert_int_equal(safe_buf_text(&p.text).len, 0);
    safe_buf_add(&p.text, SAFE_LIT("hello"));
    safe_buf_add(&p.state, (struct safe_text){state_text, PLAN_STATE_BYTES_MAX});
    assert_int_equal(safe_buf_check(&p.state, "state", NULL), E_OK);
    safe_buf_add(&p.state, SAFE_LIT("x"));
    assert_int_equal(safe_buf_check(&p.state, "state", NULL), E_REFUSED);
    plan_release(&p);
    assert_int_equal(safe_buf_text(&p.text).len, 0);
    plan_release(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plan__full_history),
        cmocka_unit_test(test_plan__texts_are_limited),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
