// SPDX-License-Identifier: MIT
// id.h: UUID version 4 in its usual text form. A public name, never a credential.
#ifndef BASE_ID_H
#define BASE_ID_H

#include "base/rand.h"
#include "base/slice.h"
#include <stdbool.h>

enum { ID_TEXT_BYTES = 37, ID_PREFIX_MIN = 4 };  // 36 and a NUL

void id_new(const struct rand *r, char out[ID_TEXT_BYTES]);
// True for exactly the lower-case canonical form of a version 4, variant 1 UUID.
bool id_valid(struct slice text);
// Whether ids may begin so: with ID_PREFIX_MIN characters at least, and perhaps with all of them.
bool id_begins(struct slice text);

// Bytes to lower-case hex; out has room for 2 * bytes + 1.
void hex_encode(const void *bytes, size_t len, char *out);
// False unless text is exactly 2 * len hex digits.
bool hex_decode(struct slice text, void *out, size_t len);

#endif
