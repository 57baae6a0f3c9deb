// SPDX-License-Identifier: MIT
// journal_forget.c: the lines that tell a value, out of a journal. See journal.h.
//
//   value ─▶ terms (terms.h), function words aside; of them the names and numbers
//   line  ─▶ terms ─▶ has it a name or number of the value, or half of its terms?
//
// A value without terms (nothing but signs) is looked for as it is written.
#include "memory/journal_int.h"

#include "base/utf8.h"
#include "memory/terms.h"

#include <string.h>

enum { NUMBER_BYTES_MIN = 2 };  // a single digit is no name

struct value {
    struct slice text;
    struct terms all;    // what counts of them: see counts()
    struct terms names;
};

static bool counts(const struct terms *t, uint32_t i)
{
    return !term_is_function_word(term_text(t, VEC_AT(&t->list, struct term, i)));
}

static bool has_digit(struct slice s)
{
    for (size_t i = 0; i < s.len; i++)
        if (s.ptr[i] >= '0' && s.ptr[i] <= '9')
            return true;
    return false;
}

// A word that begins with a capital, or with what may be one in other alphabets; or has digits.
static bool is_name(struct slice word)
{
    size_t at = 0;

    while (at < word.len && strchr("\"'([{<", word.ptr[at]))
        at++;
    if (at == word.len)
        return false;
    unsigned char c = (unsigned char)word.ptr[at];
    return (c >= 'A' && c <= 'Z') || c >= 0x80 || has_digit(word);
}

static int read_value(struct value *v, struct slice text, struct err *err)
{
    struct buf names = BUF_INIT(TERMS_TEXT_BYTES_MAX);

    v->text = text;
    terms_init(&v->all);
    terms_init(&v->names);
    for (size_t at = 0; at < text.len;) {
        size_t from = at;

        while (at < text.len && !strchr(" \t\r\n", text.ptr[at]))
            at++;
        if (is_name(slice_of(text.ptr + from, at - from))) {
            buf_add(&names, text.ptr + from, at - from);
            buf_add_char(&names, ' ');
        }
        at++;
    }
    int code = buf_check(&names, "what is to be forgotten", err);
    if (!code)
        code = terms_read(&v->all, text, err);
    if (!code)
        code = terms_read(&v->names, buf_slice(&names), err);
    buf_release(&names);
    return code;
}

static void release_value(struct value *v)
{
    terms_release(&v->all);
    terms_release(&v->names);
}

static bool has_term(const struct terms *t, struct slice term)
{
    for (uint32_t i = 0; i < t->list.len; i++)
        if (slice_eq(term_text(t, VEC_AT(&t->list, struct term, i)), term))
            return true;
    return false;
}

static bool has_name(const struct terms *line, const struct terms *names)
{
    for (uint32_t i = 0; i < names->list.len; i++) {
        struct slice name = term_text(names, VEC_AT(&names->list, struct term, i));
        bool digit_alone = has_digit(name) && name.len < NUMBER_BYTES_MIN;

        if (counts(names, i) && !digit_alone && has_term(line, name))
            return true;
    }
    return false;
}

static bool tells(const struct value *v, struct slice text, const struct terms *line)
{
    uint32_t of = 0, hits = 0;

    if (v->all.list.len == 0)
        return v->text.len && memmem(text.ptr, text.len, v->text.ptr, v->text.len);
    if (has_name(line, &v->names))
        return true;
    for (int any = 0; any < 2 && of == 0; any++) {
        // Of nothing but function words all count.
        for (uint32_t i = 0; i < v->all.list.len; i++) {
            struct slice term = term_text(&v->all, VEC_AT(&v->all.list, struct term, i));

            if (!any && !counts(&v->all, i))
                continue;
            of++;
            hits += has_term(line, term);
        }
    }
    return 2 * hits >= of;
}

int journal_strip(struct safe_text text, struct safe_text value, struct safe_buf *out,
                  uint32_t *lines, struct err *err)
{
    struct value v;
    struct terms line;
    int code = read_value(&v, safe_slice(value), err);

    *lines = 0;
    terms_init(&line);
    for (size_t at = 0; at < text.len && !code;) {
        const char *end = memchr(text.ptr + at, '\n', text.len - at);
        size_t len = end ? (size_t)(end - text.ptr) + 1 - at : text.len - at;
        struct slice words = slice_of(text.ptr + at, len);

        code = terms_read(&line, words, err);
        if (!code && tells(&v, words, &line))
            ++*lines;
        else
            safe_buf_add(out, safe_text_part(text, at, len));
        at += len;
    }
    terms_release(&line);
    release_value(&v);
    return code ? code : safe_buf_check(out, "a journal's entry", err);
}

// Part by part, so that it is known still whose the lines are.
static int strip_earlier(struct journal_entry *e, struct safe_text value, struct safe_buf *kept,
                         uint32_t *lines, uint32_t told[JOURNAL_OF_MAX], uint32_t *mixed,
                         struct err *err)
{
    uint32_t gone;
    int code = journal_strip(journal_part(e, e->of.len), value, kept, lines, err);

    *mixed = (uint32_t)safe_buf_text(kept).len;
    for (size_t i = 0; i < e->of.len && !code; i++) {
        code = journal_strip(journal_part(e, i), value, kept, &gone, err);
        told[i] = gone;
        *lines += gone;
    }
    return code;
}

static int forget_in(struct journal_entry *e, struct safe_text value, uint32_t *lines,
                     struct err *err)
{
    uint32_t told[JOURNAL_OF_MAX], mixed = 0, gone = 0;
    struct safe_buf kept;

    safe_buf_init(&kept, JOURNAL_ENTRY_BYTES_MAX);
    int code = e->of.len ? strip_earlier(e, value, &kept, &gone, told, &mixed, err)
                         : journal_strip(safe_buf_text(&e->text), value, &kept, &gone, err);
    if (code || gone == 0) {
        safe_buf_release(&kept);
        return code;
    }
    safe_buf_release(&e->text);
    e->text = kept;
    e->dirty = true;
    if (e->of.len)
        journal_of_forgets(e, told, mixed);
    *lines += gone;
    return E_OK;
}

int journal_forget(struct journal *j, struct safe_text value, uint32_t *lines, struct err *err)
{
    int code = E_OK;

    for (uint32_t i = 0; i < j->len && !code; i++)
        if (!j->list[i].gone)
            code = forget_in(&j->list[i], value, lines, err);
    return code;
}
