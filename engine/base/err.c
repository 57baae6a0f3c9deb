// SPDX-License-Identifier: MIT
// err.c: filling and prefixing errors; BUG.
//
// Invariants
// 1. A message always ends in NUL and never ends inside a UTF-8 sequence because of a cut.
// 2. Nothing here allocates: an error about memory must not need any.
// 3. Arguments may point into the err that is being filled: text is formatted aside first.
// Any thread; each err belongs to its owner's frame.
#include "base/err.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// How much of `len` bytes to keep so that the cut at `len` leaves no half character. Looks back at
// most three bytes; text that is not UTF-8 is cut where it is.
static size_t whole_characters(const char *text, size_t len)
{
    for (size_t back = 1; back <= 3 && back <= len; back++) {
        unsigned char c = (unsigned char)text[len - back];

        if ((c & 0xC0) == 0x80)
            continue;
        size_t need = c >= 0xF0 ? 4 : c >= 0xE0 ? 3 : c >= 0xC0 ? 2 : 1;
        return need > back ? len - back : len;
    }
    return len;
}

// Formats into out and returns the length, cut when it does not fit.
static size_t format(char out[ERR_MESSAGE_BYTES], const char *fmt, va_list ap)
{
    int n = vsnprintf(out, ERR_MESSAGE_BYTES, fmt, ap);
    size_t len = n > 0 ? (size_t)n : 0;

    if (len >= ERR_MESSAGE_BYTES)
        len = whole_characters(out, ERR_MESSAGE_BYTES - 1);
    out[len] = '\0';
    return len;
}

int err_setv(struct err *err, int code, const char *fmt, va_list ap)
{
    char text[ERR_MESSAGE_BYTES];

    if (!err)
        return code;
    size_t len = format(text, fmt, ap);
    err->code = code;
    memcpy(err->message, text, len + 1);
    return code;
}

int err_set(struct err *err, int code, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    err_setv(err, code, fmt, ap);
    va_end(ap);
    return code;
}

int err_prefix(struct err *err, const char *fmt, ...)
{
    char prefix[ERR_MESSAGE_BYTES];
    va_list ap;

    if (!err)
        return E_OK;
    va_start(ap, fmt);
    size_t front = format(prefix, fmt, ap);
    va_end(ap);

    size_t room = ERR_MESSAGE_BYTES - 1 - front;
    size_t back = strnlen(err->message, ERR_MESSAGE_BYTES - 1);
    if (back > room)
        back = whole_characters(err->message, room);
    memmove(err->message + front, err->message, back);
    memcpy(err->message, prefix, front);
    err->message[front + back] = '\0';
    return err->code;
}

const char *err_word(int code)
{
    static const char *const words[] = {
        "ok",        "usage",     "policy",    "store", "refused", "provider", "conflict",
        "not_found", "no_memory", "cancelled", "busy",  "corrupt", "fenced",   "erased",
    };
    size_t count = sizeof(words) / sizeof(words[0]);

    if (code > 0 || code <= -(int)count)
        return "unknown";
    return words[-code];
}

void bug_at(const char *file, int line, const char *fmt, ...)
{
    char text[ERR_MESSAGE_BYTES];
    va_list ap;

    va_start(ap, fmt);
    format(text, fmt, ap);
    va_end(ap);
    fprintf(stderr, "parley: BUG at %s:%d: %s\n", file, line, text);
    abort();
}
