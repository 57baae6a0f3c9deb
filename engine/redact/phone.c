// SPDX-License-Identifier: MIT
// phone.c: reads groups of digits and what stands between them, then asks what they could be.
#include "redact/phone.h"

#include "redact/words.h"

enum { DIGITS_MIN = 7, DIGITS_MAX = 17, GROUPS_MAX = 8 };

// What was read; a byte past the end of the text is 0 and makes the answer open.
struct reader {
    struct slice text;
    bool open;
};

struct group {
    size_t at;
    size_t len;
};

struct groups {
    struct group of[GROUPS_MAX];
    size_t n;
    size_t digits;
};

static char peek(struct reader *r, size_t at)
{
    if (at < r->text.len)
        return r->text.ptr[at];
    r->open = true;
    return 0;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

// The length of what may stand between two groups at `at`, 0 if nothing of that kind does.
static size_t separator(struct reader *r, size_t at)
{
    size_t len = 0;

    for (bool mark = false; len < 3; len++) {
        char c = peek(r, at + len);

        if (c == '-' || c == '.' || c == '/') {
            if (mark)
                return 0;
            mark = true;
        } else if (c != ' ' && c != '(' && c != ')') {
            break;
        }
    }
    return is_digit(peek(r, at + len)) ? len : 0;
}

static void read_groups(struct reader *r, size_t at, struct groups *groups)
{
    *groups = (struct groups){.n = 0};
    for (;;) {
        struct group g = {at, 0};

        while (is_digit(peek(r, at + g.len)) && g.len <= DIGITS_MAX)
            g.len++;
        if (g.len == 0 || groups->digits + g.len > DIGITS_MAX)
            return;
        groups->digits += g.len;
        groups->of[groups->n++] = g;
        size_t gap = separator(r, at + g.len);
        if (gap == 0 || groups->n == GROUPS_MAX)
            return;
        at += g.len + gap;
    }
}

phone_region phone_region_find(struct slice code)
{
    return slice_is(code, "US") || slice_is(code, "us") ? 0 : PHONE_NO_REGION;
}

// 415-555-0132, with brackets and a 1 in front or without.
static bool is_north_american(const struct groups *g)
{
    size_t first = g->n == 4 && g->of[0].len == 1 ? 1 : 0;

    return g->n == first + 3 && g->of[first].len == 3 && g->of[first + 1].len == 3 &&
           g->of[first + 2].len == 4;
}

bool phone_match(struct slice text, size_t at, phone_region region, struct phone_match *match)
{
    struct reader r = {text, false};
    struct groups g;
    bool plus = at > 0 && text.ptr[at - 1] == '+';
    bool bracket = at > 0 && text.ptr[at - 1] == '(';
    size_t last;

    (void)region;
    read_groups(&r, at, &g);
    *match = (struct phone_match){.start = plus || bracket ? at - 1 : at, .end = at};
    if (g.n > 0) {
        last = g.n - 1;
        match->end = g.of[last].at + g.of[last].len;
        if (plus && g.digits > DIGITS_MIN)
            match->score = 90;
        else if (is_north_american(&g))
            match->score = 70;
    }
    match->open = r.open;
    return match->score > 0;
}
