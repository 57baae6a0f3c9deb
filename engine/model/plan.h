// SPDX-License-Identifier: MIT
// plan.h: what a policy decided. Data only: C turns it into effects and checks every limit.
#ifndef MODEL_PLAN_H
#define MODEL_PLAN_H

#include "model/constraints.h"
#include "model/fact.h"
#include "model/pins.h"
#include "model/safe_text.h"
#include <stdbool.h>
#include <stdint.h>

enum { PLAN_PINNED_MAX = 256, PLAN_BY_BYTES = 128, PLAN_STRATEGY_BYTES = 32,
       PLAN_STATE_BYTES_MAX = 16 << 10, PLAN_RECALL_MAX = 32, PLAN_RECALL_DEFAULT = 5,
       PLAN_RECALL_TOKENS_DEFAULT = 1000, PLAN_KEEP_DEFAULT = 5,
       PLAN_SUMMARY_TOKENS_DEFAULT = 400, PLAN_SUMMARY_TOKENS_MIN = 20,
       PLAN_SUMMARY_TOKENS_MAX = 4000, PLAN_SUMMARY_PROMPT_BYTES = 4096,
       PLAN_SUMMARY_MODEL_BYTES = 192, PLAN_SUMMARY_SLACK_MIN = 20, PLAN_PERMILLE = 1000,
       PLAN_SUMMARISE_AT_DEFAULT = 500, PLAN_FORGET_MAX = 64 };

// A summary of the turns that are not sent any more, made by a model after the reply.
struct summary_plan {
    uint32_t tokens;                         // of it, at most; 0: there is none
    uint32_t at_permille;                    // of the budget for history: more makes it due
    char prompt[PLAN_SUMMARY_PROMPT_BYTES];  // what is asked of the model; "": ours
    char model[PLAN_SUMMARY_MODEL_BYTES];    // "provider:model"; "": that of the turn
};

// Which turns of the history to send. Turns are the only unit, so any choice makes a valid request.
// What is sent grows from `last` turns (the low water mark) to `last + slack` or `budget_tokens`
// (the high one); then the cut moves, back to the low one, so that in between the requests of a
// session begin with the same bytes.
struct history_plan {
    char strategy[PLAN_STRATEGY_BYTES];  // "full", "truncate", "window", "custom", …
    char by[PLAN_BY_BYTES];              // who decided: "policies/kiosk.lua:14"; "plain": built in
    uint32_t last;                       // newest turns to send, at least; UINT32_MAX: all
    uint32_t slack;                      // and up to so many more, before the cut moves
    uint32_t pin_first;                  // and the oldest ones, always
    uint64_t budget_tokens;              // of history, at most; 0: as much as the window holds
    // Further turns by ordinal, ascending; those that the session pins among them, once added.
    uint32_t pinned[PLAN_PINNED_MAX + SESSION_PINS_MAX];
    uint32_t pinned_len;
    // What is to be kept in mind, word for word: texts, one after the other, each with its NUL.
    char constraints[CONSTRAINTS_BYTES_MAX + CONSTRAINTS_MAX];
    uint32_t constraints_len;            // how many
    uint32_t recall;                     // further turns that bear on the message, quoted in front
                                         // of it; 0: none, at most PLAN_RECALL_MAX
    uint64_t recall_tokens;              // of them together, at most
    struct summary_plan summary;         // of what is before them; due at last + slack turns
};
void history_plan_full(struct history_plan *p);  // all turns that fit
// Whatever the strategy, what the session pins is sent too. Once per plan.
void history_plan_pin(struct history_plan *p, const struct session_pins *pins);
// Adds a constraint. NULL, or what is wrong with it, for people.
const char *history_plan_constrain(struct history_plan *p, struct slice text);
uint64_t history_plan_constraints_hash(const struct history_plan *p);
// The slack of a window that names none: as many turns again, so that the cut moves once in `last`
// turns. A window of less than 8 turns slides by one: it is shorter than what providers cache.
uint32_t history_slack(uint32_t last);
// The same for a plan with a summary: one call of a model for a few turns would be dear.
uint32_t history_summary_slack(uint32_t last);
// What a summary's plan has wrong, for people; NULL: nothing.
const char *history_summary_wrong(const struct summary_plan *s);

enum plan_verb {
    PLAN_GO,       // go on to the model
    PLAN_SAY,      // answer `text` without the model
    PLAN_RESET,    // start a new session, keep the old, then go on in the new one
    PLAN_FLOW,     // run flow `text`
    PLAN_HANDOFF,  // hand over to a person, reason in `text`
};
// What a plan says of memory.
struct memory_plan {
    bool sets_human;
    struct safe_buf human;              // owned; core memory about the user becomes this, or empty
    char forget[PLAN_FORGET_MAX][FACT_ID_BYTES];  // whole ids; that there are such is not checked
    uint32_t forget_len;
    struct fact_candidates remember;    // by AUTHOR_POLICY: quarantined until the user says so
};
int memory_plan_new(struct memory_plan **out, struct err *err);
void memory_plan_free(struct memory_plan *m);  // NULL allowed

struct plan {
    enum plan_verb verb;
    char by[PLAN_BY_BYTES];
    bool pin;               // the turn under way stays in every request from now on
    bool resume;            // a session that was offered what was before is told it, from now on
    struct safe_buf text;   // owned; what the verb says
    struct safe_buf state;  // owned; a JSON object to keep as session state, or empty
    struct memory_plan *memory;  // owned; NULL: it says nothing of it
};
void plan_init(struct plan *p);
void plan_release(struct plan *p);

#endif
