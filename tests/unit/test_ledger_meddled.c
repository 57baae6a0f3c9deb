// SPDX-License-Identifier: MIT
// test_ledger_meddled.c: each operation of the ledger, and each thing that may go wrong in it:
// every allocation fails, and every op of the store is answered otherwise, with failures, nothing,
// damage and lies. The operation ends, once, and says what it is; after an honest failure what is
// stored is right, and the session goes on.
#include "ledger/ledger_int.h"
#include "unit/ledger_meddler.h"

#define KEY_USED "0123456789abcdef0123456789abcdef"
#define KEY_OPEN "11111111111111111111111111111111"
#define KEY_FREE "22222222222222222222222222222222"

enum deed {
    CREATE, ACCEPT, ACCEPT_TAKEN, ACCEPT_OPEN_TAKEN, ACCEPT_OPEN_FREE, FIND_KEY, EDIT, KEEP,
    ATTEMPT, SETTLE, SETTLE_COLD, UNDO, LOAD, LOAD_NEWEST, READ, PICK, PICK_MANY, FIND_SENT,
    RELOAD, MOVE, MOVE_COLD, RECOVER, RECOVER_CHAT, RECOVER_OWN, RECOVER_OWN_DEAD,
    RECOVER_STRAY, RECOVER_LIVE, IMPORT, IMPORT_BESIDE, IMPORT_ESCAPED, VERIFY,
    UNPIN, CONSTRAIN, CONSTRAIN_MORE, UNCONSTRAIN,
    CALL_OPEN, CALL_SETTLE, SUMMARY_ATTEMPT, SUMMARY_SETTLE, SUMMARY_FIND, DEEDS
};

static bool is_open(enum deed d)
{
    return d == ACCEPT_OPEN_TAKEN || d == ACCEPT_OPEN_FREE || d == KEEP || d == ATTEMPT ||
           d == SETTLE || d == SETTLE_COLD || d == RELOAD || d == MOVE || d == MOVE_COLD ||
           d == RECOVER_OWN || d == RECOVER_LIVE;
}

struct stage {
    struct kit k;                 // that acts, through the meddler
    struct meddler m;
    struct chat *c, *to;          // c: the session "kitchen"
    struct content content;
    struct buf report;
    struct sent sent;
    struct ledger_pick pick;
    struct turn turns[2];         // to import
    struct ledger_call call;
    struct ledger_summing summing;
    struct summary summary;       // to be kept, or what is found
    struct ledger_op op;
};

static void keep(struct kit *k, struct chat *c, const char *text)
{
    struct ledger_op op;
    kit_ready(k, &op);
    ledger_keep(c, kit_text(text), &op);
    assert_int_equal(kit_wait(k, &op), E_OK);
}

// A session whose owner died while its second turn was answered, in its second attempt.
static void leave_open(const struct kit *k, const char *url)
{
    struct attempt failed = {.status = ATTEMPT_FAILED};
    struct ledger_op op;
    struct kit dead;
    kit_open_beside(&dead, k, url);
    struct chat *c = kit_chat(&dead, "garage");
    kit_turn(&dead, c, "before", "yes");
    assert_int_equal(kit_accept(&dead, c, "never answered"), E_OK);
    kit_ready(&dead, &op);
    ledger_attempt(c, &failed, NULL, &op);
    assert_int_equal(kit_wait(&dead, &op), E_OK);
    keep(&dead, c, "so far");
    chat_free(c);
    kit_close_store(&dead);
}

// Nothing loaded, as another start would have it.
static struct chat *cold(struct kit *k, const struct session_head *from)
{
    struct session_head head;
    struct chat *c = NULL;
    assert_int_equal(session_head_copy(&head, from, NULL), E_OK);
    assert_int_equal(chat_new(&c, k->ledger, &head, k->key, NULL), E_OK);
    return c;
}

// The newest session of the context "garage", by its dead owner.
static struct chat *orphaned(struct kit *k)
{
    struct kit_store_op w = {.op = {.verb = STORE_SCAN, .key = SLICE_LIT("attempt/"), .limit = 99}};
    struct session_head head = {.version = UINT64_MAX};
    struct chat *c = NULL;
    kit_submit(k, &w);
    for (uint32_t i = 0; i < w.op.rows_len; i++)
        if (w.op.rows[i].due_at_ms)
            memcpy(head.id, w.op.rows[i].key.ptr + strlen("attempt/"), ID_TEXT_BYTES - 1);
    memcpy(head.partition, k->partition, PARTITION_BYTES);
    store_op_release(&w.op);
    assert_int_equal(chat_new(&c, k->ledger, &head, k->key, NULL), E_OK);
    return c;
}

// Records of an import that was cut short.
static void half_import(struct kit *k, const char *id)
{
    struct buf key = BUF_INIT(RECORD_KEY_BYTES_MAX);
    for (uint32_t n = 1; n <= 60; n++) {  // more than one batch of deletions
        key_turn(&key, id, n, 0);
        kit_put(k, key.ptr, "{}", SLICE_NONE, 0);
    }
    buf_release(&key);
}

// The context's pointer as another writer of JSON would have it.
static void escape_pointer(struct kit *k)
{
    struct kit_store_op w = {.op = {.verb = STORE_SCAN, .key = SLICE_LIT("head/"), .limit = 1}};
    char key[RECORD_KEY_BYTES_MAX + 1], meta[256];
    kit_submit(k, &w);
    assert_int_equal(w.op.rows_len, 1);
    snprintf(key, sizeof key, "%.*s", SLICE_FMT(w.op.rows[0].key));
    snprintf(meta, sizeof meta, "%.*s", SLICE_FMT(w.op.rows[0].meta));
    store_op_release(&w.op);
    char *id = strstr(meta, "\"session\":\"") + strlen("\"session\":\""), escaped[300];
    snprintf(escaped, sizeof escaped, "%.*s\\u%04x%s", (int)(id - meta), meta, (unsigned)id[0],
             id + 1);
    kit_put(k, key, escaped, SLICE_NONE, 0);
}

// An attempt of a turn that is closed, open for ever.
static void stray_attempt(struct kit *k, const char *id)
{
    struct buf key = BUF_INIT(RECORD_KEY_BYTES_MAX);
    key_attempt(&key, id, 1, 2);
    kit_put(k, key.ptr, "{\"status\":\"open\",\"owner\":\"00000000000000aa\",\"bot\":\"hello\","
            "\"at\":1}", SLICE_NONE, 1);
    buf_release(&key);
}

static void pin_and_constrain(struct stage *s, struct chat *c, enum deed d)
{
    struct ledger_op op;
    if (d == UNPIN) {
        kit_ready(&s->k, &op);
        ledger_pin(c, 1, &op);
        assert_int_equal(kit_wait(&s->k, &op), E_OK);
    }
    if (d == CONSTRAIN_MORE || d == UNCONSTRAIN) {
        kit_ready(&s->k, &op);
        ledger_constrain(c, SAFE_LIT("no nuts"), &op);
        assert_int_equal(kit_wait(&s->k, &op), E_OK);
    }
}

static void set_call(struct stage *s, enum deed d)
{
    struct ledger_op op;
    s->call = (struct ledger_call){
        .partition = s->k.partition, .key = s->k.key,
        .attempt = {.kind = ATTEMPT_EMBEDDING, .bot = "hello", .provider = "scripted"}};
    if (d != CALL_SETTLE && d != VERIFY)
        return;
    kit_ready(&s->k, &op);
    ledger_call_open(s->k.ledger, &s->call, &op);
    assert_int_equal(kit_wait(&s->k, &op), E_OK);
    s->call.attempt.status = ATTEMPT_DONE;
}

// Of turn 1, after turn 2.
static void set_summary(struct stage *s, enum deed d)
{
    struct ledger_op op;
    s->summing = (struct ledger_summing){
        .partition = s->k.partition, .session = s->c->head.id, .bot = "hello", .key = s->k.key,
        .turn = 2, .attempt = {.provider = "scripted", .model = "echo"}};
    summary_init(&s->summary);
    if (d != SUMMARY_SETTLE && d != SUMMARY_FIND && d != VERIFY)
        return;
    s->summary.upto = s->summary.turns = s->summary.generation = 1;
    safe_buf_add(&s->summary.text, kit_text("in short"));
    kit_ready(&s->k, &op);
    ledger_summary_attempt(s->k.ledger, &s->summing, &op);
    assert_int_equal(kit_wait(&s->k, &op), E_OK);
    s->summing.attempt.status = ATTEMPT_DONE;
    if (d == SUMMARY_SETTLE)
        return;
    kit_ready(&s->k, &op);
    ledger_summary_settle(s->k.ledger, &s->summing, &s->summary, &op);
    assert_int_equal(kit_wait(&s->k, &op), E_OK);
    summary_release(&s->summary);
}

// One that has no works yet, so that what is asked of it first needs memory for one.
static void renew_ledger(struct stage *s)
{
    struct ledger *old = s->k.ledger;
    struct ledger_env env = {.store = &s->m.base, .vault = s->k.vault, .loop = s->k.loop,
                             .clock = &s->k.clock->clock, .rand = &s->k.rand->rand};
    assert_int_equal(ledger_new(&s->k.ledger, &env, NULL), E_OK);
    s->c->ledger = s->to->ledger = s->k.ledger;
    ledger_free(old);
}

static void set_turns(struct stage *s)
{
    for (uint32_t i = 0; i < 2; i++) {
        assert_int_equal(turn_new(&s->turns[i], i + 1, &s->content, 3, KIT_WALL_MS - 5000, NULL),
                         E_OK);
        s->turns[i].status = TURN_FAILED;
    }
    s->turns[0].superseded = true;
    s->turns[0].status = TURN_DONE;
    s->turns[0].steps_len = 2;
    s->turns[0].steps[1] = (struct step){.role = ROLE_ASSISTANT, .tokens = 3, .at_ms = 7};
    assert_int_equal(content_copy(&s->turns[0].steps[1].content, &s->content, NULL), E_OK);
}

static void set_stage(struct stage *s, const struct kit *k, enum deed d, const char *url)
{
    struct kit_accept used = {.key_hash = KEY_USED, .digest = "d"};
    struct kit_accept open = {.key_hash = KEY_OPEN, .digest = "d"};
    struct ledger_op op;
    memset(s, 0, sizeof *s);
    buf_init(&s->report, 1 << 20);
    s->content = kit_content("text");
    kit_open_beside(&s->k, k, url);
    struct chat *first = kit_chat(&s->k, "kitchen");
    assert_int_equal(kit_accept_op(&s->k, first, "one", &used, &op), E_OK);
    assert_int_equal(kit_settle(&s->k, first, "first"), E_OK);
    kit_turn(&s->k, first, "two", "second");
    kit_turn(&s->k, first, "no", "undone");
    kit_ready(&s->k, &op);
    ledger_supersede(first, 3, SUPERSEDE_UNDO, &op);
    assert_int_equal(kit_wait(&s->k, &op), E_OK);
    pin_and_constrain(s, first, d);
    if (d == RECOVER || d == RECOVER_CHAT || d == RECOVER_OWN_DEAD || d == VERIFY)
        leave_open(k, url);
    if (is_open(d)) {
        assert_int_equal(kit_accept_op(&s->k, first, "open", &open, &op), E_OK);
        keep(&s->k, first, "so far");
    }
    struct session_head head;
    assert_int_equal(session_head_copy(&head, &first->head, NULL), E_OK);
    chat_free(first);
    meddler_init(&s->m, &s->k);
    bool anew = d == CREATE || d == IMPORT || d == IMPORT_BESIDE || d == IMPORT_ESCAPED;
    s->c = d == RECOVER_CHAT || d == RECOVER_OWN_DEAD ? orphaned(&s->k)
           : anew                                     ? kit_chat(&s->k, "kitchen")
                                                      : cold(&s->k, &head);
    s->to = kit_chat(&s->k, "kitchen");
    session_head_release(&head);
    if (is_open(d)) {
        kit_ready(&s->k, &op);
        ledger_reload(s->c, &op);
        assert_int_equal(kit_wait(&s->k, &op), E_OK);
    }
    if (d == SETTLE || d == MOVE) {
        kit_ready(&s->k, &op);
        ledger_load(s->c, 1, &op);
        assert_int_equal(kit_wait(&s->k, &op), E_OK);
    }
    if (d == IMPORT)
        half_import(&s->k, s->c->head.id);
    if (d == IMPORT_ESCAPED)
        escape_pointer(&s->k);
    if (d == RECOVER_STRAY)
        stray_attempt(&s->k, s->c->head.id);
    set_turns(s);
    set_call(s, d);
    set_summary(s, d);
    renew_ledger(s);
}

static void clear_stage(struct stage *s)
{
    turn_release(&s->turns[0]);
    turn_release(&s->turns[1]);
    content_release(&s->content);
    summary_release(&s->summary);
    buf_release(&s->report);
    chat_free(s->c);
    chat_free(s->to);
    kit_close_store(&s->k);
    meddler_release(&s->m);
}

static int take_picked(void *user, const struct turn *t, struct err *err)
{
    (void)user;
    (void)err;
    assert_true(t->n >= 2 && t->steps_len > 0);
    return E_OK;
}

// What is done beside the turns.
static void start_beside(struct stage *s, enum deed d)
{
    struct ledger *l = s->k.ledger;
    switch (d) {
    case UNPIN: ledger_unpin(s->c, 1, &s->op); break;
    case CONSTRAIN:
    case CONSTRAIN_MORE: ledger_constrain(s->c, SAFE_LIT("be brief"), &s->op); break;
    case UNCONSTRAIN: ledger_unconstrain(s->c, 1, &s->op); break;
    case CALL_OPEN: ledger_call_open(l, &s->call, &s->op); break;
    case CALL_SETTLE: ledger_call_settle(l, &s->call, &s->op); break;
    case SUMMARY_ATTEMPT: ledger_summary_attempt(l, &s->summing, &s->op); break;
    case SUMMARY_SETTLE:
        ledger_summary_settle(l, &s->summing, &s->summary, &s->op);
        break;
    case SUMMARY_FIND:
        ledger_find_summary(l, &s->c->head, s->k.key, &s->summary, &s->op);
        break;
    default: ledger_verify(l, s->k.partition, s->k.key, &s->report, &s->op); break;
    }
}

static void start(struct stage *s, enum deed d)
{
    struct kit *k = &s->k;
    struct attempt attempt = {.status = ATTEMPT_FAILED};
    struct history_cut cut = {.first = 2, .turn = 4};
    struct ledger_settle settle = {
        .status = TURN_DONE, .stop = STOP_END, .reply = &s->content, .attempt = &attempt,
        .cut = &cut, .system = kit_text("be brief"), .system_hash = 9};
    struct ledger_accept a;
    kit_fill(k, &a, &s->content, &(struct kit_accept){.edit_from = d == EDIT ? 1 : 0});
    a.key_hash = d == ACCEPT_TAKEN || d == ACCEPT_OPEN_TAKEN ? KEY_USED
                 : d == ACCEPT || d == ACCEPT_OPEN_FREE      ? KEY_FREE
                                                             : NULL;
    a.text_digest = "d";
    switch (d) {
    case CREATE: ledger_create(s->c, k->context_hash, SLICE_LIT("ann"), &s->op); break;
    case ACCEPT:
    case ACCEPT_TAKEN:
    case ACCEPT_OPEN_TAKEN:
    case ACCEPT_OPEN_FREE:
    case EDIT: ledger_accept(s->c, &a, &s->op); break;
    case FIND_KEY:
        ledger_find_key(k->ledger, k->partition, k->key, KEY_USED, NULL, &s->op);
        break;
    case KEEP: ledger_keep(s->c, kit_text(" and more"), &s->op); break;
    case ATTEMPT: ledger_attempt(s->c, &attempt, NULL, &s->op); break;
    case SETTLE:
    case SETTLE_COLD: ledger_settle(s->c, &settle, &s->op); break;
    case UNDO: ledger_supersede(s->c, 1, SUPERSEDE_UNDO, &s->op); break;
    case LOAD: ledger_load(s->c, 1, &s->op); break;
    case LOAD_NEWEST: ledger_load(s->c, 3, &s->op); break;
    case READ: ledger_read(s->c, &s->op); break;
    case PICK:
    case PICK_MANY:
        s->pick = (struct ledger_pick){.partition = k->partition, .session = s->c->head.id,
                                       .key = k->key, .first = 2, .last = d == PICK ? 2 : 999,
                                       .take = take_picked};
        ledger_pick(k->ledger, &s->pick, &s->op);
        break;
    case FIND_SENT: ledger_find_sent(s->c, 1, &s->sent, &s->op); break;
    case RELOAD: ledger_reload(s->c, &s->op); break;
    case MOVE:
    case MOVE_COLD: ledger_move(s->c, s->to, &a, &s->op); break;
    case RECOVER:
    case RECOVER_LIVE:
    case RECOVER_STRAY: ledger_recover(k->ledger, &s->op); break;
    case RECOVER_CHAT: ledger_recover_chat(s->c, &s->op); break;
    case RECOVER_OWN:
    case RECOVER_OWN_DEAD: ledger_recover_own(s->c, &s->op); break;
    case IMPORT:
    case IMPORT_BESIDE:
    case IMPORT_ESCAPED:
        ledger_import(s->c, s->turns, 2, k->context_hash, SLICE_LIT("ann"), &s->op);
        break;
    default: start_beside(s, d); break;
    }
}

// What is stored is right, and the session goes on.
static void check_after(struct stage *s)
{
    struct kit *k = &s->k;
    struct ledger_op op;
    kit_ready(k, &op);
    ledger_recover(k->ledger, &op);
    assert_int_equal(kit_wait(k, &op), E_OK);
    if (s->c->head.version) {
        kit_ready(k, &op);
        ledger_recover_own(s->c, &op);
        int code = kit_wait(k, &op);
        assert_true(code == E_OK || code == E_CONFLICT);
        kit_ready(k, &op);
        ledger_reload(s->c, &op);
        assert_int_equal(kit_wait(k, &op), E_OK);
    }
    struct buf report = kit_verify(k);
    // A half import, and a move whose answer was lost, leave something that says so.
    if (report.len && !strstr(report.ptr, "half import") && !strstr(report.ptr, "is not"))
        fail_msg("%s", report.ptr);
    buf_release(&report);
}

// It was told to have happened: all of it did, in the store and in the chat.
static void check_done(struct stage *s, enum deed d)
{
    struct safe_text system = safe_buf_text(&s->c->system);
    if (d == ATTEMPT || d == SETTLE || d == SETTLE_COLD || d == MOVE || d == MOVE_COLD)
        assert_int_equal(kit_count(&s->k, "part/"), 0);
    if ((d == SETTLE || d == SETTLE_COLD) && s->c->head.system_hash == 9)
        assert_true(slice_is(safe_slice(system), "be brief"));
    if (d == CONSTRAIN || d == CONSTRAIN_MORE)
        assert_event_says(&s->k, "be brief");
    if (d != KEEP)
        return;
    struct ledger_op op;
    kit_ready(&s->k, &op);
    ledger_recover_own(s->c, &op);
    if (kit_wait(&s->k, &op))
        return;
    kit_ready(&s->k, &op);
    ledger_load(s->c, 4, &op);
    assert_int_equal(kit_wait(&s->k, &op), E_OK);
    assert_says(turn_reply(chat_turn(s->c, 4)), "so far and more");
}

// What was told happened, and nothing of what failed; but whoever lost the answer cannot know.
static void check_told(struct stage *s, enum deed d, bool lost)
{
    bool done = s->op.code == E_OK;
    const struct session_head *h = &s->c->head;
    uint32_t constraints = h->constraints ? h->constraints->len : 0;
    if (d == CALL_OPEN)
        assert_int_equal(s->call.version != 0, done);
    if (d == SUMMARY_ATTEMPT)
        assert_int_equal(s->summing.version != 0, done);
    if (d == SUMMARY_FIND && done)
        assert_true(slice_is(safe_slice(safe_buf_text(&s->summary.text)), "in short"));
    if (lost)
        return;
    if (d == UNPIN)
        assert_int_equal(pins_find(&h->pins, 1) == NULL, done);
    if (d == CONSTRAIN)
        assert_int_equal(constraints, done);
    if (d == CONSTRAIN_MORE)
        assert_int_equal(constraints, 1 + done);
    if (d == UNCONSTRAIN)
        assert_int_equal(constraints, !done);
    if (d == SUMMARY_SETTLE)
        assert_int_equal(kit_count(&s->k, "summary/"), done);
}

struct totals {
    unsigned runs, failed, places;
};

struct trouble {
    long op_n;           // which op is answered otherwise, and how
    enum meddling how, again;
    unsigned skip;
    bool last_row, lasting;
    uint64_t alloc_n;    // which allocation fails; 0: none
};

// The answer when nothing goes wrong. Lack of memory is never told as anything else.
static int untroubled(enum deed d)
{
    switch (d) {
    case ACCEPT_TAKEN:
    case ACCEPT_OPEN_TAKEN: return E_CONFLICT;
    case ACCEPT_OPEN_FREE: return E_REFUSED;
    case FIND_SENT: return E_NOT_FOUND;
    default: return E_OK;
    }
}

// One deed in which that goes wrong; false when it did not come to it.
static bool play(const struct kit *k, enum deed d, struct trouble trouble, struct totals *t)
{
    static unsigned number;
    static struct stage s;
    char url[48];
    snprintf(url, sizeof url, "memory:meddled%u", number++);
    set_stage(&s, k, d, url);
    s.m.how = trouble.how;
    s.m.again = trouble.again;
    s.m.skip = trouble.skip;
    s.m.last_row = trouble.last_row;
    s.m.lasting = trouble.lasting;
    s.m.countdown = trouble.op_n;
    kit_ready(&s.k, &s.op);
    mem_fail_at(trouble.alloc_n, 0);
    start(&s, d);
    assert_false(s.k.done);
    loop_run(s.k.loop);
    mem_fail_at(0, 0);
    for (int i = 0; i < 1000000 && !s.k.done; i++)  // the vault's thread
        loop_run_for(s.k.loop, 0);
    assert_true(s.k.done);
    if (s.op.code && !s.op.err.message[0])
        fail_msg("deed %d, op %ld, allocation %d, %d: %d and no word", (int)d, trouble.op_n,
                 (int)trouble.alloc_n, (int)trouble.how, s.op.code);
    if (!trouble.op_n && s.op.code != E_NOMEM && s.op.code != untroubled(d))
        fail_msg("deed %d, allocation %d: %s", (int)d, (int)trouble.alloc_n, s.op.err.message);
    bool reached = trouble.alloc_n ? s.op.code == E_NOMEM : s.m.hit;
    s.m.countdown = 0;
    s.m.lasting = false;
    s.m.again = MEDDLINGS;
    t->runs++;
    t->failed += s.op.code != E_OK;
    if (trouble.how < MEDDLINGS_HONEST && trouble.again == MEDDLINGS) {
        if (s.op.code == E_OK)
            check_done(&s, d);
        check_after(&s);
        check_told(&s, d, trouble.how == MEDDLE_AMBIGUOUS);
    }
    clear_stage(&s);
    return reached;
}

// That trouble at each op in turn; how many there are.
static unsigned each_op(const struct kit *k, enum deed d, struct trouble trouble, struct totals *t)
{
    unsigned n = 0;
    do {
        trouble.op_n = ++n;
    } while (n < 60 && play(k, d, trouble, t));
    return n - 1;
}

static void test_ledger_meddled__every_answer_of_the_store(void **state)
{
    (void)state;
    struct kit k;
    struct totals t = {0};
    kit_open(&k, "memory:");
    for (int d = 0; d < (int)DEEDS; d++)
        for (int how = 0; how < (int)MEDDLINGS; how++)
            for (int last = how < (int)MEDDLE_DAMAGE; last < 2; last++)
                t.places += each_op(&k, (enum deed)d, (struct trouble){.how = (enum meddling)how,
                                    .again = MEDDLINGS, .last_row = last}, &t);
    print_message("# ledger, meddled with: %u answers, %u of %u operations failed\n", t.places,
                  t.failed, t.runs);
    assert_true(t.failed > 500);
    kit_close(&k);
}

static void test_ledger_meddled__every_allocation(void **state)
{
    (void)state;
    struct kit k;
    struct totals t = {0};
    kit_open(&k, "memory:");
    for (int d = 0; d < (int)DEEDS; d++)
        for (uint64_t n = 1, misses = 0; n < 800 && misses < 12; n++)
            misses = play(&k, (enum deed)d, (struct trouble){.alloc_n = n, .again = MEDDLINGS}, &t)
                         ? 0 : misses + 1;
    print_message("# ledger, out of memory: %u of %u operations failed\n", t.failed, t.runs);
    assert_true(t.failed > 200);
    kit_close(&k);
}

// Two answers in a row, and answers that do not end.
static void test_ledger_meddled__twice_and_for_ever(void **state)
{
    (void)state;
    static const enum meddling then[] = {MEDDLE_STORE, MEDDLE_EMPTY, MEDDLE_VERSION,
                                         MEDDLE_CONFLICT, MEDDLE_DAMAGE};
    struct kit k;
    struct totals t = {0};
    kit_open(&k, "memory:");
    for (int how = 0; how < (int)MEDDLINGS; how++)
        for (unsigned i = 0; i < sizeof then / sizeof *then; i++) {
            struct trouble trouble = {
                .how = (enum meddling)how, .again = then[i], .last_row = true};
            each_op(&k, RECOVER_CHAT, trouble, &t);
            each_op(&k, RECOVER_STRAY, trouble, &t);
            trouble.skip = 1;
            each_op(&k, RECOVER_CHAT, trouble, &t);
        }
    // Each commit of an import meets another that was faster.
    each_op(&k, IMPORT_BESIDE, (struct trouble){.how = MEDDLE_CONFLICT, .again = MEDDLINGS,
                                                .lasting = true}, &t);
    // A session that looks otherwise each time it is verified.
    play(&k, VERIFY, (struct trouble){.op_n = 1, .how = MEDDLE_META_TOKENS, .again = MEDDLINGS,
                                      .lasting = true}, &t);
    // Pages without end.
    play(&k, RECOVER, (struct trouble){.op_n = 1, .how = MEDDLE_EMPTY_MORE, .again = MEDDLINGS,
                                       .lasting = true}, &t);
    for (uint64_t n = 1; n < 40; n++)
        play(&k, RECOVER_LIVE, (struct trouble){.op_n = 1, .how = MEDDLE_MORE, .again = MEDDLINGS,
                                                 .alloc_n = n, .lasting = true}, &t);
    kit_close(&k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ledger_meddled__every_answer_of_the_store),
        cmocka_unit_test(test_ledger_meddled__every_allocation),
        cmocka_unit_test(test_ledger_meddled__twice_and_for_ever),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
