// SPDX-License-Identifier: MIT
// contract_scan.h: order, prefixes, cursors, what is due, the list of partitions.
#ifndef TESTS_CONTRACT_SCAN_H
#define TESTS_CONTRACT_SCAN_H

static void insert_all(struct bench *b, const char *partition, const char *const *keys)
{
    for (; *keys; keys++)
        assert_int_equal(insert(b, partition, *keys, "x"), E_OK);
}

static void test_store_contract__scan_order_and_limit(void **state)
{
    struct bench *b = *state;
    static const char *const keys[] = {"t/3", "t/1", "s", "t/2", "t", "t/10", "u", NULL};
    insert_all(b, USER, keys);
    insert_all(b, OTHER, keys);
    assert_false(expect_rows(b, scan_op(USER, "t/", "", 10, false), "t/1 t/10 t/2 t/3"));
    assert_false(expect_rows(b, scan_op(USER, "t/", "", 10, true), "t/3 t/2 t/10 t/1"));
    assert_true(expect_rows(b, scan_op(USER, "t/", "", 2, false), "t/1 t/10"));
    assert_true(expect_rows(b, scan_op(USER, "t/", "", 2, true), "t/3 t/2"));
    assert_false(expect_rows(b, scan_op(USER, "t/", "", 4, true), "t/3 t/2 t/10 t/1"));
    assert_false(expect_rows(b, scan_op(USER, "", "", 10, false), "s t t/1 t/10 t/2 t/3 u"));
    assert_false(expect_rows(b, scan_op(USER, "", "", 10, true), "u t/3 t/2 t/10 t/1 t s"));
    assert_false(expect_rows(b, scan_op(USER, "v", "", 10, false), ""));
    assert_false(expect_rows(b, scan_op("nobody", "", "", 10, true), ""));
}

static void test_store_contract__scan_cursor(void **state)
{
    struct bench *b = *state;
    static const char *const keys[] = {"s", "t/1", "t/2", "t/3", "u", NULL};
    insert_all(b, USER, keys);
    assert_false(expect_rows(b, scan_op(USER, "t/", "t/1", 10, false), "t/2 t/3"));
    assert_false(expect_rows(b, scan_op(USER, "t/", "t/3", 10, false), ""));
    assert_false(expect_rows(b, scan_op(USER, "t/", "t/3", 10, true), "t/2 t/1"));
    assert_false(expect_rows(b, scan_op(USER, "t/", "t/1", 10, true), ""));
    // A cursor need not exist, nor lie within the prefix.
    assert_false(expect_rows(b, scan_op(USER, "t/", "t/11", 10, false), "t/2 t/3"));
    assert_false(expect_rows(b, scan_op(USER, "t/", "t/11", 10, true), "t/1"));
    assert_false(expect_rows(b, scan_op(USER, "t/", "a", 10, false), "t/1 t/2 t/3"));
    assert_false(expect_rows(b, scan_op(USER, "t/", "z", 10, false), ""));
    assert_false(expect_rows(b, scan_op(USER, "t/", "z", 10, true), "t/3 t/2 t/1"));
    assert_false(expect_rows(b, scan_op(USER, "t/", "a", 10, true), ""));
    assert_true(expect_rows(b, scan_op(USER, "", "s", 3, false), "t/1 t/2 t/3"));
}

static void test_store_contract__scan_prefix_of_high_bytes(void **state)
{
    struct bench *b = *state;
    static const char *const keys[] = {"a", "a\xff", "a\xff\xff", "a\xff\xff" "b", "b", "\xff",
                                       "\xff\xff", "\xff\xff" "a", NULL};
    insert_all(b, USER, keys);
    assert_false(expect_rows(b, scan_op(USER, "a\xff", "", 9, false),
                             "a\xff a\xff\xff a\xff\xff" "b"));
    assert_false(expect_rows(b, scan_op(USER, "a\xff\xff", "", 9, true),
                             "a\xff\xff" "b a\xff\xff"));
    assert_false(expect_rows(b, scan_op(USER, "\xff", "", 9, false),
                             "\xff \xff\xff \xff\xff" "a"));
    assert_false(expect_rows(b, scan_op(USER, "\xff\xff", "", 9, true),
                             "\xff\xff" "a \xff\xff"));
    assert_false(expect_rows(b, scan_op(USER, "\xff", "\xff\xff", 9, false), "\xff\xff" "a"));
    assert_false(expect_rows(b, scan_op(USER, "\xff", "\xff\xff", 9, true), "\xff"));
}

static void test_store_contract__scan_walks_everything_once(void **state)
{
    struct bench *b = *state;
    char key[16], last[16] = "";
    for (int i = 0; i < 100; i++) {
        snprintf(key, sizeof key, "k/%010d", (i * 37) % 100);
        assert_int_equal(insert(b, USER, key, "x"), E_OK);
    }
    for (int backwards = 0; backwards < 2; backwards++) {
        int seen = 0;
        bool more = true;
        last[0] = 0;
        while (more) {
            struct store_op op = scan_op(USER, "k/", last, 7, backwards);
            assert_int_equal(run(b, &op), E_OK);
            for (uint32_t i = 0; i < op.rows_len; i++, seen++) {
                snprintf(key, sizeof key, "k/%010d", backwards ? 99 - seen : seen);
                assert_true(slice_is(op.rows[i].key, key));
            }
            snprintf(last, sizeof last, "%s", key);
            more = op.more;
            store_op_release(&op);
        }
        assert_int_equal(seen, 100);
    }
}

static void test_store_contract__scan_stops_at_its_bytes(void **state)
{
    struct bench *b = *state;
    enum { ROWS = STORE_SCAN_BYTES_MAX / RECORD_BODY_BYTES_MAX + 2 };
    char *body = calloc(1, RECORD_BODY_BYTES_MAX), last[16] = "";
    assert_non_null(body);
    for (int i = 0; i < ROWS; i++) {
        snprintf(last, sizeof last, "%04d", i);
        struct store_item item = put(STORE_INSERT, last, 0, "");
        item.body.bytes = slice_of(body, RECORD_BODY_BYTES_MAX);
        assert_int_equal(commit(b, USER, &item, 1), E_OK);
    }
    unsigned seen = 0, rounds = 0;
    bool more = true;
    for (last[0] = 0; more; rounds++) {
        struct store_op op = scan_op(USER, "", last, STORE_SCAN_LIMIT_MAX, false);
        assert_int_equal(run(b, &op), E_OK);
        assert_true(op.rows_len > 0);
        seen += op.rows_len;
        snprintf(last, sizeof last, "%.*s", SLICE_FMT(op.rows[op.rows_len - 1].key));
        more = op.more;
        store_op_release(&op);
    }
    assert_int_equal(seen, ROWS);
    assert_int_equal(rounds, 2);
    free(body);
}

static void insert_due(struct bench *b, const char *partition, const char *key, int64_t due_at_ms)
{
    struct store_item item = put(STORE_PUT, key, 0, "x");
    item.due_at_ms = due_at_ms;
    assert_int_equal(commit(b, partition, &item, 1), E_OK);
}

static struct store_op due_op(int64_t before_ms, const char *partition, const char *after,
                              uint32_t limit)
{
    return (struct store_op){.verb = STORE_DUE, .before_ms = before_ms,
                             .partition = slice_str(partition), .after = slice_str(after),
                             .limit = limit};
}

static void test_store_contract__due_order(void **state)
{
    struct bench *b = *state;
    insert_due(b, USER, "c", 30);
    insert_due(b, OTHER, "a", 10);
    insert_due(b, USER, "b", 20);
    insert_due(b, USER, "never", 0);
    assert_false(expect_rows(b, due_op(31, "", "", 10), "a b c"));
    assert_false(expect_rows(b, due_op(30, "", "", 10), "a b"));
    assert_false(expect_rows(b, due_op(10, "", "", 10), ""));
    assert_true(expect_rows(b, due_op(100, "", "", 2), "a b"));
    insert_due(b, OTHER, "a", 40);
    insert_due(b, USER, "b", 0);
    assert_false(expect_rows(b, due_op(100, "", "", 10), "c a"));
    struct store_item item = put(STORE_DELETE, "c", 0, "");
    assert_int_equal(commit(b, USER, &item, 1), E_OK);
    assert_false(expect_rows(b, due_op(100, "", "", 10), "a"));
    struct store_op op = {.verb = STORE_DROP, .partition = slice_str(OTHER)};
    assert_int_equal(run(b, &op), E_OK);
    assert_false(expect_rows(b, due_op(INT64_MAX, "", "", 10), ""));
}

static void test_store_contract__due_cursor(void **state)
{
    struct bench *b = *state;
    insert_due(b, USER, "a", 10);
    insert_due(b, USER, "b", 20);
    insert_due(b, OTHER, "c", 30);
    assert_true(expect_rows(b, due_op(100, USER, "a", 1), "b"));
    assert_false(expect_rows(b, due_op(100, USER, "b", 1), "c"));
    assert_false(expect_rows(b, due_op(100, OTHER, "c", 1), ""));
    // Many at the same time are all seen, each once.
    char key[16], last[16] = "a";
    for (int i = 0; i < 50; i++) {
        snprintf(key, sizeof key, "same%02d", i);
        insert_due(b, USER, key, 15);
    }
    unsigned seen = 0;
    bool more = true;
    while (more) {
        struct store_op op = due_op(16, USER, last, 7);
        assert_int_equal(run(b, &op), E_OK);
        seen += op.rows_len;
        if (op.rows_len)
            snprintf(last, sizeof last, "%.*s", SLICE_FMT(op.rows[op.rows_len - 1].key));
        more = op.more;
        store_op_release(&op);
    }
    assert_int_equal(seen, 50);
    // Never not at all: a cursor that is gone starts over.
    struct store_item item = put(STORE_DELETE, "b", 0, "");
    assert_int_equal(commit(b, USER, &item, 1), E_OK);
    assert_true(expect_rows(b, due_op(100, USER, "b", 1), "a"));
    // So does one that is not due any more.
    item = put(STORE_PUT, "a", 0, "");
    assert_int_equal(commit(b, USER, &item, 1), E_OK);
    assert_true(expect_rows(b, due_op(100, USER, "a", 1), "same00"));
}

static void test_store_contract__partitions(void **state)
{
    struct bench *b = *state;
    static const char *const parts[] = {"~house", USER, "0", OTHER, "zebra", "0011", "\xff",
                                        "00112233445566778899AABBCCDDEEFF", NULL};
    for (unsigned i = 0; parts[i]; i++) {
        assert_int_equal(insert(b, parts[i], "a", "x"), E_OK);
        assert_int_equal(insert(b, parts[i], "b", "x"), E_OK);
    }
    struct store_op op = {.verb = STORE_PARTITIONS, .limit = 10};
    assert_false(expect_rows(b, op, "0 0011 00112233445566778899AABBCCDDEEFF " USER " " OTHER
                             " zebra ~house \xff"));
    op.limit = 3;
    assert_true(expect_rows(b, op, "0 0011 00112233445566778899AABBCCDDEEFF"));
    op.after = SLICE_LIT("00112233445566778899AABBCCDDEEFF");
    assert_true(expect_rows(b, op, USER " " OTHER " zebra"));
    op.after = SLICE_LIT(USER);
    assert_true(expect_rows(b, op, OTHER " zebra ~house"));
    op.after = SLICE_LIT("!");  // before them all
    assert_true(expect_rows(b, op, "0 0011 00112233445566778899AABBCCDDEEFF"));
    op.after = SLICE_LIT("zeb");
    assert_false(expect_rows(b, op, "zebra ~house \xff"));
    op.after = SLICE_LIT("\xff");
    assert_false(expect_rows(b, op, ""));
}

#define CONTRACT_SCAN_TESTS \
    CONTRACT_TEST(scan_order_and_limit), CONTRACT_TEST(scan_cursor), \
    CONTRACT_TEST(scan_prefix_of_high_bytes), CONTRACT_TEST(scan_walks_everything_once), \
    CONTRACT_TEST(scan_stops_at_its_bytes), CONTRACT_TEST(due_order), CONTRACT_TEST(due_cursor), \
    CONTRACT_TEST(partitions)

#endif
