// SPDX-License-Identifier: MIT
// extraction.h: the answer of a model that was asked for facts, read strictly.
//
//   {"facts":[{"turn":3,"kind":"circumstance","subject":"user","predicate":"lives_in",
//              "value":"Lisbon","quote":"I live in Lisbon","negates":false}]}
//
// `subject` and `negates` may be left out ("user", false); `quote` is where the turn says so, word
// for word. The answer is that object and nothing else: no fence around it, no word before or after
// it, no member that is not named here, none twice.
//
// Texts are as the model wrote them, escapes undone: they are no safe text, even if the answer was.
// Pure; any thread.
#ifndef MEMORY_EXTRACTION_H
#define MEMORY_EXTRACTION_H

#include "model/fact.h"

enum { EXTRACTION_FACTS_MAX = 256, EXTRACTION_DEPTH_MAX = 4, EXTRACTION_QUOTE_BYTES_MAX = 4 << 10 };

struct extracted {
    uint32_t turn;
    enum fact_kind kind;
    struct slice subject, predicate, value, quote;  // borrowed; subject empty: the user
    bool negates;
};
// Gives each fact to `take`; what that returns other than E_OK ends the reading. E_USAGE says what
// is wrong and where, in words of ours; nothing was given then. E_NOMEM.
int extraction_read(struct slice answer,
                    int (*take)(void *user, const struct extracted *e, struct err *err),
                    void *user, struct err *err);

#endif
