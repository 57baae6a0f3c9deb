// SPDX-License-Identifier: MIT
// summary.c: the records of summaries, and of the calls that they are made with.
//
// No chat and no head is touched: a summary is made beside the turns of its session, and none of
// them waits for it. Its attempt stands among those of the turn that it was made after, which is
// closed, with the next free number. One thread, see ledger_int.h.
#include "ledger/ledger_int.h"

enum { SUMMARIES_KEPT = 3, SUMMARIES_READ = 16 };

// ---- finding

struct finding {
    const struct session_head *head;  // the caller's, as is *out
    struct summary *out;
};

static int read_summary(struct work *w, const struct record *row, uint32_t upto)
{
    struct summary *out = ((struct finding *)w->state)->out;
    int code = ledger_unseal(w->ledger, w->key, row, &out->text, &w->op->err);

    if (!code)
        code = safe_buf_check(&out->text, "a summary", &w->op->err);
    if (!code)
        code = summary_read_meta(out, row->meta, &w->op->err);
    out->upto = upto;
    return code;
}

// The newest comes first. One that is damaged is passed over: it can be made again.
static void summaries_read(struct work *w)
{
    const struct finding *f = w->state;
    struct slice session;
    uint32_t at[3];

    if (!work_store_ok(w, "reading the session's summaries"))
        return;
    for (uint32_t i = 0; i < w->store.rows_len; i++) {
        const struct record *row = &w->store.rows[i];

        if (key_ordinals(row->key, &session, at) != 1)
            continue;
        int code = read_summary(w, row, at[0]);
        if (code == E_NOMEM || (!code && summary_holds(f->out, f->head))) {
            work_end(w, code);
            return;
        }
        summary_release(f->out);
    }
    if (!work_scan_more(w))
        work_fail(w, E_NOT_FOUND, "session %s has no summary", f->head->id);
}

void ledger_find_summary(struct ledger *l, const struct session_head *head,
                         const struct user_key *key, struct summary *out, struct ledger_op *op)
{
    struct work *w = work_begin(l, NULL, op);
    struct finding *f = w ? work_state(w, sizeof(*f), NULL) : NULL;

    if (!f)
        return;
    *f = (struct finding){head, out};
    w->key = key;
    w->limit = SUMMARIES_KEPT + 1;
    key_summaries(&w->prefix, head->id);
    work_scan_back(w, head->partition, summaries_read);
}

// ---- the attempts

struct summing {
    struct ledger_summing *s;         // the caller's
    const struct summary *made;       // the caller's; NULL: none
};

static struct work *begin(struct ledger *l, struct ledger_summing *s, const struct summary *made,
                          struct ledger_op *op)
{
    struct work *w = work_begin(l, NULL, op);
    struct summing *state = w ? work_state(w, sizeof(*state), NULL) : NULL;

    if (!state)
        return NULL;
    *state = (struct summing){s, made};
    w->key = s->key;
    return w;
}

static void opened(struct work *w)
{
    struct ledger_summing *s = ((struct summing *)w->state)->s;

    if (!work_store_ok(w, "recording the call for a summary"))
        return;
    s->attempt = w->attempt;
    s->version = w->store.items[w->attempt_item].version;
    work_end(w, E_OK);
}

static void open_next(struct work *w, uint32_t n)
{
    const struct ledger_summing *s = ((struct summing *)w->state)->s;
    struct session_head of = {0};

    memcpy(of.bot, s->bot, strnlen(s->bot, sizeof(of.bot) - 1));
    attempt_open(&w->attempt, w->ledger, &of, s->turn, n);
    w->attempt.kind = ATTEMPT_SUMMARY;
    memcpy(w->attempt.provider, s->attempt.provider, sizeof(w->attempt.provider));
    memcpy(w->attempt.model, s->attempt.model, sizeof(w->attempt.model));
    commit_begin(&w->commit, w->ledger->env.vault, w->key, s->partition);
    w->attempt_item = work_add_attempt(w, STORE_INSERT, 0, s->session, &w->attempt, NULL);
    work_commit(w, opened);
}

static void newest_read(struct work *w)
{
    struct slice session;
    uint32_t at[3] = {0, 0, 0};

    if (!work_store_ok(w, "reading the turn's attempts"))
        return;
    if (w->store.rows_len)
        key_ordinals(w->store.rows[0].key, &session, at);
    open_next(w, at[1] + 1);
}

void ledger_summary_attempt(struct ledger *l, struct ledger_summing *s, struct ledger_op *op)
{
    struct work *w = begin(l, s, NULL, op);

    if (!w)
        return;
    key_attempt(&w->prefix, s->session, s->turn, 0);
    key_siblings(&w->prefix);
    w->limit = 1;
    work_scan_back(w, s->partition, newest_read);
}

// ---- settling

static void settled(struct work *w)
{
    const struct summing *state = w->state;

    if (!work_store_ok(w, "recording a summary"))
        return;
    state->s->version = w->store.items[w->attempt_item].version;
    work_end(w, E_OK);
}

static void add_summary(struct work *w, const struct ledger_summing *s, const struct summary *made)
{
    struct commit *b = &w->commit;

    key_summary(&b->name, s->session, made->upto);
    summary_write_meta(made, &b->meta);
    safe_buf_add(&b->body, safe_buf_text(&made->text));
    commit_add(b, STORE_PUT, 0);
}

static void begin_settlement(struct work *w)
{
    const struct summing *state = w->state;
    const struct ledger_summing *s = state->s;

    BUG_ON(s->attempt.status == ATTEMPT_OPEN);
    commit_begin(&w->commit, w->ledger->env.vault, w->key, s->partition);
    w->attempt_item =
        work_add_attempt(w, STORE_PUT, s->version, s->session, &s->attempt, NULL);
    if (state->made)
        add_summary(w, s, state->made);
}

// After an undo the one before may hold again: some are kept, and the one that this goes on from
// before all others, which may be of turns that were undone.
static void old_ones_read(struct work *w)
{
    const struct summing *state = w->state;
    uint32_t kept = state->made->base ? 2 : 1;
    struct slice session;
    uint32_t at[3];

    if (!work_store_ok(w, "reading the session's summaries"))
        return;
    begin_settlement(w);
    for (uint32_t i = 0; i < w->store.rows_len; i++) {
        const struct record *row = &w->store.rows[i];

        if (key_ordinals(row->key, &session, at) != 1 || at[0] == state->made->upto ||
            at[0] == state->made->base)
            continue;
        if (kept++ < SUMMARIES_KEPT)
            continue;
        buf_add_slice(&w->commit.name, row->key);
        commit_delete(&w->commit);
    }
    work_commit(w, settled);
}

void ledger_summary_settle(struct ledger *l, struct ledger_summing *s, const struct summary *made,
                           struct ledger_op *op)
{
    struct work *w = begin(l, s, made, op);

    if (!w)
        return;
    if (!made) {
        begin_settlement(w);
        work_commit(w, settled);
        return;
    }
    w->limit = SUMMARIES_READ;
    key_summaries(&w->prefix, s->session);
    work_scan_back(w, s->partition, old_ones_read);
}
