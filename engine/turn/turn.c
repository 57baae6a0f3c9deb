// SPDX-License-Identifier: MIT
// turn.c: the conductor. One turn from the user's words to the settled reply.
//
//  turn_start
//      │ redact, find the user's key and session, wait for its turn        (resolve.c, live.c)
//      │ a budget has no room for it: refused                              (budget.c)
//      ▼
//  RESOLVING ──key used before──────────────────────────────▶ replay.c
//      │ [owned]
//      ▼
//  ACCEPTING ──head moved: [reload], try again──┐
//      │    ──a record is damaged: refused      │
//      │ [accepted] A1                          │
//      ▼ ◀──────────────────────────────────────┘
//  PLANNING ──policy says: answer it ──────────────────────┐
//      │    ──policy says: reset ▶ [moved] ▶ PLANNING      │
//      │    ──stopped ─────────────────────────────────────┤
//      │ gauge, hooks, summary, turns, recall [assemble]   │
//      │ may not fit: [counted], with less [assemble]      │
//      ▼                                                   │
//  CALLING ──no room in a budget, or stopped ──────────────┤
//      │   ──failed before any text──▶ BACKOFF ──stopped───┤
//      │   ──too long: with less──┐       │ [retry_due]    │
//      │  ▲                       ▼       │                │
//      │  └──── attempt committed ◀───────┘                │
//      │ [call_over]                                       │
//      ▼                                                   ▼
//  SETTLING ──store failed: wait, look, write again──▶ SETTLING
//      │ [settled] A2
//      ▼
//    OVER
//
// Invariants:
//   1. No byte goes to a provider before A1, nor before each further attempt, is durable.
//   2. After A1 the run ends with DONE and nothing else.
//   3. While run->op is under way (op_busy) no other ledger op of this chat is started.
#include "base/utf8.h"
#include "turn/background.h"
#include "turn/device.h"
#include "turn/feeder.h"
#include "turn/gauge.h"
#include "turn/mask.h"
#include "turn/predict.h"
#include "turn/provider.h"
#include "turn/resolve.h"
#include "turn/resume.h"
#include "turn/watch.h"

static void begin_accept(struct run *run);
static void refuse_stopped(struct run *run);

void turn_op_start(struct run *run, void (*done)(struct ledger_op *op))
{
    BUG_ON(run->op_busy);
    memset(&run->op, 0, sizeof(run->op));
    run->op.done = done;
    run->op.user = run;
    run->op_busy = true;
}

struct run *turn_op_over(struct ledger_op *op)
{
    struct run *run = op->user;
    run->op_busy = false;
    return run;
}

// ---- before the accept

// Whether there is a message; it becomes safe text once policy and user are known.
static int check_text(struct run *run, struct err *err)
{
    int code = mask_check(run, "the message", err);
    if (!code && utf8_blank(buf_slice(&run->job->text)))
        code = err_set(err, E_USAGE, "the message is empty: say something");
    return code;
}

// The same words under the same key are the same turn: the other run's events are this one's too.
static bool join(struct run *run, struct run *first)
{
    if (strcmp(first->text_digest, run->text_digest) != 0) {
        struct err err = ERR_INIT;
        err_set(&err, E_REFUSED, "key \"%s\" was used for another message: use a new key",
                run->job->key);
        emit_error(run, E_REFUSED, &err);
        return true;
    }
    live_unpin(run);
    run->joined = true;
    run->joiner_next = first->joiners;
    first->joiners = run;
    emit_join(run, first);
    return true;
}

static void owned(struct run *run);

// The same request for another answer is the same, whatever was said.
static void digest_text(struct run *run)
{
    struct slice text = buf_slice(&run->job->text);
    char turn[16];
    bool again = run->job->flags & JOB_REGENERATE;
    snprintf(turn, sizeof(turn), "%u", run->job->edit_turn);
    if (again)
        text = slice_str(turn);
    vault_digest(run->w->env.vault, again ? "regenerate" : "text", &text, 1, run->text_digest);
}

static void key_looked_up(struct ledger_op *op)
{
    struct run *run = turn_op_over(op);
    if (op->code == E_NOT_FOUND)
        live_take(run, owned);
    else if (op->code == E_OK)
        replay_start(run, op);
    else
        emit_error(run, op->code, &op->err);
}

static void entered(struct run *run)
{
    struct job *job = run->job;
    if (!job->key[0]) {
        live_take(run, owned);
        return;
    }
    struct slice parts[] = {slice_str(job->bot), slice_str(job->context), slice_str(job->key)};
    vault_digest(run->w->env.vault, "key", parts, 3, run->key_hash);
    digest_text(run);
    char name[PARTITION_BYTES + VAULT_DIGEST_BYTES + 1];
    snprintf(name, sizeof(name), "%s/%s", run->partition, run->key_hash);
    struct run *first = map_get(run->w->keys, slice_str(name));
    if (first && join(run, first))
        return;
    run->key_name = mem_strdup(name);
    if (!run->key_name || map_set(run->w->keys, slice_str(name), run, NULL)) {
        mem_free(run->key_name);
        run->key_name = NULL;
        struct err err = ERR_INIT;
        err_set(&err, E_NOMEM, "out of memory for an idempotency key");
        emit_error(run, E_NOMEM, &err);
        return;
    }
    turn_op_start(run, key_looked_up);
    ledger_find_key(run->w->ledger, run->partition, run->user_key, run->key_hash, run->text_digest,
                    &run->op);
}

static void located(struct run *run)
{
    if (run->target) {
        device_enter(run, entered);
        return;
    }
    struct err err = ERR_INIT;
    err_set(&err, E_NOT_FOUND, "there is no session yet, and no reply to regenerate");
    emit_error(run, E_NOT_FOUND, &err);
}

static void have_user(struct run *run)
{
    bool again = run->job->flags & JOB_REGENERATE;
    if (run->user_key || ask_known_user(run))
        resolve_session(run, !again, located);
}

void turn_start(struct run *run)
{
    struct job *job = run->job;
    struct err err = ERR_INIT;
    bool again = job->flags & JOB_REGENERATE;
    // What is replaced is of a session that is there.
    if (again || job->edit_turn)
        job->flags |= JOB_CONTINUE;
    int code = again ? E_OK : check_text(run, &err);
    safe_buf_init(&run->text, CONTENT_BYTES_MAX);
    if (code)
        emit_error(run, code, &err);
    else
        // Who is not known yet has no session to name, and gets no key for trying.
        resolve_user(run, !again && !job->session[0], have_user);
}

int turn_prepare(struct run *run, struct err *err)
{
    struct policy *policy;
    int code = policy_host_get(run->w->policies, run->job->bot, &policy, err);
    if (code)
        return code;
    policy_unref(run->policy);
    run->policy = policy;
    code = provider_choose(run, err);
    if (code)
        return code;
    run->system = run->job->flags & JOB_STATELESS ? SAFE_NONE : policy->info.system;
    run->system_tokens = tokens_of_system(turn_encoding(run), run->system);
    return E_OK;
}

// ---- A1

static void refuse_stopped(struct run *run)
{
    struct err err = ERR_INIT;
    err_set(&err, E_CANCELLED, "stopped before the message was accepted");
    emit_error(run, E_CANCELLED, &err);
}

static void budget_seen(void *user, struct budget_hold *hold, int code, const struct err *err)
{
    struct run *run = user;
    (void)hold;
    if (code)
        emit_error(run, code, err);
    else if (run->stopped)
        refuse_stopped(run);
    else
        begin_accept(run);
}

// A message that its budgets have no room for is refused before it is accepted, unless the policy
// may answer it by itself. The reservation itself comes with the request (turn_call.c).
static void look_at_budget(struct run *run)
{
    struct budget_ask ask;
    struct usage least;
    turn_budget_ask(run, &ask);
    if (run->policy->info.has_on_message || !budget_any(&ask)) {
        begin_accept(run);
        return;
    }
    predict_least(run, &least);
    budget_look(&ask, &least, budget_seen, run);
}

// When the session grows old, as its policy says now.
static void ask_expiry(struct run *run)
{
    struct policy *policy = run->policy;
    struct policy_view view;
    struct err err = ERR_INIT;
    run->expiry = policy->info.expiry;
    if (!policy->info.has_expiry)
        return;
    turn_view(run, &view);
    if (policy->ops->expiry(policy, &view, &run->expiry, &err))
        turn_hook_failed(run, "expiry", &err);
}

static void prepared(struct run *run)
{
    run->text_tokens = tokens_of_content(turn_encoding(run), &run->content);
    run->state = RUN_ACCEPTING;
    const struct session_head *head = &run->live->chat->head;
    if (!run->resumed)
        run->gap_ms = head->turns ? clock_wall_ms(run->w->env.clock) - head->last_active_at_ms : 0;
    ask_expiry(run);
    look_at_budget(run);
}

// The session before is too old: this one has taken its place.
static void resumed(struct run *run)
{
    if (run->stopped)
        refuse_stopped(run);
    else if (run->policy->info.has_expiry)
        aside_run(run, prepared);
    else
        prepared(run);
}

static void relocated(struct run *run)
{
    live_take(run, owned);
}

static void enter(struct run *run)
{
    if (run->stopped) {  // while the policy's file was loaded, or masks were written
        refuse_stopped(run);
        return;
    }
    if (resume_due(run) != RESUME_RESTORE)
        resume_start(run, resumed, relocated);
    else
        prepared(run);
}

static void have_text(struct run *run)
{
    if (run->policy->info.has_expiry)
        aside_run(run, enter);
    else
        enter(run);
}

// The words of a turn that is asked again are safe already.
static void have_masks(struct run *run)
{
    if (run->job->flags & JOB_REGENERATE)
        have_text(run);
    else
        mask_said(run, have_text);
}

static void prepare(struct run *run)
{
    struct err err = ERR_INIT;
    int code = turn_prepare(run, &err);
    if (code)
        emit_error(run, code, &err);
    else
        mask_open(run, have_masks);
}

static void owned(struct run *run)
{
    if (run->stopped)
        refuse_stopped(run);
    else if (policy_host_info(run->w->policies, run->job->bot))
        prepare(run);
    else
        aside_run(run, prepare);
}

uint32_t turn_replaces(const struct run *run)
{
    const struct session_head *head = &run->live->chat->head;
    uint32_t n = run->job->edit_turn;
    if (n || !(run->job->flags & JOB_REGENERATE))
        return n;
    for (n = head->turns; n > 0 && session_is_superseded(head, n);)
        n--;
    return n;
}

static bool turn_edits(const struct run *run)
{
    return run->job->edit_turn || (run->job->flags & JOB_REGENERATE);
}

static void accepted(struct ledger_op *op);

static bool resumes(const struct run *run)
{
    return session_resume(&run->policy->info.resume, 0, run->gap_ms) != RESUME_RESTORE;
}

void turn_fill_accept(const struct run *run, struct ledger_accept *a)
{
    *a = (struct ledger_accept){
        .user = slice_str(run->job->user),
        .content = &run->content,
        .tokens = run->text_tokens,
        .system = run->policy->info.system,
        .system_hash = run->policy->info.system_hash,
        .key_hash = run->key_name ? run->key_hash : NULL,
        .text_digest = run->key_name ? run->text_digest : NULL,
        .expiry = &run->expiry,
        .edit_from = turn_replaces(run),
        .regenerate = run->job->flags & JOB_REGENERATE,
        .resumed = resumes(run),
        .by = device_of(run),
        .devices = run->policy->info.devices,
    };
    memcpy(a->context_hash, run->context_hash, sizeof(a->context_hash));
}

static void accept_again(struct ledger_op *op)
{
    struct run *run = turn_op_over(op);
    if (op->code == E_OK) {
        begin_accept(run);
        return;
    }
    // The open turn was settled by its owner, or by another who met it.
    if (op->code == E_CONFLICT) {
        turn_op_start(run, accept_again);
        ledger_reload(run->live->chat, &run->op);
        return;
    }
    if (op->code == E_BUSY)
        err_set(&op->err, E_REFUSED,
                "another process is answering turn %u of this session: try again when it is done",
                run->live->chat->head.open_turn);
    emit_error(run, op->code == E_BUSY ? E_REFUSED : op->code, &op->err);
}

// What is damaged is not added to: a session's newest turns are read before the next one is
// accepted, unless they are in memory. Older ones are read when the policy wants them.
static bool must_read(const struct run *run, uint32_t *first)
{
    const struct chat *chat = run->live->chat;
    uint32_t turns = chat->head.turns;
    uint32_t replaced = run->job->flags & JOB_REGENERATE ? turn_replaces(run) : 0;
    *first = turns > COLD_TURNS ? turns - COLD_TURNS + 1 : 1;
    if (replaced && replaced < *first)
        *first = replaced;
    return turns && chat->first > *first;
}

// The words of the turn that is asked again are this turn's. They are loaded, if they are there.
static int take_words_again(struct run *run, struct err *err)
{
    const struct chat *chat = run->live->chat;
    uint32_t n = turn_replaces(run);
    const struct turn *t = chat_turn(chat, n);
    if (n == 0)
        return err_set(err, E_REFUSED, "there is no turn to regenerate in this session");
    if (!t)
        return err_set(err, E_NOT_FOUND, "session %s has no turn %u to regenerate: it has %u",
                       chat->head.id, n, chat->head.turns);
    content_release(&run->content);
    safe_buf_clear(&run->text);
    int code = content_copy(&run->content, &t->steps[0].content, err);
    if (code)
        return code;
    content_text(&run->content, &run->text);
    run->text_tokens = tokens_of_content(turn_encoding(run), &run->content);
    return safe_buf_check(&run->text, "the message", err);
}

static void accept_now(struct run *run)
{
    struct ledger_accept a;
    struct err err = ERR_INIT;
    if ((run->job->flags & JOB_REGENERATE) && take_words_again(run, &err)) {
        emit_error(run, err.code, &err);
        return;
    }
    turn_fill_accept(run, &a);
    turn_op_start(run, accepted);
    ledger_accept(run->live->chat, &a, &run->op);
}

static void read_before(struct ledger_op *op)
{
    struct run *run = turn_op_over(op);
    if (op->code == E_OK) {
        accept_now(run);
    } else if (op->code == E_CONFLICT) {
        turn_op_start(run, accept_again);
        ledger_reload(run->live->chat, &run->op);
    } else {
        emit_error(run, op->code, &op->err);
    }
}

static bool writes_to(const struct run *run, const char *session)
{
    bool turns = run->state >= RUN_ACCEPTING && run->state < RUN_OVER && !run->replay_session[0];
    return (turns && run->live && strcmp(run->live->chat->head.id, session) == 0) ||
           (run->moving && strcmp(run->moving->chat->head.id, session) == 0);
}

void turn_recover(struct run *run, void (*done)(struct ledger_op *op))
{
    struct chat *chat = run->live->chat;
    bool worked_on = false;
    for (struct run *r = run->w->runs; r && !worked_on; r = r->next)
        worked_on = r != run && writes_to(r, chat->head.id);
    turn_op_start(run, done);
    if (worked_on)
        ledger_recover_chat(chat, &run->op);
    else
        ledger_recover_own(chat, &run->op);
}

// Which device has the session is for its head to say as it is now.
static void refuse_device(struct run *run, const struct err *err)
{
    if (run->lease_looked) {
        emit_error(run, E_REFUSED, err);
        return;
    }
    run->lease_looked = true;
    turn_op_start(run, accept_again);
    ledger_reload(run->live->chat, &run->op);
}

static void begin_accept(struct run *run)
{
    struct chat *chat = run->live->chat;
    if (run->tries++ == CONFLICT_TRIES_MAX) {
        struct err err = ERR_INIT;
        err_set(&err, E_BUSY, "other processes keep writing to this session: try again later");
        emit_error(run, E_BUSY, &err);
        return;
    }
    // What can be replaced is decided by what the session is now, not by what is known of it here.
    if (run->tries == 1 && turn_edits(run)) {
        turn_op_start(run, accept_again);
        ledger_reload(chat, &run->op);
        return;
    }
    struct err err = ERR_INIT;
    if (device_held(run, &run->policy->info.devices, &err)) {
        refuse_device(run, &err);
        return;
    }
    if (chat->head.open_turn) {
        turn_recover(run, accept_again);
        return;
    }
    uint32_t first;
    if (must_read(run, &first)) {
        turn_op_start(run, read_before);
        ledger_load(chat, first, &run->op);
    } else {
        accept_now(run);
    }
}

static void accepted(struct ledger_op *op)
{
    struct run *run = turn_op_over(op);
    struct err err = ERR_INIT;
    if (op->key_taken) {
        replay_start(run, op);
        return;
    }
    if (op->code == E_CONFLICT && !op->ambiguous) {
        turn_op_start(run, accept_again);
        ledger_reload(run->live->chat, &run->op);
        return;
    }
    if (op->code) {
        emit_error(run, op->code, &op->err);
        return;
    }
    run->turn = run->live->chat->head.turns;
    run->attempt = run->live->chat->attempt;
    run->tries = 0;
    run->moved_epoch = run->live->chat->head.lease.epoch;
    emit_accepted(run);
    feeder_policy(run);
    if (op->moved)
        device_moved(run->w, &run->live->chat->head);
    if (run->turn == 1 || op->moved || resumes(run))
        feeder_wake(run->w);
    // Failing to index it costs the next turn a read, not the turn.
    if (live_map(run->w, run->live, &err))
        log_line(run->w->env.log, LOG_WARN, "turn: %s", err.message);
    run->state = RUN_PLANNING;
    gauge_wait(run, turn_plan);
}

// ---- stopping

void turn_stop(struct run *run)
{
    run->stopped = true;
    background_stop(run);
    if (run->watching) {
        watch_stop(run);
    } else if (run->joined_to) {
        attach_let_go(run);
    } else if (live_waits(run)) {
        refuse_stopped(run);
    } else if (run->count_busy) {
        llm_count_cancel(run->llm, &run->count);
    } else if (run->state == RUN_CALLING && run->call_busy) {
        llm_cancel(run->llm, &run->call);
    } else if (run->state == RUN_BACKOFF && loop_timer_active(&run->timer)) {
        loop_timer_stop(run->w->env.loop, &run->timer);
        turn_stopped(run, run->attempt.status);
    }
}
