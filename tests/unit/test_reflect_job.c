// SPDX-License-Identifier: MIT
// test_reflect_job.c: a pass finds whose reflection is due, and nobody else; it is bounded, and a
// failure harms no other.
#include "jobs/reflect.h"
#include "unit/ledger_kit.h"

enum { USERS = REFLECT_USERS_MAX + 30, OTHERS = 1200 };

static struct kit k;
static uint32_t asked, failing;

static void over(struct job_pass *p)
{
    *(bool *)p->runner = true;
}

static struct {
    struct store_op op;
    struct store_item item;
    char key[128];
    void (*done)(void *arg, int code);
    void *arg;
} deleting;

static void deleted(struct store_op *op)
{
    int code = op->code;
    store_op_release(op);
    deleting.done(deleting.arg, code);
}

// As turn/reflect.h: what is done is due no more.
static void reflect(void *user, const char *partition, const char *bot,
                    void (*done)(void *arg, int code), void *arg)
{
    (void)user;

    asked++;
    assert_int_equal(strncmp(bot, "bot", 3), 0);
    if (strcmp(bot, "bot7") == 0) {
        failing++;
        done(arg, E_STORE);
        return;
    }
    snprintf(deleting.key, sizeof(deleting.key), "memory/%s", bot);
    deleting.done = done;
    deleting.arg = arg;
    deleting.item = (struct store_item){.verb = STORE_DELETE, .key = slice_str(deleting.key),
                                        .version = 1};
    deleting.op = (struct store_op){.verb = STORE_COMMIT, .loop = k.loop, .done = deleted,
                                    .partition = slice_str(partition), .items = &deleting.item,
                                    .items_len = 1};
    store_submit(k.store, &deleting.op);
}

static void run_pass(struct reflect_work *w, struct job_pass *p)
{
    bool done = false;
    struct runner_job job = reflect_job(w);

    *p = (struct job_pass){.over = over, .runner = &done};
    job.pass(job.self, p);
    loop_run(k.loop);
    assert_true(done);
    assert_int_equal(p->code, E_OK);
}

static void test_reflect_job__finds_what_is_due(void **state)
{
    (void)state;
    struct reflect_work *w;
    struct job_pass p;
    char key[64];

    kit_open(&k, "memory:");
    for (uint32_t i = 0; i < OTHERS; i++) {
        snprintf(key, sizeof(key), "original/email/%010u", i);
        kit_put(&k, key, "{}", SLICE_NONE, 1);
    }
    for (uint32_t i = 0; i < USERS; i++) {
        snprintf(key, sizeof(key), "memory/bot%u", i);
        kit_put(&k, key, "{}", SLICE_NONE, 2 + i);
    }
    kit_put(&k, "memory/never", "{}", SLICE_NONE, 0);
    kit_put(&k, "memory/not_yet", "{}", SLICE_NONE, 2 * (int64_t)KIT_WALL_MS);
    struct jobs_env env = {.store = k.store, .vault = k.vault, .loop = k.loop,
                           .clock = &k.clock->clock, .rand = &k.rand->rand, .boot_id = "boot",
                           .reflect = reflect};
    assert_int_equal(reflect_work_new(&w, &env, NULL), E_OK);
    run_pass(w, &p);
    assert_true(p.more);
    assert_int_equal(asked, REFLECT_USERS_MAX);
    run_pass(w, &p);
    assert_false(p.more);
    // All but the one that fails, which is due still.
    assert_int_equal(asked, USERS);
    assert_int_equal(failing, 1);
    assert_int_equal(kit_count(&k, "memory/"), 3);
    reflect_work_free(w);
    kit_close(&k);
}

static void refuse(void *user, const char *partition, const char *bot,
                   void (*done)(void *arg, int code), void *arg)
{
    (void)user;
    (void)partition;
    (void)bot;
    asked++;
    done(arg, E_CORRUPT);
}

// However many fail, those behind them are asked in their turn, and there is an end to it.
static void test_reflect_job__many_that_fail(void **state)
{
    (void)state;
    struct reflect_work *w;
    struct job_pass p;
    char key[64];

    kit_open(&k, "memory:");
    for (uint32_t i = 0; i < USERS; i++) {
        snprintf(key, sizeof(key), "memory/bot%u", i);
        kit_put(&k, key, "{}", SLICE_NONE, 2 + i);
    }
    struct jobs_env env = {.store = k.store, .vault = k.vault, .loop = k.loop,
                           .clock = &k.clock->clock, .rand = &k.rand->rand, .boot_id = "boot",
                           .reflect = refuse};
    asked = 0;
    assert_int_equal(reflect_work_new(&w, &env, NULL), E_OK);
    run_pass(w, &p);
    assert_true(p.more);
    run_pass(w, &p);
    assert_false(p.more);
    assert_int_equal(asked, USERS);
    run_pass(w, &p);  // later, from the beginning
    assert_true(p.more);
    assert_int_equal(asked, USERS + REFLECT_USERS_MAX);
    reflect_work_free(w);
    kit_close(&k);
}

// However much that is other jobs' own is due in front of them, those behind it are asked: by the
// pass that goes on, and without the pass in which nobody was found being repeated.
static void test_reflect_job__behind_what_is_others(void **state)
{
    (void)state;
    enum { IN_FRONT = 2 * REFLECT_ROWS_MAX + 7, BEHIND = 3 };
    struct reflect_work *w;
    struct job_pass p;
    unsigned passes = 0;
    char key[64];

    kit_open(&k, "memory:");
    for (uint32_t i = 0; i < IN_FRONT; i++) {
        snprintf(key, sizeof(key), "original/email/%010u", i);
        kit_put(&k, key, "{}", SLICE_NONE, 1);
    }
    for (uint32_t i = 0; i < BEHIND; i++) {
        snprintf(key, sizeof(key), "memory/bot%u", i);
        kit_put(&k, key, "{}", SLICE_NONE, 2 + i);
    }
    struct jobs_env env = {.store = k.store, .vault = k.vault, .loop = k.loop,
                           .clock = &k.clock->clock, .rand = &k.rand->rand, .boot_id = "boot",
                           .reflect = refuse};
    asked = 0;
    assert_int_equal(reflect_work_new(&w, &env, NULL), E_OK);
    do {
        run_pass(w, &p);
        passes++;
        assert_true(passes < 10);
    } while (p.more);
    assert_int_equal(passes, 3);
    assert_int_equal(asked, BEHIND);
    run_pass(w, &p);  // later, from the beginning
    assert_true(p.more);
    assert_int_equal(asked, BEHIND);
    reflect_work_free(w);
    kit_close(&k);
}

// Nobody reflects: a pass is over, and has done nothing.
static void test_reflect_job__nobody_reflects(void **state)
{
    (void)state;
    struct reflect_work *w;
    struct job_pass p;

    kit_open(&k, "memory:");
    kit_put(&k, "memory/bot", "{}", SLICE_NONE, 1);
    struct jobs_env env = {.store = k.store, .vault = k.vault, .loop = k.loop,
                           .clock = &k.clock->clock, .rand = &k.rand->rand, .boot_id = "boot"};
    assert_int_equal(reflect_work_new(&w, &env, NULL), E_OK);
    run_pass(w, &p);
    assert_false(p.more);
    assert_int_equal(kit_count(&k, "memory/"), 1);
    reflect_work_free(w);
    kit_close(&k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reflect_job__finds_what_is_due),
        cmocka_unit_test(test_reflect_job__many_that_fail),
        cmocka_unit_test(test_reflect_job__behind_what_is_others),
        cmocka_unit_test(test_reflect_job__nobody_reflects),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
