// SPDX-License-Identifier: MIT
// classify.h: which of 64 bytes are of a class, a bit each, for as many blocks as are asked for: by
// AVX-512, AVX2 or SSSE3 where the processor has them, else byte by byte: the same bits. Pure; any
// thread.
#ifndef REDACT_CLASSIFY_H
#define REDACT_CLASSIFY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { BLOCK_BYTES = 64 };

// Bit i is byte i of the block.
struct block {
    uint64_t digit;  // 0-9
    uint64_t alnum;  // A-Z a-z 0-9
    uint64_t run;    // these and _ + / -
    uint64_t at, colon, dot, dash;
    uint64_t group;    // ( ) * + , - . / among which are those that group digits
    uint64_t blank;    // a blank, or a control character
    uint64_t wide;     // what is not ASCII
};

// The first n bits, n <= BLOCK_BYTES.
static inline uint64_t bits_below(size_t n)
{
    return n < BLOCK_BYTES ? (UINT64_C(1) << n) - 1 : ~UINT64_C(0);
}

enum classify_level { CLASSIFY_PORTABLE, CLASSIFY_SSSE3, CLASSIFY_AVX2, CLASSIFY_AVX512 };

// What this processor can do.
enum classify_level classify_best(void);
// text has n * BLOCK_BYTES. BUG: a level that the processor does not have.
void classify(enum classify_level level, const char *text, size_t n, struct block *out);

#endif
