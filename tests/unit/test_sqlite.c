// SPDX-License-Identifier: MIT
// What the SQLite store promises beyond the contract: several processes, files, schema, views,
// locks, erasure.
#include "contract/sqlite_files.h"
#include "store/sqlite_int.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define PATH(b) path_of((b)->url)

// A folder without a store in it.
static int folder_up(void **state)
{
    struct bench *b = calloc(1, sizeof *b);
    assert_non_null(b);
    contract_url(b->url, sizeof b->url);
    clock_sim_init(&b->clock, 1700000000000);
    b->log = (struct log){quiet, NULL, LOG_ERROR};
    b->env = (struct store_env){.clock = &b->clock.clock, .rand = rand_system(), .log = &b->log};
    assert_int_equal(loop_new(&b->loop, clock_system(), NULL), E_OK);
    *state = b;
    return 0;
}

static void reopen(struct bench *b)
{
    store_free(b->store);
    b->store = open_again(b);
}

static void close_store(struct bench *b)
{
    store_free(b->store);
    b->store = NULL;
}

static void expect_refusal(struct bench *b, const char *url, const char *words)
{
    struct store *s = NULL;
    struct err err = ERR_INIT;
    assert_int_equal(store_open(&s, url, &b->env, &err), E_STORE);
    assert_int_equal(err.code, E_STORE);
    assert_null(s);
    if (!strstr(err.message, words))
        fail_msg("\"%s\" lacks \"%s\"", err.message, words);
}

static sqlite3 *open_raw(struct bench *b)
{
    sqlite3 *db = NULL;
    assert_int_equal(sqlite3_open(PATH(b), &db), SQLITE_OK);
    return db;
}

static void exec_raw(struct bench *b, const char *sql)
{
    sqlite3 *db = open_raw(b);
    char *why = NULL;
    if (sqlite3_exec(db, sql, NULL, NULL, &why) != SQLITE_OK)
        fail_msg("%s: %s", sql, why);
    sqlite3_close(db);
}

// The first row of a query, columns joined by '|'.
static void expect_sql(struct bench *b, const char *sql, const char *expected)
{
    sqlite3 *db = open_raw(b);
    sqlite3_stmt *st = NULL;
    char text[1024] = "";
    if (sqlite3_prepare_v2(db, sql, -1, &st, NULL) != SQLITE_OK)
        fail_msg("%s: %s", sql, sqlite3_errmsg(db));
    if (sqlite3_step(st) == SQLITE_ROW) {
        for (int i = 0; i < sqlite3_column_count(st); i++) {
            const char *value = (const char *)sqlite3_column_text(st, i);
            strcat(strcat(text, i ? "|" : ""), value ? value : "NULL");
        }
    }
    sqlite3_finalize(st);
    sqlite3_close(db);
    assert_string_equal(text, expected);
}

// --- files and refusals -------------------------------------------------------------------------

static void test_sqlite__files_are_private(void **state)
{
    struct bench *b = *state;
    static const char *const ends[] = {"", "-wal", "-shm", "-lock"};
    mode_t before = umask(0);
    b->store = open_again(b);
    umask(before);
    assert_int_equal(insert(b, USER, "k", "x"), E_OK);
    for (int i = 0; i < 4; i++) {
        char name[300];
        struct stat st;
        snprintf(name, sizeof name, "%s%s", PATH(b), ends[i]);
        assert_int_equal(stat(name, &st), 0);
        assert_int_equal(st.st_mode & 0777, 0600);
    }
}

static void test_sqlite__reopen(void **state)
{
    struct bench *b = *state;
    for (int i = 0; i < 5; i++) {
        char key[8];
        snprintf(key, sizeof key, "k%d", i);
        assert_int_equal(insert(b, USER, key, "x"), E_OK);
        reopen(b);
    }
    assert_false(expect_rows(b, scan_op(USER, "", "", 9, false), "k0 k1 k2 k3 k4"));
}

static void test_sqlite__names_what_is_wrong(void **state)
{
    struct bench *b = *state;
    char url[400], folder[300];
    snprintf(folder, sizeof folder, "%s", PATH(b));
    *strrchr(folder, '/') = 0;
    expect_refusal(b, "sqlite:", "write sqlite:PATH");
    snprintf(url, sizeof url, "sqlite:%s", folder);
    expect_refusal(b, url, "a directory");
    snprintf(url, sizeof url, "sqlite:%s/none/store.db", folder);
    expect_refusal(b, url, "a folder that exists");
    expect_refusal(b, "sqlite:/dev/null", "no file");
    expect_refusal(b, "sqlit:x", "did you mean sqlite");
    expect_refusal(b, "store.db", "memory:");
    b->env.read_only = true;
    expect_refusal(b, b->url, "does not exist");
    b->env.read_only = false;
    b->env.must_exist = true;
    expect_refusal(b, b->url, "does not exist");
    assert_int_not_equal(access(PATH(b), F_OK), 0);
}

static void write_file(const char *path, const char *bytes, size_t len)
{
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, len, f), len);
    fclose(f);
}

static void test_sqlite__refuses_what_is_no_store(void **state)
{
    struct bench *b = *state;
    char noise[8192];
    for (size_t i = 0; i < sizeof noise; i++)
        noise[i] = (char)(i * 31 + 7);
    write_file(PATH(b), noise, sizeof noise);
    expect_refusal(b, b->url, "is not a database");
    unlink(PATH(b));
    exec_raw(b, "CREATE TABLE theirs(x)");
    expect_refusal(b, b->url, "another program");
    expect_sql(b, "PRAGMA journal_mode", "delete");  // untouched
}

static void test_sqlite__refuses_a_corrupt_header(void **state)
{
    struct bench *b = *state;
    assert_int_equal(insert(b, USER, "k", "x"), E_OK);
    close_store(b);
    int fd = open(PATH(b), O_RDWR);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, "garbage!", 8, 0), 8);
    close(fd);
    expect_refusal(b, b->url, "is not a database");
}

static void test_sqlite__damaged_page_is_told(void **state)
{
    struct bench *b = *state;
    for (int i = 0; i < 200; i++) {
        char key[40];
        snprintf(key, sizeof key, "key-of-some-length-%010d", i);
        assert_int_equal(insert(b, USER, key, "x"), E_OK);
    }
    close_store(b);
    struct stat st;
    assert_int_equal(stat(PATH(b), &st), 0);
    int fd = open(PATH(b), O_RDWR);
    char noise[4096];
    memset(noise, 0xa5, sizeof noise);
    for (off_t at = 10 * 4096; at < st.st_size; at += 4096)
        assert_int_equal(pwrite(fd, noise, sizeof noise, at), sizeof noise);
    close(fd);
    b->store = open_again(b);
    struct store_op op = scan_op(USER, "", "", 1000, false);
    assert_int_equal(run(b, &op), E_CORRUPT);
    assert_non_null(strstr(op.err.message, "damaged"));
    assert_int_equal(op.rows_len, 0);
    assert_false(op.more);
    store_op_release(&op);
}

static void test_sqlite__out_of_memory_at_open(void **state)
{
    struct bench *b = *state;
    for (uint64_t n = 1; n < 12; n++) {
        struct store *s = NULL;
        struct err err = ERR_INIT;
        mem_fail_at(n, 0);
        int code = store_open(&s, b->url, &b->env, &err);
        mem_fail_at(0, 0);
        assert_true(code == E_OK || err.code == code);
        store_free(s);
    }
    b->store = open_again(b);
    assert_int_equal(insert(b, USER, "k", "x"), E_OK);
}

// --- schema -------------------------------------------------------------------------------------

static const struct schema_step two_steps[] = {
    {"the first", "CREATE TABLE t(a)"},
    {"the second", "INSERT INTO t VALUES (2)"},
};
static const struct schema_step bad_step[] = {
    {"the first", "CREATE TABLE t(a)"},
    {"the second", "INSERT INTO t VALUES (2); INSERT INTO nowhere VALUES (3)"},
};
static const struct schema version_1 = {two_steps, 1}, version_2 = {two_steps, 2},
                           version_bad = {bad_step, 2};

static void test_sqlite__empty_file_becomes_a_store(void **state)
{
    struct bench *b = *state;
    write_file(PATH(b), "", 0);
    b->store = open_again(b);
    expect_sql(b, "PRAGMA user_version", "2");
    expect_sql(b, "PRAGMA journal_mode", "wal");
}

static void test_sqlite__refuses_a_newer_schema(void **state)
{
    struct bench *b = *state;
    close_store(b);
    exec_raw(b, "PRAGMA user_version=9");
    expect_refusal(b, b->url, "schema version 9");
    struct buf report = BUF_INIT(1000);
    assert_int_equal(store_migrate(b->url, false, &report, NULL), E_STORE);
    buf_release(&report);
}

static void expect_migration(struct bench *b, const struct schema *schema, bool dry_run,
                             int expected, const char *words)
{
    struct buf report = BUF_INIT(4096);
    struct err err = ERR_INIT;
    assert_int_equal(sqlite_migrate_with(PATH(b), schema, dry_run, &report, &err), expected);
    const char *said = expected < 0 ? err.message : report.ptr;
    if (!strstr(said, words))
        fail_msg("\"%s\" lacks \"%s\"", said, words);
    buf_release(&report);
}

static void test_sqlite__migrates_step_by_step(void **state)
{
    struct bench *b = *state;
    struct store *s = NULL;
    struct err err = ERR_INIT;
    write_file(PATH(b), "", 0);
    expect_migration(b, &version_2, true, 1, "from version 0 to 1: the first\nfrom version 1");
    expect_sql(b, "PRAGMA user_version", "0");
    expect_migration(b, &version_1, false, E_OK, "from version 0 to 1: the first\n");
    // An older one is not migrated by opening it.
    assert_int_equal(sqlite_open_with(&s, PATH(b), &b->env, &version_2, &err), E_STORE);
    assert_non_null(strstr(err.message, "parley migrate"));
    // A step that fails leaves the version before it.
    expect_migration(b, &version_bad, false, E_STORE, "version 2");
    expect_sql(b, "SELECT count(*) FROM t", "0");
    expect_sql(b, "PRAGMA user_version", "1");
    expect_migration(b, &version_2, false, E_OK, "from version 1 to 2: the second\n");
    expect_sql(b, "SELECT a FROM t", "2");
    expect_migration(b, &version_2, false, E_OK, "nothing to do");
}

// A file of the first version, whose partitions knew no erasure.
static void test_sqlite__migrates_a_store_without_erasures(void **state)
{
    struct bench *b = *state;
    const struct schema first = {sqlite_schema.steps, 1};
    write_file(PATH(b), "", 0);
    expect_migration(b, &first, false, E_OK, "from version 0 to 1");
    exec_raw(b, "INSERT INTO partitions VALUES (1, '" USER "'); INSERT INTO records VALUES "
             "(1, 1, 'k', 3, NULL, 0, '{}', CAST('x' AS BLOB))");
    expect_refusal(b, b->url, "parley migrate");
    expect_migration(b, &sqlite_schema, true, 1, "from version 1 to 2: partitions that are");
    expect_migration(b, &sqlite_schema, false, E_OK, "from version 1 to 2: partitions that are");
    expect_migration(b, &sqlite_schema, true, E_OK, "nothing to do");
    b->store = open_again(b);
    assert_int_equal(version_of(b, USER, "k", "x"), 3);
    struct store_item item = put(STORE_PUT, "k", 3, "y");
    assert_int_equal(commit(b, USER, &item, 1), E_OK);
    struct store_op op = {.verb = STORE_ERASE, .partition = slice_str(USER)};
    assert_int_equal(run(b, &op), E_OK);
    assert_int_equal(commit(b, USER, &item, 1), E_ERASED);
}

static void insert_meta(struct bench *b, const char *key, const char *meta)
{
    struct store_item item = put(STORE_INSERT, key, 0, "sealed");
    item.meta = slice_str(meta);
    assert_int_equal(commit(b, USER, &item, 1), E_OK);
}

#define SESSION "01234567-89ab-4cde-8f01-23456789abcd"

static void test_sqlite__views(void **state)
{
    struct bench *b = *state;
    insert_meta(b, "session/" SESSION,
                "{\"bot\":\"hello\",\"status\":\"active\",\"turns\":2,\"tokens\":30,"
                "\"created_at\":1700000000000,\"last_active_at\":1700000060000}");
    insert_meta(b, "turn/" SESSION "/0000000001/0000000000",
                "{\"role\":\"user\",\"at\":1700000000000,\"tokens\":5}");
    insert_meta(b, "turn/" SESSION "/0000000001/0000000001",
                "{\"role\":\"assistant\",\"at\":1700000001000,\"tokens\":7,\"status\":\"done\","
                "\"stop\":\"end\",\"policy\":\"hello@1\",\"provider\":\"scripted\",\"model\":\"m\","
                "\"input_tokens\":12,\"output_tokens\":7,\"cost_nusd\":2500000}");
    insert_meta(b, "turn/" SESSION "/0000000012/0000000000", "{\"role\":\"user\",\"at\":0}");
    insert_meta(b, "turn/" SESSION "/0000000013/0000000000", "not JSON");
    insert_meta(b, "attempt/" SESSION "/0000000001/0000000001",
                "{\"status\":\"done\",\"bot\":\"hello\",\"provider\":\"scripted\",\"model\":\"m\","
                "\"http\":200,\"at\":1700000000000,\"input_tokens\":12,\"output_tokens\":7,"
                "\"cost_nusd\":2500000}");
    insert_meta(b, "attempt/" SESSION "/0000000001/0000000002",
                "{\"status\":\"lost\",\"bot\":\"hello\",\"provider\":\"scripted\",\"model\":\"m\","
                "\"at\":1700000000000,\"input_tokens\":8,\"output_tokens\":0,\"estimated\":true}");
    expect_sql(b, "SELECT * FROM sessions", USER "|" SESSION
               "|hello|active|2|30|2023-11-14 22:13:20|2023-11-14 22:14:20|NULL");
    expect_sql(b, "SELECT count(*) FROM turns", "2");
    expect_sql(b, "SELECT * FROM turns ORDER BY turn", USER "|" SESSION
               "|1|2023-11-14 22:13:20|done|end|2|hello@1|scripted|m|12|7|0.0025");
    expect_sql(b, "SELECT turn, status, stop, steps FROM turns ORDER BY turn DESC",
               "12|open|NULL|1");
    expect_sql(b, "SELECT * FROM usage ORDER BY attempt", USER "|" SESSION
               "|1|1|2023-11-14 22:13:20|done|hello|scripted|m|200|12|0|0|7|0.0025|0");
    expect_sql(b, "SELECT attempt, status, cost_usd, estimated FROM usage ORDER BY attempt DESC",
               "2|lost|NULL|1");
    expect_sql(b, "SELECT * FROM usage_by_day", "2023-11-14|hello|scripted|m|2|20|0|0|7|0.0025|1");
}

// --- read-only ----------------------------------------------------------------------------------

static void test_sqlite__read_only(void **state)
{
    struct bench *b = *state;
    assert_int_equal(insert(b, USER, "k", "x"), E_OK);
    b->env.read_only = true;
    reopen(b);
    assert_string_equal(store_claim(b->store), "");
    assert_int_equal(version_of(b, USER, "k", "x"), 1);
    struct store_item item = put(STORE_PUT, "k", 0, "no");
    assert_int_equal(commit(b, USER, &item, 1), E_REFUSED);
    struct store_op op = {.verb = STORE_DROP, .partition = slice_str(USER)};
    assert_int_equal(run(b, &op), E_REFUSED);
    assert_int_equal(version_of(b, USER, "k", "x"), 1);
}

// A copy of the file alone, where no file can be made beside it: a directory stands in the way.
static void test_sqlite__read_only_copy(void **state)
{
    struct bench *b = *state;
    char name[300];
    assert_int_equal(insert(b, USER, "k", "x"), E_OK);
    close_store(b);
    snprintf(name, sizeof name, "%s-wal", PATH(b));
    unlink(name);
    snprintf(name, sizeof name, "%s-shm", PATH(b));
    unlink(name);
    assert_int_equal(mkdir(name, 0700), 0);
    b->env.read_only = true;
    b->store = open_again(b);
    assert_int_equal(version_of(b, USER, "k", "x"), 1);
    close_store(b);
    assert_int_equal(rmdir(name), 0);
}

// --- several processes --------------------------------------------------------------------------

enum { PROCESSES = 2, COMMITS = 2000, IN_FLIGHT = 16 };

struct counting {
    struct store_op op;
    struct store_item item;
    struct bench *bench;
    int *left, *failed;
};

static void count_on(struct store_op *op)
{
    struct counting *c = (struct counting *)(void *)op;
    *c->failed += op->code != E_OK;
    if (*c->left == 0) {
        if (--c->bench->pending == 0)
            loop_stop(op->loop);
        return;
    }
    --*c->left;
    c->item = put(STORE_ADD, "sum", 0, "");
    c->item.count = 1;
    c->op = commit_op(USER, &c->item, 1);
    c->op.loop = c->bench->loop;
    c->op.done = count_on;
    store_submit(c->bench->store, &c->op);
}

// In a process of its own, with nothing inherited but the URL.
static _Noreturn void count_in_child(const char *url)
{
    struct bench b = {.env = {.clock = clock_system(), .rand = rand_system()}};
    static struct counting slots[IN_FLIGHT];
    int left = COMMITS, failed = 0;
    if (loop_new(&b.loop, clock_system(), NULL) || store_open(&b.store, url, &b.env, NULL))
        _exit(2);
    for (int i = 0; i < IN_FLIGHT; i++) {
        slots[i] = (struct counting){.bench = &b, .left = &left, .failed = &failed};
        b.pending++;
        count_on(&slots[i].op);
    }
    loop_run(b.loop);
    store_free(b.store);
    loop_free(b.loop);
    _exit(failed ? 1 : 0);
}

static void test_sqlite__two_processes_lose_nothing(void **state)
{
    struct bench *b = *state;
    pid_t children[PROCESSES];
    for (int i = 0; i < PROCESSES; i++) {
        children[i] = fork();
        assert_true(children[i] >= 0);
        if (children[i] == 0)
            count_in_child(b->url);
    }
    for (int i = 0; i < PROCESSES; i++) {
        int status = 0;
        assert_int_equal(waitpid(children[i], &status, 0), children[i]);
        assert_int_equal(status, 0);
    }
    b->store = open_again(b);
    struct store_op op = get_op(USER, SLICE_LIT("sum"));
    assert_int_equal(run(b, &op), E_OK);
    assert_int_equal(op.rows[0].count, PROCESSES * COMMITS);
    assert_int_equal(op.rows[0].version, PROCESSES * COMMITS);
    store_op_release(&op);
    expect_sql(b, "PRAGMA integrity_check", "ok");
}

static bool alive(struct bench *b, const char *claim)
{
    struct store_op op = {.verb = STORE_CLAIM_ALIVE, .key = slice_str(claim)};
    assert_int_equal(run(b, &op), E_OK);
    return op.alive;
}

static void test_sqlite__claims_die_with_their_process(void **state)
{
    struct bench *b = *state;
    int told[2];
    assert_int_equal(pipe(told), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct store *s = NULL;
        struct store_env env = {.clock = clock_system(), .rand = rand_system()};
        if (store_open(&s, b->url, &env, NULL) || write(told[1], store_claim(s), 16) != 16)
            _exit(2);
        for (;;)
            pause();
    }
    char claim[17] = "";
    assert_int_equal(read(told[0], claim, 16), 16);
    close(told[0]);
    close(told[1]);
    b->store = open_again(b);
    assert_true(alive(b, claim));
    // A read-only store can tell as well.
    b->env.read_only = true;
    reopen(b);
    assert_true(alive(b, claim));
    kill(child, SIGKILL);
    assert_int_equal(waitpid(child, NULL, 0), child);
    assert_false(alive(b, claim));
    b->env.read_only = false;
    reopen(b);
    assert_false(alive(b, claim));
}

static void test_sqlite__busy_is_told_and_passes(void **state)
{
    struct bench *b = *state;
    struct lock_file other;
    assert_int_equal(lock_file_open(&other, PATH(b), rand_system(), false, NULL), E_OK);
    assert_true(lock_file_take(&other, 0));
    struct store_item item = put(STORE_INSERT, "k", 0, "x");
    struct store_op op = commit_op(USER, &item, 1);
    assert_int_equal(run(b, &op), E_STORE);
    assert_false(op.ambiguous);
    assert_non_null(strstr(op.err.message, "the store is busy"));
    assert_non_null(strstr(op.err.message, "try again"));
    assert_int_equal(version_of(b, USER, "k", NULL), 0);  // reads go on
    expect_refusal(b, b->url, "busy");
    lock_file_drop(&other);
    assert_int_equal(run(b, &op), E_OK);
    lock_file_close(&other);
}

// Somebody who does not know our lock file, such as a person with the sqlite3 shell.
static void test_sqlite__foreign_transaction_is_busy(void **state)
{
    struct bench *b = *state;
    sqlite3 *db = open_raw(b);
    assert_int_equal(sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    struct store_item item = put(STORE_INSERT, "k", 0, "x");
    struct store_op op = commit_op(USER, &item, 1);
    assert_int_equal(run(b, &op), E_STORE);
    assert_false(op.ambiguous);
    assert_int_equal(sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
    assert_int_equal(run(b, &op), E_OK);
}

// --- what stays on the disk ---------------------------------------------------------------------

static bool file_holds(const char *path, const char *end, const char *words)
{
    char name[300];
    snprintf(name, sizeof name, "%s%s", path, end);
    FILE *f = fopen(name, "rb");
    if (!f)
        return false;
    static char bytes[8 << 20];
    size_t len = fread(bytes, 1, sizeof bytes, f);
    fclose(f);
    return memmem(bytes, len, words, strlen(words)) != NULL;
}

static void test_sqlite__dropped_bytes_are_gone(void **state)
{
    struct bench *b = *state;
    assert_int_equal(insert(b, USER, "k", "CANARY-IN-THE-MINE"), E_OK);
    assert_int_equal(insert(b, OTHER, "k", "STAYS-WHERE-IT-IS"), E_OK);
    assert_true(file_holds(PATH(b), "-wal", "CANARY-IN-THE-MINE"));
    struct store_op op = {.verb = STORE_DROP, .partition = slice_str(USER)};
    assert_int_equal(run(b, &op), E_OK);
    // The WAL is emptied before the next group.
    assert_int_equal(insert(b, OTHER, "k2", "x"), E_OK);
    assert_false(file_holds(PATH(b), "-wal", "CANARY-IN-THE-MINE"));
    assert_false(file_holds(PATH(b), "", "CANARY-IN-THE-MINE"));
    assert_false(file_holds(PATH(b), "", USER));
    assert_true(file_holds(PATH(b), "", "STAYS-WHERE-IT-IS"));
}

// At once, for more than a page of records; its name alone stays, which closes it.
static void test_sqlite__erased_bytes_are_gone(void **state)
{
    struct bench *b = *state;
    char key[40];
    for (int i = 0; i < 200; i++) {
        snprintf(key, sizeof key, "CANARY-KEY/%d", i);
        assert_int_equal(insert(b, USER, key, "CANARY-IN-THE-MINE"), E_OK);
        assert_int_equal(insert(b, OTHER, key + 7, "STAYS-WHERE-IT-IS"), E_OK);
    }
    assert_true(file_holds(PATH(b), "-wal", "CANARY"));
    struct store_op op = {.verb = STORE_ERASE, .partition = slice_str(USER)};
    assert_int_equal(run(b, &op), E_OK);
    assert_false(file_holds(PATH(b), "-wal", "STAYS"));
    assert_false(file_holds(PATH(b), "", "CANARY"));
    assert_false(file_holds(PATH(b), "-shm", "CANARY"));
    assert_true(file_holds(PATH(b), "", USER));
    assert_true(file_holds(PATH(b), "", "STAYS-WHERE-IT-IS"));
    struct store_op check = {.verb = STORE_CHECK, .limit = 9};
    assert_int_equal(run(b, &check), E_OK);
    assert_int_equal(check.rows_len, 0);
}

// Pages that were split and merged keep copies of cells that moved: keys in no order make many.
static void test_sqlite__erased_bytes_are_gone_from_split_pages(void **state)
{
    struct bench *b = *state;
    char key[64], body[900];
    for (uint32_t i = 0, chance = 1; i < 1500; i++) {
        chance = chance * 1664525 + 1013904223;
        bool theirs = (chance >> 24) % 3 == 0;
        snprintf(key, sizeof key, "CANARY-KEY/%08x-%08x", chance, i);
        size_t len = 40 + (chance >> 16) % 800;
        memset(body, 'x', len);
        body[len] = 0;
        assert_int_equal(insert(b, theirs ? OTHER : USER, theirs ? key + 7 : key, body), E_OK);
    }
    struct store_op op = {.verb = STORE_ERASE, .partition = slice_str(USER)};
    assert_int_equal(run(b, &op), E_OK);
    assert_false(file_holds(PATH(b), "-wal", "CANARY"));
    assert_false(file_holds(PATH(b), "", "CANARY"));
    struct store_op check = {.verb = STORE_CHECK, .limit = 9};
    assert_int_equal(run(b, &check), E_OK);
    assert_int_equal(check.rows_len, 0);
    assert_int_equal(insert(b, OTHER, "later", "y"), E_OK);
    reopen(b);
    assert_false(file_holds(PATH(b), "", "CANARY"));
    assert_int_equal(version_of(b, OTHER, "later", "y"), 1);
}

// Who reads from before the erasure keeps its bytes in the WAL: that is told, and passes.
static void test_sqlite__erase_tells_of_readers(void **state)
{
    struct bench *b = *state;
    assert_int_equal(insert(b, USER, "k", "CANARY-IN-THE-MINE"), E_OK);
    sqlite3 *db = NULL;
    assert_int_equal(sqlite3_open(PATH(b), &db), SQLITE_OK);
    const char *begin = "BEGIN; SELECT count(*) FROM records";
    assert_int_equal(sqlite3_exec(db, begin, NULL, NULL, NULL), SQLITE_OK);
    struct store_op op = {.verb = STORE_ERASE, .partition = slice_str(USER)};
    assert_int_equal(run(b, &op), E_BUSY);
    assert_int_equal(insert(b, USER, "k", "x"), E_ERASED);
    assert_int_equal(run(b, &op), E_BUSY);
    assert_true(file_holds(PATH(b), "-wal", "CANARY-IN-THE-MINE"));
    sqlite3_close(db);
    assert_int_equal(run(b, &op), E_OK);
    assert_false(file_holds(PATH(b), "-wal", "CANARY-IN-THE-MINE"));
    assert_false(file_holds(PATH(b), "", "CANARY-IN-THE-MINE"));
}

enum { MANY = 4500, MANY_PER_COMMIT = 50 };  // more than a few pieces of an erasure

static void insert_many(struct bench *b)
{
    struct store_item items[MANY_PER_COMMIT];
    char keys[MANY_PER_COMMIT][32];
    for (int i = 0; i < MANY; i += MANY_PER_COMMIT) {
        for (int n = 0; n < MANY_PER_COMMIT; n++) {
            snprintf(keys[n], sizeof keys[n], "CANARY-KEY/%d", i + n);
            items[n] = put(STORE_INSERT, keys[n], 0, "CANARY-IN-THE-MINE");
            items[n].due_at_ms = 5;
        }
        assert_int_equal(commit(b, USER, items, MANY_PER_COMMIT), E_OK);
    }
}

static void expect_all_gone(struct bench *b)
{
    expect_sql(b, "SELECT count(*) FROM records r JOIN partitions p ON p.id = partition_id "
               "WHERE p.erased", "0");
    assert_false(file_holds(PATH(b), "", "CANARY"));
    assert_false(file_holds(PATH(b), "-wal", "CANARY"));
}

// Submits an erasure, and a commit of somebody else's behind it, while nobody may write yet.
static void submit_both(struct bench *b, struct store_op *erasure, struct store_op *late)
{
    sqlite3 *db = open_raw(b);
    assert_int_equal(sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    erasure->loop = late->loop = b->loop;
    store_submit(b->store, erasure);
    store_submit(b->store, late);
    assert_int_equal(sqlite3_exec(db, "COMMIT", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
}

static bool late_came;

static void note_late(struct store_op *op)
{
    (void)op;
    late_came = true;
}

static void expect_late_came(struct store_op *op)
{
    assert_true(late_came);
    loop_stop(op->loop);
}

// What others ask for meanwhile does not wait until all is gone.
static void test_sqlite__others_come_between_an_erasure(void **state)
{
    struct bench *b = *state;
    struct store_item item = put(STORE_INSERT, "k", 0, "x");
    struct store_op late = commit_op(OTHER, &item, 1);
    struct store_op op = {.verb = STORE_ERASE, .partition = slice_str(USER)};
    insert_many(b);
    late.done = note_late;
    op.done = expect_late_came;
    late_came = false;
    submit_both(b, &op, &late);
    loop_run(b->loop);
    assert_int_equal(op.code, E_OK);
    assert_int_equal(late.code, E_OK);
    expect_all_gone(b);
    assert_int_equal(version_of(b, OTHER, "k", "x"), 1);
}

// As a crash between two pieces leaves it: closed, with a part still there.
static void test_sqlite__half_erased_is_gone_for_all(void **state)
{
    struct bench *b = *state;
    struct store_op op = {.verb = STORE_ERASE, .partition = slice_str(USER)};
    insert_many(b);
    assert_int_equal(insert(b, OTHER, "k", "x"), E_OK);
    close_store(b);
    exec_raw(b, "UPDATE partitions SET erased = 1 WHERE name = '" USER "'");
    b->store = open_again(b);
    assert_int_equal(insert(b, USER, "new", "x"), E_ERASED);
    assert_false(expect_rows(b, get_op(USER, SLICE_LIT("CANARY-KEY/7")), ""));
    assert_false(expect_rows(b, scan_op(USER, "", "", 9, false), ""));
    assert_false(expect_rows(b, scan_op(USER, "CANARY", "", 9, true), ""));
    struct store_op due = {.verb = STORE_DUE, .before_ms = 10, .limit = 9};
    assert_false(expect_rows(b, due, ""));
    struct store_op partitions = {.verb = STORE_PARTITIONS, .limit = 9};
    assert_false(expect_rows(b, partitions, OTHER));
    // The check tells of it; erasing goes on.
    struct store_op check = {.verb = STORE_CHECK, .limit = 9};
    assert_int_equal(run(b, &check), E_OK);
    assert_int_equal(check.rows_len, 9);
    store_op_release(&check);
    assert_int_equal(run(b, &op), E_OK);
    expect_all_gone(b);
    assert_int_equal(run(b, &check), E_OK);
    assert_int_equal(check.rows_len, 0);
}

static void die(struct store_op *op)
{
    (void)op;
    kill(getpid(), SIGKILL);
}

// Killed when what came between two pieces is done.
static void test_sqlite__erasure_killed_between_pieces(void **state)
{
    struct bench *b = *state;
    struct store_item item = put(STORE_INSERT, "k", 0, "x");
    struct store_op late = commit_op(OTHER, &item, 1);
    struct store_op op = {.verb = STORE_ERASE, .partition = slice_str(USER)};
    int status = 0;
    insert_many(b);
    close_store(b);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        b->store = open_again(b);
        late.done = op.done = die;
        submit_both(b, &op, &late);
        loop_run(b->loop);
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status));
    b->store = open_again(b);
    assert_false(expect_rows(b, scan_op(USER, "", "", 9, false), ""));
    assert_int_equal(insert(b, USER, "new", "x"), E_ERASED);
    assert_int_equal(version_of(b, OTHER, "k", "x"), 1);
    assert_int_equal(run(b, &op), E_OK);
    expect_all_gone(b);
}

static void test_sqlite__wal_stays_small(void **state)
{
    struct bench *b = *state;
    char *body = calloc(1, RECORD_BODY_BYTES_MAX), name[300];
    assert_non_null(body);
    for (int i = 0; i < 300; i++) {
        struct store_item item = put(STORE_PUT, "k", 0, "");
        item.body.bytes = slice_of(body, RECORD_BODY_BYTES_MAX);
        assert_int_equal(commit(b, USER, &item, 1), E_OK);
    }
    free(body);
    struct stat st;
    snprintf(name, sizeof name, "%s-wal", PATH(b));
    assert_int_equal(stat(name, &st), 0);
    assert_true(st.st_size < 32 << 20);  // of 75 MiB written
    close_store(b);
    assert_true(stat(name, &st) != 0 || st.st_size == 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_sqlite__##name, bench_up, bench_down)
#define BARE(name) cmocka_unit_test_setup_teardown(test_sqlite__##name, folder_up, bench_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        BARE(files_are_private), TEST(reopen), BARE(names_what_is_wrong),
        BARE(refuses_what_is_no_store), TEST(refuses_a_corrupt_header),
        TEST(damaged_page_is_told), BARE(out_of_memory_at_open),
        BARE(empty_file_becomes_a_store), TEST(refuses_a_newer_schema),
        BARE(migrates_step_by_step), TEST(views), TEST(read_only), TEST(read_only_copy),
        BARE(two_processes_lose_nothing), BARE(claims_die_with_their_process),
        TEST(busy_is_told_and_passes), TEST(foreign_transaction_is_busy),
        BARE(migrates_a_store_without_erasures), TEST(dropped_bytes_are_gone),
        TEST(erased_bytes_are_gone), TEST(erased_bytes_are_gone_from_split_pages),
        TEST(erase_tells_of_readers), TEST(others_come_between_an_erasure),
        TEST(half_erased_is_gone_for_all), TEST(erasure_killed_between_pieces),
        TEST(wal_stays_small),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
