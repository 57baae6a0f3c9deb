// SPDX-License-Identifier: MIT
// replay.c: an idempotency key that was used before. The same message under it is the same turn:
// what is stored answers, and no provider is called. A turn that another process has under way is
// waited for.
#include "turn/mask.h"

static void look(struct run *run);

static void look_due(struct loop_timer *timer)
{
    look(CONTAINER_OF(timer, struct run, timer));
}

static int outcome_of(const struct turn *turn, const char **message)
{
    *message = "";
    if (turn->status == TURN_DONE || turn->stop == STOP_MAX_TOKENS || turn->stop == STOP_FILTER)
        return E_OK;
    if (turn->stop == STOP_USER) {
        *message = "stopped; what came is kept";
        return E_CANCELLED;
    }
    *message = turn->status == TURN_INTERRUPTED
                   ? "the process that answered this key died; it is not sent again: use a new key"
                   : "the turn of this key failed; it is not sent again: use a new key";
    return E_PROVIDER;
}

static void tell(struct run *run, const struct turn *turn)
{
    const char *message;
    int code = outcome_of(turn, &message);
    const struct step *reply = turn_reply(turn);
    emit_accepted(run);
    if (reply) {
        content_text(&reply->content, &run->reply);
        if (safe_buf_check(&run->reply, "the reply", NULL) == E_OK)
            emit_reply(run, safe_buf_text(&run->reply));
    }
    emit_done(run, turn, code, message);
}

static void wait_for_owner(struct run *run)
{
    struct err err = ERR_INIT;
    if (run->stopped || run->polls++ == REPLAY_POLLS_MAX) {
        err_set(&err, E_BUSY, "another process is still answering this key: try again later");
        emit_error(run, run->stopped ? E_CANCELLED : E_BUSY, &err);
        return;
    }
    run->timer.fn = look_due;
    loop_timer_start(run->w->env.loop, &run->timer, REPLAY_POLL_MS);
}

static void recovered(struct ledger_op *op)
{
    struct run *run = turn_op_over(op);
    if (op->code == E_OK || op->code == E_BUSY || op->code == E_CONFLICT)
        wait_for_owner(run);
    else
        emit_error(run, op->code, &op->err);
}

static void loaded(struct ledger_op *op)
{
    struct run *run = turn_op_over(op);
    struct chat *chat = run->live->chat;
    if (op->code == E_CONFLICT) {  // its owner settled it while it was read
        wait_for_owner(run);
        return;
    }
    if (op->code) {
        emit_error(run, op->code, &op->err);
        return;
    }
    const struct turn *turn = chat_turn(chat, run->turn);
    if (!turn) {
        struct err err = ERR_INIT;
        int code = E_CORRUPT;
        if (chat->head.purged)
            code = err_set(&err, E_REFUSED, "turn %u of session %s, which had this key, was "
                           "deleted: use a new key", run->turn, chat->head.id);
        else
            err_set(&err, E_CORRUPT,
                "the key names turn %u of session %s, which is not there: run "
                "`parley verify`",
                run->turn, chat->head.id);
        emit_error(run, code, &err);
    } else if (turn->status != TURN_OPEN) {
        tell(run, turn);
    } else {
        turn_recover(run, recovered);
    }
}

static void viewed(struct run *run)
{
    turn_op_start(run, loaded);
    ledger_load(run->live->chat, run->turn, &run->op);
}

static void look(struct run *run)
{
    resolve_view(run, run->replay_session, viewed);
}

void replay_start(struct run *run, const struct ledger_op *taken)
{
    struct err err = ERR_INIT;
    if (!taken->key_same_text) {
        err_set(&err, E_REFUSED, "key \"%s\" was used for another message: use a new key",
                run->job->key);
        emit_error(run, E_REFUSED, &err);
        return;
    }
    memcpy(run->replay_session, taken->key_session, sizeof(run->replay_session));
    run->turn = taken->key_turn;
    live_unpin(run);
    live_give_back(run);
    safe_buf_init(&run->reply, CONTENT_BYTES_MAX);
    // For the window in DONE; a policy that is gone meanwhile takes nothing from the stored answer.
    if (turn_prepare(run, &err)) {
        log_line(run->w->env.log, LOG_INFO, "turn: replaying without its policy: %s", err.message);
        look(run);
    } else {
        mask_open(run, look);
    }
}
