// SPDX-License-Identifier: MIT
// reveal.c: from masks back to originals, for a sink that is due them. See mask.h.
//
//   TEXT ──"["──▶ BRACKET ──"\"──▶ SLASH ──"\"──▶ SLASH
//    ▲               │ a name          │ a name
//    └───────────────┴─────────────────┘ or none
//
// In BRACKET the bracket is held, in SLASH one backslash: if a mask's name follows, the bracket
// goes (the original stands there), or the backslash (it was put there by redaction). What a name
// begins with is held too, so that the output never depends on where the input was cut.
#include "redact/mask.h"

#include "base/json.h"
#include "base/mem.h"

#include <string.h>

enum { TEXT, BRACKET, SLASH };
enum { OUT_BYTES_MAX = 256 << 20 };

void reveal_init(struct reveal_stream *s, const struct mask_book *book, const char *bot,
                 enum mask_form form)
{
    *s = (struct reveal_stream){.book = book, .bot = bot, .form = form};
    buf_init(&s->work, OUT_BYTES_MAX);
    buf_init(&s->out, OUT_BYTES_MAX);
}

void reveal_release(struct reveal_stream *s)
{
    buf_release(&s->work);
    buf_release(&s->out);
}

// A JSON string's inside: without the quotes that the writer puts around it.
static void add_original(struct reveal_stream *s, const char *original)
{
    struct json_writer w;
    size_t at = s->out.len;

    s->revealed++;
    if (s->form == MASK_PLAIN) {
        buf_add_str(&s->out, original);
        return;
    }
    jw_init(&w, &s->out);
    jw_str(&w, original);
    if (!buf_ok(&s->out))
        return;
    memmove(s->out.ptr + at, s->out.ptr + at + 1, s->out.len - at - 1);
    buf_truncate(&s->out, s->out.len - 2);
}

static void add_held(struct reveal_stream *s)
{
    if (s->state == BRACKET)
        buf_add_char(&s->out, '[');
    else if (s->state == SLASH)
        buf_add_str(&s->out, s->form == MASK_JSON ? "\\\\" : "\\");
    s->state = TEXT;
}

static void add_mask(struct reveal_stream *s, const struct mask_shape *shape, struct slice text)
{
    const struct mask *m = s->state == BRACKET
                               ? mask_book_find(s->book, shape->name, shape->number) : NULL;

    const struct mask_original *o = m ? mask_original(m, s->bot, s->kept_only) : NULL;

    if (o) {
        add_original(s, o->text);
        s->state = TEXT;
        return;
    }
    if (s->state == BRACKET)
        add_held(s);
    s->state = TEXT;
    buf_add(&s->out, text.ptr + shape->start, shape->end - shape->start);
}

// A backslash of ours at text[at]: its bytes; 0: none; -1: more text decides.
static int slash_at(const struct reveal_stream *s, struct slice text, size_t at)
{
    if (at == text.len)
        return -1;
    if (text.ptr[at] != '\\')
        return 0;
    if (s->form == MASK_PLAIN)
        return 1;
    return at + 1 == text.len ? -1 : text.ptr[at + 1] == '\\' ? 2 : 0;
}

// Goes on behind a bracket; false: more text decides.
static bool go_on(struct reveal_stream *s, struct slice text, size_t *at, bool at_end)
{
    struct mask_shape shape;
    int slash = slash_at(s, text, *at);

    if (slash > 0) {
        add_held(s);
        s->state = SLASH;
        *at += (size_t)slash;
        return true;
    }
    enum mask_seen seen = slash < 0 ? MASK_OPEN : mask_shape_at(text, *at, &shape);
    if (seen == MASK_OPEN && !at_end)
        return false;
    if (seen == MASK_YES) {
        add_mask(s, &shape, text);
        *at = shape.end;
    } else {
        add_held(s);
    }
    return true;
}

static int run(struct reveal_stream *s, struct slice piece, bool at_end, struct slice *out,
               struct err *err)
{
    size_t at = 0;

    if (s->state == TEXT && (!piece.len || !memchr(piece.ptr, '[', piece.len))) {
        *out = piece;  // most text is nobody's: it is not copied
        return E_OK;
    }
    buf_clear(&s->out);
    buf_add_slice(&s->work, piece);
    struct slice text = buf_slice(&s->work);
    while (s->state != TEXT || at < text.len) {
        if (s->state != TEXT) {
            if (!go_on(s, text, &at, at_end))
                break;
            continue;
        }
        const char *bracket = memchr(text.ptr + at, '[', text.len - at);
        size_t upto = bracket ? (size_t)(bracket - text.ptr) : text.len;
        buf_add(&s->out, text.ptr + at, upto - at);
        at = upto + (bracket != NULL);
        s->state = bracket ? BRACKET : TEXT;
    }
    int code = buf_check(&s->work, "text to be shown", err);
    if (!code)
        code = buf_check(&s->out, "text to be shown", err);
    if (buf_ok(&s->work))
        buf_consume(&s->work, at);
    *out = code ? SLICE_NONE : buf_slice(&s->out);
    return code;
}

int reveal_feed(struct reveal_stream *s, struct slice piece, struct slice *out, struct err *err)
{
    return run(s, piece, false, out, err);
}

int reveal_end(struct reveal_stream *s, struct slice *out, struct err *err)
{
    return run(s, SLICE_NONE, true, out, err);
}

uint32_t reveal_text(const struct mask_book *book, const char *bot, enum mask_form form,
                     bool kept_only, struct slice text, struct buf *out)
{
    struct reveal_stream s;
    struct slice part;

    if (!text.len || !memchr(text.ptr, '[', text.len)) {
        buf_add_slice(out, text);
        return 0;
    }
    reveal_init(&s, book, bot, form);
    s.kept_only = kept_only;
    if (reveal_feed(&s, text, &part, NULL) == E_OK)
        buf_add_slice(out, part);
    else
        out->failed = out->no_memory = true;
    if (buf_ok(out) && reveal_end(&s, &part, NULL) == E_OK)
        buf_add_slice(out, part);
    uint32_t revealed = s.revealed;
    reveal_release(&s);
    return revealed;
}
