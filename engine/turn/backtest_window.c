// SPDX-License-Identifier: MIT
// backtest_window.c: the window that bots commonly have: the newest N messages, whatever they are,
// and one goes out with each that comes in. It is here to be compared with: it cuts turns apart,
// and its requests begin with other bytes every time.
#include "turn/backtest_int.h"

static bool add_message(struct context *c, struct step *step)
{
    struct llm_message *m = vec_push(&c->messages);
    struct step **slot = vec_push(&c->steps);
    if (!m || !slot)
        return false;
    *slot = step;
    *m = (struct llm_message){.role = step->role, .len = 1};
    return true;
}

// The place before the newest `messages` messages that fit the budget: a turn and a step of it.
struct place {
    uint32_t turn;             // index
    uint32_t step;
};

static struct place window_start(struct lane *lane, uint64_t budget)
{
    struct context *c = &lane->run.context;
    struct place at = {lane->run.turn - 1, 0};
    uint32_t left = lane->env->baseline_messages;
    c->history_tokens = 0;
    c->squeezed = false;
    while (left > 0 && (at.step > 0 || at.turn > 0)) {
        struct place before = at;
        if (before.step == 0)
            before.step = lane->chat.turns[--before.turn].steps_len;
        uint64_t tokens = lane->chat.turns[before.turn].steps[--before.step].tokens;
        if (c->history_tokens + tokens > budget) {
            c->squeezed = true;
            break;
        }
        c->history_tokens += tokens;
        at = before;
        left--;
    }
    return at;
}

int backtest_window(struct lane *lane, struct err *err)
{
    struct run *run = &lane->run;
    struct context *c = &run->context;
    uint64_t fixed = run->system_tokens + run->text_tokens;
    vec_clear(&c->messages);
    vec_clear(&c->steps);
    if (fixed >= run->caps.window_tokens)
        return err_set(err, E_REFUSED, "the message alone does not fit");
    struct place at = window_start(lane, context_budget(run));
    c->dropped = at.turn;
    c->sent = run->turn - 1 - at.turn;
    c->sent_as.cut_moved = at.turn > 0 || at.step > 0;
    for (; at.turn < run->turn; at.turn++, at.step = 0) {
        const struct turn *t = &lane->chat.turns[at.turn];
        for (; at.step < t->steps_len; at.step++) {
            if (!add_message(c, &t->steps[at.step]))
                return err_set(err, E_NOMEM, "out of memory for a request");
        }
    }
    for (size_t i = 0; i < c->messages.len; i++)
        VEC_AT(&c->messages, struct llm_message, i)->steps = (struct step **)c->steps.ptr + i;
    c->total_tokens = TOKENS_PER_REQUEST + fixed + c->history_tokens;
    return rules_check(c->messages.ptr, (uint32_t)c->messages.len, err);
}
