// SPDX-License-Identifier: MIT
// harness.h: what the fault harnesses with an engine share: a folder with a policy and a script,
// engines over it, waiting for answers. fault/run.h has how long and which seed.
// Header only; one thread unless said otherwise.
#ifndef TESTS_FAULT_HARNESS_H
#define TESTS_FAULT_HARNESS_H

#include "base/json.h"
#include "base/mem.h"
#include "fault/run.h"
#include "parley_int.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { PLACE_BYTES = 128, NAME_BYTES = 320, SETTINGS_MAX = 32, WAIT_MS = 60000 };

// ---- a place: a folder of its own, with a policy and a script

struct place {
    char dir[PLACE_BYTES];
};

static inline const char *place_path(const struct place *p, const char *name, char out[NAME_BYTES])
{
    snprintf(out, NAME_BYTES, "%s/%s", p->dir, name);
    return out;
}

static inline void place_write(const struct place *p, const char *name, const char *text)
{
    char path[NAME_BYTES];
    FILE *f = fopen(place_path(p, name, path), "w");
    if (!f || fputs(text, f) < 0 || fclose(f) != 0)
        give_up("%s: %s", path, strerror(errno));
}

// What is said is known from what was asked: "Answer to #17." and, for long ones, a tail.
#define REPLY_TAIL "0123456789abcdefghijklmnopqrstuvwxyz-0123456789abcdefghijklmnopqrstuvwxyz "
enum { REPLY_TAILS = 100, REPLY_BYTES = 64 + REPLY_TAILS * sizeof(REPLY_TAIL) };

static inline void place_make_under(struct place *p, const char *base)
{
    char path[NAME_BYTES];
    snprintf(p->dir, sizeof(p->dir), "%s/parley-fault-XXXXXX", base);
    if (!mkdtemp(p->dir) || mkdir(place_path(p, "policies", path), 0700) != 0)
        give_up("%s: %s", p->dir, strerror(errno));
    place_write(p, "policies/fault.lua",
                "local history = require \"parley.history\"\n"
                "return { system = \"Be brief.\", history = history.window { keep_turns = 4 },\n"
                "         privacy = { redact = false } }  -- texts are compared to the byte\n");
    place_write(p, "reply.lua",
                "local tail = (\"" REPLY_TAIL "\"):rep(100)\n"
                "return function(request)\n"
                "    local text = request.messages[#request.messages].text\n"
                "    local n = text:match(\"#(%d+)[^#]*$\") or \"?\"\n"
                "    return \"Answer to #\" .. n .. \".\" .. (text:find(\"long\", 1, true) and "
                "tail or \"\")\n"
                "end\n");
}

static inline void place_make(struct place *p)
{
    const char *base = getenv("TMPDIR");
    place_make_under(p, base && base[0] && strlen(base) < 64 ? base : "/tmp");
}

// On a disk of memory, where there is one: for faults that no real disk has a part in.
static inline void place_make_light(struct place *p)
{
    if (access("/dev/shm", W_OK) == 0)
        place_make_under(p, "/dev/shm");
    else
        place_make(p);
}

// Everything in it that a store made: the next engine begins anew.
static inline void place_clean(const struct place *p)
{
    static const char *const files[] = {"db",      "db-wal",      "db-shm",
                                        "db-lock", "parley.keys", "parley.keys.lock"};
    char path[NAME_BYTES];
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
        unlink(place_path(p, files[i], path));
}

static inline void place_remove(const struct place *p)
{
    char command[NAME_BYTES];
    snprintf(command, sizeof(command), "rm -rf '%s'", p->dir);
    if (system(command) != 0)
        fprintf(stderr, "fault: %s is left behind\n", p->dir);
}

static inline void reply_expected(uint64_t n, bool is_long, char out[REPLY_BYTES])
{
    int len = snprintf(out, REPLY_BYTES, "Answer to #%llu.", (unsigned long long)n);
    for (int i = 0; is_long && i < REPLY_TAILS; i++)
        len += snprintf(out + len, (size_t)(REPLY_BYTES - len), "%s", REPLY_TAIL);
}

// The number behind the last '#': which of our texts this is. 0: none.
static inline uint64_t text_number(struct slice text)
{
    const char *at = text.len ? memrchr(text.ptr, '#', text.len) : NULL;
    uint64_t n = 0;
    for (at = at ? at + 1 : NULL; at && at < text.ptr + text.len && *at >= '0' && *at <= '9'; at++)
        n = n * 10 + (uint64_t)(*at - '0');
    return n;
}

// ---- engines

struct engine_wish {
    const char *store;    // NULL: sqlite in the place
    const char *provider; // NULL: scripted
    const char *settings[SETTINGS_MAX];
    int workers; // 0: 1
    const struct engine_seams *seams;
    void (*trace)(void *user, const char *provider, const char *body, size_t len);
    void (*log)(void *user, parley_log_level level, const char *line);
    void *user;
};

// Providers: scripted (at once), slow (piece by piece), cut (the stream breaks).
static inline int place_open(const struct place *p, const struct engine_wish *wish, parley **out,
                             parley_error *error)
{
    char store[NAME_BYTES + 8], policies[NAME_BYTES], script[3][NAME_BYTES + 64];
    static const char *const scripted[] = {"scripted", "slow", "cut"};
    const char *settings[SETTINGS_MAX * 2] = {"providers.slow.api=scripted",
                                              "providers.slow.delay_ms=1",
                                              "providers.slow.model=m",
                                              "providers.cut.api=scripted",
                                              "providers.cut.drop_after_bytes=560",
                                              "providers.cut.model=m"};
    size_t n = 6;
    for (size_t i = 0; i < 3; i++) {
        snprintf(script[i], sizeof(script[i]), "providers.%s.script=%s/reply.lua", scripted[i],
                 p->dir);
        settings[n++] = script[i];
    }
    for (size_t i = 0; i < SETTINGS_MAX && wish->settings[i]; i++)
        settings[n++] = wish->settings[i];
    snprintf(store, sizeof(store), "sqlite:%s/db", p->dir);
    parley_options options = PARLEY_OPTIONS_INIT;
    options.config = "";
    options.no_environment = 1;
    options.store = wish->store ? wish->store : store;
    options.policies = place_path(p, "policies", policies);
    options.bot = "fault";
    options.provider = wish->provider ? wish->provider : "scripted";
    options.model = "m";
    options.settings = settings;
    options.workers = wish->workers ? wish->workers : 1;
    options.trace = wish->trace;
    options.log = wish->log;
    options.user = wish->user;
    return engine_open(out, &options, wish->seams, error);
}

// The next event; a harness waits no longer than WAIT_MS for any.
static inline parley_event *next_event(parley *e)
{
    parley_event *event;
    if (parley_wait(e, WAIT_MS, &event) != 1)
        give_up("no event in %d ms", WAIT_MS);
    return event;
}

static inline bool is_last(const parley_event *event)
{
    return event->type == PARLEY_EVENT_DONE || event->type == PARLEY_EVENT_RESULT ||
           event->type == PARLEY_EVENT_ERROR;
}

// The last event of the one request that is under way; the caller frees it. *accepted (may be
// NULL): whether ACCEPTED came.
static inline parley_event *wait_end(parley *e, bool *accepted)
{
    if (accepted)
        *accepted = false;
    for (;;) {
        parley_event *event = next_event(e);
        if (accepted && event->type == PARLEY_EVENT_ACCEPTED)
            *accepted = true;
        if (is_last(event))
            return event;
        parley_event_free(event);
    }
}

// Asks and waits: RESULT or ERROR, the caller's.
static inline parley_event *ask_show(parley *e, const char *user, const char *session)
{
    parley_scope scope = PARLEY_SCOPE_INIT;
    parley_error error = PARLEY_ERROR_INIT;
    uint64_t request;
    scope.user = user;
    scope.session = session;
    if (parley_show(e, &scope, &request, &error) < 0)
        give_up("show: %s", error.message);
    return wait_end(e, NULL);
}

static inline parley_event *ask_sessions(parley *e, const char *user)
{
    parley_scope scope = PARLEY_SCOPE_INIT;
    parley_error error = PARLEY_ERROR_INIT;
    uint64_t request;
    scope.user = user;
    if (parley_sessions(e, &scope, &request, &error) < 0)
        give_up("sessions: %s", error.message);
    return wait_end(e, NULL);
}

static inline parley_event *ask_verify(parley *e)
{
    parley_scope scope = PARLEY_SCOPE_INIT;
    parley_error error = PARLEY_ERROR_INIT;
    uint64_t request;
    scope.flags = PARLEY_ALL_USERS;
    if (parley_verify(e, &scope, &request, &error) < 0)
        give_up("verify: %s", error.message);
    return wait_end(e, NULL);
}

// Problems that `parley verify` finds; each is shown. -1: it could not run.
static inline int verify_problems(parley *e)
{
    parley_event *event = ask_verify(e);
    struct json_doc doc = JSON_DOC_INIT;
    struct json_iter it = {0};
    struct json item;
    int n = -1;
    if (event->type == PARLEY_EVENT_RESULT &&
        json_parse(&doc, slice_str(event->json), 0, NULL) == E_OK) {
        struct json problems = json_get(json_root(&doc), "problems");
        n = (int)json_count(problems);
        while (json_next(problems, &it, NULL, &item))
            fprintf(stderr, "verify: %.*s\n", SLICE_FMT(json_raw(item)));
    } else {
        fprintf(stderr, "verify: %s\n", event->text);
    }
    json_doc_release(&doc);
    parley_event_free(event);
    return n;
}

// ---- reading transcripts

// The text blocks of a step, one after the other, appended.
static inline void step_text(struct json step, struct buf *out)
{
    struct json_iter it = {0};
    struct json block;
    while (json_next(json_get(step, "content"), &it, NULL, &block)) {
        if (json_is_string(json_get(block, "type"), "text"))
            json_string(json_get(block, "text"), out);
    }
}

static inline uint32_t ordinal_of(struct json v)
{
    char text[16] = "";
    struct slice raw = json_raw(v);
    if (raw.len > 2 && raw.len < sizeof(text))
        memcpy(text, raw.ptr + 1, raw.len - 2);
    return (uint32_t)strtoul(text, NULL, 10);
}

static inline uint64_t hash_of(struct slice text)
{
    uint64_t h = 14695981039346656037u;
    for (size_t i = 0; i < text.len; i++)
        h = (h ^ (unsigned char)text.ptr[i]) * 1099511628211u;
    return h;
}

#endif
