// SPDX-License-Identifier: MIT
// book_int.h: what the files of books share: book.c (who asks, who changes) and book_value.c.
#ifndef TURN_BOOK_INT_H
#define TURN_BOOK_INT_H

#include "turn/book.h"

enum { BOOK_DAMAGE_BYTES_MAX = 128 << 10 };

// Without facts; the caller's. NULL: E_NOMEM.
struct book *book_make(struct err *err);
// One that can be changed: it shares what it does not change.
int book_copy(struct book **out, const struct book *from, struct err *err);
bool book_same_manifest(const struct book *a, const struct book *b);
size_t book_bytes(const struct book *b);  // about how much memory it holds

#endif
