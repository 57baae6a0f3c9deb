// SPDX-License-Identifier: MIT
// loopback.h: a small HTTP server for tests, on its own thread and a port that the kernel chooses.
//
// It plays byte scripts, one per request in the order in which requests come (the last one again
// and again): whole answers, answers cut after N bytes, byte by byte, never, without end, with a
// reset. What is sent is exactly `bytes`; loopback_http() writes ordinary answers into them:
//
//     struct buf sse = BUF_INIT(1 << 20);
//     loopback_http(&sse, 200, "Content-Type: text/event-stream\r\n", SLICE_LIT("data: 1\n\n"));
//     // Cut after 40 bytes:
//     struct loopback_reply reply = {.bytes = slice_of(sse.ptr, 40), .then = LOOPBACK_CLOSE};
//     struct loopback server;
//     loopback_start(&server, &reply, 1);
//     loopback_url(&server, "/v1/messages", url);
//     ...
//     loopback_stop(&server);
//     buf_release(&sse);
//
// The server allocates with malloc, so that mem_fail_at does not reach it. The functions are called
// by the test's thread. Header only: include it once, in a test program.
#ifndef TESTS_LOOPBACK_H
#define TESTS_LOOPBACK_H

#include "base/buf.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

enum loopback_then {
    LOOPBACK_KEEP,   // wait for the next request on this connection
    LOOPBACK_CLOSE,
    LOOPBACK_RESET,  // TCP reset
    LOOPBACK_HANG,   // say nothing more until the client goes
};

struct loopback_reply {
    struct slice bytes;        // borrowed until loopback_stop; may be empty
    uint64_t repeat;           // how often bytes are sent; 0 means once
    enum loopback_then then;   // afterwards
    bool gated;                // one byte goes out per loopback_allow
    bool deaf;                 // for a connection: reply at once, without reading a request
};

struct loopback_conn {
    int fd;
    char *in;                  // owned: the request so far
    size_t in_len, in_cap;
    const struct loopback_reply *reply;  // NULL while reading
    uint64_t sent;
    bool hanging;
};

enum { LOOPBACK_CONNS_MAX = 1024, LOOPBACK_URL_BYTES = 128 };

struct loopback {
    const struct loopback_reply *replies;
    size_t replies_len;
    int listener, waker;
    uint16_t port;
    pthread_t thread;
    struct loopback_conn conns[LOOPBACK_CONNS_MAX];
    size_t conns_len;
    struct pollfd polls[LOOPBACK_CONNS_MAX + 2];
    // Under the lock.
    pthread_mutex_t lock;
    pthread_cond_t changed;
    unsigned requests, connections;  // so far
    unsigned closed;                 // connections that are over, whoever closed them
    uint64_t allowed;                // bytes that gated replies may still send
    unsigned hold;                   // nothing is answered before so many requests have come
    char *last;                      // the last request's bytes, owned
    size_t last_len;
    bool stop;
};

// Appends an answer with Content-Length. `headers` are whole lines, may be "".
static inline void loopback_http(struct buf *out, int status, const char *headers,
                                 struct slice body)
{
    buf_addf(out, "HTTP/1.1 %d Status\r\n%sContent-Length: %zu\r\n\r\n", status, headers, body.len);
    buf_add_slice(out, body);
}

// The same in chunks of `step` bytes.
static inline void loopback_chunked(struct buf *out, int status, const char *headers,
                                    struct slice body, size_t step)
{
    buf_addf(out, "HTTP/1.1 %d Status\r\n%sTransfer-Encoding: chunked\r\n\r\n", status, headers);
    for (size_t at = 0; at < body.len; at += step) {
        size_t n = step < body.len - at ? step : body.len - at;
        buf_addf(out, "%zx\r\n", n);
        buf_add(out, body.ptr + at, n);
        buf_add_str(out, "\r\n");
    }
    buf_add_str(out, "0\r\n\r\n");
}

// ---- the server's thread ----

static inline void loopback_drop(struct loopback *s, size_t at, bool reset)
{
    struct loopback_conn *conn = &s->conns[at];
    struct linger linger = {.l_onoff = 1};

    if (reset)
        setsockopt(conn->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
    close(conn->fd);
    free(conn->in);
    *conn = s->conns[--s->conns_len];
    pthread_mutex_lock(&s->lock);
    s->closed++;
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->lock);
}

// Length of the whole request at the buffer's beginning, 0 while it has not come.
static inline size_t loopback_whole(const struct loopback_conn *conn)
{
    const char *end = conn->in ? memmem(conn->in, conn->in_len, "\r\n\r\n", 4) : NULL;
    size_t body = 0;

    if (!end)
        return 0;
    for (const char *at = conn->in; at < end; at++)
        if (*at == '\n' && strncasecmp(at + 1, "content-length:", 15) == 0)
            body = strtoul(at + 16, NULL, 10);
    size_t whole = (size_t)(end - conn->in) + 4 + body;
    return conn->in_len >= whole ? whole : 0;
}

static inline void loopback_choose(struct loopback *s, struct loopback_conn *conn)
{
    size_t nth = s->requests++;

    conn->reply = &s->replies[nth < s->replies_len ? nth : s->replies_len - 1];
    conn->sent = 0;
}

static inline void loopback_take_request(struct loopback *s, struct loopback_conn *conn)
{
    size_t whole = loopback_whole(conn);

    if (!whole || conn->reply)
        return;
    pthread_mutex_lock(&s->lock);
    free(s->last);
    s->last = malloc(whole);
    memcpy(s->last, conn->in, whole);
    s->last_len = whole;
    loopback_choose(s, conn);
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->lock);
    conn->in_len -= whole;
    memmove(conn->in, conn->in + whole, conn->in_len);
}

static inline uint64_t loopback_total(const struct loopback_reply *reply)
{
    return reply->bytes.len * (reply->repeat ? reply->repeat : 1);
}

// Bytes that may go out now.
static inline uint64_t loopback_due(struct loopback *s, const struct loopback_conn *conn)
{
    if (!conn->reply)
        return 0;
    uint64_t due = loopback_total(conn->reply) - conn->sent;
    pthread_mutex_lock(&s->lock);
    if (s->requests < s->hold)
        due = 0;
    else if (conn->reply->gated && due > s->allowed)
        due = s->allowed;
    pthread_mutex_unlock(&s->lock);
    return due;
}

// False: the connection is gone.
static inline bool loopback_send(struct loopback *s, struct loopback_conn *conn)
{
    uint64_t due;

    while ((due = loopback_due(s, conn)) > 0) {
        size_t at = (size_t)(conn->sent % conn->reply->bytes.len);
        size_t n = conn->reply->bytes.len - at;
        if (n > due)
            n = (size_t)due;
        if (conn->reply->gated)
            n = 1;
        ssize_t sent = send(conn->fd, conn->reply->bytes.ptr + at, n, MSG_NOSIGNAL);
        if (sent < 0)
            return errno == EAGAIN;
        conn->sent += (uint64_t)sent;
        if (conn->reply->gated) {
            pthread_mutex_lock(&s->lock);
            s->allowed--;
            pthread_mutex_unlock(&s->lock);
        }
    }
    return true;
}

static inline bool loopback_read(struct loopback_conn *conn)
{
    if (conn->in_cap - conn->in_len < 65536) {
        conn->in_cap = conn->in_cap * 2 + 65536;
        conn->in = realloc(conn->in, conn->in_cap);
    }
    ssize_t n = recv(conn->fd, conn->in + conn->in_len, conn->in_cap - conn->in_len, 0);
    if (n > 0)
        conn->in_len += (size_t)n;
    return n > 0 || (n < 0 && errno == EAGAIN);
}

static inline void loopback_serve(struct loopback *s, size_t at, short events)
{
    struct loopback_conn *conn = &s->conns[at];
    bool deaf = conn->reply && conn->reply->deaf && !conn->hanging;

    if ((events & (POLLIN | POLLHUP | POLLERR)) && !deaf && !loopback_read(conn)) {
        loopback_drop(s, at, false);
        return;
    }
    loopback_take_request(s, conn);
    if (!loopback_send(s, conn)) {
        loopback_drop(s, at, false);
        return;
    }
    pthread_mutex_lock(&s->lock);
    bool held = s->requests < s->hold;
    pthread_mutex_unlock(&s->lock);
    if (!conn->reply || conn->hanging || held || conn->sent < loopback_total(conn->reply))
        return;
    if (conn->reply->then == LOOPBACK_KEEP)
        conn->reply = NULL;
    else if (conn->reply->then == LOOPBACK_HANG)
        conn->hanging = true;
    else
        loopback_drop(s, at, conn->reply->then == LOOPBACK_RESET);
}

static inline void loopback_accept(struct loopback *s)
{
    int on = 1;

    while (s->conns_len < LOOPBACK_CONNS_MAX) {
        int fd = accept4(s->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0)
            return;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
        struct loopback_conn *conn = &s->conns[s->conns_len++];
        *conn = (struct loopback_conn){.fd = fd};
        pthread_mutex_lock(&s->lock);
        s->connections++;
        size_t nth = s->requests < s->replies_len ? s->requests : s->replies_len - 1;
        if (s->replies[nth].deaf)
            loopback_choose(s, conn);
        pthread_cond_broadcast(&s->changed);
        pthread_mutex_unlock(&s->lock);
    }
}

static inline void *loopback_run(void *user)
{
    struct loopback *s = user;
    struct pollfd *polls = s->polls;
    bool stop = false;

    while (!stop) {
        size_t len = s->conns_len;
        polls[0] = (struct pollfd){.fd = s->listener, .events = POLLIN};
        polls[1] = (struct pollfd){.fd = s->waker, .events = POLLIN};
        for (size_t i = 0; i < len; i++)
            polls[i + 2] = (struct pollfd){
                .fd = s->conns[i].fd,
                .events = (short)(POLLIN | (loopback_due(s, &s->conns[i]) ? POLLOUT : 0))};
        poll(polls, len + 2, -1);
        if (polls[1].revents) {
            uint64_t count;
            (void)!read(s->waker, &count, sizeof(count));
        }
        // Backwards: a connection that is dropped is replaced by the last one, which was served.
        for (size_t i = len; i-- > 0;)
            loopback_serve(s, i, polls[i + 2].revents);
        if (polls[0].revents)
            loopback_accept(s);
        // What was accepted as deaf is answered in the next round, without an event of its own.
        for (size_t i = s->conns_len; i-- > 0;)
            if (s->conns[i].reply && s->conns[i].reply->deaf)
                loopback_serve(s, i, 0);
        pthread_mutex_lock(&s->lock);
        stop = s->stop;
        pthread_mutex_unlock(&s->lock);
    }
    while (s->conns_len)
        loopback_drop(s, s->conns_len - 1, false);
    return NULL;
}

// ---- the test's thread ----

static inline void loopback_wake(struct loopback *s)
{
    uint64_t one = 1;
    (void)!write(s->waker, &one, sizeof(one));
}

// `replies` (borrowed, at least one) are played in order; aborts if there is no socket to be had.
static inline void loopback_start(struct loopback *s, const struct loopback_reply *replies,
                                  size_t len)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t at_len = sizeof(at);

    memset(s, 0, sizeof(*s));
    s->replies = replies;
    s->replies_len = len;
    s->listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    s->waker = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (s->listener < 0 || s->waker < 0 || bind(s->listener, (void *)&at, sizeof(at)) != 0 ||
        listen(s->listener, LOOPBACK_CONNS_MAX) != 0 ||
        getsockname(s->listener, (void *)&at, &at_len) != 0)
        BUG("loopback: %s", strerror(errno));
    s->port = ntohs(at.sin_port);
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->changed, NULL);
    if (pthread_create(&s->thread, NULL, loopback_run, s) != 0)
        BUG("loopback: no thread");
}

static inline void loopback_stop(struct loopback *s)
{
    pthread_mutex_lock(&s->lock);
    s->stop = true;
    pthread_mutex_unlock(&s->lock);
    loopback_wake(s);
    pthread_join(s->thread, NULL);
    close(s->listener);
    close(s->waker);
    free(s->last);
    pthread_mutex_destroy(&s->lock);
    pthread_cond_destroy(&s->changed);
}

static inline void loopback_url(const struct loopback *s, const char *path,
                                char out[LOOPBACK_URL_BYTES])
{
    snprintf(out, LOOPBACK_URL_BYTES, "http://127.0.0.1:%u%s", (unsigned)s->port, path);
}

// Lets gated replies send so many bytes more.
static inline void loopback_allow(struct loopback *s, uint64_t bytes)
{
    pthread_mutex_lock(&s->lock);
    s->allowed += bytes;
    pthread_mutex_unlock(&s->lock);
    loopback_wake(s);
}

// No answer goes out before so many requests have come. Call it before the first request.
static inline void loopback_hold(struct loopback *s, unsigned requests)
{
    pthread_mutex_lock(&s->lock);
    s->hold = requests;
    pthread_mutex_unlock(&s->lock);
}

// Blocks until so many requests have come, or connections ended, since the start.
static inline void loopback_wait_requests(struct loopback *s, unsigned n)
{
    pthread_mutex_lock(&s->lock);
    while (s->requests < n)
        pthread_cond_wait(&s->changed, &s->lock);
    pthread_mutex_unlock(&s->lock);
}

static inline void loopback_wait_closed(struct loopback *s, unsigned n)
{
    pthread_mutex_lock(&s->lock);
    while (s->closed < n)
        pthread_cond_wait(&s->changed, &s->lock);
    pthread_mutex_unlock(&s->lock);
}

static inline unsigned loopback_requests(struct loopback *s)
{
    pthread_mutex_lock(&s->lock);
    unsigned n = s->requests;
    pthread_mutex_unlock(&s->lock);
    return n;
}

static inline unsigned loopback_connections(struct loopback *s)
{
    pthread_mutex_lock(&s->lock);
    unsigned n = s->connections;
    pthread_mutex_unlock(&s->lock);
    return n;
}

// The last whole request as it came, appended to out.
static inline void loopback_last(struct loopback *s, struct buf *out)
{
    pthread_mutex_lock(&s->lock);
    buf_add(out, s->last, s->last_len);
    pthread_mutex_unlock(&s->lock);
}

#endif
