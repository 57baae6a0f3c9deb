// SPDX-License-Identifier: MIT
// sandbox.h: one Lua state that cannot harm its host: whatever a script does, it ends in time,
// within its memory, and reaches nothing but what it was given.
//
// Invariants
// 1. Time. A call ends soon after its deadline. Everything that costs is counted in units of about
//    one VM instruction: instructions by a hook in every coroutine, memory by the allocator,
//    library functions by what they look at. Every few units the clock is read. Expiry is sticky:
//    it passes through every pcall, xpcall and coroutine, so no script can catch it and go on.
//    Units are limited too, so that a call also ends where time stands still (simulation).
// 2. Memory. The state's allocator gives at most its limit, and no string above SANDBOX_STRING_MAX
//    (one VM instruction on a string is then short enough for the hook to be in time).
// 3. Reach. The environment is built from an allow-list: no io, os, debug, package, load; text
//    chunks only; no finalisers; library tables, the string metatable and globals are read-only.
// 4. Afterwards the state is as usable as before, also after expiry or lack of memory.
//
// Functions that may leave by longjmp are marked LJMP: they run only inside sandbox_call, and hold
// nothing that would leak when they leave. Owned by one thread at a time.
#ifndef LUA_SANDBOX_H
#define LUA_SANDBOX_H

#include "base/clock.h"
#include "base/err.h"
#include "base/slice.h"
#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>

#define LJMP  // may leave by longjmp; see above

enum {
    SANDBOX_STRING_MAX = 1 << 20,     // bytes of one string
    SANDBOX_RANGE_MAX = 1 << 20,      // items that one library call may touch
    SANDBOX_UNITS_PER_MS = 1000000,   // more than any machine does: a limit for stopped clocks
};

struct sandbox;

// memory_bytes: the limit. E_NOMEM, or E_POLICY when the limit is too small for the libraries.
int sandbox_new(struct sandbox **out, const struct clock *clock, size_t memory_bytes,
                struct err *err);
void sandbox_free(struct sandbox *s);  // NULL allowed

// Runs fn protected, for at most limit_ms. fn finds `user` as a light userdata at index 1; what it
// returns is dropped. The stack is empty again after. E_OK; E_POLICY: the script failed, ran too
// long or needs too much memory (err has the script's file:line); E_NOMEM: the system has no
// memory.
int sandbox_call(struct sandbox *s, int64_t limit_ms, lua_CFunction fn, void *user,
                 struct err *err);
// Compiles text (never bytecode) in the sandbox's environment and pushes the function. Call inside
// sandbox_call. `name` is what messages call the file.
LJMP void sandbox_load(lua_State *L, struct slice text, const char *name);

// A number that changes with every sandbox_call: handles keep it and are refused when it is old.
uint64_t sandbox_generation(lua_State *L);
// What the host is working on, for handles to look at; reset to NULL when a sandbox_call ends.
void sandbox_set_subject(lua_State *L, const void *subject);
const void *sandbox_subject(lua_State *L);
// Begins math.random's sequence anew, so that it tells nothing of other calls.
LJMP void sandbox_seed(lua_State *L, uint64_t a, uint64_t b);

// For library functions.
LJMP void sandbox_charge(lua_State *L, size_t units);  // leaves when the deadline has passed
bool sandbox_expired(lua_State *L);
LJMP int sandbox_raise_expired(lua_State *L);
// Runs `co` for its parent; nargs and results as lua_resume. The caller checks sandbox_expired.
int sandbox_resume(lua_State *L, lua_State *co, int nargs, int *nresults);
// Counts units without leaving; true when the deadline has passed.
bool sandbox_tick(lua_State *L, size_t units);
size_t sandbox_memory(const struct sandbox *s);  // bytes in use

// Library openers, each in its own lib_x.c: they put their functions into the table on top.
LJMP void lib_base_open(lua_State *L);
LJMP void lib_coroutine_open(lua_State *L);
LJMP void lib_string_open(lua_State *L);
LJMP void lib_table_open(lua_State *L);

#endif
