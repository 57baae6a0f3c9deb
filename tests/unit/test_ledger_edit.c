// SPDX-License-Identifier: MIT
// test_ledger_edit.c: what supersedes: undo, edit and move; and two processes at one session.
#include "unit/ledger_kit.h"

static int supersede(struct kit *k, struct chat *c, uint32_t first, struct ledger_op *op)
{
    kit_ready(k, op);
    ledger_supersede(c, first, SUPERSEDE_UNDO, op);
    return kit_wait(k, op);
}

static void assert_same_again(struct kit *k, struct chat *c)
{
    int code;
    struct chat *d = kit_again(k, c->head.id, &code);

    assert_int_equal(code, E_OK);
    assert_int_equal(d->head.turns, c->head.turns);
    assert_int_equal(d->head.open_turn, c->head.open_turn);
    assert_int_equal(d->head.events, c->head.events);
    assert_int_equal(d->head.tokens, c->head.tokens);
    assert_int_equal(d->head.version, c->head.version);
    for (uint32_t n = c->first; n <= c->head.turns; n++) {
        assert_int_equal(chat_turn(d, n)->superseded, chat_turn(c, n)->superseded);
        assert_int_equal(chat_turn(d, n)->status, chat_turn(c, n)->status);
    }
    chat_free(d);
}

static void test_ledger_edit__undo(void **state)
{
    (void)state;
    struct kit k;
    struct ledger_op op;
    kit_open(&k, "memory:");
    struct chat *c = kit_chat(&k, "kitchen");

    assert_int_equal(supersede(&k, c, 1, &op), E_NOT_FOUND);
    for (int i = 0; i < 5; i++)
        kit_turn(&k, c, "q", "a");
    assert_int_equal(c->head.tokens, 75);
    assert_int_equal(supersede(&k, c, 0, &op), E_NOT_FOUND);
    assert_int_equal(supersede(&k, c, 6, &op), E_NOT_FOUND);
    assert_int_equal(supersede(&k, c, 5, &op), E_OK);
    assert_true(chat_turn(c, 5)->superseded);
    assert_false(chat_turn(c, 4)->superseded);
    assert_int_equal(c->head.tokens, 60);
    assert_int_equal(supersede(&k, c, 5, &op), E_REFUSED);
    kit_turn(&k, c, "q6", "a6");
    assert_int_equal(supersede(&k, c, 3, &op), E_OK);  // 5 is not counted twice
    assert_int_equal(c->head.tokens, 30);
    assert_same_again(&k, c);
    assert_int_equal(kit_accept(&k, c, "open"), E_OK);
    assert_int_equal(supersede(&k, c, 1, &op), E_REFUSED);
    assert_int_equal(kit_settle(&k, c, "x"), E_OK);
    assert_verified(&k);
    chat_free(c);
    kit_close(&k);
}

static void test_ledger_edit__undo_of_what_is_not_loaded(void **state)
{
    (void)state;
    struct kit k;
    struct ledger_op op;
    struct err err = ERR_INIT;
    struct session_head head;
    struct chat *d;
    kit_open(&k, "memory:");
    struct chat *c = kit_chat(&k, "kitchen");
    for (int i = 0; i < 5; i++)
        kit_turn(&k, c, "q", "a");

    assert_int_equal(session_head_copy(&head, &c->head, &err), E_OK);
    assert_int_equal(chat_new(&d, k.ledger, &head, k.key, &err), E_OK);
    assert_int_equal(supersede(&k, d, 2, &op), E_OK);
    assert_int_equal(d->head.tokens, 15);
    assert_int_equal(d->first, 2);
    assert_same_again(&k, d);
    chat_free(d);
    chat_free(c);
    assert_verified(&k);
    kit_close(&k);
}

static void test_ledger_edit__edit_is_one_commit(void **state)
{
    (void)state;
    struct kit k;
    struct ledger_op op;
    struct kit_accept from2 = {.edit_from = 2};
    kit_open(&k, "memory:");
    struct chat *c = kit_chat(&k, "kitchen");
    for (int i = 0; i < 4; i++)
        kit_turn(&k, c, "q", "a");

    uint64_t version = c->head.version;
    assert_int_equal(kit_accept_op(&k, c, "q2, better", &from2, &op), E_OK);
    assert_int_equal(c->head.version, version + 1);
    assert_int_equal(c->head.turns, 5);
    assert_int_equal(c->head.tokens, 25);
    for (uint32_t n = 2; n <= 4; n++)
        assert_true(chat_turn(c, n)->superseded);
    assert_false(chat_turn(c, 5)->superseded);
    assert_int_equal(kit_settle(&k, c, "a2"), E_OK);
    assert_same_again(&k, c);
    assert_int_equal(kit_accept_op(&k, c, "again", &from2, &op), E_REFUSED);
    // Also of turns that are not in memory.
    struct err err = ERR_INIT;
    struct session_head head;
    struct chat *d;
    struct kit_accept from1 = {.edit_from = 1};
    assert_int_equal(session_head_copy(&head, &c->head, &err), E_OK);
    assert_int_equal(chat_new(&d, k.ledger, &head, k.key, &err), E_OK);
    assert_int_equal(kit_accept_op(&k, d, "from the start", &from1, &op), E_OK);
    assert_int_equal(d->head.tokens, 10);
    assert_int_equal(d->first, 1);
    assert_int_equal(kit_settle(&k, d, "ok"), E_OK);
    assert_same_again(&k, d);
    chat_free(c);
    chat_free(d);
    assert_verified(&k);
    kit_close(&k);
}

static int move(struct kit *k, struct chat *c, struct chat *to, const char *text,
                const struct kit_accept *more, struct ledger_op *op)
{
    struct content content = kit_content(text);
    struct ledger_accept a;

    kit_fill(k, &a, &content, more);
    kit_ready(k, op);
    ledger_move(c, to, &a, op);
    content_release(&content);
    memset(&a, 0xee, sizeof(a));
    return kit_wait(k, op);
}

static void test_ledger_edit__move(void **state)
{
    (void)state;
    struct kit k;
    struct ledger_op op;
    struct kit_accept key = {.key_hash = "0123456789abcdef0123456789abcdef", .digest = "d"};
    kit_open(&k, "memory:");
    struct chat *c = kit_chat(&k, "kitchen"), *to = kit_chat(&k, "kitchen");
    kit_turn(&k, c, "old", "times");
    assert_int_equal(move(&k, c, to, "hello again", &key, &op), E_REFUSED);
    assert_int_equal(kit_accept_op(&k, c, "hello again", &key, &op), E_OK);
    assert_int_equal(move(&k, c, to, "hello again", &key, &op), E_OK);

    assert_int_equal(c->head.open_turn, 0);
    assert_int_equal(c->head.tokens, 15);
    assert_true(chat_turn(c, 2)->superseded);
    assert_int_equal(to->head.turns, 1);
    assert_int_equal(to->head.open_turn, 1);
    assert_int_equal(to->attempt.turn, 1);
    assert_says(&chat_turn(to, 1)->steps[0], "hello again");
    assert_same_again(&k, c);
    assert_same_again(&k, to);
    assert_verified(&k);
    kit_ready(&k, &op);
    ledger_find_key(k.ledger, k.partition, k.key, key.key_hash, "d", &op);
    assert_int_equal(kit_wait(&k, &op), E_OK);
    assert_string_equal(op.key_session, to->head.id);
    assert_int_equal(op.key_turn, 1);
    assert_int_equal(kit_settle(&k, to, "welcome"), E_OK);
    kit_turn(&k, to, "and", "on");
    kit_turn(&k, c, "the old one", "lives too");
    assert_same_again(&k, c);
    assert_same_again(&k, to);
    assert_verified(&k);
    chat_free(c);
    chat_free(to);
    kit_close(&k);
}

static void test_ledger_edit__two_processes_do_not_interleave(void **state)
{
    (void)state;
    struct kit a, b;
    struct ledger_op op;
    int code;
    kit_open(&a, "memory:race");
    kit_open_beside(&b, &a, "memory:race");
    struct chat *x = kit_chat(&a, "kitchen");
    kit_turn(&a, x, "one", "1");
    struct chat *y = kit_again(&b, x->head.id, &code);
    assert_int_equal(code, E_OK);

    assert_int_equal(kit_accept(&a, x, "from a"), E_OK);
    assert_int_equal(kit_accept_op(&b, y, "from b", NULL, &op), E_CONFLICT);
    assert_false(op.key_taken);
    assert_int_equal(y->head.turns, 1);
    // Stale: refused until read again.
    assert_int_equal(kit_accept_op(&b, y, "from b", NULL, &op), E_CONFLICT);
    kit_ready(&b, &op);
    ledger_reload(y, &op);
    assert_int_equal(kit_wait(&b, &op), E_OK);
    assert_int_equal(y->head.open_turn, 2);
    assert_string_equal(y->attempt.owner, x->attempt.owner);
    assert_int_equal(kit_accept_op(&b, y, "from b", NULL, &op), E_REFUSED);
    // Its owner lives: it is not recovered.
    kit_ready(&b, &op);
    ledger_recover_chat(y, &op);
    assert_int_equal(kit_wait(&b, &op), E_BUSY);
    assert_int_equal(kit_settle(&a, x, "2"), E_OK);
    assert_int_equal(kit_settle(&b, y, "mine"), E_CONFLICT);
    kit_ready(&b, &op);
    ledger_reload(y, &op);
    assert_int_equal(kit_wait(&b, &op), E_OK);
    kit_turn(&b, y, "from b", "3");
    assert_int_equal(kit_settle(&a, x, "late"), E_REFUSED);
    assert_int_equal(supersede(&a, x, 2, &op), E_CONFLICT);
    kit_ready(&a, &op);
    ledger_reload(x, &op);
    assert_int_equal(kit_wait(&a, &op), E_OK);
    kit_ready(&a, &op);
    ledger_load(x, 1, &op);
    assert_int_equal(kit_wait(&a, &op), E_OK);
    assert_int_equal(x->head.turns, 3);
    assert_says(&chat_turn(x, 2)->steps[0], "from a");
    assert_says(turn_reply(chat_turn(x, 2)), "2");
    assert_says(turn_reply(chat_turn(x, 3)), "3");
    assert_verified(&a);
    chat_free(x);
    chat_free(y);
    kit_close_store(&b);
    kit_close(&a);
}

static void test_ledger_edit__many_events(void **state)
{
    (void)state;
    struct kit k;
    struct ledger_op op;
    int code;
    kit_open(&k, "memory:");
    struct chat *c = kit_chat(&k, "kitchen");
    for (int i = 0; i < 510; i++) {  // more than a page behind the system prompt's
        kit_turn(&k, c, "q", "a");
        assert_int_equal(supersede(&k, c, c->head.turns, &op), E_OK);
    }
    assert_int_equal(c->head.superseded_len, 1);
    assert_int_equal(c->head.tokens, 0);
    struct chat *d = kit_again(&k, c->head.id, &code);
    assert_int_equal(code, E_OK);
    assert_int_equal(safe_buf_text(&d->system).len, strlen("be kind"));
    chat_free(d);
    chat_free(c);
    assert_verified(&k);
    kit_close(&k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ledger_edit__undo),
        cmocka_unit_test(test_ledger_edit__undo_of_what_is_not_loaded),
        cmocka_unit_test(test_ledger_edit__edit_is_one_commit),
        cmocka_unit_test(test_ledger_edit__move),
        cmocka_unit_test(test_ledger_edit__two_processes_do_not_interleave),
        cmocka_unit_test(test_ledger_edit__many_events),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
