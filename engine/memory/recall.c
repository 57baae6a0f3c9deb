// SPDX-License-Identifier: MIT
// recall.c: what the index holds: the tail, segments, what was forgotten. The ranking is in rank.c.
#include "memory/recall_int.h"

#include "base/mem.h"
#include "base/utf8.h"

static int copy_about(struct recall *r, const struct recall_scope *scope,
                      const struct recall_space *space, struct err *err)
{
    buf_init(&r->names, (size_t)2 * SEGMENT_NAME_BYTES_MAX);
    buf_add_slice(&r->names, scope->partition);
    buf_add_slice(&r->names, scope->bot);
    int rc = buf_check(&r->names, "memory: the names of a recall index", err);
    if (rc)
        return rc;
    r->about = (struct segment_about){
        .partition = slice_of(r->names.ptr, scope->partition.len),
        .bot = slice_of(r->names.ptr + scope->partition.len, scope->bot.len),
        .dims = space->dims,
        .space = space->id,
    };
    return E_OK;
}

int recall_new(struct recall **out, const struct recall_scope *scope,
               const struct recall_space *space, struct err *err)
{
    *out = NULL;
    if (!scope->partition.len || scope->partition.len > SEGMENT_NAME_BYTES_MAX || !scope->bot.len ||
        scope->bot.len > SEGMENT_NAME_BYTES_MAX)
        return err_set(err, E_USAGE, "memory: recall needs a user and a bot, of up to %d bytes",
                       SEGMENT_NAME_BYTES_MAX);
    if (space->dims > SEGMENT_DIMS_MAX)
        return err_set(err, E_USAGE, "memory: embeddings of %u dimensions; up to %d can be kept",
                       space->dims, SEGMENT_DIMS_MAX);
    struct recall *r = mem_zalloc(sizeof(*r));
    if (!r)
        return err_set(err, E_NOMEM, "memory: out of memory while opening a recall index");
    vec_init(&r->pieces, sizeof(struct piece), RECALL_SEGMENTS_MAX + 1);
    vec_init(&r->tail_dead, 1, SEGMENT_DOCS_MAX);
    terms_init(&r->terms);
    terms_init(&r->speaker);
    buf_init(&r->speaker_text, SEGMENT_NAME_BYTES_MAX);
    r->next_number = 1;
    r->rules = &rank_rules_default;
    int rc = copy_about(r, scope, space, err);
    if (!rc)
        rc = segment_builder_new(&r->tail, &r->about, err);
    r->quantised = mem_alloc(space->dims);
    if (!rc && !r->quantised)
        rc = err_set(err, E_NOMEM, "memory: out of memory while opening a recall index");
    if (rc) {
        recall_free(r);
        return rc;
    }
    *out = r;
    return E_OK;
}

void recall_free(struct recall *r)
{
    if (!r)
        return;
    for (size_t i = 0; i < r->pieces.len; i++)
        segment_free(VEC_AT(&r->pieces, struct piece, i)->segment);
    vec_release(&r->pieces);
    vec_release(&r->tail_dead);
    segment_builder_free(r->tail);
    terms_release(&r->terms);
    terms_release(&r->speaker);
    buf_release(&r->speaker_text);
    buf_release(&r->names);
    mem_free(r->quantised);
    mem_free(r->places);
    mem_free(r->weight);
    mem_free(r->score);
    mem_free(r->cosine);
    mem_free(r->fused);
    mem_free(r);
}

// ---- the tail

static bool asks(struct slice text, bool at_end)
{
    static const char *const marks[] = {"?", "\xef\xbc\x9f", "\xd8\x9f"};  // ? ？ ؟

    while (text.len && strchr(" \t\r\n)\"'*_", text.ptr[text.len - 1]))
        text.len--;
    for (size_t i = 0; i < sizeof(marks) / sizeof(*marks); i++) {
        size_t n = strlen(marks[i]);
        if (at_end ? text.len >= n && memcmp(text.ptr + text.len - n, marks[i], n) == 0
                   : text.len && memmem(text.ptr, text.len, marks[i], n) != NULL)
            return true;
    }
    return false;
}

// The speaker's name as terms with spaces between them.
static int read_speaker(struct recall *r, struct slice name, struct err *err)
{
    int rc = terms_read(&r->speaker, name, err);
    buf_clear(&r->speaker_text);
    for (size_t i = 0; i < r->speaker.list.len && !rc; i++) {
        struct slice term = term_text(&r->speaker, VEC_AT(&r->speaker.list, struct term, i));
        if (r->speaker_text.len + term.len + 1 > SEGMENT_NAME_BYTES_MAX)
            break;
        if (i)
            buf_add_char(&r->speaker_text, ' ');
        buf_add_slice(&r->speaker_text, term);
    }
    return rc ? rc : buf_check(&r->speaker_text, "memory: a speaker's name", err);
}

void recall_drop_tail_view(struct recall *r)
{
    if (r->tail_viewed) {
        struct piece *last = VEC_AT(&r->pieces, struct piece, r->pieces.len - 1);
        segment_free(last->segment);
        vec_remove(&r->pieces, r->pieces.len - 1);
        r->tail_viewed = false;
    }
    r->placed = false;
}

static void clear_tail(struct recall *r)
{
    segment_builder_clear(r->tail);
    vec_clear(&r->tail_dead);
}

static uint32_t all_docs(const struct recall *r)
{
    uint32_t n = segment_builder_docs(r->tail);
    for (size_t i = 0; i + r->tail_viewed < r->pieces.len; i++)
        n += VEC_AT(&r->pieces, struct piece, i)->segment->docs_len;
    return n;
}

int recall_add(struct recall *r, const struct recall_item *item, struct err *err)
{
    if (all_docs(r) >= RECALL_DOCS_MAX)
        return err_set(err, E_REFUSED,
                       "memory: a recall index holds %d messages at most; drop its oldest "
                       "segment",
                       RECALL_DOCS_MAX);
    if (segment_builder_docs(r->tail) == SEGMENT_DOCS_MAX)
        return err_set(err, E_REFUSED,
                       "memory: the tail of a recall index holds %d messages at most; seal it",
                       SEGMENT_DOCS_MAX);
    if ((unsigned)item->kind >= SEGMENT_KINDS || item->session.len > SEGMENT_NAME_BYTES_MAX ||
        item->context.len > SEGMENT_NAME_BYTES_MAX)
        return err_set(err, E_USAGE,
                       "memory: a message of an unknown kind, or a name of more than "
                       "%d bytes",
                       SEGMENT_NAME_BYTES_MAX);
    int rc = terms_read(&r->terms, item->text, err);
    if (!rc)
        rc = read_speaker(r, item->speaker, err);
    if (rc)
        return rc;
    struct doc doc = {
        .at_ms = item->at_ms,
        .turn = item->turn,
        .step = item->step,
        .kind = (uint8_t)item->kind,
        .tokens = item->tokens,
    };
    if (item->kind == RECALL_TURN) {
        doc.flags |= asks(item->text, false) ? DOC_ASKS : 0;
        doc.flags |= asks(item->text, true) ? DOC_ENDS_ASKING : 0;
    }
    const int8_t *vector = NULL;
    if (item->vector && r->about.dims) {
        vector_quantise(item->vector, r->about.dims, r->quantised);
        vector = r->quantised;
    }
    if (!vec_push(&r->tail_dead))
        return err_set(err, E_NOMEM, "memory: out of memory while adding to the recall index");
    rc = segment_builder_add(r->tail, &doc, item->session, item->context,
                             buf_slice(&r->speaker_text), &r->terms, vector, err);
    if (rc) {
        vec_remove(&r->tail_dead, r->tail_dead.len - 1);
        return rc;
    }
    recall_drop_tail_view(r);
    return E_OK;
}

// ---- the view

static int view_tail(struct recall *r, struct err *err)
{
    char *bytes = NULL;
    size_t len = 0;
    struct segment *s = NULL;

    if (r->tail_viewed || segment_builder_docs(r->tail) == 0)
        return E_OK;
    int rc = segment_seal(r->tail, 0, &bytes, &len, err);
    if (!rc)
        rc = segment_parse(&s, bytes, len, err);
    if (rc)
        return rc;
    struct piece *p = vec_push(&r->pieces);
    if (!p) {
        segment_free(s);
        return err_set(err, E_NOMEM, "memory: out of memory while viewing the recall index");
    }
    p->segment = s;
    for (uint32_t i = 0; i < s->docs_len; i++) {
        s->dead[i] = *VEC_AT(&r->tail_dead, uint8_t, i);
        s->dead_len += s->dead[i];
    }
    r->tail_viewed = true;
    return E_OK;
}

static bool grow(void **array, size_t n, size_t item_bytes)
{
    void *grown = mem_realloc(*array, n * item_bytes);
    if (grown)
        *array = grown;
    return grown != NULL;
}

static int make_room(struct recall *r, uint32_t docs, struct err *err)
{
    // There is some room even where nothing is held, so that there is something to point at.
    if (docs <= r->docs_cap && r->places)
        return E_OK;
    size_t cap = (size_t)docs + docs / 2 + 64;
    if (!grow((void **)&r->places, cap, sizeof(*r->places)) ||
        !grow((void **)&r->weight, cap, sizeof(*r->weight)) ||
        !grow((void **)&r->score, cap, sizeof(*r->score)) ||
        (r->about.dims && (!grow((void **)&r->cosine, cap, sizeof(*r->cosine)) ||
                           !grow((void **)&r->fused, cap, sizeof(*r->fused)))))
        return err_set(err, E_NOMEM, "memory: out of memory while viewing the recall index");
    r->docs_cap = (uint32_t)cap;
    return E_OK;
}

// A memory joins those in front of it.
static void place_memory(struct place *places, uint32_t at)
{
    uint32_t first = at > 0 && places[at - 1].flags & PLACE_ALONE ? places[at - 1].run : at;
    places[at].flags |= PLACE_ALONE;
    places[at].run = first;
    places[first].run = at;
}

// Two lines of a session's journal, one behind the other.
static bool joins(const struct segment *s, uint32_t k)
{
    if (k == 0 || s->dead[k] || s->dead[k - 1])
        return false;
    const struct doc *d = &s->docs[k], *before = &s->docs[k - 1];
    return d->kind == RECALL_JOURNAL && before->kind == RECALL_JOURNAL &&
           d->session == before->session && d->step > before->step;
}

// Messages of one session that follow each other are one run; memories stand alone.
static void number_places(struct recall *r)
{
    struct slice session = SLICE_NONE;
    uint32_t run = 0, n = 0;

    r->live = 0;
    r->words = 0;
    for (size_t i = 0; i < r->pieces.len; i++) {
        struct piece *p = VEC_AT(&r->pieces, struct piece, i);
        const struct segment *s = p->segment;
        p->base = n;
        for (uint32_t k = 0; k < s->docs_len; k++, n++) {
            const struct doc *d = &s->docs[k];
            struct slice id = s->sessions[d->session].id;
            r->places[n] = (struct place){0, d->words, d->flags, s->dead[k]};
            r->live += !s->dead[k];
            r->words += s->dead[k] ? 0 : d->words;
            if (d->kind != RECALL_TURN) {
                place_memory(r->places, n);
                r->places[n].flags |= joins(s, k) ? PLACE_JOINS : 0;
                continue;
            }
            run += run == 0 || (id.ptr != session.ptr && !slice_eq(id, session));
            r->places[n].run = run;
            session = id;
        }
    }
    r->docs_len = n;
}

int recall_view(struct recall *r, struct err *err)
{
    if (r->placed)
        return E_OK;
    int rc = view_tail(r, err);
    if (!rc)
        rc = make_room(r, all_docs(r), err);
    if (rc)
        return rc;
    number_places(r);
    r->trust = TRUST_UNKNOWN;
    r->placed = true;
    return E_OK;
}

const struct doc *recall_doc(const struct recall *r, uint32_t number, const struct piece **piece)
{
    size_t low = 0, high = r->pieces.len;
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (VEC_AT(&r->pieces, struct piece, middle)->base <= number)
            low = middle;
        else
            high = middle;
    }
    *piece = VEC_AT(&r->pieces, struct piece, low);
    return &(*piece)->segment->docs[number - (*piece)->base];
}

// ---- forgetting

static uint32_t forget_in(struct segment *s, struct slice session, uint32_t first, uint32_t last)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < s->docs_len; i++) {
        const struct doc *d = &s->docs[i];
        if (s->dead[i] || d->kind != RECALL_TURN || d->turn < first || d->turn > last ||
            !slice_eq(s->sessions[d->session].id, session))
            continue;
        s->dead[i] = 1;
        s->dead_len++;
        n++;
    }
    return n;
}

uint32_t recall_forget(struct recall *r, struct slice session, uint32_t first, uint32_t last)
{
    uint32_t n = 0;

    for (size_t i = 0; i + r->tail_viewed < r->pieces.len; i++)
        n += forget_in(VEC_AT(&r->pieces, struct piece, i)->segment, session, first, last);
    n += segment_builder_forget(r->tail, session, first, last, r->tail_dead.ptr);
    recall_drop_tail_view(r);
    return n;
}

uint32_t recall_docs(const struct recall *r)
{
    uint32_t n = all_docs(r);
    for (size_t i = 0; i + r->tail_viewed < r->pieces.len; i++)
        n -= VEC_AT(&r->pieces, struct piece, i)->segment->dead_len;
    for (size_t i = 0; i < r->tail_dead.len; i++)
        n -= *VEC_AT(&r->tail_dead, uint8_t, i);
    return n;
}

static void covers(const struct segment *s,
                   void (*each)(void *user, struct slice session, uint32_t last_turn), void *user)
{
    // Of one session's talk in a row the last turn tells for all, mostly.
    for (uint32_t i = 0; i < s->docs_len; i++) {
        const struct doc *d = &s->docs[i];
        bool ends = i + 1 == s->docs_len || d[1].session != d->session || d[1].turn < d->turn;
        if (ends && d->kind == RECALL_TURN)
            each(user, s->sessions[d->session].id, d->turn);
    }
}

void recall_covers(const struct recall *r,
                   void (*each)(void *user, struct slice session, uint32_t last_turn), void *user)
{
    for (size_t i = 0; i + r->tail_viewed < r->pieces.len; i++)
        covers(VEC_AT(&r->pieces, struct piece, i)->segment, each, user);
}

// ---- segments

int recall_load(struct recall *r, uint32_t number, char *bytes, size_t len, struct err *err)
{
    struct segment *s = NULL;
    int rc = segment_parse(&s, bytes, len, err);

    if (rc)
        return rc;
    if (!slice_eq(s->partition, r->about.partition) || !slice_eq(s->bot, r->about.bot))
        rc = err_set(err, E_REFUSED, "memory: segment %u is of another user or bot", number);
    else if (segment_builder_docs(r->tail) || number < r->next_number)
        rc = err_set(err, E_USAGE, "memory: segment %u comes out of order", number);
    else if (r->pieces.len == RECALL_SEGMENTS_MAX || s->docs_len > RECALL_DOCS_MAX - all_docs(r))
        rc = err_set(err, E_REFUSED,
                     "memory: a recall index holds %d segments and %d messages at "
                     "most; drop its oldest",
                     RECALL_SEGMENTS_MAX, RECALL_DOCS_MAX);
    if (rc) {
        segment_free(s);
        return rc;
    }
    struct recall_space space = {.dims = s->dims, .id = s->space};
    if (r->about.dims == 0 && s->dims && s->space == r->about.space)
        rc = recall_set_space(r, &space, err);
    struct piece *p = rc ? NULL : vec_push(&r->pieces);
    if (!p) {
        segment_free(s);
        return err_set(err, E_NOMEM, "memory: out of memory while loading a segment");
    }
    *p = (struct piece){.segment = s, .number = number};
    r->next_number = number + 1;
    r->placed = false;
    return E_OK;
}

// One segment of these, without what is dead; *out is NULL when nothing is left of them.
static int rewrite(struct recall *r, struct segment *const *parts, unsigned len, uint32_t level,
                   struct segment **out, struct err *err)
{
    char *bytes = NULL;
    size_t bytes_len = 0;
    int rc = segment_merge(parts, len, level, &r->about, &bytes, &bytes_len, err);

    *out = NULL;
    if (!rc)
        rc = segment_parse(out, bytes, bytes_len, err);
    if (!rc && (*out)->docs_len == 0) {
        segment_free(*out);
        *out = NULL;
    }
    return rc;
}

static void tell(struct recall_change *change, const struct piece *p)
{
    change->put = p->number;
    change->bytes = slice_of(p->segment->bytes, p->segment->bytes_len);
}

int recall_seal(struct recall *r, uint32_t at_least, struct recall_change *change, struct err *err)
{
    *change = (struct recall_change){0};
    uint32_t docs = segment_builder_docs(r->tail);
    if (docs == 0 || docs < at_least)
        return 0;
    if (r->pieces.len - r->tail_viewed == RECALL_SEGMENTS_MAX)
        return err_set(err, E_REFUSED,
                       "memory: a recall index holds %d segments at most; merge them, or drop its "
                       "oldest",
                       RECALL_SEGMENTS_MAX);
    int rc = view_tail(r, err);
    if (rc)
        return rc;
    struct piece *p = VEC_AT(&r->pieces, struct piece, r->pieces.len - 1);
    if (p->segment->dead_len) {
        struct segment *rest;
        if ((rc = rewrite(r, &p->segment, 1, 0, &rest, err)) != E_OK)
            return rc;
        if (!rest) {
            recall_drop_tail_view(r);
            clear_tail(r);
            return 0;
        }
        segment_free(p->segment);
        p->segment = rest;
    }
    p->number = r->next_number++;
    r->tail_viewed = r->placed = false;
    clear_tail(r);
    tell(change, p);
    return 1;
}

int recall_merge(struct recall *r, struct recall_change *change, struct err *err)
{
    struct segment *parts[RECALL_FANOUT], *whole;
    size_t len = r->pieces.len - r->tail_viewed;
    uint32_t docs = 0;
    size_t bytes = 0;

    *change = (struct recall_change){0};
    if (len < RECALL_FANOUT)
        return 0;
    struct piece *from = VEC_AT(&r->pieces, struct piece, len - RECALL_FANOUT);
    for (unsigned i = 0; i < RECALL_FANOUT; i++) {
        parts[i] = from[i].segment;
        change->drop[i] = from[i].number;
        docs += parts[i]->docs_len;
        bytes += parts[i]->bytes_len;
        if (parts[i]->level != parts[0]->level)
            return 0;
    }
    if (docs > SEGMENT_DOCS_MAX || bytes > SEGMENT_BYTES_MAX)
        return 0;
    int rc = rewrite(r, parts, RECALL_FANOUT, parts[0]->level + 1, &whole, err);
    if (rc)
        return rc;
    recall_drop_tail_view(r);
    for (unsigned i = 0; i < RECALL_FANOUT; i++) {
        segment_free(parts[i]);
        if (i || !whole)
            vec_remove(&r->pieces, r->pieces.len - 1);
    }
    change->drop_len = RECALL_FANOUT;
    if (whole) {
        *from = (struct piece){.segment = whole, .number = r->next_number++};
        tell(change, from);
    } else {
        // Nothing to put; the first of the dropped stands for it.
        change->put = change->drop[0];
    }
    return 1;
}

int recall_purge(struct recall *r, struct recall_change *change, struct err *err)
{
    *change = (struct recall_change){0};
    for (size_t i = 0; i + r->tail_viewed < r->pieces.len; i++) {
        struct piece *p = VEC_AT(&r->pieces, struct piece, i);
        struct segment *rest;
        if (!p->segment->dead_len)
            continue;
        int rc = rewrite(r, &p->segment, 1, p->segment->level, &rest, err);
        if (rc)
            return rc;
        r->placed = false;
        segment_free(p->segment);
        p->segment = rest;
        change->put = p->number;
        if (rest)
            tell(change, p);
        else
            vec_remove(&r->pieces, i);
        return 1;
    }
    return 0;
}

int recall_drop(struct recall *r, struct recall_change *change)
{
    *change = (struct recall_change){0};
    if (r->pieces.len == r->tail_viewed)
        return 0;
    struct piece *oldest = VEC_AT(&r->pieces, struct piece, 0);
    change->put = oldest->number;
    for (uint32_t i = 0; i < oldest->segment->docs_len; i++) {
        int64_t at_ms = oldest->segment->docs[i].at_ms;
        change->until_ms = at_ms > change->until_ms ? at_ms : change->until_ms;
    }
    segment_free(oldest->segment);
    vec_remove(&r->pieces, 0);
    r->placed = false;
    return 1;
}

size_t recall_bytes(const struct recall *r)
{
    size_t per_doc = sizeof(*r->places) + sizeof(*r->weight) + sizeof(*r->score) +
                     (r->about.dims ? sizeof(*r->cosine) + sizeof(*r->fused) : 0);
    size_t n = sizeof(*r) + r->docs_cap * per_doc + segment_builder_bytes(r->tail);
    for (size_t i = 0; i < r->pieces.len; i++)
        n += segment_bytes(VEC_AT(&r->pieces, struct piece, i)->segment);
    return n;
}
