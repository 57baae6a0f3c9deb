// SPDX-License-Identifier: MIT
// memory_tell.c: what is remembered, as JSON. See memory_job.c.
#include "turn/mask.h"
#include "turn/memory_int.h"

// Where the telling is: the quotes come in the order of the evidence that they are of.
struct telling_of {
    const struct run *run;
    const struct remembering *m;
    struct json_writer w;
    size_t quote;
    int64_t now_ms;
    char turn[16];
};

static void write_evidence(struct telling_of *t, const struct fact_evidence *e)
{
    const struct quote *q = VEC_AT(&t->m->quotes, struct quote, t->quote++);
    struct json_writer *w = &t->w;
    BUG_ON(q->of != e);
    snprintf(t->turn, sizeof(t->turn), "%u", e->turn);
    jw_object(w);
    jw_kv_str(w, "session", e->session);
    jw_kv_str(w, "turn", t->turn);
    jw_key(w, "quote");
    if (q->there)
        jw_slice(w, slice_of(t->m->text.ptr + q->at, q->len));
    else
        jw_null(w);
    jw_kv_bool(w, "deleted", q->gone);
    jw_kv_i64(w, "start", e->start);
    jw_kv_i64(w, "end", e->end);
    jw_kv_str(w, "author", fact_author_word(e->author));
    jw_kv_bool(w, "supported", e->supported);
    if (q->why)
        jw_kv_str(w, "why", q->why);
    jw_kv_bool(w, "negates", e->negates);
    emit_time(w, "at", e->at_ms);
    jw_kv_str(w, "extractor", e->extractor);
    jw_kv_str(w, "policy", e->policy);
    if (e->fact[0])
        jw_kv_str(w, "fact", e->fact);
    jw_object_end(w);
}

static void write_period(struct json_writer *w, int64_t valid_from_ms, int64_t valid_to_ms,
                         int64_t recorded_at_ms, int64_t retired_at_ms)
{
    emit_time(w, "valid_from", valid_from_ms);
    emit_time(w, "valid_to", valid_to_ms);
    emit_time(w, "recorded_at", recorded_at_ms);
    emit_time(w, "retired_at", retired_at_ms);
}

static void write_earlier(struct json_writer *w, const struct fact *f)
{
    jw_key(w, "earlier");
    jw_array(w);
    for (size_t i = 0; i < f->earlier.len; i++) {
        const struct fact_period *p = vec_at(&f->earlier, i);
        jw_object(w);
        write_period(w, p->valid_from_ms, p->valid_to_ms, p->recorded_at_ms, p->retired_at_ms);
        jw_object_end(w);
    }
    jw_array_end(w);
}

static void write_value(struct json_writer *w, const struct fact *f)
{
    struct slice value = safe_slice(fact_value(f));
    jw_key(w, "value");
    if (f->status == FACT_FORGOTTEN)
        jw_null(w);
    else
        jw_slice(w, value);
}

// Members of an open object: which fact it is, and what it is now.
static void write_head(struct telling_of *t, const struct fact_slot *slot, const struct fact *f)
{
    struct json_writer *w = &t->w;
    jw_kv_str(w, "tier", fact_tier_word(slot->tier));
    jw_kv_str(w, "fact", f->id);
    jw_kv_str(w, "kind", fact_kind_word(f->kind));
    jw_kv_str(w, "subject", slot->subject);
    jw_kv_str(w, "predicate", slot->predicate);
    write_value(w, f);
    jw_kv_str(w, "status", fact_status_word(f->status));
    jw_kv_bool(w, "stale", fact_is_stale(f, &t->run->policy->info.memory, t->now_ms));
    jw_kv_str(w, "scope", slot->scope);
    jw_kv_str(w, "context", memory_context(t->m, slot, f));
    write_period(w, f->valid_from_ms, f->valid_to_ms, f->recorded_at_ms, f->retired_at_ms);
    emit_time(w, "confirmed_at", f->confirmed_at_ms);
    jw_kv_i64(w, "confirmations", f->confirmations);
    emit_time(w, "forgotten_at", f->forgotten_at_ms);
    jw_kv_str(w, "superseded_by", f->by[0] ? f->by : NULL);
}

static void write_fact(struct telling_of *t, const struct fact_at *at)
{
    const struct fact *f = at->fact;
    jw_object(&t->w);
    write_head(t, at->slot, f);
    write_earlier(&t->w, f);
    jw_key(&t->w, "evidence");
    jw_array(&t->w);
    for (size_t i = 0; i < f->evidence.len; i++)
        write_evidence(t, fact_evidence_at(f, i));
    jw_array_end(&t->w);
    jw_object_end(&t->w);
}

static void write_tier(struct telling_of *t, const char *key, enum fact_tier tier)
{
    const struct vec *facts = &t->m->facts;
    jw_key(&t->w, key);
    jw_array(&t->w);
    for (size_t i = 0; i < facts->len; i++)
        if (VEC_AT(facts, struct fact_at, i)->slot->tier == tier)
            write_fact(t, VEC_AT(facts, struct fact_at, i));
    jw_array_end(&t->w);
}

static void write_journal(struct telling_of *t)
{
    struct json_writer *w = &t->w;
    const struct run *run = t->run;
    bool all = !run->job->context[0] || !run->policy->info.memory.by_context;
    jw_key(w, "journal");
    jw_array(w);
    for (uint32_t i = 0; i < t->m->book->journal.len; i++) {
        const struct journal_entry *e = &t->m->book->journal.list[i];
        if (!all && !journal_entry_is_of(e, run->context_hash))
            continue;
        jw_object(w);
        jw_kv_str(w, "tier", "journal");
        jw_kv_str(w, "session", e->session);
        emit_time(w, "at", e->at_ms);
        struct slice text = safe_slice(safe_buf_text(&e->text));
        while (text.len && text.ptr[text.len - 1] == '\n')
            text.len--;  // it ends a line of the journal, which is no part of the entry
        jw_kv_slice(w, "text", text);
        jw_object_end(w);
    }
    jw_array_end(w);
}

// The persona is the policy's until a plan changed it.
static void write_core(struct telling_of *t)
{
    const struct core_memory *core = &t->m->book->core;
    const struct memory_rules *rules = &t->run->policy->info.memory;
    struct safe_text persona = safe_buf_text(&core->persona);
    if (!persona.len && rules->on)
        persona = safe_buf_text(&rules->persona);
    jw_key(&t->w, "core");
    jw_object(&t->w);
    jw_kv_str(&t->w, "tier", "core");
    jw_kv_slice(&t->w, "persona", safe_slice(persona));
    jw_kv_slice(&t->w, "human", safe_slice(safe_buf_text(&core->human)));
    emit_time(&t->w, "at", core->at_ms);
    jw_object_end(&t->w);
}

static void write_all(struct telling_of *t)
{
    uint32_t what = t->run->job->turn;
    if (what & TELL_FACTS)
        write_tier(t, "facts", TIER_FACT);
    if (what & TELL_KNOWLEDGE)
        write_tier(t, "knowledge", TIER_KNOWLEDGE);
    if (what & TELL_JOURNAL)
        write_journal(t);
    if (what & TELL_CORE)
        write_core(t);
}

// The one that is asked about, and what else was said of the same.
static void write_one(struct telling_of *t)
{
    const struct fact_at *at = &t->m->one;
    jw_key(&t->w, "fact");
    write_fact(t, at);
    jw_key(&t->w, "others");
    jw_array(&t->w);
    for (size_t i = 0; i < at->slot->facts.len; i++) {
        const struct fact *f = fact_slot_at(at->slot, i);
        if (f == at->fact)
            continue;
        jw_object(&t->w);
        write_head(t, at->slot, f);
        jw_object_end(&t->w);
    }
    jw_array_end(&t->w);
}

void memory_tell(struct run *run)
{
    const struct memory_rules *rules = &run->policy->info.memory;
    struct buf json = BUF_INIT(RESULT_BYTES_MAX);
    struct telling_of t = {.run = run,
                           .m = run->extra,
                           .now_ms = clock_wall_ms(run->w->env.clock)};
    if (t.m->book->damage.len)
        emit_warning(run, "some of what is remembered cannot be read: run `parley verify`");
    jw_init(&t.w, &json);
    jw_object(&t.w);
    jw_kv_str(&t.w, "user", run->job->user);
    jw_kv_str(&t.w, "bot", run->job->bot);
    jw_kv_bool(&t.w, "remembers", rules->on);
    if (t.m->one.slot)
        write_one(&t);
    else
        write_all(&t);
    jw_object_end(&t.w);
    // What shows it has an extra of its own.
    run->extra_free(run->extra);
    run->extra = NULL;
    run->extra_free = NULL;
    if (run->user_key)
        show_revealed(run, &json);
    else
        emit_result(run, &json);
}
