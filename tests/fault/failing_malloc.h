// SPDX-License-Identifier: MIT
// failing_malloc.h: the heap of the whole process, with a failure to order: our own code's and
// every library's (curl, sqlite, libuv, Lua, libsodium, libc). Include it in one file of a program.
//
// Under a sanitizer the real heap is the sanitizer's, else the C library's. Any thread.
#ifndef TESTS_FAULT_FAILING_MALLOC_H
#define TESTS_FAULT_FAILING_MALLOC_H

#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

void *__interceptor_malloc(size_t bytes) __attribute__((weak));
void *__interceptor_calloc(size_t n, size_t bytes) __attribute__((weak));
void *__interceptor_realloc(void *p, size_t bytes) __attribute__((weak));
void *__libc_malloc(size_t bytes);
void *__libc_calloc(size_t n, size_t bytes);
void *__libc_realloc(void *p, size_t bytes);
// Whether nothing leaked so far; there with AddressSanitizer only.
int __lsan_do_recoverable_leak_check(void) __attribute__((weak));

#define HEAP_FOR_GOOD LONG_MAX

static atomic_long heap_made, heap_fail_from = LONG_MAX, heap_fail_to = LONG_MAX;
static _Thread_local bool heap_spared;
static atomic_ulong heap_spared_thread; // a test's own helper, 0: none

// The n-th allocation from now fails, and those after it: `window` of them in all.
static inline void heap_fail(long n, long window)
{
    atomic_store(&heap_made, 0);
    atomic_store(&heap_fail_to, window < LONG_MAX - n ? n + window : LONG_MAX);
    atomic_store(&heap_fail_from, n);
}

// Ends that; how many allocations there were meanwhile.
static inline long heap_mend(void)
{
    atomic_store(&heap_fail_from, LONG_MAX);
    return atomic_load(&heap_made);
}

static inline void heap_spare(pthread_t thread)
{
    atomic_store(&heap_spared_thread, (unsigned long)thread);
}

static inline bool heap_granted(void)
{
    long from = atomic_load_explicit(&heap_fail_from, memory_order_relaxed);
    if (from == LONG_MAX || heap_spared ||
        atomic_load_explicit(&heap_spared_thread, memory_order_relaxed) ==
            (unsigned long)pthread_self())
        return true;
    long n = atomic_fetch_add(&heap_made, 1) + 1;
    if (n < from || n >= atomic_load(&heap_fail_to))
        return true;
    errno = ENOMEM;
    return false;
}

__attribute__((visibility("default"))) void *malloc(size_t bytes)
{
    if (!heap_granted())
        return NULL;
    return __interceptor_malloc ? __interceptor_malloc(bytes) : __libc_malloc(bytes);
}

__attribute__((visibility("default"))) void *calloc(size_t n, size_t bytes)
{
    if (!heap_granted())
        return NULL;
    return __interceptor_calloc ? __interceptor_calloc(n, bytes) : __libc_calloc(n, bytes);
}

__attribute__((visibility("default"))) void *realloc(void *p, size_t bytes)
{
    if (!heap_granted())
        return NULL;
    return __interceptor_realloc ? __interceptor_realloc(p, bytes) : __libc_realloc(p, bytes);
}

#ifdef PARLEY_SANITIZED
// A sanitizer's own strdup would take memory that nobody counts.
__attribute__((visibility("default"))) char *strdup(const char *s)
{
    size_t bytes = strlen(s) + 1;
    char *copy = malloc(bytes);
    return copy ? memcpy(copy, s, bytes) : NULL;
}

// A sanitizer asks when a thread starts, and gives up when there is no memory to answer.
__attribute__((visibility("default"))) int pthread_getattr_np(pthread_t thread, pthread_attr_t *out)
{
    int (*real)(pthread_t, pthread_attr_t *);
    heap_spared = true;
    *(void **)&real = dlsym(RTLD_NEXT, "pthread_getattr_np");
    int status = real(thread, out);
    heap_spared = false;
    return status;
}
#endif

#endif
