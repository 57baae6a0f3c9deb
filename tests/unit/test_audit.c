// SPDX-License-Identifier: MIT
// test_audit.c: notes for the audit trail: what they say, with which commits they go, and that they
// name nobody.
#include "ledger_kit.h"

#include "ledger/audit.h"

static const struct audit_note full = {
    .action = AUDIT_ORIGINALS_REVEALED,
    .detail = AUDIT_TOOL,
    .actor = "uid:1000",
    .subject = "00112233445566778899aabbccddeeff",
    .bot = "support_desk",
    .count = 3,
    .at_ms = 1767261600123,
};

static void assert_same(const struct audit_note *a, const struct audit_note *b)
{
    assert_int_equal(a->action, b->action);
    assert_int_equal(a->detail, b->detail);
    assert_string_equal(a->actor, b->actor);
    assert_string_equal(a->subject, b->subject);
    assert_string_equal(a->bot, b->bot);
    assert_int_equal(a->count, b->count);
    assert_true(a->at_ms == b->at_ms);
}

static void test_audit__a_note_comes_back(void **state)
{
    struct audit_note back, least = {.action = AUDIT_KEYS_ROTATED, .at_ms = 1767261600123};
    struct buf meta = BUF_INIT(1024);
    struct err err = ERR_INIT;

    (void)state;
    audit_note_write(&full, &meta);
    assert_int_equal(audit_note_read(&back, buf_slice(&meta), &err), E_OK);
    assert_same(&back, &full);
    buf_clear(&meta);
    audit_note_write(&least, &meta);
    assert_string_equal(meta.ptr, "{\"at\":\"2026-01-01T10:00:00.123Z\","
                                  "\"action\":\"keys_rotated\",\"actor\":\"engine\"}");
    assert_int_equal(audit_note_read(&back, buf_slice(&meta), &err), E_OK);
    assert_same(&back, &least);
    buf_release(&meta);
}

static void test_audit__every_word_comes_back(void **state)
{
    struct buf meta = BUF_INIT(1024);

    (void)state;
    for (int i = 0; i < AUDIT_ACTIONS; i++) {
        enum audit_action found = AUDIT_ACTIONS;

        assert_true(audit_action_find(slice_str(audit_action_word(i)), &found));
        assert_int_equal(found, i);
    }
    for (int i = 0; i < AUDIT_DETAILS; i++) {
        struct audit_note note = full, back;

        note.detail = i;
        buf_clear(&meta);
        audit_note_write(&note, &meta);
        assert_int_equal(audit_note_read(&back, buf_slice(&meta), NULL), E_OK);
        assert_int_equal(back.detail, i);
        assert_int_equal(i == 0, audit_detail_word(i)[0] == '\0');
    }
    assert_false(audit_action_find(SLICE_LIT("session"), NULL));
    buf_release(&meta);
}

static void test_audit__nonsense_is_told(void **state)
{
    static const char *const bad[] = {
        "", "[]", "{}",
        "{\"at\":\"yesterday\",\"action\":\"keys_rotated\",\"actor\":\"engine\"}",
        "{\"at\":\"2026-01-01T10:00:00.123Z\",\"action\":\"keys_eaten\",\"actor\":\"engine\"}",
        "{\"at\":\"2026-01-01T10:00:00.123Z\",\"action\":\"keys_rotated\"}",
        "{\"at\":\"2026-01-01T10:00:00.123Z\",\"action\":\"keys_rotated\",\"actor\":\"engine\","
        "\"subject\":\"ann\"}",
        "{\"at\":\"2026-01-01T10:00:00.123Z\",\"action\":\"keys_rotated\",\"actor\":\"engine\","
        "\"detail\":\"hello there\"}",
    };
    struct audit_note note;
    struct err err;

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(audit_note_read(&note, slice_str(bad[i]), &err), E_CORRUPT);
}

static void test_audit__a_new_session_is_one_record_more(void **state)
{
    struct kit k;

    (void)state;
    kit_open(&k, "memory:");
    struct chat *c = kit_chat(&k, "kitchen");
    assert_int_equal(kit_accept(&k, c, "Hello."), E_OK);
    assert_int_equal(kit_count(&k, AUDIT_OUTBOX), 1);
    assert_int_equal(kit_settle(&k, c, "Hi."), E_OK);
    kit_turn(&k, c, "What is new?", "Nothing.");
    assert_int_equal(kit_count(&k, AUDIT_OUTBOX), 1);
    assert_verified(&k);
    chat_free(c);
    kit_close(&k);
}

static void test_audit__a_session_that_is_resumed(void **state)
{
    struct content content = kit_content("I am back.");
    struct ledger_accept a;
    struct ledger_op op;
    struct kit k;

    (void)state;
    kit_open(&k, "memory:");
    struct chat *c = kit_chat(&k, "kitchen");
    kit_turn(&k, c, "Hello.", "Hi.");
    kit_fill(&k, &a, &content, NULL);
    a.resumed = true;
    kit_ready(&k, &op);
    ledger_accept(c, &a, &op);
    assert_int_equal(kit_wait(&k, &op), E_OK);
    assert_int_equal(kit_count(&k, AUDIT_OUTBOX), 2);
    content_release(&content);
    chat_free(c);
    kit_close(&k);
}

// What rides in somebody else's batch is what the ledger would write, and is read as that.
static void test_audit__a_note_in_any_batch(void **state)
{
    struct audit_outbox outbox[2];
    struct store_item items[2];
    struct err err = ERR_INIT;
    struct kit k;

    (void)state;
    kit_open(&k, "memory:");
    for (int i = 0; i < 2; i++) {
        assert_int_equal(audit_outbox(&outbox[i], &items[i], k.vault, &k.rand->rand, k.key,
                                      k.partition, &full, &err), E_OK);
        kit_put(&k, outbox[i].key, outbox[i].meta, items[i].body.bytes, AUDIT_DUE_MS);
    }
    assert_int_equal(kit_count(&k, AUDIT_OUTBOX), 2);
    assert_verified(&k);
    assert_null(memmem(items[0].meta.ptr, items[0].meta.len, k.partition, strlen(k.partition)));
    kit_spoil(&k, outbox[0].key, "{}");
    struct buf report = kit_verify(&k);
    assert_non_null(strstr(report.ptr, "is missing in the audit trail"));
    buf_release(&report);
    kit_close(&k);
}

static void test_audit__a_note_alone(void **state)
{
    static const struct audit_note read = {.action = AUDIT_OPERATOR_READ, .detail = AUDIT_SHOW};
    struct ledger_op op;
    struct kit k;

    (void)state;
    kit_open(&k, "memory:");
    kit_ready(&k, &op);
    audit_record(k.ledger, k.partition, k.key, &read, &op);
    assert_int_equal(kit_wait(&k, &op), E_OK);
    assert_int_equal(kit_count(&k, AUDIT_OUTBOX), 1);
    kit_close(&k);
    kit_open(&k, "faulty:fail_at=1,mode=before;memory:");
    kit_ready(&k, &op);
    audit_record(k.ledger, k.partition, k.key, &read, &op);
    assert_int_equal(kit_wait(&k, &op), E_STORE);
    kit_close(&k);
}

// Without memory there is no note, and it is told as that; nor is one that is longer than a record
// of the outbox may be, nor one of a user who is erased.
static void test_audit__a_note_that_cannot_be_made(void **state)
{
    struct audit_note wide = full;
    struct audit_outbox outbox;
    struct store_item item;
    struct err err = ERR_INIT;
    int code = E_NOMEM;
    unsigned failures = 0;
    struct kit k;

    (void)state;
    kit_open(&k, "memory:");
    for (uint64_t n = 1; code && n < 50; n++) {
        mem_fail_at(n, 0);
        code = audit_outbox(&outbox, &item, k.vault, &k.rand->rand, k.key, k.partition, &full,
                            &err);
        mem_fail_at(0, 0);
        failures += code == E_NOMEM;
        assert_true(code == E_OK || code == E_NOMEM);
    }
    assert_true(code == E_OK && failures > 0);
    memset(wide.bot, 1, sizeof(wide.bot) - 1);  // six bytes each, as JSON
    memset(wide.policy, 1, sizeof(wide.policy) - 1);
    assert_int_equal(audit_outbox(&outbox, &item, k.vault, &k.rand->rand, k.key, k.partition, &wide,
                                  &err), E_USAGE);
    assert_non_null(strstr(err.message, "its bot's name is too long"));
    kit_forget(&k);
    assert_int_equal(audit_outbox(&outbox, &item, k.vault, &k.rand->rand, k.key, k.partition, &full,
                                  &err), E_ERASED);
    kit_close(&k);
}

// A note of what was before says when.
static void test_audit__a_note_has_the_time_that_it_is_given(void **state)
{
    struct audit_note note = {.action = AUDIT_OPERATOR_READ, .detail = AUDIT_SHOW,
                              .at_ms = 1600000000123};
    struct kit_store_op w = {.op = {.verb = STORE_SCAN, .key = SLICE_LIT(AUDIT_OUTBOX),
                                    .limit = 10}};
    struct ledger_op op;
    struct kit k;

    (void)state;
    kit_open(&k, "memory:");
    kit_ready(&k, &op);
    audit_record(k.ledger, k.partition, k.key, &note, &op);
    assert_int_equal(kit_wait(&k, &op), E_OK);
    kit_submit(&k, &w);
    assert_int_equal(w.op.rows_len, 1);
    assert_int_equal(audit_note_read(&note, w.op.rows[0].meta, &op.err), E_OK);
    assert_true(note.at_ms == 1600000000123);
    store_op_release(&w.op);
    kit_close(&k);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_audit__a_note_comes_back),
        cmocka_unit_test(test_audit__every_word_comes_back),
        cmocka_unit_test(test_audit__nonsense_is_told),
        cmocka_unit_test(test_audit__a_new_session_is_one_record_more),
        cmocka_unit_test(test_audit__a_session_that_is_resumed),
        cmocka_unit_test(test_audit__a_note_in_any_batch),
        cmocka_unit_test(test_audit__a_note_alone),
        cmocka_unit_test(test_audit__a_note_that_cannot_be_made),
        cmocka_unit_test(test_audit__a_note_has_the_time_that_it_is_given),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
