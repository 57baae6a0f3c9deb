// SPDX-License-Identifier: MIT
// bench_lua.c: what the budget of policies costs, and what one that misbehaves costs the others.
//
// The same hook runs in turns, in this process and this run, in a state of Lua's own (no limit, all
// its libraries), in a sandbox in timed mode, and in one in counting mode. The hook does what hooks
// do: goes over a history, looks for words, counts, builds a text. Each figure is the median of the
// rounds' ratios, so that a disturbance of one round does not count.
//
// Then the other users' turns, through parley.h: sixteen users beside a 17th whose policy
// misbehaves, against the same sixteen beside a 17th whose policy behaves, in turns, each kind many
// times; the median of the ratios of their p99, and of all that the worker's thread did for each of
// their turns, which a busy machine disturbs least. In memory, so that no disk disturbs; on one
// worker.
//
//   bench_lua [quick|others]
#include "parley.h"

#include "lua/sandbox.h"

#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { ROUNDS = 41, HISTORY = 40 };

static double seconds_of(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double now_s(void)
{
    return seconds_of(CLOCK_MONOTONIC);
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

// By the thread's processor time, in which the timer's signals are too: what else the machine does
// is in neither of the two that are compared.
static double time_calls(struct state *s, int calls)
{
    double start = seconds_of(CLOCK_THREAD_CPUTIME_ID);
    for (int i = 0; i < calls; i++)
        call(s, run_hook, s);
    return (seconds_of(CLOCK_THREAD_CPUTIME_ID) - start) / calls * 1e6;
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

enum { OTHERS = 16, TURNS_MAX = 1 << 20, PAUSE_MS = 5, SLOTS_MAX = 64 };

// What the 17th user's policy does. The first is the control: it behaves, and its turns go where
// those of a policy go that was stopped, to the provider.
static const struct {
    const char *name, *code;
} kinds[] = {
    {"control", "return {}\n"},
    {"endless", "return { on_message = function(view) while true do end end }\n"},
    {"caught", "return { on_message = function(view) while true do pcall(function()\n"
               "  while true do end end) end end }\n"},
    {"slow", "return { on_message = function(view) for i = 1, 1e7 do end end }\n"},
    {"comparator", "return { on_message = function(view) table.sort({ 3, 2, 1 }, function()\n"
                   "  while true do end end) end }\n"},
    {"pattern", "return { on_message = function(view)\n"
                "  return (('a'):rep(1e5)):match('.-.-.-.-b') end }\n"},
    {"memory", "return { on_message = function(view) local t = {}\n"
               "  while true do t[#t + 1] = { {} } end end }\n"},
    {"garbage", "return { on_message = function(view)\n"
                "  while true do local t = { ('x'):rep(1e5) } end end }\n"},
    {"coroutines", "return { on_message = function(view)\n"
                   "  while true do coroutine.wrap(function() end)() end end }\n"},
    {"on_reply", "return { on_reply = function(view) while true do end end }\n"},
    {"loading", "while true do end\n"},
};
enum { KINDS = sizeof(kinds) / sizeof(kinds[0]) };

static char folder[] = "/tmp/parley-bench-XXXXXX";

static void write_file(const char *name, const char *text)
{
    char path[512];
    snprintf(path, sizeof(path), "%s/%s.lua", folder, name);
    FILE *f = fopen(path, "w");
    if (!f || fputs(text, f) < 0 || fclose(f) != 0)
        die(path);
}

// One worker, so that all users meet.
static parley *open_engine(void)
{
    parley_options options = PARLEY_OPTIONS_INIT;
    parley_error error = PARLEY_ERROR_INIT;
    parley *engine = NULL;
    static const char *const set[] = {"workers=1", NULL};
    options.config = "";
    options.no_environment = 1;
    options.store = "memory:";
    options.policies = folder;
    options.bot = "good";
    options.settings = set;
    options.timer_signal = SIGRTMIN + 4;
    if (parley_open(&engine, &options, &error) < 0)
        die(error.message);
    return engine;
}

// The processor time that the worker's thread has used: what a turn waits for in these units does
// not depend on what else the machine does.
static clockid_t find_worker_clock(void)
{
    DIR *tasks = opendir("/proc/self/task");
    struct dirent *task;
    long tid = 0;
    while (tasks && !tid && (task = readdir(tasks)) != NULL) {
        char path[300], comm[32] = "";
        snprintf(path, sizeof(path), "/proc/self/task/%s/comm", task->d_name);
        FILE *f = fopen(path, "r");
        if (f && fgets(comm, sizeof(comm), f) && strcmp(comm, "parley-worker\n") == 0)
            tid = atol(task->d_name);
        if (f)
            fclose(f);
    }
    closedir(tasks);
    if (!tid)
        die("there is no worker's thread");
    return (clockid_t)(~(unsigned)tid << 3 | 6);  // CLOCK_THREAD_CPUTIME_ID of another thread
}

struct slot {
    uint64_t request;  // 0: none under way
    double at;         // when it was sent, or is to be
    double worked;     // by the worker, when it was sent
};

struct p99 {
    double us, worker_us;
    double worker_us_each;  // all that the worker did, by the others' turns; no quantile
};

// Every turn is a session of its own, so that all turns cost the same.
static void send_turn(parley *engine, struct slot *slot, int user, const char *last_bot,
                      clockid_t worker)
{
    parley_message m = PARLEY_MESSAGE_INIT;
    parley_error error = PARLEY_ERROR_INIT;
    char name[32];
    snprintf(name, sizeof(name), "user-%d", user);
    m.user = name;
    m.bot = user == OTHERS ? last_bot : "good";
    m.text = "Could you tell me a little more about that, please?";
    slot->at = now_s();
    slot->worked = seconds_of(worker);
    if (parley_send(engine, &m, &slot->request, &error) < 0)
        die(error.message);
}

// Sends what is due; how long until the next is, in ms, or -1.
static int send_due(parley *engine, struct slot *slots, const char *last_bot, clockid_t worker,
                    bool ending)
{
    double next = 1e9, now = now_s();
    for (int u = 0; u <= OTHERS && !ending; u++) {
        if (!slots[u].request && slots[u].at <= now)
            send_turn(engine, &slots[u], u, last_bot, worker);
        else if (!slots[u].request && slots[u].at - now < next)
            next = slots[u].at - now;
    }
    return next == 1e9 ? -1 : (int)(next * 1e3) + 1;
}

// 17 users, each of whom sends PAUSE_MS after the last answer, or up to three times as late: they
// do not come in step.
static struct p99 others_p99(const char *last_bot, double seconds)
{
    static double us[TURNS_MAX], worker_us[TURNS_MAX];
    struct slot slots[OTHERS + 1] = {{0}};
    size_t len = 0;
    uint64_t dice = 1;
    int under_way = 0;
    parley *engine = open_engine();
    clockid_t worker = find_worker_clock();
    double begin = now_s(), worked = seconds_of(worker);
    for (int u = 0; u <= OTHERS; u++)
        slots[u].at = begin + 1e-3 * PAUSE_MS * u / (OTHERS + 1);
    for (bool ending = false; !ending || under_way > 0;) {
        parley_event *event;
        ending = now_s() - begin >= seconds;
        int wait_ms = send_due(engine, slots, last_bot, worker, ending);
        under_way = 0;
        for (int u = 0; u <= OTHERS; u++)
            under_way += slots[u].request != 0;
        if (under_way == 0 && ending)
            break;
        if (parley_wait(engine, wait_ms, &event) != 1)
            continue;
        bool last = event->type == PARLEY_EVENT_DONE || event->type == PARLEY_EVENT_ERROR;
        for (int u = 0; last && u <= OTHERS; u++) {
            if (slots[u].request != event->request)
                continue;
            if (u < OTHERS && len < TURNS_MAX) {
                worker_us[len] = (seconds_of(worker) - slots[u].worked) * 1e6;
                us[len++] = (now_s() - slots[u].at) * 1e6;
            }
            dice = dice * 6364136223846793005u + 1442695040888963407u;
            slots[u] = (struct slot){
                .at = now_s() + 1e-3 * PAUSE_MS * (1 + (double)(dice >> 33) / (1u << 30))};
            break;
        }
        parley_event_free(event);
    }
    worked = seconds_of(worker) - worked;
    parley_close(engine);
    return (struct p99){quantile(us, len, 0.99), quantile(worker_us, len, 0.99),
                        worked * 1e6 / (double)len};
}

static void bench_others(bool quick)
{
    static double ratio[KINDS][SLOTS_MAX], worker_ratio[KINDS][SLOTS_MAX], each[KINDS][SLOTS_MAX];
    static double us[SLOTS_MAX], worker_us[SLOTS_MAX];
    int rounds = quick ? 1 : 7;
    double seconds = quick ? 2 : 5;
    char command[64];
    if (!mkdtemp(folder))
        die("cannot make a folder in /tmp");
    write_file("good", "return { on_message = function(view) return { say = view.text } end }\n");
    for (int k = 0; k < KINDS; k++)
        write_file(kinds[k].name, kinds[k].code);
    // The control comes before each of the others: a machine that is busy by and by is so for both.
    for (int round = 0; round < rounds; round++)
        for (int k = 1; k < KINDS; k++) {
            struct p99 control = others_p99(kinds[0].name, seconds);
            struct p99 p99 = others_p99(kinds[k].name, seconds);
            ratio[k][round] = p99.us / control.us;
            worker_ratio[k][round] = p99.worker_us / control.worker_us;
            each[k][round] = p99.worker_us_each / control.worker_us_each;
            us[round] = control.us;
            worker_us[round] = control.worker_us;
        }
    printf("others' p99 beside a 17th user who behaves: %.0f us, the worker's own time %.0f us\n",
           quantile(us, (size_t)rounds, 0.5), quantile(worker_us, (size_t)rounds, 0.5));
    for (int k = 1; k < KINDS; k++)
        printf("  beside one with %-10s  %.3f x  worker's own time %.3f x, by the turn "
               "%.3f x\n", kinds[k].name, quantile(ratio[k], (size_t)rounds, 0.5),
               quantile(worker_ratio[k], (size_t)rounds, 0.5),
               quantile(each[k], (size_t)rounds, 0.5));
    snprintf(command, sizeof(command), "rm -r '%s'", folder);
    if (system(command) != 0)
        fprintf(stderr, "bench: %s is left behind\n", folder);
}

int main(int argc, char **argv)
{
    bool quick = argc > 1 && strcmp(argv[1], "quick") == 0;
    int calls = quick ? 50 : 500;
    bool others_only = argc > 1 && strcmp(argv[1], "others") == 0;
    for (size_t i = 0; !others_only && i < sizeof(hooks) / sizeof(hooks[0]); i++)
        bench_overhead(hooks[i].name, hooks[i].code, calls);
    bench_others(quick);
    return 0;
}
