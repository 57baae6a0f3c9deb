// SPDX-License-Identifier: MIT
// ledger_int.h: how the ledger's files work together. Only ledger/ may include this file.
//
// Every operation is a `struct work`, taken from the ledger's pool: its store op, the batch that it
// builds, and what the chat becomes if that batch is committed. So what memory an operation needs
// is had before the commit, and what follows a commit cannot fail:
//
//   work_begin ─▶ build the batch and the chat's next state ─▶ work_commit ─▶ apply ─▶ work_end
//
// Invariants:
//   1. A chat has at most one work under way; two at once are a BUG.
//   2. op->done never runs inside the call that started it.
//   3. A chat is changed only after a commit that succeeded. After one that may have happened, or
//      that met somebody else's, the chat is stale: it refuses to append until it was read again.
// A ledger and its works belong to one thread.
#ifndef LEDGER_LEDGER_INT_H
#define LEDGER_LEDGER_INT_H

#include "base/json.h"
#include "ledger/audit.h"
#include "ledger/ledger.h"
#include "ledger/rules.h"

enum {
    BODY_SPLIT_BYTES = 200 << 10, // longer bodies go on in further records; sealed, these fit
    BODY_BYTES_MAX = 4 << 20,     // of one encoded content (escapes make it longer than its text)
    PART_BYTES = 24 << 10,        // the newest part grows to this before the next begins
    PAGE_RECORDS = 500,           // a scan's page
    DAMAGE_BYTES_MAX = 1 << 20,   // of what a chat tells about its damage
    WORKS_KEPT_MAX = 64,
    ATTEMPT_DUE_MS = 1,           // of an open one: before anything that is due at a time
    KEPT_BYTES = 64 << 10,        // a buffer of a pooled work that grew beyond this is let go
};

// ---- commit.c: a batch in the making

// To add an item: write its key to `name`, its meta to `meta`, its text to `body`, then call
// commit_add. Errors stick and show in commit_close.
struct commit {
    struct vault *vault;             // borrowed
    const struct user_key *key;      // borrowed
    struct slice partition;          // borrowed
    struct buf name, meta;           // of the next item
    struct safe_buf body;
    struct store_item items[STORE_BATCH_ITEMS_MAX];
    struct commit_place { size_t key, meta, body; } places[STORE_BATCH_ITEMS_MAX];  // in the arena
    uint32_t len;
    struct buf arena;                // all that the items point to, in one piece
    int code;
    struct err err;
};
void commit_init(struct commit *b);
void commit_release(struct commit *b);
void commit_trim(struct commit *b);  // one long message must not make every pooled one large
void commit_begin(struct commit *b, struct vault *vault, const struct user_key *key,
                  const char *partition);
// Takes what name, meta and body hold and empties them. A long body goes on in records
// <key>/<part>. Returns the item's index.
uint32_t commit_add(struct commit *b, enum store_item_verb verb, uint64_t version);
// The same for what is no text that may leave: the pages and the originals of masks (masks.c). One
// record.
uint32_t commit_add_bytes(struct commit *b, enum store_item_verb verb, uint64_t version,
                          struct slice bytes);
// The same for a record of the house, which has no seal: its text must be empty.
void commit_add_bare(struct commit *b, enum store_item_verb verb, uint64_t version);
void commit_delete(struct commit *b);  // what `name` says, whatever its version
void commit_delete_version(struct commit *b, uint64_t version);  // if it has this one
// Drops the items after the first `len`, and the error that adding them met.
void commit_cut(struct commit *b, uint32_t len);
// Points the items at their bytes. Nothing may be added after.
int commit_close(struct commit *b, struct err *err);

// ---- ledger.c: works

struct ledger {
    struct ledger_env env;
    struct work *works;              // the pool
    uint32_t works_kept;
    uint32_t works_out;
    struct json_doc doc;             // scratch
};

struct chat_impl {
    struct work *work;               // under way, or NULL
    bool stale;                      // read again before appending
    uint64_t attempt_version;        // of c->attempt's record
    struct usage usage;              // of the open turn's settled attempts
    struct safe_buf tail;            // text of the newest part
    uint64_t tail_version;
    size_t kept_bytes;               // in all parts
    size_t turns_bytes;              // that the loaded turns hold
};

// What an acceptance was asked for, copied: user, keys and system point into the work.
struct asked {
    struct ledger_accept a;
    char user[USER_BYTES];
    struct expiry expiry;
    char key_hash[VAULT_DIGEST_BYTES], text_digest[VAULT_DIGEST_BYTES];
    char holder[DEVICE_HOLDER_BYTES], device[DEVICE_BYTES];
};

struct work {
    struct ledger *ledger;
    struct chat *chat;               // NULL: the work is the ledger's
    const struct user_key *key;      // the chat's, or the one that the operation was given
    struct ledger_op *op;
    bool returned;                   // a store op came back, so `done` may be called from here
    void (*step)(struct work *w);    // what follows the store op
    void (*then)(struct work *w);    // what follows the loading
    struct store_op store;
    struct buf prefix, after;        // of the scan under way
    struct commit commit;
    // What the chat becomes.
    struct session_head head;
    bool head_owned;                 // else it shares the chat's superseded ranges
    struct turn turn;
    struct attempt attempt;
    struct safe_buf text;            // the new system prompt; of a keep, the newest part
    bool new_system;                 // it is the chat's from now on
    uint32_t head_item, attempt_item, key_item;
    size_t kept_bytes;
    uint32_t first;                  // supersede: the first turn
    const char *event;               // and the kind of its event
    struct chat *to;                 // move: the new session
    uint64_t pointer_version;        // import: of the context's pointer
    uint32_t limit;                  // of the scan's pages; 0: PAGE_RECORDS
    int64_t when_ms, trusted_ms;     // archive: the time it is, and as far as it is known
    struct asked asked;
    // What only some operations need.
    void *state;
    void (*drop)(void *state);
    struct work *next;
};

// NULL: out of memory; the op is answered.
struct work *work_begin(struct ledger *l, struct chat *c, struct ledger_op *op);
// The same for an op that appends: also NULL, and answered, when the chat is stale.
struct work *work_append(struct chat *c, struct ledger_op *op);
// Answers the op; w is gone, and so may be all that the op's owner frees.
void work_end(struct work *w, int code);
// work_end with a message.
void work_fail(struct work *w, int code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
// work_end; E_CORRUPT tells that the chat's session is quarantined.
void work_end_reading(struct work *w, int code);
// Ends with what the store said about `what`; true if it said E_OK, and nothing ended.
bool work_store_ok(struct work *w, const char *what);
// An empty store op to fill; drops the results of the last one.
struct store_op *work_store_op(struct work *w, enum store_verb verb, const char *partition);
void work_submit(struct work *w, void (*step)(struct work *w));
// The records under w->prefix, after w->after (a key, or empty), page by page.
void work_scan(struct work *w, const char *partition, void (*step)(struct work *w));
// Asks for the next page; false when there is none.
bool work_scan_more(struct work *w);
// As work_scan, from the last key to the first.
void work_scan_back(struct work *w, const char *partition, void (*step)(struct work *w));
void work_get(struct work *w, const char *partition, const struct buf *key,
              void (*step)(struct work *w));
void work_commit(struct work *w, void (*step)(struct work *w));
// A state of the operation's own, zeroed, dropped with the work. NULL: out of memory, w is ended.
void *work_state(struct work *w, size_t bytes, void (*drop)(void *state));

// The meta of a record without a body, after its seal; *out lives until the next. E_CORRUPT,
// E_NOMEM.
int ledger_read_json(struct ledger *l, const struct user_key *key, const struct record *row,
                     struct json *out, struct err *err);
// Appends a record's body to out; its meta is what was sealed with it, too. E_CORRUPT, E_NOMEM.
int ledger_unseal(struct ledger *l, const struct user_key *key, const struct record *row,
                  struct safe_buf *out, struct err *err);
static inline int64_t ledger_now(const struct ledger *l)
{
    return clock_wall_ms(l->env.clock);
}

// ---- chat.c: a chat's next state, and applying it

// Forgets the turns and what is known of the open one.
void chat_forget(struct chat *c);
void chat_forget_open(struct chat *c);
void chat_forget_parts(struct chat *c);
// Room for one more turn.
int chat_reserve(struct chat *c, struct err *err);
// A turn without its records: n, one step with content copied (room for two).
int turn_new(struct turn *t, uint32_t n, const struct content *content, uint32_t tokens,
             int64_t at_ms, struct err *err);
size_t turn_bytes(const struct turn *t);
// w->head becomes a copy of the chat's; owned when its superseded ranges will change.
int work_head(struct work *w, bool owned, struct err *err);
// Supersedes first … last in w->head (owned); all of them are loaded.
int work_supersede(struct work *w, uint32_t first, uint32_t last, struct err *err);
// Adds w->head to the batch; remembers which item it is.
void work_add_head(struct work *w);
// Adds the pointer to the newest session of a bot and context: whatever it said, or of this version
// (0: there was none).
void work_add_pointer(struct work *w, const struct session_head *h, const char *context_hash);
void work_add_pointer_over(struct work *w, const struct session_head *h, const char *context_hash,
                           uint64_t version);
// Adds the partition's user record.
void work_add_user(struct work *w, struct slice user);
uint32_t work_add_attempt(struct work *w, enum store_item_verb verb, uint64_t version,
                          const char *session, const struct attempt *a, const struct sent *sent);
// Deletes the parts kept of the open turn's reply.
void work_add_parts_gone(struct work *w);
// An event of w->head, numbered. `body` is what the commit's body holds already.
void work_add_event(struct work *w, const char *kind, uint32_t turn, const char *to);
// One that says that turns first … last count no more.
void work_add_superseding(struct work *w, const char *kind, uint32_t first, uint32_t last,
                          const char *to);
void work_add_step(struct work *w, const char *session, const struct turn *t, uint32_t step);
// A turn's second and last step, with its status; without content if the turn got no reply.
void work_add_reply(struct work *w, const char *session, const struct turn *t,
                    const struct step *s);
// accept.c: the key of w->asked, and the system prompt if it is another one than w->head's.
// Copies what is needed after the call that asked; w->turn is the open turn to be.
int work_ask(struct work *w, const struct ledger_accept *a, uint32_t n, struct err *err);
void work_add_key(struct work *w, enum store_item_verb verb, const char *session, uint32_t turn);
void work_add_system(struct work *w);
// The commit happened: c's system prompt is w->text.
void work_apply_system(struct work *w, struct chat *c);
// The commit happened: c has w->turn, open, with w->attempt.
void work_apply_turn(struct work *w, struct chat *c);
// The commit happened: the chat has w->head now.
void work_apply_head(struct work *w);
// The attempt of a turn that is accepted now.
void attempt_open(struct attempt *a, const struct ledger *l, const struct session_head *h,
                  uint32_t turn, uint32_t n);

// ---- take.c: which device the session goes on on

// Whether another device than w->asked's has the chat's session; then w is ended.
bool work_held(struct work *w);
// w->head, and the turn that begins, are w->asked's device's; w->op->moved: it was another's.
void work_lease(struct work *w);
// Adds what tells of it to the batch.
void work_add_moved(struct work *w);

// ---- audit.c: notes for the audit trail

// Adds an outbox record: a note about the batch's user, whose subject is made here.
void commit_note(struct commit *b, const struct rand *rand, const struct audit_note *note);
// The same about w->head's session.
void work_add_session_note(struct work *w, enum audit_action action, enum audit_detail detail);

// ---- reader.c: turns out of records

struct reader {
    struct ledger *ledger;
    const struct user_key *key;
    struct turn turn;                // under way; n 0: none
    uint32_t step, part;             // the next step; the newest part of the pending one's body
    struct step pending;
    bool has_pending;
    bool damaged;                    // the turn under way lacks what could not be read
    struct safe_buf body;
    char name[RECORD_KEY_BYTES_MAX + 1];  // the pending record's key
    // Takes *t, a whole turn.
    int (*on_turn)(void *user, struct turn *t, struct err *err);
    void *user;
};
void reader_init(struct reader *r, struct ledger *l, const struct user_key *key);
void reader_release(struct reader *r);
// Records in the order of their keys. E_CORRUPT names the record.
int reader_row(struct reader *r, const struct record *row, struct err *err);
int reader_end(struct reader *r, struct err *err);
// The ordinals in a key "kind/<session>/<a>/<b>/<c>"; how many there are, 0 if it is not one of
// these.
unsigned key_ordinals(struct slice key, struct slice *session, uint32_t out[3]);
// Drops a key's last ordinal: what it and its siblings begin with. A key that found no memory stays
// one.
void key_siblings(struct buf *key);

// ---- load.c

// Loads what is missing, then goes on with `step`, unless it fails (then w is ended).
void load_turns(struct work *w, uint32_t first, void (*step)(struct work *w));
// Reads the head, and the newest attempt of an open turn and what was kept of it, then goes on.
// w->text is all that was kept.
void load_head(struct work *w, void (*step)(struct work *w));

#endif
