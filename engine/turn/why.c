// SPDX-License-Identifier: MIT
// why.c: what a turn's request was made of, and by whose choice.
//
// Told from what the turn's last attempt kept (model/sent.h) and from the turns themselves: what is
// not among those that were sent, or quoted, was left out. A turn that sent nothing (its policy
// answered, or its process died) says so with an empty strategy.
#include "turn/constrain.h"
#include "turn/resolve.h"
#include "turn/turn_int.h"

static void why_user(struct run *run);

static void write_turn(struct json_writer *w, const struct turn *t, const char *why, const char *by)
{
    char number[16];
    snprintf(number, sizeof(number), "%u", t->n);
    jw_object(w);
    jw_kv_str(w, "turn", number);
    jw_kv_i64(w, "tokens", (int64_t)turn_tokens(t));
    jw_kv_str(w, "why", why);
    jw_kv_str(w, "by", by);
    jw_object_end(w);
}

// Whose choice it was that a turn was sent: the line of the plan, or the user; of a turn that the
// policy pinned while it was under way, the policy of that turn.
static const char *chosen_by(const struct sent *sent, enum sent_why why, const struct turn *t)
{
    if (why == SENT_PINNED_BY_USER)
        return "user";
    return why == SENT_PINNED_BY_POLICY ? t->policy : sent->by;
}

static void write_sent(struct json_writer *w, const struct run *run, const struct sent *sent)
{
    const struct chat *chat = run->live->chat;
    jw_key(w, "sent");
    jw_array(w);
    for (uint32_t i = 0; i < sent->runs_len; i++) {
        enum sent_why why = sent->runs[i].why;
        for (uint32_t n = sent->runs[i].first; n <= sent->runs[i].last; n++) {
            const struct turn *t = chat_turn(chat, n);
            if (t)
                write_turn(w, t, sent_why_word(why), chosen_by(sent, why, t));
        }
    }
    jw_array_end(w);
}

static bool was_recalled(const struct run *run, const struct sent *sent, uint32_t n)
{
    for (uint32_t i = 0; i < sent->recalled_len; i++) {
        const struct sent_recalled *r = &sent->recalled[i];
        if (r->kind == SENT_TURN && r->turn == n &&
            strcmp(r->id, run->live->chat->head.id) == 0)
            return true;
    }
    return false;
}

static const char *why_dropped(const struct turn *t, const struct sent *sent)
{
    return t->superseded                 ? "superseded"
           : t->n <= sent->summary_upto ? "summarised"
                                         : "before the cut";
}

static void write_dropped(struct json_writer *w, const struct run *run, const struct sent *sent)
{
    const struct chat *chat = run->live->chat;
    jw_key(w, "dropped");
    jw_array(w);
    for (uint32_t n = 1; n < run->turn && sent->strategy[0]; n++) {
        const struct turn *t = chat_turn(chat, n);
        if (t && !sent_has(sent, n) && !was_recalled(run, sent, n))
            write_turn(w, t, why_dropped(t, sent), sent->by);
    }
    jw_array_end(w);
}

static void write_summary(struct json_writer *w, const struct sent *sent)
{
    char number[16];
    jw_key(w, "summary");
    if (!sent->summary_upto) {
        jw_null(w);
        return;
    }
    snprintf(number, sizeof(number), "%u", sent->summary_upto);
    jw_object(w);
    jw_kv_i64(w, "tokens", (int64_t)sent->summary_tokens);
    jw_kv_str(w, "upto_turn", number);
    jw_object_end(w);
}

static void write_recalled(struct json_writer *w, const struct sent *sent)
{
    char number[16];
    jw_kv_i64(w, "recalled_tokens", (int64_t)sent->recalled_tokens);
    jw_key(w, "recalled");
    jw_array(w);
    for (uint32_t i = 0; i < sent->recalled_len; i++) {
        const struct sent_recalled *r = &sent->recalled[i];
        snprintf(number, sizeof(number), "%u", r->turn);
        jw_object(w);
        jw_kv_str(w, "kind", sent_kind_word(r->kind));
        jw_kv_str(w, r->kind == SENT_FACT || r->kind == SENT_KNOWLEDGE ? "fact" : "session", r->id);
        if (r->kind == SENT_TURN)
            jw_kv_str(w, "turn", number);
        jw_kv_double(w, "score", (double)r->score / 1000);
        jw_kv_str(w, "why", r->score ? "shares words with the message" : "kept at hand");
        jw_object_end(w);
    }
    jw_array_end(w);
}

static void write_usage(struct json_writer *w, const char *key, const struct usage *usage)
{
    jw_key(w, key);
    jw_object(w);
    usage_write_public(usage, w);
    jw_object_end(w);
}

static void answer_why(struct run *run, const struct sent *sent)
{
    const struct turn *t = chat_turn(run->live->chat, run->turn);
    struct buf json = BUF_INIT(RESULT_BYTES_MAX);
    struct json_writer w;
    char number[16];
    if (!t) {
        struct err err = ERR_INIT;
        err_set(&err, E_NOT_FOUND, "turn %u of session %s was deleted, as its policy says",
                run->turn, run->live->chat->head.id);
        emit_error(run, E_NOT_FOUND, &err);
        return;
    }
    snprintf(number, sizeof(number), "%u", run->turn);
    jw_init(&w, &json);
    jw_object(&w);
    jw_kv_str(&w, "session", run->live->chat->head.id);
    jw_kv_str(&w, "turn", number);
    jw_kv_str(&w, "status", turn_status_word(t->status));
    jw_kv_str(&w, "policy", t->policy);
    jw_kv_str(&w, "provider", t->provider);
    jw_kv_str(&w, "model", t->model);
    jw_kv_str(&w, "strategy", sent->strategy);
    jw_kv_str(&w, "by", sent->by);
    jw_kv_bool(&w, "cut_moved", sent->cut_moved);
    jw_kv_i64(&w, "system_tokens", (int64_t)sent->system_tokens);
    jw_kv_i64(&w, "text_tokens", t->steps[0].tokens);
    jw_kv_i64(&w, "constraints", sent->constraints);
    jw_kv_i64(&w, "constraints_tokens", (int64_t)sent->constraints_tokens);
    jw_kv_i64(&w, "core_tokens", (int64_t)sent->core_tokens);
    write_sent(&w, run, sent);
    write_dropped(&w, run, sent);
    write_summary(&w, sent);
    write_recalled(&w, sent);
    write_usage(&w, "predicted", &sent->predicted);
    write_usage(&w, "billed", &t->usage);
    jw_object_end(&w);
    emit_result(run, &json);
}

static void sent_read(struct ledger_op *op)
{
    struct run *run = turn_op_over(op);
    if (op->code && op->code != E_NOT_FOUND)
        emit_error(run, op->code, &op->err);
    else
        answer_why(run, &run->context.sent_as);
}

static void why_loaded(struct ledger_op *op)
{
    struct run *run = turn_op_over(op);
    if (op->code == E_CONFLICT && run->tries++ < CONFLICT_TRIES_MAX) {
        // Another process settled a turn of it.
        why_user(run);
        return;
    }
    if (op->code) {
        emit_error(run, op->code, &op->err);
        return;
    }
    turn_op_start(run, sent_read);
    ledger_find_sent(run->live->chat, run->turn, &run->context.sent_as, &run->op);
}

static void why_found(struct run *run)
{
    const struct session_head *head = &run->live->chat->head;
    struct err err = ERR_INIT;
    run->turn = run->job->turn ? run->job->turn : head->turns;
    if (run->turn == 0) {
        err_set(&err, E_NOT_FOUND, "there is no turn in this session yet");
        emit_error(run, E_NOT_FOUND, &err);
        return;
    }
    if (run->turn > head->turns) {
        err_set(&err, E_NOT_FOUND, "session %s has no turn %u: it has %u", head->id, run->job->turn,
                head->turns);
        emit_error(run, E_NOT_FOUND, &err);
        return;
    }
    turn_op_start(run, why_loaded);
    ledger_load(run->live->chat, 1, &run->op);
}

static void why_user(struct run *run)
{
    if (ask_known_user(run))
        resolve_view(run, run->job->session, why_found);
}

void ask_why(struct run *run)
{
    resolve_user(run, false, why_user);
}
