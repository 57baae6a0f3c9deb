// SPDX-License-Identifier: MIT
// gate_int.h: what the files of the gate share.
//
//   gate_read.c   text ─▶ tokens; their words' kinds, by the languages of the sentence ─▶ sentences
//   gate_shape.c  what marks show: quotations, code, markup, lists, logs
//   gate_sight.c  what nobody sees
//   gate_frame.c  what sentences announce: texts to be worked on, plays, letters; what turns begin
//   gate_beside.c texts that nothing announces, betrayed by what stands beside them
//   gate_source.c who says so, and where it was found
//   gate_paragraph.c verse, and what is too long for talk
//   gate_opening.c what opens a statement and says nothing of it
//   gate_task.c   whether a sentence asks for something to be done to a text
//   gate_claim.c  whether a sentence states a claim
//   gate_person.c of whom it speaks, and who says it
//   gate_asked.c  questions about a text, headings, texts beside their translation
//   gate_request.c how to answer, reminders, proposals: requests that state something
//   gate.c        a turn and its claims
#ifndef MEMORY_GATE_INT_H
#define MEMORY_GATE_INT_H

#include "base/buf.h"
#include "base/vec.h"
#include "memory/gate.h"
#include "memory/gate_words.h"

// What makes bytes material. The order is that of gate_why_words.
enum gate_why {
    OWN, WHY_QUOTED, WHY_FENCE, WHY_CODE, WHY_MARKUP, WHY_LIST, WHY_LOG, WHY_QUOTATION,
    WHY_QUOTE_OPEN, WHY_HIDDEN, WHY_INTRODUCED, WHY_WORKED, WHY_PLAYED, WHY_JOKE, WHY_INJECTED,
    WHY_LETTER, WHY_PAGE, WHY_VERSE, WHY_LONG, WHY_BEFORE, WHY_BESIDE, WHY_END, WHY_LEN,
};
extern const char *const gate_why_words[];

enum gate_token_kind { TOKEN_WORD, TOKEN_STOP, TOKEN_ASK, TOKEN_BANG, TOKEN_COMMA, TOKEN_COLON,
                       TOKEN_SEMICOLON, TOKEN_DASH, TOKEN_LINE, TOKEN_BREAK, TOKEN_MARK };

struct gate_token {
    uint32_t at, end;  // bytes of the text
    uint32_t key;      // of a word: where its folded form is in keys, between blanks
    uint16_t key_len;
    uint8_t kind;      // enum gate_token_kind
    bool joined;       // an apostrophe stands before it
    uint64_t is;       // GATE_BIT; of a phrase, at its first word
};

struct gate_sentence {
    uint32_t from, to;   // tokens, with what ends it
    uint32_t paragraph;  // ordinal
    uint32_t words;
    uint64_t is;         // of all its tokens
    uint64_t before;     // what an unfinished line before it lends it
    uint8_t ends;        // enum gate_token_kind of what ends it; TOKEN_WORD: nothing
    bool unknown;        // its language is none of ours
};

struct gate_text {
    struct slice text;      // as much of it as is read
    struct buf keys;        // the words, folded, a blank between them and at both ends
    struct vec tokens;      // struct gate_token
    struct vec sentences;   // struct gate_sentence
    uint8_t *zone;          // enum gate_why of each byte; owned
    bool hidden;            // it has what nobody sees, or what looks like something else
};

struct gate {
    struct gate_source source;
    struct gate_text t;
    struct buf recalled;     // what was recalled, folded
    struct buf asked;        // what the assistant said last, folded
    struct gate_past began;  // what this message begins, for those after it
    bool ends_play;
};

static inline struct gate_token *token_at(const struct gate_text *t, size_t i)
{
    return &((struct gate_token *)t->tokens.ptr)[i];
}
static inline struct gate_sentence *sentence_at(const struct gate_text *t, size_t i)
{
    return &((struct gate_sentence *)t->sentences.ptr)[i];
}
static inline enum gate_why token_why(const struct gate_text *t, const struct gate_token *k)
{
    return (enum gate_why)t->zone[k->at];
}
static inline struct slice token_key(const struct gate_text *t, const struct gate_token *k)
{
    return slice_of(t->keys.ptr + k->key, k->key_len);
}
static inline size_t sentence_start(const struct gate_text *t, const struct gate_sentence *s)
{
    return token_at(t, s->from)->at;
}
static inline size_t sentence_end(const struct gate_text *t, const struct gate_sentence *s)
{
    return token_at(t, s->to - 1)->end;
}
static inline bool is(uint64_t bits, uint64_t any)
{
    return (bits & any) != 0;
}

// ---- gate_read.c

// E_NOMEM. Then release it all the same.
int gate_read(struct gate_text *t, struct slice text, struct err *err);
void gate_text_release(struct gate_text *t);  // also of one that is all zero
// Kinds of a word by itself, in any language.
uint64_t gate_kinds_of(struct slice folded);
// The language of which the words from token `from` to `to` have the most small ones and first
// persons, by its number; 0: of none, or of several alike.
uint8_t gate_tongue_of(const struct gate_text *t, uint32_t from, uint32_t to);

// ---- gate_shape.c

// Fills t->zone with what marks show.
void gate_shape(struct gate_text *t);
// Marks what is still the user's own from start to end.
void gate_mark(struct gate_text *t, size_t start, size_t end, enum gate_why why);
// Whether marks show where such material ends.
bool gate_is_delimited(enum gate_why why);

// ---- gate_sight.c

bool gate_is_hidden(struct slice text);

// ---- gate_asked.c, gate_request.c: what sentences ask for

// A question about a text that the message has; one that wants it said in a language; a heading.
bool gate_asks_of_text(const struct gate_text *t, const struct gate_sentence *s);
bool gate_orders_work(const struct gate_text *t, const struct gate_sentence *s);
bool gate_wants_tongue(const struct gate_text *t, const struct gate_sentence *s);
bool gate_is_heading(const struct gate_text *t, const struct gate_sentence *s);
// Marks what stands beside its translation.
void gate_mark_translations(struct gate_text *t);
// How to answer: "No jargon, please."
bool gate_is_style(const struct gate_text *t, const struct gate_sentence *s);
// "I'll tell you what the doctor said."
bool gate_is_promise(const struct gate_text *t, const struct gate_sentence *s);

// ---- gate_task.c. `kinds`: of a sentence's own words.

// How to answer; a request about a text; an order of work, whoever is named in it; that all that
// is said from now on is to be worked on; a thing to be explained, which the request names.
bool gate_is_order(const struct gate_text *t, const struct gate_sentence *s);
bool gate_is_textual(const struct gate_text *t, const struct gate_sentence *s, uint64_t kinds);
bool gate_is_work_order(const struct gate_text *t, const struct gate_sentence *s);
bool gate_is_always(const struct gate_text *t, const struct gate_sentence *s, uint64_t kinds);
bool gate_is_explained(const struct gate_text *t, const struct gate_sentence *s, uint64_t kinds);
// "I'd like to write a novel some day."
bool gate_is_own_plan(const struct gate_text *t, const struct gate_sentence *s, uint64_t kinds);

// ---- gate_frame.c

void gate_frame(struct gate *g);

// ---- gate_source.c

// Whether a sentence is about the message itself: whose it is, where it was found.
bool gate_tells_source(const struct gate_text *t, const struct gate_sentence *s);
// Whether the message has marks of a post.
bool gate_is_tagged(const struct gate_text *t);

// ---- gate_beside.c

// Whether something in the message shows that it has a text in it. `replies`: the assistant said
// something before.
bool gate_is_beside(const struct gate_text *t, bool replies);

// ---- gate_paragraph.c: of sentences that are still the user's own

void gate_mark_verse(struct gate_text *t);
void gate_mark_paragraphs(struct gate *g);

// ---- gate_opening.c

// Takes the meaning from words that only lead to a statement: "Remember that I …" is "I …".
void gate_open_statements(struct gate_text *t);

// ---- gate_person.c

// Whether somebody else than the user says something in a sentence; among its `last` words, or
// (UINT32_MAX) anywhere.
bool gate_is_reported(const struct gate_text *t, const struct gate_sentence *s, uint32_t last);

// ---- gate_claim.c

// Where words of a claim stand in a sentence: token indices, both inclusive.
struct gate_place {
    const struct gate_sentence *s;
    uint32_t first, last;
};
// Whether the sentence, by the user's own words, states the claim.
void gate_state(const struct gate *g, const struct gate_claim *claim, const struct gate_text *value,
                const struct gate_place *place, struct gate_verdict *out);

#endif
