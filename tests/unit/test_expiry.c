// SPDX-License-Identifier: MIT
// test_expiry.c: when a session grows old, and what its head keeps beside its turns.
#include "unit/ledger_kit.h"

#include "base/json.h"
#include "model/session.h"

enum { MINUTE = 60 * 1000, HOUR = 60 * MINUTE };
#define DAY ((int64_t)24 * HOUR)

static void test_expiry__when(void **state)
{
    struct expiry fixed = {.kind = EXPIRY_FIXED, .hard_ms = DAY};
    struct expiry never = {0}, far = {.hard_ms = EXPIRY_MS_MAX};

    (void)state;
    assert_int_equal(expiry_soft_at(&expiry_default, 5, 1000), 1000 + 30 * MINUTE);
    assert_int_equal(expiry_hard_at(&expiry_default, 5, 1000), 1000 + 2 * HOUR);
    assert_int_equal(expiry_default.purge_ms, 0);
    assert_int_equal(expiry_hard_at(&fixed, 5, 1000), 5 + DAY);
    assert_int_equal(expiry_soft_at(&fixed, 5, 1000), 0);
    assert_int_equal(expiry_hard_at(&never, 5, 1000), 0);
    assert_int_equal(expiry_hard_at(&far, 0, INT64_MAX - 5), 0);
    assert_int_equal(expiry_hard_at(&far, 0, INT64_MIN), 1);  // long due
}

static void test_expiry__status(void **state)
{
    struct session_head h = {.created_at_ms = 1000, .last_active_at_ms = HOUR, .turns = 2,
                             .expiry = expiry_default};

    (void)state;
    assert_int_equal(session_status_at(&h, 0), SESSION_ACTIVE);  // the clock went back
    assert_int_equal(session_status_at(&h, HOUR + 30 * MINUTE - 1), SESSION_ACTIVE);
    assert_int_equal(session_status_at(&h, HOUR + 30 * MINUTE), SESSION_SOFT_EXPIRED);
    assert_int_equal(session_status_at(&h, 3 * HOUR - 1), SESSION_SOFT_EXPIRED);
    assert_int_equal(session_status_at(&h, 3 * HOUR), SESSION_HARD_EXPIRED);
    h.open_turn = 2;
    assert_int_equal(session_status_at(&h, 3 * HOUR), SESSION_ACTIVE);
    h.open_turn = 0;
    h.status = SESSION_ARCHIVED;
    assert_int_equal(session_status_at(&h, 0), SESSION_ARCHIVED);
}

static void test_expiry__due(void **state)
{
    struct session_head h = {.created_at_ms = 1000, .last_active_at_ms = HOUR, .turns = 2,
                             .expiry = expiry_default};

    (void)state;
    assert_int_equal(session_due_at(&h), 3 * HOUR);
    h.open_turn = 2;
    assert_int_equal(session_due_at(&h), 0);  // its attempt is
    h.open_turn = 0;
    h.status = SESSION_ARCHIVED;
    h.archived_at_ms = 4 * HOUR;
    assert_int_equal(session_due_at(&h), 0);  // nothing is deleted unless the policy says so
    h.expiry.purge_ms = 30 * DAY;
    assert_int_equal(session_due_at(&h), 4 * HOUR + 30 * DAY);
    h.purged = 2;
    assert_int_equal(session_due_at(&h), 0);
    h.purging = true;  // some of them are there yet
    assert_int_equal(session_due_at(&h), 4 * HOUR + 30 * DAY);
    h.purging = false;
    h.purged = h.turns = 0;
    assert_int_equal(session_due_at(&h), 0);
    assert_int_equal(session_merge_state(&h, kit_text("{\"topic\":\"tulips\"}"), NULL), E_OK);
    assert_int_equal(session_due_at(&h), 4 * HOUR + 30 * DAY);
    session_head_release(&h);
}

static void assert_state(const struct session_head *h, const char *want)
{
    struct safe_text state = session_state(h);

    if (!slice_is(safe_slice(state), want))
        fail_msg("%.*s is not %s", SLICE_FMT(state), want);
}

static void test_expiry__state_is_merged(void **state)
{
    struct session_head h = {.bot = "b", .expiry = expiry_default}, back = {0}, copy = {0};
    struct safe_buf body;
    struct buf meta = BUF_INIT(RECORD_META_BYTES_MAX);
    struct err err = ERR_INIT;

    (void)state;
    assert_state(&h, "");
    assert_int_equal(session_merge_state(&h, kit_text("{\"topic\":\"tulips\",\"tone\":\"dry\"}"),
                                         &err), E_OK);
    assert_int_equal(session_merge_state(&h, kit_text("{\"tone\":false,\"a/\\\"b\":[1,{}],"
                                                      "\"topic\":\"peonies\"}"), &err), E_OK);
    assert_state(&h, "{\"a/\\\"b\":[1,{}],\"topic\":\"peonies\"}");
    assert_int_equal(session_merge_state(&h, kit_text("{\"topic\":\"moss\"}"), &err), E_OK);
    assert_state(&h, "{\"a/\\\"b\":[1,{}],\"topic\":\"moss\"}");
    h.origin = ORIGIN_OFFERED;
    memset(h.before, 'x', sizeof(h.before) - 1);
    h.archived_at_ms = 9;
    h.expiry = (struct expiry){EXPIRY_FIXED, 0, DAY, 30 * DAY};
    safe_buf_add(&h.notes->primer, SAFE_LIT("> user: hello\n"));
    safe_buf_add(&h.notes->greeting, SAFE_LIT("Welcome back."));
    safe_buf_init(&body, RECORD_BODY_BYTES_MAX);
    session_write_meta(&h, &meta);
    session_write_body(&h, &body);
    assert_int_equal(session_read_meta(&back, buf_slice(&meta), &err), E_OK);
    assert_int_equal(session_read_body(&back, safe_buf_text(&body), &err), E_OK);
    assert_int_equal(session_head_copy(&copy, &back, &err), E_OK);
    assert_state(&copy, "{\"a/\\\"b\":[1,{}],\"topic\":\"moss\"}");
    assert_true(slice_is(safe_slice(session_primer(&copy)), "> user: hello\n"));
    assert_true(slice_is(safe_slice(session_greeting(&copy)), "Welcome back."));
    assert_int_equal(copy.origin, ORIGIN_OFFERED);
    assert_string_equal(copy.before, h.before);
    assert_int_equal(copy.expiry.purge_ms, 30 * DAY);
    assert_int_equal(copy.expiry.kind, EXPIRY_FIXED);
    assert_int_equal(copy.archived_at_ms, 9);
    assert_int_equal(session_merge_state(&copy, kit_text("{\"a/\\\"b\":false,\"topic\":false}"),
                                         &err), E_OK);
    assert_state(&copy, "");
    session_head_release(&copy);
    session_head_release(&back);
    session_head_release(&h);
    safe_buf_release(&body);
    buf_release(&meta);
}

// Without memory the state stays what it was, and is never a part of what it should be.
static void test_expiry__state_without_memory(void **state)
{
    unsigned failures = 0;
    int code = E_NOMEM;

    (void)state;
    for (uint64_t n = 1; code && n < 100; n++) {
        struct session_head h = {.bot = "b", .expiry = expiry_default};
        struct err err = ERR_INIT;

        assert_int_equal(session_merge_state(&h, kit_text("{\"topic\":\"tulips\","
                                                          "\"tone\":\"dry\"}"), &err), E_OK);
        mem_fail_at(n, 0);
        code = session_merge_state(&h, kit_text("{\"mood\":1,\"tone\":false}"), &err);
        mem_fail_at(0, 0);
        failures += code == E_NOMEM;
        assert_true(code == E_OK || code == E_NOMEM);
        assert_state(&h, code ? "{\"topic\":\"tulips\",\"tone\":\"dry\"}"
                              : "{\"topic\":\"tulips\",\"mood\":1}");
        session_head_release(&h);
    }
    assert_true(code == E_OK && failures > 2);
}

static void test_expiry__state_has_limits(void **state)
{
    struct session_head h = {.expiry = expiry_default};
    struct buf text = BUF_INIT(1 << 20);
    struct err err = ERR_INIT;

    (void)state;
    for (int part = 0; part < 4; part++) {
        buf_clear(&text);
        buf_addf(&text, "{\"part%d\":\"", part);
        for (int i = 0; i < 36 << 10; i++)
            buf_add_str(&text, "x");
        buf_add_str(&text, "\"}");
        int code = session_merge_state(&h, (struct safe_text){text.ptr, text.len}, &err);
        assert_int_equal(code, part < 3 ? E_OK : E_REFUSED);
    }
    assert_true(session_state(&h).len > 100 << 10);
    session_head_release(&h);
    buf_clear(&text);
    buf_add_str(&text, "{");
    for (int i = 0; i <= SESSION_STATE_KEYS_MAX; i++)
        buf_addf(&text, "%s\"k%d\":1", i ? "," : "", i);
    buf_add_str(&text, "}");
    assert_int_equal(session_merge_state(&h, (struct safe_text){text.ptr, text.len}, &err),
                     E_REFUSED);
    assert_state(&h, "");
    session_head_release(&h);
    buf_release(&text);
}

// A turn whose plans say `state`. Whether the ledger took it.
static bool settle_with(struct kit *k, struct chat *c, const struct buf *state)
{
    struct content reply = kit_content("answered");
    struct attempt attempt = {.status = ATTEMPT_DONE, .provider = "scripted", .model = "echo"};
    struct ledger_settle s = {.status = TURN_DONE, .stop = STOP_END, .reply = &reply, .tokens = 5,
                              .policy = "hello@1", .provider = "scripted", .model = "echo",
                              .attempt = &attempt, .states[1] = {state->ptr, state->len}};
    struct ledger_op op;

    assert_int_equal(kit_accept(k, c, "what was said"), E_OK);
    kit_ready(k, &op);
    ledger_settle(c, &s, &op);
    content_release(&reply);
    assert_int_equal(kit_wait(k, &op), E_OK);
    return !op.state_refused;
}

static void test_expiry__state_is_written_with_the_turn(void **state)
{
    struct buf text = BUF_INIT(1 << 20);
    struct kit k;
    char key[64];
    int code;

    (void)state;
    kit_open(&k, "memory:");
    struct chat *c = kit_chat(&k, "kitchen");
    for (int part = 0; part < 4; part++) {
        buf_clear(&text);
        buf_addf(&text, "{\"part%d\":\"", part);
        for (int i = 0; i < 9 << 10; i++)
            buf_add_str(&text, "note");
        buf_add_str(&text, "\"}");
        assert_true(settle_with(&k, c, &text) == (part < 3));
    }
    assert_true(session_state(&c->head).len > 100 << 10);
    snprintf(key, sizeof(key), "session/%s", c->head.id);
    struct kit_store_op get = {.op = {.verb = STORE_GET, .key = slice_str(key)}};
    kit_submit(&k, &get);
    assert_true(get.op.rows[0].body.bytes.len < 10 << 10);  // the vault compresses it
    store_op_release(&get.op);
    struct chat *again = kit_again(&k, c->head.id, &code);
    assert_int_equal(code, E_OK);
    assert_int_equal(again->head.turns, 4);
    assert_true(slice_eq(safe_slice(session_state(&again->head)),
                         safe_slice(session_state(&c->head))));
    chat_free(again);
    chat_free(c);
    buf_release(&text);
    kit_close(&k);
}

static void test_expiry__bad_heads(void **state)
{
    static const char *const metas[] = {
        "\"expiry\":[\"sliding\",1,2]", "\"expiry\":[\"gliding\",1,2,3]", "\"expiry\":5",
        "\"expiry\":[\"fixed\",1,2,-3]", "\"purged\":10", "\"origin\":\"old\"",
        "\"archived_at\":-1"};
    static const char *const bodies[] = {
        "{\"v\":2}", "{\"v\":1,\"state\":5}", "{\"v\":1,\"primer\":[]}"};
    struct err err = ERR_INIT;
    char text[512];

    (void)state;
    for (size_t i = 0; i < sizeof(metas) / sizeof(metas[0]); i++) {
        struct session_head h = {0};
        snprintf(text, sizeof(text), "{\"bot\":\"b\",\"status\":\"active\",\"turns\":9,%s}",
                 metas[i]);
        assert_int_equal(session_read_meta(&h, slice_str(text), &err), E_CORRUPT);
        session_head_release(&h);
    }
    for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
        struct session_head h = {0};
        assert_int_equal(session_read_body(&h, kit_text(bodies[i]), &err), E_CORRUPT);
        session_head_release(&h);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test(test_expiry__##name)
    const struct CMUnitTest tests[] = {TEST(when), TEST(status), TEST(due), TEST(state_is_merged),
                                       TEST(state_without_memory), TEST(state_has_limits),
                                       TEST(bad_heads),
                                       TEST(state_is_written_with_the_turn)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
