// SPDX-License-Identifier: MIT
// meta_int.h: reading the meta of stored records. Private to model/.
//
// A reader takes the members of one JSON object, each with its type and range; the first member
// that is wrong is remembered (E_CORRUPT, naming it) and everything after is a no-op, so that code
// reads freely and checks once, at meta_close. Unknown members are nobody's business. One thread.
#ifndef MODEL_META_INT_H
#define MODEL_META_INT_H

#include "base/err.h"
#include "base/json.h"

struct meta {
    struct json_doc doc;  // owned
    struct json root;
    struct json_iter at;  // just after the member found last
    const char *what;     // "turn": for messages
    struct err *err;      // borrowed, may be NULL
    int code;             // of the first failure
};

// text is borrowed until meta_close, which must be called whatever this returns.
int meta_open(struct meta *m, struct slice text, const char *what, struct err *err);
int meta_close(struct meta *m);  // returns the first failure or 0

void meta_fail(struct meta *m, const char *key);  // as if `key` had been read and was wrong
bool meta_has(struct meta *m, const char *key);
// A required integer from min to max; min when it fails. min is more than INT64_MIN.
int64_t meta_i64(struct meta *m, const char *key, int64_t min, int64_t max);
// Absent gives the fallback; wrong is still wrong.
int64_t meta_i64_or(struct meta *m, const char *key, int64_t min, int64_t max, int64_t fallback);
// A string without NUL of less than size bytes. Absent gives "" unless it is required.
void meta_chars(struct meta *m, const char *key, bool required, char *out, size_t size);
// A required string that is one of words; its index, 0 when it fails.
unsigned meta_word(struct meta *m, const char *key, const char *const *words, unsigned n);

// The index of text in words, or -1.
int word_index(const char *const *words, unsigned n, struct slice text);

#endif
