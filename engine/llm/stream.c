// SPDX-License-Identifier: MIT
// stream.c: a reply's bytes on their way: event stream, events, decoder, reply.
//
// It does not matter where the bytes come from nor how they are cut into pieces. After the reply is
// settled (a fault, an error event, a cancel) nothing more is taken or told.
#include "llm/llm_int.h"

static bool on_event(void *user, const struct sse_event *event)
{
    struct llm_stream *s = user;

    if (s->cancelled)
        return false;
    return llm_decoder_event(&s->decoder, event->type, event->data, NULL) == E_OK;
}

static void on_text(void *user, struct slice text)
{
    struct llm_stream *s = user;

    if (!s->cancelled && s->call->on_text)
        s->call->on_text(s->call, text);
}

void llm_stream_init(struct llm_stream *s, struct llm_call *call, enum llm_dialect dialect)
{
    s->call = call;
    s->cancelled = false;
    sse_init(&s->sse, on_event, s);
    llm_decoder_init(&s->decoder, dialect, &call->reply);
    s->decoder.on_text = on_text;
    s->decoder.user = s;
}

void llm_stream_release(struct llm_stream *s)
{
    sse_release(&s->sse);
    llm_decoder_release(&s->decoder);
}

bool llm_stream_feed(struct llm_stream *s, struct slice bytes)
{
    struct err err = ERR_INIT;

    if (s->cancelled || s->decoder.failed)
        return false;
    int rc = sse_feed(&s->sse, bytes, &err);
    if (rc && !s->cancelled && !s->decoder.failed)
        decode_fail(&s->decoder, CALL_BAD_REPLY, NULL, "%s", err.message);
    return rc == E_OK;
}

void llm_stream_end(struct llm_stream *s)
{
    sse_end(&s->sse);
    llm_decoder_end(&s->decoder);
    if (!s->call->reply.complete && s->cancelled)
        s->call->reply.outcome.end = CALL_CANCELLED;
}
