// SPDX-License-Identifier: MIT
// recall_int.h: what the files of recall share: recall.c (indexes in memory, made true to the
// ledger), recall_book.c (and to what is remembered), recall_keep.c (their records) and
// recall_embed.c (their embeddings).
//
// Records, in the user's partition, sealed like all others:
//   recall/<bot>                           the manifest. Meta: {"segments":[[number,"stamp",
//                                          parts],…],"from":ms}; no body
//   recall/<bot>/<number>/<stamp>/<part>   a segment's bytes, 200 KiB each. Meta: {"base":n}, the
//                                          manifest's version that it was made for
//
// Invariants:
//   1. The ledger is the truth. Which turns an index holds is read off its segments; what is not
//      in them is added before anybody asks, what was superseded since is forgotten. So a crash
//      between a turn and its indexing loses nothing, and nothing comes twice.
//   2. The manifest moves at its version, in one commit with the last parts of what it names and
//      without what it names no more. Whoever loses that race (another process) loses only work:
//      it drops its index and reads it again.
//   3. A part that no manifest names, made for an older one, will never be named: it is deleted
//      with the next commit.
//   4. One operation of an index at a time; queries are answered between them.
#ifndef TURN_RECALL_INT_H
#define TURN_RECALL_INT_H

#include "memory/recall.h"
#include "memory/segment.h"
#include "turn/book.h"
#include "turn/embedding.h"

enum {
    ROUND_TURNS = 512,            // added for one turn of a user
    RECALL_PART_BYTES = 200 << 10,
    RECALL_PARTS_OF_COMMIT = 4,   // so that a commit stays within a MiB
    RECALL_STAMP_BYTES = 9,
    RECALL_CONTEXT_BYTES = 17,    // the beginning of a context's hash
};

// A segment that the manifest names.
struct kept {
    uint32_t number, parts;
    char stamp[RECALL_STAMP_BYTES];
};

// What is known of a session.
struct seen {
    uint64_t version;      // of its head as it was read; 0: not read yet
    uint64_t superseded;   // hash of its superseded ranges that were forgotten
    uint32_t covered;      // its turns up to this one are in the index, or need not be
    uint32_t round;        // that saw it last
};

// The index of one user with one bot, in memory.
struct shelf {
    struct worker *w;
    char partition[PARTITION_BYTES], bot[BOT_NAME_BYTES];
    char *name;                       // its key in worker->shelves, owned
    const struct user_key *key;       // borrowed from the vault
    struct shelf *newer, *older;      // least recently used order
    uint64_t bytes;                   // as counted in the worker's total
    uint32_t pins;                    // runs that have it
    struct run *line, *line_end;      // runs that wait for it, oldest first
    bool busy;                        // an operation is under way
    bool erased;                      // its user is: it goes when nobody has it
    bool stale;                       // upkeep: the ledger is to be looked at
    bool unwritten;                   // upkeep: something may be to be written
    bool purge;                       // upkeep: what was purged is in segments yet
    struct run *purgers;              // runs that wait for that
    uint32_t steps;                   // of upkeep since the engine began to close

    struct recall *recall;            // owned; NULL: not loaded
    struct map *seen;                 // session id -> struct seen *, owned
    uint32_t tail;                    // messages that no segment holds
    struct book *book;                // whose memories it has; a reference; NULL: to be seen
    bool book_partial;                // but for some that found no room
    // its records
    uint64_t version;                 // of the manifest; 0: there is none
    struct vec kept;                  // struct kept, in the order of their numbers
    int64_t from_ms;                  // what was said up to then was dropped, as there was too much
    struct buf sweep;                 // keys of parts that no manifest will name, NUL after each

    // the operation under way
    void (*then)(struct shelf *s), (*round_then)(struct shelf *s);
    int code;
    struct err err;
    uint32_t round;
    uint32_t allowance;               // turns that this round may still add
    struct session_list list;
    uint32_t list_at;                 // heads that were gone through, from the oldest on
    uint32_t pick_last;               // turns up to this one are being added
    bool behind;                      // this round left turns for the next
    struct session_head *head;        // whose turns are being added
    struct safe_buf text;
    struct ledger_op op;
    struct store_op store;
    struct keep *keep;                // recall_keep.c's; owned
    struct batch *batch;              // recall_embed.c's; owned; NULL: none was needed yet
    struct loop_task task;
};

// recall.c
void shelf_wake(struct shelf *s);  // there may be something to write
// Makes the index true to the ledger, with up to so many turns that are new; calls `then`, later.
void shelf_round(struct shelf *s, uint32_t allowance, void (*then)(struct shelf *s));
void shelf_step_over(struct shelf *s);  // the operation under way is through
void shelf_forget(struct shelf *s);     // the index in memory; it is read again when it is needed
// The oldest segment makes room for what is new, where it is needed: a piece of work.
int shelf_drop_oldest(struct shelf *s, struct recall_change *change);

// recall_book.c
// Makes the index, which run has, true to run->book, unless it is to a newer one. E_NOMEM, E_USAGE.
int shelf_remember(struct run *run, struct err *err);
void shelf_forget_book(struct shelf *s);  // harmless without
// A memory as the book tells it; false: it is not there any more.
struct found_memory {
    enum recall_kind kind;
    struct fact_at at;                  // of facts and knowledge
    const struct journal_entry *entry;  // of the journal, with its line
    struct safe_text line;
};
bool shelf_find_memory(const struct shelf *s, enum recall_kind kind, struct slice name,
                       uint32_t part, struct found_memory *out);
void shelf_tell_memory(const struct found_memory *m, struct safe_buf *out);
struct slice shelf_context_key(const struct run *run);  // for a query's scope

// recall_memory.c
struct remembered {
    struct safe_buf text;  // owned; empty: nothing is told
    struct sent_recalled list[SENT_MEMORIES_MAX];
    uint32_t len;
};
// What run, which has a book and an index that is true to it (NULL: none), is told, into *out,
// which is empty. E_NOMEM, E_USAGE.
int remembered_compose(struct run *run, struct recall *index, struct remembered *out,
                       struct err *err);
bool remembered_wants(const struct run *run);        // its policy has a memory
bool remembered_wants_index(const struct run *run);  // and there is something to be found

// recall_turn.c
struct recall_hit *recalling_hits(struct recalling *r);  // room for RECALL_HITS_MAX

// recall_upkeep.c
void shelf_upkeep(struct shelf *s);
void shelf_purgers_end(struct shelf *s, int code, const struct err *err);

// recall_embed.c
void batch_free(struct batch *b);  // NULL allowed
// A call is under way, or has come back and its vectors are not in the index yet.
bool batch_busy(const struct batch *b);
bool batch_arrived(const struct batch *b);
void batch_drop(struct batch *b);  // what arrived; NULL allowed
void batch_allow(struct batch *b);  // a turn is over: a call that failed may be tried again
// Gives messages what arrived: a piece of work, as the index's own.
int batch_attach(struct shelf *s, struct recall_change *change);
// Begins the next batch and calls `then`, later; false: there is none, or it may not be asked now.
bool batch_begin(struct shelf *s, void (*then)(struct shelf *s));

// recall_keep.c
// Loads recall, kept, version, from_ms and sweep; calls `then`, later, with s->code.
void shelf_load(struct shelf *s, void (*then)(struct shelf *s));
// Writes what a piece of work changed; calls `then`, later, with s->code.
void shelf_write(struct shelf *s, const struct recall_change *change,
                 void (*then)(struct shelf *s));
void keep_free(struct keep *k);

#endif
