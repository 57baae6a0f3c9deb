// SPDX-License-Identifier: MIT
// ledger_meddler.h: a store between the ledger and another, which answers one op otherwise: with a
// failure, with no rows, or with one row that says something else. What it says is sealed as it
// should be, as if a writer of ours had made a mistake, or is plain damage. What is stored stays as
// it is. One thread.
#ifndef TESTS_LEDGER_MEDDLER_H
#define TESTS_LEDGER_MEDDLER_H

#include "store/store_int.h"
#include "unit/ledger_kit.h"

enum meddling {
    // honest failures: what is stored must be right afterwards
    MEDDLE_STORE, MEDDLE_NOMEM, MEDDLE_BUSY, MEDDLE_CONFLICT, MEDDLE_CONFLICT_LAST,
    MEDDLE_CORRUPT, MEDDLE_AMBIGUOUS, MEDDLE_DAMAGE,
    MEDDLINGS_HONEST,
    // lies
    MEDDLE_EMPTY = MEDDLINGS_HONEST, MEDDLE_EMPTY_MORE, MEDDLE_MORE, MEDDLE_VERSION,
    MEDDLE_PARTITION, MEDDLE_PARTITION_OTHER, MEDDLE_BODY_NONE, MEDDLE_BODY_JUNK,
    MEDDLE_KEY,
    MEDDLE_KEY_LAST = MEDDLE_KEY + 13,
    MEDDLE_META,
    MEDDLE_META_TOKENS = MEDDLE_META + 6,
    MEDDLE_META_LAST = MEDDLE_META + 16,
    MEDDLINGS,
};

struct meddler {
    struct store base;
    struct store *inner;
    struct kit *k;
    enum meddling how, again;  // again: the op after that one; MEDDLINGS: it is left alone
    unsigned skip;   // or so many later
    bool last_row;   // else the first
    long countdown;  // the op that is answered otherwise; 0: none
    bool lasting;    // and all that follow
    bool hit;
    struct {
        struct store_op *op;
        void (*done)(struct store_op *op);
    } caught;
    char key[400], partition[100], meta[2048];
    struct buf sealing;
};

static inline void meddler_key(char *out, size_t size, struct slice key, unsigned how)
{
    char text[RECORD_KEY_BYTES_MAX + 1];
    snprintf(text, sizeof text, "%.*s", SLICE_FMT(key));
    char *last = strrchr(text, '/'), *before = last;
    while (before && before > text && *--before != '/')
        continue;
    switch (how) {
    case 0: snprintf(out, size, "other/thing"); break;
    case 1: snprintf(out, size, "%.*s", last ? (int)(last - text) : 0, text); break;
    case 2: snprintf(out, size, "%s/0000000001", text); break;
    case 3: snprintf(out, size, "%s/0000000003", text); break;
    case 4: snprintf(out, size, "%s/x", text); break;
    case 5: snprintf(out, size, "%.*s/0000000007", last ? (int)(last - text) : 0, text); break;
    case 6: snprintf(out, size, "%.*s/0000000000", last ? (int)(last - text) : 0, text); break;
    case 7:  // another turn
        snprintf(out, size, "%.*s/0000000099%s", before ? (int)(before - text) : 0, text,
                 last ? last : "");
        break;
    case 8:
        snprintf(out, size, "%.*s/0000000000%s", before ? (int)(before - text) : 0, text,
                 last ? last : "");
        break;
    case 9: snprintf(out, size, "a/b/c/d/e/f/g/h"); break;
    case 10: snprintf(out, size, "%0300d", 7); break;
    case 11:
        snprintf(out, size, "%.*s/0000000001%s", before ? (int)(before - text) : 0, text,
                 last ? last : "");
        break;
    case 12: out[0] = '\0'; break;
    default: snprintf(out, size, "attempt/nobody/0000000001/0000000001"); break;
    }
}

// meta with one piece for another, or anew.
static inline void meddler_meta(char *out, size_t size, struct slice meta, unsigned how)
{
    static const char *const pieces[][2] = {
        {"\"done\"", "\"open\""}, {"\"open\"", "\"done\""},
        {"\"open_turn\":", "\"open_turn\":1,\"x\":"},
        {"\"turns\":", "\"turns\":9,\"x\":"}, {"\"tokens\":", "\"tokens\":7,\"x\":"},
        {"\"events\":", "\"events\":9,\"x\":"},
        {"\"tokens\":", NULL},  // another number each time
    };
    static const char *const anew[] = {
        "{}", "[]", "{\"session\":\"nobody\",\"turn\":1}",
        "{\"session\":\"0190b6f0-0000-4000-8000-000000000000\",\"turn\":0}",
        "{\"session\":\"0190b6f0-0000-4000-8000-000000000000\",\"turn\":4294967296}",
        "{\"session\":\"0190b6f0-0000-4000-8000-000000000000\",\"turn\":1}",
        "{\"kind\":\"system\"}", "{\"status\":\"open\",\"at\":1}", "{\"status\":\"done\",\"at\":0}",
        "{"};
    char text[1024];
    snprintf(text, sizeof text, "%.*s", SLICE_FMT(meta));
    static unsigned ever;
    char other[64];
    if (how >= 7) {
        snprintf(out, size, "%s", anew[how - 7]);
        return;
    }
    snprintf(other, sizeof other, "\"tokens\":%u,\"x\":", 100 + ever++);
    char *at = strstr(text, pieces[how][0]);
    int head = at ? (int)(at - text) : 0;
    snprintf(out, size, "%.*s%s%s", head, text,
             !at ? "" : pieces[how][1] ? pieces[how][1] : other,
             text + head + (at ? strlen(pieces[how][0]) : 0));
}

// A row that says something else, sealed for what it says.
static inline void meddler_row(struct meddler *m, struct record *row)
{
    struct vault_place was = vault_place_of(row);
    struct safe_buf body;
    struct sealed sealed;
    safe_buf_init(&body, 1 << 22);
    vault_unseal(m->k->vault, m->k->key, &was, row->body, &body, NULL);
    if (m->how == MEDDLE_BODY_NONE || m->how == MEDDLE_BODY_JUNK)
        safe_buf_clear(&body);
    if (m->how == MEDDLE_BODY_JUNK)
        safe_buf_add(&body, kit_text("[{\"type\":"));
    if (m->how == MEDDLE_PARTITION) {
        snprintf(m->partition, sizeof m->partition, "%064d", 7);
        row->partition = slice_str(m->partition);
    }
    if (m->how == MEDDLE_PARTITION_OTHER) {
        snprintf(m->partition, sizeof m->partition, "%032d", 7);
        row->partition = slice_str(m->partition);
    }
    if (m->how >= MEDDLE_KEY && m->how <= MEDDLE_KEY_LAST) {
        meddler_key(m->key, sizeof m->key, row->key, m->how - MEDDLE_KEY);
        row->key = slice_str(m->key);
    }
    if (m->how >= MEDDLE_META) {
        meddler_meta(m->meta, sizeof m->meta, row->meta, m->how - MEDDLE_META);
        row->meta = slice_str(m->meta);
    }
    struct vault_place place = vault_place_of(row);
    buf_clear(&m->sealing);
    if (vault_seal(m->k->vault, m->k->key, &place, safe_buf_text(&body), &m->sealing, &sealed,
                   NULL) == E_OK)  // not what is too long to be sealed
        row->body = sealed;
    safe_buf_release(&body);
}

static inline void meddler_done(struct store_op *op);

static inline struct meddler *meddler_of(struct store *s)
{
    return CONTAINER_OF(s, struct meddler, base);
}

static struct meddler *meddler_now;  // whose op is caught: ops know no store

static inline void meddler_done(struct store_op *op)
{
    struct meddler *m = meddler_now;
    struct record *row = op->rows_len ? &op->rows[m->last_row ? op->rows_len - 1 : 0] : NULL;
    op->done = m->caught.done;
    if (m->how == MEDDLE_AMBIGUOUS) {
        store_op_release(op);
        op->ambiguous = op_writes(op);
        op_fail(op, E_STORE, "the answer was lost");
    } else if (m->how == MEDDLE_EMPTY || m->how == MEDDLE_EMPTY_MORE) {
        op->rows_len = 0;
        op->more = m->how == MEDDLE_EMPTY_MORE;
    } else if (m->how == MEDDLE_MORE) {
        op->more = true;
    } else if (row && m->how == MEDDLE_VERSION) {
        row->version++;
    } else if (row && m->how == MEDDLE_DAMAGE) {
        row->body.bytes.len -= row->body.bytes.len > 0;
    } else if (row) {
        meddler_row(m, row);
    }
    op->done(op);
}

static inline void meddler_submit(struct store *s, struct store_op *op)
{
    static const int codes[] = {[MEDDLE_STORE] = E_STORE,       [MEDDLE_NOMEM] = E_NOMEM,
                                [MEDDLE_BUSY] = E_BUSY,         [MEDDLE_CONFLICT] = E_CONFLICT,
                                [MEDDLE_CONFLICT_LAST] = E_CONFLICT,
                                [MEDDLE_CORRUPT] = E_CORRUPT};
    struct meddler *m = meddler_of(s);
    bool now = m->countdown && --m->countdown == 0;
    bool is_commit = op->verb == STORE_COMMIT;
    if (m->hit && !now && m->again < MEDDLINGS && m->skip-- == 0) {
        m->how = m->again;
        m->again = MEDDLINGS;
        now = true;
    }
    now |= m->hit && m->lasting;
    m->hit |= now;
    if (now && (m->how == MEDDLE_CONFLICT || m->how == MEDDLE_CONFLICT_LAST) && !is_commit)
        now = false;  // reads conflict with nothing
    if (now && m->how <= MEDDLE_CORRUPT) {
        op->failed_item = m->how == MEDDLE_CONFLICT_LAST ? op->items_len - 1 : 0;
        op_fail(op, codes[m->how], "told to fail");
        op_complete(op);
        return;
    }
    if (now) {
        meddler_now = m;
        m->caught.done = op->done;
        op->done = meddler_done;
    }
    m->inner->ops->submit(m->inner, op);
}

static inline const char *meddler_claim(struct store *s)
{
    return store_claim(meddler_of(s)->inner);
}

static const struct store_ops meddler_ops = {
    .name = "meddler", .submit = meddler_submit, .claim = meddler_claim};

// Between k's ledger, which is made anew, and its store.
static inline void meddler_init(struct meddler *m, struct kit *k)
{
    struct err err = ERR_INIT;
    *m = (struct meddler){.base.ops = &meddler_ops, .inner = k->store, .k = k, .again = MEDDLINGS};
    buf_init(&m->sealing, 1 << 20);
    struct ledger_env env = {.store = &m->base, .vault = k->vault, .loop = k->loop,
                             .clock = &k->clock->clock, .rand = &k->rand->rand};
    ledger_free(k->ledger);
    assert_int_equal(ledger_new(&k->ledger, &env, &err), E_OK);
}

static inline void meddler_release(struct meddler *m)
{
    buf_release(&m->sealing);
}

#endif
