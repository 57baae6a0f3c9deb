// SPDX-License-Identifier: MIT
// sqlite_read.c: how each kind of read is done, and the thread that does them; see sqlite_int.h.
//
// A batch of reads shares one read transaction, begun after all of them were submitted: so each
// sees every commit that was complete by then, and a scan sees whole commits only.
#include "store/sqlite_int.h"

enum { BATCH_OPS_MAX = 256 };

static struct record due_row(sqlite3_stmt *st, struct slice partition)
{
    (void)partition;
    return sqlite_row(st, column_slice(st, 6));
}

static struct record partition_row(sqlite3_stmt *st, struct slice partition)
{
    (void)partition;
    return (struct record){.partition = column_slice(st, 0)};
}

// A name longer than any of ours cannot be asked for: such a row is left to the check.
static bool is_nameable(const struct record *r)
{
    return r->key.len <= RECORD_KEY_BYTES_MAX && r->partition.len <= STORE_PARTITION_BYTES_MAX;
}

// Steps through a bound statement and adds its rows, of which it gives one more than the limit.
static int take_rows(struct store_op *op, sqlite3_stmt *st, uint32_t limit,
                     struct record (*row)(sqlite3_stmt *st, struct slice partition))
{
    int rc = SQLITE_OK;
    while ((rc = sqlite3_step(st)) == SQLITE_ROW) {
        if (op->rows_len == limit) {
            op->more = true;
            break;
        }
        struct record r = row(st, op->partition);
        if (!sqlite_row_fits(op, &r)) {
            sqlite3_reset(st);
            return SQLITE_CORRUPT;
        }
        if (!is_nameable(&r))
            continue;
        if (!op_add_row(op, &r))
            break;
    }
    int end = sqlite3_reset(st);
    return rc == SQLITE_ROW || rc == SQLITE_DONE ? end : rc;
}

static int read_get(struct sqlite_conn *c, struct store_op *op)
{
    sqlite3_stmt *st = c->statements[SQL_GET];
    bind_text(st, 1, op->partition);
    bind_text(st, 2, op->key);
    return take_rows(op, st, 1, sqlite_row);
}

static int read_scan(struct sqlite_conn *c, struct store_op *op)
{
    struct key_range range;
    rule_range(op, &range);
    enum statement which = op->backwards ? SQL_SCAN_BACK : SQL_SCAN;
    if (range.open_end)
        which = op->backwards ? SQL_SCAN_BACK_END : SQL_SCAN_END;
    sqlite3_stmt *st = c->statements[which];
    bind_text(st, 1, op->partition);
    bind_text(st, 2, slice_of(range.lo, range.lo_len));
    if (!range.open_end)
        bind_text(st, 3, slice_of(range.hi, range.hi_len));
    sqlite3_bind_int64(st, 4, (int64_t)op->limit + 1);
    return take_rows(op, st, op->limit, sqlite_row);
}

static int read_due(struct sqlite_conn *c, struct store_op *op)
{
    sqlite3_stmt *st = c->statements[SQL_DUE];
    if (op->after.len) {
        sqlite3_stmt *cursor = c->statements[SQL_DUE_CURSOR];
        bind_text(cursor, 1, op->partition);
        bind_text(cursor, 2, op->after);
        int rc = sqlite3_step(cursor);
        if (rc == SQLITE_ROW) {
            st = c->statements[SQL_DUE_AFTER];
            sqlite3_bind_int64(st, 3, sqlite3_column_int64(cursor, 0));
            sqlite3_bind_int64(st, 4, sqlite3_column_int64(cursor, 1));
            bind_text(st, 5, op->after);
        }
        sqlite3_reset(cursor);
        if (rc != SQLITE_ROW && rc != SQLITE_DONE)
            return rc;
    }
    sqlite3_bind_int64(st, 1, op->before_ms);
    sqlite3_bind_int64(st, 2, (int64_t)op->limit + 1);
    return take_rows(op, st, op->limit, due_row);
}

static int read_partitions(struct sqlite_conn *c, struct store_op *op)
{
    sqlite3_stmt *st = c->statements[SQL_PARTITIONS];
    bind_text(st, 1, op->after);
    sqlite3_bind_int64(st, 2, (int64_t)op->limit + 1);
    return take_rows(op, st, op->limit, partition_row);
}

int sqlite_read(struct sqlite_store *s, struct sqlite_conn *c, struct store_op *op)
{
    int rc = SQLITE_OK;
    switch (op->verb) {
    case STORE_GET:
    case STORE_SCAN:
        rc = op->verb == STORE_GET ? read_get(c, op) : read_scan(c, op);
        if ((rc & 0xff) != SQLITE_CORRUPT)
            return rc;
        atomic_store(&s->damaged, true);
        return sqlite_salvage(c, op);
    case STORE_CHECK:
        rc = sqlite_check(c, op);
        if (op->rows_len)
            atomic_store(&s->damaged, true);
        return rc;
    case STORE_DUE: return read_due(c, op);
    case STORE_PARTITIONS: return read_partitions(c, op);
    case STORE_CLAIM_ALIVE: op->alive = lock_file_alive(&s->lock, op->key); return SQLITE_OK;
    default: BUG("verb %d is no read", (int)op->verb);
    }
}

// Opens the reader's connection if an error closed it, and begins the batch's transaction.
static int begin_batch(struct sqlite_store *s, struct err *err)
{
    struct sqlite_conn *c = &s->read_conn;
    int code = E_OK;
    if (!c->db) {
        code = conn_open(c, s->path, s->read_only ? CONN_READ_ONLY : CONN_READER, err);
        if (!code)
            code = conn_prepare(c, s->path, err);
        if (code) {
            conn_close(c);
            return code;
        }
    }
    int rc = conn_run(c, SQL_BEGIN_READ);
    return rc == SQLITE_OK ? E_OK : conn_error(c->db, rc, s->path, "starting to read", err);
}

static void end_batch(struct sqlite_store *s, bool sick)
{
    struct sqlite_conn *c = &s->read_conn;
    if (c->db && !sqlite3_get_autocommit(c->db) && conn_run(c, SQL_COMMIT) != SQLITE_OK)
        sick = true;
    if (sick)
        conn_close(c);
}

// The op is answered: writes that had to come after it may go ahead.
static void answer(struct sqlite_store *s, struct store_op *op)
{
    pthread_mutex_lock(&s->mutex);
    s->reads_pending[op->bucket]--;
    if (s->writer_waits_for_reads)
        pthread_cond_signal(&s->reads_drained);
    pthread_mutex_unlock(&s->mutex);
    op_complete(op);
}

static void run_batch(struct sqlite_store *s, struct store_op *op)
{
    struct err err = ERR_INIT;
    bool sick = false;
    int code = begin_batch(s, &err);
    for (struct store_op *next; op; op = next) {
        next = op->next;
        if (code) {
            op_fail(op, code, "%s", err.message);
        } else {
            int rc = sqlite_read(s, &s->read_conn, op);
            if (rc != SQLITE_OK) {
                store_op_release(op);
                op->more = false;
                op->code = conn_error(s->read_conn.db, rc, s->path, "reading", &op->err);
                sick |= conn_is_sick(rc);
            }
        }
        answer(s, op);
    }
    end_batch(s, sick);
}

// Waits for reads; takes some, in order, as a list. NULL: none will come any more.
static struct store_op *take_reads(struct sqlite_store *s)
{
    pthread_mutex_lock(&s->mutex);
    while (!s->reads.len && !s->stopping) {
        s->reader_waits = true;
        pthread_cond_wait(&s->reader_wakes, &s->mutex);
    }
    s->reader_waits = false;
    struct store_op *first = s->reads.first;
    if (first) {
        struct store_op *last = first;
        uint32_t n = 1;
        for (; last->next && n < BATCH_OPS_MAX; n++)
            last = last->next;
        s->reads.first = last->next;
        s->reads.len -= n;
        if (!s->reads.first)
            s->reads.end = &s->reads.first;
        last->next = NULL;
    }
    pthread_mutex_unlock(&s->mutex);
    return first;
}

void *reader_run(void *store)
{
    struct sqlite_store *s = store;
    for (struct store_op *batch; (batch = take_reads(s));) {
        pthread_mutex_lock(&s->gate);
        run_batch(s, batch);
        pthread_mutex_unlock(&s->gate);
    }
    return NULL;
}
