// SPDX-License-Identifier: MIT
// learn_begin.c: who asks for a session to be learnt from, and what is there of it: its head, its
// policy, and how far it was learnt from. learn.c goes on from there.
#include "turn/learn_int.h"
#include "turn/mask.h"
#include "turn/resolve.h"

// ---- what is there

static int64_t rests_until(const struct learnt *l)
{
    int64_t ms = LEARN_REST_MS;
    for (uint32_t i = 1; i < l->tries && i < LEARN_TRIES_MAX; i++)
        ms *= LEARN_REST_FACTOR;
    return l->tries && l->tries < LEARN_TRIES_MAX ? l->at_ms + ms : 0;
}

static bool all_is_done(const struct learning *s)
{
    bool walked = s->learnt.upto >= s->last;
    return walked && (s->ended ? s->learnt.journal : s->head.superseded_len == 0);
}

static void begin(struct run *run)
{
    struct learning *s = learning_of(run);
    s->by_model = s->ended && s->rules->use_model && !learn_gives_up(s) &&
                  s->learnt.model_upto < s->last;
    if (s->ended && clock_wall_ms(run->w->env.clock) < rests_until(&s->learnt)) {
        learn_finish_with(run, E_BUSY, "it rests after a failure");
    } else if (s->unloaded.code) {
        if (learn_gives_up(s))
            learn_finish_well(run);
        else
            learn_fail(run, s->unloaded.code, &s->unloaded);
    } else if (all_is_done(s)) {
        learn_finish_well(run);
    } else {
        snprintf(s->extractor, sizeof(s->extractor), "rules@%s", s->rules->version);
        learn_begin_walk(s);
        if (s->at < s->last || s->head.superseded_len)
            learn_walk(run);
        else
            learn_end_walk(run);
    }
}

static void learnt_found(struct ledger_op *op)
{
    struct run *run = turn_op_over(op);
    struct err err = op->err;
    if (op->code)
        learn_finish(run, op->code, &err);
    else
        learning_of(run)->found_learnt(run);
}

static void manifest_known(struct book_wait *wait)
{
    struct learning *s = wait->user;
    struct run *run = s->run;
    if (wait->code) {
        learn_no_book(run, wait->code, &wait->err);
        return;
    }
    s->guard = wait->book->manifest.version;
    book_release(wait->book);
    s->learnt = (struct learnt){0};
    memcpy(s->learnt.session, s->head.id, sizeof(s->learnt.session));
    turn_op_start(run, learnt_found);
    ledger_find_learnt(run->w->ledger, run->partition, run->user_key, &s->learnt, &run->op);
}

// The manifest first: what is read behind it is as new, and what is committed with it is newer.
void learn_find_learnt(struct run *run, void (*then)(struct run *run))
{
    struct learning *s = learning_of(run);
    s->found_learnt = then;
    s->wait = (struct book_wait){.key = run->user_key, .done = manifest_known, .user = s};
    memcpy(s->wait.partition, run->partition, strlen(run->partition));
    memcpy(s->wait.bot, s->head.bot, strlen(s->head.bot));
    book_open(run->w, &s->wait);
}

static void find_learnt(struct run *run)
{
    learn_find_learnt(run, begin);
}

// Masks are for what goes to a model and for its answer; most sessions that are swept need none.
static void have_policy(struct run *run)
{
    struct learning *s = learning_of(run);
    struct policy *policy = NULL;
    s->rules = &run->policy->info.memory;
    s->last = s->head.open_turn ? s->head.open_turn - 1 : s->head.turns;
    // The built-in policy stands in for one that cannot be loaded, and remembers nothing.
    s->unloaded = (struct err)ERR_INIT;
    policy_host_get(run->w->policies, s->head.bot, &policy, &s->unloaded);
    policy_unref(policy);
    if (s->head.purged || s->last == 0)
        learn_finish_well(run);
    else if (!s->unloaded.code && !s->rules->on)
        learn_finish_with(run, E_NOT_FOUND, "the policy remembers nothing");
    else if (s->ended)
        mask_open(run, find_learnt);
    else
        find_learnt(run);
}

static void viewed(struct run *run)
{
    struct learning *s = learning_of(run);
    struct job *job = run->job;
    struct err err = ERR_INIT;
    session_head_release(&s->head);
    if (session_head_copy(&s->head, &run->live->chat->head, &err)) {
        learn_finish(run, err.code, &err);
        return;
    }
    snprintf(job->bot, sizeof(job->bot), "%s", s->head.bot);
    snprintf(job->context, sizeof(job->context), "%s", s->head.context);
    struct slice context = slice_str(job->context);
    vault_digest(run->w->env.vault, "context", &context, 1, run->context_hash);
    if (s->rules)
        have_policy(run);
    else
        mask_policy(run, have_policy);
}

void learn_look_up(struct run *run)
{
    resolve_view(run, run->job->session, viewed);
}

static void have_key(struct vault_request *request)
{
    struct run *run = CONTAINER_OF(request, struct run, vault_request);
    run->user_key = request->key;
    if (request->code)
        learn_finish(run, request->code, &request->err);
    else
        learn_look_up(run);
}

// The run of the worker that is at this session already.
static struct run *other_run(const struct worker *w, const struct run *but, const char *session)
{
    struct run *run = w->runs;
    while (run && (run == but || run->job->verb != JOB_LEARN || !run->extra ||
                   strcmp(run->job->session, session) != 0))
        run = run->next;
    return run;
}

static void learning_free(void *extra)
{
    struct learning *s = extra;
    for (unsigned i = 0; i < LEARN_TURNS; i++)
        fact_candidates_release(&s->found[i]);
    safe_buf_release(&s->material);
    learn_recalled_release(s);
    session_head_release(&s->head);
    mem_free(s);
}

void learn_start(struct run *run)
{
    struct job *job = run->job;
    struct vault *vault = run->w->env.vault;
    struct run *other = other_run(run->w, run, job->session);
    struct learning *s = other ? NULL : mem_zalloc(sizeof(*s));
    if (!s) {
        if (other && !(job->flags & JOB_ENDED))
            learning_of(other)->again = true;
        learn_finish_with(run, other ? E_BUSY : E_NOMEM,
                    other ? "the session is being learnt from" : "out of memory for learning");
        return;
    }
    s->run = run;
    s->ended = job->flags & JOB_ENDED;
    for (unsigned i = 0; i < LEARN_TURNS; i++)
        fact_candidates_init(&s->found[i]);
    safe_buf_init(&s->material, 2 * CONTENT_BYTES_MAX);
    learn_recalled_init(s);
    run->extra = s;
    run->extra_free = learning_free;
    memcpy(run->partition, job->partition, sizeof(run->partition));
    run->user_key = vault_find_key(vault, run->partition);
    if (run->user_key) {
        learn_look_up(run);
        return;
    }
    run->vault_request = (struct vault_request){.loop = run->w->env.loop, .done = have_key};
    memcpy(run->vault_request.partition, run->partition, sizeof(run->partition));
    vault_user_key(vault, &run->vault_request);
}

// ---- who asks for it

static void nobody_waits(void *arg, int code)
{
    (void)arg;
    (void)code;
}

static void post(const struct run *run, const char *session, unsigned flags)
{
    struct err err = ERR_INIT;
    struct job *job;
    if (job_new(&job, &err))
        return;  // a later turn, or the sweep, has it learnt
    job->verb = JOB_LEARN;
    job->flags = flags;
    memcpy(job->partition, run->partition, sizeof(job->partition));
    memcpy(job->user, run->job->user, sizeof(job->user));
    snprintf(job->session, sizeof(job->session), "%s", session);
    job->over = nobody_waits;
    worker_post(run->w, job);
}

void learn_once_more(struct run *run)
{
    post(run, run->job->session, 0);
}

void learn_after(struct run *run)
{
    const struct memory_rules *rules = &run->policy->info.memory;
    const struct session_head *head = &run->live->chat->head;
    if (!rules->on || !(rules->has_extract || head->superseded_len) ||
        (run->job->flags & JOB_STATELESS))
        return;
    learn_undone(run);
}

void learn_undone(struct run *run)
{
    const char *session = run->live->chat->head.id;
    struct run *other = other_run(run->w, NULL, session);
    if (other)
        learning_of(other)->again = true;
    else
        post(run, session, 0);
}

void learn_ended(struct run *run, const struct session_head *head)
{
    if (run->policy->info.memory.on && head->turns && !head->purged &&
        !other_run(run->w, run, head->id))
        post(run, head->id, JOB_ENDED);
}
