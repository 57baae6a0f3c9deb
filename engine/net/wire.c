// SPDX-License-Identifier: MIT
// wire.c: the dispatch to a wire's operations, and what all wires share (wire_int.h).
//
// A request is checked here, once, so that a wire sees only sound ones.
// Thread: the loop's.
#include "net/wire_int.h"

#include <string.h>

static const int64_t NS_PER_MS = 1000000;

// A line break or NUL in a header would be a second header or request of somebody else's making.
static bool header_is_sound(struct slice header)
{
    if (header.len == 0 || !memchr(header.ptr, ':', header.len) || header.ptr[0] == ':')
        return false;
    for (size_t i = 0; i < header.len; i++)
        if (header.ptr[i] == '\r' || header.ptr[i] == '\n' || header.ptr[i] == '\0')
            return false;
    return true;
}

int wire_start(struct wire *w, struct wire_request *r, struct err *err)
{
    const struct wire_deadlines *late = &r->deadlines;

    BUG_ON(!r->on_status || !r->on_data || !r->on_done);
    BUG_ON(late->connect_ms <= 0 || late->first_byte_ms <= 0 || late->idle_ms <= 0 ||
           late->total_ms <= 0);
    r->impl = NULL;
    if (!r->url || !r->method || !r->method[0])
        return err_set(err, E_USAGE, "wire: a request needs a method and a URL");
    if (r->headers_len > WIRE_HEADERS_MAX)
        return err_set(err, E_USAGE, "wire: %u headers, at most %d fit", r->headers_len,
                       WIRE_HEADERS_MAX);
    for (unsigned i = 0; i < r->headers_len; i++)
        if (!header_is_sound(r->headers[i]))
            return err_set(err, E_USAGE, "wire: header %u is not \"Name: value\" on one line",
                           i + 1);
    return w->ops->start(w, r, err);
}

void wire_cancel(struct wire *w, struct wire_request *r)
{
    if (r->impl)
        w->ops->cancel(w, r);
}

void wire_free(struct wire *w)
{
    if (w)
        w->ops->free(w);
}

int wire_calls_admit(const struct wire_calls *calls, struct err *err)
{
    if (calls->closing)
        return err_set(err, E_CANCELLED, "wire: closing, takes no request");
    if (calls->len >= WIRE_CALLS_MAX)
        return err_set(err, E_BUSY, "wire: %d requests are under way: try again later",
                       WIRE_CALLS_MAX);
    return E_OK;
}

static int64_t now_ns(const struct wire_call *call)
{
    return clock_mono_ns(loop_clock(call->loop));
}

void wire_call_begin(struct wire_calls *calls, struct wire_call *call, struct loop *loop,
                     struct wire_request *r, void (*fn)(struct loop_timer *timer))
{
    call->r = r;
    call->loop = loop;
    call->timer.fn = fn;
    call->started_ns = call->phase_ns = now_ns(call);
    call->phase = WIRE_STARTING;
    call->next = calls->first;
    if (calls->first)
        calls->first->prev = call;
    calls->first = call;
    calls->len++;
    r->impl = call;
    loop_timer_start(loop, &call->timer, 0);
}

struct wire_call *wire_call_of(struct loop_timer *timer)
{
    return CONTAINER_OF(timer, struct wire_call, timer);
}

static int64_t after_ms(int64_t from_ns, int64_t ms)
{
    return ms < (INT64_MAX - from_ns) / NS_PER_MS ? from_ns + ms * NS_PER_MS : INT64_MAX;
}

// When the current phase is late.
static int64_t phase_due_ns(const struct wire_call *call)
{
    const struct wire_deadlines *late = &call->r->deadlines;

    switch (call->phase) {
    case WIRE_STARTING:
    case WIRE_CONNECTING:
        return after_ms(call->started_ns, late->connect_ms);
    case WIRE_WAITING:
        return after_ms(call->phase_ns, late->first_byte_ms);
    case WIRE_READING:
        return after_ms(call->phase_ns, late->idle_ms);
    }
    BUG("phase %d", (int)call->phase);
}

static enum wire_end phase_late(const struct wire_call *call)
{
    // While nothing was sent, that is what counts, even if it is the total that ran out.
    if (call->phase <= WIRE_CONNECTING)
        return WIRE_CONNECT_LATE;
    if (now_ns(call) >= after_ms(call->started_ns, call->r->deadlines.total_ms))
        return WIRE_TOTAL_LATE;
    return call->phase == WIRE_WAITING ? WIRE_FIRST_LATE : WIRE_IDLE_LATE;
}

bool wire_call_over(struct wire_call *call)
{
    if (call->ending)
        return true;
    int64_t due = after_ms(call->started_ns, call->r->deadlines.total_ms);
    int64_t phase_due = phase_due_ns(call);
    int64_t now = now_ns(call);

    if (phase_due < due)
        due = phase_due;
    if (now < due) {
        loop_timer_start(call->loop, &call->timer, (due - now - 1) / NS_PER_MS + 1);
        return false;
    }
    call->ending = true;
    call->end = phase_late(call);
    return true;
}

void wire_call_end_soon(struct wire_call *call, enum wire_end end)
{
    if (call->ending)
        return;
    call->ending = true;
    call->end = end;
    loop_timer_start(call->loop, &call->timer, 0);
}

void wire_call_enter(struct wire_call *call, enum wire_phase phase)
{
    call->phase = phase;
    call->phase_ns = now_ns(call);
    // The new deadline may be nearer than the one that the timer runs for.
    if (!call->ending && wire_call_over(call))
        loop_timer_start(call->loop, &call->timer, 0);
}

void wire_call_again(struct wire_call *call)
{
    call->phase = WIRE_STARTING;
    loop_timer_start(call->loop, &call->timer, 0);
}

// Bytes came; whether the request may have them. In WIRE_READING the timer is left alone: when it
// fires it sees that they did.
static bool note_bytes(struct wire_call *call)
{
    if (call->ending)
        return false;
    if (call->phase != WIRE_READING)
        wire_call_enter(call, WIRE_READING);
    else
        call->phase_ns = now_ns(call);
    return !call->ending;
}

bool wire_call_header_bytes(struct wire_call *call, size_t bytes)
{
    if (!note_bytes(call))
        return false;
    call->header_bytes += bytes;
    if (call->header_bytes > WIRE_HEADER_BYTES_MAX)
        wire_call_end_soon(call, WIRE_TOO_BIG);
    return !call->ending;
}

bool wire_call_status(struct wire_call *call, int status)
{
    if (!note_bytes(call))
        return false;
    call->status = status;
    call->r->on_status(call->r, status);
    return !call->ending;
}

bool wire_call_header(struct wire_call *call, struct slice name, struct slice value)
{
    if (!call->ending && call->r->on_header)
        call->r->on_header(call->r, name, value);
    return !call->ending;
}

bool wire_call_data(struct wire_call *call, struct slice bytes)
{
    if (!note_bytes(call))
        return false;
    call->bytes += bytes.len;
    if (call->bytes > call->r->max_bytes)
        wire_call_end_soon(call, WIRE_TOO_BIG);
    else if (!call->r->on_data(call->r, bytes))
        wire_call_end_soon(call, WIRE_CANCELLED);
    return !call->ending;
}

void wire_call_finish(struct wire_calls *calls, struct wire_call *call)
{
    loop_timer_stop(call->loop, &call->timer);
    if (call->prev)
        call->prev->next = call->next;
    else
        calls->first = call->next;
    if (call->next)
        call->next->prev = call->prev;
    calls->len--;
    call->r->impl = NULL;
}

static const char *end_text(enum wire_end end)
{
    switch (end) {
    case WIRE_OK:
        return "";
    case WIRE_NO_CONNECT:
        return "nothing was sent";
    case WIRE_CONNECT_LATE:
        return "not in time; nothing was sent";
    case WIRE_FIRST_LATE:
        return "no answer in time: the request may have been accepted";
    case WIRE_IDLE_LATE:
        return "the answer stopped coming";
    case WIRE_TOTAL_LATE:
        return "the answer took too long";
    case WIRE_BROKEN:
        return "the connection was lost or the answer is malformed: the request may have been "
               "accepted";
    case WIRE_TOO_BIG:
        return "the answer is larger than allowed";
    case WIRE_CANCELLED:
        return "cancelled";
    }
    BUG("end %d", (int)end);
}

void wire_report(struct wire_request *r, enum wire_end end, const char *detail)
{
    struct err err = ERR_INIT;

    if (end != WIRE_OK)
        err_set(&err, end == WIRE_CANCELLED ? E_CANCELLED : E_PROVIDER, "wire: %s%s%s%s",
                end_text(end), detail && detail[0] ? " (" : "", detail ? detail : "",
                detail && detail[0] ? ")" : "");
    r->on_done(r, end, &err);
}
