// SPDX-License-Identifier: MIT
// lib_table.c: the table library, with every item that it touches counted, so that none of its
// loops outlives the deadline whatever a __len says. Same results as Lua's library otherwise.
#include "lua/sandbox_int.h"

enum { ITEM_UNITS = 8, CALL_UNITS = 5 };

LJMP static void check_table(lua_State *L, int idx)
{
    luaL_argexpected(L, lua_istable(L, idx) || lua_isuserdata(L, idx), idx, "table");
}

LJMP static lua_Integer length_of(lua_State *L, int idx)
{
    check_table(L, idx);
    return luaL_len(L, idx);
}

// Moves t[from] to t[to].
LJMP static void shift(lua_State *L, int t, lua_Integer from, lua_Integer to)
{
    charge(L, ITEM_UNITS);
    lua_geti(L, t, from);
    lua_seti(L, t, to);
}

LJMP static int tab_insert(lua_State *L)
{
    lua_Integer end = (lua_Integer)((lua_Unsigned)length_of(L, 1) + 1);  // wraps as Lua's does
    lua_Integer at = end;

    if (lua_gettop(L) == 3) {
        at = luaL_checkinteger(L, 2);
        luaL_argcheck(L, (lua_Unsigned)at - 1u < (lua_Unsigned)end, 2, "position out of bounds");
        for (lua_Integer i = end; i > at; i--)
            shift(L, 1, i - 1, i);
    } else if (lua_gettop(L) != 2) {
        return luaL_error(L, "wrong number of arguments to 'insert'");
    }
    lua_seti(L, 1, at);
    return 0;
}

LJMP static int tab_remove(lua_State *L)
{
    lua_Integer size = length_of(L, 1);
    lua_Integer at = luaL_optinteger(L, 2, size);

    if (at != size)
        luaL_argcheck(L, (lua_Unsigned)at - 1u <= (lua_Unsigned)size, 2, "position out of bounds");
    lua_geti(L, 1, at);
    for (; at < size; at++)
        shift(L, 1, at + 1, at);
    lua_pushnil(L);
    lua_seti(L, 1, at);
    return 1;
}

LJMP static int tab_move(lua_State *L)
{
    lua_Integer first = luaL_checkinteger(L, 2), last = luaL_checkinteger(L, 3);
    lua_Integer to = luaL_checkinteger(L, 4);
    int target = lua_isnoneornil(L, 5) ? 1 : 5;

    check_table(L, 1);
    check_table(L, target);
    if (last >= first) {
        luaL_argcheck(L, first > 0 || last < LUA_MAXINTEGER + first, 3,
                      "too many elements to move");
        lua_Integer n = last - first + 1;
        luaL_argcheck(L, to <= LUA_MAXINTEGER - n + 1, 4, "destination wrap around");
        // Upwards unless the target is the source and begins inside it.
        bool up = to > last || to <= first || (target != 1 && !lua_compare(L, 1, target, LUA_OPEQ));
        for (lua_Integer k = 0; k < n; k++) {
            lua_Integer i = up ? k : n - 1 - k;

            charge(L, ITEM_UNITS);
            lua_geti(L, 1, first + i);
            lua_seti(L, target, to + i);
        }
    }
    lua_pushvalue(L, target);
    return 1;
}

LJMP static void add_item(lua_State *L, luaL_Buffer *b, lua_Integer i)
{
    charge(L, ITEM_UNITS);
    lua_geti(L, 1, i);
    if (!lua_isstring(L, -1))
        luaL_error(L, "invalid value (at index %I) in table for 'concat'", (LUAI_UACINT)i);
    luaL_addvalue(b);
}

LJMP static int tab_concat(lua_State *L)
{
    lua_Integer size = length_of(L, 1);
    size_t len = 0;
    const char *separator = luaL_optlstring(L, 2, "", &len);
    lua_Integer i = luaL_optinteger(L, 3, 1), last = luaL_optinteger(L, 4, size);
    luaL_Buffer b;

    charge(L, CALL_UNITS);
    luaL_buffinit(L, &b);
    for (; i < last; i++) {
        add_item(L, &b, i);
        luaL_addlstring(&b, separator, len);
    }
    if (i == last)
        add_item(L, &b, i);
    luaL_pushresult(&b);
    return 1;
}

LJMP static int tab_pack(lua_State *L)
{
    int n = lua_gettop(L);

    charge(L, (size_t)n * ITEM_UNITS);
    lua_createtable(L, n, 1);
    lua_insert(L, 1);
    for (int i = n; i >= 1; i--)
        lua_rawseti(L, 1, i);
    lua_pushinteger(L, n);
    lua_setfield(L, 1, "n");
    return 1;
}

LJMP static int tab_unpack(lua_State *L)
{
    lua_Integer first = luaL_optinteger(L, 2, 1);
    lua_Integer last = lua_isnoneornil(L, 3) ? luaL_len(L, 1) : luaL_checkinteger(L, 3);

    if (first > last)
        return 0;
    lua_Unsigned n = (lua_Unsigned)last - (lua_Unsigned)first;
    if (n >= SANDBOX_STACK_MAX || !lua_checkstack(L, (int)n + 1))
        return luaL_error(L, "too many results to unpack");
    for (lua_Unsigned i = 0; i <= n; i++) {
        charge(L, ITEM_UNITS);
        lua_geti(L, 1, (lua_Integer)((lua_Unsigned)first + i));
    }
    return (int)n + 1;
}

// ---- sort: by merging, from one scratch table into the other. Lua's own asks the clock where to
// split, and would not use the same fuel twice; ours is stable too.

enum { TABLE = 1, ORDER, FROM, INTO };  // indices in tab_sort's frame

// Whether the value on top comes before the one below it.
LJMP static bool comes_before(lua_State *L)
{
    size_t units = ITEM_UNITS;

    if (lua_type(L, -1) == LUA_TSTRING && lua_type(L, -2) == LUA_TSTRING)
        units += (lua_rawlen(L, -1) + lua_rawlen(L, -2)) / 16;
    charge(L, units);
    if (lua_isnil(L, ORDER))
        return lua_compare(L, -1, -2, LUA_OPLT);
    lua_pushvalue(L, ORDER);
    lua_pushvalue(L, -2);
    lua_pushvalue(L, -4);
    lua_call(L, 2, 1);
    bool before = lua_toboolean(L, -1);
    lua_pop(L, 1);
    return before;
}

// Merges from[a … b) and from[b … end) into the same places of `into`, both table indices. The
// second goes first only where it has to.
LJMP static void merge(lua_State *L, int from, int into, lua_Integer a, lua_Integer b,
                       lua_Integer end)
{
    lua_Integer second = b;

    for (lua_Integer to = a, first = a; to < end; to++) {
        bool take_second = first == b;

        if (!take_second && second < end) {
            lua_rawgeti(L, from, first);
            lua_rawgeti(L, from, second);
            take_second = comes_before(L);
            lua_pop(L, 2);
        }
        lua_rawgeti(L, from, take_second ? second++ : first++);
        lua_rawseti(L, into, to);
    }
}

LJMP static int tab_sort(lua_State *L)
{
    lua_Integer len = length_of(L, 1);

    luaL_argcheck(L, len <= SANDBOX_RANGE_MAX, 1, "array too big");
    if (!lua_isnoneornil(L, 2))
        luaL_checktype(L, 2, LUA_TFUNCTION);
    lua_settop(L, 2);
    if (len < 2)
        return 0;
    lua_createtable(L, (int)len, 0);
    lua_createtable(L, (int)len, 0);                    // table order from into
    for (lua_Integer i = 1; i <= len; i++) {
        charge(L, ITEM_UNITS);
        lua_geti(L, TABLE, i);
        lua_rawseti(L, FROM, i);
    }
    int from = FROM, into = INTO;
    for (lua_Integer width = 1; width < len; width *= 2) {
        for (lua_Integer a = 1; a <= len; a += 2 * width) {
            lua_Integer b = a + width <= len ? a + width : len + 1;

            merge(L, from, into, a, b, b + width <= len ? b + width : len + 1);
        }
        from = FROM + INTO - from;
        into = FROM + INTO - into;
    }
    for (lua_Integer i = 1; i <= len; i++) {
        charge(L, ITEM_UNITS);
        lua_rawgeti(L, from, i);
        lua_seti(L, TABLE, i);
    }
    return 0;
}

static const luaL_Reg table_functions[] = {
    {"insert", tab_insert}, {"remove", tab_remove}, {"move", tab_move}, {"concat", tab_concat},
    {"pack", tab_pack},     {"unpack", tab_unpack}, {"sort", tab_sort},
    {NULL, NULL},
};

LJMP void lib_table_open(lua_State *L)
{
    luaL_newlib(L, table_functions);                    // env table
    lua_setfield(L, -2, "table");
}
