// SPDX-License-Identifier: MIT
// summary.h: summaries of sessions: when one is due, and those that are being made (summary.c).
// What a turn sends of one is summary_turn.c's.
#ifndef TURN_SUMMARY_H
#define TURN_SUMMARY_H

#include "turn/turn_int.h"

// The turn up to which a summary of the session is due by plan, now that its newest turn is closed;
// `base`: what one stands for already. 0: none is. Turns from the cut on must be loaded.
uint32_t summary_due(const struct chat *chat, const struct history_plan *plan, uint32_t base,
                     uint64_t budget_tokens);
// After A2: begins to make one if it is due. Never waits, and nothing waits for it.
void summary_after(struct run *run);
// At a session's end: one of all its turns is made, if run's policy has summaries and they follow
// from its plan alone; then `then`, now or later. run is JOB_LEARN's, with its policy and masks.
// Where none can be made the log tells, and it goes on.
void summary_at_end(struct run *run, const struct session_head *head,
                    void (*then)(struct run *run));
bool summaries_busy(const struct worker *w);
void summaries_drain(struct worker *w);  // those under way end soon
void summaries_free(struct worker *w);

#endif
