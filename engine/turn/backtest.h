// SPDX-License-Identifier: MIT
// backtest.h: what policies would have sent in conversations that are over, and what it would have
// cost. No provider is called, and nothing is stored.
//
//   recorded turns ─▶ for each policy, for each turn: hooks ─▶ context.c ─▶ rules ─▶ cache model
//
// Hooks, choice, assembly and rules are those of a live turn (turn_plan.c, context.c), run in the
// recording's time; beside the policies there may be a window of the newest messages that slides
// with each message, as bots commonly have it, for comparison. A turn is one request: the steps of
// its tools count as its reply. One thread.
#ifndef TURN_BACKTEST_H
#define TURN_BACKTEST_H

#include "llm/llm.h"
#include "policy/policy.h"
#include "tokens/tokens.h"

enum {
    BACKTEST_POLICIES_MAX = 16,
    BACKTEST_TURN_MS = 60 * 1000,   // between turns whose recording does not tell the time
};

struct backtest_env {
    const struct prices *prices;    // borrowed
    const char *provider, *model;   // borrowed; prices and names of the requests
    struct llm_caps caps;           // of the model
    bool marks_everywhere;          // the provider's cache matches every prefix by itself
    uint32_t baseline_messages;     // of the sliding window that is shown beside; 0: none is
    // Told now and then how much of a conversation went through, of all policies together; false
    // stops it. May be NULL.
    bool (*watch)(void *user, uint64_t done, uint64_t total);
    void *user;
};

struct backtest;
int backtest_new(struct backtest **out, const struct backtest_env *env, struct err *err);
void backtest_free(struct backtest *b);  // NULL allowed
// Takes a reference of the policy's; `name` is what the report calls it, copied. E_USAGE: too many.
int backtest_add(struct backtest *b, struct policy *policy, const char *name, struct err *err);

// What somebody might ask, and in which turns the answer was said.
struct backtest_question {
    uint32_t turn;                  // that asks; the last + 1: after the conversation
    struct slice text;              // of one after the conversation: what is asked; may be empty
    const uint32_t *evidence;       // turns
    uint32_t evidence_len;
};
struct backtest_talk {
    const char *name;               // what the report calls it
    const char *user, *context;
    const struct turn *turns;       // 1, 2, 3 …; none superseded
    uint32_t turns_len;             // at least 1
    uint32_t timed;                 // of them, with a time of their own
    const struct backtest_question *questions;  // by turn
    uint32_t questions_len;
};
// One conversation through every policy; everything borrowed during the call. E_NOMEM,
// E_CANCELLED.
int backtest_run(struct backtest *b, const struct backtest_talk *talk, struct err *err);

// How many conversations went through. Any thread.
uint64_t backtest_conversations(struct backtest *b);

// Members of an open object: conversations, turns, timed_turns, assumed_seconds, provider, model,
// window_tokens, cache_min_tokens, policies[] (parley.h tells the members).
void backtest_write(struct backtest *b, struct json_writer *w);

#endif
