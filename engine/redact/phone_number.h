// SPDX-License-Identifier: MIT
// phone_number.h: digits in groups, as telephone numbers are written. Pure; any thread.
#ifndef REDACT_PHONE_NUMBER_H
#define REDACT_PHONE_NUMBER_H

#include "redact/view.h"

enum {
    NUMBER_DIGITS_MAX = 20,
    NUMBER_GROUPS_MAX = 8,
};

struct group {
    size_t end;           // after it, in the text
    unsigned char len;
    unsigned char digits; // of it and of those before it
    char mark;            // what stands in front: ' ', '-', '.', '/', '(' or ')'
    uint32_t lens;        // the lengths of these groups, four bits each: 0x334 of 415-555-0132
};

struct number {
    char digits[NUMBER_DIGITS_MAX];
    struct group of[NUMBER_GROUPS_MAX];
    size_t n;       // groups
    size_t len;     // digits
    size_t start;   // its first byte
    bool plus, bracket;
    bool follows;   // digits stand right before it, or behind it, with a blank between
    bool marked;    // '#' or '=' stands right before it
    unsigned in_region;  // a bit a group: up to it, it is valid in the region that is configured
};

// Reads what begins at `at`: the longest row of groups that could be one number; false if no digit
// is where one should be. What is not read is left as it is: of `digits` and `of` those that
// `len` and `n` say are there.
bool number_read(struct view *v, size_t at, struct number *num);

#endif
