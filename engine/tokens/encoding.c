// SPDX-License-Identifier: MIT
// encoding.c: a whole text: made well-formed, cut at special tokens if asked, then into pieces.
//
// Pure but for the memory it takes and gives back; any thread.
#include "tokens/encoding.h"

#include "base/mem.h"
#include "base/utf8.h"
#include "tokens/merge.h"
#include "tokens/pieces.h"

#include <string.h>

enum { SPECIALS_MAX = 5, REPLACEMENT_BYTES = 3, PIECES_AT_ONCE = 256 };

struct special {
    struct slice text;
    uint32_t id;
};

struct encoding {
    const struct image_vocabulary *vocabulary;
    piece_rule *pieces;
    struct special specials[SPECIALS_MAX];  // those that are there come first
};

#define SPECIAL(text, id) {{text, sizeof(text) - 1}, id}

// Rules and special tokens as of tiktoken 0.9 (openai_public.py).
static const struct encoding encodings[IMAGE_VOCABULARIES] = {
    {&encodings_image.vocabularies[0],
     pieces_cl100k,
     {SPECIAL("<|endoftext|>", 100257), SPECIAL("<|fim_prefix|>", 100258),
      SPECIAL("<|fim_middle|>", 100259), SPECIAL("<|fim_suffix|>", 100260),
      SPECIAL("<|endofprompt|>", 100276)}},
    {&encodings_image.vocabularies[1],
     pieces_o200k,
     {SPECIAL("<|endoftext|>", 199999), SPECIAL("<|endofprompt|>", 200018)}},
};

const struct encoding *encoding_at(size_t i)
{
    return i < IMAGE_VOCABULARIES ? &encodings[i] : NULL;
}

const struct encoding *encoding_find(struct slice name)
{
    for (size_t i = 0; i < IMAGE_VOCABULARIES; i++)
        if (slice_is(name, encoding_name(&encodings[i])))
            return &encodings[i];
    return NULL;
}

const char *encoding_name(const struct encoding *e)
{
    return e->vocabulary->name;
}

static int add_ordinary(const struct encoding *e, struct merger *m, struct slice text,
                        struct err *err)
{
    const uint8_t *p = (const uint8_t *)text.ptr, *end = p + text.len;
    uint32_t lengths[PIECES_AT_ONCE];
    size_t n;
    int rc = E_OK;

    while (!rc && (n = e->pieces(p, end, lengths, PIECES_AT_ONCE)) > 0) {
        rc = merger_add(m, p, end, lengths, n, err);
        for (size_t i = 0; i < n; i++)
            p += lengths[i];
    }
    return rc;
}

// The special token that the text begins with, or NULL.
static const struct special *special_at(const struct encoding *e, struct slice text)
{
    for (size_t i = 0; i < SPECIALS_MAX; i++)
        if (e->specials[i].text.len && slice_starts(text, e->specials[i].text))
            return &e->specials[i];
    return NULL;
}

// What is between two special tokens is a text of its own.
static int add_special(const struct encoding *e, struct merger *m, struct slice text,
                       struct err *err)
{
    size_t begin = 0, at = 0;
    int rc = E_OK;

    while (!rc && at < text.len) {
        const char *open = memchr(text.ptr + at, '<', text.len - at);
        if (!open)
            break;
        at = (size_t)(open - text.ptr);
        const struct special *s = special_at(e, slice_of(open, text.len - at));
        if (!s) {
            at++;
            continue;
        }
        rc = add_ordinary(e, m, slice_of(text.ptr + begin, at - begin), err);
        if (!rc)
            rc = merger_add_token(m, s->id, err);
        begin = at += s->text.len;
    }
    return rc ? rc : add_ordinary(e, m, slice_of(text.ptr + begin, text.len - begin), err);
}

// The text with U+FFFD for each ill-formed part, appended to out.
static int repair(struct slice text, struct buf *out, struct err *err)
{
    size_t at = 0;

    while (at < text.len) {
        struct slice rest = slice_of(text.ptr + at, text.len - at);
        size_t good = utf8_valid_prefix(rest), skipped = good;

        buf_add(out, rest.ptr, good);
        if (good < rest.len) {
            utf8_next(rest, &skipped);
            buf_add(out, "\xEF\xBF\xBD", REPLACEMENT_BYTES);
        }
        at += skipped;
    }
    return buf_check(out, "the text", err);
}

int merger_add_text(struct merger *m, const struct encoding *e, struct slice text, unsigned flags,
                    struct err *err)
{
    struct buf repaired = BUF_INIT((size_t)ENCODING_BYTES_MAX * REPLACEMENT_BYTES);
    int rc = E_OK;

    m->vocabulary = vocabulary_of(e->vocabulary);
    if (text.len > ENCODING_BYTES_MAX)
        return err_set(err, E_REFUSED, "a text of %zu bytes is too long to count its tokens: at "
                       "most %d MiB at a time", text.len, ENCODING_BYTES_MAX >> 20);
    if (!utf8_valid(text)) {
        rc = repair(text, &repaired, err);
        text = buf_slice(&repaired);
    }
    if (!rc && text.len)
        rc = (flags & ENCODING_SPECIAL ? add_special : add_ordinary)(e, m, text, err);
    buf_release(&repaired);
    return rc;
}

int encoding_count(const struct encoding *e, struct slice text, unsigned flags, uint32_t *tokens,
                   struct err *err)
{
    struct merger m = {0};
    int rc = merger_add_text(&m, e, text, flags, err);

    *tokens = (uint32_t)m.count;
    merger_release(&m);
    return rc;
}

int encoding_encode(const struct encoding *e, struct slice text, unsigned flags,
                    struct token_ids *ids, struct err *err)
{
    struct merger m = {.keep = true, .ids = *ids};
    size_t before = ids->len;
    int rc = merger_add_text(&m, e, text, flags, err);

    *ids = m.ids;
    m.ids = (struct token_ids)TOKEN_IDS_INIT;
    merger_release(&m);
    if (rc)
        ids->len = before;
    return rc;
}

bool encoding_decode(const struct encoding *e, uint32_t id, struct buf *out)
{
    struct vocabulary v = vocabulary_of(e->vocabulary);
    uint32_t stack[TOKEN_BYTES_MAX];
    size_t n = 0;

    for (size_t i = 0; i < SPECIALS_MAX; i++) {
        if (e->specials[i].text.len && e->specials[i].id == id) {
            buf_add_slice(out, e->specials[i].text);
            return true;
        }
    }
    if (id >= v.tokens_len)
        return false;
    // Each token on the stack has at least a byte of its own, so it has room for all.
    for (stack[n++] = id; n;) {
        uint32_t top = stack[--n];

        if (top < BYTE_TOKENS) {
            buf_add_char(out, (char)v.bytes[top]);
            continue;
        }
        stack[n++] = v.tokens[top].right;
        stack[n++] = v.tokens[top].left;
    }
    return true;
}
