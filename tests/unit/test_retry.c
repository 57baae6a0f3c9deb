// SPDX-License-Identifier: MIT
// The retry table: every outcome is declared, and what must never be sent twice is not.
#include "net/retry.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static const enum retry_dialect DIALECTS[] = {RETRY_ANTHROPIC, RETRY_OPENAI};
enum { DIALECTS_LEN = sizeof(DIALECTS) / sizeof(DIALECTS[0]) };

static struct call_outcome ended(enum call_end end)
{
    return (struct call_outcome){.end = end, .retry_after_ms = -1, .should_retry = -1};
}

static struct call_outcome status(int code)
{
    struct call_outcome outcome = ended(CALL_STATUS);
    outcome.status = code;
    return outcome;
}

static struct retry_decision decide(enum retry_dialect dialect, struct call_outcome outcome,
                                    unsigned attempt)
{
    struct rand_sim rand;
    rand_sim_init(&rand, 7);
    return retry_decide(dialect, &outcome, attempt, &rand.rand);
}

static enum retry_verdict verdict(enum retry_dialect dialect, struct call_outcome outcome)
{
    return decide(dialect, outcome, 1).verdict;
}

static void assert_both(int code, enum retry_verdict expected)
{
    for (size_t d = 0; d < DIALECTS_LEN; d++) {
        struct call_outcome outcome = status(code);
        if (code == 429)
            outcome.retry_after_ms = 1000;
        if (verdict(DIALECTS[d], outcome) != expected)
            fail_msg("status %d, dialect %zu: verdict %d", code, d,
                     (int)verdict(DIALECTS[d], outcome));
    }
}

// Calls check with every combination of end, status, dialect, headers and body.
static void walk(void (*check)(enum retry_dialect, const struct call_outcome *,
                               const struct retry_decision *))
{
    static const int64_t AFTER[] = {-1, 0, 1500, RETRY_WAIT_MS_MAX, RETRY_WAIT_MS_MAX + 1};

    for (int end = CALL_STATUS; end <= CALL_CANCELLED; end++)
        for (int code = end == CALL_STATUS ? 0 : 599; code <= (end == CALL_STATUS ? 999 : 599);
             code++)
            for (unsigned bits = 0; bits < 3 * 5 * 8; bits++) {
                struct call_outcome outcome = ended((enum call_end)end);
                outcome.status = code;
                outcome.should_retry = (int)(bits % 3) - 1;
                outcome.retry_after_ms = AFTER[bits / 3 % 5];
                outcome.quota = bits / 15 & 1;
                outcome.overflow = bits / 15 & 2;
                outcome.any_text = bits / 15 & 4;
                for (size_t d = 0; d < DIALECTS_LEN; d++) {
                    struct retry_decision decision = decide(DIALECTS[d], outcome, 1 + bits % 2);
                    check(DIALECTS[d], &outcome, &decision);
                }
            }
}

static void check_properties(enum retry_dialect dialect, const struct call_outcome *outcome,
                             const struct retry_decision *decision)
{
    (void)dialect;
    bool waits = decision->verdict == RETRY_YES || decision->verdict == RETRY_AMBIGUOUS;

    assert_non_null(decision->why);
    assert_true(strlen(decision->why) > 0);
    assert_true(decision->wait_ms >= 0 && decision->wait_ms <= RETRY_WAIT_MS_MAX);
    if (!waits)
        assert_int_equal(decision->wait_ms, 0);
    if (outcome->any_text)
        assert_int_equal(decision->verdict, RETRY_KEEP);
    else
        assert_int_not_equal(decision->verdict, RETRY_KEEP);
    if (waits && outcome->retry_after_ms >= 0)
        assert_int_equal(decision->wait_ms, outcome->retry_after_ms);
}

static void test_retry__every_outcome_is_declared(void **state)
{
    (void)state;
    walk(check_properties);  // an undeclared one is a BUG and aborts
}

static void check_ambiguity(enum retry_dialect dialect, const struct call_outcome *outcome,
                            const struct retry_decision *decision)
{
    (void)dialect;
    // Accepted by status, or no telling: only these two ends say that nothing was accepted.
    bool refused = outcome->end == CALL_STATUS && outcome->status >= 400 &&
                   outcome->status <= 599 && outcome->status != 504 &&
                   outcome->status != 520 && outcome->status != 524;

    if (decision->verdict == RETRY_YES)
        assert_true(outcome->end == CALL_NO_CONNECT || refused);
    if (decision->verdict == RETRY_YES && outcome->end == CALL_STATUS)
        assert_false(outcome->quota || outcome->overflow || outcome->should_retry == 0);
}

static void test_retry__ambiguous_is_never_a_plain_yes(void **state)
{
    (void)state;
    walk(check_ambiguity);
    for (size_t d = 0; d < DIALECTS_LEN; d++) {
        assert_int_equal(verdict(DIALECTS[d], ended(CALL_TIMEOUT_FIRST)), RETRY_AMBIGUOUS);
        assert_int_equal(verdict(DIALECTS[d], ended(CALL_LOST)), RETRY_AMBIGUOUS);
        assert_int_equal(verdict(DIALECTS[d], ended(CALL_CUT)), RETRY_AMBIGUOUS);
        assert_int_equal(verdict(DIALECTS[d], ended(CALL_ERROR_EVENT)), RETRY_AMBIGUOUS);
        struct call_outcome gateway = status(504);
        gateway.should_retry = 1;
        assert_int_equal(verdict(DIALECTS[d], gateway), RETRY_AMBIGUOUS);
    }
}

static void test_retry__statuses(void **state)
{
    (void)state;
    static const int YES[] = {408, 409, 429, 500, 502, 503, 521, 529, 599};
    static const int NO[] = {200, 204, 301, 302, 307, 400, 401, 402,
                             403, 404, 405, 414, 422, 451, 501};
    static const int AMBIGUOUS[] = {100, 101, 504, 520, 524};

    for (size_t i = 0; i < sizeof(YES) / sizeof(YES[0]); i++)
        assert_both(YES[i], RETRY_YES);
    for (size_t i = 0; i < sizeof(NO) / sizeof(NO[0]); i++)
        assert_both(NO[i], RETRY_NO);
    for (size_t i = 0; i < sizeof(AMBIGUOUS) / sizeof(AMBIGUOUS[0]); i++)
        assert_both(AMBIGUOUS[i], RETRY_AMBIGUOUS);
}

static void test_retry__spend_cap_and_quota(void **state)
{
    (void)state;
    struct call_outcome limited = status(429);

    // Without retry-after, only Anthropic means the monthly cap.
    assert_int_equal(verdict(RETRY_ANTHROPIC, limited), RETRY_NO);
    assert_non_null(strstr(decide(RETRY_ANTHROPIC, limited, 1).why, "spend cap"));
    assert_int_equal(verdict(RETRY_OPENAI, limited), RETRY_YES);
    limited.should_retry = 1;
    assert_int_equal(verdict(RETRY_ANTHROPIC, limited), RETRY_NO);
    limited.should_retry = -1;
    limited.retry_after_ms = 0;
    assert_int_equal(verdict(RETRY_ANTHROPIC, limited), RETRY_YES);
    limited.quota = true;
    assert_int_equal(verdict(RETRY_ANTHROPIC, limited), RETRY_NO);
    assert_int_equal(verdict(RETRY_OPENAI, limited), RETRY_NO);
    struct call_outcome inside = ended(CALL_ERROR_EVENT);
    inside.quota = true;
    assert_int_equal(verdict(RETRY_OPENAI, inside), RETRY_NO);
}

static void test_retry__overflow_asks_for_less(void **state)
{
    (void)state;
    static const int CODES[] = {400, 413, 422, 429, 500};

    for (size_t d = 0; d < DIALECTS_LEN; d++) {
        for (size_t i = 0; i < sizeof(CODES) / sizeof(CODES[0]); i++) {
            struct call_outcome outcome = status(CODES[i]);
            outcome.overflow = true;
            assert_int_equal(verdict(DIALECTS[d], outcome), RETRY_SMALLER);
        }
        // Too many bytes are too much history, whatever the body and the headers say.
        struct call_outcome bytes = status(413);
        bytes.should_retry = 0;
        assert_int_equal(verdict(DIALECTS[d], bytes), RETRY_SMALLER);
        struct call_outcome inside = ended(CALL_ERROR_EVENT);
        inside.overflow = true;
        assert_int_equal(verdict(DIALECTS[d], inside), RETRY_SMALLER);
        // A smaller plan is not the same request again: the number of attempts does not stop it.
        assert_int_equal(decide(DIALECTS[d], inside, 50).verdict, RETRY_SMALLER);
    }
}

static void test_retry__the_provider_is_obeyed(void **state)
{
    (void)state;
    struct call_outcome outcome = status(503);

    outcome.should_retry = 0;
    assert_int_equal(verdict(RETRY_ANTHROPIC, outcome), RETRY_NO);
    outcome = status(400);
    outcome.should_retry = 1;
    assert_int_equal(verdict(RETRY_OPENAI, outcome), RETRY_YES);
    outcome = status(302);
    outcome.should_retry = 1;
    assert_int_equal(verdict(RETRY_OPENAI, outcome), RETRY_NO);
}

static void test_retry__waits(void **state)
{
    (void)state;
    struct call_outcome outcome = status(529);

    outcome.retry_after_ms = RETRY_WAIT_MS_MAX;
    assert_int_equal(decide(RETRY_ANTHROPIC, outcome, 1).wait_ms, RETRY_WAIT_MS_MAX);
    outcome.retry_after_ms = RETRY_WAIT_MS_MAX + 1;
    assert_int_equal(verdict(RETRY_ANTHROPIC, outcome), RETRY_NO);
    assert_non_null(strstr(decide(RETRY_ANTHROPIC, outcome, 1).why, "minute"));

    struct rand_sim rand;
    rand_sim_init(&rand, 1);
    outcome.retry_after_ms = -1;
    bool varies = false;
    int64_t first = -1;
    for (int i = 0; i < 200; i++) {
        int64_t ms = retry_decide(RETRY_OPENAI, &outcome, 1, &rand.rand).wait_ms;
        assert_true(ms >= 375 && ms <= 500);
        varies |= first >= 0 && ms != first;
        first = ms;
        ms = retry_decide(RETRY_OPENAI, &outcome, 2, &rand.rand).wait_ms;
        assert_true(ms >= 750 && ms <= 1000);
    }
    assert_true(varies);
}

static void test_retry__attempts_end(void **state)
{
    (void)state;
    struct call_outcome outcome = status(503);

    assert_int_equal(decide(RETRY_OPENAI, outcome, RETRY_ATTEMPTS_MAX - 1).verdict, RETRY_YES);
    assert_int_equal(decide(RETRY_OPENAI, outcome, RETRY_ATTEMPTS_MAX).verdict, RETRY_NO);
    assert_int_equal(decide(RETRY_OPENAI, outcome, UINT32_MAX).verdict, RETRY_NO);
    outcome = ended(CALL_LOST);
    assert_int_equal(decide(RETRY_OPENAI, outcome, RETRY_ATTEMPTS_MAX).verdict, RETRY_NO);
}

static void test_retry__stopping(void **state)
{
    (void)state;
    struct call_outcome outcome = ended(CALL_CANCELLED);

    assert_int_equal(verdict(RETRY_OPENAI, outcome), RETRY_NO);
    outcome.any_text = true;
    assert_int_equal(verdict(RETRY_OPENAI, outcome), RETRY_KEEP);
    assert_int_equal(verdict(RETRY_OPENAI, ended(CALL_NO_CONNECT)), RETRY_YES);
    assert_int_equal(verdict(RETRY_OPENAI, ended(CALL_BAD_REPLY)), RETRY_NO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_retry__every_outcome_is_declared),
        cmocka_unit_test(test_retry__ambiguous_is_never_a_plain_yes),
        cmocka_unit_test(test_retry__statuses),
        cmocka_unit_test(test_retry__spend_cap_and_quota),
        cmocka_unit_test(test_retry__overflow_asks_for_less),
        cmocka_unit_test(test_retry__the_provider_is_obeyed),
        cmocka_unit_test(test_retry__waits),
        cmocka_unit_test(test_retry__attempts_end),
        cmocka_unit_test(test_retry__stopping),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
