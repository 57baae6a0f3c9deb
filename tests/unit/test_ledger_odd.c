// SPDX-License-Identifier: MIT
// test_ledger_odd.c: what hardly ever is, and must be right all the same: sessions at their limits,
// records that only a mistake of ours could have written, keys that another process made.
#include "unit/ledger_kit.h"

#include <stdlib.h>

enum { LONG_BYTES = 450 << 10 };

// Text that does not become shorter by compression.
static char *noise(size_t len)
{
    char *text = mem_alloc(len + 1);
    struct rand_sim rand;
    rand_sim_init(&rand, 7);
    for (size_t i = 0; i < len; i++)
        text[i] = (char)('!' + rand_below(&rand.rand, 90));
    text[len] = '\0';
    return text;
}

// The session as the store has it, with nothing read but its head.
static struct chat *unread(struct kit *k, const struct chat *of)
{
    struct session_head head;
    struct chat *c = NULL;
    assert_int_equal(session_head_copy(&head, &of->head, NULL), E_OK);
    assert_int_equal(chat_new(&c, k->ledger, &head, k->key, NULL), E_OK);
    return c;
}

static int load(struct kit *k, struct chat *c, uint32_t first, struct ledger_op *op)
{
    kit_ready(k, op);
    ledger_load(c, first, op);
    return kit_wait(k, op);
}

static int import(struct kit *k, struct turn *turns, uint32_t len, struct slice user)
{
    struct chat *c = kit_chat(k, "kitchen");
    struct ledger_op op;
    kit_ready(k, &op);
    ledger_import(c, turns, len, k->context_hash, user, &op);
    int code = kit_wait(k, &op);
    chat_free(c);
    return code;
}

static void test_ledger_odd__bad_imports(void **state)
{
    (void)state;
    struct kit k;
    char name[USER_BYTES + 1];
    struct content hello = kit_content("hello");
    struct step steps[TURN_STEPS_MAX + 1] = {{.role = ROLE_USER, .content = hello}};
    kit_open(&k, "memory:");
    memset(name, 'n', sizeof(name));
    struct turn good = {.status = TURN_FAILED, .steps_len = 1, .steps = steps}, bad = good;
    assert_int_equal(import(&k, &good, 0, SLICE_LIT("ann")), E_USAGE);
    assert_int_equal(import(&k, &good, 1, slice_of(name, USER_BYTES)), E_USAGE);
    bad.steps_len = 0;
    assert_int_equal(import(&k, &bad, 1, SLICE_LIT("ann")), E_USAGE);
    bad.steps_len = TURN_STEPS_MAX + 1;
    assert_int_equal(import(&k, &bad, 1, SLICE_LIT("ann")), E_USAGE);
    bad = good;
    bad.status = TURN_OPEN;
    assert_int_equal(import(&k, &bad, 1, SLICE_LIT("ann")), E_USAGE);
    steps[0].role = ROLE_ASSISTANT;
    assert_int_equal(import(&k, &good, 1, SLICE_LIT("ann")), E_USAGE);
    assert_int_equal(kit_count(&k, "turn/"), 0);
    steps[0].role = ROLE_USER;
    assert_int_equal(import(&k, &good, 1, SLICE_NONE), E_OK);
    assert_verified(&k);
    content_release(&hello);
    kit_close(&k);
}

static void test_ledger_odd__a_large_import(void **state)
{
    (void)state;
    struct kit k;
    char *text = noise(LONG_BYTES);
    struct content content = kit_content(text);
    struct step steps[2] = {{.role = ROLE_USER, .content = content},
                            {.role = ROLE_ASSISTANT, .content = content}};
    struct turn turns[3];
    kit_open(&k, "memory:");
    for (unsigned i = 0; i < 3; i++)
        turns[i] = (struct turn){.status = TURN_DONE, .steps_len = 2, .steps = steps};
    assert_int_equal(import(&k, turns, 3, SLICE_LIT("ann")), E_OK);
    assert_verified(&k);
    content_release(&content);
    mem_free(text);
    kit_close(&k);
}

static void test_ledger_odd__nothing_is_done_unread(void **state)
{
    (void)state;
    struct kit k;
    struct ledger_op op;
    struct attempt failed = {.status = ATTEMPT_FAILED};
    kit_open(&k, "memory:");
    struct chat *c = kit_chat(&k, "kitchen"), *to = kit_chat(&k, "kitchen");
    assert_int_equal(kit_accept(&k, c, "open"), E_OK);
    struct chat *d = unread(&k, c);  // its attempt is not known
    assert_int_equal(kit_settle(&k, d, "no"), E_REFUSED);
    kit_ready(&k, &op);
    ledger_keep(d, kit_text("no"), &op);
    assert_int_equal(kit_wait(&k, &op), E_REFUSED);
    kit_ready(&k, &op);
    ledger_attempt(d, &failed, NULL, &op);
    assert_int_equal(kit_wait(&k, &op), E_REFUSED);
    struct content content = kit_content("open");
    struct ledger_accept a;
    kit_fill(&k, &a, &content, NULL);
    kit_ready(&k, &op);
    ledger_move(d, to, &a, &op);
    assert_int_equal(kit_wait(&k, &op), E_REFUSED);
    content_release(&content);
    assert_int_equal(kit_settle(&k, c, "yes"), E_OK);
    assert_verified(&k);
    chat_free(to);
    chat_free(d);
    chat_free(c);
    kit_close(&k);
}

static void test_ledger_odd__limits(void **state)
{
    (void)state;
    struct kit k;
    struct err err = ERR_INIT;
    struct ledger_env env = {0};
    struct ledger *l = NULL;
    struct ledger_op op;
    kit_open(&k, "memory:");
    struct chat *c = kit_chat(&k, "kitchen");
    c->head.turns = SESSION_TURNS_MAX;
    assert_int_equal(kit_accept_op(&k, c, "one too many", NULL, &op), E_REFUSED);
    assert_non_null(strstr(op.err.message, "full"));
    c->head.turns = 0;
    // At the beginning of time, with nobody's name.
    clock_sim_jump(k.clock, -KIT_WALL_MS);
    struct content content = kit_content("hello");
    struct ledger_accept a;
    kit_fill(&k, &a, &content, NULL);
    a.user = SLICE_NONE;
    kit_ready(&k, &op);
    ledger_accept(c, &a, &op);
    assert_int_equal(kit_wait(&k, &op), E_OK);
    content_release(&content);
    assert_verified(&k);  // it is due, if ever anybody has to look
    assert_int_equal(kit_settle(&k, c, "hi"), E_OK);
    assert_int_equal(load(&k, c, 0, &op), E_OK);
    chat_free(c);
    mem_fail_at(1, 0);
    assert_int_equal(ledger_new(&l, &env, &err), E_NOMEM);
    mem_fail_at(0, 0);
    assert_null(l);
    ledger_free(NULL);
    kit_close(&k);
}

static void test_ledger_odd__settled_elsewhere_while_it_is_read(void **state)
{
    (void)state;
    struct kit k, other;
    struct ledger_op op;
    kit_open(&k, "memory:odd");
    kit_open_beside(&other, &k, "memory:odd");
    struct chat *c = kit_chat(&other, "kitchen");
    assert_int_equal(kit_accept(&other, c, "open"), E_OK);
    struct chat *d = unread(&k, c);
    assert_int_equal(kit_settle(&other, c, "settled"), E_OK);
    assert_int_equal(load(&k, d, 1, &op), E_CONFLICT);
    assert_int_equal(kit_accept(&k, d, "next"), E_CONFLICT);  // until it is read again
    kit_ready(&k, &op);
    ledger_reload(d, &op);
    assert_int_equal(kit_wait(&k, &op), E_OK);
    kit_turn(&k, d, "next", "yes");
    chat_free(d);
    chat_free(c);
    kit_close_store(&other);
    kit_close(&k);
}

static void put_step(struct kit *k, const char *key, const char *meta, const char *body)
{
    struct vault_place place = {slice_str(k->partition), slice_str(key), slice_str(meta)};
    struct buf sealing = BUF_INIT(1 << 10);
    struct sealed sealed;
    assert_int_equal(vault_seal(k->vault, k->key, &place, kit_text(body), &sealing, &sealed, NULL),
                     E_OK);
    kit_put(k, key, meta, sealed.bytes, 0);
    buf_release(&sealing);
}

// More steps than any turn of today has: they come back, up to the limit.
static void test_ledger_odd__turns_of_many_steps(void **state)
{
    (void)state;
    struct kit k;
    int code;
    char key[RECORD_KEY_BYTES_MAX], meta[1024];
    kit_open(&k, "memory:");
    struct chat *c = kit_chat(&k, "kitchen");
    kit_turn(&k, c, "one", "first");
    snprintf(key, sizeof(key), "turn/%s/0000000001/0000000001", c->head.id);
    struct kit_store_op w = {.op = {.verb = STORE_GET, .key = slice_str(key)}};
    kit_submit(&k, &w);
    snprintf(meta, sizeof(meta), "%.*s", SLICE_FMT(w.op.rows[0].meta));
    store_op_release(&w.op);
    for (uint32_t step = 2; step <= TURN_STEPS_MAX; step++) {
        snprintf(key, sizeof(key), "turn/%s/0000000001/%010u", c->head.id, step);
        put_step(&k, key, meta, "[]");
        if (step % 9 && step < TURN_STEPS_MAX - 1)
            continue;
        struct chat *d = kit_again(&k, c->head.id, &code);
        assert_int_equal(code, step < TURN_STEPS_MAX ? E_OK : E_CORRUPT);
        assert_int_equal(code ? 0 : chat_turn(d, 1)->steps_len, code ? 0 : step + 1);
        chat_free(d);
    }
    chat_free(c);
    kit_close(&k);
}

// Two steps in a row that only a mistake of ours could have written, and a partition that is none.
static void test_ledger_odd__nonsense_is_told(void **state)
{
    (void)state;
    struct kit k;
    char key[RECORD_KEY_BYTES_MAX];
    kit_open(&k, "memory:");
    struct chat *c = kit_chat(&k, "kitchen");
    kit_turn(&k, c, "one", "first");
    kit_turn(&k, c, "two", "second");
    snprintf(key, sizeof(key), "turn/%s/0000000001/0000000000", c->head.id);
    put_step(&k, key, "{\"at\":1}", "[{");
    snprintf(key, sizeof(key), "turn/%s/0000000001/0000000001", c->head.id);
    put_step(&k, key, "{", "[]");
    struct buf report = kit_verify(&k);
    assert_non_null(strstr(report.ptr, "0000000001/0000000000"));
    buf_release(&report);
    chat_free(c);
    snprintf(k.partition, sizeof(k.partition), "~odd");
    kit_put(&k, "keyring", "{}", SLICE_NONE, 0);
    report = kit_verify(&k);
    assert_non_null(strstr(report.ptr, "keyring"));
    buf_release(&report);
    kit_close(&k);
}

// A long message goes on in further records, of which one is damaged, or gone.
static void test_ledger_odd__pieces_of_a_long_message(void **state)
{
    (void)state;
    for (int which = 0; which < 3; which++) {
        struct kit k;
        struct ledger_op op;
        char key[RECORD_KEY_BYTES_MAX], *text = noise(LONG_BYTES);
        kit_open(&k, "memory:");
        struct chat *c = kit_chat(&k, "kitchen");
        kit_turn(&k, c, text, "first");
        kit_turn(&k, c, "two", "second");
        snprintf(key, sizeof(key), "turn/%s/0000000001/0000000000%s", c->head.id,
                 which ? "/0000000001" : "");
        if (which < 2)
            kit_spoil(&k, key, "{\"x\":1}");
        else
            kit_delete(&k, key);
        struct chat *d = unread(&k, c);
        assert_int_equal(load(&k, d, 1, &op), E_CORRUPT);
        assert_int_equal(load(&k, d, 2, &op), E_OK);
        kit_ready(&k, &op);
        ledger_read(d, &op);
        assert_int_equal(kit_wait(&k, &op), E_OK);
        assert_true(chat_turn(d, 1)->damaged);
        assert_false(chat_turn(d, 2)->damaged);
        struct buf report = kit_verify(&k);
        assert_non_null(report.ptr);
        assert_non_null(strstr(report.ptr, "turn/"));
        buf_release(&report);
        chat_free(d);
        chat_free(c);
        mem_free(text);
        kit_close(&k);
    }
}

static void test_ledger_odd__keys_that_name_no_turn(void **state)
{
    (void)state;
    static const char *const turns[] = {"0", "-1", "9", "4294967296"};
    struct kit k;
    struct ledger_op op;
    kit_open(&k, "memory:");
    struct chat *c = kit_chat(&k, "kitchen");
    kit_turn(&k, c, "one", "first");
    for (unsigned i = 0; i < 4; i++) {
        char meta[128];
        snprintf(meta, sizeof(meta), "{\"session\":\"%s\",\"turn\":%s}", c->head.id, turns[i]);
        kit_put(&k, "key/odd", meta, SLICE_NONE, 0);
        struct buf report = kit_verify(&k);
        assert_non_null(strstr(report.ptr, "key/odd"));
        buf_release(&report);
        kit_ready(&k, &op);
        ledger_find_key(k.ledger, k.partition, k.key, "odd", "d", &op);
        assert_int_equal(kit_wait(&k, &op), i == 2 ? E_OK : E_CORRUPT);
    }
    chat_free(c);
    kit_close(&k);
}

static struct ledger_settle settle_of(struct attempt *attempt, const struct content *reply)
{
    return (struct ledger_settle){.status = TURN_FAILED, .stop = STOP_LOST, .reply = reply,
                                  .tokens = 5, .attempt = attempt};
}

static int settle(struct kit *k, struct chat *c, const struct ledger_settle *s)
{
    struct ledger_op op;
    kit_ready(k, &op);
    ledger_settle(c, s, &op);
    return kit_wait(k, &op);
}

static void test_ledger_odd__a_lost_attempt_with_something_said(void **state)
{
    (void)state;
    struct kit k;
    struct attempt lost = {.status = ATTEMPT_LOST, .usage = {.input_tokens = 3}};
    struct content said = kit_content("so far"), none = CONTENT_NONE;
    kit_open(&k, "memory:");
    struct chat *c = kit_chat(&k, "kitchen");
    assert_int_equal(kit_accept(&k, c, "one"), E_OK);
    struct ledger_settle s = settle_of(&lost, &said);
    assert_int_equal(settle(&k, c, &s), E_OK);
    assert_says(turn_reply(chat_turn(c, 1)), "so far");
    assert_true(chat_turn(c, 1)->usage.cost_nusd == COST_UNKNOWN);
    assert_int_equal(kit_accept(&k, c, "two"), E_OK);
    s = settle_of(&lost, &none);
    assert_int_equal(settle(&k, c, &s), E_OK);
    assert_null(turn_reply(chat_turn(c, 2)));
    assert_verified(&k);
    content_release(&said);
    chat_free(c);
    kit_close(&k);
}

// A turn always ends: what does not fit beside a long reply waits.
static void test_ledger_odd__a_cut_beside_a_long_reply(void **state)
{
    (void)state;
    // Room is left for the state of the session that its head may hold.
    enum { ARENA = STORE_BATCH_BYTES_MAX, FROM = 400 << 10, BY = 2 << 10, MOST = 560 << 10 };
    bool fitted = true;
    unsigned waited = 0;
    struct kit k;
    struct attempt done = {.status = ATTEMPT_DONE};
    char *text = noise(ARENA);
    char *long_text = noise(CONTENT_BYTES_MAX - 1);
    struct content reply = kit_content(long_text);
    kit_open(&k, "memory:");
    struct chat *c = kit_chat(&k, "kitchen");
    kit_turn(&k, c, "one", "first");
    for (size_t len = FROM; len <= MOST; len += BY) {
        struct history_cut was = c->head.cut, cut = {.first = c->head.turns,
                                                     .turn = c->head.turns + 1};
        uint64_t hash = c->head.system_hash;
        struct ledger_settle s = settle_of(&done, &reply);
        assert_int_equal(kit_accept(&k, c, "more"), E_OK);
        s.status = TURN_DONE;
        s.cut = &cut;
        s.system = (struct safe_text){text, len};
        s.system_hash = len;
        assert_int_equal(settle(&k, c, &s), E_OK);
        bool fits = c->head.system_hash == len;
        assert_true(fits || c->head.system_hash == hash);
        assert_int_equal(c->head.cut.first, fits ? cut.first : was.first);
        assert_true(fitted || !fits);
        fitted = fits;
        waited += !fits;
    }
    assert_true(waited > 2 && waited < (MOST - FROM) / BY);
    assert_verified(&k);
    content_release(&reply);
    mem_free(long_text);
    mem_free(text);
    chat_free(c);
    kit_close(&k);
}

// The keyring holds a key that another process made after this one read it.
static void test_ledger_odd__recovery_with_a_key_made_elsewhere(void **state)
{
    (void)state;
    struct kit k, dead;
    struct ledger_op op;
    char folder[] = "/tmp/parley-odd-XXXXXX", path[64];
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof(path), "%s/keys", folder);
    kit_open(&k, "memory:odd-keys");
    struct vault *first = k.vault;
    struct vault_options vo = {.path = path, .rand = &k.rand->rand};
    assert_int_equal(vault_open(&k.vault, &vo, NULL), E_OK);
    kit_make_key(&k);  // so that the file is there
    kit_close_store(&k);
    kit_open_store(&k, "memory:odd-keys");

    dead = k;
    assert_int_equal(vault_open(&dead.vault, &vo, NULL), E_OK);
    vault_partition(dead.vault, SLICE_LIT("bob"), dead.partition);
    kit_make_key(&dead);
    dead.store = NULL;
    dead.ledger = NULL;
    kit_open_store(&dead, "memory:odd-keys");
    struct chat *c = kit_chat(&dead, "kitchen");
    assert_int_equal(kit_accept(&dead, c, "never answered"), E_OK);
    chat_free(c);
    kit_close_store(&dead);
    vault_free(dead.vault);

    kit_ready(&k, &op);
    ledger_recover(k.ledger, &op);
    for (int i = 0; i < 100000000 && !k.done; i++)
        loop_run_for(k.loop, 0);
    assert_true(k.done);
    assert_int_equal(op.code, E_OK);
    assert_int_equal(op.turns, 1);
    vault_free(first);
    kit_close(&k);
    snprintf(path, sizeof(path), "rm -r %s", folder);
    assert_int_equal(system(path), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ledger_odd__bad_imports),
        cmocka_unit_test(test_ledger_odd__a_large_import),
        cmocka_unit_test(test_ledger_odd__nothing_is_done_unread),
        cmocka_unit_test(test_ledger_odd__limits),
        cmocka_unit_test(test_ledger_odd__settled_elsewhere_while_it_is_read),
        cmocka_unit_test(test_ledger_odd__turns_of_many_steps),
        cmocka_unit_test(test_ledger_odd__nonsense_is_told),
        cmocka_unit_test(test_ledger_odd__pieces_of_a_long_message),
        cmocka_unit_test(test_ledger_odd__keys_that_name_no_turn),
        cmocka_unit_test(test_ledger_odd__a_lost_attempt_with_something_said),
        cmocka_unit_test(test_ledger_odd__a_cut_beside_a_long_reply),
        cmocka_unit_test(test_ledger_odd__recovery_with_a_key_made_elsewhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
