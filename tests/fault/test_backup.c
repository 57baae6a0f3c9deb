// SPDX-License-Identifier: MIT
// Backups while others write, and restores, killed or not. What was acknowledged before a backup
// began is in it, and it verifies; a backup that is killed leaves a whole file or none, a restore
// the old store or the new one.
#include "fault/writers.h"

#include <sys/ioctl.h>

enum { WRITERS = 2, TEXTS_EACH = TEXTS / 4, BACKUPS_PER_STORE = 3, KILLS_PER_STORE = 24,
       KILLS_MIN = 6 };

struct campaign {
    struct place place, copy;      // the store that is written to, and where backups are restored
    struct oracle oracle, then;    // what is known, and what was known when a backup began
    struct rand_sim rand;
    struct tally tally;
    struct writer writers[WRITERS];
    uint64_t seed, backups, promised, kills, whole, half, restores, old_ones, new_ones, neither;
    int64_t took_us;               // the last backup
    bool plain_copy;               // control: the file is read and written, as cp does
};

// ---- what a process of its own does

static void fill(const struct place *at, const struct place *keys, parley_options *options,
                 char store[NAME_BYTES + 8], char keyring[NAME_BYTES])
{
    *options = (parley_options)PARLEY_OPTIONS_INIT;
    snprintf(store, NAME_BYTES + 8, "sqlite:%s/db", at->dir);
    options->config = "";
    options->no_environment = 1;
    options->store = store;
    options->keyring = place_path(keys, "parley.keys", keyring);
}

// As `cp` does, without a lock and without the WAL.
static int copy_plainly(const struct place *from, const char *to)
{
    char path[NAME_BYTES], bytes[1 << 16];
    ssize_t n;
    int in = open(place_path(from, "db", path), O_RDONLY);
    int out = open(to, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    while (in >= 0 && out >= 0 && (n = read(in, bytes, sizeof(bytes))) > 0) {
        if (write(out, bytes, (size_t)n) != n)
            break;
    }
    return in < 0 || out < 0 || close(in) || close(out);
}

static int back_up(const struct campaign *c, const char *file, unsigned flags)
{
    char store[NAME_BYTES + 8], keyring[NAME_BYTES], *report = NULL;
    parley_options options;
    parley_copy_options how = PARLEY_COPY_OPTIONS_INIT;
    parley_error error = PARLEY_ERROR_INIT;
    if (c->plain_copy)
        return copy_plainly(&c->place, file);
    fill(&c->place, &c->place, &options, store, keyring);
    how.flags = flags;
    int code = parley_backup(&options, &how, file, &report, &error);
    if (code)
        fprintf(stderr, "backup: %s\n%s\n", error.message, report ? report : "");
    parley_free(report);
    return code;
}

static int restore(const struct campaign *c, const char *file)
{
    char store[NAME_BYTES + 8], keyring[NAME_BYTES], *report = NULL;
    parley_options options;
    parley_copy_options how = PARLEY_COPY_OPTIONS_INIT;
    parley_error error = PARLEY_ERROR_INIT;
    fill(&c->copy, &c->copy, &options, store, keyring);
    int code = parley_restore(&options, &how, file, &report, &error);
    if (code)
        fprintf(stderr, "restore: %s\n%s\n", error.message, report ? report : "");
    parley_free(report);
    return code;
}

// How many turns a store verifies with; -1: it does not.
static int verified_turns(const struct place *p)
{
    struct engine_wish wish = {0};
    parley_error error = PARLEY_ERROR_INIT;
    struct json_doc doc = JSON_DOC_INIT;
    parley *e;
    int turns = -1;
    if (place_open(p, &wish, &e, &error) < 0) {
        fprintf(stderr, "open: %s\n", error.message);
        return -1;
    }
    parley_event *event = ask_verify(e);
    if (event->type == PARLEY_EVENT_RESULT &&
        json_parse(&doc, slice_str(event->json), 0, NULL) == E_OK &&
        json_count(json_get(json_root(&doc), "problems")) == 0)
        turns = (int)json_i64(json_get(json_root(&doc), "turns"), -1);
    else
        fprintf(stderr, "verify: %s%s\n", event->text, event->json);
    json_doc_release(&doc);
    parley_event_free(event);
    parley_close(e);
    return turns;
}

// ---- the oracle's process

// Takes all that the writers have told by now: a pipe's notes are whole, and what is in it now is
// not more than it holds.
static void listen_now(struct campaign *c)
{
    for (int i = 0; i < WRITERS; i++) {
        struct note note;
        int bytes = 0;
        if (c->writers[i].pid && ioctl(c->writers[i].notes, FIONREAD, &bytes) != 0)
            give_up("a writer that should live is gone");
        for (; bytes >= (int)sizeof(note); bytes -= (int)sizeof(note)) {
            if (read(c->writers[i].notes, &note, sizeof(note)) != sizeof(note))
                give_up("half a note");
            oracle_take(&c->oracle, &note);
        }
    }
}

static pid_t start(void)
{
    fflush(NULL);
    pid_t pid = fork();
    if (pid < 0)
        give_up("fork: %s", strerror(errno));
    return pid;
}

// Listens to the writers until the process ends, which is killed when the time comes (0: never).
static int finish(struct campaign *c, pid_t pid, int64_t kill_us)
{
    int status = 0;
    bool killed = false;
    while (waitpid(pid, &status, WNOHANG) == 0) {
        struct timespec pause = {0, 50000};
        listen_now(c);
        if (kill_us && !killed && now_us() >= kill_us) {
            kill(pid, SIGKILL);
            killed = true;
        }
        nanosleep(&pause, NULL);
    }
    return status;
}

static int run_restore(struct campaign *c, const char *file)
{
    pid_t pid = start();
    if (pid == 0)
        _exit(restore(c, file) != 0);
    return finish(c, pid, 0);
}

static int run_verified_turns(struct campaign *c, const struct place *p)
{
    int fds[2], turns = -1;
    if (pipe(fds) != 0)
        give_up("pipe: %s", strerror(errno));
    pid_t pid = start();
    if (pid == 0) {
        turns = verified_turns(p);
        _exit(write(fds[1], &turns, sizeof(turns)) != sizeof(turns));
    }
    close(fds[1]);
    finish(c, pid, 0);
    if (read(fds[0], &turns, sizeof(turns)) != sizeof(turns))
        turns = -1;
    close(fds[0]);
    return turns;
}

static void copy_keyring(const struct place *from, const struct place *to)
{
    char a[NAME_BYTES], b[NAME_BYTES], command[3 * NAME_BYTES];
    snprintf(command, sizeof(command), "cp -p '%s' '%s'", place_path(from, "parley.keys", a),
             place_path(to, "parley.keys", b));
    if (system(command) != 0)
        give_up("%s", command);
}

static void empty_copy(const struct campaign *c)
{
    char command[NAME_BYTES * 2];
    snprintf(command, sizeof(command), "rm -rf '%s'/db* '%s'/parley.keys*", c->copy.dir,
             c->copy.dir);
    if (system(command) != 0)
        give_up("%s", command);
    copy_keyring(&c->place, &c->copy);
}

// What is known now is what a backup that begins now must have.
static void remember(struct campaign *c)
{
    listen_now(c);
    memcpy(c->then.entries, c->oracle.entries, TEXTS * sizeof(*c->then.entries));
    for (size_t n = 0; n < TEXTS; n++) {
        c->then.entries[n].calls = 0;
        c->then.entries[n].seen = 0;
    }
}

// A file that a backup left: restored beside, and held against what was known.
static void check_backup(struct campaign *c, const char *file)
{
    uint64_t problems = c->tally.problems;
    listen_now(c);
    for (size_t n = 0; n < TEXTS; n++) {
        c->then.entries[n].planned = c->oracle.entries[n].planned;
        c->then.entries[n].user = c->oracle.entries[n].user;
        c->promised += c->then.entries[n].accepted;
    }
    empty_copy(c);
    char path[NAME_BYTES], command[3 * NAME_BYTES];
    if (c->plain_copy) {
        snprintf(command, sizeof(command), "cp '%s' '%s'", file, place_path(&c->copy, "db", path));
        c->tally.problems += system(command) != 0;
    } else {
        c->tally.problems += run_restore(c, file) != 0;
    }
    if (c->tally.problems == problems)
        oracle_check(&c->copy, &c->then, false, 0, &c->tally);
}

static int one_backup(struct campaign *c, const char *file, unsigned flags, int64_t kill_in_us)
{
    remember(c);
    int64_t began_us = now_us();
    pid_t pid = start();
    if (pid == 0)
        _exit(back_up(c, file, flags) != 0);
    int status = finish(c, pid, kill_in_us ? began_us + kill_in_us : 0);
    if (!kill_in_us)
        c->took_us = now_us() - began_us;
    return status;
}

static void start_writers(struct campaign *c)
{
    place_clean(&c->place);
    oracle_forget(&c->oracle);
    for (uint64_t i = 0; i < WRITERS; i++) {
        static const char *const contexts[WRITERS] = {"one", "two"};
        struct writer_plan plan = {
            .context = contexts[i], .first_text = i * TEXTS_EACH, .texts = TEXTS_EACH};
        bool ready = false;
        c->writers[i] = writer_start(&c->place, &plan, true);
        while (!ready && oracle_listen(&c->oracle, c->writers[i].notes, now_us() + 1000, &ready))
            continue;
    }
}

// Between two backups the writers get on.
static void let_write(struct campaign *c, uint64_t acks)
{
    uint64_t wanted = c->oracle.acked + acks;
    struct timespec pause = {0, 200000};
    for (int64_t until_us = now_us() + 5000000; c->oracle.acked < wanted && now_us() < until_us;) {
        listen_now(c);
        nanosleep(&pause, NULL);
    }
}

static void stop_writers(struct campaign *c)
{
    for (int i = 0; i < WRITERS; i++) {
        writer_stop(&c->writers[i], &c->oracle);
        c->writers[i] = (struct writer){0};
    }
}

static void campaign_begin(struct campaign *c)
{
    c->seed = fault_seed();
    rand_sim_init(&c->rand, c->seed);
    place_make_light(&c->place);
    place_make_light(&c->copy);
    oracle_init(&c->oracle, &c->place);
    oracle_init(&c->then, &c->copy);
}

static void campaign_end(struct campaign *c)
{
    oracle_release(&c->oracle);
    oracle_release(&c->then);
    place_remove(&c->place);
    place_remove(&c->copy);
}

// ---- the campaigns

static void back_up_for(struct campaign *c, uint64_t backups, int64_t seconds)
{
    char file[NAME_BYTES];
    int64_t until_us = now_us() + seconds * 1000000;
    place_path(&c->place, "backup", file);
    while (c->backups < backups && now_us() < until_us) {
        start_writers(c);
        for (int i = 0; i < BACKUPS_PER_STORE && c->backups < backups; i++, c->backups++) {
            let_write(c, 1 + rand_below(&c->rand.rand, 200));
            c->tally.problems += one_backup(c, file, PARLEY_COPY_REPLACE, 0) != 0;
            check_backup(c, file);
        }
        stop_writers(c);
        unlink(file);
    }
}

static void tell_backups(const struct campaign *c, const char *what)
{
    const struct tally *t = &c->tally;
    summary("%s: %llu backups while %d processes wrote, %llu turns acknowledged before they began; "
            "lost %llu, duplicated %llu, half %llu, wrong %llu, problems %llu (seed %llu)",
            what, (unsigned long long)c->backups, WRITERS, (unsigned long long)c->promised,
            (unsigned long long)t->lost, (unsigned long long)t->duplicated,
            (unsigned long long)t->half, (unsigned long long)t->wrong,
            (unsigned long long)t->problems, (unsigned long long)c->seed);
}

static void test_backup__while_others_write(void **state)
{
    (void)state;
    struct campaign c = {0};
    campaign_begin(&c);
    back_up_for(&c, fault_long() ? 2000 : 1000, fault_long() ? 3600 : 3);
    tell_backups(&c, "backed up");
    assert_true(c.backups > 0 && c.promised > 0);
    assert_int_equal(c.tally.lost + c.tally.duplicated + c.tally.half + c.tally.wrong +
                     c.tally.problems, 0);
    campaign_end(&c);
}

static void test_backup__control_plain_copy(void **state)
{
    (void)state;
    struct campaign c = {.plain_copy = true};
    campaign_begin(&c);
    back_up_for(&c, BACKUPS_PER_STORE, 30);
    tell_backups(&c, "control, the file copied as cp does");
    assert_true(c.tally.lost + c.tally.half + c.tally.problems > 0);
    campaign_end(&c);
}

// Anywhere in what it takes, and every other time towards its end, where names change.
static int64_t kill_time(struct campaign *c)
{
    uint64_t within_us = (uint64_t)(c->took_us + c->took_us / 4 + 1000);
    uint64_t from_us = rand_below(&c->rand.rand, 2) ? within_us / 2 : 0;
    return 1 + (int64_t)(from_us + rand_below(&c->rand.rand, within_us - from_us));
}

// Half of them in the place of a backup that is there.
static void one_kill(struct campaign *c, const char *file, const char *good)
{
    struct stat st;
    bool replace = rand_below(&c->rand.rand, 2) == 0;
    char command[3 * NAME_BYTES];
    unlink(file);
    snprintf(command, sizeof(command), "cp '%s' '%s'", good, file);
    if (replace && system(command) != 0)
        give_up("%s", command);
    uint64_t before = c->tally.problems;
    one_backup(c, file, replace ? PARLEY_COPY_REPLACE : 0, kill_time(c));
    c->kills++;
    if (stat(file, &st) != 0) {
        c->half += replace;
        return;
    }
    empty_copy(c);
    bool whole = run_restore(c, file) == 0 && run_verified_turns(c, &c->copy) > 0;
    c->whole += whole;
    c->half += !whole || c->tally.problems != before;
}

static void test_backup__killed_at_any_microsecond(void **state)
{
    (void)state;
    struct campaign c = {0};
    char file[NAME_BYTES], good[NAME_BYTES];
    int64_t until_us = now_us() + (fault_long() ? 1800 : 3) * 1000000LL;
    uint64_t kills_max = fault_long() ? 5000 : 10000;
    campaign_begin(&c);
    place_path(&c.place, "backup", file);
    place_path(&c.place, "good", good);
    while (c.kills < KILLS_MIN || (c.kills < kills_max && now_us() < until_us)) {
        start_writers(&c);
        let_write(&c, 100);
        if (one_backup(&c, good, PARLEY_COPY_REPLACE, 0) != 0)
            give_up("no backup");
        for (int i = 0; i < KILLS_PER_STORE && (i < KILLS_MIN || now_us() < until_us); i++)
            one_kill(&c, file, good);
        stop_writers(&c);
    }
    // What a killed one left is no hindrance.
    assert_int_equal(one_backup(&c, file, PARLEY_COPY_REPLACE, 0), 0);
    summary("backups killed at any microsecond: %llu kills, %llu whole files, half files %llu "
            "(seed %llu)",
            (unsigned long long)c.kills, (unsigned long long)c.whole, (unsigned long long)c.half,
            (unsigned long long)c.seed);
    assert_int_equal(c.half, 0);
    campaign_end(&c);
}

// ---- restores that are killed

// A store of the first `turns` texts.
static void write_store(struct campaign *c, uint64_t turns)
{
    struct writer_plan plan = {.context = "", .texts = turns};
    bool ready = true;
    struct writer w = writer_start(&c->place, &plan, false);
    while (oracle_listen(&c->oracle, w.notes, -1, &ready))
        continue;
    close(w.notes);
    waitpid(w.pid, NULL, 0);
}

static void prepare_old(struct campaign *c, const char *old)
{
    char command[4 * NAME_BYTES];
    empty_copy(c);
    snprintf(command, sizeof(command), "cp '%s' '%s/db'", old, c->copy.dir);
    if (system(command) != 0)
        give_up("%s", command);
    // Opened and left with a WAL, as a process that was killed leaves it.
    pid_t pid = start();
    if (pid == 0) {
        struct engine_wish wish = {0};
        parley_error error = PARLEY_ERROR_INIT;
        parley *e;
        parley_scope scope = PARLEY_SCOPE_INIT;
        if (place_open(&c->copy, &wish, &e, &error) < 0 ||
            parley_reset(e, &scope, NULL, &error) < 0)
            give_up("old store: %s", error.message);
        parley_event_free(wait_end(e, NULL));
        kill(getpid(), SIGKILL);
    }
    waitpid(pid, NULL, 0);
}

static void one_killed_restore(struct campaign *c, const char *old, const char *file,
                               const int turns[2])
{
    prepare_old(c, old);
    int64_t began_us = now_us();
    pid_t pid = start();
    if (pid == 0)
        _exit(restore(c, file) != 0);
    finish(c, pid, began_us + kill_time(c));
    int now = run_verified_turns(c, &c->copy);
    c->restores++;
    c->old_ones += now == turns[0];
    c->new_ones += now == turns[1];
    c->neither += now != turns[0] && now != turns[1];
}

static void test_restore__killed_at_any_microsecond(void **state)
{
    (void)state;
    struct campaign c = {0};
    char old[NAME_BYTES], file[NAME_BYTES];
    int turns[2];
    int64_t until_us = now_us() + (fault_long() ? 1800 : 3) * 1000000LL;
    uint64_t kills_max = fault_long() ? 5000 : 10000;
    campaign_begin(&c);
    write_store(&c, 100);
    turns[0] = run_verified_turns(&c, &c.place);
    if (one_backup(&c, place_path(&c.place, "old", old), 0, 0) != 0)
        give_up("no backup");
    write_store(&c, 300);
    turns[1] = run_verified_turns(&c, &c.place);
    if (turns[0] <= 0 || turns[1] <= turns[0] ||
        one_backup(&c, place_path(&c.place, "new", file), 0, 0) != 0)
        give_up("no backup");
    prepare_old(&c, old);
    c.took_us = -now_us();
    if (run_restore(&c, file) != 0)
        give_up("no restore");
    c.took_us += now_us();
    while (c.restores < KILLS_MIN || (c.restores < kills_max && now_us() < until_us))
        one_killed_restore(&c, old, file, turns);
    summary("restores killed at any microsecond: %llu kills, the old store %llu times, the new one "
            "%llu; neither %llu (seed %llu)",
            (unsigned long long)c.restores, (unsigned long long)c.old_ones,
            (unsigned long long)c.new_ones, (unsigned long long)c.neither,
            (unsigned long long)c.seed);
    assert_int_equal(c.neither, 0);
    campaign_end(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_backup__while_others_write),
        cmocka_unit_test(test_backup__control_plain_copy),
        cmocka_unit_test(test_backup__killed_at_any_microsecond),
        cmocka_unit_test(test_restore__killed_at_any_microsecond),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
