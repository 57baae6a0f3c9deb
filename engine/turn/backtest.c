// SPDX-License-Identifier: MIT
// backtest.c: recorded conversations through policies; see backtest.h.
//
// A lane is a policy with a `struct run` like a live turn's, over a chat that is never stored. For
// each turn the run is what turn.c makes of a message, the hooks and context_assemble do what they
// do in turn_plan.c, and the head is moved on as ledger_settle would.
#include "turn/backtest_int.h"

enum { WATCH_TURNS = 64, TALK_UNITS_MAX = 1 << 22, REPORT_POINTS_MAX = RECORDED_TURNS_MAX + 1 };

static const int64_t lifetimes_ms[CACHES] = {
    [CACHE_FIVE_MINUTES] = 5 * 60 * 1000,
    [CACHE_HOUR] = 60 * 60 * 1000,
};

// ---- lanes

static int64_t lane_wall_ms(void *self)
{
    return ((const struct lane *)self)->now_ms;
}

static int64_t lane_mono_ns(void *self)
{
    return ((const struct lane *)self)->now_ms * 1000000;
}

static void lane_free(struct lane *lane)
{
    if (!lane)
        return;
    for (int i = 0; i < CACHES; i++)
        cache_model_release(&lane->caches[i]);
    vec_release(&lane->units);
    vec_release(&lane->points);
    vec_release(&lane->told);
    lane_recall_begin(lane);
    lane_summary_begin(lane);
    context_release(&lane->run.context);
    safe_buf_release(&lane->run.text);
    policy_unref(lane->policy);
    mem_free(lane->turns);
    mem_free(lane->name);
    mem_free(lane);
}

static void lane_init(struct lane *lane, const struct backtest_env *env)
{
    struct run *run = &lane->run;
    lane->env = env;
    lane->clock = (struct clock){.wall_ms = lane_wall_ms, .mono_ns = lane_mono_ns, .self = lane};
    for (int i = 0; i < CACHES; i++)
        cache_model_init(&lane->caches[i], lifetimes_ms[i], env->caps.cache_min_tokens);
    vec_init(&lane->units, sizeof(struct cache_unit), TALK_UNITS_MAX);
    vec_init(&lane->points, sizeof(struct point), REPORT_POINTS_MAX);
    vec_init(&lane->told, sizeof(struct told), TALKS_TOLD_MAX);
    lane->worker.env.clock = &lane->clock;
    lane->worker.env.prices = env->prices;
    lane->live.chat = &lane->chat;
    run->w = &lane->worker;
    run->job = &lane->job;
    // Names of the lane's own recall index: it is nobody else's anyway.
    snprintf(run->partition, sizeof(run->partition), "replay");
    snprintf(lane->job.bot, sizeof(lane->job.bot), "replay");
    run->live = &lane->live;
    run->caps = env->caps;
    snprintf(run->provider, sizeof(run->provider), "%s", env->provider);
    snprintf(run->model, sizeof(run->model), "%s", env->model);
    safe_buf_init(&run->text, CONTENT_BYTES_MAX);
    context_init(&run->context);
    summary_init(&lane->standing);
}

static int add_lane(struct backtest *b, struct policy *policy, const char *name, bool sliding,
                    struct err *err)
{
    struct lane *lane = mem_zalloc(sizeof(*lane));
    if (!lane)
        return err_set(err, E_NOMEM, "out of memory for %s", name);
    lane_init(lane, &b->env);
    policy_ref(policy);
    lane->policy = lane->run.policy = policy;
    lane->sliding = sliding;
    lane->name = mem_strdup(name);
    if (!lane->name) {
        lane_free(lane);
        return err_set(err, E_NOMEM, "out of memory for a name");
    }
    b->lanes[b->lanes_len++] = lane;
    return E_OK;
}

int backtest_new(struct backtest **out, const struct backtest_env *env, struct err *err)
{
    struct backtest *b = mem_zalloc(sizeof(*b));
    if (!b)
        return err_set(err, E_NOMEM, "out of memory for a back-test");
    b->env = *env;
    b->priced = prices_find(env->prices, env->provider, env->model, &b->price);
    vec_init(&b->names, sizeof(char *), TALKS_TOLD_MAX);
    *out = b;
    return E_OK;
}

void backtest_free(struct backtest *b)
{
    if (!b)
        return;
    for (uint32_t i = 0; i < b->lanes_len; i++)
        lane_free(b->lanes[i]);
    for (size_t i = 0; i < b->names.len; i++)
        mem_free(*VEC_AT(&b->names, char *, i));
    vec_release(&b->names);
    mem_free(b);
}

uint64_t backtest_conversations(struct backtest *b)
{
    return atomic_load(&b->conversations);
}

int backtest_add(struct backtest *b, struct policy *policy, const char *name, struct err *err)
{
    char window[64];
    if (b->lanes_len >= BACKTEST_POLICIES_MAX)
        return err_set(err, E_USAGE, "more than %d policies at once", BACKTEST_POLICIES_MAX - 1);
    if (b->lanes_len == 0 && b->env.baseline_messages) {
        // First, to be compared with; with the first policy's prompt, so that only the window
        // differs.
        snprintf(window, sizeof(window), "last %u messages", b->env.baseline_messages);
        int code = add_lane(b, policy, window, true, err);
        if (code)
            return code;
    }
    return add_lane(b, policy, name, false, err);
}

// ---- a turn

static void hook_failed(struct lane *lane, struct tally *sum, const struct err *err)
{
    if (!lane->hook_error[0])
        snprintf(lane->hook_error, sizeof(lane->hook_error), "%s", err->message);
    sum->hook_failures++;
}

// The turns from `index` on are a new session's.
static void begin_session(struct lane *lane, const struct backtest_talk *talk, uint32_t index)
{
    struct session_head *head = &lane->chat.head;
    lane->base = index;
    for (uint32_t i = index; i < talk->turns_len; i++)
        lane->turns[i].n = i - index + 1;
    lane->chat = (struct chat){.first = 1, .turns = lane->turns + index};
    *head = (struct session_head){.created_at_ms = lane->now_ms,
                                  .last_active_at_ms = lane->now_ms,
                                  .system_hash = lane->policy->info.system_hash};
    snprintf(head->bot, sizeof(head->bot), "%s", lane->policy->info.name);
    lane_recall_session(lane);
    lane_summary_begin(lane);
}

// What turn.c makes of a message: turn `index` is open, and nothing is behind it.
static void open_turn(struct lane *lane, uint32_t index)
{
    struct run *run = &lane->run;
    struct session_head *head = &lane->chat.head;
    struct turn *t = &lane->turns[index];
    run->turn = t->n;
    run->gap_ms = t->n > 1 ? lane->now_ms - head->last_active_at_ms : 0;
    run->text_tokens = t->steps[0].tokens;
    safe_buf_clear(&run->text);
    content_text(&t->steps[0].content, &run->text);
    run->system = lane->policy->info.system;
    run->system_tokens = tokens_of_system(turn_encoding(run), run->system);
    t->steps_len = 1;
    t->status = TURN_OPEN;
    lane->chat.turns_len = head->turns = head->open_turn = t->n;
    head->tokens += run->text_tokens;
}

static void close_turn(struct lane *lane, const struct turn *whole, uint32_t index)
{
    struct session_head *head = &lane->chat.head;
    struct turn *t = &lane->turns[index];
    uint32_t n = t->n;
    *t = *whole;
    t->n = n;
    head->open_turn = 0;
    head->last_active_at_ms = t->steps[t->steps_len - 1].at_ms;
    for (uint32_t i = 1; i < t->steps_len; i++)
        head->tokens += t->steps[i].tokens;
}

// Whether the policy leaves the turn to the model.
static bool goes_on(struct lane *lane, const struct backtest_talk *talk, uint32_t index,
                    struct tally *sum)
{
    struct policy_view view;
    struct plan plan;
    struct err err = ERR_INIT;
    if (lane->sliding || !lane->policy->info.has_on_message)
        return true;
    plan_init(&plan);
    turn_view(&lane->run, &view);
    if (lane->policy->ops->on_message(lane->policy, &view, &plan, &err))
        hook_failed(lane, sum, &err);
    enum plan_verb verb = plan.verb;
    plan_release(&plan);
    if (verb == PLAN_RESET) {
        sum->resets++;
        begin_session(lane, talk, index);
        open_turn(lane, index);
    }
    return verb != PLAN_SAY && verb != PLAN_HANDOFF;
}

// `query`: what is asked of recall, where the plan wants some.
static int assemble(struct lane *lane, struct slice query, struct tally *sum, struct err *err)
{
    struct run *run = &lane->run;
    struct policy_view view;
    struct err hook = ERR_INIT;
    if (lane->sliding)
        return backtest_window(lane, err);
    turn_view(run, &view);
    if (lane->policy->ops->history(lane->policy, &view, &run->plan, &hook))
        hook_failed(lane, sum, &hook);
    if (!lane->strategy[0]) {
        memcpy(lane->strategy, run->plan.strategy, sizeof(lane->strategy));
        memcpy(lane->by, run->plan.by, sizeof(lane->by));
    }
    int code = lane_summary(lane, err);
    if (!code)
        code = lane_recall(lane, query, err);
    return code ? code : context_assemble(run, err);
}

// What was assembled, or refused, into the sums. E_NOMEM.
static int judge(struct backtest *b, struct lane *lane, const struct turn *whole,
                 struct tally *sum, struct point *point, bool valid, struct err *err)
{
    const struct run *run = &lane->run;
    if (!valid && run->system_tokens + run->text_tokens >= run->caps.window_tokens) {
        sum->refused++;
        return E_OK;
    }
    sum->invalid += !valid;
    if (!lane->sliding) {
        lane->chat.head.cut = *run->settle.cut;
        lane->chat.head.system_hash = run->settle.system_hash;
    }
    return lane_count_request(b, lane, whole, sum, point, err);
}

static int run_turn(struct backtest *b, struct lane *lane, const struct backtest_talk *talk,
                    uint32_t index, struct tally *sum, struct err *err)
{
    const struct turn *whole = &talk->turns[index];
    struct point *point = index < lane->points.len ? vec_at(&lane->points, index)
                                                   : vec_push(&lane->points);
    if (!point)
        return err_set(err, E_NOMEM, "out of memory for the figures of turn %u", index + 1);
    lane->now_ms = whole->at_ms;
    sum->turns++;
    open_turn(lane, index);
    if (!goes_on(lane, talk, index, sum)) {
        sum->answered++;
        return E_OK;
    }
    struct err why = ERR_INIT;
    struct slice query = safe_slice(safe_buf_text(&lane->run.text));
    int code = assemble(lane, query, sum, &why);
    if (code && code != E_REFUSED)
        return err_set(err, code, "turn %u: %s", index + 1, why.message);
    return judge(b, lane, whole, sum, point, code == E_OK, err);
}

// ---- what of the conversation is in the request

// Calls fn for each turn before the one under way, by index, in their order.
static void each_behind(struct lane *lane, void (*fn)(void *user, uint32_t index, bool sent),
                        void *user)
{
    const struct context *c = &lane->run.context;
    size_t at = 0;
    uint32_t end = lane->base + lane->run.turn - 1;
    for (uint32_t i = 0; i < end; i++) {
        const struct turn *t = &lane->turns[i];
        // The summary stands among them.
        at += at < c->steps.len && c->summary &&
              *VEC_AT(&c->steps, struct step *, at) == &c->summary->step;
        size_t before = at;
        while (at < c->steps.len) {
            const struct step *s = *VEC_AT(&c->steps, struct step *, at);
            if (s < t->steps || s >= t->steps + t->steps_len)
                break;
            at++;
        }
        fn(user, i, at > before || lane_recalled(lane, i));
    }
}

static void add_dropped(void *user, uint32_t index, bool sent)
{
    struct told *told = user;
    struct dropped_run *last = told->dropped_len ? &told->dropped[told->dropped_len - 1] : NULL;
    if (sent)
        return;
    if (last && last->last == index) {
        last->last++;
    } else if (told->dropped_len < DROPPED_RUNS_MAX) {
        told->dropped[told->dropped_len++] = (struct dropped_run){index + 1, index + 1};
    } else {
        told->dropped_more = true;
    }
}

struct looking {
    const struct backtest_question *question;
    uint64_t found, evidence;
};

static void look(void *user, uint32_t index, bool sent)
{
    struct looking *l = user;
    for (uint32_t i = 0; i < l->question->evidence_len; i++) {
        if (l->question->evidence[i] != index + 1)
            continue;
        l->evidence++;
        l->found += sent;
    }
}

static void ask(struct lane *lane, const struct backtest_question *q)
{
    struct looking l = {.question = q};
    each_behind(lane, look, &l);
    lane->recall.questions++;
    lane->recall.evidence += q->evidence_len;
    lane->recall.found += l.found;
    lane->recall.sent_turns += lane->run.context.sent;
    if (lane->run.context.recalled)
        lane->recall.sent_turns += lane->run.context.recalled->len;
}

// A question that comes after the conversation: one more turn, of a few words, which costs nothing.
static int ask_after(struct lane *lane, const struct backtest_talk *talk,
                     const struct backtest_question *q, uint32_t n, struct err *err)
{
    static const struct block word = {.type = BLOCK_TEXT, .text = SAFE_LIT("?")};
    struct block words[] = {word};
    struct step step = {.role = ROLE_USER, .content = content_over(words, 1),
                        .tokens = TOKENS_PER_MESSAGE + 1};
    struct tally ignored = {0};
    uint32_t index = talk->turns_len;
    lane->now_ms += BACKTEST_TURN_MS;
    step.at_ms = lane->now_ms;
    lane->turns[index] = (struct turn){.n = index - lane->base + 1, .steps = &step, .steps_len = 1,
                                       .at_ms = lane->now_ms};
    open_turn(lane, index);
    for (uint32_t i = 0; i < n; i++) {
        struct err why = ERR_INIT;
        // Nothing but recall differs from one question to the next.
        int code = i == 0 || lane->run.plan.recall ? assemble(lane, q[i].text, &ignored, &why)
                                                   : E_OK;
        if (code && code != E_REFUSED)
            return err_set(err, code, "a question: %s", why.message);
        ask(lane, &q[i]);
    }
    return E_OK;
}

// ---- a conversation

static int prepare(struct lane *lane, const struct backtest_talk *talk, struct err *err)
{
    if (lane->turns_cap <= talk->turns_len) {
        uint32_t cap = talk->turns_len + talk->turns_len / 2 + 1;
        struct turn *grown = mem_realloc(lane->turns, cap * sizeof(*grown));
        if (!grown)
            return err_set(err, E_NOMEM, "out of memory for %u turns", talk->turns_len);
        lane->turns = grown;
        lane->turns_cap = cap;
    }
    lane_recall_begin(lane);
    memcpy(lane->turns, talk->turns, talk->turns_len * sizeof(*lane->turns));
    for (int i = 0; i < CACHES; i++)
        cache_model_clear(&lane->caches[i]);
    vec_clear(&lane->run.context.messages);
    vec_clear(&lane->run.context.steps);
    snprintf(lane->job.user, sizeof(lane->job.user), "%s", talk->user);
    snprintf(lane->job.context, sizeof(lane->job.context), "%s", talk->context);
    lane->now_ms = talk->turns[0].at_ms;
    begin_session(lane, talk, 0);
    return E_OK;
}

static void add_tally(struct tally *sum, const struct tally *t)
{
    sum->turns += t->turns;
    sum->requests += t->requests;
    sum->answered += t->answered;
    sum->refused += t->refused;
    sum->invalid += t->invalid;
    sum->overflows += t->overflows;
    sum->cuts += t->cuts;
    sum->resets += t->resets;
    sum->input_tokens += t->input_tokens;
    sum->output_tokens += t->output_tokens;
    sum->sent_turns += t->sent_turns;
    sum->dropped_turns += t->dropped_turns;
    sum->recalled_turns += t->recalled_turns;
    sum->hook_failures += t->hook_failures;
    sum->summaries += t->summaries;
    sum->summary_tokens += t->summary_tokens;
    sum->summary_nusd += t->summary_nusd;
    for (int i = 0; i < CACHES; i++) {
        sum->read_tokens[i] += t->read_tokens[i];
        sum->written_tokens[i] += t->written_tokens[i];
        sum->cost_nusd[i] += t->cost_nusd[i];
    }
}

// `behind`: lanes that the conversation went through already.
static bool goes_further(const struct backtest *b, const struct backtest_talk *talk,
                         uint32_t behind, uint32_t turn)
{
    uint64_t done = (uint64_t)behind * talk->turns_len + turn;
    return turn % WATCH_TURNS != WATCH_TURNS - 1 || !b->env.watch ||
           b->env.watch(b->env.user, done, (uint64_t)b->lanes_len * talk->turns_len);
}

static int run_lane(struct backtest *b, uint32_t index, const struct backtest_talk *talk,
                    struct err *err)
{
    struct lane *lane = b->lanes[index];
    struct told told = {0};
    uint32_t asked = 0;
    int code = prepare(lane, talk, err);
    for (uint32_t i = 0; i < talk->turns_len && !code; i++) {
        code = run_turn(b, lane, talk, i, &told.sum, err);
        for (; asked < talk->questions_len && talk->questions[asked].turn == i + 1; asked++)
            ask(lane, &talk->questions[asked]);
        if (i + 1 == talk->turns_len)
            each_behind(lane, add_dropped, &told);
        close_turn(lane, &talk->turns[i], i);
        if (!code)
            code = lane_summarise(b, lane, &told.sum, vec_at(&lane->points, i), err);
        if (!code && !goes_further(b, talk, index, i))
            code = err_set(err, E_CANCELLED, "stopped");
    }
    if (!code && asked < talk->questions_len)
        code = ask_after(lane, talk, talk->questions + asked, talk->questions_len - asked, err);
    if (code)
        return code;
    add_tally(&lane->sum, &told.sum);
    struct told *kept = lane->told.len < lane->told.max ? vec_push(&lane->told) : NULL;
    if (kept)
        *kept = told;
    return kept || lane->told.len == lane->told.max
               ? E_OK
               : err_set(err, E_NOMEM, "out of memory for the figures of a conversation");
}

static int keep_name(struct backtest *b, const char *name, struct err *err)
{
    if (b->names.len == b->names.max)
        return E_OK;
    char **kept = vec_push(&b->names);
    if (kept)
        *kept = mem_strdup(name);
    if (kept && !*kept)
        b->names.len--;
    return kept && *kept ? E_OK : err_set(err, E_NOMEM, "out of memory for a name");
}

int backtest_run(struct backtest *b, const struct backtest_talk *talk, struct err *err)
{
    int code = keep_name(b, talk->name, err);
    for (uint32_t i = 0; i < b->lanes_len && !code; i++)
        code = run_lane(b, i, talk, err);
    atomic_fetch_add(&b->conversations, 1);
    b->turns += talk->turns_len;
    b->timed += talk->timed;
    return code;
}
