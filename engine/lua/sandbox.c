// SPDX-License-Identifier: MIT
// sandbox.c: the allocator, the deadline, protected calls. Invariants and thread: sandbox.h.
//
//                    ┌── hook, every HOOK_COUNT instructions of each coroutine
//   units are counted┼── allocator, each block                      ──▶ every CHECK_UNITS the clock
//                    └── library functions, by what they look at          is read ──▶ expired
//   expired ──▶ the running coroutine's hook fires at its next instruction ──▶ error
//           ──▶ pcall, xpcall, resume raise it again on the way out ──▶ sandbox_call
#include "lua/sandbox.h"

#include "base/embed.h"
#include "base/mem.h"
#include "lua/freeze.h"

#include <stdio.h>

enum {
    HOOK_COUNT = 250,       // an instruction may cost as much as one look at a longest string
    CHECK_UNITS = 10000,    // some 50 µs
    ALLOC_UNITS = 10,       // a block, whatever its size
    BYTES_PER_UNIT = 32,    // and its bytes
    STRING_HEADER = 64,     // what Lua adds to a string's bytes, rounded up
    WHERE_BYTES = 128,
};

struct sandbox {
    lua_State *main;
    lua_State *running;          // the coroutine that runs now
    const struct clock *clock;
    uint64_t generation;
    const void *subject;         // borrowed; see sandbox_set_subject
    size_t used, limit;          // bytes
    int64_t deadline_ns;         // INT64_MAX between calls
    int64_t units_left;
    size_t unchecked;            // units since the clock was read
    bool in_call;
    bool expired;                // sticky until the call ends
    bool over_limit, too_long;   // why the allocator refused
    char where[WHERE_BYTES];     // where it was when time was up: "file:line: " or ""
};

static const char env_key, seed_key;  // their addresses are keys of the registry

static struct sandbox *sandbox_of(lua_State *L)
{
    return *(struct sandbox **)lua_getextraspace(L);  // coroutines inherit it
}

// ---- time

LJMP static void on_count(lua_State *L, lua_Debug *ar);

// Reads the clock. On expiry the running coroutine is stopped at its next instruction.
static void check_deadline(struct sandbox *s)
{
    s->units_left -= (int64_t)s->unchecked;
    s->unchecked = 0;
    if (!s->in_call || s->expired)
        return;
    if (s->units_left > 0 && clock_mono_ns(s->clock) < s->deadline_ns)
        return;
    s->expired = true;
    lua_sethook(s->running, on_count, LUA_MASKCOUNT, 1);
}

static void count_units(struct sandbox *s, size_t units)
{
    s->unchecked += units;
    if (s->unchecked >= CHECK_UNITS)
        check_deadline(s);
}

LJMP static int raise_expired(lua_State *L, struct sandbox *s, lua_Debug *ar)
{
    if (!s->where[0] && ar && lua_getinfo(L, "Sl", ar) && ar->currentline > 0)
        snprintf(s->where, sizeof(s->where), "%s:%d: ", ar->short_src, ar->currentline);
    lua_pushliteral(L, "the time is up");
    return lua_error(L);
}

LJMP static void on_count(lua_State *L, lua_Debug *ar)
{
    struct sandbox *s = sandbox_of(L);

    count_units(s, s->expired ? 1 : HOOK_COUNT);
    if (s->expired)
        raise_expired(L, s, ar);
}

bool sandbox_tick(lua_State *L, size_t units)
{
    struct sandbox *s = sandbox_of(L);

    count_units(s, units);
    return s->expired;
}

bool sandbox_expired(lua_State *L)
{
    return sandbox_of(L)->expired;
}

LJMP int sandbox_raise_expired(lua_State *L)
{
    lua_Debug ar;

    return raise_expired(L, sandbox_of(L), lua_getstack(L, 1, &ar) ? &ar : NULL);
}

LJMP void sandbox_charge(lua_State *L, size_t units)
{
    if (sandbox_tick(L, units))
        sandbox_raise_expired(L);
}

int sandbox_resume(lua_State *L, lua_State *co, int nargs, int *nresults)
{
    struct sandbox *s = sandbox_of(L);
    lua_State *parent = s->running;

    s->running = co;
    int status = lua_resume(co, L, nargs, nresults);
    s->running = parent;
    return status;
}

// ---- memory

static void *refuse(struct sandbox *s, bool *why)
{
    *why = true;
    count_units(s, s->used / BYTES_PER_UNIT);  // Lua now collects all its garbage and asks again
    return NULL;
}

static void *allocate(void *self, void *old, size_t old_bytes, size_t bytes)
{
    struct sandbox *s = self;
    size_t had = old ? old_bytes : 0;  // for a new block old_bytes tells its kind

    if (bytes == 0) {
        mem_free(old);
        s->used -= had;
        return NULL;
    }
    count_units(s, ALLOC_UNITS + bytes / BYTES_PER_UNIT);
    if (!old && old_bytes == LUA_TSTRING && bytes > SANDBOX_STRING_MAX + STRING_HEADER)
        return refuse(s, &s->too_long);
    if (bytes > had && bytes - had > s->limit - s->used)
        return refuse(s, &s->over_limit);
    void *p = mem_realloc(old, bytes);
    if (!p && bytes > had)
        return NULL;
    s->used = s->used - had + bytes;
    return p ? p : old;  // Lua counts on it that shrinking does not fail
}

size_t sandbox_memory(const struct sandbox *s)
{
    return s->used;
}

// ---- calls

static int tell_failure(struct sandbox *s, int64_t limit_ms, int status, struct err *err)
{
    lua_State *L = s->main;

    if (s->expired)
        return err_set(err, E_POLICY, "%sstopped: it ran longer than %lld ms", s->where,
                       (long long)limit_ms);
    if (status == LUA_ERRMEM && s->over_limit)
        return err_set(err, E_POLICY, "out of memory: limit %zu MiB", s->limit >> 20);
    if (status == LUA_ERRMEM && s->too_long)
        return err_set(err, E_POLICY, "out of memory: a string may be %d KiB long",
                       SANDBOX_STRING_MAX >> 10);
    if (status == LUA_ERRMEM)
        return err_set(err, E_NOMEM, "out of memory");
    // Only a string is looked at: other values could run code of the script.
    if (lua_type(L, -1) == LUA_TSTRING)
        return err_set(err, E_POLICY, "%s", lua_tostring(L, -1));
    return err_set(err, E_POLICY, "an error was raised with a %s instead of a message",
                   luaL_typename(L, -1));
}

int sandbox_call(struct sandbox *s, int64_t limit_ms, lua_CFunction fn, void *user,
                 struct err *err)
{
    lua_State *L = s->main;
    int code = E_OK;

    BUG_ON(s->in_call);
    s->in_call = true;
    s->generation++;
    s->expired = s->over_limit = s->too_long = false;
    s->where[0] = '\0';
    s->unchecked = 0;
    s->units_left = limit_ms * SANDBOX_UNITS_PER_MS;
    s->deadline_ns = clock_mono_ns(s->clock) + limit_ms * 1000000;
    s->running = L;
    lua_sethook(L, on_count, LUA_MASKCOUNT, HOOK_COUNT);

    lua_pushcfunction(L, fn);
    lua_pushlightuserdata(L, user);
    int status = lua_pcall(L, 1, 0, 0);
    // What expired is refused even if it came to an end by itself meanwhile: a late plan is no
    // plan.
    if (status != LUA_OK || s->expired)
        code = tell_failure(s, limit_ms, status, err);
    lua_settop(L, 0);
    s->in_call = false;
    s->subject = NULL;
    if (s->expired || s->over_limit)
        lua_gc(L, LUA_GCCOLLECT);  // the next call is not to pay for this one's garbage
    return code;
}

LJMP void sandbox_load(lua_State *L, struct slice text, const char *name)
{
    lua_pushfstring(L, "@%s", name);                                       // chunk
    if (luaL_loadbufferx(L, text.ptr ? text.ptr : "", text.len, lua_tostring(L, -1), "t") != LUA_OK)
        lua_error(L);
    lua_remove(L, -2);                                                     // function
    lua_rawgetp(L, LUA_REGISTRYINDEX, &env_key);                           // function env
    lua_setupvalue(L, -2, 1);                                              // function
}

uint64_t sandbox_generation(lua_State *L)
{
    return sandbox_of(L)->generation;
}

void sandbox_set_subject(lua_State *L, const void *subject)
{
    sandbox_of(L)->subject = subject;
}

const void *sandbox_subject(lua_State *L)
{
    return sandbox_of(L)->subject;
}

LJMP void sandbox_seed(lua_State *L, uint64_t a, uint64_t b)
{
    lua_rawgetp(L, LUA_REGISTRYINDEX, &seed_key);
    lua_pushinteger(L, (lua_Integer)a);
    lua_pushinteger(L, (lua_Integer)b);
    lua_call(L, 2, 0);
}

// ---- life

// Opens a standard library: its table is left on top.
LJMP static void open_standard(lua_State *L, lua_CFunction open)
{
    lua_pushcfunction(L, open);
    lua_call(L, 0, 1);
}

LJMP static void open_math(lua_State *L)
{
    open_standard(L, luaopen_math);                     // env math
    lua_getfield(L, -1, "randomseed");                  // env math randomseed
    lua_rawsetp(L, LUA_REGISTRYINDEX, &seed_key);       // env math
    lua_pushnil(L);
    lua_setfield(L, -2, "randomseed");                  // a seed would tell the next user something
    lua_setfield(L, -2, "math");                        // env
}

// s:find reads the string library's contents without a detour over its read-only table. The
// metatable is locked, so no script gets hold of them.
LJMP static void shorten_string_methods(lua_State *L)
{
    lua_pushliteral(L, "");
    lua_getmetatable(L, -1);                            // env "" mt
    lua_getfield(L, -3, "string");
    freeze_reveal(L);                                   // env "" mt contents
    lua_setfield(L, -2, "__index");
    lua_pop(L, 2);                                      // env
}

LJMP static int open_all(lua_State *L)
{
    lua_settop(L, 0);
    freeze_open(L);
    lua_newtable(L);                                    // env
    lib_base_open(L);
    lib_coroutine_open(L);
    lib_string_open(L);
    lib_table_open(L);
    open_math(L);
    freeze_libraries(L);                                // env (read-only now)
    shorten_string_methods(L);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &env_key);
    sandbox_seed(L, 0, 0);
    return 0;
}

static int on_panic(lua_State *L)
{
    BUG("lua: error outside a protected call: %s", lua_tostring(L, -1));
}

int sandbox_new(struct sandbox **out, const struct clock *clock, size_t memory_bytes,
                struct err *err)
{
    struct sandbox *s = mem_zalloc(sizeof(*s));

    if (!s)
        return err_set(err, E_NOMEM, "out of memory");
    s->clock = clock;
    s->limit = memory_bytes;
    s->main = lua_newstate(allocate, s);
    if (!s->main) {
        bool small = s->over_limit;

        mem_free(s);
        return small ? err_set(err, E_POLICY, "out of memory: the limit is too small for Lua")
                     : err_set(err, E_NOMEM, "out of memory");
    }
    *(struct sandbox **)lua_getextraspace(s->main) = s;
    lua_atpanic(s->main, on_panic);
    int code = sandbox_call(s, 1000, open_all, NULL, err);
    if (code != E_OK) {
        sandbox_free(s);
        return code;
    }
    *out = s;
    return E_OK;
}

void sandbox_free(struct sandbox *s)
{
    if (!s)
        return;
    lua_close(s->main);  // runs nothing of the script: there are no finalisers
    mem_free(s);
}
