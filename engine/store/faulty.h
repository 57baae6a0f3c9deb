// SPDX-License-Identifier: MIT
// faulty.h: what tests ask of a faulty store beyond store.h.
#ifndef STORE_FAULTY_H
#define STORE_FAULTY_H

#include "store/store.h"

// How many ops that could fail (by the `verb` option) were submitted. BUG if s is no faulty store.
uint64_t store_faulty_seen(const struct store *s);

#endif
