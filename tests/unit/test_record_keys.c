// SPDX-License-Identifier: MIT
// Record keys: their exact form, their order, and taking them apart.
#include "model/record.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void test_record_keys__forms(void **state)
{
    struct buf k = BUF_INIT(RECORD_KEY_BYTES_MAX);

    (void)state;
    key_user(&k);
    assert_string_equal(k.ptr, "user");
    key_head(&k, "bot", "c0ffee");
    assert_string_equal(k.ptr, "head/bot/c0ffee");
    key_session(&k, "id");
    assert_string_equal(k.ptr, "session/id");
    key_turn(&k, "id", 0, UINT32_MAX);
    assert_string_equal(k.ptr, "turn/id/0000000000/4294967295");
    key_turn_prefix(&k, "id");
    assert_string_equal(k.ptr, "turn/id/");
    key_part(&k, "id", 1, 20, 300);
    assert_string_equal(k.ptr, "part/id/0000000001/0000000020/0000000300");
    key_attempt(&k, "id", 12, 3);
    assert_string_equal(k.ptr, "attempt/id/0000000012/0000000003");
    key_event(&k, "id", 1234567890);
    assert_string_equal(k.ptr, "event/id/1234567890");
    key_idem(&k, "abc");
    assert_string_equal(k.ptr, "key/abc");
    buf_release(&k);
}

static void test_record_keys__order_is_the_order_of_numbers(void **state)
{
    static const uint32_t numbers[] = {0, 1, 9, 10, 99, 100, 4294967294u, UINT32_MAX};
    struct buf a = BUF_INIT(RECORD_KEY_BYTES_MAX), b = BUF_INIT(RECORD_KEY_BYTES_MAX);

    (void)state;
    for (size_t i = 0; i + 1 < sizeof(numbers) / sizeof(numbers[0]); i++) {
        key_turn(&a, "s", numbers[i], UINT32_MAX);
        key_turn(&b, "s", numbers[i + 1], 0);
        assert_true(slice_cmp(buf_slice(&a), buf_slice(&b)) < 0);
    }
    buf_release(&a);
    buf_release(&b);
}

static void test_record_keys__too_long_fails_the_buffer(void **state)
{
    struct buf k = BUF_INIT(10);

    (void)state;
    key_turn(&k, "session", 1, 1);
    assert_false(buf_ok(&k));
    key_user(&k);  // cleared first
    assert_true(buf_ok(&k));
    buf_release(&k);
}

static void test_record_keys__split(void **state)
{
    struct slice parts[4];

    (void)state;
    assert_int_equal(key_split(SLICE_LIT("turn/id/0000000001/0000000002"), parts, 4), 4);
    assert_true(slice_is(parts[0], "turn") && slice_is(parts[1], "id"));
    assert_true(slice_is(parts[2], "0000000001") && slice_is(parts[3], "0000000002"));
    assert_int_equal(key_split(SLICE_LIT("a/b/c/d/e/f"), parts, 4), 4);
    assert_true(slice_is(parts[3], "d/e/f"));
    assert_int_equal(key_split(SLICE_LIT("user"), parts, 4), 1);
    assert_true(slice_is(parts[0], "user"));
    assert_int_equal(key_split(SLICE_LIT("a//"), parts, 4), 3);
    assert_true(slice_is(parts[1], "") && slice_is(parts[2], ""));
    assert_int_equal(key_split(SLICE_NONE, parts, 4), 1);
    assert_int_equal(key_split(SLICE_LIT("a/b"), parts, 1), 1);
    assert_true(slice_is(parts[0], "a/b"));
    assert_int_equal(key_split(SLICE_LIT("a/b"), parts, 0), 0);
}

static void test_record_keys__numbers(void **state)
{
    static const char *const wrong[] = {"", "1", "000000001", "00000000001", "4294967296",
                                        "9999999999", "-000000001", "00000 0001", "000000000x"};
    uint32_t n = 5;

    (void)state;
    assert_true(key_number(SLICE_LIT("4294967295"), &n));
    assert_int_equal(n, UINT32_MAX);
    assert_true(key_number(SLICE_LIT("0000000000"), &n));
    assert_int_equal(n, 0);
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        assert_false(key_number(slice_str(wrong[i]), &n));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_record_keys__forms),
        cmocka_unit_test(test_record_keys__order_is_the_order_of_numbers),
        cmocka_unit_test(test_record_keys__too_long_fails_the_buffer),
        cmocka_unit_test(test_record_keys__split),
        cmocka_unit_test(test_record_keys__numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
