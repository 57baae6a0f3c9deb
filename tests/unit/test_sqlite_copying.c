// SPDX-License-Identifier: MIT
// Copying, restoring, checking and reading past damage, where what they need fails: each call of
// SQLite's, each allocation (its own too), and what the system answers. A copy is whole or not
// there; a store that was to be replaced is the old or the new one, and open to nobody's surprise.
#include "contract/sqlite_files.h"
#include "store/sqlite_int.h"
#include "support/sqlite_calls.h"

#include "fault/failing_malloc.h"

#include <fcntl.h>
#include <glob.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>

#define PATH(b) path_of((b)->url)

static bool fchown_fails;

int fchown(int fd, uid_t user, gid_t group)
{
    if (fchown_fails) {
        errno = EPERM;
        return -1;
    }
    return (int)syscall(SYS_fchown, fd, user, group);
}

// A file system that cannot swap names; and somebody who removes what was to be swapped.
static bool swap_fails, swap_is_late;

int renameat2(int from_folder, const char *from, int to_folder, const char *to, unsigned flags)
{
    if (swap_fails && flags == RENAME_EXCHANGE) {
        errno = EINVAL;
        return -1;
    }
    if (swap_is_late && flags == RENAME_EXCHANGE)
        unlink(to);
    return (int)syscall(SYS_renameat2, from_folder, from, to_folder, to, flags);
}

// A disk that does not take what a folder says.
static bool folder_sync_fails;

int fsync(int fd)
{
    struct stat st;
    if (folder_sync_fails && fstat(fd, &st) == 0 && S_ISDIR(st.st_mode)) {
        errno = EIO;
        return -1;
    }
    return (int)syscall(SYS_fsync, fd);
}

// An index that is wrong: the n-th value read is another of the same length.
static atomic_int lie_at;

const void *sqlite3_column_blob(sqlite3_stmt *st, int column)
{
    static const void *(*real)(sqlite3_stmt *, int);
    static char lie[1000];
    if (!real)
        *(void **)&real = dlsym(RTLD_NEXT, "sqlite3_column_blob");
    const void *bytes = real(st, column);
    if (atomic_load(&lie_at) == 0 || atomic_fetch_sub(&lie_at, 1) != 1)
        return bytes;
    memset(lie, 'z', sizeof lie);
    return sqlite3_column_bytes(st, column) < (int)sizeof lie ? lie : bytes;
}

static int never_stop(void *user, uint64_t done_bytes, uint64_t total_bytes)
{
    (void)user;
    return done_bytes > total_bytes;
}

static int approve(void *user, const char *url, struct err *err)
{
    (void)user;
    (void)url;
    (void)err;
    return E_OK;
}

static const struct store_copying how = {
    .progress = never_stop, .check = approve, .replace = true};

static const char *beside(struct bench *b, const char *end)
{
    static char name[300];
    snprintf(name, sizeof name, "%s%s", PATH(b), end);
    return name;
}

static bool there(struct bench *b, const char *end)
{
    return access(beside(b, end), F_OK) == 0;
}

static void close_store(struct bench *b)
{
    store_free(b->store);
    b->store = NULL;
}

// A store with a copy of it beside; then the store went on.
static int copied_up(void **state)
{
    bench_up(state);
    struct bench *b = *state;
    struct err err = ERR_INIT;
    assert_int_equal(insert(b, USER, "k", "old"), E_OK);
    if (store_backup(b->url, beside(b, ".copy"), &how, &err))
        fail_msg("%s", err.message);
    assert_int_equal(insert(b, USER, "late", "x"), E_OK);
    return 0;
}

static int copied_down(void **state)
{
    struct bench *b = *state;
    char command[400];
    plan_failure(0, 0, false, 0);
    snprintf(command, sizeof command, "rm -rf %s.*", PATH(b));
    assert_int_equal(system(command), 0);
    return bench_down(state);
}

// Whether what stands in the store's place is the copy or the store as it was; never else.
static bool is_restored(struct bench *b)
{
    b->store = open_again(b);
    assert_int_equal(version_of(b, USER, "k", "old"), 1);
    uint64_t late = version_of(b, USER, "late", "x");
    close_store(b);
    return late == 0;
}

static int back_up(struct bench *b, struct err *err)
{
    return store_backup(b->url, beside(b, ".new"), &how, err);
}

static int restore(struct bench *b, struct err *err)
{
    struct buf aside = BUF_INIT(1 << 12);
    char file[300];
    snprintf(file, sizeof file, "%s", beside(b, ".copy"));
    int code = store_restore(b->url, file, &how, &aside, err);
    if (!code)
        assert_int_equal(rename(aside.ptr, beside(b, ".aside")), 0);
    buf_release(&aside);
    return code;
}

// After a backup or restore that met a failure, or none.
static void check_copied(struct bench *b, int code, bool restoring, const struct err *err)
{
    if (code && !err->message[0])
        fail_msg("%d, and not a word", code);
    if (!restoring) {
        assert_int_equal(there(b, ".new"), code == E_OK);
        unlink(beside(b, ".new"));
    } else if (is_restored(b) != (code == E_OK)) {
        fail_msg("%d: %s", code, err->message);
    } else if (code == E_OK) {  // as it was, for the next
        assert_int_equal(rename(beside(b, ".aside"), PATH(b)), 0);
    }
    assert_false(there(b, ".new.part"));
    assert_false(there(b, ".part"));
}

static unsigned fail_each(struct bench *b, bool restoring, int code, unsigned *refused)
{
    unsigned n = 1;
    for (bool reached = true; reached && n < 300; n++) {
        struct err err = ERR_INIT;
        plan_failure(n, 0, false, code);
        int got = restoring ? restore(b, &err) : back_up(b, &err);
        reached = has_failed();
        plan_failure(0, 0, false, 0);
        *refused += got != E_OK;
        check_copied(b, got, restoring, &err);
    }
    return n - 1;
}

static void test_copying__each_call(void **state)
{
    static const int codes[] = {SQLITE_NOMEM, SQLITE_IOERR_READ, SQLITE_IOERR_SHORT_READ,
                                SQLITE_IOERR_WRITE, SQLITE_FULL, SQLITE_CORRUPT, SQLITE_BUSY,
                                SQLITE_LOCKED};
    struct bench *b = *state;
    unsigned places = 0, refused = 0;
    close_store(b);
    for (unsigned i = 0; i < sizeof codes / sizeof *codes; i++) {
        places += fail_each(b, false, codes[i], &refused);
        places += fail_each(b, true, codes[i], &refused);
    }
    print_message("# copies, each call of SQLite's: %u places, %u refused\n", places, refused);
    assert_true(refused > 40);
}

static void test_copying__each_allocation(void **state)
{
    struct bench *b = *state;
    unsigned refused = 0;
    static const char *const ends[] = {"-lock", "-wal", "-shm"};
    char was[300];
    close_store(b);
    for (int i = 0; i < 3; i++)
        unlink(beside(b, ends[i]));
    // A name that outgrows what its folder's name took.
    snprintf(was, sizeof was, "%s", PATH(b));
    strcat(b->url, ".of-a-length-that-is-more-than-its-folder-has");
    assert_int_equal(rename(was, PATH(b)), 0);
    strcat(was, ".copy");
    assert_int_equal(rename(was, beside(b, ".copy")), 0);
    for (int restoring = 0; restoring < 2; restoring++) {
        int code = E_NOMEM;
        for (uint64_t n = 1; n < 30; n++) {
            struct err err = ERR_INIT;
            mem_fail_at(n, 0);
            code = restoring ? restore(b, &err) : back_up(b, &err);
            mem_fail_at(0, 0);
            refused += code != E_OK;
            check_copied(b, code, restoring, &err);
        }
        assert_int_equal(code, E_OK);
    }
    print_message("# copies, each allocation: %u refused\n", refused);
    assert_true(refused > 4);
}

// --- names and files ----------------------------------------------------------------------------

static void test_copying__names(void **state)
{
    struct bench *b = *state;
    char folder[300], was[300], command[400];
    struct buf aside = BUF_INIT(1 << 12);
    struct err err = ERR_INIT;
    close_store(b);
    assert_int_equal(store_restore("sqlite:", beside(b, ".copy"), &how, &aside, &err), E_STORE);
    assert_int_equal(store_restore("sqlite:/dev/null/x", beside(b, ".copy"), &how, &aside, &err),
                     E_STORE);
    assert_int_equal(store_restore("memory:", beside(b, ".copy"), &how, &aside, &err), E_USAGE);
    assert_int_equal(store_restore("none:", beside(b, ".copy"), &how, &aside, &err), E_STORE);
    assert_int_equal(store_backup("memory:", beside(b, ".new"), &how, &err), E_USAGE);
    assert_int_equal(store_backup("none:", beside(b, ".new"), &how, &err), E_STORE);
    assert_int_equal(store_backup("faulty:", beside(b, ".new"), &how, &err), E_STORE);
    assert_int_equal(store_restore("faulty:", beside(b, ".copy"), &how, &aside, &err), E_STORE);
    // A name without a folder is one of the working folder.
    snprintf(folder, sizeof folder, "%s", PATH(b));
    *strrchr(folder, '/') = 0;
    assert_non_null(getcwd(was, sizeof was));
    assert_int_equal(chdir(folder), 0);
    assert_int_equal(store_restore("faulty:;sqlite:store.db.here", "store.db.copy", &how, &aside,
                                   &err), E_OK);
    assert_int_equal(chdir(was), 0);
    assert_true(there(b, ".here"));
    mem_fail_at(1, 0);
    assert_int_equal(store_restore("sqlite:/tmp/none/none", beside(b, ".copy"), &how, &aside, &err),
                     E_NOMEM);
    mem_fail_at(0, 0);
    // Nothing in it, nothing to copy.
    snprintf(command, sizeof command, ": >%s.empty", PATH(b));
    assert_int_equal(system(command), 0);
    assert_int_equal(store_restore(b->url, beside(b, ".empty"), &how, &aside, &err), E_STORE);
    assert_non_null(strstr(err.message, "is empty"));
    assert_false(is_restored(b));
    buf_release(&aside);
}

static void test_copying__what_stands_in_the_way(void **state)
{
    struct bench *b = *state;
    struct err err = ERR_INIT;
    close_store(b);
    // No name is free for the old store, now and for a while.
    time_t now = (time_t)(clock_wall_ms(clock_system()) / 1000);
    for (int s = 0; s < 20; s++) {
        char end[64];
        time_t at = now + s;
        struct tm tm;
        assert_non_null(gmtime_r(&at, &tm));
        strftime(end, sizeof end, ".before-%Y%m%dT%H%M%SZ", &tm);
        size_t len = strlen(end);
        for (int i = 0; i < 100; i++) {
            snprintf(end + len, sizeof end - len, "-%d", i);
            end[i ? strlen(end) : len] = 0;  // the first has no number
            assert_int_equal(symlink("nowhere", beside(b, end)), 0);
        }
    }
    assert_int_equal(restore(b, &err), E_STORE);
    assert_non_null(strstr(err.message, "no name is free"));
    assert_false(is_restored(b));
}

static void test_copying__a_side_that_cannot_be_moved(void **state)
{
    struct bench *b = *state;
    struct err err = ERR_INIT;
    close_store(b);
    unlink(beside(b, "-shm"));
    assert_int_equal(mkdir(beside(b, "-shm"), 0700), 0);
    assert_int_equal(restore(b, &err), E_STORE);
    assert_non_null(strstr(err.message, "cannot be moved away"));
    assert_int_equal(rmdir(beside(b, "-shm")), 0);
    assert_false(is_restored(b));
    // Where there is no store, none appears.
    assert_int_equal(unlink(PATH(b)), 0);
    unlink(beside(b, "-shm"));
    assert_int_equal(mkdir(beside(b, "-shm"), 0700), 0);
    assert_int_equal(restore(b, &err), E_STORE);
    assert_int_equal(rmdir(beside(b, "-shm")), 0);
    assert_false(there(b, ""));
}

// A store that is too damaged for its WAL to be folded in.
static void ruin(struct bench *b)
{
    close_store(b);
    int fd = open(PATH(b), O_WRONLY | O_TRUNC);
    assert_int_equal(write(fd, "ruins", 5), 5);
    close(fd);
    fd = open(beside(b, "-wal"), O_WRONLY | O_CREAT, 0600);
    assert_int_equal(write(fd, "and more", 8), 8);
    close(fd);
}

// It cannot be replaced either.
static void test_copying__ruins_that_stay_keep_their_wal(void **state)
{
    struct bench *b = *state;
    struct err err = ERR_INIT;
    char kept[16] = "";
    ruin(b);
    swap_fails = true;
    assert_int_equal(restore(b, &err), E_STORE);
    swap_fails = false;
    assert_non_null(strstr(err.message, "move it away"));
    int fd = open(beside(b, "-wal"), O_RDONLY);
    assert_int_equal(read(fd, kept, sizeof kept), 8);
    close(fd);
    assert_memory_equal(kept, "and more", 8);
    // Where the swap was made, it is the new store's place: no WAL of another's.
    assert_int_equal(restore(b, &err), E_OK);
    assert_false(there(b, "-wal"));
    assert_true(is_restored(b));
}

// How many files there are of the store's name and this pattern.
static size_t files_like(struct bench *b, const char *pattern)
{
    glob_t found;
    int code = glob(beside(b, pattern), 0, NULL, &found);
    assert_true(code == 0 || code == GLOB_NOMATCH);
    size_t n = code ? 0 : found.gl_pathc;
    globfree(&found);
    return n;
}

// The swap was made and only then something failed: the old WAL stays with the old store.
static void test_copying__a_wal_never_meets_another_file(void **state)
{
    struct bench *b = *state;
    struct err err = ERR_INIT;
    ruin(b);
    folder_sync_fails = true;
    assert_int_equal(restore(b, &err), E_STORE);
    folder_sync_fails = false;
    assert_non_null(strstr(err.message, "cannot be synced"));
    assert_false(there(b, "-wal"));
    assert_int_equal(files_like(b, ".before-*-wal"), 1);
    assert_int_equal(files_like(b, ".before-*Z"), 1);
    assert_true(is_restored(b));
}

// Nor the one that somebody puts where a store was removed while it was to be replaced.
static void test_copying__removed_while_it_is_replaced(void **state)
{
    struct bench *b = *state;
    struct err err = ERR_INIT;
    ruin(b);
    swap_is_late = true;
    assert_int_equal(restore(b, &err), E_STORE);
    swap_is_late = false;
    assert_false(there(b, ""));
    assert_false(there(b, "-wal"));
    assert_false(there(b, ".part"));
    assert_int_equal(files_like(b, ".before-*-wal"), 1);
    assert_int_equal(files_like(b, ".before-*Z"), 0);
}

static void test_copying__owners(void **state)
{
    struct bench *b = *state;
    struct err err = ERR_INIT;
    char command[400];
    close_store(b);
    fchown_fails = true;  // on a file system that knows no owners
    assert_int_equal(restore(b, &err), E_OK);
    fchown_fails = false;
    assert_true(is_restored(b));
    if (geteuid() != 0)
        return;
    snprintf(command, sizeof command, "chown -R 65534 $(dirname %s)", PATH(b));
    assert_int_equal(system(command), 0);
    assert_int_equal(seteuid(65534), 0);  // who owns it, and needs no right to give it away
    int code = restore(b, &err);
    assert_int_equal(seteuid(0), 0);
    assert_int_equal(code, E_OK);
}

// --- checks and damage --------------------------------------------------------------------------

static struct store_op check_op(void)
{
    return (struct store_op){.verb = STORE_CHECK, .limit = 5};
}

static void exec_raw(struct bench *b, const char *sql)
{
    sqlite3 *db = NULL;
    assert_int_equal(sqlite3_open(PATH(b), &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
}

// No allocation's failure, ours or SQLite's, is told as damage.
static void test_copying__check_without_memory(void **state)
{
    struct bench *b = *state;
    unsigned refused = 0;
    static char page[4000];
    for (int i = 0; i < 80; i++) {
        char key[16];
        snprintf(key, sizeof key, "page%d", i);
        struct store_item item = put(STORE_PUT, key, 0, "");
        item.body.bytes = slice_of(page, sizeof page);
        assert_int_equal(commit(b, USER, &item, 1), E_OK);
    }
    struct store_op op = check_op();
    assert_int_equal(run(b, &op), E_OK);
    assert_int_equal(op.rows_len, 0);
    int in_a_row = 0;
    for (long n = 1; n < 3000 && in_a_row < 3; n++) {
        close_store(b);  // so that nothing is in a cache
        b->store = open_again(b);
        op = check_op();
        heap_fail(n, 1);
        int code = run(b, &op);
        long made = heap_mend();
        assert_true(code == E_OK || code == E_NOMEM);
        assert_int_equal(op.rows_len, 0);
        store_op_release(&op);
        refused += code != E_OK;
        in_a_row = made < n ? in_a_row + 1 : 0;
    }
    print_message("# a check without memory: %u refused\n", refused);
    assert_true(refused > 5);
}

// Damage that is told needs memory too; and more of it than was asked for.
static void test_copying__much_damage(void **state)
{
    struct bench *b = *state;
    char sql[200];
    for (int i = 0; i < 9; i++) {
        snprintf(sql, sizeof sql, "INSERT INTO records(partition_id, key, version, count, meta, "
                 "body) VALUES (77, 'k%d', 0, 0, '', zeroblob(300000))", i);
        exec_raw(b, sql);
    }
    struct store_op op = check_op();
    assert_int_equal(run(b, &op), E_OK);
    assert_int_equal(op.rows_len, 5);
    assert_true(op.more);
    store_op_release(&op);
    int code = E_NOMEM;
    for (uint64_t n = 1; code && n < 30; n++) {
        op = check_op();
        mem_fail_at(n, 0);
        code = run(b, &op);
        mem_fail_at(0, 0);
        assert_true(code == E_OK ? op.rows_len == 5 : code == E_NOMEM && op.rows_len == 0);
        store_op_release(&op);
    }
    assert_int_equal(code, E_OK);
    // Such a record is not given out.
    exec_raw(b, "UPDATE records SET partition_id = (SELECT id FROM partitions LIMIT 1)");
    op = scan_op(USER, "k1", "", 9, false);
    assert_int_equal(run(b, &op), E_OK);
    assert_int_equal(op.rows[0].body.bytes.len, 0);
    store_op_release(&op);
    // Nor one whose meta is too long; nor one of a partition that has no name of ours.
    exec_raw(b, "UPDATE records SET body = x'', meta = hex(zeroblob(10000)) WHERE key = 'k2'; "
             "INSERT INTO partitions(name) VALUES (hex(zeroblob(40))); "
             "UPDATE records SET due_at_ms = 5, body = x'', partition_id = "
             "(SELECT max(id) FROM partitions) WHERE key = 'k3'");
    op = scan_op(USER, "k2", "", 9, false);
    assert_int_equal(run(b, &op), E_OK);
    assert_int_equal(op.rows[0].meta.len, 0);
    store_op_release(&op);
    op = (struct store_op){.verb = STORE_DUE, .before_ms = 9, .limit = 9};
    assert_false(expect_rows(b, op, ""));
}

// A check that damage keeps from being made says so, and goes on with the others.
static void test_copying__damage_while_checking(void **state)
{
    struct bench *b = *state;
    bool reached = true;
    unsigned told = 0;
    for (long n = 1; reached && n < 100; n++) {
        struct store_op op = check_op();
        version_of(b, USER, "none", NULL);  // the connection is open
        plan_failure(n, 0, false, SQLITE_CORRUPT_VTAB);
        int code = run(b, &op);
        reached = has_failed();
        plan_failure(0, 0, false, 0);
        assert_true(code == E_OK || code == E_CORRUPT);  // where not even the connection opens
        assert_true(op.rows_len <= reached);  // the call that failed may have been the writer's
        told += op.rows_len;
        store_op_release(&op);
    }
    assert_true(told > 5);
}

// A read that meets damage, and on the way past it another failure.
static void test_copying__damage_and_more(void **state)
{
    static const int then[] = {SQLITE_IOERR_READ, SQLITE_NOMEM, SQLITE_CORRUPT, 0};
    struct bench *b = *state;
    char key[300];
    memset(key, 'k', 299);
    key[299] = 0;
    char sql[500];
    snprintf(sql, sizeof sql, "INSERT INTO records(partition_id, key, version, count, meta, body) "
             "SELECT id, '%s', 1, 0, '', '' FROM partitions LIMIT 1", key);
    exec_raw(b, sql);  // a name that is too long for one
    for (int way = 0; way < 4; way++)
        for (unsigned i = 0; i < 4; i++)
            for (long n = 1; n < 4; n++)
                for (long after = 0; after < 6; after++)
                    for (uint64_t alloc = 0; alloc < 4; alloc++) {
                        struct store_op op = way == 0 ? get_op(USER, SLICE_LIT("k"))
                                             : scan_op(USER, "", "", way == 3 ? 1 : 9, way == 2);
                        version_of(b, USER, "none", NULL);  // the connection is open
                        plan_failure(n, then[i] ? after : 0, false, SQLITE_CORRUPT);
                        plan.code_after = then[i];
                        mem_fail_at(alloc, 0);
                        int code = run(b, &op);
                        mem_fail_at(0, 0);
                        plan_failure(0, 0, false, 0);
                        assert_true(code == E_OK || code == E_CORRUPT || code == E_NOMEM ||
                                    code == E_STORE);
                        assert_true(code == E_OK || op.rows_len == 0);
                        store_op_release(&op);
                    }
    assert_int_equal(version_of(b, USER, "k", "old"), 1);
}

// What is asked for, or nothing, or that it is damaged: never something else. (Where all keys are
// asked for, any may be one of them; in their order.)
static void test_copying__an_index_that_is_wrong(void **state)
{
    struct bench *b = *state;
    assert_int_equal(insert(b, USER, "k2", "old2"), E_OK);
    for (int at = 0; at < 40; at++)
        for (int way = 0; way < 6; way++) {
            int n = at % 10 + 1, damage = at / 10;
            struct store_item item = put(STORE_PUT, "k3", 0, "new");
            const char *prefix = way < 4 ? "k" : "";
            struct store_op op = way == 0   ? get_op(USER, SLICE_LIT("k"))
                                 : way == 3 ? commit_op(USER, &item, 1)
                                            : scan_op(USER, prefix, "", 9, way % 2 == 0);
            version_of(b, USER, "none", NULL);  // the connection is open
            plan_failure(damage, 0, false, SQLITE_CORRUPT);  // and so it is read past damage
            atomic_store(&lie_at, n);
            int code = run(b, &op);
            atomic_store(&lie_at, 0);
            plan_failure(0, 0, false, 0);
            assert_true(code == E_OK || code == E_CORRUPT || code == E_STORE);
            for (uint32_t i = 0; i < op.rows_len; i++)
                assert_true(way > 3 || op.rows[i].key.ptr[0] == 'k');
            for (uint32_t i = 1; i < op.rows_len; i++)
                assert_true(slice_cmp(op.rows[i - 1].key, op.rows[i].key) < 0 || op.backwards);
            store_op_release(&op);
        }
    assert_int_equal(version_of(b, USER, "k", "old"), 1);
}

// What a commit wrote is read back where damage was met: each way in which it can differ.
static void test_copying__read_back(void **state)
{
    struct bench *b = *state;
    struct sqlite_conn c = {0};
    struct store_item good = put(STORE_PUT, "k", 0, "old"), item = good;
    close_store(b);
    assert_int_equal(conn_open(&c, PATH(b), CONN_READER, NULL), E_OK);
    assert_int_equal(conn_prepare(&c, PATH(b), NULL), E_OK);
    struct store_op op = commit_op(USER, &item, 1);
    assert_int_equal(sqlite_read_back(&c, &op), SQLITE_OK);
    item.body.bytes = SLICE_LIT("other");
    assert_int_equal(sqlite_read_back(&c, &op), SQLITE_CORRUPT);
    item.verb = STORE_ADD;  // keeps what it was made with
    assert_int_equal(sqlite_read_back(&c, &op), SQLITE_OK);
    item = good;
    item.meta = SLICE_LIT("{}");
    assert_int_equal(sqlite_read_back(&c, &op), SQLITE_CORRUPT);
    item.verb = STORE_DELETE;
    assert_int_equal(sqlite_read_back(&c, &op), SQLITE_CORRUPT);
    item.key = SLICE_LIT("none");
    assert_int_equal(sqlite_read_back(&c, &op), SQLITE_OK);
    item.verb = STORE_PUT;
    assert_int_equal(sqlite_read_back(&c, &op), SQLITE_CORRUPT);
    struct store_item both[] = {item, good};  // the first is told
    op = commit_op(USER, both, 2);
    assert_int_equal(sqlite_read_back(&c, &op), SQLITE_CORRUPT);
    plan_failure(1, 0, false, SQLITE_IOERR_READ);
    assert_int_equal(sqlite_read_back(&c, &op), SQLITE_IOERR_READ);
    plan_failure(0, 0, false, 0);
    conn_close(&c);
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_copying__##name, copied_up, copied_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(each_call), TEST(each_allocation), TEST(names), TEST(what_stands_in_the_way),
        TEST(a_side_that_cannot_be_moved), TEST(ruins_that_stay_keep_their_wal), TEST(owners),
        TEST(a_wal_never_meets_another_file), TEST(removed_while_it_is_replaced),
        TEST(check_without_memory),
        TEST(much_damage), TEST(damage_while_checking), TEST(damage_and_more),
        TEST(an_index_that_is_wrong), TEST(read_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
