// SPDX-License-Identifier: MIT
// keys.c: the keys in memory, and who was erased.
//
// Guarded memory comes in whole pages with guard pages around, so a page for each of many users
// would be a waste: keys stand in slabs.
//
// Invariants:
//   1. A key in the table never moves and is never freed before the table is: pointers stay good.
//   2. key_table_find shows a key to others only once it is durable.
//   3. A user who was erased stays in the table, without a key.
#include "base/mem.h"
#include "vault/vault_int.h"

enum { SLAB_BYTES = 64 << 10, SLAB_KEYS = SLAB_BYTES / sizeof(struct user_key) };
enum { SLABS_MAX = 1 << 20, KEYS_MAX = 1 << 29, ERASURES_MAX = 1 << 24 };

int key_table_init(struct key_table *t, struct err *err)
{
    pthread_rwlockattr_t attr;

    *t = (struct key_table){0};
    vec_init(&t->slabs, sizeof(void *), SLABS_MAX);
    vec_init(&t->erasures, sizeof(struct vault_erasure), ERASURES_MAX);
    if (map_new(&t->by_partition, KEYS_MAX))
        return err_set(err, E_NOMEM, "out of memory for the keys");
    // Workers that seal all the time must not keep an erasure waiting.
    pthread_rwlockattr_init(&attr);
    pthread_rwlockattr_setkind_np(&attr, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
    pthread_rwlock_init(&t->lock, &attr);
    pthread_rwlockattr_destroy(&attr);
    return E_OK;
}

void key_table_release(struct key_table *t)
{
    if (!t->by_partition)
        return;
    for (size_t i = 0; i < t->slabs.len; i++)
        sodium_free(*VEC_AT(&t->slabs, void *, i));  // wipes
    vec_release(&t->slabs);
    vec_release(&t->erasures);
    map_free(t->by_partition);
    pthread_rwlock_destroy(&t->lock);
    t->by_partition = NULL;
}

struct user_key *key_table_find(struct key_table *t, const char *partition, bool any)
{
    struct slice name = slice_str(partition);

    pthread_rwlock_rdlock(&t->lock);
    struct user_key *k = map_get(t->by_partition, name);
    if (k && !any && (!k->durable || k->erasure))
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

int key_table_renew(struct key_table *t, struct user_key *k, const struct data_key *data)
{
    unsigned len = 1;
    int code = E_OK;

    for (const struct user_key *older = k->older; older; older = older->older)
        len++;
    if (len >= USER_KEYS_MAX)
        return E_REFUSED;
    pthread_rwlock_wrlock(&t->lock);
    struct user_key *older = take_slot(t);
    if (older) {
        *older = (struct user_key){.data = k->data, .older = k->older, .durable = true};
        k->older = older;
        k->data = *data;
    } else {
        code = E_NOMEM;
    }
    pthread_rwlock_unlock(&t->lock);
    return code;
}

struct data_key *key_table_data(struct user_key *k, uint32_t id)
{
    while (k && k->data.id != id)
        k = k->older;
    return k ? &k->data : NULL;
}

void key_table_drop(struct key_table *t, struct user_key *k,
                    bool (*drops)(const struct data_key *data, uint32_t which), uint32_t which)
{
    pthread_rwlock_wrlock(&t->lock);
    while (k->older) {
        struct user_key *older = k->older;
        if (!drops(&older->data, which)) {
            k = older;
            continue;
        }
        k->older = older->older;
        give_slot(t, older);
    }
    pthread_rwlock_unlock(&t->lock);
}

// ---- who was erased

int key_table_reserve_erasure(struct key_table *t)
{
    pthread_rwlock_wrlock(&t->lock);
    bool room = vec_push(&t->erasures) != NULL;
    if (room)
        t->erasures.len--;
    pthread_rwlock_unlock(&t->lock);
    return room ? E_OK : E_NOMEM;
}

void key_table_erase(struct key_table *t, struct user_key *k, int64_t at_ms)
{
    pthread_rwlock_wrlock(&t->lock);
    while (k->older) {
        struct user_key *older = k->older;
        k->older = older->older;
        give_slot(t, older);
    }
    sodium_memzero(&k->data, sizeof(k->data));
    sodium_memzero(k->digest_key, sizeof(k->digest_key));
    struct vault_erasure *erasure = vec_push(&t->erasures);
    BUG_ON(!erasure || k->erasure);
    memcpy(erasure->partition, k->partition, sizeof(erasure->partition));
    erasure->at_ms = at_ms;
    k->erasure = (uint32_t)t->erasures.len;
    k->durable = true;
    pthread_rwlock_unlock(&t->lock);
}

void key_table_erased_done(struct key_table *t, struct user_key *k)
{
    pthread_rwlock_wrlock(&t->lock);
    VEC_AT(&t->erasures, struct vault_erasure, k->erasure - 1)->done = true;
    pthread_rwlock_unlock(&t->lock);
}

bool vault_is_erased(struct vault *v, const char *partition)
{
    struct key_table *t = &v->keys;

    pthread_rwlock_rdlock(&t->lock);
    const struct user_key *k = map_get(t->by_partition, slice_str(partition));
    bool erased = k && k->erasure;
    pthread_rwlock_unlock(&t->lock);
    return erased;
}

unsigned vault_erasures(struct vault *v, unsigned from, struct vault_erasure *out, unsigned max)
{
    struct key_table *t = &v->keys;
    unsigned n = 0;

    pthread_rwlock_rdlock(&t->lock);
    for (; n < max && from + n < t->erasures.len; n++)
        out[n] = *VEC_AT(&t->erasures, struct vault_erasure, from + n);
    pthread_rwlock_unlock(&t->lock);
    return n;
}

// ---- what there is

int vault_retired(struct vault *v, struct buf *names, struct err *err)
{
    struct key_table *t = &v->keys;
    struct slice name;
    size_t cursor = 0;
    void *value;

    pthread_rwlock_rdlock(&t->lock);
    while (map_next(t->by_partition, &cursor, &name, &value)) {
        const struct user_key *k = value;
        if (k->older && !k->erasure) {
            buf_add_slice(names, name);
            buf_add_char(names, '\0');
        }
    }
    pthread_rwlock_unlock(&t->lock);
    return buf_check(names, "the list of users", err);
}

void vault_status(struct vault *v, struct vault_status *out)
{
    struct key_table *t = &v->keys;
    struct slice name;
    size_t cursor = 0;
    void *value;

    *out = (struct vault_status){.apart = v->house->apart,
                                 .stores = (uint32_t)v->ring.stores.len,
                                 .rotations = v->ring.rotation,
                                 .rotating = v->ring.rotation != v->ring.rotated};
    operator_fingerprint(v->house->operator_key, out->operator_key);
    pthread_rwlock_rdlock(&t->lock);
    while (map_next(t->by_partition, &cursor, &name, &value)) {
        const struct user_key *k = value;
        if (k->erasure) {
            out->erased++;
            out->erasing += !VEC_AT(&t->erasures, struct vault_erasure, k->erasure - 1)->done;
            continue;
        }
        out->users++;
        out->keys++;
        for (k = k->older; k; k = k->older) {
            out->keys++;
            out->retired++;
        }
    }
    pthread_rwlock_unlock(&t->lock);
    out->rotating |= out->retired > 0;
}

size_t key_table_len(struct key_table *t)
{
    pthread_rwlock_rdlock(&t->lock);
    size_t len = map_len(t->by_partition);
    pthread_rwlock_unlock(&t->lock);
    return len;
}
