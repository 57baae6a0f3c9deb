// SPDX-License-Identifier: MIT
// card.c: payment card numbers: 12 to 19 digits in groups with one separator, blank or dash, or in
// one piece; a brand's prefix and one of its lengths; Luhn's check digit (ISO/IEC 7812-1 Annex B).
#include "redact/recognise.h"

// Hardly any card has twelve digits; other ids that are written like cards do.
enum { SURE = 85, SURE_SHORT = 55 };
enum { DIGITS_MIN = 12, DIGITS_MAX = 19, PREFIX_DIGITS = 6 };
enum { GROUP_FIRST = 4, GROUP_MIN = 3, GROUP_MAX = 7, LAST_GROUP_MIN = 2 };

// Prefixes of issuers, six digits from..to, in order, and lengths a bit each: ISO/IEC 7812 ranges
// as listed in Wikipedia, "Payment card number" (2026-10), CC BY-SA.
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

// The lengths of cards that begin so.
static uint32_t lengths_of(const uint8_t *digits)
{
    uint32_t prefix = 0;

    for (unsigned i = 0; i < PREFIX_DIGITS; i++)
        prefix = 10 * prefix + digits[i];
    for (size_t i = 0; i < sizeof(brands) / sizeof(brands[0]); i++)
        if (prefix <= brands[i].to)
            return prefix >= brands[i].from ? brands[i].lengths : 0;
    return 0;
}

static bool is_luhn(const uint8_t *digits, unsigned n)
{
    static const uint8_t twice[] = {0, 2, 4, 6, 8, 1, 3, 5, 7, 9};
    unsigned sum = 0;

    for (unsigned i = 0; i < n; i++)
        sum += (n - i) % 2 ? digits[i] : twice[digits[i]];
    return sum % 10 == 0;
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

// Groups as far as they may be those of a card.
struct groups {
    struct {
        size_t end;
        unsigned digits, len;  // up to its end; its own
    } of[DIGITS_MAX];
    size_t n;
    int separator;
};

static void read_groups(struct view *v, size_t at, struct groups *g)
{
    unsigned digits = 0;

    g->n = 0;
    g->separator = 0;
    for (size_t i = at;; i++) {
        unsigned len = (unsigned)view_digits(v, i, DIGITS_MAX + 1);
        digits += len;
        if (len == 0 || digits > DIGITS_MAX)
            return;
        i += len;
        g->of[g->n].end = i;
        g->of[g->n].digits = digits;
        g->of[g->n++].len = len;
        int c = view_at(v, i);
        bool goes_on = (c == ' ' || c == '-') && (!g->separator || c == g->separator) &&
                       len >= (g->separator ? GROUP_MIN : GROUP_FIRST) &&
                       len <= (g->separator ? GROUP_MAX : GROUP_FIRST);
        if (!goes_on)
            return;
        g->separator = c;
    }
}

static void read_digits(const struct view *v, size_t at, uint8_t *digits, unsigned n)
{
    for (size_t i = at; n > 0; i++)
        if (is_digit((unsigned char)v->ptr[i]))
            *digits++ = (uint8_t)(v->ptr[i] - '0'), n--;
}

bool card_at(struct view *v, size_t at, struct match *out)
{
    uint8_t digits[DIGITS_MAX];
    struct groups g;
    int before = view_before(v, at);

    out->end = 0;
    if (before == '+')  // a telephone number
        return false;
    if ((before == '-' || before == '.' || before == ',') && at > 1 &&
        is_digit(view_before(v, at - 1)))
        return false;
    read_groups(v, at, &g);
    if (g.n == 0 || g.of[g.n - 1].digits < DIGITS_MIN)
        return false;
    read_digits(v, at, digits, PREFIX_DIGITS);
    uint32_t lengths = lengths_of(digits), found = 0;
    for (size_t k = 0; k < g.n; k++)
        found |= lengths & L(g.of[k].digits);
    if (!found)
        return false;
    read_digits(v, at, digits, g.of[g.n - 1].digits);
    for (size_t k = 0; k < g.n; k++) {
        unsigned n = g.of[k].digits;
        bool fits = lengths & L(n) && (k == 0 || g.of[k].len >= LAST_GROUP_MIN);
        int separator = k == 0 ? 0 : g.separator;
        if (fits && is_luhn(digits, n) && (k == 0 || !is_row(digits, n)) &&
            stops(v, g.of[k].end, separator))
            *out = (struct match){.end = g.of[k].end,
                                  .score = n == DIGITS_MIN ? SURE_SHORT : SURE};
    }
    return out->end != 0;
}
