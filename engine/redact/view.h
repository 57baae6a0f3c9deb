// SPDX-License-Identifier: MIT
// view.h: the normalised text that recognisers read, and how they read it.
//
// A recogniser says whether something of its kind begins at a place. What is before that place it
// reads as it likes, REDACT_CONTEXT_BYTES at most; what is behind it through view_at, which notes
// that the end of an open text was looked at. So whatever a recogniser says without `hit` is true
// of every text that goes on from here.
#ifndef REDACT_VIEW_H
#define REDACT_VIEW_H

#include "base/slice.h"
#include "redact/bytes.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    VIEW_END = -1,
    REDACT_CONTEXT_BYTES = 160,  // of normalised text, before a match
    REDACT_MATCH_BYTES = 16384,  // of normalised text: no match is longer
};

// What the words in front of a place say of a value there (redact/words.h).
struct heard {
    size_t at;
    uint64_t ids;         // the rules of national ids whose words are among them, a bit each
    unsigned char phone;  // enum phone_saying
};

struct view {
    const char *ptr;     // normalised, borrowed
    size_t len;
    bool open;           // more may follow
    bool hit;            // the end of an open text was looked at
    const struct phone_plan *plan;  // of national telephone numbers; NULL: none
    unsigned phone_digits_min;      // no number has fewer (redact/phone.h); 0: not looked up
    const struct vocabulary *words;
    struct heard heard;  // kept, as several ask about one place
    unsigned level;      // enum classify_level
    size_t near;         // which of the 64 bytes from there on are digits, a bit each; all of them:
    uint64_t digits;     // it was not looked
};

struct match {
    size_t end;      // after its last byte
    unsigned score;  // 0..100, before context words are looked at
};

// The byte at i (0..255), or VIEW_END.
static inline int view_at(struct view *v, size_t i)
{
    if (i < v->len)
        return (unsigned char)v->ptr[i];
    v->hit |= v->open;
    return VIEW_END;
}

// The byte before i, or VIEW_END.
static inline int view_before(const struct view *v, size_t i)
{
    return i ? (unsigned char)v->ptr[i - 1] : VIEW_END;
}

static inline bool is_digit(int c)
{
    return c >= '0' && c <= '9';
}

static inline bool is_letter(int c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static inline bool is_alnum(int c)
{
    return is_digit(c) || is_letter(c);
}

static inline int to_lower(int c)
{
    return c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c;
}

static inline int hex_value(int c)
{
    int low = to_lower(c);

    return is_digit(c) ? c - '0' : low >= 'a' && low <= 'f' ? low - 'a' + 10 : -1;
}

// The letters of alphabets are words with ASCII letters (é, я): U+00C0 to U+07FF, two bytes each.
// What scripts without blanks have (three bytes) ends a word.
static inline bool is_letter_lead(int c)
{
    return c >= 0xC3 && c <= 0xDF;
}

// Whether a byte of some classes is at i.
static inline bool view_is(struct view *v, size_t i, unsigned classes)
{
    int c = view_at(v, i);

    return c != VIEW_END && byte_is((unsigned char)c, classes);
}

// The end of the bytes of some classes from i on, `most` of them at most.
static inline size_t view_run(struct view *v, size_t i, unsigned classes, size_t most)
{
    size_t from = i, end = i < v->len && v->len - i > most ? i + most : v->len;

    while (i < end && byte_is((unsigned char)v->ptr[i], classes))
        i++;
    if (i >= v->len && i - from < most)
        v->hit |= v->open;
    return i;
}

// How many digits are at i, up to `most`.
static inline size_t view_digits(struct view *v, size_t i, size_t most)
{
    size_t from = i - v->near;
    uint64_t others = from < 64 ? ~(v->digits >> from) << from : 0;

    if (!others)
        return view_run(v, i, IS_DIGIT, most) - i;
    size_t n = (size_t)__builtin_ctzll(others) - from;
    return n < most ? n : most;
}

// Whether a letter, digit or underscore begins at i.
static inline bool view_word(struct view *v, size_t i)
{
    return view_is(v, i, IS_WORD);
}

// Whether one ends before i.
static inline bool view_word_before(const struct view *v, size_t i)
{
    if (i == 0)
        return false;
    unsigned char c = (unsigned char)v->ptr[i - 1];
    return byte_is(c, IS_ALNUM | IS_UNDERSCORE) ||
           (byte_is(c, IS_TRAIL) && i > 1 && byte_is((unsigned char)v->ptr[i - 2], IS_LEAD));
}

// Whether the text at i begins with `word` (ASCII small letters), capitals or not.
static inline bool view_says(struct view *v, size_t i, const char *word)
{
    while (*word && to_lower(view_at(v, i)) == *word)
        i++, word++;
    return !*word;
}

#endif
