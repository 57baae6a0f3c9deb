// SPDX-License-Identifier: MIT
// test_session.c: sessions found by id and by context, and listed.
#include "unit/ledger_kit.h"

struct found {
    struct session_find find;
    struct session_list list;
    bool done;
};

static void find_done(struct session_find *f)
{
    *(bool *)f->user = true;
}

static void list_done(struct session_list *l)
{
    *(bool *)l->user = true;
}

static struct session_env env_of(struct kit *k)
{
    return (struct session_env){.store = k->store, .vault = k->vault, .loop = k->loop,
                                .clock = &k->clock->clock, .rand = &k->rand->rand};
}

static int find(struct kit *k, struct found *w, const char *id)
{
    static struct session_env env;

    env = env_of(k);
    memset(w, 0, sizeof(*w));
    w->find = (struct session_find){.env = &env, .key = k->key, .bot = "hello", .done = find_done,
                                    .user = &w->done};
    snprintf(w->find.id, sizeof(w->find.id), "%s", id);
    memcpy(w->find.partition, k->partition, sizeof(k->partition));
    memcpy(w->find.context_hash, k->context_hash, sizeof(k->context_hash));
    session_find(&w->find);
    assert_false(w->done);
    loop_run(k->loop);
    assert_true(w->done);
    return w->find.code;
}

static void test_session__head_new(void **state)
{
    (void)state;
    struct kit k;
    kit_open(&k, "memory:");
    struct session_env env = env_of(&k);
    struct session_head a, b;
    struct err err = ERR_INIT;
    char context[CONTEXT_BYTES + 1];

    assert_int_equal(session_head_new(&a, &env, k.partition, "hello", "kitchen", &err), E_OK);
    assert_int_equal(session_head_new(&b, &env, k.partition, "hello", "", &err), E_OK);
    assert_true(id_valid(slice_str(a.id)));
    assert_string_not_equal(a.id, b.id);
    assert_int_equal(a.version, 0);
    assert_int_equal(a.created_at_ms, KIT_WALL_MS);
    memset(context, 'c', CONTEXT_BYTES);
    context[CONTEXT_BYTES] = '\0';
    assert_int_equal(session_head_new(&a, &env, k.partition, "hello", context, &err), E_USAGE);
    context[CONTEXT_BYTES - 1] = '\0';
    assert_int_equal(session_head_new(&a, &env, k.partition, "hello", context, &err), E_OK);
    assert_int_equal(session_head_new(&a, &env, k.partition, context, "x", &err), E_USAGE);
    assert_int_equal(session_head_new(&a, &env, k.partition, "hello", "\xff", &err), E_USAGE);
    kit_close(&k);
}

static void test_session__found_by_id_and_by_context(void **state)
{
    (void)state;
    struct kit k;
    struct found w;
    kit_open(&k, "memory:");
    assert_int_equal(find(&k, &w, ""), E_NOT_FOUND);
    assert_non_null(strstr(w.find.err.message, "hello"));
    struct chat *old = kit_chat(&k, "kitchen"), *newer = kit_chat(&k, "kitchen");
    kit_turn(&k, old, "a", "b");
    kit_turn(&k, newer, "c", "d");

    assert_int_equal(find(&k, &w, ""), E_OK);
    assert_string_equal(w.find.head.id, newer->head.id);
    assert_string_equal(w.find.head.context, "kitchen");
    assert_int_equal(w.find.head.version, newer->head.version);
    session_head_release(&w.find.head);
    assert_int_equal(find(&k, &w, old->head.id), E_OK);
    assert_string_equal(w.find.head.id, old->head.id);
    assert_int_equal(w.find.head.turns, 1);
    // What was found can go on.
    struct chat *again;
    struct err err = ERR_INIT;
    assert_int_equal(chat_new(&again, k.ledger, &w.find.head, k.key, &err), E_OK);
    kit_turn(&k, again, "more", "yes");
    chat_free(again);

    assert_int_equal(find(&k, &w, "not-an-id"), E_NOT_FOUND);
    assert_non_null(strstr(w.find.err.message, "not-an-id"));
    assert_int_equal(find(&k, &w, "1b4e28ba-2fa1-41d2-883f-0016d3cca427"), E_NOT_FOUND);
    chat_free(old);
    chat_free(newer);
    kit_close(&k);
}

// By the beginning of its id, if no other begins so.
static void test_session__found_by_how_its_id_begins(void **state)
{
    (void)state;
    struct kit k;
    struct found w;
    char begins[ID_TEXT_BYTES];
    kit_open(&k, "memory:");
    struct chat *a = kit_chat(&k, "kitchen"), *b = kit_chat(&k, "garage");
    memcpy(a->head.id, "abcd1111-2fa1-41d2-883f-0016d3cca427", ID_TEXT_BYTES);
    memcpy(b->head.id, "abcd2222-2fa1-41d2-883f-0016d3cca427", ID_TEXT_BYTES);
    kit_turn(&k, a, "a", "b");
    kit_turn(&k, b, "a", "b");
    for (size_t len = 5; len < ID_TEXT_BYTES; len++) {
        snprintf(begins, sizeof(begins), "%.*s", (int)len, b->head.id);
        assert_int_equal(find(&k, &w, begins), E_OK);
        assert_string_equal(w.find.head.id, b->head.id);
        session_head_release(&w.find.head);
    }
    assert_int_equal(find(&k, &w, "abcd"), E_USAGE);
    assert_non_null(strstr(w.find.err.message, a->head.id));
    assert_non_null(strstr(w.find.err.message, b->head.id));
    assert_int_equal(find(&k, &w, "abcd3"), E_NOT_FOUND);
    assert_non_null(strstr(w.find.err.message, "abcd3"));
    assert_int_equal(find(&k, &w, "abc"), E_NOT_FOUND);  // too short to be told from a mistake
    chat_free(a);
    chat_free(b);
    kit_close(&k);
}

static void test_session__a_damaged_head_quarantines_its_session(void **state)
{
    (void)state;
    struct kit k;
    struct found w;
    char key[RECORD_KEY_BYTES_MAX];
    kit_open(&k, "memory:");
    struct chat *c = kit_chat(&k, "kitchen");
    struct chat *other = kit_chat(&k, "garage");
    kit_turn(&k, c, "a", "b");
    kit_turn(&k, other, "a", "b");

    snprintf(key, sizeof(key), "session/%s", c->head.id);
    kit_spoil(&k, key, "{\"bot\":\"hello\",\"status\":\"active\",\"turns\":0}");
    assert_int_equal(find(&k, &w, c->head.id), E_CORRUPT);
    assert_non_null(strstr(w.find.err.message, c->head.id));
    assert_non_null(strstr(w.find.err.message, "is quarantined"));
    assert_non_null(strstr(w.find.err.message, "or start a new session"));
    assert_int_equal(find(&k, &w, other->head.id), E_OK);
    session_head_release(&w.find.head);
    chat_free(c);
    chat_free(other);
    kit_close(&k);
}

// Which session is the newest is one small record: where it is damaged, the heads know.
static void test_session__a_damaged_pointer_harms_no_session(void **state)
{
    (void)state;
    static const char *const metas[] = {"{\"session\":7}", "[", "{}"};
    struct kit k;
    struct found w;
    char key[RECORD_KEY_BYTES_MAX];
    struct slice context = SLICE_LIT("kitchen");
    kit_open(&k, "memory:");
    vault_digest(k.vault, "context", &context, 1, k.context_hash);  // as the engine makes it
    struct chat *old = kit_chat(&k, "kitchen");
    struct chat *c = kit_chat(&k, "kitchen");
    struct chat *other = kit_chat(&k, "garage");
    kit_turn(&k, old, "a", "b");
    clock_sim_advance(k.clock, 1000);
    kit_turn(&k, c, "a", "b");
    clock_sim_advance(k.clock, 1000);
    kit_turn(&k, other, "a", "b");

    snprintf(key, sizeof(key), "head/hello/%s", k.context_hash);
    for (unsigned i = 0; i < 6; i++) {
        if (i < 3)
            kit_spoil(&k, key, metas[i]);
        else
            kit_put(&k, key, metas[i - 3], SLICE_NONE, 0);
        assert_int_equal(find(&k, &w, ""), E_OK);
        assert_true(w.find.searched);
        assert_string_equal(w.find.head.id, c->head.id);
        session_head_release(&w.find.head);
    }
    chat_free(old);
    chat_free(c);
    chat_free(other);
    kit_close(&k);
}

static int list(struct kit *k, struct found *w, uint32_t limit)
{
    static struct session_env env;

    env = env_of(k);
    memset(w, 0, sizeof(*w));
    w->list = (struct session_list){.env = &env, .key = k->key, .limit = limit, .done = list_done,
                                    .user = &w->done};
    memcpy(w->list.partition, k->partition, sizeof(k->partition));
    session_list(&w->list);
    assert_false(w->done);
    loop_run(k->loop);
    assert_true(w->done);
    return w->list.code;
}

static void test_session__listed_newest_first(void **state)
{
    (void)state;
    enum { SESSIONS = 600 };  // more than a page
    struct kit k;
    struct found w;
    kit_open(&k, "memory:");
    assert_int_equal(list(&k, &w, 0), E_OK);
    assert_int_equal(w.list.heads_len, 0);
    session_list_release(&w.list);
    char context[32], key[RECORD_KEY_BYTES_MAX];

    for (unsigned i = 0; i < SESSIONS; i++) {
        snprintf(context, sizeof(context), "c%u", i);
        struct chat *c = kit_chat(&k, context);
        kit_turn(&k, c, "a", "b");
        chat_free(c);
        clock_sim_advance(k.clock, 1000);
    }
    assert_int_equal(list(&k, &w, 0), E_OK);
    assert_int_equal(w.list.heads_len, SESSIONS);
    for (unsigned i = 0; i < SESSIONS; i++) {
        snprintf(context, sizeof(context), "c%u", SESSIONS - 1 - i);
        assert_string_equal(w.list.heads[i].context, context);
    }
    snprintf(key, sizeof(key), "session/%s", w.list.heads[0].id);
    session_list_release(&w.list);
    kit_put(&k, key, "{}", SLICE_NONE, 0);
    assert_int_equal(list(&k, &w, 3), E_OK);
    assert_int_equal(w.list.heads_len, 3);
    assert_int_equal(w.list.damaged, 1);
    assert_string_equal(w.list.heads[0].context, "c598");
    assert_string_equal(w.list.heads[2].context, "c596");
    session_list_release(&w.list);
    kit_close(&k);
}

static void test_session__out_of_memory(void **state)
{
    (void)state;
    struct kit k;
    struct found w;
    kit_open(&k, "memory:");
    struct chat *c = kit_chat(&k, "kitchen");
    kit_turn(&k, c, "a", "b");
    int code = E_NOMEM;

    for (uint64_t n = 1; code == E_NOMEM; n++) {
        mem_fail_at(n, 0);
        code = find(&k, &w, "");
        mem_fail_at(0, 0);
        session_head_release(&w.find.head);
        assert_true(code == E_OK || code == E_NOMEM);
    }
    code = E_NOMEM;
    for (uint64_t n = 1; code == E_NOMEM; n++) {
        mem_fail_at(n, 0);
        code = list(&k, &w, 0);
        mem_fail_at(0, 0);
        session_list_release(&w.list);
        assert_true(code == E_OK || code == E_NOMEM);
    }
    chat_free(c);
    kit_close(&k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_session__head_new),
        cmocka_unit_test(test_session__found_by_id_and_by_context),
        cmocka_unit_test(test_session__found_by_how_its_id_begins),
        cmocka_unit_test(test_session__a_damaged_head_quarantines_its_session),
        cmocka_unit_test(test_session__a_damaged_pointer_harms_no_session),
        cmocka_unit_test(test_session__listed_newest_first),
        cmocka_unit_test(test_session__out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
