// SPDX-License-Identifier: MIT
// freeze.h: makes everything that outlives a call read-only, so that what a hook does for one user
// cannot be seen by another.
//
// A table is frozen in place: its contents move to a shadow that no script can reach, and it gets a
// metatable that reads from there and refuses writes. Everybody who holds the table sees the frozen
// one. What cannot be frozen is refused: functions that assign to variables which outlive the call,
// coroutines and iterators that remember where they were.
#ifndef LUA_FREEZE_H
#define LUA_FREEZE_H

#include "lua/sandbox.h"

// Once per state, first of all.
LJMP void freeze_open(lua_State *L);
// Freezes the environment on top with everything in it, trusting its functions.
LJMP void freeze_libraries(lua_State *L);
// Freezes all that is reachable from the value on top: contents, metatables, upvalues. Raises
// "file:line: …" for what keeps state. The value stays on top.
LJMP void freeze_value(lua_State *L);

// Pushes the shadow of the frozen table at idx and returns true; else pushes nothing.
LJMP bool freeze_shadow(lua_State *L, int idx);
// Replaces a frozen table on top by its shadow (anything else stays): for raw access by C.
LJMP void freeze_reveal(lua_State *L);
// Replaces a shadow on top by its frozen table (anything else stays).
LJMP void freeze_unshadow(lua_State *L);

#endif
