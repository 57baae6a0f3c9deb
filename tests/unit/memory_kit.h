// SPDX-License-Identifier: MIT
// memory_kit.h: what the tests of what is remembered stand on: processes that have nothing but
// books of it, over one store.
#ifndef TESTS_MEMORY_KIT_H
#define TESTS_MEMORY_KIT_H

#include "unit/facts_kit.h"
#include "unit/ledger_kit.h"
#include "turn/book.h"

enum { NOW_MS = 1700000000 };

static const struct memory_rules memory_kit_rules = {.on = true};

// A process: a worker that has nothing but books.
struct process {
    struct kit kit;
    struct worker worker;
};

static inline void process_open(struct process *p, const char *url)
{
    kit_open(&p->kit, url);
    p->worker = (struct worker){.env = {.loop = p->kit.loop, .vault = p->kit.vault,
                                        .clock = &p->kit.own_clock.clock,
                                        .rand = &p->kit.own_rand.rand, .live_bytes_max = 1 << 26},
                                .ledger = p->kit.ledger};
}

static inline void process_close(struct process *p)
{
    books_free(&p->worker);
    kit_close(&p->kit);
}

// Stores may answer from threads of their own.
static inline void process_until(struct process *p, const bool *done)
{
    for (int i = 0; i < 100000000 && !*done; i++)
        loop_run(p->kit.loop);
    assert_true(*done);
}

// ---- asking, and changing

struct opened {
    struct book_wait wait;
    bool done;
};

static void on_open(struct book_wait *wait)
{
    ((struct opened *)wait->user)->done = true;
}

static inline int open_book(struct process *p, struct book **out)
{
    struct opened o = {.wait = {.key = p->kit.key, .done = on_open, .bot = "hello"}};

    o.wait.user = &o;
    memcpy(o.wait.partition, p->kit.partition, sizeof(o.wait.partition));
    book_open(&p->worker, &o.wait);
    assert_false(o.done);
    process_until(p, &o.done);
    *out = o.wait.book;
    return o.wait.code;
}

struct saying {
    struct book_change change;
    const char *const *values;   // "predicate=value", NULL ends them
    const char *forget;          // the value that is forgotten
    int64_t at_ms;
    unsigned applied;
    const char *human;           // core memory
    const struct journal_entry *entry;
    const char *entry_gone;      // a session
    struct learnt *learnt;
    struct audit_note note;
    bool done;
};

static int apply_saying(struct book_change *change, struct book *b,
                        struct ledger_memory_commit *extra, struct err *err)
{
    struct saying *s = change->user;
    int code = E_OK;

    s->applied++;
    extra->learnt = s->learnt;
    for (unsigned i = 0; s->values && s->values[i] && !code; i++) {
        const char *eq = strchr(s->values[i], '=');
        char predicate[64];
        struct fact_considered out;

        snprintf(predicate, sizeof(predicate), "%.*s", (int)(eq - s->values[i]), s->values[i]);
        struct fact_candidate c = facts_kit_said(predicate, eq + 1, s->at_ms, SAID);
        c.one = strcmp(predicate, "lives_in") == 0;
        code = fact_book_consider(b->facts, &c, true, &memory_kit_rules, NOW_MS, &out, err);
    }
    if (s->human && !code)
        code = book_set_human(b, facts_kit_text(s->human), err);
    if (s->entry && !code) {
        struct journal_entry copy;

        code = journal_entry_copy(&copy, s->entry, err);
        copy.dirty = true;
        if (!code)
            code = journal_put(&b->journal, &copy, err);
        journal_entry_release(&copy);
    }
    if (s->entry_gone && !code)
        journal_find(&b->journal, s->entry_gone)->gone = true;
    struct fact_at at = FACT_AT_START;
    while (s->forget && !code && fact_book_next(b->facts, &at)) {
        uint32_t count;

        if (!slice_is(safe_slice(fact_value(at.fact)), s->forget))
            continue;
        code = fact_book_forget(b->facts, at.fact->id, NOW_MS + 1, &count, err);
        s->note = (struct audit_note){.action = AUDIT_FACT_FORGOTTEN, .bot = "hello",
                                      .count = count, .at_ms = NOW_MS};
        extra->notes = &s->note;
        extra->notes_len = 1;
        break;
    }
    return code;
}

static void on_change(struct book_change *change)
{
    ((struct saying *)change->user)->done = true;
}

static inline void say(struct process *p, struct saying *s)
{
    s->change = (struct book_change){.key = p->kit.key, .bot = "hello", .apply = apply_saying,
                                     .done = on_change, .user = s};
    memcpy(s->change.partition, p->kit.partition, sizeof(s->change.partition));
    book_change(&p->worker, &s->change);
}

static inline struct saying said(struct process *p, const char *const *values, int64_t at_ms)
{
    struct saying s = {.values = values, .at_ms = at_ms};

    say(p, &s);
    process_until(p, &s.done);
    if (s.change.code)
        fail_msg("%d %s", s.change.code, s.change.err.message);
    book_release(s.change.book);
    return s;
}

static inline void expect(struct process *p, const char *tells)
{
    struct book *b;
    char told[1024];

    assert_int_equal(open_book(p, &b), E_OK);
    facts_kit_tell(b->facts, told, sizeof(told));
    assert_string_equal(told, tells);
    // Of what is damaged nobody knows whether it counts.
    if (!b->damage.len)
        assert_int_equal(b->manifest.facts, fact_book_count(b->facts, TIER_FACT, FACT_ACTIVE));
    book_release(b);
}

// Another process on the same store, which has read nothing yet; process_leave ends it.
static inline struct process process_beside(const struct process *p)
{
    struct process q = *p;

    q.worker.books = NULL;
    return q;
}

static inline void process_leave(struct process *q)
{
    books_free(&q->worker);
}

#endif
