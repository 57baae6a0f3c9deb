// SPDX-License-Identifier: MIT
// memory.h: what a bot remembers of a user, in the store: loaded as a whole, and changed in commits
// that no two processes can make at once.
//
// Records and their forms: model/memory.h, model/fact.h. All of one user and bot are guarded by the
// manifest memory/<bot>: a commit puts (or inserts) it at the version that was loaded, and each
// record at its own. So who learns while another does gets E_CONFLICT, and is to load and to
// consider again: what the other wrote is found then, and nothing is there twice.
//
// The manifest is read first. What is read after it is as new or newer: a book is never believed to
// be newer than it is.
//
// A record that cannot be read is told (`damage`), and the rest goes on: it harms itself alone. The
// manifest is then made anew with the next commit, as are core memory and the journal's entries; a
// slot stays as it is, and takes nothing any more.
// One thread, as the ledger; no chat is needed.
#ifndef LEDGER_MEMORY_H
#define LEDGER_MEMORY_H

#include "ledger/audit.h"
#include "ledger/ledger.h"
#include "model/memory.h"

// The user's digests, for memory/facts.h: struct fact_digest is {ledger_memory_digest, &user}.
struct memory_user {
    struct vault *vault;
    const struct user_key *key;
};
int ledger_memory_digest(void *user, struct slice value, char out[FACT_SLOT_BYTES],
                         struct err *err);

// Whose. Borrowed until done.
struct memory_of {
    const char *partition, *bot;
    const struct user_key *key;
};

// The manifest alone: one read. Without one its version is 0.
struct ledger_manifest {
    struct memory_of of;
    struct memory_manifest manifest;   // out
};
void ledger_memory_manifest(struct ledger *l, struct ledger_manifest *m, struct ledger_op *op);

// All of it. The caller's until done. What the functions return other than E_OK ends the loading.
struct ledger_memory {
    struct memory_of of;
    void *user;
    // Take *slot, *entry (moved out).
    int (*slot)(void *user, struct fact_slot *slot, struct err *err);
    int (*journal)(void *user, struct journal_entry *entry, struct err *err);
    // A record that cannot be read: its key's first part and last one ("fact", a slot's digest).
    int (*damaged)(void *user, struct slice kind, struct slice name, struct err *err);
    // out; the caller inits and releases core
    struct memory_manifest manifest;
    struct core_memory core;
    struct buf damage;                 // a line each; the caller's, initialised
};
// E_CORRUPT: the store cannot even tell the manifest's version.
void ledger_memory_load(struct ledger *l, struct ledger_memory *m, struct ledger_op *op);

// What a commit changes; the caller's until done, with what it points to. Versions that it has new
// are filled in: of slots, entries, core, learnt and manifest.
struct ledger_memory_commit {
    struct memory_of of;
    struct memory_manifest *manifest;  // as it is to be; its version: as it was loaded. NULL: only
                                       // notes are written
    struct fact_slot *const *slots;    // not const: their versions
    uint32_t slots_len;
    struct journal_entry *const *journal;
    uint32_t journal_len;
    const struct journal_entry *const *journal_gone;  // entries that go
    uint32_t journal_gone_len;
    struct core_memory *core;          // NULL: unchanged
    struct learnt *learnt;             // NULL: unchanged. Written over whatever is there
    const struct audit_note *notes;    // in the first of the batches
    uint32_t notes_len;
};
// One batch where that holds it; else slots go before in batches of their own, each with the
// manifest: a crash between leaves facts that are found again. E_CONFLICT: somebody else changed
// something: nothing of the last batch is written; load again. E_REFUSED: too much.
void ledger_memory_commit(struct ledger *l, struct ledger_memory_commit *c, struct ledger_op *op);

// How far a session was learnt from. out->session says which; partition and key borrowed until
// done. E_OK with upto 0 when there is no record, or a damaged one: learning again changes nothing.
void ledger_find_learnt(struct ledger *l, const char *partition, const struct user_key *key,
                        struct learnt *out, struct ledger_op *op);

#endif
