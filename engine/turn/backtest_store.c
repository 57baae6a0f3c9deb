// SPDX-License-Identifier: MIT
// backtest_store.c: the store's sessions through a back-test, one after the other; nothing of them
// stays in memory, and nothing is written. Superseded turns are left out, and so is one that is
// still open. A session that cannot be read is told, and left out too.
#include "turn/backtest_int.h"

struct stored {
    struct session_list list;
    uint32_t at;              // the next head
    struct vec turns;         // of struct turn: shallow copies of those that count
};

static void stored_free(void *extra)
{
    struct stored *s = extra;
    session_list_release(&s->list);
    vec_release(&s->turns);
    mem_free(s);
}

static void next_session(struct run *run);

static bool wanted(const struct run *run, const struct session_head *head)
{
    const struct job *job = run->job;
    return !head->quarantined && head->turns > 0 && head->last_active_at_ms >= job->since_ms &&
           !(job->bot_given && strcmp(job->bot, head->bot) != 0) &&
           !(job->context[0] && strcmp(job->context, head->context) != 0);
}

static int run_session(struct run *run, struct err *err)
{
    struct stored *s = run->extra;
    const struct chat *chat = run->live->chat;
    vec_clear(&s->turns);
    for (uint32_t i = 0; i < chat->turns_len; i++) {
        const struct turn *t = &chat->turns[i];
        if (t->superseded || t->damaged || t->status == TURN_OPEN || t->steps_len == 0)
            continue;
        struct turn *copy = vec_push(&s->turns);
        if (!copy)
            return err_set(err, E_NOMEM, "out of memory for the turns of a session");
        *copy = *t;
        copy->n = (uint32_t)s->turns.len;
    }
    struct backtest_talk talk = {.name = chat->head.id,
                                 .user = walk_user(run),
                                 .context = chat->head.context,
                                 .turns = s->turns.ptr,
                                 .turns_len = (uint32_t)s->turns.len,
                                 .timed = (uint32_t)s->turns.len};
    return talk.turns_len ? backtest_run(run->job->backtest, &talk, err) : E_OK;
}

static void loaded(struct ledger_op *op)
{
    struct run *run = turn_op_over(op);
    struct err err = op->err;
    int code = op->code;
    if (code == E_CORRUPT || code == E_CONFLICT) {
        emit_warning(run, "left out: %s", err.message);
        code = E_OK;
    } else if (!code) {
        code = run_session(run, &err);
    }
    live_give_back(run);
    if (code)
        emit_error(run, code, &err);
    else if (run->stopped)
        walk_next(run);  // which ends it
    else
        next_session(run);
}

static void next_session(struct run *run)
{
    struct stored *s = run->extra;
    struct err err = ERR_INIT;
    struct live *live = NULL;
    while (s->at < s->list.heads_len && !wanted(run, &s->list.heads[s->at]))
        s->at++;
    if (s->at == s->list.heads_len) {
        session_list_release(&s->list);
        walk_next(run);
        return;
    }
    if (live_new(&live, run->w, &s->list.heads[s->at++], run->user_key, &err)) {
        emit_error(run, err.code, &err);
        return;
    }
    live_swap(run, live);
    turn_op_start(run, loaded);
    ledger_load(live->chat, 1, &run->op);
}

static void listed(struct session_list *list)
{
    struct run *run = list->user;
    struct stored *s = run->extra;
    struct err err = list->err;
    if (list->damaged)
        emit_warning(run, "left out: %u sessions that could not be read; run `parley verify`",
                     list->damaged);
    if (list->code && list->code != E_CORRUPT) {
        emit_error(run, list->code, &err);
        return;
    }
    s->at = 0;
    next_session(run);
}

static void each(struct run *run)
{
    struct stored *s = run->extra;
    s->list = (struct session_list){
        .env = &run->w->session_env, .key = run->user_key, .done = listed, .user = run};
    memcpy(s->list.partition, run->partition, sizeof(s->list.partition));
    session_list(&s->list);
}

static void end(struct run *run)
{
    struct buf json = BUF_INIT(RESULT_BYTES_MAX);
    buf_add_str(&json, "{}");
    emit_result(run, &json);
}

void backtest_start(struct run *run)
{
    struct stored *s = mem_zalloc(sizeof(*s));
    if (!s) {
        struct err err = ERR_INIT;
        err_set(&err, E_NOMEM, "out of memory for a back-test");
        emit_error(run, E_NOMEM, &err);
        return;
    }
    vec_init(&s->turns, sizeof(struct turn), RECORDED_TURNS_MAX);
    run->extra = s;
    run->extra_free = stored_free;
    walk_start(run, run->job->flags & JOB_ALL_USERS, each, end);
}
