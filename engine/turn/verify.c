// SPDX-License-Identifier: MIT
// verify.c: the store against itself, and every session against the ledger's rules. The checking is
// the store's and ledger/verify.c's; this walks.
#include "turn/turn_int.h"

enum { REPORT_BYTES_MAX = 4 << 20 };

struct verification {
    struct buf report; // a line per problem
    uint64_t sessions, turns, users, orphans;
    struct store_op op;
    struct run *run;
};
enum { CHECK_LINES_MAX = 100 };

static void verification_free(void *extra)
{
    struct verification *v = extra;
    buf_release(&v->report);
    mem_free(v);
}

static void checked(struct ledger_op *op)
{
    struct run *run = turn_op_over(op);
    struct verification *v = run->extra;
    if (op->code == E_CORRUPT) {
        buf_addf(&v->report, "partition %s: %s\n", run->partition, op->err.message);
    } else if (op->code) {
        emit_error(run, op->code, &op->err);
        return;
    }
    v->sessions += op->sessions;
    v->turns += op->turns;
    v->orphans += op->orphans;
    v->users += run->partition[0] != '~';
    walk_next(run);
}

static void each(struct run *run)
{
    struct verification *v = run->extra;
    if (run->partition[0] == '~' && strcmp(run->partition, "~house") != 0 &&
        strcmp(run->partition, SPEND_PARTITION) != 0 &&
        strcmp(run->partition, AUDIT_PARTITION) != 0) {
        buf_addf(&v->report, "partition %s: nothing of ours; restore the store from a backup\n",
                 run->partition);
        walk_next(run);
        return;
    }
    // Of an older copy: they go before anybody is served from it.
    if (vault_is_erased(run->w->env.vault, run->partition)) {
        walk_next(run);
        return;
    }
    if (!run->user_key && run->partition[0] != '~') {
        buf_addf(&v->report,
                 "partition %s: its key is not in the keyring: its texts cannot be read; "
                 "restore the keyring\n",
                 run->partition);
        walk_next(run);
        return;
    }
    turn_op_start(run, checked);
    ledger_verify(run->w->ledger, run->partition, run->user_key, &v->report, &run->op);
}

static void end(struct run *run)
{
    struct verification *v = run->extra;
    struct buf json = BUF_INIT(RESULT_BYTES_MAX);
    struct json_writer w;
    jw_init(&w, &json);
    jw_object(&w);
    jw_kv_i64(&w, "users", (int64_t)v->users);
    jw_kv_i64(&w, "sessions", (int64_t)v->sessions);
    jw_kv_i64(&w, "turns", (int64_t)v->turns);
    jw_kv_i64(&w, "orphans", (int64_t)v->orphans);
    if (v->report.failed)
        emit_warning(run, "there is more than could be listed");
    emit_lines(&w, "problems", buf_slice(&v->report));
    jw_object_end(&w);
    emit_result(run, &json);
}

static void store_checked(struct store_op *op)
{
    struct verification *v = CONTAINER_OF(op, struct verification, op);
    struct run *run = v->run;
    struct err err = op->err;
    int code = op->code;
    for (uint32_t i = 0; i < op->rows_len; i++)
        buf_addf(&v->report, "store: %.*s; restore it from a backup\n",
                 SLICE_FMT(op->rows[i].meta));
    if (op->more)
        buf_add_str(&v->report, "store: and more of this kind\n");
    store_op_release(op);
    if (code)
        emit_error(run, code, &err);
    else
        walk_start(run, run->job->flags & JOB_ALL_USERS, each, end);
}

void verify_start(struct run *run)
{
    struct verification *v = mem_zalloc(sizeof(*v));
    if (!v) {
        struct err err = ERR_INIT;
        err_set(&err, E_NOMEM, "out of memory for a listing");
        emit_error(run, E_NOMEM, &err);
        return;
    }
    buf_init(&v->report, REPORT_BYTES_MAX);
    run->extra = v;
    run->extra_free = verification_free;
    v->run = run;
    if (run->w->env.check_files)
        run->w->env.check_files(run->w->env.user, &v->report);
    v->op = (struct store_op){.verb = STORE_CHECK,
                              .loop = run->w->env.loop,
                              .done = store_checked,
                              .limit = CHECK_LINES_MAX};
    store_submit(run->w->env.store, &v->op);
}
