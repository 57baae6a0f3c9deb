// SPDX-License-Identifier: MIT
// words.h: words in front of a value that say what it is ("SSN:", "call me at").
//
// Only what stands before a value counts, so that a stream can decide early; and only a bounded
// stretch of it. Pure; any thread; no memory.
#ifndef REDACT_WORDS_H
#define REDACT_WORDS_H

#include "base/slice.h"

// How far in front of a value a word may begin.
enum { WORDS_BYTES = 64 };

// How far in front of text[at] the nearest of words begins, in bytes; 0 if none does so within
// WORDS_BYTES and the same paragraph (no empty line between). Words are lower-case UTF-8, ended by
// NULL; ASCII letters match in either case. A word stands alone: no letter or digit before it, none
// after, but for those of scripts without blanks (U+1000 on). One that ends in "*" may go on
// ("phone*" finds "phones"); a space in it matches one space, '-', '_' or nothing ("tax id" finds
// "tax-id", "TaxID").
size_t words_before(struct slice text, size_t at, const char *const *words);

#endif
