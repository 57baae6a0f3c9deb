// SPDX-License-Identifier: MIT
// sqlite_conn.c: one connection to the database; see sqlite_int.h. Used by one thread at a time.
#include "store/sqlite_int.h"

#include <sys/stat.h>

#define ROW_COLUMNS "r.key, r.version, r.due_at_ms, r.count, r.meta, r.body"
// What is left of a partition while it is erased is not there for anybody.
#define OF_PARTITION \
    "WHERE r.partition_id = (SELECT id FROM partitions WHERE name = ?1 AND NOT erased) "
#define FROM_DUE \
    "SELECT " ROW_COLUMNS ", p.name FROM records r INDEXED BY records_due " \
    "JOIN partitions p ON p.id = r.partition_id AND NOT p.erased WHERE r.due_at_ms < ?1 "

static const char *const sql[SQL_STATEMENTS] = {
    [SQL_BEGIN_READ] = "BEGIN",
    [SQL_BEGIN_WRITE] = "BEGIN IMMEDIATE",
    [SQL_COMMIT] = "COMMIT",
    [SQL_ROLLBACK] = "ROLLBACK",
    [SQL_MEND] = "UPDATE state SET value = value + 1 WHERE name = 'mends'",

    [SQL_GET] = "SELECT " ROW_COLUMNS " FROM records r " OF_PARTITION "AND r.key = ?2",
    [SQL_SCAN] = "SELECT " ROW_COLUMNS " FROM records r " OF_PARTITION
                 "AND r.key >= ?2 AND r.key < ?3 ORDER BY r.key LIMIT ?4",
    [SQL_SCAN_BACK] = "SELECT " ROW_COLUMNS " FROM records r " OF_PARTITION
                      "AND r.key >= ?2 AND r.key < ?3 ORDER BY r.key DESC LIMIT ?4",
    [SQL_SCAN_END] = "SELECT " ROW_COLUMNS " FROM records r " OF_PARTITION
                     "AND r.key >= ?2 ORDER BY r.key LIMIT ?4",
    [SQL_SCAN_BACK_END] = "SELECT " ROW_COLUMNS " FROM records r " OF_PARTITION
                          "AND r.key >= ?2 ORDER BY r.key DESC LIMIT ?4",
    [SQL_DUE] = FROM_DUE "ORDER BY r.due_at_ms, r.partition_id, r.key LIMIT ?2",
    [SQL_DUE_AFTER] = FROM_DUE "AND (r.due_at_ms, r.partition_id, r.key) > (?3, ?4, ?5) "
                      "ORDER BY r.due_at_ms, r.partition_id, r.key LIMIT ?2",
    [SQL_DUE_CURSOR] = "SELECT r.due_at_ms, r.partition_id FROM records r " OF_PARTITION
                       "AND r.key = ?2 AND r.due_at_ms IS NOT NULL",
    [SQL_PARTITIONS] = "SELECT name FROM partitions p WHERE name > ?1 AND NOT erased AND EXISTS "
                       "(SELECT 1 FROM records WHERE partition_id = p.id) ORDER BY name LIMIT ?2",

    // By the index alone: no record is touched.
    [SQL_KEYS] = "SELECT r.key FROM records r INDEXED BY records_key " OF_PARTITION
                 "AND r.key >= ?2 AND r.key < ?3 ORDER BY r.key",
    [SQL_KEYS_BACK] = "SELECT r.key FROM records r INDEXED BY records_key " OF_PARTITION
                      "AND r.key >= ?2 AND r.key < ?3 ORDER BY r.key DESC",

    [SQL_PARTITION] = "SELECT id, erased FROM partitions WHERE name = ?1",
    [SQL_PARTITION_NEW] = "INSERT INTO partitions(name) VALUES (?1)",
    [SQL_PARTITION_CLOSE] = "INSERT INTO partitions(name, erased) VALUES (?1, 1) "
                            "ON CONFLICT(name) DO UPDATE SET erased = 1",
    [SQL_FIND] = "SELECT id, version, count FROM records WHERE partition_id = ?1 AND key = ?2",
    [SQL_INSERT] = "INSERT INTO records(partition_id, key, version, due_at_ms, count, meta, body) "
                   "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    [SQL_UPDATE] = "UPDATE records SET version = ?2, due_at_ms = ?3, count = ?4, meta = ?5, "
                   "body = ?6 WHERE id = ?1",
    [SQL_COUNT] = "UPDATE records SET version = ?2, count = ?3 WHERE id = ?1",
    [SQL_DELETE] = "DELETE FROM records WHERE id = ?1",
    [SQL_ERASE_NEXT] = "SELECT id, length(body) FROM records WHERE partition_id = ?1 LIMIT ?2",
    [SQL_ERASE_LEASES] = "DELETE FROM leases WHERE partition_id = ?1 AND key IN "
                         "(SELECT key FROM leases WHERE partition_id = ?1 LIMIT ?2)",
    [SQL_DROP_RECORDS] = "DELETE FROM records WHERE partition_id = ?1",
    [SQL_DROP_LEASES] = "DELETE FROM leases WHERE partition_id = ?1",
    [SQL_DROP_PARTITION] = "DELETE FROM partitions WHERE id = ?1 AND NOT erased",
    [SQL_LEASE] = "SELECT epoch, expires_at_ms, holder FROM leases "
                  "WHERE partition_id = ?1 AND key = ?2",
    [SQL_LEASE_PUT] = "INSERT OR REPLACE INTO leases(partition_id, key, epoch, expires_at_ms, "
                      "holder) VALUES (?1, ?2, ?3, ?4, ?5)",
    [SQL_EPOCH] = "SELECT value FROM state WHERE name = 'epochs'",
    [SQL_EPOCH_PUT] = "UPDATE state SET value = ?1 WHERE name = 'epochs'",
};

int conn_error(sqlite3 *db, int rc, const char *path, const char *doing, struct err *err)
{
    bool is_last = db && (sqlite3_errcode(db) & 0xff) == (rc & 0xff);
    const char *why = is_last ? sqlite3_errmsg(db) : sqlite3_errstr(rc);
    switch (rc & 0xff) {
    case SQLITE_NOMEM:
        return err_set(err, E_NOMEM, "store: sqlite: out of memory while %s", doing);
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return err_set(err, E_STORE, "store: sqlite: the store is busy (another process holds %s): "
                       "nothing was done; try again", path);
    case SQLITE_FULL:
        return err_set(err, E_STORE, "store: sqlite: %s: disk full while %s: free space, then try "
                       "again", path, doing);
    case SQLITE_IOERR:
        if (rc == SQLITE_IOERR_NOMEM)
            return err_set(err, E_NOMEM, "store: sqlite: out of memory while %s", doing);
        return err_set(err, E_STORE, "store: sqlite: %s: the disk failed while %s (%s): look at "
                       "the system's log, then try again", path, doing,
                       is_last && sqlite3_system_errno(db) ? strerror(sqlite3_system_errno(db))
                                                           : why);
    case SQLITE_NOTADB:
        return err_set(err, E_STORE, "store: sqlite: %s is not a database: name another file, or "
                       "restore it from a backup", path);
    case SQLITE_CORRUPT:
        return err_set(err, E_CORRUPT, "store: sqlite: %s is damaged (found while %s: %s): "
                       "`parley verify` says where; restore it from a backup", path, doing, why);
    case SQLITE_READONLY:
    case SQLITE_CANTOPEN:
    case SQLITE_PERM:
    case SQLITE_AUTH:
        return err_set(err, E_STORE, "store: sqlite: %s cannot be %s (%s): check the permissions "
                       "of the file and of its folder", path,
                       (rc & 0xff) == SQLITE_CANTOPEN ? "opened" : "written", why);
    default:
        return err_set(err, E_STORE, "store: sqlite: %s: %s while %s", path, why, doing);
    }
}

bool conn_is_sick(int rc)
{
    switch (rc & 0xff) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_NOMEM:
        return false;
    default:
        return true;
    }
}

// SQLite can fail after the last frame was written and synced, also for lack of memory (for the
// WAL's index); only a lock that it did not get comes before all that.
bool conn_is_in_doubt(int rc)
{
    return (rc & 0xff) != SQLITE_BUSY && (rc & 0xff) != SQLITE_LOCKED;
}

bool conn_disk_failed(int rc)
{
    rc &= 0xff;
    return rc == SQLITE_IOERR || rc == SQLITE_FULL || rc == SQLITE_READONLY ||
           rc == SQLITE_CANTOPEN;
}

// SQLite makes -wal and -shm with the file's own mode, so the file's is what counts.
// No mapping of the file: a file that is cut short would end the process with a signal.
#define SUSPICIOUS \
    "PRAGMA trusted_schema=OFF; PRAGMA cell_size_check=ON; PRAGMA mmap_size=0;"
static const char *const settings[] = {
    [CONN_WRITER] = "PRAGMA synchronous=FULL; PRAGMA secure_delete=ON;"
                    "PRAGMA wal_autocheckpoint=0; PRAGMA cache_size=-16384;"
                    "PRAGMA temp_store=MEMORY;" SUSPICIOUS,
    [CONN_READER] = "PRAGMA query_only=ON; PRAGMA cache_size=-8192; PRAGMA temp_store=MEMORY;"
                    SUSPICIOUS,
    [CONN_READ_ONLY] = "PRAGMA query_only=ON; PRAGMA cache_size=-8192; PRAGMA temp_store=MEMORY;"
                       SUSPICIOUS "SELECT count(*) FROM sqlite_schema;",
};

static int open_file(struct sqlite_conn *c, const char *name, int flags, enum conn_kind kind)
{
    int rc = sqlite3_open_v2(name, &c->db, flags | SQLITE_OPEN_NOMUTEX, NULL);
    if (rc != SQLITE_OK)
        return rc;
    sqlite3_extended_result_codes(c->db, 1);
    sqlite3_busy_timeout(c->db, STORE_BUSY_MS_MAX);
    // SQLite would checkpoint at close without our lock.
    sqlite3_db_config(c->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    sqlite3_db_config(c->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    return sqlite3_exec(c->db, settings[kind], NULL, NULL, NULL);
}

// A copy of a store in a folder that cannot be written has no -shm file and can get none: it can
// only be read as a file that nobody changes, which is true as long as it has no WAL.
static int open_immutable(struct sqlite_conn *c, const char *path)
{
    struct buf name = BUF_INIT(1 << 16);
    struct stat wal;
    int rc = SQLITE_NOMEM;
    buf_addf(&name, "%s-wal", path);
    if (!buf_ok(&name))
        goto out;
    rc = SQLITE_CANTOPEN;
    if (stat(name.ptr, &wal) == 0 && wal.st_size > 0)
        goto out;
    buf_clear(&name);
    buf_add_str(&name, "file:");
    for (const char *p = path; *p; p++) {
        if (strchr("%?#", *p))
            buf_addf(&name, "%%%02x", (unsigned char)*p);
        else
            buf_add_char(&name, *p);
    }
    buf_add_str(&name, "?immutable=1");
    rc = SQLITE_NOMEM;
    if (buf_ok(&name))
        rc = open_file(c, name.ptr, SQLITE_OPEN_READONLY | SQLITE_OPEN_URI, CONN_READ_ONLY);
out:
    buf_release(&name);
    return rc;
}

int conn_open(struct sqlite_conn *c, const char *path, enum conn_kind kind, struct err *err)
{
    *c = (struct sqlite_conn){0};
    int flags = kind == CONN_READ_ONLY ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE;
    int rc = open_file(c, path, flags, kind);
    bool no_file_beside = (rc & 0xff) == SQLITE_CANTOPEN || rc == SQLITE_READONLY_DIRECTORY;
    if (kind == CONN_READ_ONLY && no_file_beside) {
        conn_close(c);
        rc = open_immutable(c, path);
    }
    if (rc == SQLITE_OK)
        return E_OK;
    int code = conn_error(c->db, rc, path, "opening it", err);
    conn_close(c);
    return code;
}

int conn_prepare(struct sqlite_conn *c, const char *path, struct err *err)
{
    for (int i = 0; i < SQL_STATEMENTS; i++) {
        int rc = sqlite3_prepare_v3(c->db, sql[i], -1, SQLITE_PREPARE_PERSISTENT,
                                    &c->statements[i], NULL);
        if (rc != SQLITE_OK)
            return conn_error(c->db, rc, path, "preparing its statements", err);
    }
    return E_OK;
}

void conn_close(struct sqlite_conn *c)
{
    for (int i = 0; i < SQL_STATEMENTS; i++)
        sqlite3_finalize(c->statements[i]);
    sqlite3_close_v2(c->db);
    sqlite_gather_free(c->gather);
    *c = (struct sqlite_conn){0};
}

int conn_run(struct sqlite_conn *c, enum statement which)
{
    sqlite3_stmt *st = c->statements[which];
    int rc = sqlite3_step(st);
    int end = sqlite3_reset(st);
    return rc == SQLITE_DONE ? end : rc;
}

// Bound values outlive the statement's run, and are bound anew before the next. The only ways for
// a bind to fail are a wrong index and a statement that is running: bugs.
void bind_text(sqlite3_stmt *st, int at, struct slice s)
{
    int rc = sqlite3_bind_text(st, at, s.ptr ? s.ptr : "", (int)s.len, SQLITE_STATIC);
    BUG_ON(rc != SQLITE_OK);
}

void bind_blob(sqlite3_stmt *st, int at, struct slice s)
{
    int rc = sqlite3_bind_blob(st, at, s.ptr ? s.ptr : "", (int)s.len, SQLITE_STATIC);
    BUG_ON(rc != SQLITE_OK);
}

void bind_due(sqlite3_stmt *st, int at, int64_t due_at_ms)
{
    if (due_at_ms)
        sqlite3_bind_int64(st, at, due_at_ms);
    else
        sqlite3_bind_null(st, at);
}

struct slice column_slice(sqlite3_stmt *st, int at)
{
    const char *bytes = sqlite3_column_blob(st, at);
    return (struct slice){bytes, (size_t)sqlite3_column_bytes(st, at)};
}
