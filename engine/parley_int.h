// SPDX-License-Identifier: MIT
// parley_int.h: what parley.c's files share, and the seams that tests put in.
//
//   parley.c          engines: opening, closing
//   parley_ask.c      what an embedder asks of one
//   parley_conf.c     settings: defaults, file, environment, options; secrets
//   parley_events.c   events from the workers to whoever polls
//   parley_offline.c  check, migrate and bots, which need no engine
//   parley_seal.c     the store and its keyring
//   parley_keys.c     keyrings made, looked at, rotated
//   parley_migrate.c  records of an older seal are sealed anew
//   parley_backup.c   backup and restore, which open one on the copy
//   parley_receipt.c  receipts of erasures, checked
//   parley_replay.c   policies over recorded conversations
//   parley_test.c     the policies' own tests
//   parley_models.c   the providers that are configured, the models that are known
//   parley_discover.c model servers on this machine
//   parley_jobs.c     what the engine does by itself: the sweep
//   parley_process.c  what holds for the whole process
//   parley_libraries.c  the libraries that are linked, and their versions
//   parley_files.c    who can get at the files
//   parley_tokens.c   counting tokens, which needs none either
//   parley_redact.c   what redaction makes of a text, nor does this
#ifndef PARLEY_INT_H
#define PARLEY_INT_H

#include "parley.h"

#include "base/map.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "lua/lua_room.h"
#include "turn/turn_room.h"
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

enum { REQUESTS_MAX = 1024, WORKERS_MAX = 64, QUEUED_DELTA_BYTES_MAX = 64 << 20 };

// What a test may put in the place of the world. NULL members are the real thing.
struct engine_seams {
    struct clock_sim *clock;    // one loop in simulated time, no threads; parley_wait runs it
    const struct rand *rand;
    // Makes the worker's wire; the real one is wire_new_curl.
    int (*wire)(void *user, struct loop *loop, struct wire **out, struct err *err);
    // Makes the scripted provider's brain; the real one is lua_brain_new.
    int (*brain)(void *user, struct llm_brain **out, struct err *err);
    // Before each step that changes the keyring on disk (vault.h).
    void (*keyring_step)(void *user, const char *step);
    void *user;
};
// parley_open with seams (borrowed for the engine's life).
int engine_open(parley **out, const parley_options *options, const struct engine_seams *seams,
                parley_error *error);
// An engine that only reads: the store under `url` (borrowed for the engine's life), which is a
// copy of the configured one, with the configured one's keyring. Nothing is recovered.
int engine_open_copy(parley **out, const parley_options *options, const char *url,
                     parley_error *error);

// ---- parley_events.c

struct event_queue {
    pthread_mutex_t lock;
    pthread_cond_t arrived;     // on the monotonic clock
    unsigned waiting;           // who sleeps until an event arrives
    int fd;                     // eventfd: readable while `shown`
    bool watched, shown;        // somebody asked for it; it says that there is something to take
    struct queued *first, *last;
    size_t delta_bytes;
};
int events_init(struct event_queue *q, struct err *err);
void events_release(struct event_queue *q);
// What a request needs so that its end can be told without memory: its job's ticket, which the push
// of its last event takes. NULL: out of memory.
struct queued *events_ticket(void);
void events_ticket_free(struct queued *ticket);  // of a job that is not posted; NULL allowed
// Copies. Deltas of one request that nobody took yet become one; over QUEUED_DELTA_BYTES_MAX they
// are dropped, as DONE tells the whole reply. True: somebody may sleep until events_wake is called,
// which is to be soon.
bool events_push(struct event_queue *q, const struct event *event);
void events_wake(struct event_queue *q);
int events_fd(struct event_queue *q);  // from now on it is watched
parley_event *events_pop(struct event_queue *q);                   // NULL: none
parley_event *events_wait(struct event_queue *q, int timeout_ms);  // NULL: none in time

// ---- parley_conf.c

// What providers may ask for by name; values live as long as the table.
struct secrets {
    pthread_mutex_t lock;
    struct map *values;
    const struct log *log;      // borrowed
};
int secrets_init(struct secrets *s, const struct log *log, struct err *err);
void secrets_release(struct secrets *s);
// NAME, the file named by NAME_FILE, or $CREDENTIALS_DIRECTORY/NAME; NULL: none of them. A file
// that cannot be taken is told to the log, as is one that NAME_FILE names and that is not there.
const char *secret_find(struct secrets *s, const char *name);

struct settings {
    struct conf *conf;          // read-only once loaded
    struct option *schema;      // the engine's options and the providers', as one; conf borrows it
};
// Everything in its order: defaults, file, environment, options' members, options' settings.
int settings_load(struct settings *out, const parley_options *options, struct err *err);
void settings_release(struct settings *s);
// The log of a call without an engine: options' own, warnings and errors. Borrows options.
struct log options_log(const parley_options *options);
// The file that settings_load reads; NULL: none.
const char *settings_file(const parley_options *options);
// A folder of policies that was named must be there; the default one may be missing, as the
// policies inside the program are found all the same.
int settings_policies(const struct settings *s, struct err *err);
// No file or folder is called so; a bot's name gets the file of it that was meant, `ending` being
// ".lua", say. Fails with `code`.
int settings_missing(const char *path, const char *folder, const char *ending, int code,
                     struct err *err);
// Where the keyring is, appended to out; nothing for keys in memory only.
void settings_keyring(const struct settings *s, struct buf *out);
// Where the operator key is, as settings and environment say; borrows s.
void settings_operator(const struct settings *s, struct vault_options *out);

// ---- parley_migrate.c

// How records are sealed, and what the house record binds: an older parley did not bind their meta;
// another not which store it is.
enum seal_format { SEAL_OLD, SEAL_META, SEAL_NOW };
// The store's house record: which keyring it was sealed with, and how, and which store it is, a
// random number. Nobody can make one for another store without the keyring. (parley_seal.c)
struct seal_record {
    char id[VAULT_DIGEST_BYTES];     // a digest of the rest, by the keyring; "": there is no record
    char store[VAULT_DIGEST_BYTES];  // "" before SEAL_NOW
    int64_t rotations;               // of users' keys, when that was last done with this store
    uint64_t version;                // of the record, where it was read from the store
};
void seal_record_new(struct seal_record *r, const struct vault *v, const struct rand *rand);
bool seal_record_is(const struct seal_record *r, const struct vault *v, enum seal_format format);
enum { SEAL_META_BYTES = 160 };
void seal_record_write(const struct seal_record *r, char meta[SEAL_META_BYTES]);
// E_NOMEM, E_CORRUPT: *r is then as without one.
int seal_record_read(struct seal_record *r, struct slice meta, struct err *err);
#define HOUSE_KEYRING_KEY "keyring"
// After the store's schema is up to date: seals all records anew if they are of the old format.
// Adds what it did to report; dry_run only tells. Can be broken off and run again.
int seals_migrate(const struct settings *s, bool dry_run, struct buf *report, struct err *err);

// ---- parley_seal.c

struct seal_record;
// The store's house record; version 0: there is none. Blocking, on a loop that nobody else runs.
int seal_read(struct seal_record *out, struct store *store, struct loop *loop, struct err *err);
int seal_write(const struct seal_record *r, struct store *store, struct loop *loop,
               struct err *err);
// E_STORE: it is another keyring, or an old copy of this one. path: for the message.
int seal_check(const struct seal_record *r, struct vault *v, const char *path, struct err *err);
// Opens the engine's vault, if its keyring is the one that sealed the store.
int seal_open(parley *e, struct err *err);

// ---- parley_files.c

// Files that others can read, or write, and should not: a line each, with what to do. config: the
// configuration's, or NULL.
void files_check(const struct settings *s, const char *config, struct buf *report);

// ---- parley.c

struct hand {                    // a worker with what is its alone
    parley *engine;
    struct loop *loop;
    struct wire *wire;
    struct lua_loader *loader;
    struct worker *worker;
    pthread_t thread;
    bool started;
    struct loop_task drain;
    struct loop_task tell;       // after each turn of the loop
    bool told;                   // events were queued in this turn, for which somebody may wait
};

struct house;

struct parley {
    struct settings settings;
    struct engine_seams seams;
    const char *copy;            // borrowed; NULL but for engine_open_copy
    struct log log;
    void (*public_log)(void *user, parley_log_level level, const char *line);
    void (*trace)(void *user, const char *provider, const char *body, size_t body_bytes);
    void *user;
    const struct clock *clock;
    const struct rand *rand;
    char actor[AUDIT_ACTOR_BYTES];
    struct seal_record seal;     // the store's
    char *config;                // owned; the configuration's file; NULL: none
    struct secrets secrets;
    struct store *store;
    struct vault *vault;
    struct redactor *redactor;
    struct prices *prices;
    struct llm_caps_table *caps;
    struct lua_env lua;
    struct llm_env llm;
    struct event_queue events;
    bool events_ready;
    struct hand hands[WORKERS_MAX];
    unsigned hands_len;
    struct house *house;         // parley_jobs.c's; NULL: an engine that only reads
    atomic_uint_fast64_t next_request;
    atomic_uint under_way;
    // recovery at open
    pthread_mutex_t ready_lock;
    pthread_cond_t ready;
    bool recovered;
    int recover_code;
    char recover_message[ERR_MESSAGE_BYTES];
};

// Hands err to the caller; returns its code.
int public_error(parley_error *error, const struct err *err);
// The tables inside the binary. Both are the caller's, also after a failure.
int tables_load(struct prices **prices, struct llm_caps_table **caps, struct err *err);

// To who takes the engine's events; the last of a request ends it. Any thread.
void engine_event(parley *e, const struct event *event);

// ---- parley_jobs.c

int house_open(parley *e, struct err *err);
bool house_stands(const parley *e);
// On the first worker's loop: `idle` is called once, later, when nothing is under way.
void house_stop(parley *e, void (*idle)(void *user), void *user);
void house_free(parley *e);  // harmless without

// ---- parley_ask.c

// One more request under way, with its number; E_BUSY when there are too many.
int engine_take_request(parley *e, uint64_t *request, struct err *err);
// The same worker for a user, always.
struct worker *engine_worker_of(parley *e, const char *user);

// Every session of the scope that was active since then goes through b, which is borrowed until the
// one answer.
int engine_backtest(parley *e, const parley_scope *scope, int64_t since_ms, struct backtest *b,
                    parley_error *error);

// parley_audit_accept, and why: AUDIT_RESTORED after a restore.
int engine_audit_accept(parley *e, enum audit_detail why, uint64_t *request, parley_error *error);

// ---- parley_offline.c

enum { REPORT_BYTES_MAX = 16 << 20, CHECK_FILES_MAX = 10000 };
// The end of a call that answers with a report: hands it over, or else the error. Takes text.
int finish_report(struct buf *text, int code, char **report, struct err *err, parley_error *error);

#endif
