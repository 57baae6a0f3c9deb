// SPDX-License-Identifier: MIT
// redact.c: text is checked (or, in streams, mended), what the rules find is masked, and what looks
// like a mask is escaped (mask.h says how).
//
//   piece ─ mend ─▶ text ─ redact_scan ─▶ spans ─┐
//                     └──── "[", a name ─────────┴─▶ write ─▶ out
//
// Whole text goes the same way as a stream that is fed once and ended.
//
// Invariants:
//   1. What is appended to a safe_buf is valid UTF-8 without NUL.
//   2. A stream's output does not depend on where its input was cut: each character, each maximal
//      ill-formed part (one U+FFFD), each match and each mask's shape is decided only when no
//      further byte can change it.
//   3. Of a match nothing is written but its mask; of a stream nothing is written while the book
//      has a number that waits.
//   4. hold is empty or the beginning of one character that more bytes can still finish.
#include "redact/redact.h"

#include "base/utf8.h"
#include "model/safe_text_int.h"

static const char replacement[] = "\xEF\xBF\xBD";  // U+FFFD

enum { VALUE_BYTES_MAX = 1 << 20 };
_Static_assert((int)REDACT_OWN_NAME_BYTES < (int)MASK_WORD_BYTES, "a pattern's name is a mask's");

// What the output ends with, as far as a mask's shape may go on from it.
enum { AFTER_TEXT, AFTER_BRACKET, AFTER_SLASH };

// A writing under way: of text[at, upto).
struct writing {
    const struct redact_how *how;
    struct slice text;
    size_t at, upto;
    bool at_end;                  // upto is the text's end, and nothing follows
    int after;
    uint32_t known;               // masks that the text may speak of: the first so many of the book
    const struct redact_spans *spans;
    size_t next;                  // of them
    bool asking;                  // stopped in front of a mask that may only not be known here
    struct safe_buf *out;         // NULL: only the numbers are asked for
    struct buf value;             // scratch
};

// ---- writing

static void put(struct writing *w, size_t from, size_t to)
{
    if (w->out && to > from)
        safe_buf_add(w->out, safe_text_vouch(slice_of(w->text.ptr + from, to - from)));
}

static void put_mask(struct writing *w, const struct redact_span *span)
{
    struct slice word = slice_str(redactor_kind_word(w->how->redactor, span->kind));
    struct slice match = slice_of(w->text.ptr + span->start, span->end - span->start);

    buf_clear(&w->value);
    redact_value(span->kind, match, &w->value);
    uint32_t number = 0;
    if (buf_ok(&w->value))
        number = mask_book_number(w->how->book, w->how->bot, word, buf_slice(&w->value), match,
                                  w->how->known_only);
    if (w->out)
        mask_write(safe_buf_bytes(w->out), word, number);
    uint32_t rank = mask_book_rank(w->how->book, word, number);
    w->known = rank > w->known ? rank : w->known;
    w->at = span->end;
    w->after = AFTER_TEXT;
}

// Whether a shape is spoken of as a mask, or as an escaped one. What only comes up later in the
// same text is not known yet, so that it does not matter in which pieces the text came.
static bool is_mask(const struct writing *w, const struct mask_shape *shape)
{
    if (w->how->from == REDACT_PEOPLE)
        return false;
    uint32_t rank = mask_book_rank(w->how->book, shape->name, shape->number);
    return w->after == AFTER_SLASH || shape->number == 0 || (rank && rank <= w->known);
}

// Behind a bracket and its backslashes. False: more text decides, or the book is to be asked.
static bool put_shape(struct writing *w, const struct redact_span *span)
{
    struct mask_shape shape;

    if (w->text.ptr[w->at] == '\\') {
        put(w, w->at, w->at + 1);
        w->at++;
        w->after = AFTER_SLASH;
        return true;
    }
    enum mask_seen seen = mask_shape_at(w->text, w->at, &shape);
    if (!w->at_end && (seen == MASK_OPEN || (seen == MASK_YES && shape.end > w->upto)))
        return false;
    bool known = seen == MASK_YES && is_mask(w, &shape);
    // A match inside of it is masked, and then it is no shape any more.
    if (seen != MASK_YES || (!known && span && span->start < shape.end)) {
        w->after = AFTER_TEXT;
        return true;
    }
    w->asking = !known && w->how->asks && w->how->from == REDACT_MODEL;
    if (w->asking)
        return false;
    if (!known && w->out)
        safe_buf_add(w->out, SAFE_LIT("\\"));
    put(w, w->at, shape.end);
    w->at = shape.end;
    w->after = AFTER_TEXT;
    return true;
}

static void put_plain(struct writing *w, size_t stop)
{
    const char *from = w->text.ptr + w->at;
    const char *bracket = memchr(from, '[', stop - w->at);
    size_t to = bracket ? (size_t)(bracket - w->text.ptr) + 1 : stop;

    put(w, w->at, to);
    w->at = to;
    w->after = bracket ? AFTER_BRACKET : AFTER_TEXT;
}

// Goes as far as it is decided.
static void write_masked(struct writing *w)
{
    while (w->at < w->upto) {
        while (w->next < w->spans->len && w->spans->ptr[w->next].start < w->at)
            w->next++;
        const struct redact_span *span = w->next < w->spans->len ? &w->spans->ptr[w->next] : NULL;

        // Behind a bracket a mask that is known comes first, whatever a pattern makes of its name.
        bool named = w->after != AFTER_TEXT && w->text.ptr[w->at] != '\\';
        if (span && span->start == w->at && !named)
            put_mask(w, span);
        else if (w->after == AFTER_TEXT)
            put_plain(w, span ? span->start : w->upto);
        else if (!put_shape(w, span))
            break;
    }
}

static uint32_t known_at_first(const struct redact_how *how)
{
    return how->bounded ? how->known : how->book ? mask_book_len(how->book) : 0;
}

// ---- whole text

int redact_check(struct slice text, struct err *err)
{
    size_t valid = utf8_valid_prefix(text);
    const char *nul = valid ? memchr(text.ptr, '\0', valid) : NULL;

    if (nul)
        return err_set(err, E_USAGE, "text has a NUL at byte %zu: remove it",
                       (size_t)(nul - text.ptr));
    if (valid < text.len)
        return err_set(err, E_USAGE, "text is not valid UTF-8 at byte %zu: convert it to UTF-8",
                       valid);
    return E_OK;
}

int redact_own(struct slice text, struct safe_buf *out, struct err *err)
{
    int code = redact_check(text, err);

    if (code)
        return code;
    safe_buf_add(out, safe_text_vouch(text));
    return safe_buf_check(out, "text", err);
}

int redact_text(const struct redact_how *how, struct slice text, struct safe_buf *out,
                struct err *err)
{
    struct redact_spans spans = REDACT_SPANS_INIT;

    if (!how->redactor)
        return redact_own(text, out, err);
    int code = redact_check(text, err);
    if (!code)
        code = redact_scan(how->redactor, text, &spans, err);
    if (!code) {
        struct writing w = {.how = how, .text = text, .upto = text.len, .at_end = true,
                            .known = known_at_first(how), .spans = &spans, .out = out,
                            .value = BUF_INIT(VALUE_BYTES_MAX)};

        write_masked(&w);
        buf_release(&w.value);
        code = safe_buf_check(out, "text", err);
    }
    redact_spans_release(&spans);
    return code;
}

// ---- streams: mending

void redact_stream_init(struct redact_stream *s, const struct redact_how *how)
{
    *s = (struct redact_stream){.how = *how};
    s->known = known_at_first(how);
    buf_init(&s->text, CONTENT_BYTES_MAX);
}

void redact_stream_release(struct redact_stream *s)
{
    buf_release(&s->text);
}

static void add_replacement(struct buf *out)
{
    buf_add_str(out, replacement);
}

// valid is valid UTF-8; NULs in it become U+FFFD.
static void add_valid(struct slice valid, struct buf *out)
{
    const char *end = valid.ptr + valid.len;
    const char *at = valid.ptr;

    while (at < end) {
        const char *nul = memchr(at, '\0', (size_t)(end - at));
        const char *stop = nul ? nul : end;

        buf_add(out, at, (size_t)(stop - at));
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
static void finish_hold(struct redact_stream *s, struct slice *piece)
{
    while (s->hold_len && piece->len) {
        s->hold[s->hold_len] = piece->ptr[0];
        struct slice held = slice_of(s->hold, s->hold_len + 1);
        bool unfinished = is_unfinished(held);

        if (!unfinished && !utf8_valid(held)) {
            add_replacement(&s->text);
            s->hold_len = 0;
            return;
        }
        s->hold_len = unfinished ? held.len : 0;
        *piece = slice_of(piece->ptr + 1, piece->len - 1);
        if (!unfinished)
            add_valid(held, &s->text);
    }
}

static void mend(struct redact_stream *s, struct slice piece)
{
    finish_hold(s, &piece);
    while (piece.len) {
        size_t at = utf8_valid_prefix(piece);

        add_valid(slice_of(piece.ptr, at), &s->text);
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
        add_replacement(&s->text);
        piece = slice_of(piece.ptr + at, piece.len - at);
    }
}

int redact_raw(const struct redact_how *how, struct slice raw, struct safe_buf *out,
               struct err *err)
{
    struct redact_stream s;

    if (utf8_valid(raw) && !memchr(raw.len ? raw.ptr : "", '\0', raw.len))
        return redact_text(how, raw, out, err);
    redact_stream_init(&s, how);
    mend(&s, raw);
    if (s.hold_len)
        add_replacement(&s.text);
    int code = buf_check(&s.text, "text", err);
    if (!code)
        code = redact_text(how, buf_slice(&s.text), out, err);
    redact_stream_release(&s);
    return code;
}

// ---- streams: masking

// What is out stays as far as it may bear on what follows.
static void drop_old(struct redact_stream *s)
{
    enum { KEPT = REDACT_BEFORE_BYTES };
    if (!s->how.redactor || s->ending) {
        buf_consume(&s->text, s->done);
        s->done = 0;
    } else if (s->done > 2 * KEPT) {
        size_t drop = utf8_cut(buf_slice(&s->text), s->done - KEPT);
        buf_consume(&s->text, drop);
        s->done -= drop;
    }
}

static bool write_off(struct redact_stream *s, struct safe_buf *out)
{
    safe_buf_add(out, safe_text_vouch(slice_of(s->text.ptr + s->done, s->text.len - s->done)));
    s->done = s->text.len;
    drop_old(s);
    return true;
}

// The numbers first, then, if none of them waits, the text.
static bool write_spans(struct redact_stream *s, const struct redact_spans *spans, size_t settled,
                        struct safe_buf *out)
{
    struct writing w = {.how = &s->how, .text = buf_slice(&s->text), .at = s->done,
                        .upto = settled, .at_end = s->ending, .after = s->after, .known = s->known,
                        .spans = spans, .value = BUF_INIT(VALUE_BYTES_MAX)};

    if (spans->len) {
        struct writing asking = w;
        write_masked(&asking);
        w.value = asking.value;
    }
    bool waits = !s->how.known_only && spans->len && mask_book_waits(s->how.book);
    s->asking = false;
    if (!waits) {
        w.out = out;
        write_masked(&w);
        s->done = w.at;
        s->after = w.after;
        s->known = w.known;
        s->asking = w.asking;
    }
    buf_release(&w.value);
    return !waits && !s->asking;
}

bool redact_stream_go(struct redact_stream *s, struct safe_buf *out)
{
    struct redact_spans spans = REDACT_SPANS_INIT;
    size_t settled;

    if (!buf_ok(&s->text) || s->done == s->text.len)
        return true;
    if (!s->how.redactor)
        return write_off(s, out);
    int code = redact_scan_open(s->how.redactor, buf_slice(&s->text), s->done, s->ending, &spans,
                                &settled, NULL);
    bool all = true;
    if (code)
        s->text.failed = s->text.no_memory = true;  // nothing of it leaves
    else
        all = write_spans(s, &spans, settled, out);
    redact_spans_release(&spans);
    if (all)
        drop_old(s);
    return all;
}

void redact_stream_answered(struct redact_stream *s)
{
    s->how.asks = s->asking = false;
    s->known = known_at_first(&s->how);
}

void redact_stream_hold(struct redact_stream *s, struct slice piece)
{
    mend(s, piece);
}

bool redact_stream_feed(struct redact_stream *s, struct slice piece, struct safe_buf *out)
{
    mend(s, piece);
    return redact_stream_go(s, out);
}

bool redact_stream_end(struct redact_stream *s, struct safe_buf *out)
{
    if (s->hold_len)
        add_replacement(&s->text);
    s->hold_len = 0;
    s->ending = true;
    if (!redact_stream_go(s, out))
        return false;
    if (buf_ok(&s->text))
        buf_clear(&s->text);
    s->done = 0;
    s->after = AFTER_TEXT;
    s->ending = false;
    return true;
}

int redact_stream_check(const struct redact_stream *s, struct err *err)
{
    return buf_check(&s->text, "the reply", err);
}
