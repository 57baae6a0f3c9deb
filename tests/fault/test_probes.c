// SPDX-License-Identifier: MIT
// test_probes.c: scripts that try to outrun their budget: the shared cases and our own
// (unit/sandbox_probes.h), with the limits that hooks have.
//
//   sandbox   each probe in each mode: timed by a signal, counted by the clock, counted where time
//             stands still. Each ends, in bounded time, and leaves the state as it was.
//   control   the same probes in Lua without a budget: most do not end.
//   engine    whole turns whose on_message is a probe, beside others' turns: all are answered, and
//             the operator is told what ran out where.
//
// What does not end is counted in the same way with the budget and without: probes run in a child
// whose timers kill it when one probe takes longer than its watch; it is named, and a new child
// goes on with the next.
#include "unit/sandbox_probes.h"

#include "fault/harness.h"
#include "lua/lua_room.h"

#include <sys/mman.h>
#include <sys/time.h>

enum mode { TIMED, COUNTED, SIMULATED, UNLIMITED };
static const char *const mode_words[] = {"timed", "counted", "simulated", "without a budget"};

// The tests of the sandbox (unit/test_sandbox_budget.c) run each probe; the short variant here, one
// in SHORT_STEP. What slow machines and sanitizers take beside the limit is told, not asserted.
#ifdef PARLEY_SANITIZED
enum { SHORT_STEP = 16 };
#else
enum { SHORT_STEP = 6 };
#endif
// A probe that takes WATCH_MS of the processor, or STUCK_S at all, does not end.
enum { BOUND_MS = 250, WATCH_MS = 10000, CONTROL_MS = 250, STUCK_S = 120,
       CONTROL_BYTES = 256 << 20, PROBES_MAX = 512, SLICE_US = 50 };

struct script {
    const char *code, *says;
    bool denied;  // it asks for what is not there
};

struct scripts {
    struct script list[PROBES_MAX];
    size_t len, shared;
    struct buf text;  // of the shared cases
};

// ---- the scripts

static void add_script(struct scripts *all, const char *code, const char *says, bool denied)
{
    assert_true(all->len < PROBES_MAX);
    all->list[all->len++] = (struct script){code, says, denied};
}

static void add_shared(struct scripts *all)
{
    const char *dir = getenv("PARLEY_SHARED");
    char path[1024];
    struct buf code = BUF_INIT(1 << 20);
    struct json_doc doc = JSON_DOC_INIT;
    struct json_iter it = {0};
    struct json key, item;

    snprintf(path, sizeof(path), "%s/cases/lua/sandbox.json", dir ? dir : "../shared");
    if (source_read(path, &all->text, NULL) != E_OK)
        return;
    assert_int_equal(json_parse(&doc, buf_slice(&all->text), 0, NULL), E_OK);
    while (json_next(json_get(json_root(&doc), "cases"), &it, &key, &item)) {
        buf_clear(&code);
        json_string(json_get(item, "code"), &code);
        add_script(all, mem_slicedup(buf_slice(&code)), NULL,
                   json_is_string(json_get(item, "must"), "deny"));
    }
    all->shared = all->len;
    json_doc_release(&doc);
    buf_release(&code);
}

static void scripts_init(struct scripts *all)
{
    *all = (struct scripts){.text = BUF_INIT(1 << 20)};
    add_shared(all);
    for (size_t i = 0; i < COUNT_OF(endless); i++)
        add_script(all, endless[i].code, endless[i].says, false);
}

static void scripts_release(struct scripts *all)
{
    for (size_t i = 0; i < all->shared; i++)
        mem_free((void *)(uintptr_t)all->list[i].code);
    buf_release(&all->text);
}

// ---- the sandbox

// On this thread, so that a busy machine does not count.
static double cpu_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

// In memory that the child shares.
struct tally {
    size_t at, step;                 // the probe under way; the next is `step` further
    unsigned tried, unbounded, failed;
    unsigned over, poisoned, pauses;
    double worst_ms, stretch_ms;     // of a call; between two pauses
    double last_ms;                  // when it last began or made way
};

static void note_stretch(struct tally *tally)
{
    double now = cpu_ms();

    if (now - tally->last_ms > tally->stretch_ms)
        tally->stretch_ms = now - tally->last_ms;
    tally->last_ms = now;
}

static void *on_begin(void *user)
{
    return user;
}

static struct way_slice on_pause(void *work)
{
    struct tally *tally = work;

    note_stretch(tally);
    tally->pauses++;
    return (struct way_slice){.ns = SLICE_US * INT64_C(1000)};
}

static void on_end(void *work)
{
    (void)work;
}

static struct sandbox *sandbox_for(enum mode mode, struct clock_sim *clock, struct tally *tally)
{
    struct sandbox *s = NULL;
    struct sandbox_options options = {
        .clock = mode == SIMULATED ? &clock->clock : clock_system(),
        .memory_bytes = LUA_MEMORY_BYTES,
        .timer_signal = mode == TIMED ? SIGRTMIN + 3 : 0,
    };

    if (mode != SIMULATED)
        options.way = (struct way){.begin = on_begin, .pause = on_pause, .end = on_end,
                                   .user = tally};
    clock_sim_init(clock, 0);
    assert_int_equal(sandbox_new(&s, &options, NULL), E_OK);
    return s;
}

// In a child, where an assertion of cmocka's would go on with the parent's tests.
#define REPORT(tally, ...) ((tally)->failed++, fprintf(stderr, "probes: " __VA_ARGS__))

static void run_script(struct sandbox *s, enum mode mode, const struct script *script,
                       struct tally *tally)
{
    struct sandbox_budget budget = {.fuel = LUA_HOOK_FUEL, .ms = LUA_HOOK_MS};
    struct err err = ERR_INIT;
    double start = cpu_ms();

    tally->last_ms = start;
    int rc = sandbox_call(s, budget, run_chunk, (void *)(uintptr_t)script->code, &err);
    note_stretch(tally);
    double ms = cpu_ms() - start;
    if (script->denied && rc != E_POLICY)
        REPORT(tally, "%s: %s\nwas not denied\n", mode_words[mode], script->code);
    if (script->says && (rc == E_OK || !strstr(err.message, script->says)))
        REPORT(tally, "%s: %s\ngave '%s' (%d), not '%s'\n", mode_words[mode], script->code,
               err.message, rc, script->says);
    tally->over += ms > BOUND_MS;
    if (ms > tally->worst_ms)
        tally->worst_ms = ms;
    if (!is_sound(s)) {
        tally->poisoned++;
        REPORT(tally, "%s: after %s\nthe state is not as it was\n", mode_words[mode],
               script->code);
    }
}

// No limit but the machine's: who takes CONTROL_BYTES is as unbounded as who takes CONTROL_MS.
static void *allocate(void *user, void *old, size_t old_bytes, size_t bytes)
{
    size_t *used = user;

    *used = *used - (old ? old_bytes : 0) + bytes;
    if (*used > CONTROL_BYTES)
        kill(getpid(), SIGKILL);
    if (bytes > 0)
        return mem_realloc(old, bytes);
    mem_free(old);
    return NULL;
}

static void run_unlimited(const char *code)
{
    size_t used = 0;
    lua_State *L = lua_newstate(allocate, &used);

    luaL_openlibs(L);
    luaL_loadstring(L, code);
    lua_pcall(L, 0, 0, 0);
    lua_close(L);
}

// ---- the watch

// Kills this process when it takes longer, until the next call.
static void watch(int cpu_limit_ms)
{
    struct itimerval cpu = {.it_value = {cpu_limit_ms / 1000, cpu_limit_ms % 1000 * 1000}};
    struct itimerval wall = {.it_value = {STUCK_S, 0}};

    if (setitimer(ITIMER_PROF, &cpu, NULL) != 0 || setitimer(ITIMER_REAL, &wall, NULL) != 0)
        give_up("setitimer: %s", strerror(errno));
}

static void run_from(const struct scripts *all, enum mode mode, struct tally *tally)
{
    struct clock_sim clock;
    struct sandbox *s = mode == UNLIMITED ? NULL : sandbox_for(mode, &clock, tally);

    for (; tally->at < all->len; tally->at += tally->step) {
        // Without a budget, what runs commands or reads files would really do it.
        if (!s && all->list[tally->at].denied)
            continue;
        tally->tried++;
        watch(s ? WATCH_MS : CONTROL_MS);
        if (s)
            run_script(s, mode, &all->list[tally->at], tally);
        else
            run_unlimited(all->list[tally->at].code);
    }
    sandbox_free(s);
}

// Runs them to the end, whatever they do. The caller unmaps the tally.
static struct tally *run_watched(const struct scripts *all, enum mode mode)
{
    struct tally *tally = mmap(NULL, sizeof(*tally), PROT_READ | PROT_WRITE,
                               MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    assert_true(tally != MAP_FAILED);
    for (tally->step = fault_long() ? 1 : SHORT_STEP; tally->at < all->len;
         tally->at += tally->step) {
        int status = 0;
        pid_t child = fork();

        assert_true(child >= 0);
        if (child == 0) {
            run_from(all, mode, tally);
            _exit(0);
        }
        assert_int_equal(waitpid(child, &status, 0), child);
        if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
            break;
        int signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
        bool no_end = signal == SIGPROF || signal == SIGALRM || signal == SIGKILL;
        tally->unbounded += no_end;
        tally->failed += !no_end;
        if (mode != UNLIMITED)
            fprintf(stderr, "probes: %s: %s (signal %d): %s\n", mode_words[mode],
                    no_end ? "unbounded" : "ended the process", signal,
                    all->list[tally->at].code);
    }
    return tally;
}

static void run_mode(enum mode mode)
{
    struct scripts all;

    scripts_init(&all);
    struct tally *tally = run_watched(&all, mode);
    char longest[64] = "";
    if (mode != SIMULATED)
        snprintf(longest, sizeof(longest), ", longest without making way %.1f ms",
                 tally->stretch_ms);
    summary("probes, %s: %u of %zu (%zu shared): unbounded %u, worst %.0f ms, over %d ms %u, "
            "poisoned %u%s", mode_words[mode], tally->tried, all.len, all.shared, tally->unbounded,
            tally->worst_ms, BOUND_MS, tally->over, tally->poisoned, longest);
    assert_int_equal(tally->unbounded, 0);
    assert_int_equal(tally->failed, 0);
    munmap(tally, sizeof(*tally));
    scripts_release(&all);
}

static void test_probes__timed(void **state)
{
    (void)state;
    run_mode(TIMED);
}

static void test_probes__counted(void **state)
{
    (void)state;
    run_mode(COUNTED);
}

static void test_probes__simulated(void **state)
{
    (void)state;
    run_mode(SIMULATED);
}

// The control: no budget.
static void test_probes__control(void **state)
{
    struct scripts all;

    (void)state;
    scripts_init(&all);
    struct tally *tally = run_watched(&all, UNLIMITED);
    summary("probes, control %s: %u tried, unbounded %u", mode_words[UNLIMITED], tally->tried,
            tally->unbounded);
    assert_true(tally->unbounded > tally->tried / 2);
    munmap(tally, sizeof(*tally));
    scripts_release(&all);
}

// ---- through the engine: whole turns

struct told {
    char line[1024];  // the last that tells of a hook
};

static void on_line(void *user, parley_log_level level, const char *line)
{
    struct told *told = user;

    (void)level;
    if (strstr(line, " failed at "))
        snprintf(told->line, sizeof(told->line), "%s", line);
}

static parley *engine_over(const struct place *place, struct told *told)
{
    static const char *const settings[] = {"workers=1", NULL};
    parley_options options = PARLEY_OPTIONS_INIT;
    parley_error error = PARLEY_ERROR_INIT;
    parley *engine = NULL;

    options.config = "";
    options.no_environment = 1;
    options.store = "memory:";
    options.policies = place->dir;
    options.settings = settings;
    options.timer_signal = SIGRTMIN + 4;
    options.log = on_line;
    options.user = told;
    if (parley_open(&engine, &options, &error) < 0)
        give_up("%s", error.message);
    return engine;
}

static uint64_t say(parley *engine, const char *user, const char *bot)
{
    parley_message m = PARLEY_MESSAGE_INIT;
    parley_error error = PARLEY_ERROR_INIT;
    uint64_t request = 0;

    m.user = user;
    m.bot = bot;
    m.text = "good day";
    if (parley_send(engine, &m, &request, &error) < 0)
        give_up("%s", error.message);
    return request;
}

// One hook that misbehaves, and beside it others' turns: all settle, theirs before its own where it
// takes long. Returns how long its turn took, in ms.
static double run_beside(parley *engine, const char *bot, unsigned *wrong)
{
    int64_t begin_us = now_us(), took_us = 0;
    uint64_t its = say(engine, "its", bot), others = say(engine, "other", "good");

    for (int left = 2; left > 0;) {
        parley_event *event = next_event(engine);

        if (is_last(event)) {
            bool good = event->type == PARLEY_EVENT_DONE && strstr(event->json, "\"done\"") &&
                        (event->request == its || strstr(event->json, "\"good day\""));
            *wrong += !good;
            left--;
            if (event->request == its)
                took_us = now_us() - begin_us;
            BUG_ON(event->request != its && event->request != others);
        }
        parley_event_free(event);
    }
    return (double)took_us / 1e3;
}

static void test_probes__engine(void **state)
{
    struct place place;
    struct scripts all;
    struct told told = {""};
    unsigned turns = 0, stopped = 0, wrong = 0, untold = 0;
    size_t step = fault_long() ? 1 : SHORT_STEP;
    double worst_ms = 0;

    (void)state;
    place_make(&place);
    scripts_init(&all);
    place_write(&place, "good.lua",
                "return { on_message = function(v) return { say = v.text } end }");
    for (size_t i = 0; i < all.len; i += step) {
        struct buf text = BUF_INIT(1 << 20);

        // A state of its own for each: two that rest would not be probed.
        buf_add_str(&text, "return { on_message = function(view)\ndo ");
        buf_add_str(&text, all.list[i].code);
        buf_add_str(&text, "\nend end }\n");
        place_write(&place, "bad.lua", text.ptr);
        buf_release(&text);
        parley *engine = engine_over(&place, &told);
        told.line[0] = '\0';
        double ms = run_beside(engine, "bad", &wrong);
        worst_ms = ms > worst_ms ? ms : worst_ms;
        bool ran_out = strstr(told.line, "stopped: ") != NULL;
        stopped += ran_out;
        // Policy, hook, file:line, what ran out.
        untold += ran_out &&
                  (!strstr(told.line, "policy: bad@") || !strstr(told.line, "on_message") ||
                   !strstr(told.line, "bad.lua:"));
        turns++;
        parley_close(engine);
    }
    summary("probes, through the engine: %u turns, stopped %u, worst %.0f ms, without their answer "
            "or others' %u, not told to the operator with place and cause %u", turns, stopped,
            worst_ms, wrong, untold);
    assert_int_equal(wrong, 0);
    assert_int_equal(untold, 0);
    assert_true(stopped > turns / 3);
    scripts_release(&all);
    place_remove(&place);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_probes__timed),
        cmocka_unit_test(test_probes__counted),
        cmocka_unit_test(test_probes__simulated),
        cmocka_unit_test(test_probes__control),
        cmocka_unit_test(test_probes__engine),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
