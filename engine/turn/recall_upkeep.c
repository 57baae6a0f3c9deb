// SPDX-License-Identifier: MIT
// recall_upkeep.c: a recall index is kept up, off anybody's path, a piece of work at a time: a
// round (recall.c), what was embedded, room for what is new, merging, sealing, and the next batch
// of messages to be embedded.
#include "turn/recall_int.h"

void shelf_purgers_end(struct shelf *s, int code, const struct err *err)
{
    while (s->purgers) {
        struct run *run = s->purgers;
        struct buf json = BUF_INIT(16);
        s->purgers = run->shelf_next;
        buf_add_str(&json, "{}");
        if (code)
            emit_error(run, code, err);
        else
            emit_result(run, &json);
    }
}

static void upkeep_over(struct shelf *s)
{
    if (s->code || !s->purge)
        shelf_purgers_end(s, s->code, &s->err);
    if (s->code) {
        // What is in memory may be ahead of the records: it is read again when it is needed.
        log_line(s->w->env.log, LOG_INFO, "recall: upkeep: %s; it goes on with the next turn",
                 s->err.message);
        shelf_forget(s);
        s->stale = s->unwritten = false;
    }
    shelf_step_over(s);
}

static void looked(struct shelf *s)
{
    s->stale = s->behind;
    upkeep_over(s);
}

// The next piece of work on the segments.
static int choose_work(struct shelf *s, struct recall_change *change)
{
    int any = batch_arrived(s->batch) ? batch_attach(s, change) : 0;
    if (!any && s->purge) {
        any = recall_purge(s->recall, change, &s->err);
        s->purge = any > 0;
    }
    if (!any)
        any = shelf_drop_oldest(s, change);
    if (!any)
        any = recall_merge(s->recall, change, &s->err);
    if (any)
        return any;
    // What is to be embedded is sealed first.
    any = recall_seal(s->recall, s->w->embedder ? 1 : RECALL_TAIL_DOCS, change, &s->err);
    if (any > 0)
        s->tail = 0;
    // A manifest as it is, less the parts that nobody names.
    if (!any && s->sweep.len) {
        *change = (struct recall_change){0};
        any = 1;
    }
    return any;
}

void shelf_upkeep(struct shelf *s)
{
    struct recall_change change;
    s->steps += s->w->draining;
    if (s->stale || !s->recall) {
        shelf_round(s, ROUND_TURNS, looked);
        return;
    }
    int any = choose_work(s, &change);
    s->code = any < 0 ? any : E_OK;
    s->unwritten = any > 0;
    s->then = upkeep_over;
    if (any > 0)
        shelf_write(s, &change, upkeep_over);
    else if (any < 0 || !batch_begin(s, upkeep_over))
        upkeep_over(s);
}

// ---- what was purged

static void forgotten(struct run *run)
{
    struct shelf *s = run->shelf;
    struct err err = ERR_INIT;
    if (!shelf_recall(run, &err)) {
        emit_error(run, err.code, &err);
        return;
    }
    // Those of a round before, which was written or not: upkeep says.
    s->purge = s->unwritten = true;
    run->shelf_next = s->purgers;
    s->purgers = run;
}

static void have_key(struct vault_request *request)
{
    struct run *run = CONTAINER_OF(request, struct run, vault_request);
    run->user_key = request->key;
    if (request->code)
        emit_error(run, request->code, &request->err);
    else
        shelf_open(run, forgotten);
}

void recall_purge_start(struct run *run)
{
    struct vault *vault = run->w->env.vault;
    memcpy(run->partition, run->job->partition, sizeof(run->partition));
    run->user_key = vault_find_key(vault, run->partition);
    if (run->user_key) {
        shelf_open(run, forgotten);
        return;
    }
    run->vault_request = (struct vault_request){.loop = run->w->env.loop, .done = have_key};
    memcpy(run->vault_request.partition, run->partition, sizeof(run->partition));
    vault_user_key(vault, &run->vault_request);
}
