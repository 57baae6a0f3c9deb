// SPDX-License-Identifier: MIT
// caps.c: what models can do: rows of data (scripts/data/models.json), not code in the adapters.
//
// Invariants:
//   1. Every api in the table has a "*" row, so that a lookup always finds one.
//   2. Of the rows that match, the longest pattern wins. "local" is OpenAI's dialect spoken by
//      a server on this machine: it sees openai's rows too, and its own win among equals.
// The table is read-only once loaded; any thread.
#include "llm/llm_int.h"

#include "base/mem.h"

enum { ROWS_MAX = 4096, TOKENS_MAX = 100000000 };

struct row {
    char *api, *model;  // owned
    struct llm_caps caps;
};
struct llm_caps_table {
    struct vec rows;  // of struct row
};

// For an api without a table: the smallest that is common.
static const struct llm_caps cautious = {.window_tokens = 8192, .output_tokens_max = 2048};

static const struct {
    const char *key;
    size_t offset;
} FLAGS[] = {
    {"max_completion_tokens", offsetof(struct llm_caps, max_completion_tokens)},
    {"stream_usage", offsetof(struct llm_caps, stream_usage)},
    {"developer_role", offsetof(struct llm_caps, developer_role)},
    {"temperature", offsetof(struct llm_caps, temperature)},
};

// The value of one member into the row. E_POLICY for a member or a type that is not expected.
static int read_member(struct row *row, struct json key, struct json value, struct err *err)
{
    struct buf text = BUF_INIT(MODEL_NAME_BYTES);
    int64_t number = json_i64(value, -1);
    bool ok = false;

    if (json_is_string(key, "api") || json_is_string(key, "model")) {
        char **to = json_is_string(key, "api") ? &row->api : &row->model;
        ok = !*to && json_string(value, &text) && text.len;
        if (ok && !(*to = buf_take(&text, NULL)))
            ok = false;
    } else if (json_is_string(key, "cache_min")) {
        ok = number >= 0 && number <= TOKENS_MAX;
        row->caps.cache_min_tokens = ok ? (uint64_t)number : 0;
    } else if (json_is_string(key, "encoding")) {
        ok = json_string(value, &text) && text.len && text.len < sizeof(row->caps.encoding);
        if (ok)
            memcpy(row->caps.encoding, text.ptr, text.len + 1);
    } else if (json_is_string(key, "window") || json_is_string(key, "output")) {
        ok = number > 0 && number <= TOKENS_MAX;
        if (json_is_string(key, "window"))
            row->caps.window_tokens = (uint64_t)number;
        else
            row->caps.output_tokens_max = (uint64_t)number;
    } else {
        for (size_t i = 0; i < sizeof(FLAGS) / sizeof(FLAGS[0]); i++) {
            if (!json_is_string(key, FLAGS[i].key))
                continue;
            ok = json_type(value) == JSON_TRUE || json_type(value) == JSON_FALSE;
            *(bool *)((char *)&row->caps + FLAGS[i].offset) = json_bool(value, false);
        }
    }
    bool no_memory = text.no_memory;
    buf_release(&text);
    if (no_memory)
        return err_set(err, E_NOMEM, "out of memory");
    if (!ok)
        return err_set(err, E_POLICY, "%.*s: unknown member or not a value for it",
                       SLICE_FMT(json_raw(key)));
    return E_OK;
}

static int read_row(struct row *row, struct json item, struct err *err)
{
    struct json_iter it = {0};
    struct json key, value;

    if (json_type(item) != JSON_OBJECT)
        return err_set(err, E_POLICY, "not an object");
    while (json_next(item, &it, &key, &value)) {
        int rc = read_member(row, key, value, err);
        if (rc)
            return rc;
    }
    if (!row->api || !row->model || !row->caps.window_tokens || !row->caps.output_tokens_max)
        return err_set(err, E_POLICY, "needs api, model, window and output");
    const char *star = strchr(row->model, '*');
    if (star && star[1])
        return err_set(err, E_POLICY, "model %s: a * may stand at the end only", row->model);
    return E_OK;
}

static int check_defaults(const struct llm_caps_table *t, struct err *err)
{
    for (size_t i = 0; i < t->rows.len; i++) {
        const struct row *row = VEC_AT(&t->rows, struct row, i);
        bool found = false;
        for (size_t j = 0; j < t->rows.len && !found; j++) {
            const struct row *other = VEC_AT(&t->rows, struct row, j);
            found = strcmp(other->api, row->api) == 0 && strcmp(other->model, "*") == 0;
        }
        if (!found)
            return err_set(err, E_POLICY, "models: api %s has no row for model \"*\"", row->api);
    }
    return E_OK;
}

static int read_rows(struct llm_caps_table *t, struct json root, struct err *err)
{
    struct json models = json_get(root, "models");
    struct json_iter it = {0};
    struct json none, item;

    if (json_type(models) != JSON_ARRAY)
        return err_set(err, E_POLICY, "models: an array is expected");
    while (json_next(models, &it, &none, &item)) {
        struct row *row = vec_push(&t->rows);
        if (!row && t->rows.len == ROWS_MAX)
            return err_set(err, E_POLICY, "models: more than %d rows", ROWS_MAX);
        if (!row)
            return err_set(err, E_NOMEM, "out of memory");
        int rc = read_row(row, item, err);
        if (rc)
            return err_prefix(err, "models[%zu]: ", t->rows.len - 1), rc;
    }
    return check_defaults(t, err);
}

int llm_caps_load(struct llm_caps_table **out, struct slice json, struct err *err)
{
    struct json_doc doc = JSON_DOC_INIT;
    struct llm_caps_table *t = mem_zalloc(sizeof(*t));
    int rc = E_NOMEM;

    *out = NULL;
    if (!t) {
        err_set(err, rc, "out of memory");
    } else {
        t->rows = (struct vec)VEC_INIT(struct row, ROWS_MAX);
        rc = json_parse(&doc, json, 0, err);
        rc = rc ? rc : read_rows(t, json_root(&doc), err);
    }
    json_doc_release(&doc);
    if (rc) {
        llm_caps_free(t);
        err_prefix(err, "model table: ");
        rc = rc == E_USAGE ? E_POLICY : rc;  // not JSON at all
        if (err)
            err->code = rc;
        return rc;
    }
    *out = t;
    return E_OK;
}

void llm_caps_free(struct llm_caps_table *t)
{
    if (!t)
        return;
    for (size_t i = 0; i < t->rows.len; i++) {
        struct row *row = VEC_AT(&t->rows, struct row, i);
        mem_free(row->api);
        mem_free(row->model);
    }
    vec_release(&t->rows);
    mem_free(t);
}

// How well a pattern fits: its length + 1, or 0 if it does not.
static size_t fit(const char *pattern, const char *model)
{
    size_t len = strlen(pattern);

    if (len && pattern[len - 1] == '*')
        return strncmp(pattern, model, len - 1) == 0 ? len : 0;
    return strcmp(pattern, model) == 0 ? len + 1 : 0;
}

struct llm_caps llm_caps_find(const struct llm_caps_table *t, const char *api, const char *model)
{
    bool local = strcmp(api, "local") == 0;
    const struct row *best = NULL;
    size_t best_fit = 0;

    for (size_t i = 0; t && i < t->rows.len; i++) {
        const struct row *row = VEC_AT(&t->rows, struct row, i);
        bool own = strcmp(row->api, api) == 0;
        if (!own && !(local && strcmp(row->api, "openai") == 0))
            continue;
        size_t n = fit(row->model, model) * 2;
        if (n && own)
            n++;
        if (n > best_fit) {
            best = row;
            best_fit = n;
        }
    }
    return best ? best->caps : cautious;
}

void llm_caps_each(const struct llm_caps_table *t,
                   void (*fn)(void *user, const char *api, const char *model), void *user)
{
    for (size_t i = 0; i < t->rows.len; i++) {
        const struct row *row = VEC_AT(&t->rows, struct row, i);
        fn(user, row->api, row->model);
    }
}
