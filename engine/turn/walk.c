// SPDX-License-Identifier: MIT
// walk.c: partition after partition, for what is about one user or about everybody. Reads pages of
// partitions; for each it finds the user's key and name, then calls `each`. Partitions of the house
// (their names begin with "~") are left out, but for a verification.
#include "turn/resolve.h"

enum { WALK_PAGE = 100 };

struct walk {
    void (*each)(struct run *run);
    void (*end)(struct run *run);
    bool more;       // pages after this one
    struct buf page; // partition names, NUL between
    size_t page_at;
    struct buf last; // cursor
    struct store_op op;
    struct buf key;
    struct safe_buf user;
    char name[USER_BYTES];
    struct loop_task task; // the next step, so that a long walk does not nest
    struct run *run;
};

void walk_free(struct walk *walk)
{
    if (!walk)
        return;
    buf_release(&walk->page);
    buf_release(&walk->last);
    buf_release(&walk->key);
    safe_buf_release(&walk->user);
    mem_free(walk);
}

const char *walk_user(const struct run *run)
{
    return run->walk->name;
}

static struct run *op_run(struct store_op *op)
{
    struct walk *walk = (struct walk *)((char *)op - offsetof(struct walk, op));
    return walk->run;
}

static bool walk_failed(struct run *run, struct store_op *op)
{
    // Damage is told, and what can be read is still walked through.
    if (op->code == E_CORRUPT)
        emit_warning(run, "%s", op->err.message);
    if (op->code == E_OK || op->code == E_CORRUPT)
        return false;
    struct err err = op->err;
    int code = op->code;
    store_op_release(op);
    emit_error(run, code, &err);
    return true;
}

static void user_read(struct store_op *op)
{
    struct run *run = op_run(op);
    struct walk *walk = run->walk;
    struct err err = ERR_INIT;
    walk->name[0] = '\0';
    if (walk_failed(run, op))
        return;
    if (op->rows_len == 1 && run->user_key) {
        safe_buf_clear(&walk->user);
        struct vault_place place = vault_place_of(&op->rows[0]);
        int code = vault_unseal(run->w->env.vault, run->user_key, &place, op->rows[0].body,
                                &walk->user, &err);
        if (!code)
            code = user_read_body(walk->name, safe_buf_text(&walk->user), &err);
        if (code == E_NOMEM) {
            store_op_release(op);
            emit_error(run, code, &err);
            return;
        }
        if (code)
            log_line(run->w->env.log, LOG_WARN, "turn: a user's name: %s", err.message);
    }
    store_op_release(op);
    walk->each(run);
}

static void read_user(struct run *run)
{
    struct walk *walk = run->walk;
    struct err err = ERR_INIT;
    key_user(&walk->key);
    int code = buf_check(&walk->key, "a record's key", &err);
    if (code) {
        emit_error(run, code, &err);
        return;
    }
    walk->op = (struct store_op){.verb = STORE_GET,
                                 .loop = run->w->env.loop,
                                 .done = user_read,
                                 .partition = slice_str(run->partition),
                                 .key = buf_slice(&walk->key)};
    store_submit(run->w->env.store, &walk->op);
}

static void key_read(struct vault_request *request)
{
    struct run *run = (struct run *)((char *)request - offsetof(struct run, vault_request));
    run->user_key = request->key;
    if (request->code && request->code != E_NOT_FOUND && request->code != E_ERASED)
        emit_error(run, request->code, &request->err);
    else
        read_user(run);
}

static void read_key(struct run *run)
{
    run->user_key = vault_find_key(run->w->env.vault, run->partition);
    if (run->user_key) {
        read_user(run);
        return;
    }
    struct vault_request *request = &run->vault_request;
    memset(request, 0, sizeof(*request));
    request->loop = run->w->env.loop;
    memcpy(request->partition, run->partition, sizeof(request->partition));
    request->done = key_read;
    vault_user_key(run->w->env.vault, request);
}

static void page_read(struct store_op *op)
{
    struct run *run = op_run(op);
    struct walk *walk = run->walk;
    struct err err = ERR_INIT;
    if (walk_failed(run, op))
        return;
    buf_clear(&walk->page);
    walk->page_at = 0;
    walk->more = op->more;
    for (uint32_t i = 0; i < op->rows_len; i++) {
        struct slice p = op->rows[i].partition;
        size_t len = p.len < PARTITION_BYTES ? p.len : PARTITION_BYTES - 1;
        if (i + 1 == op->rows_len) {
            buf_clear(&walk->last);
            buf_add_slice(&walk->last, p);
        }
        bool house = p.len > 0 && p.ptr[0] == '~';
        if (p.len == 0 || (house && run->job->verb != JOB_VERIFY))
            continue;
        // One that is no user's has no key, which `each` then tells.
        for (size_t at = 0; at < len; at++)
            buf_add_char(&walk->page, p.ptr[at] > ' ' && p.ptr[at] <= '~' ? p.ptr[at] : '?');
        buf_add_char(&walk->page, '\0');
    }
    store_op_release(op);
    int code = buf_check(&walk->page, "a listing", &err);
    if (!code)
        code = buf_check(&walk->last, "a listing", &err);
    if (code)
        emit_error(run, code, &err);
    else
        walk_next(run);
}

static void read_page(struct run *run)
{
    struct walk *walk = run->walk;
    walk->op = (struct store_op){.verb = STORE_PARTITIONS,
                                 .loop = run->w->env.loop,
                                 .done = page_read,
                                 .after = buf_slice(&walk->last),
                                 .limit = WALK_PAGE};
    store_submit(run->w->env.store, &walk->op);
}

static void step(struct loop_task *task)
{
    struct walk *walk = (struct walk *)((char *)task - offsetof(struct walk, task));
    struct run *run = walk->run;
    if (run->stopped) {
        struct err err = ERR_INIT;
        err_set(&err, E_CANCELLED, "stopped");
        emit_error(run, E_CANCELLED, &err);
        return;
    }
    if (walk->page_at < walk->page.len) {
        const char *name = walk->page.ptr + walk->page_at;
        walk->page_at += strlen(name) + 1;
        snprintf(run->partition, sizeof(run->partition), "%s", name);
        read_key(run);
    } else if (walk->more) {
        read_page(run);
    } else {
        walk->end(run);
    }
}

void walk_next(struct run *run)
{
    run->walk->task.fn = step;
    loop_post(run->w->env.loop, &run->walk->task);
}

static void one_user(struct run *run)
{
    struct walk *walk = run->walk;
    if (!run->user_key) {
        walk->end(run); // a stranger has nothing
        return;
    }
    walk->each(run);
}

void walk_start(struct run *run, bool all_users, void (*each)(struct run *run),
                void (*end)(struct run *run))
{
    struct walk *walk = mem_zalloc(sizeof(*walk));
    if (!walk) {
        struct err err = ERR_INIT;
        err_set(&err, E_NOMEM, "out of memory for a listing");
        emit_error(run, E_NOMEM, &err);
        return;
    }
    run->walk = walk;
    walk->run = run;
    walk->each = each;
    walk->end = end;
    walk->more = all_users;
    buf_init(&walk->page, WALK_PAGE * PARTITION_BYTES);
    buf_init(&walk->last, STORE_PARTITION_BYTES_MAX);
    buf_init(&walk->key, RECORD_KEY_BYTES_MAX);
    safe_buf_init(&walk->user, CONTENT_BYTES_MAX);
    snprintf(walk->name, sizeof(walk->name), "%s", run->job->user);
    if (all_users)
        walk_next(run);
    else
        resolve_user(run, false, one_user);
}
