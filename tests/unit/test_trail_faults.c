// SPDX-License-Identifier: MIT
// test_trail_faults.c: everything that is done with the audit trail, in which the n-th allocation
// or the n-th answer of the store fails, or lies, for every n.
//
// What fails is told; what was acknowledged is in the trail, once. The head never says more than
// there is, and whoever comes next finishes what was left. Who dies between: fault/test_audit.c.
#include "ledger/house.h"
#include "unit/ledger_meddler.h"
#include "unit/trail_kit.h"

enum { NOTES = 7, ENTRIES = 3 };

struct scene {
    const char *name;
    bool feeds;              // notes become entries
    uint32_t appends;        // entries, when it goes through
    int (*play)(struct trail_kit *t);
};

static int append_two(struct trail_kit *t)
{
    struct audit_note notes[] = {{.action = AUDIT_KEYS_ROTATED, .count = 50},
                                 {.action = AUDIT_KEYS_ROTATED, .count = 51, .at_ms = 5}};
    struct ledger_op op;

    kit_ready(&t->k, &op);
    trail_append(t->k.ledger, notes, 2, &op);
    return trail_wait(t, &op);
}

static int load_policy_of(struct trail_kit *t, const char *bot, const char *version,
                          enum audit_detail detail)
{
    struct audit_note note = {.action = AUDIT_POLICY_LOADED, .detail = detail};
    struct ledger_op op;

    snprintf(note.bot, sizeof(note.bot), "%s", bot);
    snprintf(note.policy, sizeof(note.policy), "%s", version);
    kit_ready(&t->k, &op);
    trail_policy(t->k.ledger, &note, &op);
    return trail_wait(t, &op);
}

static int load_policy(struct trail_kit *t, const char *version, enum audit_detail detail)
{
    return load_policy_of(t, "hello", version, detail);
}

static int load_first(struct trail_kit *t)
{
    return load_policy(t, "hello@1", AUDIT_NO_DETAIL);
}

// One that is there already, and then another version.
static int load_others(struct trail_kit *t)
{
    int code = load_policy(t, "hello@0", AUDIT_NO_DETAIL);

    return code ? code : load_policy(t, "hello@2", AUDIT_REDACTION_OFF);
}

static int feed(struct trail_kit *t)
{
    return trail_feed_all(t, NULL);
}

static int accept_trail(struct trail_kit *t)
{
    struct ledger_op op;

    kit_ready(&t->k, &op);
    trail_accept(t->k.ledger, AUDIT_RESTORED, "uid:0", &op);
    return trail_wait(t, &op);
}

static int read_all(struct trail_kit *t)
{
    uint32_t times[1];
    struct trail_counts counts = {.n = 0, .times = times};
    struct trail_read r = {.since_ms = KIT_WALL_MS - 10, .take = trail_take_count, .user = &counts};
    struct ledger_op op;

    kit_ready(&t->k, &op);
    trail_read(t->k.ledger, &r, &op);
    return trail_wait(t, &op);
}

static int check(struct trail_kit *t)
{
    struct ledger_op op;

    buf_clear(&t->report);
    t->check = (struct trail_check){.report = &t->report};
    kit_ready(&t->k, &op);
    trail_check(t->k.ledger, &t->check, &op);
    return trail_wait(t, &op);
}

static int note_one(struct trail_kit *t)
{
    return trail_note(t, 0, NOTES + 1);
}

static const struct scene scenes[] = {
    {"append", false, 2, append_two}, {"first policy", false, 1, load_first},
    {"other policy", false, 1, load_others}, {"feed", true, NOTES, feed},
    {"accept", false, 0, accept_trail}, {"read", false, 0, read_all}, {"check", false, 0, check},
    {"note", false, 0, note_one},
};
enum { SCENES = sizeof(scenes) / sizeof(scenes[0]) };

// What a scene begins with. `half`: a feeder died when its notes were entries, but notes still.
static void prepare(struct trail_kit *t, const struct scene *s)
{
    trail_open(t, "memory:", true);
    for (uint32_t i = 1; i < ENTRIES; i++)
        assert_int_equal(trail_append_one(t, 60 + i), E_OK);
    assert_int_equal(load_policy(t, "hello@0", AUDIT_NO_DETAIL), E_OK);
    for (uint32_t i = 1; s->feeds && i <= NOTES; i++)
        assert_int_equal(trail_note(t, i % TRAIL_USERS, i), E_OK);
}

// Whatever happened: what comes next finishes it, nothing is there twice, and all that was told.
static void assert_recovers(struct trail_kit *t, const struct scene *s, int code)
{
    uint32_t times[NOTES + 2];
    struct trail_counts counts = {.n = NOTES + 2, .times = times};

    // The head names nothing that is not durable, at no time.
    if (trail_problems(t, NULL))
        fail_msg("%s, before anybody comes: %s", s->name, t->report.ptr);
    clock_sim_advance(t->k.clock, 2 * 60 * 1000);  // leases are over
    assert_int_equal(trail_feed_all(t, NULL), E_OK);
    assert_int_equal(trail_append_one(t, 90), E_OK);
    if (trail_problems(t, NULL))
        fail_msg("%s: %s", s->name, t->report.ptr);
    assert_int_equal(t->check.head.n, t->check.entries);
    if (!code)
        assert_true(t->check.entries >= ENTRIES + 1 + s->appends);
    trail_nothing_left(t);
    trail_counted(t, &counts);
    for (uint32_t i = 1; i <= NOTES; i++)
        assert_int_equal(times[i], s->feeds);
}

static void test_trail_faults__no_memory(void **state)
{
    unsigned failures = 0;

    (void)state;
    for (unsigned i = 0; i < SCENES; i++) {
        const struct scene *s = &scenes[i];
        bool over = false;
        for (uint64_t n = 1; !over && n < 1000; n++) {
            struct trail_kit t;
            prepare(&t, s);
            uint64_t before = mem_count();
            mem_fail_at(n, 0);
            int code = s->play(&t);
            over = mem_count() - before < n;
            mem_fail_at(0, 0);
            failures += code == E_NOMEM;
            assert_true(code == E_OK || code == E_NOMEM);
            assert_recovers(&t, s, code);
            trail_close(&t);
        }
        assert_true(over);
    }
    printf("# trail without memory: %u failures told\n", failures);
    assert_true(failures > 100);
}

static void test_trail_faults__the_store_fails(void **state)
{
    unsigned failures = 0, answers = 0;

    (void)state;
    for (unsigned i = 0; i < SCENES; i++) {
        const struct scene *s = &scenes[i];
        for (unsigned how = 0; how < MEDDLE_DAMAGE; how++) {
            bool hit = true;
            for (long n = 1; hit && n < 60; n++) {
                struct trail_kit t;
                struct meddler m;
                prepare(&t, s);
                meddler_init(&m, &t.k);
                m.how = (enum meddling)how;
                m.countdown = n;
                m.lasting = how == MEDDLE_CONFLICT && n % 2;
                int code = s->play(&t);
                hit = m.hit;
                m.countdown = 0;
                m.hit = m.lasting = false;
                answers += hit;
                failures += code != E_OK;
                assert_recovers(&t, s, code);
                meddler_release(&m);
                trail_close(&t);
            }
        }
    }
    printf("# trail on a store that fails: %u answers, %u failures told\n", answers, failures);
    assert_true(answers > 100 && failures > 50);
}

// What a store says falsely is never the end of the process, and never makes what is stored unsound
// once it tells the truth again, or it is told as a problem.
static void test_trail_faults__the_store_lies(void **state)
{
    unsigned answers = 0;

    (void)state;
    for (unsigned i = 0; i < SCENES; i++) {
        const struct scene *s = &scenes[i];
        for (unsigned how = MEDDLE_DAMAGE; how < MEDDLINGS; how++) {
            bool hit = true;
            for (long n = 1; hit && n < 60; n++) {
                struct trail_kit t;
                struct meddler m;
                prepare(&t, s);
                meddler_init(&m, &t.k);
                m.how = (enum meddling)how;
                m.countdown = n;
                m.last_row = n % 2;
                s->play(&t);
                hit = m.hit;
                m.countdown = 0;
                answers += hit;
                assert_int_equal(trail_append_one(&t, 90), E_OK);
                meddler_release(&m);
                trail_close(&t);
            }
        }
    }
    printf("# trail on a store that lies: %u answers\n", answers);
    assert_true(answers > 500);
}

// ---- records, one by one

static int verdict(struct trail_kit *t, const char *partition, const char *key, const char *meta,
                   int64_t due_at_ms)
{
    struct record r = {.partition = slice_str(partition), .key = slice_str(key),
                       .meta = slice_str(meta), .due_at_ms = due_at_ms};
    struct err err = ERR_INIT;

    return house_check(t->k.vault, &r, &err);
}

// What is stored in the trail is ours, and nothing that says or stands otherwise; without memory
// nobody calls it damaged.
static void test_trail_faults__what_is_a_record(void **state)
{
    struct kit_store_op w = {.op = {.verb = STORE_SCAN, .key = SLICE_LIT(""), .limit = 100}};
    struct trail_kit t;

    (void)state;
    prepare(&t, &scenes[0]);
    assert_int_equal(load_policy(&t, "hello@2", AUDIT_REDACTION_OFF), E_OK);
    assert_int_equal(load_policy_of(&t, "quoting", "a \"word\"", AUDIT_NO_DETAIL), E_OK);
    memcpy(t.k.partition, AUDIT_PARTITION, sizeof(AUDIT_PARTITION));
    kit_submit(&t.k, &w);
    assert_int_equal(w.op.rows_len, ENTRIES + 2 + 2);
    for (uint32_t i = 0; i < w.op.rows_len; i++) {
        struct record r = w.op.rows[i];
        struct err err = ERR_INIT;
        int code = E_NOMEM;

        for (uint64_t n = 1; code && n < 100; n++) {
            mem_fail_at(n, 0);
            code = house_check(t.k.vault, &r, &err);
            mem_fail_at(0, 0);
            assert_true(code == E_OK || code == E_NOMEM);
        }
        assert_int_equal(code, E_OK);
        if (slice_starts(r.key, SLICE_LIT("entry/"))) {
            r.due_at_ms = 5;
            assert_int_equal(house_check(t.k.vault, &r, &err), E_CORRUPT);
            r.due_at_ms = 0;
            r.count = 1;
            assert_int_equal(house_check(t.k.vault, &r, &err), E_CORRUPT);
            r.count = 0;
        }
        r.meta.len--;
        assert_int_equal(house_check(t.k.vault, &r, &err), E_CORRUPT);
        r.meta = SLICE_LIT("{}");
        assert_int_equal(house_check(t.k.vault, &r, &err), E_CORRUPT);
        r = w.op.rows[i];
        r.partition = SLICE_LIT(HOUSE_PARTITION);
        assert_int_equal(house_check(t.k.vault, &r, &err), E_CORRUPT);
        r = w.op.rows[i];
        r.key = SLICE_LIT("policy/other");
        assert_int_equal(house_check(t.k.vault, &r, &err), E_CORRUPT);
    }
    store_op_release(&w.op);
    assert_int_equal(verdict(&t, AUDIT_PARTITION, "taken/p/1", "{}", 0), E_OK);
    assert_int_equal(verdict(&t, AUDIT_PARTITION, "taken/p/1", "{\"x\":1}", 0), E_CORRUPT);
    assert_int_equal(verdict(&t, AUDIT_PARTITION, "taken/p", "{}", 0), E_CORRUPT);
    assert_int_equal(verdict(&t, AUDIT_PARTITION, "other", "{}", 0), E_CORRUPT);
    assert_int_equal(verdict(&t, HOUSE_PARTITION, "erasures", "{}", 0), E_CORRUPT);
    assert_int_equal(verdict(&t, HOUSE_PARTITION, "erased/p", "{}", 0), E_CORRUPT);
    assert_int_equal(verdict(&t, HOUSE_PARTITION, "keyring", "{}", 0), E_OK);
    assert_int_equal(verdict(&t, HOUSE_PARTITION, "other", "{}", 0), E_CORRUPT);
    assert_int_equal(verdict(&t, "~nothing", "erasures", "{}", 0), E_CORRUPT);
    trail_close(&t);
}

int main(void)
{
#define TEST(name) cmocka_unit_test(test_trail_faults__##name)
    static const struct CMUnitTest tests[] = {TEST(no_memory), TEST(the_store_fails),
                                              TEST(the_store_lies), TEST(what_is_a_record)};
    // Thousands of small keyrings, each synced: in memory, where there is such a folder.
    if (access("/dev/shm", W_OK) == 0)
        setenv("TMPDIR", "/dev/shm", 0);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
