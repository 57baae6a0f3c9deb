// SPDX-License-Identifier: MIT
// Hints: distances, what is near enough and what is not.
#include "base/hint.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static unsigned distance(const char *a, const char *b)
{
    unsigned there = hint_distance(slice_str(a), slice_str(b));

    assert_int_equal(there, hint_distance(slice_str(b), slice_str(a)));
    return there;
}

static void test_hint__distances(void **state)
{
    (void)state;
    assert_int_equal(distance("", ""), 0);
    assert_int_equal(distance("", "abc"), 3);
    assert_int_equal(distance("abc", "abc"), 0);
    assert_int_equal(distance("abc", "abd"), 1);
    assert_int_equal(distance("abc", "acb"), 1);
    assert_int_equal(distance("ca", "abc"), 3);  // no edit within a transposition
    assert_int_equal(distance("kitten", "sitting"), 3);
    assert_int_equal(distance("keep_turn", "keep_turns"), 1);
    assert_int_equal(hint_distance(SLICE_NONE, SLICE_NONE), 0);
}

static void test_hint__long_words_are_cut(void **state)
{
    char a[201], b[201];

    (void)state;
    memset(a, 'a', sizeof(a) - 1);
    memset(b, 'a', sizeof(b) - 1);
    a[200] = b[200] = '\0';
    b[64] = 'x';
    assert_int_equal(distance(a, b), 0);
    b[63] = 'x';
    assert_int_equal(distance(a, b), 1);
    assert_int_equal(distance(a, ""), 64);
}

static void test_hint__nearest(void **state)
{
    static const char *const names[] = {"base_url", "key", "kind", "max_tokens", "temperature"};
    const size_t n = sizeof(names) / sizeof(names[0]);

    (void)state;
    assert_string_equal(hint_nearest(SLICE_LIT("base_ur"), names, n), "base_url");
    assert_string_equal(hint_nearest(SLICE_LIT("kidn"), names, n), "kind");
    assert_string_equal(hint_nearest(SLICE_LIT("kye"), names, n), "key");
    assert_string_equal(hint_nearest(SLICE_LIT("temp"), names, n), "temperature");
    assert_string_equal(hint_nearest(SLICE_LIT("max_tokens_out"), names, n), "max_tokens");
    assert_null(hint_nearest(SLICE_LIT("te"), names, n));
    assert_null(hint_nearest(SLICE_LIT("colour"), names, n));
    assert_null(hint_nearest(SLICE_LIT("x"), names, n));
    assert_null(hint_nearest(SLICE_NONE, names, n));
    assert_null(hint_nearest(SLICE_LIT("key"), names, 0));
}

static void test_hint__lists(void **state)
{
    struct hint_list list = {0};
    char name[16];

    (void)state;
    hint_list_add(&list, SLICE_LIT("key"));
    assert_string_equal(list.text, "key");
    hint_list_add(&list, SLICE_LIT("keyring"));
    hint_list_add(&list, SLICE_LIT("key"));
    hint_list_add(&list, SLICE_LIT("ring"));
    hint_list_add(&list, SLICE_LIT("keyring"));
    assert_string_equal(list.text, "key, keyring, ring");
    for (unsigned i = 0; i < 64; i++) {
        snprintf(name, sizeof(name), "name_%u", i);
        hint_list_add(&list, slice_str(name));
        assert_true(strlen(list.text) < sizeof(list.text));
    }
    assert_true(list.full);
    assert_non_null(strstr(list.text, ", name_9, name_10,"));
    assert_string_equal(list.text + strlen(list.text) - strlen(" …"), " …");
}

static void test_hint__of_equals_the_first(void **state)
{
    static const char *const names[] = {"cat", "bat", "hat"};
    static const char *const short_names[] = {"a", "b"};

    (void)state;
    assert_string_equal(hint_nearest(SLICE_LIT("rat"), names, 3), "cat");
    assert_string_equal(hint_nearest(SLICE_LIT("hat"), names, 3), "hat");
    // One letter for another has nothing in common with it.
    assert_null(hint_nearest(SLICE_LIT("c"), short_names, 2));
    assert_string_equal(hint_nearest(SLICE_LIT("bc"), short_names, 2), "b");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hint__distances),
        cmocka_unit_test(test_hint__long_words_are_cut),
        cmocka_unit_test(test_hint__nearest),
        cmocka_unit_test(test_hint__lists),
        cmocka_unit_test(test_hint__of_equals_the_first),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
