// SPDX-License-Identifier: MIT
// What is remembered of a user, in the store and in memory: loaded as it was written, changed by
// one at a time, and harmed by damage only where that is.
#include "memory_kit.h"

static void test_ledger_memory__is_loaded_as_it_was_written(void **state)
{
    struct process p;

    process_open(&p, *state);
    expect(&p, "");
    said(&p, (const char *const[]){"lives_in=Berlin", NULL}, 1);
    expect(&p, "Berlin*[1,]");
    struct process q = process_beside(&p);
    expect(&q, "Berlin*[1,]");
    said(&q, (const char *const[]){"lives_in=Berlin", NULL}, 2);
    expect(&p, "Berlin*[1,]");  // read anew, as the manifest moved
    process_leave(&q);
    process_close(&p);
}

static void test_ledger_memory__what_is_known_is_not_written(void **state)
{
    struct process p;
    struct book *before, *after;

    process_open(&p, *state);
    said(&p, (const char *const[]){"likes=tea", NULL}, 1);
    assert_int_equal(open_book(&p, &before), E_OK);
    said(&p, (const char *const[]){"likes=tea", NULL}, 1);
    assert_int_equal(open_book(&p, &after), E_OK);
    assert_int_equal(before->manifest.version, after->manifest.version);
    assert_ptr_equal(before, after);
    book_release(before);
    book_release(after);
    process_close(&p);
}

static void test_ledger_memory__who_reads_is_not_disturbed(void **state)
{
    struct process p;
    struct book *before;
    char told[256];

    process_open(&p, *state);
    said(&p, (const char *const[]){"likes=tea", NULL}, 1);
    assert_int_equal(open_book(&p, &before), E_OK);
    said(&p, (const char *const[]){"likes=coffee", NULL}, 2);
    books_forget(&p.worker, p.kit.partition);
    facts_kit_tell(before->facts, told, sizeof(told));
    assert_string_equal(told, "tea*[1,]");
    book_release(before);
    expect(&p, "tea*[1,] coffee*[2,]");
    process_close(&p);
}

// Two who have read the same learn at once: one of them meets a conflict, considers again, and
// finds what is there already.
static void test_ledger_memory__two_at_once(void **state)
{
    struct process p;
    const char *const values[] = {"lives_in=Berlin", "likes=tea", NULL};
    struct saying first = {.values = values, .at_ms = 1}, second = first;

    process_open(&p, *state);
    said(&p, (const char *const[]){"name=Ann", NULL}, 0);
    struct process q = process_beside(&p);
    expect(&q, "Ann*[0,]");
    say(&p, &first);
    say(&q, &second);
    process_until(&p, &first.done);
    process_until(&p, &second.done);
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
    process_leave(&q);
    process_close(&p);
}

// More than one batch holds; and what is beside facts.
static void test_ledger_memory__much(void **state)
{
    enum { MANY = 100 };
    static char texts[MANY][32];
    static const char *values[MANY + 1];
    struct process p;
    struct book *b;

    process_open(&p, *state);
    for (unsigned i = 0; i < MANY; i++) {
        snprintf(texts[i], sizeof(texts[i]), "fact_%u=value %u", i, i);
        values[i] = texts[i];
    }
    struct saying s = said(&p, values, 1);
    assert_int_equal(s.applied, 1);
    struct process q = process_beside(&p);
    assert_int_equal(open_book(&q, &b), E_OK);
    assert_int_equal(fact_book_count(b->facts, TIER_FACT, FACT_ACTIVE), MANY);
    assert_int_equal(b->manifest.version, 3);  // 100 slots in batches of 40
    book_release(b);
    process_leave(&q);
    process_close(&p);
}

static void test_ledger_memory__journal_and_core(void **state)
{
    struct process p;
    struct journal_entry e;
    struct book *b;

    process_open(&p, *state);
    journal_entry_init(&e);
    memcpy(e.session, "6f1f1d6e-3c0b-4b7e-9a51-0d9f6f6b8a01", sizeof(e.session));
    safe_buf_add(&e.text, SAFE_LIT("Topic: tea\n"));
    e.sessions = e.turns = 1;
    memcpy(e.by, "rules", 6);
    struct saying s = {.entry = &e, .human = "likes tea"};
    say(&p, &s);
    process_until(&p, &s.done);
    assert_int_equal(s.change.code, E_OK);
    book_release(s.change.book);
    struct process q = process_beside(&p);
    assert_int_equal(open_book(&q, &b), E_OK);
    assert_true(slice_is(safe_slice(safe_buf_text(&b->core.human)), "likes tea"));
    assert_non_null(journal_find(&b->journal, e.session));
    assert_false(journal_is_dirty(&b->journal));
    book_release(b);
    s = (struct saying){.entry_gone = e.session};
    say(&q, &s);
    process_until(&q, &s.done);
    assert_int_equal(s.change.code, E_OK);
    assert_null(journal_find(&s.change.book->journal, e.session));
    book_release(s.change.book);
    assert_int_equal(open_book(&p, &b), E_OK);
    assert_null(journal_find(&b->journal, e.session));
    assert_true(slice_is(safe_slice(safe_buf_text(&b->core.human)), "likes tea"));
    book_release(b);
    journal_entry_release(&e);
    process_leave(&q);
    process_close(&p);
}

static int find_learnt(struct process *p, struct learnt *out)
{
    struct ledger_op op;

    kit_ready(&p->kit, &op);
    ledger_find_learnt(p->kit.ledger, p->kit.partition, p->kit.key, out, &op);
    process_until(p, &p->kit.done);
    return op.code;
}

static void test_ledger_memory__how_far_was_learnt(void **state)
{
    struct process p;
    struct learnt l = {.session = "6f1f1d6e-3c0b-4b7e-9a51-0d9f6f6b8a01"}, found = l;

    process_open(&p, *state);
    assert_int_equal(find_learnt(&p, &found), E_OK);
    assert_int_equal(found.upto + found.version, 0);
    l.upto = 7;
    struct saying s = {.learnt = &l};
    say(&p, &s);
    process_until(&p, &s.done);
    assert_int_equal(s.change.code, E_OK);
    book_release(s.change.book);
    assert_int_equal(find_learnt(&p, &found), E_OK);
    assert_int_equal(found.upto, 7);
    assert_int_equal(found.version, 1);
    process_close(&p);
}

// ---- damage

static bool raw_is_done;

static void raw_done(struct store_op *op)
{
    (void)op;
    raw_is_done = true;
}

static void raw(struct process *p, struct store_op *op)
{
    raw_is_done = false;
    op->done = raw_done;
    store_submit(p->kit.store, op);
    process_until(p, &raw_is_done);
    assert_int_equal(op->code, E_OK);
}

// Over whatever record has this beginning: one that opens, with this body; NULL: bytes of nobody.
static void damage(struct process *p, const char *key, const char *meta, const char *body)
{
    struct store_op op = {.verb = STORE_COMMIT, .loop = p->kit.loop,
                          .partition = slice_str(p->kit.partition), .items_len = 1};
    struct store_item item = {.verb = STORE_PUT, .key = slice_str(key), .meta = slice_str(meta),
                              .body = {SLICE_LIT("not sealed")}};
    struct buf sealed = BUF_INIT(1 << 16);
    struct vault_place place = {op.partition, item.key, item.meta};
    struct err err = ERR_INIT;

    if (body)
        assert_int_equal(vault_seal(p->kit.vault, p->kit.key, &place, facts_kit_text(body), &sealed,
                                    &item.body, &err), E_OK);
    op.items = &item;
    raw(p, &op);
    buf_release(&sealed);
    store_op_release(&op);
}

// The key of the one slot that there is.
static void slot_key(struct process *p, char *out, size_t size)
{
    struct book *b;

    assert_int_equal(open_book(p, &b), E_OK);
    assert_int_equal(fact_book_slots(b->facts), 1);
    snprintf(out, size, "fact/hello/%s", fact_book_slot(b->facts, 0)->digest);
    book_release(b);
}

static void test_ledger_memory__a_damaged_slot_harms_itself(void **state)
{
    struct process p;
    struct book *b;
    char key[256];

    process_open(&p, *state);
    said(&p, (const char *const[]){"likes=tea", NULL}, 1);
    slot_key(&p, key, sizeof(key));
    said(&p, (const char *const[]){"name=Ann", NULL}, 2);
    damage(&p, key, "{}", NULL);
    books_forget(&p.worker, p.kit.partition);
    expect(&p, "Ann*[2,]");
    assert_int_equal(open_book(&p, &b), E_OK);
    assert_non_null(strstr(b->damage.ptr, key));
    assert_int_equal(fact_book_damaged(b->facts), 1);
    book_release(b);
    said(&p, (const char *const[]){"likes=coffee", "name=Anna", NULL}, 3);
    expect(&p, "Ann*[2,] Anna*[3,]");
    process_close(&p);
}

static void expect_damage(struct process *p, const char *names, const char *tells)
{
    struct book *b;

    books_forget(&p->worker, p->kit.partition);
    expect(p, tells);
    assert_int_equal(open_book(p, &b), E_OK);
    if (!b->damage.len || !strstr(b->damage.ptr, names))
        fail_msg("%s: %s", names, b->damage.len ? b->damage.ptr : "nothing is told");
    book_release(b);
}

static void test_ledger_memory__all_damage_is_told(void **state)
{
    static char too_long[JOURNAL_ENTRY_BYTES_MAX + 2];
    static const struct {
        const char *key, *meta, *body;
    } records[] = {
        {"journal/hello/6f1f1d6e-3c0b-4b7e-9a51-0d9f6f6b8a01",
         "{\"from\":1,\"at\":1,\"turns\":1,\"sessions\":1,\"by\":\"rules\"}", too_long},
        {"fact/hello/00112233445566778899aabbccddeeff", "{}", "{}"},
        {"fact/hello/00112233445566778899aabbccddeeff",
         "{\"one\":true,\"quarantined\":0,\"active\":0,\"superseded\":0,\"forgotten\":0}",
         "{\"subject\":\"user\",\"predicate\":\"likes\",\"facts\":[]}"},
        {"fact/hello/00112233445566778899aabbccddeeff00", "{}", "{}"},
        {"fact/hello/", "{}", "{}"},
        {"knowledge/hello/00112233445566778899aabbccddeeff", "{}", NULL},
        {"journal/hello/6f1f1d6e-3c0b-4b7e-9a51-0d9f6f6b8a01", "{}", "text"},
        {"journal/hello/6f1f1d6e-3c0b-4b7e-9a51-0d9f6f6b8a0155", "{}", "text"},
        {"core/hello", "{}", "{}"},
        {"core/hello", "{\"at\":1}", NULL},
        {"memory/hello", "{\"facts\":-1}", ""},
        {"memory/hello", "{}", NULL},
    };

    memset(too_long, 'x', sizeof(too_long) - 1);
    for (size_t i = 0; i < sizeof(records) / sizeof(records[0]); i++) {
        struct process p;

        process_open(&p, "memory:");
        said(&p, (const char *const[]){"name=Ann", NULL}, 2);
        damage(&p, records[i].key, records[i].meta, records[i].body);
        expect_damage(&p, records[i].key, "Ann*[2,]");
        said(&p, (const char *const[]){"likes=tea", NULL}, 3);  // and all goes on
        process_close(&p);
    }
    (void)state;
}

static void test_ledger_memory__what_is_damaged_is_made_anew(void **state)
{
    struct learnt l = {.session = "6f1f1d6e-3c0b-4b7e-9a51-0d9f6f6b8a01"};
    struct process p;

    process_open(&p, *state);
    damage(&p, "memory/hello", "{}", NULL);
    damage(&p, "core/hello", "{}", NULL);
    damage(&p, "learnt/6f1f1d6e-3c0b-4b7e-9a51-0d9f6f6b8a01", "{}", "");
    assert_int_equal(find_learnt(&p, &l), E_OK);
    assert_int_equal(l.upto, 0);
    l.upto = 3;
    struct saying s = {.human = "likes tea", .learnt = &l};
    say(&p, &s);
    process_until(&p, &s.done);
    assert_int_equal(s.change.code, E_OK);
    book_release(s.change.book);
    struct process q = process_beside(&p);
    struct book *b;
    assert_int_equal(open_book(&q, &b), E_OK);
    assert_int_equal(b->damage.len, 0);
    book_release(b);
    assert_int_equal(find_learnt(&p, &l), E_OK);
    assert_int_equal(l.upto, 3);
    process_leave(&q);
    process_close(&p);
}

// ---- forgetting

static void test_ledger_memory__forgetting_is_noted_with_it(void **state)
{
    struct process p;

    process_open(&p, *state);
    said(&p, (const char *const[]){"likes=tea", "likes=coffee", NULL}, 1);
    struct saying s = {.forget = "tea"};
    say(&p, &s);
    process_until(&p, &s.done);
    assert_int_equal(s.change.code, E_OK);
    book_release(s.change.book);
    struct store_op op = {.verb = STORE_SCAN, .loop = p.kit.loop, .limit = 10,
                          .partition = slice_str(p.kit.partition), .key = SLICE_LIT(AUDIT_OUTBOX)};
    raw(&p, &op);
    assert_int_equal(op.rows_len, 1);
    store_op_release(&op);
    // What was said before does not bring it back; what is said anew does.
    said(&p, (const char *const[]){"likes=tea", NULL}, 1);
    said(&p, (const char *const[]){"likes=tea", NULL}, 2);
    expect(&p, "- coffee*[1,]");
    said(&p, (const char *const[]){"likes=tea", NULL}, NOW_MS + 9);
    expect(&p, "tea*[1700000009,] coffee*[1,]");
    process_close(&p);
}

// ---- books in memory

static void test_ledger_memory__books_are_let_go(void **state)
{
    struct process p;

    process_open(&p, *state);
    p.worker.env.live_bytes_max = 0;
    said(&p, (const char *const[]){"likes=tea", NULL}, 1);
    expect(&p, "tea*[1,]");
    assert_false(books_busy(&p.worker));
    books_forget(&p.worker, p.kit.partition);  // harmless where there is none
    process_close(&p);
}

static void test_ledger_memory__nobody_knows_the_user(void **state)
{
    struct process p;
    const struct user_key *key;

    process_open(&p, *state);
    key = p.kit.key;
    p.kit.key = NULL;
    expect(&p, "");
    p.kit.key = key;
    said(&p, (const char *const[]){"likes=tea", NULL}, 1);
    expect(&p, "tea*[1,]");
    process_close(&p);
}

static int apply_nothing(struct book_change *change, struct book *b,
                         struct ledger_memory_commit *extra, struct err *err)
{
    struct fact_candidate c = facts_kit_said("likes", "coffee", 9, SAID);
    struct fact_considered out;

    (void)change;
    (void)extra;
    fact_book_consider(b->facts, &c, true, &memory_kit_rules, NOW_MS, &out, err);
    return err_set(err, E_CANCELLED, "not now");
}

// Whoever applies may think better of it: nothing is written, and nobody sees what it did.
static void test_ledger_memory__a_change_that_is_not_made(void **state)
{
    struct process p;
    struct saying s = {0};

    process_open(&p, *state);
    said(&p, (const char *const[]){"likes=tea", NULL}, 1);
    say(&p, &s);
    s.change.apply = apply_nothing;
    process_until(&p, &s.done);
    assert_int_equal(s.change.code, E_CANCELLED);
    assert_string_equal(s.change.err.message, "not now");
    assert_null(s.change.book);
    expect(&p, "tea*[1,]");
    process_close(&p);
}

// Several who ask and change at once are answered in one go, in line.
static void test_ledger_memory__in_line(void **state)
{
    enum { CHANGES = 5 };
    static const char *const values[CHANGES][2] = {
        {"likes=a b c", NULL}, {"likes=d e f", NULL}, {"likes=g h k", NULL},
        {"likes=l m n", NULL}, {"likes=o p q", NULL}};
    struct saying s[CHANGES];
    struct opened o[CHANGES];
    struct process p;

    process_open(&p, *state);
    for (unsigned i = 0; i < CHANGES; i++) {
        s[i] = (struct saying){.values = values[i], .at_ms = i + 1};
        say(&p, &s[i]);
        o[i] = (struct opened){.wait = {.key = p.kit.key, .done = on_open, .bot = "hello"}};
        o[i].wait.user = &o[i];
        memcpy(o[i].wait.partition, p.kit.partition, sizeof(o[i].wait.partition));
        book_open(&p.worker, &o[i].wait);
    }
    assert_true(books_busy(&p.worker));
    for (unsigned i = 0; i < CHANGES; i++) {
        process_until(&p, &s[i].done);
        process_until(&p, &o[i].done);
        assert_int_equal(s[i].change.code, E_OK);
        assert_int_equal(s[i].applied, 1);
        assert_int_equal(fact_book_count(s[i].change.book->facts, TIER_FACT, FACT_ACTIVE), i + 1);
        book_release(s[i].change.book);
        book_release(o[i].wait.book);
    }
    assert_false(books_busy(&p.worker));
    process_close(&p);
}

// However much memory there is, and however little each of them takes: there is room for one more.
static void test_ledger_memory__more_users_than_are_kept(void **state)
{
    enum { USERS = (1 << 16) + 2 };
    struct process p;

    process_open(&p, *state);
    p.worker.env.live_bytes_max = UINT64_MAX;
    for (int i = 0; i < USERS; i++) {
        struct opened o = {.wait = {.done = on_open, .bot = "hello"}};

        o.wait.user = &o;
        snprintf(o.wait.partition, sizeof(o.wait.partition), "u%d", i);
        book_open(&p.worker, &o.wait);
        process_until(&p, &o.done);
        if (o.wait.code)
            fail_msg("user %d: %d %s", i, o.wait.code, o.wait.err.message);
        book_release(o.wait.book);
    }
    process_close(&p);
}

// A store on disk that is this process's.
static char folder[] = "/tmp/parley-memory-XXXXXX", sqlite_url[128];
static char memory_url[] = "memory:";

#define ON_BOTH(test) \
    {#test "__memory", test, NULL, NULL, memory_url}, \
    {#test "__sqlite", test, fresh, NULL, sqlite_url}

// Its name in sqlite_url is read when the test begins.
static int fresh(void **state)
{
    static unsigned n;

    (void)state;
    snprintf(sqlite_url, sizeof(sqlite_url), "sqlite:%s/memory-%u.db", folder, n++);
    return 0;
}

static int make_folder(void **state)
{
    (void)state;
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    char command[96];

    (void)state;
    snprintf(command, sizeof(command), "rm -rf '%s'", folder);
    return system(command);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_BOTH(test_ledger_memory__is_loaded_as_it_was_written),
        ON_BOTH(test_ledger_memory__what_is_known_is_not_written),
        ON_BOTH(test_ledger_memory__who_reads_is_not_disturbed),
        ON_BOTH(test_ledger_memory__two_at_once),
        ON_BOTH(test_ledger_memory__much),
        ON_BOTH(test_ledger_memory__journal_and_core),
        ON_BOTH(test_ledger_memory__how_far_was_learnt),
        ON_BOTH(test_ledger_memory__a_damaged_slot_harms_itself),
        ON_BOTH(test_ledger_memory__what_is_damaged_is_made_anew),
        ON_BOTH(test_ledger_memory__forgetting_is_noted_with_it),
        ON_BOTH(test_ledger_memory__books_are_let_go),
        ON_BOTH(test_ledger_memory__nobody_knows_the_user),
        ON_BOTH(test_ledger_memory__a_change_that_is_not_made),
        ON_BOTH(test_ledger_memory__in_line),
        cmocka_unit_test(test_ledger_memory__all_damage_is_told),
        {"more_users_than_are_kept", test_ledger_memory__more_users_than_are_kept, NULL, NULL,
         memory_url},
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
