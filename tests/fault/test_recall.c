// SPDX-License-Identifier: MIT
// A process that dies before, or just after, each single operation on its store while what was
// said is indexed: conversations come in, are asked for, become segments, are merged, and a turn is
// taken back. Whoever opens the store next must find every turn that was acknowledged, once, and
// not the one that was taken back. The same with embeddings, which are calls that cost: none of
// them may stay open, nor go without its record.
#include "fault/harness.h"

#include <sqlite3.h>

enum { OPS_MAX = 600, TALKS = 5, TURNS = 40, SAMPLE = 13 };

// What the process that died had acknowledged.
struct acked {
    int talks;
    bool undone;
};

struct figures {
    int places, asked, lost, twice, back, problems;
    int open, stay_open;  // calls after the crash, and after the next engine
    int anew;             // indexes that could not be read: none is, but after damage
};

static const char *const embeds[] = {"embeddings.provider=scripted", NULL};
static const char *const by_words[] = {NULL};

static void make_place(struct place *place)
{
    place_make_light(place);
    place_write(place, "policies/fault.lua",
                "local history = require \"parley.history\"\n"
                "return { history = history.recall { k = 2, keep_turns = 1 } }\n");
}

static void say_talk(struct buf *out, int talk)
{
    buf_clear(out);
    buf_add_str(out, "{\"user\":\"ann\",\"messages\":[");
    for (int t = 0; t < TURNS; t++)
        buf_addf(out, "%s{\"role\":\"user\",\"content\":\"mark%dx%d and words\"},"
                 "{\"role\":\"assistant\",\"content\":\"heard %d\"}", t ? "," : "", talk, t, t);
    buf_add_str(out, "]}");
}

static struct parley_event *ask_recall(parley *e, const char *query, unsigned k)
{
    parley_scope scope = PARLEY_SCOPE_INIT;
    parley_error error = PARLEY_ERROR_INIT;
    uint64_t request;
    scope.user = "ann";
    if (parley_recall(e, &scope, query, k, &request, &error) < 0)
        give_up("recall: %s", error.message);
    return wait_end(e, NULL);
}

// How many messages with this word come back; -1: it could not be asked.
static int found(parley *e, const char *word)
{
    parley_event *event = ask_recall(e, word, 20);
    struct json_doc doc = JSON_DOC_INIT;
    struct json_iter it = {0};
    struct json row;
    struct buf text = BUF_INIT(1 << 16);
    char whole[64];
    int n = event->type == PARLEY_EVENT_RESULT ? 0 : -1;
    snprintf(whole, sizeof(whole), "%s and words", word);
    if (n == 0 && json_parse(&doc, slice_str(event->json), 0, NULL) == E_OK) {
        while (json_next(json_root(&doc), &it, NULL, &row)) {
            buf_clear(&text);
            json_string(json_get(row, "text"), &text);
            n += slice_is(buf_slice(&text), whole);
        }
    }
    if (n < 0)
        fprintf(stderr, "recall: %s\n", event->text);
    json_doc_release(&doc);
    buf_release(&text);
    parley_event_free(event);
    return n;
}

static bool went_well(parley *e)
{
    parley_event *event = wait_end(e, NULL);
    bool well = event->type != PARLEY_EVENT_ERROR && event->code == PARLEY_OK;
    parley_event_free(event);
    return well;
}

static void acknowledge(int notes, char what)
{
    if (write(notes, &what, 1) != 1)
        give_up("note: %s", strerror(errno));
}

static void speak(const struct place *place, const char *store, const char *const *settings,
                  int notes)
{
    struct engine_wish wish = {.store = store, .settings = {settings[0]}};
    parley_scope scope = PARLEY_SCOPE_INIT;
    parley_message m = PARLEY_MESSAGE_INIT;
    parley_error error = PARLEY_ERROR_INIT;
    struct buf json = BUF_INIT(1 << 20);
    uint64_t request;
    parley *e;
    if (place_open(place, &wish, &e, &error) < 0)
        give_up("speaker: %s", error.message);
    for (int talk = 0; talk < TALKS; talk++) {
        say_talk(&json, talk);
        if (parley_import(e, json.ptr, json.len, &request, &error) < 0)
            give_up("import: %s", error.message);
        if (went_well(e))
            acknowledge(notes, 'i');
        // What is asked brings the index up to date; writing it follows.
        parley_event_free(ask_recall(e, "words", 1));
    }
    scope.user = m.user = "ann";
    scope.flags = m.flags = PARLEY_CONTINUE;
    m.text = "mark5x0 and words";
    if (parley_send(e, &m, &request, &error) < 0)
        give_up("send: %s", error.message);
    went_well(e);
    parley_event_free(ask_recall(e, "words", 1));
    if (parley_undo(e, &scope, &request, &error) < 0)
        give_up("undo: %s", error.message);
    if (went_well(e))
        acknowledge(notes, 'u');
    parley_close(e);
    buf_release(&json);
    _exit(0);
}

// Whether it was killed at its n-th operation.
static bool crashes_with(const struct place *place, const char *mode, int n,
                         const char *const *settings, struct acked *acked)
{
    char store[NAME_BYTES + 80], what;
    int notes[2], status;
    *acked = (struct acked){0};
    snprintf(store, sizeof(store), "faulty:fail_at=%d,mode=%s;sqlite:%s/db", n, mode, place->dir);
    fflush(NULL);
    pid_t pid = pipe(notes) == 0 ? fork() : -1;
    if (pid < 0)
        give_up("recall: %s", strerror(errno));
    if (pid == 0) {
        close(notes[0]);
        speak(place, store, settings, notes[1]);
    }
    close(notes[1]);
    while (read(notes[0], &what, 1) == 1) {
        acked->talks += what == 'i';
        acked->undone |= what == 'u';
    }
    close(notes[0]);
    waitpid(pid, &status, 0);
    if (!WIFSIGNALED(status) && status != 0)
        give_up("recall: operation %d, mode %s: ended with %d", n, mode, status);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
}

static bool crashes(const struct place *place, const char *mode, int n, struct acked *acked)
{
    return crashes_with(place, mode, n, by_words, acked);
}

// Runs a statement on the store; its first column, or -1.
static int64_t sql(const struct place *place, const char *text)
{
    char path[NAME_BYTES];
    sqlite3 *db = NULL;
    sqlite3_stmt *stmt = NULL;
    int64_t n = -1;
    if (sqlite3_open(place_path(place, "db", path), &db) != SQLITE_OK)
        give_up("sql: %s", sqlite3_errmsg(db));
    // A crash before the store was made leaves no table.
    if (sqlite3_prepare_v2(db, text, -1, &stmt, NULL) == SQLITE_OK &&
        sqlite3_step(stmt) == SQLITE_ROW)
        n = sqlite3_column_int64(stmt, 0);
    sqlite3_finalize(stmt);
    sqlite3_close(db);
    return n;
}

// Calls for embeddings whose end nobody has written.
static int open_calls(const struct place *place)
{
    int64_t n = sql(place, "SELECT count(*) FROM records WHERE key LIKE 'attempt/%' AND "
                           "json_extract(meta, '$.kind') = 'embedding' AND "
                           "json_extract(meta, '$.status') = 'open'");
    return n > 0 ? (int)n : 0;
}

// What is wrong beside the records that a half import leaves behind, as the import says.
static int problems(parley *e)
{
    parley_event *event = ask_verify(e);
    struct json_doc doc = JSON_DOC_INIT;
    int n = -1;
    if (event->type == PARLEY_EVENT_RESULT &&
        json_parse(&doc, slice_str(event->json), 0, NULL) == E_OK) {
        struct json root = json_root(&doc);
        n = (int)json_count(json_get(root, "problems")) -
            (int)json_i64(json_get(root, "orphans"), 0);
    }
    if (n)
        fprintf(stderr, "verify: %s\n", event->json ? event->json : event->text);
    json_doc_release(&doc);
    parley_event_free(event);
    return n;
}

// Opens what is left, twice: what the first one writes is what the second one finds.
static void on_log(void *user, parley_log_level level, const char *line)
{
    struct figures *f = user;
    (void)level;
    f->anew += strstr(line, "built anew") != NULL;
}

static void judge_with(const struct place *place, const struct acked *acked,
                       const char *const *settings, struct figures *f)
{
    f->open += open_calls(place);
    for (int round = 0; round < 2; round++) {
        struct engine_wish wish = {.settings = {settings[0]}, .log = on_log, .user = f};
        parley_error error = PARLEY_ERROR_INIT;
        char word[32];
        parley *e;
        if (place_open(place, &wish, &e, &error) < 0)
            give_up("judge: %s", error.message);
        for (int talk = 0; talk < TALKS; talk++) {
            for (int t = talk; t < TURNS; t += SAMPLE) {
                snprintf(word, sizeof(word), "mark%dx%d", talk, t);
                int n = found(e, word);
                f->asked++;
                f->lost += n < (talk < acked->talks);
                f->twice += n > 1;
            }
        }
        f->back += acked->undone && found(e, "mark5x0") != 0;
        f->problems += problems(e) != 0;
        parley_close(e);
    }
    f->stay_open += open_calls(place);
}

static void judge(const struct place *place, const struct acked *acked, struct figures *f)
{
    judge_with(place, acked, by_words, f);
}

static void crash_everywhere(const char *mode, const char *const *settings, int stride,
                             struct figures *f)
{
    struct place place;
    struct acked acked;
    make_place(&place);
    for (int n = 1; n < OPS_MAX; n += stride) {
        place_clean(&place);
        bool killed = crashes_with(&place, mode, n, settings, &acked);
        judge_with(&place, &acked, settings, f);
        if (!killed)
            break;
        f->places++;
    }
    place_remove(&place);
}

static void test_recall__crash_at_every_operation(void **state)
{
    (void)state;
    struct figures f = {0};
    int stride = fault_long() ? 1 : 3;
    crash_everywhere("crash_before", by_words, stride, &f);
    crash_everywhere("crash_after", by_words, stride, &f);
    summary("recall, a crash before and after operations on the store: %d places, %d words asked; "
            "lost %d, twice %d, undone and back %d, problems %d",
            f.places, f.asked, f.lost, f.twice, f.back, f.problems);
    assert_true(f.places > 20 && f.places < OPS_MAX);
    assert_int_equal(f.lost + f.twice + f.back + f.problems, 0);
}

static void test_recall__crash_while_embedding(void **state)
{
    (void)state;
    struct figures f = {0};
    int stride = fault_long() ? 1 : 7;
    crash_everywhere("crash_before", embeds, stride, &f);
    crash_everywhere("crash_after", embeds, stride, &f);
    summary("recall with embeddings, a crash before and after operations on the store: %d places, "
            "%d words asked; lost %d, twice %d, undone and back %d, problems %d; %d calls were "
            "open, %d stay so; %d indexes made anew",
            f.places, f.asked, f.lost, f.twice, f.back, f.problems, f.open, f.stay_open, f.anew);
    assert_true(f.places > 10 && f.places < OPS_MAX);
    // The harness does see calls that were cut off.
    assert_true(f.open > 0);
    assert_int_equal(f.lost + f.twice + f.back + f.problems + f.stay_open + f.anew, 0);
}

// Negative control: the same judge, told of what never was, says that it is lost; told that what is
// there was taken back, says that it came back.
static void test_recall__control(void **state)
{
    (void)state;
    struct place place;
    struct acked acked;
    struct figures f = {0};
    make_place(&place);
    assert_false(crashes(&place, "crash_before", OPS_MAX * 100, &acked));
    assert_int_equal(acked.talks, TALKS);
    assert_true(acked.undone);
    judge(&place, &acked, &f);
    assert_int_equal(f.lost + f.twice + f.back + f.problems, 0);
    place_clean(&place);
    assert_true(crashes(&place, "crash_before", 3, &acked));
    acked.talks = TALKS;
    judge(&place, &acked, &f);
    assert_true(f.lost > 0);
    place_remove(&place);
}

// ---- damage, and company

// An index that is damaged, wholly or in part, is made anew: nothing is lost, and what was damaged
// is cleared away.
static void test_recall__damage(void **state)
{
    (void)state;
    static const char *const damages[] = {
        "UPDATE records SET body = zeroblob(length(body)) WHERE key LIKE 'recall/%/%'",
        "UPDATE records SET meta = '{\"segments\":[[1,\"0\",1]]}' WHERE key = 'recall/fault'",
        "DELETE FROM records WHERE key LIKE 'recall/fault/%'",
        "DELETE FROM records WHERE key = 'recall/fault'",
        "UPDATE records SET meta = '{}' WHERE key LIKE 'recall/%/%'",
    };
    struct place place;
    struct acked acked;
    struct figures f = {0};
    struct engine_wish wish = {0};
    parley_error error = PARLEY_ERROR_INIT;
    parley *e;
    make_place(&place);
    assert_false(crashes(&place, "crash_before", OPS_MAX * 100, &acked));
    for (size_t i = 0; i < sizeof(damages) / sizeof(damages[0]); i++) {
        struct figures now = {0};
        assert_true(sql(&place, "SELECT count(*) FROM records WHERE key LIKE 'recall/%'") > 1);
        sql(&place, damages[i]);
        judge(&place, &acked, &now);
        if (now.lost + now.twice + now.back)
            fprintf(stderr, "after: %s\n", damages[i]);
        f.asked += now.asked;
        f.lost += now.lost;
        f.twice += now.twice;
        f.back += now.back;
        if (place_open(&place, &wish, &e, &error) < 0)
            give_up("damage: %s", error.message);
        f.problems += problems(e) != 0;
        parley_close(e);
    }
    summary("recall, a damaged index: %d words asked; lost %d, twice %d, undone and back %d, "
            "problems that stay %d", f.asked, f.lost, f.twice, f.back, f.problems);
    assert_int_equal(f.lost + f.twice + f.back + f.problems, 0);
    place_remove(&place);
}

// Processes that index the same user at once: whoever loses a race reads again.
static void test_recall__several_processes(void **state)
{
    (void)state;
    enum { PROCESSES = 3, ROUNDS = 4 };
    struct place place;
    struct engine_wish wish = {0};
    parley_error error = PARLEY_ERROR_INIT;
    int lost = 0, twice = 0, status;
    parley *e;
    make_place(&place);
    if (place_open(&place, &wish, &e, &error) < 0)
        give_up("several: %s", error.message);
    parley_close(e);
    fflush(NULL);
    for (int p = 0; p < PROCESSES; p++) {
        pid_t pid = fork();
        if (pid < 0)
            give_up("several: %s", strerror(errno));
        if (pid > 0)
            continue;
        struct buf json = BUF_INIT(1 << 20);
        uint64_t request;
        if (place_open(&place, &wish, &e, &error) < 0)
            give_up("several: %s", error.message);
        for (int i = 0; i < ROUNDS; i++) {
            say_talk(&json, p * ROUNDS + i);
            if (parley_import(e, json.ptr, json.len, &request, &error) < 0 || !went_well(e))
                give_up("several: an import failed");
            parley_event_free(ask_recall(e, "words", 1));
        }
        parley_close(e);
        _exit(0);
    }
    for (int p = 0; p < PROCESSES; p++)
        assert_true(wait(&status) > 0 && status == 0);
    if (place_open(&place, &wish, &e, &error) < 0)
        give_up("several: %s", error.message);
    for (int talk = 0; talk < PROCESSES * ROUNDS; talk++) {
        for (int t = 0; t < TURNS; t += SAMPLE) {
            char word[32];
            snprintf(word, sizeof(word), "mark%dx%d", talk, t);
            int n = found(e, word);
            lost += n < 1;
            twice += n > 1;
        }
    }
    int wrong = problems(e);
    parley_close(e);
    summary("recall, %d processes that index one user: lost %d, twice %d, problems %d", PROCESSES,
            lost, twice, wrong);
    assert_int_equal(lost + twice + wrong, 0);
    place_remove(&place);
}

// Where there is no room to keep an index it is loaded each time; what crashes and races leave
// behind is swept.
static void test_recall__no_room(void **state)
{
    (void)state;
    struct place place;
    struct acked acked;
    struct engine_wish wish = {.settings = {"live_bytes=1"}};
    parley_error error = PARLEY_ERROR_INIT;
    parley *e;
    make_place(&place);
    assert_false(crashes(&place, "crash_before", OPS_MAX * 100, &acked));
    if (place_open(&place, &wish, &e, &error) < 0)
        give_up("room: %s", error.message);
    for (int i = 0; i < 3; i++)
        assert_int_equal(found(e, "mark2x7"), 1);
    parley_close(e);
    assert_int_equal(sql(&place, "SELECT count(*) FROM records WHERE key LIKE 'recall/fault/%'"),
                     sql(&place, "SELECT json_array_length(meta, '$.segments') FROM records "
                                 "WHERE key = 'recall/fault'"));
    place_remove(&place);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_recall__crash_at_every_operation),
        cmocka_unit_test(test_recall__crash_while_embedding),
        cmocka_unit_test(test_recall__control),
        cmocka_unit_test(test_recall__damage),
        cmocka_unit_test(test_recall__several_processes),
        cmocka_unit_test(test_recall__no_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
