// SPDX-License-Identifier: MIT
// head.h: heads of the audit trail, signed; and the file beside the keyring that holds the newest.
//
// A head as text is a line of JSON, {"store","n","hash","at","key","signature"}: of which store,
// how many entries there are, what the newest one's hash is, and when this was signed, by the
// house's Ed25519 key. `key` is its public half, so that anybody can check a head that was carried
// elsewhere.
//
// The file, KEYRING.audit, mode 0600, has a line for each store that the keyring seals. It is
// replaced as a whole, and no n gets less, whoever writes it (but by force). It is written after
// the entries that it names are durable; so a crash leaves an older head, which is true as well,
// and never one that is ahead.
#ifndef VAULT_HEAD_H
#define VAULT_HEAD_H

#include "model/audit.h"
#include "vault/vault.h"
#include <pthread.h>

enum { VAULT_HEAD_BYTES = 512 /* as text, and more */, VAULT_HEADS_MAX = 1000 /* stores */ };

// BLAKE2b-256 of bytes, in hex: keyed by nothing, so that anybody can compute it.
void vault_hash(struct slice bytes, char out[AUDIT_HASH_BYTES]);

// Appends the line, without a newline. Any thread.
void vault_head_write(const struct vault *v, const struct audit_head *head, struct buf *out);
// E_CORRUPT: no head, or not signed by this house; then *head is zeros.
int vault_head_read(const struct vault *v, struct slice text, struct audit_head *head,
                    struct err *err);

// False where keys are in memory only: then no head is kept.
bool vault_keeps_heads(const struct vault *v);
// What the file says of a store; blocks for a small file. E_NOT_FOUND: nothing; E_CORRUPT as above;
// E_STORE: it cannot be read.
int vault_head_load(const struct vault *v, const char *store, struct audit_head *head,
                    struct err *err);

// Has the file say `head` of its store, unless it says a later one or this; `force`: whatever it
// says.
struct vault_head_request {
    struct loop *loop;
    struct audit_head head;
    bool force;
    void (*done)(struct vault_head_request *request);  // never inside the call
    // out: E_OK once it is durable; E_STORE
    int code;
    struct err err;
    // private
    const struct vault *vault;
    pthread_t thread;
    bool threaded;
    struct loop_task task;
};
void vault_head_keep(const struct vault *v, struct vault_head_request *request);

#endif
