// SPDX-License-Identifier: MIT
// predict.h: what a request will use and cost, before it is sent (predict.c).
#ifndef TURN_PREDICT_H
#define TURN_PREDICT_H

#include "turn/turn_int.h"

// What run's request, which is assembled, will use and cost.
void predict_usage(const struct run *run, struct usage *out);
// The most that it can cost; and the least that `most` will be for any request of run's, known once
// policy and model are.
void predict_most(const struct run *run, struct usage *out);
void predict_least(const struct run *run, struct usage *out);

#endif
