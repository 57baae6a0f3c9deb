// SPDX-License-Identifier: MIT
// A process that dies before, or just after, each single operation on its store: for every n, the
// n-th one of a conversation, and the n-th one of the recovery that follows. Judged like
// test_kill.c.
#include "fault/oracle.h"

enum { OPS_MAX = 400 };

// Texts in order; 0: a new session (reset), UNDO: the newest turn is taken back.
enum { RESET = 0, UNDO = TEXTS };
static const uint64_t script[] = {1, 7, 5, 2, RESET, 9, 3, UNDO, 4, 1};

static void take_all(parley *e, const struct writer_plan *plan, struct slot *slot)
{
    bool over = false;
    while (!over) {
        parley_event *event = next_event(e);
        over = is_last(event);
        if (event->type != PARLEY_EVENT_RESULT)
            writer_take(plan, slot, 0, event);
        parley_event_free(event);
    }
}

static void speak(const struct place *place, const struct writer_plan *plan)
{
    struct engine_wish wish = {
        .store = plan->store, .trace = writer_trace, .user = (void *)(uintptr_t)plan};
    parley_scope scope = PARLEY_SCOPE_INIT;
    parley_error error = PARLEY_ERROR_INIT;
    struct slot slot = {0};
    parley *e;
    if (place_open(place, &wish, &e, &error) < 0)
        give_up("speaker: %s", error.message);
    scope.user = "user-0";
    scope.flags = PARLEY_CONTINUE;
    for (size_t i = 0; i < sizeof(script) / sizeof(script[0]); i++) {
        if (script[i] == RESET)
            parley_reset(e, &scope, NULL, &error);
        else if (script[i] == UNDO)
            parley_undo(e, &scope, NULL, &error);
        else
            writer_send(e, plan, &slot, 0, script[i], true);
        take_all(e, plan, &slot);
    }
    parley_close(e);
    _exit(0);
}

static void only_open(const struct place *place, const struct writer_plan *plan)
{
    struct engine_wish wish = {.store = plan->store};
    parley_error error = PARLEY_ERROR_INIT;
    parley *e;
    if (place_open(place, &wish, &e, &error) < 0)
        give_up("recovery: %s", error.message);
    parley_close(e);
    _exit(0);
}

// Runs `body` with the store told to crash at the n-th operation; whether it was killed.
static bool crashes(const struct place *place, struct oracle *o, const char *mode, int n,
                    void (*body)(const struct place *, const struct writer_plan *))
{
    char store[NAME_BYTES + 80];
    struct writer_plan plan = {.store = store, .context = "", .stop = -1};
    bool ready = true;
    int notes[2], status;
    snprintf(store, sizeof(store), "faulty:fail_at=%d,mode=%s;sqlite:%s/db", n, mode, place->dir);
    fflush(NULL);
    pid_t pid = pipe(notes) == 0 ? fork() : -1;
    if (pid < 0)
        give_up("crash: %s", strerror(errno));
    if (pid == 0) {
        close(notes[0]);
        plan.notes = notes[1];
        body(place, &plan);
    }
    close(notes[1]);
    while (oracle_listen(o, notes[0], -1, &ready))
        continue;
    close(notes[0]);
    waitpid(pid, &status, 0);
    if (!WIFSIGNALED(status) && status != 0)
        give_up("crash: operation %d, mode %s: ended with %d", n, mode, status);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
}

struct figures {
    struct tally tally;
    int places, recoveries;
};

static void crash_everywhere(const char *mode, struct figures *f)
{
    struct place place;
    struct oracle o;
    int every = fault_long() ? 1 : 9;
    place_make_light(&place);
    oracle_init(&o, &place);
    for (int n = 1; n < OPS_MAX; n++) {
        place_clean(&place);
        oracle_forget(&o);
        if (!crashes(&place, &o, mode, n, speak))
            break;
        f->places++;
        for (int m = 1; n % every == 0 && crashes(&place, &o, mode, m, only_open); m++)
            f->recoveries++;
        oracle_check(&place, &o, false, 0, &f->tally);
    }
    assert_int_equal(o.refused, 0);
    place_remove(&place);
    oracle_release(&o);
}

static void test_crash__at_every_operation(void **state)
{
    (void)state;
    struct figures f = {0};
    crash_everywhere("crash_before", &f);
    crash_everywhere("crash_after", &f);
    const struct tally *t = &f.tally;
    summary("crash before and after each operation on the store: %d places, %d in recovery, "
            "%llu interrupted; lost %llu, duplicated %llu, half %llu, wrong %llu, sent again %llu, "
            "problems %llu",
            f.places, f.recoveries, (unsigned long long)t->interrupted, (unsigned long long)t->lost,
            (unsigned long long)t->duplicated, (unsigned long long)t->half,
            (unsigned long long)t->wrong, (unsigned long long)t->resent,
            (unsigned long long)t->problems);
    assert_true(f.places > 40 && f.places < 2 * OPS_MAX - 2 && t->interrupted > 0);
    assert_int_equal(t->lost + t->duplicated + t->half + t->wrong + t->resent + t->problems, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_crash__at_every_operation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
