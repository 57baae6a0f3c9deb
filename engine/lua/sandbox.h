// SPDX-License-Identifier: MIT
// sandbox.h: one Lua state that cannot harm its host: whatever a script does, it ends in time,
// within its memory, and reaches nothing but what it was given.
//
// Invariants
// 1. Fuel. Everything that costs is counted in units of about one VM instruction, and a call has so
//    many of them for all its coroutines together: memory is counted by the allocator, library
//    functions by what they look at, instructions by the hook of counting mode (below).
// 2. Time. A call ends soon after it has used its own time: the processor's time of its thread, so
//    that a busy machine does not end what is innocent; and in any case once twenty times as much
//    has passed on the clock. In timed mode a timer of the thread arms the hook then, and nothing
//    is hooked before; in counting mode a hook runs every few instructions of each coroutine, looks
//    at the clock, and counts. A call that takes long makes way for others (`way`) again and
//    again, and may go on elsewhere; what passes meanwhile is not its own time.
//    Counting is exact: with the same script, the same input and the same calls before it in its
//    state, a call uses the same fuel and stops at the same place. (A state that was used has stack
//    and strings already that a new one pays for.) Where time stands still, the processor's time
//    bounds what no count can tell, and there alone the place may differ: single instructions, and
//    a collection of garbage, that a script can make cost a thousand others and that Lua does not
//    let us look into. They are a call through thousands of tables by __call, a look-up through
//    thousands by __index, `...` of thousands of values, == and < of strings of a megabyte, next in
//    a large table that was emptied, and weak tables whose keys hang on one another.
// 3. Memory. The state's allocator gives at most its limit, and no string above SANDBOX_STRING_MAX
//    (one VM instruction on a string is then short enough for the hook to be in time). What the
//    engine allocates for the script's results is not the state's, and outside the limit. Nor is
//    there a stack above SANDBOX_STACK_MAX or a table above SANDBOX_KEYS_MAX: a single instruction
//    can be made to cost their square (a chain of __call, keys that collide).
// 4. Whichever of the three runs out, it is for good: it passes through every pcall, xpcall,
//    message handler, __close and coroutine, so no script can catch it and go on. Afterwards the
//    state is as usable as before.
// 5. Reach. The environment is built from an allow-list: no io, os, debug, package, load; text
//    chunks only; no finalisers; library tables, the string metatable and globals are read-only.
//
// Functions that may leave by longjmp are marked LJMP: they run only inside sandbox_call, and hold
// nothing that would leak when they leave. Owned by one thread at a time; with a timer, by the
// thread that made it. A call that makes way may go on on another thread (way.h): what it may touch
// there is the state, and what the host lent to the call. It ends where it began.
#ifndef LUA_SANDBOX_H
#define LUA_SANDBOX_H

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/slice.h"
#include "base/way.h"
#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>

#define LJMP  // may leave by longjmp; see above

enum {
    SANDBOX_STRING_MAX = 1 << 20,  // bytes of one string
    SANDBOX_RANGE_MAX = 1 << 20,   // items that one library call may touch
    SANDBOX_KEYS_MAX = 1 << 14,    // keys of a table beside its list; more while loading
    SANDBOX_STACK_MAX = 1 << 13,   // values on a coroutine's stack, of all its calls together
};

struct sandbox;

struct sandbox_options {
    const struct clock *clock;
    const struct log *log;  // NULL: silent
    size_t memory_bytes;    // the limit
    int timer_signal;       // for timed mode; 0: counting mode
    struct way way;         // how calls that take long make way for others
};
// What one call may use.
struct sandbox_budget {
    int64_t fuel;
    int64_t ms;    // of its own time
    bool aside;    // it is known to take long: it makes way before it begins
};

// E_NOMEM, or E_POLICY when the limit is too small for the libraries. A signal that cannot be used
// is told to the log, and the mode is counting.
int sandbox_new(struct sandbox **out, const struct sandbox_options *options, struct err *err);
void sandbox_free(struct sandbox *s);  // NULL allowed

// Runs fn protected, within the budget. fn finds `user` as a light userdata at index 1; what it
// returns is dropped. The stack is empty again after. E_OK; E_POLICY: the script failed (err has
// the script's file:line) or ran out (err says where and of what); E_NOMEM: the system has no
// memory.
int sandbox_call(struct sandbox *s, struct sandbox_budget budget, lua_CFunction fn, void *user,
                 struct err *err);
// Whether the last call ran out of fuel, time or memory.
bool sandbox_ran_out(const struct sandbox *s);
bool sandbox_ran_out_of_memory(const struct sandbox *s);
// Whether the last call took so long, of its own time, that it is one to make way for others.
bool sandbox_was_slow(const struct sandbox *s);
// Units that the last call used.
int64_t sandbox_used_fuel(const struct sandbox *s);
// Compiles text (never bytecode) in the sandbox's environment and pushes the function. Call inside
// sandbox_call. `name` is what messages call the file.
LJMP void sandbox_load(lua_State *L, struct slice text, const char *name);

// Pops the value on top: it is what require(name) gives here. name: a literal, "parley.…".
LJMP void sandbox_provide(lua_State *L, const char *name);
// Raises: a function of ours has no memory. The call ends with E_NOMEM, which is not the script's
// fault as E_POLICY is.
LJMP void sandbox_no_memory(lua_State *L);
// A number that changes with every sandbox_call: handles keep it and are refused when it is old.
uint64_t sandbox_generation(lua_State *L);
// What the host is working on, for handles to look at; reset to NULL when a sandbox_call ends.
void sandbox_set_subject(lua_State *L, const void *subject);
const void *sandbox_subject(lua_State *L);
// Begins math.random's sequence anew, so that it tells nothing of other calls.
LJMP void sandbox_seed(lua_State *L, uint64_t a, uint64_t b);

// For library functions.
LJMP void sandbox_charge(lua_State *L, size_t units);  // leaves when something has run out
// Counts units without leaving; true when something has run out.
bool sandbox_tick(lua_State *L, size_t units);
bool sandbox_stopped(lua_State *L);         // something has run out
LJMP int sandbox_raise_stop(lua_State *L);  // leaves
// Charges for the strings among the arguments, then does as upvalue 1, a C function without
// upvalues.
LJMP int sandbox_charged(lua_State *L);
// Puts `wrapper` around each of the named functions (NULL ends them) of the table on top.
LJMP void sandbox_wrap(lua_State *L, const char *const *names, lua_CFunction wrapper);
// Runs `co` for its parent; nargs and results as lua_resume. Leaves when something has run out.
LJMP int sandbox_resume(lua_State *L, lua_State *co, int nargs, int *nresults);
// As lua_resetthread: closes what is pending in co. Leaves when something has run out.
LJMP int sandbox_close(lua_State *L, lua_State *co);
size_t sandbox_memory(const struct sandbox *s);  // bytes in use
// Another limit from here on. E_POLICY when what is there takes too much of it.
int sandbox_set_memory(struct sandbox *s, size_t bytes, struct err *err);
// What the value at idx is, for a sentence: "nothing", "a number" …
const char *sandbox_value_word(lua_State *L, int idx);

// Library openers, each in its own lib_x.c: they put their functions into the table on top.
LJMP void lib_base_open(lua_State *L);
LJMP void lib_coroutine_open(lua_State *L);
LJMP void lib_string_open(lua_State *L);
LJMP void lib_table_open(lua_State *L);

#endif
