// SPDX-License-Identifier: MIT
// context.c: the words before a match. Only before it: so a stream can decide as soon as a match
// has ended.
#include "redact/recognise.h"
#include "redact/words.h"

// Whether `word` stands at i of v, where a word begins, all of it before `end`.
static bool stands_at(const struct view *v, size_t i, size_t end, const char *word)
{
    for (; *word; word++, i++)
        if (i == end || to_lower((unsigned char)v->ptr[i]) != *word)
            return false;
    return i == end || !is_letter((unsigned char)v->ptr[i]);
}

// Whether one of `words` stands in [from, end).
static bool has_one(const struct view *v, size_t from, size_t end, const char *const *words)
{
    for (size_t i = from; words && i < end; i++) {
        if (!is_letter((unsigned char)v->ptr[i]) || view_word_before(v, i))
            continue;
        for (const char *const *word = words; *word; word++)
            if (stands_at(v, i, end, *word))
                return true;
    }
    return false;
}

int context_score(const struct view *v, size_t at, const struct recogniser *rec)
{
    if (!rec->raise && !rec->lower)
        return 0;
    size_t from = words_from(slice_of(v->ptr, v->len), at);

    return (has_one(v, from, at, rec->raise) ? CONTEXT_RAISE : 0) -
           (has_one(v, from, at, rec->lower) ? CONTEXT_LOWER : 0);
}
