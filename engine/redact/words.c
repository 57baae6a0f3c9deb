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
};
#define X4(x) x, x, x, x
#define X16(x) X4(x), X4(x), X4(x), X4(x)
static const unsigned char class_of[256] = {
    [' '] = BETWEEN, ['('] = BETWEEN, BETWEEN, ['-'] = BETWEEN, BETWEEN, BETWEEN,
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

_Static_assert((int)WORDS_BYTES == (int)BLOCK_BYTES, "the stretch is a block");

static struct stretch classes_before(const struct view *v, size_t at)
{
    struct stretch s = {.base = at > WORDS_BYTES ? at - WORDS_BYTES : 0};
    const char *bytes = v->ptr + s.base;
    char few[WORDS_BYTES];

    if (at < WORDS_BYTES) {
        memset(few, 0, sizeof(few));
        memcpy(few, bytes, at);
        bytes = few;
    }
    classify((enum classify_level)v->level, bytes, 1, &s.of);
    return s;
}

// Where it begins.
static size_t stretch_start(const struct view *v, size_t at, const struct stretch *s)
{
    const char *text = v->ptr;
    size_t i = at, nearest = at;  // the value, or a number in front of it that shares its words
    uint64_t stop = s->of.digit;

    if (memchr(text + s->base, '\n', at - s->base))
        stop |= s->of.blank;
    for (;;) {
        uint64_t stops = stop & bits_below(i - s->base);
        if (!stops)
            return s->base;
        i = s->base + BLOCK_BYTES - (size_t)__builtin_clzll(stops);
        if (text[i - 1] == '\n' && i < at && text[i] == '\n')
            return i;
        if (!is_any(text[i - 1], DIGIT)) {
            i--;
            continue;
        }
        size_t end = i, digits = 0;
        for (; i > s->base && is_any(text[i - 1], DIGIT | BETWEEN); i--)
            digits += is_any(text[i - 1], DIGIT);
        if (digits < WORDS_NUMBER_DIGITS)
            continue;
        if (nearest - end > WORDS_SHARED_BYTES)
            return end;
        nearest = i;
    }
}

struct stretch words_stretch(const struct view *v, size_t at)
{
    struct stretch s = classes_before(v, at);

    s.within = bits_below(at - s.base) & ~bits_below(stretch_start(v, at, &s) - s.base);
    return s;
}

// The places of a stretch where a word may begin.
static uint64_t word_starts(const struct view *v, const struct stretch *s)
{
    uint64_t in_word = s->of.alnum, wide = 0;

    for (uint64_t left = s->of.wide; left; left &= left - 1) {
        unsigned i = (unsigned)__builtin_ctzll(left);
        in_word |= (uint64_t)is_any(v->ptr[s->base + i], IN_WORD) << i;
        wide |= (uint64_t)is_any(v->ptr[s->base + i], WIDE) << i;
    }
    uint64_t goes_on = in_word << 1 | (s->base > 0 && is_any(v->ptr[s->base - 1], IN_WORD));
    return (wide | (in_word & ~goes_on)) & s->within;
}

enum { SMALL = 'a' - 'A', SMALL_4 = SMALL * 0x01010101 };

static unsigned key_of(char first, char second)
{
    return (first & 31U) << 5 | (second & 31U);
}

static void add_by(struct vocabulary *v, const struct word *word, char second)
{
    unsigned key = key_of(*word->text, second);
    const char *third = word->text[1] == ' ' ? "" : word->text + 2;
    char head[4] = {0}, mask[4] = {0};

    BUG_ON(v->len == VOCABULARY_MAX);
    for (size_t i = 0; i < sizeof(head) && word->text[i] && !strchr(" *", word->text[i]); i++) {
        head[i] = (char)(word->text[i] | SMALL);
        mask[i] = (char)0xFF;
    }
    v->len++;
    v->words[v->len] = *word;
    v->heads[v->len].next = v->first[key];
    memcpy(&v->heads[v->len].head, head, sizeof(head));
    memcpy(&v->heads[v->len].mask, mask, sizeof(mask));
    v->first[key] = v->len;
    // Where a word ends, or may be written in several ways, any byte may be the third.
    v->thirds[key] |= *third && !strchr(" *", *third) ? UINT32_C(1) << (*third & 31) : UINT32_MAX;
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

// What the words say that begin at i, out of those from entry e on.
static struct word said_at(const struct view *v, size_t i, size_t at, unsigned e)
{
    const struct vocabulary *words = v->words;
    struct word all = {.phone = SAYS_NOTHING};
    bool has_head = v->len - i >= sizeof(uint32_t);
    uint32_t bytes = 0;

    if (has_head)
        memcpy(&bytes, v->ptr + i, sizeof(bytes));
    for (bytes |= SMALL_4; e; e = words->heads[e].next) {
        const struct word *w = &words->words[e];
        if (has_head && (bytes & words->heads[e].mask) != words->heads[e].head)
            continue;
        if (!stands(slice_of(v->ptr, v->len), i, at, w->text))
            continue;
        all.ids |= w->ids;
        all.phone = w->phone > all.phone ? w->phone : all.phone;
    }
    return all;
}

const struct heard *words_heard(struct view *v, size_t at)
{
    struct heard heard = {.at = at};
    bool decided = false;

    if (v->heard.at == at)  // and in front of 0 nothing is said
        return &v->heard;
    struct stretch s = words_stretch(v, at);
    for (uint64_t starts = word_starts(v, &s); starts;) {
        unsigned bit = WORDS_BYTES - 1 - (unsigned)__builtin_clzll(starts);
        size_t i = s.base + bit;
        starts ^= UINT64_C(1) << bit;
        if (i + 1 >= at)
            continue;
        unsigned key = key_of(v->ptr[i], v->ptr[i + 1]);
        if (!(v->words->thirds[key] >> (v->ptr[i + 2] & 31) & 1))
            continue;
        struct word said = said_at(v, i, at, v->words->first[key]);
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
