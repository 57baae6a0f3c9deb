// SPDX-License-Identifier: MIT
// Maps: against a plain array through a long random history; walks with removal; limits; memory.
#include "base/err.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/rand.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { KEYS = 1000 };

static struct slice key_of(char text[32], uint64_t n)
{
    return slice_of(text, (size_t)snprintf(text, 32, "key number %u", (unsigned)n));
}

static void test_map__agrees_with_an_array(void **state)
{
    static char truth[KEYS];
    size_t live = 0;
    struct rand_sim r;
    struct map *m;
    char text[32];

    (void)state;
    rand_sim_init(&r, 1);
    assert_int_equal(map_new(&m, KEYS), E_OK);
    for (int step = 0; step < 50000; step++) {
        uint64_t k = rand_below(&r.rand, KEYS);
        struct slice key = key_of(text, k);
        char *want = truth[k] ? &truth[k] : NULL;
        void *old;

        assert_ptr_equal(map_get(m, key), want);
        // Phases of growing and shrinking, so that the table fills and empties.
        if (rand_below(&r.rand, 10) < (step / 5000 % 2 ? 3 : 7)) {
            assert_int_equal(map_set(m, key, &truth[k], &old), E_OK);
            assert_ptr_equal(old, want);
            live += !truth[k];
            truth[k] = 1;
        } else {
            assert_ptr_equal(map_remove(m, key), want);
            live -= (size_t)truth[k];
            truth[k] = 0;
        }
        assert_int_equal(map_len(m), live);
    }
    map_free(m);
    memset(truth, 0, sizeof(truth));
}

static void test_map__keys_are_bytes(void **state)
{
    int a, b, c, d;
    struct map *m;
    char text[] = "copied";

    (void)state;
    assert_int_equal(map_new(&m, 10), E_OK);
    assert_int_equal(map_set(m, SLICE_NONE, &a, NULL), E_OK);
    assert_int_equal(map_set(m, SLICE_LIT("x\0y"), &b, NULL), E_OK);
    assert_int_equal(map_set(m, SLICE_LIT("x"), &c, NULL), E_OK);
    assert_int_equal(map_set(m, slice_str(text), &d, NULL), E_OK);
    text[0] = '?';
    assert_ptr_equal(map_get(m, SLICE_LIT("")), &a);
    assert_ptr_equal(map_get(m, SLICE_LIT("x\0y")), &b);
    assert_ptr_equal(map_get(m, SLICE_LIT("x")), &c);
    assert_ptr_equal(map_get(m, SLICE_LIT("copied")), &d);
    assert_null(map_get(m, SLICE_LIT("x\0z")));
    map_free(m);
    map_free(NULL);
}

static void test_map__walk_sees_each_once(void **state)
{
    static int seen[KEYS];
    struct map *m;
    char text[32];
    struct slice key;
    void *value;

    (void)state;
    for (size_t count = 0; count < KEYS; count = count * 3 + 1) {
        size_t cursor = 0, visits = 0;

        assert_int_equal(map_new(&m, KEYS), E_OK);
        for (size_t i = 0; i < count; i++)
            assert_int_equal(map_set(m, key_of(text, i), &seen[i], NULL), E_OK);
        memset(seen, 0, sizeof(seen));
        // Removes every other one on the way; those were returned already, none is missed.
        while (map_next(m, &cursor, &key, &value)) {
            *(int *)value += 1;
            if (visits++ % 2)
                assert_ptr_equal(map_remove(m, key), value);
        }
        assert_false(map_next(m, &cursor, NULL, NULL));
        assert_int_equal(visits, count);
        for (size_t i = 0; i < count; i++)
            assert_int_equal(seen[i], 1);
        assert_int_equal(map_len(m), count - count / 2);
        map_free(m);
    }
}

static void test_map__maximum_refuses_new_keys_only(void **state)
{
    int a, b;
    void *old;
    struct map *m;

    (void)state;
    assert_int_equal(map_new(&m, 1), E_OK);
    assert_int_equal(map_set(m, SLICE_LIT("one"), &a, NULL), E_OK);
    assert_int_equal(map_set(m, SLICE_LIT("two"), &a, &old), E_REFUSED);
    assert_int_equal(map_set(m, SLICE_LIT("one"), &b, &old), E_OK);
    assert_ptr_equal(old, &a);
    assert_ptr_equal(map_remove(m, SLICE_LIT("one")), &b);
    assert_int_equal(map_set(m, SLICE_LIT("two"), &a, NULL), E_OK);
    map_free(m);
}

static void test_map__every_failed_allocation_is_survived(void **state)
{
    (void)state;
    for (uint64_t n = 1;; n++) {
        struct map *m = NULL;
        char text[32];
        int value, failed = 0;

        mem_fail_at(n, 0);
        uint64_t before = mem_count();
        if (map_new(&m, KEYS) == E_OK) {
            for (size_t i = 0; i < 40; i++) {
                size_t len = map_len(m);
                int rc = map_set(m, key_of(text, i), &value, NULL);

                failed += rc == E_NOMEM;
                assert_int_equal(map_len(m), len + (rc == E_OK));
                assert_ptr_equal(map_get(m, key_of(text, i)), rc == E_OK ? &value : NULL);
            }
            assert_int_equal(failed, mem_count() - before >= n);
        }
        uint64_t made = mem_count() - before;
        mem_fail_at(0, 0);
        map_free(m);
        if (made < n)
            break;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_map__agrees_with_an_array),
        cmocka_unit_test(test_map__keys_are_bytes),
        cmocka_unit_test(test_map__walk_sees_each_once),
        cmocka_unit_test(test_map__maximum_refuses_new_keys_only),
        cmocka_unit_test(test_map__every_failed_allocation_is_survived),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
