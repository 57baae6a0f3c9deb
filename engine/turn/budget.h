// SPDX-License-Identifier: MIT
// budget.h: what may be spent in a day, held before the money is gone.
//
// A budget is a limit on the dollars or tokens of one UTC day: of one user, of a bot, of all
// together (`budgets` in parley.lua), of one user with one bot, of one bot (`limits` of a policy).
// Each has a counter in the store (model/spend.h), made with the day's first call that it holds.
//
//   budget_reserve   + the most that the call may cost ─▶ the call ─▶ budget_settle   - what it did
//        └ over a limit: - again ─▶ E_REFUSED                                           not cost
//
// Invariants, over all processes that share a store:
//   1. A call is sent only while every counter that holds it, its own reservation included, is
//      within its limit. So what all calls of a day are billed is within it, as far as each was
//      billed no more than was reserved for it (budget_most says when that can be).
//   2. A counter is never less than what the calls that it holds were billed: what nobody knows
//      counts as reserved. That is a reservation whose process died (once, as it is made once), or
//      whose call broke off without the provider's word on its usage; and a settlement that the
//      store refused. It is free again with the next day, like all else: recovery does not touch
//      counters, so it cannot count twice.
//   3. Where no budget holds a call, nothing is read, written or allocated.
// Counters of days before yesterday go when the first of a new day is made, at most 50 at a time.
// One worker, one thread; what is under way keeps the worker from being idle.
#ifndef TURN_BUDGET_H
#define TURN_BUDGET_H

#include "base/conf.h"
#include "model/spend.h"
#include "model/usage.h"
#include "policy/policy.h"
#include "store/store.h"
#include "vault/vault.h"

struct worker;
struct worker_env;
struct budget_hold;

// The deployment's, as parley.lua says them.
struct budgets {
    struct spend_limit user[SPEND_UNITS], bot[SPEND_UNITS], all[SPEND_UNITS];
    bool refuse_unpriced;  // a call whose price is not known, where a budget in dollars holds it
};
// E_POLICY: a number that is no budget.
int budgets_read(struct budgets *out, const struct conf *conf, struct err *err);

// Which call. All borrowed during budget_look and budget_reserve, but for key.
struct budget_ask {
    struct worker *w;
    const char *partition;                   // the user's …
    const struct user_key *key;              // … and its key, borrowed from the vault
    const char *bot;
    const struct policy_info *policy;        // the bot's, whose limits hold too; NULL: not known
    const char *provider, *model;
};

// Whether a budget may hold it; if not, there is no need to ask more.
bool budget_any(const struct budget_ask *ask);

// The most that a call can be billed: all of its input at the dearest price of input, its reply as
// long as it may be. Where input_tokens is our estimate and no bound of what the provider counts, a
// quarter is added. Should a provider count more all the same, the counter takes what was billed,
// and the budget is overrun by the difference.
void budget_most(const struct worker_env *env, const char *provider, const char *model,
                 uint64_t input_tokens, bool is_bound, uint64_t output_tokens, struct usage *out);

// E_OK, or why the call may not be made: E_REFUSED says which budget, what of it is used and when
// it is free again; E_STORE, E_NOMEM, E_CORRUPT: the counters could not be had.
typedef void (*budget_then)(void *user, struct budget_hold *hold, int code, const struct err *err);

// Whether `least` would fit at this moment. Reserves nothing: hold is NULL. Calls `then`, now or
// later.
void budget_look(const struct budget_ask *ask, const struct usage *least, budget_then then,
                 void *user);
// Reserves. With E_OK comes the hold (NULL: no budget holds this call), which is the caller's until
// budget_settle.
void budget_reserve(const struct budget_ask *ask, const struct usage *most, budget_then then,
                    void *user);
// The call is over: what was reserved and not billed is free again. NULL for billed: nobody knows
// what was; the reservation stays. Takes hold (NULL allowed), and writes after it returned.
void budget_settle(struct budget_hold *hold, const struct usage *billed);

#endif
