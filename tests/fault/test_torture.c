// SPDX-License-Identifier: MIT
// Memory runs out, at every single allocation there is: ours and the libraries', once, a few times
// in a row, or from then on, while an engine opens, during a whole turn, during two users' turns at
// the same time, an import, each question, and closing. Nothing crashes, nothing leaks; what was
// asked then fails, if it does, with words that say so, and of two turns one; nothing acknowledged
// is lost or half; and the next turn of the same user works.
//
// TORTURE=kind/operation/n[-last][+] runs some, in this process ("sim/turn/17"; "+": memory stays
// out).
#include "fault/torture_stage.h"

#include "fault/failing_malloc.h"

#include <sys/mman.h>

enum { SAMPLES = 8, SECONDS_MAX = 60, DETAILS = 20, A_FEW = 8 };

enum op {
    OPEN_NEW, OPEN_AGAIN, CLOSE, TURN_NEW, TURN_COLD, TURN_WARM, SAY, TWO, IMPORT, RESET, UNDO,
    SESSION, SESSIONS, SHOW, USAGE, VERIFY, OPS,
    // controls
    GHOST = OPS, CRASH, LEAK,
};
static const char *const op_words[] = {
    "open-new", "open",    "close",    "turn-new", "turn",  "turn-warm", "say",   "two",   "import",
    "reset",    "undo",    "session",  "sessions", "show",  "usage",     "verify", "ghost", "crash",
    "leak"};

struct trial {
    bool real;
    long window; // failures in a row
    enum op op;
    long n, step;
};

// Shared between the test and the processes that it forks.
struct report {
    long now, made; // the trial under way; allocations of the last one
    bool over;      // the last trial's n was not reached
    uint64_t trials, injected, refused, unclear;
    struct found found;
    uint64_t crashes, leaks, both;
};

static struct report *report; // mapped
static bool loud;             // shows every refusal

struct ring {
    struct stage *s;
    const struct trial *t;
    long i; // of the cast
    char user[16];
};

static void mend(void *arg)
{
    struct ring *r = arg;
    report->made = heap_mend();
    report->over = report->made < r->t->n;
    report->injected += !report->over;
}

// A refusal tells the one who asked what it was.
static void check_refusal(int code, const char *message)
{
    report->refused++;
    bool clear = code < 0 && strstr(message, "memory");
    if (!clear && report->unclear++ < DETAILS)
        fprintf(stderr, "  unclear: %s: %s\n", parley_code_word(code), message);
    else if (loud)
        fprintf(stderr, "  refused: %s: %s\n", parley_code_word(code), message);
}

static void check_told(const struct told *t)
{
    if (!t->ended && !t->refused)
        report->found.stuck++;
    if (t->refused && t->accepted)
        complain(&report->found.half, "accepted, then refused", t->message);
    if (t->code)
        check_refusal(t->code, t->message);
}

static void next_turn_of(struct ring *r, const char *user, const char *text, const char *key,
                         struct told *t)
{
    stage_turn(r->s, user, text, key, t, NULL, NULL);
    if (!t->ended || (t->code && !key))
        complain(&report->found.stuck, "the next turn fails", t->message);
}

static void next_turn(struct ring *r, const char *text, const char *key, struct told *t)
{
    next_turn_of(r, r->user, text, key, t);
}

static void verify(struct ring *r)
{
    report->found.problems += verify_problems(r->s->e) != 0;
}

// ---- a turn

static void torture_turn(struct ring *r)
{
    struct told told[4] = {{.text = BEFORE, .accepted = true, .status = "done"}};
    const char *text = r->t->op == SAY ? "What are your hours?" : "How far is the moon?";
    const char *key = r->t->n % 2 ? "one key" : NULL;
    size_t n = r->t->op == TURN_NEW ? 0 : 1;
    if (r->t->op == TURN_WARM)
        next_turn(r, "Are you there?", NULL, &told[n++]);
    struct told *t = &told[n++], again;
    heap_fail(r->t->n, r->t->window);
    stage_turn(r->s, r->user, text, key, t, mend, r);
    check_told(t);
    if (key) {
        // As a client does that was told nothing, or no.
        next_turn(r, text, key, &again);
        if (t->refused)
            *t = again;
    }
    t->reply = r->t->op == SAY ? NINE : NULL;
    next_turn(r, AGAIN, NULL, &told[n++]);
    check_user_told(r->s, r->user, told, n, &report->found);
    verify(r);
}

// Two users' turns at the same time: one allocation that fails is one turn's, or nobody's.
static void torture_two(struct ring *r)
{
    char other[16];
    const char *users[2] = {r->user, other};
    struct told told[2][3] = {{{.text = BEFORE, .accepted = true, .status = "done"}}, {{0}}};
    struct told *two[2] = {&told[0][1], &told[1][0]};
    stage_name(other, "other", r->i);
    heap_fail(r->t->n, r->t->window);
    stage_pair(r->s, users, "How far is the moon?", two, mend, r);
    check_told(two[0]);
    check_told(two[1]);
    if (r->t->window == 1 && two[0]->code && two[1]->code && report->both++ < DETAILS)
        fprintf(stderr, "  both: n = %ld: %s; %s\n", r->t->n, two[0]->message, two[1]->message);
    for (int i = 0; i < 2; i++) {
        next_turn_of(r, users[i], AGAIN, NULL, two[i] + 1);
        check_user_told(r->s, users[i], told[i], i ? 2 : 3, &report->found);
    }
    verify(r);
}

// ---- opening and closing

static void torture_open(struct ring *r)
{
    parley_error error = PARLEY_ERROR_INIT;
    struct told told[2] = {{.text = BEFORE, .accepted = true, .status = "done"}};
    size_t n = r->t->op == OPEN_NEW ? 0 : 1;
    heap_fail(r->t->n, r->t->window);
    int code = stage_try_open(r->s, &error);
    mend(r);
    if (code < 0) {
        check_refusal(code, error.message);
        stage_open(r->s);
    }
    next_turn(r, AGAIN, NULL, &told[n++]);
    check_user_told(r->s, r->user, told, n, &report->found);
    verify(r);
}

static void torture_close(struct ring *r)
{
    struct told told[2] = {{.text = BEFORE, .accepted = true, .status = "done"}};
    next_turn(r, AGAIN, NULL, &told[1]);
    heap_fail(r->t->n, r->t->window);
    stage_close(r->s);
    mend(r);
    stage_open(r->s);
    check_user_told(r->s, r->user, told, 2, &report->found);
    verify(r);
}

// ---- questions and commands

static int ask(struct ring *r, uint64_t *request, parley_error *error)
{
    parley_scope scope = PARLEY_SCOPE_INIT;
    parley *e = r->s->e;
    char line[512];
    scope.user = r->user;
    scope.flags = PARLEY_CONTINUE;
    switch (r->t->op) {
    case RESET:
        return parley_reset(e, &scope, request, error);
    case UNDO:
        return parley_undo(e, &scope, request, error);
    case SESSION:
        return parley_session(e, &scope, request, error);
    case SHOW:
        return parley_show(e, &scope, request, error);
    case IMPORT:
        snprintf(line, sizeof(line),
                 "{\"id\":\"talk-%ld\",\"user\":\"%s\",\"context\":\"old\",\"messages\":["
                 "{\"role\":\"user\",\"content\":\"Is it \\\"far\\\"?\"},"
                 "{\"role\":\"assistant\",\"content\":[{\"type\":\"text\",\"text\":\"Yes.\"}]},"
                 "{\"role\":\"user\",\"content\":\"Sure?\"},"
                 "{\"role\":\"assistant\",\"content\":\"Yes.\"}]}",
                 r->i, r->user);
        return parley_import(e, line, strlen(line), request, error);
    default:
        scope.user = NULL;
        scope.flags = PARLEY_ALL_USERS;
        return r->t->op == SESSIONS ? parley_sessions(e, &scope, request, error)
               : r->t->op == USAGE  ? parley_usage(e, &scope, "user", request, error)
                                    : parley_verify(e, &scope, request, error);
    }
}

// What does not change anything tells the same twice; what was refused may be asked again.
static void check_again(struct ring *r, const parley_event *first)
{
    parley_error error = PARLEY_ERROR_INIT;
    uint64_t request;
    bool told = first && (first->type == PARLEY_EVENT_RESULT ||
                          strcmp(first->text, NO_MEMORY_TO_TELL) == 0);
    if (told && (r->t->op == RESET || r->t->op == UNDO))
        return;
    if (ask(r, &request, &error) < 0)
        give_up("asking again: %s", error.message);
    parley_event *event = wait_end(r->s->e, NULL);
    bool result = event->type == PARLEY_EVENT_RESULT;
    if (told && r->t->op == IMPORT)
        report->found.lost += result; // it was there, so it is refused
    else if (!result)
        complain(told ? &report->found.half : &report->found.phantom, "asked again", event->text);
    else if (told && first->json[0] && strcmp(event->json, first->json) != 0)
        complain(&report->found.half, "another answer", first->json);
    parley_event_free(event);
}

static void torture_ask(struct ring *r)
{
    parley_error error = PARLEY_ERROR_INIT;
    struct told t;
    uint64_t request;
    heap_fail(r->t->n, r->t->window);
    int code = ask(r, &request, &error);
    parley_event *event = code < 0 ? NULL : wait_end(r->s->e, NULL);
    mend(r);
    if (!event)
        check_refusal(code, error.message);
    else if (event->type != PARLEY_EVENT_RESULT)
        check_refusal(event->code, event->text);
    check_again(r, event);
    parley_event_free(event);
    next_turn(r, AGAIN, NULL, &t);
    verify(r);
}

// ---- controls: what the harness must find

static void torture_control(struct ring *r)
{
    struct told told[2] = {{.text = BEFORE, .accepted = true, .status = "done"},
                           {.text = "Nobody said this.", .accepted = true}};
    heap_fail(1, 1);
    char *unchecked = malloc(8);
    report->made = heap_mend();
    if (r->t->op == CRASH)
        *(volatile char *)unchecked = 'x';
    if (r->t->op == LEAK) {
        char *volatile lost = malloc(4711);
        lost = NULL;
        (void)lost;
    }
    if (r->t->op == GHOST)
        check_user_told(r->s, r->user, told, 2, &report->found);
    report->over = true;
}

// ---- batches, each in a process of its own

static void torture(struct stage *s, const struct trial *t, long i)
{
    struct ring r = {.s = s, .t = t, .i = i};
    bool opens = t->op == OPEN_NEW || t->op == OPEN_AGAIN;
    stage_name(r.user, t->op == TURN_NEW || t->op == OPEN_NEW ? "new" : "user", i);
    report->now = t->n;
    report->trials++;
    alarm(SECONDS_MAX);
    if (!opens)
        stage_open(s);
    if (opens)
        torture_open(&r);
    else if (t->op == CLOSE)
        torture_close(&r);
    else if (t->op >= TURN_NEW && t->op <= SAY)
        torture_turn(&r);
    else if (t->op == TWO)
        torture_two(&r);
    else if (t->op < OPS)
        torture_ask(&r);
    else
        torture_control(&r);
    stage_close(s);
    alarm(0);
}

static void batch(struct trial t)
{
    struct stage s;
    bool anew = t.op == OPEN_NEW;
    report->over = false;
    if (!anew)
        stage_init(&s, t.real, true);
    for (long i = 0; i < CAST && !report->over; i++, t.n += t.step) {
        if (anew)
            stage_init(&s, t.real, false);
        torture(&s, &t, i);
        if (anew)
            stage_release(&s);
    }
    if (!anew)
        stage_release(&s);
    report->now = t.n;
    if (__lsan_do_recoverable_leak_check)
        report->leaks += __lsan_do_recoverable_leak_check() != 0;
}

static void run_batch(const struct trial *t)
{
    int status;
    fflush(NULL);
    pid_t pid = fork();
    if (pid < 0)
        give_up("fork: %s", strerror(errno));
    if (pid == 0) {
        for (int i = 1; i < NSIG; i++)
            signal(i, SIG_DFL); // the test library's handlers would go on with the next test
        batch(*t);
        _exit(0);
    }
    waitpid(pid, &status, 0);
    if (status == 0)
        return;
    report->crashes++;
    fprintf(stderr, "crash: TORTURE=%s/%s/%ld%s\n", t->real ? "real" : "sim", op_words[t->op],
            report->now, t->window > 1 ? "+" : "");
    report->now += t->step;
}

// Every n of one operation, or every step-th.
static void torture_all(struct trial t, uint64_t seed)
{
    long step = t.step;
    t.n = LONG_MAX / 2; // dry: how many there are
    run_batch(&t);
    t.step = fault_long() ? 1 : 1 + report->made / SAMPLES;
    t.step = step ? step : t.step;
    t.n = 1 + (long)(seed % (uint64_t)t.step);
    do {
        uint64_t crashes = report->crashes;
        run_batch(&t);
        report->over = report->over && report->crashes == crashes;
        t.n = report->now;
    } while (!report->over);
}

static uint64_t damage(const struct report *r)
{
    return r->found.lost + r->found.half + r->found.phantom + r->found.problems + r->found.stuck;
}

static void torture_kind(bool real, long window)
{
    uint64_t seed = fault_seed();
    const char *how = window == 1 ? "once" : window == A_FEW ? "a few in a row" : "from n on";
    memset(report, 0, sizeof(*report));
    for (int op = 0; op < (int)OPS; op++) {
        uint64_t before = report->injected;
        torture_all((struct trial){.real = real, .window = window, .op = (enum op)op}, seed);
        fprintf(stderr, "%s %s, %s: %llu of %ld\n", real ? "real" : "sim", op_words[op], how,
                (unsigned long long)(report->injected - before), report->made);
    }
    summary("out of memory, %s, %s: injected %s n (%llu), refused %llu, unclear %llu, both of two "
            "%llu, crashes %llu, leaks %llu, lost %u, half %u, refused but there %u, stuck %u, "
            "problems %u (seed %llu)",
            real ? "threads, sqlite, curl" : "simulated", how, fault_long() ? "all" : "sampled",
            (unsigned long long)report->injected, (unsigned long long)report->refused,
            (unsigned long long)report->unclear, (unsigned long long)report->both,
            (unsigned long long)report->crashes, (unsigned long long)report->leaks,
            report->found.lost, report->found.half, report->found.phantom, report->found.stuck,
            report->found.problems, (unsigned long long)seed);
    assert_true(report->injected > 0 && report->refused > 0);
    assert_int_equal(report->crashes + report->leaks, 0);
    assert_int_equal(report->unclear + report->both, 0);
    assert_int_equal(damage(report), 0);
}

static void test_torture__simulated(void **state)
{
    (void)state;
    torture_kind(false, 1);
    torture_kind(false, A_FEW);
    torture_kind(false, HEAP_FOR_GOOD);
}

static void test_torture__threads_sqlite_curl(void **state)
{
    (void)state;
    torture_kind(true, 1);
    torture_kind(true, A_FEW);
    torture_kind(true, HEAP_FOR_GOOD);
}

static void test_torture__control(void **state)
{
    (void)state;
    memset(report, 0, sizeof(*report));
    for (int op = GHOST; op <= (int)LEAK; op++)
        run_batch(&(struct trial){.op = (enum op)op, .n = 1});
    summary("control: an ack that never was: lost %u; a path that does not check: crashes %llu; "
            "a block that nobody frees: leaks %llu%s",
            report->found.lost, (unsigned long long)report->crashes,
            (unsigned long long)report->leaks,
            __lsan_do_recoverable_leak_check ? "" : " (not looked for)");
    assert_int_equal(report->found.lost, 1);
    assert_int_equal(report->crashes, 1);
    if (__lsan_do_recoverable_leak_check)
        assert_int_equal(report->leaks, 1);
}

static int some(const char *which)
{
    struct trial t = {.step = 1};
    char kind[8], op[16];
    long last = 0;
    int got = sscanf(which, "%7[a-z]/%15[a-z-]/%ld-%ld", kind, op, &t.n, &last);
    t.real = strcmp(kind, "real") == 0;
    t.window = strchr(which, '+') ? HEAP_FOR_GOOD : 1;
    while (t.op <= LEAK && strcmp(op_words[t.op], op) != 0)
        t.op++;
    if (got < 3 || t.op > LEAK)
        return 2;
    loud = true;
    for (long i = 0; i < CAST && (i == 0 || t.n <= last); i++, t.n++) {
        struct stage s;
        stage_init(&s, t.real, t.op != OPEN_NEW);
        torture(&s, &t, i);
        stage_release(&s);
        printf("%ld: %s of %ld allocations, damage %llu\n", t.n,
               report->over ? "none" : "failed one", report->made,
               (unsigned long long)damage(report));
        fflush(stdout);
    }
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_torture__control),
        cmocka_unit_test(test_torture__simulated),
        cmocka_unit_test(test_torture__threads_sqlite_curl),
    };
    report = mmap(NULL, sizeof(*report), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (report == MAP_FAILED)
        return 1;
    if (getenv("TORTURE"))
        return some(getenv("TORTURE"));
    return cmocka_run_group_tests(tests, NULL, NULL);
}
