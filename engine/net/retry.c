// SPDX-License-Identifier: MIT
// retry.c: THE decision table: how a call ended -> what happens next.
//
// Invariants
// 1. The first row that matches decides. Every outcome matches a row, and no row matches a status
//    "because nothing else did": the ranges are written out, and a test walks all of them.
// 2. RETRY_YES is said only where nothing was accepted: the request was not sent, or the provider
//    refused it by status. What may have been accepted is RETRY_AMBIGUOUS, whatever else is said.
// 3. Once reply text came, it is kept; it is never paid for a second time.
// Pure; any thread.
#include "net/retry.h"

#include "base/err.h"

#include <limits.h>

// What a row asks of the outcome, besides its end and status.
enum need {
    TEXT = 1 << 0,         // reply text came
    OVERFLOW = 1 << 1,     // the body says that the context does not fit
    QUOTA = 1 << 2,        // the body says spend cap, credit or quota
    NO_AFTER = 1 << 3,     // no retry-after header
    TOLD_TO = 1 << 4,      // x-should-retry: true
    TOLD_NOT_TO = 1 << 5,  // x-should-retry: false
};

enum {
    STATUS = 1 << CALL_STATUS,
    NO_CONNECT = 1 << CALL_NO_CONNECT,
    TIMEOUT = 1 << CALL_TIMEOUT_FIRST,
    LOST = 1 << CALL_LOST,
    CUT = 1 << CALL_CUT,
    ERROR_EVENT = 1 << CALL_ERROR_EVENT,
    BAD_REPLY = 1 << CALL_BAD_REPLY,
    CANCELLED = 1 << CALL_CANCELLED,
    ANY_END = (CANCELLED << 1) - 1,
};

enum { ANTHROPIC = 1 << RETRY_ANTHROPIC, OPENAI = 1 << RETRY_OPENAI, BOTH = ANTHROPIC | OPENAI };

struct rule {
    unsigned ends, dialects;
    int from, to;  // statuses, both included; looked at for CALL_STATUS only
    unsigned needs;
    enum retry_verdict verdict;
    const char *why;
};

static const struct rule RULES[] = {
    // What came is worth more than another try.
    {CANCELLED, BOTH, 0, 0, TEXT, RETRY_KEEP, "stopped: what had come is kept"},
    {ANY_END, BOTH, INT_MIN, INT_MAX, TEXT, RETRY_KEEP, "the reply was cut: what had come is kept"},

    // Not sent, or not by our will: no status to look at.
    {CANCELLED, BOTH, 0, 0, 0, RETRY_NO, "stopped before any text came"},
    {NO_CONNECT, BOTH, 0, 0, 0, RETRY_YES,
     "no connection to the provider: check its address and the network"},
    {TIMEOUT, BOTH, 0, 0, 0, RETRY_AMBIGUOUS,
     "no answer in time: the provider may have accepted the request"},
    {LOST, BOTH, 0, 0, 0, RETRY_AMBIGUOUS,
     "the connection was lost: the provider may have accepted the request"},
    {CUT, BOTH, 0, 0, 0, RETRY_AMBIGUOUS,
     "the reply ended before its first text: the provider had accepted the request"},
    {BAD_REPLY, BOTH, 0, 0, 0, RETRY_NO,
     "the answer is not what this kind of provider sends: check the provider's address and kind"},

    // What the body says outweighs status and headers. A context that does not fit may also be said
    // inside a stream that had begun.
    {STATUS | ERROR_EVENT, BOTH, 400, 599, OVERFLOW, RETRY_SMALLER,
     "the conversation does not fit the model's context"},
    {STATUS, BOTH, 413, 413, 0, RETRY_SMALLER, "the request has too many bytes for the provider"},
    {STATUS | ERROR_EVENT, BOTH, 400, 599, QUOTA, RETRY_NO,
     "spend cap, credit or quota reached: raise it in the provider's console"},
    {ERROR_EVENT, BOTH, 0, 0, 0, RETRY_AMBIGUOUS,
     "the provider failed after it had accepted the request"},

    // Here the missing header is what says it, whatever the others say.
    {STATUS, ANTHROPIC, 429, 429, NO_AFTER, RETRY_NO,
     "too many requests, and no word of when to try again, as at a spend cap: see the limits in "
     "the provider's console"},

    // The provider's own word on whether to come back. A "try again" does not undo what may have
    // been accepted: a gateway that stopped waiting does not know what became of the request.
    {STATUS, BOTH, 400, 599, TOLD_NOT_TO, RETRY_NO, "the provider asks not to try again"},
    {STATUS, BOTH, 504, 504, 0, RETRY_AMBIGUOUS,
     "the provider timed out: it may have accepted the request"},
    {STATUS, BOTH, 520, 520, 0, RETRY_AMBIGUOUS,
     "the provider's gateway got no usable answer: the request may have been accepted"},
    {STATUS, BOTH, 524, 524, 0, RETRY_AMBIGUOUS,
     "the provider's gateway timed out: the request may have been accepted"},
    {STATUS, BOTH, 400, 599, TOLD_TO, RETRY_YES, "the provider asks to try again"},

    // Refusals that another try does not change.
    {STATUS, BOTH, 400, 400, 0, RETRY_NO, "the provider calls the request invalid"},
    {STATUS, BOTH, 401, 401, 0, RETRY_NO, "the provider refuses the API key: check it"},
    {STATUS, BOTH, 402, 402, 0, RETRY_NO, "the provider asks for payment: check billing there"},
    {STATUS, BOTH, 403, 403, 0, RETRY_NO,
     "the API key may not do this: check its permissions and the model's name"},
    {STATUS, BOTH, 404, 404, 0, RETRY_NO,
     "the provider knows no such model or address: check both"},
    {STATUS, BOTH, 405, 407, 0, RETRY_NO,
     "the provider does not answer this kind of request: check its address and kind"},
    {STATUS, BOTH, 410, 412, 0, RETRY_NO, "the provider refuses the request"},
    {STATUS, BOTH, 414, 428, 0, RETRY_NO, "the provider refuses the request"},
    {STATUS, BOTH, 430, 499, 0, RETRY_NO, "the provider refuses the request"},
    {STATUS, BOTH, 501, 501, 0, RETRY_NO,
     "the provider cannot do this: check its address and kind"},
    {STATUS, BOTH, 505, 505, 0, RETRY_NO,
     "the provider does not speak this version of HTTP: check its address"},
    {STATUS, BOTH, 511, 511, 0, RETRY_NO, "the network asks for a login first"},

    // Refusals of the moment.
    {STATUS, BOTH, 408, 408, 0, RETRY_YES, "the request did not reach the provider in time"},
    {STATUS, BOTH, 409, 409, 0, RETRY_YES, "the provider was busy with another request of ours"},
    {STATUS, BOTH, 429, 429, 0, RETRY_YES, "rate limited"},
    {STATUS, BOTH, 500, 500, 0, RETRY_YES, "the provider failed"},
    {STATUS, BOTH, 502, 502, 0, RETRY_YES, "the provider's gateway failed"},
    {STATUS, BOTH, 503, 503, 0, RETRY_YES, "the provider is overloaded or starting"},
    {STATUS, BOTH, 506, 510, 0, RETRY_YES, "the provider failed"},
    {STATUS, BOTH, 512, 519, 0, RETRY_YES, "the provider failed"},
    {STATUS, BOTH, 521, 523, 0, RETRY_YES, "the provider's gateway does not reach it"},
    {STATUS, BOTH, 525, 528, 0, RETRY_YES, "the provider's gateway does not reach it"},
    {STATUS, BOTH, 529, 529, 0, RETRY_YES, "the provider is overloaded"},
    {STATUS, BOTH, 530, 599, 0, RETRY_YES, "the provider failed"},

    // Statuses that are no refusal at all.
    {STATUS, BOTH, 100, 199, 0, RETRY_AMBIGUOUS,
     "the answer ended before it began: the provider may have accepted the request"},
    {STATUS, BOTH, 200, 299, 0, RETRY_NO,
     "the provider accepted the request but sent no reply: check its address and kind"},
    {STATUS, BOTH, 300, 399, 0, RETRY_NO,
     "the provider sends us elsewhere, and redirects are not followed: correct its address"},
    {STATUS, BOTH, INT_MIN, 99, 0, RETRY_NO, "the answer is not HTTP: check the address"},
    {STATUS, BOTH, 600, INT_MAX, 0, RETRY_NO, "the answer is not HTTP: check the address"},
};

static unsigned facts_of(const struct call_outcome *outcome)
{
    unsigned facts = 0;

    if (outcome->any_text)
        facts |= TEXT;
    if (outcome->overflow)
        facts |= OVERFLOW;
    if (outcome->quota)
        facts |= QUOTA;
    if (outcome->retry_after_ms < 0)
        facts |= NO_AFTER;
    if (outcome->should_retry > 0)
        facts |= TOLD_TO;
    if (outcome->should_retry == 0)
        facts |= TOLD_NOT_TO;
    return facts;
}

static const struct rule *rule_for(enum retry_dialect dialect, const struct call_outcome *outcome)
{
    unsigned facts = facts_of(outcome);

    for (size_t i = 0; i < sizeof(RULES) / sizeof(RULES[0]); i++) {
        const struct rule *rule = &RULES[i];
        bool status_fits = outcome->end != CALL_STATUS ||
                           (outcome->status >= rule->from && outcome->status <= rule->to);
        if ((rule->ends >> outcome->end & 1) && (rule->dialects >> dialect & 1) && status_fits &&
            (facts & rule->needs) == rule->needs)
            return rule;
    }
    BUG("no rule for end %d, status %d", (int)outcome->end, outcome->status);
}

// 0.5 s, doubled to 8 s, less up to a quarter, so that many callers do not come back at once.
static int64_t backoff_ms(unsigned attempt, const struct rand *rand)
{
    enum { FIRST_MS = 500, DOUBLINGS_MAX = 4 };
    unsigned doublings = attempt - 1 < DOUBLINGS_MAX ? attempt - 1 : DOUBLINGS_MAX;
    int64_t ms = (int64_t)FIRST_MS << doublings;

    return ms - (int64_t)rand_below(rand, (uint64_t)ms / 4 + 1);
}

struct retry_decision retry_decide(enum retry_dialect dialect, const struct call_outcome *outcome,
                                   unsigned attempt, const struct rand *rand)
{
    BUG_ON(attempt == 0);
    const struct rule *rule = rule_for(dialect, outcome);
    struct retry_decision decision = {.verdict = rule->verdict, .why = rule->why};

    if (rule->verdict != RETRY_YES && rule->verdict != RETRY_AMBIGUOUS)
        return decision;
    if (attempt >= RETRY_ATTEMPTS_MAX) {
        decision.verdict = RETRY_NO;
    } else if (outcome->retry_after_ms > RETRY_WAIT_MS_MAX) {
        decision.verdict = RETRY_NO;
        decision.why = "the provider asks to wait for more than a minute: try again later";
    } else if (outcome->retry_after_ms >= 0) {
        decision.wait_ms = outcome->retry_after_ms;
    } else {
        decision.wait_ms = backoff_ms(attempt, rand);
    }
    return decision;
}
