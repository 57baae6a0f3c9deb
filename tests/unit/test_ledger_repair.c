// SPDX-License-Identifier: MIT
// test_ledger_repair.c: recovery after a death, import, and what verify finds.
#include "unit/ledger_kit.h"

static int keep(struct kit *k, struct chat *c, const char *text)
{
    struct ledger_op op;

    kit_ready(k, &op);
    ledger_keep(c, kit_text(text), &op);
    return kit_wait(k, &op);
}

static int recover(struct kit *k, uint32_t *turns)
{
    struct ledger_op op;

    kit_ready(k, &op);
    ledger_recover(k->ledger, &op);
    int code = kit_wait(k, &op);
    *turns = op.turns;
    return code;
}

static void test_ledger_repair__a_dead_process_is_settled(void **state)
{
    (void)state;
    struct kit a, b;
    uint32_t turns;
    int code;
    kit_open(&a, "memory:deaths");
    kit_open_beside(&b, &a, "memory:deaths");
    struct chat *kept = kit_chat(&b, "kitchen"), *bare = kit_chat(&b, "garage");
    struct chat *mine = kit_chat(&a, "garden");
    kit_turn(&b, kept, "before", "fine");
    assert_int_equal(kit_accept(&b, kept, "tell me"), E_OK);
    assert_int_equal(keep(&b, kept, "once upon "), E_OK);
    assert_int_equal(keep(&b, kept, "a time"), E_OK);
    assert_int_equal(kit_accept(&b, bare, "and you"), E_OK);
    assert_int_equal(kit_accept(&a, mine, "alive"), E_OK);

    assert_int_equal(recover(&a, &turns), E_OK);  // both live
    assert_int_equal(turns, 0);
    char kept_id[ID_TEXT_BYTES], bare_id[ID_TEXT_BYTES];
    memcpy(kept_id, kept->head.id, sizeof(kept_id));
    memcpy(bare_id, bare->head.id, sizeof(bare_id));
    chat_free(kept);
    chat_free(bare);
    kit_close_store(&b);  // dies
    assert_int_equal(recover(&a, &turns), E_OK);
    assert_int_equal(turns, 2);
    assert_int_equal(recover(&a, &turns), E_OK);
    assert_int_equal(turns, 0);
    assert_int_equal(kit_count(&a, "part/"), 0);

    kept = kit_again(&a, kept_id, &code);
    assert_int_equal(code, E_OK);
    assert_int_equal(kept->head.open_turn, 0);
    assert_int_equal(chat_turn(kept, 2)->status, TURN_INTERRUPTED);
    assert_int_equal(chat_turn(kept, 2)->stop, STOP_LOST);
    assert_int_equal(chat_turn(kept, 2)->usage.cost_nusd, COST_UNKNOWN);
    char key[RECORD_KEY_BYTES_MAX];
    snprintf(key, sizeof(key), "attempt/%s/0000000002/0000000001", kept_id);
    struct kit_store_op w = {.op = {.verb = STORE_GET, .key = slice_str(key)}};
    struct attempt lost = {0};
    kit_submit(&a, &w);
    assert_int_equal(attempt_read_meta(&lost, w.op.rows[0].meta, NULL), E_OK);
    store_op_release(&w.op);
    assert_int_equal(lost.status, ATTEMPT_LOST);
    assert_int_equal(lost.usage.cost_nusd, COST_UNKNOWN);
    assert_says(turn_reply(chat_turn(kept, 2)), "once upon a time");
    bare = kit_again(&a, bare_id, &code);
    assert_int_equal(code, E_OK);
    assert_int_equal(chat_turn(bare, 1)->status, TURN_INTERRUPTED);
    assert_int_equal(chat_turn(bare, 1)->steps_len, 1);
    assert_string_equal(bare->head.context, "garage");
    kit_turn(&a, kept, "go on", "and so");
    kit_turn(&a, bare, "go on", "and so");
    assert_int_equal(kit_settle(&a, mine, "still here"), E_OK);
    assert_verified(&a);
    chat_free(kept);
    chat_free(bare);
    chat_free(mine);
    kit_close(&a);
}

static void test_ledger_repair__one_chat(void **state)
{
    (void)state;
    struct kit a, b;
    struct ledger_op op;
    int code;
    kit_open(&a, "memory:one");
    kit_open_beside(&b, &a, "memory:one");
    struct chat *c = kit_chat(&b, "kitchen");
    assert_int_equal(kit_accept(&b, c, "hello?"), E_OK);
    struct chat *d = kit_again(&a, c->head.id, &code);
    assert_int_equal(code, E_OK);
    chat_free(c);
    kit_close_store(&b);

    kit_ready(&a, &op);
    ledger_recover_chat(d, &op);
    assert_int_equal(kit_wait(&a, &op), E_OK);
    assert_int_equal(op.turns, 1);
    assert_int_equal(d->head.open_turn, 0);
    kit_ready(&a, &op);
    ledger_recover_chat(d, &op);
    assert_int_equal(kit_wait(&a, &op), E_OK);
    assert_int_equal(op.turns, 0);
    kit_turn(&a, d, "again", "here I am");
    assert_verified(&a);
    chat_free(d);
    kit_close(&a);
}

static void test_ledger_repair__recovers_many(void **state)
{
    (void)state;
    enum { SESSIONS = 1100 };  // pages, with the living among the dead
    struct kit a, b;
    uint32_t turns;
    char context[16];
    struct chat *mine[SESSIONS / 10];
    kit_open(&a, "memory:many");
    kit_open_beside(&b, &a, "memory:many");
    for (int i = 0; i < SESSIONS; i++) {
        snprintf(context, sizeof(context), "c%d", i);
        struct chat *c = kit_chat(i % 10 ? &b : &a, context);
        assert_int_equal(kit_accept(i % 10 ? &b : &a, c, "x"), E_OK);
        if (i % 10)
            chat_free(c);
        else
            mine[i / 10] = c;
    }
    kit_close_store(&b);
    assert_int_equal(recover(&a, &turns), E_OK);
    assert_int_equal(turns, SESSIONS - SESSIONS / 10);
    for (int i = 0; i < SESSIONS / 10; i++) {
        assert_int_equal(kit_settle(&a, mine[i], "y"), E_OK);
        chat_free(mine[i]);
    }
    assert_verified(&a);
    kit_close(&a);
}

// More than a page of what is due and is no open turn; where memory runs out it is told, and the
// next recovery has them all.
static void test_ledger_repair__recovers_without_memory(void **state)
{
    enum { PAGE = 500, DUE = PAGE + 1 };
    unsigned failures = 0;
    int code = E_NOMEM;
    char key[256];
    uint32_t turns;
    struct kit k;

    (void)state;
    kit_open(&k, "memory:");
    for (int i = 0; i < DUE; i++) {
        // The last of the page has the longest key, where the next page begins.
        snprintf(key, sizeof(key), "odd/%03d%0*d", i, i == PAGE - 1 ? 200 : 1, 0);
        kit_put(&k, key, "{}", SLICE_NONE, 1);
    }
    for (uint64_t n = 1; n < 100; n++) {
        mem_fail_at(n, 0);
        code = recover(&k, &turns);
        mem_fail_at(0, 0);
        failures += code == E_NOMEM;
        assert_true(code == E_OK || code == E_NOMEM);
    }
    assert_true(code == E_OK && failures > 3);
    assert_int_equal(turns, 0);
    kit_close(&k);
}

// No store of ours can get there, but a backup that was mended by hand can.
static void test_ledger_repair__an_open_attempt_of_a_closed_turn(void **state)
{
    (void)state;
    static const char open[] = "{\"status\":\"open\",\"owner\":\"00000000000000aa\","
                               "\"bot\":\"hello\",\"at\":1}";
    struct kit k;
    uint32_t turns;
    char key[RECORD_KEY_BYTES_MAX], beside[RECORD_KEY_BYTES_MAX];
    kit_open(&k, "memory:");
    struct chat *c = kit_chat(&k, "kitchen");
    kit_turn(&k, c, "a", "b");
    kit_turn(&k, c, "c", "d");
    snprintf(key, sizeof(key), "attempt/%s/0000000001/0000000002", c->head.id);
    kit_put(&k, key, open, SLICE_NONE, 1);
    assert_int_equal(recover(&k, &turns), E_OK);
    assert_int_equal(turns, 0);
    assert_verified(&k);

    // Also while another turn of that session is being answered; that one is left alone.
    assert_int_equal(kit_accept(&k, c, "e"), E_OK);
    snprintf(beside, sizeof(beside), "attempt/%s/0000000002/0000000002", c->head.id);
    kit_put(&k, beside, open, SLICE_NONE, 1);
    assert_int_equal(recover(&k, &turns), E_OK);
    assert_int_equal(turns, 0);
    assert_verified(&k);
    assert_int_equal(kit_settle(&k, c, "f"), E_OK);

    // What names no turn is for verify to tell.
    snprintf(key, sizeof(key), "attempt/%s/0000000009/0000000001", c->head.id);
    kit_put(&k, key, open, SLICE_NONE, 1);
    assert_int_equal(recover(&k, &turns), E_OK);
    struct buf report = kit_verify(&k);
    assert_non_null(strstr(report.ptr, "no such turn"));
    buf_release(&report);
    chat_free(c);
    kit_close(&k);
}

// ---- import

static void make_turns(struct turn *turns, struct step (*steps)[2], uint32_t len, const char *text)
{
    for (uint32_t i = 0; i < len; i++) {
        steps[i][0] = (struct step){.role = ROLE_USER, .content = kit_content(text), .tokens = 3,
                                    .at_ms = 1000 + i * 10};
        steps[i][1] = (struct step){.role = ROLE_ASSISTANT, .content = kit_content("reply"),
                                    .tokens = 2, .at_ms = 1005 + i * 10};
        turns[i] = (struct turn){.status = TURN_DONE, .stop = STOP_END, .steps_len = 2,
                                 .steps = steps[i], .at_ms = 1000 + i * 10, .policy = "import"};
    }
    turns[1].status = TURN_FAILED;
    turns[1].steps_len = 1;
    turns[2].superseded = true;
}

static void free_turns(struct step (*steps)[2], uint32_t len)
{
    for (uint32_t i = 0; i < len; i++) {
        content_release(&steps[i][0].content);
        content_release(&steps[i][1].content);
    }
}

static int import(struct kit *k, struct chat *c, struct turn *turns, uint32_t len,
                  struct ledger_op *op)
{
    kit_ready(k, op);
    ledger_import(c, turns, len, k->context_hash, SLICE_LIT("ann"), op);
    return kit_wait(k, op);
}

static void test_ledger_repair__import(void **state)
{
    (void)state;
    enum { TURNS = 137 };
    static struct turn turns[TURNS];
    static struct step steps[TURNS][2];
    struct kit k;
    struct ledger_op op;
    int code;
    kit_open(&k, "memory:");
    struct chat *c = kit_chat(&k, "kitchen"), *d;
    make_turns(turns, steps, TURNS, "said before");

    assert_int_equal(import(&k, c, turns, 0, &op), E_USAGE);
    // Leftovers of an import that died.
    char key[RECORD_KEY_BYTES_MAX];
    for (unsigned i = 1; i < 120; i++) {
        snprintf(key, sizeof(key), "turn/%s/%010u/0000000000", c->head.id, i);
        kit_put(&k, key, "{}", SLICE_NONE, 0);
    }
    snprintf(key, sizeof(key), "turn/%s/0000000001/0000000000/0000000001", c->head.id);
    kit_put(&k, key, "{}", SLICE_NONE, 0);
    assert_int_equal(import(&k, c, turns, TURNS, &op), E_OK);
    assert_int_equal(op.turns, TURNS);
    assert_verified(&k);
    d = kit_again(&k, c->head.id, &code);
    assert_int_equal(code, E_OK);
    assert_int_equal(d->head.turns, TURNS);
    assert_int_equal(d->head.tokens, (TURNS - 2) * 5 + 3);
    assert_int_equal(d->head.last_active_at_ms, 1005 + (TURNS - 1) * 10);
    assert_int_equal(chat_turn(d, 2)->status, TURN_FAILED);
    assert_true(chat_turn(d, 3)->superseded);
    assert_says(&chat_turn(d, TURNS)->steps[0], "said before");
    assert_int_equal(chat_turn(d, 5)->at_ms, 1040);
    assert_int_equal(import(&k, d, turns, TURNS, &op), E_REFUSED);
    struct session_head head = {0};
    struct err err = ERR_INIT;
    struct chat *twin;
    memcpy(head.id, d->head.id, sizeof(head.id));
    memcpy(head.partition, k.partition, sizeof(head.partition));
    memcpy(head.bot, "hello", 6);
    assert_int_equal(chat_new(&twin, k.ledger, &head, k.key, &err), E_OK);
    assert_int_equal(import(&k, twin, turns, TURNS, &op), E_REFUSED);
    kit_turn(&k, d, "and it goes on", "yes");
    chat_free(twin);
    chat_free(d);
    chat_free(c);
    free_turns(steps, TURNS);
    assert_verified(&k);
    kit_close(&k);
}

static void newest_is(struct kit *k, const char *id)
{
    struct kit_store_op w = {.op = {.verb = STORE_SCAN, .key = SLICE_LIT("head/"), .limit = 10}};

    kit_submit(k, &w);
    assert_int_equal(w.op.rows_len, 1);
    assert_non_null(memmem(w.op.rows[0].meta.ptr, w.op.rows[0].meta.len, id, strlen(id)));
    store_op_release(&w.op);
}

static void test_ledger_repair__import_leaves_the_newest(void **state)
{
    (void)state;
    struct turn turns[3];
    struct step steps[3][2];
    struct kit k;
    struct ledger_op op;
    kit_open(&k, "memory:");
    struct chat *live = kit_chat(&k, "kitchen"), *old = kit_chat(&k, "kitchen"),
                *later = kit_chat(&k, "kitchen"), *longer = kit_chat(&k, "kitchen");
    make_turns(turns, steps, 3, "x");
    kit_turn(&k, live, "a", "b");
    assert_int_equal(import(&k, old, turns, 3, &op), E_OK);
    newest_is(&k, live->head.id);
    steps[2][1].at_ms = (int64_t)KIT_WALL_MS * 2;
    assert_int_equal(import(&k, later, turns, 3, &op), E_OK);
    newest_is(&k, later->head.id);
    free_turns(steps, 3);
    // Long ones take a commit each.
    char *text = mem_alloc((500 << 10) + 1);
    memset(text, 'l', 500 << 10);
    text[500 << 10] = '\0';
    make_turns(turns, steps, 3, text);
    assert_int_equal(import(&k, longer, turns, 3, &op), E_OK);
    mem_free(text);
    free_turns(steps, 3);
    assert_verified(&k);
    chat_free(live);
    chat_free(old);
    chat_free(later);
    chat_free(longer);
    kit_close(&k);
}

// ---- verify

struct damage {
    const char *key;    // %s: the session
    const char *meta;   // NULL: deleted
    const char *told;
    int64_t due_at_ms;
};

#define CALL "1b4e28ba-2fa1-41d2-883f-0016d3cca427/0000000000/0000000001"

static void test_ledger_repair__verify_finds_damage(void **state)
{
    (void)state;
    const struct damage damages[] = {
        {"turn/%s/0000000002/0000000001", NULL, "turn 2: is open", 0},
        {"turn/%s/0000000002/0000000000", NULL, "turn/", 0},
        {"turn/%s/0000000001/0000000001", "{\"role\":\"assistant\"}", "turn/", 0},
        {"turn/%s/0000000003/0000000000/0000000001", "{}", "turn/", 0},
        {"turn/%s/0000000009/0000000000", "{\"role\":\"user\",\"at\":1,\"tokens\":1}", "turn", 0},
        {"session/%s", "{}", "session", 0},
        {"session/%s", NULL, "records of no session", 0},
        {"attempt/%s/0000000002/0000000001",
         "{\"status\":\"open\",\"owner\":\"o\",\"bot\":\"b\",\"at\":1}", "is open, the turn is not",
         1},
        {"attempt/%s/0000000003/0000000001", NULL, "0 attempts of it", 0},
        {"attempt/%s/0000000003/0000000001",
         "{\"status\":\"open\",\"owner\":\"o\",\"bot\":\"b\",\"at\":1}", "not due", 0},
        {"attempt/%s/0000000001/0000000001", "[]", "not an attempt", 0},
        {"attempt/%s/0000000007/0000000001", "{\"status\":\"unused\",\"bot\":\"b\",\"at\":1}",
         "no such turn", 0},
        {"attempt/" CALL, "[]", "what it cost is unknown", 0},
        {"attempt/" CALL, "{\"status\":\"done\",\"bot\":\"b\",\"at\":1}", "of no turn", 0},
        {"attempt/" CALL, "{\"status\":\"open\",\"kind\":\"embedding\",\"owner\":\"o\","
         "\"bot\":\"b\",\"at\":1}", "is open and not due", 0},
        {"attempt/" CALL, "{\"status\":\"done\",\"kind\":\"embedding\",\"bot\":\"b\",\"at\":1}",
         "is done and still due", 1},
        {"summary/1b4e28ba-2fa1-41d2-883f-0016d3cca427/0000000001", "{}", "records of no session",
         0},
        {"part/%s/0000000002/0000000001/0000000000", "{}", "not under way", 0},
        {"event/%s/0000000001", NULL, "0 of 1 events", 0},
        {"event/%s/0000000009", "{}", "only 1 events", 0},
        {"event/%s/0000000001", "{\"kind\":\"undo\"}", "system prompt", 0},
        {"key/00000000000000000000000000000000",
         "{\"session\":\"1b4e28ba-2fa1-41d2-883f-0016d3cca427\",\"turn\":1}", "names a session", 0},
        {"head/hello/x", "{\"session\":\"1b4e28ba-2fa1-41d2-883f-0016d3cca427\"}", "points at no",
         0},
        {"user", NULL, "no user record", 0},
    };
    char key[RECORD_KEY_BYTES_MAX];

    for (size_t i = 0; i < sizeof(damages) / sizeof(damages[0]); i++) {
        const struct damage *d = &damages[i];
        struct kit k;
        kit_open(&k, "memory:");
        struct chat *c = kit_chat(&k, "kitchen");
        kit_turn(&k, c, "a", "b");
        kit_turn(&k, c, "c", "d");
        assert_int_equal(kit_accept(&k, c, "e"), E_OK);
        assert_verified(&k);
        snprintf(key, sizeof(key), d->key, c->head.id);
        if (d->meta)
            kit_put(&k, key, d->meta, SLICE_NONE, d->due_at_ms);
        else
            kit_delete(&k, key);
        struct buf report = kit_verify(&k);
        if (!report.len || !strstr(report.ptr, d->told))
            print_error("damage %zu: expected \"%s\" in: %s\n", i, d->told,
                        report.len ? report.ptr : "");
        assert_true(report.len > 0);
        assert_non_null(strstr(report.ptr, d->told));
        buf_release(&report);
        chat_free(c);
        kit_close(&k);
    }
}

// A step without words, and behind it one that says nothing of itself: the first is told.
static void test_ledger_repair__verify_finds_damage_after_damage(void **state)
{
    struct kit k;
    char key[RECORD_KEY_BYTES_MAX];

    (void)state;
    kit_open(&k, "memory:");
    struct chat *c = kit_chat(&k, "kitchen");
    kit_turn(&k, c, "a", "b");
    kit_turn(&k, c, "c", "d");
    snprintf(key, sizeof(key), "turn/%s/0000000002/0000000000", c->head.id);
    kit_put(&k, key, "{\"role\":\"user\",\"at\":1,\"tokens\":1}", SLICE_NONE, 0);
    char *last = key + strlen(key) - 1;
    *last = '1';
    kit_put(&k, key, "{}", SLICE_NONE, 0);
    struct buf report = kit_verify(&k);
    *last = '0';
    assert_true(report.len > 0);
    assert_non_null(strstr(report.ptr, key));
    buf_release(&report);
    chat_free(c);
    kit_close(&k);
}

static void test_ledger_repair__verify_finds_moved_and_broken_bodies(void **state)
{
    (void)state;
    struct kit k;
    int code;
    char one[RECORD_KEY_BYTES_MAX], two[RECORD_KEY_BYTES_MAX];
    kit_open(&k, "memory:");
    struct chat *c = kit_chat(&k, "kitchen");
    kit_turn(&k, c, "a", "b");
    kit_turn(&k, c, "c", "d");
    snprintf(one, sizeof(one), "turn/%s/0000000001/0000000001", c->head.id);
    snprintf(two, sizeof(two), "turn/%s/0000000002/0000000001", c->head.id);

    // The sealed reply of turn 1 in the place of turn 2's.
    struct kit_store_op w = {.op = {.verb = STORE_GET, .key = slice_str(one)}};
    kit_submit(&k, &w);
    char *meta = mem_slicedup(w.op.rows[0].meta);
    kit_put(&k, two, meta, w.op.rows[0].body.bytes, 0);
    store_op_release(&w.op);
    struct buf report = kit_verify(&k);
    assert_true(report.len > 0);
    assert_non_null(strstr(report.ptr, two));
    assert_null(strstr(report.ptr, one));
    assert_ptr_equal(strchr(report.ptr, '\n'), report.ptr + report.len - 1);  // one line
    buf_release(&report);
    // And loading names it, and loads nothing.
    struct chat *d = kit_again(&k, c->head.id, &code);
    assert_int_equal(code, E_CORRUPT);
    assert_int_equal(d->turns_len, 0);
    mem_free(meta);
    chat_free(d);
    chat_free(c);
    kit_close(&k);
}

// A half import leaves turns, keys and events, and those are counted; but no attempts or summaries.
static void test_ledger_repair__orphans(void **state)
{
    (void)state;
    struct kit k;
    struct ledger_op op;
    struct buf report = BUF_INIT(1 << 20);
    kit_open(&k, "memory:");
    kit_put(&k, "turn/1b4e28ba-2fa1-41d2-883f-0016d3cca427/0000000001/0000000000", "{}", SLICE_NONE,
            0);
    kit_put(&k, "attempt/2b4e28ba-2fa1-41d2-883f-0016d3cca427/0000000001/0000000001", "{}",
            SLICE_NONE, 0);
    kit_put(&k, "summary/3b4e28ba-2fa1-41d2-883f-0016d3cca427/0000000001", "{}", SLICE_NONE, 0);
    kit_ready(&k, &op);
    ledger_verify(k.ledger, k.partition, k.key, &report, &op);
    assert_int_equal(kit_wait(&k, &op), E_OK);
    assert_int_equal(op.orphans, 1);
    assert_non_null(strstr(report.ptr, "turn/1b4e28ba"));
    assert_non_null(strstr(report.ptr, "attempt/2b4e28ba"));
    assert_non_null(strstr(report.ptr, "summary/3b4e28ba"));
    buf_release(&report);
    kit_close(&k);
}

// A call beside the turns: what it cost is in its record alone, so no word of it may be changed.
static void test_ledger_repair__verify_of_a_call(void **state)
{
    (void)state;
    struct kit k;
    struct ledger_op op;
    char key[RECORD_KEY_BYTES_MAX];
    kit_open(&k, "memory:");
    struct ledger_call call = {.partition = k.partition, .key = k.key,
                               .attempt = {.kind = ATTEMPT_EMBEDDING, .bot = "hello",
                                           .provider = "scripted", .model = "echo"}};
    kit_ready(&k, &op);
    ledger_call_open(k.ledger, &call, &op);
    assert_int_equal(kit_wait(&k, &op), E_OK);
    assert_int_equal(call.version, 1);
    assert_verified(&k);  // one that is under way is no problem
    call.attempt.status = ATTEMPT_DONE;
    call.attempt.usage = (struct usage){.input_tokens = 30, .cost_nusd = 7};
    kit_ready(&k, &op);
    ledger_call_settle(k.ledger, &call, &op);
    assert_int_equal(kit_wait(&k, &op), E_OK);
    assert_int_equal(call.version, 2);
    assert_verified(&k);
    snprintf(key, sizeof(key), "attempt/%s/0000000000/0000000001", call.id);
    kit_spoil(&k, key, "{\"status\":\"done\",\"kind\":\"embedding\",\"bot\":\"b\",\"at\":1}");
    struct buf report = kit_verify(&k);
    assert_non_null(strstr(report.ptr, key));
    assert_non_null(strstr(report.ptr, "what it cost is unknown"));
    buf_release(&report);
    kit_close(&k);
}

// What is made anew, or does no harm, is told as that.
static void test_ledger_repair__verify_tells_the_harm(void **state)
{
    static const struct {
        const char *key, *harm;
    } odd[] = {{"recall/hello", "it is made anew when something is to be recalled"},
               {"spend/today", "today's budget of this user is not held by it"}};

    (void)state;
    for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
        struct kit k;

        kit_open(&k, "memory:");
        kit_put(&k, odd[i].key, "{}", SLICE_NONE, 0);
        kit_spoil(&k, odd[i].key, "{\"x\":1}");
        struct buf report = kit_verify(&k);
        assert_non_null(strstr(report.ptr ? report.ptr : "", odd[i].harm));
        buf_release(&report);
        kit_close(&k);
    }
}

static void test_ledger_repair__verify_of_what_is_still_due(void **state)
{
    struct kit_store_op w = {.op = {.verb = STORE_GET}};
    char key[128], meta[RECORD_META_BYTES_MAX];
    struct kit k;

    (void)state;
    kit_open(&k, "memory:");
    struct chat *c = kit_chat(&k, "kitchen");
    kit_turn(&k, c, "Hello.", "Hi.");
    snprintf(key, sizeof(key), "attempt/%s/0000000001/0000000001", c->head.id);
    w.op.key = slice_str(key);
    kit_submit(&k, &w);
    assert_int_equal(w.op.rows_len, 1);
    snprintf(meta, sizeof(meta), "%.*s", SLICE_FMT(w.op.rows[0].meta));
    kit_put(&k, key, meta, w.op.rows[0].body.bytes, 5);
    store_op_release(&w.op);
    struct buf report = kit_verify(&k);
    assert_non_null(strstr(report.ptr ? report.ptr : "", "is settled and still due; harmless"));
    buf_release(&report);
    chat_free(c);
    kit_close(&k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ledger_repair__a_dead_process_is_settled),
        cmocka_unit_test(test_ledger_repair__one_chat),
        cmocka_unit_test(test_ledger_repair__recovers_many),
        cmocka_unit_test(test_ledger_repair__recovers_without_memory),
        cmocka_unit_test(test_ledger_repair__an_open_attempt_of_a_closed_turn),
        cmocka_unit_test(test_ledger_repair__import),
        cmocka_unit_test(test_ledger_repair__import_leaves_the_newest),
        cmocka_unit_test(test_ledger_repair__verify_finds_damage),
        cmocka_unit_test(test_ledger_repair__verify_finds_damage_after_damage),
        cmocka_unit_test(test_ledger_repair__verify_finds_moved_and_broken_bodies),
        cmocka_unit_test(test_ledger_repair__orphans),
        cmocka_unit_test(test_ledger_repair__verify_of_a_call),
        cmocka_unit_test(test_ledger_repair__verify_tells_the_harm),
        cmocka_unit_test(test_ledger_repair__verify_of_what_is_still_due),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
