// SPDX-License-Identifier: MIT
// archive.c: what becomes of a session that has grown old (model/expiry.h): archived, and its turns
// deleted.
//
//   archive   read the head ─▶ still due? ─▶ one commit: the head says so
//   purge     read the head ─▶ still due? ─▶ one commit: the head says that the turns are gone, and
//             forgets what it knew of them; it stays due
//             ─▶ turns, events and parts, 50 a commit, as many as the caller allows
//   purged    one commit: the head is due no more
//
// All is guarded by the head's version, and read before it is acted on: whoever is killed in
// between, or does it at the same time, repeats deletions of what is gone. What a session cost
// (attempts), and its summaries, stay. One thread, see ledger_int.h.
#include "ledger/ledger_int.h"

#include "base/mem.h"

struct purging {
    uint32_t allowed;   // records that may still be deleted
    unsigned prefix;    // of what is being deleted
};

static void nothing(struct work *w)
{
    work_end(w, E_OK);
}

static void head_written(struct work *w)
{
    struct chat *c = w->chat;

    if (!work_store_ok(w, "archiving a session"))
        return;
    work_apply_head(w);
    chat_forget(c);
    w->op->sessions = 1;
    work_end(w, E_OK);
}

static void write_head(struct work *w, void (*step)(struct work *w))
{
    struct chat *c = w->chat;

    commit_begin(&w->commit, c->ledger->env.vault, c->key, c->head.partition);
    work_add_head(w);
    work_commit(w, step);
}

// ---- archive

static void archive_read(struct work *w)
{
    const struct session_head *h = &w->chat->head;
    int64_t hard = expiry_hard_at(&h->expiry, h->created_at_ms, h->last_active_at_ms);

    if (h->status == SESSION_ARCHIVED || h->open_turn || hard == 0 || hard > w->when_ms) {
        nothing(w);
        return;
    }
    work_head(w, false, NULL);
    w->head.status = SESSION_ARCHIVED;
    w->head.archived_at_ms = w->trusted_ms > 0 ? w->trusted_ms : 1;
    write_head(w, head_written);
}

void ledger_archive(struct chat *c, int64_t now_ms, int64_t trusted_ms, struct ledger_op *op)
{
    struct work *w = work_begin(c->ledger, c, op);

    if (!w)
        return;
    w->when_ms = now_ms;
    w->trusted_ms = trusted_ms;
    load_head(w, archive_read);
}

// ---- purge

static void delete_page(struct work *w);

static void page_deleted(struct work *w)
{
    if (work_store_ok(w, "deleting a session's turns"))
        delete_page(w);
}

static void page_read(struct work *w)
{
    struct purging *s = w->state;
    struct commit *b = &w->commit;

    if (!work_store_ok(w, "looking for a session's turns"))
        return;
    if (w->store.rows_len == 0) {
        s->prefix++;
        delete_page(w);
        return;
    }
    commit_begin(b, w->ledger->env.vault, w->chat->key, w->chat->head.partition);
    for (uint32_t i = 0; i < w->store.rows_len; i++) {
        buf_add_slice(&b->name, w->store.rows[i].key);
        commit_delete(b);
    }
    w->op->turns += w->store.rows_len;
    s->allowed -= w->store.rows_len;
    work_commit(w, page_deleted);
}

static void delete_page(struct work *w)
{
    static void (*const keys[])(struct buf *out, const char *session) = {
        key_turn_prefix, key_parts, key_events};
    struct purging *s = w->state;

    if (s->prefix == sizeof(keys) / sizeof(keys[0]) || s->allowed == 0) {
        w->op->more = s->allowed == 0;
        work_end(w, E_OK);
        return;
    }
    keys[s->prefix](&w->prefix, w->chat->head.id);
    buf_clear(&w->after);
    w->limit = s->allowed < STORE_BATCH_ITEMS_MAX ? s->allowed : STORE_BATCH_ITEMS_MAX;
    work_scan(w, w->chat->head.partition, page_read);
}

static void marked(struct work *w)
{
    if (!work_store_ok(w, "deleting a session's turns"))
        return;
    work_apply_head(w);
    chat_forget(w->chat);
    w->op->sessions = 1;
    delete_page(w);
}

// Nothing of what was said stays in the head; what a person set up with it goes too.
static void forget_said(struct session_head *h)
{
    mem_free(h->superseded);
    h->superseded = NULL;
    h->superseded_len = 0;
    constraints_free(h->constraints);
    h->constraints = NULL;
    session_notes_free(h->notes);
    h->notes = NULL;
    h->pins.len = 0;
    h->cut = (struct history_cut){0};
    h->system_hash = 0;
    h->tokens = 0;
}

static void purge_read(struct work *w)
{
    const struct session_head *h = &w->chat->head;
    int64_t due = session_due_at(h);

    if (h->status != SESSION_ARCHIVED || due == 0 || due > w->trusted_ms) {
        nothing(w);
        return;
    }
    w->op->sessions = 1;
    if (h->purging) {
        delete_page(w);
        return;
    }
    int code = work_head(w, true, &w->op->err);
    if (code) {
        work_end(w, code);
        return;
    }
    forget_said(&w->head);
    w->head.purged = w->head.turns;
    w->head.purging = true;
    write_head(w, marked);
}

void ledger_purge(struct chat *c, int64_t trusted_ms, uint32_t records_max, struct ledger_op *op)
{
    struct work *w = work_begin(c->ledger, c, op);
    struct purging *s = w ? work_state(w, sizeof(*s), NULL) : NULL;

    if (!s)
        return;
    s->allowed = records_max;
    w->trusted_ms = trusted_ms;
    load_head(w, purge_read);
}

static void purged_read(struct work *w)
{
    if (!w->chat->head.purging) {
        nothing(w);
        return;
    }
    work_head(w, false, NULL);
    w->head.purging = false;
    if (w->head.turns == 0)  // it may still be named, and begin
        w->head.events = 0;
    write_head(w, head_written);
}

void ledger_purged(struct chat *c, struct ledger_op *op)
{
    struct work *w = work_begin(c->ledger, c, op);

    if (w)
        load_head(w, purged_read);
}
