// SPDX-License-Identifier: MIT
// pin.c: what a session keeps in every request, wherever the cut is: the user pins turns, and lets
// them go.
#include "turn/turn_int.h"

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

static void have(struct run *run)
{
    struct chat *chat = run->live->chat;
    uint32_t turn = run->job->turn;
    if (turn == 0) {
        turn = chat->head.turns;
        while (turn > 0 && session_is_superseded(&chat->head, turn))
            turn--;
    }
    if (turn == 0) {
        struct err err = ERR_INIT;
        err_set(&err, E_REFUSED, "there is no turn to pin in this session");
        emit_error(run, E_REFUSED, &err);
        return;
    }
    turn_op_start(run, written);
    if (run->job->verb == JOB_PIN)
        ledger_pin(chat, turn, &run->op);
    else
        ledger_unpin(chat, turn, &run->op);
}

static void reloaded(struct ledger_op *op)
{
    struct run *run = turn_op_over(op);
    if (op->code)
        emit_error(run, op->code, &op->err);
    else
        have(run);
}

static void located(struct run *run)
{
    struct err err = ERR_INIT;
    if (run->target) {
        live_take(run, have);
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

void pin_start(struct run *run)
{
    resolve_user(run, false, have_user);
}
