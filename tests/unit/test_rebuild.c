// SPDX-License-Identifier: MIT
// test_rebuild.c: a head that is damaged is made anew of the session's turns, if these are whole;
// else the session stays as it is, and no other is harmed.
#include "unit/ledger_meddler.h"

struct heads {
    struct kit k;
    char id[ID_TEXT_BYTES], other[ID_TEXT_BYTES], key[64];
    struct session_head was;
};

// A call that made a summary beside what was said, which is no turn's.
static void sum_up(struct kit *k, struct chat *c)
{
    struct ledger_summing s = {.partition = k->partition, .session = c->head.id,
                               .bot = c->head.bot, .key = k->key, .turn = c->head.turns,
                               .attempt = {.provider = "scripted", .model = "echo"}};
    struct ledger_op op;

    kit_ready(k, &op);
    ledger_summary_attempt(k->ledger, &s, &op);
    assert_int_equal(kit_wait(k, &op), E_OK);
    s.attempt.status = ATTEMPT_FAILED;
    kit_ready(k, &op);
    ledger_summary_settle(k->ledger, &s, NULL, &op);
    assert_int_equal(kit_wait(k, &op), E_OK);
}

static void make(struct heads *h)
{
    struct ledger_op op;
    kit_open(&h->k, "memory:");
    struct chat *other = kit_chat(&h->k, "kitchen");
    kit_turn(&h->k, other, "another", "session");
    memcpy(h->other, other->head.id, sizeof(h->other));
    chat_free(other);
    struct chat *c = kit_chat(&h->k, "kitchen");
    for (int i = 0; i < 5; i++)
        kit_turn(&h->k, c, "what was said", "what was answered");
    kit_ready(&h->k, &op);
    ledger_supersede(c, 5, SUPERSEDE_UNDO, &op);
    assert_int_equal(kit_wait(&h->k, &op), E_OK);
    struct kit_accept edit = {.edit_from = 3};
    assert_int_equal(kit_accept_op(&h->k, c, "said otherwise", &edit, &op), E_OK);
    assert_int_equal(kit_settle(&h->k, c, "and answered"), E_OK);
    kit_turn(&h->k, c, "one more", "yes");
    sum_up(&h->k, c);
    assert_int_equal(session_head_copy(&h->was, &c->head, NULL), E_OK);
    memcpy(h->id, c->head.id, sizeof(h->id));
    snprintf(h->key, sizeof(h->key), "session/%s", h->id);
    chat_free(c);
}

static void drop(struct heads *h)
{
    session_head_release(&h->was);
    kit_close(&h->k);
}

static int rebuild(struct heads *h, const char *bot, uint32_t *made)
{
    struct ledger_rebuild how = {.partition = h->k.partition, .session = h->id, .bot = bot,
                                 .context = "kitchen", .key = h->k.key};
    struct ledger_op op;
    kit_ready(&h->k, &op);
    ledger_rebuild(h->k.ledger, &how, &op);
    int code = kit_wait(&h->k, &op);
    *made = op.sessions;
    return code;
}

static void assert_same(const struct session_head *a, const struct session_head *b)
{
    assert_int_equal(a->turns, b->turns);
    assert_int_equal(a->tokens, b->tokens);
    assert_int_equal(a->open_turn, b->open_turn);
    assert_int_equal(a->events, b->events + 1);  // "rebuilt"
    assert_int_equal(a->created_at_ms, b->created_at_ms);
    assert_int_equal(a->last_active_at_ms, b->last_active_at_ms);
    assert_int_equal(a->superseded_len, b->superseded_len);
    assert_memory_equal(a->superseded, b->superseded,
                        a->superseded_len * sizeof(*a->superseded));
    assert_string_equal(a->bot, b->bot);
    assert_string_equal(a->context, "kitchen");
}

static void test_rebuild__what_the_turns_tell(void **state)
{
    struct heads h;
    uint32_t made;
    int code;

    (void)state;
    make(&h);
    assert_int_equal(rebuild(&h, "hello", &made), E_OK);
    assert_int_equal(made, 0);  // it is whole
    kit_spoil(&h.k, h.key, "{\"bot\":\"hello\",\"status\":\"active\",\"turns\":9}");
    chat_free(kit_again(&h.k, h.id, &code));
    assert_int_equal(code, E_CORRUPT);
    assert_int_equal(rebuild(&h, "hello", &made), E_OK);
    assert_int_equal(made, 1);
    struct chat *c = kit_again(&h.k, h.id, &code);
    assert_int_equal(code, E_OK);
    assert_same(&c->head, &h.was);
    kit_turn(&h.k, c, "it goes on", "it does");
    chat_free(c);
    assert_verified(&h.k);
    drop(&h);
}

static void test_rebuild__not_of_what_is_damaged(void **state)
{
    static const char *const kinds[] = {"turn/%s/0000000002/0000000000",
                                        "turn/%s/0000000004/0000000001",
                                        "event/%s/0000000002", "attempt/%s/0000000003/0000000001"};
    struct heads h;
    uint32_t made;
    char key[128];
    int code;

    (void)state;
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        make(&h);
        kit_spoil(&h.k, h.key, "{}");
        snprintf(key, sizeof(key), kinds[i], h.id);
        kit_spoil(&h.k, key, "{}");
        assert_int_equal(rebuild(&h, "hello", &made), E_CORRUPT);
        chat_free(kit_again(&h.k, h.other, &code));
        assert_int_equal(code, E_OK);
        drop(&h);
    }
    make(&h);  // the newest turn is gone; and another bot's
    kit_spoil(&h.k, h.key, "{}");
    assert_int_equal(rebuild(&h, "other", &made), E_CORRUPT);
    snprintf(key, sizeof(key), "turn/%s/0000000007/0000000000", h.id);
    kit_delete(&h.k, key);
    snprintf(key, sizeof(key), "turn/%s/0000000007/0000000001", h.id);
    kit_delete(&h.k, key);
    assert_int_equal(rebuild(&h, "hello", &made), E_CORRUPT);
    drop(&h);
}

// Who has the session in memory writes its head while it is made anew: that one stays.
static void test_rebuild__somebody_was_faster(void **state)
{
    struct heads h;
    struct ledger_op op;
    int code;

    (void)state;
    make(&h);
    struct kit_store_op good = {.op = {.verb = STORE_GET, .key = slice_str(h.key)}};
    struct ledger_rebuild how = {.partition = h.k.partition, .session = h.id, .bot = "hello",
                                 .context = "kitchen", .key = h.k.key};
    kit_submit(&h.k, &good);
    const struct record *row = good.op.rows;
    char meta[RECORD_META_BYTES_MAX + 1];
    snprintf(meta, sizeof(meta), "%.*s", SLICE_FMT(row->meta));
    kit_spoil(&h.k, h.key, "{}");
    kit_ready(&h.k, &op);
    ledger_rebuild(h.k.ledger, &how, &op);
    kit_put(&h.k, h.key, meta, row->body.bytes, row->due_at_ms);
    assert_true(h.k.done);
    assert_int_equal(op.code, E_OK);
    assert_int_equal(op.sessions, 0);
    struct chat *c = kit_again(&h.k, h.id, &code);
    assert_int_equal(code, E_OK);
    assert_int_equal(c->head.events, h.was.events);
    chat_free(c);
    store_op_release(&good.op);
    drop(&h);
}

// Whatever a store answers to any of its operations: a head is what it was, or is damaged still.
static void test_rebuild__meddled_with(void **state)
{
    unsigned answers = 0, made_anew = 0, lies = 0;

    (void)state;
    for (unsigned how = 0; how < MEDDLINGS; how++) {
        for (long n = 1; n < 40; n++) {
            struct heads h;
            struct meddler m;
            uint32_t made;
            int code;
            make(&h);
            kit_spoil(&h.k, h.key, "{}");
            meddler_init(&m, &h.k);
            m.how = how;
            m.countdown = n;
            m.last_row = n % 2;
            rebuild(&h, "hello", &made);
            bool hit = m.hit;
            m.countdown = 0;
            meddler_release(&m);
            answers += hit;
            struct chat *c = kit_again(&h.k, h.id, &code);
            if (code == E_OK) {
                made_anew++;
                // A lie that is sealed as it should be is believed.
                lies += how >= MEDDLINGS_HONEST && c->head.tokens != h.was.tokens;
                if (how < MEDDLINGS_HONEST)
                    assert_same(&c->head, &h.was);
            }
            chat_free(c);
            chat_free(kit_again(&h.k, h.other, &code));
            assert_int_equal(code, E_OK);
            drop(&h);
            if (!hit)
                break;
        }
    }
    printf("# rebuilding, meddled with: %u answers, %u heads made anew, %u of lies\n", answers,
           made_anew, lies);
    assert_true(answers > 100 && made_anew > 50);
}

// A ledger that has no work to spare, nor room kept from what went before.
static void begin_anew(struct heads *h)
{
    struct ledger_env env = {.store = h->k.store, .vault = h->k.vault, .loop = h->k.loop,
                             .clock = &h->k.clock->clock, .rand = &h->k.rand->rand};
    struct err err = ERR_INIT;

    ledger_free(h->k.ledger);
    assert_int_equal(ledger_new(&h->k.ledger, &env, &err), E_OK);
}

// A head that there was no memory to read is not damaged: made anew, it loses what only it knows.
static void test_rebuild__no_memory_is_no_damage(void **state)
{
    unsigned failures = 0;

    (void)state;
    for (int damaged = 0; damaged < 2; damaged++) {
        int code = E_NOMEM;
        for (uint64_t n = 1; code && n < 500; n++) {
            struct heads h;
            uint32_t made;
            int read;
            make(&h);
            if (damaged)
                kit_spoil(&h.k, h.key, "{}");
            begin_anew(&h);
            mem_fail_at(n, 0);
            code = rebuild(&h, "hello", &made);
            mem_fail_at(0, 0);
            failures += code == E_NOMEM;
            assert_true(code == E_OK || code == E_NOMEM);
            assert_int_equal(made, damaged && code == E_OK);
            struct chat *c = kit_again(&h.k, h.id, &read);
            assert_int_equal(read, damaged && code ? E_CORRUPT : E_OK);
            if (!read)
                assert_int_equal(c->head.events, h.was.events + damaged);
            chat_free(c);
            drop(&h);
        }
        assert_int_equal(code, E_OK);
    }
    assert_true(failures > 20);
}

// Turns of a session that was answering when its head was damaged: open, and so is their attempt.
static void test_rebuild__of_one_that_is_answering(void **state)
{
    struct ledger_op op;

    (void)state;
    for (unsigned lost = 0; lost < 2; lost++) {
        struct heads h;
        uint32_t made;
        char key[128];
        int code;
        make(&h);
        struct chat *c = kit_chat(&h.k, "kitchen");
        memcpy(h.id, c->head.id, sizeof(h.id));
        snprintf(h.key, sizeof(h.key), "session/%s", h.id);
        assert_int_equal(kit_accept(&h.k, c, "answer this"), E_OK);
        chat_free(c);
        kit_spoil(&h.k, h.key, "{}");
        snprintf(key, sizeof(key), "attempt/%s/0000000001/0000000001", h.id);
        if (lost)
            kit_delete(&h.k, key);
        assert_int_equal(rebuild(&h, "hello", &made), lost ? E_CORRUPT : E_OK);
        c = kit_again(&h.k, h.id, &code);
        assert_int_equal(code, lost ? E_CORRUPT : E_OK);
        if (!lost) {
            assert_int_equal(c->head.open_turn, 1);
            assert_int_equal(kit_settle_op(&h.k, c, TURN_DONE, "at last", &op), E_OK);
        }
        chat_free(c);
        drop(&h);
    }
}

// A head without turns, turns that an event is wrong about, and one that goes on after an open one.
static void test_rebuild__not_of_what_does_not_agree(void **state)
{
    static const char *const events[] = {"{\"kind\":\"undo\",\"turn\":0,\"upto\":5}",
                                         "{\"kind\":\"undo\",\"turn\":5,\"upto\":4}",
                                         "{\"kind\":\"undo\",\"turn\":5,\"upto\":8}"};
    struct heads h;
    uint32_t made;
    char key[128];

    (void)state;
    make(&h);
    memset(h.id, '0', 8);
    snprintf(key, sizeof(key), "session/%s", h.id);
    kit_put(&h.k, key, "{}", SLICE_NONE, 0);
    assert_int_equal(rebuild(&h, "hello", &made), E_CORRUPT);
    drop(&h);
    for (size_t i = 0; i < sizeof(events) / sizeof(events[0]); i++) {
        make(&h);
        kit_spoil(&h.k, h.key, "{}");
        snprintf(key, sizeof(key), "event/%s/%010u", h.id, h.was.events);
        kit_put(&h.k, key, events[i], SLICE_NONE, 0);
        assert_int_equal(rebuild(&h, "hello", &made), E_CORRUPT);
        drop(&h);
    }
    make(&h);
    kit_spoil(&h.k, h.key, "{}");
    snprintf(key, sizeof(key), "turn/%s/0000000004/0000000001", h.id);
    kit_delete(&h.k, key);
    assert_int_equal(rebuild(&h, "hello", &made), E_CORRUPT);
    drop(&h);
}

// Whose session is erased meanwhile: nobody is told of damage.
static void test_rebuild__of_one_who_is_erased(void **state)
{
    struct heads h;
    uint32_t made;

    (void)state;
    make(&h);
    kit_forget(&h.k);
    assert_int_equal(rebuild(&h, "hello", &made), E_ERASED);
    drop(&h);
}

static void test_rebuild__no_memory_to_begin_with(void **state)
{
    struct heads h;
    uint32_t made;

    (void)state;
    make(&h);
    begin_anew(&h);
    mem_fail_at(1, 0);
    assert_int_equal(rebuild(&h, "hello", &made), E_NOMEM);
    mem_fail_at(0, 0);
    assert_int_equal(rebuild(&h, "hello", &made), E_OK);
    drop(&h);
}

int main(void)
{
#define TEST(name) cmocka_unit_test(test_rebuild__##name)
    const struct CMUnitTest tests[] = {TEST(what_the_turns_tell), TEST(not_of_what_is_damaged),
                                       TEST(somebody_was_faster), TEST(meddled_with),
                                       TEST(no_memory_is_no_damage),
                                       TEST(of_one_that_is_answering),
                                       TEST(not_of_what_does_not_agree), TEST(of_one_who_is_erased),
                                       TEST(no_memory_to_begin_with)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
