// SPDX-License-Identifier: MIT
// rebuild.c: a head that cannot be read any more is made anew of what else is known of its session,
// if all of that is whole: its turns, its events and its attempts, each of which has its own seal.
// What only the head knew is gone: pins, constraints, state, what was told of a session before.
//
//   head ─reads─▶ nothing to do
//     └ damaged ─▶ turns ─▶ events ─▶ attempts ─▶ do they agree? ─▶ one commit: head and an event
//                                                   └no─▶ E_CORRUPT: it stays quarantined
//
// A turn more or less would be somebody's words made up or lost, so anything that does not fit ends
// it; and who has the session in memory may write its head meanwhile, which is then the better one.
// One thread, see ledger_int.h.
#include "ledger/ledger_int.h"

#include "base/vec.h"

#include <stdio.h>

struct rebuilding {
    struct ledger_rebuild asked;
    struct session_head head;
    uint64_t version;              // of the damaged one; 0: the store cannot tell
    struct reader reader;
    struct vec tokens;             // uint64_t: of each turn, from the first
    struct safe_buf body;
    uint32_t attempted;            // the newest turn that has an attempt
    uint32_t open_attempt;         // the turn that has one that is open; 0: none
};

static void drop(void *state)
{
    struct rebuilding *s = state;

    reader_release(&s->reader);
    vec_release(&s->tokens);
    safe_buf_release(&s->body);
    session_head_release(&s->head);
}

static void refuse(struct work *w, const char *why)
{
    struct rebuilding *s = w->state;

    err_set(&w->op->err, E_CORRUPT, "its head is damaged, and cannot be made anew, as %s", why);
    session_quarantined(&w->op->err, s->asked.session);
    work_end(w, E_CORRUPT);
}

// What could not be read for lack of memory may be whole; what is erased meanwhile is nobody's.
static bool is_damage(int code)
{
    return code && code != E_NOMEM && code != E_ERASED;
}

static void refuse_or_end(struct work *w, int code, const char *why)
{
    if (code && !is_damage(code))
        work_end(w, code);
    else
        refuse(w, why);
}

// ---- the head

static void rebuilt(struct work *w)
{
    if (w->store.code == E_CONFLICT) {
        work_end(w, E_OK);  // somebody was faster
        return;
    }
    if (!work_store_ok(w, "making a session's head anew"))
        return;
    log_line(w->ledger->env.log, LOG_WARN, "ledger: session=%s: its head was damaged, and was made "
             "anew of its turns", ((struct rebuilding *)w->state)->asked.session);
    w->op->sessions = 1;
    w->head = (struct session_head){0};
    work_end(w, E_OK);
}

static void write_head(struct work *w)
{
    struct rebuilding *s = w->state;
    struct session_head *h = &s->head;
    uint32_t turns = (uint32_t)s->tokens.len;

    // Imported turns have no attempts; all others have one, which is made with the turn.
    if (turns == 0 || s->attempted > turns) {
        refuse(w, "turns are missing");
        return;
    }
    if (h->open_turn != s->open_attempt) {
        refuse(w, "a turn and its attempt do not agree");
        return;
    }
    h->turns = turns;
    for (uint32_t n = 1; n <= turns; n++)
        if (!session_is_superseded(h, n))
            h->tokens += *VEC_AT(&s->tokens, uint64_t, n - 1);
    commit_begin(&w->commit, w->ledger->env.vault, w->key, s->asked.partition);
    w->head = *h;
    work_add_event(w, "rebuilt", 0, NULL);
    work_add_head(w);
    if (!w->commit.code) {
        w->commit.items[w->head_item].verb = STORE_PUT;
        w->commit.items[w->head_item].version = s->version;
    }
    work_commit(w, rebuilt);
}

// ---- attempts: whose bot it is, and whether the last turn is open

static void attempts_read(struct work *w)
{
    struct rebuilding *s = w->state;
    struct slice session;
    uint32_t at[3];

    if (!work_store_ok(w, "reading a session's attempts"))
        return;
    for (uint32_t i = 0; i < w->store.rows_len; i++) {
        const struct record *row = &w->store.rows[i];
        struct attempt a = {0};

        safe_buf_clear(&s->body);
        int code = ledger_unseal(w->ledger, w->key, row, &s->body, &w->op->err);
        if (!code)
            code = attempt_read_meta(&a, row->meta, &w->op->err);
        if (code || key_ordinals(row->key, &session, at) != 2 ||
            strcmp(a.bot, s->asked.bot) != 0) {
            refuse_or_end(w, code, "an attempt cannot be read, or is another bot's");
            return;
        }
        if (a.kind == ATTEMPT_SUMMARY)
            continue;
        s->attempted = at[0] > s->attempted ? at[0] : s->attempted;
        if (a.status == ATTEMPT_OPEN)
            s->open_attempt = at[0];
    }
    if (!work_scan_more(w))
        write_head(w);
}

// ---- events: what does not count any more

static int take_event(struct rebuilding *s, struct json meta, struct err *err)
{
    static const char *const kinds[] = {"undo", "edit", "regenerate", "moved"};
    int64_t first = json_i64(json_get(meta, "turn"), 0), upto = json_i64(json_get(meta, "upto"), 0);
    bool supersedes = false;

    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
        supersedes |= json_is_string(json_get(meta, "kind"), kinds[i]);
    if (!supersedes)
        return E_OK;
    if (first < 1 || upto < first || upto > (int64_t)s->tokens.len)
        return E_CORRUPT;
    return session_supersede(&s->head, (uint32_t)first, (uint32_t)upto, err);
}

static void events_read(struct work *w)
{
    struct rebuilding *s = w->state;
    struct slice session;
    struct json meta;
    uint32_t at[3];

    if (!work_store_ok(w, "reading a session's events"))
        return;
    for (uint32_t i = 0; i < w->store.rows_len; i++) {
        const struct record *row = &w->store.rows[i];

        if (key_ordinals(row->key, &session, at) != 1)
            continue;  // a further part of one
        int code = ledger_read_json(w->ledger, w->key, row, &meta, &w->op->err);
        if (!code)
            code = take_event(s, meta, &w->op->err);
        if (code || at[0] != s->head.events + 1) {
            refuse_or_end(w, code, "an event cannot be read, or does not say what it undid");
            return;
        }
        s->head.events = at[0];
    }
    if (work_scan_more(w))
        return;
    key_attempt(&w->prefix, s->asked.session, 0, 0);
    key_siblings(&w->prefix);
    key_siblings(&w->prefix);
    buf_clear(&w->after);
    work_scan(w, s->asked.partition, attempts_read);
}

// ---- turns

static int take_turn(void *user, struct turn *t, struct err *err)
{
    struct rebuilding *s = user;
    struct session_head *h = &s->head;
    bool follows = t->n == s->tokens.len + 1 && !s->reader.damaged && !h->open_turn;
    uint64_t *tokens = follows ? vec_push(&s->tokens) : NULL;
    int code = E_OK;

    if (!follows) {
        code = err_set(err, E_CORRUPT, "turn %u does not follow", t->n);
    } else if (!tokens) {
        code = err_set(err, E_NOMEM, "out of memory for a session's head");
    } else {
        *tokens = turn_tokens(t);
        if (t->n == 1)
            h->created_at_ms = t->steps[0].at_ms;
        h->last_active_at_ms = t->steps[t->steps_len - 1].at_ms;
        if (t->epoch > h->lease.epoch)
            h->lease.epoch = t->epoch;  // whose it was is not known: it is anybody's
        h->open_turn = t->status == TURN_OPEN ? t->n : 0;
    }
    turn_release(t);
    return code;
}

static void turns_read(struct work *w)
{
    struct rebuilding *s = w->state;
    int code = E_OK;

    if (!work_store_ok(w, "reading a session's turns"))
        return;
    for (uint32_t i = 0; i < w->store.rows_len && !code; i++)
        code = reader_row(&s->reader, &w->store.rows[i], &w->op->err);
    if (!code && work_scan_more(w))
        return;
    if (!code)
        code = reader_end(&s->reader, &w->op->err);
    if (code) {
        refuse_or_end(w, code, "a turn is damaged, too");
        return;
    }
    key_events(&w->prefix, s->asked.session);
    buf_clear(&w->after);
    work_scan(w, s->asked.partition, events_read);
}

// ---- the head that is there

static int reads(struct work *w, const struct record *row)
{
    struct rebuilding *s = w->state;
    struct session_head h = {0};

    safe_buf_clear(&s->body);
    int code = ledger_unseal(w->ledger, w->key, row, &s->body, &w->op->err);
    if (!code)
        code = session_read_meta(&h, row->meta, &w->op->err);
    if (!code)
        code = session_read_body(&h, safe_buf_text(&s->body), &w->op->err);
    session_head_release(&h);
    return code;
}

static void head_read(struct work *w)
{
    struct rebuilding *s = w->state;
    bool damaged = w->store.code == E_CORRUPT;

    if (!damaged && !work_store_ok(w, "reading a session's head"))
        return;
    if (!damaged && w->store.rows_len) {
        int code = reads(w, &w->store.rows[0]);

        if (!is_damage(code)) {
            work_end(w, code);  // E_OK: somebody was faster
            return;
        }
    }
    s->version = !damaged && w->store.rows_len ? w->store.rows[0].version : 0;
    key_turn_prefix(&w->prefix, s->asked.session);
    buf_clear(&w->after);
    work_scan(w, s->asked.partition, turns_read);
}

void ledger_rebuild(struct ledger *l, const struct ledger_rebuild *asked, struct ledger_op *op)
{
    struct work *w = work_begin(l, NULL, op);
    struct rebuilding *s = w ? work_state(w, sizeof(*s), drop) : NULL;

    if (!s)
        return;
    s->asked = *asked;
    w->key = asked->key;
    reader_init(&s->reader, l, asked->key);
    s->reader.on_turn = take_turn;
    s->reader.user = s;
    vec_init(&s->tokens, sizeof(uint64_t), SESSION_TURNS_MAX);
    safe_buf_init(&s->body, BODY_BYTES_MAX);
    s->head = (struct session_head){.expiry = expiry_default};
    snprintf(s->head.id, sizeof(s->head.id), "%s", asked->session);
    snprintf(s->head.partition, sizeof(s->head.partition), "%s", asked->partition);
    snprintf(s->head.bot, sizeof(s->head.bot), "%s", asked->bot);
    snprintf(s->head.context, sizeof(s->head.context), "%s", asked->context);
    key_session(&w->prefix, asked->session);
    work_get(w, asked->partition, &w->prefix, head_read);
}
