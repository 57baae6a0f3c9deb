// SPDX-License-Identifier: MIT
// parley.c: builds an engine out of the rooms below, and implements parley.h.
//
//   caller ──parley_send──▶ job ──worker_post──▶ worker (one thread each; a user belongs to one)
//   caller ◀─parley_poll── event queue ◀──sink── worker
//
// An engine owns, top down: workers (thread, loop, wire, Lua loader, worker), the store with its
// threads, the vault, and the tables that they share read-only. Opening builds bottom up; closing
// drains the workers, then goes the other way.
#include "parley_int.h"

#include "base/embed.h"
#include "base/thread.h"

#include <stdlib.h>
#include <unistd.h>

enum { RECOVER_REQUEST = 0 };  // the engine's own; callers' start at 1

_Static_assert((int)PARLEY_E_USAGE == E_USAGE && (int)PARLEY_E_POLICY == E_POLICY &&
                   (int)PARLEY_E_STORE == E_STORE && (int)PARLEY_E_REFUSED == E_REFUSED &&
                   (int)PARLEY_E_PROVIDER == E_PROVIDER && (int)PARLEY_E_CONFLICT == E_CONFLICT &&
                   (int)PARLEY_E_NOT_FOUND == E_NOT_FOUND && (int)PARLEY_E_NOMEM == E_NOMEM &&
                   (int)PARLEY_E_CANCELLED == E_CANCELLED && (int)PARLEY_E_BUSY == E_BUSY &&
                   (int)PARLEY_E_CORRUPT == E_CORRUPT && (int)PARLEY_E_FENCED == E_FENCED &&
                   (int)PARLEY_E_ERASED == E_ERASED,
               "parley_code and enum code are the same numbers");
_Static_assert((int)PARLEY_CONTINUE == JOB_CONTINUE && (int)PARLEY_STATELESS == JOB_STATELESS &&
                   (int)PARLEY_ALL_USERS == JOB_ALL_USERS &&
                   (int)PARLEY_REGENERATE == JOB_REGENERATE &&
                   (int)PARLEY_AS_OPERATOR == JOB_AS_OPERATOR &&
                   (int)PARLEY_REVEAL == JOB_REVEAL &&
                   (int)PARLEY_PREVIEW == JOB_PREVIEW && (int)PARLEY_CONTINUE_HERE == JOB_HERE,
               "public flags and job flags are the same numbers");
_Static_assert((int)PARLEY_MEMORY_ALL == TELL_ALL && (int)PARLEY_MEMORY_FACTS == TELL_FACTS &&
                   (int)PARLEY_MEMORY_KNOWLEDGE == TELL_KNOWLEDGE &&
                   (int)PARLEY_MEMORY_JOURNAL == TELL_JOURNAL &&
                   (int)PARLEY_MEMORY_CORE == TELL_CORE,
               "what is told of memory has the same numbers in public");

const char *parley_version(void)
{
    return PARLEY_VERSION;
}

const char *parley_code_word(int code)
{
    return err_word(code);
}

int public_error(parley_error *error, const struct err *err)
{
    if (error) {
        error->code = err->code;
        memcpy(error->message, err->message, sizeof(error->message));
    }
    return err->code;
}

// ---- what the rooms below call back

static void log_sink(void *user, enum log_level level, const char *line)
{
    parley *e = user;
    if (e->public_log)
        e->public_log(e->user, (parley_log_level)level, line);
}

static void count_event(parley *e, const struct event *event)
{
    if (event_is_last(event))
        atomic_fetch_sub(&e->under_way, 1);
}

static void take_event(void *user, const struct event *event)
{
    struct hand *h = user;
    parley *e = h->engine;
    bool last = event_is_last(event);
    if (event->request == RECOVER_REQUEST) {
        pthread_mutex_lock(&e->ready_lock);
        e->recovered = last;
        e->recover_code = event->code;
        snprintf(e->recover_message, sizeof(e->recover_message), "%s",
                 event->message ? event->message : "");
        pthread_cond_signal(&e->ready);
        pthread_mutex_unlock(&e->ready_lock);
        return;
    }
    count_event(e, event);
    h->told |= events_push(&e->events, event);
}

static void tell_events(struct loop_task *task)
{
    struct hand *h = CONTAINER_OF(task, struct hand, tell);
    if (h->told)
        events_wake(&h->engine->events);
    h->told = false;
}

void engine_event(parley *e, const struct event *event)
{
    count_event(e, event);
    if (events_push(&e->events, event))
        events_wake(&e->events);
}

static void check_files(void *user, struct buf *report)
{
    parley *e = ((struct hand *)user)->engine;
    files_check(&e->settings, e->config, report);
}

static const char *find_secret(void *user, const char *name)
{
    parley *e = user;
    return secret_find(&e->secrets, name);
}

static int make_brain(void *user, const char *script, struct llm_brain **out, struct err *err)
{
    parley *e = user;
    return e->seams.brain ? e->seams.brain(e->seams.user, out, err)
                          : lua_brain_new(out, &e->lua, script, err);
}

static void tell_request(void *user, const char *provider, struct slice body)
{
    parley *e = user;
    e->trace(e->user, provider, body.ptr, body.len);
}

// ---- opening

int tables_load(struct prices **prices, struct llm_caps_table **caps, struct err *err)
{
    const struct embed_file *price_file = embed_find("scripts/data/prices.json");
    const struct embed_file *model_file = embed_find("scripts/data/models.json");
    if (!price_file || !model_file)
        BUG("the program was built without its data files");
    int code = prices_load(prices, price_file->bytes, err);
    return code ? code : llm_caps_load(caps, model_file->bytes, err);
}

static int open_store(parley *e, bool must_exist, struct err *err)
{
    struct store_env env = {.clock = e->clock,
                            .rand = e->rand,
                            .log = &e->log,
                            .read_only = e->copy != NULL,
                            .must_exist = must_exist,
                            .busy_ms = conf_int(e->settings.conf, "store_busy_ms", 0)};
    const char *origin = e->copy ? NULL : conf_origin(e->settings.conf, "store");
    int code = store_open(&e->store, e->copy ? e->copy : conf_str(e->settings.conf, "store"), &env,
                          err);
    if (code && origin)
        err_prefix(err, "%s: ", origin);
    return code;
}

static void *hand_main(void *arg)
{
    struct hand *h = arg;
    loop_run(h->loop);
    return NULL;
}

static int open_wire(parley *e, struct hand *h, struct err *err)
{
    return e->seams.wire ? e->seams.wire(e->seams.user, h->loop, &h->wire, err)
                         : wire_new_curl(&h->wire, h->loop, err);
}

// Before a hook; its worker is there by then.
static void *begin_hook(void *user)
{
    struct hand *h = user;
    return worker_hook_begin(h->worker);
}

static bool wait_for_hook(void *user)
{
    struct hand *h = user;
    return worker_hook_wait(h->worker);
}

static int open_hand(parley *e, unsigned index, unsigned count, struct err *err)
{
    struct hand *h = &e->hands[index];
    struct lua_env lua = e->lua;
    if (!e->seams.clock)
        lua.way = (struct way){begin_hook, worker_hook_pause, worker_hook_end, wait_for_hook, h};
    h->engine = e;
    e->hands_len = index + 1;
    int code = e->seams.clock ? loop_new_sim(&h->loop, e->seams.clock, err)
                              : loop_new(&h->loop, e->clock, err);
    if (code)
        return code;
    h->tell.fn = tell_events;
    loop_after_turn(h->loop, &h->tell);
    code = open_wire(e, h, err);
    if (!code)
        code = lua_loader_new(&h->loader, &lua, err);
    if (code)
        return code;
    uint64_t live_bytes = (uint64_t)conf_int(e->settings.conf, "live_bytes", 0);
    struct worker_env env = {
        .loop = h->loop,
        .store = e->store,
        .vault = e->vault,
        .wire = h->wire,
        .clock = e->clock,
        .rand = e->rand,
        .log = &e->log,
        .conf = e->settings.conf,
        .redactor = e->redactor,
        .prices = e->prices,
        .caps = e->caps,
        .loader = lua_loader_ops(h->loader),
        .llm = &e->llm,
        .index = index,
        .count = count,
        .actor = e->actor,
        .store_id = e->seal.store,
        .side_thread = !e->seams.clock,
        .live_bytes_max = live_bytes / count,
        .sink = take_event,
        .check_files = e->copy ? NULL : check_files,
        .user = h,
    };
    code = worker_new(&h->worker, &env, err);
    if (code || e->seams.clock)
        return code;
    code = thread_start(&h->thread, "parley-worker", hand_main, h, err);
    h->started = code == E_OK;
    return code;
}

static unsigned workers_wanted(const parley *e)
{
    int64_t n = conf_int(e->settings.conf, "workers", 0);
    if (e->seams.clock || e->copy)
        return 1;
    if (n <= 0)
        n = sysconf(_SC_NPROCESSORS_ONLN);
    return n < 1 ? 1 : n > WORKERS_MAX ? WORKERS_MAX : (unsigned)n;
}

static void run_simulated(parley *e)
{
    loop_run(e->hands[0].loop);
}

// Turns of processes that died are settled before the first new one.
static int recover(parley *e, struct err *err)
{
    struct job *job;
    int code = job_new(&job, err);
    if (code)
        return code;
    job->verb = JOB_RECOVER;
    job->request = RECOVER_REQUEST;
    worker_post(e->hands[0].worker, job);
    if (e->seams.clock)
        run_simulated(e);
    pthread_mutex_lock(&e->ready_lock);
    while (!e->recovered)
        pthread_cond_wait(&e->ready, &e->ready_lock);
    code = e->recover_code;
    if (code)
        err_set(err, code, "%s", e->recover_message);
    pthread_mutex_unlock(&e->ready_lock);
    return code;
}

// What policies have that say nothing of privacy.
static int make_redactor(parley *e, struct err *err)
{
    struct redact_rules rules = {.kinds = redact_kinds_default(),
                                 .region = conf_str(e->settings.conf, "privacy.region")};

    return redactor_new(&e->redactor, &rules, err);
}

static int build(parley *e, const parley_options *options, struct err *err)
{
    int code = settings_load(&e->settings, options, err);
    const char *config = code ? NULL : settings_file(options);
    e->config = config ? mem_strdup(config) : NULL;
    if (config && !e->config)
        code = err_set(err, E_NOMEM, "out of memory for an engine");
    if (!code)
        code = events_init(&e->events, err);
    e->events_ready = code == E_OK;
    if (!code)
        code = e->copy ? E_OK : settings_policies(&e->settings, err);
    if (!code)
        code = secrets_init(&e->secrets, &e->log, err);
    if (!code)
        code = tables_load(&e->prices, &e->caps, err);
    if (!code)
        code = make_redactor(e, err);
    if (!code)
        code = open_store(e, options->store_must_exist != 0, err);
    if (!code)
        code = seal_open(e, err);
    if (code)
        return code;
    e->lua = (struct lua_env){
        .policies_dir = conf_str(e->settings.conf, "policies"),
        .region = conf_str(e->settings.conf, "privacy.region"),
        .clock = e->clock,
        .log = &e->log,
        .timer_signal = e->seams.clock ? 0 : options->timer_signal};
    e->llm = (struct llm_env){.clock = e->clock,
                              .rand = e->rand,
                              .log = &e->log,
                              .conf = e->settings.conf,
                              .caps = e->caps,
                              .secret = find_secret,
                              .brain = make_brain,
                              .on_request = e->trace ? tell_request : NULL,
                              .user = e};
    unsigned count = workers_wanted(e);
    for (unsigned i = 0; i < count && !code; i++)
        code = open_hand(e, i, count, err);
    if (!code && !e->copy)
        code = house_open(e, err);
    return code || e->copy ? code : recover(e, err);
}

// `copy`: the URL of a store to read in place of the configured one.
static int open_engine(parley **out, const parley_options *options,
                       const struct engine_seams *seams, const char *copy, parley_error *error)
{
    struct err err = ERR_INIT;
    *out = NULL;
    if (!options || options->version != PARLEY_OPTIONS_VERSION) {
        err_set(&err, E_USAGE, "parley_options: begin with PARLEY_OPTIONS_INIT");
        return public_error(error, &err);
    }
    parley *e = mem_zalloc(sizeof(*e));
    if (!e) {
        err_set(&err, E_NOMEM, "out of memory for an engine");
        return public_error(error, &err);
    }
    if (seams)
        e->seams = *seams;
    e->copy = copy;
    e->public_log = options->log;
    e->trace = options->trace;
    e->user = options->user;
    e->log = (struct log){.sink = log_sink, .user = e, .min_level = LOG_DEBUG};
    e->clock = e->seams.clock ? &e->seams.clock->clock : clock_system();
    e->rand = e->seams.rand ? e->seams.rand : rand_system();
    audit_actor(geteuid(), e->actor);
    atomic_init(&e->next_request, 1);
    pthread_mutex_init(&e->ready_lock, NULL);
    pthread_cond_init(&e->ready, NULL);
    int code = build(e, options, &err);
    if (code) {
        parley_close(e);
        return public_error(error, &err);
    }
    *out = e;
    return PARLEY_OK;
}

int engine_open(parley **out, const parley_options *options, const struct engine_seams *seams,
                parley_error *error)
{
    return open_engine(out, options, seams, NULL, error);
}

int engine_open_copy(parley **out, const parley_options *options, const char *url,
                     parley_error *error)
{
    return open_engine(out, options, NULL, url, error);
}

int parley_open(parley **out, const parley_options *options, parley_error *error)
{
    return engine_open(out, options, NULL, error);
}

// ---- closing

static void hand_idle(void *user)
{
    struct hand *h = user;
    loop_stop(h->loop);
}

static void drain_worker(void *user)
{
    struct hand *h = user;
    worker_drain(h->worker, hand_idle, h);
}

// The first worker's loop has the engine's jobs, which may ask that worker for something.
static void drain_hand(struct loop_task *task)
{
    struct hand *h = CONTAINER_OF(task, struct hand, drain);
    if (h == h->engine->hands && house_stands(h->engine))
        house_stop(h->engine, drain_worker, h);
    else
        drain_worker(h);
}

static void close_hand(struct hand *h)
{
    if (h->worker) {
        h->drain.fn = drain_hand;
        loop_post(h->loop, &h->drain);
        if (h->started)
            pthread_join(h->thread, NULL);
        else
            loop_run(h->loop);
    }
    if (h == h->engine->hands)
        house_free(h->engine);
    worker_free(h->worker);
    lua_loader_free(h->loader);
    wire_free(h->wire);
    loop_free(h->loop);
}

void parley_close(parley *e)
{
    if (!e)
        return;
    for (unsigned i = 0; i < e->hands_len; i++)
        close_hand(&e->hands[i]);
    store_free(e->store);
    vault_free(e->vault);
    redactor_free(e->redactor);
    prices_free(e->prices);
    llm_caps_free(e->caps);
    if (e->secrets.values)
        secrets_release(&e->secrets);
    if (e->events_ready)
        events_release(&e->events);
    mem_free(e->config);
    settings_release(&e->settings);
    pthread_cond_destroy(&e->ready);
    pthread_mutex_destroy(&e->ready_lock);
    mem_free(e);
}
