// SPDX-License-Identifier: MIT
// audit.h: what the audit trail tells: sensitive actions, without a word that people said and
// without their names. Plain values.
//
// A note says that something was done. Notes about a user are written with what they tell of, in
// one commit, as outbox records of the user's partition; the trail (ledger/audit.h) takes them from
// there. An entry is a note in the trail: numbered, and bound to the entry before it.
//
//   user's partition   outbox/audit/<id>             meta: note; sealed; due at AUDIT_DUE_MS
//   ~audit             entry/<n>                     meta: entry, its hash and its sum
//                      taken/<partition>/<id>        meta {}: this note is in the trail already
//                      policy/<bot>                  meta: the version that was loaded last
#ifndef MODEL_AUDIT_H
#define MODEL_AUDIT_H

#include "base/json.h"
#include "model/record.h"
#include "model/session.h"

#define AUDIT_PARTITION "~audit"
#define AUDIT_OUTBOX "outbox/audit/"

// Notes are due before everything else is, so that they, and nothing but them, are found at once.
enum { AUDIT_DUE_MS = 1 };

enum audit_action {
    AUDIT_SESSION_CREATED,     // of a bot; also by an import
    AUDIT_SESSION_RESUMED,     // after a gap for which the policy has its rules
    AUDIT_SESSION_MOVED,       // to another device
    AUDIT_USER_EXPORTED,
    AUDIT_USER_ERASED,
    AUDIT_FACT_FORGOTTEN,
    AUDIT_ORIGINALS_REVEALED,  // detail: to which sink; count: how many
    AUDIT_POLICY_LOADED,       // a version that is not the last one; detail: redaction is off
    AUDIT_KEYS_INITIALISED,
    AUDIT_KEYS_ROTATED,
    AUDIT_OPERATOR_READ,       // detail: what was read; without a subject: of all users
    AUDIT_TRAIL_ACCEPTED,      // the trail is signed as it is from here on; detail: why
    AUDIT_ACTIONS,
};
// What an action was about, where it says so.
enum audit_detail {
    AUDIT_NO_DETAIL,
    AUDIT_SESSIONS, AUDIT_SHOW, AUDIT_WHY, AUDIT_RECALL, AUDIT_MEMORY,           // read
    AUDIT_MODEL, AUDIT_CLIENT, AUDIT_TOOL, AUDIT_LOG, AUDIT_OPERATOR,            // sinks
    AUDIT_REDACTION_OFF,
    AUDIT_IMPORTED,
    AUDIT_RESTORED, AUDIT_ENTRIES_MISSING, AUDIT_HEAD_MISSING,                   // accepted
    AUDIT_DETAILS,
};
const char *audit_action_word(enum audit_action action);  // "session_created"
const char *audit_detail_word(enum audit_detail detail);  // "show"; "" for none
// True if word is one of the actions.
bool audit_action_find(struct slice word, enum audit_action *out);

enum { AUDIT_ACTOR_BYTES = 24, AUDIT_ID_BYTES = 17, AUDIT_SUBJECT_BYTES = 33,
       AUDIT_HASH_BYTES = 65, AUDIT_STORE_BYTES = 33 };

struct audit_note {
    enum audit_action action;
    enum audit_detail detail;
    // "uid:1000", who the system says runs the program; "" stands for "engine": nobody asked.
    char actor[AUDIT_ACTOR_BYTES];
    // A keyed digest that stands for the user (ledger/audit.h makes it); "": of nobody, or of all.
    char subject[AUDIT_SUBJECT_BYTES];
    char bot[BOT_NAME_BYTES];  // "": of none
    char policy[TURN_POLICY_BYTES];  // "hello@1f2e3d4c", the version; "": it does not matter
    uint32_t count;            // 0: nothing is counted
    int64_t at_ms;
};
// The actor who is a user of the operating system.
void audit_actor(unsigned long uid, char out[AUDIT_ACTOR_BYTES]);

// {"at","action","actor","subject"?,"detail"?,"bot"?,"policy"?,"count"?}
void audit_note_write(const struct audit_note *note, struct buf *out);
int audit_note_read(struct audit_note *note, struct slice meta, struct err *err);

struct audit_entry {
    uint32_t n;                    // from 1, without a gap
    struct audit_note note;
    char prev[AUDIT_HASH_BYTES];   // the hash of entry n - 1; zeros for the first
    char hash[AUDIT_HASH_BYTES];   // of what audit_entry_write writes
};
extern const char audit_first[AUDIT_HASH_BYTES];  // what the first entry is bound to
// What is hashed: {"n", … as of a note, "prev"}. The same entry gives the same bytes.
void audit_entry_write(const struct audit_entry *entry, struct buf *out);
// Reads these, `hash` (required) and whatever else is there.
int audit_entry_read(struct audit_entry *entry, struct slice meta, struct err *err);

// How far the trail went: the newest entry, or none (n 0, and audit_first). Who knows a head can
// tell that entries up to it were changed, or are missing.
struct audit_head {
    char store[AUDIT_STORE_BYTES];  // whose trail it is; "": of a store without a number
    uint32_t n;
    char hash[AUDIT_HASH_BYTES];
    int64_t at_ms;  // when it was signed
};

// {"store","n","hash","at"}: what is signed, and reading it (and whatever else is there).
void audit_head_write(const struct audit_head *head, struct json_writer *w);
int audit_head_read(struct audit_head *head, struct slice text, struct err *err);

void key_audit_note(struct buf *out, const char *id);          // outbox/audit/<id>
void key_audit_entry(struct buf *out, uint32_t n);             // entry/<n>
void key_audit_taken(struct buf *out, const char *partition, const char *id);
void key_audit_taken_all(struct buf *out);                     // taken/
void key_audit_policy(struct buf *out, const char *bot);       // policy/<bot>

#endif
