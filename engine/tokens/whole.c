// SPDX-License-Identifier: MIT
// whole.c: see whole.h. Every margin is on the side of COUNT_WHOLE: a cut that is missed is met
// again with the next turn, larger; a cut that is none makes a bot forget what it need not.
#include "tokens/whole.h"

enum {
    MARGIN_TOKENS = 32,     // what a chat template may add to one request and not to another
    ALONE_TOKENS_MIN = 1024,  // of a request that is judged with nothing to hold it against
};

static uint64_t least(const struct count_check *c, uint64_t estimated)
{
    return c->calibration ? calibration_least(c->calibration, estimated) : estimated;
}

static uint64_t most(const struct count_check *c, uint64_t estimated)
{
    return c->calibration ? calibration_most(c->calibration, estimated) : estimated;
}

static bool begins_with_told(const struct count_check *c)
{
    return c->told_tokens > 0 && c->estimated >= c->told_estimated;
}

// Fewer it cannot have. Of what came since the last one, half as many as is least likely: a reply's
// hidden parts may not have been sent back.
static uint64_t floor_of(const struct count_check *c)
{
    if (begins_with_told(c))
        return c->told_tokens + least(c, c->estimated - c->told_estimated) / 2;
    return c->estimated < ALONE_TOKENS_MIN ? 0 : least(c, c->estimated) / 2;
}

enum count_says count_judge(const struct count_check *c)
{
    uint64_t newest = begins_with_told(c) ? c->estimated - c->told_estimated : c->newest;

    if (c->tokens + MARGIN_TOKENS >= floor_of(c))
        return COUNT_WHOLE;
    bool enough = c->tokens + MARGIN_TOKENS >= least(c, newest) * 9 / 10;
    return enough && c->tokens <= most(c, newest) + MARGIN_TOKENS ? COUNT_FRESH : COUNT_CUT;
}
