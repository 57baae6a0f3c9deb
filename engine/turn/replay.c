// SPDX-License-Identifier: MIT
// replay.c: an idempotency key that was used before. The same message under it is the same turn:
// what is stored answers, and no provider is called. A turn that another process has under way is
// waited for.
#include "turn/mask.h"
#include "turn/resolve.h"
#include "turn/watch.h"

static void look(struct run *run);

static void look_due(struct loop_timer *timer)
{
    look(CONTAINER_OF(timer, struct run, timer));
}

int replay_outcome(const struct turn *turn, bool keyed, const char **message)
{
    *message = "";
    if (turn->status == TURN_DONE || turn->stop == STOP_MAX_TOKENS || turn->stop == STOP_FILTER)
        return E_OK;
    if (turn->stop == STOP_USER) {
        *message = "stopped; what came is kept";
        return E_CANCELLED;
    }
    if (turn->status == TURN_INTERRUPTED)
        *message = keyed ? "the process that answered this key died; it is not sent again: use a "
                           "new key"
                         : "the process that answered died; what came is kept";
    else
        *message = keyed ? "the turn of this key failed; it is not sent again: use a new key"
                         : "the turn failed; what came is kept";
    return E_PROVIDER;
}

// Whether a client that has a part of the reply may have read what is not known any more.
static bool reads_otherwise(const struct run *run, struct slice text)
{
    const struct mask_book *book = user_masks_book(run->masks);
    struct mask_shape shape;
    if (!run->skip_bytes || !mask_reveals(run))
        return false;
    for (size_t at = 0; at < text.len; at++) {
        if (text.ptr[at] != '[' || mask_shape_at(text, at + 1, &shape) != MASK_YES)
            continue;
        const struct mask *mask = mask_book_find(book, shape.name, shape.number);
        if (mask && !mask_original(mask, run->live->chat->head.bot, false))
            return true;
    }
    return false;
}

static void tell(struct run *run, const struct turn *turn)
{
    const char *message;
    int code = replay_outcome(turn, run->job->verb != JOB_ATTACH, &message);
    const struct step *reply = turn_reply(turn);
    if (reply)
        content_text(&reply->content, &run->reply);
    if (reads_otherwise(run, safe_slice(safe_buf_text(&run->reply)))) {
        struct err err = ERR_INIT;
        err_set(&err, E_CONFLICT, "what masks in this reply stood for is not kept: it reads "
                "otherwise than it did; attach from byte 0");
        emit_error(run, E_CONFLICT, &err);
        return;
    }
    emit_accepted(run);
    if (reply) {
        if (safe_buf_check(&run->reply, "the reply", NULL) == E_OK)
            emit_reply(run, safe_buf_text(&run->reply));
    }
    emit_done(run, turn, code, message);
}

static void wait_for_owner(struct run *run)
{
    struct err err = ERR_INIT;
    if (run->stopped || run->polls++ == REPLAY_POLLS_MAX) {
        err_set(&err, E_BUSY, "another process is still answering: try again later");
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

static void missing(struct run *run)
{
    const struct chat *chat = run->live->chat;
    struct err err = ERR_INIT;
    int code = E_CORRUPT;
    if (run->job->verb == JOB_ATTACH)
        code = err_set(&err, E_NOT_FOUND, "session %s has no turn %u to go on with: it has %u%s",
                       chat->head.id, run->turn, chat->head.turns,
                       chat->head.purged ? ", which were deleted" : "");
    else if (chat->head.purged)
        code = err_set(&err, E_REFUSED, "turn %u of session %s, which had this key, was "
                       "deleted: use a new key", run->turn, chat->head.id);
    else
        err_set(&err, E_CORRUPT,
            "the key names turn %u of session %s, which is not there: run "
            "`parley verify`",
            run->turn, chat->head.id);
    emit_error(run, code, &err);
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
        missing(run);
    } else if (turn->status != TURN_OPEN) {
        tell(run, turn);
    } else {
        turn_recover(run, recovered);
    }
}

static void viewed(struct run *run)
{
    const struct session_head *head = &run->live->chat->head;
    if (run->turn == 0)  // the newest, which there may be none of
        run->turn = head->turns ? head->turns : 1;
    if (run->turn > head->turns) {
        missing(run);
        return;
    }
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
    replay_stored(run);
}

void replay_stored(struct run *run)
{
    struct err err = ERR_INIT;
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
