// SPDX-License-Identifier: MIT
// trail_int.h: what the files of the audit trail share.
//
//   trail.c        the end of the chain and its head
//   trail_append.c appending, accepting, and the policies' versions
//   trail_feed.c   notes out of users' partitions into the chain
//   trail_read.c   reading and checking all of it
#ifndef LEDGER_TRAIL_INT_H
#define LEDGER_TRAIL_INT_H

#include "ledger/ledger_int.h"
#include "ledger/trail.h"

enum { TRAIL_TRIES_MAX = 16 };       // appends that others were faster than

static inline const char *trail_store(const struct ledger *l)
{
    return l->env.store_id ? l->env.store_id : "";
}

// Where a work that appends stands; the first member of its state.
struct chain {
    struct work *work;
    struct audit_head end;           // the newest entry; n 0: there is none
    struct audit_head head;          // the file's; n 0 also if it could not be read
    int loaded;                      // what reading it said
    bool looked_twice;
    bool parted;                     // they do not go together: the head stays as it is …
    enum audit_detail why;           // … because of this
    unsigned tries;
    void (*then)(struct work *w);
    struct vault_head_request keep;
    struct buf text;                 // scratch
};
void chain_init(struct chain *c, struct work *w);
void chain_release(struct chain *c);
// Finds the end, holds it against the head, and goes on; or ends w.
void chain_find_end(struct work *w, void (*then)(struct work *w));
// Adds an entry after the end to w->commit, which is the trail's, and is the end then.
void chain_add(struct work *w, const struct audit_note *note);
// Has the head say the end, and goes on. One that cannot be written is told to the log, and follows
// the next time. `force`: also where they parted.
void chain_sign(struct work *w, bool force, void (*then)(struct work *w));

// Reads an entry and how it is told. E_CORRUPT: it is not what was appended there; E_NOMEM.
int entry_read(const struct vault *v, const struct record *row, struct audit_entry *e,
               struct buf *json, struct err *err);
// The record of the policy of a bot. E_CORRUPT, E_NOMEM.
int trail_check_policy(const struct vault *v, const struct record *row, struct err *err);

#endif
