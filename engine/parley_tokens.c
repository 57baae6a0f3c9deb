// SPDX-License-Identifier: MIT
// parley_tokens.c: how many tokens a text is, which needs no engine. Any thread.
#include "parley_int.h"

#include "base/embed.h"
#include "base/hint.h"
#include "llm/llm.h"
#include "tokens/encoding.h"
#include "tokens/tokens.h"

static const char default_encoding[] = "o200k_base";
enum { REPORT_HEAD_BYTES = 1024, ID_BYTES = 7 };  // "200018,"

struct tokens_report {
    const struct encoding *encoding;  // NULL: estimated
    const char *model;                // NULL: none was named
    uint32_t tokens;
    bool with_ids;
    struct token_ids ids;
};

static int find_encoding(struct tokens_report *r, const char *name, struct err *err)
{
    struct hint hint = {.word = slice_str(name)};

    r->encoding = encoding_find(slice_str(name));
    if (r->encoding)
        return E_OK;
    for (size_t i = 0; encoding_at(i); i++)
        hint_offer(&hint, slice_str(encoding_name(encoding_at(i))));
    return err_set(err, E_USAGE, "there is no encoding '%s'; there are cl100k_base and o200k_base%s"
                   "%.*s%s", name, hint.best.ptr ? "; did you mean '" : "", SLICE_FMT(hint.best),
                   hint.best.ptr ? "'?" : "");
}

// Whose models have public vocabularies; a name that nobody knows has none.
static int find_model(struct tokens_report *r, const char *model, struct err *err)
{
    const struct embed_file *models = embed_find("scripts/data/models.json");
    struct llm_caps_table *table;

    if (!models)
        return err_set(err, E_CORRUPT, "this program was built without scripts/data/models.json");
    int rc = llm_caps_load(&table, models->bytes, err);
    if (rc)
        return rc;
    r->model = model;
    r->encoding = encoding_find(slice_str(llm_caps_find(table, "openai", model).encoding));
    llm_caps_free(table);
    return E_OK;
}

static int count(struct tokens_report *r, struct slice text, unsigned flags, struct err *err)
{
    unsigned how = flags & PARLEY_TOKEN_SPECIAL ? ENCODING_SPECIAL : 0;

    r->with_ids = (flags & PARLEY_TOKEN_IDS) != 0;
    if (!r->encoding && r->with_ids)
        return err_set(err, E_USAGE, "the vocabulary of model '%s' is not public, so its tokens "
                       "have no ids here; name an encoding to see that one's", r->model);
    if (text.len > ENCODING_BYTES_MAX)
        return err_set(err, E_USAGE, "the text is over %d MiB: count it in parts",
                       ENCODING_BYTES_MAX >> 20);
    if (!r->encoding) {
        r->tokens = tokens_estimate(text);
        return E_OK;
    }
    if (!r->with_ids)
        return encoding_count(r->encoding, text, how, &r->tokens, err);
    int rc = encoding_encode(r->encoding, text, how, &r->ids, err);
    r->tokens = (uint32_t)r->ids.len;
    return rc;
}

static int write_report(const struct tokens_report *r, char **report, struct err *err)
{
    struct buf json = BUF_INIT(REPORT_HEAD_BYTES + 6 * (r->model ? strlen(r->model) : 0) +
                               ID_BYTES * r->ids.len);
    struct json_writer w;

    jw_init(&w, &json);
    jw_object(&w);
    jw_kv_i64(&w, "tokens", r->tokens);
    if (r->encoding)
        jw_kv_str(&w, "encoding", encoding_name(r->encoding));
    if (r->model)
        jw_kv_str(&w, "model", r->model);
    jw_kv_bool(&w, "estimated", !r->encoding);
    if (r->with_ids) {
        jw_key(&w, "ids");
        jw_array(&w);
        for (size_t i = 0; i < r->ids.len; i++)
            jw_i64(&w, r->ids.ptr[i]);
        jw_array_end(&w);
    }
    jw_object_end(&w);
    int rc = buf_check(&json, "the report", err);
    *report = rc ? NULL : buf_take(&json, NULL);
    buf_release(&json);
    return rc;
}

int parley_tokens(const char *encoding, const char *model, const char *text, size_t text_bytes,
                  unsigned flags, char **report, parley_error *error)
{
    struct tokens_report r = {.ids = TOKEN_IDS_INIT};
    struct err err = ERR_INIT;
    int rc;

    *report = NULL;
    if (encoding && model)
        rc = err_set(&err, E_USAGE, "an encoding or a model, not both: a model has its own");
    else if (model && !utf8_valid(slice_str(model)))
        rc = err_set(&err, E_USAGE, "the model's name is not valid UTF-8");
    else if (model)
        rc = find_model(&r, model, &err);
    else
        rc = find_encoding(&r, encoding ? encoding : default_encoding, &err);
    if (!rc)
        rc = count(&r, slice_of(text, text_bytes), flags, &err);
    if (!rc)
        rc = write_report(&r, report, &err);
    token_ids_release(&r.ids);
    public_error(error, &err);
    return rc;
}
