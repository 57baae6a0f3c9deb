// SPDX-License-Identifier: MIT
// shape.h: what a policy file must return: names, types and ranges, checked once at load. Every
// complaint says file:line, the key, what is wrong and what to write instead.
#ifndef LUA_SHAPE_H
#define LUA_SHAPE_H

#include "lua/lua_room.h"
#include "lua/sandbox.h"
#include "lua/source.h"
#include "model/expiry.h"
#include "model/lease.h"
#include "model/spend.h"
#include "session/resume.h"

enum { SHAPE_WARNINGS_MAX = 32 };

// What a hook may use.
struct shape_limits {
    int64_t time_ms, fuel, memory_bytes;
};

struct shape_source {
    const char *file;      // as messages call it
    struct slice text;
    struct shape_limits limits;  // the engine's: a policy may ask for less
};

// What a policy's table says. Strings are borrowed from the state; functions are registry
// references.
struct shape {
    struct slice title, system, model;
    uint64_t max_output_tokens;
    struct shape_limits limits;
    struct spend_limit user_spend[SPEND_UNITS], bot_spend[SPEND_UNITS];
    int on_message, on_reply, history, expiry_hook, greet;  // LUA_NOREF where there is none
    struct expiry expiry;                // what it says when it is no function
    struct resume_rules resume;
    struct device_rules devices;
    struct history_plan plan;            // what `history` says when it is no function
    // Keys that are known but not in effect yet, with their lines.
    struct {
        const char *name;
        int line;
    } idle[SHAPE_WARNINGS_MAX];
    unsigned idle_len;
};

// Reads the table on top. Raw access only: nothing of the script runs.
LJMP void shape_read(lua_State *L, const struct shape_source *source, struct shape *out);

// Pushes table[name] without running anything of the script, a read-only table as its contents; the
// type.
LJMP int shape_field(lua_State *L, int idx, const char *name);
// Checks that the table at idx has only keys of `names` (len of them); raises with `where` in
// front. Also used for plans.
LJMP void shape_only_keys(lua_State *L, int idx, const char *const *names, size_t len,
                          const char *where);

#endif
