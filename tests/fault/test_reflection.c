// SPDX-License-Identifier: MIT
// The end of sessions, killed before and after each operation on the store: their journal, and a
// reflection over all of them. Another engine then goes on; what is remembered is to the byte what
// it is where nobody was killed: no entry and no conclusion is there twice, none is lost.
//
// And a turn whose plan changes core memory: where it is said to be done, that is changed.
//
// Negative controls: a reflection that is said to be over before its conclusions are there; a turn
// that is done and core memory as it was.
#include "fault/remembered.h"

#include "store/faulty.h"

// ---- the control: the manifest says that nothing is due

static void forget_due(struct world *w)
{
    char partition[PARTITION_BYTES];
    vault_partition(w->engine->vault, SLICE_LIT("ann"), partition);
    struct lie get = {.op = {.verb = STORE_GET, .partition = slice_str(partition),
                             .key = SLICE_LIT("memory/fault")}};
    submit(w, &get);
    if (get.op.rows_len) {
        const struct record *r = &get.op.rows[0];
        struct lie put = {.op = {.verb = STORE_COMMIT, .partition = slice_str(partition)},
                          .item = {.verb = STORE_PUT, .key = SLICE_LIT("memory/fault"),
                                   .version = r->version, .meta = r->meta, .body = r->body}};
        put.op.items = &put.item;
        put.op.items_len = 1;
        submit(w, &put);
        store_op_release(&put.op);
    }
    store_op_release(&get.op);
}

// ---- killed

struct figures {
    unsigned kills, doubles, lost, unlike, problems;
};

// Killed at its n-th operation; then another goes on. False: it had no such operation.
static bool kill_at(unsigned n, const char *mode, bool lies, const struct memory_told *truth,
                    struct figures *f)
{
    char faults[96];
    struct world w;
    world_open(&w);
    snprintf(faults, sizeof(faults), "faulty:fail_at=%u,mode=%s,sticky=1;", n, mode);
    parley *dying = open_engine(&w, faults);
    bool killed = !dying || !sweep(dying);
    if (dying)
        parley_close(dying);
    if (lies)
        forget_due(&w);
    // What failed in the learning of a session rests a while.
    for (int i = 0; i < 4; i++)
        sweep(w.engine);
    struct memory_told got = memory_of(&w);
    f->kills += killed;
    f->doubles += got.knowledge > truth->knowledge || got.entries > truth->entries;
    f->lost += got.knowledge < truth->knowledge || got.entries < truth->entries;
    f->unlike += strcmp(got.text, truth->text) != 0;
    if (!lies && strcmp(got.text, truth->text) != 0)
        printf("# %s %u:\n%s\nnot\n%s\n", mode, n, got.text, truth->text);
    f->problems += verify_problems(w.engine) != 0;
    mem_free(got.text);
    world_close(&w);
    return killed;
}

static struct memory_told tell_truth(void)
{
    struct world w;
    world_open(&w);
    if (!sweep(w.engine))
        give_up("the sweep failed");
    struct memory_told m = memory_of(&w);
    world_close(&w);
    return m;
}

static void test_reflection__killed_at_each_operation(void **state)
{
    static const char *const modes[] = {"before", "after"};
    struct memory_told truth = tell_truth();
    struct figures f = {0};

    (void)state;
    assert_int_equal(truth.knowledge, 2);
    assert_true(truth.entries > 0);
    for (unsigned m = 0; m < 2; m++) {
        bool killed = true;
        for (unsigned n = 1; killed && n < OPS_MAX; n++)
            killed = kill_at(n, modes[m], false, &truth, &f);
        assert_false(killed);
    }
    summary("journal and reflection, killed before and after each operation on the store: %u "
            "kills, twice there %u (0), lost %u (0), not as where nobody was killed %u (0), "
            "problems that verify finds %u (0)", f.kills, f.doubles, f.lost, f.unlike, f.problems);
    mem_free(truth.text);
    assert_true(f.kills > 50);
    assert_int_equal(f.doubles + f.lost + f.unlike + f.problems, 0);
}

static void test_reflection__control_due_no_more(void **state)
{
    struct memory_told truth = tell_truth();
    struct figures f = {0};
    bool killed = true;

    (void)state;
    for (unsigned n = 1; killed && f.lost == 0 && n < OPS_MAX; n++)
        killed = kill_at(n, "after", true, &truth, &f);
    summary("control, due no more before it is done: %u kills, lost %u (more than 0)", f.kills,
            f.lost);
    mem_free(truth.text);
    assert_true(f.lost > 0);
}

// ---- core memory

// A turn that changes it, killed at its n-th operation. False: it had no such operation.
static bool kill_turn_at(unsigned n, const char *mode, bool lies, struct figures *f)
{
    char faults[96];
    struct world w;
    world_open(&w);
    snprintf(faults, sizeof(faults), "faulty:fail_at=%u,mode=%s,sticky=1;", n, mode);
    parley *dying = open_engine(&w, faults);
    bool done = dying && say(dying, lies ? "I am here #7" : "call me Ann #7");
    if (dying)
        parley_close(dying);
    struct memory_told got = memory_of(&w);
    f->kills += !done;
    f->lost += done && !strstr(got.text, "Is called Ann");
    f->problems += verify_problems(w.engine) != 0;
    mem_free(got.text);
    world_close(&w);
    return !done;
}

static void test_core__changed_where_the_turn_is_done(void **state)
{
    static const char *const modes[] = {"before", "after"};
    struct figures f = {0};

    (void)state;
    for (unsigned m = 0; m < 2; m++) {
        bool killed = true;
        for (unsigned n = 1; killed && n < OPS_MAX; n++)
            killed = kill_turn_at(n, modes[m], false, &f);
        assert_false(killed);
    }
    summary("core memory, its turn killed before and after each operation: %u kills, done and not "
            "changed %u (0), problems that verify finds %u (0)", f.kills, f.lost, f.problems);
    assert_true(f.kills > 10);
    assert_int_equal(f.lost + f.problems, 0);
}

// How many events of its session say that core memory is another one.
static unsigned core_events(struct world *w)
{
    char partition[PARTITION_BYTES];
    unsigned n = 0;
    vault_partition(w->engine->vault, SLICE_LIT("ann"), partition);
    struct lie scan = {.op = {.verb = STORE_SCAN, .partition = slice_str(partition),
                              .key = SLICE_LIT("event/"), .limit = STORE_SCAN_LIMIT_MAX}};
    submit(w, &scan);
    for (uint32_t i = 0; i < scan.op.rows_len; i++)
        n += memmem(scan.op.rows[i].meta.ptr, scan.op.rows[i].meta.len, "\"core\"", 6) != NULL;
    store_op_release(&scan.op);
    return n;
}

// One answer of the store is lost, and the turn goes on: the event is there all the same.
static void test_core__its_event_where_an_answer_was_lost(void **state)
{
    unsigned lost = 0, turns = 0, missing = 0;

    (void)state;
    for (unsigned n = 1; n < OPS_MAX; n++) {
        char faults[96];
        struct world w;
        world_open(&w);
        snprintf(faults, sizeof(faults), "faulty:fail_at=%u,mode=after,verb=commit;", n);
        parley *e = open_engine(&w, faults);
        bool done = e && say(e, "call me Ann #7");
        bool failed = !e || store_faulty_seen(e->store) >= n;
        if (e)
            parley_close(e);
        lost += failed;
        turns += done;
        missing += done && core_events(&w) != 1;
        world_close(&w);
        if (!failed)
            break;
    }
    summary("core memory, one answer of the store lost: %u turns done, %u answers lost, event not "
            "there once %u (0)", turns, lost, missing);
    assert_true(lost > 2 && turns > 2);
    assert_int_equal(missing, 0);
}

static void test_core__control_not_changed(void **state)
{
    struct figures f = {0};

    (void)state;
    kill_turn_at(OPS_MAX, "after", true, &f);
    summary("control, done and nothing changed: %u (1)", f.lost);
    assert_int_equal(f.lost, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reflection__killed_at_each_operation),
        cmocka_unit_test(test_reflection__control_due_no_more),
        cmocka_unit_test(test_core__changed_where_the_turn_is_done),
        cmocka_unit_test(test_core__its_event_where_an_answer_was_lost),
        cmocka_unit_test(test_core__control_not_changed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
