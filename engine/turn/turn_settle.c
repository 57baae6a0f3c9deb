// SPDX-License-Identifier: MIT
// turn_settle.c: SETTLING (turn.c draws the machine). The reply, its usage and the session's new
// state in one commit: A2. If the store fails, the ledger is read again before anything is written
// again.
#include "turn/core.h"
#include "turn/device.h"
#include "turn/learn.h"
#include "turn/mask.h"
#include "turn/summary.h"

void turn_outcome(struct run *run, int code, const char *text)
{
    run->code = code;
    snprintf(run->message, sizeof(run->message), "%s", text);
}

void turn_fail(struct run *run, int code, const struct err *err)
{
    turn_outcome(run, code, err->message);
    if (run->attempt.status == ATTEMPT_OPEN)
        run->attempt.status = ATTEMPT_UNUSED;
    run->settle.status = TURN_FAILED;
    run->settle.stop = STOP_NONE;
    turn_settle(run);
}

void turn_stopped(struct run *run, enum attempt_status how)
{
    turn_outcome(run, E_CANCELLED, "stopped");
    run->attempt.status = how;
    run->settle.status = TURN_CUT;
    run->settle.stop = STOP_USER;
    turn_settle(run);
}

// What a hook says to the reply: of the session's state, as which of STATES, and of pinning.
static void ask_hook(struct run *run, struct safe_text reply, const char *name, unsigned which,
                     int (*hook)(struct policy *p, const struct policy_view *view,
                                 struct safe_text reply, struct plan *plan, struct err *err))
{
    struct policy_view view;
    struct err err = ERR_INIT;
    struct plan p;
    plan_init(&p);
    turn_view(run, &view);
    if (hook(run->policy, &view, reply, &p, &err))
        turn_hook_failed(run, name, &err);
    turn_pin(run, &p);
    turn_keep_state(run, which, &p);
    plan_memory_take(run, &p);
    plan_release(&p);
}

static void run_on_reply(struct run *run)
{
    const struct policy *policy = run->policy;
    struct err err = ERR_INIT;
    struct safe_buf text;
    if (content_empty(&run->reply_content))
        return;
    safe_buf_init(&text, CONTENT_BYTES_MAX);
    content_text(&run->reply_content, &text);
    if (safe_buf_check(&text, "the reply", &err)) {
        turn_hook_failed(run, "on_reply", &err);
    } else {
        struct safe_text reply = safe_buf_text(&text);
        if (policy->info.memory.has_state)
            ask_hook(run, reply, "memory.state", STATE_OF_PASS, policy->ops->state);
        if (policy->info.has_on_reply)
            ask_hook(run, reply, "on_reply", STATE_OF_REPLY, policy->ops->on_reply);
    }
    safe_buf_release(&text);
}

static void write_end(struct run *run);

static void end_turn(struct run *run, int code, const char *message)
{
    run->w->stats.turns_done++;
    run->state = RUN_OVER;
    if (code != E_ERASED) {
        summary_after(run);
        learn_after(run);
    }
    emit_done(run, chat_turn(run->live->chat, run->turn), code, message);
}

static void settle_due(struct loop_timer *timer)
{
    write_end(CONTAINER_OF(timer, struct run, timer));
}

static void write_again(struct run *run)
{
    run->timer.fn = settle_due;
    loop_timer_start(run->w->env.loop, &run->timer, (int64_t)SETTLE_WAIT_MS << run->tries);
}

static void looked_again(struct ledger_op *op)
{
    struct run *run = turn_op_over(op);
    const struct turn *turn = op->code ? NULL : chat_turn(run->live->chat, run->turn);
    if (turn && turn->status != TURN_OPEN)
        end_turn(run, run->code, run->message);
    else if (turn && run->settle_overtaken)
        write_end(run);
    else
        write_again(run);
}

static void reloaded(struct ledger_op *op)
{
    struct run *run = turn_op_over(op);
    if (op->code) {
        write_again(run);
        return;
    }
    device_look(run);
    turn_op_start(run, looked_again);
    ledger_load(run->live->chat, run->turn, &run->op);
}

static void settled(struct ledger_op *op)
{
    struct run *run = turn_op_over(op);
    if (op->code == E_OK) {
        if (op->state_refused)
            emit_warning(run, "policy %s: the session's state would have more than %d KiB or %d "
                         "keys: it stays as it was", run->policy->info.name,
                         SESSION_STATE_BYTES_MAX >> 10, SESSION_STATE_KEYS_MAX);
        end_turn(run, run->code, run->message);
        return;
    }
    if (op->code == E_ERASED) {
        run->live->erased = true;
        end_turn(run, E_ERASED, "the user was erased while this turn was under way: nothing of it "
                 "is kept");
        return;
    }
    // Somebody wrote to the session meanwhile: it was moved to another device, if the turn is open.
    run->settle_overtaken = op->code == E_CONFLICT && !op->ambiguous;
    if (!run->settle_overtaken)
        log_line(run->w->env.log, LOG_ERROR, "turn: storing the end of turn %u of %s: %s",
                 run->turn, run->live->chat->head.id, op->err.message);
    if (++run->tries == SETTLE_TRIES_MAX) {
        char message[ERR_MESSAGE_BYTES];
        snprintf(message, sizeof(message),
                 "your message is stored, but the end of its turn could not be: %.400s",
                 op->err.message);
        end_turn(run, E_STORE, message);
        return;
    }
    turn_op_start(run, reloaded);
    ledger_reload(run->live->chat, &run->op);
}

static void write_end(struct run *run)
{
    run->settle.reply = content_empty(&run->reply_content) ? NULL : &run->reply_content;
    run->settle.tokens =
        run->settle.reply ? tokens_of_content(turn_encoding(run), &run->reply_content) : 0;
    run->settle.policy = run->policy->info.version;
    run->settle.provider = run->provider;
    run->settle.model = run->model;
    run->settle.attempt = &run->attempt;
    run->settle.sent = run->attempt.status == ATTEMPT_UNUSED ? NULL : &run->context.sent_as;
    turn_op_start(run, settled);
    ledger_settle(run->live->chat, &run->settle, &run->op);
}

// What the plans say of memory first: a turn that is over has done it.
static void remember(struct run *run)
{
    if (plan_memory_any(run))
        plan_memory_write(run, write_end);
    else
        write_end(run);
}

static void finish(struct run *run)
{
    run_on_reply(run);
    remember(run);
}

void turn_settle(struct run *run)
{
    run->state = RUN_SETTLING;
    run->tries = 0;
    reply_stop_keeping(run);
    if (run->policy->info.has_on_reply || run->policy->info.memory.has_state)
        aside_run(run, finish);
    else
        remember(run);
}
