// SPDX-License-Identifier: MIT
// turn_call.c: CALLING and BACKOFF (turn.c draws the machine). One attempt at a time; each further
// one is committed before it is sent. What may have been accepted (and billed) is not sent again.
#include "turn/gauge.h"
#include "turn/mask.h"
#include "turn/predict.h"

static void call_over(struct llm_call *call);

// The attempt is over; NULL: nobody knows what it was billed.
static void settle_budget(struct run *run, const struct usage *billed)
{
    budget_settle(run->hold, billed);
    run->hold = NULL;
}

static void send(struct run *run)
{
    struct err err = ERR_INIT;
    run->call_ended = false;
    reply_init(run);
    memset(&run->call, 0, sizeof(run->call));
    run->call.request = &run->request;
    run->call.on_text = reply_text;
    run->call.on_done = call_over;
    run->call.user = run;
    int code = llm_start(run->llm, &run->call, &err);
    if (code) {
        static const struct usage nothing = {0};
        settle_budget(run, &nothing);
        turn_fail(run, code, &err);
        return;
    }
    run->call_busy = true;
}

// Stopped meanwhile, or refused by a budget: nothing of this attempt is sent.
static void reserved(void *user, struct budget_hold *hold, int code, const struct err *err)
{
    static const struct usage nothing = {0};
    struct run *run = user;
    run->hold = hold;
    if (code) {
        if (run->attempt.n == 1 && (run->job->edit_turn || (run->job->flags & JOB_REGENERATE)))
            emit_warning(run, "what turn %u replaces stays replaced: regenerate it once there is "
                         "room", run->turn);
        run->settle.free_key = run->attempt.n == 1 && code == E_REFUSED && run->key_name
                                   ? run->key_hash : NULL;
        turn_fail(run, code, err);
    } else if (run->stopped) {
        settle_budget(run, &nothing);
        turn_stopped(run, ATTEMPT_UNUSED);
    } else {
        send(run);
    }
}

void turn_budget_ask(const struct run *run, struct budget_ask *ask)
{
    *ask = (struct budget_ask){.w = run->w,
                               .partition = run->partition,
                               .key = run->user_key,
                               .bot = run->job->bot,
                               .policy = &run->policy->info,
                               .provider = run->provider,
                               .model = run->model};
}

void turn_call(struct run *run)
{
    struct budget_ask ask;
    struct usage most;
    run->state = RUN_CALLING;
    turn_budget_ask(run, &ask);
    if (!budget_any(&ask)) {
        reserved(run, NULL, E_OK, NULL);
        return;
    }
    predict_most(run, &most);
    budget_reserve(&ask, &most, reserved, run);
}

static void take_usage(struct run *run)
{
    struct llm_reply *reply = &run->call.reply;
    struct usage usage = reply->usage;
    bool refused = !reply->complete && (reply->outcome.end == CALL_NO_CONNECT ||
                                        reply->outcome.end == CALL_STATUS);
    if (!reply->usage_known) {
        usage = (struct usage){.estimated = true};
        if (!refused) {
            usage.input_tokens = (int64_t)gauge_likely(run, run->context.anchor,
                                                       run->context.total_tokens);
            usage.output_tokens =
                tokens_count(turn_encoding(run), safe_slice(safe_buf_text(&run->reply)));
        }
    }
    if (reply->usage_known && reply->complete)
        gauge_observe(run, (uint64_t)usage.input_tokens);
    prices_apply(run->w->env.prices, run->provider, run->model, &usage);
    // Of a reply that broke off without a word on its usage, we know only what came.
    settle_budget(run, reply->usage_known || reply->complete || refused ? &usage : NULL);
    run->attempt.usage = usage;
    run->attempt.http_status = run->call.http_status;
    memcpy(run->attempt.provider, run->provider, sizeof(run->attempt.provider));
    memcpy(run->attempt.model, run->model, sizeof(run->attempt.model));
}

static void attempt_committed(struct ledger_op *op)
{
    struct run *run = turn_op_over(op);
    if (op->code) {
        turn_fail(run, op->code, &op->err);
        return;
    }
    run->attempt = run->live->chat->attempt;
    struct err err = ERR_INIT;
    int code = run->ladder_tokens ? context_assemble(run, &err) : E_OK;
    if (code)
        turn_fail(run, code, &err);
    else
        turn_call(run);
}

static void next_attempt(struct run *run)
{
    struct attempt last = run->attempt;
    turn_op_start(run, attempt_committed);
    ledger_attempt(run->live->chat, &last, &run->context.sent_as, &run->op);
}

static void retry_due(struct loop_timer *timer)
{
    struct run *run = CONTAINER_OF(timer, struct run, timer);
    next_attempt(run);
}

// The provider's failure in words: who, what, and what to do.
static void describe_failure(struct run *run, const char *why)
{
    const struct llm_reply *reply = &run->call.reply;
    char status[24] = "";
    if (run->call.http_status && run->call.http_status != 200)
        snprintf(status, sizeof(status), " (HTTP %d)", run->call.http_status);
    // A provider may quote what it was sent: where that was originals, they are told to none but
    // those who read originals.
    const char *detail = run->request.reveal && !mask_reveals(run) ? "" : reply->detail;
    run->code = E_PROVIDER;
    snprintf(run->message, sizeof(run->message), "%s%s: %s%s%s", run->provider, status, why,
             detail[0] ? ": " : "", detail);
}

// Down the ladder: with less of the history, while there is any. False: the message was alone.
static bool sends_less(struct run *run)
{
    if (!context_smaller(run))
        return false;
    emit_warning(run, "%s says that the context does not fit: sending less of the history",
                 run->provider);
    llm_call_release(&run->call);
    next_attempt(run);
    return true;
}

static void no_reply(struct run *run)
{
    struct llm_reply *reply = &run->call.reply;
    // A rung of the ladder is another request: it takes nothing from the attempts at one.
    unsigned tries = run->attempt.n - run->ladder_rungs;
    struct retry_decision d =
        retry_decide(llm_retry_dialect(run->llm), &reply->outcome, tries, run->w->env.rand);
    if (run->stopped) {
        turn_stopped(run, ATTEMPT_CUT);
        return;
    }
    run->attempt.status = ATTEMPT_FAILED;
    if (d.verdict == RETRY_YES) {
        log_line(run->w->env.log, LOG_WARN, "turn: %s: %s, attempt %u in %lld ms", run->provider,
                 d.why, run->attempt.n + 1, (long long)d.wait_ms);
        llm_call_release(&run->call);
        run->state = RUN_BACKOFF;
        run->timer.fn = retry_due;
        loop_timer_start(run->w->env.loop, &run->timer, d.wait_ms);
        return;
    }
    if (d.verdict == RETRY_SMALLER && sends_less(run))
        return;
    if (d.verdict == RETRY_SMALLER)
        d.why = "the message alone does not fit the model's context: send less at a time, or "
                "choose a model with a larger window";
    describe_failure(run, d.why);
    run->settle.status = TURN_FAILED;
    turn_settle(run);
}

static void warn_of_stop(struct run *run, enum stop stop)
{
    if (stop == STOP_MAX_TOKENS)
        emit_warning(run, "the reply ended at its token limit");
    else if (stop == STOP_FILTER)
        emit_warning(run, "the provider's filter ended the reply");
    else if (stop == STOP_TOOL_USE)
        emit_warning(run, "the model asked for a tool, and this policy has none");
}

static void have_reply(struct run *run, int code, const struct err *err)
{
    struct llm_reply *reply = &run->call.reply;
    take_usage(run);
    if (code) {
        turn_outcome(run, code, err->message);
        run->settle.status = TURN_FAILED;
        run->attempt.status = ATTEMPT_FAILED;
        turn_settle(run);
        return;
    }
    if (!reply->complete && !rules_says_something(&run->reply_content)) {
        no_reply(run);
        return;
    }
    run->settle.stop = reply->complete ? reply->stop : run->stopped ? STOP_USER : STOP_LOST;
    run->settle.status = stop_status(run->settle.stop);
    run->attempt.status = run->settle.status == TURN_DONE ? ATTEMPT_DONE : ATTEMPT_CUT;
    if (run->settle.stop == STOP_LOST)
        describe_failure(run, "the reply was cut; what came is kept");
    else if (run->settle.stop == STOP_USER)
        turn_outcome(run, E_CANCELLED, "stopped; what came is kept");
    warn_of_stop(run, run->settle.stop);
    turn_settle(run);
}

static void call_over(struct llm_call *call)
{
    struct run *run = call->user;
    run->call_busy = false;
    reply_stop_keeping(run);
    run->call_ended = true;
    turn_call_idle(run);
}

// A keep or a writing of masks may be under way: the last of them goes on.
void turn_call_idle(struct run *run)
{
    if (!run->call_ended || run->op_busy || run->mask_busy)
        return;
    run->call_ended = false;
    reply_finish(run, have_reply);
}

void reply_kept(struct ledger_op *op)
{
    struct run *run = turn_op_over(op);
    // What could not be kept now is settled with the whole; only a crash before that would lose it.
    if (op->code == E_ERASED && !run->stopped)
        turn_stop(run);
    else if (op->code)
        log_line(run->w->env.log, LOG_WARN, "turn: keeping a partial reply: %s", op->err.message);
    turn_call_idle(run);
}
