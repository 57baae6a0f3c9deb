// SPDX-License-Identifier: MIT
// lib_base.c: the basic functions that a script may use, by allow-list.
//
// Ours instead of Lua's: pcall and xpcall, which do not catch what has run out; setmetatable,
// which takes no finaliser; next, rawget, rawlen, getmetatable, which see through read-only tables;
// require, which knows the library inside the binary and nothing else.
#include "lua/freeze.h"
#include "lua/sandbox.h"

#include "base/embed.h"

#include <stdio.h>

// A protected call, and what an error takes that comes through it: its message, its way out.
enum { PCALL_UNITS = 10, ERROR_UNITS = 60, REQUIRE_UNITS = 20 };

static const char loaded_key;  // registry: module name -> what it returned

// ---- protected calls

LJMP static int finish_pcall(lua_State *L, int status, lua_KContext below)
{
    if (sandbox_stopped(L))
        return sandbox_raise_stop(L);
    if (status == LUA_OK || status == LUA_YIELD)
        return lua_gettop(L) - (int)below;
    sandbox_charge(L, ERROR_UNITS);
    lua_pushboolean(L, 0);                              // … message false
    lua_insert(L, -2);
    return 2;
}

LJMP static int base_pcall(lua_State *L)
{
    luaL_checkany(L, 1);
    sandbox_charge(L, PCALL_UNITS);
    lua_pushboolean(L, 1);
    lua_insert(L, 1);                                   // true f args…
    int status = lua_pcallk(L, lua_gettop(L) - 2, LUA_MULTRET, 0, 0, finish_pcall);
    return finish_pcall(L, status, 0);
}

// The script's message handler, behind one of ours: what has run out is not handled, for the
// hook that raises it is off while handlers run.
LJMP static int handle_message(lua_State *L)
{
    if (sandbox_stopped(L))
        return 1;
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_insert(L, 1);
    lua_call(L, lua_gettop(L) - 1, 1);
    return 1;
}

LJMP static int base_xpcall(lua_State *L)
{
    int args = lua_gettop(L) - 2;

    luaL_checktype(L, 2, LUA_TFUNCTION);
    sandbox_charge(L, PCALL_UNITS);
    lua_pushvalue(L, 2);
    lua_pushcclosure(L, handle_message, 1);
    lua_replace(L, 2);                                  // f handler args…
    lua_pushboolean(L, 1);
    lua_pushvalue(L, 1);
    lua_rotate(L, 3, 2);                                // f handler true f args…
    int status = lua_pcallk(L, args, LUA_MULTRET, 2, 2, finish_pcall);
    return finish_pcall(L, status, 2);
}

// ---- tables

LJMP static int base_setmetatable(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    luaL_argexpected(L, lua_isnoneornil(L, 2) || lua_istable(L, 2), 2, "nil or table");
    lua_settop(L, 2);
    if (luaL_getmetafield(L, 1, "__metatable") != LUA_TNIL)
        return luaL_error(L, "cannot change a protected metatable");
    if (freeze_shadow(L, 2))
        lua_replace(L, 2);
    if (lua_istable(L, 2)) {
        lua_pushliteral(L, "__gc");
        if (lua_rawget(L, 2) != LUA_TNIL)
            return luaL_error(L, "a metatable may not have __gc here");
        lua_pop(L, 1);
    }
    lua_setmetatable(L, 1);
    return 1;
}

LJMP static int base_getmetatable(lua_State *L)
{
    luaL_checkany(L, 1);
    if (luaL_getmetafield(L, 1, "__metatable") != LUA_TNIL)
        return 1;
    if (!lua_getmetatable(L, 1))
        lua_pushnil(L);
    freeze_unshadow(L);
    return 1;
}

LJMP static int base_next(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 2);
    if (freeze_shadow(L, 1))
        lua_replace(L, 1);
    return lua_next(L, 1) ? 2 : (lua_pushnil(L), 1);
}

LJMP static int base_rawget(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    luaL_checkany(L, 2);
    lua_settop(L, 2);
    if (freeze_shadow(L, 1))
        lua_replace(L, 1);
    lua_rawget(L, 1);
    return 1;
}

LJMP static int base_rawlen(lua_State *L)
{
    int type = lua_type(L, 1);

    luaL_argexpected(L, type == LUA_TTABLE || type == LUA_TSTRING, 1, "table or string");
    lua_settop(L, 1);
    if (freeze_shadow(L, 1))
        lua_replace(L, 1);
    lua_pushinteger(L, (lua_Integer)lua_rawlen(L, 1));
    return 1;
}

// ---- require

LJMP static int base_require(lua_State *L)
{
    static const char prefix[] = "parley.";
    size_t len = 0;
    const char *name = luaL_checklstring(L, 1, &len);
    char path[96];

    lua_settop(L, 1);
    sandbox_charge(L, REQUIRE_UNITS);
    lua_rawgetp(L, LUA_REGISTRYINDEX, &loaded_key);     // name loaded
    lua_pushvalue(L, 1);
    if (lua_rawget(L, 2) != LUA_TNIL)
        return 1;
    const struct embed_file *file = NULL;
    if (strncmp(name, prefix, sizeof(prefix) - 1) == 0 && !memchr(name, '/', len) && len < 64) {
        snprintf(path, sizeof(path), "scripts/parley/%s.lua", name + sizeof(prefix) - 1);
        file = embed_find(path);
    }
    if (!file && len >= 64)
        name = "…";  // no name of ours; a message is short
    if (!file)
        return luaL_error(L, "module '%s' is not available here: scripts may require the parley.* "
                             "modules, such as parley.history", name);
    lua_settop(L, 2);                                   // name loaded
    sandbox_load(L, file->bytes, file->name);
    lua_call(L, 0, 1);                                  // name loaded module
    freeze_value(L);
    lua_pushvalue(L, 1);
    lua_pushvalue(L, 3);
    lua_rawset(L, 2);
    return 1;
}

LJMP void sandbox_provide(lua_State *L, const char *name)
{
    lua_rawgetp(L, LUA_REGISTRYINDEX, &loaded_key);     // value loaded
    lua_insert(L, -2);
    lua_setfield(L, -2, name);
    lua_pop(L, 1);
}

static const luaL_Reg base_functions[] = {
    {"pcall", base_pcall},   {"xpcall", base_xpcall}, {"setmetatable", base_setmetatable},
    {"next", base_next},     {"rawget", base_rawget}, {"getmetatable", base_getmetatable},
    {"rawlen", base_rawlen}, {"require", base_require},
    {NULL, NULL},
};

static const char *const base_kept[] = {
    "assert", "error", "ipairs", "pairs", "rawequal", "select", "tonumber", "tostring", "type",
    "_VERSION", NULL,
};

LJMP void lib_base_open(lua_State *L)
{
    static const char *const charged_names[] = {"rawequal", "tonumber", NULL};
    int env = lua_gettop(L);

    lua_newtable(L);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &loaded_key);
    lua_pushcfunction(L, luaopen_base);
    lua_call(L, 0, 1);                                  // env globals
    for (int i = 0; base_kept[i]; i++) {
        lua_getfield(L, -1, base_kept[i]);
        lua_setfield(L, env, base_kept[i]);
    }
    lua_pop(L, 1);                                      // env
    sandbox_wrap(L, charged_names, sandbox_charged);
    lua_newtable(L);
    lua_rawseti(L, LUA_REGISTRYINDEX, LUA_RIDX_GLOBALS);  // the rest is garbage now
    luaL_setfuncs(L, base_functions, 0);
}
