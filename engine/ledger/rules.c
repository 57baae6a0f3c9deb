// SPDX-License-Identifier: MIT
// rules.c: the ledger's invariant, see rules.h. Pure; any thread.
//
// R6 (order, nothing superseded) cannot be seen in messages, which carry no ordinals: it is checked
// where turns are still turns, in rules_check_turns.
#include "ledger/rules.h"

// ---- messages

// Walks the blocks of a message over all its steps.
struct walk {
    const struct llm_message *m;
    uint32_t step, block;
};

static const struct block *next_block(struct walk *w)
{
    for (; w->step < w->m->len; w->step++, w->block = 0) {
        const struct content *c = &w->m->steps[w->step]->content;

        if (w->block < c->len)
            return &c->blocks[w->block++];
    }
    return NULL;
}

static uint32_t count_id(const struct llm_message *m, enum block_type type, struct safe_text id)
{
    struct walk w = {.m = m};
    uint32_t count = 0;

    for (const struct block *b; (b = next_block(&w));)
        count += b->type == type && slice_eq(safe_slice(b->id), safe_slice(id));
    return count;
}

// R5 for a user message and what came before it (NULL: nothing).
static int check_results(const struct llm_message *before, const struct llm_message *m, uint32_t at,
                         struct err *err)
{
    struct walk w = {.m = m};
    bool other = false;

    for (const struct block *b; (b = next_block(&w));) {
        if (b->type != BLOCK_TOOL_RESULT) {
            other = true;
            continue;
        }
        struct slice id = safe_slice(b->id);
        if (other)
            return err_set(err, E_REFUSED,
                           "R5: message %u: the result of tool use \"%.*s\" comes after "
                           "something else: results come first",
                           at, SLICE_FMT(id));
        if (!before || count_id(before, BLOCK_TOOL_USE, b->id) != 1 ||
            count_id(m, BLOCK_TOOL_RESULT, b->id) != 1)
            return err_set(err, E_REFUSED,
                           "R5: message %u: the result of \"%.*s\" answers no tool use "
                           "of the message before, or not it alone",
                           at, SLICE_FMT(id));
    }
    return E_OK;
}

static int check_uses(const struct llm_message *m, const struct llm_message *after, uint32_t at,
                      struct err *err)
{
    struct walk w = {.m = m};

    for (const struct block *b; (b = next_block(&w));) {
        struct slice id = safe_slice(b->id);

        if (b->type == BLOCK_TOOL_USE && (!after || !count_id(after, BLOCK_TOOL_RESULT, b->id)))
            return err_set(err, E_REFUSED,
                           "R5: message %u: tool use \"%.*s\" has no result in the next "
                           "message",
                           at, SLICE_FMT(id));
    }
    return E_OK;
}

static int check_message(const struct llm_message *messages, uint32_t len, uint32_t at,
                         struct err *err)
{
    const struct llm_message *m = &messages[at];
    const struct llm_message *before = at ? m - 1 : NULL, *after = at + 1 < len ? m + 1 : NULL;

    if (before && before->role == m->role)
        return err_set(err, E_REFUSED, "R2: message %u is the %s's, and so is the one before", at,
                       role_word(m->role));
    uint32_t has = 0;
    for (uint32_t i = 0; i < m->len; i++) {
        if (m->steps[i]->role != m->role)
            return err_set(err, E_REFUSED, "R2: message %u is the %s's, but its step %u is not", at,
                           role_word(m->role), i);
        has |= m->steps[i]->content.has;
    }
    if (!(has & CONTENT_WORDS))
        return err_set(err, E_REFUSED, "R4: message %u says nothing", at);
    // Most messages have no tools, and then nothing is held against the messages beside them.
    if (!(has & (CONTENT_TOOL_USE | CONTENT_TOOL_RESULT)))
        return E_OK;
    return m->role == ROLE_USER ? check_results(before, m, at, err) : check_uses(m, after, at, err);
}

// The steps of a long history are in no cache of the processor: they are asked for in time.
static void ask_for(const struct llm_message *m)
{
    if (m->len) {
        __builtin_prefetch(&m->steps[0]->role);
        __builtin_prefetch(&m->steps[0]->content.has);
    }
}

int rules_check(const struct llm_message *messages, uint32_t len, struct err *err)
{
    enum { AHEAD = 8 };

    if (len == 0)
        return err_set(err, E_REFUSED, "R1: there is no message");
    if (messages[0].role != ROLE_USER)
        return err_set(err, E_REFUSED, "R1: message 0 is the %s's: the first is the user's",
                       role_word(messages[0].role));
    for (uint32_t i = 0; i < len; i++) {
        if (i + AHEAD < len)
            ask_for(&messages[i + AHEAD]);
        int code = check_message(messages, len, i, err);
        if (code)
            return code;
    }
    if (messages[len - 1].role != ROLE_USER)
        return err_set(err, E_REFUSED,
                       "R3: message %u, the last, is the %s's: it is to be the user's", len - 1,
                       role_word(messages[len - 1].role));
    return E_OK;
}

// ---- turns

static int check_turn(const struct session_head *head, const struct turn *t, struct err *err)
{
    bool needs_reply = t->status == TURN_DONE || t->status == TURN_CUT;

    if (t->steps_len == 0 || t->steps[0].role != ROLE_USER)
        return err_set(err, E_REFUSED, "turn %u: does not begin with the user's step", t->n);
    if (needs_reply && !turn_reply(t))
        return err_set(err, E_REFUSED, "turn %u: is %s and has no reply", t->n,
                       turn_status_word(t->status));
    if (t->status == TURN_OPEN && t->n != head->open_turn)
        return err_set(err, E_REFUSED, "turn %u: is open, but the session says that %s", t->n,
                       head->open_turn ? "another one is" : "none is");
    if (t->status != TURN_OPEN && t->n == head->open_turn)
        return err_set(err, E_REFUSED, "turn %u: is %s, but the session says that it is open", t->n,
                       turn_status_word(t->status));
    if (t->superseded != session_is_superseded(head, t->n))
        return err_set(err, E_REFUSED, "turn %u: is %ssuperseded, but not so in the session", t->n,
                       t->superseded ? "" : "not ");
    return E_OK;
}

int rules_check_turns(const struct session_head *head, const struct turn *turns, uint32_t len,
                      struct err *err)
{
    if (head->open_turn && head->open_turn != head->turns)
        return err_set(err, E_REFUSED, "turn %u: is open and not the last of %u", head->open_turn,
                       head->turns);
    for (uint32_t i = 0; i < len; i++) {
        if (turns[i].n == 0 || turns[i].n > head->turns ||
            (i > 0 && turns[i].n != turns[i - 1].n + 1))
            return err_set(err, E_REFUSED,
                           "turn %u: is out of order (R6): it follows turn %u of %u", turns[i].n,
                           i ? turns[i - 1].n : 0, head->turns);
        if (turns[i].epoch > head->lease.epoch || (i > 0 && turns[i].epoch &&
                                                   turns[i].epoch < turns[i - 1].epoch))
            return err_set(err, E_REFUSED, "turn %u: was said in epoch %u of the session's "
                           "devices, which does not follow", turns[i].n, turns[i].epoch);
        int code = check_turn(head, &turns[i], err);
        if (code)
            return code;
    }
    return E_OK;
}
