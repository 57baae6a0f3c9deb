// SPDX-License-Identifier: MIT
// map.h: byte string -> pointer. Copies its keys, owns no values. Hash seeded per map (SipHash-like
// keyed, so that keys chosen by strangers cannot make it slow). Owned by one thread at a time.
#ifndef BASE_MAP_H
#define BASE_MAP_H

#include "base/slice.h"
#include <stdbool.h>
#include <stddef.h>

struct map;

int map_new(struct map **out, size_t max_items);  // E_OK or E_NOMEM
void map_free(struct map *m);                     // NULL allowed; values are the caller's
void *map_get(const struct map *m, struct slice key);           // NULL when absent
// Sets or replaces (old value into *old if not NULL). E_OK, E_NOMEM, E_REFUSED (max_items).
int map_set(struct map *m, struct slice key, void *value, void **old);
void *map_remove(struct map *m, struct slice key);              // what was there, or NULL
size_t map_len(const struct map *m);
size_t map_max(const struct map *m);  // as it was made
// Iteration in insertion order is not promised. *cursor starts at 0; false at the end. Removing the
// item just returned is allowed; inserting is not.
bool map_next(const struct map *m, size_t *cursor, struct slice *key, void **value);

#endif
