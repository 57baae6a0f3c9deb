// SPDX-License-Identifier: MIT
// test_ledger.c: a turn's life in the ledger: accept, keep, attempt, settle; and back from the store.
#include "unit/ledger_kit.h"

static void test_ledger__accept_and_settle(void **state)
{
    (void)state;
    struct kit k;
    kit_open(&k, "memory:");
    struct chat *c = kit_chat(&k, "kitchen");

    assert_int_equal(kit_accept(&k, c, "hello"), E_OK);
    assert_int_equal(c->head.turns, 1);
    assert_int_equal(c->head.open_turn, 1);
    assert_int_equal(c->head.tokens, 10);
    assert_int_equal(c->attempt.n, 1);
    assert_int_equal(chat_turn(c, 1)->status, TURN_OPEN);
    assert_says(&chat_turn(c, 1)->steps[0], "hello");
    assert_true(c->system_loaded);

    assert_int_equal(kit_settle(&k, c, "hi there"), E_OK);
    assert_int_equal(c->head.open_turn, 0);
    assert_int_equal(c->head.tokens, 15);
    assert_int_equal(chat_turn(c, 1)->status, TURN_DONE);
    assert_says(turn_reply(chat_turn(c, 1)), "hi there");
    assert_int_equal(chat_turn(c, 1)->usage.cost_nusd, 1000);
    assert_true(chat_bytes(c) > sizeof(*c));
    chat_free(c);
    kit_close(&k);
}

static void test_ledger__comes_back_byte_for_byte(void **state)
{
    (void)state;
    struct kit k;
    kit_open(&k, "memory:");
    struct chat *c = kit_chat(&k, "kitchen");
    const char *odd = "a \"quote\"\n\ttab \xe2\x82\xac \xf0\x9f\x99\x82 \x7f end ";
    kit_turn(&k, c, odd, "one");
    clock_sim_advance(&k.clock, 5000);
    kit_turn(&k, c, "two", odd);
    struct ledger_op op;
    assert_int_equal(kit_accept(&k, c, "three"), E_OK);
    assert_int_equal(kit_settle_op(&k, c, TURN_FAILED, NULL, &op), E_OK);
    assert_int_equal(chat_turn(c, 3)->steps_len, 1);

    int code;
    struct chat *d = kit_again(&k, c->head.id, &code);
    assert_int_equal(code, E_OK);
    assert_int_equal(d->head.turns, 3);
    assert_int_equal(d->first, 1);
    assert_int_equal(d->head.tokens, c->head.tokens);
    assert_string_equal(d->head.context, "kitchen");
    assert_string_equal(d->head.bot, "hello");
    assert_int_equal(d->head.last_active_at_ms, c->head.last_active_at_ms);
    for (uint32_t n = 1; n <= 3; n++) {
        const struct turn *x = chat_turn(c, n), *y = chat_turn(d, n);
        assert_int_equal(x->status, y->status);
        assert_int_equal(x->stop, y->stop);
        assert_int_equal(x->steps_len, y->steps_len);
        assert_int_equal(x->at_ms, y->at_ms);
        assert_string_equal(x->policy, y->policy);
        assert_string_equal(x->model, y->model);
        assert_memory_equal(&x->usage, &y->usage, sizeof(x->usage));
    }
    assert_says(&chat_turn(d, 1)->steps[0], odd);
    assert_says(turn_reply(chat_turn(d, 2)), odd);
    assert_null(turn_reply(chat_turn(d, 3)));
    assert_int_equal(safe_buf_text(&d->system).len, strlen("be kind"));
    chat_free(c);
    chat_free(d);
    kit_close(&k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ledger__accept_and_settle),
        cmocka_unit_test(test_ledger__comes_back_byte_for_byte),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
