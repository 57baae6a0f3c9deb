// SPDX-License-Identifier: MIT
// json_check.h: whether a document survives being written again: the same values, byte for byte.
#ifndef TESTS_JSON_CHECK_H
#define TESTS_JSON_CHECK_H

#include "base/json.h"

// Writes v by walking it. Without struct json_writer, whose depth is smaller than the reader's.
static inline void json_check_emit(struct json v, struct buf *scratch, struct buf *out)
{
    bool object = json_type(v) == JSON_OBJECT, first = true;
    struct json_iter it = {0};
    struct json key, item;

    if (json_type(v) == JSON_STRING) {
        json_quote(out, json_text(v, scratch));
        return;
    }
    if (!object && json_type(v) != JSON_ARRAY) {
        buf_add_slice(out, json_raw(v));
        return;
    }
    buf_add_char(out, object ? '{' : '[');
    while (json_next(v, &it, &key, &item)) {
        if (!first)
            buf_add_char(out, ',');
        first = false;
        if (object) {
            json_quote(out, json_text(key, scratch));
            buf_add_char(out, ':');
        }
        json_check_emit(item, scratch, out);
    }
    buf_add_char(out, object ? '}' : ']');
}

// The same tree with the same strings (decoded) and the same numbers (as written).
static inline bool json_check_same(const struct json_doc *a, const struct json_doc *b)
{
    struct buf text_a = BUF_INIT(SIZE_MAX), text_b = BUF_INIT(SIZE_MAX);
    bool same = a->len == b->len;

    for (uint32_t i = 0; same && i < a->len; i++) {
        const struct json_node *x = &a->nodes[i], *y = &b->nodes[i];
        struct json va = {a, i}, vb = {b, i};
        same = x->type == y->type && x->count == y->count && x->next == y->next;
        if (same && x->type == JSON_STRING)
            same = slice_eq(json_text(va, &text_a), json_text(vb, &text_b));
        else if (same && x->type != JSON_ARRAY && x->type != JSON_OBJECT)
            same = slice_eq(json_raw(va), json_raw(vb));
    }
    buf_release(&text_a);
    buf_release(&text_b);
    return same;
}

// Writes doc again, reads that, and compares.
static inline bool json_check_survives(const struct json_doc *doc)
{
    struct buf scratch = BUF_INIT(SIZE_MAX), again = BUF_INIT(SIZE_MAX);
    struct json_doc copy = JSON_DOC_INIT;

    json_check_emit(json_root(doc), &scratch, &again);
    bool same = buf_ok(&again) && json_parse(&copy, buf_slice(&again), UINT32_MAX, NULL) == E_OK &&
                json_check_same(doc, &copy);
    json_doc_release(&copy);
    buf_release(&again);
    buf_release(&scratch);
    return same;
}

#endif
