// SPDX-License-Identifier: MIT
// Providers that answer slowly, a byte at a time, or not at all: no call outlives its deadlines,
// and no turn its last call. In simulated time, to the millisecond, and once over a real socket.
#include "fault/sim.h"
#include "support/loopback.h"

enum { CONNECT_MS = 2000, FIRST_MS = 3000, IDLE_MS = 4000, TOTAL_MS = 20000, GRACE_MS = 500 };

// How an answer drips: `step` bytes after each pause; a pause below 0 is drawn anew each time.
struct drip {
    const char *what;
    int status; // 0: nothing ever comes
    int64_t pause_ms;
    size_t step;
    bool in_headers; // headers go on without end, no body comes
};

static const struct drip drips[] = {
    {"nothing at all", 0, 0, 0, false},
    {"headers, then nothing", 200, 1 << 30, 1, false},
    {"a byte a second", 200, 1000, 1, false},
    {"a byte just in time", 200, IDLE_MS - 1, 1, false},
    {"a byte just too late", 200, IDLE_MS + 1, 1, false},
    {"an error, a byte a second", 529, 1000, 1, false},
    {"an error, then nothing", 400, 1 << 30, 1, false},
    {"headers, one a second", 200, 1000, 1, true},
    {"pieces, at random", 200, -1, 29, false},
};

static const char body[] =
    ": a comment that is no event and says nothing at all, however long one listens to it "
    ".........\n"
    "data: {\"type\":\"message_start\",\"message\":{\"id\":\"m\",\"content\":[],\"usage\":"
    "{\"input_tokens\":3,\"output_tokens\":1}}}\n\n"
    "data: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\","
    "\"text\":\"\"}}\n\n"
    "data: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\","
    "\"text\":\"Far away, and further than that.\"}}\n\n";

struct dripper {
    struct loop_timer timer;
    struct sim *sim;
    const struct drip *drip;
    struct wire_request *request; // NULL: none under way
    size_t at;
    int64_t started_ns, last_ns; // of the call; of its last byte
    bool any;                    // a byte came
    int64_t over_ms_max;         // the latest that any call ended after its deadline
    int64_t ended_ns;
    uint64_t calls;
};

static int64_t now_ns(const struct dripper *d)
{
    return clock_mono_ns(&d->sim->clock.clock);
}

static void wait_for_next(struct dripper *d)
{
    int64_t pause = d->drip->pause_ms;
    if (pause < 0)
        pause = (int64_t)rand_below(&d->sim->rand.rand, IDLE_MS + IDLE_MS / 4);
    loop_timer_start(d->sim->loop, &d->timer, pause);
}

static void next_piece(struct loop_timer *timer)
{
    struct dripper *d = (struct dripper *)(void *)timer;
    size_t n = d->drip->step < sizeof(body) - 1 - d->at ? d->drip->step : sizeof(body) - 1 - d->at;
    d->last_ns = now_ns(d);
    if (d->drip->in_headers) {
        wire_sim_header(d->request, "x-more", "to come");
    } else if (!wire_sim_data(d->request, slice_of(body + d->at, n))) {
        return;
    }
    // Once everything was said the comment begins again: it never ends by itself.
    d->at = (d->at + n) % (sizeof(body) - 1);
    wait_for_next(d);
}

static void answer(void *user, struct wire_request *r)
{
    struct dripper *d = user;
    d->request = r;
    d->at = 0;
    d->started_ns = d->last_ns = now_ns(d);
    d->calls++;
    d->any = d->drip->status != 0;
    if (d->drip->status) {
        wire_sim_status(r, d->drip->status);
        wire_sim_header(r, "content-type",
                        d->drip->status == 200 ? "text/event-stream" : "text/plain");
        wait_for_next(d);
    }
}

// The call is over: how late is that, after the first deadline that it missed?
static void gone(void *user, struct wire_request *r)
{
    struct dripper *d = user;
    int64_t total = d->started_ns + TOTAL_MS * 1000000LL;
    int64_t idle = d->last_ns + (d->any ? IDLE_MS : FIRST_MS) * 1000000LL;
    int64_t over = (now_ns(d) - (total < idle ? total : idle)) / 1000000;
    (void)r;
    d->request = NULL;
    d->ended_ns = now_ns(d);
    if (over > d->over_ms_max)
        d->over_ms_max = over;
    loop_timer_stop(d->sim->loop, &d->timer);
}

struct figures {
    uint64_t turns, calls, late, unended;
    int64_t over_ms_max;
};

static void drip_one(struct sim *sim, struct dripper *d, const struct drip *drip,
                     const char *provider, struct figures *f)
{
    struct outcome o;
    d->drip = drip;
    d->over_ms_max = 0;
    sim_turn(sim, provider, &o);
    int64_t after = (now_ns(d) - d->ended_ns) / 1000000;
    bool late = d->over_ms_max > GRACE_MS || after > GRACE_MS;
    bool ended = o.code == PARLEY_E_PROVIDER && o.message[0] &&
                 (strcmp(o.status, "cut") == 0 || strcmp(o.status, "failed") == 0);
    f->turns++;
    f->late += late;
    f->unended += !ended;
    if (d->over_ms_max > f->over_ms_max)
        f->over_ms_max = d->over_ms_max;
    if (!ended)
        fprintf(stderr, "%s: %s: %s, code %d: %s\n", provider, drip->what, o.status, o.code,
                o.message);
    buf_release(&o.reply);
}

static void drip_all(struct figures *f, const char *const *settings, int rounds, uint64_t seed)
{
    struct sim sim = {0};
    struct dripper d = {.timer.fn = next_piece, .sim = &sim};
    struct wire_sim_ops wire = {.answer = answer, .user = &d, .gone = gone};
    sim_open(&sim, &wire, seed, settings);
    for (int i = 0; i < rounds; i++) {
        for (size_t k = 0; k < sizeof(drips) / sizeof(drips[0]); k++) {
            drip_one(&sim, &d, &drips[k], "anthropic", f);
            drip_one(&sim, &d, &drips[k], "openai", f);
        }
    }
    f->calls = d.calls;
    sim_close(&sim);
}

static const char *const deadlines[] = {"providers.anthropic.connect_timeout=2s",
                                        "providers.anthropic.first_byte_timeout=3s",
                                        "providers.anthropic.idle_timeout=4s",
                                        "providers.anthropic.total_timeout=20s",
                                        "providers.openai.connect_timeout=2s",
                                        "providers.openai.first_byte_timeout=3s",
                                        "providers.openai.idle_timeout=4s",
                                        "providers.openai.total_timeout=20s",
                                        NULL};

static void test_deadline__nothing_outlives_it(void **state)
{
    (void)state;
    struct figures f = {0};
    uint64_t seed = fault_seed();
    drip_all(&f, deadlines, fault_long() ? 5000 : 40, seed);
    summary("slow and silent providers: %llu turns, %llu calls, latest %lld ms after its deadline; "
            "over deadline +0.5 s %llu, without an end %llu (seed %llu)",
            (unsigned long long)f.turns, (unsigned long long)f.calls, (long long)f.over_ms_max,
            (unsigned long long)f.late, (unsigned long long)f.unended, (unsigned long long)seed);
    assert_int_equal(f.late, 0);
    assert_int_equal(f.unended, 0);
}

static void test_deadline__control_without(void **state)
{
    (void)state;
    struct figures f = {0};
    drip_all(&f, NULL, 2, 1); // the defaults are minutes
    summary("control, without these deadlines: over deadline +0.5 s %llu",
            (unsigned long long)f.late);
    assert_true(f.late > 10);
}

// ---- over a real socket: a byte at a time from a server that would go on for ever

static struct loopback server;

static void test_deadline__over_a_socket(void **state)
{
    (void)state;
    struct buf head = BUF_INIT(4096);
    struct place place;
    char base[LOOPBACK_URL_BYTES], url[LOOPBACK_URL_BYTES + 64];
    bool accepted = false;
    buf_add_str(&head, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n: and so on\n");
    struct loopback_reply reply = {.bytes = buf_slice(&head), .repeat = 1 << 20, .gated = true};
    loopback_start(&server, &reply, 1);
    loopback_url(&server, "", base);
    snprintf(url, sizeof(url), "providers.anthropic.base_url=%s", base);
    place_make_light(&place);
    struct engine_wish wish = {.store = "memory:",
                               .provider = "anthropic",
                               .settings = {url, "providers.anthropic.auth=none",
                                            "providers.anthropic.model=m",
                                            "providers.anthropic.total_timeout=700ms"}};
    parley_error error = PARLEY_ERROR_INIT;
    parley *e;
    if (place_open(&place, &wish, &e, &error) < 0)
        give_up("engine: %s", error.message);
    parley_message m = PARLEY_MESSAGE_INIT;
    m.text = "How far is the moon?";
    int64_t start = now_us();
    assert_int_equal(parley_send(e, &m, NULL, &error), 0);
    parley_event *event = NULL;
    for (bool over = false; !over;) {
        loopback_allow(&server, 1);
        if (parley_wait(e, 10, &event) == 1) {
            accepted = accepted || event->type == PARLEY_EVENT_ACCEPTED;
            over = is_last(event);
            if (!over)
                parley_event_free(event);
        }
        if (now_us() - start > WAIT_MS * 1000LL)
            give_up("a real call outlived its deadline by far");
    }
    summary("a byte at a time over a socket, deadline 700 ms: ended after %lld ms",
            (long long)(now_us() - start) / 1000);
    assert_true(accepted);
    assert_int_equal(event->code, PARLEY_E_PROVIDER);
    parley_event_free(event);
    parley_close(e);
    place_remove(&place);
    loopback_stop(&server);
    buf_release(&head);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_deadline__nothing_outlives_it),
        cmocka_unit_test(test_deadline__control_without),
        cmocka_unit_test(test_deadline__over_a_socket),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
