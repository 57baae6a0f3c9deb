// SPDX-License-Identifier: MIT
// candidates.h: what hooks say is to be remembered, read out of fresh tables into candidates. Raw
// access only; every limit is checked.
#ifndef LUA_CANDIDATES_H
#define LUA_CANDIDATES_H

#include "lua/sandbox.h"
#include "policy/policy.h"

// Where candidates come from, and go.
struct candidates_read {
    const char *where;                  // "file:line" of the hook, for messages
    const struct memory_rules *rules;   // for the kind that a predicate has
    struct fact_candidate as;           // what all of them have: session, turn, author, …
    const struct turn *turn;            // where quotes are looked for; NULL: nowhere
    struct fact_candidates *out;
    struct policy_citations *cited;     // NULL: a candidate cites nothing
    struct safe_buf scratch;            // the owner's to release, even after an error
};
// nil or a list of tables { predicate = …, value = …, … } on top.
LJMP void candidates_read(lua_State *L, struct candidates_read *r);
// The same for a plan's { core = { human = … }, forget = { … }, remember = { … } } on top, whose
// candidates go to plan->memory. r->out is not looked at.
LJMP void candidates_read_plan(lua_State *L, struct candidates_read *r, struct plan *plan);
// Whether a message of theirs, which begins with `where`, has no word of the script's but what
// stands as a whole in the policy's file: nobody's words then get into a log with it.
bool candidates_names_no_user(struct slice policy, const char *where, const char *message);

#endif
