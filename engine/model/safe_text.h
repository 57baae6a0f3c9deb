// SPDX-License-Identifier: MIT
// safe_text.h: text that may leave (to disk or to the wire).
//
// A `struct safe_text` is made by redaction, by decoding a stored record, or from a literal of
// ours, and by nothing else: records and provider requests take safe text only, so the compiler
// guards both ways out. The maker for other text (safe_text_vouch) is in safe_text_int.h, which
// only model/, vault/ and redact/ may include; tests/tidy holds that.
//
// safe_text borrows, like a slice. safe_buf owns, and grows only by safe text.
#ifndef MODEL_SAFE_TEXT_H
#define MODEL_SAFE_TEXT_H

#include "base/buf.h"
#include "base/slice.h"

struct safe_text {
    const char *ptr;  // valid UTF-8; may be NULL when len is 0
    size_t len;       // bytes
};

#define SAFE_NONE ((struct safe_text){NULL, 0})
// A string literal: our own words hold nobody's data. Refuses anything else at compile time.
#define SAFE_LIT(s) ((struct safe_text){("" s), sizeof(s) - 1})

// Reading is free: safe text may go anywhere.
static inline struct slice safe_slice(struct safe_text t)
{
    return (struct slice){t.ptr, t.len};
}
// A part of safe text is safe. BUG when out of range.
struct safe_text safe_text_part(struct safe_text t, size_t start, size_t len);

struct safe_buf {
    struct buf inner;  // private to model/
};
void safe_buf_init(struct safe_buf *b, size_t max_bytes);
void safe_buf_release(struct safe_buf *b);
void safe_buf_clear(struct safe_buf *b);
void safe_buf_add(struct safe_buf *b, struct safe_text t);
int safe_buf_check(const struct safe_buf *b, const char *what, struct err *err);
static inline struct safe_text safe_buf_text(const struct safe_buf *b)
{
    return (struct safe_text){b->inner.ptr, b->inner.len};
}

#endif
