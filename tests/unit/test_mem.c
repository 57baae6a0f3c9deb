// SPDX-License-Identifier: MIT
// Allocation: sizes at the edges, failures to order, the count.
#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static int lift_the_order(void **state)
{
    (void)state;
    mem_fail_at(0, 0);
    return 0;
}

static void test_mem__zero_bytes_are_an_address(void **state)
{
    void *p = mem_alloc(0);
    void *z = mem_zalloc(0);
    void *c = mem_calloc(0, 8);

    (void)state;
    assert_non_null(p);
    assert_non_null(z);
    assert_non_null(c);
    p = mem_realloc(p, 0);
    assert_non_null(p);
    mem_free(p);
    mem_free(z);
    mem_free(c);
    mem_free(NULL);
}

static void test_mem__zeroed_is_zeroed(void **state)
{
    static const char zeros[4096];
    char *z = mem_zalloc(sizeof(zeros));
    char *c = mem_calloc(512, 8);

    (void)state;
    assert_memory_equal(z, zeros, sizeof(zeros));
    assert_memory_equal(c, zeros, sizeof(zeros));
    mem_free(z);
    mem_free(c);
}

static void test_mem__calloc_refuses_overflow(void **state)
{
    (void)state;
    assert_null(mem_calloc(SIZE_MAX / 2, 3));
    assert_null(mem_calloc(SIZE_MAX, SIZE_MAX));
}

static void test_mem__dup_copies(void **state)
{
    char *s = mem_strdup("text");
    char *nul = mem_slicedup(SLICE_LIT("a\0b"));
    char *none = mem_slicedup(SLICE_NONE);

    (void)state;
    assert_string_equal(s, "text");
    assert_memory_equal(nul, "a\0b", 4);
    assert_string_equal(none, "");
    assert_null(mem_strdup(NULL));
    mem_free(s);
    mem_free(nul);
    mem_free(none);
}

static void test_mem__fail_at_fails_exactly_that_one(void **state)
{
    void *got[4];

    (void)state;
    mem_fail_at(3, 0);
    for (int i = 0; i < 4; i++)
        got[i] = mem_alloc(1);
    for (int i = 0; i < 4; i++)
        assert_int_equal(got[i] == NULL, i == 2);
    for (int i = 0; i < 4; i++)
        mem_free(got[i]);
}

static void test_mem__sticky_fails_from_then_on(void **state)
{
    void *first;

    (void)state;
    mem_fail_at(2, 1);
    first = mem_alloc(1);
    assert_non_null(first);
    assert_null(mem_alloc(1));
    assert_null(mem_calloc(1, 1));
    assert_null(mem_strdup("x"));
    mem_fail_at(0, 0);
    mem_free(mem_realloc(first, 2));
}

static void test_mem__failed_realloc_leaves_the_old(void **state)
{
    char *p = mem_strdup("kept");

    (void)state;
    mem_fail_at(1, 0);
    assert_null(mem_realloc(p, 100));
    assert_string_equal(p, "kept");
    mem_free(p);
}

static void test_mem__count_counts(void **state)
{
    uint64_t before = mem_count();

    (void)state;
    mem_free(mem_alloc(1));
    mem_free(mem_calloc(1, 1));
    mem_free(mem_strdup("x"));
    assert_int_equal(mem_count() - before, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mem__zero_bytes_are_an_address),
        cmocka_unit_test(test_mem__zeroed_is_zeroed),
        cmocka_unit_test(test_mem__calloc_refuses_overflow),
        cmocka_unit_test(test_mem__dup_copies),
        cmocka_unit_test_teardown(test_mem__fail_at_fails_exactly_that_one, lift_the_order),
        cmocka_unit_test_teardown(test_mem__sticky_fails_from_then_on, lift_the_order),
        cmocka_unit_test_teardown(test_mem__failed_realloc_leaves_the_old, lift_the_order),
        cmocka_unit_test(test_mem__count_counts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
