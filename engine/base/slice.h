// SPDX-License-Identifier: MIT
// slice.h: borrowed bytes. A slice owns nothing and need not end in NUL; it may hold NUL.
#ifndef BASE_SLICE_H
#define BASE_SLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

struct slice {
    const char *ptr;  // may be NULL when len is 0
    size_t len;       // bytes
};

#define SLICE_LIT(s) ((struct slice){(s), sizeof(s) - 1})
#define SLICE_NONE ((struct slice){NULL, 0})
// For "%.*s".
#define SLICE_FMT(s) (int)(s).len, (s).ptr ? (s).ptr : ""

static inline struct slice slice_of(const char *ptr, size_t len)
{
    return (struct slice){ptr, len};
}

// Borrows a C string; NULL gives the empty slice.
static inline struct slice slice_str(const char *s)
{
    return (struct slice){s, s ? strlen(s) : 0};
}

static inline bool slice_eq(struct slice a, struct slice b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

static inline bool slice_is(struct slice a, const char *s)
{
    return slice_eq(a, slice_str(s));
}

static inline bool slice_starts(struct slice a, struct slice prefix)
{
    return a.len >= prefix.len && (prefix.len == 0 || memcmp(a.ptr, prefix.ptr, prefix.len) == 0);
}

static inline bool slice_ends(struct slice a, struct slice end)
{
    return a.len >= end.len && slice_eq((struct slice){a.ptr + (a.len - end.len), end.len}, end);
}

// Bytewise order; a prefix sorts before what it begins.
int slice_cmp(struct slice a, struct slice b);

#endif
