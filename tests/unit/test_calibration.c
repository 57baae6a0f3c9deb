// SPDX-License-Identifier: MIT
// test_calibration.c: learned ratios against an oracle that keeps every observation, the limits
// that a lying provider meets, merging, fading, and records that are damaged.
#include "tokens/calibration.h"

#include "base/rand.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
// after the headers that it needs
#include <cmocka.h>

enum { SMALL = 1000, OBSERVED_MAX = 200, BIN_PERMILLE = 22 };

static void observe(struct calibration *c, uint64_t permille, unsigned times)
{
    while (times-- > 0)
        assert_true(calibration_observe(c, SMALL, permille, CALIBRATION_WEIGHT));
}

static void assert_near(uint64_t got, uint64_t wanted)
{
    uint64_t off = got > wanted ? got - wanted : wanted - got;

    if (off * 1000 > wanted * BIN_PERMILLE)
        fail_msg("%llu is not within a bin of %llu", (unsigned long long)got,
                 (unsigned long long)wanted);
}

static void test_prior__shows_the_estimate_as_it_is_and_keeps_a_distance(void **state)
{
    struct calibration c;

    (void)state;
    calibration_init(&c);
    assert_int_equal(calibration_likely(&c, 12345), 12345);
    assert_near(calibration_most(&c, 100000), 131000);
    assert_true(calibration_least(&c, 100000) < 100000);
    assert_int_equal(c.seen, 0);
}

static void test_observe__converges(void **state)
{
    struct calibration c;

    (void)state;
    calibration_init(&c);
    observe(&c, 1300, 9);
    assert_near(calibration_likely(&c, 10000), 13000);
    // The prior stands for less than one in fifty once there are so many.
    observe(&c, 1300, 391);
    assert_near(calibration_likely(&c, 10000), 13000);
    assert_near(calibration_most(&c, 10000), 13200);
    assert_int_equal(c.seen, 400);
}

static int by_value(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static void test_observe__quantiles_are_those_of_what_was_seen(void **state)
{
    struct rand_sim sim;
    uint64_t seen[OBSERVED_MAX];

    (void)state;
    rand_sim_init(&sim, 7);
    for (unsigned round = 0; round < 200; round++) {
        struct calibration c = {0};
        uint64_t spread = 1 + rand_below(&sim.rand, 1500);
        unsigned n = 1 + (unsigned)rand_below(&sim.rand, OBSERVED_MAX);
        for (unsigned i = 0; i < n; i++) {
            seen[i] = 300 + rand_below(&sim.rand, spread);
            observe(&c, seen[i], 1);
        }
        qsort(seen, n, sizeof(seen[0]), by_value);
        assert_near(calibration_likely(&c, 1000), seen[(n - 1) / 2]);
        uint64_t most = calibration_most(&c, 1000), covered = 0;
        for (unsigned i = 0; i < n; i++)
            covered += seen[i] <= most;
        assert_true(covered * 1000 >= (uint64_t)n * CALIBRATION_MOST_PERMILLE);
        // Not more than it takes: within a bin of the one that it has to hold.
        uint64_t rank = ((uint64_t)n * CALIBRATION_MOST_PERMILLE + 999) / 1000;
        assert_near(most, seen[rank - 1] + seen[rank - 1] * BIN_PERMILLE / 2000);
        assert_true(calibration_least(&c, 1000) <= calibration_likely(&c, 1000));
        assert_true(calibration_likely(&c, 1000) <= most);
    }
}

static void test_observe__what_is_no_count_changes_nothing(void **state)
{
    static const struct {
        uint64_t estimated, billed;
    } odd[] = {{1000, 0},         {1000, 1},           {1000, 249},  {1000, 4000},
               {1000, UINT64_MAX}, {127, 127},         {0, 10},      {UINT64_MAX, 1000},
               {1000, 1u << 30},  {CALIBRATION_TOKENS_MIN - 1, 127}};
    struct calibration c, before;

    (void)state;
    calibration_init(&c);
    before = c;
    for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
        for (unsigned n = 0; n < 1000; n++)
            assert_false(calibration_observe(&c, odd[i].estimated, odd[i].billed,
                                             CALIBRATION_WEIGHT));
    }
    assert_false(calibration_observe(&c, 1000, 1000, 0));
    assert_memory_equal(&c, &before, sizeof(c));
}

static void test_observe__few_odd_ones_do_not_move_it(void **state)
{
    struct calibration c;

    (void)state;
    calibration_init(&c);
    observe(&c, 1050, 200);
    uint64_t likely = calibration_likely(&c, 100000), most = calibration_most(&c, 100000);
    observe(&c, 3900, 2);  // within the range, and one in a hundred
    observe(&c, 260, 2);
    assert_near(calibration_likely(&c, 100000), likely);
    assert_near(calibration_most(&c, 100000), most);
    // At the range's ends, however many: never beyond a factor of four.
    observe(&c, 3999, 2000);
    assert_true(calibration_most(&c, 100000) <= 400000);
    observe(&c, 250, 5000);
    assert_true(calibration_likely(&c, 100000) >= 25000);
}

static void test_observe__the_old_fades(void **state)
{
    struct calibration c;

    (void)state;
    calibration_init(&c);
    observe(&c, 900, 3000);
    assert_near(calibration_likely(&c, 10000), 9000);
    // The provider has changed the model's vocabulary.
    observe(&c, 1250, 400);
    assert_near(calibration_likely(&c, 10000), 12500);
    assert_true(c.total <= CALIBRATION_TOTAL_MAX);
    assert_int_equal(c.seen, 3400);
}

static void test_add__two_see_what_one_would(void **state)
{
    struct calibration one, a = {0}, b = {0}, ab, ba;

    (void)state;
    calibration_init(&one);
    ab = ba = one;
    for (unsigned i = 0; i < 100; i++) {
        observe(&one, 800 + 5 * i, 1);
        observe(i % 3 ? &a : &b, 800 + 5 * i, 1);
    }
    calibration_add(&ab, &a);
    calibration_add(&ab, &b);
    calibration_add(&ba, &b);
    calibration_add(&ba, &a);
    assert_memory_equal(&ab, &ba, sizeof(ab));
    assert_memory_equal(&ab, &one, sizeof(ab));
}

static void test_add__of_two_cuts_the_later_counts(void **state)
{
    struct calibration a = {.took_tokens = 4096, .took_at_ms = 10};
    struct calibration b = {.took_tokens = 8192, .took_at_ms = 20};
    struct calibration ab = a, ba = b;

    (void)state;
    calibration_add(&ab, &b);
    calibration_add(&ba, &a);
    assert_int_equal(ab.took_tokens, 8192);
    assert_int_equal(ba.took_tokens, 8192);
    assert_int_equal(ba.took_at_ms, 20);
}

static void test_fits__is_the_other_way(void **state)
{
    struct rand_sim sim;
    struct calibration c;

    (void)state;
    rand_sim_init(&sim, 8);
    calibration_init(&c);
    for (unsigned i = 0; i < 2000; i++) {
        uint64_t limit = rand_below(&sim.rand, 2000000);
        calibration_observe(&c, 1000, 251 + rand_below(&sim.rand, 3700), CALIBRATION_WEIGHT);
        uint64_t most = calibration_fits_most(&c, limit);
        uint64_t likely = calibration_fits_likely(&c, limit);
        assert_true(calibration_most(&c, most) <= limit);
        assert_true(calibration_most(&c, most + 1) > limit);
        assert_true(calibration_likely(&c, likely) <= limit);
        assert_true(calibration_likely(&c, likely + 1) > limit);
        assert_true(most <= likely);
    }
}

// ---- the record

static int read(struct calibration *c, const char *text, struct err *err)
{
    struct json_doc doc = JSON_DOC_INIT;

    assert_int_equal(json_parse(&doc, slice_str(text), 0, NULL), E_OK);
    int code = calibration_read_meta(c, json_root(&doc), err);
    json_doc_release(&doc);
    return code;
}

static void write(const struct calibration *c, struct buf *out)
{
    struct json_writer w;

    buf_clear(out);
    jw_init(&w, out);
    jw_object(&w);
    calibration_write_meta(c, &w);
    jw_object_end(&w);
    buf_add_char(out, '\0');
}

static void test_meta__comes_back(void **state)
{
    struct buf text = BUF_INIT(1 << 14);
    struct rand_sim sim;
    struct calibration c, back;

    (void)state;
    rand_sim_init(&sim, 9);
    calibration_init(&c);
    for (unsigned i = 0; i < 3000; i++) {
        if (i % 100 == 0) {
            write(&c, &text);
            assert_int_equal(read(&back, text.ptr, NULL), E_OK);
            assert_memory_equal(&back, &c, sizeof(c));
        }
        calibration_observe(&c, 1000, 251 + rand_below(&sim.rand, 3700),
                            1 + (uint32_t)rand_below(&sim.rand, 1024));
        c.took_tokens = i % 2 ? 4000 + i : 0;
        c.took_at_ms = i % 2 ? i : 0;
    }
    // The largest there can be is far below what a record's meta may have.
    assert_true(text.len < 2048);
    buf_release(&text);
}

static void test_meta__damaged_is_refused_and_the_prior_stands_in(void **state)
{
    static const char *const bad[] = {
        "{}",
        "[]",
        "{\"seen\":1,\"from\":3}",
        "{\"seen\":1,\"from\":3,\"bins\":[]}",
        "{\"seen\":1,\"from\":3,\"bins\":[0,0]}",
        "{\"seen\":1,\"from\":3,\"bins\":{\"a\":1}}",
        "{\"seen\":-1,\"from\":3,\"bins\":[1]}",
        "{\"seen\":1,\"from\":-1,\"bins\":[1]}",
        "{\"seen\":1,\"from\":128,\"bins\":[1]}",
        "{\"seen\":1,\"from\":127,\"bins\":[1,1]}",
        "{\"seen\":1,\"from\":3,\"bins\":[1,-1]}",
        "{\"seen\":1,\"from\":3,\"bins\":[1,1.5]}",
        "{\"seen\":1,\"from\":3,\"bins\":[65537]}",
        "{\"seen\":1,\"from\":3,\"bins\":[65000,537]}",
        "{\"seen\":1,\"from\":3,\"bins\":[\"1\"]}",
        "{\"seen\":1,\"from\":3,\"bins\":[1],\"took\":5}",
        "{\"seen\":1,\"from\":3,\"bins\":[1],\"took_at\":5}",
        "{\"seen\":1,\"from\":3,\"bins\":[1],\"took\":-5,\"took_at\":5}",
    };
    struct calibration c, prior;

    (void)state;
    calibration_init(&prior);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct err err = ERR_INIT;
        if (read(&c, bad[i], &err) != E_CORRUPT || !strstr(err.message, "calibration"))
            fail_msg("%s: %s", bad[i], err.message);
        assert_memory_equal(&c, &prior, sizeof(c));
    }
    assert_int_equal(read(&c, "{\"seen\":1,\"from\":127,\"bins\":[65536]}", NULL), E_OK);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_prior__shows_the_estimate_as_it_is_and_keeps_a_distance),
        cmocka_unit_test(test_observe__converges),
        cmocka_unit_test(test_observe__quantiles_are_those_of_what_was_seen),
        cmocka_unit_test(test_observe__what_is_no_count_changes_nothing),
        cmocka_unit_test(test_observe__few_odd_ones_do_not_move_it),
        cmocka_unit_test(test_observe__the_old_fades),
        cmocka_unit_test(test_add__two_see_what_one_would),
        cmocka_unit_test(test_add__of_two_cuts_the_later_counts),
        cmocka_unit_test(test_fits__is_the_other_way),
        cmocka_unit_test(test_meta__comes_back),
        cmocka_unit_test(test_meta__damaged_is_refused_and_the_prior_stands_in),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
