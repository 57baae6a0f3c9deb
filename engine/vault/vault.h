// SPDX-License-Identifier: MIT
// vault.h: what is kept is sealed. Keys, envelopes and keyed digests.
//
// The keyring is one append-only text file apart from the data, mode 0600, made at first run. It
// holds the operator key, an index key (for digests) and one data key per user, wrapped by the
// operator key and bound to the user's partition. Destroying a user's line destroys everything
// sealed under it.
//
// Invariants:
//   1. A user's key is durable (fsynced) before vault_user_key hands it out.
//   2. A record opens only at the place (partition and record key) and with the meta that it was
//      sealed for; every record has an envelope, with or without a body.
//   3. Keys live in memory from sodium_malloc, and are wiped on close.
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
struct user_key;  // borrowed from the vault; valid until vault_free

enum { VAULT_DIGEST_BYTES = 33, VAULT_ENVELOPE_BYTES = 46 };

struct vault_options {
    const char *path;        // NULL: keys in memory only (memory stores, tests)
    const struct rand *rand;
    const struct log *log;
    bool existing;           // it must hold keys: E_STORE otherwise, and the file is left as it is
    bool no_thread;          // simulation: the file is read and written inside vault_user_key
};

// Opens the keyring, or makes it. E_STORE: unreadable, wrong mode (says chmod 600), damaged line
// (says which); a torn last line, as a crash leaves it, is dropped.
int vault_open(struct vault **out, const struct vault_options *options, struct err *err);
void vault_free(struct vault *v);

// The partition of a user: 128 bits of keyed BLAKE2b as 32 hex digits.
void vault_partition(const struct vault *v, struct slice user, char out[VAULT_DIGEST_BYTES]);
// A keyed digest of parts, apart by domain ("context", "key", "text"); equal only if all parts are.
void vault_digest(const struct vault *v, const char *domain, const struct slice *parts, unsigned n,
                  char out[VAULT_DIGEST_BYTES]);

struct vault_request {
    struct loop *loop;
    char partition[VAULT_DIGEST_BYTES];
    bool create;                                 // make the key if there is none
    void (*done)(struct vault_request *request);
    // out
    int code;                                    // E_OK; E_NOT_FOUND; E_STORE
    struct err err;
    const struct user_key *key;
    // private
    struct loop_task task;
    struct vault_request *next;
};
// The key if it is in memory (any thread, no wait), else NULL: then ask with vault_user_key.
const struct user_key *vault_find_key(struct vault *v, const char *partition);
// Completes on request->loop, never inside the call. Looks at the file again before E_NOT_FOUND
// (another process may have made it); two processes making one at once end with the same key.
void vault_user_key(struct vault *v, struct vault_request *request);

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
// that helps.
int vault_seal(struct vault *v, const struct user_key *k, const struct vault_place *at,
               struct safe_text body, struct buf *out, struct sealed *sealed, struct err *err);
// The same for bytes that were computed from safe text and are no text (recall's segments): who
// seals them answers for that. tests/tidy.lua knows who may.
int vault_seal_bytes(struct vault *v, const struct user_key *k, const struct vault_place *at,
                     struct slice bytes, struct buf *out, struct sealed *sealed, struct err *err);
// Opens; what was stored was safe text, so safe text comes out. Nothing is appended to out unless
// body, place and meta are all what was sealed. E_CORRUPT: not ours, moved, or damaged;
// E_NOT_FOUND: k is NULL.
int vault_unseal(struct vault *v, const struct user_key *k, const struct vault_place *at,
                 struct sealed sealed, struct safe_buf *out, struct err *err);
// For `parley migrate`: a record of the old format, sealed as vault_seal would. E_CORRUPT as above.
int vault_reseal(struct vault *v, const struct user_key *k, const struct vault_place *at,
                 struct sealed old, struct buf *out, struct sealed *sealed, struct err *err);
bool vault_is_old(struct sealed sealed);

#endif
