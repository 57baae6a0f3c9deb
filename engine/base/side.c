// SPDX-License-Identifier: MIT
// side.c: see side.h, which draws it.
//
// Invariants
// 1. A fiber is in `line`, in `home`, or running here, from side_take until comes_home is called
//    with it; `lock` guards both queues, and so hands over what the fiber did from one thread to
//    the other.
// 2. The task is posted exactly while `home` has fibers that it has not taken.
// 3. The lock is held for a few instructions: who waits for a thread of low priority waits long.
#include "base/side.h"

#include "base/mem.h"
#include "base/thread.h"

#include <sched.h>
#include <sys/resource.h>

enum { NICER = 14 };  // a weight of 45 beside 1024 (Linux: sched(7), sched_prio_to_weight)

struct side {
    struct loop *loop;          // borrowed
    struct loop_task task;      // takes what comes home
    void (*comes_home)(void *user, struct fiber *f);
    void *user;
    struct fiber_pool *pool;    // owned; the side thread's, which starts no fiber of its own
    bool leaves;                // the fiber that paused just now goes home
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;        // there is something in line, or it is over
    struct fiber_queue line, home;
    bool over;
};

// Not the lowest there is: on a busy machine what is merely slow has to be through in its time, and
// what the loop's thread may have to wait for (a lock of the allocator) be given back. What the
// system refuses is done without.
static void lower_priority(void)
{
    struct sched_param param = {0};

    pthread_setschedparam(pthread_self(), SCHED_BATCH, &param);
    setpriority(PRIO_PROCESS, 0, getpriority(PRIO_PROCESS, 0) + NICER);  // this thread's, on Linux
}

// The one that has waited longest; waits for one. NULL: it is over.
static struct fiber *next_in_line(struct side *s)
{
    pthread_mutex_lock(&s->lock);
    while (!s->line.first && !s->over)
        pthread_cond_wait(&s->wake, &s->lock);
    struct fiber *f = fiber_queue_take(&s->line);
    pthread_mutex_unlock(&s->lock);
    return f;
}

static void send_home(struct side *s, struct fiber *f)
{
    pthread_mutex_lock(&s->lock);
    bool first = !s->home.first;
    fiber_queue_put(&s->home, f);
    pthread_mutex_unlock(&s->lock);
    if (first)
        loop_post(s->loop, &s->task);
}

static void put_in_line(struct side *s, struct fiber *f)
{
    pthread_mutex_lock(&s->lock);
    fiber_queue_put(&s->line, f);
    pthread_cond_signal(&s->wake);
    pthread_mutex_unlock(&s->lock);
}

static void *side_main(void *arg)
{
    struct side *s = arg;
    struct fiber *f;

    lower_priority();
    while ((f = next_in_line(s)) != NULL) {
        bool paused = fiber_resume(s->pool, f);

        BUG_ON(!paused);  // it ends where it began
        if (s->leaves)
            send_home(s, f);
        else
            put_in_line(s, f);
        s->leaves = false;
    }
    return NULL;
}

// On the loop's thread.
static void take_home(struct loop_task *task)
{
    struct side *s = CONTAINER_OF(task, struct side, task);
    struct fiber *f;

    pthread_mutex_lock(&s->lock);
    struct fiber_queue home = s->home;
    s->home = (struct fiber_queue){0};
    pthread_mutex_unlock(&s->lock);
    while ((f = fiber_queue_take(&home)) != NULL)
        s->comes_home(s->user, f);
}

void side_take(struct side *s, struct fiber *f)
{
    put_in_line(s, f);
}

bool side_has(const struct side *s, const struct fiber *f)
{
    return fiber_place(f) == s->pool;
}

void side_turn(struct side *s, struct fiber *f)
{
    pthread_mutex_lock(&s->lock);
    bool alone = !s->line.first;
    pthread_mutex_unlock(&s->lock);
    if (!alone)
        fiber_pause(f);
}

void side_leave(struct side *s, struct fiber *f)
{
    s->leaves = true;
    fiber_pause(f);
}

// ---- life

int side_new(struct side **out, struct loop *loop, const char *name,
             void (*comes_home)(void *user, struct fiber *f), void *user, struct err *err)
{
    struct side *s = mem_zalloc(sizeof(*s));

    if (!s)
        return err_set(err, E_NOMEM, "out of memory for a thread");
    s->loop = loop;
    s->task.fn = take_home;
    s->comes_home = comes_home;
    s->user = user;
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->wake, NULL);
    int code = fiber_pool_new(&s->pool, s, err);
    if (code == E_OK)
        code = thread_start(&s->thread, name, side_main, s, err);
    if (code != E_OK) {
        s->over = true;
        fiber_pool_free(s->pool);
        pthread_cond_destroy(&s->wake);
        pthread_mutex_destroy(&s->lock);
        mem_free(s);
        return code;
    }
    *out = s;
    return E_OK;
}

void side_free(struct side *s)
{
    if (!s)
        return;
    pthread_mutex_lock(&s->lock);
    BUG_ON(s->line.first || s->home.first);
    s->over = true;
    pthread_cond_signal(&s->wake);
    pthread_mutex_unlock(&s->lock);
    pthread_join(s->thread, NULL);
    fiber_pool_free(s->pool);
    pthread_cond_destroy(&s->wake);
    pthread_mutex_destroy(&s->lock);
    mem_free(s);
}
