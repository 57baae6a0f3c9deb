// SPDX-License-Identifier: MIT
// parley_test.c: runs the policies' own tests. Each test gets an engine of its own: a store in
// memory, simulated time, the test as its model, and no way to the network; so a test is the same
// in every run, and three hours cost nothing.
//
//   test_file_run ─▶ chat:say ─▶ say() ─▶ parley_send … parley_wait ─▶ worker ─▶ policy NAME
//                                                └─▶ scripted provider ─▶ model_reply ─▶ the test
#include "parley_int.h"

#include "lua/test_file.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

enum { PATH_BYTES = 4096 };
static const int64_t FIRST_DAY_MS = 1767258000000;  // 2026-01-01T09:00:00Z
static const int64_t LONGEST_TEST_MS = INT64_C(36525) * 24 * 3600 * 1000;
static const char test_ending[] = "_test.lua";

// One run of parley_test; of it, the test that is under way.
struct testing {
    struct json_writer *w;
    const char *policies;                          // where policies are, if nothing else is said
    unsigned tests, failed;
    char folder[PATH_BYTES], bot[BOT_NAME_BYTES];  // of the policy
    struct test_file *file;                        // NULL while none is loaded
    struct clock_sim clock;
    struct rand_sim rand;
    parley *engine;                                // of the test; NULL until it says something
    char behind[ERR_MESSAGE_BYTES];                // what of the policy failed behind a turn; or ""
};

// ---- the engine of a test

// The model: whatever provider a policy names, the test answers for it.
struct model {
    struct llm_brain base;
    struct testing *testing;
};

static int model_reply(struct llm_brain *b, const struct llm_request *request, struct buf *out,
                       struct err *err)
{
    struct testing *t = ((struct model *)b)->testing;
    // Once a turn's last event is out, nobody waits for what is asked of the model.
    bool background = atomic_load(&t->engine->under_way) == 0;

    return test_file_answer(t->file, request, background, out, err);
}

static void model_free(struct llm_brain *b)
{
    mem_free(b);
}

static int make_model(void *user, struct llm_brain **out, struct err *err)
{
    static const struct llm_brain_ops ops = {.reply = model_reply, .free = model_free};
    struct model *m = mem_zalloc(sizeof(*m));

    if (!m)
        return err_set(err, E_NOMEM, "out of memory for a model");
    m->base.ops = &ops;
    m->testing = user;
    *out = &m->base;
    return E_OK;
}

static void nobody_there(void *user, struct wire_request *r)
{
    (void)user;
    wire_sim_done(r, WIRE_NO_CONNECT);
}

static int make_wire(void *user, struct loop *loop, struct wire **out, struct err *err)
{
    static const struct wire_sim_ops ops = {.answer = nobody_there};

    (void)user;
    return wire_new_sim(out, loop, &ops, err);
}

// Of what runs behind a turn (memory.extract) the log alone is told: the first such line.
static void hear(void *user, parley_log_level level, const char *line)
{
    struct testing *t = user;
    const char *hook = strstr(line, ": memory.");

    if (level >= PARLEY_LOG_WARN && hook && !t->behind[0])
        snprintf(t->behind, sizeof(t->behind), "%s", hook + strlen(": "));
}

static int open_test_engine(struct testing *t, struct err *err)
{
    static const char *const settings[] = {"providers.anthropic.api=scripted",
                                           "providers.openai.api=scripted", NULL};
    struct engine_seams seams = {.clock = &t->clock,
                                 .rand = &t->rand.rand,
                                 .wire = make_wire,
                                 .brain = make_model,
                                 .user = t};
    parley_options options = PARLEY_OPTIONS_INIT;
    parley_error error = PARLEY_ERROR_INIT;

    options.config = "";
    options.no_environment = 1;
    options.store = "memory:";
    options.policies = t->folder;
    options.bot = t->bot;
    options.provider = "scripted";
    options.settings = settings;
    options.log = hear;
    options.user = t;
    int code = engine_open(&t->engine, &options, &seams, &error);
    return code ? err_set(err, code, "%s", error.message) : E_OK;
}

// ---- what a test does

static void read_turn(const parley_event *event, struct test_turn *turn)
{
    struct json_doc doc = JSON_DOC_INIT;
    struct json_iter it = {0};
    struct json key, warning;

    bool told = json_parse(&doc, slice_str(event->json), 0, NULL) == E_OK;
    struct json root = json_root(&doc);
    struct buf status = BUF_INIT(64);
    json_string(json_get(root, "status"), &status);
    snprintf(turn->status, sizeof(turn->status), "%s", told && status.ptr ? status.ptr : "refused");
    json_string(json_get(root, "reply"), &turn->reply);
    json_string(json_get(root, "greeting"), &turn->greeting);
    while (json_next(json_get(root, "warnings"), &it, &key, &warning)) {
        json_string(warning, &turn->warnings);
        buf_add_char(&turn->warnings, '\n');
    }
    snprintf(turn->session, sizeof(turn->session), "%s", event->session);
    turn->turn = event->turn;
    snprintf(turn->error, sizeof(turn->error), "%s", event->code ? event->text : "");
    buf_release(&status);
    json_doc_release(&doc);
}

static bool is_last(const parley_event *event)
{
    return event->type == PARLEY_EVENT_DONE || event->type == PARLEY_EVENT_ERROR;
}

// What the worker has to do afterwards, it has done when this returns: simulated time runs until
// nothing is left to do.
static int say(void *user, const struct test_message *message, struct test_turn *turn,
               struct err *err)
{
    struct testing *t = user;
    parley_message m = PARLEY_MESSAGE_INIT;
    parley_error error = PARLEY_ERROR_INIT;
    parley_event *event = NULL;
    bool over = false;

    if (!t->engine && open_test_engine(t, err))
        return err->code;
    m.user = message->user;
    m.context = message->context;
    if (strcmp(message->session, TEST_SESSION_NEWEST) == 0)
        m.flags = PARLEY_CONTINUE;
    else
        m.session = message->session;
    m.provider = "scripted";
    m.text = message->text.ptr;
    m.text_bytes = message->text.len;
    if (parley_send(t->engine, &m, NULL, &error) < 0)
        return err_set(err, error.code, "%s", error.message);
    while (!over && parley_wait(t->engine, 0, &event)) {
        over = is_last(event);
        if (over)
            read_turn(event, turn);
        parley_event_free(event);
    }
    if (!over)
        return err_set(err, E_PROVIDER, "the turn never came to an end");
    if (!buf_ok(&turn->reply) || !buf_ok(&turn->warnings) || !buf_ok(&turn->greeting))
        return err_set(err, E_NOMEM, "out of memory for a turn");
    return E_OK;
}

static int wait_ms(void *user, int64_t ms, struct err *err)
{
    struct testing *t = user;
    int64_t start_ns = clock_mono_ns(&t->clock.clock);

    if (ms > LONGEST_TEST_MS - start_ns / 1000000)
        return err_set(err, E_REFUSED, "wait: a test may last a hundred years");
    if (t->engine)
        loop_run_for(t->engine->hands[0].loop, ms);
    int64_t passed_ms = (clock_mono_ns(&t->clock.clock) - start_ns) / 1000000;
    if (passed_ms < ms)
        clock_sim_advance(&t->clock, ms - passed_ms);
    return E_OK;
}

// ---- running

static void write_case(struct testing *t, size_t i, int code, const struct err *err, int64_t ns)
{
    jw_object(t->w);
    jw_kv_str(t->w, "test", test_file_name(t->file, i));
    jw_kv_i64(t->w, "line", test_file_line(t->file, i));
    jw_kv_bool(t->w, "ok", code == E_OK);
    jw_kv_str(t->w, "error", code ? err->message : NULL);
    jw_kv_double(t->w, "seconds", (double)(ns / 1000) / 1e6);
    jw_object_end(t->w);
    t->tests++;
    t->failed += code != E_OK;
}

static void run_case(struct testing *t, size_t i)
{
    struct err err = ERR_INIT;
    int64_t start_ns = clock_mono_ns(clock_system());

    clock_sim_init(&t->clock, FIRST_DAY_MS);
    rand_sim_init(&t->rand, 1);
    t->behind[0] = '\0';
    int code = test_file_run(t->file, i, &err);
    parley_close(t->engine);
    t->engine = NULL;
    // It is told first: what the test missed may come of it.
    if (t->behind[0] && code != E_NOMEM) {
        struct err own = err;
        code = err_set(&err, E_POLICY, "the policy failed: %s%s%s", t->behind, code ? "\n" : "",
                       code ? own.message : "");
    }
    write_case(t, i, code, &err, clock_mono_ns(clock_system()) - start_ns);
}

// policies/kiosk_test.lua: policies, kiosk. The policy must be there, and whole: that it is not is
// no fault of each test.
static int find_policy(struct testing *t, const char *path, struct err *err)
{
    const char *slash = strrchr(path, '/'), *base = slash ? slash + 1 : path;
    char policy[PATH_BYTES];
    struct lua_env env = {.clock = clock_system()};
    size_t len = strlen(base) - (sizeof(test_ending) - 1);

    if (len >= sizeof(t->bot) || strlen(path) >= sizeof(t->folder))
        return err_set(err, E_POLICY, "%s: its name is too long", path);
    snprintf(t->bot, sizeof(t->bot), "%.*s", (int)len, base);
    snprintf(t->folder, sizeof(t->folder), "%.*s", slash ? (int)(slash - path) : 1,
             slash ? path : ".");
    if (slash == path)
        snprintf(t->folder, sizeof(t->folder), "/");
    snprintf(policy, sizeof(policy), "%.*s.lua",
             (int)(strlen(path) - (sizeof(test_ending) - 1)), path);
    return lua_check_policy(&env, policy, err);
}

static void run_file(struct testing *t, const char *path)
{
    const struct test_host host = {.say = say, .wait = wait_ms, .user = t};
    struct err err = ERR_INIT;
    int code = find_policy(t, path, &err);

    if (!code)
        code = test_file_new(&t->file, path, &host, &err);
    if (!code && test_file_len(t->file) == 0)
        code = err_set(&err, E_POLICY, "%s: there is no test in it: write test(\"…\", function(t) "
                       "… end)", path);
    jw_object(t->w);
    jw_kv_str(t->w, "file", path);
    jw_kv_str(t->w, "error", code ? err.message : NULL);
    t->tests += code != E_OK;
    t->failed += code != E_OK;
    jw_key(t->w, "tests");
    jw_array(t->w);
    for (size_t i = 0; !code && i < test_file_len(t->file); i++)
        run_case(t, i);
    jw_array_end(t->w);
    jw_object_end(t->w);
    test_file_free(t->file);
    t->file = NULL;
}

// ---- which files

static bool is_test(const char *name)
{
    size_t len = strlen(name), ending = sizeof(test_ending) - 1;

    return len > ending && name[0] != '.' && strcmp(name + len - ending, test_ending) == 0;
}

static int tests_only(const struct dirent *entry)
{
    return is_test(entry->d_name);
}

static int run_folder(struct testing *t, const char *path, struct err *err)
{
    struct dirent **entries = NULL;
    size_t len = strlen(path);
    bool slashed = len > 0 && path[len - 1] == '/';
    int n = scandir(path, &entries, tests_only, alphasort);

    if (n < 0)
        return err_set(err, E_USAGE, "%s: %s", path, strerror(errno));
    for (int i = 0; i < n; i++) {
        struct buf file = BUF_INIT(PATH_BYTES + 256);
        buf_addf(&file, "%s%s%s", path, slashed ? "" : "/", entries[i]->d_name);
        if (buf_ok(&file) && i < CHECK_FILES_MAX)
            run_file(t, file.ptr);
        buf_release(&file);
        free(entries[i]);
    }
    free(entries);
    return n > 0 ? E_OK
                 : err_set(err, E_USAGE, "%s: there are no tests here: those of a policy NAME.lua "
                           "are in NAME_test.lua beside it", path);
}

static int run_path(struct testing *t, const char *path, struct err *err)
{
    struct stat st;

    if (stat(path, &st) != 0 && errno == ENOENT)
        return settings_missing(path, t->policies, test_ending, E_USAGE, err);
    if (stat(path, &st) != 0)
        return err_set(err, E_USAGE, "%s: %s", path, strerror(errno));
    if (S_ISDIR(st.st_mode))
        return run_folder(t, path, err);
    if (!is_test(strrchr(path, '/') ? strrchr(path, '/') + 1 : path))
        return err_set(err, E_USAGE, "%s: no file of tests: their names end in %s", path,
                       test_ending);
    run_file(t, path);
    return E_OK;
}

static int run_paths(struct testing *t, const char *const *paths, struct err *err)
{
    int code = E_OK;

    jw_object(t->w);
    jw_key(t->w, "files");
    jw_array(t->w);
    for (; *paths && !code; paths++)
        code = run_path(t, *paths, err);
    jw_array_end(t->w);
    jw_kv_i64(t->w, "tests", t->tests);
    jw_kv_i64(t->w, "passed", t->tests - t->failed);
    jw_kv_i64(t->w, "failed", t->failed);
    jw_object_end(t->w);
    return code;
}

int parley_test(const parley_options *options, const char *const *paths, char **report,
                parley_error *error)
{
    struct settings settings;
    struct err err = ERR_INIT;
    struct buf json = BUF_INIT(REPORT_BYTES_MAX);
    struct json_writer w;
    *report = NULL;
    struct testing *t = mem_zalloc(sizeof(*t));
    int code = t ? settings_load(&settings, options, &err)
                 : err_set(&err, E_NOMEM, "out of memory for tests");
    if (!code) {
        const char *const configured[] = {conf_str(settings.conf, "policies"), NULL};
        jw_init(&w, &json);
        t->w = &w;
        t->policies = configured[0];
        code = run_paths(t, paths && *paths ? paths : configured, &err);
        settings_release(&settings);
    }
    if (!code)
        code = buf_check(&json, "the report", &err);
    *report = code ? NULL : buf_take(&json, NULL);
    if (!code && t->failed)
        code = err_set(&err, E_POLICY, "%u of %u tests failed", t->failed, t->tests);
    buf_release(&json);
    mem_free(t);
    public_error(error, &err);
    return code;
}
