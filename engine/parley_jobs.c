// SPDX-License-Identifier: MIT
// parley_jobs.c: the engine's jobs (jobs/), on the loop of its first worker: started with the
// engine, stopped before the workers are, and run at once for who asks.
#include "parley_int.h"

#include "jobs/reflect.h"
#include "jobs/reseal.h"
#include "jobs/sweep.h"
#include "model/record.h"

// A session that is being learnt from, or a user who is reflected on, one at a time: the name of
// the user says whose worker does it.
struct learning_ask {
    parley *engine;
    enum job_verb verb;          // JOB_LEARN, JOB_REFLECT
    char partition[PARTITION_BYTES], session[ID_TEXT_BYTES], bot[BOT_NAME_BYTES];
    void (*done)(void *arg, int code);
    void *arg;
    struct vault_request key;
    struct store_op op;
    struct buf name;
    struct worker *worker;       // that does; NULL: none does
    uint64_t request;            // by this number
    int code;
    struct loop_task task;       // back to the jobs' loop
};

// What the jobs of one engine are made of. On the first worker's thread, once that runs.
struct house {
    parley *engine;
    struct runner *runner;
    struct sweep *sweep;
    struct reflect_work *reflect;
    struct reseal_work *reseal;
    struct learning_ask learning;
    char boot_id[CLOCK_BOOT_ID_BYTES];
    struct loop_task start;
};

// A request of a caller's.
struct asked {
    struct loop_task task;
    parley *engine;
    struct runner_ask ask;
    uint64_t request;
    void *ticket;
};

// About a bot and a user whose partition alone is known: any worker may, as versions guard what is
// written. Without memory for a job what was due stays due.
static void post_anywhere(struct house *h, enum job_verb verb, const char *partition,
                          const char *bot, int64_t since_ms, void (*done)(void *arg, int code),
                          void *arg)
{
    struct err err = ERR_INIT;
    struct job *job;

    if (job_new(&job, &err)) {
        done(arg, err.code);
        return;
    }
    job->verb = verb;
    snprintf(job->partition, sizeof(job->partition), "%s", partition);
    snprintf(job->bot, sizeof(job->bot), "%s", bot);
    job->since_ms = since_ms;
    job->over = done;
    job->over_arg = arg;
    worker_post(h->engine->hands[0].worker, job);
}

static void forget(void *user, const char *partition, const char *bot,
                   void (*done)(void *arg, int code), void *arg)
{
    post_anywhere(user, JOB_RECALL_PURGE, partition, bot, 0, done, arg);
}

static void drop_quarantined(void *user, const char *partition, const char *bot, int64_t now_ms,
                             void (*done)(void *arg, int code), void *arg)
{
    post_anywhere(user, JOB_DROP_QUARANTINED, partition, bot, now_ms, done, arg);
}

// ---- learning from a session, and reflections, on the worker of the user

static void told_here(struct loop_task *task)
{
    struct learning_ask *l = CONTAINER_OF(task, struct learning_ask, task);

    l->worker = NULL;
    buf_release(&l->name);
    l->done(l->arg, l->code);
}

// On that worker's thread.
static void learnt(void *arg, int code)
{
    struct learning_ask *l = arg;

    l->code = code;
    l->task.fn = told_here;
    loop_post(l->engine->hands[0].loop, &l->task);
}

static void post_learning(struct learning_ask *l, struct worker *w)
{
    struct err err = ERR_INIT;
    struct job *job;

    if (job_new(&job, &err)) {
        learnt(l, err.code);
        return;
    }
    job->verb = l->verb;
    job->flags = l->verb == JOB_LEARN ? JOB_ENDED : 0;
    memcpy(job->partition, l->partition, sizeof(job->partition));
    memcpy(job->bot, l->bot, sizeof(job->bot));
    memcpy(job->session, l->session, sizeof(job->session));
    job->request = l->request = atomic_fetch_add(&l->engine->next_request, 1);
    job->over = learnt;
    job->over_arg = l;
    l->worker = w;
    worker_post(w, job);
}

static void name_read(struct store_op *op)
{
    struct learning_ask *l = CONTAINER_OF(op, struct learning_ask, op);
    struct safe_buf body;
    char user[USER_BYTES] = "";
    struct err err = op->err;
    int code = op->code;

    safe_buf_init(&body, RECORD_BODY_BYTES_MAX);
    if (!code && op->rows_len) {
        struct vault_place place = vault_place_of(&op->rows[0]);
        code = vault_unseal(l->engine->vault, l->key.key, &place, op->rows[0].body, &body, &err);
        if (!code)
            code = user_read_body(user, safe_buf_text(&body), &err);
    }
    safe_buf_release(&body);
    store_op_release(op);
    // Whoever cannot be named is served by any of them: versions guard what is written.
    if (code == E_STORE || code == E_NOMEM)
        learnt(l, code);
    else
        post_learning(l, engine_worker_of(l->engine, user));
}

static void key_found(struct vault_request *request)
{
    struct learning_ask *l = CONTAINER_OF(request, struct learning_ask, key);

    if (request->code) {
        learnt(l, request->code);
        return;
    }
    key_user(&l->name);
    l->op = (struct store_op){.verb = STORE_GET, .loop = l->engine->hands[0].loop,
                              .done = name_read, .partition = slice_str(l->partition),
                              .key = buf_slice(&l->name)};
    store_submit(l->engine->store, &l->op);
}

static void begin_learning(struct learning_ask *l)
{
    parley *e = l->engine;

    if (e->hands_len == 1) {
        post_learning(l, e->hands[0].worker);
        return;
    }
    l->key = (struct vault_request){.loop = e->hands[0].loop, .done = key_found};
    memcpy(l->key.partition, l->partition, sizeof(l->key.partition));
    vault_user_key(e->vault, &l->key);
}

static void learn(void *user, const char *partition, const char *session,
                  void (*done)(void *arg, int code), void *arg)
{
    struct house *h = user;
    struct learning_ask *l = &h->learning;

    *l = (struct learning_ask){.engine = h->engine, .verb = JOB_LEARN, .done = done, .arg = arg,
                               .name = BUF_INIT(RECORD_KEY_BYTES_MAX)};
    snprintf(l->partition, sizeof(l->partition), "%s", partition);
    snprintf(l->session, sizeof(l->session), "%s", session);
    begin_learning(l);
}

static void reflect(void *user, const char *partition, const char *bot,
                    void (*done)(void *arg, int code), void *arg)
{
    struct house *h = user;
    struct learning_ask *l = &h->learning;

    *l = (struct learning_ask){.engine = h->engine, .verb = JOB_REFLECT, .done = done, .arg = arg,
                               .name = BUF_INIT(RECORD_KEY_BYTES_MAX)};
    snprintf(l->partition, sizeof(l->partition), "%s", partition);
    snprintf(l->bot, sizeof(l->bot), "%s", bot);
    begin_learning(l);
}

static void start(struct loop_task *task)
{
    struct house *h = CONTAINER_OF(task, struct house, start);
    int64_t every_ms = conf_int(h->engine->settings.conf, "sweep_every", RUNNER_EVERY_MS);

    if (every_ms)
        runner_start(h->runner, every_ms);
}

int house_open(parley *e, struct err *err)
{
    struct house *h = e->house = mem_zalloc(sizeof(*h));
    if (!h)
        return err_set(err, E_NOMEM, "out of memory for an engine");
    h->engine = e;
    if (e->seams.clock)
        snprintf(h->boot_id, sizeof(h->boot_id), "simulated");
    else
        clock_boot_id(h->boot_id);
    struct jobs_env env = {
        .store = e->store,
        .vault = e->vault,
        .loop = e->hands[0].loop,
        .clock = e->clock,
        .rand = e->rand,
        .log = &e->log,
        .boot_id = h->boot_id,
        .forget = forget,
        .learn = learn,
        .reflect = reflect,
        .drop_quarantined = drop_quarantined,
        .user = h,
    };
    int code = runner_new(&h->runner, &env, err);
    if (!code)
        code = sweep_new(&h->sweep, &env, err);
    if (!code)
        code = reflect_work_new(&h->reflect, &env, err);
    if (!code)
        code = reseal_work_new(&h->reseal, &env, err);
    if (code)
        return code;
    struct runner_job sweep = sweep_job(h->sweep), reseal = reseal_job(h->reseal);
    struct runner_job reflections = reflect_job(h->reflect);
    runner_add(h->runner, &sweep);
    runner_add(h->runner, &reflections);
    runner_add(h->runner, &reseal);
    // In simulated time there is no end to what comes every few minutes: it is asked for.
    h->start.fn = start;
    if (!e->seams.clock)
        loop_post(e->hands[0].loop, &h->start);
    return E_OK;
}

void house_stop(parley *e, void (*idle)(void *user), void *user)
{
    const struct learning_ask *l = &e->house->learning;

    runner_stop(e->house->runner, idle, user);
    if (l->worker)
        worker_stop_request(l->worker, l->request);
}

bool house_stands(const parley *e)
{
    return e->house && e->house->sweep;
}

void house_free(parley *e)
{
    if (!e->house)
        return;
    runner_free(e->house->runner);
    sweep_free(e->house->sweep);
    reflect_work_free(e->house->reflect);
    reseal_work_free(e->house->reseal);
    mem_free(e->house);
}

// ---- parley_sweep

static void write_report(struct buf *out, const struct sweep_report *r)
{
    struct json_writer w;
    char time[CLOCK_TEXT_BYTES];

    jw_init(&w, out);
    jw_object(&w);
    jw_kv_i64(&w, "due", r->looked);
    jw_kv_i64(&w, "archived", r->archived);
    jw_kv_i64(&w, "purged", r->purged);
    jw_kv_i64(&w, "learnt", r->learnt);
    jw_kv_i64(&w, "failed", r->failed);
    jw_kv_i64(&w, "records", (int64_t)r->records);
    jw_kv_i64(&w, "left", r->left);
    clock_format(r->trusted_ms, time);
    jw_kv_str(&w, "time", time);
    jw_kv_i64(&w, "clock_ahead_seconds", r->ahead_ms / 1000);
    jw_kv_bool(&w, "paused", r->ahead_ms > SWEEP_AHEAD_MS);
    jw_object_end(&w);
}

static void told(struct runner_ask *ask)
{
    struct asked *a = CONTAINER_OF(ask, struct asked, ask);
    parley *e = a->engine;
    struct sweep_report report = sweep_report(e->house->sweep);
    struct buf json = BUF_INIT(4096);
    struct event event = {.type = EVENT_RESULT, .request = a->request, .ticket = a->ticket};

    sweep_report_clear(e->house->sweep);
    write_report(&json, &report);
    event.json = buf_slice(&json);
    if (ask->code || !buf_ok(&json)) {
        event.type = EVENT_ERROR;
        event.code = ask->code ? ask->code : E_NOMEM;
        event.message = ask->code ? ask->err.message : NO_MEMORY_TO_TELL;
    }
    engine_event(e, &event);
    buf_release(&json);
    mem_free(a);
}

static void ask_runner(struct loop_task *task)
{
    struct asked *a = CONTAINER_OF(task, struct asked, task);

    sweep_report_clear(a->engine->house->sweep);
    runner_now(a->engine->house->runner, &a->ask);
}

int parley_sweep(parley *e, unsigned flags, uint64_t *request, parley_error *error)
{
    struct err err = ERR_INIT;
    struct asked *a = mem_zalloc(sizeof(*a));

    if (a)
        a->ticket = events_ticket();
    int code = !house_stands(e)     ? err_set(&err, E_REFUSED, "this engine only reads")
               : !a || !a->ticket ? err_set(&err, E_NOMEM, "out of memory for a request")
                                    : engine_take_request(e, &a->request, &err);
    if (code) {
        if (a)
            events_ticket_free(a->ticket);
        mem_free(a);
        return public_error(error, &err);
    }
    if (request)
        *request = a->request;
    a->engine = e;
    a->ask.trust_clock = flags & PARLEY_TRUST_CLOCK;
    a->ask.done = told;
    a->task.fn = ask_runner;
    loop_post(e->hands[0].loop, &a->task);
    return PARLEY_OK;
}
