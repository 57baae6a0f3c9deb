// SPDX-License-Identifier: MIT
// address.c: addresses of machines: IPv4 (RFC 791, dotted), IPv6 (RFC 4291, 2.2, with a zone as in
// RFC 4007), hardware addresses (six bytes by ':' or '-', three words by '.').
#include "redact/recognise.h"

enum { ZONE_BYTES = 16 };

// After dotted decimal numbers at `at`: 0, there are none of them.
static size_t dotted_end(struct view *v, size_t at)
{
    size_t i = at;

    for (unsigned octet = 0; octet < 4; octet++) {
        int value = 0, n = 0;
        for (; n < 4 && is_digit(view_at(v, i)); n++, i++)
            value = 10 * value + view_at(v, i) - '0';
        if (n == 0 || n > 3 || value > 255)
            return 0;
        if (octet < 3 && view_at(v, i++) != '.')
            return 0;
    }
    bool longer = view_word(v, i) || (view_at(v, i) == '.' && is_digit(view_at(v, i + 1)));
    return longer ? 0 : i;
}

bool ipv4_at(struct view *v, size_t at, struct match *out)
{
    int before = view_before(v, at);

    if ((before == '.' || before == ',') && at > 1 && is_alnum(view_before(v, at - 1)))
        return false;
    *out = (struct match){.end = dotted_end(v, at), .score = 65};
    return out->end != 0;
}

// The groups of an IPv6 address as far as they go.
struct groups {
    size_t end;
    unsigned n;
    bool gap;    // "::" was there
    bool digit;  // some digit was: dead::beef may be two words
};

static bool read_group(struct view *v, struct groups *g)
{
    size_t i = g->end;
    unsigned n = 0;

    for (int c; n <= 4 && hex_value(c = view_at(v, i)) >= 0; i++, n++)
        g->digit |= is_digit(c);
    if (n == 0 || n > 4 || g->n == 8)
        return false;
    if (view_at(v, i) == '.' && (g->gap ? g->n <= 5 : g->n == 6)) {
        size_t end = dotted_end(v, g->end);
        if (end) {  // else the dot ends a sentence
            g->n += 2;
            g->end = end;
            return true;
        }
    }
    g->end = i;
    g->n++;
    return true;
}

static bool read_groups(struct view *v, struct groups *g)
{
    if (view_at(v, g->end) == ':') {
        if (view_at(v, g->end + 1) != ':')
            return false;
        g->gap = true;
        g->end += 2;
    }
    for (;;) {
        if (!read_group(v, g))
            return false;
        if (view_at(v, g->end) != ':')
            return true;
        int next = view_at(v, g->end + 1);
        if (next != ':' && hex_value(next) < 0)
            return true;
        g->end++;
        if (next == ':') {
            if (g->gap)
                return false;
            g->gap = true;
            g->end++;
            if (hex_value(view_at(v, g->end)) < 0)
                return true;
        }
    }
}

// Whether a group of up to `most` hexadecimal digits, or none, stands in front of the mark before
// `at`, so that what begins here is the rest of something. "host:" is no group.
static bool is_rest(const struct view *v, size_t at, size_t most)
{
    size_t i = at - 1, len = 0;

    while (len <= most && hex_value(view_before(v, i)) >= 0)
        i--, len++;
    return len <= most && !view_word_before(v, i);
}

bool ipv6_at(struct view *v, size_t at, struct match *out)
{
    struct groups g = {.end = at};
    int before = view_before(v, at);

    if (before == '.' || (before == ':' && is_rest(v, at, 4)) || !read_groups(v, &g))
        return false;
    if ((g.gap ? g.n > 7 : g.n != 8) || (!g.digit && g.n < 4) || view_word(v, g.end))
        return false;
    if (view_at(v, g.end) == '%' && is_alnum(view_at(v, g.end + 1)))
        for (size_t n = 0; n < ZONE_BYTES && (n == 0 || is_alnum(view_at(v, g.end))); n++)
            g.end++;
    *out = (struct match){.end = g.end, .score = 75};
    return true;
}

// Bytes at `at`, in groups of `digits` hexadecimal digits by `separator`.
static bool read_mac(struct view *v, size_t at, unsigned digits, size_t *end)
{
    int separator = view_at(v, at + digits);
    unsigned all_or = 0, all_and = 0xF;
    size_t i = at;

    for (unsigned n = 0; n < 12; n++, i++) {
        if (n && n % digits == 0 && view_at(v, i++) != separator)
            return false;
        int value = hex_value(view_at(v, i));
        if (value < 0)
            return false;
        all_or |= (unsigned)value;
        all_and &= (unsigned)value;
    }
    *end = i;
    bool longer = view_word(v, i) ||
                  (view_at(v, i) == separator && hex_value(view_at(v, i + 1)) >= 0);
    return !longer && all_or != 0 && all_and != 0xF;  // nobody's, and everybody's
}

bool mac_at(struct view *v, size_t at, struct match *out)
{
    unsigned digits = 2;

    if (!view_is(v, at, IS_HEX) || !view_is(v, at + 1, IS_HEX))
        return false;
    int separator = view_at(v, at + 2), before = view_before(v, at);
    if (separator != ':' && separator != '-') {
        digits = 4;
        if (view_run(v, at + 2, IS_HEX, 2) != at + 4 || view_at(v, at + 4) != '.')
            return false;
    }
    if ((before == ':' || before == '-' || before == '.') && is_rest(v, at, 4) &&
        hex_value(view_before(v, at - 1)) >= 0)
        return false;
    out->score = 80;
    return read_mac(v, at, digits, &out->end);
}
