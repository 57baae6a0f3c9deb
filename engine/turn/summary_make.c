// SPDX-License-Identifier: MIT
// summary_make.c: one summary, from the ledger to the ledger.
//
//   LOOK ──▶ what stands already? as much as is wanted: over
//     │ goes on from it; or from turns alone: there is none, or it was made from others too often
//     ▼
//   READ ──▶ turns after `at`, as many as one call takes                         (ledger_pick)
//     ▼
//   OPEN ──▶ an attempt, durable                                      (ledger_summary_attempt)
//     ▼
//   CALL ──▶ the model
//     │ refused as too long: half as much ▶ READ
//     │ failed or stopped: SETTLE ▶ over, with what the calls before it got to
//     ▼
//   CHECK ─▶ not borne out, and it went on from another: SETTLE ▶ READ, from turns alone
//     │      not borne out, from turns alone: those sentences go; nothing left: SETTLE ▶ over
//     │      turns are left: SETTLE ▶ READ
//     ▼
//   SETTLE ▶ attempt and summary in one commit ▶ over
//
// The number of calls is bounded; what they got to by then is kept, and the next one goes on there.
// Each step is a callback of the worker's loop. If the session moved on meanwhile, nothing is lost:
// whether a summary still holds is asked when it is used (summary_holds).
#include "turn/mask.h"
#include "turn/provider.h"
#include "turn/summary_int.h"

static void read_turns(struct summing *s);
static void settle(struct summing *s, const struct summary *made, void (*then)(struct summing *s));

static void fail(struct summing *s, int code, const struct err *err)
{
    s->code = code;
    snprintf(s->why, sizeof(s->why), "%s", err->message);
}

static void end_with(struct summing *s, int code, const struct err *err)
{
    fail(s, code, err);
    summing_over(s);
}

static void start_op(struct summing *s, void (*done)(struct ledger_op *op))
{
    s->op = (struct ledger_op){.done = done, .user = s};
}

// ---- LOOK

// Each chunk is a call; the turns of a session that is too long are not all read again.
static bool may_start_over(const struct summing *s)
{
    uint64_t room = s->caps.window_tokens / 2;
    if (room > SUMMARY_SOURCE_TOKENS_MAX)
        room = SUMMARY_SOURCE_TOKENS_MAX;
    return s->head.tokens / (room + 1) < SUMMARY_CALLS_MAX / 2;
}

static int begin_from(struct summing *s, bool raw, struct err *err)
{
    struct safe_text text = safe_buf_text(&s->base.text);
    s->raw = raw;
    s->at = raw ? 0 : s->base.upto;
    s->made.left_out = 0;
    safe_buf_clear(&s->made.text);
    if (!raw)
        safe_buf_add(&s->made.text, text);
    drift_free(s->source);
    int code = drift_new(&s->source, err);
    return code || raw ? code : drift_add(s->source, safe_slice(text), err);
}

static void looked(struct ledger_op *op)
{
    struct summing *s = op->user;
    struct err err = op->err;
    bool none = op->code == E_NOT_FOUND;
    int code = none ? E_OK : op->code;
    // Another process may have been faster.
    if (code || s->base.upto >= s->upto) {
        end_with(s, code, &err);
        return;
    }
    bool raw = none || (s->base.generation >= SUMMARY_GENERATIONS_MAX && may_start_over(s));
    code = summary_prompt(s, &err);
    if (!code)
        code = begin_from(s, raw, &err);
    if (code)
        end_with(s, code, &err);
    else
        read_turns(s);
}

void summing_start(struct summing *s)
{
    start_op(s, looked);
    ledger_find_summary(s->w->ledger, &s->head, s->key, &s->base, &s->op);
}

// ---- READ

// The date stands beside what was said, and may be told in words.
static int add_date_to_source(struct summing *s, int64_t at_ms, struct err *err)
{
    static const char *const months[] = {"January",   "February", "March",    "April",
                                         "May",       "June",     "July",     "August",
                                         "September", "October",  "November", "December"};
    char time[CLOCK_TEXT_BYTES], text[CLOCK_TEXT_BYTES + 16];
    clock_format(at_ms, time);
    unsigned long month = strtoul(time + sizeof("2026-") - 1, NULL, 10);
    snprintf(text, sizeof(text), "%.10s %s", time, months[month ? (month - 1) % 12 : 0]);
    return drift_add(s->source, slice_str(text), err);
}

static int add_to_source(struct summing *s, const struct turn *t, struct err *err)
{
    struct safe_buf text;
    safe_buf_init(&text, CONTENT_BYTES_MAX);
    int code = add_date_to_source(s, t->steps[0].at_ms, err);
    for (uint32_t i = 0; i < t->steps_len && !code; i++) {
        safe_buf_clear(&text);
        content_text(&t->steps[i].content, &text);
        code = safe_buf_check(&text, "a message", err);
        if (!code)
            code = drift_add(s->source, safe_slice(safe_buf_text(&text)), err);
    }
    safe_buf_release(&text);
    return code;
}

// E_BUSY ends the reading: it is as much as one call takes.
static int take_turn(void *user, const struct turn *t, struct err *err)
{
    struct summing *s = user;
    int code = E_OK;
    if (session_is_superseded(&s->head, t->n) || t->n <= s->at)
        return E_OK;
    bool more = summary_add_turn(s, t, &code, err);
    if (!code && s->quoted_at == t->n)
        code = add_to_source(s, t, err);
    s->full = !code && !more;
    return s->full ? E_BUSY : code;
}

static void opened(struct ledger_op *op);

// What is sent, as we count.
static uint64_t asked_tokens(const struct summing *s)
{
    return TOKENS_PER_REQUEST + s->request.system_tokens + s->step.tokens;
}

static bool of_use(const struct summing *s);
static void keep(struct summing *s);

static void reserved(void *user, struct budget_hold *hold, int code, const struct err *err)
{
    struct summing *s = user;
    s->hold = hold;
    if (code && s->calls && of_use(s)) {
        log_line(s->w->env.log, LOG_INFO, "summary: session=%s: kept up to turn %u of %u: %s",
                 s->head.id, s->at, s->upto, err->message);
        keep(s);
        return;
    }
    if (code) {
        end_with(s, code, err);
        return;
    }
    start_op(s, opened);
    ledger_summary_attempt(s->w->ledger, &s->attempt, &s->op);
}

static void reserve(struct summing *s)
{
    struct budget_ask ask = {.w = s->w,
                             .partition = s->partition,
                             .key = s->key,
                             .bot = s->head.bot,
                             .policy = &s->policy->info,
                             .provider = s->provider,
                             .model = s->model};
    struct usage most;
    budget_most(&s->w->env, s->provider, s->model, asked_tokens(s), s->encoding != NULL,
                s->request.max_output_tokens, &most);
    budget_reserve(&ask, &most, reserved, s);
}

// The call is over; NULL: nobody knows what it was billed.
static void settle_budget(struct summing *s, const struct usage *billed)
{
    budget_settle(s->hold, billed);
    s->hold = NULL;
}

static void turns_read(struct ledger_op *op)
{
    struct summing *s = op->user;
    struct err err = op->err;
    int code = s->full ? E_OK : op->code;
    if (!code && s->stopped)
        code = err_set(&err, E_CANCELLED, "stopped");
    if (!code && safe_buf_text(&s->quoted).len == 0)
        code = err_set(&err, E_NOT_FOUND, "its turns cannot be read");
    if (!code)
        code = summary_message(s, &err);
    if (code)
        end_with(s, code, &err);
    else
        reserve(s);
}

static void refuse_small_window(struct summing *s)
{
    struct err err = ERR_INIT;
    int code = err_set(&err, E_REFUSED, "%s takes %llu tokens, and there is no room for a turn "
                       "beside the prompt and a summary of %u: make it shorter, or name a model "
                       "with a larger window", s->model,
                       (unsigned long long)s->caps.window_tokens, s->plan.summary.tokens);
    end_with(s, code, &err);
}

static void read_turns(struct summing *s)
{
    struct ledger_pick pick = {.partition = s->partition,
                               .session = s->head.id,
                               .key = s->key,
                               .first = s->at + 1,
                               .last = s->upto,
                               .take = take_turn,
                               .user = s};
    summary_begin_material(s);
    if (s->room_tokens == 0) {
        refuse_small_window(s);
        return;
    }
    start_op(s, turns_read);
    ledger_pick(s->w->ledger, &pick, &s->op);
}

// ---- CALL

static void take_usage(struct summing *s)
{
    const struct provider_use call = {&s->call.reply, s->provider, s->model, s->encoding,
                                         asked_tokens(s)};
    struct usage usage;
    bool is_all = provider_used(s->w, &call, &usage);
    settle_budget(s, is_all ? &usage : NULL);
    s->attempt.attempt.usage = usage;
    s->attempt.attempt.http_status = s->call.http_status;
}

static bool may_go_on(const struct summing *s)
{
    return s->calls < SUMMARY_CALLS_MAX && !s->stopped;
}

static void over(struct summing *s)
{
    summing_over(s);
}

// ---- CHECK

static bool is_whole(const struct summing *s)
{
    return s->at >= s->upto;
}

static void start_over(struct summing *s)
{
    struct err err = ERR_INIT;
    int code = begin_from(s, true, &err);
    if (code)
        end_with(s, code, &err);
    else
        read_turns(s);
}

// What there is stands for the turns up to `at`.
static void keep(struct summing *s)
{
    struct summary *made = &s->made;
    struct err err = ERR_INIT;
    made->upto = s->at;
    made->turns = session_live_turns(&s->head, s->at);
    made->base = s->raw ? 0 : s->base.upto;
    made->generation = s->raw ? 1 : s->base.generation + 1;
    made->tokens = tokens_count(s->encoding, safe_slice(safe_buf_text(&made->text)));
    made->at_ms = clock_wall_ms(s->w->env.clock);
    memcpy(made->by, s->plan.by, sizeof(made->by));
    memcpy(made->provider, s->provider, sizeof(made->provider));
    memcpy(made->model, s->model, sizeof(made->model));
    if (made->tokens == 0) {
        fail(s, err_set(&err, E_REFUSED, "nothing of it was borne out by what was said"), &err);
        made = NULL;
    }
    settle(s, made, over);
}

// One that begins anew must get at least as far as what there is, or it is of no use.
static bool of_use(const struct summing *s)
{
    return s->at > s->base.upto;
}

static void check(struct summing *s)
{
    struct err err = ERR_INIT;
    bool drifted = false, again = !s->raw && may_start_over(s) && may_go_on(s);
    int code = summary_accept(s, !again, &drifted, &err);
    s->attempt.attempt.status = ATTEMPT_DONE;
    if (code) {
        fail(s, code, &err);
        settle(s, NULL, over);
        return;
    }
    if (drifted && again) {
        settle(s, NULL, start_over);
        return;
    }
    s->at = s->full ? s->quoted_at : s->upto;
    if (!is_whole(s) && may_go_on(s))
        settle(s, NULL, read_turns);
    else if (of_use(s))
        keep(s);
    else
        settle(s, NULL, over);
}

// ---- how a call ends

static bool said_something(const struct summing *s)
{
    const struct vec *blocks = &s->call.reply.blocks;
    for (size_t i = 0; i < blocks->len; i++) {
        const struct llm_block *b = vec_at(blocks, i);
        if (b->type == BLOCK_TEXT && b->text.len)
            return true;
    }
    return false;
}

static void call_failed(struct summing *s)
{
    const struct llm_reply *reply = &s->call.reply;
    struct err err = ERR_INIT;
    struct retry_decision d = {.why = "the reply is no summary"};
    if (!reply->complete)
        d = retry_decide(llm_retry_dialect(s->llm), &reply->outcome, RETRY_ATTEMPTS_MAX,
                         s->w->env.rand);
    s->attempt.attempt.status = s->stopped ? ATTEMPT_CUT : ATTEMPT_FAILED;
    if (d.verdict == RETRY_SMALLER && s->refusals++ < SUMMARY_REFUSALS_MAX && may_go_on(s)) {
        settle(s, NULL, read_turns);
        return;
    }
    // For the log: what a provider says of it may be what it was sent.
    const char *why = s->stopped ? "the engine closes" : d.why;
    if (of_use(s)) {
        log_line(s->w->env.log, LOG_INFO, "summary: session=%s: kept up to turn %u of %u: %s: %s",
                 s->head.id, s->at, s->upto, s->provider, why);
        keep(s);
        return;
    }
    fail(s, err_set(&err, s->stopped ? E_CANCELLED : E_PROVIDER, "%s: %s", s->provider, why), &err);
    settle(s, NULL, over);
}

static void called(struct llm_call *call)
{
    struct summing *s = call->user;
    const struct llm_reply *reply = &call->reply;
    bool usable = reply->complete && (stop_status(reply->stop) == TURN_DONE ||
                                      reply->stop == STOP_MAX_TOKENS) &&
                  reply->stop != STOP_REFUSAL && said_something(s);
    s->calling = false;
    take_usage(s);
    if (usable)
        check(s);
    else
        call_failed(s);
}

static void opened(struct ledger_op *op)
{
    struct summing *s = op->user;
    struct err err = op->err;
    static const struct usage nothing = {0};
    if (op->code) {
        settle_budget(s, &nothing);
        end_with(s, op->code, &err);
        return;
    }
    s->calls++;
    memset(&s->call, 0, sizeof(s->call));
    s->call.request = &s->request;
    s->call.on_done = called;
    s->call.user = s;
    int code = s->stopped ? err_set(&err, E_CANCELLED, "stopped")
                          : llm_start(s->llm, &s->call, &err);
    if (code) {
        // Nothing was sent.
        settle_budget(s, &nothing);
        s->attempt.attempt.status = ATTEMPT_UNUSED;
        s->attempt.attempt.usage = (struct usage){0};
        fail(s, code, &err);
        settle(s, NULL, over);
        return;
    }
    s->calling = true;
}

void summing_stop(struct summing *s)
{
    s->stopped = true;
    if (s->calling)
        llm_cancel(s->llm, &s->call);
}

// ---- SETTLE

static void settled(struct ledger_op *op)
{
    struct summing *s = op->user;
    void (*then)(struct summing *s) = s->then;
    // What was billed and could not be written is the next recovery's: a declared unknown.
    if (op->code) {
        end_with(s, op->code, &op->err);
        return;
    }
    then(s);
}

static void settle(struct summing *s, const struct summary *made, void (*then)(struct summing *s))
{
    llm_call_release(&s->call);
    s->then = then;
    start_op(s, settled);
    ledger_summary_settle(s->w->ledger, &s->attempt, made, &s->op);
}

void summing_free(struct summing *s)
{
    BUG_ON(s->hold);
    policy_unref(s->policy);
    user_masks_release(s->w, s->masks);
    llm_call_release(&s->call);
    session_head_release(&s->head);
    summary_release(&s->base);
    summary_release(&s->made);
    drift_free(s->source);
    safe_buf_release(&s->prompt);
    safe_buf_release(&s->quoted);
    step_release(&s->step);
    mem_free(s);
}
