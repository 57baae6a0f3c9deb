// SPDX-License-Identifier: MIT
// summary.c: summaries: when one is due, and those that are being made.
//
//   A2 ─▶ is one due? ─▶ summing_start ─ ─ ─ (summary_make.c) ─ ─ ─▶ summing_over
//
// A summary is due when the run of newest turns has grown by `slack`, or has taken its share of the
// budget, or when something has left the window that no summary stands for. It stands for all but
// the newest `last` turns. The turn that comes after it is there moves the cut; until then the run
// grows (choose.c), and a summary that fails costs nobody a turn: it rests and is tried again after
// a later turn.
#include "turn/choose.h"
#include "turn/mask.h"
#include "turn/provider.h"
#include "turn/summary_int.h"

// After failures in a row no summary of the session is tried before `until_ms`.
struct summary_rest {
    unsigned failures;
    int64_t until_ms;
};

// ---- when one is due

// The newest turn up to `n` that counts, or 0.
static uint32_t newest_live(const struct session_head *h, uint32_t n)
{
    while (n > 0 && session_is_superseded(h, n))
        n--;
    return n;
}

// The oldest of the newest `last` turns that count.
static uint32_t kept_from(const struct session_head *h, uint32_t last)
{
    uint32_t n = h->turns + 1;
    while (n > 1 && last > 0)
        last -= !session_is_superseded(h, --n);
    return n;
}

static uint64_t tokens_from(const struct chat *chat, uint32_t first)
{
    uint64_t sum = 0;
    for (uint32_t n = first; n <= chat->head.turns; n++) {
        const struct turn *t = choose_candidate(chat, n);
        sum += t ? turn_tokens(t) : 0;
    }
    return sum;
}

uint32_t summary_due(const struct chat *chat, const struct history_plan *plan, uint32_t base,
                     uint64_t budget)
{
    const struct session_head *h = &chat->head;
    uint32_t cut = h->cut.first ? h->cut.first : 1;
    uint32_t begin = cut > base ? cut : base + 1;  // of the run that the next turn would send
    uint32_t gone = newest_live(h, cut - 1), upto = newest_live(h, kept_from(h, plan->last) - 1);
    uint64_t turns = session_live_turns(h, h->turns) - session_live_turns(h, begin - 1);
    uint64_t high = (uint64_t)plan->last + (plan->slack ? plan->slack : 1);
    if (plan->budget_tokens && plan->budget_tokens < budget)
        budget = plan->budget_tokens;
    bool full = turns >= high || gone > base ||
                tokens_from(chat, begin) * PLAN_PERMILLE >= budget * plan->summary.at_permille;
    upto = upto > gone ? upto : gone;
    return full && upto > base ? upto : 0;
}

// ---- those that failed

static struct summary_rest *rest_of(const struct worker *w, const char *session)
{
    return map_get(w->summary_rests, slice_str(session));
}

static bool rests(const struct worker *w, const char *session)
{
    const struct summary_rest *rest = rest_of(w, session);
    return rest && clock_wall_ms(w->env.clock) < rest->until_ms;
}

// Those whose time is over: their sessions may never be met again.
static void forget_rested(struct worker *w)
{
    int64_t now_ms = clock_wall_ms(w->env.clock);
    size_t cursor = 0;
    struct slice session;
    void *value;
    while (map_next(w->summary_rests, &cursor, &session, &value)) {
        if (((struct summary_rest *)value)->until_ms > now_ms)
            continue;
        map_remove(w->summary_rests, session);
        mem_free(value);
    }
}

static struct summary_rest *rest_new(struct worker *w, const char *session)
{
    struct summary_rest *rest = mem_zalloc(sizeof(*rest));
    if (rest && map_set(w->summary_rests, slice_str(session), rest, NULL)) {
        mem_free(rest);
        return NULL;
    }
    return rest;
}

// Without room for it, it is tried again sooner.
static int64_t rest(struct worker *w, const char *session)
{
    struct summary_rest *rest = rest_of(w, session);
    if (!rest && map_len(w->summary_rests) >= SUMMARY_RESTS_MAX)
        forget_rested(w);
    if (!rest)
        rest = rest_new(w, session);
    if (!rest)
        return 0;
    int64_t ms = SUMMARY_REST_MS;
    for (unsigned i = 0; i < rest->failures && ms < SUMMARY_RESTS_MAX_MS; i++)
        ms *= 2;
    rest->failures++;
    rest->until_ms = clock_wall_ms(w->env.clock) + ms;
    return ms;
}

static void forget_rest(struct worker *w, const char *session)
{
    mem_free(map_remove(w->summary_rests, slice_str(session)));
}

void summaries_free(struct worker *w)
{
    size_t cursor = 0;
    void *value;
    BUG_ON(w->summing);
    while (w->summary_rests && map_next(w->summary_rests, &cursor, NULL, &value))
        mem_free(value);
    map_free(w->summary_rests);
}

// ---- those under way

static const struct summing *under_way(const struct worker *w, const char *session)
{
    const struct summing *s = w->summing;
    while (s && strcmp(s->head.id, session) != 0)
        s = s->next;
    return s;
}

static bool any_room(const struct worker *w)
{
    unsigned len = 0;
    for (const struct summing *s = w->summing; s; s = s->next)
        len++;
    return len < SUMMARIES_AT_ONCE;
}

bool summaries_busy(const struct worker *w)
{
    return w->summing != NULL;
}

static void time_is_up(struct loop_timer *timer)
{
    struct worker *w = CONTAINER_OF(timer, struct worker, summary_timer);
    for (struct summing *s = w->summing; s; s = s->next)
        summing_stop(s);
}

void summaries_drain(struct worker *w)
{
    if (!w->summing)
        return;
    w->summary_timer.fn = time_is_up;
    loop_timer_start(w->env.loop, &w->summary_timer, SUMMARY_DRAIN_MS);
}

// A turn of the session that is under way has read what there was before.
static void tell_runs(const struct summing *s)
{
    for (struct run *run = s->w->runs; run; run = run->next) {
        if (run->live && strcmp(run->live->chat->head.id, s->head.id) == 0)
            run->summary_upto = s->made.upto ? s->made.upto : s->base.upto;
    }
}

void summing_over(struct summing *s)
{
    struct worker *w = s->w;
    struct summing **at = &w->summing;
    while (*at != s)
        at = &(*at)->next;
    *at = s->next;
    if (s->code == E_OK) {
        tell_runs(s);
        forget_rest(w, s->head.id);
    } else if (s->stopped) {
        // A later turn makes it.
        log_line(w->env.log, LOG_INFO, "summary: session=%s upto=%u: left: %s", s->head.id, s->upto,
                 s->why);
    } else {
        int64_t ms = rest(w, s->head.id);
        log_line(w->env.log, LOG_WARN, "summary: session=%s upto=%u: none was made: %s; "
                 "next try after %lld s", s->head.id, s->upto, s->why, (long long)ms / 1000);
    }
    struct run *waits = s->waits;
    void (*over)(struct run *waits) = s->over;
    summing_free(s);
    if (!w->summing)
        loop_timer_stop(w->env.loop, &w->summary_timer);
    worker_check_idle(w);
    if (waits)
        over(waits);
}

// ---- beginning one

static int choose_model(struct summing *s, const struct run *run, struct err *err)
{
    const char *own = s->plan.summary.model, *colon = strchr(own, ':');
    memcpy(s->provider, run->provider, sizeof(s->provider));
    memcpy(s->model, run->model, sizeof(s->model));
    if (colon) {
        snprintf(s->provider, sizeof(s->provider), "%.*s", (int)(colon - own), own);
        snprintf(s->model, sizeof(s->model), "%s", colon + 1);
    }
    int code = provider_open(s->w, s->provider, &s->llm, err);
    if (code)
        return code;
    s->caps = llm_caps_of(s->llm, s->model);
    s->encoding = encoding_find(slice_str(s->caps.encoding));
    return E_OK;
}

static int copy_run(struct summing *s, const struct run *run, uint32_t upto, struct err *err)
{
    const struct session_head *head = &run->live->chat->head;
    s->w = run->w;
    s->key = run->user_key;
    s->plan = run->plan;
    s->policy = run->policy;
    policy_ref(s->policy);
    s->masks = user_masks_ref(run->masks);
    s->upto = upto;
    memcpy(s->partition, run->partition, sizeof(s->partition));
    summary_init(&s->base);
    summary_init(&s->made);
    safe_buf_init(&s->prompt, 2 * PLAN_SUMMARY_PROMPT_BYTES);
    safe_buf_init(&s->quoted, 2 * CONTENT_BYTES_MAX);
    int code = session_head_copy(&s->head, head, err);
    if (!code)
        code = choose_model(s, run, err);
    s->attempt = (struct ledger_summing){
        .partition = s->partition,
        .session = s->head.id,
        .bot = s->head.bot,
        .key = s->key,
        .turn = head->turns,
    };
    memcpy(s->attempt.attempt.provider, s->provider, sizeof(s->provider));
    memcpy(s->attempt.attempt.model, s->model, sizeof(s->model));
    return code;
}

// NULL: none is made.
static struct summing *make(struct run *run, uint32_t upto)
{
    struct worker *w = run->w;
    struct err err = ERR_INIT;
    struct summing *s = mem_zalloc(sizeof(*s));
    int code = s ? copy_run(s, run, upto, &err) : err_set(&err, E_NOMEM, "out of memory");
    if (code) {
        rest(w, run->live->chat->head.id);
        log_line(w->env.log, LOG_WARN, "summary: session=%s: none is made: %s",
                 run->live->chat->head.id, err.message);
        if (s)
            summing_free(s);
        return NULL;
    }
    s->next = w->summing;
    w->summing = s;
    return s;
}

void summary_after(struct run *run)
{
    const struct chat *chat = run->live->chat;
    bool answered = run->settle.status == TURN_DONE || run->settle.status == TURN_CUT;
    if (!run->plan.summary.tokens || (run->job->flags & JOB_STATELESS) || !answered ||
        chat->head.open_turn || run->w->draining)
        return;
    if (under_way(run->w, chat->head.id) || !any_room(run->w) || rests(run->w, chat->head.id))
        return;
    uint32_t base = run->summary ? run->summary->made.upto : 0;
    base = run->summary_upto > base ? run->summary_upto : base;
    uint32_t upto = summary_due(chat, &run->plan, base, context_budget(run));
    struct summing *s = upto ? make(run, upto) : NULL;
    if (s)
        summing_start(s);
}

// ---- at a session's end

static void summary_begin_end(struct run *run)
{
    const struct session_head *head = &run->live->chat->head;
    uint32_t upto = newest_live(head, head->turns);
    struct err err = ERR_INIT;
    turn_history(run);
    bool may = run->plan.summary.tokens && upto && !run->w->draining &&
               !under_way(run->w, head->id) && any_room(run->w) && !rests(run->w, head->id);
    if (may && provider_choose(run, &err)) {
        log_line(run->w->env.log, LOG_WARN, "summary: session=%s: none is made: %s", head->id,
                 err.message);
        may = false;
    }
    struct summing *s = may ? make(run, upto) : NULL;
    if (!s) {
        run->summary_then(run);
        return;
    }
    s->waits = run;
    s->over = run->summary_then;
    summing_start(s);
}

void summary_at_end(struct run *run, const struct session_head *head,
                    void (*then)(struct run *run))
{
    struct session_head view = {0};
    struct live *live = NULL;
    struct err err = ERR_INIT;
    run->summary_then = then;
    // What follows from what was said, and not from how much it was, is for a turn to plan.
    if (run->policy->info.needs_turns || head->open_turn) {
        then(run);
        return;
    }
    int code = session_head_copy(&view, head, &err);
    if (!code)
        code = live_new(&live, run->w, &view, run->user_key, &err);
    session_head_release(&view);
    if (code) {
        then(run);
        return;
    }
    live_swap(run, live);
    aside_run(run, summary_begin_end);
}
