// SPDX-License-Identifier: MIT
// test_gauge.c: what is learned of a provider's tokens by workers that share a store: written now
// and then, read again, added up over processes, not spoilt by one user, a damaged record or a
// store that fails. And the figures: limits that are kept, and what they are measured from.
#include "turn/gauge.h"

#include "ledger/house.h"
#include "llm_kit.h"

enum { SENT = 1000 };

static const char model[] = "claude-sonnet-4-5";
static const struct slice record = SLICE_LIT("tokens/anthropic/claude-sonnet-4-5");
static const struct slice house = SLICE_LIT(HOUSE_PARTITION);

// A store with its vault, and what all workers share.
struct world {
    struct kit_env env;
    struct store *store;
    struct vault *vault;
    struct log log;
    unsigned logged;
};

static void on_log(void *user, enum log_level level, const char *line)
{
    struct world *world = user;
    (void)line;
    world->logged += level == LOG_WARN;
}

static void world_open(struct world *world, const char *store)
{
    memset(world, 0, sizeof(*world));
    kit_env_init(&world->env, NULL, NULL);
    world->env.key = "sk-1";
    world->log = (struct log){.sink = on_log, .user = world, .min_level = LOG_INFO};
    struct store_env store_env = {.clock = &world->env.clock.clock, .rand = &world->env.rand.rand,
                                  .log = &world->log};
    struct vault_options options = {.rand = &world->env.rand.rand, .no_thread = true};
    assert_int_equal(store_open(&world->store, store, &store_env, NULL), E_OK);
    assert_int_equal(vault_open(&world->vault, &options, NULL), E_OK);
}

static void world_close(struct world *world)
{
    store_free(world->store);
    vault_free(world->vault);
    kit_env_release(&world->env);
}

// A worker of some process, with one turn of one user's under way.
struct process {
    struct worker w;
    struct llm *llm;
    struct chat chat;
    struct live live;
    struct job job;
    struct run run;
    unsigned ready, warned;
};

static void on_event(void *user, const struct event *event)
{
    ((struct process *)user)->warned += event->type == EVENT_WARNING;
}

static void on_ready(struct run *run)
{
    ((struct process *)run->extra)->ready++;
}

static void process_open(struct process *p, struct world *world)
{
    memset(p, 0, sizeof(*p));
    p->w.env = (struct worker_env){.loop = world->env.loop,
                                   .store = world->store,
                                   .vault = world->vault,
                                   .clock = &world->env.clock.clock,
                                   .rand = &world->env.rand.rand,
                                   .log = &world->log,
                                   .sink = on_event,
                                   .user = p};
    assert_int_equal(map_new(&p->w.gauges, GAUGES_MAX), E_OK);
    assert_int_equal(llm_open(&p->llm, "anthropic", &world->env.env, NULL), E_OK);
    p->live.chat = &p->chat;
    p->run = (struct run){.w = &p->w, .job = &p->job, .live = &p->live, .llm = p->llm, .turn = 1,
                          .policy = policy_plain(), .extra = p};
    p->run.caps.window_tokens = 200000;
    history_plan_full(&p->run.plan);
    snprintf(p->run.provider, sizeof(p->run.provider), "anthropic");
    snprintf(p->run.model, sizeof(p->run.model), "%s", model);
    gauge_attach(&p->run);
    assert_non_null(p->run.gauge);
    gauge_wait(&p->run, on_ready);
    assert_int_equal(p->ready, 0);
    loop_run(world->env.loop);
    assert_int_equal(p->ready, 1);
}

static void observe_as(struct process *p, unsigned user, uint64_t billed)
{
    snprintf(p->run.partition, sizeof(p->run.partition), "%08x000000000000000000000000", user);
    p->run.context.total_tokens = SENT;
    gauge_observe(&p->run, billed);
}

static void observe(struct process *p, uint64_t billed, unsigned times)
{
    while (times-- > 0)
        observe_as(p, times, billed);
}

// As worker_drain does.
static void process_close(struct process *p, struct world *world)
{
    p->w.draining = true;
    p->w.runs = &p->run;  // no end of it is posted
    unsigned writes = 0;
    while (gauges_busy(&p->w)) {
        assert_true(writes++ < 3);
        loop_run(world->env.loop);
    }
    gauges_free(&p->w);
    llm_free(p->llm);
}

static const struct calibration *all(const struct process *p)
{
    return &p->run.gauge->all;
}

// ---- in the store

static void test_gauge__is_written_now_and_then_and_read_once(void **state)
{
    struct world world;
    struct process a, b;
    (void)state;
    world_open(&world, "memory:");
    process_open(&a, &world);
    observe(&a, 1300, GAUGE_OBSERVATIONS - 1);
    loop_run(world.env.loop);
    process_open(&b, &world);
    assert_int_equal(all(&b)->seen, 0);
    process_close(&b, &world);
    observe(&a, 1300, 1);
    loop_run(world.env.loop);
    process_open(&b, &world);
    assert_int_equal(all(&b)->seen, GAUGE_OBSERVATIONS);
    assert_memory_equal(all(&a), all(&b), sizeof(struct calibration));
    process_close(&b, &world);
    // After a while, however few.
    observe(&a, 1300, 1);
    clock_sim_advance(&world.env.clock, GAUGE_WRITE_MS);
    observe(&a, 1300, 1);
    loop_run(world.env.loop);
    process_open(&b, &world);
    assert_int_equal(all(&b)->seen, GAUGE_OBSERVATIONS + 2);
    process_close(&b, &world);
    // And at the end.
    observe(&a, 1300, 1);
    process_close(&a, &world);
    process_open(&b, &world);
    assert_int_equal(all(&b)->seen, GAUGE_OBSERVATIONS + 3);
    // A turn that comes when it is read does not wait.
    gauge_wait(&b.run, on_ready);
    assert_int_equal(b.ready, 2);
    process_close(&b, &world);
    world_close(&world);
}

static void test_gauge__what_two_processes_see_adds_up(void **state)
{
    struct world world;
    struct process p[3], after;
    (void)state;
    world_open(&world, "memory:");
    for (unsigned i = 0; i < 3; i++)
        process_open(&p[i], &world);
    for (unsigned round = 1; round <= 4; round++) {
        for (unsigned i = 0; i < 3; i++)
            observe(&p[i], 1000 + 100 * i, GAUGE_OBSERVATIONS);  // written at once, all three
        loop_run(world.env.loop);
        process_open(&after, &world);
        assert_int_equal(all(&after)->seen, 3 * GAUGE_OBSERVATIONS * round);
        process_close(&after, &world);
    }
    for (unsigned i = 0; i < 3; i++)
        process_close(&p[i], &world);
    world_close(&world);
}

static void put_record(struct world *world, const char *meta)
{
    struct store_item item = {.verb = STORE_PUT, .key = record, .meta = slice_str(meta)};
    struct store_op op = {.verb = STORE_COMMIT, .loop = world->env.loop, .partition = house,
                          .items = &item, .items_len = 1};
    op.done = store_op_release;
    store_submit(world->store, &op);
    loop_run(world->env.loop);
    assert_int_equal(op.code, E_OK);
}

static void test_gauge__a_damaged_record_is_learned_anew(void **state)
{
    struct world world;
    struct process a, b;
    (void)state;
    world_open(&world, "memory:");
    put_record(&world, "{\"seen\":9,\"from\":100,\"bins\":[9]}");
    process_open(&a, &world);
    assert_int_equal(world.logged, 1);
    assert_int_equal(all(&a)->seen, 0);
    assert_int_equal(gauge_likely(&a.run, NULL, 5000), 5000);
    observe(&a, 1300, 3);
    process_close(&a, &world);
    process_open(&b, &world);
    assert_int_equal(world.logged, 1);
    assert_int_equal(all(&b)->seen, 3);
    process_close(&b, &world);
    world_close(&world);
}

static void verified(struct ledger_op *op)
{
    (void)op;
}

// What `parley verify` finds in the house's partition.
static void verify(struct world *world, struct buf *report)
{
    struct ledger_env env = {.store = world->store, .vault = world->vault, .loop = world->env.loop,
                             .clock = &world->env.clock.clock, .rand = &world->env.rand.rand,
                             .log = &world->log};
    struct ledger_op op = {.done = verified};
    struct ledger *ledger;
    assert_int_equal(ledger_new(&ledger, &env, NULL), E_OK);
    buf_clear(report);
    ledger_verify(ledger, HOUSE_PARTITION, NULL, report, &op);
    loop_run(world->env.loop);
    assert_int_equal(op.code, E_OK);
    buf_add_char(report, '\0');
    ledger_free(ledger);
}

static void test_gauge__damage_is_told_by_verify(void **state)
{
    struct world world;
    struct process a;
    struct buf report = BUF_INIT(1 << 16);
    (void)state;
    world_open(&world, "memory:");
    process_open(&a, &world);
    observe(&a, 1300, 3);
    process_close(&a, &world);
    verify(&world, &report);
    assert_string_equal(report.ptr, "");
    put_record(&world, "{\"seen\":3,\"from\":60,\"bins\":[2048],\"sum\":\"0\"}");
    verify(&world, &report);
    assert_string_equal(report.ptr, "tokens/anthropic/claude-sonnet-4-5: it is not what was "
                                    "written there; it is learned anew\n");
    buf_release(&report);
    world_close(&world);
}

// Whatever the store does, turns go on, and so does the end.
static void test_gauge__a_store_that_fails(void **state)
{
    static const char *const stores[] = {
        "faulty:fail_at=1,mode=before;memory:", "faulty:fail_at=2,mode=before;memory:",
        "faulty:fail_at=2,mode=after;memory:", "faulty:fail_at=3,mode=before;memory:"};
    (void)state;
    for (size_t i = 0; i < sizeof(stores) / sizeof(stores[0]); i++) {
        struct world world;
        struct process a;
        world_open(&world, stores[i]);
        process_open(&a, &world);
        observe(&a, 1300, 3 * GAUGE_OBSERVATIONS);
        loop_run(world.env.loop);
        assert_int_equal(all(&a)->seen, 3 * GAUGE_OBSERVATIONS);
        process_close(&a, &world);
        world_close(&world);
    }
}

// ---- whose observations

static void test_gauge__one_user_moves_nothing_for_the_others(void **state)
{
    struct world world;
    struct process p;
    (void)state;
    world_open(&world, "memory:");
    process_open(&p, &world);
    // Every second request is the same user's, whose texts take two and a half times as much.
    for (unsigned i = 0; i < 4000; i++)
        observe_as(&p, i % 2 ? 7 : 100 + i, i % 2 ? 2500 : 1040 + i % 40);
    assert_true(gauge_most(&p.run, NULL, 1000) < 1150);
    assert_true(gauge_likely(&p.run, NULL, 1000) < 1100);
    process_close(&p, &world);
    // Where there is nobody else, it is that one's that holds.
    world_close(&world);
    world_open(&world, "memory:");
    process_open(&p, &world);
    for (unsigned i = 0; i < 100; i++)
        observe_as(&p, 7, 2500);
    assert_true(gauge_likely(&p.run, NULL, 1000) > 2400);
    process_close(&p, &world);
    world_close(&world);
}

// ---- figures

static void test_gauge__room_is_kept(void **state)
{
    struct world world;
    struct process p;
    (void)state;
    world_open(&world, "memory:");
    process_open(&p, &world);
    const struct rand *r = &world.env.rand.rand;
    for (unsigned i = 0; i < 4000; i++) {
        uint64_t limit = rand_below(r, 300000), known = 128 + rand_below(r, 200000);
        struct anchor anchor = {.estimated = known, .tokens = known / 2 + rand_below(r, known)};
        const struct anchor *from = rand_below(r, 2) ? &anchor : NULL;
        observe_as(&p, i, 500 + rand_below(r, 2000));
        p.run.careful = false;
        uint64_t likely = gauge_room(&p.run, from, limit);
        assert_true(gauge_likely(&p.run, from, likely) <= limit);
        p.run.careful = true;
        uint64_t sure = gauge_room(&p.run, from, limit);
        assert_true(gauge_most(&p.run, from, sure) <= limit);
        assert_true(sure <= likely);
    }
    process_close(&p, &world);
    world_close(&world);
}

static void test_gauge__what_is_known_is_not_estimated(void **state)
{
    struct world world;
    struct process p;
    struct anchor anchor = {.estimated = 10000, .tokens = 17000};
    (void)state;
    world_open(&world, "memory:");
    process_open(&p, &world);
    assert_int_equal(gauge_likely(&p.run, &anchor, 10000), 17000);
    assert_int_equal(gauge_most(&p.run, &anchor, 10000), 17000);
    assert_int_equal(gauge_likely(&p.run, &anchor, 10100), 17100);
    assert_int_equal(gauge_likely(&p.run, &anchor, 5000), 8500);
    // A public vocabulary: our counts are the provider's.
    snprintf(p.run.caps.encoding, sizeof(p.run.caps.encoding), "o200k_base");
    assert_int_equal(gauge_most(&p.run, NULL, 5000), 5000);
    observe(&p, 1500, 100);
    assert_int_equal(all(&p)->seen, 0);
    p.run.caps.encoding[0] = '\0';
    process_close(&p, &world);
    world_close(&world);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gauge__is_written_now_and_then_and_read_once),
        cmocka_unit_test(test_gauge__what_two_processes_see_adds_up),
        cmocka_unit_test(test_gauge__a_damaged_record_is_learned_anew),
        cmocka_unit_test(test_gauge__damage_is_told_by_verify),
        cmocka_unit_test(test_gauge__a_store_that_fails),
        cmocka_unit_test(test_gauge__one_user_moves_nothing_for_the_others),
        cmocka_unit_test(test_gauge__room_is_kept),
        cmocka_unit_test(test_gauge__what_is_known_is_not_estimated),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
