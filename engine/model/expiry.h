// SPDX-License-Identifier: MIT
// expiry.h: when a session grows old, as pure functions of time and of the rules in its head. Any
// thread.
//
//   active ──soft──▶ soft_expired ──hard──▶ hard_expired ──sweep──▶ archived ──purge──▶ archived,
//     ▲                                                                │            without turns
//     └────────────────────── a message that goes on ──────────────────┘
//
// Statuses but `archived` are not stored: they follow from the head and the time it is. `purge`
// counts from the moment when a sweep archived the session, in time that the sweep knows to have
// passed (jobs/trust.h), so that no clock that jumps deletes anything early.
#ifndef MODEL_EXPIRY_H
#define MODEL_EXPIRY_H

#include <stdint.h>

enum expiry_kind {
    EXPIRY_SLIDING,  // counts from the last activity
    EXPIRY_FIXED,    // counts from the beginning of the session
};

// What a policy says; 0: never.
struct expiry {
    enum expiry_kind kind;
    int64_t soft_ms, hard_ms;
    int64_t purge_ms;  // after it was archived
};
enum { EXPIRY_SOFT_DEFAULT_MS = 30 * 60 * 1000, EXPIRY_HARD_DEFAULT_MS = 2 * 3600 * 1000 };
#define EXPIRY_PURGE_DEFAULT_MS ((int64_t)30 * 24 * 3600 * 1000)
#define EXPIRY_MS_MAX ((int64_t)100 * 366 * 24 * 3600 * 1000)
// Of a policy that says nothing: sliding, 30 minutes, 2 hours, and nothing is deleted.
extern const struct expiry expiry_default;

// When it happens, in Unix time; 0: never.
int64_t expiry_soft_at(const struct expiry *e, int64_t created_at_ms, int64_t last_active_at_ms);
int64_t expiry_hard_at(const struct expiry *e, int64_t created_at_ms, int64_t last_active_at_ms);

#endif
