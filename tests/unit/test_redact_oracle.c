// SPDX-License-Identifier: MIT
// The scanner held against an oracle without its prefilter: every recogniser at every place, and
// what overlaps settled by rules written down here once more; on the given cases and on generated
// texts, and in pieces, cut anywhere.
#include "redact/fold.h"
#include "redact/own.h"
#include "redact/phone_plan.h"
#include "redact/recognise.h"
#include "redact/scan.h"
#include "support/redact_gen.h"
#include "support/shared.h"

#include "base/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { TEXT_MAX = 1 << 16, FOUND_MAX = 1 << 14, CLUSTER = 256, SURER = 30 };

static const struct redact_own own_rules[] = {
    {SLICE_LIT("order"), SLICE_LIT("\\bORD-\\d{4,6}\\b")},
    {SLICE_LIT("vowels"), SLICE_LIT("(?i)(?<=x)[aeiou]+1?$")},
};
static const struct redact_rules rules = {
    .kinds = REDACT_KINDS_ALL, .own = own_rules, .n_own = 2, .region = "US",
};

struct found {
    size_t start, end;
    unsigned kind, score;
    int state;  // 0: open, 1: taken, -1: out
};

struct oracle {
    struct folded folded;
    struct view view;
    struct found list[FOUND_MAX];
    size_t n;
};
static struct oracle o;

static void add_found(size_t at, struct match m, unsigned kind, int context)
{
    int score = (int)m.score + context;

    if (score < REDACT_SCORE_MIN)
        return;
    while (m.end < o.view.len && (o.view.ptr[m.end] & 0xC0) == 0x80)
        m.end--;
    assert_true(o.n < FOUND_MAX);
    o.list[o.n++] = (struct found){at, m.end, kind, score > 100 ? 100 : (unsigned)score, 0};
}

static bool may_start(const struct recogniser *rec, int c)
{
    unsigned start = is_digit(c) ? START_DIGIT : is_letter(c) || is_letter_lead(c) ? START_LETTER :
                     c == '+' || c == '(' ? START_PHONE : c == ':' ? START_COLON :
                     c == '-' ? START_DASH : c == '_' ? START_UNDERSCORE : 0;

    return (rec->starts & start) != 0;
}

static void find_all(struct own_matcher *own)
{
    for (size_t at = 0; at < o.view.len; at++) {
        struct match m;
        if (!fold_is_start(&o.folded, at))
            continue;
        for (const struct recogniser *rec = recognisers; rec->at; rec++)
            if (may_start(rec, (unsigned char)o.view.ptr[at]) && !view_word_before(&o.view, at) &&
                rec->at(&o.view, at, &m))
                add_found(at, m, rec->kind, context_score(&o.view, at, rec));
        for (unsigned i = 0; i < rules.n_own; i++)
            if (own_at(own, i, &o.view, at, &m))
                add_found(at, m, REDACT_KINDS + i, 0);
    }
}

static bool crosses(const struct found *a, const struct found *b)
{
    return a->start < b->end && b->start < a->end;
}

// Which of two comes first in a text: the one that begins first, then the longer, then by kind.
static bool precedes(const struct found *a, const struct found *b)
{
    if (a->start != b->start)
        return a->start < b->start;
    if (a->end != b->end)
        return a->end > b->end;
    return a->kind != b->kind ? a->kind < b->kind : a->score > b->score;
}

static void sort_found(void)
{
    size_t kept = 0;

    for (size_t i = 1; i < o.n; i++)  // insertion: they are nearly sorted
        for (size_t k = i; k > 0 && precedes(&o.list[k], &o.list[k - 1]); k--) {
            struct found other = o.list[k];
            o.list[k] = o.list[k - 1];
            o.list[k - 1] = other;
        }
    for (size_t i = 0; i < o.n; i++)
        if (i == 0 || memcmp(&o.list[kept - 1], &o.list[i], sizeof(o.list[i])) != 0)
            o.list[kept++] = o.list[i];
    o.n = kept;
}

static void take(struct found *list, size_t n, struct found *one)
{
    for (size_t i = 0; i < n; i++)
        if (list[i].state == 0 && crosses(&list[i], one))
            list[i].state = -1;
    one->state = 1;
}

// The surest, the longest, the first; then whatever open one holds it whole and is not much less
// sure.
static struct found *choose(struct found *list, size_t n)
{
    struct found *best = NULL;

    for (size_t i = 0; i < n; i++) {
        struct found *f = &list[i];
        size_t len = f->end - f->start, best_len = best ? best->end - best->start : 0;
        if (f->state == 0 && (!best || f->score > best->score ||
                              (f->score == best->score && len > best_len)))
            best = f;
    }
    for (size_t i = 0; best && i < n; i++) {
        struct found *f = &list[i];
        bool holds = f->start <= best->start && f->end >= best->end &&
                     f->end - f->start > best->end - best->start;
        if (f->state == 0 && holds && f->score + SURER > best->score) {
            best = f;
            i = (size_t)-1;
        }
    }
    return best;
}

static void resolve(struct redact_spans *out)
{
    size_t floor = 0;

    out->len = 0;
    for (size_t i = 0; i < o.n;) {
        if (o.list[i].start < floor) {
            i++;
            continue;
        }
        size_t n = 1, end = o.list[i].end;
        for (; i + n < o.n && n < CLUSTER && o.list[i + n].start < end; n++)
            end = o.list[i + n].end > end ? o.list[i + n].end : end;
        for (struct found *best; (best = choose(&o.list[i], n));)
            take(&o.list[i], n, best);
        for (size_t k = i; k < i + n; k++) {
            const struct found *f = &o.list[k];
            if (f->state != 1)
                continue;
            assert_true(out->len < out->cap);
            out->ptr[out->len++] = (struct redact_span){
                fold_origin(&o.folded, f->start), fold_origin_end(&o.folded, f->end), f->kind,
                f->score,
            };
            for (floor = f->end; !fold_is_start(&o.folded, floor);)
                floor++;
        }
        i += n;
    }
}

static void ask_oracle(struct slice text, struct redact_spans *out)
{
    static struct own_patterns *patterns;
    static struct vocabulary words;
    struct own_matcher *matcher;

    if (!patterns) {
        assert_int_equal(own_patterns_new(&patterns, own_rules, rules.n_own, NULL), E_OK);
        recognisers_add_words(&words);
    }
    assert_int_equal(own_matcher_new(&matcher, patterns, NULL), E_OK);
    assert_int_equal(fold_text(&o.folded, text, false, NULL), E_OK);
    o.view = (struct view){.ptr = o.folded.text.ptr, .len = o.folded.text.len,
                           .plan = phone_plan_of("US", 2), .words = &words,
                           .digits = UINT64_MAX};
    o.n = 0;
    find_all(matcher);
    sort_found();
    resolve(out);
    fold_release(&o.folded);
    own_matcher_free(matcher);
}

static void print_spans(const char *what, const struct redactor *r, struct slice text,
                        const struct redact_spans *s)
{
    for (size_t i = 0; i < s->len; i++)
        print_message("%s: %zu-%zu %s '%.*s' %u\n", what, s->ptr[i].start, s->ptr[i].end,
                      redactor_kind_word(r, s->ptr[i].kind),
                      (int)(s->ptr[i].end - s->ptr[i].start), text.ptr + s->ptr[i].start,
                      s->ptr[i].score);
}

static bool same(const struct redact_spans *a, const struct redact_spans *b)
{
    bool equal = a->len == b->len;

    for (size_t i = 0; equal && i < a->len; i++)
        equal = a->ptr[i].start == b->ptr[i].start && a->ptr[i].end == b->ptr[i].end &&
                a->ptr[i].kind == b->ptr[i].kind && a->ptr[i].score == b->ptr[i].score;
    return equal;
}

static struct redact_span oracle_room[FOUND_MAX], pieces_room[FOUND_MAX];

static void assert_oracle(const struct redactor *r, struct slice text, struct redact_spans *found)
{
    struct redact_spans wanted = {.ptr = oracle_room, .cap = FOUND_MAX};

    assert_int_equal(redact_scan(r, text, found, NULL), E_OK);
    ask_oracle(text, &wanted);
    if (!same(found, &wanted)) {
        print_spans("oracle", r, text, &wanted);
        print_spans("found", r, text, found);
        fail_msg("'%.*s'", SLICE_FMT(text));
    }
}

// Text comes in pieces, and no more of what is settled is kept than must be.
static void assert_pieces(const struct redactor *r, struct slice text,
                          const struct redact_spans *whole, uint64_t *seed, uint32_t piece_max,
                          size_t *held)
{
    struct redact_spans all = {.ptr = pieces_room, .cap = FOUND_MAX}, part = REDACT_SPANS_INIT;
    size_t settled = 0, base = 0, given = 0;

    while (given < text.len || settled < text.len) {
        given += 1 + gen_next(seed, piece_max);
        given = given < text.len ? given : text.len;
        bool at_end = given == text.len && gen_next(seed, 2) == 0;
        size_t now = 0;
        base = settled > REDACT_BEFORE_BYTES ? settled - REDACT_BEFORE_BYTES : 0;
        while (base > 0 && (text.ptr[base] & 0xC0) == 0x80)
            base--;
        assert_int_equal(redact_scan_open(r, slice_of(text.ptr + base, given - base),
                                          settled - base, at_end, &part, &now, NULL), E_OK);
        now += base;
        assert_true(now >= settled && now <= given);
        for (size_t i = 0; i < part.len; i++) {
            all.ptr[all.len] = part.ptr[i];
            all.ptr[all.len].start += base;
            all.ptr[all.len++].end += base;
            assert_true(part.ptr[i].end + base <= now);
        }
        assert_true(given - now <= REDACT_HOLD_BYTES);
        *held = given - now > *held ? given - now : *held;
        settled = now;
        if (at_end) {
            assert_int_equal(settled, text.len);
            break;
        }
    }
    if (!same(&all, whole)) {
        print_spans("whole", r, text, whole);
        print_spans("pieces", r, text, &all);
        fail_msg("'%.*s'", SLICE_FMT(text));
    }
    redact_spans_release(&part);
}

// Each prefix: what is settled is so in the whole.
static void assert_prefixes(const struct redactor *r, struct slice text,
                            const struct redact_spans *whole)
{
    struct redact_spans part = REDACT_SPANS_INIT;

    for (size_t cut = 0; cut <= text.len; cut++) {
        struct redact_spans first = {.ptr = whole->ptr};
        size_t settled;
        assert_int_equal(redact_scan_open(r, slice_of(text.ptr, cut), 0, false, &part, &settled,
                                          NULL), E_OK);
        while (first.len < whole->len && whole->ptr[first.len].end <= settled)
            first.len++;
        if (!same(&first, &part) ||
            (first.len < whole->len && whole->ptr[first.len].start < settled)) {
            print_spans("whole", r, text, whole);
            print_spans("part", r, text, &part);
            fail_msg("at %zu of '%.*s', settled to %zu", cut, SLICE_FMT(text), settled);
        }
    }
    redact_spans_release(&part);
}

static struct redactor *made(void)
{
    struct redactor *r;

    assert_int_equal(redactor_new(&r, &rules, NULL), E_OK);
    return r;
}

static void test_oracle__generated_texts(void **state)
{
    bool is_long = getenv("FAULT_LONG") != NULL;
    unsigned rounds = is_long ? 200000 : 6000;
    static char text[TEXT_MAX];
    struct redact_spans found = REDACT_SPANS_INIT;
    struct redactor *r = made();
    size_t spans = 0, bytes = 0, held = 0;

    (void)state;
    for (unsigned i = 0; i < rounds; i++) {
        uint64_t seed = i;
        size_t len = gen_text(text, sizeof(text), &seed, 1 + i % 12);
        assert_oracle(r, slice_of(text, len), &found);
        assert_pieces(r, slice_of(text, len), &found, &seed, 1 + i % 40, &held);
        if (i % 16 == 0)
            assert_prefixes(r, slice_of(text, len), &found);
        spans += found.len;
        bytes += len;
    }
    print_message("# summary: redact oracle: %u texts, %zu bytes, %zu spans, the same in pieces; "
                  "at most %zu bytes held\n", rounds, bytes, spans, held);
    redact_spans_release(&found);
    redactor_free(r);
}

static void test_oracle__long_texts_in_pieces(void **state)
{
    static char text[TEXT_MAX];
    struct redact_spans found = REDACT_SPANS_INIT;
    struct redactor *r = made();
    size_t held = 0;

    (void)state;
    for (unsigned i = 0; i < 12; i++) {
        uint64_t seed = 1000 + i;
        size_t len = gen_text(text, 20000, &seed, 1000);
        assert_oracle(r, slice_of(text, len), &found);
        assert_pieces(r, slice_of(text, len), &found, &seed, 1 + i * i * 20, &held);
    }
    redact_spans_release(&found);
    redactor_free(r);
}

static void test_oracle__given_cases(void **state)
{
    static const char *const files[] = {"pii/presidio.json", "pii/phone_numbers.json"};
    static const char *const fields[] = {"text", "intl", "national", "e164", "rfc3966"};
    struct redact_spans found = REDACT_SPANS_INIT;
    struct redactor *r = made();
    unsigned n = 0;

    (void)state;
    for (size_t f = 0; f < 2; f++) {
        struct json_doc doc = JSON_DOC_INIT;
        struct buf text = BUF_INIT(TEXT_MAX);
        size_t len;
        char *raw = shared_read(files[f], &len);
        if (!raw)
            skip();
        assert_int_equal(json_parse(&doc, slice_of(raw, len), 0, NULL), E_OK);
        struct json cases = json_get(json_root(&doc), "cases");
        for (uint32_t i = 0; i < json_count(cases); i++)
            for (size_t k = 0; k < sizeof(fields) / sizeof(fields[0]); k++) {
                struct json field = json_get(json_at(cases, i), fields[k]);
                buf_clear(&text);
                if (json_type(field) != JSON_STRING || !json_string(field, &text))
                    continue;
                assert_oracle(r, buf_slice(&text), &found);
                assert_prefixes(r, buf_slice(&text), &found);
                n++;
            }
        json_doc_release(&doc);
        buf_release(&text);
        free(raw);
    }
    print_message("# summary: redact oracle: %u given texts, each cut everywhere\n", n);
    redact_spans_release(&found);
    redactor_free(r);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_oracle__generated_texts),
        cmocka_unit_test(test_oracle__long_texts_in_pieces),
        cmocka_unit_test(test_oracle__given_cases),
    };

    return cmocka_run_group_tests_name("redact_oracle", tests, NULL, NULL);
}
