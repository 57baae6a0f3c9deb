// SPDX-License-Identifier: MIT
// test_sandbox_budget.c: scripts that try to run for ever or to eat all memory, in every mode:
// timed by a signal, counted by the clock, counted where time stands still. Outcomes are asserted,
// never durations: a script that is not stopped hangs the test. How long the longest took is in the
// summary.
#include "sandbox_probes.h"

#include <poll.h>
#include <signal.h>
#include <time.h>

enum mode { TIMED, COUNTED, SIMULATED, MODES };
static const char *const mode_words[] = {"timed", "counted", "simulated"};

// In units; some 50 ms of instructions.
enum { SIMULATED_FUEL = 5000000, BOUND_MS = 250 };

struct tally {
    unsigned shared, ours, over, poisoned;
    double worst_ms;
};

static struct sandbox *sandbox_of(enum mode mode, struct clock_sim *clock)
{
    clock_sim_init(clock, 0);
    return sandbox_in(mode == SIMULATED ? &clock->clock : clock_system(),
                      mode == TIMED ? SIGRTMIN + 3 : 0);
}

// On this thread, so that a busy machine does not count.
static double cpu_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static int run_counted(struct sandbox *s, enum mode mode, const char *code, struct err *err,
                       struct tally *tally)
{
    struct sandbox_budget budget = {.fuel = mode == SIMULATED ? SIMULATED_FUEL : FUEL,
                                    .ms = LIMIT_MS};
    double start = cpu_ms();
    err->message[0] = '\0';
    int rc = sandbox_call(s, budget, run_chunk, (void *)(uintptr_t)code, err);
    double ms = cpu_ms() - start;
    tally->over += ms > BOUND_MS;
    if (ms > tally->worst_ms)
        tally->worst_ms = ms;
    return rc;
}

static void check_sound(struct sandbox *s, const char *after, struct tally *tally)
{
    tally->poisoned += !is_sound(s);
    if (tally->poisoned)
        fail_msg("after %s the state is not as it was", after);
}

// ---- the shared cases

static bool shared_cases(struct buf *text)
{
    const char *dir = getenv("PARLEY_SHARED");
    char path[1024];

    snprintf(path, sizeof(path), "%s/cases/lua/sandbox.json", dir ? dir : "../shared");
    return source_read(path, text, NULL) == E_OK;
}

static void run_shared(struct tally *tally, enum mode mode)
{
    struct buf text = BUF_INIT(1 << 20), code = BUF_INIT(1 << 20), name = BUF_INIT(1024);
    struct json_doc doc = JSON_DOC_INIT;
    struct json_iter it = {0};
    struct json key, item;
    struct err err = ERR_INIT;
    unsigned denied = 0, bounded = 0;

    if (!shared_cases(&text)) {
        buf_release(&text);
        return;
    }
    assert_int_equal(json_parse(&doc, buf_slice(&text), 0, &err), E_OK);
    struct clock_sim clock;
    struct sandbox *s = sandbox_of(mode, &clock);
    while (json_next(json_get(json_root(&doc), "cases"), &it, &key, &item)) {
        buf_clear(&code);
        buf_clear(&name);
        json_string(json_get(item, "code"), &code);
        json_string(json_get(item, "name"), &name);
        int rc = run_counted(s, mode, code.ptr, &err, tally);
        if (json_is_string(json_get(item, "must"), "deny")) {
            denied++;
            if (rc != E_POLICY)
                fail_msg("%s was not denied", name.ptr);
        } else {
            bounded++;
        }
        check_sound(s, name.ptr, tally);
    }
    assert_true(denied > 20 && bounded > 30);
    tally->shared = denied + bounded;
    sandbox_free(s);
    json_doc_release(&doc);
    buf_release(&text);
    buf_release(&code);
    buf_release(&name);
}

// ---- our own

static void run_ours(struct tally *tally, enum mode mode, const struct probe *probes, size_t n)
{
    struct clock_sim clock;
    struct sandbox *s = sandbox_of(mode, &clock);
    struct err err = ERR_INIT;

    for (size_t i = 0; i < n; i++) {
        int rc = run_counted(s, mode, probes[i].code, &err, tally);

        if (probes[i].says && (rc == E_OK || !strstr(err.message, probes[i].says)))
            fail_msg("%s: %s\ngave '%s' (%d), not '%s'", mode_words[mode], probes[i].code,
                     err.message, rc, probes[i].says);
        check_sound(s, probes[i].code, tally);
    }
    tally->ours = (unsigned)n;
    sandbox_free(s);
}

static void run_mode(enum mode mode)
{
    struct tally tally = {0};

    run_shared(&tally, mode);
    run_ours(&tally, mode, endless, COUNT_OF(endless));
    printf("# summary: sandbox, %s: %u shared cases, %u probes of our own: all ended, worst %.0f "
           "ms%s, over %d ms %u, poisoned %u\n", mode_words[mode], tally.shared, tally.ours,
           tally.worst_ms, mode == SIMULATED ? " (fuel, or real time as a backstop)" : "",
           BOUND_MS, tally.over, tally.poisoned);
}

static void test_sandbox_budget__timed(void **state)
{
    (void)state;
    run_mode(TIMED);
}

static void test_sandbox_budget__counted(void **state)
{
    (void)state;
    run_mode(COUNTED);
}

static void test_sandbox_budget__simulated(void **state)
{
    (void)state;
    run_mode(SIMULATED);
}

static void test_sandbox_budget__memory(void **state)
{
    static const struct probe probes[] = {
        {"local t = {} for i = 1, 1e9 do t[i] = i end", NULL},
        {"local t = {} for i = 1, 40 do t[i] = ('x'):rep(1000):rep(1000) .. i "
         "end", "out of memory: limit 32 MiB"},
        {"local s = ('x'):rep(1000):rep(1000) return s .. s", "a string may be 1024 KiB long"},
        {"return ('x'):rep(1 << 20 | 1)", "resulting string too large"},
        {"return ('x'):rep(1e15)", "resulting string too large"},
        {"return ('x'):rep(1e9, 'yy')", "resulting string too large"},
        {"return ('x'):rep(-1) == ''", NULL},
        {"local t = {} for i = 1, 100 do t[i] = ('x'):rep(1e6) end return table.concat(t)",
         "out of memory"},
        {"local function f() return f() + 1 end f()", NULL},
        {"return ('x'):gsub('', ('y'):rep(1 << 20))", "out of memory"},
        {"return string.format(('%s'):rep(60), table.unpack((function() local t = {} for i = 1, "
         "60 do "
         "t[i] = ('x'):rep(1e6) end return t end)()))", "out of memory"},
    };

    (void)state;
    run_probes(probes, COUNT_OF(probes), LONG_MS);
}


// ---- metering

// The same script uses the same fuel and stops at the same place, in a new state and in a used one.
static void test_sandbox_budget__exact(void **state)
{
    static const char *const scripts[] = {
        "local t = {}\nfor i = 1, 1e9 do\n  t[i % 100] = i\n  local s = 'x' .. i\n"
        "  s = s:upper()\nend",
        "while true do\n  pcall(function()\n    local t = { 1, 2, 3 }\n    error(t)\n  end)\nend",
        "while true do\n  local co = coroutine.wrap(function()\n    for i = 1, 10 do\n"
        "      coroutine.yield(i)\n    end\n  end)\n  for i = 1, 10 do\n    co()\n  end\nend",
        "local n = 0\nwhile true do\n  n = n + 1\n  local t = {}\n  for i = 1, n do\n"
        "    t['k' .. i] = i\n  end\n  for k in pairs(t) do\n    t[k] = nil\n  end\nend",
        "local t = {}\nfor i = 1, 5000 do\n  t[i] = i * 7919 % 5003\nend\nwhile true do\n"
        "  table.sort(t)\n  table.sort(t, function(a, b)\n    return a > b\n  end)\nend",
        "while true do\n  (('a'):rep(300)):find('.-.-.-b')\n  local s = ('%5d|%s'):format(7, 'x')\n"
        "end",
    };
    struct clock_sim clock;
    struct err first = ERR_INIT, err = ERR_INIT;

    (void)state;
    for (size_t i = 0; i < COUNT_OF(scripts); i++) {
        int64_t used = 0;

        for (int round = 0; round < 6; round++) {
            struct sandbox *s = sandbox_of(SIMULATED, &clock);

            for (int again = 0; again < 2; again++) {
                struct sandbox_budget budget = {.fuel = 300000 + 1000 * again, .ms = 100};
                int rc = sandbox_call(s, budget, run_chunk, (void *)(uintptr_t)scripts[i], &err);
                assert_int_equal(rc, E_POLICY);
                assert_true(sandbox_ran_out(s));
                if (again)
                    continue;
                if (round == 0) {
                    first = err;
                    used = sandbox_used_fuel(s);
                }
                assert_string_equal(err.message, first.message);
                assert_int_equal(sandbox_used_fuel(s), used);
                assert_non_null(strstr(err.message, ": stopped: it used up its fuel of 300000"));
            }
            sandbox_free(s);
        }
    }
}

// More work costs more fuel, in whichever way it is done.
static void test_sandbox_budget__charges(void **state)
{
    static const struct {
        const char *little, *much;
        int64_t at_least;
    } pairs[] = {
        {"for i = 1, 10 do end", "for i = 1, 10000 do end", 9000},
        {"local t = {}", "local t = {} for i = 1, 10000 do t[i] = {} end", 100000},
        {"local s = ('x'):rep(10)", "local s = ('x'):rep(1e6)", 100000},
        {"local s = ('x'):rep(9e5)", "local s = ('x'):rep(9e5):reverse()", 100000},
        {"local s = ('x'):rep(9e5)", "local s = ('x'):rep(9e5):find('y', 1, true)", 100000},
        {"local s = ('x'):rep(9e5)", "local s = ('x'):rep(9e5):find('[y]')", 400000},
        {"local s = ('x'):rep(9e5)", "local s = ('x'):rep(9e5):gsub('x', 'y')", 900000},
        {"local s = ('x'):rep(9e5)", "local s = ('%s'):format(('x'):rep(9e5))", 100000},
        {"local s = ('x'):rep(9e5)", "local s = utf8.len(('x'):rep(9e5))", 100000},
        {"local s = ('1'):rep(9e5)", "local s = ('1'):rep(9e5) + 1", 100000},
        {"local s = ('1'):rep(9e5)", "local s = tonumber(('1'):rep(9e5))", 100000},
        {"local s = ('x'):rep(9e5)", "local s = rawequal(('x'):rep(9e5), 'x')", 100000},
        {"table.move({}, 1, 10, 1)", "table.move({}, 1, 10000, 1)", 30000},
        {"local t = {} table.unpack(t, 1, 10)", "local t = {} table.unpack(t, 1, 8000)", 30000},
        {"local t = {} for i = 1, 5000 do t[i] = i end",
         "local t = {} for i = 1, 5000 do t[i] = i end table.sort(t)", 100000},
        {"local t = {} for i = 1, 5000 do t[i] = i end",
         "local t = {} for i = 1, 5000 do t[i] = i end table.insert(t, 1, 0)", 20000},
        {"local t = {} for i = 1, 5000 do t[i] = i end",
         "local t = {} for i = 1, 5000 do t[i] = i end table.remove(t, 1)", 19000},
        {"local t = {} for i = 1, 5000 do t[i] = i end",
         "local t = {} for i = 1, 5000 do t[i] = i end table.concat(t)", 20000},
        {"coroutine.wrap(function() end)()",
         "for i = 1, 100 do coroutine.wrap(function() end)() end", 25000},
    };
    struct sandbox *s = sandbox_in(clock_system(), 0);
    struct err err = ERR_INIT;

    (void)state;
    for (size_t i = 0; i < COUNT_OF(pairs); i++) {
        assert_int_equal(run_for(s, LONG_MS, pairs[i].little, &err), E_OK);
        int64_t little = sandbox_used_fuel(s);
        assert_int_equal(run_for(s, LONG_MS, pairs[i].much, &err), E_OK);
        int64_t more = sandbox_used_fuel(s) - little;
        if (more < pairs[i].at_least)
            fail_msg("%s\ncosts only %lld more", pairs[i].much, (long long)more);
    }
    sandbox_free(s);
}

// Of what it ran out, and where.
static void test_sandbox_budget__messages(void **state)
{
    static const struct {
        struct sandbox_budget budget;
        const char *code, *says;
    } cases[] = {
        {{FUEL, 20, false}, "local x\nwhile true do end",
         "probe:2: stopped: it ran longer than 20 ms"},
        {{20000, LONG_MS, false}, "local x\nwhile true do x = ('y'):rep(9) end",
         "probe:2: stopped: it used up its fuel of 20000 units"},
        {{FUEL, LONG_MS, false}, "local t = {}\n\nwhile true do t[#t + 1] = {} end",
         "probe:3: stopped: out of memory: limit 32 MiB"},
        {{FUEL, 20, false}, "local f = coroutine.wrap(function()\n  while true do end\nend)\nf()",
         "probe:2: stopped: it ran longer than 20 ms"},
        {{FUEL, LONG_MS, false}, "local function f() return 1 + f() end\nf()", "stack overflow"},
    };
    struct err err = ERR_INIT;

    (void)state;
    for (enum mode mode = TIMED; mode <= COUNTED; mode++) {
        struct clock_sim clock;
        struct sandbox *s = sandbox_of(mode, &clock);

        for (size_t i = 0; i < COUNT_OF(cases); i++) {
            err.message[0] = '\0';
            int rc = sandbox_call(s, cases[i].budget, run_chunk, (void *)(uintptr_t)cases[i].code,
                                  &err);
            if (rc != E_POLICY || !strstr(err.message, cases[i].says))
                fail_msg("%s: '%s' is not '%s'", mode_words[mode], err.message, cases[i].says);
        }
        sandbox_free(s);
    }
}

// Others have the processor: this thread waits for so many ms, then works a little.
static int wait_then_work(lua_State *L)
{
    const int *wait_ms = lua_touserdata(L, 1);
    int64_t end_ns = clock_mono_ns(clock_system()) + *wait_ms * INT64_C(1000000);

    for (int64_t now_ns; (now_ns = clock_mono_ns(clock_system())) < end_ns;)
        poll(NULL, 0, (int)((end_ns - now_ns) / 1000000) + 1);
    sandbox_load(L, slice_str("for i = 1, 1e5 do local s = 'x' .. i % 10 end"), "probe");
    lua_call(L, 0, 0);
    return 0;
}

// What others take of the processor is not a call's own time; the clock ends it much later.
static void test_sandbox_budget__busy_machine(void **state)
{
    static const char expected[] = "probe:1: stopped: it was not through in 1000 ms of the clock";
    int twice_ms, beyond_ms = 21 * LIMIT_MS;
    struct err err = ERR_INIT;

    (void)state;
    for (enum mode mode = TIMED; mode <= COUNTED; mode++) {
        struct clock_sim clock;
        struct sandbox *s = sandbox_of(mode, &clock);
        struct sandbox_budget budget = {.fuel = FUEL, .ms = 4 * LIMIT_MS};

        twice_ms = 2 * (int)budget.ms;
        if (sandbox_call(s, budget, wait_then_work, &twice_ms, &err) != E_OK)
            fail_msg("%s: %s", mode_words[mode], err.message);
        budget.ms = LIMIT_MS;
        assert_int_equal(sandbox_call(s, budget, wait_then_work, &beyond_ms, &err), E_POLICY);
        if (strncmp(err.message, expected, strlen(expected)) != 0)
            fail_msg("%s: %s", mode_words[mode], err.message);
        assert_true(sandbox_ran_out(s));
        assert_sound(s, "a wait");
        sandbox_free(s);
    }
}

static void on_foreign(int signal)
{
    (void)signal;
}

// A signal that somebody else handles is left alone: scripts are counted.
static void test_sandbox_budget__foreign_signal(void **state)
{
    struct sigaction before, foreign = {.sa_handler = on_foreign}, after;
    struct err err = ERR_INIT;

    (void)state;
    assert_int_equal(sigaction(SIGRTMIN + 5, &foreign, &before), 0);
    struct sandbox *s = sandbox_in(clock_system(), SIGRTMIN + 5);
    assert_int_equal(sigaction(SIGRTMIN + 5, NULL, &after), 0);
    assert_ptr_equal(after.sa_handler, on_foreign);
    assert_int_equal(run(s, "while true do end", &err), E_POLICY);
    assert_true(sandbox_used_fuel(s) > 10000);
    sandbox_free(s);
    assert_int_equal(sigaction(SIGRTMIN + 5, &before, NULL), 0);
    s = sandbox_in(clock_system(), 1000);  // no signal
    assert_int_equal(run(s, "while true do end", &err), E_POLICY);
    sandbox_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sandbox_budget__timed),
        cmocka_unit_test(test_sandbox_budget__counted),
        cmocka_unit_test(test_sandbox_budget__simulated),
        cmocka_unit_test(test_sandbox_budget__memory),
        cmocka_unit_test(test_sandbox_budget__exact),
        cmocka_unit_test(test_sandbox_budget__charges),
        cmocka_unit_test(test_sandbox_budget__messages),
        cmocka_unit_test(test_sandbox_budget__busy_machine),
        cmocka_unit_test(test_sandbox_budget__foreign_signal),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
