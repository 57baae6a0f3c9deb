// SPDX-License-Identifier: MIT
// facts.h: all that a bot remembers of a user, and what a candidate does to it. No I/O.
//
// A `struct fact_book` holds slots (model/fact.h). What a slot says follows from its statements
// (the evidence), whatever order they are considered in and however often:
//
//   1. The same value is one fact for ever: its id is a keyed digest of the slot and the value in
//      normal form. A value that is nearly the same (memory/alike.h) as one that the slot has is a
//      statement of that one. Predicates that are aliases by the rules are one slot.
//   2. A statement is known by session, turn, step and author: a second extraction of it, by
//      whatever extractor, changes nothing (SAME).
//   3. A fact is quarantined until a statement supports it. Those that do not are kept as evidence
//      of what is quarantined, and otherwise change nothing.
//   4. Where a predicate takes one value, what was said last is so, and what it took the place of
//      is superseded from then on. Other slots are never touched. What was said earlier and comes
//      to be known later finds its place in the past. Periods of a slot never overlap.
//   5. Where it takes several, each value is so until the user says that it is so no more; then
//      until they say it again.
//   6. What was forgotten keeps id and evidence positions. What was said before that never brings
//      it back, also not in other words from the same place; what the user says anew does.
//
// When a slot is full (SLOT_VALUES_MAX values, or SLOT_BODY_BYTES_MAX) the quarantined value that
// is oldest goes, then the superseded one that was retired first; a candidate for which that makes
// no room is REFUSED. So is one that needs a slot more than BOOK_SLOTS_MAX, when no slot has only
// quarantined values: such a one goes.
//
// A book is copied to be changed: copies share slots that they do not change. So who reads one is
// not disturbed. Owned by one thread at a time; books that share slots by the same one.
#ifndef MEMORY_FACTS_H
#define MEMORY_FACTS_H

#include "model/fact.h"
#include "model/memory_rules.h"

struct fact_book;

// Keyed digests of the user (of a vault: ledger_memory_digest).
struct fact_digest {
    int (*make)(void *user, struct slice value, char out[FACT_SLOT_BYTES], struct err *err);
    void *user;
};

// Everything that is kept belongs to this bot. All is copied but what digest points to.
int fact_book_new(struct fact_book **out, const char *bot, const struct fact_digest *digest,
                  struct err *err);
void fact_book_free(struct fact_book *b);  // NULL allowed
int fact_book_copy(struct fact_book **out, const struct fact_book *b, struct err *err);
size_t fact_book_bytes(const struct fact_book *b);  // about how much memory it holds

// Takes *slot (moved out, also where it fails), as it was stored. E_CORRUPT: its digest is not that
// of its names, or it is there already; E_REFUSED: too many; E_NOMEM.
int fact_book_put_slot(struct fact_book *b, struct fact_slot *slot, struct err *err);
// A slot that could not be read: nothing is said of it, and nothing can be added to it.
int fact_book_put_damaged(struct fact_book *b, enum fact_tier tier, struct slice digest,
                          struct err *err);
uint32_t fact_book_damaged(const struct fact_book *b);

// ---- reading; what is returned is borrowed, until the book is freed or changed

uint32_t fact_book_slots(const struct fact_book *b);
const struct fact_slot *fact_book_slot(const struct fact_book *b, uint32_t i);
// Facts one after the other, those of one slot together; begin with FACT_AT_START. False at the
// end.
struct fact_at {
    const struct fact_slot *slot;
    const struct fact *fact;
    uint32_t next_slot, next_fact;  // private
};
#define FACT_AT_START {NULL, NULL, 0, 0}
bool fact_book_next(const struct fact_book *b, struct fact_at *at);
bool fact_book_next_active(const struct fact_book *b, struct fact_at *at);
// By id, or the beginning of one that only this fact has (4 digits at least); E_NOT_FOUND,
// E_USAGE: several begin so. at is filled in.
int fact_book_find(const struct fact_book *b, struct slice id, struct fact_at *at, struct err *err);
// Whether the book has the candidate's value under its scope, subject and predicate (or an alias of
// that), said in the same words or nearly so, in whatever status but forgotten. E_NOMEM.
int fact_book_knows(struct fact_book *b, const struct fact_candidate *c,
                    const struct memory_rules *rules, bool *known, struct err *err);
uint32_t fact_book_count(const struct fact_book *b, enum fact_tier tier, enum fact_status status);
// Whether an active fact is so old, as nobody said it again, that it is a question.
bool fact_is_stale(const struct fact *f, const struct memory_rules *rules, int64_t now_ms);

// ---- changing; only copies (or new books) are changed

enum fact_outcome {
    OUTCOME_SAME,         // nothing is to be written
    OUTCOME_NEW,          // active
    OUTCOME_CONFIRMED,    // it was active, and is said again
    OUTCOME_PROMOTED,     // it was quarantined, and is active
    OUTCOME_SUPERSEDED,   // active; others, in `superseded`, are so no more
    OUTCOME_PAST,         // it was so, and is not now: said before what is so, or of a time gone by
    OUTCOME_ENDED,        // what was so is no more
    OUTCOME_QUARANTINED,
    OUTCOME_REFUSED,      // `why`
};
const char *fact_outcome_word(enum fact_outcome outcome);  // "new"
struct fact_considered {
    enum fact_outcome outcome;
    char id[FACT_ID_BYTES];          // the fact; "" when refused
    char superseded[FACT_ID_BYTES];  // the first of them; "": none
    const char *why;                 // refused: a constant, for people; else NULL
};
// What the candidate does to the book. supported: the gate found (memory/gate.h) that the user says
// so; what it refused is no candidate. Of the rules the predicates are looked at; one that is not
// declared takes what the candidate says. E_NOMEM, and the digest's errors: the book may then hold
// a part of it, and is to be freed.
int fact_book_consider(struct fact_book *b, const struct fact_candidate *c, bool supported,
                       const struct memory_rules *rules, int64_t now_ms,
                       struct fact_considered *out, struct err *err);
// The same for knowledge that rests on facts, given by their ids. REFUSED unless each of them is an
// active fact and their statements are of two sessions at least. The candidate's session, turn and
// author are theirs.
int fact_book_conclude(struct fact_book *b, const struct fact_candidate *c,
                       const char (*facts)[FACT_ID_BYTES], uint32_t facts_len,
                       const struct memory_rules *rules, int64_t now_ms,
                       struct fact_considered *out, struct err *err);
// Forgets a fact, with the knowledge that rests on it alone; *count of them in all. Knowledge that
// rests on others too loses this evidence. E_NOT_FOUND: there is none, or it is forgotten already.
int fact_book_forget(struct fact_book *b, const char *id, int64_t now_ms, uint32_t *count,
                     struct err *err);
// Quarantines the knowledge whose facts do not bear it any more, as they were superseded or ended:
// until facts of two sessions bear it anew, or its quarantine is over. Evidence that names a fact
// that is not there any more goes, and knowledge that has no other. *count of what was quarantined,
// if count is not NULL. E_NOMEM.
int fact_book_retire_unborne(struct fact_book *b, int64_t now_ms, uint32_t *count,
                             struct err *err);

// What was said in turns that were taken back (an undo, an edit) was never said: these statements
// go, with what rests on them alone; what they took the place of is so again. *count of the values
// that went. E_NOMEM.
int fact_book_retract(struct fact_book *b, const char *session,
                      bool (*is_gone)(void *user, uint32_t turn), void *user, int64_t now_ms,
                      uint32_t *count, struct err *err);

// Drops what has been in quarantine for as long as the rules say; *count of it. What was dropped is
// as if it had never been proposed. A slot is due when its first one is; where
// what was believed is quarantined it is due at once, for this to say anew. E_NOMEM.
int fact_book_drop_quarantined(struct fact_book *b, const struct memory_rules *rules,
                               int64_t now_ms, uint32_t *count, struct err *err);

// ---- what is to be written

bool fact_book_changed(const struct fact_book *b);
// The slots that were changed since they were put or settled; fills up to max, returns how many
// there are. One that has no facts any more is to be deleted. Borrowed.
uint32_t fact_book_dirty(const struct fact_book *b, struct fact_slot **out, uint32_t max);
// They were written, and have their new versions; slots that had no facts any more are gone.
void fact_book_settle(struct fact_book *b);

#endif
