// SPDX-License-Identifier: MIT
// meta.c: reading the meta of stored records, see meta_int.h. One thread per reader.
#include "model/meta_int.h"

enum { CHARS_BYTES_MAX = 4096 };  // no string member is longer

int meta_open(struct meta *m, struct slice text, const char *what, struct err *err)
{
    *m = (struct meta){.what = what, .err = err};
    m->code = json_parse(&m->doc, text, 0, err);
    if (m->code == E_NOMEM)
        return m->code;
    if (m->code) {
        if (err)
            err->code = E_CORRUPT;
        err_prefix(err, "stored %s: ", what);
        return m->code = E_CORRUPT;
    }
    m->root = json_root(&m->doc);
    if (json_type(m->root) != JSON_OBJECT)
        m->code = err_set(err, E_CORRUPT, "stored %s: not an object; run `parley verify`", what);
    return m->code;
}

int meta_close(struct meta *m)
{
    json_doc_release(&m->doc);
    return m->code;
}

void meta_fail(struct meta *m, const char *key)
{
    if (m->code)
        return;
    m->code = err_set(m->err, E_CORRUPT,
                      "stored %s: \"%s\" is missing, of a wrong type or out of range; "
                      "run `parley verify`", m->what, key);
}

// Readers ask in the order of writing, so the search goes on where the last one ended, and around
// once: a record is read in about one walk. What we wrote repeats no key.
static struct json find(struct meta *m, const char *key)
{
    struct json_iter start = m->at;
    struct json name, value;

    while (json_next(m->root, &m->at, &name, &value)) {
        if (json_is_string(name, key))
            return value;
    }
    m->at = (struct json_iter){0};
    while (start.started && json_next(m->root, &m->at, &name, &value)) {
        if (json_is_string(name, key))
            return value;
        if (m->at.at == start.at)
            break;
    }
    m->at = start;
    return (struct json){0};
}

bool meta_has(struct meta *m, const char *key)
{
    struct json_iter before = m->at;  // so that reading it finds it at once
    bool has = !m->code && json_type(find(m, key)) != JSON_NONE;

    m->at = before;
    return has;
}

static int64_t checked(struct meta *m, const char *key, struct json v, int64_t min, int64_t max)
{
    // INT64_MIN stands for "no integer": no range begins there.
    int64_t n = json_i64(v, INT64_MIN);

    if (n < min || n > max) {
        meta_fail(m, key);
        return min;
    }
    return n;
}

int64_t meta_i64(struct meta *m, const char *key, int64_t min, int64_t max)
{
    return m->code ? min : checked(m, key, find(m, key), min, max);
}

int64_t meta_i64_or(struct meta *m, const char *key, int64_t min, int64_t max, int64_t fallback)
{
    if (m->code)
        return fallback;
    struct json v = find(m, key);
    return json_type(v) == JSON_NONE ? fallback : checked(m, key, v, min, max);
}

void meta_chars(struct meta *m, const char *key, bool required, char *out, size_t size)
{
    struct buf scratch = BUF_INIT(CHARS_BYTES_MAX);

    out[0] = '\0';
    if (m->code)
        return;
    struct json v = find(m, key);
    if (json_type(v) == JSON_NONE && !required)
        return;
    struct slice s = json_text(v, &scratch);
    if (scratch.no_memory) {
        m->code = buf_check(&scratch, m->what, m->err);
    } else if (!s.ptr || s.len >= size || memchr(s.ptr, '\0', s.len)) {
        meta_fail(m, key);
    } else {
        memcpy(out, s.ptr, s.len);
        out[s.len] = '\0';
    }
    buf_release(&scratch);
}

int word_index(const char *const *words, unsigned n, struct slice text)
{
    for (unsigned i = 0; i < n; i++) {
        if (slice_is(text, words[i]))
            return (int)i;
    }
    return -1;
}

unsigned meta_word(struct meta *m, const char *key, const char *const *words, unsigned n)
{
    char text[32];

    meta_chars(m, key, true, text, sizeof(text));
    if (m->code)
        return 0;
    int at = word_index(words, n, slice_str(text));
    if (at < 0)
        meta_fail(m, key);
    return at < 0 ? 0 : (unsigned)at;
}
