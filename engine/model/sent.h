// SPDX-License-Identifier: MIT
// sent.h: what a request was made of, kept with its attempt so that `why` can tell it later.
//
// Ordinals, counts and the names of code: nothing that people said. Which turns were left out
// follows from those that were sent.
#ifndef MODEL_SENT_H
#define MODEL_SENT_H

#include "base/id.h"
#include "model/plan.h"
#include "model/usage.h"

enum sent_why {
    SENT_NEWEST,  // among the newest turns, from the cut on
    SENT_PINNED,  // before the cut, pinned by the plan
    SENT_PINNED_BY_USER,    // before the cut, pinned in the session
    SENT_PINNED_BY_POLICY,
};
const char *sent_why_word(enum sent_why why);  // "newest", "pinned", "pinned by the user" …

// A run of turns that were sent, both ends included.
struct sent_run {
    uint32_t first, last;
    enum sent_why why;
};

// What was quoted in front of the message: turns of whichever session, and what is remembered.
enum sent_kind { SENT_TURN, SENT_FACT, SENT_KNOWLEDGE, SENT_JOURNAL };
const char *sent_kind_word(enum sent_kind kind);  // "turn", "fact", "knowledge", "journal"

struct sent_recalled {
    enum sent_kind kind;
    char id[ID_TEXT_BYTES];  // of a turn, or of what the journal says, its session's; else the
                             // fact's own
    uint32_t turn;           // of what is no turn, 0
    uint32_t score;          // in the ranking, in thousandths; 0: it is always sent
};

enum { SENT_RUNS_MAX = 96, SENT_MEMORIES_MAX = 32,
       SENT_RECALLED_MAX = PLAN_RECALL_MAX + SENT_MEMORIES_MAX };

struct sent {
    char strategy[PLAN_STRATEGY_BYTES];
    char by[PLAN_BY_BYTES];             // whose choice: "policies/kiosk.lua:14"
    struct sent_run runs[SENT_RUNS_MAX];
    uint32_t runs_len;                  // ascending, disjoint
    bool more;                          // there were more runs than are kept: the last ones lack
    struct sent_recalled recalled[SENT_RECALLED_MAX];  // what is remembered, as it was sent; then
                                                       // turns, oldest first
    uint32_t recalled_len;
    uint64_t recalled_tokens;           // of the whole quotation
    uint32_t summary_upto;              // a summary stood for the turns up to this one; 0: none
    uint64_t summary_tokens;
    uint32_t constraints;               // how many were to be kept in mind
    uint64_t constraints_tokens;        // of them together, as quoted
    uint64_t core_tokens;               // of core memory, as quoted
    bool cut_moved;
    uint64_t system_tokens, history_tokens;
    struct usage predicted;             // of the request, before it was sent; always `estimated`
};

// Adds turn n, which is after all that are there.
void sent_add(struct sent *s, uint32_t n, enum sent_why why);
bool sent_has(const struct sent *s, uint32_t n);

// Member "sent" of an attempt's meta, into the writer's open object: {"strategy","by",
// "runs":[[first,last,"newest"],…],"more":true,"recalled":[["session",turn,score],
// ["id",0,score,"fact"],…],"recalled_tokens":n,"summary":[upto,tokens],
// "constraints":[n,tokens],"core":n,"cut":true,"system":n,"history":n,"predicted":{usage
// members}}; what is false or empty is left out.
void sent_write_meta(const struct sent *s, struct json_writer *w);
// Reads it out of the attempt's meta. E_NOT_FOUND: it has none (nothing was sent, or the process
// died first); E_CORRUPT names the member.
int sent_read_meta(struct sent *s, struct slice attempt_meta, struct err *err);

#endif
