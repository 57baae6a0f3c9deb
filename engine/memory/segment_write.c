// SPDX-License-Identifier: MIT
// segment_write.c: making segments, from messages and from other segments. Both ways end in
// write_segment, which is given the tables of a builder and the terms in order.
#include "memory/segment.h"

#include "base/mem.h"
#include <stdlib.h>

enum { TERMS_BYTES_MAX = SEGMENT_BYTES_MAX, POSTINGS_MAX = 8 << 20 };

// A term in a document.
struct entry {
    uint32_t at;  // of the term's bytes in the builder's text
    uint32_t doc, tf;
    uint8_t len;
};

struct name {
    uint32_t at, len, context_len;  // in the builder's names; the context follows the id
};

struct segment_builder {
    struct segment_about about;
    struct vec docs;      // struct doc
    struct vec sessions;  // struct name
    struct vec speakers;  // struct name
    struct buf names, text, vectors, key;
    struct vec entries;      // struct entry, by document and term
    struct map *by_session;  // id, NUL, context → index + 1
};

// No bytes where a name is empty: names may then have none at all to point into.
static struct slice name_text(const struct segment_builder *b, const struct name *n)
{
    return n->len ? slice_of(b->names.ptr + n->at, n->len) : SLICE_NONE;
}

static struct slice name_context(const struct segment_builder *b, const struct name *n)
{
    return n->context_len ? slice_of(b->names.ptr + n->at + n->len, n->context_len) : SLICE_NONE;
}

int segment_builder_new(struct segment_builder **out, const struct segment_about *about,
                        struct err *err)
{
    struct segment_builder *b = mem_zalloc(sizeof(*b));

    *out = NULL;
    if (!b || map_new(&b->by_session, SEGMENT_DOCS_MAX) != E_OK) {
        mem_free(b);
        return err_set(err, E_NOMEM, "memory: out of memory while beginning a segment");
    }
    b->about = *about;
    vec_init(&b->docs, sizeof(struct doc), SEGMENT_DOCS_MAX);
    vec_init(&b->sessions, sizeof(struct name), SEGMENT_DOCS_MAX);
    vec_init(&b->speakers, sizeof(struct name), SEGMENT_SPEAKERS_MAX);
    vec_init(&b->entries, sizeof(struct entry), POSTINGS_MAX);
    buf_init(&b->names, SEGMENT_BYTES_MAX);
    buf_init(&b->text, TERMS_BYTES_MAX);
    buf_init(&b->vectors, SEGMENT_BYTES_MAX);
    buf_init(&b->key, 2 * (SEGMENT_NAME_BYTES_MAX + 1));
    *out = b;
    return E_OK;
}

void segment_builder_free(struct segment_builder *b)
{
    if (!b)
        return;
    map_free(b->by_session);
    vec_release(&b->docs);
    vec_release(&b->sessions);
    vec_release(&b->speakers);
    vec_release(&b->entries);
    buf_release(&b->names);
    buf_release(&b->text);
    buf_release(&b->vectors);
    buf_release(&b->key);
    mem_free(b);
}

uint32_t segment_builder_docs(const struct segment_builder *b)
{
    return (uint32_t)b->docs.len;
}

void segment_builder_clear(struct segment_builder *b)
{
    size_t cursor = 0;
    struct slice key;
    void *value;

    while (map_next(b->by_session, &cursor, &key, &value))
        map_remove(b->by_session, key);
    vec_clear(&b->docs);
    vec_clear(&b->sessions);
    vec_clear(&b->speakers);
    vec_clear(&b->entries);
    buf_clear(&b->names);
    buf_clear(&b->text);
    buf_clear(&b->vectors);
}

// ---- adding

static bool add_name(struct segment_builder *b, struct vec *to, struct slice id,
                     struct slice context)
{
    struct name name = {(uint32_t)b->names.len, (uint32_t)id.len, (uint32_t)context.len};
    buf_add_slice(&b->names, id);
    buf_add_slice(&b->names, context);
    struct name *slot = buf_ok(&b->names) ? vec_push(to) : NULL;
    if (!slot) {
        b->names.failed = b->names.no_memory = false;
        buf_truncate(&b->names, name.at);
        return false;
    }
    *slot = name;
    return true;
}

static bool find_session(struct segment_builder *b, struct slice id, struct slice context,
                         uint32_t *out)
{
    buf_clear(&b->key);
    buf_add_slice(&b->key, id);
    buf_add_char(&b->key, '\0');
    buf_add_slice(&b->key, context);
    if (!buf_ok(&b->key))
        return false;
    uintptr_t known = (uintptr_t)map_get(b->by_session, buf_slice(&b->key));
    if (!known) {
        known = b->sessions.len + 1;
        if (map_set(b->by_session, buf_slice(&b->key), (void *)known, NULL) != E_OK)
            return false;
        if (!add_name(b, &b->sessions, id, context)) {
            map_remove(b->by_session, buf_slice(&b->key));
            return false;
        }
    }
    *out = (uint32_t)known - 1;
    return true;
}

// The speaker's index plus 1; 0 for none, and for one too many.
static bool find_speaker(struct segment_builder *b, struct slice speaker, uint8_t *out)
{
    *out = 0;
    if (speaker.len == 0)
        return true;
    for (size_t i = 0; i < b->speakers.len; i++) {
        const struct name *n = VEC_AT(&b->speakers, struct name, i);
        if (slice_eq(name_text(b, n), speaker)) {
            *out = (uint8_t)(i + 1);
            return true;
        }
    }
    if (b->speakers.len == SEGMENT_SPEAKERS_MAX)
        return true;
    if (!add_name(b, &b->speakers, speaker, SLICE_NONE))
        return false;
    *out = (uint8_t)b->speakers.len;
    return true;
}

static int by_term_text(const void *a, const void *b, void *user)
{
    const struct terms *t = user;
    return slice_cmp(term_text(t, a), term_text(t, b));
}

// Sorts the text's terms and adds one entry for each that is different.
static bool add_entries(struct segment_builder *b, const struct terms *terms)
{
    size_t n = terms->list.len;
    struct term *sorted = mem_calloc(n, sizeof(*sorted));
    uint32_t doc = (uint32_t)b->docs.len;

    if (!sorted)
        return false;
    if (n)
        memcpy(sorted, terms->list.ptr, n * sizeof(*sorted));
    // qsort_r takes no const pointer; by_term_text only reads.
    qsort_r(sorted, n, sizeof(*sorted), by_term_text, (void *)(uintptr_t)terms);
    bool ok = true;
    for (size_t i = 0; i < n && ok;) {
        struct slice text = term_text(terms, &sorted[i]);
        size_t from = i;
        while (i < n && slice_eq(term_text(terms, &sorted[i]), text))
            i++;
        struct entry *e = vec_push(&b->entries);
        if (e)
            *e =
                (struct entry){(uint32_t)b->text.len, doc, (uint32_t)(i - from), (uint8_t)text.len};
        buf_add_slice(&b->text, text);
        ok = e && buf_ok(&b->text);
    }
    mem_free(sorted);
    return ok;
}

// The tables' rows of one document, without its terms.
static bool add_row(struct segment_builder *b, const struct doc *doc, struct slice session,
                    struct slice context, struct slice speaker, const int8_t *vector)
{
    struct doc row = *doc;
    size_t vectors = b->vectors.len;

    BUG_ON(session.len > SEGMENT_NAME_BYTES_MAX || context.len > SEGMENT_NAME_BYTES_MAX ||
           speaker.len > SEGMENT_NAME_BYTES_MAX);
    row.flags &= DOC_FLAGS_ALL & ~DOC_HAS_VECTOR;
    if (vector && b->about.dims) {
        row.flags |= DOC_HAS_VECTOR;
        buf_add(&b->vectors, vector, b->about.dims);
    }
    // A speaker without documents does no harm, a session would: it comes last.
    struct doc *slot = buf_ok(&b->vectors) ? vec_push(&b->docs) : NULL;
    if (!slot || !find_speaker(b, speaker, &row.speaker) ||
        !find_session(b, session, context, &row.session)) {
        b->docs.len -= slot != NULL;
        b->vectors.failed = b->vectors.no_memory = false;
        buf_truncate(&b->vectors, vectors);
        return false;
    }
    *slot = row;
    return true;
}

int segment_builder_add(struct segment_builder *b, const struct doc *doc, struct slice session,
                        struct slice context, struct slice speaker, const struct terms *terms,
                        const int8_t *vector, struct err *err)
{
    struct doc row = *doc;
    size_t entries = b->entries.len, text = b->text.len;

    if (b->docs.len == SEGMENT_DOCS_MAX)
        return err_set(err, E_REFUSED, "memory: a segment holds %d documents at most",
                       SEGMENT_DOCS_MAX);
    row.words = (uint16_t)(terms->words < UINT16_MAX ? terms->words : UINT16_MAX);
    if (add_entries(b, terms) && add_row(b, &row, session, context, speaker, vector))
        return E_OK;
    bool full = b->text.failed && !b->text.no_memory;
    b->entries.len = entries;
    b->text.failed = b->text.no_memory = false;
    buf_truncate(&b->text, text);
    if (full)
        return err_set(err, E_REFUSED, "memory: a segment holds %d bytes at most",
                       SEGMENT_BYTES_MAX);
    return err_set(err, E_NOMEM, "memory: out of memory while adding to the recall index");
}

const struct doc *segment_builder_doc(const struct segment_builder *b, uint32_t i,
                                      struct slice *session)
{
    const struct doc *d = VEC_AT(&b->docs, struct doc, i);
    *session = name_text(b, VEC_AT(&b->sessions, struct name, d->session));
    return d;
}

uint32_t segment_builder_forget(const struct segment_builder *b, struct slice session,
                                uint32_t first, uint32_t last, uint8_t *dead)
{
    uint32_t n = 0;

    for (size_t i = 0; i < b->docs.len; i++) {
        const struct doc *d = VEC_AT(&b->docs, struct doc, i);
        const struct name *id = VEC_AT(&b->sessions, struct name, d->session);
        if (dead[i] || d->kind || d->turn < first || d->turn > last ||
            !slice_eq(name_text(b, id), session))
            continue;
        dead[i] = 1;
        n++;
    }
    return n;
}

void segment_builder_space(struct segment_builder *b, uint32_t dims, uint64_t space)
{
    for (size_t i = 0; i < b->docs.len; i++)
        VEC_AT(&b->docs, struct doc, i)->flags &= (uint8_t) ~(DOC_HAS_VECTOR | DOC_NO_VECTOR);
    buf_clear(&b->vectors);
    b->about.dims = dims;
    b->about.space = space;
}

size_t segment_builder_bytes(const struct segment_builder *b)
{
    return sizeof(*b) + b->docs.cap * sizeof(struct doc) + b->entries.cap * sizeof(struct entry) +
           (b->sessions.cap + b->speakers.cap) * sizeof(struct name) + b->names.cap + b->text.cap +
           b->vectors.cap;
}

// ---- writing

// Terms with their postings, written one after the other.
struct term_writer {
    struct buf terms, postings;
    uint32_t terms_len;
    uint32_t df, after;  // of the term under way
};

static void add_v(struct buf *out, uint64_t n)
{
    char bytes[10];
    size_t len = 0;
    for (; n >= 0x80; n >>= 7)
        bytes[len++] = (char)(0x80 | (n & 0x7f));
    bytes[len++] = (char)n;
    buf_add(out, bytes, len);
}

static void add_text(struct buf *out, struct slice text)
{
    add_v(out, text.len);
    buf_add_slice(out, text);
}

static void writer_posting(struct term_writer *w, uint32_t doc, uint32_t tf)
{
    add_v(&w->postings, (uint64_t)(doc - w->after) << 1 | (tf == 1));
    if (tf != 1)
        add_v(&w->postings, tf);
    w->after = doc + 1;
    w->df++;
}

// Ends the term whose postings were written; nothing if there were none.
static void writer_term(struct term_writer *w, struct slice text)
{
    // A failure stays, for write_segment to see.
    if (!buf_ok(&w->postings))
        return;
    if (w->df) {
        add_text(&w->terms, text);
        add_v(&w->terms, w->df);
        add_text(&w->terms, buf_slice(&w->postings));
        w->terms_len++;
    }
    buf_clear(&w->postings);
    w->df = w->after = 0;
}

static void writer_init(struct term_writer *w)
{
    *w = (struct term_writer){0};
    buf_init(&w->terms, SEGMENT_BYTES_MAX);
    buf_init(&w->postings, SEGMENT_BYTES_MAX);
}

static void writer_release(struct term_writer *w)
{
    buf_release(&w->terms);
    buf_release(&w->postings);
}

static void write_docs(const struct segment_builder *b, struct buf *out)
{
    uint64_t before = 0;
    for (size_t i = 0; i < b->docs.len; i++) {
        const struct doc *d = VEC_AT(&b->docs, struct doc, i);
        uint64_t moved = (uint64_t)d->at_ms - before;
        before = (uint64_t)d->at_ms;
        add_v(out, d->session);
        add_v(out, d->kind);
        add_v(out, d->turn);
        add_v(out, d->step);
        add_v(out, d->speaker);
        add_v(out, moved << 1 ^ (~(moved >> 63) + 1));
        add_v(out, d->tokens);
        add_v(out, d->words);
        add_v(out, d->flags);
    }
}

static void write_vectors(const struct segment_builder *b, struct buf *out)
{
    for (size_t at = 0; at < b->vectors.len; at += b->about.dims) {
        uint32_t norm = vector_norm((const int8_t *)b->vectors.ptr + at, b->about.dims);
        char bytes[4] = {(char)norm, (char)(norm >> 8), (char)(norm >> 16), (char)(norm >> 24)};
        buf_add(out, bytes, sizeof(bytes));
    }
    buf_add_slice(out, buf_slice(&b->vectors));
}

static int write_segment(const struct segment_builder *b, uint32_t level,
                         const struct term_writer *w, char **out, size_t *len, struct err *err)
{
    struct buf bytes = BUF_INIT(SEGMENT_BYTES_MAX);
    char space[8];

    for (unsigned i = 0; i < sizeof(space); i++)
        space[i] = (char)(b->about.space >> (8 * i));
    buf_add_slice(&bytes, SLICE_LIT("PRS1"));
    add_v(&bytes, level);
    add_v(&bytes, b->docs.len);
    add_v(&bytes, b->sessions.len);
    add_v(&bytes, b->speakers.len);
    add_v(&bytes, w->terms_len);
    add_v(&bytes, b->about.dims);
    buf_add(&bytes, space, sizeof(space));
    add_text(&bytes, b->about.partition);
    add_text(&bytes, b->about.bot);
    for (size_t i = 0; i < b->sessions.len; i++) {
        const struct name *n = VEC_AT(&b->sessions, struct name, i);
        add_text(&bytes, name_text(b, n));
        add_text(&bytes, name_context(b, n));
    }
    for (size_t i = 0; i < b->speakers.len; i++) {
        const struct name *n = VEC_AT(&b->speakers, struct name, i);
        add_text(&bytes, name_text(b, n));
    }
    write_docs(b, &bytes);
    buf_add_slice(&bytes, buf_slice(&w->terms));
    write_vectors(b, &bytes);
    int rc = buf_check(&w->postings, "memory: a term's postings", err);
    if (!rc)
        rc = buf_check(&w->terms, "memory: a segment's terms", err);
    if (!rc)
        rc = buf_check(&bytes, "memory: a segment", err);
    if (!rc)
        *out = buf_take(&bytes, len);
    buf_release(&bytes);
    return rc;
}

static int by_entry(const void *a, const void *b, void *user)
{
    const struct entry *x = a, *y = b;
    const char *text = user;
    int order = slice_cmp(slice_of(text + x->at, x->len), slice_of(text + y->at, y->len));
    return order ? order : (x->doc > y->doc) - (x->doc < y->doc);
}

int segment_seal(const struct segment_builder *b, uint32_t level, char **out, size_t *len,
                 struct err *err)
{
    struct term_writer w;
    size_t n = b->entries.len;
    struct entry *sorted = mem_calloc(n, sizeof(*sorted));

    *out = NULL;
    if (!sorted)
        return err_set(err, E_NOMEM, "memory: out of memory while sealing a segment");
    if (n)
        memcpy(sorted, b->entries.ptr, n * sizeof(*sorted));
    qsort_r(sorted, n, sizeof(*sorted), by_entry, b->text.ptr);
    writer_init(&w);
    for (size_t i = 0; i < n;) {
        struct slice text = slice_of(b->text.ptr + sorted[i].at, sorted[i].len);
        for (; i < n && slice_eq(slice_of(b->text.ptr + sorted[i].at, sorted[i].len), text); i++)
            writer_posting(&w, sorted[i].doc, sorted[i].tf);
        writer_term(&w, text);
    }
    int rc = write_segment(b, level, &w, out, len, err);
    writer_release(&w);
    mem_free(sorted);
    return rc;
}

// ---- merging

// A part with its next term, and where its documents went.
struct source {
    const struct segment *s;
    uint32_t term;
    struct term_entry entry;  // while term < s->terms_len
    uint32_t *now;            // owned; by document: its number in the whole
    const int8_t *const *given;  // by document; NULL: nothing is given
    const uint8_t *refused;      // the same
};

// A document's vector in the whole, and in its flags what else is known of it.
static const int8_t *vector_for(const struct segment_builder *b, const struct source *from,
                                uint32_t i, struct doc *d)
{
    const struct segment *s = from->s;
    bool same = s->dims == b->about.dims && s->space == b->about.space;

    if (!same)
        d->flags &= (uint8_t)~DOC_NO_VECTOR;
    if (from->refused && from->refused[i])
        d->flags |= DOC_NO_VECTOR;
    if (from->given && from->given[i])
        return from->given[i];
    return same && d->flags & DOC_HAS_VECTOR ? s->vectors + (size_t)d->vector * s->dims : NULL;
}

static int take_rows(struct segment_builder *b, struct source *from, struct err *err)
{
    const struct segment *s = from->s;

    for (uint32_t i = 0; i < s->docs_len; i++) {
        struct doc d = s->docs[i];
        const struct doc_session *session = &s->sessions[d.session];
        const int8_t *vector = vector_for(b, from, i, &d);
        from->now[i] = (uint32_t)b->docs.len;
        if (s->dead[i])
            continue;
        if (b->docs.len == SEGMENT_DOCS_MAX)
            return err_set(err, E_REFUSED, "memory: a segment holds %d documents at most",
                           SEGMENT_DOCS_MAX);
        if (!add_row(b, &d, session->id, session->context,
                     d.speaker ? s->speakers[d.speaker - 1] : SLICE_NONE, vector))
            return err_set(err, E_NOMEM, "memory: out of memory while merging segments");
    }
    return E_OK;
}

static void next_term(struct source *from)
{
    from->term++;
    if (from->term < from->s->terms_len)
        from->entry = segment_term(from->s, from->term);
}

static void merge_terms(struct source *sources, unsigned len, struct term_writer *w)
{
    for (;;) {
        const struct source *least = NULL;
        for (unsigned i = 0; i < len; i++)
            if (sources[i].term < sources[i].s->terms_len &&
                (!least || slice_cmp(sources[i].entry.text, least->entry.text) < 0))
                least = &sources[i];
        if (!least)
            return;
        struct slice text = least->entry.text;
        for (unsigned i = 0; i < len; i++) {
            struct source *from = &sources[i];
            if (from->term == from->s->terms_len || !slice_eq(from->entry.text, text))
                continue;
            struct postings p = postings_of(&from->entry);
            while (postings_next(&p))
                if (!from->s->dead[p.doc])
                    writer_posting(w, from->now[p.doc], p.tf);
            next_term(from);
        }
        writer_term(w, text);
    }
}

static int merge(struct source *sources, unsigned len, uint32_t level,
                 const struct segment_about *about, char **out, size_t *out_len, struct err *err)
{
    struct segment_builder *b = NULL;
    struct term_writer w;

    *out = NULL;
    writer_init(&w);
    int rc = segment_builder_new(&b, about, err);
    for (unsigned i = 0; i < len && !rc; i++) {
        struct source *from = &sources[i];
        from->now = mem_calloc(from->s->docs_len, sizeof(*from->now));
        if (from->s->terms_len)
            from->entry = segment_term(from->s, 0);
        rc = from->now ? take_rows(b, from, err)
                       : err_set(err, E_NOMEM, "memory: out of memory while merging segments");
    }
    if (!rc) {
        merge_terms(sources, len, &w);
        rc = write_segment(b, level, &w, out, out_len, err);
    }
    for (unsigned i = 0; i < len; i++)
        mem_free(sources[i].now);
    segment_builder_free(b);
    writer_release(&w);
    return rc;
}

int segment_merge(struct segment *const *parts, unsigned len, uint32_t level,
                  const struct segment_about *about, char **out, size_t *out_len, struct err *err)
{
    struct source sources[SEGMENT_PARTS_MAX] = {{0}};

    BUG_ON(len == 0 || len > SEGMENT_PARTS_MAX);
    for (unsigned i = 0; i < len; i++)
        sources[i].s = parts[i];
    return merge(sources, len, level, about, out, out_len, err);
}

int segment_embed(struct segment *s, const int8_t *const *given, const uint8_t *refused,
                  const struct segment_about *about, char **out, size_t *out_len, struct err *err)
{
    struct source source = {.s = s, .given = given, .refused = refused};

    return merge(&source, 1, s->level, about, out, out_len, err);
}
