// SPDX-License-Identifier: MIT
// embedding.c: calls for embeddings (embedding.h draws one).
#include "turn/embedding.h"
#include "turn/provider.h"

static const struct usage nothing = {0};

// ---- the model

static void copy_name(char out[MODEL_NAME_BYTES], const char *s)
{
    snprintf(out, MODEL_NAME_BYTES, "%s", s);
}

// FNV-1a: vectors of different models do not compare.
static uint64_t hash_of(uint64_t h, const char *s)
{
    do
        h = (h ^ (unsigned char)*s) * UINT64_C(0x100000001b3);
    while (*s++);
    return h;
}

int embedder_new(struct embedder **out, const struct conf *conf, struct err *err)
{
    *out = NULL;
    if (!conf_str(conf, "embeddings.provider"))
        return E_OK;
    int code = llm_embed_check(conf, err);
    if (code)
        return code;
    struct embedder *e = mem_zalloc(sizeof(*e));
    if (!e)
        return err_set(err, E_NOMEM, "out of memory for embeddings");
    copy_name(e->provider, conf_str(conf, "embeddings.provider"));
    const char *model = conf_str(conf, "embeddings.model");
    copy_name(e->model, model ? model : "trigrams");  // the scripted provider's only one
    e->wished_dims = (uint32_t)conf_int(conf, "embeddings.dimensions", 0);
    e->deadline_ms = conf_int(conf, "embeddings.deadline", EMBEDDING_DEADLINE_MS);
    e->space.dims = e->wished_dims;
    e->space.id = hash_of(hash_of(UINT64_C(0xcbf29ce484222325), e->provider), e->model);
    e->space.id = (e->space.id ^ e->wished_dims) * UINT64_C(0x100000001b3);
    *out = e;
    return E_OK;
}

void embedder_free(struct embedder *e)
{
    BUG_ON(e && e->calls);
    mem_free(e);
}

bool embedder_ready(const struct worker *w)
{
    return w->embedder && clock_mono_ns(w->env.clock) >= w->embedder->rests_until_ns;
}

struct recall_space embedder_space(const struct worker *w)
{
    return w->embedder ? w->embedder->space : (struct recall_space){0};
}

static void rest(struct worker *w, int64_t at_least_ms)
{
    struct embedder *m = w->embedder;
    unsigned doublings = m->failures < 10 ? m->failures : 10;
    int64_t ms = (int64_t)EMBEDDING_REST_MS << doublings;
    ms = ms > at_least_ms ? ms : at_least_ms;
    ms = ms < EMBEDDING_REST_MS_MAX ? ms : EMBEDDING_REST_MS_MAX;
    m->failures++;
    m->late = 0;
    m->rests_until_ns = clock_mono_ns(w->env.clock) + ms * 1000000;
}

// ---- a call

static void call_free(struct embedding *e)
{
    struct worker *w = e->w;
    BUG_ON(e->hold);
    *(e->prev ? &e->prev->next : &w->embedder->calls) = e->next;
    if (e->next)
        e->next->prev = e->prev;
    loop_timer_stop(w->env.loop, &e->late);
    loop_timer_stop(w->env.loop, &e->closing);
    llm_embed_release(&e->call);
    safe_buf_release(&e->text);
    mem_free(e->inputs);
    mem_free(e);
    worker_check_idle(w);
}

static void tell(struct embedding *e, enum embedding_end end)
{
    void (*done)(struct embedding *e) = e->done;
    loop_timer_stop(e->w->env.loop, &e->late);
    e->done = NULL;
    e->end = end;
    e->vectors = end == EMBEDDING_OK ? e->call.vectors : NULL;
    e->dims = e->call.dims;
    if (done)
        done(e);
}

static void is_late(struct loop_timer *timer)
{
    struct embedding *e = CONTAINER_OF(timer, struct embedding, late);
    struct embedder *m = e->w->embedder;
    if (++m->late >= EMBEDDING_LATE_MAX)
        rest(e->w, 0);
    tell(e, EMBEDDING_LATE);
}

static void settled(struct ledger_op *op)
{
    struct embedding *e = op->user;
    // Open, it will be found by recovery: its cost is then a declared unknown.
    if (op->code)
        log_line(e->w->env.log, LOG_WARN, "embeddings: recording what a call used: %s",
                 op->err.message);
    call_free(e);
}

// NULL: nobody knows what it was billed.
static void settle_budget(struct embedding *e, const struct usage *billed)
{
    budget_settle(e->hold, billed);
    e->hold = NULL;
}

static uint64_t estimate(const struct embedding *e)
{
    uint64_t tokens = 0;
    for (uint32_t i = 0; i < e->call.inputs_len; i++)
        tokens += tokens_estimate(safe_slice(e->inputs[i]));
    return tokens;
}

// What the call used, as far as anybody knows.
static void take_usage(struct embedding *e)
{
    struct attempt *a = &e->record.attempt;
    const struct llm_reply *reply = &e->call.reply;
    struct usage usage = reply->usage;
    bool billed = reply->complete || (reply->outcome.end != CALL_NO_CONNECT &&
                                      reply->outcome.end != CALL_STATUS);
    if (!reply->usage_known)
        usage = (struct usage){.input_tokens = billed ? (int64_t)estimate(e) : 0,
                               .estimated = true};
    prices_apply(e->w->env.prices, a->provider, a->model, &usage);
    settle_budget(e, reply->usage_known || reply->complete || !billed ? &usage : NULL);
    a->usage = usage;
    a->http_status = e->call.http_status;
    a->status = reply->complete                            ? ATTEMPT_DONE
                : reply->outcome.end == CALL_CANCELLED ? ATTEMPT_CUT
                                                       : ATTEMPT_FAILED;
}

static bool refuses_texts(const struct embedding *e)
{
    int status = e->call.http_status;
    return e->w->embedder->worked && (status == 400 || status == 413 || status == 422);
}

static enum embedding_end judge(struct embedding *e)
{
    struct embedder *m = e->w->embedder;
    const struct llm_reply *reply = &e->call.reply;
    if (reply->complete) {
        m->worked = true;
        m->failures = 0;
        m->late = e->done ? 0 : m->late;
        m->space.dims = e->call.dims;
        return EMBEDDING_OK;
    }
    if (reply->outcome.end == CALL_CANCELLED)
        return EMBEDDING_FAILED;
    if (refuses_texts(e))
        return EMBEDDING_REFUSED;
    rest(e->w, reply->outcome.quota ? EMBEDDING_REST_MS_MAX : reply->outcome.retry_after_ms);
    // Not in the provider's own words: they may be what it was sent.
    struct retry_decision d = retry_decide(llm_retry_dialect(e->llm), &reply->outcome,
                                           RETRY_ATTEMPTS_MAX, e->w->env.rand);
    log_line(e->w->env.log, LOG_WARN, "embeddings: %s: %s; recall goes by words meanwhile",
             m->provider, d.why);
    return EMBEDDING_FAILED;
}

static void called(struct llm_embed_call *call)
{
    struct embedding *e = call->user;
    e->called = false;
    take_usage(e);
    tell(e, judge(e));
    e->op = (struct ledger_op){.done = settled, .user = e};
    ledger_call_settle(e->w->ledger, &e->record, &e->op);
}

static void closing_due(struct loop_timer *timer)
{
    struct embedding *e = CONTAINER_OF(timer, struct embedding, closing);
    e->closed = true;
    if (e->called)
        llm_embed_cancel(e->llm, &e->call);
}

// It could not be sent, though its record says that it would be.
static void not_sent(struct embedding *e, const struct err *err)
{
    settle_budget(e, &nothing);
    log_line(e->w->env.log, LOG_WARN, "embeddings: %s; recall goes by words", err->message);
    rest(e->w, 0);
    e->record.attempt.status = ATTEMPT_UNUSED;
    tell(e, EMBEDDING_FAILED);
    e->op = (struct ledger_op){.done = settled, .user = e};
    ledger_call_settle(e->w->ledger, &e->record, &e->op);
}

static void opened(struct ledger_op *op)
{
    struct embedding *e = op->user;
    struct worker *w = e->w;
    struct err err = ERR_INIT;
    if (op->code) {
        log_line(w->env.log, LOG_WARN, "embeddings: %s; recall goes by words", op->err.message);
        settle_budget(e, &nothing);
        tell(e, EMBEDDING_FAILED);
        call_free(e);
        return;
    }
    int code = e->closed ? err_set(&err, E_CANCELLED, "the engine closes")
                         : provider_open(w, w->embedder->provider, &e->llm, &err);
    if (!code)
        code = llm_embed(e->llm, &e->call, &err);
    if (code) {
        not_sent(e, &err);
        return;
    }
    e->called = true;
}

static void reserved(void *user, struct budget_hold *hold, int code, const struct err *err)
{
    struct embedding *e = user;
    e->hold = hold;
    if (!code) {
        e->op = (struct ledger_op){.done = opened, .user = e};
        ledger_call_open(e->w->ledger, &e->record, &e->op);
        return;
    }
    log_line(e->w->env.log, LOG_INFO, "embeddings: %s; recall goes by words", err->message);
    e->refused = true;
    if (e->starting)
        return;
    tell(e, EMBEDDING_FAILED);
    call_free(e);
}

// Those of a policy that is not loaded do not hold it: nobody has talked with that bot here.
static void reserve(struct embedding *e)
{
    struct worker *w = e->w;
    const char *bot = e->record.attempt.bot;
    struct policy *policy = NULL;
    struct usage most;
    if (policy_host_info(w->policies, bot) && policy_host_get(w->policies, bot, &policy, NULL))
        policy = NULL;
    struct budget_ask ask = {.w = w,
                             .partition = e->partition,
                             .key = e->record.key,
                             .bot = bot,
                             .policy = policy ? &policy->info : NULL,
                             .provider = w->embedder->provider,
                             .model = w->embedder->model};
    budget_most(&w->env, ask.provider, ask.model, estimate(e), false, 0, &most);
    e->starting = true;
    budget_reserve(&ask, &most, reserved, e);
    e->starting = false;
    policy_unref(policy);
}

static int copy_texts(struct embedding *e, const struct embedding_wish *wish)
{
    size_t at = 0;
    safe_buf_init(&e->text, EMBED_BYTES_MAX);
    e->inputs = mem_calloc(wish->len, sizeof(*e->inputs));
    for (uint32_t i = 0; i < wish->len; i++)
        safe_buf_add(&e->text, wish->texts[i]);
    if (!e->inputs || safe_buf_check(&e->text, "texts to be embedded", NULL))
        return E_NOMEM;
    for (uint32_t i = 0; i < wish->len; i++) {
        e->inputs[i] = safe_text_part(safe_buf_text(&e->text), at, wish->texts[i].len);
        at += wish->texts[i].len;
    }
    return E_OK;
}

struct embedding *embedding_start(struct worker *w, const struct embedding_wish *wish)
{
    struct embedder *m = w->embedder;
    struct embedding *e = embedder_ready(w) ? mem_zalloc(sizeof(*e)) : NULL;
    if (!e)
        return NULL;
    e->w = w;
    e->next = m->calls;
    if (e->next)
        e->next->prev = e;
    m->calls = e;
    if (copy_texts(e, wish)) {
        call_free(e);
        return NULL;
    }
    memcpy(e->partition, wish->partition, strlen(wish->partition));
    e->record = (struct ledger_call){.partition = e->partition, .key = wish->key};
    e->record.attempt.kind = ATTEMPT_EMBEDDING;
    snprintf(e->record.attempt.bot, sizeof(e->record.attempt.bot), "%s", wish->bot);
    copy_name(e->record.attempt.provider, m->provider);
    copy_name(e->record.attempt.model, m->model);
    e->call = (struct llm_embed_call){.model = m->model,
                                      .inputs = e->inputs,
                                      .inputs_len = wish->len,
                                      .dimensions = m->wished_dims,
                                      .total_ms = EMBEDDING_TOTAL_MS,
                                      .on_done = called,
                                      .user = e};
    e->done = wish->done;
    e->user = wish->user;
    e->late.fn = is_late;
    e->closing.fn = closing_due;
    if (wish->wait_ms)
        loop_timer_start(w->env.loop, &e->late, wish->wait_ms);
    if (w->draining)
        loop_timer_start(w->env.loop, &e->closing, EMBEDDING_CLOSING_MS);
    reserve(e);
    if (e->refused) {
        call_free(e);
        return NULL;
    }
    return e;
}

void embedding_forget(struct embedding *e)
{
    e->done = NULL;
    loop_timer_stop(e->w->env.loop, &e->late);
}

void embedder_drain(struct worker *w)
{
    struct embedder *m = w->embedder;
    if (!m)
        return;
    m->closes_ns = clock_mono_ns(w->env.clock) + (int64_t)EMBEDDING_CLOSING_MS * 1000000;
    for (struct embedding *e = m->calls; e; e = e->next)
        loop_timer_start(w->env.loop, &e->closing, EMBEDDING_CLOSING_MS);
}

bool embedder_closed(const struct worker *w)
{
    return w->embedder->closes_ns && clock_mono_ns(w->env.clock) >= w->embedder->closes_ns;
}
