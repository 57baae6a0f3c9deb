// SPDX-License-Identifier: MIT
// sent.c: reads back what a turn's request was made of. One thread, see ledger_int.h.
#include "ledger/ledger_int.h"

struct finding {
    struct sent *out;  // the caller's
};

// The newest attempt comes first; the first that sent something tells.
static void attempts_read(struct work *w)
{
    struct sent *out = ((struct finding *)w->state)->out;

    if (!work_store_ok(w, "reading the turn's attempts"))
        return;
    for (uint32_t i = 0; i < w->store.rows_len; i++) {
        const struct record *row = &w->store.rows[i];
        int code = ledger_unseal(w->ledger, w->chat->key, row, &w->commit.body, &w->op->err);

        safe_buf_clear(&w->commit.body);
        if (!code)
            code = sent_read_meta(out, row->meta, &w->op->err);
        if (code == E_NOT_FOUND)
            continue;
        if (code)
            err_prefix(&w->op->err, "%.*s: ", SLICE_FMT(row->key));
        work_end(w, code);
        return;
    }
    if (work_scan_more(w))
        return;
    *out = (struct sent){0};
    work_fail(w, E_NOT_FOUND, "this turn sent nothing");
}

void ledger_find_sent(struct chat *c, uint32_t turn, struct sent *out, struct ledger_op *op)
{
    struct work *w = work_begin(c->ledger, c, op);
    struct finding *f = w ? work_state(w, sizeof(*f), NULL) : NULL;

    if (!f)
        return;
    f->out = out;
    key_attempt(&w->prefix, c->head.id, turn, 0);
    key_siblings(&w->prefix);
    work_scan_back(w, c->head.partition, attempts_read);
}
