// SPDX-License-Identifier: MIT
// live.c: sessions in memory. At most one run has a session at a time; others wait in line, so
// turns of a session are never interleaved. Idle sessions over the memory limit are parked: freed,
// least recently used first, as everything about them is in the store.
#include "turn/turn_int.h"

int live_new(struct live **out, struct worker *w, struct session_head *head,
             const struct user_key *key, struct err *err)
{
    *out = NULL;
    struct live *live = mem_zalloc(sizeof(*live));
    if (!live)
        return err_set(err, E_NOMEM, "out of memory for a session");
    int code = chat_new(&live->chat, w->ledger, head, key, err);
    if (code) {
        mem_free(live);
        return code;
    }
    *out = live;
    return E_OK;
}

static void unlink_order(struct worker *w, struct live *live)
{
    if (live->newer)
        live->newer->older = live->older;
    else if (w->newest == live)
        w->newest = live->older;
    if (live->older)
        live->older->newer = live->newer;
    else if (w->oldest == live)
        w->oldest = live->newer;
    live->newer = live->older = NULL;
}

static void link_newest(struct worker *w, struct live *live)
{
    live->older = w->newest;
    if (w->newest)
        w->newest->newer = live;
    w->newest = live;
    if (!w->oldest)
        w->oldest = live;
}

static void forget_fresh(struct worker *w, struct live *live)
{
    if (!live->fresh_name)
        return;
    map_remove(w->fresh, slice_str(live->fresh_name));
    mem_free(live->fresh_name);
    live->fresh_name = NULL;
}

static void live_free(struct worker *w, struct live *live)
{
    forget_fresh(w, live);
    if (live->mapped) {
        map_remove(w->live, slice_str(live->chat->head.id));
        unlink_order(w, live);
        w->stats.live_bytes -= live->bytes;
        w->stats.live_sessions--;
    }
    chat_free(live->chat);
    mem_free(live);
}

int live_map(struct worker *w, struct live *live, struct err *err)
{
    forget_fresh(w, live);
    if (live->mapped)
        return E_OK;
    int code = map_set(w->live, slice_str(live->chat->head.id), live, NULL);
    if (code)
        return err_set(err, code,
                       code == E_NOMEM ? "out of memory for a session" : "too many live sessions");
    live->mapped = true;
    w->stats.live_sessions++;
    link_newest(w, live);
    return E_OK;
}

static bool in_use(const struct live *live)
{
    return live->busy || live->queue || live->pins;
}

static void park_idle(struct worker *w)
{
    struct live *live = w->oldest;
    while (live && w->stats.live_bytes > w->env.live_bytes_max) {
        struct live *newer = live->newer;
        if (!in_use(live))
            live_free(w, live);
        live = newer;
    }
}

void live_pin(struct run *run, struct live *live)
{
    live->pins++;
    run->target = live;
}

void live_unpin(struct run *run)
{
    struct live *live = run->target;
    if (!live)
        return;
    run->target = NULL;
    live->pins--;
    if (!in_use(live) && (!live->mapped || live->erased))
        live_free(run->w, live);
}

static void wake(struct loop_task *task)
{
    struct run *run = CONTAINER_OF(task, struct run, wake);
    run->then(run);
}

void live_take(struct run *run, void (*then)(struct run *run))
{
    struct live *live = run->target;
    if (live->busy && live->queue_len == LIVE_QUEUE_MAX) {
        struct err err = ERR_INIT;
        err_set(&err, E_BUSY, "%u messages wait for this session already: try again later",
                live->queue_len);
        emit_error(run, E_BUSY, &err);
        return;
    }
    run->target = NULL;
    live->pins--;
    run->live = live;
    if (!live->busy) {
        live->busy = run;
        then(run);
        return;
    }
    run->state = RUN_WAITING;
    run->then = then;
    run->queue_next = NULL;
    if (live->queue_end)
        live->queue_end->queue_next = run;
    else
        live->queue = run;
    live->queue_end = run;
    live->queue_len++;
}

static void count_bytes(struct worker *w, struct live *live)
{
    uint64_t now = chat_bytes(live->chat) + sizeof(*live);
    w->stats.live_bytes += now - live->bytes;
    live->bytes = now;
    unlink_order(w, live);
    link_newest(w, live);
}

// A run that ends while it waits leaves the line.
static void leave_queue(struct run *run)
{
    struct live *live = run->live;
    struct run *before = NULL;
    for (struct run *r = live->queue; r; before = r, r = r->queue_next) {
        if (r != run)
            continue;
        if (before)
            before->queue_next = r->queue_next;
        else
            live->queue = r->queue_next;
        if (live->queue_end == r)
            live->queue_end = before;
        live->queue_len--;
        return;
    }
}

bool live_waits(const struct run *run)
{
    return run->live && run->live->busy != run;
}

void live_give_back(struct run *run)
{
    struct worker *w = run->w;
    struct live *live = run->live;
    if (!live)
        return;
    if (live_waits(run)) {
        leave_queue(run);
        run->live = NULL;
        return;
    }
    run->live = NULL;
    live->busy = NULL;
    if (live->mapped)
        count_bytes(w, live);
    struct run *next = live->queue;
    if (next) {
        live->queue = next->queue_next;
        if (!live->queue)
            live->queue_end = NULL;
        live->queue_len--;
        live->busy = next;
        next->wake.fn = wake;
        loop_post(w->env.loop, &next->wake);
    } else if ((!live->mapped || live->erased) && !live->pins) {
        live_free(w, live);
    }
    park_idle(w);
}

void live_swap(struct run *run, struct live *other)
{
    live_give_back(run);
    BUG_ON(in_use(other));
    other->busy = run;
    run->live = other;
}

void live_discard(struct worker *w, struct live *live)
{
    BUG_ON(in_use(live) || live->mapped);
    live_free(w, live);
}

void lives_forget(struct worker *w, const char *partition)
{
    for (struct live *live = w->newest, *older; live; live = older) {
        older = live->older;
        if (strcmp(live->chat->head.partition, partition) != 0)
            continue;
        live->erased = true;
        if (!in_use(live))
            live_free(w, live);
    }
}

void live_free_all(struct worker *w)
{
    while (w->oldest) {
        BUG_ON(in_use(w->oldest));
        live_free(w, w->oldest);
    }
}
