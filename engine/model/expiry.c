// SPDX-License-Identifier: MIT
// expiry.c: see expiry.h. Sums that no clock can hold are never.
#include "model/expiry.h"

const struct expiry expiry_default = {
    .kind = EXPIRY_SLIDING,
    .soft_ms = EXPIRY_SOFT_DEFAULT_MS,
    .hard_ms = EXPIRY_HARD_DEFAULT_MS,
};

static int64_t at(const struct expiry *e, int64_t created_at_ms, int64_t last_active_at_ms,
                  int64_t after_ms)
{
    int64_t from_ms = e->kind == EXPIRY_FIXED ? created_at_ms : last_active_at_ms;
    int64_t sum;

    if (after_ms <= 0 || __builtin_add_overflow(from_ms, after_ms, &sum))
        return 0;
    return sum > 0 ? sum : 1;
}

int64_t expiry_soft_at(const struct expiry *e, int64_t created_at_ms, int64_t last_active_at_ms)
{
    return at(e, created_at_ms, last_active_at_ms, e->soft_ms);
}

int64_t expiry_hard_at(const struct expiry *e, int64_t created_at_ms, int64_t last_active_at_ms)
{
    return at(e, created_at_ms, last_active_at_ms, e->hard_ms);
}
