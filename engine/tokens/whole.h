// SPDX-License-Identifier: MIT
// whole.h: whether a provider's count of tokens can be of all that it was sent.
//
// Some servers cut what does not fit and say nothing: what is oldest is gone, the system prompt
// with it, and the reply looks like any other. (Ollama 0.3x: a prompt over num_ctx is cut to half
// of it, or message by message, with a 200; usage is of what is left: ollama/ollama #3839, #17427.)
// The one sign is the usage: a request that begins with all of an earlier one cannot have fewer
// tokens than that, nor any request far fewer than its text has.
//
// A low count has another cause too: servers that count only what was not in their cache (Ollama
// before 0.1.34 and 0.30.0: #3427, #16428). Then it is about what is new since the last request.
// Pure; any thread.
#ifndef TOKENS_WHOLE_H
#define TOKENS_WHOLE_H

#include "tokens/calibration.h"

struct count_check {
    const struct calibration *calibration;  // NULL: estimates are exact
    uint64_t estimated;                     // tokens of the request, by us
    uint64_t newest;                        // of it, what surely was in no request before
    // A request that this one begins with: our estimate, and what the provider said. 0: none known.
    uint64_t told_estimated, told_tokens;
    uint64_t tokens;                        // what the provider says now
};
enum count_says {
    COUNT_WHOLE,   // it can be of all
    COUNT_FRESH,   // it looks like a count of what is new: it says nothing of the whole
    COUNT_CUT,     // it is of less than was sent
};
enum count_says count_judge(const struct count_check *check);

#endif
