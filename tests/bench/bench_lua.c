// SPDX-License-Identifier: MIT
// bench_lua.c: what the budget of policies costs, and what one that misbehaves costs the others.
//
// The same hook runs in turns, in this process and this run, in a state of Lua's own (no limit, all
// its libraries), in a sandbox in timed mode, and in one in counting mode. The hook does what hooks
// do: goes over a history, looks for words, counts, builds a text. Each figure is the median of the
// rounds' ratios, so that a disturbance of one round does not count.
//
//   bench_lua [quick]
#include "parley.h"

#include "lua/sandbox.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { ROUNDS = 41, HISTORY = 40 };

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void die(const char *what)
{
    fprintf(stderr, "bench: %s\n", what);
    exit(1);
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double quantile(double *values, size_t len, double q)
{
    qsort(values, len, sizeof(*values), by_value);
    return values[(size_t)((double)(len - 1) * q)];
}

// ---- the cost of the budget

static const struct {
    const char *name, *code;
} hooks[] = {
    {"history",
     "local history = ...\n"
     "local tokens, last, words = 0, nil, {}\n"
     "for i = 1, #history do\n"
     "  local turn = history[i]\n"
     "  if turn.user:find('refund', 1, true) then last = i end\n"
     "  tokens = tokens + #turn.user // 4 + #turn.assistant // 4\n"
     "  if tokens > 3000 then break end\n"
     "  words[#words + 1] = turn.user:sub(1, 12)\n"
     "end\n"
     "return { say = ('%d turns, %d tokens: %s'):format(#history, tokens, table.concat(words, ' ')),"
     "  last = last }\n"},
    {"arithmetic",
     "local n, t = 0, {}\n"
     "for i = 1, 2000 do n = (n * 31 + i) % 65521 t[i % 16 + 1] = n end\n"
     "local function fib(n) if n < 2 then return n end return fib(n - 1) + fib(n - 2) end\n"
     "return { say = n + fib(12) }\n"},
    {"patterns",
     "local history = ...\n"
     "local n = 0\n"
     "for i = 1, #history do\n"
     "  for word in history[i].user:gmatch('%a+') do n = n + #word end\n"
     "  local name = history[i].user:match('name is (%a+)')\n"
     "  local s = history[i].assistant:gsub('%s+', ' ')\n"
     "  n = n + #s + (name and #name or 0)\n"
     "end\n"
     "return { say = n }\n"},
};

// The history that the hooks see, made once in each state; in the registry, as the hook itself.
static const char history_code[] =
    "local h = {}\n"
    "for i = 1, 40 do\n"
    "  h[i] = { user = 'Turn ' .. i .. ': my name is Ann and I would like to know more of it',\n"
    "    assistant = ('Of course: here is line  %d, and  some more words about it. '):format(i)"
    ":rep(4) }\n"
    "end\n"
    "return h\n";

struct state {
    lua_State *plain;
    struct sandbox *sandbox;
    int hook, history;
};

struct load {
    struct state *state;
    const char *code;
};

static int load_plain(lua_State *L, const char *text)
{
    if (luaL_loadstring(L, text) != LUA_OK)
        die(lua_tostring(L, -1));
    return luaL_ref(L, LUA_REGISTRYINDEX);
}

static int load_both(lua_State *L)
{
    struct load *load = lua_touserdata(L, 1);
    if (load->state->plain) {
        load->state->hook = load_plain(L, load->code);
        lua_rawgeti(L, LUA_REGISTRYINDEX, load_plain(L, history_code));
    } else {
        sandbox_load(L, slice_str(load->code), "hook");
        load->state->hook = luaL_ref(L, LUA_REGISTRYINDEX);
        sandbox_load(L, slice_str(history_code), "history");
    }
    lua_call(L, 0, 1);
    load->state->history = luaL_ref(L, LUA_REGISTRYINDEX);
    return 0;
}

static int run_hook(lua_State *L)
{
    const struct state *s = lua_touserdata(L, 1);
    lua_rawgeti(L, LUA_REGISTRYINDEX, s->hook);
    lua_rawgeti(L, LUA_REGISTRYINDEX, s->history);
    lua_call(L, 1, 1);
    return 0;
}

static const struct sandbox_budget budget = {.fuel = 20000000, .ms = 1000};

static void call(struct state *s, lua_CFunction fn, void *user)
{
    struct err err = ERR_INIT;
    if (s->sandbox) {
        if (sandbox_call(s->sandbox, budget, fn, user, &err) != E_OK)
            die(err.message);
        return;
    }
    lua_pushcfunction(s->plain, fn);
    lua_pushlightuserdata(s->plain, user);
    if (lua_pcall(s->plain, 1, 0, 0) != LUA_OK)
        die(lua_tostring(s->plain, -1));
    lua_settop(s->plain, 0);
}

static void open_state(struct state *s, int kind, const char *code)
{
    struct sandbox_options options = {.clock = clock_system(), .memory_bytes = 32 << 20,
                                      .timer_signal = kind == 1 ? SIGRTMIN + 4 : 0};
    struct err err = ERR_INIT;
    *s = (struct state){0};
    if (kind == 0) {
        s->plain = luaL_newstate();
        luaL_openlibs(s->plain);
    } else if (sandbox_new(&s->sandbox, &options, &err) != E_OK) {
        die(err.message);
    }
    struct load load = {s, code};
    call(s, load_both, &load);
}

static void close_state(struct state *s)
{
    if (s->plain)
        lua_close(s->plain);
    sandbox_free(s->sandbox);
}

static double time_calls(struct state *s, int calls)
{
    double start = now_s();
    for (int i = 0; i < calls; i++)
        call(s, run_hook, s);
    return (now_s() - start) / calls * 1e6;
}

static void bench_overhead(const char *name, const char *code, int calls)
{
    struct state states[3];
    double us[3][ROUNDS], ratio[3][ROUNDS];
    for (int kind = 0; kind < 3; kind++) {
        open_state(&states[kind], kind, code);
        time_calls(&states[kind], calls);
    }
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < 3; i++) {
            int kind = (round + i) % 3;
            us[kind][round] = time_calls(&states[kind], calls);
        }
        for (int kind = 0; kind < 3; kind++)
            ratio[kind][round] = us[kind][round] / us[0][round];
    }
    printf("%-10s  unmetered %7.2f us  timed %7.2f us = %.3f x  counted %7.2f us = %.3f x\n", name,
           quantile(us[0], ROUNDS, 0.5), quantile(us[1], ROUNDS, 0.5),
           quantile(ratio[1], ROUNDS, 0.5), quantile(us[2], ROUNDS, 0.5),
           quantile(ratio[2], ROUNDS, 0.5));
    for (int kind = 0; kind < 3; kind++)
        close_state(&states[kind]);
}

int main(int argc, char **argv)
{
    int calls = argc > 1 && strcmp(argv[1], "quick") == 0 ? 50 : 500;
    for (size_t i = 0; i < sizeof(hooks) / sizeof(hooks[0]); i++)
        bench_overhead(hooks[i].name, hooks[i].code, calls);
    return 0;
}
