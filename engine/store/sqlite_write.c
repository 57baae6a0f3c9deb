// SPDX-License-Identifier: MIT
// sqlite_write.c: the writer thread; see sqlite_int.h.
//
// It takes whatever is queued, in order, as a group: one transaction, one fsync, then all of the
// group's ops are completed. An op that is refused leaves the others' transaction as it was, and no
// savepoint is needed. An erasure is a group by itself, and deletes a piece: while more is left, it
// goes to the end of the queue, so that others' ops come between. It is complete when nothing is
// left and the WAL is empty.
//
//   queued ──▶ group ──▶ committed ──▶ completed, versions told
//               │  └──▶ commit failed ──▶ connection reopened ──▶ E_STORE, ambiguous
//               └──▶ an op met an error ──▶ rolled back ──▶ disk: the group fails with E_STORE
//                                                     └──▶ else: each op anew, in a group of one
#include "store/sqlite_int.h"

#include "base/mem.h"

#include <time.h>

enum {
    CHECKPOINT_PAGES = 4000,       // 16 MiB of WAL
    WAL_PAGES_MAX = 8 * CHECKPOINT_PAGES,  // beyond this a checkpoint makes readers wait
    CHECKPOINT_PAUSE_MS = 1000,    // after one for which readers did not make room in time
    GATHER_NS_MAX = 1000 * 1000,
};

struct writer {
    struct sqlite_store *s;
    struct sqlite_conn *c;
    struct store_op *ops[GROUP_OPS_MAX];
    uint32_t ops_len;
    struct outcomes outcomes;
    bool must_mend;          // a commit failed: see mend
    bool must_truncate;      // something was dropped: its bytes must leave the WAL too
    int wal_pages, checkpoint_at;
    int64_t patient_at_ns;   // until then no checkpoint waits for readers
    int64_t lock_until_ns;   // when the group at hand has waited long enough for others
    bool in_vain;            // the last group did
    uint32_t last_group;     // ops
    int64_t last_commit_ns;  // how long it took
};

static int do_op(struct writer *w, struct store_op *op)
{
    int rc = op_writes(op) ? sqlite_change(w->s, w->c, op, &w->outcomes)
                           : sqlite_read(w->s, w->c, op);
    w->must_truncate |= op->verb == STORE_DROP || (op->verb == STORE_ERASE && !op->more);
    return rc;
}

// --- groups -------------------------------------------------------------------------------------

static void tell_outcomes(struct writer *w)
{
    const struct outcome *o = w->outcomes.all;
    for (uint32_t i = 0; i < w->ops_len; i++) {
        struct store_op *op = w->ops[i];
        if (op->code)
            continue;
        if (op->verb == STORE_LEASE)
            op->epoch = (o++)->version;
        for (uint32_t at = 0; op->verb == STORE_COMMIT && at < op->items_len; at++, o++) {
            op->items[at].version = o->version;
            if (op->items[at].verb == STORE_ADD)
                op->items[at].count = o->count;
        }
    }
}

// As if it had just been submitted.
static void undo_op(struct store_op *op)
{
    store_op_release(op);
    op->code = E_OK;
    op->more = op->alive = false;
    op->failed_item = 0;
    op->holder_now[0] = 0;
}

static void fail_ops(struct writer *w, const struct err *err, bool ambiguous)
{
    for (uint32_t i = 0; i < w->ops_len; i++) {
        struct store_op *op = w->ops[i];
        // An op that was refused changed nothing, whatever became of the others.
        op->ambiguous = ambiguous && !op->code && op_writes(op);
        int code = err->code;
        undo_op(op);
        op_fail(op, code, "%s", err->message);
    }
}

static int roll_back(struct writer *w)
{
    return sqlite3_get_autocommit(w->c->db) ? SQLITE_OK : conn_run(w->c, SQL_ROLLBACK);
}

// Sets err for rc; closes the connection when its cache is not to be trusted any more, or its
// transaction does not end otherwise.
static void note_error(struct writer *w, int rc, const char *doing, struct err *err)
{
    conn_error(w->c->db, rc, w->s->path, doing, err);  // before the rollback forgets it
    w->s->damaged |= (rc & 0xff) == SQLITE_CORRUPT;
    if (roll_back(w) != SQLITE_OK || conn_is_sick(rc)) {
        log_line(w->s->log, LOG_ERROR, "store: reopening after an error: %s", err->message);
        conn_close(w->c);
    }
}

static int note_wal_pages(void *writer, sqlite3 *db, const char *name, int pages)
{
    struct writer *w = writer;
    (void)db;
    (void)name;
    if (pages < w->wal_pages)
        w->checkpoint_at = CHECKPOINT_PAGES;  // it started over
    w->wal_pages = pages;
    return SQLITE_OK;
}

// After a commit that failed the WAL may hold that commit whole, past the end that readers know:
// a crash now, and recovery would find it, though we read it as absent. A new commit overwrites
// it; only then is what a reader sees what will stay.
static int mend(struct writer *w)
{
    int rc = conn_run(w->c, SQL_BEGIN_WRITE);
    if (rc == SQLITE_OK)
        rc = conn_run(w->c, SQL_MEND);
    if (rc == SQLITE_OK)
        rc = conn_run(w->c, SQL_COMMIT);
    if (rc == SQLITE_OK)
        w->must_mend = false;
    return rc;
}

// What is left of the group's time to wait for others, for SQLite's own locks: whoever holds them
// does not know ours, such as a person with another tool.
static int lock_left_ms(const struct writer *w)
{
    int64_t left_ns = w->lock_until_ns - clock_mono_ns(clock_system());
    return left_ns > 0 ? (int)((left_ns + 999999) / 1000000) : 0;
}

// Opens the connection if it is closed, and mends. The writer's lock is held.
static int make_ready(struct writer *w, struct err *err)
{
    int code = E_OK;
    if (!w->c->db) {
        code = conn_open(w->c, w->s->path, CONN_WRITER, err);
        if (!code)
            code = conn_prepare(w->c, w->s->path, err);
        if (code) {
            conn_close(w->c);
            return code;
        }
        sqlite_gather_begin(w->c);
        sqlite3_wal_hook(w->c->db, note_wal_pages, w);
    }
    sqlite3_busy_timeout(w->c->db, lock_left_ms(w));
    int rc = w->must_mend ? mend(w) : SQLITE_OK;
    if (rc == SQLITE_OK)
        return E_OK;
    note_error(w, rc, "recovering from an error", err);
    return err->code;
}

static void commit_group(struct writer *w, struct err *err)
{
    int64_t start_ns = clock_mono_ns(clock_system());
    int rc = conn_run(w->c, SQL_COMMIT);
    w->last_commit_ns = clock_mono_ns(clock_system()) - start_ns;
    if (rc == SQLITE_OK) {
        tell_outcomes(w);
        return;
    }
    note_error(w, rc, "committing", err);
    bool ambiguous = conn_is_in_doubt(rc);
    if (ambiguous)
        err->code = E_STORE;  // whatever it was: other codes promise that there is no trace
    fail_ops(w, err, ambiguous);
    if (ambiguous) {
        struct err ignored;
        w->must_mend = true;
        make_ready(w, &ignored);  // now, so that the callers' next reads are right
    }
}

// Does the ops of w in one transaction. False: an error stopped it that may be one op's alone, and
// nothing was done.
static bool try_group(struct writer *w)
{
    struct err err = ERR_INIT;
    w->outcomes.len = 0;
    int code = make_ready(w, &err);
    int rc = SQLITE_OK;
    if (!code && (rc = conn_run(w->c, SQL_BEGIN_WRITE)) != SQLITE_OK) {
        note_error(w, rc, "starting to write", &err);
        code = err.code;
        w->in_vain = (rc & 0xff) == SQLITE_BUSY;
    }
    for (uint32_t i = 0; !code && i < w->ops_len; i++) {
        rc = do_op(w, w->ops[i]);
        if (rc != SQLITE_OK) {
            note_error(w, rc, "writing", &err);
            code = err.code;
            if (w->ops_len > 1 && !conn_disk_failed(rc)) {
                for (uint32_t undo = 0; undo <= i; undo++)
                    undo_op(w->ops[undo]);
                return false;
            }
        }
    }
    if (code)
        fail_ops(w, &err, false);
    else
        commit_group(w, &err);
    return true;
}

static void complete_group(struct writer *w)
{
    struct sqlite_store *s = w->s;
    pthread_mutex_lock(&s->mutex);
    for (uint32_t i = 0; i < w->ops_len; i++)
        if (op_writes(w->ops[i]))
            s->writes_pending[w->ops[i]->bucket]--;
    pthread_mutex_unlock(&s->mutex);
    for (uint32_t i = 0; i < w->ops_len; i++)
        op_complete(w->ops[i]);
}

// --- checkpoints --------------------------------------------------------------------------------

// While a reader stays, writers go on and the WAL grows: a wait for it is not tried again at once.
// An SQLite result code.
static int checkpoint_if_due(struct writer *w)
{
    int64_t now_ns = clock_mono_ns(clock_system());
    bool patient = now_ns >= w->patient_at_ns, due = w->wal_pages >= w->checkpoint_at;
    if (!w->c->db || (!due && !(w->must_truncate && patient)))
        return SQLITE_OK;
    int mode = SQLITE_CHECKPOINT_PASSIVE;
    if (patient && w->must_truncate)
        mode = SQLITE_CHECKPOINT_TRUNCATE;
    else if (patient && w->wal_pages > WAL_PAGES_MAX)
        mode = SQLITE_CHECKPOINT_RESTART;
    int rc = sqlite_checkpoint(w->s, w->c, mode);
    w->checkpoint_at = w->wal_pages + CHECKPOINT_PAGES;
    if (rc == SQLITE_OK && mode == SQLITE_CHECKPOINT_TRUNCATE)
        w->must_truncate = false;
    if (rc == SQLITE_BUSY)
        w->patient_at_ns = now_ns + CHECKPOINT_PAUSE_MS * 1000000LL;
    if (rc != SQLITE_OK && conn_is_sick(rc)) {
        struct err err;
        note_error(w, rc, "moving the WAL into the file", &err);
    }
    return rc;
}

// --- the thread ---------------------------------------------------------------------------------

// Waits for the writer's lock. The time of ops that came while the group before waited in vain
// began when they came, so that none waits twice as long.
static bool take_lock(struct writer *w)
{
    int64_t from_ns = w->in_vain ? w->ops[0]->queued_ns : clock_mono_ns(clock_system());
    w->lock_until_ns = from_ns + w->s->busy_ms * 1000000;
    w->in_vain = !lock_file_take_until(&w->s->lock, w->lock_until_ns);
    return !w->in_vain;
}

// What is erased is zeroed in the file's pages; the older pages are in the WAL, and go with it, and
// what SQLite copied about within pages is scrubbed. An erasure that came as far as here before,
// and no further, gets here again.
static void finish_erasure(struct writer *w)
{
    struct store_op *op = w->ops[0];
    struct err err = ERR_INIT;
    if (op->verb != STORE_ERASE || op->code)
        return;
    w->patient_at_ns = 0;
    int rc = checkpoint_if_due(w);
    if (rc == SQLITE_OK && make_ready(w, &err)) {
        op_fail(op, err.code, "%s", err.message);
        return;
    }
    if (rc == SQLITE_OK) {
        rc = sqlite_scrub(w->c);
        if (rc != SQLITE_OK)
            note_error(w, rc, "scrubbing it of what was erased", &err);
        conn_close(w->c);
    } else {
        conn_error(w->c->db, rc, w->s->path, "emptying its WAL of what was erased", &err);
    }
    if (rc == SQLITE_BUSY)
        op_fail(op, E_BUSY, "store: sqlite: %s: erased and closed, but somebody reads what was "
                "there before, such as a backup under way: try again when it is done, so that no "
                "copy stays", w->s->path);
    else if (rc == SQLITE_TOOBIG)
        op_fail(op, E_STORE, "store: sqlite: %s: erased and closed, but the file is over 128 GiB, "
                "and what SQLite copied about in its pages is not looked for there: stop parley, "
                "run `sqlite3 %s VACUUM`, and erase again if it is smaller then", w->s->path,
                w->s->path);
    else if (rc != SQLITE_OK)
        op_fail(op, err.code, "%s", err.message);
}

// An erasure of which more is left waits behind those who came meanwhile, in other processes too:
// the writer's lock is dropped between its pieces. True: it is not complete.
static bool go_on_later(struct writer *w)
{
    struct store_op *op = w->ops[0];
    if (op->verb != STORE_ERASE || op->code || !op->more)
        return false;
    op->more = false;
    op->next = NULL;
    op->queued_ns = clock_mono_ns(clock_system());
    pthread_mutex_lock(&w->s->mutex);
    *w->s->writes.end = op;
    w->s->writes.end = &op->next;
    w->s->writes.len++;
    pthread_mutex_unlock(&w->s->mutex);
    return true;
}

static void run_group(struct writer *w)
{
    struct sqlite_store *s = w->s;
    if (!take_lock(w)) {
        struct err err = ERR_INIT;
        conn_error(NULL, SQLITE_BUSY, s->path, "", &err);
        fail_ops(w, &err, false);
        complete_group(w);
        return;
    }
    bool done = try_group(w);
    uint32_t len = w->ops_len;
    if (done && !go_on_later(w)) {
        finish_erasure(w);
        complete_group(w);
    } else if (!done) {
        struct store_op *ops[GROUP_OPS_MAX];
        memcpy(ops, w->ops, len * sizeof *ops);
        for (uint32_t i = 0; i < len; i++) {
            w->ops[0] = ops[i];
            w->ops_len = 1;
            try_group(w);
            complete_group(w);
        }
    }
    checkpoint_if_due(w);
    lock_file_drop(&s->lock);
    w->last_group = len;
}

static size_t op_bytes(const struct store_op *op)
{
    size_t bytes = 0;
    for (uint32_t i = 0; op->verb == STORE_COMMIT && i < op->items_len; i++)
        bytes += op->items[i].meta.len + op->items[i].body.bytes.len;
    return bytes;
}

// Moves the next group from the queue to w. The mutex is held.
static void take_group(struct writer *w)
{
    struct op_queue *q = &w->s->writes;
    size_t items = 0, bytes = 0;
    w->ops_len = 0;
    while (q->first && w->ops_len < GROUP_OPS_MAX) {
        struct store_op *op = q->first;
        items += op->verb == STORE_COMMIT ? op->items_len : 1;
        bytes += op_bytes(op);
        bool alone = op->verb == STORE_ERASE;
        if (w->ops_len && (alone || items > GROUP_ITEMS_MAX || bytes > GROUP_BYTES_MAX))
            break;
        w->ops[w->ops_len++] = op;
        q->first = op->next;
        q->len--;
        if (alone)
            break;
    }
    if (!q->first)
        q->end = &q->first;
}

// Whoever was answered by the last group is likely to come again at once, and a group costs an
// fsync whatever its size: worth waiting for as many, for a part of that fsync's time (measured: a
// quarter more commits with 64 in flight). One alone never waits. The mutex is held.
static void gather(struct writer *w)
{
    struct sqlite_store *s = w->s;
    if (w->last_group < 2 || s->writes.len >= w->last_group)
        return;
    int64_t wait_ns = w->last_commit_ns / 2 < GATHER_NS_MAX ? w->last_commit_ns / 2 : GATHER_NS_MAX;
    int64_t until_ns = clock_mono_ns(clock_system()) + wait_ns;
    struct timespec until = {until_ns / 1000000000, (long)(until_ns % 1000000000)};
    s->wake_writer_at = w->last_group;
    while (s->writes.len < w->last_group)
        if (pthread_cond_timedwait(&s->writer_wakes, &s->mutex, &until))
            break;
    s->wake_writer_at = 0;
}

// Reads that were submitted before one of the group's writes must not see it.
static void wait_for_reads(struct writer *w)
{
    struct sqlite_store *s = w->s;
    for (uint32_t i = 0; i < w->ops_len; i++) {
        if (!op_writes(w->ops[i]))
            continue;
        while (s->reads_pending[w->ops[i]->bucket]) {
            s->writer_waits_for_reads = true;
            pthread_cond_wait(&s->reads_drained, &s->mutex);
        }
    }
    s->writer_waits_for_reads = false;
}

static bool next_group(struct writer *w)
{
    struct sqlite_store *s = w->s;
    pthread_mutex_lock(&s->mutex);
    while (!s->writes.len && !s->stopping) {
        s->wake_writer_at = 1;
        pthread_cond_wait(&s->writer_wakes, &s->mutex);
        s->wake_writer_at = 0;
    }
    if (!s->stopping)
        gather(w);
    take_group(w);
    wait_for_reads(w);
    pthread_mutex_unlock(&s->mutex);
    return w->ops_len > 0;
}

struct writer *writer_new(struct sqlite_store *s)
{
    struct writer *w = mem_zalloc(sizeof *w);
    if (!w)
        return NULL;
    w->s = s;
    w->c = &s->write_conn;
    w->checkpoint_at = CHECKPOINT_PAGES;
    sqlite3_wal_hook(w->c->db, note_wal_pages, w);
    return w;
}

void *writer_run(void *writer)
{
    struct writer *w = writer;
    while (next_group(w))
        run_group(w);
    return NULL;
}
