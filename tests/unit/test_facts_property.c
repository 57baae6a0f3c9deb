// SPDX-License-Identifier: MIT
// Books of facts against an oracle that knows all statements: whatever was said, in whatever order
// it comes to be known, however often, from two who consider at once, no value is there twice, what
// is so is what was said last, and periods do not overlap. FACTS_RUNS=n for more, FACTS_SEED=n for
// another seed.
#include "facts_kit.h"

#include "base/rand.h"

enum { STATEMENTS_MAX = 48, CLASSES = 4, CHUNK_MAX = 6, RUNS = 400, TELL_BYTES = 4096 };

// What is one value, in the ways people say it.
static const char *const words[CLASSES][3] = {
    {"Berlin", "berlin.", "in Berlin"},
    {"New York", "\"new  york\"", "in New York!"},
    {"Paris", "PARIS", "Paris,"},
    {"Oslo", "oslo", "in Oslo"},
};
// One value at a time, by two names; and several.
static const char *const names[] = {"lives_in", "residence", "likes"};
static char aliases[][MEMORY_PREDICATE_BYTES] = {"residence"};
static struct predicate_rule predicates[] = {
    {.name = "likes"},
    {.name = "lives_in", .one = true, .aliases = aliases, .aliases_len = 1},
};
static const struct memory_rules rules = {.on = true, .predicates = predicates,
                                          .predicates_len = 2};

struct statement {
    unsigned name, class, word;
    int64_t at;                  // each its own
    enum said how;
};

struct world {
    struct rand_sim rand;
    struct statement all[STATEMENTS_MAX];
    unsigned len;
};

static unsigned draw(struct world *w, unsigned below)
{
    return (unsigned)rand_below(&w->rand.rand, below);
}

static void make_world(struct world *w, uint64_t seed)
{
    rand_sim_init(&w->rand, seed);
    w->len = 1 + draw(w, STATEMENTS_MAX);
    unsigned few = 1 + draw(w, CLASSES);  // long stories of one value, too
    for (unsigned i = 0; i < w->len; i++)
        w->all[i] = (struct statement){draw(w, 3), draw(w, few), draw(w, 3), (int64_t)i + 1,
                                       draw(w, 4) == 0 ? HELD : draw(w, 5) == 0 ? NOT : SAID};
    for (unsigned i = w->len; i > 1; i--) {
        unsigned k = draw(w, i);
        struct statement s = w->all[k];

        w->all[k] = w->all[i - 1];
        w->all[i - 1] = s;
    }
}

static bool is_one(const struct statement *s)
{
    return s->name < 2;
}

// ---- the oracle

static int by_time(const void *a, const void *b)
{
    const struct statement *x = a, *y = b;

    return x->at < y->at ? -1 : x->at > y->at;
}

struct truth {
    bool active[2][CLASSES];     // of what takes one value, of what takes several
    unsigned turns[2][CLASSES];  // in which the user said so
    bool supported[2][CLASSES], known[2][CLASSES];
};

static struct truth truth_of(const struct world *w)
{
    struct statement sorted[STATEMENTS_MAX];
    struct truth t = {0};

    memcpy(sorted, w->all, w->len * sizeof(sorted[0]));
    qsort(sorted, w->len, sizeof(sorted[0]), by_time);
    for (unsigned i = 0; i < w->len; i++) {
        const struct statement *s = &sorted[i];
        unsigned g = is_one(s) ? 0 : 1;

        t.known[g][s->class] |= s->how != NOT;
        if (s->how == HELD)
            continue;
        t.supported[g][s->class] = true;
        t.turns[g][s->class] += s->how == SAID;
        for (unsigned c = 0; c < CLASSES && g == 0 && s->how == SAID; c++)
            t.active[g][c] = false;
        t.active[g][s->class] = s->how == SAID;
    }
    return t;
}

// ---- the books

static void consider(struct fact_book *b, const struct statement *s)
{
    struct fact_candidate c = facts_kit_said(names[s->name], words[s->class][s->word], s->at,
                                             s->how);

    facts_kit_consider(b, &c, s->how != HELD, &rules, 1000 + s->at);
}

static struct fact_book *copy_of(const struct fact_book *b)
{
    struct fact_book *copy = NULL;
    struct err err = ERR_INIT;

    assert_int_equal(fact_book_copy(&copy, b, &err), E_OK);
    return copy;
}

// Two processes with books of their own; what they write has one version.
struct process {
    struct fact_book *book;      // as it was read
    unsigned version;
};

static void reload(struct process *p, const struct fact_book *stored, unsigned version)
{
    fact_book_free(p->book);
    p->book = copy_of(stored);
    p->version = version;
}

// A chunk is considered on a copy, and written if nobody was first.
static void learn_chunk(struct world *w, struct process *p, struct fact_book **stored,
                        unsigned *version, unsigned from, unsigned len)
{
    bool dies = draw(w, 8) == 0;

    for (;;) {
        struct fact_book *next = copy_of(p->book);

        for (unsigned i = from; i < from + len && i < w->len; i++)
            consider(next, &w->all[i]);
        bool moved = p->version != *version;
        if (moved || dies) {
            fact_book_free(next);
            reload(p, *stored, *version);
            dies = false;
            continue;
        }
        if (fact_book_changed(next)) {
            fact_book_settle(next);
            fact_book_free(*stored);
            *stored = next;
            (*version)++;
            if (draw(w, 2))
                reload(p, *stored, *version);
        } else {
            fact_book_free(next);
        }
        return;
    }
}

// Everything at least once, by one or both, some of it again.
static struct fact_book *learn(struct world *w)
{
    struct fact_book *stored = facts_kit_book();
    struct process p[2] = {{copy_of(stored), 0}, {copy_of(stored), 0}};
    unsigned version = 0;

    for (unsigned at = 0; at < w->len;) {
        unsigned len = 1 + draw(w, CHUNK_MAX);

        learn_chunk(w, &p[draw(w, 2)], &stored, &version, at, len);
        if (draw(w, 3) == 0)
            learn_chunk(w, &p[draw(w, 2)], &stored, &version, draw(w, at + 1), len);
        at += len;
    }
    fact_book_free(p[0].book);
    fact_book_free(p[1].book);
    return stored;
}

// ---- against each other

static unsigned class_of(const struct fact *f)
{
    for (unsigned c = 0; c < CLASSES; c++)
        for (unsigned i = 0; i < 3; i++)
            if (slice_is(safe_slice(fact_value(f)), words[c][i]))
                return c;
    // White space is cleaned.
    return 1;
}

struct period {
    int64_t from, to;
};

static unsigned add_periods(const struct fact *f, struct period *out)
{
    unsigned n = 0;

    for (size_t i = 0; i < f->earlier.len; i++) {
        const struct fact_period *p = VEC_AT(&f->earlier, struct fact_period, i);

        out[n++] = (struct period){p->valid_from_ms, p->valid_to_ms};
    }
    out[n++] = (struct period){f->valid_from_ms, f->valid_to_ms ? f->valid_to_ms : INT64_MAX};
    return n;
}

static void check(const struct fact_book *b, const struct truth *t, uint64_t seed)
{
    struct fact_at at = FACT_AT_START;
    bool seen[2][CLASSES] = {{false}};
    struct period periods[CLASSES * FACT_PERIODS_MAX];
    unsigned len = 0;

    while (fact_book_next(b, &at)) {
        const struct fact *f = at.fact;
        unsigned g = strcmp(at.slot->predicate, "likes") == 0, c = class_of(f);

        if (seen[g][c])
            fail_msg("seed %llu: %s twice", (unsigned long long)seed, words[c][0]);
        seen[g][c] = true;
        if ((f->status == FACT_ACTIVE) != t->active[g][c] ||
            (f->status == FACT_QUARANTINED) == t->supported[g][c])
            fail_msg("seed %llu: %s is %s", (unsigned long long)seed, words[c][0],
                     fact_status_word(f->status));
        if (f->confirmations != t->turns[g][c])
            fail_msg("seed %llu: %s confirmed %u times, not %u", (unsigned long long)seed,
                     words[c][0], f->confirmations, t->turns[g][c]);
        if (f->status != FACT_QUARANTINED && g == 0)
            len += add_periods(f, periods + len);
        assert_true(f->evidence.len <= FACT_EVIDENCE_MAX);
    }
    for (unsigned i = 0; i < len; i++)
        for (unsigned k = 0; k < i; k++)
            if (periods[i].from < periods[i].to && periods[k].from < periods[k].to &&
                periods[i].from < periods[k].to && periods[k].from < periods[i].to)
                fail_msg("seed %llu: periods overlap", (unsigned long long)seed);
    for (unsigned g = 0; g < 2; g++)
        for (unsigned c = 0; c < CLASSES; c++)
            if ((t->known[g][c] || t->supported[g][c]) && !seen[g][c])
                fail_msg("seed %llu: %s is not there", (unsigned long long)seed, words[c][0]);
}

// Statuses and periods, value by value: what does not depend on the order.
static void tell(const struct fact_book *b, char *out)
{
    size_t n = 0;

    out[0] = '\0';
    for (unsigned c = 0; c < 2 * CLASSES; c++) {
        struct fact_at at = FACT_AT_START;

        while (fact_book_next(b, &at)) {
            const struct fact *f = at.fact;
            struct period p[FACT_PERIODS_MAX];

            if (c != class_of(f) + CLASSES * (strcmp(at.slot->predicate, "likes") == 0))
                continue;
            n += (size_t)snprintf(out + n, TELL_BYTES - n, "%u:%u", c, (unsigned)f->status);
            unsigned len = f->status == FACT_QUARANTINED ? 0 : add_periods(f, p);
            for (unsigned i = 0; i < len; i++)
                n += (size_t)snprintf(out + n, TELL_BYTES - n, "[%lld,%lld]",
                                      (long long)p[i].from, (long long)p[i].to);
        }
    }
}

static void run_world(uint64_t seed)
{
    static char random_order[TELL_BYTES], in_order[TELL_BYTES];
    struct world w;

    make_world(&w, seed);
    struct truth t = truth_of(&w);
    struct fact_book *b = learn(&w), *sorted = facts_kit_book();
    check(b, &t, seed);
    qsort(w.all, w.len, sizeof(w.all[0]), by_time);
    for (unsigned i = 0; i < w.len; i++)
        consider(sorted, &w.all[i]);
    check(sorted, &t, seed);
    tell(b, random_order);
    tell(sorted, in_order);
    if (strcmp(random_order, in_order) != 0)
        fail_msg("seed %llu: %s, but in order %s", (unsigned long long)seed, random_order,
                 in_order);
    fact_book_free(b);
    fact_book_free(sorted);
}

static void test_facts_property__any_order(void **state)
{
    const char *runs = getenv("FACTS_RUNS"), *seed = getenv("FACTS_SEED");
    uint64_t first = seed ? strtoull(seed, NULL, 10) : 1;
    uint64_t n = runs ? strtoull(runs, NULL, 10) : RUNS;

    (void)state;
    for (uint64_t i = 0; i < n; i++)
        run_world(first + i);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_facts_property__any_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
