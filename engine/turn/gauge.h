// SPDX-License-Identifier: MIT
// gauge.h: how many tokens a request has for its provider, as far as can be known before it is
// sent.
//
// Messages are counted once, when they are stored; these counts add up to our estimate of a
// request. What becomes of it:
//
//   from an anchor: a request of this session that this one begins with, and of which the provider
//         said how many tokens it had (usage, or its count endpoint); of what came since, as below,
//         with GAUGE_MORE_PERCENT where it is to hold: a few messages vary more than many do
//   else: all of it by the calibration of provider and model (tokens/calibration.h), which all
//         sessions share and the store keeps (ledger/house.h)
//   an exact vocabulary needs neither: our sum is the provider's
//
// A worker has a gauge per provider and model. It is read from the store once, beside the commit
// that accepts the first message, and written now and then (GAUGE_OBSERVATIONS, GAUGE_WRITE_MS) and
// when the worker is drained; two processes' observations add up. Without the record, or with a
// damaged one, the prior holds. A process that is killed takes what it has not written with it.
//
// No user weighs more than others: an observation counts for less the more of the last
// GAUGE_USERS ones were of the same user, so that it is users that are counted, about, and not
// requests. Whose texts are odd moves nothing for the others then, unless there are fewer than
// fifty: that is what the upper quantile leaves out. Kept are numbers only.
#ifndef TURN_GAUGE_H
#define TURN_GAUGE_H

#include "tokens/calibration.h"
#include "turn/turn_int.h"

enum {
    GAUGES_MAX = 256,
    GAUGE_USERS = 256,
    GAUGE_OBSERVATIONS = 32,        // that are written at once
    GAUGE_WRITE_MS = 60 * 1000,
    GAUGE_MORE_PERCENT = 10,        // `make bench`, bench_calibration, shows what it holds
    GAUGE_TRIES_MAX = 5,            // writes that other processes were faster than
    GAUGE_TOOK_MS = 3600 * 1000,    // how long a server's cut is remembered: it may be set up anew
};

enum gauge_state { GAUGE_LOADING, GAUGE_READY, GAUGE_WRITING };

struct gauge {
    struct worker *w;
    char key[RECORD_KEY_BYTES_MAX + 1];
    enum gauge_state state;
    bool lost;                      // the store cannot take it: not tried again
    struct calibration all, fresh;  // what is known; what of it is not stored yet
    struct calibration writing;     // what is being stored
    uint64_t version;               // of the record; 0: there is none
    unsigned tries;
    int64_t written_at_ms;          // mono
    struct run *line;               // who waits for it to be read
    uint64_t users[GAUGE_USERS];    // who was observed last, hashes; a ring
    unsigned users_len, users_at;
    unsigned users_told;            // different ones among them
    struct store_op op;
    struct store_item item;
    struct buf meta;
};

// The gauge of run's provider and model, being read if it is new. run->gauge stays NULL where there
// is none: the scripted provider's tokens are ours.
void gauge_attach(struct run *run);
// Calls `then` once the gauge is read, now or later. run->caps then knows what a server takes.
void gauge_wait(struct run *run, void (*then)(struct run *run));
bool gauges_busy(struct worker *w);   // while draining: writes what is not written
void gauges_free(struct worker *w);

// What a request of `estimated` tokens has: as likely more as less; at most, as good as always.
// `anchor` is what it begins with, NULL: nothing that is known.
uint64_t gauge_likely(const struct run *run, const struct anchor *anchor, uint64_t estimated);
uint64_t gauge_most(const struct run *run, const struct anchor *anchor, uint64_t estimated);
// The largest estimate that fits `tokens`: as good as always where run is careful, else likely.
uint64_t gauge_room(const struct run *run, const struct anchor *anchor, uint64_t tokens);

// What the provider says that run's request had.
void gauge_observe(struct run *run, uint64_t tokens);

#endif
