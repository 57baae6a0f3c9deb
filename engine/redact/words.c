// SPDX-License-Identifier: MIT
// words.c: each place in the stretch where a word may begin is compared with each word. The
// stretch is short, and looked at only where digits already look like something.
#include "redact/words.h"

#include "redact/classify.h"

#include <stdbool.h>
#include <string.h>

// What a byte is, as a look into a table: dense text asks this of most bytes several times.
enum {
    IN_WORD = 1,  // of a letter or digit of ASCII or of the alphabets: no word ends in front of it
    WIDE = 2,     // of what scripts without blanks have
    DIGIT = 4,
    BETWEEN = 8,  // stands between the digits of one number
    NEWLINE = 16,
};
#define X4(x) x, x, x, x
#define X16(x) X4(x), X4(x), X4(x), X4(x)
static const unsigned char class_of[256] = {
    ['\n'] = NEWLINE, [' '] = BETWEEN, ['('] = BETWEEN, BETWEEN, ['-'] = BETWEEN, BETWEEN, BETWEEN,
    ['0'] = X4(IN_WORD | DIGIT), X4(IN_WORD | DIGIT), IN_WORD | DIGIT, IN_WORD | DIGIT,
    ['A'] = X16(IN_WORD), X4(IN_WORD), X4(IN_WORD), IN_WORD, IN_WORD,
    ['a'] = X16(IN_WORD), X4(IN_WORD), X4(IN_WORD), IN_WORD, IN_WORD,
    [0x80] = X16(IN_WORD), X16(IN_WORD), X16(IN_WORD), X16(IN_WORD), X16(IN_WORD), X16(IN_WORD),
    IN_WORD, WIDE, WIDE, WIDE, X4(WIDE), X4(WIDE), X4(WIDE), X16(WIDE),
};

static bool is_any(char c, unsigned classes)
{
    return (class_of[(unsigned char)c] & classes) != 0;
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}

bool words_stands(struct slice text, size_t at, size_t end, const char *word)
{
    bool wide = is_any(*word, WIDE);

    for (; *word && *word != '*'; word++) {
        if (*word == ' ') {
            if (at < end && (text.ptr[at] == ' ' || text.ptr[at] == '-' || text.ptr[at] == '_'))
                at++;
        } else if (at < end && lower(text.ptr[at]) == *word) {
            at++;
        } else {
            return false;
        }
    }
    return wide || *word == '*' || at == end || !is_any(text.ptr[at], IN_WORD);
}

// Whether a digit or a line's end may be among eight bytes: one of 0x30 to 0x3f, or below 0x10.
static bool may_stop(const char *bytes)
{
    const uint64_t tens = UINT64_C(0x1010101010101010), tops = tens << 3;
    uint64_t low, three;

    memcpy(&low, bytes, sizeof(low));
    three = low ^ (tens * 3);
    return (((low - tens) & ~low) | ((three - tens) & ~three)) & tops;
}

size_t words_from(struct slice text, size_t at)
{
    size_t last = at > WORDS_BYTES ? at - WORDS_BYTES : 0, i = at;
    size_t nearest = at;  // the value, or a number in front of it that shares its words

    for (;;) {
        while (i - last >= 8 && !may_stop(text.ptr + i - 8))
            i -= 8;
        while (i > last && !is_any(text.ptr[i - 1], DIGIT | NEWLINE))
            i--;
        if (i == last)
            return i;
        if (text.ptr[i - 1] == '\n' && i < at && text.ptr[i] == '\n')
            return i;
        if (!is_any(text.ptr[i - 1], DIGIT)) {
            i--;
            continue;
        }
        size_t end = i, digits = 0;
        for (; i > last && is_any(text.ptr[i - 1], DIGIT | BETWEEN); i--)
            digits += is_any(text.ptr[i - 1], DIGIT);
        if (digits < WORDS_NUMBER_DIGITS)
            continue;
        if (nearest - end > WORDS_SHARED_BYTES)
            return end;
        nearest = i;
    }
}

_Static_assert((int)WORDS_BYTES == (int)BLOCK_BYTES, "the stretch is a block");

struct words words_of(struct slice text, size_t at)
{
    struct words w = {.base = at > WORDS_BYTES ? at - WORDS_BYTES : 0};
    char bytes[WORDS_BYTES] = {0};
    uint64_t wide = 0;
    struct block b;

    memcpy(bytes, text.ptr + w.base, at - w.base);
    classify(classify_best(), bytes, 1, &b);
    uint64_t in_word = b.alnum;
    for (uint64_t left = b.other; left; left &= left - 1) {
        unsigned i = (unsigned)__builtin_ctzll(left);
        in_word |= (uint64_t)is_any(bytes[i], IN_WORD) << i;
        wide |= (uint64_t)is_any(bytes[i], WIDE) << i;
    }
    uint64_t goes_on = in_word << 1 | (w.base > 0 && is_any(text.ptr[w.base - 1], IN_WORD));
    size_t behind = words_from(text, at) - w.base;
    if (behind < WORDS_BYTES)
        w.starts = (wide | (in_word & ~goes_on)) >> behind << behind;
    return w;
}

bool words_next(struct words *w, size_t *at)
{
    if (!w->starts)
        return false;
    unsigned i = WORDS_BYTES - 1 - (unsigned)__builtin_clzll(w->starts);
    w->starts ^= UINT64_C(1) << i;
    *at = w->base + i;
    return true;
}

size_t words_before(struct slice text, size_t at, const char *const *words)
{
    struct words left = words_of(text, at);

    for (size_t i; words_next(&left, &i);)
        for (const char *const *w = words; *w; w++)
            if (**w == lower(text.ptr[i]) && words_stands(text, i, at, *w))
                return at - i;
    return 0;
}
