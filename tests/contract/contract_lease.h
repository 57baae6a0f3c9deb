// SPDX-License-Identifier: MIT
// contract_lease.h: leases, fences, claims.
#ifndef TESTS_CONTRACT_LEASE_H
#define TESTS_CONTRACT_LEASE_H

// *epoch is the op's epoch, in and out.
static int lease(struct bench *b, const char *holder, uint64_t *epoch, struct store_op *op)
{
    *op = (struct store_op){.verb = STORE_LEASE, .partition = slice_str(USER),
                            .key = SLICE_LIT("lease"), .holder = slice_str(holder),
                            .ttl_ms = 1000, .epoch = *epoch};
    int code = run(b, op);
    *epoch = op->epoch;
    return code;
}

static void test_store_contract__lease_keeps_others_out(void **state)
{
    struct bench *b = *state;
    struct store_op op;
    uint64_t ann = 0, bob = 0;
    assert_int_equal(lease(b, "ann", &ann, &op), E_OK);
    assert_true(ann >= 1);
    assert_int_equal(lease(b, "bob", &bob, &op), E_REFUSED);
    assert_string_equal(op.holder_now, "ann");
    assert_int_equal(bob, 0);
    uint64_t renewed = ann;
    assert_int_equal(lease(b, "ann", &renewed, &op), E_OK);
    assert_int_equal(renewed, ann);
    // The lease is no record.
    assert_false(expect_rows(b, scan_op(USER, "", "", 9, false), ""));
}

static void test_store_contract__lease_expires(void **state)
{
    struct bench *b = *state;
    struct store_op op;
    uint64_t ann = 0, bob = 0;
    assert_int_equal(lease(b, "ann", &ann, &op), E_OK);
    clock_sim_advance(&b->clock, 999);
    assert_int_equal(lease(b, "bob", &bob, &op), E_REFUSED);
    uint64_t renewed = ann;
    assert_int_equal(lease(b, "ann", &renewed, &op), E_OK);
    clock_sim_advance(&b->clock, 999);
    assert_int_equal(lease(b, "bob", &bob, &op), E_REFUSED);
    clock_sim_advance(&b->clock, 1);
    assert_int_equal(lease(b, "bob", &bob, &op), E_OK);
    assert_true(bob > ann);
    assert_int_equal(lease(b, "ann", &renewed, &op), E_FENCED);
    assert_string_equal(op.holder_now, "bob");
}

static void test_store_contract__lease_take_over_and_release(void **state)
{
    struct bench *b = *state;
    struct store_op op;
    uint64_t ann = 0, bob = UINT64_MAX, stale = 0, carl = 0;
    assert_int_equal(lease(b, "ann", &ann, &op), E_OK);
    assert_int_equal(lease(b, "bob", &bob, &op), E_OK);
    assert_true(bob > ann);
    stale = ann;
    assert_int_equal(lease(b, "", &stale, &op), E_FENCED);
    stale = bob;
    assert_int_equal(lease(b, "", &stale, &op), E_OK);
    assert_int_equal(stale, 0);
    stale = bob;
    assert_int_equal(lease(b, "bob", &stale, &op), E_FENCED);
    assert_int_equal(lease(b, "carl", &carl, &op), E_OK);
    assert_true(carl > bob);
}

static void test_store_contract__lease_limits(void **state)
{
    struct bench *b = *state;
    char holder[65] = {0};
    memset(holder, 'h', 64);
    struct store_op op;
    uint64_t epoch = 0;
    assert_int_equal(lease(b, holder, &epoch, &op), E_USAGE);
    holder[63] = 0;
    assert_int_equal(lease(b, holder, &epoch, &op), E_OK);
    epoch = 0;
    assert_int_equal(lease(b, "other", &epoch, &op), E_REFUSED);
    assert_string_equal(op.holder_now, holder);
    assert_int_equal(lease(b, "", &epoch, &op), E_USAGE);
    op.holder = SLICE_LIT("zero");
    op.ttl_ms = 0;
    assert_int_equal(run(b, &op), E_USAGE);
    op.ttl_ms = 1;
    op.holder = slice_of("a\0b", 3);
    assert_int_equal(run(b, &op), E_USAGE);
    op.holder = SLICE_LIT("zero");
    op.key = SLICE_NONE;
    assert_int_equal(run(b, &op), E_USAGE);
    op.key = SLICE_LIT("lease");
    op.ttl_ms = INT64_MAX;
    op.epoch = UINT64_MAX;
    assert_int_equal(run(b, &op), E_OK);
    clock_sim_jump(&b->clock, (int64_t)1 << 50);
    epoch = 0;
    assert_int_equal(lease(b, "other", &epoch, &op), E_REFUSED);
}

static int fenced(struct bench *b, const char *key, uint64_t epoch)
{
    struct store_item item = put(STORE_INSERT, key, 0, "x");
    struct store_op op = commit_op(USER, &item, 1);
    op.fence_key = SLICE_LIT("lease");
    op.fence_epoch = epoch;
    return run(b, &op);
}

static void test_store_contract__fence(void **state)
{
    struct bench *b = *state;
    struct store_op op;
    uint64_t ann = 0, bob = UINT64_MAX, gone = 0;
    assert_int_equal(fenced(b, "never", 1), E_FENCED);
    assert_int_equal(lease(b, "ann", &ann, &op), E_OK);
    assert_int_equal(fenced(b, "a", ann), E_OK);
    assert_int_equal(fenced(b, "b", ann + 1), E_FENCED);
    // Expired but not taken by anybody: nobody else can have written.
    clock_sim_advance(&b->clock, 5000);
    assert_int_equal(fenced(b, "c", ann), E_OK);
    assert_int_equal(lease(b, "bob", &bob, &op), E_OK);
    assert_int_equal(fenced(b, "d", ann), E_FENCED);
    assert_int_equal(fenced(b, "e", bob), E_OK);
    gone = bob;
    assert_int_equal(lease(b, "", &gone, &op), E_OK);
    assert_int_equal(fenced(b, "f", bob), E_FENCED);
    assert_int_equal(insert(b, USER, "g", "no fence"), E_OK);
    assert_false(expect_rows(b, scan_op(USER, "", "", 9, false), "a c e g"));
}

static void test_store_contract__epochs_outlive_a_drop(void **state)
{
    struct bench *b = *state;
    struct store_op op, drop = {.verb = STORE_DROP, .partition = slice_str(USER)};
    uint64_t ann = 0, bob = 0;
    assert_int_equal(lease(b, "ann", &ann, &op), E_OK);
    op.partition = SLICE_LIT(OTHER);  // which stays
    op.epoch = 0;
    assert_int_equal(run(b, &op), E_OK);
    assert_int_equal(run(b, &drop), E_OK);
    op.epoch = 0;
    assert_int_equal(run(b, &op), E_REFUSED);
    assert_int_equal(fenced(b, "a", ann), E_FENCED);
    assert_int_equal(lease(b, "bob", &bob, &op), E_OK);
    assert_true(bob > ann);
    assert_int_equal(fenced(b, "a", ann), E_FENCED);
}

static bool alive(struct bench *b, const char *claim)
{
    struct store_op op = {.verb = STORE_CLAIM_ALIVE, .key = slice_str(claim)};
    assert_int_equal(run(b, &op), E_OK);
    return op.alive;
}

static void test_store_contract__claims(void **state)
{
    struct bench *b = *state;
    struct store *second = open_again(b);
    char mine[64], theirs[64];
    snprintf(mine, sizeof mine, "%s", store_claim(b->store));
    snprintf(theirs, sizeof theirs, "%s", store_claim(second));
    assert_true(mine[0] && strlen(mine) < 48);
    assert_string_not_equal(mine, theirs);
    assert_string_equal(mine, store_claim(b->store));
    assert_true(alive(b, mine));
    assert_true(alive(b, theirs));
    assert_false(alive(b, "nobody"));
    assert_false(alive(b, "0000000000000001"));
    store_free(second);
    assert_false(alive(b, theirs));
    assert_true(alive(b, mine));
}

#define CONTRACT_LEASE_TESTS \
    CONTRACT_TEST(lease_keeps_others_out), CONTRACT_TEST(lease_expires), \
    CONTRACT_TEST(lease_take_over_and_release), CONTRACT_TEST(lease_limits), \
    CONTRACT_TEST(fence), CONTRACT_TEST(epochs_outlive_a_drop), CONTRACT_TEST(claims)

#endif
