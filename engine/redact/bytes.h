// SPDX-License-Identifier: MIT
// bytes.h: what a byte is to the recognisers, as one table: dense text asks it of most bytes
// several times. Constant data, any thread.
#ifndef REDACT_BYTES_H
#define REDACT_BYTES_H

#include <stdbool.h>

enum byte_class {
    IS_DIGIT = 1,       // 0-9
    IS_LETTER = 2,      // A-Z a-z
    IS_HEX = 4,         // 0-9 A-F a-f
    IS_BASE58 = 8,      // digits and letters but for 0, I, O, l
    IS_DASH = 16,
    IS_UNDERSCORE = 32,
    IS_LEAD = 64,       // begins a letter of alphabets that are no ASCII: U+00C0 to U+07FF
    IS_TRAIL = 128,     // goes on what is not ASCII: 0x80-0xBF
    IS_ALNUM = IS_DIGIT | IS_LETTER,
    IS_WORD = IS_ALNUM | IS_UNDERSCORE | IS_LEAD,  // begins a letter, digit or underscore
};

extern const unsigned char byte_classes[256];

// Whether it is of one of these classes.
static inline bool byte_is(unsigned char c, unsigned classes)
{
    return (byte_classes[c] & classes) != 0;
}

#endif
