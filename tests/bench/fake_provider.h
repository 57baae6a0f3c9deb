// SPDX-License-Identifier: MIT
// fake_provider.h: a loopback HTTP server that answers every POST with one streamed Anthropic
// reply, and keeps connections open. One thread, epoll; does as little as it can, as it is what
// others are measured against. And the peer: curl multi alone against it.
#ifndef BENCH_FAKE_PROVIDER_H
#define BENCH_FAKE_PROVIDER_H

#include <arpa/inet.h>
#include <curl/curl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { FAKE_CONNECTIONS_MAX = 4096, FAKE_HEAD_BYTES = 8192 };

struct fake_connection {
    char head[FAKE_HEAD_BYTES];
    size_t head_len;
    size_t body_left;
    bool in_body;
};

struct fake_provider {
    int listener, epoll, stop, port;
    pthread_t thread;
    char *answer;
    size_t answer_len;
    _Atomic uint64_t *answers;             // counts them; NULL: nobody wants to know
    struct fake_connection *connections;  // by descriptor
};

static inline void fake_answer(struct fake_provider *f, int fd)
{
    size_t at = 0;
    if (f->answers)
        ++*f->answers;
    while (at < f->answer_len) {
        ssize_t n = send(fd, f->answer + at, f->answer_len - at, MSG_NOSIGNAL);
        if (n <= 0)
            return;
        at += (size_t)n;
    }
}

// Takes bytes of a request; answers when its body is whole.
static inline void fake_take(struct fake_provider *f, int fd, const char *bytes, size_t len)
{
    struct fake_connection *c = &f->connections[fd];
    while (len > 0) {
        if (c->in_body) {
            size_t n = len < c->body_left ? len : c->body_left;
            c->body_left -= n;
            bytes += n;
            len -= n;
        } else {
            size_t n =
                len < FAKE_HEAD_BYTES - 1 - c->head_len ? len : FAKE_HEAD_BYTES - 1 - c->head_len;
            memcpy(c->head + c->head_len, bytes, n);
            c->head[c->head_len + n] = '\0';
            char *end = strstr(c->head, "\r\n\r\n");
            if (!end) {
                c->head_len += n;
                return;
            }
            size_t used = (size_t)(end + 4 - c->head) - c->head_len;
            char *length = strcasestr(c->head, "content-length:");
            c->body_left = length ? strtoul(length + 15, NULL, 10) : 0;
            c->in_body = true;
            bytes += used;
            len -= used;
        }
        if (c->in_body && c->body_left == 0) {
            c->in_body = false;
            c->head_len = 0;
            fake_answer(f, fd);
        }
    }
}

static inline void *fake_main(void *arg)
{
    struct fake_provider *f = arg;
    struct epoll_event events[64];
    static char bytes[1 << 20];
    for (;;) {
        int n = epoll_wait(f->epoll, events, 64, -1);
        for (int i = 0; i < n; i++) {
            int fd = events[i].data.fd;
            if (fd == f->stop)
                return NULL;
            if (fd == f->listener) {
                int conn = accept(f->listener, NULL, NULL);
                if (conn < 0 || conn >= FAKE_CONNECTIONS_MAX) {
                    close(conn);
                    continue;
                }
                memset(&f->connections[conn], 0, sizeof(f->connections[conn]));
                struct epoll_event e = {.events = EPOLLIN, .data.fd = conn};
                epoll_ctl(f->epoll, EPOLL_CTL_ADD, conn, &e);
                continue;
            }
            ssize_t got = read(fd, bytes, sizeof(bytes));
            if (got <= 0)
                close(fd);
            else
                fake_take(f, fd, bytes, (size_t)got);
        }
    }
}

static inline char *fake_stream(const char *reply, size_t *len)
{
    char *body = malloc(8192), *whole = malloc(16384);
    int n = snprintf(
        body, 8192,
        "event: message_start\ndata: "
        "{\"type\":\"message_start\",\"message\":{\"id\":\"msg_1\",\"type\":\"message\","
        "\"role\":\"assistant\",\"model\":\"bench-model\",\"content\":[],\"usage\":{\"input_"
        "tokens\":10,"
        "\"output_tokens\":1}}}\n\n"
        "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,"
        "\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n"
        "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,"
        "\"delta\":{\"type\":\"text_delta\",\"text\":\"%s\"}}\n\n"
        "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\n"
        "event: message_delta\ndata: "
        "{\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},"
        "\"usage\":{\"output_tokens\":18}}\n\n"
        "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
        reply);
    *len = (size_t)snprintf(
        whole, 16384,
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: %d\r\n\r\n%s", n,
        body);
    free(body);
    return whole;
}

// NULL when the loopback cannot be had. `answers` counts what it answers; NULL: nobody asks.
static inline struct fake_provider *fake_provider_start(const char *reply,
                                                        _Atomic uint64_t *answers)
{
    struct fake_provider *f = calloc(1, sizeof(*f));
    f->answers = answers;
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(a);
    f->connections = calloc(FAKE_CONNECTIONS_MAX, sizeof(*f->connections));
    f->answer = fake_stream(reply, &f->answer_len);
    f->listener = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(f->listener, (struct sockaddr *)&a, sizeof(a)) != 0 || listen(f->listener, 1024) != 0)
        return NULL;
    getsockname(f->listener, (struct sockaddr *)&a, &len);
    f->port = ntohs(a.sin_port);
    f->epoll = epoll_create1(0);
    f->stop = eventfd(0, 0);
    struct epoll_event e = {.events = EPOLLIN, .data.fd = f->listener};
    epoll_ctl(f->epoll, EPOLL_CTL_ADD, f->listener, &e);
    e.data.fd = f->stop;
    epoll_ctl(f->epoll, EPOLL_CTL_ADD, f->stop, &e);
    pthread_create(&f->thread, NULL, fake_main, f);
    return f;
}

static inline int fake_provider_port(const struct fake_provider *f)
{
    return f->port;
}

static inline void fake_provider_stop(struct fake_provider *f)
{
    (void)!write(f->stop, &(uint64_t){1}, sizeof(uint64_t));
    pthread_join(f->thread, NULL);
    close(f->listener);
    close(f->epoll);
    close(f->stop);
    free(f->answer);
    free(f->connections);
    free(f);
}

// ---- curl multi alone

static inline size_t fake_discard(char *bytes, size_t size, size_t n, void *user)
{
    (void)bytes;
    (void)user;
    return size * n;
}

static inline double fake_provider_curl_peer(const struct fake_provider *f, int concurrent,
                                             long requests)
{
    char url[64];
    static char body[4096];
    struct timespec t0, t1;
    CURLM *multi = curl_multi_init();
    long sent = 0, done = 0;
    int running;
    memset(body, 'x', sizeof(body) - 1);
    snprintf(url, sizeof(url), "http://127.0.0.1:%d/v1/messages", f->port);
    clock_gettime(CLOCK_MONOTONIC, &t0);
    for (int i = 0; i < concurrent; i++, sent++) {
        CURL *easy = curl_easy_init();
        curl_easy_setopt(easy, CURLOPT_URL, url);
        curl_easy_setopt(easy, CURLOPT_POSTFIELDS, body);
        curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, fake_discard);
        curl_multi_add_handle(multi, easy);
    }
    while (done < requests) {
        CURLMsg *message;
        int left;
        curl_multi_perform(multi, &running);
        while ((message = curl_multi_info_read(multi, &left)) != NULL) {
            CURL *easy = message->easy_handle;
            curl_multi_remove_handle(multi, easy);
            done++;
            if (sent < requests) {
                curl_multi_add_handle(multi, easy);
                sent++;
            } else {
                curl_easy_cleanup(easy);
            }
        }
        curl_multi_poll(multi, NULL, 0, 100, NULL);
    }
    clock_gettime(CLOCK_MONOTONIC, &t1);
    curl_multi_cleanup(multi);
    return (double)requests /
           ((double)(t1.tv_sec - t0.tv_sec) + (double)(t1.tv_nsec - t0.tv_nsec) / 1e9);
}

#endif
