// SPDX-License-Identifier: MIT
// wire_curl.c: the real wire: curl's multi interface, driven by the loop's watches and timers.
//
// A multi handle slows down with the number of its transfers, so one carries at most
// MULTI_CALLS_MAX; when all are full another is opened. Each keeps its own idle connections.
//
// Invariants
// 1. curl may not be called from within its own callbacks. Those only pass the answer on and start
//    timers; adding to and removing from a multi happens in timers and after curl has returned.
// 2. A request that may have been accepted is not sent again behind our back: curl repeats one when
//    a kept-alive connection turns out dead, and is let to only while no byte of it was sent.
// 3. A call's easy handle is in call->multi exactly when that is not NULL.
// Thread: the loop's.
#include "net/wire_int.h"

#include "base/buf.h"
#include "base/mem.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

enum {
    MULTI_CALLS_MAX = 500,
    MULTIS_MAX = (WIRE_CALLS_MAX + MULTI_CALLS_MAX - 1) / MULTI_CALLS_MAX,
    SPARE_EASIES_MAX = 64,
    HEADER_LINE_BYTES_MAX = 64 << 10,
};

struct multi {
    struct curl_wire *wire;
    CURLM *handle;            // NULL until needed
    struct loop_timer timer;  // curl's own timeouts
    size_t calls;
};

struct curl_wire {
    struct wire base;
    struct loop *loop;
    struct wire_calls calls;
    struct multi multis[MULTIS_MAX];
    CURL *spares[SPARE_EASIES_MAX];
    size_t spares_len;
    bool driving;  // in drive(): the wire must not go away
};

struct curl_call {
    struct wire_call base;
    struct curl_wire *wire;
    struct multi *multi;
    CURL *easy;
    struct curl_slist *headers;
    enum { HEAD_STATUS_LINE, HEAD_INTERIM, HEAD_FINAL, HEAD_DONE } head;
    bool prepared;        // the connection stood, and sending began
    long sent_before;     // request bytes that curl had counted then (of a proxy's CONNECT)
    const char *cause;    // what to say instead of curl's words; static
    char detail[CURL_ERROR_SIZE];
};

static const char OUT_OF_MEMORY[] = "out of memory";

// A socket that curl waits for.
struct sock {
    struct loop_watch watch;
    struct multi *multi;
};

// Whether any byte of the request went out.
static bool was_sent(const struct curl_call *call)
{
    long bytes = 0;

    if (!call->prepared)
        return false;
    curl_easy_getinfo(call->easy, CURLINFO_REQUEST_SIZE, &bytes);
    return bytes > call->sent_before;
}

// ---- curl calls us ----

// The connection stands, new or reused, and the request is about to be sent. The second time in one
// call means that curl repeats the request on another connection.
static int on_prepared(void *user, char *to_ip, char *from_ip, int to_port, int from_port)
{
    struct curl_call *call = user;

    (void)to_ip, (void)from_ip, (void)to_port, (void)from_port;
    if (call->base.ending)
        return CURL_PREREQFUNC_ABORT;
    if (was_sent(call)) {
        call->cause = "the kept-alive connection was closed before an answer came";
        return CURL_PREREQFUNC_ABORT;
    }
    curl_easy_getinfo(call->easy, CURLINFO_REQUEST_SIZE, &call->sent_before);
    call->prepared = true;
    wire_call_enter(&call->base, WIRE_WAITING);
    return CURL_PREREQFUNC_OK;
}

static struct slice trim(struct slice s)
{
    while (s.len && strchr(" \t\r\n", s.ptr[s.len - 1]))
        s.len--;
    while (s.len && (*s.ptr == ' ' || *s.ptr == '\t'))
        s = slice_of(s.ptr + 1, s.len - 1);
    return s;
}

static bool take_header(struct curl_call *call, struct slice line)
{
    const char *colon = memchr(line.ptr, ':', line.len);

    if (!colon)
        return true;  // a folded line
    struct slice name = slice_of(line.ptr, (size_t)(colon - line.ptr));
    struct slice value = slice_of(colon + 1, line.len - name.len - 1);
    return wire_call_header(&call->base, trim(name), trim(value));
}

static bool take_head_line(struct curl_call *call, struct slice line)
{
    long status = 0;

    switch (call->head) {
    case HEAD_STATUS_LINE:
        curl_easy_getinfo(call->easy, CURLINFO_RESPONSE_CODE, &status);
        if (status / 100 == 1) {
            call->head = HEAD_INTERIM;
            return true;
        }
        call->head = HEAD_FINAL;
        return wire_call_status(&call->base, (int)status);
    case HEAD_INTERIM:
        if (trim(line).len == 0)
            call->head = HEAD_STATUS_LINE;
        return true;
    case HEAD_FINAL:
        if (trim(line).len)
            return take_header(call, line);
        call->head = HEAD_DONE;
        return true;
    case HEAD_DONE:
        return true;  // trailers say nothing to us
    }
    return true;
}

static size_t on_head(char *bytes, size_t one, size_t len, void *user)
{
    struct curl_call *call = user;

    (void)one;
    if (!wire_call_header_bytes(&call->base, len) || !take_head_line(call, slice_of(bytes, len)))
        return len ? 0 : 1;  // anything but len ends the transfer
    return len;
}

static size_t on_body(char *bytes, size_t one, size_t len, void *user)
{
    struct curl_call *call = user;

    (void)one;
    return wire_call_data(&call->base, slice_of(bytes, len)) ? len : len ? 0 : 1;
}

static void on_watch(struct loop_watch *watch, unsigned events);

static struct sock *sock_new(struct multi *multi, curl_socket_t fd)
{
    struct sock *sock = mem_zalloc(sizeof(*sock));

    if (!sock)
        return NULL;
    *sock = (struct sock){.watch = {.fn = on_watch, .fd = fd}, .multi = multi};
    curl_multi_assign(multi->handle, fd, sock);
    return sock;
}

// Without a watch the call would wait for ever: it ends, and only it.
static void starve(CURL *easy)
{
    struct curl_call *call = NULL;

    curl_easy_getinfo(easy, CURLINFO_PRIVATE, (char **)&call);
    if (!call)
        return;
    call->cause = OUT_OF_MEMORY;
    wire_call_end_soon(&call->base, was_sent(call) ? WIRE_BROKEN : WIRE_NO_CONNECT);
}

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *user, void *socket_user)
{
    struct multi *multi = user;
    struct sock *sock = socket_user;
    struct loop *loop = multi->wire->loop;

    if (what == CURL_POLL_REMOVE) {
        if (sock) {
            loop_watch_stop(loop, &sock->watch);
            mem_free(sock);
            curl_multi_assign(multi->handle, fd, NULL);
        }
        return 0;
    }
    if (!sock && !(sock = sock_new(multi, fd))) {
        starve(easy);
        return 0;
    }
    sock->watch.events = (what & CURL_POLL_IN ? LOOP_READ : 0u) |
                         (what & CURL_POLL_OUT ? LOOP_WRITE : 0u);
    if (loop_watch_start(loop, &sock->watch, NULL) != E_OK)
        starve(easy);
    return 0;
}

static int on_curl_timeout(CURLM *handle, long ms, void *user)
{
    struct multi *multi = user;

    (void)handle;
    if (ms < 0)
        loop_timer_stop(multi->wire->loop, &multi->timer);
    else
        loop_timer_start(multi->wire->loop, &multi->timer, ms);
    return 0;
}

// ---- the end of a call ----

static void put_easy(struct curl_wire *wire, CURL *easy)
{
    if (wire->spares_len < SPARE_EASIES_MAX) {
        curl_easy_reset(easy);
        wire->spares[wire->spares_len++] = easy;
    } else {
        curl_easy_cleanup(easy);
    }
}

static void call_release(struct curl_call *call)
{
    if (call->easy)
        put_easy(call->wire, call->easy);
    curl_slist_free_all(call->headers);
    mem_free(call);
}

static void finish(struct curl_call *call, enum wire_end end)
{
    struct wire_request *r = call->base.r;
    char detail[CURL_ERROR_SIZE];

    snprintf(detail, sizeof(detail), "%s", call->cause ? call->cause : call->detail);
    if (call->multi) {
        // Closes the connection if the answer is not whole, so that the other side can stop too.
        curl_multi_remove_handle(call->multi->handle, call->easy);
        call->multi->calls--;
    }
    wire_call_finish(&call->wire->calls, &call->base);
    call_release(call);
    wire_report(r, end, detail);
}

// What curl's result means, unless we ended the call ourselves.
static enum wire_end end_of(const struct curl_call *call, CURLcode result)
{
    if (call->base.ending)
        return call->base.end;
    // curl is content with an answer that ends amid its headers; we are not.
    if (result == CURLE_OK && call->head == HEAD_DONE)
        return WIRE_OK;
    if (was_sent(call))
        return WIRE_BROKEN;
    return result == CURLE_OPERATION_TIMEDOUT ? WIRE_CONNECT_LATE : WIRE_NO_CONNECT;
}

static void drive(struct multi *multi, curl_socket_t fd, int events)
{
    struct curl_wire *wire = multi->wire;
    CURLMsg *message;
    int left;

    wire->driving = true;
    curl_multi_socket_action(multi->handle, fd, events, &left);
    // Bounded: each message takes a call out of the multi, and none is added in between.
    while ((message = curl_multi_info_read(multi->handle, &left))) {
        struct curl_call *call = NULL;
        CURLcode result = message->data.result;
        if (message->msg != CURLMSG_DONE)
            continue;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&call);
        if (!call->detail[0])
            snprintf(call->detail, sizeof(call->detail), "%s", curl_easy_strerror(result));
        finish(call, end_of(call, result));
    }
    wire->driving = false;
}

static void on_watch(struct loop_watch *watch, unsigned events)
{
    struct sock *sock = CONTAINER_OF(watch, struct sock, watch);
    int flags = (events & LOOP_READ ? CURL_CSELECT_IN : 0) |
                (events & LOOP_WRITE ? CURL_CSELECT_OUT : 0);

    drive(sock->multi, watch->fd, flags);
}

static void on_multi_timer(struct loop_timer *timer)
{
    struct multi *multi = CONTAINER_OF(timer, struct multi, timer);

    drive(multi, CURL_SOCKET_TIMEOUT, 0);
}

// ---- the beginning of a call ----

static int multi_open(struct multi *multi)
{
    CURLM *handle = curl_multi_init();

    if (!handle)
        return E_NOMEM;
    curl_multi_setopt(handle, CURLMOPT_SOCKETFUNCTION, on_socket);
    curl_multi_setopt(handle, CURLMOPT_SOCKETDATA, multi);
    curl_multi_setopt(handle, CURLMOPT_TIMERFUNCTION, on_curl_timeout);
    curl_multi_setopt(handle, CURLMOPT_TIMERDATA, multi);
    curl_multi_setopt(handle, CURLMOPT_MAXCONNECTS, (long)MULTI_CALLS_MAX);
    multi->handle = handle;
    multi->timer.fn = on_multi_timer;
    return E_OK;
}

// The first multi with room, so that connections are reused as long as one is enough.
static struct multi *multi_with_room(struct curl_wire *wire)
{
    for (size_t i = 0; i < MULTIS_MAX; i++) {
        struct multi *multi = &wire->multis[i];
        if (!multi->handle && multi_open(multi) != E_OK)
            return NULL;
        if (multi->calls < MULTI_CALLS_MAX)
            return multi;
    }
    BUG("more calls than the multis have room for");
}

static void send_call(struct curl_call *call)
{
    struct multi *multi = multi_with_room(call->wire);

    if (!multi || curl_multi_add_handle(multi->handle, call->easy) != CURLM_OK) {
        call->cause = OUT_OF_MEMORY;
        finish(call, WIRE_NO_CONNECT);
        return;
    }
    call->multi = multi;
    multi->calls++;
    wire_call_enter(&call->base, WIRE_CONNECTING);
}

static void on_call_timer(struct loop_timer *timer)
{
    struct curl_call *call = (struct curl_call *)wire_call_of(timer);

    if (call->base.ending)
        finish(call, call->base.end);
    else if (call->base.phase == WIRE_STARTING)
        send_call(call);
    else if (wire_call_over(&call->base))
        finish(call, call->base.end);
}

static bool is_loopback(const char *host)
{
    struct in_addr v4;

    if (inet_pton(AF_INET, host, &v4) == 1)
        return ntohl(v4.s_addr) >> 24 == 127;
    return strcmp(host, "[::1]") == 0 || strcasecmp(host, "localhost") == 0;
}

// Sets *loopback, or says what is wrong with the URL (which may hold secrets: it is not shown).
static int check_url(const char *url, bool *loopback, struct err *err)
{
    CURLU *parsed = curl_url();
    char *scheme = NULL, *host = NULL;
    int rc = E_OK;

    if (!parsed)
        return err_set(err, E_NOMEM, "wire: out of memory for a request");
    CURLUcode code = curl_url_set(parsed, CURLUPART_URL, url, 0);
    if (!code)
        code = curl_url_get(parsed, CURLUPART_SCHEME, &scheme, 0);
    if (!code)
        code = curl_url_get(parsed, CURLUPART_HOST, &host, 0);
    if (code == CURLUE_OUT_OF_MEMORY)
        rc = err_set(err, E_NOMEM, "wire: out of memory for a request");
    else if (code)
        rc = err_set(err, E_USAGE, "wire: bad URL: %s", curl_url_strerror(code));
    else if (strcmp(scheme, "http") != 0 && strcmp(scheme, "https") != 0)
        rc = err_set(err, E_USAGE, "wire: URL scheme \"%s\": use http or https", scheme);
    else
        *loopback = is_loopback(host);
    curl_free(scheme);
    curl_free(host);
    curl_url_cleanup(parsed);
    return rc;
}

static int add_header(struct curl_call *call, struct buf *line, struct slice header)
{
    buf_clear(line);
    buf_add_slice(line, header);
    if (!buf_ok(line))
        return buf_check(line, "wire: a header", NULL);
    struct curl_slist *longer = curl_slist_append(call->headers, line->ptr);
    if (!longer)
        return E_NOMEM;
    call->headers = longer;
    return E_OK;
}

static int add_headers(struct curl_call *call, struct err *err)
{
    const struct wire_request *r = call->base.r;
    struct buf line = BUF_INIT(HEADER_LINE_BYTES_MAX);
    // No waiting for permission to send the body: it costs a round trip and saves nothing here.
    int rc = add_header(call, &line, SLICE_LIT("Expect:"));

    for (unsigned i = 0; i < r->headers_len && !rc; i++)
        rc = add_header(call, &line, r->headers[i]);
    buf_release(&line);
    if (rc == E_REFUSED)
        return err_set(err, E_USAGE, "wire: a header has more than %d bytes",
                       HEADER_LINE_BYTES_MAX);
    return rc ? err_set(err, rc, "wire: out of memory for headers") : E_OK;
}

static CURLcode set_method(CURL *easy, const struct wire_request *r)
{
    CURLcode bad = CURLE_OK;

    if (r->body.len || strcmp(r->method, "POST") == 0) {
        // The body is borrowed, not copied.
        bad |= curl_easy_setopt(easy, CURLOPT_POST, 1L);
        bad |= curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)r->body.len);
        bad |= curl_easy_setopt(easy, CURLOPT_POSTFIELDS, r->body.len ? r->body.ptr : "");
    } else if (strcmp(r->method, "HEAD") == 0) {
        bad |= curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
    }
    return bad | curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, r->method);
}

// Every option is said, also where it is curl's default, if this file's promises rest on it.
static CURLcode set_rules(CURL *easy, const struct wire_request *r, bool loopback)
{
    int64_t connect_ms = r->deadlines.connect_ms < INT_MAX ? r->deadlines.connect_ms : INT_MAX;
    CURLcode bad = CURLE_OK;

    bad |= curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    bad |= curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
    bad |= curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 1L);
    bad |= curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 2L);
    bad |= curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    bad |= curl_easy_setopt(easy, CURLOPT_HTTP09_ALLOWED, 0L);
    // Nothing that unpacks: no answer is larger in memory than on the wire.
    bad |= curl_easy_setopt(easy, CURLOPT_ACCEPT_ENCODING, NULL);
    bad |= curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    bad |= curl_easy_setopt(easy, CURLOPT_NOPROGRESS, 1L);
    bad |= curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
    bad |= curl_easy_setopt(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    // Cancelling does not wait for the name service.
    bad |= curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
    // curl shares this out among a name's addresses. The deadline itself is ours.
    bad |= curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)connect_ms);
    if (loopback)
        bad |= curl_easy_setopt(easy, CURLOPT_PROXY, "");
    return bad;
}

static CURLcode set_call(struct curl_call *call)
{
    CURL *easy = call->easy;
    CURLcode bad = CURLE_OK;

    bad |= curl_easy_setopt(easy, CURLOPT_URL, call->base.r->url);
    bad |= curl_easy_setopt(easy, CURLOPT_HTTPHEADER, call->headers);
    bad |= curl_easy_setopt(easy, CURLOPT_PRIVATE, call);
    bad |= curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, call->detail);
    bad |= curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, on_prepared);
    bad |= curl_easy_setopt(easy, CURLOPT_PREREQDATA, call);
    bad |= curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_head);
    bad |= curl_easy_setopt(easy, CURLOPT_HEADERDATA, call);
    bad |= curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    return bad | curl_easy_setopt(easy, CURLOPT_WRITEDATA, call);
}

static int prepare(struct curl_call *call, struct err *err)
{
    const struct wire_request *r = call->base.r;
    bool loopback = false;
    int rc = check_url(r->url, &loopback, err);

    if (!rc)
        rc = add_headers(call, err);
    if (rc)
        return rc;
    struct curl_wire *wire = call->wire;
    call->easy = wire->spares_len ? wire->spares[--wire->spares_len] : curl_easy_init();
    if (!call->easy || set_rules(call->easy, r, loopback) || set_method(call->easy, r) ||
        set_call(call))
        return err_set(err, E_NOMEM, "wire: out of memory for a request");
    return E_OK;
}

static int start(struct wire *w, struct wire_request *r, struct err *err)
{
    struct curl_wire *wire = (struct curl_wire *)w;
    int rc = wire_calls_admit(&wire->calls, err);

    if (rc)
        return rc;
    struct curl_call *call = mem_zalloc(sizeof(*call));
    if (!call)
        return err_set(err, E_NOMEM, "wire: out of memory for a request");
    call->wire = wire;
    call->base.r = r;
    rc = prepare(call, err);
    if (rc)
        call_release(call);
    else
        wire_call_begin(&wire->calls, &call->base, wire->loop, r, on_call_timer);
    return rc;
}

// ---- the wire ----

static void cancel(struct wire *w, struct wire_request *r)
{
    (void)w;
    wire_call_end_soon(r->impl, WIRE_CANCELLED);
}

static void release(struct wire *w)
{
    struct curl_wire *wire = (struct curl_wire *)w;

    BUG_ON(wire->driving);
    wire->calls.closing = true;
    while (wire->calls.first)
        finish((struct curl_call *)wire->calls.first, WIRE_CANCELLED);
    for (size_t i = 0; i < wire->spares_len; i++)
        curl_easy_cleanup(wire->spares[i]);
    for (size_t i = 0; i < MULTIS_MAX; i++) {
        curl_multi_cleanup(wire->multis[i].handle);
        loop_timer_stop(wire->loop, &wire->multis[i].timer);
    }
    mem_free(wire);
}

static const struct wire_ops CURL_WIRE = {
    .name = "curl",
    .start = start,
    .cancel = cancel,
    .free = release,
};

// curl's own process-wide state, which it never needs twice.
static pthread_once_t curl_once = PTHREAD_ONCE_INIT;
static CURLcode curl_ready;

static void curl_begin(void)
{
    curl_ready = curl_global_init(CURL_GLOBAL_DEFAULT);
}

int wire_new_curl(struct wire **out, struct loop *loop, struct err *err)
{
    pthread_once(&curl_once, curl_begin);
    if (curl_ready != CURLE_OK)
        return err_set(err, E_NOMEM, "wire: curl does not start: %s",
                       curl_easy_strerror(curl_ready));
    struct curl_wire *wire = mem_zalloc(sizeof(*wire));
    if (!wire)
        return err_set(err, E_NOMEM, "wire: out of memory");
    wire->base.ops = &CURL_WIRE;
    wire->loop = loop;
    for (size_t i = 0; i < MULTIS_MAX; i++)
        wire->multis[i].wire = wire;
    *out = &wire->base;
    return E_OK;
}
