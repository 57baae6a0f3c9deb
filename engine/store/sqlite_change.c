// SPDX-License-Identifier: MIT
// sqlite_change.c: what one commit, lease, drop or erasure does to the file, in the transaction at
// hand; see sqlite_int.h. On the writer thread.
//
// An op's guards are checked before it changes anything. Each function gives an SQLite result code;
// what else goes wrong is in op->code.
#include "store/sqlite_int.h"

enum {
    // Of one piece of an erasure: some 20 ms of work (measured), so that others hardly wait.
    ERASE_RECORDS_MAX = 1000,
    ERASE_BYTES_MAX = 4 << 20,
};

struct partition {
    int64_t id;  // 0: there is none
    bool erased;
};

static int find_partition(struct sqlite_conn *c, struct slice name, struct partition *p)
{
    sqlite3_stmt *st = c->statements[SQL_PARTITION];
    *p = (struct partition){0};
    bind_text(st, 1, name);
    int rc = sqlite3_step(st);
    if (rc == SQLITE_ROW)
        *p = (struct partition){sqlite3_column_int64(st, 0), sqlite3_column_int(st, 1) != 0};
    sqlite3_reset(st);
    return rc == SQLITE_ROW || rc == SQLITE_DONE ? SQLITE_OK : rc;
}

// As find_partition, for an op that an erased partition refuses.
static int find_open_partition(struct sqlite_conn *c, struct store_op *op, int64_t *id)
{
    struct partition p;
    int rc = find_partition(c, op->partition, &p);
    if (rc == SQLITE_OK && p.erased)
        op_refuse_erased(op);
    *id = p.id;
    return rc;
}

static int make_partition(struct sqlite_conn *c, struct slice name, int64_t *id)
{
    bind_text(c->statements[SQL_PARTITION_NEW], 1, name);
    int rc = conn_run(c, SQL_PARTITION_NEW);
    *id = sqlite3_last_insert_rowid(c->db);
    return rc;
}

static int find_lease(struct sqlite_conn *c, int64_t partition, struct slice key,
                      struct lease *lease)
{
    sqlite3_stmt *st = c->statements[SQL_LEASE];
    *lease = (struct lease){0};
    sqlite3_bind_int64(st, 1, partition);
    bind_text(st, 2, key);
    int rc = sqlite3_step(st);
    if (rc == SQLITE_ROW) {
        struct slice holder = column_slice(st, 2);
        lease->epoch = (uint64_t)sqlite3_column_int64(st, 0);
        lease->expires_at_ms = sqlite3_column_int64(st, 1);
        if (holder.len < sizeof lease->holder && holder.len)
            memcpy(lease->holder, holder.ptr, holder.len);
    }
    sqlite3_reset(st);
    return rc == SQLITE_ROW || rc == SQLITE_DONE ? SQLITE_OK : rc;
}

struct found {
    int64_t id;  // 0: absent
    struct held held;
};

static int find_record(struct sqlite_conn *c, int64_t partition, struct slice key,
                       struct found *found)
{
    *found = (struct found){0};
    if (!partition)
        return SQLITE_OK;
    sqlite3_stmt *st = c->statements[SQL_FIND];
    sqlite3_bind_int64(st, 1, partition);
    bind_text(st, 2, key);
    int rc = sqlite3_step(st);
    if (rc == SQLITE_ROW) {
        found->id = sqlite3_column_int64(st, 0);
        found->held.version = (uint64_t)sqlite3_column_int64(st, 1);
        found->held.count = sqlite3_column_int64(st, 2);
    }
    sqlite3_reset(st);
    return rc == SQLITE_ROW || rc == SQLITE_DONE ? SQLITE_OK : rc;
}

static int insert_record(struct sqlite_conn *c, int64_t partition, const struct store_item *item,
                         struct held after)
{
    sqlite3_stmt *st = c->statements[SQL_INSERT];
    sqlite3_bind_int64(st, 1, partition);
    bind_text(st, 2, item->key);
    sqlite3_bind_int64(st, 3, (int64_t)after.version);
    bind_due(st, 4, item->due_at_ms);
    sqlite3_bind_int64(st, 5, after.count);
    bind_text(st, 6, item->meta);
    bind_blob(st, 7, item->body.bytes);
    return conn_run(c, SQL_INSERT);
}

static int update_record(struct sqlite_conn *c, int64_t id, const struct store_item *item,
                         struct held after)
{
    enum statement which = item->verb == STORE_ADD ? SQL_COUNT : SQL_UPDATE;
    sqlite3_stmt *st = c->statements[which];
    sqlite3_bind_int64(st, 1, id);
    sqlite3_bind_int64(st, 2, (int64_t)after.version);
    if (item->verb == STORE_ADD) {
        sqlite3_bind_int64(st, 3, after.count);
    } else {
        bind_due(st, 3, item->due_at_ms);
        sqlite3_bind_int64(st, 4, after.count);
        bind_text(st, 5, item->meta);
        bind_blob(st, 6, item->body.bytes);
    }
    return conn_run(c, which);
}

static int apply_item(struct sqlite_conn *c, int64_t partition, const struct store_item *item,
                      const struct found *found, struct held after)
{
    if (item->verb == STORE_DELETE) {
        if (!found->id)
            return SQLITE_OK;
        sqlite3_bind_int64(c->statements[SQL_DELETE], 1, found->id);
        return conn_run(c, SQL_DELETE);
    }
    return found->id ? update_record(c, found->id, item, after)
                     : insert_record(c, partition, item, after);
}

static int check_fence(struct sqlite_conn *c, int64_t partition, struct store_op *op)
{
    struct lease lease;
    int rc = find_lease(c, partition, op->fence_key, &lease);
    if (rc == SQLITE_OK)
        rule_fence(op, &lease);
    return rc;
}

static int do_commit(struct sqlite_store *s, struct sqlite_conn *c, struct store_op *op,
                     struct outcomes *out)
{
    struct found found[STORE_BATCH_ITEMS_MAX];
    struct held after[STORE_BATCH_ITEMS_MAX];
    int64_t partition = 0;
    int rc = find_open_partition(c, op, &partition);
    if (rc == SQLITE_OK && !op->code && op->fence_epoch)
        rc = check_fence(c, partition, op);
    for (uint32_t i = 0; rc == SQLITE_OK && !op->code && i < op->items_len; i++) {
        rc = find_record(c, partition, op->items[i].key, &found[i]);
        if (rc == SQLITE_OK)
            rule_item(op, i, found[i].held, &after[i]);
    }
    if (rc != SQLITE_OK || op->code)
        return rc;
    if (!partition)
        rc = make_partition(c, op->partition, &partition);
    for (uint32_t i = 0; rc == SQLITE_OK && i < op->items_len; i++) {
        rc = apply_item(c, partition, &op->items[i], &found[i], after[i]);
        out->all[out->len++] = (struct outcome){after[i].version, after[i].count};
    }
    return rc == SQLITE_OK && s->damaged ? sqlite_read_back(c, op) : rc;
}

static int delete_all(struct sqlite_conn *c, int64_t partition)
{
    // The last keeps the row of an erased partition: that it stands there is what closes it.
    static const enum statement all[] = {SQL_DROP_RECORDS, SQL_DROP_LEASES, SQL_DROP_PARTITION};
    int rc = SQLITE_OK;
    for (unsigned i = 0; rc == SQLITE_OK && i < sizeof all / sizeof *all; i++) {
        sqlite3_bind_int64(c->statements[all[i]], 1, partition);
        rc = conn_run(c, all[i]);
    }
    return rc;
}

static int do_drop(struct sqlite_conn *c, struct store_op *op)
{
    struct partition p;
    int rc = find_partition(c, op->partition, &p);
    return rc == SQLITE_OK && p.id ? delete_all(c, p.id) : rc;
}

// The ids of the records that a piece of an erasure takes; *full: it takes no more.
static int next_to_erase(struct sqlite_conn *c, int64_t partition,
                         int64_t ids[static ERASE_RECORDS_MAX], unsigned *len, bool *full)
{
    sqlite3_stmt *st = c->statements[SQL_ERASE_NEXT];
    int64_t bytes = 0;
    int rc = SQLITE_ROW;
    *len = 0;
    sqlite3_bind_int64(st, 1, partition);
    sqlite3_bind_int64(st, 2, ERASE_RECORDS_MAX);
    while (bytes < ERASE_BYTES_MAX && (rc = sqlite3_step(st)) == SQLITE_ROW) {
        ids[(*len)++] = sqlite3_column_int64(st, 0);
        bytes += sqlite3_column_int64(st, 1);
    }
    sqlite3_reset(st);
    *full = *len == ERASE_RECORDS_MAX || bytes >= ERASE_BYTES_MAX;
    return rc == SQLITE_ROW || rc == SQLITE_DONE ? SQLITE_OK : rc;
}

// Deletes a piece of what is left: records, then leases. *full: there may be more.
static int erase_piece(struct sqlite_conn *c, int64_t partition, bool *full)
{
    int64_t ids[ERASE_RECORDS_MAX];
    unsigned len = 0;
    int rc = next_to_erase(c, partition, ids, &len, full);
    for (unsigned i = 0; rc == SQLITE_OK && i < len; i++) {
        sqlite3_bind_int64(c->statements[SQL_DELETE], 1, ids[i]);
        rc = conn_run(c, SQL_DELETE);
        // An index that names what is not there would have us come for it for ever.
        if (rc == SQLITE_OK && sqlite3_changes(c->db) != 1)
            rc = SQLITE_CORRUPT;
    }
    if (rc != SQLITE_OK || *full)
        return rc;
    sqlite3_bind_int64(c->statements[SQL_ERASE_LEASES], 1, partition);
    sqlite3_bind_int64(c->statements[SQL_ERASE_LEASES], 2, ERASE_RECORDS_MAX);
    rc = conn_run(c, SQL_ERASE_LEASES);
    *full = sqlite3_changes(c->db) == ERASE_RECORDS_MAX;
    return rc;
}

// One piece: closed with the first, so that nothing is read or written there from then on, whoever
// erases the rest.
static int do_erase(struct sqlite_conn *c, struct store_op *op)
{
    struct partition p;
    bind_text(c->statements[SQL_PARTITION_CLOSE], 1, op->partition);
    int rc = conn_run(c, SQL_PARTITION_CLOSE);
    if (rc == SQLITE_OK)
        rc = find_partition(c, op->partition, &p);
    if (rc == SQLITE_OK)
        rc = erase_piece(c, p.id, &op->more);
    return rc;
}

static int read_epochs(struct sqlite_conn *c, uint64_t *epochs)
{
    sqlite3_stmt *st = c->statements[SQL_EPOCH];
    int rc = sqlite3_step(st);
    *epochs = rc == SQLITE_ROW ? (uint64_t)sqlite3_column_int64(st, 0) : 0;
    sqlite3_reset(st);
    return rc == SQLITE_ROW ? SQLITE_OK : rc == SQLITE_DONE ? SQLITE_CORRUPT : rc;
}

static int put_lease(struct sqlite_conn *c, int64_t partition, struct slice key,
                     const struct lease *lease)
{
    sqlite3_stmt *st = c->statements[SQL_LEASE_PUT];
    sqlite3_bind_int64(st, 1, partition);
    bind_text(st, 2, key);
    sqlite3_bind_int64(st, 3, (int64_t)lease->epoch);
    sqlite3_bind_int64(st, 4, lease->expires_at_ms);
    bind_text(st, 5, slice_str(lease->holder));
    return conn_run(c, SQL_LEASE_PUT);
}

static int do_lease(struct sqlite_store *s, struct sqlite_conn *c, struct store_op *op,
                    struct outcomes *out)
{
    int64_t partition = 0;
    uint64_t epochs = 0;
    struct lease lease = {0};
    int rc = find_open_partition(c, op, &partition);
    if (rc == SQLITE_OK)
        rc = find_lease(c, partition, op->key, &lease);
    if (rc == SQLITE_OK)
        rc = read_epochs(c, &epochs);
    if (rc != SQLITE_OK || op->code || rule_lease(op, &lease, clock_wall_ms(s->clock), epochs + 1))
        return rc;
    if (!partition)
        rc = make_partition(c, op->partition, &partition);
    if (rc == SQLITE_OK && lease.epoch > epochs) {
        sqlite3_bind_int64(c->statements[SQL_EPOCH_PUT], 1, (int64_t)lease.epoch);
        rc = conn_run(c, SQL_EPOCH_PUT);
    }
    if (rc == SQLITE_OK)
        rc = put_lease(c, partition, op->key, &lease);
    out->all[out->len++].version = op->holder.len ? lease.epoch : 0;
    return rc;
}

int sqlite_change(struct sqlite_store *s, struct sqlite_conn *c, struct store_op *op,
                  struct outcomes *out)
{
    switch (op->verb) {
    case STORE_COMMIT: return do_commit(s, c, op, out);
    case STORE_LEASE: return do_lease(s, c, op, out);
    case STORE_DROP: return do_drop(c, op);
    case STORE_ERASE: return do_erase(c, op);
    default: BUG("verb %d changes nothing", (int)op->verb);
    }
}
