// SPDX-License-Identifier: MIT
// resolve.c: from a job to a session.
//
//   user ─▶ partition and key ─▶ by id: live? else find ─────┐
//                             ─▶ newest: fresh? live? find ──┼─▶ run->target, pinned
//                             ─▶ new: made ──────────────────┘
#include "turn/resolve.h"

static void user_done(struct vault_request *request)
{
    struct run *run = CONTAINER_OF(request, struct run, vault_request);
    // Another process erased the user just now: who comes back has another partition.
    if (request->code == E_ERASED) {
        resolve_user(run, request->create, run->then);
        return;
    }
    run->user_key = request->key;
    if (request->code && !(request->code == E_NOT_FOUND && !request->create)) {
        emit_error(run, request->code, &request->err);
        return;
    }
    run->then(run);
}

void resolve_user(struct run *run, bool create, void (*then)(struct run *run))
{
    struct worker *w = run->w;
    struct slice context = slice_str(run->job->context);
    vault_partition(w->env.vault, slice_str(run->job->user), run->partition);
    vault_digest(w->env.vault, "context", &context, 1, run->context_hash);
    struct slice device[] = {slice_str(run->partition), slice_str(run->job->device)};
    vault_digest(w->env.vault, "device", device, 2, run->holder);
    run->user_key = vault_find_key(w->env.vault, run->partition);
    if (run->user_key) {
        then(run);
        return;
    }
    run->then = then;
    struct vault_request *request = &run->vault_request;
    memset(request, 0, sizeof(*request));
    request->loop = w->env.loop;
    memcpy(request->partition, run->partition, sizeof(request->partition));
    request->create = create;
    request->done = user_done;
    vault_user_key(w->env.vault, request);
}

static void found(struct session_find *f);

static void start_find(struct run *run, const char *id, void (*done)(struct session_find *f))
{
    struct session_find *f = &run->find;
    memset(f, 0, sizeof(*f));
    f->env = &run->w->session_env;
    memcpy(f->partition, run->partition, sizeof(f->partition));
    f->key = run->user_key;
    snprintf(f->id, sizeof(f->id), "%s", id);
    snprintf(f->bot, sizeof(f->bot), "%s", run->job->bot);
    memcpy(f->context_hash, run->context_hash, sizeof(f->context_hash));
    f->done = done;
    f->user = run;
    session_find(f);
}

int resolve_agree(struct run *run, const struct session_head *head, struct err *err)
{
    struct job *job = run->job;
    if (job->bot_given && strcmp(job->bot, head->bot) != 0)
        return err_set(err, E_USAGE, "session %s belongs to bot %s, not %s: leave --bot out",
                       head->id, head->bot, job->bot);
    snprintf(job->bot, sizeof(job->bot), "%s", head->bot);
    if (strcmp(job->context, head->context) != 0) {
        if (job->context[0])
            return err_set(err, E_USAGE,
                           "session %s belongs to context \"%s\", not \"%s\": leave "
                           "--context out",
                           head->id, head->context, job->context);
        memcpy(job->context, head->context, sizeof(job->context));
        struct slice context = slice_str(job->context);
        vault_digest(run->w->env.vault, "context", &context, 1, run->context_hash);
    }
    return E_OK;
}

static void pin_found(struct run *run, struct live *live)
{
    struct err err = ERR_INIT;
    live_pin(run, live);
    int code = live_map(run->w, live, &err);
    if (!code)
        code = resolve_agree(run, &live->chat->head, &err);
    if (code)
        emit_error(run, code, &err);
    else
        run->then(run);
}

// Made, in memory only: it is stored with its first turn.
static void make_new(struct run *run, struct live **out)
{
    struct worker *w = run->w;
    struct err err = ERR_INIT;
    struct session_head head = {0};
    *out = NULL;
    int code = session_head_new(&head, &w->session_env, run->partition, run->job->bot,
                                run->job->context, &err);
    if (!code)
        code = live_new(out, w, &head, run->user_key, &err);
    session_head_release(&head);
    if (code)
        emit_error(run, code, &err);
}

static void pin_new(struct run *run)
{
    struct live *live;
    make_new(run, &live);
    if (!live)
        return;
    live_pin(run, live);
    run->then(run);
}

// No session yet to continue: the first of several who ask at once makes it, the others find it
// here.
static void pin_fresh(struct run *run)
{
    char name[PARTITION_BYTES + BOT_NAME_BYTES + VAULT_DIGEST_BYTES + 2];
    snprintf(name, sizeof(name), "%s/%s/%s", run->partition, run->job->bot, run->context_hash);
    struct live *live = map_get(run->w->fresh, slice_str(name));
    if (!live) {
        make_new(run, &live);
        if (!live)
            return;
        live->fresh_name = mem_strdup(name);
        if (live->fresh_name && map_set(run->w->fresh, slice_str(name), live, NULL)) {
            mem_free(live->fresh_name); // then two who ask at once get one session each
            live->fresh_name = NULL;
        }
    }
    live_pin(run, live);
    run->then(run);
}

static void rebuilt(struct ledger_op *op)
{
    struct run *run = turn_op_over(op);
    if (op->code) {
        emit_error(run, op->code, &op->err);
        return;
    }
    if (op->sessions)
        emit_warning(run, "the record of session %s was damaged, and was made anew of its turns: "
                     "what was pinned in it, its constraints and its state are gone",
                     run->find.id);
    start_find(run, run->job->session, found);
}

// What points to a session says whose it is: its bot, and the context that the job names. So a head
// that cannot be read can be made anew.
static bool rebuild(struct run *run, const struct session_find *f)
{
    struct ledger_rebuild how = {.partition = run->partition, .session = f->id,
                                 .bot = run->job->bot, .context = run->job->context,
                                 .key = run->user_key};
    if (f->code != E_CORRUPT || run->job->session[0] || !f->pointer_version || run->rebuilt ||
        run->op_busy)
        return false;
    run->rebuilt = true;
    turn_op_start(run, rebuilt);
    ledger_rebuild(run->w->ledger, &how, &run->op);
    return true;
}

static void found(struct session_find *f)
{
    struct run *run = f->user;
    struct err err = ERR_INIT;
    if (rebuild(run, f))
        return;
    if (f->code == E_NOT_FOUND && !run->job->session[0]) {
        if (run->make)
            pin_fresh(run);
        else
            run->then(run);
        return;
    }
    if (f->code) {
        emit_error(run, f->code, &f->err);
        return;
    }
    if (f->searched)
        emit_warning(run, "which session is the newest could not be read; this is session %s, the "
                     "newest that can be: run `parley verify`", f->head.id);
    struct live *live = map_get(run->w->live, slice_str(f->head.id));
    int code = E_OK;
    run->found_active_ms = f->head.last_active_at_ms;
    run->pointer_version = f->searched ? 0 : f->pointer_version;
    if (!live)
        code = live_new(&live, run->w, &f->head, run->user_key, &err);
    session_head_release(&f->head);
    if (code)
        emit_error(run, code, &err);
    else
        pin_found(run, live);
}

void resolve_session(struct run *run, bool make, void (*then)(struct run *run))
{
    run->then = then;
    run->make = make;
    bool named = run->job->session[0] != '\0';
    if (!named && !(run->job->flags & JOB_CONTINUE)) {
        if (make)
            pin_new(run);
        else
            then(run);
        return;
    }
    struct live *live = named ? map_get(run->w->live, slice_str(run->job->session)) : NULL;
    if (live && strcmp(live->chat->head.partition, run->partition) == 0)
        pin_found(run, live);
    else
        start_find(run, run->job->session, found);
}

static void view_found(struct session_find *f)
{
    struct run *run = f->user;
    struct err err = ERR_INIT;
    struct live *live = NULL;
    if (f->code) {
        emit_error(run, f->code, &f->err);
        return;
    }
    int code = live_new(&live, run->w, &f->head, run->user_key, &err);
    session_head_release(&f->head);
    if (code) {
        emit_error(run, code, &err);
        return;
    }
    live_swap(run, live);
    run->then(run);
}

void resolve_view(struct run *run, const char *id, void (*then)(struct run *run))
{
    run->then = then;
    start_find(run, id, view_found);
}

static void scope_viewed(struct run *run)
{
    struct err err = ERR_INIT;
    int code = resolve_agree(run, &run->live->chat->head, &err);
    if (code)
        emit_error(run, code, &err);
    else
        run->scoped(run);
}

void resolve_scope(struct run *run, void (*then)(struct run *run))
{
    run->scoped = then;
    if (run->user_key && run->job->session[0])
        resolve_view(run, run->job->session, scope_viewed);
    else
        then(run);
}
