// SPDX-License-Identifier: MIT
// sse.h: parser for text/event-stream (WHATWG HTML, "server-sent events"), fed in any pieces.
//
// Invariant: the events do not depend on where the stream is cut. An event's size is limited.
// One thread at a time.
#ifndef NET_SSE_H
#define NET_SSE_H

#include "base/buf.h"
#include "base/err.h"
#include <stdbool.h>

struct sse_event {
    struct slice type;  // "message" when the stream names none
    struct slice data;  // lines joined by "\n"; borrowed during the callback
    struct slice id;    // last event id
};

// More than any model's whole reply. A stream holds at most a line and an event's data at once.
enum { SSE_EVENT_BYTES_MAX = 768 << 10, SSE_NAME_BYTES_MAX = 4 << 10 };

struct sse {
    // false stops: sse_feed returns E_CANCELLED and takes nothing more.
    bool (*on_event)(void *user, const struct sse_event *event);
    void *user;
    int64_t retry_ms;   // last `retry:` field, -1: none
    uint32_t comments;  // seen so far
    // private
    struct buf line, data, type, id;
    unsigned char bom_at;
    bool seen_cr, has_data, stopped;
};

void sse_init(struct sse *s, bool (*on_event)(void *user, const struct sse_event *event),
              void *user);
void sse_release(struct sse *s);
// E_REFUSED: an event larger than SSE_EVENT_BYTES_MAX; E_NOMEM; E_CANCELLED.
int sse_feed(struct sse *s, struct slice bytes, struct err *err);
// At the end of the stream an unfinished event is dropped, as the standard says. True if there was
// one.
bool sse_end(struct sse *s);

#endif
