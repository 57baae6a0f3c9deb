// SPDX-License-Identifier: MIT
// list.c: a user's sessions, newest activity first.
//
// Keys say nothing about time, so all heads are read; never more than twice the limit are held:
// when they are that many, the older half goes. Runs on the loop of the env.
#include "session/session_int.h"

#include "base/mem.h"

#include <stdlib.h>

enum { PAGE_RECORDS = 500 };

static const struct slice prefix = {"session/", 8};

static int newer_first(const void *a, const void *b)
{
    const struct session_head *x = a, *y = b;

    if (x->last_active_at_ms != y->last_active_at_ms)
        return x->last_active_at_ms < y->last_active_at_ms ? 1 : -1;
    return strcmp(x->id, y->id);
}

static void keep_newest(struct session_list *l)
{
    if (l->heads_len > 1)
        qsort(l->heads, l->heads_len, sizeof(*l->heads), newer_first);
    while (l->heads_len > l->limit)
        session_head_release(&l->heads[--l->heads_len]);
}

static void finish(struct session_list *l, int code)
{
    void (*done)(struct session_list *) = l->done;

    l->code = code;
    store_op_release(&l->op);
    buf_release(&l->after);
    keep_newest(l);
    done(l);
}

static int add(struct session_list *l, const struct record *row)
{
    struct session_head head;
    struct slice id = slice_of(row->key.ptr + prefix.len, row->key.len - prefix.len);

    if (l->known && l->known(l->user, id, row->version))
        return E_OK;
    if (l->heads_len == l->heads_cap && l->heads_cap >= 2 * l->limit)
        keep_newest(l);
    if (l->heads_len == l->heads_cap) {
        uint32_t cap = l->heads_cap ? l->heads_cap * 2 : 16;
        struct session_head *grown = mem_realloc(l->heads, cap * sizeof(*grown));

        if (!grown)
            return err_set(&l->err, E_NOMEM, "out of memory for a list of sessions");
        l->heads = grown;
        l->heads_cap = cap;
    }
    int code = session_read_record(&head, l->env, l->partition, l->key, row, &l->err);
    bool damaged = code == E_CORRUPT || code == E_NOT_FOUND;
    l->damaged += damaged;
    if (code == E_OK || (damaged && head.id[0]))
        l->heads[l->heads_len++] = head;
    return damaged ? E_OK : code;
}

static void next_page(struct session_list *l);

static void page_read(struct store_op *op)
{
    struct session_list *l = CONTAINER_OF(op, struct session_list, op);
    int code = op->code;

    if (code) {
        l->err = op->err;
        err_prefix(&l->err, "listing sessions: ");
    }
    for (uint32_t i = 0; i < op->rows_len && !code; i++)
        code = add(l, &op->rows[i]);
    if (!code && op->more && op->rows_len) {
        buf_clear(&l->after);
        buf_add_slice(&l->after, op->rows[op->rows_len - 1].key);
        code = buf_check(&l->after, "a record's key", &l->err);
        if (!code) {
            next_page(l);
            return;
        }
    }
    finish(l, code);
}

static void next_page(struct session_list *l)
{
    store_op_release(&l->op);
    l->op = (struct store_op){
        .verb = STORE_SCAN,
        .loop = l->env->loop,
        .done = page_read,
        .partition = slice_str(l->partition),
        .key = prefix,
        .after = buf_slice(&l->after),
        .limit = PAGE_RECORDS,
    };
    store_submit(l->env->store, &l->op);
}

void session_list(struct session_list *l)
{
    if (l->limit == 0 || l->limit > SESSION_LIST_MAX)
        l->limit = SESSION_LIST_MAX;
    l->code = E_OK;
    l->err = (struct err)ERR_INIT;
    l->heads = NULL;
    l->heads_len = l->heads_cap = l->damaged = 0;
    l->op = (struct store_op){0};
    buf_init(&l->after, RECORD_KEY_BYTES_MAX);
    next_page(l);
}

void session_list_release(struct session_list *l)
{
    for (uint32_t i = 0; i < l->heads_len; i++)
        session_head_release(&l->heads[i]);
    mem_free(l->heads);
    l->heads = NULL;
    l->heads_len = l->heads_cap = 0;
}
