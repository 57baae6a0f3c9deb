// SPDX-License-Identifier: MIT
// turn_int.h: what the files of this room share. One worker, one thread.
//
//   worker.c    jobs in, live sessions, who waits for whom
//   provider.c  which provider and model a turn goes to; open providers
//   live.c      sessions in memory: who has one, who waits, which are parked
//   resolve.c   from a job to a session: the user's key, find or make
//   resume.c    who comes back after a while: a session that follows another (resume.h)
//   turn.c      the state machine of one turn; turn_plan.c, turn_call.c, turn_settle.c: its states
//   choose.c    which turns of the history are sent
//   sendable.c  what of a turn may be sent
//   context.c   plan + ledger => messages that are valid and fit
//   quote.c     what was said, as quoted data
//   gauge.c     how many tokens a request has for its provider (gauge.h)
//   predict.c   what a request will cost
//   budget.c    what may be spent in a day, held before each call; budget_tell.c: in words
//   mask.c      the masks of a run's user
//   reply.c     the reply chain: redact, keep, show
//   replay.c    a key that was used before: the stored turn answers
//   device.c    which device a session goes on on, and who hears that it moved (device.h)
//   attach.c    a reply from a byte on; watch.c: a session, live (watch.h)
//   aside.c     turns whose hooks take long, put aside so that others go on
//   emit.c      events and their JSON
//   recall.c    recall indexes, true to the ledger; recall_keep.c: their records; recall_embed.c:
//               their embeddings; recall_turn.c: what a turn recalls; recall_ask.c: `parley recall`
//   background.c calls of a model that no turn waits for (background.h)
//   embedding.c calls for embeddings: recorded, and resting where they fail
//   summary.c   summaries: when one is due, those under way; summary_make.c: how one is made;
//               summary_text.c: what a model is asked; summary_turn.c: what a turn sends of it
//   learn.c     what is remembered of sessions, learnt beside their turns (learn.h)
//   pin.c       what a session keeps in every request
//   constrain.c what is to be kept in mind, word for word
//   ask.c why.c list.c usage.c verify.c import.c export.c erase.c: other jobs
//   book.c      what is remembered of users (book.h); core.c remember.c journal.c reflect.c
//   forget.c    who was erased is forgotten; forget_fact.c: a fact; memory_job.c: facts told
//   recorded.c  a recorded conversation => turns
//   backtest*.c policies over turns that are over (backtest_int.h)
//   walk.c      partition after partition, for jobs that are about everybody
#ifndef TURN_TURN_INT_H
#define TURN_TURN_INT_H

#include "base/side.h"
#include "base/map.h"
#include "base/mem.h"
#include "ledger/masks.h"
#include "ledger/rules.h"
#include "turn/budget.h"
#include "turn/emit.h"
#include "turn/turn_room.h"
#include <stdio.h>
#include <stdlib.h>

enum {
    LIVE_SESSIONS_MAX = 65536,
    LIVE_QUEUE_MAX = 64,          // jobs that wait for one session
    CONFLICT_TRIES_MAX = 5,       // how often a turn starts over because another process was faster
    SETTLE_TRIES_MAX = 4,         // how often the end of a turn is written before we give up
    SETTLE_WAIT_MS = 200,
    COLD_TURNS = 100,             // read of a session before it is added to
    KEEP_MS = 2000, KEEP_BYTES = 4096,
    WARNINGS_MAX = 8,
    OUTPUT_TOKENS_DEFAULT = 4096,
    LADDER_RUNGS_MAX = 4,
    RESULT_BYTES_MAX = 64 << 20,
    CACHE_COLD_MS = 3600 * 1000,  // providers keep a prompt for an hour at most
    REPLAY_POLL_MS = 100, REPLAY_POLLS_MAX = 6000,
    SUMMARY_RESTS_MAX = 4096,     // sessions whose summary failed lately
    MASK_TRIES_MAX = 32,          // how often one text is redacted for other processes' sake
};

struct background;
struct book;
struct books;
struct gauge;
struct run;
struct walk;
struct shelf;
struct embedder;
struct feeder;
struct recall;
struct recalling;
struct telling;
struct watching;
struct resuming;
struct summing;
struct user_masks;

// Turns in the middle of a hook that takes long. aside.c draws where they go on.
struct aside {
    struct fiber_pool *fibers;
    struct side *side;             // owned; NULL: hooks run in one piece
    struct fiber_queue waiting;    // for a hook on the side thread to be over
    bool waits;                    // why the fiber paused that pauses now
    struct loop_timer timer;
};

// A request of a session of which the provider said how many tokens it had. In memory only.
struct anchor {
    uint64_t estimated, tokens;    // our count of it, and the provider's; 0: nothing is known
    uint64_t key;                  // of what the request began with
    uint32_t pins_end;             // and the pinned turns before this one
    uint32_t turn;
};

// What a provider lately said does not fit its model's context (0: nothing), so that the next turns
// ask for less. In memory only, and for an hour: it may be started anew with a larger one.
struct refused {
    uint64_t tokens;               // of the newest request of all
    uint64_t text_tokens;          // of a text that was sent alone
    uint64_t by;                   // hash of provider and model
};

// A session in memory. Parked sessions have none: everything about them is in the store.
struct live {
    struct chat *chat;             // owned
    struct run *busy;              // the run that has it, NULL: idle
    struct run *queue, *queue_end; // runs that wait, oldest first
    uint32_t queue_len;
    struct live *newer, *older;    // least recently used order
    uint64_t bytes;                // as counted in the worker's total
    bool warned_full;              // the 80 % warning was given
    bool warned_pins;              // that a pinned turn does not fit
    struct anchor anchor;
    uint64_t took_tokens;          // what its server took of a request that was longer, and when
    int64_t took_at_ms;
    struct refused refused;
    uint32_t pins;                 // runs that found it and do not have it yet; not parked then
    bool mapped;                   // in worker->live
    uint32_t learnt_upto;          // without a finding, so that it is not written (learn.c)
    unsigned learnt_past;
    bool erased;                   // its user is: it goes when nobody has it
    bool private_view;             // seen by one run only (transcripts, replays)
    char *fresh_name;              // its key in worker->fresh until its first turn; owned
};

// Users' masks in memory (mask.c); those that no run has, in the order of their last use.
struct mask_shelf {
    struct map *by_user;           // partition -> struct user_masks *
    struct user_masks *newest, *oldest;
    uint32_t idle;
};

struct worker {
    struct worker_env env;         // borrowed parts outlive the worker
    struct ledger *ledger;
    struct session_env session_env;
    struct policy_host *policies;
    struct llm_env llm_env;
    struct map *providers;         // name -> struct llm *
    struct map *live;              // session id -> struct live *
    struct map *fresh;             // partition/bot/context -> struct live * not stored yet
    struct map *keys;              // partition/key hash -> struct run * under way
    struct run *runs;              // all runs under way
    struct run *watching;          // those that watch; in the order of watching->next
    uint32_t watches;
    struct map *gauges;            // record key -> struct gauge *
    struct map *shelves;           // partition/bot -> struct shelf *: recall indexes in memory
    struct shelf *newest_shelf, *oldest_shelf;
    struct mask_shelf masks;
    struct budgets budgets;        // of a day, as configured
    struct map *unpriced;          // provider:model -> w: told that no price is known
    unsigned erasures_seen;        // of the keyring: those before it are forgotten
    uint32_t spending;             // settlements of budgets, and sweeps, under way
    uint64_t shelf_bytes;          // at most half of live_bytes_max, but for those in use
    struct summing *summing;       // summaries that are being made
    struct map *summary_rests;     // session id -> struct summary_rest *: those that failed
    struct loop_timer summary_timer;  // while the worker drains
    struct books *books;           // what is remembered of users; owned; NULL: nobody asked yet
    struct embedder *embedder;     // owned; NULL: no embeddings are configured
    struct feeder *feeder;         // owned; of the audit trail
    struct live *newest, *oldest;
    struct aside aside;
    struct worker_stats stats;
    bool draining;
    void (*idle)(void *user);
    void *idle_user;
    struct loop_task idle_task;
    bool idle_posted;
};

// Where a run is. turn.c draws the machine.
enum run_state {
    RUN_RESOLVING, RUN_WAITING, RUN_ACCEPTING, RUN_PLANNING, RUN_CALLING, RUN_BACKOFF, RUN_SETTLING,
    RUN_OVER,
};

// Who says something of a session's state; of one key the later one's word is kept.
enum { STATE_OF_PASS, STATE_OF_MESSAGE, STATE_OF_REPLY, STATES };

// What recall_turn.c found for a turn.
struct recalled {
    struct step step;              // the quotation, to stand before the user's step; not stored
    struct sent_recalled list[SENT_RECALLED_MAX];  // as in struct sent
    uint32_t len;
};

// The summary that a turn found for its session.
struct summarised {
    struct summary made;
    struct step step;              // quoted, to stand before the newest turns; not stored
};

// What context.c chose to send.
struct context {
    struct vec messages;           // of struct llm_message
    struct vec steps;              // of struct step *, which messages point into
    uint32_t first;                // oldest turn of the run of newest ones; turn + 1 when none
    uint32_t pins_end;             // pinned turns before this one are sent too
    struct history_cut cut;        // as it is from this turn on
    bool new_prompt;               // the policy's system prompt takes the place of the one in force
    struct sent sent_as;           // the request, for the record
    uint64_t turn_tokens_max;      // a turn of one step that has more is passed over
    uint64_t history_tokens;       // of the chosen turns
    uint64_t total_tokens;         // system, history and the new text, as we count
    uint32_t sent, dropped;        // turns
    uint64_t reply_tokens;         // of the assistant's steps that are sent, and how many they are
    uint32_t replies;
    const struct anchor *anchor;       // of a request that this one begins with; NULL: none known
    struct recalled *recalled;     // quoted in the newest message; NULL: nothing is
    struct summarised *summary;    // quoted in front of the newest turns; NULL: nothing is
    // What is to be kept in mind: in front of all, and newer, in the newest message. Owned.
    struct step constraints_front, constraints_fresh;
    uint32_t constraints;          // how many there are of both
    uint64_t core_tokens;          // of core memory, which stands with either of them
    uint64_t core_hash;            // of it, where it stands in front; 0: it does not
    bool squeezed;                 // the plan wanted more than the window holds
};

// One job under way.
struct run;
typedef void mask_committed(struct run *run, int code, const struct err *err);

struct run {
    struct worker *w;
    struct job *job;               // owned
    enum run_state state;
    struct run *next, *prev;       // worker->runs
    struct run *queue_next;        // live->queue
    struct run *joiners;           // same key, same text: they get this run's events
    struct run *joiner_next;

    char partition[PARTITION_BYTES];
    char context_hash[VAULT_DIGEST_BYTES];
    char key_hash[VAULT_DIGEST_BYTES];
    char holder[DEVICE_HOLDER_BYTES];  // a digest of user and device
    char text_digest[VAULT_DIGEST_BYTES];
    char *key_name;                // its key in worker->keys, owned
    const struct user_key *user_key;
    struct vault_request vault_request;
    struct session_find find;
    void (*then)(struct run *run); // what to do when the resolving under way is through
    void (*scoped)(struct run *run);  // the same of resolve_scope
    void (*aside_fn)(struct run *run);  // what runs on a stack of its own
    bool make;                     // a session that is not there is to be made
    struct loop_task wake;         // runs `then`: the session that we waited for is ours
    int64_t found_active_ms;       // when the session was last active, as it was found; or 0
    uint64_t pointer_version;      // of the record that says which is the newest; 0: not known
    struct resuming *resuming;     // resume.c's; owned
    void (*device_then)(struct run *run);
    bool lease_looked;             // the head was read again, as another device has the session
    uint32_t moved_epoch;          // of the lease: it was told that the session moved
    bool rebuilt;                  // the session's head was damaged, and made anew
    bool resumed;                  // a new session began, as the one before is too old
    struct live *target;           // found and pinned, not ours yet
    struct live *live;             // ours: nobody else appends to it

    struct safe_buf text;          // the user's words, safe
    struct content content;
    uint32_t text_tokens;
    struct policy *policy;         // referenced
    struct llm *llm;               // borrowed from worker->providers
    char provider[MODEL_NAME_BYTES], model[MODEL_NAME_BYTES];
    struct llm_caps caps;
    struct gauge *gauge;           // the worker's; NULL: our sums are taken as they are
    struct run *gauge_next;        // gauge->line
    void (*gauge_then)(struct run *run);
    bool careful;                  // plans are to fit as good as always, not just likely
    struct llm_count count;
    bool count_busy;
    struct expiry expiry;          // the policy's, for the session
    struct safe_text system;       // what is sent
    uint64_t system_tokens;
    int64_t gap_ms;
    uint32_t turn;                 // 0 until accepted
    unsigned tries;                // of the step under way
    struct ledger_op op;
    bool op_busy;
    struct history_plan plan;
    uint64_t ladder_tokens;        // of history at most, as the provider refused more; 0: not yet
    unsigned ladder_rungs;         // how often it did
    struct context context;
    struct llm_request request;
    struct llm_call call;
    bool call_busy;
    struct loop_timer timer;
    struct usage usage;            // of all attempts so far
    struct budget_hold *hold;      // what is reserved for the attempt under way; NULL: nothing

    struct book *book;             // what is remembered of its user (book.c); NULL: nobody asked
    bool book_busy;
    struct journaling *journaling; // the entry that it writes (journal.c)
    struct plan_memory *plan_memory;  // what its plans say of memory (remember.c); owned
    struct user_masks *masks;      // mask.c's; NULL: nothing is masked, or nobody is known yet
    struct masks_wait mask_wait;
    bool mask_busy;
    unsigned mask_tries;
    void (*mask_ready)(struct run *run);
    void (*mask_said)(struct run *run);
    mask_committed *mask_then;
    struct redact_stream stream;   // reply chain
    struct reveal_stream reveal;   // what the client is shown of it
    bool replying;                 // both are set up
    uint32_t masks_known;          // when the reply began: of these it may speak
    bool masks_looked;             // they were read again, as it speaks of others
    bool masks_failed;             // new masks cannot be stored: the reply has the number 0 instead
    bool ending;                   // the stream is
    int (*reply_make)(struct run *run, struct err *err);
    mask_committed *reply_then;
    struct safe_buf says;          // what the policy answers by itself, as it said it
    struct safe_buf reply;         // all text so far
    size_t kept;                   // bytes of it that are durable
    struct loop_timer keep_timer;
    bool call_ended;               // on_done came while a keep was under way
    bool stopped;                  // by the user or by drain
    bool joined;                   // another run's events are this one's (joiners)
    struct run *joined_to;         // of who attaches: it may let go
    uint64_t skip_bytes;           // of the reply's deltas, which it has already
    struct watching *watching;     // watch.c's; owned
    bool was_reset;                // the policy has moved the turn to a new session
    struct live *moving;           // the session that it is being moved to
    // how it ends
    bool settle_overtaken;         // the head was not what it was here: it is written anew at once
    struct ledger_settle settle;
    struct safe_buf states[STATES];  // what is said of the session's state; or empty
    struct content reply_content;
    struct attempt attempt;
    int code;
    char message[ERR_MESSAGE_BYTES];
    char warnings[WARNINGS_MAX][256];
    unsigned warnings_len;
    char replay_session[ID_TEXT_BYTES];
    char import_id[ID_TEXT_BYTES]; // the id that a recorded conversation brings; empty: a new one
    unsigned polls;                // of a turn that another process has under way
    struct walk *walk;             // walk.c's; owned
    struct shelf *shelf;           // the recall index that it asked for, pinned
    struct run *shelf_next;        // shelf->line
    struct err recall_err;         // why it has none
    struct recalling *recalling;   // recall_turn.c's; owned
    void (*recall_then)(struct run *run);
    struct recalled *recalled;     // owned; NULL: nothing
    struct telling *telling;       // budget_tell.c's; owned
    struct summarised *summary;    // owned; NULL: there is none
    uint32_t summary_upto;         // of one that was made meanwhile; 0: none was
    void (*summary_then)(struct run *run);
    float *query_vector;           // of what is to be recalled by; owned; NULL: words alone
    uint32_t query_dims;
    void (*query_then)(struct run *run);
    struct safe_text query_text;   // borrowed
    int64_t query_wait_ms;
    struct background *background; // background.c's call under way; NULL: none
    struct run *feed_next;         // feeder->line
    void (*feed_then)(struct run *run);
    int feed_code;                 // how the pass that it waited for went
    void *extra;                   // of the job's own file (list, usage, import …)
    void (*extra_free)(void *extra);
};

// worker.c
void worker_run_over(struct run *run);  // the last event is out: frees the run and its job

// Tells whoever drains the worker, if nothing is under way any more.
void worker_check_idle(struct worker *w);

// recall.c. Whose: run's partition and bot, always.
// Makes the index of run's user and bot true to the ledger, and calls `then`, now or later: it asks
// shelf_recall at once, and nothing of the index is valid after `then` returns.
void shelf_open(struct run *run, void (*then)(struct run *run));
// NULL: it could not be had; *err says why.
struct recall *shelf_recall(struct run *run, struct err *err);
// run is done with it; what is new is indexed and written, off anybody's path. Harmless without.
void shelf_close(struct run *run);
bool shelves_busy(const struct worker *w);
void shelves_free(struct worker *w);
// recall_upkeep.c: run's partition and bot; the run ends once what was purged is durably forgotten.
void recall_purge_start(struct run *run);
void shelves_forget(struct worker *w, const char *partition);  // whoever that is was erased

// recall_turn.c
// Finds what run's plan wants recalled, and what its policy's memory has, into run->recalled, and
// calls `then`, now or later. What cannot be had is left out, with a warning.
void recalled_find(struct run *run, void (*then)(struct run *run));
void recalled_free(struct run *run);
// The same at once, for `text`, out of an index that the caller has, whose turns it has too.
// E_NOMEM, E_USAGE.
int recalled_among(struct run *run, struct recall *index, struct slice text,
                   const struct turn *(*turn_of)(void *user, const struct sent_recalled *which),
                   void *user, struct err *err);

// quote.c
// Appends text as the lines of a quotation, without the "> " of the first.
void quote_text(struct safe_buf *out, struct safe_text text);
// Appends what a turn's steps say, "> user: …" and "> assistant: …".
int quote_turn(struct safe_buf *out, const struct turn *t, struct err *err);
void quote_number(struct safe_buf *out, uint64_t n);
void quote_date(struct safe_buf *out, int64_t at_ms);  // "[2026-03-01]\n"

// summary_turn.c
// Finds the newest summary that holds, if run's plan has summaries, into run->summary, and calls
// `then`, now or later. What cannot be had is left out.
void summary_find(struct run *run, void (*then)(struct run *run));
void summarised_free(struct run *run);
// The same out of a summary that the caller has, whose text is moved. E_NOMEM.
int summary_take(struct run *run, struct summary *made, struct err *err);
static inline uint64_t summary_tokens(const struct context *c)
{
    return c->summary ? c->summary->step.tokens : 0;
}

// recall_embed.c
// Gets the embedding of `text`, at most wait_ms long, if the index has any to compare it with, and
// makes the index true again; calls `then`, now or later, as shelf_open does.
void query_open(struct run *run, struct safe_text text, int64_t wait_ms,
                void (*then)(struct run *run));
// What it got; NULL: recall goes by words alone.
const float *query_vector(const struct run *run, const struct recall *index);
void query_release(struct run *run);

// recall_ask.c
void recall_start(struct run *run);

// live.c
int live_new(struct live **out, struct worker *w, struct session_head *head,
             const struct user_key *key, struct err *err);  // moves head out
int live_map(struct worker *w, struct live *live, struct err *err);  // findable by its session id
void live_pin(struct run *run, struct live *live);    // run->target
void live_unpin(struct run *run);
// run->target becomes run->live, now or when those before it are through; then `then` is called.
void live_take(struct run *run, void (*then)(struct run *run));
bool live_waits(const struct run *run);  // for a session that another run has
// To the next that waits; harmless without one.
void live_give_back(struct run *run);
// Gives back what it has, has `other` (which is nobody's).
void live_swap(struct run *run, struct live *other);
void live_discard(struct worker *w, struct live *live);  // nobody's, and not findable
void lives_forget(struct worker *w, const char *partition);  // whoever that is was erased
void live_free_all(struct worker *w);

// aside.c
int aside_init(struct worker *w, struct err *err);
void aside_release(struct worker *w);
// Calls fn, which may call hooks: when one of them takes long this returns, and fn goes on later.
void aside_run(struct run *run, void (*fn)(struct run *run));

// turn.c
void turn_start(struct run *run);
void turn_stop(struct run *run);
// The one ledger op of a run: BUG if one is under way. turn_op_over comes first in its `done`.
void turn_op_start(struct run *run, void (*done)(struct ledger_op *op));
struct run *turn_op_over(struct ledger_op *op);
// Settles the open turn of run's chat, if nobody works on it: its owner died, or is this process,
// which could not write its end. E_BUSY else.
void turn_recover(struct run *run, void (*done)(struct ledger_op *op));
// Policy, provider, model and system prompt of a run whose job names the bot.
int turn_prepare(struct run *run, struct err *err);
// What the run's model counts its tokens in; NULL: not public. Once the model is chosen.
static inline const struct encoding *turn_encoding(const struct run *run)
{
    return encoding_find(slice_str(run->caps.encoding));
}
void turn_view(const struct run *run, struct policy_view *view);
// Asks run's policy for its plan of the history, and adds what the session pins. May call a hook.
void turn_history(struct run *run);
// Does what a hook's plan says of pinning the turn under way.
void turn_pin(struct run *run, const struct plan *p);
// Keeps what a plan says of the session's state: which of STATES it is.
void turn_keep_state(struct run *run, unsigned which, const struct plan *p);
// Tells the operator and the person that a hook failed and the plain policy stood in for it.
void turn_hook_failed(struct run *run, const char *hook, const struct err *err);

// turn_plan.c, turn_call.c, turn_settle.c: the next states
void turn_plan(struct run *run);
void turn_call(struct run *run);
void turn_settle(struct run *run);
// Goes on if run's call is over, and nothing else of it is under way.
void turn_call_idle(struct run *run);
// The turn that run's message replaces, with all after it; 0: none.
uint32_t turn_replaces(const struct run *run);
// What the ledger is to take; run's policy and keys are chosen.
void turn_fill_accept(const struct run *run, struct ledger_accept *a);
// Whose budgets hold run's calls.
void turn_budget_ask(const struct run *run, struct budget_ask *ask);
// Settles the turn as failed, with err's words.
void turn_fail(struct run *run, int code, const struct err *err);
// Settles it as stopped before a word of the reply came; `how` its attempt ended.
void turn_stopped(struct run *run, enum attempt_status how);
// What DONE will say beside the status.
void turn_outcome(struct run *run, int code, const char *message);

// context.c
void context_init(struct context *c);
void context_release(struct context *c);
// How long the reply may be, as the provider is told: no longer than there is room for beside what
// was assembled, as some providers refuse what asks for more.
uint64_t context_output_max(const struct run *run);
// How many tokens of history, as we count, may be sent beside system, text and reply.
uint64_t context_budget(const struct run *run);
// The oldest turn that run's plan may want, so that it can be loaded first; and whether the system
// prompt in force must be.
uint32_t context_first_needed(const struct run *run);
bool context_needs_prompt(const struct run *run);
// The oldest turn of the run of newest ones that run's request will have, about.
uint32_t context_first(const struct run *run);
// Composes run's constraints as the cut stands; before context_next_tokens, and by itself when the
// request is made. E_NOMEM.
int context_constrain(struct run *run, struct err *err);
// About how many tokens the next request without new text has: by run's plan, all turns counted.
uint64_t context_next_tokens(const struct run *run);
// How many tokens the input may have beside the reply.
uint64_t context_limit(const struct run *run);
// What run's request, of which the provider says that it has `tokens`, is for those after it.
struct anchor context_anchor(const struct run *run, uint64_t tokens);
// Chooses, and builds messages that end with the user's step of `turn`; says in run->settle what is
// new about the cut and the system prompt. E_REFUSED when the new text alone does not fit; E_NOMEM.
int context_assemble(struct run *run, struct err *err);
// The provider says that what was assembled does not fit: the next context_assemble makes a smaller
// request that needs no model call. Down the ladder: nothing recalled, and beside the pinned turns
// half of the history; half of that, and so on; at rung LADDER_RUNGS_MAX the new text alone. False:
// it was alone; what is before it is not at fault, and stays.
bool context_smaller(struct run *run);

// sendable.c
// How many of a turn's steps may be sent: those before the first tool call that is not answered as
// providers want it.
uint32_t sendable_steps(const struct turn *t);

// replay.c: run's key was used before; the turn that op names answers.
void replay_start(struct run *run, const struct ledger_op *taken);

// the other jobs
void ask_open(struct run *run);
void ask_reset(struct run *run);
void ask_undo(struct run *run);
void ask_show(struct run *run);
void ask_recover(struct run *run);
// False: nobody knows this user, and the run ended with that.
bool ask_known_user(struct run *run);
void ask_why(struct run *run);
void pin_start(struct run *run);
void list_sessions(struct run *run);
void usage_start(struct run *run);
// budget_tell.c: what is used today of the budgets that run's job asks about: an array, empty where
// there are none. Calls `then` later, or ends the run with an error. The user's are told if the job
// is about one; out is borrowed until then.
void budgets_tell(struct run *run, struct buf *out, void (*then)(struct run *run));
void budgets_telling_free(struct run *run);    // harmless without
void verify_start(struct run *run);
void import_start(struct run *run);
void export_start(struct run *run);
void erase_start(struct run *run);

// forget.c
void erased_seen(struct worker *w);    // of those before now there is nothing in memory
void erased_forget(struct worker *w);  // whoever was erased since
void backtest_start(struct run *run);

// walk.c: every partition in turn, or one. `each` is called with run->partition set (and its key,
// if there is one, in run->user_key); it calls walk_next when it is through. `end` comes last.
void walk_start(struct run *run, bool all_users, void (*each)(struct run *run),
                void (*end)(struct run *run));
void walk_next(struct run *run);
// The id of the partition's user; "" if it cannot be read.
const char *walk_user(const struct run *run);
void walk_free(struct walk *walk);             // NULL allowed

#endif
