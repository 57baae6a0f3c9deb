// SPDX-License-Identifier: MIT
// wire_probe.h: for tests of wires: a request that writes down all that it hears, and holds the
// wire to its promises on the way: order of the calls, on_done once, none inside start or cancel.
//
// A world is a loop, a wire and a loopback server; run() returns when all its requests are done.
// Header only: include it once, in a test program.
#ifndef TESTS_WIRE_PROBE_H
#define TESTS_WIRE_PROBE_H

#include "base/loop.h"
#include "net/wire.h"
#include "support/loopback.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

enum { BODY_MAX = 1 << 20, LONG_MS = 60000 };

struct world;

// A request and all that is heard of it.
struct probe {
    struct wire_request r;
    struct world *world;
    char url[LOOPBACK_URL_BYTES];
    struct buf headers, body;
    int status;
    unsigned statuses, pieces, done;
    enum wire_end end;
    struct err err;
    enum { NOWHERE, AT_STATUS, AT_HEADER, AT_DATA } cancel_at;
    bool refuse_data;        // on_data returns false
    uint64_t allow_more;     // bytes the server may send after each piece
    struct probe *starts;    // on_done starts this one
};

struct world {
    struct loop *loop;
    struct wire *wire;
    struct loopback server;
    unsigned waiting;        // requests that are not done; the loop stops at 0
    bool starting;           // inside wire_start or wire_cancel, where nothing may be called back
};

static inline void maybe_cancel(struct probe *p, int here)
{
    if ((int)p->cancel_at != here)
        return;
    p->world->starting = true;
    wire_cancel(p->world->wire, &p->r);
    p->world->starting = false;
}

static inline void on_status(struct wire_request *r, int status)
{
    struct probe *p = r->user;
    assert_false(p->world->starting);
    assert_int_equal(p->done + p->pieces, 0);
    p->status = status;
    p->statuses++;
    maybe_cancel(p, AT_STATUS);
}

static inline void on_header(struct wire_request *r, struct slice name, struct slice value)
{
    struct probe *p = r->user;
    assert_int_equal(p->statuses, 1);
    assert_int_equal(p->done + p->pieces, 0);
    buf_addf(&p->headers, "%.*s=%.*s;", SLICE_FMT(name), SLICE_FMT(value));
    maybe_cancel(p, AT_HEADER);
}

static inline bool on_data(struct wire_request *r, struct slice bytes)
{
    struct probe *p = r->user;
    assert_int_equal(p->statuses, 1);
    assert_int_equal(p->done, 0);
    p->pieces++;
    buf_add_slice(&p->body, bytes);
    if (p->allow_more)
        loopback_allow(&p->world->server, p->allow_more);
    maybe_cancel(p, AT_DATA);
    return !p->refuse_data;
}

static inline void begin(struct probe *p);

static inline void on_done(struct wire_request *r, enum wire_end end, const struct err *err)
{
    struct probe *p = r->user;
    assert_false(p->world->starting);
    assert_non_null(err);
    assert_int_equal(err->code == E_OK, end == WIRE_OK);
    p->done++;
    p->end = end;
    p->err = *err;
    if (p->starts)
        begin(p->starts);
    if (--p->world->waiting == 0)
        loop_stop(p->world->loop);
}

static inline void probe_init(struct probe *p, struct world *w)
{
    *p = (struct probe){
        .r = {.method = "POST", .body = SLICE_LIT("{\"ask\":1}"), .max_bytes = BODY_MAX,
              .deadlines = {LONG_MS, LONG_MS, LONG_MS, LONG_MS}, .headers_len = 1,
              .headers = {SLICE_LIT("Content-Type: application/json")},
              .on_status = on_status, .on_header = on_header, .on_data = on_data,
              .on_done = on_done},
        .world = w, .headers = BUF_INIT(BODY_MAX), .body = BUF_INIT(BODY_MAX),
    };
    loopback_url(&w->server, "/v1/messages", p->url);
}

static inline int try_begin(struct probe *p)
{
    p->r.url = p->url;
    p->r.user = p;
    p->world->starting = true;
    int rc = wire_start(p->world->wire, &p->r, NULL);
    p->world->starting = false;
    if (rc == E_OK)
        p->world->waiting++;
    return rc;
}

static inline void begin(struct probe *p)
{
    assert_int_equal(try_begin(p), E_OK);
}

static inline void stop(struct probe *p)
{
    p->world->starting = true;
    wire_cancel(p->world->wire, &p->r);
    p->world->starting = false;
}

static inline void run(struct world *w)
{
    if (w->waiting)
        loop_run(w->loop);
    assert_int_equal(w->waiting, 0);
}

static inline void probe_release(struct probe *p)
{
    assert_int_equal(p->done, 1);
    buf_release(&p->headers);
    buf_release(&p->body);
}

// One request against the world's server, from start to end.
static inline void ask(struct probe *p)
{
    begin(p);
    run(p->world);
    assert_int_equal(p->done, 1);
}

static inline void world_init(struct world *w, const struct loopback_reply *replies, size_t len)
{
    memset(w, 0, sizeof(*w));
    loopback_start(&w->server, replies, len);
    assert_int_equal(loop_new(&w->loop, clock_system(), NULL), E_OK);
    assert_int_equal(wire_new_curl(&w->wire, w->loop, NULL), E_OK);
}

static inline void world_release(struct world *w)
{
    wire_free(w->wire);
    loop_free(w->loop);
    loopback_stop(&w->server);
}

static inline void ask_once(const struct loopback_reply *reply, struct world *w, struct probe *p)
{
    world_init(w, reply, 1);
    probe_init(p, w);
    ask(p);
}

static inline void end_once(struct world *w, struct probe *p)
{
    probe_release(p);
    world_release(w);
}

static inline void assert_text(const struct buf *got, const char *want)
{
    if (!slice_is(buf_slice(got), want))
        fail_msg("got <%.*s>, want <%s>", SLICE_FMT(buf_slice(got)), want);
}

#define REPLY(text) {.bytes = SLICE_LIT(text)}

// A port that nobody listens on: bound, so that nobody else takes it.
static inline int closed_port(char url[LOOPBACK_URL_BYTES], int backlog)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(at);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (void *)&at, sizeof(at)), 0);
    if (backlog >= 0)
        assert_int_equal(listen(fd, backlog), 0);
    assert_int_equal(getsockname(fd, (void *)&at, &len), 0);
    snprintf(url, LOOPBACK_URL_BYTES, "http://127.0.0.1:%u/", (unsigned)ntohs(at.sin_port));
    return fd;
}

#endif
