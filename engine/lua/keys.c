// SPDX-License-Identifier: MIT
// keys.c: see keys.h.
#include "lua/keys.h"

#include "base/hint.h"

#include <stdio.h>

enum { PATH_BYTES = 192 };

LJMP void keys_complain(lua_State *L, const struct keys *k, const char *what)
{
    char path[PATH_BYTES] = "";
    size_t len = 0;

    for (unsigned i = 0; i < k->depth && len < sizeof(path); i++)
        len += (size_t)snprintf(path + len, sizeof(path) - len, "%s%s", i ? "." : "", k->path[i]);
    luaL_error(L, "%s:%d: %s: %s", k->source->file,
               source_key_line(k->source->text, k->path, k->depth), path, what);
}

LJMP int keys_down(lua_State *L, struct keys *k, int idx, const char *name)
{
    k->path[k->depth++] = name;
    return shape_field(L, idx, name);
}

void keys_up(lua_State *L, struct keys *k)
{
    lua_pop(L, 1);
    k->depth--;
}

LJMP void keys_only(lua_State *L, struct keys *k, int idx, const char *const *names, size_t len)
{
    for (lua_pushnil(L); lua_next(L, idx); lua_pop(L, 1)) {
        const char *name = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : "[item]";
        bool known = false;

        for (size_t i = 0; i < len && !known; i++)
            known = strcmp(names[i], name) == 0;
        if (known)
            continue;
        const char *near = hint_nearest(slice_str(name), names, len);
        struct hint_list all = {0};
        for (size_t i = 0; i < len && !near; i++)
            hint_list_add(&all, slice_str(names[i]));
        k->path[k->depth++] = name;
        lua_pushfstring(L, near ? "unknown key (did you mean %s?)" : "unknown key; there are %s",
                        near ? near : all.text);
        keys_complain(L, k, lua_tostring(L, -1));
    }
}
