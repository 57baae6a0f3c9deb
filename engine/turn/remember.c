// SPDX-License-Identifier: MIT
// remember.c: what plans say of memory, written: core memory, facts to forget, facts that the
// policy proposes. One change of the book, before the turn is settled: a turn that says it is over
// has done what its plans said. Killed in between, the turn is interrupted, and what is written
// holds.
#include "turn/core.h"

#include "turn/book.h"
#include "turn/feeder.h"
#include "turn/memory_int.h"

enum { PLANS = 2 };  // on_message's, and on_reply's

struct plan_memory {
    struct run *run;
    struct memory_plan *plans[PLANS];  // owned; NULL: it says nothing
    struct book_change change;
    struct audit_note note;            // of what is forgotten
    uint32_t refused;
    bool core, forgot;                 // core memory is another one now; and so are facts
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

// The fact, and what tells it. One that is not there is forgotten already.
static int forget(struct plan_memory *m, const char *id, struct book *b, struct err *err)
{
    struct fact_at at = FACT_AT_START;
    struct forgotten gone;
    if (fact_book_find(b->facts, slice_str(id), &at, NULL) || at.fact->status == FACT_FORGOTTEN)
        return E_OK;
    forgotten_init(&gone);
    int code = book_forget(b, id, clock_wall_ms(m->run->w->env.clock), &gone, err);
    m->note.count += (uint32_t)gone.ids.len;
    vec_release(&gone.ids);
    return code;
}

// Whoever forgets is in the audit trail: here, the policy.
static void note_forgotten(struct plan_memory *m, struct ledger_memory_commit *extra)
{
    const struct run *run = m->run;
    if (!m->note.count)
        return;
    m->note.action = AUDIT_FACT_FORGOTTEN;
    m->note.at_ms = clock_wall_ms(run->w->env.clock);
    snprintf(m->note.bot, sizeof(m->note.bot), "%s", run->job->bot);
    memcpy(m->note.policy, run->policy->info.version, sizeof(m->note.policy));
    extra->notes = &m->note;
    extra->notes_len = 1;
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
    m->note = (struct audit_note){0};
    m->refused = 0;
    // What was written already changes nothing the second time.
    m->core &= change->unsure;
    m->forgot &= change->unsure;
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
    note_forgotten(m, extra);
    m->forgot |= m->note.count > 0;
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
    if (!change->code && m->forgot)
        feeder_wake(run->w);
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
