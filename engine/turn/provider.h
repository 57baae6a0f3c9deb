// SPDX-License-Identifier: MIT
// provider.h: which provider and model a run's calls go to, the open providers of a worker, and
// what a call of one used. The worker's thread.
#ifndef TURN_PROVIDER_H
#define TURN_PROVIDER_H

#include "turn/turn_int.h"

int provider_choose(struct run *run, struct err *err);  // fills provider, model, llm, caps
// The provider of this name, opened at its first use; borrowed from the worker.
int provider_open(struct worker *w, const char *name, struct llm **out, struct err *err);
// What a call off the users' path used, with its price: as the provider says, or by our counts.
// Whether *out is all that it can have been billed.
struct provider_use {
    const struct llm_reply *reply;
    const char *provider, *model;
    const struct encoding *encoding;
    uint64_t asked_tokens;         // by our counts
};
bool provider_used(const struct worker *w, const struct provider_use *call, struct usage *out);

#endif
