// SPDX-License-Identifier: MIT
// drift_read.c: sentences and tokens of a summary and of its source. See drift.h. Pure.
#include "memory/drift_int.h"

#include "base/utf8.h"

#include <string.h>
#include <utf8proc.h>

enum { QUOTE_BYTES_MAX = 500 };  // a mark that nothing closes within so much opens nothing

// ---- characters

bool drift_is_digit(int32_t c)
{
    return c >= '0' && c <= '9';
}

static bool is_letter(int32_t c)
{
    if (c < 0x80)
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
    utf8proc_category_t category = utf8proc_category(c);
    return (category >= UTF8PROC_CATEGORY_LU && category <= UTF8PROC_CATEGORY_ME) ||
           category == UTF8PROC_CATEGORY_ND;
}

static bool is_upper(int32_t c)
{
    if (c < 0x80)
        return c >= 'A' && c <= 'Z';
    utf8proc_category_t category = utf8proc_category(c);
    return category == UTF8PROC_CATEGORY_LU || category == UTF8PROC_CATEGORY_LT;
}

bool drift_is_space(int32_t c)
{
    return c == ' ' || (c >= '\t' && c <= '\r') || c == 0xa0 || c == 0x2028 || c == 0x2029;
}

static bool is_apostrophe(int32_t c)
{
    return c == '\'' || c == 0x2019;
}

static int32_t peek(struct slice s, size_t at)
{
    return at < s.len ? utf8_next(s, &at) : 0;
}

// Lower case; marks of one meaning are one character.
static int32_t fold(int32_t c)
{
    if (c == 0x201c || c == 0x201d || c == 0xab || c == 0xbb || c == 0x201e)
        return '"';
    if (is_apostrophe(c))
        return '\'';
    return c < 0x80 ? (c >= 'A' && c <= 'Z' ? c + 32 : c) : utf8proc_tolower(c);
}

static void add_char(struct buf *out, int32_t c)
{
    char bytes[4];

    if (c > 0)
        buf_add(out, bytes, utf8_put(bytes, (uint32_t)c));
}

// White space as one space each, so that lines may break elsewhere.
void drift_fold_text(struct slice text, struct buf *out)
{
    bool space = out->len > 0;

    for (size_t at = 0; at < text.len;) {
        int32_t c = utf8_next(text, &at);

        if (!drift_is_space(c))
            add_char(out, fold(c));
        else if (!space)
            buf_add_char(out, ' ');
        space = drift_is_space(c);
    }
}

// ---- sentences

// What closes a quotation that begins with c; 0: c begins none.
static int32_t closing(int32_t c)
{
    switch (c) {
    case '"': return '"';
    case '`': return '`';
    case 0x201c: return 0x201d;
    case 0x201e: return 0x201c;
    case 0xab: return 0xbb;
    default: return 0;
    }
}

// If a quotation begins at `at`: where its words begin and end, and the end of the whole.
static bool quotation(struct slice text, size_t at, struct slice *words, size_t *end)
{
    int32_t close = closing(utf8_next(text, &at));
    size_t from = at;

    while (close && at < text.len && at - from <= QUOTE_BYTES_MAX) {
        size_t before = at;
        int32_t c = utf8_next(text, &at);

        if (c == '\n')
            return false;
        if (c != close)
            continue;
        *words = slice_of(text.ptr + from, before - from);
        *end = at;
        return true;
    }
    return false;
}

static bool ends_sentence(int32_t c)
{
    return c == '.' || c == '!' || c == '?' || c == 0x2026 || c == 0x3002 || c == 0xff01 ||
           c == 0xff1f;
}

// A stop after an initial, a title, or the number of a list.
static bool abbreviates(struct slice before, size_t from)
{
    static const char *const titles[] = {"Mr", "Mrs", "Ms", "Dr", "St", "Prof", "Nr", "No", "Sr",
                                         "Jr"};
    size_t at = before.len;

    while (at > from && drift_is_digit((unsigned char)before.ptr[at - 1]))
        at--;
    if (at < before.len)
        return at == from;
    while (at > from && is_letter((unsigned char)before.ptr[at - 1]))
        at--;
    struct slice word = slice_of(before.ptr + at, before.len - at);
    for (size_t i = 0; i < sizeof(titles) / sizeof(titles[0]); i++) {
        if (slice_is(word, titles[i]))
            return true;
    }
    return word.len == 1 && is_upper((unsigned char)word.ptr[0]) && word.ptr[0] != 'I';
}

size_t drift_skip_spaces(struct slice text, size_t at)
{
    while (at < text.len && drift_is_space(peek(text, at)))
        utf8_next(text, &at);
    return at;
}

size_t drift_sentence_end(struct slice text, size_t from)
{
    size_t at = drift_skip_spaces(text, from), start = at;
    bool ended = false;  // a quotation closed that ended with a stop

    while (at < text.len) {
        size_t before = at, end;
        struct slice words;

        if (quotation(text, at, &words, &end)) {
            at = end;
            ended = words.len && ends_sentence((unsigned char)words.ptr[words.len - 1]);
        } else {
            int32_t c = utf8_next(text, &at);
            if (c == '\n')
                return drift_skip_spaces(text, at);
            ended = ends_sentence(c) &&
                    !(c == '.' && abbreviates(slice_of(text.ptr, before), start));
            if (ended && c > 0x3000)
                return drift_skip_spaces(text, at);
        }
        size_t next = drift_skip_spaces(text, at);
        int32_t c = peek(text, next);
        bool goes_on = c && !is_upper(c) && is_letter(c) && c < 0x250;
        if (ended && next > at && !goes_on)
            return next;
    }
    return text.len;
}

// ---- tokens

// A run of other than white space that is an address, without what it stands between.
static bool address(struct slice text, size_t at, struct slice *out, size_t *end)
{
    bool marks = false;
    size_t to;

    while (at < text.len && strchr("(<[{'", text.ptr[at]))
        at++;
    for (to = at; to < text.len && !drift_is_space((unsigned char)text.ptr[to]); to++) {
        marks |= text.ptr[to] == '@' && to > at;
        marks |= text.len - to >= 3 && memcmp(text.ptr + to, "://", 3) == 0;
    }
    while (to > at && strchr(".,;:!?)]}>\"'", text.ptr[to - 1]))
        to--;
    *out = slice_of(text.ptr + at, to - at);
    *end = to;
    return marks && to > at;
}

static void read_number(struct slice text, size_t *at)
{
    while (*at < text.len) {
        char c = text.ptr[*at];
        bool inside = (c == '.' || c == ',') && *at + 1 < text.len &&
                      drift_is_digit((unsigned char)text.ptr[*at + 1]);

        if (!drift_is_digit((unsigned char)c) && !inside)
            break;
        (*at)++;
    }
}

static void read_word(struct slice text, size_t *at, struct token *t)
{
    size_t from = *at;
    bool first = true;

    while (*at < text.len) {
        size_t next = *at;
        int32_t c = utf8_next(text, &next);
        bool joins = is_apostrophe(c) && !first && is_letter(peek(text, next));

        if (!is_letter(c) && !drift_is_digit(c) && !joins)
            break;
        t->capital |= first && is_upper(c);
        t->identifier |= drift_is_digit(c) || c == '_' || (!first && is_upper(c));
        first = false;
        *at = next;
    }
    t->text = slice_of(text.ptr + from, *at - from);
}

struct token drift_next_token(struct slice text, size_t *at, bool *boundary)
{
    struct token t = {0};

    while (*at < text.len) {
        size_t next = *at;
        int32_t c = utf8_next(text, &next);
        size_t end;

        if (quotation(text, *at, &t.text, &end)) {
            t.kind = TOKEN_QUOTED;
            *boundary = false;
            *at = end;
            return t;
        }
        if (*boundary && !drift_is_space(c) && address(text, *at, &t.text, &end)) {
            t.kind = TOKEN_ADDRESS;
            *boundary = false;
            *at = end;
            return t;
        }
        *boundary = drift_is_space(c);
        if (drift_is_digit(c)) {
            t.kind = TOKEN_NUMBER;
            t.text.ptr = text.ptr + *at;
            read_number(text, at);
            t.text.len = (size_t)(text.ptr + *at - t.text.ptr);
            return t;
        }
        if (is_letter(c)) {
            t.kind = TOKEN_WORD;
            read_word(text, at, &t);
            return t;
        }
        *at = next;
    }
    return t;
}
