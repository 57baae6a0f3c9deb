// SPDX-License-Identifier: MIT
// The event stream parser: a stream read whole and the same read in pieces must mean the same.
//
// Input: one byte n, then n bytes that give the lengths of the pieces (taken round and round), then
// the stream.
#include "base/buf.h"
#include "net/sse.h"

#include <stdint.h>

enum { HEARD_MAX = 64 << 20 };

static bool hear(void *user, const struct sse_event *event)
{
    struct buf *heard = user;

    buf_addf(heard, "%zu %zu %zu ", event->type.len, event->id.len, event->data.len);
    buf_add_slice(heard, event->type);
    buf_add_slice(heard, event->id);
    buf_add_slice(heard, event->data);
    return true;
}

// All that a reader can learn from the stream, as text.
static void parse(struct slice stream, struct slice lengths, struct buf *heard)
{
    struct sse s;
    size_t at = 0, turn = 0;
    int rc = 0;

    sse_init(&s, hear, heard);
    while (at < stream.len && !rc) {
        size_t n = stream.len - at;
        if (lengths.len && (unsigned char)lengths.ptr[turn % lengths.len] < n)
            n = (unsigned char)lengths.ptr[turn % lengths.len];
        turn++;
        // A length of zero feeds nothing, then one byte, so that it ends.
        rc = sse_feed(&s, slice_of(stream.ptr + at, n), NULL);
        if (n == 0 && !rc)
            rc = sse_feed(&s, slice_of(stream.ptr + at, n = 1), NULL);
        at += n;
    }
    buf_addf(heard, "rc %d comments %u retry %lld ", rc, (unsigned)s.comments,
             (long long)s.retry_ms);
    buf_addf(heard, "unfinished %d", sse_end(&s));
    sse_release(&s);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct buf whole = BUF_INIT(HEARD_MAX), cut = BUF_INIT(HEARD_MAX);

    if (len == 0 || len - 1 < bytes[0])
        return 0;
    struct slice lengths = slice_of((const char *)bytes + 1, bytes[0]);
    struct slice stream = slice_of(lengths.ptr + lengths.len, len - 1 - lengths.len);
    parse(stream, SLICE_NONE, &whole);
    parse(stream, lengths, &cut);
    BUG_ON(!slice_eq(buf_slice(&whole), buf_slice(&cut)));
    buf_release(&whole);
    buf_release(&cut);
    return 0;
}
