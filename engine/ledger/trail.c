// SPDX-License-Identifier: MIT
// trail.c: entries, the end of the chain, and its head. See trail.h.
//
//   find the end:  head's file ─▶ newest entry ─┬▶ none, no head ─▶ the first head is made
//                                               ├▶ the head's is an older one ─▶ it is read
//                                               └▶ do they go together? else `parted`
// One thread, see ledger_int.h.
#include "ledger/trail_int.h"

#include <stdio.h>

static const struct slice trail = {AUDIT_PARTITION, sizeof(AUDIT_PARTITION) - 1};

// ---- entries

// Drops the closing brace, adds a member, and closes.
static void add_member(struct buf *out, const char *key, const char *value)
{
    if (out->len)
        buf_truncate(out, out->len - 1);
    buf_addf(out, ",\"%s\":\"%s\"}", key, value);
}

// The entry as it is told, and its hash.
static void write_told(struct audit_entry *e, struct buf *out)
{
    buf_clear(out);
    audit_entry_write(e, out);
    vault_hash(buf_slice(out), e->hash);
    add_member(out, "hash", e->hash);
}

// What an entry is told as becomes what is stored.
static void add_sum(const struct vault *v, struct slice key, struct buf *told)
{
    char sum[VAULT_DIGEST_BYTES];
    struct slice parts[] = {trail, key, buf_slice(told)};

    vault_digest(v, "audit entry", parts, 3, sum);
    add_member(told, "sum", sum);
}

static bool is_bare(const struct record *row)
{
    return slice_eq(row->partition, trail) && row->body.bytes.len == 0 && row->due_at_ms == 0 &&
           row->count == 0;
}

int entry_read(const struct vault *v, const struct record *row, struct audit_entry *e,
               struct buf *json, struct err *err)
{
    struct buf key = BUF_INIT(RECORD_KEY_BYTES_MAX), stored = BUF_INIT(RECORD_META_BYTES_MAX);
    int code = audit_entry_read(e, row->meta, err);
    bool same = false;

    if (!code) {
        key_audit_entry(&key, e->n);
        write_told(e, json);
        buf_add_slice(&stored, buf_slice(json));
        add_sum(v, buf_slice(&key), &stored);
        code = key.no_memory || json->no_memory || stored.no_memory
                   ? err_set(err, E_NOMEM, "out of memory for the audit trail") : E_OK;
        same = slice_eq(buf_slice(&key), row->key) && slice_eq(buf_slice(&stored), row->meta);
    }
    buf_release(&key);
    buf_release(&stored);
    if (code || (same && is_bare(row)))
        return code;
    return err_set(err, E_CORRUPT, "it is not what was written there");
}

int trail_check_record(const struct vault *v, const struct record *row, struct err *err)
{
    struct buf json = BUF_INIT(RECORD_META_BYTES_MAX);
    struct audit_entry e;
    struct slice parts[3];

    if (slice_starts(row->key, SLICE_LIT("entry/"))) {
        int code = entry_read(v, row, &e, &json, err);

        buf_release(&json);
        return code;
    }
    if (slice_starts(row->key, SLICE_LIT("policy/")))
        return trail_check_policy(v, row, err);
    if (slice_starts(row->key, SLICE_LIT("taken/")) && key_split(row->key, parts, 3) == 3 &&
        slice_is(row->meta, "{}"))
        return E_OK;
    return err_set(err, E_CORRUPT, "nothing of ours");
}

void chain_add(struct work *w, const struct audit_note *note)
{
    struct chain *c = w->state;
    struct commit *b = &w->commit;
    struct audit_entry e = {.n = c->end.n + 1, .note = *note};

    memcpy(e.prev, c->end.hash, sizeof(e.prev));
    key_audit_entry(&b->name, e.n);
    write_told(&e, &b->meta);
    add_sum(w->ledger->env.vault, buf_slice(&b->name), &b->meta);
    commit_add_bare(b, STORE_INSERT, 0);
    c->end.n = e.n;
    c->end.at_ms = note->at_ms;
    memcpy(c->end.hash, e.hash, sizeof(c->end.hash));
}

// ---- the end, and the head

void chain_init(struct chain *c, struct work *w)
{
    c->work = w;
    buf_init(&c->text, RECORD_META_BYTES_MAX);
}

void chain_release(struct chain *c)
{
    buf_release(&c->text);
}

static void look(struct work *w);

static void go_on(struct work *w)
{
    ((struct chain *)w->state)->then(w);
}

// The first head may have been made by another between our look at it and at the entries; so what
// does not go together is looked at twice.
static void part(struct work *w, enum audit_detail why)
{
    struct chain *c = w->state;

    if (!c->looked_twice) {
        c->looked_twice = true;
        look(w);
        return;
    }
    c->parted = true;
    c->why = why;
    log_line(w->ledger->env.log, LOG_ERROR, "audit: event=parted why=%s head=%u entries=%u: run "
             "`parley audit verify`", audit_detail_word(why), c->head.n, c->end.n);
    go_on(w);
}

static void head_entry_read(struct work *w)
{
    struct chain *c = w->state;
    struct audit_entry e;

    if (!work_store_ok(w, "reading the audit trail"))
        return;
    int code = w->store.rows_len ? entry_read(w->ledger->env.vault, &w->store.rows[0], &e,
                                              &c->text, &w->op->err)
                                 : E_CORRUPT;
    if (code == E_NOMEM) {
        work_end(w, code);
        return;
    }
    if (code || strcmp(e.hash, c->head.hash) != 0)
        part(w, AUDIT_ENTRIES_MISSING);
    else
        go_on(w);
}

static void head_kept(struct vault_head_request *request)
{
    struct chain *c = CONTAINER_OF(request, struct chain, keep);
    struct work *w = c->work;

    if (request->code && request->code != E_REFUSED)
        log_line(w->ledger->env.log, LOG_WARN, "audit: head=%u: %s", request->head.n,
                 request->err.message);
    else if (!request->code)
        c->head = request->head;
    c->then(w);
}

static void keep_head(struct work *w, const struct audit_head *head, bool force,
                      void (*done)(struct vault_head_request *), void (*then)(struct work *w))
{
    struct chain *c = w->state;

    c->then = then;
    c->keep = (struct vault_head_request){.loop = w->ledger->env.loop, .head = *head,
                                          .force = force, .done = done};
    c->keep.head.at_ms = ledger_now(w->ledger);
    snprintf(c->keep.head.store, sizeof(c->keep.head.store), "%s", trail_store(w->ledger));
    vault_head_keep(w->ledger->env.vault, &c->keep);
}

// Without it, nobody could tell a new trail from one that lost everything.
static void first_head_kept(struct vault_head_request *request)
{
    struct chain *c = CONTAINER_OF(request, struct chain, keep);

    if (request->code) {
        c->work->op->err = request->err;
        work_end(c->work, request->code == E_REFUSED ? E_BUSY : request->code);
        return;
    }
    c->head = request->head;
    c->then(c->work);
}

static void hold_against_head(struct work *w)
{
    struct chain *c = w->state;

    if (!vault_keeps_heads(w->ledger->env.vault)) {
        go_on(w);
    } else if (c->loaded == E_NOT_FOUND && c->end.n == 0) {
        keep_head(w, &c->end, false, first_head_kept, c->then);
    } else if (c->loaded) {
        part(w, AUDIT_HEAD_MISSING);
    } else if (c->head.n == 0 && strcmp(c->head.hash, audit_first) == 0) {
        go_on(w);  // of nothing yet: whoever wrote the first entries died before they were signed
    } else if (c->head.n < c->end.n) {
        key_audit_entry(&w->prefix, c->head.n);
        work_get(w, AUDIT_PARTITION, &w->prefix, head_entry_read);
    } else if (c->head.n > c->end.n || strcmp(c->head.hash, c->end.hash) != 0) {
        part(w, AUDIT_ENTRIES_MISSING);
    } else {
        go_on(w);
    }
}

// The newest entry. One that is damaged, which a check tells, is gone on from all the same.
static int read_end(struct work *w, struct err *err)
{
    struct chain *c = w->state;
    const struct record *row = w->store.rows;
    struct audit_entry e;
    struct slice parts[2];

    c->end = (struct audit_head){0};
    memcpy(c->end.hash, audit_first, sizeof(c->end.hash));
    if (w->store.rows_len == 0)
        return E_OK;
    if (key_split(row->key, parts, 2) != 2 || !key_number(parts[1], &c->end.n) ||
        c->end.n == UINT32_MAX)
        return err_set(err, E_CORRUPT, "record %.*s: no entry of the audit trail; run `parley "
                       "audit verify`", SLICE_FMT(row->key));
    int code = entry_read(w->ledger->env.vault, row, &e, &c->text, err);
    if (code == E_CORRUPT)
        vault_hash(row->meta, c->end.hash);
    else if (!code)
        memcpy(c->end.hash, e.hash, sizeof(c->end.hash));
    return code == E_NOMEM ? code : E_OK;
}

static void end_read(struct work *w)
{
    if (!work_store_ok(w, "reading the audit trail"))
        return;
    int code = read_end(w, &w->op->err);
    if (code)
        work_end(w, code);
    else
        hold_against_head(w);
}

// The head first: what it names is there, then, when the entries are looked at.
static void look(struct work *w)
{
    const struct vault *v = w->ledger->env.vault;
    struct chain *c = w->state;

    c->loaded = E_NOT_FOUND;
    if (vault_keeps_heads(v))
        c->loaded = vault_head_load(v, trail_store(w->ledger), &c->head, &w->op->err);
    if (c->loaded == E_STORE || c->loaded == E_NOMEM) {
        work_end(w, c->loaded);
        return;
    }
    buf_clear(&w->prefix);
    buf_add_str(&w->prefix, "entry/");
    buf_clear(&w->after);
    w->limit = 1;
    work_scan_back(w, AUDIT_PARTITION, end_read);
}

void chain_find_end(struct work *w, void (*then)(struct work *w))
{
    struct chain *c = w->state;

    c->then = then;
    c->parted = c->looked_twice = false;
    look(w);
}

void chain_sign(struct work *w, bool force, void (*then)(struct work *w))
{
    struct chain *c = w->state;
    bool keeps = vault_keeps_heads(w->ledger->env.vault);

    if (keeps && (force || !c->parted))
        keep_head(w, &c->end, force, head_kept, then);
    else
        then(w);
}
