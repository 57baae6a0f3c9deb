// SPDX-License-Identifier: MIT
// erase.c: a user is erased: for ever, and told by a receipt.
//
//   who is it? ─▶ noted ─▶ tombstone, keys destroyed ─▶ forgotten in memory ─▶ out of the store ─┐
//      └ erased before ───────────────────────────────────▲                           receipt ◀─┘
//
// What the audit trail is to tell of the user is in it first: afterwards nobody can say whom it
// means, which is as it should be.
#include "ledger/erase.h"
#include "turn/feeder.h"
#include "turn/resolve.h"

struct erasing {
    struct erasure_record record;
    struct vault_request request;
    struct store_op op;
    struct run *run;
    struct audit_note note;
    bool again;  // erased before
};

static void found(struct ledger_op *op)
{
    struct run *run = turn_op_over(op);
    struct erasing *x = run->extra;
    struct buf json = BUF_INIT(RESULT_BYTES_MAX), receipt = BUF_INIT(RESULT_BYTES_MAX);
    struct json_writer w;
    if (op->code) {
        emit_error(run, op->code, &op->err);
        return;
    }
    receipt_write(run->w->env.vault, &x->record, &receipt);
    jw_init(&w, &json);
    jw_object(&w);
    jw_kv_bool(&w, "again", x->again);
    jw_key(&w, "receipt");
    jw_raw(&w, buf_slice(&receipt));
    jw_object_end(&w);
    json.failed |= receipt.failed;
    json.no_memory |= receipt.no_memory;
    buf_release(&receipt);
    emit_result(run, &json);
}

static void completed(struct ledger_op *op)
{
    struct run *run = turn_op_over(op);
    struct erasing *x = run->extra;
    if (op->code) {
        err_prefix(&op->err, "the keys are destroyed, so that nothing can be read any more; the "
                   "rest goes on when this is repeated, or parley starts again: ");
        emit_error(run, op->code, &op->err);
        return;
    }
    turn_op_start(run, found);
    ledger_find_erasure(run->w->ledger, run->partition, &x->record, &run->op);
}

static void complete(struct run *run)
{
    erased_forget(run->w);
    turn_op_start(run, completed);
    ledger_erase(run->w->ledger, &run->op);
}

static void forgotten(struct vault_request *request)
{
    struct erasing *x = CONTAINER_OF(request, struct erasing, request);
    struct run *run = x->run;
    if (request->code)
        emit_error(run, request->code, &request->err);
    else
        complete(run);
}

static void forget(struct run *run)
{
    struct erasing *x = run->extra;
    x->request = (struct vault_request){.loop = run->w->env.loop,
                                        .at_ms = clock_wall_ms(run->w->env.clock),
                                        .done = forgotten};
    memcpy(x->request.partition, run->partition, sizeof(x->request.partition));
    vault_forget(run->w->env.vault, &x->request);
}

static void noted(struct ledger_op *op)
{
    struct run *run = turn_op_over(op);
    if (op->code)
        emit_error(run, op->code, &op->err);
    else
        forget(run);
}

static void note(struct run *run)
{
    struct erasing *x = run->extra;
    struct err err = ERR_INIT;
    // The notes of who read or exported would go with the user. A damaged trail holds up nobody.
    if (run->feed_code && run->feed_code != E_CORRUPT) {
        err_set(&err, run->feed_code, "nothing was erased: what the audit trail is to tell of user "
                "%s could not be moved into it yet, as another process writes it, or the store "
                "failed: try again in a minute", run->job->user);
        emit_error(run, run->feed_code, &err);
        return;
    }
    x->note = (struct audit_note){.action = AUDIT_USER_ERASED,
                                  .at_ms = clock_wall_ms(run->w->env.clock)};
    snprintf(x->note.actor, sizeof(x->note.actor), "%s", run->w->env.actor);
    int code = audit_subject(run->w->env.vault, run->user_key, run->partition, x->note.subject,
                             &err);
    if (code && code != E_ERASED) {
        emit_error(run, code, &err);
        return;
    }
    turn_op_start(run, noted);
    trail_append(run->w->ledger, &x->note, 1, &run->op);
}

// ---- who it is

static void looked(struct store_op *op)
{
    struct erasing *x = CONTAINER_OF(op, struct erasing, op);
    struct run *run = x->run;
    struct slice user = slice_str(run->job->user);
    struct err err = op->err;
    int code = op->code;
    bool there = op->rows_len > 0;
    store_op_release(op);
    if (code && code != E_CORRUPT) {
        emit_error(run, code, &err);
    } else if (there || code) {
        forget(run);
    } else if (vault_last_erased(run->w->env.vault, user, run->partition)) {
        x->again = true;
        complete(run);
    } else {
        err_set(&err, E_NOT_FOUND, "nothing is kept of user %s: check the name, or name another "
                "store", run->job->user);
        emit_error(run, E_NOT_FOUND, &err);
    }
}

// Whoever has a key may have records; whoever has records may have lost the key.
static void have_user(struct run *run)
{
    struct erasing *x = run->extra;
    if (run->user_key) {
        feeder_pass(run->w, run, note);
        return;
    }
    x->op = (struct store_op){.verb = STORE_SCAN,
                              .loop = run->w->env.loop,
                              .done = looked,
                              .partition = slice_str(run->partition),
                              .limit = 1};
    store_submit(run->w->env.store, &x->op);
}

void erase_start(struct run *run)
{
    struct erasing *x = mem_zalloc(sizeof(*x));
    struct err err = ERR_INIT;
    if (!x) {
        err_set(&err, E_NOMEM, "out of memory for an erasure");
        emit_error(run, E_NOMEM, &err);
        return;
    }
    x->run = run;
    run->extra = x;
    run->extra_free = mem_free;
    resolve_user(run, false, have_user);
}
