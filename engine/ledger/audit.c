// SPDX-License-Identifier: MIT
// audit.c: notes for the audit trail, as outbox records of the user that they are about. See
// audit.h. One thread, see ledger_int.h; audit_outbox on any.
#include "ledger/audit.h"
#include "ledger/ledger_int.h"

#include "base/id.h"

int audit_subject(struct vault *v, const struct user_key *key, const char *partition,
                  char out[AUDIT_SUBJECT_BYTES], struct err *err)
{
    return vault_user_digest(v, key, "audit", slice_str(partition), out, err);
}

static void new_id(const struct rand *rand, char out[AUDIT_ID_BYTES])
{
    unsigned char bytes[(AUDIT_ID_BYTES - 1) / 2];

    rand_fill(rand, bytes, sizeof(bytes));
    hex_encode(bytes, sizeof(bytes), out);
}

// ---- for any batch

static int fill(struct audit_outbox *o, struct buf *meta, const char *partition,
                const struct audit_note *note, const struct rand *rand, struct err *err)
{
    char id[AUDIT_ID_BYTES];

    audit_note_write(note, meta);
    int code = buf_check(meta, "an audit note", err);
    if (code)
        return code == E_NOMEM ? code : err_set(err, E_USAGE, "an audit note about %s: its bot's "
                                                "name is too long", partition);
    memcpy(o->meta, meta->ptr, meta->len + 1);
    new_id(rand, id);
    memcpy(o->key, AUDIT_OUTBOX, sizeof(AUDIT_OUTBOX));
    memcpy(o->key + sizeof(AUDIT_OUTBOX) - 1, id, sizeof(id));
    return E_OK;
}

int audit_outbox(struct audit_outbox *o, struct store_item *item, struct vault *v,
                 const struct rand *rand, const struct user_key *key, const char *partition,
                 const struct audit_note *note, struct err *err)
{
    struct buf meta = BUF_INIT(AUDIT_META_BYTES - 1);
    struct buf sealed_bytes = BUF_INIT(VAULT_ENVELOPE_BYTES);
    struct audit_note about = *note;
    struct sealed sealed;

    o->key[0] = '\0';
    int code = audit_subject(v, key, partition, about.subject, err);
    if (!code)
        code = fill(o, &meta, partition, &about, rand, err);
    struct vault_place place = {slice_str(partition), slice_str(o->key),
                                slice_of(o->meta, meta.len)};
    if (!code)
        code = vault_seal(v, key, &place, SAFE_NONE, &sealed_bytes, &sealed, err);
    if (!code) {
        memcpy(o->body, sealed.bytes.ptr, sealed.bytes.len);
        *item = (struct store_item){.verb = STORE_INSERT,
                                    .key = place.key,
                                    .due_at_ms = AUDIT_DUE_MS,
                                    .meta = place.meta,
                                    .body = {slice_of(o->body, sealed.bytes.len)}};
    }
    buf_release(&meta);
    buf_release(&sealed_bytes);
    return code;
}

// ---- for the ledger's own batches

void commit_note(struct commit *b, const struct rand *rand, const struct audit_note *note)
{
    struct audit_note about = *note;
    char id[AUDIT_ID_BYTES];

    new_id(rand, id);
    if (!b->code)
        b->code = audit_subject(b->vault, b->key, b->partition.ptr, about.subject, &b->err);
    key_audit_note(&b->name, id);
    audit_note_write(&about, &b->meta);
    uint32_t at = commit_add(b, STORE_INSERT, 0);
    if (!b->code)
        b->items[at].due_at_ms = AUDIT_DUE_MS;
}

void work_add_session_note(struct work *w, enum audit_action action, enum audit_detail detail)
{
    struct audit_note note = {.action = action, .detail = detail, .at_ms = ledger_now(w->ledger)};

    memcpy(note.bot, w->head.bot, sizeof(note.bot));
    commit_note(&w->commit, w->ledger->env.rand, &note);
}

// ---- a note alone

static void recorded(struct work *w)
{
    if (work_store_ok(w, "noting it for the audit trail"))
        work_end(w, E_OK);
}

void audit_record(struct ledger *l, const char *partition, const struct user_key *key,
                  const struct audit_note *note, struct ledger_op *op)
{
    struct work *w = work_begin(l, NULL, op);
    struct audit_note now = *note;

    if (!w)
        return;
    if (!now.at_ms)
        now.at_ms = ledger_now(l);
    commit_begin(&w->commit, l->env.vault, key, partition);
    commit_note(&w->commit, l->env.rand, &now);
    work_commit(w, recorded);
}
