// SPDX-License-Identifier: MIT
// tell.h: how a fact reads, where it is found by its words and where a model is told of it.
//
//   lives in Lyon                       a fact of the user
//   Anna: plays the cello               of somebody else
//   Earlier: lives in Lyon (not confirmed for 4 months; ask before relying on it)
//
// Data, not sentences: a predicate is read as its name has it. Pure; any thread.
#ifndef MEMORY_TELL_H
#define MEMORY_TELL_H

#include "model/fact.h"

// Appended to out, on one line.
void fact_tell(struct safe_buf *out, const struct fact_slot *slot, const struct fact *f);
// The same of one that is stale: a question. unconfirmed_ms: since it was confirmed last.
void fact_tell_stale(struct safe_buf *out, const struct fact_slot *slot, const struct fact *f,
                     int64_t unconfirmed_ms);

#endif
