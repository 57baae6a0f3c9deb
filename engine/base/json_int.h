// SPDX-License-Identifier: MIT
// json_int.h: what reading and writing JSON share. Pure functions; any thread.
#ifndef BASE_JSON_INT_H
#define BASE_JSON_INT_H

#include "base/slice.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// How many bytes from p on stand for themselves in a JSON string and need no look at UTF-8:
// printable ASCII and DEL but the quote and the backslash.
size_t json_plain_run(const char *p, size_t len);

// The character that stands for itself or for another after a backslash; 0 for none.
char json_escaped_char(char c);
// The code unit of the four hexadecimal digits at p; -1 if one is none.
int32_t json_hex4(const char *p);

static inline bool json_is_high_surrogate(int32_t unit)
{
    return unit >= 0xD800 && unit <= 0xDBFF;
}

static inline bool json_is_low_surrogate(int32_t unit)
{
    return unit >= 0xDC00 && unit <= 0xDFFF;
}

// The double nearest to a valid JSON number; infinite when it is out of range.
double json_number_read(struct slice number);

// The shortest JSON number that reads back as d, which is finite. Returns its length.
enum { JSON_NUMBER_BYTES = 40 };
size_t json_number_write(char out[JSON_NUMBER_BYTES], double d);

#endif
