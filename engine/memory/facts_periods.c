// SPDX-License-Identifier: MIT
// facts_periods.c: what was so, and when, as it follows from all statements of a slot.
//
// The statements that the user made are gone through in the order in which they were said. Each
// lays its span over what was there before:
//
//   Berlin@1        ├───────────────▶ Berlin
//   Paris@3         ├── Berlin ──┤├─────▶ Paris
//   not Paris@5     ├── Berlin ──┤├─ Paris ─┤
//
// So the result does not depend on when a statement came to be known, and nothing else is kept of
// the past than the statements. What was forgotten takes part, or else it would bring back what it
// had taken the place of.
#include "memory/facts_int.h"

#include "base/mem.h"
#include <stdlib.h>

struct statement {
    struct fact *fact;
    const struct fact_evidence *e;
};

struct span {
    const struct fact *fact;
    int64_t from, to;  // INT64_MAX: it is so
};

struct sweep {
    struct vec statements;  // struct statement, as they were said
    struct vec spans;       // struct span; those of different values never overlap
    struct span *open;      // what is so now; NULL: nothing
};

int statement_cmp(const struct fact_evidence *a, const struct fact_evidence *b)
{
    int session = strcmp(a->session, b->session);

    if (a->at_ms != b->at_ms)
        return a->at_ms < b->at_ms ? -1 : 1;
    if (session)
        return session;
    if (a->turn != b->turn)
        return a->turn < b->turn ? -1 : 1;
    if (a->step != b->step)
        return a->step < b->step ? -1 : 1;
    if (a->start != b->start)
        return a->start < b->start ? -1 : 1;
    return (int)a->author - (int)b->author;
}

static int by_order(const void *a, const void *b)
{
    const struct statement *x = a, *y = b;
    int order = statement_cmp(x->e, y->e);

    return order ? order : strcmp(x->fact->id, y->fact->id);
}

static int64_t max_of(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static struct span *span_at(const struct sweep *s, size_t i)
{
    return VEC_AT(&s->spans, struct span, i);
}

// Room was made for one span a statement.
static struct span *add_span(struct sweep *s, const struct fact *f, int64_t from, int64_t to)
{
    struct span *span = vec_push(&s->spans);

    *span = (struct span){f, from, to};
    return span;
}

static void end_open(struct sweep *s, int64_t at)
{
    s->open->to = max_of(s->open->from, at);
    s->open = NULL;
}

// It is so since earlier than was known; but not since before the end of anything else.
static void extend(struct sweep *s, int64_t from)
{
    for (size_t i = 0; i < s->spans.len; i++)
        if (span_at(s, i) != s->open)
            from = max_of(from, span_at(s, i)->to);
    if (from < s->open->from)
        s->open->from = from;
}

// From then on it is so, whatever was said before of that time.
static void begin_span(struct sweep *s, const struct fact *f, int64_t from)
{
    for (size_t i = 0; i < s->spans.len; i++) {
        struct span *other = span_at(s, i);

        if (other->to > from)
            other->to = max_of(other->from, from);
    }
    s->open = add_span(s, f, from, INT64_MAX);
}

// It was so in a time that is over: as far as nothing is known of that time.
static void add_past(struct sweep *s, const struct fact *f, int64_t from, int64_t to)
{
    for (size_t i = 0; i < s->spans.len; i++) {
        const struct span *other = span_at(s, i);

        if (other->from <= from && other->to > from) {
            from = other->to;
            i = (size_t)-1;  // what begins later may be in the way of others
        }
        if (from == INT64_MAX)
            break;
    }
    from = from < to ? from : to;
    for (size_t i = 0; i < s->spans.len; i++)
        if (span_at(s, i)->from > from && span_at(s, i)->from < to)
            to = span_at(s, i)->from;
    add_span(s, f, from, to);
}

static void lay(struct sweep *s, const struct statement *st)
{
    const struct fact_evidence *e = st->e;
    bool is_open = s->open && s->open->fact == st->fact;
    int64_t from = e->valid_from_ms ? e->valid_from_ms : e->at_ms;
    bool is_over = e->negates || (e->valid_to_ms && e->valid_to_ms <= e->at_ms);

    if (is_over && is_open)
        end_open(s, e->valid_to_ms ? e->valid_to_ms : e->at_ms);
    else if (e->negates)
        return;  // there is nothing that it ends
    else if (is_over)
        add_past(s, st->fact, e->valid_from_ms ? from : e->valid_to_ms, e->valid_to_ms);
    else if (is_open)
        extend(s, from);
    else
        begin_span(s, st->fact, from);
}

// ---- from spans to facts

// Recorded and retired are as they were, where the period is not new.
static struct fact_period period_of(const struct fact *f, const struct span *span, int64_t now_ms)
{
    struct fact_period p = {.valid_from_ms = span->from,
                            .valid_to_ms = span->to == INT64_MAX ? 0 : span->to};
    bool is_newest = f->valid_from_ms == span->from ||
                     (span->to == INT64_MAX && f->status == FACT_ACTIVE);

    if (is_newest) {
        p.recorded_at_ms = f->recorded_at_ms;
        p.retired_at_ms = f->retired_at_ms;
    }
    for (size_t i = 0; i < f->earlier.len && !is_newest; i++) {
        const struct fact_period *known = VEC_AT(&f->earlier, struct fact_period, i);

        if (known->valid_from_ms == span->from)
            p = (struct fact_period){span->from, p.valid_to_ms, known->recorded_at_ms,
                                     known->retired_at_ms};
    }
    if (!p.recorded_at_ms)
        p.recorded_at_ms = now_ms;
    if (span->to == INT64_MAX)
        p.retired_at_ms = 0;
    else if (!p.retired_at_ms)
        p.retired_at_ms = now_ms;
    return p;
}

static int span_order(const void *a, const void *b)
{
    const struct span *x = a, *y = b;

    if (x->from != y->from)
        return x->from < y->from ? -1 : 1;
    return x->to == y->to ? 0 : x->to < y->to ? -1 : 1;
}

static void write_by(struct fact *f, const struct span *last, const struct span *spans, size_t len)
{
    f->by[0] = '\0';
    for (size_t i = 0; last && i < len; i++)
        if (spans[i].fact != f && spans[i].from == last->to && spans[i].to > spans[i].from)
            memcpy(f->by, spans[i].fact->id, sizeof(f->by));
}

static int64_t first_said(const struct fact *f)
{
    for (size_t i = 0; i < f->evidence.len; i++)
        if (fact_evidence_at(f, i)->supported)
            return fact_evidence_at(f, i)->at_ms;
    return 0;
}

static void write_fact(struct fact *f, const struct span *spans, size_t len, int64_t now_ms)
{
    struct fact_period periods[FACT_PERIODS_MAX];
    const struct span *last = NULL;
    size_t n = 0;

    for (size_t i = 0; i < len; i++) {
        if (spans[i].fact != f)
            continue;
        if (n == FACT_PERIODS_MAX)
            memmove(periods, periods + 1, --n * sizeof(periods[0]));
        periods[n++] = period_of(f, &spans[i], now_ms);
        last = &spans[i];
    }
    // Only that it is over was ever said, and no more.
    if (!n) {
        struct span none = {f, first_said(f), first_said(f)};
        periods[n++] = period_of(f, &none, now_ms);
    }
    vec_clear(&f->earlier);
    for (size_t i = 0; i + 1 < n; i++)
        *(struct fact_period *)vec_push(&f->earlier) = periods[i];
    f->valid_from_ms = periods[n - 1].valid_from_ms;
    f->valid_to_ms = periods[n - 1].valid_to_ms;
    f->recorded_at_ms = periods[n - 1].recorded_at_ms;
    f->retired_at_ms = periods[n - 1].retired_at_ms;
    f->status = last && last->to == INT64_MAX ? FACT_ACTIVE : FACT_SUPERSEDED;
    write_by(f, f->status == FACT_SUPERSEDED ? last : NULL, spans, len);
}

static bool is_supported(const struct fact *f)
{
    for (size_t i = 0; i < f->evidence.len; i++)
        if (fact_evidence_at(f, i)->supported)
            return true;
    return false;
}

static void write_facts(const struct sweep *s, struct fact *const *facts, size_t len,
                        int64_t now_ms)
{
    for (size_t i = 0; i < len; i++) {
        struct fact *f = facts[i];

        if (f->status == FACT_FORGOTTEN)
            continue;
        if (is_supported(f)) {
            write_fact(f, s->spans.ptr, s->spans.len, now_ms);
            continue;
        }
        // Quarantine begins when nobody vouches for it any more.
        if (f->status != FACT_QUARANTINED)
            f->recorded_at_ms = now_ms;
        f->status = FACT_QUARANTINED;
        f->valid_from_ms = f->valid_to_ms = f->retired_at_ms = 0;
        f->by[0] = '\0';
        vec_clear(&f->earlier);
    }
}

// ---- a sweep

static int add_statements(struct sweep *s, struct fact *f, struct err *err)
{
    for (size_t i = 0; i < f->evidence.len; i++) {
        const struct fact_evidence *e = fact_evidence_at(f, i);
        struct statement *st = e->supported ? vec_push(&s->statements) : NULL;

        if (e->supported && !st)
            return err_set(err, E_NOMEM, "out of memory for a user's facts");
        if (st)
            *st = (struct statement){f, e};
    }
    return E_OK;
}

static int sweep(struct fact *const *facts, size_t len, int64_t now_ms, struct err *err)
{
    enum { STATEMENTS_MAX = GROUP_MAX * SLOT_VALUES_MAX * FACT_EVIDENCE_MAX };
    struct sweep s = {.statements = VEC_INIT(struct statement, STATEMENTS_MAX),
                      .spans = VEC_INIT(struct span, STATEMENTS_MAX)};
    int code = E_OK;

    for (size_t i = 0; i < len && !code; i++) {
        struct vec *earlier = &facts[i]->earlier;

        code = add_statements(&s, facts[i], err);
        if (!code && (!vec_reserve(&s.spans, s.statements.len) ||
                      !vec_reserve(earlier, FACT_PERIODS_MAX - earlier->len)))
            code = err_set(err, E_NOMEM, "out of memory for a user's facts");
    }
    if (!code) {
        if (s.statements.len)
            qsort(s.statements.ptr, s.statements.len, s.statements.item_bytes, by_order);
        for (size_t i = 0; i < s.statements.len; i++)
            lay(&s, VEC_AT(&s.statements, struct statement, i));
        if (s.spans.len)
            qsort(s.spans.ptr, s.spans.len, s.spans.item_bytes, span_order);
        write_facts(&s, facts, len, now_ms);
    }
    vec_release(&s.statements);
    vec_release(&s.spans);
    return code;
}

int facts_settle_periods(struct fact_slot *const *slots, uint32_t len, bool one, int64_t now_ms,
                         struct err *err)
{
    struct vec facts = VEC_INIT(struct fact *, (size_t)GROUP_MAX * SLOT_VALUES_MAX);
    int code = E_OK;

    for (uint32_t i = 0; i < len && !code; i++)
        for (size_t k = 0; k < slots[i]->facts.len && !code; k++) {
            struct fact **place = vec_push(&facts);

            if (place)
                *place = fact_slot_at(slots[i], k);
            else
                code = err_set(err, E_NOMEM, "out of memory for a user's facts");
        }
    struct fact **list = facts.ptr;
    if (!code && one)
        code = sweep(list, facts.len, now_ms, err);
    for (size_t i = 0; i < facts.len && !one && !code; i++)
        code = sweep(&list[i], 1, now_ms, err);
    vec_release(&facts);
    return code;
}
