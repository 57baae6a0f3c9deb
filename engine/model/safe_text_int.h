// SPDX-License-Identifier: MIT
// safe_text_int.h: the maker of safe text. Only model/, vault/ and redact/ may include this file.
#ifndef MODEL_SAFE_TEXT_INT_H
#define MODEL_SAFE_TEXT_INT_H

#include "model/safe_text.h"

// The caller vouches that s was redacted (redact/) or was stored as safe text (vault/, model/).
static inline struct safe_text safe_text_vouch(struct slice s)
{
    return (struct safe_text){s.ptr, s.len};
}
// For encoders that build a record body out of safe parts.
static inline struct buf *safe_buf_bytes(struct safe_buf *b)
{
    return &b->inner;
}

#endif
