// SPDX-License-Identifier: MIT
// backtest_int.h: what the files of the back-test share.
//
//   backtest.c         conversations through lanes
//   backtest_window.c  the lane of the sliding window
//   backtest_recall.c  what a plan recalls
//   backtest_summary.c what stands for a summary
//   backtest_cost.c    what the requests cost
//   backtest_store.c   the job: the store's sessions
//   backtest_report.c  the figures as JSON
#ifndef TURN_BACKTEST_INT_H
#define TURN_BACKTEST_INT_H

#include "memory/recall.h"
#include "tokens/cachemodel.h"
#include "turn/backtest.h"
#include "turn/recorded.h"
#include "turn/turn_int.h"
#include <stdatomic.h>

enum {
    CACHE_FIVE_MINUTES, CACHE_HOUR, CACHES,
    TALKS_TOLD_MAX = 1000,     // conversations that the report tells one by one
    DROPPED_RUNS_MAX = 64,     // of each
};

// Sums over requests.
struct tally {
    uint64_t turns;
    uint64_t requests;
    uint64_t answered;         // turns that the policy answered itself
    uint64_t refused;          // turns whose text alone does not fit
    uint64_t invalid;          // requests that the rules refuse
    uint64_t overflows;        // requests for which the plan wanted more than fits
    uint64_t cuts;             // requests at which the cut moved
    uint64_t resets;           // by the policy
    uint64_t input_tokens, output_tokens;
    uint64_t read_tokens[CACHES], written_tokens[CACHES];
    int64_t cost_nusd[CACHES]; // meaningful if the price is known
    uint64_t sent_turns, dropped_turns, recalled_turns;
    uint64_t hook_failures;
    uint64_t summaries;        // made after a turn
    uint64_t summary_tokens;   // in and out, of the calls that make them
    int64_t summary_nusd;      // part of cost_nusd
};

// All conversations' n-th turns.
struct point {
    uint64_t requests, tokens;
    int64_t cost_nusd;
};

struct dropped_run {
    uint32_t first, last;
};

// One conversation in one lane.
struct told {
    struct tally sum;
    struct dropped_run dropped[DROPPED_RUNS_MAX];  // from its last request
    uint32_t dropped_len;
    bool dropped_more;
};

struct recall_sum {
    uint64_t questions, evidence, found, sent_turns;
};

// A policy, or the sliding window, and what is known of it.
struct lane {
    const struct backtest_env *env;
    struct policy *policy;     // referenced; of the sliding window: whose system prompt it has
    bool sliding;              // it is the window
    char *name;                // owned
    char strategy[PLAN_STRATEGY_BYTES], by[PLAN_BY_BYTES];
    char hook_error[ERR_MESSAGE_BYTES];  // the first
    struct cache_model caches[CACHES];
    struct vec units;          // of struct cache_unit: of the request
    struct tally sum;
    struct recall_sum recall;
    struct vec points;         // of struct point
    struct vec told;           // of struct told
    // The conversation under way, as a live turn sees it.
    struct turn *turns;        // owned: copies that share the recording's steps
    uint32_t turns_cap;
    uint32_t base;             // turns before the last reset
    struct chat chat;
    struct live live;
    struct job job;
    struct worker worker;
    struct clock clock;
    int64_t now_ms;
    struct recall *index;      // of the turns behind; owned; NULL: none was needed yet
    uint32_t indexed;          // turns that are in it
    struct summary standing;   // the newest summary; upto 0: none
    struct run run;
};

// backtest_recall.c
void lane_recall_begin(struct lane *lane);    // another conversation; also frees
void lane_recall_session(struct lane *lane);  // the head of a session that begins
// Finds what the run's plan wants recalled for text. E_NOMEM, E_REFUSED (too many messages).
int lane_recall(struct lane *lane, struct slice text, struct err *err);
// Whether the turn with this index is quoted in the request that was assembled last.
bool lane_recalled(const struct lane *lane, uint32_t index);

// backtest_summary.c
void lane_summary_begin(struct lane *lane);   // another conversation or session; also frees
// What stands for the turns before goes into the run, if its plan has summaries. E_NOMEM.
int lane_summary(struct lane *lane, struct err *err);

struct backtest {
    struct backtest_env env;
    struct price price;
    bool priced;
    struct lane *lanes[BACKTEST_POLICIES_MAX + 1];
    uint32_t lanes_len;
    atomic_uint_fast64_t conversations;
    uint64_t turns, timed;
    struct vec names;          // of char *, owned: as many as are told
};

// After a turn: makes what stands for a summary, if one is due, and counts its call. E_NOMEM.
int lane_summarise(struct backtest *b, struct lane *lane, struct tally *sum, struct point *point,
                   struct err *err);

// backtest_cost.c
// The request that was assembled, and its reply: into the sums. E_NOMEM.
int lane_count_request(struct backtest *b, struct lane *lane, const struct turn *whole,
                       struct tally *sum, struct point *point, struct err *err);
// A call that makes a summary, of the model that the plan names for it.
void lane_count_summary(struct backtest *b, struct lane *lane, uint64_t input, uint64_t output,
                        struct tally *sum, struct point *point);

// Assembles the window's request for the lane's turn into its context. E_REFUSED: not valid, or the
// text alone does not fit; E_NOMEM.
int backtest_window(struct lane *lane, struct err *err);

#endif
