// SPDX-License-Identifier: MIT
// iban.c: international bank account numbers (ISO 13616): country, two check digits, as many
// letters and digits as the country has, the whole 1 modulo 97. Blanks or dashes may stand between
// any two.
#include "redact/recognise.h"

// Lengths by country: SWIFT, IBAN Registry, release 99.
static const char lengths[] =
    "AD24AE23AL28AT20AZ28BA20BE16BG22BH22BI27BR29BY28CH21CR22CY28CZ24DE22DJ27DK18DO28EE20EG29ES24"
    "FI18FK18FO18FR27GB22GE22GI23GL18GR27GT28HN28HR21HU28IE22IL23IQ23IS26IT27JO30KW30KZ20LB28LC32"
    "LI21LT20LU20LV21LY25MC27MD24ME22MK19MN20MR27MT31MU30NI28NL18NO15OM23PK24PL28PS29PT25QA29RO24"
    "RS22RU33SA24SC31SD18SE24SI19SK24SM27SO23ST25SV28TL23TN24TR26UA29VA22VG24XK20YE30";

static unsigned country_length(int first, int second)
{
    for (const char *c = lengths; *c; c += 4)
        if (to_lower(c[0]) == to_lower(first) && to_lower(c[1]) == to_lower(second))
            return (unsigned)(10 * (c[2] - '0') + c[3] - '0');
    return 0;
}

// The remainder modulo 97 once c, a letter or digit, is put behind the number.
static unsigned append(unsigned rest, int c)
{
    if (is_digit(c))
        return (10 * rest + (unsigned)(c - '0')) % 97;
    return (100 * rest + (unsigned)(to_lower(c) - 'a') + 10) % 97;
}

bool iban_at(struct view *v, size_t at, struct match *out)
{
    int head[4];
    unsigned rest = 0, n = 4;
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
        rest = append(rest, c);
    }
    for (unsigned k = 0; k < 4; k++)
        rest = append(rest, head[k]);
    if (length == 0 || rest != 1 || view_word(v, i))
        return false;
    *out = (struct match){.end = i, .score = 95};
    return true;
}
