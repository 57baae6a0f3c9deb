// SPDX-License-Identifier: MIT
// ledger.c: the ledger, its pool of works, and how an operation begins, waits and ends.
//
// See ledger_int.h for the invariants. Works are reused with their buffers, so that a turn in a
// warm ledger costs no allocation here.
#include "ledger/ledger_int.h"

#include "base/mem.h"

int ledger_new(struct ledger **out, const struct ledger_env *env, struct err *err)
{
    struct ledger *l = mem_zalloc(sizeof(*l));

    *out = l;
    if (!l)
        return err_set(err, E_NOMEM, "out of memory for a ledger");
    l->env = *env;
    return E_OK;
}

static void work_free(struct work *w)
{
    commit_release(&w->commit);
    safe_buf_release(&w->text);
    buf_release(&w->prefix);
    buf_release(&w->after);
    mem_free(w);
}

void ledger_free(struct ledger *l)
{
    if (!l)
        return;
    BUG_ON(l->works_out > 0);
    while (l->works) {
        struct work *w = l->works;

        l->works = w->next;
        work_free(w);
    }
    json_doc_release(&l->doc);
    mem_free(l);
}

int ledger_unseal(struct ledger *l, const struct user_key *key, const struct record *row,
                  struct safe_buf *out, struct err *err)
{
    struct vault_place place = vault_place_of(row);
    int code = vault_unseal(l->env.vault, key, &place, row->body, out, err);

    return code ? code : safe_buf_check(out, "a stored body", err);
}

int ledger_read_json(struct ledger *l, const struct user_key *key, const struct record *row,
                     struct json *out, struct err *err)
{
    struct safe_buf body;

    *out = (struct json){0};
    safe_buf_init(&body, BODY_BYTES_MAX);
    int code = ledger_unseal(l, key, row, &body, err);
    safe_buf_release(&body);
    if (code)
        return code;
    code = json_parse(&l->doc, row->meta, 0, err);
    *out = json_root(&l->doc);
    if (code == E_OK || code == E_NOMEM)
        return code;
    *out = (struct json){0};
    if (err)
        err->code = E_CORRUPT;
    err_prefix(err, "not a record's meta: ");
    return E_CORRUPT;
}

static struct work *work_take(struct ledger *l)
{
    struct work *w = l->works;

    if (w) {
        l->works = w->next;
        l->works_kept--;
    } else {
        w = mem_zalloc(sizeof(*w));
        if (!w)
            return NULL;
        commit_init(&w->commit);
        safe_buf_init(&w->text, BODY_BYTES_MAX);
        buf_init(&w->prefix, RECORD_KEY_BYTES_MAX);
        buf_init(&w->after, RECORD_KEY_BYTES_MAX);
        w->ledger = l;
    }
    l->works_out++;
    return w;
}

// Back to the pool, with what it prepared and did not hand over released.
static void work_give(struct work *w)
{
    struct ledger *l = w->ledger;

    store_op_release(&w->store);
    if (w->drop)
        w->drop(w->state);
    mem_free(w->state);
    if (w->head_owned)
        session_head_release(&w->head);
    turn_release(&w->turn);
    safe_buf_clear(&w->text);
    if (w->text.inner.cap > KEPT_BYTES)
        safe_buf_release(&w->text);
    commit_trim(&w->commit);
    if (w->chat)
        ((struct chat_impl *)w->chat->impl)->work = NULL;
    w->state = NULL;
    w->drop = NULL;
    w->head_owned = false;
    l->works_out--;
    if (l->works_kept == WORKS_KEPT_MAX) {
        work_free(w);
        return;
    }
    w->next = l->works;
    l->works = w;
    l->works_kept++;
}

static void op_answer(struct loop_task *task)
{
    struct ledger_op *op = CONTAINER_OF(task, struct ledger_op, task);

    op->done(op);
}

static void answer_later(struct ledger *l, struct ledger_op *op)
{
    op->task.fn = op_answer;
    loop_post(l->env.loop, &op->task);
}

struct work *work_begin(struct ledger *l, struct chat *c, struct ledger_op *op)
{
    struct chat_impl *impl = c ? c->impl : NULL;

    BUG_ON(!op->done);
    BUG_ON(impl && impl->work);
    op->code = E_OK;
    op->err.code = E_OK;
    op->err.message[0] = '\0';
    op->ambiguous = op->key_taken = op->key_same_text = op->moved = false;
    op->key_session[0] = '\0';
    op->key_turn = op->turns = op->sessions = op->orphans = 0;
    struct work *w = work_take(l);
    if (!w) {
        op->code = err_set(&op->err, E_NOMEM, "out of memory for an operation of the ledger");
        answer_later(l, op);
        return NULL;
    }
    w->chat = c;
    w->key = c ? c->key : NULL;
    w->op = op;
    w->returned = false;
    w->limit = 0;
    w->new_system = false;
    buf_clear(&w->prefix);
    buf_clear(&w->after);
    w->turn = (struct turn){0};
    if (impl)
        impl->work = w;
    return w;
}

struct work *work_append(struct chat *c, struct ledger_op *op)
{
    struct work *w = work_begin(c->ledger, c, op);

    if (w && ((struct chat_impl *)c->impl)->stale) {
        work_fail(w, E_CONFLICT, "session %s changed since it was read: read it again", c->head.id);
        return NULL;
    }
    if (w && c->head.purged) {
        work_fail(w, E_REFUSED, "session %s was archived, and its turns were deleted: start a new "
                  "one", c->head.id);
        return NULL;
    }
    return w;
}

void work_end(struct work *w, int code)
{
    struct ledger_op *op = w->op;
    struct ledger *l = w->ledger;
    bool returned = w->returned;

    op->code = code;
    work_give(w);
    if (returned)
        op->done(op);
    else
        answer_later(l, op);
}

void work_fail(struct work *w, int code, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    err_setv(&w->op->err, code, fmt, ap);
    va_end(ap);
    work_end(w, code);
}

void work_end_reading(struct work *w, int code)
{
    if (code == E_CORRUPT && w->chat)
        session_quarantined(&w->op->err, w->chat->head.id);
    work_end(w, code);
}

bool work_store_ok(struct work *w, const char *what)
{
    int code = w->store.code;

    if (code == E_OK)
        return true;
    w->op->err = w->store.err;
    w->op->ambiguous = w->store.ambiguous;
    if (w->chat && w->store.verb == STORE_COMMIT && (w->store.ambiguous || code == E_CONFLICT))
        ((struct chat_impl *)w->chat->impl)->stale = true;
    err_prefix(&w->op->err, "%s: ", what);
    work_end_reading(w, code);
    return false;
}

static void store_done(struct store_op *op)
{
    struct work *w = CONTAINER_OF(op, struct work, store);

    w->returned = true;
    w->step(w);
}

struct store_op *work_store_op(struct work *w, enum store_verb verb, const char *partition)
{
    store_op_release(&w->store);
    w->store = (struct store_op){
        .verb = verb,
        .loop = w->ledger->env.loop,
        .done = store_done,
        .partition = slice_str(partition),
    };
    return &w->store;
}

void work_submit(struct work *w, void (*step)(struct work *w))
{
    w->step = step;
    store_submit(w->ledger->env.store, &w->store);
}

static void scan(struct work *w, const char *partition, bool backwards,
                 void (*step)(struct work *w))
{
    int code = buf_check(&w->prefix, "a record's key", &w->op->err);

    if (!code)
        code = buf_check(&w->after, "a record's key", &w->op->err);
    if (code) {
        work_end(w, code);
        return;
    }
    struct store_op *op = work_store_op(w, STORE_SCAN, partition);
    op->key = buf_slice(&w->prefix);
    op->after = buf_slice(&w->after);
    op->limit = w->limit ? w->limit : PAGE_RECORDS;
    op->backwards = backwards;
    work_submit(w, step);
}

void work_scan(struct work *w, const char *partition, void (*step)(struct work *w))
{
    scan(w, partition, false, step);
}

void work_scan_back(struct work *w, const char *partition, void (*step)(struct work *w))
{
    scan(w, partition, true, step);
}

bool work_scan_more(struct work *w)
{
    struct store_op *op = &w->store;

    if (!op->more || op->rows_len == 0)
        return false;
    buf_clear(&w->after);
    buf_add_slice(&w->after, op->rows[op->rows_len - 1].key);
    scan(w, op->partition.ptr, op->backwards, w->step);
    return true;
}

void work_get(struct work *w, const char *partition, const struct buf *key,
              void (*step)(struct work *w))
{
    int code = buf_check(key, "a record's key", &w->op->err);

    if (code) {
        work_end(w, code);
        return;
    }
    work_store_op(w, STORE_GET, partition)->key = buf_slice(key);
    work_submit(w, step);
}

void work_commit(struct work *w, void (*step)(struct work *w))
{
    int code = commit_close(&w->commit, &w->op->err);

    if (code) {
        work_end(w, code);
        return;
    }
    struct store_op *op = work_store_op(w, STORE_COMMIT, NULL);
    op->partition = w->commit.partition;
    op->items = w->commit.items;
    op->items_len = w->commit.len;
    work_submit(w, step);
}

void *work_state(struct work *w, size_t bytes, void (*drop)(void *state))
{
    w->state = mem_zalloc(bytes);
    w->drop = w->state ? drop : NULL;
    if (!w->state)
        work_fail(w, E_NOMEM, "out of memory for an operation of the ledger");
    return w->state;
}
