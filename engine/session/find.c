// SPDX-License-Identifier: MIT
// find.c: a session by its id, or the newest of a bot and context.
//
//   id given ──────────────────────────────┐
//   how it begins: the ids that begin so ──┤ (one of them)
//   else: head/<bot>/<context> ─▶ its id ──┴▶ session/<id> ─▶ head
//                        └ cannot be read ──▶ all heads ─▶ the newest of bot and context
//
// Even what can be answered at once goes through the store, so that `done` never runs inside the
// call: an id that is none is simply not found. Runs on the loop of the env.
#include "session/session_int.h"

#include "base/json.h"

enum { BEGUN_ROWS = 200 };  // more than one head ever has

static void finish(struct session_find *f, int code)
{
    void (*done)(struct session_find *) = f->done;

    f->code = code;
    store_op_release(&f->op);
    buf_release(&f->key_text);
    done(f);
}

static void get(struct session_find *f, void (*done)(struct store_op *op))
{
    store_op_release(&f->op);
    f->op = (struct store_op){
        .verb = STORE_GET,
        .loop = f->env->loop,
        .done = done,
        .partition = slice_str(f->partition),
        .key = buf_slice(&f->key_text),
    };
    store_submit(f->env->store, &f->op);
}

// What the store said; true if there is a row to read.
static bool found(struct session_find *f)
{
    int code = buf_check(&f->key_text, "a record's key", &f->err);

    if (!code && f->op.code) {
        f->err = f->op.err;
        err_prefix(&f->err, "finding the session: ");
        code = f->op.code;
        if (code == E_CORRUPT && f->id[0])
            session_quarantined(&f->err, f->id);
    }
    if (!code && f->op.rows_len)
        return true;
    if (!code && f->id[0] && !id_valid(slice_str(f->id)))
        code = err_set(&f->err, E_NOT_FOUND,
                       id_begins(slice_str(f->id))
                           ? "no session of this user begins with %s: list them with `parley "
                             "sessions`"
                           : "\"%s\" is no session id: they have 36 characters, as in "
                             "1b4e28ba-2fa1-41d2-883f-0016d3cca427; list them with "
                             "`parley sessions`",
                       f->id);
    if (!code && f->id[0])
        code = err_set(&f->err, E_NOT_FOUND, "no session %s for this user: list them with "
                                             "`parley sessions`, or name its user (--user)", f->id);
    if (!code)
        code = err_set(&f->err, E_NOT_FOUND,
                       "no session with bot %s yet: send a message to begin one", f->bot);
    finish(f, code);
    return false;
}

static void session_read(struct store_op *op)
{
    struct session_find *f = CONTAINER_OF(op, struct session_find, op);

    if (!found(f))
        return;
    int code = session_read_record(&f->head, f->env, f->partition, f->key, &op->rows[0], &f->err);
    finish(f, code == E_CORRUPT ? session_quarantined(&f->err, f->id) : code);
}

// ---- by how its id begins

// The id that a row's key names; none if it is how a long head goes on.
static struct slice id_of(const struct record *row)
{
    struct slice id = row->key;
    const size_t lead = sizeof("session/") - 1;

    return id.len < lead ? SLICE_NONE : slice_of(id.ptr + lead, id.len - lead);
}

static void begun_read(struct store_op *op)
{
    struct session_find *f = CONTAINER_OF(op, struct session_find, op);
    struct slice first = SLICE_NONE, second = SLICE_NONE;

    if (!found(f))
        return;
    for (uint32_t i = 0; i < op->rows_len && !second.len; i++) {
        struct slice id = id_of(&op->rows[i]);

        if (id_valid(id))
            *(first.len ? &second : &first) = id;
    }
    if (second.len) {
        finish(f, err_set(&f->err, E_USAGE, "several sessions begin with %s, among them %.*s and "
                          "%.*s: write more of the id", f->id, SLICE_FMT(first),
                          SLICE_FMT(second)));
        return;
    }
    if (!first.len) {
        finish(f, err_set(&f->err, E_NOT_FOUND, "no session of this user begins with %s: list them "
                          "with `parley sessions`", f->id));
        return;
    }
    memcpy(f->id, first.ptr, first.len);
    f->id[first.len] = '\0';
    buf_clear(&f->key_text);
    key_session(&f->key_text, f->id);
    get(f, session_read);
}

static void find_begun(struct session_find *f)
{
    f->op = (struct store_op){
        .verb = STORE_SCAN,
        .loop = f->env->loop,
        .done = begun_read,
        .partition = slice_str(f->partition),
        .key = buf_slice(&f->key_text),
        .limit = BEGUN_ROWS,
    };
    store_submit(f->env->store, &f->op);
}

// ---- the newest

static bool is_wanted(const struct session_find *f, const struct session_head *h)
{
    char hash[VAULT_DIGEST_BYTES];
    struct slice context = slice_str(h->context);

    if (h->quarantined || strcmp(h->bot, f->bot) != 0)
        return false;
    vault_digest(f->env->vault, "context", &context, 1, hash);
    return strcmp(hash, f->context_hash) == 0;
}

static void searched(struct session_list *l)
{
    struct session_find *f = CONTAINER_OF(l, struct session_find, list);
    int code = l->code;

    if (code)
        f->err = l->err;
    for (uint32_t i = 0; i < l->heads_len && !code && !f->searched; i++) {
        if (!is_wanted(f, &l->heads[i]))
            continue;
        f->head = l->heads[i];
        l->heads[i] = (struct session_head){0};
        f->searched = true;
    }
    session_list_release(l);
    if (!code && !f->searched)
        code = err_set(&f->err, E_NOT_FOUND, "no session with bot %s that can be read: run `parley "
                       "verify`, or send a message to begin one", f->bot);
    finish(f, code);
}

static void search(struct session_find *f)
{
    f->list = (struct session_list){.env = f->env, .key = f->key, .done = searched};
    memcpy(f->list.partition, f->partition, sizeof(f->list.partition));
    session_list(&f->list);
}

static int read_pointer(struct session_find *f, const struct record *row)
{
    struct vault_place place = vault_place_of(row);
    struct json_doc doc = JSON_DOC_INIT;
    struct buf scratch = BUF_INIT(ID_TEXT_BYTES);
    struct safe_buf body;

    safe_buf_init(&body, RECORD_BODY_BYTES_MAX);
    int code = vault_unseal(f->env->vault, f->key, &place, row->body, &body, &f->err);
    safe_buf_release(&body);
    if (code)
        return code;
    code = json_parse(&doc, row->meta, 0, &f->err);

    if (code != E_NOMEM) {
        struct slice id =
            code ? SLICE_NONE : json_text(json_get(json_root(&doc), "session"), &scratch);

        code = E_OK;
        if (id_valid(id))
            memcpy(f->id, id.ptr, id.len);
        else
            code = err_set(&f->err, E_CORRUPT, "%.*s names no session; run `parley verify`",
                           SLICE_FMT(buf_slice(&f->key_text)));
    }
    buf_release(&scratch);
    json_doc_release(&doc);
    return code;
}

static void pointer_read(struct store_op *op)
{
    struct session_find *f = CONTAINER_OF(op, struct session_find, op);

    if (op->code == E_CORRUPT) {
        search(f);
        return;
    }
    if (!found(f))
        return;
    f->pointer_version = op->rows[0].version;
    int code = read_pointer(f, &op->rows[0]);
    if (code == E_CORRUPT) {
        search(f);
        return;
    }
    if (code) {
        finish(f, code);
        return;
    }
    key_session(&f->key_text, f->id);
    get(f, session_read);
}

void session_find(struct session_find *f)
{
    f->code = E_OK;
    f->searched = false;
    f->pointer_version = 0;
    f->err = (struct err)ERR_INIT;
    f->head = (struct session_head){0};
    f->op = (struct store_op){0};
    buf_init(&f->key_text, RECORD_KEY_BYTES_MAX);
    if (f->id[0]) {
        key_session(&f->key_text, f->id);
        if (id_begins(slice_str(f->id)) && !id_valid(slice_str(f->id)))
            find_begun(f);
        else
            get(f, session_read);
    } else {
        key_head(&f->key_text, f->bot, f->context_hash);
        get(f, pointer_read);
    }
}
