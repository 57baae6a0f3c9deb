// SPDX-License-Identifier: MIT
// Clocks, and times and spans as text.
#include "base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define DAY_MS ((int64_t)86400000)

static void test_clock__system_grows(void **state)
{
    const struct clock *c = clock_system();
    int64_t last = clock_mono_ns(c);

    (void)state;
    for (int i = 0; i < 1000; i++) {
        int64_t now = clock_mono_ns(c);
        assert_true(now >= last);
        last = now;
    }
    assert_true(clock_wall_ms(c) > 1700000000000);
}

static void test_clock__simulated_moves_when_told(void **state)
{
    struct clock_sim s;

    (void)state;
    clock_sim_init(&s, 5000);
    assert_int_equal(clock_wall_ms(&s.clock), 5000);
    assert_int_equal(clock_mono_ns(&s.clock), 0);
    clock_sim_advance(&s, 20);
    assert_int_equal(clock_wall_ms(&s.clock), 5020);
    assert_int_equal(clock_mono_ns(&s.clock), 20000000);
    clock_sim_jump(&s, -1000);
    assert_int_equal(clock_wall_ms(&s.clock), 4020);
    assert_int_equal(clock_mono_ns(&s.clock), 20000000);
}

static void assert_text(int64_t ms, const char *want)
{
    char text[CLOCK_TEXT_BYTES];

    clock_format(ms, text);
    assert_string_equal(text, want);
}

static void test_clock__format(void **state)
{
    (void)state;
    assert_text(0, "1970-01-01T00:00:00.000Z");
    assert_text(-1, "1969-12-31T23:59:59.999Z");
    assert_text(1769903999123, "2026-01-31T23:59:59.123Z");
    assert_text(951782400000, "2000-02-29T00:00:00.000Z");
    assert_text(-62167219200000, "0000-01-01T00:00:00.000Z");
    assert_text(253402300799999, "9999-12-31T23:59:59.999Z");
    // What four digits cannot hold becomes the nearest end.
    assert_text(INT64_MAX, "9999-12-31T23:59:59.999Z");
    assert_text(INT64_MIN, "0000-01-01T00:00:00.000Z");
}

// The day before a text, and the day after, are neighbours on the calendar, for 10,000 years.
static void test_clock__every_day_comes_back(void **state)
{
    (void)state;
    for (int64_t day = -719528; day <= 2932896; day += 17) {
        char text[CLOCK_TEXT_BYTES];
        int64_t ms = day * DAY_MS + (day * 7919 % DAY_MS + DAY_MS) % DAY_MS;
        int64_t back = 0;

        clock_format(ms, text);
        assert_int_equal(clock_parse(slice_str(text), &back, NULL), E_OK);
        assert_int_equal(back, ms);
        assert_int_equal(clock_parse(slice_of(text, 10), &back, NULL), E_OK);
        assert_int_equal(back, day * DAY_MS);
    }
}

static void test_clock__parse_takes_what_rfc_3339_takes(void **state)
{
    static const struct {
        const char *text;
        int64_t ms;
    } cases[] = {
        {"1970-01-02", 86400000},           {"1970-01-01T00:00:01Z", 1000},
        {"1970-01-01t00:00:01z", 1000},     {"1970-01-01 00:00:01Z", 1000},
        {"1970-01-01T02:00:00+02:00", 0},   {"1969-12-31T18:30:00-05:30", 0},
        {"1970-01-01T00:00:00.5Z", 500},    {"1970-01-01T00:00:00.1239999999999999999999Z", 123},
        {"1970-01-01T23:59:60Z", 86400000}, {"2024-02-29", 1709164800000},
        {"2000-02-29", 951782400000},       {"1970-01-01T00:00:00-00:00", 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int64_t ms = -1;
        assert_int_equal(clock_parse(slice_str(cases[i].text), &ms, NULL), E_OK);
        assert_int_equal(ms, cases[i].ms);
    }
}

static void test_clock__parse_refuses_the_rest(void **state)
{
    static const char *const bad[] = {
        "",
        "tomorrow",
        "2026",
        "2026-01",
        "2026-1-01",
        "2026-13-01",
        "2026-00-01",
        "2026-01-00",
        "2026-01-32",
        "2026-04-31",
        "2023-02-29",
        "1900-02-29",
        "2026-01-01T",
        "2026-01-01T00:00Z",
        "2026-01-01T00:00:00",
        "2026-01-01T24:00:00Z",
        "2026-01-01T00:60:00Z",
        "2026-01-01T00:00:61Z",
        "2026-01-01T00:00:00.Z",
        "2026-01-01T00:00:00+2:00",
        "2026-01-01T00:00:00+24:00",
        "2026-01-01T00:00:00+00:60",
        "2026-01-01T00:00:00Zx",
        "2026-01-01x",
        "+026-01-01",
        "2026-01-01T00:00:00 Z",
        "2026-01-01T00:00:0",
    };
    struct err err = ERR_INIT;
    int64_t ms = 42;

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(clock_parse(slice_str(bad[i]), &ms, &err), E_USAGE);
    assert_int_equal(clock_parse(SLICE_NONE, &ms, &err), E_USAGE);
    assert_int_equal(clock_parse(SLICE_LIT("2026-01-01\0"), &ms, &err), E_USAGE);
    assert_int_equal(ms, 42);
    clock_parse(SLICE_LIT("tomorrow"), &ms, &err);
    assert_non_null(strstr(err.message, "tomorrow"));
    assert_non_null(strstr(err.message, "2026-01-31T23:59:59Z"));
}

static void test_clock__spans(void **state)
{
    static const struct {
        const char *text;
        int64_t ms;
    } cases[] = {
        {"250ms", 250},
        {"45s", 45000},
        {"30m", 1800000},
        {"2h", 7200000},
        {"30d", 2592000000},
        {"1.5h", 5400000},
        {"0s", 0},
        {"0.25s", 250},
        {"1.9ms", 1},
        {"0.000000001d", 0},
        {"0.1d", 8640000},
        {"0.33333333333333333333s", 333},
        {"9223372036854775807ms", INT64_MAX},
    };
    static const char *const bad[] = {
        "",
        "30",
        "m",
        ".5h",
        "1.h",
        "1.5",
        "-1h",
        "+1h",
        "1 h",
        " 1h",
        "1h ",
        "1H",
        "1w",
        "1h30m",
        "9223372036854775808ms",
        "9223372036854775807s",
        "99999999999999999999d",
        "1e3s",
        "1,5h",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int64_t ms = -1;
        assert_int_equal(clock_parse_span(slice_str(cases[i].text), &ms, NULL), E_OK);
        assert_int_equal(ms, cases[i].ms);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct err err = ERR_INIT;
        int64_t ms = 42;
        assert_int_equal(clock_parse_span(slice_str(bad[i]), &ms, &err), E_USAGE);
        assert_int_equal(ms, 42);
        assert_non_null(strstr(err.message, "30m"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_clock__system_grows),
        cmocka_unit_test(test_clock__simulated_moves_when_told),
        cmocka_unit_test(test_clock__format),
        cmocka_unit_test(test_clock__every_day_comes_back),
        cmocka_unit_test(test_clock__parse_takes_what_rfc_3339_takes),
        cmocka_unit_test(test_clock__parse_refuses_the_rest),
        cmocka_unit_test(test_clock__spans),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
