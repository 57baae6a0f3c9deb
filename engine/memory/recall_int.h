// SPDX-License-Identifier: MIT
// recall_int.h: what the parts of the recall index share: recall.c (what it holds), embed.c
// (embeddings that come later), ask.c (what a query asks), rank.c (the ranking).
#ifndef MEMORY_RECALL_INT_H
#define MEMORY_RECALL_INT_H

#include "memory/recall.h"
#include "memory/segment.h"

struct piece {
    struct segment *segment;
    uint32_t number;  // of the segment; 0: the tail
    uint32_t base;    // number of its first document in the whole index
};

// What ranking asks of a document at every turn, close together.
struct place {
    // Messages with the same number are of one session's talk, neighbours in it but for memories
    // between them. Of the first of some memories in a row it is the place of the last, and of the
    // last that of the first, so that a walk over messages passes them in one step.
    uint32_t run;
    uint16_t words;
    uint8_t flags;  // enum doc_flags, enum place_flags
    uint8_t dead;
};
enum place_flags {
    PLACE_JOINS = 32,  // a line of the journal, of the same session as the one before it
    PLACE_ALONE = 64,  // a memory: what is around it is not about it, but for lines that join
    PLACE_AWAY = 128,  // during a query: may not be found
};

// What the parts of the ranking are worth; rank.c has the ones in use and their reasons. In 1/256
// where nothing else is said.
struct rank_rules {
    uint32_t k1;  // in 1/64
    uint32_t b;
    uint32_t before, after;              // what the message before says, the message after
    uint32_t asked_before;               // the message before, when it asks
    uint32_t fade;                       // from each message to the next one farther away
    uint32_t reach;                      // messages
    uint32_t minor;                      // function words, speakers' names
    uint32_t variant;                    // a term that is only like the one asked for
    uint32_t speaker, month, day, year;  // gained by what the query names
    uint32_t asking;                     // lost by a message that ends in a question
    uint32_t recent;                     // gained now; half of it after recent_ms
    int64_t recent_ms;
    uint32_t confirmed;                  // the same of memories, by when they were confirmed
    int64_t confirmed_ms;
    uint32_t cosine;  // the best cosine beside the best lexical score, with full trust
};
extern const struct rank_rules rank_rules_default;

struct recall {
    const struct rank_rules *rules;
    struct buf names;  // what `about` borrows
    struct segment_about about;
    struct vec pieces;  // struct piece; in order, the tail's last when it is there
    struct segment_builder *tail;
    struct vec tail_dead;  // uint8_t per document of the tail
    bool tail_viewed;      // the last piece is the tail as it is
    uint32_t next_number;
    struct terms terms, speaker;  // scratch
    struct buf speaker_text;
    int8_t *quantised;  // scratch: dims bytes
    // The view: made anew when documents came or went.
    bool placed;
    uint32_t docs_len, docs_cap, live;
    uint64_t words;  // of live documents
    struct place *places;
    uint32_t *weight, *score;  // scratch of a query, per document
    int32_t *cosine;           // the same, with vectors only
    uint32_t *fused;
    uint32_t trust;            // recall_trust, once measured; TRUST_UNKNOWN
};

// The tail is no piece any more: it changes, or what is made of it.
void recall_drop_tail_view(struct recall *r);
// Makes the view true: the tail sealed into a piece, places numbered. E_NOMEM.
int recall_view(struct recall *r, struct err *err);
// The document with this number, and its piece.
const struct doc *recall_doc(const struct recall *r, uint32_t number, const struct piece **piece);

// How far the index's embeddings are to be believed, in 1/256. The view is true.
enum { TRUST_UNKNOWN = UINT32_MAX / 2 };
uint32_t recall_trust(struct recall *r);

// The message of the same talk after this one, before it; PLACE_NONE: there is none.
#define PLACE_NONE UINT32_MAX
static inline uint32_t recall_after(const struct recall *r, uint32_t at)
{
    uint32_t next = at + 1;
    if (r->places[at].flags & PLACE_ALONE)
        return next < r->docs_len && r->places[next].flags & PLACE_JOINS ? next : PLACE_NONE;
    if (next < r->docs_len && r->places[next].flags & PLACE_ALONE)
        next = r->places[next].run + 1;
    bool same = next < r->docs_len && r->places[next].run == r->places[at].run;
    return same ? next : PLACE_NONE;
}
static inline uint32_t recall_before(const struct recall *r, uint32_t at)
{
    uint32_t next = at;
    if (r->places[at].flags & PLACE_ALONE)
        return r->places[at].flags & PLACE_JOINS ? at - 1 : PLACE_NONE;
    if (next > 0 && r->places[next - 1].flags & PLACE_ALONE)
        next = r->places[next - 1].run;
    bool same = next > 0 && r->places[next - 1].run == r->places[at].run;
    return same ? next - 1 : PLACE_NONE;
}

// ---- a query, read

enum { ASK_VARIANTS_MAX = 8 };

struct ask_variant {
    struct slice text;  // borrowed from a segment, or from the query's terms
    uint32_t part;      // how much an occurrence counts, in 1/256
};
struct ask_term {
    struct slice text;  // as asked; borrowed from ask.terms
    uint32_t weight;    // idf in 1/256, less for function words
    uint32_t variants_len;
    struct ask_variant variants[ASK_VARIANTS_MAX];
};

struct ask {
    struct terms terms;
    struct ask_term list[RECALL_QUERY_TERMS_MAX];
    uint32_t len;
    uint32_t rarest;            // what a term would weigh that nobody said, in 1/256
    struct slice speaker;       // the one speaker that the query names; empty: none, or several
    uint32_t year, month, day;  // that the query names; 0: none
};
// Fills *a (released by ask_release, also after an error). The view is true.
int ask_read(struct ask *a, struct recall *r, struct slice text, struct err *err);
void ask_release(struct ask *a);

// The date of a moment, UTC.
void date_of(int64_t at_ms, uint32_t *year, uint32_t *month, uint32_t *day);

#endif
