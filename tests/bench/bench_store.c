// SPDX-License-Identifier: MIT
// bench_store.c: commits and records per second through the SQLite store, beside what SQLite alone
// does with the same rows, group sizes and settings on the same disk.
//
// Usage: bench_store [COMMITS [IN_FLIGHT [ITEMS [BODY_BYTES]]]]
#include "store/store.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct bench {
    uint32_t commits, in_flight, items, body_bytes;
    uint32_t begun, done, failed;
    struct loop *loop;
    struct store *store;
    char *body;
};

struct slot {
    struct store_op op;
    struct bench *bench;
    struct store_item items[STORE_BATCH_ITEMS_MAX];
    char keys[STORE_BATCH_ITEMS_MAX][80];
    char partition[33];
};

#define META "{\"role\":\"user\",\"at\":1700000000000,\"tokens\":17}"

static void make_names(const struct bench *b, uint32_t commit, char *partition, char (*keys)[80])
{
    snprintf(partition, 33, "%032x", commit % 500);
    for (uint32_t i = 0; i < b->items; i++)
        snprintf(keys[i], 80, "turn/00000000-0000-4000-8000-%012x/%010u/%010u", commit % 500,
                 commit / 500, i);
}

static void step(struct store_op *op);

static void begin(struct slot *slot)
{
    struct bench *b = slot->bench;
    make_names(b, b->begun++, slot->partition, slot->keys);
    for (uint32_t i = 0; i < b->items; i++)
        slot->items[i] = (struct store_item){.verb = STORE_INSERT,
                                             .key = slice_str(slot->keys[i]),
                                             .meta = SLICE_LIT(META),
                                             .body = {slice_of(b->body, b->body_bytes)}};
    slot->op = (struct store_op){.verb = STORE_COMMIT,
                                 .loop = b->loop,
                                 .done = step,
                                 .partition = slice_str(slot->partition),
                                 .items = slot->items,
                                 .items_len = b->items};
    store_submit(b->store, &slot->op);
}

static void step(struct store_op *op)
{
    struct slot *slot = (struct slot *)(void *)op;
    struct bench *b = slot->bench;
    b->failed += op->code != E_OK;
    b->done++;
    if (b->begun < b->commits)
        begin(slot);
    else if (b->done == b->commits)
        loop_stop(b->loop);
}

static double seconds(void)
{
    return (double)clock_mono_ns(clock_system()) / 1e9;
}

static double bench_store(struct bench *b, const char *path)
{
    struct store_env env = {.clock = clock_system(), .rand = rand_system()};
    struct err err = ERR_INIT;
    char url[300];
    snprintf(url, sizeof url, "sqlite:%s", path);
    struct slot *slots = calloc(b->in_flight, sizeof *slots);
    if (!slots || loop_new(&b->loop, clock_system(), &err) ||
        store_open(&b->store, url, &env, &err)) {
        fprintf(stderr, "bench_store: %s\n", err.message);
        exit(1);
    }
    double start = seconds();
    for (uint32_t i = 0; i < b->in_flight; i++) {
        slots[i].bench = b;
        begin(&slots[i]);
    }
    loop_run(b->loop);
    double took = seconds() - start;
    store_free(b->store);
    loop_free(b->loop);
    free(slots);
    return took;
}

static void check(sqlite3 *db, int rc)
{
    if (rc != SQLITE_OK && rc != SQLITE_DONE && rc != SQLITE_ROW) {
        fprintf(stderr, "bench_store: %s\n", sqlite3_errmsg(db));
        exit(1);
    }
}

#define RAW_SCHEMA                                                                                 \
    "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA secure_delete=ON;"                   \
    "PRAGMA wal_autocheckpoint=4000; PRAGMA cache_size=-16384;"                                    \
    "CREATE TABLE records (id INTEGER PRIMARY KEY, partition_id INTEGER NOT NULL,"                 \
    " key TEXT NOT NULL, version INTEGER NOT NULL, due_at_ms INTEGER, count INTEGER NOT NULL,"     \
    " meta TEXT NOT NULL, body BLOB NOT NULL); CREATE UNIQUE INDEX records_key ON "                \
    "records(partition_id, key);"                                                                  \
    "CREATE INDEX records_due ON records(due_at_ms) WHERE due_at_ms IS NOT NULL;"

static double bench_raw(const struct bench *b, const char *path)
{
    sqlite3 *db = NULL;
    sqlite3_stmt *insert = NULL;
    static char keys[STORE_BATCH_ITEMS_MAX][80];
    char partition[33];
    check(db, sqlite3_open(path, &db));
    check(db, sqlite3_exec(db, RAW_SCHEMA, NULL, NULL, NULL));
    check(db, sqlite3_prepare_v2(db,
                                 "INSERT INTO records(partition_id, key, version, due_at_ms,"
                                 " count, meta, body) VALUES (?1, ?2, 1, NULL, 0, ?3, ?4)",
                                 -1, &insert, NULL));
    double start = seconds();
    for (uint32_t at = 0; at < b->commits;) {
        check(db, sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL));
        for (uint32_t n = 0; n < b->in_flight && at < b->commits; n++, at++) {
            make_names(b, at, partition, keys);
            for (uint32_t i = 0; i < b->items; i++) {
                sqlite3_bind_int64(insert, 1, at % 500);
                sqlite3_bind_text(insert, 2, keys[i], -1, SQLITE_STATIC);
                sqlite3_bind_text(insert, 3, META, -1, SQLITE_STATIC);
                sqlite3_bind_blob(insert, 4, b->body, (int)b->body_bytes, SQLITE_STATIC);
                check(db, sqlite3_step(insert));
                check(db, sqlite3_reset(insert));
            }
        }
        check(db, sqlite3_exec(db, "COMMIT", NULL, NULL, NULL));
    }
    double took = seconds() - start;
    sqlite3_finalize(insert);
    sqlite3_close(db);
    return took;
}

int main(int argc, char **argv)
{
    static char folder[] = "bench-store-XXXXXX";
    struct bench b = {.commits = 50000, .in_flight = 64, .items = 1, .body_bytes = 120};
    uint32_t *const args[] = {&b.commits, &b.in_flight, &b.items, &b.body_bytes};
    for (int i = 1; i < argc && i <= 4; i++)
        *args[i - 1] = (uint32_t)strtoul(argv[i], NULL, 10);
    if (!b.commits || !b.in_flight || !b.items || b.items > STORE_BATCH_ITEMS_MAX)
        return 2;
    b.body = calloc(1, b.body_bytes + 1);
    if (!b.body || !mkdtemp(folder) || chdir(folder))
        return 1;
    double raw = bench_raw(&b, "raw.db"), store = bench_store(&b, "store.db");
    double n = b.commits;
    printf("bench_store: %u commits of %u records, %u in flight: raw %.0f commits/s %.0f "
           "records/s, store %.0f commits/s %.0f records/s, ratio %.2f, failed %u\n",
           b.commits, b.items, b.in_flight, n / raw, n * b.items / raw, n / store,
           n * b.items / store, raw / store, b.failed);
    static const char *const files[] = {"raw.db",       "raw.db-wal",   "raw.db-shm",   "store.db",
                                        "store.db-wal", "store.db-shm", "store.db-lock"};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        unlink(files[i]);
    free(b.body);
    return b.failed || chdir("..") || rmdir(folder);
}
