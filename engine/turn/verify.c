// SPDX-License-Identifier: MIT
// verify.c: every session against the ledger's rules. The checking is ledger/verify.c's; this
// walks.
#include "turn/turn_int.h"

enum { REPORT_BYTES_MAX = 4 << 20 };

struct verification {
    struct buf report; // a line per problem
    uint64_t sessions, turns, users;
};

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
    if (op->code) {
        emit_error(run, op->code, &op->err);
        return;
    }
    v->sessions += op->sessions;
    v->turns += op->turns;
    v->users++;
    walk_next(run);
}

static void each(struct run *run)
{
    struct verification *v = run->extra;
    if (!run->user_key) {
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
    jw_key(&w, "problems");
    jw_array(&w);
    struct slice left = buf_slice(&v->report);
    while (left.len) {
        const char *nl = memchr(left.ptr, '\n', left.len);
        size_t n = nl ? (size_t)(nl - left.ptr) : left.len;
        jw_slice(&w, slice_of(left.ptr, n));
        left = slice_of(left.ptr + n + (nl != NULL), left.len - n - (nl != NULL));
    }
    if (v->report.failed)
        jw_str(&w, "… and more than could be listed");
    jw_array_end(&w);
    jw_object_end(&w);
    emit_result(run, &json);
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
    walk_start(run, run->job->flags & JOB_ALL_USERS, each, end);
}
