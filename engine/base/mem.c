// SPDX-License-Identifier: MIT
// mem.c: the allocator's thin skin: a count, and a failure to order.
//
// Invariants
// 1. Nothing is counted until somebody asks (`watched`, which stays): the usual way costs one
//    branch that is never taken. A counter that all threads write would cost more than many an
//    allocation.
// 2. From then on every attempt takes one number; attempt number `fail_at` fails, and with
//    `fail_sticky` every later one too. While the order is off, fail_at is a number that no attempt
//    reaches.
// 3. A pointer that is not NULL is never the address of nothing: zero bytes allocate one.
// The state below is the process's, as the heap itself is. Any thread.
#include "base/mem.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define NEVER UINT64_MAX

static atomic_bool watched;
static _Atomic uint64_t attempts;
static _Atomic uint64_t fail_at = NEVER;
static atomic_bool fail_sticky;

static bool fails(uint64_t attempt)
{
    uint64_t at = atomic_load_explicit(&fail_at, memory_order_acquire);

    if (attempt < at) // the order was lifted meanwhile
        return false;
    if (atomic_load_explicit(&fail_sticky, memory_order_relaxed))
        return true;
    // Whoever takes the order away is the one that fails, so exactly one attempt does.
    return atomic_compare_exchange_strong(&fail_at, &at, NEVER);
}

// Counts an attempt; true when it may go on.
__attribute__((cold, noinline)) static bool count(void)
{
    uint64_t attempt = atomic_fetch_add_explicit(&attempts, 1, memory_order_relaxed) + 1;

    if (attempt >= atomic_load_explicit(&fail_at, memory_order_relaxed))
        return !fails(attempt);
    return true;
}

static inline bool granted(void)
{
    return !__builtin_expect(atomic_load_explicit(&watched, memory_order_relaxed), 0) || count();
}

void *mem_alloc(size_t bytes)
{
    return granted() ? malloc(bytes ? bytes : 1) : NULL;
}

void *mem_zalloc(size_t bytes)
{
    return mem_calloc(1, bytes);
}

void *mem_calloc(size_t n, size_t item_bytes)
{
    size_t bytes;

    if (__builtin_mul_overflow(n, item_bytes, &bytes))
        return NULL;
    return granted() ? calloc(1, bytes ? bytes : 1) : NULL;
}

void *mem_realloc(void *p, size_t bytes)
{
    return granted() ? realloc(p, bytes ? bytes : 1) : NULL;
}

void mem_free(void *p)
{
    free(p);
}

char *mem_strdup(const char *s)
{
    return s ? mem_slicedup(slice_str(s)) : NULL;
}

char *mem_slicedup(struct slice s)
{
    char *copy = s.len < SIZE_MAX ? mem_alloc(s.len + 1) : NULL;

    if (!copy)
        return NULL;
    if (s.len)
        memcpy(copy, s.ptr, s.len);
    copy[s.len] = '\0';
    return copy;
}

void mem_fail_at(uint64_t n, int sticky)
{
    uint64_t now = mem_count();

    atomic_store_explicit(&fail_sticky, sticky != 0, memory_order_relaxed);
    atomic_store_explicit(&fail_at, n && n < NEVER - now ? now + n : NEVER, memory_order_release);
}

uint64_t mem_count(void)
{
    atomic_store_explicit(&watched, true, memory_order_relaxed);
    return atomic_load_explicit(&attempts, memory_order_relaxed);
}
