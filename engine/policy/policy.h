// SPDX-License-Identifier: MIT
// policy.h: the hook table. Policies decide, C acts.
//
// A policy is one version of one bot's rules, instantiated per worker; it is used by that worker's
// thread only. Hooks get a read-only view and give a plan. A hook that fails leaves its plan as the
// built-in plain policy would have made it, and returns what went wrong, so that the caller can
// tell the operator and go on: no turn is lost to a script.
//
// Invariant: nothing that a hook does for one user can be seen by another.
#ifndef POLICY_POLICY_H
#define POLICY_POLICY_H

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "ledger/ledger.h"
#include "memory/facts.h"
#include "model/memory.h"
#include "model/memory_rules.h"
#include "model/plan.h"
#include "model/spend.h"
#include "session/resume.h"

// What a hook may see. All borrowed, for the duration of the call.
struct policy_view {
    const struct chat *chat;        // head and loaded turns; never NULL
    const char *user;               // the user's id as given
    const char *context;
    uint32_t turn;                  // the turn under way
    struct safe_text text;          // its user text
    int64_t now_ms;
    int64_t gap_ms;                 // since the session was last active; 0 for a new one
    uint64_t window_tokens;         // of the model that will be asked
    uint64_t history_tokens;        // estimate of what is behind, superseded turns left out
    const struct session_head *before;  // the session that this one follows; NULL: none, or nobody
                                        // knows any more
    uint64_t budget_tokens;         // left for history in a request, after system, new text, reply
    // What is remembered of the user.
    const struct fact_book *facts;  // NULL: nothing
    const char *facts_scope;        // facts that hold in another context are not shown; NULL: all
    const struct core_memory *core; // NULL: nothing
    const struct journal_entry *journal;  // oldest first
    uint32_t journal_len;
    const char *journal_of;         // entries of other contexts are not shown; NULL: all are
};

// What is personal, and who is due it. All zero: the default kinds are masked, for all but the
// client, and originals are dropped when the turn is over.
struct privacy {
    bool off;                 // nothing is masked
    bool keep_originals;      // sealed, in the user's partition …
    int64_t keep_ms;          // … for so long; 0: as long as the user's data
    bool model_original;      // the model is sent originals; stored are masks all the same
    bool client_masked;
    bool tool_original;
    bool operator_original;   // `show` has kept originals without being asked for them
};

// What is known of a policy without running it. Borrowed from the policy.
struct policy_info {
    char name[BOT_NAME_BYTES];
    char version[TURN_POLICY_BYTES];  // "hello@1f2e3d4c": name and hash of file and options
    const char *file;                 // for messages; "(built in)"
    const char *title;                // "" if none
    struct safe_text system;          // may be empty
    uint64_t system_hash;             // 0 when empty
    const char *model;                // "provider:model", or NULL: the configured default
    uint64_t max_output_tokens;       // 0: the model's default
    // What one user may spend a day with this bot, and what all together may.
    struct spend_limit user_spend[SPEND_UNITS], bot_spend[SPEND_UNITS];
    // How much of the history the `history` hook wants to see: 0 none (its plan depends on counts
    // only), UINT32_MAX all turns loaded.
    uint32_t needs_turns;
    bool has_on_message, has_on_reply, has_expiry, has_greet;  // hooks
    struct expiry expiry;             // where there is no hook for it
    struct resume_rules resume;
    struct device_rules devices;
    const struct redactor *redactor;  // finds what is personal; NULL: by the default rules
    struct privacy privacy;
    struct memory_rules memory;       // its texts are the policy's
};

// The facts that each of a list of conclusions rests on.
enum { POLICY_CITED_MAX = 16 };
struct policy_citations {
    struct {
        char facts[POLICY_CITED_MAX][FACT_ID_BYTES];
        uint32_t len;
    } of[CANDIDATES_MAX];           // as the candidates are
};

struct policy;
struct policy_ops {
    // Each hook: 0, or with file:line in err, the plan then as plain's: E_POLICY, in words of the
    // script's, which may be what people said; E_REFUSED, it ran out of fuel, time or memory, or
    // rests, and E_NOMEM, in words of ours. Never longer than the deadline; a hook that takes long
    // may be put aside meanwhile (lua_env.pause), so what it borrows must stay until it returns,
    // and the same policy may be called again.
    // on_message and on_reply are called only if info says that there is one.
    int (*on_message)(struct policy *p, const struct policy_view *view, struct plan *plan,
                      struct err *err);
    int (*history)(struct policy *p, const struct policy_view *view, struct history_plan *plan,
                   struct err *err);
    int (*on_reply)(struct policy *p, const struct policy_view *view, struct safe_text reply,
                    struct plan *plan, struct err *err);
    // Called only if info says that there is one. When the session grows old, asked before each
    // message is accepted; *expiry then as info's if it fails.
    int (*expiry)(struct policy *p, const struct policy_view *view, struct expiry *expiry,
                  struct err *err);
    // What is said first to who comes back, in a session that has no turn yet: appended to out,
    // nothing being no greeting.
    int (*greet)(struct policy *p, const struct policy_view *view, struct safe_buf *out,
                 struct err *err);
    // The memory's hooks; each is called only if info.memory says that there is one. extract and
    // reflect, which nobody waits for: E_USAGE where what the hook returned is not what it must be,
    // and the message may be logged, as it has no words but ours and the policy file's.
    //
    // What turn `turn` of the chat in the view, one that is loaded, says of the user. Added to out,
    // which is empty, and stays so if it fails. Filled in are session, turn, step, start and end
    // (those of the quote, which the user said; 0 of step 0 where there is none), at_ms, extractor
    // and policy; author is AUTHOR_USER, which the gate is to judge; scope is the caller's. What
    // the hook sees as view.text is of view->turn, which need not be that turn.
    int (*extract)(struct policy *p, const struct policy_view *view, uint32_t turn,
                   struct fact_candidates *out, struct err *err);
    // What the session's state becomes with this turn: plan->state alone is filled. It is merged
    // before on_reply's, whose keys win.
    int (*state)(struct policy *p, const struct policy_view *view, struct safe_text reply,
                 struct plan *plan, struct err *err);
    // What several sessions together say, by the facts in the view; each cites some, one at least.
    // Added to out, which is empty, and stays so if it fails. Extractor and policy are filled in.
    int (*reflect)(struct policy *p, const struct policy_view *view, struct fact_candidates *out,
                   struct policy_citations *cited, struct err *err);
    void (*free)(struct policy *p);
};
struct policy {
    const struct policy_ops *ops;
    struct policy_info info;
    unsigned refs;                    // turns under way keep their version
    bool noted;                       // the conductor's: the audit trail has heard of it
};
void policy_ref(struct policy *p);
void policy_unref(struct policy *p);  // NULL allowed

// The built-in policy: sends the whole history as far as it fits. Static, never freed, any thread.
struct policy *policy_plain(void);

// ---- the version host: bot name -> current version, one host per worker

// How policies are made; lua/ implements it. Borrowed for the host's life.
struct policy_loader {
    // Loads the bot's file. E_POLICY: no such bot (with the nearest name), or what is wrong at
    // file:line.
    int (*load)(void *self, const char *bot, struct policy **out, struct err *err);
    // A number that changes when the bot's file does, without reading it; 0: there is no file, or
    // one that cannot change. NULL: as if always 0.
    uint64_t (*stamp)(void *self, const char *bot);
    void *self;
};
struct policy_host;
// All is borrowed, but loader, which is copied. E_NOMEM.
int policy_host_new(struct policy_host **out, const struct policy_loader *loader,
                    const struct clock *clock, const struct log *log, struct err *err);
void policy_host_free(struct policy_host *h);
// What policy_host_get would give, where it has no file to load for it; else NULL.
const struct policy_info *policy_host_info(const struct policy_host *h, const char *bot);
// The bot's current version, loaded at first use; the caller gets a reference (policy_unref). A
// file that cannot be loaded is not tried again for a second at first and a minute at most, or
// until it is changed: the same error is given at once. What the loader says, E_NOMEM, or E_REFUSED
// when too many bots are loaded.
int policy_host_get(struct policy_host *h, const char *bot, struct policy **out, struct err *err);

#endif
