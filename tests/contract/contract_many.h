// SPDX-License-Identifier: MIT
// contract_many.h: many ops at once: order within a loop and partition, several loops and objects.
#ifndef TESTS_CONTRACT_MANY_H
#define TESTS_CONTRACT_MANY_H

enum { MANY = 400 };

static struct flight *flights_new(size_t n)
{
    struct flight *f = calloc(n, sizeof *f);
    assert_non_null(f);
    return f;
}

static void test_store_contract__done_is_not_called_in_submit(void **state)
{
    struct bench *b = *state;
    struct flight good = {.op = get_op(USER, SLICE_LIT("k"))};
    struct flight bad = {.op = get_op("", SLICE_LIT("k"))};
    launch(b, &good);
    launch(b, &bad);
    assert_int_equal(b->pending, 2);
    land(b);
    assert_int_equal(bad.op.code, E_USAGE);
    store_op_release(&good.op);
}

static void test_store_contract__many_in_flight(void **state)
{
    struct bench *b = *state;
    struct flight *f = flights_new(MANY);
    for (int i = 0; i < MANY; i++) {
        snprintf(f[i].key, sizeof f[i].key, "k/%010d", i / 2);  // each key twice: one must lose
        f[i].item = put(STORE_INSERT, f[i].key, 0, "x");
        f[i].op = commit_op(i % 4 < 2 ? USER : OTHER, &f[i].item, 1);
        launch(b, &f[i]);
    }
    land(b);
    for (int i = 0; i < MANY; i++)
        assert_int_equal(f[i].op.code, i % 2 ? E_CONFLICT : E_OK);
    free(f);
    struct store_op op = scan_op(USER, "k/", "", STORE_SCAN_LIMIT_MAX, false);
    assert_int_equal(run(b, &op), E_OK);
    assert_int_equal(op.rows_len, MANY / 4);
    store_op_release(&op);
}

// A write, a read, a write, a read … of one record, all submitted before any is done: each read
// sees the write before it and not the one after it.
static void test_store_contract__order_of_submission(void **state)
{
    struct bench *b = *state;
    struct flight *f = flights_new(MANY);
    for (int i = 0; i < MANY; i++) {
        if (i % 2) {
            f[i].op = get_op(USER, SLICE_LIT("k"));
        } else {
            f[i].item = put(STORE_PUT, "k", (uint64_t)i / 2, "x");
            f[i].op = commit_op(USER, &f[i].item, 1);
        }
        launch(b, &f[i]);
    }
    land(b);
    for (int i = 0; i < MANY; i++) {
        assert_int_equal(f[i].op.code, E_OK);
        if (i % 2) {
            assert_int_equal(f[i].op.rows_len, 1);
            assert_int_equal(f[i].op.rows[0].version, i / 2 + 1);
            store_op_release(&f[i].op);
        }
    }
    free(f);
}

// Reads first, then writes that the reads must not see.
static void test_store_contract__reads_do_not_see_later_writes(void **state)
{
    struct bench *b = *state;
    struct flight *f = flights_new(MANY);
    for (int i = 0; i < MANY; i++) {
        snprintf(f[i].key, sizeof f[i].key, "k%d", i / 2);
        if (i % 2) {
            f[i].item = put(STORE_INSERT, f[i].key, 0, "x");
            f[i].op = commit_op(i % 4 < 2 ? USER : OTHER, &f[i].item, 1);
        } else {
            f[i].op = scan_op(i % 4 < 2 ? USER : OTHER, f[i].key, "", 1, false);
        }
        launch(b, &f[i]);
        if (i % 40 == 39)
            land(b);
    }
    land(b);
    for (int i = 0; i < MANY; i++) {
        assert_int_equal(f[i].op.code, E_OK);
        // A prefix may find a longer key, "k1" finds "k10"; but not one written later.
        for (uint32_t row = 0; row < f[i].op.rows_len; row++)
            assert_false(slice_is(f[i].op.rows[row].key, f[i].key));
        store_op_release(&f[i].op);
    }
    free(f);
}

static void test_store_contract__scan_sees_whole_commits(void **state)
{
    struct bench *b = *state;
    struct flight *f = flights_new(MANY);
    struct store_item(*pairs)[2] = calloc(MANY, sizeof *pairs);
    assert_non_null(pairs);
    for (int i = 0; i < MANY; i++) {
        if (i % 2) {
            f[i].op = scan_op(USER, "", "", 10, false);
        } else {
            pairs[i][0] = put(STORE_PUT, "a", 0, "x");
            pairs[i][1] = put(STORE_PUT, "z", 0, "x");
            f[i].op = commit_op(USER, pairs[i], 2);
        }
        launch(b, &f[i]);
    }
    land(b);
    for (int i = 1; i < MANY; i += 2) {
        assert_int_equal(f[i].op.code, E_OK);
        assert_int_equal(f[i].op.rows_len, 2);
        assert_int_equal(f[i].op.rows[0].version, f[i].op.rows[1].version);
        store_op_release(&f[i].op);
    }
    free(pairs);
    free(f);
}

// A read that is submitted after a commit completed sees it, on another loop and store object too.
struct relay {
    struct bench *bench;
    struct store *store;
    struct loop *loop;
    int rounds, failures;
};

static void relay_step(struct relay *r, struct store_op *op)
{
    op->loop = r->loop;
    op->done = stop_loop;
    store_submit(r->store, op);
    loop_run(r->loop);
}

static void *relay_count(void *user)
{
    struct relay *r = user;
    for (int i = 0; i < r->rounds; i++) {
        struct store_item item = put(STORE_ADD, "sum", 0, "");
        item.count = 1;
        struct store_op op = commit_op(USER, &item, 1);
        relay_step(r, &op);
        int64_t sum = item.count;
        r->failures += op.code != E_OK;
        op = get_op(USER, SLICE_LIT("sum"));
        relay_step(r, &op);
        r->failures += op.code || op.rows_len != 1 || op.rows[0].count < sum;
        store_op_release(&op);
    }
    return NULL;
}

static void count_on_two_threads(struct bench *b, struct store *second)
{
    enum { ROUNDS = 100 };
    struct relay relays[2] = {{b, b->store, b->loop, ROUNDS, 0}, {b, second, NULL, ROUNDS, 0}};
    assert_int_equal(loop_new(&relays[1].loop, clock_system(), NULL), E_OK);
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, relay_count, &relays[1]), 0);
    relay_count(&relays[0]);
    pthread_join(thread, NULL);
    loop_free(relays[1].loop);
    assert_int_equal(relays[0].failures, 0);
    assert_int_equal(relays[1].failures, 0);
    struct store_op op = get_op(USER, SLICE_LIT("sum"));
    assert_int_equal(run(b, &op), E_OK);
    assert_int_equal(op.rows[0].count, 2 * ROUNDS);
    store_op_release(&op);
}

static void test_store_contract__two_loops(void **state)
{
    struct bench *b = *state;
    count_on_two_threads(b, b->store);
}

static void test_store_contract__two_objects(void **state)
{
    struct bench *b = *state;
    struct store *second = open_again(b);
    count_on_two_threads(b, second);
    store_free(second);
}

// Free completes what was submitted.
static void test_store_contract__free_completes(void **state)
{
    struct bench *b = *state;
    struct flight *f = flights_new(MANY);
    for (int i = 0; i < MANY; i++) {
        snprintf(f[i].key, sizeof f[i].key, "k%d", i);
        f[i].item = put(STORE_INSERT, f[i].key, 0, "x");
        f[i].op = i % 3 ? commit_op(USER, &f[i].item, 1) : get_op(OTHER, SLICE_LIT("k"));
        launch(b, &f[i]);
    }
    struct store *keeper = open_again(b);
    store_free(b->store);
    b->store = keeper;
    land(b);
    for (int i = 0; i < MANY; i++) {
        assert_int_equal(f[i].op.code, E_OK);
        store_op_release(&f[i].op);
    }
    free(f);
    assert_int_equal(version_of(b, USER, "k397", "x"), 1);
}

// Memory that runs out fails single ops with E_NOMEM and leaves the store whole.
static void test_store_contract__out_of_memory(void **state)
{
    struct bench *b = *state;
    assert_int_equal(insert(b, USER, "k0", "x"), E_OK);
    for (uint64_t n = 1; n <= 6; n++) {
        struct store_item items[] = {put(STORE_PUT, "a", 0, "x"), put(STORE_PUT, "z", 0, "x")};
        struct store_op ops[] = {commit_op(USER, items, 2), scan_op(USER, "", "", 9, false)};
        for (int i = 0; i < 2; i++) {
            ops[i].loop = b->loop;
            ops[i].done = stop_loop;
            mem_fail_at(n, 0);
            store_submit(b->store, &ops[i]);
            loop_run(b->loop);
            mem_fail_at(0, 0);
            assert_true(ops[i].code == E_OK || ops[i].code == E_NOMEM);
            if (ops[i].code)
                assert_int_equal(ops[i].rows_len, 0);
            store_op_release(&ops[i]);
        }
        assert_int_equal(version_of(b, USER, "a", "x"), version_of(b, USER, "z", "x"));
        assert_int_equal(version_of(b, USER, "k0", "x"), 1);
    }
}

#define CONTRACT_MANY_TESTS \
    CONTRACT_TEST(done_is_not_called_in_submit), CONTRACT_TEST(many_in_flight), \
    CONTRACT_TEST(order_of_submission), CONTRACT_TEST(reads_do_not_see_later_writes), \
    CONTRACT_TEST(scan_sees_whole_commits), CONTRACT_TEST(two_loops), \
    CONTRACT_TEST(two_objects), CONTRACT_TEST(free_completes), CONTRACT_TEST(out_of_memory)

#endif
