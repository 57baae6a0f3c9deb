// SPDX-License-Identifier: MIT
// What is remembered of a user, in the store and in memory: loaded as it was written, changed by
// one at a time, and harmed by damage only where that is.
#include "facts_kit.h"
#include "ledger_kit.h"
#include "turn/book.h"

enum { NOW_MS = 1700000000 };

static const struct memory_rules rules = {.on = true};

// A process: a worker that has nothing but books.
struct process {
    struct kit kit;
    struct worker worker;
};

static void process_open(struct process *p, const struct process *beside, const char *url)
{
    if (beside)
        kit_open_beside(&p->kit, &beside->kit, url);
    else
        kit_open(&p->kit, url);
    p->worker = (struct worker){.env = {.loop = p->kit.loop, .vault = p->kit.vault,
                                        .clock = &p->kit.clock->clock,
                                        .rand = &p->kit.rand->rand, .live_bytes_max = 1 << 26},
                                .ledger = p->kit.ledger};
}

static void process_close(struct process *p, bool last)
{
    books_free(&p->worker);
    if (last)
        kit_close(&p->kit);
    else
        kit_close_store(&p->kit);
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

static int open_book(struct process *p, struct book **out)
{
    struct opened o = {.wait = {.key = p->kit.key, .done = on_open, .bot = "hello"}};

    o.wait.user = &o;
    memcpy(o.wait.partition, p->kit.partition, sizeof(o.wait.partition));
    book_open(&p->worker, &o.wait);
    assert_false(o.done);
    loop_run(p->kit.loop);
    assert_true(o.done);
    *out = o.wait.book;
    return o.wait.code;
}

struct saying {
    struct book_change change;
    const char *const *values;   // "predicate=value", NULL ends them
    const char *forget;          // the value that is forgotten
    int64_t at_ms;
    unsigned applied;
    struct learnt *learnt;
    struct audit_note note;
    bool done;
};

static void say(struct process *p, struct saying *s);

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
        code = fact_book_consider(b->facts, &c, true, &rules, NOW_MS, &out, err);
    }
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

static void say(struct process *p, struct saying *s)
{
    s->change = (struct book_change){.key = p->kit.key, .bot = "hello", .apply = apply_saying,
                                     .done = on_change, .user = s};
    memcpy(s->change.partition, p->kit.partition, sizeof(s->change.partition));
    book_change(&p->worker, &s->change);
}

static struct saying said(struct process *p, const char *const *values, int64_t at_ms)
{
    struct saying s = {.values = values, .at_ms = at_ms};

    say(p, &s);
    loop_run(p->kit.loop);
    assert_true(s.done);
    if (s.change.code)
        fail_msg("%d %s", s.change.code, s.change.err.message);
    book_release(s.change.book);
    return s;
}

static void expect(struct process *p, const char *tells)
{
    struct book *b;
    char told[1024];

    assert_int_equal(open_book(p, &b), E_OK);
    facts_kit_tell(b->facts, told, sizeof(told));
    assert_string_equal(told, tells);
    assert_int_equal(b->manifest.facts, fact_book_count(b->facts, TIER_FACT, FACT_ACTIVE));
    book_release(b);
}

// ---- tests

static void test_ledger_memory__is_loaded_as_it_was_written(void **state)
{
    struct process p, q;

    (void)state;
    process_open(&p, NULL, "memory:");
    expect(&p, "");
    said(&p, (const char *const[]){"lives_in=Berlin", NULL}, 1);
    expect(&p, "Berlin*[1,]");
    // Another worker, which has read nothing yet.
    q.kit = p.kit;
    q.worker = p.worker;
    q.worker.books = NULL;
    expect(&q, "Berlin*[1,]");
    said(&q, (const char *const[]){"lives_in=Berlin", NULL}, 2);
    expect(&p, "Berlin*[1,]");  // read anew, as the manifest moved
    books_free(&q.worker);
    process_close(&p, true);
}

static void test_ledger_memory__what_is_known_is_not_written(void **state)
{
    struct process p;
    struct book *before, *after;

    (void)state;
    process_open(&p, NULL, "memory:");
    said(&p, (const char *const[]){"likes=tea", NULL}, 1);
    assert_int_equal(open_book(&p, &before), E_OK);
    said(&p, (const char *const[]){"likes=tea", NULL}, 1);
    assert_int_equal(open_book(&p, &after), E_OK);
    assert_int_equal(before->manifest.version, after->manifest.version);
    assert_ptr_equal(before, after);
    book_release(before);
    book_release(after);
    process_close(&p, true);
}

static void test_ledger_memory__who_reads_is_not_disturbed(void **state)
{
    struct process p;
    struct book *before;
    char told[256];

    (void)state;
    process_open(&p, NULL, "memory:");
    said(&p, (const char *const[]){"likes=tea", NULL}, 1);
    assert_int_equal(open_book(&p, &before), E_OK);
    said(&p, (const char *const[]){"likes=coffee", NULL}, 2);
    books_forget(&p.worker, p.kit.partition);
    facts_kit_tell(before->facts, told, sizeof(told));
    assert_string_equal(told, "tea*[1,]");
    book_release(before);
    expect(&p, "tea*[1,] coffee*[2,]");
    process_close(&p, true);
}

// Two who have read the same learn at once: one of them meets a conflict, considers again, and
// finds what is there already.
static void test_ledger_memory__two_at_once(void **state)
{
    struct process p, q;
    const char *const values[] = {"lives_in=Berlin", "likes=tea", NULL};
    struct saying first = {.values = values, .at_ms = 1}, second = first;

    (void)state;
    process_open(&p, NULL, "memory:");
    said(&p, (const char *const[]){"name=Ann", NULL}, 0);
    q.kit = p.kit;
    q.worker = p.worker;
    q.worker.books = NULL;
    expect(&q, "Ann*[0,]");
    say(&p, &first);
    say(&q, &second);
    loop_run(p.kit.loop);
    assert_true(first.done && second.done);
    assert_int_equal(first.change.code, E_OK);
    assert_int_equal(second.change.code, E_OK);
    assert_int_equal(first.applied + second.applied, 3);
    book_release(first.change.book);
    book_release(second.change.book);
    char told[256];
    struct book *b;
    assert_int_equal(open_book(&p, &b), E_OK);
    facts_kit_tell(b->facts, told, sizeof(told));
    assert_non_null(strstr(told, "Berlin*[1,]"));
    assert_int_equal(fact_book_count(b->facts, TIER_FACT, FACT_ACTIVE), 3);
    book_release(b);
    books_free(&q.worker);
    process_close(&p, true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ledger_memory__is_loaded_as_it_was_written),
        cmocka_unit_test(test_ledger_memory__what_is_known_is_not_written),
        cmocka_unit_test(test_ledger_memory__who_reads_is_not_disturbed),
        cmocka_unit_test(test_ledger_memory__two_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
