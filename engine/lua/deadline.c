// SPDX-License-Identifier: MIT
// deadline.c: see deadline.h.
//
// Invariants
// 1. at_ns is the deadline of the work under way, or NEVER; the handler reads it, the thread's
//    normal course writes it.
// 2. While the timer runs, fires_ns is when it fires, else NEVER. It never fires later than at_ns
//    and DEADLINE_LATE_NS.
// 3. No signal is pending once deadline_free or deadline_stop has returned: the timer is gone, or
//    off, and what it had sent was taken on the way back from the system call (or went with the
//    thread).
#include "lua/deadline.h"

#include "base/clock.h"
#include "base/mem.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define NEVER INT64_MAX

struct deadline {
    timer_t timer;
    _Atomic int64_t at_ns, fires_ns;
    void (*fn)(void *user);
    void *user;
};

static int64_t get(const _Atomic int64_t *n)
{
    return atomic_load_explicit(n, memory_order_relaxed);
}

static void set(_Atomic int64_t *n, int64_t value)
{
    atomic_store_explicit(n, value, memory_order_relaxed);
    atomic_signal_fence(memory_order_seq_cst);
}

static void start_timer(struct deadline *d, int64_t at_ns)
{
    struct itimerspec when = {
        .it_value = {.tv_sec = at_ns / 1000000000, .tv_nsec = at_ns % 1000000000}};

    set(&d->fires_ns, at_ns);
    timer_settime(d->timer, TIMER_ABSTIME, &when, NULL);
}

// On the owner's thread, wherever it is.
static void on_signal(int signal, siginfo_t *info, void *context)
{
    (void)signal;
    (void)context;
    if (info->si_code != SI_TIMER)
        return;
    struct deadline *d = info->si_value.sival_ptr;
    int saved = errno;
    int64_t at_ns = get(&d->at_ns), now_ns = clock_mono_ns(clock_system());
    set(&d->fires_ns, NEVER);
    if (at_ns != NEVER && now_ns < at_ns) {
        // It was set for work that ended in time.
        start_timer(d, at_ns - now_ns < DEADLINE_LATE_NS ? now_ns + DEADLINE_LATE_NS : at_ns);
    } else if (at_ns != NEVER) {
        d->fn(d->user);
        if (get(&d->fires_ns) == NEVER)  // fn set no other deadline
            start_timer(d, now_ns + DEADLINE_AGAIN_NS);
    }
    errno = saved;
}

static int take_signal(int signal, struct err *err)
{
    struct sigaction before, action = {.sa_sigaction = on_signal,
                                       .sa_flags = SA_SIGINFO | SA_RESTART};
    sigset_t only;

    if (sigaction(signal, NULL, &before) != 0)
        return err_set(err, E_USAGE, "timer_signal %d: %s; use SIGRTMIN + n", signal,
                       strerror(errno));
    bool ours = (before.sa_flags & SA_SIGINFO) && before.sa_sigaction == on_signal;
    if (!ours && before.sa_handler != SIG_DFL && before.sa_handler != SIG_IGN)
        return err_set(err, E_USAGE, "timer_signal %d has a handler of its own; use another, "
                                     "SIGRTMIN + n", signal);
    sigfillset(&action.sa_mask);
    sigemptyset(&only);
    sigaddset(&only, signal);
    if ((!ours && sigaction(signal, &action, NULL) != 0) ||
        pthread_sigmask(SIG_UNBLOCK, &only, NULL) != 0)
        return err_set(err, E_USAGE, "timer_signal %d cannot be used: %s; use SIGRTMIN + n",
                       signal, strerror(errno));
    return E_OK;
}

int deadline_new(struct deadline **out, int signal, void (*fn)(void *user), void *user,
                 struct err *err)
{
    int code = take_signal(signal, err);
    struct deadline *d = code == E_OK ? mem_zalloc(sizeof(*d)) : NULL;

    if (!d)
        return code == E_OK ? err_set(err, E_NOMEM, "out of memory") : code;
    d->fn = fn;
    d->user = user;
    set(&d->at_ns, NEVER);
    set(&d->fires_ns, NEVER);
    struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = signal};
    event.sigev_value.sival_ptr = d;
    event._sigev_un._tid = gettid();
    if (timer_create(CLOCK_MONOTONIC, &event, &d->timer) != 0) {
        mem_free(d);
        return err_set(err, E_NOMEM, "cannot make a timer: %s", strerror(errno));
    }
    *out = d;
    return E_OK;
}

void deadline_free(struct deadline *d)
{
    if (!d)
        return;
    set(&d->at_ns, NEVER);
    timer_delete(d->timer);
    mem_free(d);
}

void deadline_set(struct deadline *d, int64_t at_ns)
{
    set(&d->at_ns, at_ns);
    // A signal between these two lines at most starts the timer for at_ns before we do.
    if (get(&d->fires_ns) - DEADLINE_LATE_NS > at_ns)
        start_timer(d, at_ns);
}

void deadline_clear(struct deadline *d)
{
    set(&d->at_ns, NEVER);
}

void deadline_stop(struct deadline *d)
{
    static const struct itimerspec off = {0};

    deadline_clear(d);
    if (get(&d->fires_ns) == NEVER)
        return;
    timer_settime(d->timer, 0, &off, NULL);
    set(&d->fires_ns, NEVER);
}
