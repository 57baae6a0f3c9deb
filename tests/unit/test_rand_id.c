// SPDX-License-Identifier: MIT
// Randomness from a seed and from the system, ids, hexadecimal.
#include "base/id.h"
#include "base/rand.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void test_rand__same_seed_same_bytes(void **state)
{
    struct rand_sim a, b, c;
    unsigned char bytes_a[100], bytes_b[100];

    (void)state;
    rand_sim_init(&a, 7);
    rand_sim_init(&b, 7);
    rand_sim_init(&c, 8);
    rand_fill(&a.rand, bytes_a, sizeof(bytes_a));
    rand_fill(&b.rand, bytes_b, sizeof(bytes_b));
    assert_memory_equal(bytes_a, bytes_b, sizeof(bytes_a));
    rand_fill(&c.rand, bytes_b, sizeof(bytes_b));
    assert_memory_not_equal(bytes_a, bytes_b, sizeof(bytes_a));
}

// The generator itself: from the state {1, 2, 3, 4} these follow from its definition.
static void test_rand__is_xoshiro256starstar(void **state)
{
    struct rand_sim r;

    (void)state;
    rand_sim_init(&r, 0);
    for (uint64_t i = 0; i < 4; i++)
        r.s[i] = i + 1;
    assert_int_equal(rand_u64(&r.rand), 11520);
    assert_int_equal(rand_u64(&r.rand), 0);
    assert_int_equal(rand_u64(&r.rand), 1509978240);
}

static void test_rand__below_stays_below_and_reaches_all(void **state)
{
    struct rand_sim r;
    int seen[7] = {0};

    (void)state;
    rand_sim_init(&r, 3);
    for (int i = 0; i < 7000; i++)
        seen[rand_below(&r.rand, 7)]++;
    for (int i = 0; i < 7; i++)
        assert_in_range(seen[i], 800, 1200);
    assert_int_equal(rand_below(&r.rand, 1), 0);
    for (int i = 0; i < 100; i++)
        assert_true(rand_below(&r.rand, ((uint64_t)1 << 63) + 1) <= (uint64_t)1 << 63);
}

static void test_rand__system_fills(void **state)
{
    static unsigned char bytes[1000];
    size_t zeros = 0;

    (void)state;
    rand_fill(rand_system(), bytes, sizeof(bytes));
    for (size_t i = 0; i < sizeof(bytes); i++)
        zeros += bytes[i] == 0;
    assert_true(zeros < 100); // 4 are expected
    assert_int_not_equal(rand_u64(rand_system()), rand_u64(rand_system()));
}

static void test_id__new_is_valid(void **state)
{
    struct rand_sim r;
    char id[ID_TEXT_BYTES], last[ID_TEXT_BYTES] = "";

    (void)state;
    rand_sim_init(&r, 1);
    for (int i = 0; i < 1000; i++) {
        id_new(&r.rand, id);
        assert_int_equal(strlen(id), 36);
        assert_true(id_valid(slice_str(id)));
        assert_string_not_equal(id, last);
        memcpy(last, id, sizeof(id));
    }
}

static void test_id__valid_is_strict(void **state)
{
    static const char *const bad[] = {
        "",
        "6f0c9a52-2b1e-4c3d-8e9f-0123456789a",   // short
        "6f0c9a52-2b1e-4c3d-8e9f-0123456789abc", // long
        "6F0C9A52-2B1E-4C3D-8E9F-0123456789AB",  // upper case
        "6f0c9a52-2b1e-1c3d-8e9f-0123456789ab",  // version 1
        "6f0c9a52-2b1e-4c3d-7e9f-0123456789ab",  // another variant
        "6f0c9a52-2b1e-4c3d-ce9f-0123456789ab",  // another variant
        "6f0c9a52_2b1e-4c3d-8e9f-0123456789ab",  // no dash
        "6f0c9a522-b1e-4c3d-8e9f-0123456789ab",  // a dash elsewhere
        "6f0c9a52-2b1e-4c3d-8e9f-0123456789ag",  // no digit
        "{f0c9a52-2b1e-4c3d-8e9f-0123456789a}",
    };

    (void)state;
    assert_true(id_valid(SLICE_LIT("6f0c9a52-2b1e-4c3d-8e9f-0123456789ab")));
    assert_true(id_valid(SLICE_LIT("6f0c9a52-2b1e-4c3d-be9f-0123456789ab")));
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_false(id_valid(slice_str(bad[i])));
}

static void test_hex__there_and_back(void **state)
{
    unsigned char bytes[256], back[256];
    char text[513];

    (void)state;
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (unsigned char)i;
    hex_encode(bytes, sizeof(bytes), text);
    assert_int_equal(strlen(text), 512);
    assert_memory_equal(text, "000102", 6);
    assert_string_equal(text + 506, "fdfeff");
    assert_true(hex_decode(slice_str(text), back, sizeof(back)));
    assert_memory_equal(bytes, back, sizeof(bytes));
    assert_true(hex_decode(SLICE_LIT("aAfF"), back, 2));
    assert_memory_equal(back, "\xaa\xff", 2);
    hex_encode(bytes, 0, text);
    assert_string_equal(text, "");
    assert_true(hex_decode(SLICE_NONE, back, 0));
}

static void test_hex__refuses(void **state)
{
    unsigned char out[2];

    (void)state;
    assert_false(hex_decode(SLICE_LIT("aabb"), out, 1));
    assert_false(hex_decode(SLICE_LIT("aab"), out, 2));
    assert_false(hex_decode(SLICE_LIT("aabbc"), out, 2));
    assert_false(hex_decode(SLICE_LIT("aabg"), out, 2));
    assert_false(hex_decode(SLICE_LIT("0x12"), out, 2));
    assert_false(hex_decode(SLICE_LIT("aa b"), out, 2));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rand__same_seed_same_bytes),
        cmocka_unit_test(test_rand__is_xoshiro256starstar),
        cmocka_unit_test(test_rand__below_stays_below_and_reaches_all),
        cmocka_unit_test(test_rand__system_fills),
        cmocka_unit_test(test_id__new_is_valid),
        cmocka_unit_test(test_id__valid_is_strict),
        cmocka_unit_test(test_hex__there_and_back),
        cmocka_unit_test(test_hex__refuses),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
