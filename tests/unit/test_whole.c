// SPDX-License-Identifier: MIT
// test_whole.c: which counts can be of all that was sent. Servers that cut, servers that count only
// what is new, and honest ones with whatever vocabulary, which must never be taken for the former.
#include "tokens/whole.h"

#include "base/rand.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
// after the headers that it needs
#include <cmocka.h>

enum { SESSIONS = 2000, TURNS = 60 };

static enum count_says judge(uint64_t estimated, uint64_t newest, uint64_t told_estimated,
                             uint64_t told_tokens, uint64_t tokens)
{
    struct calibration c;
    struct count_check check = {&c, estimated, newest, told_estimated, told_tokens, tokens};

    calibration_init(&c);
    return count_judge(&check);
}

static void test_judge__by_hand(void **state)
{
    (void)state;
    // num_ctx 4096, and 2050 tokens left of 4105 (ollama/ollama #17427's rule).
    assert_int_equal(judge(4105, 105, 3900, 3950, 2050), COUNT_CUT);
    // Message by message: a little less than there was.
    assert_int_equal(judge(4105, 105, 3900, 3950, 3900), COUNT_CUT);
    // The same with nothing to hold it against.
    assert_int_equal(judge(6000, 6000, 0, 0, 2050), COUNT_CUT);
    assert_int_equal(judge(4105, 105, 0, 0, 2050), COUNT_WHOLE);
    // What is new since the last request, alone.
    assert_int_equal(judge(4105, 105, 3900, 3950, 207), COUNT_FRESH);
    assert_int_equal(judge(4105, 105, 0, 0, 107), COUNT_FRESH);
    // A long message, cut: too little for what is new as well.
    assert_int_equal(judge(9000, 5000, 4000, 4100, 2050), COUNT_CUT);
    // Small requests differ by what the template adds.
    assert_int_equal(judge(60, 20, 40, 70, 50), COUNT_WHOLE);
    assert_int_equal(judge(900, 900, 0, 0, 100), COUNT_WHOLE);
    // A request that is shorter than the one before is judged alone.
    assert_int_equal(judge(2000, 100, 4000, 4100, 2000), COUNT_WHOLE);
    assert_int_equal(judge(2000, 100, 4000, 4100, 1), COUNT_CUT);
}

static void test_judge__exact_estimates(void **state)
{
    struct count_check check = {NULL, 4000, 200, 3800, 3803, 4003};

    (void)state;
    assert_int_equal(count_judge(&check), COUNT_WHOLE);
    check.tokens = 3700;
    assert_int_equal(count_judge(&check), COUNT_CUT);
    check.tokens = 200;
    assert_int_equal(count_judge(&check), COUNT_FRESH);
}

// A session with a server whose vocabulary has `permille` of our estimate, each message 10 % more
// or less, and which cuts to `keeps` what is over `window` (0: it never does). Tells the turn in
// which it was noticed, and the one in which it happened first; 0: never.
static void play(const struct rand *r, uint64_t permille, uint64_t window, unsigned keeps_percent,
                 uint32_t *noticed, uint32_t *happened)
{
    struct calibration c;
    uint64_t estimated = 0, real = 0, before = 0, told = 0;

    calibration_init(&c);
    for (unsigned i = 0; i < 400; i++)
        calibration_observe(&c, 1000, permille * (900 + rand_below(r, 200)) / 1000,
                            CALIBRATION_WEIGHT);
    *noticed = *happened = 0;
    for (uint32_t turn = 1; turn <= TURNS && !*noticed; turn++) {
        uint64_t more = 20 + rand_below(r, 400);
        estimated += more;
        real += more * permille / 1000 * (900 + rand_below(r, 200)) / 1000;
        uint64_t tokens = real;
        if (window && real > window) {
            tokens = window * keeps_percent / 100;
            *happened = *happened ? *happened : turn;
        }
        struct count_check check = {&c, estimated, more, before, told, tokens};
        if (count_judge(&check) != COUNT_WHOLE)
            *noticed = turn;
        before = estimated;
        told = tokens;
    }
}

static void test_judge__servers(void **state)
{
    struct rand_sim sim;
    uint32_t noticed, happened, late = 0, most_late = 0;

    (void)state;
    rand_sim_init(&sim, 11);
    for (unsigned i = 0; i < SESSIONS; i++) {
        uint64_t permille = 400 + rand_below(&sim.rand, 1600);
        play(&sim.rand, permille, 0, 0, &noticed, &happened);
        if (noticed)
            fail_msg("session %u: an honest server was taken for one that cuts in turn %u", i,
                     noticed);
        uint64_t window = 600 + rand_below(&sim.rand, 2000);
        play(&sim.rand, permille, window, 50 + (unsigned)rand_below(&sim.rand, 46), &noticed,
             &happened);
        if (happened && noticed < happened)
            fail_msg("session %u: noticed in turn %u, happened in turn %u", i, noticed, happened);
        if (noticed > happened) {
            late++;
            most_late = noticed - happened > most_late ? noticed - happened : most_late;
        }
    }
    printf("# summary: %d sessions with honest servers: 0 alarms; with servers that cut: %u "
           "noticed after the first time, at most %u turns later (seed 11)\n",
           SESSIONS, late, most_late);
    assert_true(most_late <= 3);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_judge__by_hand),
        cmocka_unit_test(test_judge__exact_estimates),
        cmocka_unit_test(test_judge__servers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
