// SPDX-License-Identifier: MIT
// scan.c: asks the recognisers, and makes of what they find spans that are disjoint.
//
// Invariants:
//   1. What a recogniser says without having looked at the open end (view.hit) is final. The
//      first place of which nothing final is known is `unsettled`.
//   2. Candidates that overlap, directly or through others, are one cluster; which of them become
//      spans is a function of the cluster alone. In order of their beginnings, a cluster takes in
//      what begins before its end, CLUSTER_MAX at most; after it, only what begins behind its last
//      span counts. So clusters follow from the left, and a text in pieces has the same.
//   3. A cluster of candidates that are all final, and that nothing unsettled can join, is settled.
#include "redact/scan.h"

#include "base/mem.h"
#include "base/vec.h"
#include "redact/fold.h"
#include "redact/ids.h"
#include "redact/own.h"
#include "redact/phone.h"
#include "redact/phone_plan.h"
#include "redact/prefilter.h"
#include "redact/recognise.h"

#include <stdlib.h>

enum { RECOGNISERS_MAX = 32, CLUSTER_MAX = 256, MUCH_SURER = 30, CANDIDATES_MAX = 1 << 24 };
enum { MOVES_EACH = 16 };
// So far behind a place nothing decides any more whether it is told of: in an open text,
// places that are nearer to the end are all asked.
enum { TAIL_BYTES = ANCHOR_BYTES + BLOCK_BYTES };
enum { ANCHOR_SETS = 1 << ANCHORS, ALL_ANCHORS = ANCHOR_SETS - 1 };

struct redactor {
    // Recognisers of the kinds that are on, but for national ids, a bit each: those that have one
    // of a set of anchors, and those for which a match may begin with a byte.
    uint32_t by_anchors[ANCHOR_SETS], by_start[256];
    struct ids_index ids;
    struct vocabulary words;
    uint64_t kinds;
    struct own_patterns *own;
    char *allow[REDACT_ALLOW_MAX];  // small letters
    size_t n_allow;
    const struct phone_plan *plan;  // of the region; NULL
    unsigned digits_min;  // of what has ANCHOR_DIGITS
    enum classify_level level;
};

struct candidate {
    size_t start, end;  // of the view
    unsigned kind, score;
    bool chosen;
};

struct scan {
    const struct redactor *r;
    struct folded folded;
    struct view view;
    struct own_matcher *own;  // NULL: no patterns
    struct vec found;         // struct candidate
    size_t unsettled;         // of the view
    size_t from, tail;        // of the view
    bool failed;
};

static unsigned start_of(int c)
{
    return is_digit(c) ? START_DIGIT : is_letter(c) || is_letter_lead(c) ? START_LETTER :
           c == '+' || c == '(' ? START_PHONE : c == ':' ? START_COLON : c == '-' ? START_DASH :
           c == '_' ? START_UNDERSCORE : 0;
}

static void index_recognisers(struct redactor *r)
{
    for (unsigned i = 0; recognisers[i].at; i++) {
        const struct recogniser *rec = &recognisers[i];
        if (rec->id || !(r->kinds & REDACT_KIND_BIT(rec->kind)))
            continue;
        BUG_ON(i >= RECOGNISERS_MAX);
        uint32_t bit = UINT32_C(1) << i;
        for (unsigned set = 0; set < ANCHOR_SETS; set++)
            r->by_anchors[set] |= rec->anchors & set ? bit : 0;
        for (int c = 0; c < 256; c++)
            r->by_start[c] |= rec->starts & start_of(c) ? bit : 0;
    }
}

static int copy_rules(struct redactor *r, const struct redact_rules *rules, struct err *err)
{
    r->kinds = rules ? rules->kinds & REDACT_KINDS_ALL : redact_kinds_default();
    ids_index_init(&r->ids, r->kinds);
    recognisers_add_words(&r->words);
    r->level = classify_best();
    index_recognisers(r);
    bool region = rules && rules->region && *rules->region;
    r->plan = region ? phone_plan_of(rules->region, strlen(rules->region)) : NULL;
    if (region && !r->plan)
        return err_set(err, E_POLICY, "'%s' is no region: two letters, such as US", rules->region);
    r->digits_min = phone_digits_min(region ? rules->region : "");
    if (rules && rules->n_allow > REDACT_ALLOW_MAX)
        return err_set(err, E_POLICY, "%zu entries are allowed: %d at most", rules->n_allow,
                       REDACT_ALLOW_MAX);
    for (size_t i = 0; rules && i < rules->n_allow; i++) {
        struct slice entry = rules->allow[i];
        if (entry.len == 0 || entry.len > REDACT_OWN_PATTERN_BYTES ||
            memchr(entry.ptr, '\0', entry.len))
            return err_set(err, E_POLICY, "entry %zu of what is allowed is empty or over %d bytes",
                           i + 1, REDACT_OWN_PATTERN_BYTES);
        char *copy = r->allow[r->n_allow++] = mem_slicedup(entry);
        if (!copy)
            return err_set(err, E_NOMEM, "out of memory for a redactor");
        for (char *c = copy; *c; c++)
            *c = (char)to_lower((unsigned char)*c);
    }
    return own_patterns_new(&r->own, rules ? rules->own : NULL, rules ? rules->n_own : 0, err);
}

int redactor_new(struct redactor **out, const struct redact_rules *rules, struct err *err)
{
    struct redactor *r = *out = mem_zalloc(sizeof(*r));

    if (!r)
        return err_set(err, E_NOMEM, "out of memory for a redactor");
    int code = copy_rules(r, rules, err);
    if (code != E_OK) {
        redactor_free(r);
        *out = NULL;
    }
    return code;
}

void redactor_free(struct redactor *r)
{
    if (!r)
        return;
    for (size_t i = 0; i < r->n_allow; i++)
        mem_free(r->allow[i]);
    own_patterns_free(r->own);
    mem_free(r);
}

unsigned redactor_kinds(const struct redactor *r)
{
    return REDACT_KINDS + (unsigned)own_patterns_len(r->own);
}

const char *redactor_kind_word(const struct redactor *r, unsigned kind)
{
    return kind < REDACT_KINDS ? redact_kind_info(kind)->word
                               : own_word(r->own, kind - REDACT_KINDS);
}

const char *redactor_kind_mask(const struct redactor *r, unsigned kind)
{
    return kind < REDACT_KINDS ? redact_kind_info(kind)->mask
                               : own_mask(r->own, kind - REDACT_KINDS);
}

bool redactor_has(const struct redactor *r, unsigned kind)
{
    return kind < REDACT_KINDS ? (r->kinds & REDACT_KIND_BIT(kind)) != 0 : kind < redactor_kinds(r);
}

void redact_spans_release(struct redact_spans *s)
{
    mem_free(s->ptr);
    *s = (struct redact_spans)REDACT_SPANS_INIT;
}

// ---- candidates

static void add(struct scan *s, size_t at, struct match m, unsigned kind, int context)
{
    int score = (int)m.score + context;

    if (score < REDACT_SCORE_MIN)
        return;
    while (m.end < s->view.len && (s->view.ptr[m.end] & 0xC0) == 0x80)
        m.end--;  // where a limit of bytes cut it, not inside a character
    BUG_ON(m.end <= at || m.end > s->view.len || m.end - at > REDACT_MATCH_BYTES);
    struct candidate *c = vec_push(&s->found);
    if (c)
        *c = (struct candidate){at, m.end, kind, score > 100 ? 100 : (unsigned)score, false};
    else
        s->failed = true;
}

// Whether a character begins at `at` in the text as it came: one may be several in the view.
static bool is_start(const struct scan *s, size_t at)
{
    return s->folded.wide.len == 0 || fold_is_start(&s->folded, at);
}

static void ask_one(struct scan *s, size_t at, const struct recogniser *rec)
{
    struct match m = {0};

    s->view.hit = false;
    bool found = rec->at(&s->view, at, &m);
    if (s->view.hit && at < s->unsettled)
        s->unsettled = at;
    if (found && !s->view.hit)
        add(s, at, m, rec->kind, context_score(&s->view, at, rec));
}

static void ask_ids(struct scan *s, size_t at)
{
    s->view.hit = false;
    uint64_t ids = ids_which(&s->r->ids, &s->view, at);
    if (s->view.hit && at < s->unsettled)
        s->unsettled = at;
    for (; ids; ids &= ids - 1) {
        unsigned rule = (unsigned)__builtin_ctzll(ids);
        struct match m = {0};
        s->view.hit = false;
        bool found = ids_at(&s->view, at, rule, &m);
        if (s->view.hit && at < s->unsettled)
            s->unsettled = at;
        if (found && !s->view.hit)
            add(s, at, m, ids_kind(rule), 0);
    }
}

// Asks those that have one of the anchors whether a match begins at `at`. National ids have all
// the same one.
static void ask(struct scan *s, size_t at, unsigned anchors)
{
    int c = (unsigned char)s->view.ptr[at];
    uint32_t which = s->r->by_anchors[anchors] & s->r->by_start[c];
    bool ids = anchors & ANCHOR_DIGITS && is_alnum(c);

    if ((!which && !ids) || view_word_before(&s->view, at) || !is_start(s, at))
        return;
    for (; which; which &= which - 1)
        ask_one(s, at, &recognisers[__builtin_ctz(which)]);
    if (ids)
        ask_ids(s, at);
}

static void ask_own(struct scan *s)
{
    for (size_t i = 0; i < own_patterns_len(s->r->own); i++)
        for (size_t at = s->from; at < s->view.len; at++) {
            struct match m = {0};
            bool begins = own_begins(s->r->own, i, (unsigned char)s->view.ptr[at]);
            if (!begins || !is_start(s, at))
                continue;
            s->view.hit = false;
            bool found = own_at(s->own, i, &s->view, at, &m);
            if (s->view.hit && at < s->unsettled)
                s->unsettled = at;
            if (found && !s->view.hit)
                add(s, at, m, REDACT_KINDS + (unsigned)i, 0);
        }
}

// ---- from candidates to spans

static int by_start(const void *a, const void *b)
{
    const struct candidate *x = a, *y = b;

    if (x->start != y->start)
        return x->start < y->start ? -1 : 1;
    if (x->end != y->end)
        return x->end > y->end ? -1 : 1;
    if (x->kind != y->kind)
        return x->kind < y->kind ? -1 : 1;
    return x->score > y->score ? -1 : x->score < y->score;
}

// They come nearly in order, so each is put where it belongs among those before it; false, and they
// are in some order, where that takes more than MOVES_EACH steps for each.
static bool sort_nearly(struct candidate *list, size_t n)
{
    size_t moves = 0;

    for (size_t i = 1; i < n; i++) {
        struct candidate c = list[i];
        size_t at = i;
        for (; at > 0 && by_start(&list[at - 1], &c) > 0; at--, moves++)
            list[at] = list[at - 1];
        list[at] = c;
        if (moves > MOVES_EACH * n)
            return false;
    }
    return true;
}

// Sorts, and leaves each once: a place may be told of by two anchors. Returns how many are left.
static size_t sort_candidates(struct candidate *list, size_t n)
{
    size_t kept = n ? 1 : 0;

    if (!sort_nearly(list, n))
        qsort(list, n, sizeof(*list), by_start);
    for (size_t i = 1; i < n; i++)
        if (by_start(&list[kept - 1], &list[i]) != 0)
            list[kept++] = list[i];
    return kept;
}

static bool overlaps(const struct candidate *a, const struct candidate *b)
{
    return a->start < b->end && b->start < a->end;
}

static bool is_free(const struct candidate *list, size_t n, const struct candidate *c)
{
    for (size_t i = 0; i < n; i++)
        if (list[i].chosen && overlaps(&list[i], c))
            return false;
    return true;
}

static bool is_better(const struct candidate *a, const struct candidate *b)
{
    size_t a_len = a->end - a->start, b_len = b->end - b->start;

    if (a->score != b->score)
        return a->score > b->score;
    return a_len != b_len ? a_len > b_len : by_start(a, b) < 0;
}

// The surest first. But what holds it whole comes before it, unless that is much less sure: a
// number that another pattern finds a part of is not to be shown but for that part.
static struct candidate *next_best(struct candidate *list, size_t n)
{
    struct candidate *best = NULL;
    bool grown = true;

    for (size_t i = 0; i < n; i++)
        if (!list[i].chosen && (!best || is_better(&list[i], best)) && is_free(list, n, &list[i]))
            best = &list[i];
    while (best && grown) {
        grown = false;
        for (size_t i = 0; i < n && !grown; i++) {
            struct candidate *c = &list[i];
            grown = c->start <= best->start && c->end >= best->end && c->end - c->start >
                    best->end - best->start && c->score + MUCH_SURER > best->score &&
                    is_free(list, n, c);
            if (grown)
                best = c;
        }
    }
    return best;
}

static int emit(const struct scan *s, const struct candidate *c, struct redact_spans *out)
{
    if (out->len == REDACT_SPANS_MAX)
        return E_REFUSED;
    if (out->len == out->cap) {
        size_t cap = out->cap ? 2 * out->cap : 16;
        struct redact_span *more = mem_realloc(out->ptr, cap * sizeof(*more));
        if (!more)
            return E_NOMEM;
        out->ptr = more;
        out->cap = cap;
    }
    struct redact_span *span = &out->ptr[out->len++];
    *span = (struct redact_span){c->start, c->end, c->kind, c->score};
    if (s->folded.marks.len > 0) {
        span->start = fold_origin(&s->folded, c->start);
        span->end = fold_origin_end(&s->folded, c->end);
    }
    return E_OK;
}

// Whether text matches an entry, in which `*` is any characters.
static bool allows(const char *entry, struct slice text)
{
    const char *star = NULL;
    size_t at = 0, star_at = 0;

    while (at < text.len) {
        if (*entry == '*') {
            star = ++entry;
            star_at = at;
        } else if (*entry && to_lower((unsigned char)text.ptr[at]) == (unsigned char)*entry) {
            entry++, at++;
        } else if (star) {
            entry = star;
            at = ++star_at;
        } else {
            return false;
        }
    }
    while (*entry == '*')
        entry++;
    return !*entry;
}

static bool is_allowed(const struct scan *s, const struct candidate *c)
{
    for (size_t i = 0; i < s->r->n_allow; i++)
        if (allows(s->r->allow[i], slice_of(s->view.ptr + c->start, c->end - c->start)))
            return true;
    return false;
}

// Spans of a cluster, in order; the end of the last one chosen goes to *floor.
static int settle_cluster(const struct scan *s, struct candidate *list, size_t n, size_t *floor,
                          struct redact_spans *out)
{
    int code = E_OK;

    if (n == 1)  // as nearly all are
        list->chosen = true;
    for (struct candidate *best; n > 1 && (best = next_best(list, n));)
        best->chosen = true;
    for (size_t i = 0; i < n && code == E_OK; i++) {
        if (!list[i].chosen)
            continue;
        for (*floor = list[i].end; !is_start(s, *floor);)
            ++*floor;
        code = is_allowed(s, &list[i]) ? E_OK : emit(s, &list[i], out);
    }
    return code;
}

// *settled: of the view.
static int settle(struct scan *s, struct redact_spans *out, size_t *settled)
{
    struct candidate *list = s->found.ptr;
    size_t floor = s->from, n = s->found.len;
    int code = E_OK;

    n = sort_candidates(list, n);
    *settled = s->unsettled;
    for (size_t i = 0, next; i < n && code == E_OK; i = next) {
        size_t end = list[i].end;
        next = i + 1;
        if (list[i].start < floor)
            continue;
        while (next < n && next - i < CLUSTER_MAX && list[next].start < end) {
            end = list[next].end > end ? list[next].end : end;
            next++;
        }
        bool full = next - i == CLUSTER_MAX && list[next - 1].start < s->unsettled;
        if (list[i].start >= s->unsettled || (end > s->unsettled && !full)) {
            *settled = list[i].start < s->unsettled ? list[i].start : s->unsettled;
            break;
        }
        code = settle_cluster(s, list + i, next - i, &floor, out);
    }
    if (*settled < floor)
        *settled = floor;
    return code;
}

// ---- scanning

static void ask_place(void *user, const struct place *place)
{
    struct scan *s = user;

    if (place->at < s->from || place->at >= s->tail || s->failed)
        return;
    s->view.near = place->at;
    s->view.digits = place->digits;
    ask(s, place->at, place->anchors);
}

static void find(struct scan *s)
{
    prefilter((enum classify_level)s->view.level, slice_of(s->view.ptr, s->view.len),
              s->r->digits_min, ask_place, s);
    s->view.digits = UINT64_MAX;  // tells of nothing
    for (size_t at = s->tail > s->from ? s->tail : s->from; at < s->view.len && !s->failed; at++)
        ask(s, at, ALL_ANCHORS);
    if (!s->failed && s->own)
        ask_own(s);
}

static int scan_view(struct scan *s, struct redact_spans *out, size_t *settled, struct err *err)
{
    size_t settled_view;

    find(s);
    int code = s->failed ? E_NOMEM : settle(s, out, &settled_view);
    if (code != E_OK)
        return err_set(err, code, code == E_NOMEM ? "out of memory for what a text holds" :
                       "a text holds over %d things to mask: send it in parts", REDACT_SPANS_MAX);
    *settled = settled_view == s->view.len ? s->folded.origin_len :
               fold_origin(&s->folded, settled_view);
    return E_OK;
}

int redact_scan_open(const struct redactor *r, struct slice text, size_t from, bool at_end,
                     struct redact_spans *out, size_t *settled, struct err *err)
{
    struct scan s = {.r = r, .found = VEC_INIT(struct candidate, CANDIDATES_MAX)};

    BUG_ON(from > text.len);
    out->len = out->exhausted = 0;
    *settled = from;
    int code = fold_text(&s.folded, text, !at_end, err);
    if (code != E_OK)
        return code;
    s.view = (struct view){
        .ptr = s.folded.text.ptr, .len = s.folded.text.len, .open = !at_end, .plan = r->plan,
        .phone_digits_min = r->digits_min, .words = &r->words, .digits = UINT64_MAX,
        .level = r->level,
    };
    s.from = fold_find(&s.folded, from);
    BUG_ON(s.from > s.view.len);
    s.unsettled = s.view.len;
    s.tail = at_end ? s.view.len : s.view.len > TAIL_BYTES ? s.view.len - TAIL_BYTES : 0;
    if (own_patterns_len(r->own) > 0)
        code = own_matcher_new(&s.own, r->own, err);
    if (code == E_OK)
        code = scan_view(&s, out, settled, err);
    if (s.own)
        out->exhausted = own_exhausted(s.own);
    own_matcher_free(s.own);
    vec_release(&s.found);
    fold_release(&s.folded);
    return code;
}

int redact_scan(const struct redactor *r, struct slice text, struct redact_spans *out,
                struct err *err)
{
    size_t settled;

    return redact_scan_open(r, text, 0, true, out, &settled, err);
}

void redact_value(unsigned kind, struct slice match, struct buf *out)
{
    enum redact_form form = kind < REDACT_KINDS ? redact_kind_info(kind)->form : REDACT_FORM_TEXT;

    size_t from = out->len, to = from;

    fold_append(match, out);
    for (size_t i = from; i < out->len; i++) {
        int c = (unsigned char)out->ptr[i];
        if (form != REDACT_FORM_ALNUM || is_alnum(c) || c >= 0x80)
            out->ptr[to++] = (char)(form == REDACT_FORM_TEXT ? c : to_lower(c));
    }
    buf_truncate(out, to);
}
