// SPDX-License-Identifier: MIT
// sandbox_time.c: what a call has used of its own time, and its slices. Invariants and thread:
// sandbox.h.
//
//                   ┌──────── slice over: the timer, or look_at_clock ◀──────┐
//   begin_slice     ▼                                                        │
//   ─────▶ runs ─▶ make_way ─▶ let_others ══ pause ══▶ arrive ─▶ begin_slice ┘
//            │                        perhaps on another thread
//            └─▶ the call ends ─▶ is_slow ─▶ come_back ══ end ══▶ where it began
//
// To ask for the processor's time is a system call, so it is not asked before it can matter: not
// before FIRST_SLICE_US, for most calls are over by then, and then not before as much has passed on
// the clock as the call has left. The timer's signal comes here too.
#include "lua/sandbox_int.h"

#include <time.h>

int64_t sandbox_processor_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

int64_t sandbox_own_ns(const struct sandbox *s)
{
    return s->clock == clock_system() ? sandbox_processor_ns() : clock_mono_ns(s->clock);
}

int64_t sandbox_slice_used_ns(struct sandbox *s, int64_t now_ns)
{
    int64_t own = sandbox_own_ns(s), ran_ns = now_ns - s->slice_began_ns;

    if (ran_ns > FIRST_SLICE_US * INT64_C(1000))
        ran_ns = FIRST_SLICE_US * INT64_C(1000);
    if (s->own_began_ns == NOT_READ)  // until now the clock stands for it
        s->own_began_ns = own - ran_ns;
    return own - s->own_began_ns;
}

enum stop sandbox_time_out(struct sandbox *s, int64_t now_ns)
{
    if (now_ns >= s->ends_ns)
        return OUT_OF_TURN;
    if (now_ns < s->look_ns)
        return RUNNING;
    int64_t left_ns = s->left_ns - sandbox_slice_used_ns(s, now_ns);
    s->look_ns = now_ns + left_ns;
    return left_ns <= 0 ? OUT_OF_TIME : RUNNING;
}

// ---- looking whether it is over

enum stop sandbox_look_at_clock(struct sandbox *s)
{
    if (s->timer)
        return RUNNING;
    int64_t now_ns = clock_mono_ns(s->clock);
    enum stop why = sandbox_time_out(s, now_ns);

    s->slice_over = s->work && now_ns >= s->slice_ends_ns;
    if (why == RUNNING && s->clock != clock_system() &&
        clock_mono_ns(clock_system()) >= s->backstop_ns &&
        sandbox_processor_ns() >= s->backstop_cpu_ns)
        why = OUT_OF_TIME;
    return why;
}

static void set_timer(struct sandbox *s)
{
    deadline_set(s->timer, s->work && s->slice_ends_ns < s->look_ns ? s->slice_ends_ns
                                                                    : s->look_ns);
}

void sandbox_on_deadline(void *user)
{
    struct sandbox *s = user;
    int64_t now_ns = clock_mono_ns(s->clock);
    enum stop why = sandbox_time_out(s, now_ns);

    if (why != RUNNING) {
        sandbox_stop(s, why);
        return;
    }
    if (s->work && now_ns >= s->slice_ends_ns) {
        s->slice_over = true;
        sandbox_arm(s);
        return;
    }
    set_timer(s);
}

// ---- slices

void sandbox_begin_slice(struct sandbox *s, int64_t slice_ns, int64_t own_began_ns)
{
    int64_t first_look_ns = FIRST_SLICE_US * INT64_C(1000);

    s->slice_over = false;
    s->own_began_ns = own_began_ns;
    s->slice_began_ns = clock_mono_ns(s->clock);
    s->slice_ends_ns = s->slice_began_ns + slice_ns;
    s->look_ns = s->slice_began_ns + (own_began_ns == NOT_READ && first_look_ns < s->left_ns
                                          ? first_look_ns : s->left_ns);
    if (s->timer)
        set_timer(s);
}

// The call is on this thread now, whose timer is to end it. One that cannot be interrupted there
// may not go on.
static void arrive(struct sandbox *s, bool elsewhere)
{
    struct deadline **timer = &s->timers[elsewhere ? ELSEWHERE : HERE];

    s->elsewhere = elsewhere;
    if (!s->timers[HERE])
        return;
    if (!*timer && deadline_new(timer, s->timer_signal, sandbox_on_deadline, s, NULL) != E_OK)
        sandbox_stop(s, OUT_OF_TIMERS);
    s->timer = *timer;
}

void sandbox_let_others(struct sandbox *s)
{
    if (s->timer)
        deadline_clear(s->timer);
    s->left_ns -= sandbox_slice_used_ns(s, clock_mono_ns(s->clock));
    s->made_way = true;
    struct way_slice slice = s->way.pause(s->work);
    arrive(s, slice.elsewhere);
    sandbox_begin_slice(s, slice.ns, sandbox_own_ns(s));
    if (s->stop == RUNNING && s->slice_began_ns >= s->ends_ns)
        sandbox_stop(s, OUT_OF_TURN);
}

bool sandbox_is_slow(struct sandbox *s)
{
    if (!s->made_way && !s->slice_over)
        return false;
    int64_t used_ns = sandbox_slice_used_ns(s, clock_mono_ns(s->clock));
    return s->budget.ms * 1000000 - s->left_ns + used_ns >= FIRST_SLICE_US * INT64_C(1000);
}

// The timer that is left behind stays silent: the state may be freed from here.
void sandbox_come_back(struct sandbox *s)
{
    if (s->timer && s->elsewhere)
        deadline_stop(s->timer);
    else if (s->timer)
        deadline_clear(s->timer);
    s->timer = s->timers[HERE];
    s->elsewhere = false;
    if (s->work)
        s->way.end(s->work);
    s->work = NULL;
}
