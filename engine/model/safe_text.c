// SPDX-License-Identifier: MIT
// safe_text.c: the parts of safe text that are more than a type.
//
// Invariant: nothing gets into a safe_buf here that was not safe text before.
// A safe_buf is owned by one thread at a time.
#include "model/safe_text.h"

struct safe_text safe_text_part(struct safe_text t, size_t start, size_t len)
{
    BUG_ON(start > t.len || len > t.len - start);
    return (struct safe_text){t.ptr ? t.ptr + start : NULL, len};
}

void safe_buf_init(struct safe_buf *b, size_t max_bytes)
{
    buf_init(&b->inner, max_bytes);
}

void safe_buf_release(struct safe_buf *b)
{
    buf_release(&b->inner);
}

void safe_buf_clear(struct safe_buf *b)
{
    buf_clear(&b->inner);
}

void safe_buf_add(struct safe_buf *b, struct safe_text t)
{
    buf_add(&b->inner, t.ptr, t.len);
}

int safe_buf_check(const struct safe_buf *b, const char *what, struct err *err)
{
    return buf_check(&b->inner, what, err);
}
