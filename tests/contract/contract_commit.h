// SPDX-License-Identifier: MIT
// contract_commit.h: batches are whole or absent, versions and guards, counters, bytes, limits.
#ifndef TESTS_CONTRACT_COMMIT_H
#define TESTS_CONTRACT_COMMIT_H

static void test_store_contract__get_absent(void **state)
{
    assert_int_equal(version_of(*state, USER, "nothing", NULL), 0);
}

static void test_store_contract__insert_then_get(void **state)
{
    struct bench *b = *state;
    struct store_item item = {.verb = STORE_INSERT, .key = SLICE_LIT("k"), .due_at_ms = 77,
                              .meta = SLICE_LIT("{\"a\":1}"), .body = {SLICE_LIT("text")}};
    assert_int_equal(commit(b, USER, &item, 1), E_OK);
    assert_int_equal(item.version, 1);
    struct store_op op = get_op(USER, SLICE_LIT("k"));
    assert_int_equal(run(b, &op), E_OK);
    assert_int_equal(op.rows_len, 1);
    const struct record *r = &op.rows[0];
    assert_true(slice_is(r->partition, USER));
    assert_true(slice_is(r->key, "k"));
    assert_true(slice_is(r->meta, "{\"a\":1}"));
    assert_true(slice_is(r->body.bytes, "text"));
    assert_int_equal(r->version, 1);
    assert_int_equal(r->due_at_ms, 77);
    assert_int_equal(r->count, 0);
    store_op_release(&op);
    assert_null(op.rows);
    assert_int_equal(version_of(b, OTHER, "k", NULL), 0);
}

static void test_store_contract__survives_reopen(void **state)
{
    struct bench *b = *state;
    struct store *first = b->store;
    assert_int_equal(insert(b, USER, "k", "kept"), E_OK);
    b->store = open_again(b);
    assert_int_equal(version_of(b, USER, "k", "kept"), 1);
    store_free(first);
    assert_int_equal(version_of(b, USER, "k", "kept"), 1);
}

static void test_store_contract__insert_refuses_existing(void **state)
{
    struct bench *b = *state;
    assert_int_equal(insert(b, USER, "k", "first"), E_OK);
    assert_int_equal(insert(b, USER, "k", "second"), E_CONFLICT);
    assert_int_equal(version_of(b, USER, "k", "first"), 1);
}

static void test_store_contract__versions_grow_by_one(void **state)
{
    struct bench *b = *state;
    assert_int_equal(insert(b, USER, "k", "v1"), E_OK);
    for (uint64_t v = 1; v <= 5; v++) {
        struct store_item item = put(STORE_PUT, "k", v, "next");
        assert_int_equal(commit(b, USER, &item, 1), E_OK);
        assert_int_equal(item.version, v + 1);
    }
    struct store_item any = put(STORE_PUT, "k", 0, "any");
    assert_int_equal(commit(b, USER, &any, 1), E_OK);
    assert_int_equal(any.version, 7);
    struct store_item made = put(STORE_PUT, "new", 0, "made");
    assert_int_equal(commit(b, USER, &made, 1), E_OK);
    assert_int_equal(made.version, 1);
    assert_int_equal(version_of(b, USER, "k", "any"), 7);
}

static void test_store_contract__stale_version_conflicts(void **state)
{
    struct bench *b = *state;
    assert_int_equal(insert(b, USER, "k", "v1"), E_OK);
    struct store_item item = put(STORE_PUT, "k", 2, "no");
    assert_int_equal(commit(b, USER, &item, 1), E_CONFLICT);
    assert_int_equal(item.version, 2);
    item = put(STORE_PUT, "absent", 1, "no");
    assert_int_equal(commit(b, USER, &item, 1), E_CONFLICT);
    item = put(STORE_DELETE, "k", 9, "");
    assert_int_equal(commit(b, USER, &item, 1), E_CONFLICT);
    item = put(STORE_DELETE, "absent", 1, "");
    assert_int_equal(commit(b, USER, &item, 1), E_CONFLICT);
    assert_int_equal(version_of(b, USER, "k", "v1"), 1);
    assert_int_equal(version_of(b, USER, "absent", NULL), 0);
}

static void test_store_contract__delete(void **state)
{
    struct bench *b = *state;
    assert_int_equal(insert(b, USER, "k", "v1"), E_OK);
    struct store_item item = put(STORE_DELETE, "k", 1, "");
    assert_int_equal(commit(b, USER, &item, 1), E_OK);
    assert_int_equal(item.version, 0);
    assert_int_equal(version_of(b, USER, "k", NULL), 0);
    item = put(STORE_DELETE, "k", 0, "");
    assert_int_equal(commit(b, USER, &item, 1), E_OK);
    assert_int_equal(insert(b, USER, "k", "again"), E_OK);
    assert_int_equal(version_of(b, USER, "k", "again"), 1);
}

static void test_store_contract__batch_is_whole_or_absent(void **state)
{
    struct bench *b = *state;
    assert_int_equal(insert(b, USER, "c", "old"), E_OK);
    assert_int_equal(insert(b, USER, "d", "old"), E_OK);
    // The conflict stands at each place of the batch in turn.
    for (uint32_t bad = 0; bad < 4; bad++) {
        struct store_item items[] = {
            put(STORE_INSERT, "a", 0, "new"), put(STORE_ADD, "b", 0, "new"),
            put(STORE_PUT, "c", 1, "new"), put(STORE_DELETE, "d", 1, ""),
        };
        items[1].count = 5;
        items[bad] = put(STORE_PUT, bad == 2 ? "c" : "e", 44, "new");
        struct store_op op = commit_op(USER, items, 4);
        assert_int_equal(run(b, &op), E_CONFLICT);
        assert_int_equal(op.failed_item, bad);
        assert_false(op.ambiguous);
        assert_true(expect_rows(b, scan_op(USER, "", "", 1, false), "c"));
        assert_false(expect_rows(b, scan_op(USER, "", "", 9, false), "c d"));
        assert_int_equal(version_of(b, USER, "c", "old"), 1);
    }
    struct store_item items[] = {
        put(STORE_INSERT, "a", 0, "new"), put(STORE_ADD, "b", 0, "new"),
        put(STORE_PUT, "c", 1, "new"), put(STORE_DELETE, "d", 1, ""),
    };
    assert_int_equal(commit(b, USER, items, 4), E_OK);
    assert_false(expect_rows(b, scan_op(USER, "", "", 9, false), "a b c"));
}

static void test_store_contract__put_replaces_everything(void **state)
{
    struct bench *b = *state;
    struct store_item item = put(STORE_ADD, "k", 0, "old");
    item.count = 3;
    item.due_at_ms = 10;
    assert_int_equal(commit(b, USER, &item, 1), E_OK);
    item = (struct store_item){.verb = STORE_PUT, .key = SLICE_LIT("k"), .version = 1};
    assert_int_equal(commit(b, USER, &item, 1), E_OK);
    struct store_op op = get_op(USER, SLICE_LIT("k"));
    assert_int_equal(run(b, &op), E_OK);
    assert_int_equal(op.rows_len, 1);
    assert_int_equal(op.rows[0].count, 0);
    assert_int_equal(op.rows[0].due_at_ms, 0);
    assert_int_equal(op.rows[0].meta.len, 0);
    assert_int_equal(op.rows[0].body.bytes.len, 0);
    store_op_release(&op);
}

static int add(struct bench *b, int64_t count, int64_t *sum)
{
    struct store_item item = put(STORE_ADD, "counter", 0, "made");
    item.count = count;
    int code = commit(b, USER, &item, 1);
    *sum = item.count;
    return code;
}

static void test_store_contract__counters(void **state)
{
    struct bench *b = *state;
    int64_t sum = 0;
    assert_int_equal(add(b, 5, &sum), E_OK);
    assert_int_equal(sum, 5);
    assert_int_equal(add(b, -7, &sum), E_OK);
    assert_int_equal(sum, -2);
    assert_int_equal(add(b, INT64_MIN, &sum), E_REFUSED);
    assert_int_equal(add(b, 0, &sum), E_OK);
    assert_int_equal(sum, -2);
    assert_int_equal(version_of(b, USER, "counter", "made"), 3);
    struct store_item item = put(STORE_ADD, "counter", 0, "not this");
    item.meta = SLICE_LIT("{}");
    item.count = 1;
    assert_int_equal(commit(b, USER, &item, 1), E_OK);
    assert_int_equal(version_of(b, USER, "counter", "made"), 4);
    // A put says what the counter is then.
    item = put(STORE_PUT, "counter", 4, "sealed anew");
    item.count = 42;
    assert_int_equal(commit(b, USER, &item, 1), E_OK);
    assert_int_equal(add(b, 1, &sum), E_OK);
    assert_int_equal(sum, 43);
    assert_int_equal(version_of(b, USER, "counter", "sealed anew"), 6);
}

static void test_store_contract__bytes_come_back(void **state)
{
    struct bench *b = *state;
    char *body = malloc(RECORD_BODY_BYTES_MAX);
    assert_non_null(body);
    for (size_t i = 0; i < RECORD_BODY_BYTES_MAX; i++)
        body[i] = (char)(i * 2654435761u >> 13);
    body[0] = body[RECORD_BODY_BYTES_MAX - 1] = 0;
    char key[RECORD_KEY_BYTES_MAX];
    memset(key, 0xff, sizeof key);
    key[3] = 0;
    static const size_t lens[] = {0, 1, 100, 4095, 4096, 4097, 100000, RECORD_BODY_BYTES_MAX};
    for (size_t i = 0; i < sizeof lens / sizeof *lens; i++) {
        struct store_item item = {.verb = STORE_PUT, .key = {key, sizeof key - i},
                                  .meta = SLICE_LIT("{}"), .body = {{body, lens[i]}}};
        assert_int_equal(commit(b, USER, &item, 1), E_OK);
        struct store_op op = get_op(USER, item.key);
        assert_int_equal(run(b, &op), E_OK);
        assert_int_equal(op.rows_len, 1);
        assert_true(slice_eq(op.rows[0].key, item.key));
        assert_true(slice_eq(op.rows[0].body.bytes, item.body.bytes));
        store_op_release(&op);
    }
    free(body);
}

static void test_store_contract__any_partition(void **state)
{
    struct bench *b = *state;
    char longest[STORE_PARTITION_BYTES_MAX + 1];
    memset(longest, 'z', sizeof longest - 1);
    longest[sizeof longest - 1] = 0;
    const char *const parts[] = {USER, "~audit", "0", "00112233445566778899AABBCCDDEEFF",
                                 "00112233445566778899aabbccddeef", "\xff\xfe", longest};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        assert_int_equal(insert(b, parts[i], "k", parts[i]), E_OK);
        assert_int_equal(version_of(b, parts[i], "k", parts[i]), 1);
    }
}

static int run_item(struct bench *b, struct store_item item)
{
    return commit(b, USER, &item, 1);
}

static void test_store_contract__item_limits(void **state)
{
    struct bench *b = *state;
    char *big = calloc(1, RECORD_BODY_BYTES_MAX + 1);
    assert_non_null(big);
    memset(big, 'x', RECORD_BODY_BYTES_MAX + 1);
    struct store_item item = put(STORE_PUT, "k", 0, "");
    item.key = SLICE_NONE;
    assert_int_equal(run_item(b, item), E_USAGE);
    item.key = slice_of(big, RECORD_KEY_BYTES_MAX + 1);
    assert_int_equal(run_item(b, item), E_USAGE);
    item.key.len--;
    item.meta = slice_of(big, RECORD_META_BYTES_MAX + 1);
    assert_int_equal(run_item(b, item), E_USAGE);
    item.meta.len--;
    item.body.bytes = slice_of(big, RECORD_BODY_BYTES_MAX + 1);
    assert_int_equal(run_item(b, item), E_USAGE);
    item.body.bytes.len--;
    item.due_at_ms = -1;
    assert_int_equal(run_item(b, item), E_USAGE);
    item.due_at_ms = INT64_MAX;
    assert_int_equal(run_item(b, item), E_OK);
    free(big);
}

static void test_store_contract__op_limits(void **state)
{
    struct bench *b = *state;
    char big[300];
    memset(big, 'x', sizeof big);
    struct store_op op = get_op("", SLICE_LIT("k"));
    assert_int_equal(run(b, &op), E_USAGE);
    op.partition = slice_of(big, STORE_PARTITION_BYTES_MAX + 1);
    assert_int_equal(run(b, &op), E_USAGE);
    op = get_op(USER, SLICE_NONE);
    assert_int_equal(run(b, &op), E_USAGE);
    op = scan_op(USER, "", "", 0, false);
    assert_int_equal(run(b, &op), E_USAGE);
    op.limit = STORE_SCAN_LIMIT_MAX + 1;
    assert_int_equal(run(b, &op), E_USAGE);
    op.limit--;
    op.after = slice_of(big, RECORD_KEY_BYTES_MAX + 1);
    assert_int_equal(run(b, &op), E_USAGE);
    op = (struct store_op){.verb = (enum store_verb)99};
    assert_int_equal(run(b, &op), E_USAGE);
    for (int verb = STORE_SCAN; verb <= (int)STORE_LEASE; verb++) {  // all that need a partition
        op = (struct store_op){.verb = (enum store_verb)verb, .limit = 1, .holder = SLICE_LIT("a"),
                               .ttl_ms = 1, .partition = slice_of(big, sizeof big)};
        if (verb == STORE_PARTITIONS)
            op.after = slice_of(big, sizeof big);
        assert_int_equal(run(b, &op), E_USAGE);
    }
    op = (struct store_op){.verb = STORE_DUE, .limit = 1, .after = SLICE_LIT("no partition")};
    assert_int_equal(run(b, &op), E_USAGE);
    op = (struct store_op){.verb = STORE_DUE, .limit = 1, .partition = SLICE_LIT(USER),
                           .after = slice_of(big, RECORD_KEY_BYTES_MAX + 1)};
    assert_int_equal(run(b, &op), E_USAGE);
    op = (struct store_op){.verb = STORE_CLAIM_ALIVE};
    assert_int_equal(run(b, &op), E_USAGE);
    op = scan_op(USER, "", "", 1, false);
    op.key = slice_of(big, RECORD_KEY_BYTES_MAX + 1);
    assert_int_equal(run(b, &op), E_USAGE);
    struct store_item item = put((enum store_item_verb)99, "k", 0, "x");
    assert_int_equal(commit(b, USER, &item, 1), E_USAGE);
}

static void test_store_contract__read_only(void **state)
{
    struct bench *b = *state;
    assert_int_equal(insert(b, USER, "k", "x"), E_OK);
    struct store *writer = b->store;  // by whom the records stay, wherever they are
    b->env.read_only = true;
    b->store = open_again(b);
    b->env.read_only = false;
    struct store_item item = put(STORE_PUT, "k", 0, "no");
    struct store_op op = {.verb = STORE_DROP, .partition = SLICE_LIT(USER)};
    assert_int_equal(commit(b, USER, &item, 1), E_REFUSED);
    assert_int_equal(run(b, &op), E_REFUSED);
    op = (struct store_op){.verb = STORE_LEASE, .partition = SLICE_LIT(USER), .key = SLICE_LIT("l"),
                           .holder = SLICE_LIT("ann"), .ttl_ms = 1};
    assert_int_equal(run(b, &op), E_REFUSED);
    assert_int_equal(version_of(b, USER, "k", "x"), 1);
    store_free(b->store);
    b->store = writer;
    assert_int_equal(commit(b, USER, &item, 1), E_OK);
}

// Each allocation of each kind of op fails once: it says so, and leaves no trace.
static void test_store_contract__every_allocation(void **state)
{
    struct bench *b = *state;
    for (int kind = 0; kind < 8; kind++) {
        int code = E_NOMEM;
        assert_int_equal(version_of(b, USER, "seed", NULL), (uint64_t)kind);
        struct store_item seed = put(STORE_PUT, "seed", 0, "x");
        assert_int_equal(commit(b, USER, &seed, 1), E_OK);
        for (uint64_t n = 1; code && n < 20; n++) {
            struct store_item items[] = {put(STORE_INSERT, "new", 0, "x"),
                                         put(STORE_ADD, "sum", 0, "")};
            struct store_op ops[] = {
                commit_op(OTHER, items, 2), get_op(USER, SLICE_LIT("seed")),
                scan_op(USER, "", "", 9, false), scan_op(USER, "", "", 9, true),
                {.verb = STORE_DUE, .before_ms = 9, .limit = 9},
                {.verb = STORE_PARTITIONS, .limit = 9},
                {.verb = STORE_LEASE, .partition = SLICE_LIT(OTHER), .key = SLICE_LIT("l"),
                 .holder = SLICE_LIT("ann"), .ttl_ms = 1000},
                {.verb = STORE_DROP, .partition = SLICE_LIT(OTHER)}};
            struct store_op *op = &ops[kind];
            mem_fail_at(n, 0);
            code = run(b, op);
            mem_fail_at(0, 0);
            assert_true(code == E_OK || code == E_NOMEM);
            assert_true(code == E_OK || op->rows_len == 0);
            assert_false(op->ambiguous);
            store_op_release(op);
            if (kind == 0)
                assert_int_equal(version_of(b, OTHER, "new", "x"), code == E_OK);
        }
        assert_int_equal(code, E_OK);
    }
}

static void test_store_contract__batch_limits(void **state)
{
    struct bench *b = *state;
    struct store_item items[STORE_BATCH_ITEMS_MAX + 1];
    char keys[STORE_BATCH_ITEMS_MAX + 1][16];
    for (unsigned i = 0; i <= STORE_BATCH_ITEMS_MAX; i++) {
        snprintf(keys[i], sizeof keys[i], "k%02u", i);
        items[i] = put(STORE_INSERT, keys[i], 0, "x");
    }
    assert_int_equal(commit(b, USER, items, 0), E_USAGE);
    assert_int_equal(commit(b, USER, items, STORE_BATCH_ITEMS_MAX + 1), E_USAGE);
    items[1].key = items[0].key;
    struct store_op op = commit_op(USER, items, 2);
    assert_int_equal(run(b, &op), E_USAGE);
    assert_int_equal(op.failed_item, 1);
    items[1].key = slice_str(keys[1]);
    assert_int_equal(commit(b, USER, items, STORE_BATCH_ITEMS_MAX), E_OK);
    assert_true(expect_rows(b, scan_op(USER, "k4", "", 2, true), "k49 k48"));

    char *body = calloc(4, RECORD_BODY_BYTES_MAX);
    assert_non_null(body);
    for (unsigned i = 0; i < 4; i++) {
        items[i] = put(STORE_PUT, keys[i], 0, "");
        items[i].meta = SLICE_NONE;
        items[i].body.bytes = slice_of(body, RECORD_BODY_BYTES_MAX);
    }
    assert_int_equal(commit(b, USER, items, 4), E_USAGE);
    items[3].body.bytes.len -= 4 * 3;  // the keys count too
    assert_int_equal(commit(b, USER, items, 4), E_OK);
    free(body);
}

static void test_store_contract__drop(void **state)
{
    struct bench *b = *state;
    assert_int_equal(insert(b, USER, "a", "1"), E_OK);
    assert_int_equal(insert(b, USER, "b", "2"), E_OK);
    assert_int_equal(insert(b, OTHER, "a", "3"), E_OK);
    struct store_op op = {.verb = STORE_DROP, .partition = slice_str(USER)};
    assert_int_equal(run(b, &op), E_OK);
    assert_false(expect_rows(b, scan_op(USER, "", "", 10, false), ""));
    assert_int_equal(version_of(b, OTHER, "a", "3"), 1);
    assert_int_equal(run(b, &op), E_OK);
    assert_int_equal(insert(b, USER, "a", "again"), E_OK);
}

#define CONTRACT_COMMIT_TESTS \
    CONTRACT_TEST(get_absent), CONTRACT_TEST(insert_then_get), CONTRACT_TEST(survives_reopen), \
    CONTRACT_TEST(insert_refuses_existing), CONTRACT_TEST(versions_grow_by_one), \
    CONTRACT_TEST(stale_version_conflicts), CONTRACT_TEST(delete), \
    CONTRACT_TEST(batch_is_whole_or_absent), CONTRACT_TEST(put_replaces_everything), \
    CONTRACT_TEST(counters), CONTRACT_TEST(bytes_come_back), CONTRACT_TEST(any_partition), \
    CONTRACT_TEST(item_limits), CONTRACT_TEST(op_limits), CONTRACT_TEST(batch_limits), \
    CONTRACT_TEST(drop), CONTRACT_TEST(read_only), CONTRACT_TEST(every_allocation)

#endif
