// SPDX-License-Identifier: MIT
// trail.h: the audit trail: a chain of entries, what is appended to it, and whether it is whole.
//
// Entry n is the record entry/<n> of the partition "~audit": a note, the hash of entry n - 1, its
// own hash over all of that (BLAKE2b-256, which anybody can compute from what `parley audit -o
// jsonl` prints), and a keyed sum over place and meta, as records of the house have. So an entry
// that was changed, moved or made by who lacks the keyring is told; one that is missing breaks the
// chain; and of entries missing at the end the head tells: the number and the hash of the newest
// entry, signed, in a file beside the keyring (vault/head.h), or wherever it was carried to.
//
// Invariants:
//   1. Entries are only inserted. Of two who append at once one meets E_CONFLICT, and begins again
//      from the other's entry.
//   2. The head follows: entries are durable before it names them. It goes forward only along the
//      chain: who appends first holds the end against the head that is there. If they do not go
//      together (entries are missing, the head is), the trail goes on, and the head stays as it is,
//      until somebody accepts the trail (trail_accept, which is an entry of its own).
//   3. The first head, of no entry, is older than the first entry: a trail without one lost it.
//   4. A note that the feeder takes is one entry, whatever dies between: the commit that appends
//      entries also says which notes it took (taken/…); their notes are deleted, then that.
//      Whoever feeds next begins by finishing this. One feeds at a time, by a lease, and its
//      commits hold the lease's epoch, so that one that was stopped for long is refused.
#ifndef LEDGER_TRAIL_H
#define LEDGER_TRAIL_H

#include "ledger/audit.h"
#include "vault/head.h"

enum { TRAIL_APPEND_MAX = 16 };

// Notes that ride in no commit: subjects and, unless they are 0, times are the caller's. Copied;
// durable when done. At most TRAIL_APPEND_MAX.
void trail_append(struct ledger *l, const struct audit_note *notes, uint32_t len,
                  struct ledger_op *op);

// A policy was loaded: an entry, unless the bot's last one was the same. note (copied): bot, policy
// and detail.
void trail_policy(struct ledger *l, const struct audit_note *note, struct ledger_op *op);

enum { TRAIL_BATCH_NOTES = STORE_BATCH_ITEMS_MAX / 2 };  // of one commit: each is two records

// One pass of the feeder. The caller's until done.
struct trail_feed {
    uint32_t notes_min;              // about; where there are fewer, nothing is done
    uint32_t notes_max;              // about; 0: until there are none
    bool stop;                       // set it to end the pass early: before it begins, unless it is
                                     // for a whole batch, or between two batches
    // out
    uint32_t fed;                    // notes that are entries now
    uint32_t left;                   // notes that cannot be read, and stay where they are
    bool more;                       // there may be more
};
// E_BUSY: another process feeds. Free, but for two reads, where there is nothing to feed.
void trail_feed(struct ledger *l, struct trail_feed *f, struct ledger_op *op);

// Reads entries in order. `take` borrows the entry, and its JSON as it is told: with its hash,
// without its sum; what it returns other than E_OK ends the reading. What cannot be read is left
// out: op->orphans counts it.
struct trail_read {
    int64_t since_ms;                // 0: all
    char subject[AUDIT_SUBJECT_BYTES];  // "": everybody's
    int (*take)(void *user, const struct audit_entry *e, struct slice json, struct err *err);
    void *user;
};
void trail_read(struct ledger *l, const struct trail_read *r, struct ledger_op *op);

// The whole trail against itself, the head of this house and another (of n 0: none). Problems are
// appended to report, a line each, the first TRAIL_PROBLEMS_MAX. The caller's until done.
enum { TRAIL_PROBLEMS_MAX = 100 };
struct trail_check {
    struct audit_head other;         // in: read by vault_head_read from what somebody carried
    struct buf *report;
    // out
    struct audit_head end;           // the newest entry, unsigned: at_ms is its note's
    struct audit_head head;          // of the file; n 0 if none was needed or could be read
    uint32_t entries, problems;
};
void trail_check(struct ledger *l, struct trail_check *c, struct ledger_op *op);

// Whether one record of the trail's partition is what was written there. E_CORRUPT, E_NOMEM.
int trail_check_record(const struct vault *v, const struct record *row, struct err *err);

// Signs the trail as it is, once an entry says so: from here on this is what it is held against.
// `why`: AUDIT_RESTORED, or another, and then what is wrong is found out. Its count is the n of the
// head that no longer holds. Harmless (and no entry) where the head and the trail go together.
void trail_accept(struct ledger *l, enum audit_detail why, const char *actor,
                  struct ledger_op *op);

#endif
