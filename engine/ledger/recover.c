// SPDX-License-Identifier: MIT
// recover.c: what a dead process left open is settled: its attempt is lost, which is a declared
// unknown of the bill, and its turn is interrupted, with what was kept of the reply.
//
//   one chat:  read head, attempt, parts ─▶ owner alive? E_BUSY
//                                         └▶ else one commit ─▶ the chat is read anew
//   all:       page of due attempts ─▶ each: owner alive? skip
//                                         └▶ else user's key ─▶ as for one chat
//                                              └▶ its turn was closed before, or it is no
//                                                 reply's (a summary's, or of no turn at
//                                                 all)? the attempt alone
//
// Everything is guarded by the head's version: of several that recover at once, one does it, and a
// process that was only thought dead meets E_CONFLICT. One thread, see ledger_int.h.
#include "ledger/ledger_int.h"

#include "tokens/tokens.h"

// ---- one chat

static void interrupted(struct work *w)
{
    if (w->store.code == E_CONFLICT) {
        work_fail(w, E_CONFLICT, "session %s changed meanwhile: read it again", w->chat->head.id);
        return;
    }
    if (!work_store_ok(w, "settling an interrupted turn"))
        return;
    w->op->turns = 1;
    work_apply_head(w);
    chat_forget(w->chat);
    work_end(w, E_OK);
}

static int build_reply(struct work *w, struct step *reply, struct err *err)
{
    struct chat *c = w->chat;
    struct safe_text kept = safe_buf_text(&w->text);
    int code = E_OK;

    *reply = (struct step){.role = ROLE_ASSISTANT, .at_ms = ledger_now(c->ledger)};
    if (kept.len) {
        code = content_make_text(&reply->content, kept, err);
        reply->tokens = code ? 0 : tokens_of_content(NULL, &reply->content);
    }
    return code;
}

static void settle_lost(struct work *w)
{
    struct chat *c = w->chat;
    struct chat_impl *impl = c->impl;
    struct turn t = {.n = c->head.open_turn, .status = TURN_INTERRUPTED, .stop = STOP_LOST,
                     .usage = impl->usage};
    struct step reply;
    int code = build_reply(w, &reply, &w->op->err);

    if (code) {
        work_end(w, code);
        return;
    }
    t.usage.cost_nusd = COST_UNKNOWN;  // for the lost attempt's is
    memcpy(t.provider, c->attempt.provider, sizeof(t.provider));
    memcpy(t.model, c->attempt.model, sizeof(t.model));
    work_head(w, false, NULL);
    w->head.open_turn = 0;
    w->head.tokens += reply.tokens;
    w->attempt = c->attempt;
    w->attempt.status = ATTEMPT_LOST;
    commit_begin(&w->commit, c->ledger->env.vault, c->key, c->head.partition);
    work_add_reply(w, c->head.id, &t, &reply);
    work_add_attempt(w, STORE_PUT, impl->attempt_version, c->head.id, &w->attempt, NULL);
    work_add_head(w);
    work_add_parts_gone(w);
    step_release(&reply);
    work_commit(w, interrupted);
}

static void owner_asked(struct work *w)
{
    if (!work_store_ok(w, "asking whether the turn's owner lives"))
        return;
    if (w->store.alive)
        work_fail(w, E_BUSY, "turn %u of session %s is being answered: wait for it or stop it",
                  w->chat->head.open_turn, w->chat->head.id);
    else
        settle_lost(w);
}

static void head_seen_again(struct work *w)
{
    const struct session_head *head = &w->chat->head;

    if (!work_store_ok(w, "reading the session again"))
        return;
    if (w->store.rows_len == 0 || w->store.rows[0].version != head->version)
        work_fail(w, E_CONFLICT, "session %s changed meanwhile: read it again", head->id);
    else
        work_end_reading(w, err_set(&w->op->err, E_CORRUPT, "turn %u is open, and no attempt of it "
                                    "is; run `parley verify`", head->open_turn));
}

// `own`: a turn of this process is settled too.
static void settle_open(struct work *w, bool own)
{
    struct chat *c = w->chat;

    if (c->head.open_turn == 0) {
        work_end(w, E_OK);
        return;
    }
    if (c->attempt.n == 0 || c->attempt.status != ATTEMPT_OPEN) {
        // Its owner may have settled it after the head was read here, before its attempts were.
        key_session(&w->prefix, c->head.id);
        work_get(w, c->head.partition, &w->prefix, head_seen_again);
        return;
    }
    if (own && strcmp(c->attempt.owner, store_claim(c->ledger->env.store)) == 0) {
        settle_lost(w);
        return;
    }
    work_store_op(w, STORE_CLAIM_ALIVE, NULL)->key = slice_str(c->attempt.owner);
    work_submit(w, owner_asked);
}

static void open_read(struct work *w)
{
    settle_open(w, false);
}

static void open_read_own(struct work *w)
{
    settle_open(w, true);
}

void ledger_recover_own(struct chat *c, struct ledger_op *op)
{
    struct work *w = work_begin(c->ledger, c, op);

    if (w)
        load_head(w, open_read_own);
}

void ledger_recover_chat(struct chat *c, struct ledger_op *op)
{
    struct work *w = work_begin(c->ledger, c, op);

    if (w)
        load_head(w, open_read);
}

// ---- all of them

struct recovery {
    struct work *work;
    struct buf cursor;               // key of the last record that was left as it is
    char cursor_partition[STORE_PARTITION_BYTES_MAX + 1];
    uint32_t row;                    // of the page
    uint32_t pages;
    char owner[CLAIM_BYTES];         // asked last …
    bool owner_alive;                // … and what was said
    struct attempt attempt;
    char session[ID_TEXT_BYTES], partition[PARTITION_BYTES];
    struct store_op page;            // kept while its rows are worked on
    const struct user_key *key;
    struct chat *chat;
    struct ledger_op op;
    struct vault_request vault_request;
};
enum { RECOVERY_PAGES_MAX = 100000 };

static void drop_recovery(void *state)
{
    struct recovery *s = state;

    chat_free(s->chat);
    buf_release(&s->cursor);
    store_op_release(&s->page);
}

static void next_page(struct work *w);
static void next_row(struct work *w);

// The record stays as it is: the next page begins after it.
static void leave(struct recovery *s)
{
    const struct record *row = &s->page.rows[s->row++];

    buf_clear(&s->cursor);
    buf_add_slice(&s->cursor, row->key);
    memcpy(s->cursor_partition, row->partition.ptr, row->partition.len);
    s->cursor_partition[row->partition.len] = '\0';
}

static void leave_saying(struct work *w, const struct err *err)
{
    struct recovery *s = w->state;

    log_line(w->ledger->env.log, LOG_WARN, "recover: session=%s turn=%u error=\"%s\"", s->session,
             s->attempt.turn, err->message);
    leave(s);
    next_row(w);
}

static void stray_settled(struct work *w)
{
    struct recovery *s = w->state;

    if (w->store.code == E_CONFLICT) {
        leave(s);  // somebody else did
    } else {
        if (!work_store_ok(w, "settling an open attempt of a closed turn"))
            return;
        log_line(w->ledger->env.log, LOG_WARN, "recover: session=%s turn=%u attempt=%u status=lost",
                 s->session, s->attempt.turn, s->attempt.n);
        s->row++;
    }
    next_row(w);
}

// Its turn has its end already, so that no settlement comes past it any more. The version of the
// row that said "open" guards this: where the turn was closed only after that row was read, the
// attempt was settled with it.
static void settle_stray(struct work *w)
{
    struct recovery *s = w->state;
    struct attempt lost = s->attempt;
    struct err err = ERR_INIT;

    // What was read of it so far was not held against its seal.
    commit_begin(&w->commit, w->ledger->env.vault, s->key, s->partition);
    if (ledger_unseal(w->ledger, s->key, &s->page.rows[s->row], &w->commit.body, &err)) {
        leave_saying(w, &err);
        return;
    }
    safe_buf_clear(&w->commit.body);
    lost.status = ATTEMPT_LOST;
    work_add_attempt(w, STORE_PUT, s->page.rows[s->row].version, s->session, &lost, NULL);
    work_commit(w, stray_settled);
}

static void chat_recovered(struct ledger_op *op)
{
    struct work *w = op->user;
    struct recovery *s = w->state;
    const struct session_head *h = &s->chat->head;
    bool closed = h->open_turn != s->attempt.turn && s->attempt.turn <= h->turns;

    chat_free(s->chat);
    s->chat = NULL;
    if (op->code == E_NOMEM || (op->code == E_STORE && op->ambiguous)) {
        w->op->err = op->err;
        w->op->ambiguous = op->ambiguous;
        work_end(w, op->code);
    } else if (op->code == E_OK && op->turns) {
        w->op->turns++;
        s->row++;
        next_row(w);
    } else if (closed && (op->code == E_OK || op->code == E_BUSY)) {
        settle_stray(w);
    } else if (op->code == E_OK || op->code == E_CONFLICT || op->code == E_BUSY) {
        leave(s);  // somebody else did, or does
        next_row(w);
    } else {
        leave_saying(w, &op->err);
    }
}

static void recover_session(struct work *w, const struct user_key *key)
{
    struct recovery *s = w->state;
    struct session_head head = {.version = UINT64_MAX};  // none: it is read first

    memcpy(head.id, s->session, sizeof(head.id));
    memcpy(head.partition, s->partition, sizeof(head.partition));
    s->key = key;
    // A summary is made after its turn, and is no part of it; a call of no turn has no session.
    if (s->attempt.kind == ATTEMPT_SUMMARY || s->attempt.turn == 0) {
        settle_stray(w);
        return;
    }
    int code = chat_new(&s->chat, w->ledger, &head, key, &w->op->err);
    if (code) {
        work_end(w, code);
        return;
    }
    s->op.done = chat_recovered;
    s->op.user = w;
    ledger_recover_chat(s->chat, &s->op);
}

static void key_found(struct vault_request *request)
{
    struct recovery *s = CONTAINER_OF(request, struct recovery, vault_request);
    struct work *w = s->work;

    if (request->code)
        leave_saying(w, &request->err);
    else
        recover_session(w, request->key);
}

static void find_key(struct work *w)
{
    struct recovery *s = w->state;
    const struct user_key *key = vault_find_key(w->ledger->env.vault, s->partition);

    if (key) {
        recover_session(w, key);
        return;
    }
    s->vault_request = (struct vault_request){.loop = w->ledger->env.loop, .done = key_found};
    memcpy(s->vault_request.partition, s->partition, sizeof(s->vault_request.partition));
    vault_user_key(w->ledger->env.vault, &s->vault_request);
}

static void alive_told(struct work *w)
{
    struct recovery *s = w->state;

    if (!work_store_ok(w, "asking whether the owner of a turn lives"))
        return;
    memcpy(s->owner, s->attempt.owner, sizeof(s->owner));
    s->owner_alive = w->store.alive;
    next_row(w);
}

// Fills attempt, session and partition; false if the row is not an open attempt.
static bool read_row(struct recovery *s, const struct record *row)
{
    struct slice session;
    uint32_t at[3];

    s->attempt = (struct attempt){0};
    if (row->partition.len >= sizeof(s->partition) ||
        !slice_starts(row->key, SLICE_LIT("attempt/")))
        return false;
    memcpy(s->partition, row->partition.ptr, row->partition.len);
    s->partition[row->partition.len] = '\0';
    if (key_ordinals(row->key, &session, at) != 2 || !id_valid(session) ||
        attempt_read_meta(&s->attempt, row->meta, NULL) || s->attempt.status != ATTEMPT_OPEN)
        return false;
    memcpy(s->session, session.ptr, session.len);
    s->session[session.len] = '\0';
    s->attempt.turn = at[0];
    s->attempt.n = at[1];
    return true;
}

static void next_row(struct work *w)
{
    struct recovery *s = w->state;

    for (; s->row < s->page.rows_len; leave(s)) {
        if (!read_row(s, &s->page.rows[s->row]))
            continue;
        if (strcmp(s->owner, s->attempt.owner) != 0) {
            work_store_op(w, STORE_CLAIM_ALIVE, NULL)->key = slice_str(s->attempt.owner);
            work_submit(w, alive_told);
            return;
        }
        if (!s->owner_alive) {
            find_key(w);
            return;
        }
    }
    if (s->page.more)
        next_page(w);
    else
        work_end(w, E_OK);
}

static void page_read(struct work *w)
{
    struct recovery *s = w->state;

    // Damage keeps nobody from working: what stays open is settled when its session is opened.
    if (w->store.code == E_CORRUPT) {
        log_line(w->ledger->env.log, LOG_ERROR, "recover: left undone: %s", w->store.err.message);
        work_end(w, E_OK);
        return;
    }
    if (!work_store_ok(w, "looking for open turns"))
        return;
    s->page = w->store;
    w->store = (struct store_op){0};
    s->row = 0;
    next_row(w);
}

static void next_page(struct work *w)
{
    struct recovery *s = w->state;
    int code = buf_check(&s->cursor, "a record's key", &w->op->err);

    if (code || s->pages++ == RECOVERY_PAGES_MAX) {
        work_end(w, code);
        return;
    }
    store_op_release(&s->page);
    s->page = (struct store_op){0};
    struct store_op *op = work_store_op(w, STORE_DUE, s->cursor_partition);
    op->after = buf_slice(&s->cursor);
    op->before_ms = ATTEMPT_DUE_MS + 1;  // whatever the clock says
    op->limit = PAGE_RECORDS;
    work_submit(w, page_read);
}

void ledger_recover(struct ledger *l, struct ledger_op *op)
{
    struct work *w = work_begin(l, NULL, op);
    struct recovery *s = w ? work_state(w, sizeof(*s), drop_recovery) : NULL;

    if (!s)
        return;
    s->work = w;
    buf_init(&s->cursor, RECORD_KEY_BYTES_MAX);
    next_page(w);
}
