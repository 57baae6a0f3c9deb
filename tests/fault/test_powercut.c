// SPDX-License-Identifier: MIT
// The power goes at every place of a store's life: while it is made, while turns are committed in
// groups, while the WAL moves into the file, while it closes; and again after that. Commits that
// were acknowledged are there, whole; of the others a beginning, in their order.
#include "fault/powercut_check.h"

#include "base/loop.h"
#include "store/sqlite_int.h"

enum {
    PEOPLE = 5,
    JUNK = PEOPLE,  // a partition that is filled and dropped
    SENDERS = PEOPLE + 1,
    STEPS_MAX = 192,
    ITEMS_MAX = 8,
    ROWS_MAX = STEPS_MAX * ITEMS_MAX,
    BODY_BYTES = 6000,
    KEY_BYTES = 96,
};

static const char *const partitions[SENDERS] = {
    "00112233445566778899aabbccddeef0", "00112233445566778899aabbccddeef1",
    "00112233445566778899aabbccddeef2", "00112233445566778899aabbccddeef3",
    "00112233445566778899aabbccddeef4", "~junk"};
static const char session[] = "01234567-89ab-7cde-8f01-23456789abcd";

// ---- what is committed: each step is one commit

enum step_kind { STEP_ACCEPT, STEP_SETTLE, STEP_FILL, STEP_DROP };

struct commit_step {
    enum step_kind kind;
    uint32_t sender, turn;
    uint64_t dice;  // of its bodies
};

struct row {
    uint32_t sender;
    char key[KEY_BYTES];
    uint64_t version, hash;
    int64_t count;
};

// The records as they must be, apart from any store.
struct model {
    struct row rows[ROWS_MAX];
    uint32_t rows_len, turns[SENDERS];
    bool open[SENDERS];  // a turn without its reply; junk that was not dropped
    uint64_t sum;
};

struct sender {
    struct store_op op;
    struct store_item items[ITEMS_MAX];
    char keys[ITEMS_MAX][KEY_BYTES], meta[64], body[BODY_BYTES];
    struct load *load;
    size_t step;
    bool busy;
};

static struct row *model_row(struct model *m, uint32_t sender, struct slice key)
{
    for (uint32_t i = 0; i < m->rows_len; i++)
        if (m->rows[i].sender == sender && slice_is(key, m->rows[i].key))
            return &m->rows[i];
    return NULL;
}

static void model_remove(struct model *m, struct row *row)
{
    m->sum -= row->hash;
    *row = m->rows[--m->rows_len];
}

static void model_put(struct model *m, uint32_t sender, const struct store_item *item)
{
    struct row *row = model_row(m, sender, item->key);
    if (item->verb == STORE_DELETE) {
        model_remove(m, row);
        return;
    }
    if (!row) {
        row = &m->rows[m->rows_len++];
        *row = (struct row){.sender = sender};
        snprintf(row->key, sizeof(row->key), "%.*s", SLICE_FMT(item->key));
    }
    m->sum -= row->hash;
    row->count += item->verb == STORE_ADD ? item->count : 0;
    row->hash = row_hash(&(struct record){.partition = slice_str(partitions[sender]),
                                          .key = item->key,
                                          .version = ++row->version,
                                          .due_at_ms = item->due_at_ms,
                                          .count = row->count,
                                          .meta = item->meta,
                                          .body = item->body});
    m->sum += row->hash;
}

static void model_apply(struct model *m, const struct commit_step *step, const struct store_op *op)
{
    for (uint32_t i = 0; op->verb == STORE_COMMIT && i < op->items_len; i++)
        model_put(m, step->sender, &op->items[i]);
    for (uint32_t i = m->rows_len; op->verb == STORE_DROP && i-- > 0;)
        if (m->rows[i].sender == step->sender)
            model_remove(m, &m->rows[i]);
    m->turns[step->sender] = step->turn;
    m->open[step->sender] = step->kind == STEP_ACCEPT || step->kind == STEP_FILL;
}

// An item of the sender's op; the guard is what the model holds.
static struct store_item *add_item(struct sender *s, const struct model *m, uint32_t who,
                                   enum store_item_verb verb, const char *key, uint32_t turn)
{
    struct store_item *item = &s->items[s->op.items_len];
    char *name = s->keys[s->op.items_len++];
    snprintf(name, KEY_BYTES, "%s%s/%010u", key, session, turn);
    *item = (struct store_item){.verb = verb, .key = slice_str(name), .meta = slice_str(s->meta)};
    struct row *row = model_row((struct model *)(uintptr_t)m, who, item->key);
    if (row && verb != STORE_ADD)
        item->version = row->version;
    return item;
}

static struct slice make_body(struct sender *s, uint64_t dice)
{
    size_t len = 20 + roll_below(&dice, roll_below(&dice, 8) ? 600 : BODY_BYTES - 20);
    for (size_t i = 0; i < len; i++)
        s->body[i] = (char)roll(&dice);
    return slice_of(s->body, len);
}

// The shape of a turn: what the user said, then what was answered, each in one commit.
static void make_turn(struct sender *s, const struct model *m, const struct commit_step *step)
{
    uint32_t who = step->sender, n = step->turn;
    struct slice body = make_body(s, step->dice);
    if (step->kind == STEP_ACCEPT) {
        add_item(s, m, who, STORE_INSERT, "key/", n);
        add_item(s, m, who, STORE_INSERT, "turn/", n)->body.bytes = body;
        add_item(s, m, who, STORE_INSERT, "attempt/", n)->due_at_ms = 1700000000000 + n;
        add_item(s, m, who, STORE_INSERT, "draft/", n);
    } else {
        add_item(s, m, who, STORE_INSERT, "reply/", n)->body.bytes = body;
        add_item(s, m, who, STORE_PUT, "attempt/", n);
        add_item(s, m, who, STORE_DELETE, "draft/", n);
        struct store_item *sum = add_item(s, m, who, STORE_ADD, "usage/", 0);
        sum->count = (int64_t)body.len;
        sum->meta = SLICE_LIT("{}");
    }
    struct store_item *head = add_item(s, m, who, STORE_PUT, "session/", 0);
    if (!head->version)
        head->verb = STORE_INSERT;
}

static void make_op(struct sender *s, const struct model *m, const struct commit_step *step)
{
    s->op = (struct store_op){.verb = step->kind == STEP_DROP ? STORE_DROP : STORE_COMMIT,
                              .partition = slice_str(partitions[step->sender]),
                              .items = s->items};
    snprintf(s->meta, sizeof(s->meta), "{\"turn\":%u,\"kind\":%d}", step->turn, (int)step->kind);
    if (step->kind == STEP_FILL) {
        struct slice body = make_body(s, step->dice);
        for (uint32_t i = 0; i < 3; i++)
            add_item(s, m, step->sender, STORE_INSERT, "junk/", i)->body.bytes = body;
    } else if (step->kind != STEP_DROP) {
        make_turn(s, m, step);
    }
}

// ---- the load: everyone commits, one at a time each

struct load {
    struct trial trial;
    struct store *store;
    struct loop *loop;
    struct commit_step steps[STEPS_MAX];
    size_t steps_len, steps_end;  // sent so far; how many to send
    struct model model;
    struct sender senders[SENDERS], spare;
    struct store_op read;
    bool reading;
    unsigned busy;
    uint64_t states[STEPS_MAX + 1];
    size_t acks[STEPS_MAX];
    bool normal;  // control: PRAGMA synchronous=NORMAL
};

static void send_next(struct load *l, uint32_t who);

static void was_read(struct store_op *op)
{
    struct load *l = CONTAINER_OF(op, struct load, read);
    if (op->code)
        give_up("reading: %s", op->err.message);
    store_op_release(op);
    l->reading = false;
    if (--l->busy == 0)
        loop_stop(l->loop);
}

// A reader now and then, so that checkpoints meet one.
static void read_some(struct load *l)
{
    const char *whose = partitions[roll_below(&l->trial.dice, PEOPLE)];
    if (l->reading)
        return;
    l->reading = true;
    l->busy++;
    l->read = (struct store_op){.verb = STORE_SCAN,
                                .partition = slice_str(whose),
                                .limit = STORE_SCAN_LIMIT_MAX,
                                .loop = l->loop,
                                .done = was_read};
    store_submit(l->store, &l->read);
}

// The oracle: what was acknowledged is noted before anything else is made of it.
static void acknowledged(struct store_op *op)
{
    struct sender *s = CONTAINER_OF(op, struct sender, op);
    struct load *l = s->load;
    if (op->code)
        give_up("step %zu: %s", s->step, op->err.message);
    l->acks[l->trial.acks_len] = s->step + 1;
    vfs_note(l->trial.acks_len++);
    s->busy = false;
    l->busy--;
    send_next(l, (uint32_t)(s - l->senders));
    if (!l->senders[JUNK].busy && roll_below(&l->trial.dice, 12) == 0)
        send_next(l, JUNK);
    if (roll_below(&l->trial.dice, 4) == 0)
        read_some(l);
    if (l->busy == 0)
        loop_stop(l->loop);
}

static void send_next(struct load *l, uint32_t who)
{
    struct sender *s = &l->senders[who];
    struct model *m = &l->model;
    if (l->steps_len == l->steps_end || (who == JUNK && roll_below(&l->trial.dice, 2)))
        return;
    enum step_kind kind = m->open[who] ? STEP_SETTLE : STEP_ACCEPT;
    if (who == JUNK)
        kind = m->open[who] ? STEP_DROP : STEP_FILL;
    s->step = l->steps_len++;
    l->steps[s->step] = (struct commit_step){.kind = kind,
                                             .sender = who,
                                             .turn = m->turns[who] + !m->open[who],
                                             .dice = roll(&l->trial.dice)};
    make_op(s, m, &l->steps[s->step]);
    model_apply(m, &l->steps[s->step], &s->op);
    l->states[l->steps_len] = m->sum;
    s->load = l;
    s->busy = true;
    l->busy++;
    s->op.loop = l->loop;
    s->op.done = acknowledged;
    store_submit(l->store, &s->op);
}

static void quiet(void *user, enum log_level level, const char *line)
{
    (void)user;
    (void)level;
    (void)line;
}

static struct store *open_store(const struct load *l)
{
    static const struct log log = {quiet, NULL, LOG_ERROR};
    struct store_env env = {.clock = clock_system(), .rand = rand_system(), .log = &log};
    char url[NAME_BYTES + 8];
    struct store *s = NULL;
    struct err err = ERR_INIT;
    snprintf(url, sizeof(url), "sqlite:%s", l->trial.path);
    if (store_open(&s, url, &env, &err))
        give_up("%s", err.message);
    return s;
}

// The store is opened, works, and is closed: all of it is recorded.
static void work(struct load *l, size_t steps)
{
    l->store = open_store(l);
    struct sqlite_store *s = CONTAINER_OF(l->store, struct sqlite_store, store);
    if (l->normal && sqlite3_exec(s->write_conn.db, "PRAGMA synchronous=NORMAL", NULL, NULL, NULL))
        give_up("synchronous=NORMAL: %s", sqlite3_errmsg(s->write_conn.db));
    l->steps_end = l->steps_len + steps;
    for (uint32_t i = 0; i < PEOPLE; i++)
        send_next(l, i);
    loop_run(l->loop);
    store_free(l->store);
}

// Back to the state of so many steps.
static void rewind_to(struct load *l, size_t steps)
{
    l->steps_len = steps;
    memset(&l->model, 0, sizeof(l->model));
    for (size_t i = 0; i < steps; i++) {
        make_op(&l->spare, &l->model, &l->steps[i]);
        model_apply(&l->model, &l->steps[i], &l->spare.op);
    }
}

static void stop(struct store_op *op)
{
    loop_stop(op->loop);
}

// The store itself opens what the cut left, holds it, and takes a commit more.
static void look(struct trial *t, size_t state, size_t notes)
{
    struct load *l = CONTAINER_OF(t, struct load, trial);
    struct store_item item = {
        .verb = STORE_INSERT, .key = SLICE_LIT("after"), .meta = SLICE_LIT("{}")};
    struct store_op op = {.verb = STORE_COMMIT,
                          .partition = SLICE_LIT("~after"),
                          .items = &item,
                          .items_len = 1,
                          .loop = l->loop,
                          .done = stop};
    struct record row = {
        .partition = op.partition, .key = item.key, .version = 1, .meta = item.meta};
    char why[ERR_MESSAGE_BYTES];
    uint64_t hash;
    (void)notes;
    struct store *s = open_store(l);
    store_submit(s, &op);
    loop_run(l->loop);
    if (op.code)
        give_up("after a cut: %s", op.err.message);
    store_free(s);
    if (!read_state(t, true, &hash, why))
        t->figures.corrupt++;
    else if (hash != t->states[state] + row_hash(&row))
        t->figures.half++;
}

// ---- the tests

struct campaign {
    const char *what;
    unsigned times;  // each place is cut so often
    uint64_t cuts;
    int64_t seconds;
    bool normal, lies, harms_pages;
};

// One recording: of a new store, or of one that goes on where the last was cut.
static void one_recording(struct load *l, const struct campaign *plan, uint64_t cuts,
                          int64_t until_us)
{
    static const int factors[] = {1, 40, 100, 400, 1000};
    struct trial *t = &l->trial;
    bool go_on = t->has_next && t->next_state + 64 < STEPS_MAX && roll_below(&t->dice, 4);
    rewind_to(l, go_on ? t->next_state : 0);
    trial_record(t, go_on);
    t->acks_len = 0;
    wal_hook.factor = factors[roll_below(&t->dice, 5)];
    work(l, 16 + roll_below(&t->dice, 16));
    if (roll_below(&t->dice, 2))
        work(l, 1 + roll_below(&t->dice, 16));
    t->states_len = l->steps_len + 1;
    trial_recorded(t);
    trial_cut(t, plan->times, cuts, until_us);
}

static struct figures run(const struct campaign *plan)
{
    struct load *l = calloc(1, sizeof(*l));
    int64_t until_us = now_us() + plan->seconds * 1000000;
    assert_non_null(l);
    bool control = plan->normal || plan->lies || plan->harms_pages;
    struct trial *t = &l->trial;
    trial_begin(t, fault_seed());
    t->states = l->states;
    t->acks = l->acks;
    t->look = control ? NULL : look;
    t->look_one_in = 50;
    t->lies = plan->lies;
    t->harms_pages = plan->harms_pages;
    t->figures.details = control ? DETAILS : 0;
    l->normal = plan->normal;
    assert_int_equal(loop_new(&l->loop, clock_system(), NULL), E_OK);
    // A control that has lost nothing yet goes on: few recordings may be all lucky.
    uint64_t cuts = plan->cuts;
    while (t->figures.cuts < cuts && now_us() < until_us) {
        t->has_next = t->has_next && !control;
        one_recording(l, plan, cuts, until_us);
        if (control && t->figures.cuts >= cuts && t->figures.lost == 0)
            cuts += plan->cuts;
    }
    trial_tell(t, plan->what);
    struct figures figures = t->figures;
    loop_free(l->loop);
    trial_end(t);
    free(l);
    return figures;
}

static void test_powercut__store(void **state)
{
    (void)state;
    struct figures f = run(&(struct campaign){.what = "a store",
                                              .times = fault_long() ? 16 : 2,
                                              .cuts = 900000,
                                              .seconds = fault_long() ? 3600 : 6});
    assert_true(f.cuts >= 100 && f.acked >= 100 && f.reopened > 0);
    assert_int_equal(f.lost + f.half + f.corrupt, 0);
}

static void test_powercut__control_synchronous_normal(void **state)
{
    (void)state;
    struct figures f = run(&(struct campaign){.what = "control, synchronous=NORMAL",
                                              .times = 2,
                                              .cuts = fault_long() ? 20000 : 1000,
                                              .seconds = 60,
                                              .normal = true});
    assert_true(f.lost > 0);
}

static void test_powercut__control_disk_lies(void **state)
{
    (void)state;
    struct figures f = run(&(struct campaign){.what = "control, a disk that lies about syncs",
                                              .times = 2,
                                              .cuts = fault_long() ? 20000 : 1000,
                                              .seconds = 60,
                                              .lies = true});
    assert_true(f.lost > 0);
}

static void test_powercut__control_disk_harms_neighbours(void **state)
{
    (void)state;
    struct figures f = run(&(struct campaign){.what = "control, a disk that harms the neighbours",
                                              .times = 2,
                                              .cuts = fault_long() ? 20000 : 1000,
                                              .seconds = 60,
                                              .harms_pages = true});
    assert_true(f.lost > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_powercut__store),
        cmocka_unit_test(test_powercut__control_synchronous_normal),
        cmocka_unit_test(test_powercut__control_disk_lies),
        cmocka_unit_test(test_powercut__control_disk_harms_neighbours),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
