// SPDX-License-Identifier: MIT
// test_ledger_summary.c: the records of summaries and of the calls that make them: what is found,
// what does not hold any more, what a death leaves, what verify says.
#include "unit/ledger_kit.h"

static struct ledger_summing summing_of(struct kit *k, struct chat *c)
{
    return (struct ledger_summing){
        .partition = k->partition, .session = c->head.id, .bot = c->head.bot, .key = k->key,
        .turn = c->head.turns, .attempt = {.provider = "scripted", .model = "echo"}};
}

static int attempt(struct kit *k, struct ledger_summing *s)
{
    struct ledger_op op;

    kit_ready(k, &op);
    ledger_summary_attempt(k->ledger, s, &op);
    return kit_wait(k, &op);
}

static int settle(struct kit *k, struct ledger_summing *s, enum attempt_status status,
                  const struct summary *made)
{
    struct ledger_op op;

    s->attempt.status = status;
    s->attempt.usage = (struct usage){.input_tokens = 30, .output_tokens = 3};
    kit_ready(k, &op);
    ledger_summary_settle(k->ledger, s, made, &op);
    return kit_wait(k, &op);
}

// One of turns 1 … upto that goes on from another (0: from none).
static int make_from(struct kit *k, struct chat *c, uint32_t base, uint32_t upto, const char *text)
{
    struct ledger_summing s = summing_of(k, c);
    struct summary made;

    summary_init(&made);
    made.upto = upto;
    made.base = base;
    made.turns = session_live_turns(&c->head, upto);
    made.generation = 1;
    made.tokens = 4;
    safe_buf_add(&made.text, kit_text(text));
    int code = attempt(k, &s);
    if (!code)
        code = settle(k, &s, ATTEMPT_DONE, &made);
    summary_release(&made);
    return code;
}

static int make(struct kit *k, struct chat *c, uint32_t upto, const char *text)
{
    return make_from(k, c, 0, upto, text);
}

// The text of the one that holds; "" for none.
static const char *found(struct kit *k, const struct chat *c, uint32_t *upto)
{
    static char text[256];
    struct summary s;
    struct ledger_op op;

    summary_init(&s);
    kit_ready(k, &op);
    ledger_find_summary(k->ledger, &c->head, k->key, &s, &op);
    int code = kit_wait(k, &op);
    assert_true(code == E_OK || code == E_NOT_FOUND);
    struct slice t = safe_slice(safe_buf_text(&s.text));
    snprintf(text, sizeof(text), "%.*s", SLICE_FMT(t));
    *upto = s.upto;
    assert_true((code == E_OK) == (t.len > 0));
    summary_release(&s);
    return text;
}

static void undo(struct kit *k, struct chat *c, uint32_t first)
{
    struct ledger_op op;

    kit_ready(k, &op);
    ledger_supersede(c, first, SUPERSEDE_UNDO, &op);
    assert_int_equal(kit_wait(k, &op), E_OK);
}

static struct attempt attempt_at(struct kit *k, const char *session, unsigned turn, unsigned n)
{
    char key[RECORD_KEY_BYTES_MAX];
    struct kit_store_op w = {.op = {.verb = STORE_GET}};
    struct attempt a = {0};

    snprintf(key, sizeof(key), "attempt/%s/%010u/%010u", session, turn, n);
    w.op.key = slice_str(key);
    kit_submit(k, &w);
    assert_int_equal(w.op.rows_len, 1);
    assert_int_equal(attempt_read_meta(&a, w.op.rows[0].meta, NULL), E_OK);
    assert_true((a.status == ATTEMPT_OPEN) == (w.op.rows[0].due_at_ms > 0));
    store_op_release(&w.op);
    return a;
}

static void test_ledger_summary__the_newest_that_holds(void **state)
{
    (void)state;
    struct kit k;
    uint32_t upto;
    kit_open(&k, "memory:");
    struct chat *c = kit_chat(&k, "kitchen");
    for (int i = 0; i < 6; i++)
        kit_turn(&k, c, "a", "b");
    assert_string_equal(found(&k, c, &upto), "");
    assert_int_equal(make(&k, c, 2, "two"), E_OK);
    assert_int_equal(make(&k, c, 4, "four"), E_OK);
    assert_string_equal(found(&k, c, &upto), "four");
    assert_int_equal(upto, 4);
    undo(&k, c, 5);
    assert_string_equal(found(&k, c, &upto), "four");
    // What it stands for is undone: the one before it holds.
    undo(&k, c, 4);
    assert_string_equal(found(&k, c, &upto), "two");
    assert_int_equal(upto, 2);
    kit_turn(&k, c, "a", "b");  // turn 7
    assert_string_equal(found(&k, c, &upto), "two");
    assert_int_equal(make(&k, c, 7, "seven"), E_OK);
    assert_string_equal(found(&k, c, &upto), "seven");
    undo(&k, c, 1);
    assert_string_equal(found(&k, c, &upto), "");
    assert_verified(&k);
    chat_free(c);
    kit_close(&k);
}

// Some are kept, for an undo; another session's are its own.
static void test_ledger_summary__old_ones_go(void **state)
{
    (void)state;
    struct kit k;
    uint32_t upto;
    kit_open(&k, "memory:");
    struct chat *c = kit_chat(&k, "kitchen"), *other = kit_chat(&k, "garden");
    kit_turn(&k, other, "a", "b");
    assert_int_equal(make(&k, other, 1, "other"), E_OK);
    for (unsigned i = 1; i <= 9; i++) {
        kit_turn(&k, c, "a", "b");
        assert_int_equal(make(&k, c, i, "text"), E_OK);
        assert_int_equal(kit_count(&k, "summary/"), 1 + (i < 3 ? i : 3));
    }
    // The same again takes the place of the first.
    assert_int_equal(make(&k, c, 9, "again"), E_OK);
    assert_string_equal(found(&k, c, &upto), "again");
    assert_int_equal(kit_count(&k, "summary/"), 4);
    assert_string_equal(found(&k, other, &upto), "other");
    assert_verified(&k);
    chat_free(c);
    chat_free(other);
    kit_close(&k);
}

// Those that never hold again do not crowd out the one that a new one goes on from.
static void test_ledger_summary__its_base_is_kept(void **state)
{
    (void)state;
    struct kit k;
    uint32_t upto;
    kit_open(&k, "memory:");
    struct chat *c = kit_chat(&k, "kitchen");
    for (int i = 0; i < 9; i++)
        kit_turn(&k, c, "a", "b");
    assert_int_equal(make(&k, c, 3, "three"), E_OK);
    assert_int_equal(make_from(&k, c, 3, 6, "six"), E_OK);
    assert_int_equal(make_from(&k, c, 6, 9, "nine"), E_OK);
    undo(&k, c, 5);
    kit_turn(&k, c, "a", "b");  // turn 10
    assert_int_equal(make_from(&k, c, 3, 10, "ten"), E_OK);
    assert_int_equal(kit_count(&k, "summary/"), 3);
    assert_string_equal(found(&k, c, &upto), "ten");
    undo(&k, c, 10);
    assert_string_equal(found(&k, c, &upto), "three");
    assert_int_equal(upto, 3);
    assert_verified(&k);
    chat_free(c);
    kit_close(&k);
}

// Their attempts stand among the turn's, with the next numbers, and are no part of it.
static void test_ledger_summary__attempts(void **state)
{
    (void)state;
    struct kit k;
    kit_open(&k, "memory:");
    struct chat *c = kit_chat(&k, "kitchen");
    kit_turn(&k, c, "a", "b");
    struct ledger_summing s = summing_of(&k, c);
    assert_int_equal(attempt(&k, &s), E_OK);
    assert_int_equal(s.attempt.n, 2);
    struct attempt a = attempt_at(&k, c->head.id, 1, 2);
    assert_int_equal(a.status, ATTEMPT_OPEN);
    assert_int_equal(a.kind, ATTEMPT_SUMMARY);
    assert_string_equal(a.model, "echo");
    assert_verified(&k);  // one that is under way is no problem
    kit_turn(&k, c, "c", "d");  // nor does it keep a turn from coming
    assert_int_equal(settle(&k, &s, ATTEMPT_FAILED, NULL), E_OK);
    a = attempt_at(&k, c->head.id, 1, 2);
    assert_int_equal(a.status, ATTEMPT_FAILED);
    assert_int_equal(a.usage.input_tokens, 30);
    assert_int_equal(attempt(&k, &s), E_OK);
    assert_int_equal(s.attempt.n, 3);
    assert_int_equal(settle(&k, &s, ATTEMPT_CUT, NULL), E_OK);
    assert_int_equal(kit_count(&k, "summary/"), 0);
    assert_int_equal(chat_turn(c, 1)->usage.input_tokens, 20);
    assert_verified(&k);
    chat_free(c);
    kit_close(&k);
}

// A process dies with a call for a summary and with its next turn open: one recovery settles both.
static void test_ledger_summary__a_death(void **state)
{
    (void)state;
    struct kit a, b;
    struct ledger_op op;
    char id[ID_TEXT_BYTES];
    kit_open(&a, "memory:summary-deaths");
    kit_open_beside(&b, &a, "memory:summary-deaths");
    struct chat *c = kit_chat(&b, "kitchen");
    memcpy(id, c->head.id, sizeof(id));
    kit_turn(&b, c, "a", "b");
    struct ledger_summing s = summing_of(&b, c);
    assert_int_equal(attempt(&b, &s), E_OK);
    kit_ready(&a, &op);
    ledger_recover(a.ledger, &op);
    assert_int_equal(kit_wait(&a, &op), E_OK);
    assert_int_equal(attempt_at(&a, id, 1, 2).status, ATTEMPT_OPEN);  // it lives
    assert_int_equal(kit_accept(&b, c, "and then"), E_OK);
    chat_free(c);
    kit_close_store(&b);
    kit_ready(&a, &op);
    ledger_recover(a.ledger, &op);
    assert_int_equal(kit_wait(&a, &op), E_OK);
    assert_int_equal(op.turns, 1);
    assert_int_equal(attempt_at(&a, id, 1, 2).status, ATTEMPT_LOST);
    assert_int_equal(attempt_at(&a, id, 1, 2).usage.cost_nusd, COST_UNKNOWN);
    assert_int_equal(attempt_at(&a, id, 2, 1).status, ATTEMPT_LOST);
    assert_verified(&a);
    kit_close(&a);
}

// Whoever was only taken for dead writes nothing any more.
static void test_ledger_summary__taken_for_dead(void **state)
{
    (void)state;
    struct kit k;
    uint32_t upto;
    struct summary made;
    kit_open(&k, "memory:");
    struct chat *c = kit_chat(&k, "kitchen");
    kit_turn(&k, c, "a", "b");
    struct ledger_summing s = summing_of(&k, c), other;
    assert_int_equal(attempt(&k, &s), E_OK);
    other = s;
    assert_int_equal(settle(&k, &other, ATTEMPT_LOST, NULL), E_OK);
    summary_init(&made);
    made.upto = made.turns = made.generation = 1;
    safe_buf_add(&made.text, kit_text("late"));
    assert_int_equal(settle(&k, &s, ATTEMPT_DONE, &made), E_CONFLICT);
    assert_int_equal(attempt_at(&k, c->head.id, 1, 2).status, ATTEMPT_LOST);
    assert_string_equal(found(&k, c, &upto), "");
    summary_release(&made);
    chat_free(c);
    kit_close(&k);
}

static void test_ledger_summary__damage(void **state)
{
    (void)state;
    static const struct {
        const char *key, *meta, *told;
    } damages[] = {
        {"summary/%s/0000000002", "{}", "another is made in time"},
        {"summary/%s/0000000002", "{\"turns\":3,\"generation\":1,\"tokens\":1,\"at\":1,\"by\":\"\","
         "\"provider\":\"\",\"model\":\"\"}", "turns that are not there"},
        {"summary/%s/0000000009", "{\"turns\":3,\"generation\":1,\"tokens\":1,\"at\":1,\"by\":\"\","
         "\"provider\":\"\",\"model\":\"\"}", "turns that are not there"},
        {"summary/%s/x", "{}", "another is made in time"},
        {"attempt/%s/0000000002/0000000002", "{\"status\":\"open\",\"kind\":\"summary\","
         "\"owner\":\"o\",\"bot\":\"b\",\"at\":1}", "is open and not due"},
    };
    for (size_t i = 0; i < sizeof(damages) / sizeof(damages[0]); i++) {
        struct kit k;
        char key[RECORD_KEY_BYTES_MAX];
        uint32_t upto;
        kit_open(&k, "memory:");
        struct chat *c = kit_chat(&k, "kitchen");
        kit_turn(&k, c, "a", "b");
        kit_turn(&k, c, "c", "d");
        assert_int_equal(make(&k, c, 1, "one"), E_OK);
        snprintf(key, sizeof(key), damages[i].key, c->head.id);
        kit_put(&k, key, damages[i].meta, SLICE_NONE, 0);
        struct buf report = kit_verify(&k);
        if (!report.len || !strstr(report.ptr, damages[i].told))
            print_error("damage %zu: %.*s\n", i, (int)report.len, report.ptr ? report.ptr : "");
        assert_true(report.len && strstr(report.ptr, damages[i].told));
        buf_release(&report);
        // What cannot be read is passed over, another takes its place, what is no summary stays.
        assert_string_equal(found(&k, c, &upto), "one");
        assert_int_equal(make(&k, c, 2, "two"), E_OK);
        assert_string_equal(found(&k, c, &upto), "two");
        snprintf(key, sizeof(key), "summary/%s/x", c->head.id);
        assert_int_equal(kit_count(&k, key), strstr(damages[i].key, "/x") != NULL);
        chat_free(c);
        kit_close(&k);
    }
}

// The seal of one is broken, and then more of them than are read at once: the last one is found.
static void test_ledger_summary__past_broken_ones(void **state)
{
    (void)state;
    enum { TURNS = 12 };
    struct kit k;
    char key[RECORD_KEY_BYTES_MAX];
    uint32_t upto;
    kit_open(&k, "memory:");
    struct chat *c = kit_chat(&k, "kitchen");
    for (int i = 0; i < TURNS; i++)
        kit_turn(&k, c, "a", "b");
    assert_int_equal(make(&k, c, 1, "one"), E_OK);
    assert_int_equal(make(&k, c, 2, "two"), E_OK);
    snprintf(key, sizeof(key), "summary/%s/0000000002", c->head.id);
    kit_spoil(&k, key, "{\"turns\":2,\"generation\":9,\"tokens\":1,\"at\":1,\"by\":\"\","
              "\"provider\":\"\",\"model\":\"\"}");  // it could be, but is not what was sealed
    struct buf report = kit_verify(&k);
    assert_non_null(strstr(report.ptr, "another is made in time"));
    assert_ptr_equal(strchr(report.ptr, '\n'), report.ptr + report.len - 1);  // one line
    buf_release(&report);
    assert_string_equal(found(&k, c, &upto), "one");
    for (unsigned n = 3; n <= TURNS; n++) {
        snprintf(key, sizeof(key), "summary/%s/%010u", c->head.id, n);
        kit_put(&k, key, "{}", SLICE_NONE, 0);
    }
    assert_string_equal(found(&k, c, &upto), "one");
    // What is no summary's key is not taken for an old one.
    snprintf(key, sizeof(key), "summary/%s/0", c->head.id);
    kit_put(&k, key, "{}", SLICE_NONE, 0);
    assert_int_equal(make(&k, c, TURNS, "all"), E_OK);
    assert_string_equal(found(&k, c, &upto), "all");
    assert_int_equal(kit_count(&k, "summary/"), 3 + 1);
    chat_free(c);
    kit_close(&k);
}

// A turn that was imported has no attempts: the call for a summary is its first.
static void test_ledger_summary__of_an_import(void **state)
{
    (void)state;
    struct step steps[] = {
        {.role = ROLE_USER, .content = kit_content("a"), .tokens = 3, .at_ms = 1000},
        {.role = ROLE_ASSISTANT, .content = kit_content("b"), .tokens = 2, .at_ms = 1005}};
    struct turn turn = {.status = TURN_DONE, .stop = STOP_END, .steps_len = 2, .steps = steps,
                        .at_ms = 1000, .policy = "import"};
    struct kit k;
    struct ledger_op op;
    uint32_t upto;
    kit_open(&k, "memory:");
    struct chat *c = kit_chat(&k, "kitchen");
    kit_ready(&k, &op);
    ledger_import(c, &turn, 1, k.context_hash, SLICE_LIT("ann"), &op);
    assert_int_equal(kit_wait(&k, &op), E_OK);
    struct ledger_summing s = summing_of(&k, c);
    assert_int_equal(attempt(&k, &s), E_OK);
    assert_int_equal(s.attempt.n, 1);
    assert_int_equal(settle(&k, &s, ATTEMPT_FAILED, NULL), E_OK);
    assert_int_equal(make(&k, c, 1, "one"), E_OK);
    assert_string_equal(found(&k, c, &upto), "one");
    assert_int_equal(attempt_at(&k, c->head.id, 1, 2).kind, ATTEMPT_SUMMARY);
    assert_verified(&k);
    content_release(&steps[0].content);
    content_release(&steps[1].content);
    chat_free(c);
    kit_close(&k);
}

// Every operation of the store fails once, before or after it was done: what is told is so.
static void test_ledger_summary__the_store_fails(void **state)
{
    (void)state;
    static const char *const modes[] = {"before", "after"};
    unsigned failed = 0;
    for (size_t m = 0; m < 2; m++) {
        for (int n = 1; n <= 40; n++) {
            struct kit k;
            char url[96];
            uint32_t upto = 0;
            struct ledger_op op;
            struct summary s;
            snprintf(url, sizeof(url), "faulty:fail_at=%d,mode=%s;memory:", n, modes[m]);
            kit_open(&k, url);
            struct chat *c = kit_chat(&k, "kitchen");
            int code = kit_accept(&k, c, "a");
            code = code ? code : kit_settle(&k, c, "b");
            bool before = code != E_OK;
            code = code ? code : make(&k, c, 1, "one");
            summary_init(&s);
            kit_ready(&k, &op);
            ledger_find_summary(k.ledger, &c->head, k.key, &s, &op);
            int looked = kit_wait(&k, &op);
            upto = s.upto;
            if (!before && code == E_OK && looked == E_OK)
                assert_int_equal(upto, 1);
            if (!before && code && m == 0)
                assert_int_equal(upto, 0);
            failed += !before && (code || looked == E_STORE);
            summary_release(&s);
            chat_free(c);
            kit_close(&k);
        }
    }
    assert_true(failed >= 8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ledger_summary__the_newest_that_holds),
        cmocka_unit_test(test_ledger_summary__old_ones_go),
        cmocka_unit_test(test_ledger_summary__its_base_is_kept),
        cmocka_unit_test(test_ledger_summary__attempts),
        cmocka_unit_test(test_ledger_summary__a_death),
        cmocka_unit_test(test_ledger_summary__taken_for_dead),
        cmocka_unit_test(test_ledger_summary__damage),
        cmocka_unit_test(test_ledger_summary__past_broken_ones),
        cmocka_unit_test(test_ledger_summary__of_an_import),
        cmocka_unit_test(test_ledger_summary__the_store_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
