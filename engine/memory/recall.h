// SPDX-License-Identifier: MIT
// recall.h: which past messages of this user bear on what is being asked, and what of all that is
// remembered of them, best first, and why.
//
// A `struct recall` is the index of one user with one bot. Its documents are messages, and
// memories: facts, knowledge, and lines of the journal (enum recall_kind). A memory stands alone,
// but that the lines of one session's journal lean on each other like messages do: what is said
// around a message is what messages of its session say. Messages are added in order; a
// query gives a ranking, by words alone or by words and an embedding. It does no I/O: the owner
// keeps the index's segments (bytes) where it keeps records, and hands them back later.
// Synchronous; owned by one thread at a time (a worker's: the user's data is never shared).
//
// Ranking (rank.c says how, and what each part is worth): BM25 over a message and, faded, what was
// said around it, since talk carries its subject over several messages and answers a question in
// the next one; the speaker and the date that the query names; a faint preference for what is
// recent; and the cosine of the query's embedding, where there is one. Integers throughout: the
// same index and query give the same ranking on every machine.
//
// How it grows: new messages lie in a tail; recall_seal turns the tail into a segment, and four
// segments of one level into one of the next (up to SEGMENT_DOCS_MAX documents), so a message is
// written again log4(4096 / those sealed at once) times in its life and never after. Segments are
// ordered by number, oldest first. A message that is forgotten is not found from then on, and its
// words leave the bytes when its segment is next written (recall_purge does it at once).
//
// Limits: RECALL_DOCS_MAX messages (then E_REFUSED: recall_drop makes room), texts to
// TERMS_TEXT_BYTES_MAX, queries to RECALL_QUERY_TERMS_MAX terms, the rarest.
#ifndef MEMORY_RECALL_H
#define MEMORY_RECALL_H

#include "base/err.h"
#include "base/slice.h"
#include <stdbool.h>
#include <stdint.h>

enum {
    RECALL_DOCS_MAX = 1 << 18,
    RECALL_SEGMENTS_MAX = 256,
    RECALL_FANOUT = 4,
    RECALL_TAIL_DOCS = 64,  // a tail of so many is worth sealing
    RECALL_HITS_MAX = 256,
    RECALL_QUERY_BYTES_MAX = 8 << 10,
    RECALL_QUERY_TERMS_MAX = 32,
    RECALL_WHY_MAX = 8,
    RECALL_TERM_BYTES = 65,
};

// Whose. Every query says it again, so that none can be asked without (E_REFUSED where it is not
// the index's own): an index cannot be used for somebody else by mistake.
struct recall_scope {
    struct slice partition;  // the user's
    struct slice bot;
    struct slice context;  // of a query: only this one's; ptr NULL: all contexts of user and bot
    // Of a query with a context: the word that memories of it are kept under. A memory without a
    // context holds in all of them; others are for their own only.
    struct slice context_key;
};

// What its embeddings are: vectors of different models do not compare.
struct recall_space {
    uint32_t dims;  // 0: no embeddings; at most SEGMENT_DIMS_MAX
    uint64_t id;    // hash of provider, model, dimensions
};

enum recall_kind { RECALL_TURN, RECALL_FACT, RECALL_KNOWLEDGE, RECALL_JOURNAL };
enum { RECALL_KINDS = 4,
       RECALL_MEMORIES = 1 << RECALL_FACT | 1 << RECALL_KNOWLEDGE | 1 << RECALL_JOURNAL };

struct recall;
// All is copied. E_USAGE (names or dimensions out of range), E_NOMEM.
int recall_new(struct recall **out, const struct recall_scope *scope,
               const struct recall_space *space, struct err *err);
void recall_free(struct recall *r);  // NULL allowed

// ---- what it holds

struct recall_item {
    enum recall_kind kind;
    struct slice session;  // of a memory: its name, a fact's id …
    struct slice context;  // of a memory: its scope's key, empty: it holds in all contexts
    uint32_t turn;         // of a memory: its stamp, which says what of it this is (recall_sync.h)
    uint8_t step;
    struct slice speaker;  // a name or a role; may be empty
    int64_t at_ms;    // of a memory: when it was confirmed last
    uint32_t tokens;  // of the message, for recall_fit
    struct slice text;
    const float *vector;  // space.dims of them, or NULL: not embedded (yet)
};
// Appends to the tail. All is copied. E_REFUSED (the index is full, or its tail, which holds
// SEGMENT_DOCS_MAX and recall_seal empties), E_USAGE (an unknown kind, a session or context of too
// long a name), E_NOMEM; then the index is as it was.
int recall_add(struct recall *r, const struct recall_item *item, struct err *err);
// From now on turns first … last of the session are not found: superseded, forgotten or erased.
// Counts their messages. What is loaded later is not affected: load first, forget then.
uint32_t recall_forget(struct recall *r, struct slice session, uint32_t first, uint32_t last);
uint32_t recall_docs(const struct recall *r);  // documents that can be found
// Tells of what was loaded which sessions are in it, and up to which turn; a session may
// come several times.
void recall_covers(const struct recall *r,
                   void (*each)(void *user, struct slice session, uint32_t last_turn), void *user);

// ---- segments

// What the owner writes: one commit puts `put` and drops the others. Writing it late, or twice, or
// losing it, costs only that messages are added again.
struct recall_change {
    uint32_t put;                  // number of the segment that is new, or as it now is
    struct slice bytes;            // borrowed until the next call with this index; empty: nothing
                                   // is left of it, drop it too
    uint32_t drop[RECALL_FANOUT];  // numbers of segments that it replaces
    unsigned drop_len;
    int64_t until_ms;  // recall_drop: when the newest of what left was said
};
// Adds a segment as it was put, in the order of their numbers, before anything is added. Takes
// bytes (mem_alloc), also when it fails. E_CORRUPT (nothing is lost but the index: build it anew
// from the turns), E_REFUSED (another user's or bot's), E_USAGE (out of order), E_NOMEM.
int recall_load(struct recall *r, uint32_t number, char *bytes, size_t len, struct err *err);
// Does one piece of work and says what to write: 1 with *change filled, 0 when there is nothing to
// do, or an error (then nothing changed). Call it off the user's path until it says 0.
//   recall_seal: the tail, if it has at_least messages (1: whatever there is).
//   recall_merge: segments of one level into one of the next.
//   recall_purge: a segment in which something was forgotten, without it.
int recall_seal(struct recall *r, uint32_t at_least, struct recall_change *change, struct err *err);
int recall_merge(struct recall *r, struct recall_change *change, struct err *err);
//   recall_drop:  the oldest segment leaves, where the index has come to its limits.
int recall_purge(struct recall *r, struct recall_change *change, struct err *err);
int recall_drop(struct recall *r, struct recall_change *change);

// ---- embeddings, which come after the messages

// What its embeddings are from now on. Those of another space are left aside, and gone when their
// segment is next written. An index whose dimensions are not known (space.dims 0, space.id not)
// takes them from the first segment of that space that is loaded. E_USAGE, E_NOMEM; then nothing
// changed.
int recall_set_space(struct recall *r, const struct recall_space *space, struct err *err);
uint32_t recall_dims(const struct recall *r);

// A document: which one. session is borrowed from the index until it changes.
struct recall_message {
    enum recall_kind kind;
    struct slice session;
    uint32_t turn;
    uint8_t step;
};
// Documents of segments that have no embedding and were not refused one, up to max of one segment:
// of the newest that lacks some, oldest message first. kinds: bits 1 << enum recall_kind. Returns
// how many; 0: none lacks any.
uint32_t recall_lacking(const struct recall *r, unsigned kinds, struct recall_message *out,
                        uint32_t max);
struct recall_embedded {
    struct recall_message message;
    const float *vector;  // space.dims of them; NULL: it can have none, do not ask again
};
// Gives messages of one segment their embeddings: 1 with *change filled, as the other pieces of
// work do; 0 when none of them is there any more; or an error, then nothing changed.
int recall_embed(struct recall *r, const struct recall_embedded *list, uint32_t len,
                 struct recall_change *change, struct err *err);

// ---- asking

struct recall_query {
    struct recall_scope scope;
    struct slice text;    // what the user said
    const float *vector;  // its embedding in the index's space, or NULL
    int64_t now_ms;
    unsigned kinds;            // bits 1 << enum recall_kind; 0: all
    unsigned any_context;      // the same: of these kinds, memories of whatever context
    struct slice not_session;  // with not_from: turns from this one on are left out, since they are
    uint32_t not_from;         // sent anyway; not_session empty: nothing is
    uint32_t k;                // 1 … RECALL_HITS_MAX
    bool explain;              // fill `why`; costs twice as much again
};

// A term's part in a score, in thousandths.
struct recall_why {
    char term[RECALL_TERM_BYTES];   // as the index has it: a stem
    char asked[RECALL_TERM_BYTES];  // the query's, where the index's is only like it
    uint32_t own, around;           // by the message itself, by what was said around it
};

struct recall_hit {
    enum recall_kind kind;
    struct slice session, context;  // borrowed from the index until it changes
    uint32_t turn;
    uint8_t step;
    int64_t at_ms;
    uint32_t tokens, turn_tokens;  // of the message; of all messages of its turn
    uint32_t score;                // what it is ranked by, in thousandths
    uint32_t lexical;              // by words, factors included, in thousandths
    int32_t cosine;                // in thousandths, -1000 … 1000; 0 without a vector
    uint32_t meaning;              // what of the score is the embeddings', in thousandths
    bool fused;                    // embeddings had a part in the ranking
    // What the lexical score was multiplied by, in 1/256.
    uint16_t speaker, date, recency, asking;
    unsigned why_len;  // with explain: the largest parts first
    struct recall_why why[RECALL_WHY_MAX];
};

// Fills hits (room for q->k) and *len, best first; equal scores newest first. Only what shares a
// term with the query, around it or in it, or has a vector, is a hit at all. E_USAGE, E_REFUSED
// (scope), E_NOMEM.
int recall_query(struct recall *r, const struct recall_query *q, struct recall_hit *hits,
                 uint32_t *len, struct err *err);

// Which turns to send: goes down the ranking and takes each hit's turn, once, that fits into what
// is left of budget_tokens (turn_tokens each), until there are k. Writes the indices of the hits
// that were taken to out (room for k); returns how many. Pure.
uint32_t recall_fit(const struct recall_hit *hits, uint32_t len, uint32_t k, uint32_t budget_tokens,
                    uint32_t *out);

// About how many bytes the index takes in memory.
size_t recall_bytes(const struct recall *r);

#endif
