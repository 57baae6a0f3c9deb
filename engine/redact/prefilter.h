// SPDX-License-Identifier: MIT
// prefilter.h: the places of a text where a recogniser can find something: those that have the
// anchor that its matches must have (redact/recognise.h). All other bytes are looked at 64 at a
// time. Pure; any thread.
#ifndef REDACT_PREFILTER_H
#define REDACT_PREFILTER_H

#include "base/slice.h"
#include "redact/classify.h"
#include "redact/recognise.h"

struct place {
    size_t at;
    unsigned anchors;  // enum redact_anchor, a bit each: those that were seen
    uint64_t digits;   // which of the 64 bytes from there on are digits
};

// Told of every place that has an anchor, and of some that have none, once each and in order.
typedef void place_fn(void *user, const struct place *place);

// digits_min: how many make ANCHOR_DIGITS, six or fewer.
void prefilter(enum classify_level level, struct slice text, unsigned digits_min, place_fn *tell,
               void *user);

#endif
