// SPDX-License-Identifier: MIT
// fold.c: folding, a copy of all that stays and a mark for each character that does not.
//
// Marks are sorted by both offsets. Between two of them both texts are the same bytes.
#include "redact/fold.h"

#include "base/utf8.h"
#include "redact/fold_table.h"

#include <stdint.h>
#include <utf8proc.h>

enum { MARKS_MAX = 1 << 28, COPY_MAX = 1 << 30, NFKC_MAX = 18 };

struct mark {
    size_t at, origin;            // of the character, in both texts
    uint8_t bytes, origin_bytes;  // of it
};

// Tags, more variation selectors, and what Unicode keeps for their like: none is seen.
static bool is_tag(int cp)
{
    return cp >= 0xE0000 && cp < 0xE1000;
}

bool fold_changes(int cp)
{
    if (cp < FOLD_PAGED_MAX)
        return fold_pages[fold_page_of[cp >> 6]] >> (cp & 63) & 1;
    return is_tag(cp);
}

static bool is_dash(int cp)
{
    return (cp >= 0x2010 && cp <= 0x2015) || cp == 0x2212 || cp == 0xFE58;
}

// NFKC of one character, where that has ASCII in it: -1 else.
static int nfkc(char out[FOLD_CHAR_BYTES], int cp)
{
    utf8proc_int32_t code[NFKC_MAX];
    int last_boundclass = 0, len = 0;
    bool ascii = false, blank_only = true;

    utf8proc_ssize_t n = utf8proc_decompose_char(cp, code, NFKC_MAX, UTF8PROC_STABLE |
                                                 UTF8PROC_COMPAT | UTF8PROC_COMPOSE,
                                                 &last_boundclass);
    if (n <= 0 || n > NFKC_MAX)
        return -1;
    n = utf8proc_normalize_utf32(code, n, UTF8PROC_STABLE | UTF8PROC_COMPOSE);
    for (utf8proc_ssize_t i = 0; i < n; i++) {
        ascii |= code[i] < 0x80;
        blank_only &= code[i] >= 0x80 || code[i] == ' ';
        len += (int)utf8_put(out + len, (uint32_t)code[i]);
    }
    return ascii && (!blank_only || n == 1) ? len : -1;
}

int fold_char(char out[FOLD_CHAR_BYTES], int cp)
{
    if (cp < 0x80)
        return -1;
    if (utf8proc_get_property(cp)->ignorable || cp == 0x20E3 || is_tag(cp))
        return 0;
    if (is_dash(cp)) {
        out[0] = '-';
        return 1;
    }
    int len = nfkc(out, cp);
    if (len >= 0 || utf8proc_category(cp) != UTF8PROC_CATEGORY_ND)
        return len;
    int value = 0;  // digits of a script are ten in a row, from 0
    while (utf8proc_category(cp - value - 1) == UTF8PROC_CATEGORY_ND)
        value++;
    out[0] = (char)('0' + value % 10);
    return 1;
}

// The first byte from `at` on that is not ASCII.
static size_t skip_ascii(struct slice s, size_t at)
{
    for (uint64_t word[4]; s.len - at >= sizeof(word); at += sizeof(word)) {
        memcpy(word, s.ptr + at, sizeof(word));
        if ((word[0] | word[1] | word[2] | word[3]) & UINT64_C(0x8080808080808080))
            break;
    }
    while (at < s.len && (unsigned char)s.ptr[at] < 0x80)
        at++;
    return at;
}

// The next character that folding changes, from `at` on, which is set to where it begins; *len: its
// bytes. -1: none.
static int next_changed(struct slice s, size_t *at, size_t *len)
{
    while ((*at = skip_ascii(s, *at)) < s.len) {
        size_t end = *at;
        int cp = utf8_next(s, &end);
        *len = end - *at;
        if (cp >= 0 && fold_changes(cp))
            return cp;
        *at = end;
    }
    return -1;
}

static bool keep_mark(struct vec *marks, struct mark mark)
{
    struct mark *m = vec_push(marks);

    if (m)
        *m = mark;
    return m != NULL;
}

static void fold(struct slice text, struct buf *out, struct vec *marks, struct vec *wide)
{
    char bytes[FOLD_CHAR_BYTES];
    size_t at = 0, copied = 0, char_len = 0, skipped = 0, skip_end = 0;

    for (int cp; (cp = next_changed(text, &at, &char_len)) >= 0; at += char_len) {
        int len = fold_char(bytes, cp);
        skipped = at == skip_end ? skipped : 0;
        if (len == 0) {
            skip_end = at + char_len;
            if (skipped++ >= FOLD_SKIP_MAX)
                continue;
        }
        buf_add(out, text.ptr + copied, at - copied);
        struct mark mark = {out->len, at, (uint8_t)len, (uint8_t)char_len};
        if ((marks && !keep_mark(marks, mark)) || (wide && len > 1 && !keep_mark(wide, mark)))
            out->failed = out->no_memory = true;
        buf_add(out, bytes, (size_t)len);
        copied = at + char_len;
    }
    buf_add(out, text.ptr + copied, text.len - copied);
}

// The length of text without a character that is unfinished at its end.
static size_t finished(struct slice text)
{
    for (size_t back = 1; back <= 3 && back <= text.len; back++) {
        unsigned char c = (unsigned char)text.ptr[text.len - back];
        size_t needs = c >= 0xF0 ? 4 : c >= 0xE0 ? 3 : c >= 0xC0 ? 2 : 1;
        if ((c & 0xC0) != 0x80)
            return needs > back ? text.len - back : text.len;
    }
    return text.len;
}

int fold_text(struct folded *f, struct slice text, bool open, struct err *err)
{
    size_t at = 0, len;

    if (open)
        text.len = finished(text);
    *f = (struct folded){
        .text = text, .origin_len = text.len,
        .own = BUF_INIT(COPY_MAX), .marks = VEC_INIT(struct mark, MARKS_MAX),
        .wide = VEC_INIT(struct mark, MARKS_MAX),
    };
    if (next_changed(text, &at, &len) < 0)
        return E_OK;
    fold(text, &f->own, &f->marks, &f->wide);
    f->text = buf_slice(&f->own);
    int code = buf_check(&f->own, "a text to match", err);
    if (code != E_OK)
        fold_release(f);
    return code;
}

void fold_release(struct folded *f)
{
    buf_release(&f->own);
    vec_release(&f->marks);
    vec_release(&f->wide);
}

void fold_append(struct slice text, struct buf *out)
{
    fold(text, out, NULL, NULL);
}

// The last mark at or before `at` of the folded text; NULL: none.
static const struct mark *mark_before(const struct vec *marks, size_t at)
{
    const struct mark *list = marks->ptr;
    size_t low = 0, high = marks->len;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (list[middle].at <= at)
            low = middle + 1;
        else
            high = middle;
    }
    return low ? &list[low - 1] : NULL;
}

size_t fold_origin(const struct folded *f, size_t at)
{
    const struct mark *m = mark_before(&f->marks, at);

    if (!m)
        return at;
    return at < m->at + m->bytes ? m->origin : m->origin + m->origin_bytes + at - m->at - m->bytes;
}

size_t fold_origin_end(const struct folded *f, size_t at)
{
    const struct mark *m = at ? mark_before(&f->marks, at - 1) : NULL;

    if (!m)
        return at;
    size_t end = m->origin + m->origin_bytes;
    return at <= m->at + m->bytes ? end : end + at - m->at - m->bytes;
}

size_t fold_find(const struct folded *f, size_t origin)
{
    const struct mark *list = f->marks.ptr;
    size_t low = 0, high = f->marks.len;

    while (low < high) {  // to the first mark at or behind it
        size_t middle = low + (high - low) / 2;
        if (list[middle].origin < origin)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == 0)
        return origin;
    const struct mark *m = &list[low - 1];
    size_t end = m->origin + m->origin_bytes;
    return m->at + m->bytes + (origin > end ? origin - end : 0);
}

bool fold_is_start(const struct folded *f, size_t at)
{
    const struct mark *m = mark_before(&f->wide, at);

    return !m || at == m->at || at >= m->at + m->bytes;
}
