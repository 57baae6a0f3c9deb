// SPDX-License-Identifier: MIT
// export.c: a page of all that is kept of a user. The records are ledger/export.c's.
#include "ledger/audit.h"
#include "ledger/export.h"
#include "turn/resolve.h"

struct exporting {
    struct ledger_export page;
    struct buf items, damaged;
    struct audit_note note;
};

static void exporting_free(void *extra)
{
    struct exporting *x = extra;
    buf_release(&x->items);
    buf_release(&x->damaged);
    mem_free(x);
}

static void exported(struct ledger_op *op)
{
    struct run *run = turn_op_over(op);
    struct exporting *x = run->extra;
    struct buf json = BUF_INIT(RESULT_BYTES_MAX);
    struct json_writer w;
    if (op->code) {
        emit_error(run, op->code, &op->err);
        return;
    }
    jw_init(&w, &json);
    jw_object(&w);
    jw_kv_str(&w, "user", run->job->user);
    jw_kv_str(&w, "kind", x->page.kind);
    jw_key(&w, "items");
    jw_raw(&w, buf_slice(&x->items));
    jw_key(&w, "damaged");
    jw_raw(&w, buf_slice(&x->damaged));
    jw_kv_str(&w, "next", x->page.cursor[0] ? x->page.cursor : NULL);
    jw_object_end(&w);
    emit_result(run, &json);
}

static void read_page(struct run *run)
{
    struct exporting *x = run->extra;
    x->page.partition = run->partition;
    x->page.key = run->user_key;
    turn_op_start(run, exported);
    ledger_export(run->w->ledger, &x->page, &run->op);
}

static void noted(struct ledger_op *op)
{
    struct run *run = turn_op_over(op);
    if (op->code)
        emit_error(run, op->code, &op->err);
    else
        read_page(run);
}

// That it was exported is in the audit trail before the first page is told.
static void have_user(struct run *run)
{
    struct exporting *x = run->extra;
    if (!ask_known_user(run))
        return;
    if (x->page.cursor[0]) {
        read_page(run);
        return;
    }
    x->note = (struct audit_note){.action = AUDIT_USER_EXPORTED};
    snprintf(x->note.actor, sizeof(x->note.actor), "%s", run->w->env.actor);
    turn_op_start(run, noted);
    audit_record(run->w->ledger, run->partition, run->user_key, &x->note, &run->op);
}

void export_start(struct run *run)
{
    struct err err = ERR_INIT;
    struct exporting *x = mem_zalloc(sizeof(*x));
    struct slice cursor = buf_slice(&run->job->text);
    if (!x) {
        err_set(&err, E_NOMEM, "out of memory for an export");
        emit_error(run, E_NOMEM, &err);
        return;
    }
    buf_init(&x->items, RESULT_BYTES_MAX);
    buf_init(&x->damaged, RESULT_BYTES_MAX);
    x->page.items = &x->items;
    x->page.damaged = &x->damaged;
    run->extra = x;
    run->extra_free = exporting_free;
    if (cursor.len >= sizeof(x->page.cursor)) {
        err_set(&err, E_USAGE, "that is no place to go on with an export from");
        emit_error(run, E_USAGE, &err);
        return;
    }
    snprintf(x->page.cursor, sizeof(x->page.cursor), "%.*s", SLICE_FMT(cursor));
    resolve_user(run, false, have_user);
}
