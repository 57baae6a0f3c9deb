// SPDX-License-Identifier: MIT
// values_int.h: kinds of handles, for the files that have some. Only lua/ may include this file.
#ifndef LUA_VALUES_INT_H
#define LUA_VALUES_INT_H

#include "lua/values.h"

enum { FIELDS_MAX = 16 };

struct kind {
    const char *type;   // name of the metatable; what messages call it
    struct {
        const char *name;
        LJMP void (*push)(lua_State *L, uint32_t index);
    } fields[FIELDS_MAX];
    uint32_t (*len)(lua_State *L);                   // lists only
    LJMP void (*item)(lua_State *L, uint32_t index); // from 0
};
LJMP void values_open_kind(lua_State *L, const struct kind *kind);
LJMP void values_push_handle(lua_State *L, const char *type, uint32_t index);
LJMP void values_push_seconds(lua_State *L, int64_t ms);

// values_session.c
LJMP void values_open_session(lua_State *L);
LJMP void values_push_session(lua_State *L, uint32_t index);
LJMP void values_push_resume(lua_State *L, uint32_t index);  // nil where nothing was resumed

// values_memory.c
LJMP void values_open_memory(lua_State *L);
LJMP void values_push_facts(lua_State *L, uint32_t index);
LJMP void values_push_core(lua_State *L, uint32_t index);
LJMP void values_push_journal(lua_State *L, uint32_t index);

#endif
