// SPDX-License-Identifier: MIT
// A process that dies while summaries are made: before, or just after, each single operation on its
// store, and at any microsecond of a slow call. Whoever opens the store next must find every turn
// that was acknowledged, once; every call that was sent as an attempt, settled; and must never send
// a word of a turn that was taken back, which a summary may have held.
#include "fault/harness.h"

#include <sqlite3.h>

// A conversation of BEFORE turns; UNDONE of them are taken back, one by one; then AFTER more.
enum { OPS_MAX = 900, BEFORE = 6, UNDONE = 4, AFTER = 6, SAID = BEFORE + AFTER };

// What the process that died had acknowledged, and sent.
struct noted {
    int said, undone;
    int replies, summaries;  // requests
};

struct figures {
    int places, cut_short, said, lost, twice, leaked, unrecorded, open, problems, summed;
};

static void make_place(struct place *place)
{
    place_make_light(place);
    place_write(place, "policies/fault.lua",
                "local history = require \"parley.history\"\n"
                "return { system = \"S\", history = history.summarise { keep_turns = 2, "
                "slack_turns = 2, summary_tokens = 60 } }\n");
}

static bool is_for_summary(const char *body, size_t len)
{
    return memmem(body, len, "<conversation>", strlen("<conversation>")) != NULL;
}

static void note(int notes, char what)
{
    if (write(notes, &what, 1) != 1)
        give_up("note: %s", strerror(errno));
}

static void note_request(void *user, const char *provider, const char *body, size_t len)
{
    (void)provider;
    note(*(const int *)user, is_for_summary(body, len) ? 's' : 'r');
}

static bool say(parley *e, int n)
{
    parley_message m = PARLEY_MESSAGE_INIT;
    parley_error error = PARLEY_ERROR_INIT;
    char text[64];
    uint64_t request;
    snprintf(text, sizeof(text), "mark #%d is said.", n);
    m.user = "ann";
    m.flags = PARLEY_CONTINUE;
    m.text = text;
    int code = parley_send(e, &m, &request, &error);
    if (code == PARLEY_E_NOMEM)
        return false;
    if (code < 0)
        give_up("send: %s", error.message);
    parley_event *event = wait_end(e, NULL);
    bool well = event->type == PARLEY_EVENT_DONE && event->code == PARLEY_OK;
    parley_event_free(event);
    return well;
}

static bool undo(parley *e)
{
    parley_scope scope = PARLEY_SCOPE_INIT;
    parley_error error = PARLEY_ERROR_INIT;
    uint64_t request;
    scope.user = "ann";
    scope.flags = PARLEY_CONTINUE;
    if (parley_undo(e, &scope, &request, &error) < 0)
        give_up("undo: %s", error.message);
    parley_event *event = wait_end(e, NULL);
    bool well = event->type == PARLEY_EVENT_RESULT;
    parley_event_free(event);
    return well;
}

static void speak(const struct place *place, const struct engine_wish *wish, int notes)
{
    struct engine_wish own = *wish;
    parley_error error = PARLEY_ERROR_INIT;
    parley *e;
    own.trace = note_request;
    own.user = &notes;
    if (place_open(place, &own, &e, &error) < 0)
        give_up("speaker: %s", error.message);
    for (int n = 1; n <= SAID; n++) {
        if (say(e, n))
            note(notes, 'd');
        for (int i = 0; n == BEFORE && i < UNDONE; i++) {
            if (undo(e))
                note(notes, 'u');
        }
    }
    parley_close(e);
    _exit(0);
}

static pid_t start(const struct place *place, const struct engine_wish *wish, int *notes)
{
    int ends[2];
    fflush(NULL);
    pid_t pid = pipe(ends) == 0 ? fork() : -1;
    if (pid < 0)
        give_up("speaker: %s", strerror(errno));
    if (pid == 0) {
        close(ends[0]);
        speak(place, wish, ends[1]);
    }
    close(ends[1]);
    *notes = ends[0];
    return pid;
}

// To its end; whether that was SIGKILL.
static bool listen_to_end(pid_t pid, int notes, struct noted *noted)
{
    char what;
    int status;
    while (read(notes, &what, 1) == 1) {
        noted->said += what == 'd';
        noted->undone += what == 'u';
        noted->replies += what == 'r';
        noted->summaries += what == 's';
    }
    close(notes);
    waitpid(pid, &status, 0);
    if (!WIFSIGNALED(status) && status != 0)
        give_up("speaker: ended with %d", status);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
}

// ---- judging

static int64_t sql(const struct place *place, const char *text)
{
    char path[NAME_BYTES];
    sqlite3 *db = NULL;
    sqlite3_stmt *stmt = NULL;
    int64_t n = -1;
    if (sqlite3_open(place_path(place, "db", path), &db) != SQLITE_OK ||
        sqlite3_prepare_v2(db, text, -1, &stmt, NULL) != SQLITE_OK)
        give_up("sql: %s", sqlite3_errmsg(db));
    if (sqlite3_step(stmt) == SQLITE_ROW)
        n = sqlite3_column_int64(stmt, 0);
    sqlite3_finalize(stmt);
    sqlite3_close(db);
    return n;
}

static int occurrences(const char *text, const char *word)
{
    int n = 0;
    for (const char *at = text; (at = strstr(at, word)); at++)
        n++;
    return n;
}

static void judge_turns(parley *e, const struct noted *noted, struct figures *f)
{
    parley_scope scope = PARLEY_SCOPE_INIT;
    parley_error error = PARLEY_ERROR_INIT;
    uint64_t request;
    scope.user = "ann";
    scope.flags = PARLEY_CONTINUE;
    if (parley_show(e, &scope, &request, &error) < 0)
        give_up("show: %s", error.message);
    parley_event *event = wait_end(e, NULL);
    for (int n = 1; n <= noted->said; n++) {
        char mark[64];
        snprintf(mark, sizeof(mark), "mark #%d is said.", n);
        int times = event->type == PARLEY_EVENT_RESULT ? occurrences(event->json, mark) : 0;
        f->lost += times < 1;
        f->twice += times > 1;
        f->said++;
    }
    parley_event_free(event);
}

struct watch {
    const struct noted *noted;
    struct figures *f;
};

// "#6", but not the beginning of "#61".
static bool names(const char *body, size_t len, int n)
{
    char mark[16];
    int size = snprintf(mark, sizeof(mark), "#%d", n);
    for (const char *at = body, *end = body + len;
         (at = memmem(at, (size_t)(end - at), mark, (size_t)size)); at++) {
        if (at + size == end || at[size] < '0' || at[size] > '9')
            return true;
    }
    return false;
}

static void watch_request(void *user, const char *provider, const char *body, size_t len)
{
    const struct watch *w = user;
    (void)provider;
    w->f->summed += memmem(body, len, "<summary>", strlen("<summary>")) != NULL;
    for (int i = 0; i < w->noted->undone; i++)
        w->f->leaked += names(body, len, BEFORE - i);
}

// Goes on with the conversation, so that summaries are found, left and made.
static void judge(const struct place *place, const struct noted *noted, struct figures *f)
{
    struct watch watch = {noted, f};
    struct engine_wish wish = {.trace = watch_request, .user = &watch};
    parley_error error = PARLEY_ERROR_INIT;
    parley *e;
    if (place_open(place, &wish, &e, &error) < 0)
        give_up("judge: %s", error.message);
    int64_t recorded = sql(place, "SELECT count(*) FROM records WHERE key LIKE 'attempt/%' AND "
                                  "json_extract(meta, '$.kind') = 'summary' AND "
                                  "json_extract(meta, '$.status') <> 'unused'");
    f->unrecorded += recorded < noted->summaries;
    f->open += (int)sql(place, "SELECT count(*) FROM records WHERE key LIKE 'attempt/%' AND "
                               "json_extract(meta, '$.status') = 'open'");
    if (noted->said)
        judge_turns(e, noted, f);
    for (int n = 0; n < 6; n++)
        f->problems += !say(e, 100 + n);
    f->problems += verify_problems(e) != 0;
    parley_close(e);
}

static bool is_clean(const struct figures *f)
{
    return f->lost + f->twice + f->leaked + f->unrecorded + f->open + f->problems == 0;
}

static void tell(const char *what, const struct figures *f, uint64_t seed)
{
    summary("%s: %d deaths, %d amid a call for a summary, %d acknowledged; lost %d, twice %d, "
            "words of undone turns sent %d, calls without an attempt %d, attempts left open %d, "
            "problems %d; %d requests had a summary (seed %llu)",
            what, f->places, f->cut_short, f->said, f->lost, f->twice, f->leaked, f->unrecorded,
            f->open, f->problems, f->summed, (unsigned long long)seed);
}

// ---- at every operation

static void crash_everywhere(const char *mode, struct figures *f)
{
    struct place place;
    make_place(&place);
    for (int n = 1; n < OPS_MAX; n += fault_long() ? 1 : 7) {
        char store[NAME_BYTES + 80];
        struct engine_wish wish = {.store = store};
        struct noted noted = {0};
        int notes;
        place_clean(&place);
        snprintf(store, sizeof(store), "faulty:fail_at=%d,mode=%s;sqlite:%s/db", n, mode,
                 place.dir);
        pid_t pid = start(&place, &wish, &notes);
        bool killed = listen_to_end(pid, notes, &noted);
        judge(&place, &noted, f);
        if (!killed)
            break;
        f->places++;
    }
    place_remove(&place);
}

static void test_summary__crash_at_every_operation(void **state)
{
    (void)state;
    struct figures f = {0};
    crash_everywhere("crash_before", &f);
    crash_everywhere("crash_after", &f);
    tell("summaries, a crash before and after operations on the store", &f, 0);
    assert_true(f.places > 20 && f.summed > 0);
    assert_true(is_clean(&f));
}

// ---- at any microsecond

// Until the n-th request for a summary went out, and a moment longer.
static bool kill_amid(const struct place *place, const struct rand *r, struct noted *noted)
{
    struct engine_wish wish = {.provider = "slow"};
    uint32_t wanted = 1 + (uint32_t)rand_below(r, 3);
    char what;
    int notes;
    pid_t pid = start(place, &wish, &notes);
    while ((uint32_t)noted->summaries < wanted && read(notes, &what, 1) == 1) {
        noted->said += what == 'd';
        noted->undone += what == 'u';
        noted->replies += what == 'r';
        noted->summaries += what == 's';
    }
    int64_t until_us = now_us() + (int64_t)rand_below(r, 4000);
    while (now_us() < until_us)
        continue;
    kill(pid, SIGKILL);
    return listen_to_end(pid, notes, noted);
}

static void test_summary__killed_amid_a_call(void **state)
{
    (void)state;
    uint64_t seed = fault_seed();
    int64_t until_us = now_us() + (fault_long() ? 600 : 4) * (int64_t)1000000;
    struct rand_sim rand;
    struct place place;
    struct figures f = {0};
    rand_sim_init(&rand, seed);
    make_place(&place);
    while (now_us() < until_us || f.places < 5) {
        struct noted noted = {0};
        place_clean(&place);
        f.places += kill_amid(&place, &rand.rand, &noted);
        int64_t lost = sql(&place, "SELECT count(*) FROM records WHERE key LIKE 'attempt/%' AND "
                                   "json_extract(meta, '$.kind') = 'summary' AND "
                                   "json_extract(meta, '$.status') = 'open'");
        f.cut_short += lost > 0;
        judge(&place, &noted, &f);
    }
    tell("summaries, killed at any microsecond", &f, seed);
    assert_true(f.cut_short > 0 && f.summed > 0);
    assert_true(is_clean(&f));
    place_remove(&place);
}

// ---- the beginning of requests

// A conversation in simulated time, and its requests so far.
struct talk {
    struct place place;
    struct clock_sim clock;
    struct rand_sim rand;
    struct engine_seams seams;
    struct store *hold;      // keeps the memory store while no engine is open
    parley *engine;
    struct buf before, now;  // bodies of the turns' requests
    bool begins_anew;        // something was taken back since
    bool recalls;
};

struct beginnings {
    uint64_t turns, same, moved, summed, differ_when_moved, wrong;
};

static void keep_request(void *user, const char *provider, const char *body, size_t len)
{
    struct talk *t = user;
    (void)provider;
    if (is_for_summary(body, len))
        return;
    buf_clear(&t->now);
    buf_add(&t->now, body, len);
}

static void talk_open(struct talk *t)
{
    char store[64], keyring[NAME_BYTES + 16];
    struct engine_wish wish = {.store = store,
                               .settings = {keyring},
                               .trace = keep_request,
                               .user = t,
                               .seams = &t->seams};
    struct store_env env = {.clock = &t->clock.clock, .rand = &t->rand.rand};
    parley_error error = PARLEY_ERROR_INIT;
    snprintf(store, sizeof(store), "memory:summary-%p", (void *)t);
    snprintf(keyring, sizeof(keyring), "keyring=%s/keys", t->place.dir);
    if (!t->hold && store_open(&t->hold, store, &env, NULL))
        give_up("talk: no store");
    t->seams = (struct engine_seams){.clock = &t->clock, .rand = &t->rand.rand, .user = t};
    if (place_open(&t->place, &wish, &t->engine, &error) < 0)
        give_up("talk: %s", error.message);
}

static bool cut_moved(parley *e)
{
    parley_scope scope = PARLEY_SCOPE_INIT;
    parley_error error = PARLEY_ERROR_INIT;
    uint64_t request;
    scope.user = "ann";
    scope.flags = PARLEY_CONTINUE;
    if (parley_why(e, &scope, 0, &request, &error) < 0)
        give_up("why: %s", error.message);
    parley_event *event = wait_end(e, NULL);
    bool moved = strstr(event->json, "\"cut_moved\":true") != NULL;
    parley_event_free(event);
    return moved;
}

// A mark of the cache may stand elsewhere; it is not cached itself.
static void without_marks(struct slice message, struct buf *out)
{
    static const char mark[] = ",\"cache_control\":{\"type\":\"ephemeral\"}";
    const char *at = message.ptr, *end = at + message.len, *next;
    buf_clear(out);
    while ((next = memmem(at, (size_t)(end - at), mark, sizeof(mark) - 1))) {
        buf_add(out, at, (size_t)(next - at));
        at = next + sizeof(mark) - 1;
    }
    buf_add(out, at, (size_t)(end - at));
}

// Whether the messages before begin the messages now; the last one too, unless what was recalled
// stood in it.
static bool begins_with(struct talk *t)
{
    struct json_doc before = JSON_DOC_INIT, now = JSON_DOC_INIT;
    struct buf a = BUF_INIT(1 << 20), b = BUF_INIT(1 << 20);
    if (json_parse(&before, buf_slice(&t->before), 0, NULL) ||
        json_parse(&now, buf_slice(&t->now), 0, NULL))
        give_up("a request is no JSON");
    struct json old = json_get(json_root(&before), "messages");
    struct json new = json_get(json_root(&now), "messages");
    uint32_t len = json_count(old) - t->recalls;
    bool same = json_count(new) >= len;
    for (uint32_t i = 0; i < len && same; i++) {
        without_marks(json_raw(json_at(old, i)), &a);
        without_marks(json_raw(json_at(new, i)), &b);
        same = slice_eq(buf_slice(&a), buf_slice(&b));
    }
    json_doc_release(&before);
    json_doc_release(&now);
    buf_release(&a);
    buf_release(&b);
    return same;
}

static void one_turn(struct talk *t, int n, struct beginnings *f)
{
    assert_true(say(t->engine, n));
    bool moved = cut_moved(t->engine), same = t->before.len && begins_with(t);
    f->turns++;
    f->moved += moved;
    f->summed += memmem(t->now.ptr, t->now.len, "<summary>", strlen("<summary>")) != NULL;
    if (t->before.len && !t->begins_anew && !moved) {
        f->same += same;
        f->wrong += !same;
    }
    f->differ_when_moved += t->before.len && moved && !same;
    t->begins_anew = false;
    struct buf old = t->before;
    t->before = t->now;
    t->now = old;
}

static void one_talk(struct talk *t, uint64_t seed, struct beginnings *f)
{
    const struct rand *r = &t->rand.rand;
    char policy[512];
    rand_sim_init(&t->rand, seed);
    clock_sim_init(&t->clock, 1700000000000);
    make_place(&t->place);
    t->recalls = rand_below(r, 2);
    snprintf(policy, sizeof(policy),
             "return { system = \"S\", history = require(\"parley.history\").%s { keep_turns = %d, "
             "slack_turns = %d, summary_tokens = %d, model = \"%s:m\"%s } }\n",
             t->recalls ? "hybrid" : "summarise", 1 + (int)rand_below(r, 3),
             1 + (int)rand_below(r, 4), 20 + (int)rand_below(r, 40),
             rand_below(r, 2) ? "slow" : "scripted", t->recalls ? ", recall = 1" : "");
    place_write(&t->place, "policies/fault.lua", policy);
    buf_init(&t->before, 1 << 20);
    buf_init(&t->now, 1 << 20);
    talk_open(t);
    for (int n = 1; n <= 30; n++) {
        uint64_t dice = rand_below(r, 12);
        one_turn(t, n, f);
        if (dice == 0 && undo(t->engine))
            t->begins_anew = true;
        if (dice == 1) {
            parley_close(t->engine);
            talk_open(t);
        }
    }
    parley_close(t->engine);
    store_free(t->hold);
    buf_release(&t->before);
    buf_release(&t->now);
    place_remove(&t->place);
}

// From turn to turn a request begins with the bytes of the one before, until the cut moves:
// whatever summaries come in between, early or late, also after a restart.
static void test_summary__requests_begin_alike(void **state)
{
    (void)state;
    uint64_t seed = fault_seed();
    struct beginnings f = {0};
    for (int i = 0; i < (fault_long() ? 500 : 12); i++) {
        static struct talk t;
        memset(&t, 0, sizeof(t));
        one_talk(&t, seed + (uint64_t)i, &f);
    }
    summary("summaries, requests of %llu turns: %llu begin as the one before, %llu do not though "
            "the cut stood still; the cut moved %llu times (then %llu differ); %llu had a summary "
            "(seed %llu)",
            (unsigned long long)f.turns, (unsigned long long)f.same, (unsigned long long)f.wrong,
            (unsigned long long)f.moved, (unsigned long long)f.differ_when_moved,
            (unsigned long long)f.summed, (unsigned long long)seed);
    assert_int_equal(f.wrong, 0);
    // The comparison sees what differs.
    assert_true(f.same > 0 && f.summed > 0 && f.differ_when_moved > 0);
}

// ---- without memory

// The n-th allocation from the turn on after which a summary is made fails. The turn may say so;
// whatever happened, the session goes on. How many allocations there were.
static uint64_t without_memory_at(struct talk *t, uint64_t n, struct figures *f)
{
    memset(t, 0, sizeof(*t));
    rand_sim_init(&t->rand, 5);
    clock_sim_init(&t->clock, 1700000000000);
    make_place(&t->place);
    buf_init(&t->now, 1 << 20);
    talk_open(t);
    for (int i = 1; i < 4; i++)
        assert_true(say(t->engine, i));
    uint64_t before = mem_count();
    mem_fail_at(n, 0);
    f->said += say(t->engine, 4);
    loop_run_for(t->engine->hands[0].loop, 1000);
    mem_fail_at(0, 0);
    uint64_t made = mem_count() - before;
    f->lost += !say(t->engine, 5) + !say(t->engine, 6) + !say(t->engine, 7);
    f->summed += memmem(t->now.ptr, t->now.len, "<summary>", strlen("<summary>")) != NULL;
    f->problems += verify_problems(t->engine) != 0;
    parley_close(t->engine);
    store_free(t->hold);
    buf_release(&t->now);
    place_remove(&t->place);
    return made;
}

static void test_summary__no_memory(void **state)
{
    (void)state;
    static struct talk t;
    struct figures f = {0};
    uint64_t made = without_memory_at(&t, 0, &f);
    for (uint64_t n = 1; n <= made; n += fault_long() ? 1 : 3, f.places++)
        without_memory_at(&t, n, &f);
    summary("summaries, without memory for one of %llu allocations: %d tries, %d of the turns came "
            "through; later turns that did not %d, problems %d",
            (unsigned long long)made, f.places, f.said, f.lost, f.problems);
    assert_true(f.places > 20 && f.summed > f.places / 3);
    assert_int_equal(f.lost + f.problems, 0);
}

// ---- negative controls

// Attempts that are not in the store, as if they were not committed before they were sent, and
// turns that were taken back although the store knows nothing of it, are found.
static void test_summary__controls(void **state)
{
    (void)state;
    struct place place;
    struct engine_wish wish = {0};
    struct noted noted = {0}, more;
    struct figures f = {0};
    int notes;
    make_place(&place);
    pid_t pid = start(&place, &wish, &notes);
    assert_false(listen_to_end(pid, notes, &noted));
    assert_int_equal(noted.said, SAID);
    assert_int_equal(noted.undone, UNDONE);
    assert_true(noted.summaries >= 2);
    judge(&place, &noted, &f);
    assert_true(is_clean(&f));
    more = noted;
    more.undone = BEFORE;  // the first ones were not
    judge(&place, &more, &f);
    assert_true(f.leaked > 0);
    sql(&place, "DELETE FROM records WHERE key LIKE 'attempt/%' AND "
                "json_extract(meta, '$.kind') = 'summary'");
    judge(&place, &noted, &f);
    assert_true(f.unrecorded > 0);
    place_remove(&place);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_summary__crash_at_every_operation),
        cmocka_unit_test(test_summary__killed_amid_a_call),
        cmocka_unit_test(test_summary__requests_begin_alike),
        cmocka_unit_test(test_summary__no_memory),
        cmocka_unit_test(test_summary__controls),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
