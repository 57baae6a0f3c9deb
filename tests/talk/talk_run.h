// SPDX-License-Identifier: MIT
// talk_run.h: an engine in simulated time, over the simulated wire and a store in memory, to which
// a dialogue's lines happen one after the other; what was said, sent and told on the way.
//
// Invariants:
//   1. Every request is looked at, whether the dialogue checks it or not: roles alternate, the user
//   is
//      last, nothing is empty.
//   2. The first failure is the one that is told.
#ifndef TALK_RUN_H
#define TALK_RUN_H

#include "talk_model.h"

#include "base/rand.h"
#include "parley_int.h"

#include <sys/stat.h>
#include <unistd.h>

enum {
    SAID_MAX = 96,
    SAID_WARNINGS_MAX = 16,
    SESSIONS_MAX = 64,
    REQUESTS_IN_FILE_MAX = 128,
    MESSAGES_MAX = 4096,
    SETTINGS_MAX = 32,
    SHOWN_BYTES = 160,
    NAME_MAX_BYTES = 128,
    PATH_MAX_BYTES = 512,
    STORY_BYTES_MAX = 1 << 20
};
static const int64_t TALK_STARTS_MS = 1767261600000; // 2026-01-01T10:00:00Z

// A request as it went out.
struct talk_request {
    char provider[NAME_MAX_BYTES];
    struct buf body;
    char **messages; // "user: …", one a message; owned
    size_t len;
};

// A message of a user's, or a command, and what came of it.
struct said {
    unsigned n; // its line
    uint64_t request;
    char user[NAME_MAX_BYTES];
    char session[ID_TEXT_BYTES];
    bool session_new; // it was the first in its session
    uint32_t turn;
    struct buf deltas, json, error;
    int code;
    bool over, lost_with_engine, done;
    char *warnings[SAID_WARNINGS_MAX];
    unsigned warnings_len, warnings_seen; // how many there are; bits of those the dialogue expects
    bool outcome_seen;
    char moved[NAME_MAX_BYTES]; // to which device the session moved meanwhile
    bool moved_seen;
};

struct talk {
    const char *path;
    const char *provider; // configured default
    char folder[PATH_MAX_BYTES];
    struct clock_sim clock;
    struct rand_sim rand;
    struct store *hold; // keeps the memory store while no engine is open
    parley *engine;
    struct loop *loop;
    struct play *plays;
    struct vec lines;
    struct answer *answers;         // one per line; those of model: lines are used
    size_t answer_next, answer_end; // lines between which unused answers may stand
    char store[NAME_MAX_BYTES];     // how the store fails; "" not at all
    bool store_fails;               // the one that is open
    bool damaged;                   // a record was, since it was opened
    char *settings[SETTINGS_MAX + 1];
    unsigned settings_len;
    bool settings_changed;
    // for messages
    char bot[NAME_MAX_BYTES], user[NAME_MAX_BYTES], context[NAME_MAX_BYTES];
    char with_provider[NAME_MAX_BYTES], with_model[NAME_MAX_BYTES], key[NAME_MAX_BYTES];
    char device[NAME_MAX_BYTES];
    bool fresh, stateless, here;
    unsigned in_session; // 0: none named
    // what happened
    struct said said[SAID_MAX];
    unsigned said_len;
    struct said *held; // waits for `goes-on`, with nothing under way on the wire
    struct said *now;  // what checks look at; NULL before the first
    char sessions[SESSIONS_MAX][ID_TEXT_BYTES];
    char owners[SESSIONS_MAX][NAME_MAX_BYTES];
    unsigned sessions_len;
    struct talk_request sent[REQUESTS_IN_FILE_MAX];
    unsigned sent_len;
    struct buf log, story, why;
    uint64_t asked; // a question of the runner's own
    struct buf answer;
    bool answer_ok;
    // the block under way (talk_check.h)
    unsigned action_n, block_sent, group, group_at;
    bool in_block;
    size_t block_log;
};

// ---- failing

// Text for a message: escapes for what is no plain character, cut when long.
static void talk_show(struct buf *out, struct slice s)
{
    for (size_t i = 0; i < s.len && i < SHOWN_BYTES; i++) {
        if (s.ptr[i] == '\n')
            buf_add_str(out, "\\n");
        else
            buf_add_char(out, s.ptr[i]);
    }
    if (s.len > SHOWN_BYTES)
        buf_addf(out, "… (%zu bytes)", s.len);
}

static bool __attribute__((format(printf, 3, 4)))
talk_fail(struct talk *t, unsigned n, const char *fmt, ...)
{
    char text[2048];
    va_list ap;

    if (t->why.len)
        return false;
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    buf_addf(&t->why, "%s:%u: %s", t->path, n, text);
    return false;
}

static bool talk_differs(struct talk *t, unsigned n, const char *what, struct slice expected,
                         struct slice actual)
{
    struct buf a = BUF_INIT(4096), b = BUF_INIT(4096);

    talk_show(&a, expected);
    talk_show(&b, actual);
    talk_fail(t, n, "%s\n    expected: %s\n    actual:   %s", what, a.ptr ? a.ptr : "",
              b.ptr ? b.ptr : "");
    buf_release(&a);
    buf_release(&b);
    return false;
}

static void talk_tell(struct talk *t, const char *what, struct slice text)
{
    buf_addf(&t->story, "#   %s ", what);
    talk_show(&t->story, text);
    buf_add_char(&t->story, '\n');
}

// ---- requests

static void add_message(struct talk_request *s, const char *role, struct slice text)
{
    struct buf line = BUF_INIT(32 << 20);

    buf_addf(&line, "%s: ", role);
    buf_add_slice(&line, text);
    s->messages[s->len++] = buf_take(&line, NULL);
}

// A message's content: a string, or blocks, shown with a blank line between them.
static void content_of(struct json content, struct buf *out)
{
    struct json_iter it = {0};
    struct json none, block;

    if (json_type(content) == JSON_STRING) {
        json_string(content, out);
        return;
    }
    while (json_next(content, &it, &none, &block)) {
        if (out->len)
            buf_add_str(out, "\n\n");
        if (!json_string(json_get(block, "text"), out))
            buf_add_slice(out, json_raw(block));
    }
}

static bool read_messages(struct talk_request *s, struct json root, struct buf *scratch)
{
    struct json_iter it = {0};
    struct json none, message;
    bool user_next = true;
    const char *role = "";

    if (json_string(json_get(root, "system"), scratch))
        add_message(s, "system", buf_slice(scratch));
    while (json_next(json_get(root, "messages"), &it, &none, &message) && s->len < MESSAGES_MAX) {
        struct json who = json_get(message, "role");
        role = json_is_string(who, "user")        ? "user"
               : json_is_string(who, "assistant") ? "assistant"
                                                  : "system";
        buf_clear(scratch);
        content_of(json_get(message, "content"), scratch);
        bool expected =
            strcmp(role, "system") == 0 ? s->len == 0 : (strcmp(role, "user") == 0) == user_next;
        if (!expected || scratch->len == 0)
            return false;
        if (strcmp(role, "system") != 0)
            user_next = !user_next;
        add_message(s, role, buf_slice(scratch));
    }
    return strcmp(role, "user") == 0 && json_bool(json_get(root, "stream"), false);
}

static void take_request(struct talk *t, const char *provider, struct slice body)
{
    struct json_doc doc = JSON_DOC_INIT;
    struct buf scratch = BUF_INIT(32 << 20);
    struct talk_request *s = &t->sent[t->sent_len];

    if (t->sent_len == REQUESTS_IN_FILE_MAX) {
        talk_fail(t, t->action_n, "more than %d requests", REQUESTS_IN_FILE_MAX);
        return;
    }
    t->sent_len++;
    snprintf(s->provider, sizeof(s->provider), "%s", provider);
    s->body = (struct buf)BUF_INIT(32 << 20);
    buf_add_slice(&s->body, body);
    s->messages = mem_calloc(MESSAGES_MAX + 1, sizeof(*s->messages));
    bool valid =
        json_parse(&doc, body, 0, NULL) == E_OK && read_messages(s, json_root(&doc), &scratch);
    for (size_t i = 0; i < s->len; i++)
        talk_tell(t, "sent:", slice_str(s->messages[i]));
    if (!valid)
        talk_fail(t, t->action_n, "the request is not one that a provider takes: %.*s",
                  (int)(body.len < 1000 ? body.len : 1000), body.ptr);
    json_doc_release(&doc);
    buf_release(&scratch);
}

// ---- the seams

// The next line that answers, if it is of this kind.
static const struct answer *next_answer(struct talk *t, enum word word)
{
    static const struct answer refusal = {.status = 400, .text = {"", 0}};

    while (t->answer_next < t->answer_end) {
        size_t i = t->answer_next++;
        enum word is = VEC_AT(&t->lines, struct line, i)->word;
        if (is == word)
            return &t->answers[i];
        if (is == W_MODEL || is == W_COUNT)
            break;
    }
    talk_fail(t, t->action_n, word == W_MODEL
                                  ? "the model is asked, and no model: line is left to answer"
                                  : "a count is asked for, and no count: line is next to answer");
    return &refusal;
}

// What is to be counted: the input, and nothing else of a request.
static void check_counting(struct talk *t, struct slice body)
{
    static const char *const strange[] = {"stream", "max_tokens", "max_completion_tokens",
                                          "stream_options", "cache_control"};
    struct json_doc doc = JSON_DOC_INIT;
    bool fine = json_parse(&doc, body, 0, NULL) == E_OK;
    struct json root = json_root(&doc);

    fine = fine && json_type(json_get(root, "model")) == JSON_STRING &&
           json_count(json_get(root, "messages")) > 0;
    for (size_t i = 0; i < sizeof(strange) / sizeof(strange[0]); i++)
        fine = fine && json_type(json_get(root, strange[i])) == JSON_NONE;
    if (!fine)
        talk_fail(t, t->action_n, "not what a provider counts: %.*s", (int)body.len, body.ptr);
    json_doc_release(&doc);
}

static void on_wire(void *user, struct wire_request *r)
{
    struct talk *t = user;
    bool openai = strstr(r->url, "/chat/completions") != NULL;
    bool counts = strstr(r->url, "/count_tokens") || strstr(r->url, "/input_tokens");

    if (counts) {
        check_counting(t, r->body);
        play_count(&t->plays, t->loop, r, next_answer(t, W_COUNT));
        return;
    }
    take_request(t, openai ? "openai" : "anthropic", r->body);
    const struct answer *answer = next_answer(t, W_MODEL);
    if (answer->pause && answer->status)
        t->held = t->now;
    play_start(&t->plays, t->loop, r, answer, openai);
}

static void on_gone(void *user, struct wire_request *r)
{
    struct talk *t = user;

    for (struct play *p = t->plays; p; p = p->next) {
        if (p->request == r) {
            play_free(p);
            return;
        }
    }
}

static int make_wire(void *user, struct loop *loop, struct wire **out, struct err *err)
{
    struct talk *t = user;
    struct wire_sim_ops ops = {.answer = on_wire, .gone = on_gone, .user = t};

    t->loop = loop;
    return wire_new_sim(out, loop, &ops, err);
}

enum { TOLD_BYTES_MIN = 6 };  // a shorter text may be any word

// In no dialogue does a line of the log, at any level, hold what a person or a model said.
static void overhear(struct talk *t, const char *log)
{
    for (size_t i = 0; i < t->lines.len; i++) {
        const struct line *line = vec_at(&t->lines, i);
        bool words = line->word == W_USER || line->word == W_EDIT || line->word == W_MODEL;

        if (words && line->text.len >= TOLD_BYTES_MIN && strstr(log, line->text.ptr))
            talk_fail(t, line->n, "is in the log: %s", log);
    }
}

static void on_log(void *user, parley_log_level level, const char *line)
{
    struct talk *t = user;

    overhear(t, line);
    if (level == PARLEY_LOG_DEBUG)
        return;
    buf_addf(&t->log, "%s\n", line);
    talk_tell(t, "log:", slice_str(line));
}

// A request for embeddings, which is no part of the conversation.
static bool is_embedding(struct slice body)
{
    struct json_doc doc = JSON_DOC_INIT;
    bool is = json_parse(&doc, body, 0, NULL) == E_OK &&
              json_type(json_get(json_root(&doc), "input")) == JSON_ARRAY &&
              json_type(json_get(json_root(&doc), "messages")) == JSON_NONE;
    json_doc_release(&doc);
    return is;
}

// Providers without a wire are seen here.
static void on_trace(void *user, const char *provider, const char *body, size_t bytes)
{
    if (is_embedding(slice_of(body, bytes)))
        talk_tell(user, "embedded:", slice_of(body, bytes));
    else if (strcmp(provider, "scripted") == 0)
        take_request(user, provider, slice_of(body, bytes));
}

// ---- opening

static bool write_file(struct talk *t, const char *name, struct slice text)
{
    char path[PATH_MAX_BYTES + NAME_MAX_BYTES];

    snprintf(path, sizeof(path), "%s/%s", t->folder, name);
    FILE *f = fopen(path, "wb");
    bool ok = f && fwrite(text.ptr, 1, text.len, f) == text.len;
    if (f && fclose(f) != 0)
        ok = false;
    return ok ? true : talk_fail(t, t->action_n, "cannot write %s", path);
}

static bool talk_open(struct talk *t)
{
    char config[PATH_MAX_BYTES + 16], policies[PATH_MAX_BYTES + 16], keyring[PATH_MAX_BYTES + 16];
    char good[64], store[NAME_MAX_BYTES + 80];
    parley_options options = PARLEY_OPTIONS_INIT;
    parley_error error = PARLEY_ERROR_INIT;
    struct engine_seams seams = {
        .clock = &t->clock, .rand = &t->rand.rand, .wire = make_wire, .user = t};
    struct store_env env = {.clock = &t->clock.clock, .rand = &t->rand.rand};

    snprintf(config, sizeof(config), "%s/parley.lua", t->folder);
    snprintf(policies, sizeof(policies), "%s/policies", t->folder);
    snprintf(keyring, sizeof(keyring), "%s/keys", t->folder);
    snprintf(good, sizeof(good), "memory:talk-%p", (void *)t);
    snprintf(store, sizeof(store), "%s%s%s%s", t->store[0] ? "faulty:" : "", t->store,
             t->store[0] ? ";" : "", good);
    t->store_fails = t->store[0] != '\0';
    options.config = config;
    options.store = store;
    options.policies = policies;
    options.keyring = keyring;
    options.settings = (const char *const *)(void *)t->settings;
    options.no_environment = 1;
    options.log = on_log;
    options.trace = on_trace;
    options.user = t;
    t->settings_changed = false;
    if (!t->hold && store_open(&t->hold, good, &env, NULL))
        return talk_fail(t, t->action_n, "no store");
    if (engine_open(&t->engine, &options, &seams, &error))
        return talk_fail(t, t->action_n, "the engine does not open: %s", error.message);
    return true;
}

static bool talk_begin(struct talk *t, const char *path, const char *provider)
{
    char config[512];

    *t = (struct talk){.path = path,
                       .provider = provider,
                       .bot = "plain",
                       .user = "ann",
                       .lines = VEC_INIT(struct line, TALK_LINES_MAX),
                       .log = BUF_INIT(STORY_BYTES_MAX),
                       .story = BUF_INIT(STORY_BYTES_MAX),
                       .why = BUF_INIT(64 << 10),
                       .answer = BUF_INIT(32 << 20)};
    clock_sim_init(&t->clock, TALK_STARTS_MS);
    rand_sim_init(&t->rand, 1);
    const char *tmp = getenv("TMPDIR");
    snprintf(t->folder, sizeof(t->folder), "%s/parley-talk-XXXXXX", tmp && tmp[0] ? tmp : "/tmp");
    char policies[PATH_MAX_BYTES + 16];
    if (!mkdtemp(t->folder))
        return talk_fail(t, 0, "no temporary folder");
    snprintf(policies, sizeof(policies), "%s/policies", t->folder);
    snprintf(
        config, sizeof(config),
        "return { default = { provider = \"%s\" }, providers = {\n"
        "  anthropic = { model = \"claude-sonnet-4-5\" }, openai = { model = \"gpt-4o\" } } }\n",
        provider);
    return mkdir(policies, 0700) == 0 && write_file(t, "parley.lua", slice_str(config));
}

// ---- events

static struct said *said_of(struct talk *t, uint64_t request)
{
    for (unsigned i = 0; i < t->said_len; i++) {
        if (t->said[i].request == request && !t->said[i].lost_with_engine)
            return &t->said[i];
    }
    return NULL;
}

static unsigned session_number(const struct talk *t, const char *id)
{
    for (unsigned i = 0; i < t->sessions_len; i++) {
        if (strcmp(t->sessions[i], id) == 0)
            return i + 1;
    }
    return 0;
}

static void see_session(struct talk *t, struct said *s, const char *id)
{
    snprintf(s->session, sizeof(s->session), "%s", id);
    if (session_number(t, id) || t->sessions_len == SESSIONS_MAX)
        return;
    s->session_new = true;
    memcpy(t->owners[t->sessions_len], s->user, sizeof(s->user));
    memcpy(t->sessions[t->sessions_len++], s->session, sizeof(s->session));
}

static void see_result(struct talk *t, struct said *s, const parley_event *e)
{
    struct json_doc doc = JSON_DOC_INIT;
    struct buf text = BUF_INIT(TALK_TEXT_BYTES_MAX);

    s->over = true;
    s->code = e->code;
    buf_add_str(&s->json, e->json);
    if (e->code)
        buf_add_str(&s->error, e->text);
    if (e->json[0] && json_parse(&doc, slice_str(e->json), 0, NULL) == E_OK) {
        if (json_string(json_get(json_root(&doc), "session"), &text))
            see_session(t, s, text.ptr);
        buf_clear(&text);
        if (json_string(json_get(json_root(&doc), "turn"), &text))
            s->turn = (uint32_t)strtoul(text.ptr, NULL, 10);
    }
    json_doc_release(&doc);
    buf_release(&text);
}

static void see_event(struct talk *t, const parley_event *e)
{
    static const char *const names[] = {"accepted", "delta", "warning", "done", "result", "error",
                                        "moved",    "watching", "changed"};
    struct said *s = said_of(t, e->request);

    if (e->request == t->asked) {
        buf_clear(&t->answer);
        buf_add_str(&t->answer, e->type == PARLEY_EVENT_RESULT ? e->json : e->text);
        t->answer_ok = e->type == PARLEY_EVENT_RESULT;
        return;
    }
    buf_addf(&t->story, "#   %s: ", names[e->type]);
    talk_show(&t->story, slice_str(e->json[0] ? e->json : e->text));
    buf_add_char(&t->story, '\n');
    if (!s)
        return;
    switch (e->type) {
    case PARLEY_EVENT_ACCEPTED:
        see_session(t, s, e->session);
        s->turn = e->turn;
        break;
    case PARLEY_EVENT_DELTA:
        buf_add(&s->deltas, e->text, e->text_bytes);
        break;
    case PARLEY_EVENT_WARNING:
        if (s->warnings_len < SAID_WARNINGS_MAX)
            s->warnings[s->warnings_len++] = mem_strdup(e->text);
        break;
    case PARLEY_EVENT_MOVED:
        snprintf(s->moved, sizeof(s->moved), "%s", e->text[0] ? e->text : "(no name)");
        break;
    case PARLEY_EVENT_WATCHING:
    case PARLEY_EVENT_CHANGED:
        break;
    case PARLEY_EVENT_DONE:
        s->done = true;
        see_result(t, s, e);
        break;
    case PARLEY_EVENT_RESULT:
    case PARLEY_EVENT_ERROR:
        see_result(t, s, e);
        break;
    }
}

static void take_events(struct talk *t)
{
    parley_event *e;

    while ((e = events_pop(&t->engine->events)) != NULL) {
        see_event(t, e);
        parley_event_free(e);
    }
}

static bool anything_paused(const struct talk *t)
{
    if (t->held && !t->held->over)
        return true;
    for (const struct play *p = t->plays; p; p = p->next) {
        if (p->paused)
            return true;
    }
    return false;
}

// Until nothing is left to do; while the provider is held, only what takes no time.
static void talk_run(struct talk *t)
{
    if (anything_paused(t))
        loop_run_for(t->loop, 0);
    else
        loop_run(t->loop);
    take_events(t);
}

// ---- questions of the runner's own; the JSON is in t->answer

static bool talk_asked(struct talk *t, int code, const parley_error *error)
{
    if (code)
        return talk_fail(t, t->action_n, "asking: %s", error->message);
    t->answer_ok = false;
    buf_clear(&t->answer);
    talk_run(t);
    t->asked = 0;
    return t->answer_ok ? true
                        : talk_fail(t, t->action_n, "asking: %s",
                                    t->answer.ptr ? t->answer.ptr : "no answer came");
}

// The transcript of a session, by its number from 1.
static bool talk_ask_show(struct talk *t, unsigned number)
{
    parley_scope scope = PARLEY_SCOPE_INIT;
    parley_error error = PARLEY_ERROR_INIT;

    scope.session = t->sessions[number - 1];
    scope.user = t->owners[number - 1];
    int code = parley_show(t->engine, &scope, &t->asked, &error);
    return talk_asked(t, code, &error);
}

// All that is remembered of the user by the bot.
static bool talk_ask_memory(struct talk *t)
{
    parley_scope scope = PARLEY_SCOPE_INIT;
    parley_error error = PARLEY_ERROR_INIT;

    scope.user = t->user;
    scope.bot = t->bot;
    scope.context = t->context;
    int code = parley_memory(t->engine, &scope, PARLEY_MEMORY_ALL, &t->asked, &error);
    return talk_asked(t, code, &error);
}

static bool talk_verify(struct talk *t)
{
    parley_scope scope = PARLEY_SCOPE_INIT;
    parley_error error = PARLEY_ERROR_INIT;
    struct json_doc doc = JSON_DOC_INIT;

    scope.flags = PARLEY_ALL_USERS;
    if (!talk_asked(t, parley_verify(t->engine, &scope, &t->asked, &error), &error))
        return false;
    bool ok = json_parse(&doc, buf_slice(&t->answer), 0, NULL) == E_OK &&
              json_type(json_get(json_root(&doc), "problems")) == JSON_ARRAY &&
              json_count(json_get(json_root(&doc), "problems")) == 0;
    json_doc_release(&doc);
    return ok ? true : talk_fail(t, t->action_n, "verify finds problems: %s", t->answer.ptr);
}

// ---- closing

static void said_release(struct said *s)
{
    buf_release(&s->deltas);
    buf_release(&s->json);
    buf_release(&s->error);
    for (unsigned i = 0; i < s->warnings_len; i++)
        mem_free(s->warnings[i]);
}

static void talk_close(struct talk *t)
{
    if (t->engine)
        take_events(t);
    for (unsigned i = 0; i < t->said_len; i++)
        t->said[i].lost_with_engine = true; // request numbers begin anew
    parley_close(t->engine);
    t->engine = NULL;
    t->loop = NULL;
}

static void talk_end(struct talk *t)
{
    char command[PATH_MAX_BYTES + 16];

    talk_close(t);
    store_free(t->hold);
    for (unsigned i = 0; i < t->said_len; i++)
        said_release(&t->said[i]);
    for (unsigned i = 0; i < t->sent_len; i++) {
        for (size_t m = 0; m < t->sent[i].len; m++)
            mem_free(t->sent[i].messages[m]);
        mem_free(t->sent[i].messages);
        buf_release(&t->sent[i].body);
    }
    for (size_t i = 0; i < t->lines.len && t->answers; i++)
        mem_free((void *)(uintptr_t)t->answers[i].text.ptr);
    mem_free(t->answers);
    talk_lines_release(&t->lines);
    for (unsigned i = 0; i < t->settings_len; i++)
        mem_free(t->settings[i]);
    buf_release(&t->log);
    buf_release(&t->story);
    buf_release(&t->why);
    buf_release(&t->answer);
    snprintf(command, sizeof(command), "rm -rf '%s'", t->folder);
    if (t->folder[0] && system(command) != 0)
        fprintf(stderr, "%s stays behind\n", t->folder);
}

#endif
