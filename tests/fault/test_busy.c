// SPDX-License-Identifier: MIT
// Another process holds the store, for about as long as a turn waits for it. A turn gets through,
// or is refused as a failure of the store that may be tried again, and then nothing of it is there
// and no provider was called; sent again with its key it gets through. None is lost, none is there
// twice.
//
// Whether a refusal came too early is no matter of this process's time: the antagonist measures how
// long it held the store, and who was refused although that was less than the limit was refused
// too early.
#include "fault/oracle.h"

#include <sqlite3.h>

enum { TURNS_PER_HOLD = 8, PHASES_MAX = TEXTS / TURNS_PER_HOLD - 1 };

// What the antagonist holds.
enum hold { HOLD_OURS, HOLD_SQLITE, HOLD_BOTH, HOLDS, HOLD_FILE = HOLDS };

struct order {
    enum hold hold;
    int64_t hold_us;  // below 0: until told
};

struct antagonist {
    pid_t pid;
    int orders, answers;
};

// ---- the antagonist's process

static void begin_hold(const struct place *p, enum hold hold, int *lock, sqlite3 **db)
{
    char path[NAME_BYTES];
    struct flock writer = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 1};
    *lock = open(place_path(p, "db-lock", path), O_RDWR | O_CLOEXEC);
    place_path(p, "db", path);
    if (hold != HOLD_SQLITE && hold != HOLD_FILE && fcntl(*lock, F_OFD_SETLKW, &writer) != 0)
        give_up("antagonist: lock file: %s", strerror(errno));
    // As any program that does not know our lock. HOLD_FILE keeps even readers out.
    const char *sql = hold == HOLD_FILE ? "PRAGMA locking_mode=EXCLUSIVE; BEGIN EXCLUSIVE"
                                        : "BEGIN EXCLUSIVE";
    if (hold != HOLD_OURS && (sqlite3_open(path, db) || sqlite3_busy_timeout(*db, WAIT_MS) ||
                              sqlite3_exec(*db, sql, NULL, NULL, NULL)))
        give_up("antagonist: %s", sqlite3_errmsg(*db));
}

static void antagonist_run(const struct place *p, int orders, int answers)
{
    struct order order;
    while (read(orders, &order, sizeof(order)) == sizeof(order)) {
        int lock = -1;
        sqlite3 *db = NULL;
        int64_t held_us = -now_us();
        struct timespec hold = {order.hold_us / 1000000, order.hold_us % 1000000 * 1000};
        begin_hold(p, order.hold, &lock, &db);
        if (write(answers, &held_us, sizeof(held_us)) != sizeof(held_us))
            break;
        if (order.hold_us >= 0)
            nanosleep(&hold, NULL);
        else if (read(orders, &order, sizeof(order)) != sizeof(order))
            break;
        sqlite3_close(db);
        close(lock);
        held_us += now_us();
        if (write(answers, &held_us, sizeof(held_us)) != sizeof(held_us))
            break;
    }
    _exit(0);
}

// ---- the harness's process

static void antagonist_start(struct antagonist *a, const struct place *p)
{
    int orders[2], answers[2];
    fflush(NULL);
    if (pipe(orders) != 0 || pipe(answers) != 0 || (a->pid = fork()) < 0)
        give_up("antagonist: %s", strerror(errno));
    if (a->pid == 0) {
        close(orders[1]);
        close(answers[0]);
        antagonist_run(p, orders[0], answers[1]);
    }
    close(orders[0]);
    close(answers[1]);
    a->orders = orders[1];
    a->answers = answers[0];
}

static void antagonist_stop(struct antagonist *a)
{
    close(a->orders);
    close(a->answers);
    waitpid(a->pid, NULL, 0);
}

static void send_order(struct antagonist *a, struct order order)
{
    if (write(a->orders, &order, sizeof(order)) != sizeof(order))
        give_up("the antagonist is gone");
}

// Its next answer: that it holds, then for how long it did.
static int64_t answer(struct antagonist *a)
{
    int64_t held_us;
    if (read(a->answers, &held_us, sizeof(held_us)) != sizeof(held_us))
        give_up("the antagonist is gone");
    return held_us;
}

struct campaign {
    struct place place;
    struct antagonist antagonist;
    struct oracle o;
    struct rand_sim rand;
    struct tally tally;
    parley *e;
    int limit_ms;          // what is promised …
    int configured_ms;     // … and what the engine is told
    bool count_unsent;     // control: what was only sent counts as accepted
    uint64_t seed, holds, next_text;
    uint64_t through, refused, ends_lost, early, late, called, wrong_code, again_failed;
    int64_t longest_us;
};

struct sending {
    uint64_t request, text;
    int64_t at_us;
    bool over, refused, accepted;
    int code;
};

static void count_call(void *user, const char *provider, const char *body, size_t len)
{
    struct campaign *c = user;
    uint64_t n = text_number(slice_of(body, len));
    (void)provider;
    c->o.entries[n < TEXTS ? n : 0].calls++;
}

static void send_turn(struct campaign *c, struct sending *s, uint64_t n)
{
    char user[16], key[32], words[TEXT_BYTES];
    parley_message m = PARLEY_MESSAGE_INIT;
    parley_error error = PARLEY_ERROR_INIT;
    snprintf(user, sizeof(user), "user-%u", (unsigned)(n % USERS));
    snprintf(key, sizeof(key), "key-%llu", (unsigned long long)n);
    m.user = user;
    m.key = key;
    m.text = text_make(n, words);
    m.provider = text_is_long(n) ? "slow" : "scripted";
    m.flags = PARLEY_CONTINUE;
    *s = (struct sending){.text = n, .at_us = now_us()};
    c->o.entries[n].planned = true;
    c->o.entries[n].accepted |= c->count_unsent;
    if (parley_send(c->e, &m, &s->request, &error) < 0)
        give_up("send: %s", error.message);
}

static void take_error(struct campaign *c, struct sending *s, const parley_event *event)
{
    int64_t took_us = now_us() - s->at_us;
    s->refused = true;
    c->refused++;
    c->longest_us = took_us > c->longest_us ? took_us : c->longest_us;
    c->called += c->o.entries[s->text].calls > 0;
    if (event->code != PARLEY_E_STORE || !strstr(event->text, "busy") ||
        !strstr(event->text, "try again")) {
        fprintf(stderr, "refused with %d: %s\n", event->code, event->text);
        c->wrong_code++;
    }
}

static void take_done(struct campaign *c, struct sending *s, const parley_event *event)
{
    struct entry *entry = &c->o.entries[s->text];
    struct note note = {0};
    note_done(&note, event);
    // Accepted, and its end could not be written in time: recovery settles it.
    if (event->code == PARLEY_E_STORE) {
        c->ends_lost++;
        return;
    }
    entry->done = true;
    memcpy(entry->status, note.status, sizeof(entry->status));
    entry->reply_hash = note.reply_hash;
    c->through += event->code == 0;
}

// Takes events until `want` turns of these are over (or, with accepted, were accepted).
static void take(struct campaign *c, struct sending *sent, size_t len, size_t want, bool accepted)
{
    size_t have = 0;
    for (size_t i = 0; i < len; i++)
        have += accepted ? sent[i].accepted || sent[i].over : sent[i].over;
    while (have < want) {
        parley_event *event = next_event(c->e);
        struct sending *s = sent;
        while (s < sent + len && s->request != event->request)
            s++;
        if (s == sent + len)
            give_up("an event of nobody's");
        bool before = accepted ? s->accepted || s->over : s->over;
        if (event->type == PARLEY_EVENT_ACCEPTED) {
            struct entry *entry = &c->o.entries[s->text];
            s->accepted = entry->accepted = true;
            c->o.acked++;
            entry->turn = event->turn;
            snprintf(entry->session, sizeof(entry->session), "%s", event->session);
        } else if (event->type == PARLEY_EVENT_ERROR) {
            take_error(c, s, event);
        } else if (event->type == PARLEY_EVENT_DONE) {
            take_done(c, s, event);
        }
        s->over |= is_last(event);
        s->code = event->code;
        have += (accepted ? s->accepted || s->over : s->over) && !before;
        parley_event_free(event);
    }
}

// What was refused gets through now, under the same key; what was not is still one turn.
static void send_again(struct campaign *c, const struct sending *before)
{
    struct sending again[TURNS_PER_HOLD];
    for (size_t i = 0; i < TURNS_PER_HOLD; i++)
        send_turn(c, &again[i], before[i].text);
    take(c, again, TURNS_PER_HOLD, TURNS_PER_HOLD, false);
    for (size_t i = 0; i < TURNS_PER_HOLD; i++) {
        // The end of some was lost; they are told as interrupted, and not sent again.
        bool lost_end = before[i].accepted && before[i].code == PARLEY_E_STORE;
        bool right = again[i].accepted && (lost_end || again[i].code == 0);
        c->again_failed += !right || c->o.entries[again[i].text].calls != 1;
    }
}

enum phase { PHASE_UNTIL_TOLD, PHASE_FOR_A_TIME, PHASE_AMID_REPLIES };

static void one_hold(struct campaign *c, enum phase phase, int64_t hold_us)
{
    struct sending sent[TURNS_PER_HOLD];
    struct antagonist *a = &c->antagonist;
    struct order order = {.hold = (enum hold)rand_below(&c->rand.rand, HOLDS), .hold_us = hold_us};
    bool first = phase != PHASE_AMID_REPLIES;
    if (first) {
        send_order(a, order);
        answer(a);
    }
    for (size_t i = 0; i < TURNS_PER_HOLD; i++)
        send_turn(c, &sent[i], c->next_text++);
    if (!first) {
        take(c, sent, TURNS_PER_HOLD, TURNS_PER_HOLD / 2, true);
        send_order(a, order);
        answer(a);
    }
    take(c, sent, TURNS_PER_HOLD, TURNS_PER_HOLD, false);
    if (phase == PHASE_UNTIL_TOLD)
        send_order(a, order);
    int64_t held_us = answer(a);
    for (size_t i = 0; i < TURNS_PER_HOLD; i++) {
        c->early += sent[i].refused && held_us < c->limit_ms * 1000LL;
        c->late += phase == PHASE_UNTIL_TOLD && !sent[i].refused;
    }
    c->holds++;
    if (!c->count_unsent)
        send_again(c, sent);
}

static void campaign_run(struct campaign *c, int64_t seconds, uint64_t holds_max)
{
    char busy[64];
    snprintf(busy, sizeof(busy), "store_busy_ms=%d",
             c->configured_ms ? c->configured_ms : c->limit_ms);
    struct engine_wish wish = {.settings = {busy}, .trace = count_call, .user = c};
    parley_error error = PARLEY_ERROR_INIT;
    c->seed = fault_seed();
    rand_sim_init(&c->rand, c->seed);
    place_make(&c->place);
    oracle_init(&c->o, &c->place);
    antagonist_start(&c->antagonist, &c->place);
    if (place_open(&c->place, &wish, &c->e, &error) < 0)
        give_up("engine: %s", error.message);
    c->next_text = 1;
    int64_t until_us = now_us() + seconds * 1000000;
    for (uint64_t i = 0; now_us() < until_us && i < holds_max && i < PHASES_MAX; i++) {
        int64_t limit_us = c->limit_ms * 1000LL;
        if (i % 4 == 0)
            one_hold(c, PHASE_UNTIL_TOLD, -1);
        else
            one_hold(c, i % 4 == 3 ? PHASE_AMID_REPLIES : PHASE_FOR_A_TIME,
                     limit_us / 2 + (int64_t)rand_below(&c->rand.rand, (uint64_t)limit_us));
    }
    parley_close(c->e);
    antagonist_stop(&c->antagonist);
    oracle_check(&c->place, &c->o, false, 0, &c->tally);
    place_remove(&c->place);
    oracle_release(&c->o);
}

static void tell(const struct campaign *c, const char *what)
{
    const struct tally *t = &c->tally;
    summary("%s: %llu holds around the limit of %d ms, %llu turns through, %llu refused (the "
            "longest waited %lld ms), %llu ends lost; refused too early %llu, not refused %llu, "
            "refused otherwise %llu, called for refused %llu, not through with the same key %llu; "
            "lost %llu, duplicated %llu, half %llu, wrong %llu, sent again %llu, problems %llu "
            "(seed %llu)",
            what, (unsigned long long)c->holds, c->limit_ms, (unsigned long long)c->through,
            (unsigned long long)c->refused, (long long)(c->longest_us / 1000),
            (unsigned long long)c->ends_lost, (unsigned long long)c->early,
            (unsigned long long)c->late, (unsigned long long)c->wrong_code,
            (unsigned long long)c->called, (unsigned long long)c->again_failed,
            (unsigned long long)t->lost, (unsigned long long)t->duplicated,
            (unsigned long long)t->half, (unsigned long long)t->wrong,
            (unsigned long long)t->resent, (unsigned long long)t->problems,
            (unsigned long long)c->seed);
}

static void is_clean(const struct campaign *c)
{
    const struct tally *t = &c->tally;
    assert_true(c->holds > 0 && c->through > 0 && c->refused > 0);
    assert_int_equal(c->early + c->late + c->wrong_code + c->called + c->again_failed, 0);
    assert_int_equal(t->lost + t->duplicated + t->half + t->wrong + t->resent + t->problems, 0);
}

static void test_busy__as_it_is(void **state)
{
    (void)state;
    struct campaign c = {.limit_ms = STORE_BUSY_MS_MAX};
    campaign_run(&c, fault_long() ? 1800 : 4, 10000);
    tell(&c, "busy, as it is");
    is_clean(&c);
}

static void test_busy__often(void **state)
{
    (void)state;
    struct campaign c = {.limit_ms = 100};
    campaign_run(&c, fault_long() ? 1800 : 4, 10000);
    tell(&c, "busy, with little patience");
    is_clean(&c);
}

static void test_busy__control_no_wait(void **state)
{
    (void)state;
    struct campaign c = {.limit_ms = 100, .configured_ms = 1};
    campaign_run(&c, 60, 8);
    tell(&c, "control, without the wait");
    assert_true(c.early > 0);
}

static void test_busy__control_unacknowledged_counted(void **state)
{
    (void)state;
    struct campaign c = {.limit_ms = 50, .count_unsent = true};
    campaign_run(&c, 60, 4);
    tell(&c, "control, what was not acknowledged counted");
    assert_true(c.tally.lost > 0);
}

// Who cannot open the store says so, and can when it is free.
static void test_busy__opening(void **state)
{
    (void)state;
    static const enum hold holds[] = {HOLD_OURS, HOLD_FILE};
    struct campaign c = {0};
    struct engine_wish wish = {.settings = {"store_busy_ms=50"}};
    parley_error error = PARLEY_ERROR_INIT;
    place_make(&c.place);
    antagonist_start(&c.antagonist, &c.place);
    for (size_t i = 0; i < sizeof(holds) / sizeof(holds[0]); i++) {
        assert_int_equal(place_open(&c.place, &wish, &c.e, &error), 0);
        parley_close(c.e);
        send_order(&c.antagonist, (struct order){.hold = holds[i], .hold_us = -1});
        answer(&c.antagonist);
        assert_int_equal(place_open(&c.place, &wish, &c.e, &error), PARLEY_E_STORE);
        assert_non_null(strstr(error.message, "busy"));
        assert_non_null(strstr(error.message, "try again"));
        send_order(&c.antagonist, (struct order){0});
        answer(&c.antagonist);
    }
    assert_int_equal(place_open(&c.place, &wish, &c.e, &error), 0);
    parley_close(c.e);
    antagonist_stop(&c.antagonist);
    place_remove(&c.place);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_busy__as_it_is),
        cmocka_unit_test(test_busy__often),
        cmocka_unit_test(test_busy__control_no_wait),
        cmocka_unit_test(test_busy__control_unacknowledged_counted),
        cmocka_unit_test(test_busy__opening),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
