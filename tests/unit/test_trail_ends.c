// SPDX-License-Identifier: MIT
// test_trail_ends.c: where the audit trail ends otherwise than it should: heads that lag, are gone,
// damaged, of another chain or cannot be written; entries that are missing or none; marks and notes
// that nobody can read; leases of others, alive and dead; and the first allocation of each call.
#include "ledger/house.h"
#include "unit/ledger_meddler.h"
#include "unit/trail_kit.h"

#include <fcntl.h>
#include <sys/file.h>

static void in_trail(struct trail_kit *t)
{
    memcpy(t->k.partition, AUDIT_PARTITION, sizeof(AUDIT_PARTITION));
}

// A record as the trail's are: with a meta and nothing else.
static void put_bare(struct trail_kit *t, const char *key, const char *meta)
{
    struct store_item item = {.verb = STORE_PUT, .key = slice_str(key), .meta = slice_str(meta)};
    struct kit_store_op w = {.op = {.verb = STORE_COMMIT, .items = &item, .items_len = 1}};

    in_trail(t);
    kit_submit(&t->k, &w);
    store_op_release(&w.op);
}

static void delete_entry(struct trail_kit *t, const char *key)
{
    in_trail(t);
    kit_delete(&t->k, key);
}

static void open_with(struct trail_kit *t, bool kept, uint32_t entries)
{
    trail_open(t, "memory:", kept);
    for (uint32_t i = 1; i <= entries; i++)
        assert_int_equal(trail_append_one(t, i), E_OK);
}

static void write_file(const char *path, struct slice text)
{
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    assert_int_equal(fwrite(text.ptr, 1, text.len, file), text.len);
    assert_int_equal(fclose(file), 0);
}

// Puts a head that this house signed in place of the one that is there.
static void sign_head(struct trail_kit *t, uint32_t n, const char *hash)
{
    struct buf text = BUF_INIT(4096);
    struct audit_head head = {.n = n};

    memcpy(head.hash, hash, sizeof(head.hash));
    vault_head_write(t->k.vault, &head, &text);
    buf_add_char(&text, '\n');
    write_file(t->head, buf_slice(&text));
    buf_release(&text);
}

static bool says_problem(struct trail_kit *t, const char *text)
{
    return t->report.len && strstr(t->report.ptr, text) != NULL;
}

// ---- heads

// Who appended last died before the head followed: the next one goes on along the chain.
static void test_trail_ends__a_head_that_lags(void **state)
{
    struct meddler m;
    struct trail_kit t;

    (void)state;
    open_with(&t, true, 2);
    trail_sound(&t, 2);
    struct audit_head second = t.check.end;
    assert_int_equal(trail_append_one(&t, 3), E_OK);
    sign_head(&t, 2, second.hash);
    assert_int_equal(trail_append_one(&t, 4), E_OK);
    trail_sound(&t, 4);
    // What reading that entry meets is told, and nothing is called missing.
    for (enum meddling how = MEDDLE_STORE; how <= MEDDLE_NOMEM; how++) {
        sign_head(&t, 2, second.hash);
        meddler_init(&m, &t.k);
        m.how = how;
        m.countdown = 2;
        assert_int_equal(trail_append_one(&t, 9), how == MEDDLE_STORE ? E_STORE : E_NOMEM);
        assert_true(m.hit);
        m.countdown = 0;
        m.hit = false;
        assert_int_equal(trail_append_one(&t, 5), E_OK);
        trail_sound(&t, 5 + how);
    }
    unsigned failures = 0;
    for (uint64_t n = 1; n < 40; n++) {
        sign_head(&t, 2, second.hash);
        mem_fail_at(n, 0);
        int code = trail_append_one(&t, 7);
        mem_fail_at(0, 0);
        failures += code == E_NOMEM;
        assert_true(code == E_OK || code == E_NOMEM);
    }
    assert_true(failures > 3);
    assert_int_equal(trail_append_one(&t, 8), E_OK);
    assert_int_equal(trail_problems(&t, NULL), 0);
    assert_int_equal(t.check.head.n, t.check.entries);
    meddler_release(&m);
    trail_close(&t);
}

// The head stays as it is where the entry that it names is not there, is damaged, or is another.
static void test_trail_ends__a_head_of_another_chain(void **state)
{
    enum { GONE, DAMAGED, ANOTHER, OF_NOTHING_KNOWN, WAYS };

    (void)state;
    for (int way = 0; way < WAYS; way++) {
        char hash[AUDIT_HASH_BYTES];
        struct trail_kit t;

        open_with(&t, true, 2);
        trail_sound(&t, 2);
        memcpy(hash, t.check.end.hash, sizeof(hash));
        assert_int_equal(trail_append_one(&t, 3), E_OK);
        if (way >= ANOTHER)
            memset(hash, 'a', sizeof(hash) - 1);
        sign_head(&t, way == OF_NOTHING_KNOWN ? 0 : 2, hash);
        if (way == GONE)
            delete_entry(&t, "entry/0000000002");
        if (way == DAMAGED)
            put_bare(&t, "entry/0000000002", "{\"n\":2}");
        assert_int_equal(trail_append_one(&t, 4), E_OK);
        uint32_t problems = trail_problems(&t, NULL);
        assert_int_equal(t.check.head.n, way == OF_NOTHING_KNOWN ? 0 : 2);
        assert_true(problems > 0 || way == OF_NOTHING_KNOWN);
        if (way == GONE)
            assert_true(says_problem(&t, "entry 2 is not there\n"));
        if (way == DAMAGED)
            assert_true(says_problem(&t, "entry 2 was changed, or is not ours\n"));
        if (way == ANOTHER)
            assert_true(says_problem(&t, "entry 2 is another one than the house's head"));
        trail_close(&t);
    }
}

// The first head is older than the first entry: where it cannot be written nothing is appended.
static void test_trail_ends__a_first_head_that_cannot_be_written(void **state)
{
    char part[TRAIL_PATH_BYTES + 48];
    struct trail_kit t;

    (void)state;
    open_with(&t, true, 0);
    snprintf(part, sizeof(part), "%s.part", t.head);
    assert_int_equal(mkdir(part, 0700), 0);
    assert_int_equal(trail_append_one(&t, 1), E_USAGE);  // a name that no file can have
    assert_int_equal(rmdir(part), 0);
    // Another process that is making it is waited for.
    int fd = open(part, O_RDWR | O_CREAT, 0600);
    assert_true(fd >= 0 && flock(fd, LOCK_EX) == 0);
    assert_int_equal(trail_append_one(&t, 1), E_BUSY);
    close(fd);
    unlink(part);
    assert_int_equal(trail_count(&t, AUDIT_PARTITION, "entry/"), 0);
    assert_int_equal(trail_append_one(&t, 1), E_OK);
    trail_sound(&t, 1);
    trail_close(&t);
}

// A later head that cannot be written does not undo what is durable: it follows the next time.
static void test_trail_ends__a_head_that_cannot_follow(void **state)
{
    char part[TRAIL_PATH_BYTES + 48];
    struct trail_kit t;

    (void)state;
    open_with(&t, true, 1);
    snprintf(part, sizeof(part), "%s.part", t.head);
    int fd = open(part, O_RDWR | O_CREAT, 0600);
    assert_true(fd >= 0 && flock(fd, LOCK_EX) == 0);
    assert_int_equal(trail_append_one(&t, 2), E_OK);
    assert_int_equal(trail_problems(&t, NULL), 0);
    assert_int_equal(t.check.head.n, 1);
    close(fd);
    unlink(part);
    assert_int_equal(mkdir(part, 0700), 0);
    assert_int_equal(trail_append_one(&t, 3), E_OK);
    assert_int_equal(rmdir(part), 0);
    assert_int_equal(trail_append_one(&t, 4), E_OK);
    trail_sound(&t, 4);
    trail_close(&t);
}

// A head that the disk does not give is no head that is missing.
static void test_trail_ends__a_head_that_cannot_be_read(void **state)
{
    struct trail_check c = {0};
    struct ledger_op op;
    struct trail_kit t;

    (void)state;
    open_with(&t, true, 1);
    unlink(t.head);
    assert_int_equal(mkdir(t.head, 0700), 0);
    assert_int_equal(trail_append_one(&t, 2), E_STORE);
    c.report = &t.report;
    kit_ready(&t.k, &op);
    trail_check(t.k.ledger, &c, &op);
    assert_int_equal(kit_wait(&t.k, &op), E_STORE);
    assert_int_equal(rmdir(t.head), 0);
    // One that is damaged is told, and the entries are checked all the same.
    write_file(t.head, SLICE_LIT("{\"n\":1,\n"));
    put_bare(&t, "entry/0000000001", "{}");
    assert_int_equal(trail_problems(&t, NULL), 2);
    assert_true(says_problem(&t, "entry 1 was changed, or is not ours\n"));
    assert_true(says_problem(&t, t.head));
    trail_close(&t);
}

static int last_detail(void *user, const struct audit_entry *e, struct slice json, struct err *err)
{
    (void)json;
    (void)err;
    *(enum audit_detail *)user = e->note.detail;
    return E_OK;
}

// Who accepts may know why; else it is found out.
static void test_trail_ends__why_it_was_accepted(void **state)
{
    enum audit_detail told[] = {AUDIT_RESTORED, AUDIT_NO_DETAIL};

    (void)state;
    for (int i = 0; i < 2; i++) {
        enum audit_detail found = AUDIT_NO_DETAIL;
        struct trail_read r = {.take = last_detail, .user = &found};
        struct ledger_op op;
        struct trail_kit t;

        open_with(&t, true, 3);
        delete_entry(&t, "entry/0000000003");
        kit_ready(&t.k, &op);
        trail_accept(t.k.ledger, told[i], "uid:0", &op);
        assert_int_equal(kit_wait(&t.k, &op), E_OK);
        kit_ready(&t.k, &op);
        trail_read(t.k.ledger, &r, &op);
        assert_int_equal(kit_wait(&t.k, &op), E_OK);
        assert_int_equal(found, i ? AUDIT_ENTRIES_MISSING : AUDIT_RESTORED);
        // Who asks for what was later gets nothing of before.
        found = AUDIT_MODEL;
        r.since_ms = KIT_WALL_MS + 1000000;
        kit_ready(&t.k, &op);
        trail_read(t.k.ledger, &r, &op);
        assert_int_equal(kit_wait(&t.k, &op), E_OK);
        assert_int_equal(found, AUDIT_MODEL);
        trail_close(&t);
    }
}

// ---- entries

static void test_trail_ends__the_last_number_there_is(void **state)
{
    struct trail_kit t;

    (void)state;
    open_with(&t, false, 1);
    put_bare(&t, "entry/4294967295", "{}");
    assert_int_equal(trail_append_one(&t, 2), E_CORRUPT);
    assert_int_equal(trail_count(&t, AUDIT_PARTITION, "entry/"), 2);
    delete_entry(&t, "entry/4294967295");
    assert_int_equal(trail_append_one(&t, 2), E_OK);
    trail_sound(&t, 2);
    trail_close(&t);
}

// An entry of an older chain after one that took its predecessor's place; the control is before.
static void test_trail_ends__an_entry_that_does_not_follow(void **state)
{
    struct kit_store_op w = {.op = {.verb = STORE_GET, .key = SLICE_LIT("entry/0000000003")}};
    char old[2048];
    struct trail_kit t;

    (void)state;
    open_with(&t, false, 3);
    in_trail(&t);
    kit_submit(&t.k, &w);
    assert_int_equal(w.op.rows_len, 1);
    snprintf(old, sizeof(old), "%.*s", SLICE_FMT(w.op.rows[0].meta));
    store_op_release(&w.op);
    put_bare(&t, "entry/0000000003", old);
    trail_sound(&t, 3);
    delete_entry(&t, "entry/0000000003");
    delete_entry(&t, "entry/0000000002");
    assert_int_equal(trail_append_one(&t, 77), E_OK);
    put_bare(&t, "entry/0000000003", old);
    assert_int_equal(trail_problems(&t, NULL), 1);
    assert_true(says_problem(&t, "entry 3 does not follow from the one before it\n"));
    // After one that cannot be read nothing is known of what the next should be bound to.
    put_bare(&t, "entry/0000000002", "{}");
    assert_int_equal(trail_problems(&t, NULL), 1);
    assert_true(says_problem(&t, "entry 2 was changed, or is not ours\n"));
    trail_close(&t);
}

static void test_trail_ends__more_problems_than_are_told(void **state)
{
    char key[32];
    unsigned lines = 0;
    struct trail_kit t;

    (void)state;
    open_with(&t, false, 1);
    for (unsigned i = 0; i < TRAIL_PROBLEMS_MAX + 3; i++) {
        snprintf(key, sizeof(key), "entry/x%u", i);
        put_bare(&t, key, "{}");
    }
    assert_true(trail_problems(&t, NULL) > TRAIL_PROBLEMS_MAX);
    for (size_t i = 0; i < t.report.len; i++)
        lines += t.report.ptr[i] == '\n';
    assert_int_equal(lines, TRAIL_PROBLEMS_MAX + 1);
    assert_true(says_problem(&t, "and 3 more problems\n"));
    trail_close(&t);
}

// ---- the feeder

// A mark that names nothing stops nobody, and stays for a check to tell.
static void test_trail_ends__marks_that_are_none(void **state)
{
    struct trail_kit t;
    char key[160];

    (void)state;
    open_with(&t, true, 0);
    put_bare(&t, "taken/x", "{}");
    snprintf(key, sizeof(key), "taken/%0*d/1", PARTITION_BYTES, 7);
    put_bare(&t, key, "{}");
    snprintf(key, sizeof(key), "taken/p/%0*d", AUDIT_ID_BYTES, 7);
    put_bare(&t, key, "{}");
    assert_int_equal(trail_feed_all(&t, NULL), E_OK);
    assert_int_equal(trail_note(&t, 1, 1), E_OK);
    assert_int_equal(trail_feed_all(&t, NULL), E_OK);
    trail_sound(&t, 1);
    assert_int_equal(trail_count(&t, AUDIT_PARTITION, "taken/"), 3);
    trail_close(&t);
}

// The feeder died before it deleted the notes, and the user was erased since: nothing is left.
static void test_trail_ends__a_mark_of_one_who_was_erased(void **state)
{
    struct kit_store_op erase = {.op = {.verb = STORE_ERASE}};
    char key[160];
    struct trail_kit t;

    (void)state;
    open_with(&t, true, 0);
    assert_int_equal(trail_note(&t, 0, 1), E_OK);
    assert_int_equal(trail_note(&t, 1, 2), E_OK);
    memcpy(t.k.partition, t.users[0].partition, sizeof(t.k.partition));
    kit_submit(&t.k, &erase);
    store_op_release(&erase.op);
    snprintf(key, sizeof(key), "taken/%s/0123456789abcdef", t.users[0].partition);
    put_bare(&t, key, "{}");
    assert_int_equal(trail_feed_all(&t, NULL), E_OK);
    trail_sound(&t, 1);
    trail_nothing_left(&t);
    trail_close(&t);
}

// Nothing but what cannot be read: nothing is fed, and it is counted.
static void test_trail_ends__only_notes_that_cannot_be_read(void **state)
{
    struct trail_feed f = {0};
    struct trail_kit t;

    (void)state;
    open_with(&t, true, 1);
    memcpy(t.k.partition, t.users[0].partition, sizeof(t.k.partition));
    t.k.key = t.users[0].key;
    kit_put(&t.k, AUDIT_OUTBOX "0123456789abcdef", "{}", SLICE_NONE, AUDIT_DUE_MS);
    assert_int_equal(trail_feed_all(&t, &f), E_OK);
    assert_true(f.fed == 0 && f.left == 1 && !f.more);
    trail_sound(&t, 1);
    trail_close(&t);
}

static void test_trail_ends__asked_to_stop(void **state)
{
    struct trail_feed f = {.stop = true};
    struct trail_kit t;

    (void)state;
    open_with(&t, true, 0);
    assert_int_equal(trail_note(&t, 0, 0), E_OK);
    assert_int_equal(trail_feed_all(&t, &f), E_OK);
    assert_true(f.fed == 0 && !f.more);  // too few to begin for
    for (uint32_t i = 1; i < TRAIL_BATCH_NOTES + 5; i++)
        assert_int_equal(trail_note(&t, i % 3, i), E_OK);
    assert_int_equal(trail_feed_all(&t, &f), E_OK);
    assert_true(f.fed == TRAIL_BATCH_NOTES && f.more);
    trail_sound(&t, TRAIL_BATCH_NOTES);
    trail_close(&t);
}

// A store whose cursor never goes on is left after a thousand pages.
static void test_trail_ends__pages_without_end(void **state)
{
    struct trail_feed f = {0};
    struct meddler m;
    struct trail_kit t;

    (void)state;
    open_with(&t, true, 0);
    assert_int_equal(trail_note(&t, 0, 1), E_OK);
    meddler_init(&m, &t.k);
    m.how = MEDDLE_KEY;  // "other/thing"
    m.countdown = 1;
    m.lasting = true;
    assert_int_equal(trail_feed_all(&t, &f), E_OK);
    assert_true(f.more && f.fed == 0);
    m.countdown = 0;
    m.hit = m.lasting = false;
    assert_int_equal(trail_feed_all(&t, &f), E_OK);
    assert_int_equal(f.fed, 1);
    trail_sound(&t, 1);
    meddler_release(&m);
    trail_close(&t);
}

// A row that the store cannot read stays where it is.
static void damaged_row(struct store_op *op);
static void (*damaged_then)(struct store_op *op);

static void damaged_row(struct store_op *op)
{
    op->done = damaged_then;
    if (op->rows_len)
        op->rows[0].version = 0;
    op_fail(op, E_CORRUPT, "a record cannot be read");
    op->done(op);
}

static void damaged_submit(struct store *s, struct store_op *op)
{
    if (op->verb == STORE_DUE) {
        damaged_then = op->done;
        op->done = damaged_row;
    }
    meddler_of(s)->inner->ops->submit(meddler_of(s)->inner, op);
}

static void test_trail_ends__a_note_that_the_store_cannot_read(void **state)
{
    static const struct store_ops ops = {
        .name = "damaged", .submit = damaged_submit, .claim = meddler_claim};
    struct meddler m;
    struct trail_kit t;

    (void)state;
    open_with(&t, true, 0);
    assert_int_equal(trail_note(&t, 0, 1), E_OK);
    assert_int_equal(trail_note(&t, 1, 2), E_OK);
    meddler_init(&m, &t.k);
    m.base.ops = &ops;
    struct trail_feed f = {0};
    assert_int_equal(trail_feed_all(&t, &f), E_OK);
    assert_int_equal(f.fed, 1);
    m.base.ops = &meddler_ops;
    assert_int_equal(trail_feed_all(&t, &f), E_OK);
    assert_int_equal(f.fed, 1);
    trail_sound(&t, 2);
    trail_nothing_left(&t);
    meddler_release(&m);
    trail_close(&t);
}

// ---- whose the lease is

static void hold_lease(struct kit *other)
{
    struct kit_store_op w = {.op = {.verb = STORE_LEASE, .key = SLICE_LIT("feeder"),
                                    .holder = slice_str(store_claim(other->store)),
                                    .ttl_ms = 600000}};

    memcpy(other->partition, AUDIT_PARTITION, sizeof(AUDIT_PARTITION));
    kit_submit(other, &w);
    store_op_release(&w.op);
}

// One who lives is left to it; one who died is not waited for.
static void test_trail_ends__another_process_feeds(void **state)
{
    struct trail_feed f = {0};
    struct trail_kit t;
    struct kit other;

    (void)state;
    trail_open(&t, "memory:trail-ends", true);
    kit_open_beside(&other, &t.k, "memory:trail-ends");
    assert_int_equal(trail_note(&t, 0, 1), E_OK);
    hold_lease(&other);
    assert_int_equal(trail_feed_all(&t, &f), E_BUSY);
    kit_close_store(&other);
    struct meddler m;
    meddler_init(&m, &t.k);
    m.how = MEDDLE_STORE;
    m.countdown = 3;  // asking whether it lives
    assert_int_equal(trail_feed_all(&t, &f), E_STORE);
    assert_true(m.hit && f.fed == 0);
    m.countdown = 0;
    assert_int_equal(trail_feed_all(&t, &f), E_OK);
    assert_int_equal(f.fed, 1);
    trail_sound(&t, 1);
    meddler_release(&m);
    trail_close(&t);
}

// ---- keys that are not at hand

// Another process, with a user of whom this one has not heard yet, who has a note.
static void note_elsewhere(struct trail_kit *t, struct kit *other, const char *url, uint32_t count)
{
    struct vault_options vo = {.rand = &t->k.rand->rand, .path = t->keyring, .no_thread = true};
    struct audit_note note = {.action = AUDIT_OPERATOR_READ, .detail = AUDIT_SHOW, .count = count};
    struct err err = ERR_INIT;
    struct ledger_op op;

    *other = t->k;
    assert_int_equal(vault_open(&other->vault, &vo, &err), E_OK);
    vault_partition(other->vault, SLICE_LIT("zed"), other->partition);
    kit_make_key(other);
    kit_open_store(other, url);
    kit_ready(other, &op);
    audit_record(other->ledger, other->partition, other->key, &note, &op);
    assert_int_equal(kit_wait(other, &op), E_OK);
}

// The feeder asks for the key of whoever has a note. Without memory nothing is called unreadable.
static void test_trail_ends__keys_are_asked_for(void **state)
{
    unsigned failures = 0;

    (void)state;
    for (uint64_t n = 0; n < 60; n++) {
        struct trail_feed f = {0};
        struct trail_kit t;
        struct kit other;
        char url[48];

        snprintf(url, sizeof(url), "memory:trail-keys-%u", (unsigned)n);
        trail_open(&t, url, true);
        assert_int_equal(trail_note(&t, 1, 12), E_OK);
        note_elsewhere(&t, &other, url, 11);
        mem_fail_at(n, 0);
        int code = trail_feed_all(&t, &f);
        mem_fail_at(0, 0);
        failures += code == E_NOMEM;
        assert_true(code == E_OK || (n && code == E_NOMEM));
        assert_true(code || f.fed == 2);
        assert_int_equal(f.left, 0);
        assert_int_equal(trail_problems(&t, NULL), 0);
        clock_sim_advance(t.k.clock, 2 * 60 * 1000);  // a lease that it could not give back is over
        assert_int_equal(trail_feed_all(&t, NULL), E_OK);
        assert_int_equal(trail_append_one(&t, 13), E_OK);  // a head that could not follow, does
        trail_sound(&t, 3);
        kit_close_store(&other);
        vault_free(other.vault);
        trail_close(&t);
    }
    assert_true(failures > 10);
}

static void test_trail_ends__a_note_of_one_whose_key_is_gone(void **state)
{
    struct kit_key wait = {.request = {.done = kit_key_done}};
    struct trail_feed f = {0};
    struct trail_kit t;

    (void)state;
    open_with(&t, true, 1);
    assert_int_equal(trail_note(&t, 0, 1), E_OK);
    assert_int_equal(trail_note(&t, 1, 2), E_OK);
    wait.request.loop = t.k.loop;
    memcpy(wait.request.partition, t.users[0].partition, sizeof(wait.request.partition));
    vault_forget(t.k.vault, &wait.request);
    loop_run(t.k.loop);
    assert_true(wait.done);
    assert_int_equal(wait.request.code, E_OK);
    assert_int_equal(trail_feed_all(&t, &f), E_OK);
    assert_true(f.fed == 1 && f.left == 1);
    trail_sound(&t, 2);
    trail_close(&t);
}

// ---- what a call begins with

static void start(struct trail_kit *t, int which, struct ledger_op *op)
{
    static const struct audit_note note = {.action = AUDIT_KEYS_ROTATED, .bot = "hello"};
    static struct trail_feed feed;
    static const struct trail_read reading;

    switch (which) {
    case 0: trail_append(t->k.ledger, &note, 1, op); break;
    case 1: trail_policy(t->k.ledger, &note, op); break;
    case 2: trail_accept(t->k.ledger, AUDIT_RESTORED, "uid:0", op); break;
    case 3: trail_feed(t->k.ledger, &feed, op); break;
    case 4: trail_read(t->k.ledger, &reading, op); break;
    case 5:
        t->check.report = &t->report;
        trail_check(t->k.ledger, &t->check, op);
        break;
    default: audit_record(t->k.ledger, t->users[0].partition, t->users[0].key, &note, op); break;
    }
}

static void test_trail_ends__no_memory_to_begin_with(void **state)
{
    (void)state;
    for (int which = 0; which < 7; which++) {
        struct ledger_op op;
        struct trail_kit t;

        trail_open(&t, "memory:", true);
        kit_ready(&t.k, &op);
        mem_fail_at(1, 0);  // nothing was done with this ledger before, so it has no work to spare
        start(&t, which, &op);
        mem_fail_at(0, 0);
        assert_int_equal(kit_wait(&t.k, &op), E_NOMEM);
        trail_sound(&t, 0);
        trail_close(&t);
    }
}

// The head is looked for again before it is called missing; what that meets is told.
static void test_trail_ends__looking_for_anything(void **state)
{
    struct ledger_op op;
    struct meddler m;
    struct trail_kit t;

    (void)state;
    open_with(&t, true, 1);
    unlink(t.head);
    meddler_init(&m, &t.k);
    m.how = MEDDLE_STORE;
    m.countdown = 1;
    t.check = (struct trail_check){.report = &t.report};
    kit_ready(&t.k, &op);
    trail_check(t.k.ledger, &t.check, &op);
    assert_int_equal(kit_wait(&t.k, &op), E_STORE);
    assert_int_equal(t.report.len, 0);
    // Nor does the feeder take a store that fails for one that has nothing.
    m.countdown = 2;
    m.hit = false;
    assert_int_equal(trail_feed_all(&t, NULL), E_STORE);
    assert_true(m.hit);
    m.countdown = 0;
    m.hit = false;
    assert_int_equal(trail_problems(&t, NULL), 1);
    meddler_release(&m);
    trail_close(&t);
}

int main(void)
{
#define TEST(name) cmocka_unit_test(test_trail_ends__##name)
    static const struct CMUnitTest tests[] = {
        TEST(a_head_that_lags), TEST(a_head_of_another_chain),
        TEST(a_first_head_that_cannot_be_written), TEST(a_head_that_cannot_follow),
        TEST(a_head_that_cannot_be_read), TEST(why_it_was_accepted),
        TEST(the_last_number_there_is), TEST(an_entry_that_does_not_follow),
        TEST(more_problems_than_are_told), TEST(marks_that_are_none),
        TEST(a_mark_of_one_who_was_erased), TEST(only_notes_that_cannot_be_read),
        TEST(asked_to_stop), TEST(pages_without_end), TEST(a_note_that_the_store_cannot_read),
        TEST(another_process_feeds), TEST(keys_are_asked_for),
        TEST(a_note_of_one_whose_key_is_gone), TEST(no_memory_to_begin_with),
        TEST(looking_for_anything)};
    // Small keyrings, each synced: in memory, where there is such a folder.
    if (access("/dev/shm", W_OK) == 0)
        setenv("TMPDIR", "/dev/shm", 0);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
