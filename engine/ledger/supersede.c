// SPDX-License-Identifier: MIT
// supersede.c: undo, and moving the open turn to a new session. Nothing is taken back: an event
// says what does not count any more, and the head knows which turns those are. One thread, see
// ledger_int.h.
#include "ledger/ledger_int.h"

static void superseded(struct work *w)
{
    struct chat *c = w->chat;

    if (!work_store_ok(w, "superseding turns"))
        return;
    for (uint32_t n = w->first; n <= c->head.turns; n++)
        chat_turn(c, n)->superseded = true;
    work_apply_head(w);
    work_end(w, E_OK);
}

static void build(struct work *w)
{
    struct chat *c = w->chat;
    int code = work_head(w, true, &w->op->err);

    if (!code)
        code = work_supersede(w, w->first, c->head.turns, &w->op->err);
    if (code) {
        work_end(w, code);
        return;
    }
    w->head.last_active_at_ms = ledger_now(c->ledger);
    commit_begin(&w->commit, c->ledger->env.vault, c->key, c->head.partition);
    work_add_superseding(w, w->event, w->first, c->head.turns, NULL);
    work_add_head(w);
    work_commit(w, superseded);
}

void ledger_supersede(struct chat *c, uint32_t first, enum supersede_kind kind,
                      struct ledger_op *op)
{
    static const char *const words[] = {[SUPERSEDE_UNDO] = "undo", [SUPERSEDE_EDIT] = "edit"};
    struct work *w = work_append(c, op);

    if (!w)
        return;
    w->first = first;
    w->event = words[kind];
    if (first == 0 || first > c->head.turns)
        work_fail(w, E_NOT_FOUND, "session %s has no turn %u: it has %u", c->head.id, first,
                  c->head.turns);
    else if (c->head.open_turn)
        work_fail(w, E_REFUSED, "turn %u of this session is still being answered: wait for it or "
                                "stop it", c->head.open_turn);
    else if (session_is_superseded(&c->head, first))
        work_fail(w, E_REFUSED, "turn %u was undone or edited already", first);
    else if (first < c->first)
        load_turns(w, first, build);
    else
        build(w);
}

// ---- moving the open turn

struct moving {
    struct chat *to;
    struct session_head old;         // the head that the turn leaves; owned
    uint32_t old_item;
};

static void drop_moving(void *state)
{
    struct moving *s = state;

    ((struct chat_impl *)s->to->impl)->work = NULL;
    session_head_release(&s->old);
}

static void moved(struct work *w)
{
    struct moving *s = w->state;
    struct chat *c = w->chat;

    if (!work_store_ok(w, "moving the turn to a new session"))
        return;
    struct turn *t = chat_turn(c, c->head.open_turn);
    t->status = TURN_FAILED;
    t->superseded = true;
    s->old.version = w->store.items[s->old_item].version;
    session_head_release(&c->head);
    c->head = s->old;
    s->old = (struct session_head){0};
    chat_forget_open(c);

    w->head.version = w->store.items[w->head_item].version;
    s->to->head = w->head;
    s->to->first = 1;
    work_apply_turn(w, s->to);
    work_end(w, E_OK);
}

// The session that the turn leaves: there it has no answer, was never sent, and does not count.
static int build_leaving(struct work *w, struct moving *s, struct err *err)
{
    struct chat *c = w->chat;
    struct chat_impl *impl = c->impl;
    uint32_t n = c->head.open_turn;
    struct turn left = {.n = n, .status = TURN_FAILED};
    struct step none = {.role = ROLE_ASSISTANT, .at_ms = ledger_now(c->ledger)};
    struct attempt unused = c->attempt;

    int code = work_head(w, true, err);
    if (!code)
        code = work_supersede(w, n, n, err);
    if (code)
        return code;
    w->head.open_turn = 0;
    unused.status = ATTEMPT_UNUSED;
    unused.usage = (struct usage){0};
    work_add_reply(w, c->head.id, &left, &none);
    work_add_attempt(w, STORE_PUT, impl->attempt_version, c->head.id, &unused, NULL);
    work_add_parts_gone(w);
    work_add_superseding(w, "moved", n, n, s->to->head.id);
    work_add_head(w);
    s->old = w->head;
    s->old_item = w->head_item;
    w->head_owned = false;
    return E_OK;
}

static void build_arriving(struct work *w, struct moving *s)
{
    const struct ledger_accept *a = &w->asked.a;
    struct chat *to = s->to;

    w->head = to->head;  // without superseded turns: nothing is shared
    w->head.turns = w->head.open_turn = 1;
    w->head.tokens = a->tokens;
    w->head.last_active_at_ms = w->turn.at_ms;
    w->head.expiry = w->asked.expiry;
    work_lease(w);
    w->attempt = w->chat->attempt;
    w->attempt.turn = w->attempt.n = 1;
    if (a->key_hash)
        work_add_key(w, STORE_PUT, w->head.id, 1);
    work_add_step(w, w->head.id, &w->turn, 0);
    w->attempt_item = work_add_attempt(w, STORE_INSERT, 0, w->head.id, &w->attempt, NULL);
    work_add_system(w);
    work_add_head(w);
    work_add_pointer(w, &w->head, a->context_hash);
    work_add_user(w, a->user);
    work_add_session_note(w, AUDIT_SESSION_CREATED, AUDIT_NO_DETAIL);
}

static void build_move(struct work *w)
{
    struct chat *c = w->chat;
    struct moving *s = work_state(w, sizeof(*s), drop_moving);

    if (!s)
        return;
    s->to = w->to;
    ((struct chat_impl *)s->to->impl)->work = w;
    commit_begin(&w->commit, c->ledger->env.vault, c->key, c->head.partition);
    int code = build_leaving(w, s, &w->op->err);
    if (code) {
        work_end(w, code);
        return;
    }
    build_arriving(w, s);
    work_commit(w, moved);
}

void ledger_move(struct chat *c, struct chat *to, const struct ledger_accept *a,
                 struct ledger_op *op)
{
    struct work *w = work_append(c, op);

    if (!w)
        return;
    BUG_ON(to->head.version || to->head.turns || ((struct chat_impl *)to->impl)->work);
    BUG_ON(strcmp(to->head.partition, c->head.partition) != 0);
    if (c->head.open_turn == 0 || c->attempt.n == 0) {
        work_fail(w, E_REFUSED, "session %s has no turn under way to move", c->head.id);
        return;
    }
    int code = chat_reserve(to, &op->err);
    if (!code)
        code = work_ask(w, a, 1, &op->err);
    w->to = to;
    w->asked.a.edit_from = 0;
    if (code)
        work_end(w, code);
    else if (c->head.open_turn < c->first)
        load_turns(w, c->head.open_turn, build_move);
    else
        build_move(w);
}
