// SPDX-License-Identifier: MIT
// mask_show.c: what operators are shown. They read masks; what is kept stands in their place where
// it was asked for (`parley show --reveal`) or the policy says so, once the audit trail has it.
#include "turn/feeder.h"
#include "turn/mask.h"

struct showing {
    struct buf json, revealed;
    struct audit_note note;
};

static void showing_free(void *extra)
{
    struct showing *s = extra;
    buf_release(&s->json);
    buf_release(&s->revealed);
    mem_free(s);
}

static void noted(struct ledger_op *op)
{
    struct run *run = turn_op_over(op);
    struct showing *s = run->extra;
    if (op->code) {
        err_prefix(&op->err, "what cannot be noted in the audit trail is not shown: ");
        emit_error(run, op->code, &op->err);
        return;
    }
    feeder_wake(run->w);
    emit_result(run, &s->revealed);
}

static void reveal(struct run *run)
{
    struct showing *s = run->extra;
    if (!run->masks) {
        emit_result(run, &s->json);
        return;
    }
    // What a policy lets its operators read is what its own bot kept; who asks for it reads all.
    const char *bot = run->job->flags & JOB_REVEAL ? NULL : run->job->bot;
    uint32_t n = reveal_text(user_masks_book(run->masks), bot, MASK_JSON, true,
                             buf_slice(&s->json), &s->revealed);
    if (n == 0) {
        emit_result(run, &s->revealed);
        return;
    }
    s->note = (struct audit_note){
        .action = AUDIT_ORIGINALS_REVEALED, .detail = AUDIT_OPERATOR, .count = n};
    snprintf(s->note.actor, sizeof(s->note.actor), "%s", run->w->env.actor);
    snprintf(s->note.bot, sizeof(s->note.bot), "%s", run->job->bot);
    turn_op_start(run, noted);
    audit_record(run->w->ledger, run->partition, run->user_key, &s->note, &run->op);
}

static void look_at_policy(struct run *run)
{
    struct showing *s = run->extra;
    if (run->policy->info.privacy.operator_original)
        mask_open_kept(run, reveal);
    else
        emit_result(run, &s->json);
}

void show_revealed(struct run *run, struct buf *json)
{
    struct showing *s = mem_zalloc(sizeof(*s));
    if (!s || !buf_ok(json)) {
        mem_free(s);
        emit_result(run, json);  // which tells what is wrong with it
        return;
    }
    s->json = *json;
    *json = (struct buf){0};
    buf_init(&s->revealed, RESULT_BYTES_MAX);
    run->extra = s;
    run->extra_free = showing_free;
    if (run->live)  // of a session, which says whose it is
        snprintf(run->job->bot, sizeof(run->job->bot), "%s", run->live->chat->head.bot);
    if (run->job->flags & JOB_REVEAL)
        mask_open_kept(run, reveal);
    else
        mask_policy(run, look_at_policy);
}
