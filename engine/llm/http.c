// SPDX-License-Identifier: MIT
// http.c: one call over the wire, for every provider that has one.
//
//   start ─▶ render ─▶ wire ─▶ status ─┬─ 2xx, event stream ─▶ stream (sse, decoder) ─┐
//                                      ├─ 2xx, anything else ─▶ bad reply              ├─▶ done
//                                      └─ other ─▶ error body, at most 64 KiB ─────────┘
//
// Invariants:
//   1. on_done comes exactly once per started call, from the wire's on_done.
//   2. Whatever the wire says, the reply is complete only if the decoder saw the terminal event.
//   3. A key goes into a header and nowhere else: not over plain http to another machine, not into
//      messages, not into the log.
// Runs on the worker's loop.
#include "llm/llm_int.h"

#include "base/mem.h"
#include "base/utf8.h"

#include <arpa/inet.h>
#include <stdarg.h>
#include <stdio.h>
#include <strings.h>

enum { BODY_BYTES_MAX = 32 << 20, ERROR_BODY_BYTES_MAX = 64 << 10, URL_BYTES_MAX = 2048,
       HEADER_LINE_BYTES_MAX = 8192, HOST_BYTES_MAX = 256, REQUEST_ID_BYTES = 80 };
// A stream has some 300 bytes around every few of text.
enum { ANSWER_BYTES_MAX = 64 << 20 };

static const char accepts_events[] = "Accept: text/event-stream";

struct exchange {
    struct http_provider *provider;  // borrowed
    struct llm_call *call;           // borrowed
    struct llm_stream stream;
    struct wire_request request;
    struct buf body;                 // the request's
    struct buf error_body;
    bool event_stream, user_cancelled;
    bool typed;             // its content type came
    char request_id[REQUEST_ID_BYTES];
};

// ---- opening

// http or https, a host, no user part. Fills whether the host is this machine.
static bool read_url(const char *url, bool *loopback, bool *plain)
{
    char host[HOST_BYTES_MAX];
    unsigned char address[16];

    *plain = strncmp(url, "http://", 7) == 0;
    if (!*plain && strncmp(url, "https://", 8) != 0)
        return false;
    const char *start = url + (*plain ? 7 : 8);
    size_t len = strcspn(start, "/?#");
    if (len == 0 || len >= sizeof(host) || memchr(start, '@', len))
        return false;
    for (const char *c = url; *c; c++) {
        if ((unsigned char)*c <= ' ' || *c == 0x7f)
            return false;
    }
    bool bracket = *start == '[';
    memcpy(host, start + bracket, len - bracket);
    host[len - bracket] = '\0';
    host[strcspn(host, bracket ? "]" : ":")] = '\0';
    if (inet_pton(AF_INET, host, address) == 1)
        *loopback = address[0] == 127;
    else if (inet_pton(AF_INET6, host, address) == 1)
        *loopback = memcmp(address, &in6addr_loopback, sizeof(address)) == 0;
    else
        *loopback = strcasecmp(host, "localhost") == 0;
    return true;
}

bool llm_is_loopback(const char *url)
{
    bool loopback = false, plain = false;

    return read_url(url, &loopback, &plain) && loopback;
}

int http_add_header(struct http_provider *h, struct err *err, const char *fmt, ...)
{
    char line[HEADER_LINE_BYTES_MAX];
    va_list ap;

    va_start(ap, fmt);
    int n = vsnprintf(line, sizeof(line), fmt, ap);
    va_end(ap);
    if (n < 0 || (size_t)n >= sizeof(line) || h->headers_len == HTTP_HEADERS_MAX)
        return err_set(err, E_POLICY, "provider %s: too many headers, or one is too long",
                       h->provider.name);
    for (const char *c = line; *c; c++) {
        // The value stays out of the message: it may be a key.
        if ((unsigned char)*c < ' ' || *c == 0x7f)
            return err_set(err, E_POLICY,
                           "provider %s: header %.*s holds a control character: check its value",
                           h->provider.name, (int)strcspn(line, ":"), line);
    }
    h->headers[h->headers_len] = mem_strdup(line);
    if (!h->headers[h->headers_len])
        return err_set(err, E_NOMEM, "out of memory");
    h->headers_len++;
    return E_OK;
}

struct header_walk {
    struct http_provider *h;
    struct err *err;
    int rc;
};

// Keys are in no file of ours.
static bool is_for_keys(const char *header)
{
    static const char *const names[] = {"authorization", "proxy-authorization", "x-api-key",
                                        "api-key", "cookie"};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (strcasecmp(names[i], header) == 0)
            return true;
    return false;
}

static bool add_configured(void *user, const char *part)
{
    struct header_walk *walk = user;
    char option[HOST_BYTES_MAX];

    snprintf(option, sizeof(option), "headers.%s", part);
    const char *value = provider_str(&walk->h->provider, option);
    if (value && is_for_keys(part))
        walk->rc = provider_bad_option(&walk->h->provider, option, walk->err,
                                       "no key is read from here: put it into an environment "
                                       "variable, which key_env names (auth says how it is sent)");
    else if (value)
        walk->rc = http_add_header(walk->h, walk->err, "%s: %s", part, value);
    return walk->rc == E_OK;
}

static int add_headers(struct http_provider *h, const char *auth, struct err *err)
{
    struct header_walk walk = {h, err, E_OK};
    char prefix[HOST_BYTES_MAX];

    int rc = http_add_header(h, err, "Content-Type: application/json");
    rc = rc ? rc : http_add_header(h, err, "%s", accepts_events);
    rc = rc ? rc : http_add_header(h, err, "User-Agent: parley/%s", PARLEY_VERSION);
    if (rc == E_OK && h->key && strcmp(auth, "bearer") == 0)
        rc = http_add_header(h, err, "Authorization: Bearer %s", h->key);
    else if (rc == E_OK && h->key)
        rc = http_add_header(h, err, "x-api-key: %s", h->key);
    if (rc)
        return rc;
    snprintf(prefix, sizeof(prefix), "providers.%s.headers", h->provider.name);
    conf_parts(h->provider.env->conf, prefix, add_configured, &walk);
    return walk.rc;
}

// Finds the key. A local server may do without; a shipped key name is not given to strangers.
static int find_key(struct http_provider *h, const struct http_defaults *defaults, bool own_url,
                    bool loopback, bool plain, struct err *err)
{
    const struct llm_env *env = h->provider.env;
    const char *name = provider_str(&h->provider, "key_env");

    if (!name && !own_url)
        name = defaults->key_env;
    if (!name && loopback)
        return E_OK;
    if (!name)
        return provider_bad_option(&h->provider, "key_env", err,
                                   "name the environment variable that holds the key of this "
                                   "address, or set auth to none");
    const char *key = env->secret ? env->secret(env->user, name) : NULL;
    if ((!key || !*key) && loopback)
        return E_OK;
    if (!key || !*key)
        return err_set(err, E_POLICY, "provider %s has no key: set %s", h->provider.name, name);
    if (plain && !loopback)
        return provider_bad_option(&h->provider, "base_url", err,
                                   "a key is not sent over plain http to another machine: use "
                                   "https, or set auth to none");
    h->key = mem_strdup(key);
    return h->key ? E_OK : err_set(err, E_NOMEM, "out of memory");
}

static int set_up(struct http_provider *h, const struct http_defaults *defaults, struct err *err)
{
    const char *base = provider_str(&h->provider, "base_url");
    const char *auth = provider_str(&h->provider, "auth");
    bool loopback = false, plain = false;

    bool own_url = base && strcmp(base, defaults->base_url) != 0;
    h->provider.own_url = own_url;
    // OpenAI itself counts for another of its APIs only (/v1/responses/input_tokens).
    h->cannot_count = h->dialect == LLM_OPENAI && !own_url;
    base = base ? base : defaults->base_url;
    auth = auth ? auth : defaults->auth;
    if (!read_url(base, &loopback, &plain))
        return provider_bad_option(&h->provider, "base_url", err,
                                   "not a URL: http:// or https://, host and path are expected");
    if (strcmp(auth, "x-api-key") && strcmp(auth, "bearer") && strcmp(auth, "none"))
        return provider_bad_option(&h->provider, "auth", err,
                                   "x-api-key, bearer or none is expected, not %s", auth);
    if (loopback && h->dialect == LLM_OPENAI)
        h->provider.caps_api = "local";
    size_t len = strlen(base);
    while (len && base[len - 1] == '/')
        len--;
    // Both "https://host" and "https://host/v1" are usual.
    if (len > 3 && memcmp(base + len - 3, "/v1", 3) == 0 && strncmp(defaults->path, "/v1/", 4) == 0)
        len -= 3;
    h->own_url = own_url;
    buf_add(&h->url, base, len);
    buf_add_str(&h->url, defaults->path);
    buf_add_slice(&h->count_url, buf_slice(&h->url));
    // Anthropic's; and llama-server's, which has both.
    buf_add_str(&h->count_url, h->dialect == LLM_OPENAI ? "/input_tokens" : "/count_tokens");
    if (defaults->embed_path) {
        buf_add(&h->embed_url, base, len);
        buf_add_str(&h->embed_url, defaults->embed_path);
    }
    int rc = buf_check(&h->url, "base_url", err);
    rc = rc ? rc : buf_check(&h->count_url, "base_url", err);
    rc = rc ? rc : buf_check(&h->embed_url, "base_url", err);
    if (rc == E_OK && strcmp(auth, "none"))
        rc = find_key(h, defaults, own_url, loopback, plain, err);
    return rc ? rc : add_headers(h, auth, err);
}

int http_open(struct http_provider **out, const char *name, const struct llm_env *env,
              const struct http_defaults *defaults, struct err *err)
{
    struct http_provider *h = mem_zalloc(sizeof(*h));

    *out = NULL;
    if (!h)
        return err_set(err, E_NOMEM, "out of memory opening provider %s", name);
    h->dialect = defaults->ops->dialect;
    buf_init(&h->url, URL_BYTES_MAX);
    buf_init(&h->count_url, URL_BYTES_MAX);
    buf_init(&h->embed_url, URL_BYTES_MAX);
    int rc = provider_init(&h->provider, defaults->ops, name, env, err);
    if (rc == E_OK) {
        const struct provider *p = &h->provider;
        h->done_marker = provider_bool(p, "done_marker", true);
        h->deadlines = (struct wire_deadlines){
            .connect_ms = provider_int(p, "connect_timeout", 10000),
            .first_byte_ms = provider_int(p, "first_byte_timeout", 120000),
            .idle_ms = provider_int(p, "idle_timeout", 60000),
            .total_ms = provider_int(p, "total_timeout", 600000),
        };
        rc = set_up(h, defaults, err);
    }
    if (rc)
        http_free(&h->provider.base);
    else
        *out = h;
    return rc;
}

void http_free(struct llm *p)
{
    struct http_provider *h = (struct http_provider *)(void *)p;

    provider_release(&h->provider);
    for (unsigned i = 0; i < h->headers_len; i++)
        mem_free(h->headers[i]);
    buf_release(&h->url);
    buf_release(&h->count_url);
    buf_release(&h->embed_url);
    if (h->key)
        explicit_bzero(h->key, strlen(h->key));
    mem_free(h->key);
    mem_free(h);
}

// ---- headers of the answer

// Seconds with an optional fraction. -1: not that.
static int64_t read_seconds_ms(struct slice value)
{
    int64_t ms = 0, unit = 1000;
    bool fraction = false;

    if (value.len == 0 || value.len > 12)
        return -1;
    for (size_t i = 0; i < value.len; i++) {
        char c = value.ptr[i];
        if (c == '.' && !fraction && i > 0) {
            fraction = true;
        } else if (c >= '0' && c <= '9') {
            if (fraction)
                unit /= 10;
            ms = fraction ? ms + (c - '0') * unit : ms * 10 + (c - '0') * unit;
        } else {
            return -1;
        }
    }
    return ms;
}

// "Sun, 06 Nov 1994 08:49:37 GMT" as ms from now, not below 0. -1: not that.
static int64_t read_date_ms(struct slice value, const struct clock *clock)
{
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    char text[40], month[4], iso[CLOCK_TEXT_BYTES];
    int day, year, hour, minute, second;
    int64_t at_ms;

    if (value.len == 0 || value.len >= sizeof(text))
        return -1;
    memcpy(text, value.ptr, value.len);
    text[value.len] = '\0';
    if (sscanf(text, "%*3s, %2d %3s %4d %2d:%2d:%2d GMT", &day, month, &year, &hour, &minute,
               &second) != 6)
        return -1;
    const char *found = strlen(month) == 3 ? strstr(months, month) : NULL;
    if (!found || (found - months) % 3)
        return -1;
    snprintf(iso, sizeof(iso), "%04d-%02d-%02dT%02d:%02d:%02dZ", year,
             (int)(found - months) / 3 + 1, day, hour, minute, second);
    if (clock_parse(slice_str(iso), &at_ms, NULL))
        return -1;
    int64_t wait = at_ms - clock_wall_ms(clock);
    return wait > 0 ? wait : 0;
}

static bool header_is(struct slice name, const char *s)
{
    return name.len == strlen(s) && strncasecmp(name.ptr, s, name.len) == 0;
}

void http_outcome_header(struct call_outcome *outcome, const struct clock *clock,
                         struct slice name, struct slice value)
{
    int64_t ms;

    if (header_is(name, "retry-after-ms")) {
        // The finer of the two, so it wins in whatever order they come.
        if ((ms = read_seconds_ms(value)) >= 0)
            outcome->retry_after_ms = ms / 1000;
    } else if (header_is(name, "retry-after") && outcome->retry_after_ms < 0) {
        ms = read_seconds_ms(value);
        outcome->retry_after_ms = ms >= 0 ? ms : read_date_ms(value, clock);
    } else if (header_is(name, "x-should-retry")) {
        outcome->should_retry = slice_is(value, "true") ? 1 : slice_is(value, "false") ? 0 : -1;
    }
}

static void on_header(struct wire_request *r, struct slice name, struct slice value)
{
    struct exchange *x = r->user;

    http_outcome_header(&x->call->reply.outcome, x->provider->provider.env->clock, name, value);
    if (header_is(name, "content-type")) {
        static const char wanted[] = "text/event-stream";
        x->typed = true;
        x->event_stream = value.len >= sizeof(wanted) - 1 &&
                          strncasecmp(value.ptr, wanted, sizeof(wanted) - 1) == 0;
    } else if ((header_is(name, "request-id") || header_is(name, "x-request-id")) &&
               value.len < sizeof(x->request_id)) {
        memcpy(x->request_id, value.ptr, value.len);
        x->request_id[value.len] = '\0';
    }
}

// ---- the call

static bool succeeded(const struct exchange *x)
{
    return x->call->http_status >= 200 && x->call->http_status < 300;
}

static void on_status(struct wire_request *r, int status)
{
    struct exchange *x = r->user;
    x->call->http_status = status;
}

static bool on_data(struct wire_request *r, struct slice bytes)
{
    struct exchange *x = r->user;

    if (succeeded(x) && x->event_stream)
        return llm_stream_feed(&x->stream, bytes);
    size_t room = x->error_body.max - x->error_body.len;
    buf_add(&x->error_body, bytes.ptr, bytes.len < room ? bytes.len : room);
    return buf_ok(&x->error_body) && bytes.len <= room;
}

// The answer has no status: what became of the request?
enum call_end http_end_without_status(enum wire_end end)
{
    switch (end) {
    case WIRE_NO_CONNECT:
    case WIRE_CONNECT_LATE:
        return CALL_NO_CONNECT;
    case WIRE_FIRST_LATE:
    case WIRE_TOTAL_LATE:
        return CALL_TIMEOUT_FIRST;
    default:
        return CALL_LOST;
    }
}

static void settle(struct exchange *x, enum wire_end end, const struct err *err)
{
    struct llm_call *call = x->call;
    struct llm_reply *reply = &call->reply;
    bool has_reason = err && err->code && err->message[0];

    // Amid its headers, an answer is cut, not of the wrong kind.
    bool cut = !x->typed && end == WIRE_BROKEN;

    if (succeeded(x) && (x->event_stream || cut)) {
        struct llm_decoder *d = &x->stream.decoder;
        if (!x->provider->done_marker && end == WIRE_OK && d->pending_stop != STOP_NONE)
            d->terminal = true;
        if (has_reason && end != WIRE_OK && !d->failed && !d->terminal && !reply->detail[0])
            reply_detail(reply, "the reply broke off: %s", err->message);
        llm_stream_end(&x->stream);
    } else if (x->user_cancelled) {
        reply->outcome.end = CALL_CANCELLED;
    } else if (call->http_status == 0) {
        reply->outcome.end = http_end_without_status(end);
        reply_detail(reply, "%s", has_reason ? err->message : "no answer from the provider");
    } else if (succeeded(x)) {
        decode_fail(&x->stream.decoder, CALL_BAD_REPLY, NULL,
                    "the answer is not an event stream: check base_url and api of provider %s",
                    x->provider->provider.name);
    } else {
        llm_read_error(x->provider->dialect, call->http_status, buf_slice(&x->error_body), reply);
    }
    if (x->user_cancelled && !reply->complete)
        reply->outcome.end = CALL_CANCELLED;
}

static void add_request_id(const struct exchange *x)
{
    struct llm_reply *reply = &x->call->reply;
    char before[sizeof(reply->detail)];
    size_t room = sizeof(before) - sizeof(" (request )") - strlen(x->request_id);

    if (!reply->detail[0] || !x->request_id[0])
        return;
    memcpy(before, reply->detail, sizeof(before));
    before[utf8_cut(slice_str(before), room)] = '\0';
    reply_detail(reply, "%s (request %s)", before, x->request_id);
}

static void exchange_free(struct exchange *x)
{
    llm_stream_release(&x->stream);
    buf_release(&x->body);
    buf_release(&x->error_body);
    mem_free(x);
}

static void on_done(struct wire_request *r, enum wire_end end, const struct err *err)
{
    struct exchange *x = r->user;
    struct llm_call *call = x->call;

    settle(x, end, err);
    add_request_id(x);
    reply_hide(&call->reply, x->provider->key);
    x->provider->provider.under_way--;
    call->impl = NULL;
    exchange_free(x);
    call->on_done(call);
}

int http_send(struct http_provider *h, struct wire_request *r, bool events, struct err *err)
{
    const struct llm_env *env = h->provider.env;

    BUG_ON(!env->wire);
    r->method = "POST";
    r->headers_len = h->headers_len;
    for (unsigned i = 0; i < h->headers_len; i++) {
        struct slice header = slice_str(h->headers[i]);
        bool accepts = !events && slice_is(header, accepts_events);
        r->headers[i] = accepts ? SLICE_LIT("Accept: application/json") : header;
    }
    if (env->on_request)
        env->on_request(env->user, h->provider.name, r->body);
    int rc = wire_start(env->wire, r, err);
    h->provider.under_way += rc == E_OK;
    return rc;
}

int http_start(struct llm *p, struct llm_call *call, struct err *err)
{
    struct http_provider *h = (struct http_provider *)(void *)p;
    struct exchange *x = mem_zalloc(sizeof(*x));
    if (!x)
        return err_set(err, E_NOMEM, "out of memory");
    x->provider = h;
    x->call = call;
    llm_stream_init(&x->stream, call, h->dialect);
    buf_init(&x->body, BODY_BYTES_MAX);
    buf_init(&x->error_body, ERROR_BODY_BYTES_MAX);
    struct llm_caps caps = llm_caps_of(p, call->request->model);
    int rc = llm_render(h->dialect, &caps, call->request, &x->body, err);
    if (rc == E_OK) {
        x->request = (struct wire_request){
            .url = h->url.ptr,
            .body = buf_slice(&x->body),
            .deadlines = h->deadlines,
            .max_bytes = ANSWER_BYTES_MAX,
            .on_status = on_status,
            .on_header = on_header,
            .on_data = on_data,
            .on_done = on_done,
            .user = x,
        };
        rc = http_send(h, &x->request, true, err);
    }
    if (rc) {
        exchange_free(x);
        return rc;
    }
    call->impl = x;
    return E_OK;
}

void http_cancel(struct llm *p, struct llm_call *call)
{
    struct http_provider *h = (struct http_provider *)(void *)p;
    struct exchange *x = call->impl;

    x->user_cancelled = x->stream.cancelled = true;
    wire_cancel(h->provider.env->wire, &x->request);
}
