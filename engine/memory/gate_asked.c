// SPDX-License-Identifier: MIT
// gate_asked.c: questions and headings that are about a text without saying so, and texts that
// stand beside their translation.
//
//   "How should I answer him?"         what else the message has is what is to be answered
//   "For or since?"                    a question of nothing but small words is about words
//   "Is that right?"                   so is a word or all of it
//   "What do you think of the ad?"     an opinion is asked of a text
//   "Report from the field."           a heading: a piece of text, and from where
//   "I live in Cusco - Vivo en Cusco"  the same in two languages: one of them is translated
#include "memory/gate_look.h"

static const uint64_t FIRST = GATE_BIT(SELF) | GATE_BIT(MINE) | GATE_BIT(ME);

enum { PART_WORDS = 3, HEADING_WORDS = 10 };

// "How should I answer?", "What would you write back to her?", "Que répondre ?"
static bool asks_how_to_answer(const struct gate_text *t, const struct gate_sentence *s)
{
    static const char *const answers[] = {"answer", "reply", "respond", "react", "back",
                                          "decline", "refuse", "antworte", "antworten",
                                          "reagieren", "reponds", "respondo", "rispondo"};
    static const char *const write[] = {"write", "schreiben", "schreibe", "ecrire", "escribir",
                                        "escribo", "scrivere", "scrivo"};
    static const char *const bare[] = {"repondre", "responder", "contestar", "contesto",
                                       "rispondere", "ответить", "antwoorden", "odpowiedziec"};
    uint32_t first = first_word(t, s);
    bool found = false, infinitive = false;

    for (uint32_t i = s->from; i < s->to; i++)
        if (token_at(t, i)->kind == TOKEN_WORD) {
            infinitive |= LOOK_ANY(t, i, bare);
            found |= LOOK_ANY(t, i, answers) ||
                     (is(s->is, GATE_BIT(OTHER)) && LOOK_ANY(t, i, write));
        }
    if (first == s->to || !is(token_at(t, first)->is, GATE_BIT(ASK)) ||
        is(s->is, GATE_BIT(TONGUE)))
        return false;
    bool you = is(s->is, GATE_BIT(YOU)), others = is(s->is, GATE_BIT(OTHER) | GATE_BIT(KIN));
    return infinitive || (found && (you ? others : is(s->is, GATE_BIT(SELF))));
}

// "Sounds weird?", "Klingt das gut?", "Trustworthy?"
static bool asks_how_it_seems(const struct gate_text *t, const struct gate_sentence *s)
{
    static const char *const seems[] = {"sound", "sounds", "weird", "legit", "trustworthy", "fake",
                                        "klingt", "suena", "suona", "sonne", "soa", "brzmi",
                                        "klinkt", "klopt", "formal", "rude", "polite"};
    enum { SEEMING_WORDS = 5 };

    if (s->words > SEEMING_WORDS || is(s->is, FIRST | GATE_BIT(YOU)))
        return false;
    for (uint32_t i = s->from; i < s->to; i++)
        if (token_at(t, i)->kind == TOKEN_WORD && LOOK_ANY(t, i, seems))
            return true;
    return false;
}

// "Is that right?": it is asked of what the message has.
static bool asks_if_right(const struct gate_text *t, const struct gate_sentence *s)
{
    static const char *const right[] = {"right", "correct", "richtig", "korrekt", "correcto",
                                        "correto", "corretto", "giusto", "juste", "poprawne",
                                        "goed", "правильно"};
    enum { ASKED_WORDS = 6 };

    if (s->words < 2 || s->words > ASKED_WORDS || is(s->is, FIRST | GATE_BIT(YOU)))
        return false;
    for (uint32_t i = s->from; i < s->to; i++)
        if (token_at(t, i)->kind == TOKEN_WORD && LOOK_ANY(t, i, right))
            return is(s->is, GATE_BIT(THIS) | GATE_BIT(THAT));
    return false;
}

// "For or since?", "Should it be who or whom?"
static bool asks_which_word(const struct gate_text *t, const struct gate_sentence *s)
{
    static const char *const ors[] = {"or", "oder", "ou", "o"};
    const uint64_t small = GATE_BIT(SMALL) | GATE_BIT(ASK) | GATE_BIT(THAT) | GATE_BIT(OTHER) |
                           GATE_BIT(BUT);
    bool or = false, it = false, all = true;

    for (uint32_t i = s->from; i < s->to; i++) {
        const struct gate_token *k = token_at(t, i);

        if (k->kind != TOKEN_WORD)
            continue;
        or |= LOOK_ANY(t, i, ors);
        it |= look_is(t, i, "it") || look_is(t, i, "es");
        all &= is(k->is, small) || LOOK_ANY(t, i, ors);
    }
    return !is(s->is, FIRST | GATE_BIT(YOU)) && or && (all || it);
}

bool gate_asks_of_text(const struct gate_text *t, const struct gate_sentence *s)
{
    if (s->ends != TOKEN_ASK)
        return false;
    return asks_how_to_answer(t, s) || asks_which_word(t, s) || asks_if_right(t, s) ||
           asks_how_it_seems(t, s) ||
           (is(s->is, GATE_BIT(VIEW)) && is(s->is, GATE_BIT(TEXT)));
}

// "Add emojis.": no order how to answer, so a text is to have them. "A comeback to this."
bool gate_orders_work(const struct gate_text *t, const struct gate_sentence *s)
{
    enum { ORDER_WORDS = 5 };
    uint32_t first = first_word(t, s), last = s->to;

    while (last > s->from && token_at(t, last - 1)->kind != TOKEN_WORD)
        last--;
    if (first == s->to || is(s->is, FIRST | GATE_BIT(YOU)))
        return false;
    if (s->words > 1 && is(token_at(t, last - 1)->is, GATE_BIT(THIS)) &&
        (look_is(t, last - 1, "this") || look_is(t, last - 1, "these")))
        return true;
    return s->words <= ORDER_WORDS && s->ends != TOKEN_ASK && look_is(t, first, "add") &&
           is(s->is, GATE_BIT(STYLE));
}

// "… in Spanish please": what stands before is to be said so.
bool gate_wants_tongue(const struct gate_text *t, const struct gate_sentence *s)
{
    static const char *const please[] = {"please", "pls", "plz", "bitte", "svp"};
    uint32_t i = s->to;

    if (is(s->is, GATE_BIT(WISH) | GATE_BIT(ORDER) | GATE_BIT(YOU)) &&
        !is(token_at(t, s->from)->is, GATE_BIT(SELF)))
        return false;
    while (i > s->from && token_at(t, i - 1)->kind != TOKEN_WORD)
        i--;
    if (i < s->from + 3 || !LOOK_ANY(t, i - 1, please))
        return false;
    for (i--; i > s->from && token_at(t, i - 1)->kind == TOKEN_COMMA;)
        i--;
    return is(token_at(t, i - 1)->is, GATE_BIT(TONGUE)) && is(s->is, FIRST) &&
           !is(s->is, GATE_BIT(WISH));
}

// "Max's mail from this morning.", "bug report from the field, …"
bool gate_is_heading(const struct gate_text *t, const struct gate_sentence *s)
{
    static const char *const from[] = {"from", "by", "of", "on", "von", "aus", "de", "du", "di"};
    static const char *const the[] = {"the", "a", "an", "that", "it", "what", "here", "there"};
    uint32_t words = 0, text = 0;

    if (is(s->is, FIRST) || s->words > HEADING_WORDS || s->ends == TOKEN_ASK)
        return false;
    for (uint32_t i = s->from; i < s->to; i++) {
        if (token_at(t, i)->kind != TOKEN_WORD)
            continue;
        words++;
        if (words == 1 && LOOK_ANY(t, i, the))
            return false;
        if (text && LOOK_ANY(t, i, from))
            return true;
        text = words <= 3 && is(token_at(t, i)->is, GATE_BIT(TEXT)) ? words : 0;
    }
    return false;
}

// ---- translations

// Parts of a sentence that have a language each, and not the same one.
static bool has_two_tongues(const struct gate_text *t, const struct gate_sentence *s)
{
    uint32_t from = s->from;
    uint8_t before = 0;

    for (uint32_t i = s->from; i <= s->to; i++) {
        uint8_t kind = i < s->to ? token_at(t, i)->kind : TOKEN_STOP;

        if (kind == TOKEN_WORD)
            continue;
        uint8_t tongue = i >= from + PART_WORDS ? gate_tongue_of(t, from, i) : 0;
        from = i + 1;
        if (tongue && before && tongue != before)
            return true;
        before = tongue ? tongue : before;
    }
    return false;
}

// Whether both have a word that is none of a language's small ones: a name, as a rule.
static bool share_name(const struct gate_text *t, const struct gate_sentence *a,
                       const struct gate_sentence *b)
{
    enum { NAME_BYTES = 4 };

    for (uint32_t i = a->from; i < a->to; i++) {
        const struct gate_token *k = token_at(t, i);

        if (k->kind != TOKEN_WORD || k->key_len < NAME_BYTES ||
            is(k->is, FIRST | GATE_BIT(SMALL) | GATE_BIT(LEAD)))
            continue;
        for (uint32_t j = b->from; j < b->to; j++)
            if (token_at(t, j)->kind == TOKEN_WORD &&
                slice_eq(token_key(t, token_at(t, j)), token_key(t, k)))
                return true;
    }
    return false;
}

void gate_mark_translations(struct gate_text *t)
{
    enum { WORDS_MAX = 40 };

    for (size_t i = 0; i < t->sentences.len; i++) {
        const struct gate_sentence *s = sentence_at(t, i);

        if (s->words > WORDS_MAX)
            continue;
        if (is(s->is, FIRST) && has_two_tongues(t, s))
            gate_mark(t, sentence_start(t, s), sentence_end(t, s), WHY_WORKED);
        if (i == 0 || s[-1].words > WORDS_MAX || !is(s->is, FIRST) || !is(s[-1].is, FIRST))
            continue;
        uint8_t before = gate_tongue_of(t, s[-1].from, s[-1].to);
        uint8_t tongue = gate_tongue_of(t, s->from, s->to);
        if (before && tongue && before != tongue && share_name(t, s - 1, s))
            gate_mark(t, sentence_start(t, s - 1), sentence_end(t, s), WHY_WORKED);
    }
}
