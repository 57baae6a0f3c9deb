// SPDX-License-Identifier: MIT
// A rotation that is carried on in passes, while other processes carry it on and begin the next.
#include "jobs/reseal.h"
#include "unit/ledger_kit.h"

enum { PAGES = 3, RECORDS = PAGES * RESEAL_PAGE_ROWS };

static const struct slice meta = SLICE_LIT("{}");

static struct slice key_of(uint32_t i, char text[32])
{
    return slice_of(text, (size_t)snprintf(text, 32, "turn/%010u", i));
}

static void committed(struct store_op *op)
{
    assert_int_equal(op->code, E_OK);
}

static void put_records(struct kit *k)
{
    for (uint32_t i = 0; i < RECORDS; i++) {
        char text[32];
        struct buf out = BUF_INIT(1024);
        struct vault_place at = {slice_str(k->partition), key_of(i, text), meta};
        struct store_item item = {.verb = STORE_INSERT, .key = at.key, .meta = meta};
        struct store_op op = {.verb = STORE_COMMIT, .loop = k->loop, .done = committed,
                              .partition = at.partition, .items = &item, .items_len = 1};

        int code = vault_seal(k->vault, k->key, &at, SAFE_LIT("kept"), &out, &item.body, NULL);
        assert_int_equal(code, E_OK);
        store_submit(k->store, &op);
        loop_run(k->loop);
        store_op_release(&op);
        buf_release(&out);
    }
}

static uint32_t count_readable(struct kit *k)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < RECORDS; i++) {
        char text[32];
        struct safe_buf out;
        struct vault_place at = {slice_str(k->partition), key_of(i, text), meta};
        struct store_op op = {.verb = STORE_GET, .loop = k->loop, .done = committed,
                              .partition = at.partition, .key = at.key};

        safe_buf_init(&out, 1024);
        store_submit(k->store, &op);
        loop_run(k->loop);
        assert_int_equal(op.rows_len, 1);
        n += vault_unseal(k->vault, k->key, &at, op.rows[0].body, &out, NULL) == E_OK;
        store_op_release(&op);
        safe_buf_release(&out);
    }
    return n;
}

static void over(struct reseal *r)
{
    *(bool *)r->user = true;
}

static void pass(struct kit *k, struct reseal *r, void (*begin)(struct reseal *r))
{
    bool done = false;

    r->store = k->store;
    r->vault = k->vault;
    r->loop = k->loop;
    r->done = over;
    r->user = &done;
    begin(r);
    loop_run(k->loop);
    assert_true(done);
}

// What this one looked at says nothing of the rotation after: its key is not to be destroyed.
static void test_reseal__another_rotation_begins_meanwhile(void **state)
{
    struct kit k;
    bool stop = true;
    struct reseal ours = {.begin = true, .pages_max = 1}, theirs = {0};
    struct reseal next = {.begin = true, .stop = &stop};

    (void)state;
    kit_open(&k, "memory:");
    put_records(&k);
    pass(&k, &ours, reseal_run);
    assert_true(ours.more && ours.records == RESEAL_PAGE_ROWS);
    pass(&k, &theirs, reseal_run);
    assert_int_equal(theirs.code, E_OK);
    assert_int_equal(theirs.retired, 1);
    pass(&k, &next, reseal_run);
    assert_true(next.more && next.records == 0);
    while (ours.more)
        pass(&k, &ours, reseal_go_on);
    assert_int_equal(count_readable(&k), RECORDS);
    assert_int_equal(ours.code, E_BUSY);
    stop = false;
    pass(&k, &next, reseal_go_on);
    assert_int_equal(next.code, E_OK);
    assert_int_equal(next.retired, 1);
    assert_int_equal(count_readable(&k), RECORDS);
    kit_close(&k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reseal__another_rotation_begins_meanwhile),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
