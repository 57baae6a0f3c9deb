// SPDX-License-Identifier: MIT
// audit.h: how sensitive actions get into the audit trail.
//
// What an action does to a user's records and the note of it are one commit: whoever makes the
// commit adds an outbox record to it. The feeder moves notes from there into the trail, the
// partition "~audit", which holds one entry after the other, each bound to all before it by its
// hash. What concerns no user is appended to the trail at once. model/audit.h has the records.
//
// A note names nobody: its subject is a keyed digest of the user, and what else it says are words
// of the tables in model/audit.h, the name of a bot and a count.
//
// One thread, as the ledger; audit_outbox on any.
#ifndef LEDGER_AUDIT_H
#define LEDGER_AUDIT_H

#include "ledger/ledger.h"
#include "model/audit.h"

// What stands for a user in the trail. Nobody can tell whom it meant once the user was erased
// (E_ERASED then; so an erasure asks for it first).
int audit_subject(struct vault *v, const struct user_key *key, const char *partition,
                  char out[AUDIT_SUBJECT_BYTES], struct err *err);

// An outbox record in the making: the item of a batch points into it. Place one beside the batch.
enum { AUDIT_KEY_BYTES = sizeof(AUDIT_OUTBOX) + AUDIT_ID_BYTES, AUDIT_META_BYTES = 640 };
struct audit_outbox {
    char key[AUDIT_KEY_BYTES], meta[AUDIT_META_BYTES];  // NUL-terminated
    char body[VAULT_ENVELOPE_BYTES];
};
// Fills `item` with an insert for a batch of this user's partition, and `o` with what it points to.
// The note's subject is made here; its time is the caller's. E_USAGE: it is too long (a bot's
// name); E_NOMEM.
int audit_outbox(struct audit_outbox *o, struct store_item *item, struct vault *v,
                 const struct rand *rand, const struct user_key *key, const char *partition,
                 const struct audit_note *note, struct err *err);

// A note about a user, in a commit of its own: of what changes no record, like a read. Durable when
// done, and so before what it tells of is shown. The subject and, if it is 0, the time are made
// here. partition, key and note are borrowed until done.
void audit_record(struct ledger *l, const char *partition, const struct user_key *key,
                  const struct audit_note *note, struct ledger_op *op);

#endif
