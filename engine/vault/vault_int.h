// SPDX-License-Identifier: MIT
// vault_int.h: what the files of vault/ share.
//
//   vault.c         life, requests and the keyring thread
//   digest.c        digests, partitions, signatures
//   keys.c          the keys in memory, and who was erased
//   keyring.c       the keys on disk: the file's lines, read
//   keyring_add.c   the same: lines in the making
//   keyring_file.c  the same: the file
//   rotate.c        new keys in the place of old ones
//   operator.c      where the operator key comes from
//   envelope.c      sealing and opening bodies
#ifndef VAULT_VAULT_INT_H
#define VAULT_VAULT_INT_H

#include "base/map.h"
#include "base/vec.h"
#include "vault/vault.h"

#include <pthread.h>
#include <sodium.h>
#include <stdatomic.h>
#include <sys/types.h>

enum {
    KEY_BYTES = crypto_aead_xchacha20poly1305_ietf_KEYBYTES,
    NONCE_BYTES = crypto_aead_xchacha20poly1305_ietf_NPUBBYTES,
    TAG_BYTES = crypto_aead_xchacha20poly1305_ietf_ABYTES,
    USER_KEYS_MAX = 16,  // of one user; more than two only while rotations overlap
};

// A stretch of the keyring file.
struct stretch {
    off_t at;
    uint32_t bytes;
};

struct data_key {
    uint32_t id;
    uint32_t generation;  // the rotation that it was made in, or after
    uint32_t epoch;       // of the file that it was last seen in
    struct stretch line;  // without its newline; nothing: no file
    unsigned char secret[KEY_BYTES];
};

// A user's keys, in a slab (keys.c). Under the table's lock, but for `partition`.
struct user_key {
    struct data_key data;                  // the newest; all zero once the user is erased
    unsigned char digest_key[KEY_BYTES];   // stays the same whatever is rotated
    struct user_key *older;                // holds the data key before this one, and so on
    uint32_t erasure;                      // number + 1 of the erasure; 0: not erased
    bool durable;                          // until then nobody but its maker sees it
    char partition[VAULT_DIGEST_BYTES];
    struct user_key *next;                 // while it is spare
};

// One writer at a time: the keyring thread or, without a keyring file, whoever holds the vault's
// lock. Readers hold the table's lock while they use a secret, so that none is wiped under them.
struct key_table {
    pthread_rwlock_t lock;
    struct map *by_partition;  // to struct user_key
    struct vec slabs;          // of void *, from sodium_malloc
    uint32_t slab_used;        // keys in the last slab
    struct user_key *spare;    // made and taken back
    struct vec erasures;       // of struct vault_erasure
};

int key_table_init(struct key_table *t, struct err *err);
void key_table_release(struct key_table *t);
// Any thread; NULL when absent. `any`: whether it is durable or not, erased or not.
struct user_key *key_table_find(struct key_table *t, const char *partition, bool any);
// Adds a user whose keys are not durable yet; the data key is for the caller to fill. NULL: out of
// memory. The caller is the one writer and has made sure that there is none.
struct user_key *key_table_add(struct key_table *t, struct slice partition);
void key_table_publish(struct key_table *t, struct user_key *k);
void key_table_retract(struct key_table *t, struct user_key *k);
// Another data key, which is durable: the newest from now on. E_NOMEM; E_REFUSED: too many.
int key_table_renew(struct key_table *t, struct user_key *k, const struct data_key *data);
// The user's data key of this id, or NULL. For the writer.
struct data_key *key_table_data(struct user_key *k, uint32_t id);
// Wipes the older keys of k for which `drops` says so.
void key_table_drop(struct key_table *t, struct user_key *k,
                    bool (*drops)(const struct data_key *data, uint32_t which), uint32_t which);
// Room for one erasure more, so that key_table_erase cannot fail.
int key_table_reserve_erasure(struct key_table *t);
// Wipes the keys of k and notes the erasure; k is published.
void key_table_erase(struct key_table *t, struct user_key *k, int64_t at_ms);
void key_table_erased_done(struct key_table *t, struct user_key *k);
size_t key_table_len(struct key_table *t);

// The key that digests of a user's values are made with, derived from their first data key.
void digest_key_derive(struct user_key *k);

// The keys of the house, in memory of sodium_malloc.
struct house_keys {
    unsigned char operator_key[KEY_BYTES];  // wraps the others
    unsigned char index_key[KEY_BYTES];     // for digests
    unsigned char sign_seed[KEY_BYTES];     // as stored; the two below are made of it
    unsigned char sign_secret[crypto_sign_SECRETKEYBYTES];
    unsigned char sign_public[crypto_sign_PUBLICKEYBYTES];
    bool has_operator, has_index, has_sign;
    bool apart;                             // the operator key is not in the keyring
    unsigned char scratch[2 * KEY_BYTES];   // of whoever writes or reads lines
};
_Static_assert(KEY_BYTES == crypto_sign_SEEDBYTES, "a seed is wrapped like a key");

// A line that does not read and has a "#" in it: good only if a crash left it so while it was
// being destroyed, or if it begins with one and no tombstone names it.
struct half_line {
    struct stretch where;
    uint32_t line;
    bool note;
};

// ---- operator.c: an operator key that is kept apart

enum { OPERATOR_KEYS_MAX = 4, OPERATOR_FINGERPRINT_BYTES = VAULT_FINGERPRINT_BYTES };

// In memory of sodium_malloc.
struct operator_keys {
    unsigned len;
    unsigned char keys[OPERATOR_KEYS_MAX][KEY_BYTES];
};
struct operator_source {
    char *spec;         // owned; NULL: in the keyring
    char *credentials;  // owned; NULL: none
};
// E_USAGE: no such kind of source; E_STORE: not there, not ours alone, or no keys: says which, and
// what to do.
int operator_read(const struct operator_source *from, struct operator_keys *out, struct err *err);
// The path, if it is a file; borrowed.
const char *operator_file(const char *spec);
// A file that holds just these, durable, whole or not at all. E_REFUSED: it is there already.
int operator_write(const char *path, const struct operator_keys *keys, bool replace,
                   struct err *err);
void operator_fingerprint(const unsigned char *key, char out[OPERATOR_FINGERPRINT_BYTES]);

// ---- the file

struct keyring {
    char *path;          // owned; NULL: no file
    struct operator_source source;
    bool checking;       // a copy, which nobody else knows: no locks, nothing is written
    bool rotating;       // the operator key may be elsewhere than said; nothing is sealed but anew
    int fd;
    off_t offset;        // how far the file was read or written
    _Atomic off_t seen;  // the file's size then; any thread may look
    uint32_t format;     // of the file's first line
    uint32_t lines;      // read so far, for messages
    bool line_is_open;   // the last line read has no newline yet
    struct buf append;   // lines to append
    struct vec half;     // of struct half_line, while reading
    struct vec doomed;   // of struct stretch: lines of destroyed keys that may not be overwritten
    struct vec stores;   // of char[VAULT_DIGEST_BYTES]: the ids of those that it seals
    // Any thread may look.
    _Atomic uint32_t rotation;     // begun so far
    _Atomic uint32_t rotated;      // of these: those in which all users have got their new key
    _Atomic uint32_t stores_known;
    uint32_t epoch;      // counts the files that there were under this name
    bool reloading;      // a new one is being read; what it lacks is dropped at its end
    const unsigned char *wrap_key;  // NULL: the operator key
    // Every process holds a shared lock on one byte of a file beside the keyring: the number of the
    // last rotation that it knows and of which it has nothing under way that older keys sealed.
    int use_fd;
    uint32_t held;
    unsigned looks;      // since it knows of one that it does not hold
};

void keyring_init(struct keyring *r);
// Opens or makes the file and takes in what it holds; `existing`: nothing is made or written if it
// holds none.
int keyring_open(struct vault *v, const char *path, bool existing, struct err *err);
void keyring_release(struct keyring *r);
// Takes the lock and what others appended, and finishes what others left undone; then the keyring
// can be written, if `exclusive`, until keyring_end. On failure the lock is not held.
int keyring_begin(struct vault *v, bool exclusive, struct err *err);
void keyring_end(struct vault *v);
// Whether the file is not what was read. Any thread.
bool keyring_changed(struct vault *v);
// With the exclusive lock held and all read: appends what was added, durably, or leaves the file as
// it was.
int keyring_append(struct vault *v, struct err *err);
// Begins a new keyring's lines. The operator key may stand in them as it is: up to so many bytes
// they stay where they are in memory, so that keyring_forget_append wipes all that there was.
enum { KEYRING_HEAD_BYTES = 4096 };
void keyring_begin_file(struct keyring *r);
void keyring_forget_append(struct keyring *r);
// The same: overwrites the lines that are doomed, durably. What fails stays doomed.
int keyring_destroy(struct vault *v, struct err *err);

// Another keyring of the same name took the file's place by rename; reads it. With the lock held.
int keyring_reopen(struct vault *v, struct err *err);
// A look at the locks on the file beside: when nothing that older keys sealed can be under way in
// this process, that is told there. `now`: nothing is.
void keyring_pass(struct vault *v, bool now);
// Whether every process told so for all rotations up to the last completed one.
int keyring_others_passed(struct vault *v, bool *passed, struct err *err);

// Add a line to what keyring_append will write. The first says where the line will stand.
void keyring_add_user(struct vault *v, struct user_key *k);
void keyring_add_house(struct vault *v, const char *kind, const unsigned char *key, bool wrapped);
void keyring_add_erased(struct vault *v, const struct user_key *k, int64_t at_ms);
void keyring_add_done(struct vault *v, const struct user_key *k);
// A key of a user who has, or had, another one; data->line is set if `place`.
void keyring_add_data(struct vault *v, const struct user_key *k, struct data_key *data, bool place);
void keyring_add_retired(struct vault *v, const struct user_key *k, const struct data_key *data);
void keyring_add_rotation(struct vault *v, const char *kind, uint32_t number);
void keyring_add_store(struct vault *v, const char *id);
bool keyring_knows_store(const struct vault *v, struct slice id);
// E_NOMEM; takes one that is known for nothing.
int keyring_note_store(struct vault *v, struct slice id);
void keyring_add_apart(struct vault *v, const unsigned char *operator_key);
// Has the data keys' lines overwritten by the next keyring_destroy. E_NOMEM: nothing was changed.
int keyring_doom(struct vault *v, const struct user_key *k);

// Takes in the lines of a stretch of the file that stands at ring.offset; *used is how far. at_end:
// the file ends with it.
int keyring_take(struct vault *v, struct slice text, bool at_end, size_t *used, struct err *err);
// All was read: half lines must be doomed ones.
int keyring_check_half(struct vault *v, struct err *err);
int keyring_damaged(struct vault *v, uint32_t line, struct err *err, const char *why);

// ---- rotate.c; with the exclusive lock held and all read

int rotate_operator(struct vault *v, struct err *err);
int rotate_step(struct vault *v, bool begin, uint32_t *left, struct err *err);
int rotate_retire(struct vault *v, struct user_key *k, struct err *err);

// Parts of a line.
enum {
    ID_BYTES = 4,
    USER_SECRET_BYTES = 2 * KEY_BYTES,
    WRAPPING_BYTES = NONCE_BYTES + TAG_BYTES,
    WRAPPED_BYTES_MAX = WRAPPING_BYTES + USER_SECRET_BYTES,
    HASH_BYTES = crypto_generichash_BYTES_MIN,
    CHECKSUM_BYTES = 8,
    CHECKSUM_CHARS = 2 * CHECKSUM_BYTES,
};
void keyring_checksum(struct slice text, char out[CHECKSUM_CHARS + 1]);

enum { KEYRING_FORMAT = 2, KEYRING_HEADER_BYTES = 17 };
extern const char keyring_header[KEYRING_HEADER_BYTES + 1];  // with its newline

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
    void (*on_step)(void *user, const char *step);
    void *user;
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
    int64_t look_at_ms;                   // the thread's: when to look at the file next
};

static inline void vault_step(struct vault *v, const char *step)
{
    if (v->on_step)
        v->on_step(v->user, step);
}

// vault_open on a keyring that nobody else knows yet: takes no lock and writes nothing.
int vault_open_copy(struct vault **out, const struct vault_options *options, struct err *err);

// envelope.c: what seals and opens all texts, apart from where key, nonce and bound data come from,
// so that it can be held against others' vectors. out has room for text and tag, and for the text;
// text and out may be the same memory. open_text: false if any of it is not what was sealed.
void seal_text(const unsigned char *key, const unsigned char *nonce, struct slice bound,
               struct slice text, unsigned char *out);
bool open_text(const unsigned char *key, const unsigned char *nonce, struct slice bound,
               struct slice sealed, unsigned char *out);

// The signing key from its seed.
void sign_keys_derive(struct house_keys *house);

void context_pools_init(struct vault *v);
void context_pools_release(struct vault *v);

#endif
