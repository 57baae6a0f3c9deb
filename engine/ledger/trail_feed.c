// SPDX-License-Identifier: MIT
// trail_feed.c: the feeder: notes out of users' partitions into the chain, each once.
//
//   anything to do? ─▶ lease ─▶ taken/… left by one who died? ─────────────────────┐
//     │ no: done                    │ no                                           │
//     ▼                             ▼                                              ▼
//   release ◀─ no notes ◀─ a page of notes ─▶ entries and taken/…, one commit ─▶ notes deleted, a
//      ▲                       ▲                                           commit a partition
//      │ enough, or stop       └────────────── taken/… deleted, one commit ◀───────┘
//      └──────── the head follows ◀────────────────┘
//
// The lease of a process that died is taken over. One thread, see ledger_int.h.
#include "ledger/trail_int.h"

#include <stdio.h>

enum {
    BATCH_NOTES = TRAIL_BATCH_NOTES,
    LEASE_MS = 60 * 1000,                     // a pass takes a fraction of it
    PAGES_MAX = 1000,
};
static const struct slice lease = SLICE_LIT("feeder");

struct taken {
    char partition[PARTITION_BYTES], id[AUDIT_ID_BYTES];
    bool deleted;                    // or about to be
};

struct feeding {
    struct chain chain;              // first
    struct trail_feed *f;
    uint64_t epoch;                  // of the lease
    char holder[64];                 // who has it instead of us
    bool has_end;
    struct store_op page;            // of notes, kept while its rows are worked on
    uint32_t row;
    uint32_t pages;
    struct buf cursor;               // key of the last note that was left where it is
    char cursor_partition[STORE_PARTITION_BYTES_MAX + 1];
    struct audit_note notes[BATCH_NOTES];
    struct taken taken[BATCH_NOTES];
    uint32_t len;
    char partition[PARTITION_BYTES];  // whose notes are deleted
    struct vault_request vault_request;
    int code;                        // how it ends
    struct err err;
};

static void drop_feeding(void *state)
{
    struct feeding *s = state;

    chain_release(&s->chain);
    store_op_release(&s->page);
    buf_release(&s->cursor);
}

static void next_page(struct work *w);
static void next_row(struct work *w);
static void delete_notes(struct work *w);

// ---- the end of a pass

static void released(struct work *w)
{
    struct feeding *s = w->state;

    w->op->err = s->err;
    work_end(w, s->code);
}

static void release(struct work *w)
{
    struct feeding *s = w->state;

    struct store_op *op = work_store_op(w, STORE_LEASE, AUDIT_PARTITION);
    op->key = lease;
    op->epoch = s->epoch;
    work_submit(w, released);
}

static void finish(struct work *w, int code)
{
    struct feeding *s = w->state;

    s->code = code;
    s->err = w->op->err;
    if (s->has_end)
        chain_sign(w, false, release);
    else
        release(w);
}

// As work_store_ok; a failure ends the pass, and what was done is signed.
static bool store_ok(struct work *w, const char *what)
{
    if (w->store.code == E_OK)
        return true;
    w->op->err = w->store.err;
    err_prefix(&w->op->err, "%s: ", what);
    finish(w, w->store.code);
    return false;
}

// Commits what was added to the trail, if the lease is still held.
static void commit_fenced(struct work *w, void (*step)(struct work *w))
{
    struct feeding *s = w->state;
    int code = commit_close(&w->commit, &w->op->err);

    if (code) {
        finish(w, code);
        return;
    }
    struct store_op *op = work_store_op(w, STORE_COMMIT, AUDIT_PARTITION);
    op->items = w->commit.items;
    op->items_len = w->commit.len;
    op->fence_key = lease;
    op->fence_epoch = s->epoch;
    work_submit(w, step);
}

// ---- what was taken is not a note any more

static void marks_deleted(struct work *w)
{
    if (store_ok(w, "feeding the audit trail"))
        next_page(w);
}

static void delete_marks(struct work *w)
{
    struct feeding *s = w->state;
    struct commit *b = &w->commit;

    commit_begin(b, w->ledger->env.vault, NULL, AUDIT_PARTITION);
    for (uint32_t i = 0; i < s->len; i++) {
        key_audit_taken(&b->name, s->taken[i].partition, s->taken[i].id);
        commit_delete(b);
    }
    s->len = 0;
    commit_fenced(w, marks_deleted);
}

static void notes_deleted(struct work *w)
{
    // An erased user's are gone.
    if (w->store.code == E_ERASED || store_ok(w, "feeding the audit trail"))
        delete_notes(w);
}

// Those of one partition after the other.
static void delete_notes(struct work *w)
{
    struct feeding *s = w->state;
    struct commit *b = &w->commit;
    const struct taken *first = NULL;

    for (uint32_t i = 0; i < s->len; i++) {
        struct taken *t = &s->taken[i];

        if (t->deleted || (first && strcmp(first->partition, t->partition) != 0))
            continue;
        if (!first) {
            first = t;
            memcpy(s->partition, t->partition, sizeof(s->partition));
            commit_begin(b, w->ledger->env.vault, NULL, s->partition);
        }
        key_audit_note(&b->name, t->id);
        commit_delete(b);
        t->deleted = true;
    }
    if (first)
        work_commit(w, notes_deleted);
    else
        delete_marks(w);
}

// ---- entries

static void write_entries(struct work *w);

static void entries_written(struct work *w)
{
    struct feeding *s = w->state;

    if (w->store.code == E_CONFLICT && s->chain.tries++ < TRAIL_TRIES_MAX) {
        chain_find_end(w, write_entries);  // something else was appended
        return;
    }
    if (!store_ok(w, "feeding the audit trail"))
        return;
    s->has_end = true;
    s->chain.tries = 0;
    s->f->fed += s->len;
    delete_notes(w);
}

static void write_entries(struct work *w)
{
    struct feeding *s = w->state;
    struct commit *b = &w->commit;

    s->has_end = false;  // nor is it one that a head may name, before it is durable
    commit_begin(b, w->ledger->env.vault, NULL, AUDIT_PARTITION);
    for (uint32_t i = 0; i < s->len; i++) {
        chain_add(w, &s->notes[i]);
        key_audit_taken(&b->name, s->taken[i].partition, s->taken[i].id);
        buf_add_str(&b->meta, "{}");
        commit_add_bare(b, STORE_INSERT, 0);
    }
    commit_fenced(w, entries_written);
}

// ---- notes

// The note stays where it is: the next page begins after it.
static void leave(struct feeding *s)
{
    const struct record *row = &s->page.rows[s->row++];
    size_t len = row->partition.len < sizeof(s->cursor_partition)
                     ? row->partition.len : sizeof(s->cursor_partition) - 1;

    buf_clear(&s->cursor);
    buf_add_slice(&s->cursor, row->key);
    memcpy(s->cursor_partition, row->partition.ptr, len);
    s->cursor_partition[len] = '\0';
}

// Fills the next of s->taken; false if the row is no note.
static bool read_key(struct feeding *s, const struct record *row)
{
    struct taken *t = &s->taken[s->len];
    size_t stem = sizeof(AUDIT_OUTBOX) - 1;

    if (!slice_starts(row->key, SLICE_LIT(AUDIT_OUTBOX)) || row->version == 0 ||
        row->key.len != stem + AUDIT_ID_BYTES - 1 || row->partition.len >= sizeof(t->partition))
        return false;
    *t = (struct taken){0};
    memcpy(t->partition, row->partition.ptr, row->partition.len);
    memcpy(t->id, row->key.ptr + stem, AUDIT_ID_BYTES - 1);
    return true;
}

// What was damaged, or whose user was erased, is no entry.
static int take(struct work *w, const struct user_key *key)
{
    struct feeding *s = w->state;
    struct record row = s->page.rows[s->row];
    struct safe_buf body;

    safe_buf_init(&body, RECORD_META_BYTES_MAX);
    int code = ledger_unseal(w->ledger, key, &row, &body, &w->op->err);
    safe_buf_release(&body);
    if (!code)
        code = audit_note_read(&s->notes[s->len], row.meta, &w->op->err);
    if (code == E_NOMEM)
        return code;
    if (code) {
        log_line(w->ledger->env.log, LOG_WARN, "audit: event=note_left partition=%s: %s",
                 s->taken[s->len].partition, w->op->err.message);
        s->f->left++;
        leave(s);
    } else {
        s->len++;
        s->row++;
    }
    return E_OK;
}

static void take_and_go_on(struct work *w, const struct user_key *key)
{
    int code = take(w, key);

    if (code)
        finish(w, code);
    else
        next_row(w);
}

static void key_found(struct vault_request *request)
{
    struct feeding *s = CONTAINER_OF(request, struct feeding, vault_request);
    struct work *w = s->chain.work;

    if (request->code && request->code != E_NOT_FOUND && request->code != E_ERASED) {
        w->op->err = request->err;
        finish(w, request->code);
        return;
    }
    take_and_go_on(w, request->key);
}

static void next_row(struct work *w)
{
    struct feeding *s = w->state;

    while (s->row < s->page.rows_len) {
        const struct user_key *key;

        if (!read_key(s, &s->page.rows[s->row])) {
            leave(s);
            continue;
        }
        key = vault_find_key(w->ledger->env.vault, s->taken[s->len].partition);
        if (!key) {
            s->vault_request = (struct vault_request){.loop = w->ledger->env.loop,
                                                      .done = key_found};
            memcpy(s->vault_request.partition, s->taken[s->len].partition,
                   sizeof(s->vault_request.partition));
            vault_user_key(w->ledger->env.vault, &s->vault_request);
            return;
        }
        int code = take(w, key);
        if (code) {
            finish(w, code);
            return;
        }
    }
    if (s->len == 0) {
        next_page(w);  // all of them were left
        return;
    }
    if (s->has_end)
        write_entries(w);
    else
        chain_find_end(w, write_entries);
}

static void page_read(struct work *w)
{
    struct feeding *s = w->state;

    // What the store cannot read is told by `parley verify`; the rest of a page is there.
    if (w->store.code != E_CORRUPT && !store_ok(w, "looking for audit notes"))
        return;
    if (w->store.rows_len == 0) {
        finish(w, E_OK);
        return;
    }
    BUG_ON(w->store.rows_len > BATCH_NOTES);
    s->page = w->store;
    w->store = (struct store_op){0};
    s->row = 0;
    next_row(w);
}

static void scan_notes(struct work *w, const char *partition, struct slice after, uint32_t limit,
                       void (*step)(struct work *w))
{
    struct store_op *op = work_store_op(w, STORE_DUE, partition);

    op->after = after;
    op->before_ms = AUDIT_DUE_MS + 1;
    op->limit = limit;
    work_submit(w, step);
}

static void next_page(struct work *w)
{
    struct feeding *s = w->state;
    int code = buf_check(&s->cursor, "a record's key", &w->op->err);
    bool enough = s->f->notes_max && s->f->fed >= s->f->notes_max;
    bool stop = s->f->stop && s->pages > 0;  // a pass that has the lease is worth a batch

    store_op_release(&s->page);
    s->page = (struct store_op){0};
    if (code || enough || stop || s->pages++ == PAGES_MAX) {
        s->f->more = true;
        finish(w, code);
        return;
    }
    scan_notes(w, s->cursor_partition, buf_slice(&s->cursor), BATCH_NOTES, page_read);
}

// ---- the beginning

static void take_mark(struct feeding *s, struct slice key)
{
    struct taken *t = &s->taken[s->len];
    struct slice parts[3];

    if (key_split(key, parts, 3) != 3 || parts[1].len >= sizeof(t->partition) ||
        parts[2].len >= sizeof(t->id))
        return;  // nothing of ours: `parley verify` tells
    *t = (struct taken){0};
    memcpy(t->partition, parts[1].ptr, parts[1].len);
    memcpy(t->id, parts[2].ptr, parts[2].len);
    s->len++;
}

static void marks_read(struct work *w)
{
    struct feeding *s = w->state;

    if (!store_ok(w, "looking at the audit trail"))
        return;
    for (uint32_t i = 0; i < w->store.rows_len; i++)
        take_mark(s, w->store.rows[i].key);
    if (s->len)
        delete_notes(w);
    else
        next_page(w);
}

static void read_marks(struct work *w)
{
    key_audit_taken_all(&w->prefix);
    buf_clear(&w->after);
    w->limit = BATCH_NOTES;
    work_scan(w, AUDIT_PARTITION, marks_read);
}

static void lease_from(struct work *w, uint64_t epoch);

// The lease of one who died is taken over: an erasure would wait for it, and the notes with it.
static void holder_told(struct work *w)
{
    if (!work_store_ok(w, "asking who feeds the audit trail"))
        return;
    if (w->store.alive)
        work_fail(w, E_BUSY, "another process is feeding the audit trail");
    else
        lease_from(w, UINT64_MAX);
}

static void leased(struct work *w)
{
    struct feeding *s = w->state;
    bool refused = w->store.code == E_REFUSED;

    if (refused && strcmp(w->store.holder_now, store_claim(w->ledger->env.store)) == 0) {
        work_fail(w, E_BUSY, "another thread is feeding the audit trail");
        return;
    }
    if (refused) {
        snprintf(s->holder, sizeof(s->holder), "%s", w->store.holder_now);
        work_store_op(w, STORE_CLAIM_ALIVE, NULL)->key = slice_str(s->holder);
        work_submit(w, holder_told);
        return;
    }
    if (!work_store_ok(w, "beginning to feed the audit trail"))
        return;
    s->epoch = w->store.epoch;
    read_marks(w);
}

static void lease_from(struct work *w, uint64_t epoch)
{
    struct store_op *op = work_store_op(w, STORE_LEASE, AUDIT_PARTITION);

    op->key = lease;
    op->holder = slice_str(store_claim(w->ledger->env.store));
    op->ttl_ms = LEASE_MS;
    op->epoch = epoch;
    work_submit(w, leased);
}

static void acquire(struct work *w)
{
    lease_from(w, 0);
}

static void looked_for_marks(struct work *w)
{
    if (!work_store_ok(w, "looking at the audit trail"))
        return;
    if (w->store.rows_len)
        acquire(w);
    else
        work_end(w, E_OK);
}

// Whoever is about to end leaves a few notes to the next one, as a pass costs several commits.
static void looked_for_notes(struct work *w)
{
    struct feeding *s = w->state;

    if (w->store.code != E_CORRUPT && !work_store_ok(w, "looking for audit notes"))
        return;
    if (w->store.rows_len < (s->f->stop ? BATCH_NOTES : s->f->notes_min)) {
        work_end(w, E_OK);
        return;
    }
    if (w->store.rows_len) {
        acquire(w);
        return;
    }
    key_audit_taken_all(&w->prefix);
    buf_clear(&w->after);
    w->limit = 1;
    work_scan(w, AUDIT_PARTITION, looked_for_marks);
}

void trail_feed(struct ledger *l, struct trail_feed *f, struct ledger_op *op)
{
    struct work *w = work_begin(l, NULL, op);
    struct feeding *s = w ? work_state(w, sizeof(*s), drop_feeding) : NULL;

    f->fed = f->left = 0;
    f->more = false;
    if (!s)
        return;
    chain_init(&s->chain, w);
    s->f = f;
    buf_init(&s->cursor, RECORD_KEY_BYTES_MAX);
    scan_notes(w, NULL, SLICE_NONE, BATCH_NOTES, looked_for_notes);
}
