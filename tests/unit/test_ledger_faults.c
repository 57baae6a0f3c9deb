// SPDX-License-Identifier: MIT
// test_ledger_faults.c: a whole scenario in which the n-th thing fails, for every n.
//
// The store fails before or after doing what it was told; memory runs out. Whatever happens, what
// was acknowledged is there, once and whole; no half turn is; and the session goes on.
#include "unit/ledger_kit.h"

enum { TEXTS_MAX = 16, TRIES = 4 };

// What the person was told.
struct told {
    const char *accepted[TEXTS_MAX], *done[TEXTS_MAX];
    unsigned accepted_len, done_len;
    bool pinned;       // the first turn
    bool constrained;  // "no nuts"
};

struct scene {
    struct kit *k;
    struct chat *c;
    struct told told;
    bool go_on;   // after a failure: read again and go on, else stop as if the process had died
};

static int reload(struct scene *s)
{
    struct ledger_op op;
    int code = E_STORE;

    for (int i = 0; i < TRIES && code; i++) {
        kit_ready(s->k, &op);
        ledger_reload(s->c, &op);
        code = kit_wait(s->k, &op);
    }
    return code;
}

static int accept(struct scene *s, const char *text, const struct kit_accept *more)
{
    struct ledger_op op;
    uint32_t wanted = s->c->head.turns + 1;

    for (int i = 0; i < TRIES; i++) {
        int code = kit_accept_op(s->k, s->c, text, more, &op);
        // The key tells that the try before this one did happen.
        if (code == E_CONFLICT && op.key_taken && op.key_same_text && op.key_turn == wanted)
            code = reload(s);
        if (code && !s->go_on)
            return code;
        if (code && (reload(s) || s->c->head.open_turn != wanted))
            continue;
        s->told.accepted[s->told.accepted_len++] = text;
        return E_OK;
    }
    return E_STORE;
}

static int settle(struct scene *s, const char *reply)
{
    struct ledger_op op;

    for (int i = 0; i < TRIES; i++) {
        int code = kit_settle_op(s->k, s->c, TURN_DONE, reply, &op);
        if (code && !s->go_on)
            return code;
        if (code && (reload(s) || s->c->head.open_turn))
            continue;
        s->told.done[s->told.done_len++] = reply;
        return E_OK;
    }
    return E_STORE;
}

// What may fail without harm: only the session must be usable after.
static int minor(struct scene *s, struct ledger_op *op)
{
    int code = kit_wait(s->k, op);

    return code && s->go_on ? reload(s) : code;
}

static int keep(struct scene *s, const char *text)
{
    struct ledger_op op;

    kit_ready(s->k, &op);
    ledger_keep(s->c, kit_text(text), &op);
    return minor(s, &op);
}

static int further_attempt(struct scene *s)
{
    struct attempt last = {.status = ATTEMPT_FAILED};
    struct ledger_op op;

    kit_ready(s->k, &op);
    ledger_attempt(s->c, &last, NULL, &op);
    return minor(s, &op);
}

static int undo(struct scene *s, uint32_t first)
{
    struct ledger_op op;

    kit_ready(s->k, &op);
    ledger_supersede(s->c, first, SUPERSEDE_UNDO, &op);
    return minor(s, &op);
}

// An event and the head: both or none, and if it was told, both.
static int pin_first(struct scene *s)
{
    struct ledger_op op;

    for (int i = 0; i < TRIES; i++) {
        kit_ready(s->k, &op);
        ledger_pin(s->c, 1, &op);
        int code = kit_wait(s->k, &op);
        if (code && !s->go_on)
            return code;
        if (code && (reload(s) || !pins_find(&s->c->head.pins, 1)))
            continue;
        s->told.pinned = true;
        return E_OK;
    }
    return E_STORE;
}

static int constrain(struct scene *s)
{
    struct ledger_op op;

    for (int i = 0; i < TRIES; i++) {
        kit_ready(s->k, &op);
        ledger_constrain(s->c, SAFE_LIT("no nuts"), &op);
        int code = kit_wait(s->k, &op);
        if (code && !s->go_on)
            return code;
        if (code && (reload(s) || !s->c->head.constraints))
            continue;
        s->told.constrained = true;
        return E_OK;
    }
    return E_STORE;
}

static int move(struct scene *s, const char *text)
{
    struct chat *to = kit_chat(s->k, "kitchen");
    struct content content = kit_content(text);
    struct ledger_accept a;
    struct ledger_op op;

    kit_fill(s->k, &a, &content, NULL);
    kit_ready(s->k, &op);
    ledger_move(s->c, to, &a, &op);
    int code = kit_wait(s->k, &op);
    content_release(&content);
    if (code && s->go_on && (reload(s) || s->c->head.open_turn)) {
        chat_free(to);  // it did not happen: the turn goes on where it is
        return s->c->head.open_turn ? E_OK : E_STORE;
    }
    if (code && !s->go_on) {
        chat_free(to);
        return code;
    }
    struct chat *old = s->c;
    s->c = to;
    chat_free(old);
    return code ? reload(s) : E_OK;
}

static int load(struct scene *s)
{
    struct ledger_op op;

    kit_ready(s->k, &op);
    ledger_load(s->c, 1, &op);
    return minor(s, &op);
}

static int play(struct scene *s)
{
    struct kit_accept key = {.key_hash = "0123456789abcdef0123456789abcdef", .digest = "d"};
    struct kit_accept prompt = {.system = "be brief", .system_hash = 8, .edit_from = 2};
    int code = accept(s, "one", &key);

    if (!code)
        code = keep(s, "fi");
    if (!code)
        code = keep(s, "rst");
    if (!code)
        code = settle(s, "first");
    if (!code)
        code = pin_first(s);
    if (!code)
        code = constrain(s);
    if (!code)
        code = accept(s, "two", NULL);
    if (!code)
        code = keep(s, "bad");
    if (!code)
        code = further_attempt(s);
    if (!code)
        code = settle(s, "second");
    if (!code)
        code = load(s);
    if (!code)
        code = accept(s, "two, better", &prompt);
    if (!code)
        code = settle(s, "better");
    if (!code)
        code = undo(s, s->c->head.turns);
    if (!code)
        code = accept(s, "new day", NULL);
    if (!code)
        code = move(s, "new day");
    return code ? code : settle(s, "good morning");
}

// ---- what is there afterwards, as the next process finds it

struct tally {
    unsigned users[TEXTS_MAX], live_users[TEXTS_MAX], replies[TEXTS_MAX];
};

static bool says(const struct step *s, const char *text)
{
    struct safe_buf b;

    if (!s)
        return false;
    safe_buf_init(&b, 1 << 20);
    content_text(&s->content, &b);
    bool same = slice_is(safe_slice(safe_buf_text(&b)), text);
    safe_buf_release(&b);
    return same;
}

static void count(const struct told *told, const struct turn *t, struct tally *tally)
{
    for (unsigned i = 0; i < told->accepted_len; i++) {
        bool same = says(&t->steps[0], told->accepted[i]);

        tally->users[i] += same;
        tally->live_users[i] += same && !t->superseded;
    }
    for (unsigned i = 0; i < told->done_len; i++)
        tally->replies[i] += t->status == TURN_DONE && says(turn_reply(t), told->done[i]);
}

static void list_done(struct session_list *l)
{
    *(bool *)l->user = true;
}

static void check(struct kit *k, const struct told *told, bool all_done)
{
    struct session_env env = {.store = k->store, .vault = k->vault, .loop = k->loop,
                              .clock = &k->clock->clock, .rand = &k->rand->rand};
    bool done = false;
    struct session_list l = {.env = &env, .key = k->key, .done = list_done, .user = &done};
    struct tally tally = {0};
    struct err err = ERR_INIT;
    struct ledger_op op;
    int code;

    kit_ready(k, &op);
    ledger_recover(k->ledger, &op);
    assert_int_equal(kit_wait(k, &op), E_OK);
    assert_verified(k);
    memcpy(l.partition, k->partition, sizeof(k->partition));
    session_list(&l);
    loop_run(k->loop);
    assert_true(done && l.code == E_OK);
    for (uint32_t i = 0; i < l.heads_len; i++) {
        struct chat *c = kit_again(k, l.heads[i].id, &code);

        assert_int_equal(code, E_OK);
        assert_int_equal(c->head.open_turn, 0);
        assert_int_equal(rules_check_turns(&c->head, c->turns, c->turns_len, &err), E_OK);
        if (told->pinned && says(&chat_turn(c, 1)->steps[0], "one"))
            assert_non_null(pins_find(&c->head.pins, 1));
        if (told->constrained && says(&chat_turn(c, 1)->steps[0], "one"))
            assert_true(c->head.constraints && c->head.constraints->len == 1);
        for (uint32_t n = 1; n <= c->head.turns; n++) {
            count(told, chat_turn(c, n), &tally);
            if (all_done)
                assert_int_not_equal(chat_turn(c, n)->status, TURN_INTERRUPTED);
        }
        kit_turn(k, c, "does it go on", "it does");
        chat_free(c);
    }
    session_list_release(&l);
    for (unsigned i = 0; i < told->accepted_len; i++) {
        assert_true(tally.users[i] >= 1);
        assert_true(tally.live_users[i] <= 1);
    }
    for (unsigned i = 0; i < told->done_len; i++)
        assert_int_equal(tally.replies[i], 1);
}

// Plays on a store of this name behind `faults`; true if the scene went through without any.
static bool play_with(struct kit *k, const char *name, const char *faults, bool go_on)
{
    char url[192], inner[64];
    struct kit watching, acting;

    snprintf(inner, sizeof(inner), "memory:%s", name);
    snprintf(url, sizeof(url), "faulty:%s;%s", faults, inner);
    kit_open_beside(&watching, k, inner);
    kit_open_beside(&acting, k, url);
    struct scene s = {.k = &acting, .c = kit_chat(&acting, "kitchen"), .go_on = go_on};
    int code = play(&s);
    chat_free(s.c);
    kit_close_store(&acting);  // dies
    check(&watching, &s.told, go_on);
    kit_close_store(&watching);
    if (go_on)
        assert_int_equal(code, E_OK);
    return code == E_OK;
}

enum { STEPS_MAX = 40 };  // store ops of the scene, at most

static void every_store_op(const char *mode, bool go_on)
{
    struct kit k;
    char name[32], faults[64];
    bool through = false;
    unsigned failures = 0;

    kit_open(&k, "memory:");
    for (unsigned n = 1; n <= STEPS_MAX; n++) {
        snprintf(name, sizeof(name), "faults%u", n);
        snprintf(faults, sizeof(faults), "fail_at=%u,mode=%s", n, mode);
        through = play_with(&k, name, faults, go_on);
        failures += !through;
    }
    assert_true(through);  // the scene is shorter than STEPS_MAX
    if (!go_on)
        assert_true(failures > 10);
    kit_close(&k);
}

static void test_ledger_faults__store_refuses_and_the_process_dies(void **state)
{
    (void)state;
    every_store_op("before", false);
}

static void test_ledger_faults__store_did_it_and_the_process_dies(void **state)
{
    (void)state;
    every_store_op("after", false);
}

static void test_ledger_faults__store_refuses_and_it_goes_on(void **state)
{
    (void)state;
    every_store_op("before", true);
}

static void test_ledger_faults__store_did_it_and_it_goes_on(void **state)
{
    (void)state;
    every_store_op("after", true);
}

// ---- memory: each operation, its every allocation

enum op_kind {
    OP_ACCEPT,
    OP_KEEP,
    OP_ATTEMPT,
    OP_SETTLE,
    OP_UNDO,
    OP_EDIT,
    OP_LOAD,
    OP_RELOAD,
    OP_MOVE,
    OP_RECOVER,
    OP_VERIFY,
    OPS
};

// What each starts from: an open turn, or a closed one.
static bool needs_open(enum op_kind op)
{
    return op == OP_KEEP || op == OP_ATTEMPT || op == OP_SETTLE || op == OP_MOVE || op == OP_RELOAD;
}

static void start(struct kit *k, enum op_kind kind, struct chat *c, struct chat *to,
                  const struct content *content, struct buf *report, struct ledger_op *op)
{
    struct attempt attempt = {.status = ATTEMPT_FAILED};
    struct ledger_settle s = {
        .status = TURN_DONE, .stop = STOP_END, .reply = content, .attempt = &attempt};
    struct ledger_accept a;

    kit_fill(k, &a, content, &(struct kit_accept){.edit_from = kind == OP_EDIT ? 1 : 0});
    switch (kind) {
    case OP_ACCEPT:
    case OP_EDIT: ledger_accept(c, &a, op); break;
    case OP_KEEP: ledger_keep(c, kit_text("so far"), op); break;
    case OP_ATTEMPT: ledger_attempt(c, &attempt, NULL, op); break;
    case OP_SETTLE: ledger_settle(c, &s, op); break;
    case OP_UNDO: ledger_supersede(c, 1, SUPERSEDE_UNDO, op); break;
    case OP_LOAD: ledger_load(c, 1, op); break;
    case OP_RELOAD: ledger_reload(c, op); break;
    case OP_MOVE: ledger_move(c, to, &a, op); break;
    case OP_RECOVER: ledger_recover(k->ledger, op); break;
    default: ledger_verify(k->ledger, k->partition, k->key, report, op); break;
    }
}

// One operation in which allocation n fails; true when there was no n-th.
static bool without_memory(struct kit *k, enum op_kind kind, uint64_t n, const char *url)
{
    struct kit acting, dead;
    struct ledger_op op;
    struct err err = ERR_INIT;
    struct buf report = BUF_INIT(1 << 20);
    struct session_head head;
    struct chat *c, *gone = NULL;

    kit_open_beside(&acting, k, url);
    kit_open_beside(&dead, k, url);
    struct chat *first = kit_chat(&acting, "kitchen"), *to = kit_chat(&acting, "kitchen");
    kit_turn(&acting, first, "before", "yes");
    if (kind == OP_RECOVER) {
        gone = kit_chat(&dead, "garage");
        assert_int_equal(kit_accept(&dead, gone, "never answered"), E_OK);
    }
    chat_free(gone);
    kit_close_store(&dead);
    if (needs_open(kind)) {
        assert_int_equal(kit_accept(&acting, first, "open"), E_OK);
        c = first;
        first = NULL;
    } else {  // with nothing loaded, so that what needs turns loads them
        assert_int_equal(session_head_copy(&head, &first->head, &err), E_OK);
        assert_int_equal(chat_new(&c, acting.ledger, &head, acting.key, &err), E_OK);
    }
    struct content content = kit_content("text");
    kit_ready(&acting, &op);
    mem_fail_at(n, 0);
    start(&acting, kind, c, to, &content, &report, &op);
    loop_run(k->loop);
    mem_fail_at(0, 0);
    assert_true(acting.done);
    if (op.code && op.code != E_NOMEM)
        print_error("op %d, allocation %d: %s\n", (int)kind, (int)n, op.err.message);
    assert_true(op.code == E_OK || op.code == E_NOMEM);
    bool through = op.code == E_OK;
    assert_int_equal(report.len, 0);
    // Whatever it was, the chat can go on, and what is stored is whole.
    if (kind == OP_RELOAD && !through) {
        kit_ready(&acting, &op);
        ledger_reload(c, &op);
        assert_int_equal(kit_wait(&acting, &op), E_OK);
    }
    if (c->head.open_turn)
        assert_int_equal(kit_settle(&acting, c, "at last"), E_OK);
    if (to->head.open_turn)
        assert_int_equal(kit_settle(&acting, to, "at last"), E_OK);
    kit_turn(&acting, c, "more", "and more");
    content_release(&content);
    buf_release(&report);
    chat_free(first);
    chat_free(c);
    chat_free(to);
    check(&acting, &(struct told){0}, false);
    kit_close_store(&acting);
    return through;
}

static void test_ledger_faults__out_of_memory(void **state)
{
    (void)state;
    struct kit k;
    char url[32];
    kit_open(&k, "memory:");

    for (unsigned kind = 0; kind < OPS; kind++) {
        bool through = false;
        for (uint64_t n = 1; !through && n < 500; n++) {
            snprintf(url, sizeof(url), "memory:m%u_%u", kind, (unsigned)n);
            through = without_memory(&k, (enum op_kind)kind, n, url);
        }
        assert_true(through);
    }
    kit_close(&k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ledger_faults__store_refuses_and_the_process_dies),
        cmocka_unit_test(test_ledger_faults__store_did_it_and_the_process_dies),
        cmocka_unit_test(test_ledger_faults__store_refuses_and_it_goes_on),
        cmocka_unit_test(test_ledger_faults__store_did_it_and_it_goes_on),
        cmocka_unit_test(test_ledger_faults__out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
