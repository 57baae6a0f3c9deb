// SPDX-License-Identifier: MIT
// reseal.c: see reseal.h, which draws it.
#include "jobs/reseal.h"

#include "jobs/jobs.h"

#include "base/mem.h"

#include <stdio.h>

enum {
    USERS_BYTES_MAX = 64 << 20,  // of the partitions' names
    LOOK_MS = 100,
    TRIES_MAX = 100,  // of one page, which somebody changes each time
};

static void next_user(struct reseal *r);
static void read_page(struct reseal *r);

static void finish(struct reseal *r, int code, const struct err *err)
{
    r->code = code;
    if (code && err)
        r->err = *err;
    r->more = false;
    reseal_drop(r);
    r->done(r);
}

void reseal_drop(struct reseal *r)
{
    buf_release(&r->names);
    buf_release(&r->after);
    buf_release(&r->sealed);
}

// True: the pass is over, and the next begins with `step`.
static bool pass_over(struct reseal *r, void (*step)(struct reseal *r))
{
    bool stopped = r->stop && *r->stop;

    if (!stopped && (r->pages_max == 0 || r->pages < r->pages_max))
        return false;
    r->step = step;
    r->more = true;
    r->code = E_OK;
    r->done(r);
    return true;
}

void reseal_go_on(struct reseal *r)
{
    r->more = false;
    r->pages = 0;
    r->step(r);
}

// ---- pages

static const char *partition(const struct reseal *r)
{
    return r->names.ptr + r->at;
}

static void user_over(struct reseal *r)
{
    r->at += strlen(partition(r)) + 1;
    next_user(r);
}

static void retired(struct vault_request *request)
{
    struct reseal *r = CONTAINER_OF(request, struct reseal, request);

    if (request->code) {
        finish(r, request->code, &request->err);
        return;
    }
    r->retired++;
    user_over(r);
}

static void all_read(struct reseal *r)
{
    if (r->count_only || r->keep || r->left > r->left_before) {
        user_over(r);
        return;
    }
    r->request.done = retired;
    r->request.rotation = r->rotation;
    vault_retire(r->vault, &r->request);
}

// Moves past the page's row, the last of those that were dealt with.
static void turn_page(struct reseal *r, uint32_t rows)
{
    bool more = r->page.more || rows < r->page.rows_len;
    int code = E_OK;

    if (more && rows) {
        buf_clear(&r->after);
        buf_add_slice(&r->after, r->page.rows[rows - 1].key);
        code = buf_check(&r->after, "a record's key", &r->err);
    }
    store_op_release(&r->page);
    r->tries = 0;
    r->left += r->page_left;
    if (code)
        finish(r, code, &r->err);
    else if (more && rows)
        read_page(r);
    else
        all_read(r);
}

// Of the rows from the first, how many fit a commit whatever they hold.
static uint32_t rows_of(const struct store_op *page)
{
    size_t bytes = 0;
    uint32_t n = 0;

    for (; n < page->rows_len; n++) {
        const struct record *row = &page->rows[n];

        bytes += row->key.len + row->meta.len + row->body.bytes.len + VAULT_ENVELOPE_BYTES;
        if (n && bytes > STORE_BATCH_BYTES_MAX)
            break;
    }
    return n;
}

static void committed(struct store_op *op)
{
    struct reseal *r = CONTAINER_OF(op, struct reseal, commit);
    int code = op->code;
    uint32_t n = op->items_len;

    if (code == E_CONFLICT && ++r->tries < TRIES_MAX) {  // a turn was faster
        store_op_release(op);
        store_op_release(&r->page);
        read_page(r);
        return;
    }
    if (code)
        r->err = op->err;
    store_op_release(op);
    if (code == E_ERASED) {
        store_op_release(&r->page);
        user_over(r);
    } else if (code) {
        store_op_release(&r->page);
        finish(r, code, &r->err);
    } else {
        r->records += n;
        turn_page(r, rows_of(&r->page));
    }
}

// Other than E_OK: an error that ends the job, or E_ERASED.
static int seal_row(struct reseal *r, const struct record *row, size_t *at)
{
    struct vault_place place = vault_place_of(row);
    struct sealed sealed;

    *at = r->sealed.len;
    int code = vault_reseal(r->vault, r->key, &place, row->body, &r->sealed, &sealed, &r->err);
    if (code == E_CORRUPT)
        r->page_left++;
    if (code)
        return code == E_CORRUPT ? E_OK : code;
    r->items[r->commit.items_len++] = (struct store_item){.verb = STORE_PUT,
                                                          .key = row->key,
                                                          .version = row->version,
                                                          .due_at_ms = row->due_at_ms,
                                                          .count = row->count,
                                                          .meta = row->meta,
                                                          .body.bytes.len = sealed.bytes.len};
    return E_OK;
}

static int seal_rows(struct reseal *r, uint32_t rows)
{
    size_t at[RESEAL_PAGE_ROWS];
    int code = E_OK;

    buf_clear(&r->sealed);
    r->commit = (struct store_op){.verb = STORE_COMMIT,
                                  .loop = r->loop,
                                  .done = committed,
                                  .partition = slice_str(partition(r)),
                                  .items = r->items};
    for (uint32_t i = 0; i < rows && !code; i++) {
        const struct record *row = &r->page.rows[i];

        r->page_left += row->version == 0;  // the store cannot read it
        if (!vault_is_retired(r->vault, r->key, row->body))
            continue;
        if (r->count_only)
            r->records++;
        else
            code = seal_row(r, row, &at[r->commit.items_len]);
    }
    for (uint32_t i = 0; i < r->commit.items_len; i++)  // the buffer moves while it grows
        r->items[i].body.bytes.ptr = r->sealed.ptr + at[i];
    return code;
}

static void page_read(struct store_op *op)
{
    struct reseal *r = CONTAINER_OF(op, struct reseal, page);
    int code = op->code;
    uint32_t rows = rows_of(op);

    r->page_left = 0;
    if (code)
        r->err = op->err;
    else
        code = seal_rows(r, rows);
    if (code == E_ERASED) {
        store_op_release(op);
        user_over(r);
    } else if (code) {
        store_op_release(op);
        finish(r, code, &r->err);
    } else if (r->commit.items_len) {
        store_submit(r->store, &r->commit);
    } else {
        turn_page(r, rows);
    }
}

static void read_page(struct reseal *r)
{
    if (pass_over(r, read_page))
        return;
    r->pages++;
    r->page = (struct store_op){.verb = STORE_SCAN,
                                .loop = r->loop,
                                .done = page_read,
                                .partition = slice_str(partition(r)),
                                .after = buf_slice(&r->after),
                                .limit = RESEAL_PAGE_ROWS};
    store_submit(r->store, &r->page);
}

// ---- users

static void key_found(struct vault_request *request)
{
    struct reseal *r = CONTAINER_OF(request, struct reseal, request);

    if (request->code == E_ERASED || request->code == E_NOT_FOUND) {
        user_over(r);
        return;
    }
    if (request->code) {
        finish(r, request->code, &request->err);
        return;
    }
    r->key = request->key;
    r->users++;
    r->left_before = r->left;
    buf_clear(&r->after);
    read_page(r);
}

static void next_user(struct reseal *r)
{
    if (r->at >= r->names.len) {
        finish(r, E_OK, NULL);
        return;
    }
    if (pass_over(r, next_user))
        return;
    memset(&r->request, 0, sizeof(r->request));
    r->request.loop = r->loop;
    r->request.done = key_found;
    snprintf(r->request.partition, sizeof(r->request.partition), "%s", partition(r));
    vault_user_key(r->vault, &r->request);
}

static void begin_users(struct reseal *r)
{
    int code = vault_retired(r->vault, &r->names, &r->err);

    if (code)
        finish(r, code, &r->err);
    else
        next_user(r);
}

// ---- new keys, and who knows of them

static void look_again(struct loop_timer *timer);

static void wait_for_others(struct reseal *r)
{
    bool passed;
    int code = vault_others_passed(r->vault, &passed, &r->err);

    if (!code && !passed && r->waited_ms >= r->wait_ms)
        code = err_set(&r->err, E_BUSY, "another process has not taken up the new keys yet: the "
                       "older ones are kept until it has; run it again later");
    if (code) {
        finish(r, code, &r->err);
    } else if (passed) {
        begin_users(r);
    } else {
        r->timer.fn = look_again;
        r->waited_ms += LOOK_MS;
        loop_timer_start(r->loop, &r->timer, LOOK_MS);
    }
}

static void look_again(struct loop_timer *timer)
{
    wait_for_others(CONTAINER_OF(timer, struct reseal, timer));
}

static void stepped(struct vault_request *request)
{
    struct reseal *r = CONTAINER_OF(request, struct reseal, request);

    // An earlier rotation is to be carried to its end first: that is what this does.
    if (request->code && request->code != E_REFUSED) {
        finish(r, request->code, &request->err);
        return;
    }
    request->create = false;
    r->rotation = request->rotation;
    if (!request->code && request->left)
        vault_rotate(r->vault, request);
    else
        wait_for_others(r);
}

void reseal_run(struct reseal *r)
{
    buf_init(&r->names, USERS_BYTES_MAX);
    buf_init(&r->after, RECORD_KEY_BYTES_MAX);
    buf_init(&r->sealed, 2 * STORE_BATCH_BYTES_MAX);
    memset(&r->request, 0, sizeof(r->request));
    r->request.loop = r->loop;
    r->request.done = stepped;
    r->request.create = r->begin;
    if (r->count_only)
        begin_users(r);
    else
        vault_rotate(r->vault, &r->request);
}

// ---- the engine's

enum { PASS_PAGES = 100 };

struct reseal_work {
    struct jobs_env env;
    struct reseal r;
    struct job_pass *pass;  // under way
    bool begun;             // r holds what an earlier pass left
};

static void pass_done(struct reseal *r)
{
    struct reseal_work *w = r->user;
    struct job_pass *p = w->pass;

    w->begun = r->more;
    // Another process that has not taken up the new keys yet will have by the next time.
    p->code = r->code == E_BUSY ? E_OK : r->code;
    p->err = r->err;
    p->more = r->more && !p->stop;
    if (r->code == E_OK && !r->more)
        log_line(w->env.log, LOG_INFO, "keys: event=resealed records=%llu users=%u left=%llu",
                 (unsigned long long)r->records, r->retired, (unsigned long long)r->left);
    p->over(p);
}

static void nothing_to_do(struct loop_task *task)
{
    struct reseal_work *w = CONTAINER_OF(task, struct reseal_work, r.request.task);

    w->pass->over(w->pass);
}

static bool is_broken_off(struct reseal_work *w)
{
    struct buf names = BUF_INIT(USERS_BYTES_MAX);
    struct err err = ERR_INIT;
    bool any = vault_stores(w->env.vault) <= 1 &&
               (vault_retired(w->env.vault, &names, &err) || names.len > 0);

    buf_release(&names);
    return any;
}

static void run_pass(void *self, struct job_pass *p)
{
    struct reseal_work *w = self;

    w->pass = p;
    p->code = E_OK;
    p->more = false;
    if (w->begun) {
        w->r.stop = &p->stop;
        reseal_go_on(&w->r);
    } else if (is_broken_off(w)) {
        w->r = (struct reseal){.store = w->env.store, .vault = w->env.vault, .loop = w->env.loop,
                               .pages_max = PASS_PAGES, .stop = &p->stop, .done = pass_done,
                               .user = w};
        reseal_run(&w->r);
    } else {
        w->r.request.task = (struct loop_task){.fn = nothing_to_do};
        loop_post(w->env.loop, &w->r.request.task);
    }
}

int reseal_work_new(struct reseal_work **out, const struct jobs_env *env, struct err *err)
{
    *out = mem_zalloc(sizeof(**out));
    if (!*out)
        return err_set(err, E_NOMEM, "out of memory for a job");
    (*out)->env = *env;
    return E_OK;
}

void reseal_work_free(struct reseal_work *w)
{
    if (w && w->begun)
        reseal_drop(&w->r);
    mem_free(w);
}

struct runner_job reseal_job(struct reseal_work *w)
{
    return (struct runner_job){.name = "reseal", .pass = run_pass, .self = w};
}
