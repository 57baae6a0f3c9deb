// SPDX-License-Identifier: MIT
// attempt.h: one call of a provider, committed before it is sent, settled after.
//
//   open ──▶ done | cut | failed   the provider's answer is known, its usage recorded
//     ├────▶ unused                the policy answered by itself; nothing was sent
//     └────▶ lost                  the process died: what was billed is a declared unknown
//
// While it is open, and once it is lost, its cost is unknown, and so is then its turn's.
#ifndef MODEL_ATTEMPT_H
#define MODEL_ATTEMPT_H

#include "model/sent.h"
#include "model/turn.h"

enum attempt_status { ATTEMPT_OPEN, ATTEMPT_DONE, ATTEMPT_CUT, ATTEMPT_FAILED, ATTEMPT_UNUSED,
                      ATTEMPT_LOST };
const char *attempt_status_word(enum attempt_status s);

// What a call is for. A reply's attempts, and those of what is made after it for its session, are
// of a turn; the others' are of none (turn 0): each has an id of its own in the session's place.
enum attempt_kind { ATTEMPT_REPLY, ATTEMPT_SUMMARY, ATTEMPT_EMBEDDING,
                    ATTEMPT_EXTRACTION /* of facts */, ATTEMPT_JOURNAL, ATTEMPT_REFLECTION };
const char *attempt_kind_word(enum attempt_kind k);
static inline bool attempt_of_no_turn(enum attempt_kind k)
{
    return k >= ATTEMPT_EMBEDDING;
}

enum { CLAIM_BYTES = 48 };

struct attempt {
    enum attempt_kind kind;
    uint32_t turn;                    // the turn's ordinal
    uint32_t n;                       // from 1 within the turn
    enum attempt_status status;
    char owner[CLAIM_BYTES];          // claim of the process that runs it (store_claim)
    char bot[TURN_POLICY_BYTES];
    char provider[MODEL_NAME_BYTES];  // empty: not known yet
    char model[MODEL_NAME_BYTES];
    int http_status;                  // 0: none
    int64_t at_ms;
    struct usage usage;
};

// Meta of key attempt/<session>/<turn>/<n>: {"status","kind" (if not a reply),"owner" (while
// open),"bot","provider","model","http" (if not 0),"at", usage members,"sent" (sent.h)}. No body.
// sent may be NULL: nothing was sent, or it is not known yet.
void attempt_write_meta(const struct attempt *a, const struct sent *sent, struct buf *out);
int attempt_read_meta(struct attempt *a, struct slice meta, struct err *err);

#endif
