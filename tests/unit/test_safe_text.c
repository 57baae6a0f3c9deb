// SPDX-License-Identifier: MIT
// Safe text: parts, literals and the buffer that grows by safe text only.
#include "model/safe_text.h"

#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void test_safe_text__parts_are_views(void **state)
{
    struct safe_text t = SAFE_LIT("hello world");

    (void)state;
    assert_true(slice_is(safe_slice(safe_text_part(t, 6, 5)), "world"));
    assert_ptr_equal(safe_text_part(t, 6, 5).ptr, t.ptr + 6);
    assert_int_equal(safe_text_part(t, t.len, 0).len, 0);
    assert_int_equal(safe_text_part(SAFE_NONE, 0, 0).len, 0);
}

static void test_safe_text__buffer_keeps_its_maximum(void **state)
{
    struct err err = ERR_INIT;
    struct safe_buf b;

    (void)state;
    safe_buf_init(&b, 8);
    safe_buf_add(&b, SAFE_LIT("12345"));
    safe_buf_add(&b, SAFE_NONE);
    assert_int_equal(safe_buf_check(&b, "a word", &err), E_OK);
    safe_buf_add(&b, SAFE_LIT("6789"));
    assert_int_equal(safe_buf_check(&b, "a word", &err), E_REFUSED);
    assert_non_null(strstr(err.message, "a word"));
    assert_true(slice_is(safe_slice(safe_buf_text(&b)), "12345"));
    safe_buf_clear(&b);
    assert_int_equal(safe_buf_check(&b, "a word", &err), E_OK);
    assert_int_equal(safe_buf_text(&b).len, 0);
    safe_buf_release(&b);
}

static void test_safe_text__buffer_survives_no_memory(void **state)
{
    struct safe_buf b;

    (void)state;
    safe_buf_init(&b, 8);
    mem_fail_at(1, 0);
    safe_buf_add(&b, SAFE_LIT("12345"));
    mem_fail_at(0, 0);
    assert_int_equal(safe_buf_check(&b, "a word", NULL), E_NOMEM);
    safe_buf_release(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_safe_text__parts_are_views),
        cmocka_unit_test(test_safe_text__buffer_keeps_its_maximum),
        cmocka_unit_test(test_safe_text__buffer_survives_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
