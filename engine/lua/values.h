// SPDX-License-Identifier: MIT
// values.h: what scripts see of the engine's data: read-only handles, built as they are looked at.
//
// A handle holds the generation of its call and an index, never a pointer: kept beyond the call it
// answers "only valid during the hook". What it shows comes from the sandbox's subject.
#ifndef LUA_VALUES_H
#define LUA_VALUES_H

#include "llm/llm.h"
#include "lua/sandbox.h"
#include "policy/policy.h"

// Once per state.
LJMP void values_open(lua_State *L);
// By what rules facts are stale. Borrowed for the state's life.
LJMP void values_use_rules(lua_State *L, const struct memory_rules *rules);
// Makes view the subject of this call and pushes its handle.
LJMP void values_push_view(lua_State *L, const struct policy_view *view);
// A turn of the view's chat, as view.history has them.
LJMP void values_push_turn(lua_State *L, const struct turn *turn);
LJMP void values_push_request(lua_State *L, const struct llm_request *request);

#endif
