// SPDX-License-Identifier: MIT
// Two watch a session, one in each of two engines on one store, while both engines send, edit and
// undo in it, their loops turned in an order out of a seed. Each turn is told to both once, in
// order, with the words and the reply that the ledger has; and that something was taken back.
//
// Negative control: a watcher that takes no notice of what comes from the other engine.
#include "fault/pair.h"

#include "base/loop_int.h"

enum { WATCHERS = 2, STEPS = 12, TURNS_MAX = 64, STORY_BYTES = 1 << 16 };

struct told {
    unsigned accepted, done;
    struct buf words, reply;
};

struct watcher {
    parley *engine;
    uint64_t request;
    char session[64];
    uint32_t upto;      // turns that were over when it began
    uint32_t now;       // the turn that is told
    bool changed;
    unsigned disorder;
    struct told turns[TURNS_MAX];
};

struct verdict {
    unsigned sessions, turns, missing, twice, wrong, disorder, changes_missed, undone;
};

static void send(struct sim *s, const char *user, const char *text, uint32_t edit, bool slow)
{
    parley_message m = PARLEY_MESSAGE_INIT;
    parley_error error = PARLEY_ERROR_INIT;
    uint64_t request;
    m.user = user;
    m.text = text;
    m.edit_turn = edit;
    m.provider = slow ? "slow" : "scripted";
    m.flags = PARLEY_CONTINUE;
    if (parley_send(s->engine, &m, &request, &error) < 0)
        give_up("send: %s", error.message);
}

static void undo(struct sim *s, const char *user)
{
    parley_scope scope = PARLEY_SCOPE_INIT;
    parley_error error = PARLEY_ERROR_INIT;
    uint64_t request;
    scope.user = user;
    if (parley_undo(s->engine, &scope, &request, &error) < 0)
        give_up("undo: %s", error.message);
}

static void watch(struct watcher *w, struct sim *s, const char *user)
{
    parley_scope scope = PARLEY_SCOPE_INIT;
    parley_error error = PARLEY_ERROR_INIT;
    memset(w, 0, sizeof(*w));
    for (unsigned i = 0; i < TURNS_MAX; i++) {
        buf_init(&w->turns[i].words, STORY_BYTES);
        buf_init(&w->turns[i].reply, STORY_BYTES);
    }
    scope.user = user;
    w->engine = s->engine;
    if (parley_watch(s->engine, &scope, &w->request, &error) < 0)
        give_up("watch: %s", error.message);
}

static void see(struct watcher *w, const parley_event *event)
{
    if (event->turn >= TURNS_MAX)
        give_up("turn %u", event->turn);
    struct told *t = &w->turns[event->turn];
    switch (event->type) {
    case PARLEY_EVENT_WATCHING:
        w->upto = w->now = event->turn;
        snprintf(w->session, sizeof(w->session), "%s", event->session);
        break;
    case PARLEY_EVENT_ACCEPTED:
        w->disorder += event->turn != w->now + 1;
        w->now = event->turn;
        t->accepted++;
        buf_add(&t->words, event->text, event->text_bytes);
        break;
    case PARLEY_EVENT_DELTA:
        w->disorder += event->turn != 0 && event->turn != w->now;
        buf_add(&w->turns[w->now].reply, event->text, event->text_bytes);
        break;
    case PARLEY_EVENT_DONE:
        w->disorder += event->turn != w->now;
        t->done++;
        break;
    case PARLEY_EVENT_CHANGED:
        w->changed = true;
        break;
    case PARLEY_EVENT_ERROR:
        give_up("the watch ended: %s", event->text);
    default:
        break;
    }
}

static void take(parley *e, struct watcher *watchers)
{
    parley_event *event;
    while ((event = events_pop(&e->events)) != NULL) {
        for (unsigned i = 0; watchers && i < WATCHERS; i++)
            if (watchers[i].engine == e && watchers[i].request == event->request)
                see(&watchers[i], event);
        parley_event_free(event);
    }
}

static void judge_turn(struct verdict *v, struct told *t, struct json turn)
{
    struct buf words = BUF_INIT(STORY_BYTES), reply = BUF_INIT(STORY_BYTES);
    step_text(json_at(json_get(turn, "steps"), 0), &words);
    step_text(json_at(json_get(turn, "steps"), 1), &reply);
    v->turns++;
    v->missing += t->accepted == 0 || t->done == 0;
    v->twice += t->accepted > 1 || t->done > 1;
    v->wrong += t->accepted && (!slice_eq(buf_slice(&words), buf_slice(&t->words)) ||
                                !slice_eq(buf_slice(&reply), buf_slice(&t->reply)));
    buf_release(&words);
    buf_release(&reply);
}

static void judge(struct verdict *v, struct pair *p, const char *user, struct watcher *w)
{
    struct json_doc doc = JSON_DOC_INIT;
    struct json_iter it = {0};
    struct json turn;
    bool undone = false;
    parley_event *event = ask_show(p->a.engine, user, w->session);
    if (json_parse(&doc, slice_str(event->json), 0, NULL))
        give_up("show: %s", event->text);
    while (json_next(json_get(json_root(&doc), "turns"), &it, NULL, &turn)) {
        uint32_t n = ordinal_of(json_get(turn, "turn"));
        undone |= json_bool(json_get(turn, "superseded"), false);
        if (n > w->upto)
            judge_turn(v, &w->turns[n], turn);
    }
    v->disorder += w->disorder;
    v->undone += undone;
    v->changes_missed += undone && !w->changed;
    json_doc_release(&doc);
    parley_event_free(event);
    for (unsigned i = 0; i < TURNS_MAX; i++) {
        buf_release(&w->turns[i].words);
        buf_release(&w->turns[i].reply);
    }
}

static void let_run(struct pair *p, struct rand_sim *r)
{
    struct loop *loops[] = {p->a.loop, p->b.loop};
    for (uint64_t n = rand_below(&r->rand, 40); n; n--)
        loop_turn(loops[rand_below(&r->rand, 2)]);
    if (rand_below(&r->rand, 3) == 0)
        for (unsigned i = 0; i < 2; i++)
            loop_run_for(loops[i], (int64_t)rand_below(&r->rand, 600));
}

static void one_session(struct verdict *v, struct pair *p, unsigned n, struct rand_sim *r,
                        bool deaf)
{
    struct sim *both[] = {&p->a, &p->b};
    struct watcher watchers[WATCHERS];
    char user[32], text[48];
    snprintf(user, sizeof(user), "user%u", n);
    send(&p->a, user, "hello #1", 0, false);
    loop_run(p->a.loop);
    take(p->a.engine, NULL);
    for (unsigned i = 0; i < WATCHERS; i++)
        watch(&watchers[i], both[i], user);
    for (unsigned i = 0; i < WATCHERS; i++)
        loop_run(both[i]->loop);
    for (unsigned step = 0; step < STEPS; step++) {
        struct sim *s = both[rand_below(&r->rand, 2)];
        uint64_t what = rand_below(&r->rand, 10);
        bool is_long = rand_below(&r->rand, 2);
        snprintf(text, sizeof(text), "%s #%u", is_long ? "long" : "short", step + 2);
        if (what == 0)
            undo(s, user);
        else
            send(s, user, text, what == 1 ? 1 + (uint32_t)rand_below(&r->rand, 3) : 0, is_long);
        let_run(p, r);
        for (unsigned i = 0; i < WATCHERS && !deaf; i++)
            take(both[i]->engine, watchers);
    }
    for (unsigned i = 0; i < 2 * WATCHERS; i++) {
        loop_run(both[i % 2]->loop);
        if (!deaf)
            loop_run_for(both[i % 2]->loop, 5000);
    }
    for (unsigned i = 0; i < WATCHERS; i++) {
        take(both[i]->engine, watchers);
        parley_stop(both[i]->engine, watchers[i].request);
        watchers[i].request = 0;
        loop_run(both[i]->loop);
        take(both[i]->engine, watchers);
        judge(v, p, user, &watchers[i]);
    }
    v->sessions++;
}

static struct verdict run(unsigned sessions, uint64_t seed, bool deaf)
{
    struct verdict v = {0};
    struct pair p;
    struct rand_sim r;
    rand_sim_init(&r, seed);
    pair_open(&p, seed);
    for (unsigned n = 0; n < sessions; n++)
        one_session(&v, &p, n, &r, deaf);
    pair_close(&p);
    return v;
}

static void test_watchers__see_every_turn_once(void **state)
{
    uint64_t seed = fault_seed();
    struct verdict v = run(fault_long() ? 2000 : 60, seed, false);
    (void)state;
    summary("two watchers in two processes: %u sessions, turns %u, not told %u (0), told twice %u "
            "(0), other words %u (0), out of order %u (0), took-backs %u, not told of %u (0), "
            "seed=%llu", v.sessions, v.turns, v.missing, v.twice, v.wrong, v.disorder, v.undone,
            v.changes_missed, (unsigned long long)seed);
    assert_int_equal(v.missing + v.twice + v.wrong + v.disorder + v.changes_missed, 0);
    assert_true(v.turns > 0 && v.undone > 0);
}

static void test_watchers__control_nobody_looks_at_the_store(void **state)
{
    struct verdict v = run(10, fault_seed(), true);
    (void)state;
    summary("control, no time to look at the store: turns %u, not told %u (more than 0)", v.turns,
            v.missing);
    assert_true(v.missing > 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test(test_watchers__##name)
    const struct CMUnitTest tests[] = {TEST(see_every_turn_once),
                                       TEST(control_nobody_looks_at_the_store)};

    return cmocka_run_group_tests_name("watchers", tests, NULL, NULL);
}
