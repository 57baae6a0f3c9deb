// SPDX-License-Identifier: MIT
// gate_task.c: whether a sentence asks for something to be done to a text.
//
//   "Translate this."  "Is this candidate fit?"   it does
//   "Please answer in German."                    it says how to answer
//   "Explain the tax system to me."               what it is about is named in it
//   "I'd like to write a novel."                  a plan, and nothing is asked
//   "I'm a translator."                           a trade
#include "memory/gate_int.h"

enum { SHORT_WORDS = 5 };  // of a request that says nothing but what is to be done

static const uint64_t FIRST = GATE_BIT(SELF) | GATE_BIT(MINE) | GATE_BIT(ME);

static bool is_own(const struct gate_text *t, const struct gate_token *k)
{
    return token_why(t, k) == OWN;
}

// How to answer ("please answer in German") is no request about a text.
bool gate_is_order(const struct gate_text *t, const struct gate_sentence *s)
{
    if (is(s->is, GATE_BIT(THIS)))
        return false;
    for (uint32_t i = s->from; i < s->to; i++) {
        const struct gate_token *k = token_at(t, i);

        if (k->kind != TOKEN_WORD)
            return false;
        if (!is(k->is, GATE_BIT(ORDER)) || is(k->is, GATE_BIT(TASK)))
            return false;
        if (!slice_is(token_key(t, k), "please") && !slice_is(token_key(t, k), "always") &&
            !slice_is(token_key(t, k), "bitte"))
            return true;
    }
    return false;
}

// "Explain the tax system to me.", "Explain how it works.": of a thing that the request names.
bool gate_is_explained(const struct gate_text *t, const struct gate_sentence *s, uint64_t kinds)
{
    static const char *const verbs[] = {"explain", "compare", "erklare", "explique", "explica",
                                        "spiega"};
    const uint64_t text = GATE_BIT(THIS) | GATE_BIT(THAT) | GATE_BIT(TEXT) | GATE_BIT(MINE) |
                          GATE_BIT(SELF) | GATE_BIT(SAY);
    uint32_t named = 0;
    bool verb = false;

    for (uint32_t i = s->from; i < s->to; i++) {
        const struct gate_token *k = token_at(t, i);

        if (k->kind == TOKEN_COLON || !is_own(t, k))
            return false;
        for (size_t v = 0; v < sizeof(verbs) / sizeof(*verbs); v++)
            verb |= k->kind == TOKEN_WORD && slice_is(token_key(t, k), verbs[v]);
        named += k->kind == TOKEN_WORD && k->is == 0 && k->key_len > 3;
    }
    return verb && named && !is(kinds, text);
}

// "I'm a translator": who does it, and no order to do it.
static bool names_trade(const struct gate_text *t, const struct gate_sentence *s, uint32_t i)
{
    static const char *const articles[] = {"a", "an", "as", "the"};
    struct slice key = token_key(t, token_at(t, i));

    if (i == s->from || token_at(t, i)->kind != TOKEN_WORD ||
        !(slice_ends(key, SLICE_LIT("or")) || slice_ends(key, SLICE_LIT("er"))))
        return false;
    for (size_t a = 0; a < sizeof(articles) / sizeof(*articles); a++)
        if (slice_is(token_key(t, token_at(t, i - 1)), articles[a]))
            return true;
    return false;
}

// A request about a text, as far as its words tell.
bool gate_is_textual(const struct gate_text *t, const struct gate_sentence *s, uint64_t kinds)
{
    const uint64_t object = GATE_BIT(THIS) | GATE_BIT(THAT) | GATE_BIT(TEXT) | GATE_BIT(TONGUE);
    bool self = false, asked = false, task = false;

    if (gate_is_order(t, s) || gate_is_explained(t, s, kinds))
        return false;

    for (uint32_t i = s->from; i < s->to; i++) {
        uint64_t k = token_at(t, i)->is;

        if (!is_own(t, token_at(t, i)))
            continue;
        self |= is(k, GATE_BIT(SELF));
        asked |= is(k, GATE_BIT(YOU) | GATE_BIT(THIS) | GATE_BIT(WISH) | GATE_BIT(ALWAYS));
        // "My language is Polish": no order, as it opens nothing.
        if ((is(k, GATE_BIT(TONGUE)) && i > s->from) || names_trade(t, s, i))
            continue;
        task |= is(k, GATE_BIT(TASK)) && (!self || asked);
        // "I need it translated", but not "I translate letters"
        task |= is(k, GATE_BIT(TASK)) && is(kinds, GATE_BIT(THIS));
    }
    if (task && (is(kinds, object) || (s->words < SHORT_WORDS && !is(kinds, GATE_BIT(SELF)))))
        return true;
    if (is(kinds, GATE_BIT(TONGUE)) && s->words <= SHORT_WORDS && !is(kinds, FIRST))
        return true;
    // "What is the reviewer's mood?", "Is this candidate fit?", "How do you say that in Danish?"
    bool asks = s->ends == TOKEN_ASK;
    if (gate_asks_of_text(t, s) || gate_orders_work(t, s) || gate_wants_tongue(t, s))
        return true;
    if (asks && is(kinds, GATE_BIT(TONGUE)) && is(kinds, GATE_BIT(THIS) | GATE_BIT(THAT)))
        return true;
    if (asks && is(kinds, GATE_BIT(TEXT)) && !is(kinds, FIRST | GATE_BIT(YOU)))
        return true;
    return is(kinds, GATE_BIT(TEXT)) && is(kinds, GATE_BIT(THIS));
}

// "I'd like to write a novel some day.": a plan of one's own, and no order.
bool gate_is_own_plan(const struct gate_text *t, const struct gate_sentence *s, uint64_t kinds)
{
    const uint64_t points = GATE_BIT(YOU) | GATE_BIT(THIS) | GATE_BIT(OTHER) | GATE_BIT(TONGUE);
    static const char *const verbs[] = {"write", "publish", "read", "finish", "schreiben",
                                        "ecrire", "escribir", "escrever", "scrivere"};
    bool self = false, wish = false, to = false;

    if (is(kinds, points) || s->ends == TOKEN_ASK)
        return false;
    for (uint32_t i = s->from; i < s->to; i++) {
        const struct gate_token *k = token_at(t, i);

        if (k->kind == TOKEN_COLON || !is_own(t, k))
            return false;
        for (size_t v = 0; wish && v < sizeof(verbs) / sizeof(*verbs); v++)
            to |= k->kind == TOKEN_WORD && slice_is(token_key(t, k), verbs[v]);
        self |= is(k->is, GATE_BIT(SELF) | GATE_BIT(MINE));
        wish |= self && (is(k->is, GATE_BIT(WISH)) || slice_is(token_key(t, k), "mochte") ||
                         slice_is(token_key(t, k), "dream") || slice_is(token_key(t, k), "goal"));
        if (self && !wish && is(k->is, GATE_BIT(TASK)))
            return false;
    }
    return to;
}

// "Explain why I …", "German version of I …": an order, whoever is named in it.
bool gate_is_work_order(const struct gate_text *t, const struct gate_sentence *s)
{
    uint32_t i = s->from;

    while (i < s->to && (token_at(t, i)->kind != TOKEN_WORD ||
                         slice_is(token_key(t, token_at(t, i)), "please")))
        i++;
    if (i + 1 >= s->to || token_at(t, i + 1)->kind != TOKEN_WORD)
        return false;
    uint64_t first = token_at(t, i)->is, second = token_at(t, i + 1)->is;
    return is(first, GATE_BIT(TASK)) || (is(first, GATE_BIT(TONGUE)) && is(second, GATE_BIT(TEXT)));
}

// "Translate all I say", "I want you to correct my mistakes", but not "I practise my English"
bool gate_is_always(const struct gate_text *t, const struct gate_sentence *s, uint64_t kinds)
{
    bool ordered = false, self = false;

    for (uint32_t i = s->from; i < s->to; i++) {
        self |= is(token_at(t, i)->is, GATE_BIT(SELF));
        ordered |= is(token_at(t, i)->is, GATE_BIT(TASK)) && !self;
    }
    return is(kinds, GATE_BIT(ALWAYS)) && is(kinds, GATE_BIT(TASK)) &&
           (ordered || is(kinds, GATE_BIT(YOU)));
}
