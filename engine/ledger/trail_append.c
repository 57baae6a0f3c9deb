// SPDX-License-Identifier: MIT
// trail_append.c: what is appended to the audit trail at once. See trail.h.
//
//   find the end ─▶ commit ──────▶ the head follows
//        ▲             │ E_CONFLICT: another was faster
//        └─────────────┘
// One thread, see ledger_int.h.
#include "ledger/trail_int.h"

#include <stdio.h>

struct appending {
    struct chain chain;              // first
    struct audit_note notes[TRAIL_APPEND_MAX];
    uint32_t len;
    bool accept;
    bool policy;                     // the bot's last version is written, too …
    uint64_t policy_version;         // … over this version of its record
};

static void drop_appending(void *state)
{
    chain_release(&((struct appending *)state)->chain);
}

static void find_end(struct work *w);

static void done(struct work *w)
{
    work_end(w, E_OK);
}

static void appended(struct work *w)
{
    struct appending *s = w->state;

    if (w->store.code == E_CONFLICT && s->chain.tries++ < TRAIL_TRIES_MAX) {
        find_end(w);
        return;
    }
    if (work_store_ok(w, "writing the audit trail"))
        chain_sign(w, s->accept, done);
}

// What the record of a bot's policy says, with its sum; so nobody else writes it.
static void write_policy(const struct vault *v, const struct audit_note *note, struct slice key,
                         struct buf *out)
{
    char sum[VAULT_DIGEST_BYTES];
    struct json_writer jw;
    struct slice parts[] = {SLICE_LIT(AUDIT_PARTITION), key, slice_str(note->policy),
                            slice_str(audit_detail_word(note->detail))};

    vault_digest(v, "audit policy", parts, 4, sum);
    jw_init(&jw, out);
    jw_object(&jw);
    jw_kv_str(&jw, "policy", note->policy);
    jw_kv_str(&jw, "detail", audit_detail_word(note->detail));
    jw_kv_str(&jw, "sum", sum);
    jw_object_end(&jw);
}

int trail_check_policy(const struct vault *v, const struct record *row, struct err *err)
{
    struct buf meta = BUF_INIT(RECORD_META_BYTES_MAX);
    struct audit_note note = {0};
    struct json_doc doc = JSON_DOC_INIT;
    int code = json_parse(&doc, row->meta, 0, err);

    if (!code) {
        struct buf scratch = BUF_INIT(TURN_POLICY_BYTES);
        struct slice policy = json_text(json_get(json_root(&doc), "policy"), &scratch);

        snprintf(note.policy, sizeof(note.policy), "%.*s", SLICE_FMT(policy));
        if (!json_is_string(json_get(json_root(&doc), "detail"), ""))
            note.detail = AUDIT_REDACTION_OFF;
        write_policy(v, &note, row->key, &meta);
        code = meta.no_memory || scratch.no_memory ? E_NOMEM : E_OK;
        buf_release(&scratch);
    }
    bool same = !code && slice_eq(buf_slice(&meta), row->meta);
    buf_release(&meta);
    json_doc_release(&doc);
    return same ? E_OK
           : code == E_NOMEM ? err_set(err, E_NOMEM, "out of memory for the audit trail")
                             : err_set(err, E_CORRUPT, "it is not what was written there");
}

static void append(struct work *w)
{
    struct appending *s = w->state;
    struct commit *b = &w->commit;

    if (s->accept && !s->chain.parted) {
        work_end(w, E_OK);
        return;
    }
    if (s->accept) {
        s->notes[0].count = s->chain.head.n;
        if (!s->notes[0].detail)
            s->notes[0].detail = s->chain.why;
    }
    commit_begin(b, w->ledger->env.vault, NULL, AUDIT_PARTITION);
    for (uint32_t i = 0; i < s->len; i++) {
        struct audit_note note = s->notes[i];

        if (!note.at_ms)
            note.at_ms = ledger_now(w->ledger);
        chain_add(w, &note);
    }
    if (s->policy) {
        key_audit_policy(&b->name, s->notes[0].bot);
        write_policy(b->vault, &s->notes[0], buf_slice(&b->name), &b->meta);
        commit_add_bare(b, s->policy_version ? STORE_PUT : STORE_INSERT, s->policy_version);
    }
    work_commit(w, appended);
}

static void policy_read(struct work *w)
{
    struct appending *s = w->state;
    struct buf *now = &s->chain.text;

    if (!work_store_ok(w, "reading which policy was loaded last"))
        return;
    buf_clear(now);
    write_policy(w->ledger->env.vault, &s->notes[0], buf_slice(&w->prefix), now);
    int code = buf_check(now, "the audit trail", &w->op->err);
    if (code || (w->store.rows_len && slice_eq(w->store.rows[0].meta, buf_slice(now)))) {
        work_end(w, code);
        return;
    }
    s->policy_version = w->store.rows_len ? w->store.rows[0].version : 0;
    chain_find_end(w, append);
}

static void find_end(struct work *w)
{
    struct appending *s = w->state;

    if (!s->policy) {
        chain_find_end(w, append);
        return;
    }
    key_audit_policy(&w->prefix, s->notes[0].bot);
    work_get(w, AUDIT_PARTITION, &w->prefix, policy_read);
}

static struct appending *begin(struct ledger *l, const struct audit_note *notes, uint32_t len,
                               struct ledger_op *op)
{
    struct work *w = work_begin(l, NULL, op);
    struct appending *s = w ? work_state(w, sizeof(*s), drop_appending) : NULL;

    if (!s)
        return NULL;
    chain_init(&s->chain, w);
    memcpy(s->notes, notes, len * sizeof(notes[0]));
    s->len = len;
    return s;
}

void trail_append(struct ledger *l, const struct audit_note *notes, uint32_t len,
                  struct ledger_op *op)
{
    BUG_ON(len == 0 || len > TRAIL_APPEND_MAX);
    struct appending *s = begin(l, notes, len, op);

    if (s)
        find_end(s->chain.work);
}

void trail_policy(struct ledger *l, const struct audit_note *note, struct ledger_op *op)
{
    struct appending *s = begin(l, note, 1, op);

    if (!s)
        return;
    s->policy = true;
    find_end(s->chain.work);
}

void trail_accept(struct ledger *l, enum audit_detail why, const char *actor,
                  struct ledger_op *op)
{
    struct audit_note note = {.action = AUDIT_TRAIL_ACCEPTED, .detail = why};

    snprintf(note.actor, sizeof(note.actor), "%s", actor);
    struct appending *s = begin(l, &note, 1, op);
    if (!s)
        return;
    s->accept = true;
    find_end(s->chain.work);
}
