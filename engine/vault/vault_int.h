// SPDX-License-Identifier: MIT
// vault_int.h: what the files of vault/ share.
//
//   vault.c     life, digests, requests and the keyring thread
//   keys.c      the keys in memory
//   keyring.c   the keys on disk
//   envelope.c  sealing and opening bodies
#ifndef VAULT_VAULT_INT_H
#define VAULT_VAULT_INT_H

#include "base/map.h"
#include "base/vec.h"
#include "vault/vault.h"

#include <pthread.h>
#include <sodium.h>
#include <sys/types.h>

enum {
    KEY_BYTES = crypto_aead_xchacha20poly1305_ietf_KEYBYTES,
    NONCE_BYTES = crypto_aead_xchacha20poly1305_ietf_NPUBBYTES,
    TAG_BYTES = crypto_aead_xchacha20poly1305_ietf_ABYTES,
};

// In a slab (keys.c). All but `durable` and `next` is constant once the key is in the table.
struct user_key {
    uint32_t id;
    bool durable;  // until then nobody but its maker sees it; under the table's lock
    char partition[VAULT_DIGEST_BYTES];
    unsigned char secret[KEY_BYTES];
    struct user_key *next;  // while it is spare
};

// One writer at a time: the keyring thread or, without a keyring file, whoever holds the lock.
struct key_table {
    pthread_rwlock_t lock;
    struct map *by_partition;  // to struct user_key
    struct vec slabs;          // of void *, from sodium_malloc
    uint32_t slab_used;        // keys in the last slab
    struct user_key *spare;    // made and taken back
};

int key_table_init(struct key_table *t, struct err *err);
void key_table_release(struct key_table *t);
// Any thread; NULL when absent, or not durable and `any` is false.
struct user_key *key_table_find(struct key_table *t, const char *partition, bool any);
// Adds a key that is not durable yet; its secret is for the caller to fill. NULL: out of memory.
// The caller is the one writer and has made sure that there is none.
struct user_key *key_table_add(struct key_table *t, struct slice partition);
void key_table_publish(struct key_table *t, struct user_key *k);
void key_table_retract(struct key_table *t, struct user_key *k);
size_t key_table_len(struct key_table *t);

// The keys of the house, in memory of sodium_malloc.
struct house_keys {
    unsigned char operator_key[KEY_BYTES];  // wraps the others
    unsigned char index_key[KEY_BYTES];     // for digests
    bool has_operator, has_index;
};

struct keyring {
    char *path;         // owned; NULL: no file
    int fd;
    off_t offset;       // how far the file was read or written
    uint32_t lines;     // read so far, for messages
    bool line_is_open;  // the last line read has no newline yet
    struct buf append;  // lines to append
};

// Opens or makes the file and takes in what it holds; `existing`: nothing is made or written.
int keyring_open(struct vault *v, const char *path, bool existing, struct err *err);
void keyring_release(struct keyring *r);
int keyring_lock(struct vault *v, bool exclusive, struct err *err);
void keyring_unlock(struct vault *v);
// With the lock held: takes in lines that others appended; they are durable then.
int keyring_refresh(struct vault *v, struct err *err);
// Adds the line of k to what keyring_append will write.
void keyring_add_line(struct vault *v, const struct user_key *k);
// With the exclusive lock held and all read: appends, durably, or leaves the file as it was.
int keyring_append(struct vault *v, struct err *err);

// Contexts of libzstd are dear to make, so idle ones are kept.
enum { IDLE_CONTEXTS_MAX = 8 };
struct context_pool {
    pthread_mutex_t lock;
    void *idle[IDLE_CONTEXTS_MAX];
    unsigned len;
};

struct vault {
    const struct rand *rand;
    const struct log *log;
    struct house_keys *house;  // owned, sodium_malloc
    struct key_table keys;
    struct keyring ring;
    struct context_pool packers, unpackers;
    // The keyring thread and its queue.
    pthread_t thread;
    bool has_thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    struct vault_request *first, **last;  // under lock
    bool stop;                            // under lock
};

void context_pools_init(struct vault *v);
void context_pools_release(struct vault *v);

#endif
