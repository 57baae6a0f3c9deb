// SPDX-License-Identifier: MIT
// pieces.c: the two rules by which a text is cut, written out by hand. Pure; any thread.
//
// The rules are alternatives, tried in this order, the first that matches wins, and all repetitions
// take what they can and give back only what they must. As tiktoken 0.9 has them:
//
//   cl100k_base   (?i:'s|'t|'re|'ve|'m|'ll|'d)
//                 [^\r\n\p{L}\p{N}]?\p{L}+
//                 \p{N}{1,3}
//                 ␣?[^\s\p{L}\p{N}]+[\r\n]*
//                 \s*[\r\n]+  |  \s+(?!\S)  |  \s+
//
//   o200k_base    [^\r\n\p{L}\p{N}]?A*B+C?    A = [\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]
//                 [^\r\n\p{L}\p{N}]?A+B*C?    B = [\p{Ll}\p{Lm}\p{Lo}\p{M}]
//                 \p{N}{1,3}                  C = (?i:'s|'t|'re|'ve|'m|'ll|'d)
//                 ␣?[^\s\p{L}\p{N}]+[\r\n/]*
//                 \s*[\r\n]+  |  \s+(?!\S)  |  \s+
//
// What can stand at a place depends on its first character's class, so that a function looks at
// that first and then at the alternatives that are left.
#include "tokens/pieces.h"

#include "tokens/image.h"

#include <endian.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

enum {
    LETTERS = CHAR_UPPER | CHAR_LOWER | CHAR_LETTER,
    UPPERS = CHAR_UPPER | CHAR_LETTER | CHAR_MARK,  // A above
    LOWERS = CHAR_LOWER | CHAR_LETTER | CHAR_MARK,  // B
    BLANKS = CHAR_SPACE | CHAR_LINE_END,            // \s
    SYMBOLS = CHAR_MARK | CHAR_OTHER,               // [^\s\p{L}\p{N}]
    NUMBER_CHARS_MAX = 3,
};

// The classes of ASCII; 0 for bytes of other characters.
static const uint8_t ascii[256] = {
    [0 ... 8] = CHAR_OTHER,
    ['\t'] = CHAR_SPACE,
    ['\n'] = CHAR_LINE_END,
    ['\v' ... '\f'] = CHAR_SPACE,
    ['\r'] = CHAR_LINE_END,
    [14 ... 31] = CHAR_OTHER,
    [' '] = CHAR_SPACE,
    ['!' ... '/'] = CHAR_OTHER,
    ['0' ... '9'] = CHAR_NUMBER,
    [':' ... '@'] = CHAR_OTHER,
    ['A' ... 'Z'] = CHAR_UPPER,
    ['[' ... '`'] = CHAR_OTHER,
    ['a' ... 'z'] = CHAR_LOWER,
    ['{' ... 127] = CHAR_OTHER,
};

struct character {
    unsigned char_class;
    const uint8_t *end;
};

static struct character wide_character(const uint8_t *p)
{
    const char *image = (const char *)&encodings_image;
    const uint16_t *index = (const void *)(image + encodings_image.char_index_at);
    const uint8_t *blocks = (const void *)(image + encodings_image.char_blocks_at);
    uint32_t code;
    unsigned len;

    if (p[0] < 0xE0) {
        code = (p[0] & 0x1Fu) << 6 | (p[1] & 0x3Fu);
        len = 2;
    } else if (p[0] < 0xF0) {
        code = (p[0] & 0x0Fu) << 12 | (p[1] & 0x3Fu) << 6 | (p[2] & 0x3Fu);
        len = 3;
    } else {
        code = (p[0] & 0x07u) << 18 | (p[1] & 0x3Fu) << 12 | (p[2] & 0x3Fu) << 6 |
               (p[3] & 0x3Fu);
        len = 4;
    }
    const uint8_t *block = blocks + (size_t)index[code / CHAR_BLOCK] * CHAR_BLOCK;
    return (struct character){block[code % CHAR_BLOCK], p + len};
}

static inline struct character character_at(const uint8_t *p)
{
    return ascii[*p] ? (struct character){ascii[*p], p + 1} : wide_character(p);
}

// The end of the run of characters of these classes that begins at p; p if there is none.
static inline const uint8_t *skip(const uint8_t *p, const uint8_t *end, unsigned classes)
{
    for (;;) {
        while (p < end && ascii[*p] & classes)
            p++;
        if (p == end || ascii[*p])
            return p;
        struct character c = wide_character(p);
        if (!(c.char_class & classes))
            return p;
        p = c.end;
    }
}

// ---- plain words: most pieces, told quickly

#define EACH_BYTE(b) ((uint64_t)(b) * 0x0101010101010101u)

static inline uint64_t eight_bytes(const uint8_t *p)
{
    uint64_t bytes;

    memcpy(&bytes, p, sizeof(bytes));
    return le64toh(bytes);
}

// The high bit of each byte that is no letter of ASCII, of lower case or of either.
static inline uint64_t no_letters(uint64_t bytes, bool upper)
{
    uint64_t low = (upper ? bytes | EACH_BYTE(0x20) : bytes) & EACH_BYTE(0x7F);
    uint64_t from_a = low + EACH_BYTE(0x80 - 'a'), past_z = low + EACH_BYTE(0x7F - 'z');

    return (~from_a | past_z | bytes) & EACH_BYTE(0x80);
}

// The end of the run of letters of ASCII that begins at p; p if there is none.
static inline const uint8_t *skip_ascii_letters(const uint8_t *p, const uint8_t *end, bool upper)
{
    for (; end - p >= (ptrdiff_t)sizeof(uint64_t); p += sizeof(uint64_t)) {
        uint64_t others = no_letters(eight_bytes(p), upper);

        if (others)
            return p + __builtin_ctzll(others) / 8;
    }
    while (p < end && ascii[*p] & (upper ? CHAR_UPPER | CHAR_LOWER : CHAR_LOWER))
        p++;
    return p;
}

// The end of the word at p if it is of letters of ASCII only, after at most one character that may
// stand before a word: that is no letter, number or line end. NULL if it may be something else, or
// if the text ends within eight bytes. With `lower` only the first letter may be in upper case.
//
// The next piece's place hangs on this one's end, so that the time is that of one step after the
// other: the letters are told from the bytes at p, while it is still being told whether the first
// of them is what stands before.
__attribute__((always_inline)) static inline const uint8_t *
plain_word(const uint8_t *p, const uint8_t *end, bool lower)
{
    if (end - p < (ptrdiff_t)sizeof(uint64_t))
        return NULL;
    unsigned before = (ascii[*p] & (CHAR_SPACE | CHAR_OTHER)) != 0;
    uint64_t bytes = eight_bytes(p);
    uint64_t others = no_letters(bytes, true) >> 8 * before;

    if (others & 0x80)
        return NULL;
    if (lower)
        others = no_letters(bytes, false) >> 8 * before & ~(uint64_t)0x80;
    const uint8_t *first = p + before;
    const uint8_t *next = others ? first + __builtin_ctzll(others) / 8
                                 : skip_ascii_letters(p + sizeof(bytes), end, !lower);
    // Letters of another script or a contraction may go on with it, as may more of upper case.
    if (next < end && (*next >= 0x80 || *next == '\'' ||
                       (lower && next == first + 1 && ascii[*next] == CHAR_UPPER)))
        return NULL;
    return next;
}

// ---- the alternatives

// The end of a contraction ('s 't 're 've 'm 'll 'd, in any case) at p; p if there is none. A long
// s (U+017F) is an s in another case.
static const uint8_t *contraction(const uint8_t *p, const uint8_t *end)
{
    if (end - p < 2 || *p != '\'')
        return p;
    uint8_t first = p[1] | 0x20, second = end - p > 2 ? p[2] | 0x20 : 0;
    switch (p[1] < 0x80 ? first : 0) {
    case 's':
    case 't':
    case 'm':
    case 'd':
        return p + 2;
    case 'r':
    case 'v':
        return second == 'e' ? p + 3 : p;
    case 'l':
        return second == 'l' ? p + 3 : p;
    case 0:
        return p[1] == 0xC5 && p[2] == 0xBF ? p + 3 : p;
    default:
        return p;
    }
}

static const uint8_t *number(const uint8_t *p, const uint8_t *end)
{
    for (int i = 0; i < NUMBER_CHARS_MAX && p < end; i++) {
        struct character c = character_at(p);

        if (!(c.char_class & CHAR_NUMBER))
            break;
        p = c.end;
    }
    return p;
}

// White space up to its last line end; if there is none, all of it at the end of the text, else all
// but its last character, which belongs to what follows; if it is only one, that.
static const uint8_t *blanks(const uint8_t *p, const uint8_t *end)
{
    const uint8_t *line_end = NULL, *last = p, *at = p;

    while (at < end) {
        struct character c = character_at(at);

        if (!(c.char_class & BLANKS))
            break;
        last = at;
        at = c.end;
        if (c.char_class & CHAR_LINE_END)
            line_end = at;
    }
    if (line_end)
        return line_end;
    return at == end || last == p ? at : last;
}

// From where numbers, symbols and blanks begin: the alternatives that both encodings have.
static const uint8_t *no_word(const uint8_t *p, const uint8_t *end, struct character first,
                              bool slashes)
{
    if (first.char_class & CHAR_NUMBER)
        return number(p, end);
    if (first.char_class & BLANKS &&
        !(*p == ' ' && first.end < end && character_at(first.end).char_class & SYMBOLS))
        return blanks(p, end);
    p = skip(first.end, end, SYMBOLS);
    while (p < end && (ascii[*p] & CHAR_LINE_END || (slashes && *p == '/')))
        p++;
    return p;
}

static inline const uint8_t *cl100k_end(const uint8_t *p, const uint8_t *end)
{
    const uint8_t *plain = *p == '\'' ? NULL : plain_word(p, end, false);

    if (plain)
        return plain;
    struct character first = character_at(p);

    if (first.char_class & LETTERS)
        return skip(first.end, end, LETTERS);
    const uint8_t *q = contraction(p, end);
    if (q > p)
        return q;
    if (!(first.char_class & (CHAR_NUMBER | CHAR_LINE_END))) {
        q = skip(first.end, end, LETTERS);
        if (q > first.end)
            return q;
    }
    return no_word(p, end, first, false);
}

// A*B+: where A takes all, it gives back to B what it must, down to the last character of both.
// NULL if there is no such character.
static const uint8_t *with_lower(const uint8_t *p, const uint8_t *end)
{
    const uint8_t *lower_end = NULL;

    while (p < end) {
        struct character c = character_at(p);

        if (c.char_class & CHAR_LOWER)
            return skip(c.end, end, LOWERS);
        if (!(c.char_class & UPPERS))
            break;
        p = c.end;
        if (c.char_class & LOWERS)
            lower_end = p;
    }
    return lower_end;
}

// A*B+, or else A+: of B there is nothing then. NULL if neither is at p.
static const uint8_t *word(const uint8_t *p, const uint8_t *end)
{
    const uint8_t *q = with_lower(p, end);

    if (!q)
        q = skip(p, end, CHAR_UPPER);
    return q > p ? q : NULL;
}

static inline const uint8_t *o200k_end(const uint8_t *p, const uint8_t *end)
{
    const uint8_t *plain = plain_word(p, end, true), *q;

    if (plain)
        return plain;
    struct character first = character_at(p);

    if (first.char_class & LETTERS) {
        q = word(p, end);
    } else if (first.char_class & (CHAR_NUMBER | CHAR_LINE_END)) {
        q = NULL;
    } else if (first.char_class & CHAR_MARK) {  // what stands before a word, or itself one
        q = with_lower(first.end, end);
        if (!q)
            q = with_lower(p, end);
    } else {
        q = word(first.end, end);
    }
    return q ? contraction(q, end) : no_word(p, end, first, true);
}

size_t pieces_cl100k(const uint8_t *p, const uint8_t *end, uint32_t *lengths, size_t max)
{
    size_t n = 0;

    for (const uint8_t *next; p < end && n < max; p = next) {
        next = cl100k_end(p, end);
        lengths[n++] = (uint32_t)(next - p);
    }
    return n;
}

size_t pieces_o200k(const uint8_t *p, const uint8_t *end, uint32_t *lengths, size_t max)
{
    size_t n = 0;

    for (const uint8_t *next; p < end && n < max; p = next) {
        next = o200k_end(p, end);
        lengths[n++] = (uint32_t)(next - p);
    }
    return n;
}
