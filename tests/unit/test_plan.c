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

// What the session pins stands among the plan's own, in order and once.
static void test_plan__takes_the_pins_of_the_session(void **state)
{
    struct session_pins pins = {.list = {{1, PIN_USER}, {4, PIN_USER}, {9, PIN_POLICY}}, .len = 3};
    static const uint32_t expected[] = {1, 2, 4, 7, 9};
    struct history_plan p;

    (void)state;
    history_plan_full(&p);
    memcpy(p.pinned, (uint32_t[]){2, 4, 7}, 3 * sizeof(uint32_t));
    p.pinned_len = 3;
    history_plan_pin(&p, &pins);
    assert_int_equal(p.pinned_len, 5);
    assert_memory_equal(p.pinned, expected, sizeof(expected));
    // As many as there may be of both.
    for (uint32_t i = 0; i < PLAN_PINNED_MAX; i++)
        p.pinned[i] = 2 * i + 1;
    p.pinned_len = PLAN_PINNED_MAX;
    for (uint32_t i = 0; i < SESSION_PINS_MAX; i++)
        pins.list[i].turn = 2 * i + 2;
    pins.len = SESSION_PINS_MAX;
    history_plan_pin(&p, &pins);
    assert_int_equal(p.pinned_len, PLAN_PINNED_MAX + SESSION_PINS_MAX);
    for (uint32_t i = 1; i < p.pinned_len; i++)
        assert_true(p.pinned[i - 1] < p.pinned[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plan__full_history),
        cmocka_unit_test(test_plan__texts_are_limited),
        cmocka_unit_test(test_plan__takes_the_pins_of_the_session),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
