// SPDX-License-Identifier: MIT
// Clients are cut off in the middle of a reply, at any byte, and come back (FAULTS 13): at once or
// later, while it is under way or when it is over, to the engine that answers or to another one on
// the same store; and are cut off again. What they have read in the end is the reply, byte for
// byte, and every turn is there, done, once.
//
// Negative control: clients that come back to where the stream is by then, as if nothing of it
// could be told again.
#include "fault/pair.h"

enum { USERS = 50, CUTS_MAX = 4, TEXT_BYTES = 32 << 10 };

struct cuts {
    unsigned turns, cut, live, stored, other, whole, wrong, done;
};

// A client of one reply.
struct client {
    parley *engine;   // whose request
    uint64_t request;
    char user[16];
    struct buf text;  // what it has read
    size_t cut_at;    // here the line breaks
    bool cut, over;
};

static void make_place(struct pair *p)
{
    // Replies of many lengths, in bytes that are not all letters.
    place_write(&p->a.place, "reply.lua",
                "return function(request)\n"
                "    local text = request.messages[#request.messages].text\n"
                "    local n = tonumber(text:match(\"#(%d+)[^#]*$\"))\n"
                "    local out = {}\n"
                "    for i = 1, n * 7919 % 97 + 3 do\n"
                "        out[i] = (i * n) % 5 == 0 and \"Grüße — 你好 😀\" or \"word\" .. i * n\n"
                "    end\n"
                "    return table.concat(out, \" \")\n"
                "end\n");
}

static void read_events(parley *e, struct client *c)
{
    parley_event *event;
    while ((event = events_pop(&e->events)) != NULL) {
        bool mine = e == c->engine && event->request == c->request && !c->cut;
        if (mine && event->type == PARLEY_EVENT_DELTA)
            buf_add(&c->text, event->text, event->text_bytes);
        c->over |= mine && event->type == PARLEY_EVENT_DONE;
        if (mine && event->type == PARLEY_EVENT_ERROR)
            give_up("error: %s", event->text);
        if (mine && c->text.len >= c->cut_at) {
            buf_truncate(&c->text, c->cut_at);
            c->cut = true;
            c->over = false;
        }
        parley_event_free(event);
    }
}

static void send_turn(struct pair *p, struct client *c, unsigned n)
{
    parley_message m = PARLEY_MESSAGE_INIT;
    parley_error error = PARLEY_ERROR_INIT;
    char text[32];
    snprintf(c->user, sizeof(c->user), "user%u", n % USERS);
    snprintf(text, sizeof(text), "Tell me #%u", n + 1);
    m.user = c->user;
    m.text = text;
    m.provider = "slow";
    m.flags = PARLEY_CONTINUE;
    c->engine = p->a.engine;
    if (parley_send(p->a.engine, &m, &c->request, &error) < 0)
        give_up("send: %s", error.message);
}

// What the reply is, out of the ledger of the other engine.
static void reply_of(struct pair *p, const char *user, struct buf *out, struct cuts *v)
{
    parley_scope scope = PARLEY_SCOPE_INIT;
    parley_error error = PARLEY_ERROR_INIT;
    struct json_doc doc = JSON_DOC_INIT;
    uint64_t request;
    scope.user = user;
    if (parley_show(p->b.engine, &scope, &request, &error) < 0)
        give_up("show: %s", error.message);
    parley_event *event = wait_end(p->b.engine, NULL);
    if (json_parse(&doc, slice_str(event->json), 0, NULL))
        give_up("show: %s", event->text);
    struct json turns = json_get(json_root(&doc), "turns");
    struct json turn = json_at(turns, json_count(turns) - 1);
    v->done += json_is_string(json_get(turn, "status"), "done");
    step_text(json_at(json_get(turn, "steps"), 1), out);
    json_doc_release(&doc);
    parley_event_free(event);
}

static void come_back(struct pair *p, struct client *c, struct cuts *v, struct rand_sim *r,
                      bool replays)
{
    // Where the stream is by now is where who gets no replay goes on.
    static const uint64_t away_ms[] = {0, 1, 3, 10, 40, 1000};
    uint64_t pause = away_ms[rand_below(&r->rand, 6)];
    parley_scope scope = PARLEY_SCOPE_INIT;
    parley_error error = PARLEY_ERROR_INIT;
    bool other = rand_below(&r->rand, 4) == 0;
    struct sim *s = other ? &p->b : &p->a;
    loop_run_for(p->a.loop, (int64_t)pause);
    if (!replays) {
        parley_event *event;
        while ((event = events_pop(&p->a.engine->events)) != NULL) {
            c->over |= event->request == c->request && event->type == PARLEY_EVENT_DONE;
            parley_event_free(event);
        }
        c->cut = false;
        return;
    }
    read_events(p->a.engine, c);
    scope.user = c->user;
    bool over = !loop_run_for(p->a.loop, 0) && p->a.engine->hands_len &&
                worker_stats(p->a.engine->hands[0].worker).turns_open == 0;
    v->stored += over && !other;
    v->live += !over && !other;
    v->other += other;
    if (parley_attach(s->engine, &scope, 0, c->text.len, &c->request, &error) < 0)
        give_up("attach: %s", error.message);
    c->engine = s->engine;
    c->cut = false;
    if (other) {  // it waits for the one that answers
        loop_run_for(p->b.loop, 0);
        loop_run(p->a.loop);
        loop_run_for(p->b.loop, 1000);
    }
}

static void one_reply(struct pair *p, struct cuts *v, unsigned n, struct rand_sim *r, bool replays)
{
    struct client c = {.text = BUF_INIT(TEXT_BYTES)};
    struct buf reply = BUF_INIT(TEXT_BYTES);
    unsigned cuts = 1 + (unsigned)rand_below(&r->rand, CUTS_MAX);
    send_turn(p, &c, n);
    c.cut_at = rand_below(&r->rand, 300);
    for (unsigned i = 0; !c.over;) {
        loop_run_for(p->a.loop, 1);
        loop_run_for(p->b.loop, 1);
        read_events(p->a.engine, &c);
        read_events(p->b.engine, &c);
        if (!c.cut)
            continue;
        v->cut++;
        come_back(p, &c, v, r, replays);
        c.cut_at = ++i < cuts ? c.text.len + 1 + rand_below(&r->rand, 400) : SIZE_MAX;
    }
    loop_run(p->a.loop);
    reply_of(p, c.user, &reply, v);
    bool same = slice_eq(buf_slice(&reply), buf_slice(&c.text));
    if (!same && replays)
        fprintf(stderr, "reply %u: has %zu bytes, read %zu\n", n, reply.len, c.text.len);
    v->turns++;
    v->whole += same;
    v->wrong += !same;
    buf_release(&reply);
    buf_release(&c.text);
}

static struct cuts run(unsigned cuts, bool replays, uint64_t seed)
{
    struct cuts v = {0};
    struct pair p;
    struct rand_sim r;
    rand_sim_init(&r, seed);
    pair_open(&p, seed);
    make_place(&p);
    for (unsigned n = 0; v.cut < cuts; n++)
        one_reply(&p, &v, n, &r, replays);
    pair_close(&p);
    return v;
}

static void test_attach__byte_identical(void **state)
{
    uint64_t seed = fault_seed();
    struct cuts v = run(fault_long() ? 5000 : 400, true, seed);
    (void)state;
    summary("cut off in mid-reply: %u cuts of %u replies, back to the one under way %u, to the "
            "stored one %u, to another process %u; byte-identical %.2f %% (100), turns committed "
            "%u of %u, seed=%llu", v.cut, v.turns, v.live, v.stored, v.other,
            100.0 * v.whole / v.turns, v.done, v.turns, (unsigned long long)seed);
    assert_int_equal(v.wrong, 0);
    assert_int_equal(v.done, v.turns);
    assert_true(v.live > 0 && v.stored > 0 && v.other > 0);
}

static void test_attach__control_nothing_is_told_again(void **state)
{
    uint64_t seed = fault_seed();
    struct cuts v = run(60, false, seed);
    (void)state;
    summary("control, nothing is told again: %u cuts of %u replies, not byte-identical %u (more "
            "than 0), turns committed %u of %u, seed=%llu", v.cut, v.turns, v.wrong, v.done,
            v.turns, (unsigned long long)seed);
    assert_true(v.wrong > 0);
    assert_int_equal(v.done, v.turns);
}

int main(void)
{
#define TEST(name) cmocka_unit_test(test_attach__##name)
    const struct CMUnitTest tests[] = {TEST(byte_identical), TEST(control_nothing_is_told_again)};

    return cmocka_run_group_tests_name("attach", tests, NULL, NULL);
}
