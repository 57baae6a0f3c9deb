// SPDX-License-Identifier: MIT
// Rotation interrupted (FAULTS 24): killed before each write of keyring and store, and at random
// moments while another process goes on talking. Whatever happened, all that was said is read, and
// once a rotation got to its end nothing is under a retired key.
#include "fault/harness.h"
#include "jobs/reseal.h"

#include <sched.h>
#include <sys/mman.h>

enum { USERS = 4, TURNS = 3, CASE_SECONDS_MAX = 120, WAIT_FOR_OTHERS_MS = 60 * 1000 };
enum { STORE_KILLS = 24 };

struct score {
    uint64_t kills, ends, turns, unreadable, retired, under_retired, busy, problems;
};

static void user_name(unsigned n, char out[16])
{
    snprintf(out, 16, "user-%u", n);
}

// ---- talking

// A turn of each user; false when the engine could not.
static bool talk_round(parley *e, uint64_t *n)
{
    for (unsigned u = 0; u < USERS; u++) {
        char user[16], text[32];
        parley_message m = PARLEY_MESSAGE_INIT;
        parley_error error = PARLEY_ERROR_INIT;
        uint64_t request;
        user_name(u, user);
        snprintf(text, sizeof(text), "this is #%llu", (unsigned long long)*n);
        m.user = user;
        m.text = text;
        m.flags = PARLEY_CONTINUE;
        if (parley_send(e, &m, &request, &error) < 0)
            return false;
        parley_event *event = wait_end(e, NULL);
        bool done = event->type == PARLEY_EVENT_DONE;
        if (!done)
            fprintf(stderr, "turn: %s\n", event->text);
        parley_event_free(event);
        if (!done)
            return false;
        ++*n;
    }
    return true;
}

// In a process of its own, until it is killed; *turns counts what was answered.
static void talker(const struct place *p, _Atomic uint64_t *turns)
{
    struct engine_wish wish = {0};
    parley_error error = PARLEY_ERROR_INIT;
    parley *e;
    uint64_t n = 1000;
    alarm(CASE_SECONDS_MAX);
    if (place_open(p, &wish, &e, &error) < 0)
        give_up("talker: %s", error.message);
    while (talk_round(e, &n))
        *turns += USERS;
    _exit(1);
}

static void make_template(const struct place *p)
{
    struct engine_wish wish = {0};
    parley_error error = PARLEY_ERROR_INIT;
    parley *e;
    uint64_t n = 1;
    if (place_open(p, &wish, &e, &error) < 0)
        give_up("template: %s", error.message);
    for (unsigned i = 0; i < TURNS; i++)
        if (!talk_round(e, &n))
            give_up("template: no turn");
    parley_close(e);
}

// ---- rotating

struct dying {
    int steps_left;
};

static void step(void *user, const char *name)
{
    struct dying *d = user;
    (void)name;
    if (d->steps_left-- == 0)
        kill(getpid(), SIGKILL);
}

static void over(struct reseal *r)
{
    loop_stop(r->loop);
}

static void request_over(struct vault_request *request)
{
    loop_stop(request->loop);
}

// Both keys, begun anew or gone on with. careless: the control, which destroys older keys at once.
static int rotate(const struct place *p, const char *store_url, int steps, bool careless)
{
    char path[NAME_BYTES];
    struct dying dying = {steps};
    struct vault_options options = {.path = place_path(p, "parley.keys", path),
                                    .rand = rand_system(), .existing = true, .rotating = true,
                                    .on_step = step, .user = &dying};
    struct store_env env = {.clock = clock_system(), .rand = rand_system()};
    struct reseal r = {.begin = true, .wait_ms = WAIT_FOR_OTHERS_MS, .done = over};
    struct err err = ERR_INIT;
    alarm(CASE_SECONDS_MAX);
    if (loop_new(&r.loop, env.clock, &err) || vault_open(&r.vault, &options, &err) ||
        store_open(&r.store, store_url, &env, &err))
        give_up("rotate: %s", err.message);
    struct vault_request request = {.loop = r.loop, .done = request_over};
    vault_rewrap(r.vault, &request);
    loop_run(r.loop);
    if (request.code)
        give_up("rewrap: %s", request.err.message);
    if (careless) {
        struct buf names = BUF_INIT(1 << 20);
        request.create = true;
        vault_rotate(r.vault, &request);
        loop_run(r.loop);
        vault_retired(r.vault, &names, &err);
        for (size_t at = 0; at < names.len; at += strlen(names.ptr + at) + 1) {
            snprintf(request.partition, sizeof(request.partition), "%s", names.ptr + at);
            vault_retire(r.vault, &request);
            loop_run(r.loop);
        }
        return 0;
    }
    reseal_run(&r);
    loop_run(r.loop);
    if (r.code)
        fprintf(stderr, "reseal: %s\n", r.err.message);
    return r.code == E_OK ? 0 : r.code == E_BUSY ? 2 : 1;
}

// In a child. True: it was killed. Where after_us is not 0, that is when.
static bool rotate_and_die(const struct place *p, const char *url, int steps, int64_t after_us,
                           struct score *s)
{
    int status;
    pid_t child = fork();
    if (child == 0)
        _exit(rotate(p, url, steps, false));
    if (after_us) {
        struct timespec t = {after_us / 1000000, after_us % 1000000 * 1000};
        nanosleep(&t, NULL);  // the moment of the fault
        kill(child, SIGKILL);
    }
    if (waitpid(child, &status, 0) != child)
        give_up("waitpid: %s", strerror(errno));
    bool killed = WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
    if (!killed && (!WIFEXITED(status) || (WEXITSTATUS(status) & 1)))
        give_up("a rotation ended with status %d", status);
    s->kills += killed;
    s->ends += !killed;
    s->busy += !killed && WEXITSTATUS(status) == 2;
    return killed;
}

// ---- judging

// Texts of the template that are not shown.
static uint64_t missing_texts(parley *e)
{
    uint64_t missing = 0;
    for (unsigned u = 0; u < USERS; u++) {
        char user[16], expected[REPLY_BYTES];
        user_name(u, user);
        parley_event *event = ask_show(e, user, NULL);
        for (unsigned t = 0; t < TURNS; t++) {
            reply_expected(1 + t * USERS + u, false, expected);
            missing += !event->json || !strstr(event->json, expected);
        }
        parley_event_free(event);
    }
    return missing;
}

static void judge(const struct place *p, struct score *s)
{
    struct engine_wish wish = {0};
    parley_error error = PARLEY_ERROR_INIT;
    parley *e;
    if (place_open(p, &wish, &e, &error) < 0) {
        fprintf(stderr, "not opened: %s\n", error.message);
        s->unreadable++;
        return;
    }
    int problems = verify_problems(e);
    s->problems += problems < 0 ? 1 : (uint64_t)problems;
    s->unreadable += missing_texts(e);
    parley_close(e);
}

static int64_t member(const char *json, const char *name)
{
    struct json_doc doc = JSON_DOC_INIT;
    int64_t n = json_parse(&doc, slice_str(json), 0, NULL) ? -1
                : json_i64(json_get(json_root(&doc), name), -1);
    json_doc_release(&doc);
    return n;
}

static void judge_keys(const struct place *p, struct score *s)
{
    char url[NAME_BYTES + 8];
    parley_options options = PARLEY_OPTIONS_INIT;
    parley_error error = PARLEY_ERROR_INIT;
    char *report = NULL;
    snprintf(url, sizeof(url), "sqlite:%s/db", p->dir);
    options.config = "";
    options.no_environment = 1;
    options.store = url;
    if (parley_keys_status(&options, &report, &error) < 0)
        give_up("status: %s", error.message);
    s->retired += (uint64_t)member(report, "retired_keys");
    s->under_retired += (uint64_t)member(report, "records_under_retired");
    parley_free(report);
}

// ---- the tests

static void in_child(void (*work)(const struct place *p), const struct place *p)
{
    int status;
    pid_t child = fork();
    if (child == 0) {
        work(p);
        _exit(0);
    }
    if (waitpid(child, &status, 0) != child || status != 0)
        give_up("a child failed");
}

static void copy_file(const struct place *p, const char *from, const char *to)
{
    char command[3 * NAME_BYTES];
    snprintf(command, sizeof(command), "cp '%s/%s' '%s/%s'", p->dir, from, p->dir, to);
    if (system(command) != 0)
        give_up("cp");
}

static void as_before(const struct place *p)
{
    place_clean(p);
    copy_file(p, "kept-db", "db");
    copy_file(p, "kept-keys", "parley.keys");
}

static void keep_template(struct place *p)
{
    place_make_light(p);
    in_child(make_template, p);
    copy_file(p, "db", "kept-db");
    copy_file(p, "parley.keys", "kept-keys");
}

// Killed there, then judged, then carried to its end, and judged again.
static bool one_kill(const struct place *p, const char *url, int steps, struct score *s)
{
    char plain[NAME_BYTES + 8];
    snprintf(plain, sizeof(plain), "sqlite:%s/db", p->dir);
    as_before(p);
    bool killed = rotate_and_die(p, url, steps, 0, s);
    judge(p, s);
    rotate_and_die(p, plain, -1, 0, s);
    judge(p, s);
    judge_keys(p, s);
    return killed;
}

static void assert_whole(const struct score *s)
{
    assert_int_equal(s->unreadable, 0);
    assert_int_equal(s->problems, 0);
    assert_int_equal(s->retired, 0);
    assert_int_equal(s->under_retired, 0);
}

static void test_rotate__killed_at_each_write(void **state)
{
    static const char *const modes[] = {"crash_before", "crash_after"};
    char url[NAME_BYTES + 64];
    struct score s = {0};
    struct place p;
    int steps = 0, commits = 0;
    (void)state;
    keep_template(&p);
    snprintf(url, sizeof(url), "sqlite:%s/db", p.dir);
    while (one_kill(&p, url, steps, &s))
        steps++;
    for (unsigned mode = 0; mode < 2; mode++) {
        for (commits = 1;; commits++) {
            snprintf(url, sizeof(url), "faulty:fail_at=%d,mode=%s,verb=commit;sqlite:%s/db",
                     commits, modes[mode], p.dir);
            if (!one_kill(&p, url, -1, &s))
                break;
        }
    }
    summary("rotation killed at each write: %llu kills (up to step %d of the keyring, commit %d of "
            "the store): unreadable %llu, problems %llu; at the end retired keys %llu, records "
            "under them %llu", (unsigned long long)s.kills, steps, commits,
            (unsigned long long)s.unreadable, (unsigned long long)s.problems,
            (unsigned long long)s.retired, (unsigned long long)s.under_retired);
    assert_whole(&s);
    assert_true(s.kills > 20);
    place_remove(&p);
}

// Another process talks all the while, and is killed too, every other time.
static void test_rotate__killed_at_random_while_others_talk(void **state)
{
    _Atomic uint64_t *turns = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
                                   -1, 0);
    uint64_t seed = fault_seed(), kills = fault_long() ? 1000 : 24;
    char url[NAME_BYTES + 8];
    struct score s = {0};
    struct rand_sim rand;
    struct place p;
    (void)state;
    assert_true(turns != MAP_FAILED);
    rand_sim_init(&rand, seed);
    keep_template(&p);
    snprintf(url, sizeof(url), "sqlite:%s/db", p.dir);
    for (uint64_t i = 0; i < kills; i++) {
        bool alone = i % 3 == 2;
        if (i && i % STORE_KILLS == 0) {  // what was said so far is enough
            judge(&p, &s);
            as_before(&p);
        }
        pid_t child = alone ? 0 : fork();
        if (!alone && child == 0)
            talker(&p, turns);
        uint64_t before = *turns;
        while (!alone && *turns == before)
            sched_yield();
        rotate_and_die(&p, url, -1, 1 + (int64_t)rand_below(&rand.rand, alone ? 20000 : 60000), &s);
        if (!alone) {
            kill(child, SIGKILL);
            waitpid(child, NULL, 0);
        }
    }
    judge(&p, &s);
    rotate_and_die(&p, url, -1, 0, &s);
    // A new one, to its end, while somebody talks, who must take up the new keys first.
    pid_t child = fork();
    if (child == 0)
        talker(&p, turns);
    uint64_t before = *turns;
    while (*turns == before)
        sched_yield();
    rotate_and_die(&p, url, -1, 0, &s);
    before = *turns;
    while (*turns == before)
        sched_yield();
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    judge(&p, &s);
    judge_keys(&p, &s);
    summary("rotation killed at random: %llu kills, %llu rotations to their end, %llu turns "
            "meanwhile: unreadable %llu, problems %llu, busy %llu; at the end retired keys %llu, "
            "records under them %llu (seed %llu)", (unsigned long long)s.kills,
            (unsigned long long)s.ends, (unsigned long long)*turns,
            (unsigned long long)s.unreadable, (unsigned long long)s.problems,
            (unsigned long long)s.busy, (unsigned long long)s.retired,
            (unsigned long long)s.under_retired, (unsigned long long)seed);
    assert_whole(&s);
    assert_int_equal(s.busy, 0);
    assert_true(s.kills > 0 && s.ends > 0);
    munmap(turns, 4096);
    place_remove(&p);
}

// What is broken off, the next engine carries to its end by itself.
static void sweep(const struct place *p)
{
    struct engine_wish wish = {0};
    parley_error error = PARLEY_ERROR_INIT;
    uint64_t request;
    parley *e;
    if (place_open(p, &wish, &e, &error) < 0 || parley_sweep(e, 0, &request, &error) < 0)
        give_up("sweep: %s", error.message);
    parley_event *event = wait_end(e, NULL);
    if (event->type != PARLEY_EVENT_RESULT)
        give_up("sweep: %s", event->text);
    parley_event_free(event);
    parley_close(e);
}

static void test_rotate__goes_on_in_an_engine(void **state)
{
    char url[NAME_BYTES + 64];
    struct score before = {0}, s = {0};
    struct place p;
    (void)state;
    keep_template(&p);
    snprintf(url, sizeof(url), "faulty:fail_at=2,mode=crash_before,verb=commit;sqlite:%s/db",
             p.dir);
    assert_true(rotate_and_die(&p, url, -1, 0, &s));
    judge_keys(&p, &before);
    in_child(sweep, &p);
    judge(&p, &s);
    judge_keys(&p, &s);
    summary("rotation broken off with %llu records under %llu retired keys, then an engine: "
            "unreadable %llu, problems %llu, retired keys %llu, records under them %llu",
            (unsigned long long)before.under_retired, (unsigned long long)before.retired,
            (unsigned long long)s.unreadable, (unsigned long long)s.problems,
            (unsigned long long)s.retired, (unsigned long long)s.under_retired);
    assert_true(before.under_retired > 0);
    assert_whole(&s);
    place_remove(&p);
}

static void careless(const struct place *p)
{
    char url[NAME_BYTES + 8];
    snprintf(url, sizeof(url), "sqlite:%s/db", p->dir);
    rotate(p, url, -1, true);
}

// Older keys destroyed without looking what is under them.
static void test_rotate__control_that_destroys_at_once(void **state)
{
    struct score s = {0};
    struct place p;
    (void)state;
    keep_template(&p);
    in_child(careless, &p);
    judge(&p, &s);
    summary("control, keys destroyed at once: unreadable %llu, problems %llu",
            (unsigned long long)s.unreadable, (unsigned long long)s.problems);
    assert_true(s.unreadable > 0 && s.problems > 0);
    place_remove(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rotate__killed_at_each_write),
        cmocka_unit_test(test_rotate__killed_at_random_while_others_talk),
        cmocka_unit_test(test_rotate__goes_on_in_an_engine),
        cmocka_unit_test(test_rotate__control_that_destroys_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
