// SPDX-License-Identifier: MIT
// bots.h: names of bots and the files of their policies. Private to lua/; see lua_bots in
// lua_room.h.
#ifndef LUA_BOTS_H
#define LUA_BOTS_H

#include "base/err.h"
#include "base/slice.h"
#include "model/turn.h"
#include <stdbool.h>

// "name@12345678" and a NUL fit where turns keep it.
enum { BOT_HASH_DIGITS = 8, BOT_NAME_MAX = TURN_POLICY_BYTES - BOT_HASH_DIGITS - 2 };

// Letters, digits, '_' and '-', not '-' first: a file's name, never a path.
bool bot_name_valid(struct slice name);
// Whether it is the name of a policy's tests, "kiosk_test", which is no bot's.
bool bot_name_is_test(struct slice name);
// "policies/kiosk.lua" -> "kiosk"; borrows path.
struct slice bot_name_of(const char *path);
// Calls fn for each bot, sorted by name; what lies in dir hides what is built in. dir may be NULL.
void bots_each(const char *dir, void (*fn)(void *user, const char *bot, const char *file),
               void *user);
// E_POLICY with the nearest name.
int bots_refuse_unknown(const char *dir, const char *bot, struct err *err);

#endif
