// SPDX-License-Identifier: MIT
// redact.c: the identity rule set: text is checked (or, in streams, mended) and passed on.
//
// Invariants:
//   1. What is appended to a safe_buf is valid UTF-8 without NUL.
//   2. A stream's output does not depend on where its input was cut: each character, and each
//      maximal ill-formed part (one U+FFFD), is decided only when no further byte can change it.
//   3. hold is empty or the beginning of one character that more bytes can still finish.
// A redactor is read-only and shared; a stream is owned by one thread at a time.
#include "redact/redact.h"

#include "base/utf8.h"
#include "model/safe_text_int.h"

static const char replacement[] = "\xEF\xBF\xBD";  // U+FFFD

int redact_text(const struct redactor *r, struct slice text, struct safe_buf *out, struct err *err)
{
    (void)r;
    size_t valid = utf8_valid_prefix(text);
    const char *nul = valid ? memchr(text.ptr, '\0', valid) : NULL;

    if (nul)
        return err_set(err, E_USAGE, "text has a NUL at byte %zu: remove it",
                       (size_t)(nul - text.ptr));
    if (valid < text.len)
        return err_set(err, E_USAGE, "text is not valid UTF-8 at byte %zu: convert it to UTF-8",
                       valid);
    safe_buf_add(out, safe_text_vouch(text));
    return safe_buf_check(out, "text", err);
}

void redact_stream_init(struct redact_stream *s, const struct redactor *r)
{
    *s = (struct redact_stream){.redactor = r};
}

static void add_replacement(struct safe_buf *out)
{
    safe_buf_add(out, safe_text_vouch(SLICE_LIT(replacement)));
}

// valid is valid UTF-8; NULs in it become U+FFFD.
static void add_valid(struct slice valid, struct safe_buf *out)
{
    const char *end = valid.ptr + valid.len;
    const char *at = valid.ptr;

    while (at < end) {
        const char *nul = memchr(at, '\0', (size_t)(end - at));
        const char *stop = nul ? nul : end;

        safe_buf_add(out, safe_text_vouch(slice_of(at, (size_t)(stop - at))));
        if (nul)
            add_replacement(out);
        at = nul ? nul + 1 : end;
    }
}

static size_t character_bytes(char lead)
{
    unsigned char c = (unsigned char)lead;

    return c < 0x80 ? 1 : c < 0xC2 ? 0 : c < 0xE0 ? 2 : c < 0xF0 ? 3 : c < 0xF5 ? 4 : 0;
}

// Whether s, which is not empty, is the beginning of one character that more bytes can finish.
static bool is_unfinished(struct slice s)
{
    size_t at = 0;

    return s.len < character_bytes(s.ptr[0]) && utf8_next(s, &at) < 0 && at == s.len;
}

// Moves bytes from piece to the held character until that is whole, or cannot become so. The byte
// that shows the latter stays in the piece: it begins something of its own.
static void finish_hold(struct redact_stream *s, struct slice *piece, struct safe_buf *out)
{
    while (s->hold_len && piece->len) {
        s->hold[s->hold_len] = piece->ptr[0];
        struct slice held = slice_of(s->hold, s->hold_len + 1);
        bool unfinished = is_unfinished(held);

        if (!unfinished && !utf8_valid(held)) {
            add_replacement(out);
            s->hold_len = 0;
            return;
        }
        s->hold_len = unfinished ? held.len : 0;
        *piece = slice_of(piece->ptr + 1, piece->len - 1);
        if (!unfinished)
            safe_buf_add(out, safe_text_vouch(held));
    }
}

void redact_stream_feed(struct redact_stream *s, struct slice piece, struct safe_buf *out)
{
    finish_hold(s, &piece, out);
    while (piece.len) {
        size_t at = utf8_valid_prefix(piece);

        add_valid(slice_of(piece.ptr, at), out);
        piece = slice_of(piece.ptr + at, piece.len - at);
        if (piece.len == 0)
            return;
        if (is_unfinished(piece)) {
            memcpy(s->hold, piece.ptr, piece.len);
            s->hold_len = piece.len;
            return;
        }
        at = 0;
        utf8_next(piece, &at);
        add_replacement(out);
        piece = slice_of(piece.ptr + at, piece.len - at);
    }
}

void redact_stream_end(struct redact_stream *s, struct safe_buf *out)
{
    if (s->hold_len)
        add_replacement(out);
    s->hold_len = 0;
}
