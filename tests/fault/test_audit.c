// SPDX-License-Identifier: MIT
// The audit trail under faults (FAULTS, security checklist): who notes, feeds and appends is killed
// before and after each operation on the store, and at random; and every record of the trail in a
// store's file is changed, removed, moved, forged or cut off.
//
// Promises: what was acknowledged is in the trail once, what was not once at most; a trail that was
// only killed never alarms; one that was tampered with always does. Controls: without a head nobody
// misses what is cut off; without taken/… a note is an entry twice.
#include "fault/run.h"

#include "unit/trail_kit.h"

#include <signal.h>
#include <sqlite3.h>
#include <sys/mman.h>
#include <sys/wait.h>

enum {
    NOTES = 12, APPENDS = 2, MORE_NOTES = 5, IDS = NOTES + APPENDS + MORE_NOTES,
    STEPS_MAX = 400, LEASE_OVER_MS = 61 * 1000,
    RANDOM_IDS = 1 << 16, NOTES_A_ROUND = 400,
    ROUNDS_A_STORE = 20,
};

// Shared with the children: what was acknowledged.
struct acks {
    uint32_t next;               // id of the next
    uint8_t of[RANDOM_IDS];      // 0: not tried; 1: tried; 2: acknowledged
};

struct score {
    unsigned places, kills, acked, lost, twice, alarms, unclean;
};

static void make_dir(char dir[TRAIL_PATH_BYTES])
{
    snprintf(dir, TRAIL_PATH_BYTES, "%s/parley-audit-XXXXXX",
             access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    if (!mkdtemp(dir))
        give_up("%s: cannot be made", dir);
}

static void remove_dir(const char *dir)
{
    char command[TRAIL_PATH_BYTES + 16];

    snprintf(command, sizeof(command), "rm -rf %s", dir);
    if (system(command) != 0)
        give_up("%s: cannot be removed", dir);
}

static void url_in(const char *dir, const char *options, char out[256])
{
    snprintf(out, 256, "%s%ssqlite:%s/db", options, options[0] ? ";" : "", dir);
}

// ---- what is killed

static void try_note(struct trail_kit *t, struct acks *a, uint32_t id, bool append)
{
    a->of[id] = 1;
    int code = append ? trail_append_one(t, id) : trail_note(t, id % 3, id);
    if (code == E_OK)
        a->of[id] = 2;
}

static void story(struct trail_kit *t, struct acks *a)
{
    uint32_t id = 0;

    while (id < NOTES)
        try_note(t, a, id++, false);
    trail_feed_all(t, NULL);
    while (id < NOTES + APPENDS)
        try_note(t, a, id++, true);
    while (id < IDS)
        try_note(t, a, id++, false);
    trail_feed_all(t, NULL);
}

// False: it came to its end.
static bool run_child(const char *dir, const char *options, struct acks *a)
{
    char url[256];
    int status;

    url_in(dir, options, url);
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        struct trail_kit t;

        trail_open_in(&t, dir, url, 1);
        story(&t, a);
        _exit(0);
    }
    if (pid < 0 || waitpid(pid, &status, 0) != pid)
        give_up("no child");
    if (!WIFSIGNALED(status) && WEXITSTATUS(status) != 0)
        give_up("the child failed");
    return WIFSIGNALED(status);
}

// ---- what must be true afterwards

static void count_ids(struct trail_kit *t, const struct acks *a, uint32_t n, struct score *s)
{
    uint32_t *times = mem_zalloc((n + 1) * sizeof(*times));
    struct trail_counts counts = {.n = n, .times = times};

    trail_counted(t, &counts);
    for (uint32_t i = 0; i < n; i++) {
        s->acked += a->of[i] == 2;
        s->lost += a->of[i] == 2 && times[i] == 0;
        s->twice += times[i] > 1;
    }
    s->unclean += counts.others;
    mem_free(times);
}

// Opens what a dead process left: it does not alarm; and feeding it finishes what was begun.
static void look(const char *dir, const struct acks *a, uint32_t n, int64_t later_ms,
                 struct score *s)
{
    struct trail_kit t;
    char url[256];

    url_in(dir, "", url);
    trail_open_in(&t, dir, url, 2);
    clock_sim_advance(t.k.clock, later_ms);
    if (trail_problems(&t, NULL)) {
        s->alarms++;
        print_error("after a kill: %s", t.report.ptr);
    }
    s->unclean += trail_feed_all(&t, NULL) != E_OK;
    if (trail_problems(&t, NULL)) {
        s->alarms++;
        print_error("after a kill and feeding: %s", t.report.ptr);
    }
    count_ids(&t, a, n, s);
    trail_leave(&t);
}

static struct acks *new_acks(void)
{
    struct acks *a = mmap(NULL, sizeof(*a), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
                          0);
    if (a == MAP_FAILED)
        give_up("no memory");
    return a;
}

static void test_audit__killed_at_each_step(void **state)
{
    static const char *const modes[] = {"crash_before", "crash_after"};
    struct acks *a = new_acks();
    struct score s = {0};
    unsigned step = fault_long() ? 1 : 3;

    (void)state;
    for (int m = 0; m < 2; m++) {
        for (unsigned n = 1 + (unsigned)m; n < STEPS_MAX; n += step) {
            char dir[TRAIL_PATH_BYTES], options[64];

            memset(a->of, 0, IDS);
            make_dir(dir);
            snprintf(options, sizeof(options), "faulty:fail_at=%u,mode=%s", n, modes[m]);
            bool killed = run_child(dir, options, a);
            look(dir, a, IDS, LEASE_OVER_MS, &s);
            remove_dir(dir);
            s.places++;
            s.kills += killed;
            if (!killed)
                break;
        }
    }
    summary("audit, killed before and after each operation on the store: %u places, %u kills, %u "
            "acknowledged; lost %u, twice %u, false alarms %u, unclean %u",
            s.places, s.kills, s.acked, s.lost, s.twice, s.alarms, s.unclean);
    assert_true(s.kills > 20);
    assert_int_equal(s.lost + s.twice + s.alarms + s.unclean, 0);
    munmap(a, sizeof(*a));
}

static void chatter(const char *dir, struct acks *a, unsigned round)
{
    struct trail_kit t;
    char url[256];

    url_in(dir, "", url);
    trail_open_in(&t, dir, url, 1000 + round);
    clock_sim_advance(t.k.clock, (int64_t)LEASE_OVER_MS * 2 * round);
    for (unsigned i = 0; i < NOTES_A_ROUND && a->next < RANDOM_IDS; i++) {
        uint32_t id = a->next++;

        try_note(&t, a, id, i % 10 == 9);
        if (i % 7 == 6)
            trail_feed_all(&t, NULL);
    }
    _exit(0);
}

static void test_audit__killed_at_random(void **state)
{
    unsigned rounds = fault_long() ? 2000 : 40, acked = 0;
    struct acks *a = new_acks();
    uint64_t seed = fault_seed();
    struct rand_sim chance;
    struct score s = {0};
    char dir[TRAIL_PATH_BYTES];
    int status;

    (void)state;
    rand_sim_init(&chance, seed);
    for (unsigned n = 0; n < rounds; n++) {
        unsigned round = n % ROUNDS_A_STORE + 1;

        if (round == 1) {
            if (n)
                remove_dir(dir);
            make_dir(dir);
            acked += s.acked;
            memset(a, 0, sizeof(*a));
        }
        fflush(stdout);
        pid_t pid = fork();
        if (pid == 0)
            chatter(dir, a, round);
        struct timespec wait = {.tv_nsec = (long)rand_below(&chance.rand, 60 * 1000 * 1000)};
        nanosleep(&wait, NULL);
        kill(pid, SIGKILL);
        waitpid(pid, &status, 0);
        s.kills += WIFSIGNALED(status);
        s.acked = 0;
        look(dir, a, a->next, (int64_t)LEASE_OVER_MS * (2 * round + 1), &s);
    }
    remove_dir(dir);
    summary("audit, killed at any moment: %u kills, %u acknowledged; lost %u, twice %u, false "
            "alarms %u, unclean %u (seed %llu)", s.kills, acked + s.acked, s.lost, s.twice,
            s.alarms, s.unclean, (unsigned long long)seed);
    assert_int_equal(s.lost + s.twice + s.alarms + s.unclean, 0);
    munmap(a, sizeof(*a));
}

// ---- tampering

enum { ENTRIES = 40 };
enum tampering {
    CHANGE_MEMBER, CHANGE_BYTE, CHANGE_KEY, DROP_ONE, DROP_SOME, SWAP, CUT_OFF, FORGE, COPY_ON,
    BODY, COUNT, REHASH, TAMPERINGS,
};
static const char *const tampering_words[] = {
    "member", "byte", "key", "removed", "some removed", "swapped", "cut off", "forged", "copied",
    "body", "count", "hashed anew",
};

struct bench {
    struct trail_kit t;
    sqlite3 *raw;
    struct rand_sim chance;
};

__attribute__((format(printf, 2, 3))) static void sql(struct bench *b, const char *fmt, ...)
{
    char *text, *why = NULL;
    va_list ap;

    va_start(ap, fmt);
    text = sqlite3_vmprintf(fmt, ap);
    va_end(ap);
    if (sqlite3_exec(b->raw, text, NULL, NULL, &why) != SQLITE_OK)
        give_up("%s: %s", text, why);
    sqlite3_free(text);
}

static uint32_t draw(struct bench *b, uint32_t n)
{
    return (uint32_t)rand_below(&b->chance.rand, n);
}

static void bench_open(struct bench *b, bool kept, uint64_t seed)
{
    char dir[TRAIL_PATH_BYTES], url[256], path[256];

    make_dir(dir);
    url_in(dir, "", url);
    trail_open_in(&b->t, kept ? dir : "", url, 42);
    for (uint32_t i = 1; i <= ENTRIES / 2; i++)
        trail_append_one(&b->t, i);
    for (uint32_t i = 1; i <= ENTRIES / 2; i++)
        trail_note(&b->t, i % 3, i);
    trail_feed_all(&b->t, NULL);
    trail_sound(&b->t, ENTRIES);
    memcpy(b->t.dir, dir, sizeof(dir));
    rand_sim_init(&b->chance, seed);
    snprintf(path, sizeof(path), "%s/db", dir);
    if (sqlite3_open(path, &b->raw) != SQLITE_OK)
        give_up("%s: cannot be opened", path);
    sqlite3_busy_timeout(b->raw, 10000);
    sql(b, "PRAGMA synchronous=OFF; ATTACH ':memory:' AS saved;"
           "CREATE TABLE saved.records AS SELECT * FROM records;");
}

static void bench_close(struct bench *b)
{
    char dir[TRAIL_PATH_BYTES];

    memcpy(dir, b->t.dir, sizeof(dir));
    sqlite3_close(b->raw);
    trail_leave(&b->t);
    remove_dir(dir);
}

static void put_back(struct bench *b)
{
    sql(b, "BEGIN; DELETE FROM records; INSERT INTO records SELECT * FROM saved.records; COMMIT;");
}

#define ENTRY "key = printf('entry/%%010d', %u)"

// What somebody who has no keyring can do so that the hashes are right again.
static void rehash(struct bench *b, uint32_t n)
{
    char hash[AUDIT_HASH_BYTES], *meta = NULL;
    struct audit_entry e;
    struct buf text = BUF_INIT(4096);
    sqlite3_stmt *st;

    sqlite3_prepare_v2(b->raw, "SELECT meta FROM records WHERE key = printf('entry/%010d', ?1)", -1,
                       &st, NULL);
    sqlite3_bind_int64(st, 1, n);
    if (sqlite3_step(st) == SQLITE_ROW)
        meta = sqlite3_mprintf("%s", (const char *)sqlite3_column_text(st, 0));
    sqlite3_finalize(st);
    if (!meta || audit_entry_read(&e, slice_str(meta), NULL))
        give_up("entry %u: cannot be read", n);
    e.note.count += 1000;
    audit_entry_write(&e, &text);
    vault_hash(buf_slice(&text), hash);
    sql(b, "UPDATE records SET meta = json_set(meta, '$.count', %u, '$.hash', '%s') WHERE " ENTRY,
        e.note.count, hash, n);
    sql(b, "UPDATE records SET meta = json_set(meta, '$.prev', '%s') WHERE " ENTRY, hash, n + 1);
    sqlite3_free(meta);
    buf_release(&text);
}

static void tamper(struct bench *b, enum tampering how, uint32_t n)
{
    static const char *const members[] = {"n", "at", "action", "actor", "count", "prev", "hash",
                                          "sum"};
    uint32_t other = 1 + (n + draw(b, ENTRIES - 1)) % ENTRIES;

    switch (how) {
    case CHANGE_MEMBER:
        sql(b, "UPDATE records SET meta = json_set(meta, '$.%s', '%u') WHERE " ENTRY,
            members[draw(b, 8)], draw(b, 1000), n);
        return;
    case CHANGE_BYTE: {
        uint32_t at = 1 + draw(b, 250);
        sql(b, "UPDATE records SET meta = substr(meta, 1, %u) || char(unicode(substr(meta, %u, 1)) "
               "+ 1) || substr(meta, %u) WHERE " ENTRY " AND length(meta) > %u", at - 1, at, at + 1,
            n, at);
        return;
    }
    case CHANGE_KEY:
        sql(b, "UPDATE records SET key = 'entry/%010u' WHERE " ENTRY, ENTRIES + 2 + draw(b, 9), n);
        return;
    case DROP_ONE:
        sql(b, "DELETE FROM records WHERE " ENTRY, n);
        return;
    case DROP_SOME:
        sql(b, "DELETE FROM records WHERE key >= printf('entry/%%010d', %u) AND "
               "key <= printf('entry/%%010d', %u)", n, n + draw(b, ENTRIES));
        return;
    case SWAP:
        sql(b, "UPDATE records SET key = 'x' WHERE " ENTRY ";", n);
        sql(b, "UPDATE records SET key = printf('entry/%%010d', %u) WHERE " ENTRY, n, other);
        sql(b, "UPDATE records SET key = printf('entry/%%010d', %u) WHERE key = 'x'", other);
        return;
    case CUT_OFF:
        sql(b, "DELETE FROM records WHERE key >= printf('entry/%%010d', %u) AND "
               "key LIKE 'entry/%%'", n);
        return;
    case FORGE:
        sql(b, "INSERT INTO records SELECT NULL, partition_id, printf('entry/%%010d', %u), "
               "version, due_at_ms, count, meta, body FROM records WHERE " ENTRY, ENTRIES + 1, n);
        return;
    case COPY_ON:
        sql(b, "UPDATE records SET meta = (SELECT meta FROM records WHERE " ENTRY ") WHERE " ENTRY,
            other, n);
        return;
    case BODY:
        sql(b, "UPDATE records SET body = x'00' WHERE " ENTRY, n);
        return;
    case COUNT:
        sql(b, "UPDATE records SET count = %u WHERE " ENTRY, 1 + draw(b, 99), n);
        return;
    case REHASH:
        rehash(b, n);
        return;
    case TAMPERINGS:
        break;
    }
    give_up("no such tampering");
}

// Whether what is stored is other than it was.
static bool changed(struct bench *b)
{
    sqlite3_stmt *st;

    sqlite3_prepare_v2(b->raw, "SELECT count(*) FROM (SELECT key, meta, body, count FROM records "
                       "EXCEPT SELECT key, meta, body, count FROM saved.records) UNION ALL SELECT "
                       "count(*) FROM (SELECT key FROM saved.records EXCEPT SELECT key FROM "
                       "records)", -1, &st, NULL);
    bool differs = false;
    while (sqlite3_step(st) == SQLITE_ROW)
        differs |= sqlite3_column_int(st, 0) > 0;
    sqlite3_finalize(st);
    return differs;
}

static void test_audit__tampering_is_told(void **state)
{
    unsigned random_ones = fault_long() ? 10000 : 300, done = 0, missed = 0, same = 0;
    uint64_t seed = fault_seed();
    struct bench b;

    (void)state;
    bench_open(&b, true, seed);
    // Each of them to each record, or in short to some; then at random.
    unsigned each = fault_long() ? ENTRIES : 4;
    for (unsigned i = 0; i < each * TAMPERINGS + random_ones; i++) {
        bool random = i >= each * TAMPERINGS;
        enum tampering how = random ? draw(&b, TAMPERINGS) : i % TAMPERINGS;
        uint32_t n = random || each < ENTRIES ? 1 + draw(&b, ENTRIES) : 1 + i / TAMPERINGS;

        tamper(&b, how, n);
        if (!changed(&b)) {
            same++;
            continue;
        }
        done++;
        if (trail_problems(&b.t, NULL) == 0) {
            missed++;
            print_error("not told: entry %u, %s\n", n, tampering_words[how]);
        }
        put_back(&b);
    }
    trail_sound(&b.t, ENTRIES);
    summary("audit, tampered with: %u times a record of %u entries changed, removed, moved, forged "
            "or cut off, each way and at random; not told %u, %u without effect (seed %llu)", done,
            ENTRIES, missed, same, (unsigned long long)seed);
    assert_int_equal(missed, 0);
    assert_true(done >= random_ones);
    bench_close(&b);
}

static void test_audit__control_without_a_head(void **state)
{
    unsigned cut = 0, missed = 0;
    struct bench b;

    (void)state;
    bench_open(&b, false, fault_seed());
    for (uint32_t n = 2; n <= ENTRIES; n += 3) {
        tamper(&b, CUT_OFF, n);
        cut++;
        missed += trail_problems(&b.t, NULL) == 0;
        put_back(&b);
    }
    summary("control, without a head: %u times cut off, not told %u", cut, missed);
    assert_int_equal(missed, cut);
    bench_close(&b);
}

// What would be if nothing said which notes are in the trail already.
static void test_audit__control_without_marks(void **state)
{
    struct acks *a = new_acks();
    struct score s = {0};

    (void)state;
    for (unsigned n = 1; n < STEPS_MAX && !s.twice; n++) {
        char dir[TRAIL_PATH_BYTES], options[64], path[256];
        sqlite3 *db;

        memset(a->of, 0, IDS);
        make_dir(dir);
        snprintf(options, sizeof(options), "faulty:fail_at=%u,mode=crash_after", n);
        bool killed = run_child(dir, options, a);
        snprintf(path, sizeof(path), "%s/db", dir);
        if (sqlite3_open(path, &db) == SQLITE_OK)
            sqlite3_exec(db, "DELETE FROM records WHERE key LIKE 'taken/%'", NULL, NULL, NULL);
        sqlite3_close(db);
        look(dir, a, IDS, LEASE_OVER_MS, &s);
        remove_dir(dir);
        if (!killed)
            break;
        s.kills++;
    }
    summary("control, without what says which notes were taken: twice %u", s.twice);
    assert_true(s.twice > 0);
    munmap(a, sizeof(*a));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_audit__killed_at_each_step),
        cmocka_unit_test(test_audit__killed_at_random),
        cmocka_unit_test(test_audit__tampering_is_told),
        cmocka_unit_test(test_audit__control_without_a_head),
        cmocka_unit_test(test_audit__control_without_marks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
