// SPDX-License-Identifier: MIT
// limits.h: lua_env's limits with their defaults, as a sandbox takes them. Private to lua/.
#ifndef LUA_LIMITS_H
#define LUA_LIMITS_H

#include "lua/lua_room.h"
#include "lua/sandbox.h"

struct limits {
    struct sandbox_budget hook, load;
};

static inline int64_t limits_or(int64_t n, int64_t fallback)
{
    return n ? n : fallback;
}

static inline struct limits limits_of(const struct lua_env *env)
{
    const struct lua_limits *l = &env->limits;

    return (struct limits){
        .hook = {.fuel = limits_or(l->hook_fuel, LUA_HOOK_FUEL),
                 .ms = limits_or(l->hook_ms, LUA_HOOK_MS)},
        .load = {.fuel = limits_or(l->load_fuel, LUA_LOAD_FUEL),
                 .ms = limits_or(l->load_ms, LUA_LOAD_MS)},
    };
}

static inline struct sandbox_options limits_sandbox(const struct lua_env *env)
{
    return (struct sandbox_options){
        .clock = env->clock,
        .log = env->log,
        .memory_bytes = env->limits.memory_bytes ? env->limits.memory_bytes : LUA_MEMORY_BYTES,
        .timer_signal = env->timer_signal,
        .way = env->way,
    };
}

#endif
