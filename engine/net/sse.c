// SPDX-License-Identifier: MIT
// sse.c: the event stream parser, as the WHATWG algorithm says, over bytes in any pieces.
//
// Invariants
// 1. Cutting the stream elsewhere changes nothing: not the events, not where it is refused.
// 2. `line` holds the beginning of a line whose end has not come; it is empty at a line's start, so
//    a line that comes whole is read in place.
// 3. Every byte is looked at a fixed number of times: a long line is searched only where it is new.
// 4. No line and no event's data is longer than SSE_EVENT_BYTES_MAX, no type and no id than
//    SSE_NAME_BYTES_MAX.
// Bytes are handed on as they came; whether they are UTF-8 is for the reader of the data to judge.
// One thread at a time.
#include "net/sse.h"

#include <string.h>

static const char BOM[] = "\xEF\xBB\xBF";
enum { BOM_BYTES = 3 };

void sse_init(struct sse *s, bool (*on_event)(void *user, const struct sse_event *event),
              void *user)
{
    *s = (struct sse){.on_event = on_event, .user = user, .retry_ms = -1};
    buf_init(&s->line, SSE_EVENT_BYTES_MAX);
    buf_init(&s->data, SSE_EVENT_BYTES_MAX);
    buf_init(&s->type, SSE_NAME_BYTES_MAX);
    buf_init(&s->id, SSE_NAME_BYTES_MAX);
}

void sse_release(struct sse *s)
{
    buf_release(&s->line);
    buf_release(&s->data);
    buf_release(&s->type);
    buf_release(&s->id);
}

static void drop_event(struct sse *s)
{
    buf_clear(&s->data);
    buf_clear(&s->type);
    s->has_data = false;
}

static int dispatch(struct sse *s, struct err *err)
{
    if (s->has_data) {
        struct sse_event event = {
            .type = s->type.len ? buf_slice(&s->type) : SLICE_LIT("message"),
            .data = buf_slice(&s->data),
            .id = buf_slice(&s->id),
        };
        if (!s->on_event(s->user, &event))
            return err_set(err, E_CANCELLED, "event stream: stopped by its reader");
    }
    drop_event(s);
    return E_OK;
}

static int add_data(struct sse *s, struct slice value, struct err *err)
{
    // The standard ends every line with "\n" and takes the last one off again.
    if (s->has_data)
        buf_add_char(&s->data, '\n');
    s->has_data = true;
    buf_add_slice(&s->data, value);
    return buf_check(&s->data, "event stream: an event", err);
}

static int replace(struct buf *field, struct slice value, struct err *err)
{
    buf_clear(field);
    buf_add_slice(field, value);
    return buf_check(field, "event stream: a field", err);
}

// Digits only, or the field is ignored; a number that does not fit is as long as can be.
static void set_retry(struct sse *s, struct slice value)
{
    int64_t ms = 0;

    if (value.len == 0)
        return;
    for (size_t i = 0; i < value.len; i++) {
        if (value.ptr[i] < '0' || value.ptr[i] > '9')
            return;
        if (__builtin_mul_overflow(ms, 10, &ms) ||
            __builtin_add_overflow(ms, value.ptr[i] - '0', &ms))
            ms = INT64_MAX;
    }
    s->retry_ms = ms;
}

static int take_field(struct sse *s, struct slice line, struct err *err)
{
    const char *colon = memchr(line.ptr, ':', line.len);
    struct slice name = colon ? slice_of(line.ptr, (size_t)(colon - line.ptr)) : line;
    struct slice value = SLICE_LIT("");

    if (colon) {
        value = slice_of(colon + 1, line.len - name.len - 1);
        if (value.len && value.ptr[0] == ' ')
            value = slice_of(value.ptr + 1, value.len - 1);
    }
    if (slice_eq(name, SLICE_LIT("data")))
        return add_data(s, value, err);
    if (slice_eq(name, SLICE_LIT("event")))
        return replace(&s->type, value, err);
    if (slice_eq(name, SLICE_LIT("id")) && !memchr(value.ptr, '\0', value.len))
        return replace(&s->id, value, err);
    if (slice_eq(name, SLICE_LIT("retry")))
        set_retry(s, value);
    return E_OK;
}

// `rest` is the line's end that came now; its beginning, if cut off, is in s->line.
static int take_line(struct sse *s, struct slice rest, struct err *err)
{
    struct slice line = rest;
    int rc = E_OK;

    if (s->line.len || rest.len > s->line.max) {
        buf_add_slice(&s->line, rest);
        rc = buf_check(&s->line, "event stream: a line", err);
        line = buf_slice(&s->line);
    }
    if (rc)
        return rc;
    if (line.len == 0)
        rc = dispatch(s, err);
    else if (line.ptr[0] == ':')
        s->comments++;
    else
        rc = take_field(s, line, err);
    buf_clear(&s->line);
    return rc;
}

// Skips one byte order mark at the stream's beginning; what only looked like one opens the line.
static const char *skip_bom(struct sse *s, const char *at, const char *end)
{
    for (; at < end && s->bom_at < BOM_BYTES; at++) {
        if (*at != BOM[s->bom_at]) {
            buf_add(&s->line, BOM, s->bom_at);
            s->bom_at = BOM_BYTES;
            break;
        }
        s->bom_at++;
    }
    return at;
}

// The next line feed and the next carriage return, each searched for once: a stream that uses only
// one of them must not be searched to its end for the other at every line.
struct ends {
    const char *lf, *cr;  // end when there is none
};

static const char *find(const char *found, const char *at, const char *end, char c)
{
    if (found && found >= at)
        return found;
    found = memchr(at, c, (size_t)(end - at));
    return found ? found : end;
}

static const char *line_end(struct ends *next, const char *at, const char *end)
{
    next->lf = find(next->lf, at, end, '\n');
    next->cr = find(next->cr, at, end, '\r');
    return next->lf < next->cr ? next->lf : next->cr;
}

static int take_lines(struct sse *s, const char *at, const char *end, struct err *err)
{
    struct ends next = {NULL, NULL};

    while (at < end) {
        bool after_cr = s->seen_cr;
        s->seen_cr = false;
        if (after_cr && *at == '\n') {
            at++;
            continue;
        }
        const char *eol = line_end(&next, at, end);
        struct slice piece = slice_of(at, (size_t)(eol - at));
        if (eol == end) {
            buf_add_slice(&s->line, piece);
            return buf_check(&s->line, "event stream: a line", err);
        }
        int rc = take_line(s, piece, err);
        if (rc)
            return rc;
        s->seen_cr = *eol == '\r';
        at = eol + 1;
    }
    // A false mark may have been added to the line without anything after it.
    return buf_check(&s->line, "event stream: a line", err);
}

int sse_feed(struct sse *s, struct slice bytes, struct err *err)
{
    if (s->stopped)
        return err_set(err, E_CANCELLED, "event stream: stopped before, takes nothing more");
    if (bytes.len == 0)
        return E_OK;
    const char *end = bytes.ptr + bytes.len;
    int rc = take_lines(s, skip_bom(s, bytes.ptr, end), end, err);
    s->stopped = rc != E_OK;
    return rc;
}

bool sse_end(struct sse *s)
{
    bool in_line = s->line.len && s->line.ptr[0] != ':';
    bool unfinished = in_line || s->has_data || s->type.len;

    drop_event(s);
    buf_clear(&s->line);
    return unfinished;
}
