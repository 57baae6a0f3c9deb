// SPDX-License-Identifier: MIT
// parley_ask.c: what a caller says, checked and copied into a job for the worker of that user; and
// the events that come back. Any thread.
#include "model/fact.h"
#include "parley_int.h"

enum { FACT_PREFIX_MIN = 4 };  // digits that name a fact

// FNV-1a.
struct worker *engine_worker_of(parley *e, const char *user)
{
    uint64_t h = 14695981039346656037u;
    for (; *user; user++)
        h = (h ^ (unsigned char)*user) * 1099511628211u;
    return e->hands[(h ^ h >> 32) % e->hands_len].worker;
}

static int copy(char *out, size_t size, const char *value, const char *what, struct err *err)
{
    size_t n = value ? strlen(value) : 0;
    if (n >= size)
        return err_set(err, E_USAGE, "%s: at most %zu bytes, this one has %zu", what, size - 1, n);
    size_t bad = utf8_valid_prefix(slice_of(value, n));
    if (bad != n)
        return err_set(err, E_USAGE, "%s: not valid UTF-8 at byte %zu", what, bad);
    memcpy(out, value ? value : "", n + 1);
    return E_OK;
}

struct names {
    const char *user, *bot, *context, *session, *provider, *model, *device;
};

// It is shown to people, on terminals too.
static int check_device(const char *device, struct err *err)
{
    for (; *device; device++)
        if ((unsigned char)*device < ' ' || *device == 0x7f)
            return err_set(err, E_USAGE, "device: has a control character: give it a name such as "
                           "\"laptop\"");
    return E_OK;
}

static int copy_names(struct job *job, const struct names *n, struct err *err)
{
    const char *user = n->user && n->user[0] ? n->user : "local";
    int code = copy(job->user, sizeof(job->user), user, "user", err);
    if (!code)
        code = copy(job->bot, sizeof(job->bot), n->bot, "bot", err);
    if (!code)
        code = copy(job->context, sizeof(job->context), n->context, "context", err);
    if (!code && n->session && n->session[0] && !id_begins(slice_str(n->session)))
        return err_set(err, E_USAGE,
                       "session %.64s: not a session's id, nor the first %d characters or more of "
                       "one; `parley sessions` lists them",
                       n->session, ID_PREFIX_MIN);
    if (!code)
        code = copy(job->session, sizeof(job->session), n->session, "session", err);
    if (!code)
        code = copy(job->provider, sizeof(job->provider), n->provider, "provider", err);
    if (!code)
        code = copy(job->model, sizeof(job->model), n->model, "model", err);
    if (!code)
        code = copy(job->device, sizeof(job->device), n->device, "device", err);
    return code ? code : check_device(job->device, err);
}

// A job with the ticket for its events.
static int new_job(struct job **out, enum job_verb verb, struct err *err)
{
    int code = job_new(out, err);
    if (code)
        return code;
    (*out)->verb = verb;
    (*out)->ticket = events_ticket();
    if ((*out)->ticket)
        return E_OK;
    job_free(*out);
    return err_set(err, E_NOMEM, "out of memory for a request");
}

static void drop_job(struct job *job)
{
    events_ticket_free(job->ticket);
    job_free(job);
}

int engine_take_request(parley *e, uint64_t *request, struct err *err)
{
    if (atomic_fetch_add(&e->under_way, 1) >= REQUESTS_MAX) {
        atomic_fetch_sub(&e->under_way, 1);
        return err_set(err, E_BUSY, "%d requests are under way: take events, then try again",
                       REQUESTS_MAX);
    }
    *request = atomic_fetch_add(&e->next_request, 1);
    return E_OK;
}

// Takes job.
static int post(parley *e, struct job *job, uint64_t *request, struct err *err, parley_error *error)
{
    if (engine_take_request(e, &job->request, err)) {
        drop_job(job);
        return public_error(error, err);
    }
    if (request)
        *request = job->request;
    worker_post(engine_worker_of(e, job->user), job);
    return PARLEY_OK;
}

static int check_text(const struct slice text, struct err *err)
{
    if (text.len > MESSAGE_BYTES_MAX)
        return err_set(err, E_USAGE,
                       "the message is longer than %d bytes: send it in parts",
                       MESSAGE_BYTES_MAX);
    size_t bad = utf8_valid_prefix(text);
    if (bad != text.len)
        return err_set(err, E_USAGE, "the message is not valid UTF-8 at byte %zu: convert it first",
                       bad);
    const char *nul = text.len ? memchr(text.ptr, '\0', text.len) : NULL;
    if (nul)
        return err_set(err, E_USAGE,
                       "the message has a NUL at byte %zu: send text, not binary data",
                       (size_t)(nul - text.ptr));
    return E_OK;
}

int parley_send(parley *e, const parley_message *m, uint64_t *request, parley_error *error)
{
    struct err err = ERR_INIT;
    struct job *job;
    if (m->version < 1 || m->version > PARLEY_MESSAGE_VERSION) {
        err_set(&err, E_USAGE, "parley_message: begin with PARLEY_MESSAGE_INIT");
        return public_error(error, &err);
    }
    bool again = m->flags & PARLEY_REGENERATE;
    const char *said = m->text ? m->text : "";
    struct slice text = m->text_bytes ? slice_of(said, m->text_bytes) : slice_str(said);
    if (again && text.len) {
        err_set(&err, E_USAGE, "a reply is regenerated to what was said: leave the text out, or "
                "edit the turn");
        return public_error(error, &err);
    }
    struct names names = {m->user,     m->bot,   m->context, m->session,
                          m->provider, m->model, m->version >= 2 ? m->device : NULL};
    int code = check_text(text, &err);
    if (code || new_job(&job, JOB_SEND, &err))
        return public_error(error, &err);
    job->flags = m->flags;
    job->edit_turn = m->edit_turn;
    code = copy_names(job, &names, &err);
    if (!code)
        code = copy(job->key, sizeof(job->key), m->key, "key", &err);
    buf_add_slice(&job->text, text);
    if (!code)
        code = buf_check(&job->text, "the message", &err);
    if (code) {
        drop_job(job);
        return public_error(error, &err);
    }
    return post(e, job, request, &err, error);
}

void parley_stop(parley *e, uint64_t request)
{
    for (unsigned i = 0; i < e->hands_len; i++)
        worker_stop_request(e->hands[i].worker, request);
}

// What some questions ask beside the scope.
struct question {
    const char *by;
    uint32_t turn;
    uint64_t from_byte;
    struct slice text;
    struct backtest *backtest;
    int64_t since_ms;
    enum audit_detail audit_why;
};

static int ask_about(parley *e, enum job_verb verb, const parley_scope *s,
                     const struct question *q, uint64_t *request, parley_error *error)
{
    struct err err = ERR_INIT;
    struct job *job;
    if (s->version < 1 || s->version > PARLEY_SCOPE_VERSION) {
        err_set(&err, E_USAGE, "parley_scope: begin with PARLEY_SCOPE_INIT");
        return public_error(error, &err);
    }
    if (new_job(&job, verb, &err))
        return public_error(error, &err);
    struct names names = {s->user,     s->bot,   s->context, s->session,
                          s->provider, s->model, s->version >= 2 ? s->device : NULL};
    job->flags = s->flags;
    job->turn = q->turn;
    job->from_byte = q->from_byte;
    job->backtest = q->backtest;
    job->since_ms = q->since_ms;
    job->audit_why = q->audit_why;
    int code = copy_names(job, &names, &err);
    if (!code)
        code = copy(job->by, sizeof(job->by), q->by, "by", &err);
    buf_add_slice(&job->text, q->text);
    if (!code)
        code = buf_check(&job->text, "the query", &err);
    if (code) {
        drop_job(job);
        return public_error(error, &err);
    }
    return post(e, job, request, &err, error);
}

static int ask(parley *e, enum job_verb verb, const parley_scope *s, uint64_t *request,
               parley_error *error)
{
    const struct question none = {0};
    return ask_about(e, verb, s, &none, request, error);
}

int parley_session(parley *e, const parley_scope *scope, uint64_t *request, parley_error *error)
{
    return ask(e, JOB_OPEN, scope, request, error);
}

int parley_resume(parley *e, const parley_scope *scope, uint64_t *request, parley_error *error)
{
    return ask(e, JOB_RESUME, scope, request, error);
}

int parley_sessions(parley *e, const parley_scope *scope, uint64_t *request, parley_error *error)
{
    return ask(e, JOB_SESSIONS, scope, request, error);
}

int parley_show(parley *e, const parley_scope *scope, uint64_t *request, parley_error *error)
{
    return ask(e, JOB_SHOW, scope, request, error);
}

int parley_why(parley *e, const parley_scope *scope, uint32_t turn, uint64_t *request,
               parley_error *error)
{
    const struct question q = {.turn = turn};
    return ask_about(e, JOB_WHY, scope, &q, request, error);
}

int parley_attach(parley *e, const parley_scope *scope, uint32_t turn, uint64_t from_byte,
                  uint64_t *request, parley_error *error)
{
    const struct question q = {.turn = turn, .from_byte = from_byte};
    return ask_about(e, JOB_ATTACH, scope, &q, request, error);
}

int parley_watch(parley *e, const parley_scope *scope, uint64_t *request, parley_error *error)
{
    return ask(e, JOB_WATCH, scope, request, error);
}

int parley_recall(parley *e, const parley_scope *scope, const char *query, unsigned k,
                  uint64_t *request, parley_error *error)
{
    const struct question q = {.turn = k, .text = slice_str(query ? query : "")};
    struct err err = ERR_INIT;
    if (check_text(q.text, &err))
        return public_error(error, &err);
    return ask_about(e, JOB_RECALL, scope, &q, request, error);
}

int parley_memory(parley *e, const parley_scope *scope, unsigned what, uint64_t *request,
                  parley_error *error)
{
    const struct question q = {.turn = what};
    return ask_about(e, JOB_MEMORY, scope, &q, request, error);
}

// Of one fact, which is named by its id or how that begins, in letters of either case.
static int ask_fact(parley *e, enum job_verb verb, const parley_scope *scope, const char *fact,
                    uint64_t *request, parley_error *error)
{
    size_t len = fact ? strlen(fact) : 0;
    char id[FACT_ID_BYTES];
    struct err err = ERR_INIT;
    if (len >= FACT_PREFIX_MIN && len < FACT_ID_BYTES &&
        strspn(fact, "0123456789abcdefABCDEF") == len) {
        for (size_t i = 0; i <= len; i++)
            id[i] = (char)(fact[i] >= 'A' && fact[i] <= 'F' ? fact[i] - 'A' + 'a' : fact[i]);
        const struct question q = {.text = slice_of(id, len)};
        return ask_about(e, verb, scope, &q, request, error);
    }
    err_set(&err, E_USAGE, "'%.64s' is no fact's id, nor the first %d digits or more of one; "
            "`parley memory` lists them (in a chat: /memory)", fact ? fact : "", FACT_PREFIX_MIN);
    return public_error(error, &err);
}

int parley_fact(parley *e, const parley_scope *scope, const char *fact, uint64_t *request,
                parley_error *error)
{
    return ask_fact(e, JOB_MEMORY, scope, fact, request, error);
}

int parley_forget(parley *e, const parley_scope *scope, const char *fact, uint64_t *request,
                  parley_error *error)
{
    return ask_fact(e, JOB_FORGET_FACT, scope, fact, request, error);
}

int parley_export(parley *e, const parley_scope *scope, const char *next, uint64_t *request,
                  parley_error *error)
{
    const struct question q = {.text = slice_str(next ? next : "")};
    return ask_about(e, JOB_EXPORT, scope, &q, request, error);
}

int parley_erase(parley *e, const parley_scope *scope, uint64_t *request, parley_error *error)
{
    return ask(e, JOB_ERASE, scope, request, error);
}

int parley_usage(parley *e, const parley_scope *scope, const char *by, uint64_t *request,
                 parley_error *error)
{
    static const char *const known[] = {"day", "bot", "model", "user", "session"};
    const struct question q = {.by = by};
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        if (by && strcmp(by, known[i]) == 0)
            return ask_about(e, JOB_USAGE, scope, &q, request, error);
    }
    struct err err = ERR_INIT;
    err_set(&err, E_USAGE, "usage by \"%s\": it is by day, bot, model, user or session",
            by ? by : "");
    return public_error(error, &err);
}

int engine_backtest(parley *e, const parley_scope *scope, int64_t since_ms, struct backtest *b,
                    parley_error *error)
{
    const struct question q = {.backtest = b, .since_ms = since_ms};
    return ask_about(e, JOB_BACKTEST, scope, &q, NULL, error);
}

int parley_verify(parley *e, const parley_scope *scope, uint64_t *request, parley_error *error)
{
    return ask(e, JOB_VERIFY, scope, request, error);
}

int parley_audit(parley *e, const parley_scope *scope, int64_t since_ms, uint64_t *request,
                 parley_error *error)
{
    const struct question q = {.since_ms = since_ms};
    return ask_about(e, JOB_AUDIT, scope, &q, request, error);
}

int parley_audit_verify(parley *e, const char *head, uint64_t *request, parley_error *error)
{
    const parley_scope all = PARLEY_SCOPE_INIT;
    const struct question q = {.text = slice_str(head ? head : "")};
    struct err err = ERR_INIT;
    if (check_text(q.text, &err))
        return public_error(error, &err);
    return ask_about(e, JOB_AUDIT_VERIFY, &all, &q, request, error);
}

int parley_audit_head(parley *e, uint64_t *request, parley_error *error)
{
    const parley_scope all = PARLEY_SCOPE_INIT;
    return ask(e, JOB_AUDIT_HEAD, &all, request, error);
}

int engine_audit_accept(parley *e, enum audit_detail why, uint64_t *request, parley_error *error)
{
    const parley_scope all = PARLEY_SCOPE_INIT;
    const struct question q = {.audit_why = why};
    return ask_about(e, JOB_AUDIT_ACCEPT, &all, &q, request, error);
}

int parley_audit_accept(parley *e, uint64_t *request, parley_error *error)
{
    return engine_audit_accept(e, AUDIT_NO_DETAIL, request, error);
}

int parley_reset(parley *e, const parley_scope *scope, uint64_t *request, parley_error *error)
{
    return ask(e, JOB_RESET, scope, request, error);
}

int parley_undo(parley *e, const parley_scope *scope, uint64_t *request, parley_error *error)
{
    return ask(e, JOB_UNDO, scope, request, error);
}

int parley_pin(parley *e, const parley_scope *scope, uint32_t turn, uint64_t *request,
               parley_error *error)
{
    const struct question q = {.turn = turn};
    return ask_about(e, JOB_PIN, scope, &q, request, error);
}

int parley_unpin(parley *e, const parley_scope *scope, uint32_t turn, uint64_t *request,
                 parley_error *error)
{
    const struct question q = {.turn = turn};
    return ask_about(e, JOB_UNPIN, scope, &q, request, error);
}

int parley_constrain(parley *e, const parley_scope *scope, const char *text, uint64_t *request,
                     parley_error *error)
{
    const struct question q = {.text = slice_str(text ? text : "")};
    struct err err = ERR_INIT;
    if (check_text(q.text, &err))
        return public_error(error, &err);
    return ask_about(e, JOB_CONSTRAIN, scope, &q, request, error);
}

int parley_unconstrain(parley *e, const parley_scope *scope, uint32_t number, uint64_t *request,
                       parley_error *error)
{
    const struct question q = {.turn = number};
    return ask_about(e, JOB_UNCONSTRAIN, scope, &q, request, error);
}

static int copy_member(struct json o, const char *key, char *out, size_t size, struct err *err)
{
    struct buf scratch = BUF_INIT(4096);
    struct json v = json_get(o, key);
    int code = E_OK;
    if (json_type(v) == JSON_STRING) {
        struct slice s = json_text(v, &scratch);
        if (!buf_ok(&scratch))
            code = buf_check(&scratch, key, err);
        else if (s.len >= size || memchr(s.ptr ? s.ptr : "", '\0', s.len))
            code = err_set(err, E_USAGE, "%s: at most %zu bytes without NUL", key, size - 1);
        else
            snprintf(out, size, "%.*s", SLICE_FMT(s));
    } else if (json_type(v) != JSON_NONE && json_type(v) != JSON_NULL) {
        code = err_set(err, E_USAGE, "%s: must be a string", key);
    }
    buf_release(&scratch);
    return code;
}

static int read_import(struct job *job, struct err *err)
{
    struct json_doc doc = JSON_DOC_INIT;
    int code = json_parse(&doc, buf_slice(&job->text), 0, err);
    struct json root = json_root(&doc);
    if (!code && json_type(root) != JSON_OBJECT)
        code = err_set(err, E_USAGE, "a conversation is an object: {\"user\":…,\"messages\":[…]}");
    if (!code)
        code = copy_member(root, "user", job->user, sizeof(job->user), err);
    if (!code)
        code = copy_member(root, "bot", job->bot, sizeof(job->bot), err);
    if (!code)
        code = copy_member(root, "context", job->context, sizeof(job->context), err);
    if (!code)
        code = copy_member(root, "id", job->import_id, sizeof(job->import_id), err);
    if (!code && !job->user[0])
        memcpy(job->user, "local", sizeof("local"));
    json_doc_release(&doc);
    return code;
}

int parley_import(parley *e, const char *json, size_t json_bytes, uint64_t *request,
                  parley_error *error)
{
    struct err err = ERR_INIT;
    struct job *job;
    if (new_job(&job, JOB_IMPORT, &err))
        return public_error(error, &err);
    buf_add(&job->text, json, json_bytes);
    int code = buf_check(&job->text, "the conversation", &err);
    if (!code)
        code = read_import(job, &err);
    if (code) {
        drop_job(job);
        return public_error(error, &err);
    }
    return post(e, job, request, &err, error);
}

// ---- events

int parley_wait(parley *e, int timeout_ms, parley_event **event)
{
    if (e->seams.clock) {
        loop_run(e->hands[0].loop);
        timeout_ms = 0;
    }
    *event = events_wait(&e->events, timeout_ms);
    return *event != NULL;
}

int parley_poll(parley *e, parley_event **event)
{
    return parley_wait(e, 0, event);
}

int parley_wakeup_fd(parley *e)
{
    return events_fd(&e->events);
}
