// SPDX-License-Identifier: MIT
// sqlite_int.h: the parts of the SQLite store among themselves.
//
//   sqlite.c         opening and closing, the two queues, and which of them an op goes to
//   sqlite_write.c   the writer thread: groups of ops, one transaction and one fsync each
//   sqlite_change.c  what one commit, lease, drop or erasure does to the file
//   sqlite_read.c    the reader thread, and how each kind of read is done
//   sqlite_check.c   what can be read past damage, and what is wrong with the file
//   sqlite_conn.c    one connection: its settings, its statements, what its errors mean
//   sqlite_gather.c  what goes to the WAL, in large pieces
//   sqlite_scrub.c   what SQLite leaves in its pages of what was deleted
//   sqlite_backup.c  copies of the file, and one of them in its place
//   sqlite_schema.c  the tables and views, and how a file gets from one version to the next
//   claim.c          the lock file: the writer's lock, and which processes live
//
// Invariants:
//   1. One connection of a process writes and checkpoints, on the writer thread (or before that
//      thread starts and after it ended), and only while the lock file's writer lock is held.
//      (SQLite 3.7.0 to 3.51.2 can lose a WAL that two connections reset at once.)
//   2. The reader's connection is query_only.
//   3. Nothing is completed with E_OK before the transaction it belongs to is durable.
//   4. In a file where damage was met, nothing is committed that cannot be read back: a damaged
//      page takes what is written to it without a word.
//   5. After an error of the disk the connection is closed and opened anew: what its cache holds
//      is not to be trusted.
#ifndef STORE_SQLITE_INT_H
#define STORE_SQLITE_INT_H

#include "store/store_int.h"

#include <pthread.h>
#include <sqlite3.h>
#include <stdatomic.h>

// --- claim.c ----------------------------------------------------------------------------------

enum { CLAIM_TEXT_BYTES = 17 };

// PATH-lock. Locks are byte-range locks of the open file description, so that several stores in
// one process are apart from each other; the kernel drops them when the process dies. A claim is a
// random number, and its holder keeps the byte at that offset locked: nothing is written, so
// nothing can be stale.
struct lock_file {
    int fd;                        // -1: none (a read-only store without a lock file)
    char claim[CLAIM_TEXT_BYTES];  // empty when read-only
};

// Without rand there is no claim: for one who takes all of it.
int lock_file_open(struct lock_file *l, const char *path, const struct rand *rand, bool read_only,
                   struct err *err);
void lock_file_close(struct lock_file *l);
// The writer's lock, for which processes queue. False after wait_ms without it.
bool lock_file_take(struct lock_file *l, int64_t wait_ms);
bool lock_file_take_until(struct lock_file *l, int64_t until_ns);  // of the system's clock
void lock_file_drop(struct lock_file *l);
// The writer's lock and every claim there could be, until lock_file_close. False: the store is in
// use.
bool lock_file_take_all(struct lock_file *l);
bool lock_file_alive(const struct lock_file *l, struct slice claim);

// --- sqlite_schema.c --------------------------------------------------------------------------

// How a file gets to version i + 1 is step i.
struct schema_step {
    const char *what;
    const char *sql;
};
struct schema {
    const struct schema_step *steps;
    unsigned version;  // the newest: the number of steps
};
extern const struct schema sqlite_schema;

// E_STORE unless the file is empty (*version is 0) or ours (*version is what it has).
int schema_read(sqlite3 *db, const char *path, const struct schema *schema, unsigned *version,
                struct err *err);
// An empty file gets the newest version, or stays empty.
int schema_make(sqlite3 *db, const char *path, const struct schema *schema, struct err *err);
// Takes the steps from `from` to the newest, one transaction each, and adds a line on each to
// report. For these two the writer's lock is held.
int schema_upgrade(sqlite3 *db, const char *path, const struct schema *schema, unsigned from,
                   bool dry_run, struct buf *report, struct err *err);

// --- sqlite_conn.c ----------------------------------------------------------------------------

enum statement {
    SQL_BEGIN_READ, SQL_BEGIN_WRITE, SQL_COMMIT, SQL_ROLLBACK, SQL_MEND,
    SQL_GET, SQL_SCAN, SQL_SCAN_BACK, SQL_SCAN_END, SQL_SCAN_BACK_END, SQL_DUE, SQL_DUE_AFTER,
    SQL_DUE_CURSOR, SQL_PARTITIONS, SQL_KEYS, SQL_KEYS_BACK,
    SQL_PARTITION, SQL_PARTITION_NEW, SQL_PARTITION_CLOSE,
    SQL_FIND, SQL_INSERT, SQL_UPDATE, SQL_COUNT, SQL_DELETE,
    SQL_ERASE_NEXT, SQL_ERASE_LEASES, SQL_DROP_RECORDS, SQL_DROP_LEASES, SQL_DROP_PARTITION,
    SQL_LEASE, SQL_LEASE_PUT, SQL_EPOCH, SQL_EPOCH_PUT,
    SQL_STATEMENTS,
};

struct sqlite_gather;

struct sqlite_conn {
    sqlite3 *db;  // NULL: closed
    sqlite3_stmt *statements[SQL_STATEMENTS];
    struct sqlite_gather *gather;  // owned; NULL: SQLite writes to the WAL itself
};

enum conn_kind {
    CONN_WRITER,
    CONN_READER,
    CONN_READ_ONLY,  // a reader of a file that nobody may be allowed to write
};

// Opens with this kind's settings, no statements yet.
int conn_open(struct sqlite_conn *c, const char *path, enum conn_kind kind, struct err *err);
// Prepares the statements; the schema must be there.
int conn_prepare(struct sqlite_conn *c, const char *path, struct err *err);
void conn_close(struct sqlite_conn *c);  // no checkpoint; a closed one is allowed
// Runs a statement that gives no rows and has its values bound. An SQLite result code, SQLITE_OK.
int conn_run(struct sqlite_conn *c, enum statement which);
void bind_text(sqlite3_stmt *st, int at, struct slice s);
void bind_blob(sqlite3_stmt *st, int at, struct slice s);
void bind_due(sqlite3_stmt *st, int at, int64_t due_at_ms);
struct slice column_slice(sqlite3_stmt *st, int at);
// Sets err to what rc means for people: what happened, to which file, what to do.
int conn_error(sqlite3 *db, int rc, const char *path, const char *doing, struct err *err);
// Whether the connection must be opened anew after rc.
bool conn_is_sick(int rc);
// Whether a COMMIT that ended so may stand in the WAL whole.
bool conn_is_in_doubt(int rc);
// Whether rc is about the disk, whatever was asked of it.
bool conn_disk_failed(int rc);

// --- the store --------------------------------------------------------------------------------

enum {
    ORDER_BUCKETS = 1024,
    GROUP_OPS_MAX = 1024,
    GROUP_ITEMS_MAX = 4096,
    GROUP_BYTES_MAX = 8 << 20,
    CHECKPOINT_WAIT_MS = 50,  // for readers of other processes
};

struct op_queue {
    struct store_op *first, **end;
    uint32_t len;
};

struct sqlite_store {
    struct store store;
    char *path;                 // absolute, owned
    const struct clock *clock;
    const struct log *log;
    const struct schema *schema;
    bool read_only;
    int64_t busy_ms;            // how long a write waits for others
    atomic_bool damaged;        // damage was met: what is written is read back, then committed
    struct lock_file lock;
    struct sqlite_conn write_conn, read_conn;  // each its thread's
    struct writer *writer;      // owned; NULL when read-only
    pthread_t write_thread, read_thread;
    bool write_thread_runs, read_thread_runs;

    pthread_mutex_t gate;       // the reader holds it through a batch; a checkpoint that must not
                                // meet a reader holds it too. Taken before `mutex`.
    pthread_mutex_t mutex;      // guards the rest
    pthread_cond_t writer_wakes, reader_wakes, reads_drained;
    struct op_queue writes, reads;
    uint32_t wake_writer_at;    // writer waits for this many in the queue; 0: it does not wait
    bool reader_waits, writer_waits_for_reads, stopping;
    // How many are under way, by hash of loop and partition: what keeps their order between the
    // two threads. A collision only makes an op wait that need not.
    uint32_t writes_pending[ORDER_BUCKETS];  // in the writer's queue or group, reads among them not
    uint32_t reads_pending[ORDER_BUCKETS];   // in the reader's queue or batch
};

struct writer *writer_new(struct sqlite_store *s);  // NULL: out of memory; mem_free frees it
void *writer_run(void *writer);  // thread bodies
void *reader_run(void *store);
// Does a read on a connection that is in a transaction. An SQLite result code; SQLITE_OK also when
// op->code says what else went wrong.
int sqlite_read(struct sqlite_store *s, struct sqlite_conn *c, struct store_op *op);
// Moves the WAL into the file, and in the modes that wait for readers empties it. The writer's lock
// is held. An SQLite result code; changes the connection's busy timeout.
int sqlite_checkpoint(struct sqlite_store *s, struct sqlite_conn *c, int mode);

// --- sqlite_change.c --------------------------------------------------------------------------

// What a record or lease becomes by a group; told to the op once the group is durable.
struct outcome {
    uint64_t version;
    int64_t count;
};
struct outcomes {
    struct outcome all[GROUP_ITEMS_MAX];
    uint32_t len;
};
// Does an op that writes, in the transaction at hand, unless what is stored refuses it (op->code).
// Adds an outcome for each item of a commit, and for a lease. Of an erasure it does one piece, and
// op->more says whether there is another to do. An SQLite result code.
int sqlite_change(struct sqlite_store *s, struct sqlite_conn *c, struct store_op *op,
                  struct outcomes *out);

// --- sqlite_gather.c ---------------------------------------------------------------------------

// From now on what c, which is in WAL mode, writes to the WAL is gathered, if there is memory for
// that; conn_close ends it. Nothing of what SQLite promises changes.
void sqlite_gather_begin(struct sqlite_conn *c);
void sqlite_gather_free(struct sqlite_gather *g);  // of a connection that is closed; NULL allowed

// --- sqlite_scrub.c ---------------------------------------------------------------------------

// Zeroes all unused bytes of the file's pages. The writer's lock is held, and the WAL is empty,
// else SQLITE_BUSY. The connection's cache is not to be trusted afterwards: it is to be closed. An
// SQLite result code; SQLITE_TOOBIG for a file over 128 GiB.
int sqlite_scrub(struct sqlite_conn *c);
// The same of a file alone, which nobody else writes to. piece: room for SCRUB_PIECE_BYTES. A file
// that is no store's, or is cut off: SQLITE_CORRUPT, and nothing is written.
enum { SCRUB_PIECE_BYTES = 1 << 20 };
int sqlite_scrub_file(sqlite3_file *file, unsigned char *piece);

// The absolute name of the store's file, which is made if it is not there and may be. The caller
// frees it with free.
int sqlite_find_file(const char *path, bool may_make, char **absolute, struct err *err);

// --- sqlite_check.c ---------------------------------------------------------------------------

// A row of a statement whose columns are ROW_COLUMNS. One that is longer than any of ours comes
// without version, meta and body.
struct record sqlite_row(sqlite3_stmt *st, struct slice partition);
// Whether a row is what the op asked for, in its order: where index and table disagree it is not.
bool sqlite_row_fits(const struct store_op *op, const struct record *row);
// A GET or SCAN that met damage, again: the keys out of the index alone, then each record by
// itself; what cannot be read comes as store.h says. An SQLite result code.
int sqlite_salvage(struct sqlite_conn *c, struct store_op *op);
// What a commit wrote is found again, in the transaction that wrote it. SQLITE_CORRUPT if not.
int sqlite_read_back(struct sqlite_conn *c, const struct store_op *op);
// STORE_CHECK. An SQLite result code.
int sqlite_check(struct sqlite_conn *c, struct store_op *op);

// --- sqlite_backup.c ---------------------------------------------------------------------------

int sqlite_backup(const char *rest, const char *file, const struct store_copying *how,
                  struct err *err);
int sqlite_restore(const char *rest, const char *file, const struct store_copying *how,
                   struct buf *aside, struct err *err);

// As the store's open and migrate, with another schema: for tests.
int sqlite_open_with(struct store **out, const char *path, const struct store_env *env,
                     const struct schema *schema, struct err *err);
int sqlite_migrate_with(const char *path, const struct schema *schema, bool dry_run,
                        struct buf *report, struct err *err);

#endif
