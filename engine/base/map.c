// SPDX-License-Identifier: MIT
// map.c: a hash table in two parts: items stand densely in an array, and an open-addressed index
// with linear probing says where. A probe touches 8 bytes a step and an item only when 32 bits of
// the hash agree; a walk over the map is a walk over the array.
//
// Invariants
// 1. index_cap is 0 or a power of two, and at most three quarters of the index is in use.
// 2. Every item is in the index exactly once, and no empty slot lies between a slot and its home
//    (removal closes the gap by shifting, so there are no tombstones and lookups never decay).
// 3. A walk goes from the last item to the first. Removal moves the last item into the hole, so
//    removing the item just returned only ever moves one that was walked already.
// Owned by one thread at a time.
#include "base/map.h"

#include "base/err.h"
#include "base/mem.h"
#include "base/rand.h"
#include "base/vec.h"

#include <stdint.h>

enum { FIRST_SLOTS = 16 };
#define ITEMS_MAX ((size_t)1 << 30) // so that a slot holds an item's number and a hash in 8 bytes

struct item {
    char *key; // owned by the map
    size_t key_len;
    void *value;
    uint32_t hash;
};

struct slot {
    uint32_t hash;
    uint32_t item; // number + 1; 0 is empty
};

struct map {
    struct vec items;
    struct slot *index; // owned; NULL until the first item
    size_t index_cap;
    uint64_t seed[2];
};

static inline uint64_t rotl(uint64_t x, int by)
{
    return x << by | x >> (64 - by);
}

static inline void sip_round(uint64_t v[4])
{
    v[0] += v[1];
    v[2] += v[3];
    v[1] = rotl(v[1], 13) ^ v[0];
    v[3] = rotl(v[3], 16) ^ v[2];
    v[0] = rotl(v[0], 32);
    v[2] += v[1];
    v[0] += v[3];
    v[1] = rotl(v[1], 17) ^ v[2];
    v[3] = rotl(v[3], 21) ^ v[0];
    v[2] = rotl(v[2], 32);
}

// SipHash-1-3 (Aumasson and Bernstein), of which a table needs no more than 32 bits.
static uint32_t hash_of(const struct map *m, struct slice key)
{
    uint64_t v[4] = {
        m->seed[0] ^ 0x736f6d6570736575,
        m->seed[1] ^ 0x646f72616e646f6d,
        m->seed[0] ^ 0x6c7967656e657261,
        m->seed[1] ^ 0x7465646279746573,
    };
    size_t whole = key.len & ~(size_t)7;
    uint64_t word;

    for (size_t i = 0; i < whole; i += 8) {
        memcpy(&word, key.ptr + i, 8);
        v[3] ^= word;
        sip_round(v);
        v[0] ^= word;
    }
    word = 0;
    if (key.len > whole)
        memcpy(&word, key.ptr + whole, key.len - whole);
    word |= (uint64_t)key.len << 56;
    v[3] ^= word;
    sip_round(v);
    v[0] ^= word;
    v[2] ^= 0xff;
    for (int i = 0; i < 3; i++)
        sip_round(v);
    return (uint32_t)((v[0] ^ v[1] ^ v[2] ^ v[3]) >> 32);
}

static inline struct item *item_at(const struct map *m, size_t i)
{
    return (struct item *)m->items.ptr + i;
}

// The slot that holds key, or NULL.
static struct slot *find(const struct map *m, struct slice key, uint32_t hash)
{
    size_t mask = m->index_cap - 1;

    if (m->index_cap == 0)
        return NULL;
    for (size_t i = hash & mask; m->index[i].item; i = (i + 1) & mask) {
        if (m->index[i].hash != hash)
            continue;
        const struct item *it = item_at(m, m->index[i].item - 1);
        if (slice_eq(slice_of(it->key, it->key_len), key))
            return &m->index[i];
    }
    return NULL;
}

// Puts a slot into the first free place from its home on; there is always one (invariant 1).
static void place(struct slot *index, size_t cap, struct slot slot)
{
    size_t i = slot.hash & (cap - 1);

    while (index[i].item)
        i = (i + 1) & (cap - 1);
    index[i] = slot;
}

static int grow_index(struct map *m)
{
    size_t cap = m->index_cap ? m->index_cap * 2 : FIRST_SLOTS;
    struct slot *index = mem_calloc(cap, sizeof(*index));

    if (!index)
        return E_NOMEM;
    for (size_t i = 0; i < m->index_cap; i++) {
        if (m->index[i].item)
            place(index, cap, m->index[i]);
    }
    mem_free(m->index);
    m->index = index;
    m->index_cap = cap;
    return E_OK;
}

// Empties the slot and moves back those behind it that were pushed past it by collisions.
static void close_gap(struct map *m, struct slot *slot)
{
    size_t mask = m->index_cap - 1;
    size_t gap = (size_t)(slot - m->index);

    for (size_t i = (gap + 1) & mask; m->index[i].item; i = (i + 1) & mask) {
        size_t from_home = (i - m->index[i].hash) & mask;

        if (from_home >= ((i - gap) & mask)) {
            m->index[gap] = m->index[i];
            gap = i;
        }
    }
    m->index[gap] = (struct slot){0};
}

int map_new(struct map **out, size_t max_items)
{
    struct map *m = mem_zalloc(sizeof(*m));

    *out = m;
    if (!m)
        return E_NOMEM;
    vec_init(&m->items, sizeof(struct item), max_items < ITEMS_MAX ? max_items : ITEMS_MAX);
    rand_fill(rand_system(), m->seed, sizeof(m->seed));
    return E_OK;
}

void map_free(struct map *m)
{
    if (!m)
        return;
    for (size_t i = 0; i < m->items.len; i++)
        mem_free(item_at(m, i)->key);
    vec_release(&m->items);
    mem_free(m->index);
    mem_free(m);
}

void *map_get(const struct map *m, struct slice key)
{
    const struct slot *slot = find(m, key, hash_of(m, key));

    return slot ? item_at(m, slot->item - 1)->value : NULL;
}

int map_set(struct map *m, struct slice key, void *value, void **old)
{
    uint32_t hash = hash_of(m, key);
    const struct slot *slot = find(m, key, hash);

    if (old)
        *old = NULL;
    if (slot) {
        struct item *it = item_at(m, slot->item - 1);
        if (old)
            *old = it->value;
        it->value = value;
        return E_OK;
    }
    if (m->items.len >= m->items.max)
        return E_REFUSED;
    if ((m->items.len + 1) * 4 > m->index_cap * 3 && grow_index(m) != E_OK)
        return E_NOMEM;
    char *copy = mem_slicedup(key);
    struct item *it = copy ? vec_push(&m->items) : NULL;
    if (!it) {
        mem_free(copy);
        return E_NOMEM;
    }
    *it = (struct item){.key = copy, .key_len = key.len, .value = value, .hash = hash};
    place(m->index, m->index_cap, (struct slot){.hash = hash, .item = (uint32_t)m->items.len});
    return E_OK;
}

void *map_remove(struct map *m, struct slice key)
{
    struct slot *slot = find(m, key, hash_of(m, key));

    if (!slot)
        return NULL;
    size_t hole = slot->item - 1;
    size_t last = m->items.len - 1;
    void *value = item_at(m, hole)->value;

    // key may be the item's own (from map_next): nothing looks at it from here on.
    mem_free(item_at(m, hole)->key);
    close_gap(m, slot);
    if (hole != last) {
        size_t mask = m->index_cap - 1;
        size_t i = item_at(m, last)->hash & mask;

        while (m->index[i].item != last + 1)
            i = (i + 1) & mask;
        m->index[i].item = (uint32_t)hole + 1;
        *item_at(m, hole) = *item_at(m, last);
    }
    vec_remove(&m->items, last);
    return value;
}

size_t map_len(const struct map *m)
{
    return m->items.len;
}

size_t map_max(const struct map *m)
{
    return m->items.max;
}

bool map_next(const struct map *m, size_t *cursor, struct slice *key, void **value)
{
    // *cursor is 0 at the start, then the number of the item last returned, plus 1.
    size_t after = *cursor ? *cursor - 1 : m->items.len;

    if (after == 0) {
        *cursor = 1;
        return false;
    }
    const struct item *it = item_at(m, after - 1);
    if (key)
        *key = slice_of(it->key, it->key_len);
    if (value)
        *value = it->value;
    *cursor = after;
    return true;
}
