// SPDX-License-Identifier: MIT
// json_number.c: doubles from and to decimal text, exactly, whatever the process's locale.
//
// An embedding program may have set a locale whose decimal point is a comma, and strtod and printf
// follow it. So numbers pass through struct decimal: an integer of digits times a power of ten
// holds no point. Pure; any thread.
#include "base/json_int.h"

#include <float.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    // A double's exact decimal expansion, and so every point halfway between two doubles, has at
    // most 768 significant digits; of later ones it only matters whether they are all zero.
    DIGITS_MAX = 770,
    EXPLICIT_EXP_MAX = 1000000000,  // far more than the digits of a text can make up for
    EXP_MAX = 100000,               // beyond this everything is zero or infinite
    POSITIONAL_MAX = 21,            // 1e21 and more are written with an exponent
    POSITIONAL_MIN = -6,            // 1e-7 and less too
};

// digits * 10^exp10; the first digit is not 0.
struct decimal {
    char digits[DIGITS_MAX + 1];
    unsigned len;  // 0: the number is zero
    int64_t exp10;
};

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static void add_digit(struct decimal *d, char c)
{
    if (d->len == 0 && c == '0')
        return;
    if (d->len < DIGITS_MAX) {
        d->digits[d->len++] = c;
        return;
    }
    d->exp10++;
    if (c != '0')
        d->digits[DIGITS_MAX - 1] = '1';  // more than what the digits before say
}

// Reads an unsigned JSON number.
static void decimal_read(struct decimal *d, struct slice text)
{
    size_t at = 0;
    int64_t exp10 = 0;
    bool down = false;

    d->len = 0;
    d->exp10 = 0;
    for (; at < text.len && is_digit(text.ptr[at]); at++)
        add_digit(d, text.ptr[at]);
    if (at < text.len && text.ptr[at] == '.') {
        for (at++; at < text.len && is_digit(text.ptr[at]); at++) {
            add_digit(d, text.ptr[at]);
            d->exp10--;
        }
    }
    if (at < text.len) {
        at++;  // e or E
        if (text.ptr[at] == '-' || text.ptr[at] == '+')
            down = text.ptr[at++] == '-';
        for (; at < text.len; at++) {
            if (exp10 < EXPLICIT_EXP_MAX)
                exp10 = exp10 * 10 + (text.ptr[at] - '0');
        }
    }
    d->exp10 += down ? -exp10 : exp10;
}

// When the digits and the power of ten are doubles exactly, one operation rounds correctly.
static bool decimal_small(const struct decimal *d, double *value)
{
    static const double powers[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                    1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                    1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    const int64_t power_max = (int64_t)(sizeof(powers) / sizeof(powers[0])) - 1;
    int64_t whole = 0;

    if (FLT_EVAL_METHOD != 0 || d->len > DBL_DIG || d->exp10 > power_max || d->exp10 < -power_max)
        return false;
    for (unsigned i = 0; i < d->len; i++)
        whole = whole * 10 + (d->digits[i] - '0');
    if (d->exp10 < 0)
        *value = (double)whole / powers[-d->exp10];
    else
        *value = (double)whole * powers[d->exp10];
    return true;
}

static double decimal_value(const struct decimal *d)
{
    char text[DIGITS_MAX + 16];
    double value;
    int64_t exp10 = d->exp10;

    if (d->len == 0)
        return 0;
    if (decimal_small(d, &value))
        return value;
    if (exp10 > EXP_MAX)
        exp10 = EXP_MAX;
    if (exp10 < -EXP_MAX)
        exp10 = -EXP_MAX;
    snprintf(text, sizeof(text), "%.*se%d", (int)d->len, d->digits, (int)exp10);
    return strtod(text, NULL);
}

double json_number_read(struct slice number)
{
    struct decimal d;
    bool negative = number.ptr[0] == '-';

    decimal_read(&d, slice_of(number.ptr + negative, number.len - negative));
    return negative ? -decimal_value(&d) : decimal_value(&d);
}

// The fewest digits that read back as value > 0. Fifteen digits, without zeros at the end, are the
// fewest whenever they suffice, except below DBL_MIN, where doubles are less precise.
static void decimal_shortest(struct decimal *d, double value)
{
    for (int digits = value < DBL_MIN ? 1 : DBL_DIG; digits <= DBL_DECIMAL_DIG; digits++) {
        char text[64];
        char *p = text;
        snprintf(text, sizeof(text), "%.*e", digits - 1, value);
        d->len = 0;
        d->exp10 = 0;
        for (; *p != 'e'; p++) {
            if (is_digit(*p))  // the point, whatever it looks like, is passed over
                d->digits[d->len++] = *p;
        }
        d->exp10 = strtol(p + 1, NULL, 10) - (digits - 1);
        while (d->len > 1 && d->digits[d->len - 1] == '0') {
            d->len--;
            d->exp10++;
        }
        if (decimal_value(d) == value)
            return;
    }
}

size_t json_number_write(char out[JSON_NUMBER_BYTES], double d)
{
    struct decimal dec;
    const char *sign = signbit(d) ? "-" : "";
    int n;

    if (d == 0)
        return (size_t)snprintf(out, JSON_NUMBER_BYTES, "%s0", sign);
    decimal_shortest(&dec, fabs(d));
    int len = (int)dec.len;
    int point = len + (int)dec.exp10;  // the decimal point stands after so many digits
    const char *digits = dec.digits;
    if (point > POSITIONAL_MAX || point <= POSITIONAL_MIN)
        n = snprintf(out, JSON_NUMBER_BYTES, "%s%c%s%.*se%+d", sign, digits[0], len > 1 ? "." : "",
                     len - 1, digits + 1, point - 1);
    else if (point >= len)
        n = snprintf(out, JSON_NUMBER_BYTES, "%s%.*s%.*s", sign, len, digits, point - len,
                     "000000000000000000000");
    else if (point > 0)
        n = snprintf(out, JSON_NUMBER_BYTES, "%s%.*s.%.*s", sign, point, digits, len - point,
                     digits + point);
    else
        n = snprintf(out, JSON_NUMBER_BYTES, "%s0.%.*s%.*s", sign, -point, "000000", len, digits);
    return (size_t)n;
}
