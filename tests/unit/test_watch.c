// SPDX-License-Identifier: MIT
// test_watch.c: who sees a session without having sent anything: parley_watch and parley_attach, in
// simulated time, and by two engines on one store.
#include "fault/pair.h"

enum { SEEN_BYTES = 1 << 20 };

// What a request was told: "accepted 1: words", "delta" texts joined, "done 1 done".
struct seen {
    uint64_t request;
    struct buf story, text;  // text: of all deltas
    char session[64];
    int code;                // of its end
    bool over;
};

static void seen_init(struct seen *s)
{
    *s = (struct seen){.story = BUF_INIT(SEEN_BYTES), .text = BUF_INIT(SEEN_BYTES)};
}

static void seen_release(struct seen *s)
{
    buf_release(&s->story);
    buf_release(&s->text);
}

static void note(struct seen *s, const parley_event *e)
{
    char status[16] = "";
    struct json_doc doc = JSON_DOC_INIT;
    if (e->session[0])
        snprintf(s->session, sizeof(s->session), "%s", e->session);
    if (e->json[0] && json_parse(&doc, slice_str(e->json), 0, NULL) == E_OK)
        copy_json_word(status, sizeof(status), json_get(json_root(&doc), "status"));
    json_doc_release(&doc);
    switch (e->type) {
    case PARLEY_EVENT_WATCHING:
        buf_addf(&s->story, "watching %u;", e->turn);
        break;
    case PARLEY_EVENT_ACCEPTED:
        buf_addf(&s->story, "accepted %u: %s;", e->turn, e->text);
        break;
    case PARLEY_EVENT_DELTA:
        buf_add(&s->text, e->text, e->text_bytes);
        break;
    case PARLEY_EVENT_DONE:
        buf_addf(&s->story, "%s %u;", status, e->turn);
        break;
    case PARLEY_EVENT_MOVED:
        buf_addf(&s->story, "moved: %s;", e->text);
        break;
    case PARLEY_EVENT_CHANGED:
        buf_add_str(&s->story, "changed;");
        break;
    case PARLEY_EVENT_ERROR:
        buf_addf(&s->story, "error %s;", parley_code_word(e->code));
        s->over = true;
        break;
    default:
        break;
    }
    s->code = e->code;
}

// All events that are there; of `s` those of its request, the others are dropped.
static void take(parley *e, struct seen *s, struct seen *other)
{
    parley_event *event;
    while ((event = events_pop(&e->events)) != NULL) {
        if (s && event->request == s->request)
            note(s, event);
        else if (other && event->request == other->request)
            note(other, event);
        parley_event_free(event);
    }
}

static const char *story(const struct seen *s)
{
    return s->story.ptr ? s->story.ptr : "";
}

static uint64_t say(parley *e, const char *text, const char *provider, const char *device,
                    unsigned flags)
{
    parley_message m = PARLEY_MESSAGE_INIT;
    parley_error error = PARLEY_ERROR_INIT;
    uint64_t request;
    m.user = "ann";
    m.text = text;
    m.provider = provider;
    m.device = device;
    m.flags = PARLEY_CONTINUE | flags;
    if (parley_send(e, &m, &request, &error) < 0)
        give_up("send: %s", error.message);
    return request;
}

static uint64_t ask(parley *e, int (*fn)(parley *, const parley_scope *, uint64_t *,
                                         parley_error *), const char *device)
{
    parley_scope scope = PARLEY_SCOPE_INIT;
    parley_error error = PARLEY_ERROR_INIT;
    uint64_t request;
    scope.user = "ann";
    scope.device = device;
    scope.flags = PARLEY_CONTINUE;
    if (fn(e, &scope, &request, &error) < 0)
        give_up("asking: %s", error.message);
    return request;
}

static uint64_t attach(parley *e, uint32_t turn, uint64_t from)
{
    parley_scope scope = PARLEY_SCOPE_INIT;
    parley_error error = PARLEY_ERROR_INIT;
    uint64_t request;
    scope.user = "ann";
    if (parley_attach(e, &scope, turn, from, &request, &error) < 0)
        give_up("attach: %s", error.message);
    return request;
}

static void run(struct sim *s)
{
    loop_run(s->loop);
}

static void use_policy(struct sim *s, const char *text)
{
    place_write(&s->place, "policies/fault.lua", text);
}

#define SOLO "return { devices = { one_active = true }, privacy = { redact = false } }\n"

static void test_watch__sees_what_happens_here(void **state)
{
    struct sim s;
    struct seen w;
    (void)state;
    seen_init(&w);
    sim_open(&s, &no_wire, 1, NULL);
    w.request = ask(s.engine, parley_watch, NULL);
    run(&s);
    take(s.engine, &w, NULL);
    assert_string_equal(story(&w), "error not_found;");
    buf_clear(&w.story);
    say(s.engine, "one #1", "scripted", NULL, 0);
    run(&s);
    take(s.engine, NULL, NULL);
    w.request = ask(s.engine, parley_watch, NULL);
    run(&s);
    say(s.engine, "two #2 long", "slow", NULL, 0);
    loop_run_for(s.loop, 20);  // in the middle of the reply
    take(s.engine, &w, NULL);
    assert_string_equal(story(&w), "watching 1;accepted 2: two #2 long;");
    assert_true(w.text.len > 0 && w.text.len < REPLY_TAILS * sizeof(REPLY_TAIL));
    run(&s);
    take(s.engine, &w, NULL);
    assert_string_equal(story(&w), "watching 1;accepted 2: two #2 long;done 2;");
    char expected[REPLY_BYTES];
    reply_expected(2, true, expected);
    assert_int_equal(w.text.len, strlen(expected));
    assert_memory_equal(w.text.ptr, expected, w.text.len);
    // What is taken back changes what was seen; what follows is seen again.
    ask(s.engine, parley_undo, NULL);
    loop_run_for(s.loop, 3000);
    take(s.engine, &w, NULL);
    assert_non_null(strstr(story(&w), "done 2;changed;"));
    say(s.engine, "three #3", "scripted", NULL, 0);
    run(&s);
    take(s.engine, &w, NULL);
    assert_non_null(strstr(story(&w), "changed;accepted 3: three #3;done 3;"));
    parley_stop(s.engine, w.request);
    run(&s);
    take(s.engine, &w, NULL);
    assert_non_null(strstr(story(&w), "done 3;error cancelled;"));
    sim_close(&s);
    seen_release(&w);
}

// It begins in the middle of a reply, and ends with the engine.
static void test_watch__begins_in_the_middle(void **state)
{
    struct sim s;
    struct seen w, first;
    (void)state;
    seen_init(&w);
    seen_init(&first);
    sim_open(&s, &no_wire, 1, NULL);
    first.request = say(s.engine, "one #1 long", "slow", NULL, 0);
    loop_run_for(s.loop, 25);
    take(s.engine, &w, &first);
    size_t before = first.text.len;
    assert_true(before > 0);
    w.request = ask(s.engine, parley_watch, NULL);
    run(&s);
    take(s.engine, &w, &first);
    assert_string_equal(story(&w), "watching 0;accepted 1: one #1 long;done 1;");
    assert_int_equal(w.text.len, first.text.len);
    assert_memory_equal(w.text.ptr, first.text.ptr, w.text.len);
    sim_close(&s);
    seen_release(&w);
    seen_release(&first);
}

static void test_watch__hears_that_it_moved(void **state)
{
    struct sim s;
    struct seen laptop, phone;
    (void)state;
    seen_init(&laptop);
    seen_init(&phone);
    sim_open(&s, &no_wire, 1, NULL);
    use_policy(&s, SOLO);
    say(s.engine, "one #1", "scripted", "laptop", 0);
    run(&s);
    laptop.request = ask(s.engine, parley_watch, "laptop");
    phone.request = ask(s.engine, parley_watch, "phone");
    run(&s);
    say(s.engine, "two #2", "scripted", "phone", PARLEY_CONTINUE_HERE);
    loop_run_for(s.loop, 5000);
    take(s.engine, &laptop, &phone);
    assert_string_equal(story(&laptop), "watching 1;moved: phone;accepted 2: two #2;done 2;");
    assert_string_equal(story(&phone), "watching 1;accepted 2: two #2;done 2;");
    sim_close(&s);
    seen_release(&laptop);
    seen_release(&phone);
}

static void test_watch__sees_another_process(void **state)
{
    struct pair p;
    struct seen w;
    (void)state;
    seen_init(&w);
    pair_open(&p, 7);
    use_policy(&p.a, SOLO);
    say(p.a.engine, "one #1", "scripted", "laptop", 0);
    run(&p.a);
    w.request = ask(p.b.engine, parley_watch, "laptop");
    run(&p.b);
    say(p.a.engine, "two #2", "scripted", "phone", PARLEY_CONTINUE_HERE);
    run(&p.a);
    say(p.a.engine, "three #3 long", "slow", "phone", 0);
    loop_run_for(p.a.loop, 20);
    loop_run_for(p.b.loop, 2500);
    take(p.b.engine, &w, NULL);
    assert_string_equal(story(&w), "watching 1;moved: phone;accepted 2: two #2;done 2;"
                                   "accepted 3: three #3 long;");
    assert_string_equal(w.text.ptr, "Answer to #2.");
    run(&p.a);
    loop_run_for(p.b.loop, 2500);
    take(p.b.engine, &w, NULL);
    assert_non_null(strstr(story(&w), "accepted 3: three #3 long;done 3;"));
    pair_close(&p);
    seen_release(&w);
}

// Threads, a real disk, two engines; a watch ends with its engine.
static void test_watch__in_real_time(void **state)
{
    struct place place;
    struct engine_wish wish = {0};
    parley_error error = PARLEY_ERROR_INIT;
    struct seen w;
    parley *engines[2];
    (void)state;
    seen_init(&w);
    place_make_light(&place);
    for (unsigned i = 0; i < 2; i++)
        if (place_open(&place, &wish, &engines[i], &error) < 0)
            give_up("engine: %s", error.message);
    say(engines[0], "one #1", "scripted", NULL, 0);
    parley_event_free(wait_end(engines[0], NULL));
    w.request = ask(engines[1], parley_watch, NULL);
    parley_event *event = next_event(engines[1]);
    assert_int_equal(event->type, PARLEY_EVENT_WATCHING);
    parley_event_free(event);
    say(engines[0], "two #2", "scripted", NULL, 0);
    for (bool over = false; !over;) {
        event = next_event(engines[1]);
        note(&w, event);
        over = event->type == PARLEY_EVENT_DONE;
        parley_event_free(event);
    }
    assert_string_equal(story(&w), "accepted 2: two #2;done 2;");
    assert_string_equal(w.text.ptr, "Answer to #2.");
    parley_close(engines[1]);
    parley_close(engines[0]);
    place_remove(&place);
    seen_release(&w);
}

// Who is erased is watched by nobody any more.
static void test_watch__ends_with_its_user(void **state)
{
    struct sim s;
    struct seen w;
    (void)state;
    seen_init(&w);
    sim_open(&s, &no_wire, 1, NULL);
    say(s.engine, "one #1", "scripted", NULL, 0);
    run(&s);
    w.request = ask(s.engine, parley_watch, NULL);
    run(&s);
    ask(s.engine, parley_erase, NULL);
    run(&s);
    say(s.engine, "two #2", "scripted", NULL, 0);
    run(&s);
    take(s.engine, &w, NULL);
    assert_string_equal(story(&w), "watching 1;error erased;");
    sim_close(&s);
    seen_release(&w);
}

// ---- attach

static void test_watch__attaches_to_a_reply(void **state)
{
    struct pair p;
    struct seen first, again, late;
    (void)state;
    seen_init(&first);
    seen_init(&again);
    seen_init(&late);
    pair_open(&p, 7);
    first.request = say(p.a.engine, "one #1 long", "slow", NULL, 0);
    loop_run_for(p.a.loop, 25);
    take(p.a.engine, &first, NULL);
    size_t had = first.text.len - 3;
    again.request = attach(p.a.engine, 1, had);
    loop_run_for(p.a.loop, 5);
    late.request = attach(p.a.engine, 0, 100000);  // more than there will be
    loop_run_for(p.a.loop, 0);
    parley_stop(p.a.engine, late.request);
    loop_run_for(p.a.loop, 1);
    take(p.a.engine, &again, &late);
    assert_string_equal(story(&late), "accepted 1: ;error cancelled;");
    run(&p.a);
    take(p.a.engine, &again, NULL);
    assert_string_equal(story(&again), "accepted 1: ;done 1;");
    char expected[REPLY_BYTES];
    reply_expected(1, true, expected);
    assert_int_equal(had + again.text.len, strlen(expected));
    assert_memory_equal(again.text.ptr, expected + had, again.text.len);
    // When it is over, in either process.
    struct sim *both[] = {&p.a, &p.b};
    for (unsigned i = 0; i < 2; i++) {
        buf_clear(&again.text);
        again.request = attach(both[i]->engine, 1, 17);
        run(both[i]);
        take(both[i]->engine, &again, NULL);
        assert_string_equal(again.text.ptr, expected + 17);
    }
    buf_clear(&again.text);
    again.request = attach(p.b.engine, 1, strlen(expected) + 1);
    run(&p.b);
    take(p.b.engine, &again, NULL);
    assert_int_equal(again.text.len, 0);
    assert_int_equal(again.code, 0);
    again.request = attach(p.b.engine, 2, 0);
    run(&p.b);
    take(p.b.engine, &again, NULL);
    assert_int_equal(again.code, PARLEY_E_NOT_FOUND);
    pair_close(&p);
    seen_release(&first);
    seen_release(&again);
    seen_release(&late);
}

// A client has read what a mask stood for, and nobody knows that any more.
static void test_watch__never_goes_on_with_other_words(void **state)
{
    struct sim s;
    struct seen first, again;
    (void)state;
    seen_init(&first);
    seen_init(&again);
    sim_open(&s, &no_wire, 1, NULL);
    use_policy(&s, "return { system = \"x\" }\n");
    place_write(&s.place, "reply.lua", "return function(request)\n"
                "    return \"You are \" .. request.messages[#request.messages].text .. \" then\"\n"
                "end\n");
    first.request = say(s.engine, "ann@example.org", "scripted", NULL, 0);
    run(&s);
    take(s.engine, &first, NULL);
    assert_string_equal(first.text.ptr, "You are ann@example.org then");
    again.request = attach(s.engine, 1, 12);
    run(&s);
    take(s.engine, &again, NULL);
    assert_string_equal(story(&again), "error conflict;");
    again.request = attach(s.engine, 1, 0);
    run(&s);
    take(s.engine, &again, NULL);
    assert_string_equal(again.text.ptr, "You are [EMAIL_1] then");
    sim_close(&s);
    seen_release(&first);
    seen_release(&again);
}

// ---- without memory

enum { NO_MEMORY_TRIES = 400 };

// Somebody watches here while another device takes over there, and somebody attaches: with the n-th
// allocation failing. What was allocated; whatever fails is told, and what comes after works.
static uint64_t without_memory(struct pair *p, uint64_t n)
{
    char user[24];
    parley_scope scope = PARLEY_SCOPE_INIT;
    parley_message m = PARLEY_MESSAGE_INIT;
    parley_error error = PARLEY_ERROR_INIT;
    uint64_t watch = 0, attached = 0, request;
    snprintf(user, sizeof(user), "user%u", (unsigned)n);
    m.user = scope.user = user;
    m.text = "one #1";
    m.provider = "scripted";
    m.flags = scope.flags = PARLEY_CONTINUE;
    m.device = "laptop";
    scope.device = "laptop";
    assert_int_equal(parley_send(p->a.engine, &m, &request, &error), 0);
    run(&p->a);
    uint64_t before = mem_count();
    mem_fail_at(n, 0);
    bool watched = parley_watch(p->b.engine, &scope, &watch, &error) == 0;
    loop_run_for(p->b.loop, 1);
    m.device = "phone";
    m.flags |= PARLEY_CONTINUE_HERE;
    m.text = "two #2 long";
    m.provider = "slow";
    bool sent = parley_send(p->a.engine, &m, &request, &error) == 0;
    loop_run_for(p->a.loop, 10);
    bool joined = parley_attach(p->a.engine, &scope, 0, 5, &attached, &error) == 0;
    run(&p->a);
    loop_run_for(p->b.loop, 3000);
    uint64_t made = mem_count() - before;
    mem_fail_at(0, 0);
    run(&p->a);
    loop_run_for(p->b.loop, 3000);
    if (watched)
        parley_stop(p->b.engine, watch);
    run(&p->b);
    assert_true(sent || joined || watched);
    take(p->a.engine, NULL, NULL);
    take(p->b.engine, NULL, NULL);
    assert_int_equal(atomic_load(&p->a.engine->under_way), 0);
    assert_int_equal(atomic_load(&p->b.engine->under_way), 0);
    m.text = "three #3";
    m.provider = "scripted";
    assert_int_equal(parley_send(p->a.engine, &m, &request, &error), 0);
    parley_event *event = wait_end(p->a.engine, NULL);
    assert_int_equal(event->code, 0);
    parley_event_free(event);
    return made;
}

static void test_watch__without_memory(void **state)
{
    struct pair p;
    (void)state;
    pair_open(&p, 3);
    use_policy(&p.a, SOLO);
    without_memory(&p, 1000000);  // the policy is loaded
    uint64_t all = without_memory(&p, 1000001);
    uint64_t step = all / NO_MEMORY_TRIES + 1;
    for (uint64_t n = 1; n <= all; n += step)
        without_memory(&p, n);
    assert_int_equal(verify_problems(p.a.engine), 0);
    pair_close(&p);
}

int main(void)
{
#define TEST(name) cmocka_unit_test(test_watch__##name)
    const struct CMUnitTest tests[] = {
        TEST(sees_what_happens_here),    TEST(begins_in_the_middle),
        TEST(ends_with_its_user),        TEST(in_real_time),
        TEST(without_memory),
        TEST(hears_that_it_moved),       TEST(sees_another_process),
        TEST(attaches_to_a_reply),       TEST(never_goes_on_with_other_words),
    };

    return cmocka_run_group_tests_name("watch", tests, NULL, NULL);
}
