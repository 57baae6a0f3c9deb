// SPDX-License-Identifier: MIT
// mem.h: the one way to allocate. NULL means out of memory, and every caller handles it.
//
// Everything of ours allocates here, so that a test can make the n-th allocation fail
// (mem_fail_at) and a bench can count. Libraries allocate their own way. Any thread.
#ifndef BASE_MEM_H
#define BASE_MEM_H

#include "base/slice.h"
#include <stddef.h>
#include <stdint.h>

void *mem_alloc(size_t bytes);                 // uninitialised; bytes may be 0
void *mem_zalloc(size_t bytes);                // zeroed
void *mem_calloc(size_t n, size_t item_bytes); // zeroed; NULL when n * item_bytes overflows
void *mem_realloc(void *p, size_t bytes);      // on failure p stays as it was
void mem_free(void *p);                        // NULL allowed
char *mem_strdup(const char *s);               // NULL gives NULL
char *mem_slicedup(struct slice s);            // adds a NUL

// Tests only: the n-th allocation from now (1 is the next) fails, all later ones too if `sticky`.
// 0 turns it off. Affects all threads.
void mem_fail_at(uint64_t n, int sticky);
// Tests only: allocations made since the first call of this or of mem_fail_at.
uint64_t mem_count(void);

#endif
