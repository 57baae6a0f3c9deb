// SPDX-License-Identifier: MIT
// segment.c: reading segments. All checks are made here, once, so that walking postings makes none.
#include "memory/segment.h"

#include "base/mem.h"

// Bytes under examination; `fault` says what was wrong first.
struct reader {
    const unsigned char *start, *at, *end;
    const char *fault;
};

static uint64_t fail(struct reader *r, const char *what)
{
    if (!r->fault)
        r->fault = what;
    return 0;
}

static uint64_t read_v64(struct reader *r)
{
    uint64_t n = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        if (r->at == r->end)
            return fail(r, "a number is cut off");
        uint64_t byte = *r->at++;
        n |= (byte & 0x7f) << shift;
        if (byte == 0 && shift > 0)
            return fail(r, "a number with needless digits");
        if (byte < 0x80)
            return shift == 63 && byte > 1 ? fail(r, "a number of more than 64 bits") : n;
    }
    return fail(r, "a number of more than 64 bits");
}

// A number up to max.
static uint32_t read_v(struct reader *r, uint32_t max, const char *what)
{
    // Most numbers are one byte.
    uint64_t n = r->at < r->end && *r->at < 0x80 ? *r->at++ : read_v64(r);
    if (n > max)
        return (uint32_t)fail(r, what);
    return (uint32_t)n;
}

static struct slice read_bytes(struct reader *r, size_t len, const char *what)
{
    if (r->fault || (size_t)(r->end - r->at) < len) {
        fail(r, what);
        return SLICE_NONE;
    }
    struct slice s = slice_of((const char *)r->at, len);
    r->at += len;
    return s;
}

static struct slice read_text(struct reader *r, uint32_t max, const char *what)
{
    uint32_t len = read_v(r, max, what);
    return read_bytes(r, len, what);
}

static uint64_t read_space(struct reader *r)
{
    struct slice s = read_bytes(r, 8, "the space of its vectors is cut off");
    uint64_t n = 0;
    for (size_t i = s.len; i > 0; i--)
        n = n << 8 | (unsigned char)s.ptr[i - 1];
    return n;
}

static void read_head(struct reader *r, struct segment *s)
{
    struct slice magic = read_bytes(r, 4, "no segment");
    if (!r->fault && !slice_is(magic, "PRS1"))
        fail(r, "no segment, or one of a later version");
    uint32_t bytes = (uint32_t)(r->end - r->start);
    s->level = read_v(r, 64, "its level");
    s->docs_len = read_v(r, SEGMENT_DOCS_MAX, "more documents than a segment holds");
    s->sessions_len = read_v(r, s->docs_len, "more sessions than documents");
    s->speakers_len = read_v(r, SEGMENT_SPEAKERS_MAX, "too many speakers");
    // A term takes at least five bytes: what cannot be there need not be allocated.
    s->terms_len = read_v(r, bytes / 5, "more terms than bytes");
    s->dims = read_v(r, SEGMENT_DIMS_MAX, "vectors of too many dimensions");
    s->space = read_space(r);
    s->partition = read_text(r, SEGMENT_NAME_BYTES_MAX, "its partition");
    s->bot = read_text(r, SEGMENT_NAME_BYTES_MAX, "its bot");
}

static int allocate(struct segment *s, struct err *err)
{
    s->docs = mem_calloc(s->docs_len, sizeof(*s->docs));
    s->sessions = mem_calloc(s->sessions_len, sizeof(*s->sessions));
    s->speakers = mem_calloc(s->speakers_len, sizeof(*s->speakers));
    s->terms = mem_calloc(s->terms_len, sizeof(*s->terms));
    s->dead = mem_zalloc(s->docs_len);
    if (!s->docs || !s->sessions || !s->speakers || !s->terms || !s->dead)
        return err_set(err, E_NOMEM, "memory: out of memory while reading a segment");
    return E_OK;
}

static void read_docs(struct reader *r, struct segment *s)
{
    uint64_t at_ms = 0;
    for (uint32_t i = 0; i < s->docs_len && !r->fault; i++) {
        struct doc *d = &s->docs[i];
        uint32_t session = read_v(r, UINT32_MAX, "a document's session");
        d->kind = (uint8_t)read_v(r, SEGMENT_KINDS - 1, "a document's kind");
        d->turn = read_v(r, UINT32_MAX, "a document's turn");
        d->step = (uint8_t)read_v(r, UINT8_MAX, "a document's step");
        d->speaker = (uint8_t)read_v(r, s->speakers_len, "a document's speaker");
        uint64_t moved = read_v64(r);
        at_ms += moved >> 1 ^ (~(moved & 1) + 1);
        d->at_ms = (int64_t)at_ms;
        d->tokens = read_v(r, UINT32_MAX, "a document's tokens");
        d->words = (uint16_t)read_v(r, UINT16_MAX, "a document's words");
        d->flags = (uint8_t)read_v(r, DOC_FLAGS_ALL, "a document's flags");
        if (session >= s->sessions_len)
            fail(r, "a document's session");
        d->session = session;
        if (d->flags & DOC_HAS_VECTOR) {
            if (s->dims == 0)
                fail(r, "a vector without dimensions");
            d->vector = s->vectors_len++;
        }
    }
}

static void check_postings(struct reader *r, struct slice postings, uint32_t df, uint32_t docs)
{
    const unsigned char *at = (const unsigned char *)postings.ptr;
    struct reader p = {.start = at, .at = at, .end = at + postings.len};
    uint64_t after = 0;

    if (df == 0)
        fail(&p, "a term of no document");
    for (uint32_t i = 0; i < df && !p.fault; i++) {
        uint32_t n = read_v(&p, 2 * SEGMENT_DOCS_MAX, "a posting behind the documents");
        after += (n >> 1) + 1;
        if (after > docs)
            fail(&p, "a posting behind the documents");
        if (!(n & 1) && read_v(&p, TERMS_MAX, "a term's frequency") < 2)
            fail(&p, "a term's frequency");
    }
    if (!p.fault && p.at != p.end)
        fail(&p, "postings that are more than their term says");
    if (p.fault)
        fail(r, p.fault);
}

static void read_terms(struct reader *r, struct segment *s)
{
    struct slice before = SLICE_NONE;
    for (uint32_t i = 0; i < s->terms_len && !r->fault; i++) {
        s->terms[i] = (uint32_t)(r->at - r->start);
        struct slice text = read_text(r, TERM_BYTES_MAX, "a term is cut off or too long");
        uint32_t df = read_v(r, s->docs_len, "a term of more documents than there are");
        uint32_t bytes = read_v(r, SEGMENT_BYTES_MAX, "postings too long");
        struct slice postings = read_bytes(r, bytes, "postings are cut off");
        if (r->fault)
            return;
        if (text.len == 0 || (i > 0 && slice_cmp(before, text) >= 0))
            fail(r, "terms out of order");
        before = text;
        check_postings(r, postings, df, s->docs_len);
    }
}

static void read_vectors(struct reader *r, struct segment *s)
{
    struct slice norms =
        read_bytes(r, (size_t)s->vectors_len * 4, "lengths of vectors are cut off");
    struct slice all = read_bytes(r, (size_t)s->vectors_len * s->dims, "vectors are cut off");

    s->norms = (const unsigned char *)norms.ptr;
    s->vectors = (const int8_t *)all.ptr;
    for (uint32_t i = 0; i < s->vectors_len && !r->fault; i++)
        if (segment_norm(s, i) > VECTOR_NORM_MAX)
            fail(r, "a vector's length");
    if (!r->fault && r->at != r->end)
        fail(r, "bytes behind its end");
}

static void read_body(struct reader *r, struct segment *s)
{
    for (uint32_t i = 0; i < s->sessions_len && !r->fault; i++) {
        s->sessions[i].id = read_text(r, SEGMENT_NAME_BYTES_MAX, "a session's id");
        s->sessions[i].context = read_text(r, SEGMENT_NAME_BYTES_MAX, "a session's context");
    }
    for (uint32_t i = 0; i < s->speakers_len && !r->fault; i++)
        s->speakers[i] = read_text(r, SEGMENT_NAME_BYTES_MAX, "a speaker's name");
    read_docs(r, s);
    read_terms(r, s);
    read_vectors(r, s);
}

int segment_parse(struct segment **out, char *bytes, size_t len, struct err *err)
{
    struct segment *s = mem_zalloc(sizeof(*s));
    struct reader r = {.start = (unsigned char *)bytes,
                       .at = (unsigned char *)bytes,
                       .end = (unsigned char *)bytes + len};
    int rc;

    *out = NULL;
    if (!s) {
        mem_free(bytes);
        return err_set(err, E_NOMEM, "memory: out of memory while reading a segment");
    }
    s->bytes = bytes;
    s->bytes_len = len;
    if (len > SEGMENT_BYTES_MAX)
        fail(&r, "longer than a segment may be");
    if (!r.fault)
        read_head(&r, s);
    if (!r.fault) {
        if ((rc = allocate(s, err)) != E_OK)
            goto failed;
        read_body(&r, s);
    }
    if (r.fault) {
        rc = err_set(err, E_CORRUPT,
                     "memory: a segment of the recall index is damaged at byte %zu: %s; it can be "
                     "built anew from the turns",
                     (size_t)(r.at - r.start), r.fault);
        goto failed;
    }
    *out = s;
    return E_OK;
failed:
    segment_free(s);
    return rc;
}

void segment_free(struct segment *s)
{
    if (!s)
        return;
    mem_free(s->bytes);
    mem_free(s->docs);
    mem_free(s->sessions);
    mem_free(s->speakers);
    mem_free(s->terms);
    mem_free(s->dead);
    mem_free(s);
}

size_t segment_bytes(const struct segment *s)
{
    return sizeof(*s) + s->bytes_len + s->docs_len * (sizeof(*s->docs) + 1) +
           s->sessions_len * sizeof(*s->sessions) + s->speakers_len * sizeof(*s->speakers) +
           s->terms_len * sizeof(*s->terms);
}

struct term_entry segment_term(const struct segment *s, uint32_t i)
{
    const unsigned char *at = (const unsigned char *)s->bytes + s->terms[i];
    struct term_entry e;

    e.text.len = segment_varint(&at);
    e.text.ptr = (const char *)at;
    at += e.text.len;
    e.df = segment_varint(&at);
    e.postings.len = segment_varint(&at);
    e.postings.ptr = (const char *)at;
    return e;
}

uint32_t segment_at_or_after(const struct segment *s, struct slice text)
{
    uint32_t low = 0, high = s->terms_len;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (slice_cmp(segment_term(s, middle).text, text) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

bool segment_find(const struct segment *s, struct slice text, struct term_entry *out)
{
    uint32_t i = segment_at_or_after(s, text);
    if (i == s->terms_len)
        return false;
    *out = segment_term(s, i);
    return slice_eq(out->text, text);
}
