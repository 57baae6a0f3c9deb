// SPDX-License-Identifier: MIT
// conclusions.h: the answer of a model that was asked what several conversations say together, read
// strictly.
//
//   {"knowledge":[{"kind":"pattern","subject":"user","predicate":"plans",
//                  "value":"decides in the evening","facts":["0a1b2c3d4e5f","60718293a4b5"]}]}
//
// `subject` may be left out ("user"); `facts` are those that it rests on, by their ids. The answer
// is that object and nothing else, as memory/extraction.h has it. Whether the facts bear it is for
// the book to say (fact_book_conclude).
//
// Texts are as the model wrote them, escapes undone: they are no safe text, even if the answer was.
// Pure; any thread.
#ifndef MEMORY_CONCLUSIONS_H
#define MEMORY_CONCLUSIONS_H

#include "model/fact.h"

enum { CONCLUSIONS_MAX = 64, CONCLUSION_FACTS_MAX = 16, CONCLUSIONS_DEPTH_MAX = 5 };

struct concluded {
    enum fact_kind kind;
    struct slice subject, predicate, value;  // borrowed; subject empty: the user
    char facts[CONCLUSION_FACTS_MAX][FACT_ID_BYTES];
    uint32_t facts_len;                      // at least 1
};
// Gives each to `take`; what that returns other than E_OK ends the reading. E_USAGE says what is
// wrong and where, in words of ours; nothing was given then. E_NOMEM.
int conclusions_read(struct slice answer,
                     int (*take)(void *user, const struct concluded *c, struct err *err),
                     void *user, struct err *err);

#endif
