// SPDX-License-Identifier: MIT
// plans.h: what hooks return, read into plans. Fresh tables with raw access; every limit is
// checked.
#ifndef LUA_PLANS_H
#define LUA_PLANS_H

#include "lua/sandbox.h"
#include "model/plan.h"
#include "redact/redact.h"

// Reads the value on top, nil or a table such as { say = … }, into a plan that is as after
// plan_init; its `memory` is read by candidates.h. `where` is "file:line" of the hook, for messages
// and plan->by.
LJMP void plans_read(lua_State *L, const char *where, struct plan *plan);
// Reads nil or a table that is the state itself, { topic = … }, into plan->state.
LJMP void plans_read_state(lua_State *L, const char *where, struct plan *plan);
// Reads nil or { last = …, pin = {…}, pin_first = …, constraints = {…}, … }. Turns from `turn` on
// do not exist yet and cannot be pinned.
LJMP void plans_read_history(lua_State *L, const char *where, uint32_t turn,
                             struct history_plan *plan);

// Adds the texts of the list on top to what the plan says is to be kept in mind. NULL, or what is
// wrong, for people.
LJMP const char *plans_read_constraints(lua_State *L, struct history_plan *plan);

#endif
