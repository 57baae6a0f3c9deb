// SPDX-License-Identifier: MIT
// book.c: what is remembered of users, in memory; book.h draws it.
//
// An entry is one user and bot. It does one thing at a time: a round begins with
// reading the manifest (and the records, if the manifest moved), answers all who waited for that,
// and goes on with the change that is first in line, if there is one.
#include "turn/book_int.h"

enum { WAIT_BITS_MAX = 8 };  // after a conflict, up to 256 ms

static void pump(struct book_entry *e);
static void load(struct book_entry *e);

// ---- rounds

static void wake(struct loop_task *task)
{
    struct book_entry *e = CONTAINER_OF(task, struct book_entry, task);

    e->posted = false;
    pump(e);
}

static void post(struct book_entry *e)
{
    if (e->posted || e->busy)
        return;
    e->posted = true;
    e->task.fn = wake;
    loop_post(e->w->env.loop, &e->task);
}

static void answer_wait(struct book_wait *wait, struct book *b, int code, const struct err *err)
{
    wait->code = code;
    if (code)
        wait->err = *err;
    wait->book = code ? NULL : book_ref(b);
    wait->done(wait);
}

// Those who asked before the manifest was read.
static void answer_asked(struct book_entry *e, int code, const struct err *err)
{
    struct book_wait *wait = e->asked;

    e->asked = NULL;
    while (wait) {
        struct book_wait *next = wait->next;

        answer_wait(wait, e->book, code, err);
        wait = next;
    }
}

static void answer_change(struct book_entry *e, int code, const struct err *err)
{
    struct book_change *c = e->changes;

    e->changes = c->next;
    if (!e->changes)
        e->changes_end = NULL;
    c->code = code;
    if (code)
        c->err = *err;
    c->book = code ? NULL : book_ref(e->book);
    c->done(c);
}

static void round_over(struct book_entry *e)
{
    struct worker *w = e->w;

    e->busy = false;
    if (e->waits || e->changes) {
        post(e);
        return;
    }
    w->books->busy--;
    if (e->erased)
        book_entry_free(e);
    books_free_idle(w);
    worker_check_idle(w);
}

static void fail_round(struct book_entry *e, int code, const struct err *err)
{
    struct err why = *err;

    answer_asked(e, code, &why);
    if (e->changes)
        answer_change(e, code, &why);
    round_over(e);
}

// ---- a change

static void drop_next(struct book_entry *e)
{
    book_release(e->next);
    e->next = NULL;
    mem_free(e->dirty);
    e->dirty = NULL;
}

static void waited(struct loop_timer *timer)
{
    load(CONTAINER_OF(timer, struct book_entry, timer));
}

// So that of several who learn without a pause each comes to write.
static void wait_a_little(struct book_entry *e, unsigned tries)
{
    unsigned bits = tries < WAIT_BITS_MAX ? tries : WAIT_BITS_MAX;

    e->timer.fn = waited;
    loop_timer_start(e->w->env.loop, &e->timer,
                     (int64_t)rand_below(e->w->env.rand, UINT64_C(1) << bits));
}

static void committed(struct ledger_op *op)
{
    struct book_entry *e = op->user;
    struct book_change *c = e->changes;
    struct err err = op->err;
    bool again = op->code == E_CONFLICT || op->ambiguous;

    if (op->code == E_OK) {
        fact_book_settle(e->next->facts);
        journal_settle(&e->next->journal);
        e->next->core_changed = false;
        book_entry_keep(e, e->next);
        e->next = NULL;
        drop_next(e);
        answer_change(e, E_OK, NULL);
        round_over(e);
        return;
    }
    // Whatever was written of it is found again, and changes nothing the second time.
    c->unsure |= op->ambiguous;
    drop_next(e);
    book_entry_keep(e, NULL);
    if (again && ++c->tries < BOOK_TRIES_MAX) {
        wait_a_little(e, c->tries);
        return;
    }
    answer_change(e, op->code, &err);
    round_over(e);
}

static int fill_slots(struct book_entry *e, struct err *err)
{
    const struct fact_book *facts = e->next->facts;
    uint32_t len = fact_book_dirty(facts, NULL, 0);

    e->dirty = mem_calloc(len ? len : 1, sizeof(*e->dirty));
    if (!e->dirty)
        return err_set(err, E_NOMEM, "out of memory for what is remembered of a user");
    fact_book_dirty(facts, e->dirty, len);
    e->commit.slots = e->dirty;
    e->commit.slots_len = len;
    return E_OK;
}

static void fill_rest(struct book_entry *e)
{
    struct ledger_memory_commit *c = &e->commit;
    struct book *b = e->next;

    c->journal = e->put;
    c->journal_gone = e->gone;
    for (uint32_t i = 0; i < b->journal.len; i++) {
        struct journal_entry *j = &b->journal.list[i];

        if (j->gone && j->version && c->journal_gone_len < JOURNAL_LIST_MAX)
            e->gone[c->journal_gone_len++] = j;
        else if (j->dirty && !j->gone && c->journal_len < JOURNAL_LIST_MAX)
            e->put[c->journal_len++] = j;
    }
    if (b->core_changed) {
        b->core.at_ms = clock_wall_ms(e->w->env.clock);
        c->core = &b->core;
    }
    b->manifest.facts = fact_book_count(b->facts, TIER_FACT, FACT_ACTIVE);
    b->manifest.knowledge = fact_book_count(b->facts, TIER_KNOWLEDGE, FACT_ACTIVE);
}

// What the change wants is in e->next; false: nothing is to be written.
static bool fill_commit(struct book_entry *e)
{
    struct ledger_memory_commit *c = &e->commit;

    fill_rest(e);
    bool changes = c->slots_len || c->journal_len || c->journal_gone_len || c->core ||
                   c->learnt || !book_same_manifest(e->next, e->book);
    c->manifest = changes ? &e->next->manifest : NULL;
    return changes || c->notes_len;
}

static void change(struct book_entry *e)
{
    struct book_change *c = e->changes;
    int64_t now_ms = clock_wall_ms(e->w->env.clock);
    struct err err = ERR_INIT;
    int code = book_copy(&e->next, e->book, &err);

    e->commit = (struct ledger_memory_commit){.of = {e->partition, e->bot, e->key}};
    if (!code)
        code = c->apply(c, e->next, &e->commit, &err);
    if (!code && fact_book_changed(e->next->facts))
        code = fact_book_retire_unborne(e->next->facts, now_ms, NULL, &err);
    if (!code)
        code = fill_slots(e, &err);
    if (!code && fill_commit(e)) {
        e->op = (struct ledger_op){.done = committed, .user = e};
        ledger_memory_commit(e->w->ledger, &e->commit, &e->op);
        return;
    }
    drop_next(e);
    answer_change(e, code, &err);
    round_over(e);
}

// ---- loading

static int take_slot(void *user, struct fact_slot *slot, struct err *err)
{
    struct book_entry *e = user;

    return fact_book_put_slot(e->next->facts, slot, err);
}

static int take_entry(void *user, struct journal_entry *j, struct err *err)
{
    struct book_entry *e = user;
    uint64_t version = j->version;
    int code = journal_put(&e->next->journal, j, err);
    struct journal_entry *there = code ? NULL : journal_find(&e->next->journal, j->session);

    if (there) {
        there->version = version;
        there->dirty = false;
    }
    return code;
}

static int take_damaged(void *user, struct slice kind, struct slice name, struct err *err)
{
    struct book_entry *e = user;
    bool is_fact = slice_is(kind, fact_tier_word(TIER_FACT));

    if (!is_fact && !slice_is(kind, fact_tier_word(TIER_KNOWLEDGE)))
        return E_OK;
    return fact_book_put_damaged(e->next->facts, is_fact ? TIER_FACT : TIER_KNOWLEDGE, name, err);
}

// What is asked for is e->book.
static void ready(struct book_entry *e)
{
    answer_asked(e, E_OK, NULL);
    if (e->changes)
        change(e);
    else
        round_over(e);
}

static void loaded(struct ledger_op *op)
{
    struct book_entry *e = op->user;
    struct book *b = e->next;

    e->next = NULL;
    core_memory_release(&b->core);
    b->core = e->load.core;
    buf_release(&b->damage);
    b->damage = e->load.damage;
    b->manifest = e->load.manifest;
    if (op->code) {
        struct err err = op->err;
        int code = op->code;

        book_release(b);
        book_entry_keep(e, NULL);
        fail_round(e, code, &err);
        return;
    }
    if (b->damage.len)
        log_line(e->w->env.log, LOG_WARN, "memory: bot=%s: %.*s; `parley verify` tells more",
                 e->bot, (int)(b->damage.len - 1), b->damage.ptr);
    book_entry_keep(e, b);
    ready(e);
}

static void load(struct book_entry *e)
{
    struct fact_digest digest = {ledger_memory_digest, &e->user};
    struct err err = ERR_INIT;
    struct book *b = book_make(&err);

    if (!b || fact_book_new(&b->facts, e->bot, &digest, &err)) {
        book_release(b);
        fail_round(e, E_NOMEM, &err);
        return;
    }
    book_entry_keep(e, NULL);
    if (!e->key) {  // nobody knows the user
        book_entry_keep(e, b);
        ready(e);
        return;
    }
    e->next = b;
    e->load = (struct ledger_memory){.of = {e->partition, e->bot, e->key}, .user = e,
                                     .slot = take_slot, .journal = take_entry,
                                     .damaged = take_damaged};
    core_memory_init(&e->load.core);
    buf_init(&e->load.damage, BOOK_DAMAGE_BYTES_MAX);
    e->op = (struct ledger_op){.done = loaded, .user = e};
    ledger_memory_load(e->w->ledger, &e->load, &e->op);
}

static void checked(struct ledger_op *op)
{
    struct book_entry *e = op->user;

    if (op->code) {
        struct err err = op->err;

        fail_round(e, op->code, &err);
        return;
    }
    if (e->check.manifest.version == e->book->manifest.version)
        ready(e);
    else
        load(e);
}

static void pump(struct book_entry *e)
{
    if (e->busy || (!e->waits && !e->changes))
        return;
    e->busy = true;
    e->asked = e->waits;
    e->waits = e->waits_end = NULL;
    if (!e->book || !e->key) {
        load(e);
        return;
    }
    e->check.of = (struct memory_of){e->partition, e->bot, e->key};
    e->op = (struct ledger_op){.done = checked, .user = e};
    ledger_memory_manifest(e->w->ledger, &e->check, &e->op);
}

// ---- asking

// It is in line: the round that is next takes it.
static void begin(struct book_entry *e, bool was_in_use)
{
    e->w->books->busy += !was_in_use;
    post(e);
}

static void wait_failed(struct loop_task *task)
{
    struct book_wait *wait = CONTAINER_OF(task, struct book_wait, task);

    wait->done(wait);
}

void book_open(struct worker *w, struct book_wait *wait)
{
    struct book_entry *e = NULL;

    wait->code = book_entry_find(&e, w, wait->partition, wait->bot, wait->key, &wait->err);
    wait->book = NULL;
    wait->next = NULL;
    if (wait->code) {
        wait->task.fn = wait_failed;
        loop_post(w->env.loop, &wait->task);
        return;
    }
    bool was_in_use = book_entry_in_use(e);
    *(e->waits ? &e->waits_end->next : &e->waits) = wait;
    e->waits_end = wait;
    begin(e, was_in_use);
}

static void change_failed(struct loop_task *task)
{
    struct book_change *c = CONTAINER_OF(task, struct book_change, task);

    c->done(c);
}

void book_change(struct worker *w, struct book_change *c)
{
    struct book_entry *e = NULL;

    c->code = book_entry_find(&e, w, c->partition, c->bot, c->key, &c->err);
    c->book = NULL;
    c->next = NULL;
    c->tries = 0;
    c->unsure = false;
    if (c->code) {
        c->task.fn = change_failed;
        loop_post(w->env.loop, &c->task);
        return;
    }
    BUG_ON(!c->key);
    bool was_in_use = book_entry_in_use(e);
    *(e->changes ? &e->changes_end->next : &e->changes) = c;
    e->changes_end = c;
    begin(e, was_in_use);
}
