// SPDX-License-Identifier: MIT
// reader.c: turns out of their records, in one pass.
//
// Records come in the order of their keys: a step, then the further parts of its body, then the
// next step. A step is decoded when what follows it shows that it is whole; a turn is handed over
// when the next one begins. After an error the reader goes on with the next record, so that verify
// can tell all that is wrong; loading stops at the first. One thread.
#include "ledger/ledger_int.h"

#include "base/mem.h"

enum { STEPS_FIRST_CAP = 2, TURN_KEY_ORDINALS = 2, KEY_PARTS_MAX = 6 };

unsigned key_ordinals(struct slice key, struct slice *session, uint32_t out[3])
{
    struct slice parts[KEY_PARTS_MAX];
    unsigned len = key_split(key, parts, KEY_PARTS_MAX);

    if (len < 3 || len == KEY_PARTS_MAX)
        return 0;
    *session = parts[1];
    for (unsigned i = 2; i < len; i++) {
        if (!key_number(parts[i], &out[i - 2]))
            return 0;
    }
    return len - 2;
}

void key_siblings(struct buf *key)
{
    if (buf_ok(key))
        buf_truncate(key, key->len - strlen("0000000000"));
}

void reader_init(struct reader *r, struct ledger *l, const struct user_key *key)
{
    *r = (struct reader){.ledger = l, .key = key};
    safe_buf_init(&r->body, BODY_BYTES_MAX);
}

void reader_release(struct reader *r)
{
    step_release(&r->pending);
    turn_release(&r->turn);
    safe_buf_release(&r->body);
}

// err is NULL where something that came before failed already, and is told instead.
static int corrupt(const struct reader *r, struct err *err)
{
    if (err && err->code == E_CORRUPT)
        err_prefix(err, "%s: ", r->name);
    return err ? err->code : E_CORRUPT;
}

// Whether a step stands for an answer: a turn that got none has a record that only says how it
// ended.
static bool is_step(const struct reader *r)
{
    return r->pending.role == ROLE_USER || r->pending.content.len > 0 ||
           r->turn.status == TURN_DONE || r->turn.status == TURN_CUT;
}

static int push_step(struct reader *r, struct err *err)
{
    struct turn *t = &r->turn;
    uint32_t len = t->steps_len;

    // Grows at 0, 2, 4, 8 … steps: nearly every turn has two.
    if (len == 0 || (len >= STEPS_FIRST_CAP && (len & (len - 1)) == 0)) {
        uint32_t cap = len ? len * 2 : STEPS_FIRST_CAP;
        struct step *grown = mem_realloc(t->steps, cap * sizeof(*grown));

        if (!grown)
            return err_set(err, E_NOMEM, "out of memory for turn %u", t->n);
        t->steps = grown;
    }
    t->steps[t->steps_len++] = r->pending;
    r->pending = (struct step){0};
    return E_OK;
}

static int finish_step(struct reader *r, struct err *err)
{
    if (!r->has_pending)
        return E_OK;
    r->has_pending = false;
    int code = content_decode(&r->pending.content, safe_buf_text(&r->body), err);
    if (code)
        code = corrupt(r, err);
    else if (is_step(r))
        code = push_step(r, err);
    step_release(&r->pending);
    r->pending = (struct step){0};
    return code;
}

static int finish_turn(struct reader *r, struct err *err)
{
    struct turn t = r->turn;

    r->turn = (struct turn){0};
    r->step = 0;
    int code = t.n ? r->on_turn(r->user, &t, err) : E_OK;
    r->damaged = false;
    return code;
}

static int begin_step(struct reader *r, const struct record *row, uint32_t step, struct err *err)
{
    uint32_t expected = r->step;

    r->step = step + 1;
    r->part = 0;
    memcpy(r->name, row->key.ptr, row->key.len);
    r->name[row->key.len] = '\0';
    if (step != expected || step >= TURN_STEPS_MAX)
        return err_set(err, E_CORRUPT, "%s: step %u is not there before it", r->name, expected);
    r->pending = (struct step){0};
    safe_buf_clear(&r->body);
    int code = ledger_unseal(r->ledger, r->key, row, &r->body, err);
    if (code)
        return code;
    code = turn_read_meta(&r->turn, &r->pending, row->meta, err);
    r->has_pending = code == E_OK;
    return code ? corrupt(r, err) : E_OK;
}

static int more_body(struct reader *r, const struct record *row, const uint32_t at[3],
                     struct err *err)
{
    // The step itself was bad, which is known already.
    if (r->turn.n == at[0] && r->step == at[1] + 1 && !r->has_pending)
        return E_OK;
    bool next = r->turn.n == at[0] && r->step == at[1] + 1 && at[2] == r->part + 1 &&
                row->body.bytes.len > VAULT_ENVELOPE_BYTES;
    if (next) {
        r->part++;
        int code = ledger_unseal(r->ledger, r->key, row, &r->body, err);
        r->has_pending = code == E_OK;
        r->damaged |= !r->has_pending;
        return code;
    }
    r->has_pending = false;
    r->damaged = true;
    return err_set(err, E_CORRUPT, "%.*s: does not go on from the record before it",
                   SLICE_FMT(row->key));
}

int reader_row(struct reader *r, const struct record *row, struct err *err)
{
    struct slice session;
    uint32_t at[3];
    unsigned len = row->key.len <= RECORD_KEY_BYTES_MAX ? key_ordinals(row->key, &session, at) : 0;

    if (len < TURN_KEY_ORDINALS || at[0] == 0)
        return err_set(err, E_CORRUPT, "%.*s: not the key of a turn", SLICE_FMT(row->key));
    if (len > TURN_KEY_ORDINALS)
        return more_body(r, row, at, err);
    int code = finish_step(r, err);
    r->damaged |= code != E_OK;
    if (at[0] != r->turn.n) {
        int whole = finish_turn(r, code ? NULL : err);

        code = code ? code : whole;
        r->turn.n = at[0];
    }
    int begun = begin_step(r, row, at[1], code ? NULL : err);
    r->damaged |= begun != E_OK;
    return code ? code : begun;
}

int reader_end(struct reader *r, struct err *err)
{
    int code = finish_step(r, err);

    r->damaged |= code != E_OK;
    int whole = finish_turn(r, code ? NULL : err);
    return code ? code : whole;
}
