// SPDX-License-Identifier: MIT
// predict.c: what a request will use and cost, told before it is sent.
//
// Of the input, what the request before this one has put into the provider's cache: all of it but
// the newest reply, if the cut and the prompt stayed where they were and the cache is still warm.
// Of the output, the mean of the replies that are sent along. An estimate, and marked as one. And
// the most that it can be, for the budgets.
#include "turn/gauge.h"
#include "turn/predict.h"

// Providers keep a prompt for five minutes unless asked for longer (Anthropic: ttl 5m).
enum { CACHE_WARM_MS = 5 * 60 * 1000 };

static uint64_t reply_tokens(const struct turn *t)
{
    const struct step *reply = t ? turn_reply(t) : NULL;
    return reply ? reply->tokens : 0;
}

static uint64_t mean_reply(const struct run *run)
{
    const struct context *c = &run->context;
    uint64_t mean = c->replies ? c->reply_tokens / c->replies : 0;
    uint64_t most = run->request.max_output_tokens;
    return most && mean > most ? most : mean;
}

static uint64_t cached_tokens(const struct run *run)
{
    const struct context *c = &run->context;
    bool warm = run->gap_ms > 0 && run->gap_ms < CACHE_WARM_MS;
    if (!warm || c->cut.turn == run->turn || c->new_prompt || run->turn == 1)
        return 0;
    uint64_t before = run->system_tokens + c->constraints_front.tokens + summary_tokens(c) +
                      c->history_tokens;
    const struct turn *last = chat_turn(run->live->chat, run->turn - 1);
    uint64_t fresh = reply_tokens(last);
    // Beside something fresh, the last message was not put into the cache.
    if (run->request.fresh && last)
        fresh += last->steps[0].tokens;
    uint64_t cached = before > fresh ? before - fresh : 0;
    return cached >= run->caps.cache_min_tokens ? cached : 0;
}

// Parts of the request, in the provider's tokens.
static int64_t part(const struct run *run, uint64_t estimated, uint64_t total)
{
    uint64_t all = run->context.total_tokens;
    return (int64_t)(all ? total * estimated / all : estimated);
}

void predict_usage(const struct run *run, struct usage *out)
{
    uint64_t total = run->context.total_tokens;
    uint64_t likely = gauge_likely(run, run->context.anchor, total);
    bool caches = run->caps.cache_min_tokens && total >= run->caps.cache_min_tokens;
    uint64_t cached = caches ? cached_tokens(run) : 0;
    bool writes = caches && run->request.cache;
    const struct context *c = &run->context;
    uint64_t stable = run->system_tokens + c->constraints_front.tokens + summary_tokens(c) +
                      c->history_tokens;
    uint64_t kept = run->request.fresh ? stable : total;
    *out = (struct usage){
        .input_tokens = (int64_t)likely,
        .cached_tokens = part(run, cached, likely),
        .cache_write_tokens = writes && kept > cached ? part(run, kept - cached, likely) : 0,
        .output_tokens = (int64_t)gauge_likely(run, NULL, mean_reply(run)),
        .estimated = true,
    };
    prices_apply(run->w->env.prices, run->provider, run->model, out);
}

static void most(const struct run *run, uint64_t input_tokens, struct usage *out)
{
    budget_most(&run->w->env, run->provider, run->model, input_tokens, true,
                context_output_max(run), out);
}

void predict_most(const struct run *run, struct usage *out)
{
    most(run, gauge_most(run, run->context.anchor, run->context.total_tokens), out);
}

// What the gauge will say is not known yet: half of our estimate is less than any of them does.
void predict_least(const struct run *run, struct usage *out)
{
    most(run, run->text_tokens / 2, out);
}
