// SPDX-License-Identifier: MIT
// alike.h: when two values say the same. No I/O; any thread.
#ifndef MEMORY_ALIKE_H
#define MEMORY_ALIKE_H

#include "base/buf.h"
#include "base/err.h"
#include "base/slice.h"
#include <stdbool.h>

// The normal form of a value, appended: characters folded as Unicode has it (compatibility forms,
// case, what nobody sees), white space in a row one blank, without quotes around it and stops
// behind it. What has the same one is the same value. E_NOMEM.
int alike_normal(struct slice value, struct buf *out, struct err *err);

// Whether two values are nearly the same: the same stems (memory/terms.h) in the same order, but
// for light words ("in Berlin", "Berlin"); or, from three stems on, one has a word more in four,
// which is no number and denies nothing. Signs that tell names apart ("C", "C++") must agree, and
// single words with a capital each ("Ann", "Anne") be the same.
// Symmetric. E_NOMEM.
int alike_near(struct slice a, struct slice b, bool *near, struct err *err);

#endif
