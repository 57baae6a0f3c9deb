// SPDX-License-Identifier: MIT
// lib_coroutine.c: coroutines in which nothing that runs out ends: it is raised again by whoever
// resumed them. Same results as Lua's library otherwise.
#include "lua/sandbox.h"

// A coroutine pays for its first instructions, which no hook has counted yet, when it is made.
enum { CREATE_UNITS = 200, RESUME_UNITS = 50 };

LJMP static lua_State *check_coroutine(lua_State *L)
{
    lua_State *co = lua_tothread(L, 1);

    luaL_argexpected(L, co, 1, "coroutine");
    return co;
}

static const char *status_of(lua_State *L, lua_State *co)
{
    lua_Debug ar;

    if (L == co)
        return "running";
    switch (lua_status(co)) {
    case LUA_YIELD:
        return "suspended";
    case LUA_OK:
        if (lua_getstack(co, 0, &ar))
            return "normal";
        return lua_gettop(co) == 0 ? "dead" : "suspended";
    default:
        return "dead";
    }
}

// Resumes co with the top `args` values. Returns how many results are on top of L, or -1 with the
// error value there.
LJMP static int resume(lua_State *L, lua_State *co, int args)
{
    int results = 0;

    sandbox_charge(L, RESUME_UNITS);
    if (!lua_checkstack(co, args)) {
        lua_pushliteral(L, "too many arguments to resume");
        return -1;
    }
    lua_xmove(L, co, args);
    int status = sandbox_resume(L, co, args, &results);
    if (status != LUA_OK && status != LUA_YIELD) {
        lua_xmove(co, L, 1);
        return -1;
    }
    if (!lua_checkstack(L, results + 1)) {
        lua_pop(co, results);
        lua_pushliteral(L, "too many results to resume");
        return -1;
    }
    lua_xmove(co, L, results);
    return results;
}

LJMP static int co_create(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TFUNCTION);
    sandbox_charge(L, CREATE_UNITS);
    lua_State *co = lua_newthread(L);
    lua_pushvalue(L, 1);
    lua_xmove(L, co, 1);
    return 1;
}

LJMP static int co_resume(lua_State *L)
{
    lua_State *co = check_coroutine(L);
    int results = resume(L, co, lua_gettop(L) - 1);

    lua_pushboolean(L, results >= 0);
    if (results < 0)
        results = 1;
    lua_insert(L, -(results + 1));
    return results + 1;
}

LJMP static int wrapped(lua_State *L)
{
    lua_State *co = lua_tothread(L, lua_upvalueindex(1));
    int results = resume(L, co, lua_gettop(L));

    if (results >= 0)
        return results;
    int status = lua_status(co);
    if (status != LUA_OK && status != LUA_YIELD) {
        status = sandbox_close(L, co);                  // closes its variables; may fail anew
        lua_xmove(co, L, 1);
    }
    if (status != LUA_ERRMEM && lua_type(L, -1) == LUA_TSTRING) {
        luaL_where(L, 1);
        lua_insert(L, -2);
        lua_concat(L, 2);
    }
    return lua_error(L);
}

LJMP static int co_wrap(lua_State *L)
{
    co_create(L);
    lua_pushcclosure(L, wrapped, 1);
    return 1;
}

LJMP static int co_close(lua_State *L)
{
    lua_State *co = check_coroutine(L);
    const char *status = status_of(L, co);

    if (strcmp(status, "dead") != 0 && strcmp(status, "suspended") != 0)
        return luaL_error(L, "cannot close a %s coroutine", status);
    int closed = sandbox_close(L, co);
    lua_pushboolean(L, closed == LUA_OK);
    if (closed == LUA_OK)
        return 1;
    lua_xmove(co, L, 1);
    return 2;
}

LJMP static int co_yield(lua_State *L)
{
    return lua_yield(L, lua_gettop(L));
}

LJMP static int co_status(lua_State *L)
{
    lua_pushstring(L, status_of(L, check_coroutine(L)));
    return 1;
}

LJMP static int co_running(lua_State *L)
{
    int main = lua_pushthread(L);

    lua_pushboolean(L, main);
    return 2;
}

LJMP static int co_isyieldable(lua_State *L)
{
    lua_State *co = lua_isnone(L, 1) ? L : check_coroutine(L);

    lua_pushboolean(L, lua_isyieldable(co));
    return 1;
}

static const luaL_Reg coroutine_functions[] = {
    {"create", co_create},   {"resume", co_resume}, {"wrap", co_wrap},
    {"close", co_close},     {"yield", co_yield},   {"status", co_status},
    {"running", co_running}, {"isyieldable", co_isyieldable},
    {NULL, NULL},
};

LJMP void lib_coroutine_open(lua_State *L)
{
    luaL_newlib(L, coroutine_functions);
    lua_setfield(L, -2, "coroutine");
}
