// SPDX-License-Identifier: MIT
// loop_epoll.c: the real loop. epoll polls the file descriptors and sleeps; what runs, and in which
// order, is loop_int.h's, so that both kinds of loop behave alike.
//
// Why not libuv: it ends the process where memory runs out for its table of descriptors, already in
// uv_loop_init (libuv 1.44.2, src/unix/core.c, maybe_resize), and its allocator is replaced for the
// whole process or not at all, which is not a library's to do. Once open, this loop takes no memory
// of the process.
//
// Invariants
// 1. A watch is in the epoll set exactly while watch->polled is not 0.
// 2. seen[next..len) are the events not told yet; none of them is of a watch that was stopped.
// 3. Watches are level-triggered: an event that was not taken, or was passed over because the loop
//    is being stopped, comes again.
// Thread: the loop's, except `wake`.
#include "base/loop_int.h"

#include "base/mem.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { EVENTS_MAX = 64 }; // told between two turns; more come after the next

struct loop_epoll {
    struct loop base;
    int epoll, waker; // owned; the waker is an eventfd, the one member of the set without a watch
    struct epoll_event seen[EVENTS_MAX];
    int next, len;
    size_t watches;
};

static struct loop_epoll *epoll_of(struct loop *l)
{
    return (struct loop_epoll *)l;
}

static void wake(struct loop *l)
{
    eventfd_write(epoll_of(l)->waker, 1); // refused only when it is about to wake anyway
}

static void tell(struct loop_epoll *l, const struct epoll_event *event)
{
    struct loop_watch *w = event->data.ptr;
    eventfd_t times;
    unsigned seen = 0;

    if (!w) {
        eventfd_read(l->waker, &times);
        return;
    }
    if (event->events & EPOLLIN)
        seen |= LOOP_READ;
    if (event->events & EPOLLOUT)
        seen |= LOOP_WRITE;
    // The owner learns more by reading or writing than is known here.
    if (event->events & (EPOLLERR | EPOLLHUP))
        seen |= LOOP_READ | LOOP_WRITE;
    seen &= w->events;
    if (!seen || loop_stopping(&l->base))
        return;
    w->fn(w, seen);
}

static void poll_once(struct loop_epoll *l, int timeout_ms)
{
    l->next = 0;
    l->len = epoll_wait(l->epoll, l->seen, EVENTS_MAX, timeout_ms);
    if (l->len < 0 && errno != EINTR)
        BUG("epoll_wait: %s", strerror(errno));
    while (l->next < l->len)
        tell(l, &l->seen[l->next++]);
}

// How long nothing is due: epoll's own way to say it, -1 for ever.
static int sleep_ms(struct loop_epoll *l)
{
    int64_t due = loop_next_due(&l->base);

    if (due == LOOP_NEVER)
        return -1;
    int64_t ms = loop_ms_between(clock_mono_ns(l->base.clock), due);
    return ms < INT_MAX ? (int)ms : INT_MAX;
}

static void run(struct loop *l)
{
    while (!loop_take_stop(l)) {
        loop_turn(l);
        poll_once(epoll_of(l), loop_may_sleep(l) ? sleep_ms(epoll_of(l)) : 0);
    }
}

static void watch_stop(struct loop *l, struct loop_watch *w)
{
    struct loop_epoll *e = epoll_of(l);

    // Refused when the descriptor was closed before, which took it out of the set.
    epoll_ctl(e->epoll, EPOLL_CTL_DEL, w->polled - 1, NULL);
    w->polled = 0;
    e->watches--;
    int kept = e->next;
    for (int i = e->next; i < e->len; i++) {
        if (e->seen[i].data.ptr != w)
            e->seen[kept++] = e->seen[i];
    }
    e->len = kept;
}

static int watch_refused(const struct loop_watch *w, int error, struct err *err)
{
    if (error == ENOMEM || error == ENOSPC)
        return err_set(err, E_NOMEM, "out of memory for watching a file descriptor");
    return err_set(err, E_USAGE, "cannot watch file descriptor %d: %s", w->fd, strerror(error));
}

static int watch_start(struct loop *l, struct loop_watch *w, struct err *err)
{
    struct loop_epoll *e = epoll_of(l);

    if (w->events == 0 || w->events & ~(unsigned)(LOOP_READ | LOOP_WRITE))
        return err_set(err, E_USAGE,
                       "cannot watch file descriptor %d for events %#x: use "
                       "LOOP_READ, LOOP_WRITE or both",
                       w->fd, w->events);
    if (w->polled && w->polled != w->fd + 1)
        watch_stop(l, w);
    struct epoll_event event = {
        .events = (w->events & LOOP_READ ? EPOLLIN : 0u) | (w->events & LOOP_WRITE ? EPOLLOUT : 0u),
        .data.ptr = w,
    };
    if (epoll_ctl(e->epoll, w->polled ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, w->fd, &event) != 0) {
        int error = errno;
        if (w->polled)
            watch_stop(l, w);
        return watch_refused(w, error, err);
    }
    e->watches += !w->polled;
    w->polled = w->fd + 1;
    return E_OK;
}

static void close_both(struct loop_epoll *l)
{
    if (l->epoll >= 0)
        close(l->epoll);
    if (l->waker >= 0)
        close(l->waker);
}

static void free_epoll(struct loop *l)
{
    struct loop_epoll *e = epoll_of(l);

    if (e->watches)
        BUG("loop_free with %zu watches active", e->watches);
    close_both(e);
    loop_release(l);
    mem_free(e);
}

static const struct loop_ops epoll_ops = {
    .name = "epoll",
    .wake = wake,
    .watch_start = watch_start,
    .watch_stop = watch_stop,
    .run = run,
    .free = free_epoll,
};

static int open_refused(int error, struct err *err)
{
    if (error == ENOMEM)
        return err_set(err, E_NOMEM, "out of memory for an event loop");
    return err_set(err, E_REFUSED, "cannot open an event loop: %s%s", strerror(error),
                   error == EMFILE ? ": raise the limit with ulimit -n" : "");
}

static int open_epoll(struct loop_epoll *l, struct err *err)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};

    l->waker = -1;
    l->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (l->epoll >= 0)
        l->waker = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (l->waker >= 0 && epoll_ctl(l->epoll, EPOLL_CTL_ADD, l->waker, &event) == 0)
        return E_OK;
    int rc = open_refused(errno, err);
    close_both(l);
    return rc;
}

int loop_new(struct loop **out, const struct clock *clock, struct err *err)
{
    struct loop_epoll *l = mem_zalloc(sizeof(*l));

    *out = NULL;
    if (!l)
        return open_refused(ENOMEM, err);
    int rc = loop_init(&l->base, &epoll_ops, clock, err);
    if (rc == E_OK) {
        rc = open_epoll(l, err);
        if (rc != E_OK)
            loop_release(&l->base);
    }
    if (rc != E_OK) {
        mem_free(l);
        return rc;
    }
    *out = &l->base;
    return E_OK;
}
