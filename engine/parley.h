/* SPDX-License-Identifier: MIT */
/**
 * parley.h: a chatbot engine that remembers.
 *
 * The one header that an embedder includes (what needs no engine is in parley_tools.h, which comes
 * with it); C11 and C++17. In short:
 *
 *     parley_options options = PARLEY_OPTIONS_INIT;
 *     options.store = "sqlite:desk.db";
 *     parley *engine = NULL;
 *     parley_error error = PARLEY_ERROR_INIT;
 *     if (parley_open(&engine, &options, &error) < 0) ...            error.message says what to do
 *     parley_message m = PARLEY_MESSAGE_INIT;
 *     m.user = "ann"; m.text = "Hello!";
 *     uint64_t request;
 *     parley_send(engine, &m, &request, &error);
 *     parley_event *event;
 *     while (parley_wait(engine, -1, &event) > 0) { ... parley_event_free(event); }
 *     parley_close(engine);
 *
 * Promises. PARLEY_EVENT_ACCEPTED comes once the user's words are durable, before a byte goes to a
 * provider; PARLEY_EVENT_DONE once the reply, its usage and the session's state are. A turn belongs
 * to the session, not to whoever listens: it completes even if nobody takes its events.
 *
 * Ownership. Strings given are copied during the call. An object returned through the first
 * argument is the caller's. Pointers inside an event live until parley_event_free. Threads. All
 * functions may be called from any thread; events are delivered by parley_poll and parley_wait
 * only, on the thread that calls them. The library starts its own threads, installs no signal
 * handler (but see timer_signal) and has no global state: several engines may live in one process.
 * Errors. Functions return 0 (or a count) or a negative parley_code, and fill the parley_error.
 */
#ifndef PARLEY_H
#define PARLEY_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define PARLEY_API __attribute__((visibility("default")))
#else
#define PARLEY_API
#endif

typedef enum parley_code {
    PARLEY_OK = 0,
    PARLEY_E_USAGE = -1,     /**< bad input: an argument or a message */
    PARLEY_E_POLICY = -2,    /**< a policy or the configuration is wrong (an unknown bot too) */
    PARLEY_E_STORE = -3,     /**< the store failed, is unreadable or locked for too long */
    PARLEY_E_REFUSED = -4,   /**< a limit, a lock held, a key reused, not allowed */
    PARLEY_E_PROVIDER = -5,  /**< the provider failed or its reply was lost */
    PARLEY_E_CONFLICT = -6,  /**< changed meanwhile: try again */
    PARLEY_E_NOT_FOUND = -7, /**< no such session, turn or file */
    PARLEY_E_NOMEM = -8,     /**< out of memory; only this operation failed */
    PARLEY_E_CANCELLED = -9, /**< stopped by the user or by shutdown */
    PARLEY_E_BUSY = -10,     /**< nothing was done; try again later */
    PARLEY_E_CORRUPT = -11,  /**< stored bytes are not what they should be */
    PARLEY_E_FENCED = -12,   /**< somebody else owns this now */
    PARLEY_E_ERASED = -13    /**< the user was erased, and nothing is added to what is gone */
} parley_code;

typedef struct parley parley; /**< an engine */

typedef struct parley_error {
    int code;          /**< parley_code */
    char message[512]; /**< what happened, where, what to do next; NUL-terminated UTF-8 */
} parley_error;
#define PARLEY_ERROR_INIT {0, {0}}

typedef enum parley_log_level {
    PARLEY_LOG_DEBUG,
    PARLEY_LOG_INFO,
    PARLEY_LOG_WARN,
    PARLEY_LOG_ERROR
} parley_log_level;

/** How to build an engine. Zero or NULL members take the configuration file's value, else the
 * default. */
typedef struct parley_options {
    unsigned version;     /**< PARLEY_OPTIONS_VERSION */
    const char *config;   /**< path of a parley.lua; NULL: $PARLEY_CONFIG, ./parley.lua or
                               /etc/parley/parley.lua, the first that there is; "": none */
    const char *store;    /**< "sqlite:PATH", "memory:" */
    const char *policies; /**< folder of policies */
    const char *bot, *provider, *model; /**< defaults for messages that name none */
    const char *keyring; /**< path; NULL: parley.keys beside the store's file; with "memory:" keys
                              live in memory unless a path is set */
    /** "name=value" as in the configuration, NULL-terminated; beats all above */
    const char *const *settings;
    int workers;        /**< 0: the configuration's, default one per core */
    int no_environment; /**< 1: PARLEY_* and *_BASE_URL variables and default configuration files
                             are not read (keys still are) */
    /** Called from any of the library's threads with one line; NULL: silent. A line may hold names
     * of files, bots, providers and models, ids of sessions, digests that stand for users, counts,
     * times, and what the system or a provider calls an error by status; at no level a message, a
     * prompt, what a tool was given, a user's id, a key, or a provider's own words. */
    void (*log)(void *user, parley_log_level level, const char *line);
    /** Told the exact request body before it is sent to a provider, on a worker thread; NULL: not
     * told. */
    void (*trace)(void *user, const char *provider, const char *body, size_t body_bytes);
    void *user; /**< for log and trace */
    /** A signal that the library may have for itself, such as SIGRTMIN + 4: timers of its threads
     * then interrupt policies whose time is up. 0: none; policies' own instructions are counted,
     * and take up to three times as long. */
    int timer_signal;
    int store_must_exist; /**< 1: no store is made; PARLEY_E_STORE where there is none */
} parley_options;
#define PARLEY_OPTIONS_VERSION 1
#define PARLEY_OPTIONS_INIT {PARLEY_OPTIONS_VERSION, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}

/** "0.1.0" */
PARLEY_API const char *parley_version(void);
/** A lower-case word for a code: "usage", "policy", "store", "refused", "provider" … */
PARLEY_API const char *parley_code_word(int code);

/** [{name, version, licence}]: the libraries that this process runs with, their versions as they
 * say them, their licences by SPDX's names ("": not one alone). *report: for parley_free. */
PARLEY_API int parley_libraries(char **report, parley_error *error);
/** Keeps what is in memory (keys, messages) out of files and away from other processes: no core
 * dumps, and none of the same user's may attach (RLIMIT_CORE, PR_SET_DUMPABLE). It holds for the
 * whole process, so nothing here calls it by itself; the program parley does, first of all. */
PARLEY_API int parley_no_core_dumps(parley_error *error);
/** Opens the store (made if absent, unless it must exist), the keyring, the policies; settles turns
 * of processes that died. Blocks until ready. On failure *out is NULL. */
PARLEY_API int parley_open(parley **out, const parley_options *options, parley_error *error);
/** Stops replies under way (what came is kept and stored), waits for them to settle, frees. NULL
 * allowed. */
PARLEY_API void parley_close(parley *engine);

/* ---- sending */

enum {
    /** go on in the newest session of this user, bot and context, if there is one */
    PARLEY_CONTINUE = 1,
    /** send only the new message, without system prompt or history (it is stored all the same) */
    PARLEY_STATELESS = 2,
    /** listings over every user */
    PARLEY_ALL_USERS = 4,
    /** another answer to what was said before: without a text, edit_turn (0: the newest turn) and
     * all after it are replaced by a turn that says the same. The old answer is kept, and shown as
     * superseded; both are billed. A pinned turn stays pinned. Continues the newest session, unless
     * one is named. PARLEY_E_NOT_FOUND, PARLEY_E_REFUSED: there is nothing to regenerate. */
    PARLEY_REGENERATE = 8,
    /** of parley_sessions, parley_show, parley_why, parley_recall, parley_memory and parley_fact:
     * not the user asks, but who runs the program. The read is noted in the audit trail before
     * anything is shown; if it cannot be, nothing is. */
    PARLEY_AS_OPERATOR = 16,
    /** of parley_show: what masks stand for is shown instead of them, as far as it is kept; the
     * audit trail has how much was. */
    PARLEY_REVEAL = 32,
    /** the session goes on on this device, although another one has it (a policy's `devices`): of
     * parley_send, parley_resume, and what else adds to a session */
    PARLEY_CONTINUE_HERE = 64,
    PARLEY_PREVIEW = 128 /**< of parley_sessions: with what was said last */
};

/** One user message. */
typedef struct parley_message {
    unsigned version;    /**< PARLEY_MESSAGE_VERSION */
    unsigned flags;      /**< PARLEY_CONTINUE, PARLEY_STATELESS, PARLEY_REGENERATE */
    const char *user;    /**< NULL: "local" */
    const char *bot;     /**< NULL: the default */
    const char *context; /**< ticket, document, task; NULL: "" */
    const char *session; /**< go on in this one; NULL: a new one, unless PARLEY_CONTINUE */
    const char *key;     /**< idempotency key, unique per user, bot and context; NULL: none */
    const char *provider, *model; /**< NULL: the policy's, else the default */
    const char *text;             /**< valid UTF-8 without NUL, at most 256 KiB */
    size_t text_bytes;            /**< 0: strlen(text) */
    uint32_t edit_turn;           /**< 0, or: replaces this turn and all after it, in the newest
                                       session unless one is named */
    /** which of the user's devices (tab, terminal, telephone) this is, as it is to be called: at
     * most 64 bytes, without control characters. Where the policy says `devices = { one_active =
     * true }`, a session goes on on one device at a time: another one is refused (E_REFUSED, the
     * message says which has it and since when) until it comes with PARLEY_CONTINUE_HERE, or the
     * first was not active for the policy's lapse_after. NULL: none said, which is one device too.
     * Since version 2. */
    const char *device;
} parley_message;
#define PARLEY_MESSAGE_VERSION 2
#define PARLEY_MESSAGE_INIT {PARLEY_MESSAGE_VERSION, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}

/** Starts a turn; its events carry *request. Refuses (E_USAGE) bad text at once; everything else
 * comes as an event. At most 1,024 requests at a time (E_BUSY). */
PARLEY_API int parley_send(parley *engine, const parley_message *message, uint64_t *request,
                           parley_error *error);
/** Stops the reply of a request; what came is kept, the turn ends as `cut` with stop `user`. Never
 * fails. */
PARLEY_API void parley_stop(parley *engine, uint64_t request);

/* ---- asking; each answers with one PARLEY_EVENT_RESULT (JSON) or PARLEY_EVENT_ERROR */

typedef struct parley_scope {
    unsigned version; /**< PARLEY_SCOPE_VERSION */
    unsigned flags;   /**< PARLEY_CONTINUE, PARLEY_ALL_USERS, PARLEY_AS_OPERATOR, PARLEY_REVEAL */
    const char *user, *bot, *context, *session, *provider, *model; /**< as in parley_message */
    const char *device; /**< as in parley_message; since version 2 */
} parley_scope;
#define PARLEY_SCOPE_VERSION 2
#define PARLEY_SCOPE_INIT {PARLEY_SCOPE_VERSION, 0, 0, 0, 0, 0, 0, 0, 0}

/** {session, turns, bot, title, provider, model, window{tokens, limit, percent}}: the session that
 * a message with this scope would go to. session is "" when it would be a new one; else there are
 * device, since, and held: whether another device has it, as far as is known here. */
PARLEY_API int parley_session(parley *engine, const parley_scope *scope, uint64_t *request,
                              parley_error *error);
/** Somebody comes back: the session to go on in, as the policy's `resume` says of how long they
 * were away. {session, turns, resumed}: `restored`, the newest one of the scope goes on; `primed`,
 * `offered` or `fresh`, a new one was made, durable, that is told what was before, may be told it,
 * or is not; then there are also origin (the same word), before (the session that it follows) and
 * greeting (what the policy says first; may be ""); `new`: there is none, and session is "". What
 * parley_send with PARLEY_CONTINUE does by itself; its DONE then has origin, before, greeting. */
PARLEY_API int parley_resume(parley *engine, const parley_scope *scope, uint64_t *request,
                             parley_error *error);
/** [{session, user, bot, context, status, turns, topic, created_at, last_active_at, expires_at,
 * device, since, last}], newest first; topic: as the session's state says ("": it does not);
 * device: the one that it goes on on, since then (null: none was said); last: with PARLEY_PREVIEW,
 * of the user's first 100, {role, text}, the beginning of what was said last; else null. */
PARLEY_API int parley_sessions(parley *engine, const parley_scope *scope, uint64_t *request,
                               parley_error *error);
/** {session, user, bot, context, status, constraints[], turns[{turn, status, stop, policy, at,
 * superseded, pinned, epoch, usage{}, steps[{role, content[], tokens}]}]}; epoch, where the policy
 * has one device at a time: turns of one epoch are one device's */
PARLEY_API int parley_show(parley *engine, const parley_scope *scope, uint64_t *request,
                           parley_error *error);
/** What a turn's request was made of (turn 0: the session's newest): {session, turn, status,
 * policy, provider, model, strategy, by, cut_moved, system_tokens, text_tokens, constraints,
 * constraints_tokens, core_tokens (of core memory), sent[{turn, tokens, why, by}],
 * dropped[{turn, tokens, why, by}], summary, recalled_tokens, recalled[{kind, session, turn, score,
 * why}], predicted{}, billed{}}; strategy is "" for a turn that sent nothing. What was recalled has
 * kind "turn", "fact" or "knowledge" (with fact, its id, in place of session and turn) or "journal"
 * (of a session). */
PARLEY_API int parley_why(parley *engine, const parley_scope *scope, uint32_t turn,
                          uint64_t *request, parley_error *error);
/** [{kind, session, turn, role, text, score, why}]: the k (0: 10; at most 256) messages of this
 * user's talks with this bot, in this context, or those of the scope's session, that bear on query
 * (UTF-8), best first, and what is remembered of the user. kind is "turn"; "fact" or "knowledge",
 * with fact, its id, and the session and turn that it was first said in; or "journal". Where there
 * is no session, turn or role (only a message has one), it is null. */
PARLEY_API int parley_recall(parley *engine, const parley_scope *scope, const char *query,
                             unsigned k, uint64_t *request, parley_error *error);
/** Parts of what is remembered (none: all of them): what the user said of themselves, what several
 * conversations together say, a narrative of sessions, and what is always sent. ALL: also what is
 * so no more, and what was forgotten, without its words. */
enum { PARLEY_MEMORY_ALL = 1, PARLEY_MEMORY_FACTS = 2, PARLEY_MEMORY_KNOWLEDGE = 4,
       PARLEY_MEMORY_JOURNAL = 8, PARLEY_MEMORY_CORE = 16 };
/** What the scope's bot remembers of its user beyond one conversation (with a context: what holds
 * there): {user, bot, remembers, facts[], knowledge[], journal[{tier, session, at, text}],
 * core{tier, persona, human, at}}; remembers: whether its policy has it learn. Facts and knowledge
 * are {tier, fact, kind, subject, predicate, value, status, stale, scope, context, valid_from,
 * valid_to, recorded_at, retired_at, confirmed_at, confirmations, forgotten_at, superseded_by,
 * earlier[], evidence[{session, turn, quote, deleted, start, end, author, supported, negates, at,
 * extractor, policy, fact?, why?}]}. `fact` is an id; status "active", "superseded", "forgotten" or
 * "quarantined": the user's own words do not bear it out, and it is never sent. `stale`: nobody
 * confirmed it for long, and it is sent as a question. valid_… is when it was so in the world,
 * recorded_at and retired_at when it was held to be so, and `earlier` has these four of the times
 * before. scope is "" for all contexts, else a digest of the one in which it holds; context is that
 * one's name, null where it is not known any more. A quote is bytes start to end of what was said;
 * null if it was `deleted`. */
PARLEY_API int parley_memory(parley *engine, const parley_scope *scope, unsigned what,
                             uint64_t *request, parley_error *error);
/** Why one fact is remembered: {user, bot, remembers, fact{}, others[]}: as parley_memory tells it,
 * and the other values that its subject and predicate have or had; `why` says what evidence lacks
 * to bear it out. `fact` is an id, or 4 digits or more that only it begins with, in either case.
 * PARLEY_E_NOT_FOUND; PARLEY_E_USAGE: several begin so. */
PARLEY_API int parley_fact(parley *engine, const parley_scope *scope, const char *fact,
                           uint64_t *request, parley_error *error);
/** Forgets a fact, with the knowledge that rests on it alone: {user, bot, tier, fact, subject,
 * predicate, again, knowledge[], lines, turns[{session, turn, deleted_at}]}: the ids of that
 * knowledge, how many lines of journal and core memory told of it and went too, and what stays:
 * the turns in which it was said, until they are deleted (null: never). What was
 * said before never brings it back, what the user says anew does. Noted in the audit trail, in the
 * same commit. Repeated, it changes nothing (`again`). */
PARLEY_API int parley_forget(parley *engine, const parley_scope *scope, const char *fact,
                             uint64_t *request, parley_error *error);
/** {rows[], total{}, budgets[]}, with unknown_calls for those whose end nobody knows; by is "day",
 * "bot", "model", "user" or "session"; a session's row has window{} of its next request without new
 * text, and turns_left before one fills 80 % (null: it does not grow). budgets are today's (UTC):
 * {budget, each_user, user, bot, unit, used, limit, day}. Of all users together a budget that each
 * of them has tells its limit alone: each_user, and used is null. */
PARLEY_API int parley_usage(parley *engine, const parley_scope *scope, const char *by,
                            uint64_t *request, parley_error *error);
/** {users, sessions, turns, orphans, problems[]}: every session of every user against the ledger's
 * rules. orphans: how many of the problems are records of no session as a half import leaves
 * them. */
PARLEY_API int parley_verify(parley *engine, const parley_scope *scope, uint64_t *request,
                             parley_error *error);
/** All that is kept of the scope's user, a page at a time: {user, kind, items[],
 * damaged[{key, why}], next}. `next` (at first NULL) is what to ask the next page with, null with
 * the last one. Items are records of one kind ("sessions", "turns", …): what their keys and their
 * meta say, times in UTC, and their text. What cannot be read is in `damaged`. That it was done is
 * in the audit trail before the first page is told. PARLEY_E_NOT_FOUND: nobody knows this user. */
PARLEY_API int parley_export(parley *engine, const parley_scope *scope, const char *next,
                             uint64_t *request, parley_error *error);
enum {
    /** parley_sweep: the machine's clock is right, however far it jumped */
    PARLEY_TRUST_CLOCK = 1
};
/** Archives the sessions whose time has come, and deletes the turns of those that were archived
 * long enough ago, as their policies' `expiry` says; an engine does so by itself every few minutes
 * (setting sweep_every). {due, archived, purged, learnt, failed, records, left, time,
 * clock_ahead_seconds, paused}: sessions that were due, archived, whose turns were deleted; that
 * were learnt from before, or could not be yet, as a model failed: they are tried again later;
 * records deleted; sessions that could not be handled now; the time that deletions go by, and by
 * how much the clock is ahead of it and not believed, as it jumped: they are paused then.
 * PARLEY_E_REFUSED: another process is at it. */
PARLEY_API int parley_sweep(parley *engine, unsigned flags, uint64_t *request,
                            parley_error *error);
/** Erases the scope's user, for ever: destroys the keys of all that is kept of them, then deletes
 * it from the store's files: {again, receipt{partition, erased_at, completed_at, deleted{},
 * public_key, signature}}. `deleted` counts records by kind, as in an export; the receipt names
 * nobody, and parley_receipt_check checks it. Repeated, it completes what was broken off, and gives
 * the receipt again (`again`). A turn of theirs that is under way, in whatever process, ends with
 * PARLEY_E_ERASED, and nothing of it is kept. Who comes back is a new user. PARLEY_E_NOT_FOUND:
 * nothing is kept of them; PARLEY_E_BUSY: the keys are destroyed, and copies of what can no longer
 * be read are left in the store's files until a backup under way is through; or nothing was erased,
 * as another process is writing the audit trail: the message tells; repeat it. */
PARLEY_API int parley_erase(parley *engine, const parley_scope *scope, uint64_t *request,
                            parley_error *error);
/** The audit trail, oldest entry first: [{n, at, action, actor, subject?, detail?, bot?, policy?,
 * count?, prev, hash}], of the scope's user or, with PARLEY_ALL_USERS, of everybody and the house.
 * It names nobody: actor is "engine" or "uid:1000" (of who runs the program), subject a keyed
 * digest that stands for a user. hash is BLAKE2b-256, in hex, of the entry as it is written here
 * without `hash`. since_ms: only what was done then (Unix time) or later; 0: all. */
PARLEY_API int parley_audit(parley *engine, const parley_scope *scope, int64_t since_ms,
                            uint64_t *request, parley_error *error);
/** Whether the trail is whole: {entries, newest{store, n, hash, at}, head{store, n, hash, at},
 * problems[]}; store is a number that the store got when it was made. head is the one beside the
 * keyring, null where there is none (keys in memory), or no entry yet. Any entry that was changed,
 * moved, added or removed is a problem, also at the end: of that, the head tells, and `head`, one
 * that parley_audit_head answered before; NULL: none. PARLEY_E_CORRUPT: it is no head that was
 * signed here; PARLEY_E_USAGE: it is of another store. */
PARLEY_API int parley_audit_verify(parley *engine, const char *head, uint64_t *request,
                                   parley_error *error);
/** The trail's newest entry, signed as of now, to be kept elsewhere: {store, n, hash, at, key,
 * signature}, Ed25519 over "parley audit head\n" and {store, n, hash, at} as written here.
 * PARLEY_E_CORRUPT: the trail is not whole. */
PARLEY_API int parley_audit_head(parley *engine, uint64_t *request, parley_error *error);
/** The trail and the head beside the keyring do not go together, and that is known and right (an
 * older store was put in place by hand): from here on the head is the trail's, and an entry says
 * so. Answers as parley_audit_verify. */
PARLEY_API int parley_audit_accept(parley *engine, uint64_t *request, parley_error *error);
/** Starts a new session for bot and context and keeps the old: {session}. */
PARLEY_API int parley_reset(parley *engine, const parley_scope *scope, uint64_t *request,
                            parley_error *error);
/** Supersedes the newest turn: {session, turn, text}, text being what the user had said. */
PARLEY_API int parley_undo(parley *engine, const parley_scope *scope, uint64_t *request,
                           parley_error *error);
/** Pins a turn (0: the newest), so that it is sent with every message from now on, wherever the
 * history is cut; or lets one go, whoever pinned it: {session, pinned[{turn, by}]}, `by` being
 * "user" or "policy". At most 64 turns of a session (PARLEY_E_REFUSED); one that is undone or
 * edited loses its pin. A pinned turn that is not sent anyway makes the next request begin anew for
 * the provider's prompt cache. */
PARLEY_API int parley_pin(parley *engine, const parley_scope *scope, uint32_t turn,
                          uint64_t *request, parley_error *error);
PARLEY_API int parley_unpin(parley *engine, const parley_scope *scope, uint32_t turn,
                            uint64_t *request, parley_error *error);
/** States what is to be kept in mind, word for word, as long as the session lives (UTF-8, at most
 * 1024 bytes; 16 of 4096 bytes together, else PARLEY_E_REFUSED); or takes one back, by its number:
 * {session, pinned[], constraints[{number, text}]}. It is sent with every message from now on,
 * quoted as the user's: at first beside the newest message, and from the next cut on in front of
 * the history, so that nothing before it changes. One that is taken back there makes the next
 * request begin anew for the provider's prompt cache. */
PARLEY_API int parley_constrain(parley *engine, const parley_scope *scope, const char *text,
                                uint64_t *request, parley_error *error);
PARLEY_API int parley_unconstrain(parley *engine, const parley_scope *scope, uint32_t number,
                                  uint64_t *request, parley_error *error);
/** One recorded conversation, a JSON object {id?, user, bot?, context?, messages:[{role, content,
 * at?}]}: {session, turns}. */
PARLEY_API int parley_import(parley *engine, const char *json, size_t json_bytes, uint64_t *request,
                             parley_error *error);

/* ---- seeing what goes on */

/** The reply of a turn (0: the newest one) of the scope's session from byte `from_byte` on, as its
 * DELTAs have it: for a client that was cut off and has so much of it. ACCEPTED, then DELTA and
 * DONE as of parley_send, whether the turn is under way, here or in another process, or over. Bytes
 * are the same, wherever it was cut; beyond its end there are none. parley_stop lets go of it and
 * stops no reply (it ends with PARLEY_E_CANCELLED). PARLEY_E_CONFLICT: what masks in it stood for
 * is not kept, so that it reads otherwise than it did: attach from byte 0. */
PARLEY_API int parley_attach(parley *engine, const parley_scope *scope, uint32_t turn,
                             uint64_t from_byte, uint64_t *request, parley_error *error);
/** Sees the scope's session live, until parley_stop (it ends with ERROR, PARLEY_E_CANCELLED).
 * WATCHING comes first: turn is the newest one that is over, what was before parley_show tells.
 * Then of each further turn ACCEPTED (text: what the user said), DELTA and DONE, which is not the
 * end of the request here; turns of this engine at once, of other processes within two seconds,
 * their replies when they are whole. MOVED, CHANGED. */
PARLEY_API int parley_watch(parley *engine, const parley_scope *scope, uint64_t *request,
                            parley_error *error);

/* ---- events */

typedef enum parley_event_type {
    PARLEY_EVENT_ACCEPTED, /**< durable: session and turn are set */
    PARLEY_EVENT_DELTA,    /**< text: more of the reply */
    PARLEY_EVENT_WARNING,  /**< text: one sentence for the person */
    PARLEY_EVENT_DONE, /**< the turn is settled: json as of `ask -o json`; code is not 0 if there is
                          no whole reply. PARLEY_E_NOMEM: json tells session and turn only,
                          parley_show the rest */
    PARLEY_EVENT_RESULT, /**< json: the answer to a question */
    PARLEY_EVENT_ERROR,  /**< code and text: nothing was accepted */
    PARLEY_EVENT_MOVED,  /**< the session goes on on another device: text is its name, json
                              {session, device, since}; the reply under way comes all the same */
    PARLEY_EVENT_WATCHING, /**< of parley_watch: it stands */
    PARLEY_EVENT_CHANGED /**< of parley_watch: a turn was taken back or replaced: show it again */
} parley_event_type;

typedef struct parley_event {
    unsigned version;
    parley_event_type type;
    uint64_t request;
    const char *session; /**< "" where it does not apply */
    uint32_t turn;       /**< 0 where it does not apply */
    const char *text;    /**< NUL-terminated UTF-8, "" where it does not apply */
    size_t text_bytes;
    const char *json; /**< NUL-terminated, "" where it does not apply */
    int code;         /**< parley_code */
} parley_event;

/** The next event, or 0 if there is none now. 1: *event is the caller's (parley_event_free). */
PARLEY_API int parley_poll(parley *engine, parley_event **event);
/** Waits up to timeout_ms (-1: for ever). 1: an event; 0: none came. */
PARLEY_API int parley_wait(parley *engine, int timeout_ms, parley_event **event);
PARLEY_API void parley_event_free(parley_event *event);
/** A descriptor that is readable while events wait, for poll(2) and event loops. Owned by the
 * engine. */
PARLEY_API int parley_wakeup_fd(parley *engine);

/** Frees what *report gave. NULL allowed. */
PARLEY_API void parley_free(void *p);

#ifdef __cplusplus
}
#endif

#include "parley_tools.h"

#endif
