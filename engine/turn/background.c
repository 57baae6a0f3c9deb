// SPDX-License-Identifier: MIT
// background.c: one call of a model off the users' path (background.h draws it).
#include "turn/background.h"
#include "turn/mask.h"
#include "turn/provider.h"

enum { ROOM_SLACK = 100 };

struct background {
    struct run *run;
    struct ledger_call record;
    struct ledger_op op;
    struct budget_hold *hold;           // what is reserved for it
    struct safe_buf system, answer;
    struct step step, *steps[1];
    struct llm_message message;
    struct llm_request request;
    struct llm_call call;
    bool calling, is_late, stopped;
    struct loop_timer late;
    background_then *then;
    int code;                           // how it ends
    struct err err;
};

// ---- the model

int background_model(struct run *run, const char *own, struct err *err)
{
    int code = E_OK;
    if (own && strchr(own, ':')) {
        snprintf(run->provider, sizeof(run->provider), "%.*s", (int)strcspn(own, ":"), own);
        snprintf(run->model, sizeof(run->model), "%s", strchr(own, ':') + 1);
        code = provider_open(run->w, run->provider, &run->llm, err);
    } else {
        code = provider_choose(run, err);
    }
    if (!code)
        run->caps = llm_caps_of(run->llm, run->model);
    return code;
}

uint64_t background_room(const struct run *run, uint64_t other_tokens)
{
    uint64_t fixed = other_tokens + ROOM_SLACK, window = run->caps.window_tokens;
    // Counts of models without a public vocabulary are estimates, and quoting takes some.
    uint64_t room = window > fixed ? (window - fixed) * 3 / 4 : 0;
    return room < BACKGROUND_SOURCE_TOKENS_MAX ? room : BACKGROUND_SOURCE_TOKENS_MAX;
}

// ---- how it ends

static void background_free(struct background *b)
{
    BUG_ON(b->hold || b->calling);
    llm_call_release(&b->call);
    safe_buf_release(&b->system);
    safe_buf_release(&b->answer);
    step_release(&b->step);
    mem_free(b);
}

static void over(struct background *b)
{
    struct run *run = b->run;
    loop_timer_stop(run->w->env.loop, &b->late);
    run->background = NULL;
    b->then(run, b->code, b->code ? SAFE_NONE : safe_buf_text(&b->answer), &b->err);
    background_free(b);
}

static void fail(struct background *b, int code, const struct err *err)
{
    b->code = code;
    b->err = *err;
}

// NULL: nobody knows what it was billed.
static void settle_budget(struct background *b, const struct usage *billed)
{
    budget_settle(b->hold, billed);
    b->hold = NULL;
}

static void settled(struct ledger_op *op)
{
    struct background *b = op->user;
    // Open, it will be found by recovery: its cost is then a declared unknown.
    if (op->code)
        log_line(b->run->w->env.log, LOG_WARN, "background: recording what a call used: %s",
                 op->err.message);
    over(b);
}

static void settle(struct background *b)
{
    b->op = (struct ledger_op){.done = settled, .user = b};
    ledger_call_settle(b->run->w->ledger, &b->record, &b->op);
}

// ---- the call

// What is sent, as we count.
static uint64_t asked_tokens(const struct background *b)
{
    return TOKENS_PER_REQUEST + b->request.system_tokens + b->step.tokens;
}

static void take_usage(struct background *b)
{
    const struct run *run = b->run;
    const struct provider_use call = {&b->call.reply, run->provider, run->model,
                                         turn_encoding(run), asked_tokens(b)};
    struct usage usage;
    bool is_all = provider_used(run->w, &call, &usage);
    settle_budget(b, is_all ? &usage : NULL);
    b->record.attempt.usage = usage;
    b->record.attempt.http_status = b->call.http_status;
}

// What nobody has said is nothing to be learnt: it needs no mask of its own.
static int take_answer(struct background *b, struct err *err)
{
    const struct vec *blocks = &b->call.reply.blocks;
    struct redact_how how = mask_how(b->run, REDACT_MODEL);
    int code = E_OK;
    how.known_only = true;
    for (size_t i = 0; i < blocks->len && !code; i++) {
        const struct llm_block *block = vec_at(blocks, i);
        if (block->type == BLOCK_TEXT)
            code = redact_raw(&how, buf_slice(&block->text), &b->answer, err);
    }
    if (!code)
        code = safe_buf_check(&b->answer, "a model's answer", err);
    if (!code && safe_buf_text(&b->answer).len == 0)
        code = err_set(err, E_PROVIDER, "%s: the reply has no text", b->run->provider);
    return code;
}

static void call_failed(struct background *b, struct err *err)
{
    const struct run *run = b->run;
    const struct llm_reply *reply = &b->call.reply;
    struct retry_decision d = {.why = "the reply is of no use"};
    if (!reply->complete)
        d = retry_decide(llm_retry_dialect(run->llm), &reply->outcome, RETRY_ATTEMPTS_MAX,
                         run->w->env.rand);
    // For the log: what a provider says of it may be what it was sent.
    const char *why = b->stopped ? "the engine closes" : b->is_late ? "it took too long" : d.why;
    err_set(err, b->stopped ? E_CANCELLED : E_PROVIDER, "%s: %s", run->provider, why);
    b->record.attempt.status = b->stopped || b->is_late ? ATTEMPT_CUT : ATTEMPT_FAILED;
}

static void called(struct llm_call *call)
{
    struct background *b = call->user;
    const struct llm_reply *reply = &call->reply;
    struct err err = ERR_INIT;
    bool usable = reply->complete && reply->stop != STOP_REFUSAL &&
                  (stop_status(reply->stop) == TURN_DONE || reply->stop == STOP_MAX_TOKENS);
    b->calling = false;
    loop_timer_stop(b->run->w->env.loop, &b->late);
    take_usage(b);
    b->record.attempt.status = ATTEMPT_DONE;
    if (usable)
        take_answer(b, &err);
    else
        call_failed(b, &err);
    fail(b, err.code, &err);
    settle(b);
}

static void is_late(struct loop_timer *timer)
{
    struct background *b = CONTAINER_OF(timer, struct background, late);
    b->is_late = true;
    llm_cancel(b->run->llm, &b->call);
}

void background_stop(struct run *run)
{
    struct background *b = run->background;
    if (!b)
        return;
    b->stopped = true;
    if (b->calling)
        llm_cancel(run->llm, &b->call);
}

static void opened(struct ledger_op *op)
{
    struct background *b = op->user;
    struct run *run = b->run;
    struct err err = op->err;
    static const struct usage nothing = {0};
    if (op->code) {
        settle_budget(b, &nothing);
        fail(b, op->code, &err);
        over(b);
        return;
    }
    b->call = (struct llm_call){.request = &b->request, .on_done = called, .user = b};
    int code = b->stopped ? err_set(&err, E_CANCELLED, "stopped")
                          : llm_start(run->llm, &b->call, &err);
    if (code) {
        // Nothing was sent, though its record says that it would be.
        settle_budget(b, &nothing);
        b->record.attempt.status = ATTEMPT_UNUSED;
        b->record.attempt.usage = nothing;
        fail(b, code, &err);
        settle(b);
        return;
    }
    b->calling = true;
    b->late.fn = is_late;
    loop_timer_start(run->w->env.loop, &b->late, BACKGROUND_MS);
}

static void reserved(void *user, struct budget_hold *hold, int code, const struct err *err)
{
    struct background *b = user;
    b->hold = hold;
    if (code) {
        fail(b, code, err);
        over(b);
        return;
    }
    b->op = (struct ledger_op){.done = opened, .user = b};
    ledger_call_open(b->run->w->ledger, &b->record, &b->op);
}

// ---- the request

static int fill(struct background *b, const struct background_ask *ask, struct err *err)
{
    struct run *run = b->run;
    const struct encoding *encoding = turn_encoding(run);
    safe_buf_init(&b->system, CONTENT_BYTES_MAX);
    safe_buf_init(&b->answer, CONTENT_BYTES_MAX);
    safe_buf_add(&b->system, ask->system);
    b->step = (struct step){.role = ROLE_USER};
    int code = safe_buf_check(&b->system, "a model's instructions", err);
    if (!code)
        code = content_make_text(&b->step.content, ask->text, err);
    if (code)
        return code;
    b->step.tokens = tokens_of_content(encoding, &b->step.content);
    b->steps[0] = &b->step;
    b->message = (struct llm_message){.role = ROLE_USER, .steps = b->steps, .len = 1};
    b->request = (struct llm_request){
        .model = run->model,
        .system = safe_buf_text(&b->system),
        .system_tokens = tokens_of_system(encoding, safe_buf_text(&b->system)),
        .messages = &b->message,
        .messages_len = 1,
        .max_output_tokens = ask->output_tokens_max,
    };
    struct attempt *a = &b->record.attempt;
    b->record.partition = run->partition;
    b->record.key = run->user_key;
    a->kind = ask->kind;
    snprintf(a->bot, sizeof(a->bot), "%s", run->job->bot);
    memcpy(a->provider, run->provider, sizeof(a->provider));
    memcpy(a->model, run->model, sizeof(a->model));
    return E_OK;
}

void background_call(struct run *run, const struct background_ask *ask, background_then *then)
{
    struct err err = ERR_INIT;
    struct background *b = mem_zalloc(sizeof(*b));
    BUG_ON(run->background || !attempt_of_no_turn(ask->kind));
    if (!b) {
        err_set(&err, E_NOMEM, "out of memory for a call of a model");
        then(run, E_NOMEM, SAFE_NONE, &err);
        return;
    }
    b->run = run;
    b->then = then;
    run->background = b;
    if (fill(b, ask, &err)) {
        fail(b, err.code, &err);
        over(b);
        return;
    }
    struct budget_ask budget;
    struct usage most;
    turn_budget_ask(run, &budget);
    budget_most(&run->w->env, run->provider, run->model, asked_tokens(b),
                turn_encoding(run) != NULL, b->request.max_output_tokens, &most);
    budget_reserve(&budget, &most, reserved, b);
}
