// SPDX-License-Identifier: MIT
// sandbox.c: fuel, protected calls. Invariants and thread: sandbox.h.
//
//   allocator, each block ─────────────────┐
//   library functions, by what they look at┼─▶ fuel ──────┬─▶ stop: why it ran out, sticky;
//   counting mode: the hook, every HOOK_COUNT instructions┘   the running coroutine's hook fires
//   timed mode: the timer (deadline.h) ───────────────────┤   at its next instruction ──▶ error
//   allocator: over the limit with all garbage collected ─┘
//   error ─▶ pcall, xpcall, resume, close raise it again on the way out ─▶ sandbox_call
#include "lua/sandbox_int.h"

#include "base/mem.h"
#include "lua/freeze.h"

#include <stdio.h>

enum {
    HOOK_COUNT = 16,        // one instruction may cost as much as a chain of __call: 20 ms
    CHECK_UNITS = 10000,    // some 50 µs
    CALL_UNITS = 5,         // of a library function, whatever it looks at
    LOOK_BYTES_PER_UNIT = 8,    // of a string that a library function looks at
    COLLECT_BYTES = 1 << 20,
    CLOCK_FACTOR = 20,      // times its own time, and a call is over however little of it ran
    COLLECT_STEP_KIB = 64,
    BACKSTOP_FACTOR = 4,    // times the deadline, in processor time, where the clock stands still
    WHERE_LEVELS = 32,
};

// Fuel is to end a script on a slow machine too.
#ifdef PARLEY_SANITIZED
enum { SLOWER = 4 };
#else
enum { SLOWER = 1 };
#endif

static const char env_key, seed_key;  // their addresses are keys of the registry

// ---- stopping

LJMP static void on_count(lua_State *L, lua_Debug *ar);

void sandbox_arm(struct sandbox *s)
{
    lua_sethook(s->running, on_count, LUA_MASKCOUNT, 1);
}

void sandbox_stop(struct sandbox *s, enum stop why)
{
    if (s->stop == RUNNING)
        s->stop = why;
    sandbox_arm(s);
}

// Notes the innermost line of the script in L, unless it is known.
void sandbox_note_where(struct sandbox *s, lua_State *L)
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
    sandbox_note_where(s, L);
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

// ---- fuel

static void look(struct sandbox *s)
{
    s->check_at = s->timer || s->fuel < CHECK_UNITS ? 0 : s->fuel - CHECK_UNITS;
    if (!s->in_call || s->stop != RUNNING)
        return;
    enum stop why = s->fuel < 0 ? OUT_OF_FUEL : sandbox_look_at_clock(s);
    if (why != RUNNING)
        sandbox_stop(s, why);
}

void sandbox_spend(struct sandbox *s, size_t units)
{
    s->fuel -= (int64_t)units;
    if (s->fuel < s->check_at)
        look(s);
}

// The collector runs where the count says so, not where Lua's own pace has come to (which goes by
// the order of hashes): what it does is the same in every run. It is long, and in one piece.
LJMP static void collect(struct sandbox *s, lua_State *L)
{
    if (s->used < s->collect_at)
        return;
    if (s->work && !s->elsewhere)
        sandbox_let_others(s);
    lua_gc(L, LUA_GCCOLLECT);
    s->collect_at = s->used + (s->limit - s->used) / 2;
    if (s->collect_at > 2 * s->used + COLLECT_BYTES)
        s->collect_at = 2 * s->used + COLLECT_BYTES;
}

LJMP static void on_count(lua_State *L, lua_Debug *ar)
{
    struct sandbox *s = sandbox_of(L);

    (void)ar;
    if (s->timer) {
        lua_sethook(L, NULL, 0, 0);  // it was armed for what comes now
    } else if (s->stop == RUNNING) {
        s->fuel -= HOOK_COUNT;
        look(s);
        collect(s, L);
    }
    sandbox_make_way(s);
    if (s->stop != RUNNING)
        raise_stop(L, s);
}

bool sandbox_tick(lua_State *L, size_t units)
{
    struct sandbox *s = sandbox_of(L);

    sandbox_spend(s, units);
    sandbox_make_way(s);
    return s->stop != RUNNING;
}

LJMP void sandbox_charge(lua_State *L, size_t units)
{
    struct sandbox *s = sandbox_of(L);

    sandbox_spend(s, units);
    sandbox_make_way(s);
    if (s->stop != RUNNING)
        raise_stop(L, s);
}

LJMP int sandbox_charged(lua_State *L)
{
    size_t bytes = 0;

    for (int i = lua_gettop(L); i > 0; i--)
        if (lua_type(L, i) == LUA_TSTRING)
            bytes += lua_rawlen(L, i);
    sandbox_charge(L, CALL_UNITS + bytes / LOOK_BYTES_PER_UNIT);
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

// ---- calls

static int tell_memory(const struct sandbox *s, struct err *err)
{
    bool whole = s->limit % (1 << 20) == 0;
    return err_set(err, E_POLICY, "%sstopped: out of memory: limit %zu %s", s->where,
                   s->limit >> (whole ? 20 : 10), whole ? "MiB" : "KiB");
}

static int tell_stop(const struct sandbox *s, struct err *err)
{
    switch ((enum stop)s->stop) {
    case OUT_OF_FUEL:
        return err_set(err, E_POLICY, "%sstopped: it used up its fuel of %lld units", s->where,
                       (long long)s->budget.fuel);
    case OUT_OF_MEMORY:
        return tell_memory(s, err);
    case OUT_OF_TIMERS:
        return err_set(err, E_NOMEM, "out of memory for a timer");
    case OUT_OF_TURN:
        return err_set(err, E_POLICY, "%sstopped: it was not through in %lld ms of the clock, "
                                      "beside what else goes on", s->where,
                       (long long)(CLOCK_FACTOR * s->budget.ms));
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
    if (s->no_memory)
        return err_set(err, E_NOMEM, "out of memory");
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
    s->no_memory = s->refused = s->too_long = s->too_deep = s->too_many = false;
    s->where[0] = '\0';
    s->budget = budget;
    s->fuel = budget.fuel - HOOK_COUNT;  // instructions are paid for before they run
    s->check_at = s->fuel;
    s->running = s->main;
    s->stop = RUNNING;
    s->in_call = true;
    s->work = s->way.begin ? s->way.begin(s->way.user) : NULL;
    s->made_way = false;
    s->left_ns = ns;
    s->ends_ns = INT64_MAX;  // the timer may look before it is known
    sandbox_begin_slice(s, FIRST_SLICE_US * INT64_C(1000),
                        s->clock == clock_system() ? NOT_READ : sandbox_own_ns(s));
    s->ends_ns = s->slice_began_ns + CLOCK_FACTOR * ns;
    if (!s->timer)
        lua_sethook(s->main, on_count, LUA_MASKCOUNT, HOOK_COUNT);
    if (s->clock != clock_system()) {
        s->backstop_ns = clock_mono_ns(clock_system()) + BACKSTOP_FACTOR * SLOWER * ns;
        s->backstop_cpu_ns = sandbox_processor_ns() + BACKSTOP_FACTOR * SLOWER * ns;
    }
    if (budget.aside && s->work)
        sandbox_let_others(s);
}

// The next call is not to pay for the garbage of this one, which was stopped. Twice around: what
// had been marked when it was stopped is garbage only the next time.
static void collect_all(struct sandbox *s)
{
    if (!s->work) {
        lua_gc(s->main, LUA_GCCOLLECT);
        return;
    }
    if (!s->elsewhere)
        sandbox_let_others(s);
    for (int cycles = 0; cycles < 2;) {
        cycles += lua_gc(s->main, LUA_GCSTEP, COLLECT_STEP_KIB);
        if (clock_mono_ns(s->clock) >= s->slice_ends_ns)
            sandbox_let_others(s);
    }
}

static void end_call(struct sandbox *s)
{
    lua_settop(s->main, 0);
    s->subject = NULL;
    s->was_slow = sandbox_is_slow(s);
    if (s->stop != RUNNING)
        collect_all(s);
    lua_sethook(s->main, NULL, 0, 0);
    sandbox_come_back(s);
    s->in_call = false;
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
    return s->stop != RUNNING && s->stop != OUT_OF_TIMERS;
}

bool sandbox_was_slow(const struct sandbox *s)
{
    return s->was_slow;
}

bool sandbox_ran_out_of_memory(const struct sandbox *s)
{
    return s->stop == OUT_OF_MEMORY;
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

LJMP void sandbox_no_memory(lua_State *L)
{
    sandbox_of(L)->no_memory = true;
    luaL_error(L, "out of memory");
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
    int code = deadline_new(&s->timers[HERE], options->timer_signal, sandbox_on_deadline, s, &err);
    s->timer = s->timers[HERE];
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
    s->way = options->way;
    s->timer_signal = options->timer_signal;
    s->collect_at = COLLECT_BYTES;
    s->main = lua_newstate(sandbox_allocate, s);
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
    deadline_free(s->timers[HERE]);
    deadline_free(s->timers[ELSEWHERE]);
    lua_close(s->main);  // runs nothing of the script: there are no finalisers
    mem_free(s);
}
