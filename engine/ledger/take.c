// SPDX-License-Identifier: MIT
// take.c: which device a session goes on on (model/lease.h). The head says, so its version keeps
// two devices from adding to one session in one epoch: who comes second meets a conflict, reads the
// head again, and is refused. One thread, see ledger_int.h.
#include "ledger/ledger_int.h"

#include <stdio.h>

bool work_held(struct work *w)
{
    const struct session_head *h = &w->chat->head;
    const struct ledger_accept *a = &w->asked.a;

    if (!a->by.holder || !lease_held(&h->lease, &a->devices, a->by.holder, h->last_active_at_ms,
                                     ledger_now(w->ledger)))
        return false;
    work_end(w, lease_refuse(&h->lease, h->id, a->by.holder, &w->op->err));
    return true;
}

void work_lease(struct work *w)
{
    const struct ledger_accept *a = &w->asked.a;

    if (!a->by.holder)
        return;
    w->op->moved = lease_take(&w->head.lease, &a->devices, &a->by, ledger_now(w->ledger));
    w->turn.epoch = a->devices.one_active ? w->head.lease.epoch : 0;
}

void work_add_moved(struct work *w)
{
    work_add_event(w, "device", w->turn.n, w->head.lease.holder);
    work_add_session_note(w, AUDIT_SESSION_MOVED, AUDIT_NO_DETAIL);
}

static void taken(struct work *w)
{
    if (!work_store_ok(w, "continuing on this device"))
        return;
    work_apply_head(w);
    w->op->moved = true;
    work_end(w, E_OK);
}

void ledger_take(struct chat *c, const struct lease_asker *by, struct ledger_op *op)
{
    struct work *w = work_append(c, op);

    if (!w)
        return;
    const struct session_head *h = &c->head;
    const struct device_rules rules = h->lease.rules;
    int64_t now_ms = ledger_now(c->ledger);
    if (!lease_held(&h->lease, &rules, by->holder, h->last_active_at_ms, now_ms)) {
        work_end(w, E_OK);
        return;
    }
    work_head(w, false, NULL);
    lease_take(&w->head.lease, &rules, by, now_ms);
    commit_begin(&w->commit, c->ledger->env.vault, c->key, c->head.partition);
    work_add_moved(w);
    work_add_head(w);
    work_commit(w, taken);
}
