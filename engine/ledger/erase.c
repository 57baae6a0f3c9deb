// SPDX-License-Identifier: MIT
// erase.c: see erase.h, which draws the machine.
#include "ledger/erase.h"
#include "ledger/ledger_int.h"

#include <stdio.h>

enum { COUNT_RECORDS = 500, READERS_TRIES_MAX = 10, READERS_WAIT_MS = 100, RACES_MAX = 20 };

struct erasing {
    struct work *work;
    struct vault_request request;
    struct loop_timer timer;
    uint32_t at;                   // the erasure at hand, and so many are complete
    uint64_t mark_version, note_version;  // of the house's records; 0: not there
    struct vault_erasure erasure;
    struct erasure_record note;
    unsigned tries, races;
    struct store_item items[2];
    struct buf note_key, note_meta, mark_meta;
    struct erasure_record *out;    // ledger_find_erasure
};

static const char house[] = HOUSE_PARTITION;

static void drop_erasing(void *state)
{
    struct erasing *x = state;

    buf_release(&x->note_key);
    buf_release(&x->note_meta);
    buf_release(&x->mark_meta);
}

static void read_mark(struct work *w);
static void next_erasure(struct work *w);

// Reads the house's record of the erasure at hand. A damaged one is as none: it is written anew.
static int take_note(struct work *w, struct erasing *x)
{
    struct err why = ERR_INIT;
    int code = E_NOT_FOUND;

    x->note_version = 0;
    if (w->store.rows_len) {
        x->note_version = w->store.rows[0].version;
        code = erasure_read_meta(w->ledger->env.vault, &w->store.rows[0], &x->note, &why);
    }
    if (code == E_NOMEM)
        w->op->err = why;
    return code;
}

// ---- complete

static void done_told(struct vault_request *request)
{
    struct erasing *x = CONTAINER_OF(request, struct erasing, request);
    struct work *w = x->work;

    if (request->code) {
        w->op->err = request->err;
        work_end(w, request->code);
        return;
    }
    w->op->turns++;
    x->at++;
    next_erasure(w);
}

static void completed(struct work *w)
{
    struct erasing *x = w->state;

    // Another process was here, too.
    if (w->store.code == E_CONFLICT && ++x->races < RACES_MAX) {
        read_mark(w);
        return;
    }
    if (!work_store_ok(w, "noting an erasure"))
        return;
    x->mark_version = x->items[1].version;
    x->request = (struct vault_request){.loop = w->ledger->env.loop, .done = done_told};
    memcpy(x->request.partition, x->erasure.partition, sizeof(x->request.partition));
    vault_erased_done(w->ledger->env.vault, &x->request);
}

static struct store_item put(struct slice key, struct slice meta, uint64_t version)
{
    return (struct store_item){.verb = version ? STORE_PUT : STORE_INSERT, .key = key,
                               .version = version, .meta = meta};
}

// One commit of the house's records: the note, and with it the mark if it is told.
static void commit_notes(struct work *w, bool mark, void (*step)(struct work *w))
{
    struct erasing *x = w->state;
    const struct vault *v = w->ledger->env.vault;

    buf_clear(&x->note_meta);
    buf_clear(&x->mark_meta);
    key_erased(&x->note_key, x->erasure.partition);
    erasure_write_meta(v, &x->note, &x->note_meta);
    erasures_write_meta(v, x->at + 1, &x->mark_meta);
    BUG_ON(!buf_ok(&x->note_key));  // it was read under this key, in the same memory
    int code = buf_check(&x->note_meta, "a record's meta", &w->op->err);
    if (!code)
        code = buf_check(&x->mark_meta, "a record's meta", &w->op->err);
    if (code) {
        work_end(w, code);
        return;
    }
    x->items[0] = put(buf_slice(&x->note_key), buf_slice(&x->note_meta), x->note_version);
    x->items[1] = put(SLICE_LIT("erasures"), buf_slice(&x->mark_meta), x->mark_version);
    struct store_op *op = work_store_op(w, STORE_COMMIT, house);
    op->items = x->items;
    op->items_len = mark ? 2 : 1;
    work_submit(w, step);
}

// ---- the store

static void erase(struct work *w);

static void erase_due(struct loop_timer *timer)
{
    erase(CONTAINER_OF(timer, struct erasing, timer)->work);
}

static void erased(struct work *w)
{
    struct erasing *x = w->state;

    if (w->store.code == E_BUSY && ++x->tries < READERS_TRIES_MAX) {
        x->timer.fn = erase_due;
        loop_timer_start(w->ledger->env.loop, &x->timer, READERS_WAIT_MS);
        return;
    }
    if (!work_store_ok(w, "erasing"))
        return;
    if (!x->note.completed_at_ms)
        x->note.completed_at_ms = ledger_now(w->ledger);
    commit_notes(w, true, completed);
}

static void erase(struct work *w)
{
    struct erasing *x = w->state;

    work_store_op(w, STORE_ERASE, x->erasure.partition);
    work_submit(w, erased);
}

// ---- what there is to erase

static void noted(struct work *w)
{
    struct erasing *x = w->state;

    if (w->store.code == E_CONFLICT && ++x->races < RACES_MAX) {
        read_mark(w);
        return;
    }
    if (!work_store_ok(w, "noting an erasure"))
        return;
    x->note_version = x->items[0].version;
    erase(w);
}

static void counted(struct work *w)
{
    struct erasing *x = w->state;

    if (!work_store_ok(w, "counting what is erased"))
        return;
    for (uint32_t i = 0; i < w->store.rows_len; i++)
        x->note.deleted[record_kind_of(w->store.rows[i].key)]++;
    if (!work_scan_more(w))
        commit_notes(w, false, noted);
}

static void note_read(struct work *w)
{
    struct erasing *x = w->state;

    if (!work_store_ok(w, "reading an erasure"))
        return;
    int code = take_note(w, x);
    if (code == E_OK) {
        erase(w);
        return;
    }
    if (code == E_NOMEM) {
        work_end(w, code);
        return;
    }
    x->note = (struct erasure_record){.erased_at_ms = x->erasure.at_ms};
    memcpy(x->note.partition, x->erasure.partition, sizeof(x->note.partition));
    buf_clear(&w->prefix);
    buf_clear(&w->after);
    w->limit = COUNT_RECORDS;
    work_scan(w, x->erasure.partition, counted);
}

static void next_erasure(struct work *w)
{
    struct erasing *x = w->state;

    if (vault_erasures(w->ledger->env.vault, x->at, &x->erasure, 1) == 0) {
        work_end(w, E_OK);
        return;
    }
    x->tries = 0;
    key_erased(&x->note_key, x->erasure.partition);
    work_get(w, house, &x->note_key, note_read);
}

static void mark_read(struct work *w)
{
    struct erasing *x = w->state;
    struct err why = ERR_INIT;

    if (!work_store_ok(w, "reading how many are erased"))
        return;
    x->at = 0;
    x->mark_version = w->store.rows_len ? w->store.rows[0].version : 0;
    // A mark that is not what was written there says nothing: all is done again.
    if (w->store.rows_len &&
        erasures_read_meta(w->ledger->env.vault, &w->store.rows[0], &x->at, &why)) {
        if (why.code == E_NOMEM) {
            w->op->err = why;
            work_end(w, why.code);
            return;
        }
        x->at = 0;
    }
    next_erasure(w);
}

static void read_mark(struct work *w)
{
    struct erasing *x = w->state;

    key_erasures(&x->note_key);
    work_get(w, house, &x->note_key, mark_read);
}

static struct work *begin(struct ledger *l, struct ledger_op *op)
{
    struct work *w = work_begin(l, NULL, op);
    struct erasing *x = w ? work_state(w, sizeof(*x), drop_erasing) : NULL;

    if (!x)
        return NULL;
    x->work = w;
    buf_init(&x->note_key, RECORD_KEY_BYTES_MAX);
    buf_init(&x->note_meta, RECORD_META_BYTES_MAX);
    buf_init(&x->mark_meta, RECORD_META_BYTES_MAX);
    return w;
}

void ledger_erase(struct ledger *l, struct ledger_op *op)
{
    struct work *w = begin(l, op);

    if (w)
        read_mark(w);
}

// ---- one that is known

static void found(struct work *w)
{
    struct erasing *x = w->state;

    if (!work_store_ok(w, "reading an erasure"))
        return;
    int code = take_note(w, x);
    *x->out = x->note;
    if (code == E_OK || code == E_NOMEM)
        work_end(w, code);
    else
        work_fail(w, E_NOT_FOUND, "what was noted of this erasure is not in the store");
}

void ledger_find_erasure(struct ledger *l, const char *partition, struct erasure_record *out,
                         struct ledger_op *op)
{
    struct work *w = begin(l, op);
    struct erasing *x = w ? w->state : NULL;

    if (!w)
        return;
    x->out = out;
    key_erased(&x->note_key, partition);
    work_get(w, house, &x->note_key, found);
}
