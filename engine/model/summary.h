// SPDX-License-Identifier: MIT
// summary.h: what stands for turns of a session that are not sent any more, in a model's words.
//
// A summary is for the turns up to one of them, `upto`, as they counted when it was made. Turns
// never change once they are settled, and what is undone is always a session's end: so a summary
// holds as long as these turns all still count, and after an undo that reaches into them it never
// holds again (its words may tell what was undone).
#ifndef MODEL_SUMMARY_H
#define MODEL_SUMMARY_H

#include "model/plan.h"
#include "model/session.h"

struct summary {
    uint32_t upto;                    // the last turn that it stands for; 0: there is none
    uint32_t turns;                   // how many it stands for: those that counted
    uint32_t base;                    // the summary that it goes on from, by `upto`; 0: turns alone
    uint32_t generation;              // 1: made of turns alone; else one more than its base's
    uint32_t left_out;                // sentences that what was said does not bear out
    uint32_t tokens;                  // of its text, as its model counts
    int64_t at_ms;
    char by[PLAN_BY_BYTES];           // whose choice: "policies/kiosk.lua:14"
    char provider[MODEL_NAME_BYTES], model[MODEL_NAME_BYTES];  // who made it
    struct safe_buf text;             // owned
};
enum { SUMMARY_BYTES_MAX = 64 << 10 };

void summary_init(struct summary *s);     // none
void summary_release(struct summary *s);  // none again
// Whether all turns that it stands for still count in the session.
bool summary_holds(const struct summary *s, const struct session_head *h);

// Meta of key summary/<session>/<upto>: {"turns","base" (if any),"generation","left_out" (if any),
// "tokens","at","by","provider","model"}; the body is the text.
void summary_write_meta(const struct summary *s, struct buf *out);
// Leaves upto, which is in the key, and the text alone. E_CORRUPT names the member.
int summary_read_meta(struct summary *s, struct slice meta, struct err *err);

#endif
