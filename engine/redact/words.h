// SPDX-License-Identifier: MIT
// words.h: words in front of a value that say what it is ("SSN:", "call me at").
//
// Only what stands before a value counts, so that a stream can decide early; and only a bounded
// stretch of it. Pure; any thread; no memory.
#ifndef REDACT_WORDS_H
#define REDACT_WORDS_H

#include "base/slice.h"
#include <stdbool.h>
#include <stdint.h>

// How far in front of a value a word may begin; and how near a number must stand to share the words
// in front of both ("phone: 555-0132 or 555-0199"). Otherwise they are of the number that is first.
enum { WORDS_BYTES = 64, WORDS_SHARED_BYTES = 5, WORDS_NUMBER_DIGITS = 3 };

// Where the stretch in front of text[at] begins whose words are about what stands there: within
// WORDS_BYTES, in the same paragraph (no empty line between), behind a number that is not near.
size_t words_from(struct slice text, size_t at);

// How far in front of text[at] the nearest of words begins, in bytes; 0 if none is in that stretch.
// Words are lower-case UTF-8, ended by NULL; ASCII letters match in either case. A word stands
// alone: no letter or digit before it, none after, but for those of scripts without blanks (U+1000
// on). One that ends in "*" may go on ("phone*" finds "phones"); a space in it matches one space,
// '-', '_' or nothing ("tax id" finds "tax-id", "TaxID").
size_t words_before(struct slice text, size_t at, const char *const *words);

// The same, a step at a time: the places of that stretch where a word may begin, the nearest first;
// and whether a word stands there, all of it in front of `end`.
struct words {
    size_t base;      // text[base + i] is bit i
    uint64_t starts;  // what is left of them
};
struct words words_of(struct slice text, size_t at);
bool words_next(struct words *w, size_t *at);
bool words_stands(struct slice text, size_t at, size_t end, const char *word);

#endif
