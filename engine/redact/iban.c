// SPDX-License-Identifier: MIT
// iban.c: international bank account numbers (ISO 13616): country, two check digits, as many
// letters and digits as the country has, the whole 1 modulo 97. Blanks or dashes may stand between
// any two.
#include "redact/recognise.h"

// Lengths by country: SWIFT, IBAN Registry, release 99.
#define L(first, second, length) [(first) - 'A'][(second) - 'A'] = (length)
static const unsigned char lengths[26][26] = {
    L('A', 'D', 24), L('A', 'E', 23), L('A', 'L', 28), L('A', 'T', 20), L('A', 'Z', 28),
    L('B', 'A', 20), L('B', 'E', 16), L('B', 'G', 22), L('B', 'H', 22), L('B', 'I', 27),
    L('B', 'R', 29), L('B', 'Y', 28), L('C', 'H', 21), L('C', 'R', 22), L('C', 'Y', 28),
    L('C', 'Z', 24), L('D', 'E', 22), L('D', 'J', 27), L('D', 'K', 18), L('D', 'O', 28),
    L('E', 'E', 20), L('E', 'G', 29), L('E', 'S', 24), L('F', 'I', 18), L('F', 'K', 18),
    L('F', 'O', 18), L('F', 'R', 27), L('G', 'B', 22), L('G', 'E', 22), L('G', 'I', 23),
    L('G', 'L', 18), L('G', 'R', 27), L('G', 'T', 28), L('H', 'N', 28), L('H', 'R', 21),
    L('H', 'U', 28), L('I', 'E', 22), L('I', 'L', 23), L('I', 'Q', 23), L('I', 'S', 26),
    L('I', 'T', 27), L('J', 'O', 30), L('K', 'W', 30), L('K', 'Z', 20), L('L', 'B', 28),
    L('L', 'C', 32), L('L', 'I', 21), L('L', 'T', 20), L('L', 'U', 20), L('L', 'V', 21),
    L('L', 'Y', 25), L('M', 'C', 27), L('M', 'D', 24), L('M', 'E', 22), L('M', 'K', 19),
    L('M', 'N', 20), L('M', 'R', 27), L('M', 'T', 31), L('M', 'U', 30), L('N', 'I', 28),
    L('N', 'L', 18), L('N', 'O', 15), L('O', 'M', 23), L('P', 'K', 24), L('P', 'L', 28),
    L('P', 'S', 29), L('P', 'T', 25), L('Q', 'A', 29), L('R', 'O', 24), L('R', 'S', 22),
    L('R', 'U', 33), L('S', 'A', 24), L('S', 'C', 31), L('S', 'D', 18), L('S', 'E', 24),
    L('S', 'I', 19), L('S', 'K', 24), L('S', 'M', 27), L('S', 'O', 23), L('S', 'T', 25),
    L('S', 'V', 28), L('T', 'L', 23), L('T', 'N', 24), L('T', 'R', 26), L('U', 'A', 29),
    L('V', 'A', 22), L('V', 'G', 24), L('X', 'K', 20), L('Y', 'E', 30),
};

static unsigned country_length(int first, int second)
{
    return lengths[to_lower(first) - 'a'][to_lower(second) - 'a'];
}

// What is left of a number modulo 97 once c, a letter or digit, is put behind it. That is done when
// it could grow too long.
static uint64_t append(uint64_t number, int c)
{
    if (number > UINT64_MAX / 1000)
        number %= 97;
    return is_digit(c) ? 10 * number + (uint64_t)(c - '0')
                       : 100 * number + (uint64_t)(to_lower(c) - 'a') + 10;
}

bool iban_at(struct view *v, size_t at, struct match *out)
{
    int head[4];
    uint64_t number = 0;
    unsigned n = 4;
    size_t i = at + 4;

    for (unsigned k = 0; k < 4; k++) {
        head[k] = view_at(v, at + k);
        if (k < 2 ? !is_letter(head[k]) : !is_digit(head[k]))
            return false;
    }
    unsigned length = country_length(head[0], head[1]);
    for (; n < length; i++, n++) {
        int c = view_at(v, i);
        if (c == ' ' || c == '-')
            c = view_at(v, ++i);
        if (!is_alnum(c))
            return false;
        number = append(number, c);
    }
    for (unsigned k = 0; k < 4; k++)
        number = append(number, head[k]);
    if (length == 0 || number % 97 != 1 || view_word(v, i))
        return false;
    *out = (struct match){.end = i, .score = 95};
    return true;
}
