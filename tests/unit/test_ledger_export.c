// SPDX-License-Identifier: MIT
// test_ledger_export.c: an export has all members of all records, or it says that it failed: where
// memory runs out, at whichever allocation, nothing is left out in silence. What is damaged is
// named, and all else is there.
#include "ledger/export.h"
#include "unit/ledger_meddler.h"

// A record with a seal that holds.
static void put(struct kit *k, const char *key, const char *meta, const char *body,
                int64_t count)
{
    struct vault_place place = {slice_str(k->partition), slice_str(key), slice_str(meta)};
    struct buf sealing = BUF_INIT(VAULT_ENVELOPE_BYTES + 4096);
    struct sealed sealed;

    assert_int_equal(vault_seal(k->vault, k->key, &place, kit_text(body), &sealing, &sealed, NULL),
                     E_OK);
    struct store_item item = {.verb = count ? STORE_ADD : STORE_PUT, .key = place.key,
                              .meta = place.meta, .body = sealed, .count = count};
    struct kit_store_op w = {.op = {.verb = STORE_COMMIT, .items = &item, .items_len = 1}};
    kit_submit(k, &w);
    store_op_release(&w.op);
    buf_release(&sealing);
}

// All pages one after the other.
static int export_all(struct kit *k, struct buf *out)
{
    struct buf items = BUF_INIT(8 << 20), damaged = BUF_INIT(1 << 20);
    struct ledger_export e = {.partition = k->partition, .key = k->key, .items = &items,
                              .damaged = &damaged};
    int code = E_OK;

    do {
        struct ledger_op op;

        buf_clear(&items);
        buf_clear(&damaged);
        kit_ready(k, &op);
        ledger_export(k->ledger, &e, &op);
        code = kit_wait(k, &op);
        if (!code) {
            buf_add_slice(out, buf_slice(&items));
            buf_add_slice(out, buf_slice(&damaged));
        }
    } while (!code && e.cursor[0]);
    buf_release(&items);
    buf_release(&damaged);
    return code;
}

static void test_export__nothing_is_left_out(void **state)
{
    struct buf whole = BUF_INIT(16 << 20), again = BUF_INIT(16 << 20);
    struct buf body = BUF_INIT(4096);
    char name[3000] = "", meta[4096];
    unsigned failures = 0;
    int code = E_NOMEM;
    struct kit k;

    (void)state;
    kit_open(&k, "memory:");
    mem_fail_at(1, 0);  // a ledger that has no work to spare
    assert_int_equal(export_all(&k, &whole), E_NOMEM);
    mem_fail_at(0, 0);
    buf_clear(&whole);
    struct chat *c = kit_chat(&k, "kitchen");
    kit_turn(&k, c, "Hello.", "Hi.");
    // What needs more memory than what came before: a long name, and a body of many values.
    memset(name, 'n', sizeof(name) - 1);
    snprintf(meta, sizeof(meta), "{\"%s\":1}", name);
    put(&k, "odd/long", meta, "", 0);
    for (unsigned i = 0; i < 900; i++)
        buf_add_str(&body, i ? ",0" : "{\"list\":[0");
    buf_add_str(&body, "]}");
    put(&k, "core/hello", "{}", body.ptr, 0);
    assert_int_equal(export_all(&k, &whole), E_OK);
    assert_non_null(strstr(whole.ptr, "Hello."));
    buf_add_str(&again, whole.ptr);  // so that there is room for it
    for (uint64_t n = 1; code && n < 3000; n++) {
        buf_clear(&again);
        mem_fail_at(n, 0);
        code = export_all(&k, &again);
        mem_fail_at(0, 0);
        failures += code == E_NOMEM;
        assert_true(code == E_OK || code == E_NOMEM);
    }
    assert_true(code == E_OK && failures > 20);
    assert_string_equal(again.ptr, whole.ptr);
    buf_release(&whole);
    buf_release(&again);
    buf_release(&body);
    chat_free(c);
    kit_close(&k);
}

static unsigned count_of(const struct buf *b, const char *what)
{
    unsigned n = 0;

    for (const char *at = b->ptr; at && (at = strstr(at, what)); at++)
        n++;
    return n;
}

// What is no record of ours, or cannot be read, is told too; what only looks like more of another
// record is one.
static void test_export__whatever_there_is(void **state)
{
    static const char *const alone[] = {"odd/a", "odd/b/0000000001", "odd/c", "odd/cx0123456789",
                                        "odd/d", "odd/d/abcdefghij"};
    struct buf all = BUF_INIT(16 << 20);
    char key[128];
    struct kit k;

    (void)state;
    kit_open(&k, "memory:");
    struct chat *c = kit_chat(&k, "kitchen");
    kit_turn(&k, c, "Hello.", "Hi.");
    for (size_t i = 0; i < sizeof(alone) / sizeof(alone[0]); i++)
        put(&k, alone[i], "{\"at\":1700000000000,\"n\":7}", i ? "seven bytes" : "", 0);
    put(&k, "recall/hello/1", "{}", "numbers", 0);
    put(&k, "recall/hello", "{\"bot\":\"told by the key\"}", "", 0);
    put(&k, "memory/hello", "{}", "a body that it should not have", 0);
    put(&k, "core/hello", "{}", "", 0);
    put(&k, "event/x/1/2/3/4/5/6", "{}", "", 0);
    put(&k, "core/none", "{}", "{no JSON", 0);
    put(&k, "learnt/none", "no JSON", "", 0);
    put(&k, "spend/2026-01-01/nusd/hello", "{}", "", 12);
    assert_int_equal(export_all(&k, &all), E_OK);
    for (size_t i = 0; i < sizeof(alone) / sizeof(alone[0]); i++) {
        snprintf(key, sizeof(key), "{\"key\":\"%s\",\"at\":\"2023-11-14T", alone[i]);
        assert_int_equal(count_of(&all, key), 1);
    }
    assert_int_equal(count_of(&all, "\"bytes\":11"), 5);
    assert_int_equal(count_of(&all, "told by the key"), 0);
    assert_int_equal(count_of(&all, "{\"key\":\"core/none\",\"why\":"), 1);
    assert_int_equal(count_of(&all, "{\"key\":\"learnt/none\",\"why\":"), 1);
    assert_int_equal(count_of(&all, "\"why\":"), 2);
    assert_int_equal(count_of(&all, "\"count\":12"), 1);
    buf_release(&all);
    chat_free(c);
    kit_close(&k);
}

// Bodies that go on in further records, and more than a page has room for.
static void test_export__long_bodies(void **state)
{
    enum { BYTES = 450 << 10, TURNS = 4, MORE = 430 };
    struct buf all = BUF_INIT(16 << 20);
    char *text = mem_alloc(BYTES + 1), key[128];
    struct kit k;

    (void)state;
    assert_non_null(text);
    memset(text, 'x', BYTES);
    text[0] = '<';
    text[BYTES] = '\0';
    kit_open(&k, "memory:");
    struct chat *c = kit_chat(&k, "kitchen");
    for (int i = 0; i < TURNS; i++)
        kit_turn(&k, c, text, "Hi.");
    for (int i = 0; i < MORE; i++) {
        snprintf(key, sizeof(key), "odd/%d", i);
        put(&k, key, "{}", "", 0);
    }
    assert_int_equal(export_all(&k, &all), E_OK);
    assert_int_equal(count_of(&all, text), TURNS);
    assert_int_equal(count_of(&all, "\"key\":\"odd/"), MORE);
    assert_int_equal(count_of(&all, "\"why\":"), 0);
    // Its first record is damaged: it is told once.
    snprintf(key, sizeof(key), "turn/%s/0000000002/0000000000", c->head.id);
    kit_spoil(&k, key, "{}");
    buf_clear(&all);
    assert_int_equal(export_all(&k, &all), E_OK);
    assert_int_equal(count_of(&all, text), TURNS - 1);
    assert_int_equal(count_of(&all, "\"why\":"), 1);
    mem_free(text);
    buf_release(&all);
    chat_free(c);
    kit_close(&k);
}

static void test_export__no_place_to_go_on_from(void **state)
{
    static const char *const cursors[] = {"99 x", "x", "1x", "1"};
    struct buf items = BUF_INIT(1 << 20), damaged = BUF_INIT(1 << 20);
    struct kit k;

    (void)state;
    kit_open(&k, "memory:");
    for (size_t i = 0; i < sizeof(cursors) / sizeof(cursors[0]); i++) {
        struct ledger_export e = {.partition = k.partition, .key = k.key, .items = &items,
                                  .damaged = &damaged};
        struct ledger_op op;

        snprintf(e.cursor, sizeof(e.cursor), "%s", cursors[i]);
        kit_ready(&k, &op);
        ledger_export(k.ledger, &e, &op);
        assert_int_equal(kit_wait(&k, &op), E_USAGE);
        assert_non_null(strstr(op.err.message, cursors[i]));
    }
    buf_release(&items);
    buf_release(&damaged);
    kit_close(&k);
}

// Whatever one answer of the store says: a failure is told, and an export ends.
static void test_export__every_answer_of_the_store(void **state)
{
    unsigned failures = 0, runs = 0;

    (void)state;
    for (unsigned how = 0; how < MEDDLINGS; how++) {
        bool hit = true;
        for (long n = 1; hit && n < 60; n++) {
            struct buf all = BUF_INIT(16 << 20);
            struct meddler m;
            struct kit k;

            kit_open(&k, "memory:");
            struct chat *c = kit_chat(&k, "kitchen");
            kit_turn(&k, c, "Hello.", "Hi.");
            meddler_init(&m, &k);
            m.how = (enum meddling)how;
            m.countdown = n;
            int code = export_all(&k, &all);
            hit = m.hit;
            runs++;
            failures += code != E_OK;
            if (how < MEDDLE_CONFLICT && hit)
                assert_int_not_equal(code, E_OK);
            if (!code && how < MEDDLINGS_HONEST)
                assert_true(count_of(&all, "Hello.") == 1 || count_of(&all, "\"why\":") > 0);
            meddler_release(&m);
            buf_release(&all);
            chat_free(c);
            kit_close(&k);
        }
        assert_false(hit);
    }
    printf("# exports on a store that fails or lies: %u, %u failures told\n", runs, failures);
    assert_true(failures > 50);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_export__nothing_is_left_out),
        cmocka_unit_test(test_export__whatever_there_is),
        cmocka_unit_test(test_export__long_bodies),
        cmocka_unit_test(test_export__no_place_to_go_on_from),
        cmocka_unit_test(test_export__every_answer_of_the_store),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
