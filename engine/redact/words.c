// SPDX-License-Identifier: MIT
// words.c: at each place in the stretch where a word may begin, those of the vocabulary that begin
// with the same two letters are compared. The stretch is short, and looked at only where digits
// already look like something.
#include "redact/words.h"

#include "base/err.h"
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

// Whether a word stands at `at`, all of it in front of `end`.
static bool stands(struct slice text, size_t at, size_t end, const char *word)
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

// The places of the stretch in front of `at` where a word may begin: text[base + i] is bit i.
static uint64_t word_starts(const struct view *v, size_t at, size_t base)
{
    const char *bytes = v->ptr + base;
    char few[WORDS_BYTES];
    uint64_t wide = 0;
    struct block b;

    if (at < WORDS_BYTES) {
        memset(few, 0, sizeof(few));
        memcpy(few, bytes, at);
        bytes = few;
    }
    classify((enum classify_level)v->level, bytes, 1, &b);
    uint64_t in_word = b.alnum;
    for (uint64_t left = b.other; left; left &= left - 1) {
        unsigned i = (unsigned)__builtin_ctzll(left);
        in_word |= (uint64_t)is_any(bytes[i], IN_WORD) << i;
        wide |= (uint64_t)is_any(bytes[i], WIDE) << i;
    }
    uint64_t goes_on = in_word << 1 | (base > 0 && is_any(v->ptr[base - 1], IN_WORD));
    size_t behind = words_from(slice_of(v->ptr, v->len), at) - base;
    return behind < WORDS_BYTES ? (wide | (in_word & ~goes_on)) >> behind << behind : 0;
}

static unsigned key_of(char first, char second)
{
    return (first & 31U) << 5 | (second & 31U);
}

static void add_by(struct vocabulary *v, const struct word *word, char second)
{
    uint16_t *first = &v->first[key_of(*word->text, second)];

    BUG_ON(v->len == VOCABULARY_MAX);
    v->len++;
    v->entries[v->len].word = *word;
    v->entries[v->len].next = *first;
    *first = v->len;
}

void vocabulary_add(struct vocabulary *v, const struct word *word)
{
    const char *second = word->text + 1;

    BUG_ON(!*word->text || !*second || *second == '*');
    if (*second != ' ') {
        add_by(v, word, *second);
        return;
    }
    for (const char *c = " -_"; *c; c++)
        add_by(v, word, *c);
    add_by(v, word, second[1]);
}

// A word that says something else, so near in front of a number, is about the number.
enum { OTHER_BYTES = 28 };

// What the words say that begin at i.
static struct word said_at(const struct view *v, size_t i, size_t at)
{
    const struct vocabulary *words = v->words;
    struct word all = {.phone = SAYS_NOTHING};

    for (unsigned e = words->first[key_of(v->ptr[i], v->ptr[i + 1])]; e;
         e = words->entries[e].next) {
        const struct word *w = &words->entries[e].word;
        if (!stands(slice_of(v->ptr, v->len), i, at, w->text))
            continue;
        all.ids |= w->ids;
        all.phone = w->phone > all.phone ? w->phone : all.phone;
    }
    return all;
}

const struct heard *words_heard(struct view *v, size_t at)
{
    size_t base = at > WORDS_BYTES ? at - WORDS_BYTES : 0;
    struct heard heard = {.at = at};
    bool decided = false;

    if (v->heard.at == at)  // and in front of 0 nothing is said
        return &v->heard;
    for (uint64_t starts = word_starts(v, at, base); starts;) {
        unsigned bit = WORDS_BYTES - 1 - (unsigned)__builtin_clzll(starts);
        size_t i = base + bit;
        starts ^= UINT64_C(1) << bit;
        if (i + 1 >= at)
            continue;
        struct word said = said_at(v, i, at);
        heard.ids |= said.ids;
        if (decided || said.phone == SAYS_NOTHING)
            continue;
        decided = said.phone == SAYS_PHONE || (said.phone == SAYS_OTHER && at - i <= OTHER_BYTES);
        if (decided || said.phone == SAYS_VAGUELY)
            heard.phone = said.phone;
    }
    v->heard = heard;
    return &v->heard;
}
