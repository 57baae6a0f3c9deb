// SPDX-License-Identifier: MIT
// gate.h: whether the user's own words support a candidate for a fact. No model is asked.
//
//   a turn ─▶ gate_open: which bytes of the user's message are the user's own words, and which are
//             material (quoted, pasted, forwarded, to be worked on, played, hidden)
//   a claim ─▶ gate_judge: is it said there, in a statement of the user about its subject?
//
// What it promises:
//   1. Only the user's own words support. What an assistant or a tool said, what is material, what
//      nobody said: quarantined. What was recalled, what says the contrary, what is a question, a
//      supposition or a joke: refused.
//   2. In doubt it is material: a fact is then quarantined, not lost. The user may say it again.
//      A message is in doubt if something in it is no whole sentence of talk to an assistant
//      (gate_beside.c), or tells where the message is from (gate_source.c).
//   3. The same turn and claim give the same verdict; the time is linear in the turn's length.
// What it cannot tell: that a text which nothing announces, marks or betrays was not written by
// who sent it. Of what a claim means it knows only what stands here: a predicate's name is looked
// at for its polarity and for whom it concerns, no more.
//
// Languages: introducers, first persons and the rest of English, German, French, Spanish,
// Portuguese and Italian, and some of a dozen others (scripts/words/gate.txt). What is in none of
// them supports only in a short message of nothing but words.
//
// Pure; a struct gate belongs to one thread at a time.
#ifndef MEMORY_GATE_H
#define MEMORY_GATE_H

#include "base/err.h"
#include "base/slice.h"
#include "model/turn.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    GATE_TEXT_BYTES = 128 << 10,  // of a message; what is behind is material
    GATE_RECALLED_MAX = 64,       // texts that were recalled …
    GATE_RECALLED_BYTES = 1 << 20,  // … and bytes of all of them; with more the turn is tainted
};

enum gate_result {
    GATE_REFUSED,     // no fact: not to be kept
    GATE_QUARANTINE,  // may be true, but the user did not say it here
    GATE_SUPPORTED,
};
const char *gate_result_word(enum gate_result r);  // "refused", "quarantine", "supported"

enum gate_author { GATE_BY_NOBODY, GATE_BY_USER, GATE_BY_MATERIAL, GATE_BY_ASSISTANT,
                   GATE_BY_TOOL, GATE_BY_RECALLED };
const char *gate_author_word(enum gate_author a);  // "nobody", "user", "material", …

// What earlier turns of the session began and did not end: a role play, a text announced for the
// next message, "translate all I say". Plain data: zero at a session's first turn.
struct gate_past {
    bool play;  // somebody is played, until the user says that this is over
    bool work;  // all that is said is to be worked on (translated, corrected)
    bool next;  // the next message was announced, or asked for, as a text to be worked on
};
// Takes note of a turn; in order, each once, and only turns that were not undone. E_NOMEM.
int gate_past_add(struct gate_past *past, struct slice text, struct slice reply, struct err *err);

struct gate_source {                // borrowed while the gate is open
    struct slice text;              // what the user sent in this turn: steps[0], content_text
    struct slice asked;             // what the assistant said last before it; empty: nothing
    struct slice reply;             // what the assistant said in this turn
    const struct slice *tools;      // what tools returned in it
    uint32_t tools_len;
    const struct slice *recalled;   // what was recalled in its request: quoted data, tainted
    uint32_t recalled_len;
    bool tainted;                   // not all that was recalled is known: what may be a copy of
                                    // it, by its length, is taken for one
    const struct gate_past *past;   // before this turn; NULL: the session begins
};

struct gate_claim {
    struct slice subject;    // "user", or a name
    struct slice predicate;  // "lives_in"
    struct slice value;      // "Lisbon"; empty, if it negates: all values
    struct slice quote;      // where it is said, word for word; empty: it is looked for
    bool negates;            // it ends the value: "I no longer live in Lisbon"
    bool wish;               // a preference, a decision or a plan: "I would like to", "I want to"
    bool style;              // how to be answered: an instruction to the assistant states it
    bool known;              // the book has it, in whatever status: "yes, still" may confirm it
};

struct gate_verdict {
    enum gate_result result;
    enum gate_author author;
    size_t start, end;  // SUPPORTED: bytes of source.text, the sentence that states it; else 0, 0
    const char *why;    // a constant: one line
};

struct gate;
// E_NOMEM.
int gate_open(struct gate **out, const struct gate_source *source, struct err *err);
void gate_close(struct gate *g);  // NULL allowed
// E_NOMEM.
int gate_judge(const struct gate *g, const struct gate_claim *claim, struct gate_verdict *out,
               struct err *err);

// A stretch of the message; together they are all of it, in order.
struct gate_zone {
    size_t start, end;  // bytes
    bool authored;      // the user's own words
    const char *why;    // a constant: what makes it material; "" for own words
};
// The zone that begins at *at, which moves to its end; false at the end of the text.
bool gate_next_zone(const struct gate *g, size_t *at, struct gate_zone *out);

#endif
