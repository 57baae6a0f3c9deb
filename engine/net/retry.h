// SPDX-License-Identifier: MIT
// retry.h: what to do after a failed call, as one table (retry.c) instead of code in the adapters.
#ifndef NET_RETRY_H
#define NET_RETRY_H

#include "base/rand.h"
#include <stdbool.h>
#include <stdint.h>

enum retry_dialect { RETRY_ANTHROPIC, RETRY_OPENAI };

// How a call ended, as far as retrying is concerned.
enum call_end {
    CALL_STATUS,        // an HTTP status other than 2xx
    CALL_NO_CONNECT,    // nothing was sent: name, route, TLS, refused
    CALL_TIMEOUT_FIRST, // sent, no first byte in time: may have been accepted (and billed)
    CALL_LOST,          // sent, then the connection broke before a status: ambiguous as well
    CALL_CUT,           // a 2xx stream that ended before its terminal event
    CALL_ERROR_EVENT,   // an error inside a 2xx stream
    CALL_BAD_REPLY,     // 2xx that is not what the dialect says
    CALL_CANCELLED,     // by the user or by shutdown
};

struct call_outcome {
    enum call_end end;
    int status;                   // CALL_STATUS
    int64_t retry_after_ms;       // from the headers; -1: none
    int should_retry;             // x-should-retry: 1, 0, -1 absent
    bool quota;                   // the body says spend cap, credit or quota
    bool overflow;                // the body says that the context does not fit
    bool any_text;                // reply text came before the end
};

enum retry_verdict {
    RETRY_NO,            // tell the user; the turn is failed
    RETRY_YES,           // nothing was accepted: wait, then send a new attempt
    RETRY_AMBIGUOUS,     // it may have been accepted and billed: only if the policy says so
    RETRY_SMALLER,       // the context does not fit: a smaller plan
    RETRY_KEEP,          // keep what came as a cut reply
};
struct retry_decision {
    enum retry_verdict verdict;
    int64_t wait_ms;
    const char *why;     // for people: "rate limited", "spend cap reached: …"; static
};

enum { RETRY_ATTEMPTS_MAX = 3, RETRY_WAIT_MS_MAX = 60000 };

// Pure, apart from jitter out of rand. `attempt` counts from 1. A wait over RETRY_WAIT_MS_MAX is a
// no, and from attempt RETRY_ATTEMPTS_MAX on so is what would otherwise be sent again.
struct retry_decision retry_decide(enum retry_dialect dialect, const struct call_outcome *outcome,
                                   unsigned attempt, const struct rand *rand);

#endif
