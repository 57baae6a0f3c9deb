// SPDX-License-Identifier: MIT
// buf.c: the growing byte buffer.
//
// Invariants
// 1. cap == 0 with ptr NULL, or len < cap <= max + 1 with ptr[len] == 0. So whatever fits in the
//    capacity fits under the maximum, and the fast path needs one comparison.
// 2. An addition happens whole or not at all; the first that does not fit sets `failed` (and
//    `no_memory`, when that was why), and from then on nothing is added.
// Owned by one thread at a time.
#include "base/buf.h"

#include "base/mem.h"

#include <stdarg.h>
#include <stdio.h>

enum { FIRST_BYTES = 64 };

void buf_init(struct buf *b, size_t max)
{
    *b = (struct buf){.max = max};
}

void buf_release(struct buf *b)
{
    mem_free(b->ptr);
    buf_init(b, b->max);
}

void buf_clear(struct buf *b)
{
    b->len = 0;
    b->failed = false;
    b->no_memory = false;
    if (b->ptr)
        b->ptr[0] = '\0';
}

bool buf_ok(const struct buf *b)
{
    return !b->failed;
}

int buf_check(const struct buf *b, const char *what, struct err *err)
{
    if (!b->failed)
        return E_OK;
    if (b->no_memory)
        return err_set(err, E_NOMEM, "out of memory for %s after %zu bytes", what, b->len);
    return err_set(err, E_REFUSED, "%s is too long: at most %zu bytes are allowed", what, b->max);
}

// Makes room for extra bytes and the NUL; false marks the buffer as failed.
bool buf_grow(struct buf *b, size_t extra)
{
    if (b->failed)
        return false;
    // With a maximum of SIZE_MAX there would be no room for the NUL.
    size_t max = b->max < SIZE_MAX ? b->max : SIZE_MAX - 1;
    if (extra > max - b->len) {
        b->failed = true;
        return false;
    }
    size_t need = b->len + extra + 1;
    size_t cap = b->cap > max / 2 ? max + 1 : b->cap * 2;
    if (cap < FIRST_BYTES)
        cap = max < FIRST_BYTES ? max + 1 : FIRST_BYTES;
    if (cap < need)
        cap = need;
    char *ptr = mem_realloc(b->ptr, cap);
    if (!ptr) {
        b->failed = b->no_memory = true;
        return false;
    }
    b->ptr = ptr;
    b->cap = cap;
    return true;
}

void buf_add(struct buf *b, const void *bytes, size_t len)
{
    if (len == 0 || !buf_fits(b, len))
        return;
    memcpy(b->ptr + b->len, bytes, len);
    b->len += len;
    b->ptr[b->len] = '\0';
}

void buf_add_slice(struct buf *b, struct slice s)
{
    buf_add(b, s.ptr, s.len);
}

enum { U64_DIGITS = 20 };

// Writes n so that it ends before `end`; returns where it starts.
static char *digits(char *end, uint64_t n)
{
    do {
        *--end = (char)('0' + n % 10);
        n /= 10;
    } while (n);
    return end;
}

void buf_add_u64(struct buf *b, uint64_t n)
{
    char text[U64_DIGITS];
    char *start = digits(text + sizeof(text), n);

    buf_add(b, start, (size_t)(text + sizeof(text) - start));
}

void buf_add_i64(struct buf *b, int64_t n)
{
    char text[U64_DIGITS + 1];
    char *end = text + sizeof(text);
    // Negated as unsigned: INT64_MIN has no positive twin.
    char *start = digits(end, n < 0 ? -(uint64_t)n : (uint64_t)n);

    if (n < 0)
        *--start = '-';
    buf_add(b, start, (size_t)(end - start));
}

void buf_addf(struct buf *b, const char *fmt, ...)
{
    va_list ap, again;

    if (b->failed)
        return;
    size_t room = b->cap - b->len;
    va_start(ap, fmt);
    va_copy(again, ap);
    // Most texts fit in what is there: format once, in place.
    int n = vsnprintf(room ? b->ptr + b->len : NULL, room, fmt, ap);
    va_end(ap);
    if (n < 0) {
        b->failed = true;
    } else if ((size_t)n < room) {
        b->len += (size_t)n;
    } else if (buf_grow(b, (size_t)n)) {
        vsnprintf(b->ptr + b->len, (size_t)n + 1, fmt, again);
        b->len += (size_t)n;
    }
    va_end(again);
    if (b->ptr)
        b->ptr[b->len] = '\0'; // a text that did not fit has left its beginning behind
}

char *buf_reserve(struct buf *b, size_t extra)
{
    return buf_fits(b, extra) ? b->ptr + b->len : NULL;
}

void buf_grew(struct buf *b, size_t n)
{
    if (n == 0)
        return;
    BUG_ON(n >= b->cap - b->len);
    b->len += n;
    b->ptr[b->len] = '\0';
}

void buf_truncate(struct buf *b, size_t len)
{
    BUG_ON(len > b->len);
    b->len = len;
    if (b->ptr)
        b->ptr[len] = '\0';
}

void buf_consume(struct buf *b, size_t len)
{
    BUG_ON(len > b->len);
    if (len == 0)
        return;
    b->len -= len;
    memmove(b->ptr, b->ptr + len, b->len + 1);
}

char *buf_take(struct buf *b, size_t *len)
{
    char *taken = NULL;

    if (len)
        *len = 0;
    if (!b->failed && b->len) {
        taken = b->ptr;
        if (len)
            *len = b->len;
    } else {
        mem_free(b->ptr);
    }
    // The failure stays, so that buf_check can still tell why nothing came.
    b->ptr = NULL;
    b->len = b->cap = 0;
    return taken;
}
