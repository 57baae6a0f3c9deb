// SPDX-License-Identifier: MIT
// budget_int.h: what budget.c and budget_tell.c share: counters, and how they are talked about.
#ifndef TURN_BUDGET_INT_H
#define TURN_BUDGET_INT_H

#include "turn/budget.h"
#include "turn/turn_int.h"

enum budget_scope { BUDGET_USER, BUDGET_USER_BOT, BUDGET_BOT, BUDGET_ALL };

enum {
    COUNTERS_OF_USER = 2 * SPEND_UNITS,
    COUNTERS_MAX = 4 * SPEND_UNITS,
    BUDGET_AMOUNT_BYTES = 48,
    DAY_MS = 24 * 3600 * 1000,
};

// One budget, and the record that counts it.
struct counter {
    enum budget_scope scope;
    enum spend_unit unit;
    bool of_policy;                 // a policy's limit, not the deployment's
    int64_t most;
    char key[SPEND_KEY_BYTES];
};

// The budgets that hold calls of a bot, the user's first; policy may be NULL. Returns how many.
uint32_t counters_of(struct counter out[COUNTERS_MAX], const struct budgets *budgets,
                     const struct policy_info *policy, const char *bot, const char *day);
static inline bool counter_of_user(const struct counter *c)
{
    return c->scope == BUDGET_USER || c->scope == BUDGET_USER_BOT;
}
static inline int64_t spend_of(const struct usage *u, enum spend_unit unit)
{
    return unit == SPEND_USD ? u->cost_nusd : u->input_tokens + u->output_tokens;
}

// "$0.25", "12,000 tokens"
void budget_amount(enum spend_unit unit, int64_t n, char out[BUDGET_AMOUNT_BYTES]);
// "budgets.bot_usd_per_day", "limits.user_usd_per_day"
const char *budget_setting(const struct counter *c);
// E_REFUSED: `used` of the budget is used by others, and the call may take `amount` more.
int budget_refuse(const struct counter *c, const char *bot, int64_t used, int64_t amount,
                  int64_t now_ms, struct err *err);

#endif
