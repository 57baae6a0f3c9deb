// SPDX-License-Identifier: MIT
// test_ledger.c: a turn's life in the ledger: accept, keep, attempt, settle; and back from the
// store.
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
    assert_null(chat_turn(c, 0));
    assert_null(chat_turn(c, 2));

    assert_int_equal(kit_settle(&k, c, "hi there"), E_OK);
    assert_int_equal(c->head.open_turn, 0);
    assert_int_equal(c->head.tokens, 15);
    assert_int_equal(chat_turn(c, 1)->status, TURN_DONE);
    assert_says(turn_reply(chat_turn(c, 1)), "hi there");
    assert_int_equal(chat_turn(c, 1)->usage.cost_nusd, 1000);
    assert_true(chat_bytes(c) > sizeof(*c));
    assert_verified(&k);
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
    clock_sim_advance(k.clock, 5000);
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
    assert_verified(&k);
    chat_free(c);
    chat_free(d);
    kit_close(&k);
}

static void test_ledger__an_open_turn_refuses_the_next(void **state)
{
    (void)state;
    struct kit k;
    kit_open(&k, "memory:");
    struct chat *c = kit_chat(&k, "kitchen");
    struct ledger_op op;

    assert_int_equal(kit_accept(&k, c, "one"), E_OK);
    assert_int_equal(kit_accept_op(&k, c, "two", NULL, &op), E_REFUSED);
    assert_non_null(strstr(op.err.message, "turn 1"));
    assert_int_equal(c->head.turns, 1);
    assert_int_equal(kit_settle(&k, c, "r"), E_OK);
    assert_int_equal(kit_settle(&k, c, "r"), E_REFUSED);  // nothing is under way
    kit_turn(&k, c, "two", "r2");
    assert_verified(&k);
    chat_free(c);
    kit_close(&k);
}

static int attempt_op(struct kit *k, struct chat *c, struct ledger_op *op)
{
    struct attempt last = {.status = ATTEMPT_FAILED, .http_status = 529,
                           .usage = {.input_tokens = 7, .cost_nusd = 70}};
    kit_ready(k, op);
    ledger_attempt(c, &last, NULL, op);
    return kit_wait(k, op);
}

static int keep_op(struct kit *k, struct chat *c, struct safe_text text, struct ledger_op *op)
{
    kit_ready(k, op);
    ledger_keep(c, text, op);
    return kit_wait(k, op);
}

static void test_ledger__attempts_add_up(void **state)
{
    (void)state;
    struct kit k;
    kit_open(&k, "memory:");
    struct chat *c = kit_chat(&k, "kitchen");
    struct ledger_op op;

    assert_int_equal(kit_accept(&k, c, "one"), E_OK);
    assert_int_equal(keep_op(&k, c, kit_text("half a"), &op), E_OK);
    assert_int_equal(attempt_op(&k, c, &op), E_OK);
    assert_int_equal(c->attempt.n, 2);
    assert_int_equal(c->parts, 0);  // the next attempt's reply begins anew
    assert_int_equal(kit_count(&k, "part/"), 0);
    assert_int_equal(attempt_op(&k, c, &op), E_OK);
    assert_int_equal(kit_settle(&k, c, "at last"), E_OK);
    assert_int_equal(kit_count(&k, "attempt/"), 3);
    assert_int_equal(chat_turn(c, 1)->usage.input_tokens, 7 + 7 + 20);
    assert_int_equal(chat_turn(c, 1)->usage.cost_nusd, 70 + 70 + 1000);
    assert_int_equal(attempt_op(&k, c, &op), E_REFUSED);
    assert_verified(&k);
    chat_free(c);
    kit_close(&k);
}

static void test_ledger__keeps_any_length(void **state)
{
    (void)state;
    struct kit k;
    kit_open(&k, "memory:");
    struct chat *c = kit_chat(&k, "kitchen");
    struct ledger_op op;
    struct safe_buf all;
    size_t given = 0;

    safe_buf_init(&all, CONTENT_BYTES_MAX);
    while (safe_buf_text(&all).len + 20 < CONTENT_BYTES_MAX)
        safe_buf_add(&all, kit_text("\xe2\x82\xac tweleve b"));
    assert_int_equal(kit_accept(&k, c, "go"), E_OK);
    for (size_t piece = 1; given < safe_buf_text(&all).len; piece = piece * 3 + 1) {
        size_t left = safe_buf_text(&all).len - given;
        size_t len = piece < left ? piece : left;
        while (given + len < safe_buf_text(&all).len &&
               ((unsigned char)safe_buf_text(&all).ptr[given + len] & 0xc0) == 0x80)
            len++;
        assert_int_equal(keep_op(&k, c, safe_text_part(safe_buf_text(&all), given, len), &op),
                         E_OK);
        given += len;
    }
    assert_int_equal(keep_op(&k, c, kit_text("this is one byte too many for it"), &op), E_REFUSED);
    assert_int_equal(keep_op(&k, c, SAFE_NONE, &op), E_OK);
    assert_int_equal(kit_count(&k, "part/"), c->parts);
    assert_true(c->parts < 40);
    assert_verified(&k);
    // A reload counts them again, and the settlement deletes them all.
    uint32_t parts = c->parts;
    kit_ready(&k, &op);
    ledger_reload(c, &op);
    assert_int_equal(kit_wait(&k, &op), E_OK);
    assert_int_equal(c->parts, parts);
    assert_int_equal(kit_settle(&k, c, "done"), E_OK);
    assert_int_equal(kit_count(&k, "part/"), 0);
    assert_verified(&k);
    safe_buf_release(&all);
    chat_free(c);
    kit_close(&k);
}

static char *long_text(size_t len, const char *unit)
{
    char *text = mem_alloc(len + 1);
    size_t unit_len = strlen(unit);
    for (size_t i = 0; i < len; i++)
        text[i] = i / unit_len * unit_len + unit_len <= len ? unit[i % unit_len] : '.';
    text[len] = '\0';
    return text;
}

static void test_ledger__long_messages_go_on_in_further_records(void **state)
{
    (void)state;
    struct kit k;
    kit_open(&k, "memory:");
    struct chat *c = kit_chat(&k, "kitchen");
    const size_t lens[] = {(200 << 10) - 27, 200 << 10, (200 << 10) + 1, 400 << 10, 500 << 10};

    for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
        char *text = long_text(lens[i], "\xe2\x82\xac\"q\n");
        kit_turn(&k, c, text, "short");
        kit_turn(&k, c, "short", text);
        mem_free(text);
    }
    int code;
    struct chat *d = kit_again(&k, c->head.id, &code);
    assert_int_equal(code, E_OK);
    for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
        char *text = long_text(lens[i], "\xe2\x82\xac\"q\n");
        assert_says(&chat_turn(d, (uint32_t)i * 2 + 1)->steps[0], text);
        assert_says(turn_reply(chat_turn(d, (uint32_t)i * 2 + 2)), text);
        mem_free(text);
    }
    assert_verified(&k);
    chat_free(c);
    chat_free(d);
    kit_close(&k);
}

static void test_ledger__pages_of_500_turns(void **state)
{
    (void)state;
    enum { TURNS = 500 };
    struct kit k;
    kit_open(&k, "memory:");
    struct chat *c = kit_chat(&k, "kitchen");
    char text[32], reply[32];

    for (unsigned i = 1; i <= TURNS; i++) {
        snprintf(text, sizeof(text), "question %u", i);
        snprintf(reply, sizeof(reply), "answer %u", i);
        kit_turn(&k, c, text, reply);
    }
    int code;
    struct chat *d = kit_again(&k, c->head.id, &code);  // all in one
    assert_int_equal(code, E_OK);
    assert_int_equal(d->turns_len, TURNS);
    chat_free(d);

    struct session_head head;
    struct err err = ERR_INIT;
    struct ledger_op op;
    assert_int_equal(session_head_copy(&head, &c->head, &err), E_OK);
    assert_int_equal(chat_new(&d, k.ledger, &head, k.key, &err), E_OK);
    for (uint32_t first = TURNS - 9; d->first > 1; first = first > 70 ? first - 70 : 1) {
        kit_ready(&k, &op);
        ledger_load(d, first, &op);
        assert_int_equal(kit_wait(&k, &op), E_OK);
        assert_int_equal(d->first, first);
        assert_int_equal(d->turns_len, TURNS - first + 1);
    }
    for (unsigned i = 1; i <= TURNS; i++) {
        snprintf(text, sizeof(text), "question %u", i);
        snprintf(reply, sizeof(reply), "answer %u", i);
        assert_says(&chat_turn(d, i)->steps[0], text);
        assert_says(turn_reply(chat_turn(d, i)), reply);
    }
    kit_turn(&k, d, "one more", "yes");  // and the chat goes on
    chat_free(d);
    chat_free(c);
    assert_verified(&k);
    kit_close(&k);
}

// Text that cannot be compressed below 6 bits a letter.
static char *random_text(size_t len)
{
    struct rand_sim r;
    char *text = mem_alloc(len + 1);

    rand_sim_init(&r, 7);
    for (size_t i = 0; i < len; i++)
        text[i] = (char)('0' + rand_below(&r.rand, 64));
    text[len] = '\0';
    return text;
}

// A turn whose end brings a cut, and with it a system prompt.
static void cut_turn(struct kit *k, struct chat *c, const char *reply, const char *system,
                     uint64_t hash)
{
    struct history_cut cut = {.first = 1, .turn = c->head.turns + 1, .plan = 77};
    struct ledger_op op;

    assert_int_equal(kit_accept(k, c, "question"), E_OK);
    struct content content = kit_content(reply);
    struct attempt attempt = {.status = ATTEMPT_DONE};
    struct ledger_settle s = {.status = TURN_DONE, .stop = STOP_END, .reply = &content,
                              .attempt = &attempt, .cut = &cut,
                              .system = kit_text(system), .system_hash = hash};
    kit_ready(k, &op);
    ledger_settle(c, &s, &op);
    content_release(&content);
    assert_int_equal(kit_wait(k, &op), E_OK);
}

static void assert_system(const struct chat *c, const char *system, uint64_t hash)
{
    struct safe_text text = safe_buf_text(&c->system);

    assert_int_equal(c->head.system_hash, hash);
    assert_int_equal(text.len, strlen(system));
    assert_true(text.len == 0 || memcmp(text.ptr, system, text.len) == 0);
}

static void test_ledger__a_new_system_prompt_is_an_event(void **state)
{
    (void)state;
    struct kit k;
    kit_open(&k, "memory:");
    struct chat *c = kit_chat(&k, "kitchen");
    struct kit_accept other = {.system = "be brief", .system_hash = 8};
    struct ledger_op op;
    int code;

    kit_turn(&k, c, "a", "b");
    // Accepting a later turn changes nothing; ending one with a cut does.
    assert_int_equal(kit_accept_op(&k, c, "c", &other, &op), E_OK);
    assert_int_equal(kit_settle(&k, c, "d"), E_OK);
    assert_int_equal(c->head.events, 1);
    assert_system(c, "be kind", 7);
    cut_turn(&k, c, "f", "be brief", 8);
    assert_int_equal(c->head.events, 2);
    assert_int_equal(c->head.cut.turn, 3);
    assert_system(c, "be brief", 8);
    struct chat *d = kit_again(&k, c->head.id, &code);
    assert_int_equal(code, E_OK);
    assert_system(d, "be brief", 8);
    assert_int_equal(d->head.cut.plan, 77);
    chat_free(d);
    cut_turn(&k, c, "h", "", 0);
    assert_system(c, "", 0);
    // As long as it likes: it goes on in further records like a message.
    char *text = long_text(450 << 10, "be thorough ");
    cut_turn(&k, c, "j", text, 10);
    d = kit_again(&k, c->head.id, &code);
    assert_int_equal(code, E_OK);
    assert_system(d, text, 10);
    chat_free(d);
    // Beside a reply that leaves no room for it, it waits: the turn ends all the same.
    char *reply = random_text(510 << 10), *longer = random_text(900 << 10);
    cut_turn(&k, c, reply, longer, 11);
    assert_system(c, text, 10);
    mem_free(longer);
    assert_int_equal(c->head.open_turn, 0);
    mem_free(reply);
    mem_free(text);
    chat_free(c);
    assert_verified(&k);
    kit_close(&k);
}

static void test_ledger__a_key_is_one_turn(void **state)
{
    (void)state;
    struct kit k;
    kit_open(&k, "memory:");
    struct chat *c = kit_chat(&k, "kitchen"), *other = kit_chat(&k, "garage");
    const char *hash = "0123456789abcdef0123456789abcdef";
    struct kit_accept same = {.key_hash = hash, .digest = "aaaa"};
    struct kit_accept differs = {.key_hash = hash, .digest = "bbbb"};
    struct ledger_op op;

    kit_ready(&k, &op);
    ledger_find_key(k.ledger, k.partition, k.key, hash, "aaaa", &op);
    assert_int_equal(kit_wait(&k, &op), E_NOT_FOUND);
    assert_int_equal(kit_accept_op(&k, c, "pay", &same, &op), E_OK);
    // While it is open, in its own session and in another.
    assert_int_equal(kit_accept_op(&k, c, "pay", &same, &op), E_CONFLICT);
    assert_true(op.key_taken && op.key_same_text);
    assert_string_equal(op.key_session, c->head.id);
    assert_int_equal(op.key_turn, 1);
    assert_int_equal(kit_accept_op(&k, other, "pay", &differs, &op), E_CONFLICT);
    assert_true(op.key_taken && !op.key_same_text);
    assert_string_equal(op.key_session, c->head.id);
    assert_int_equal(kit_settle(&k, c, "paid"), E_OK);
    // And after; the chat is none the worse.
    assert_int_equal(kit_accept_op(&k, c, "pay", &same, &op), E_CONFLICT);
    assert_true(op.key_taken && op.key_same_text);
    assert_int_equal(c->head.turns, 1);
    kit_turn(&k, c, "and now", "this");
    kit_ready(&k, &op);
    ledger_find_key(k.ledger, k.partition, k.key, hash, "aaaa", &op);
    assert_int_equal(kit_wait(&k, &op), E_OK);
    assert_true(op.key_taken && op.key_same_text);
    assert_int_equal(op.key_turn, 1);
    assert_verified(&k);
    chat_free(c);
    chat_free(other);
    kit_close(&k);
}

static void test_ledger__create_is_the_newest(void **state)
{
    (void)state;
    struct kit k;
    kit_open(&k, "memory:");
    struct chat *c = kit_chat(&k, "kitchen");
    struct ledger_op op;

    kit_ready(&k, &op);
    ledger_create(c, k.context_hash, SLICE_LIT("ann"), &op);
    assert_int_equal(kit_wait(&k, &op), E_OK);
    assert_int_equal(c->head.version, 1);
    assert_int_equal(kit_count(&k, "head/"), 1);
    kit_ready(&k, &op);
    ledger_create(c, k.context_hash, SLICE_LIT("ann"), &op);
    assert_int_equal(kit_wait(&k, &op), E_REFUSED);
    kit_turn(&k, c, "a", "b");
    assert_verified(&k);
    chat_free(c);
    kit_close(&k);
}

static void test_ledger__bad_asks_change_nothing(void **state)
{
    (void)state;
    struct kit k;
    kit_open(&k, "memory:");
    struct chat *c = kit_chat(&k, "kitchen");
    struct content content = kit_content("x");
    char user[USER_BYTES + 1];
    struct ledger_accept a;
    struct ledger_op op;

    memset(user, 'u', sizeof(user));
    kit_fill(&k, &a, &content, NULL);
    a.user = slice_of(user, sizeof(user));
    kit_ready(&k, &op);
    ledger_accept(c, &a, &op);
    assert_int_equal(kit_wait(&k, &op), E_USAGE);
    kit_fill(&k, &a, &content, &(struct kit_accept){.edit_from = 1});
    kit_ready(&k, &op);
    ledger_accept(c, &a, &op);
    assert_int_equal(kit_wait(&k, &op), E_NOT_FOUND);
    assert_int_equal(kit_count(&k, ""), 0);
    kit_ready(&k, &op);
    ledger_load(c, 1, &op);
    assert_int_equal(kit_wait(&k, &op), E_OK);
    content_release(&content);
    chat_free(c);
    kit_close(&k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ledger__accept_and_settle),
        cmocka_unit_test(test_ledger__comes_back_byte_for_byte),
        cmocka_unit_test(test_ledger__an_open_turn_refuses_the_next),
        cmocka_unit_test(test_ledger__attempts_add_up),
        cmocka_unit_test(test_ledger__keeps_any_length),
        cmocka_unit_test(test_ledger__long_messages_go_on_in_further_records),
        cmocka_unit_test(test_ledger__pages_of_500_turns),
        cmocka_unit_test(test_ledger__a_new_system_prompt_is_an_event),
        cmocka_unit_test(test_ledger__a_key_is_one_turn),
        cmocka_unit_test(test_ledger__create_is_the_newest),
        cmocka_unit_test(test_ledger__bad_asks_change_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
