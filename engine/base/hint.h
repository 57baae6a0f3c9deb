// SPDX-License-Identifier: MIT
// hint.h: "did you mean …?" for unknown keys, flags, commands, bots and providers.
#ifndef BASE_HINT_H
#define BASE_HINT_H

#include "base/slice.h"
#include <stddef.h>

// Edit distance with transpositions (optimal string alignment) between a and b, both cut at 64 bytes.
unsigned hint_distance(struct slice a, struct slice b);
// The nearest of n names to `word` if it is near enough to be meant (distance <= 1 + len/4, or one
// begins with the other and 3 bytes agree), else NULL.
const char *hint_nearest(struct slice word, const char *const *names, size_t n);

#endif
