// SPDX-License-Identifier: MIT
// turn_plan.c: PLANNING (turn.c draws the machine). The policy sees the message and decides; its
// plan and the ledger become a request. A hook that fails is stood in for by the plain policy: no
// turn is lost.
#include "turn/device.h"
#include "turn/book.h"
#include "turn/core.h"
#include "turn/gauge.h"
#include "turn/mask.h"
#include "turn/resume.h"

void turn_view(const struct run *run, struct policy_view *view)
{
    const struct chat *chat = run->live->chat;
    uint64_t behind = chat->head.tokens;
    if (run->turn)
        behind = behind > run->text_tokens ? behind - run->text_tokens : 0;
    *view = (struct policy_view){
        .chat = chat,
        .user = run->job->user,
        .context = run->job->context,
        .turn = run->turn ? run->turn : chat->head.turns + 1,
        .text = safe_buf_text(&run->text),
        .now_ms = clock_wall_ms(run->w->env.clock),
        .gap_ms = run->gap_ms > 0 ? run->gap_ms : 0,
        .window_tokens = run->caps.window_tokens,
        .history_tokens = behind,
        .budget_tokens = context_budget(run),
    };
    if (!run->book)
        return;
    view->facts = run->book->facts;
    view->facts_scope = run->context_hash;
    view->core = &run->book->core;
    view->journal = run->book->journal.list;
    view->journal_len = run->book->journal.len;
    view->journal_of = run->policy->info.memory.by_context ? run->context_hash : NULL;
}

// How much of a script's error is its place, "policies/kiosk.lua:14".
static size_t place_bytes(const char *message)
{
    const char *name_end = strstr(message, ".lua:");
    size_t digits = name_end ? strspn(name_end + 5, "0123456789") : 0;

    return digits ? (size_t)(name_end - message) + 5 + digits : 0;
}

void turn_hook_failed(struct run *run, const char *hook, const struct err *err)
{
    // The warning tells whoever asked; of a script's own words the log has but the place, as they
    // may be what the user said.
    size_t len = err->code == E_POLICY ? place_bytes(err->message) : strlen(err->message);
    // Of what runs behind a turn nobody is told but by the log.
    bool behind = run->job->verb == JOB_LEARN || run->job->verb == JOB_REFLECT;
    log_line(run->w->env.log, behind ? LOG_WARN : LOG_INFO, "policy: %s: %s failed at %.*s",
             run->policy->info.version, hook, (int)len, err->message);
    emit_warning(run, "policy %s: %s failed (%s); the plain policy stood in",
                 run->policy->info.name, hook, err->message);
}

// The turn ends with words of the policy's own (or none); nothing is sent.
static void answered(struct run *run, int code, const struct err *err)
{
    if (code) {
        turn_fail(run, code, err);
        return;
    }
    emit_reply(run, safe_buf_text(&run->reply));
    run->attempt.status = ATTEMPT_UNUSED;
    run->provider[0] = run->model[0] = '\0';
    run->settle.status = TURN_DONE;
    run->settle.stop = STOP_END;
    turn_settle(run);
}

static void move(struct run *run);

static void move_reloaded(struct ledger_op *op)
{
    struct run *run = turn_op_over(op);
    if (op->code) {
        turn_fail(run, op->code, &op->err);
        return;
    }
    device_look(run);
    move(run);
}

static void moved(struct ledger_op *op)
{
    struct run *run = turn_op_over(op);
    struct live *to = run->moving;
    struct err err = ERR_INIT;
    run->moving = NULL;
    // The session before was moved to another device meanwhile.
    if (op->code == E_CONFLICT && !op->ambiguous && run->tries++ < CONFLICT_TRIES_MAX) {
        live_discard(run->w, to);
        turn_op_start(run, move_reloaded);
        ledger_reload(run->live->chat, &run->op);
        return;
    }
    run->tries = 0;
    if (op->code) {
        live_discard(run->w, to);
        turn_fail(run, op->code, &op->err);
        return;
    }
    // The window stays as the session before has learned it: it is the same server's.
    to->took_tokens = run->live->took_tokens;
    to->took_at_ms = run->live->took_at_ms;
    live_swap(run, to);
    run->turn = 1;
    run->gap_ms = 0;
    run->attempt = to->chat->attempt;
    if (live_map(run->w, to, &err))
        log_line(run->w->env.log, LOG_WARN, "turn: %s", err.message);
    emit_accepted(run);
    turn_plan(run);
}

static void reset(struct run *run)
{
    const struct constraints *kept = run->live->chat->head.constraints;
    if (kept && kept->len)
        emit_warning(run, "policy %s begins a new session: the %u constraint%s of session %s "
                     "stay%s there", run->policy->info.name, kept->len, kept->len == 1 ? "" : "s",
                     run->live->chat->head.id, kept->len == 1 ? "s" : "");
    run->was_reset = true;
    move(run);
}

static void move(struct run *run)
{
    struct worker *w = run->w;
    struct err err = ERR_INIT;
    struct session_head head = {0};
    int code = session_head_new(&head, &w->session_env, run->partition, run->job->bot,
                                run->job->context, &err);
    if (!code)
        code = live_new(&run->moving, w, &head, run->user_key, &err);
    session_head_release(&head);
    if (code) {
        turn_fail(run, code, &err);
        return;
    }
    struct ledger_accept a;
    turn_fill_accept(run, &a);
    a.edit_from = 0;
    turn_op_start(run, moved);
    ledger_move(run->live->chat, run->moving->chat, &a, &run->op);
}

static void warn_when_full(struct run *run)
{
    const struct context *c = &run->context;
    unsigned long long limit = run->caps.window_tokens;
    uint64_t likely = gauge_likely(run, c->anchor, c->total_tokens);
    bool full = limit && (c->squeezed || likely * 100 >= limit * 80);
    if (full && !run->live->warned_full && c->squeezed)
        emit_warning(run,
                     "the conversation no longer fits the %llu tokens that %s takes: its oldest "
                     "turns are left out; start anew with /reset, or choose a history strategy",
                     limit, run->model);
    else if (full && !run->live->warned_full)
        emit_warning(run,
                     "this request fills %u %% of the %llu tokens that %s takes: start anew with "
                     "/reset, or choose a history strategy that keeps less",
                     (unsigned)(likely * 100 / limit), limit, run->model);
    run->live->warned_full = full;
}

// A pin is a promise: where it cannot be kept, that is said, once.
static void warn_of_pins(struct run *run)
{
    const struct context *c = &run->context;
    const struct session_pins *pins = &run->live->chat->head.pins;
    uint32_t lacks = 0;
    for (uint32_t i = 0; i < pins->len && !lacks; i++) {
        uint32_t n = pins->list[i].turn;
        lacks = n >= c->pins_end && n < c->first && n < run->turn ? n : 0;
    }
    if (lacks && !run->live->warned_pins && !(run->job->flags & JOB_STATELESS))
        emit_warning(run,
                     "turn %u is pinned, and there is no room for it: unpin what matters less, or "
                     "choose a model with a larger window", lacks);
    run->live->warned_pins = lacks != 0;
}

static void send(struct run *run)
{
    warn_when_full(run);
    warn_of_pins(run);
    turn_call(run);
}

// ---- how large is it, really? A request that likely fits but may not is counted by the provider,
//      if it can do that; else less is sent, so that it fits as good as always.

static void send_less(struct run *run)
{
    struct err err = ERR_INIT;
    run->careful = true;
    int code = context_assemble(run, &err);
    if (code)
        turn_fail(run, code, &err);
    else
        send(run);
}

static void counted(struct llm_count *count)
{
    struct run *run = count->user;
    run->count_busy = false;
    if (count->code == E_OK)
        run->live->anchor = context_anchor(run, count->tokens);
    if (count->code == E_OK && count->tokens <= context_limit(run)) {
        run->context.anchor = run->live->anchor.tokens ? &run->live->anchor : NULL;
        send(run);
    } else {
        send_less(run);
    }
}

static void count(struct run *run)
{
    struct err err = ERR_INIT;
    run->count = (struct llm_count){.request = &run->request, .on_done = counted, .user = run};
    run->count_busy = llm_count_start(run->llm, &run->count, &err) == E_OK;
    if (!run->count_busy)
        send_less(run);
}

static void assemble(struct run *run)
{
    struct err err = ERR_INIT;
    int code = context_assemble(run, &err);
    if (code)
        turn_fail(run, code, &err);
    else if (!run->careful && gauge_most(run, run->context.anchor, run->context.total_tokens) >
                                  context_limit(run))
        count(run);
    else
        send(run);
}

static void prime(struct run *run)
{
    struct err err = ERR_INIT;
    int code = resume_prime(run, &err);
    if (code)
        turn_fail(run, code, &err);
    else
        assemble(run);
}

static void have_history(struct run *run)
{
    if (run->job->flags & JOB_STATELESS)
        prime(run);
    else
        recalled_find(run, prime);
}

static void history_loaded(struct ledger_op *op)
{
    struct run *run = turn_op_over(op);
    if (op->code)
        turn_fail(run, op->code, &op->err);
    else
        have_history(run);
}

void turn_history(struct run *run)
{
    struct policy_view view;
    struct err err = ERR_INIT;
    turn_view(run, &view);
    if (run->policy->ops->history(run->policy, &view, &run->plan, &err))
        turn_hook_failed(run, "history", &err);
    history_plan_pin(&run->plan, &run->live->chat->head.pins);
}

static void load_history(struct run *run)
{
    bool stateless = run->job->flags & JOB_STATELESS;
    uint32_t first = stateless ? run->turn : context_first_needed(run);
    if (first >= run->live->chat->first && (stateless || !context_needs_prompt(run))) {
        have_history(run);
        return;
    }
    turn_op_start(run, history_loaded);
    ledger_load(run->live->chat, first, &run->op);
}

static void choose_history(struct run *run)
{
    turn_history(run);
    summary_find(run, load_history);
}

void turn_pin(struct run *run, const struct plan *p)
{
    bool news = p->pin && !run->settle.pin;
    run->settle.pin |= p->pin;
    if (news && run->live->chat->head.pins.len == SESSION_PINS_MAX)
        emit_warning(run, "policy %s: this turn is not pinned: the session has %d pinned turns, no "
                     "more are kept", run->policy->info.name, SESSION_PINS_MAX);
}

void turn_keep_state(struct run *run, unsigned which, const struct plan *p)
{
    safe_buf_clear(&run->states[which]);
    safe_buf_add(&run->states[which], safe_buf_text(&p->state));
    run->settle.states[which] = safe_buf_text(&run->states[which]);
    run->settle.resume |= p->resume;
}

static void ask_policy(struct run *run)
{
    struct policy_view view;
    struct err err = ERR_INIT;
    struct plan p;
    if (!run->policy->info.has_on_message || run->was_reset) {
        choose_history(run);
        return;
    }
    plan_init(&p);
    turn_view(run, &view);
    if (run->policy->ops->on_message(run->policy, &view, &p, &err))
        turn_hook_failed(run, "on_message", &err);
    turn_pin(run, &p);
    turn_keep_state(run, STATE_OF_MESSAGE, &p);
    plan_memory_take(run, &p);
    switch (p.verb) {
    case PLAN_SAY:
    case PLAN_HANDOFF:
        run->says = p.text;
        safe_buf_init(&p.text, 0);
        reply_say(run, answered);
        break;
    case PLAN_RESET:
        reset(run);
        break;
    case PLAN_FLOW:
        emit_warning(run, "policy %s: flows have no effect yet", run->policy->info.name);
        choose_history(run);
        break;
    case PLAN_GO:
        choose_history(run);
        break;
    }
    plan_release(&p);
}

static void start_asking(struct run *run)
{
    const struct policy_info *info = &run->policy->info;
    if (info->has_on_message || info->needs_turns)
        aside_run(run, ask_policy);
    else
        ask_policy(run);
}

// What is remembered of the user is in the hooks' view, and some of it in the request.
static void open_book(struct run *run)
{
    bool stateless = run->job->flags & JOB_STATELESS;
    if (run->policy->info.memory.on && !stateless && !run->was_reset)
        book_get(run, start_asking);
    else
        start_asking(run);
}

static void all_loaded(struct ledger_op *op)
{
    struct run *run = turn_op_over(op);
    if (op->code)
        turn_fail(run, op->code, &op->err);
    else
        open_book(run);
}

void turn_plan(struct run *run)
{
    run->careful = turn_encoding(run) || !llm_can_count(run->llm);
    if (run->stopped) {
        turn_stopped(run, ATTEMPT_UNUSED);
        return;
    }
    if (run->policy->info.needs_turns && run->live->chat->first > 1) {
        turn_op_start(run, all_loaded);
        ledger_load(run->live->chat, 1, &run->op);
    } else {
        open_book(run);
    }
}
