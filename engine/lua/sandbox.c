// SPDX-License-Identifier: MIT
// sandbox.c: the allocator, fuel, deadline, protected calls. Invariants and thread: sandbox.h.
//
//   allocator, each block ─────────────────┐
//   library functions, by what they look at┼─▶ fuel ──────┬─▶ stop: why it ran out, sticky;
//   counting mode: the hook, every HOOK_COUNT instructions┘   the running coroutine's hook fires
//   timed mode: the timer (deadline.h) ───────────────────┤   at its next instruction ──▶ error
//   allocator: over the limit with all garbage collected ─┘
//   error ─▶ pcall, xpcall, resume, close raise it again on the way out ─▶ sandbox_call
#include "lua/sandbox.h"

#include "base/mem.h"
#include "lua/deadline.h"
#include "lua/freeze.h"

#include <signal.h>
#include <stdio.h>

enum {
    HOOK_COUNT = 16,        // one instruction may cost as much as a chain of __call: 20 ms
    CHECK_UNITS = 10000,    // some 50 µs
    ALLOC_UNITS = 10,       // a block, whatever its size
    BYTES_PER_UNIT = 32,    // and its bytes
    LOOK_BYTES_PER_UNIT = 8,    // of a string that a library function looks at
    STRING_HEADER = 64,     // what Lua adds to a string's bytes, rounded up
    VALUE_BYTES = 16,       // of a value on a stack
    NODE_BYTES = 24,        // of a table's hash part, for each key
    LONG_MS = 1000,         // a deadline that has time for larger tables
    DEEP_LEVELS = SANDBOX_STACK_MAX / 256,  // a call of Lua's has up to 255 values
    COLLECT_BYTES = 1 << 20,
    BACKSTOP_FACTOR = 20,   // times the deadline, in real time, where the clock stands still
    WHERE_BYTES = 128,
    WHERE_LEVELS = 32,
};

enum stop { RUNNING, OUT_OF_FUEL, OUT_OF_TIME, OUT_OF_MEMORY };

struct sandbox {
    lua_State *main;
    lua_State *volatile running;    // the coroutine that runs now; the timer reads it
    const struct clock *clock;
    struct deadline *timer;         // owned; NULL: counting mode
    uint64_t generation;
    const void *subject;            // borrowed; see sandbox_set_subject
    size_t used, limit;             // bytes
    size_t collect_at;              // counting mode: bytes at which garbage is collected
    int64_t fuel;                   // units left; below 0: none
    int64_t check_at;               // the clock is looked at when fuel is below
    struct sandbox_budget budget;   // of the call
    int64_t deadline_ns, backstop_ns;
    bool in_call;
    bool refused;                   // the allocator said no; Lua mostly collects and asks again
    bool too_long, too_deep, too_many;  // it was asked for too large a string, stack, table
    volatile sig_atomic_t stop;     // enum stop; sticky until the next call
    char where[WHERE_BYTES];        // where it was stopped: "file:line: " or ""
};

static const char env_key, seed_key;  // their addresses are keys of the registry

static struct sandbox *sandbox_of(lua_State *L)
{
    return *(struct sandbox **)lua_getextraspace(L);  // coroutines inherit it
}

// ---- stopping

LJMP static void on_count(lua_State *L, lua_Debug *ar);

// The first cause counts. May be called wherever Lua is, and by the timer's signal.
static void stop(struct sandbox *s, enum stop why)
{
    if (s->stop == RUNNING)
        s->stop = why;
    lua_sethook(s->running, on_count, LUA_MASKCOUNT, 1);
}

static void on_deadline(void *user)
{
    stop(user, OUT_OF_TIME);
}

// Notes the innermost line of the script in L, unless it is known.
static void note_where(struct sandbox *s, lua_State *L)
{
    lua_Debug ar;

    for (int level = 0; !s->where[0] && level < WHERE_LEVELS && lua_getstack(L, level, &ar);
         level++)
        if (lua_getinfo(L, "Sl", &ar) && ar.currentline > 0)
            snprintf(s->where, sizeof(s->where), "%s:%d: ", ar.short_src, ar.currentline);
}

// L's own hook is armed too: what unwinds now, such as __close, is stopped at once.
LJMP static int raise_stop(lua_State *L, struct sandbox *s)
{
    note_where(s, L);
    lua_sethook(L, on_count, LUA_MASKCOUNT, 1);
    lua_pushliteral(L, "stopped");
    return lua_error(L);
}

bool sandbox_stopped(lua_State *L)
{
    return sandbox_of(L)->stop != RUNNING;
}

LJMP int sandbox_raise_stop(lua_State *L)
{
    return raise_stop(L, sandbox_of(L));
}

// ---- fuel and time

// Where time stands still in a call (simulation) the fuel ends it. What a unit of it can be made to
// cost by instructions that are not looked into (comparing long strings) is bounded by real time.
static bool is_late(const struct sandbox *s)
{
    if (s->timer)
        return false;  // it will say so itself
    if (clock_mono_ns(s->clock) >= s->deadline_ns)
        return true;
    return s->clock != clock_system() && clock_mono_ns(clock_system()) >= s->backstop_ns;
}

static void look(struct sandbox *s)
{
    s->check_at = s->timer || s->fuel < CHECK_UNITS ? 0 : s->fuel - CHECK_UNITS;
    if (!s->in_call || s->stop != RUNNING)
        return;
    if (s->fuel < 0)
        stop(s, OUT_OF_FUEL);
    else if (is_late(s))
        stop(s, OUT_OF_TIME);
}

static void spend(struct sandbox *s, size_t units)
{
    s->fuel -= (int64_t)units;
    if (s->fuel < s->check_at)
        look(s);
}

// The collector runs where the count says so, not where Lua's own pace has come to (which goes by
// the order of hashes): what it does is the same in every run.
LJMP static void collect(struct sandbox *s, lua_State *L)
{
    if (s->used < s->collect_at)
        return;
    lua_gc(L, LUA_GCCOLLECT);
    s->collect_at = s->used + (s->limit - s->used) / 2;
    if (s->collect_at > 2 * s->used + COLLECT_BYTES)
        s->collect_at = 2 * s->used + COLLECT_BYTES;
}

LJMP static void on_count(lua_State *L, lua_Debug *ar)
{
    struct sandbox *s = sandbox_of(L);

    (void)ar;
    if (s->stop == RUNNING) {
        s->fuel -= HOOK_COUNT;
        look(s);
        collect(s, L);
    }
    if (s->stop != RUNNING)
        raise_stop(L, s);
}

bool sandbox_tick(lua_State *L, size_t units)
{
    struct sandbox *s = sandbox_of(L);

    spend(s, units);
    return s->stop != RUNNING;
}

LJMP void sandbox_charge(lua_State *L, size_t units)
{
    struct sandbox *s = sandbox_of(L);

    spend(s, units);
    if (s->stop != RUNNING)
        raise_stop(L, s);
}

LJMP int sandbox_charged(lua_State *L)
{
    size_t bytes = 0;

    for (int i = lua_gettop(L); i > 0; i--)
        if (lua_type(L, i) == LUA_TSTRING)
            bytes += lua_rawlen(L, i);
    sandbox_charge(L, 1 + bytes / LOOK_BYTES_PER_UNIT);
    return lua_tocfunction(L, lua_upvalueindex(1))(L);
}

LJMP void sandbox_wrap(lua_State *L, const char *const *names, lua_CFunction wrapper)
{
    for (; *names; names++) {
        lua_getfield(L, -1, *names);
        lua_pushcclosure(L, wrapper, 1);
        lua_setfield(L, -2, *names);
    }
}

// ---- coroutines; the timer arms the one that runs

LJMP int sandbox_resume(lua_State *L, lua_State *co, int nargs, int *nresults)
{
    struct sandbox *s = sandbox_of(L);

    s->running = co;
    int status = lua_resume(co, L, nargs, nresults);
    s->running = L;
    if (s->stop != RUNNING)
        raise_stop(L, s);
    return status;
}

LJMP int sandbox_close(lua_State *L, lua_State *co)
{
    struct sandbox *s = sandbox_of(L);

    s->running = co;
    int status = lua_resetthread(co);
    s->running = L;
    if (s->stop != RUNNING)
        raise_stop(L, s);
    return status;
}

// ---- memory

// Lua collects all its garbage and asks once more. The second time it is over.
static void *refuse(struct sandbox *s)
{
    bool last = s->refused;

    s->refused = !last;
    spend(s, s->used / BYTES_PER_UNIT);
    if (last && s->in_call) {
        stop(s, OUT_OF_MEMORY);
        note_where(s, s->running);
    }
    return NULL;
}

// How many values a call holds: locals and temporaries with sign 1, surplus arguments with -1.
static int values_of(lua_State *L, const lua_Debug *ar, int sign)
{
    int n = 0;

    for (int step = SANDBOX_STACK_MAX; step > 0; step /= 2) {
        if (!lua_getlocal(L, ar, sign * (n + step)))
            continue;
        lua_pop(L, 1);
        n += step;
    }
    return n;
}

// Whether the stack of L is so full that a new block of more than SANDBOX_STACK_MAX values is for a
// larger stack, if not for a table of somebody who nests calls that deeply.
static bool is_deep(lua_State *L)
{
    lua_Debug ar;
    int values = 0, level = 0;

    for (; level < DEEP_LEVELS && lua_getstack(L, level, &ar); level++)
        values += values_of(L, &ar, 1) + values_of(L, &ar, -1);
    return level == DEEP_LEVELS || values > SANDBOX_STACK_MAX / 2;
}

// Whether a new block is a hash part with too many keys: all of them are put into it at once, and
// keys that a script chose to collide cost their number's square.
static bool is_large_hash(const struct sandbox *s, size_t bytes)
{
    size_t nodes = bytes / NODE_BYTES;
    size_t max = s->budget.ms < LONG_MS ? SANDBOX_KEYS_MAX : 4 * SANDBOX_KEYS_MAX;

    return nodes > max && bytes % NODE_BYTES == 0 && (nodes & (nodes - 1)) == 0;
}

// What is too large for one instruction to work on. Lua then collects all garbage and asks again.
static bool is_too_large(struct sandbox *s, const void *old, size_t kind, size_t bytes)
{
    if (old || !s->in_call)
        return false;
    if (kind == LUA_TSTRING && bytes > SANDBOX_STRING_MAX + STRING_HEADER)
        s->too_long = true;
    else if (kind == 0 && bytes > SANDBOX_STACK_MAX * VALUE_BYTES && is_deep(s->running))
        s->too_deep = true;
    else if (kind == 0 && is_large_hash(s, bytes))
        s->too_many = true;
    else
        return false;
    spend(s, s->used / BYTES_PER_UNIT);
    return true;
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
    spend(s, ALLOC_UNITS + bytes / BYTES_PER_UNIT);
    if (is_too_large(s, old, old_bytes, bytes))
        return NULL;
    if (bytes > had && bytes - had > s->limit - s->used)
        return refuse(s);
    void *p = mem_realloc(old, bytes);
    if (!p && bytes > had)
        return NULL;
    s->refused = s->refused && bytes <= had;
    s->used = s->used - had + bytes;
    return p ? p : old;  // Lua counts on it that shrinking does not fail
}

size_t sandbox_memory(const struct sandbox *s)
{
    return s->used;
}

// ---- calls

static int tell_memory(const struct sandbox *s, struct err *err)
{
    return err_set(err, E_POLICY, "%sstopped: out of memory: limit %zu MiB", s->where,
                   s->limit >> 20);
}

static int tell_stop(const struct sandbox *s, struct err *err)
{
    switch ((enum stop)s->stop) {
    case OUT_OF_FUEL:
        return err_set(err, E_POLICY, "%sstopped: it used up its fuel of %lld units", s->where,
                       (long long)s->budget.fuel);
    case OUT_OF_MEMORY:
        return tell_memory(s, err);
    default:
        return err_set(err, E_POLICY, "%sstopped: it ran longer than %lld ms", s->where,
                       (long long)s->budget.ms);
    }
}

static int tell_refusal(const struct sandbox *s, struct err *err)
{
    if (s->too_long)
        return err_set(err, E_POLICY, "out of memory: a string may be %d KiB long",
                       SANDBOX_STRING_MAX >> 10);
    if (s->too_deep)
        return err_set(err, E_POLICY, "stack overflow: calls are nested too deeply, or have too "
                                      "many values");
    if (s->too_many)
        return err_set(err, E_POLICY, "a table may have %d keys beside its list",
                       SANDBOX_KEYS_MAX);
    return s->refused ? tell_memory(s, err) : err_set(err, E_NOMEM, "out of memory");
}

const char *sandbox_value_word(lua_State *L, int idx)
{
    static const char *const words[] = {"nothing", "nothing", "a boolean", "an object", "a number",
                                        "a string", "a table", "a function", "an object",
                                        "a coroutine"};
    return words[lua_type(L, idx) + 1];  // LUA_TNONE is -1
}

static int tell_failure(struct sandbox *s, int status, struct err *err)
{
    lua_State *L = s->main;

    if (s->stop != RUNNING)
        return tell_stop(s, err);
    if (status == LUA_ERRMEM)
        return tell_refusal(s, err);
    // Only a string is looked at: other values could run code of the script.
    if (lua_type(L, -1) == LUA_TSTRING)
        return err_set(err, E_POLICY, "%s", lua_tostring(L, -1));
    return err_set(err, E_POLICY, "an error was raised with %s instead of a message",
                   sandbox_value_word(L, -1));
}

static void begin_call(struct sandbox *s, struct sandbox_budget budget)
{
    int64_t ns = budget.ms * 1000000;

    BUG_ON(s->in_call);
    s->generation++;
    s->refused = s->too_long = s->too_deep = s->too_many = false;
    s->where[0] = '\0';
    s->budget = budget;
    s->fuel = budget.fuel - HOOK_COUNT;  // instructions are paid for before they run
    s->check_at = s->fuel;
    s->running = s->main;
    s->stop = RUNNING;
    s->in_call = true;
    if (s->timer) {
        deadline_set(s->timer, clock_mono_ns(s->clock) + ns);
        return;
    }
    s->deadline_ns = clock_mono_ns(s->clock) + ns;
    s->backstop_ns = clock_mono_ns(clock_system()) + BACKSTOP_FACTOR * ns;
    lua_sethook(s->main, on_count, LUA_MASKCOUNT, HOOK_COUNT);
}

static void end_call(struct sandbox *s)
{
    if (s->timer)
        deadline_clear(s->timer);
    s->in_call = false;
    lua_sethook(s->main, NULL, 0, 0);
    lua_settop(s->main, 0);
    s->subject = NULL;
    if (s->stop != RUNNING)
        lua_gc(s->main, LUA_GCCOLLECT);  // the next call is not to pay for this one's garbage
}

int sandbox_call(struct sandbox *s, struct sandbox_budget budget, lua_CFunction fn, void *user,
                 struct err *err)
{
    int code = E_OK;

    begin_call(s, budget);
    lua_pushcfunction(s->main, fn);
    lua_pushlightuserdata(s->main, user);
    int status = lua_pcall(s->main, 1, 0, 0);
    // What ran out is refused even if it came to an end by itself meanwhile: a late plan is no
    // plan.
    if (status != LUA_OK || s->stop != RUNNING)
        code = tell_failure(s, status, err);
    end_call(s);
    return code;
}

bool sandbox_ran_out(const struct sandbox *s)
{
    return s->stop != RUNNING;
}

int64_t sandbox_used_fuel(const struct sandbox *s)
{
    return s->budget.fuel - s->fuel;
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

// In timed mode nothing is looked at in between; a script that the timer does not reach (because
// the signal was refused) is counted instead.
static int choose_mode(struct sandbox *s, const struct sandbox_options *options)
{
    struct err err = ERR_INIT;

    if (options->timer_signal == 0)
        return E_OK;
    int code = deadline_new(&s->timer, options->timer_signal, on_deadline, s, &err);
    if (code == E_OK || code == E_NOMEM)
        return code;
    if (options->log)
        log_line(options->log, LOG_WARN, "%s; scripts are counted instead, which is slower",
                 err.message);
    return E_OK;
}

int sandbox_new(struct sandbox **out, const struct sandbox_options *options, struct err *err)
{
    static const struct sandbox_budget open_budget = {.fuel = INT64_MAX / 2, .ms = 10000};
    struct sandbox *s = mem_zalloc(sizeof(*s));

    if (!s)
        return err_set(err, E_NOMEM, "out of memory");
    s->clock = options->clock;
    s->limit = options->memory_bytes;
    s->collect_at = COLLECT_BYTES;
    s->main = lua_newstate(allocate, s);
    if (!s->main) {
        bool small = s->refused;

        mem_free(s);
        return small ? err_set(err, E_POLICY, "out of memory: the limit is too small for Lua")
                     : err_set(err, E_NOMEM, "out of memory");
    }
    *(struct sandbox **)lua_getextraspace(s->main) = s;
    lua_atpanic(s->main, on_panic);
    int code = choose_mode(s, options);
    if (code != E_OK)
        err_set(err, code, "out of memory");
    if (code == E_OK && !s->timer)
        lua_gc(s->main, LUA_GCSTOP);
    if (code == E_OK)
        code = sandbox_call(s, open_budget, open_all, NULL, err);
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
    deadline_free(s->timer);
    lua_close(s->main);  // runs nothing of the script: there are no finalisers
    mem_free(s);
}
