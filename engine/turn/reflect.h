// SPDX-License-Identifier: MIT
// reflect.h: JOB_REFLECT: what several conversations together say of a user, of job->partition and
// job->bot. jobs/reflect.h finds whose time has come.
//
//   book, policy, masks ─▶ due? ─no─▶ over
//        │ yes
//        ▼
//   the policy's hook ─▶ [a model, if the policy has one] ─▶ the gate ─▶ one commit: knowledge,
//                             └ late, wrong: the hook's alone               the manifest, not due
//
// Invariants:
//   1. Knowledge rests on facts that it cites: each is there and active when it is committed, and
//      they were said in two sessions at least (fact_book_conclude).
//   2. That a reflection is over is in the same commit as what came of it. Killed anywhere, it is
//      done again as a whole, and finds what is there already.
//   3. It is bounded: a model is shown REFLECT_FACTS_MAX facts and asked once, and of what comes of
//      it REFLECT_KNOWN_MAX conclusions are taken. A model that fails rests, longer each time;
//      after REFLECT_TRIES_MAX the hook's conclusions are all there is.
#ifndef TURN_REFLECT_H
#define TURN_REFLECT_H

#include "turn/turn_int.h"

enum {
    REFLECT_FACTS_MAX = 200, REFLECT_KNOWN_MAX = 16, REFLECT_TRIES_MAX = 3,
    REFLECT_REST_MS = 60 * 60 * 1000,
};

void reflect_start(struct run *run);

struct memory_manifest;
struct memory_rules;
// For a book_change's apply: one more session was learnt from. If they are enough, a reflection is
// due.
void reflect_count(struct memory_manifest *m, const struct memory_rules *rules, int64_t now_ms);

#endif
