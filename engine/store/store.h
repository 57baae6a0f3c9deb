// SPDX-License-Identifier: MIT
// store.h: the narrow waist. A store keeps records and knows no chat.
//
// Asynchronous: store_submit takes an op; the op's `done` runs on the op's loop, exactly once,
// never inside store_submit. All memory that an op points to is borrowed until then. Ops of one
// loop on one partition take effect in the order of submission; nothing is promised between
// partitions.
//
// What every store promises (tests/contract holds all of them to it):
//   1. A commit is whole or absent, and durable before it completes with E_OK.
//   2. A commit that completes with another code left no trace; except E_STORE with
//      `ambiguous` set: then it may have happened, and the caller reads to find out.
//   3. Versions grow by one with each put; a guard that does not hold gives E_CONFLICT and the
//      index of the item in `failed_item`; a stale epoch gives E_FENCED.
//   4. Scans are bytewise ordered and see whole commits only.
//   5. `due` may list late or twice, never not at all.
//   6. Sealed bodies come back byte for byte.
//   7. Damage harms what is damaged: an op that meets it ends with E_CORRUPT, never with success,
//      and others go on. A record that is there and cannot be read comes as a row with its key, and
//      without version, meta and body.
// A store object may be used from several loops at once; each op belongs to one.
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include "base/clock.h"
#include "base/conf.h"
#include "base/err.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/rand.h"
#include "model/record.h"
#include <stdbool.h>
#include <stdint.h>

struct store;
struct store_op;
struct store_env;

enum {
    STORE_BATCH_ITEMS_MAX = 50,
    STORE_BATCH_BYTES_MAX = 1 << 20,   // keys, meta and bodies of a batch together
    STORE_SCAN_LIMIT_MAX = 1000,
    STORE_SCAN_BYTES_MAX = 8 << 20,    // a scan stops early, with `more`, before it holds more
    STORE_PARTITION_BYTES_MAX = 64,
    STORE_BUSY_MS_MAX = 2000,          // how long a store waits for a lock before E_STORE
};

enum store_verb {
    // partition, key -> rows (0 or 1)
    STORE_GET,
    // partition, key (prefix), after, limit, backwards -> rows, more
    STORE_SCAN,
    // before_ms, partition+after (cursor), limit -> rows of any partition with due_at_ms <
    // before_ms, by due time; more. A cursor whose record is gone: from the start.
    STORE_DUE,
    // after, limit -> rows with partition only, ordered, more
    STORE_PARTITIONS,
    // partition, items (each key once), fence -> versions in the items
    STORE_COMMIT,
    // partition -> everything under it is gone
    STORE_DROP,
    // partition -> everything under it is gone, its leases too, and it is closed for ever: each
    // later COMMIT and LEASE is refused with E_ERASED, also one that was queued before by another
    // loop or process; reads find nothing. E_OK: nothing of it is left in the store's files either.
    // E_BUSY: closed and gone, but somebody still reads what was before (a backup under way), so
    // that copies are left in those files: ask again. Repeating it is harmless; what never had a
    // record can be erased. What is kept of it is its name. A large one may be deleted piece by
    // piece, and ops of others come between. After any other code but E_USAGE, and after a crash,
    // it may be closed with a part still there, that nobody can read: erasing it again goes on.
    STORE_ERASE,
    // partition, key, holder, ttl_ms, epoch -> epoch; E_REFUSED with `holder_now`; E_FENCED when
    // the epoch to renew or release is over. Epochs grow, also over a drop; no record shows.
    STORE_LEASE,
    // key (a claim) -> alive
    STORE_CLAIM_ALIVE,
    // limit -> rows: what is wrong with the store itself, in `meta`, a text for people each; none:
    // it is sound. Reads all of it.
    STORE_CHECK,
};

enum store_item_verb {
    STORE_INSERT,  // if absent, else E_CONFLICT
    STORE_PUT,     // if the version is `version`, else E_CONFLICT (0: whatever is there, or
                   // absent); a counter is then at `count`
    STORE_DELETE,  // if the version is `version` (0: any, absent allowed), else E_CONFLICT
    STORE_ADD,     // add `count` to a counter record; absent: made, with meta, due and body as PUT;
                   // E_REFUSED if it would overflow
};

struct store_item {
    enum store_item_verb verb;
    struct slice key;
    uint64_t version;      // in: guard; out: the version now (0 after a delete)
    int64_t due_at_ms;
    int64_t count;         // STORE_ADD: in: what to add; out: the sum; STORE_PUT: what it is then
    struct slice meta;
    struct sealed body;
};

struct store_op {
    // The caller's, set before submit. Zero what is not used.
    enum store_verb verb;
    struct loop *loop;
    void (*done)(struct store_op *op);
    struct slice partition;
    struct slice key;
    struct slice after;          // scans: start after this key (before it when backwards);
                                 //        empty: from the end
    uint32_t limit;              // 1 .. STORE_SCAN_LIMIT_MAX
    bool backwards;
    int64_t before_ms;
    struct store_item *items;
    uint32_t items_len;
    struct slice fence_key;      // COMMIT: a lease that must be held …
    uint64_t fence_epoch;        // … at this epoch; 0: no fence
    struct slice holder;         // LEASE: who asks; empty releases
    int64_t ttl_ms;
    uint64_t epoch;              // LEASE: in: 0 acquire if free or expired, UINT64_MAX take over
                                 //        anyway, else renew this epoch; out: the epoch held
    // The store's, valid in `done` and until store_op_release.
    int code;
    struct err err;
    bool ambiguous;
    uint32_t failed_item;
    struct record *rows;
    uint32_t rows_len;
    bool more;
    bool alive;
    char holder_now[64];
    // Private to the store.
    struct loop_task task;
    struct store_op *next;
    int64_t queued_ns;
    uint32_t bucket;
    void *memory;
};

// A copy in the making, seen by who asked for it. Members may be NULL, but for `check`.
struct store_copying {
    bool replace;                 // backup: a file that is there already
    // Now and then; other than 0 stops it with E_CANCELLED.
    int (*progress)(void *user, uint64_t done_bytes, uint64_t total_bytes);
    // Whether the copy is what it should be: a store under this URL, which nobody else knows yet.
    // Other than E_OK: it is dropped.
    int (*check)(void *user, const char *url, struct err *err);
    void *user;
};

// What one kind of store is. Tables are static const; instances embed struct store as first member.
struct store_ops {
    const char *name;             // the URL's scheme
    const char *description;
    const char *url_form;         // "sqlite:PATH", for help
    // Opens or makes what `rest` (the URL after the colon) names; schema checked, not migrated if
    // newer or older than ours (E_STORE saying which, and to run `parley migrate`).
    int (*open)(struct store **out, const char *rest, const struct store_env *env, struct err *err);
    // As in store_submit. Called on the op's loop thread.
    void (*submit)(struct store *s, struct store_op *op);
    // This process's claim: unique among processes that ever lived. Borrowed, constant.
    const char *(*claim)(struct store *s);
    // Blocking, before any submit: brings the schema up to date. `dry_run` only tells, and answers
    // 1 if there are steps to take. Appends "from version 1 to 2: …" lines to report.
    int (*migrate)(const char *rest, bool dry_run, struct buf *report, struct err *err);
    // Blocking, while others use the store: a copy of it as of one moment, in a new file of its own
    // (replaced, if how says so; else E_REFUSED), which appears there checked, durable and whole or
    // not at all. NULL: this kind of store cannot be copied.
    int (*backup)(const char *rest, const char *file, const struct store_copying *how,
                  struct err *err);
    // Blocking: a checked copy of `file` takes the place of the store, which is then under the name
    // that is appended to `aside` (nothing: there was none). E_REFUSED: the store is in use.
    // Whenever the process dies, the store is the old one or the new one.
    int (*restore)(const char *rest, const char *file, const struct store_copying *how,
                   struct buf *aside, struct err *err);
    // Blocking: completes what was submitted, checkpoints, closes. Never called with NULL.
    void (*free)(struct store *s);
};

// The seams and settings that a store gets; borrowed for its life.
struct store_env {
    const struct clock *clock;
    const struct rand *rand;
    const struct log *log;
    bool read_only;
    bool must_exist;       // no file is made
    int64_t busy_ms;       // how long a write waits for other processes before E_STORE; 0:
                           // STORE_BUSY_MS_MAX
};

struct store {
    const struct store_ops *ops;
};

extern const struct store_ops store_memory, store_sqlite, store_faulty;

// Opens by URL: "sqlite:parley.db", "memory:", "faulty:fail_at=3,mode=before;memory:" (faulty.c).
// E_STORE with what is wrong and what to do; an unknown scheme lists the known ones.
int store_open(struct store **out, const char *url, const struct store_env *env, struct err *err);
// Whether there is such a kind of store; nothing is opened.
int store_check_url(const char *url, struct err *err);
// 1: a dry run, and until its steps are taken the store does not open.
int store_migrate(const char *url, bool dry_run, struct buf *report, struct err *err);
// E_USAGE where this kind of store cannot.
int store_backup(const char *url, const char *file, const struct store_copying *how,
                 struct err *err);
int store_restore(const char *url, const char *file, const struct store_copying *how,
                  struct buf *aside, struct err *err);
void store_free(struct store *s);   // NULL allowed
const char *store_claim(struct store *s);
// Checks the op's limits (E_USAGE in `done`, like any other answer) and hands it to the store.
void store_submit(struct store *s, struct store_op *op);
// Frees the results; the op can then be filled again.
void store_op_release(struct store_op *op);

#endif
