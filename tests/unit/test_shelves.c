// SPDX-License-Identifier: MIT
// Recall indexes in memory: more users than there is room for have theirs in turn.
#include "parley_int.h"

#include "turn/turn_int.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { ROOM = 4, USERS = 11 };

struct place {
    struct clock_sim clock;
    struct rand_sim rand;
    parley *engine;
    unsigned refusals;         // "no room for a recall index"
};

static int no_wire(void *user, struct loop *loop, struct wire **out, struct err *err)
{
    struct wire_sim_ops none = {.user = user};
    return wire_new_sim(out, loop, &none, err);
}

static void count_refusals(void *user, parley_log_level level, const char *line)
{
    struct place *p = user;
    (void)level;
    p->refusals += strstr(line, "no room for a recall index") != NULL;
}

static void open_place(struct place *p)
{
    parley_options options = PARLEY_OPTIONS_INIT;
    parley_error error = PARLEY_ERROR_INIT;
    struct engine_seams seams = {.clock = &p->clock, .rand = &p->rand.rand, .wire = no_wire,
                                 .user = p};

    *p = (struct place){0};
    clock_sim_init(&p->clock, 1700000000000);
    rand_sim_init(&p->rand, 7);
    options.config = "";
    options.no_environment = 1;
    options.store = "memory:";
    options.provider = "scripted";
    options.bot = "companion";
    options.log = count_refusals;
    options.user = p;
    if (engine_open(&p->engine, &options, &seams, &error) < 0)
        fail_msg("%s", error.message);
}

// The room for shelves made small, before there is any.
static void make_small(struct worker *w)
{
    map_free(w->shelves);
    assert_int_equal(map_new(&w->shelves, ROOM), E_OK);
}

// Whether what the request came to has this text.
static bool says(struct place *p, uint64_t request, const char *text)
{
    bool over = false, has = false;

    while (!over) {
        parley_event *e;
        if (parley_wait(p->engine, 3600000, &e) != 1)
            fail_msg("no event");
        if (e->request == request) {
            over = e->type >= PARLEY_EVENT_DONE && e->type != PARLEY_EVENT_MOVED;
            has |= e->json && strstr(e->json, text);
        }
        parley_event_free(e);
    }
    return has;
}

static void test_shelves__more_users_than_room(void **state)
{
    struct place p;
    parley_error error = PARLEY_ERROR_INIT;
    uint64_t request;
    char user[32], text[64];

    (void)state;
    open_place(&p);
    struct worker *w = p.engine->hands[0].worker;
    make_small(w);
    for (unsigned round = 0; round < 2; round++) {
        for (unsigned i = 0; i < USERS; i++) {
            parley_message m = PARLEY_MESSAGE_INIT;
            parley_scope scope = PARLEY_SCOPE_INIT;

            snprintf(user, sizeof(user), "user %u", i);
            snprintf(text, sizeof(text), "My parrot is called Marzipan%u.", i);
            m.user = scope.user = user;
            m.text = text;
            if (parley_send(p.engine, &m, &request, &error) < 0)
                fail_msg("%s", error.message);
            says(&p, request, "");
            if (parley_recall(p.engine, &scope, "the parrot's name", 5, &request, &error) < 0)
                fail_msg("%s", error.message);
            snprintf(text, sizeof(text), "Marzipan%u", i);
            assert_true(says(&p, request, text));
            assert_true(map_len(w->shelves) <= ROOM);
        }
    }
    assert_int_equal(p.refusals, 0);
    parley_close(p.engine);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shelves__more_users_than_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
