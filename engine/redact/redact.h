// SPDX-License-Identifier: MIT
// redact.h: the only maker of safe text out of what people, models and tools say.
//
// A redactor is a set of rules, shared and read-only once made. Today's rule set is the identity:
// it checks that text is valid UTF-8 without NUL, and passes it on. What it will mask, it masks
// here, before the first write and before the wire; every caller stands on this contract already.
#ifndef REDACT_REDACT_H
#define REDACT_REDACT_H

#include "base/err.h"
#include "model/message.h"
#include "model/safe_text.h"
#include "redact/scan.h"

// Appends the safe form of text to out. E_USAGE: not valid UTF-8 or a NUL (names the byte offset).
int redact_text(const struct redactor *r, struct slice text, struct safe_buf *out, struct err *err);

// Text that comes in pieces, cut anywhere, even inside a character. What may still become part of a
// match (or of a character) is held back until the next piece or the end.
struct redact_stream {
    const struct redactor *redactor;  // borrowed
    char hold[8];                     // an unfinished character
    size_t hold_len;
};
void redact_stream_init(struct redact_stream *s, const struct redactor *r);
// Appends what is certain to out. Invalid bytes and NULs from a provider become U+FFFD: a reply is
// never refused for them, and what is stored stays valid.
void redact_stream_feed(struct redact_stream *s, struct slice piece, struct safe_buf *out);
void redact_stream_end(struct redact_stream *s, struct safe_buf *out);  // and is as new

#endif
