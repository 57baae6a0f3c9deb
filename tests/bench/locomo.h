// SPDX-License-Identifier: MIT
// locomo.h: the LoCoMo conversations (cases/memory/locomo.json beside the project; CC BY-NC 4.0,
// for evaluation only): turns, and questions with the turns that are their evidence. And the
// figures that a ranking is held to.
#ifndef BENCH_LOCOMO_H
#define BENCH_LOCOMO_H

#include "base/json.h"
#include "support/shared.h"

#include <stdio.h>

enum { LOCOMO_EVIDENCE_MAX = 32, LOCOMO_CATEGORIES = 5, LOCOMO_RANKS = 100 };

static const char *const locomo_categories[LOCOMO_CATEGORIES] = {
    "single-hop", "multi-hop", "temporal", "open-domain", "adversarial"};

struct locomo_turn {
    char id[16], session[16], *speaker, *text;  // text: with the picture's caption behind it
    uint32_t number;
    int64_t at_ms;
};

struct locomo_question {
    char *text;
    unsigned category;
    uint32_t evidence[LOCOMO_EVIDENCE_MAX], evidence_len;  // indices of turns
};

struct locomo_conv {
    struct locomo_turn *turns;
    struct locomo_question *questions;
    uint32_t turns_len, questions_len;
};

struct locomo {
    struct locomo_conv *convs;
    uint32_t len;
};

static inline char *locomo_text(struct json v)
{
    struct buf text = BUF_INIT(1 << 20);
    size_t len;
    json_string(v, &text);
    buf_add_char(&text, '\0');
    return buf_take(&text, &len);
}

// "1:56 pm on 8 May, 2023", UTC. Howard Hinnant's days_from_civil.
static inline int64_t locomo_time(const char *text)
{
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    int hour = 0, minute = 0, day = 1;
    unsigned year = 1970;
    char half[4] = "", month[16] = "Jan";

    sscanf(text, "%d:%d %3s on %d %15[A-Za-z], %u", &hour, &minute, half, &day, month, &year);
    month[3] = '\0';
    const char *at = strstr(months, month);
    unsigned m = at ? (unsigned)(at - months) / 3 + 1 : 1;
    hour = hour % 12 + (half[0] == 'p' ? 12 : 0);
    int64_t y = (int64_t)year - (m <= 2), era = y / 400, in_era = y - era * 400;
    int64_t in_year = (153 * (m > 2 ? m - 3 : m + 9) + 2) / 5 + day - 1;
    int64_t days = era * 146097 + in_era * 365 + in_era / 4 - in_era / 100 + in_year - 719468;
    return ((days * 24 + hour) * 60 + minute) * 60000;
}

static inline void locomo_read_turn(struct locomo_turn *t, struct json v, uint32_t number)
{
    char *id = locomo_text(json_get(v, "id")), *date = locomo_text(json_get(v, "date"));
    char *text = locomo_text(json_get(v, "text")), *caption = locomo_text(json_get(v, "caption"));
    size_t bytes = strlen(text) + strlen(caption) + 2;

    snprintf(t->id, sizeof(t->id), "%.15s", id);
    snprintf(t->session, sizeof(t->session), "%d", (int)json_i64(json_get(v, "session"), 0));
    t->number = number;
    t->at_ms = locomo_time(date);
    t->speaker = locomo_text(json_get(v, "speaker"));
    t->text = malloc(bytes);
    snprintf(t->text, bytes, "%s %s", text, caption);
    mem_free(id);
    mem_free(date);
    mem_free(text);
    mem_free(caption);
}

static inline void locomo_read_question(const struct locomo_conv *c, struct locomo_question *q,
                                        struct json v)
{
    struct json_iter it = {0};
    struct json key, item;
    char *category = locomo_text(json_get(v, "cat"));

    q->text = locomo_text(json_get(v, "q"));
    while (q->category < LOCOMO_CATEGORIES - 1 &&
           strcmp(category, locomo_categories[q->category]) != 0)
        q->category++;
    mem_free(category);
    while (json_next(json_get(v, "evidence"), &it, &key, &item))
        for (uint32_t i = 0; i < c->turns_len && q->evidence_len < LOCOMO_EVIDENCE_MAX; i++)
            if (json_is_string(item, c->turns[i].id))
                q->evidence[q->evidence_len++] = i;
}

// False: the data is not there.
static inline bool locomo_load(struct locomo *out)
{
    struct json_doc doc = JSON_DOC_INIT;
    struct json_iter it = {0};
    struct json key, conv;
    size_t len;
    char *text = shared_read("memory/locomo.json", &len);

    if (!text || json_parse(&doc, slice_of(text, len), 0, NULL) != E_OK)
        return false;
    struct json convs = json_get(json_root(&doc), "convs");
    out->convs = calloc(json_count(convs), sizeof(*out->convs));
    while (json_next(convs, &it, &key, &conv)) {
        struct locomo_conv *c = &out->convs[out->len++];
        struct json turns = json_get(conv, "turns"), qa = json_get(conv, "qa"), item;
        struct json_iter a = {0}, b = {0};
        c->turns = calloc(json_count(turns), sizeof(*c->turns));
        c->questions = calloc(json_count(qa), sizeof(*c->questions));
        while (json_next(turns, &a, &key, &item)) {
            locomo_read_turn(&c->turns[c->turns_len], item, c->turns_len + 1);
            c->turns_len++;
        }
        while (json_next(qa, &b, &key, &item))
            locomo_read_question(c, &c->questions[c->questions_len++], item);
    }
    json_doc_release(&doc);
    free(text);
    return true;
}

// ---- figures

enum { LOCOMO_DEPTHS = 3 };
static const uint32_t locomo_depths[LOCOMO_DEPTHS] = {5, 10, 20};

// Sums over questions: of the share of evidence among the first k, of 1 / the first one's rank.
struct locomo_figures {
    double recall[LOCOMO_DEPTHS], mrr;
    uint32_t n;
};

static inline void locomo_count(struct locomo_figures *f, const struct locomo_question *q,
                                const uint32_t *ranking, uint32_t len)
{
    bool first = true;

    f->n++;
    for (uint32_t i = 0; i < len; i++)
        for (uint32_t k = 0; k < q->evidence_len; k++) {
            if (q->evidence[k] != ranking[i])
                continue;
            for (unsigned d = 0; d < LOCOMO_DEPTHS; d++)
                f->recall[d] += i < locomo_depths[d] ? 1.0 / q->evidence_len : 0;
            f->mrr += first ? 1.0 / (i + 1) : 0;
            first = false;
        }
}

#endif
