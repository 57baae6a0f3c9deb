// SPDX-License-Identifier: MIT
// bytes.c: the table.
#include "redact/bytes.h"

#define X4(x) x, x, x, x
#define X16(x) X4(x), X4(x), X4(x), X4(x)
enum { LETTER = IS_LETTER | IS_BASE58, HEX = LETTER | IS_HEX, DIGIT = IS_DIGIT | IS_HEX };

const unsigned char byte_classes[256] = {
    ['-'] = IS_DASH, ['_'] = IS_UNDERSCORE,
    ['0'] = DIGIT, X4(DIGIT | IS_BASE58), X4(DIGIT | IS_BASE58), DIGIT | IS_BASE58,
    ['A'] = HEX, HEX, HEX, HEX, HEX, HEX, LETTER, LETTER, IS_LETTER,       // A-I
    ['J'] = X4(LETTER), LETTER, IS_LETTER, LETTER, X4(LETTER), X4(LETTER), LETTER, LETTER,
    ['a'] = HEX, HEX, HEX, HEX, HEX, HEX, X4(LETTER), LETTER, IS_LETTER,   // a-l
    ['m'] = X4(LETTER), X4(LETTER), X4(LETTER), LETTER, LETTER,
    [0x80] = X16(IS_TRAIL), X16(IS_TRAIL), X16(IS_TRAIL), X16(IS_TRAIL),
    [0xC3] = X4(IS_LEAD), X4(IS_LEAD), X4(IS_LEAD), IS_LEAD, X16(IS_LEAD),  // to 0xDF
};
