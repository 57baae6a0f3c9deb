// SPDX-License-Identifier: MIT
// record.h: what a store holds, and the names of the records.
//
// Key parts that come from people (user, context, idempotency key) are keyed hashes (vault_digest);
// the rest is readable. Numbers in keys are ten digits, zero-padded; order is bytewise everywhere.
#ifndef MODEL_RECORD_H
#define MODEL_RECORD_H

#include "base/buf.h"
#include "base/slice.h"
#include <stdint.h>

// Bytes sealed by the vault. Only vault/ makes them from text; store/ hands back what it was given.
struct sealed {
    struct slice bytes;
};

struct record {
    struct slice partition;  // the user's (32 hex digits) or a "~name" of the house
    struct slice key;        // at most RECORD_KEY_BYTES_MAX bytes
    uint64_t version;        // 1 when inserted, one more with each put; 0: absent
    int64_t due_at_ms;       // 0: never due
    int64_t count;           // for counters (STORE_ADD); 0 elsewhere
    struct slice meta;       // a JSON object: counts, times, enumerations, nothing said by people
    struct sealed body;      // empty allowed
};

// What belongs to no user is in the partition of the house.
#define HOUSE_PARTITION "~house"
#define HOUSE_CLOCK_KEY "clock"  // jobs/trust.h

enum { RECORD_KEY_BYTES_MAX = 255, RECORD_META_BYTES_MAX = 16 << 10,
       RECORD_BODY_BYTES_MAX = 256 << 10 };

// Keys, appended to a buffer that is cleared first.
void key_user(struct buf *out);                                             // user
void key_head(struct buf *out, const char *bot, const char *context_hash);  // head/<bot>/<context>
void key_session(struct buf *out, const char *session);                     // session/<id>
void key_turn(struct buf *out, const char *session, uint32_t n, uint32_t step);
void key_turn_prefix(struct buf *out, const char *session);                 // turn/<session>/
void key_part(struct buf *out, const char *session, uint32_t n, uint32_t step, uint32_t part);
                                                    // part/<session>/<n>/<step>/<part>
void key_attempt(struct buf *out, const char *session, uint32_t turn, uint32_t n);
void key_parts(struct buf *out, const char *session);                       // part/<session>/
void key_events(struct buf *out, const char *session);                      // event/<session>/
void key_event(struct buf *out, const char *session, uint32_t n);           // event/<session>/<n>
void key_idem(struct buf *out, const char *hash);                           // key/<hash>
void key_summary(struct buf *out, const char *session, uint32_t upto);  // summary/<session>/<upto>
void key_summaries(struct buf *out, const char *session);               // summary/<session>/
void key_recall(struct buf *out, const char *bot);                          // recall/<bot>
void key_recall_parts(struct buf *out, const char *bot);                    // recall/<bot>/
// recall/<bot>/<number>/<stamp>/<part>; stamp: what parts two that wrote the same number at once
void key_recall_part(struct buf *out, const char *bot, uint32_t number, const char *stamp,
                     uint32_t part);
void key_masks(struct buf *out, uint32_t page);                             // masks/<page>
// original/<kind>/<n>/<bot>
void key_original(struct buf *out, const char *kind, uint32_t n, const char *bot);
// What outlives a conversation (memory.h). tier: "fact" or "knowledge".
void key_memory(struct buf *out, const char *bot);                          // memory/<bot>
void key_slots(struct buf *out, const char *tier, const char *bot);         // fact/<bot>/
void key_slot(struct buf *out, const char *tier, const char *bot, const char *digest);
                                                                            // fact/<bot>/<digest>
void key_journals(struct buf *out, const char *bot);                        // journal/<bot>/
void key_journal(struct buf *out, const char *bot, const char *session);  // journal/<bot>/<session>
void key_core(struct buf *out, const char *bot);                            // core/<bot>
void key_learnt(struct buf *out, const char *session);                      // learnt/<session>
// tokens/<provider>/<model>, of the house
void key_tokens(struct buf *out, const char *provider, const char *model);
void key_erased(struct buf *out, const char *partition);  // erased/<partition>, of the house
void key_erasures(struct buf *out);                       // erasures, of the house
// spend/…: spend.h
// Splits at '/'; returns the number of parts, at most max (what is more stays in the last).
unsigned key_split(struct slice key, struct slice *parts, unsigned max);
// A ten-digit number as keys hold it; false if it is none.
bool key_number(struct slice part, uint32_t *out);

#endif
