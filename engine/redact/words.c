// SPDX-License-Identifier: MIT
// words.c: each place in the stretch where a word may begin is compared with each word. The
// stretch is short, and looked at only where digits already look like something.
#include "redact/words.h"

#include <stdbool.h>
#include <string.h>

static bool is_wide(char c)
{
    return (unsigned char)c >= 0xe1;
}

// Letters and digits of ASCII and of the alphabets: a word does not end within one.
static bool in_word(char c)
{
    unsigned char u = (unsigned char)c;

    return (u >= 'a' && u <= 'z') || (u >= 'A' && u <= 'Z') || (u >= '0' && u <= '9') ||
           (u >= 0x80 && u < 0xe1);
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}

bool words_stands(struct slice text, size_t at, size_t end, const char *word)
{
    bool wide = is_wide(*word);

    for (; *word && *word != '*'; word++) {
        if (*word == ' ') {
            if (at < end && (text.ptr[at] == ' ' || text.ptr[at] == '-' || text.ptr[at] == '_'))
                at++;
        } else if (at < end && lower(text.ptr[at]) == *word) {
            at++;
        } else {
            return false;
        }
    }
    return wide || *word == '*' || at == end || !in_word(text.ptr[at]);
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

// What stands between the digits of one number.
static bool is_between(char c)
{
    return c == ' ' || c == '-' || c == '.' || c == '/' || c == '(' || c == ')';
}

size_t words_from(struct slice text, size_t at)
{
    size_t last = at > WORDS_BYTES ? at - WORDS_BYTES : 0, i = at;
    size_t nearest = at;  // the value, or a number in front of it that shares its words

    while (i > last) {
        if (text.ptr[i - 1] == '\n' && i < at && text.ptr[i] == '\n')
            return i;
        if (!is_digit(text.ptr[i - 1])) {
            i--;
            continue;
        }
        size_t end = i, digits = 0;
        for (; i > last && (is_digit(text.ptr[i - 1]) || is_between(text.ptr[i - 1])); i--)
            digits += is_digit(text.ptr[i - 1]);
        if (digits < WORDS_NUMBER_DIGITS)
            continue;
        if (nearest - end > WORDS_SHARED_BYTES)
            return end;
        nearest = i;
    }
    return i;
}

bool words_previous(struct slice text, size_t *i, size_t from)
{
    while (*i > from) {
        char c = text.ptr[--*i];

        if (is_wide(c) || (in_word(c) && (*i == 0 || !in_word(text.ptr[*i - 1]))))
            return true;
    }
    return false;
}

size_t words_before(struct slice text, size_t at, const char *const *words)
{
    size_t from = words_from(text, at);

    for (size_t i = at; words_previous(text, &i, from);)
        for (const char *const *w = words; *w; w++)
            if (**w == lower(text.ptr[i]) && words_stands(text, i, at, *w))
                return at - i;
    return 0;
}
