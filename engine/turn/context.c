// SPDX-License-Identifier: MIT
// context.c: plan + ledger => messages that are valid and fit the window.
//
// The unit is the turn. Chosen are the pinned ones (the oldest few, and those named) and a run of
// the newest; what does not fit is dropped oldest first, the pinned last. So whatever a policy asks
// for, the messages alternate and end with the user's new text; rules_check confirms it before the
// send.
//
//   turns:     1  2  3  4  5  6  7  8  9  [10 = new]
//   plan:      last = 3, pin_first = 1
//   chosen:    1                 7  8  9   10
//   turn 8 got no reply: its text goes in front of turn 9's, in one user message.
//
// Work grows with what is sent, not with what is behind.
#include "turn/turn_int.h"

// All of a history may be sent: its turns bound the messages.
enum { CONTEXT_STEPS_MAX = 1 << 22 };

void context_init(struct context *c)
{
    memset(c, 0, sizeof(*c));
    vec_init(&c->messages, sizeof(struct llm_message), CONTEXT_STEPS_MAX);
    vec_init(&c->steps, sizeof(struct step *), CONTEXT_STEPS_MAX);
}

void context_release(struct context *c)
{
    vec_release(&c->messages);
    vec_release(&c->steps);
}

static uint64_t output_reserve(const struct run *run)
{
    uint64_t wanted = run->policy->info.max_output_tokens;
    if (wanted == 0)
        wanted = OUTPUT_TOKENS_DEFAULT;
    if (run->caps.output_tokens_max && wanted > run->caps.output_tokens_max)
        wanted = run->caps.output_tokens_max;
    // A small window (a local model's) is not eaten up by the reply that it might give.
    return wanted < run->caps.window_tokens / 4 ? wanted : run->caps.window_tokens / 4;
}

uint64_t context_budget(const struct run *run)
{
    uint64_t used = output_reserve(run) + run->system_tokens + run->text_tokens;
    return run->caps.window_tokens > used ? run->caps.window_tokens - used : 0;
}

static uint64_t turn_tokens(const struct turn *t)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < t->steps_len; i++)
        sum += t->steps[i].tokens;
    return sum;
}

// The first pinned turn after `after`, or 0.
static uint32_t next_pinned(const struct history_plan *plan, uint32_t after)
{
    if (after < plan->pin_first)
        return after + 1;
    uint32_t low = 0, high = plan->pinned_len;
    while (low < high) {
        uint32_t mid = low + (high - low) / 2;
        if (plan->pinned[mid] <= after)
            low = mid + 1;
        else
            high = mid;
    }
    return low < plan->pinned_len ? plan->pinned[low] : 0;
}

uint32_t context_first_needed(const struct chat *chat, const struct history_plan *plan,
                              uint32_t upto)
{
    if (plan->pin_first > 0 || plan->last == UINT32_MAX)
        return 1;
    uint32_t first = upto;
    uint32_t left = plan->last;
    while (first > 1 && left > 0) {
        first--;
        if (!session_is_superseded(&chat->head, first))
            left--;
    }
    if (plan->pinned_len && plan->pinned[0] >= 1 && plan->pinned[0] < first)
        first = plan->pinned[0];
    return first;
}

// A turn that may be sent at all.
static const struct turn *candidate(const struct chat *chat, uint32_t n)
{
    const struct turn *t = chat_turn(chat, n);
    return t && !t->superseded ? t : NULL;
}

// Tokens of the pinned turns that fit the budget, oldest first; none from *end on is taken.
static uint64_t choose_pinned(const struct chat *chat, const struct history_plan *plan,
                              uint32_t upto, uint64_t budget, uint32_t *end)
{
    uint64_t sum = 0;
    *end = upto;
    for (uint32_t n = next_pinned(plan, 0); n && n < upto; n = next_pinned(plan, n)) {
        const struct turn *t = candidate(chat, n);
        uint64_t tokens = t ? turn_tokens(t) : 0;
        if (sum + tokens > budget) {
            *end = n;
            break;
        }
        sum += tokens;
    }
    return sum;
}

void context_choose(struct context *c, const struct chat *chat, const struct history_plan *plan,
                    uint32_t upto, uint64_t budget)
{
    bool by_plan = plan->budget_tokens && plan->budget_tokens < budget;
    if (by_plan)
        budget = plan->budget_tokens;
    c->squeezed = false;
    uint64_t sum = choose_pinned(chat, plan, upto, budget, &c->pins_end);
    uint32_t left = plan->last;
    c->first = upto;
    for (uint32_t n = upto; n > 1 && left > 0;) {
        n--;
        const struct turn *t = candidate(chat, n);
        if (!t) {
            if (n < chat->first)
                break;
            continue;
        }
        bool counted = n < c->pins_end && next_pinned(plan, n - 1) == n;
        uint64_t tokens = counted ? 0 : turn_tokens(t);
        if (sum + tokens > budget) {
            c->squeezed = !by_plan;
            break;
        }
        sum += tokens;
        c->first = n;
        left--;
    }
    c->history_tokens = sum;
}

// Adds a step to the last message if the role is the same, else to a new one.
static bool add_step(struct context *c, struct step *step)
{
    struct step **slot = vec_push(&c->steps);
    if (!slot)
        return false;
    *slot = step;
    struct llm_message *last =
        c->messages.len ? VEC_AT(&c->messages, struct llm_message, c->messages.len - 1) : NULL;
    if (!last || last->role != step->role) {
        last = vec_push(&c->messages);
        if (!last)
            return false;
        last->role = step->role;
    }
    last->len++;
    return true;
}

static bool asks_for_tools(const struct step *s)
{
    for (uint32_t i = 0; i < s->content.len; i++) {
        if (s->content.blocks[i].type == BLOCK_TOOL_USE)
            return true;
    }
    return false;
}

// What may be sent of a turn: not a step that says nothing (an empty reply is none), and not a last
// one that asks for tools, as nothing answers it.
static bool sendable(const struct turn *t, uint32_t i)
{
    const struct step *s = &t->steps[i];
    bool last = i + 1 == t->steps_len;
    return rules_says_something(&s->content) && !(last && asks_for_tools(s));
}

static bool add_turn(struct context *c, const struct turn *t)
{
    for (uint32_t i = 0; i < t->steps_len; i++) {
        if (sendable(t, i) && !add_step(c, &t->steps[i]))
            return false;
    }
    c->sent++;
    return true;
}

// The vec of step pointers may have moved while it grew: the messages get their parts at the end.
static void point_messages(struct context *c)
{
    struct step **at = c->steps.ptr;
    for (size_t i = 0; i < c->messages.len; i++) {
        struct llm_message *m = VEC_AT(&c->messages, struct llm_message, i);
        m->steps = at;
        at += m->len;
    }
}

static bool build(struct context *c, const struct chat *chat, const struct history_plan *plan,
                  const struct turn *now)
{
    uint32_t pins_end = c->pins_end < c->first ? c->pins_end : c->first;
    vec_clear(&c->messages);
    vec_clear(&c->steps);
    c->sent = 0;
    for (uint32_t n = next_pinned(plan, 0); n && n < pins_end; n = next_pinned(plan, n)) {
        const struct turn *t = candidate(chat, n);
        if (t && !add_turn(c, t))
            return false;
    }
    for (uint32_t n = c->first; n < now->n; n++) {
        const struct turn *t = candidate(chat, n);
        if (t && !add_turn(c, t))
            return false;
    }
    c->dropped = now->n - 1 - c->sent;
    if (!add_step(c, &now->steps[0]))
        return false;
    point_messages(c);
    return true;
}

int context_assemble(struct run *run, struct err *err)
{
    struct context *c = &run->context;
    const struct chat *chat = run->live->chat;
    const struct turn *now = chat_turn(chat, run->turn);
    uint64_t fixed = run->system_tokens + run->text_tokens;
    if (fixed > run->caps.window_tokens)
        return err_set(err, E_REFUSED,
                       "the message alone is about %llu tokens, more than the %llu that %s takes: "
                       "send less at a time, or choose a model with a larger window",
                       (unsigned long long)fixed, (unsigned long long)run->caps.window_tokens,
                       run->model);
    if (run->job->flags & JOB_STATELESS) {
        c->first = run->turn;
        c->pins_end = 0;
        c->history_tokens = 0;
    } else {
        context_choose(c, chat, &run->plan, run->turn, context_budget(run));
    }
    if (!build(c, chat, &run->plan, now))
        return err_set(err, E_NOMEM, "out of memory while assembling the request");
    c->total_tokens = fixed + c->history_tokens;
    run->request = (struct llm_request){
        .model = run->model,
        .system = run->system,
        .messages = c->messages.ptr,
        .messages_len = (uint32_t)c->messages.len,
        .max_output_tokens = run->policy->info.max_output_tokens
                                 ? run->policy->info.max_output_tokens
                                 : output_reserve(run),
    };
    return rules_check(run->request.messages, run->request.messages_len, err);
}
