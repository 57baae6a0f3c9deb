// SPDX-License-Identifier: MIT
// test_trail.c: the audit trail: notes become entries once, in a chain that is whole, with a head
// that follows; and what is not whole is told. What dies between, and who changes a store, are in
// fault/test_audit.c.
#include "unit/trail_kit.h"

#include "unit/ledger_meddler.h"

static void test_trail__entries_follow_each_other(void **state)
{
    struct trail_kit t;

    (void)state;
    trail_open(&t, "memory:", true);
    trail_sound(&t, 0);
    assert_int_equal(access(t.head, F_OK), -1);
    for (uint32_t i = 1; i <= 5; i++) {
        assert_int_equal(trail_append_one(&t, i), E_OK);
        trail_sound(&t, i);
    }
    struct stat st;
    assert_int_equal(stat(t.head, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    trail_close(&t);
}

// What is told can be hashed by anybody.
static int hash_told(void *user, const struct audit_entry *e, struct slice json, struct err *err)
{
    struct slice tail = SLICE_LIT(",\"hash\":\"");
    const char *at = memmem(json.ptr, json.len, tail.ptr, tail.len);
    char hash[AUDIT_HASH_BYTES], *prev = user;
    struct buf text = BUF_INIT(4096);

    (void)err;
    assert_non_null(at);
    buf_add(&text, json.ptr, (size_t)(at - json.ptr));
    buf_add_char(&text, '}');
    vault_hash(buf_slice(&text), hash);
    assert_string_equal(hash, e->hash);
    assert_string_equal(prev, e->prev);
    assert_null(memmem(json.ptr, json.len, "\"sum\"", 5));
    memcpy(prev, hash, sizeof(hash));
    buf_release(&text);
    return E_OK;
}

static void test_trail__anybody_can_check_what_is_told(void **state)
{
    char prev[AUDIT_HASH_BYTES];
    struct ledger_op op;
    struct trail_kit t;

    (void)state;
    trail_open(&t, "memory:", true);
    for (uint32_t i = 1; i <= 3; i++)
        assert_int_equal(trail_append_one(&t, i), E_OK);
    memcpy(prev, audit_first, sizeof(prev));
    struct trail_read r = {.take = hash_told, .user = prev};
    kit_ready(&t.k, &op);
    trail_read(t.k.ledger, &r, &op);
    assert_int_equal(kit_wait(&t.k, &op), E_OK);
    trail_sound(&t, 3);
    assert_string_equal(prev, t.check.end.hash);
    trail_close(&t);
}

static void test_trail__notes_are_fed_once(void **state)
{
    enum { NOTES = 130 };
    uint32_t times[NOTES + 1];
    struct trail_counts counts = {.n = NOTES + 1, .times = times};
    struct trail_feed f = {.notes_max = 60};
    struct trail_kit t;

    (void)state;
    trail_open(&t, "memory:", true);
    for (uint32_t i = 1; i <= NOTES; i++)
        assert_int_equal(trail_note(&t, i % 3, i), E_OK);
    assert_int_equal(trail_feed_all(&t, &f), E_OK);
    assert_true(f.more && f.fed >= 60 && f.fed < NOTES);
    trail_sound(&t, f.fed);
    assert_int_equal(trail_append_one(&t, 0), E_OK);
    uint32_t before = f.fed;
    f.notes_max = 0;
    assert_int_equal(trail_feed_all(&t, &f), E_OK);
    assert_int_equal(before + f.fed, NOTES);
    assert_false(f.more);
    assert_int_equal(f.left, 0);
    trail_sound(&t, NOTES + 1);
    trail_nothing_left(&t);
    trail_counted(&t, &counts);
    for (uint32_t i = 0; i <= NOTES; i++)
        assert_int_equal(times[i], 1);
    // Nothing to do is nothing written.
    assert_int_equal(trail_feed_all(&t, &f), E_OK);
    assert_int_equal(f.fed, 0);
    trail_sound(&t, NOTES + 1);
    trail_close(&t);
}

static void test_trail__sessions_are_in_it(void **state)
{
    struct trail_kit t;
    struct ledger_op op;
    uint32_t times[1];
    struct trail_counts counts = {.n = 1, .times = times};

    (void)state;
    trail_open(&t, "memory:", true);
    struct chat *c = kit_chat(&t.k, "kitchen");
    kit_turn(&t.k, c, "Hello.", "Hi.");
    assert_int_equal(trail_feed_all(&t, NULL), E_OK);
    trail_sound(&t, 1);
    struct trail_read r = {.take = trail_take_count, .user = &counts};
    audit_subject(t.k.vault, t.k.key, t.k.partition, r.subject, NULL);
    memset(times, 0, sizeof(times));
    kit_ready(&t.k, &op);
    trail_read(t.k.ledger, &r, &op);
    assert_int_equal(kit_wait(&t.k, &op), E_OK);
    assert_int_equal(times[0], 1);
    audit_subject(t.k.vault, t.users[0].key, t.users[0].partition, r.subject, NULL);
    memset(times, 0, sizeof(times));
    kit_ready(&t.k, &op);
    trail_read(t.k.ledger, &r, &op);
    assert_int_equal(kit_wait(&t.k, &op), E_OK);
    assert_int_equal(times[0], 0);
    chat_free(c);
    trail_close(&t);
}

static void test_trail__a_damaged_note_stops_nothing(void **state)
{
    struct trail_feed f = {0};
    struct trail_kit t;

    (void)state;
    trail_open(&t, "memory:", true);
    assert_int_equal(trail_note(&t, 0, 1), E_OK);
    memcpy(t.k.partition, t.users[0].partition, sizeof(t.k.partition));
    t.k.key = t.users[0].key;
    kit_put(&t.k, AUDIT_OUTBOX "0123456789abcdef", "{\"action\":\"none\"}", SLICE_NONE,
            AUDIT_DUE_MS);
    kit_put(&t.k, AUDIT_OUTBOX "odd", "{}", SLICE_NONE, AUDIT_DUE_MS);
    assert_int_equal(trail_note(&t, 1, 2), E_OK);
    assert_int_equal(trail_feed_all(&t, &f), E_OK);
    assert_int_equal(f.fed, 2);
    assert_int_equal(f.left, 1);
    trail_sound(&t, 2);
    trail_close(&t);
}

static void delete_entry(struct trail_kit *t, const char *key)
{
    memcpy(t->k.partition, AUDIT_PARTITION, sizeof(AUDIT_PARTITION));
    kit_delete(&t->k, key);
}

static void test_trail__a_tail_that_is_cut_off_is_told_by_the_head(void **state)
{
    struct trail_kit t;

    (void)state;
    trail_open(&t, "memory:", true);
    for (uint32_t i = 1; i <= 3; i++)
        assert_int_equal(trail_append_one(&t, i), E_OK);
    delete_entry(&t, "entry/0000000003");
    assert_int_equal(trail_problems(&t, NULL), 1);
    assert_non_null(strstr(t.report.ptr, "signed over entry 3: the newest is entry 2"));
    // What comes after does not heal it: the head stays evidence.
    assert_int_equal(trail_append_one(&t, 4), E_OK);
    assert_int_equal(trail_problems(&t, NULL), 1);
    assert_non_null(strstr(t.report.ptr, "entry 3 is another one than the house's head"));
    assert_int_equal(trail_append_one(&t, 5), E_OK);
    assert_int_equal(trail_problems(&t, NULL), 1);
    trail_close(&t);
}

// The control: without a head nobody can tell.
static void test_trail__a_tail_is_not_missed_without_a_head(void **state)
{
    struct trail_kit t;

    (void)state;
    trail_open(&t, "memory:", false);
    for (uint32_t i = 1; i <= 3; i++)
        assert_int_equal(trail_append_one(&t, i), E_OK);
    struct audit_head carried;
    trail_sound(&t, 3);
    carried = t.check.end;
    delete_entry(&t, "entry/0000000003");
    trail_sound(&t, 2);
    assert_int_equal(trail_problems(&t, &carried), 1);
    trail_close(&t);
}

static void test_trail__a_head_that_is_gone_is_told(void **state)
{
    struct trail_kit t;

    (void)state;
    trail_open(&t, "memory:", true);
    assert_int_equal(trail_append_one(&t, 1), E_OK);
    unlink(t.head);
    assert_int_equal(trail_problems(&t, NULL), 1);
    assert_int_equal(trail_append_one(&t, 2), E_OK);
    assert_int_equal(access(t.head, F_OK), -1);
    assert_int_equal(trail_problems(&t, NULL), 1);
    trail_close(&t);
}

// Who wrote the first entries died before they were signed: the head is of nothing yet.
static void test_trail__first_entries_without_a_head(void **state)
{
    struct buf text = BUF_INIT(4096);
    struct trail_kit t;

    (void)state;
    trail_open(&t, "memory:", true);
    for (uint32_t i = 1; i <= 3; i++)
        assert_int_equal(trail_append_one(&t, i), E_OK);
    struct audit_head none = {0};
    memcpy(none.hash, audit_first, sizeof(none.hash));
    trail_sound(&t, 3);
    memcpy(none.store, t.check.head.store, sizeof(none.store));
    vault_head_write(t.k.vault, &none, &text);
    buf_add_char(&text, '\n');
    FILE *file = fopen(t.head, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(text.ptr, 1, text.len, file), text.len);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(trail_problems(&t, NULL), 0);
    assert_int_equal(t.check.head.n, 0);
    assert_int_equal(trail_append_one(&t, 4), E_OK);
    trail_sound(&t, 4);
    buf_release(&text);
    trail_close(&t);
}

static void accept_it(struct trail_kit *t, enum audit_detail why)
{
    struct ledger_op op;

    kit_ready(&t->k, &op);
    trail_accept(t->k.ledger, why, "uid:0", &op);
    assert_int_equal(kit_wait(&t->k, &op), E_OK);
}

static void test_trail__it_can_be_accepted_which_is_an_entry(void **state)
{
    struct trail_kit t;

    (void)state;
    trail_open(&t, "memory:", true);
    for (uint32_t i = 1; i <= 3; i++)
        assert_int_equal(trail_append_one(&t, i), E_OK);
    accept_it(&t, AUDIT_NO_DETAIL);
    trail_sound(&t, 3);
    delete_entry(&t, "entry/0000000003");
    accept_it(&t, AUDIT_NO_DETAIL);
    trail_sound(&t, 3);
    unlink(t.head);
    accept_it(&t, AUDIT_NO_DETAIL);
    trail_sound(&t, 4);
    assert_int_equal(trail_append_one(&t, 9), E_OK);
    trail_sound(&t, 5);
    trail_close(&t);
}

// Another house's head is none of this one.
static void test_trail__a_head_of_another_keyring(void **state)
{
    struct audit_head head = {.n = 7, .at_ms = 1767261600123}, back;
    struct buf text = BUF_INIT(VAULT_HEAD_BYTES);
    struct err err = ERR_INIT;
    struct rand_sim sim;
    struct vault *other;
    struct trail_kit t;

    (void)state;
    trail_open(&t, "memory:", true);
    rand_sim_init(&sim, 7);
    struct vault_options vo = {.rand = &sim.rand, .no_thread = true};
    assert_int_equal(vault_open(&other, &vo, &err), E_OK);
    memset(head.hash, 'a', sizeof(head.hash) - 1);
    vault_head_write(other, &head, &text);
    assert_int_equal(vault_head_read(other, buf_slice(&text), &back, &err), E_OK);
    assert_int_equal(vault_head_read(t.k.vault, buf_slice(&text), &back, &err), E_CORRUPT);
    vault_free(other);
    buf_release(&text);
    trail_close(&t);
}

static void test_trail__a_head_is_signed(void **state)
{
    struct audit_head head = {.n = 7, .at_ms = 1767261600123}, back;
    struct buf text = BUF_INIT(VAULT_HEAD_BYTES);
    struct err err = ERR_INIT;
    struct trail_kit t;

    (void)state;
    trail_open(&t, "memory:", true);
    memset(head.hash, 'a', sizeof(head.hash) - 1);
    vault_head_write(t.k.vault, &head, &text);
    assert_int_equal(vault_head_read(t.k.vault, buf_slice(&text), &back, &err), E_OK);
    assert_int_equal(back.n, 7);
    assert_true(back.at_ms == head.at_ms);
    assert_string_equal(back.hash, head.hash);
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        // The key is told for others; here the house's own counts.
        const char *key = memmem(text.ptr, text.len, "\"key\":", 6);

        if (&text.ptr[i] >= key && &text.ptr[i] < key + 74)
            continue;
        text.ptr[i] = c == '1' ? '2' : '1';
        if (vault_head_read(t.k.vault, buf_slice(&text), &back, &err) == E_OK)
            fail_msg("believed: %s", text.ptr);
        assert_int_equal(back.n, 0);
        text.ptr[i] = c;
    }
    buf_release(&text);
    trail_close(&t);
}

// Two processes that append at once, and one that feeds meanwhile.
static void test_trail__two_processes(void **state)
{
    struct trail_feed f = {0}, g = {0};
    struct audit_note note = {.action = AUDIT_KEYS_ROTATED, .count = 77};
    struct ledger_op one, two, three;
    struct trail_kit t;

    (void)state;
    trail_open(&t, "memory:", true);
    for (uint32_t i = 1; i <= 30; i++)
        assert_int_equal(trail_note(&t, i % 3, i), E_OK);
    kit_ready(&t.k, &one);
    trail_feed(t.k.ledger, &f, &one);
    kit_ready(&t.k, &two);
    trail_feed(t.k.ledger, &g, &two);
    kit_ready(&t.k, &three);
    trail_append(t.k.ledger, &note, 1, &three);
    loop_run(t.k.loop);
    assert_int_equal(three.code, E_OK);
    assert_true((one.code == E_OK && two.code == E_BUSY) ||
                (two.code == E_OK && one.code == E_BUSY));
    assert_int_equal(f.fed + g.fed, 30);
    trail_sound(&t, 31);
    trail_nothing_left(&t);
    trail_close(&t);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_trail__entries_follow_each_other),
        cmocka_unit_test(test_trail__anybody_can_check_what_is_told),
        cmocka_unit_test(test_trail__notes_are_fed_once),
        cmocka_unit_test(test_trail__sessions_are_in_it),
        cmocka_unit_test(test_trail__a_damaged_note_stops_nothing),
        cmocka_unit_test(test_trail__a_tail_that_is_cut_off_is_told_by_the_head),
        cmocka_unit_test(test_trail__a_tail_is_not_missed_without_a_head),
        cmocka_unit_test(test_trail__a_head_that_is_gone_is_told),
        cmocka_unit_test(test_trail__first_entries_without_a_head),
        cmocka_unit_test(test_trail__it_can_be_accepted_which_is_an_entry),
        cmocka_unit_test(test_trail__a_head_of_another_keyring),
        cmocka_unit_test(test_trail__a_head_is_signed),
        cmocka_unit_test(test_trail__two_processes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
