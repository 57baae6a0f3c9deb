// SPDX-License-Identifier: MIT
// book_int.h: what the files of books share: book.c (who asks, who changes), book_entries.c (whose
// books are in memory) and book_value.c (books themselves).
#ifndef TURN_BOOK_INT_H
#define TURN_BOOK_INT_H

#include "turn/book.h"

enum { BOOK_DAMAGE_BYTES_MAX = 128 << 10, BOOK_NAME_BYTES = PARTITION_BYTES + BOT_NAME_BYTES };

// Without facts; the caller's. NULL: E_NOMEM.
struct book *book_make(struct err *err);
// One that can be changed: it shares what it does not change.
int book_copy(struct book **out, const struct book *from, struct err *err);
bool book_same_manifest(const struct book *a, const struct book *b);
size_t book_bytes(const struct book *b);  // about how much memory it holds

// What is remembered of a user by a bot, and what is being done with it.
struct book_entry {
    struct worker *w;
    char name[BOOK_NAME_BYTES];       // partition/bot
    char partition[PARTITION_BYTES], bot[BOT_NAME_BYTES];
    const struct user_key *key;
    struct memory_user user;     // for digests
    struct book_entry *newer, *older; // least recently used order
    struct book *book;           // as it was loaded or written last; NULL: it is to be loaded
    size_t bytes;                // of it and of this, as counted in the worker's total
    bool busy, posted;
    bool erased;                 // its user is: it goes when nobody waits
    struct book_wait *waits, *waits_end, *asked;  // asked: whom this round answers
    struct book_change *changes, *changes_end;
    struct book *next;           // being loaded, or changed
    struct ledger_op op;
    struct ledger_manifest check;
    struct ledger_memory load;
    struct ledger_memory_commit commit;
    struct fact_slot **dirty;    // owned
    struct journal_entry *put[JOURNAL_LIST_MAX];
    const struct journal_entry *gone[JOURNAL_LIST_MAX];
    struct loop_task task;
    struct loop_timer timer;
};

struct books {
    struct map *by_name;
    struct book_entry *newest, *oldest;
    uint64_t bytes;
    uint32_t busy;               // entries with something to do
};

// book_entries.c
// The user's, made where there is none, as used last. key: NULL: as it is known. E_NOMEM.
int book_entry_find(struct book_entry **out, struct worker *w, const char *partition,
                    const char *bot, const struct user_key *key, struct err *err);
// Takes b, in the place of what it has. NULL: it is to be loaded.
void book_entry_keep(struct book_entry *e, struct book *b);
bool book_entry_in_use(const struct book_entry *e);
void book_entry_free(struct book_entry *e);
// Those that nobody uses go, the oldest first, until there is room for one more.
void books_free_idle(struct worker *w);

#endif
