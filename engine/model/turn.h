// SPDX-License-Identifier: MIT
// turn.h: a turn is one user step and what answered it; the only unit that histories choose.
//
//                    ┌────────────▶ done         a whole reply (end, stop_sequence, refusal)
//   (accepted) open ─┼────────────▶ cut          a reply that was cut; what came is kept
//                    ├────────────▶ interrupted  the process died meanwhile; what was kept is shown
//                    └────────────▶ failed       no reply
//
// Statuses never change after they left `open`; undo and edit mark a turn superseded beside it.
#ifndef MODEL_TURN_H
#define MODEL_TURN_H

#include "model/message.h"
#include "model/usage.h"
#include <stdint.h>

enum turn_status { TURN_OPEN, TURN_DONE, TURN_CUT, TURN_INTERRUPTED, TURN_FAILED };
const char *turn_status_word(enum turn_status s);

enum stop { STOP_NONE, STOP_END, STOP_MAX_TOKENS, STOP_SEQUENCE, STOP_REFUSAL, STOP_FILTER,
            STOP_LOST, STOP_USER, STOP_TOOL_USE };
const char *stop_word(enum stop s);  // "" for STOP_NONE, "stop_sequence" for STOP_SEQUENCE
// end, stop_sequence and refusal make a turn done; the others cut.
enum turn_status stop_status(enum stop s);

enum { TURN_STEPS_MAX = 64, TURN_POLICY_BYTES = 64, MODEL_NAME_BYTES = 96 };

// A message's rendered form for one provider dialect, kept while the session is live.
struct wire_form {
    char *ptr;         // owned; NULL: not rendered
    uint32_t len;
    uint8_t dialect;   // enum llm_dialect
    bool foreign;      // as the step was when it was rendered
};

struct step {
    enum role role;
    struct content content;
    uint32_t tokens;          // estimate or count of this message alone
    int64_t at_ms;
    struct wire_form wire;
    bool foreign;             // said by or to another model than the one that is asked now: what
                              // only that one can read is left out. Set for each request
};

// What planning asks of a turn each time, told by its steps once: they are only appended, and never
// change.
struct turn_gist {
    uint32_t steps;           // of which it was made; 0: it was not made yet
    bool plain;               // the user's words and a reply, with nothing that is to be looked at
    uint32_t reply_tokens;    // of a plain turn's reply
    uint64_t tokens;          // of all steps, as we count
};

struct turn {
    uint32_t n;               // ordinal in its session, from 1
    enum turn_status status;
    enum stop stop;
    bool superseded;          // undone or edited: never sent again, still shown on request
    bool damaged;             // shown as far as it could be read (ledger_read); never sent
    uint32_t steps_len;       // >= 1; steps[0] is the user's
    struct step *steps;       // owned
    struct turn_gist gist;    // turn_gist
    int64_t at_ms;
    uint32_t epoch;           // of the one device that said it (model/lease.h); 0: of any
    struct usage usage;       // of all its calls
    char policy[TURN_POLICY_BYTES];    // "hello@1f2e3d4c": name and version that handled it
    char provider[MODEL_NAME_BYTES];   // empty while unknown or when the policy answered itself
    char model[MODEL_NAME_BYTES];
};

void step_release(struct step *s);
void turn_release(struct turn *t);
// The reply step, or NULL when there is none.
const struct step *turn_reply(const struct turn *t);
uint64_t turn_tokens(const struct turn *t);  // of all its steps, as we count

void turn_make_gist(struct turn *t);
static inline const struct turn_gist *turn_gist(struct turn *t)
{
    if (t->gist.steps != t->steps_len)
        turn_make_gist(t);
    return &t->gist;
}

// Meta of a step's record (key turn/<session>/<n>/<step>).
// Step 0:     {"role":"user","at":ms,"tokens":n,"epoch":n (if there is one)}
// Later ones: {"role":"assistant","at":ms,"tokens":n,"status":"done","stop":"end","policy":"…",
//              "provider":"…","model":"…", usage members}; status on the turn's last step only.
void turn_write_user_meta(const struct turn *t, struct buf *out);
void turn_write_reply_meta(const struct turn *t, const struct step *s, struct buf *out);
// Fills t and s from a step's meta; E_CORRUPT names the member.
int turn_read_meta(struct turn *t, struct step *s, struct slice meta, struct err *err);

#endif
