// SPDX-License-Identifier: MIT
// keys.h: walks down the keys of a policy's table, so that whatever is wrong is told with its
// file:line and the keys that lead there. Raw access only: nothing of the script runs.
#ifndef LUA_KEYS_H
#define LUA_KEYS_H

#include "lua/sandbox.h"
#include "lua/shape.h"

enum { KEYS_DEPTH_MAX = 4 };

struct keys {
    const struct shape_source *source;
    const char *path[KEYS_DEPTH_MAX];
    unsigned depth;
};

// Raises "file:line: privacy.sinks: what".
LJMP void keys_complain(lua_State *L, const struct keys *k, const char *what);
// Pushes table[name], and goes down to it for what is complained of; keys_up comes after. The type.
LJMP int keys_down(lua_State *L, struct keys *k, int idx, const char *name);
void keys_up(lua_State *L, struct keys *k);  // pops
// Raises, with the nearest name, if the table at idx (absolute) has a key that is none of `names`.
LJMP void keys_only(lua_State *L, struct keys *k, int idx, const char *const *names, size_t len);

#endif
