// SPDX-License-Identifier: MIT
// sqlite_gather.c: what a transaction appends to the WAL goes to the system in large pieces; see
// sqlite_int.h. SQLite writes each page by two calls of the system, 15 for a turn of a conversation
// (measured: 30 us of 60 that the writer spends there).
//
//   xWrite ──▶ behind what is gathered, with room ──▶ gathered
//      └────▶ elsewhere ──▶ what is gathered is written, then this ──▶ the file
//   anything else that is asked of the file ──▶ what is gathered is written, then that
//
// Invariants:
//   1. The file gets the same bytes in the same order, and nothing is synced, read, measured or cut
//      before what was written earlier is in it. So a commit that was synced is in the file, and
//      what a power cut leaves is what it would leave without us.
//   2. What is not in the file is no reader's yet: SQLite tells others of new frames in the WAL's
//      index, and passes a barrier of the database's file in between, where what is gathered is
//      written too (with synchronous=FULL it is by then, as the commit was synced).
//   3. What is gathered is written before the writer's lock is let go, as a transaction that was
//      taken back may leave some: later it would lie over what others committed there meanwhile.
//   4. A failure to write is the failure of the call that was to write: a later one of the same
//      transaction, its sync at the latest. What was gathered is dropped then, as if none of it had
//      been asked for; the connection is not used any more (conn_is_sick).
//
// The two files' methods are replaced by copies of their own, through which what is known of them
// is found again: so it lies over any VFS, and nothing is registered with the process.
#include "store/sqlite_int.h"

#include "base/mem.h"

// SQLite's VFS for Unix writes no more than 131,071 bytes by one call (3.40.1, src/os_unix.c,
// seekAndWriteFd). As much as 30 frames, and no more than a processor's second cache holds.
enum { GATHER_BYTES = 124 << 10 };

// First member: what the file's pMethods points to.
struct gathered_file {
    sqlite3_io_methods methods;
    const sqlite3_io_methods *real;  // the VFS's
    struct sqlite_gather *gather;
};

struct sqlite_gather {
    struct gathered_file wal, db;
    sqlite3_file *wal_file;  // NULL: closed
    int failed;              // where it cannot be said: told by the next call
    sqlite3_int64 at;        // of bytes, in the file
    int len;
    char bytes[GATHER_BYTES];
};

static struct gathered_file *of(sqlite3_file *file)
{
    return (struct gathered_file *)(uintptr_t)file->pMethods;
}

static int flush(struct sqlite_gather *g)
{
    int rc = g->failed, len = g->len;
    g->failed = SQLITE_OK;
    g->len = 0;
    if (rc != SQLITE_OK || len == 0)
        return rc;
    return g->wal.real->xWrite(g->wal_file, g->bytes, len, g->at);
}

static int gather_write(sqlite3_file *file, const void *bytes, int len, sqlite3_int64 at)
{
    struct sqlite_gather *g = of(file)->gather;
    if (g->failed || (g->len && (at != g->at + g->len || len > GATHER_BYTES - g->len))) {
        int rc = flush(g);
        if (rc != SQLITE_OK)
            return rc;
    }
    BUG_ON(len > GATHER_BYTES);  // the longest page has 64 KiB
    if (g->len == 0)
        g->at = at;
    memcpy(g->bytes + g->len, bytes, (size_t)len);
    g->len += len;
    return SQLITE_OK;
}

static int gather_read(sqlite3_file *file, void *bytes, int len, sqlite3_int64 at)
{
    int rc = flush(of(file)->gather);
    return rc != SQLITE_OK ? rc : of(file)->real->xRead(file, bytes, len, at);
}

static int gather_truncate(sqlite3_file *file, sqlite3_int64 size)
{
    int rc = flush(of(file)->gather);
    return rc != SQLITE_OK ? rc : of(file)->real->xTruncate(file, size);
}

static int gather_sync(sqlite3_file *file, int flags)
{
    int rc = flush(of(file)->gather);
    return rc != SQLITE_OK ? rc : of(file)->real->xSync(file, flags);
}

static int gather_size(sqlite3_file *file, sqlite3_int64 *size)
{
    int rc = flush(of(file)->gather);
    return rc != SQLITE_OK ? rc : of(file)->real->xFileSize(file, size);
}

static int gather_control(sqlite3_file *file, int what, void *arg)
{
    int rc = flush(of(file)->gather);
    return rc != SQLITE_OK ? rc : of(file)->real->xFileControl(file, what, arg);
}

static int gather_close(sqlite3_file *file)
{
    struct gathered_file *f = of(file);
    flush(f->gather);  // if it fails: nobody was told that it is there
    f->gather->wal_file = NULL;
    file->pMethods = f->real;
    return f->real->xClose(file);
}

static void flush_unasked(struct sqlite_gather *g)
{
    if (g->wal_file)
        g->failed = flush(g);
}

static void gather_barrier(sqlite3_file *file)
{
    struct gathered_file *f = of(file);
    flush_unasked(f->gather);
    f->real->xShmBarrier(file);
}

static int gather_lock(sqlite3_file *file, int first, int n, int flags)
{
    struct gathered_file *f = of(file);
    if (flags == (SQLITE_SHM_UNLOCK | SQLITE_SHM_EXCLUSIVE))
        flush_unasked(f->gather);
    return f->real->xShmLock(file, first, n, flags);
}

static int db_close(sqlite3_file *file)
{
    struct gathered_file *f = of(file);
    file->pMethods = f->real;
    return f->real->xClose(file);
}

static void lie_over(struct gathered_file *f, struct sqlite_gather *g, sqlite3_file *file)
{
    f->gather = g;
    f->real = file->pMethods;
    f->methods = *file->pMethods;
    file->pMethods = &f->methods;
}

void sqlite_gather_begin(struct sqlite_conn *c)
{
    sqlite3_file *db = NULL, *wal = NULL;
    // In WAL mode the journal is the WAL, which is open once anything was read.
    if (sqlite3_exec(c->db, "SELECT count(*) FROM sqlite_schema", NULL, NULL, NULL) != SQLITE_OK)
        return;
    sqlite3_file_control(c->db, "main", SQLITE_FCNTL_FILE_POINTER, (void *)&db);
    sqlite3_file_control(c->db, "main", SQLITE_FCNTL_JOURNAL_POINTER, (void *)&wal);
    BUG_ON(!db || !wal);
    struct sqlite_gather *g = wal->pMethods ? mem_alloc(sizeof *g) : NULL;
    if (!g)
        return;
    *g = (struct sqlite_gather){.wal_file = wal};
    lie_over(&g->db, g, db);
    g->db.methods.xShmBarrier = gather_barrier;
    g->db.methods.xShmLock = gather_lock;
    g->db.methods.xClose = db_close;
    lie_over(&g->wal, g, wal);
    g->wal.methods.xWrite = gather_write;
    g->wal.methods.xRead = gather_read;
    g->wal.methods.xTruncate = gather_truncate;
    g->wal.methods.xSync = gather_sync;
    g->wal.methods.xFileSize = gather_size;
    g->wal.methods.xFileControl = gather_control;
    g->wal.methods.xClose = gather_close;
    c->gather = g;
}

void sqlite_gather_free(struct sqlite_gather *g)
{
    mem_free(g);
}
