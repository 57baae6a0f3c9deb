// SPDX-License-Identifier: MIT
// sendable.c: what of a turn may be sent.
//
// Providers refuse a tool call without its results, and results without their call, and with them
// every later request of the session. The ledger may hold both: a turn ended between them, or was
// recorded elsewhere. So a turn is sent up to the first call that its next step does not answer:
// every call once, results before anything else, and no other results. What is left out is only
// not sent.
//
// Work grows with the turn's blocks where there are tools; a turn without is one look at each step.
#include "turn/turn_int.h"

static uint32_t count_type(const struct step *s, enum block_type type)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < s->content.len; i++)
        n += s->content.blocks[i].type == type;
    return n;
}

static uint32_t count_id(const struct step *s, enum block_type type, struct safe_text id)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < s->content.len; i++) {
        const struct block *b = &s->content.blocks[i];
        n += b->type == type && slice_eq(safe_slice(b->id), safe_slice(id));
    }
    return n;
}

// Whether `results` holds a result for each of the `calls` calls, first of all, and no other.
static bool answers(const struct step *results, const struct step *ask, uint32_t calls)
{
    if (results->role != ROLE_USER || count_type(results, BLOCK_TOOL_RESULT) != calls)
        return false;
    for (uint32_t i = 0; i < calls; i++) {
        if (results->content.blocks[i].type != BLOCK_TOOL_RESULT)
            return false;
    }
    for (uint32_t i = 0; i < ask->content.len; i++) {
        const struct block *b = &ask->content.blocks[i];
        if (b->type == BLOCK_TOOL_USE && (count_id(ask, BLOCK_TOOL_USE, b->id) != 1 ||
                                          count_id(results, BLOCK_TOOL_RESULT, b->id) != 1))
            return false;
    }
    return true;
}

uint32_t sendable_steps(const struct turn *t)
{
    uint32_t asked = 0;  // calls of the step before
    for (uint32_t i = 0; i < t->steps_len; i++) {
        const struct step *s = &t->steps[i];
        if (asked == 0 && !(s->content.has & (CONTENT_TOOL_USE | CONTENT_TOOL_RESULT)))
            continue;
        uint32_t calls = count_type(s, BLOCK_TOOL_USE);
        if (asked == 0 && count_type(s, BLOCK_TOOL_RESULT) > 0)
            return i;
        if (calls > 0 && (s->role != ROLE_ASSISTANT || i + 1 == t->steps_len ||
                          !answers(&t->steps[i + 1], s, calls)))
            return i;
        asked = calls;
    }
    return t->steps_len;
}
