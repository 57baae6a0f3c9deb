// SPDX-License-Identifier: MIT
// test_ledger_pin.c: turns that are pinned, let go, or lose their pin; by the user, by the policy,
// by two processes at once.
#include "unit/ledger_kit.h"

static int pin(struct kit *k, struct chat *c, uint32_t turn, bool remove)
{
    struct ledger_op op;

    kit_ready(k, &op);
    if (remove)
        ledger_unpin(c, turn, &op);
    else
        ledger_pin(c, turn, &op);
    return kit_wait(k, &op);
}

static void reload(struct kit *k, struct chat *c)
{
    struct ledger_op op;

    kit_ready(k, &op);
    ledger_reload(c, &op);
    assert_int_equal(kit_wait(k, &op), E_OK);
}

// The pins of the chat, and of what the store has: "1 user, 3 policy".
static void assert_pins(struct kit *k, const struct chat *c, const char *expected)
{
    struct buf text = BUF_INIT(4096);
    int code;
    struct chat *d = kit_again(k, c->head.id, &code);

    assert_int_equal(code, E_OK);
    assert_int_equal(d->head.pins.len, c->head.pins.len);
    assert_memory_equal(d->head.pins.list, c->head.pins.list,
                        c->head.pins.len * sizeof(c->head.pins.list[0]));
    chat_free(d);
    buf_add_str(&text, "");
    for (uint32_t i = 0; i < c->head.pins.len; i++)
        buf_addf(&text, "%s%u %s", i ? ", " : "", c->head.pins.list[i].turn,
                 pin_by_word(c->head.pins.list[i].by));
    assert_string_equal(text.ptr ? text.ptr : "", expected);
    buf_release(&text);
    assert_verified(k);
}

static void test_ledger_pin__pins_and_lets_go(void **state)
{
    (void)state;
    struct kit k;
    kit_open(&k, "memory:");
    struct chat *c = kit_chat(&k, "kitchen");
    assert_int_equal(pin(&k, c, 1, false), E_NOT_FOUND);
    for (int i = 0; i < 4; i++)
        kit_turn(&k, c, "q", "a");
    uint64_t version = c->head.version;
    uint32_t events = c->head.events;
    assert_int_equal(pin(&k, c, 0, false), E_NOT_FOUND);
    assert_int_equal(pin(&k, c, 5, false), E_NOT_FOUND);
    assert_int_equal(pin(&k, c, 3, true), E_NOT_FOUND);
    assert_int_equal(pin(&k, c, 3, false), E_OK);
    assert_int_equal(c->head.version, version + 1);  // one commit, with its event
    assert_int_equal(c->head.events, events + 1);
    assert_int_equal(pin(&k, c, 1, false), E_OK);
    assert_pins(&k, c, "1 user, 3 user");
    kit_turn(&k, c, "goes", "on");
    assert_pins(&k, c, "1 user, 3 user");
    assert_int_equal(pin(&k, c, 1, true), E_OK);
    assert_pins(&k, c, "3 user");
    assert_int_equal(kit_accept(&k, c, "open"), E_OK);
    assert_int_equal(pin(&k, c, 1, false), E_REFUSED);
    assert_int_equal(pin(&k, c, 3, true), E_REFUSED);
    assert_int_equal(kit_settle(&k, c, "x"), E_OK);
    chat_free(c);
    kit_close(&k);
}

static void test_ledger_pin__what_is_superseded_is_not_pinned(void **state)
{
    (void)state;
    struct kit k;
    struct ledger_op op;
    struct kit_accept from3 = {.edit_from = 3};
    kit_open(&k, "memory:");
    struct chat *c = kit_chat(&k, "kitchen");
    for (uint32_t i = 1; i <= 5; i++) {
        kit_turn(&k, c, "q", "a");
        assert_int_equal(pin(&k, c, i, false), E_OK);
    }
    kit_ready(&k, &op);
    ledger_supersede(c, 5, SUPERSEDE_UNDO, &op);
    assert_int_equal(kit_wait(&k, &op), E_OK);
    assert_pins(&k, c, "1 user, 2 user, 3 user, 4 user");
    assert_int_equal(pin(&k, c, 5, false), E_REFUSED);
    assert_int_equal(kit_accept_op(&k, c, "better", &from3, &op), E_OK);
    assert_int_equal(kit_settle(&k, c, "ok"), E_OK);
    assert_pins(&k, c, "1 user, 2 user");
    chat_free(c);
    kit_close(&k);
}

static void test_ledger_pin__the_policy_pins_with_the_end_of_a_turn(void **state)
{
    (void)state;
    struct kit k;
    struct ledger_op op;
    struct content reply = kit_content("a");
    struct attempt last = {.status = ATTEMPT_DONE};
    struct ledger_settle s = {.status = TURN_DONE, .stop = STOP_END, .reply = &reply, .tokens = 1,
                              .policy = "p", .provider = "", .model = "", .attempt = &last,
                              .pin = true};
    kit_open(&k, "memory:");
    struct chat *c = kit_chat(&k, "kitchen");
    assert_int_equal(kit_accept(&k, c, "q"), E_OK);
    kit_ready(&k, &op);
    ledger_settle(c, &s, &op);
    assert_int_equal(kit_wait(&k, &op), E_OK);
    assert_pins(&k, c, "1 policy");
    assert_int_equal(pin(&k, c, 1, false), E_OK);  // it is the user's wish now
    assert_pins(&k, c, "1 user");
    // There is a limit; a turn that would be over it ends all the same.
    for (uint32_t i = 2; i <= SESSION_PINS_MAX; i++) {
        kit_turn(&k, c, "q", "a");
        assert_int_equal(pin(&k, c, i, false), E_OK);
    }
    assert_int_equal(kit_accept(&k, c, "q"), E_OK);
    kit_ready(&k, &op);
    ledger_settle(c, &s, &op);
    assert_int_equal(kit_wait(&k, &op), E_OK);
    assert_int_equal(c->head.open_turn, 0);
    assert_null(pins_find(&c->head.pins, c->head.turns));
    assert_int_equal(pin(&k, c, c->head.turns, false), E_REFUSED);
    assert_int_equal(pin(&k, c, 7, false), E_OK);  // pinned already
    assert_int_equal(pin(&k, c, 7, true), E_OK);
    assert_int_equal(pin(&k, c, c->head.turns, false), E_OK);
    assert_int_equal(c->head.pins.len, SESSION_PINS_MAX);
    content_release(&reply);
    chat_free(c);
    assert_verified(&k);
    kit_close(&k);
}

static void test_ledger_pin__of_two_processes_one_reads_again(void **state)
{
    (void)state;
    struct kit a, b;
    int code;
    kit_open(&a, "memory:pins");
    kit_open_beside(&b, &a, "memory:pins");
    struct chat *x = kit_chat(&a, "kitchen");
    kit_turn(&a, x, "one", "1");
    kit_turn(&a, x, "two", "2");
    struct chat *y = kit_again(&b, x->head.id, &code);
    assert_int_equal(code, E_OK);
    assert_int_equal(pin(&a, x, 1, false), E_OK);
    assert_int_equal(pin(&b, y, 2, false), E_CONFLICT);
    assert_int_equal(pin(&b, y, 2, false), E_CONFLICT);  // stale until read again
    reload(&b, y);
    assert_int_equal(pin(&b, y, 2, false), E_OK);
    assert_pins(&b, y, "1 user, 2 user");
    chat_free(x);
    chat_free(y);
    kit_close_store(&b);
    kit_close(&a);
}

static int constrain(struct kit *k, struct chat *c, struct safe_text text, uint32_t remove)
{
    struct ledger_op op;

    kit_ready(k, &op);
    if (remove)
        ledger_unconstrain(c, remove, &op);
    else
        ledger_constrain(c, text, &op);
    return kit_wait(k, &op);
}

// What the store has: "1 0 no nuts, 2 1 be brief", each with its number and since when.
static void assert_constraints(struct kit *k, const struct chat *c, const char *expected)
{
    struct buf text = BUF_INIT(64 << 10);
    int code;
    struct chat *d = kit_again(k, c->head.id, &code);
    const struct constraints *list = d->head.constraints;

    assert_int_equal(code, E_OK);
    assert_string_equal(d->head.context, c->head.context);
    for (uint32_t i = 0; list && i < list->len; i++)
        buf_addf(&text, "%s%u %u %.*s", i ? ", " : "", list->list[i].n, list->list[i].since,
                 SLICE_FMT(safe_slice(constraints_text(list, i))));
    assert_string_equal(text.ptr ? text.ptr : "", expected);
    assert_int_equal(c->head.constraints ? c->head.constraints->len : 0, list ? list->len : 0);
    buf_release(&text);
    chat_free(d);
    assert_verified(k);
}

static void test_ledger_pin__constraints(void **state)
{
    (void)state;
    struct kit k;
    struct ledger_op op;
    kit_open(&k, "memory:");
    struct chat *c = kit_chat(&k, "kitchen");
    kit_turn(&k, c, "q", "a");
    uint64_t version = c->head.version;
    assert_int_equal(constrain(&k, c, SAFE_NONE, 1), E_NOT_FOUND);
    assert_int_equal(constrain(&k, c, SAFE_NONE, 0), E_USAGE);
    assert_null(c->head.constraints);
    assert_int_equal(constrain(&k, c, SAFE_LIT("no nuts"), 0), E_OK);
    assert_int_equal(c->head.version, version + 1);
    kit_turn(&k, c, "q", "a");
    assert_int_equal(constrain(&k, c, SAFE_LIT("be brief"), 0), E_OK);
    assert_int_equal(constrain(&k, c, SAFE_LIT("rhyme"), 0), E_OK);
    assert_constraints(&k, c, "1 1 no nuts, 2 2 be brief, 3 2 rhyme");
    assert_int_equal(pin(&k, c, 1, false), E_OK);
    assert_int_equal(kit_accept(&k, c, "open"), E_OK);
    assert_int_equal(constrain(&k, c, SAFE_LIT("late"), 0), E_REFUSED);
    assert_int_equal(constrain(&k, c, SAFE_NONE, 1), E_REFUSED);
    assert_int_equal(kit_settle(&k, c, "x"), E_OK);
    kit_ready(&k, &op);
    ledger_supersede(c, 3, SUPERSEDE_UNDO, &op);
    assert_int_equal(kit_wait(&k, &op), E_OK);
    assert_int_equal(constrain(&k, c, SAFE_NONE, 2), E_OK);
    assert_constraints(&k, c, "1 1 no nuts, 3 2 rhyme");
    assert_int_equal(constrain(&k, c, SAFE_NONE, 2), E_NOT_FOUND);
    assert_int_equal(constrain(&k, c, SAFE_NONE, 1), E_OK);
    assert_int_equal(constrain(&k, c, SAFE_NONE, 3), E_OK);
    assert_constraints(&k, c, "");
    assert_pins(&k, c, "1 user");
    chat_free(c);
    kit_close(&k);
}

// Asked again in the same words it is the same turn, and stays pinned by whom it was.
static void test_ledger_pin__what_is_asked_again_stays_pinned(void **state)
{
    (void)state;
    struct kit k;
    struct content words = kit_content("q");
    struct ledger_accept a;
    struct ledger_op op;
    kit_open(&k, "memory:");
    struct chat *c = kit_chat(&k, "kitchen");
    kit_turn(&k, c, "one", "a");
    for (uint32_t i = 2; i <= SESSION_PINS_MAX + 1; i++) {
        kit_turn(&k, c, "q", "a");
        assert_int_equal(pin(&k, c, i, false), E_OK);
    }
    kit_fill(&k, &a, &words, NULL);
    a.edit_from = SESSION_PINS_MAX + 1;
    a.regenerate = true;
    kit_ready(&k, &op);
    ledger_accept(c, &a, &op);
    assert_int_equal(kit_wait(&k, &op), E_OK);
    assert_int_equal(kit_settle(&k, c, "b"), E_OK);
    assert_non_null(pins_find(&c->head.pins, SESSION_PINS_MAX + 2));
    assert_null(pins_find(&c->head.pins, SESSION_PINS_MAX + 1));
    assert_int_equal(c->head.pins.len, SESSION_PINS_MAX);
    assert_verified(&k);
    content_release(&words);
    chat_free(c);
    kit_close(&k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ledger_pin__pins_and_lets_go),
        cmocka_unit_test(test_ledger_pin__what_is_superseded_is_not_pinned),
        cmocka_unit_test(test_ledger_pin__the_policy_pins_with_the_end_of_a_turn),
        cmocka_unit_test(test_ledger_pin__constraints),
        cmocka_unit_test(test_ledger_pin__what_is_asked_again_stays_pinned),
        cmocka_unit_test(test_ledger_pin__of_two_processes_one_reads_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
