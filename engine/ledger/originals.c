// SPDX-License-Identifier: MIT
// originals.c: originals of masks are deleted when their time is over (masks.h). They are due then,
// so all users' are found by STORE_DUE, page by page; no key is needed. One thread, see
// ledger_int.h.
#include "ledger/ledger_int.h"
#include "ledger/masks.h"

#include <stdio.h>

enum { EXPIRE_PAGES_MAX = 1000 };  // the rest waits for the next call

struct expiring {
    struct store_op page;            // of due records
    uint32_t row, pages;
    char partition[PARTITION_BYTES];
    struct buf key;
};

static void drop_expiring(void *state)
{
    struct expiring *e = state;

    store_op_release(&e->page);
    buf_release(&e->key);
}

static void next_original(struct work *w);
static void next_page(struct work *w);

static void deleted(struct work *w)
{
    // Kept again meanwhile, or deleted by another process: it is theirs.
    if (w->store.code != E_CONFLICT && !work_store_ok(w, "deleting an original"))
        return;
    w->op->turns += w->store.code == E_OK;
    next_original(w);
}

static void next_original(struct work *w)
{
    struct expiring *e = w->state;
    int64_t now_ms = ledger_now(w->ledger);

    while (e->row < e->page.rows_len) {
        const struct record *row = &e->page.rows[e->row++];

        if (!slice_starts(row->key, SLICE_LIT("original/")) || row->due_at_ms > now_ms ||
            row->partition.len >= sizeof(e->partition))
            continue;
        snprintf(e->partition, sizeof(e->partition), "%.*s", SLICE_FMT(row->partition));
        commit_begin(&w->commit, w->ledger->env.vault, NULL, e->partition);
        buf_add_slice(&w->commit.name, row->key);
        commit_delete_version(&w->commit, row->version);
        work_commit(w, deleted);
        return;
    }
    if (e->page.more && e->page.rows_len && ++e->pages < EXPIRE_PAGES_MAX)
        next_page(w);
    else
        work_end(w, E_OK);
}

static void page_read(struct work *w)
{
    struct expiring *e = w->state;

    if (!work_store_ok(w, "looking for originals whose time is over"))
        return;
    store_op_release(&e->page);
    e->page = w->store;
    w->store = (struct store_op){0};
    e->row = 0;
    next_original(w);
}

static void next_page(struct work *w)
{
    struct expiring *e = w->state;
    const struct record *last =
        e->page.rows_len ? &e->page.rows[e->page.rows_len - 1] : NULL;

    buf_clear(&e->key);
    e->partition[0] = '\0';
    if (last) {
        buf_add_slice(&e->key, last->key);
        snprintf(e->partition, sizeof(e->partition), "%.*s", SLICE_FMT(last->partition));
    }
    struct store_op *op = work_store_op(w, STORE_DUE, last ? e->partition : NULL);
    op->after = buf_slice(&e->key);
    op->before_ms = ledger_now(w->ledger) + 1;
    op->limit = PAGE_RECORDS;
    work_submit(w, page_read);
}

void ledger_expire_originals(struct ledger *l, struct ledger_op *op)
{
    struct work *w = work_begin(l, NULL, op);
    struct expiring *e = w ? work_state(w, sizeof(*e), drop_expiring) : NULL;

    if (!e)
        return;
    buf_init(&e->key, RECORD_KEY_BYTES_MAX);
    next_page(w);
}
