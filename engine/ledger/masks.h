// SPDX-License-Identifier: MIT
// masks.h: a user's mask book in the store, so that a number never stands for two values.
//
//   masks/<page>         up to 100 masks in the order of being given: [["email",1,"<digest>"], …]
//   original/<kind>/<n>/<bot>
//                        what a mask stands for, if the bot's policy keeps originals; due when that
//                        ends, which is when the sweep deletes it (jobs/sweep.h). One without a
//                        bot is of a store of before, and no bot's
//
// Whatever new number a text has is durable before the text is: a commit of its own, of the newest
// page at its version (or of the next one, which must not be there), so two processes that mask for
// one user at once cannot give a number twice. Who is too late reads the pages again, loses the
// numbers that were not durable, and redacts again. A turn without new values costs nothing here.
//
// A `struct masks` is one user's, and one worker's, as its ledger is.
#ifndef LEDGER_MASKS_H
#define LEDGER_MASKS_H

#include "ledger/ledger.h"
#include "redact/mask.h"

struct masks;

// partition is copied, key borrowed (NULL: the user is new, nothing is stored of it; see
// masks_set_key). E_NOMEM.
int masks_new(struct masks **out, struct ledger *l, const char *partition,
              const struct user_key *key, struct err *err);
void masks_free(struct masks *m);  // nothing may be under way; NULL allowed
struct mask_book *masks_book(const struct masks *m);
bool masks_busy(const struct masks *m);

// One operation; the caller's until op.done, which never runs inside the call.
struct masks_wait {
    struct ledger_op op;           // done and user: the caller's
    // private
    struct masks_wait *next;
    bool originals, loading, again;
};
// Reads the pages, if they were not read; with `originals`, what is kept too. E_CORRUPT names the
// record that is damaged.
void masks_load(struct masks *m, bool originals, struct masks_wait *wait);
// Reads what other processes may have added since: one read of the store, mostly of one page.
void masks_look_again(struct masks *m, struct masks_wait *wait);
// Whether masks_load has nothing to read.
bool masks_loaded(const struct masks *m, bool originals);

// What becomes of the originals of values that were said to a bot since the last of these: kept for
// it until then (0: as long as the user's data), or not.
void masks_keep(struct masks *m, const char *bot, int64_t until_ms);
void masks_keep_none(struct masks *m, const char *bot);
// Whether there is anything to make durable.
bool masks_to_commit(const struct masks *m);
// Makes it so. E_CONFLICT: another process was first; the pages were read again, and what has
// numbers that were not durable is to be redacted again. After any other error, too, those numbers
// are gone.
void masks_commit(struct masks *m, struct masks_wait *wait);

#endif
