// SPDX-License-Identifier: MIT
// reflect.c: one pass over whose reflection is due.
//
//   pages of what is due ─▶ the manifests among it, as many as a pass takes
//      each: env->reflect ─▶ it is due no more, or later (the manifest says so, in its own commit)
//
// What fails is due still, and a later pass finds it; it harms no other, and neither does what is
// due beside it and is other jobs': a pass that goes on where one was full begins behind the last
// record that the one before left where it was. Killed anywhere, the store says what is left.
#include "jobs/reflect.h"

#include "base/mem.h"

#include <stdio.h>
#include <string.h>

enum { PAGE = 500 };

struct due_user {
    char partition[PARTITION_BYTES], bot[BOT_NAME_BYTES];
};
// A record that stays due; "": none does.
struct due_left {
    char partition[STORE_PARTITION_BYTES_MAX + 1];
    struct buf key;
    uint32_t users;                // so many of this pass's stand in front of it
};
struct reflect_work {
    struct jobs_env env;
    struct job_pass *pass;         // under way; NULL: none
    struct store_op op;
    struct buf cursor;
    char cursor_partition[STORE_PARTITION_BYTES_MAX + 1];
    struct due_left left;          // the last one of what was gone through
    struct due_left others;        // the last one of what was read that is not ours
    bool goes_on;                  // the pass before was full: behind `left`
    uint32_t rows;                 // looked at in this pass
    struct due_user users[REFLECT_USERS_MAX];
    uint32_t len, at;
    int64_t until_ns;
    struct loop_task task;
};

static void leave(struct due_left *l, struct slice partition, struct slice key, uint32_t users)
{
    snprintf(l->partition, sizeof(l->partition), "%.*s", SLICE_FMT(partition));
    buf_clear(&l->key);
    buf_add_slice(&l->key, key);
    l->users = users;
}

static void end(struct reflect_work *w, int code)
{
    struct job_pass *p = w->pass;

    // All that stood in front of it was asked, so it may be passed over.
    if (w->at == w->len && w->others.key.len && w->others.users >= w->left.users)
        leave(&w->left, slice_str(w->others.partition), buf_slice(&w->others.key), w->len);
    store_op_release(&w->op);
    w->op = (struct store_op){0};
    w->pass = NULL;
    w->goes_on = p->more && !code;
    p->code = code;
    p->over(p);
}

// ---- each of them

static void next_user(struct reflect_work *w);

static void go_on(struct loop_task *task)
{
    next_user(CONTAINER_OF(task, struct reflect_work, task));
}

static void leave_user(struct reflect_work *w)
{
    const struct due_user *u = &w->users[w->at];
    struct buf key = BUF_INIT(RECORD_KEY_BYTES_MAX);

    key_memory(&key, u->bot);
    leave(&w->left, slice_str(u->partition), buf_slice(&key), w->at + 1);
    buf_release(&key);
}

static void reflected(void *arg, int code)
{
    struct reflect_work *w = arg;

    if (code) {
        log_line(w->env.log, LOG_WARN, "reflect: bot=%s: %s; it is due still",
                 w->users[w->at].bot, err_word(code));
        leave_user(w);
    }
    w->at++;
    // Not inside the call: it may be answered at once, a hundred times.
    w->task.fn = go_on;
    loop_post(w->env.loop, &w->task);
}

static void next_user(struct reflect_work *w)
{
    bool late = clock_mono_ns(w->env.clock) >= w->until_ns;

    if (w->pass->stop || w->at == w->len || late) {
        w->pass->more |= w->at < w->len;
        end(w, E_OK);
        return;
    }
    const struct due_user *u = &w->users[w->at];
    w->env.reflect(w->env.user, u->partition, u->bot, reflected, w);
}

// ---- whose time has come

static void read_row(struct reflect_work *w, const struct record *row)
{
    struct slice parts[2] = {SLICE_NONE, SLICE_NONE};
    struct due_user *u = &w->users[w->len];

    // Other things are due too; they are other jobs' own.
    if (row->partition.len >= sizeof(u->partition) || key_split(row->key, parts, 2) != 2 ||
        !slice_is(parts[0], "memory") || parts[1].len >= sizeof(u->bot)) {
        leave(&w->others, row->partition, row->key, w->len);
        return;
    }
    memcpy(u->partition, row->partition.ptr, row->partition.len);
    u->partition[row->partition.len] = '\0';
    memcpy(u->bot, parts[1].ptr, parts[1].len);
    u->bot[parts[1].len] = '\0';
    w->len++;
}

static void read_page(struct reflect_work *w);

static void page_read(struct store_op *op)
{
    struct reflect_work *w = CONTAINER_OF(op, struct reflect_work, op);
    bool more = op->more;
    uint32_t i = 0;

    if (op->code) {
        w->pass->err = op->err;
        end(w, op->code);
        return;
    }
    for (; i < op->rows_len && w->len < REFLECT_USERS_MAX; i++) {
        const struct record *row = &op->rows[i];

        read_row(w, row);
        buf_clear(&w->cursor);
        buf_add_slice(&w->cursor, row->key);
        snprintf(w->cursor_partition, sizeof(w->cursor_partition), "%.*s",
                 SLICE_FMT(row->partition));
    }
    w->rows += op->rows_len;
    bool full = w->len == REFLECT_USERS_MAX || w->rows >= REFLECT_ROWS_MAX;
    w->pass->more = full && (more || i < op->rows_len);
    if (more && !full && !w->pass->stop)
        read_page(w);
    else
        next_user(w);
}

static void read_page(struct reflect_work *w)
{
    int64_t now_ms = clock_wall_ms(w->env.clock);

    store_op_release(&w->op);
    w->op = (struct store_op){.verb = STORE_DUE, .loop = w->env.loop, .done = page_read,
                              .partition = slice_str(w->cursor_partition)};
    w->op.after = buf_slice(&w->cursor);
    w->op.before_ms = now_ms < INT64_MAX ? now_ms + 1 : INT64_MAX;
    w->op.limit = PAGE;
    store_submit(w->env.store, &w->op);
}

static void pass(void *self, struct job_pass *p)
{
    struct reflect_work *w = self;

    BUG_ON(w->pass);
    w->pass = p;
    w->len = w->at = w->rows = 0;
    leave(&w->others, SLICE_NONE, SLICE_NONE, 0);
    if (!w->goes_on)
        leave(&w->left, SLICE_NONE, SLICE_NONE, 0);
    w->left.users = 0;
    buf_clear(&w->cursor);
    buf_add_slice(&w->cursor, buf_slice(&w->left.key));
    snprintf(w->cursor_partition, sizeof(w->cursor_partition), "%s", w->left.partition);
    w->until_ns = clock_mono_ns(w->env.clock) + REFLECT_MS_MAX * INT64_C(1000000);
    if (w->env.reflect) {
        read_page(w);
    } else {
        w->task.fn = go_on;
        loop_post(w->env.loop, &w->task);
    }
}

// ---- life

int reflect_work_new(struct reflect_work **out, const struct jobs_env *env, struct err *err)
{
    struct reflect_work *w = mem_zalloc(sizeof(*w));

    *out = w;
    if (!w)
        return err_set(err, E_NOMEM, "out of memory for the reflections");
    w->env = *env;
    buf_init(&w->cursor, RECORD_KEY_BYTES_MAX);
    buf_init(&w->left.key, RECORD_KEY_BYTES_MAX);
    buf_init(&w->others.key, RECORD_KEY_BYTES_MAX);
    return E_OK;
}

void reflect_work_free(struct reflect_work *w)
{
    if (!w)
        return;
    BUG_ON(w->pass);
    buf_release(&w->cursor);
    buf_release(&w->left.key);
    buf_release(&w->others.key);
    mem_free(w);
}

struct runner_job reflect_job(struct reflect_work *w)
{
    return (struct runner_job){.name = "reflect", .pass = pass, .self = w};
}
