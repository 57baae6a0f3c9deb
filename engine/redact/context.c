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

// The letters that words begin with, a bit each.
static uint32_t initials_of(const char *const *words)
{
    uint32_t initials = 0;

    for (; *words; words++)
        initials |= UINT32_C(1) << (**words - 'a');
    return initials;
}

// Whether one of `words` stands in the stretch, in front of `end`.
static bool has_one(const struct view *v, const struct stretch *s, size_t end,
                    const char *const *words)
{
    uint64_t letters = s->of.alnum & ~s->of.digit & s->within;
    uint32_t initials = words ? initials_of(words) : 0;

    for (uint64_t left = letters & ~(letters << 1); words && left; left &= left - 1) {
        size_t i = s->base + (size_t)__builtin_ctzll(left);
        unsigned letter = (unsigned)to_lower((unsigned char)v->ptr[i]) - 'a';
        if (!(initials >> letter & 1) || view_word_before(v, i))
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
    struct stretch s = words_stretch(v, at);

    return (has_one(v, &s, at, rec->raise) ? CONTEXT_RAISE : 0) -
           (has_one(v, &s, at, rec->lower) ? CONTEXT_LOWER : 0);
}
