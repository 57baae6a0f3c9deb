// SPDX-License-Identifier: MIT
// sqlite_backup.c: copies of a store's file; see sqlite_int.h.
//
//   backup    store ──one read transaction──▶ FILE.part ──checked──▶ FILE
//   restore   FILE ──▶ PATH.part ──checked──▶ PATH     old PATH, its WAL folded in ──▶ aside
//
// The copying connection only reads, and holds one read transaction from the first page to the
// last: a snapshot, which writers neither wait for nor disturb, so no copy ever starts over. The
// WAL cannot start over meanwhile, and grows by what is written (sqlite_write.c's checkpoints know
// such readers). A copy has no WAL: it is one file.
//
// While a store is copied the copier has a claim on it, and a restore needs all claims: so the
// two exclude each other, and nobody can begin to use a store that is about to be replaced.
#include "store/sqlite_int.h"

#include "base/mem.h"
#include "base/newfile.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { STEP_PAGES = 256, ASIDE_TRIES_MAX = 100 };

static const char *const sides[] = {"-wal", "-shm", "-journal"};
enum { SIDES = sizeof sides / sizeof *sides, SIDE_SHM = 1, NAME_BYTES_MAX = 1 << 16 };

// --- copying -----------------------------------------------------------------------------------

// Without a WAL, and with nothing beside it that a crash could leave to be taken for its own.
static int open_copy(const char *part, sqlite3 **db, struct err *err)
{
    struct buf name = BUF_INIT(NAME_BYTES_MAX);
    int code = E_OK;
    for (int i = 0; i < SIDES && !code; i++) {
        buf_clear(&name);
        buf_addf(&name, "%s%s", part, sides[i]);
        code = buf_check(&name, "the copy's name", err);
        if (!code)
            unlink(name.ptr);
    }
    buf_release(&name);
    if (code)
        return code;
    int rc = sqlite3_open_v2(part, db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
    if (rc == SQLITE_OK) {
        sqlite3_extended_result_codes(*db, 1);
        // It is synced as a whole when it is complete, and worth nothing before.
        rc = sqlite3_exec(*db, "PRAGMA locking_mode=EXCLUSIVE; PRAGMA journal_mode=OFF;"
                          "PRAGMA synchronous=OFF; PRAGMA trusted_schema=OFF;",
                          NULL, NULL, NULL);
    }
    return rc == SQLITE_OK ? E_OK : conn_error(*db, rc, part, "making a copy", err);
}

// Whose error it was: the one that is written fills up and fails to grow, the other is only read.
static bool is_of_copy(int rc)
{
    return (rc & 0xff) == SQLITE_FULL ||
           ((rc & 0xff) == SQLITE_IOERR && rc != SQLITE_IOERR_READ &&
            rc != SQLITE_IOERR_SHORT_READ);
}

static int copy_pages(sqlite3 *from, sqlite3 *to, const struct store_copying *how, int64_t page,
                      int *rc, struct err *err)
{
    sqlite3_backup *b = sqlite3_backup_init(to, "main", from, "main");
    int code = E_OK;
    if (!b) {
        *rc = sqlite3_extended_errcode(to);
        return E_STORE;
    }
    do {
        *rc = sqlite3_backup_step(b, STEP_PAGES);
        int64_t total = sqlite3_backup_pagecount(b) * page;
        int64_t left = sqlite3_backup_remaining(b) * page;
        if (how->progress && how->progress(how->user, (uint64_t)(total - left), (uint64_t)total))
            code = err_set(err, E_CANCELLED, "stopped while copying");
    } while (!code && *rc == SQLITE_OK);
    int end = sqlite3_backup_finish(b);
    if (*rc == SQLITE_DONE)
        *rc = end;
    return code ? code : *rc == SQLITE_OK ? E_OK : E_STORE;
}

static int page_bytes(sqlite3 *db)
{
    sqlite3_stmt *st = NULL;
    int bytes = 0;
    if (sqlite3_prepare_v2(db, "PRAGMA page_size", -1, &st, NULL) == SQLITE_OK &&
        sqlite3_step(st) == SQLITE_ROW)
        bytes = sqlite3_column_int(st, 0);
    sqlite3_finalize(st);
    return bytes;
}

// The pages of `from`, as of one moment, into the open copy.
static int copy_snapshot(struct sqlite_conn *from, const char *path, sqlite3 *to, const char *part,
                         const struct store_copying *how, struct err *err)
{
    int rc = sqlite3_exec(from->db, "BEGIN; SELECT count(*) FROM sqlite_schema", NULL, NULL, NULL);
    if (rc != SQLITE_OK)
        return conn_error(from->db, rc, path, "starting to read", err);
    int code = copy_pages(from->db, to, how, page_bytes(from->db), &rc, err);
    if (code == E_STORE)
        code = is_of_copy(rc) ? conn_error(to, rc, part, "copying", err)
                              : conn_error(to, rc, path, "copying it", err);
    sqlite3_exec(from->db, "ROLLBACK", NULL, NULL, NULL);
    if (code)
        return code;
    // What was copied says that there is a WAL.
    rc = sqlite3_exec(to, "PRAGMA journal_mode=DELETE", NULL, NULL, NULL);
    return rc == SQLITE_OK ? E_OK : conn_error(to, rc, part, "completing the copy", err);
}

static int ask_check(const char *part, const struct store_copying *how, struct err *err)
{
    struct buf url = BUF_INIT(NAME_BYTES_MAX);
    buf_addf(&url, "sqlite:%s", part);
    int code = buf_check(&url, "the copy's name", err);
    if (!code)
        code = how->check(how->user, url.ptr, err);
    buf_release(&url);
    return code;
}

// A checked copy of an open store in `part`, not durable yet.
static int make_copy(struct sqlite_conn *from, const char *path, const char *part,
                     const struct store_copying *how, struct err *err)
{
    sqlite3 *to = NULL;
    int code = open_copy(part, &to, err);
    if (!code)
        code = copy_snapshot(from, path, to, part, how, err);
    sqlite3_close_v2(to);
    return code ? code : ask_check(part, how, err);
}

// What is to be copied; it must be one of ours.
static int open_source(struct sqlite_conn *c, const char *path, enum conn_kind kind,
                       struct err *err)
{
    unsigned version = 0;
    int code = conn_open(c, path, kind, err);
    if (!code)
        code = schema_read(c->db, path, &sqlite_schema, &version, err);
    if (!code && !version)
        code = err_set(err, E_STORE, "store: sqlite: %s is empty: there is nothing to copy", path);
    return code;
}

// --- backup ------------------------------------------------------------------------------------

static bool same_file(const char *a, const char *b)
{
    struct stat x, y;
    return stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_ino == y.st_ino && x.st_dev == y.st_dev;
}

// The store's own files, whether they are there now or not.
static int check_not_ours(const char *path, const char *file, struct err *err)
{
    static const char *const ours[] = {"", "-wal", "-shm", "-journal", "-lock", ".part"};
    const char *base = strrchr(path, '/'), *slash = strrchr(file, '/');
    struct buf name = BUF_INIT(NAME_BYTES_MAX), folder = BUF_INIT(NAME_BYTES_MAX);
    bool own = false;
    base = base ? base + 1 : path;
    buf_addf(&folder, "%.*s/.", slash ? (int)(slash - file) : 1, slash ? file : ".");
    buf_addf(&name, "%.*s/.", (int)(base - path), path);
    int code = buf_check(&folder, "the file's folder", err);
    if (!code)
        code = buf_check(&name, "the store's folder", err);
    bool beside = !code && same_file(folder.ptr, name.ptr);
    for (size_t i = 0; i < sizeof ours / sizeof *ours && !code && !own; i++) {
        buf_clear(&name);
        buf_addf(&name, "%s%s", path, ours[i]);
        code = buf_check(&name, "the store's name", err);
        if (code)
            break;
        const char *last = name.ptr + (base - path);
        own = same_file(file, name.ptr) ||
              (beside && strcmp(slash ? slash + 1 : file, last) == 0);
    }
    if (own)
        code = err_set(err, E_USAGE, "%s is the store itself, or a file that belongs to it: name "
                       "another", file);
    buf_release(&name);
    buf_release(&folder);
    return code;
}

int sqlite_backup(const char *rest, const char *file, const struct store_copying *how,
                  struct err *err)
{
    struct lock_file lock = {.fd = -1};
    struct sqlite_conn from = {0};
    struct newfile new = {.fd = -1};
    char *path = NULL;
    int code = sqlite_find_file(rest, false, &path, err);
    if (!code)
        code = check_not_ours(path, file, err);
    if (!code)
        code = newfile_make(&new, file, how->replace, err);
    if (!code)
        code = lock_file_open(&lock, path, rand_system(), false, err);
    if (!code)
        code = open_source(&from, path, CONN_READER, err);
    if (!code)
        code = make_copy(&from, path, new.part, how, err);
    conn_close(&from);
    if (!code)
        code = newfile_publish(&new, err);
    newfile_drop(&new);
    lock_file_close(&lock);
    free(path);
    return code;
}

// --- restore -----------------------------------------------------------------------------------

// A backup that an older parley made: it is the file that is too old, not the store.
static int expect_our_version(struct sqlite_conn *c, const char *file, struct err *err)
{
    unsigned version = 0;
    int code = schema_read(c->db, file, &sqlite_schema, &version, err);
    if (code || version == sqlite_schema.version)
        return code;
    return err_set(err, E_STORE, "the backup %s is of an older parley (schema version %u, this one "
                   "needs %u): run `parley migrate --store sqlite:%s`, then restore it", file,
                   version, sqlite_schema.version, file);
}

// Where the store is to be. A store that is not there yet has no real path, only a folder.
static int place_of(const char *rest, char **path, struct err *err)
{
    struct stat st;
    if (rest[0] && stat(rest, &st) != 0 && errno == ENOENT) {
        *path = mem_strdup(rest);
        return *path ? E_OK : err_set(err, E_NOMEM, "store: sqlite: out of memory");
    }
    return sqlite_find_file(rest, false, path, err);
}

// Folds the WAL of the store into its file, so that the file is all there is to keep. A store that
// is too damaged for that keeps what it has beside it.
static int fold_wal(const char *path, struct err *err)
{
    struct sqlite_conn c = {0};
    struct err why = ERR_INIT;
    if (conn_open(&c, path, CONN_WRITER, &why))
        return E_OK;
    int rc = sqlite3_exec(c.db, "PRAGMA locking_mode=EXCLUSIVE; PRAGMA journal_mode=DELETE", NULL,
                          NULL, NULL);
    conn_close(&c);
    if ((rc & 0xff) == SQLITE_BUSY || (rc & 0xff) == SQLITE_LOCKED)
        return err_set(err, E_REFUSED, "store: sqlite: %s is open in another program: close it, "
                       "then try again", path);
    return E_OK;
}

static int find_aside(const char *path, struct buf *aside, struct err *err)
{
    char now[CLOCK_TEXT_BYTES], stamp[CLOCK_TEXT_BYTES];
    size_t len = 0;
    struct stat st;
    clock_format(clock_wall_ms(clock_system()), now);
    for (const char *p = now; *p != '.'; p++)  // to the second
        if (*p != '-' && *p != ':')
            stamp[len++] = *p;
    stamp[len] = 0;
    for (int i = 0; i < ASIDE_TRIES_MAX; i++) {
        buf_clear(aside);
        buf_addf(aside, "%s.before-%sZ", path, stamp);
        if (i)
            buf_addf(aside, "-%d", i);
        if (!buf_ok(aside) || lstat(aside->ptr, &st) != 0)
            return buf_check(aside, "the old store's name", err);
    }
    return err_set(err, E_STORE, "store: sqlite: %s: no name is free to keep it under", path);
}

// What is left beside a damaged store goes with it: a WAL must never meet another file.
static int move_sides(const char *path, const char *aside, struct err *err)
{
    struct buf from = BUF_INIT(NAME_BYTES_MAX), to = BUF_INIT(NAME_BYTES_MAX);
    int code = E_OK;
    for (int i = 0; i < SIDES && !code; i++) {
        buf_clear(&from);
        buf_clear(&to);
        buf_addf(&from, "%s%s", path, sides[i]);
        buf_addf(&to, "%s%s", aside, sides[i]);
        if (!buf_ok(&from) || !buf_ok(&to))
            code = err_set(err, E_NOMEM, "store: sqlite: out of memory");
        else if ((i == SIDE_SHM ? unlink(from.ptr) : rename(from.ptr, to.ptr)) && errno != ENOENT)
            code = err_set(err, E_STORE, "store: sqlite: %s cannot be moved away: %s", from.ptr,
                           strerror(errno));
    }
    buf_release(&from);
    buf_release(&to);
    return code;
}

// Whoever restores as root does so for somebody. Another has not the right, nor the need.
static void keep_owner(int fd, const struct stat *old)
{
    if (geteuid() == 0 && fchown(fd, old->st_uid, old->st_gid) != 0)
        return;
}

static bool is_at(const char *path, const struct stat *file)
{
    struct stat now;
    return stat(path, &now) == 0 && now.st_ino == file->st_ino && now.st_dev == file->st_dev;
}

static int put_in_place(struct newfile *new, const char *path, struct buf *aside, struct err *err)
{
    struct err ignored = ERR_INIT;
    struct stat old;
    bool there = stat(path, &old) == 0;
    int code = there ? fold_wal(path, err) : E_OK;
    if (!code)
        code = find_aside(path, aside, err);
    if (!code)
        code = move_sides(path, aside->ptr, err);
    if (!code && there)
        keep_owner(new->fd, &old);
    if (!code)
        code = there ? newfile_swap(new, aside->ptr, err) : newfile_publish(new, err);
    // A store that stays in its place has what was beside it.
    if (code && there && aside->len && is_at(path, &old))
        move_sides(aside->ptr, path, &ignored);
    if (code || !there)
        buf_clear(aside);
    return code;
}

int sqlite_restore(const char *rest, const char *file, const struct store_copying *how,
                   struct buf *aside, struct err *err)
{
    struct lock_file lock = {.fd = -1};
    struct sqlite_conn from = {0};
    struct newfile new = {.fd = -1};
    char *path = NULL, *source = NULL;
    int code = place_of(rest, &path, err);
    if (!code && access(file, R_OK) != 0)
        code = err_set(err, E_USAGE, "%s: %s: name a file that `parley backup` made", file,
                       strerror(errno));
    if (!code)
        code = sqlite_find_file(file, false, &source, err);
    if (!code)
        code = check_not_ours(path, source, err);
    if (!code)
        code = lock_file_open(&lock, path, NULL, false, err);
    if (!code && !lock_file_take_all(&lock))
        code = err_set(err, E_REFUSED, "store: sqlite: %s is in use: stop what uses it, then try "
                       "again", path);
    if (!code)
        code = open_source(&from, source, CONN_READ_ONLY, err);
    if (!code)
        code = expect_our_version(&from, source, err);
    if (!code)
        code = newfile_make(&new, path, true, err);
    if (!code)
        code = make_copy(&from, source, new.part, how, err);
    conn_close(&from);
    if (!code)
        code = put_in_place(&new, path, aside, err);
    newfile_drop(&new);
    lock_file_close(&lock);
    free(source);
    free(path);
    return code;
}
