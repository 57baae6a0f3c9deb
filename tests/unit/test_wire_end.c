// SPDX-License-Identifier: MIT
// The real wire when a request does not run to its end: deadlines, cancelling, the wire freed.
#include "support/wire_probe.h"

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

static void test_wire_end__connect_deadline_and_cancel(void **state)
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

static void test_wire_end__deadlines(void **state)
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

static void test_wire_end__cancel_in_callbacks(void **state)
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

static void test_wire_end__cancel_outside(void **state)
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

    // While the answer is awaited: one's first-byte deadline is when the other is cancelled.
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

static void test_wire_end__freed_with_requests_under_way(void **state)
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

static void test_wire_end__done_may_start_another(void **state)
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_wire_end__connect_deadline_and_cancel),
        cmocka_unit_test(test_wire_end__deadlines),
        cmocka_unit_test(test_wire_end__cancel_in_callbacks),
        cmocka_unit_test(test_wire_end__cancel_outside),
        cmocka_unit_test(test_wire_end__freed_with_requests_under_way),
        cmocka_unit_test(test_wire_end__done_may_start_another),
    };
    alarm(120);  // a test that waits for what never comes ends here
    return cmocka_run_group_tests(tests, NULL, NULL);
}
