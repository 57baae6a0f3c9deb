// SPDX-License-Identifier: MIT
// email.c: e-mail addresses: a local part (RFC 5322's atoms as far as people use them, and letters
// of other alphabets), '@', a domain of two labels or more whose last is letters or punycode.
#include "redact/recognise.h"

enum { LOCAL_BYTES = ANCHOR_BYTES, DOMAIN_BYTES = 253, LABEL_BYTES = 63 };

// What may stand inside a local part; it begins with a letter, digit or underscore.
static bool is_local_mark(int c)
{
    return c == '.' || c == '%' || c == '+' || c == '-' || c == '\'' || c == '&';
}

// Whether the local part begins further left, over such marks.
static bool begins_before(const struct view *v, size_t at)
{
    size_t i = at, least = at > LOCAL_BYTES ? at - LOCAL_BYTES : 0;

    while (i > least && is_local_mark(view_before(v, i)))
        i--;
    return i < at && view_word_before(v, i);
}

// The end of the letters, digits, dashes and alphabetic letters at i; 0: they are too many.
static size_t label_end(struct view *v, size_t i)
{
    size_t end = i, most = i + LABEL_BYTES + 1;

    for (;; end++) {
        end = view_run(v, end, IS_ALNUM | IS_DASH | IS_LEAD, most - end);
        bool second = end > i && byte_is((unsigned char)v->ptr[end - 1], IS_LEAD);
        if (!second || end == most || !view_is(v, end, IS_TRAIL))
            return end < most ? end : 0;
    }
}

// "png" and such: image@2x.png is a file.
static bool is_file_ending(struct view *v, size_t at, size_t len)
{
    static const char *const endings[] = {"png", "jpg", "jpeg", "gif", "svg", "webp", "pdf", "css"};
    int first = to_lower(view_at(v, at));

    for (size_t i = 0; i < sizeof(endings) / sizeof(endings[0]); i++)
        if (*endings[i] == first && strlen(endings[i]) == len && view_says(v, at, endings[i]))
            return true;
    return false;
}

static bool is_top_label(struct view *v, size_t at, size_t end)
{
    if (end - at > 4 && view_says(v, at, "xn--"))
        return true;
    size_t letters = view_run(v, at, IS_LETTER | IS_LEAD | IS_TRAIL, end - at) - at;
    return letters == end - at && letters >= 2 && !is_file_ending(v, at, letters);
}

// The end of the domain at `at`, 0: there is none.
static size_t domain_end(struct view *v, size_t at)
{
    size_t whole = 0;
    unsigned labels = 0;

    for (size_t i = at; i - at <= DOMAIN_BYTES; i++) {
        size_t end = label_end(v, i);
        while (end > i && view_at(v, end - 1) == '-')
            end--;  // as a label has none there, the name ends
        if (end <= i || view_at(v, i) == '-')
            break;
        if (++labels > 1 && is_top_label(v, i, end))
            whole = end;
        if (view_at(v, end) != '.')
            break;
        i = end;
    }
    return whole;
}

bool email_at(struct view *v, size_t at, struct match *out)
{
    size_t i = at;

    if (begins_before(v, at))
        return false;
    for (;; i++) {
        i = view_run(v, i, IS_WORD | IS_TRAIL, at + LOCAL_BYTES - i);
        int c = view_at(v, i);
        if (c == '@')
            break;
        if (i - at >= LOCAL_BYTES || !is_local_mark(c))
            return false;
    }
    if (i == at)
        return false;
    *out = (struct match){.end = domain_end(v, i + 1), .score = 95};
    return out->end != 0;
}
