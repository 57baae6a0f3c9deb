// SPDX-License-Identifier: MIT
// parley_replay.c: policies over recorded conversations. A file is streamed; a line that cannot be
// read ends it, as figures over a part would mislead. The store's sessions are read by an engine
// that writes nothing.
#include "parley_int.h"

#include "turn/backtest.h"
#include "turn/recorded.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    CHUNK_BYTES = 64 << 10,
    NAME_BYTES = 256,
    WATCH_MS = 100,
    EVIDENCE_MAX = 4096,     // turns of one conversation's questions
    QUESTIONS_MAX = 4096,    // of one conversation
};
#define FALLBACK_MODEL "anthropic:claude-sonnet-4-5"

struct replay {
    const parley_replay_options *how;
    struct settings settings;
    struct prices *prices;
    struct llm_caps_table *caps;
    struct lua_loader *loader;
    struct lua_env lua;
    struct log log;
    const parley_options *options;
    char provider[MODEL_NAME_BYTES], model[MODEL_NAME_BYTES];
    const struct encoding *encoding;  // of the model; NULL: not public
    struct backtest *backtest;
    // the file
    struct json_doc doc;     // of the line
    struct vec questions;    // of struct question
    struct vec evidence;     // of uint32_t
    struct buf texts;        // of the questions, one after the other
    uint64_t line, talks, done_bytes, total_bytes;
    uint64_t line_bytes;     // of the line that is going through
};

// One of the line's questions; its evidence is a part of the list, which may move while it grows.
struct question {
    uint32_t turn, first, len;
    size_t text_at, text_len;
};

// ---- the model

static int split_model(struct replay *r, const char *name, struct err *err)
{
    const char *colon = strchr(name, ':');
    if (!colon || colon == name || !colon[1] || strlen(name) >= MODEL_NAME_BYTES)
        return err_set(err, E_USAGE, "%s: name the model as PROVIDER:MODEL, or its provider with "
                       "--provider", name);
    snprintf(r->provider, sizeof(r->provider), "%.*s", (int)(colon - name), name);
    snprintf(r->model, sizeof(r->model), "%s", colon + 1);
    return E_OK;
}

static int choose_model(struct replay *r, struct err *err)
{
    const struct conf *conf = r->settings.conf;
    const char *provider = conf_str(conf, "default.provider");
    const char *model = provider ? llm_default_model(conf, provider) : NULL;
    const char *named = r->how->model;
    // The offline one costs nothing.
    bool offline = !provider || strcmp(provider, "scripted") == 0;
    if (named && (offline || strchr(named, ':')))
        return split_model(r, named, err);
    model = named ? named : model;
    if (offline || !model)
        return split_model(r, FALLBACK_MODEL, err);
    if (strlen(provider) >= sizeof(r->provider) || strlen(model) >= sizeof(r->model))
        return err_set(err, E_USAGE, "%s:%s: too long a name of a model", provider, model);
    snprintf(r->provider, sizeof(r->provider), "%s", provider);
    snprintf(r->model, sizeof(r->model), "%s", model);
    return E_OK;
}

static const char *provider_setting(const struct replay *r, const char *key)
{
    char name[MODEL_NAME_BYTES * 2];
    snprintf(name, sizeof(name), "providers.%s.%s", r->provider, key);
    return conf_str(r->settings.conf, name);
}

// The row of the model, as a provider of this name would find it; no key is needed for that.
static int find_caps(const struct replay *r, struct backtest_env *env, struct err *err)
{
    const char *api = provider_setting(r, "api");
    if (!api || !llm_caps_configured(r->settings.conf, r->caps, r->provider, r->model, &env->caps))
        return err_set(err, E_POLICY, "provider %s: there is none of this name in the "
                       "configuration; `parley models` lists them", r->provider);
    env->marks_everywhere = strcmp(api, "openai") == 0;
    return E_OK;
}

// ---- policies

static int load_policy(const struct replay *r, const char *name, struct policy **out,
                       struct err *err)
{
    size_t len = strlen(name);
    if (strchr(name, '/') || (len > 4 && strcmp(name + len - 4, ".lua") == 0))
        return lua_load_policy(&r->lua, name, out, err);
    struct policy_loader ops = lua_loader_ops(r->loader);
    struct err own = ERR_INIT;  // which tells of a file that is missing, also of a built-in policy
    int code = ops.load(ops.self, name, out, &own);
    return code ? err_set(err, code, "%s", own.message) : E_OK;
}

static int add_policies(struct replay *r, struct err *err)
{
    int code = E_OK;
    if (!r->how->policies || !*r->how->policies)
        return err_set(err, E_USAGE, "no policy is named: --policy FILE");
    for (const char *const *name = r->how->policies; *name && !code; name++) {
        struct policy *policy = NULL;
        code = load_policy(r, *name, &policy, err);
        if (!code)
            code = backtest_add(r->backtest, policy, *name, err);
        policy_unref(policy);
    }
    return code;
}

static bool watch_talk(void *user, uint64_t done, uint64_t total)
{
    const struct replay *r = user;
    const parley_replay_options *how = r->how;
    uint64_t bytes = r->done_bytes + r->line_bytes * done / total;
    return !how->progress || how->progress(how->progress_user, bytes, r->total_bytes) == 0;
}

static int set_up(struct replay *r, struct err *err)
{
    struct backtest_env env = {.baseline_messages = r->how->baseline_messages, .user = r};
    // In the store's worker hooks run on its thread, not on this one.
    bool here = r->how->file != NULL;
    env.watch = here ? watch_talk : NULL;
    if (r->how->version != PARLEY_REPLAY_OPTIONS_VERSION)
        return err_set(err, E_USAGE, "begin with PARLEY_REPLAY_OPTIONS_INIT");
    int code = settings_load(&r->settings, r->options, err);
    if (!code)
        code = tables_load(&r->prices, &r->caps, err);
    if (!code)
        code = choose_model(r, err);
    if (!code)
        code = find_caps(r, &env, err);
    if (code)
        return code;
    r->encoding = encoding_find(slice_str(env.caps.encoding));
    env.prices = r->prices;
    env.provider = r->provider;
    env.model = r->model;
    r->lua = (struct lua_env){.policies_dir = conf_str(r->settings.conf, "policies"),
                              .region = conf_str(r->settings.conf, "privacy.region"),
                              .clock = clock_system(),
                              .log = &r->log,
                              .timer_signal = here ? r->options->timer_signal : 0};
    code = lua_loader_new(&r->loader, &r->lua, err);
    if (!code)
        code = backtest_new(&r->backtest, &env, err);
    return code ? code : add_policies(r, err);
}

// ---- questions

// A turn's ordinal, as a number or as a string of one, from 1 to max. 0: it is none.
static uint32_t ordinal_of(struct json v, uint32_t max)
{
    struct buf scratch = BUF_INIT(32);
    int64_t n = json_i64(v, 0);
    if (json_type(v) == JSON_STRING) {
        struct slice text = json_text(v, &scratch);
        n = 0;
        for (size_t i = 0; i < text.len && n >= 0 && n <= max; i++)
            n = text.ptr[i] >= '0' && text.ptr[i] <= '9' ? n * 10 + text.ptr[i] - '0' : -1;
    }
    buf_release(&scratch);
    return n >= 1 && n <= max ? (uint32_t)n : 0;
}

static int read_question(struct replay *r, struct json item, uint32_t turns, uint32_t index,
                         struct err *err)
{
    struct json turn = json_get(item, "turn"), evidence = json_get(item, "evidence"), each;
    struct json_iter it = {0};
    struct question *q = vec_push(&r->questions);
    if (!q)
        return err_set(err, r->questions.len == r->questions.max ? E_USAGE : E_NOMEM,
                       "questions: no room for more than %u", index);
    q->turn = json_type(turn) == JSON_NONE ? turns + 1 : ordinal_of(turn, turns + 1);
    q->first = (uint32_t)r->evidence.len;
    q->text_at = r->texts.len;
    if (json_type(json_get(item, "text")) != JSON_NONE &&
        (!json_string(json_get(item, "text"), &r->texts) || !buf_ok(&r->texts)))
        return err_set(err, E_USAGE, "questions[%u]: text: what is asked, of reasonable length",
                       index);
    q->text_len = r->texts.len - q->text_at;
    if (!q->turn)
        return err_set(err, E_USAGE, "questions[%u]: turn: a number from 1 to %u, or nothing for "
                       "a question after the conversation", index, turns + 1);
    if (json_type(evidence) != JSON_ARRAY || !json_count(evidence))
        return err_set(err, E_USAGE, "questions[%u]: evidence: a list of turns", index);
    while (json_next(evidence, &it, NULL, &each)) {
        uint32_t n = q->turn > 1 ? ordinal_of(each, q->turn - 1) : 0;
        uint32_t *place = vec_push(&r->evidence);
        if (!n)
            return err_set(err, E_USAGE, "questions[%u]: evidence: turns before turn %u", index,
                           q->turn);
        if (!place)
            return err_set(err, r->evidence.len == r->evidence.max ? E_USAGE : E_NOMEM,
                           "questions[%u]: no room for more evidence", index);
        *place = n;
        q->len++;
    }
    return E_OK;
}

static int by_turn(const void *a, const void *b)
{
    const struct question *x = a, *y = b;
    if (x->turn != y->turn)
        return x->turn < y->turn ? -1 : 1;
    return x->first < y->first ? -1 : x->first > y->first;
}

static int read_questions(struct replay *r, struct json list, uint32_t turns, struct err *err)
{
    struct json_iter it = {0};
    struct json item;
    uint32_t index = 0;
    int code = E_OK;
    vec_clear(&r->questions);
    vec_clear(&r->evidence);
    buf_clear(&r->texts);
    if (json_type(list) != JSON_NONE && json_type(list) != JSON_ARRAY)
        return err_set(err, E_USAGE, "questions: a list of {turn, evidence}");
    while (!code && json_next(list, &it, NULL, &item))
        code = read_question(r, item, turns, index++, err);
    if (r->questions.len)
        qsort(r->questions.ptr, r->questions.len, sizeof(struct question), by_turn);
    return code;
}

// ---- conversations

static void copy_member(struct json root, const char *key, const char *fallback, char *out,
                        size_t bytes)
{
    struct buf scratch = BUF_INIT(CHUNK_BYTES);
    struct slice text = json_text(json_get(root, key), &scratch);
    snprintf(out, bytes, "%.*s", text.ptr ? (int)text.len : (int)strlen(fallback),
             text.ptr ? text.ptr : fallback);
    buf_release(&scratch);
}

static int run_talk(struct replay *r, struct json root, const struct recorded *recorded,
                    struct err *err)
{
    char name[NAME_BYTES], user[USER_BYTES], context[CONTEXT_BYTES], line[32];
    struct backtest_question *questions = NULL;
    size_t len = r->questions.len;
    snprintf(line, sizeof(line), "line %llu", (unsigned long long)r->line);
    copy_member(root, "id", line, name, sizeof(name));
    copy_member(root, "user", "local", user, sizeof(user));
    copy_member(root, "context", "", context, sizeof(context));
    if (len && !(questions = mem_calloc(len, sizeof(*questions))))
        return err_set(err, E_NOMEM, "out of memory for questions");
    for (size_t i = 0; i < len; i++) {
        const struct question *q = vec_at(&r->questions, i);
        questions[i] = (struct backtest_question){
            .turn = q->turn,
            .text = q->text_len ? slice_of(r->texts.ptr + q->text_at, q->text_len) : SLICE_NONE,
            .evidence = VEC_AT(&r->evidence, uint32_t, q->first),
            .evidence_len = q->len};
    }
    struct backtest_talk talk = {.name = name,
                                 .user = user,
                                 .context = context,
                                 .turns = recorded->turns.ptr,
                                 .turns_len = (uint32_t)recorded->turns.len,
                                 .timed = recorded->timed,
                                 .questions = questions,
                                 .questions_len = (uint32_t)len};
    int code = backtest_run(r->backtest, &talk, err);
    mem_free(questions);
    return code;
}

static int read_line(struct replay *r, struct slice line, struct err *err)
{
    struct recorded recorded;
    int code = json_parse(&r->doc, line, 0, err);
    struct json root = json_root(&r->doc);
    if (code)
        return code;
    recorded_init(&recorded, NULL);
    recorded.encoding = r->encoding;
    code = recorded_read(&recorded, json_get(root, "messages"), 0, BACKTEST_TURN_MS, err);
    if (!code && !recorded.turns.len)
        code = err_set(err, E_USAGE, "messages: the user says nothing");
    if (!code)
        code = read_questions(r, json_get(root, "questions"), (uint32_t)recorded.turns.len, err);
    if (!code)
        code = run_talk(r, root, &recorded, err);
    recorded_release(&recorded);
    r->talks++;
    return code;
}

static bool is_blank(struct slice line)
{
    for (size_t i = 0; i < line.len; i++) {
        if (!memchr(" \t\r", line.ptr[i], 3))
            return false;
    }
    return true;
}

static int watch(const struct replay *r, struct err *err)
{
    const parley_replay_options *how = r->how;
    if (how->progress && how->progress(how->progress_user, r->done_bytes, r->total_bytes))
        return err_set(err, E_CANCELLED, "stopped");
    return E_OK;
}

static int take_line(struct replay *r, struct slice line, struct err *err)
{
    r->line++;
    r->line_bytes = line.len + 1;
    int code = is_blank(line) ? E_OK : read_line(r, line, err);
    if (code == E_CANCELLED)
        return code;
    if (code)
        return err_prefix(err, "%s: line %llu: ", r->how->file, (unsigned long long)r->line);
    r->done_bytes += r->line_bytes;
    r->line_bytes = 0;
    return watch(r, err);
}

// The whole lines of `bytes`, which keeps the rest.
static int take_lines(struct replay *r, struct buf *bytes, struct err *err)
{
    size_t at = 0;
    int code = E_OK;
    const char *end;
    while (!code && at < bytes->len && (end = memchr(bytes->ptr + at, '\n', bytes->len - at))) {
        size_t len = (size_t)(end - (bytes->ptr + at));
        code = take_line(r, slice_of(bytes->ptr + at, len), err);
        at += len + 1;
    }
    buf_consume(bytes, at);
    return code;
}

// More of the file; 0 bytes: its end. Whoever waits for a stream can stop.
static int read_more(struct replay *r, int fd, struct buf *bytes, size_t *got, struct err *err)
{
    struct pollfd ready = {.fd = fd, .events = POLLIN};
    char *to = buf_reserve(bytes, CHUNK_BYTES);
    if (!to)
        return bytes->no_memory ? err_set(err, E_NOMEM, "out of memory for a line")
                                : err_set(err, E_USAGE, "%s: line %llu: longer than %d bytes",
                                          r->how->file, (unsigned long long)r->line + 1,
                                          JOB_TEXT_BYTES_MAX);
    while (poll(&ready, 1, WATCH_MS) <= 0) {
        if (watch(r, err))
            return err->code;
    }
    ssize_t n = read(fd, to, CHUNK_BYTES);
    if (n < 0)
        return err_set(err, E_USAGE, "%s: %s", r->how->file, strerror(errno));
    *got = (size_t)n;
    buf_grew(bytes, *got);
    return E_OK;
}

static int read_lines(struct replay *r, int fd, struct err *err)
{
    struct buf bytes = BUF_INIT(JOB_TEXT_BYTES_MAX + CHUNK_BYTES);
    size_t got = 1;
    int code = E_OK;
    while (!code && got > 0) {
        got = 0;
        code = read_more(r, fd, &bytes, &got, err);
        if (!code && got && memchr(bytes.ptr + bytes.len - got, '\n', got))
            code = take_lines(r, &bytes, err);
    }
    if (!code && bytes.len)
        code = take_line(r, buf_slice(&bytes), err);
    buf_release(&bytes);
    return code;
}

static int read_file(struct replay *r, struct err *err)
{
    bool from_stdin = strcmp(r->how->file, "-") == 0;
    int fd = from_stdin ? STDIN_FILENO : open(r->how->file, O_RDONLY | O_CLOEXEC);
    struct stat st;
    if (fd < 0)
        return err_set(err, E_USAGE, "cannot read %s: %s", r->how->file, strerror(errno));
    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
        r->total_bytes = (uint64_t)st.st_size;
    int code = read_lines(r, fd, err);
    if (!from_stdin)
        close(fd);
    return code;
}

// ---- the store

// Until the one answer.
static int wait_answer(struct replay *r, parley *e, struct err *err)
{
    const parley_replay_options *how = r->how;
    for (;;) {
        parley_event *event;
        if (how->progress &&
            how->progress(how->progress_user, backtest_conversations(r->backtest), 0))
            return err_set(err, E_CANCELLED, "stopped");
        if (parley_wait(e, WATCH_MS, &event) != 1)
            continue;
        bool last = event->type == PARLEY_EVENT_RESULT || event->type == PARLEY_EVENT_ERROR;
        int code = E_OK;
        if (event->type == PARLEY_EVENT_ERROR)
            code = err_set(err, event->code, "%s", event->text);
        else if (event->type == PARLEY_EVENT_WARNING)
            log_line(&r->log, LOG_WARN, "%s", event->text);
        parley_event_free(event);
        if (last)
            return code;
    }
}

static int read_store(struct replay *r, struct err *err)
{
    parley_scope scope = PARLEY_SCOPE_INIT;
    parley_error error = PARLEY_ERROR_INIT;
    parley *e;
    scope.user = r->how->user;
    scope.bot = r->how->bot;
    scope.flags = r->how->user ? 0 : PARLEY_ALL_USERS;
    int code = engine_open_copy(&e, r->options, conf_str(r->settings.conf, "store"), &error);
    if (!code)
        code = engine_backtest(e, &scope, r->how->since_ms, r->backtest, &error);
    if (code)
        err_set(err, code, "%s", error.message);
    else
        code = wait_answer(r, e, err);
    parley_close(e);
    if (!code && backtest_conversations(r->backtest) == 0)
        code = err_set(err, E_USAGE, "the store has no such conversation; --from FILE.jsonl reads "
                       "recorded ones");
    return code;
}

static void tear_down(struct replay *r)
{
    backtest_free(r->backtest);
    lua_loader_free(r->loader);
    llm_caps_free(r->caps);
    prices_free(r->prices);
    if (r->settings.conf)
        settings_release(&r->settings);
    json_doc_release(&r->doc);
    vec_release(&r->questions);
    vec_release(&r->evidence);
    buf_release(&r->texts);
}

int parley_replay(const parley_options *options, const parley_replay_options *how, char **report,
                  parley_error *error)
{
    struct replay r = {.how = how,
                       .options = options,
                       .questions = VEC_INIT(struct question, QUESTIONS_MAX),
                       .evidence = VEC_INIT(uint32_t, EVIDENCE_MAX),
                       .texts = BUF_INIT(CHUNK_BYTES)};
    struct buf json = BUF_INIT(REPORT_BYTES_MAX);
    struct json_writer w;
    struct err err = ERR_INIT;
    r.log = options_log(options);
    int code = set_up(&r, &err);
    if (!code)
        code = how->file ? read_file(&r, &err) : read_store(&r, &err);
    if (!code && how->file && !r.talks)
        code = err_set(&err, E_USAGE, "%s: there is no conversation in it", how->file);
    if (!code) {
        jw_init(&w, &json);
        jw_object(&w);
        backtest_write(r.backtest, &w);
        jw_object_end(&w);
    }
    tear_down(&r);
    return finish_report(&json, code, report, &err, error);
}
