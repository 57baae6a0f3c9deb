// SPDX-License-Identifier: MIT
// json_read.c: JSON in. One pass over the text fills the flat array of nodes; json_value.c answers
// from that array and the text.
//
// Invariants
// 1. No recursion: an open container keeps the index of the one around it in `next`, which is free
//    until the container closes. So the depth costs no memory, and its limit is a matter of taste.
// 2. No byte at or past text.len is read, whatever the text ends with.
// Owned by one thread at a time.
#include "base/json.h"

#include "base/json_int.h"
#include "base/mem.h"
#include "base/utf8.h"

enum { NODES_FIRST = 32 };
#define NO_NODE UINT32_MAX
#define EACH_BYTE(c) ((uint64_t)0x0101010101010101u * (c))

enum expect {
    EXPECT_VALUE,         // after a colon, after a comma of an array, at the start
    EXPECT_ITEM_OR_END,   // after [
    EXPECT_KEY_OR_END,    // after {
    EXPECT_KEY,           // after a comma of an object
    EXPECT_COMMA_OR_END,  // after an item or a member
    EXPECT_NOTHING,       // after the value
};

struct reader {
    struct json_doc *doc;
    const char *text;
    uint32_t len, at;
    uint32_t open;  // the innermost open container, or NO_NODE
    unsigned depth, depth_max;
    enum expect expect;
    struct err *err;
};

size_t json_plain_run(const char *p, size_t len)
{
    size_t at = 0;
    uint64_t w;

    // Of eight bytes at once: a top bit is set in w - 0x20.. if a byte is a control character, in
    // (w ^ c) - 1 if it is c, in w if it is not ASCII. A borrow can only raise a false alarm above
    // a byte that is one in truth, so the lowest is true.
    for (; len - at >= sizeof(w); at += sizeof(w)) {
        memcpy(&w, p + at, sizeof(w));
        uint64_t quote = (w ^ EACH_BYTE('"')) - EACH_BYTE(1);
        uint64_t slash = (w ^ EACH_BYTE('\\')) - EACH_BYTE(1);
        uint64_t found = (w | (w - EACH_BYTE(0x20)) | quote | slash) & EACH_BYTE(0x80);
        if (found && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__)
            return at + (size_t)__builtin_ctzll(found) / 8;
        if (found)
            break;
    }
    for (; at < len; at++) {
        unsigned char c = (unsigned char)p[at];
        if (c < 0x20 || c >= 0x80 || c == '"' || c == '\\')
            break;
    }
    return at;
}

static int fail(const struct reader *r, uint32_t at, const char *expected)
{
    if (at >= r->len)
        return err_set(r->err, E_USAGE, "JSON byte %u: the text ends, expected %s", at, expected);
    return err_set(r->err, E_USAGE, "JSON byte %u: expected %s", at, expected);
}

// Appends a node that starts at `start`; the caller fills in the rest. NO_NODE: out of memory.
static uint32_t add_node(struct reader *r, enum json_type type, uint32_t start, uint32_t end)
{
    struct json_doc *doc = r->doc;

    if (doc->len == doc->cap) {
        // A node takes a byte of text at least, so JSON_BYTES_MAX bounds the doubling.
        uint32_t cap = doc->cap ? doc->cap * 2 : NODES_FIRST;
        struct json_node *nodes = mem_realloc(doc->nodes, cap * sizeof(*nodes));
        if (!nodes) {
            err_set(r->err, E_NOMEM, "out of memory for JSON of %u bytes", r->len);
            return NO_NODE;
        }
        doc->nodes = nodes;
        doc->cap = cap;
    }
    doc->nodes[doc->len] = (struct json_node){
        .start = start, .len = end - start, .next = doc->len + 1, .type = (uint8_t)type};
    return doc->len++;
}

static void value_done(struct reader *r)
{
    if (r->open == NO_NODE) {
        r->expect = EXPECT_NOTHING;
        return;
    }
    r->doc->nodes[r->open].count++;
    r->expect = EXPECT_COMMA_OR_END;
}

static bool is_digit_at(const struct reader *r, uint32_t at)
{
    return at < r->len && r->text[at] >= '0' && r->text[at] <= '9';
}

// Moves *at past one digit at least.
static int skip_digits(const struct reader *r, uint32_t *at)
{
    if (!is_digit_at(r, *at))
        return fail(r, *at, "a digit");
    while (is_digit_at(r, *at))
        ++*at;
    return E_OK;
}

static int read_number(struct reader *r)
{
    uint32_t at = r->at;
    int rc;

    if (r->text[at] == '-')
        at++;
    if (at < r->len && r->text[at] == '0')
        at++;
    else if ((rc = skip_digits(r, &at)))
        return rc;
    if (at < r->len && r->text[at] == '.') {
        at++;
        if ((rc = skip_digits(r, &at)))
            return rc;
    }
    if (at < r->len && (r->text[at] == 'e' || r->text[at] == 'E')) {
        at++;
        if (at < r->len && (r->text[at] == '+' || r->text[at] == '-'))
            at++;
        if ((rc = skip_digits(r, &at)))
            return rc;
    }
    if (add_node(r, JSON_NUMBER, r->at, at) == NO_NODE)
        return E_NOMEM;
    r->at = at;
    value_done(r);
    return E_OK;
}

// The unit of the \uXXXX at `at`; -1 if there is none.
static int32_t unit_at(const struct reader *r, uint32_t at)
{
    if (r->len - at < 6 || r->text[at] != '\\' || r->text[at + 1] != 'u')
        return -1;
    return json_hex4(r->text + at + 2);
}

// Moves *at past the escape that begins there.
static int skip_escape(const struct reader *r, uint32_t *at)
{
    if (*at + 1 < r->len && json_escaped_char(r->text[*at + 1])) {
        *at += 2;
        return E_OK;
    }
    int32_t unit = unit_at(r, *at);
    if (unit < 0)
        return fail(r, *at, "an escape: \\\" \\\\ \\/ \\b \\f \\n \\r \\t or \\u and 4 hex digits");
    if (json_is_low_surrogate(unit))
        return fail(r, *at, "a whole character, not half of a surrogate pair");
    *at += 6;
    if (json_is_high_surrogate(unit)) {
        if (!json_is_low_surrogate(unit_at(r, *at)))
            return fail(r, *at, "the second half of a surrogate pair");
        *at += 6;
    }
    return E_OK;
}

// Reads the string at r->at; adds its node.
static int read_string(struct reader *r)
{
    uint32_t at = r->at + 1;
    bool escaped = false;

    for (;;) {
        at += (uint32_t)json_plain_run(r->text + at, r->len - at);
        if (at == r->len)
            return fail(r, at, "the closing quote of a string");
        unsigned char c = (unsigned char)r->text[at];
        if (c == '"')
            break;
        if (c == '\\') {
            int rc = skip_escape(r, &at);
            if (rc)
                return rc;
            escaped = true;
        } else if (c < 0x20) {
            return fail(r, at, "no raw control character in a string (write \\n, \\t or \\u00XX)");
        } else {
            size_t next = at;
            if (utf8_next(slice_of(r->text, r->len), &next) < 0)
                return fail(r, at, "valid UTF-8");
            at = (uint32_t)next;
        }
    }
    at++;
    uint32_t node = add_node(r, JSON_STRING, r->at, at);
    if (node == NO_NODE)
        return E_NOMEM;
    r->doc->nodes[node].escaped = escaped;
    r->at = at;
    return E_OK;
}

static int read_literal(struct reader *r, enum json_type type, struct slice word)
{
    if (!slice_starts(slice_of(r->text + r->at, r->len - r->at), word))
        return fail(r, r->at, "a value");
    if (add_node(r, type, r->at, r->at + (uint32_t)word.len) == NO_NODE)
        return E_NOMEM;
    r->at += (uint32_t)word.len;
    value_done(r);
    return E_OK;
}

static int open_container(struct reader *r, enum json_type type, enum expect then)
{
    if (r->depth == r->depth_max)
        return err_set(r->err, E_USAGE, "JSON byte %u: nested deeper than %u levels", r->at,
                       r->depth_max);
    uint32_t node = add_node(r, type, r->at, r->at);
    if (node == NO_NODE)
        return E_NOMEM;
    r->doc->nodes[node].next = r->open;
    r->open = node;
    r->depth++;
    r->at++;
    r->expect = then;
    return E_OK;
}

static void close_container(struct reader *r)
{
    struct json_node *node = &r->doc->nodes[r->open];

    r->at++;
    r->depth--;
    r->open = node->next;
    node->len = r->at - node->start;
    node->next = r->doc->len;
    value_done(r);
}

static int read_value(struct reader *r, const char *expected)
{
    switch (r->text[r->at]) {
    case '{':
        return open_container(r, JSON_OBJECT, EXPECT_KEY_OR_END);
    case '[':
        return open_container(r, JSON_ARRAY, EXPECT_ITEM_OR_END);
    case '"': {
        int rc = read_string(r);
        if (rc == E_OK)
            value_done(r);
        return rc;
    }
    case 't':
        return read_literal(r, JSON_TRUE, SLICE_LIT("true"));
    case 'f':
        return read_literal(r, JSON_FALSE, SLICE_LIT("false"));
    case 'n':
        return read_literal(r, JSON_NULL, SLICE_LIT("null"));
    case '-':
    case '0' ... '9':
        return read_number(r);
    default:
        return fail(r, r->at, expected);
    }
}

static void skip_space(struct reader *r)
{
    while (r->at < r->len) {
        char c = r->text[r->at];
        if (c != ' ' && c != '\n' && c != '\r' && c != '\t')
            return;
        r->at++;
    }
}

static int read_key(struct reader *r, const char *expected)
{
    if (r->text[r->at] != '"')
        return fail(r, r->at, expected);
    int rc = read_string(r);
    if (rc)
        return rc;
    skip_space(r);
    if (r->at == r->len || r->text[r->at] != ':')
        return fail(r, r->at, "a colon after the key");
    r->at++;
    r->expect = EXPECT_VALUE;
    return E_OK;
}

static int read_comma_or_end(struct reader *r)
{
    bool object = r->doc->nodes[r->open].type == JSON_OBJECT;
    char c = r->text[r->at];

    if (c == (object ? '}' : ']')) {
        close_container(r);
        return E_OK;
    }
    if (c != ',')
        return fail(r, r->at, object ? "a comma or }" : "a comma or ]");
    r->at++;
    r->expect = object ? EXPECT_KEY : EXPECT_VALUE;
    return E_OK;
}

static const char *expected_text(enum expect expect)
{
    static const char *const texts[] = {
        [EXPECT_VALUE] = "a value",
        [EXPECT_ITEM_OR_END] = "a value or ]",
        [EXPECT_KEY_OR_END] = "a key in quotes or }",
        [EXPECT_KEY] = "a key in quotes",
        [EXPECT_COMMA_OR_END] = "a comma or the end of an object or array",
        [EXPECT_NOTHING] = "nothing after the value",
    };

    return texts[expect];
}

// Reads what comes next; white space is skipped, and there is a byte.
static int step(struct reader *r)
{
    const char *expected = expected_text(r->expect);
    char c = r->text[r->at];

    switch (r->expect) {
    case EXPECT_ITEM_OR_END:
        if (c == ']') {
            close_container(r);
            return E_OK;
        }
        return read_value(r, expected);
    case EXPECT_KEY_OR_END:
        if (c == '}') {
            close_container(r);
            return E_OK;
        }
        return read_key(r, expected);
    case EXPECT_VALUE:
        return read_value(r, expected);
    case EXPECT_KEY:
        return read_key(r, expected);
    case EXPECT_COMMA_OR_END:
        return read_comma_or_end(r);
    case EXPECT_NOTHING:
        break;
    }
    return fail(r, r->at, expected);
}

int json_parse(struct json_doc *doc, struct slice text, unsigned depth_max, struct err *err)
{
    struct reader r = {.doc = doc,
                       .text = text.ptr,
                       .open = NO_NODE,
                       .depth_max = depth_max ? depth_max : JSON_DEPTH_MAX,
                       .err = err};
    int rc = E_OK;

    doc->text = text;
    doc->len = 0;
    if (text.len > JSON_BYTES_MAX)
        return err_set(err, E_USAGE, "JSON of %zu bytes: at most %d are read", text.len,
                       JSON_BYTES_MAX);
    r.len = (uint32_t)text.len;
    for (;;) {
        skip_space(&r);
        if (r.at == r.len)
            break;
        rc = step(&r);
        if (rc)
            break;
    }
    if (rc == E_OK && r.expect != EXPECT_NOTHING)
        rc = fail(&r, r.at, expected_text(r.expect));
    if (rc)
        doc->len = 0;  // half a document has no root
    return rc;
}

void json_doc_release(struct json_doc *doc)
{
    mem_free(doc->nodes);
    *doc = (struct json_doc)JSON_DOC_INIT;
}
