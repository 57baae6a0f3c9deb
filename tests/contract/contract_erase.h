// SPDX-License-Identifier: MIT
// contract_erase.h: erasing a partition.
#ifndef TESTS_CONTRACT_ERASE_H
#define TESTS_CONTRACT_ERASE_H

static int erase(struct bench *b, const char *partition)
{
    struct store_op op = {.verb = STORE_ERASE, .partition = slice_str(partition)};
    return run(b, &op);
}

static int take_lease(struct bench *b, const char *partition, uint64_t epoch)
{
    struct store_op op = {.verb = STORE_LEASE, .partition = slice_str(partition),
                          .key = SLICE_LIT("lease"), .holder = SLICE_LIT("ann"), .ttl_ms = 1000,
                          .epoch = epoch};
    return run(b, &op);
}

// Every way to write there; the store does not look at an item before it refuses.
static void expect_closed(struct bench *b, const char *partition)
{
    static const enum store_item_verb verbs[] = {STORE_INSERT, STORE_PUT, STORE_DELETE, STORE_ADD};
    for (unsigned i = 0; i < sizeof verbs / sizeof *verbs; i++) {
        struct store_item items[] = {put(verbs[i], "a", 0, "x"), put(STORE_PUT, "new", 0, "x")};
        assert_int_equal(commit(b, partition, items, 2), E_ERASED);
    }
    struct store_item item = put(STORE_PUT, "a", 1, "x");
    struct store_op op = commit_op(partition, &item, 1);
    op.fence_key = SLICE_LIT("lease");
    op.fence_epoch = 1;
    assert_int_equal(run(b, &op), E_ERASED);
    assert_non_null(strstr(op.err.message, "erased"));
    assert_int_equal(take_lease(b, partition, 0), E_ERASED);
    assert_int_equal(take_lease(b, partition, UINT64_MAX), E_ERASED);
    assert_int_equal(take_lease(b, partition, 1), E_ERASED);
    assert_false(expect_rows(b, scan_op(partition, "", "", 9, false), ""));
    assert_false(expect_rows(b, get_op(partition, SLICE_LIT("a")), ""));
}

static void test_store_contract__erase(void **state)
{
    struct bench *b = *state;
    struct store_item due = put(STORE_INSERT, "task", 0, "x");
    due.due_at_ms = 5;
    assert_int_equal(insert(b, USER, "a", "x"), E_OK);
    assert_int_equal(commit(b, USER, &due, 1), E_OK);
    assert_int_equal(take_lease(b, USER, 0), E_OK);
    assert_int_equal(insert(b, OTHER, "a", "theirs"), E_OK);
    assert_int_equal(erase(b, USER), E_OK);
    expect_closed(b, USER);
    // Others keep what they have, and can write.
    struct store_op partitions = {.verb = STORE_PARTITIONS, .limit = 9};
    assert_false(expect_rows(b, partitions, OTHER));
    struct store_op all_due = {.verb = STORE_DUE, .before_ms = 10, .limit = 9};
    assert_false(expect_rows(b, all_due, ""));
    assert_int_equal(version_of(b, OTHER, "a", "theirs"), 1);
    assert_int_equal(insert(b, OTHER, "b", "x"), E_OK);
    assert_int_equal(take_lease(b, OTHER, 0), E_OK);
}

// Again, of what never was, and after a drop; an empty name is a mistake.
static void test_store_contract__erase_repeats(void **state)
{
    struct bench *b = *state;
    assert_int_equal(insert(b, USER, "a", "x"), E_OK);
    assert_int_equal(erase(b, USER), E_OK);
    assert_int_equal(erase(b, USER), E_OK);
    expect_closed(b, USER);
    struct store_op drop = {.verb = STORE_DROP, .partition = slice_str(USER)};
    assert_int_equal(run(b, &drop), E_OK);
    expect_closed(b, USER);
    assert_int_equal(erase(b, OTHER), E_OK);
    expect_closed(b, OTHER);
    assert_int_equal(erase(b, ""), E_USAGE);
}

// Another opener of the same store knows at once; so does whoever opens it later.
static void test_store_contract__erase_closes_for_all(void **state)
{
    struct bench *b = *state;
    struct store *first = b->store, *second = open_again(b);
    b->store = second;
    assert_int_equal(insert(b, USER, "a", "x"), E_OK);
    assert_int_equal(insert(b, OTHER, "a", "x"), E_OK);
    b->store = first;
    assert_int_equal(erase(b, USER), E_OK);
    b->store = second;
    expect_closed(b, USER);
    store_free(first);
    b->store = open_again(b);
    store_free(second);
    expect_closed(b, USER);
    assert_int_equal(version_of(b, OTHER, "a", "x"), 1);
}

// In one row: what was submitted before is done, what came after is refused.
static void test_store_contract__erase_in_order(void **state)
{
    struct bench *b = *state;
    static struct flight flights[9];
    memset(flights, 0, sizeof flights);
    for (unsigned i = 0; i < 9; i++) {
        struct flight *f = &flights[i];
        snprintf(f->key, sizeof f->key, "k%u", i);
        f->item = put(STORE_INSERT, f->key, 0, "x");
        f->op = commit_op(USER, &f->item, 1);
        if (i == 4)
            f->op = (struct store_op){.verb = STORE_ERASE, .partition = slice_str(USER)};
        else if (i == 6)
            f->op = scan_op(USER, "", "", 9, false);
        launch(b, f);
    }
    land(b);
    for (unsigned i = 0; i < 9; i++) {
        assert_int_equal(flights[i].op.code, i <= 4 || i == 6 ? E_OK : E_ERASED);
        assert_int_equal(flights[i].op.rows_len, 0);
        store_op_release(&flights[i].op);
    }
}

#define CONTRACT_ERASE_TESTS \
    CONTRACT_TEST(erase), CONTRACT_TEST(erase_repeats), CONTRACT_TEST(erase_closes_for_all), \
    CONTRACT_TEST(erase_in_order)

#endif
