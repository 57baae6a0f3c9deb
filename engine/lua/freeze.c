// SPDX-License-Identifier: MIT
// freeze.c: the walk over all that is reachable, and the read-only tables. See freeze.h.
//
// Registry:
//   seen_key     set of what was walked: frozen tables, checked functions
//   shadow_key   shadow -> frozen table
// Metatable of a frozen table: the script's own fields, and
//   shadow_key   the shadow;  index_key   the script's own __index, if any
//   __index, __newindex, __len, __pairs, __metatable
#include "lua/freeze.h"

#include "lua/writes.h"

static const char seen_key, shadow_key, index_key;  // their addresses are the keys

// ---- what a frozen table does

LJMP bool freeze_shadow(lua_State *L, int idx)
{
    if (lua_type(L, idx) != LUA_TTABLE || !lua_getmetatable(L, idx))
        return false;                                   // … mt
    lua_rawgetp(L, -1, &shadow_key);                    // … mt shadow
    lua_remove(L, -2);                                  // … shadow
    if (lua_istable(L, -1))
        return true;
    lua_pop(L, 1);
    return false;
}

LJMP void freeze_reveal(lua_State *L)
{
    if (freeze_shadow(L, -1))
        lua_replace(L, -2);
}

LJMP void freeze_unshadow(lua_State *L)
{
    if (!lua_istable(L, -1))
        return;
    lua_rawgetp(L, LUA_REGISTRYINDEX, &shadow_key);     // value frozen_of
    lua_pushvalue(L, -2);
    lua_rawget(L, -2);                                  // value frozen_of frozen|nil
    if (lua_isnil(L, -1))
        lua_pop(L, 2);
    else
        lua_replace(L, -3), lua_pop(L, 1);              // frozen
}

LJMP static void must_shadow(lua_State *L, int idx)
{
    if (!freeze_shadow(L, idx))
        luaL_error(L, "not a read-only table");
}

// __index where the script's own metatable has one too.
LJMP static int frozen_index(lua_State *L)
{
    must_shadow(L, 1);                                  // t k shadow
    lua_pushvalue(L, 2);
    if (lua_rawget(L, -2) != LUA_TNIL)
        return 1;
    lua_getmetatable(L, 1);                             // t k shadow nil mt
    lua_rawgetp(L, -1, &index_key);                     // … index
    if (lua_isfunction(L, -1)) {
        lua_pushvalue(L, 1);
        lua_pushvalue(L, 2);
        lua_call(L, 2, 1);
    } else {
        lua_pushvalue(L, 2);
        lua_gettable(L, -2);
    }
    return 1;
}

LJMP static int frozen_newindex(lua_State *L)
{
    const char *key = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : luaL_typename(L, 2);

    return luaL_error(L, "'%s' cannot be set: what outlives a call is read-only; declare a local, "
                         "or return it in the plan's state", key);
}

LJMP static int frozen_len(lua_State *L)
{
    must_shadow(L, 1);
    lua_pushinteger(L, (lua_Integer)lua_rawlen(L, -1));
    return 1;
}

LJMP static int frozen_next(lua_State *L)
{
    lua_settop(L, 2);
    must_shadow(L, 1);                                  // t k shadow
    lua_insert(L, 2);                                   // t shadow k
    return lua_next(L, 2) ? 2 : (lua_pushnil(L), 1);
}

LJMP static int frozen_pairs(lua_State *L)
{
    lua_pushcfunction(L, frozen_next);
    lua_pushvalue(L, 1);
    lua_pushnil(L);
    return 3;
}

// ---- freezing one table

// Copies all fields from the table at `from` to the one at `to`, both absolute.
LJMP static void copy_fields(lua_State *L, int from, int to)
{
    for (lua_pushnil(L); lua_next(L, from);) {
        sandbox_charge(L, 4);
        lua_pushvalue(L, -2);                           // key value key
        lua_insert(L, -2);                              // key key value
        lua_rawset(L, to);                              // key
    }
}

LJMP static void empty_table(lua_State *L, int t)
{
    for (lua_pushnil(L); lua_next(L, t);) {
        sandbox_charge(L, 1);
        lua_pop(L, 1);                                  // key
        lua_pushvalue(L, -1);
        lua_pushnil(L);
        lua_rawset(L, t);                               // clearing while walking is allowed
    }
}

LJMP static void set_function(lua_State *L, int t, const char *name, lua_CFunction fn)
{
    lua_pushcfunction(L, fn);
    lua_setfield(L, t, name);
}

// Freezes the table at t (absolute). Leaves the stack as it is.
LJMP static void freeze_one(lua_State *L, int t)
{
    int top = lua_gettop(L), shadow = top + 1, mt = top + 2;

    luaL_checkstack(L, 10, "freeze");
    lua_newtable(L);                                    // shadow
    copy_fields(L, t, shadow);
    lua_newtable(L);                                    // shadow mt
    if (lua_getmetatable(L, t)) {                       // shadow mt old
        if (freeze_shadow(L, -1))
            lua_replace(L, -2);                         // it was frozen before
        copy_fields(L, mt + 1, mt);
        lua_pop(L, 1);
    }
    lua_getfield(L, mt, "__index");                     // shadow mt index
    bool chained = !lua_isnil(L, -1);
    lua_rawsetp(L, mt, &index_key);                     // shadow mt
    if (chained) {
        set_function(L, mt, "__index", frozen_index);
    } else {
        lua_pushvalue(L, shadow);
        lua_setfield(L, mt, "__index");
    }
    set_function(L, mt, "__newindex", frozen_newindex);
    set_function(L, mt, "__len", frozen_len);
    set_function(L, mt, "__pairs", frozen_pairs);
    lua_pushboolean(L, 0);
    lua_setfield(L, mt, "__metatable");
    lua_pushvalue(L, shadow);
    lua_rawsetp(L, mt, &shadow_key);
    lua_rawgetp(L, LUA_REGISTRYINDEX, &shadow_key);     // shadow mt frozen_of
    lua_pushvalue(L, shadow);
    lua_pushvalue(L, t);
    lua_rawset(L, -3);
    lua_pop(L, 1);                                      // shadow mt
    empty_table(L, t);
    lua_setmetatable(L, t);                             // shadow
    lua_settop(L, top);
}

// ---- the walk

enum { SEEN = 1, QUEUE, TRUSTED, VALUE };  // indices in walk's frame

// Puts the value on top into the queue if it can hold state and was not seen; pops it.
LJMP static void visit(lua_State *L)
{
    int type = lua_type(L, -1);

    if (type == LUA_TTHREAD)
        luaL_error(L, "a coroutine is kept between calls: make it inside the hook");
    if (type == LUA_TUSERDATA)
        luaL_error(L, "a userdata is kept between calls: use it inside the hook only");
    if (type != LUA_TTABLE && type != LUA_TFUNCTION) {
        lua_pop(L, 1);
        return;
    }
    lua_pushvalue(L, -1);
    bool seen = lua_rawget(L, SEEN) != LUA_TNIL;
    lua_pop(L, 1);                                      // value
    if (seen) {
        lua_pop(L, 1);
        return;
    }
    lua_pushvalue(L, -1);
    lua_pushboolean(L, 1);
    lua_rawset(L, SEEN);
    lua_rawseti(L, QUEUE, (lua_Integer)lua_rawlen(L, QUEUE) + 1);
}

LJMP static void walk_table(lua_State *L, int t)
{
    for (lua_pushnil(L); lua_next(L, t);) {
        sandbox_charge(L, 4);
        visit(L);                                       // key
        lua_pushvalue(L, -1);
        visit(L);
    }
    if (lua_getmetatable(L, t)) {
        freeze_unshadow(L);
        visit(L);
    }
    freeze_one(L, t);
}

LJMP static void refuse_writer(lua_State *L, int fn)
{
    struct upvalue_write w;
    lua_Debug ar;

    lua_pushvalue(L, fn);
    if (!writes_find(L, &w)) {
        lua_pop(L, 1);
        return;
    }
    const char *name = lua_getupvalue(L, -1, w.upvalue);
    lua_pushvalue(L, fn);
    lua_getinfo(L, ">S", &ar);
    luaL_error(L, "%s:%d: '%s' is set here, but it outlives the call and other users would see it; "
                  "declare it inside the hook, or return it in the plan's state",
               ar.short_src, w.line, name && name[0] ? name : "?");
}

// Functions of the library are trusted (math.random keeps its generator); a script gets hold of
// other C functions with upvalues only as iterators (gmatch, coroutine.wrap), which remember where
// they were.
LJMP static void walk_function(lua_State *L, int fn, bool trusted)
{
    bool native = lua_iscfunction(L, fn);

    if (!native)
        refuse_writer(L, fn);
    for (int i = 1; lua_getupvalue(L, fn, i); i++) {
        if (trusted && native) {
            lua_pop(L, 1);
            continue;
        }
        if (native)
            luaL_error(L, "an iterator is kept between calls (of gmatch or coroutine.wrap): make "
                          "it inside the hook");
        visit(L);
    }
}

// Frame: seen, queue, trusted, value. Freezes everything reachable from value.
LJMP static int walk(lua_State *L)
{
    bool trusted = lua_toboolean(L, TRUSTED);

    visit(L);                                           // seen queue trusted
    for (lua_Integer i = 1; i <= (lua_Integer)lua_rawlen(L, QUEUE); i++) {
        sandbox_charge(L, 10);
        lua_rawgeti(L, QUEUE, i);                       // seen queue trusted value
        if (lua_istable(L, VALUE))
            walk_table(L, VALUE);
        else
            walk_function(L, VALUE, trusted);
        lua_settop(L, TRUSTED);
    }
    return 0;
}

LJMP static void walk_from_top(lua_State *L, bool trusted)
{
    lua_pushcfunction(L, walk);
    lua_rawgetp(L, LUA_REGISTRYINDEX, &seen_key);
    lua_newtable(L);
    lua_pushboolean(L, trusted);
    lua_pushvalue(L, -5);
    lua_call(L, 4, 0);
}

LJMP void freeze_open(lua_State *L)
{
    lua_newtable(L);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &seen_key);
    lua_newtable(L);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &shadow_key);
}

LJMP void freeze_libraries(lua_State *L)
{
    walk_from_top(L, true);
}

LJMP void freeze_value(lua_State *L)
{
    walk_from_top(L, false);
}
