// SPDX-License-Identifier: MIT
// test_sqlite_gather.c: what goes to the WAL in large pieces is what would have gone in small ones:
// others read every commit at once, however it is synced; what is not written is not committed.
#include "contract/sqlite_files.h"

#include "base/mem.h"
#include "store/sqlite_int.h"

// A layer over the WAL, under what gathers: counts, and fails.
static struct {
    sqlite3_io_methods methods;
    const sqlite3_io_methods *real;
    int writes;
    bool fails;
} layer;

struct fixture {
    char url[128];
    struct sqlite_conn conn;
    sqlite3 *other;  // a reader that knows nothing of us
};

static int count_write(sqlite3_file *f, const void *bytes, int len, sqlite3_int64 at)
{
    layer.writes++;
    return layer.fails ? SQLITE_FULL : layer.real->xWrite(f, bytes, len, at);
}

static int count_close(sqlite3_file *f)
{
    f->pMethods = layer.real;
    return layer.real->xClose(f);
}

static void exec(sqlite3 *db, const char *sql)
{
    char *why = NULL;
    if (sqlite3_exec(db, sql, NULL, NULL, &why) != SQLITE_OK)
        fail_msg("%s: %s", sql, why);
}

static int64_t number(sqlite3 *db, const char *sql)
{
    sqlite3_stmt *st = NULL;
    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &st, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(st), SQLITE_ROW);
    int64_t n = sqlite3_column_int64(st, 0);
    sqlite3_finalize(st);
    return n;
}

static int set_up(void **state)
{
    struct fixture *f = *state = calloc(1, sizeof *f);
    sqlite3_file *wal = NULL;
    struct err err = ERR_INIT;
    char *absolute;

    contract_url(f->url, sizeof f->url);
    assert_int_equal(sqlite_find_file(path_of(f->url), true, &absolute, &err), E_OK);
    free(absolute);
    assert_int_equal(conn_open(&f->conn, path_of(f->url), CONN_WRITER, &err), E_OK);
    exec(f->conn.db, "PRAGMA journal_mode=WAL; CREATE TABLE t(id INTEGER PRIMARY KEY, body BLOB)");
    sqlite3_file_control(f->conn.db, "main", SQLITE_FCNTL_JOURNAL_POINTER, (void *)&wal);
    layer.real = wal->pMethods;
    layer.methods = *wal->pMethods;
    layer.methods.xWrite = count_write;
    layer.methods.xClose = count_close;
    wal->pMethods = &layer.methods;
    sqlite_gather_begin(&f->conn);
    assert_non_null(f->conn.gather);
    assert_int_equal(sqlite3_open(path_of(f->url), &f->other), SQLITE_OK);
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    sqlite3_close(f->other);
    conn_close(&f->conn);
    contract_clean(f->url);
    free(f);
    return 0;
}

// Rows of many sizes, up to more than is gathered at once, in one transaction.
static void add(struct fixture *f, int rows, int bytes, const char *end)
{
    char sql[160];
    exec(f->conn.db, "BEGIN IMMEDIATE");
    for (int i = 0; i < rows; i++) {
        snprintf(sql, sizeof sql, "INSERT INTO t(body) VALUES(randomblob(%d))", bytes * (i + 1));
        exec(f->conn.db, sql);
    }
    exec(f->conn.db, end);
}

static void assert_others_see(struct fixture *f, int64_t rows)
{
    assert_int_equal(number(f->other, "SELECT count(*) FROM t"), rows);
    assert_int_equal(number(f->other, "SELECT count(*) FROM pragma_integrity_check "
                                      "WHERE integrity_check = 'ok'"), 1);
}

static void test_gather__others_see_each_commit_at_once(void **state)
{
    static const char *const syncs[] = {"PRAGMA synchronous=FULL", "PRAGMA synchronous=NORMAL",
                                        "PRAGMA synchronous=OFF"};
    struct fixture *f = *state;
    int64_t rows = 0;
    for (int i = 0; i < 3; i++) {
        exec(f->conn.db, syncs[i]);
        for (int n = 1; n <= 4; n++) {
            add(f, n * 3, 10 << (n * 3), "COMMIT");
            assert_others_see(f, rows += n * 3);
        }
    }
}

static void test_gather__what_does_not_fit_in_the_cache_is_read_back(void **state)
{
    struct fixture *f = *state;
    exec(f->conn.db, "PRAGMA cache_size=4");
    add(f, 40, 2000, "COMMIT");
    assert_others_see(f, 40);
    exec(f->conn.db, "BEGIN IMMEDIATE; UPDATE t SET body = randomblob(length(body))");
    int64_t bytes = number(f->conn.db, "SELECT sum(length(body)) FROM t");
    assert_int_equal(bytes, number(f->other, "SELECT sum(length(body)) FROM t"));
    exec(f->conn.db, "ROLLBACK");
    assert_others_see(f, 40);
    add(f, 40, 1000, "ROLLBACK");
    add(f, 3, 1000, "COMMIT");
    assert_others_see(f, 43);
    exec(f->conn.db, "PRAGMA wal_checkpoint(TRUNCATE)");
    assert_others_see(f, 43);
    add(f, 3, 1000, "COMMIT");
    assert_others_see(f, 46);
}

// Who writes next writes where the transaction that was taken back had: nothing of that one may
// come later. Read by who has nothing of it in its memory.
static void test_gather__what_is_taken_back_is_written_over_nobody(void **state)
{
    struct fixture *f = *state;
    exec(f->conn.db, "PRAGMA cache_size=4");
    add(f, 10, 1000, "COMMIT");
    for (int others = 1; others <= 4; others++) {
        sqlite3 *fresh = NULL;
        // So that nothing is read of the WAL while it is taken back.
        exec(f->conn.db, "PRAGMA wal_checkpoint(TRUNCATE)");
        add(f, 14, 2000, "ROLLBACK");
        exec(f->other, "INSERT INTO t(body) VALUES(hex(zeroblob(100000)))");
        assert_int_equal(number(f->conn.db, "SELECT count(*) FROM t"), 10 + others);
        assert_int_equal(sqlite3_open(path_of(f->url), &fresh), SQLITE_OK);
        assert_int_equal(number(fresh, "SELECT count(*) FROM t "
                                       "WHERE body = hex(zeroblob(100000))"), others);
        sqlite3_close(fresh);
        assert_others_see(f, 10 + others);
    }
}

static void test_gather__a_commit_is_one_write_or_a_few(void **state)
{
    struct fixture *f = *state;
    add(f, 1, 100, "COMMIT");
    layer.writes = 0;
    add(f, 20, 400, "COMMIT");  // some 20 pages
    assert_int_equal(layer.writes, 1);
}

static void test_gather__what_is_not_written_is_not_committed(void **state)
{
    struct fixture *f = *state;
    add(f, 5, 1000, "COMMIT");
    for (int pages = 1; pages <= 100; pages += 33) {
        layer.fails = true;
        exec(f->conn.db, "BEGIN IMMEDIATE");
        char sql[80];
        snprintf(sql, sizeof sql, "INSERT INTO t(body) VALUES(randomblob(%d))", pages * 4000);
        exec(f->conn.db, sql);
        assert_int_equal(sqlite3_exec(f->conn.db, "COMMIT", NULL, NULL, NULL), SQLITE_FULL);
        layer.fails = false;
        assert_others_see(f, 5);
        if (!sqlite3_get_autocommit(f->conn.db))
            exec(f->conn.db, "ROLLBACK");
        assert_int_equal(number(f->conn.db, "SELECT count(*) FROM t"), 5);
    }
    add(f, 2, 1000, "COMMIT");
    assert_others_see(f, 7);
}

static sqlite3_file *file_of(struct fixture *f, int which)
{
    sqlite3_file *file = NULL;
    sqlite3_file_control(f->conn.db, "main", which, (void *)&file);
    return file;
}

// What cannot be written is told by whatever comes next, and is not tried again.
static void test_gather__whatever_comes_next_tells(void **state)
{
    struct fixture *f = *state;
    sqlite3_file *wal = file_of(f, SQLITE_FCNTL_JOURNAL_POINTER);
    sqlite3_file *db = file_of(f, SQLITE_FCNTL_FILE_POINTER);
    const sqlite3_io_methods *m = wal->pMethods;
    char bytes[8] = "abcdefg", got[8] = "";
    sqlite3_int64 size = 0, end = 0;
    assert_int_equal(m->xFileSize(wal, &end), SQLITE_OK);
    for (int what = 0; what < 7; what++) {
        layer.fails = true;
        assert_int_equal(m->xWrite(wal, bytes, 4, end), SQLITE_OK);
        assert_int_equal(m->xWrite(wal, bytes + 4, 4, end + 4), SQLITE_OK);
        if (what == 6)
            db->pMethods->xShmBarrier(db);
        int rc = what == 0   ? m->xRead(wal, got, 8, end)
                 : what == 1 ? m->xTruncate(wal, end)
                 : what == 2 ? m->xSync(wal, SQLITE_SYNC_FULL)
                 : what == 3 ? m->xFileSize(wal, &size)
                 : what == 4 ? m->xFileControl(wal, SQLITE_FCNTL_HAS_MOVED, &rc)
                             : m->xWrite(wal, bytes, 4, end + (what == 5 ? 32 : 8));
        assert_int_equal(rc, SQLITE_FULL);
        layer.fails = false;
        assert_int_equal(m->xFileSize(wal, &size), SQLITE_OK);
        assert_int_equal(size, end);
    }
    assert_int_equal(m->xWrite(wal, bytes, 8, end), SQLITE_OK);
    assert_int_equal(m->xRead(wal, got, 8, end), SQLITE_OK);
    assert_memory_equal(got, bytes, 8);
    int moved = 1;
    assert_int_equal(m->xFileControl(wal, SQLITE_FCNTL_HAS_MOVED, &moved), SQLITE_OK);
    assert_int_equal(m->xTruncate(wal, end), SQLITE_OK);
}

static void test_gather__where_it_cannot_be_sqlite_writes_itself(void **state)
{
    struct fixture *f = *state;
    struct sqlite_conn plain = {0};
    struct err err = ERR_INIT;
    assert_int_equal(conn_open(&plain, path_of(f->url), CONN_WRITER, &err), E_OK);
    mem_fail_at(1, 0);
    sqlite_gather_begin(&plain);
    mem_fail_at(0, 0);
    assert_null(plain.gather);
    exec(plain.db, "INSERT INTO t(body) VALUES('x')");
    conn_close(&plain);
    assert_others_see(f, 1);
    // Another journal than the WAL, in which there is nothing to gather.
    sqlite3_file *db = file_of(f, SQLITE_FCNTL_FILE_POINTER);
    sqlite3_close(f->other);
    exec(f->conn.db, "PRAGMA journal_mode=DELETE");
    db->pMethods->xShmBarrier(db);
    assert_int_equal(sqlite3_open(path_of(f->url), &f->other), SQLITE_OK);
    add(f, 2, 100, "COMMIT");
    assert_others_see(f, 3);
    assert_int_equal(conn_open(&plain, path_of(f->url), CONN_WRITER, &err), E_OK);
    sqlite_gather_begin(&plain);
    assert_null(plain.gather);
    sqlite3_busy_timeout(plain.db, 0);
    exec(f->conn.db, "BEGIN EXCLUSIVE");
    sqlite_gather_begin(&plain);
    assert_null(plain.gather);
    exec(f->conn.db, "COMMIT");
    conn_close(&plain);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(test_gather__##name, set_up, tear_down)
    static const struct CMUnitTest tests[] = {
        TEST(others_see_each_commit_at_once),
        TEST(what_does_not_fit_in_the_cache_is_read_back),
        TEST(what_is_taken_back_is_written_over_nobody),
        TEST(a_commit_is_one_write_or_a_few),
        TEST(what_is_not_written_is_not_committed),
        TEST(whatever_comes_next_tells),
        TEST(where_it_cannot_be_sqlite_writes_itself),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
