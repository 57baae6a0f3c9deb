// SPDX-License-Identifier: MIT
// store_int.h: what the stores of this room share: limits, the rules of guards and leases, key
// ranges, result rows and completion. Pure but for the two that post and allocate; any thread.
#ifndef STORE_STORE_INT_H
#define STORE_STORE_INT_H

#include "store/store.h"

// --- completion -------------------------------------------------------------------------------

// Posts `done` to the op's loop with the code that op->code holds. The op is the caller's again
// afterwards: touch it no more.
void op_complete(struct store_op *op);
// Sets op->code and the message; returns code.
int op_fail(struct store_op *op, int code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
// The verbs that change something.
bool op_writes(const struct store_op *op);
// E_REFUSED with the same words in every store.
int op_refuse_read_only(struct store_op *op);
// E_ERASED, likewise.
int op_refuse_erased(struct store_op *op);

// --- rules ------------------------------------------------------------------------------------

// E_USAGE names the field, the limit and what was given.
int rule_limits(struct store_op *op);

// What is stored under an item's key: version 0 means absent.
struct held {
    uint64_t version;
    int64_t count;
};
// Whether the item's guard holds: E_OK, E_CONFLICT, or E_REFUSED (a counter would overflow). On
// success *after is what the record becomes (version 0: deleted).
int rule_item(struct store_op *op, uint32_t at, struct held before, struct held *after);

enum { LEASE_HOLDER_BYTES = 64 };  // with the NUL, as store_op.holder_now
struct lease {
    uint64_t epoch;          // 0: never held
    int64_t expires_at_ms;
    char holder[LEASE_HOLDER_BYTES];  // empty: free
};
// Applies a STORE_LEASE op to *lease. next_epoch is greater than any that the store ever gave out
// (so an epoch from before a drop stays stale); *lease holds it afterwards if it was used. Other
// than E_OK: *lease is unchanged, holder_now tells who has it. Does not touch op->epoch.
int rule_lease(struct store_op *op, struct lease *lease, int64_t now_ms, uint64_t next_epoch);
// A commit's fence. Expiry alone does not break it: an epoch is stale once somebody else has the
// lease or its holder released it.
int rule_fence(struct store_op *op, const struct lease *lease);

// The keys that a STORE_SCAN covers: lo <= key, and key < hi unless `open_end`.
struct key_range {
    char lo[RECORD_KEY_BYTES_MAX + 1], hi[RECORD_KEY_BYTES_MAX + 1];
    size_t lo_len, hi_len;
    bool open_end;
};
void rule_range(const struct store_op *op, struct key_range *range);

// --- result rows ------------------------------------------------------------------------------

// Copies a row into the op's results. False: out of memory (op->code is set), or enough bytes are
// there already (op->more is set): stop either way.
bool op_add_row(struct store_op *op, const struct record *row);

#endif
