// SPDX-License-Identifier: MIT
// keys.c: the keys in memory.
//
// Guarded memory comes in whole pages with guard pages around, so a page for each of many users
// would be a waste: keys stand in slabs.
//
// Invariants:
//   1. A key in the table never moves and is never freed before the table is: pointers stay good.
//   2. key_table_find shows a key to others only once it is durable.
#include "base/mem.h"
#include "vault/vault_int.h"

enum { SLAB_BYTES = 64 << 10, SLAB_KEYS = SLAB_BYTES / sizeof(struct user_key) };
enum { SLABS_MAX = 1 << 20, KEYS_MAX = 1 << 29 };

int key_table_init(struct key_table *t, struct err *err)
{
    *t = (struct key_table){0};
    vec_init(&t->slabs, sizeof(void *), SLABS_MAX);
    if (map_new(&t->by_partition, KEYS_MAX))
        return err_set(err, E_NOMEM, "out of memory for the keys");
    pthread_rwlock_init(&t->lock, NULL);
    return E_OK;
}

void key_table_release(struct key_table *t)
{
    if (!t->by_partition)
        return;
    for (size_t i = 0; i < t->slabs.len; i++)
        sodium_free(*VEC_AT(&t->slabs, void *, i));  // wipes
    vec_release(&t->slabs);
    map_free(t->by_partition);
    pthread_rwlock_destroy(&t->lock);
    t->by_partition = NULL;
}

struct user_key *key_table_find(struct key_table *t, const char *partition, bool any)
{
    struct slice name = slice_str(partition);

    pthread_rwlock_rdlock(&t->lock);
    struct user_key *k = map_get(t->by_partition, name);
    if (k && !k->durable && !any)
        k = NULL;
    pthread_rwlock_unlock(&t->lock);
    return k;
}

static struct user_key *take_slot(struct key_table *t)
{
    if (t->spare) {
        struct user_key *k = t->spare;
        t->spare = k->next;
        return k;
    }
    if (t->slabs.len == 0 || t->slab_used == SLAB_KEYS) {
        void **slab = vec_push(&t->slabs);
        if (!slab)
            return NULL;
        *slab = sodium_malloc(SLAB_BYTES);
        if (!*slab) {
            vec_remove(&t->slabs, t->slabs.len - 1);
            return NULL;
        }
        t->slab_used = 0;
    }
    struct user_key *slab = *VEC_AT(&t->slabs, void *, t->slabs.len - 1);
    return &slab[t->slab_used++];
}

static void give_slot(struct key_table *t, struct user_key *k)
{
    sodium_memzero(k, sizeof(*k));
    k->next = t->spare;
    t->spare = k;
}

struct user_key *key_table_add(struct key_table *t, struct slice partition)
{
    BUG_ON(partition.len >= VAULT_DIGEST_BYTES);
    pthread_rwlock_wrlock(&t->lock);
    struct user_key *k = take_slot(t);
    if (k) {
        *k = (struct user_key){0};
        memcpy(k->partition, partition.ptr, partition.len);
        if (map_set(t->by_partition, partition, k, NULL)) {
            give_slot(t, k);
            k = NULL;
        }
    }
    pthread_rwlock_unlock(&t->lock);
    return k;
}

void key_table_publish(struct key_table *t, struct user_key *k)
{
    pthread_rwlock_wrlock(&t->lock);
    k->durable = true;
    pthread_rwlock_unlock(&t->lock);
}

void key_table_retract(struct key_table *t, struct user_key *k)
{
    pthread_rwlock_wrlock(&t->lock);
    BUG_ON(k->durable);
    map_remove(t->by_partition, slice_str(k->partition));
    give_slot(t, k);
    pthread_rwlock_unlock(&t->lock);
}

size_t key_table_len(struct key_table *t)
{
    pthread_rwlock_rdlock(&t->lock);
    size_t len = map_len(t->by_partition);
    pthread_rwlock_unlock(&t->lock);
    return len;
}
