// SPDX-License-Identifier: MIT
// vec.h: a growing array of items of one size, with a ceiling. Owned by one thread at a time.
#ifndef BASE_VEC_H
#define BASE_VEC_H

#include <stdbool.h>
#include <stddef.h>

struct vec {
    void *ptr;          // owned by the vec
    size_t len;         // items
    size_t cap;         // items
    size_t item_bytes;
    size_t max;         // items
};
#define VEC_INIT(type, max_items) {.item_bytes = sizeof(type), .max = (max_items)}

void vec_init(struct vec *v, size_t item_bytes, size_t max);
void vec_release(struct vec *v);   // frees the array, not what its items own
void vec_clear(struct vec *v);
// Appends a zeroed item and returns it, or NULL (maximum reached or out of memory).
void *vec_push(struct vec *v);
// Makes room for `more` items beyond len, to be written in place; false (maximum reached or out of
// memory): nothing changed.
bool vec_grow(struct vec *v, size_t more);
static inline bool vec_reserve(struct vec *v, size_t more)
{
    return v->cap - v->len >= more || vec_grow(v, more);
}
// The same with room for no more than that, for what is kept for long and grows no more.
bool vec_reserve_exact(struct vec *v, size_t more);
// Inserts a zeroed item before index at (at <= len), or NULL.
void *vec_insert(struct vec *v, size_t at);
void vec_remove(struct vec *v, size_t at);
void *vec_at(const struct vec *v, size_t i);  // borrowed until the next push; BUG out of range

#define VEC_AT(v, type, i) ((type *)vec_at((v), (i)))

#endif
