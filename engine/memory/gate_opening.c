// SPDX-License-Identifier: MIT
// gate_opening.c: words that lead to a statement and say nothing of it.
//
// "You should know that I live in Ghent", "Can you remember that I …?", "Remember: I …": said to
// the assistant by who then speaks in the first person, they state what follows. Words keep their
// place and lose what they would mean by themselves: a duty, a question, an order to a memory. Only
// at the beginning of a message, a greeting aside, and only before a first person: "Remember that
// the user lives in Ghent" is no user's statement, and in the middle of a text it is the text's.
#include "memory/gate_int.h"

#include <string.h>

static const uint64_t FIRST = GATE_BIT(SELF) | GATE_BIT(MINE);

// Folded, a blank between words. An apostrophe parts words. `that` may follow each, and a colon.
static const char *const openings[] = {
    "you should know", "just so you know", "so you know", "you might want to know",
    "i want you to know", "it might help to know", "it may help to know",
    "note", "please note", "keep in mind", "please keep in mind", "bear in mind",
    "please bear in mind", "be aware", "please be aware", "do keep in mind",
    "remember", "please remember", "do remember", "also remember", "don t forget",
    "please don t forget", "do not forget", "please do not forget",
    "can you remember", "could you remember", "can you please remember",
    "could you please remember", "would you remember", "will you remember",
    "can you keep in mind", "could you keep in mind",
    "i should mention", "i should say", "i should add", "i should tell you", "i might add",
    "for your information", "in case it helps", "if it helps", "if that helps",
    "in case it matters", "to be clear", "to give you an idea", "for context", "for reference",
    "some context", "some background", "a bit of background", "a little background", "background",
    "du solltest wissen", "zur info", "nur zur info", "merk dir", "merk dir bitte",
    "bitte merk dir", "denk daran", "vergiss nicht", "bitte vergiss nicht", "kannst du dir merken",
    "sache", "sachez", "note", "retiens", "rappelle toi", "souviens toi", "n oublie pas",
    "pour info", "il faut savoir",
    "debes saber", "que sepas", "recuerda", "ten en cuenta", "no olvides", "para que sepas",
    "ricorda", "ricordati", "sappi", "tieni presente", "non dimenticare", "per tua informazione",
    "lembra", "lembre se", "lembre se de", "saiba", "tenha em mente", "nao esqueca",
    "nao se esqueca",
};

static bool is_that(struct slice key)
{
    return slice_is(key, "that") || slice_is(key, "dass") || slice_is(key, "que") ||
           slice_is(key, "qu") || slice_is(key, "che");
}

// The token behind an opening that begins at token i, or i.
static uint32_t behind_opening(const struct gate_text *t, const struct gate_sentence *s, uint32_t i)
{
    uint32_t best = i;

    for (size_t o = 0; o < sizeof(openings) / sizeof(*openings); o++) {
        struct slice rest = slice_str(openings[o]);
        uint32_t at = i;

        for (; rest.len && at < s->to && token_at(t, at)->kind == TOKEN_WORD; at++) {
            struct slice key = token_key(t, token_at(t, at));
            if (!slice_starts(rest, key) || (rest.len > key.len && rest.ptr[key.len] != ' '))
                break;
            size_t taken = key.len + (rest.len > key.len);
            rest = slice_of(rest.ptr + taken, rest.len - taken);
        }
        if (rest.len == 0 && at > best)
            best = at;
    }
    return best;
}

// Whether all words from token `from` to `to` only lead to something.
static bool only_leads(const struct gate_text *t, uint32_t from, uint32_t to)
{
    for (uint32_t i = from; i < to; i++)
        if (token_at(t, i)->kind == TOKEN_WORD && !is(token_at(t, i)->is, GATE_BIT(LEAD)))
            return false;
    return true;
}

static void lose_meaning(struct gate_text *t, struct gate_sentence *s, uint32_t from, uint32_t to)
{
    for (uint32_t i = from; i < to; i++)
        token_at(t, i)->is = token_at(t, i)->kind == TOKEN_WORD ? GATE_BIT(LEAD) : 0;
    s->is = 0;
    for (uint32_t i = s->from; i < s->to; i++)
        s->is |= token_at(t, i)->is;
    // "Can you remember that I …?" asks for nothing else.
    if (s->ends == TOKEN_ASK)
        s->ends = TOKEN_STOP;
}

static void open_sentence(struct gate_text *t, struct gate_sentence *s)
{
    uint32_t from = s->from, to;

    while (from < s->to && (token_at(t, from)->kind != TOKEN_WORD ||
                            (is(token_at(t, from)->is, GATE_BIT(LEAD)) &&
                             behind_opening(t, s, from) == from)))
        from++;
    to = behind_opening(t, s, from);
    if (to == from)
        return;
    bool colon = to < s->to && token_at(t, to)->kind == TOKEN_COLON;
    bool comma = to < s->to && token_at(t, to)->kind == TOKEN_COMMA;
    uint32_t next = to + (colon || comma);
    bool that = next < s->to && token_at(t, next)->kind == TOKEN_WORD &&
                is_that(token_key(t, token_at(t, next)));
    next += that;
    if (next >= s->to || !is(token_at(t, next)->is, FIRST))
        return;
    // "Can you remember if I …?" stays what it is; so does what asks for more behind a comma.
    lose_meaning(t, s, from, next);
    if (colon)
        token_at(t, to)->kind = TOKEN_COMMA;
}

void gate_open_statements(struct gate_text *t)
{
    for (size_t i = 0; i < t->sentences.len; i++) {
        struct gate_sentence *s = sentence_at(t, i);

        open_sentence(t, s);
        if (!only_leads(t, s->from, s->to))
            return;
    }
}
