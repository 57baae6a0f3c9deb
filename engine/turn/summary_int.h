// SPDX-License-Identifier: MIT
// summary_int.h: what the files of summaries share: summary.c (when one is due, which are under
// way), summary_make.c (how one is made) and summary_text.c (what a model is asked, and what is
// taken of its answer).
//
// Invariants:
//   1. No turn waits for a summary, and a summary holds nothing that a turn needs: it has copies,
//      reads the ledger for itself and writes records of its own.
//   2. Every call is an attempt that is committed before it is sent, and settled after it; and it
//      passes the budgets (turn/budget.h).
//   3. At most one is being made for a session by a worker; what fails rests, longer each time.
//   4. What is kept was held against what it was made of (memory/drift.h), and is within its size.
#ifndef TURN_SUMMARY_INT_H
#define TURN_SUMMARY_INT_H

#include "memory/drift.h"
#include "turn/summary.h"

enum {
    SUMMARIES_AT_ONCE = 4,              // of a worker
    SUMMARY_CALLS_MAX = 6,              // for one summary: what one turn may cost
    SUMMARY_REFUSALS_MAX = 3,           // by a provider: each halves what is sent
    SUMMARY_GENERATIONS_MAX = 8,        // then it is made anew, of turns alone
    SUMMARY_SOURCE_TOKENS_MAX = 32000,  // sent with one call
    SUMMARY_SOURCE_BYTES_MAX = 384 << 10,
    SUMMARY_DRAIN_MS = 10000,           // what is under way may take while the worker drains
    SUMMARY_REST_MS = 30 * 1000,        // after a failure; doubled with each further one …
    SUMMARY_RESTS_MAX_MS = 3600 * 1000, // … up to this
};

// A summary in the making.
struct summing {
    struct worker *w;
    struct summing *next;               // worker->summing
    // what it is of: copies
    char partition[PARTITION_BYTES];
    const struct user_key *key;         // borrowed from the vault
    struct session_head head;           // owned copy, as the turn left it
    struct history_plan plan;
    char provider[MODEL_NAME_BYTES], model[MODEL_NAME_BYTES];
    struct llm *llm;                    // borrowed from the worker
    struct policy *policy;              // whose limits hold its calls; referenced
    struct user_masks *masks;           // of the user; referenced; NULL: nothing is masked
    struct llm_caps caps;
    const struct encoding *encoding;
    uint32_t upto;                      // wanted
    // what there is so far
    struct summary base;                // the newest that holds
    struct summary made;                // text: of the turns up to `at`
    uint32_t at;                        // turns up to this one were given to the model
    bool raw;                           // made of turns alone
    struct drift *source;               // what it is held against; owned
    // the call under way
    struct safe_buf prompt, quoted;     // what is asked, and what of
    uint32_t quoted_at;                 // turns up to this one are quoted
    uint64_t quoted_tokens, room_tokens;
    bool full;                          // more would not fit
    struct step step, *steps[1];
    struct llm_message message;
    struct llm_request request;
    struct llm_call call;
    bool calling;
    struct budget_hold *hold;           // what is reserved for it
    unsigned calls, refusals;
    struct ledger_summing attempt;
    struct ledger_op op;
    void (*then)(struct summing *s);    // what follows the settlement
    bool stopped;                       // the worker drains, and time is up
    struct run *waits;                  // at its session's end; NULL: nobody waits for it
    void (*over)(struct run *waits);
    int code;                           // how it ends
    char why[ERR_MESSAGE_BYTES];
};

// summary.c
void summing_over(struct summing *s);   // frees it

// summary_make.c: ends with summing_over, later. May be stopped at any time.
void summing_start(struct summing *s);
void summing_stop(struct summing *s);
void summing_free(struct summing *s);

// summary_text.c
// The policy's prompt, or ours, into s->prompt.
int summary_prompt(struct summing *s, struct err *err);
// Makes room for one call's material: with the text so far, beside prompt and answer.
void summary_begin_material(struct summing *s);
// Quotes a turn. False: it does not fit any more.
bool summary_add_turn(struct summing *s, const struct turn *t, int *code, struct err *err);
// The message to the model: what was there, what is new, what is to be done.
int summary_message(struct summing *s, struct err *err);
// What a model answered, made safe, held against its source and cut to size, into s->made.text.
// *drifted: some of it is not borne out; with `strip` that is left out.
int summary_accept(struct summing *s, bool strip, bool *drifted, struct err *err);
// The longest beginning of whole sentences within so many tokens; if there is none, of characters.
size_t summary_fit(const struct encoding *e, struct slice text, uint32_t tokens);

#endif
