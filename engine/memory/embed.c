// SPDX-License-Identifier: MIT
// embed.c: embeddings that come after their messages: which ones lack theirs, and giving them to
// the segment that holds them now, wherever it was merged to meanwhile. And how far they are to be
// believed.
//
// A tail has none: it is sealed before what it holds is embedded. A segment that gets some is
// written anew as a whole.
#include "base/mem.h"
#include "memory/recall_int.h"

int recall_set_space(struct recall *r, const struct recall_space *space, struct err *err)
{
    if (space->dims > SEGMENT_DIMS_MAX)
        return err_set(err, E_USAGE, "memory: embeddings of %u dimensions; up to %d can be kept",
                       space->dims, SEGMENT_DIMS_MAX);
    if (space->dims == r->about.dims && space->id == r->about.space)
        return E_OK;
    int8_t *quantised = mem_alloc(space->dims);
    if (!quantised)
        return err_set(err, E_NOMEM, "memory: out of memory for embeddings");
    mem_free(r->quantised);
    r->quantised = quantised;
    r->about.dims = space->dims;
    r->about.space = space->id;
    segment_builder_space(r->tail, space->dims, space->id);
    recall_drop_tail_view(r);
    r->docs_cap = 0;  // a query's room depends on whether there are vectors
    return E_OK;
}

uint32_t recall_dims(const struct recall *r)
{
    return r->about.dims;
}

static size_t sealed(const struct recall *r)
{
    return r->pieces.len - r->tail_viewed;
}

static uint32_t lacking_in(const struct recall *r, const struct segment *s, unsigned kinds,
                           struct recall_message *out, uint32_t max)
{
    bool same = s->space == r->about.space && s->dims == r->about.dims;
    uint32_t n = 0;

    for (uint32_t i = 0; i < s->docs_len && n < max; i++) {
        const struct doc *d = &s->docs[i];
        if (s->dead[i] || !(kinds & 1U << d->kind) ||
            (same && d->flags & (DOC_HAS_VECTOR | DOC_NO_VECTOR)))
            continue;
        out[n++] = (struct recall_message){d->kind, s->sessions[d->session].id, d->turn, d->step};
    }
    return n;
}

uint32_t recall_lacking(const struct recall *r, unsigned kinds, struct recall_message *out,
                        uint32_t max)
{
    uint32_t n = 0;
    for (size_t i = sealed(r); i > 0 && n == 0; i--)
        n = lacking_in(r, VEC_AT(&r->pieces, struct piece, i - 1)->segment, kinds, out, max);
    return n;
}

// What is given, by document of one segment.
struct gift {
    const int8_t **given;
    uint8_t *refused;
    int8_t *bytes;  // of the vectors, in the order of the list
};

static void gift_release(struct gift *g)
{
    mem_free(g->given);
    mem_free(g->refused);
    mem_free(g->bytes);
    *g = (struct gift){0};
}

static bool is_message(const struct segment *s, const struct doc *d,
                       const struct recall_message *m)
{
    return d->turn == m->turn && d->step == m->step && d->kind == m->kind &&
           slice_eq(s->sessions[d->session].id, m->session);
}

// How many of the list are in this segment.
static uint32_t match(const struct recall *r, const struct segment *s,
                      const struct recall_embedded *list, uint32_t len, struct gift *g)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < s->docs_len; i++) {
        uint32_t k = 0;
        while (k < len && !is_message(s, &s->docs[i], &list[k].message))
            k++;
        if (k == len || s->dead[i])
            continue;
        if (list[k].vector)
            g->given[i] = g->bytes + (size_t)k * r->about.dims;
        else
            g->refused[i] = 1;
        n++;
    }
    return n;
}

static int make_anew(struct recall *r, struct piece *p, const struct gift *g,
                     struct recall_change *change, struct err *err)
{
    char *bytes = NULL;
    size_t len = 0;
    struct segment *s = NULL;
    int rc = segment_embed(p->segment, g->given, g->refused, &r->about, &bytes, &len, err);

    if (!rc)
        rc = segment_parse(&s, bytes, len, err);
    if (rc)
        return rc;
    segment_free(p->segment);
    p->segment = s;
    r->placed = false;
    change->put = p->number;
    change->bytes = slice_of(s->bytes, s->bytes_len);
    return 1;
}

int recall_embed(struct recall *r, const struct recall_embedded *list, uint32_t len,
                 struct recall_change *change, struct err *err)
{
    struct gift g = {.bytes = mem_calloc((size_t)len * r->about.dims, 1)};
    int rc = g.bytes ? 0 : err_set(err, E_NOMEM, "memory: out of memory for embeddings");

    *change = (struct recall_change){0};
    for (uint32_t k = 0; k < len && !rc; k++) {
        if (list[k].vector)
            vector_quantise(list[k].vector, r->about.dims, g.bytes + (size_t)k * r->about.dims);
    }
    for (size_t i = sealed(r); i > 0 && !rc; i--) {
        struct piece *p = VEC_AT(&r->pieces, struct piece, i - 1);
        mem_free(g.given);
        mem_free(g.refused);
        g.given = mem_calloc(p->segment->docs_len, sizeof(*g.given));
        g.refused = mem_zalloc(p->segment->docs_len);
        if (!g.given || !g.refused)
            rc = err_set(err, E_NOMEM, "memory: out of memory for embeddings");
        else if (match(r, p->segment, list, len, &g))
            rc = make_anew(r, p, &g, change, err);
    }
    gift_release(&g);
    return rc;
}

// ---- trust

enum {
    TRUST_ONE = 256,
    TRUST_PAIRS = 512,      // looked at
    TRUST_PRIOR = 128,      // believed before anything is known …
    TRUST_PRIOR_PAIRS = 16  // … as if seen in so many pairs
};

struct moments {
    int64_t sum, squares, n;
};

static void note(struct moments *m, int64_t cosine)
{
    m->sum += cosine;
    m->squares += cosine * cosine;
    m->n++;
}

// NULL: it has none that compares.
static const int8_t *vector_at(const struct recall *r, uint32_t at, uint32_t *norm)
{
    const struct piece *p;
    const struct doc *d = recall_doc(r, at, &p);
    const struct segment *s = p->segment;

    if (r->places[at].dead || !(d->flags & DOC_HAS_VECTOR) || s->dims != r->about.dims ||
        s->space != r->about.space)
        return NULL;
    *norm = segment_norm(s, d->vector);
    return s->vectors + (size_t)d->vector * s->dims;
}

static void compare(const struct recall *r, uint32_t a, uint32_t b, struct moments *m)
{
    uint32_t norm_a, norm_b;
    const int8_t *x = vector_at(r, a, &norm_a), *y = vector_at(r, b, &norm_b);

    if (x && y)
        note(m, vector_cosine(x, norm_a, y, norm_b, r->about.dims));
}

static int64_t root_of(int64_t n)
{
    int64_t root = 0;
    for (int64_t bit = (int64_t)1 << 30; bit; bit >>= 1)
        if ((root | bit) * (root | bit) <= n)
            root |= bit;
    return root;
}

// What is said in a row is about one thing, mostly: a model that understands anything puts such
// messages closer together than any two. By how many standard deviations of the latter, up to one,
// is what it is worth. Noise gets nothing, whatever its numbers look like.
uint32_t recall_trust(struct recall *r)
{
    struct moments beside = {0}, any = {0};
    uint32_t docs = r->docs_len, step = docs / TRUST_PAIRS + 1;

    if (r->trust != TRUST_UNKNOWN)
        return r->trust;
    for (uint32_t at = 0; at + 1 < docs; at += step) {
        uint32_t next = recall_after(r, at);
        if (next != PLACE_NONE)
            compare(r, at, next, &beside);
        compare(r, at, (uint32_t)(((uint64_t)at * 7919 + docs / 2) % docs), &any);
    }
    int64_t seen = 0;
    if (beside.n && any.n > 1) {
        int64_t mean = any.sum / any.n;
        int64_t spread = root_of(any.squares / any.n - mean * mean);
        seen = (beside.sum / beside.n - mean) * TRUST_ONE / (spread ? spread : 1);
        seen = seen < 0 ? 0 : seen > TRUST_ONE ? TRUST_ONE : seen;
    }
    r->trust = (uint32_t)((seen * beside.n + TRUST_PRIOR * TRUST_PRIOR_PAIRS) /
                          (beside.n + TRUST_PRIOR_PAIRS));
    return r->trust;
}
