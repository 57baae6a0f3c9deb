// SPDX-License-Identifier: MIT
// call.c: attempts that belong to no turn: opened before they are sent, settled after. What a dead
// process left open, recovery settles as lost. One thread, see ledger_int.h.
#include "ledger/ledger_int.h"

#include "base/id.h"

struct calling {
    struct ledger_call *call;
};

static void written(struct work *w)
{
    struct calling *s = w->state;

    if (!work_store_ok(w, "recording a call of a provider"))
        return;
    s->call->version = w->store.items[w->attempt_item].version;
    work_end(w, E_OK);
}

static void write_call(struct ledger *l, struct ledger_call *c, struct ledger_op *op,
                       enum store_item_verb verb)
{
    struct work *w = work_begin(l, NULL, op);
    struct calling *s = w ? work_state(w, sizeof(*s), NULL) : NULL;

    if (!s)
        return;
    s->call = c;
    commit_begin(&w->commit, l->env.vault, c->key, c->partition);
    w->attempt_item = work_add_attempt(w, verb, c->version, c->id, &c->attempt, NULL);
    work_commit(w, written);
}

void ledger_call_open(struct ledger *l, struct ledger_call *c, struct ledger_op *op)
{
    struct session_head head = {0};
    struct attempt wanted = c->attempt;

    memcpy(head.bot, wanted.bot, sizeof(head.bot));
    attempt_open(&c->attempt, l, &head, 0, 1);
    c->attempt.kind = wanted.kind;
    memcpy(c->attempt.provider, wanted.provider, sizeof(c->attempt.provider));
    memcpy(c->attempt.model, wanted.model, sizeof(c->attempt.model));
    id_new(l->env.rand, c->id);
    c->version = 0;
    write_call(l, c, op, STORE_INSERT);
}

void ledger_call_settle(struct ledger *l, struct ledger_call *c, struct ledger_op *op)
{
    BUG_ON(c->attempt.status == ATTEMPT_OPEN || c->version == 0);
    write_call(l, c, op, STORE_PUT);
}
