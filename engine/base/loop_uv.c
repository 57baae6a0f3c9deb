// SPDX-License-Identifier: MIT
// loop_uv.c: the real loop. libuv polls the file descriptors and sleeps; what runs, and in which
// order, is ours (loop_int.h), so that both kinds of loop behave alike.
//
// Invariants
// 1. One uv_timer stands for all timers: `armed_ns` is what it was set for, LOOP_NEVER while it is
//    idle. Its callback, like that of the uv_async, does nothing but end the sleep.
// 2. A watch's `impl` is owned by the loop from start until libuv has closed the handle, which is
//    after loop_watch_stop returns; impl->watch is NULL from then on.
// 3. Watches are level-triggered: an event that was not taken, or was passed over because the loop
//    is being stopped, comes again.
// Thread: the loop's, except `wake`.
#include "base/loop_int.h"

#include "base/mem.h"

#include <uv.h>

struct loop_uv {
    struct loop base;
    uv_loop_t uv;
    uv_async_t async;
    uv_timer_t timer;
    int64_t armed_ns;
    size_t watches;
};

struct watch_impl {
    uv_poll_t poll;
    struct loop *loop;
    struct loop_watch *watch;
    int fd;
};

_Static_assert((int)LOOP_READ == (int)UV_READABLE && (int)LOOP_WRITE == (int)UV_WRITABLE,
               "events are passed on as they are");

static struct loop_uv *uv_of(struct loop *l)
{
    return (struct loop_uv *)l;
}

static void wake(struct loop *l)
{
    uv_async_send(&uv_of(l)->async);
}

static void on_wake(uv_async_t *async)
{
    (void)async;
}

static void on_timer(uv_timer_t *timer)
{
    struct loop_uv *l = timer->data;

    l->armed_ns = LOOP_NEVER;
    // libuv may run timers before it polls: without this it would then sleep on.
    uv_stop(&l->uv);
}

// Sets the uv_timer for the earliest of ours.
static void arm(struct loop_uv *l)
{
    int64_t due = loop_next_due(&l->base);

    if (due == l->armed_ns)
        return;
    l->armed_ns = due;
    if (due == LOOP_NEVER) {
        uv_timer_stop(&l->timer);
        return;
    }
    uv_update_time(&l->uv);
    int64_t ms = loop_ms_between(clock_mono_ns(l->base.clock), due);
    uv_timer_start(&l->timer, on_timer, (uint64_t)ms, 0);
}

static void run(struct loop *l)
{
    struct loop_uv *u = uv_of(l);

    while (!loop_take_stop(l)) {
        loop_turn(l);
        arm(u);
        uv_run(&u->uv, loop_may_sleep(l) ? UV_RUN_ONCE : UV_RUN_NOWAIT);
    }
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct watch_impl *impl = poll->data;
    struct loop_watch *w = impl->watch;
    unsigned seen = (unsigned)events & w->events;

    if (status < 0) {
        // libuv has stopped the handle. The owner learns more by reading or writing than we know
        // here, so it is told of all that it waits for, and the watch goes on.
        seen = w->events;
        uv_poll_start(poll, (int)w->events, on_poll);
    }
    if (seen && !loop_stopping(impl->loop))
        w->fn(w, seen);
}

static void on_watch_closed(uv_handle_t *handle)
{
    mem_free(handle->data);
}

static void watch_stop(struct loop *l, struct loop_watch *w)
{
    struct watch_impl *impl = w->impl;

    w->impl = NULL;
    impl->watch = NULL;
    uv_of(l)->watches--;
    uv_close((uv_handle_t *)&impl->poll, on_watch_closed);
}

static int watch_refused(const struct loop_watch *w, int status, struct err *err)
{
    if (status == UV_ENOMEM)
        return err_set(err, E_NOMEM, "out of memory for watching a file descriptor");
    return err_set(err, E_USAGE, "cannot watch file descriptor %d: %s", w->fd, uv_strerror(status));
}

static int watch_start(struct loop *l, struct loop_watch *w, struct err *err)
{
    struct watch_impl *impl = w->impl;

    if (w->events == 0 || w->events & ~(unsigned)(LOOP_READ | LOOP_WRITE))
        return err_set(err, E_USAGE,
                       "cannot watch file descriptor %d for events %#x: use "
                       "LOOP_READ, LOOP_WRITE or both",
                       w->fd, w->events);
    if (impl && impl->fd != w->fd) {
        watch_stop(l, w);
        impl = NULL;
    }
    if (!impl) {
        impl = mem_zalloc(sizeof(*impl));
        if (!impl)
            return watch_refused(w, UV_ENOMEM, err);
        int status = uv_poll_init(&uv_of(l)->uv, &impl->poll, w->fd);
        if (status < 0) {
            mem_free(impl); // libuv keeps no handle that it refused
            return watch_refused(w, status, err);
        }
        impl->poll.data = impl;
        impl->loop = l;
        impl->watch = w;
        impl->fd = w->fd;
        w->impl = impl;
        uv_of(l)->watches++;
    }
    int status = uv_poll_start(&impl->poll, (int)w->events, on_poll);
    if (status < 0) {
        watch_stop(l, w);
        return watch_refused(w, status, err);
    }
    return E_OK;
}

// Lets libuv finish with the handles that were closed (no other is active), then ends its loop.
static void close_uv(struct loop_uv *u)
{
    uv_run(&u->uv, UV_RUN_DEFAULT);
    int status = uv_loop_close(&u->uv);
    if (status < 0)
        BUG("uv_loop_close: %s", uv_strerror(status));
}

static void free_uv(struct loop *l)
{
    struct loop_uv *u = uv_of(l);

    if (u->watches)
        BUG("loop_free with %zu watches active", u->watches);
    uv_close((uv_handle_t *)&u->async, NULL);
    uv_close((uv_handle_t *)&u->timer, NULL);
    close_uv(u);
    loop_release(l);
    mem_free(u);
}

static const struct loop_ops uv_ops = {
    .name = "libuv",
    .wake = wake,
    .watch_start = watch_start,
    .watch_stop = watch_stop,
    .run = run,
    .free = free_uv,
};

static int open_refused(int status, struct err *err)
{
    if (status == UV_ENOMEM)
        return err_set(err, E_NOMEM, "out of memory for an event loop");
    return err_set(err, E_REFUSED, "cannot open an event loop: %s%s", uv_strerror(status),
                   status == UV_EMFILE ? ": raise the limit with ulimit -n" : "");
}

static int open_uv(struct loop_uv *u, struct err *err)
{
    int status = uv_loop_init(&u->uv);

    if (status < 0)
        return open_refused(status, err);
    status = uv_async_init(&u->uv, &u->async, on_wake);
    if (status < 0) {
        close_uv(u);
        return open_refused(status, err);
    }
    uv_timer_init(&u->uv, &u->timer); // cannot fail
    u->timer.data = u;
    u->armed_ns = LOOP_NEVER;
    return E_OK;
}

int loop_new(struct loop **out, const struct clock *clock, struct err *err)
{
    struct loop_uv *u = mem_zalloc(sizeof(*u));

    *out = NULL;
    if (!u)
        return open_refused(UV_ENOMEM, err);
    int rc = loop_init(&u->base, &uv_ops, clock, err);
    if (rc == E_OK) {
        rc = open_uv(u, err);
        if (rc != E_OK)
            loop_release(&u->base);
    }
    if (rc != E_OK) {
        mem_free(u);
        return rc;
    }
    *out = &u->base;
    return E_OK;
}
