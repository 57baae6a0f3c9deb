// SPDX-License-Identifier: MIT
// prices.c: the price table. Read-only once loaded; any thread.
//
// Prices are kept as integers, in 10^-12 dollars per token: list prices are dollars per million
// tokens with few decimals, so nothing is rounded until the cost is known.
#include "tokens/tokens.h"

#include "base/clock.h"
#include "base/hint.h"
#include "base/json.h"
#include "base/mem.h"
#include "model/turn.h"

#include <stdio.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum {
    ROWS_MAX = 4096,
    PICO_PER_NANO = 1000,
    DOLLARS_MAX = 1000000,  // per million tokens: more is a slip of the decimal point
};
static const double pico_per_unit = 1e6;  // of a dollar per million tokens

struct row {
    char provider[MODEL_NAME_BYTES];
    char model[MODEL_NAME_BYTES];
    size_t model_len;              // without the "*"
    bool any_rest;
    int64_t input, cached, cache_write, output;
};

struct prices {
    uint32_t len;
    struct row rows[];
};

static const char *const row_members[] = {"provider", "model", "input", "cached", "cache_write",
                                          "output"};
static const char *const table_members[] = {"source", "as_of", "models"};

// Unknown members are slips of the pen: a price that is not read would be a wrong cost.
static int check_members(struct json object, const char *const *names, size_t n, const char *where,
                         struct err *err)
{
    struct json_iter it = {0};
    struct json key, value;

    while (json_next(object, &it, &key, &value)) {
        size_t i = 0;

        while (i < n && !json_is_string(key, names[i]))
            i++;
        if (i < n)
            continue;
        struct slice raw = json_raw(key);
        const char *near = hint_nearest(slice_of(raw.ptr + 1, raw.len - 2), names, n);
        return err_set(err, E_POLICY, "prices: %s: unknown member %.*s%s%s%s", where,
                       SLICE_FMT(raw), near ? "; did you mean \"" : "", near ? near : "",
                       near ? "\"?" : "");
    }
    return E_OK;
}

static int read_name(struct json row, const char *key, char out[MODEL_NAME_BYTES],
                     const char *where, struct err *err)
{
    struct buf scratch = BUF_INIT(MODEL_NAME_BYTES);
    struct slice name = json_text(json_get(row, key), &scratch);
    int rc = E_OK;

    if (scratch.no_memory)
        rc = buf_check(&scratch, "prices", err);
    else if (!name.ptr || name.len == 0 || name.len >= MODEL_NAME_BYTES ||
             memchr(name.ptr, '\0', name.len))
        rc = err_set(err, E_POLICY, "prices: %s: \"%s\" must be a string of 1 to %d bytes", where,
                     key, MODEL_NAME_BYTES - 1);
    else {
        memcpy(out, name.ptr, name.len);
        out[name.len] = '\0';
    }
    buf_release(&scratch);
    return rc;
}

static int read_price(struct json row, const char *key, int64_t *out, const char *where,
                      struct err *err)
{
    double dollars = json_double(json_get(row, key), -1);

    if (!(dollars >= 0 && dollars <= DOLLARS_MAX))
        return err_set(err, E_POLICY, "prices: %s: \"%s\" must be a number from 0 to %d, "
                       "US dollars per million tokens", where, key, DOLLARS_MAX);
    *out = (int64_t)(dollars * pico_per_unit + 0.5);
    return E_OK;
}

static int read_row(struct row *r, struct json v, uint32_t i, struct err *err)
{
    char where[32];
    int rc;

    snprintf(where, sizeof(where), "models[%u]", i);
    if (json_type(v) != JSON_OBJECT)
        return err_set(err, E_POLICY, "prices: %s must be an object", where);
    if ((rc = check_members(v, row_members, COUNT(row_members), where, err)) ||
        (rc = read_name(v, "provider", r->provider, where, err)) ||
        (rc = read_name(v, "model", r->model, where, err)) ||
        (rc = read_price(v, "input", &r->input, where, err)) ||
        (rc = read_price(v, "cached", &r->cached, where, err)) ||
        (rc = read_price(v, "cache_write", &r->cache_write, where, err)) ||
        (rc = read_price(v, "output", &r->output, where, err)))
        return rc;
    r->model_len = strlen(r->model);
    r->any_rest = r->model[r->model_len - 1] == '*';
    r->model_len -= r->any_rest;
    if (memchr(r->model, '*', r->model_len))
        return err_set(err, E_POLICY, "prices: %s: \"*\" may only end a model's name", where);
    return E_OK;
}

static int check_table(struct json root, struct err *err)
{
    struct buf scratch = BUF_INIT(64);
    struct json models = json_get(root, "models");
    int64_t when;

    if (json_type(root) != JSON_OBJECT)
        return err_set(err, E_POLICY, "prices: must be an object");
    int rc = check_members(root, table_members, COUNT(table_members), "the table", err);
    if (rc)
        return rc;
    if (json_type(json_get(root, "source")) != JSON_STRING)
        return err_set(err, E_POLICY, "prices: \"source\" must say where they come from");
    struct slice date = json_text(json_get(root, "as_of"), &scratch);
    if (date.len != sizeof("YYYY-MM-DD") - 1 || clock_parse(date, &when, NULL))
        rc = err_set(err, E_POLICY, "prices: \"as_of\" must be a date, YYYY-MM-DD");
    else if (json_type(models) != JSON_ARRAY || json_count(models) > ROWS_MAX)
        rc = err_set(err, E_POLICY, "prices: \"models\" must be an array of at most %d", ROWS_MAX);
    buf_release(&scratch);
    return rc;
}

static int load(struct prices **out, struct json root, struct err *err)
{
    int rc = check_table(root, err);
    if (rc)
        return rc;
    struct json models = json_get(root, "models");
    struct json_iter it = {0};
    struct json key, item;
    uint32_t n = json_count(models);
    struct prices *p = mem_zalloc(sizeof(*p) + n * sizeof(p->rows[0]));
    if (!p)
        return err_set(err, E_NOMEM, "out of memory for %u prices", n);
    for (; !rc && json_next(models, &it, &key, &item); p->len++)
        rc = read_row(&p->rows[p->len], item, p->len, err);
    if (rc)
        prices_free(p);
    else
        *out = p;
    return rc;
}

int prices_load(struct prices **out, struct slice json, struct err *err)
{
    struct json_doc doc = JSON_DOC_INIT;
    int rc = json_parse(&doc, json, 0, err);

    *out = NULL;
    if (rc && rc != E_NOMEM) {
        if (err)
            err->code = E_POLICY;
        err_prefix(err, "prices: ");
        rc = E_POLICY;
    }
    if (!rc)
        rc = load(out, json_root(&doc), err);
    json_doc_release(&doc);
    return rc;
}

void prices_free(struct prices *p)
{
    mem_free(p);
}

// The row with the longest name that matches; the whole name beats any with a "*".
static const struct row *find_row(const struct prices *p, const char *provider, const char *model)
{
    size_t len = strlen(model);
    const struct row *best = NULL;

    for (uint32_t i = 0; i < p->len; i++) {
        const struct row *r = &p->rows[i];

        if (r->model_len > len || (!r->any_rest && r->model_len != len) ||
            memcmp(r->model, model, r->model_len) != 0 || strcmp(r->provider, provider) != 0)
            continue;
        if (!r->any_rest)
            return r;
        if (!best || r->model_len > best->model_len)
            best = r;
    }
    return best;
}

void prices_apply(const struct prices *p, const char *provider, const char *model, struct usage *u)
{
    const struct row *r = p ? find_row(p, provider, model) : NULL;

    u->cost_nusd = COST_UNKNOWN;
    if (!r)
        return;
    int64_t fresh = u->input_tokens - u->cached_tokens - u->cache_write_tokens;
    if (fresh < 0)  // a provider that counts cached input apart
        fresh = 0;
    __int128 pico = (__int128)fresh * r->input + (__int128)u->cached_tokens * r->cached +
                    (__int128)u->cache_write_tokens * r->cache_write +
                    (__int128)u->output_tokens * r->output;
    __int128 nano = (pico + PICO_PER_NANO / 2) / PICO_PER_NANO;
    u->cost_nusd = nano > INT64_MAX ? INT64_MAX : (int64_t)nano;
}

bool prices_find(const struct prices *p, const char *provider, const char *model, struct price *out)
{
    const struct row *r = p ? find_row(p, provider, model) : NULL;

    if (r)
        *out = (struct price){
            .input = (double)r->input / pico_per_unit,
            .cached = (double)r->cached / pico_per_unit,
            .cache_write = (double)r->cache_write / pico_per_unit,
            .output = (double)r->output / pico_per_unit,
        };
    return r != NULL;
}

void prices_each(const struct prices *p,
                 void (*fn)(void *user, const char *provider, const char *model), void *user)
{
    for (uint32_t i = 0; i < p->len; i++)
        fn(user, p->rows[i].provider, p->rows[i].model);
}
