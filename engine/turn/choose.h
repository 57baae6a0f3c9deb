// SPDX-License-Identifier: MIT
// choose.h: which turns of the history are sent (choose.c draws it). Only turn/ may include this
// file; one worker, one thread.
#ifndef TURN_CHOOSE_H
#define TURN_CHOOSE_H

#include "turn/turn_int.h"

// The first pinned turn after `after`, or 0.
uint32_t choose_next_pinned(const struct history_plan *plan, uint32_t after);
// A turn that may be sent: loaded and not superseded; else NULL.
struct turn *choose_candidate(const struct chat *chat, uint32_t n);
// One that is not passed over either (c->turn_tokens_max).
struct turn *choose_sent(const struct context *c, const struct chat *chat, uint32_t n);
// What a cut at `first` is made for; never compared between versions of the program.
uint64_t choose_plan_hash(const struct history_plan *plan, const char *provider, const char *model,
                          uint32_t first);
// The oldest turn before `upto` that the plan may want, going on from `cut` (first 0: from none).
uint32_t choose_first_needed(const struct chat *chat, const struct history_plan *plan,
                             const struct history_cut *cut, uint32_t upto);
// Chooses turns before `upto` and sums: fills first, pins_end, history_tokens and squeezed. The
// caller has set turn_tokens_max. All that choose_first_needed said must be loaded.
void choose_turns(struct context *c, const struct chat *chat, const struct history_plan *plan,
                  const struct history_cut *cut, uint32_t upto, uint64_t budget_tokens);

#endif
