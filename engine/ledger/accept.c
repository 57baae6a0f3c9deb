// SPDX-License-Identifier: MIT
// accept.c: the user's words become durable (A1), sessions are made, keys are looked up.
//
// ledger_accept:
//
//   a turn is open ──▶ key given? look it up ──▶ taken | E_REFUSED
//   an edit        ──▶ load what it supersedes ─┐
//   else ───────────────────────────────────────┴▶ build ─▶ one commit ─▶ apply
//                                                               └▶ whose? ─▶ taken | E_CONFLICT
// One thread, see ledger_int.h.
#include "ledger/ledger_int.h"

#include "base/mem.h"
#include <stdio.h>

static void created(struct work *w)
{
    if (!work_store_ok(w, "making the session"))
        return;
    work_apply_head(w);
    work_end(w, E_OK);
}

void ledger_create(struct chat *c, const char *context_hash, struct slice user,
                   struct ledger_op *op)
{
    struct work *w = work_append(c, op);

    if (!w)
        return;
    if (c->head.version) {
        work_fail(w, E_REFUSED, "session %s exists already", c->head.id);
        return;
    }
    commit_begin(&w->commit, c->ledger->env.vault, c->key, c->head.partition);
    work_head(w, false, NULL);
    work_add_event(w, "reset", 0, NULL);
    work_add_head(w);
    work_add_pointer(w, &w->head, context_hash);
    work_add_user(w, user);
    work_add_session_note(w, AUDIT_SESSION_CREATED, AUDIT_NO_DETAIL);
    work_commit(w, created);
}

void ledger_resume(struct chat *c, const struct ledger_resume *r, struct ledger_op *op)
{
    struct work *w = work_append(c, op);

    if (!w)
        return;
    int code = work_head(w, true, &op->err);
    if (!code && !w->head.notes)
        code = session_notes_new(&w->head.notes, &op->err);
    if (!code) {
        safe_buf_add(&w->head.notes->greeting, r->greeting);
        code = safe_buf_check(&w->head.notes->greeting, "the greeting", &op->err);
    }
    if (code) {
        work_end(w, code);
        return;
    }
    commit_begin(&w->commit, c->ledger->env.vault, c->key, c->head.partition);
    work_add_event(w, "resume", 0, NULL);
    if (r->greeting.len) {
        safe_buf_add(&w->commit.body, r->greeting);
        work_add_event(w, "greeting", 0, NULL);
    }
    work_add_head(w);
    if (r->pointer_version)
        work_add_pointer_over(w, &w->head, r->context_hash, r->pointer_version);
    else
        work_add_pointer(w, &w->head, r->context_hash);
    work_add_user(w, r->user);
    work_add_session_note(w, AUDIT_SESSION_CREATED, AUDIT_NO_DETAIL);
    work_commit(w, created);
}

// ---- keys

static int read_key(struct work *w, const char *text_digest)
{
    struct ledger_op *op = w->op;
    struct buf scratch = BUF_INIT(ID_TEXT_BYTES);
    struct json meta;

    int code = ledger_read_json(w->ledger, w->key, &w->store.rows[0], &meta, &op->err);
    if (code)
        return code;
    struct slice session = json_text(json_get(meta, "session"), &scratch);
    int64_t turn = json_i64(json_get(meta, "turn"), 0);
    if (!id_valid(session) || turn < 1 || turn > UINT32_MAX) {
        code = err_set(&op->err, E_CORRUPT, "the record of this key names no turn; "
                                            "run `parley verify`");
    } else {
        memcpy(op->key_session, session.ptr, session.len);
        op->key_session[session.len] = '\0';
        op->key_turn = (uint32_t)turn;
        op->key_taken = true;
        op->key_same_text = json_is_string(json_get(meta, "digest"), text_digest);
    }
    buf_release(&scratch);
    return code;
}

static void key_found(struct work *w)
{
    if (!work_store_ok(w, "looking up the key"))
        return;
    if (w->store.rows_len == 0)
        work_fail(w, E_NOT_FOUND, "no turn was sent with this key");
    else
        work_end(w, read_key(w, w->asked.text_digest));
}

static void copy_digest(char out[VAULT_DIGEST_BYTES], const char *digest)
{
    size_t len = digest ? strnlen(digest, VAULT_DIGEST_BYTES - 1) : 0;

    memcpy(out, digest ? digest : "", len);
    out[len] = '\0';
}

void ledger_find_key(struct ledger *l, const char *partition, const struct user_key *key,
                     const char *key_hash, const char *text_digest, struct ledger_op *op)
{
    struct work *w = work_begin(l, NULL, op);

    if (!w)
        return;
    w->key = key;
    copy_digest(w->asked.text_digest, text_digest);
    key_idem(&w->prefix, key_hash);
    work_get(w, partition, &w->prefix, key_found);
}

// ---- accepting

int work_ask(struct work *w, const struct ledger_accept *a, uint32_t n, struct err *err)
{
    struct asked *asked = &w->asked;

    if (a->user.len >= sizeof(asked->user))
        return err_set(err, E_USAGE, "the user id has %zu bytes: at most %zu are allowed",
                       a->user.len, sizeof(asked->user) - 1);
    asked->a = *a;
    if (a->user.len)
        memcpy(asked->user, a->user.ptr, a->user.len);
    asked->a.user.ptr = asked->user;
    copy_digest(asked->key_hash, a->key_hash);
    copy_digest(asked->text_digest, a->text_digest);
    asked->a.key_hash = a->key_hash ? asked->key_hash : NULL;
    asked->a.text_digest = asked->text_digest;
    asked->a.content = NULL;  // the turn has a copy
    if (a->by.holder) {
        snprintf(asked->holder, sizeof(asked->holder), "%s", a->by.holder);
        snprintf(asked->device, sizeof(asked->device), "%s", a->by.device);
        asked->a.by = (struct lease_asker){asked->holder, asked->device};
    }
    asked->expiry = a->expiry ? *a->expiry : w->chat->head.expiry;
    asked->a.expiry = NULL;
    // Later a prompt changes with the cut, when a turn settles.
    w->new_system = n == 1;
    if (w->new_system)
        safe_buf_add(&w->text, a->system);
    int code = safe_buf_check(&w->text, "the system prompt", err);
    return code ? code : turn_new(&w->turn, n, a->content, a->tokens, ledger_now(w->ledger), err);
}

void work_add_key(struct work *w, enum store_item_verb verb, const char *session, uint32_t turn)
{
    struct commit *b = &w->commit;
    struct json_writer jw;

    key_idem(&b->name, w->asked.key_hash);
    jw_init(&jw, &b->meta);
    jw_object(&jw);
    jw_kv_str(&jw, "session", session);
    jw_kv_i64(&jw, "turn", turn);
    jw_kv_str(&jw, "digest", w->asked.text_digest);
    jw_object_end(&jw);
    w->key_item = commit_add(b, verb, 0);
}

void work_add_system(struct work *w)
{
    if (!w->new_system || w->asked.a.system_hash == 0)
        return;
    w->head.system_hash = w->asked.a.system_hash;
    safe_buf_add(&w->commit.body, safe_buf_text(&w->text));
    work_add_event(w, "system", w->turn.n, NULL);
}

void work_apply_system(struct work *w, struct chat *c)
{
    struct safe_buf old = c->system;

    c->system = w->text;
    w->text = old;
    c->system_loaded = true;
}

void work_apply_turn(struct work *w, struct chat *c)
{
    struct chat_impl *impl = c->impl;

    for (uint32_t n = w->asked.a.edit_from; n && n < w->turn.n; n++)
        chat_turn(c, n)->superseded = true;
    impl->turns_bytes += turn_bytes(&w->turn);
    c->turns[c->turns_len++] = w->turn;
    w->turn = (struct turn){0};
    if (w->new_system)
        work_apply_system(w, c);
    chat_forget_open(c);
    c->attempt = w->attempt;
    impl->attempt_version = w->store.items[w->attempt_item].version;
}

// The key's record was read: the op tells whose it is.
static void end_taken(struct work *w)
{
    struct ledger_op *op = w->op;
    int code = read_key(w, w->asked.text_digest);

    if (code)
        work_end(w, code);
    else
        work_fail(w, E_CONFLICT, "this key was used for turn %u of session %s%s", op->key_turn,
                  op->key_session, op->key_same_text ? "" : ", with another text: use a new key");
}

static void taken_read(struct work *w)
{
    if (!work_store_ok(w, "looking up the key"))
        return;
    if (w->store.rows_len == 0) {
        work_fail(w, E_CONFLICT, "this key was in use a moment ago: try again");
        return;
    }
    end_taken(w);
}

static void accepted(struct work *w)
{
    struct store_op *op = &w->store;

    if (op->code == E_CONFLICT && w->asked.a.key_hash && op->failed_item == w->key_item) {
        key_idem(&w->prefix, w->asked.key_hash);
        work_get(w, w->chat->head.partition, &w->prefix, taken_read);
        return;
    }
    if (!work_store_ok(w, "accepting the message"))
        return;
    work_apply_turn(w, w->chat);
    work_apply_head(w);
    work_end(w, E_OK);
}

static int build(struct work *w, struct err *err)
{
    const struct ledger_accept *a = &w->asked.a;
    struct chat *c = w->chat;
    const struct turn_pin *pin = a->regenerate ? pins_find(&c->head.pins, a->edit_from) : NULL;
    int code = work_head(w, a->edit_from > 0, err);

    if (!code && a->edit_from)
        code = work_supersede(w, a->edit_from, c->head.turns, err);
    if (code)
        return code;
    bool fresh = w->head.version == 0;
    w->head.turns = w->head.open_turn = w->turn.n;
    w->head.tokens += a->tokens;
    if (pin)
        pins_add(&w->head.pins, w->turn.n, pin->by, NULL);  // there is room: its own
    w->head.last_active_at_ms = w->turn.at_ms;
    w->head.expiry = w->asked.expiry;
    w->head.status = SESSION_ACTIVE;
    w->head.archived_at_ms = 0;
    work_lease(w);
    attempt_open(&w->attempt, c->ledger, &w->head, w->turn.n, 1);

    commit_begin(&w->commit, c->ledger->env.vault, c->key, c->head.partition);
    if (a->key_hash)  // first, so that a key in use is told before anything else
        work_add_key(w, STORE_INSERT, w->head.id, w->turn.n);
    work_add_step(w, w->head.id, &w->turn, 0);
    w->attempt_item = work_add_attempt(w, STORE_INSERT, 0, w->head.id, &w->attempt, NULL);
    if (a->edit_from)
        work_add_superseding(w, a->regenerate ? "regenerate" : "edit", a->edit_from,
                             c->head.turns, NULL);
    work_add_system(w);
    if (w->op->moved)
        work_add_moved(w);
    work_add_head(w);
    if (fresh) {
        work_add_pointer(w, &w->head, a->context_hash);
        work_add_user(w, a->user);
    }
    if (fresh || a->resumed)
        work_add_session_note(w, fresh ? AUDIT_SESSION_CREATED : AUDIT_SESSION_RESUMED,
                              AUDIT_NO_DETAIL);
    return E_OK;
}

static void accept_loaded(struct work *w)
{
    int code = build(w, &w->op->err);

    if (code)
        work_end(w, code);
    else
        work_commit(w, accepted);
}

static void open_key_read(struct work *w)
{
    if (!work_store_ok(w, "looking up the key"))
        return;
    if (w->store.rows_len) {
        end_taken(w);
        return;
    }
    work_fail(w, E_REFUSED,
              "turn %u of this session is still being answered: wait for it or stop it",
              w->chat->head.open_turn);
}

static int check_edit(const struct chat *c, uint32_t from, struct err *err)
{
    if (from > c->head.turns)
        return err_set(err, E_NOT_FOUND, "session %s has no turn %u to edit: it has %u", c->head.id,
                       from, c->head.turns);
    if (from && session_is_superseded(&c->head, from))
        return err_set(err, E_REFUSED, "turn %u was undone or edited already: edit the one that "
                                       "took its place", from);
    return E_OK;
}

void ledger_accept(struct chat *c, const struct ledger_accept *a, struct ledger_op *op)
{
    struct work *w = work_append(c, op);

    if (!w)
        return;
    int code = c->head.turns == SESSION_TURNS_MAX
                   ? err_set(&op->err, E_REFUSED, "this session is full: start a new one")
                   : check_edit(c, a->edit_from, &op->err);
    if (!code)
        code = chat_reserve(c, &op->err);
    if (!code)
        code = work_ask(w, a, c->head.turns + 1, &op->err);
    if (code) {
        work_end(w, code);
    } else if (work_held(w)) {
        return;
    } else if (c->head.open_turn && a->key_hash) {
        key_idem(&w->prefix, a->key_hash);
        work_get(w, c->head.partition, &w->prefix, open_key_read);
    } else if (c->head.open_turn) {
        work_fail(w, E_REFUSED, "turn %u of this session is still being answered: wait for it or "
                                "stop it", c->head.open_turn);
    } else if (a->edit_from && a->edit_from < c->first) {
        load_turns(w, a->edit_from, accept_loaded);
    } else {
        accept_loaded(w);
    }
}
