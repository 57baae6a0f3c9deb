// SPDX-License-Identifier: MIT
// conf_lua.c: parley.lua, a script that returns a table of options, read into conf.
//
// The table is walked with raw access only: nothing of the script runs after it returned. Keys are
// set in the order of their lines, so that "first appearance" means what it says.
#include "lua/lua_room.h"

#include "base/mem.h"
#include "base/vec.h"
#include "lua/freeze.h"
#include "lua/sandbox.h"
#include "lua/source.h"

#include <stdio.h>
#include <stdlib.h>

enum { CONF_ITEMS_MAX = 4096, CONF_DEPTH_MAX = 8, CONF_NAME_BYTES = 256,
       CONF_MEMORY_BYTES = 8 << 20 };

struct conf_item {
    char *name, *value;  // owned
    int line;
};

struct conf_read {
    const char *path;
    struct slice text;
    struct vec items;                       // of struct conf_item, owned
    const char *keys[CONF_DEPTH_MAX];       // where the walk is; borrowed from the Lua stack
    unsigned depth;
    bool no_memory;
};

// "default.bot" for the keys down to the current one.
static void name_of(const struct conf_read *r, char out[CONF_NAME_BYTES])
{
    size_t len = 0;

    out[0] = '\0';
    for (unsigned i = 0; i < r->depth && len < CONF_NAME_BYTES; i++)
        len += (size_t)snprintf(out + len, CONF_NAME_BYTES - len, "%s%s", i ? "." : "", r->keys[i]);
}

LJMP static int refuse_item(lua_State *L, const struct conf_read *r, const char *what)
{
    char name[CONF_NAME_BYTES];

    name_of(r, name);
    return luaL_error(L, "%s:%d: %s%s%s", r->path, source_key_line(r->text, r->keys, r->depth),
                      name, *name ? ": " : "", what);
}

// Adds the value on top under the current keys.
LJMP static void add_item(lua_State *L, struct conf_read *r)
{
    char name[CONF_NAME_BYTES];
    struct conf_item *item = vec_push(&r->items);

    if (!item) {
        r->no_memory = r->items.len < CONF_ITEMS_MAX;
        luaL_error(L, "%s: %s", r->path, r->no_memory ? "out of memory" : "too many options");
        return;
    }
    name_of(r, name);
    item->name = mem_strdup(name);
    item->value = mem_strdup(luaL_tolstring(L, -1, NULL));  // a string, number or boolean
    item->line = source_key_line(r->text, r->keys, r->depth);
    lua_pop(L, 1);
    if (!item->name || !item->value) {
        r->no_memory = true;
        luaL_error(L, "out of memory");
    }
}

LJMP static void read_table(lua_State *L, struct conf_read *r);

// The key at -2 and the value at -1.
LJMP static void read_member(lua_State *L, struct conf_read *r)
{
    if (lua_type(L, -2) != LUA_TSTRING) {
        refuse_item(L, r, "keys must be names, as in name = value");
        return;
    }
    if (r->depth == CONF_DEPTH_MAX)
        luaL_error(L, "%s: tables are nested too deeply", r->path);
    r->keys[r->depth++] = lua_tostring(L, -2);
    switch (lua_type(L, -1)) {
    case LUA_TTABLE:
        read_table(L, r);
        break;
    case LUA_TSTRING:
        if (strlen(lua_tostring(L, -1)) != lua_rawlen(L, -1))
            refuse_item(L, r, "may not hold a NUL");
        add_item(L, r);
        break;
    case LUA_TNUMBER:
    case LUA_TBOOLEAN:
        add_item(L, r);
        break;
    default:
        refuse_item(L, r, "must be text, a number, true, false or a table");
    }
    r->depth--;
}

LJMP static void read_table(lua_State *L, struct conf_read *r)
{
    luaL_checkstack(L, 4, "configuration");
    freeze_reveal(L);
    for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1))
        read_member(L, r);
}

LJMP static int read_conf(lua_State *L)
{
    struct conf_read *r = lua_touserdata(L, 1);

    sandbox_load(L, r->text, r->path);
    lua_call(L, 0, 1);
    if (!lua_istable(L, -1))
        return luaL_error(L, "%s: must return a table of options, as in return { store = … }; it "
                             "returns %s", r->path, sandbox_value_word(L, -1));
    read_table(L, r);
    return 0;
}

static int by_line(const void *a, const void *b)
{
    const struct conf_item *x = a, *y = b;

    return x->line != y->line ? (x->line > y->line) - (x->line < y->line)
                              : strcmp(x->name, y->name);
}

static int set_items(struct conf *conf, struct conf_read *r, struct err *err)
{
    int code = E_OK;

    if (r->items.len > 0)
        qsort(r->items.ptr, r->items.len, sizeof(struct conf_item), by_line);
    for (size_t i = 0; i < r->items.len && code == E_OK; i++) {
        const struct conf_item *item = VEC_AT(&r->items, struct conf_item, i);
        char origin[512];

        snprintf(origin, sizeof(origin), "%s:%d", r->path, item->line);
        code = conf_set(conf, slice_str(item->name), slice_str(item->value), origin, err);
    }
    return code;
}

int lua_conf_load(struct conf *conf, const char *path, const struct clock *clock, struct err *err)
{
    struct conf_read r = {.path = source_shown(path),
                          .items = VEC_INIT(struct conf_item, CONF_ITEMS_MAX)};
    struct buf text = BUF_INIT(LUA_FILE_BYTES_MAX);
    struct sandbox_options options = {.clock = clock, .memory_bytes = CONF_MEMORY_BYTES};
    struct sandbox_budget budget = {.fuel = LUA_LOAD_FUEL, .ms = LUA_LOAD_MS};
    struct sandbox *sandbox = NULL;

    int code = source_read(path, &text, err);
    if (code == E_NOT_FOUND)
        code = err_set(err, E_POLICY, "%s: there is no such configuration file", path);
    if (code == E_OK)
        code = sandbox_new(&sandbox, &options, err);
    if (code == E_OK) {
        r.text = buf_slice(&text);
        code = sandbox_call(sandbox, budget, read_conf, &r, err);
        if (code != E_OK && r.no_memory)
            code = err_set(err, E_NOMEM, "%s: out of memory", path);
    }
    if (code == E_OK)
        code = set_items(conf, &r, err);
    for (size_t i = 0; i < r.items.len; i++) {
        mem_free(VEC_AT(&r.items, struct conf_item, i)->name);
        mem_free(VEC_AT(&r.items, struct conf_item, i)->value);
    }
    vec_release(&r.items);
    sandbox_free(sandbox);
    buf_release(&text);
    return code;
}
