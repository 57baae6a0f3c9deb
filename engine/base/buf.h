// SPDX-License-Identifier: MIT
// buf.h: a growing byte buffer with a ceiling.
//
// Every buffer has a maximum; adding past it, or running out of memory, marks the buffer as
// failed: later additions do nothing, the contents stay valid up to the failure, and `buf_ok`
// tells. So code adds freely and checks once. A buf with ptr != NULL is always NUL-terminated
// (the NUL is not counted in len). Owned by one thread at a time.
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include "base/err.h"
#include "base/slice.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf {
    char *ptr;      // owned by the buf; NULL while nothing was added
    size_t len;     // bytes
    size_t cap;     // bytes allocated
    size_t max;     // bytes; len never passes it
    bool failed;    // sticky: something did not fit (see buf_ok)
    bool no_memory; // why it failed: memory, not the maximum (see buf_check)
};

// A buffer that may grow to max bytes. Allocates nothing yet.
void buf_init(struct buf *b, size_t max);
#define BUF_INIT(max_bytes) {.max = (max_bytes)}
void buf_release(struct buf *b);  // frees; the buf is as after buf_init
void buf_clear(struct buf *b);    // empties and clears `failed`, keeps the memory
bool buf_ok(const struct buf *b);
// E_OK, or E_REFUSED (maximum) / E_NOMEM with "what" named in the message.
int buf_check(const struct buf *b, const char *what, struct err *err);

void buf_add(struct buf *b, const void *bytes, size_t len);
void buf_add_slice(struct buf *b, struct slice s);
void buf_add_u64(struct buf *b, uint64_t n);  // decimal, faster than addf
void buf_add_i64(struct buf *b, int64_t n);
void buf_addf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
// Makes room for `extra` more bytes; returns where they go, or NULL (then failed). Follow with
// buf_grew(b, n) for the n <= extra bytes that were written.
char *buf_reserve(struct buf *b, size_t extra);
void buf_grew(struct buf *b, size_t n);
void buf_truncate(struct buf *b, size_t len);        // len <= b->len
void buf_consume(struct buf *b, size_t len);         // drops bytes from the front
// Moves the bytes out: the caller now owns them (mem_free); the buf is empty. NULL if empty/failed.
char *buf_take(struct buf *b, size_t *len);

// As buf_fits, where there is no room yet: makes some; false marks the buffer as failed.
bool buf_grow(struct buf *b, size_t extra);

// Whether extra bytes can be written now. cap - len is 0 only while nothing is allocated.
static inline bool buf_fits(struct buf *b, size_t extra)
{
    if (__builtin_expect(!b->failed && extra < b->cap - b->len, 1))
        return true;
    return buf_grow(b, extra);
}

// Inline, so that of a literal nobody counts the bytes.
static inline void buf_add_str(struct buf *b, const char *s)
{
    buf_add(b, s, strlen(s));
}

static inline void buf_add_char(struct buf *b, char c)
{
    if (!buf_fits(b, 1))
        return;
    b->ptr[b->len++] = c;
    b->ptr[b->len] = '\0';
}

static inline struct slice buf_slice(const struct buf *b)
{
    return (struct slice){b->ptr, b->len};
}

#endif
