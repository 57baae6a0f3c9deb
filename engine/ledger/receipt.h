// SPDX-License-Identifier: MIT
// receipt.h: what is kept of an erasure, and the receipt of it. Nothing in them says who it was:
// a partition is a keyed hash, and the rest are times and counts.
//
// Records of the house, with a keyed sum in their meta (house.h):
//   erased/<partition>   {"erased_at","completed_at" (0: not yet),"deleted":{kind:n,…},"sum"}
//   erasures             {"replayed":n,"sum"}: so many erasures of the keyring, counted from the
//                        first one, are complete in this store. An older copy of a store has an
//                        older number, so what it lacks is done again (jobs/erase.h).
//
// A receipt is a JSON object {"partition","erased_at","completed_at","deleted","public_key",
// "signature"}: times in UTC; the signature (Ed25519, hex) is over the object without it, written
// without white space, with its members in their order.
// Pure; any thread.
#ifndef LEDGER_RECEIPT_H
#define LEDGER_RECEIPT_H

#include "base/json.h"
#include "ledger/kinds.h"
#include "model/record.h"
#include "vault/vault.h"

struct erasure_record {
    char partition[VAULT_DIGEST_BYTES];
    int64_t erased_at_ms, completed_at_ms;  // completed_at_ms 0: it is under way
    uint32_t deleted[RECORD_KINDS];         // records, by kind
};

// The meta of such a record, appended to out, which is empty.
void erasure_write_meta(const struct vault *v, const struct erasure_record *e, struct buf *out);
// E_CORRUPT: it is not what was written there. E_NOMEM.
int erasure_read_meta(const struct vault *v, const struct record *r, struct erasure_record *e,
                      struct err *err);
void erasures_write_meta(const struct vault *v, uint32_t replayed, struct buf *out);
int erasures_read_meta(const struct vault *v, const struct record *r, uint32_t *replayed,
                       struct err *err);

// Appends the receipt of a complete erasure, signed.
void receipt_write(const struct vault *v, const struct erasure_record *e, struct buf *out);
// Whether a receipt was signed with the key that it names. *public_key is that key.
// E_USAGE: it is no receipt; E_CORRUPT: the signature does not hold.
int receipt_check(struct slice json, unsigned char public_key[VAULT_PUBLIC_KEY_BYTES],
                  struct err *err);

#endif
