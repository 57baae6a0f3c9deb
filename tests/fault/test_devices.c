// SPDX-License-Identifier: MIT
// Two devices race for one session (FAULTS 15): in one engine, in two engines on one store whose
// loops are turned in an order out of a seed, and as threads and processes on a real disk. Some say
// that they continue here; now and then nobody speaks for so long that the lease lapses. In no
// epoch do two devices add to the session, what was answered is there once, and who loses is told
// how to continue here. Now and then the policy begins a new session meanwhile.
//
// Negative control: a policy that lets any device speak, as if nobody looked who has the session.
#include "fault/pair.h"

#include "base/loop_int.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/mman.h>

enum { RACES_PER_USER = 20, DEVICES = 2, EPOCHS_MAX = 256, LAPSE_MS = 10 * 60 * 1000 };

static const char *const names[DEVICES] = {"laptop", "phone"};

#define POLICY(one)                                                                                \
    "local history = require \"parley.history\"\n"                                                 \
    "return { system = \"Be brief.\", history = history.window { keep_turns = 4 },\n"              \
    "         privacy = { redact = false }, devices = { one_active = " one " },\n"                 \
    "         on_message = function(view)\n"                                                       \
    "             if tonumber(view.text:match(\"#(%d+)\")) % 11 == 0 then\n"                       \
    "                 return { reset = true }\n"                                                   \
    "             end\n"                                                                           \
    "         end }\n"

// Shared by processes.
struct tally {
    atomic_uint ready;                    // devices that are at a race, of all races
    atomic_uint answered, refused, untold, failed, moved, continued;
};

struct verdict {
    unsigned races, two_writers, back, turns, lost, problems;
};

static void say(parley *e, unsigned race, unsigned device, bool here)
{
    parley_message m = PARLEY_MESSAGE_INIT;
    parley_error error = PARLEY_ERROR_INIT;
    char user[32], text[48];
    uint64_t request;
    snprintf(user, sizeof(user), "user%u", race / RACES_PER_USER);
    snprintf(text, sizeof(text), "%s says #%u", names[device], race + 1);
    m.user = user;
    m.text = text;
    m.device = names[device];
    m.flags = PARLEY_CONTINUE | (here ? PARLEY_CONTINUE_HERE : 0);
    if (parley_send(e, &m, &request, &error) < 0)
        give_up("send: %s", error.message);
}

static void count(struct tally *t, const parley_event *event)
{
    // Who loses a race of many rounds may be told to try again; else how to go on.
    bool held = event->code == PARLEY_E_REFUSED && strstr(event->text, "--here");
    bool wait = event->code == PARLEY_E_BUSY ||
                (event->code == PARLEY_E_REFUSED && strstr(event->text, "answering"));
    t->answered += event->type == PARLEY_EVENT_DONE && event->code == 0;
    t->moved += event->type == PARLEY_EVENT_MOVED;
    if (!is_last(event) || event->code == 0)
        return;
    t->refused += held;
    t->untold += wait;
    if (!held && !wait && t->failed++ == 0)
        fprintf(stderr, "failed: %s\n", event->text);
}

// ---- what the store has of it

static void judge_turn(struct verdict *v, unsigned char writers[EPOCHS_MAX], uint32_t *epoch,
                       struct json turn)
{
    struct buf text = BUF_INIT(4096);
    uint32_t n = (uint32_t)json_i64(json_get(turn, "epoch"), 0);
    step_text(json_at(json_get(turn, "steps"), 0), &text);
    buf_add(&text, "", 1);
    unsigned char by = strncmp(text.ptr, names[0], strlen(names[0])) == 0 ? 1 : 2;
    buf_release(&text);
    if (n >= EPOCHS_MAX)
        give_up("%u epochs", n);
    v->back += n < *epoch;
    v->two_writers += (writers[n] | by) == 3 && writers[n] != 3;
    writers[n] |= by;
    *epoch = n;
    v->turns += json_is_string(json_get(turn, "status"), "done");
}

static void judge_user(struct verdict *v, parley *e, unsigned user)
{
    struct json_doc list = JSON_DOC_INIT;
    struct json_iter it = {0};
    struct json row;
    char name[32], session[64];
    snprintf(name, sizeof(name), "user%u", user);
    parley_event *sessions = ask_sessions(e, name);
    if (json_parse(&list, slice_str(sessions->json), 0, NULL))
        give_up("sessions: %s %s", sessions->text, sessions->json);
    while (json_next(json_root(&list), &it, NULL, &row)) {
        struct json_doc doc = JSON_DOC_INIT;
        struct json_iter at = {0};
        struct json turn;
        unsigned char writers[EPOCHS_MAX] = {0};
        uint32_t epoch = 0;
        copy_json_word(session, sizeof(session), json_get(row, "session"));
        parley_event *show = ask_show(e, name, session);
        if (json_parse(&doc, slice_str(show->json), 0, NULL))
            give_up("show: %s", show->text);
        while (json_next(json_get(json_root(&doc), "turns"), &at, NULL, &turn))
            judge_turn(v, writers, &epoch, turn);
        json_doc_release(&doc);
        parley_event_free(show);
    }
    json_doc_release(&list);
    parley_event_free(sessions);
}

static void judge(struct verdict *v, parley *e, unsigned races, const struct tally *t)
{
    v->races = races;
    for (unsigned user = 0; user * RACES_PER_USER < races; user++)
        judge_user(v, e, user);
    unsigned answered = atomic_load(&t->answered);
    v->lost = v->turns > answered ? v->turns - answered : answered - v->turns;
    v->problems = (unsigned)verify_problems(e);
}

static void tell(const char *how, const struct verdict *v, struct tally *t, uint64_t seed)
{
    summary("devices, %s: %u races, epochs with two writers %u (0), epochs that went back %u (0), "
            "turns %u, lost or twice %u (0), refused and told how to continue here %u, told to "
            "wait %u, continued %u, told that it moved %u, failed %u (0), problems %u (0), "
            "seed=%llu", how, v->races, v->two_writers, v->back, v->turns, v->lost,
            atomic_load(&t->refused), atomic_load(&t->untold), atomic_load(&t->continued),
            atomic_load(&t->moved), atomic_load(&t->failed), v->problems,
            (unsigned long long)seed);
}

static void assert_fine(const struct verdict *v, struct tally *t)
{
    assert_int_equal(v->two_writers + v->back + v->lost + v->problems, 0);
    assert_int_equal(atomic_load(&t->failed), 0);
    assert_true(v->turns > 0);
    assert_true(atomic_load(&t->refused) > 0);
}

// ---- in simulated time

static void take(struct tally *t, parley *e)
{
    parley_event *event;
    while ((event = events_pop(&e->events)) != NULL) {
        count(t, event);
        parley_event_free(event);
    }
}

// Turns of both loops in an order out of the seed, until neither has anything to do.
static void turn_both(struct pair *p, struct rand_sim *r)
{
    struct loop *loops[] = {p->a.loop, p->b.loop};
    for (unsigned idle = 0; idle < 8;) {
        bool ran = loop_turn(loops[rand_below(&r->rand, 2)]);
        idle = ran ? 0 : idle + 1;
    }
    loop_run(loops[0]);
    loop_run(loops[1]);
}

static struct verdict race_simulated(struct tally *t, const char *policy, unsigned races,
                                     bool one_engine, uint64_t seed)
{
    struct verdict v = {0};
    struct pair p;
    struct rand_sim r;
    rand_sim_init(&r, seed);
    pair_open(&p, seed);
    place_write(&p.a.place, "policies/fault.lua", policy);
    parley *engines[] = {p.a.engine, one_engine ? p.a.engine : p.b.engine};
    for (unsigned race = 0; race < races; race++) {
        unsigned first = (unsigned)rand_below(&r.rand, 2);
        for (unsigned i = 0; i < DEVICES; i++) {
            unsigned device = first ^ i;
            bool here = rand_below(&r.rand, 4) == 0;
            t->continued += here;
            say(engines[device], race, device, here);
            for (uint64_t n = rand_below(&r.rand, 6); n; n--)
                loop_turn(p.a.loop);
        }
        turn_both(&p, &r);
        take(t, p.a.engine);
        take(t, p.b.engine);
        clock_sim_advance(&p.a.clock, rand_below(&r.rand, 10) ? 1000 : LAPSE_MS);
    }
    judge(&v, p.a.engine, races, t);
    pair_close(&p);
    return v;
}

static void test_devices__simulated(void **state)
{
    static const char *const how[] = {"two engines in simulated time", "one engine"};
    uint64_t seed = fault_seed();
    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        struct tally t = {0};
        struct verdict v = race_simulated(&t, POLICY("true"), fault_long() ? 10000 : 500, i == 1,
                                          seed + i);
        tell(how[i], &v, &t, seed + i);
        assert_fine(&v, &t);
        assert_true(atomic_load(&t.moved) > 0 || i == 0);
    }
}

static void test_devices__control_nobody_looks(void **state)
{
    uint64_t seed = fault_seed();
    struct tally t = {0};
    struct verdict v = race_simulated(&t, POLICY("false"), 60, false, seed);
    (void)state;
    summary("devices, control: any device may speak: %u races, sessions with two writers in an "
            "epoch %u (more than 0), refused %u (0), seed=%llu", v.races, v.two_writers,
            atomic_load(&t.refused), (unsigned long long)seed);
    assert_true(v.two_writers > 0);
    assert_int_equal(atomic_load(&t.refused), 0);
}

// ---- threads and processes, on a real disk

struct racer {
    const struct place *place;
    struct tally *tally;
    unsigned device, races;
    uint64_t seed;
};

// Both are here before either speaks.
static void meet(struct tally *t, unsigned race)
{
    int64_t until_us = now_us() + WAIT_MS * 1000LL;
    atomic_fetch_add(&t->ready, 1);
    while (atomic_load(&t->ready) < (race + 1) * DEVICES) {
        if (now_us() > until_us)
            give_up("the other device does not come to race %u", race);
        sched_yield();
    }
}

static void *race_on_disk(void *arg)
{
    struct racer *x = arg;
    struct engine_wish wish = {0};
    parley_error error = PARLEY_ERROR_INIT;
    struct rand_sim r;
    parley *e;
    rand_sim_init(&r, x->seed + x->device);
    if (place_open(x->place, &wish, &e, &error) < 0)
        give_up("engine: %s", error.message);
    for (unsigned race = 0; race < x->races; race++) {
        bool here = rand_below(&r.rand, 4) == 0, last = false;
        meet(x->tally, race);
        x->tally->continued += here;
        say(e, race, x->device, here);
        while (!last) {
            parley_event *event = next_event(e);
            count(x->tally, event);
            last = is_last(event);
            parley_event_free(event);
        }
    }
    parley_close(e);
    return NULL;
}

static void race_threads(struct racer racers[DEVICES])
{
    pthread_t threads[DEVICES];
    for (unsigned i = 0; i < DEVICES; i++)
        if (pthread_create(&threads[i], NULL, race_on_disk, &racers[i]) != 0)
            give_up("no thread");
    for (unsigned i = 0; i < DEVICES; i++)
        pthread_join(threads[i], NULL);
}

static void race_processes(struct racer racers[DEVICES])
{
    pid_t pids[DEVICES];
    for (unsigned i = 0; i < DEVICES; i++) {
        pids[i] = fork();
        if (pids[i] < 0)
            give_up("fork: %s", strerror(errno));
        if (pids[i] == 0) {
            race_on_disk(&racers[i]);
            _exit(0);
        }
    }
    for (unsigned i = 0; i < DEVICES; i++) {
        int status;
        if (waitpid(pids[i], &status, 0) != pids[i] || status != 0)
            give_up("device %u ended with %d", i, status);
    }
}

static void race_real(const char *how, void (*race)(struct racer racers[DEVICES]), unsigned races)
{
    struct tally *t = mmap(NULL, sizeof(*t), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
                           0);
    struct engine_wish wish = {0};
    parley_error error = PARLEY_ERROR_INIT;
    uint64_t seed = fault_seed();
    struct verdict v = {0};
    struct racer racers[DEVICES];
    struct place place;
    parley *e;
    if (t == MAP_FAILED)
        give_up("no memory to share");
    place_make_light(&place);
    place_write(&place, "policies/fault.lua", POLICY("true"));
    // The store is made before they come.
    if (race == race_threads) {
        if (place_open(&place, &wish, &e, &error) < 0)
            give_up("engine: %s", error.message);
        parley_close(e);
    }
    for (unsigned i = 0; i < DEVICES; i++)
        racers[i] = (struct racer){&place, t, i, races, seed};
    race(racers);
    if (place_open(&place, &wish, &e, &error) < 0)
        give_up("engine: %s", error.message);
    judge(&v, e, races, t);
    parley_close(e);
    tell(how, &v, t, seed);
    assert_fine(&v, t);
    place_remove(&place);
    munmap(t, sizeof(*t));
}

// First of all, as a process with threads does not fork well.
static void test_devices__two_processes(void **state)
{
    (void)state;
    race_real("two processes on disk", race_processes, fault_long() ? 10000 : 200);
}

static void test_devices__two_threads(void **state)
{
    (void)state;
    race_real("two threads on disk", race_threads, fault_long() ? 10000 : 200);
}

int main(void)
{
#define TEST(name) cmocka_unit_test(test_devices__##name)
    const struct CMUnitTest tests[] = {TEST(two_processes), TEST(two_threads), TEST(simulated),
                                       TEST(control_nobody_looks)};

    return cmocka_run_group_tests_name("devices", tests, NULL, NULL);
}
