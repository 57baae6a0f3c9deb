// SPDX-License-Identifier: MIT
// segment.h: a piece of the recall index: some hundreds or thousands of messages, the postings of
// their terms, and their vectors, as bytes. Written once, then only read or replaced as a whole.
//
// Bytes (v: a varint, 7 bits a byte, low ones first; text: v length, bytes):
//
//   "PRS1"  v level, docs, sessions, speakers, terms, dims   8 bytes space   text partition, bot
//   sessions:  text id, context                              (a fact's "session" is its own id)
//   speakers:  text                                          (terms, a space between them)
//   docs:      v session, kind, turn, step, speaker + 1 (0: none),
//              zigzag(at_ms - the one before's), tokens, words, flags
//   terms:     text, v df, v bytes of postings, postings     (bytewise ascending)
//   postings:  v (gap << 1 | tf is 1), then v tf if it is not 1; gap from the doc after the last
//   lengths:   4 bytes for each doc that has a vector: vector_norm of it
//   vectors:   dims signed bytes each
//
// Invariants, which segment_parse makes sure of whatever the bytes are, so that readers need no
// checks: every index is in range, terms ascend, postings ascend and fill their bytes exactly, and
// nothing follows. Documents are in the order in which they were added: neighbours of one session
// are neighbours here.
//
// A segment is read by one thread at a time.
#ifndef MEMORY_SEGMENT_H
#define MEMORY_SEGMENT_H

#include "base/buf.h"
#include "base/err.h"
#include "base/map.h"
#include "base/vec.h"
#include "memory/terms.h"

enum {
    SEGMENT_DOCS_MAX = 4096,
    SEGMENT_BYTES_MAX = 32 << 20,
    SEGMENT_NAME_BYTES_MAX = 255,  // of a session's, a context's, a speaker's, a bot's name
    SEGMENT_SPEAKERS_MAX = 255,    // of one segment; further ones are kept as none
    SEGMENT_DIMS_MAX = 4096,
    SEGMENT_KINDS = 4,
};

enum doc_flags {
    DOC_ASKS = 1,
    DOC_ENDS_ASKING = 2,
    DOC_HAS_VECTOR = 4,
    DOC_NO_VECTOR = 8,  // its model refused it one, in the space of the segment
    DOC_FLAGS_ALL = 15,
};

struct doc {
    int64_t at_ms;
    uint32_t session;  // index of the segment's sessions
    uint32_t turn, tokens;
    uint32_t vector;  // index of its vector, with DOC_HAS_VECTOR
    uint16_t words;   // terms in the text, at most 65,535
    uint8_t step, kind, flags;
    uint8_t speaker;  // index of the segment's speakers plus 1, or 0
};

struct doc_session {
    struct slice id, context;
};

struct segment {
    char *bytes;  // owned
    size_t bytes_len;
    uint32_t level;  // how often its documents were merged (recall.h)
    uint32_t docs_len, sessions_len, speakers_len, terms_len, vectors_len, dims;
    uint64_t space;               // of its vectors: which model made them
    struct slice partition, bot;  // borrowed from bytes, as all slices here
    struct doc *docs;             // owned, as the arrays below
    struct doc_session *sessions;
    struct slice *speakers;
    uint32_t *terms;             // offsets of the terms in bytes
    const int8_t *vectors;       // borrowed from bytes
    const unsigned char *norms;  // of the vectors, 4 bytes each: segment_norm
    uint8_t *dead;               // per doc: not to be found any more
    uint32_t dead_len;
};

static inline uint32_t segment_norm(const struct segment *s, uint32_t vector)
{
    const unsigned char *at = s->norms + (size_t)vector * 4;
    return at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

// Takes bytes (mem_alloc), also when it fails. E_CORRUPT says where, E_NOMEM.
int segment_parse(struct segment **out, char *bytes, size_t len, struct err *err);
void segment_free(struct segment *s);  // NULL allowed

// About how many bytes it takes in memory.
size_t segment_bytes(const struct segment *s);

struct term_entry {
    struct slice text, postings;
    uint32_t df;
};
// The term at index i < terms_len.
struct term_entry segment_term(const struct segment *s, uint32_t i);
// Index of the first term that is not less than text; terms_len if there is none.
uint32_t segment_at_or_after(const struct segment *s, struct slice text);
bool segment_find(const struct segment *s, struct slice text, struct term_entry *out);

// Walks postings: `struct postings p = postings_of(&entry); while (postings_next(&p)) …`
struct postings {
    const unsigned char *at, *end;
    uint32_t doc, tf, after;  // after: private
};
static inline struct postings postings_of(const struct term_entry *e)
{
    const unsigned char *at = (const unsigned char *)e->postings.ptr;
    return (struct postings){.at = at, .end = at + e->postings.len};
}
// Of checked bytes only.
static inline uint32_t segment_varint(const unsigned char **at)
{
    uint32_t n = *(*at)++;
    if (n < 0x80)
        return n;
    n &= 0x7f;
    for (unsigned shift = 7;; shift += 7) {
        uint32_t byte = *(*at)++;
        n |= (byte & 0x7f) << shift;
        if (byte < 0x80)
            return n;
    }
}
static inline bool postings_next(struct postings *p)
{
    if (p->at == p->end)
        return false;
    uint32_t n = segment_varint(&p->at);
    p->doc = p->after + (n >> 1);
    p->after = p->doc + 1;
    p->tf = n & 1 ? 1 : segment_varint(&p->at);
    return true;
}

// ---- making one

// Whose messages, and what their vectors are. Slices are borrowed while the builder lives.
struct segment_about {
    struct slice partition, bot;
    uint32_t dims;  // 0: no vectors
    uint64_t space;
};

struct segment_builder;
int segment_builder_new(struct segment_builder **out, const struct segment_about *about,
                        struct err *err);
void segment_builder_free(struct segment_builder *b);  // NULL allowed
uint32_t segment_builder_docs(const struct segment_builder *b);
void segment_builder_clear(struct segment_builder *b);
// Adds a document. Takes its place, kind, turn, step, at_ms, tokens and flags from *doc; words and
// session come from the rest; names are SEGMENT_NAME_BYTES_MAX long at most. All is copied. vector:
// dims signed bytes, or NULL. E_REFUSED when it is full, E_NOMEM; then nothing was added.
int segment_builder_add(struct segment_builder *b, const struct doc *doc, struct slice session,
                        struct slice context, struct slice speaker, const struct terms *terms,
                        const int8_t *vector, struct err *err);
// A document, and the name of its session. Borrowed until something is added.
const struct doc *segment_builder_doc(const struct segment_builder *b, uint32_t i,
                                      struct slice *session);
// Marks turns first … last of a session in dead (a byte for each document); counts those that were
// not marked yet. Documents of kind 0 are turns.
uint32_t segment_builder_forget(const struct segment_builder *b, struct slice session,
                                uint32_t first, uint32_t last, uint8_t *dead);
// What vectors are from now on; those that there are go.
void segment_builder_space(struct segment_builder *b, uint32_t dims, uint64_t space);
// About how many bytes it takes in memory.
size_t segment_builder_bytes(const struct segment_builder *b);
// The segment's bytes, into *out (the caller's, mem_free). E_REFUSED when SEGMENT_BYTES_MAX does
// not do, E_NOMEM. The builder stays as it is.
int segment_seal(const struct segment_builder *b, uint32_t level, char **out, size_t *len,
                 struct err *err);
// One segment of several (1 … SEGMENT_PARTS_MAX), in this order, without what is dead in them: the
// same bytes as sealing what is left of their documents at once. Vectors of another space or of
// other dims than about's are left out. E_REFUSED, E_NOMEM.
enum { SEGMENT_PARTS_MAX = 8 };
int segment_merge(struct segment *const *parts, unsigned len, uint32_t level,
                  const struct segment_about *about, char **out, size_t *out_len, struct err *err);
// The same segment, without what is dead in it, with vectors for some of its documents: given[i],
// about->dims bytes, for document i, or NULL where nothing new is known. refused[i]: it has none.
int segment_embed(struct segment *s, const int8_t *const *given, const uint8_t *refused,
                  const struct segment_about *about, char **out, size_t *out_len, struct err *err);

// ---- vectors

// Of a vector's length * 16: floor(16 * sqrt(sum of squares)). Components are -127 … 127.
enum { VECTOR_NORM_MAX = 1 << 18 };
uint32_t vector_norm(const int8_t *v, uint32_t dims);
// Cosine in 1/32,768, from -32,768 to 32,768; 0 where one of them is all zero. a is quantised (no
// -128); b may be any bytes.
int32_t vector_cosine(const int8_t *a, uint32_t norm_a, const int8_t *b, uint32_t norm_b,
                      uint32_t dims);
// To bytes, so that the largest component is ±127. What is not finite counts as 0.
void vector_quantise(const float *v, uint32_t dims, int8_t *out);

#endif
