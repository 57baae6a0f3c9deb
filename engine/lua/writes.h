// SPDX-License-Identifier: MIT
// writes.h: finds out whether a Lua function assigns to a variable that it did not make itself.
//
// A local of the hook is born and dies with the call; an upvalue of a function that is there before
// the call outlives it. Assigning to one is an instruction of its own (OP_SETUPVAL), so reading the
// function's code answers exactly, once, at load, and costs nothing while it runs.
#ifndef LUA_WRITES_H
#define LUA_WRITES_H

#include "lua/sandbox.h"

struct upvalue_write {
    int upvalue;  // index as lua_getupvalue counts
    int line;     // of the assignment
};
// True if the Lua function on top, or a function made inside it, assigns to one of the function's
// own upvalues; `out` is then the first such place.
LJMP bool writes_find(lua_State *L, struct upvalue_write *out);

#endif
