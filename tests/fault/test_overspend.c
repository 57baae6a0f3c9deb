// SPDX-License-Identifier: MIT
// One budget of a day, four processes that spend it as fast as they can, and a provider that counts
// what it bills. Whatever is killed and whenever: no more is billed than the budget; its counter is
// never less than the bill; and what it says beyond the bill are the reservations of calls that
// were killed, each once.
//
//   writer ×4 (children, killed)  ──calls──▶  provider (a child): counts its answers
//   checker (a child)             ──reads the store──▶  this process: compares
#include "bench/fake_provider.h"
#include "fault/harness.h"

#include <math.h>
#include <sys/mman.h>

enum { WRITERS = 4, USERS = 16, REFUSALS_MAX = 200, KILLS_MAX = 4000 };

// claude-sonnet-4-5: 3, 3.75 and 15 dollars per million tokens of input, cache write and output.
// The provider bills 10 and 18 tokens; a call may have 100 of output, and its few words at the
// dearest price.
enum { BILL_NUSD = 10 * 3000 + 18 * 15000, RESERVED_NUSD_MAX = 100 * 15000 + 40 * 3750 };

struct spend_plan {
    int64_t budget_nusd;
    int port;
    bool look_only;  // control: asks what was spent and goes on, and nothing is reserved
};

struct figures {
    int64_t counted_nusd, books_nusd, unknown_calls, refused;
    int problems;
};

struct campaign {
    struct place place;
    struct spend_plan plan;
    struct rand_sim rand;
    uint64_t seed, kills;
    _Atomic uint64_t *answers;  // shared with the provider
    pid_t provider;
    struct figures figures;
    int64_t billed_nusd;
};

static void *shared(size_t bytes)
{
    void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED)
        give_up("mmap: %s", strerror(errno));
    return p;
}

// ---- the provider's process

static void start_provider(struct campaign *c)
{
    int port[2];
    fflush(NULL);
    if (pipe(port) != 0 || (c->provider = fork()) < 0)
        give_up("provider: %s", strerror(errno));
    if (c->provider == 0) {
        struct fake_provider *f = fake_provider_start("Answer.", c->answers);
        if (!f)
            give_up("no loopback");
        if (write(port[1], &f->port, sizeof(f->port)) != sizeof(f->port))
            _exit(1);
        for (;;)
            pause();
    }
    if (read(port[0], &c->plan.port, sizeof(c->plan.port)) != sizeof(c->plan.port))
        give_up("the provider did not start");
    close(port[0]);
    close(port[1]);
}

static void end_child(pid_t pid)
{
    int status;
    kill(pid, SIGKILL);
    waitpid(pid, &status, 0);
}

// ---- the writers' processes

static parley *open_engine(const struct place *place, const struct spend_plan *plan)
{
    char url[96], budget[96];
    parley_error error = PARLEY_ERROR_INIT;
    parley *e;
    snprintf(url, sizeof(url), "providers.anthropic.base_url=http://127.0.0.1:%d", plan->port);
    snprintf(budget, sizeof(budget), "budgets.usd_per_day=%.9f", (double)plan->budget_nusd / 1e9);
    struct engine_wish wish = {
        .provider = "anthropic",
        .settings = {url, "providers.anthropic.auth=none", plan->look_only ? NULL : budget}};
    if (place_open(place, &wish, &e, &error) < 0)
        give_up("%s", error.message);
    return e;
}

static uint64_t send_one(parley *e, int user)
{
    parley_message m = PARLEY_MESSAGE_INIT;
    parley_error error = PARLEY_ERROR_INIT;
    char name[32];
    uint64_t request;
    snprintf(name, sizeof(name), "%d-%d", (int)getpid(), user);
    m.user = name;
    m.flags = PARLEY_CONTINUE | PARLEY_STATELESS;
    m.model = "claude-sonnet-4-5";
    m.text = "Say something.";
    if (parley_send(e, &m, &request, &error) < 0)
        give_up("send: %s", error.message);
    return request;
}

static parley_event *ask_usage(parley *e, struct json_doc *doc)
{
    parley_scope scope = PARLEY_SCOPE_INIT;
    parley_error error = PARLEY_ERROR_INIT;
    uint64_t request;
    scope.flags = PARLEY_ALL_USERS;
    if (parley_usage(e, &scope, "day", &request, &error) < 0)
        give_up("usage: %s", error.message);
    parley_event *event = wait_end(e, NULL);
    if (event->type != PARLEY_EVENT_RESULT || json_parse(doc, slice_str(event->json), 0, NULL))
        give_up("usage: %s", event->text);
    return event;
}

static int64_t nusd(struct json v)
{
    return llround(json_double(v, 0) * 1e9);
}

static int64_t spent_by_the_books(parley *e)
{
    struct json_doc doc = JSON_DOC_INIT;
    parley_event *event = ask_usage(e, &doc);
    int64_t spent = nusd(json_get(json_get(json_root(&doc), "total"), "cost_usd"));
    json_doc_release(&doc);
    parley_event_free(event);
    return spent;
}

// All users at once, again and again, until so many were refused one after the other.
static _Noreturn void writer_run(const struct place *place, const struct spend_plan *plan,
                                 int64_t *refused)
{
    parley *e = open_engine(place, plan);
    for (int in_a_row = 0; in_a_row < REFUSALS_MAX;) {
        if (plan->look_only && spent_by_the_books(e) + BILL_NUSD > plan->budget_nusd)
            break;
        for (int user = 0; user < USERS; user++)
            send_one(e, user);
        for (int ends = 0; ends < USERS;) {
            parley_event *event = next_event(e);
            bool is_refused = event->code == PARLEY_E_REFUSED;
            if (is_last(event)) {
                ends++;
                in_a_row = is_refused ? in_a_row + 1 : 0;
                *refused += is_refused;
                if (event->code && !is_refused)
                    give_up("a turn ended with: %s", event->text);
            }
            parley_event_free(event);
        }
    }
    parley_close(e);
    _exit(0);
}

static pid_t start_writer(const struct campaign *c, int64_t *refused)
{
    fflush(NULL);
    pid_t pid = fork();
    if (pid < 0)
        give_up("writer: %s", strerror(errno));
    if (pid == 0)
        writer_run(&c->place, &c->plan, refused);
    return pid;
}

// ---- the checker's process

static _Noreturn void checker_run(const struct campaign *c, int out)
{
    parley *e = open_engine(&c->place, &c->plan);
    struct json_doc doc = JSON_DOC_INIT;
    parley_event *event = ask_usage(e, &doc);
    struct json total = json_get(json_root(&doc), "total");
    struct json budget = json_at(json_get(json_root(&doc), "budgets"), 0);
    struct figures f = {.counted_nusd = nusd(json_get(budget, "used")),
                        .books_nusd = nusd(json_get(total, "cost_usd")),
                        .unknown_calls = json_i64(json_get(total, "unknown_calls"), 0)};
    json_doc_release(&doc);
    parley_event_free(event);
    f.problems = verify_problems(e);
    parley_close(e);
    _exit(write(out, &f, sizeof(f)) == sizeof(f) ? 0 : 1);
}

static void check(struct campaign *c)
{
    int out[2], status;
    int64_t refused = c->figures.refused;
    fflush(NULL);
    pid_t pid = pipe(out) == 0 ? fork() : -1;
    if (pid == 0)
        checker_run(c, out[1]);
    close(out[1]);
    if (pid < 0 || read(out[0], &c->figures, sizeof(c->figures)) != sizeof(c->figures))
        give_up("the checker failed");
    close(out[0]);
    waitpid(pid, &status, 0);
    c->figures.refused = refused;
    c->billed_nusd = (int64_t)*c->answers * BILL_NUSD;
}

// ---- campaigns

// A writer that is killed is followed by another, until the kills or the time are over.
static void kill_some(struct campaign *c, pid_t *pids, int64_t *refused, uint64_t kills,
                      int64_t seconds)
{
    int64_t until_us = now_us() + seconds * 1000000;
    while (c->kills < kills && now_us() < until_us) {
        struct timespec pause = {0, (long)(1 + rand_below(&c->rand.rand, 300)) * 1000000};
        uint64_t which = rand_below(&c->rand.rand, WRITERS);
        nanosleep(&pause, NULL);
        end_child(pids[which]);
        c->kills++;
        pids[which] = start_writer(c, refused);
    }
}

// The day must not end meanwhile: another day has another budget.
static void wait_for_a_day(int64_t seconds)
{
    time_t left = 86400 - time(NULL) % 86400;
    if (left <= seconds + 60)
        sleep((unsigned)left + 1);
}

static void run_campaign(struct campaign *c, uint64_t kills, int64_t seconds)
{
    pid_t pids[WRITERS];
    int status;
    int64_t *refused = shared(sizeof(*refused));
    wait_for_a_day(seconds);
    c->seed = fault_seed();
    c->answers = shared(sizeof(*c->answers));
    rand_sim_init(&c->rand, c->seed);
    place_make(&c->place);
    place_write(&c->place, "policies/fault.lua",
                "return { limits = { max_output_tokens = 100 } }\n");
    start_provider(c);
    for (int i = 0; i < WRITERS; i++)
        pids[i] = start_writer(c, refused);
    kill_some(c, pids, refused, kills, seconds);
    for (int i = 0; i < WRITERS; i++) {
        waitpid(pids[i], &status, 0);
        if (status != 0)
            give_up("a writer ended with %d", status);
    }
    c->figures.refused = *refused;
    check(c);
    end_child(c->provider);
    place_remove(&c->place);
    munmap(refused, sizeof(*refused));
}

static void tell(const struct campaign *c, const char *what)
{
    const struct figures *f = &c->figures;
    summary("%s: budget $%.4f, billed $%.4f in %llu calls, overspent $%.4f; counted $%.4f, books "
            "$%.4f with %lld unknown; %llu kills, %lld refused, %d problems (seed %llu)",
            what, (double)c->plan.budget_nusd / 1e9, (double)c->billed_nusd / 1e9,
            (unsigned long long)*c->answers,
            c->billed_nusd > c->plan.budget_nusd
                ? (double)(c->billed_nusd - c->plan.budget_nusd) / 1e9 : 0.0,
            (double)f->counted_nusd / 1e9, (double)f->books_nusd / 1e9,
            (long long)f->unknown_calls, (unsigned long long)c->kills, (long long)f->refused,
            f->problems, (unsigned long long)c->seed);
}

static void test_overspend__four_processes(void **state)
{
    (void)state;
    struct campaign c = {.plan.budget_nusd = fault_long() ? 6000000000 : 300000000};
    run_campaign(&c, 0, 0);
    tell(&c, "four processes, one budget");
    assert_true(c.billed_nusd <= c.plan.budget_nusd);
    // Nobody died: the counter is the bill, to the billionth of a dollar.
    assert_int_equal(c.figures.counted_nusd, c.billed_nusd);
    assert_int_equal(c.figures.books_nusd, c.billed_nusd);
    assert_true(c.figures.refused > 0 && c.figures.problems == 0);
    // What is left is less than what all that were refused together had reserved.
    assert_true(c.plan.budget_nusd - c.billed_nusd <= (int64_t)WRITERS * USERS * RESERVED_NUSD_MAX);
}

static void test_overspend__killed_at_any_moment(void **state)
{
    (void)state;
    struct campaign c = {.plan.budget_nusd = fault_long() ? 60000000000 : 1200000000};
    run_campaign(&c, fault_long() ? KILLS_MAX : 24, fault_long() ? 1800 : 6);
    tell(&c, "killed at any moment");
    assert_true(c.billed_nusd <= c.plan.budget_nusd);
    assert_true(c.figures.counted_nusd >= c.billed_nusd);
    assert_true(c.figures.books_nusd <= c.billed_nusd);
    // Each kill meets at most one call of each of its users; a call is reserved once. What a
    // process that was killed had reserved over the limit, and could not take back, stays too.
    int64_t most = (int64_t)c.kills * USERS * RESERVED_NUSD_MAX;
    assert_true(c.figures.counted_nusd - c.billed_nusd <= most);
    assert_true(c.kills > 0 && c.figures.refused > 0);
    assert_int_equal(c.figures.problems, 0);
}

static void test_overspend__control_that_only_looks(void **state)
{
    (void)state;
    struct campaign c = {.plan = {.budget_nusd = 100000000, .look_only = true}};
    run_campaign(&c, 0, 0);
    tell(&c, "control, looking at the books before each call");
    assert_true(c.billed_nusd > c.plan.budget_nusd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_overspend__four_processes),
        cmocka_unit_test(test_overspend__killed_at_any_moment),
        cmocka_unit_test(test_overspend__control_that_only_looks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
