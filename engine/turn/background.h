// SPDX-License-Identifier: MIT
// background.h: one call of a model that no turn waits for: what is to be learnt of a session, its
// journal, a reflection. Of a run (JOB_LEARN, JOB_REFLECT …) that has its user's key, its policy
// and its masks: mask_prepare.
//
//   background_model ─▶ background_call ─▶ budgets ─▶ its attempt, open: committed ─▶ sent
//                                             │                                        │
//      then: E_REFUSED ◀──────────────────────┘        then: an answer, made safe ◀─ settled
//
// Invariants:
//   1. Every call is an attempt of no turn, of its own kind (model/attempt.h), committed before it
//      is sent, settled before `then` is called; recovery settles those of dead processes.
//   2. It passes the budgets of its user, bot and house (turn/budget.h).
//   3. One at a time for a run. It is not tried again here: who asked knows what it is worth.
//   4. It ends within BACKGROUND_MS, and at once when the run is stopped (worker_drain).
#ifndef TURN_BACKGROUND_H
#define TURN_BACKGROUND_H

#include "turn/turn_int.h"

enum {
    BACKGROUND_MS = 120 * 1000,         // a call may take, all in all
    BACKGROUND_SOURCE_TOKENS_MAX = 32000,  // worth sending with one call
};

struct background_ask {
    enum attempt_kind kind;        // what it is for: ATTEMPT_EXTRACTION, _JOURNAL, _REFLECTION
    struct safe_text system, text;  // copied; text is the one message, the user's
    uint64_t output_tokens_max;
};

// How it ended: E_OK with the answer, borrowed during the call, with the user's masks in it;
// E_PROVIDER: it failed, was late or said nothing; E_REFUSED: a budget, its words are for people;
// E_CANCELLED: the run was stopped; E_STORE, E_NOMEM, E_ERASED.
typedef void background_then(struct run *run, int code, struct safe_text answer,
                             const struct err *err);

// Which model run's calls go to: `own`, "provider:model"; NULL or empty: the one that the bot's
// replies are of. Fills run's provider, model, llm and caps. E_POLICY.
int background_model(struct run *run, const char *own, struct err *err);
// About how many tokens of material have room in a call beside so many others; 0: none.
uint64_t background_room(const struct run *run, uint64_t other_tokens);
// Calls `then` once, now or later. After background_model.
void background_call(struct run *run, const struct background_ask *ask, background_then *then);
// Ends what is under way; `then` comes all the same. Harmless without.
void background_stop(struct run *run);

#endif
