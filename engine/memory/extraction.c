// SPDX-License-Identifier: MIT
// extraction.c: a model's answer, read strictly (extraction.h). Pure; any thread.
#include "memory/extraction.h"

#include "memory/answer.h"

#include <string.h>

enum { M_TURN, M_KIND, M_SUBJECT, M_PREDICATE, M_VALUE, M_QUOTE, M_NEGATES, MEMBERS };
static const char *const members[MEMBERS] = {"turn",  "kind",  "subject", "predicate",
                                             "value", "quote", "negates"};

// Where in the answer: which of the facts; and what it says.
struct reading {
    uint32_t fact;
    struct json of[MEMBERS];
    struct buf texts[MEMBERS];
    struct err *err;
};

static int wrong(struct reading *r, const char *member, const char *why)
{
    return err_set(r->err, E_USAGE, "the answer's fact %u: \"%s\" %s", r->fact, member, why);
}

static int sort_members(struct reading *r, struct json fact)
{
    struct json_iter it = {0};
    struct json key, item;

    memset(r->of, 0, sizeof(r->of));
    if (json_type(fact) != JSON_OBJECT)
        return err_set(r->err, E_USAGE, "the answer's fact %u is no object", r->fact);
    while (json_next(fact, &it, &key, &item)) {
        unsigned m = 0;

        while (m < MEMBERS && !json_is_string(key, members[m]))
            m++;
        if (m == MEMBERS)
            return err_set(r->err, E_USAGE, "the answer's fact %u has a member that was not asked "
                           "for", r->fact);
        if (json_type(r->of[m]) != JSON_NONE)
            return wrong(r, members[m], "is there twice");
        r->of[m] = item;
    }
    return E_OK;
}

static int read_text(struct reading *r, unsigned m, size_t max, bool needed)
{
    buf_clear(&r->texts[m]);
    if (json_type(r->of[m]) == JSON_NONE)
        return needed ? wrong(r, members[m], "is missing") : E_OK;
    if (!json_string(r->of[m], &r->texts[m]))
        return buf_ok(&r->texts[m]) ? wrong(r, members[m], "is no text")
                                    : err_set(r->err, E_NOMEM, "out of memory for an answer");
    if (r->texts[m].len == 0 || r->texts[m].len > max ||
        memchr(r->texts[m].ptr, '\0', r->texts[m].len))
        return wrong(r, members[m], "is empty, too long or has a NUL");
    return E_OK;
}

static int read_fact(struct reading *r, struct json fact, struct extracted *out)
{
    int code = sort_members(r, fact);

    *out = (struct extracted){0};
    if (!code)
        code = read_text(r, M_KIND, 32, true);
    if (!code)
        code = read_text(r, M_SUBJECT, FACT_NAME_BYTES - 1, false);
    if (!code)
        code = read_text(r, M_PREDICATE, FACT_NAME_BYTES - 1, true);
    if (!code)
        code = read_text(r, M_VALUE, FACT_VALUE_BYTES_MAX, true);
    if (!code)
        code = read_text(r, M_QUOTE, EXTRACTION_QUOTE_BYTES_MAX, true);
    if (code)
        return code;
    int64_t turn = json_i64(r->of[M_TURN], 0);
    if (turn < 1 || turn > UINT32_MAX)
        return wrong(r, "turn", "is no turn's number");
    enum json_type negates = json_type(r->of[M_NEGATES]);
    if (negates != JSON_NONE && negates != JSON_TRUE && negates != JSON_FALSE)
        return wrong(r, "negates", "is neither true nor false");
    if (!fact_kind_find(buf_slice(&r->texts[M_KIND]), &out->kind))
        return wrong(r, "kind", "is none of those that were asked for");
    out->turn = (uint32_t)turn;
    out->negates = negates == JSON_TRUE;
    out->subject = buf_slice(&r->texts[M_SUBJECT]);
    out->predicate = buf_slice(&r->texts[M_PREDICATE]);
    out->value = buf_slice(&r->texts[M_VALUE]);
    out->quote = buf_slice(&r->texts[M_QUOTE]);
    return E_OK;
}

struct taker {
    struct reading reading;
    int (*take)(void *user, const struct extracted *e, struct err *err);
    void *user;
};

static int take_fact(void *user, uint32_t n, struct json fact, bool take, struct err *err)
{
    struct taker *t = user;
    struct extracted e;

    t->reading.fact = n;
    int code = read_fact(&t->reading, fact, &e);
    return code || !take ? code : t->take(t->user, &e, err);
}

int extraction_read(struct slice answer,
                    int (*take)(void *user, const struct extracted *e, struct err *err),
                    void *user, struct err *err)
{
    static const struct answer_list list = {"facts", "fact", EXTRACTION_FACTS_MAX,
                                            EXTRACTION_DEPTH_MAX};
    struct taker t = {.reading = {.err = err}, .take = take, .user = user};

    for (unsigned m = 0; m < MEMBERS; m++)
        buf_init(&t.reading.texts[m], EXTRACTION_QUOTE_BYTES_MAX * 2);
    int code = answer_read(answer, &list, take_fact, &t, err);
    for (unsigned m = 0; m < MEMBERS; m++)
        buf_release(&t.reading.texts[m]);
    return code;
}
