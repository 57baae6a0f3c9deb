// SPDX-License-Identifier: MIT
// reflect_int.h: what the files of reflections share: reflect.c (its way) and reflect_text.c (what
// a model is asked, and what is taken of its answer).
#ifndef TURN_REFLECT_INT_H
#define TURN_REFLECT_INT_H

#include "turn/background.h"
#include "turn/book.h"
#include "turn/reflect.h"

enum { REFLECT_ANSWER_TOKENS = 1500, REFLECT_JOURNAL_BYTES_MAX = 8 << 10 };

// A reflection under way: run->extra.
struct reflecting {
    struct run *run;
    struct book_wait wait;
    struct book *book;                 // as hook and model saw it
    struct chat *chat;                 // of no session, for the hook's view; owned
    struct fact_candidates by_hook, by_model;
    struct policy_citations hook_cited, model_cited;
    bool model_failed;
    int64_t rest_ms;                   // nothing is to be done before: its policy says so; 0: now
    uint32_t sessions;                 // that were learnt from when it began
    struct book_change change;
    uint32_t concluded, refused, retired;
};

// reflect_text.c
// What is asked of the facts that there are, and the journal, into text.
int reflect_ask(struct reflecting *r, struct safe_buf *text, struct err *err);
// Fills by_model and model_cited. E_USAGE: the answer is not what was asked for.
int reflect_take_answer(struct reflecting *r, struct safe_text answer, struct err *err);

#endif
