// SPDX-License-Identifier: MIT
// vault.h: what is kept is sealed. Keys and their erasure, envelopes, keyed digests, signatures.
//
// The keyring is one text file apart from the data, mode 0600, made at first run. It holds the
// operator key, an index key (for digests), a signing key, and for each user one data key or, while
// they are being rotated, several, wrapped by the operator key and bound to the user's partition.
// The newest key seals, all open. Destroying a user's lines destroys everything sealed under them.
//
// Invariants:
//   1. A user's key is durable (fsynced) before vault_user_key hands it out.
//   2. A record opens only at the place (partition and record key) and with the meta that it was
//      sealed for; every record has an envelope, with or without a body.
//   3. Keys live in memory from sodium_malloc, and are wiped when they are dropped, at the latest
//      on close.
//   4. A user is erased for ever: the tombstone is durable before the first byte of a key is
//      overwritten, and outlives rotation. Nothing seals or opens for a partition that has one.
//   5. Once a request that changed the keyring is complete, no request that begins later, in any
//      process, is answered from what was before: vault_find_key looks whether the file changed.
//      Where nothing asks, a process takes note within a second.
// The vault is shared by all threads; a request completes on its own loop. One thread of the
// vault's own writes the keyring (in groups), so that no worker waits for the disk.
//
// Envelope of a sealed body (all sizes in bytes):
//   format 1 (=2) | codec 1 (0 plain, 1 zstd) | key id 4 (big endian) | nonce 24 | ciphertext |
//   tag 16. Associated data: format, codec, key id, partition, 0x00, record key, 0x00, meta.
//   XChaCha20-Poly1305 (libsodium). Outside the seal are only version, due time and count, which
//   the store changes by itself. Format 1 did not bind the meta, and left records without a body
//   unsealed: `parley migrate` seals them anew.
#ifndef VAULT_VAULT_H
#define VAULT_VAULT_H

#include "base/err.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/rand.h"
#include "model/record.h"
#include "model/safe_text.h"
#include <stdbool.h>

struct vault;
struct user_key;  // a user's keys; borrowed from the vault, valid until vault_free

enum {
    VAULT_DIGEST_BYTES = 33,
    VAULT_ENVELOPE_BYTES = 46,
    VAULT_SIGNATURE_BYTES = 64,  // Ed25519 (RFC 8032)
    VAULT_PUBLIC_KEY_BYTES = 32,
};

struct vault_options {
    const char *path;        // NULL: keys in memory only (memory stores, tests)
    const struct rand *rand;
    const struct log *log;
    bool existing;           // it must hold keys: E_STORE otherwise, and the file is left as it is
    bool no_thread;          // simulation: the file is read and written inside vault_user_key
    // Where the operator key is: "file:PATH", "fd:N" or "credential:NAME" (vault/operator.c); NULL:
    // in the keyring itself.
    const char *operator_key;
    const char *credentials; // the folder of credentials; NULL: there is none
    // For who rotates: the operator key may stand in the keyring although operator_key says
    // otherwise, and nothing is sealed by this vault but with vault_reseal.
    bool rotating;
    // Tests only: called before each step that changes the keyring on disk, on the thread that does
    // it; a test ends the process there.
    void (*on_step)(void *user, const char *step);
    void *user;
};

// Opens the keyring, or makes it. E_STORE: unreadable, wrong mode (says chmod 600), damaged line
// (says which); a torn last line, as a crash leaves it, is dropped. What a crash left of keys that
// were being destroyed is overwritten before it returns. A keyring of an older parley gets what it
// lacks.
int vault_open(struct vault **out, const struct vault_options *options, struct err *err);
void vault_free(struct vault *v);

// ---- digests and signatures (any thread)

// The partition of a user: 128 bits of keyed BLAKE2b as 32 hex digits. Who was erased and comes
// back gets another one: generations 0, 1, 2 … are hashed with the user, and those that have a
// tombstone are passed over. Where another process wrote the tombstone just now, the old partition
// may still be given; vault_find_key then says NULL and vault_user_key E_ERASED: ask again here.
void vault_partition(struct vault *v, struct slice user, char out[VAULT_DIGEST_BYTES]);
// The newest partition of the user that has a tombstone; false: the user was never erased.
bool vault_last_erased(struct vault *v, struct slice user, char out[VAULT_DIGEST_BYTES]);
// A keyed digest of parts, apart by domain ("context", "key", "text"); equal only if all parts are.
void vault_digest(const struct vault *v, const char *domain, const struct slice *parts, unsigned n,
                  char out[VAULT_DIGEST_BYTES]);
// A digest under a key derived from the user's: another user's values never compare, and it says
// nothing about a value once the user is erased. It stays the same when data keys are rotated.
// E_ERASED: the user was (out is then empty).
int vault_user_digest(struct vault *v, const struct user_key *k, const char *domain,
                      struct slice value, char out[VAULT_DIGEST_BYTES], struct err *err);

// The house's signature of bytes; anybody who has the public key can check it.
void vault_sign(const struct vault *v, struct slice bytes,
                unsigned char signature[VAULT_SIGNATURE_BYTES]);
void vault_public_key(const struct vault *v, unsigned char out[VAULT_PUBLIC_KEY_BYTES]);
bool vault_verify_signature(const unsigned char public_key[VAULT_PUBLIC_KEY_BYTES],
                            struct slice bytes,
                            const unsigned char signature[VAULT_SIGNATURE_BYTES]);

// ---- users' keys

struct vault_request {
    struct loop *loop;
    char partition[VAULT_DIGEST_BYTES];
    bool create;                                 // vault_user_key: make the key if there is none;
                                                 // vault_rotate: begin, if none is under way
    uint32_t rotation;                           // vault_rotate tells which it carried on;
                                                 // vault_retire is told
    int64_t at_ms;                               // vault_forget: the time to be told of it
    void (*done)(struct vault_request *request);
    // out
    int code;                                    // E_OK; E_NOT_FOUND; E_ERASED; E_STORE; E_NOMEM
    struct err err;
    const struct user_key *key;
    uint32_t left;                               // vault_rotate: users that still need a key
    // private
    int verb;
    struct loop_task task;
    struct vault_request *next;
};
// The key if it is in memory (any thread, no wait), else NULL: then ask with vault_user_key. NULL
// also when the keyring changed since it was read.
const struct user_key *vault_find_key(struct vault *v, const char *partition);
// Completes on request->loop, never inside the call. Looks at the file again before E_NOT_FOUND
// (another process may have made it); two processes making one at once end with the same key.
// E_ERASED: the partition has a tombstone; nothing is made for it ever again.
void vault_user_key(struct vault *v, struct vault_request *request);

// ---- erasure

// Destroys a user's keys, whether there are any or not: first the tombstone is durable, then the
// keys' lines are overwritten in place and synced, then the keys in memory are wiped; struct
// user_key pointers stay valid, and sealing and opening with them gives E_ERASED. Complete (E_OK)
// when nothing of the keys is left in the file. Repeated, it makes sure of that once more. Killed
// at any point after the tombstone, the next who opens or reads the keyring finishes it.
void vault_forget(struct vault *v, struct vault_request *request);
// All that is the user's elsewhere is gone too: durable, and once.
void vault_erased_done(struct vault *v, struct vault_request *request);
// As far as this process knows (it takes note of others' within a second). Any thread.
bool vault_is_erased(struct vault *v, const char *partition);

struct vault_erasure {
    char partition[VAULT_DIGEST_BYTES];
    int64_t at_ms;
    bool done;  // vault_erased_done was told
};
// Copies up to max erasures, beginning with number `from` (of all that there ever were, in the
// order in which they were made; numbers stay). Returns how many: 0 at the end. Any thread.
unsigned vault_erasures(struct vault *v, unsigned from, struct vault_erasure *out,
                        unsigned max);

// ---- rotation

// A new operator key in a file of its own, mode 0600. E_REFUSED: it is there already.
int vault_make_operator_key(const char *path, const struct rand *rand, struct err *err);
// A new operator key wraps all keys, at once: the keyring is written anew beside the old one, read
// back, and takes its name; other processes read it when they look next. A key in a file is made
// here (the file holds both meanwhile); in a source that parley cannot write there must be a second
// one, which is taken (E_USAGE: there is none). Killed on the way, all opens, and it can be
// repeated. request->partition is not looked at, here and in vault_rotate.
void vault_rewrap(struct vault *v, struct vault_request *request);
// A bounded step of the rotation of data keys: makes new ones for some users. Over when left is 0:
// then all users have a new key, which seals, and older ones, which open. E_REFUSED: older keys of
// an earlier rotation are still there.
void vault_rotate(struct vault *v, struct vault_request *request);
// Whether no process can still put down anything that it sealed under an older key: each has known
// of the last rotation for as long as its commits may take. Any thread; E_STORE.
int vault_others_passed(struct vault *v, bool *passed, struct err *err);
// Notes that a store (the request's partition: its id, at most 32 characters) is sealed with this
// keyring; once for each. While there is more than one, older keys may be needed elsewhere.
void vault_add_store(struct vault *v, struct vault_request *request);
// How many stores are sealed with this keyring, as far as it is known. Any thread.
uint32_t vault_stores(const struct vault *v);
// The partitions that have older keys, each with a NUL after it. Any thread; E_NOMEM.
int vault_retired(struct vault *v, struct buf *names, struct err *err);
// Destroys a user's older keys, as vault_forget does. Whoever asks made sure, after the others
// passed, that nothing is sealed under them, and says after which rotation: E_BUSY if another began
// since, as one of the keys that it left is then older, too.
void vault_retire(struct vault *v, struct vault_request *request);
// Whether it says that it is sealed under a key of the user that is not the newest.
bool vault_is_retired(struct vault *v, const struct user_key *k, struct sealed sealed);

enum { VAULT_FINGERPRINT_BYTES = 17 };
struct vault_status {
    bool apart;                                   // the operator key is not in the keyring
    char operator_key[VAULT_FINGERPRINT_BYTES];   // its fingerprint: 16 hex digits of a hash
    uint32_t users, keys;                         // who have keys, and how many in all
    uint32_t retired;                             // keys that only open
    uint32_t erased, erasing;                     // users; of these: not done yet
    uint32_t stores;                              // that are sealed with it
    uint32_t rotations;                           // of data keys, begun
    bool rotating;                                // the last one is not over: see retired
};
void vault_status(struct vault *v, struct vault_status *out);  // between requests

// ---- envelopes

// What a body is bound to: where its record stands, and the meta beside it.
struct vault_place {
    struct slice partition, key, meta;
};
static inline struct vault_place vault_place_of(const struct record *r)
{
    return (struct vault_place){r->partition, r->key, r->meta};
}

// Seals body (which may be empty) for its place; appends to out and returns the sealed view of what
// was appended (borrowed from out until it grows). Bodies of 1 KiB and more are compressed when
// that helps. E_ERASED: the user was.
int vault_seal(struct vault *v, const struct user_key *k, const struct vault_place *at,
               struct safe_text body, struct buf *out, struct sealed *sealed, struct err *err);
// The same for bytes that were computed from safe text and are no text (recall's segments): who
// seals them answers for that. tests/tidy.lua knows who may.
int vault_seal_bytes(struct vault *v, const struct user_key *k, const struct vault_place *at,
                     struct slice bytes, struct buf *out, struct sealed *sealed, struct err *err);
// Opens; what was stored was safe text, so safe text comes out. Nothing is appended to out unless
// body, place and meta are all what was sealed. E_CORRUPT: not sealed, not ours, moved, or damaged;
// E_NOT_FOUND: k is NULL; E_ERASED: the user was.
int vault_unseal(struct vault *v, const struct user_key *k, const struct vault_place *at,
                 struct sealed sealed, struct safe_buf *out, struct err *err);
// A record of the old format, or sealed under an older key, sealed as vault_seal would. E_CORRUPT
// as above.
int vault_reseal(struct vault *v, const struct user_key *k, const struct vault_place *at,
                 struct sealed old, struct buf *out, struct sealed *sealed, struct err *err);
bool vault_is_old(struct sealed sealed);

#endif
