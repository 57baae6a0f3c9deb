// SPDX-License-Identifier: MIT
// pick.c: turns of a session for who only reads them, without a chat. One thread, see ledger_int.h.
#include "ledger/ledger_int.h"

struct picking {
    struct ledger_pick pick;
    struct reader reader;
    bool full;                 // a turn after the last one was seen
};

static void drop_picking(void *state)
{
    reader_release(&((struct picking *)state)->reader);
}

static int take_turn(void *user, struct turn *t, struct err *err)
{
    struct picking *s = user;
    int code = E_OK;

    // A damaged turn is left out: it harms neither its neighbours nor who reads them.
    if (t->n >= s->pick.first && t->steps_len && !s->reader.damaged)
        code = s->pick.take(s->pick.user, t, err);
    turn_release(t);
    return code;
}

static void page_read(struct work *w)
{
    struct picking *s = w->state;
    struct slice session;
    uint32_t at[3];

    if (!work_store_ok(w, "reading turns"))
        return;
    for (uint32_t i = 0; i < w->store.rows_len; i++) {
        const struct record *row = &w->store.rows[i];

        if (key_ordinals(row->key, &session, at) && at[0] > s->pick.last) {
            s->full = true;
            break;
        }
        int code = reader_row(&s->reader, row, &w->op->err);
        if (code && code != E_CORRUPT) {
            work_end(w, code);
            return;
        }
    }
    if (!s->full && work_scan_more(w))
        return;
    int code = reader_end(&s->reader, &w->op->err);
    work_end(w, code == E_CORRUPT ? E_OK : code);
}

void ledger_pick(struct ledger *l, const struct ledger_pick *pick, struct ledger_op *op)
{
    struct work *w = work_begin(l, NULL, op);
    struct picking *s = w ? work_state(w, sizeof(*s), drop_picking) : NULL;

    if (!s)
        return;
    s->pick = *pick;
    reader_init(&s->reader, l, pick->key);
    s->reader.on_turn = take_turn;
    s->reader.user = s;
    uint64_t wanted = (uint64_t)pick->last - pick->first + 1;
    key_turn_prefix(&w->prefix, pick->session);
    buf_add_slice(&w->after, buf_slice(&w->prefix));
    buf_addf(&w->after, "%010u", pick->first);
    if (wanted < PAGE_RECORDS / 2)
        w->limit = (uint32_t)wanted * 2 + 1;
    work_scan(w, pick->partition, page_read);
}
