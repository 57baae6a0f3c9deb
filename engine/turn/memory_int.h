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
};

struct remembering {
    struct book_wait wait;
    struct book *book;               // referenced
    struct fact_at one;              // the one that is asked about; without a slot: all
    struct vec quotes;               // of struct quote, in the order in which they are told
    struct vec by_turn;              // of struct quote *, those of a turn together
    size_t next, turns;              // how far by_turn was read, and how many turns that were
    bool seen;                       // the turn that is being read is there
    struct buf text;                 // of the quotes
};

// Facts one after the other as they are told: of a tier, in their slots' order. at begins with
// FACT_AT_START.
bool memory_next(const struct run *run, enum fact_tier tier, struct fact_at *at);
// Ends the run with what run->extra, a struct remembering, has.
void memory_tell(struct run *run);


void memory_job_start(struct run *run);
void forget_fact_start(struct run *run);
void drop_quarantined_start(struct run *run);
// Says what to do about a fact that was not found; returns its code.
int memory_no_fact(struct err *err, int code, struct slice fact);

#endif
