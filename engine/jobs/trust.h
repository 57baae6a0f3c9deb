// SPDX-License-Identifier: MIT
// trust.h: the time that is known to have passed. Pure but for the record's digest; any thread.
//
// Deleting by a clock that jumps would delete early. So jobs that destroy go by a time of their
// own, kept in a record of the house and moved on by what cannot jump:
//
//   the same boot of the same machine   by as much as the machine has been up since, with its sleep
//   another boot, or another machine    to the clock's time, less what it was known to be ahead, if
//                                       that is TRUST_LEAP_MS at most; else not at all, until so
//                                       much time has passed in truth, or an operator says that
//                                       the clock is right
//
// It never goes back. So within one boot no jump moves it, whichever way and how far. What cannot
// be told from time that a machine was off is a clock that is wrong by less than TRUST_LEAP_MS when
// it comes up.
#ifndef JOBS_TRUST_H
#define JOBS_TRUST_H

#include "base/clock.h"
#include "model/record.h"
#include "vault/vault.h"

#define TRUST_LEAP_MS ((int64_t)7 * 24 * 3600 * 1000)

struct trust {
    int64_t trusted_ms;               // Unix time, as far as it is known; 0: nothing is yet
    int64_t ahead_ms;                 // by which the clock was ahead of it, and not believed; or 0
    int64_t boot_ms;                  // how long the machine had been up then …
    char boot_id[CLOCK_BOOT_ID_BYTES];  // … in this boot
};
// Moves it on to now. Returns by how many ms the clock is ahead of it and not believed; 0: it is.
// A clock that is behind is not believed either: jobs go by the earlier of the two.
int64_t trust_advance(struct trust *t, int64_t wall_ms, int64_t boot_ms, const char *boot_id);
// An operator says that the clock is right.
void trust_clock(struct trust *t, int64_t wall_ms);

// Meta of the house's record `clock`: {"trusted":ms,"ahead":ms,"boot":ms,"boot_id":"…","sum":"…"},
// with a keyed digest, so that no changed number is believed. Appended to out, which is empty.
void trust_write(const struct vault *v, const struct trust *t, struct buf *out);
// E_CORRUPT: it is not what was written there; *t then knows nothing. E_NOMEM.
int trust_read(const struct vault *v, const struct record *r, struct trust *t, struct err *err);

#endif
