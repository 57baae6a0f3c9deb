// SPDX-License-Identifier: MIT
// chat.c: a live session: its turns in memory, its next state, and the records that say it.
//
// The turns array always holds the ordinals first … head.turns without a gap. One thread, see
// ledger_int.h.
#include "ledger/ledger_int.h"

#include "base/mem.h"

enum { TURNS_FIRST_CAP = 8, STEPS_CAP = 2 };

int chat_new(struct chat **out, struct ledger *l, struct session_head *head,
             const struct user_key *key, struct err *err)
{
    struct chat *c = mem_zalloc(sizeof(*c));
    struct chat_impl *impl = mem_zalloc(sizeof(*impl));

    *out = NULL;
    if (!c || !impl) {
        mem_free(c);
        mem_free(impl);
        return err_set(err, E_NOMEM, "out of memory for session %s", head->id);
    }
    safe_buf_init(&impl->tail, BODY_BYTES_MAX);
    safe_buf_init(&c->system, BODY_BYTES_MAX);
    buf_init(&c->damage, DAMAGE_BYTES_MAX);
    c->ledger = l;
    c->impl = impl;
    c->key = key;
    c->head = *head;
    c->first = head->turns + 1;
    *head = (struct session_head){0};
    *out = c;
    return E_OK;
}

void chat_free(struct chat *c)
{
    if (!c)
        return;
    struct chat_impl *impl = c->impl;

    BUG_ON(impl->work);
    chat_forget(c);
    mem_free(c->turns);
    session_head_release(&c->head);
    safe_buf_release(&c->system);
    buf_release(&c->damage);
    safe_buf_release(&impl->tail);
    mem_free(impl);
    mem_free(c);
}

void chat_forget(struct chat *c)
{
    for (uint32_t i = 0; i < c->turns_len; i++)
        turn_release(&c->turns[i]);
    c->turns_len = 0;
    c->first = c->head.turns + 1;
    ((struct chat_impl *)c->impl)->turns_bytes = 0;
    chat_forget_open(c);
}

void chat_forget_open(struct chat *c)
{
    struct chat_impl *impl = c->impl;

    chat_forget_parts(c);
    c->attempt = (struct attempt){0};
    impl->attempt_version = 0;
    impl->usage = (struct usage){0};
}

void chat_forget_parts(struct chat *c)
{
    struct chat_impl *impl = c->impl;

    c->parts = 0;
    impl->tail_version = impl->kept_bytes = 0;
    safe_buf_clear(&impl->tail);
}

struct turn *chat_turn(const struct chat *c, uint32_t n)
{
    return n >= c->first && n - c->first < c->turns_len ? &c->turns[n - c->first] : NULL;
}

size_t chat_bytes(const struct chat *c)
{
    const struct chat_impl *impl = c->impl;
    const struct constraints *asked = c->head.constraints;

    return sizeof(*c) + sizeof(*impl) + c->turns_cap * sizeof(*c->turns) + impl->turns_bytes +
           c->head.superseded_len * sizeof(*c->head.superseded) + c->system.inner.cap +
           (asked ? sizeof(*asked) + asked->text.inner.cap : 0) + impl->tail.inner.cap;
}

// Text counts twice: as content, and as the wire form that it gets when it is first sent.
size_t turn_bytes(const struct turn *t)
{
    size_t bytes = 0;

    for (uint32_t i = 0; i < t->steps_len; i++) {
        const struct content *content = &t->steps[i].content;

        bytes += sizeof(t->steps[i]) + content->len * sizeof(*content->blocks) +
                 2 * content_bytes(content);
    }
    return bytes;
}

int chat_reserve(struct chat *c, struct err *err)
{
    uint32_t cap = c->turns_cap ? c->turns_cap * 2 : TURNS_FIRST_CAP;

    if (c->turns_len < c->turns_cap)
        return E_OK;
    struct turn *grown = mem_realloc(c->turns, cap * sizeof(*grown));
    if (!grown)
        return err_set(err, E_NOMEM, "out of memory for turn %u", c->head.turns + 1);
    c->turns = grown;
    c->turns_cap = cap;
    return E_OK;
}

int turn_new(struct turn *t, uint32_t n, const struct content *content, uint32_t tokens,
             int64_t at_ms, struct err *err)
{
    *t = (struct turn){.n = n, .at_ms = at_ms};
    t->steps = mem_calloc(STEPS_CAP, sizeof(*t->steps));
    if (!t->steps)
        return err_set(err, E_NOMEM, "out of memory for turn %u", n);
    t->steps_len = 1;
    t->steps[0] = (struct step){.role = ROLE_USER, .tokens = tokens, .at_ms = at_ms};
    return content_copy(&t->steps[0].content, content, err);
}

int work_head(struct work *w, bool owned, struct err *err)
{
    w->head_owned = owned;
    if (owned)
        return session_head_copy(&w->head, &w->chat->head, err);
    w->head = w->chat->head;
    return E_OK;
}

int work_supersede(struct work *w, uint32_t first, uint32_t last, struct err *err)
{
    for (uint32_t n = first; n <= last; n++) {
        const struct turn *t = chat_turn(w->chat, n);

        BUG_ON(!t || !w->head_owned);
        uint64_t tokens = t->superseded ? 0 : turn_tokens(t);
        w->head.tokens -= tokens < w->head.tokens ? tokens : w->head.tokens;
    }
    // A cut that an undone turn made is undone with it.
    if (first <= w->head.cut.turn)
        w->head.cut.first = w->head.cut.turn = 0;
    return session_supersede(&w->head, first, last, err);
}

// A head is one record: escapes make a text six times as long at most, and state is JSON already.
_Static_assert(SESSION_STATE_BYTES_MAX + 6 * (SESSION_PRIMER_BYTES_MAX +
                       SESSION_GREETING_BYTES_MAX + CONSTRAINTS_BYTES_MAX + CONTEXT_BYTES) + 1024
                       <= BODY_SPLIT_BYTES, "a head is one record");

void work_add_head(struct work *w)
{
    struct commit *b = &w->commit;
    uint64_t version = w->head.version;

    w->head.expires_at_ms =
        expiry_hard_at(&w->head.expiry, w->head.created_at_ms, w->head.last_active_at_ms);
    key_session(&b->name, w->head.id);
    session_write_meta(&w->head, &b->meta);
    session_write_body(&w->head, &b->body);
    w->head_item = commit_add(b, version ? STORE_PUT : STORE_INSERT, version);
    if (!b->code)
        b->items[w->head_item].due_at_ms = session_due_at(&w->head);
}

static void add_pointer(struct work *w, enum store_item_verb verb, uint64_t version,
                        const struct session_head *h, const char *context_hash)
{
    struct commit *b = &w->commit;
    struct json_writer jw;

    key_head(&b->name, h->bot, context_hash);
    jw_init(&jw, &b->meta);
    jw_object(&jw);
    jw_kv_str(&jw, "session", h->id);
    jw_object_end(&jw);
    commit_add(b, verb, version);
}

void work_add_pointer(struct work *w, const struct session_head *h, const char *context_hash)
{
    add_pointer(w, STORE_PUT, 0, h, context_hash);
}

void work_add_pointer_over(struct work *w, const struct session_head *h, const char *context_hash,
                           uint64_t version)
{
    add_pointer(w, version ? STORE_PUT : STORE_INSERT, version, h, context_hash);
}

void work_add_user(struct work *w, struct slice user)
{
    struct commit *b = &w->commit;

    // Put rather than inserted: it is there already unless this is the user's first session.
    key_user(&b->name);
    buf_add_str(&b->meta, "{}");
    user_write_body(user, &b->body);
    commit_add(b, STORE_PUT, 0);
}

uint32_t work_add_attempt(struct work *w, enum store_item_verb verb, uint64_t version,
                          const char *session, const struct attempt *a, const struct sent *sent)
{
    struct commit *b = &w->commit;

    key_attempt(&b->name, session, a->turn, a->n);
    attempt_write_meta(a, sent, &b->meta);
    uint32_t at = commit_add(b, verb, version);
    if (!b->code && a->status == ATTEMPT_OPEN)
        b->items[at].due_at_ms = ATTEMPT_DUE_MS;
    return at;
}

void work_add_parts_gone(struct work *w)
{
    struct chat *c = w->chat;

    for (uint32_t i = 0; i < c->parts; i++) {
        key_part(&w->commit.name, c->head.id, c->head.open_turn, 1, i);
        commit_delete(&w->commit);
    }
}

static void add_event(struct work *w, const char *kind, uint32_t turn, uint32_t upto,
                      const char *to)
{
    struct commit *b = &w->commit;
    struct json_writer jw;

    key_event(&b->name, w->head.id, ++w->head.events);
    jw_init(&jw, &b->meta);
    jw_object(&jw);
    jw_kv_str(&jw, "kind", kind);
    if (turn)
        jw_kv_i64(&jw, "turn", turn);
    if (upto)
        jw_kv_i64(&jw, "upto", upto);
    if (to)
        jw_kv_str(&jw, "to", to);
    jw_kv_i64(&jw, "at", ledger_now(w->ledger));
    jw_object_end(&jw);
    commit_add(b, STORE_INSERT, 0);
}

void work_add_event(struct work *w, const char *kind, uint32_t turn, const char *to)
{
    add_event(w, kind, turn, 0, to);
}

void work_add_superseding(struct work *w, const char *kind, uint32_t first, uint32_t last,
                          const char *to)
{
    add_event(w, kind, first, last, to);
}

void work_add_step(struct work *w, const char *session, const struct turn *t, uint32_t step)
{
    struct commit *b = &w->commit;

    key_turn(&b->name, session, t->n, step);
    if (step == 0)
        turn_write_user_meta(t, &b->meta);
    else
        turn_write_reply_meta(t, &t->steps[step], &b->meta);
    content_encode(&t->steps[step].content, &b->body);
    commit_add(b, STORE_INSERT, 0);
}

void work_add_reply(struct work *w, const char *session, const struct turn *t, const struct step *s)
{
    struct step steps[STEPS_CAP] = {[1] = *s};
    struct turn whole = *t;

    // As if the reply were there already: the status belongs to a turn's last step.
    whole.steps = steps;
    whole.steps_len = STEPS_CAP;
    work_add_step(w, session, &whole, 1);
}

void work_apply_head(struct work *w)
{
    struct chat *c = w->chat;

    w->head.version = w->store.items[w->head_item].version;
    if (w->head_owned)
        session_head_release(&c->head);
    c->head = w->head;
    w->head_owned = false;
}

void attempt_open(struct attempt *a, const struct ledger *l, const struct session_head *h,
                  uint32_t turn, uint32_t n)
{
    // What it costs is unknown until it is settled; if it is lost, for good.
    *a = (struct attempt){.turn = turn, .n = n, .status = ATTEMPT_OPEN, .at_ms = ledger_now(l),
                          .usage = {.cost_nusd = COST_UNKNOWN}};
    memcpy(a->bot, h->bot, sizeof(a->bot));
    struct slice claim = slice_str(store_claim(l->env.store));
    BUG_ON(claim.len >= sizeof(a->owner));
    memcpy(a->owner, claim.ptr, claim.len);
}
