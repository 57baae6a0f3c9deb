// SPDX-License-Identifier: MIT
// The real wire, against a server on the loopback.
#include "base/mem.h"
#include "support/wire_probe.h"

#include <sys/resource.h>

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

static void test_wire__no_proxy_for_loopback(void **state)
{
    (void)state;
    struct loopback_reply reply = REPLY("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    char proxy[LOOPBACK_URL_BYTES];
    struct world w;
    struct probe p;
    int fd = closed_port(proxy, -1);
    setenv("http_proxy", proxy, 1);
    ask_once(&reply, &w, &p);
    unsetenv("http_proxy");
    close(fd);
    assert_int_equal(p.end, WIRE_OK);
    end_once(&w, &p);
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
        cmocka_unit_test(test_wire__no_proxy_for_loopback),
        cmocka_unit_test(test_wire__refused),
        cmocka_unit_test(test_wire__many_at_once),
        cmocka_unit_test(test_wire__bad_requests),
        cmocka_unit_test(test_wire__out_of_memory),
    };
    alarm(120);  // a test that waits for what never comes ends here
    return cmocka_run_group_tests(tests, NULL, NULL);
}
