// SPDX-License-Identifier: MIT
// sandbox_time.c: what a call has used of its own time. Invariants and thread: sandbox.h.
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
