// SPDX-License-Identifier: MIT
// A disk that fails under the whole engine, at each single operation, once or from then on: what
// was not made durable is not acknowledged and goes to no provider, reads go on, the store works
// again when the disk does, and nothing that was acknowledged is lost.
#include "fault/oracle.h"

#include "fault/disk_layer.h"

enum { TRIALS_AT_ONCE = 24, PLACES_MAX = 2000 };

struct trial {
    enum disk_fault fault;
    long n; // which operation
    bool sticky;
    bool from_start; // opening counts too
};

// What the runner saw, in memory that it shares with the trial that judges it.
struct seen {
    bool hit, finished;
    long operations, reopened;
    uint64_t refused, unanswered, called_early, bad_reads, bad_codes, not_mended;
    bool was_refused[USERS];
};

struct runner {
    struct oracle *o;
    struct seen *seen;
    parley *e;
    char session[40];
};

// ---- the runner's process

static void runner_trace(void *user, const char *provider, const char *body, size_t len)
{
    struct runner *r = user;
    uint64_t n = text_number(slice_of(body, len));
    (void)provider;
    r->o->entries[n < TEXTS ? n : 0].calls++;
}

static void runner_log(void *user, parley_log_level level, const char *line)
{
    struct runner *r = user;
    (void)level;
    r->seen->reopened += strstr(line, "reopening after an error") != NULL;
}

static void told_done(struct runner *r, struct entry *entry, const parley_event *event)
{
    struct note note = {0};
    note_done(&note, event);
    // Accepted, but its end could not be stored: that is told, and recovery settles it.
    if (event->code == PARLEY_E_STORE)
        return;
    entry->done = true;
    memcpy(entry->status, note.status, sizeof(entry->status));
    entry->reply_hash = note.reply_hash;
    if (event->code && event->code != PARLEY_E_PROVIDER)
        r->seen->bad_codes++;
}

// One turn to its end; its code.
static int turn(struct runner *r, uint32_t user, uint64_t n)
{
    struct entry *entry = &r->o->entries[n];
    char name[16], key[32], words[TEXT_BYTES];
    parley_message m = PARLEY_MESSAGE_INIT;
    parley_error error = PARLEY_ERROR_INIT;
    bool over = false;
    int code = 0;
    snprintf(name, sizeof(name), "user-%u", user);
    snprintf(key, sizeof(key), "key-%llu", (unsigned long long)n);
    entry->planned = true;
    m.user = name;
    m.provider = text_provider(n);
    m.text = text_make(n, words);
    m.key = text_has_key(n) ? key : NULL;
    m.flags = PARLEY_CONTINUE;
    if (parley_send(r->e, &m, NULL, &error) < 0)
        give_up("send: %s", error.message);
    while (!over) {
        parley_event *event = next_event(r->e);
        over = is_last(event);
        code = event->code;
        if (event->type == PARLEY_EVENT_ACCEPTED) {
            entry->accepted = true;
            entry->turn = event->turn;
            snprintf(entry->session, sizeof(entry->session), "%s", event->session);
        } else if (event->type == PARLEY_EVENT_DONE) {
            told_done(r, entry, event);
        } else if (event->type == PARLEY_EVENT_ERROR) {
            r->seen->refused++;
            r->seen->was_refused[n] = true;
            r->seen->bad_codes += code != PARLEY_E_STORE && code != PARLEY_E_BUSY;
        }
        parley_event_free(event);
    }
    r->seen->called_early += entry->calls > 0 && !entry->accepted;
    return code;
}

static void read_on(struct runner *r)
{
    parley_event *event = ask_show(r->e, "user-0", r->session);
    if (event->type != PARLEY_EVENT_RESULT) {
        if (!r->seen->bad_reads++)
            fprintf(stderr, "reading: %s\n", event->text);
    }
    parley_event_free(event);
}

static void faulty_part(struct runner *r)
{
    static const struct {
        uint32_t user;
        uint64_t n;
    } turns[] = {{0, 4}, {1, 6}, {0, 9}, {1, 5}};
    for (size_t i = 0; i < sizeof(turns) / sizeof(turns[0]); i++) {
        turn(r, turns[i].user, turns[i].n);
        if (r->session[0])
            read_on(r);
    }
}

static void run(const struct place *place, const struct trial *trial, struct runner *r)
{
    struct engine_wish wish = {.trace = runner_trace, .log = runner_log, .user = r};
    parley_error error = PARLEY_ERROR_INIT;
    if (!disk_install())
        give_up("no layer");
    disk_plan(trial->fault, trial->from_start ? trial->n : 0, trial->sticky);
    int code = place_open(place, &wish, &r->e, &error);
    if (code == 0 && !trial->from_start) {
        if (turn(r, 0, 2) != 0)
            give_up("the first turn failed");
        snprintf(r->session, sizeof(r->session), "%s", r->o->entries[2].session);
        disk_plan(trial->fault, trial->n, trial->sticky);
    }
    if (code == 0)
        faulty_part(r);
    else
        r->seen->bad_codes += code != PARLEY_E_STORE;
    r->seen->operations = disk.seen;
    r->seen->hit = trial->n && disk.countdown == 0;
    if (trial->fault == DISK_LIES)
        _exit(0); // the machine is gone before anything could be noticed
    disk_plan(trial->fault, 0, false);
    if (code != 0 && place_open(place, &wish, &r->e, &error) < 0)
        give_up("the disk is well again, and the store is not: %s", error.message);
    r->seen->not_mended += turn(r, 0, 10) != 0;
    r->seen->not_mended += turn(r, 1, 12) != 0;
    r->seen->not_mended += verify_problems(r->e) != 0;
    parley_close(r->e);
    r->seen->finished = true;
    _exit(0);
}

// ---- a trial: a runner, then a checker

struct verdict {
    struct tally tally;
    struct seen seen;
    uint64_t phantoms, unknown;
};

static void judge(const struct trial *trial, struct oracle *o, struct verdict *v)
{
    for (uint64_t n = 0; n < USERS; n++) {
        bool phantom = v->seen.was_refused[n] && o->entries[n].seen;
        // While the disk does not answer at all, nobody can know what became of the last commit.
        v->unknown += phantom && trial->sticky;
        v->phantoms += phantom && !trial->sticky;
    }
    v->seen.unanswered += !v->seen.finished && trial->fault != DISK_LIES;
}

static struct verdict trial_run(const struct trial *trial)
{
    struct place place;
    struct oracle o;
    struct verdict v = {0};
    int status;
    place_make_light(&place);
    oracle_init(&o, &place);
    struct seen *seen =
        mmap(NULL, sizeof(*seen), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (seen == MAP_FAILED)
        give_up("mmap: %s", strerror(errno));
    struct runner r = {.o = &o, .seen = seen};
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0)
        run(&place, trial, &r);
    waitpid(pid, &status, 0);
    oracle_check(&place, &o, false, 0, &v.tally);
    v.seen = *seen;
    judge(trial, &o, &v);
    munmap(seen, sizeof(*seen));
    oracle_release(&o);
    place_remove(&place);
    return v;
}

struct figures {
    struct verdict sum;
    uint64_t injected, runs;
};

static uint64_t bad_states(const struct verdict *v)
{
    const struct tally *t = &v->tally;
    const struct seen *s = &v->seen;
    return t->lost + t->duplicated + t->half + t->wrong + t->resent + t->problems + s->unanswered +
           s->called_early + s->bad_reads + s->bad_codes + s->not_mended + v->phantoms;
}

static void add(struct figures *f, const struct trial *trial, const struct verdict *v)
{
    f->runs++;
    f->injected += v->seen.hit;
    f->sum.seen.refused += v->seen.refused;
    f->sum.seen.reopened += v->seen.reopened;
    f->sum.unknown += v->unknown;
    f->sum.tally.lost += v->tally.lost;
    f->sum.tally.interrupted += v->tally.interrupted;
    f->sum.phantoms += bad_states(v);
    if (bad_states(v) && trial->fault != DISK_LIES)
        fprintf(
            stderr,
            "%s, operation %ld%s%s: lost %d, twice %d, half %d, wrong %d, problems %d, no end %d, "
            "called early %d, reads %d, codes %d, not mended %d, refused but there %d\n",
            disk_fault_words[trial->fault], trial->n, trial->sticky ? " and on" : "",
            trial->from_start ? ", from the start" : "", (int)v->tally.lost,
            (int)v->tally.duplicated, (int)v->tally.half, (int)v->tally.wrong,
            (int)v->tally.problems, (int)v->seen.unanswered, (int)v->seen.called_early,
            (int)v->seen.bad_reads, (int)v->seen.bad_codes, (int)v->seen.not_mended,
            (int)v->phantoms);
}

// Trials wait more than they work, so several go on at a time.
struct pool {
    struct {
        pid_t pid;
        int fd;
        struct trial trial;
        struct figures *f; // borrowed
    } slots[TRIALS_AT_ONCE];
    unsigned len;
};

static void pool_take(struct pool *p)
{
    struct verdict v = {0};
    int status;
    size_t got = 0;
    ssize_t n;
    while ((n = read(p->slots[0].fd, (char *)&v + got, sizeof(v) - got)) > 0)
        got += (size_t)n;
    if (got != sizeof(v))
        v.seen.unanswered++;
    close(p->slots[0].fd);
    waitpid(p->slots[0].pid, &status, 0);
    add(p->slots[0].f, &p->slots[0].trial, &v);
    memmove(&p->slots[0], &p->slots[1], --p->len * sizeof(p->slots[0]));
}

static void pool_start(struct pool *p, const struct trial *trial, struct figures *f)
{
    int fds[2];
    if (p->len == TRIALS_AT_ONCE)
        pool_take(p);
    fflush(NULL);
    pid_t pid = pipe(fds) == 0 ? fork() : -1;
    if (pid < 0)
        give_up("trial: %s", strerror(errno));
    if (pid == 0) {
        struct verdict v = trial_run(trial);
        _exit(write(fds[1], &v, sizeof(v)) == sizeof(v) ? 0 : 1);
    }
    close(fds[1]);
    p->slots[p->len].pid = pid;
    p->slots[p->len].fd = fds[0];
    p->slots[p->len].f = f;
    p->slots[p->len++].trial = *trial;
}

static void fail_everywhere(struct pool *pool, struct figures *f, struct trial trial, long step,
                            uint64_t seed)
{
    bool sticky = trial.sticky;
    trial.sticky = false;
    struct verdict v = trial_run(&trial); // dry: how many operations there are
    assert_int_equal(bad_states(&v), 0);
    assert_true(v.seen.operations > 0 && v.seen.operations < PLACES_MAX);
    trial.sticky = sticky;
    for (trial.n = 1 + (long)(seed % (uint64_t)step); trial.n <= v.seen.operations; trial.n += step)
        pool_start(pool, &trial, f);
}

static void tell(const struct figures *f, int fault, uint64_t seed)
{
    summary("disk, %s: injected %llu of %llu%s, refused %llu, interrupted %llu, store reopened "
            "%llu times, unknowable %llu; bad states %llu (seed %llu)",
            disk_fault_words[fault], (unsigned long long)f->injected, (unsigned long long)f->runs,
            fault_long() ? "" : " (sampled)", (unsigned long long)f->sum.seen.refused,
            (unsigned long long)f->sum.tally.interrupted, (unsigned long long)f->sum.seen.reopened,
            (unsigned long long)f->sum.unknown, (unsigned long long)f->sum.phantoms,
            (unsigned long long)seed);
}

static void test_disk__fails_at_every_operation(void **state)
{
    (void)state;
    struct figures figures[DISK_FAULTS] = {0};
    struct pool pool = {.len = 0};
    uint64_t seed = fault_seed();
    for (int fault = DISK_EIO; fault <= DISK_KEYS; fault++) {
        bool few = fault_long() || fault >= DISK_NO_SYNC;
        for (int i = 0; i < 4; i++) {
            struct trial trial = {
                .fault = (enum disk_fault)fault, .sticky = i & 1, .from_start = i & 2};
            fail_everywhere(&pool, &figures[fault], trial, few ? 1 : i ? 9 : 3, seed);
        }
    }
    while (pool.len)
        pool_take(&pool);
    for (int fault = DISK_EIO; fault <= DISK_KEYS; fault++) {
        const struct figures *f = &figures[fault];
        tell(f, fault, seed);
        assert_true(f->injected > 0 && f->sum.seen.refused > 0);
        assert_true(fault == DISK_KEYS || f->sum.seen.reopened > 0);
        assert_int_equal(f->sum.phantoms, 0);
    }
}

static void test_disk__control_that_lies(void **state)
{
    (void)state;
    struct figures f = {0};
    struct pool pool = {.len = 0};
    for (long n = 1; n <= 4; n++) {
        struct trial trial = {.fault = DISK_LIES, .n = n, .sticky = true};
        pool_start(&pool, &trial, &f);
    }
    while (pool.len)
        pool_take(&pool);
    summary("control, a disk that lies: lost %llu, bad states %llu",
            (unsigned long long)f.sum.tally.lost, (unsigned long long)f.sum.phantoms);
    assert_true(f.sum.tally.lost > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_disk__fails_at_every_operation),
        cmocka_unit_test(test_disk__control_that_lies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
