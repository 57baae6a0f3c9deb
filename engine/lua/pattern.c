// SPDX-License-Identifier: MIT
// pattern.c: a backtracking matcher for Lua's patterns. See pattern.h.
//
// An item of a pattern is a single-character class with an optional suffix (* + - ?), a capture
// bracket, %b, %f, a back reference, or a final $. match() eats items in a loop and calls itself
// only where it may have to come back: for what follows a suffix or a bracket. Positions are
// pointers into subject and text; NULL is "no match" and p->failed says when it is more than that.
#include "lua/pattern.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

enum { SHORT_CLASS = 16, SKIPPED_PER_STEP = 2 };

// Where a match ended, or why there is none.
struct end {
    const char *at;  // NULL: none
    int why;         // PATTERN_NONE, PATTERN_MALFORMED, PATTERN_STOPPED
};
#define NO_MATCH ((struct end){NULL, PATTERN_NONE})

static struct end match(struct pattern *p, const char *s, const char *t);

static const char *subject_end(const struct pattern *p)
{
    return p->subject.ptr + p->subject.len;
}

static const char *text_end(const struct pattern *p)
{
    return p->text.ptr + p->text.len;
}

// The byte at t, or 0 past the end of the text.
static char text_at(const struct pattern *p, const char *t)
{
    return t < text_end(p) ? *t : '\0';
}

static struct end malformed(struct pattern *p, const char *what)
{
    snprintf(p->error, sizeof(p->error), "%s", what);
    return (struct end){NULL, PATTERN_MALFORMED};
}

static struct end bad_capture(struct pattern *p, int index)
{
    snprintf(p->error, sizeof(p->error), "invalid capture index %%%d", index);
    return (struct end){NULL, PATTERN_MALFORMED};
}

// Counts; false when the caller wants to stop.
static bool step(struct pattern *p, size_t steps)
{
    size_t sum = p->steps + steps;

    if (sum < PATTERN_TICK_STEPS) {
        p->steps = (unsigned)sum;
        return true;
    }
    p->steps = 0;
    return p->tick(p->user);
}
#define STOPPED ((struct end){NULL, PATTERN_STOPPED})

// ---- single characters

static bool in_class(unsigned char c, char class)
{
    bool ascii = c < 128, in;

    switch (class | 0x20) {
    case 'a': in = ascii && isalpha(c); break;
    case 'c': in = ascii && iscntrl(c); break;
    case 'd': in = c >= '0' && c <= '9'; break;
    case 'g': in = c > ' ' && c < 127; break;
    case 'l': in = c >= 'a' && c <= 'z'; break;
    case 'p': in = ascii && ispunct(c); break;
    case 's': in = c == ' ' || (c >= '\t' && c <= '\r'); break;
    case 'u': in = c >= 'A' && c <= 'Z'; break;
    case 'w': in = ascii && isalnum(c); break;
    case 'x': in = ascii && isxdigit(c); break;
    case 'z': in = c == 0; break;  // old, but Lua still knows it
    default: return (unsigned char)class == c;
    }
    // Only letters come here with bit 0x20 clear: the complement of a class is its capital.
    return (class & 0x20) ? in : !in;
}

// set points to '[', last to its ']'.
static bool in_set(unsigned char c, const char *set, const char *last)
{
    bool found = true;

    if (set[1] == '^') {
        found = false;
        set++;
    }
    for (set++; set < last; set++) {
        if (*set == '%') {
            set++;
            if (in_class(c, *set))
                return found;
        } else if (set[1] == '-' && set + 2 < last) {
            if ((unsigned char)set[0] <= c && c <= (unsigned char)set[2])
                return found;
            set += 2;
        } else if ((unsigned char)*set == c) {
            return found;
        }
    }
    return !found;
}

// The end of the single-character class at t, which is not the end of the text.
static struct end class_end(struct pattern *p, const char *t)
{
    char first = *t++;

    if (first == '%') {
        if (t == text_end(p))
            return malformed(p, "malformed pattern (ends with '%')");
        return (struct end){t + 1, 0};
    }
    if (first != '[')
        return (struct end){t, 0};
    if (text_at(p, t) == '^')
        t++;
    do {  // a ']' that comes first is one of the set
        if (t == text_end(p))
            return malformed(p, "malformed pattern (missing ']')");
        if (*t++ == '%' && t < text_end(p))
            t++;
    } while (text_at(p, t) != ']');
    return (struct end){t + 1, 0};
}

// Whether the class t … end matches the character at s.
static bool single(const struct pattern *p, const char *s, const char *t, const char *end)
{
    if (s >= subject_end(p))
        return false;
    switch (*t) {
    case '.': return true;
    case '%': return in_class((unsigned char)*s, t[1]);
    case '[': return in_set((unsigned char)*s, t, end - 1);
    default: return *s == *t;
    }
}

// ---- suffixes; t … end is the class, rest what follows the suffix

static size_t class_cost(const char *t, const char *end)
{
    return 1 + (size_t)(end - t) / 4;
}

static struct end most(struct pattern *p, const char *s, const char *t, const char *end)
{
    size_t cost = class_cost(t, end);
    ptrdiff_t n = 0;

    for (; single(p, s + n, t, end); n++)
        if (!step(p, cost))
            return STOPPED;
    for (; n >= 0; n--) {
        struct end e = match(p, s + n, end + 1);

        if (e.at || e.why != PATTERN_NONE)
            return e;
    }
    return NO_MATCH;
}

static struct end fewest(struct pattern *p, const char *s, const char *t, const char *end)
{
    for (;; s++) {
        struct end e = match(p, s, end + 1);

        if (!step(p, class_cost(t, end)))
            return STOPPED;
        if (e.at || e.why != PATTERN_NONE || !single(p, s, t, end))
            return e;
    }
}

// ---- captures

static struct end open_capture(struct pattern *p, const char *s, const char *t, ptrdiff_t kind)
{
    if (p->captures >= PATTERN_CAPTURES_MAX)
        return malformed(p, "too many captures");
    p->capture[p->captures++] = (struct pattern_capture){s, kind};
    struct end e = match(p, s, t);
    if (!e.at)
        p->captures--;
    return e;
}

static struct end close_capture(struct pattern *p, const char *s, const char *t)
{
    unsigned i = p->captures;

    while (i > 0 && p->capture[i - 1].len != CAPTURE_OPEN)
        i--;
    if (i == 0)
        return malformed(p, "invalid pattern capture");
    p->capture[i - 1].len = s - p->capture[i - 1].start;
    struct end e = match(p, s, t);
    if (!e.at)
        p->capture[i - 1].len = CAPTURE_OPEN;
    return e;
}

// The end of what capture `digit` matched, if it stands at s again.
static struct end again(struct pattern *p, const char *s, char digit)
{
    int i = digit - '1';

    if (i < 0 || (unsigned)i >= p->captures || p->capture[i].len == CAPTURE_OPEN)
        return bad_capture(p, i + 1);
    ptrdiff_t len = p->capture[i].len;
    if (len == CAPTURE_POSITION || subject_end(p) - s < len)
        return NO_MATCH;
    if (!step(p, 1 + (size_t)len / 16))
        return STOPPED;
    return memcmp(p->capture[i].start, s, (size_t)len) == 0 ? (struct end){s + len, 0} : NO_MATCH;
}

// ---- %b and %f

static struct end balanced(struct pattern *p, const char *s, const char *t)
{
    if (text_end(p) - t < 2)
        return malformed(p, "malformed pattern (missing arguments to '%b')");
    if (s >= subject_end(p) || *s != t[0])
        return NO_MATCH;
    size_t open = 1;
    for (s++; s < subject_end(p); s++) {
        if (!step(p, 1))
            return STOPPED;
        if (*s == t[1]) {
            if (--open == 0)
                return (struct end){s + 1, 0};
        } else if (*s == t[0]) {
            open++;
        }
    }
    return NO_MATCH;
}

// The end of the set at t if the subject enters it at s; t points behind "%f".
static struct end frontier(struct pattern *p, const char *s, const char *t)
{
    if (text_at(p, t) != '[')
        return malformed(p, "missing '[' after '%f' in pattern");
    struct end set = class_end(p, t);
    if (!set.at)
        return set;
    char before = s == p->subject.ptr ? '\0' : s[-1];
    char here = s < subject_end(p) ? *s : '\0';
    if (!step(p, 2 * class_cost(t, set.at)))
        return STOPPED;
    bool enters = !in_set((unsigned char)before, t, set.at - 1) &&
                  in_set((unsigned char)here, t, set.at - 1);
    return enters ? set : NO_MATCH;
}

// ---- items

// A class with its suffix. On return with at == NULL and why == 0: go on at *s and *t.
static struct end class_item(struct pattern *p, const char **s, const char **t)
{
    struct end class = class_end(p, *t);

    if (!class.at)
        return class;
    char suffix = text_at(p, class.at);
    bool here = single(p, *s, *t, class.at);
    if (suffix == '*')
        return most(p, *s, *t, class.at);
    if (suffix == '+')
        return here ? most(p, *s + 1, *t, class.at) : NO_MATCH;
    if (suffix == '-')
        return fewest(p, *s, *t, class.at);
    if (suffix == '?') {
        if (here) {
            struct end e = match(p, *s + 1, class.at + 1);

            if (e.at || e.why != PATTERN_NONE)
                return e;
        }
        *t = class.at + 1;
        return (struct end){NULL, 0};
    }
    if (!here)
        return NO_MATCH;
    *s += 1;
    *t = class.at;
    return (struct end){NULL, 0};
}

// One item, as class_item.
static struct end item(struct pattern *p, const char **s, const char **t)
{
    const char *at = *t;
    char next = text_at(p, at + 1);
    struct end e;

    if (*at == '(')
        return next == ')' ? open_capture(p, *s, at + 2, CAPTURE_POSITION)
                           : open_capture(p, *s, at + 1, CAPTURE_OPEN);
    if (*at == ')')
        return close_capture(p, *s, at + 1);
    if (*at == '$' && at + 1 == text_end(p))
        return *s == subject_end(p) ? (struct end){*s, 0} : NO_MATCH;
    if (*at != '%' || !(next == 'b' || next == 'f' || (next >= '0' && next <= '9')))
        return class_item(p, s, t);
    if (next == 'f') {
        e = frontier(p, *s, at + 2);
        if (e.at)
            *t = e.at;
    } else {
        e = next == 'b' ? balanced(p, *s, at + 2) : again(p, *s, next);
        if (e.at) {
            *s = e.at;
            *t = at + (next == 'b' ? 4 : 2);
        }
    }
    return e.at ? (struct end){NULL, 0} : e;
}

static struct end match(struct pattern *p, const char *s, const char *t)
{
    struct end e = {NULL, 0};

    if (p->depth == 0)
        return malformed(p, "pattern too complex");
    p->depth--;
    while (!e.at && e.why == 0) {
        if (t == text_end(p))
            e.at = s;
        else if (!step(p, 1 + (*t == '[' ? (size_t)(text_end(p) - t) / 4 : 0)))
            e = STOPPED;
        else
            e = item(p, &s, &t);
    }
    p->depth++;
    return e;
}

ptrdiff_t pattern_match(struct pattern *p, size_t at)
{
    p->captures = 0;
    p->depth = PATTERN_DEPTH_MAX;
    struct end e = match(p, p->subject.ptr + at, p->text.ptr);
    return e.at ? e.at - p->subject.ptr : e.why;
}

// A pattern that begins with one character of a class, which has to be there. What is wrong with
// the pattern behind it shows only where that character is, in Lua too.
static void look_for_first(struct pattern *p)
{
    const char *t = p->text.ptr;

    p->looked_for_first = true;
    while (text_at(p, t) == '(' && text_at(p, t + 1) != ')')
        t++;
    char c = text_at(p, t), next = t < text_end(p) ? text_at(p, t + 1) : '\0';
    bool is_end = c == '$' && t + 1 == text_end(p);
    bool is_other = c == '%' && (next == 'b' || next == 'f' || (next >= '0' && next <= '9'));
    if (t == text_end(p) || c == '(' || c == ')' || is_end || is_other)
        return;
    struct end class = class_end(p, t);
    if (!class.at || class.at - t > SHORT_CLASS)
        return;
    char suffix = text_at(p, class.at);
    p->has_first = suffix != '*' && suffix != '?' && suffix != '-';
    p->first = t;
    p->first_end = class.at;
}

size_t pattern_skip(struct pattern *p, size_t at)
{
    if (!p->looked_for_first)
        look_for_first(p);
    if (!p->has_first)
        return at;
    const char *from = p->subject.ptr + at, *s = from, *end = subject_end(p);
    if (end - from > PATTERN_TICK_STEPS)
        end = from + PATTERN_TICK_STEPS;
    while (s < end && !single(p, s, p->first, p->first_end))
        s++;
    p->steps += (unsigned)(s - from) / SKIPPED_PER_STEP;
    return s == subject_end(p) ? p->subject.len + 1 : at + (size_t)(s - from);
}

bool pattern_is_plain(struct slice text)
{
    for (size_t i = 0; i < text.len; i++)
        if (text.ptr[i] && strchr("^$*+?.([%-", text.ptr[i]))
            return false;
    return true;
}
