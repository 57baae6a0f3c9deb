// SPDX-License-Identifier: MIT
// core.h: core memory in a request (core.c), and what plans say of memory (remember.c).
#ifndef TURN_CORE_H
#define TURN_CORE_H

#include "turn/turn_int.h"

// Whether what is always kept in mind stands in front of all that is sent, as the cut of turn
// `cut_turn` stands: it was changed last before that was made.
bool core_is_in_front(const struct run *run, uint32_t cut_turn);
// Appends it, quoted; nothing where there is none. E_NOMEM, E_REFUSED.
int core_quote(const struct run *run, struct safe_buf *out, struct err *err);

struct plan;
// Takes what a plan says of memory; a later plan of the turn has the last word.
void plan_memory_take(struct run *run, struct plan *p);
bool plan_memory_any(const struct run *run);
// Writes it, and calls `then`, later: what cannot be written is told as a warning, and the turn
// goes on.
void plan_memory_write(struct run *run, void (*then)(struct run *run));
void plan_memory_free(struct run *run);  // harmless without

#endif
