// SPDX-License-Identifier: MIT
// lua_room.h: what Lua does for the engine: policies, the offline brain, the configuration file.
//
// Every script runs in a sandbox (sandbox.h): allow-listed environment, text chunks only, a budget
// of fuel, time and memory that no pcall and no coroutine outlives, read-only tables after load.
#ifndef LUA_LUA_ROOM_H
#define LUA_LUA_ROOM_H

#include "base/way.h"
#include "llm/llm.h"
#include "policy/policy.h"

struct lua_limits {
    size_t memory_bytes;     // per state; 0: LUA_MEMORY_BYTES
    int64_t hook_ms;         // deadline of a hook; 0: LUA_HOOK_MS
    int64_t load_ms;         // deadline of loading a file; 0: LUA_LOAD_MS
    int64_t hook_fuel;       // units, about one VM instruction each; 0: LUA_HOOK_FUEL
    int64_t load_fuel;       // 0: LUA_LOAD_FUEL
};
// Where a clock runs, time ends what only counts before fuel does; where it stands still
// (simulation), fuel ends it in about as long.
#ifndef LUA_SLOW
#define LUA_SLOW 1  // a build that is to run under a tool which makes it so many times slower
#endif
enum { LUA_MEMORY_BYTES = 16 << 20, LUA_HOOK_MS = 100 * LUA_SLOW, LUA_LOAD_MS = 1000 * LUA_SLOW,
       LUA_HOOK_FUEL = 10000000, LUA_LOAD_FUEL = 100000000, LUA_FILE_BYTES_MAX = 1 << 20 };

struct lua_env {
    const char *policies_dir;   // searched for <bot>.lua, then the policies inside the binary
    // Of telephone numbers, where a policy names none; NULL: nowhere. Outlives the policies.
    const char *region;
    const struct clock *clock;
    const struct log *log;
    struct lua_limits limits;
    // Scripts run unhooked until this signal of a timer says that their time is up; 0: they are
    // counted, which is slower, and the same in every run. With a signal, what is made from here
    // belongs to the thread that makes it.
    int timer_signal;
    // For policies only: how a hook that takes long (or a file that takes long to load) makes way
    // for other turns. Another hook of the same policy may run meanwhile.
    struct way way;
};

// A loader for policy_host; one per worker (states are not shared between threads).
struct lua_loader;
int lua_loader_new(struct lua_loader **out, const struct lua_env *env, struct err *err);
void lua_loader_free(struct lua_loader *l);
struct policy_loader lua_loader_ops(struct lua_loader *l);

// Names of the bots that exist (folder and built in), sorted; calls fn for each.
void lua_bots(const struct lua_env *env, void (*fn)(void *user, const char *bot, const char *file),
              void *user);
// E_POLICY with the nearest name when there is no such bot.
int lua_find_bot(const struct lua_env *env, const char *bot, struct err *err);
// Loads one policy file; the caller gets the reference. E_POLICY as file:line: message.
int lua_load_policy(const struct lua_env *env, const char *path, struct policy **out,
                    struct err *err);
// Loads and checks one policy file, and runs nothing of it but its loading. E_POLICY as file:line:
// message.
int lua_check_policy(const struct lua_env *env, const char *path, struct err *err);

// Brain of the scripted provider: `script` is a file, or NULL for scripts/offline.lua inside the
// binary. The script returns function(request) -> text; request = {model, system, messages =
// {{role, text}…}}, read-only.
int lua_brain_new(struct llm_brain **out, const struct lua_env *env, const char *script,
                  struct err *err);

// Reads a configuration file into conf (keys flattened with dots, origin "file:line").
int lua_conf_load(struct conf *conf, const char *path, const struct clock *clock, struct err *err);

#endif
