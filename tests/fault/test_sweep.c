// SPDX-License-Identifier: MIT
// The sweep, killed before and after each op of its store, and run again: what was due is archived,
// once it was learnt from, what was to be deleted is gone, once recall was told, and nothing else
// is touched. Sessions that cannot be learnt from now are passed by, and keep no other. And the
// sweep under a clock that jumps by up to ten years, over boots: nothing is deleted before its time
// has passed in truth. (test_sweep_learn.c kills sweeps that learn with the whole engine.)
//
// Negative controls: a head that is due no more before its records are gone; a sweep that does not
// learn; and one that believes the clock.
#include "fault/run.h"

#include "jobs/sweep.h"
#include "unit/ledger_kit.h"

enum { HOUR = 3600 * 1000, TURNS = 40, WORLDS = 6 };
#define DAY ((int64_t)24 * HOUR)
#define YEAR (366 * DAY)

static uint32_t count_records(struct kit *k, const char *kind, const char *session)
{
    char prefix[64];
    snprintf(prefix, sizeof(prefix), "%s/%s/", kind, session);
    return kit_count(k, prefix);
}

// ---- a sweep on a store of its own

struct forgetting {
    struct kit *k;
    char prefix[64];           // of the records that are to be gone by then
    unsigned calls, early;
    struct store_op op;
    void (*done)(void *arg, int code);
    void *arg;
    struct store *store;       // of the process that sweeps; NULL: nobody learns
    char asked[ID_TEXT_BYTES], learnt[4][ID_TEXT_BYTES];
    unsigned learnt_len;
};

static bool is_learnt(const struct forgetting *f, const char *session)
{
    unsigned i = 0;
    while (i < f->learnt_len && strcmp(f->learnt[i], session) != 0)
        i++;
    return i < f->learnt_len;
}

// What the store lets be learnt is.
static void learnt(struct store_op *op)
{
    struct forgetting *f = CONTAINER_OF(op, struct forgetting, op);
    int code = op->code;
    store_op_release(op);
    if (!code && !is_learnt(f, f->asked))
        memcpy(f->learnt[f->learnt_len++], f->asked, ID_TEXT_BYTES);
    f->done(f->arg, code);
}

static void learn(void *user, const char *partition, const char *session,
                  void (*done)(void *arg, int code), void *arg)
{
    struct forgetting *f = user;
    f->done = done;
    f->arg = arg;
    memcpy(f->asked, session, strlen(session) + 1);
    f->op = (struct store_op){.verb = STORE_SCAN, .loop = f->k->loop, .done = learnt, .limit = 1,
                              .partition = slice_str(partition), .key = SLICE_LIT("turn/")};
    store_submit(f->store, &f->op);
}

static void looked(struct store_op *op)
{
    struct forgetting *f = CONTAINER_OF(op, struct forgetting, op);
    f->early += op->rows_len > 0;
    store_op_release(op);
    f->done(f->arg, E_OK);
}

static void forget(void *user, const char *partition, const char *bot,
                   void (*done)(void *arg, int code), void *arg)
{
    struct forgetting *f = user;
    (void)bot;
    f->calls++;
    f->done = done;
    f->arg = arg;
    f->op = (struct store_op){.verb = STORE_SCAN, .loop = f->k->loop, .done = looked, .limit = 1,
                              .partition = slice_str(partition), .key = slice_str(f->prefix)};
    store_submit(f->k->store, &f->op);
}

struct round {
    struct runner_ask ask;
    bool over;
};

static void round_over(struct runner_ask *a)
{
    CONTAINER_OF(a, struct round, ask)->over = true;
}

// As a process would: its own sweep and runner, asked once.
static int run_sweep(struct kit *k, struct store *store, struct forgetting *f, bool believe,
                     const char *boot_id, struct sweep_report *report)
{
    struct jobs_env env = {.store = store, .vault = k->vault, .loop = k->loop,
                           .clock = &k->clock->clock, .rand = &k->rand->rand,
                           .boot_id = boot_id, .forget = f ? forget : NULL,
                           .learn = f && f->store ? learn : NULL, .user = f,
                           .believe_clock = believe};
    struct round round = {.ask = {.done = round_over}};
    struct runner *runner;
    struct sweep *sweep;
    assert_int_equal(runner_new(&runner, &env, NULL), E_OK);
    assert_int_equal(sweep_new(&sweep, &env, NULL), E_OK);
    struct runner_job job = sweep_job(sweep);
    runner_add(runner, &job);
    runner_now(runner, &round.ask);
    assert_false(round.over);
    loop_run(k->loop);
    assert_true(round.over);
    if (report)
        *report = sweep_report(sweep);
    runner_free(runner);
    sweep_free(sweep);
    return round.ask.code;
}

// ---- killed at each op

struct world {
    struct kit k;
    char due[ID_TEXT_BYTES], old[ID_TEXT_BYTES], fresh[ID_TEXT_BYTES], open[ID_TEXT_BYTES];
    uint64_t fresh_version, open_version;
    struct forgetting f;
};

static struct chat *talk(struct world *w, unsigned turns, char id[ID_TEXT_BYTES])
{
    struct chat *c = kit_chat(&w->k, "kitchen");
    c->head.expiry = (struct expiry){EXPIRY_SLIDING, HOUR / 2, 2 * HOUR, 30 * DAY};
    for (unsigned i = 0; i < turns; i++)
        kit_turn(&w->k, c, "what was said", "what was answered");
    memcpy(id, c->head.id, ID_TEXT_BYTES);
    return c;
}

static uint64_t version_of(struct kit *k, const char *id)
{
    int code;
    struct chat *c = kit_again(k, id, &code);
    uint64_t version = c->head.version;
    chat_free(c);
    return version;
}

static void world_open(struct world *w, unsigned n)
{
    char url[64];
    memset(w, 0, sizeof(*w));
    snprintf(url, sizeof(url), "memory:sweep%u", n);
    kit_open(&w->k, url);
    chat_free(talk(w, TURNS, w->old));
    w->f.k = &w->k;
    w->f.store = w->k.store;
    snprintf(w->f.prefix, sizeof(w->f.prefix), "turn/%s/", w->old);
    kit_put(&w->k, "recall/hello", "{}", SLICE_NONE, 0);
    kit_put(&w->k, "original/email/0000000001", "{}", SLICE_NONE, KIT_WALL_MS + 20 * DAY);
    kit_put(&w->k, "original/email/0000000002", "{}", SLICE_NONE, KIT_WALL_MS + 200 * DAY);
    clock_sim_advance(w->k.clock, 3 * HOUR);
    assert_int_equal(run_sweep(&w->k, w->k.store, &w->f, false, "b", NULL), E_OK);
    clock_sim_advance(w->k.clock, 30 * DAY);
    chat_free(talk(w, 3, w->due));
    struct chat *c = talk(w, 2, w->open);
    assert_int_equal(kit_accept(&w->k, c, "who answers?"), E_OK);
    w->open_version = c->head.version;
    chat_free(c);
    clock_sim_advance(w->k.clock, 3 * HOUR);
    c = talk(w, 3, w->fresh);
    w->fresh_version = c->head.version;
    chat_free(c);
}

// What is wrong, or NULL.
static const char *look(struct world *w)
{
    struct kit *k = &w->k;
    const char *wrong = NULL;
    int code;
    struct chat *old = kit_again(k, w->old, &code), *due = kit_again(k, w->due, &code);
    if (old->head.status != SESSION_ARCHIVED || old->head.purged != TURNS || old->head.purging ||
        old->head.turns != TURNS)
        wrong = "what was to be deleted is not said to be";
    else if (count_records(k, "turn", w->old) || count_records(k, "event", w->old))
        wrong = "records of what was deleted are there yet";
    else if (count_records(k, "attempt", w->old) != TURNS)
        wrong = "what it cost is not known any more";
    else if (kit_count(k, "original/") != 1)
        wrong = "an original is there yet, or gone too early";
    else if (w->f.calls == 0 || w->f.early)
        wrong = "recall was not told, or too early";
    else if (due->head.status != SESSION_ARCHIVED || due->head.purged ||
             count_records(k, "turn", w->due) != 6)
        wrong = "what was due is not archived, or not whole";
    else if (!is_learnt(&w->f, w->due) || !is_learnt(&w->f, w->old))
        wrong = "what is archived was not learnt from";
    else if (is_learnt(&w->f, w->fresh) || is_learnt(&w->f, w->open))
        wrong = "what is not over was learnt from";
    else if (version_of(k, w->fresh) != w->fresh_version ||
             version_of(k, w->open) != w->open_version)
        wrong = "another session was touched";
    chat_free(old);
    chat_free(due);
    struct buf report = kit_verify(k);
    if (!wrong && report.len)
        wrong = "verify has something to say";
    buf_release(&report);
    return wrong;
}

// The head says that it is due no more.
static void forget_due(struct kit *k, const char *session)
{
    char key[64];
    snprintf(key, sizeof(key), "session/%s", session);
    struct kit_store_op w = {.op = {.verb = STORE_GET, .key = slice_str(key)}};
    kit_submit(k, &w);
    struct store_item item = {.verb = STORE_PUT, .key = slice_str(key),
                              .meta = w.op.rows[0].meta, .body = w.op.rows[0].body};
    struct kit_store_op put = {.op = {.verb = STORE_COMMIT, .items = &item, .items_len = 1}};
    kit_submit(k, &put);
    store_op_release(&put.op);
    store_op_release(&w.op);
}

// Killed at its n-th op, then run again. False: it had no such op.
enum lie { NO_LIE, DUE_NO_MORE, NOT_LEARNT };

static bool kill_at(unsigned world, unsigned n, bool after, enum lie lie, const char **wrong)
{
    struct world w;
    struct store *dying;
    char url[128];
    struct sweep_report report;
    world_open(&w, world);
    struct store_env env = {.clock = &w.k.clock->clock, .rand = &w.k.rand->rand};
    snprintf(url, sizeof(url), "faulty:fail_at=%u,mode=%s,sticky=1;memory:sweep%u", n,
             after ? "after" : "before", world);
    assert_int_equal(store_open(&dying, url, &env, NULL), E_OK);
    w.f.store = lie == NOT_LEARNT ? NULL : dying;
    bool killed = run_sweep(&w.k, dying, &w.f, false, "b", NULL) != E_OK;
    store_free(dying);
    w.f.store = w.k.store;
    if (lie == DUE_NO_MORE)
        forget_due(&w.k, w.old);
    for (int i = 0; i < 3; i++)
        assert_int_equal(run_sweep(&w.k, w.k.store, &w.f, false, "b", &report), E_OK);
    *wrong = look(&w);
    kit_close(&w.k);
    return killed;
}

static void test_sweep__killed_at_each_op(void **state)
{
    unsigned kills = 0, wrongs = 0, worlds = fault_long() ? 20 * WORLDS : 1;
    const char *why = "";

    (void)state;
    for (unsigned world = 0; world < worlds; world++) {
        for (unsigned mode = 0; mode < 2; mode++) {
            const char *wrong;
            for (unsigned n = 1; kill_at(world, n, mode, NO_LIE, &wrong); n++) {
                kills++;
                wrongs += wrong != NULL;
                why = wrong ? wrong : why;
            }
            wrongs += wrong != NULL;
        }
    }
    summary("sweep: %u kills, %u wrong (0) %s", kills, wrongs, why);
    assert_int_equal(wrongs, 0);
    assert_true(kills >= (fault_long() ? 1000 : 20));
}

static void test_sweep__control_due_no_more(void **state)
{
    unsigned kills = 0, wrongs = 0;
    const char *wrong;

    (void)state;
    for (unsigned n = 1; kill_at(0, n, true, DUE_NO_MORE, &wrong); n++) {
        kills++;
        wrongs += wrong != NULL;
    }
    summary("sweep, control: %u kills, %u wrong (more than 0)", kills, wrongs);
    assert_true(wrongs > 0);
}

static void test_sweep__control_not_learnt(void **state)
{
    unsigned kills = 0, wrongs = 0;
    const char *wrong;

    (void)state;
    for (unsigned n = 1; kill_at(0, n, true, NOT_LEARNT, &wrong); n++) {
        kills++;
        wrongs += wrong != NULL;
    }
    summary("sweep, control that archives at once: %u kills, %u wrong (more than 0)", kills,
            wrongs);
    assert_true(wrongs > 0);
}

// ---- what cannot be learnt from now

enum { RESTING = 5, FAILING = 2, WELL = 4, ALL = RESTING + FAILING + WELL, SLOW_MS = 25000 };

struct slow {
    struct kit *k;
    char ids[ALL][ID_TEXT_BYTES];
    unsigned asked[ALL], tries;
    struct loop_task task;
    int code;
    void (*done)(void *arg, int code);
    void *arg;
};

static void slow_over(struct loop_task *task)
{
    struct slow *s = CONTAINER_OF(task, struct slow, task);
    s->done(s->arg, s->code);
}

// The first ones rest, some fail, each time takes long.
static void slow_learn(void *user, const char *partition, const char *session,
                       void (*done)(void *arg, int code), void *arg)
{
    struct slow *s = user;
    unsigned i = 0;
    (void)partition;
    while (i < ALL && strcmp(s->ids[i], session) != 0)
        i++;
    assert_true(i < ALL);
    s->asked[i]++;
    s->code = i < RESTING ? E_BUSY : i < RESTING + FAILING ? E_PROVIDER : E_OK;
    s->done = done;
    s->arg = arg;
    s->task.fn = slow_over;
    clock_sim_advance(s->k->clock, SLOW_MS);
    loop_post(s->k->loop, &s->task);
}

static void test_sweep__goes_on_beside_what_fails(void **state)
{
    struct kit k;
    struct slow s = {.k = &k};
    struct round round = {.ask = {.done = round_over}};
    struct runner *runner;
    struct sweep *sweep;

    (void)state;
    kit_open(&k, "memory:");
    for (unsigned i = 0; i < ALL; i++) {
        struct chat *c = kit_chat(&k, "kitchen");
        c->head.expiry = (struct expiry){EXPIRY_SLIDING, HOUR / 2, 2 * HOUR, 0};
        kit_turn(&k, c, "what was said", "what was answered");
        memcpy(s.ids[i], c->head.id, ID_TEXT_BYTES);
        chat_free(c);
        clock_sim_advance(k.clock, 1000);
    }
    clock_sim_advance(k.clock, 3 * HOUR);
    struct jobs_env env = {.store = k.store, .vault = k.vault, .loop = k.loop,
                           .clock = &k.clock->clock, .rand = &k.rand->rand, .boot_id = "b",
                           .learn = slow_learn, .user = &s};
    assert_int_equal(runner_new(&runner, &env, NULL), E_OK);
    assert_int_equal(sweep_new(&sweep, &env, NULL), E_OK);
    struct runner_job job = sweep_job(sweep);
    runner_add(runner, &job);
    runner_now(runner, &round.ask);
    loop_run(k.loop);
    assert_true(round.over);
    struct sweep_report report = sweep_report(sweep);
    assert_int_equal(report.archived, WELL);
    assert_int_equal(report.learnt, WELL);
    assert_int_equal(report.failed, FAILING);
    // Each pass ends before its time, and none looks twice at what it passed by.
    for (unsigned i = 0; i < ALL; i++)
        assert_int_equal(s.asked[i], 1);
    runner_free(runner);
    sweep_free(sweep);
    kit_close(&k);
}

// ---- a clock that jumps

enum { SESSIONS = 8 };

struct jumps {
    struct kit k;
    struct clock_sim truth;     // mono: how long the machine has been up; wall: what it says
    int64_t now_ms;             // in truth
    int64_t up_ms;
    unsigned boots;
    struct {
        char id[ID_TEXT_BYTES];
        int64_t last_ms;        // in truth
        bool purged;
    } sessions[SESSIONS];
    unsigned purges, early;
};

static void pass_time(struct jumps *j, int64_t ms)
{
    clock_sim_advance(j->k.clock, ms);
    j->now_ms += ms;
}

static void say(struct jumps *j, unsigned i)
{
    struct chat *c = kit_chat(&j->k, "kitchen");
    c->head.expiry = (struct expiry){EXPIRY_SLIDING, HOUR / 2, 2 * HOUR, 30 * DAY};
    kit_turn(&j->k, c, "what was said", "what was answered");
    memcpy(j->sessions[i].id, c->head.id, ID_TEXT_BYTES);
    j->sessions[i].last_ms = j->now_ms;
    j->sessions[i].purged = false;
    chat_free(c);
}

static void sweep_and_look(struct jumps *j, bool believe)
{
    char boot[CLOCK_BOOT_ID_BYTES];
    struct sweep_report report;
    snprintf(boot, sizeof(boot), "boot-%u", j->boots);
    assert_int_equal(run_sweep(&j->k, j->k.store, NULL, believe, boot, &report), E_OK);
    for (unsigned i = 0; i < SESSIONS && report.purged; i++) {
        if (!j->sessions[i].id[0] || j->sessions[i].purged ||
            count_records(&j->k, "turn", j->sessions[i].id))
            continue;
        j->sessions[i].purged = true;
        j->purges++;
        j->early += j->now_ms - j->sessions[i].last_ms < 30 * DAY;
    }
}

static int64_t jump_size(struct rand_sim *r)
{
    int64_t size = 8 * DAY + (int64_t)rand_below(&r->rand, (uint64_t)(10 * YEAR));
    return rand_below(&r->rand, 2) ? size : -size;
}

static void step(struct jumps *j, struct rand_sim *r, bool believe)
{
    unsigned i = (unsigned)rand_below(&r->rand, SESSIONS);
    switch (rand_below(&r->rand, 16)) {
    case 0:
        if (!j->sessions[i].id[0] || j->sessions[i].purged)
            say(j, i);
        break;
    case 1:  // it jumps; the next pass is minutes away
        clock_sim_jump(j->k.clock, jump_size(r));
        sweep_and_look(j, believe);
        break;
    case 2:  // put right again
        clock_sim_jump(j->k.clock, j->now_ms - clock_wall_ms(&j->k.clock->clock));
        sweep_and_look(j, believe);
        break;
    case 3:  // off for a while, and another boot; its clock may be wrong
        pass_time(j, (int64_t)rand_below(&r->rand, (uint64_t)(6 * DAY)));
        j->k.clock->mono_now_ns = (int64_t)rand_below(&r->rand, 60) * 1000000000;
        j->boots++;
        if (rand_below(&r->rand, 2))
            clock_sim_jump(j->k.clock, jump_size(r));
        sweep_and_look(j, believe);
        break;
    default:
        pass_time(j, (int64_t)rand_below(&r->rand, (uint64_t)(2 * DAY)));
        sweep_and_look(j, believe);
    }
}

static void jump_about(uint64_t seed, unsigned steps, bool believe, struct jumps *j)
{
    struct rand_sim r;
    unsigned world = 0;
    rand_sim_init(&r, seed);
    unsigned purges = 0, early = 0;
    // A world of its own for every few thousand steps: sessions that were deleted pile up.
    for (unsigned at = 0; at < steps; at += 2000) {
        memset(j, 0, sizeof(*j));
        kit_open(&j->k, "memory:");
        clock_sim_jump(j->k.clock, 20 * YEAR);
        j->now_ms = clock_wall_ms(&j->k.clock->clock);
        sweep_and_look(j, believe);
        for (unsigned i = 0; i < 2000 && at + i < steps; i++)
            step(j, &r, believe);
        purges += j->purges;
        early += j->early;
        world++;
        kit_close(&j->k);
    }
    j->purges = purges;
    j->early = early;
}

static void test_sweep__clock_jumps(void **state)
{
    unsigned steps = fault_long() ? 1000000 : 100000;
    uint64_t seed = fault_seed();
    struct jumps j;

    (void)state;
    jump_about(seed, steps, false, &j);
    summary("sweep, clock jumps of 10 years: %u steps, %u sessions deleted, %u early (0), seed "
            "%llu", steps, j.purges, j.early, (unsigned long long)seed);
    assert_int_equal(j.early, 0);
    assert_true(j.purges > steps / 2000);
}

static void test_sweep__control_clock_believed(void **state)
{
    struct jumps j;

    (void)state;
    jump_about(7, 4000, true, &j);
    summary("sweep, control that believes the clock: %u deleted, %u early (more than 0)", j.purges,
            j.early);
    assert_true(j.early > 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test(test_sweep__##name)
    const struct CMUnitTest tests[] = {TEST(killed_at_each_op), TEST(control_due_no_more),
                                       TEST(control_not_learnt), TEST(goes_on_beside_what_fails),
                                       TEST(clock_jumps), TEST(control_clock_believed)};

    return cmocka_run_group_tests_name("sweep", tests, NULL, NULL);
}
