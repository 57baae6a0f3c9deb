// SPDX-License-Identifier: MIT
// store.c: opening a store by its URL, the one gate that every op passes, and its results.
//
// An op that breaks a limit never reaches a store. Any thread; see store.h.
#include "store/store_int.h"

#include "base/hint.h"
#include "base/mem.h"

static const struct store_ops *const stores[] = {&store_sqlite, &store_memory, &store_faulty};
enum { STORES_LEN = sizeof stores / sizeof *stores };

static int find_store(const char *url, const struct store_ops **ops, const char **rest,
                      struct err *err)
{
    const char *colon = strchr(url, ':');
    struct slice scheme = {url, colon ? (size_t)(colon - url) : strlen(url)};
    for (size_t i = 0; colon && i < STORES_LEN; i++) {
        if (slice_is(scheme, stores[i]->name)) {
            *ops = stores[i];
            *rest = colon + 1;
            return E_OK;
        }
    }
    struct buf known = BUF_INIT(256);
    const char *names[STORES_LEN];
    for (size_t i = 0; i < STORES_LEN; i++) {
        buf_addf(&known, "%s%s", i ? ", " : "", stores[i]->url_form);
        names[i] = stores[i]->name;
    }
    const char *near = hint_nearest(scheme, names, STORES_LEN);
    int code = err_set(err, E_STORE, "store: \"%s\" names no kind of store%s%s%s; known: %s", url,
                       near ? " (did you mean " : "", near ? near : "", near ? "?)" : "",
                       buf_ok(&known) ? known.ptr : "sqlite:PATH");
    buf_release(&known);
    return code;
}

int store_check_url(const char *url, struct err *err)
{
    const struct store_ops *ops = NULL;
    const char *rest = NULL;
    return find_store(url, &ops, &rest, err);
}

int store_open(struct store **out, const char *url, const struct store_env *env, struct err *err)
{
    const struct store_ops *ops = NULL;
    const char *rest = NULL;
    *out = NULL;
    int code = find_store(url, &ops, &rest, err);
    return code ? code : ops->open(out, rest, env, err);
}

int store_migrate(const char *url, bool dry_run, struct buf *report, struct err *err)
{
    const struct store_ops *ops = NULL;
    const char *rest = NULL;
    int code = find_store(url, &ops, &rest, err);
    return code ? code : ops->migrate(rest, dry_run, report, err);
}

static int cannot(const struct store_ops *ops, const char *what, struct err *err)
{
    return err_set(err, E_USAGE, "store: %s: %s: there is nothing to %s; it is for a store like "
                   "sqlite:PATH", ops->name, ops->description, what);
}

int store_backup(const char *url, const char *file, const struct store_copying *how,
                 struct err *err)
{
    const struct store_ops *ops = NULL;
    const char *rest = NULL;
    int code = find_store(url, &ops, &rest, err);
    if (!code && !ops->backup)
        code = cannot(ops, "back up", err);
    return code ? code : ops->backup(rest, file, how, err);
}

int store_restore(const char *url, const char *file, const struct store_copying *how,
                  struct buf *aside, struct err *err)
{
    const struct store_ops *ops = NULL;
    const char *rest = NULL;
    int code = find_store(url, &ops, &rest, err);
    if (!code && !ops->restore)
        code = cannot(ops, "restore to", err);
    return code ? code : ops->restore(rest, file, how, aside, err);
}

void store_free(struct store *s)
{
    if (s)
        s->ops->free(s);
}

const char *store_claim(struct store *s)
{
    return s->ops->claim(s);
}

static void run_done(struct loop_task *task)
{
    struct store_op *op = CONTAINER_OF(task, struct store_op, task);
    op->done(op);
}

void op_complete(struct store_op *op)
{
    op->err.code = op->code;
    op->task.fn = run_done;
    loop_post(op->loop, &op->task);
}

int op_fail(struct store_op *op, int code, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    op->code = err_setv(&op->err, code, fmt, ap);
    va_end(ap);
    return op->code;
}

void store_submit(struct store *s, struct store_op *op)
{
    BUG_ON(!op->loop || !op->done);
    op->code = E_OK;
    op->err.code = E_OK;
    op->err.message[0] = 0;
    op->ambiguous = op->more = op->alive = false;
    op->failed_item = 0;
    op->rows = NULL;
    op->rows_len = 0;
    op->holder_now[0] = 0;
    op->next = NULL;
    op->memory = NULL;
    if (rule_limits(op))
        op_complete(op);
    else
        s->ops->submit(s, op);
}

// Row bytes live in blocks that never move, so rows may point into them while more are added.
struct block {
    struct block *next;
    size_t len, cap;
    char bytes[];
};
// The rows and their blocks; `rows` is the array that op->rows shows.
struct results {
    struct block *blocks;
    size_t rows_cap;
    size_t bytes;
};
enum { BLOCK_BYTES = 16 << 10 };

void store_op_release(struct store_op *op)
{
    struct results *results = op->memory;
    if (results) {
        for (struct block *b = results->blocks, *next; b; b = next) {
            next = b->next;
            mem_free(b);
        }
        mem_free(results);
    }
    mem_free(op->rows);
    op->rows = NULL;
    op->rows_len = 0;
    op->memory = NULL;
}

static struct slice keep(struct block *b, struct slice s)
{
    char *at = b->bytes + b->len;
    if (s.len)
        memcpy(at, s.ptr, s.len);
    b->len += s.len;
    return (struct slice){at, s.len};
}

// Room for `bytes` in the newest block, or in a new one. A single row gets a block that just fits.
static struct block *room(struct results *results, size_t bytes)
{
    struct block *b = results->blocks;
    if (b && b->cap - b->len >= bytes)
        return b;
    size_t cap = b && bytes < BLOCK_BYTES ? BLOCK_BYTES : bytes;
    b = mem_alloc(sizeof *b + cap);
    if (!b)
        return NULL;
    *b = (struct block){.next = results->blocks, .cap = cap};
    results->blocks = b;
    return b;
}

bool op_add_row(struct store_op *op, const struct record *row)
{
    struct results *results = op->memory;
    if (!results && !(results = op->memory = mem_zalloc(sizeof *results)))
        goto no_memory;
    size_t bytes = row->partition.len + row->key.len + row->meta.len + row->body.bytes.len;
    if (op->rows_len && results->bytes + bytes > STORE_SCAN_BYTES_MAX) {
        op->more = true;
        return false;
    }
    if (op->rows_len == results->rows_cap) {
        size_t cap = op->rows_len ? op->rows_len * 4 : 1;
        struct record *rows = mem_realloc(op->rows, cap * sizeof *rows);
        if (!rows)
            goto no_memory;
        op->rows = rows;
        results->rows_cap = cap;
    }
    struct block *b = room(results, bytes);
    if (!b)
        goto no_memory;
    struct record *kept = &op->rows[op->rows_len++];
    *kept = *row;
    kept->partition = keep(b, row->partition);
    kept->key = keep(b, row->key);
    kept->meta = keep(b, row->meta);
    kept->body.bytes = keep(b, row->body.bytes);
    results->bytes += bytes;
    return true;
no_memory:
    store_op_release(op);
    op_fail(op, E_NOMEM, "store: out of memory for the rows read");
    return false;
}
