// SPDX-License-Identifier: MIT
// redact_cases.h: holds a redactor against cases that others wrote (../shared/cases: pii, and the
// telephone numbers that are marked in task dialogues), with the spans that they expect as the
// truth: cases right, precision and recall of spans, a class each.
#ifndef TESTS_REDACT_CASES_H
#define TESTS_REDACT_CASES_H

#include "base/json.h"
#include "redact/scan.h"
#include "support/shared.h"

#include <stdio.h>
#include <string.h>

// What is not as the case says, and why that is so.
static const struct {
    const char *id, *why;
} redact_exceptions[] = {
    {"phone-1138", "leniency 0: digits right behind a letter; phone-1137 says no of the same text"},
    {"phone-1139", "leniency 2: no valid number; phone-1140 says yes of the same text"},
    {"phone-1141", "leniency 3: other grouping; phone-1142 says yes of the same text"},
    {"BJ 85 75 12 34", "eight digits: the plan has ten since 2024"},
    {"ZW 013 12345", "no longer in the plan"},
    {"5_00031", "no 0 of the trunk in front, and no word that tells"},
    {"5_00036", "no 0 of the trunk in front, and the word that tells is misspelt"},
};

struct redact_class {
    char name[48];
    size_t cases, right, excepted;  // right and excepted are disjoint
    size_t hits, extra, missed;     // spans
};

enum { REDACT_CLASSES_MAX = 64 };
struct redact_score {
    struct redact_class of[REDACT_CLASSES_MAX];
    size_t n;
    // Of each case that is not right; NULL: nobody is told.
    void (*tell)(const char *id, struct slice text, const char *why);
};

static inline struct redact_class *redact_class(struct redact_score *s, const char *name)
{
    for (size_t i = 0; i < s->n; i++)
        if (strcmp(s->of[i].name, name) == 0)
            return &s->of[i];
    BUG_ON(s->n == REDACT_CLASSES_MAX);
    snprintf(s->of[s->n].name, sizeof(s->of[0].name), "%s", name);
    return &s->of[s->n++];
}

static inline const char *redact_exception(const char *id)
{
    for (size_t i = 0; i < sizeof(redact_exceptions) / sizeof(*redact_exceptions); i++)
        if (strcmp(redact_exceptions[i].id, id) == 0)
            return redact_exceptions[i].why;
    return NULL;
}

// One case: what of `kind` is to be found in text.
static inline void redact_case(struct redact_score *score, struct redact_class *c,
                               const struct redactor *r, const char *id, struct slice text,
                               unsigned kind, const struct redact_span *want, size_t n_want)
{
    struct redact_spans found = REDACT_SPANS_INIT;
    struct err err = ERR_INIT;
    size_t hits = 0, of_kind = 0;

    if (redact_scan(r, text, &found, &err) != E_OK)
        return;
    for (size_t i = 0; i < found.len; i++) {
        of_kind += found.ptr[i].kind == kind;
        for (size_t k = 0; k < n_want && found.ptr[i].kind == kind; k++)
            hits += found.ptr[i].start == want[k].start && found.ptr[i].end == want[k].end;
    }
    redact_spans_release(&found);
    c->cases++;
    bool right = hits == n_want && of_kind == n_want;
    const char *why = redact_exception(id);
    if (right)
        c->right++;
    else if (why)
        c->excepted++;
    if (!right && score->tell)
        score->tell(id, text, why);
    if (right || !why) {
        c->hits += hits;
        c->extra += of_kind - hits;
        c->missed += n_want - hits;
    }
}

static inline unsigned redact_case_kind(const char *name)
{
    static const char *const others[][2] = {
        {"us_ssn", "ssn"}, {"credit_card", "card"}, {"crypto", "wallet"}};

    for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++)
        if (strcmp(name, others[i][0]) == 0)
            name = others[i][1];
    int kind = redact_kind_find(slice_str(name));
    BUG_ON(kind < 0);
    return (unsigned)kind;
}

static inline const char *redact_case_text(struct json v, const char *key, struct buf *into)
{
    buf_clear(into);
    BUG_ON(!json_string(json_get(v, key), into));
    char *end = buf_reserve(into, 1);  // a NUL behind what it holds
    BUG_ON(!end);
    *end = 0;
    return into->ptr;
}

static inline struct redactor *redact_case_redactor(const char *region)
{
    struct redact_rules rules = {.kinds = REDACT_KINDS_ALL, .region = region};
    struct redactor *r = NULL;
    struct err err = ERR_INIT;

    BUG_ON(redactor_new(&r, &rules, &err) != E_OK);
    return r;
}

static inline void redact_presidio_case(struct redact_score *score, const struct redactor *r,
                                        struct json v, struct buf bufs[3])
{
    enum { SPANS_MAX = 16 };
    struct redact_span want[SPANS_MAX];
    size_t n = 0;
    struct json span;
    const char *id = redact_case_text(v, "id", &bufs[0]);
    const char *kind = redact_case_text(v, "kind", &bufs[1]);

    redact_case_text(v, "text", &bufs[2]);
    for (struct json_iter it = {0}; json_next(json_get(v, "byte_spans"), &it, NULL, &span); n++) {
        BUG_ON(n == SPANS_MAX);
        want[n] = (struct redact_span){.start = (size_t)json_i64(json_at(span, 0), 0),
                                       .end = (size_t)json_i64(json_at(span, 1), 0)};
    }
    redact_case(score, redact_class(score, kind), r, id, slice_of(bufs[2].ptr, bufs[2].len),
                redact_case_kind(kind), want, n);
}

// A number in each of the formats, international ones without a region, the national one with it.
static inline void redact_number_case(struct redact_score *score, const struct redactor *none,
                                      struct json v, struct buf bufs[3])
{
    static const char *const formats[] = {"e164", "intl", "rfc3966", "national"};
    const char *region = redact_case_text(v, "region", &bufs[0]);

    for (size_t i = 0; i < sizeof(formats) / sizeof(*formats); i++) {
        bool national = i == 3;
        struct redactor *own = national ? redact_case_redactor(region) : NULL;
        char name[32], id[96];
        const char *number = redact_case_text(v, formats[i], &bufs[1]);
        size_t scheme = strncmp(number, "tel:", 4) == 0 ? 4 : 0;
        struct redact_span want = {.start = scheme, .end = bufs[1].len};

        snprintf(name, sizeof(name), "phone, %s", formats[i]);
        snprintf(id, sizeof(id), "%s %s", region, number);
        redact_case(score, redact_class(score, name), national ? own : none, id,
                    slice_of(bufs[1].ptr, bufs[1].len), REDACT_PHONE, &want, 1);
        redactor_free(own);
    }
}

static inline bool redact_cases_file(struct redact_score *score, const char *name,
                                     void (*one)(struct redact_score *, const struct redactor *,
                                                 struct json, struct buf[3]))
{
    size_t len;
    char *text = shared_read(name, &len);
    struct redactor *r = redact_case_redactor("");
    struct json_doc doc = JSON_DOC_INIT;
    struct err err = ERR_INIT;
    struct buf bufs[3] = {BUF_INIT(1 << 20), BUF_INIT(1 << 20), BUF_INIT(1 << 20)};
    struct json v;

    if (text) {
        BUG_ON(json_parse(&doc, slice_of(text, len), 0, &err) != E_OK);
        struct json cases = json_get(json_root(&doc), "cases");
        for (struct json_iter it = {0}; json_next(cases, &it, NULL, &v);)
            one(score, r, v, bufs);
    }
    for (int i = 0; i < 3; i++)
        buf_release(&bufs[i]);
    json_doc_release(&doc);
    redactor_free(r);
    free(text);
    return text != NULL;
}

// Where a text's character `chars` begins.
static inline size_t redact_char_at(const char *text, int64_t chars)
{
    size_t at = 0;

    for (; text[at] && chars > 0; chars--)
        do
            at++;
        while (((unsigned char)text[at] & 0xc0) == 0x80);
    return at;
}

// A turn of a task dialogue: what its annotators marked as a telephone number, and no other.
static inline void redact_turn_case(struct redact_score *score, const struct redactor *r,
                                    struct json turn, const char *id, struct buf *into)
{
    enum { SPANS_MAX = 16 };
    struct redact_span want[SPANS_MAX];
    size_t n = 0;
    const char *text = redact_case_text(turn, "t", into);
    struct json span;

    for (struct json_iter it = {0}; json_next(json_get(turn, "spans"), &it, NULL, &span);) {
        if (!json_is_string(json_at(span, 0), "phone_number") || n == SPANS_MAX)
            continue;
        want[n++] = (struct redact_span){
            .start = redact_char_at(text, json_i64(json_at(span, 1), 0)),
            .end = redact_char_at(text, json_i64(json_at(span, 2), 0))};
    }
    redact_case(score, redact_class(score, "phone, dialogues"), r, id, buf_slice(into),
                REDACT_PHONE, want, n);
}

static inline bool redact_dialogues(struct redact_score *score)
{
    size_t len;
    char *text = shared_read("dialogues/sgd_dev.jsonl.gz", &len);
    struct redactor *r = redact_case_redactor("");
    struct json_doc doc = JSON_DOC_INIT;
    struct buf id = BUF_INIT(1 << 20), into = BUF_INIT(1 << 20);

    for (char *line = text, *end; line && *line; line = end) {
        struct err err = ERR_INIT;
        struct json turn;

        end = strchr(line, '\n');
        end = end ? end + 1 : line + strlen(line);
        BUG_ON(json_parse(&doc, slice_of(line, (size_t)(end - line)), 0, &err) != E_OK);
        const char *name = redact_case_text(json_root(&doc), "id", &id);
        for (struct json_iter it = {0};
             json_next(json_get(json_root(&doc), "turns"), &it, NULL, &turn);)
            redact_turn_case(score, r, turn, name, &into);
    }
    buf_release(&id);
    buf_release(&into);
    json_doc_release(&doc);
    redactor_free(r);
    free(text);
    return text != NULL;
}

// False: the data is not there.
static inline bool redact_cases(struct redact_score *score)
{
    return redact_cases_file(score, "pii/presidio.json", redact_presidio_case) &&
           redact_cases_file(score, "pii/phone_numbers.json", redact_number_case) &&
           redact_dialogues(score);
}

#endif
