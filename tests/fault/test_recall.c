// SPDX-License-Identifier: MIT
// A process that dies before, or just after, each single operation on its store while what was
// said is indexed: conversations come in, are asked for, become segments, are merged, and a turn is
// taken back. Whoever opens the store next must find every turn that was acknowledged, once, and
// not the one that was taken back.
#include "fault/harness.h"

enum { OPS_MAX = 600, TALKS = 5, TURNS = 40, SAMPLE = 13 };

// What the process that died had acknowledged.
struct acked {
    int talks;
    bool undone;
};

struct figures {
    int places, asked, lost, twice, back, problems;
};

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

static void speak(const struct place *place, const char *store, int notes)
{
    struct engine_wish wish = {.store = store};
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
static bool crashes(const struct place *place, const char *mode, int n, struct acked *acked)
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
        speak(place, store, notes[1]);
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
static void judge(const struct place *place, const struct acked *acked, struct figures *f)
{
    for (int round = 0; round < 2; round++) {
        struct engine_wish wish = {0};
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
}

static void crash_everywhere(const char *mode, struct figures *f)
{
    struct place place;
    struct acked acked;
    int stride = fault_long() ? 1 : 3;
    place_make_light(&place);
    for (int n = 1; n < OPS_MAX; n += stride) {
        place_clean(&place);
        bool killed = crashes(&place, mode, n, &acked);
        judge(&place, &acked, f);
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
    crash_everywhere("crash_before", &f);
    crash_everywhere("crash_after", &f);
    summary("recall, a crash before and after operations on the store: %d places, %d words asked; "
            "lost %d, twice %d, undone and back %d, problems %d",
            f.places, f.asked, f.lost, f.twice, f.back, f.problems);
    assert_true(f.places > 20 && f.places < OPS_MAX);
    assert_int_equal(f.lost + f.twice + f.back + f.problems, 0);
}

// Negative control: the same judge, told of what never was, says that it is lost; told that what is
// there was taken back, says that it came back.
static void test_recall__control(void **state)
{
    (void)state;
    struct place place;
    struct acked acked;
    struct figures f = {0};
    place_make_light(&place);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_recall__crash_at_every_operation),
        cmocka_unit_test(test_recall__control),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
