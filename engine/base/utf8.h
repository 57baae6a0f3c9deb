// SPDX-License-Identifier: MIT
// utf8.h: UTF-8 validity and boundaries (RFC 3629: no surrogates, no overlong forms, <= U+10FFFF).
#ifndef BASE_UTF8_H
#define BASE_UTF8_H

#include "base/slice.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Index of the first byte that is not valid UTF-8, or s.len when all is valid. Fast on ASCII.
size_t utf8_valid_prefix(struct slice s);
static inline bool utf8_valid(struct slice s)
{
    return utf8_valid_prefix(s) == s.len;
}
// Largest n <= max such that cutting s at n splits no character of valid UTF-8.
size_t utf8_cut(struct slice s, size_t max);
// Decodes the character at *at and moves *at past it. Invalid: returns -1 and moves by the length
// of the maximal ill-formed part (Unicode 15, 3.9, "U+FFFD substitution of maximal subparts").
int32_t utf8_next(struct slice s, size_t *at);
// Nothing but white space: Unicode's White_Space, and U+001C to U+001F, which Python, and so many a
// server, strips with it. Stops at the first character that is not.
bool utf8_blank_all(struct slice s);
static inline bool utf8_blank(struct slice s)
{
    // Most texts begin with a letter; each message of a history is asked about before each send.
    bool letter = s.len > 0 && *s.ptr > ' ' && *s.ptr <= '~';
    return !letter && utf8_blank_all(s);
}
// Writes cp (<= 0x10FFFF, no surrogate) to out; returns bytes written (1..4).
size_t utf8_put(char out[4], uint32_t cp);
// Columns that a terminal uses for s (utf8proc's widths; control characters 0).
size_t utf8_columns(struct slice s);

#endif
