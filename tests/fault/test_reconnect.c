// SPDX-License-Identifier: MIT
// What happens to people whose line, program or patience breaks: a process killed in the middle of
// a reply, that comes back; three reconnects in ten seconds after hours away; two tabs at once. Of
// each: no turn lost, none twice, nothing remembered twice, and what the person saw.
//
// Negative control: who comes back without -c, as if nobody looked for the session.
#include "fault/pair.h"

enum { HOURS_AWAY = 5, RECONNECTS = 3, TABS = 2 };

// All of them remember; what is said to them is that somebody lives in Lisbon.
#define REMEMBERS(more)                                                                            \
    "local memory = require \"parley.memory\"\n"                                                  \
    "return { system = \"Be brief.\", privacy = { redact = false },\n"                             \
    "         memory = memory.rules {}, " more " }\n"
#define GREETS REMEMBERS("resume = { greet = function(view) return \"Welcome back.\" end }")
#define SOLO REMEMBERS("devices = { one_active = true }")
#define LISBON "I live in Lisbon. "

// ---- what is remembered

struct remembered {
    unsigned people, twice;  // who are remembered to live in Lisbon; what is remembered twice
};

// Evidence of one turn is one piece; a turn is a session and its number.
static unsigned evidence_twice(struct json evidence)
{
    unsigned twice = 0;
    for (uint32_t i = 0; i < json_count(evidence); i++)
        for (uint32_t k = 0; k < i; k++) {
            struct json a = json_at(evidence, i), b = json_at(evidence, k);
            twice += slice_eq(json_raw(json_get(a, "session")), json_raw(json_get(b, "session"))) &&
                     slice_eq(json_raw(json_get(a, "turn")), json_raw(json_get(b, "turn")));
        }
    return twice;
}

static void look_at_memory(struct remembered *m, parley *e, const char *user)
{
    parley_scope scope = PARLEY_SCOPE_INIT;
    parley_error error = PARLEY_ERROR_INIT;
    struct json_doc doc = JSON_DOC_INIT;
    struct json_iter it = {0};
    struct json fact;
    unsigned facts = 0;
    uint64_t request;
    scope.user = user;
    if (parley_memory(e, &scope, PARLEY_MEMORY_ALL, &request, &error) < 0)
        give_up("memory: %s", error.message);
    parley_event *event = wait_end(e, NULL);
    if (json_parse(&doc, slice_str(event->json), 0, NULL))
        give_up("memory: %s", event->text);
    while (json_next(json_get(json_root(&doc), "facts"), &it, NULL, &fact)) {
        facts += json_is_string(json_get(fact, "predicate"), "lives_in");
        m->twice += evidence_twice(json_get(fact, "evidence"));
    }
    m->people += facts > 0;
    m->twice += facts > 1 ? facts - 1 : 0;
    json_doc_release(&doc);
    parley_event_free(event);
}

// ---- abrupt disconnect

struct killed {
    unsigned kills, lost, twice, wrong, restored, problems, unfinished;
    uint64_t saw, kept, short_by;  // bytes; the most that was seen and not kept
};

enum { TIMES = 50 };  // that one person's process dies

static const char *person(unsigned n, char name[16])
{
    snprintf(name, 16, "ann%u", (n - 1) / TIMES);
    return name;
}

// Says something and dies once it has read so much of the reply; what it read goes down the pipe.
static void talk_and_die(const struct place *place, unsigned n, size_t die_at, int out)
{
    struct engine_wish wish = {.provider = "slow"};
    parley_error error = PARLEY_ERROR_INIT;
    parley_message m = PARLEY_MESSAGE_INIT;
    uint64_t request;
    char text[48], name[16];
    size_t seen = 0;
    parley *e;
    if (place_open(place, &wish, &e, &error) < 0)
        give_up("engine: %s", error.message);
    snprintf(text, sizeof(text), LISBON "Something long #%u", n);
    m.user = person(n, name);
    m.text = text;
    m.flags = PARLEY_CONTINUE;
    if (parley_send(e, &m, &request, &error) < 0)
        give_up("send: %s", error.message);
    for (;;) {
        parley_event *event = next_event(e);
        if (event->type == PARLEY_EVENT_DELTA) {
            if (write(out, event->text, event->text_bytes) < 0)
                give_up("pipe: %s", strerror(errno));
            seen += event->text_bytes;
        }
        if (seen >= die_at || is_last(event))
            kill(getpid(), SIGKILL);
        parley_event_free(event);
    }
}

static void kill_in_mid_reply(const struct place *place, unsigned n, size_t die_at, struct buf *saw)
{
    int ends[2], status;
    char piece[4096];
    ssize_t len;
    if (pipe(ends) != 0)
        give_up("pipe: %s", strerror(errno));
    pid_t pid = fork();
    if (pid < 0)
        give_up("fork: %s", strerror(errno));
    if (pid == 0) {
        close(ends[0]);
        talk_and_die(place, n, die_at, ends[1]);
    }
    close(ends[1]);
    while ((len = read(ends[0], piece, sizeof(piece))) > 0)
        buf_add(saw, piece, (size_t)len);
    close(ends[0]);
    if (waitpid(pid, &status, 0) != pid || !WIFSIGNALED(status))
        give_up("the process ended with %d", status);
}

// What the store has of the turn, and that the person goes on in the same session.
static void look(struct killed *v, parley *e, unsigned n, const struct buf *saw)
{
    struct json_doc doc = JSON_DOC_INIT;
    struct json_iter it = {0};
    struct json turn, found = {0};
    unsigned times = 0;
    struct buf kept = BUF_INIT(REPLY_BYTES);
    char expected[REPLY_BYTES], name[16];
    parley_event *event = ask_show(e, person(n, name), NULL);
    if (json_parse(&doc, slice_str(event->json), 0, NULL))
        give_up("show: %s", event->text);
    while (json_next(json_get(json_root(&doc), "turns"), &it, NULL, &turn)) {
        struct buf text = BUF_INIT(4096);
        step_text(json_at(json_get(turn, "steps"), 0), &text);
        if (text_number(buf_slice(&text)) == n) {
            times++;
            found = turn;
        }
        buf_release(&text);
    }
    v->lost += times == 0;
    v->twice += times > 1;
    step_text(json_at(json_get(found, "steps"), 1), &kept);
    reply_expected(n, true, expected);
    v->wrong += memcmp(kept.len ? kept.ptr : "", expected, kept.len) != 0 ||
                memcmp(saw->len ? saw->ptr : "", expected, saw->len) != 0;
    v->unfinished += json_is_string(json_get(found, "status"), "interrupted");
    v->saw += saw->len;
    v->kept += kept.len;
    if (saw->len > kept.len && saw->len - kept.len > v->short_by)
        v->short_by = saw->len - kept.len;
    buf_release(&kept);
    json_doc_release(&doc);
    parley_event_free(event);
}

static void come_back(struct killed *v, const struct place *place, unsigned n,
                      const struct buf *saw)
{
    struct engine_wish wish = {0};
    parley_error error = PARLEY_ERROR_INIT;
    parley_message m = PARLEY_MESSAGE_INIT;
    uint64_t request;
    char name[16];
    parley *e;
    if (place_open(place, &wish, &e, &error) < 0)
        give_up("engine: %s", error.message);
    look(v, e, n, saw);
    m.user = person(n, name);
    m.text = "And then?";
    m.flags = PARLEY_CONTINUE;
    if (parley_send(e, &m, &request, &error) < 0)
        give_up("send: %s", error.message);
    parley_event *event = wait_end(e, NULL);
    // One session: its turns are two for each time that the process died.
    v->restored += event->code == 0 && event->turn == 2 * ((n - 1) % TIMES + 1);
    parley_event_free(event);
    if (n % TIMES == 0 || n < TIMES)
        v->problems += (unsigned)verify_problems(e);
    parley_close(e);
}

static void test_reconnect__after_an_abrupt_disconnect(void **state)
{
    unsigned kills = fault_long() ? 1000 : 12;
    uint64_t seed = fault_seed();
    struct engine_wish wish = {0};
    parley_error error = PARLEY_ERROR_INIT;
    struct killed v = {0};
    struct remembered m = {0};
    struct rand_sim r;
    struct place place;
    parley *e;
    (void)state;
    rand_sim_init(&r, seed);
    place_make_light(&place);
    place_write(&place, "policies/fault.lua", REMEMBERS(""));
    for (unsigned n = 1; n <= kills; n++) {
        struct buf saw = BUF_INIT(REPLY_BYTES);
        kill_in_mid_reply(&place, n, 1 + rand_below(&r.rand, 6000), &saw);
        come_back(&v, &place, n, &saw);
        v.kills++;
        buf_release(&saw);
    }
    if (place_open(&place, &wish, &e, &error) < 0)
        give_up("engine: %s", error.message);
    for (unsigned n = 1; n <= kills; n += TIMES) {
        char name[16];
        look_at_memory(&m, e, person(n, name));
    }
    parley_close(e);
    place_remove(&place);
    summary("abrupt disconnect: killed in mid-reply %u times, turns lost %u (0), twice %u (0), "
            "memories twice %u (0), replies that are not what was said %u (0), shown as "
            "interrupted %u, back in the same session and answered %u (all), problems %u (0); the "
            "person saw %llu bytes, kept were %llu, at most %llu fewer (up to 4096 and a piece), "
            "seed=%llu",
            v.kills, v.lost, v.twice, m.twice, v.wrong, v.unfinished, v.restored, v.problems,
            (unsigned long long)v.saw, (unsigned long long)v.kept, (unsigned long long)v.short_by,
            (unsigned long long)seed);
    assert_int_equal(v.lost + v.twice + m.twice + v.wrong + v.problems, 0);
    assert_int_equal(m.people, (kills + TIMES - 1) / TIMES);
    assert_int_equal(v.restored, v.kills);
    assert_int_equal(v.unfinished, v.kills);
}

// ---- rapid reconnect

struct rapid {
    unsigned people, sessions_more, greeted, again, lost;
    struct remembered memory;
};

static void sim_say(struct sim *s, const char *user, const char *text, const char *device,
                    unsigned flags)
{
    parley_message m = PARLEY_MESSAGE_INIT;
    parley_error error = PARLEY_ERROR_INIT;
    uint64_t request;
    m.user = user;
    m.text = text;
    m.device = device;
    m.flags = flags;
    if (parley_send(s->engine, &m, &request, &error) < 0)
        give_up("send: %s", error.message);
}

static void reconnect(struct rapid *v, struct sim *s, const char *user, bool continues)
{
    parley_scope scope = PARLEY_SCOPE_INIT;
    parley_error error = PARLEY_ERROR_INIT;
    struct json_doc doc = JSON_DOC_INIT;
    uint64_t request;
    if (!continues) {
        sim_say(s, user, "Hello? #9", NULL, 0);
        parley_event_free(wait_end(s->engine, NULL));
        return;
    }
    scope.user = user;
    if (parley_resume(s->engine, &scope, &request, &error) < 0)
        give_up("resume: %s", error.message);
    parley_event *event = wait_end(s->engine, NULL);
    if (json_parse(&doc, slice_str(event->json), 0, NULL))
        give_up("resume: %s", event->text);
    struct slice greeting = json_raw(json_get(json_root(&doc), "greeting"));
    v->greeted += greeting.len > 2;
    v->again += json_is_string(json_get(json_root(&doc), "resumed"), "restored");
    json_doc_release(&doc);
    parley_event_free(event);
}

static void count_sessions(struct rapid *v, struct sim *s, const char *user)
{
    struct json_doc doc = JSON_DOC_INIT;
    parley_event *event = ask_sessions(s->engine, user);
    if (json_parse(&doc, slice_str(event->json), 0, NULL))
        give_up("sessions: %s", event->json);
    v->sessions_more += json_count(json_root(&doc)) - 2;
    v->lost += json_i64(json_get(json_at(json_root(&doc), 0), "turns"), 0) != 1;
    json_doc_release(&doc);
    parley_event_free(event);
}

static struct rapid reconnect_rapidly(unsigned people, bool continues)
{
    struct rapid v = {.people = people};
    struct pair p;
    pair_open(&p, fault_seed());
    place_write(&p.a.place, "policies/fault.lua", GREETS);
    struct sim *line[] = {&p.a, &p.b};
    for (unsigned n = 0; n < people; n++) {
        char user[32];
        snprintf(user, sizeof(user), "user%u", n);
        sim_say(&p.a, user, LISBON "I planted tulips. #1", NULL, PARLEY_CONTINUE);
        parley_event_free(wait_end(p.a.engine, NULL));
        clock_sim_advance(&p.a.clock, HOURS_AWAY * 3600000LL);
        for (unsigned i = 0; i < RECONNECTS; i++) {
            reconnect(&v, line[(n + i) % 2], user, continues);
            clock_sim_advance(&p.a.clock, 3000);
        }
        sim_say(line[n % 2], user, LISBON "Do they bloom? #2", NULL, PARLEY_CONTINUE);
        parley_event_free(wait_end(line[n % 2]->engine, NULL));
        look_at_memory(&v.memory, p.a.engine, user);
        count_sessions(&v, &p.a, user);
    }
    pair_close(&p);
    return v;
}

static void test_reconnect__three_times_in_ten_seconds(void **state)
{
    struct rapid v = reconnect_rapidly(fault_long() ? 2000 : 40, true);
    (void)state;
    summary("rapid reconnect: %u people %u times in ten seconds, sessions too many %u (0), turns "
            "lost or twice %u (0), memories twice %u (0), greeted %u (once each), the session goes "
            "on %u (twice each)",
            v.people, RECONNECTS, v.sessions_more, v.lost, v.memory.twice, v.greeted, v.again);
    assert_int_equal(v.sessions_more + v.lost + v.memory.twice, 0);
    assert_int_equal(v.memory.people, v.people);
    assert_int_equal(v.greeted, v.people);
    assert_int_equal(v.again, v.people * (RECONNECTS - 1));
}

static void test_reconnect__control_nobody_looks(void **state)
{
    struct rapid v = reconnect_rapidly(5, false);
    (void)state;
    summary("control, nobody looks for the session: %u people, sessions too many %u (more than 0)",
            v.people, v.sessions_more);
    assert_true(v.sessions_more > 0);
}

// ---- two tabs

struct tabs {
    unsigned people, answered, turns, told, continued, problems;
    struct remembered memory;
};

// What came of a tab's message; true: it was answered.
static bool answered(struct tabs *v, struct sim *s)
{
    parley_event *event = wait_end(s->engine, NULL);
    bool held = event->code == PARLEY_E_REFUSED && strstr(event->text, "--here");
    if (event->code && !held)
        give_up("a tab: %s", event->text);
    v->told += held;
    v->answered += event->code == 0;
    bool fine = event->code == 0;
    parley_event_free(event);
    return fine;
}

static void both_tabs(struct tabs *v, struct pair *p, unsigned n, bool one_engine)
{
    static const char *const tabs[TABS] = {"tab 1", "tab 2"};
    struct sim *s[] = {&p->a, one_engine ? &p->a : &p->b};
    struct json_doc doc = JSON_DOC_INIT;
    char user[32];
    bool fine[TABS];
    snprintf(user, sizeof(user), "user%u", n);
    sim_say(s[0], user, "one #1", tabs[0], PARLEY_CONTINUE);
    answered(v, s[0]);
    for (unsigned i = 0; i < TABS; i++)
        sim_say(s[i], user, i ? LISBON "#3" : LISBON "#2", tabs[i], PARLEY_CONTINUE);
    for (unsigned i = 0; i < TABS; i++)
        fine[i] = answered(v, s[i]);
    for (unsigned i = 0; i < TABS; i++) {
        if (fine[i])
            continue;
        v->continued++;
        sim_say(s[i], user, i ? LISBON "#3" : LISBON "#2", tabs[i],
                PARLEY_CONTINUE | PARLEY_CONTINUE_HERE);
        answered(v, s[i]);
    }
    parley_event *event = ask_sessions(p->a.engine, user);
    if (json_parse(&doc, slice_str(event->json), 0, NULL) || json_count(json_root(&doc)) != 1)
        give_up("sessions: %s", event->json);
    v->turns += (unsigned)json_i64(json_get(json_at(json_root(&doc), 0), "turns"), 0);
    json_doc_release(&doc);
    parley_event_free(event);
    look_at_memory(&v->memory, p->a.engine, user);
}

static void test_reconnect__two_tabs_at_once(void **state)
{
    struct tabs v = {.people = fault_long() ? 2000 : 40};
    struct pair p;
    (void)state;
    pair_open(&p, fault_seed());
    place_write(&p.a.place, "policies/fault.lua", SOLO);
    for (unsigned n = 0; n < v.people; n++)
        both_tabs(&v, &p, n, n % 2);
    v.problems = (unsigned)verify_problems(p.a.engine);
    pair_close(&p);
    summary("two tabs at once: %u people, messages %u, answered %u, turns %u (the same), told that "
            "the other tab has it and how to go on %u, which they did %u, memories twice %u (0), "
            "problems %u (0)",
            v.people, v.people * 3, v.answered, v.turns, v.told, v.continued, v.memory.twice,
            v.problems);
    assert_int_equal(v.answered, v.people * 3);
    assert_int_equal(v.turns, v.people * 3);
    assert_int_equal(v.told, v.people);
    assert_int_equal(v.problems + v.memory.twice, 0);
    assert_int_equal(v.memory.people, v.people);
}

int main(void)
{
#define TEST(name) cmocka_unit_test(test_reconnect__##name)
    const struct CMUnitTest tests[] = {
        TEST(after_an_abrupt_disconnect),
        TEST(three_times_in_ten_seconds),
        TEST(control_nobody_looks),
        TEST(two_tabs_at_once),
    };

    return cmocka_run_group_tests_name("reconnect", tests, NULL, NULL);
}
