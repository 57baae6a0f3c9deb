// SPDX-License-Identifier: MIT
// learn_recalled.c: what was recalled for the turns in which something was found: who judges that
// (learn_judge.c) is to know what the user did not say, but was told or copied. Turns are read
// here, by the record of what their requests were made of; what is remembered is in the book.
#include "turn/learn_int.h"

enum { TEXT_BYTES_MAX = 64 << 10, TEXTS_MAX = LEARN_TURNS * GATE_RECALLED_MAX };

static void next_turn(struct run *run);
static void next_text(struct run *run);

void learn_recalled_init(struct learning *s)
{
    vec_init(&s->recalled, sizeof(struct learn_recalled), TEXTS_MAX);
}

void learn_recalled_clear(struct learning *s)
{
    for (size_t i = 0; i < s->recalled.len; i++)
        safe_buf_release(&VEC_AT(&s->recalled, struct learn_recalled, i)->text);
    vec_clear(&s->recalled);
}

void learn_recalled_release(struct learning *s)
{
    learn_recalled_clear(s);
    vec_release(&s->recalled);
}

// What is longer is as well known by its beginning.
static int take_turn(void *user, const struct turn *t, struct err *err)
{
    struct learn_recalled *r = user;
    int code = E_OK;
    for (uint32_t i = 0; i < t->steps_len && !code; i++) {
        struct safe_buf room;
        safe_buf_init(&room, CONTENT_BYTES_MAX);
        struct safe_text text = learn_text(&t->steps[i], &room);
        size_t left = TEXT_BYTES_MAX - safe_buf_text(&r->text).len;
        safe_buf_add(&r->text, safe_text_part(text, 0, text.len < left ? text.len : left));
        // Without memory it would pass for what nobody recalled.
        code = safe_buf_check(&room, "what was recalled", err);
        safe_buf_release(&room);
    }
    return code ? code : safe_buf_check(&r->text, "what was recalled", err);
}

static void turn_read(struct ledger_op *op)
{
    struct run *run = turn_op_over(op);
    struct err err = op->err;
    // What cannot be read any more was said long ago, or is damaged: it is not known.
    if (op->code && op->code != E_CORRUPT && op->code != E_NOT_FOUND)
        learn_fail(run, op->code, &err);
    else
        next_text(run);
}

static void next_text(struct run *run)
{
    struct learning *s = learning_of(run);
    while (s->recalled_at < s->sent.recalled_len) {
        const struct sent_recalled *which = &s->sent.recalled[s->recalled_at++];
        struct learn_recalled *r = vec_push(&s->recalled);
        if (!r) {
            struct err err = ERR_INIT;
            err_set(&err, E_NOMEM, "out of memory for what was recalled");
            learn_fail(run, E_NOMEM, &err);
            return;
        }
        *r = (struct learn_recalled){.turn = s->looked, .which = *which};
        safe_buf_init(&r->text, TEXT_BYTES_MAX);
        if (which->kind != SENT_TURN)
            continue;
        struct ledger_pick pick = {.partition = run->partition,
                                   .session = r->which.id,
                                   .key = run->user_key,
                                   .first = which->turn,
                                   .last = which->turn,
                                   .take = take_turn,
                                   .user = r};
        turn_op_start(run, turn_read);
        ledger_pick(run->w->ledger, &pick, &run->op);
        return;
    }
    next_turn(run);
}

static void sent_found(struct ledger_op *op)
{
    struct run *run = turn_op_over(op);
    struct learning *s = learning_of(run);
    struct err err = op->err;
    bool known = op->code == E_OK;
    if (op->code && op->code != E_CORRUPT && op->code != E_NOT_FOUND) {
        learn_fail(run, op->code, &err);
        return;
    }
    s->recalled_at = known ? 0 : UINT32_MAX;
    next_text(run);
}

static void next_turn(struct run *run)
{
    struct learning *s = learning_of(run);
    do
        s->looked++;
    while (s->looked <= s->upto && fact_candidates_len(&s->found[s->looked - s->at - 1]) == 0);
    if (s->looked > s->upto) {
        s->recalled_then(run);
        return;
    }
    s->sent = (struct sent){0};
    turn_op_start(run, sent_found);
    ledger_find_sent(run->live->chat, s->looked, &s->sent, &run->op);
}

void learn_find_recalled(struct run *run, void (*then)(struct run *run))
{
    struct learning *s = learning_of(run);
    learn_recalled_clear(s);
    s->recalled_then = then;
    s->looked = s->at;
    next_turn(run);
}
