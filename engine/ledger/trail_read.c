// SPDX-License-Identifier: MIT
// trail_read.c: the whole trail, read and checked, a page of entries after the other. One thread,
// see ledger_int.h.
#include "ledger/trail_int.h"

#include <stdio.h>

struct reading {
    const struct trail_read *r;
    struct buf json;
};

static void drop_reading(void *state)
{
    buf_release(&((struct reading *)state)->json);
}

static void scan_entries(struct work *w, void (*step)(struct work *w))
{
    buf_clear(&w->prefix);
    buf_add_str(&w->prefix, "entry/");
    buf_clear(&w->after);
    work_scan(w, AUDIT_PARTITION, step);
}

// ---- reading

static bool wanted(const struct trail_read *r, const struct audit_entry *e)
{
    return e->note.at_ms >= r->since_ms &&
           (!r->subject[0] || strcmp(r->subject, e->note.subject) == 0);
}

static void rows_read(struct work *w)
{
    struct reading *s = w->state;
    struct err *err = &w->op->err;
    int code = E_OK;

    if (!work_store_ok(w, "reading the audit trail"))
        return;
    for (uint32_t i = 0; i < w->store.rows_len && !code; i++) {
        struct audit_entry e;

        code = entry_read(w->ledger->env.vault, &w->store.rows[i], &e, &s->json, err);
        w->op->orphans += code == E_CORRUPT;
        if (!code && wanted(s->r, &e))
            code = s->r->take(s->r->user, &e, buf_slice(&s->json), err);
        else if (code == E_CORRUPT)
            code = E_OK;
    }
    if (code)
        work_end(w, code);
    else if (!work_scan_more(w))
        work_end(w, E_OK);
}

void trail_read(struct ledger *l, const struct trail_read *r, struct ledger_op *op)
{
    struct work *w = work_begin(l, NULL, op);
    struct reading *s = w ? work_state(w, sizeof(*s), drop_reading) : NULL;

    if (!s)
        return;
    s->r = r;
    buf_init(&s->json, RECORD_META_BYTES_MAX);
    scan_entries(w, rows_read);
}

// ---- checking

struct checking {
    const struct ledger *ledger;
    struct trail_check *c;
    struct buf json;
    char prev[AUDIT_HASH_BYTES];     // that the next entry should be bound to; "": unknown
    uint32_t next;                   // its n
    bool house_seen, other_seen;     // the entries that the heads name were met
    bool again;                      // a head is looked for that was signed while we read
};

static void drop_checking(void *state)
{
    buf_release(&((struct checking *)state)->json);
}

__attribute__((format(printf, 2, 3))) static void problem(struct trail_check *c, const char *fmt,
                                                          ...)
{
    char line[ERR_MESSAGE_BYTES];
    va_list ap;

    if (c->problems++ >= TRAIL_PROBLEMS_MAX)
        return;
    va_start(ap, fmt);
    vsnprintf(line, sizeof(line), fmt, ap);
    va_end(ap);
    buf_add_str(c->report, line);
    buf_add_char(c->report, '\n');
}

static void missing(struct trail_check *c, uint32_t first, uint32_t last)
{
    if (first == last)
        problem(c, "entry %u is not there", first);
    else
        problem(c, "entries %u to %u are not there", first, last);
}

// Whether the entry is the one that a head was signed over, if it is its turn.
static void hold(struct trail_check *c, const struct audit_head *head, const char *whose,
                 const struct audit_entry *e, bool *seen)
{
    char at[CLOCK_TEXT_BYTES];

    if (head->n != e->n)
        return;
    *seen = true;
    if (strcmp(head->hash, e->hash) == 0)
        return;
    clock_format(head->at_ms, at);
    problem(c, "entry %u is another one than the %s head of %s was signed over", e->n, whose, at);
}

static void take_entry(struct checking *s, const struct audit_entry *e)
{
    struct trail_check *c = s->c;

    if (e->n > s->next)
        missing(c, s->next, e->n - 1);
    else if (s->prev[0] && strcmp(e->prev, s->prev) != 0)
        problem(c, "entry %u does not follow from the one before it", e->n);
    hold(c, &c->head, "house's", e, &s->house_seen);
    hold(c, &c->other, "given", e, &s->other_seen);
    memcpy(s->prev, e->hash, sizeof(s->prev));
    s->next = e->n + 1;
    c->end = (struct audit_head){.n = e->n, .at_ms = e->note.at_ms};
    memcpy(c->end.hash, e->hash, sizeof(c->end.hash));
    snprintf(c->end.store, sizeof(c->end.store), "%s", trail_store(s->ledger));
    c->entries++;
}

// What cannot be read stands where its key says, and the next entry says what its hash was.
static void take_damaged(struct checking *s, const struct record *row)
{
    struct trail_check *c = s->c;
    struct slice parts[2];
    uint32_t n;

    if (key_split(row->key, parts, 2) != 2 || !key_number(parts[1], &n) || n < s->next) {
        problem(c, "record %.*s is no entry", SLICE_FMT(row->key));
        return;
    }
    if (n > s->next)
        missing(c, s->next, n - 1);
    problem(c, "entry %u was changed, or is not ours", n);
    s->house_seen |= c->head.n == n;
    s->other_seen |= c->other.n == n;
    s->prev[0] = '\0';
    s->next = n + 1;
    c->end.n = n;
}

static void check_head(struct trail_check *c, const struct audit_head *head, const char *whose,
                       bool seen)
{
    char at[CLOCK_TEXT_BYTES];

    if (head->n == 0 || seen)
        return;
    clock_format(head->at_ms, at);
    if (head->n <= c->end.n)
        problem(c, "the %s head of %s was signed over entry %u", whose, at, head->n);
    else
        problem(c, "the %s head of %s was signed over entry %u: the newest is entry %u, and those "
                "after it were cut off, or an older store was put in this one's place", whose, at,
                head->n, c->end.n);
}

static void end_check(struct work *w)
{
    struct checking *s = w->state;
    struct trail_check *c = s->c;

    check_head(c, &c->head, "house's", s->house_seen);
    check_head(c, &c->other, "given", s->other_seen);
    if (c->problems > TRAIL_PROBLEMS_MAX) {
        buf_addf(c->report, "and %u more problems\n", c->problems - TRAIL_PROBLEMS_MAX);
        c->problems = TRAIL_PROBLEMS_MAX + 1;
    }
    work_end(w, buf_check(c->report, "the report", &w->op->err));
}

static void rows_checked(struct work *w)
{
    struct checking *s = w->state;

    if (!work_store_ok(w, "reading the audit trail"))
        return;
    for (uint32_t i = 0; i < w->store.rows_len; i++) {
        const struct record *row = &w->store.rows[i];
        struct audit_entry e;
        int code = entry_read(w->ledger->env.vault, row, &e, &s->json, &w->op->err);

        if (code == E_NOMEM) {
            work_end(w, code);
            return;
        }
        if (code)
            take_damaged(s, row);
        else
            take_entry(s, &e);
    }
    if (!work_scan_more(w))
        end_check(w);
}

static void begin_check(struct work *w);

// There are entries and no head: one may just have been made, before the first entry was.
static void any_entry(struct work *w)
{
    struct checking *s = w->state;

    if (!work_store_ok(w, "reading the audit trail"))
        return;
    if (w->store.rows_len && !s->again) {
        s->again = true;
        begin_check(w);
        return;
    }
    if (w->store.rows_len)
        problem(s->c, "the house's head, beside the keyring, is not there: what is missing at the "
                "end cannot be told");
    scan_entries(w, rows_checked);
}

// The head first: what it names is there, then, when the entries are read.
static void begin_check(struct work *w)
{
    const struct vault *v = w->ledger->env.vault;
    struct checking *s = w->state;
    int code = E_OK;

    if (vault_keeps_heads(v))
        code = vault_head_load(v, trail_store(w->ledger), &s->c->head, &w->op->err);

    if (code == E_STORE || code == E_NOMEM) {
        work_end(w, code);
    } else if (code == E_NOT_FOUND) {
        w->limit = 1;
        scan_entries(w, any_entry);
        w->limit = 0;
    } else {
        if (code)
            problem(s->c, "%s", w->op->err.message);
        scan_entries(w, rows_checked);
    }
}

void trail_check(struct ledger *l, struct trail_check *c, struct ledger_op *op)
{
    struct work *w = work_begin(l, NULL, op);
    struct checking *s = w ? work_state(w, sizeof(*s), drop_checking) : NULL;

    c->head = c->end = (struct audit_head){0};
    memcpy(c->end.hash, audit_first, sizeof(c->end.hash));
    snprintf(c->end.store, sizeof(c->end.store), "%s", trail_store(l));
    c->entries = c->problems = 0;
    if (!s)
        return;
    s->ledger = l;
    s->c = c;
    s->next = 1;
    memcpy(s->prev, audit_first, sizeof(s->prev));
    buf_init(&s->json, RECORD_META_BYTES_MAX);
    begin_check(w);
}
