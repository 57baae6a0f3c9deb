// SPDX-License-Identifier: MIT
// count.c: how many tokens a request has, asked of the provider before it is sent. The body is the
// request's own messages in the wire forms that they have anyway; nothing is billed for it.
//
//   start ─▶ render ─▶ wire ─┬─ 200 with "input_tokens" ─▶ a count
//                            ├─ 404, 405, 501 ─▶ none; not asked again while the process runs
//                            └─ anything else, or late ─▶ none; not asked again for a minute
//
// Invariant: on_done comes exactly once per started count, from the wire's on_done, and at most
// LLM_COUNT_MS_MAX after the start. Runs on the worker's loop.
#include "llm/llm_int.h"

#include "base/mem.h"

enum {
    COUNT_BODY_BYTES_MAX = 32 << 20,
    COUNT_ANSWER_BYTES_MAX = 64 << 10,
    COUNT_CONNECT_MS = 1000,
};

struct counting {
    struct http_provider *provider;  // borrowed
    struct llm_count *count;         // borrowed
    struct wire_request request;
    struct buf body, answer;
    int status;
    bool cancelled;
};

static void counting_free(struct counting *c)
{
    buf_release(&c->body);
    buf_release(&c->answer);
    mem_free(c);
}

static int64_t now_ms(const struct http_provider *h)
{
    return clock_mono_ns(h->provider.env->clock) / 1000000;
}

static bool can_count(const struct llm *p)
{
    const struct http_provider *h = (const struct http_provider *)(const void *)p;

    return !h->cannot_count && now_ms(h) >= h->count_after_ms;
}

static void on_status(struct wire_request *r, int status)
{
    ((struct counting *)r->user)->status = status;
}

static bool on_data(struct wire_request *r, struct slice bytes)
{
    struct counting *c = r->user;

    buf_add_slice(&c->answer, bytes);
    return buf_ok(&c->answer);
}

// Of a whole answer; 0: there is none in it.
static uint64_t read_count(const struct counting *c)
{
    struct json_doc doc = JSON_DOC_INIT;
    int64_t tokens = 0;

    if (c->status == 200 && json_parse(&doc, buf_slice(&c->answer), 0, NULL) == E_OK)
        tokens = json_i64(json_get(json_root(&doc), "input_tokens"), 0);
    json_doc_release(&doc);
    return tokens > 0 ? (uint64_t)tokens : 0;
}

static void on_done(struct wire_request *r, enum wire_end end, const struct err *err)
{
    struct counting *c = r->user;
    struct http_provider *h = c->provider;
    struct llm_count *count = c->count;

    (void)err;
    count->tokens = end == WIRE_OK ? read_count(c) : 0;
    count->code = count->tokens ? E_OK : c->cancelled ? E_CANCELLED : E_PROVIDER;
    if (c->status == 404 || c->status == 405 || c->status == 501)
        h->cannot_count = true;
    else if (count->code == E_PROVIDER)
        h->count_after_ms = now_ms(h) + LLM_COUNT_REST_MS;
    if (count->code == E_PROVIDER)
        log_line(h->provider.env->log, LOG_INFO, "llm: %s did not count a request (HTTP %d)%s",
                 h->provider.name, c->status,
                 h->cannot_count ? ", and is not asked again" : "");
    h->provider.under_way--;
    count->impl = NULL;
    counting_free(c);
    count->on_done(count);
}

static int64_t at_most(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static void fill_request(struct counting *c)
{
    const struct http_provider *h = c->provider;

    c->request = (struct wire_request){
        .url = h->count_url.ptr,
        .body = buf_slice(&c->body),
        .deadlines = {.connect_ms = at_most(h->deadlines.connect_ms, COUNT_CONNECT_MS),
                      .first_byte_ms = at_most(h->deadlines.first_byte_ms, LLM_COUNT_MS_MAX),
                      .idle_ms = at_most(h->deadlines.idle_ms, LLM_COUNT_MS_MAX),
                      .total_ms = at_most(h->deadlines.total_ms, LLM_COUNT_MS_MAX)},
        .max_bytes = COUNT_ANSWER_BYTES_MAX,
        .on_status = on_status,
        .on_data = on_data,
        .on_done = on_done,
        .user = c,
    };
}

static int start(struct llm *p, struct llm_count *count, struct err *err)
{
    struct http_provider *h = (struct http_provider *)(void *)p;
    struct counting *c = mem_zalloc(sizeof(*c));

    if (!c)
        return err_set(err, E_NOMEM, "out of memory");
    c->provider = h;
    c->count = count;
    buf_init(&c->body, COUNT_BODY_BYTES_MAX);
    buf_init(&c->answer, COUNT_ANSWER_BYTES_MAX);
    struct llm_caps caps = llm_caps_of(p, count->request->model);
    int rc = llm_render_count(h->dialect, &caps, count->request, &c->body, err);
    if (rc == E_OK) {
        fill_request(c);
        rc = http_send(h, &c->request, false, err);
    }
    if (rc) {
        counting_free(c);
        return rc;
    }
    count->impl = c;
    return E_OK;
}

static void cancel(struct llm *p, struct llm_count *count)
{
    struct http_provider *h = (struct http_provider *)(void *)p;
    struct counting *c = count->impl;

    c->cancelled = true;
    wire_cancel(h->provider.env->wire, &c->request);
}

const struct llm_count_ops http_count = {can_count, start, cancel};
