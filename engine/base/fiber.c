// SPDX-License-Identifier: MIT
// fiber.c: see fiber.h.
//
//              fiber_start                    fn returns
//   IDLE (pool) ──────────▶ RUNNING ──────────────────────────▶ IDLE (pool, or unmapped)
//                            │   ▲
//                fiber_pause ▼   │ fiber_resume, by the same thread or another
//                           PAUSED
//
// Invariants
// 1. pool->running is the fiber whose stack the pool's thread is on, NULL on the thread's own; and
//    that fiber's `on` is the pool.
// 2. A stack has a page without access below it: who overruns it is stopped there.
// 3. The signal mask is the thread's: what is blocked or not stays so across a switch.
// 4. Only the thread of a fiber's own pool starts it, sees it end and keeps its stack.
// 5. Each switch is told to the sanitizers and to valgrind, which follow stacks.
#include "base/fiber.h"

#include "base/mem.h"

#include <stdint.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#if defined(__has_feature)
#define HAS_FEATURE(x) __has_feature(x)
#else
#define HAS_FEATURE(x) 0
#endif
#if defined(__SANITIZE_ADDRESS__) || HAS_FEATURE(address_sanitizer)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#define WITH_ASAN 1
#endif
#if defined(__SANITIZE_THREAD__) || HAS_FEATURE(thread_sanitizer)
#include <sanitizer/tsan_interface.h>
#define WITH_TSAN 1
#endif
#if __has_include(<valgrind/valgrind.h>)
#include <valgrind/valgrind.h>
#endif

// Lua nests 200 C calls at most; the deepest, through gsub, take some 3 KiB each. The sanitizers'
// frames are several times as large. Pages that are not touched take no memory.
#ifdef PARLEY_SANITIZED
enum { STACK_BYTES = 8 << 20 };
#else
enum { STACK_BYTES = 2 << 20 };
#endif
enum { IDLE_MAX = 4 };

struct fiber {
    struct fiber_pool *pool; // that it comes from
    struct fiber_pool *on;   // whose thread runs it, or ran it last
    struct fiber *next;      // in the queue it is in, or among the idle
    ucontext_t here, caller; // where it stands, and where it goes back to
    char *map;               // the guard page and the stack
    size_t map_bytes, guard_bytes;
    void (*fn)(void *user);
    void *user;
    bool over;
    unsigned valgrind_id;
    void *fake, *caller_fake;       // ASan's
    const void *caller_stack;
    size_t caller_bytes;
    void *tsan, *caller_tsan;       // TSan's
};

struct fiber_pool {
    struct fiber *running, *idle;
    unsigned idle_len;
    void *owner;             // borrowed
};

// ---- what follows stacks is told

static void tell_made(struct fiber *f)
{
#ifdef VALGRIND_STACK_REGISTER
    f->valgrind_id = (unsigned)VALGRIND_STACK_REGISTER(f->map + f->guard_bytes,
                                                       f->map + f->map_bytes);
#endif
#ifdef WITH_TSAN
    f->tsan = __tsan_create_fiber(0);
#endif
    (void)f;
}

static void tell_gone(struct fiber *f)
{
#ifdef WITH_ASAN
    // The frame that it rests in would stay forbidden to whoever gets these addresses next.
    __asan_unpoison_memory_region(f->map + f->guard_bytes, STACK_BYTES);
#endif
#ifdef VALGRIND_STACK_DEREGISTER
    VALGRIND_STACK_DEREGISTER(f->valgrind_id);
#endif
#ifdef WITH_TSAN
    __tsan_destroy_fiber(f->tsan);
#endif
    (void)f;
}

static void tell_entering(struct fiber *f)
{
#ifdef WITH_ASAN
    __sanitizer_start_switch_fiber(&f->caller_fake, f->map + f->guard_bytes, STACK_BYTES);
#endif
#ifdef WITH_TSAN
    f->caller_tsan = __tsan_get_current_fiber();
    __tsan_switch_to_fiber(f->tsan, 0);
#endif
    (void)f;
}

static void tell_entered(struct fiber *f)
{
#ifdef WITH_ASAN
    __sanitizer_finish_switch_fiber(f->fake, &f->caller_stack, &f->caller_bytes);
#endif
    (void)f;
}

static void tell_leaving(struct fiber *f)
{
#ifdef WITH_ASAN
    __sanitizer_start_switch_fiber(&f->fake, f->caller_stack, f->caller_bytes);
#endif
#ifdef WITH_TSAN
    __tsan_switch_to_fiber(f->caller_tsan, 0);
#endif
    (void)f;
}

static void tell_left(struct fiber *f)
{
#ifdef WITH_ASAN
    __sanitizer_finish_switch_fiber(f->caller_fake, NULL, NULL);
#endif
    (void)f;
}

// ---- switching

// As swapcontext, whose stand-in in ASan warns of what is told to it here.
static void swap_to(ucontext_t *from, ucontext_t *to)
{
    volatile bool back = false;

    getcontext(from);  // comes here again when somebody goes back to `from`
    if (back)
        return;
    back = true;
    to->uc_sigmask = from->uc_sigmask;
    setcontext(to);
}

static void leave(struct fiber *f)
{
    tell_leaving(f);
    swap_to(&f->here, &f->caller);
    tell_entered(f);
}

// The bottom of every stack: one function after the other, as the fiber is used again. makecontext
// hands over ints only.
static void run_for_ever(unsigned high, unsigned low)
{
    struct fiber *f = (struct fiber *)((uintptr_t)high << 32 | low);

    tell_entered(f);
    for (;;) {
        f->fn(f->user);
        f->over = true;
        leave(f);
    }
}

static struct fiber *fiber_new(struct fiber_pool *p)
{
    size_t guard_bytes = (size_t)sysconf(_SC_PAGESIZE), bytes = guard_bytes + STACK_BYTES;
    struct fiber *f = mem_zalloc(sizeof(*f));
    void *map = f ? mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0)
                  : MAP_FAILED;

    if (map == MAP_FAILED || mprotect(map, guard_bytes, PROT_NONE) != 0 ||
        getcontext(&f->here) != 0) {
        if (map != MAP_FAILED)
            munmap(map, bytes);
        mem_free(f);
        return NULL;
    }
    f->pool = p;
    f->map = map;
    f->map_bytes = bytes;
    f->guard_bytes = guard_bytes;
    f->here.uc_stack.ss_sp = f->map + guard_bytes;
    f->here.uc_stack.ss_size = STACK_BYTES;
    f->here.uc_link = NULL;
    uintptr_t self = (uintptr_t)f;
    makecontext(&f->here, (void (*)(void))run_for_ever, 2, (unsigned)(self >> 32), (unsigned)self);
    tell_made(f);
    return f;
}

static void fiber_free(struct fiber *f)
{
    tell_gone(f);
    munmap(f->map, f->map_bytes);
    mem_free(f);
}

static void keep_idle(struct fiber_pool *p, struct fiber *f)
{
    if (p->idle_len == IDLE_MAX) {
        fiber_free(f);
        return;
    }
    f->next = p->idle;
    p->idle = f;
    p->idle_len++;
}

static struct fiber *take_idle(struct fiber_pool *p)
{
    struct fiber *f = p->idle;

    if (!f)
        return fiber_new(p);
    p->idle = f->next;
    p->idle_len--;
    return f;
}

bool fiber_resume(struct fiber_pool *on, struct fiber *f)
{
    BUG_ON(on->running);
    on->running = f;
    f->on = on;
    tell_entering(f);
    swap_to(&f->caller, &f->here);
    tell_left(f);
    on->running = NULL;
    if (!f->over)
        return true;
    BUG_ON(f->pool != on);
    keep_idle(on, f);
    return false;
}

struct fiber *fiber_start(struct fiber_pool *p, void (*fn)(void *user), void *user)
{
    struct fiber *f = p->running ? NULL : take_idle(p);

    if (!f) {
        fn(user);
        return NULL;
    }
    f->fn = fn;
    f->user = user;
    f->over = false;
    return fiber_resume(p, f) ? f : NULL;
}

struct fiber *fiber_running(const struct fiber_pool *p)
{
    return p->running;
}

void fiber_pause(struct fiber *f)
{
    BUG_ON(f->on->running != f);
    leave(f);
}

struct fiber_pool *fiber_place(const struct fiber *f)
{
    return f->on;
}

void *fiber_owner(const struct fiber *f)
{
    return f->pool->owner;
}

void fiber_queue_put(struct fiber_queue *q, struct fiber *f)
{
    f->next = NULL;
    if (q->last)
        q->last->next = f;
    else
        q->first = f;
    q->last = f;
}

struct fiber *fiber_queue_take(struct fiber_queue *q)
{
    struct fiber *f = q->first;

    if (!f)
        return NULL;
    q->first = f->next;
    if (!q->first)
        q->last = NULL;
    return f;
}

// ---- life

int fiber_pool_new(struct fiber_pool **out, void *owner, struct err *err)
{
    *out = mem_zalloc(sizeof(**out));
    if (!*out)
        return err_set(err, E_NOMEM, "out of memory for an event loop");
    (*out)->owner = owner;
    return E_OK;
}

void fiber_pool_free(struct fiber_pool *p)
{
    if (!p)
        return;
    BUG_ON(p->running);
    while (p->idle)
        fiber_free(take_idle(p));
    mem_free(p);
}
