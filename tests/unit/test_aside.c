// SPDX-License-Identifier: MIT
// test_aside.c: hooks that take long, through an engine with its threads: each turn is answered as
// its own policy says, whatever is stopped, and nothing is left when the engine is closed over
// them.
#include "fault/harness.h"

enum { USERS = 9, TURNS = 4 };

static const struct {
    const char *name, *code, *warns;
} policies[] = {
    {"good", "return { on_message = function(view) return { say = 'good ' .. view.text } end }\n",
     NULL},
    // Longer than a first slice, and in its time.
    {"slow", "return { on_message = function(view)\n"
             "  local n = 0 for i = 1, 1e5 do n = n + i % 7 end\n"
             "  return { say = 'slow ' .. view.text } end }\n", NULL},
    {"endless", "return { on_message = function(view) while true do end end }\n", "stopped"},
    {"late", "return { on_message = function(view) return { say = 'late ' .. view.text } end,\n"
             "  on_reply = function(view) while true do end end,\n"
             "  history = function(view) while true do end end }\n", NULL},
};
enum { GOOD, SLOW, ENDLESS, LATE, POLICIES };

// Timed, unless the tool holds signals back.
#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define NO_SIGNALS
#endif
#endif
#ifdef NO_SIGNALS
enum { MODES = 1 };
#else
enum { MODES = 2 };
#endif

static parley *open_engine(const struct place *p, int mode)
{
    char dir[NAME_BYTES];
    static const char *const settings[] = {"workers=1", NULL};
    parley_options options = PARLEY_OPTIONS_INIT;
    parley_error error = PARLEY_ERROR_INIT;
    parley *e = NULL;

    options.config = "";
    options.no_environment = 1;
    options.store = "memory:";
    options.policies = place_path(p, "policies", dir);
    options.settings = settings;
    options.timer_signal = mode == 0 ? 0 : SIGRTMIN + 4;
    if (parley_open(&e, &options, &error) < 0)
        give_up("open: %s", error.message);
    return e;
}

static void make_place(struct place *p)
{
    place_make_light(p);
    for (int i = 0; i < POLICIES; i++) {
        char name[64];

        snprintf(name, sizeof(name), "policies/%s.lua", policies[i].name);
        place_write(p, name, policies[i].code);
    }
    place_write(p, "policies/broken.lua", "while true do end\n");
}

static uint64_t send_to(parley *e, unsigned user, const char *bot)
{
    parley_message m = PARLEY_MESSAGE_INIT;
    parley_error error = PARLEY_ERROR_INIT;
    char name[32];
    uint64_t request;

    snprintf(name, sizeof(name), "user-%u", user);
    m.user = name;
    m.bot = bot;
    m.text = name;
    m.flags = PARLEY_CONTINUE;
    if (parley_send(e, &m, &request, &error) < 0)
        give_up("send: %s", error.message);
    return request;
}

// What one user's turn has told so far.
struct seen {
    uint64_t request;
    unsigned policy;
    char said[64];
    bool warned;
};

static void take(struct seen *seen, const parley_event *event)
{
    if (event->type == PARLEY_EVENT_DELTA)
        strncat(seen->said, event->text, sizeof(seen->said) - strlen(seen->said) - 1);
    if (event->type == PARLEY_EVENT_WARNING)
        seen->warned |= strstr(event->text, "on_message failed") != NULL;
}

static void check(const struct seen *seen, unsigned user, const parley_event *last)
{
    char expected[64];

    assert_int_equal(last->type, PARLEY_EVENT_DONE);
    assert_int_equal(last->code, 0);
    snprintf(expected, sizeof(expected), "%s user-%u", policies[seen->policy].name, user);
    if (!policies[seen->policy].warns)
        assert_string_equal(seen->said, expected);
    assert_int_equal(seen->warned, policies[seen->policy].warns != NULL);
}

// Users of all policies at once, turn after turn.
static void run_users(parley *e)
{
    struct seen seen[USERS];
    unsigned turns[USERS] = {0}, under_way = USERS;

    for (unsigned u = 0; u < USERS; u++) {
        seen[u] = (struct seen){.policy = u % LATE};
        seen[u].request = send_to(e, u, policies[seen[u].policy].name);
    }
    while (under_way > 0) {
        parley_event *event = next_event(e);
        unsigned u = 0;

        while (u < USERS && seen[u].request != event->request)
            u++;
        assert_true(u < USERS);
        take(&seen[u], event);
        if (is_last(event)) {
            check(&seen[u], u, event);
            seen[u] = (struct seen){.policy = seen[u].policy};
            if (++turns[u] == TURNS)
                under_way--;
            else
                seen[u].request = send_to(e, u, policies[seen[u].policy].name);
        }
        parley_event_free(event);
    }
}

static void test_aside__all_are_answered(void **state)
{
    struct place place;

    (void)state;
    make_place(&place);
    for (int mode = 0; mode < MODES; mode++) {
        parley *e = open_engine(&place, mode);

        run_users(e);
        assert_int_equal(verify_problems(e), 0);
        parley_close(e);
    }
    place_remove(&place);
}

// A turn is stopped while its hook goes on, and another's is over meanwhile.
static void test_aside__stopped(void **state)
{
    struct place place;

    (void)state;
    make_place(&place);
    for (int mode = 0; mode < MODES; mode++) {
        parley *e = open_engine(&place, mode);
        uint64_t endless = send_to(e, 0, "endless"), good = send_to(e, 1, "good");
        bool stopped = false;

        for (unsigned over = 0; over < 2;) {
            parley_event *event = next_event(e);

            if (is_last(event) && event->request == good) {
                assert_int_equal(event->code, 0);
                parley_stop(e, endless);
                stopped = true;
            }
            over += is_last(event);
            parley_event_free(event);
        }
        assert_true(stopped);
        assert_int_equal(verify_problems(e), 0);
        parley_close(e);
    }
    place_remove(&place);
}

// Closed over hooks in every place: beginning, aside, waiting for a state, after the reply, and
// while a file is loaded.
static void test_aside__closed_over(void **state)
{
    static const char *const bots[] = {"endless", "late", "slow"};
    struct place place;

    (void)state;
    make_place(&place);
    for (int mode = 0; mode < MODES; mode++)
        for (unsigned answered = 0; answered < 2; answered++) {
            parley *e = open_engine(&place, mode);

            send_to(e, 0, "broken");
            for (unsigned u = 1; u < 2 * USERS; u++)
                send_to(e, u, bots[u % 3]);
            for (unsigned over = 0; over < 4 * answered;) {
                parley_event *event = next_event(e);

                over += is_last(event);
                parley_event_free(event);
            }
            parley_close(e);
        }
    place_remove(&place);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_aside__all_are_answered),
        cmocka_unit_test(test_aside__stopped),
        cmocka_unit_test(test_aside__closed_over),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
