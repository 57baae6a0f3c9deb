// SPDX-License-Identifier: MIT
// plan.c: the plans that need no policy. A plan is owned by one thread at a time.
#include "model/plan.h"

#include "model/message.h"

void history_plan_full(struct history_plan *p)
{
    *p = (struct history_plan){.strategy = "full", .by = "plain", .last = UINT32_MAX};
}

uint32_t history_slack(uint32_t last)
{
    enum { SLIDING_MAX = 7 };

    return last > SLIDING_MAX && last < UINT32_MAX ? last : 0;
}

void plan_init(struct plan *p)
{
    *p = (struct plan){.verb = PLAN_GO};
    safe_buf_init(&p->text, CONTENT_BYTES_MAX);
    safe_buf_init(&p->state, PLAN_STATE_BYTES_MAX);
}

void plan_release(struct plan *p)
{
    safe_buf_release(&p->text);
    safe_buf_release(&p->state);
    plan_init(p);
}
