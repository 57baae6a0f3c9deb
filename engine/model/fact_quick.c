// SPDX-License-Identifier: MIT
// fact_quick.c: a slot that is stored as fact_codec.c writes it, read in one walk (fact_int.h).
//
// A book has up to a thousand slots, and who comes back after a while waits for all of them: so
// what is as we write it is told by its bytes alone, in the order of writing. No document is built,
// and nothing is written again to compare: what this walk accepts is the form that would be
// written. Members, their ranges and what must agree are those of fact_codec.c; texts with escapes
// and whatever is otherwise are left to it, as it can say what is wrong.
//
// Plain values; any thread.
#include "model/fact_int.h"

#include "base/json_int.h"
#include "base/utf8.h"
#include "model/safe_text_int.h"

enum {
    NUMBER_DIGITS_MAX = 16,  // of fact_time_max_ms
    STATUSES = FACT_FORGOTTEN + 1,
};

struct walk {
    const char *at, *end;
    bool ok;
};

// ---- parts

static bool next_is(struct walk *w, const char *text, size_t len)
{
    if ((size_t)(w->end - w->at) < len || memcmp(w->at, text, len) != 0)
        return false;
    w->at += len;
    return true;
}
#define NEXT_IS(w, literal) next_is((w), (literal), sizeof(literal) - 1)

static void expect(struct walk *w, const char *text, size_t len)
{
    w->ok = w->ok && next_is(w, text, len);
}
#define EXPECT(w, literal) expect((w), (literal), sizeof(literal) - 1)

static int64_t take_number(struct walk *w, int64_t min, int64_t max)
{
    bool negative = NEXT_IS(w, "-");
    const char *from = w->at;
    int64_t n = 0;

    while (w->at < w->end && *w->at >= '0' && *w->at <= '9' && w->at - from < NUMBER_DIGITS_MAX)
        n = n * 10 + (*w->at++ - '0');
    bool zero = w->at > from && *from == '0';
    w->ok = w->ok && w->at > from && (!zero || (w->at - from == 1 && !negative));
    n = negative ? -n : n;
    w->ok = w->ok && n >= min && n <= max;
    return n;
}

// A time that is written only if there is one.
#define TIME_IF_ANY(w, literal) (NEXT_IS(w, literal) ? take_time(w, false) : 0)
static int64_t take_time(struct walk *w, bool zero_too)
{
    int64_t n = take_number(w, -fact_time_max_ms, fact_time_max_ms);

    w->ok = w->ok && (n != 0 || zero_too);
    return n;
}

static bool take_bool(struct walk *w)
{
    bool yes = NEXT_IS(w, "true");

    if (!yes)
        EXPECT(w, "false");
    return yes;
}

// A text that is written as it is, without its quotes.
static struct slice take_text(struct walk *w)
{
    EXPECT(w, "\"");
    const char *from = w->at;
    while (w->ok) {
        w->at += json_plain_run(w->at, (size_t)(w->end - w->at));
        if (w->at == w->end || (unsigned char)*w->at < 0x80)
            break;
        size_t at = 0;
        w->ok = utf8_next(slice_of(w->at, (size_t)(w->end - w->at)), &at) >= 0;
        w->at += at;
    }
    struct slice text = slice_of(from, (size_t)(w->at - from));
    EXPECT(w, "\"");
    return text;
}

static void take_chars(struct walk *w, char *out, size_t size)
{
    struct slice text = take_text(w);

    w->ok = w->ok && text.len < size;
    if (!w->ok)
        return;
    memcpy(out, text.ptr, text.len);
    out[text.len] = '\0';
}

// One that is written only if it is not empty.
#define CHARS_IF_ANY(w, literal, out)                                                              \
    do {                                                                                           \
        if (NEXT_IS(w, literal)) {                                                                 \
            take_chars((w), (out), sizeof(out));                                                   \
            (w)->ok = (w)->ok && (out)[0];                                                         \
        }                                                                                          \
    } while (0)

static bool is_hex(const char *text, size_t len)
{
    return strspn(text, "0123456789abcdef") == len && text[len] == '\0';
}

// In the place of an empty list: a copy of these.
static void fill(struct walk *w, struct vec *out, const void *items, size_t len)
{
    w->ok = w->ok && (len == 0 || vec_reserve_exact(out, len));
    if (!w->ok || len == 0)
        return;
    memcpy(out->ptr, items, len * out->item_bytes);
    out->len = len;
}

// ---- a fact

static void take_evidence(struct walk *w, struct fact_evidence *e)
{
    struct slice author;

    *e = (struct fact_evidence){0};
    EXPECT(w, "{\"session\":");
    take_chars(w, e->session, sizeof(e->session));
    EXPECT(w, ",\"turn\":");
    e->turn = (uint32_t)take_number(w, 0, UINT32_MAX);
    EXPECT(w, ",\"step\":");
    e->step = (uint32_t)take_number(w, 0, UINT32_MAX);
    EXPECT(w, ",\"start\":");
    e->start = (uint32_t)take_number(w, 0, UINT32_MAX);
    EXPECT(w, ",\"end\":");
    e->end = (uint32_t)take_number(w, e->start, UINT32_MAX);
    EXPECT(w, ",\"author\":");
    author = take_text(w);
    w->ok = w->ok && fact_author_find(author, &e->author);
    EXPECT(w, ",\"supported\":");
    e->supported = take_bool(w);
    e->negates = NEXT_IS(w, ",\"negates\":true");
    EXPECT(w, ",\"at\":");
    e->at_ms = take_time(w, true);
    e->valid_from_ms = TIME_IF_ANY(w, ",\"valid_from\":");
    e->valid_to_ms = TIME_IF_ANY(w, ",\"valid_to\":");
    CHARS_IF_ANY(w, ",\"extractor\":", e->extractor);
    CHARS_IF_ANY(w, ",\"policy\":", e->policy);
    CHARS_IF_ANY(w, ",\"fact\":", e->fact);
    w->ok = w->ok && (!e->fact[0] || is_hex(e->fact, FACT_ID_BYTES - 1));
    EXPECT(w, "}");
}

static void take_evidence_list(struct walk *w, struct fact *f)
{
    struct fact_evidence list[FACT_EVIDENCE_MAX];
    size_t len = 0;

    EXPECT(w, ",\"evidence\":[");
    for (bool more = w->ok && !NEXT_IS(w, "]"); more; more = w->ok && NEXT_IS(w, ",")) {
        w->ok = len < FACT_EVIDENCE_MAX;
        if (!w->ok)
            return;
        take_evidence(w, &list[len]);
        w->ok = w->ok && (len == 0 || list[len - 1].at_ms <= list[len].at_ms);
        len++;
    }
    if (len)
        EXPECT(w, "]");
    fill(w, &f->evidence, list, len);
}

static void take_turns(struct walk *w, struct fact *f)
{
    uint32_t list[FACT_TURNS_MAX];
    size_t len = 0;

    if (!NEXT_IS(w, ",\"turns\":["))
        return;
    do {
        w->ok = w->ok && len < FACT_TURNS_MAX;
        if (w->ok)
            list[len++] = (uint32_t)take_number(w, 0, UINT32_MAX);
    } while (w->ok && NEXT_IS(w, ","));
    EXPECT(w, "]");
    fill(w, &f->turns, list, len);
}

static void take_earlier(struct walk *w, struct fact *f)
{
    struct fact_period list[FACT_PERIODS_MAX - 1];
    size_t len = 0;

    if (!NEXT_IS(w, ",\"earlier\":["))
        return;
    do {
        int64_t n[4] = {0};
        for (int i = 0; i < 4; i++) {
            if (i)
                EXPECT(w, ",");
            else
                EXPECT(w, "[");
            n[i] = take_time(w, true);
        }
        EXPECT(w, "]");
        w->ok = w->ok && len < FACT_PERIODS_MAX - 1;
        if (w->ok)
            list[len++] = (struct fact_period){n[0], n[1], n[2], n[3]};
    } while (w->ok && NEXT_IS(w, ","));
    EXPECT(w, "]");
    fill(w, &f->earlier, list, len);
}

// As fact_set_value leaves a value.
static bool is_value(struct slice text)
{
    bool blank = true;

    for (size_t i = 0; i < text.len; i++) {
        bool was = blank;
        blank = text.ptr[i] == ' ';
        if ((blank && was) || text.ptr[i] == 0x7f)
            return false;
    }
    return !blank && text.len <= FACT_VALUE_BYTES_MAX;
}

static void take_value(struct walk *w, struct fact *f)
{
    if (f->status == FACT_FORGOTTEN)
        return;
    EXPECT(w, ",\"value\":");
    struct slice text = take_text(w);
    w->ok = w->ok && is_value(text);
    if (w->ok)
        safe_buf_add(&f->value, safe_text_vouch(text));
    w->ok = w->ok && !safe_buf_check(&f->value, "a fact", NULL);
}

static void take_fact(struct walk *w, struct fact *f)
{
    fact_init(f);
    EXPECT(w, "{\"id\":");
    take_chars(w, f->id, sizeof(f->id));
    EXPECT(w, ",\"kind\":");
    struct slice word = take_text(w);
    w->ok = w->ok && is_hex(f->id, FACT_ID_BYTES - 1) && fact_kind_find(word, &f->kind);
    EXPECT(w, ",\"status\":");
    word = take_text(w);
    w->ok = w->ok && fact_status_find(word, &f->status);
    take_value(w, f);
    f->valid_from_ms = TIME_IF_ANY(w, ",\"valid_from\":");
    f->valid_to_ms = TIME_IF_ANY(w, ",\"valid_to\":");
    EXPECT(w, ",\"recorded_at\":");
    f->recorded_at_ms = take_time(w, true);
    f->retired_at_ms = TIME_IF_ANY(w, ",\"retired_at\":");
    f->confirmed_at_ms = TIME_IF_ANY(w, ",\"confirmed_at\":");
    f->forgotten_at_ms = TIME_IF_ANY(w, ",\"forgotten_at\":");
    CHARS_IF_ANY(w, ",\"by\":", f->by);
    take_turns(w, f);
    f->confirmations = (uint32_t)f->turns.len;
    take_earlier(w, f);
    take_evidence_list(w, f);
    EXPECT(w, "}");
    bool is_now = f->status == FACT_ACTIVE || f->status == FACT_QUARANTINED;
    w->ok = w->ok && !(is_now && f->retired_at_ms) &&
            (!f->by[0] || (f->status == FACT_SUPERSEDED && is_hex(f->by, FACT_ID_BYTES - 1)));
}

// ---- a slot

static void take_names(struct walk *w, struct fact_slot *s)
{
    char name[FACT_NAME_BYTES];

    EXPECT(w, "{");
    if (NEXT_IS(w, "\"scope\":")) {
        take_chars(w, s->scope, sizeof(s->scope));
        w->ok = w->ok && is_hex(s->scope, FACT_SCOPE_BYTES - 1);
        EXPECT(w, ",");
    }
    EXPECT(w, "\"subject\":");
    take_chars(w, s->subject, sizeof(s->subject));
    EXPECT(w, ",\"predicate\":");
    take_chars(w, s->predicate, sizeof(s->predicate));
    w->ok = w->ok && s->subject[0] && fact_name_normal(slice_str(s->predicate), name) &&
            strcmp(name, s->predicate) == 0;
}

static void take_facts(struct walk *w, struct fact_slot *s, uint32_t all)
{
    w->ok = w->ok && vec_reserve_exact(&s->facts, all);
    EXPECT(w, ",\"facts\":[");
    for (bool more = w->ok; more; more = w->ok && NEXT_IS(w, ",")) {
        struct fact *f = s->facts.len < all ? vec_push(&s->facts) : NULL;

        w->ok = f != NULL;
        if (!f)
            return;
        take_fact(w, f);
        w->ok = w->ok && fact_slot_find(s, f->id) == f;
    }
    EXPECT(w, "]}");
    w->ok = w->ok && w->at == w->end && (!s->one || fact_slot_count(s, FACT_ACTIVE) <= 1);
}

static void take_meta(struct walk *w, bool *one, uint32_t counts[STATUSES])
{
    EXPECT(w, "{\"one\":");
    *one = take_bool(w);
    EXPECT(w, ",\"quarantined\":");
    counts[FACT_QUARANTINED] = (uint32_t)take_number(w, 0, SLOT_VALUES_MAX);
    EXPECT(w, ",\"active\":");
    counts[FACT_ACTIVE] = (uint32_t)take_number(w, 0, SLOT_VALUES_MAX);
    EXPECT(w, ",\"superseded\":");
    counts[FACT_SUPERSEDED] = (uint32_t)take_number(w, 0, SLOT_VALUES_MAX);
    EXPECT(w, ",\"forgotten\":");
    counts[FACT_FORGOTTEN] = (uint32_t)take_number(w, 0, SLOT_VALUES_MAX);
    EXPECT(w, "}");
    w->ok = w->ok && w->at == w->end;
}

bool fact_slot_read_quick(struct fact_slot *s, struct slice meta, struct safe_text body)
{
    struct walk m = {meta.ptr, meta.ptr + meta.len, true};
    struct walk w = {body.ptr, body.ptr + body.len, true};
    uint32_t counts[STATUSES] = {0}, all = 0;

    take_meta(&m, &s->one, counts);
    for (unsigned i = 0; i < STATUSES; i++)
        all += counts[i];
    w.ok = m.ok && all <= SLOT_VALUES_MAX;
    take_names(&w, s);
    take_facts(&w, s, all);
    for (unsigned i = 0; i < STATUSES && w.ok; i++)
        w.ok = fact_slot_count(s, (enum fact_status)i) == counts[i];
    return w.ok;
}
