// SPDX-License-Identifier: MIT
// screen.c: escape sequences by the shape that ECMA-48 gives them.
//
//             ESC              [                    final byte
//   TEXT ──────────▶ ESCAPE ──────▶ CONTROL ─────────────────────▶ TEXT
//                      │  ] P X ^ _            BEL, ST, newline
//                      └─────────▶ STRING ───────────────────────▶ TEXT
//                      other: TEXT
//
// A string that never ends hides nothing after its line: what would have begun it is gone, so the
// rest is harmless.
#include "cli/screen.h"

enum { BEL = 0x07, ESC = 0x1B, DEL = 0x7F, C1_LEAD = 0xC2, CSI = 0x9B, ST = 0x9C };

static unsigned char byte_at(struct slice s, size_t i)
{
    return (unsigned char)s.ptr[i];
}

// A control character of two bytes, U+0080 to U+009F: its last byte, or 0.
static unsigned char c1_at(struct slice s, size_t i)
{
    if (byte_at(s, i) != C1_LEAD || i + 1 >= s.len || byte_at(s, i + 1) > 0x9F)
        return 0;
    return byte_at(s, i + 1);
}

static bool shows(struct slice s, size_t i)
{
    unsigned char c = byte_at(s, i);

    return c == '\n' || c == '\t' || (c >= 0x20 && c != DEL && !c1_at(s, i));
}

static bool starts_string(unsigned char c)
{
    return c && memchr("]PX^_\x90\x98\x9D\x9E\x9F", c, 10);
}

// How many bytes at the front of s to leave out; 0: the state is TEXT and the front shows.
static size_t hidden(struct screen *s, struct slice rest)
{
    unsigned char c = byte_at(rest, 0), c1 = c1_at(rest, 0);

    switch (s->state) {
    case SCREEN_ESCAPE:
        if (c >= 0x20 && c <= 0x2F)
            return 1;
        s->state = c == '[' ? SCREEN_CONTROL : starts_string(c) ? SCREEN_STRING : SCREEN_TEXT;
        if (c >= 0x30 && c < DEL)
            return 1;
        break;
    case SCREEN_CONTROL:
        if (c >= 0x20 && c <= 0x3F)
            return 1;
        s->state = SCREEN_TEXT;
        if (c >= 0x40 && c < DEL)
            return 1;
        break;
    case SCREEN_STRING:
        if (c == ESC)
            break;
        if (c == BEL || c == '\n' || c1 == ST)
            s->state = SCREEN_TEXT;
        if (c != '\n')
            return c1 ? 2 : 1;
        break;
    case SCREEN_TEXT:
        break;
    }
    if (shows(rest, 0))
        return 0;
    s->state = c == ESC            ? SCREEN_ESCAPE
               : c1 == CSI         ? SCREEN_CONTROL
               : starts_string(c1) ? SCREEN_STRING
                                   : SCREEN_TEXT;
    return c1 ? 2 : 1;
}

static void skip(struct slice *s, size_t n)
{
    s->ptr += n;
    s->len -= n;
}

bool screen_next(struct screen *s, struct slice *rest, struct slice *run)
{
    while (rest->len) {
        size_t n = hidden(s, *rest);
        if (!n)
            break;
        skip(rest, n);
    }
    *run = slice_of(rest->ptr, 0);
    while (run->len < rest->len && shows(*rest, run->len))
        run->len++;
    skip(rest, run->len);
    return run->len > 0;
}
