// SPDX-License-Identifier: MIT
// The simulated wire, in simulated time.
#include "support/wire_probe.h"

struct script {
    struct loop *loop;
    struct wire_request *r;   // the one under way
    struct loop_timer timer;
    int64_t step_ms;          // between pieces; -1: never answers
    unsigned pieces_left, gone, answers;
};

static void play(struct loop_timer *timer)
{
    struct script *script = (struct script *)((char *)timer - offsetof(struct script, timer));

    if (script->pieces_left == 0) {
        wire_sim_done(script->r, WIRE_OK);
        return;
    }
    script->pieces_left--;
    if (wire_sim_data(script->r, SLICE_LIT("abc")))
        loop_timer_start(script->loop, &script->timer, script->step_ms);
}

static void answer(void *user, struct wire_request *r)
{
    struct script *script = user;

    script->answers++;
    script->r = r;
    if (script->step_ms < 0)
        return;
    wire_sim_status(r, 200);
    wire_sim_header(r, "A", "b");
    play(&script->timer);
}

static void gone(void *user, struct wire_request *r)
{
    struct script *script = user;

    script->gone++;
    if (r == script->r)
        loop_timer_stop(script->loop, &script->timer);
}

struct sim {
    struct clock_sim clock;
    struct world world;
    struct script script;
};

static void sim_init(struct sim *s, int64_t step_ms, unsigned pieces)
{
    memset(s, 0, sizeof(*s));
    clock_sim_init(&s->clock, 0);
    assert_int_equal(loop_new_sim(&s->world.loop, &s->clock, NULL), E_OK);
    s->script = (struct script){.loop = s->world.loop, .timer = {.fn = play},
                                .step_ms = step_ms, .pieces_left = pieces};
    struct wire_sim_ops ops = {.answer = answer, .user = &s->script, .gone = gone};
    assert_int_equal(wire_new_sim(&s->world.wire, s->world.loop, &ops, NULL), E_OK);
}

static void sim_release(struct sim *s)
{
    wire_free(s->world.wire);
    loop_free(s->world.loop);
}

static void test_wire_sim__plays(void **state)
{
    (void)state;
    struct sim s;
    struct probe p;
    sim_init(&s, 1000, 3);
    probe_init(&p, &s.world);
    ask(&p);
    assert_int_equal(p.end, WIRE_OK);
    assert_int_equal(p.status, 200);
    assert_text(&p.headers, "A=b;");
    assert_text(&p.body, "abcabcabc");
    assert_int_equal(s.script.gone, 0);
    assert_int_equal(s.clock.wall_now_ms, 3000);
    probe_release(&p);
    sim_release(&s);
}

static void check_sim(int64_t step_ms, unsigned pieces, struct wire_deadlines deadlines,
                      uint64_t max_bytes, enum wire_end end, int64_t ms)
{
    struct sim s;
    struct probe p;
    sim_init(&s, step_ms, pieces);
    probe_init(&p, &s.world);
    p.r.deadlines = deadlines;
    p.r.max_bytes = max_bytes;
    ask(&p);
    assert_int_equal(p.end, end);
    assert_int_equal(s.script.gone, end != WIRE_OK);
    assert_int_equal(s.clock.wall_now_ms, ms);
    probe_release(&p);
    sim_release(&s);
}

static void test_wire_sim__deadlines_and_limits(void **state)
{
    (void)state;
    struct wire_deadlines deadlines = {1000, 2000, 500, 5000};

    check_sim(-1, 0, deadlines, BODY_MAX, WIRE_FIRST_LATE, 2000);
    check_sim(499, 9, deadlines, BODY_MAX, WIRE_OK, 9 * 499);
    check_sim(499, 1000, deadlines, BODY_MAX, WIRE_TOTAL_LATE, 5000);
    check_sim(501, 9, deadlines, BODY_MAX, WIRE_IDLE_LATE, 500);
    check_sim(100, 9, deadlines, 8, WIRE_TOO_BIG, 200);
    check_sim(100, 3, deadlines, 9, WIRE_OK, 300);
}

static void test_wire_sim__cancel(void **state)
{
    (void)state;
    struct sim s;
    struct probe p;

    sim_init(&s, 10, 5);
    for (int at = AT_STATUS; at <= AT_DATA; at++) {
        probe_init(&p, &s.world);
        p.cancel_at = at;
        ask(&p);
        assert_int_equal(p.end, WIRE_CANCELLED);
        assert_int_equal(p.pieces, at == AT_DATA);
        probe_release(&p);
    }
    assert_int_equal(s.script.gone, 3);

    // Before the script saw it, it never does.
    unsigned answers = s.script.answers;
    probe_init(&p, &s.world);
    begin(&p);
    stop(&p);
    assert_int_equal(p.done, 0);
    run(&s.world);
    assert_int_equal(p.end, WIRE_CANCELLED);
    assert_int_equal(s.script.answers, answers);
    assert_int_equal(s.script.gone, 3);
    probe_release(&p);

    probe_init(&p, &s.world);
    begin(&p);
    wire_free(s.world.wire);
    s.world.wire = NULL;
    assert_int_equal(p.end, WIRE_CANCELLED);
    probe_release(&p);
    sim_release(&s);
}

static void test_wire_sim__too_many(void **state)
{
    (void)state;
    enum { MANY = 4096 };
    struct sim s;
    struct probe one, *probes = calloc(MANY, sizeof(*probes));
    assert_non_null(probes);
    sim_init(&s, -1, 0);
    for (int i = 0; i < MANY; i++) {
        probe_init(&probes[i], &s.world);
        begin(&probes[i]);
    }
    probe_init(&one, &s.world);
    assert_int_equal(try_begin(&one), E_BUSY);
    stop(&probes[7]);
    loop_run_for(s.world.loop, 0);
    assert_int_equal(probes[7].end, WIRE_CANCELLED);
    begin(&one);
    wire_free(s.world.wire);
    s.world.wire = NULL;
    for (int i = 0; i < MANY; i++)
        probe_release(&probes[i]);
    probe_release(&one);
    sim_release(&s);
    free(probes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_wire_sim__plays),
        cmocka_unit_test(test_wire_sim__deadlines_and_limits),
        cmocka_unit_test(test_wire_sim__cancel),
        cmocka_unit_test(test_wire_sim__too_many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
