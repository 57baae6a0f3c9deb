// SPDX-License-Identifier: MIT
// prefilter.h: the places of a text where a recogniser can find something: those that have the
// anchor that its matches must have (redact/recognise.h). All other bytes are looked at 64 at a
// time. Pure; any thread.
#ifndef REDACT_PREFILTER_H
#define REDACT_PREFILTER_H

#include "base/slice.h"
#include "redact/classify.h"
#include "redact/recognise.h"

// Told of a place and which anchors (enum redact_anchor, a bit each) were seen: of every place that
// has one, of some that have none, once each and in order.
typedef void place_fn(void *user, size_t at, unsigned anchors);

// digits_min: how many make ANCHOR_DIGITS, six or fewer.
void prefilter(enum classify_level level, struct slice text, unsigned digits_min, place_fn *tell,
               void *user);

#endif
