// SPDX-License-Identifier: MIT
// Somebody comes back after hours, in several tabs of two processes at once: one of them makes
// the new session, and all go on in it; no message is lost, none is answered twice. One that comes
// while the other process answers is refused, and its sender told.
//
// Negative control: messages that continue nothing, as if nobody looked whether somebody was
// faster.
#include "fault/harness.h"
#include "fault/run.h"

enum { PROCESSES = 2, TABS = 2, HOURS_AWAY = 5 };

struct comings {
    unsigned people, sessions_more, turns_lost, refused, failed;
};

static void import_old(parley *e, const char *user)
{
    parley_error error = PARLEY_ERROR_INIT;
    char json[512], at[CLOCK_TEXT_BYTES];
    uint64_t request;
    clock_format(clock_wall_ms(clock_system()) - HOURS_AWAY * 3600000LL, at);
    snprintf(json, sizeof(json), "{\"user\":\"%s\",\"bot\":\"fault\",\"messages\":["
             "{\"role\":\"user\",\"content\":\"I planted tulips.\",\"at\":\"%s\"},"
             "{\"role\":\"assistant\",\"content\":\"Nice.\",\"at\":\"%s\"}]}", user, at, at);
    if (parley_import(e, json, strlen(json), &request, &error) < 0)
        give_up("import: %s", error.message);
    parley_event *event = wait_end(e, NULL);
    if (event->type == PARLEY_EVENT_ERROR)
        give_up("import: %s", event->text);
    parley_event_free(event);
}

static void look(struct comings *c, parley *e, const char *user, unsigned answered)
{
    struct json_doc doc = JSON_DOC_INIT;
    parley_event *event = ask_sessions(e, user);
    if (json_parse(&doc, slice_str(event->json), 0, NULL))
        give_up("sessions: %s", event->json);
    struct json all = json_root(&doc);
    int64_t turns = json_i64(json_get(json_at(all, 0), "turns"), 0);
    c->sessions_more += json_count(all) - 2;
    c->turns_lost += turns != answered;
    json_doc_release(&doc);
    parley_event_free(event);
}

static void come_back(struct comings *c, parley *const engines[PROCESSES], unsigned n,
                      unsigned flags)
{
    parley_error error = PARLEY_ERROR_INIT;
    char user[32], text[32];
    unsigned answered = 0;
    uint64_t request;
    snprintf(user, sizeof(user), "user%u", n);
    import_old(engines[n % PROCESSES], user);
    for (unsigned i = 0; i < PROCESSES * TABS; i++) {
        parley_message m = PARLEY_MESSAGE_INIT;
        snprintf(text, sizeof(text), "I am back #%u", i + 1);
        m.user = user;
        m.flags = flags;
        m.text = text;
        if (parley_send(engines[i % PROCESSES], &m, &request, &error) < 0)
            give_up("send: %s", error.message);
    }
    for (unsigned i = 0; i < PROCESSES * TABS; i++) {
        parley_event *event = wait_end(engines[i % PROCESSES], NULL);
        bool refused = event->code == PARLEY_E_REFUSED || event->code == PARLEY_E_BUSY;
        answered += event->code == 0;
        c->refused += refused;
        if (event->code && !refused && c->failed++ == 0)
            fprintf(stderr, "failed: %s\n", event->text);
        parley_event_free(event);
    }
    c->people++;
    look(c, engines[0], user, answered);
}

static struct comings run(unsigned people, unsigned flags)
{
    struct comings c = {0};
    struct place place;
    struct engine_wish wish = {0};
    parley *engines[PROCESSES];
    parley_error error = PARLEY_ERROR_INIT;
    place_make_light(&place);
    for (unsigned i = 0; i < PROCESSES; i++)
        if (place_open(&place, &wish, &engines[i], &error) < 0)
            give_up("engine: %s", error.message);
    for (unsigned n = 0; n < people; n++)
        come_back(&c, engines, n, flags);
    for (unsigned i = 0; i < PROCESSES; i++)
        parley_close(engines[i]);
    place_remove(&place);
    return c;
}

static void test_resume__one_session_for_all(void **state)
{
    struct comings c = run(fault_long() ? 2000 : 60, PARLEY_CONTINUE);

    (void)state;
    summary("coming back in %d tabs of %d processes at once: %u people, sessions too many %u (0), "
            "turns lost or twice %u (0), refused and told %u, failed %u (0)", TABS, PROCESSES,
            c.people, c.sessions_more, c.turns_lost, c.refused, c.failed);
    assert_int_equal(c.sessions_more, 0);
    assert_int_equal(c.turns_lost, 0);
    assert_int_equal(c.failed, 0);
}

static void test_resume__control_nobody_looks(void **state)
{
    struct comings c = run(5, 0);

    (void)state;
    summary("control, nobody looks: %u people, sessions too many %u (more than 0)", c.people,
            c.sessions_more);
    assert_true(c.sessions_more > 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test(test_resume__##name)
    const struct CMUnitTest tests[] = {TEST(one_session_for_all), TEST(control_nobody_looks)};

    return cmocka_run_group_tests_name("resume", tests, NULL, NULL);
}
