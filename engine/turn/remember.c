// SPDX-License-Identifier: MIT
// remember.c: what plans say of memory, written: core memory, facts to forget, facts that the
// policy proposes. One change of the book, before the turn is settled: a turn that says it is over
// has done what its plans said. Killed in between, the turn is interrupted, and what is written
// holds.
#include "turn/core.h"

#include "turn/book.h"
#include "turn/journal.h"

enum { PLANS = 2 };  // on_message's, and on_reply's

struct plan_memory {
    struct run *run;
    struct memory_plan *plans[PLANS];  // owned; NULL: it says nothing
    struct book_change change;
    uint32_t refused;
    bool core;                         // core memory is another one now
    void (*then)(struct run *run);
};

void plan_memory_free(struct run *run)
{
    struct plan_memory *m = run->plan_memory;
    for (unsigned i = 0; m && i < PLANS; i++)
        memory_plan_free(m->plans[i]);
    mem_free(m);
    run->plan_memory = NULL;
}

bool plan_memory_any(const struct run *run)
{
    return run->plan_memory != NULL;
}

void plan_memory_take(struct run *run, struct plan *p)
{
    struct plan_memory *m = run->plan_memory;
    if (!p->memory || !run->policy->info.memory.on || (run->job->flags & JOB_STATELESS))
        return;
    if (!m)
        m = run->plan_memory = mem_zalloc(sizeof(*m));
    if (!m) {
        emit_warning(run, "policy %s: out of memory for what it wants remembered",
                     run->policy->info.name);
        return;
    }
    m->run = run;
    unsigned at = m->plans[0] ? 1 : 0;
    memory_plan_free(m->plans[at]);
    m->plans[at] = p->memory;
    p->memory = NULL;
}

// ---- the change

static int set_human(struct plan_memory *m, const struct memory_plan *p, struct book *b,
                     struct err *err)
{
    struct safe_text human = safe_buf_text(&p->human);
    if (!p->sets_human || slice_eq(safe_slice(human), safe_slice(safe_buf_text(&b->core.human))))
        return E_OK;
    if (human.len > m->run->policy->info.memory.human_bytes) {
        m->refused++;
        return E_OK;
    }
    m->core = true;
    return book_set_human(b, human, err);
}

// The fact, and the lines that tell it. One that is not there is forgotten already.
static int forget(const struct plan_memory *m, const char *id, struct book *b, struct err *err)
{
    struct fact_at at = FACT_AT_START;
    struct safe_buf value;
    uint32_t count;
    if (fact_book_find(b->facts, slice_str(id), &at, NULL) || at.fact->status == FACT_FORGOTTEN)
        return E_OK;
    safe_buf_init(&value, FACT_VALUE_BYTES_MAX);
    safe_buf_add(&value, fact_value(at.fact));
    int code = safe_buf_check(&value, "a fact", err);
    if (!code)
        code = fact_book_forget(b->facts, id, clock_wall_ms(m->run->w->env.clock), &count, err);
    if (!code)
        code = journal_forget_value(b, safe_buf_text(&value), &count, err);
    safe_buf_release(&value);
    return code;
}

static int remember(struct plan_memory *m, const struct fact_candidate *c, struct book *b,
                    struct err *err)
{
    struct run *run = m->run;
    struct fact_considered out;
    struct fact_candidate own = *c;
    if (run->policy->info.memory.by_context)
        snprintf(own.scope, sizeof(own.scope), "%.32s", run->context_hash);
    int code = fact_book_consider(b->facts, &own, false, &run->policy->info.memory,
                                  clock_wall_ms(run->w->env.clock), &out, err);
    m->refused += !code && out.outcome == OUTCOME_REFUSED;
    return code;
}

static int apply(struct book_change *change, struct book *b, struct ledger_memory_commit *extra,
                 struct err *err)
{
    struct plan_memory *m = change->user;
    int code = E_OK;
    (void)extra;
    m->refused = 0;
    m->core = false;
    for (unsigned i = 0; i < PLANS && !code; i++) {
        const struct memory_plan *p = m->plans[i];
        if (!p)
            continue;
        code = set_human(m, p, b, err);
        for (uint32_t n = 0; n < p->forget_len && !code; n++)
            code = forget(m, p->forget[n], b, err);
        for (size_t n = 0; n < fact_candidates_len(&p->remember) && !code; n++)
            code = remember(m, fact_candidates_at(&p->remember, n), b, err);
    }
    return code;
}

static void written(struct book_change *change)
{
    struct plan_memory *m = change->user;
    struct run *run = m->run;
    void (*then)(struct run *run) = m->then;
    if (change->code)
        emit_warning(run, "policy %s: what it wants remembered is not: %s", run->policy->info.name,
                     change->err.message);
    else if (m->refused)
        emit_warning(run, "policy %s: %u of what it wants remembered %s too long, or %s no room",
                     run->policy->info.name, m->refused, m->refused == 1 ? "is" : "are",
                     m->refused == 1 ? "has" : "have");
    run->settle.core = !change->code && m->core;
    book_release(change->book);
    plan_memory_free(run);
    then(run);
}

void plan_memory_write(struct run *run, void (*then)(struct run *run))
{
    struct plan_memory *m = run->plan_memory;
    m->then = then;
    m->change = (struct book_change){
        .key = run->user_key, .apply = apply, .done = written, .user = m,
    };
    memcpy(m->change.partition, run->partition, sizeof(m->change.partition));
    memcpy(m->change.bot, run->job->bot, sizeof(m->change.bot));
    book_change(run->w, &m->change);
}
