// SPDX-License-Identifier: MIT
// base64.h: reads base64 in test data (RFC 4648, padding allowed and not asked for).
#ifndef TESTS_BASE64_H
#define TESTS_BASE64_H

#include "base/slice.h"
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

static inline int base64_digit(char c)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *at = c ? strchr(digits, c) : NULL;

    return at ? (int)(at - digits) : -1;
}

// The decoded bytes in an allocation of exactly *len bytes (free it), so that a sanitizer sees an
// over-read by one. NULL when the text is not base64.
static inline char *base64_decode(struct slice text, size_t *len)
{
    uint32_t bits = 0;
    unsigned held = 0;

    while (text.len && text.ptr[text.len - 1] == '=')
        text.len--;
    *len = text.len * 6 / 8;
    char *out = malloc(*len ? *len : 1), *p = out;
    for (size_t i = 0; out && i < text.len; i++) {
        int digit = base64_digit(text.ptr[i]);
        if (digit < 0) {
            free(out);
            return NULL;
        }
        bits = bits << 6 | (uint32_t)digit;
        held += 6;
        if (held >= 8) {
            held -= 8;
            *p++ = (char)(bits >> held);
        }
    }
    return out;
}

#endif
