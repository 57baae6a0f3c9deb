// SPDX-License-Identifier: MIT
// pin.c: turns are pinned, and let go; constraints are stated, and taken back. The head says which
// there are; an event says since when. One thread, see ledger_int.h.
#include "ledger/ledger_int.h"

static void written(struct work *w)
{
    if (!work_store_ok(w, "writing what is pinned"))
        return;
    work_apply_head(w);
    work_end(w, E_OK);
}

static void write_event(struct work *w, const char *kind, uint32_t turn, struct safe_text body)
{
    struct chat *c = w->chat;

    commit_begin(&w->commit, c->ledger->env.vault, c->key, c->head.partition);
    safe_buf_add(&w->commit.body, body);
    work_add_event(w, kind, turn, NULL);
    work_add_head(w);
    work_commit(w, written);
}

static bool refuse(struct work *w, uint32_t turn)
{
    const struct session_head *h = &w->chat->head;

    if (turn == 0 || turn > h->turns)
        work_fail(w, E_NOT_FOUND, "session %s has no turn %u: it has %u", h->id, turn, h->turns);
    else if (h->open_turn)
        work_fail(w, E_REFUSED, "turn %u of this session is still being answered: wait for it or "
                                "stop it", h->open_turn);
    else if (session_is_superseded(h, turn))
        work_fail(w, E_REFUSED, "turn %u was undone or edited: it is not sent any more", turn);
    else
        return false;
    return true;
}

void ledger_pin(struct chat *c, uint32_t turn, struct ledger_op *op)
{
    struct work *w = work_append(c, op);

    if (!w || refuse(w, turn))
        return;
    work_head(w, false, NULL);
    int code = pins_add(&w->head.pins, turn, PIN_USER, &op->err);
    if (code)
        work_end(w, code);
    else
        write_event(w, "pin", turn, SAFE_NONE);
}

void ledger_unpin(struct chat *c, uint32_t turn, struct ledger_op *op)
{
    struct work *w = work_append(c, op);

    if (!w || refuse(w, turn))
        return;
    if (!pins_find(&c->head.pins, turn)) {
        work_fail(w, E_NOT_FOUND, "turn %u is not pinned", turn);
        return;
    }
    work_head(w, false, NULL);
    pins_remove(&w->head.pins, turn, turn);
    write_event(w, "unpin", turn, SAFE_NONE);
}

// ---- constraints

static bool refuse_open(struct work *w)
{
    const struct session_head *h = &w->chat->head;

    if (h->open_turn == 0)
        return false;
    work_fail(w, E_REFUSED, "turn %u of this session is still being answered: wait for it or stop "
                            "it", h->open_turn);
    return true;
}

void ledger_constrain(struct chat *c, struct safe_text text, struct ledger_op *op)
{
    struct work *w = work_append(c, op);

    if (!w || refuse_open(w))
        return;
    int code = work_head(w, true, &op->err);
    if (!code && !w->head.constraints)
        code = constraints_new(&w->head.constraints, &op->err);
    if (!code)
        code = constraints_add(w->head.constraints, text, w->head.turns, &op->err);
    if (code)
        work_end(w, code);
    else
        write_event(w, "constrain", 0, text);
}

void ledger_unconstrain(struct chat *c, uint32_t n, struct ledger_op *op)
{
    struct work *w = work_append(c, op);

    if (!w || refuse_open(w))
        return;
    int code = work_head(w, true, &op->err);
    if (!code && !w->head.constraints)
        code = err_set(&op->err, E_NOT_FOUND, "there is no constraint in this session");
    if (!code)
        code = constraints_remove(w->head.constraints, n, &op->err);
    if (code) {
        work_end(w, code);
        return;
    }
    if (w->head.constraints->len == 0) {
        constraints_free(w->head.constraints);
        w->head.constraints = NULL;
    }
    write_event(w, "unconstrain", 0, SAFE_NONE);
}
