// SPDX-License-Identifier: MIT
// ledger.h: append and read turns. Insert-only: what was accepted stays; edits and undo supersede.
//
// A `struct ledger` belongs to one worker; a `struct chat` is one live session in it: the head, and
// the newest turns (as many as were loaded). One operation at a time per chat (the conductor
// queues); each completes through its op's `done` on the ledger's loop, never inside the call.
//
// Records written (all in the user's partition; see model/record.h for keys, model/*.h for meta):
//   accept  A1   insert turn/…/0, insert attempt/…/1 (open, due, owned), put or insert session/…;
//                with a first turn: put head/…, insert user (if absent); with a key: insert key/…;
//                in a new session with a system prompt, or of an edit: insert event/…; of a new or
//                resumed session: insert outbox/audit/… (ledger/audit.h) — one commit
//   attempt      put attempt/…/k-1 (settled), insert attempt/…/k (open, due, owned), delete part/…
//                                                           — one commit, before it is sent
//   keep         insert part/…, or put the newest while it is short — what has come so far
//   call         insert attempt/<its own id>/0/1 (open, due, owned); then put it, settled
//   settle  A2   insert turn/…/1, put attempt (settled, not due), put session/…, delete part/…;
//                when the cut moves, the system prompt changes or the turn is pinned: insert
//                event/…; of a turn that a budget refused: delete key/…   — one commit
//   undo, pin, constrain, take   insert event/…, put session/…    — one commit
//   summary      insert attempt/…/k (of a closed turn; open, due, owned), before it is sent; then
//                put it (settled), and with it summary/…, delete older ones   — one commit each
// A closed turn always has turn/…/1: without any reply it holds no content, only how it ended.
// Bodies over 200 KiB go on in records <key>/0000000001 …; the 50 records and 1 MiB of a commit
// bound what one acceptance or settlement may hold (E_REFUSED).
//
// An open attempt is `due` before any time there is (1), so that recovery finds it over all
// partitions by STORE_DUE and settles it if its owner (a claim) is dead. A head is due when its
// session is to be archived or its turns are to be deleted (model/expiry.h).
//
// Invariants: rules.h; a turn's records never change after settle; versions guard the head, so two
// processes that append to one session at once cannot interleave: the loser gets E_CONFLICT and
// reloads. After E_CONFLICT on the head, an ambiguous commit or a reload that failed, a chat is
// stale: whatever appends answers E_CONFLICT until ledger_reload succeeded.
#ifndef LEDGER_LEDGER_H
#define LEDGER_LEDGER_H

#include "base/log.h"
#include "base/loop.h"
#include "base/rand.h"
#include "model/attempt.h"
#include "model/session.h"
#include "model/summary.h"
#include "redact/redact.h"
#include "store/store.h"
#include "vault/vault.h"

struct ledger_env {
    struct store *store;
    struct vault *vault;
    struct loop *loop;
    const struct clock *clock;
    const struct rand *rand;
    const struct log *log;
    const char *store_id;  // which store it is, 32 hex digits, for heads of its audit trail; NULL:
                           // none is told from another
};
struct ledger;
int ledger_new(struct ledger **out, const struct ledger_env *env, struct err *err);
void ledger_free(struct ledger *l);  // NULL allowed; no op may be under way

// What an op answers. Embed one in the owner; it must stay until done.
struct ledger_op {
    void (*done)(struct ledger_op *op);
    void *user;
    int code;
    struct err err;
    bool ambiguous;                 // it may have happened (E_STORE): reload before anything else
    // accept: the key is in use
    bool key_taken;                 // with code E_CONFLICT
    bool key_same_text;
    char key_session[ID_TEXT_BYTES];
    uint32_t key_turn;
    // recover, verify, import: counts
    uint32_t turns, sessions;
    bool more;                      // purge: there is more to be deleted
    bool moved;                     // accept, take: from another device
    bool state_refused;             // settle: with a state too large, which stays as it was
    uint32_t orphans;               // verify: how many of the problems may be of a half import
    struct loop_task task;          // private
};

// A live session. Members are read-only to others.
struct chat {
    struct ledger *ledger;
    struct session_head head;
    const struct user_key *key;     // borrowed from the vault
    uint32_t first;                 // ordinal of turns[0]; head.turns + 1 when none is loaded
    struct turn *turns;             // owned; ordinals first … head.turns
    uint32_t turns_len, turns_cap;
    struct safe_buf system;         // the system prompt in force; empty until the first turn
    bool system_loaded;
    uint32_t parts;                 // parts kept of the reply under way
    struct attempt attempt;         // the open turn's newest attempt
    struct buf damage;              // ledger_read: what could not be read, a line each
    void *impl;                     // private
};

// Takes *head (moved out). The chat holds no turn yet. Synchronous.
int chat_new(struct chat **out, struct ledger *l, struct session_head *head,
             const struct user_key *key, struct err *err);
void chat_free(struct chat *c);     // NULL allowed
// The loaded turn with this ordinal, or NULL. The pointer is valid until the next op of this chat;
// its steps until the turn is settled or forgotten.
struct turn *chat_turn(const struct chat *c, uint32_t n);
// About how many bytes this chat holds in memory, rendered forms included (for the worker's limit).
// O(1).
size_t chat_bytes(const struct chat *c);

// Loads turns so that `first` (at least 1) and everything after it is there, and the system prompt.
// Ask for older ones page by page, newest first. E_CORRUPT names session and record, and what to do
// (session_quarantined); nothing is half loaded.
void ledger_load(struct chat *c, uint32_t first, struct ledger_op *op);
// Loads all turns for people to look at: what is damaged is left out, its turn is `damaged`, and
// c->damage tells. Such a chat is read-only: whatever appends to it answers E_CONFLICT.
void ledger_read(struct chat *c, struct ledger_op *op);
// What the newest attempt of a turn that sent something was made of; *out stays the caller's until
// done. E_NOT_FOUND: none did, or nobody knows; *out is then empty.
void ledger_find_sent(struct chat *c, uint32_t turn, struct sent *out, struct ledger_op *op);
// Turns first … last of a session, in order, for who only reads them: no chat is needed, and what
// is damaged is left out. `take` borrows the turn (superseded is not filled in); what it returns
// other than E_OK ends the reading. Names are borrowed until done.
struct ledger_pick {
    const char *partition, *session;
    const struct user_key *key;
    uint32_t first, last;
    int (*take)(void *user, const struct turn *t, struct err *err);
    void *user;
};
void ledger_pick(struct ledger *l, const struct ledger_pick *pick, struct ledger_op *op);
// Reads the head again (after E_CONFLICT) and drops what is loaded if it changed; of an open turn
// also its newest attempt (c->attempt, with the owner) and what was kept, so that its owner can go
// on.
void ledger_reload(struct chat *c, struct ledger_op *op);

// Makes the session durable without a turn, and the newest of its bot and context (reset).
void ledger_create(struct chat *c, const char *context_hash, struct slice user,
                   struct ledger_op *op);

// The same for one that follows another (its head says which, and what is told of it), with what
// the policy says first: an event of its own. E_CONFLICT: the newest session of bot and context is
// not what it was at pointer_version (0: whatever it is now) any more.
struct ledger_resume {
    const char *context_hash;
    struct slice user;
    uint64_t pointer_version;
    struct safe_text greeting;       // empty: none
};
void ledger_resume(struct chat *c, const struct ledger_resume *r, struct ledger_op *op);

struct ledger_accept {
    struct slice user;               // as given; sealed in the user record of a new partition
    char context_hash[VAULT_DIGEST_BYTES];
    const struct content *content;   // the user's step
    uint32_t tokens;
    struct safe_text system;         // the policy's system prompt now
    uint64_t system_hash;            // of it; only a session's first turn writes them (an event)
    const char *key_hash;            // NULL: no idempotency key
    const char *text_digest;         // keyed digest of the text, with key_hash
    uint32_t edit_from;              // 0, or: this turn and all after it are superseded too
    const struct expiry *expiry;     // the policy's now; borrowed during the call; NULL: as it was
    bool regenerate;                 // edit_from is asked again, in the same words: its pin stays
    bool resumed;                    // the user comes back after a gap, which is noted
    struct lease_asker by;           // the device; holder NULL: nobody asks which (model/lease.h)
    struct device_rules devices;     // the policy's now
};
// A1. All of *a is copied. On success the chat has the new open turn (head.turns). E_CONFLICT:
// key_taken, or the head moved (reload and try again); E_REFUSED: another device has the session
// as far as this chat knows (reload to be sure), or a turn is open (somebody is answering; says
// which turn). That the session moved to another device is an event and a note for
// the audit trail in the same commit (op->moved).
void ledger_accept(struct chat *c, const struct ledger_accept *a, struct ledger_op *op);
// The session goes on on this device from now on, although another one has it and may have a turn
// under way, which is settled as it would be: an event, a note and the head, one commit. op->moved:
// it was held by another; else there is nothing to do.
void ledger_take(struct chat *c, const struct lease_asker *by, struct ledger_op *op);
// Whether a key is taken, without accepting: fills key_* (E_OK) or E_NOT_FOUND. partition is
// borrowed until done.
void ledger_find_key(struct ledger *l, const char *partition, const struct user_key *key,
                     const char *key_hash, const char *text_digest, struct ledger_op *op);
// A further attempt of the open turn, after the last one failed as `last` says (settled in the same
// commit, with what it was made of; sent may be NULL). c->attempt is then the new one.
void ledger_attempt(struct chat *c, const struct attempt *last, const struct sent *sent,
                    struct ledger_op *op);
// A call of a provider beside the turns (an attempt of turn 0, see attempt.h). Both are the
// caller's, and stay until done.
struct ledger_call {
    const char *partition;
    const struct user_key *key;
    struct attempt attempt;  // open: kind, bot, provider and model are given; settle: how it ended
    char id[ID_TEXT_BYTES];  // the ledger's, as the version
    uint64_t version;
};
// Commits that it is about to be sent; then, once, how it ended.
void ledger_call_open(struct ledger *l, struct ledger_call *c, struct ledger_op *op);
void ledger_call_settle(struct ledger *l, struct ledger_call *c, struct ledger_op *op);
// Appends to what is kept of the open turn's reply.
void ledger_keep(struct chat *c, struct safe_text more, struct ledger_op *op);

struct ledger_settle {
    enum turn_status status;
    enum stop stop;
    const struct content *reply;     // copied; NULL or empty: no reply step is written …
    uint32_t tokens;                 // … but for `done` and `cut`, which always have one
    const char *policy, *provider, *model;   // "" where unknown
    const struct attempt *attempt;   // how the newest attempt ended
    const struct sent *sent;         // what it was made of; NULL: nothing was sent
    const char *free_key;            // NULL, or the hash of the turn's key, which is free again
    // The cut as it is from this turn on; NULL: unchanged. An event tells that it moved.
    const struct history_cut *cut;
    // With a cut: the system prompt in force from this turn on, and its hash; an event is written
    // if it is another one than the head's.
    struct safe_text system;
    uint64_t system_hash;
    bool pin;                        // the policy pins the turn (an event); not over the limit
    // JSON objects that go into the session's state, or empty; where keys are the same the later
    // one's is kept.
    struct safe_text states[3];
    bool resume;                     // the session was offered what was before, and takes it
    bool core;                       // core memory was changed by the turn's plans (an event)
};
// A2. On success the turn is closed and the head has no open turn.
void ledger_settle(struct chat *c, const struct ledger_settle *s, struct ledger_op *op);

enum supersede_kind { SUPERSEDE_UNDO, SUPERSEDE_EDIT };
// Marks turns first … head.turns superseded (an event record and the head, one commit).
void ledger_supersede(struct chat *c, uint32_t first, enum supersede_kind kind,
                      struct ledger_op *op);
// Pins a turn for the user, or lets one go, whoever pinned it: an event record and the head, one
// commit. E_NOT_FOUND: no such turn, or none that is pinned; E_REFUSED: it is superseded, one is
// open, too many (model/pins.h). A turn that is pinned already is written again.
void ledger_pin(struct chat *c, uint32_t turn, struct ledger_op *op);
void ledger_unpin(struct chat *c, uint32_t turn, struct ledger_op *op);
// What the user wants kept in mind as long as the session lives, word for word; and what no more,
// by its number: an event (with the text) and the head, one commit. E_USAGE, E_REFUSED, E_NOT_FOUND
// as model/constraints.h says; E_REFUSED also while a turn is open.
void ledger_constrain(struct chat *c, struct safe_text text, struct ledger_op *op);
void ledger_unconstrain(struct chat *c, uint32_t n, struct ledger_op *op);
// The open turn goes on in a new session: in one commit it is superseded here (event "moved"), and
// `to` (a chat_new with head.turns 0) is created with it as turn 1, open, same attempt, same key.
void ledger_move(struct chat *c, struct chat *to, const struct ledger_accept *a,
                 struct ledger_op *op);

// A recorded conversation becomes a session: all turns settled, in as many commits as the limits
// ask, the head last, so that a half import is no session. Steps and `at_ms` as given; takes
// nothing, and borrows turns until done. The context's newest session stays so if it is newer than
// the imported one.
void ledger_import(struct chat *c, const struct turn *turns, uint32_t len, const char *context_hash,
                   struct slice user, struct ledger_op *op);

// The newest summary of head's session that holds for it; head and *out (which is empty) stay the
// caller's until done. E_NOT_FOUND: there is none.
void ledger_find_summary(struct ledger *l, const struct session_head *head,
                         const struct user_key *key, struct summary *out, struct ledger_op *op);
// A call that makes a summary after a turn. It has nothing to do with a chat, and no turn waits for
// it. The caller's until done, with what it points to.
struct ledger_summing {
    const char *partition, *session, *bot;
    const struct user_key *key;
    uint32_t turn;                   // the newest that is closed
    struct attempt attempt;          // under way, or settled last; in: provider and model
    uint64_t version;                // of its record
};
// A further attempt, open: s->attempt says which.
void ledger_summary_attempt(struct ledger *l, struct ledger_summing *s, struct ledger_op *op);
// Settles it as s->attempt says, and in the same commit writes what was made; NULL: nothing was.
// E_CONFLICT: another process took this one for dead, and neither is written. One that is settled
// may be settled again, with what was made after all.
void ledger_summary_settle(struct ledger *l, struct ledger_summing *s, const struct summary *made,
                           struct ledger_op *op);

// Makes the head of a session anew that cannot be read, of its turns, events and attempts, if all
// of these are whole; E_CORRUPT: they are not, and it stays quarantined. op->sessions: it was made.
// What only the head knew is gone. Names are borrowed until done; bot and context are those of the
// record that points to the session.
struct ledger_rebuild {
    const char *partition, *session, *bot, *context;
    const struct user_key *key;
};
void ledger_rebuild(struct ledger *l, const struct ledger_rebuild *r, struct ledger_op *op);

// Settles open attempts of dead owners as lost, their turns as interrupted with what was kept;
// op->turns counts these turns. An open attempt of a turn that is closed is settled alone, as is
// one that was to make a summary. Safe to run in several processes at once, and while others work.
void ledger_recover(struct ledger *l, struct ledger_op *op);
// The same for one chat whose open turn's owner may be dead: E_OK when no turn is open any more,
// E_BUSY when its owner lives.
void ledger_recover_chat(struct chat *c, struct ledger_op *op);
// As ledger_recover_chat, and of this process's own turns too: the caller knows that nobody here
// works on it (its end could not be written).
void ledger_recover_own(struct chat *c, struct ledger_op *op);

// What becomes of a session that has grown old (model/expiry.h); c is made for it, its head is read
// first. Each says in op->sessions whether there was something to do; E_CONFLICT: somebody wrote to
// it meanwhile, look again later.
// Archives it if its time has come by now_ms; archived_at_ms becomes trusted_ms, which is how late
// it is at the most careful count (jobs/trust.h).
void ledger_archive(struct chat *c, int64_t now_ms, int64_t trusted_ms, struct ledger_op *op);
// Deletes the turns, parts and events of one that was archived long enough ago by trusted_ms:
// records_max of them at most (op->turns counts them; op->more: call again). What it cost stays, as
// do its summaries, and its head with how many turns there were. It takes no message any more.
void ledger_purge(struct chat *c, int64_t trusted_ms, uint32_t records_max, struct ledger_op *op);
// Once nothing else remembers what was said there: the session is due no more.
void ledger_purged(struct chat *c, struct ledger_op *op);

// Checks every session of a partition against rules.h and the records against each other. Problems
// are appended to report, a line each ("session …: turn 3: …"); op->sessions and turns count what
// was read. Of a partition of the house ("~…") which records there are, and those that have no seal
// (house.h); key may be NULL then.
void ledger_verify(struct ledger *l, const char *partition, const struct user_key *key,
                   struct buf *report, struct ledger_op *op);

#endif
