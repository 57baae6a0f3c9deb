// SPDX-License-Identifier: MIT
// Telephone numbers: what is one, where it begins and ends, and what of the text decides that.
#include "redact/words.h"
#include "redact/phone.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

static const char *found(const char *text, phone_region region)
{
    static char out[128];
    struct slice s = slice_str(text);

    for (size_t i = 0; i < s.len; i++) {
        struct phone_match m;

        if (text[i] < '0' || text[i] > '9' || (i && text[i - 1] >= '0' && text[i - 1] <= '9'))
            continue;
        if (!phone_match(s, i, region, &m))
            continue;
        snprintf(out, sizeof(out), "%.*s", (int)(m.end - m.start), text + m.start);
        return out;
    }
    return "";
}

static void test_phone__simple(void **state)
{
    (void)state;
    assert_string_equal(found("call (415) 555-0132 now", PHONE_NO_REGION), "(415) 555-0132");
    assert_string_equal(found("call +1 415 555 0132, ok", PHONE_NO_REGION), "+1 415 555 0132");
    assert_string_equal(found("on 2026-11-21 at 10:15", PHONE_NO_REGION), "");
}

static void test_words__before(void **state)
{
    static const char *const words[] = {"phone*", "tax id", NULL};
    static const struct {
        const char *text;
        bool found;
    } cases[] = {
        {"my phone: 1", true},     {"PHONES 1", true},       {"telephone 1", false},
        {"my tax-id is 1", true},  {"TaxID 1", true},        {"syntax id 1", false},
        {"phone\n\n1", false},     {"phone\n1", true},       {"1", false},
        {"taxids 1", false},       {"\xc3\xa9phone 1", false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct slice s = slice_str(cases[i].text);
        size_t at = strcspn(cases[i].text, "1");

        if (words_before(s, at, words) != cases[i].found)
            fail_msg("%s", cases[i].text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_phone__simple),
        cmocka_unit_test(test_words__before),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
