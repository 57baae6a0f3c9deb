// SPDX-License-Identifier: MIT
// clock.c: the system's clock, a simulated one, and times and spans as text.
//
// Text never depends on the locale or the time zone of the process: dates are counted here, in the
// proleptic Gregorian calendar. The system clock: any thread. A simulated one: one thread.
#include "base/clock.h"

#include <stdio.h>
#include <time.h>

#define SECOND_MS ((int64_t)1000)
#define MINUTE_MS (60 * SECOND_MS)
#define HOUR_MS (60 * MINUTE_MS)
#define DAY_MS (24 * HOUR_MS)
#define YEAR_0_MS (-62167219200000)    // 0000-01-01T00:00:00.000Z
#define YEAR_9999_MS (253402300799999) // 9999-12-31T23:59:59.999Z

static int64_t system_wall_ms(void *self)
{
    struct timespec t;

    (void)self;
    clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * SECOND_MS + t.tv_nsec / 1000000;
}

static int64_t system_mono_ns(void *self)
{
    struct timespec t;

    (void)self;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static int64_t system_boot_ms(void *self)
{
    struct timespec t;

    (void)self;
    clock_gettime(CLOCK_BOOTTIME, &t);
    return (int64_t)t.tv_sec * SECOND_MS + t.tv_nsec / 1000000;
}

void clock_boot_id(char out[CLOCK_BOOT_ID_BYTES])
{
    FILE *file = fopen("/proc/sys/kernel/random/boot_id", "re");
    size_t len = file ? fread(out, 1, CLOCK_BOOT_ID_BYTES - 1, file) : 0;

    if (file)
        fclose(file);
    while (len > 0 && out[len - 1] == '\n')
        len--;
    out[len] = '\0';
}

const struct clock *clock_system(void)
{
    static const struct clock system = {
        .wall_ms = system_wall_ms, .mono_ns = system_mono_ns, .boot_ms = system_boot_ms};

    return &system;
}

static int64_t sim_wall_ms(void *self)
{
    return ((const struct clock_sim *)self)->wall_now_ms;
}

static int64_t sim_mono_ns(void *self)
{
    return ((const struct clock_sim *)self)->mono_now_ns;
}

void clock_sim_init(struct clock_sim *s, int64_t wall_ms)
{
    *s = (struct clock_sim){
        .clock = {.wall_ms = sim_wall_ms, .mono_ns = sim_mono_ns, .self = s},
        .wall_now_ms = wall_ms,
    };
}

void clock_sim_advance(struct clock_sim *s, int64_t ms)
{
    BUG_ON(ms < 0);
    s->wall_now_ms += ms;
    s->mono_now_ns += ms * 1000000;
}

void clock_sim_jump(struct clock_sim *s, int64_t ms)
{
    s->wall_now_ms += ms;
}

// Days since 1970-01-01. Years are counted from March, so that the leap day ends the year; a cycle
// of 400 years has 146097 days.
static int64_t days_of(int year, int month, int day)
{
    int from_march = (month + 9) % 12;
    int y = month <= 2 ? year - 1 : year;
    int cycle = (y >= 0 ? y : y - 399) / 400;
    int y_in = y - cycle * 400;
    int day_in_year = (153 * from_march + 2) / 5 + day - 1;

    return (int64_t)cycle * 146097 + y_in * 365 + y_in / 4 - y_in / 100 + day_in_year - 719468;
}

static void date_of(int64_t days, int *year, int *month, int *day)
{
    days += 719468;
    int64_t cycle = (days >= 0 ? days : days - 146096) / 146097;
    int in = (int)(days - cycle * 146097);
    int y_in = (in - in / 1460 + in / 36524 - in / 146096) / 365;
    int day_in_year = in - (y_in * 365 + y_in / 4 - y_in / 100);
    int from_march = (5 * day_in_year + 2) / 153;

    *day = day_in_year - (153 * from_march + 2) / 5 + 1;
    *month = from_march < 10 ? from_march + 3 : from_march - 9;
    *year = (int)(cycle * 400) + y_in + (*month <= 2);
}

void clock_format(int64_t wall_ms, char out[CLOCK_TEXT_BYTES])
{
    int year, month, day;

    // RFC 3339 has four digits for the year: what lies outside becomes the nearest end, so that
    // whatever is written can be read.
    if (wall_ms < YEAR_0_MS)
        wall_ms = YEAR_0_MS;
    if (wall_ms > YEAR_9999_MS)
        wall_ms = YEAR_9999_MS;
    int64_t days = wall_ms / DAY_MS - (wall_ms % DAY_MS < 0);
    int in_day = (int)(wall_ms - days * DAY_MS);

    date_of(days, &year, &month, &day);
    snprintf(out, CLOCK_TEXT_BYTES, "%04u-%02u-%02uT%02u:%02u:%02u.%03uZ", (unsigned)year % 10000,
             (unsigned)month % 100, (unsigned)day % 100, (unsigned)(in_day / HOUR_MS) % 100,
             (unsigned)(in_day / MINUTE_MS) % 60, (unsigned)(in_day / SECOND_MS) % 60,
             (unsigned)in_day % 1000);
}

// What is still to be read.
struct reader {
    const char *at, *end;
};

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

// Reads exactly `count` digits.
static bool read_digits(struct reader *r, int count, int *out)
{
    int n = 0;

    if (r->end - r->at < count)
        return false;
    for (int i = 0; i < count; i++, r->at++) {
        if (!is_digit(*r->at))
            return false;
        n = n * 10 + (*r->at - '0');
    }
    *out = n;
    return true;
}

// Reads one character of `set`.
static bool read_one(struct reader *r, const char *set, char *out)
{
    if (r->at == r->end || *r->at == '\0' || !strchr(set, *r->at))
        return false;
    char c = *r->at++;
    if (out)
        *out = c;
    return true;
}

static bool read_date(struct reader *r, int64_t *days)
{
    static const char lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int year, month, day;

    if (!read_digits(r, 4, &year) || !read_one(r, "-", NULL) || !read_digits(r, 2, &month) ||
        !read_one(r, "-", NULL) || !read_digits(r, 2, &day))
        return false;
    bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    if (month < 1 || month > 12 || day < 1 || day > lengths[month - 1] + (month == 2 && leap))
        return false;
    *days = days_of(year, month, day);
    return true;
}

// "23:59:59" with an optional fraction, of which milliseconds count.
static bool read_time(struct reader *r, int64_t *ms)
{
    int hour, minute, second, scale = 100;
    int64_t fraction = 0;

    if (!read_digits(r, 2, &hour) || !read_one(r, ":", NULL) || !read_digits(r, 2, &minute) ||
        !read_one(r, ":", NULL) || !read_digits(r, 2, &second))
        return false;
    if (hour > 23 || minute > 59 || second > 60) // 60 is a leap second: the next minute's first
        return false;
    if (read_one(r, ".", NULL)) {
        if (r->at == r->end || !is_digit(*r->at))
            return false;
        for (; r->at < r->end && is_digit(*r->at); r->at++, scale /= 10)
            fraction += (*r->at - '0') * scale;
    }
    *ms = hour * HOUR_MS + minute * MINUTE_MS + second * SECOND_MS + fraction;
    return true;
}

// "Z" or "+02:00".
static bool read_offset(struct reader *r, int64_t *ms)
{
    int hour, minute;
    char sign;

    *ms = 0;
    if (read_one(r, "Zz", NULL))
        return true;
    if (!read_one(r, "+-", &sign) || !read_digits(r, 2, &hour) || !read_one(r, ":", NULL) ||
        !read_digits(r, 2, &minute) || hour > 23 || minute > 59)
        return false;
    *ms = (sign == '-' ? -1 : 1) * (hour * HOUR_MS + minute * MINUTE_MS);
    return true;
}

// Bad input is quoted in messages only so far.
enum { QUOTE_MAX = 40 };

static int bad(struct slice text, struct err *err, const char *hint)
{
    if (text.len > QUOTE_MAX)
        text.len = QUOTE_MAX;
    return err_set(err, E_USAGE, "\"%.*s\" is not a %s", SLICE_FMT(text), hint);
}

int clock_parse(struct slice text, int64_t *wall_ms, struct err *err)
{
    static const char hint[] = "time: write it like 2026-01-31T23:59:59Z, "
                               "2026-01-31T23:59:59.5+02:00 or 2026-01-31";
    struct reader r = {text.ptr, text.len ? text.ptr + text.len : text.ptr};
    int64_t days, in_day = 0, offset = 0;

    if (!read_date(&r, &days))
        return bad(text, err, hint);
    if (r.at != r.end) {
        if (!read_one(&r, "Tt ", NULL) || !read_time(&r, &in_day) || !read_offset(&r, &offset) ||
            r.at != r.end)
            return bad(text, err, hint);
    }
    *wall_ms = days * DAY_MS + in_day - offset;
    return E_OK;
}

// The unit named by the rest of the text, in ms; 0 when there is no such unit.
static int64_t unit_ms(struct slice name)
{
    static const struct {
        const char *name;
        int64_t ms;
    } units[] = {
        {"ms", 1}, {"s", SECOND_MS}, {"m", MINUTE_MS}, {"h", HOUR_MS}, {"d", DAY_MS},
    };

    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        if (slice_is(name, units[i].name))
            return units[i].ms;
    }
    return 0;
}

int clock_parse_span(struct slice text, int64_t *ms, struct err *err)
{
    static const char hint[] = "span of time: write it like 250ms, 45s, 30m, 1.5h or 30d";
    size_t at = 0, whole_at;
    int64_t whole = 0, fraction = 0, scale = 1, total;

    for (; at < text.len && is_digit(text.ptr[at]); at++) {
        if (__builtin_mul_overflow(whole, 10, &whole) ||
            __builtin_add_overflow(whole, text.ptr[at] - '0', &whole))
            return bad(text, err, hint);
    }
    if (at == 0)
        return bad(text, err, hint);
    if (at < text.len && text.ptr[at] == '.') {
        whole_at = ++at;
        // The tenth digit of a day is less than a millisecond: it is read and does not count.
        for (; at < text.len && is_digit(text.ptr[at]); at++) {
            if (scale < 1000000000) {
                fraction = fraction * 10 + (text.ptr[at] - '0');
                scale *= 10;
            }
        }
        if (at == whole_at)
            return bad(text, err, hint);
    }
    int64_t unit = unit_ms(slice_of(text.ptr + at, text.len - at));
    if (unit == 0 || __builtin_mul_overflow(whole, unit, &total) ||
        __builtin_add_overflow(total, fraction * unit / scale, &total))
        return bad(text, err, hint);
    *ms = total;
    return E_OK;
}
