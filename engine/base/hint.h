// SPDX-License-Identifier: MIT
// hint.h: "did you mean …?" for unknown keys, flags, commands, bots and providers.
//
// A name is near enough to be meant when its distance from the word is at most 1 + len/4 (len: the
// word's) and not everything differs, or when one begins with the other and 3 bytes agree. Of
// several near names the nearest is the hint, of equally near ones the first offered.
#ifndef BASE_HINT_H
#define BASE_HINT_H

#include "base/slice.h"
#include <stdbool.h>
#include <stddef.h>

// Edit distance with transpositions (optimal string alignment) between a and b, cut at 64 bytes.
unsigned hint_distance(struct slice a, struct slice b);
// The nearest of n names to `word` if it is near enough to be meant, else NULL.
const char *hint_nearest(struct slice word, const char *const *names, size_t n);

// The same, name by name. Starts as {.word = …}; best.ptr is NULL while nothing near was offered.
// Borrows word and names.
struct hint {
    struct slice word, best;
    unsigned distance;
};
void hint_offer(struct hint *h, struct slice name);

// Where nothing is near: "a, b, c", each name once, and " …" where there is no room for more.
// Starts as {0}.
enum { HINT_LIST_BYTES = 200 };
struct hint_list {
    char text[HINT_LIST_BYTES];
    bool full;
};
void hint_list_add(struct hint_list *list, struct slice name);

#endif
