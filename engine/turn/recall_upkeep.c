// SPDX-License-Identifier: MIT
// recall_upkeep.c: a recall index is kept up, off anybody's path, a piece of work at a time: a
// round (recall.c), what was embedded, room for what is new, merging, sealing, and the next batch
// of messages to be embedded.
#include "turn/recall_int.h"

static void upkeep_over(struct shelf *s)
{
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
