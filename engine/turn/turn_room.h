// SPDX-License-Identifier: MIT
// turn_room.h: the conductor: workers, live sessions, the turn state machine, context assembly.
//
// A worker is one loop (one thread in real engines, and one beside it for hooks that take long)
// with its wire, providers, policies and live sessions. Every user belongs to exactly one worker.
// Jobs are posted to it from any thread; events go out through its sink.
#ifndef TURN_TURN_ROOM_H
#define TURN_TURN_ROOM_H

#include "base/way.h"
#include "llm/llm.h"
#include "model/audit.h"
#include "policy/policy.h"
#include "session/session.h"
#include "tokens/tokens.h"

struct backtest;
struct worker;

enum job_verb {
    JOB_SEND,       // a turn
    JOB_OPEN,       // find (or make, unstored) a session and tell its window
    JOB_RESUME,     // the session to go on in, as the policy's `resume` says
    JOB_RESET,      // a new, stored session for bot and context
    JOB_UNDO,       // supersede the newest turn that is not
    JOB_PIN,        // turn: which one; 0: the newest that is not superseded
    JOB_UNPIN,
    JOB_CONSTRAIN,  // text is to be kept in mind
    JOB_UNCONSTRAIN,  // turn: the constraint's number
    JOB_SESSIONS, JOB_SHOW, JOB_WHY, JOB_USAGE, JOB_VERIFY, JOB_RECOVER,
    JOB_RECALL,     // text is the query; turn: how many messages
    JOB_BACKTEST,   // sessions through `backtest`
    JOB_ATTACH,     // the reply of turn (0: the newest) from from_byte on, under way or stored
    JOB_WATCH,      // what happens in the session, until it is stopped
    JOB_RECALL_PURGE,  // what recall remembers of partition and bot agrees with their sessions
    JOB_MEMORY,     // turn: what is told of it (TELL_…); text: of this fact alone, its id
    JOB_FORGET_FACT,  // text: which one
    JOB_LEARN,      // what is to be remembered of session of partition (turn/learn.h)
    JOB_REFLECT,    // what several sessions of partition and bot say together (turn/reflect.h)
    JOB_DROP_QUARANTINED,  // of partition and bot, what has been there long enough by since_ms
    JOB_ERASE,      // the user, for ever
    JOB_EXPORT,     // text is where to go on
    JOB_IMPORT,     // text is one line of INTERFACES.md's import format
    JOB_AUDIT,      // entries since since_ms, of the user or (JOB_ALL_USERS) all
    JOB_AUDIT_VERIFY,  // text: a head that was exported, or nothing
    JOB_AUDIT_HEAD,    // signed as of now
    JOB_AUDIT_ACCEPT,  // the trail is signed as it is, and verified
};

enum { JOB_CONTINUE = 1 /* the newest session of bot and context */, JOB_STATELESS = 2,
       JOB_ALL_USERS = 4,
       JOB_REGENERATE = 8 /* edit_turn, or the newest turn, is asked again in the same words */,
       JOB_AS_OPERATOR = 16 /* not the user asks: what is read of the user is noted */,
       JOB_REVEAL = 32 /* SHOW: with originals, as far as they are kept */,
       JOB_PREVIEW = 128 /* SESSIONS: with what was said last */,
       JOB_HERE = 64 /* the session goes on on this device, whoever has it */,
       JOB_ENDED = 256 /* LEARN: the session is over */ };

// Of what is remembered. TELL_ALL: also what is so no more, or was forgotten. None of the others:
// all of them.
enum { TELL_ALL = 1, TELL_FACTS = 2, TELL_KNOWLEDGE = 4, TELL_JOURNAL = 8, TELL_CORE = 16 };

enum { MESSAGE_BYTES_MAX = 256 << 10, JOB_TEXT_BYTES_MAX = 16 << 20, KEY_BYTES_MAX = 256 };

// One request of the door. Owned by the worker from worker_post until the last event.
struct job {
    enum job_verb verb;
    unsigned flags;
    uint64_t request;              // the door's number; every event carries it
    void *ticket;                  // the door's; every event carries it
    char user[USER_BYTES];
    char bot[BOT_NAME_BYTES];      // empty: the session's, or the configured default
    bool bot_given;                // the worker's: bot was not empty
    char context[CONTEXT_BYTES];
    char session[ID_TEXT_BYTES];   // empty: a new one, or the newest with JOB_CONTINUE
    char key[KEY_BYTES_MAX];       // idempotency key; empty: none
    char device[DEVICE_BYTES];     // as whoever asks calls it; empty: they do not say
    char provider[MODEL_NAME_BYTES], model[MODEL_NAME_BYTES];  // empty: policy, then configuration
    char by[16];                   // usage: day bot model user session
    char import_id[256];           // IMPORT: the conversation's id; empty: a new one
    uint32_t turn;                 // WHY, PIN, UNPIN: which one; 0: the newest
    struct backtest *backtest;     // BACKTEST: borrowed until the last event
    int64_t since_ms;              // BACKTEST: sessions that were active then or later; AUDIT
    enum audit_detail audit_why;   // AUDIT_ACCEPT
    uint64_t from_byte;            // ATTACH
    uint32_t edit_turn;            // SEND: replaces this turn and all after it
    struct buf text;               // owned
    char partition[PARTITION_BYTES];  // RECALL_PURGE, LEARN, DROP_QUARANTINED: whose
    // Instead of events, once, when it is through; NULL: events.
    void (*over)(void *arg, int code);
    void *over_arg;
    struct loop_task task;
    struct worker *worker;
    void *impl;                    // the conductor's
};
int job_new(struct job **out, struct err *err);
void job_free(struct job *j);

enum event_type {
    EVENT_ACCEPTED, EVENT_DELTA, EVENT_WARNING, EVENT_DONE, EVENT_RESULT, EVENT_ERROR,
    EVENT_MOVED,                   // the session goes on on another device
    EVENT_WATCHING,                // of a watch: it stands
    EVENT_CHANGED,                 // of a watch: what was said before is not what it was
};

// Instead of a RESULT that there is no memory for.
#define NO_MEMORY_TO_TELL "what was asked is done, but there is no memory to tell the answer"

// Given to the sink on the worker's thread; everything borrowed during the call. DONE, RESULT and
// ERROR are last, but for a watch's DONE; after a turn was accepted it ends with DONE, whatever
// happened (status tells).
struct event {
    enum event_type type;
    uint64_t request;
    void *ticket;                  // the job's
    bool goes_on;                  // DONE of a watch, which does not end with it
    const char *session;           // ACCEPTED, DONE, MOVED, WATCHING, CHANGED
    uint32_t turn;
    struct slice text;             // DELTA: for the client's eyes; WARNING: one sentence; MOVED:
                                   // the device, as it was called; or empty. ACCEPTED of a watch:
                                   // the user's words
    struct slice json;             // DONE, RESULT: as INTERFACES.md shapes it; MOVED: {session,
                                   // device, since}; DONE: empty when
                                   // there was no memory for it
    int code;                      // ERROR; DONE: E_OK, E_PROVIDER, E_CANCELLED, E_STORE …
    const char *message;           // with code
};
static inline bool event_is_last(const struct event *e)
{
    return (e->type == EVENT_DONE && !e->goes_on) || e->type == EVENT_RESULT ||
           e->type == EVENT_ERROR;
}

struct worker_env {
    struct loop *loop;
    struct store *store;
    struct vault *vault;
    struct wire *wire;
    const struct clock *clock;
    const struct rand *rand;
    const struct log *log;
    const struct conf *conf;
    const struct redactor *redactor;
    const struct prices *prices;
    const struct llm_caps_table *caps;
    struct policy_loader loader;
    const struct llm_env *llm;     // template: loop and wire are replaced by ours
    uint32_t index, count;         // this worker of so many
    const char *store_id;          // which store it is, for the audit trail's head
    const char *actor;             // who runs the program, for the audit trail: "uid:1000"
    bool side_thread;                // hooks that take long go on on a thread beside the worker's
    uint64_t live_bytes_max;       // of live sessions; idle ones over it are parked
    void (*sink)(void *user, const struct event *event);
    // Appends what is wrong with who can get at the files, a line each; NULL: nobody asks.
    void (*check_files)(void *user, struct buf *report);
    void *user;
};
int worker_new(struct worker **out, const struct worker_env *env, struct err *err);
// No job may be under way. NULL allowed.
void worker_free(struct worker *w);
// Any thread. Takes job.
void worker_post(struct worker *w, struct job *job);
// Any thread: stops the reply of a request; what came is kept. Harmless when it is over.
void worker_stop_request(struct worker *w, uint64_t request);
// On the worker's thread: cancels every turn under way and calls `idle` when the last has settled.
void worker_drain(struct worker *w, void (*idle)(void *user), void *user);
// How a hook that takes long makes way for other turns: the functions of a struct way.
void *worker_hook_begin(struct worker *w);
struct way_slice worker_hook_pause(void *hook);
void worker_hook_end(void *hook);
bool worker_hook_wait(struct worker *w);
// On the worker's thread, for figures.
struct worker_stats { uint32_t live_sessions, turns_open; uint64_t live_bytes, turns_done; };
struct worker_stats worker_stats(const struct worker *w);

#endif
