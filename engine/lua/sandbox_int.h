// SPDX-License-Identifier: MIT
// sandbox_int.h: what the files of the sandbox share: its state, and how it stops.
//
//   sandbox.c         calls, fuel, coroutines, what makes a call stop
//   sandbox_memory.c  the allocator and its limits
//   sandbox_time.c    what a call has used of its own time, its slices
//   lib_string.c, lib_table.c   use `charge`
#ifndef LUA_SANDBOX_INT_H
#define LUA_SANDBOX_INT_H

#include "lua/deadline.h"
#include "lua/sandbox.h"

#include <signal.h>

enum { WHERE_BYTES = 128,
       FIRST_SLICE_US = 300 };  // until a call makes way; most hooks need a tenth of it
#define NOT_READ INT64_MIN

enum stop { RUNNING, OUT_OF_FUEL, OUT_OF_TIME, OUT_OF_TURN, OUT_OF_MEMORY, OUT_OF_TIMERS };
enum { HERE, ELSEWHERE, THREADS };  // where calls begin, and where they may go on

struct sandbox {
    lua_State *main;
    lua_State *volatile running;    // the coroutine that runs now; the timer reads it
    const struct clock *clock;
    struct deadline *timers[THREADS];   // owned; HERE is NULL: counting mode; ELSEWHERE: so far
    struct deadline *timer;         // of the thread that it is on
    int timer_signal;
    uint64_t generation;
    const void *subject;            // borrowed; see sandbox_set_subject
    size_t used, limit;             // bytes
    size_t collect_at;              // counting mode: bytes at which garbage is collected
    int64_t fuel;                   // units left; below 0: none
    int64_t check_at;               // the clock is looked at when fuel is below
    struct sandbox_budget budget;   // of the call
    int64_t left_ns;                // of its own time, when the slice began
    int64_t own_began_ns;           // of the thread's own time then; NOT_READ until somebody looks
    int64_t slice_began_ns, slice_ends_ns;  // by the clock
    int64_t look_ns;                // before that its own time cannot be used up
    int64_t ends_ns;                // when it is over however little of it ran
    int64_t backstop_ns, backstop_cpu_ns;  // where the clock stands still; see is_late
    struct way way;
    void *work;                     // of the call, as `way` knows it; NULL: it runs in one piece
    bool elsewhere;                 // on which thread it is
    bool made_way;                  // in this call
    bool was_slow;                  // the last call took longer than a first slice
    volatile sig_atomic_t slice_over;
    bool in_call;
    bool no_memory;                 // a function of ours had none: no fault of the script's
    bool refused;                   // the allocator said no; Lua mostly collects and asks again
    bool too_long, too_deep, too_many;  // it was asked for too large a string, stack, table
    volatile sig_atomic_t stop;     // enum stop; sticky until the next call
    char where[WHERE_BYTES];        // where it was stopped: "file:line: " or ""
};

static inline struct sandbox *sandbox_of(lua_State *L)
{
    return *(struct sandbox **)lua_getextraspace(L);  // coroutines inherit it
}

// As sandbox_charge, for functions that a hook calls hundreds of times.
LJMP static inline void charge(lua_State *L, size_t units)
{
    struct sandbox *s = sandbox_of(L);

    s->fuel -= (int64_t)units;
    if (__builtin_expect(s->fuel < s->check_at || s->slice_over || s->stop != RUNNING, 0))
        sandbox_charge(L, 0);
}

// The first cause counts. May be called wherever Lua is, and by the timer's signal.
void sandbox_stop(struct sandbox *s, enum stop why);
// The running coroutine's hook fires at its next instruction.
void sandbox_arm(struct sandbox *s);
// Notes the innermost line of the script in L, unless it is known.
void sandbox_note_where(struct sandbox *s, lua_State *L);
// Which time is over at now_ns, or RUNNING.
enum stop sandbox_time_out(struct sandbox *s, int64_t now_ns);
// What the slice has used of the call's own time.
int64_t sandbox_slice_used_ns(struct sandbox *s, int64_t now_ns);
// A call's own time: the processor's, or another clock's than the system's where that is used.
int64_t sandbox_own_ns(const struct sandbox *s);
int64_t sandbox_processor_ns(void);  // of this thread
// Counts units. Looks whether something has run out, and leaves nothing.
void sandbox_spend(struct sandbox *s, size_t units);
// Lets others work, and begins a new slice, perhaps on another thread.
void sandbox_let_others(struct sandbox *s);
// The same if the slice is over.
static inline void sandbox_make_way(struct sandbox *s)
{
    if (__builtin_expect(s->slice_over, 0) && s->in_call && s->stop == RUNNING)
        sandbox_let_others(s);
}
// own_began_ns: NOT_READ until somebody looks.
void sandbox_begin_slice(struct sandbox *s, int64_t slice_ns, int64_t own_began_ns);
// Whether the call, which ends now, took longer than a first slice.
bool sandbox_is_slow(struct sandbox *s);
// Back to the thread where the call began.
void sandbox_come_back(struct sandbox *s);
// Counting mode: which time is over; notes when the slice is. The timer looks by itself.
enum stop sandbox_look_at_clock(struct sandbox *s);
// The timer: the slice is over, or it is time to look how much of the call's own time is used.
void sandbox_on_deadline(void *sandbox);
// A lua_Alloc; `self` is the sandbox.
void *sandbox_allocate(void *self, void *old, size_t old_bytes, size_t bytes);

#endif
