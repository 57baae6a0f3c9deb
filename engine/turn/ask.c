// SPDX-License-Identifier: MIT
// ask.c: the small questions and commands: which session, show, reset, undo, recover.
#include "ledger/erase.h"
#include "turn/device.h"
#include "turn/feeder.h"
#include "turn/gauge.h"
#include "turn/learn.h"
#include "turn/mask.h"
#include "turn/resolve.h"
#include "turn/resume.h"

static void ordinal_text(struct json_writer *w, const char *key, uint32_t n)
{
    char text[16];
    snprintf(text, sizeof(text), "%u", n);
    jw_kv_str(w, key, text);
}

// ---- open: the session that a message would go to, and how full its window is

static void answer_open(struct run *run)
{
    const struct chat *chat = run->live ? run->live->chat : NULL;
    uint64_t tokens = run->system_tokens;
    if (chat) {
        struct err err = ERR_INIT;
        turn_history(run);
        if (context_constrain(run, &err)) {
            emit_error(run, err.code, &err);
            return;
        }
        tokens = context_next_tokens(run);
    }
    struct buf json = BUF_INIT(RESULT_BYTES_MAX);
    struct json_writer w;
    jw_init(&w, &json);
    jw_object(&w);
    jw_kv_str(&w, "session", chat ? chat->head.id : "");
    jw_kv_i64(&w, "turns", chat ? chat->head.turns : 0);
    jw_kv_str(&w, "bot", run->job->bot);
    jw_kv_str(&w, "title", run->policy->info.title);
    jw_kv_str(&w, "provider", run->provider);
    jw_kv_str(&w, "model", run->model);
    emit_window(&w, tokens, run->caps.window_tokens);
    if (chat) {
        emit_lease(&w, &chat->head);
        jw_kv_bool(&w, "held", device_held(run, &run->policy->info.devices, NULL));
    }
    jw_object_end(&w);
    emit_result(run, &json);
}

static void open_loaded(struct ledger_op *op);

static void open_reloaded(struct ledger_op *op)
{
    struct run *run = turn_op_over(op);
    if (op->code) {
        emit_error(run, op->code, &op->err);
        return;
    }
    turn_op_start(run, open_loaded);
    ledger_load(run->live->chat, 1, &run->op);
}

static void open_loaded(struct ledger_op *op)
{
    struct run *run = turn_op_over(op);
    if (op->code == E_CONFLICT && run->tries++ < CONFLICT_TRIES_MAX) {
        // Another process settled a turn of it.
        turn_op_start(run, open_reloaded);
        ledger_reload(run->live->chat, &run->op);
    } else if (op->code) {
        emit_error(run, op->code, &op->err);
    } else {
        aside_run(run, answer_open);
    }
}

static void open_gauged(struct run *run)
{
    if (!run->live) {
        answer_open(run);
        return;
    }
    turn_op_start(run, open_loaded);
    ledger_load(run->live->chat, 1, &run->op);
}

static void open_prepare(struct run *run)
{
    struct err err = ERR_INIT;
    int code = turn_prepare(run, &err);
    if (code) {
        emit_error(run, code, &err);
        return;
    }
    if (run->live && resume_due(run) != RESUME_RESTORE)
        live_give_back(run);  // a message would begin a new one
    gauge_wait(run, open_gauged);
}

static void open_have(struct run *run)
{
    aside_run(run, open_prepare);
}

static void open_located(struct run *run)
{
    if (run->target)
        live_take(run, open_have);
    else
        open_have(run);
}

static void open_user(struct run *run)
{
    if (!run->user_key && run->job->session[0]) {
        struct err err = ERR_INIT;
        err_set(&err, E_NOT_FOUND, "no session %s of user %s: `parley sessions` lists them",
                run->job->session, run->job->user);
        emit_error(run, E_NOT_FOUND, &err);
    } else if (!run->user_key) {
        open_have(run);
    } else {
        resolve_session(run, false, open_located);
    }
}

void ask_open(struct run *run)
{
    resolve_user(run, false, open_user);
}

// ---- a user who must be there

bool ask_known_user(struct run *run)
{
    struct err err = ERR_INIT;
    if (run->user_key)
        return true;
    err_set(&err, E_NOT_FOUND, "user %s has no sessions here", run->job->user);
    emit_error(run, E_NOT_FOUND, &err);
    return false;
}

// ---- show

static void show_user(struct run *run);

static void show_loaded(struct ledger_op *op)
{
    struct run *run = turn_op_over(op);
    struct buf json = BUF_INIT(RESULT_BYTES_MAX);
    struct json_writer w;
    if (op->code == E_CONFLICT && run->tries++ < CONFLICT_TRIES_MAX) {
        // Another process settled a turn of it.
        show_user(run);
        return;
    }
    if (op->code) {
        emit_error(run, op->code, &op->err);
        return;
    }
    int code = buf_check(&run->live->chat->damage, "what is damaged", &op->err);
    if (code) {
        emit_error(run, code, &op->err);
        return;
    }
    jw_init(&w, &json);
    emit_show(&w, run);
    show_revealed(run, &json);
}

static void show_found(struct run *run)
{
    turn_op_start(run, show_loaded);
    ledger_read(run->live->chat, &run->op);
}

static void show_user(struct run *run)
{
    if (ask_known_user(run))
        resolve_view(run, run->job->session, show_found);
}

void ask_show(struct run *run)
{
    resolve_user(run, false, show_user);
}

// ---- reset

static void reset_done(struct ledger_op *op)
{
    struct run *run = turn_op_over(op);
    struct err err = ERR_INIT;
    if (op->code) {
        emit_error(run, op->code, &op->err);
        return;
    }
    feeder_wake(run->w);
    // Failing to index it costs the next turn a read.
    if (live_map(run->w, run->live, &err))
        log_line(run->w->env.log, LOG_WARN, "turn: %s", err.message);
    struct buf json = BUF_INIT(RESULT_BYTES_MAX);
    struct json_writer w;
    jw_init(&w, &json);
    jw_object(&w);
    jw_kv_str(&w, "session", run->live->chat->head.id);
    jw_object_end(&w);
    emit_result(run, &json);
}

static void reset_have(struct run *run)
{
    turn_op_start(run, reset_done);
    ledger_create(run->live->chat, run->context_hash, slice_str(run->job->user), &run->op);
}

static void reset_located(struct run *run)
{
    live_take(run, reset_have);
}

static void reset_user(struct run *run)
{
    struct err err = ERR_INIT;
    int code = turn_prepare(run, &err); // a bot that is not there gets no session
    if (code) {
        emit_error(run, code, &err);
        return;
    }
    run->job->session[0] = '\0';
    run->job->flags &= ~(unsigned)JOB_CONTINUE;
    resolve_session(run, true, reset_located);
}

void ask_reset(struct run *run)
{
    resolve_user(run, true, reset_user);
}

// ---- undo

static void undo_reloaded(struct ledger_op *op);

// Another process wrote to the session meanwhile: what is the newest turn now?
static bool undo_again(struct run *run, struct ledger_op *op)
{
    if (op->code != E_CONFLICT || run->tries++ == CONFLICT_TRIES_MAX)
        return false;
    turn_op_start(run, undo_reloaded);
    ledger_reload(run->live->chat, &run->op);
    return true;
}

static void undo_done(struct ledger_op *op)
{
    struct run *run = turn_op_over(op);
    if (undo_again(run, op))
        return;
    if (op->code) {
        emit_error(run, op->code, &op->err);
        return;
    }
    const struct chat *chat = run->live->chat;
    const struct turn *turn = chat_turn(chat, run->turn);
    struct safe_buf text;
    learn_undone(run);
    safe_buf_init(&text, CONTENT_BYTES_MAX);
    content_text(&turn->steps[0].content, &text);
    if (safe_buf_check(&text, "the text", NULL)) {
        safe_buf_release(&text);
        emit_untold(run);
        return;
    }
    struct buf json = BUF_INIT(RESULT_BYTES_MAX);
    struct json_writer w;
    jw_init(&w, &json);
    jw_object(&w);
    jw_kv_str(&w, "session", chat->head.id);
    ordinal_text(&w, "turn", run->turn);
    jw_kv_slice(&w, "text", safe_slice(safe_buf_text(&text)));
    jw_object_end(&w);
    safe_buf_release(&text);
    emit_result(run, &json);
}

static void undo_loaded(struct ledger_op *op)
{
    struct run *run = turn_op_over(op);
    if (undo_again(run, op))
        return;
    if (op->code) {
        emit_error(run, op->code, &op->err);
        return;
    }
    turn_op_start(run, undo_done);
    ledger_supersede(run->live->chat, run->turn, SUPERSEDE_UNDO, &run->op);
}

static void undo_have(struct run *run)
{
    const struct session_head *head = &run->live->chat->head;
    struct err err = ERR_INIT;
    if (head->open_turn) {
        err_set(&err, E_REFUSED, "turn %u is being answered: undo it when it is done",
                head->open_turn);
        emit_error(run, E_REFUSED, &err);
        return;
    }
    run->turn = head->turns;
    while (run->turn > 0 && session_is_superseded(head, run->turn))
        run->turn--;
    if (run->turn == 0) {
        err_set(&err, E_REFUSED, "there is no turn to undo in this session");
        emit_error(run, E_REFUSED, &err);
        return;
    }
    turn_op_start(run, undo_loaded);
    ledger_load(run->live->chat, run->turn, &run->op);
}

static void undo_reloaded(struct ledger_op *op)
{
    struct run *run = turn_op_over(op);
    int code = op->code;
    if (!code && device_keeps_out(run, &op->err))
        code = E_REFUSED;
    if (code)
        emit_error(run, code, &op->err);
    else
        undo_have(run);
}

// Which turn is the newest is decided by what the session is now, not by what is known of it here.
static void undo_look(struct run *run)
{
    turn_op_start(run, undo_reloaded);
    ledger_reload(run->live->chat, &run->op);
}

static void undo_entered(struct run *run)
{
    live_take(run, undo_look);
}

static void undo_located(struct run *run)
{
    struct err err = ERR_INIT;
    if (run->target) {
        device_enter(run, undo_entered);
        return;
    }
    err_set(&err, E_NOT_FOUND, "there is no session to undo a turn of");
    emit_error(run, E_NOT_FOUND, &err);
}

static void undo_user(struct run *run)
{
    run->job->flags |= JOB_CONTINUE;
    if (ask_known_user(run))
        resolve_session(run, false, undo_located);
}

void ask_undo(struct run *run)
{
    resolve_user(run, false, undo_user);
}

// ---- recover

static void recover_done(struct ledger_op *op)
{
    struct run *run = turn_op_over(op);
    if (op->code) {
        emit_error(run, op->code, &op->err);
        return;
    }
    feeder_start(run->w);  // what other processes noted
    struct buf json = BUF_INIT(RESULT_BYTES_MAX);
    struct json_writer w;
    jw_init(&w, &json);
    jw_object(&w);
    jw_kv_i64(&w, "turns", op->turns);
    jw_object_end(&w);
    emit_result(run, &json);
}

static void erasures_done(struct ledger_op *op)
{
    struct run *run = turn_op_over(op);
    // Who was erased is gone and closed by now; copies in the store's files go with the next try.
    if (op->code == E_BUSY)
        log_line(run->w->env.log, LOG_WARN, "erasures: %s", op->err.message);
    else if (op->code) {
        emit_error(run, op->code, &op->err);
        return;
    }
    if (op->turns)
        log_line(run->w->env.log, LOG_INFO, "erasures: completed %u that were broken off, or that "
                 "this store lacked", op->turns);
    turn_op_start(run, recover_done);
    ledger_recover(run->w->ledger, &run->op);
}

// First erasures that were broken off, or that a store which was put back does not know of.
void ask_recover(struct run *run)
{
    turn_op_start(run, erasures_done);
    ledger_erase(run->w->ledger, &run->op);
}
