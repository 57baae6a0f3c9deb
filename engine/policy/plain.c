// SPDX-License-Identifier: MIT
// plain.c: the policy that is always there: sends the whole history as far as it fits.
//
// It is what every bot falls back to when its own hook fails, so it cannot fail itself: no script,
// no allocation, no state. Any thread.
#include "policy/policy.h"

static int plain_message(struct policy *p, const struct policy_view *view, struct plan *plan,
                         struct err *err)
{
    (void)p, (void)view, (void)plan, (void)err;
    return E_OK;  // a plan begins as PLAN_GO
}

static int plain_history(struct policy *p, const struct policy_view *view,
                         struct history_plan *plan, struct err *err)
{
    (void)p, (void)view, (void)err;
    history_plan_full(plan);
    return E_OK;
}

static int plain_reply(struct policy *p, const struct policy_view *view, struct safe_text reply,
                       struct plan *plan, struct err *err)
{
    (void)reply;
    return plain_message(p, view, plan, err);
}

static const struct policy_ops plain_ops = {
    .on_message = plain_message,
    .history = plain_history,
    .on_reply = plain_reply,
    .free = NULL,  // static: references to it are not counted
};

struct policy *policy_plain(void)
{
    // Never written: policy_ref and policy_unref leave a policy without `free` alone.
    static struct policy plain = {
        .ops = &plain_ops,
        .info = {.name = "plain", .version = "plain@builtin", .file = "(built in)", .title = "",
                 .expiry = {.kind = EXPIRY_SLIDING, .soft_ms = EXPIRY_SOFT_DEFAULT_MS,
                            .hard_ms = EXPIRY_HARD_DEFAULT_MS},
                 .devices = {.lapse_ms = LEASE_LAPSE_DEFAULT_MS},
                 .resume = {.restore_within_ms = (int64_t)2 * 3600 * 1000,
                            .fresh_after_ms = (int64_t)21 * 24 * 3600 * 1000}},
    };

    return &plain;
}

void policy_ref(struct policy *p)
{
    if (p->ops->free)
        p->refs++;
}

void policy_unref(struct policy *p)
{
    if (!p || !p->ops->free)
        return;
    if (p->refs == 0)
        BUG("policy %s: released more often than taken", p->info.version);
    if (--p->refs == 0)
        p->ops->free(p);
}
