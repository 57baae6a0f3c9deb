// SPDX-License-Identifier: MIT
// constrain.h: what a request is to keep in mind, word for word (constrain.c).
#ifndef TURN_CONSTRAIN_H
#define TURN_CONSTRAIN_H

#include "turn/turn_int.h"

// What run's request is to keep to, into its context: what was stated before turn `cut_turn` for
// the front, what is newer for the newest message. E_NOMEM.
int constraints_compose(struct run *run, uint32_t cut_turn, struct err *err);
void constraints_release(struct context *c);
static inline uint64_t constraints_tokens(const struct context *c)
{
    return (uint64_t)c->constraints_front.tokens + c->constraints_fresh.tokens;
}

#endif
