// SPDX-License-Identifier: MIT
// gate_request.c: what the user asks of the assistant, which states something all the same.
//
//   style      "Please be brief.", "No jargon, please." — how to answer; no text is worked on
//   reminder   "Can you remind me to buy milk?" — a question in form only
//   promise    "I'll tell you what the doctor said." — a report will come, and is none yet
//   proposal   "Let's go with the blue one." — decides
//
// Each opens its sentence: what stands before it is a greeting, or polite, and nothing else.
#include "memory/gate_look.h"

enum { STYLE_WORDS = 12 };

static const uint64_t POLITE = GATE_BIT(LEAD) | GATE_BIT(SMALL) | GATE_BIT(YES) | GATE_BIT(LABEL);

static bool is_please(const struct gate_text *t, uint32_t i)
{
    static const char *const words[] = {"please", "pls", "plz", "bitte", "just", "always", "ok",
                                        "can", "could", "would", "you", "be", "kindly"};

    return LOOK_ANY(t, i, words);
}

static bool is_verb_of_style(const struct gate_text *t, uint32_t i)
{
    static const char *const more[] = {"show", "make", "no", "less", "more", "fewer", "keine"};

    return is(token_at(t, i)->is, GATE_BIT(ORDER) | GATE_BIT(STYLE)) || LOOK_ANY(t, i, more);
}

bool gate_is_style(const struct gate_text *t, const struct gate_sentence *s)
{
    const uint64_t never = GATE_BIT(THIS) | GATE_BIT(GOT) | GATE_BIT(KIN) | GATE_BIT(USER) |
                           GATE_BIT(STORE) | GATE_BIT(INJECT) | GATE_BIT(PLAY) | GATE_BIT(MAKE) |
                           GATE_BIT(NEXT) | GATE_BIT(SELF) | GATE_BIT(MINE) | GATE_BIT(JOKE);
    const uint64_t text = GATE_BIT(TEXT) | GATE_BIT(TASK) | GATE_BIT(SAY);
    const uint64_t style = GATE_BIT(STYLE) | GATE_BIT(ORDER);
    uint32_t unknown = 0;
    bool opened = false;

    if (s->words > STYLE_WORDS || !is(s->is, GATE_BIT(STYLE)) || is(s->is, never))
        return false;
    for (uint32_t i = s->from; i < s->to; i++) {
        const struct gate_token *k = token_at(t, i);

        if (k->kind == TOKEN_COLON || k->kind == TOKEN_MARK || k->kind == TOKEN_DASH)
            return false;
        if (k->kind != TOKEN_WORD || (!opened && is_please(t, i)))
            continue;
        if (!opened && !is_verb_of_style(t, i))
            return false;
        opened = true;
        if (is(k->is, text) && !is(k->is, style))
            return false;
        unknown += k->is == 0;
    }
    return opened && unknown <= 1;
}

// Whether nothing but what is polite stands before a word of the kind, and that before the value.
static bool opens_with(const struct gate_look *l, uint64_t kind, uint64_t also, uint32_t *at)
{
    for (uint32_t i = l->s->from; i < l->first; i++) {
        const struct gate_token *k = token_at(l->t, i);

        if (k->kind != TOKEN_WORD && k->kind != TOKEN_COMMA)
            return false;
        if (is(k->is, kind)) {
            *at = i;
            return token_why(l->t, k) == OWN;
        }
        if (k->kind == TOKEN_WORD && !is(k->is, POLITE | also))
            return false;
    }
    return false;
}

bool look_reminds(const struct gate_look *l)
{
    uint32_t at, next;

    if (!look_has(l->claim->predicate, "remind") && !look_has(l->claim->predicate, "follow") &&
        !look_has(l->claim->predicate, "todo"))
        return false;
    const uint64_t also = GATE_BIT(ORDER) | GATE_BIT(YOU) | GATE_BIT(ASK) | GATE_BIT(NOT);
    if (!opens_with(l, GATE_BIT(REMIND), also, &at))
        return false;
    // "Remind me what I said" asks.
    static const char *const asks[] = {"what", "who", "where", "how", "why", "which", "was", "wie"};
    next = at;
    while (next < l->first && !is(token_at(l->t, next)->is, GATE_BIT(ME)))
        next++;
    next = next < l->first ? look_next(l, next) : look_next(l, at);
    return next < l->s->to && !LOOK_ANY(l->t, next, asks);
}

bool look_proposes(const struct gate_look *l)
{
    static const char *const parts[] = {"decid", "decision", "choice", "chose", "follow", "plan"};
    uint32_t at;

    for (size_t i = 0; i < sizeof(parts) / sizeof(*parts); i++)
        if (look_has(l->claim->predicate, parts[i]))
            return l->s->ends != TOKEN_ASK && opens_with(l, GATE_BIT(LETS), 0, &at);
    return false;
}

// "I'll tell you what the doctor said.": a report will come, the promise is the user's own.
bool gate_is_promise(const struct gate_text *t, const struct gate_sentence *s)
{
    enum { OPENING_WORDS = 4 };
    bool self = false, will = false;
    uint32_t words = 0;

    if (is(s->is, GATE_BIT(NEXT)))
        return false;
    for (uint32_t i = s->from; i < s->to && words <= OPENING_WORDS; i++) {
        const struct gate_token *k = token_at(t, i);

        if (k->kind != TOKEN_WORD)
            continue;
        words++;
        if (self && will && is(k->is, GATE_BIT(YOU)))
            return true;
        self |= is(k->is, GATE_BIT(SELF));
        will |= self && (slice_is(token_key(t, k), "ll") || slice_is(token_key(t, k), "will"));
    }
    return false;
}

bool look_promises(const struct gate_look *l)
{
    return gate_is_promise(l->t, l->s);
}
