// SPDX-License-Identifier: MIT
// phone_number.c: reads groups of digits and what stands between them.
#include "redact/phone_number.h"

static size_t dash_at(struct view *v, size_t i)
{
    int c = view_at(v, i);

    if (c == '-')
        return 1;
    if (c != 0xe2)
        return 0;
    c = view_at(v, i + 1);
    int last = view_at(v, i + 2);
    return (c == 0x80 && last >= 0x90 && last <= 0x95) || (c == 0x88 && last == 0x92) ? 3 : 0;
}

// The length of what stands between two groups; 0 if it is nothing that does. *open: within a
// bracket, before and after.
static size_t read_gap(struct view *v, size_t i, bool *open, char *mark)
{
    size_t from = i;
    bool blank = false;

    int c = view_at(v, i);
    if ((c == ' ' || c == '-' || c == '.' || c == '/') && is_digit(view_at(v, i + 1))) {
        *mark = (char)c;  // as nearly all have it
        return 1;
    }
    *mark = 0;
    if (c == ')') {
        if (!*open)
            return 0;
        *open = false;
        *mark = ')';
        i++;
    }
    if (view_at(v, i) == ' ')
        i++, blank = true;
    size_t dash = dash_at(v, i);
    c = view_at(v, i);
    if (dash > 0 || c == '.' || c == '/') {
        *mark = *mark ? *mark : dash > 0 ? '-' : (char)c;
        i += dash > 0 ? dash : 1;
        if (view_at(v, i) == ' ' && blank)
            i++;
    } else if (view_at(v, i) == ' ') {
        i++, blank = true;
    }
    if (view_at(v, i) == '(' && !*open) {
        *open = true;
        *mark = *mark ? *mark : '(';
        i++;
    }
    if (!*mark && blank)
        *mark = ' ';
    return is_digit(view_at(v, i)) ? i - from : 0;
}

bool number_read(struct view *v, size_t at, struct number *num)
{
    size_t i = at;
    bool open = false;
    char mark = 0;

    num->n = num->len = 0;  // the arrays have no more than these say
    num->start = at;
    num->plus = num->bracket = num->follows = num->marked = false;
    if (view_at(v, i) == '(')
        open = num->bracket = true, i++;
    if (view_at(v, i) == '+') {
        num->plus = true, i++;
        if (view_at(v, i) == ' ' || view_at(v, i) == '(') {
            open |= view_at(v, i) == '(';
            i++;
        }
    }
    for (uint32_t lens = 0; num->n < NUMBER_GROUPS_MAX; num->n++) {
        size_t len = view_digits(v, i, NUMBER_DIGITS_MAX + 1), end = i + len;
        if (len == 0)
            return false;
        if (num->len + len > NUMBER_DIGITS_MAX)  // the row is cut in front of this group
            return num->n > 0;
        for (; i < end; i++)
            num->digits[num->len++] = v->ptr[i];
        lens = lens << 4 | (uint32_t)(len < 15 ? len : 15);
        num->of[num->n] = (struct group){.end = end, .len = (unsigned char)len, .mark = mark,
                                         .digits = (unsigned char)num->len, .lens = lens};
        size_t gap = read_gap(v, i, &open, &mark);
        if (gap == 0) {
            num->n++;
            return true;
        }
        i += gap;
    }
    return true;
}
