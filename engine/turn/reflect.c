// SPDX-License-Identifier: MIT
// reflect.c: one reflection (reflect.h draws its way). Each step is a callback of the worker's
// loop; the hook runs aside. What was concluded is put into the book as it is at the commit, so
// that what was forgotten or superseded meanwhile bears nothing.
#include "turn/reflect_int.h"

#include "turn/mask.h"

enum { HOUR_MS = 60 * 60 * 1000, UNLOADED_REST_MS = 24 * HOUR_MS, REST_DOUBLINGS_MAX = 5 };

static void reflecting_free(void *extra)
{
    struct reflecting *r = extra;
    book_release(r->book);
    chat_free(r->chat);
    fact_candidates_release(&r->by_hook);
    fact_candidates_release(&r->by_model);
    mem_free(r);
}

static void end(struct run *run, int code, const struct err *err)
{
    struct buf json = BUF_INIT(64);
    buf_add_str(&json, "{}");
    if (code)
        emit_error(run, code, err);
    else
        emit_result(run, &json);
    buf_release(&json);
}

// ---- the commit

// What is said in one context alone is not told in others: a conclusion has the scope of its facts.
static bool scope_of(const struct fact_book *b, const char (*facts)[FACT_ID_BYTES], uint32_t len,
                     char out[FACT_SCOPE_BYTES])
{
    out[0] = '\0';
    for (uint32_t i = 0; i < len; i++) {
        struct fact_at at = FACT_AT_START;
        if (fact_book_find(b, slice_str(facts[i]), &at, NULL) || !at.slot->scope[0])
            continue;
        if (out[0] && strcmp(out, at.slot->scope) != 0)
            return false;
        memcpy(out, at.slot->scope, FACT_SCOPE_BYTES);
    }
    return true;
}

static int conclude(struct reflecting *r, struct book *b, const struct fact_candidates *found,
                    const struct policy_citations *cited, struct err *err)
{
    struct run *run = r->run;
    int64_t now_ms = clock_wall_ms(run->w->env.clock);
    int code = E_OK;
    for (size_t i = 0; i < fact_candidates_len(found) && !code; i++) {
        struct fact_candidate c = *fact_candidates_at(found, i);
        const char(*facts)[FACT_ID_BYTES] = (const char(*)[FACT_ID_BYTES])cited->of[i].facts;
        uint32_t len = cited->of[i].len;
        struct fact_considered out = {.outcome = OUTCOME_REFUSED};
        if (r->concluded < REFLECT_KNOWN_MAX && scope_of(b->facts, facts, len, c.scope))
            code = fact_book_conclude(b->facts, &c, facts, len, &run->policy->info.memory, now_ms,
                                      &out, err);
        r->refused += out.outcome == OUTCOME_REFUSED;
        r->concluded += out.outcome != OUTCOME_REFUSED && out.outcome != OUTCOME_SAME;
    }
    return code;
}

// When it is due again. Sessions that were learnt from meanwhile count towards the next one.
static void plan_next(const struct reflecting *r, struct memory_manifest *m)
{
    const struct memory_rules *rules = &r->run->policy->info.memory;
    int64_t now_ms = clock_wall_ms(r->run->w->env.clock);
    if (r->rest_ms) {
        m->due_at_ms = now_ms + r->rest_ms;
    } else if (r->model_failed && m->tries + 1 < REFLECT_TRIES_MAX) {
        m->tries++;
        m->due_at_ms = now_ms + ((int64_t)REFLECT_REST_MS << (m->tries < REST_DOUBLINGS_MAX
                                                                   ? m->tries - 1
                                                                   : REST_DOUBLINGS_MAX));
    } else {
        m->tries = 0;
        m->reflected_at_ms = now_ms;
        m->sessions -= r->sessions < m->sessions ? r->sessions : m->sessions;
        m->due_at_ms = rules->reflect_after && m->sessions >= rules->reflect_after ? now_ms : 0;
    }
}

void reflect_count(struct memory_manifest *m, const struct memory_rules *rules, int64_t now_ms)
{
    m->sessions += m->sessions < UINT32_MAX;
    if (rules->reflect_after && m->sessions >= rules->reflect_after && !m->due_at_ms)
        m->due_at_ms = now_ms;
}

static bool is_due(const struct reflecting *r, const struct memory_manifest *m)
{
    return m->due_at_ms && m->due_at_ms <= clock_wall_ms(r->run->w->env.clock);
}

static int apply(struct book_change *change, struct book *b, struct ledger_memory_commit *extra,
                 struct err *err)
{
    struct reflecting *r = change->user;
    int code = E_OK;
    (void)extra;
    r->concluded = r->refused = r->retired = 0;
    // Another process was faster.
    if (!is_due(r, &b->manifest))
        return E_OK;
    if (!r->rest_ms)
        code = fact_book_retire_unborne(b->facts, clock_wall_ms(r->run->w->env.clock),
                                        &r->retired, err);
    if (!code)
        code = conclude(r, b, &r->by_hook, &r->hook_cited, err);
    if (!code)
        code = conclude(r, b, &r->by_model, &r->model_cited, err);
    if (!code)
        plan_next(r, &b->manifest);
    return code;
}

static void committed(struct book_change *change)
{
    struct reflecting *r = change->user;
    book_release(change->book);
    if (change->code == E_OK)
        log_line(r->run->w->env.log, LOG_INFO, "reflect: bot=%s concluded=%u refused=%u retired=%u",
                 r->run->job->bot, r->concluded, r->refused, r->retired);
    end(r->run, change->code, &change->err);
}

static void commit(struct reflecting *r)
{
    struct run *run = r->run;
    r->change = (struct book_change){
        .key = run->user_key, .apply = apply, .done = committed, .user = r,
    };
    memcpy(r->change.partition, run->partition, sizeof(r->change.partition));
    memcpy(r->change.bot, run->job->bot, sizeof(r->change.bot));
    book_change(run->w, &r->change);
}

// ---- the model

static void answered(struct run *run, int code, struct safe_text answer, const struct err *err)
{
    struct reflecting *r = run->extra;
    struct err why = *err;
    if (!code)
        code = reflect_take_answer(r, answer, &why);
    r->model_failed = code != E_OK;
    if (code == E_CANCELLED) {
        end(run, code, &why);
        return;
    }
    if (code)
        log_line(run->w->env.log, LOG_INFO, "reflect: bot=%s: no model's word: %s", run->job->bot,
                 why.message);
    commit(r);
}

static void ask_model(struct reflecting *r)
{
    struct run *run = r->run;
    const struct memory_rules *rules = &run->policy->info.memory;
    struct safe_buf text;
    struct err err = ERR_INIT;
    safe_buf_init(&text, CONTENT_BYTES_MAX);
    int code = background_model(run, rules->model, &err);
    if (!code)
        code = reflect_ask(r, &text, &err);
    if (code) {
        answered(run, code, SAFE_NONE, &err);
    } else {
        const struct background_ask ask = {
            .kind = ATTEMPT_REFLECTION,
            .system = safe_buf_text(&rules->reflect_prompt),
            .text = safe_buf_text(&text),
            .output_tokens_max = REFLECT_ANSWER_TOKENS,
        };
        background_call(run, &ask, answered);
    }
    safe_buf_release(&text);
}

// ---- the hook

static void asked_hook(struct reflecting *r)
{
    const struct memory_rules *rules = &r->run->policy->info.memory;
    if (rules->use_model && safe_buf_text(&rules->reflect_prompt).len)
        ask_model(r);
    else
        commit(r);
}

static void run_hook(struct run *run)
{
    struct reflecting *r = run->extra;
    struct policy *policy = run->policy;
    struct err err = ERR_INIT;
    // Of the journal it sees what a model does (reflect_text.c).
    bool all = !policy->info.memory.by_context;
    const struct policy_view view = {
        .chat = r->chat,
        .user = "",
        .context = "",
        .now_ms = clock_wall_ms(run->w->env.clock),
        .facts = r->book->facts,
        .core = &r->book->core,
        .journal = r->book->journal.list,
        .journal_len = all ? r->book->journal.len : 0,
    };
    if (policy->ops->reflect(policy, &view, &r->by_hook, &r->hook_cited, &err))
        turn_hook_failed(run, "memory.reflect", &err);
    asked_hook(r);
}

static int make_chat(struct reflecting *r, struct err *err)
{
    struct session_head head = {0};
    memcpy(head.partition, r->run->partition, sizeof(head.partition));
    memcpy(head.bot, r->run->job->bot, sizeof(head.bot));
    return chat_new(&r->chat, r->run->w->ledger, &head, r->run->user_key, err);
}

static void have_book(struct book_wait *wait)
{
    struct reflecting *r = wait->user;
    struct run *run = r->run;
    struct err err = wait->err;
    const struct memory_rules *rules = &run->policy->info.memory;
    int code = wait->code;
    r->book = wait->book;
    if (!code)
        code = make_chat(r, &err);
    if (code || !is_due(r, &r->book->manifest)) {
        end(run, code, &err);
        return;
    }
    r->sessions = r->book->manifest.sessions;
    // Whoever loads the policy again, or lets it reflect, finds it due.
    r->rest_ms = rules->on && rules->reflect_after ? 0 : UNLOADED_REST_MS;
    if (r->rest_ms)
        commit(r);
    else if (rules->has_reflect)
        aside_run(run, run_hook);
    else
        asked_hook(r);
}

// ---- beginning

static void prepared(struct run *run)
{
    struct reflecting *r = run->extra;
    r->wait = (struct book_wait){.key = run->user_key, .done = have_book, .user = r};
    memcpy(r->wait.partition, run->partition, sizeof(r->wait.partition));
    memcpy(r->wait.bot, run->job->bot, sizeof(r->wait.bot));
    book_open(run->w, &r->wait);
}

static void have_key(struct vault_request *request)
{
    struct run *run = CONTAINER_OF(request, struct run, vault_request);
    run->user_key = request->key;
    if (request->code)
        emit_error(run, request->code, &request->err);
    else
        mask_prepare(run, prepared);
}

void reflect_start(struct run *run)
{
    struct vault *vault = run->w->env.vault;
    struct reflecting *r = mem_zalloc(sizeof(*r));
    struct err err = ERR_INIT;
    if (!r) {
        emit_error(run, err_set(&err, E_NOMEM, "out of memory for a reflection"), &err);
        return;
    }
    run->extra = r;
    run->extra_free = reflecting_free;
    r->run = run;
    fact_candidates_init(&r->by_hook);
    fact_candidates_init(&r->by_model);
    memcpy(run->partition, run->job->partition, sizeof(run->partition));
    run->user_key = vault_find_key(vault, run->partition);
    if (run->user_key) {
        mask_prepare(run, prepared);
        return;
    }
    run->vault_request = (struct vault_request){.loop = run->w->env.loop, .done = have_key};
    memcpy(run->vault_request.partition, run->partition, sizeof(run->vault_request.partition));
    vault_user_key(vault, &run->vault_request);
}
