// SPDX-License-Identifier: MIT
// card.c: payment card numbers: 12 to 19 digits in groups with one separator, blank or dash, or in
// one piece; a brand's prefix and one of its lengths; Luhn's check digit (ISO/IEC 7812-1 Annex B).
#include "redact/recognise.h"

// Hardly any card has twelve digits; other ids that are written like cards do.
enum { SURE = 85, SURE_SHORT = 55 };
enum { DIGITS_MAX = 19, GROUP_FIRST = 4, GROUP_MIN = 3, GROUP_MAX = 7, LAST_GROUP_MIN = 2 };

// Prefixes of issuers, six digits from..to, and lengths a bit each: ISO/IEC 7812 ranges as listed
// in Wikipedia, "Payment card number" (2026-10), CC BY-SA.
#define L(n) (1U << (n))
#define L16_19 (L(16) | L(17) | L(18) | L(19))
static const struct {
    uint32_t from, to, lengths;
} brands[] = {
    {100000, 199999, L(15)},                          // UATP
    {220000, 220499, L16_19},                         // Mir
    {222100, 272099, L(16)},                          // Mastercard
    {300000, 305999, L(14) | L16_19},                 // Diners Club
    {309500, 309599, L(14) | L16_19},                 // Diners Club
    {340000, 349999, L(15)},                          // American Express
    {352800, 358999, L16_19},                         // JCB
    {360000, 369999, L(14) | L(15) | L16_19},         // Diners Club
    {370000, 379999, L(15)},                          // American Express
    {380000, 399999, L(14) | L16_19},                 // Diners Club
    {400000, 499999, L(13) | L(16) | L(18) | L(19)},  // Visa
    {500000, 509999, L(12) | L(13) | L(14) | L(15) | L16_19},  // Maestro, Dankort, Verve, RuPay
    {510000, 559999, L(16)},                          // Mastercard
    {560000, 589999, L(12) | L(13) | L(14) | L(15) | L16_19},  // Maestro
    {600000, 699999, L(12) | L(13) | L(14) | L(15) | L16_19},  // Maestro, Discover, UnionPay, RuPay
    {810000, 829999, L16_19},                         // UnionPay, RuPay
    {979200, 979289, L(16)},                          // Troy
};

static bool is_brand(const uint8_t *digits, unsigned n)
{
    uint32_t prefix = 0;

    for (unsigned i = 0; i < 6; i++)
        prefix = 10 * prefix + digits[i];
    for (size_t i = 0; i < sizeof(brands) / sizeof(brands[0]); i++)
        if (prefix >= brands[i].from && prefix <= brands[i].to && brands[i].lengths & L(n))
            return true;
    return false;
}

// The sums of Luhn's check, as digits come: the second digit from the end counts twice, and so
// on; so one sum for each of the two ways that it may fall.
struct luhn {
    unsigned sums[2];  // of numbers with an even and an odd count of digits
};

static void luhn_add(struct luhn *l, unsigned at, unsigned digit)
{
    static const unsigned char twice[] = {0, 2, 4, 6, 8, 1, 3, 5, 7, 9};

    l->sums[at % 2] += twice[digit];
    l->sums[1 - at % 2] += digit;
}

static bool luhn_holds(const struct luhn *l, unsigned n)
{
    return l->sums[n % 2] % 10 == 0;
}

// Whether the number stops at i: no letter or digit follows, no decimals, no further group.
static bool stops(struct view *v, size_t i, int separator)
{
    int c = view_at(v, i);

    if (view_word(v, i))
        return false;
    if (c == '.' || c == ',' || (c == '-' && separator != ' '))
        return !is_digit(view_at(v, i + 1));
    return true;
}

// 4000 4001 4002 4003: a row of numbers, as in a table, is no card.
static bool is_row(const uint8_t *digits, unsigned n)
{
    int before = 0, step = 0;

    for (unsigned g = 0; g + GROUP_FIRST <= n; g += GROUP_FIRST) {
        int value = 0;

        for (unsigned i = 0; i < GROUP_FIRST; i++)
            value = 10 * value + digits[g + i];
        if (g > GROUP_FIRST && value - before != step)
            return false;
        step = value - before;
        before = value;
    }
    return step != 0;
}

bool card_at(struct view *v, size_t at, struct match *out)
{
    uint8_t digits[DIGITS_MAX];
    struct luhn luhn = {{0}};
    unsigned n = 0, group = 0;
    int separator = 0, before = view_before(v, at);

    out->end = 0;
    if (before == '+')  // a telephone number
        return false;
    if ((before == '-' || before == '.' || before == ',') && at > 1 &&
        is_digit(view_before(v, at - 1)))
        return false;
    for (size_t i = at;; i++) {
        int c = view_at(v, i);
        if (is_digit(c)) {
            if (n == DIGITS_MAX)
                break;
            digits[n] = (uint8_t)(c - '0');
            luhn_add(&luhn, n, digits[n]);
            n++, group++;
            continue;
        }
        bool whole = group == n || group >= LAST_GROUP_MIN;
        if (n >= 12 && whole && luhn_holds(&luhn, n) && is_brand(digits, n) &&
            (group == n || !is_row(digits, n)) && stops(v, i, separator))
            *out = (struct match){.end = i, .score = n == 12 ? SURE_SHORT : SURE};
        bool goes_on = (c == ' ' || c == '-') && (!separator || c == separator) &&
                       group >= (separator ? GROUP_MIN : GROUP_FIRST) &&
                       group <= (separator ? GROUP_MAX : GROUP_FIRST);
        if (!goes_on)
            break;
        separator = c;
        group = 0;
    }
    return out->end != 0;
}
