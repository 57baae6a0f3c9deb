// SPDX-License-Identifier: MIT
// policy_int.h: a policy out of a file's text. Only lua/ may include this file.
#ifndef LUA_POLICY_INT_H
#define LUA_POLICY_INT_H

#include "lua/lua_room.h"

// `file` is what messages call it, its bot by its name. The caller gets a reference.
int policy_lua_new(struct policy **out, const struct lua_env *env, const char *file,
                   struct slice text, struct err *err);

#endif
