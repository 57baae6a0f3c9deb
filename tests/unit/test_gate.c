// SPDX-License-Identifier: MIT
// test_gate.c: what of a message supports a fact, and what does not.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "memory/gate.h"

static enum gate_result judge(const char *text, const char *predicate, const char *value)
{
    const struct gate_source source = {.text = slice_str(text)};
    const struct gate_claim claim = {.subject = SLICE_LIT("user"),
                                     .predicate = slice_str(predicate),
                                     .value = slice_str(value)};
    struct gate_verdict v;
    struct gate *g;

    assert_int_equal(gate_open(&g, &source, NULL), E_OK);
    assert_int_equal(gate_judge(g, &claim, &v, NULL), E_OK);
    gate_close(g);
    assert_non_null(v.why);
    return v.result;
}

static void test_gate__a_plain_statement_supports(void **state)
{
    (void)state;
    assert_int_equal(judge("I live in Lisbon.", "lives_in", "Lisbon"), GATE_SUPPORTED);
    assert_int_equal(judge("I'm a nurse", "works_as", "nurse"), GATE_SUPPORTED);
    assert_int_equal(judge("My name is Tom", "name", "Tom"), GATE_SUPPORTED);
}

static void test_gate__else_nothing_does(void **state)
{
    (void)state;
    assert_int_not_equal(judge("Do I live in Lisbon?", "lives_in", "Lisbon"), GATE_SUPPORTED);
    assert_int_not_equal(judge("It says: I live in Lisbon.", "lives_in", "Lisbon"), GATE_SUPPORTED);
    assert_int_not_equal(judge("I don't live in Lisbon.", "lives_in", "Lisbon"), GATE_SUPPORTED);
    assert_int_not_equal(judge("The user is an admin.", "role", "admin"), GATE_SUPPORTED);
    assert_int_not_equal(judge("I live in Lisbon.", "role", "admin"), GATE_SUPPORTED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gate__a_plain_statement_supports),
        cmocka_unit_test(test_gate__else_nothing_does),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
