// SPDX-License-Identifier: MIT
// rank.c: the ranking. All integers; scores in 1/2^20 of a nat of idf.
//
// For each term t of the query, what message d has of it is
//
//     x(d)    = Σ over messages m of the same session, up to `reach` away:
//                   near(d, m) · tf(t, m) / norm(m)
//     norm(m) = 1 - b + b · words(m) / average words
//
// and the lexical score of d is  Σ over t:  weight(t) · x / (x + k1),  times the factors below.
// That is BM25 with the talk around a message as a part of it. A term that was said nearby makes up
// for one that the message leaves out, as people do not repeat what has just been said; adding up
// before saturating keeps a subject of ten messages from counting ten times.
//
// With an embedding, score = lexical / most lexical + trust · cosine part · near, where near is
// (c - mean) / (best - mean), from 0 to 1, spread like words to what was said around it. Most is
// the best lexical score, but no less than what a word that nobody said before is worth, said once:
// where the best has only "the" of the question, words do not know, and meaning decides. Trust is a
// figure of the index (embed.c): how well the model tells talk that belongs together from talk that
// does not; one that cannot changes nothing. Ranks alone (reciprocal rank fusion) would throw away
// what both say about how far the first is ahead: one rare word that matches is much, a flat field
// of cosines is nothing.
#include "memory/recall_int.h"

#include "base/mem.h"

enum {
    ONE = 256,
    X_ONE = 4096,              // of x while it is added up
    X_STEPS = 256,             // of x when it saturates …
    X_MAX = 16 * X_STEPS - 1,  // … up to here
    WORDS_MAX = 1024,          // longer messages are not punished further
    SATURATED_BITS = 12,
    SCORE_BITS = 20,  // 8 of the weight, 12 of saturation
    FUSED_BITS = 16,
    FEW_VECTORS = 2,
};

// Why these, in terms of what talk is like. They were looked for one at a time, in coarse steps,
// over three conversations side by side, kept where none of the three lost by them, and rounded;
// the tops are flat. bench_recall prints what each part is worth.
const struct rank_rules rank_rules_default = {
    .k1 = 58,             // 0.9: a second mention adds little
    .b = 102,             // 0.4: longer messages mostly say more, not only more words
    .before = 115,        // 0.45: a message leans on what was said before it,
    .asked_before = 184,  // 0.72: most of all when that was a question, which it answers,
    .after = 77,          // 0.3: and less on what comes after
    .fade = 141,          // 0.55: a subject holds for a handful of messages
    .reach = 4,
    .minor = 64,     // 1/4: "what did" shapes the question
    .variant = 128,  // 1/2: a guess
    .speaker = 51,   // 0.2: who is asked about mostly said it, but others speak of them too
    .month = 128,
    .day = 256,
    .year = 38,    // when it was said: about when it was
    .asking = 51,  // 0.2: what ends in a question tells little
    .recent = 8,   // 1/32: decides between equals
    .recent_ms = 30LL * 24 * 3600 * 1000,
    .confirmed = 32,  // 1/8: of two memories that say as much the one that was borne out of late;
    .confirmed_ms = 90LL * 24 * 3600 * 1000,  // by when one is stale, half of it is gone
    .cosine = 192,  // with a trust of about a half: word vectors' and hashed letters' alike
};

struct tables {
    uint32_t scale[WORDS_MAX];      // 1 / norm by words, in 1/X_ONE
    uint32_t saturated[X_MAX + 1];  // x / (x + k1) in 1/4096, by x in 1/X_STEPS
};

static void make_tables(struct tables *t, const struct recall *r)
{
    const struct rank_rules *rules = r->rules;
    uint64_t average = r->live ? r->words * 16 / r->live : 16;

    average = average ? average : 1;
    for (uint64_t n = 0; n < WORDS_MAX; n++) {
        uint64_t norm = (ONE - rules->b) * average + rules->b * n * 16;
        t->scale[n] = (uint32_t)(X_ONE * ONE * average / (norm ? norm : 1));
    }
    for (uint32_t x = 0; x <= X_MAX; x++)
        t->saturated[x] = (x << SATURATED_BITS) / (x + rules->k1 * (X_STEPS / 64));
}

static uint32_t saturated(const struct tables *t, uint32_t x)
{
    x /= X_ONE / X_STEPS;
    return t->saturated[x < X_MAX ? x : X_MAX];
}

// Adds one message's occurrences of a term to x, its own and its neighbours'.
static void spread(const struct recall *r, uint32_t at, uint32_t own, uint32_t *x)
{
    const struct rank_rules *rules = r->rules;
    uint32_t fading = own * rules->before / ONE;
    uint32_t part = r->places[at].flags & DOC_ASKS ? own * rules->asked_before / ONE : fading;

    x[at] += own;
    uint32_t next = recall_after(r, at);
    for (uint32_t i = 1; i <= rules->reach && next != PLACE_NONE; i++) {
        x[next] += part;
        part = fading = fading * rules->fade / ONE;
        next = recall_after(r, next);
    }
    fading = own * rules->after / ONE;
    next = recall_before(r, at);
    for (uint32_t i = 1; i <= rules->reach && next != PLACE_NONE; i++) {
        x[next] += fading;
        fading = fading * rules->fade / ONE;
        next = recall_before(r, next);
    }
}

// x of every message for one term, in 1/X_ONE; own_only: without what is around it.
static void measure(const struct recall *r, const struct tables *tables, const struct ask_term *t,
                    bool own_only, uint32_t *x)
{
    memset(x, 0, r->docs_len * sizeof(*x));
    for (size_t i = 0; i < r->pieces.len; i++) {
        const struct piece *piece = VEC_AT(&r->pieces, struct piece, i);
        for (uint32_t k = 0; k < t->variants_len; k++) {
            struct term_entry e;
            if (!segment_find(piece->segment, t->variants[k].text, &e))
                continue;
            struct postings p = postings_of(&e);
            while (postings_next(&p)) {
                uint32_t at = piece->base + p.doc;
                const struct place *place = &r->places[at];
                if (place->dead)
                    continue;
                uint32_t words = place->words < WORDS_MAX ? place->words : WORDS_MAX - 1;
                uint32_t tf = p.tf < ONE ? p.tf : ONE;
                uint32_t own = tf * tables->scale[words] * t->variants[k].part / ONE;
                if (own_only)
                    x[at] += own;
                else
                    spread(r, at, own, x);
            }
        }
    }
}

static void score_terms(struct recall *r, const struct tables *tables, const struct ask *a)
{
    memset(r->score, 0, r->docs_len * sizeof(*r->score));
    for (uint32_t i = 0; i < a->len; i++) {
        measure(r, tables, &a->list[i], false, r->weight);
        for (uint32_t d = 0; d < r->docs_len; d++)
            if (r->weight[d])
                r->score[d] += a->list[i].weight * saturated(tables, r->weight[d]);
    }
}

// ---- factors

struct factors {
    uint32_t speaker, date, recency, asking;  // in 1/256
};

static uint32_t date_factor(const struct rank_rules *rules, const struct ask *a, int64_t at_ms)
{
    uint32_t year, month, day;

    if (!a->month && !a->year)
        return ONE;
    date_of(at_ms, &year, &month, &day);
    if ((a->month && a->month != month) || (a->year && a->year != year))
        return ONE;
    if (a->day && a->day == day)
        return ONE + rules->day;
    return ONE + (a->month ? rules->month : rules->year);
}

// What is gained now halves with every half_ms that passed since.
static uint32_t recency_factor(uint32_t gained, int64_t half_ms, int64_t now_ms, int64_t at_ms)
{
    uint64_t age = now_ms > at_ms ? (uint64_t)now_ms - (uint64_t)at_ms : 0;
    uint64_t halvings = age / (uint64_t)half_ms, rest = age % (uint64_t)half_ms;

    if (halvings > 16)
        return ONE;
    // A straight line between two halvings.
    uint32_t gain = gained * ONE >> halvings;
    gain -= (uint32_t)(gain / 2 * rest / (uint64_t)half_ms);
    return ONE + gain / ONE;
}

static struct factors factors_of(const struct recall *r, const struct ask *a, int64_t now_ms,
                                 const struct piece *p, const struct doc *d)
{
    const struct segment *s = p->segment;
    const struct rank_rules *rules = r->rules;
    bool turn = d->kind == RECALL_TURN;
    uint32_t recency = recency_factor(turn ? rules->recent : rules->confirmed,
                                      turn ? rules->recent_ms : rules->confirmed_ms, now_ms,
                                      d->at_ms);
    struct factors f = {ONE, date_factor(rules, a, d->at_ms), recency, ONE};

    if (a->speaker.len && d->speaker && slice_eq(s->speakers[d->speaker - 1], a->speaker))
        f.speaker += rules->speaker;
    if (d->flags & DOC_ENDS_ASKING)
        f.asking -= rules->asking;
    return f;
}

static uint32_t with_factors(uint32_t score, const struct factors *f)
{
    uint64_t s = score;
    s = s * f->speaker / ONE;
    s = s * f->date / ONE;
    s = s * f->recency / ONE;
    s = s * f->asking / ONE;
    return s < UINT32_MAX ? (uint32_t)s : UINT32_MAX;
}

// ---- who may be found

static bool turned_away(const struct recall_query *q, const struct doc *d,
                        const struct doc_session *session)
{
    if (q->kinds && !(q->kinds & 1U << d->kind))
        return true;
    struct slice context = d->kind == RECALL_TURN ? q->scope.context : q->scope.context_key;
    bool everywhere = d->kind != RECALL_TURN &&
                      (session->context.len == 0 || q->any_context & 1U << d->kind);
    if (q->scope.context.ptr && !everywhere && !slice_eq(context, session->context))
        return true;
    return q->not_session.len && d->kind == RECALL_TURN && d->turn >= q->not_from &&
           slice_eq(q->not_session, session->id);
}

static void mark_away(struct recall *r, const struct recall_query *q)
{
    struct place *place = r->places;

    for (size_t i = 0; i < r->pieces.len; i++) {
        const struct segment *s = VEC_AT(&r->pieces, struct piece, i)->segment;
        for (uint32_t k = 0; k < s->docs_len; k++, place++) {
            const struct doc *d = &s->docs[k];
            bool away = place->dead || turned_away(q, d, &s->sessions[d->session]);
            place->flags = (uint8_t)((place->flags & ~PLACE_AWAY) | (away ? PLACE_AWAY : 0));
        }
    }
}

static uint32_t best_of(const struct recall *r, const uint32_t *scores)
{
    uint32_t best = 0;
    for (uint32_t at = 0; at < r->docs_len; at++)
        if (scores[at] > best && !(r->places[at].flags & PLACE_AWAY))
            best = scores[at];
    return best;
}

// Applies the factors, and takes out what may not be found.
static void finish(struct recall *r, const struct ask *a, const struct recall_query *q,
                   uint32_t *scores)
{
    uint32_t at = 0;

    for (size_t i = 0; i < r->pieces.len; i++) {
        const struct piece *p = VEC_AT(&r->pieces, struct piece, i);
        for (uint32_t k = 0; k < p->segment->docs_len; k++, at++) {
            if (!scores[at])
                continue;
            struct factors f = factors_of(r, a, q->now_ms, p, &p->segment->docs[k]);
            bool away = r->places[at].flags & PLACE_AWAY;
            scores[at] = away ? 0 : with_factors(scores[at], &f);
        }
    }
}

// ---- embeddings

enum { NO_COSINE = INT32_MIN };

// Cosines of what has a vector, and the mean and the best of them. False: there are none.
static bool measure_cosines(struct recall *r, const int8_t *query, int32_t *mean, int32_t *best)
{
    uint32_t dims = r->about.dims, norm = vector_norm(query, dims), at = 0, n = 0;
    int64_t sum = 0;

    *best = NO_COSINE;
    for (size_t i = 0; i < r->pieces.len; i++) {
        const struct segment *s = VEC_AT(&r->pieces, struct piece, i)->segment;
        bool same = s->dims == dims && s->space == r->about.space;
        for (uint32_t k = 0; k < s->docs_len; k++, at++) {
            const struct doc *d = &s->docs[k];
            r->cosine[at] = NO_COSINE;
            if (!same || !(d->flags & DOC_HAS_VECTOR) || r->places[at].dead)
                continue;
            int32_t c = vector_cosine(query, norm, s->vectors + (size_t)d->vector * dims,
                                      segment_norm(s, d->vector), dims);
            r->cosine[at] = c;
            *best = c > *best ? c : *best;
            sum += c;
            n++;
        }
    }
    // Of very few the mean says little: without the rest of it the only one would be no hit.
    *mean = (int32_t)(sum / (n + FEW_VECTORS));
    return n > 0;
}

// Lexical scores and cosines together, in 1/2^16, before the factors.
// The least best score by which words know anything: one word that is as rare as can be, in a
// message that says it once.
static uint32_t least_known(const struct ask *a)
{
    return a->rarest << (SATURATED_BITS - 1);
}

// Returns the lexical score that counts as one.
static uint32_t fuse(struct recall *r, const struct ask *a, int32_t mean, int32_t best)
{
    uint32_t part = r->rules->cosine * recall_trust(r) / ONE;
    uint64_t span = best > mean ? (uint64_t)((int64_t)best - mean) : 1;

    memset(r->fused, 0, r->docs_len * sizeof(*r->fused));
    for (uint32_t at = 0; at < r->docs_len; at++)
        if (r->cosine[at] != NO_COSINE && r->cosine[at] > mean) {
            uint64_t near = (uint64_t)((int64_t)r->cosine[at] - mean) << FUSED_BITS;
            spread(r, at, (uint32_t)(near / span), r->fused);
        }
    uint32_t best_near = best_of(r, r->fused), best_lexical = best_of(r, r->score);
    uint32_t least = least_known(a);
    best_lexical = best_lexical > least ? best_lexical : least;
    for (uint32_t at = 0; at < r->docs_len; at++) {
        uint64_t near = best_near ? ((uint64_t)r->fused[at] << FUSED_BITS) / best_near : 0;
        uint64_t lexical = best_lexical ? ((uint64_t)r->score[at] << FUSED_BITS) / best_lexical : 0;
        r->fused[at] = (uint32_t)(lexical + near * part / ONE);
    }
    return best_lexical;
}

// ---- the best

struct chosen {
    uint32_t at, score;
};

// Keeps the k best in order, newest first among equals; returns how many.
static uint32_t choose(const uint32_t *scores, uint32_t docs, uint32_t k, struct chosen *out)
{
    uint32_t len = 0;

    for (uint32_t at = 0; at < docs; at++) {
        uint32_t score = scores[at], to = len;
        if (!score || (len == k && score < out[k - 1].score))
            continue;
        while (to > 0 && out[to - 1].score <= score)
            to--;
        if (to == k)
            continue;
        len += len < k;
        memmove(&out[to + 1], &out[to], (len - 1 - to) * sizeof(*out));
        out[to] = (struct chosen){at, score};
    }
    return len;
}

static uint32_t thousandths(uint64_t n, unsigned bits)
{
    n = n * 1000 >> bits;
    return n < UINT32_MAX ? (uint32_t)n : UINT32_MAX;
}

// Tokens of all messages of this one's turn.
static uint32_t tokens_of_turn(const struct recall *r, uint32_t at, const struct doc *d)
{
    const struct piece *p;
    uint64_t sum = d->tokens;

    for (uint32_t i = recall_before(r, at); i != PLACE_NONE; i = recall_before(r, i)) {
        const struct doc *other = recall_doc(r, i, &p);
        if (other->turn != d->turn)
            break;
        sum += r->places[i].dead ? 0 : other->tokens;
    }
    for (uint32_t i = recall_after(r, at); i != PLACE_NONE; i = recall_after(r, i)) {
        const struct doc *other = recall_doc(r, i, &p);
        if (other->turn != d->turn)
            break;
        sum += r->places[i].dead ? 0 : other->tokens;
    }
    return sum < UINT32_MAX ? (uint32_t)sum : UINT32_MAX;
}

static void fill_hit(const struct recall *r, const struct ask *a, const struct recall_query *q,
                     uint32_t at, struct recall_hit *hit)
{
    const struct piece *p;
    const struct doc *d = recall_doc(r, at, &p);
    struct factors f = factors_of(r, a, q->now_ms, p, d);

    *hit = (struct recall_hit){
        .kind = d->kind,
        .session = p->segment->sessions[d->session].id,
        .context = p->segment->sessions[d->session].context,
        .turn = d->turn,
        .step = d->step,
        .at_ms = d->at_ms,
        .tokens = d->tokens,
        .turn_tokens = tokens_of_turn(r, at, d),
        .speaker = (uint16_t)f.speaker,
        .date = (uint16_t)f.date,
        .recency = (uint16_t)f.recency,
        .asking = (uint16_t)f.asking,
    };
}

_Static_assert((int)RECALL_TERM_BYTES > (int)TERM_BYTES_MAX, "room for any term and its NUL");

static void copy_term(char out[RECALL_TERM_BYTES], struct slice text)
{
    memcpy(out, text.ptr, text.len);
    out[text.len] = '\0';
}

// Takes a term's part into a hit's reasons, the largest first.
static void offer_why(struct recall_hit *hit, const struct ask_term *t, uint32_t own,
                      uint32_t around)
{
    unsigned at = hit->why_len;

    while (at > 0 && hit->why[at - 1].own + hit->why[at - 1].around < own + around)
        at--;
    if (at == RECALL_WHY_MAX)
        return;
    unsigned moved = hit->why_len - at;
    if (hit->why_len < RECALL_WHY_MAX)
        hit->why_len++;
    else
        moved--;
    memmove(&hit->why[at + 1], &hit->why[at], moved * sizeof(*hit->why));
    hit->why[at] = (struct recall_why){.own = own, .around = around};
    copy_term(hit->why[at].term, t->variants[0].text);
    if (!slice_eq(t->variants[0].text, t->text))
        copy_term(hit->why[at].asked, t->text);
}

// Measures every term again, for the messages that were chosen.
static void explain(struct recall *r, const struct tables *tables, const struct ask *a,
                    const struct chosen *chosen, struct recall_hit *hits, uint32_t len)
{
    // The scores are told; their place serves for what a term has of its own.
    for (uint32_t i = 0; i < a->len; i++) {
        const struct ask_term *t = &a->list[i];
        measure(r, tables, t, false, r->weight);
        measure(r, tables, t, true, r->score);
        for (uint32_t k = 0; k < len; k++) {
            uint32_t all = t->weight * saturated(tables, r->weight[chosen[k].at]);
            uint32_t own = t->weight * saturated(tables, r->score[chosen[k].at]);
            if (all)
                offer_why(&hits[k], t, thousandths(own, SCORE_BITS),
                          thousandths(all - own, SCORE_BITS));
        }
    }
}

// ---- a query

static int check(const struct recall *r, const struct recall_query *q, struct err *err)
{
    if (!slice_eq(q->scope.partition, r->about.partition) || !slice_eq(q->scope.bot, r->about.bot))
        return err_set(err, E_REFUSED, "memory: recall asked of another user or bot");
    if (q->k == 0 || q->k > RECALL_HITS_MAX)
        return err_set(err, E_USAGE, "memory: recall of %u messages; 1 to %d can be asked for",
                       q->k, RECALL_HITS_MAX);
    return E_OK;
}

// The factors are the same for words and meaning, so that what words do not explain is meaning's.
static void tell_meaning(const struct recall *r, const struct chosen *c, uint32_t best_lexical,
                         struct recall_hit *hit)
{
    uint64_t lexical = best_lexical ? ((uint64_t)r->score[c->at] << FUSED_BITS) / best_lexical : 0;

    hit->fused = true;
    hit->meaning = c->score > lexical ? thousandths(c->score - lexical, FUSED_BITS) : 0;
    if (r->cosine[c->at] != NO_COSINE)
        hit->cosine = (int32_t)((int64_t)r->cosine[c->at] * 1000 / 32768);
}

static void rank(struct recall *r, const struct tables *tables, const struct ask *a,
                 const struct recall_query *q, struct recall_hit *hits, uint32_t *len)
{
    struct chosen chosen[RECALL_HITS_MAX];
    int32_t mean = 0, best_cosine = 0;
    uint32_t best_lexical = 0;
    bool fused = false;

    mark_away(r, q);
    score_terms(r, tables, a);
    if (q->vector && r->about.dims) {
        vector_quantise(q->vector, r->about.dims, r->quantised);
        fused = measure_cosines(r, r->quantised, &mean, &best_cosine);
    }
    if (fused) {
        best_lexical = fuse(r, a, mean, best_cosine);
        finish(r, a, q, r->fused);
    }
    finish(r, a, q, r->score);
    *len = choose(fused ? r->fused : r->score, r->docs_len, q->k, chosen);
    for (uint32_t i = 0; i < *len; i++) {
        uint32_t at = chosen[i].at;
        fill_hit(r, a, q, at, &hits[i]);
        hits[i].score = thousandths(chosen[i].score, fused ? FUSED_BITS : SCORE_BITS);
        hits[i].lexical = thousandths(r->score[at], SCORE_BITS);
        if (fused)
            tell_meaning(r, &chosen[i], best_lexical, &hits[i]);
    }
    if (q->explain)
        explain(r, tables, a, chosen, hits, *len);
}

int recall_query(struct recall *r, const struct recall_query *q, struct recall_hit *hits,
                 uint32_t *len, struct err *err)
{
    struct ask a;

    *len = 0;
    int rc = check(r, q, err);
    if (!rc)
        rc = recall_view(r, err);
    if (rc)
        return rc;
    struct tables *tables = mem_alloc(sizeof(*tables));
    if (!tables)
        return err_set(err, E_NOMEM, "memory: out of memory while asking the recall index");
    make_tables(tables, r);
    rc = ask_read(&a, r, q->text, err);
    if (!rc)
        rank(r, tables, &a, q, hits, len);
    ask_release(&a);
    mem_free(tables);
    return rc;
}

uint32_t recall_fit(const struct recall_hit *hits, uint32_t len, uint32_t k, uint32_t budget_tokens,
                    uint32_t *out)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < len && n < k; i++) {
        bool taken = hits[i].turn_tokens > budget_tokens;
        for (uint32_t j = 0; j < n && !taken; j++) {
            const struct recall_hit *other = &hits[out[j]];
            taken = other->kind == hits[i].kind && other->turn == hits[i].turn &&
                    slice_eq(other->session, hits[i].session);
        }
        if (taken)
            continue;
        budget_tokens -= hits[i].turn_tokens;
        out[n++] = i;
    }
    return n;
}
