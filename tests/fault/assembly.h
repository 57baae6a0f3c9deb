// SPDX-License-Identifier: MIT
// assembly.h: random sessions for test_assembly.c. A turn is anything that a ledger may hold: tool
// steps in rounds and in parallel, answered in any order; thinking, signed and sealed; replies that
// are whole, cut, blank or missing; turns that stopped at any step, as after a crash; recorded
// conversations whose tool calls were never answered, or answered twice; pictures; turns undone.
//
// Every text that can be sent has a mark of its own, "<TURN.STEP>", so that a body tells what it
// was made of. What a turn's steps are worth is known from how they were made, not looked up in
// the engine.
// Header only; one thread.
#ifndef TESTS_FAULT_ASSEMBLY_H
#define TESTS_FAULT_ASSEMBLY_H

#include "fault/run.h"
#include "support/wire_rules.h"
#include "turn/turn_int.h"

enum { TURNS_MAX = 48, STEPS_MAX = 8, BLOCKS_MAX = 8, ARENA_BYTES = 1 << 20, ROUNDS_MAX = 3 };

struct model {
    const char *provider, *name;
    enum llm_dialect dialect;
    struct llm_caps caps;
};

static const struct model MODELS[] = {
    {"anthropic", "claude-a", LLM_ANTHROPIC,
     {.window_tokens = 2000, .output_tokens_max = 400, .cache_min_tokens = 60}},
    {"anthropic", "claude-b", LLM_ANTHROPIC,
     {.window_tokens = 100000, .output_tokens_max = 8000}},
    {"openai", "gpt-a", LLM_OPENAI,
     {.window_tokens = 4000, .output_tokens_max = 900, .cache_min_tokens = 100,
      .max_completion_tokens = true, .stream_usage = true, .developer_role = true}},
    {"local", "llama", LLM_OPENAI, {.window_tokens = 500}},
};
enum { MODELS_LEN = sizeof(MODELS) / sizeof(MODELS[0]), PROMPTS_LEN = 3 };

// What is known of a step, and of a turn, from how it was made.
struct made {
    bool marked[STEPS_MAX];  // has a mark that must be found where its turn is sent
    uint32_t closed;         // steps before this one may be sent
};

struct session {
    struct rand_sim rand;
    const struct rand *r;
    struct chat chat;
    struct turn turns[TURNS_MAX + 1];
    struct step steps[TURNS_MAX + 1][STEPS_MAX];
    struct block blocks[TURNS_MAX + 1][STEPS_MAX][BLOCKS_MAX];
    struct made made[TURNS_MAX + 1];
    char arena[ARENA_BYTES];
    size_t arena_used;
    const struct model *model;
    struct policy policy;
    struct live live;
    struct job job;
    struct worker worker;
    struct run run;
    struct recalled recalled;
    struct block recalled_block;
    struct summarised summary;  // the newest; upto 0: none
    struct block summary_block;
    bool failed;             // nobody will answer the open turn
    bool rewritten;          // the newest turn is not what was sent of it
};

static inline bool one_in(struct session *s, uint64_t n)
{
    return rand_below(s->r, n) == 0;
}

__attribute__((format(printf, 2, 3))) static inline struct safe_text make_text(struct session *s,
                                                                               const char *fmt, ...)
{
    char *at = s->arena + s->arena_used;
    size_t room = sizeof(s->arena) - s->arena_used;
    va_list ap;
    va_start(ap, fmt);
    int len = vsnprintf(at, room, fmt, ap);
    va_end(ap);
    if (len < 0 || (size_t)len >= room)
        give_up("the arena of a session is too small");
    s->arena_used += (size_t)len + 1;
    return (struct safe_text){at, (size_t)len};
}

// ---- steps

static inline struct step *new_step(struct session *s, struct turn *t, enum role role)
{
    struct step *step = &t->steps[t->steps_len];
    *step = (struct step){.role = role,
                          .content = content_over(s->blocks[t->n][t->steps_len], 0),
                          .tokens = 5 + (uint32_t)rand_below(s->r, 60)};
    s->made[t->n].marked[t->steps_len] = false;
    t->steps_len++;
    return step;
}

static inline struct block *new_block(struct step *step, enum block_type type)
{
    struct block *b = &step->content.blocks[step->content.len++];
    *b = (struct block){.type = type};
    return b;
}

static inline void mark_step(struct session *s, const struct turn *t)
{
    s->made[t->n].marked[t->steps_len - 1] = true;
}

static inline void add_words(struct session *s, const struct turn *t, struct step *step)
{
    static const char *const tails[] = {"", " words", "\nline\twith \"quotes\" \\ and \x7f",
                                        " \xf0\x9f\x90\xb3 \xe6\x96\x87", " <b>&amp;</b>"};
    new_block(step, BLOCK_TEXT)->text = make_text(s, "<%u.%u>%s", t->n, t->steps_len - 1,
                                                  tails[rand_below(s->r, 5)]);
    mark_step(s, t);
}

static inline void add_blank(struct session *s, struct step *step)
{
    static const char *const blanks[] = {"", " \n", "\xc2\xa0", "\xe3\x80\x80\t", "\v\f",
                                         "\xe2\x80\x83"};
    const char *blank = blanks[rand_below(s->r, 6)];
    new_block(step, BLOCK_TEXT)->text = (struct safe_text){blank, strlen(blank)};
}

// Signed by the turn's model, as only Anthropic's do; or not signed, as what was cut.
static inline void add_thinking(struct session *s, const struct turn *t, struct step *step)
{
    char sign[128];
    if (strcmp(t->provider, "anthropic") != 0)
        return;
    if (one_in(s, 4)) {
        wire_sign(t->model, SLICE_LIT("sealed"), sign);
        new_block(step, BLOCK_OTHER)->json =
            make_text(s, "{\"type\":\"redacted_thinking\",\"data\":\"%s\"}", sign);
        return;
    }
    struct block *b = new_block(step, BLOCK_THINKING);
    b->text = one_in(s, 4) ? SAFE_LIT("") : make_text(s, "thought \"%u.%u\"", t->n, t->steps_len);
    wire_sign(t->model, safe_slice(b->text), sign);
    b->signature = one_in(s, 6) ? SAFE_LIT("") : make_text(s, "%s", sign);
}

static inline void add_picture(struct session *s, struct step *step)
{
    new_block(step, BLOCK_OTHER)->json =
        make_text(s, "{\"type\":\"%s\",\"source\":{\"type\":\"url\",\"url\":\"x\"}}",
                  one_in(s, 2) ? "image" : "image_url");
}

// ---- tools

static inline uint32_t add_calls(struct session *s, const struct turn *t, struct step *step)
{
    uint32_t n = 1 + (uint32_t)rand_below(s->r, 3);
    for (uint32_t i = 0; i < n; i++) {
        struct block *b = new_block(step, BLOCK_TOOL_USE);
        b->id = make_text(s, "call_%u_%u_%u", t->n, t->steps_len - 1, i);
        b->name = SAFE_LIT("look_up");
        b->json = one_in(s, 4) ? SAFE_LIT("")
                               : make_text(s, "{\"at\":\"<%u.%u>\"}", t->n, t->steps_len - 1);
        if (b->json.len)
            mark_step(s, t);
    }
    return n;
}

// The results of step `of`, in any order. Some recorded conversations have them wrong: false.
static inline bool add_results(struct session *s, const struct turn *t, struct step *step,
                               uint32_t of, uint32_t calls)
{
    uint32_t from = (uint32_t)rand_below(s->r, calls);
    uint32_t wrong = one_in(s, 25) ? 1 + (uint32_t)rand_below(s->r, 4) : 0;
    if (wrong == 4)
        add_words(s, t, step);  // before the results
    for (uint32_t i = 0; i < calls; i++) {
        struct block *b = new_block(step, BLOCK_TOOL_RESULT);
        uint32_t which = (from + i) % calls;
        b->id = wrong == 2 && i == 0 ? SAFE_LIT("call_of_nobody")
                                     : make_text(s, "call_%u_%u_%u", t->n, of, which);
        b->text = one_in(s, 5) ? SAFE_LIT("") : make_text(s, "<%u.%u>", t->n, t->steps_len - 1);
        b->is_error = one_in(s, 5);
        if (b->text.len)
            mark_step(s, t);
    }
    if (wrong == 3)
        *new_block(step, BLOCK_TOOL_RESULT) = step->content.blocks[0];  // twice
    else if (wrong == 1)
        step->content.len--;                                           // one is missing
    else if (one_in(s, 6))
        add_words(s, t, step);
    return wrong == 0;
}

// Rounds of calls and results. False: one of them is broken, and the turn may be sent up to it.
static inline bool add_rounds(struct session *s, struct turn *t)
{
    uint32_t rounds = one_in(s, 3) ? 1 + (uint32_t)rand_below(s->r, ROUNDS_MAX) : 0;
    for (uint32_t i = 0; i < rounds; i++) {
        struct step *ask = new_step(s, t, ROLE_ASSISTANT);
        uint32_t at = t->steps_len - 1;
        s->made[t->n].closed = at;
        if (one_in(s, 3))
            add_thinking(s, t, ask);
        if (one_in(s, 2))
            add_words(s, t, ask);
        uint32_t calls = add_calls(s, t, ask);
        if (one_in(s, 25))
            return false;  // nobody answered
        struct step *answer = new_step(s, t, ROLE_USER);
        if (!add_results(s, t, answer, at, calls) || answer->content.len == 0)
            return false;
        s->made[t->n].closed = t->steps_len;
    }
    return true;
}

// ---- turns

// Steps are written block by block; here they become what the engine would have.
static inline void end_steps(struct turn *t)
{
    for (uint32_t i = 0; i < t->steps_len; i++)
        t->steps[i].content = content_over(t->steps[i].content.blocks, t->steps[i].content.len);
}

static inline void add_reply(struct session *s, struct turn *t)
{
    struct step *reply = new_step(s, t, ROLE_ASSISTANT);
    if (one_in(s, 3))
        add_thinking(s, t, reply);
    if (one_in(s, 8))
        add_blank(s, reply);
    if (!one_in(s, 10))
        add_words(s, t, reply);
    if (one_in(s, 8))
        add_thinking(s, t, reply);  // cut while it thought
    if (reply->content.len == 0)
        add_blank(s, reply);
}

// The new turn: the user's words, and how many tokens they are.
static inline void open_turn(struct session *s, uint32_t n)
{
    struct turn *t = &s->turns[n];
    *t = (struct turn){.n = n, .steps = s->steps[n]};
    s->failed = false;
    struct step *step = new_step(s, t, ROLE_USER);
    add_words(s, t, step);
    if (one_in(s, 60))
        step->tokens = (uint32_t)(s->model->caps.window_tokens * (50 + rand_below(s->r, 60)) / 100);
    s->made[n].closed = 1;
    end_steps(t);
}

static inline void rewrite(struct session *s, struct turn *t)
{
    mem_free(t->steps[0].wire.ptr);
    t->steps[0].wire = (struct wire_form){0};
    s->rewritten = true;
}

// How it went on, with the model that it was sent to: to its end, or up to some step.
static inline void end_turn(struct session *s, uint32_t n)
{
    struct turn *t = &s->turns[n];
    struct made *made = &s->made[n];
    snprintf(t->provider, sizeof(t->provider), "%s", s->model->provider);
    snprintf(t->model, sizeof(t->model), "%s", s->model->name);
    if (one_in(s, 12)) {  // recorded elsewhere: nobody knows which model it was
        t->provider[0] = t->model[0] = '\0';
        if (one_in(s, 3)) {
            add_picture(s, &t->steps[0]);
            rewrite(s, t);
        }
    }
    if (s->failed) {
        t->status = TURN_FAILED;
        end_steps(t);
        return;
    }
    bool whole = add_rounds(s, t);
    if (!one_in(s, 8))
        add_reply(s, t);
    if (whole)
        made->closed = t->steps_len;
    if (one_in(s, 6))
        t->steps_len = 1 + (uint32_t)rand_below(s->r, t->steps_len);
    for (uint32_t i = 0; i < t->steps_len && i < made->closed; i++) {
        const struct content *c = &t->steps[i].content;
        bool last = i + 1 == t->steps_len;
        if (last && c->len && c->blocks[c->len - 1].type == BLOCK_TOOL_USE)
            made->closed = i;  // it asks, and that was all
    }
    bool replied = t->steps_len > 1 && t->steps[t->steps_len - 1].role == ROLE_ASSISTANT;
    t->status = !replied ? (one_in(s, 2) ? TURN_FAILED : TURN_INTERRUPTED)
                         : (one_in(s, 6) ? TURN_CUT : TURN_DONE);
    if (one_in(s, 30) && !replied) {  // recorded: a picture and nothing else
        t->steps[0].content.len = 0;
        made->marked[0] = false;
        t->provider[0] = t->model[0] = '\0';
        add_picture(s, &t->steps[0]);
        rewrite(s, t);
    }
    end_steps(t);
}

static inline uint64_t made_tokens(const struct session *s, uint32_t n)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < s->turns[n].steps_len; i++)
        sum += s->turns[n].steps[i].tokens;
    return sum;
}

static inline void undo_turns(struct session *s, uint32_t first, uint32_t last)
{
    if (session_supersede(&s->chat.head, first, last, NULL))
        give_up("turns cannot be undone");
    for (uint32_t n = first; n <= last; n++)
        s->turns[n].superseded = true;
    if (first <= s->chat.head.cut.turn)
        s->chat.head.cut = (struct history_cut){0};  // as the ledger does
}

// ---- the session as the engine sees it

static inline void make_plan(struct session *s)
{
    struct history_plan *p = &s->run.plan;
    history_plan_full(p);
    if (one_in(s, 2)) {
        p->last = (uint32_t)rand_below(s->r, 14);
        p->slack = one_in(s, 2) ? (uint32_t)rand_below(s->r, 9) : 0;
    }
    if (one_in(s, 3))
        p->pin_first = (uint32_t)rand_below(s->r, 4);
    if (one_in(s, 3))
        p->budget_tokens = 1 + rand_below(s->r, 900);
    p->summary.tokens = one_in(s, 3) ? 50 : 0;
    for (uint32_t n = 1; n < TURNS_MAX && one_in(s, 2); n += 1 + (uint32_t)rand_below(s->r, 9))
        p->pinned[p->pinned_len++] = n;
}

static inline void use_model(struct session *s, const struct model *m)
{
    s->model = m;
    s->run.caps = m->caps;
    snprintf(s->run.provider, sizeof(s->run.provider), "%s", m->provider);
    snprintf(s->run.model, sizeof(s->run.model), "%s", m->name);
}

static inline void use_prompt(struct session *s)
{
    static const struct safe_text prompts[PROMPTS_LEN] = {
        SAFE_LIT(""), SAFE_LIT("You are \"kind\"."),
        SAFE_LIT("You are the desk. You are the desk. You are the desk. You are the desk. You are "
                 "the desk. You are the desk. You are the desk. You are the desk of a house with a "
                 "long prompt, so that it is worth to be kept in a cache of its own.")};
    uint64_t which = rand_below(s->r, PROMPTS_LEN);
    s->policy.info.system = prompts[which];
    s->policy.info.system_hash = which;
}

// A newer summary now and then, of whichever turns; one that does not hold any more is not sent.
static inline void summarise_something(struct session *s)
{
    struct run *run = &s->run;
    struct summarised *now = &s->summary;
    uint32_t upto = now->made.upto + 1 + (uint32_t)rand_below(s->r, run->turn);
    run->context.summary = run->summary = NULL;
    if (!run->plan.summary.tokens || s->job.flags & JOB_STATELESS)
        return;
    if (one_in(s, 5) && upto < run->turn && !session_is_superseded(&s->chat.head, upto)) {
        mem_free(now->step.wire.ptr);
        s->summary_block = (struct block){
            .type = BLOCK_TEXT,
            .text = make_text(s, "<summary>\n> <S> of %u\n</summary>", upto)};
        now->made.upto = upto;
        now->made.turns = session_live_turns(&s->chat.head, upto);
        now->step = (struct step){.role = ROLE_USER,
                                  .content = content_over(&s->summary_block, 1),
                                  .tokens = 10 + (uint32_t)rand_below(s->r, 60)};
    }
    if (now->made.upto && !summary_holds(&now->made, &s->chat.head))
        now->made.upto = 0;
    if (now->made.upto)
        run->context.summary = run->summary = now;
}

static inline void session_begin(struct session *s, uint64_t seed)
{
    memset(&s->chat, 0, sizeof(s->chat));
    memset(&s->run, 0, sizeof(s->run));
    memset(&s->worker, 0, sizeof(s->worker));
    memset(&s->job, 0, sizeof(s->job));
    memset(&s->summary, 0, sizeof(s->summary));
    s->arena_used = 0;
    rand_sim_init(&s->rand, seed);
    s->r = &s->rand.rand;
    s->policy = *policy_plain();
    s->chat.first = 1;
    s->chat.turns = &s->turns[1];
    s->chat.system_loaded = true;
    safe_buf_init(&s->chat.system, 1 << 16);
    s->live = (struct live){.chat = &s->chat};
    s->run.w = &s->worker;
    s->run.live = &s->live;
    s->run.job = &s->job;
    s->run.policy = &s->policy;
    context_init(&s->run.context);
    use_model(s, &MODELS[rand_below(s->r, MODELS_LEN)]);
    use_prompt(s);
    make_plan(s);
}

// What is in memory only is gone: rendered forms, and turns that the next request does not need.
static inline void session_restart(struct session *s, uint32_t turns)
{
    for (uint32_t n = 1; n <= turns; n++) {
        for (uint32_t i = 0; i < STEPS_MAX; i++) {
            mem_free(s->steps[n][i].wire.ptr);
            s->steps[n][i].wire = (struct wire_form){0};
        }
    }
    s->chat.first = turns + 1;
}

static inline void session_load(struct session *s, uint32_t first)
{
    if (first < s->chat.first)
        s->chat.first = first;
    s->chat.turns = &s->turns[s->chat.first];
    s->chat.turns_len = s->chat.head.turns + 1 - s->chat.first;
}

static inline void session_end(struct session *s, uint32_t turns)
{
    session_restart(s, turns);
    mem_free(s->recalled.step.wire.ptr);
    s->recalled.step.wire = (struct wire_form){0};
    mem_free(s->summary.step.wire.ptr);
    context_release(&s->run.context);
    safe_buf_release(&s->chat.system);
    session_head_release(&s->chat.head);
}

#endif
