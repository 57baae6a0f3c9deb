// SPDX-License-Identifier: MIT
// sqlite_check.c: reading past damage, and telling what is damaged; see sqlite_int.h.
//
// Damage has two places. In a page of the table, the index still tells which records there are:
// they are read one by one, and only those on that page are lost. In a page of the index, or where
// index and table disagree, what is found may be another record than was asked for: that is
// noticed here, and the record is not given out. What a body, a key or a meta says is beyond this
// file: the seals hold that.
#include "store/sqlite_int.h"

enum { LINE_BYTES_MAX = 1024 };

struct record sqlite_row(sqlite3_stmt *st, struct slice partition)
{
    struct record r = {.partition = partition, .key = column_slice(st, 0)};
    struct slice meta = column_slice(st, 4), body = column_slice(st, 5);

    if (meta.len > RECORD_META_BYTES_MAX || body.len > RECORD_BODY_BYTES_MAX)
        return r;
    r.version = (uint64_t)sqlite3_column_int64(st, 1);
    r.due_at_ms = sqlite3_column_int64(st, 2);
    r.count = sqlite3_column_int64(st, 3);
    r.meta = meta;
    r.body.bytes = body;
    return r;
}

bool sqlite_row_fits(const struct store_op *op, const struct record *row)
{
    if (op->verb == STORE_GET)
        return slice_eq(row->key, op->key);
    if (op->verb != STORE_SCAN)
        return true;
    struct slice before = op->rows_len ? op->rows[op->rows_len - 1].key : op->after;
    int order = before.len ? slice_cmp(before, row->key) : op->backwards ? 1 : -1;
    return slice_starts(row->key, op->key) && (op->backwards ? order > 0 : order < 0);
}

// --- salvage ------------------------------------------------------------------------------------

// The record of a key that the index knows; *row is valid until the statement's next use.
static int read_record(struct sqlite_conn *c, const struct store_op *op, struct slice key,
                       struct record *row)
{
    sqlite3_stmt *st = c->statements[SQL_GET];
    bind_text(st, 1, op->partition);
    bind_text(st, 2, key);
    int rc = sqlite3_step(st);
    *row = (struct record){.partition = op->partition, .key = key};
    if (rc != SQLITE_ROW)
        return rc == SQLITE_DONE || (rc & 0xff) == SQLITE_CORRUPT ? SQLITE_OK : rc;
    struct record found = sqlite_row(st, op->partition);
    if (slice_eq(found.key, key))
        *row = found;
    return SQLITE_OK;
}

static int salvage_keys(struct sqlite_conn *c, struct store_op *op, sqlite3_stmt *keys)
{
    uint32_t limit = op->verb == STORE_GET ? 1 : op->limit;
    int rc = SQLITE_OK;
    while ((rc = sqlite3_step(keys)) == SQLITE_ROW) {
        struct record row = {.key = column_slice(keys, 0)};
        if (row.key.len > RECORD_KEY_BYTES_MAX)
            continue;
        if (!sqlite_row_fits(op, &row))
            return SQLITE_CORRUPT;
        op->more = op->rows_len == limit && op->verb == STORE_SCAN;
        if (op->rows_len == limit)
            return SQLITE_OK;
        rc = read_record(c, op, row.key, &row);
        bool added = rc == SQLITE_OK && op_add_row(op, &row);
        sqlite3_reset(c->statements[SQL_GET]);
        if (!added)
            return rc;
    }
    return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

int sqlite_salvage(struct sqlite_conn *c, struct store_op *op)
{
    struct key_range range = {0};
    store_op_release(op);
    op->more = false;
    if (op->verb == STORE_SCAN) {
        rule_range(op, &range);
    } else {
        memcpy(range.lo, op->key.ptr, op->key.len);
        memcpy(range.hi, op->key.ptr, op->key.len);
        range.lo_len = op->key.len;
        range.hi_len = op->key.len + 1;  // the key and a NUL: the next there can be
    }
    sqlite3_stmt *keys = c->statements[op->backwards ? SQL_KEYS_BACK : SQL_KEYS];
    bind_text(keys, 1, op->partition);
    bind_text(keys, 2, slice_of(range.lo, range.lo_len));
    if (range.open_end)
        sqlite3_bind_zeroblob(keys, 3, 0);  // comes after every text
    else
        bind_text(keys, 3, slice_of(range.hi, range.hi_len));
    int rc = salvage_keys(c, op, keys);
    sqlite3_reset(keys);
    return rc;
}

int sqlite_read_back(struct sqlite_conn *c, const struct store_op *op)
{
    sqlite3_stmt *st = c->statements[SQL_GET];
    int rc = SQLITE_OK;
    for (uint32_t i = 0; i < op->items_len && rc == SQLITE_OK; i++) {
        const struct store_item *item = &op->items[i];
        bind_text(st, 1, op->partition);
        bind_text(st, 2, item->key);
        rc = sqlite3_step(st);
        bool gone = item->verb == STORE_DELETE;
        if (rc == SQLITE_DONE)
            rc = gone ? SQLITE_OK : SQLITE_CORRUPT;
        else if (rc == SQLITE_ROW) {
            struct record r = sqlite_row(st, op->partition);
            bool same = slice_eq(r.key, item->key) && slice_eq(r.meta, item->meta) &&
                        slice_eq(r.body.bytes, item->body.bytes);
            // A counter keeps the meta and the body that it was made with.
            rc = !gone && (same || item->verb == STORE_ADD) ? SQLITE_OK : SQLITE_CORRUPT;
        }
        sqlite3_reset(st);
    }
    return rc;
}

// --- the check ----------------------------------------------------------------------------------

static const char *const checks[] = {
    // Pages, and what indices and tables say of each other.
    "PRAGMA integrity_check",
    "SELECT 'record ' || substr(quote(key), 1, 80) || ' (row ' || id || ') belongs to no partition'"
    " FROM records WHERE partition_id NOT IN (SELECT id FROM partitions)",
    "SELECT 'record ' || substr(quote(key), 1, 80) || ' (row ' || id || ') is no record: a column'"
    " || ' of a wrong type or out of range' FROM records WHERE typeof(key) <> 'text'"
    " OR length(CAST(key AS BLOB)) NOT BETWEEN 1 AND 255 OR typeof(version) <> 'integer'"
    " OR version < 1 OR typeof(due_at_ms) NOT IN ('integer', 'null') OR due_at_ms <= 0"
    " OR typeof(count) <> 'integer' OR typeof(meta) <> 'text'"
    " OR length(CAST(meta AS BLOB)) > 16384 OR typeof(body) <> 'blob' OR length(body) > 262144",
    "SELECT 'record ' || substr(quote(key), 1, 80) || ' (row ' || id || ') is of a partition that'"
    " || ' is erased' FROM records WHERE partition_id IN (SELECT id FROM partitions WHERE erased)",
    "SELECT 'partition ' || substr(quote(name), 1, 80) || ' has a name that is none'"
    " FROM partitions WHERE typeof(name) <> 'text' OR length(CAST(name AS BLOB)) NOT BETWEEN 1"
    " AND 64",
    "SELECT 'partition ' || substr(quote(name), 1, 80) || ' does not say whether it is erased'"
    " FROM partitions WHERE typeof(erased) <> 'integer' OR erased NOT IN (0, 1)",
    "SELECT 'the number ' || name || ' is missing or none' FROM (SELECT 'epochs' AS name UNION"
    " SELECT 'mends') WHERE name NOT IN (SELECT name FROM state WHERE typeof(value) = 'integer')",
};
_Static_assert(RECORD_META_BYTES_MAX == 16384 && RECORD_BODY_BYTES_MAX == 262144 &&
               RECORD_KEY_BYTES_MAX == 255 && STORE_PARTITION_BYTES_MAX == 64,
               "the limits as the checks have them");

// What integrity_check says of a page for which it found no memory, and goes on: that is no damage
// (SQLite 3.40.1, src/btree.c, checkTreePage; 7 is SQLITE_NOMEM, 3082 SQLITE_IOERR_NOMEM).
static bool lacks_memory(struct slice line)
{
    static const char *const ends[] = {"error code=7", "error code 7", "error code=3082"};
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        if (slice_ends(line, slice_str(ends[i])))
            return true;
    }
    return false;
}

// False: enough is told, or out of memory (then op->code says so).
static bool add_line(struct store_op *op, struct slice line)
{
    struct record row = {.meta = slice_of(line.ptr, line.len < LINE_BYTES_MAX ? line.len
                                                                              : LINE_BYTES_MAX)};
    if (slice_is(line, "ok") || slice_starts(line, SLICE_LIT("***")))
        return true;
    if (lacks_memory(line)) {
        store_op_release(op);
        op_fail(op, E_NOMEM, "store: sqlite: out of memory while checking");
        return false;
    }
    op->more = op->rows_len == op->limit;
    return !op->more && op_add_row(op, &row);
}

// integrity_check tells several lines in one.
static bool add_lines(struct store_op *op, struct slice text)
{
    while (text.len) {
        const char *newline = memchr(text.ptr, '\n', text.len);
        size_t len = newline ? (size_t)(newline - text.ptr) : text.len;
        if (!add_line(op, slice_of(text.ptr, len)))
            return false;
        text = slice_of(text.ptr + len + (newline != NULL), text.len - len - (newline != NULL));
    }
    return true;
}

static int run_check(struct sqlite_conn *c, struct store_op *op, const char *sql)
{
    sqlite3_stmt *st = NULL;
    int rc = sqlite3_prepare_v2(c->db, sql, -1, &st, NULL);
    bool more = true;
    while (rc == SQLITE_OK && more) {
        rc = sqlite3_step(st);
        if (rc == SQLITE_ROW) {
            more = add_lines(op, column_slice(st, 0));
            rc = SQLITE_OK;
        }
    }
    int end = sqlite3_finalize(st);
    return rc == SQLITE_DONE ? end : rc;
}

int sqlite_check(struct sqlite_conn *c, struct store_op *op)
{
    for (unsigned i = 0; i < sizeof checks / sizeof *checks && !op->code && !op->more; i++) {
        int rc = run_check(c, op, checks[i]);
        if ((rc & 0xff) == SQLITE_CORRUPT) {
            add_line(op, slice_str(sqlite3_errmsg(c->db)));
            continue;  // the others may find more
        }
        if (rc != SQLITE_OK)
            return rc;
    }
    return SQLITE_OK;
}
