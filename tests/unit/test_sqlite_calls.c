// SPDX-License-Identifier: MIT
// Every single call of SQLite's may fail, in every way that it can: for each n the n-th one does,
// while a store opens, is written and read, and closes. Each op is answered once, with a code of
// its contract; what was acknowledged is there afterwards and what was refused is not; and the
// store goes on.
#include "contract/store_fixture.h"
#include "store/sqlite_int.h"
#include "support/sqlite_calls.h"

#include <unistd.h>

// On a disk of memory, where there is one: the disk has no part in this.
static void contract_url(char *out, size_t size)
{
    char folder[64];
    snprintf(folder, sizeof folder, "%s/parley-calls-XXXXXX",
             access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm");
    assert_non_null(mkdtemp(folder));
    snprintf(out, size, "sqlite:%s/store.db", folder);
}

static void contract_clean(const char *url)
{
    char command[300];
    snprintf(command, sizeof command, "rm -r '%.*s'", (int)(strrchr(url, '/') - url) - 7, url + 7);
    assert_int_equal(system(command), 0);
}

// --- what is played -----------------------------------------------------------------------------

enum { PAIRS_MAX = 16, READS = 6 };
enum fate_of { NEVER_SENT, UNKNOWN, ACKED, REFUSED };

// A commit of two records and a sum, which must agree afterwards.
struct pair {
    struct store_op op;
    struct store_item items[3];
    struct bench *bench;
    char a[8], z[8];
    enum fate_of fate;
};

struct play {
    struct bench *b;
    struct pair pairs[PAIRS_MAX];
    unsigned pairs_len;
    unsigned acked, refused, unknown;
};

static void check_code(const struct store_op *op)
{
    bool damaged = op->code == E_CORRUPT && plan.code == SQLITE_CORRUPT;
    if (op->code != E_OK && op->code != E_STORE && op->code != E_NOMEM && op->code != E_BUSY &&
        !damaged)
        fail_msg("verb %d: %d %s", (int)op->verb, op->code, op->err.message);
    assert_true(op->code == E_OK || op->err.message[0]);
    assert_true(op->code == E_STORE || !op->ambiguous);
    assert_true(op->code == E_OK || (op->rows_len == 0 && !op->more));
}

static void pair_landed(struct store_op *op)
{
    struct pair *p = (struct pair *)(void *)op;
    check_code(op);
    p->fate = op->code == E_OK ? ACKED : op->ambiguous ? UNKNOWN : REFUSED;
    if (op->code)
        assert_true(p->items[0].version == 0 && p->items[2].version == 0);
    if (--p->bench->pending == 0)
        loop_stop(op->loop);
}

static void send_pair(struct play *play)
{
    struct pair *p = &play->pairs[play->pairs_len++];
    assert_true(play->pairs_len <= PAIRS_MAX);
    p->bench = play->b;
    snprintf(p->a, sizeof p->a, "a%02u", play->pairs_len);
    snprintf(p->z, sizeof p->z, "z%02u", play->pairs_len);
    p->items[0] = put(STORE_INSERT, p->a, 0, "x");
    p->items[1] = put(STORE_ADD, "sum", 0, "");
    p->items[1].count = 1;
    p->items[2] = put(STORE_INSERT, p->z, 0, "x");
    p->items[2].due_at_ms = 5;
    p->op = commit_op(USER, p->items, 3);
    p->op.loop = play->b->loop;
    p->op.done = pair_landed;
    play->b->pending++;
    store_submit(play->b->store, &p->op);
}

// As landed, for what must be a contract's code, or the one that is expected of it anyway.
static void read_landed(struct store_op *op)
{
    struct flight *f = (struct flight *)(void *)op;
    if (op->code != E_CONFLICT && op->code != E_FENCED && op->code != E_REFUSED &&
        op->code != E_ERASED)
        check_code(op);
    store_op_release(op);
    if (--f->bench->pending == 0)
        loop_stop(op->loop);
}

static void send(struct play *play, struct flight *f, struct store_op op)
{
    f->op = op;
    f->bench = play->b;
    f->op.loop = play->b->loop;
    f->op.done = read_landed;
    play->b->pending++;
    store_submit(play->b->store, &f->op);
}

static void send_reads(struct play *play, struct flight f[READS], const char *partition)
{
    send(play, &f[0], get_op(partition, SLICE_LIT("a01")));
    send(play, &f[1], scan_op(partition, "a", "", 1, false));
    send(play, &f[2], (struct store_op){.verb = STORE_DUE, .before_ms = 9, .limit = 1});
    send(play, &f[3], (struct store_op){.verb = STORE_DUE, .before_ms = 9, .limit = 9,
                                        .partition = slice_str(partition),
                                        .after = SLICE_LIT("z01")});
    send(play, &f[4], (struct store_op){.verb = STORE_PARTITIONS, .limit = 9});
    send(play, &f[5], (struct store_op){.verb = STORE_CLAIM_ALIVE, .key = SLICE_LIT("0")});
}

static struct store_op lease_op(const char *key, const char *holder)
{
    return (struct store_op){.verb = STORE_LEASE, .partition = slice_str(OTHER),
                             .key = slice_str(key), .holder = slice_str(holder), .ttl_ms = 1000};
}

// Several ops in one group: while the writer waits for the first, the others queue up.
static void send_group(struct play *play)
{
    struct flight reads[READS], taken, fenced, lease, drop, erase, late;
    struct lock_file other;
    assert_int_equal(lock_file_open(&other, play->b->url + 7, rand_system(), false, NULL), E_OK);
    assert_true(lock_file_take(&other, 1000));
    send_pair(play);
    send_pair(play);
    send_reads(play, reads, USER);
    send_pair(play);
    taken.item = put(STORE_PUT, "t", 99, "no");  // refused
    send(play, &taken, commit_op(USER, &taken.item, 1));
    fenced.item = put(STORE_PUT, "f", 0, "x");
    struct store_op op = commit_op(USER, &fenced.item, 1);
    op.fence_key = SLICE_LIT("lease");
    op.fence_epoch = 77;
    send(play, &fenced, op);
    send(play, &lease, lease_op("g", "ann"));
    send(play, &drop, (struct store_op){.verb = STORE_DROP, .partition = slice_str(OTHER)});
    send(play, &erase, (struct store_op){.verb = STORE_ERASE, .partition = SLICE_LIT("gone")});
    late.item = put(STORE_PUT, "l", 0, "x");
    send(play, &late, commit_op("gone", &late.item, 1));
    lock_file_drop(&other);
    lock_file_close(&other);
    land(play->b);
}

static void play_all(struct play *play)
{
    struct flight reads[READS], lease, commit;
    send_pair(play);
    land(play->b);
    send_reads(play, reads, OTHER);  // nothing is written there, so they are the reader's
    land(play->b);
    send(play, &lease, lease_op("lease", "ann"));
    land(play->b);
    commit.item = put(STORE_PUT, "p", 0, "x");
    send(play, &commit, commit_op(OTHER, &commit.item, 1));
    land(play->b);
    commit.item = put(STORE_DELETE, "p", 0, "");
    send(play, &commit, commit_op(OTHER, &commit.item, 1));
    land(play->b);
    send_group(play);
    send_pair(play);
    land(play->b);
    send_reads(play, reads, OTHER);
    land(play->b);
}

// Everything that is known of the pairs is so, and stays so.
static void check_pairs(struct play *play)
{
    struct bench *b = play->b;
    int64_t present = 0;
    for (unsigned i = 0; i < play->pairs_len; i++) {
        struct pair *p = &play->pairs[i];
        bool has_a = version_of(b, USER, p->a, "x") == 1, has_z = version_of(b, USER, p->z, "x");
        assert_int_equal(has_a, has_z);
        if (p->fate == UNKNOWN)
            p->fate = has_a ? ACKED : REFUSED;
        assert_int_equal(has_a, p->fate == ACKED);
        present += has_a;
    }
    struct store_op op = get_op(USER, SLICE_LIT("sum"));
    assert_int_equal(run(b, &op), E_OK);
    assert_int_equal(op.rows_len ? op.rows[0].count : 0, present);
    store_op_release(&op);
}

static struct store *open_or_refuse(struct bench *b)
{
    struct store *s = NULL;
    struct err err = ERR_INIT;
    int code = store_open(&s, b->url, &b->env, &err);
    assert_int_equal(code, err.code);
    assert_true(code == E_OK ? s != NULL : !s && err.message[0]);
    assert_true(code == E_OK || code == E_STORE || code == E_NOMEM || code == E_CORRUPT);
    return s;
}

struct totals {
    unsigned places, acked, refused, unknown;
};

// One run with that failure; false when there was no n-th call.
static bool play_with(long n, long steps_after, bool lasting, int code, struct totals *t)
{
    static struct bench b;
    static struct play play;
    memset(&b, 0, sizeof b);
    memset(&play, 0, sizeof play);
    contract_url(b.url, sizeof b.url);
    clock_sim_init(&b.clock, 1700000000000);
    b.log = (struct log){quiet, NULL, LOG_ERROR};
    b.env = (struct store_env){.clock = &b.clock.clock, .rand = rand_system(), .log = &b.log};
    assert_int_equal(loop_new(&b.loop, clock_system(), NULL), E_OK);
    play.b = &b;
    plan_failure(n, steps_after, lasting, code);
    b.store = open_or_refuse(&b);
    bool reached = has_failed();
    if (!b.store) {
        plan_failure(0, 0, false, 0);
        b.store = open_again(&b);
    }
    play_all(&play);
    for (unsigned i = 0; i < play.pairs_len; i++) {
        t->acked += play.pairs[i].fate == ACKED;
        t->refused += play.pairs[i].fate == REFUSED;
        t->unknown += play.pairs[i].fate == UNKNOWN;
    }
    reached |= has_failed();
    if (n % 2) {  // it goes on, or is closed with what fails
        plan_failure(0, 0, false, 0);
        check_pairs(&play);
        assert_int_equal(insert(&b, USER, "after", "x"), E_OK);
    }
    store_free(b.store);
    reached |= has_failed();
    plan_failure(0, 0, false, 0);
    b.store = open_again(&b);
    check_pairs(&play);
    assert_int_equal(insert(&b, USER, "again", "x"), E_OK);
    store_free(b.store);
    loop_free(b.loop);
    contract_clean(b.url);
    t->places++;
    return reached;
}

static void fail_each(const char *what, int code, long steps_after, bool lasting, long stride)
{
    struct totals t = {0};
    long n = 1;
    while (n < 2000 && play_with(n, steps_after, lasting, code, &t))
        n += stride;
    print_message("# calls of SQLite's, %s: %u places, %u acked, %u refused, %u unknown\n", what,
                  t.places, t.acked, t.refused, t.unknown);
    assert_true(n > 100 && n < 2000);
    assert_true(t.acked > 0);
}

static void test_sqlite_calls__out_of_memory(void **state)
{
    (void)state;
    fail_each("out of memory", SQLITE_NOMEM, 0, false, 1);
}

static void test_sqlite_calls__the_disk(void **state)
{
    (void)state;
    fail_each("the disk", SQLITE_IOERR_READ, 0, false, 1);
}

static void test_sqlite_calls__damage(void **state)
{
    (void)state;
    fail_each("damage", SQLITE_CORRUPT, 0, false, 1);
}

static void test_sqlite_calls__busy(void **state)
{
    (void)state;
    fail_each("busy", SQLITE_BUSY, 0, false, 1);
}

// The reopening fails too.
static void test_sqlite_calls__from_then_on(void **state)
{
    (void)state;
    fail_each("the disk, from then on", SQLITE_IOERR_WRITE, 0, true, 5);
}

// A second failure, while the first is being mended.
static void test_sqlite_calls__twice(void **state)
{
    (void)state;
    for (long after = 1; after <= 4; after++) {
        fail_each("out of memory, and again", SQLITE_NOMEM, after, false, 11);
        fail_each("the disk, and again", SQLITE_IOERR_WRITE, after, false, 11);
    }
}

// Read-only stores read on as well.
static void test_sqlite_calls__read_only(void **state)
{
    (void)state;
    static struct bench b;
    struct store_item item = put(STORE_INSERT, "k", 0, "x");
    bool reached = true;
    void *up = NULL;
    bench_up(&up);
    b = *(struct bench *)up;
    assert_int_equal(commit(&b, USER, &item, 1), E_OK);
    store_free(b.store);
    b.env.read_only = true;
    long n = 1;
    for (; reached && n < 200; n++) {
        plan_failure(n, 0, n % 2, n % 3 ? SQLITE_IOERR_READ : SQLITE_NOMEM);
        b.store = open_or_refuse(&b);
        for (int i = 0; b.store && i < 3; i++) {
            struct store_op op = get_op(USER, SLICE_LIT("k"));
            run(&b, &op);
            check_code(&op);
            assert_true(op.code || op.rows_len == 1);
            store_op_release(&op);
        }
        reached = has_failed();
        plan_failure(0, 0, false, 0);
        if (b.store)
            assert_int_equal(version_of(&b, USER, "k", "x"), 1);
        store_free(b.store);
    }
    assert_true(n > 40 && n < 200);
    b.env.read_only = false;
    ((struct bench *)up)->store = open_again(&b);
    bench_down(&up);
}

// A migration that fails leaves a version that it can go on from.
static void test_sqlite_calls__migrating(void **state)
{
    (void)state;
    static const struct schema_step steps[] = {
        {"the first", "CREATE TABLE t(a)"}, {"the second", "INSERT INTO t VALUES (2)"},
        {"the third", "INSERT INTO t VALUES (3)"}};
    static const struct schema newest = {steps, 3};
    static const int codes[] = {SQLITE_IOERR_WRITE, SQLITE_NOMEM, SQLITE_BUSY};
    bool reached = true;
    long n = 0;
    for (; reached && n < 200; n++) {
        char url[128];
        struct buf report = BUF_INIT(1 << 12);
        struct err err = ERR_INIT;
        contract_url(url, sizeof url);
        FILE *f = fopen(url + 7, "w");
        assert_non_null(f);
        fclose(f);
        plan_failure(n / 3 + 1, 0, false, codes[n % 3]);
        int code = sqlite_migrate_with(url + 7, &newest, false, &report, &err);
        reached = has_failed();
        plan_failure(0, 0, false, 0);
        assert_true(code == E_OK ? !reached : err.message[0]);
        int left = sqlite_migrate_with(url + 7, &newest, true, &report, NULL);
        assert_true(left == 0 || (left == 1 && code != E_OK));  // 1: there are steps to take
        assert_int_equal(sqlite_migrate_with(url + 7, &newest, false, &report, NULL), E_OK);
        assert_int_equal(sqlite_migrate_with(url + 7, &newest, true, &report, NULL), 0);
        buf_clear(&report);
        assert_int_equal(sqlite_migrate_with(url + 7, &newest, false, &report, NULL), E_OK);
        assert_non_null(strstr(report.ptr, "version 3: nothing to do"));
        buf_release(&report);
        contract_clean(url);
    }
    assert_true(n > 30 && n < 200);
}

static void test_sqlite_calls__whatever_else(void **state)
{
    (void)state;
    fail_each("locked", SQLITE_LOCKED, 0, false, 1);
    static const int codes[] = {SQLITE_FULL,  SQLITE_READONLY, SQLITE_CANTOPEN,
                                SQLITE_PERM,   SQLITE_AUTH,  SQLITE_NOTADB,   SQLITE_IOERR_NOMEM,
                                SQLITE_ERROR,  SQLITE_MISUSE};
    for (unsigned i = 0; i < sizeof codes / sizeof *codes; i++)
        fail_each(sqlite3_errstr(codes[i]), codes[i], 0, false, 11 + (long)i % 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sqlite_calls__out_of_memory),
        cmocka_unit_test(test_sqlite_calls__the_disk),
        cmocka_unit_test(test_sqlite_calls__damage),
        cmocka_unit_test(test_sqlite_calls__busy),
        cmocka_unit_test(test_sqlite_calls__from_then_on),
        cmocka_unit_test(test_sqlite_calls__twice),
        cmocka_unit_test(test_sqlite_calls__read_only),
        cmocka_unit_test(test_sqlite_calls__migrating),
        cmocka_unit_test(test_sqlite_calls__whatever_else),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
