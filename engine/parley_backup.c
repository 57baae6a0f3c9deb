// SPDX-License-Identifier: MIT
// parley_backup.c: copies of a store to a file and back. The store makes the copy, and gives it its
// name once we say that it is good: an engine that only reads opens it and verifies it.
//
//   backup    store ─▶ copy ─▶ verified ─▶ FILE
//   restore   FILE  ─▶ copy ─▶ verified ─▶ store, the old one kept beside
//
// The calling thread does it all, but for the engine's own.
#include "parley_int.h"

#include <sys/stat.h>

enum {
    NAME_BYTES_MAX = 8192,
    WATCH_MS = 100,
};

struct copying {
    const parley_options *options;
    const parley_copy_options *how;
    bool restores;
    struct buf keyring;     // its path; empty: in memory
    // What is known of the last copy that was checked.
    struct buf problems;    // a line each
    int64_t problems_len;
    uint64_t bytes;
    int64_t users, sessions, turns, orphans;
};

static int watch(void *user, uint64_t done_bytes, uint64_t total_bytes)
{
    struct copying *c = user;
    c->bytes = total_bytes;
    return c->how->progress ? c->how->progress(c->how->user, done_bytes, total_bytes) : 0;
}

static void add_problem(struct copying *c, struct slice line)
{
    buf_add_slice(&c->problems, line);
    buf_add_char(&c->problems, '\n');
    c->problems_len++;
}

// ---- verifying a copy

static int take_verdict(struct copying *c, const char *json, struct err *err)
{
    struct json_doc doc = JSON_DOC_INIT;
    struct buf scratch = BUF_INIT(1 << 20);
    struct json_iter it = {0};
    struct json line;
    int code = json_parse(&doc, slice_str(json), 0, err);
    struct json root = json_root(&doc);
    if (!code) {
        c->users = json_i64(json_get(root, "users"), 0);
        c->sessions = json_i64(json_get(root, "sessions"), 0);
        c->turns = json_i64(json_get(root, "turns"), 0);
        c->orphans = json_i64(json_get(root, "orphans"), 0);
        while (json_next(json_get(root, "problems"), &it, NULL, &line))
            add_problem(c, json_text(line, &scratch));
    }
    json_doc_release(&doc);
    buf_release(&scratch);
    return code;
}

// The one answer, which `take` reads, or E_CANCELLED.
static int wait_answer(struct copying *c, parley *e,
                       int (*take)(struct copying *c, const char *json, struct err *err),
                       struct err *err)
{
    for (;;) {
        parley_event *event;
        if (take && watch(c, c->bytes, c->bytes))
            return err_set(err, E_CANCELLED, "stopped while verifying the copy");
        if (parley_wait(e, WATCH_MS, &event) != 1)
            continue;
        int code = E_OK;
        bool last = true;
        if (event->type == PARLEY_EVENT_RESULT)
            code = take ? take(c, event->json, err) : E_OK;
        else if (event->type == PARLEY_EVENT_ERROR)
            code = err_set(err, event->code, "%s", event->text);
        else
            last = false;
        parley_event_free(event);
        if (last)
            return code;
    }
}

static int verify_records(struct copying *c, const char *url, struct err *err)
{
    parley_scope scope = PARLEY_SCOPE_INIT;
    parley_error error = PARLEY_ERROR_INIT;
    parley *e;
    scope.flags = PARLEY_ALL_USERS;
    int code = engine_open_copy(&e, c->options, url, &error);
    if (!code)
        code = parley_verify(e, &scope, NULL, &error);
    if (code)
        err_set(err, code, "%s", error.message);
    else
        code = wait_answer(c, e, take_verdict, err);
    parley_close(e);
    return code;
}

// Called by the store with a copy that has no name yet.
static int check_copy(void *user, const char *url, struct err *err)
{
    struct copying *c = user;
    bool accepted = c->how->flags & PARLEY_COPY_DAMAGED;
    buf_clear(&c->problems);
    c->problems_len = 0;
    c->orphans = 0;
    int code = verify_records(c, url, err);
    // Damage may keep it from being verified at all; so may an older format, and a store is best
    // backed up before it is migrated. What cannot be verified is not restored.
    if (code == E_CORRUPT || (code == E_STORE && accepted && !c->restores)) {
        add_problem(c, slice_str(err->message));
        code = E_OK;
    }
    if (!code)
        code = buf_check(&c->problems, "the list of problems", err);
    // An import under way leaves conversations half there, which is told and no damage: they are no
    // sessions yet, and the next import of them is whole.
    if (!code && c->problems_len > c->orphans && !accepted)
        code = err_set(err, E_CORRUPT, "problems in the copy: %lld; it was dropped (--damaged "
                       "keeps such a copy); the first: %.*s", (long long)c->problems_len,
                       (int)strcspn(c->problems.ptr, "\n"), c->problems.ptr);
    return code;
}

// An older store has an older audit trail than the head beside the keyring was signed over: that
// this is right is an entry of the trail. What cannot be told is a problem of the report's, as the
// store is restored by now.
static void accept_trail(struct copying *c)
{
    parley_error error = PARLEY_ERROR_INIT;
    parley_options options = *c->options;
    struct err err = ERR_INIT;
    parley *e;
    options.log = NULL;  // it would tell of what is about to be accepted
    int code = parley_open(&e, &options, &error);
    if (!code)
        code = engine_audit_accept(e, AUDIT_RESTORED, NULL, &error);
    if (code)
        err_set(&err, code, "%s", error.message);
    else
        code = wait_answer(c, e, NULL, &err);
    parley_close(e);
    if (!code)
        return;
    err_prefix(&err, "the audit trail does not tell of the restoration (run `parley audit verify "
               "--accept`): ");
    add_problem(c, slice_str(err.message));
}

// ---- the report

static void write_problems(struct json_writer *w, const struct copying *c)
{
    struct slice left = buf_slice(&c->problems);
    jw_key(w, "problems");
    jw_array(w);
    while (left.len) {
        const char *newline = memchr(left.ptr, '\n', left.len);
        size_t len = newline ? (size_t)(newline - left.ptr) : left.len;
        jw_slice(w, slice_of(left.ptr, len));
        left = slice_of(left.ptr + len + (newline != NULL), left.len - len - (newline != NULL));
    }
    jw_array_end(w);
}

// `aside`: NULL for a backup.
static int write_report(const struct copying *c, const char *file, const char *store,
                        const struct buf *aside, char **report, struct err *err)
{
    struct buf json = BUF_INIT(REPORT_BYTES_MAX);
    struct json_writer w;
    jw_init(&w, &json);
    jw_object(&w);
    jw_kv_str(&w, "file", file);
    jw_kv_str(&w, "store", store);
    if (aside)
        jw_kv_str(&w, "kept", aside->len ? aside->ptr : NULL);
    jw_kv_i64(&w, "bytes", (int64_t)c->bytes);
    jw_kv_i64(&w, "users", c->users);
    jw_kv_i64(&w, "sessions", c->sessions);
    jw_kv_i64(&w, "turns", c->turns);
    write_problems(&w, c);
    jw_kv_str(&w, "keyring", c->keyring.len ? c->keyring.ptr : NULL);
    jw_object_end(&w);
    int code = buf_check(&json, "the report", err);
    *report = code ? NULL : buf_take(&json, NULL);
    buf_release(&json);
    return code;
}

// ---- the two

static bool same_file(const char *a, const char *b)
{
    struct stat x, y;
    return stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_ino == y.st_ino && x.st_dev == y.st_dev;
}

static int check_call(const struct copying *c, const char *file, struct err *err)
{
    if (c->how->version != PARLEY_COPY_OPTIONS_VERSION)
        return err_set(err, E_USAGE, "parley_copy_options: begin with PARLEY_COPY_OPTIONS_INIT");
    if (!file || !file[0])
        return err_set(err, E_USAGE, "no file named for the copy");
    if (c->keyring.len && same_file(file, c->keyring.ptr))
        return err_set(err, E_USAGE, "%s is the keyring: name another file", file);
    return buf_check(&c->keyring, "the keyring's path", err);
}

static int copy_store(struct copying *c, const char *store, const char *file, struct buf *aside,
                      struct err *err)
{
    const struct store_copying how = {.replace = c->how->flags & PARLEY_COPY_REPLACE,
                                      .progress = watch,
                                      .check = check_copy,
                                      .user = c};
    if (aside)
        return store_restore(store, file, &how, aside, err);
    return store_backup(store, file, &how, err);
}

// `aside`: NULL for a backup.
static int run_copying(const parley_options *options, const parley_copy_options *how,
                       const char *file, struct buf *aside, char **report, parley_error *error)
{
    struct copying c = {.options = options, .how = how, .restores = aside != NULL};
    struct settings settings;
    struct err err = ERR_INIT;
    *report = NULL;
    buf_init(&c.keyring, NAME_BYTES_MAX);
    buf_init(&c.problems, REPORT_BYTES_MAX / 2);
    int code = settings_load(&settings, options, &err);
    if (!code) {
        const char *store = conf_str(settings.conf, "store");
        struct err ignored = ERR_INIT;
        settings_keyring(&settings, &c.keyring);
        code = check_call(&c, file, &err);
        if (!code)
            code = copy_store(&c, store, file, aside, &err);
        if (!code && aside)
            accept_trail(&c);
        if (!code)
            code = write_report(&c, file, store, aside, report, &err);
        else if (code == E_CORRUPT)
            write_report(&c, file, store, aside, report, &ignored);
        settings_release(&settings);
    }
    buf_release(&c.keyring);
    buf_release(&c.problems);
    public_error(error, &err);
    return code;
}

int parley_backup(const parley_options *options, const parley_copy_options *how, const char *file,
                  char **report, parley_error *error)
{
    return run_copying(options, how, file, NULL, report, error);
}

// Who was erased after the backup was made is in it. Their keys are destroyed, so that nothing of
// theirs can be read; that their records go too is what every engine sees to that opens the store,
// before it serves anybody. One does now.
static int replay_erasures(const parley_options *options, parley_error *error)
{
    parley *e;
    int code = parley_open(&e, options, error);
    if (!code)
        parley_close(e);
    return code;
}

int parley_restore(const parley_options *options, const parley_copy_options *how, const char *file,
                   char **report, parley_error *error)
{
    struct buf aside = BUF_INIT(NAME_BYTES_MAX);
    int code = run_copying(options, how, file, &aside, report, error);
    buf_release(&aside);
    return code ? code : replay_erasures(options, error);
}
