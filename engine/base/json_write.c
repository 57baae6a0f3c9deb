// SPDX-License-Identifier: MIT
// json_write.c: JSON out. A writer holds nothing but where it is; failure lives in its buf.
//
// Invariant: bit d of has_item says whether the container open at depth d + 1 has an item yet.
// Owned by one thread at a time.
#include "base/json.h"

#include "base/json_int.h"
#include "base/utf8.h"

#include <math.h>

_Static_assert(JSON_WRITER_DEPTH <= 64, "has_item has a bit per depth");

static void add_escape(struct buf *out, unsigned char c)
{
    static const char short_form[0x20] = {
        ['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f', ['\r'] = 'r'};
    static const char hex[] = "0123456789abcdef";
    char text[6] = {'\\', (char)c};
    size_t len = 2;

    if (c < 0x20 && short_form[c]) {
        text[1] = short_form[c];
    } else if (c < 0x20) {
        memcpy(text + 1, "u00", 3);
        text[4] = hex[c >> 4];
        text[5] = hex[c & 0xF];
        len = 6;
    }
    buf_add(out, text, len);
}

// In quotes, and then `after` if that is not 0.
static void add_plain(struct buf *out, struct slice s, char after)
{
    if (!buf_fits(out, s.len + 2 + (after != 0)))
        return;
    char *at = out->ptr + out->len;
    *at++ = '"';
    if (s.len)
        memcpy(at, s.ptr, s.len);
    at += s.len;
    *at++ = '"';
    if (after)
        *at++ = after;
    *at = '\0';
    out->len = (size_t)(at - out->ptr);
}

static void add_quoted(struct buf *out, struct slice s, size_t at)
{
    size_t done = 0;  // s is written up to done, and known to be good up to at

    buf_add_char(out, '"');
    while (at < s.len) {
        at += json_plain_run(s.ptr + at, s.len - at);
        if (at == s.len)
            break;
        unsigned char c = (unsigned char)s.ptr[at];
        size_t next = at + 1;
        if (c >= 0x80) {
            next = at;
            if (utf8_next(s, &next) >= 0) {
                at = next;
                continue;
            }
        }
        buf_add(out, s.ptr + done, at - done);
        if (c >= 0x80)
            buf_add_str(out, "\xEF\xBF\xBD");
        else
            add_escape(out, c);
        at = done = next;
    }
    if (at > done)
        buf_add(out, s.ptr + done, at - done);
    buf_add_char(out, '"');
}

// Most strings stand for themselves.
static void quote(struct buf *out, struct slice s, char after)
{
    size_t plain = json_plain_run(s.ptr, s.len);

    if (plain == s.len) {
        add_plain(out, s, after);
        return;
    }
    add_quoted(out, s, plain);
    if (after)
        buf_add_char(out, after);
}

void json_quote(struct buf *out, struct slice s)
{
    quote(out, s, 0);
}

void jw_init(struct json_writer *w, struct buf *out)
{
    *w = (struct json_writer){.out = out};
}

// What stands between this key, item or value and what came before.
static void separate(struct json_writer *w)
{
    if (w->after_key) {
        w->after_key = false;
        return;
    }
    if (w->depth == 0)
        return;
    uint64_t bit = (uint64_t)1 << (w->depth - 1);
    if (w->has_item & bit)
        buf_add_char(w->out, ',');
    w->has_item |= bit;
}

static void open_container(struct json_writer *w, char bracket)
{
    separate(w);
    BUG_ON(w->depth == JSON_WRITER_DEPTH);
    w->has_item &= ~((uint64_t)1 << w->depth);
    w->depth++;
    buf_add_char(w->out, bracket);
}

static void close_container(struct json_writer *w, char bracket)
{
    BUG_ON(w->depth == 0 || w->after_key);
    w->depth--;
    buf_add_char(w->out, bracket);
}

void jw_object(struct json_writer *w)
{
    open_container(w, '{');
}

void jw_object_end(struct json_writer *w)
{
    close_container(w, '}');
}

void jw_array(struct json_writer *w)
{
    open_container(w, '[');
}

void jw_array_end(struct json_writer *w)
{
    close_container(w, ']');
}

void jw_key_slice(struct json_writer *w, struct slice key)
{
    BUG_ON(w->depth == 0 || w->after_key);
    separate(w);
    quote(w->out, key, ':');
    w->after_key = true;
}

void jw_slice(struct json_writer *w, struct slice s)
{
    separate(w);
    json_quote(w->out, s);
}

void jw_str(struct json_writer *w, const char *s)
{
    if (s)
        jw_slice(w, slice_str(s));
    else
        jw_null(w);
}

void jw_i64(struct json_writer *w, int64_t n)
{
    separate(w);
    buf_add_i64(w->out, n);
}

void jw_double(struct json_writer *w, double d)
{
    char text[JSON_NUMBER_BYTES];

    if (!isfinite(d)) {
        jw_null(w);
        return;
    }
    separate(w);
    buf_add(w->out, text, json_number_write(text, d));
}

void jw_bool(struct json_writer *w, bool b)
{
    separate(w);
    buf_add_str(w->out, b ? "true" : "false");
}

void jw_null(struct json_writer *w)
{
    separate(w);
    buf_add_str(w->out, "null");
}

void jw_raw(struct json_writer *w, struct slice json)
{
    if (json.len == 0) {
        jw_null(w);
        return;
    }
    separate(w);
    buf_add_slice(w->out, json);
}
