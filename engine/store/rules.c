// SPDX-License-Identifier: MIT
// rules.c: what is the same for every store: limits, guards, leases, key ranges.
//
// Pure functions over an op and what is stored; no store decides these things by itself.
#include "store/store_int.h"

#include <inttypes.h>
#include <stdio.h>

bool op_writes(const struct store_op *op)
{
    return op->verb == STORE_COMMIT || op->verb == STORE_DROP || op->verb == STORE_ERASE ||
           op->verb == STORE_LEASE;
}

int op_refuse_read_only(struct store_op *op)
{
    return op_fail(op, E_REFUSED, "the store is open read-only: open it for writing to change it");
}

int op_refuse_erased(struct store_op *op)
{
    return op_fail(op, E_ERASED, "erased: what was kept here was deleted for good, and nothing is "
                   "added to it");
}

static int check_len(struct store_op *op, const char *what, struct slice s, size_t min, size_t max)
{
    if (s.len >= min && s.len <= max)
        return E_OK;
    if (s.len < min)
        return op_fail(op, E_USAGE, "store: %s is empty", what);
    return op_fail(op, E_USAGE, "store: %s of %zu bytes (at most %zu)", what, s.len, max);
}

static int check_partition(struct store_op *op)
{
    return check_len(op, "partition", op->partition, 1, STORE_PARTITION_BYTES_MAX);
}

static int check_limit(struct store_op *op)
{
    if (op->limit >= 1 && op->limit <= STORE_SCAN_LIMIT_MAX)
        return E_OK;
    return op_fail(op, E_USAGE, "store: limit %" PRIu32 " (1 to %d)", op->limit,
                   STORE_SCAN_LIMIT_MAX);
}

static int check_item(struct store_op *op, uint32_t at)
{
    const struct store_item *item = &op->items[at];
    int code = check_len(op, "key", item->key, 1, RECORD_KEY_BYTES_MAX);
    if (!code)
        code = check_len(op, "meta", item->meta, 0, RECORD_META_BYTES_MAX);
    if (!code)
        code = check_len(op, "body", item->body.bytes, 0, RECORD_BODY_BYTES_MAX);
    if (!code && item->due_at_ms < 0)
        code = op_fail(op, E_USAGE, "store: due_at_ms %" PRId64 " is negative", item->due_at_ms);
    // Not every store can change a record twice in one transaction.
    for (uint32_t i = 0; !code && i < at; i++)
        if (slice_eq(op->items[i].key, item->key))
            code = op_fail(op, E_USAGE, "store: items %" PRIu32 " and %" PRIu32
                           " of a batch name the same key", i, at);
    if (code)
        op->failed_item = at;
    return code;
}

static int check_batch(struct store_op *op)
{
    if (op->items_len < 1 || op->items_len > STORE_BATCH_ITEMS_MAX)
        return op_fail(op, E_USAGE, "store: a batch of %" PRIu32 " items (1 to %d)", op->items_len,
                       STORE_BATCH_ITEMS_MAX);
    size_t bytes = 0;
    for (uint32_t i = 0; i < op->items_len; i++) {
        int code = check_item(op, i);
        if (code)
            return code;
        const struct store_item *item = &op->items[i];
        bytes += item->key.len + item->meta.len + item->body.bytes.len;
    }
    if (bytes > STORE_BATCH_BYTES_MAX)
        return op_fail(op, E_USAGE, "store: a batch of %zu bytes (at most %d)", bytes,
                       STORE_BATCH_BYTES_MAX);
    if (op->fence_epoch)
        return check_len(op, "fence_key", op->fence_key, 1, RECORD_KEY_BYTES_MAX);
    return E_OK;
}

static int check_lease(struct store_op *op)
{
    int code = check_len(op, "key", op->key, 1, RECORD_KEY_BYTES_MAX);
    if (!code)
        code = check_len(op, "holder", op->holder, 0, LEASE_HOLDER_BYTES - 1);
    if (code)
        return code;
    if (op->holder.len && memchr(op->holder.ptr, 0, op->holder.len))
        return op_fail(op, E_USAGE, "store: a lease's holder has a NUL in it");
    if (op->holder.len && op->ttl_ms <= 0)
        return op_fail(op, E_USAGE, "store: a lease of %" PRId64 " ms (at least 1)", op->ttl_ms);
    if (!op->holder.len && op->epoch == 0)
        return op_fail(op, E_USAGE, "store: releasing a lease needs the epoch that is held");
    return E_OK;
}

int rule_limits(struct store_op *op)
{
    int code = E_OK;
    switch (op->verb) {
    case STORE_GET:
        code = check_partition(op);
        return code ? code : check_len(op, "key", op->key, 1, RECORD_KEY_BYTES_MAX);
    case STORE_SCAN:
        code = check_partition(op);
        if (!code)
            code = check_len(op, "key", op->key, 0, RECORD_KEY_BYTES_MAX);
        if (!code)
            code = check_len(op, "after", op->after, 0, RECORD_KEY_BYTES_MAX);
        return code ? code : check_limit(op);
    case STORE_DUE:
        code = check_len(op, "partition", op->partition, op->after.len ? 1 : 0,
                         STORE_PARTITION_BYTES_MAX);
        if (!code)
            code = check_len(op, "after", op->after, 0, RECORD_KEY_BYTES_MAX);
        return code ? code : check_limit(op);
    case STORE_PARTITIONS:
        code = check_len(op, "after", op->after, 0, STORE_PARTITION_BYTES_MAX);
        return code ? code : check_limit(op);
    case STORE_COMMIT:
        code = check_partition(op);
        return code ? code : check_batch(op);
    case STORE_DROP:
    case STORE_ERASE:
        return check_partition(op);
    case STORE_LEASE:
        code = check_partition(op);
        return code ? code : check_lease(op);
    case STORE_CLAIM_ALIVE:
        return check_len(op, "claim", op->key, 1, RECORD_KEY_BYTES_MAX);
    case STORE_CHECK:
        return check_limit(op);
    }
    return op_fail(op, E_USAGE, "store: unknown verb %d", (int)op->verb);
}

static int conflict(struct store_op *op, uint32_t at, const char *expected, uint64_t version)
{
    const struct store_item *item = &op->items[at];
    op->failed_item = at;
    if (version == 0)
        return op_fail(op, E_CONFLICT, "%.*s: expected %s, but it is absent: read again",
                       SLICE_FMT(item->key), expected);
    return op_fail(op, E_CONFLICT, "%.*s: expected %s, but it is at version %" PRIu64
                   ": read again", SLICE_FMT(item->key), expected, version);
}

int rule_item(struct store_op *op, uint32_t at, struct held before, struct held *after)
{
    const struct store_item *item = &op->items[at];
    *after = (struct held){before.version + 1, item->verb == STORE_PUT ? item->count : 0};
    switch (item->verb) {
    case STORE_INSERT:
        return before.version ? conflict(op, at, "no record", before.version) : E_OK;
    case STORE_DELETE:
        after->version = 0;
        __attribute__((fallthrough));
    case STORE_PUT:
        if (item->version && item->version != before.version) {
            char expected[40];
            snprintf(expected, sizeof expected, "version %" PRIu64, item->version);
            return conflict(op, at, expected, before.version);
        }
        return E_OK;
    case STORE_ADD:
        if (!__builtin_add_overflow(before.count, item->count, &after->count))
            return E_OK;
        op->failed_item = at;
        return op_fail(op, E_REFUSED, "%.*s: the counter would overflow", SLICE_FMT(item->key));
    }
    op->failed_item = at;
    return op_fail(op, E_USAGE, "store: unknown item verb %d", (int)item->verb);
}

int rule_lease(struct store_op *op, struct lease *lease, int64_t now_ms, uint64_t next_epoch)
{
    bool release = op->holder.len == 0;
    bool by_force = op->epoch == UINT64_MAX;
    bool is_free = !lease->holder[0] || lease->expires_at_ms <= now_ms;
    memcpy(op->holder_now, lease->holder, sizeof lease->holder);
    if (op->epoch == 0 && !is_free)
        return op_fail(op, E_REFUSED, "%.*s: held by %s", SLICE_FMT(op->key), lease->holder);
    if (op->epoch != 0 && !by_force && (op->epoch != lease->epoch || !lease->holder[0]))
        return op_fail(op, E_FENCED, "%.*s: epoch %" PRIu64 " is over: %s%s", SLICE_FMT(op->key),
                       op->epoch, lease->holder[0] ? "now held by " : "it was released",
                       lease->holder);
    op->holder_now[0] = 0;
    if (release) {
        lease->holder[0] = 0;
        lease->expires_at_ms = 0;
        return E_OK;
    }
    if (op->epoch == 0 || by_force)
        lease->epoch = next_epoch;
    memcpy(lease->holder, op->holder.ptr, op->holder.len);
    lease->holder[op->holder.len] = 0;
    if (__builtin_add_overflow(now_ms, op->ttl_ms, &lease->expires_at_ms))
        lease->expires_at_ms = INT64_MAX;
    return E_OK;
}

int rule_fence(struct store_op *op, const struct lease *lease)
{
    if (lease->holder[0] && lease->epoch == op->fence_epoch)
        return E_OK;
    return op_fail(op, E_FENCED, "%.*s: epoch %" PRIu64 " is over: somebody else owns this now",
                   SLICE_FMT(op->fence_key), op->fence_epoch);
}

void rule_range(const struct store_op *op, struct key_range *range)
{
    struct slice prefix = op->key, after = op->after;
    memset(range, 0, sizeof *range);
    range->lo_len = prefix.len;
    range->hi_len = prefix.len;
    if (prefix.len) {
        memcpy(range->lo, prefix.ptr, prefix.len);
        memcpy(range->hi, prefix.ptr, prefix.len);
    }
    // The first key after all that begin with the prefix: its last byte that can grow, grown.
    while (range->hi_len && (unsigned char)range->hi[range->hi_len - 1] == 0xff)
        range->hi_len--;
    range->open_end = range->hi_len == 0;
    if (!range->open_end)
        range->hi[range->hi_len - 1] = (char)((unsigned char)range->hi[range->hi_len - 1] + 1);
    if (!after.len)
        return;
    struct slice hi = {range->hi, range->hi_len};
    if (op->backwards && (range->open_end || slice_cmp(after, hi) < 0)) {
        memcpy(range->hi, after.ptr, after.len);
        range->hi_len = after.len;
        range->open_end = false;
    } else if (!op->backwards && slice_cmp(after, prefix) >= 0) {
        // The next key in bytewise order is the same with a NUL at its end.
        memcpy(range->lo, after.ptr, after.len);
        range->lo[after.len] = 0;
        range->lo_len = after.len + 1;
    }
}
