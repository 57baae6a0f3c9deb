// SPDX-License-Identifier: MIT
// memory.h: `memory` of a policy: what is remembered of its users, by whom, and how it is sent.
#ifndef LUA_MEMORY_H
#define LUA_MEMORY_H

#include "lua/keys.h"
#include "model/memory_rules.h"

// Its hooks, as references in the registry; LUA_NOREF where there is none.
struct memory_hooks {
    int extract, state, reflect;
};

// Reads member `memory` of the policy's table at idx (absolute) into *out, which is as after
// memory_rules_init; what it owns by then is its owner's even if this raises "file:line:
// memory.…: what is wrong and what to write instead".
LJMP void memory_read(lua_State *L, int idx, const struct shape_source *source,
                      struct memory_rules *out, struct memory_hooks *hooks);

#endif
