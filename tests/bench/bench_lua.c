// SPDX-License-Identifier: MIT
// bench_lua.c: what the budget of policies costs, and what one that misbehaves costs the others.
//
// The same hook runs in turns, in this process and this run, in a state of Lua's own (no limit, all
// its libraries), in a sandbox in timed mode, and in one in counting mode. The hook does what hooks
// do: goes over a history, looks for words, counts, builds a text. Each figure is the median of the
// rounds' ratios, so that a disturbance of one round does not count.
//
// Then the other users' turns, through parley.h: a closed loop of them alone, and the same beside
// one user whose policy never ends. In memory, so that no disk disturbs.
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
     "local text = table.concat(words, ' ')\n"
     "return { say = ('%d turns, %d tokens: %s'):format(#history, tokens, text), last = last }\n"},
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

// ---- other users' turns

enum { OTHERS = 16, TURNS_MAX = 1 << 20 };

static char folder[] = "/tmp/parley-bench-XXXXXX";

static void write_file(const char *name, const char *text)
{
    char path[512];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    FILE *f = fopen(path, "w");
    if (!f || fputs(text, f) < 0 || fclose(f) != 0)
        die(path);
}

static parley *open_engine(void)
{
    parley_options options = PARLEY_OPTIONS_INIT;
    parley_error error = PARLEY_ERROR_INIT;
    parley *engine = NULL;
    options.config = "";
    options.no_environment = 1;
    options.store = "memory:";
    options.policies = folder;
    options.bot = "good";
    options.timer_signal = SIGRTMIN + 4;
    if (parley_open(&engine, &options, &error) < 0)
        die(error.message);
    return engine;
}

struct slot {
    uint64_t request;
    double sent_at;
};

// Every turn is a session of its own, so that all turns cost the same.
static void send_turn(parley *engine, struct slot *slot, int user)
{
    parley_message m = PARLEY_MESSAGE_INIT;
    parley_error error = PARLEY_ERROR_INIT;
    char name[32];
    snprintf(name, sizeof(name), "user-%d", user);
    m.user = name;
    m.bot = user == OTHERS ? "endless" : "good";
    m.text = "Could you tell me a little more about that, please?";
    slot->sent_at = now_s();
    if (parley_send(engine, &m, &slot->request, &error) < 0)
        die(error.message);
}

static double others_p99_us(bool misbehaves, double seconds)
{
    static double us[TURNS_MAX];
    struct slot slots[OTHERS + 1] = {0};
    size_t len = 0;
    int under_way = OTHERS + misbehaves;
    parley *engine = open_engine();
    double begin = now_s();
    for (int u = 0; u < under_way; u++)
        send_turn(engine, &slots[u], u);
    while (under_way > 0) {
        parley_event *event;
        if (parley_wait(engine, -1, &event) != 1)
            die("no event");
        bool last = event->type == PARLEY_EVENT_DONE || event->type == PARLEY_EVENT_ERROR;
        for (int u = 0; last && u <= OTHERS; u++) {
            if (slots[u].request != event->request)
                continue;
            if (u < OTHERS && len < TURNS_MAX)
                us[len++] = (now_s() - slots[u].sent_at) * 1e6;
            if (now_s() - begin < seconds)
                send_turn(engine, &slots[u], u);
            else
                under_way--;
            break;
        }
        parley_event_free(event);
    }
    parley_close(engine);
    return quantile(us, len, 0.99);
}

static void bench_others(bool quick)
{
    double seconds = quick ? 3 : 20;
    char command[64];
    if (!mkdtemp(folder))
        die("cannot make a folder in /tmp");
    write_file("good.lua",
               "return { on_message = function(view) return { say = view.text } end }\n");
    write_file("endless.lua", "return { on_message = function(view) while true do end end }\n");
    double alone = others_p99_us(false, seconds), beside = others_p99_us(true, seconds);
    double again = others_p99_us(false, seconds);
    printf("others' p99: alone %.0f us  beside a policy that never ends %.0f us  alone again "
           "%.0f us  = %.3f x\n", alone, beside, again, beside / ((alone + again) / 2));
    snprintf(command, sizeof(command), "rm -r '%s'", folder);
    if (system(command) != 0)
        fprintf(stderr, "bench: %s is left behind\n", folder);
}

int main(int argc, char **argv)
{
    bool quick = argc > 1 && strcmp(argv[1], "quick") == 0;
    int calls = quick ? 50 : 500;
    for (size_t i = 0; i < sizeof(hooks) / sizeof(hooks[0]); i++)
        bench_overhead(hooks[i].name, hooks[i].code, calls);
    bench_others(quick);
    return 0;
}
