// SPDX-License-Identifier: MIT
// json_value.c: what a value handle can be asked. All of it reads what json_parse accepted, so
// decoding a string or a number cannot fail. Any thread, as long as the doc stays.
#include "base/json.h"

#include "base/id.h"
#include "base/json_int.h"
#include "base/utf8.h"

#include <math.h>

int32_t json_hex4(const char *p)
{
    unsigned char bytes[2];

    return hex_decode(slice_of(p, 4), bytes, sizeof(bytes)) ? bytes[0] << 8 | bytes[1] : -1;
}

char json_escaped_char(char c)
{
    switch (c) {
    case '"':
    case '\\':
    case '/':
        return c;
    case 'b':
        return '\b';
    case 'f':
        return '\f';
    case 'n':
        return '\n';
    case 'r':
        return '\r';
    case 't':
        return '\t';
    default:
        return 0;
    }
}

static const struct json_node *node_of(struct json v)
{
    return v.doc && v.at < v.doc->len ? &v.doc->nodes[v.at] : NULL;
}

enum json_type json_type(struct json v)
{
    const struct json_node *node = node_of(v);

    return node ? (enum json_type)node->type : JSON_NONE;
}

uint32_t json_count(struct json v)
{
    const struct json_node *node = node_of(v);

    return node ? node->count : 0;
}

bool json_next(struct json v, struct json_iter *it, struct json *key, struct json *item)
{
    const struct json_node *node = node_of(v);

    if (!it->started)
        *it = (struct json_iter){.at = v.at + 1, .left = json_count(v), .started = true};
    if (!node || it->left == 0)
        return false;
    bool object = node->type == JSON_OBJECT;
    struct json value = {v.doc, it->at + object};
    if (key)
        *key = object ? (struct json){v.doc, it->at} : (struct json){NULL, 0};
    if (item)
        *item = value;
    it->at = v.doc->nodes[value.at].next;
    it->left--;
    return true;
}

struct json json_at(struct json arr, uint32_t i)
{
    struct json item = {NULL, 0};
    struct json_iter it = {0};

    if (json_type(arr) != JSON_ARRAY || i >= json_count(arr))
        return item;
    for (uint32_t seen = 0; seen <= i; seen++)
        json_next(arr, &it, NULL, &item);
    return item;
}

struct slice json_raw(struct json v)
{
    const struct json_node *node = node_of(v);

    return node ? slice_of(v.doc->text.ptr + node->start, node->len) : SLICE_NONE;
}

// What stands between the quotes.
static struct slice inside(const struct json_doc *doc, const struct json_node *string)
{
    return slice_of(doc->text.ptr + string->start + 1, string->len - 2);
}

// Decodes the escape at p into out; returns its bytes. *used is what the escape takes of the text.
static size_t unescape(const char *p, char out[4], size_t *used)
{
    if (p[1] != 'u') {
        *used = 2;
        out[0] = json_escaped_char(p[1]);
        return 1;
    }
    int32_t unit = json_hex4(p + 2);
    *used = 6;
    if (json_is_high_surrogate(unit)) {
        unit = 0x10000 + ((unit - 0xD800) << 10) + (json_hex4(p + 8) - 0xDC00);
        *used = 12;
    }
    return utf8_put(out, (uint32_t)unit);
}

// The bytes before the next backslash.
static size_t run_to_escape(struct slice s)
{
    const char *slash = s.len ? memchr(s.ptr, '\\', s.len) : NULL;

    return slash ? (size_t)(slash - s.ptr) : s.len;
}

static struct slice skip(struct slice s, size_t n)
{
    return slice_of(s.ptr + n, s.len - n);
}

static bool decodes_to(const struct json_doc *doc, const struct json_node *string,
                       struct slice want)
{
    struct slice left = inside(doc, string);

    if (!string->escaped)
        return slice_eq(left, want);
    while (left.len) {
        char bytes[4];
        size_t used = run_to_escape(left);
        struct slice part = slice_of(left.ptr, used);
        if (used == 0)
            part = slice_of(bytes, unescape(left.ptr, bytes, &used));
        if (!slice_starts(want, part))
            return false;
        want = skip(want, part.len);
        left = skip(left, used);
    }
    return want.len == 0;
}

bool json_is_string(struct json v, const char *s)
{
    const struct json_node *node = node_of(v);

    return node && node->type == JSON_STRING && decodes_to(v.doc, node, slice_str(s));
}

struct json json_get(struct json obj, const char *key)
{
    struct json found = {NULL, 0}, name, value;
    struct json_iter it = {0};
    struct slice want = slice_str(key);

    if (json_type(obj) != JSON_OBJECT)
        return found;
    while (json_next(obj, &it, &name, &value)) {
        if (decodes_to(obj.doc, &obj.doc->nodes[name.at], want))
            found = value;
    }
    return found;
}

bool json_string(struct json v, struct buf *out)
{
    const struct json_node *node = node_of(v);

    if (!node || node->type != JSON_STRING)
        return false;
    struct slice left = inside(v.doc, node);
    while (left.len) {
        char bytes[4];
        size_t used = node->escaped ? run_to_escape(left) : left.len;
        if (used)
            buf_add(out, left.ptr, used);
        else
            buf_add(out, bytes, unescape(left.ptr, bytes, &used));
        left = skip(left, used);
    }
    return true;
}

struct slice json_text(struct json v, struct buf *scratch)
{
    const struct json_node *node = node_of(v);

    if (!node || node->type != JSON_STRING)
        return SLICE_NONE;
    if (!node->escaped)
        return inside(v.doc, node);
    buf_clear(scratch);
    json_string(v, scratch);
    return buf_ok(scratch) ? buf_slice(scratch) : SLICE_NONE;
}

bool json_bool(struct json v, bool fallback)
{
    enum json_type type = json_type(v);

    return type == JSON_TRUE || (type != JSON_FALSE && fallback);
}

double json_double(struct json v, double fallback)
{
    if (json_type(v) != JSON_NUMBER)
        return fallback;
    double value = json_number_read(json_raw(v));
    return isfinite(value) ? value : fallback;
}

int64_t json_i64(struct json v, int64_t fallback)
{
    if (json_type(v) != JSON_NUMBER)
        return fallback;
    struct slice raw = json_raw(v);
    bool negative = raw.ptr[0] == '-';
    int64_t n = 0;
    for (size_t i = negative; i < raw.len; i++) {
        int digit = raw.ptr[i] - '0';
        // Counted on the side of the sign, for the least number has no positive twin.
        if (digit < 0 || digit > 9 || __builtin_mul_overflow(n, 10, &n) ||
            __builtin_add_overflow(n, negative ? -digit : digit, &n))
            return fallback;
    }
    return n;
}
