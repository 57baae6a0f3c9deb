// SPDX-License-Identifier: MIT
// http_embed.c: one call for embeddings over the wire. As http.c, but the answer is one JSON
// document: it is kept until its end and read once.
//
//   start ─▶ render ─▶ wire ─▶ status ─┬─ 2xx ─▶ whole body, up to its limit ─▶ read ─┬▶ done
//                                      └─ other ─▶ error body ────────────────────────┘
//
// On the worker's loop; invariants 1 and 3 of http.c.
#include "base/mem.h"
#include "llm/embed.h"
#include "llm/llm_int.h"

#include <strings.h>

enum {
    BODY_BYTES_MAX = 4 << 20,    // EMBED_BYTES_MAX of text, each byte escaped, and the frame
    NUMBER_BYTES_MAX = 32,       // of one dimension, as text
    ANSWER_BYTES_MAX = 48 << 20,
    FRAME_BYTES = 64 << 10,
};

struct exchange {
    struct http_provider *provider;  // borrowed
    struct llm_embed_call *call;     // borrowed
    struct wire_request request;
    struct buf body, answer;
    bool cancelled;
};

static void on_status(struct wire_request *r, int status)
{
    struct exchange *x = r->user;
    x->call->http_status = status;
}

static void on_header(struct wire_request *r, struct slice name, struct slice value)
{
    struct exchange *x = r->user;
    http_outcome_header(&x->call->reply.outcome, x->provider->provider.env->clock, name, value);
}

static bool on_data(struct wire_request *r, struct slice bytes)
{
    struct exchange *x = r->user;
    buf_add_slice(&x->answer, bytes);
    return buf_ok(&x->answer);
}

static void settle(struct exchange *x, enum wire_end end, const struct err *err)
{
    struct llm_embed_call *call = x->call;
    struct llm_reply *reply = &call->reply;
    bool succeeded = call->http_status >= 200 && call->http_status < 300;

    if (x->cancelled) {
        reply->outcome.end = CALL_CANCELLED;
    } else if (call->http_status == 0) {
        reply->outcome.end = http_end_without_status(end);
        reply_detail(reply, "%s", err->code && err->message[0] ? err->message
                                                               : "no answer from the provider");
    } else if (succeeded && (end == WIRE_TOO_BIG || !buf_ok(&x->answer))) {
        reply->outcome.end = CALL_BAD_REPLY;
        reply_detail(reply, "the answer is larger than its embeddings can be");
    } else if (succeeded && end != WIRE_OK) {
        reply->outcome.end = CALL_CUT;
        reply_detail(reply, "the answer broke off: %s", err->message);
    } else if (succeeded) {
        llm_embed_read(call, buf_slice(&x->answer));
    } else {
        llm_read_error(LLM_OPENAI, call->http_status, buf_slice(&x->answer), reply);
    }
}

static void exchange_free(struct exchange *x)
{
    buf_release(&x->body);
    buf_release(&x->answer);
    mem_free(x);
}

static void on_done(struct wire_request *r, enum wire_end end, const struct err *err)
{
    struct exchange *x = r->user;
    struct llm_embed_call *call = x->call;

    settle(x, end, err);
    reply_hide(&call->reply, x->provider->key);
    x->provider->provider.under_way--;
    call->impl = NULL;
    exchange_free(x);
    call->on_done(call);
}

static void fill_request(struct exchange *x)
{
    const struct http_provider *h = x->provider;
    int64_t ms = x->call->total_ms;
    struct wire_deadlines d = h->deadlines;

    if (ms) {
        d.connect_ms = ms < d.connect_ms ? ms : d.connect_ms;
        d.first_byte_ms = ms < d.first_byte_ms ? ms : d.first_byte_ms;
        d.idle_ms = ms < d.idle_ms ? ms : d.idle_ms;
        d.total_ms = ms < d.total_ms ? ms : d.total_ms;
    }
    x->request = (struct wire_request){
        .url = h->embed_url.ptr,
        .body = buf_slice(&x->body),
        .deadlines = d,
        .max_bytes = x->answer.max,
        .on_status = on_status,
        .on_header = on_header,
        .on_data = on_data,
        .on_done = on_done,
        .user = x,
    };
}

int http_embed(struct llm *p, struct llm_embed_call *call, struct err *err)
{
    struct http_provider *h = (struct http_provider *)(void *)p;
    uint64_t dims = call->dimensions ? call->dimensions : EMBED_DIMENSIONS_MAX;
    uint64_t most = FRAME_BYTES + call->inputs_len * dims * NUMBER_BYTES_MAX;

    struct exchange *x = mem_zalloc(sizeof(*x));
    if (!x)
        return err_set(err, E_NOMEM, "out of memory");
    x->provider = h;
    x->call = call;
    buf_init(&x->body, BODY_BYTES_MAX);
    buf_init(&x->answer, most < ANSWER_BYTES_MAX ? most : ANSWER_BYTES_MAX);
    // Bytes only of OpenAI itself: not every server that speaks its dialect knows them.
    int rc = llm_embed_render(call, !h->own_url, &x->body, err);
    if (rc == E_OK) {
        fill_request(x);
        rc = http_send(h, &x->request, false, err);
    }
    if (rc) {
        exchange_free(x);
        return rc;
    }
    call->impl = x;
    return E_OK;
}

void http_embed_cancel(struct llm *p, struct llm_embed_call *call)
{
    struct http_provider *h = (struct http_provider *)(void *)p;
    struct exchange *x = call->impl;

    x->cancelled = true;
    wire_cancel(h->provider.env->wire, &x->request);
}
