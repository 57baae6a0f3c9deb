// SPDX-License-Identifier: MIT
// learn_recalled.c: what was recalled for the turns in which something was found: who judges that
// (learn_judge.c) is to know what the user did not say, but was told or copied. Turns are read
// here, by the record of what their requests were made of; what is remembered is in the book.
//
// What cannot be had, or not as a whole, is said to be unknown: for all that anybody knows, the
// turn says nothing but what was recalled (gate_source.tainted).
#include "turn/learn_int.h"

enum {
    // As much as a request quotes of all turns together (recall_turn.c); so of one no more.
    TEXT_BYTES_MAX = 256 << 10,
    TEXTS_MAX = LEARN_TURNS * GATE_RECALLED_MAX,
};
_Static_assert((int)SENT_RECALLED_MAX <= (int)GATE_RECALLED_MAX, "the gate looks at all of it");

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

static struct learn_recalled *add(struct run *run, const struct sent_recalled *which)
{
    struct learning *s = learning_of(run);
    struct learn_recalled *r = vec_push(&s->recalled);
    if (!r) {
        struct err err = ERR_INIT;
        err_set(&err, E_NOMEM, "out of memory for what was recalled");
        learn_fail(run, E_NOMEM, &err);
        return NULL;
    }
    *r = (struct learn_recalled){.turn = s->looked, .unknown = true};
    if (which)
        r->which = *which;
    safe_buf_init(&r->text, TEXT_BYTES_MAX);
    return r;
}

static int take_turn(void *user, const struct turn *t, struct err *err)
{
    struct learn_recalled *r = user;
    int code = E_OK;
    r->unknown = t->damaged;
    for (uint32_t i = 0; i < t->steps_len && !code && !r->unknown; i++) {
        struct safe_buf room;
        safe_buf_init(&room, CONTENT_BYTES_MAX);
        struct safe_text text = learn_text(&t->steps[i], &room);
        r->unknown = text.len > TEXT_BYTES_MAX - safe_buf_text(&r->text).len;
        if (!r->unknown)
            safe_buf_add(&r->text, text);
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
    // One that is damaged, or was deleted meanwhile, stays unknown.
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
        struct learn_recalled *r = add(run, which);
        if (!r)
            return;
        if (which->kind != SENT_TURN) {
            r->unknown = false;
            continue;
        }
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
    bool damaged = op->code == E_CORRUPT;
    if (op->code && !damaged && op->code != E_NOT_FOUND) {
        learn_fail(run, op->code, &err);
        return;
    }
    if (op->code)
        s->sent.recalled_len = 0;
    s->recalled_at = 0;
    if (!damaged || add(run, NULL))
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
