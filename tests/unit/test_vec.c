// SPDX-License-Identifier: MIT
// Arrays: order through insertion and removal, the ceiling, running out of memory.
#include "base/mem.h"
#include "base/vec.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void push(struct vec *v, int n)
{
    int *item = vec_push(v);

    assert_non_null(item);
    assert_int_equal(*item, 0);
    *item = n;
}

static void test_vec__keeps_order(void **state)
{
    struct vec v = VEC_INIT(int, 1000);

    (void)state;
    for (int i = 0; i < 100; i++)
        push(&v, i);
    *(int *)vec_insert(&v, 0) = -1;
    *(int *)vec_insert(&v, v.len) = 100;
    *(int *)vec_insert(&v, 51) = 1000;
    assert_int_equal(v.len, 103);
    assert_int_equal(*VEC_AT(&v, int, 0), -1);
    assert_int_equal(*VEC_AT(&v, int, 50), 49);
    assert_int_equal(*VEC_AT(&v, int, 51), 1000);
    assert_int_equal(*VEC_AT(&v, int, 52), 50);
    assert_int_equal(*VEC_AT(&v, int, 102), 100);
    vec_remove(&v, 51);
    vec_remove(&v, 0);
    vec_remove(&v, v.len - 1);
    for (int i = 0; i < 100; i++)
        assert_int_equal(*VEC_AT(&v, int, (size_t)i), i);
    vec_release(&v);
    assert_null(v.ptr);
}

static void test_vec__room_for_no_more(void **state)
{
    struct vec v = VEC_INIT(int, 10);

    (void)state;
    assert_true(vec_reserve_exact(&v, 3));
    assert_int_equal(v.cap, 3);
    push(&v, 1);
    assert_true(vec_reserve_exact(&v, 2));
    assert_int_equal(v.cap, 3);
    assert_false(vec_reserve_exact(&v, 10));
    assert_true(vec_reserve_exact(&v, 9));
    assert_int_equal(v.cap, 10);
    assert_int_equal(*VEC_AT(&v, int, 0), 1);
    vec_release(&v);
}

static void test_vec__items_come_zeroed_again(void **state)
{
    struct vec v = VEC_INIT(int, 10);

    (void)state;
    push(&v, 7);
    vec_clear(&v);
    assert_int_equal(v.len, 0);
    push(&v, 8);
    vec_remove(&v, 0);
    push(&v, 9);
    vec_release(&v);
}

static void test_vec__maximum_is_exact(void **state)
{
    (void)state;
    for (size_t max = 0; max < 40; max++) {
        struct vec v;

        vec_init(&v, sizeof(int), max);
        for (size_t i = 0; i < max; i++)
            push(&v, 1);
        assert_null(vec_push(&v));
        assert_null(vec_insert(&v, 0));
        assert_int_equal(v.len, max);
        assert_true(v.cap <= max);
        vec_release(&v);
    }
}

static void test_vec__out_of_memory_changes_nothing(void **state)
{
    struct vec v = VEC_INIT(int, 1000);

    (void)state;
    mem_fail_at(1, 0);
    assert_null(vec_push(&v));
    push(&v, 1);
    while (v.len < v.cap)
        push(&v, 1);
    mem_fail_at(1, 0);
    size_t len = v.len;
    assert_null(vec_insert(&v, 0));
    assert_int_equal(v.len, len);
    push(&v, 2);
    vec_release(&v);
}

static void test_vec__huge_items_do_not_overflow(void **state)
{
    struct vec v;

    (void)state;
    vec_init(&v, SIZE_MAX / 4, SIZE_MAX);
    assert_null(vec_push(&v));
    vec_release(&v);
}

static void test_vec__room_for_many(void **state)
{
    struct vec v = VEC_INIT(int, 100);

    (void)state;
    push(&v, 1);
    assert_true(vec_reserve(&v, 99));
    assert_true(v.cap >= 100);
    void *before = v.ptr;
    for (int i = 0; i < 99; i++)
        push(&v, i);
    assert_ptr_equal(v.ptr, before);
    assert_true(vec_reserve(&v, 0));
    assert_false(vec_reserve(&v, 1));
    assert_false(vec_reserve(&v, SIZE_MAX));
    assert_int_equal(v.len, 100);
    vec_release(&v);
    mem_fail_at(1, 0);
    assert_false(vec_reserve(&v, 5));
    assert_int_equal(v.cap, 0);
    vec_release(&v);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vec__keeps_order),
        cmocka_unit_test(test_vec__room_for_no_more),
        cmocka_unit_test(test_vec__items_come_zeroed_again),
        cmocka_unit_test(test_vec__maximum_is_exact),
        cmocka_unit_test(test_vec__out_of_memory_changes_nothing),
        cmocka_unit_test(test_vec__huge_items_do_not_overflow),
        cmocka_unit_test(test_vec__room_for_many),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
