// SPDX-License-Identifier: MIT
// sqlite.c: a store in one file, "sqlite:PATH"; see sqlite_int.h.
//
// submit only queues; all work on the database is done by the store's two threads.
#include "store/sqlite_int.h"

#include "base/mem.h"
#include "base/thread.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static struct sqlite_store *store_of(struct store *s)
{
    return CONTAINER_OF(s, struct sqlite_store, store);
}

// --- queues -----------------------------------------------------------------------------------

static uint32_t order_bucket(const struct store_op *op)
{
    uint64_t hash = (uint64_t)(uintptr_t)op->loop * 0x9e3779b97f4a7c15;
    for (size_t i = 0; i < op->partition.len; i++)
        hash = (hash ^ (unsigned char)op->partition.ptr[i]) * 0x100000001b3;
    return (uint32_t)(hash >> 32) % ORDER_BUCKETS;
}

static void queue_add(struct op_queue *q, struct store_op *op)
{
    *q->end = op;
    q->end = &op->next;
    q->len++;
}

static void sqlite_submit(struct store *store, struct store_op *op)
{
    struct sqlite_store *s = store_of(store);
    uint32_t bucket = op->bucket = order_bucket(op);
    bool writes = op_writes(op);
    if (writes && s->read_only) {
        op_refuse_read_only(op);
        op_complete(op);
        return;
    }
    pthread_mutex_lock(&s->mutex);
    BUG_ON(s->stopping);
    s->writes_pending[bucket] += writes;
    // A read goes through the writer's queue when a write before it may still be there.
    if (s->writes_pending[bucket]) {
        op->queued_ns = clock_mono_ns(clock_system());
        queue_add(&s->writes, op);
        if (s->wake_writer_at && s->writes.len >= s->wake_writer_at)
            pthread_cond_signal(&s->writer_wakes);
    } else {
        s->reads_pending[bucket]++;
        queue_add(&s->reads, op);
        if (s->reader_waits)
            pthread_cond_signal(&s->reader_wakes);
    }
    pthread_mutex_unlock(&s->mutex);
}

// --- checkpoints --------------------------------------------------------------------------------

int sqlite_checkpoint(struct sqlite_store *s, struct sqlite_conn *c, int mode)
{
    // PASSIVE takes what readers leave it; the others wait for readers, so ours must be out. Those
    // of other processes are brief, or stay for long, as a backup does.
    sqlite3_busy_timeout(c->db, CHECKPOINT_WAIT_MS);
    if (mode != SQLITE_CHECKPOINT_PASSIVE)
        pthread_mutex_lock(&s->gate);
    int rc = sqlite3_wal_checkpoint_v2(c->db, NULL, mode, NULL, NULL);
    if (mode != SQLITE_CHECKPOINT_PASSIVE)
        pthread_mutex_unlock(&s->gate);
    return rc;
}

// --- opening ----------------------------------------------------------------------------------

// Makes the file if it is not there. An existing one is not opened here: closing it again would
// drop the locks that SQLite holds on it in this process.
static int make_file(const char *path, bool may_make, struct err *err)
{
    struct stat st;
    if (!path[0])
        return err_set(err, E_STORE, "store: sqlite: no file named: write sqlite:PATH");
    if (stat(path, &st) == 0) {
        if (S_ISREG(st.st_mode))
            return E_OK;
        return err_set(err, E_STORE, "store: sqlite: %s is %s: name a file", path,
                       S_ISDIR(st.st_mode) ? "a directory" : "no file");
    }
    if (errno == ENOENT && !may_make)
        return err_set(err, E_STORE, "store: sqlite: %s does not exist: name "
                       "another with --store, or make one: `parley chat`", path);
    int fd = errno == ENOENT ? open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600) : -1;
    if (fd < 0 && errno != EEXIST)
        return err_set(err, E_STORE, "store: sqlite: %s: %s: name a file in a folder that exists "
                       "and can be written", path, strerror(errno));
    if (fd >= 0)
        close(fd);
    return E_OK;
}

// Absolute, so that reopening works after a chdir, and that all names of one file share one lock
// file.
int sqlite_find_file(const char *path, bool may_make, char **absolute, struct err *err)
{
    *absolute = NULL;
    int code = make_file(path, may_make, err);
    if (code)
        return code;
    *absolute = realpath(path, NULL);
    return *absolute ? E_OK
                     : err_set(err, E_STORE, "store: sqlite: %s: %s", path, strerror(errno));
}

static int set_wal(struct sqlite_conn *c, const char *path, struct err *err)
{
    int rc = sqlite3_exec(c->db, "PRAGMA journal_mode=WAL", NULL, NULL, NULL);
    return rc == SQLITE_OK ? E_OK : conn_error(c->db, rc, path, "switching to WAL", err);
}

static int old_schema(const char *path, unsigned version, const struct schema *schema,
                      struct err *err)
{
    return err_set(err, E_STORE, "store: sqlite: %s has schema version %u, this parley needs %u: "
                   "run `parley migrate`", path, version, schema->version);
}

// The writer's connection on a file that is new, or of our version. The writer's lock is held.
static int open_writer(struct sqlite_store *s, struct err *err)
{
    struct sqlite_conn *c = &s->write_conn;
    unsigned version = 0;
    int code = conn_open(c, s->path, CONN_WRITER, err);
    if (!code)
        code = schema_read(c->db, s->path, s->schema, &version, err);
    if (!code && version && version < s->schema->version)
        code = old_schema(s->path, version, s->schema, err);
    if (!code)
        code = set_wal(c, s->path, err);
    if (!code && !version)
        code = schema_make(c->db, s->path, s->schema, err);
    if (!code)
        code = conn_prepare(c, s->path, err);
    if (!code)
        sqlite_gather_begin(c);
    return code;
}

static int open_reader(struct sqlite_store *s, struct err *err)
{
    struct sqlite_conn *c = &s->read_conn;
    unsigned version = 0;
    int code = conn_open(c, s->path, s->read_only ? CONN_READ_ONLY : CONN_READER, err);
    if (!code)
        code = schema_read(c->db, s->path, s->schema, &version, err);
    if (!code && version < s->schema->version)
        code = version ? old_schema(s->path, version, s->schema, err)
                       : err_set(err, E_STORE, "store: sqlite: %s is empty", s->path);
    return code ? code : conn_prepare(c, s->path, err);
}

static int open_connections(struct sqlite_store *s, struct err *err)
{
    int code = E_OK;
    if (!s->read_only) {
        if (!lock_file_take(&s->lock, s->busy_ms))
            return conn_error(NULL, SQLITE_BUSY, s->path, "", err);
        code = open_writer(s, err);
        lock_file_drop(&s->lock);
    }
    return code ? code : open_reader(s, err);
}

static int start_threads(struct sqlite_store *s, struct err *err)
{
    int code = thread_start(&s->read_thread, "parley-reader", reader_run, s, err);
    s->read_thread_runs = code == E_OK;
    if (code || s->read_only)
        return code;
    s->writer = writer_new(s);
    if (!s->writer)
        return err_set(err, E_NOMEM, "store: sqlite: out of memory");
    code = thread_start(&s->write_thread, "parley-writer", writer_run, s->writer, err);
    s->write_thread_runs = code == E_OK;
    return code;
}

static struct sqlite_store *store_new(const struct store_env *env, const struct schema *schema)
{
    struct sqlite_store *s = mem_zalloc(sizeof *s);
    if (!s)
        return NULL;
    s->store.ops = &store_sqlite;
    s->clock = env->clock;
    s->log = env->log;
    s->read_only = env->read_only;
    s->busy_ms = env->busy_ms ? env->busy_ms : STORE_BUSY_MS_MAX;
    s->schema = schema;
    s->lock.fd = -1;
    s->reads.end = &s->reads.first;
    s->writes.end = &s->writes.first;
    pthread_mutex_init(&s->gate, NULL);
    pthread_mutex_init(&s->mutex, NULL);
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&s->writer_wakes, &monotonic);
    pthread_condattr_destroy(&monotonic);
    pthread_cond_init(&s->reader_wakes, NULL);
    pthread_cond_init(&s->reads_drained, NULL);
    return s;
}

static void sqlite_free(struct store *store)
{
    struct sqlite_store *s = store_of(store);
    pthread_mutex_lock(&s->mutex);
    s->stopping = true;
    pthread_cond_signal(&s->writer_wakes);
    pthread_cond_signal(&s->reader_wakes);
    pthread_mutex_unlock(&s->mutex);
    if (s->write_thread_runs)
        pthread_join(s->write_thread, NULL);
    if (s->read_thread_runs)
        pthread_join(s->read_thread, NULL);
    conn_close(&s->read_conn);
    // A WAL that stays behind is no loss: the next to open the file reads it.
    if (s->write_conn.db && lock_file_take(&s->lock, STORE_BUSY_MS_MAX)) {
        sqlite_checkpoint(s, &s->write_conn, SQLITE_CHECKPOINT_TRUNCATE);
        lock_file_drop(&s->lock);
    }
    conn_close(&s->write_conn);
    lock_file_close(&s->lock);
    mem_free(s->writer);
    pthread_cond_destroy(&s->reads_drained);
    pthread_cond_destroy(&s->reader_wakes);
    pthread_cond_destroy(&s->writer_wakes);
    pthread_mutex_destroy(&s->mutex);
    pthread_mutex_destroy(&s->gate);
    free(s->path);
    mem_free(s);
}

int sqlite_open_with(struct store **out, const char *path, const struct store_env *env,
                     const struct schema *schema, struct err *err)
{
    struct sqlite_store *s = store_new(env, schema);
    if (!s)
        return err_set(err, E_NOMEM, "store: sqlite: out of memory");
    int code = sqlite_find_file(path, !env->read_only && !env->must_exist, &s->path, err);
    if (!code)
        code = lock_file_open(&s->lock, s->path, env->rand, env->read_only, err);
    if (!code)
        code = open_connections(s, err);
    if (!code)
        code = start_threads(s, err);
    if (!code) {
        *out = &s->store;
        return E_OK;
    }
    sqlite_free(&s->store);
    return code;
}

static int sqlite_open(struct store **out, const char *rest, const struct store_env *env,
                       struct err *err)
{
    return sqlite_open_with(out, rest, env, &sqlite_schema, err);
}

static const char *sqlite_claim(struct store *store)
{
    return store_of(store)->lock.claim;
}

// --- migration --------------------------------------------------------------------------------

static int migrate_file(const char *path, const struct schema *schema, bool dry_run,
                        struct buf *report, struct err *err)
{
    struct sqlite_conn c = {0};
    unsigned version = 0;
    int code = conn_open(&c, path, CONN_WRITER, err);
    if (!code)
        code = schema_read(c.db, path, schema, &version, err);
    if (!code && version == schema->version)
        buf_addf(report, "%s is at version %u: nothing to do\n", path, version);
    else if (!code && !dry_run)
        code = set_wal(&c, path, err);
    if (!code)
        code = schema_upgrade(c.db, path, schema, version, dry_run, report, err);
    conn_close(&c);
    return code ? code : dry_run && version != schema->version;
}

int sqlite_migrate_with(const char *path, const struct schema *schema, bool dry_run,
                        struct buf *report, struct err *err)
{
    struct lock_file lock = {.fd = -1};
    char *real = NULL;
    int code = sqlite_find_file(path, false, &real, err);
    if (code)
        return code;
    code = lock_file_open(&lock, real, rand_system(), false, err);
    if (!code && !lock_file_take(&lock, STORE_BUSY_MS_MAX))
        code = conn_error(NULL, SQLITE_BUSY, real, "", err);
    if (!code) {
        code = migrate_file(real, schema, dry_run, report, err);
        lock_file_drop(&lock);
    }
    lock_file_close(&lock);
    free(real);
    return code;
}

static int sqlite_migrate(const char *rest, bool dry_run, struct buf *report, struct err *err)
{
    return sqlite_migrate_with(rest, &sqlite_schema, dry_run, report, err);
}

const struct store_ops store_sqlite = {
    .name = "sqlite",
    .description = "a file, for one machine; several processes may share it",
    .url_form = "sqlite:PATH",
    .open = sqlite_open,
    .submit = sqlite_submit,
    .claim = sqlite_claim,
    .migrate = sqlite_migrate,
    .backup = sqlite_backup,
    .restore = sqlite_restore,
    .free = sqlite_free,
};
