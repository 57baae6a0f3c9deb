// SPDX-License-Identifier: MIT
// backtest_cost.c: what a provider's cache makes of the requests, and what they and the summaries
// beside them cost.
#include "turn/backtest_int.h"

static void hash_text(uint64_t *hash, struct safe_text text)
{
    // FNV-1a (Fowler, Noll, Vo; 64 bits), the length last so that texts do not run together.
    for (size_t i = 0; i < text.len; i++)
        *hash = (*hash ^ (unsigned char)text.ptr[i]) * UINT64_C(0x100000001b3);
    *hash = (*hash ^ text.len) * UINT64_C(0x100000001b3);
}

static uint64_t step_id(const struct step *s)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325) ^ s->role;
    for (uint32_t i = 0; i < s->content.len; i++) {
        const struct block *b = &s->content.blocks[i];
        hash = (hash ^ b->type) * UINT64_C(0x100000001b3);
        hash_text(&hash, b->text);
        hash_text(&hash, b->id);
        hash_text(&hash, b->name);
        hash_text(&hash, b->json);
    }
    return hash;
}

static bool add_unit(struct lane *lane, uint64_t id, uint64_t tokens, bool mark)
{
    struct cache_unit *u = vec_push(&lane->units);
    if (u)
        *u = (struct cache_unit){id, tokens, mark || lane->env->marks_everywhere};
    return u != NULL;
}

// Marks are where llm/render.c puts breakpoints: after the system prompt and at the end. A window
// that slides would pay for writing what nobody reads: it has the mark at the end only until then.
static bool list_units(struct lane *lane)
{
    const struct run *run = &lane->run;
    const struct context *c = &run->context;
    bool slides = lane->sliding && c->sent_as.cut_moved;
    // With something recalled in the last message: at the end of the one before.
    const struct llm_message *last =
        c->recalled ? VEC_AT(&c->messages, struct llm_message, c->messages.len - 1) : NULL;
    size_t marked = c->steps.len - (last ? last->len : 0);
    vec_clear(&lane->units);
    if (run->system_tokens &&
        !add_unit(lane, run->policy->info.system_hash, run->system_tokens, true))
        return false;
    for (size_t i = 0; i < c->steps.len; i++) {
        const struct step *s = *VEC_AT(&c->steps, struct step *, i);
        if (!add_unit(lane, step_id(s), s->tokens, !slides && i + 1 == marked))
            return false;
    }
    return true;
}

// Billionths of a dollar; prices are dollars per million tokens.
static int64_t cost_of(const struct price *p, const struct cache_use *use, uint64_t output,
                       double write_price)
{
    uint64_t fresh = use->input_tokens - use->read_tokens - use->written_tokens;
    double nusd = (double)fresh * p->input + (double)use->read_tokens * p->cached +
                  (double)use->written_tokens * write_price + (double)output * p->output;
    return (int64_t)(nusd * 1000 + 0.5);
}

// Anthropic bills what is written for an hour with twice the price of input; who bills no writes
// bills none of these either.
static double write_price(const struct price *p, int cache)
{
    bool bills_writes = p->cache_write > p->input;
    return cache == CACHE_HOUR && bills_writes ? 2 * p->input : p->cache_write;
}

static uint64_t reply_tokens(const struct turn *t)
{
    uint64_t sum = 0;
    for (uint32_t i = 1; i < t->steps_len; i++)
        sum += t->steps[i].role == ROLE_ASSISTANT ? t->steps[i].tokens : 0;
    return sum;
}

int lane_count_request(struct backtest *b, struct lane *lane, const struct turn *whole,
                       struct tally *sum, struct point *point, struct err *err)
{
    uint64_t output = reply_tokens(whole);
    if (!list_units(lane))
        return err_set(err, E_NOMEM, "out of memory for a request");
    sum->requests++;
    sum->output_tokens += output;
    sum->sent_turns += lane->run.context.sent;
    sum->dropped_turns += lane->run.context.dropped;
    sum->overflows += lane->run.context.squeezed;
    if (lane->run.context.recalled)
        sum->recalled_turns += lane->run.context.recalled->len;
    sum->cuts += lane->run.context.sent_as.cut_moved;
    for (int i = 0; i < CACHES; i++) {
        struct cache_use use;
        int code = cache_model_request(&lane->caches[i], lane->now_ms, lane->units.ptr,
                                       (uint32_t)lane->units.len, &use, err);
        if (code)
            return code;
        int64_t cost = cost_of(&b->price, &use, output, write_price(&b->price, i));
        sum->read_tokens[i] += use.read_tokens;
        sum->written_tokens[i] += use.written_tokens;
        sum->cost_nusd[i] += cost;
        if (i != CACHE_FIVE_MINUTES)
            continue;
        sum->input_tokens += use.input_tokens;
        point->requests++;
        point->tokens += use.input_tokens;
        point->cost_nusd += cost;
    }
    return E_OK;
}

void lane_count_summary(struct backtest *b, struct lane *lane, uint64_t input, uint64_t output,
                        struct tally *sum, struct point *point)
{
    const char *own = lane->run.plan.summary.model, *colon = strchr(own, ':');
    struct price price = b->price;
    char provider[MODEL_NAME_BYTES];
    if (colon) {
        snprintf(provider, sizeof(provider), "%.*s", (int)(colon - own), own);
        // One whose price is not known is told as if it were the turn's.
        if (!prices_find(b->env.prices, provider, colon + 1, &price))
            price = b->price;
    }
    struct cache_use use = {.input_tokens = input};
    int64_t cost = cost_of(&price, &use, output, 0);
    sum->summaries++;
    sum->summary_tokens += input + output;
    sum->summary_nusd += cost;
    for (int i = 0; i < CACHES; i++)
        sum->cost_nusd[i] += cost;
    point->cost_nusd += cost;
}
