// SPDX-License-Identifier: MIT
// settle.c: further attempts, what is kept of a reply under way, and how a turn ends (A2).
//
// Kept text is a run of parts. The newest is written again as it grows, to PART_BYTES; then the
// next begins. So a reply of the greatest length is few enough records for one commit to delete.
// One thread, see ledger_int.h.
#include "ledger/ledger_int.h"

#include "base/utf8.h"

static bool refuse_closed(struct work *w)
{
    if (w->chat->head.open_turn && w->chat->attempt.n)
        return false;
    work_fail(w, E_REFUSED, "session %s has no turn under way", w->chat->head.id);
    return true;
}

// The newest attempt as it ended; which one it was, the ledger knows best.
static struct attempt ended(const struct chat *c, const struct attempt *how)
{
    struct attempt a = *how;

    BUG_ON(how->status == ATTEMPT_OPEN);
    a.turn = c->attempt.turn;
    a.n = c->attempt.n;
    a.at_ms = c->attempt.at_ms;
    memcpy(a.bot, c->attempt.bot, sizeof(a.bot));
    if (a.status == ATTEMPT_UNUSED)
        a.usage = (struct usage){0};  // nothing was sent: that costs nothing, which is known
    return a;
}

static void attempted(struct work *w)
{
    struct chat *c = w->chat;
    struct chat_impl *impl = c->impl;

    if (!work_store_ok(w, "recording a further attempt"))
        return;
    usage_add(&impl->usage, &w->turn.usage);
    chat_forget_parts(c);
    c->attempt = w->attempt;
    impl->attempt_version = w->store.items[w->attempt_item].version;
    work_end(w, E_OK);
}

void ledger_attempt(struct chat *c, const struct attempt *last, const struct sent *sent,
                    struct ledger_op *op)
{
    struct work *w = work_append(c, op);
    struct chat_impl *impl = c->impl;

    if (!w || refuse_closed(w))
        return;
    struct attempt failed = ended(c, last);
    w->turn.usage = last->usage;
    attempt_open(&w->attempt, c->ledger, &c->head, c->head.open_turn, c->attempt.n + 1);
    commit_begin(&w->commit, c->ledger->env.vault, c->key, c->head.partition);
    work_add_attempt(w, STORE_PUT, impl->attempt_version, c->head.id, &failed, sent);
    w->attempt_item = work_add_attempt(w, STORE_INSERT, 0, c->head.id, &w->attempt, NULL);
    // The new attempt's reply begins anew.
    work_add_parts_gone(w);
    work_commit(w, attempted);
}

// ---- keeping

static void kept(struct work *w)
{
    struct chat *c = w->chat;
    struct chat_impl *impl = c->impl;

    if (!work_store_ok(w, "keeping what came of the reply"))
        return;
    uint32_t written = w->store.items_len;
    c->parts += written - (impl->tail_version ? 1 : 0);
    impl->tail_version = w->store.items[written - 1].version;
    impl->kept_bytes = w->kept_bytes;
    struct safe_buf old = impl->tail;
    impl->tail = w->text;
    w->text = old;
    work_end(w, E_OK);
}

void ledger_keep(struct chat *c, struct safe_text more, struct ledger_op *op)
{
    struct work *w = work_append(c, op);
    struct chat_impl *impl = c->impl;

    if (!w || refuse_closed(w))
        return;
    if (more.len == 0) {
        work_end(w, E_OK);
        return;
    }
    if (more.len > CONTENT_BYTES_MAX - impl->kept_bytes) {
        work_fail(w, E_REFUSED, "the reply is too long to keep: at most %d bytes",
                  CONTENT_BYTES_MAX);
        return;
    }
    w->kept_bytes = impl->kept_bytes + more.len;
    commit_begin(&w->commit, c->ledger->env.vault, c->key, c->head.partition);
    safe_buf_add(&w->text, safe_buf_text(&impl->tail));
    uint32_t part = c->parts - (impl->tail_version ? 1 : 0);
    for (uint64_t version = impl->tail_version; more.len > 0; version = 0, part++) {
        size_t room = PART_BYTES - safe_buf_text(&w->text).len;
        size_t len = more.len <= room ? more.len : utf8_cut(safe_slice(more), room);

        safe_buf_add(&w->text, safe_text_part(more, 0, len));
        more = safe_text_part(more, len, more.len - len);
        int code = safe_buf_check(&w->text, "what came of the reply", &op->err);
        if (code) {  // else it would be written over with less
            work_end(w, code);
            return;
        }
        key_part(&w->commit.name, c->head.id, c->head.open_turn, 1, part);
        buf_add_str(&w->commit.meta, "{}");
        safe_buf_add(&w->commit.body, safe_buf_text(&w->text));
        commit_add(&w->commit, version ? STORE_PUT : STORE_INSERT, version);
        if (more.len > 0)
            safe_buf_clear(&w->text);
    }
    work_commit(w, kept);
}

// ---- settling

static void settled(struct work *w)
{
    struct chat *c = w->chat;
    struct chat_impl *impl = c->impl;
    struct turn *t = chat_turn(c, w->turn.n);

    if (!work_store_ok(w, "settling the turn"))
        return;
    // Not loaded: after a reload its records are all there is, and they are right.
    if (t) {
        impl->turns_bytes -= turn_bytes(t);
        w->turn.steps[0] = t->steps[0];
        t->steps[0] = (struct step){0};
        t->steps_len = 1;
        w->turn.superseded = t->superseded;
        w->turn.at_ms = t->at_ms;
        w->turn.epoch = t->epoch;
        turn_release(t);
        *t = w->turn;
        w->turn = (struct turn){0};
        impl->turns_bytes += turn_bytes(t);
    }
    work_apply_head(w);
    if (w->new_system)
        work_apply_system(w, c);
    chat_forget_parts(c);
    c->attempt = w->attempt;
    work_end(w, E_OK);
}

static void name(char *out, size_t size, const char *text)
{
    size_t len = text ? utf8_cut(slice_str(text), size - 1) : 0;

    memcpy(out, text ? text : "", len);
    out[len] = '\0';
}

// w->turn as it will be; its first step is taken from the chat's when the commit happened.
static int build_turn(struct work *w, const struct ledger_settle *s, struct step *empty,
                      struct err *err)
{
    struct chat *c = w->chat;
    const struct attempt *last = &w->attempt;
    bool needs_reply = s->status == TURN_DONE || s->status == TURN_CUT;
    bool has_reply = needs_reply || (s->reply && !content_empty(s->reply));
    static const struct content none = {0};

    int code = turn_new(&w->turn, c->head.open_turn, &none, 0, 0, err);
    if (code)
        return code;
    *empty = (struct step){.role = ROLE_ASSISTANT, .at_ms = ledger_now(c->ledger)};
    if (has_reply) {
        struct step *reply = &w->turn.steps[w->turn.steps_len++];

        *reply = *empty;
        reply->tokens = s->tokens;
        if (s->reply)
            code = content_copy(&reply->content, s->reply, err);
    }
    w->turn.status = s->status;
    w->turn.stop = s->stop;
    w->turn.usage = ((struct chat_impl *)c->impl)->usage;
    usage_add(&w->turn.usage, &last->usage);
    if (last->status == ATTEMPT_LOST)
        w->turn.usage.cost_nusd = COST_UNKNOWN;
    name(w->turn.policy, sizeof(w->turn.policy), s->policy);
    name(w->turn.provider, sizeof(w->turn.provider), s->provider);
    name(w->turn.model, sizeof(w->turn.model), s->model);
    return code;
}

// What the rest of a settlement may take: the head, and the keys of parts that go.
enum { REST_BYTES = RECORD_META_BYTES_MAX + BODY_SPLIT_BYTES +
                    (STORE_BATCH_ITEMS_MAX + 1) * RECORD_KEY_BYTES_MAX };

// How many records it takes at most: eight (reply, attempt, four events, key, head), with as many
// more as long bodies go on in, and the parts that go, which a cut before a character may leave a
// little short. So bytes alone say whether something fits.
_Static_assert(8 + STORE_BATCH_BYTES_MAX / BODY_SPLIT_BYTES + CONTENT_BYTES_MAX / (PART_BYTES - 3)
                       + 1 <= STORE_BATCH_ITEMS_MAX,
               "a settlement is one batch");

// The cut as settle says, and what is new with it. The first cut of a session is no news. A system
// prompt that does not fit beside a long reply waits for the next turn's cut: a turn always ends.
static void add_cut(struct work *w, const struct ledger_settle *s)
{
    struct commit *b = &w->commit;
    uint32_t len = b->len, events = w->head.events;
    uint64_t system_hash = w->head.system_hash;

    if (!s->cut || b->code)  // what failed before it fails the settlement
        return;
    bool moved = s->cut->first != w->head.cut.first || s->cut->summary != w->head.cut.summary;
    if (moved && s->cut->first > 1)
        work_add_event(w, "cut", s->cut->turn, NULL);
    w->head.cut = *s->cut;
    if (s->system_hash == w->head.system_hash)
        return;
    w->head.system_hash = s->system_hash;
    w->new_system = true;
    safe_buf_add(&w->text, s->system);
    safe_buf_add(&b->body, s->system);
    work_add_event(w, "system", w->turn.n, NULL);
    bool room = b->arena.len + REST_BYTES <= STORE_BATCH_BYTES_MAX;
    if (room && !b->code && !safe_buf_check(&w->text, "a system prompt", NULL))
        return;
    commit_cut(b, len);
    w->head.events = events;
    w->head.system_hash = system_hash;
    w->head.cut = w->chat->head.cut;
    w->new_system = false;
}

// The head with what plans say of the state. A state that grew too large is no reason to lose a
// turn: it stays as it was.
static int build_head(struct work *w, const struct ledger_settle *s, struct err *err)
{
    enum { STATES = sizeof(s->states) / sizeof(s->states[0]) };
    bool notes = s->resume;

    for (unsigned i = 0; i < STATES; i++)
        notes |= s->states[i].len > 0;
    int code = work_head(w, notes, err);
    for (unsigned i = 0; i < STATES && !code; i++) {
        struct err why = ERR_INIT;

        if (s->states[i].len)
            code = session_merge_state(&w->head, s->states[i], &why);
        w->op->state_refused |= code == E_REFUSED;
        code = code == E_NOMEM ? err_set(err, code, "%s", why.message) : E_OK;
    }
    if (s->resume && w->head.origin == ORIGIN_OFFERED)
        w->head.origin = ORIGIN_PRIMED;
    return code;
}

void ledger_settle(struct chat *c, const struct ledger_settle *s, struct ledger_op *op)
{
    struct work *w = work_append(c, op);
    struct chat_impl *impl = c->impl;
    struct step empty;

    if (!w || refuse_closed(w))
        return;
    BUG_ON(s->status == TURN_OPEN);
    w->attempt = ended(c, s->attempt);
    int code = build_head(w, s, &op->err);
    if (!code)
        code = build_turn(w, s, &empty, &op->err);
    if (code) {
        work_end(w, code);
        return;
    }
    const struct step *reply = w->turn.steps_len > 1 ? &w->turn.steps[1] : &empty;
    w->head.open_turn = 0;
    w->head.tokens += reply->tokens;
    w->head.last_active_at_ms = reply->at_ms;

    commit_begin(&w->commit, c->ledger->env.vault, c->key, c->head.partition);
    work_add_reply(w, c->head.id, &w->turn, reply);
    work_add_attempt(w, STORE_PUT, impl->attempt_version, c->head.id, &w->attempt, s->sent);
    if (s->pin && pins_add(&w->head.pins, w->turn.n, PIN_POLICY, NULL) == E_OK)
        work_add_event(w, "pin", w->turn.n, NULL);
    if (s->core)
        work_add_event(w, "core", w->turn.n, NULL);
    if (s->free_key) {
        key_idem(&w->commit.name, s->free_key);
        commit_delete(&w->commit);
    }
    add_cut(w, s);
    work_add_head(w);
    work_add_parts_gone(w);
    work_commit(w, settled);
}
