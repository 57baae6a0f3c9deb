// SPDX-License-Identifier: MIT
// fact.c: facts, slots and candidates as values; fact_codec.c is their stored form. See fact.h.
#include "model/fact_int.h"

#include "base/mem.h"
#include "base/utf8.h"
#include "model/meta_int.h"
#include "model/safe_text_int.h"

enum { CANDIDATE_TEXT_BYTES_MAX = 8 << 10 };

// ---- words

static const char *const kinds[] = {
    [FACT_PREFERENCE] = "preference", [FACT_CIRCUMSTANCE] = "circumstance",
    [FACT_DECISION] = "decision",     [FACT_FOLLOW_UP] = "follow_up",
    [FACT_PATTERN] = "pattern",       [FACT_STYLE] = "style",
};

const char *fact_tier_word(enum fact_tier tier)
{
    return tier == TIER_KNOWLEDGE ? "knowledge" : "fact";
}

const char *fact_kind_word(enum fact_kind kind)
{
    BUG_ON((unsigned)kind >= FACT_KINDS);
    return kinds[kind];
}

bool fact_kind_find(struct slice word, enum fact_kind *out)
{
    int at = word_index(kinds, FACT_KINDS, word);

    if (at >= 0)
        *out = (enum fact_kind)at;
    return at >= 0;
}

static const char *const statuses[] = {
    [FACT_QUARANTINED] = "quarantined", [FACT_ACTIVE] = "active",
    [FACT_SUPERSEDED] = "superseded",   [FACT_FORGOTTEN] = "forgotten",
};
static const char *const authors[] = {
    [AUTHOR_USER] = "user", [AUTHOR_MATERIAL] = "material", [AUTHOR_ASSISTANT] = "assistant",
    [AUTHOR_TOOL] = "tool", [AUTHOR_RECALLED] = "recalled", [AUTHOR_POLICY] = "policy",
};
enum { STATUSES = sizeof(statuses) / sizeof(statuses[0]),
       AUTHORS = sizeof(authors) / sizeof(authors[0]) };

const char *fact_status_word(enum fact_status status)
{
    BUG_ON((unsigned)status >= STATUSES);
    return statuses[status];
}

const char *fact_author_word(enum fact_author author)
{
    BUG_ON((unsigned)author >= AUTHORS);
    return authors[author];
}

bool fact_status_find(struct slice word, enum fact_status *out)
{
    int at = word_index(statuses, STATUSES, word);

    if (at >= 0)
        *out = (enum fact_status)at;
    return at >= 0;
}

bool fact_author_find(struct slice word, enum fact_author *out)
{
    int at = word_index(authors, AUTHORS, word);

    if (at >= 0)
        *out = (enum fact_author)at;
    return at >= 0;
}

// ---- a fact

void fact_init(struct fact *f)
{
    *f = (struct fact){0};
    safe_buf_init(&f->value, FACT_VALUE_BYTES_MAX);
    vec_init(&f->evidence, sizeof(struct fact_evidence), FACT_EVIDENCE_MAX + 1);
    vec_init(&f->earlier, sizeof(struct fact_period), FACT_PERIODS_MAX);
    vec_init(&f->turns, sizeof(uint32_t), FACT_TURNS_MAX);
}

void fact_release(struct fact *f)
{
    safe_buf_release(&f->value);
    vec_release(&f->evidence);
    vec_release(&f->earlier);
    vec_release(&f->turns);
    fact_init(f);
}

static bool vec_copy(struct vec *out, const struct vec *from)
{
    if (!vec_reserve(out, from->len))
        return false;
    if (from->len)
        memcpy(out->ptr, from->ptr, from->len * from->item_bytes);
    out->len = from->len;
    return true;
}

int fact_copy(struct fact *out, const struct fact *f, struct err *err)
{
    struct fact copy = *f;

    fact_init(out);
    copy.value = out->value;
    copy.evidence = out->evidence;
    copy.earlier = out->earlier;
    copy.turns = out->turns;
    *out = copy;
    safe_buf_add(&out->value, safe_buf_text(&f->value));
    if (!safe_buf_check(&out->value, "a fact", NULL) && vec_copy(&out->evidence, &f->evidence) &&
        vec_copy(&out->earlier, &f->earlier) && vec_copy(&out->turns, &f->turns))
        return E_OK;
    fact_release(out);
    return err_set(err, E_NOMEM, "out of memory for a fact");
}

static bool is_space(char c)
{
    return (unsigned char)c <= ' ' || c == 0x7f;
}

int fact_set_value(struct fact *f, struct safe_text text, struct err *err)
{
    size_t at = 0;

    safe_buf_clear(&f->value);
    while (at < text.len) {
        size_t start = at;

        while (at < text.len && !is_space(text.ptr[at]))
            at++;
        if (at > start && safe_buf_text(&f->value).len)
            safe_buf_add(&f->value, SAFE_LIT(" "));
        safe_buf_add(&f->value, safe_text_part(text, start, at - start));
        while (at < text.len && is_space(text.ptr[at]))
            at++;
    }
    int code = safe_buf_check(&f->value, "a fact", err);
    if (code == E_NOMEM)
        return code;
    if (code || !safe_buf_text(&f->value).len) {
        safe_buf_clear(&f->value);
        return err_set(err, E_USAGE, "a fact has from 1 to %d bytes", FACT_VALUE_BYTES_MAX);
    }
    return E_OK;
}

const struct fact_evidence *fact_source(const struct fact *f)
{
    for (size_t i = 0; i < f->evidence.len; i++)
        if (fact_evidence_at(f, i)->supported && !fact_evidence_at(f, i)->negates)
            return fact_evidence_at(f, i);
    return f->evidence.len ? fact_evidence_at(f, 0) : NULL;
}

// ---- a slot

void fact_slot_init(struct fact_slot *s, enum fact_tier tier)
{
    *s = (struct fact_slot){.tier = tier};
    vec_init(&s->facts, sizeof(struct fact), SLOT_VALUES_MAX);
}

void fact_slot_release(struct fact_slot *s)
{
    enum fact_tier tier = s->tier;

    for (size_t i = 0; i < s->facts.len; i++)
        fact_release(fact_slot_at(s, i));
    vec_release(&s->facts);
    fact_slot_init(s, tier);
}

int fact_slot_copy(struct fact_slot *out, const struct fact_slot *s, struct err *err)
{
    struct fact_slot copy = *s;
    int code = E_OK;

    fact_slot_init(out, s->tier);
    copy.facts = out->facts;
    *out = copy;
    if (!vec_reserve(&out->facts, s->facts.len))
        code = err_set(err, E_NOMEM, "out of memory for facts");
    for (size_t i = 0; i < s->facts.len && !code; i++) {
        struct fact f;

        code = fact_copy(&f, fact_slot_at(s, i), err);
        if (!code)
            *(struct fact *)vec_push(&out->facts) = f;
    }
    if (code)
        fact_slot_release(out);
    return code;
}

static void trim(struct vec *v)
{
    void *ptr = v->len ? mem_realloc(v->ptr, v->len * v->item_bytes) : NULL;

    if (ptr) {
        v->ptr = ptr;
        v->cap = v->len;
    }
}

void fact_slot_trim(struct fact_slot *s)
{
    for (size_t i = 0; i < s->facts.len; i++) {
        struct fact *f = fact_slot_at(s, i);

        trim(&f->evidence);
        trim(&f->earlier);
        trim(&f->turns);
    }
    trim(&s->facts);
}

bool fact_name_normal(struct slice name, char out[FACT_NAME_BYTES])
{
    size_t n = 0, i = 0;

    for (; i < name.len && n < FACT_NAME_BYTES; i++) {
        unsigned char c = (unsigned char)name.ptr[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c >= 0x80;

        if (c >= 'A' && c <= 'Z')
            out[n++] = (char)(c + ('a' - 'A'));
        else if (letter)
            out[n++] = (char)c;
        else if (n && out[n - 1] != '_')
            out[n++] = '_';
    }
    while (n && out[n - 1] == '_')
        n--;
    bool whole = i == name.len && n < FACT_NAME_BYTES;
    out[whole ? n : 0] = '\0';
    return whole && n > 0;
}

int fact_slot_name(struct fact_slot *s, struct safe_text subject, struct safe_text predicate,
                   struct err *err)
{
    struct fact name;
    int code = E_OK;

    fact_init(&name);
    if (subject.len) {
        code = fact_set_value(&name, subject, err);
    } else {
        safe_buf_add(&name.value, SAFE_LIT("user"));
        code = safe_buf_check(&name.value, "a fact's subject", err);
    }
    struct slice text = safe_slice(safe_buf_text(&name.value));
    if (code != E_NOMEM && (code || text.len >= FACT_NAME_BYTES))
        code = err_set(err, E_USAGE, "a fact's subject has from 1 to %d bytes",
                       FACT_NAME_BYTES - 1);
    if (!code && !fact_name_normal(safe_slice(predicate), s->predicate))
        code = err_set(err, E_USAGE, "a fact's predicate has from 1 to %d letters and digits",
                       FACT_NAME_BYTES - 1);
    if (!code) {
        memcpy(s->subject, text.ptr, text.len);
        s->subject[text.len] = '\0';
    }
    fact_release(&name);
    return code;
}

// Both were made of safe text, by fact_slot_name or by decoding.
struct safe_text fact_slot_subject(const struct fact_slot *s)
{
    return safe_text_vouch(slice_str(s->subject));
}

struct safe_text fact_slot_predicate(const struct fact_slot *s)
{
    return safe_text_vouch(slice_str(s->predicate));
}

struct fact *fact_slot_find(const struct fact_slot *s, const char *id)
{
    for (size_t i = 0; i < s->facts.len; i++)
        if (strcmp(fact_slot_at(s, i)->id, id) == 0)
            return fact_slot_at(s, i);
    return NULL;
}

int64_t fact_slot_due_at(const struct fact_slot *s, int64_t quarantine_ms)
{
    int64_t due_at_ms = 0;

    for (size_t i = 0; quarantine_ms && i < s->facts.len; i++) {
        const struct fact *f = fact_slot_at(s, i);
        int64_t at_ms = f->recorded_at_ms + quarantine_ms;

        if (f->status == FACT_QUARANTINED && (!due_at_ms || at_ms < due_at_ms))
            due_at_ms = at_ms;
    }
    return due_at_ms;
}

uint32_t fact_slot_count(const struct fact_slot *s, enum fact_status status)
{
    uint32_t n = 0;

    for (size_t i = 0; i < s->facts.len; i++)
        n += fact_slot_at(s, i)->status == status;
    return n;
}

// ---- candidates

struct owned {
    struct fact_candidate c;  // first: its address is the candidate's
    struct safe_buf text;     // of all four
};

void fact_candidates_init(struct fact_candidates *c)
{
    vec_init(&c->list, sizeof(struct owned), CANDIDATES_MAX);
}

void fact_candidates_clear(struct fact_candidates *c)
{
    for (size_t i = 0; i < c->list.len; i++)
        safe_buf_release(&VEC_AT(&c->list, struct owned, i)->text);
    vec_clear(&c->list);
}

void fact_candidates_release(struct fact_candidates *c)
{
    fact_candidates_clear(c);
    vec_release(&c->list);
}

struct fact_candidate *fact_candidates_at(const struct fact_candidates *c, size_t i)
{
    return &VEC_AT(&c->list, struct owned, i)->c;
}

int fact_candidates_add(struct fact_candidates *c, const struct fact_candidate *from,
                        struct err *err)
{
    struct owned o = {.c = *from};
    struct safe_text *texts[] = {&o.c.subject, &o.c.predicate, &o.c.value, &o.c.quote};
    size_t at = 0;

    if (c->list.len == CANDIDATES_MAX)
        return err_set(err, E_REFUSED, "more than %d facts of one turn", CANDIDATES_MAX);
    safe_buf_init(&o.text, CANDIDATE_TEXT_BYTES_MAX);
    for (unsigned i = 0; i < 4; i++)
        safe_buf_add(&o.text, *texts[i]);
    int code = safe_buf_check(&o.text, "a candidate", err);
    struct owned *place = code ? NULL : vec_push(&c->list);
    if (!place) {
        safe_buf_release(&o.text);
        return code == E_OK || code == E_NOMEM
                   ? err_set(err, E_NOMEM, "out of memory for a candidate")
                   : err_set(err, E_USAGE, "a candidate of more than %d bytes",
                             CANDIDATE_TEXT_BYTES_MAX);
    }
    for (unsigned i = 0; i < 4; at += texts[i++]->len)
        *texts[i] = safe_text_part(safe_buf_text(&o.text), at, texts[i]->len);
    *place = o;
    return E_OK;
}
