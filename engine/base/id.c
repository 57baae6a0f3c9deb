// SPDX-License-Identifier: MIT
// id.c: UUIDs and hexadecimal. Pure but for the randomness that is handed in; any thread.
#include "base/id.h"

static const char hex_digits[] = "0123456789abcdef";

// 0-15, or -1.
static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

static bool is_dash(size_t at)
{
    return at == 8 || at == 13 || at == 18 || at == 23;
}

void id_new(const struct rand *r, char out[ID_TEXT_BYTES])
{
    unsigned char bytes[16];
    size_t at = 0;

    rand_fill(r, bytes, sizeof(bytes));
    bytes[6] = (bytes[6] & 0x0f) | 0x40; // version 4
    bytes[8] = (bytes[8] & 0x3f) | 0x80; // variant 1
    for (size_t i = 0; i < sizeof(bytes); i++) {
        if (is_dash(at))
            out[at++] = '-';
        out[at++] = hex_digits[bytes[i] >> 4];
        out[at++] = hex_digits[bytes[i] & 15];
    }
    out[at] = '\0';
}

bool id_begins(struct slice text)
{
    if (text.len < ID_PREFIX_MIN || text.len > ID_TEXT_BYTES - 1)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];

        if (is_dash(i) ? c != '-' : hex_value(c) < 0 || (c >= 'A' && c <= 'F'))
            return false;
    }
    return (text.len <= 14 || text.ptr[14] == '4') &&
           (text.len <= 19 || (hex_value(text.ptr[19]) & 0xc) == 0x8);
}

bool id_valid(struct slice text)
{
    return text.len == ID_TEXT_BYTES - 1 && id_begins(text);
}

void hex_encode(const void *bytes, size_t len, char *out)
{
    const unsigned char *in = bytes;

    for (size_t i = 0; i < len; i++) {
        *out++ = hex_digits[in[i] >> 4];
        *out++ = hex_digits[in[i] & 15];
    }
    *out = '\0';
}

bool hex_decode(struct slice text, void *out, size_t len)
{
    unsigned char *to = out;

    if (text.len % 2 || text.len / 2 != len)
        return false;
    for (size_t i = 0; i < len; i++) {
        int high = hex_value(text.ptr[2 * i]);
        int low = hex_value(text.ptr[2 * i + 1]);

        if (high < 0 || low < 0)
            return false;
        to[i] = (unsigned char)(high << 4 | low);
    }
    return true;
}
