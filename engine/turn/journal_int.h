// SPDX-License-Identifier: MIT
// journal_int.h: what the files of the journal share: journal.c (how an entry comes to be) and
// journal_text.c (what a model is asked, and what is taken of its answer), journal_said.c (the
// user's own sentences), journal_forget.c (what was forgotten goes out of it).
#ifndef TURN_JOURNAL_INT_H
#define TURN_JOURNAL_INT_H

#include "memory/drift.h"
#include "memory/journal.h"
#include "turn/background.h"
#include "turn/book.h"
#include "turn/journal.h"

enum {
    JOURNAL_TURNS_MAX = 64,            // the newest of the session, that a model is shown
    JOURNAL_STEP_CLIP = 2 << 10,       // of each message
    JOURNAL_MATERIAL_BYTES_MAX = 128 << 10,
    JOURNAL_ANSWER_TOKENS = 700,
    JOURNAL_SAID_TURNS_MAX = 256,      // the newest, of which sentences are kept
};

// An entry in the making. One of a run: run->journaling.
struct journaling {
    struct run *run;
    const struct session_head *head;   // borrowed
    struct learnt *learnt, put;        // borrowed; as it is put
    bool use_model;
    journal_then *then;
    struct summary summary;            // or, where there is none, what was said, in sentences
    struct journal_said *said;         // journal_said.c's; owned
    struct ledger_op op;
    struct loop_task task;
    struct book_wait wait;
    struct book *book;                 // as it was when a model was asked; NULL: none was
    struct book_change change;
    struct safe_buf material;          // quoted turns, oldest first
    uint32_t taken;                    // turns that were read
    struct drift *source;              // what an answer is held against; owned
    struct safe_buf entry, earlier;    // lines that a model wrote; empty: rules write them
    char by[JOURNAL_BY_BYTES];
    int code;
    struct err err;
};

// What rules say of the session, by `facts`.
int journal_by_rules(const struct journaling *j, const struct fact_book *facts,
                     struct journal_entry *out, struct err *err);

// journal_said.c
// Fills j->summary's text, if it is empty, with what the session's user said that tells most; then
// calls `then`, now or later. What cannot be had is left out.
void journal_read_said(struct journaling *j, void (*then)(struct journaling *j));
void journal_said_free(struct journal_said *s);  // NULL allowed

// journal_text.c
// Quotes a turn of the session, and adds it to the source.
int journal_add_turn(struct journaling *j, const struct turn *t, struct err *err);
// What is asked for an entry, beside what rules say, into text and j->source.
int journal_ask_entry(struct journaling *j, const struct journal_entry *by_rules,
                      struct safe_buf *text, struct err *err);
// What is asked for `earlier` and the entries that go into it.
int journal_ask_earlier(struct journaling *j, const struct journal *journal,
                        const struct journal_fold *fold, struct safe_buf *text, struct err *err);
// The sentences of an answer that the source bears out, as lines, within so many bytes; none: it
// is of no use.
int journal_take_answer(struct journaling *j, struct safe_text answer, size_t bytes_max,
                        struct safe_buf *out, struct err *err);

#endif
