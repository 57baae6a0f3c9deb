// SPDX-License-Identifier: MIT
// json.c: JSON texts (a tool's arguments) redacted value by value, so that what comes out is JSON.
#include "redact/redact.h"

#include "base/json.h"
#include "model/safe_text_int.h"

struct rewriting {
    const struct redact_how *how;
    struct buf *out;
    struct buf decoded;      // a string's characters
    struct safe_buf masked;  // and what redaction makes of a part of it
    struct buf whole;        // all parts, with the NULs between them
    struct err *err;
};

// What redaction makes of text, which may have NULs, into r->whole.
static int mask_parts(struct rewriting *r, struct slice text)
{
    buf_clear(&r->whole);
    for (;;) {
        const char *nul = text.len ? memchr(text.ptr, '\0', text.len) : NULL;
        size_t len = nul ? (size_t)(nul - text.ptr) : text.len;

        safe_buf_clear(&r->masked);
        int code = redact_text(r->how, slice_of(text.ptr, len), &r->masked, r->err);
        if (code)
            return code;
        buf_add_slice(&r->whole, safe_slice(safe_buf_text(&r->masked)));
        if (!nul)
            return buf_check(&r->whole, "a JSON text", r->err);
        buf_add_char(&r->whole, '\0');
        text = slice_of(nul + 1, text.len - len - 1);
    }
}

static int rewrite_leaf(struct rewriting *r, struct json leaf)
{
    struct slice raw = json_raw(leaf), text = raw;

    if (json_type(leaf) == JSON_STRING)
        text = json_text(leaf, &r->decoded);
    int code = buf_check(&r->decoded, "a JSON text", r->err);
    if (!code)
        code = mask_parts(r, text);
    if (code)
        return code;
    if (slice_eq(buf_slice(&r->whole), text))
        buf_add_slice(r->out, raw);
    else
        json_quote(r->out, buf_slice(&r->whole));
    return E_OK;
}

static int rewrite(struct rewriting *r, const struct json_doc *doc)
{
    size_t at = 0;
    int code = E_OK;

    // Leaves stand in the order of their bytes; what is between them is copied.
    for (uint32_t i = 0; i < doc->len && !code; i++) {
        const struct json_node *node = &doc->nodes[i];

        if (node->type != JSON_STRING && node->type != JSON_NUMBER)
            continue;
        buf_add(r->out, doc->text.ptr + at, node->start - at);
        code = rewrite_leaf(r, (struct json){doc, i});
        at = node->start + node->len;
    }
    buf_add(r->out, doc->text.ptr + at, doc->text.len - at);
    return code;
}

int redact_json(const struct redact_how *how, struct slice json, struct safe_buf *out,
                struct err *err)
{
    struct json_doc doc = JSON_DOC_INIT;
    struct rewriting r = {.how = how, .out = safe_buf_bytes(out),
                          .decoded = BUF_INIT(CONTENT_BYTES_MAX),
                          .whole = BUF_INIT(CONTENT_BYTES_MAX), .err = err};

    if (!how->redactor)
        return redact_own(json, out, err);
    safe_buf_init(&r.masked, CONTENT_BYTES_MAX);
    int code = json_parse(&doc, json, 0, err);
    if (!code)
        code = rewrite(&r, &doc);
    if (!code)
        code = safe_buf_check(out, "a JSON text", err);
    json_doc_release(&doc);
    buf_release(&r.decoded);
    safe_buf_release(&r.masked);
    buf_release(&r.whole);
    return code;
}
