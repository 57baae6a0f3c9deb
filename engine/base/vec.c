// SPDX-License-Identifier: MIT
// vec.c: the growing array. Invariant: len <= cap <= max, and ptr is NULL exactly when cap is 0.
// Owned by one thread at a time.
#include "base/vec.h"

#include "base/err.h"
#include "base/mem.h"

#include <string.h>

enum { FIRST_ITEMS = 8 };

void vec_init(struct vec *v, size_t item_bytes, size_t max)
{
    BUG_ON(item_bytes == 0);
    *v = (struct vec){.item_bytes = item_bytes, .max = max};
}

void vec_release(struct vec *v)
{
    mem_free(v->ptr);
    vec_init(v, v->item_bytes, v->max);
}

void vec_clear(struct vec *v)
{
    v->len = 0;
}

static char *item(const struct vec *v, size_t i)
{
    return (char *)v->ptr + i * v->item_bytes;
}

static bool set_cap(struct vec *v, size_t cap)
{
    size_t bytes;

    if (__builtin_mul_overflow(cap, v->item_bytes, &bytes))
        return false;
    void *ptr = mem_realloc(v->ptr, bytes);
    if (!ptr)
        return false;
    v->ptr = ptr;
    v->cap = cap;
    return true;
}

bool vec_grow(struct vec *v, size_t more)
{
    size_t cap = v->cap < FIRST_ITEMS ? FIRST_ITEMS : v->cap > v->max / 2 ? v->max : v->cap * 2;

    if (more > v->max || v->len > v->max - more)
        return false;
    if (cap < v->len + more)
        cap = v->len + more;
    return set_cap(v, cap > v->max ? v->max : cap);
}

bool vec_reserve_exact(struct vec *v, size_t more)
{
    if (more > v->max || v->len > v->max - more)
        return false;
    return v->cap - v->len >= more || set_cap(v, v->len + more);
}

void *vec_push(struct vec *v)
{
    if (!vec_reserve(v, 1))
        return NULL;
    return memset(item(v, v->len++), 0, v->item_bytes);
}

void *vec_insert(struct vec *v, size_t at)
{
    BUG_ON(at > v->len);
    if (!vec_reserve(v, 1))
        return NULL;
    char *place = item(v, at);
    if (at < v->len)
        memmove(place + v->item_bytes, place, (v->len - at) * v->item_bytes);
    v->len++;
    return memset(place, 0, v->item_bytes);
}

void vec_remove(struct vec *v, size_t at)
{
    BUG_ON(at >= v->len);
    char *place = item(v, at);
    v->len--;
    memmove(place, place + v->item_bytes, (v->len - at) * v->item_bytes);
}

void *vec_at(const struct vec *v, size_t i)
{
    BUG_ON(i >= v->len);
    return item(v, i);
}
