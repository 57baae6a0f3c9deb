// SPDX-License-Identifier: MIT
// The cases that others wrote: each class has at least 98 % of them right, but for exceptions that
// have a reason each. Skipped without ../shared.
#include "support/redact_cases.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { RIGHT_PERCENT = 98 };

static void tell(const char *id, struct slice text, const char *why)
{
    print_message("# %s: %.*s: %s\n", id, SLICE_FMT(text), why ? why : "not as expected");
}

static void test_redact_cases__are_right(void **state)
{
    struct redact_score score = {.tell = tell};
    size_t excepted = 0, wrong = 0;

    (void)state;
    if (!redact_cases(&score))
        skip();
    for (size_t i = 0; i < score.n; i++) {
        const struct redact_class *c = &score.of[i];

        excepted += c->excepted;
        if (c->right * 100 < (c->cases - c->excepted) * RIGHT_PERCENT) {
            print_message("# %s: %zu of %zu\n", c->name, c->right, c->cases);
            wrong++;
        }
    }
    assert_int_equal(wrong, 0);
    assert_true(score.n >= 12);
    // Each exception is one still.
    assert_int_equal(excepted, sizeof(redact_exceptions) / sizeof(*redact_exceptions));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_redact_cases__are_right),
    };
    return cmocka_run_group_tests_name("redact_cases", tests, NULL, NULL);
}
