// SPDX-License-Identifier: MIT
// ask.c: what a query asks: its terms and what each is worth, who it is about, and when.
//
// A term is worth its idf over what can be found. Function words are worth a quarter of that: in
// talk "what" and "did" are no rarer than what is being talked about. So is a speaker's name: it is
// said in greetings, and what it says of a query is told by ask.speaker. A query of nothing but
// function words asks by no word: any message has them.
//
// A term that is in no message is taken for a slip of the pen, or for another form: up to eight
// terms that begin alike (four bytes and three quarters of both), or differ by one edit, stand for
// it, each worth half of how alike they are.
#include "memory/recall_int.h"

#include "base/mem.h"
#include "base/utf8.h"
#include <stdlib.h>

enum {
    FACTOR_ONE = 256,
    VARIANT_TERM_MIN = 4,     // bytes; shorter terms have no variants
    VARIANT_HEAD_MIN = 4,     // bytes that begin alike
    VARIANT_ALIKE_MIN = 192,  // of 256
    VARIANT_TERMS_MAX = 8,    // of one query
};

// log2(n) in 1/65,536, n >= 1.
static uint32_t log2_of(uint64_t n)
{
    uint32_t whole = 63 - (uint32_t)__builtin_clzll(n), part = 0;
    // 1 ≤ m < 2 in 1/2^31, squared again and again: each time it passes 2 is a bit of the
    // logarithm.
    uint64_t m = whole > 31 ? n >> (whole - 31) : n << (31 - whole);
    for (unsigned bit = 0; bit < 16; bit++) {
        m = m * m >> 31;
        part <<= 1;
        if (m >> 32) {
            m >>= 1;
            part |= 1;
        }
    }
    return whole << 16 | part;
}

// ln((n + 1) / (df + 1/2)) in 1/256: how much it tells that one of n messages has the term.
static uint32_t idf_of(uint32_t n, uint32_t df)
{
    uint32_t upper = log2_of(2 * ((uint64_t)n + 1)), lower = log2_of(2 * (uint64_t)df + 1);
    return upper <= lower ? 1 : 1 + (uint32_t)((uint64_t)(upper - lower) * 45426 >> 24);  // ln 2
}

static uint32_t df_of(const struct recall *r, struct slice text)
{
    uint32_t df = 0;
    struct term_entry e;
    for (size_t i = 0; i < r->pieces.len; i++)
        if (segment_find(VEC_AT(&r->pieces, struct piece, i)->segment, text, &e))
            df += e.df;
    return df;
}

// ---- variants

static bool one_edit_apart(struct slice a, struct slice b)
{
    size_t head = 0, tail = 0;
    size_t shorter = a.len < b.len ? a.len : b.len;

    while (head < shorter && a.ptr[head] == b.ptr[head])
        head++;
    while (tail < shorter - head && a.ptr[a.len - 1 - tail] == b.ptr[b.len - 1 - tail])
        tail++;
    size_t x = a.len - head - tail, y = b.len - head - tail;
    if (x <= 1 && y <= 1)
        return true;
    return x == 2 && y == 2 && a.ptr[head] == b.ptr[head + 1] && a.ptr[head + 1] == b.ptr[head];
}

// How alike two terms are, in 1/256; 0: not at all.
static uint32_t likeness(struct slice a, struct slice b)
{
    size_t shorter = a.len < b.len ? a.len : b.len, both = a.len + b.len, head = 0;

    if (shorter < VARIANT_TERM_MIN)
        return 0;
    while (head < shorter && a.ptr[head] == b.ptr[head])
        head++;
    uint32_t alike = (uint32_t)(2 * head * FACTOR_ONE / both);
    if (head >= VARIANT_HEAD_MIN && alike >= VARIANT_ALIKE_MIN)
        return alike;
    if (shorter > VARIANT_TERM_MIN && one_edit_apart(a, b))
        return (uint32_t)(FACTOR_ONE - 2 * FACTOR_ONE / both);
    return 0;
}

// Keeps the most alike, in order; of equals the one that is first in bytes.
static void offer_variant(struct ask_term *t, struct slice text, uint32_t part)
{
    uint32_t at = t->variants_len;

    for (uint32_t i = 0; i < t->variants_len; i++)
        if (slice_eq(t->variants[i].text, text))
            return;
    while (at > 0 &&
           (t->variants[at - 1].part < part ||
            (t->variants[at - 1].part == part && slice_cmp(t->variants[at - 1].text, text) > 0)))
        at--;
    if (at == ASK_VARIANTS_MAX)
        return;
    uint32_t moved = t->variants_len - at;
    if (t->variants_len < ASK_VARIANTS_MAX)
        t->variants_len++;
    else
        moved--;
    memmove(&t->variants[at + 1], &t->variants[at], moved * sizeof(*t->variants));
    t->variants[at] = (struct ask_variant){text, part};
}

// All terms that begin with the same character are looked at.
static void find_variants(struct ask_term *t, const struct recall *r)
{
    struct slice head = slice_of(t->text.ptr, 1);

    for (size_t i = 0; i < r->pieces.len; i++) {
        const struct segment *s = VEC_AT(&r->pieces, struct piece, i)->segment;
        for (uint32_t k = segment_at_or_after(s, head); k < s->terms_len; k++) {
            struct slice text = segment_term(s, k).text;
            if (!slice_starts(text, head))
                break;
            uint32_t alike = likeness(t->text, text);
            if (alike && r->rules->variant)
                offer_variant(t, text, alike * r->rules->variant / FACTOR_ONE);
        }
    }
}

// ---- terms

static bool has_letters_only(struct slice text)
{
    for (size_t i = 0; i < text.len; i++)
        if ((unsigned char)text.ptr[i] < 0x80 && (text.ptr[i] < 'a' || text.ptr[i] > 'z'))
            return false;
    return true;
}

// Whether the name, terms with spaces between them, has this term.
static bool name_has(struct slice name, struct slice term)
{
    for (size_t at = 0; at + term.len <= name.len;) {
        const char *space = memchr(name.ptr + at, ' ', name.len - at);
        size_t end = space ? (size_t)(space - name.ptr) : name.len;
        if (slice_eq(slice_of(name.ptr + at, end - at), term))
            return true;
        at = end + 1;
    }
    return false;
}

// Whether a speaker is called so. The first speaker who is becomes a->speaker; *several is set when
// another one is called differently.
static bool find_speaker(struct ask *a, const struct recall *r, struct slice term, bool *several)
{
    bool found = false;
    for (size_t i = 0; i < r->pieces.len; i++) {
        const struct segment *s = VEC_AT(&r->pieces, struct piece, i)->segment;
        for (uint32_t k = 0; k < s->speakers_len; k++) {
            if (!name_has(s->speakers[k], term))
                continue;
            found = true;
            if (!a->speaker.len)
                a->speaker = s->speakers[k];
            else if (!slice_eq(a->speaker, s->speakers[k]))
                *several = true;
        }
    }
    return found;
}

// Keeps the terms that are worth most; of equals those that were said first.
static void offer_term(struct ask *a, const struct ask_term *t)
{
    uint32_t at = a->len;

    while (at > 0 && a->list[at - 1].weight < t->weight)
        at--;
    if (at == RECALL_QUERY_TERMS_MAX)
        return;
    uint32_t moved = a->len - at;
    if (a->len < RECALL_QUERY_TERMS_MAX)
        a->len++;
    else
        moved--;
    memmove(&a->list[at + 1], &a->list[at], moved * sizeof(*a->list));
    a->list[at] = *t;
}

static int by_text_then_place(const void *x, const void *y, void *user)
{
    const struct term *a = *(const struct term *const *)x, *b = *(const struct term *const *)y;
    const struct terms *t = user;
    int order = slice_cmp(term_text(t, a), term_text(t, b));
    return order ? order : (a->at > b->at) - (a->at < b->at);
}

static int by_place(const void *x, const void *y)
{
    const struct term *a = *(const struct term *const *)x, *b = *(const struct term *const *)y;
    return (a->at > b->at) - (a->at < b->at);
}

// The terms that are different, in the order of the text; returns how many.
static size_t distinct(struct terms *t, const struct term **out)
{
    size_t n = t->list.len, kept = 0;
    for (size_t i = 0; i < n; i++)
        out[i] = VEC_AT(&t->list, struct term, i);
    qsort_r(out, n, sizeof(*out), by_text_then_place, t);
    for (size_t i = 0; i < n; i++)
        if (!kept || !slice_eq(term_text(t, out[i]), term_text(t, out[kept - 1])))
            out[kept++] = out[i];
    qsort(out, kept, sizeof(*out), by_place);
    return kept;
}

static bool says_what(const struct ask *a, const struct term **terms, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (!term_is_function_word(term_text(&a->terms, terms[i])))
            return true;
    }
    return false;
}

static void weigh_terms(struct ask *a, const struct recall *r, const struct term **terms,
                        size_t len)
{
    bool several = false;
    unsigned guesses = 0;

    a->rarest = idf_of(r->live, 0);
    if (!says_what(a, terms, len))
        return;
    for (size_t i = 0; i < len; i++) {
        struct ask_term t = {.text = term_text(&a->terms, terms[i])};
        bool minor = term_is_function_word(t.text);
        uint32_t df = df_of(r, t.text);
        if (find_speaker(a, r, t.text, &several))
            minor = true;
        if (df) {
            offer_variant(&t, t.text, FACTOR_ONE);
        } else if (!minor && guesses < VARIANT_TERMS_MAX && t.text.len >= VARIANT_TERM_MIN &&
                   has_letters_only(t.text)) {
            guesses++;
            find_variants(&t, r);
            for (uint32_t k = 0; k < t.variants_len; k++)
                df += df_of(r, t.variants[k].text);
        }
        t.weight = idf_of(r->live, df);
        if (minor)
            t.weight = (t.weight * r->rules->minor + FACTOR_ONE - 1) / FACTOR_ONE;
        if (t.variants_len)
            offer_term(a, &t);
    }
    if (several)
        a->speaker = SLICE_NONE;
}

// ---- dates

static bool number_of(struct slice text, uint32_t *out)
{
    uint32_t n = 0;
    if (text.len == 0 || text.len > 4)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9')
            return false;
        n = n * 10 + (uint32_t)(text.ptr[i] - '0');
    }
    *out = n;
    return true;
}

// "2023-05-08". Whatever else looks alike, "4711-00-ab", leaves *a as it is.
static bool iso_date(struct slice text, struct ask *a)
{
    uint32_t year, month, day;

    if (text.len != 10 || text.ptr[4] != '-' || text.ptr[7] != '-' ||
        !number_of(slice_of(text.ptr, 4), &year) || !number_of(slice_of(text.ptr + 5, 2), &month) ||
        !number_of(slice_of(text.ptr + 8, 2), &day) || month < 1 || month > 12)
        return false;
    a->year = year;
    a->month = month;
    a->day = day;
    return true;
}

static uint32_t month_of(struct slice stem, bool *unsure)
{
    static const char *const months[] = {"januari", "februari", "march",  "april",
                                         "may",     "june",     "juli",   "august",
                                         "septemb", "octob",    "novemb", "decemb"};
    for (uint32_t i = 0; i < 12; i++)
        if (slice_is(stem, months[i])) {
            *unsure = i == 2 || i == 4;
            return i + 1;
        }
    return 0;
}

// The first month, day and year that are named. "May" and "march" count beside a number only.
static void find_date(struct ask *a)
{
    bool numbers = false, doubted = false;
    uint32_t day = 0;

    for (size_t i = 0; i < a->terms.list.len; i++) {
        struct slice text = term_text(&a->terms, VEC_AT(&a->terms.list, struct term, i));
        uint32_t n = 0;
        bool unsure = false;
        if (iso_date(text, a))
            return;
        if (!a->month && (a->month = month_of(text, &unsure)) != 0)
            doubted = unsure;
        if (!number_of(text, &n))
            continue;
        numbers = true;
        if (!a->year && n >= 1900 && n < 2200)
            a->year = n;
        else if (!day && n >= 1 && n <= 31)
            day = n;
    }
    if (doubted && !numbers)
        a->month = 0;
    a->day = a->month ? day : 0;
}

// The proleptic Gregorian calendar, years from March on, as in H. Hinnant's "chrono-compatible
// low-level date algorithms" (civil_from_days).
void date_of(int64_t at_ms, uint32_t *year, uint32_t *month, uint32_t *day)
{
    const int64_t day_ms = 86400000;
    int64_t days = at_ms / day_ms - (at_ms % day_ms < 0) + 719468;
    int64_t era = (days >= 0 ? days : days - 146096) / 146097;
    int64_t in_era = days - era * 146097;
    int64_t years = (in_era - in_era / 1460 + in_era / 36524 - in_era / 146096) / 365;
    int64_t in_year = in_era - (365 * years + years / 4 - years / 100);
    int64_t from_march = (5 * in_year + 2) / 153;

    *day = (uint32_t)(in_year - (153 * from_march + 2) / 5 + 1);
    *month = (uint32_t)(from_march < 10 ? from_march + 3 : from_march - 9);
    *year = (uint32_t)(years + era * 400 + (*month <= 2));
}

int ask_read(struct ask *a, struct recall *r, struct slice text, struct err *err)
{
    a->len = a->year = a->month = a->day = 0;
    a->speaker = SLICE_NONE;
    terms_init(&a->terms);
    text.len = utf8_cut(text, RECALL_QUERY_BYTES_MAX);
    int rc = terms_read(&a->terms, text, err);
    if (rc)
        return rc;
    const struct term **terms = mem_calloc(a->terms.list.len, sizeof(*terms));
    if (!terms)
        return err_set(err, E_NOMEM, "memory: out of memory while reading a query");
    weigh_terms(a, r, terms, distinct(&a->terms, terms));
    find_date(a);
    mem_free(terms);
    return E_OK;
}

void ask_release(struct ask *a)
{
    terms_release(&a->terms);
}
