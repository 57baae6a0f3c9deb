// SPDX-License-Identifier: MIT
// quote.c: what was said, quoted as data.
//
// Every line of it begins with "> ", and what looks like one of our frames is escaped: what people
// or models once said cannot end the quotation that it stands in.
#include "turn/turn_int.h"

#include <strings.h>

static const char *const frames[] = {"recalled",    "remembered", "summary",
                                     "conversation", "constraints", "previous",
                                     "core_memory",  "journal",     "facts"};

// Whether a frame's word begins here, after "<", however it is written.
static bool is_frame(struct slice rest)
{
    size_t at = 1;
    while (at < rest.len && strchr(" \t/", rest.ptr[at]))
        at++;
    for (size_t i = 0; i < sizeof(frames) / sizeof(frames[0]); i++) {
        size_t len = strlen(frames[i]);
        if (rest.len - at >= len && strncasecmp(rest.ptr + at, frames[i], len) == 0)
            return true;
    }
    return false;
}

// Characters that end a line, for one reader or another: how many bytes.
static size_t line_end(struct slice rest)
{
    if (rest.len >= 2 && rest.ptr[0] == '\r' && rest.ptr[1] == '\n')
        return 2;
    if (rest.ptr[0] == '\n' || rest.ptr[0] == '\r' || rest.ptr[0] == '\v' || rest.ptr[0] == '\f')
        return 1;
    if (rest.len >= 2 && memcmp(rest.ptr, "\xc2\x85", 2) == 0)
        return 2;  // NEL
    if (rest.len >= 3 && (memcmp(rest.ptr, "\xe2\x80\xa8", 3) == 0 ||
                          memcmp(rest.ptr, "\xe2\x80\xa9", 3) == 0))
        return 3;  // LINE SEPARATOR, PARAGRAPH SEPARATOR
    return 0;
}

void quote_text(struct safe_buf *out, struct safe_text text)
{
    size_t from = 0, at = 0;
    while (at < text.len) {
        struct slice rest = slice_of(text.ptr + at, text.len - at);
        size_t end = line_end(rest);
        bool frame = rest.ptr[0] == '<' && is_frame(rest);
        if (!end && !frame) {
            at++;
            continue;
        }
        safe_buf_add(out, safe_text_part(text, from, at - from));
        safe_buf_add(out, frame ? SAFE_LIT("&lt;") : SAFE_LIT("\n> "));
        at += frame ? 1 : end;
        from = at;
    }
    safe_buf_add(out, safe_text_part(text, from, text.len - from));
    safe_buf_add(out, SAFE_LIT("\n"));
}

int quote_turn(struct safe_buf *out, const struct turn *t, struct err *err)
{
    struct safe_buf text;
    safe_buf_init(&text, CONTENT_BYTES_MAX);
    for (uint32_t i = 0; i < t->steps_len; i++) {
        safe_buf_clear(&text);
        content_text(&t->steps[i].content, &text);
        if (safe_buf_text(&text).len == 0)
            continue;
        safe_buf_add(out, t->steps[i].role == ROLE_USER ? SAFE_LIT("> user: ")
                                                        : SAFE_LIT("> assistant: "));
        quote_text(out, safe_buf_text(&text));
    }
    int code = safe_buf_check(&text, "a message", err);
    safe_buf_release(&text);
    return code;
}

// In words of ours: digits are nobody's data.
void quote_number(struct safe_buf *out, uint64_t n)
{
    const struct safe_text digits = SAFE_LIT("0123456789");
    if (n >= 10)
        quote_number(out, n / 10);
    safe_buf_add(out, safe_text_part(digits, n % 10, 1));
}

// "[2026-03-01]", in words of ours too.
void quote_date(struct safe_buf *out, int64_t at_ms)
{
    static const char digits[] = "0123456789";
    const struct safe_text all = SAFE_LIT("0123456789");
    char text[CLOCK_TEXT_BYTES];
    clock_format(at_ms, text);
    safe_buf_add(out, SAFE_LIT("["));
    for (size_t i = 0; i < sizeof("2026-03-01") - 1; i++) {
        const char *digit = text[i] ? strchr(digits, text[i]) : NULL;
        safe_buf_add(out, digit ? safe_text_part(all, (size_t)(digit - digits), 1) : SAFE_LIT("-"));
    }
    safe_buf_add(out, SAFE_LIT("]\n"));
}
