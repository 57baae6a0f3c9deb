// SPDX-License-Identifier: MIT
// Buffers: contents, the ceiling to the byte, failure that sticks, taking, running out of memory.
#include "base/buf.h"
#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void test_buf__holds_what_was_added(void **state)
{
    struct buf b = BUF_INIT(1000);

    (void)state;
    assert_null(b.ptr);
    buf_add(&b, NULL, 0);
    assert_null(b.ptr);
    buf_add(&b, "a\0b", 3);
    buf_add_slice(&b, SLICE_LIT("cd"));
    buf_add_slice(&b, SLICE_NONE);
    buf_add_str(&b, "ef");
    buf_add_char(&b, 'g');
    buf_addf(&b, "[%d]", 5);
    assert_true(slice_eq(buf_slice(&b), SLICE_LIT("a\0bcdefg[5]")));
    assert_int_equal(b.ptr[b.len], '\0');
    assert_true(buf_ok(&b));
    assert_int_equal(buf_check(&b, "text", NULL), E_OK);
    buf_release(&b);
    assert_null(b.ptr);
    assert_int_equal(b.max, 1000);
}

static void test_buf__numbers(void **state)
{
    struct buf b = BUF_INIT(1000);

    (void)state;
    buf_add_u64(&b, 0);
    buf_add_char(&b, ' ');
    buf_add_u64(&b, UINT64_MAX);
    buf_add_char(&b, ' ');
    buf_add_i64(&b, INT64_MIN);
    buf_add_char(&b, ' ');
    buf_add_i64(&b, INT64_MAX);
    buf_add_char(&b, ' ');
    buf_add_i64(&b, -1);
    assert_string_equal(b.ptr,
                        "0 18446744073709551615 -9223372036854775808 9223372036854775807 -1");
    buf_release(&b);
}

// For every small maximum: exactly that many bytes fit, and one more marks the buffer.
static void test_buf__maximum_is_exact(void **state)
{
    (void)state;
    for (size_t max = 0; max < 200; max++) {
        struct buf b;
        struct err err = ERR_INIT;

        buf_init(&b, max);
        for (size_t i = 0; i < max; i++)
            buf_add_char(&b, 'x');
        assert_true(buf_ok(&b));
        buf_add_char(&b, 'y');
        assert_false(buf_ok(&b));
        assert_int_equal(b.len, max);
        assert_int_equal(buf_check(&b, "the reply", &err), E_REFUSED);
        assert_non_null(strstr(err.message, "the reply"));
        buf_release(&b);
    }
}

static void test_buf__failure_sticks_and_keeps_what_was_there(void **state)
{
    struct buf b = BUF_INIT(10);

    (void)state;
    buf_add_str(&b, "12345678");
    buf_addf(&b, "%s", "too long for it");
    assert_false(buf_ok(&b));
    assert_string_equal(b.ptr, "12345678");
    buf_add_char(&b, '9');
    buf_addf(&b, "9");
    assert_null(buf_reserve(&b, 0));
    assert_string_equal(b.ptr, "12345678");
    buf_clear(&b);
    assert_true(buf_ok(&b));
    buf_add_str(&b, "1234567890");
    assert_true(buf_ok(&b));
    assert_string_equal(b.ptr, "1234567890");
    buf_release(&b);
}

static void test_buf__huge_additions_do_not_overflow(void **state)
{
    struct buf b = BUF_INIT(SIZE_MAX);

    (void)state;
    buf_add_char(&b, 'x');
    assert_null(buf_reserve(&b, SIZE_MAX));
    assert_false(buf_ok(&b));
    assert_string_equal(b.ptr, "x");
    buf_release(&b);
}

static void test_buf__format_grows(void **state)
{
    struct buf b = BUF_INIT(10000);

    (void)state;
    buf_addf(&b, "%s", "");
    assert_string_equal(b.ptr, "");
    for (int i = 0; i < 100; i++)
        buf_addf(&b, "%0*d,", i, 7);
    assert_int_equal(b.len, 2 + 99 * 100 / 2 + 99);
    assert_true(buf_ok(&b));
    buf_release(&b);
}

static void test_buf__reserve_and_grew(void **state)
{
    struct buf b = BUF_INIT(100);

    (void)state;
    char *to = buf_reserve(&b, 100);
    assert_non_null(to);
    memset(to, 'z', 100);
    buf_grew(&b, 60);
    buf_grew(&b, 0);
    assert_int_equal(strlen(b.ptr), 60);
    assert_null(buf_reserve(&b, 41));
    buf_release(&b);
}

static void test_buf__truncate_and_consume(void **state)
{
    struct buf b = BUF_INIT(100);

    (void)state;
    buf_truncate(&b, 0);
    buf_consume(&b, 0);
    buf_add_str(&b, "abcdef");
    buf_consume(&b, 2);
    assert_string_equal(b.ptr, "cdef");
    buf_truncate(&b, 3);
    assert_string_equal(b.ptr, "cde");
    buf_consume(&b, 3);
    assert_string_equal(b.ptr, "");
    buf_release(&b);
}

static void test_buf__take_moves_out(void **state)
{
    struct buf b = BUF_INIT(8);
    size_t len = 99;

    (void)state;
    assert_null(buf_take(&b, &len));
    assert_int_equal(len, 0);
    buf_add_str(&b, "mine");
    char *taken = buf_take(&b, &len);
    assert_string_equal(taken, "mine");
    assert_int_equal(len, 4);
    mem_free(taken);
    assert_null(b.ptr);

    buf_add_str(&b, "12345678");
    buf_add_char(&b, '9');
    assert_null(buf_take(&b, NULL)); // frees, and the reason can still be told
    assert_null(b.ptr);
    assert_int_equal(buf_check(&b, "it", NULL), E_REFUSED);
    buf_release(&b);
}

static void test_buf__out_of_memory_marks_it(void **state)
{
    struct buf b = BUF_INIT(1000);
    struct err err = ERR_INIT;

    (void)state;
    mem_fail_at(2, 0);
    for (int i = 0; i < 500; i++)
        buf_add_char(&b, 'x');
    mem_fail_at(0, 0);
    assert_int_equal(buf_check(&b, "the page", &err), E_NOMEM);
    assert_non_null(strstr(err.message, "the page"));
    assert_true(b.len > 0 && b.len < 500);
    assert_int_equal(strlen(b.ptr), b.len);
    buf_release(&b);
    assert_true(buf_ok(&b));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_buf__holds_what_was_added),
        cmocka_unit_test(test_buf__numbers),
        cmocka_unit_test(test_buf__maximum_is_exact),
        cmocka_unit_test(test_buf__failure_sticks_and_keeps_what_was_there),
        cmocka_unit_test(test_buf__huge_additions_do_not_overflow),
        cmocka_unit_test(test_buf__format_grows),
        cmocka_unit_test(test_buf__reserve_and_grew),
        cmocka_unit_test(test_buf__truncate_and_consume),
        cmocka_unit_test(test_buf__take_moves_out),
        cmocka_unit_test(test_buf__out_of_memory_marks_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
