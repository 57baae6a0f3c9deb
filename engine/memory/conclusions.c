// SPDX-License-Identifier: MIT
// conclusions.c: a model's answer, read strictly (conclusions.h). Pure; any thread.
#include "memory/conclusions.h"

#include "memory/answer.h"

#include <string.h>

enum { M_KIND, M_SUBJECT, M_PREDICATE, M_VALUE, M_FACTS, MEMBERS, TEXTS = M_FACTS };
static const struct {
    const char *name;
    size_t bytes_max;
    bool needed;
} members[MEMBERS] = {
    [M_KIND] = {"kind", 32, true},
    [M_SUBJECT] = {"subject", FACT_NAME_BYTES - 1, false},
    [M_PREDICATE] = {"predicate", FACT_NAME_BYTES - 1, true},
    [M_VALUE] = {"value", FACT_VALUE_BYTES_MAX, true},
    [M_FACTS] = {"facts", 0, true},
};

// Where in the answer: which of the conclusions; and what it says.
struct reading {
    uint32_t item;
    struct json of[MEMBERS];
    struct buf texts[TEXTS];
    struct err *err;
};

static int wrong(struct reading *r, const char *member, const char *why)
{
    return err_set(r->err, E_USAGE, "the answer's item %u: \"%s\" %s", r->item, member, why);
}

static int sort_members(struct reading *r, struct json object)
{
    struct json_iter it = {0};
    struct json key, item;

    memset(r->of, 0, sizeof(r->of));
    if (json_type(object) != JSON_OBJECT)
        return err_set(r->err, E_USAGE, "the answer's item %u is no object", r->item);
    while (json_next(object, &it, &key, &item)) {
        unsigned m = 0;

        while (m < MEMBERS && !json_is_string(key, members[m].name))
            m++;
        if (m == MEMBERS)
            return err_set(r->err, E_USAGE, "the answer's item %u has a member that was not asked "
                           "for", r->item);
        if (json_type(r->of[m]) != JSON_NONE)
            return wrong(r, members[m].name, "is there twice");
        r->of[m] = item;
    }
    return E_OK;
}

static int read_text(struct reading *r, unsigned m)
{
    struct buf *text = &r->texts[m];

    buf_clear(text);
    if (json_type(r->of[m]) == JSON_NONE)
        return members[m].needed ? wrong(r, members[m].name, "is missing") : E_OK;
    if (!json_string(r->of[m], text))
        return text->no_memory ? err_set(r->err, E_NOMEM, "out of memory for an answer")
                               : wrong(r, members[m].name, "is no text");
    if (text->len == 0 || text->len > members[m].bytes_max || memchr(text->ptr, '\0', text->len))
        return wrong(r, members[m].name, "is empty, too long or has a NUL");
    return E_OK;
}

static int read_facts(struct reading *r, struct concluded *out)
{
    struct json_iter it = {0};
    struct json key, item;

    if (json_type(r->of[M_FACTS]) != JSON_ARRAY || json_count(r->of[M_FACTS]) == 0)
        return wrong(r, "facts", "is no list of facts' ids");
    if (json_count(r->of[M_FACTS]) > CONCLUSION_FACTS_MAX)
        return wrong(r, "facts", "has too many");
    while (json_next(r->of[M_FACTS], &it, &key, &item)) {
        struct slice id = json_raw(item);

        // Twelve hex digits need no escape: their source is their text, in quotes.
        if (json_type(item) != JSON_STRING || id.len != FACT_ID_BYTES - 1 + 2)
            return wrong(r, "facts", "has what is no fact's id");
        memcpy(out->facts[out->facts_len], id.ptr + 1, FACT_ID_BYTES - 1);
        out->facts[out->facts_len++][FACT_ID_BYTES - 1] = '\0';
    }
    return E_OK;
}

static int read_item(struct reading *r, struct json item, struct concluded *out)
{
    int code = sort_members(r, item);

    *out = (struct concluded){0};
    for (unsigned m = 0; m < TEXTS && !code; m++)
        code = read_text(r, m);
    if (code)
        return code;
    if (!fact_kind_find(buf_slice(&r->texts[M_KIND]), &out->kind))
        return wrong(r, "kind", "is none of those that were asked for");
    out->subject = buf_slice(&r->texts[M_SUBJECT]);
    out->predicate = buf_slice(&r->texts[M_PREDICATE]);
    out->value = buf_slice(&r->texts[M_VALUE]);
    return read_facts(r, out);
}

struct taker {
    struct reading reading;
    int (*take)(void *user, const struct concluded *c, struct err *err);
    void *user;
};

static int take_item(void *user, uint32_t n, struct json item, bool take, struct err *err)
{
    struct taker *t = user;
    struct concluded c;

    t->reading.item = n;
    int code = read_item(&t->reading, item, &c);
    return code || !take ? code : t->take(t->user, &c, err);
}

int conclusions_read(struct slice answer,
                     int (*take)(void *user, const struct concluded *c, struct err *err),
                     void *user, struct err *err)
{
    static const struct answer_list list = {"knowledge", "item", CONCLUSIONS_MAX,
                                            CONCLUSIONS_DEPTH_MAX};
    struct taker t = {.reading = {.err = err}, .take = take, .user = user};

    for (unsigned m = 0; m < TEXTS; m++)
        buf_init(&t.reading.texts[m], FACT_VALUE_BYTES_MAX * 2);
    int code = answer_read(answer, &list, take_item, &t, err);
    for (unsigned m = 0; m < TEXTS; m++)
        buf_release(&t.reading.texts[m]);
    return code;
}
