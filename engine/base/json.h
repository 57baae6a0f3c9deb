// SPDX-License-Identifier: MIT
// json.h: JSON in and out, nothing altered.
//
// Reading is strict RFC 8259: valid UTF-8 only, one value and nothing after it (white space aside),
// no raw control characters, lone surrogate escapes refused, depth and size limited. The document
// is a flat array of nodes over the caller's text: numbers and strings keep their exact source
// bytes, so that a 20-digit number, "\u0000" or a repeated key survives (libraries that turn
// numbers into doubles and strings into NUL-terminated ones cannot say that). Of repeated keys,
// json_get gives the last, as most readers do; json_next shows them all.
//
// Invariants:
//   1. A doc that json_parse accepted describes the whole text, and every string in it decodes.
//   2. A value handle (struct json) is valid while its doc and the doc's text are.
// Owned by one thread at a time.
#ifndef BASE_JSON_H
#define BASE_JSON_H

#include "base/buf.h"
#include "base/err.h"
#include "base/slice.h"
#include <stdbool.h>
#include <stdint.h>

enum json_type { JSON_NONE, JSON_NULL, JSON_FALSE, JSON_TRUE, JSON_NUMBER, JSON_STRING, JSON_ARRAY,
                 JSON_OBJECT };

struct json_node {
    uint32_t start, len;   // bytes of the source, quotes and brackets included
    uint32_t next;         // index after this value's whole subtree
    uint32_t count;        // items, or members (a member's key is a node before its value)
    uint8_t type;          // enum json_type
    uint8_t escaped;       // a string with at least one backslash
};

struct json_doc {
    struct slice text;         // borrowed
    struct json_node *nodes;   // owned by the doc
    uint32_t len, cap;
};
#define JSON_DOC_INIT {0}

struct json {
    const struct json_doc *doc;  // NULL: absent (JSON_NONE)
    uint32_t at;
};

enum { JSON_DEPTH_MAX = 512, JSON_BYTES_MAX = 64 << 20 };

// Reads text (borrowed while the doc lives). The doc may be reused: its memory is kept.
// E_USAGE with byte offset and what was expected; E_NOMEM. depth_max 0 means JSON_DEPTH_MAX.
int json_parse(struct json_doc *doc, struct slice text, unsigned depth_max, struct err *err);
void json_doc_release(struct json_doc *doc);

static inline struct json json_root(const struct json_doc *doc)
{
    return (struct json){doc->len ? doc : NULL, 0};
}
enum json_type json_type(struct json v);          // JSON_NONE when absent
uint32_t json_count(struct json v);               // items or members, 0 for others
struct json json_get(struct json obj, const char *key);  // absent when not an object or no such key
struct json json_at(struct json arr, uint32_t i);        // O(i); prefer json_next
// Walks items or members. it starts zeroed; *key is absent for arrays. False at the end.
struct json_iter { uint32_t at, left; bool started; };
bool json_next(struct json v, struct json_iter *it, struct json *key, struct json *item);

struct slice json_raw(struct json v);             // exact source bytes
bool json_is_string(struct json v, const char *s);  // decoded equality
// Appends the decoded string; false if v is not a string.
bool json_string(struct json v, struct buf *out);
// The decoded bytes without copying when nothing is escaped, else via *scratch (cleared first).
// SLICE_NONE with ptr NULL when v is not a string, or when scratch failed.
struct slice json_text(struct json v, struct buf *scratch);
bool json_bool(struct json v, bool fallback);
double json_double(struct json v, double fallback);  // fallback too when out of range (1e999)
// fallback too when v is not an integer or out of range (1e3 and 1.0 are not integers here).
int64_t json_i64(struct json v, int64_t fallback);

// Writing. A writer appends to out, puts the commas, and fails with the buf. Strings that are not
// valid UTF-8 are written with U+FFFD (callers validate before; this keeps the output valid JSON).
// Nesting to JSON_WRITER_DEPTH; deeper is a BUG.
enum { JSON_WRITER_DEPTH = 64 };
struct json_writer {
    struct buf *out;
    uint64_t has_item;   // bit per depth
    unsigned depth;
    bool after_key;
};
void jw_init(struct json_writer *w, struct buf *out);
void jw_object(struct json_writer *w);
void jw_object_end(struct json_writer *w);
void jw_array(struct json_writer *w);
void jw_array_end(struct json_writer *w);
void jw_key_slice(struct json_writer *w, struct slice key);
void jw_slice(struct json_writer *w, struct slice s);
void jw_str(struct json_writer *w, const char *s);    // NULL writes null
void jw_i64(struct json_writer *w, int64_t n);
void jw_double(struct json_writer *w, double d);  // shortest that reads back; null if not finite
void jw_bool(struct json_writer *w, bool b);
void jw_null(struct json_writer *w);
void jw_raw(struct json_writer *w, struct slice json);  // one valid value; empty writes null
// Inline, so that of a key, which is a literal nearly always, nobody counts the bytes.
static inline void jw_key(struct json_writer *w, const char *key)
{
    jw_key_slice(w, slice_str(key));
}

// key and value in one call
static inline void jw_kv_slice(struct json_writer *w, const char *key, struct slice s)
{
    jw_key(w, key);
    jw_slice(w, s);
}

static inline void jw_kv_str(struct json_writer *w, const char *key, const char *s)
{
    jw_key(w, key);
    jw_str(w, s);
}

static inline void jw_kv_i64(struct json_writer *w, const char *key, int64_t n)
{
    jw_key(w, key);
    jw_i64(w, n);
}

static inline void jw_kv_double(struct json_writer *w, const char *key, double d)
{
    jw_key(w, key);
    jw_double(w, d);
}

static inline void jw_kv_bool(struct json_writer *w, const char *key, bool b)
{
    jw_key(w, key);
    jw_bool(w, b);
}

// A JSON string literal, quotes included, appended to out. "/" is not escaped; control characters,
// quotes and backslashes are; everything else byte for byte.
void json_quote(struct buf *out, struct slice s);

#endif
