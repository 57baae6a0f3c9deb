// SPDX-License-Identifier: MIT
// Many engines in one process; threads open, use and close each while the others work: some on
// one store, some on their own, some closed over turns that are under way. For what the sanitizers
// look for; and nothing that was answered is lost.
#include "fault/harness.h"

enum { THREADS = 4, ROUNDS = 3, USERS = 3, TURNS = 5 };

struct actor {
    pthread_t thread;
    const struct place *place;
    unsigned number;
    unsigned done; // turns that were answered
};

static void send_turn(parley *e, unsigned actor, unsigned n, const char *provider)
{
    parley_message m = PARLEY_MESSAGE_INIT;
    parley_error error = PARLEY_ERROR_INIT;
    char user[32], text[32];
    uint64_t request;
    snprintf(user, sizeof(user), "user-%u-%u", actor, n % USERS);
    snprintf(text, sizeof(text), "Number #%u?", n);
    m.flags = PARLEY_CONTINUE;
    m.user = user;
    m.text = text;
    m.provider = provider;
    if (parley_send(e, &m, &request, &error) < 0)
        give_up("send: %s", error.message);
}

// One engine's life: turns of several users at once, then one that closing cuts.
static void live(struct actor *a, unsigned round)
{
    char own[64];
    snprintf(own, sizeof(own), "memory:engines-%u-%u", a->number, round);
    struct engine_wish wish = {.workers = 2, .store = a->number % 2 ? own : NULL};
    parley_error error = PARLEY_ERROR_INIT;
    parley *e = NULL;
    int code;
    do { // busy, where the others and a slow tool keep the store for long
        code = place_open(a->place, &wish, &e, &error);
    } while (code < 0 && strstr(error.message, "busy"));
    if (code < 0)
        give_up("engine %u: %s", a->number, error.message);
    for (unsigned i = 0; i < USERS * TURNS; i++)
        send_turn(e, a->number, i, NULL);
    for (unsigned i = 0; i < USERS * TURNS; i++) {
        parley_event *event = wait_end(e, NULL);
        a->done += event->type == PARLEY_EVENT_DONE && event->code == 0;
        parley_event_free(event);
    }
    send_turn(e, a->number, 0, "slow");
    if (round % 2)
        parley_event_free(next_event(e));
    parley_close(e);
}

static void *act(void *arg)
{
    struct actor *a = arg;
    for (unsigned round = 0; round < ROUNDS; round++)
        live(a, round);
    return NULL;
}

static uint32_t turns_of(parley *e, unsigned actor)
{
    uint32_t turns = 0;
    for (unsigned i = 0; i < USERS; i++) {
        char user[32];
        struct json_doc doc = JSON_DOC_INIT;
        snprintf(user, sizeof(user), "user-%u-%u", actor, i);
        parley_event *event = ask_show(e, user, NULL);
        assert_int_equal(event->type, PARLEY_EVENT_RESULT);
        assert_int_equal(json_parse(&doc, slice_str(event->json), 0, NULL), E_OK);
        turns += (uint32_t)json_count(json_get(json_root(&doc), "turns"));
        json_doc_release(&doc);
        parley_event_free(event);
    }
    return turns;
}

static void test_engines__many_in_one_process(void **state)
{
    (void)state;
    struct place place;
    struct actor actors[THREADS];
    struct engine_wish wish = {0};
    parley_error error = PARLEY_ERROR_INIT;
    parley *e = NULL;
    place_make_light(&place);
    for (unsigned i = 0; i < THREADS; i++) {
        actors[i] = (struct actor){.place = &place, .number = i};
        assert_int_equal(pthread_create(&actors[i].thread, NULL, act, &actors[i]), 0);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        pthread_join(actors[i].thread, NULL);
        assert_int_equal(actors[i].done, ROUNDS * USERS * TURNS);
    }
    assert_int_equal(place_open(&place, &wish, &e, &error), 0);
    assert_int_equal(verify_problems(e), 0);
    for (unsigned i = 0; i < THREADS; i += 2) // at least: whether a turn was accepted when its
        assert_true(turns_of(e, i) >= actors[i].done); // engine was closed is open
    parley_close(e);
    place_remove(&place);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_engines__many_in_one_process)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
