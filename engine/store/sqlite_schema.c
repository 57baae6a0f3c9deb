// SPDX-License-Identifier: MIT
// sqlite_schema.c: the tables and views of the SQLite store, by version; see sqlite_int.h.
//
// PRAGMA user_version is the version, application_id says that the file is ours ("prly").
// A step is never changed once released; what comes later is a step of its own.
#include "store/sqlite_int.h"

enum { APPLICATION_ID = 0x70726c79 };

// A partition has a small number, so that each record names it in a byte or two. Rows are appended
// in rowid order; the index gives the order of keys.
#define SQL_TABLES \
    "CREATE TABLE partitions (\n" \
    "  id INTEGER PRIMARY KEY,\n" \
    "  name TEXT NOT NULL UNIQUE        -- a user's (32 hex digits), or a ~name of the house\n" \
    ");\n" \
    "CREATE TABLE records (\n" \
    "  id INTEGER PRIMARY KEY,\n" \
    "  partition_id INTEGER NOT NULL,\n" \
    "  key TEXT NOT NULL,               -- kind/…, unique in its partition\n" \
    "  version INTEGER NOT NULL,        -- grows by one with each change\n" \
    "  due_at_ms INTEGER,               -- Unix time; NULL: never\n" \
    "  count INTEGER NOT NULL,          -- of counters; 0 elsewhere\n" \
    "  meta TEXT NOT NULL,              -- JSON: counts, times, enumerations\n" \
    "  body BLOB NOT NULL               -- sealed\n" \
    ");\n" \
    "CREATE UNIQUE INDEX records_key ON records(partition_id, key);\n" \
    "CREATE INDEX records_due ON records(due_at_ms, partition_id, key)\n" \
    "  WHERE due_at_ms IS NOT NULL;\n" \
    "CREATE TABLE leases (\n" \
    "  partition_id INTEGER NOT NULL,\n" \
    "  key TEXT NOT NULL,\n" \
    "  epoch INTEGER NOT NULL,\n" \
    "  holder TEXT NOT NULL,            -- empty: free\n" \
    "  expires_at_ms INTEGER NOT NULL,\n" \
    "  PRIMARY KEY (partition_id, key)\n" \
    ") WITHOUT ROWID;\n" \
    "CREATE TABLE state (               -- numbers of the store itself\n" \
    "  name TEXT PRIMARY KEY,\n" \
    "  value INTEGER NOT NULL\n" \
    ") WITHOUT ROWID;\n" \
    "INSERT INTO state VALUES ('epochs', 0), ('mends', 0);\n"

// For people with their own tools. Only what meta says in the clear: no names, no text. A row whose
// meta is no JSON is left out.
#define SQL_VIEW_SESSIONS \
    "CREATE VIEW sessions AS           -- one row for each session; times in UTC\n" \
    "SELECT p.name AS partition, substr(r.key, 9) AS session,\n" \
    "  json_extract(r.meta, '$.bot') AS bot,\n" \
    "  json_extract(r.meta, '$.status') AS status,\n" \
    "  json_extract(r.meta, '$.turns') AS turns,\n" \
    "  json_extract(r.meta, '$.tokens') AS tokens,\n" \
    "  datetime(json_extract(r.meta, '$.created_at') / 1000, 'unixepoch') AS created_at,\n" \
    "  datetime(json_extract(r.meta, '$.last_active_at') / 1000, 'unixepoch')" \
    " AS last_active_at,\n" \
    "  datetime(json_extract(r.meta, '$.expires_at') / 1000, 'unixepoch') AS expires_at\n" \
    "FROM records r JOIN partitions p ON p.id = r.partition_id\n" \
    "WHERE r.key >= 'session/' AND r.key < 'session0' AND json_valid(r.meta);\n"

// Keys are turn/<36 characters of session>/<10 digits of turn>/<10 digits of step>.
#define SQL_VIEW_TURNS \
    "CREATE VIEW turns AS              -- one row for each turn; its steps summed up\n" \
    "SELECT p.name AS partition, substr(r.key, 6, 36) AS session,\n" \
    "  CAST(substr(r.key, 43, 10) AS INTEGER) AS turn,\n" \
    "  datetime(min(json_extract(r.meta, '$.at')) / 1000, 'unixepoch') AS at,\n" \
    "  coalesce(max(json_extract(r.meta, '$.status')), 'open') AS status,\n" \
    "  max(json_extract(r.meta, '$.stop')) AS stop,\n" \
    "  count(*) AS steps,\n" \
    "  max(json_extract(r.meta, '$.policy')) AS policy,\n" \
    "  max(json_extract(r.meta, '$.provider')) AS provider,\n" \
    "  max(json_extract(r.meta, '$.model')) AS model,\n" \
    "  coalesce(sum(json_extract(r.meta, '$.input_tokens')), 0) AS input_tokens,\n" \
    "  coalesce(sum(json_extract(r.meta, '$.output_tokens')), 0) AS output_tokens,\n" \
    "  sum(json_extract(r.meta, '$.cost_nusd')) / 1e9 AS cost_usd  -- NULL: no price known\n" \
    "FROM records r JOIN partitions p ON p.id = r.partition_id\n" \
    "WHERE r.key >= 'turn/' AND r.key < 'turn0' AND json_valid(r.meta)\n" \
    "GROUP BY r.partition_id, substr(r.key, 1, 52);\n"

// Keys are attempt/<36 characters of session>/<10 digits of turn>/<10 digits>.
#define SQL_VIEW_USAGE \
    "CREATE VIEW usage AS              -- one row for each call of a provider\n" \
    "SELECT p.name AS partition, substr(r.key, 9, 36) AS session,\n" \
    "  CAST(substr(r.key, 46, 10) AS INTEGER) AS turn,\n" \
    "  CAST(substr(r.key, 57, 10) AS INTEGER) AS attempt,\n" \
    "  datetime(json_extract(r.meta, '$.at') / 1000, 'unixepoch') AS at,\n" \
    "  json_extract(r.meta, '$.status') AS status,\n" \
    "  json_extract(r.meta, '$.bot') AS bot,\n" \
    "  json_extract(r.meta, '$.provider') AS provider,\n" \
    "  json_extract(r.meta, '$.model') AS model,\n" \
    "  json_extract(r.meta, '$.http') AS http_status,\n" \
    "  coalesce(json_extract(r.meta, '$.input_tokens'), 0) AS input_tokens,\n" \
    "  coalesce(json_extract(r.meta, '$.cached_tokens'), 0) AS cached_tokens,\n" \
    "  coalesce(json_extract(r.meta, '$.cache_write_tokens'), 0) AS cache_write_tokens,\n" \
    "  coalesce(json_extract(r.meta, '$.output_tokens'), 0) AS output_tokens,\n" \
    "  json_extract(r.meta, '$.cost_nusd') / 1e9 AS cost_usd,  -- NULL: no price known\n" \
    "  coalesce(json_extract(r.meta, '$.estimated'), 0) AS estimated\n" \
    "FROM records r JOIN partitions p ON p.id = r.partition_id\n" \
    "WHERE r.key >= 'attempt/' AND r.key < 'attempt0' AND json_valid(r.meta);\n" \
    "CREATE VIEW usage_by_day AS       -- days in UTC\n" \
    "SELECT date(at) AS day, bot, provider, model, count(*) AS attempts,\n" \
    "  sum(input_tokens) AS input_tokens, sum(cached_tokens) AS cached_tokens,\n" \
    "  sum(cache_write_tokens) AS cache_write_tokens, sum(output_tokens) AS output_tokens,\n" \
    "  sum(cost_usd) AS cost_usd, sum(cost_usd IS NULL) AS attempts_without_cost\n" \
    "FROM usage GROUP BY day, bot, provider, model;\n"

// The row of an erased partition stays, so that nothing comes back under its name: neither from a
// process that had not heard of it, nor by a mistake.
#define SQL_ERASED \
    "ALTER TABLE partitions ADD COLUMN erased INTEGER NOT NULL DEFAULT 0;\n"

static const struct schema_step steps[] = {
    {"records, leases, and the views sessions, turns, usage and usage_by_day",
     SQL_TABLES SQL_VIEW_SESSIONS SQL_VIEW_TURNS SQL_VIEW_USAGE},
    {"partitions that are erased are marked and stay closed", SQL_ERASED},
};
const struct schema sqlite_schema = {steps, sizeof steps / sizeof *steps};

static int read_number(sqlite3 *db, const char *sql, int64_t *out)
{
    sqlite3_stmt *st = NULL;
    int rc = sqlite3_prepare_v2(db, sql, -1, &st, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_step(st);
    if (rc == SQLITE_ROW)
        *out = sqlite3_column_int64(st, 0);
    int end = sqlite3_finalize(st);
    return rc == SQLITE_ROW ? end : rc;
}

int schema_read(sqlite3 *db, const char *path, const struct schema *schema, unsigned *version,
                struct err *err)
{
    int64_t user_version = 0, application = 0, tables = 0;
    int rc = read_number(db, "PRAGMA user_version", &user_version);
    if (rc == SQLITE_OK)
        rc = read_number(db, "PRAGMA application_id", &application);
    if (rc == SQLITE_OK)
        rc = read_number(db, "SELECT count(*) FROM sqlite_schema", &tables);
    if (rc != SQLITE_OK)
        return conn_error(db, rc, path, "reading its schema", err);
    if (application == 0 && user_version == 0 && tables == 0) {
        *version = 0;
        return E_OK;
    }
    if (application != APPLICATION_ID || user_version < 1)
        return err_set(err, E_STORE, "store: sqlite: %s is a database of another program: name "
                       "another file", path);
    if (user_version > schema->version)
        return err_set(err, E_STORE, "store: sqlite: %s has schema version %lld, this parley knows "
                       "versions up to %u: use the newer parley that made it", path,
                       (long long)user_version, schema->version);
    *version = (unsigned)user_version;
    return E_OK;
}

// Takes the steps from version `from` to `to` in one transaction.
static int take_steps(sqlite3 *db, const char *path, const struct schema *schema, unsigned from,
                      unsigned to, struct err *err)
{
    char numbers[96], doing[64];
    sqlite3_snprintf(sizeof numbers, numbers, "PRAGMA application_id=%d; PRAGMA user_version=%u;",
                     APPLICATION_ID, to);
    int rc = sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL);
    for (; rc == SQLITE_OK && from < to; from++)
        rc = sqlite3_exec(db, schema->steps[from].sql, NULL, NULL, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_exec(db, numbers, NULL, NULL, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_exec(db, "COMMIT", NULL, NULL, NULL);
    if (rc == SQLITE_OK)
        return E_OK;
    sqlite3_snprintf(sizeof doing, doing, "going to schema version %u", to);
    int code = conn_error(db, rc, path, doing, err);
    if (!sqlite3_get_autocommit(db))
        sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
    return code;
}

int schema_make(sqlite3 *db, const char *path, const struct schema *schema, struct err *err)
{
    return take_steps(db, path, schema, 0, schema->version, err);
}

int schema_upgrade(sqlite3 *db, const char *path, const struct schema *schema, unsigned from,
                   bool dry_run, struct buf *report, struct err *err)
{
    for (; from < schema->version; from++) {
        int code = dry_run ? E_OK : take_steps(db, path, schema, from, from + 1, err);
        if (code)
            return code;
        buf_addf(report, "from version %u to %u: %s\n", from, from + 1,
                 schema->steps[from].what);
    }
    return buf_check(report, "the report", err);
}
