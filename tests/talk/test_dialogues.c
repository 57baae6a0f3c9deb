// SPDX-License-Identifier: MIT
// test_dialogues.c: two thousand recorded conversations through the whole engine, turn by turn,
// over a SQLite store and real loops: the offline provider gives the recorded replies again, which
// it finds only if the request holds exactly what was said before. Then the engine is closed and
// opened, and every transcript is read back and compared byte for byte. Skipped where the
// recordings are not there.
//
// Two recordings may begin alike and go on differently. Each "take" is a provider with its own
// file, and a dialogue goes into the first take that it agrees with.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/vec.h"
#include "parley.h"
#include "support/shared.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    AT_ONCE = 64,
    TAKES_MAX = 64,
    DIALOGUES_MAX = 10000,
    TEXTS_MAX = 1000,
    REPLIES_MAX = 1 << 20,
    FILE_BYTES_MAX = 64 << 20,
    NAME_BYTES = 64,
    PATH_BYTES = 512,
    WAIT_MS = 60000,
};

struct dialogue {
    char id[NAME_BYTES], user[NAME_BYTES], take[NAME_BYTES];
    struct vec texts; // of char *, owned: the user's, the reply, the user's …
    char session[NAME_BYTES];
    size_t at;        // the text that is being answered
    uint64_t request; // 0: nothing under way
    struct buf streamed;
};

struct take {
    struct map *replies; // hash of what was said -> hash of the reply, + 1
    struct buf file;     // the recording
};

struct world {
    char folder[PATH_BYTES];
    struct vec dialogues;
    struct take takes[TAKES_MAX];
    size_t takes_len, turns;
    parley *engine;
    struct dialogue *busy[AT_ONCE];
    size_t next; // the dialogue to begin with next
};

// ---- reading the recordings

static uint64_t hash(uint64_t h, const char *text)
{
    for (; *text; text++)
        h = (h ^ (unsigned char)*text) * 0x100000001b3u;
    return (h ^ 0xff) * 0x100000001b3u;
}

static char *text_at(const struct dialogue *d, size_t i)
{
    return *VEC_AT(&d->texts, char *, i);
}

// Whether the take knows no other reply to anything of the dialogue; with `add` it knows these now.
static bool agrees(struct take *t, const struct dialogue *d, bool add)
{
    uint64_t said = 0xcbf29ce484222325u;

    for (size_t i = 0; i < d->texts.len; i++) {
        uint64_t before = said;
        said = hash(said, text_at(d, i));
        if (i % 2 == 0)
            continue;
        struct slice key = slice_of((const char *)&before, sizeof(before));
        void *known = map_get(t->replies, key), *this = (void *)(uintptr_t)(said | 1);
        if (known && known != this)
            return false;
        if (add)
            assert_int_equal(map_set(t->replies, key, this, NULL), 0);
    }
    return true;
}

static void record(struct take *t, const struct dialogue *d)
{
    struct json_writer w;

    jw_init(&w, &t->file);
    jw_object(&w);
    jw_key(&w, "messages");
    jw_array(&w);
    for (size_t i = 0; i < d->texts.len; i++) {
        jw_object(&w);
        jw_kv_str(&w, "role", i % 2 ? "assistant" : "user");
        jw_kv_str(&w, "content", text_at(d, i));
        jw_object_end(&w);
    }
    jw_array_end(&w);
    jw_object_end(&w);
    buf_add_char(&t->file, '\n');
}

static void choose_take(struct world *world, struct dialogue *d)
{
    size_t n = 0;

    while (n < world->takes_len && !agrees(&world->takes[n], d, false))
        n++;
    assert_true(n < TAKES_MAX);
    struct take *t = &world->takes[n];
    if (n == world->takes_len) {
        assert_int_equal(map_new(&t->replies, REPLIES_MAX), 0);
        buf_init(&t->file, FILE_BYTES_MAX);
        world->takes_len++;
    }
    agrees(t, d, true);
    record(t, d);
    snprintf(d->take, sizeof(d->take), "take%zu", n);
}

static void read_dialogue(struct world *world, struct slice line)
{
    struct json_doc doc = JSON_DOC_INIT;
    struct json_iter it = {0};
    struct json none, turn;
    struct buf text = BUF_INIT(1 << 16);
    struct dialogue *d = vec_push(&world->dialogues);

    assert_non_null(d);
    assert_int_equal(json_parse(&doc, line, 0, NULL), 0);
    assert_true(json_string(json_get(json_root(&doc), "id"), &text));
    snprintf(d->id, sizeof(d->id), "%s", text.ptr);
    vec_init(&d->texts, sizeof(char *), TEXTS_MAX);
    buf_init(&d->streamed, 1 << 16);
    while (json_next(json_get(json_root(&doc), "turns"), &it, &none, &turn)) {
        buf_clear(&text);
        assert_true(json_is_string(json_get(turn, "r"), d->texts.len % 2 ? "assistant" : "user"));
        assert_true(json_string(json_get(turn, "t"), &text));
        *(char **)vec_push(&d->texts) = mem_slicedup(buf_slice(&text));
    }
    assert_int_equal(d->texts.len % 2, 0);
    world->turns += d->texts.len / 2;
    snprintf(d->user, sizeof(d->user), "user %zu", world->dialogues.len % AT_ONCE);
    json_doc_release(&doc);
    buf_release(&text);
}

static bool read_dialogues(struct world *world)
{
    size_t len;
    char *file = shared_read("dialogues/sgd_dev.jsonl.gz", &len);
    char *end = file ? file + len : NULL;

    for (char *at = file; at && at < end;) {
        char *eol = memchr(at, '\n', (size_t)(end - at));
        struct slice line = slice_of(at, (size_t)((eol ? eol : end) - at));
        if (line.len)
            read_dialogue(world, line);
        at += line.len + 1;
    }
    free(file);
    for (size_t i = 0; i < world->dialogues.len; i++)
        choose_take(world, VEC_AT(&world->dialogues, struct dialogue, i));
    return world->dialogues.len > 0;
}

// ---- the engine

// The dialogues are to come back word for word, so their policy masks nothing.
static void write_policy(const struct world *world, char *policies, size_t bytes)
{
    char path[PATH_BYTES + 64];

    snprintf(policies, bytes, "%s/policies", world->folder);
    if (mkdir(policies, 0700) && errno != EEXIST)
        fail_msg("%s: %s", policies, strerror(errno));
    snprintf(path, sizeof(path), "%s/policies/open.lua", world->folder);
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    fputs("return { privacy = { redact = false } }\n", f);
    assert_int_equal(fclose(f), 0);
}

static void open_engine(struct world *world)
{
    static const char *const forms[] = {"providers.take%zu.api=scripted",
                                        "providers.take%zu.replay=%s/take%zu"};
    char store[PATH_BYTES + 32], policies[PATH_BYTES + 32], texts[2 * TAKES_MAX][PATH_BYTES + 64];
    const char *settings[2 * TAKES_MAX + 1] = {NULL};
    parley_options options = PARLEY_OPTIONS_INIT;
    parley_error error = PARLEY_ERROR_INIT;

    snprintf(store, sizeof(store), "sqlite:%s/parley.db", world->folder);
    for (size_t i = 0; i < world->takes_len; i++) {
        snprintf(texts[2 * i], sizeof(texts[0]), forms[0], i);
        snprintf(texts[2 * i + 1], sizeof(texts[0]), forms[1], i, world->folder, i);
        settings[2 * i] = texts[2 * i];
        settings[2 * i + 1] = texts[2 * i + 1];
    }
    options.config = "";
    options.store = store;
    write_policy(world, policies, sizeof(policies));
    options.policies = policies;
    options.bot = "open";
    options.settings = settings;
    options.no_environment = 1;
    if (parley_open(&world->engine, &options, &error))
        fail_msg("%s", error.message);
}

static void write_takes(struct world *world)
{
    char path[PATH_BYTES + 32];

    for (size_t i = 0; i < world->takes_len; i++) {
        struct take *t = &world->takes[i];
        snprintf(path, sizeof(path), "%s/take%zu", world->folder, i);
        FILE *f = fopen(path, "wb");
        assert_non_null(f);
        assert_true(buf_ok(&t->file));
        assert_int_equal(fwrite(t->file.ptr, 1, t->file.len, f), t->file.len);
        assert_int_equal(fclose(f), 0);
    }
}

// The next event; its dialogue's request is one of those under way.
static parley_event *next_event(struct world *world, struct dialogue ***slot)
{
    parley_event *event;

    if (!parley_wait(world->engine, WAIT_MS, &event))
        fail_msg("no event for %d s", WAIT_MS / 1000);
    for (size_t i = 0; i < AT_ONCE; i++) {
        *slot = &world->busy[i];
        if (**slot && (**slot)->request == event->request)
            return event;
    }
    fail_msg("an event of no request of ours");
    return NULL;
}

// Begins with the next dialogues where there is room. False when none is under way any more.
static bool fill(struct world *world, void (*begin)(struct world *world, struct dialogue *d))
{
    bool any = false;

    for (size_t i = 0; i < AT_ONCE; i++) {
        if (!world->busy[i] && world->next < world->dialogues.len) {
            world->busy[i] = VEC_AT(&world->dialogues, struct dialogue, world->next++);
            begin(world, world->busy[i]);
        }
        any |= world->busy[i] != NULL;
    }
    return any;
}

// ---- talking

static void say(struct world *world, struct dialogue *d)
{
    parley_message m = PARLEY_MESSAGE_INIT;
    parley_error error = PARLEY_ERROR_INIT;

    m.user = d->user;
    m.context = d->id;
    m.session = d->session;
    m.provider = d->take;
    m.model = "recorded";
    m.text = text_at(d, d->at);
    buf_clear(&d->streamed);
    if (parley_send(world->engine, &m, &d->request, &error))
        fail_msg("%s: %s", d->id, error.message);
}

static void check_reply(struct dialogue *d, const parley_event *event)
{
    struct json_doc doc = JSON_DOC_INIT;
    const char *expected = text_at(d, d->at + 1);

    if (event->code)
        fail_msg("%s: turn %zu: %s", d->id, d->at / 2 + 1, event->text);
    assert_int_equal(json_parse(&doc, slice_str(event->json), 0, NULL), 0);
    if (!json_is_string(json_get(json_root(&doc), "reply"), expected))
        fail_msg("%s: turn %zu: expected: %s\n%s", d->id, d->at / 2 + 1, expected, event->json);
    assert_string_equal(d->streamed.ptr, expected);
    assert_true(json_is_string(json_get(json_root(&doc), "status"), "done"));
    json_doc_release(&doc);
}

static void talk(struct world *world)
{
    world->next = 0;
    while (fill(world, say)) {
        struct dialogue **slot;
        parley_event *event = next_event(world, &slot);
        struct dialogue *d = *slot;
        if (event->type == PARLEY_EVENT_ACCEPTED) {
            assert_int_equal(event->turn, d->at / 2 + 1);
            snprintf(d->session, sizeof(d->session), "%s", event->session);
        } else if (event->type == PARLEY_EVENT_DELTA) {
            buf_add(&d->streamed, event->text, event->text_bytes);
        } else if (event->type == PARLEY_EVENT_DONE) {
            check_reply(d, event);
            d->at += 2;
            if (d->at < d->texts.len)
                say(world, d);
            else
                *slot = NULL;
        } else {
            fail_msg("%s: %s", d->id, event->text);
        }
        parley_event_free(event);
    }
}

// ---- reading back

static void ask_show(struct world *world, struct dialogue *d)
{
    parley_scope scope = PARLEY_SCOPE_INIT;
    parley_error error = PARLEY_ERROR_INIT;

    scope.user = d->user;
    scope.session = d->session;
    if (parley_show(world->engine, &scope, &d->request, &error))
        fail_msg("%s: %s", d->id, error.message);
}

static bool same_step(struct json step, const char *role, const char *text)
{
    struct json block = json_at(json_get(step, "content"), 0);

    return json_is_string(json_get(step, "role"), role) &&
           json_count(json_get(step, "content")) == 1 &&
           json_is_string(json_get(block, "type"), "text") &&
           json_is_string(json_get(block, "text"), text);
}

// Whether the transcript holds what was said, all of it and nothing else.
static bool same_transcript(const struct dialogue *d, const char *json)
{
    struct json_doc doc = JSON_DOC_INIT;
    struct json_iter it = {0};
    struct json none, turn;
    size_t at = 0;

    bool same = json_parse(&doc, slice_str(json), 0, NULL) == 0 &&
                json_is_string(json_get(json_root(&doc), "context"), d->id);
    while (same && json_next(json_get(json_root(&doc), "turns"), &it, &none, &turn)) {
        struct json steps = json_get(turn, "steps");
        same = at < d->texts.len && json_count(steps) == 2 &&
               json_is_string(json_get(turn, "status"), "done") &&
               same_step(json_at(steps, 0), "user", text_at(d, at)) &&
               same_step(json_at(steps, 1), "assistant", text_at(d, at + 1));
        at += 2;
    }
    json_doc_release(&doc);
    return same && at == d->texts.len;
}

static void read_back(struct world *world)
{
    struct dialogue *first = VEC_AT(&world->dialogues, struct dialogue, 0);

    world->next = 0;
    while (fill(world, ask_show)) {
        struct dialogue **slot;
        parley_event *event = next_event(world, &slot);
        if (event->type != PARLEY_EVENT_RESULT || !same_transcript(*slot, event->json))
            fail_msg("%s: not what was said: %s%s", (*slot)->id, event->text, event->json);
        // The comparison can tell two conversations apart.
        if (*slot != first)
            assert_false(same_transcript(first, event->json));
        *slot = NULL;
        parley_event_free(event);
    }
}

static int64_t ask_for(struct world *world, int code, const parley_error *error, const char *object,
                       const char *member)
{
    parley_event *event = NULL;
    struct json_doc doc = JSON_DOC_INIT;

    if (code || !parley_wait(world->engine, WAIT_MS, &event))
        fail_msg("%s", error->message);
    assert_int_equal(event->type, PARLEY_EVENT_RESULT);
    assert_int_equal(json_parse(&doc, slice_str(event->json), 0, NULL), 0);
    struct json from = object ? json_get(json_root(&doc), object) : json_root(&doc);
    if (json_count(json_get(from, "problems")) > 0)
        fail_msg("%s", event->json);
    int64_t n = json_i64(json_get(from, member), -1);
    json_doc_release(&doc);
    parley_event_free(event);
    return n;
}

static void check_totals(struct world *world)
{
    parley_scope scope = PARLEY_SCOPE_INIT;
    parley_error error = PARLEY_ERROR_INIT;
    uint64_t request;

    scope.flags = PARLEY_ALL_USERS;
    int code = parley_verify(world->engine, &scope, &request, &error);
    assert_int_equal(ask_for(world, code, &error, NULL, "sessions"), world->dialogues.len);
    code = parley_verify(world->engine, &scope, &request, &error);
    assert_int_equal(ask_for(world, code, &error, NULL, "turns"), world->turns);
    code = parley_usage(world->engine, &scope, "model", &request, &error);
    assert_int_equal(ask_for(world, code, &error, "total", "calls"), world->turns);
}

// ----

static void release(struct world *world)
{
    char command[PATH_BYTES + 32];

    for (size_t i = 0; i < world->dialogues.len; i++) {
        struct dialogue *d = VEC_AT(&world->dialogues, struct dialogue, i);
        for (size_t k = 0; k < d->texts.len; k++)
            mem_free(text_at(d, k));
        vec_release(&d->texts);
        buf_release(&d->streamed);
    }
    vec_release(&world->dialogues);
    for (size_t i = 0; i < world->takes_len; i++) {
        map_free(world->takes[i].replies);
        buf_release(&world->takes[i].file);
    }
    snprintf(command, sizeof(command), "rm -rf '%s'", world->folder);
    if (world->folder[0])
        assert_int_equal(system(command), 0);
}

static double seconds_since(int64_t start_ns)
{
    return (double)(clock_mono_ns(clock_system()) - start_ns) / 1e9;
}

static void test_dialogues__all(void **state)
{
    static struct world world;
    const char *tmp = getenv("TMPDIR");

    (void)state;
    vec_init(&world.dialogues, sizeof(struct dialogue), DIALOGUES_MAX);
    if (!read_dialogues(&world))
        skip();
    snprintf(world.folder, sizeof(world.folder), "%s/parley-dialogues-XXXXXX",
             tmp && tmp[0] ? tmp : "/tmp");
    assert_non_null(mkdtemp(world.folder));
    write_takes(&world);

    int64_t start = clock_mono_ns(clock_system());
    open_engine(&world);
    talk(&world);
    parley_close(world.engine);
    double talked = seconds_since(start);

    start = clock_mono_ns(clock_system());
    open_engine(&world);
    read_back(&world);
    check_totals(&world);
    parley_close(world.engine);
    printf("# summary: recorded dialogues: %zu with %zu turns in %.1f s, %d at a time; read back "
           "byte-exact after a restart in %.1f s, 0 problems\n",
           world.dialogues.len, world.turns, talked, AT_ONCE, seconds_since(start));
    release(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_dialogues__all)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
