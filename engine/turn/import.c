// SPDX-License-Identifier: MIT
// import.c: one recorded conversation becomes a session (recorded.h says how it is read).
#include "turn/learn.h"
#include "turn/mask.h"
#include "turn/recorded.h"
#include "turn/resolve.h"

static void import_free(void *extra)
{
    recorded_release(extra);
    mem_free(extra);
}

static int read_conversation(struct run *run, struct err *err)
{
    struct json_doc doc = JSON_DOC_INIT;
    struct redact_how how = mask_how(run, REDACT_PEOPLE);
    if (run->extra_free)
        recorded_release(run->extra);
    recorded_init(run->extra, &how);
    run->extra_free = import_free;
    int code = json_parse(&doc, buf_slice(&run->job->text), 0, err);
    if (!code)
        code = recorded_read(run->extra, json_get(json_root(&doc), "messages"),
                             clock_wall_ms(run->w->env.clock), 0, err);
    json_doc_release(&doc);
    return code;
}

// ---- storing

static void imported(struct ledger_op *op)
{
    struct run *run = turn_op_over(op);
    const struct recorded *recorded = run->extra;
    struct buf json = BUF_INIT(RESULT_BYTES_MAX);
    struct json_writer w;
    if (op->code) {
        emit_error(run, op->code, &op->err);
        return;
    }
    learn_after(run);
    jw_init(&w, &json);
    jw_object(&w);
    jw_kv_str(&w, "session", run->live->chat->head.id);
    jw_kv_i64(&w, "turns", (int64_t)recorded->turns.len);
    jw_object_end(&w);
    emit_result(run, &json);
}

static void have_session(struct run *run)
{
    const struct recorded *recorded = run->extra;
    turn_op_start(run, imported);
    ledger_import(run->live->chat, recorded->turns.ptr, (uint32_t)recorded->turns.len,
                  run->context_hash, slice_str(run->job->user), &run->op);
}

static void located(struct run *run)
{
    if (run->import_id[0])
        memcpy(run->target->chat->head.id, run->import_id, ID_TEXT_BYTES);
    live_take(run, have_session);
}

// Sessions have UUIDs. Another kind of id gives the same UUID each time, so that a conversation
// that was imported before is refused, not doubled.
static void session_id(struct run *run)
{
    struct slice id = slice_str(run->job->import_id);
    if (id_valid(id)) {
        memcpy(run->import_id, id.ptr, ID_TEXT_BYTES);
        return;
    }
    char hex[VAULT_DIGEST_BYTES];
    vault_digest(run->w->env.vault, "import", &id, 1, hex);
    snprintf(run->import_id, sizeof(run->import_id), "%.8s-%.4s-4%.3s-a%.3s-%.12s", hex, hex + 8,
             hex + 13, hex + 17, hex + 20);
}

static void masked(struct run *run, int code, const struct err *err);

static void have_masks(struct run *run)
{
    struct err err = ERR_INIT;
    if (run->masks && read_conversation(run, &err))
        emit_error(run, err.code, &err);
    else
        mask_commit(run, masked);
}

// What was said is masked, and the numbers are durable, before any of it is written.
static void masked(struct run *run, int code, const struct err *err)
{
    if (code == E_CONFLICT) {
        have_masks(run);
    } else if (code) {
        emit_error(run, code, err);
    } else {
        if (run->job->import_id[0])
            session_id(run);
        resolve_session(run, true, located);
    }
}

static void have_user(struct run *run)
{
    mask_prepare(run, have_masks);
}

void import_start(struct run *run)
{
    struct err err = ERR_INIT;
    struct recorded *recorded = mem_zalloc(sizeof(*recorded));
    if (!recorded) {
        err_set(&err, E_NOMEM, "out of memory for an import");
        emit_error(run, E_NOMEM, &err);
        return;
    }
    run->extra = recorded;
    // What cannot be read makes no user.
    if (read_conversation(run, &err))
        emit_error(run, err.code, &err);
    else
        resolve_user(run, true, have_user);
}
