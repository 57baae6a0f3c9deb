// SPDX-License-Identifier: MIT
// pin.c: what a session keeps in every request, wherever the cut is: the user pins turns, states
// constraints, and takes back both.
#include "base/utf8.h"
#include "turn/device.h"
#include "turn/mask.h"
#include "turn/resolve.h"

static void reloaded(struct ledger_op *op);

static void answer(struct run *run)
{
    const struct session_head *head = &run->live->chat->head;
    struct buf json = BUF_INIT(RESULT_BYTES_MAX);
    struct json_writer w;
    jw_init(&w, &json);
    jw_object(&w);
    jw_kv_str(&w, "session", head->id);
    emit_pins(&w, head);
    emit_constraints(&w, head);
    jw_object_end(&w);
    emit_result(run, &json);
}

static void written(struct ledger_op *op)
{
    struct run *run = turn_op_over(op);
    if (op->code == E_CONFLICT && run->tries++ < CONFLICT_TRIES_MAX) {
        // Another process wrote to the session meanwhile.
        turn_op_start(run, reloaded);
        ledger_reload(run->live->chat, &run->op);
    } else if (op->code) {
        emit_error(run, op->code, &op->err);
    } else {
        answer(run);
    }
}

static bool takes_turn(const struct run *run)
{
    return run->job->verb == JOB_PIN || run->job->verb == JOB_UNPIN;
}

static void have(struct run *run)
{
    struct chat *chat = run->live->chat;
    uint32_t turn = run->job->turn;
    if (turn == 0 && takes_turn(run)) {
        turn = chat->head.turns;
        while (turn > 0 && session_is_superseded(&chat->head, turn))
            turn--;
    }
    if (turn == 0 && takes_turn(run)) {
        struct err err = ERR_INIT;
        err_set(&err, E_REFUSED, "there is no turn to pin in this session");
        emit_error(run, E_REFUSED, &err);
        return;
    }
    turn_op_start(run, written);
    if (run->job->verb == JOB_PIN)
        ledger_pin(chat, turn, &run->op);
    else if (run->job->verb == JOB_CONSTRAIN)
        ledger_constrain(chat, safe_buf_text(&run->text), &run->op);
    else if (run->job->verb == JOB_UNCONSTRAIN)
        ledger_unconstrain(chat, turn, &run->op);
    else
        ledger_unpin(chat, turn, &run->op);
}

static void reloaded(struct ledger_op *op)
{
    struct run *run = turn_op_over(op);
    int code = op->code;
    if (!code && device_keeps_out(run, &op->err))
        code = E_REFUSED;
    if (code)
        emit_error(run, code, &op->err);
    else
        have(run);
}

// What is refused is refused by what the session is now, not by what this process knows of it.
static void look(struct run *run)
{
    turn_op_start(run, reloaded);
    ledger_reload(run->live->chat, &run->op);
}

static void redact(struct run *run)
{
    mask_said(run, look);
}

// What a user states is safe text before it goes anywhere.
static void owned(struct run *run)
{
    if (run->job->verb == JOB_CONSTRAIN)
        mask_prepare(run, redact);
    else
        look(run);
}

static void entered(struct run *run)
{
    live_take(run, owned);
}

static void located(struct run *run)
{
    struct err err = ERR_INIT;
    if (run->target) {
        device_enter(run, entered);
        return;
    }
    err_set(&err, E_NOT_FOUND, "there is no session to pin anything in: say something first");
    emit_error(run, E_NOT_FOUND, &err);
}

static void have_user(struct run *run)
{
    run->job->flags |= JOB_CONTINUE;
    if (ask_known_user(run))
        resolve_session(run, false, located);
}

// What a user states says something.
static int check_constraint(struct run *run, struct err *err)
{
    int code = mask_check(run, "the constraint", err);
    if (!code && utf8_blank(buf_slice(&run->job->text)))
        code = err_set(err, E_USAGE, "the constraint is empty: say what is to be kept in mind");
    return code;
}

void pin_start(struct run *run)
{
    struct err err = ERR_INIT;
    if (run->job->verb == JOB_CONSTRAIN && check_constraint(run, &err)) {
        emit_error(run, err.code, &err);
        return;
    }
    resolve_user(run, false, have_user);
}
