// SPDX-License-Identifier: MIT
// life.h: what a policy says of a session's life: `expiry`, `resume`, `devices` and greetings, read
// out of tables with raw access.
#ifndef LUA_LIFE_H
#define LUA_LIFE_H

#include "lua/sandbox.h"
#include "model/expiry.h"
#include "model/lease.h"
#include "model/plan.h"
#include "redact/redact.h"
#include "session/resume.h"

extern const char *const life_expiry_keys[];
extern const char *const life_resume_keys[];
extern const char *const life_device_keys[];
enum { LIFE_EXPIRY_KEYS = 5, LIFE_RESUME_KEYS = 4, LIFE_DEVICE_KEYS = 2 };

// Read the table at idx (absolute), whose keys are known ones. NULL, or what is wrong with it, for
// people; that text lies on the stack.
LJMP const char *life_read_expiry(lua_State *L, int idx, struct expiry *out);
LJMP const char *life_read_resume(lua_State *L, int idx, struct resume_rules *out);
LJMP const char *life_read_devices(lua_State *L, int idx, struct device_rules *out);
// What a hook returned, on top. `where` is "file:line" of the hook.
LJMP void life_take_expiry(lua_State *L, const char *where, struct expiry *out);
// nil, text, or { say = "…" }: appended to out, as the policy says it.
LJMP void life_take_greeting(lua_State *L, const char *where, struct safe_buf *out);

#endif
