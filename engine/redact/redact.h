// SPDX-License-Identifier: MIT
// redact.h: the only maker of safe text out of what people, models and tools say.
//
// What a redactor's rules find is masked with the numbers of a mask book (mask.h). Numbers that the
// book gives out meanwhile wait: text that has them may go nowhere until they are durable
// (ledger/masks.h), or are dropped and the text is redacted again.
#ifndef REDACT_REDACT_H
#define REDACT_REDACT_H

#include "base/err.h"
#include "model/message.h"
#include "model/safe_text.h"
#include "redact/mask.h"
#include "redact/scan.h"

// People's text knows no masks: what looks like one is escaped. Models and policies see masks and
// speak of them: those that exist stay, and so does what is escaped already.
enum redact_from { REDACT_PEOPLE, REDACT_MODEL };

struct redact_how {
    const struct redactor *redactor;  // borrowed; NULL: redaction is off, text is only checked
    struct mask_book *book;           // borrowed; NULL only without a redactor
    const char *bot;                  // whom it is said to, or who says it; borrowed; NULL: none
    enum redact_from from;
    bool known_only;                  // no new numbers: other values get the number 0
    // The text may speak of the first `known` masks of the book, and of those that it brings up
    // itself; unless bounded, of all that there are when it begins.
    bool bounded;
    uint32_t known;
    // A stream stops in front of a mask that it may not speak of, and asks for the book to be read
    // again (redact_stream_answered). Whole text does not.
    bool asks;
};

// Appends the safe form of text to out. E_USAGE: not valid UTF-8 or a NUL (names the byte offset).
int redact_text(const struct redact_how *how, struct slice text, struct safe_buf *out,
                struct err *err);
// The same of bytes from a provider: invalid ones and NULs become U+FFFD. E_NOMEM.
int redact_raw(const struct redact_how *how, struct slice raw, struct safe_buf *out,
               struct err *err);
// Whether redact_text would say so, without making anything.
int redact_check(struct slice text, struct err *err);
// What the house says itself, a policy's file for one, is nobody's data: checked, and passed on.
int redact_own(struct slice text, struct safe_buf *out, struct err *err);
// A JSON text: the strings in it are redacted, keys too, and a number that is a match becomes a
// string; without a match nothing of it is altered. E_USAGE also: it is not JSON.
int redact_json(const struct redact_how *how, struct slice json, struct safe_buf *out,
                struct err *err);

// Text that comes in pieces, cut anywhere, even inside a character. What may still become part of a
// match, a mask or a character is held back until it is decided, so that what comes out never
// depends on where the input was cut: it is what redact_text makes of the whole.
//
// Invalid bytes and NULs become U+FFFD: a reply is never refused for them, and what is stored stays
// valid. Where the book has numbers that wait, the stream waits too, and what is fed is kept: store
// them and go on. In known_only mode it never waits. One thread at a time.
struct redact_stream {
    struct redact_how how;
    char hold[8];                     // an unfinished character
    size_t hold_len;
    struct buf text;                  // mended; what is out already is kept as far as it matters
    size_t done;                      // so much of it is out
    int after;                        // what the output ends with (redact.c)
    uint32_t known;                   // masks that it may speak of
    bool ending;
    bool asking;                      // it stopped in front of a mask, see redact_how
};
void redact_stream_init(struct redact_stream *s, const struct redact_how *how);
void redact_stream_release(struct redact_stream *s);
// Appends what is certain to out. True: all of it; false: it waits for the book, or is asking.
bool redact_stream_feed(struct redact_stream *s, struct slice piece, struct safe_buf *out);
bool redact_stream_go(struct redact_stream *s, struct safe_buf *out);
// The book was read again: the stream may speak of all that is in it now, and asks no more.
void redact_stream_answered(struct redact_stream *s);
void redact_stream_hold(struct redact_stream *s, struct slice piece);  // kept for later
bool redact_stream_end(struct redact_stream *s, struct safe_buf *out);  // and is as new, once true
// E_NOMEM, if there was no memory to go on: what was fed since is lost.
int redact_stream_check(const struct redact_stream *s, struct err *err);

#endif
