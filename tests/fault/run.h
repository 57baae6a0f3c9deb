// SPDX-License-Identifier: MIT
// run.h: how long a fault harness runs, from which seed, and its summary line.
//
// A harness is short in `make test` and long in `make fault` (FAULT_LONG=1). FAULT_SEED=n repeats
// one. Each prints one line, "# summary: …", and has a negative control: the same harness with the
// protection taken out, which passes when the harness finds the damage.
// Header only; one thread.
#ifndef TESTS_FAULT_RUN_H
#define TESTS_FAULT_RUN_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <time.h>

static inline bool fault_long(void)
{
    const char *value = getenv("FAULT_LONG");
    return value && value[0] && value[0] != '0';
}

static inline uint64_t fault_seed(void)
{
    const char *value = getenv("FAULT_SEED");
    uint32_t seed = 0;
    if (value && value[0])
        return strtoull(value, NULL, 10);
    return getrandom(&seed, sizeof(seed), 0) == sizeof(seed) ? seed : 1;
}

static inline int64_t now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

__attribute__((format(printf, 1, 2))) static inline void summary(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    printf("# summary: ");
    vprintf(fmt, ap);
    printf("\n");
    va_end(ap);
    fflush(stdout);
}

// A harness that cannot go on: not a fault of the engine's.
__attribute__((format(printf, 1, 2), noreturn)) static inline void give_up(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    fprintf(stderr, "fault: ");
    vfprintf(stderr, fmt, ap);
    fprintf(stderr, "\n");
    va_end(ap);
    abort();
}

#endif
