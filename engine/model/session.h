// SPDX-License-Identifier: MIT
// session.h: a session's head: all of a conversation but its turns. Written with every turn.
#ifndef MODEL_SESSION_H
#define MODEL_SESSION_H

#include "base/id.h"
#include "model/constraints.h"
#include "model/expiry.h"
#include "model/lease.h"
#include "model/pins.h"
#include "model/turn.h"

enum session_status { SESSION_ACTIVE, SESSION_SOFT_EXPIRED, SESSION_HARD_EXPIRED,
                      SESSION_ARCHIVED };
const char *session_status_word(enum session_status s);

enum { BOT_NAME_BYTES = 64, CONTEXT_BYTES = 256, USER_BYTES = 256, PARTITION_BYTES = 33,
       SUPERSEDED_RANGES_MAX = 512 };  // the longest fit a record's meta with all else
// So that the ordinal after the last one is an ordinal too.
#define SESSION_TURNS_MAX (UINT32_MAX - 1)

// A run of superseded turns, both ends included.
struct turn_range {
    uint32_t first, last;
};

// From where on the history is sent. It is moved in big steps and written with the turn that moves
// it, so that the requests of a session begin with the same bytes from turn to turn, and after a
// restart: that is what providers' prompt caches need.
struct history_cut {
    uint32_t first;  // oldest turn of the run of newest ones; 0: nothing was sent yet
    uint32_t turn;   // the turn whose request was the first to begin so
    uint32_t pins_end;  // pinned turns before this one are sent too, the others found no room; at
                        // most `first`, and mostly that
    uint64_t plan;   // hash of what it was made for; another one makes another cut
    uint32_t summary;  // the summary that is sent in front, by its last turn; 0: none
};

// How a session began, where another one of its bot and context went before.
enum session_origin {
    ORIGIN_NEW,      // with nothing before it, or the person wanted it so
    ORIGIN_FRESH,    // too long after
    ORIGIN_OFFERED,  // what was before is not told, unless the policy says so (plan.resume)
    ORIGIN_PRIMED,   // it is told what was before
};
const char *session_origin_word(enum session_origin o);

// What a session knows beside its turns. Owned by its head.
struct session_notes {
    struct safe_buf state;     // a JSON object, as plans say; or empty
    struct safe_buf primer;    // of the session before, quoted lines; or empty
    struct safe_buf greeting;  // what the policy said first; or empty
};
enum { SESSION_STATE_BYTES_MAX = 112 << 10, SESSION_PRIMER_BYTES_MAX = 8 << 10,
       SESSION_GREETING_BYTES_MAX = 2 << 10, SESSION_STATE_KEYS_MAX = 64 };
int session_notes_new(struct session_notes **out, struct err *err);
void session_notes_free(struct session_notes *n);  // NULL allowed

struct session_head {
    char id[ID_TEXT_BYTES];
    char partition[PARTITION_BYTES];  // the user's, hex of the keyed hash
    char bot[BOT_NAME_BYTES];
    char context[CONTEXT_BYTES];      // as given; sealed in the body
    enum session_status status;
    uint32_t turns;                   // turns accepted so far: the last ordinal
    uint32_t open_turn;               // 0: none
    uint32_t events;                  // ledger events so far
    uint64_t tokens;                  // estimate over turns that are not superseded
    uint64_t system_hash;             // of the system prompt in force; 0: none
    struct history_cut cut;
    struct session_pins pins;         // of turns that are not superseded
    int64_t created_at_ms, last_active_at_ms, expires_at_ms;  // expires 0: never
    struct expiry expiry;             // the policy's, as of the last message
    int64_t archived_at_ms;           // as the sweep counts time; with SESSION_ARCHIVED
    uint32_t purged;                  // turns that were deleted, which are all; 0: none
    bool purging;                     // some of them are there yet
    struct session_lease lease;       // which device it goes on on
    enum session_origin origin;
    char before[ID_TEXT_BYTES];       // the session that went before; empty: none
    struct session_notes *notes;      // owned; NULL: none
    struct turn_range *superseded;    // owned; sorted, disjoint
    uint32_t superseded_len;
    struct constraints *constraints;  // owned; NULL: none
    uint64_t version;                 // the record's, for put-if-version; 0: not stored yet
    bool quarantined;                 // in lists: only id and partition could be read
};

// A session is quarantined while a record that it needs cannot be read: nothing is added to it,
// and nothing else is harmed. Makes of what was wrong with the record an error for people: which
// session, which record, what to do. Returns E_CORRUPT.
int session_quarantined(struct err *err, const char *id);

void session_head_release(struct session_head *h);
int session_head_copy(struct session_head *out, const struct session_head *h, struct err *err);
// What it is at that time: archived as stored, all else by its head. One with an open turn is
// active.
enum session_status session_status_at(const struct session_head *h, int64_t now_ms);
// When the sweep is to look at it; 0: never.
int64_t session_due_at(const struct session_head *h);
// Sets what the state has of more (both JSON objects): its keys are put in the place of those of
// the same name, and `false` takes one away. E_REFUSED over SESSION_STATE_BYTES_MAX or _KEYS_MAX,
// the state then being as it was; E_NOMEM.
int session_merge_state(struct session_head *h, struct safe_text more, struct err *err);
// What a session that follows `before` knows of it from the first: `topic` and `open_questions`.
int session_inherit_state(struct session_head *h, const struct session_head *before,
                          struct err *err);
// The state's open_questions[i], as it is written there (with its escapes); empty past the last.
struct safe_text session_open_question(const struct session_head *h, uint32_t i);
struct safe_text session_state(const struct session_head *h);
// The state's member `key` as text, appended to out: a string, or the i-th of a list of them.
// False: there is none, and nothing is appended.
bool session_state_text(const struct session_head *h, const char *key, uint32_t i,
                        struct safe_buf *out);
struct safe_text session_primer(const struct session_head *h);
struct safe_text session_greeting(const struct session_head *h);
bool session_is_superseded(const struct session_head *h, uint32_t turn);
// How many turns up to this one, with it, are not superseded.
uint32_t session_live_turns(const struct session_head *h, uint32_t upto);
// Adds a range, merging; what was pinned in it is no more. E_REFUSED over SUPERSEDED_RANGES_MAX
// (merged ranges), E_NOMEM.
int session_supersede(struct session_head *h, uint32_t first, uint32_t last, struct err *err);

// Meta of key session/<id>: {"bot","status","turns","open_turn","events","tokens","system_hash"
// (hex string), "cut":[first,turn,"plan (hex)",summary (if any),pins_end (if it is not first)],
// "created_at","last_active_at","expires_at" (ms; 0 left out), "superseded":[[first,last],…],
// "pins":[[turn,"user"],…],"expiry":["sliding",soft,hard,purge],"archived_at","purged","purging",
// "origin","before","lease":{"holder","epoch","since","lapse" (where the policy has one device; 0:
// never),"before"} (what is 0 or empty left out)}; body: {"context":"…","device":"…" (the lease's),
// "constraints":[[n,since,"text"],…],"v":1,"state":{…},"primer":"…","greeting":"…"}, what is empty
// left out (no body when all is).
void session_write_meta(const struct session_head *h, struct buf *out);
int session_read_meta(struct session_head *h, struct slice meta, struct err *err);
void session_write_body(const struct session_head *h, struct safe_buf *out);
int session_read_body(struct session_head *h, struct safe_text body, struct err *err);

// Body of a partition's record `user`: {"user":"…"}, the id as given. Its meta is {}.
void user_write_body(struct slice user, struct safe_buf *out);
int user_read_body(char out[USER_BYTES], struct safe_text body, struct err *err);

#endif
