// SPDX-License-Identifier: MIT
// utf8.c: validity, boundaries and widths. Pure; any thread.
//
// One decoder serves all: Unicode's table 3-7 (well-formed byte sequences) as ranges for the second
// byte. It stops at the first byte that cannot continue the sequence, which is where a maximal
// ill-formed part ends.
#include "base/utf8.h"

#include "base/err.h"

#include <endian.h>
#include <string.h>
#include <utf8proc.h>

#define HIGH_BITS 0x8080808080808080u
enum { REPLACEMENT = 0xFFFD, SPECIAL_BYTES = 16 };

// Decodes one character of the `left` > 0 bytes at p. -1 when ill-formed; *len is how far to move.
static int32_t decode(const unsigned char *p, size_t left, size_t *len)
{
    unsigned lead = p[0], low = 0x80, high = 0xBF, more;
    uint32_t cp;

    *len = 1;
    if (lead < 0x80)
        return (int32_t)lead;
    if (lead >= 0xC2 && lead <= 0xDF) {
        more = 1;
        cp = lead & 0x1F;
    } else if (lead >= 0xE0 && lead <= 0xEF) {
        more = 2;
        cp = lead & 0x0F;
        low = lead == 0xE0 ? 0xA0 : low;    // shorter forms exist below
        high = lead == 0xED ? 0x9F : high;  // surrogates above
    } else if (lead >= 0xF0 && lead <= 0xF4) {
        more = 3;
        cp = lead & 0x07;
        low = lead == 0xF0 ? 0x90 : low;
        high = lead == 0xF4 ? 0x8F : high;  // past U+10FFFF above
    } else {
        return -1;
    }
    for (size_t i = 1; i <= more; i++) {
        if (i == left || p[i] < low || p[i] > high) {
            *len = i;
            return -1;
        }
        cp = cp << 6 | (p[i] & 0x3F);
        low = 0x80;
        high = 0xBF;
    }
    *len = more + 1;
    return (int32_t)cp;
}

// ---- validity, eight bytes at a time

// Of the bytes of eight, by their high bits: those that begin a character of two, three or more
// bytes, those that go on with one, and whether one of them is looked at more closely: C0 and C1,
// E0, ED and F0 on, after which not every byte that continues may follow, or none.
struct kinds {
    uint64_t leads, leads_of_three, continuing;
    bool special;
};

static inline struct kinds kinds_of(uint64_t word)
{
    // Bit 6 of each byte in the place of its bit 7, and so on; what comes from the byte below is
    // not looked at.
    uint64_t bit6 = word << 1, bit5 = word << 2, bit4 = word << 3, bit3 = word << 4;
    uint64_t bit2 = word << 5, bit1 = word << 6, bit0 = word << 7;
    uint64_t leads = word & bit6 & HIGH_BITS, three = leads & bit5;
    uint64_t c0_or_c1 = leads & ~(bit5 | bit4 | bit3 | bit2 | bit1);
    uint64_t e0 = three & ~(bit4 | bit3 | bit2 | bit1 | bit0);
    uint64_t ed = three & ~bit4 & bit3 & bit2 & ~bit1 & bit0;
    uint64_t from_f0 = three & bit4;

    return (struct kinds){leads, three, word & ~bit6 & HIGH_BITS,
                          (c0_or_c1 | e0 | ed | from_f0) != 0};
}

// Where a character begins before which all is valid, from `at`, where one begins, on: up to the
// first eight bytes that are ill-formed or special.
static inline size_t skip_plain(const unsigned char *p, size_t at, size_t len)
{
    uint64_t word, due = 0;  // the bytes of the next eight that have to continue

    for (; len - at >= sizeof(word); at += sizeof(word)) {
        memcpy(&word, p + at, sizeof(word));
        word = le64toh(word);
        if (!((word & HIGH_BITS) | due))
            continue;
        struct kinds k = kinds_of(word);
        if (k.special || k.continuing != (k.leads << 8 | k.leads_of_three << 16 | due))
            break;
        due = k.leads >> 56 | k.leads_of_three >> 48;
    }
    if (due)  // the last character is not whole: back to its lead
        for (at--; (p[at] & 0xC0) == 0x80; at--)
            ;
    return at;
}

size_t utf8_valid_prefix(struct slice s)
{
    const unsigned char *p = (const unsigned char *)s.ptr;
    size_t at = 0, len;

    while ((at = skip_plain(p, at, s.len)) < s.len) {
        // So much character by character that text which is special throughout hardly pays for
        // having been looked at.
        for (size_t stop = at + SPECIAL_BYTES; at < stop && at < s.len; at += len)
            if (decode(p + at, s.len - at, &len) < 0)
                return at;
    }
    return at;
}

size_t utf8_cut(struct slice s, size_t max)
{
    if (max >= s.len)
        return s.len;
    size_t n = max;
    for (int i = 0; i < 3 && n > 0 && ((unsigned char)s.ptr[n] & 0xC0) == 0x80; i++)
        n--;
    return n;
}

int32_t utf8_next(struct slice s, size_t *at)
{
    size_t len;

    BUG_ON(*at >= s.len);
    int32_t cp = decode((const unsigned char *)s.ptr + *at, s.len - *at, &len);
    *at += len;
    return cp;
}

static bool is_space(int32_t c)
{
    return (c >= 0x09 && c <= 0x0d) || (c >= 0x1c && c <= 0x20) || c == 0x85 || c == 0xa0 ||
           c == 0x1680 || (c >= 0x2000 && c <= 0x200a) || c == 0x2028 || c == 0x2029 ||
           c == 0x202f || c == 0x205f || c == 0x3000;
}

bool utf8_blank_all(struct slice s)
{
    size_t at = 0;

    while (at < s.len) {
        if (!is_space(utf8_next(s, &at)))
            return false;
    }
    return true;
}

size_t utf8_put(char out[4], uint32_t cp)
{
    BUG_ON(cp > 0x10FFFF || (cp >= 0xD800 && cp <= 0xDFFF));
    if (cp < 0x80) {
        out[0] = (char)cp;
        return 1;
    }
    if (cp < 0x800) {
        out[0] = (char)(0xC0 | cp >> 6);
        out[1] = (char)(0x80 | (cp & 0x3F));
        return 2;
    }
    if (cp < 0x10000) {
        out[0] = (char)(0xE0 | cp >> 12);
        out[1] = (char)(0x80 | (cp >> 6 & 0x3F));
        out[2] = (char)(0x80 | (cp & 0x3F));
        return 3;
    }
    out[0] = (char)(0xF0 | cp >> 18);
    out[1] = (char)(0x80 | (cp >> 12 & 0x3F));
    out[2] = (char)(0x80 | (cp >> 6 & 0x3F));
    out[3] = (char)(0x80 | (cp & 0x3F));
    return 4;
}

size_t utf8_columns(struct slice s)
{
    size_t columns = 0, at = 0;

    while (at < s.len) {
        unsigned char c = (unsigned char)s.ptr[at];
        if (c < 0x80) {
            columns += c >= 0x20 && c != 0x7F;
            at++;
            continue;
        }
        int32_t cp = utf8_next(s, &at);
        // A terminal shows the replacement character for what it cannot decode.
        columns += (size_t)utf8proc_charwidth(cp < 0 ? REPLACEMENT : cp);
    }
    return columns;
}
