// SPDX-License-Identifier: MIT
// test_sandbox_way.c: calls that make way: when they do, what of their time is their own, and
// scripts that outrun their budget on another thread than where they began.
#include "sandbox_probes.h"

#include "base/side.h"

#include <signal.h>
#include <unistd.h>

#ifndef __has_feature
#define __has_feature(x) 0
#endif

enum { STATES = 4 };

// ThreadSanitizer holds a timer's signal back until its thread makes a call, and does not see an
// error of Lua's leave: each stays on its stack of calls, which a script that raises them in a loop
// makes overflow.
#if __has_feature(thread_sanitizer)
enum { MODES = 1 };
static const struct probe probes[] = {
    {"while true do end", "stopped"},
    {"local co = coroutine.wrap(function() while true do end end) co()", "stopped"},
    {"while true do local t = { ('x'):rep(99) } end", "stopped"},
    {"table.sort({ 3, 2, 1 }, function() while true do end end)", "stopped"},
};
#define PROBES_LEN COUNT_OF(probes)
#else
enum { MODES = 2 };
static const struct probe *const probes = endless;
#define PROBES_LEN COUNT_OF(endless)
#endif

// ---- a clock that moves when it is read: what takes long is known

enum { TICK_NS = 100, TICKS_OF_A_SLICE = 3000, TICKING_MS = 100 };

struct ticking {
    struct clock clock;
    int64_t now_ns;
    int64_t pause_ns;               // how long others work
    unsigned begun, pauses, ended;
};

static int64_t tick(void *self)
{
    struct ticking *t = self;

    return t->now_ns += TICK_NS;
}

static void *begin_ticking(void *user)
{
    struct ticking *t = user;

    t->begun++;
    return t;
}

static struct way_slice pause_ticking(void *work)
{
    struct ticking *t = work;

    t->pauses++;
    t->now_ns += t->pause_ns;
    return (struct way_slice){.ns = TICKS_OF_A_SLICE * TICK_NS};
}

static void end_ticking(void *work)
{
    struct ticking *t = work;

    t->ended++;
}

static struct sandbox *sandbox_ticking(struct ticking *t, bool makes_way)
{
    struct sandbox *s = NULL;

    *t = (struct ticking){.clock = {.mono_ns = tick, .wall_ms = tick, .self = t}};
    struct sandbox_options options = {.clock = &t->clock, .memory_bytes = MEMORY};
    if (makes_way)
        options.way = (struct way){
            .begin = begin_ticking, .pause = pause_ticking, .end = end_ticking, .user = t};
    assert_int_equal(sandbox_new(&s, &options, NULL), E_OK);
    t->begun = t->pauses = t->ended = 0;
    return s;
}

static int run_ticking(struct sandbox *s, int64_t fuel, bool aside, const char *code,
                       struct err *err)
{
    struct sandbox_budget budget = {.fuel = fuel, .ms = TICKING_MS, .aside = aside};

    err->message[0] = '\0';
    return sandbox_call(s, budget, run_chunk, (void *)(uintptr_t)code, err);
}

static void test_sandbox_way__when(void **state)
{
    struct ticking t;
    struct err err = ERR_INIT;
    struct sandbox *s = sandbox_ticking(&t, true);

    (void)state;
    assert_int_equal(run_ticking(s, FUEL, false, "return 1", &err), E_OK);
    assert_int_equal(t.begun, 1);
    assert_int_equal(t.pauses, 0);
    assert_int_equal(t.ended, 1);
    assert_false(sandbox_was_slow(s));
    assert_int_equal(run_ticking(s, FUEL, true, "return 1", &err), E_OK);
    assert_int_equal(t.pauses, 1);  // before it began
    assert_int_equal(t.ended, 2);
    assert_false(sandbox_was_slow(s));
    if (run_ticking(s, FUEL, false, "for i = 1, 1e6 do end", &err) != E_OK)
        fail_msg("%s", err.message);
    assert_true(t.pauses > 1);
    assert_true(sandbox_was_slow(s));
    assert_int_equal(run_ticking(s, FUEL, true, "for i = 1, 1e6 do end", &err), E_OK);
    assert_true(sandbox_was_slow(s));
    assert_int_equal(run_ticking(s, FUEL, false, "error('x')", &err), E_POLICY);
    assert_false(sandbox_was_slow(s));
    assert_int_equal(t.begun, t.ended);
    sandbox_free(s);
}

// What others take meanwhile is not the call's time, up to a limit.
static void test_sandbox_way__own_time(void **state)
{
    static const char work[] = "for i = 1, 3e6 do end";
    struct ticking t;
    struct err err = ERR_INIT;
    struct sandbox *s = sandbox_ticking(&t, true);

    (void)state;
    t.pause_ns = 8 * INT64_C(1000000);
    if (run_ticking(s, FUEL, false, work, &err) != E_OK)
        fail_msg("%s", err.message);
    assert_true(t.pauses * t.pause_ns > 2 * TICKING_MS * INT64_C(1000000));
    t.pause_ns = 5 * TICKING_MS * INT64_C(1000000);
    assert_int_equal(run_ticking(s, FUEL, false, work, &err), E_POLICY);
    assert_non_null(strstr(err.message, "stopped: it was not through in 2000 ms of the clock"));
    assert_sound(s, "a long pause");
    sandbox_free(s);
}

// Making way changes nothing of what a script does: it stops at the same place.
static void test_sandbox_way__same_place(void **state)
{
    static const char *const scripts[] = {
        "local n = 0\nwhile true do\n n = n + 1\n local t = { n }\nend",
        "while true do pcall(function()\n while true do local s = ('x'):rep(99)\nend end) end",
        "local t = {}\nfor i = 1, 1e9 do\n t[i % 9999] = { i }\nend",
    };
    struct ticking t[2];
    struct err err[2] = {ERR_INIT, ERR_INIT};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(scripts); i++) {
        int64_t used[2];

        for (int way = 0; way < 2; way++) {
            struct sandbox *s = sandbox_ticking(&t[way], way);

            assert_int_equal(run_ticking(s, 1000000, false, scripts[i], &err[way]), E_POLICY);
            used[way] = sandbox_used_fuel(s);
            sandbox_free(s);
        }
        assert_true(t[1].pauses > 0);
        assert_int_equal(used[0], used[1]);
        assert_string_equal(err[0].message, err[1].message);
    }
}

// ---- on another thread

struct place {
    struct loop *loop;
    struct fiber_pool *pool;
    struct side *side;
    unsigned under_way;
};

struct caller {
    struct place *place;
    struct sandbox *sandbox;
    size_t first;                   // probe; every STATES-th from there
    unsigned wrong, lost, away;     // outcomes; calls that ended elsewhere; pauses elsewhere
};

static void go_on(void *user, struct fiber *f)
{
    struct place *p = user;

    if (fiber_resume(p->pool, f))
        side_take(p->side, f);
    else if (--p->under_way == 0)
        loop_stop(p->loop);
}

static void *begin(void *user)
{
    struct place *p = user;

    return fiber_running(p->pool);
}

static struct way_slice pause_aside(void *work)
{
    const struct place *p = fiber_owner(work);

    if (side_has(p->side, work))
        side_turn(p->side, work);
    else
        fiber_pause(work);
    return (struct way_slice){.ns = 1000000, .elsewhere = true};
}

static void end_aside(void *work)
{
    const struct place *p = fiber_owner(work);

    if (side_has(p->side, work))
        side_leave(p->side, work);
}

static void run_all(void *user)
{
    struct caller *c = user;
    struct err err = ERR_INIT;
    pid_t home = gettid();

    for (size_t i = c->first; i < PROBES_LEN; i += STATES) {
        const struct probe *probe = &probes[i];
        // The first of each begins where it was called, the next may begin aside.
        struct sandbox_budget budget = {.fuel = FUEL, .ms = LIMIT_MS, .aside = i % 2 == 1};
        int rc = sandbox_call(c->sandbox, budget, run_chunk, (void *)(uintptr_t)probe->code, &err);

        if (probe->says && (rc == E_OK || !strstr(err.message, probe->says))) {
            fprintf(stderr, "%s\ngave '%s' (%d), not '%s'\n", probe->code, err.message, rc,
                    probe->says);
            c->wrong++;
        }
        c->away += sandbox_was_slow(c->sandbox);
        c->wrong += !is_sound(c->sandbox);
        c->lost += gettid() != home;
    }
}

static void run_aside(int signal)
{
    struct place p = {0};
    struct caller callers[STATES];

    assert_int_equal(loop_new(&p.loop, clock_system(), NULL), E_OK);
    assert_int_equal(fiber_pool_new(&p.pool, &p, NULL), E_OK);
    assert_int_equal(side_new(&p.side, p.loop, "parley-test", go_on, &p, NULL), E_OK);
    struct sandbox_options options = {
        .clock = clock_system(), .memory_bytes = MEMORY, .timer_signal = signal,
        .way = {.begin = begin, .pause = pause_aside, .end = end_aside, .user = &p}};
    for (unsigned i = 0; i < STATES; i++) {
        callers[i] = (struct caller){.place = &p, .first = i};
        assert_int_equal(sandbox_new(&callers[i].sandbox, &options, NULL), E_OK);
        struct fiber *f = fiber_start(p.pool, run_all, &callers[i]);
        assert_non_null(f);
        p.under_way++;
        side_take(p.side, f);
    }
    loop_run(p.loop);
    for (unsigned i = 0; i < STATES; i++) {
        assert_int_equal(callers[i].wrong, 0);
        assert_int_equal(callers[i].lost, 0);
        assert_true(callers[i].away > 0);
        sandbox_free(callers[i].sandbox);
    }
    side_free(p.side);
    fiber_pool_free(p.pool);
    loop_free(p.loop);
}

static void test_sandbox_way__elsewhere(void **state)
{
    (void)state;
    for (int mode = 0; mode < MODES; mode++)
        run_aside(mode == 0 ? 0 : SIGRTMIN + 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sandbox_way__when),
        cmocka_unit_test(test_sandbox_way__own_time),
        cmocka_unit_test(test_sandbox_way__same_place),
        cmocka_unit_test(test_sandbox_way__elsewhere),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
