// SPDX-License-Identifier: MIT
// facts_int.h: what the files of the book of facts share: facts.c (slots, and who owns them),
// facts_consider.c (what a candidate does), facts_evidence.c (what a fact rests on),
// facts_periods.c (what follows from that), facts_forget.c, facts_retract.c.
#ifndef MEMORY_FACTS_INT_H
#define MEMORY_FACTS_INT_H

#include "memory/facts.h"

// A slot, shared by books that did not change it.
struct shared_slot {
    struct fact_slot slot;
    uint32_t refs;
};
struct book_entry {
    struct shared_slot *shared;
    bool dirty;
};
struct damaged_slot {
    enum fact_tier tier;
    char digest[FACT_SLOT_BYTES];
};
struct fact_book {
    char bot[BOT_NAME_BYTES];
    struct fact_digest digest;
    struct vec entries;           // struct book_entry, by tier and digest
    struct vec damaged;           // struct damaged_slot
};

// Slots that are one by their predicates' aliases: indexes of entries. Good until one is added.
enum { GROUP_MAX = 32 };
struct group {
    uint32_t at[GROUP_MAX];
    uint32_t len;
};

static inline struct fact_slot *book_slot(const struct fact_book *b, uint32_t i)
{
    return &VEC_AT(&b->entries, struct book_entry, i)->shared->slot;
}
// The slot for changing: no other book has it any more, and it is dirty. E_NOMEM.
int book_own(struct fact_book *b, uint32_t i, struct fact_slot **out, struct err *err);
// Where the slot is, or is to be; false: it is not there.
bool book_find_slot(const struct fact_book *b, enum fact_tier tier, const char *digest,
                    uint32_t *at);
// Adds a slot without facts (moved in), which is to be written; *at says where. E_REFUSED, without
// words: the book is full.
int book_add_slot(struct fact_book *b, struct fact_slot *slot, uint32_t *at, struct err *err);
bool book_is_damaged(const struct fact_book *b, enum fact_tier tier, const char *digest);
// Digests of the user: of what slot says of scope, subject and predicate; and the id of a value.
int book_slot_digest(const struct fact_book *b, const struct fact_slot *slot,
                     char out[FACT_SLOT_BYTES], struct err *err);
int book_fact_id(const struct fact_book *b, const struct fact_slot *slot, struct slice value,
                 char out[FACT_ID_BYTES], struct err *err);

// facts_evidence.c: whether the fact would be another one with this.
bool evidence_is_news(const struct fact *f, const struct fact_evidence *e);
// Of more than FACT_EVIDENCE_MAX what supports nothing goes, then those in the middle. E_NOMEM.
int evidence_add(struct fact *f, const struct fact_evidence *e, struct err *err);
// Takes the i-th piece of evidence away, with what was counted of it.
void evidence_remove(struct fact *f, size_t i);
// What was believed is in quarantine from now on: who drops it when that is over is to look at the
// slot, as only the rules say when.
void slot_is_due(struct fact_slot *s, int64_t now_ms);
// Room in the slot for one fact more, or for more evidence of the one that has this id; false:
// there is none. Pointers to its facts are others then.
bool slot_make_room(struct fact_slot *s, const char *id);

// facts_forget.c: the knowledge that rests on the fact alone is forgotten too, other knowledge
// loses this evidence; adds to *count. E_NOMEM.
int forget_conclusions(struct fact_book *b, const char *id, int64_t now_ms, uint32_t *count,
                       struct err *err);

// facts_periods.c: statuses and periods of slots as they follow from their statements: of all of
// them together where there is one value, else of each value by itself. E_NOMEM, then nothing is
// changed.
int facts_settle_periods(struct fact_slot *const *slots, uint32_t len, bool one, int64_t now_ms,
                         struct err *err);
// The order of statements: when they were said; then where.
int statement_cmp(const struct fact_evidence *a, const struct fact_evidence *b);

#endif
