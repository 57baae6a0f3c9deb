// SPDX-License-Identifier: MIT
// trail_job.c: the audit trail is listed, verified, signed or accepted. See feeder.h.
//
// What is still a note of a user goes into the trail first, so that the answer is of all that was
// done before.
#include "turn/feeder.h"
#include "turn/resolve.h"

struct trail_job {
    struct trail_check check;
    struct trail_read read;
    struct buf report, json;
    struct json_writer w;
};

static void job_release(void *extra)
{
    struct trail_job *j = extra;
    buf_release(&j->report);
    buf_release(&j->json);
    mem_free(j);
}

// ---- listing

static int take_entry(void *user, const struct audit_entry *e, struct slice json, struct err *err)
{
    struct trail_job *j = user;
    (void)e;
    jw_raw(&j->w, json);
    if (buf_ok(&j->json))
        return E_OK;
    return j->json.no_memory
               ? err_set(err, E_NOMEM, "out of memory for a listing")
               : err_set(err, E_REFUSED, "the trail is longer than an answer may be: ask for less "
                         "of it, with --since");
}

static void listed(struct ledger_op *op)
{
    struct run *run = turn_op_over(op);
    struct trail_job *j = run->extra;
    if (op->code) {
        emit_error(run, op->code, &op->err);
        return;
    }
    if (op->orphans)
        emit_warning(run, "%u entries could not be read: run `parley audit verify`", op->orphans);
    jw_array_end(&j->w);
    emit_result(run, &j->json);
}

static void list(struct run *run)
{
    struct trail_job *j = run->extra;
    bool all = run->job->flags & JOB_ALL_USERS;
    struct err err = ERR_INIT;
    j->read = (struct trail_read){.since_ms = run->job->since_ms, .take = take_entry, .user = j};
    if (!all && audit_subject(run->w->env.vault, run->user_key, run->partition, j->read.subject,
                              &err)) {
        emit_error(run, err.code, &err);
        return;
    }
    jw_init(&j->w, &j->json);
    jw_array(&j->w);
    turn_op_start(run, listed);
    trail_read(run->w->ledger, &j->read, &run->op);
}

static void list_user(struct run *run)
{
    if (ask_known_user(run))
        list(run);
}

// ---- verifying

static void write_head(struct json_writer *w, const char *key, const struct audit_head *head)
{
    jw_key(w, key);
    if (head->n == 0) {
        jw_null(w);
        return;
    }
    jw_object(w);
    audit_head_write(head, w);
    jw_object_end(w);
}

static void tell_check(struct run *run)
{
    struct trail_job *j = run->extra;
    const struct trail_check *c = &j->check;
    jw_init(&j->w, &j->json);
    jw_object(&j->w);
    jw_kv_i64(&j->w, "entries", c->entries);
    write_head(&j->w, "newest", &c->end);
    write_head(&j->w, "head", &c->head);
    emit_lines(&j->w, "problems", buf_slice(&j->report));
    jw_object_end(&j->w);
    emit_result(run, &j->json);
}

static void checked(struct ledger_op *op)
{
    struct run *run = turn_op_over(op);
    if (op->code)
        emit_error(run, op->code, &op->err);
    else
        tell_check(run);
}

static void check(struct run *run, void (*done)(struct ledger_op *op))
{
    struct trail_job *j = run->extra;
    j->check.report = &j->report;
    turn_op_start(run, done);
    trail_check(run->w->ledger, &j->check, &run->op);
}

static void verify(struct run *run)
{
    struct trail_job *j = run->extra;
    struct slice text = buf_slice(&run->job->text);
    struct err err = ERR_INIT;
    if (text.len && !vault_head_read(run->w->env.vault, text, &j->check.other, &err) &&
        strcmp(j->check.other.store, run->w->env.store_id) != 0)
        err_set(&err, E_USAGE, "this head is of another store's audit trail");
    if (err.code)
        emit_error(run, err.code, &err);
    else
        check(run, checked);
}

// ---- the head, accepting

static void sign(struct ledger_op *op)
{
    struct run *run = turn_op_over(op);
    struct trail_job *j = run->extra;
    const char *end = memchr(j->report.ptr ? j->report.ptr : "", '\n', j->report.len);
    if (op->code) {
        emit_error(run, op->code, &op->err);
        return;
    }
    if (j->check.problems) {
        err_set(&op->err, E_CORRUPT, "the trail is not whole, and is not signed: %.*s; run "
                "`parley audit verify`", end ? (int)(end - j->report.ptr) : 0, j->report.ptr);
        emit_error(run, E_CORRUPT, &op->err);
        return;
    }
    j->check.end.at_ms = clock_wall_ms(run->w->env.clock);
    vault_head_write(run->w->env.vault, &j->check.end, &j->json);
    emit_result(run, &j->json);
}

static void accepted(struct ledger_op *op)
{
    struct run *run = turn_op_over(op);
    if (op->code)
        emit_error(run, op->code, &op->err);
    else
        check(run, checked);
}

static void accept(struct run *run)
{
    turn_op_start(run, accepted);
    trail_accept(run->w->ledger, run->job->audit_why, run->w->env.actor, &run->op);
}

// ---- beginning

static void fed(struct run *run)
{
    switch (run->job->verb) {
    case JOB_AUDIT:
        if (run->job->flags & JOB_ALL_USERS)
            list(run);
        else
            resolve_user(run, false, list_user);
        return;
    case JOB_AUDIT_VERIFY:
        verify(run);
        return;
    case JOB_AUDIT_HEAD:
        check(run, sign);
        return;
    case JOB_AUDIT_ACCEPT:
        accept(run);
        return;
    default:
        BUG("job %d is none of the trail's", (int)run->job->verb);
    }
}

void trail_job_start(struct run *run)
{
    struct trail_job *j = mem_zalloc(sizeof(*j));
    if (!j) {
        struct err err = ERR_INIT;
        err_set(&err, E_NOMEM, "out of memory for the audit trail");
        emit_error(run, E_NOMEM, &err);
        return;
    }
    buf_init(&j->report, RESULT_BYTES_MAX);
    buf_init(&j->json, RESULT_BYTES_MAX);
    run->extra = j;
    run->extra_free = job_release;
    feeder_pass(run->w, run, fed);
}
