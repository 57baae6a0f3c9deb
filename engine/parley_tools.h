/* SPDX-License-Identifier: MIT */
/**
 * parley_tools.h: what needs no engine: checks and tests of policies, keys, models, counting,
 * redaction, back-tests, backup and restore. A part of parley.h, which includes it, and which says
 * how ownership, threads and errors are.
 */
#ifndef PARLEY_TOOLS_H
#define PARLEY_TOOLS_H

#include "parley.h"

#ifdef __cplusplus
extern "C" {
#endif

/** Loads and checks the configuration and policies (files or folders; none: the configured folder)
 * and changes nothing. *report (free with parley_free): {files[{file, ok, error, notes[]}], ok}. 0,
 * or PARLEY_E_POLICY. */
PARLEY_API int parley_check(const parley_options *options, const char *const *paths, char **report,
                            parley_error *error);
/** Runs the policies' own tests, NAME_test.lua beside NAME.lua (files or folders; none: the
 * configured folder), offline, in memory and in simulated time; of the configuration only the
 * folder counts. *report (free with parley_free): {files[{file, error, tests[{test, line, ok,
 * error, seconds}]}], tests, passed, failed}; a file that cannot be loaded has an error, and counts
 * as one test that failed. 0; PARLEY_E_POLICY: some failed, *report says which; PARLEY_E_USAGE:
 * there is no such file or folder, or no test in it. */
PARLEY_API int parley_test(const parley_options *options, const char *const *paths, char **report,
                           parley_error *error);
/** Whether a receipt of parley_erase is as it was signed: *report (free with parley_free):
 * {public_key, ours}: the key that signed it, and whether it is that of the configured keyring
 * (null: there is none here). PARLEY_E_USAGE: it is no receipt; PARLEY_E_CORRUPT: the signature
 * does not hold. */
PARLEY_API int parley_receipt_check(const parley_options *options, const char *json,
                                    size_t json_bytes, char **report, parley_error *error);
/** Brings the store's schema up to date, or with dry_run only tells. *report: lines of text. */
PARLEY_API int parley_migrate(const parley_options *options, int dry_run, char **report,
                              parley_error *error);
/** Makes the keyring, and with the setting operator_key = "file:PATH" that file, if it is absent.
 * *report: {keyring, mode, operator_key{source, fingerprint, mode}, public_key}. PARLEY_E_REFUSED:
 * there is a keyring already, or the store was sealed with one. */
PARLEY_API int parley_keys_init(const parley_options *options, char **report, parley_error *error);
/** *report: as of parley_keys_init, and {users, keys, retired_keys, records_under_retired, erased,
 * erasures_open, stores, rotations, rotating}. Reads the records of users with retired keys. */
PARLEY_API int parley_keys_status(const parley_options *options, char **report,
                                  parley_error *error);
/** What parley_keys_rotate rotates; neither of the first two: both. */
enum {
    PARLEY_ROTATE_OPERATOR = 1, /**< the operator key, which wraps the others: at once */
    PARLEY_ROTATE_USERS = 2,    /**< users' keys; what they sealed is sealed anew */
    PARLEY_ROTATE_DESTROY = 4   /**< older keys go although other stores know this keyring */
};
/** Blocks until all is done; others may use the store meanwhile. Broken off, it goes on when it is
 * called again. *report: as of parley_keys_init, and {resumed, users, records,
 * unreadable, users_done, retired_keys, stores}. PARLEY_E_BUSY: another process has not taken up
 * the new keys yet; PARLEY_E_USAGE: the source of the operator key offers no new one. */
PARLEY_API int parley_keys_rotate(const parley_options *options, unsigned what, char **report,
                                  parley_error *error);
/** [{bot, file, redaction}]: the bots that there are, by name; redaction: "on", "off", or null if
 * the policy cannot be loaded. */
PARLEY_API int parley_bots(const parley_options *options, char **report, parley_error *error);
/** [{name, type, default, help}]: every setting that a configuration can hold. In a name "*" stands
 * for a provider's; a type is "string", "integer", "number", "boolean" or "span" ("30m"); default
 * is text, null where there is none. */
PARLEY_API int parley_settings(char **report, parley_error *error);
/** {providers[], models[]}: what is configured, and what is known about models. A provider is
 * {provider, api, base_url, default, ready, why, model, window_tokens, output_tokens_max, prices};
 * `why` says what is missing where it is not ready. A model is {api, model, window_tokens,
 * output_tokens_max, prices, providers[]}: `model` may end in "*", `providers` are those that are
 * ready and speak this api ("local" is OpenAI's on this machine). Prices are input_usd, cached_usd,
 * cache_write_usd and output_usd per million tokens, null where none is known. */
PARLEY_API int parley_models(const parley_options *options, char **report, parley_error *error);
/** Looks for model servers on this machine, and changes nothing: asks 127.0.0.1 and ::1 on these
 * ports (NULL: those that such servers use by default), and every configured address on this
 * machine, for their lists of models, all at once. No key is sent, no redirect followed, no more
 * than 1 MiB of an answer read. Blocks for 5 s at most. {asked, servers[], others[]}: a server is
 * {server, base_url, provider, configured, needs_key, models[]}, `provider` being its name in the
 * configuration, or one that is free; others are {url, why}: they answer, but not as such servers
 * do. Names of models are a stranger's text: show them with care. */
PARLEY_API int parley_discover(const parley_options *options, const uint16_t *ports,
                               size_t ports_len, char **report, parley_error *error);
enum {
    PARLEY_TOKEN_IDS = 1,    /**< the tokens' ids too */
    PARLEY_TOKEN_SPECIAL = 2 /**< special tokens ("<|endoftext|>") in the text are those tokens, and
                                  not text */
};
/** How many tokens a text is: *report (free with parley_free): {tokens, encoding, model, estimated,
 * ids[]}. In an encoding ("o200k_base", "cl100k_base"), or as a model counts; both NULL: in
 * o200k_base. The count is exact where the model's vocabulary is public; elsewhere it is estimated,
 * without encoding, and asking for ids is PARLEY_E_USAGE. At most 64 MiB; bytes that are not UTF-8
 * count as U+FFFD, one for each maximal ill-formed part. */
PARLEY_API int parley_tokens(const char *encoding, const char *model, const char *text,
                             size_t text_bytes, unsigned flags, char **report, parley_error *error);
enum {
    PARLEY_REDACT_TEXT = 1 /**< *report is the masked text itself */
};
/** What redaction makes of a text: *report (free with parley_free): {text, spans[{type, start, end,
 * score}]}: the text with masks, numbered within it by value, and what they stand for, in order and
 * disjoint: a kind ("email", "card", …), bytes of the text as it was given, and how sure it is, up
 * to 100. All kinds are looked for; region: where telephone numbers without a country are dialled
 * ("US"), NULL: nowhere. PARLEY_E_USAGE: over 16 MiB, not UTF-8, a NUL in it, or no such region. */
PARLEY_API int parley_redact(const char *region, const char *text, size_t text_bytes,
                             unsigned flags, char **report, parley_error *error);
/** The same by the rules of a bot's policy, and the configuration's region where it says none.
 * PARLEY_E_POLICY: there is no such bot, or its policy is wrong. */
PARLEY_API int parley_redact_bot(const parley_options *options, const char *bot, const char *text,
                                 size_t text_bytes, unsigned flags, char **report,
                                 parley_error *error);
/** [{kind, help}]: the kinds that redaction knows, as a policy writes them, and what they are. */
PARLEY_API int parley_redact_kinds(char **report, parley_error *error);

/* ---- back-tests */

/** What to replay, and through what. */
typedef struct parley_replay_options {
    unsigned version; /**< PARLEY_REPLAY_OPTIONS_VERSION */
    unsigned flags;   /**< 0 */
    /** NULL-terminated, at most 15: files of policies (names with a "/" or that end in ".lua") or
     * names of bots */
    const char *const *policies;
    /** A conversation a line, as parley_import takes them, and with questions?: [{turn?, text?,
     * evidence: [turn, …]}], where `evidence` are turns that hold what the question asks for, and
     * `turn` is the one that asks (none: after the conversation; then `text` is what is asked).
     * "-": standard input. NULL: the sessions of the configured store, which is only read */
    const char *file;
    const char *user, *bot; /**< of the store: only theirs; NULL: everybody's */
    int64_t since_ms; /**< of the store: sessions that were active then (Unix time) or later */
    /** Whose prices, window and cache rules: "provider:model", or a model of the default provider.
     * NULL: the configured default, or anthropic:claude-sonnet-4-5 where that is the offline one,
     * which costs nothing */
    const char *model;
    /** Of a window of so many messages that slides by one, for comparison; 0: none */
    uint32_t baseline_messages;
    /** Called now and then on the calling thread, with how much of the file was read, or how many
     * sessions of the store went through; total is 0 where it is not known. Other than 0 stops
     * (PARLEY_E_CANCELLED). NULL: not called. */
    int (*progress)(void *progress_user, uint64_t done, uint64_t total);
    void *progress_user;
} parley_replay_options;
#define PARLEY_REPLAY_OPTIONS_VERSION 1
#define PARLEY_REPLAY_OPTIONS_INIT {PARLEY_REPLAY_OPTIONS_VERSION, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}

/** Runs recorded conversations through policies, as live turns would go, without calling a model
 * or storing anything. *report (free with parley_free): {conversations, turns, timed_turns,
 * assumed_seconds, provider, model, window_tokens, cache_min_tokens, policies[]}; turns without a
 * time are assumed_seconds apart.
 *
 * A policy is {policy, baseline, strategy, by, …, recall, by_turn[], conversations[], hook_error},
 * where … are turns, requests, answered (by the policy itself), refused (the text alone is too
 * long), invalid (the request breaks a rule), overflows (the plan wanted more than the window
 * holds), cuts (how often the beginning of what is sent moved), resets, sent_turns, dropped_turns
 * and recalled_turns (summed over requests), input_tokens, cached_tokens, cache_write_tokens,
 * hit_rate (cached of input), output_tokens, cost_usd, summaries (made after a turn; what stands
 * for one is of the size that it may have), summary_tokens (in and out), summary_usd (what they
 * cost; part of cost_usd) and hook_failures. Of these the cache's figures and cost_usd are for a
 * cache that keeps five minutes, those with _1h for one that keeps an hour; output_usd is the part
 * of the cost that no policy changes.
 *
 * recall is null, or {questions, evidence, found, recall, k}: evidence turns, those that would have
 * been sent, their share, and how many turns were sent at a question, on the average. by_turn is
 * {turn, requests, input_tokens, cost_usd}, means. Of the first 1,000 conversations each policy
 * tells {conversation, … as above, dropped[[first, last]], dropped_more}: the turns that its last
 * request left out. PARLEY_E_USAGE names the line of the file; PARLEY_E_POLICY. */
PARLEY_API int parley_replay(const parley_options *options, const parley_replay_options *how,
                             char **report, parley_error *error);

/* ---- backup and restore; the engine need not be open, and others may be at work */

enum {
    PARLEY_COPY_REPLACE = 1, /**< backup: a file that is there already is replaced */
    /** a copy with problems, or (backup) one that cannot be verified, is better than none */
    PARLEY_COPY_DAMAGED = 2
};

typedef struct parley_copy_options {
    unsigned version; /**< PARLEY_COPY_OPTIONS_VERSION */
    unsigned flags;   /**< PARLEY_COPY_REPLACE, PARLEY_COPY_DAMAGED */
    /** Called now and then, on the calling thread, with how much was copied; other than 0 stops
     * (PARLEY_E_CANCELLED). NULL: not called. */
    int (*progress)(void *user, uint64_t done_bytes, uint64_t total_bytes);
    void *user; /**< for progress */
} parley_copy_options;
#define PARLEY_COPY_OPTIONS_VERSION 1
#define PARLEY_COPY_OPTIONS_INIT {PARLEY_COPY_OPTIONS_VERSION, 0, 0, 0}

/** Copies the store, as of one moment during the call, to a file of mode 0600, while others go on
 * using it. The copy is verified as by parley_verify before it gets its name: whenever the process
 * dies, there is a whole file or none (a file that was to be replaced is then still there). The
 * keyring is not in it, and nothing in it can be read without. *report (free with parley_free):
 * {file, store, bytes, users, sessions, turns, problems[], keyring}; NULL where there is none.
 * PARLEY_E_USAGE: the file's name, or a store that is no file; PARLEY_E_REFUSED: the file is there;
 * PARLEY_E_CORRUPT: there are problems, *report lists them, and without PARLEY_COPY_DAMAGED no file
 * was made (what an import under way leaves is listed too, and no reason to refuse);
 * PARLEY_E_STORE. */
PARLEY_API int parley_backup(const parley_options *options, const parley_copy_options *how,
                             const char *file, char **report, parley_error *error);
/** Puts a copy of such a file in the place of the store, once it is verified. The store as it was
 * is kept beside, under the name that *report tells: {file, store, kept, bytes, users, sessions,
 * turns, problems[], keyring}; kept is null where there was none. Whenever the process dies, the
 * store is the old one or the new one. Errors as above; PARLEY_E_REFUSED: the store is in use. A
 * file that was sealed with another keyring is refused (PARLEY_E_STORE). */
PARLEY_API int parley_restore(const parley_options *options, const parley_copy_options *how,
                              const char *file, char **report, parley_error *error);

#ifdef __cplusplus
}
#endif
#endif
