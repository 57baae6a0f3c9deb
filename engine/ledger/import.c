// SPDX-License-Identifier: MIT
// import.c: a recorded conversation becomes a session.
//
//   id free? ─▶ leftovers of a half import deleted ─▶ steps, a batch after the other
//            ─▶ is the context's newest session older? ─▶ head (and pointer): now it is a session
//
// Until the last commit nothing says that the session exists; so a crash leaves records that the
// next import of the same id deletes. One thread, see ledger_int.h.
#include "ledger/ledger_int.h"

enum {
    BATCH_ITEMS_SOFT = 40,
    BATCH_BYTES_SOFT = 512 << 10,
    LEFTOVERS_PAGE = STORE_BATCH_ITEMS_MAX,
    POINTER_TRIES_MAX = 1024  // each means that another import was faster
};

struct importing {
    const struct turn *turns;        // borrowed until done
    uint32_t len;
    uint32_t turn, step;             // the next to write; turn is an index
    char user[USER_BYTES];
    size_t user_len;
    char context_hash[VAULT_DIGEST_BYTES];
    unsigned tries;                  // of the last commit
};

static void look_at_pointer(struct work *w);

static void imported(struct work *w)
{
    struct importing *s = w->state;

    // Another session of this context became the newest meanwhile: compare with that one.
    if (w->store.code == E_CONFLICT && ++s->tries < POINTER_TRIES_MAX) {
        look_at_pointer(w);
        return;
    }
    if (!work_store_ok(w, "importing the session"))
        return;
    work_apply_head(w);
    chat_forget(w->chat);
    w->op->turns = s->len;
    w->op->sessions = 1;
    work_end(w, E_OK);
}

// pointer: the version of the context's pointer (0: there is none), or UINT64_MAX: leave it alone.
static void finish(struct work *w, uint64_t pointer)
{
    struct importing *s = w->state;
    struct chat *c = w->chat;
    struct commit *b = &w->commit;

    commit_begin(b, c->ledger->env.vault, c->key, c->head.partition);
    work_add_head(w);
    if (pointer != UINT64_MAX)
        work_add_pointer_over(w, &w->head, s->context_hash, pointer);
    work_add_user(w, slice_of(s->user, s->user_len));
    work_add_session_note(w, AUDIT_SESSION_CREATED, AUDIT_IMPORTED);
    work_commit(w, imported);
}

static void newest_read(struct work *w)
{
    struct session_head newest = {0};
    struct safe_buf *body = &w->commit.body;

    if (!work_store_ok(w, "reading the newest session"))
        return;
    int code = w->store.rows_len ? ledger_unseal(w->ledger, w->key, &w->store.rows[0], body,
                                                 &w->op->err)
                                 : E_NOT_FOUND;
    if (!code)
        code = session_read_meta(&newest, w->store.rows[0].meta, &w->op->err);
    // One that cannot be read is not newer: the pointer then serves better where it leads to.
    bool newer = !code && newest.last_active_at_ms > w->head.last_active_at_ms;
    session_head_release(&newest);
    safe_buf_clear(body);
    if (code == E_NOMEM) {
        work_end(w, code);
        return;
    }
    finish(w, newer ? UINT64_MAX : w->pointer_version);
}

static void pointer_read(struct work *w)
{
    struct buf scratch = BUF_INIT(ID_TEXT_BYTES);
    char id[ID_TEXT_BYTES] = "";
    struct json meta;

    if (!work_store_ok(w, "reading the newest session"))
        return;
    if (w->store.rows_len == 0) {
        finish(w, 0);
        return;
    }
    const struct record *row = &w->store.rows[0];
    w->pointer_version = row->version;
    int code = ledger_read_json(w->ledger, w->key, row, &meta, &w->op->err);
    if (code == E_NOMEM) {
        work_end(w, code);
        return;
    }
    struct slice s = json_text(json_get(meta, "session"), &scratch);
    code = scratch.no_memory ? buf_check(&scratch, "the newest session", &w->op->err) : E_OK;
    if (id_valid(s))
        memcpy(id, s.ptr, s.len);
    buf_release(&scratch);
    if (code) {
        work_end(w, code);
        return;
    }
    key_session(&w->prefix, id);
    work_get(w, w->chat->head.partition, &w->prefix, newest_read);
}

static void look_at_pointer(struct work *w)
{
    struct importing *s = w->state;

    key_head(&w->prefix, w->chat->head.bot, s->context_hash);
    work_get(w, w->chat->head.partition, &w->prefix, pointer_read);
}

// Adds steps until a batch is full or all are written.
static void add_steps(struct work *w, struct importing *s)
{
    struct commit *b = &w->commit;

    while (s->turn < s->len && b->len < BATCH_ITEMS_SOFT && b->arena.len < BATCH_BYTES_SOFT) {
        struct turn t = s->turns[s->turn];
        uint32_t before = b->len;
        bool no_reply = t.steps_len == 1;

        t.n = s->turn + 1;
        if (s->step < t.steps_len) {
            work_add_step(w, w->head.id, &t, s->step);
        } else {
            struct step none = {.role = ROLE_ASSISTANT, .at_ms = t.at_ms};
            work_add_reply(w, w->head.id, &t, &none);
        }
        // Too long for what is left of this batch: it begins the next.
        if (b->code && before > 0) {
            commit_cut(b, before);
            return;
        }
        if (b->code)
            return;
        if (++s->step >= t.steps_len + (no_reply ? 1 : 0)) {
            s->turn++;
            s->step = 0;
        }
    }
}

static void write_batch(struct work *w);

static void batch_written(struct work *w)
{
    if (work_store_ok(w, "importing turns"))
        write_batch(w);
}

static void write_batch(struct work *w)
{
    struct importing *s = w->state;
    struct chat *c = w->chat;

    if (s->turn == s->len) {
        look_at_pointer(w);
        return;
    }
    commit_begin(&w->commit, c->ledger->env.vault, c->key, c->head.partition);
    add_steps(w, s);
    work_commit(w, batch_written);
}

static void leftovers_deleted(struct work *w);

static void leftovers_read(struct work *w)
{
    struct chat *c = w->chat;
    struct commit *b = &w->commit;

    if (!work_store_ok(w, "looking for a half import"))
        return;
    if (w->store.rows_len == 0) {
        write_batch(w);
        return;
    }
    commit_begin(b, c->ledger->env.vault, c->key, c->head.partition);
    for (uint32_t i = 0; i < w->store.rows_len; i++) {
        buf_add_slice(&b->name, w->store.rows[i].key);
        commit_delete(b);
    }
    work_commit(w, leftovers_deleted);
}

static void scan_leftovers(struct work *w)
{
    struct chat *c = w->chat;

    key_turn_prefix(&w->prefix, c->head.id);
    buf_clear(&w->after);
    w->limit = LEFTOVERS_PAGE;
    work_scan(w, c->head.partition, leftovers_read);
}

static void leftovers_deleted(struct work *w)
{
    if (work_store_ok(w, "deleting a half import"))
        scan_leftovers(w);
}

static void id_looked_up(struct work *w)
{
    if (!work_store_ok(w, "looking whether the session exists"))
        return;
    if (w->store.rows_len)
        work_fail(w, E_REFUSED,
                  "session %s exists already: leave its id out to import it as another",
                  w->chat->head.id);
    else
        scan_leftovers(w);
}

// What the head will be.
static int build_head(struct work *w, struct importing *s, struct err *err)
{
    int code = work_head(w, true, err);
    struct session_head *h = &w->head;

    h->turns = s->len;
    h->open_turn = 0;
    h->tokens = 0;
    for (uint32_t i = 0; i < s->len && !code; i++) {
        const struct turn *t = &s->turns[i];

        if (t->steps_len == 0 || t->steps_len > TURN_STEPS_MAX || t->steps[0].role != ROLE_USER ||
            t->status == TURN_OPEN)
            return err_set(err, E_USAGE,
                           "turn %u of the import is open, or does not begin with the "
                           "user",
                           i + 1);
        if (t->superseded)
            code = session_supersede(h, i + 1, i + 1, err);
        else
            h->tokens += turn_tokens(t);
        h->last_active_at_ms = t->steps[t->steps_len - 1].at_ms;
    }
    if (s->turns[0].at_ms < h->created_at_ms)
        h->created_at_ms = s->turns[0].at_ms;
    return code;
}

void ledger_import(struct chat *c, const struct turn *turns, uint32_t len, const char *context_hash,
                   struct slice user, struct ledger_op *op)
{
    struct work *w = work_append(c, op);
    struct importing *s = w ? work_state(w, sizeof(*s), NULL) : NULL;

    if (!s)
        return;
    if (c->head.version) {
        work_fail(w, E_REFUSED, "session %s exists already", c->head.id);
        return;
    }
    if (len == 0 || user.len >= sizeof(s->user)) {
        work_fail(w, E_USAGE, len ? "the user id is too long" : "there is no turn to import");
        return;
    }
    s->turns = turns;
    s->len = len;
    s->user_len = user.len;
    if (user.len)
        memcpy(s->user, user.ptr, user.len);
    memcpy(s->context_hash, context_hash, strnlen(context_hash, sizeof(s->context_hash) - 1));
    int code = build_head(w, s, &op->err);
    if (code) {
        work_end(w, code);
        return;
    }
    key_session(&w->prefix, c->head.id);
    work_get(w, c->head.partition, &w->prefix, id_looked_up);
}
