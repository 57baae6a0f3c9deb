// SPDX-License-Identifier: MIT
// worker.c: jobs in, runs under way, draining at the end. Everything here runs on the worker's loop
// but worker_post and worker_stop_request, which only post to it.
#include "turn/embedding.h"
#include "turn/book.h"
#include "turn/core.h"
#include "turn/feeder.h"
#include "turn/gauge.h"
#include "turn/learn.h"
#include "turn/mask.h"
#include "turn/memory_int.h"
#include "turn/reflect.h"
#include "turn/resume.h"
#include "turn/summary.h"
#include "turn/watch.h"

enum { UNPRICED_MAX = 256, PROVIDERS_MAX = 256, KEYS_MAX = 65536, SHELVES_MAX = 65536 };

int job_new(struct job **out, struct err *err)
{
    *out = mem_zalloc(sizeof(**out));
    if (!*out)
        return err_set(err, E_NOMEM, "out of memory for a request");
    buf_init(&(*out)->text, JOB_TEXT_BYTES_MAX);
    return E_OK;
}

void job_free(struct job *j)
{
    if (!j)
        return;
    buf_release(&j->text);
    mem_free(j);
}

static int make_maps(struct worker *w)
{
    int code = map_new(&w->providers, PROVIDERS_MAX);
    if (!code)
        code = map_new(&w->live, LIVE_SESSIONS_MAX);
    if (!code)
        code = map_new(&w->fresh, LIVE_SESSIONS_MAX);
    if (!code)
        code = map_new(&w->keys, KEYS_MAX);
    if (!code)
        code = map_new(&w->gauges, GAUGES_MAX);
    if (!code)
        code = map_new(&w->shelves, SHELVES_MAX);
    if (!code)
        code = map_new(&w->unpriced, UNPRICED_MAX);
    if (!code)
        code = map_new(&w->summary_rests, SUMMARY_RESTS_MAX);
    if (!code)
        code = map_new(&w->masks.by_user, LIVE_SESSIONS_MAX);
    return code;
}

int worker_new(struct worker **out, const struct worker_env *env, struct err *err)
{
    *out = NULL;
    struct worker *w = mem_zalloc(sizeof(*w));
    if (!w)
        return err_set(err, E_NOMEM, "out of memory for a worker");
    w->env = *env;
    w->llm_env = *env->llm;
    w->llm_env.loop = env->loop;
    w->llm_env.wire = env->wire;
    w->session_env = (struct session_env){.store = env->store,
                                          .vault = env->vault,
                                          .loop = env->loop,
                                          .clock = env->clock,
                                          .rand = env->rand};
    struct ledger_env ledger_env = {.store = env->store,
                                    .vault = env->vault,
                                    .loop = env->loop,
                                    .clock = env->clock,
                                    .rand = env->rand,
                                    .log = env->log,
                                    .store_id = env->store_id};
    erased_seen(w);
    int code = aside_init(w, err);
    if (code) {
        mem_free(w);
        return code;
    }
    code = make_maps(w);
    if (code)
        err_set(err, code, "out of memory for a worker");
    if (!code)
        code = budgets_read(&w->budgets, env->conf, err);
    if (!code)
        code = feeder_new(&w->feeder, w, err);
    if (!code)
        code = ledger_new(&w->ledger, &ledger_env, err);
    if (!code)
        code = policy_host_new(&w->policies, &w->env.loader, env->clock, env->log, err);
    // Nobody is kept from talking by what is wrong with it: recall then goes by words.
    struct err wrong = ERR_INIT;
    if (!code && embedder_new(&w->embedder, env->conf, &wrong) && env->index == 0)
        log_line(env->log, LOG_WARN, "embeddings: %s", wrong.message);
    if (code) {
        worker_free(w);
        return code;
    }
    *out = w;
    return E_OK;
}

void worker_free(struct worker *w)
{
    if (!w)
        return;
    BUG_ON(w->runs || w->spending);
    aside_release(w);
    live_free_all(w);
    shelves_free(w);
    books_free(w);
    summaries_free(w);
    gauges_free(w);
    feeder_free(w->feeder);
    user_masks_free_all(w);
    embedder_free(w->embedder);
    size_t cursor = 0;
    void *provider;
    while (w->providers && map_next(w->providers, &cursor, NULL, &provider))
        llm_free(provider);
    map_free(w->providers);
    map_free(w->live);
    map_free(w->fresh);
    map_free(w->keys);
    map_free(w->shelves);
    map_free(w->unpriced);
    policy_host_free(w->policies);
    ledger_free(w->ledger);
    mem_free(w);
}

// ---- runs

static struct run *run_new(struct worker *w, struct job *job)
{
    struct run *run = mem_zalloc(sizeof(*run));
    if (!run)
        return NULL;
    run->w = w;
    run->job = job;
    run->policy = policy_plain();
    policy_ref(run->policy);
    history_plan_full(&run->plan);
    for (unsigned i = 0; i < STATES; i++)
        safe_buf_init(&run->states[i], PLAN_STATE_BYTES_MAX);
    context_init(&run->context);
    run->next = w->runs;
    if (w->runs)
        w->runs->prev = run;
    w->runs = run;
    w->stats.turns_open++;
    return run;
}

static void say_idle(struct loop_task *task)
{
    struct worker *w = CONTAINER_OF(task, struct worker, idle_task);
    w->idle(w->idle_user);
}

void worker_check_idle(struct worker *w)
{
    if (!w->draining || w->runs || w->idle_posted || shelves_busy(w) || books_busy(w) ||
        w->spending || summaries_busy(w) || (w->embedder && w->embedder->calls))
        return;
    // What all of these have taught them is written last.
    if (gauges_busy(w) || feeder_busy(w))
        return;
    w->idle_posted = true;
    w->idle_task.fn = say_idle;
    loop_post(w->env.loop, &w->idle_task);
}

void worker_run_over(struct run *run)
{
    struct worker *w = run->w;
    BUG_ON(run->op_busy || run->mask_busy || run->book_busy || run->call_busy || run->count_busy ||
           run->hold || run->background);
    if (run->next)
        run->next->prev = run->prev;
    if (run->prev)
        run->prev->next = run->next;
    else
        w->runs = run->next;
    if (run->key_name) {
        map_remove(w->keys, slice_str(run->key_name));
        mem_free(run->key_name);
    }
    loop_timer_stop(w->env.loop, &run->timer);
    reply_release(run);
    mask_close(run);
    book_release(run->book);
    plan_memory_free(run);
    recalled_free(run);
    budgets_telling_free(run);
    resuming_free(run);
    watch_over(run);
    summarised_free(run);
    query_release(run);
    shelf_close(run);
    live_unpin(run);
    live_give_back(run);
    policy_unref(run->policy);
    safe_buf_release(&run->text);
    safe_buf_release(&run->says);
    for (unsigned i = 0; i < STATES; i++)
        safe_buf_release(&run->states[i]);
    content_release(&run->content);
    content_release(&run->reply_content);
    context_release(&run->context);
    llm_call_release(&run->call);
    walk_free(run->walk);
    if (run->extra_free)
        run->extra_free(run->extra);
    job_free(run->job);
    mem_free(run);
    w->stats.turns_open--;
    feeder_job_over(w);
    worker_check_idle(w);
}

// ---- jobs

// What begins a job.
static void (*const starts[])(struct run *run) = {
    [JOB_SEND] = turn_start,
    [JOB_OPEN] = ask_open,
    [JOB_RESET] = ask_reset,
    [JOB_UNDO] = ask_undo,
    [JOB_PIN] = pin_start,
    [JOB_UNPIN] = pin_start,
    [JOB_CONSTRAIN] = pin_start,
    [JOB_UNCONSTRAIN] = pin_start,
    [JOB_SESSIONS] = list_sessions,
    [JOB_SHOW] = ask_show,
    [JOB_WHY] = ask_why,
    [JOB_USAGE] = usage_start,
    [JOB_VERIFY] = verify_start,
    [JOB_RECOVER] = ask_recover,
    [JOB_RECALL] = recall_start,
    [JOB_ATTACH] = attach_start,
    [JOB_WATCH] = watch_start,
    [JOB_RESUME] = resume_job,
    [JOB_RECALL_PURGE] = recall_purge_start,
    [JOB_MEMORY] = memory_job_start,
    [JOB_FORGET_FACT] = forget_fact_start,
    [JOB_LEARN] = learn_start,
    [JOB_REFLECT] = reflect_start,
    [JOB_DROP_QUARANTINED] = drop_quarantined_start,
    [JOB_BACKTEST] = backtest_start,
    [JOB_ERASE] = erase_start,
    [JOB_EXPORT] = export_start,
    [JOB_IMPORT] = import_start,
    [JOB_AUDIT] = trail_job_start,
    [JOB_AUDIT_VERIFY] = trail_job_start,
    [JOB_AUDIT_HEAD] = trail_job_start,
    [JOB_AUDIT_ACCEPT] = trail_job_start,
};

static void start_job(struct run *run)
{
    unsigned verb = run->job->verb;
    BUG_ON(verb >= sizeof(starts) / sizeof(starts[0]) || !starts[verb]);
    starts[verb](run);
}

static void refuse(struct worker *w, struct job *job, int code, const char *message)
{
    if (job->over) {
        job->over(job->over_arg, code);
        job_free(job);
        return;
    }
    struct event event = {.type = EVENT_ERROR,
                          .request = job->request,
                          .ticket = job->ticket,
                          .code = code,
                          .message = message};
    w->env.sink(w->env.user, &event);
    job_free(job);
}

static void take_job(struct loop_task *task)
{
    struct job *job = CONTAINER_OF(task, struct job, task);
    struct worker *w = job->worker;
    if (w->draining) {
        refuse(w, job, E_CANCELLED, "the engine is closing");
        return;
    }
    erased_forget(w);
    struct run *run = run_new(w, job);
    if (!run) {
        refuse(w, job, E_NOMEM, "out of memory for a request");
        return;
    }
    job->bot_given = job->bot[0] != '\0';
    if (!job->bot_given)
        snprintf(job->bot, sizeof(job->bot), "%s", conf_str(w->env.conf, "default.bot"));
    feeder_note_read(run, start_job);
}

void worker_post(struct worker *w, struct job *job)
{
    job->worker = w;
    job->task.fn = take_job;
    loop_post(w->env.loop, &job->task);
}

struct stop_note {
    struct loop_task task;
    struct worker *w;
    uint64_t request;
};

static void take_stop(struct loop_task *task)
{
    struct stop_note *note = (struct stop_note *)task;
    for (struct run *run = note->w->runs; run; run = run->next) {
        if (run->job->request != note->request)
            continue;
        turn_stop(run);
        break;
    }
    mem_free(note);
}

void worker_stop_request(struct worker *w, uint64_t request)
{
    struct stop_note *note = mem_zalloc(sizeof(*note));
    if (!note)
        return; // the reply goes on; the person may ask again
    note->task.fn = take_stop;
    note->w = w;
    note->request = request;
    loop_post(w->env.loop, &note->task);
}

void worker_drain(struct worker *w, void (*idle)(void *user), void *user)
{
    w->draining = true;
    w->idle = idle;
    w->idle_user = user;
    embedder_drain(w);
    // Stopping may end a run; the list is walked from the start until nothing new is to be stopped.
    for (struct run *run = w->runs; run;) {
        if (run->stopped) {
            run = run->next;
            continue;
        }
        turn_stop(run);
        run = w->runs;
    }
    summaries_drain(w);
    worker_check_idle(w);
}

struct worker_stats worker_stats(const struct worker *w)
{
    return w->stats;
}
