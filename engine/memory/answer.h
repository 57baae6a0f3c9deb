// SPDX-License-Identifier: MIT
// answer.h: a model's answer that is one list, {"facts":[…]} and nothing else, as it is asked for
// what it found. Read through once to check it, then once more to give it out, so that of an answer
// that is wrong anywhere nothing is taken. Pure; any thread.
#ifndef MEMORY_ANSWER_H
#define MEMORY_ANSWER_H

#include "base/json.h"

struct answer_list {
    const char *member, *one;  // "facts"; "fact", for people
    uint32_t items_max;
    uint32_t depth_max;
};
// Calls item for each of them, counted from 1, at first with take false: it says what is wrong
// (E_USAGE), which ends it; then with take true. E_USAGE: it is no such list; E_NOMEM; what `item`
// returned. Of the answer's own words an error has none.
int answer_read(struct slice answer, const struct answer_list *list,
                int (*item)(void *user, uint32_t n, struct json v, bool take, struct err *err),
                void *user, struct err *err);

#endif
