// SPDX-License-Identifier: MIT
// book.h: what is remembered of users, in memory while they are about: loaded when it is first
// asked for, believed while the manifest has the version that was loaded (one read), changed in
// commits, let go when others came since.
//
// A `struct book` never changes: whoever has one reads it as it was when they got it, for as long
// as they like. A change makes a new one, out of a copy.
//
//   book_open ─▶ [read manifest] ─same─▶ done(book)
//                      └──other──▶ [load] ─▶ done(book)
//
//   book_change ─▶ waits for its turn ─▶ as book_open ─▶ apply(copy) ─▶ [commit] ─▶ done
//                                              ▲                           │
//                                              └───────E_CONFLICT──────────┘
// One thread: the worker's.
#ifndef TURN_BOOK_H
#define TURN_BOOK_H

#include "ledger/memory.h"
#include "memory/facts.h"
#include "model/journal.h"
#include "turn/turn_int.h"

// Members are read-only to all but an `apply` that is given one.
struct book {
    struct fact_book *facts;
    struct journal journal;
    struct core_memory core;         // changed with book_set_persona and book_set_human
    struct memory_manifest manifest;
    struct buf damage;               // what could not be read, a line each
    uint32_t refs;                   // private
    bool core_changed;               // private
};
// For who outlives what gave it. NULL allowed.
struct book *book_ref(struct book *b);
void book_release(struct book *b);

// What is remembered of this user by this bot. The caller's until done, which never runs inside the
// call.
struct book_wait {
    char partition[PARTITION_BYTES], bot[BOT_NAME_BYTES];
    const struct user_key *key;      // borrowed; NULL: nobody knows the user, the book is empty
    void (*done)(struct book_wait *wait);
    void *user;
    // out
    int code;                        // E_OK, E_CORRUPT, E_STORE, E_NOMEM, E_ERASED
    struct err err;
    struct book *book;               // the caller's to release; NULL on errors
    // private
    struct book_wait *next;
    struct loop_task task;
};
void book_open(struct worker *w, struct book_wait *wait);
// The same for a run: of its user, and of its job's bot. run->book is then
// there, and the run lets it go when it ends; on an error it is NULL, and the log tells: a turn
// goes on without. `then` comes at once where there is no memory to wait. Not while one is under
// way (run->book_busy).
void book_get(struct run *run, void (*then)(struct run *run));

// A change. The caller's until done, which never runs inside the call.
struct book_change {
    char partition[PARTITION_BYTES], bot[BOT_NAME_BYTES];
    const struct user_key *key;
    // Changes `b`, a copy of what is remembered now: with fact_book_consider, journal_put and the
    // functions below. May come several times, each with another copy: a conflict undoes what it
    // did. May set b->manifest.{sessions,reflected_at_ms,tries,due_at_ms}, and extra->learnt and
    // extra->notes, which must stay until done. Other than E_OK: nothing is written, done gets it.
    int (*apply)(struct book_change *change, struct book *b, struct ledger_memory_commit *extra,
                 struct err *err);
    void (*done)(struct book_change *change);
    void *user;
    // For apply: nobody knows whether what it did the time before was written. If it was, `b` has
    // it.
    bool unsure;
    // out
    int code;                        // E_OK also when there was nothing to write; E_CONFLICT: it
                                     // met others BOOK_TRIES_MAX times; else as book_wait
    struct err err;
    struct book *book;               // as it is now; the caller's to release; NULL on errors
    // private
    struct book_change *next;
    unsigned tries;
    struct loop_task task;
};
enum { BOOK_TRIES_MAX = 16 };  // with random waits between, longer each time
void book_change(struct worker *w, struct book_change *change);

// For an apply: core memory's texts. E_REFUSED: longer than CORE_BYTES_MAX.
int book_set_persona(struct book *b, struct safe_text text, struct err *err);
int book_set_human(struct book *b, struct safe_text text, struct err *err);

// Whoever that is was erased: nothing of them stays in memory.
void books_forget(struct worker *w, const char *partition);
bool books_busy(const struct worker *w);  // something is under way
void books_free(struct worker *w);        // nothing may be

#endif
