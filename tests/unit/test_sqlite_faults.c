// SPDX-License-Identifier: MIT
// The SQLite store on a disk that fails: for every n, the n-th write, sync or truncate fails, once,
// or from then on. What was acknowledged is there afterwards, once; what was refused is not.
#include "contract/sqlite_files.h"

#include <sqlite3.h>

// A layer over SQLite's own files that counts and fails. Process-wide, as their list is.
static struct {
    pthread_mutex_t lock;
    sqlite3_vfs vfs, *real;
    long countdown;  // the operation that fails; 0: none
    bool sticky, failing;
    int code;
} disk = {.lock = PTHREAD_MUTEX_INITIALIZER};

struct faulty_file {
    sqlite3_file base;
    sqlite3_file *real;  // follows in the same allocation
};

static bool fails(void)
{
    pthread_mutex_lock(&disk.lock);
    bool now = disk.failing;
    if (disk.countdown && --disk.countdown == 0) {
        now = true;
        disk.failing = disk.sticky;
    }
    pthread_mutex_unlock(&disk.lock);
    return now;
}

static sqlite3_file *real_of(sqlite3_file *f)
{
    return ((struct faulty_file *)(void *)f)->real;
}

static int file_write(sqlite3_file *f, const void *p, int n, sqlite3_int64 at)
{
    if (!fails())
        return real_of(f)->pMethods->xWrite(real_of(f), p, n, at);
    if (n > 1)  // a short write
        real_of(f)->pMethods->xWrite(real_of(f), p, n / 2, at);
    return disk.code;
}

static int file_sync(sqlite3_file *f, int flags)
{
    int code = disk.code == SQLITE_NOMEM ? SQLITE_NOMEM : SQLITE_IOERR_FSYNC;
    return fails() ? code : real_of(f)->pMethods->xSync(real_of(f), flags);
}

static int file_truncate(sqlite3_file *f, sqlite3_int64 size)
{
    return fails() ? SQLITE_IOERR_TRUNCATE : real_of(f)->pMethods->xTruncate(real_of(f), size);
}

static int file_close(sqlite3_file *f)
{
    return real_of(f)->pMethods ? real_of(f)->pMethods->xClose(real_of(f)) : SQLITE_OK;
}

#define PASS(name, params, args) \
    static int file_##name params { return real_of(f)->pMethods->x##name args; }
PASS(Read, (sqlite3_file *f, void *p, int n, sqlite3_int64 at), (real_of(f), p, n, at))
PASS(FileSize, (sqlite3_file *f, sqlite3_int64 *size), (real_of(f), size))
PASS(Lock, (sqlite3_file *f, int lock), (real_of(f), lock))
PASS(Unlock, (sqlite3_file *f, int lock), (real_of(f), lock))
PASS(CheckReservedLock, (sqlite3_file *f, int *out), (real_of(f), out))
PASS(FileControl, (sqlite3_file *f, int op, void *arg), (real_of(f), op, arg))
PASS(SectorSize, (sqlite3_file *f), (real_of(f)))
PASS(DeviceCharacteristics, (sqlite3_file *f), (real_of(f)))
PASS(ShmMap, (sqlite3_file *f, int page, int size, int extend, void volatile **out),
     (real_of(f), page, size, extend, out))
PASS(ShmLock, (sqlite3_file *f, int at, int n, int flags), (real_of(f), at, n, flags))
PASS(ShmUnmap, (sqlite3_file *f, int remove), (real_of(f), remove))

static void file_ShmBarrier(sqlite3_file *f)
{
    real_of(f)->pMethods->xShmBarrier(real_of(f));
}

static const sqlite3_io_methods file_methods = {
    .iVersion = 2, .xClose = file_close, .xRead = file_Read, .xWrite = file_write,
    .xTruncate = file_truncate, .xSync = file_sync, .xFileSize = file_FileSize,
    .xLock = file_Lock, .xUnlock = file_Unlock, .xCheckReservedLock = file_CheckReservedLock,
    .xFileControl = file_FileControl, .xSectorSize = file_SectorSize,
    .xDeviceCharacteristics = file_DeviceCharacteristics, .xShmMap = file_ShmMap,
    .xShmLock = file_ShmLock, .xShmBarrier = file_ShmBarrier, .xShmUnmap = file_ShmUnmap,
};

static int disk_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *f, int flags, int *out)
{
    (void)vfs;
    struct faulty_file *file = (struct faulty_file *)(void *)f;
    file->real = (sqlite3_file *)(void *)(file + 1);
    file->base.pMethods = &file_methods;
    int rc = disk.real->xOpen(disk.real, name, file->real, flags, out);
    if (rc != SQLITE_OK)
        file->base.pMethods = NULL;
    return rc;
}

static int disk_up(void **state)
{
    (void)state;
    disk.real = sqlite3_vfs_find(NULL);
    disk.vfs = *disk.real;
    disk.vfs.zName = "faulty";
    disk.vfs.szOsFile += (int)sizeof(struct faulty_file);
    disk.vfs.xOpen = disk_open;
    disk.vfs.pNext = NULL;
    return sqlite3_vfs_register(&disk.vfs, 1);
}

static int disk_down(void **state)
{
    (void)state;
    return sqlite3_vfs_unregister(&disk.vfs);
}

static void plan_fault(long countdown, bool sticky, int code)
{
    pthread_mutex_lock(&disk.lock);
    disk.countdown = countdown;
    disk.sticky = sticky;
    disk.failing = false;
    disk.code = code;
    pthread_mutex_unlock(&disk.lock);
}

static bool fault_is_due(void)
{
    pthread_mutex_lock(&disk.lock);
    bool due = disk.countdown > 0;
    pthread_mutex_unlock(&disk.lock);
    return due;
}

enum { COMMITS = 24, DROP_AT = 12 };
enum fate { UNKNOWN, ACKED, REFUSED };

struct tally {
    int acked, refused, ambiguous, wrong;
};

// Commits one after the other; each is two records and the sum, which must agree afterwards.
static void write_some(struct bench *b, enum fate *fate, struct tally *t)
{
    for (int i = 0; i < COMMITS; i++) {
        char a[16], z[16];
        snprintf(a, sizeof a, "a%02d", i);
        snprintf(z, sizeof z, "z%02d", i);
        struct store_item items[] = {put(STORE_INSERT, a, 0, "x"), put(STORE_ADD, "sum", 0, ""),
                                     put(STORE_INSERT, z, 0, "x")};
        items[1].count = 1;
        struct store_op op = commit_op(USER, items, 3);
        int code = run(b, &op);
        assert_true(code == E_OK || code == E_STORE);
        fate[i] = code == E_OK ? ACKED : op.ambiguous ? UNKNOWN : REFUSED;
        t->acked += fate[i] == ACKED;
        t->refused += fate[i] == REFUSED;
        t->ambiguous += fate[i] == UNKNOWN;
        // "The caller reads to find out", and what it finds stays so.
        if (op.ambiguous) {
            struct store_op get = get_op(USER, slice_str(a));
            if (run(b, &get) == E_OK && !disk.sticky)
                fate[i] = get.rows_len ? ACKED : REFUSED;
            store_op_release(&get);
        }
        if (i == DROP_AT) {  // empties the WAL, so that checkpoints are met too
            op = (struct store_op){.verb = STORE_DROP, .partition = slice_str(OTHER)};
            run(b, &op);
        }
    }
}

static void check_all(struct bench *b, const enum fate *fate, struct tally *t)
{
    int64_t present = 0;
    for (int i = 0; i < COMMITS; i++) {
        char a[16], z[16];
        snprintf(a, sizeof a, "a%02d", i);
        snprintf(z, sizeof z, "z%02d", i);
        bool has_a = version_of(b, USER, a, "x") == 1, has_z = version_of(b, USER, z, "x") == 1;
        present += has_a;
        t->wrong += has_a != has_z;
        t->wrong += fate[i] == ACKED && !has_a;
        t->wrong += fate[i] == REFUSED && has_a;
    }
    struct store_op op = get_op(USER, SLICE_LIT("sum"));
    assert_int_equal(run(b, &op), E_OK);
    t->wrong += (op.rows_len ? op.rows[0].count : 0) != present;
    store_op_release(&op);
}

// True when the n-th operation was reached.
static bool fail_at(long n, bool sticky, int code, struct tally *t)
{
    void *state = NULL;
    enum fate fate[COMMITS];
    bench_up(&state);
    struct bench *b = state;
    plan_fault(n, sticky, code);
    write_some(b, fate, t);
    bool reached = !fault_is_due();
    plan_fault(0, false, 0);
    check_all(b, fate, t);
    assert_int_equal(insert(b, USER, "after", "x"), E_OK);  // it works again
    store_free(b->store);
    b->store = open_again(b);
    check_all(b, fate, t);
    bench_down(&state);
    return reached;
}

static void fail_everywhere(bool sticky, int code, const char *what)
{
    struct tally t = {0};
    long n = 1;
    for (; n < 1000 && fail_at(n, sticky, code, &t); n++)
        assert_int_equal(t.wrong, 0);
    print_message("# disk faults, %s: %ld places, %d acked, %d refused, %d ambiguous, %d wrong\n",
                  what, n - 1, t.acked, t.refused, t.ambiguous, t.wrong);
    assert_true(n > 50 && n < 1000);
    assert_true(t.ambiguous > 0);
    assert_true(!sticky || t.refused > 0);
    assert_int_equal(t.wrong, 0);
}

static void test_sqlite_faults__passing(void **state)
{
    (void)state;
    fail_everywhere(false, SQLITE_IOERR_WRITE, "passing");
}

static void test_sqlite_faults__lasting(void **state)
{
    (void)state;
    fail_everywhere(true, SQLITE_IOERR_WRITE, "lasting");
}

static void test_sqlite_faults__disk_full(void **state)
{
    (void)state;
    fail_everywhere(true, SQLITE_FULL, "disk full");
}

// Also this may come when a commit is in the WAL already.
static void test_sqlite_faults__out_of_memory(void **state)
{
    (void)state;
    fail_everywhere(false, SQLITE_NOMEM, "out of memory");
}

static void test_sqlite_faults__says_what_to_do(void **state)
{
    struct bench *b = *state;
    plan_fault(1, true, SQLITE_FULL);
    struct store_item item = put(STORE_INSERT, "k", 0, "x");
    struct store_op op = commit_op(USER, &item, 1);
    assert_int_equal(run(b, &op), E_STORE);
    assert_non_null(strstr(op.err.message, "free space, then try again"));
    plan_fault(0, false, 0);
    assert_int_equal(run(b, &op), E_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sqlite_faults__passing),
        cmocka_unit_test(test_sqlite_faults__lasting),
        cmocka_unit_test(test_sqlite_faults__disk_full),
        cmocka_unit_test(test_sqlite_faults__out_of_memory),
        cmocka_unit_test_setup_teardown(test_sqlite_faults__says_what_to_do, bench_up,
                                        bench_down),
    };
    return cmocka_run_group_tests(tests, disk_up, disk_down);
}
