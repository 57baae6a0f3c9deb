// SPDX-License-Identifier: MIT
// choose.c: which turns of the history are sent.
//
// The unit is the turn. Chosen are a run of the newest turns, from the cut on, and before it the
// pinned ones (the oldest few, and those named). The run grows with the conversation up to the high
// water mark; then the cut moves, and the run is as the low water mark says:
//
//   plan: last = 3, slack = 2, pin_first = 1        high: last + slack turns, or the budget
//   turn  6 new:  1 2 3 4 5          5 turns: not over the mark yet
//   turn  7 new:  1     4 5 6        6 are too many: the newest 3 stay
//   turn  8 new:  1     4 5 6 7      the same beginning as before
//   turn  9 new:  1     4 5 6 7 8
//   turn 10 new:  1           7 8 9
//
// By tokens the low mark is half of the high one; the newest turn stays if it fits at all. Pinned
// turns come first: of the run, what does not fit beside them is dropped, oldest first; of them
// too, if they alone do not fit, but then the newest of them.
//
// A text that was never answered and is larger than all that the history may ever be is passed
// over, as if it was not there: it would be the end of all that is before it.
//
// Work grows with what is sent.
#include "turn/choose.h"
#include "turn/turn_int.h"

enum { LOW_PERCENT = 50, SUMMARY_PATIENCE = 3 };

uint32_t choose_next_pinned(const struct history_plan *plan, uint32_t after)
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

struct turn *choose_candidate(const struct chat *chat, uint32_t n)
{
    struct turn *t = chat_turn(chat, n);
    return t && !t->superseded ? t : NULL;
}

struct turn *choose_sent(const struct context *c, const struct chat *chat, uint32_t n)
{
    struct turn *t = choose_candidate(chat, n);
    bool passed = t && t->steps_len == 1 && turn_gist(t)->tokens > c->turn_tokens_max;
    return passed ? NULL : t;
}

// ---- what the cut was made for

static void hash_bytes(uint64_t *hash, const void *bytes, size_t len)
{
    // FNV-1a (Fowler, Noll, Vo; 64 bits): told apart, not kept secret.
    const unsigned char *at = bytes;
    for (size_t i = 0; i < len; i++)
        *hash = (*hash ^ at[i]) * UINT64_C(0x100000001b3);
}

// Pins within the run change nothing of what is sent: they count when the cut has passed them.
uint64_t choose_plan_hash(const struct history_plan *plan, const char *provider, const char *model,
                          uint32_t first)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    uint64_t numbers[] = {plan->last, plan->slack, plan->pin_first, plan->budget_tokens,
                          plan->summary.tokens > 0};
    hash_bytes(&hash, numbers, sizeof(numbers));
    for (uint32_t i = 0; i < plan->pinned_len && plan->pinned[i] < first; i++)
        hash_bytes(&hash, &plan->pinned[i], sizeof(plan->pinned[i]));
    if (plan->constraints_len)
        hash ^= history_plan_constraints_hash(plan);
    hash_bytes(&hash, provider, strlen(provider) + 1);
    hash_bytes(&hash, model, strlen(model) + 1);
    return hash;
}

// ---- what must be loaded

// A summary is asked for at last + slack turns; where it is late, or fails, the run goes on to grow
// meanwhile, but not for ever.
static uint64_t turns_high(const struct history_plan *plan)
{
    uint64_t slack = plan->slack;
    if (plan->summary.tokens)
        slack = (slack ? slack : 1) * SUMMARY_PATIENCE;
    return plan->last == UINT32_MAX ? UINT32_MAX : plan->last + slack;
}

uint32_t choose_first_needed(const struct chat *chat, const struct history_plan *plan,
                             const struct history_cut *cut, uint32_t upto)
{
    const struct session_head *h = &chat->head;
    uint32_t first = upto;
    if (plan->pin_first > 0)
        return 1;
    if (cut->first) {
        first = cut->first;
    } else if (session_live_turns(h, upto - 1) <= turns_high(plan)) {
        return 1;
    } else {
        for (uint32_t left = plan->last; first > 1 && left > 0;)
            left -= !session_is_superseded(h, --first);
    }
    if (plan->pinned_len && plan->pinned[0] >= 1 && plan->pinned[0] < first)
        first = plan->pinned[0];
    return first;
}

// ---- the choice

// Tokens of the pinned turns that fit the budget, oldest first; none from c->pins_end on is taken.
static uint64_t choose_pinned(struct context *c, const struct chat *chat,
                              const struct history_plan *plan, uint32_t upto, uint64_t budget)
{
    uint64_t sum = 0;
    c->pins_end = upto;
    for (uint32_t n = choose_next_pinned(plan, 0); n && n < upto;
         n = choose_next_pinned(plan, n)) {
        struct turn *t = choose_sent(c, chat, n);
        uint64_t tokens = t ? turn_gist(t)->tokens : 0;
        if (sum + tokens > budget) {
            c->pins_end = n;
            break;
        }
        sum += tokens;
    }
    return sum;
}

// A run of newest turns in the making.
struct newest {
    uint32_t first;       // its oldest turn
    uint32_t turns;
    uint64_t tokens;      // with those of the pinned turns
    bool whole;           // it reaches back to where it was to begin
    bool out_of_tokens;   // what stopped it
};

// From `upto` back to `start`, as far as there are turns and tokens for it. The newest turn of all
// may take `first_tokens`.
static struct newest walk_back(const struct context *c, const struct chat *chat,
                               const struct history_plan *plan, struct newest run, uint32_t start,
                               uint64_t turns, uint64_t tokens, uint64_t first_tokens)
{
    enum { AHEAD = 8 };  // turns asked for before they are looked at: a long history is in no cache
    uint32_t n = run.first;
    while (n > start) {
        const struct turn *later = n > AHEAD ? chat_turn(chat, n - AHEAD) : NULL;
        if (later)
            __builtin_prefetch(later);
        struct turn *t = choose_sent(c, chat, --n);
        if (!t && n < chat->first)
            return run;
        if (!t)
            continue;
        bool counted = n < c->pins_end && choose_next_pinned(plan, n - 1) == n;
        uint64_t more = counted ? 0 : turn_gist(t)->tokens;
        if (run.turns == turns)
            return run;
        run.out_of_tokens = run.tokens + more > (run.turns ? tokens : first_tokens);
        if (run.out_of_tokens)
            return run;
        run.tokens += more;
        run.turns++;
        run.first = n;
    }
    run.whole = true;
    run.first = start;
    return run;
}

void choose_turns(struct context *c, const struct chat *chat, const struct history_plan *plan,
                  const struct history_cut *cut, uint32_t upto, uint64_t budget)
{
    bool by_plan = plan->budget_tokens && plan->budget_tokens < budget;
    uint64_t high = by_plan ? plan->budget_tokens : budget;
    uint64_t pinned = choose_pinned(c, chat, plan, upto, high);
    struct newest none = {.first = upto, .tokens = pinned};
    uint32_t start = cut->first && cut->first <= upto ? cut->first : 1;
    struct newest run = walk_back(c, chat, plan, none, start, turns_high(plan), high, high);
    c->squeezed = false;
    if (!run.whole) {
        c->squeezed = run.out_of_tokens && !by_plan;
        uint64_t low = run.out_of_tokens ? pinned + (high - pinned) * LOW_PERCENT / 100 : high;
        run = walk_back(c, chat, plan, none, start, plan->last, low, high);
    }
    c->first = run.first;
    c->history_tokens = run.tokens;
}
