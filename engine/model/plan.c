// SPDX-License-Identifier: MIT
// plan.c: the plans that need no policy. A plan is owned by one thread at a time.
#include "model/plan.h"

#include "base/err.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "model/memory_rules.h"
#include "model/turn.h"

#include <string.h>

void history_plan_full(struct history_plan *p)
{
    *p = (struct history_plan){.strategy = "full", .by = "plain", .last = UINT32_MAX};
}

void history_plan_pin(struct history_plan *p, const struct session_pins *pins)
{
    uint32_t at = 0;

    for (uint32_t i = 0; i < pins->len; i++) {
        uint32_t turn = pins->list[i].turn;

        while (at < p->pinned_len && p->pinned[at] < turn)
            at++;
        if (at < p->pinned_len && p->pinned[at] == turn)
            continue;
        BUG_ON(p->pinned_len == sizeof(p->pinned) / sizeof(p->pinned[0]));
        memmove(p->pinned + at + 1, p->pinned + at, (p->pinned_len - at) * sizeof(p->pinned[0]));
        p->pinned[at] = turn;
        p->pinned_len++;
    }
}

static size_t constraints_bytes(const struct history_plan *p)
{
    const char *at = p->constraints;

    for (uint32_t i = 0; i < p->constraints_len; i++)
        at += strlen(at) + 1;
    return (size_t)(at - p->constraints);
}

const char *history_plan_constrain(struct history_plan *p, struct slice text)
{
    size_t bytes = constraints_bytes(p);

    if (text.len == 0 || text.len > CONSTRAINT_BYTES_MAX)
        return "a constraint is a text of 1 to 1024 bytes";
    if (!utf8_valid(text) || memchr(text.ptr, '\0', text.len))
        return "a constraint is valid UTF-8, without NUL";
    if (p->constraints_len == CONSTRAINTS_MAX || bytes + text.len + 1 > sizeof(p->constraints))
        return "at most 16 constraints of 4096 bytes together";
    memcpy(p->constraints + bytes, text.ptr, text.len);
    p->constraints[bytes + text.len] = '\0';
    p->constraints_len++;
    return NULL;
}

uint64_t history_plan_constraints_hash(const struct history_plan *p)
{
    uint64_t hash = 0;
    size_t bytes = constraints_bytes(p);

    // FNV-1a's step (Fowler, Noll, Vo; 64 bits): told apart, not kept secret.
    for (size_t i = 0; i < bytes; i++)
        hash = (hash ^ (unsigned char)p->constraints[i]) * UINT64_C(0x100000001b3);
    return hash;
}

uint32_t history_slack(uint32_t last)
{
    enum { SLIDING_MAX = 7 };

    return last > SLIDING_MAX && last < UINT32_MAX ? last : 0;
}

uint32_t history_summary_slack(uint32_t last)
{
    uint32_t slack = history_slack(last);

    return slack > PLAN_SUMMARY_SLACK_MIN ? slack : PLAN_SUMMARY_SLACK_MIN;
}

const char *history_summary_wrong(const struct summary_plan *s)
{
    const char *colon = strchr(s->model, ':');

    if (s->tokens && (s->tokens < PLAN_SUMMARY_TOKENS_MIN || s->tokens > PLAN_SUMMARY_TOKENS_MAX))
        return "a summary has 20 to 4000 tokens; 0: there is none";
    if (s->model[0] && (!colon || colon == s->model || !colon[1] ||
                        strlen(s->model) >= MODEL_NAME_BYTES))
        return "a summary's model must be \"provider:model\", such as \"scripted:scripted\"";
    return NULL;
}

int memory_plan_new(struct memory_plan **out, struct err *err)
{
    struct memory_plan *m = mem_zalloc(sizeof(*m));

    *out = m;
    if (!m)
        return err_set(err, E_NOMEM, "out of memory");
    safe_buf_init(&m->human, MEMORY_HUMAN_BYTES_MAX);
    fact_candidates_init(&m->remember);
    return E_OK;
}

void memory_plan_free(struct memory_plan *m)
{
    if (!m)
        return;
    safe_buf_release(&m->human);
    fact_candidates_release(&m->remember);
    mem_free(m);
}

void plan_init(struct plan *p)
{
    *p = (struct plan){.verb = PLAN_GO};
    safe_buf_init(&p->text, CONTENT_BYTES_MAX);
    safe_buf_init(&p->state, PLAN_STATE_BYTES_MAX);
}

void plan_release(struct plan *p)
{
    memory_plan_free(p->memory);
    safe_buf_release(&p->text);
    safe_buf_release(&p->state);
    plan_init(p);
}
