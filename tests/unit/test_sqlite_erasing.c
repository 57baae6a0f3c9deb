// SPDX-License-Identifier: MIT
// test_sqlite_erasing.c: an erasure where what it needs fails: each call of SQLite's, each
// allocation, the file and the WAL under it. Either it is told, and asking again ends it, or
// nothing of what was erased is left in the file; what others have stays.
//
// sqlite3_changes and sqlite3_file_control are defined here, in front of the library's.
#define SQLITE_FILES_LIGHT
#include "contract/sqlite_files.h"
#include "store/sqlite_int.h"
#include "support/sqlite_calls.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#define PATH(b) path_of((b)->url)
#define CANARY "CANARY-IN-THE-MINE"

static atomic_bool changes_nothing;  // a deletion finds no row

int sqlite3_changes(sqlite3 *db)
{
    static int (*real)(sqlite3 *);
    if (!real)
        *(void **)&real = dlsym(RTLD_NEXT, "sqlite3_changes");
    return atomic_load(&changes_nothing) ? 0 : real(db);
}

// What is told of the files under a connection, for one erasure.
struct odd_files {
    sqlite3_file *file, *wal;  // instead of its own, where `has_` says so
    bool has_file, has_wal;
    int rc;                    // what asking for the WAL fails with
};
static struct odd_files odd;

int sqlite3_file_control(sqlite3 *db, const char *name, int op, void *arg)
{
    static int (*real)(sqlite3 *, const char *, int, void *);
    if (!real)
        *(void **)&real = dlsym(RTLD_NEXT, "sqlite3_file_control");
    if (op == SQLITE_FCNTL_JOURNAL_POINTER && odd.rc != SQLITE_OK)
        return odd.rc;
    if ((op == SQLITE_FCNTL_JOURNAL_POINTER && odd.has_wal) ||
        (op == SQLITE_FCNTL_FILE_POINTER && odd.has_file)) {
        *(sqlite3_file **)arg = op == SQLITE_FCNTL_FILE_POINTER ? odd.file : odd.wal;
        return SQLITE_OK;
    }
    return real(db, name, op, arg);
}

enum { RECORDS = 5 };

static void fill(struct bench *b, const char *partition)
{
    for (int i = 0; i < RECORDS; i++) {
        char key[16];
        snprintf(key, sizeof key, "k%d", i);
        assert_int_equal(insert(b, partition, key, CANARY), E_OK);
    }
}

static int erase(struct bench *b, const char *partition)
{
    struct store_op op = {.verb = STORE_ERASE, .partition = slice_str(partition)};
    return run(b, &op);
}

static bool file_holds(struct bench *b, const char *end, const char *what)
{
    char name[300];
    struct stat st;
    snprintf(name, sizeof name, "%s%s", PATH(b), end);
    int fd = open(name, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    assert_int_equal(fstat(fd, &st), 0);
    char *bytes = malloc((size_t)st.st_size + 1);
    assert_non_null(bytes);
    ssize_t len = read(fd, bytes, (size_t)st.st_size);
    close(fd);
    assert_int_equal(len, st.st_size);
    bool holds = memmem(bytes, (size_t)len, what, strlen(what)) != NULL;
    free(bytes);
    return holds;
}

// Asked again, it is done, whatever became of it before.
static void expect_erased(struct bench *b, const char *partition)
{
    assert_int_equal(erase(b, partition), E_OK);
    assert_false(file_holds(b, "", CANARY));
    assert_false(file_holds(b, "-wal", CANARY));
    assert_int_equal(insert(b, partition, "new", "x"), E_ERASED);
    assert_int_equal(version_of(b, OTHER, "k", "stays"), 1);
}

// A partition of its own for each round.
static const char *next_partition(void)
{
    static char name[33];
    static unsigned n;
    snprintf(name, sizeof name, "%032x", n++);
    return name;
}

static void test_erasing__each_call(void **state)
{
    static const int codes[] = {SQLITE_IOERR_WRITE, SQLITE_NOMEM, SQLITE_CORRUPT, SQLITE_BUSY};
    struct bench *b = *state;
    unsigned refused = 0, places = 0;
    assert_int_equal(insert(b, OTHER, "k", "stays"), E_OK);
    for (unsigned i = 0; i < sizeof codes / sizeof *codes; i++) {
        bool reached = true;
        for (long n = 1; reached && n < 100; n++) {
            for (long after = 0; after < (codes[i] == SQLITE_IOERR_WRITE ? 4 : 1); after++) {
                const char *partition = next_partition();
                fill(b, partition);
                plan_failure(n, after, false, codes[i]);
                int code = erase(b, partition);
                reached = has_failed();
                plan_failure(0, 0, false, 0);
                refused += code != E_OK;
                places++;
                assert_true(reached || code == E_OK);
                expect_erased(b, partition);
            }
        }
        assert_false(reached);
    }
    print_message("# erasures with a call that fails: %u, %u refused\n", places, refused);
    assert_true(refused > 40);
}

static void test_erasing__each_allocation(void **state)
{
    struct bench *b = *state;
    unsigned refused = 0;
    assert_int_equal(insert(b, OTHER, "k", "stays"), E_OK);
    for (uint64_t n = 1; n < 12; n++) {
        const char *partition = next_partition();
        fill(b, partition);
        mem_fail_at(n, 0);
        int code = erase(b, partition);
        mem_fail_at(0, 0);
        assert_true(code == E_OK || code == E_NOMEM);
        refused += code != E_OK;
        expect_erased(b, partition);
    }
    assert_true(refused > 0);
}

// A piece ends with its bytes, too; and time is up for the locks of others when it is done.
static void test_erasing__large_records(void **state)
{
    struct bench *b = *state;
    char *body = calloc(1, RECORD_BODY_BYTES_MAX), key[16];
    assert_non_null(body);
    memcpy(body, CANARY, sizeof CANARY);
    store_free(b->store);
    b->env.busy_ms = 1;
    b->store = open_again(b);
    assert_int_equal(insert(b, OTHER, "k", "stays"), E_OK);
    for (int i = 0; i < 40; i++) {
        snprintf(key, sizeof key, "k%d", i);
        struct store_item item = put(STORE_PUT, key, 0, "");
        item.body.bytes = slice_of(body, RECORD_BODY_BYTES_MAX);
        assert_int_equal(commit(b, USER, &item, 1), E_OK);
    }
    free(body);
    expect_erased(b, USER);
}

// An index that names what is not there: an erasure that would come for it for ever ends.
static void test_erasing__what_is_not_there(void **state)
{
    struct bench *b = *state;
    assert_int_equal(insert(b, OTHER, "k", "stays"), E_OK);
    fill(b, USER);
    atomic_store(&changes_nothing, true);
    assert_int_equal(erase(b, USER), E_CORRUPT);
    atomic_store(&changes_nothing, false);
    expect_erased(b, USER);
}

static int says_one_byte(sqlite3_file *f, sqlite3_int64 *out)
{
    (void)f;
    *out = 1;
    return SQLITE_OK;
}

static int says_nothing(sqlite3_file *f, sqlite3_int64 *out)
{
    (void)f;
    (void)out;
    return SQLITE_IOERR_FSTAT;
}

static int says_much(sqlite3_file *f, sqlite3_int64 *out)
{
    (void)f;
    *out = (sqlite3_int64)512 << 25;
    return SQLITE_OK;
}

// The header of a file with pages of 512 bytes.
static int read_header(sqlite3_file *f, void *out, int bytes, sqlite3_int64 at)
{
    (void)f;
    assert_int_equal(at, 0);
    memset(out, 0, (size_t)bytes);
    ((unsigned char *)out)[16] = 2;
    return SQLITE_OK;
}

// Files that are not as the scrub needs them: it is told, and nothing is written over.
static void test_erasing__files_that_are_odd(void **state)
{
    static const sqlite3_io_methods one = {.iVersion = 1, .xFileSize = says_one_byte},
                                    none = {.iVersion = 1, .xFileSize = says_nothing},
                                    much = {.iVersion = 1, .xFileSize = says_much,
                                            .xRead = read_header};
    static sqlite3_file written = {&one}, unreadable = {&none}, large = {&much}, closed;
    static const struct {
        struct odd_files files;
        int code;
        const char *words;
    } all[] = {
        {{.rc = SQLITE_IOERR}, E_STORE, "scrubbing"},
        {{.wal = &unreadable, .has_wal = true}, E_STORE, "scrubbing"},
        {{.wal = &written, .has_wal = true}, E_BUSY, "somebody reads"},  // since it was emptied
        {{.wal = &closed, .has_wal = true}, E_OK, NULL},
        {{.wal = NULL, .has_wal = true}, E_OK, NULL},
        {{.file = NULL, .has_file = true}, E_STORE, "scrubbing"},
        {{.file = &closed, .has_file = true}, E_STORE, "scrubbing"},
        {{.file = &large, .has_file = true}, E_STORE, "VACUUM"},
    };
    struct bench *b = *state;
    assert_int_equal(insert(b, OTHER, "k", "stays"), E_OK);
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        const char *partition = next_partition();
        struct store_op op = {.verb = STORE_ERASE, .partition = slice_str(partition)};
        fill(b, partition);
        odd = all[i].files;
        int code = run(b, &op);
        odd = (struct odd_files){0};
        if (code != all[i].code || (code && !strstr(op.err.message, all[i].words)))
            fail_msg("%zu: %d: %s", i, code, op.err.message);
        expect_erased(b, partition);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_erasing__##name, bench_up, bench_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(each_call), TEST(each_allocation), TEST(large_records), TEST(what_is_not_there),
        TEST(files_that_are_odd),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
