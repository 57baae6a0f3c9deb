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
// 4. A call that curl could not go on with for lack of memory has left its multi before curl runs
//    again, and what curl still notes of its socket is never met by another (end_what_starved).
// Thread: the loop's.
#include "net/wire_curl_flaws.h"
#include "net/wire_curl_head.h"
#include "net/wire_curl_request.h"
#include "net/wire_int.h"

#include "base/mem.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum {
    MULTI_CALLS_MAX = 500,
    MULTIS_MAX = (WIRE_CALLS_MAX + MULTI_CALLS_MAX - 1) / MULTI_CALLS_MAX,
    SPARE_EASIES_MAX = 64,
};

// A handle between two calls, with the headers of the last one, which the next one has too, mostly.
struct spare {
    CURL *easy;
    struct curl_slist *headers;
};

struct multi {
    struct curl_wire *wire;
    CURLM *handle;            // NULL until needed
    struct loop_timer timer;  // curl's own timeouts
    struct curl_call *ran;    // while driving: the last call that curl worked on
    size_t calls;
    bool retired;             // takes no more calls, and is closed after its last
    int held;                 // while retired: a descriptor of ours, for its number only, or -1
};

struct curl_wire {
    struct wire base;
    struct loop *loop;
    struct wire_calls calls;
    struct multi multis[MULTIS_MAX];
    struct spare spares[SPARE_EASIES_MAX];
    size_t spares_len;
    struct wire_curl_url url;  // the last request's
    bool driving;              // in drive(): the wire must not go away
    int zero;                  // owned: a copy of descriptor 0, or -1
    bool zero_open;            // it was when curl was entered
};

struct curl_call {
    struct wire_call base;
    struct curl_wire *wire;
    struct multi *multi;
    CURL *easy;
    struct curl_slist *headers;
    enum wire_curl_head head;
    int opened;           // the socket that curl is connecting for it, or -1
    bool prepared;        // the connection stood, and sending began
    bool reused;          // on a connection that was kept
    bool repeated;        // curl began again, as that one turned out dead
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
    call->repeated = call->prepared;
    call->prepared = true;
    call->reused = call->opened < 0;
    call->opened = -1;
    wire_call_enter(&call->base, WIRE_WAITING);
    return CURL_PREREQFUNC_OK;
}

static size_t on_head(char *bytes, size_t one, size_t len, void *user)
{
    struct curl_call *call = user;

    (void)one;
    bool go_on = wire_call_header_bytes(&call->base, len) &&
                 wire_curl_head_line(&call->head, &call->base, call->easy, slice_of(bytes, len));
    return go_on ? len : len ? 0 : 1;  // anything but len ends the transfer
}

static size_t on_body(char *bytes, size_t one, size_t len, void *user)
{
    struct curl_call *call = user;

    (void)one;
    return wire_call_data(&call->base, slice_of(bytes, len)) ? len : len ? 0 : 1;
}

static void mend_zero(const struct curl_wire *wire)
{
    if (wire->zero_open)
        wire_curl_mend_zero(wire->zero);
}

static curl_socket_t on_open(void *user, curlsocktype purpose, struct curl_sockaddr *to)
{
    struct curl_call *call = user;

    (void)purpose;
    // Before anybody on the other side of it may get the number.
    mend_zero(call->wire);
    call->opened = wire_curl_socket(to);
    return call->opened;
}

// curl reports progress whenever it has worked on a transfer with a connection.
static int on_progress(void *user, curl_off_t down, curl_off_t downed, curl_off_t up,
                       curl_off_t upped)
{
    struct curl_call *call = user;

    (void)down, (void)downed, (void)up, (void)upped;
    if (call->multi)
        call->multi->ran = call;
    return 0;
}

static void on_watch(struct loop_watch *watch, unsigned events);

static struct sock *sock_new(struct multi *multi, curl_socket_t fd)
{
    struct sock *sock = mem_zalloc(sizeof(*sock));

    if (!sock)
        return NULL;
    *sock = (struct sock){.watch = {.fn = on_watch, .fd = fd}, .multi = multi};
    if (curl_multi_assign(multi->handle, fd, sock) != CURLM_OK) {
        mem_free(sock);
        return NULL;
    }
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

// Keeps the handle if all went well with it: its options hold for all requests, or are set again by
// the next call, and curl_easy_reset, which would forget what a failed call left, may itself fail
// half way for lack of memory without a word (libcurl 7.88.1, lib/url.c, Curl_init_userdefined).
static void call_release(struct curl_call *call, bool keep)
{
    struct curl_wire *wire = call->wire;

    if (call->easy && keep && !call->repeated && wire->spares_len < SPARE_EASIES_MAX) {
        wire_curl_forget(call->easy);
        wire->spares[wire->spares_len++] = (struct spare){call->easy, call->headers};
    } else {
        curl_easy_cleanup(call->easy);
        curl_slist_free_all(call->headers);
    }
    mem_free(call);
}

static void multi_close(struct multi *multi)
{
    curl_multi_cleanup(multi->handle);
    loop_timer_stop(multi->wire->loop, &multi->timer);
    multi->handle = NULL;
    if (multi->retired && multi->held >= 0)
        close(multi->held);
    multi->retired = false;
}

static void multi_rest(struct multi *multi)
{
    if (multi->retired && multi->calls == 0 && !multi->wire->driving)
        multi_close(multi);
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
        multi_rest(call->multi);
    }
    if (end == WIRE_NO_CONNECT)
        mend_zero(call->wire);
    wire_call_finish(&call->wire->calls, &call->base);
    call_release(call, end == WIRE_OK);
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

static void end_starved(struct curl_call *call)
{
    call->cause = OUT_OF_MEMORY;
    finish(call, end_of(call, CURLE_OUT_OF_MEMORY));
}

// Takes the call out of its multi, to begin again in another. Nothing of it was sent.
static void restart(struct curl_call *call)
{
    curl_multi_remove_handle(call->multi->handle, call->easy);
    call->multi->calls--;
    call->multi = NULL;
    call->opened = -1;
    if (!call->base.ending)
        wire_call_again(&call->base);
}

// The multi takes no more calls; `fd` is the number that curl must not meet again, -1 when it named
// no call and all are in doubt. What was not sent yet begins again elsewhere. What was, goes on: of
// that only a call whose kept connection turns out dead may make curl open a descriptor, and where
// the number could not be held it ends.
static void retire(struct multi *multi, int fd)
{
    bool held = false;
    struct wire_call *next;

    if (!multi->retired) {
        multi->held = fd < 0 ? -1 : wire_curl_hold_number(fd);
        held = multi->held >= 0;
    }
    multi->retired = true;
    for (struct wire_call *at = multi->wire->calls.first; at; at = next) {
        struct curl_call *call = (struct curl_call *)at;
        next = at->next;
        if (call->multi != multi)
            continue;
        if (!call->prepared) {
            restart(call);
        } else if (fd < 0 || (!held && call->reused && at->phase == WIRE_WAITING)) {
            end_starved(call);
            next = multi->wire->calls.first; // its end may have led to other ends
        }
    }
}

// curl stopped in between: it found no memory for its note of a socket that a call waits for. That
// call, the last one that curl worked on, would wait for ever, and ends.
static void end_what_starved(struct multi *multi)
{
    struct curl_call *call = multi->ran;
    int fd = call ? call->opened : -1;

    if (call)
        end_starved(call);
    if (!call || wire_curl_has_stale(multi->handle, fd))
        retire(multi, fd);
    // What curl had still to do, it does next. Bounded: each time a call has left the multi.
    if (multi->calls)
        loop_timer_start(multi->wire->loop, &multi->timer, 0);
}

static void drive(struct multi *multi, curl_socket_t fd, int events)
{
    struct curl_wire *wire = multi->wire;
    CURLMsg *message;
    int left;

    wire->driving = true;
    wire->zero_open = wire_curl_zero_open();
    multi->ran = NULL;
    if (curl_multi_socket_action(multi->handle, fd, events, &left) != CURLM_OK)
        end_what_starved(multi);
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
    wire->zero_open = false;
    multi_rest(multi);
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
    // None of these takes memory or fails.
    curl_multi_setopt(handle, CURLMOPT_SOCKETFUNCTION, on_socket);
    curl_multi_setopt(handle, CURLMOPT_SOCKETDATA, multi);
    curl_multi_setopt(handle, CURLMOPT_TIMERFUNCTION, on_curl_timeout);
    curl_multi_setopt(handle, CURLMOPT_TIMERDATA, multi);
    curl_multi_setopt(handle, CURLMOPT_MAXCONNECTS, (long)MULTI_CALLS_MAX);
    multi->handle = handle;
    multi->timer.fn = on_multi_timer;
    return E_OK;
}

// The first multi with room, so that connections are reused as long as one is enough. NULL: out of
// memory, now or when multis retired.
static struct multi *multi_with_room(struct curl_wire *wire)
{
    for (size_t i = 0; i < MULTIS_MAX; i++) {
        struct multi *multi = &wire->multis[i];
        if (!multi->handle && multi_open(multi) != E_OK)
            return NULL;
        if (multi->calls < MULTI_CALLS_MAX && !multi->retired)
            return multi;
    }
    return NULL;
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

// A new handle, with what is the same for all calls.
static CURL *easy_new(void)
{
    CURL *easy = curl_easy_init();
    CURLcode bad = easy ? wire_curl_rules(easy) : CURLE_OUT_OF_MEMORY;

    bad |= curl_easy_setopt(easy, CURLOPT_NOPROGRESS, 0L);
    bad |= curl_easy_setopt(easy, CURLOPT_XFERINFOFUNCTION, on_progress);
    bad |= curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, on_open);
    bad |= curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, on_prepared);
    bad |= curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_head);
    bad |= curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    if (!bad)
        return easy;
    curl_easy_cleanup(easy);
    return NULL;
}

static CURLcode set_call(struct curl_call *call)
{
    CURL *easy = call->easy;
    CURLcode bad = CURLE_OK;

    bad |= curl_easy_setopt(easy, CURLOPT_URL, call->base.r->url);
    bad |= curl_easy_setopt(easy, CURLOPT_HTTPHEADER, call->headers);
    bad |= curl_easy_setopt(easy, CURLOPT_PRIVATE, call);
    bad |= curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, call->detail);
    bad |= curl_easy_setopt(easy, CURLOPT_XFERINFODATA, call);
    bad |= curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, call);
    bad |= curl_easy_setopt(easy, CURLOPT_PREREQDATA, call);
    bad |= curl_easy_setopt(easy, CURLOPT_HEADERDATA, call);
    return bad | curl_easy_setopt(easy, CURLOPT_WRITEDATA, call);
}

static int prepare(struct curl_call *call, struct err *err)
{
    const struct wire_request *r = call->base.r;
    struct curl_wire *wire = call->wire;
    int rc = wire_curl_check_url(&wire->url, r->url, err);

    if (rc)
        return rc;
    struct spare spare = wire->spares_len ? wire->spares[--wire->spares_len]
                                          : (struct spare){.easy = easy_new()};
    call->easy = spare.easy;
    call->headers = spare.headers;
    rc = wire_curl_headers(&call->headers, r, err);
    if (rc)
        return rc;
    if (!call->easy || wire_curl_options(call->easy, r, wire->url.loopback) || set_call(call))
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
    call->opened = -1;
    call->base.r = r;
    rc = prepare(call, err);
    if (rc)
        call_release(call, false);
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
    for (size_t i = 0; i < wire->spares_len; i++) {
        curl_easy_cleanup(wire->spares[i].easy);
        curl_slist_free_all(wire->spares[i].headers);
    }
    for (size_t i = 0; i < MULTIS_MAX; i++)
        multi_close(&wire->multis[i]);
    if (wire->zero >= 0)
        close(wire->zero);
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
    wire->zero = wire_curl_copy_zero();
    for (size_t i = 0; i < MULTIS_MAX; i++)
        wire->multis[i].wire = wire;
    *out = &wire->base;
    return E_OK;
}
