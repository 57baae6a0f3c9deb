// SPDX-License-Identifier: MIT
// device.c: which device a session goes on on (model/lease.h).
//
//   a message ─▶ is the session another device's? ─no─▶ it goes on, in line
//      │              └ yes: its head is read again, then refused
//      └ "continue here" ─▶ [taken] ─▶ whoever has a reply under way, or watches, hears of it
//
// A session is taken by a chat of its own, as another process would: its turn under way goes on,
// meets a conflict when it is settled, reads the head again, and is settled.
#include "turn/device.h"
#include "turn/resolve.h"
#include "turn/watch.h"

struct lease_asker device_of(const struct run *run)
{
    return (struct lease_asker){.holder = run->holder, .device = run->job->device};
}

bool device_held(const struct run *run, const struct device_rules *rules, struct err *err)
{
    const struct session_head *h = &run->live->chat->head;
    if (!lease_held(&h->lease, rules, run->holder, h->last_active_at_ms,
                    clock_wall_ms(run->w->env.clock)))
        return false;
    lease_refuse(&h->lease, h->id, run->holder, err);
    return true;
}

void device_tell(struct run *run, const struct session_head *head)
{
    if (strcmp(run->holder, head->lease.holder) == 0 || run->moved_epoch >= head->lease.epoch)
        return;
    run->moved_epoch = head->lease.epoch;
    emit_moved(run, head);
}

void device_moved(struct worker *w, const struct session_head *head)
{
    for (struct run *run = w->runs; run; run = run->next) {
        bool under_way = run->job->verb == JOB_SEND && run->turn && run->state < RUN_OVER;
        if (under_way && run->live && strcmp(run->live->chat->head.id, head->id) == 0)
            device_tell(run, head);
    }
    watch_moved(w, head);
}

void device_look(struct run *run)
{
    const struct session_head *head = &run->live->chat->head;
    if (head->lease.rules.one_active)
        device_tell(run, head);
}

// ---- continue here

static void taken(struct ledger_op *op);

static void take(struct run *run)
{
    const struct lease_asker by = device_of(run);
    turn_op_start(run, taken);
    ledger_take(run->live->chat, &by, &run->op);
}

static void reloaded(struct ledger_op *op)
{
    struct run *run = turn_op_over(op);
    if (op->code)
        emit_error(run, op->code, &op->err);
    else
        take(run);
}

static void go_on(struct run *run)
{
    run->tries = 0;
    live_give_back(run);
    run->device_then(run);
}

static void taken(struct ledger_op *op)
{
    struct run *run = turn_op_over(op);
    if (op->code == E_CONFLICT && !op->ambiguous && run->tries++ < CONFLICT_TRIES_MAX) {
        turn_op_start(run, reloaded);
        ledger_reload(run->live->chat, &run->op);
        return;
    }
    if (op->code) {
        emit_error(run, op->code, &op->err);
        return;
    }
    if (op->moved)
        device_moved(run->w, &run->live->chat->head);
    go_on(run);
}

// The policy's now, or as of the last message where its file is to be loaded.
static const struct device_rules *rules_of(const struct run *run, const struct session_head *head)
{
    const struct policy_info *info = policy_host_info(run->w->policies, head->bot);
    return info ? &info->devices : &head->lease.rules;
}

bool device_keeps_out(const struct run *run, struct err *err)
{
    return device_held(run, rules_of(run, &run->live->chat->head), err);
}

// What was deleted is nobody's: a message begins anew then, or is refused with that.
static void viewed(struct run *run)
{
    struct err err = ERR_INIT;
    const struct session_head *head = &run->live->chat->head;
    bool here = run->job->flags & JOB_HERE;
    if (here && !head->purged)
        take(run);
    else if (!here && device_keeps_out(run, &err))
        emit_error(run, E_REFUSED, &err);
    else
        go_on(run);
}

// Who is going to be refused does not wait in line for that.
static bool would_wait(const struct run *run)
{
    const struct session_head *h = &run->target->chat->head;
    return run->target->busy && lease_held(&h->lease, rules_of(run, h), run->holder,
                                           h->last_active_at_ms,
                                           clock_wall_ms(run->w->env.clock));
}

void device_enter(struct run *run, void (*then)(struct run *run))
{
    run->device_then = then;
    if (run->target->chat->head.version && ((run->job->flags & JOB_HERE) || would_wait(run)))
        resolve_view(run, run->target->chat->head.id, viewed);
    else
        then(run);
}
