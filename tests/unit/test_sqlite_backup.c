// SPDX-License-Identifier: MIT
// Copies of an SQLite store, and copies in its place: what they hold, what refuses them, and what
// is left when they fail. tests/fault/test_backup.c kills them.
#include "contract/sqlite_files.h"
#include "store/sqlite_int.h"

#include <fcntl.h>
#include <sys/stat.h>

#define PATH(b) path_of((b)->url)

enum { BIG_BYTES = 200 << 10, BIG_RECORDS = 12 };

// What the one who asks for a copy sees of it, and does meanwhile.
struct watcher {
    struct store_copying how;
    struct bench *bench;
    unsigned told, checked, written;
    uint64_t done_bytes, total_bytes;
    bool write, stop, open;  // while it is copied; at the first word; in `check`
    int verdict;
};

static int watch(void *user, uint64_t done_bytes, uint64_t total_bytes)
{
    struct watcher *w = user;
    w->told++;
    assert_true(done_bytes >= w->done_bytes && done_bytes <= total_bytes);
    w->done_bytes = done_bytes;
    w->total_bytes = total_bytes;
    if (w->write) {
        char key[32];
        snprintf(key, sizeof key, "late/%04u", w->written++);
        assert_int_equal(insert(w->bench, USER, key, "written meanwhile"), E_OK);
    }
    return w->stop;
}

static int check(void *user, const char *url, struct err *err)
{
    struct watcher *w = user;
    w->checked++;
    if (w->open) {
        struct store *s = NULL;
        struct err why = ERR_INIT;
        assert_int_equal(store_open(&s, w->bench->url, &w->bench->env, &why), E_STORE);
        assert_non_null(strstr(why.message, "being restored"));
    }
    assert_non_null(strstr(url, ".part"));
    return w->verdict ? err_set(err, w->verdict, "told so") : E_OK;
}

static struct watcher *watcher_of(struct bench *b)
{
    static struct watcher w;
    w = (struct watcher){.how = {.progress = watch, .check = check, .user = &w}, .bench = b};
    return &w;
}

static const char *beside(const struct bench *b, const char *end, char out[320])
{
    snprintf(out, 320, "%s%s", PATH(b), end);
    return out;
}

static bool there(const char *path)
{
    return access(path, F_OK) == 0;
}

static void fill(struct bench *b)
{
    static char body[BIG_BYTES + 1];
    memset(body, 'x', BIG_BYTES);
    for (int i = 0; i < BIG_RECORDS; i++) {
        char key[32];
        snprintf(key, sizeof key, "big/%04d", i);
        assert_int_equal(insert(b, USER, key, body), E_OK);
    }
}

// How many records of the user a store file holds under a prefix.
static uint32_t count(struct bench *b, const char *path, const char *prefix)
{
    struct bench other = *b;
    snprintf(other.url, sizeof other.url, "sqlite:%s", path);
    other.env.read_only = true;
    other.store = open_again(&other);
    struct store_op op = scan_op(USER, prefix, "", 1000, false);
    assert_int_equal(run(&other, &op), E_OK);
    uint32_t n = op.rows_len;
    store_op_release(&op);
    store_free(other.store);
    return n;
}

static void close_store(struct bench *b)
{
    store_free(b->store);
    b->store = NULL;
}

static int backup_down(void **state)
{
    struct bench *b = *state;
    char command[400];
    close_store(b);
    b->store = NULL;
    snprintf(command, sizeof command, "rm -rf '%s'*", PATH(b));
    assert_int_equal(system(command), 0);
    return bench_down(state);
}

// --- backup ------------------------------------------------------------------------------------

static void test_sqlite_backup__is_a_snapshot(void **state)
{
    struct bench *b = *state;
    struct watcher *w = watcher_of(b);
    char file[320];
    struct err err = ERR_INIT;
    struct stat st;
    fill(b);
    w->write = true;
    if (store_backup(b->url, beside(b, ".backup", file), &w->how, &err))
        fail_msg("%s", err.message);
    // Each step was followed by a commit, and none made it start over.
    assert_true(w->told > 2 && w->written == w->told);
    assert_int_equal(w->checked, 1);
    assert_int_equal(stat(file, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal((uint64_t)st.st_size, w->total_bytes);
    assert_int_equal(count(b, file, "big/"), BIG_RECORDS);
    assert_int_equal(count(b, file, "late/"), 0);
    assert_int_equal(count(b, PATH(b), "late/"), w->written);
    assert_false(there(beside(b, ".backup.part", file)));
    assert_false(there(beside(b, ".backup-wal", file)));
}

static void test_sqlite_backup__leaves_nothing_when_it_fails(void **state)
{
    struct bench *b = *state;
    char file[320], part[320];
    struct err err = ERR_INIT;
    fill(b);
    beside(b, ".backup", file);
    struct watcher *w = watcher_of(b);
    w->stop = true;
    assert_int_equal(store_backup(b->url, file, &w->how, &err), E_CANCELLED);
    assert_int_equal(w->told, 1);
    w = watcher_of(b);
    w->verdict = E_CORRUPT;
    assert_int_equal(store_backup(b->url, file, &w->how, &err), E_CORRUPT);
    assert_string_equal(err.message, "told so");
    assert_false(there(file));
    assert_false(there(beside(b, ".backup.part", part)));
}

static void test_sqlite_backup__ignores_what_a_crash_left(void **state)
{
    struct bench *b = *state;
    struct watcher *w = watcher_of(b);
    static const char *const ends[] = {".backup.part", ".backup.part-journal", ".backup.part-wal"};
    char file[320];
    struct err err = ERR_INIT;
    assert_int_equal(insert(b, USER, "k", "x"), E_OK);
    for (int i = 0; i < 3; i++) {
        FILE *f = fopen(beside(b, ends[i], file), "w");
        assert_non_null(f);
        fprintf(f, "half of something");
        fclose(f);
    }
    if (store_backup(b->url, beside(b, ".backup", file), &w->how, &err))
        fail_msg("%s", err.message);
    assert_int_equal(count(b, file, "k"), 1);
}

static void expect_usage(struct bench *b, const char *file)
{
    struct watcher *w = watcher_of(b);
    struct err err = ERR_INIT;
    w->how.replace = true;
    assert_int_equal(store_backup(b->url, file, &w->how, &err), E_USAGE);
    assert_non_null(strstr(err.message, "belongs to it"));
}

static void test_sqlite_backup__never_over_the_store(void **state)
{
    struct bench *b = *state;
    static const char *const ends[] = {"", "-wal", "-shm", "-journal", "-lock", ".part"};
    char file[320], folder[320], here[320];
    assert_int_equal(insert(b, USER, "k", "x"), E_OK);
    for (int i = 0; i < 6; i++)
        expect_usage(b, beside(b, ends[i], file));
    // By another name, and by the name alone.
    beside(b, ".link", file);
    assert_int_equal(link(PATH(b), file), 0);
    expect_usage(b, file);
    beside(b, "", folder);
    *strrchr(folder, '/') = 0;
    assert_non_null(getcwd(here, sizeof here));
    assert_int_equal(chdir(folder), 0);
    expect_usage(b, strrchr(PATH(b), '/') + 1);
    expect_usage(b, "./store.db-journal");
    assert_int_equal(chdir(here), 0);
    assert_int_equal(version_of(b, USER, "k", "x"), 1);
}

static void test_sqlite_backup__of_what_cannot_be(void **state)
{
    struct bench *b = *state;
    struct watcher *w = watcher_of(b);
    struct buf aside = BUF_INIT(1024);
    struct err err = ERR_INIT;
    assert_int_equal(store_backup("memory:", "/tmp/x", &w->how, &err), E_USAGE);
    assert_non_null(strstr(err.message, "gone with the process"));
    assert_int_equal(store_restore("memory:", "/tmp/x", &w->how, &aside, &err), E_USAGE);
    assert_int_equal(store_backup("faulty:fail_at=0;memory:", "/tmp/x", &w->how, &err), E_USAGE);
    assert_int_equal(store_backup("sqlite:/tmp/parley-no-such.db", "/tmp/x", &w->how, &err),
                     E_STORE);
    assert_non_null(strstr(err.message, "does not exist"));
    buf_release(&aside);
}

// --- restore -----------------------------------------------------------------------------------

// A backup of one record, "then", and a store that has gone on: "now".
static void diverge(struct bench *b, char file[320])
{
    struct watcher *w = watcher_of(b);
    struct err err = ERR_INIT;
    assert_int_equal(insert(b, USER, "then", "x"), E_OK);
    if (store_backup(b->url, beside(b, ".backup", file), &w->how, &err))
        fail_msg("%s", err.message);
    assert_int_equal(insert(b, USER, "now", "x"), E_OK);
}

static int restore(struct bench *b, const char *file, struct watcher *w, struct buf *aside,
                   struct err *err)
{
    buf_clear(aside);
    return store_restore(b->url, file, &w->how, aside, err);
}

static void test_sqlite_restore__keeps_what_was(void **state)
{
    struct bench *b = *state;
    struct buf aside = BUF_INIT(1024);
    char file[320], wal[320];
    struct err err = ERR_INIT;
    diverge(b, file);
    close_store(b);
    struct watcher *w = watcher_of(b);
    w->open = true;
    if (restore(b, file, w, &aside, &err))
        fail_msg("%s", err.message);
    assert_int_equal(w->checked, 1);
    assert_int_equal(count(b, PATH(b), "now"), 0);
    assert_int_equal(count(b, PATH(b), "then"), 1);
    assert_int_equal(count(b, aside.ptr, "now"), 1);
    assert_false(there(beside(b, "-wal", wal)));
    b->store = open_again(b);
    assert_int_equal(insert(b, USER, "later", "x"), E_OK);
    close_store(b);
    // Again, within the same second or not: the first that was kept stays.
    struct buf other = BUF_INIT(1024);
    if (restore(b, file, watcher_of(b), &other, &err))
        fail_msg("%s", err.message);
    assert_string_not_equal(aside.ptr, other.ptr);
    assert_int_equal(count(b, other.ptr, "later"), 1);
    assert_int_equal(count(b, aside.ptr, "now"), 1);
    buf_release(&other);
    buf_release(&aside);
}

static void test_sqlite_restore__refused_while_in_use(void **state)
{
    struct bench *b = *state;
    struct buf aside = BUF_INIT(1024);
    char file[320];
    struct err err = ERR_INIT;
    diverge(b, file);
    struct watcher *w = watcher_of(b);
    assert_int_equal(restore(b, file, w, &aside, &err), E_REFUSED);
    assert_non_null(strstr(err.message, "is in use"));
    assert_int_equal(w->checked, 0);
    assert_int_equal(version_of(b, USER, "now", "x"), 1);
    close_store(b);
    // Somebody who does not know our lock.
    sqlite3 *db = NULL;
    assert_int_equal(sqlite3_open(PATH(b), &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "BEGIN; SELECT * FROM state", NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(restore(b, file, w, &aside, &err), E_REFUSED);
    assert_non_null(strstr(err.message, "open in another program"));
    sqlite3_close(db);
    assert_int_equal(aside.len, 0);
    assert_int_equal(count(b, PATH(b), "now"), 1);
    assert_int_equal(restore(b, file, w, &aside, &err), E_OK);
    buf_release(&aside);
}

static void test_sqlite_restore__not_of_what_is_bad(void **state)
{
    struct bench *b = *state;
    struct buf aside = BUF_INIT(1024);
    char file[320], text[320];
    struct err err = ERR_INIT;
    diverge(b, file);
    close_store(b);
    struct watcher *w = watcher_of(b);
    w->verdict = E_CORRUPT;
    assert_int_equal(restore(b, file, w, &aside, &err), E_CORRUPT);
    w = watcher_of(b);
    assert_int_equal(restore(b, beside(b, ".none", text), w, &aside, &err), E_USAGE);
    assert_int_equal(restore(b, PATH(b), w, &aside, &err), E_USAGE);
    FILE *f = fopen(beside(b, ".text", text), "w");
    assert_non_null(f);
    for (int i = 0; i < 1000; i++)
        fprintf(f, "not a database ");
    fclose(f);
    assert_int_equal(restore(b, text, w, &aside, &err), E_STORE);
    assert_int_equal(w->checked, 0);
    assert_int_equal(count(b, PATH(b), "now"), 1);
    assert_false(there(beside(b, ".part", text)));
    buf_release(&aside);
}

// A backup by a parley whose stores were of the first version: which file, and what to do, are
// told; doing that helps.
static void test_sqlite_restore__of_an_older_version(void **state)
{
    struct bench *b = *state;
    const struct schema first = {sqlite_schema.steps, 1};
    struct buf aside = BUF_INIT(1024), report = BUF_INIT(4096);
    char file[320], expected[700];
    struct err err = ERR_INIT;
    assert_int_equal(insert(b, USER, "now", "x"), E_OK);
    close_store(b);
    close(open(beside(b, ".old", file), O_CREAT | O_WRONLY, 0600));
    assert_int_equal(sqlite_migrate_with(file, &first, false, &report, &err), E_OK);
    struct watcher *w = watcher_of(b);
    w->open = true;
    assert_int_equal(restore(b, file, w, &aside, &err), E_STORE);
    snprintf(expected, sizeof(expected), "run `parley migrate --store sqlite:%s`", file);
    assert_non_null(strstr(err.message, expected));
    assert_non_null(strstr(err.message, "the backup "));
    assert_int_equal(w->checked, 0);
    assert_int_equal(count(b, PATH(b), "now"), 1);
    assert_int_equal(sqlite_migrate_with(file, &sqlite_schema, false, &report, &err), E_OK);
    assert_int_equal(restore(b, file, w, &aside, &err), E_OK);
    assert_int_equal(count(b, PATH(b), "now"), 0);
    buf_release(&report);
    buf_release(&aside);
}

static void test_sqlite_restore__where_nothing_is(void **state)
{
    struct bench *b = *state;
    struct buf aside = BUF_INIT(1024);
    char file[320], wal[320];
    struct err err = ERR_INIT;
    diverge(b, file);
    close_store(b);
    assert_int_equal(unlink(PATH(b)), 0);
    // The WAL of a file that is gone must not meet another.
    FILE *f = fopen(beside(b, "-wal", wal), "w");
    assert_non_null(f);
    fprintf(f, "of another file");
    fclose(f);
    if (restore(b, file, watcher_of(b), &aside, &err))
        fail_msg("%s", err.message);
    assert_int_equal(aside.len, 0);
    assert_false(there(wal));
    assert_int_equal(count(b, PATH(b), "then"), 1);
    buf_release(&aside);
}

static void test_sqlite_restore__over_ruins(void **state)
{
    struct bench *b = *state;
    struct buf aside = BUF_INIT(1024);
    char file[320], wal[320];
    struct err err = ERR_INIT;
    diverge(b, file);
    close_store(b);
    int fd = open(PATH(b), O_WRONLY | O_TRUNC);
    assert_int_equal(write(fd, "ruins", 5), 5);
    close(fd);
    fd = open(beside(b, "-wal", wal), O_WRONLY | O_CREAT, 0600);
    assert_int_equal(write(fd, "and more", 8), 8);
    close(fd);
    if (restore(b, file, watcher_of(b), &aside, &err))
        fail_msg("%s", err.message);
    assert_int_equal(count(b, PATH(b), "then"), 1);
    assert_true(there(aside.ptr));
    buf_add_str(&aside, "-wal");
    assert_true(there(aside.ptr));
    assert_false(there(wal));
    buf_release(&aside);
}

#define BACKUP(name) \
    cmocka_unit_test_setup_teardown(test_sqlite_backup__##name, bench_up, backup_down)
// Named by their last part alone, from the store's own folder; and nobody wants to hear of it.
static void test_sqlite_backup__by_a_bare_name(void **state)
{
    struct bench *b = *state;
    struct watcher *w = watcher_of(b);
    struct err err = ERR_INIT;
    char folder[256];
    int back = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(back >= 0);
    w->how.progress = NULL;
    snprintf(folder, sizeof folder, "%s", PATH(b));
    *strrchr(folder, '/') = 0;
    assert_int_equal(chdir(folder), 0);
    assert_int_equal(store_backup(b->url, "store.db-wal", &w->how, &err), E_USAGE);
    assert_non_null(strstr(err.message, "is the store itself"));
    assert_int_equal(store_backup(b->url, "bare.copy", &w->how, &err), E_OK);
    assert_true(there("bare.copy") && w->told == 0 && w->checked == 1);
    assert_int_equal(unlink("bare.copy"), 0);
    assert_int_equal(fchdir(back), 0);
    close(back);
}

#define RESTORE(name) \
    cmocka_unit_test_setup_teardown(test_sqlite_restore__##name, bench_up, backup_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        BACKUP(is_a_snapshot), BACKUP(leaves_nothing_when_it_fails),
        BACKUP(ignores_what_a_crash_left), BACKUP(never_over_the_store),
        BACKUP(of_what_cannot_be), BACKUP(by_a_bare_name),
        RESTORE(keeps_what_was), RESTORE(refused_while_in_use), RESTORE(not_of_what_is_bad),
        RESTORE(of_an_older_version), RESTORE(where_nothing_is), RESTORE(over_ruins),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
