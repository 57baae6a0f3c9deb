// SPDX-License-Identifier: MIT
// test_ledger_settle.c: a turn is settled with all that a policy may say at its end, in one commit:
// a cut, a system prompt, state, core memory. Where memory runs out, at whichever allocation, the
// turn stays open and nothing of it is there; then it is settled all the same.
#include "unit/ledger_kit.h"

// Allocation n of it fails; 0: none.
static int settle_all(struct kit *k, struct chat *c, uint64_t n, struct ledger_op *op)
{
    static const struct history_cut cut = {.first = 2, .turn = 2, .pins_end = 2, .plan = 3};
    struct attempt attempt = {.status = ATTEMPT_DONE, .http_status = 200, .provider = "scripted",
                              .model = "echo"};
    static char system[60 << 10];  // more than the commit has room for so far
    struct content content = kit_content("It is.");
    struct ledger_settle s = {.status = TURN_DONE, .stop = STOP_END, .reply = &content,
                              .attempt = &attempt, .cut = &cut, .system = kit_text(system),
                              .system_hash = 8, .resume = true, .core = true,
                              .states = {kit_text("{\"topic\":\"tulips\"}"), SAFE_NONE,
                                         kit_text("{\"tone\":\"dry\"}")}};

    memset(system, 'b', sizeof(system) - 1);
    kit_ready(k, op);
    mem_fail_at(n, 0);
    ledger_settle(c, &s, op);
    int code = kit_wait(k, op);
    mem_fail_at(0, 0);
    content_release(&content);
    return code;
}

// The cut and the system prompt go together, and wait for the next turn where there was no memory
// for them: a turn always ends.
static void assert_settled(struct kit *k, const struct chat *c, uint32_t events)
{
    bool has_cut = c->head.cut.first == 2;

    assert_int_equal(c->head.open_turn, 0);
    assert_int_equal(c->head.system_hash == 8, has_cut);
    assert_int_equal(c->head.events, events + (has_cut ? 3 : 1));  // cut, system; core
    assert_true(slice_is(safe_slice(session_state(&c->head)),
                         "{\"topic\":\"tulips\",\"tone\":\"dry\"}"));
    assert_verified(k);
}

static void test_settle__out_of_memory(void **state)
{
    unsigned failures = 0, whole = 0;
    int code = E_NOMEM;

    (void)state;
    for (uint64_t n = 1; n < 60; n++) {
        struct ledger_op op;
        struct kit k;

        kit_open(&k, "memory:");
        struct chat *c = kit_chat(&k, "kitchen");
        kit_turn(&k, c, "Hello.", "Hi.");
        assert_int_equal(kit_accept(&k, c, "Is it spring?"), E_OK);
        uint32_t events = c->head.events;
        code = settle_all(&k, c, n, &op);
        failures += code == E_NOMEM;
        assert_true(code == E_OK || code == E_NOMEM);
        assert_false(op.state_refused);  // what memory was lacking for was not too large
        if (code) {
            assert_int_equal(c->head.open_turn, 2);
            assert_int_equal(c->head.events, events);
            assert_int_equal(session_state(&c->head).len, 0);
            assert_int_equal(settle_all(&k, c, 0, &op), E_OK);
        }
        assert_settled(&k, c, events);
        whole += c->head.cut.first == 2;
        chat_free(c);
        kit_close(&k);
    }
    assert_true(code == E_OK && failures > 8 && whole > 30);
}

// A state that grew too large is no reason to lose a turn: it stays as it was, and that is told.
static void test_settle__a_state_that_is_too_large(void **state)
{
    struct attempt attempt = {.status = ATTEMPT_DONE, .provider = "scripted", .model = "echo"};
    struct buf text = BUF_INIT(1 << 20);
    struct ledger_op op;
    struct kit k;

    (void)state;
    kit_open(&k, "memory:");
    struct chat *c = kit_chat(&k, "kitchen");
    assert_int_equal(kit_accept(&k, c, "Hello."), E_OK);
    buf_add_str(&text, "{\"much\":\"");
    for (int i = 0; i < 200 * 1024; i++)
        buf_add_char(&text, 'x');
    buf_add_str(&text, "\"}");
    struct content content = kit_content("Hi.");
    struct ledger_settle s = {.status = TURN_DONE, .stop = STOP_END, .reply = &content,
                              .attempt = &attempt,
                              .states = {kit_text("{\"topic\":\"moss\"}"), {text.ptr, text.len}}};
    kit_ready(&k, &op);
    ledger_settle(c, &s, &op);
    assert_int_equal(kit_wait(&k, &op), E_OK);
    assert_true(op.state_refused);
    assert_true(slice_is(safe_slice(session_state(&c->head)), "{\"topic\":\"moss\"}"));
    content_release(&content);
    buf_release(&text);
    chat_free(c);
    kit_close(&k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_settle__out_of_memory),
        cmocka_unit_test(test_settle__a_state_that_is_too_large),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
