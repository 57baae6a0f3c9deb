// SPDX-License-Identifier: MIT
// memory_int.h: what is told of what a bot remembers (memory_job.c, memory_tell.c), and forgotten
// of it (forget_fact.c), or dropped in time (quarantine.c).
#ifndef TURN_MEMORY_INT_H
#define TURN_MEMORY_INT_H

#include "turn/book.h"

enum { QUOTE_TURNS_MAX = 4096 };  // that are read for one answer; evidence after that has no quote

// What was said, cut out of its turn as the ledger has it.
struct quote {
    const struct fact_evidence *of;  // borrowed from the book
    bool wanted;                     // else it is not looked for
    bool gone;                       // the turn was deleted
    bool there;                      // text[at], so many bytes
    size_t at, len;
    const char *why;                 // a constant: why it does not bear the fact out; NULL
};

// The context of a session in which the user said what holds in it alone.
struct named_context {
    char session[ID_TEXT_BYTES];
    char context[CONTEXT_BYTES];     // "": it is not known
};

struct remembering {
    struct book_wait wait;
    struct book *book;               // referenced
    struct fact_at one;              // the one that is asked about; without a slot: all
    struct vec facts;                // of struct fact_at: what is told, in the order of telling
    struct vec quotes;               // of struct quote, in the order in which they are told
    struct vec by_turn;              // of struct quote *, those of a turn together
    size_t next, turns;              // how far by_turn was read, and how many turns that were
    bool seen;                       // the turn that is being read is there
    struct session_list list;        // memory_scope.c: sessions whose contexts are named
    struct vec contexts;             // of struct named_context, by session
    void (*named)(struct run *run);
    struct buf text;                 // of the quotes
};

// Ends the run with what run->extra, a struct remembering, has.
void memory_tell(struct run *run);

// memory_scope.c: finds the names of the contexts in which what is told holds; `then` may come at
// once.
void memory_name_contexts(struct run *run, void (*then)(struct run *run));
// The one in which a fact holds, borrowed; NULL: in all, or its name is not known.
const char *memory_context(const struct remembering *m, const struct fact_slot *slot,
                           const struct fact *f);
// memory_why.c: why a statement that was made in `t` does not bear the fact out: a constant.
const char *memory_why_not(const struct fact_at *at, const struct fact_evidence *e,
                           const struct turn *t);

// What went with a fact that was forgotten: ids (char[FACT_ID_BYTES]) of the fact itself, then of
// the knowledge that rested on it alone; and how many lines of journal and core memory told of
// them.
struct forgotten {
    struct vec ids;                  // released by whoever called forgotten_init
    uint32_t lines;
};
void forgotten_init(struct forgotten *f);
// book_forget.c, for a book_change's apply: forgets a fact that is there, and all of that, which
// *out then has. E_NOMEM.
int book_forget(struct book *b, const char *id, int64_t now_ms, struct forgotten *out,
                struct err *err);

void memory_job_start(struct run *run);
void forget_fact_start(struct run *run);
void drop_quarantined_start(struct run *run);
// Says what to do about a fact that was not found; returns its code.
int memory_no_fact(struct err *err, int code, struct slice fact);

#endif
