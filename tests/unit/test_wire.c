// SPDX-License-Identifier: MIT
// The wires: the real one against a server on the loopback, the simulated one in simulated time.
#include "base/loop.h"
#include "base/mem.h"
#include "net/wire.h"
#include "support/loopback.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/resource.h>

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

static void maybe_cancel(struct probe *p, int here)
{
    if ((int)p->cancel_at != here)
        return;
    p->world->starting = true;
    wire_cancel(p->world->wire, &p->r);
    p->world->starting = false;
}

static void on_status(struct wire_request *r, int status)
{
    struct probe *p = r->user;
    assert_false(p->world->starting);
    assert_int_equal(p->done + p->pieces, 0);
    p->status = status;
    p->statuses++;
    maybe_cancel(p, AT_STATUS);
}

static void on_header(struct wire_request *r, struct slice name, struct slice value)
{
    struct probe *p = r->user;
    assert_int_equal(p->statuses, 1);
    assert_int_equal(p->done + p->pieces, 0);
    buf_addf(&p->headers, "%.*s=%.*s;", SLICE_FMT(name), SLICE_FMT(value));
    maybe_cancel(p, AT_HEADER);
}

static bool on_data(struct wire_request *r, struct slice bytes)
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

static void begin(struct probe *p);

static void on_done(struct wire_request *r, enum wire_end end, const struct err *err)
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

static void probe_init(struct probe *p, struct world *w)
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

static int try_begin(struct probe *p)
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

static void begin(struct probe *p)
{
    assert_int_equal(try_begin(p), E_OK);
}

static void stop(struct probe *p)
{
    p->world->starting = true;
    wire_cancel(p->world->wire, &p->r);
    p->world->starting = false;
}

static void run(struct world *w)
{
    if (w->waiting)
        loop_run(w->loop);
    assert_int_equal(w->waiting, 0);
}

static void probe_release(struct probe *p)
{
    assert_int_equal(p->done, 1);
    buf_release(&p->headers);
    buf_release(&p->body);
}

// One request against the world's server, from start to end.
static void ask(struct probe *p)
{
    begin(p);
    run(p->world);
    assert_int_equal(p->done, 1);
}

static void world_init(struct world *w, const struct loopback_reply *replies, size_t len)
{
    memset(w, 0, sizeof(*w));
    loopback_start(&w->server, replies, len);
    assert_int_equal(loop_new(&w->loop, clock_system(), NULL), E_OK);
    assert_int_equal(wire_new_curl(&w->wire, w->loop, NULL), E_OK);
}

static void world_release(struct world *w)
{
    wire_free(w->wire);
    loop_free(w->loop);
    loopback_stop(&w->server);
}

static void ask_once(const struct loopback_reply *reply, struct world *w, struct probe *p)
{
    world_init(w, reply, 1);
    probe_init(p, w);
    ask(p);
}

static void end_once(struct world *w, struct probe *p)
{
    probe_release(p);
    world_release(w);
}

static void assert_text(const struct buf *got, const char *want)
{
    if (!slice_is(buf_slice(got), want))
        fail_msg("got <%.*s>, want <%s>", SLICE_FMT(buf_slice(got)), want);
}

#define REPLY(text) {.bytes = SLICE_LIT(text)}

// ---- answers ----

static void test_wire__a_whole_answer(void **state)
{
    (void)state;
    struct loopback_reply reply = REPLY("HTTP/1.1 429 Slow down\r\nretry-after:  7 \r\nEmpty:\r\n"
                                        "Content-Length: 5\r\n\r\nhello");
    struct world w;
    struct probe p;
    ask_once(&reply, &w, &p);
    assert_int_equal(p.end, WIRE_OK);
    assert_int_equal(p.status, 429);
    assert_text(&p.headers, "retry-after=7;Empty=;Content-Length=5;");
    assert_text(&p.body, "hello");

    struct buf sent = BUF_INIT(BODY_MAX);
    loopback_last(&w.server, &sent);
    assert_non_null(strstr(sent.ptr, "POST /v1/messages HTTP/1.1\r\n"));
    assert_non_null(strstr(sent.ptr, "Content-Type: application/json\r\n"));
    assert_non_null(strstr(sent.ptr, "\r\n\r\n{\"ask\":1}"));
    assert_null(strcasestr(sent.ptr, "accept-encoding"));
    assert_null(strcasestr(sent.ptr, "expect"));
    buf_release(&sent);
    end_once(&w, &p);
}

static void test_wire__methods(void **state)
{
    (void)state;
    static const struct { const char *method, *body, *line; } CASES[] = {
        {"GET", "", "GET /v1/messages HTTP/1.1\r\n"},
        {"DELETE", "", "DELETE /v1/messages HTTP/1.1\r\n"},
        {"POST", "", "POST /v1/messages HTTP/1.1\r\n"},
        {"PUT", "x", "PUT /v1/messages HTTP/1.1\r\n"},
        {"HEAD", "", "HEAD /v1/messages HTTP/1.1\r\n"},
    };
    struct loopback_reply reply = REPLY("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    struct world w;
    world_init(&w, &reply, 1);
    for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
        struct buf sent = BUF_INIT(BODY_MAX);
        struct probe p;
        probe_init(&p, &w);
        p.r.method = CASES[i].method;
        p.r.body = slice_str(CASES[i].body);
        ask(&p);
        assert_int_equal(p.end, WIRE_OK);
        loopback_last(&w.server, &sent);
        assert_memory_equal(sent.ptr, CASES[i].line, strlen(CASES[i].line));
        buf_release(&sent);
        probe_release(&p);
    }
    world_release(&w);
}

static void test_wire__chunks_and_trailers(void **state)
{
    (void)state;
    struct loopback_reply reply = REPLY("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                                        "3\r\nabc\r\n4;x=y\r\ndefg\r\n0\r\nTrailer: 1\r\n\r\n");
    struct world w;
    struct probe p;
    ask_once(&reply, &w, &p);
    assert_int_equal(p.end, WIRE_OK);
    assert_text(&p.body, "abcdefg");
    assert_text(&p.headers, "Transfer-Encoding=chunked;");
    end_once(&w, &p);
}

static void test_wire__interim_statuses_are_skipped(void **state)
{
    (void)state;
    struct loopback_reply reply = REPLY("HTTP/1.1 100 Continue\r\n\r\n"
                                        "HTTP/1.1 103 Early\r\nLink: x\r\n\r\n"
                                        "HTTP/1.1 201 OK\r\nA: b\r\nContent-Length: 1\r\n\r\nx");
    struct world w;
    struct probe p;
    ask_once(&reply, &w, &p);
    assert_int_equal(p.end, WIRE_OK);
    assert_int_equal(p.status, 201);
    assert_text(&p.headers, "A=b;Content-Length=1;");
    end_once(&w, &p);
}

static void test_wire__redirects_are_not_followed(void **state)
{
    (void)state;
    struct loopback_reply reply = REPLY("HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\n"
                                        "Content-Length: 0\r\n\r\n");
    struct world w;
    struct probe p;
    ask_once(&reply, &w, &p);
    assert_int_equal(p.end, WIRE_OK);
    assert_int_equal(p.status, 302);
    assert_int_equal(loopback_requests(&w.server), 1);
    end_once(&w, &p);
}

static void test_wire__byte_by_byte(void **state)
{
    (void)state;
    static const char HEAD[] = "HTTP/1.1 200 OK\r\nContent-Length: 26\r\n\r\n";
    struct loopback_reply reply = {
        .bytes = SLICE_LIT("HTTP/1.1 200 OK\r\nContent-Length: 26\r\n\r\n"
                           "abcdefghijklmnopqrstuvwxyz"), .gated = true};
    struct world w;
    struct probe p;
    world_init(&w, &reply, 1);
    probe_init(&p, &w);
    p.allow_more = 1;
    loopback_allow(&w.server, sizeof(HEAD));  // one byte of the body, then one for one
    ask(&p);
    assert_int_equal(p.end, WIRE_OK);
    assert_int_equal(p.pieces, 26);
    assert_text(&p.body, "abcdefghijklmnopqrstuvwxyz");
    end_once(&w, &p);
}

// ---- answers that are not whole ----

// Cut after every byte; whole from `enough` bytes on. Each is a request on a wire that lives on.
static void check_cuts(struct slice whole, size_t enough, enum loopback_then then)
{
    struct loopback_reply *replies = calloc(whole.len + 1, sizeof(*replies));
    struct world w;
    assert_non_null(replies);
    for (size_t cut = 0; cut <= whole.len; cut++)
        replies[cut] = (struct loopback_reply){.bytes = slice_of(whole.ptr, cut), .then = then};
    world_init(&w, replies, whole.len + 1);
    for (size_t cut = 0; cut <= whole.len; cut++) {
        struct probe p;
        probe_init(&p, &w);
        ask(&p);
        if (then == LOOPBACK_CLOSE && (p.end == WIRE_OK) != (cut >= enough))
            fail_msg("cut at %zu: end %d: %s", cut, (int)p.end, p.err.message);
        if (cut < enough)
            assert_int_equal(p.end, WIRE_BROKEN);
        probe_release(&p);
    }
    assert_int_equal(loopback_requests(&w.server), whole.len + 1);
    world_release(&w);
    free(replies);
}

static void test_wire__cut_at_every_byte(void **state)
{
    (void)state;
    const struct slice LENGTH =
        SLICE_LIT("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
    const struct slice CHUNKED =
        SLICE_LIT("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n");

    check_cuts(LENGTH, LENGTH.len, LOOPBACK_CLOSE);
    check_cuts(LENGTH, LENGTH.len, LOOPBACK_RESET);
    // After the last chunk, curl does not insist on the very last line feed.
    check_cuts(CHUNKED, CHUNKED.len - 1, LOOPBACK_CLOSE);
}

static void test_wire__malformed_answers(void **state)
{
    (void)state;
    static const struct loopback_reply REPLIES[] = {
        {.bytes = SLICE_LIT("hello, this is no HTTP\r\n\r\n"), .then = LOOPBACK_CLOSE},
        {.bytes = SLICE_LIT("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n\r\n"),
         .then = LOOPBACK_HANG},
        {.bytes = SLICE_LIT("HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\nx"),
         .then = LOOPBACK_CLOSE},
        {.bytes = SLICE_LIT("HTTP/1.1 100 Continue\r\n\r\n"), .then = LOOPBACK_CLOSE},
    };
    enum { LEN = sizeof(REPLIES) / sizeof(REPLIES[0]) };
    struct world w;
    world_init(&w, REPLIES, LEN);
    for (size_t i = 0; i < LEN; i++) {
        struct probe p;
        probe_init(&p, &w);
        ask(&p);
        if (p.end != WIRE_BROKEN)
            fail_msg("answer %zu: end %d", i, (int)p.end);
        probe_release(&p);
    }
    world_release(&w);
}

static void test_wire__sizes_are_limited(void **state)
{
    (void)state;
    struct buf flood = BUF_INIT(BODY_MAX);
    buf_add_str(&flood, "HTTP/1.1 200 OK\r\n");
    while (flood.len <= WIRE_HEADER_BYTES_MAX)
        buf_add_str(&flood, "Flood: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n");
    struct loopback_reply replies[] = {
        {.bytes = SLICE_LIT("HTTP/1.1 200 OK\r\n\r\n"), .repeat = UINT64_C(1) << 40},
        {.bytes = buf_slice(&flood), .then = LOOPBACK_HANG},
        REPLY("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"),
        REPLY("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"),
    };
    static const uint64_t MAX[] = {100000, BODY_MAX, 4, 5};
    static const enum wire_end END[] = {WIRE_TOO_BIG, WIRE_TOO_BIG, WIRE_TOO_BIG, WIRE_OK};
    struct world w;
    world_init(&w, replies, 4);
    for (size_t i = 0; i < 4; i++) {
        struct probe p;
        probe_init(&p, &w);
        p.r.max_bytes = MAX[i];
        ask(&p);
        assert_int_equal(p.end, END[i]);
        assert_true(p.body.len <= MAX[i]);
        probe_release(&p);
    }
    world_release(&w);
    buf_release(&flood);
}

// ---- connections ----

static void test_wire__connections_are_reused(void **state)
{
    (void)state;
    struct loopback_reply reply = REPLY("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    struct world w;
    world_init(&w, &reply, 1);
    for (int i = 0; i < 5; i++) {
        struct probe p;
        probe_init(&p, &w);
        ask(&p);
        assert_int_equal(p.end, WIRE_OK);
        probe_release(&p);
    }
    assert_int_equal(loopback_connections(&w.server), 1);
    assert_int_equal(loopback_requests(&w.server), 5);
    world_release(&w);
}

static void test_wire__nothing_is_sent_twice(void **state)
{
    (void)state;
    static const enum loopback_then THEN[] = {LOOPBACK_CLOSE, LOOPBACK_RESET};

    for (size_t i = 0; i < 2; i++) {
        // The kept-alive connection takes the second request, and is gone: accepted or not?
        struct loopback_reply replies[] = {
            REPLY("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"),
            {.then = THEN[i]},
            REPLY("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno"),
        };
        struct world w;
        struct probe first, second;
        world_init(&w, replies, 3);
        probe_init(&first, &w);
        probe_init(&second, &w);
        ask(&first);
        ask(&second);
        assert_int_equal(first.end, WIRE_OK);
        assert_int_equal(second.end, WIRE_BROKEN);
        assert_int_equal(second.statuses, 0);
        assert_int_equal(loopback_requests(&w.server), 2);
        probe_release(&first);
        probe_release(&second);
        world_release(&w);
    }
}

static void test_wire__a_connection_that_died_idle_is_replaced(void **state)
{
    (void)state;
    struct loopback_reply reply = {
        .bytes = SLICE_LIT("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"),
        .then = LOOPBACK_CLOSE};
    struct world w;
    world_init(&w, &reply, 1);
    for (unsigned i = 0; i < 3; i++) {
        struct probe p;
        probe_init(&p, &w);
        ask(&p);
        assert_int_equal(p.end, WIRE_OK);
        probe_release(&p);
        loopback_wait_closed(&w.server, i + 1);
    }
    assert_int_equal(loopback_requests(&w.server), 3);
    world_release(&w);
}

// A port that nobody listens on: bound, so that nobody else takes it.
static int closed_port(char url[LOOPBACK_URL_BYTES], int backlog)
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

static void test_wire__refused(void **state)
{
    (void)state;
    struct loopback_reply reply = REPLY("");
    struct world w;
    struct probe p;
    world_init(&w, &reply, 1);
    probe_init(&p, &w);
    int fd = closed_port(p.url, -1);
    ask(&p);
    assert_int_equal(p.end, WIRE_NO_CONNECT);
    assert_non_null(strstr(p.err.message, "nothing was sent"));
    close(fd);
    end_once(&w, &p);
}

// A listener whose queue is full leaves further connections hanging.
static void fill(const char *url, int clients[2])
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    at.sin_port = htons((uint16_t)strtoul(strrchr(url, ':') + 1, NULL, 10));
    for (int i = 0; i < 2; i++) {
        clients[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        assert_true(clients[i] >= 0);
        assert_true(connect(clients[i], (void *)&at, sizeof(at)) == 0 || errno == EINPROGRESS);
    }
}

static void test_wire__connect_deadline_and_cancel(void **state)
{
    (void)state;
    struct loopback_reply reply = REPLY("");
    struct world w;
    struct probe late, cancelled;
    int clients[2];
    world_init(&w, &reply, 1);
    probe_init(&late, &w);
    probe_init(&cancelled, &w);
    int fd = closed_port(late.url, 0);
    memcpy(cancelled.url, late.url, sizeof(late.url));
    fill(late.url, clients);
    late.r.deadlines.connect_ms = 30;
    begin(&cancelled);
    begin(&late);
    w.waiting--;  // stop at the first one's end
    loop_run(w.loop);
    assert_int_equal(late.done, 1);
    assert_int_equal(late.end, WIRE_CONNECT_LATE);
    assert_int_equal(cancelled.done, 0);
    w.waiting++;
    stop(&cancelled);
    run(&w);
    assert_int_equal(cancelled.end, WIRE_CANCELLED);
    close(fd), close(clients[0]), close(clients[1]);
    probe_release(&cancelled);
    end_once(&w, &late);
}

// ---- deadlines ----

static void check_deadline(struct loopback_reply reply, uint64_t allow, uint64_t allow_more,
                           struct wire_deadlines deadlines, enum wire_end end)
{
    struct world w;
    struct probe p;
    world_init(&w, &reply, 1);
    probe_init(&p, &w);
    p.r.deadlines = deadlines;
    p.allow_more = allow_more;
    loopback_allow(&w.server, allow);
    ask(&p);
    assert_int_equal(p.end, end);
    loopback_wait_closed(&w.server, 1);  // the other side learns of it
    end_once(&w, &p);
}

static void test_wire__deadlines(void **state)
{
    (void)state;
    enum { SOON_MS = 40 };
    struct loopback_reply never = {.then = LOOPBACK_HANG};
    struct loopback_reply half = {
        .bytes = SLICE_LIT("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe"),
        .then = LOOPBACK_HANG};
    struct loopback_reply endless = {
        .bytes = SLICE_LIT("HTTP/1.1 200 OK\r\n\r\n"), .repeat = 1 << 30, .gated = true};

    check_deadline(never, 0, 0, (struct wire_deadlines){LONG_MS, SOON_MS, LONG_MS, LONG_MS},
                   WIRE_FIRST_LATE);
    check_deadline(never, 0, 0, (struct wire_deadlines){LONG_MS, LONG_MS, LONG_MS, SOON_MS},
                   WIRE_TOTAL_LATE);
    check_deadline(half, 0, 0, (struct wire_deadlines){LONG_MS, LONG_MS, SOON_MS, LONG_MS},
                   WIRE_IDLE_LATE);
    // Half a status line, then nothing.
    check_deadline(endless, 8, 0, (struct wire_deadlines){LONG_MS, SOON_MS, LONG_MS, LONG_MS},
                   WIRE_FIRST_LATE);
    // Bytes keep coming, one for one, and never end.
    check_deadline(endless, 20, 1, (struct wire_deadlines){LONG_MS, LONG_MS, LONG_MS, SOON_MS},
                   WIRE_TOTAL_LATE);
}

// ---- cancelling ----

static void test_wire__cancel_in_callbacks(void **state)
{
    (void)state;
    struct loopback_reply reply = {
        .bytes = SLICE_LIT("HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhello"),
        .then = LOOPBACK_HANG};

    for (int at = AT_STATUS; at <= AT_DATA; at++) {
        struct world w;
        struct probe p;
        world_init(&w, &reply, 1);
        probe_init(&p, &w);
        p.cancel_at = at;
        ask(&p);
        assert_int_equal(p.end, WIRE_CANCELLED);
        assert_int_equal(p.err.code, E_CANCELLED);
        assert_int_equal(p.body.len > 0, at == AT_DATA);
        wire_cancel(w.wire, &p.r);  // done: harmless
        loopback_wait_closed(&w.server, 1);
        end_once(&w, &p);
    }
    struct world w;
    struct probe p;
    world_init(&w, &reply, 1);
    probe_init(&p, &w);
    p.refuse_data = true;
    ask(&p);
    assert_int_equal(p.end, WIRE_CANCELLED);
    end_once(&w, &p);
}

static void test_wire__cancel_outside(void **state)
{
    (void)state;
    struct loopback_reply reply = {.then = LOOPBACK_HANG};
    struct world w;
    struct probe early, late;
    world_init(&w, &reply, 1);
    probe_init(&early, &w);
    begin(&early);
    stop(&early);
    stop(&early);
    assert_int_equal(early.done, 0);
    run(&w);
    assert_int_equal(early.end, WIRE_CANCELLED);
    assert_int_equal(loopback_requests(&w.server), 0);

    // While the answer is awaited: its first-byte deadline is the moment at which the other is cancelled.
    struct probe clock;
    probe_init(&late, &w);
    probe_init(&clock, &w);
    clock.r.deadlines.first_byte_ms = 30;
    begin(&late);
    begin(&clock);
    w.waiting--;
    loop_run(w.loop);
    assert_int_equal(clock.end, WIRE_FIRST_LATE);
    loopback_wait_requests(&w.server, 2);
    w.waiting++;
    stop(&late);
    run(&w);
    assert_int_equal(late.end, WIRE_CANCELLED);
    probe_release(&early);
    probe_release(&clock);
    end_once(&w, &late);
}

static void test_wire__freed_with_requests_under_way(void **state)
{
    (void)state;
    struct loopback_reply reply = {.then = LOOPBACK_HANG};
    struct world w;
    struct probe sent, fresh, clock;
    world_init(&w, &reply, 1);
    probe_init(&sent, &w);
    probe_init(&fresh, &w);
    probe_init(&clock, &w);
    clock.r.deadlines.first_byte_ms = 30;
    begin(&sent);
    begin(&clock);
    w.waiting--;
    loop_run(w.loop);
    w.waiting++;
    begin(&fresh);
    wire_free(w.wire);
    w.wire = NULL;
    assert_int_equal(w.waiting, 0);
    assert_int_equal(sent.end, WIRE_CANCELLED);
    assert_int_equal(fresh.end, WIRE_CANCELLED);
    probe_release(&sent);
    probe_release(&fresh);
    end_once(&w, &clock);
}

static void test_wire__done_may_start_another(void **state)
{
    (void)state;
    struct loopback_reply reply = REPLY("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    struct world w;
    struct probe first, second;
    world_init(&w, &reply, 1);
    probe_init(&first, &w);
    probe_init(&second, &w);
    first.starts = &second;
    ask(&first);
    assert_int_equal(second.end, WIRE_OK);
    assert_int_equal(loopback_connections(&w.server), 1);
    probe_release(&second);
    end_once(&w, &first);
}

// ---- many, and without memory ----

static void test_wire__many_at_once(void **state)
{
    (void)state;
    enum { MANY = 600 };
    struct loopback_reply reply = REPLY("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    struct rlimit files;
    struct world w;
    if (getrlimit(RLIMIT_NOFILE, &files) != 0 || files.rlim_cur < 3 * MANY)
        skip();  // both ends of each connection are ours
    struct probe *probes = calloc(MANY, sizeof(*probes));
    assert_non_null(probes);
    world_init(&w, &reply, 1);
    loopback_hold(&w.server, MANY);  // the first answer leaves when the last request is there
    for (int i = 0; i < MANY; i++) {
        probe_init(&probes[i], &w);
        begin(&probes[i]);
    }
    run(&w);
    for (int i = 0; i < MANY; i++) {
        assert_int_equal(probes[i].end, WIRE_OK);
        assert_text(&probes[i].body, "ok");
        probe_release(&probes[i]);
    }
    assert_int_equal(loopback_requests(&w.server), MANY);
    world_release(&w);
    free(probes);
}

static void test_wire__bad_requests(void **state)
{
    (void)state;
    static const char *const URLS[] = {"", "nonsense", "ftp://127.0.0.1/", "file:///etc/hosts",
                                       "http://", "127.0.0.1/x", "http://127.0.0.1:99999/"};
    static const char *const HEADERS[] = {"", "no colon", ":", "A: b\r\nC: d", "A: b\nC: d"};
    struct loopback_reply reply = REPLY("");
    struct world w;
    struct probe p;
    world_init(&w, &reply, 1);
    for (size_t i = 0; i < sizeof(URLS) / sizeof(URLS[0]); i++) {
        probe_init(&p, &w);
        snprintf(p.url, sizeof(p.url), "%s", URLS[i]);
        assert_int_equal(try_begin(&p), E_USAGE);
    }
    for (size_t i = 0; i < sizeof(HEADERS) / sizeof(HEADERS[0]); i++) {
        probe_init(&p, &w);
        p.r.headers[p.r.headers_len++] = slice_str(HEADERS[i]);
        assert_int_equal(try_begin(&p), E_USAGE);
    }
    probe_init(&p, &w);
    p.r.headers_len = WIRE_HEADERS_MAX + 1;
    assert_int_equal(try_begin(&p), E_USAGE);
    probe_init(&p, &w);
    p.r.headers[1] = slice_of("A: \0b", 5);
    p.r.headers_len = 2;
    assert_int_equal(try_begin(&p), E_USAGE);
    world_release(&w);
}

static void test_wire__out_of_memory(void **state)
{
    (void)state;
    struct loopback_reply reply = {
        .bytes = SLICE_LIT("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"),
        .then = LOOPBACK_CLOSE};
    struct world w;
    bool whole = false;
    world_init(&w, &reply, 1);
    for (uint64_t n = 1; n < 40 && !whole; n++) {
        struct probe p;
        probe_init(&p, &w);
        // What the probe itself allocates is not what is tested.
        buf_reserve(&p.headers, 4096), buf_reserve(&p.body, 4096);
        mem_fail_at(n, 0);
        int rc = try_begin(&p);
        run(&w);
        mem_fail_at(0, 0);
        whole = rc == E_OK && p.end == WIRE_OK;
        if (rc == E_OK) {
            assert_true(whole || p.end == WIRE_NO_CONNECT || p.end == WIRE_BROKEN);
        } else {
            assert_int_equal(rc, E_NOMEM);
            p.done = 1;
        }
        probe_release(&p);
    }
    assert_true(whole);
    world_release(&w);
}

// ---- the simulated wire ----

struct script {
    struct loop *loop;
    struct wire_request *r;   // the one under way
    struct loop_timer timer;
    int64_t step_ms;          // between pieces; -1: never answers
    unsigned pieces_left, gone, answers;
};

static void play(struct loop_timer *timer)
{
    struct script *script = (struct script *)((char *)timer - offsetof(struct script, timer));

    if (script->pieces_left == 0) {
        wire_sim_done(script->r, WIRE_OK);
        return;
    }
    script->pieces_left--;
    if (wire_sim_data(script->r, SLICE_LIT("abc")))
        loop_timer_start(script->loop, &script->timer, script->step_ms);
}

static void answer(void *user, struct wire_request *r)
{
    struct script *script = user;

    script->answers++;
    script->r = r;
    if (script->step_ms < 0)
        return;
    wire_sim_status(r, 200);
    wire_sim_header(r, "A", "b");
    play(&script->timer);
}

static void gone(void *user, struct wire_request *r)
{
    struct script *script = user;

    script->gone++;
    if (r == script->r)
        loop_timer_stop(script->loop, &script->timer);
}

struct sim {
    struct clock_sim clock;
    struct world world;
    struct script script;
};

static void sim_init(struct sim *s, int64_t step_ms, unsigned pieces)
{
    memset(s, 0, sizeof(*s));
    clock_sim_init(&s->clock, 0);
    assert_int_equal(loop_new_sim(&s->world.loop, &s->clock, NULL), E_OK);
    s->script = (struct script){.loop = s->world.loop, .timer = {.fn = play},
                                .step_ms = step_ms, .pieces_left = pieces};
    struct wire_sim_ops ops = {.answer = answer, .user = &s->script, .gone = gone};
    assert_int_equal(wire_new_sim(&s->world.wire, s->world.loop, &ops, NULL), E_OK);
}

static void sim_release(struct sim *s)
{
    wire_free(s->world.wire);
    loop_free(s->world.loop);
}

static void test_wire_sim__plays(void **state)
{
    (void)state;
    struct sim s;
    struct probe p;
    sim_init(&s, 1000, 3);
    probe_init(&p, &s.world);
    ask(&p);
    assert_int_equal(p.end, WIRE_OK);
    assert_int_equal(p.status, 200);
    assert_text(&p.headers, "A=b;");
    assert_text(&p.body, "abcabcabc");
    assert_int_equal(s.script.gone, 0);
    assert_int_equal(s.clock.wall_now_ms, 3000);
    probe_release(&p);
    sim_release(&s);
}

static void check_sim(int64_t step_ms, unsigned pieces, struct wire_deadlines deadlines,
                      uint64_t max_bytes, enum wire_end end, int64_t ms)
{
    struct sim s;
    struct probe p;
    sim_init(&s, step_ms, pieces);
    probe_init(&p, &s.world);
    p.r.deadlines = deadlines;
    p.r.max_bytes = max_bytes;
    ask(&p);
    assert_int_equal(p.end, end);
    assert_int_equal(s.script.gone, end != WIRE_OK);
    assert_int_equal(s.clock.wall_now_ms, ms);
    probe_release(&p);
    sim_release(&s);
}

static void test_wire_sim__deadlines_and_limits(void **state)
{
    (void)state;
    struct wire_deadlines deadlines = {1000, 2000, 500, 5000};

    check_sim(-1, 0, deadlines, BODY_MAX, WIRE_FIRST_LATE, 2000);
    check_sim(499, 9, deadlines, BODY_MAX, WIRE_OK, 9 * 499);
    check_sim(499, 1000, deadlines, BODY_MAX, WIRE_TOTAL_LATE, 5000);
    check_sim(501, 9, deadlines, BODY_MAX, WIRE_IDLE_LATE, 500);
    check_sim(100, 9, deadlines, 8, WIRE_TOO_BIG, 200);
    check_sim(100, 3, deadlines, 9, WIRE_OK, 300);
}

static void test_wire_sim__cancel(void **state)
{
    (void)state;
    struct sim s;
    struct probe p;

    sim_init(&s, 10, 5);
    for (int at = AT_STATUS; at <= AT_DATA; at++) {
        probe_init(&p, &s.world);
        p.cancel_at = at;
        ask(&p);
        assert_int_equal(p.end, WIRE_CANCELLED);
        assert_int_equal(p.pieces, at == AT_DATA);
        probe_release(&p);
    }
    assert_int_equal(s.script.gone, 3);

    // Before the script saw it, it never does.
    unsigned answers = s.script.answers;
    probe_init(&p, &s.world);
    begin(&p);
    stop(&p);
    assert_int_equal(p.done, 0);
    run(&s.world);
    assert_int_equal(p.end, WIRE_CANCELLED);
    assert_int_equal(s.script.answers, answers);
    assert_int_equal(s.script.gone, 3);
    probe_release(&p);

    probe_init(&p, &s.world);
    begin(&p);
    wire_free(s.world.wire);
    s.world.wire = NULL;
    assert_int_equal(p.end, WIRE_CANCELLED);
    probe_release(&p);
    sim_release(&s);
}

static void test_wire_sim__too_many(void **state)
{
    (void)state;
    enum { MANY = 4096 };
    struct sim s;
    struct probe one, *probes = calloc(MANY, sizeof(*probes));
    assert_non_null(probes);
    sim_init(&s, -1, 0);
    for (int i = 0; i < MANY; i++) {
        probe_init(&probes[i], &s.world);
        begin(&probes[i]);
    }
    probe_init(&one, &s.world);
    assert_int_equal(try_begin(&one), E_BUSY);
    stop(&probes[7]);
    loop_run_for(s.world.loop, 0);
    assert_int_equal(probes[7].end, WIRE_CANCELLED);
    begin(&one);
    wire_free(s.world.wire);
    s.world.wire = NULL;
    for (int i = 0; i < MANY; i++)
        probe_release(&probes[i]);
    probe_release(&one);
    sim_release(&s);
    free(probes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_wire__a_whole_answer),
        cmocka_unit_test(test_wire__methods),
        cmocka_unit_test(test_wire__chunks_and_trailers),
        cmocka_unit_test(test_wire__interim_statuses_are_skipped),
        cmocka_unit_test(test_wire__redirects_are_not_followed),
        cmocka_unit_test(test_wire__byte_by_byte),
        cmocka_unit_test(test_wire__cut_at_every_byte),
        cmocka_unit_test(test_wire__malformed_answers),
        cmocka_unit_test(test_wire__sizes_are_limited),
        cmocka_unit_test(test_wire__connections_are_reused),
        cmocka_unit_test(test_wire__nothing_is_sent_twice),
        cmocka_unit_test(test_wire__a_connection_that_died_idle_is_replaced),
        cmocka_unit_test(test_wire__refused),
        cmocka_unit_test(test_wire__connect_deadline_and_cancel),
        cmocka_unit_test(test_wire__deadlines),
        cmocka_unit_test(test_wire__cancel_in_callbacks),
        cmocka_unit_test(test_wire__cancel_outside),
        cmocka_unit_test(test_wire__freed_with_requests_under_way),
        cmocka_unit_test(test_wire__done_may_start_another),
        cmocka_unit_test(test_wire__many_at_once),
        cmocka_unit_test(test_wire__bad_requests),
        cmocka_unit_test(test_wire__out_of_memory),
        cmocka_unit_test(test_wire_sim__plays),
        cmocka_unit_test(test_wire_sim__deadlines_and_limits),
        cmocka_unit_test(test_wire_sim__cancel),
        cmocka_unit_test(test_wire_sim__too_many),
    };
    alarm(120);  // a test that waits for what never comes ends here
    return cmocka_run_group_tests(tests, NULL, NULL);
}
