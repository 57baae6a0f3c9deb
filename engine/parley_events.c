// SPDX-License-Identifier: MIT
// parley_events.c: events from the workers' threads to whoever polls. One queue per engine, under
// one lock; the descriptor, once somebody asked for it, is readable while the queue is not empty,
// from the next events_wake on.
//
// A turn has three events and more, and each would cost a switch of threads or two: so only who
// waits is woken, once for all that a turn of a worker's loop brought (events_wake), and not while
// the lock is held that it wants; events are made before.
//
// Invariant: the event that ends a request, and the one that tells that it was accepted, always
// arrive: a ticket, made before the request is posted, holds the nodes for both. Out of memory for
// what they tell, the end is told in words that fit its node. Deltas and warnings may be dropped,
// as DONE tells them all.
#include "parley_int.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

struct queued {
    parley_event event; // first: an event that is handed out is freed through it
    struct queued *next;
    struct buf text, json;
    char session[ID_TEXT_BYTES];
    struct queued *accepted; // of a ticket: the node for ACCEPTED, NULL once it is used; owned
    char small[ERR_MESSAGE_BYTES], small_json[96]; // of an end for whose text there is no memory
};

int events_init(struct event_queue *q, struct err *err)
{
    pthread_condattr_t attr;
    memset(q, 0, sizeof(*q));
    q->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (q->fd < 0)
        return err_set(err, E_NOMEM, "cannot make an event descriptor: %s", strerror(errno));
    pthread_mutex_init(&q->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&q->arrived, &attr);
    pthread_condattr_destroy(&attr);
    return E_OK;
}

void events_release(struct event_queue *q)
{
    parley_event *event;
    while ((event = events_pop(q)) != NULL)
        parley_event_free(event);
    pthread_cond_destroy(&q->arrived);
    pthread_mutex_destroy(&q->lock);
    close(q->fd);
}

struct queued *events_ticket(void)
{
    struct queued *ticket = mem_zalloc(sizeof(*ticket));
    if (!ticket)
        return NULL;
    ticket->accepted = mem_zalloc(sizeof(*ticket));
    if (ticket->accepted)
        return ticket;
    mem_free(ticket);
    return NULL;
}

void events_ticket_free(struct queued *ticket)
{
    if (ticket)
        mem_free(ticket->accepted);
    mem_free(ticket);
}

static parley_event_type public_type(enum event_type type)
{
    switch (type) {
    case EVENT_ACCEPTED:
        return PARLEY_EVENT_ACCEPTED;
    case EVENT_DELTA:
        return PARLEY_EVENT_DELTA;
    case EVENT_WARNING:
        return PARLEY_EVENT_WARNING;
    case EVENT_DONE:
        return PARLEY_EVENT_DONE;
    case EVENT_RESULT:
        return PARLEY_EVENT_RESULT;
    case EVENT_ERROR:
        return PARLEY_EVENT_ERROR;
    case EVENT_MOVED:
        return PARLEY_EVENT_MOVED;
    case EVENT_WATCHING:
        return PARLEY_EVENT_WATCHING;
    case EVENT_CHANGED:
        return PARLEY_EVENT_CHANGED;
    }
    BUG("unknown event %d", (int)type);
}

// The public view; the buffers may have moved.
static void point(struct queued *n)
{
    n->event.session = n->session;
    n->event.text = n->small[0] ? n->small : n->text.ptr ? n->text.ptr : "";
    n->event.text_bytes = n->small[0] ? strlen(n->small) : n->text.len;
    n->event.json = n->small_json[0] ? n->small_json : n->json.ptr ? n->json.ptr : "";
}

// An empty node; NULL: out of memory, for what may be dropped.
static struct queued *node_for(const struct event *e)
{
    struct queued *ticket = e->ticket;
    struct queued *n = ticket;
    if (event_is_last(e)) {
        mem_free(ticket->accepted);
        ticket->accepted = NULL;
    } else if (e->type == EVENT_ACCEPTED && ticket->accepted) {
        n = ticket->accepted;
        ticket->accepted = NULL;
    } else {
        n = mem_zalloc(sizeof(*n));
    }
    return n;
}

// What there is no memory to tell in full.
static void tell_in_short(struct queued *n, const struct event *e)
{
    const char *why = e->code ? e->message : NO_MEMORY_TO_TELL;
    if (!e->code && e->type == EVENT_DONE)
        why = "the turn is stored, and there is no memory to tell its reply: show the session";
    if (e->type == EVENT_RESULT)
        n->event.type = PARLEY_EVENT_ERROR;
    else if (e->type == EVENT_DONE)
        snprintf(n->small_json, sizeof(n->small_json), "{\"session\":\"%s\",\"turn\":\"%u\"}",
                 n->session, (unsigned)e->turn);
    n->event.code = e->code ? e->code : E_NOMEM;
    snprintf(n->small, sizeof(n->small), "%s", why);
    buf_release(&n->text);
    buf_release(&n->json);
}

static struct queued *make(const struct event *e)
{
    struct queued *n = node_for(e);
    if (!n)
        return NULL;
    buf_init(&n->text, QUEUED_DELTA_BYTES_MAX);
    buf_init(&n->json, SIZE_MAX / 2);
    n->event.version = 1;
    n->event.type = public_type(e->type);
    n->event.request = e->request;
    n->event.turn = e->turn;
    n->event.code = e->code;
    struct slice session = slice_str(e->session);
    BUG_ON(session.len >= sizeof(n->session));
    if (session.len)
        memcpy(n->session, session.ptr, session.len + 1);
    buf_add_slice(&n->text, e->text);
    if (e->message)
        buf_add_str(&n->text, e->message);
    buf_add_slice(&n->json, e->json);
    bool untold = e->type == EVENT_DONE && e->json.len == 0;
    if (event_is_last(e) && (untold || !buf_ok(&n->text) || !buf_ok(&n->json)))
        tell_in_short(n, e);
    return n;
}

// Whether nothing is left of a delta for a node of its own: it was added to the last, or dropped.
static bool merge(struct event_queue *q, const struct event *e)
{
    struct queued *n = q->last;
    if (e->type != EVENT_DELTA)
        return false;
    if (q->delta_bytes + e->text.len > QUEUED_DELTA_BYTES_MAX)
        return true;
    if (!n || n->event.type != PARLEY_EVENT_DELTA || n->event.request != e->request)
        return false;
    size_t before = n->text.len;
    buf_add_slice(&n->text, e->text);
    q->delta_bytes += n->text.len - before;
    return true;
}

static void append(struct event_queue *q, struct queued *n)
{
    if (q->last)
        q->last->next = n;
    else
        q->first = n;
    q->last = n;
    if (n->event.type == PARLEY_EVENT_DELTA)
        q->delta_bytes += n->text.len;
}

// Says so by the descriptor if there is anything to take. The lock is held.
static void show(struct event_queue *q)
{
    if (!q->watched || q->shown || !q->first)
        return;
    q->shown = true;
    (void)!write(q->fd, &(uint64_t){1}, sizeof(uint64_t));
}

bool events_push(struct event_queue *q, const struct event *e)
{
    bool may_merge = e->type == EVENT_DELTA;
    struct queued *n = may_merge ? NULL : make(e);
    pthread_mutex_lock(&q->lock);
    if (may_merge && !merge(q, e))
        n = make(e);
    if (n)
        append(q, n);
    bool wake = n && (q->waiting || q->watched);
    pthread_mutex_unlock(&q->lock);
    return wake;
}

void events_wake(struct event_queue *q)
{
    pthread_mutex_lock(&q->lock);
    show(q);
    bool wake = q->waiting && q->first;
    pthread_mutex_unlock(&q->lock);
    if (wake)
        pthread_cond_broadcast(&q->arrived);
}

int events_fd(struct event_queue *q)
{
    pthread_mutex_lock(&q->lock);
    q->watched = true;
    show(q);
    pthread_mutex_unlock(&q->lock);
    return q->fd;
}

static parley_event *pop_locked(struct event_queue *q)
{
    struct queued *n = q->first;
    uint64_t count;
    if (!n)
        return NULL;
    q->first = n->next;
    if (!q->first) {
        q->last = NULL;
        if (q->shown)
            (void)!read(q->fd, &count, sizeof(count));
        q->shown = false;
    }
    if (n->event.type == PARLEY_EVENT_DELTA)
        q->delta_bytes -= n->text.len;
    point(n);
    return &n->event;
}

parley_event *events_pop(struct event_queue *q)
{
    pthread_mutex_lock(&q->lock);
    parley_event *event = pop_locked(q);
    pthread_mutex_unlock(&q->lock);
    return event;
}

parley_event *events_wait(struct event_queue *q, int timeout_ms)
{
    struct timespec until;
    int late = 0;
    clock_gettime(CLOCK_MONOTONIC, &until);
    if (timeout_ms > 0) {
        until.tv_sec += timeout_ms / 1000;
        until.tv_nsec += (long)(timeout_ms % 1000) * 1000000L;
        if (until.tv_nsec >= 1000000000L) {
            until.tv_sec++;
            until.tv_nsec -= 1000000000L;
        }
    }
    pthread_mutex_lock(&q->lock);
    q->waiting++;
    while (!q->first && !late && timeout_ms != 0) {
        if (timeout_ms < 0)
            pthread_cond_wait(&q->arrived, &q->lock);
        else
            late = pthread_cond_timedwait(&q->arrived, &q->lock, &until);
    }
    q->waiting--;
    parley_event *event = pop_locked(q);
    pthread_mutex_unlock(&q->lock);
    return event;
}

void parley_event_free(parley_event *event)
{
    struct queued *n = (struct queued *)event;
    if (!n)
        return;
    buf_release(&n->text);
    buf_release(&n->json);
    mem_free(n);
}
