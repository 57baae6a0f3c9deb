// SPDX-License-Identifier: MIT
// constraints.h: what a user asked to be kept in mind, word for word, as long as the session lives.
//
// Kept in the session's head and sealed with it. A list belongs to one head.
#ifndef MODEL_CONSTRAINTS_H
#define MODEL_CONSTRAINTS_H

#include "base/err.h"
#include "model/safe_text.h"
#include <stdbool.h>
#include <stdint.h>

enum { CONSTRAINTS_MAX = 16, CONSTRAINT_BYTES_MAX = 1 << 10, CONSTRAINTS_BYTES_MAX = 4 << 10 };

struct json;
struct json_writer;

struct constraint {
    uint32_t n;      // its number in the session, never another's while that one is there
    uint32_t since;  // the newest turn when it was stated; 0: before the first
    size_t at, len;  // its text, in the list's
};

struct constraints {
    struct constraint list[CONSTRAINTS_MAX];  // in the order in which they were stated
    uint32_t len;
    struct safe_buf text;                     // owned
};

int constraints_new(struct constraints **out, struct err *err);
void constraints_free(struct constraints *c);  // NULL allowed
// NULL copies to NULL.
int constraints_copy(struct constraints **out, const struct constraints *c, struct err *err);
struct safe_text constraints_text(const struct constraints *c, uint32_t i);
// Copies text. E_USAGE: it is empty or too long; E_REFUSED: too many, or too long together.
int constraints_add(struct constraints *c, struct safe_text text, uint32_t since, struct err *err);
// E_NOT_FOUND: none has this number.
int constraints_remove(struct constraints *c, uint32_t n, struct err *err);
// Tells apart those that were stated before turn `turn`; 0 when there are none. c may be NULL.
uint64_t constraints_hash(const struct constraints *c, uint32_t turn);

// An array value: [[n,since,"text"],…].
void constraints_write(const struct constraints *c, struct json_writer *w);
// E_CORRUPT, E_NOMEM; then *out is NULL.
int constraints_read(struct constraints **out, struct json array, struct err *err);

#endif
