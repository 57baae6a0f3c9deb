// SPDX-License-Identifier: MIT
// core.c: core memory and its stored form. Plain values; one thread at a time.
#include "model/core.h"

#include "model/meta_int.h"
#include "model/safe_text_int.h"

static const char *const part_words[CORE_PARTS] = {
    [CORE_PERSONA] = "persona", [CORE_HUMAN] = "human",
};

const char *core_part_word(enum core_part part)
{
    BUG_ON((unsigned)part >= CORE_PARTS);
    return part_words[part];
}

void core_init(struct core_memory *c)
{
    *c = (struct core_memory){0};
    for (unsigned i = 0; i < CORE_PARTS; i++)
        safe_buf_init(&c->text[i], CORE_TEXT_BYTES_MAX);
}

void core_release(struct core_memory *c)
{
    for (unsigned i = 0; i < CORE_PARTS; i++)
        safe_buf_release(&c->text[i]);
    core_init(c);
}

int core_copy(struct core_memory *out, const struct core_memory *c, struct err *err)
{
    int code = E_OK;

    core_init(out);
    out->at_ms = c->at_ms;
    out->version = c->version;
    out->dirty = c->dirty;
    for (unsigned i = 0; i < CORE_PARTS && !code; i++) {
        safe_buf_add(&out->text[i], safe_buf_text(&c->text[i]));
        code = safe_buf_check(&out->text[i], "core memory", err);
    }
    if (code)
        core_release(out);
    return code;
}

int core_set(struct core_memory *c, enum core_part part, struct safe_text text, int64_t at_ms,
             struct err *err)
{
    struct safe_buf put;

    if (slice_eq(safe_slice(text), safe_slice(core_text(c, part))))
        return E_OK;
    if (text.len > CORE_TEXT_BYTES_MAX)
        return err_set(err, E_REFUSED, "core memory: `%s` has %zu bytes; it is always sent, so it "
                       "has %d at most", core_part_word(part), text.len, CORE_TEXT_BYTES_MAX);
    safe_buf_init(&put, CORE_TEXT_BYTES_MAX);
    safe_buf_add(&put, text);
    int code = safe_buf_check(&put, "core memory", err);
    if (code) {
        safe_buf_release(&put);
        return code;
    }
    safe_buf_release(&c->text[part]);
    c->text[part] = put;
    c->at_ms = at_ms;
    c->dirty = true;
    return E_OK;
}

void core_write_meta(const struct core_memory *c, struct buf *out)
{
    struct json_writer w;

    jw_init(&w, out);
    jw_object(&w);
    jw_kv_i64(&w, "at", c->at_ms);
    jw_object_end(&w);
}

int core_read_meta(struct core_memory *c, struct slice meta, struct err *err)
{
    struct meta m;

    meta_open(&m, meta, "core", err);
    c->at_ms = meta_i64(&m, "at", 0, INT64_MAX);
    return meta_close(&m);
}

void core_write_body(const struct core_memory *c, struct safe_buf *out)
{
    struct json_writer w;

    jw_init(&w, safe_buf_bytes(out));
    jw_object(&w);
    for (unsigned i = 0; i < CORE_PARTS; i++)
        if (core_text(c, i).len)
            jw_kv_slice(&w, part_words[i], safe_slice(core_text(c, i)));
    jw_object_end(&w);
}

static int read_part(struct core_memory *c, enum core_part part, struct json value,
                     struct err *err)
{
    struct buf text = BUF_INIT(CORE_TEXT_BYTES_MAX);
    int code = E_OK;

    safe_buf_clear(&c->text[part]);
    if (json_type(value) == JSON_NONE)
        return E_OK;
    if (!json_string(value, &text) || (!buf_ok(&text) && !text.no_memory)) {
        code = err_set(err, E_CORRUPT, "core: %s: not a text of at most %d bytes",
                       part_words[part], CORE_TEXT_BYTES_MAX);
    } else {
        code = buf_check(&text, "core memory", err);
        safe_buf_add(&c->text[part], safe_text_vouch(buf_slice(&text)));
    }
    buf_release(&text);
    return code ? code : safe_buf_check(&c->text[part], "core memory", err);
}

int core_read_body(struct core_memory *c, struct safe_text body, struct err *err)
{
    struct json_doc doc = JSON_DOC_INIT;
    int code = json_parse(&doc, safe_slice(body), 0, err);

    if (code && code != E_NOMEM)
        code = err_set(err, E_CORRUPT, "core: the body is no JSON");
    if (!code && json_type(json_root(&doc)) != JSON_OBJECT)
        code = err_set(err, E_CORRUPT, "core: the body is no object");
    for (unsigned i = 0; i < CORE_PARTS && !code; i++)
        code = read_part(c, i, json_get(json_root(&doc), part_words[i]), err);
    json_doc_release(&doc);
    return code;
}
