// SPDX-License-Identifier: MIT
// The SQLite store where it is full, locked or short of something: queues longer than a group or a
// batch, a WAL that cannot be emptied, locks that others hold, files that stand in the way, threads
// that do not start.
//
// thread_start and fcntl are defined here, in front of ours and of the C library's.
#include "contract/sqlite_files.h"
#include "store/sqlite_int.h"

#include "base/thread.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#define PATH(b) path_of((b)->url)

static atomic_int threads_left = INT32_MAX;  // after these, none starts
static atomic_int fcntl_errno;               // what the next file lock fails with; 0: nothing
static atomic_bool fcntl_fails_on;           // and those after it

int thread_start(pthread_t *thread, const char *name, void *(*body)(void *arg), void *arg,
                 struct err *err)
{
    (void)name;
    if (atomic_fetch_sub(&threads_left, 1) <= 0 || pthread_create(thread, NULL, body, arg))
        return err_set(err, E_NOMEM, "cannot start a thread");
    return E_OK;
}

int fcntl(int fd, int cmd, ...)
{
    va_list ap;
    va_start(ap, cmd);
    void *arg = va_arg(ap, void *);
    va_end(ap);
    if (cmd == F_OFD_SETLK || cmd == F_OFD_GETLK) {
        int fails = atomic_load(&fcntl_errno);
        if (!atomic_load(&fcntl_fails_on))
            atomic_store(&fcntl_errno, 0);
        if (fails) {
            errno = fails;
            return -1;
        }
    }
    return (int)syscall(SYS_fcntl, fd, cmd, arg);
}

static struct sqlite_store *inner(struct bench *b)
{
    return CONTAINER_OF(b->store, struct sqlite_store, store);
}

static void close_store(struct bench *b)
{
    store_free(b->store);
    b->store = NULL;
}

static void exec_raw(struct bench *b, const char *sql)
{
    sqlite3 *db = NULL;
    assert_int_equal(sqlite3_open(PATH(b), &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
}

static const char *beside(struct bench *b, const char *end)
{
    static char name[300];
    snprintf(name, sizeof name, "%s%s", PATH(b), end);
    return name;
}

static void expect_refusal(struct bench *b, int code, const char *words)
{
    struct store *s = NULL;
    struct err err = ERR_INIT;
    assert_int_equal(store_open(&s, b->url, &b->env, &err), code);
    assert_int_equal(store_open(&s, b->url, &b->env, NULL), code);
    assert_null(s);
    if (!strstr(err.message, words))
        fail_msg("\"%s\" lacks \"%s\"", err.message, words);
}

// --- queues -------------------------------------------------------------------------------------

// Two groups of each kind: the first is what happens to be there when the writer looks, and may be
// just less than a full one.
enum {
    WRITES = 2 * GROUP_OPS_MAX + 200,
    READS = 300,
    LARGE = 2 * (GROUP_BYTES_MAX / (3 * RECORD_BODY_BYTES_MAX) + 1),
    WIDE = 2 * (GROUP_ITEMS_MAX / STORE_BATCH_ITEMS_MAX + 1),
};

// While the writer waits for its lock, ops queue up behind the first.
static void hold_writer(struct bench *b, struct lock_file *other)
{
    assert_int_equal(lock_file_open(other, PATH(b), rand_system(), false, NULL), E_OK);
    assert_true(lock_file_take(other, 1000));
}

static void let_go(struct lock_file *other)
{
    lock_file_drop(other);
    lock_file_close(other);
}

static void test_queues__more_than_a_group(void **state)
{
    struct bench *b = *state;
    struct flight *f = calloc(WRITES, sizeof *f);
    struct lock_file other;
    assert_non_null(f);
    hold_writer(b, &other);
    for (int i = 0; i < WRITES; i++) {
        snprintf(f[i].key, sizeof f[i].key, "k%04d", i);
        f[i].item = put(STORE_INSERT, f[i].key, 0, "x");
        f[i].op = commit_op(USER, &f[i].item, 1);
        launch(b, &f[i]);
    }
    let_go(&other);
    land(b);
    for (int i = 0; i < WRITES; i++) {
        assert_int_equal(f[i].op.code, E_OK);
        assert_int_equal(f[i].item.version, 1);
    }
    free(f);
}

static void test_queues__more_items_than_a_group(void **state)
{
    struct bench *b = *state;
    struct wide {
        struct flight flight;
        struct store_item items[STORE_BATCH_ITEMS_MAX];
        char keys[STORE_BATCH_ITEMS_MAX][16];
    } *w = calloc(WIDE, sizeof *w);
    struct lock_file other;
    assert_non_null(w);
    hold_writer(b, &other);
    for (int i = 0; i < WIDE; i++) {
        for (int k = 0; k < STORE_BATCH_ITEMS_MAX; k++) {
            snprintf(w[i].keys[k], sizeof w[i].keys[k], "%d/%d", i, k);
            w[i].items[k] = put(STORE_INSERT, w[i].keys[k], 0, "x");
        }
        w[i].flight.op = commit_op(USER, w[i].items, STORE_BATCH_ITEMS_MAX);
        launch(b, &w[i].flight);
    }
    let_go(&other);
    land(b);
    for (int i = 0; i < WIDE; i++)
        assert_int_equal(w[i].flight.op.code, E_OK);
    free(w);
}

static void test_queues__more_bytes_than_a_group(void **state)
{
    struct bench *b = *state;
    struct large {
        struct flight flight;
        struct store_item items[3];
    } *l = calloc(LARGE, sizeof *l);
    static char body[RECORD_BODY_BYTES_MAX];
    static const char *const keys[] = {"a", "b", "c"};
    struct lock_file other;
    assert_non_null(l);
    hold_writer(b, &other);
    for (int i = 0; i < LARGE; i++) {
        for (int k = 0; k < 3; k++) {
            l[i].items[k] = put(STORE_PUT, keys[k], (uint64_t)i, "");
            l[i].items[k].body.bytes = slice_of(body, sizeof body);
        }
        l[i].flight.op = commit_op(USER, l[i].items, 3);
        launch(b, &l[i].flight);
    }
    let_go(&other);
    land(b);
    for (int i = 0; i < LARGE; i++)
        assert_int_equal(l[i].flight.op.code, E_OK);
    assert_int_equal(version_of(b, USER, "c", NULL), LARGE);
    free(l);
}

static void test_queues__more_reads_than_a_batch(void **state)
{
    struct bench *b = *state;
    struct flight *f = calloc(READS, sizeof *f);
    assert_non_null(f);
    assert_int_equal(insert(b, USER, "k", "x"), E_OK);
    pthread_mutex_lock(&inner(b)->gate);  // the reader waits before its first batch
    for (int i = 0; i < READS; i++) {
        f[i].op = get_op(USER, SLICE_LIT("k"));
        launch(b, &f[i]);
    }
    pthread_mutex_unlock(&inner(b)->gate);
    land(b);
    for (int i = 0; i < READS; i++) {
        assert_int_equal(f[i].op.code, E_OK);
        assert_int_equal(f[i].op.rows_len, 1);
        store_op_release(&f[i].op);
    }
    free(f);
}

// A stranger's read transaction keeps the WAL from being emptied; it ends, and the WAL shrinks.
static void test_queues__wal_that_cannot_be_emptied(void **state)
{
    struct bench *b = *state;
    static char body[RECORD_BODY_BYTES_MAX];
    sqlite3 *stranger = NULL;
    assert_int_equal(insert(b, USER, "k0", "x"), E_OK);
    assert_int_equal(sqlite3_open(PATH(b), &stranger), SQLITE_OK);
    assert_int_equal(sqlite3_exec(stranger, "BEGIN; SELECT count(*) FROM records", NULL, NULL,
                                  NULL), SQLITE_OK);
    for (int i = 0; i < 200; i++) {  // 150 MiB
        struct store_item items[] = {put(STORE_PUT, "a", 0, ""), put(STORE_PUT, "b", 0, ""),
                                     put(STORE_PUT, "c", 0, "")};
        memset(body, i, sizeof body);  // what is the same is not written again
        for (int k = 0; k < 3; k++)
            items[k].body.bytes = slice_of(body, sizeof body);
        assert_int_equal(commit(b, USER, items, 3), E_OK);
        if (i == 190) {  // what is dropped must leave the WAL, too, when it can
            struct store_op drop = {.verb = STORE_DROP, .partition = SLICE_LIT(OTHER)};
            assert_int_equal(run(b, &drop), E_OK);
        }
        if (i == 196)
            sqlite3_close(stranger);
    }
    close_store(b);
    struct stat st;
    assert_true(stat(beside(b, "-wal"), &st) != 0 || st.st_size == 0);
    b->store = open_again(b);
    assert_int_equal(version_of(b, USER, "c", NULL), 200);
}

// --- locks --------------------------------------------------------------------------------------

static void test_queues__lock_held_while_closing(void **state)
{
    struct bench *b = *state;
    struct lock_file other;
    assert_int_equal(insert(b, USER, "k", "x"), E_OK);
    hold_writer(b, &other);
    close_store(b);  // leaves the WAL behind …
    struct err err = ERR_INIT;
    struct buf report = BUF_INIT(1 << 12);
    assert_int_equal(store_migrate(b->url, false, &report, &err), E_STORE);
    assert_non_null(strstr(err.message, "busy"));
    buf_release(&report);
    let_go(&other);
    b->store = open_again(b);  // … which the next to open the file reads
    assert_int_equal(version_of(b, USER, "k", "x"), 1);
}

// The place in the queue for the writer's lock, not the lock itself, is held.
static void test_queues__queue_for_the_lock_is_held(void **state)
{
    struct bench *b = *state;
    struct flock queue = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 1, .l_len = 1};
    int fd = open(beside(b, "-lock"), O_RDWR);
    assert_true(fd >= 0);
    assert_int_equal(fcntl(fd, F_OFD_SETLK, &queue), 0);
    assert_int_equal(insert(b, USER, "k", "x"), E_STORE);
    close(fd);
    assert_int_equal(insert(b, USER, "k", "x"), E_OK);
}

static void fill_seven(void *self, void *out, size_t bytes)
{
    (void)self;
    memset(out, 7, bytes);
}

static void test_queues__claims_that_are_taken(void **state)
{
    struct bench *b = *state;
    struct rand_sim same[2];
    struct rand sevens = {fill_seven, NULL};
    struct lock_file l[2];
    for (int i = 0; i < 2; i++) {  // the same numbers: the second store takes the next
        rand_sim_init(&same[i], 5);
        assert_int_equal(lock_file_open(&l[i], PATH(b), &same[i].rand, false, NULL), E_OK);
    }
    assert_string_not_equal(l[0].claim, l[1].claim);
    assert_true(lock_file_alive(&l[0], slice_str(l[1].claim)));
    lock_file_close(&l[1]);
    assert_false(lock_file_alive(&l[0], slice_str(l[1].claim)));
    lock_file_close(&l[0]);

    assert_int_equal(lock_file_open(&l[0], PATH(b), &sevens, false, NULL), E_OK);
    assert_int_equal(lock_file_open(&l[1], PATH(b), &sevens, false, NULL), E_STORE);
    lock_file_close(&l[0]);
}

static void test_queues__system_that_does_not_lock(void **state)
{
    struct bench *b = *state;
    struct lock_file l;
    struct err err = ERR_INIT;
    atomic_store(&fcntl_errno, EINTR);  // a signal came: again
    assert_int_equal(lock_file_open(&l, PATH(b), rand_system(), false, &err), E_OK);
    assert_true(lock_file_take(&l, 0));
    lock_file_drop(&l);
    atomic_store(&fcntl_errno, EACCES);  // as some systems say EAGAIN: the next number
    lock_file_close(&l);
    assert_int_equal(lock_file_open(&l, PATH(b), rand_system(), false, &err), E_OK);
    atomic_store(&fcntl_errno, ENOLCK);  // who cannot be asked about may live
    assert_true(lock_file_alive(&l, SLICE_LIT("0000000000000001")));
    assert_false(lock_file_alive(&l, SLICE_LIT("0000000000000001")));
    assert_false(lock_file_alive(&l, SLICE_LIT("ffffffffffffffff")));  // no claim is so large
    assert_false(lock_file_alive(&l, SLICE_LIT("no claim")));
    lock_file_close(&l);
    atomic_store(&fcntl_errno, ENOLCK);
    assert_int_equal(lock_file_open(&l, PATH(b), rand_system(), false, &err), E_STORE);
    assert_non_null(strstr(err.message, "a file system with locks"));
    atomic_store(&fcntl_fails_on, true);
    atomic_store(&fcntl_errno, EACCES);
    assert_int_equal(lock_file_open(&l, PATH(b), rand_system(), false, &err), E_STORE);
    assert_non_null(strstr(err.message, "being restored"));
    atomic_store(&fcntl_fails_on, false);
    atomic_store(&fcntl_errno, 0);
}

// --- files --------------------------------------------------------------------------------------

static void test_queues__files_in_the_way(void **state)
{
    struct bench *b = *state;
    char url[sizeof b->url];
    close_store(b);
    snprintf(url, sizeof url, "%s", b->url);
    snprintf(b->url, sizeof b->url, "%.200s/below", url);  // a file as a folder
    expect_refusal(b, E_STORE, "Not a directory");
    snprintf(b->url, sizeof b->url, "%s", url);

    // Behind a link that leads nowhere no file is made.
    assert_int_equal(rename(PATH(b), beside(b, "-away")), 0);
    assert_int_equal(symlink("nowhere", PATH(b)), 0);
    expect_refusal(b, E_STORE, "No such file");
    assert_int_equal(store_migrate(b->url, false, NULL, NULL), E_STORE);
    unlink(PATH(b));
    assert_int_equal(rename(beside(b, "-away"), PATH(b)), 0);

    unlink(beside(b, "-lock"));
    assert_int_equal(mkdir(beside(b, "-lock"), 0700), 0);
    expect_refusal(b, E_STORE, "must exist and be writable");
    struct err err = ERR_INIT;
    assert_int_equal(store_migrate(b->url, false, NULL, &err), E_STORE);
    rmdir(beside(b, "-lock"));
    b->store = open_again(b);
}

// Opens with each of the first allocations failing; how often it went well.
static int open_without_memory(struct bench *b)
{
    int opened = 0;
    for (uint64_t n = 1; n < 16; n++) {
        struct store *s = NULL;
        struct err err = ERR_INIT;
        mem_fail_at(n, 0);
        int code = store_open(&s, b->url, &b->env, &err);
        mem_fail_at(0, 0);
        assert_true(code == E_OK ? s != NULL : !s && err.message[0]);
        assert_true(code == E_OK || code == E_NOMEM || code == E_STORE);
        opened += code == E_OK;
        store_free(s);
    }
    return opened;
}

// What a URI escapes, often enough that the name grows.
#define COPY_NAME "a?b#%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%.db"

// Runs a script in a folder in which afterwards nothing can be made; $f is the copy's name.
static void in_folder(const char *folder, const char *script)
{
    char command[900];
    snprintf(command, sizeof command,
             "cd %s && f='%s' && chmod 755 . && { %s; } && chmod -R a+r . && chmod 555 .", folder,
             COPY_NAME, script);
    assert_int_equal(system(command), 0);
}

// As somebody who may not write there: the super-user may everywhere.
static void as_another(bool on)
{
    static bool super;
    super = super || geteuid() == 0;
    assert_true(!super || seteuid(on ? 65534 : 0) == 0);
}

static void expect_readable(struct bench *b)
{
    b->store = open_again(b);
    assert_int_equal(version_of(b, USER, "k", "x"), 1);
    struct store_op op = {.verb = STORE_CLAIM_ALIVE, .key = SLICE_LIT("0000000000000001")};
    assert_int_equal(run(b, &op), E_OK);
    assert_false(op.alive);
    close_store(b);
}

static void test_queues__copy_in_a_folder_of_others(void **state)
{
    struct bench *b = *state;
    char folder[] = "/tmp/parley-copy-XXXXXX", script[300], url[256];
    assert_int_equal(insert(b, USER, "k", "x"), E_OK);
    close_store(b);
    assert_non_null(mkdtemp(folder));
    snprintf(script, sizeof script, "cp %s \"$f\"", PATH(b));
    in_folder(folder, script);
    snprintf(url, sizeof url, "%s", b->url);
    snprintf(b->url, sizeof b->url, "sqlite:%s/%s", folder, COPY_NAME);
    b->env.read_only = true;
    as_another(true);
    expect_readable(b);
    assert_true(open_without_memory(b) > 0);
    as_another(false);
    in_folder(folder, ": >\"$f-wal\"");  // a WAL without anything in it is none
    as_another(true);
    expect_readable(b);
    as_another(false);
    // Changes that were not moved into the file are not passed over; nor for lack of memory.
    in_folder(folder, "echo more >\"$f-wal\"");
    as_another(true);
    expect_refusal(b, E_STORE, "check the permissions");
    assert_int_equal(open_without_memory(b), 0);
    as_another(false);
    in_folder(folder, "rm \"$f\"*");
    assert_int_equal(rmdir(folder), 0);
    snprintf(b->url, sizeof b->url, "%s", url);
}

static void test_queues__state_that_is_gone(void **state)
{
    struct bench *b = *state;
    struct store_op op = {.verb = STORE_LEASE, .partition = SLICE_LIT(USER), .key = SLICE_LIT("l"),
                          .holder = SLICE_LIT("ann"), .ttl_ms = 1000};
    assert_int_equal(run(b, &op), E_OK);
    // A holder that no op could have written is nobody.
    exec_raw(b, "UPDATE leases SET holder = hex(zeroblob(64))");
    op.epoch = 0;
    op.holder = SLICE_LIT("bob");
    assert_int_equal(run(b, &op), E_OK);
    exec_raw(b, "DELETE FROM state");
    op.epoch = UINT64_MAX;
    assert_int_equal(run(b, &op), E_CORRUPT);
    assert_non_null(strstr(op.err.message, "damaged"));
}

// --- versions, threads --------------------------------------------------------------------------

static void test_queues__read_only_versions(void **state)
{
    struct bench *b = *state;
    close_store(b);
    static const struct schema_step one = {"a", "CREATE TABLE a(x)"};
    const struct schema newer = {&one, sqlite_schema.version + 1};
    struct store *s = NULL;
    struct err err = ERR_INIT;
    b->env.read_only = true;
    assert_int_equal(sqlite_open_with(&s, PATH(b), &b->env, &newer, &err), E_STORE);
    assert_non_null(strstr(err.message, "parley migrate"));
    assert_int_equal(truncate(PATH(b), 0), 0);
    expect_refusal(b, E_STORE, "is empty");
    b->env.read_only = false;
    exec_raw(b, "CREATE TABLE t(a); PRAGMA application_id=1886547065");  // ours, of no version
    expect_refusal(b, E_STORE, "another program");
    exec_raw(b, "DROP TABLE t; PRAGMA application_id=0; PRAGMA user_version=7");
    expect_refusal(b, E_STORE, "another program");
}

static void test_queues__threads_that_do_not_start(void **state)
{
    struct bench *b = *state;
    close_store(b);
    for (int left = 0; left < 2; left++) {
        struct store *s = NULL;
        struct err err = ERR_INIT;
        atomic_store(&threads_left, left);
        assert_int_equal(store_open(&s, b->url, &b->env, &err), E_NOMEM);
        assert_non_null(strstr(err.message, "thread"));
        atomic_store(&threads_left, INT32_MAX);
    }
    b->store = open_again(b);
    assert_int_equal(insert(b, USER, "k", "x"), E_OK);
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_queues__##name, bench_up, bench_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(more_than_a_group), TEST(more_items_than_a_group), TEST(more_bytes_than_a_group),
        TEST(more_reads_than_a_batch), TEST(wal_that_cannot_be_emptied),
        TEST(lock_held_while_closing), TEST(queue_for_the_lock_is_held),
        TEST(claims_that_are_taken), TEST(system_that_does_not_lock), TEST(files_in_the_way),
        TEST(copy_in_a_folder_of_others), TEST(state_that_is_gone), TEST(read_only_versions),
        TEST(threads_that_do_not_start),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
