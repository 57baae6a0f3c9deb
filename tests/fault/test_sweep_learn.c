// SPDX-License-Identifier: MIT
// Processes that die while sessions are learnt from: at each single operation of the sweep on its
// store (which fails from there on, or the process is killed by SIGKILL just before or after it),
// and at any microsecond of two processes that learn the same words at once. Whoever opens the
// store next must find nothing remembered twice, no session archived that was not learnt from,
// every call of a model settled; and what is remembered in the end must be what it is where nobody
// dies.
//
// Negative controls: an extraction that is known by nothing but itself, so that done again it is
// said again; and a sweep by a policy that does not learn.
#include "fault/harness.h"

#include <fcntl.h>
#include <sqlite3.h>

enum { OPS_MAX = 900, USERS = 2, TOLD_BYTES = 16 << 10 };
static const char *const users[USERS] = {"ann", "bob"};

// The patterns are few, so that loading them takes no time; a model adds what they do not know.
#define POLICY(memory)                                                                             \
    "local function said(view, turn)\n"                                                            \
    "    local out = {}\n"                                                                         \
    "    for city in turn.user:gmatch \"I live in (%a+)\" do\n"                                    \
    "        out[#out + 1] = { predicate = \"lives_in\", value = city,\n"                          \
    "                          quote = \"I live in \" .. city }\n"                                 \
    "    end\n"                                                                                    \
    "    return out\n"                                                                             \
    "end\n"                                                                                        \
    "return { system = \"S\", expiry = { kind = \"sliding\", soft = \"1s\", hard = \"1s\" },\n"    \
    "         resume = { restore_within = \"1s\" }, memory = " memory " }\n"
#define LEARNS                                                                                     \
    "{ extract = said, model = true,\n"                                                            \
    "  prompts = { extract = \"P\", journal = \"J\", reflect = \"R\" },\n"                         \
    "  predicates = { lives_in = { one = true }, likes = {} } }"

// What a model answers who is asked for facts: what the user likes.
static const char brain[] =
    "return function(request)\n"
    "    local text = request.messages[#request.messages].text\n"
    "    if not text:find(\"the JSON alone.\", 1, true) then return \"Noted.\" end\n"
    "    local facts, turn = {}, 0\n"
    "    for line in text:gmatch \"[^\\n]+\" do\n"
    "        turn = tonumber(line:match \"^%[turn (%d+)%]\") or turn\n"
    "        local what = line:match \"^> user: I like (%a+)\"\n"
    "        if what then\n"
    "            facts[#facts + 1] = ('{\"turn\":%d,\"kind\":\"preference\",' ..\n"
    "                '\"predicate\":\"likes\",\"value\":\"%s\",\"quote\":\"I like %s\"}')\n"
    "                :format(turn, what, what)\n"
    "        end\n"
    "    end\n"
    "    return '{\"facts\":[' .. table.concat(facts, \",\") .. ']}'\n"
    "end\n";

static const char *const talks[][6] = {
    {"I live in Lisbon.", "I like tea.", "I like chess.", NULL},
    {"I live in Porto.", "I like tea.", NULL},
    {"I like rain.", "I live in Faro.", "I live in Porto.", NULL},
};
enum { TALKS = sizeof(talks) / sizeof(talks[0]) };

struct world {
    struct place place, fresh;     // fresh: as it was when all sessions had become due
    char expected[USERS][TOLD_BYTES];
};

struct figures {
    unsigned deaths, twice, unlearnt, other, open, problems;
};

// ---- asking

static void check_end(parley *e, const char *what)
{
    parley_event *event = wait_end(e, NULL);
    if (event->type == PARLEY_EVENT_ERROR || event->code != PARLEY_OK)
        give_up("%s: %s", what, event->text);
    parley_event_free(event);
}

static void say(parley *e, const char *user, const char *text, bool is_new)
{
    parley_message m = PARLEY_MESSAGE_INIT;
    parley_error error = PARLEY_ERROR_INIT;
    uint64_t request;
    m.user = user;
    m.flags = is_new ? 0 : PARLEY_CONTINUE;
    m.text = text;
    if (parley_send(e, &m, &request, &error) < 0)
        give_up("send: %s", error.message);
    check_end(e, "send");
}

static int64_t member(const char *json, const char *name)
{
    struct json_doc doc = JSON_DOC_INIT;
    int64_t n = -1;
    if (json_parse(&doc, slice_str(json), 0, NULL) == E_OK)
        n = json_i64(json_get(json_root(&doc), name), -1);
    json_doc_release(&doc);
    return n;
}

// How many sessions were due; -1: it could not be done.
static int64_t sweep(parley *e)
{
    parley_error error = PARLEY_ERROR_INIT;
    uint64_t request;
    if (parley_sweep(e, 0, &request, &error) < 0)
        give_up("sweep: %s", error.message);
    parley_event *event = wait_end(e, NULL);
    int64_t due = event->type == PARLEY_EVENT_RESULT ? member(event->json, "due") : -1;
    parley_event_free(event);
    return due;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(a, b);
}

// "lives_in Porto active 2\n…": values with how often they were confirmed, in order; and of which
// sessions the journal tells. Its words are a model's, or if that died meanwhile those of rules.
static void tell_memory(parley *e, const char *user, char out[TOLD_BYTES])
{
    parley_scope scope = PARLEY_SCOPE_INIT;
    parley_error error = PARLEY_ERROR_INIT;
    struct json_doc doc = JSON_DOC_INIT;
    struct json_iter it = {0};
    struct json fact;  // or what the journal says of a session
    static char lines[64][256];
    uint64_t request;
    size_t n = 0, len = 0;
    scope.user = user;
    if (parley_memory(e, &scope, PARLEY_MEMORY_ALL, &request, &error) < 0)
        give_up("memory: %s", error.message);
    parley_event *event = wait_end(e, NULL);
    if (event->type != PARLEY_EVENT_RESULT ||
        json_parse(&doc, slice_str(event->json), 0, NULL) != E_OK)
        give_up("memory: %s", event->text);
    while (n < 64 && json_next(json_get(json_root(&doc), "facts"), &it, NULL, &fact))
        snprintf(lines[n++], sizeof(lines[0]), "%.*s %.*s %.*s %lld\n",
                 SLICE_FMT(json_raw(json_get(fact, "predicate"))),
                 SLICE_FMT(json_raw(json_get(fact, "value"))),
                 SLICE_FMT(json_raw(json_get(fact, "status"))),
                 (long long)json_i64(json_get(fact, "confirmations"), -1));
    it = (struct json_iter){0};
    while (n < 64 && json_next(json_get(json_root(&doc), "journal"), &it, NULL, &fact))
        snprintf(lines[n++], sizeof(lines[0]), "journal %.*s\n",
                 SLICE_FMT(json_raw(json_get(fact, "session"))));
    qsort(lines, n, sizeof(lines[0]), by_text);
    out[0] = '\0';
    for (size_t i = 0; i < n; i++)
        len += (size_t)snprintf(out + len, TOLD_BYTES - len, "%s", lines[i]);
    json_doc_release(&doc);
    parley_event_free(event);
}

static parley *open_engine(const struct place *place, const char *store)
{
    struct engine_wish wish = {.store = store};
    parley_error error = PARLEY_ERROR_INIT;
    parley *e;
    return place_open(place, &wish, &e, &error) < 0 ? NULL : e;
}

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

static unsigned archived_unlearnt(const struct place *place)
{
    return (unsigned)sql(place,
                         "SELECT count(*) FROM records AS s WHERE s.key LIKE 'session/%' AND "
                         "json_extract(s.meta, '$.status') = 'archived' AND NOT EXISTS (SELECT 1 "
                         "FROM records AS l WHERE l.partition_id = s.partition_id AND l.key = "
                         "'learnt/' || substr(s.key, 9) AND json_extract(l.meta, '$.journal'))");
}

// ---- a world: sessions that nobody has learnt from, and that are due

static void copy_file(const struct place *to, const struct place *from, const char *name)
{
    char path[NAME_BYTES], bytes[65536];
    int in = open(place_path(from, name, path), O_RDONLY);
    int out = in < 0 ? -1 : open(place_path(to, name, path), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    ssize_t n = 0;
    while (out >= 0 && (n = read(in, bytes, sizeof(bytes))) > 0)
        if (write(out, bytes, (size_t)n) != n)
            give_up("%s: %s", path, strerror(errno));
    if (out < 0 || n < 0)
        give_up("%s: %s", path, strerror(errno));
    close(in);
    close(out);
}

static void world_again(const struct world *w)
{
    place_clean(&w->place);
    copy_file(&w->place, &w->fresh, "db");
    copy_file(&w->place, &w->fresh, "parley.keys");
}

static bool all_due(parley *e)
{
    bool due = true;
    for (int i = 0; i < USERS; i++) {
        parley_event *event = ask_sessions(e, users[i]);
        due &= !strstr(event->json, "\"active\"") && !strstr(event->json, "\"soft_expired\"");
        parley_event_free(event);
    }
    return due;
}

static void world_make(struct world *w)
{
    memset(w, 0, sizeof(*w));
    place_make_light(&w->fresh);
    place_make_light(&w->place);
    place_write(&w->fresh, "policies/fault.lua", POLICY("nil"));
    place_write(&w->place, "policies/fault.lua", POLICY(LEARNS));
    place_write(&w->fresh, "reply.lua", brain);
    place_write(&w->place, "reply.lua", brain);
    parley *e = open_engine(&w->fresh, NULL);
    if (!e)
        give_up("a world cannot be opened");
    for (size_t t = 0; t < TALKS; t++)
        for (int i = 0; i < USERS; i++)
            for (size_t k = 0; talks[t][k]; k++)
                say(e, users[i], talks[t][k], k == 0);
    while (!all_due(e))
        continue;
    parley_close(e);
    // What comes of it where nobody dies.
    world_again(w);
    e = open_engine(&w->place, NULL);
    if (!e || sweep(e) != TALKS * USERS)
        give_up("a world cannot be swept");
    for (int i = 0; i < USERS; i++)
        tell_memory(e, users[i], w->expected[i]);
    parley_close(e);
}

static void world_remove(struct world *w)
{
    place_remove(&w->fresh);
    place_remove(&w->place);
}

// ---- judging

static unsigned lines_of(const char *text)
{
    unsigned n = 0;
    for (; *text; text++)
        n += *text == '\n';
    return n;
}

// A session that somebody began meanwhile may be over, too, and then the journal tells of it.
static void drop_new_sessions(char *told, const char *expected)
{
    char *to = told;
    for (char *line = told, *end; *line; line = end) {
        end = strchr(line, '\n') + 1;
        size_t len = (size_t)(end - line);
        bool is_new = strncmp(line, "journal ", 8) == 0 &&
                      !memmem(expected, strlen(expected), line, len);
        if (!is_new) {
            memmove(to, line, len);
            to += len;
        }
    }
    *to = '\0';
}

// What is remembered, against what it is to be: too much of it, or not the same.
static void judge_memory(parley *e, const struct world *w, struct figures *f)
{
    static char told[TOLD_BYTES];
    for (int i = 0; i < USERS; i++) {
        tell_memory(e, users[i], told);
        drop_new_sessions(told, w->expected[i]);
        unsigned lines = lines_of(told), expected = lines_of(w->expected[i]);
        f->twice += lines > expected ? lines - expected : 0;
        if (strcmp(told, w->expected[i]) != 0 && f->other++ == 0)
            fprintf(stderr, "remembered:\n%sand not:\n%s", told, w->expected[i]);
    }
}

// Opens the store, has done what is left, and looks.
static void judge(const struct world *w, struct figures *f)
{
    f->unlearnt += archived_unlearnt(&w->place);
    parley *e = open_engine(&w->place, NULL);
    if (!e)
        give_up("judge: the store cannot be opened");
    for (int i = 0; i < 3; i++)
        f->problems += sweep(e) < 0;
    judge_memory(e, w, f);
    f->problems += verify_problems(e) != 0;
    parley_close(e);
    f->unlearnt += archived_unlearnt(&w->place);
    f->open += (unsigned)sql(&w->place, "SELECT count(*) FROM records WHERE key LIKE 'attempt/%' "
                                        "AND json_extract(meta, '$.status') = 'open'");
    f->problems += sql(&w->place, "SELECT count(*) FROM records WHERE key LIKE 'session/%' AND "
                                  "json_extract(meta, '$.status') = 'archived'") != TALKS * USERS;
}

static bool is_clean(const struct figures *f)
{
    return f->twice + f->unlearnt + f->other + f->open + f->problems == 0;
}

static void tell(const char *what, const struct figures *f, uint64_t seed)
{
    summary("%s: %u deaths; duplicate memories %u, archived without being learnt from %u, "
            "remembered otherwise %u, calls left open %u, problems %u (all 0; seed %llu)", what,
            f->deaths, f->twice, f->unlearnt, f->other, f->open, f->problems,
            (unsigned long long)seed);
}

// ---- at every operation of a sweep

// In a process of its own, or in this one, whose store is as dead from there on. Whether it died.
static bool sweep_until_death(const struct world *w, const char *store, bool forked)
{
    int status;
    fflush(NULL);
    pid_t pid = forked ? fork() : 0;
    if (pid < 0)
        give_up("fork: %s", strerror(errno));
    if (pid > 0) {
        waitpid(pid, &status, 0);
        if (!WIFSIGNALED(status) && status != 0)
            give_up("the sweeper ended with %d", status);
        return WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
    }
    parley *e = open_engine(&w->place, store);
    bool died = !e || sweep(e) < 0;
    parley_close(e);
    if (forked)
        _exit(0);
    return died;
}

static void die_everywhere(const struct world *w, const char *mode, bool forked, int step,
                           struct figures *f)
{
    for (int n = 1; n < OPS_MAX; n += step) {
        char store[NAME_BYTES + 80];
        snprintf(store, sizeof(store), "faulty:fail_at=%d,mode=%s%s;sqlite:%s/db", n, mode,
                 forked ? "" : ",sticky=1", w->place.dir);
        world_again(w);
        bool died = sweep_until_death(w, store, forked);
        judge(w, f);
        if (!died)
            break;
        f->deaths++;
    }
}

static void test_learn__store_dies_at_every_operation(void **state)
{
    struct figures f = {0};
    struct world w;
    (void)state;
    for (int i = 0; i < (fault_long() ? 6 : 1); i++) {
        world_make(&w);
        die_everywhere(&w, "before", false, fault_long() ? 1 : 9, &f);
        die_everywhere(&w, "after", false, fault_long() ? 1 : 9, &f);
        world_remove(&w);
    }
    tell("a sweep that learns, its store dead from any operation on", &f, 0);
    assert_true(f.deaths >= (fault_long() ? 1000 : 20));
    assert_true(is_clean(&f));
}

static void test_learn__killed_at_every_operation(void **state)
{
    struct figures f = {0};
    struct world w;
    (void)state;
    for (int i = 0; i < (fault_long() ? 6 : 1); i++) {
        world_make(&w);
        die_everywhere(&w, "crash_before", true, fault_long() ? 1 : 9, &f);
        die_everywhere(&w, "crash_after", true, fault_long() ? 1 : 9, &f);
        world_remove(&w);
    }
    tell("a sweep that learns, killed by SIGKILL at any operation", &f, 0);
    assert_true(f.deaths >= (fault_long() ? 1000 : 20));
    assert_true(is_clean(&f));
}

// ---- two at once, killed at any microsecond

static pid_t start_sweeping(const struct world *w)
{
    fflush(NULL);
    pid_t pid = fork();
    if (pid < 0)
        give_up("fork: %s", strerror(errno));
    if (pid > 0)
        return pid;
    parley *e = open_engine(&w->place, NULL);
    if (!e)
        _exit(1);
    // Another one sweeps: what is left then is learnt from in the background, as somebody comes
    // back to it.
    if (sweep(e) < 0)
        for (int i = 0; i < USERS; i++)
            say(e, users[i], "What do you know of me?", false);
    parley_close(e);
    _exit(0);
}

static void test_learn__two_at_once_and_killed(void **state)
{
    uint64_t seed = fault_seed();
    int64_t until_us = now_us() + (fault_long() ? 120 : 3) * (int64_t)1000000;
    struct rand_sim rand;
    struct figures f = {0};
    struct world w;
    (void)state;
    rand_sim_init(&rand, seed);
    world_make(&w);
    while (now_us() < until_us || f.deaths < 5) {
        int status;
        world_again(&w);
        pid_t one = start_sweeping(&w), two = start_sweeping(&w);
        int64_t kill_us = now_us() + (int64_t)rand_below(&rand.rand, 60000);
        while (now_us() < kill_us)
            continue;
        kill(rand_below(&rand.rand, 2) ? one : two, SIGKILL);
        for (int i = 0; i < 2; i++) {
            waitpid(i ? one : two, &status, 0);
            f.deaths += WIFSIGNALED(status);
        }
        f.unlearnt += archived_unlearnt(&w.place);
        parley *e = open_engine(&w.place, NULL);
        if (!e)
            give_up("judge: the store cannot be opened");
        f.problems += sweep(e) < 0;
        judge_memory(e, &w, &f);
        f.problems += verify_problems(e) != 0;
        parley_close(e);
    }
    tell("two processes that learn at once, one killed at any microsecond", &f, seed);
    assert_true(is_clean(&f));
    world_remove(&w);
}

// ---- controls

// An extraction that is known by nothing but itself: done again it is as if all was said again.
static void test_learn__control_said_again(void **state)
{
    struct figures f = {0};
    struct world w;
    (void)state;
    world_make(&w);
    world_again(&w);
    parley *e = open_engine(&w.place, NULL);
    if (!e || sweep(e) < 0)
        give_up("a world cannot be swept");
    for (int i = 0; i < USERS; i++)
        for (size_t k = 0; talks[0][k]; k++)
            say(e, users[i], talks[0][k], k == 0);
    judge_memory(e, &w, &f);
    parley_close(e);
    summary("learning, control that learns again what it learnt: remembered otherwise %u (more "
            "than 0)", f.other);
    assert_true(f.other > 0);
    world_remove(&w);
}

static void test_learn__control_not_learnt(void **state)
{
    struct world w;
    (void)state;
    world_make(&w);
    world_again(&w);
    place_write(&w.place, "policies/fault.lua", POLICY("nil"));
    parley *e = open_engine(&w.place, NULL);
    if (!e || sweep(e) < 0)
        give_up("a world cannot be swept");
    parley_close(e);
    unsigned unlearnt = archived_unlearnt(&w.place);
    summary("learning, control that archives at once: archived without being learnt from %u (more "
            "than 0)", unlearnt);
    assert_true(unlearnt > 0);
    world_remove(&w);
}

int main(void)
{
#define TEST(name) cmocka_unit_test(test_learn__##name)
    const struct CMUnitTest tests[] = {TEST(store_dies_at_every_operation),
                                       TEST(killed_at_every_operation),
                                       TEST(two_at_once_and_killed), TEST(control_said_again),
                                       TEST(control_not_learnt)};

    return cmocka_run_group_tests_name("learn", tests, NULL, NULL);
}
