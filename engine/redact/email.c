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

// The end of the letters, digits, dashes and alphabetic letters at i, at most `max` of them.
static size_t label_end(struct view *v, size_t i, size_t max)
{
    size_t end = i + max;

    for (;; i++) {
        int c = view_at(v, i);
        bool second = c >= 0x80 && c <= 0xBF && is_letter_lead(view_before(v, i));
        if (!is_alnum(c) && c != '-' && !is_letter_lead(c) && !second)
            return i;
        if (i >= end)
            return 0;
    }
}

// "png" and such: image@2x.png is a file.
static bool is_file_ending(struct view *v, size_t at, size_t len)
{
    static const char *const endings[] = {"png", "jpg", "jpeg", "gif", "svg", "webp", "pdf", "css"};

    for (size_t i = 0; i < sizeof(endings) / sizeof(endings[0]); i++)
        if (strlen(endings[i]) == len && view_says(v, at, endings[i]))
            return true;
    return false;
}

static bool is_top_label(struct view *v, size_t at, size_t end)
{
    if (end - at > 4 && view_says(v, at, "xn--"))
        return true;
    for (size_t i = at; i < end; i++)
        if (is_digit(view_at(v, i)) || view_at(v, i) == '-')
            return false;
    return end - at >= 2 && !is_file_ending(v, at, end - at);
}

// The end of the domain at `at`, 0: there is none.
static size_t domain_end(struct view *v, size_t at)
{
    size_t whole = 0;
    unsigned labels = 0;

    for (size_t i = at; i - at <= DOMAIN_BYTES; i++) {
        size_t end = label_end(v, i, LABEL_BYTES);
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
    for (int c; (c = view_at(v, i)) != '@'; i++) {
        bool inside = c >= 0x80 && c <= 0xBF && i > at;
        if (i - at >= LOCAL_BYTES || (!view_word(v, i) && !is_local_mark(c) && !inside))
            return false;
    }
    if (i == at)
        return false;
    *out = (struct match){.end = domain_end(v, i + 1), .score = 95};
    return out->end != 0;
}
