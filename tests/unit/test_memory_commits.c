// SPDX-License-Identifier: MIT
// ledger/memory.h itself: what one commit cannot hold, what many damaged records are, what a store
// answers that cannot even tell a version, and no memory to begin with.
#include "memory_kit.h"
#include "store/store_int.h"

enum { LARGE = 64, LONG_BYTES = 1000, DAMAGED = 501 };
#define SESSION "6f1f1d6e-3c0b-4b7e-9a51-0d9f6f6b8a01"

static int wait(struct process *p, struct ledger_op *op)
{
    process_until(p, &p->kit.done);
    return op->code;
}

static struct memory_of of(const struct process *p)
{
    return (struct memory_of){p->kit.partition, "hello", p->kit.key};
}

static int commit(struct process *p, struct ledger_memory_commit *c)
{
    struct ledger_op op;

    c->of = of(p);
    kit_ready(&p->kit, &op);
    ledger_memory_commit(p->kit.ledger, c, &op);
    return wait(p, &op);
}

// ---- loading, and counting what comes

struct seen {
    unsigned slots, entries, damaged;
};

static int see_slot(void *user, struct fact_slot *slot, struct err *err)
{
    (void)slot;
    (void)err;
    ((struct seen *)user)->slots++;
    return E_OK;
}

static int see_entry(void *user, struct journal_entry *entry, struct err *err)
{
    (void)entry;
    (void)err;
    ((struct seen *)user)->entries++;
    return E_OK;
}

static int see_damage(void *user, struct slice kind, struct slice name, struct err *err)
{
    (void)kind;
    (void)name;
    (void)err;
    ((struct seen *)user)->damaged++;
    return E_OK;
}

static int load(struct process *p, struct seen *seen)
{
    struct ledger_memory m = {.of = of(p), .user = seen, .slot = see_slot, .journal = see_entry,
                              .damaged = see_damage};
    struct ledger_op op;

    *seen = (struct seen){0};
    core_memory_init(&m.core);
    buf_init(&m.damage, 1 << 20);
    kit_ready(&p->kit, &op);
    ledger_memory_load(p->kit.ledger, &m, &op);
    int code = wait(p, &op);
    core_memory_release(&m.core);
    buf_release(&m.damage);
    return code;
}

// ---- much

// A slot of long values that do not compress.
static void make_slot(struct process *p, struct fact_slot *s, unsigned n, unsigned values)
{
    static char text[LONG_BYTES + 1];
    struct err err = ERR_INIT;

    fact_slot_init(s, TIER_FACT);
    snprintf(s->digest, sizeof(s->digest), "%032x", n);
    assert_int_equal(fact_slot_name(s, SAFE_NONE, SAFE_LIT("likes"), &err), E_OK);
    for (unsigned i = 0; i < values; i++) {
        struct fact *f = vec_push(&s->facts);
        unsigned char bytes[LONG_BYTES / 2];

        fact_init(f);
        snprintf(f->id, sizeof(f->id), "%012x", i);
        f->recorded_at_ms = 1;
        rand_fill(&p->kit.own_rand.rand, bytes, sizeof(bytes));
        hex_encode(bytes, sizeof(bytes), text);
        assert_int_equal(fact_set_value(f, facts_kit_text(text), &err), E_OK);
    }
}

static void make_entry(struct journal_entry *e, unsigned n, size_t bytes)
{
    journal_entry_init(e);
    snprintf(e->session, sizeof(e->session), "%08x-3c0b-4b7e-9a51-0d9f6f6b8a01", n);
    e->sessions = e->turns = 1;
    memcpy(e->by, "rules", 6);
    for (size_t i = 0; i < bytes; i += 10)
        safe_buf_add(&e->text, SAFE_LIT("some words"));
}

struct much {
    unsigned slots, values, entries;
    size_t entry_bytes;
    unsigned batches;
};

static void write_much(const struct much *much)
{
    struct fact_slot slots[LARGE], *slot_list[LARGE];
    struct journal_entry entries[LARGE], *entry_list[LARGE];
    struct memory_manifest manifest = {0};
    const struct audit_note note = {.action = AUDIT_FACT_FORGOTTEN, .bot = "hello", .at_ms = 1};
    struct ledger_memory_commit c = {.manifest = &manifest, .slots = slot_list,
                                     .slots_len = much->slots, .journal = entry_list,
                                     .journal_len = much->entries, .notes = &note, .notes_len = 1};
    struct process p;
    struct seen seen;

    process_open(&p, "memory:");
    for (unsigned i = 0; i < much->slots; i++) {
        make_slot(&p, &slots[i], i, much->values);
        slot_list[i] = &slots[i];
    }
    for (unsigned i = 0; i < much->entries; i++) {
        make_entry(&entries[i], i, much->entry_bytes);
        entry_list[i] = &entries[i];
    }
    assert_int_equal(commit(&p, &c), E_OK);
    assert_int_equal(manifest.version, much->batches);
    assert_int_equal(load(&p, &seen), E_OK);
    assert_int_equal(seen.slots, much->slots);
    assert_int_equal(seen.entries, much->entries);
    assert_int_equal(seen.damaged, 0);
    for (unsigned i = 0; i < much->slots; i++) {
        assert_int_equal(slots[i].version, 1);
        fact_slot_release(&slots[i]);
    }
    for (unsigned i = 0; i < much->entries; i++) {
        assert_int_equal(entries[i].version, 1);
        journal_entry_release(&entries[i]);
    }
    process_close(&p);
}

static void test_memory_commits__much(void **state)
{
    static const struct much cases[] = {
        {.slots = 40, .values = 1, .batches = 1},
        {.slots = 41, .values = 1, .batches = 2},
        {.slots = 40, .values = 1, .entries = 20, .entry_bytes = 10, .batches = 2},
        {.slots = 20, .values = LARGE, .batches = 2},
        {.slots = 10, .values = LARGE, .entries = 12, .entry_bytes = 30000, .batches = 2},
        {.entries = 20, .entry_bytes = 30000, .batches = 1},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        write_much(&cases[i]);
}

// Nothing that is guarded: no manifest. And slots that have come to hold nothing.
static void test_memory_commits__little(void **state)
{
    const struct audit_note note = {.action = AUDIT_FACT_FORGOTTEN, .bot = "hello", .at_ms = 1};
    struct ledger_memory_commit c = {.notes = &note, .notes_len = 1};
    struct fact_slot slots[2], *list[2] = {&slots[0], &slots[1]};
    struct memory_manifest manifest = {0};
    struct process p;
    struct seen seen;

    (void)state;
    process_open(&p, "memory:");
    assert_int_equal(commit(&p, &c), E_OK);
    make_slot(&p, &slots[0], 0, 1);
    make_slot(&p, &slots[1], 1, 0);
    c = (struct ledger_memory_commit){.manifest = &manifest, .slots = list, .slots_len = 2};
    assert_int_equal(commit(&p, &c), E_OK);
    assert_int_equal(slots[0].version, 1);
    assert_int_equal(slots[1].version, 0);
    assert_int_equal(load(&p, &seen), E_OK);
    assert_int_equal(seen.slots, 1);
    fact_release(fact_slot_at(&slots[0], 0));
    vec_clear(&slots[0].facts);
    assert_int_equal(commit(&p, &c), E_OK);
    assert_int_equal(load(&p, &seen), E_OK);
    assert_int_equal(seen.slots + seen.damaged, 0);
    // It is gone at that version: who has an older one does not delete what came after.
    slots[0].version = 1;
    assert_int_equal(commit(&p, &c), E_CONFLICT);
    fact_slot_release(&slots[0]);
    fact_slot_release(&slots[1]);
    process_close(&p);
}

// ---- damage, page by page

static bool raw_is_done;

static void raw_done(struct store_op *op)
{
    (void)op;
    raw_is_done = true;
}

static void raw(struct process *p, struct store_item *items, uint32_t len)
{
    struct store_op op = {.verb = STORE_COMMIT, .loop = p->kit.loop, .done = raw_done,
                          .partition = slice_str(p->kit.partition), .items = items,
                          .items_len = len};

    raw_is_done = false;
    store_submit(p->kit.store, &op);
    process_until(p, &raw_is_done);
    assert_int_equal(op.code, E_OK);
    store_op_release(&op);
}

static void damage_many(struct process *p, const char *prefix)
{
    static char keys[DAMAGED][96];
    struct store_item items[STORE_BATCH_ITEMS_MAX];
    uint32_t len = 0;

    for (unsigned i = 0; i < DAMAGED; i++) {
        snprintf(keys[i], sizeof(keys[i]), "%s/%048x", prefix, i);
        items[len++] = (struct store_item){.verb = STORE_PUT, .key = slice_str(keys[i]),
                                           .meta = SLICE_LIT("{}"),
                                           .body = {SLICE_LIT("not sealed")}};
        if (len == STORE_BATCH_ITEMS_MAX || i + 1 == DAMAGED) {
            raw(p, items, len);
            len = 0;
        }
    }
}

static void test_memory_commits__many_damaged(void **state)
{
    static const char *const prefixes[] = {"fact/hello", "knowledge/hello", "journal/hello"};
    struct process p;
    struct seen seen;

    (void)state;
    process_open(&p, "memory:");
    for (unsigned i = 0; i < 3; i++)
        damage_many(&p, prefixes[i]);
    assert_int_equal(load(&p, &seen), E_OK);
    assert_int_equal(seen.damaged, 3 * DAMAGED);
    process_close(&p);
}

// ---- a store that cannot tell the manifest's version

struct torn {
    struct store base;
    struct store *inner;
    struct store_op *op;
    void (*done)(struct store_op *op);
    bool fails;
    struct record row;
};

static struct torn *torn_now;

static void torn_done(struct store_op *op)
{
    struct torn *t = torn_now;

    op->done = t->done;
    if (t->fails) {
        op->code = err_set(&op->err, E_STORE, "no disk");
    } else if (op->rows_len && slice_is(op->rows[0].key, "memory/hello")) {
        op->rows[0].version = 0;
        op->rows[0].meta = SLICE_NONE;
        op->rows[0].body.bytes = SLICE_NONE;
    }
    op->done(op);
}

static void torn_submit(struct store *s, struct store_op *op)
{
    struct torn *t = CONTAINER_OF(s, struct torn, base);

    torn_now = t;
    t->done = op->done;
    op->done = torn_done;
    store_submit(t->inner, op);
}

static const char *torn_claim(struct store *s)
{
    return store_claim(CONTAINER_OF(s, struct torn, base)->inner);
}

static const struct store_ops torn_ops = {.name = "torn", .submit = torn_submit,
                                          .claim = torn_claim};

static int check_manifest(struct process *p, struct ledger_manifest *m)
{
    struct ledger_op op;

    m->of = of(p);
    kit_ready(&p->kit, &op);
    ledger_memory_manifest(p->kit.ledger, m, &op);
    return wait(p, &op);
}

static int find_learnt(struct process *p)
{
    struct learnt l = {.session = SESSION};
    struct ledger_op op;

    kit_ready(&p->kit, &op);
    ledger_find_learnt(p->kit.ledger, p->kit.partition, p->kit.key, &l, &op);
    return wait(p, &op);
}

static void test_memory_commits__torn(void **state)
{
    struct ledger_manifest m = {0};
    struct err err = ERR_INIT;
    struct process p, q;
    struct seen seen;

    (void)state;
    process_open(&p, "memory:");
    said(&p, (const char *const[]){"likes=tea", NULL}, 1);
    struct torn t = {.base = {&torn_ops}, .inner = p.kit.store};
    struct ledger_env env = {.store = &t.base, .vault = p.kit.vault, .loop = p.kit.loop,
                             .clock = &p.kit.own_clock.clock, .rand = &p.kit.own_rand.rand};
    q.kit = p.kit;
    assert_int_equal(ledger_new(&q.kit.ledger, &env, &err), E_OK);
    assert_int_equal(check_manifest(&q, &m), E_CORRUPT);
    assert_int_equal(load(&q, &seen), E_CORRUPT);
    t.fails = true;
    assert_int_equal(check_manifest(&q, &m), E_STORE);
    assert_int_equal(load(&q, &seen), E_STORE);
    assert_int_equal(find_learnt(&q), E_STORE);
    ledger_free(q.kit.ledger);
    assert_int_equal(check_manifest(&p, &m), E_OK);
    assert_int_equal(m.manifest.version, 1);
    process_close(&p);
}

// ---- no memory

static int op_number(struct process *p, unsigned which, struct memory_manifest *manifest)
{
    struct ledger_manifest m = {0};
    struct ledger_memory_commit c = {.manifest = manifest};
    struct seen seen;

    switch (which) {
    case 0: return check_manifest(p, &m);
    case 1: return load(p, &seen);
    case 2: return find_learnt(p);
    default: return commit(p, &c);
    }
}

static void test_memory_commits__no_memory(void **state)
{
    struct learnt l = {.session = SESSION, .upto = 1};
    struct saying s = {.values = (const char *const[]){"likes=tea", NULL}, .human = "likes tea",
                       .learnt = &l};
    struct process p;

    (void)state;
    process_open(&p, "memory:");
    say(&p, &s);
    process_until(&p, &s.done);
    struct memory_manifest manifest = s.change.book->manifest;
    book_release(s.change.book);
    for (unsigned which = 0; which < 4; which++) {
        int code = E_NOMEM;

        for (uint64_t n = 1; code; n++) {
            // A ledger that has no works yet.
            ledger_free(p.kit.ledger);
            struct err err = ERR_INIT;
            struct ledger_env env = {.store = p.kit.store, .vault = p.kit.vault,
                                     .loop = p.kit.loop, .clock = &p.kit.own_clock.clock,
                                     .rand = &p.kit.own_rand.rand};
            assert_int_equal(ledger_new(&p.kit.ledger, &env, &err), E_OK);
            p.worker.ledger = p.kit.ledger;
            mem_fail_at(n, 0);
            code = op_number(&p, which, &manifest);
            mem_fail_at(0, 0);
            assert_true(code == E_OK || code == E_NOMEM);
            assert_true(n < 200);
        }
    }
    process_close(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_memory_commits__much),
        cmocka_unit_test(test_memory_commits__little),
        cmocka_unit_test(test_memory_commits__many_damaged),
        cmocka_unit_test(test_memory_commits__torn),
        cmocka_unit_test(test_memory_commits__no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
