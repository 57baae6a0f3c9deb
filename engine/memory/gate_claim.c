// SPDX-License-Identifier: MIT
// gate_claim.c: whether a sentence, in the user's own words, states what is claimed.
//
// It is a statement if it is no question, supposition or report; it is about the user if it is in
// the first person and nobody else stands between that and the value; it states the claim if it
// denies what the claim denies, and wishes what the claim has for a wish. Rules are tried in the
// order of the table at the end; the first that objects decides.
#include "memory/gate_look.h"

#include <string.h>

enum { SPAN_WORDS = 60 };

static const uint64_t FIRST = GATE_BIT(SELF) | GATE_BIT(MINE) | GATE_BIT(ME);

// ---- the claim's own words

// Whether the claim itself denies, or tells what is over.
static bool claim_denies(const struct gate_look *l)
{
    const uint64_t no = GATE_BIT(NOT) | GATE_BIT(AVERSE) | GATE_BIT(PAST);
    const char *const parts[] = {"dislike", "hate", "avoid", "allerg", "intoler", "not_", "no_",
                                 "former", "previous", "past", "never", "cannot", "without",
                                 "ended", "lacks", "fear", "ex_", "was_", "lived", "worked"};

    if (l->claim->negates || is(l->predicate | l->value, no))
        return true;
    for (size_t i = 0; i < sizeof(parts) / sizeof(*parts); i++)
        if (look_has(l->claim->predicate, parts[i]))
            return true;
    return false;
}

static bool claim_likes(const struct gate_look *l)
{
    const char *const parts[] = {"like", "love", "prefer", "favo", "enjoy", "interest", "hobby",
                                 "fan", "passion", "taste"};

    for (size_t i = 0; i < sizeof(parts) / sizeof(*parts); i++)
        if (look_has(l->claim->predicate, parts[i]))
            return true;
    return false;
}

// What somebody is or has is not so because it is wished, whatever kind an extractor gives it.
static bool claim_is_state(const struct gate_look *l)
{
    const char *const parts[] = {"lives", "works", "name", "role", "born", "owns", "has_",
                                 "married", "email", "phone", "address", "allerg", "speaks",
                                 "moved"};

    for (size_t i = 0; i < sizeof(parts) / sizeof(*parts); i++)
        if (look_has(l->claim->predicate, parts[i]))
            return true;
    return false;
}

static bool claim_wishes(const struct gate_look *l)
{
    const char *const parts[] = {"want", "wish", "plan", "goal", "hope", "intend", "aim", "need",
                                 "follow", "decision", "decid", "dream", "learn", "todo", "going"};

    bool wish = l->claim->wish && !claim_is_state(l);

    if (wish || l->claim->style || is(l->predicate, GATE_BIT(WISH)))
        return true;
    for (size_t i = 0; i < sizeof(parts) / sizeof(*parts); i++)
        if (look_has(l->claim->predicate, parts[i]))
            return true;
    return claim_likes(l);
}

// ---- tokens

// "would like", "d love", "d rather"
static bool is_polite(const struct gate_look *l, uint32_t i)
{
    static const char *const likes[] = {"like", "love", "prefer", "rather", "appreciate",
                                        "gern", "gerne", "lieber", "bevorzugen", "enjoy"};

    for (int steps = 0; steps < 2; steps++) {
        i = look_next(l, i);
        if (i < l->s->to && LOOK_ANY(l->t, i, likes))
            return true;
    }
    return false;
}

// ---- rules: each says why not, or NULL

static bool names_something(const struct gate_look *l, uint32_t i)
{
    const struct gate_token *k = token_at(l->t, i);
    return k->kind == TOKEN_WORD && k->is == 0 && k->key_len > 2;
}

// Where the question begins in a sentence that ends as one: behind the last comma, dash or line
// that a word which asks follows. s->from: all of it asks; s->to: it is no question.
static uint32_t question_from(const struct gate_look *l)
{
    const struct gate_sentence *s = l->s;
    uint32_t at = s->from;

    if (s->ends != TOKEN_ASK)
        return s->to;
    for (uint32_t i = s->from; i + 1 < s->to; i++) {
        uint8_t kind = token_at(l->t, i)->kind;
        const struct gate_token *next = token_at(l->t, i + 1);
        // "¿"
        if (next->kind == TOKEN_MARK && i + 2 < s->to)
            next++;
        bool mark = kind == TOKEN_COMMA || kind == TOKEN_DASH || kind == TOKEN_SEMICOLON ||
                    is(token_at(l->t, i)->is, GATE_BIT(BUT)) || look_is(l->t, i, "so") ||
                    look_is(l->t, i, "and");

        bool asks = is(next->is, GATE_BIT(ASK)) ||
                    (kind == TOKEN_COMMA && is(next->is, GATE_BIT(YOU)) &&
                     next[1].kind == TOKEN_WORD);
        if (mark && i > s->from && asks)
            at = i;
    }
    // "right?", "don't I?": what is before is what is asked.
    uint32_t words = 0;
    bool tag = false, you = false;  // "…, do you?" asks of somebody else
    for (uint32_t i = at; i < s->to; i++) {
        // "…, is sushi ok?", "…, any tips?" of something else
        you |= at > s->from && (names_something(l, i) ||
                                is(token_at(l->t, i)->is, GATE_BIT(ADVICE)));
        you |= at > s->from && is(token_at(l->t, i)->is, GATE_BIT(YOU));
        tag |= words == 0 && is(token_at(l->t, i)->is, GATE_BIT(TAG));
        words += token_at(l->t, i)->kind == TOKEN_WORD;
    }
    return (words <= 3 && !you) || tag ? s->from : at;
}

static const char *no_question(struct gate_look *l)
{
    const struct gate_sentence *s = l->s;
    uint32_t from = question_from(l), i = s->from;

    if (look_reminds(l) || (l->claim->style && gate_is_style(l->t, l->s)))
        return NULL;
    if (l->last >= from)
        return "it is a question";
    // Without its mark: "do I live in Lisbon", "where do I live"
    while (i < s->to && token_at(l->t, i)->kind != TOKEN_WORD)
        i++;
    uint32_t second = i < s->to ? look_next(l, i) : s->to;
    bool inverted = second < s->to && is(token_at(l->t, i)->is, GATE_BIT(ASK)) &&
                    is(token_at(l->t, second)->is, GATE_BIT(SELF) | GATE_BIT(YOU) |
                                                       GATE_BIT(OTHER) | GATE_BIT(ASK)) &&
                    !is(token_at(l->t, i)->is, GATE_BIT(SELF)) && !token_at(l->t, second)->joined &&
                    !look_is(l->t, i, "when");
    return inverted ? "it is a question" : NULL;
}

static const char *no_supposition(struct gate_look *l)
{
    bool wishes = claim_wishes(l);

    if (look_reminds(l) || (l->claim->style && gate_is_style(l->t, l->s)))
        return NULL;

    uint32_t asks = question_from(l);
    for (uint32_t i = l->s->from; i < l->to && (i < asks || asks <= l->last); i++) {
        bool would = look_is(l->t, i, "d") && i > 0 && token_at(l->t, i)->joined &&
                     is(token_at(l->t, i - 1)->is, GATE_BIT(SELF)) && !l->s->unknown;

        // "I'm on leave until March"
        bool until = i > l->last && (look_is(l->t, i, "until") || look_is(l->t, i, "otherwise"));
        if ((!is(token_at(l->t, i)->is, GATE_BIT(IF)) && !would) || until)
            continue;
        if (wishes && is_polite(l, i))
            continue;
        return "it supposes, and states nothing";
    }
    return is(l->s->before, GATE_BIT(IF)) ? "it supposes, and states nothing" : NULL;
}

static const char *no_report(struct gate_look *l)
{
    bool promises = look_has(l->claim->predicate, "follow") && look_promises(l);
    if (promises || (l->claim->style && gate_is_style(l->t, l->s)))
        return NULL;
    if (gate_is_reported(l->t, l->s, UINT32_MAX) || is(l->s->before, GATE_BIT(SAY)))
        return "it tells what somebody else says";
    // "your previous conversations", "you think that I …"
    static const char *const kept[] = {"conversation", "conversations", "chat", "chats", "session",
                                       "sessions", "notes", "records", "think", "assume",
                                       "believe", "thought", "logs"};
    for (uint32_t i = l->s->from; i < l->first; i++) {
        uint32_t end = i + 4 < l->first ? i + 4 : l->first;
        bool you = is(token_at(l->t, i)->is, GATE_BIT(YOU));

        for (uint32_t k = i + 1; you && k < end; k++)
            if (is(token_at(l->t, k)->is, GATE_BIT(STORE) | GATE_BIT(SAY)) ||
                (token_at(l->t, k)->kind == TOKEN_WORD && LOOK_ANY(l->t, k, kept)))
                return "it tells what the assistant is to have kept";
    }
    return NULL;
}

// Where what is said of the value begins: "I don't live here, I live there" says it once more, of
// another value, with the same verb; "It doesn't load, I use …" of somebody for the first time.
static uint32_t said_from(const struct gate_look *l)
{
    const uint64_t about = FIRST | GATE_BIT(THAT) | GATE_BIT(THIS) | GATE_BIT(SAY) | GATE_BIT(YOU);
    uint32_t from = l->from;

    for (uint32_t i = l->from; i + 1 < l->first; i++)
        if (token_at(l->t, i)->kind == TOKEN_COMMA && i > l->from + 1 &&
            is(token_at(l->t, i + 1)->is, GATE_BIT(SELF)) && !look_between(l, l->from, i, about))
            from = i + 1;
    for (uint32_t i = l->from + 1; i + 2 < l->first; i++) {
        struct slice verb = token_key(l->t, token_at(l->t, i + 2));
        if (token_at(l->t, i)->kind != TOKEN_COMMA || !verb.len ||
            !is(token_at(l->t, i + 1)->is, GATE_BIT(SELF)) ||
            look_between(l, l->from, i, GATE_BIT(SAY)))
            continue;
        for (uint32_t k = l->from; k < i; k++)
            if (slice_eq(token_key(l->t, token_at(l->t, k)), verb))
                from = i + 1;
    }
    return from;
}

// "… and the charger doesn't work": of something else. "… and that isn't so" is of the value.
static bool opens_other(const struct gate_look *l, uint32_t i)
{
    static const char *const ands[] = {"and", "und", "et", "y", "e"};
    uint32_t next = look_next(l, i);

    return token_at(l->t, i)->kind == TOKEN_WORD && LOOK_ANY(l->t, i, ands) && next < l->s->to &&
           !is(token_at(l->t, next)->is, GATE_BIT(THAT) | GATE_BIT(THIS));
}

// "I used to play the violin, now I play the cello": where what is so now begins.
static uint32_t now_from(const struct gate_look *l)
{
    static const char *const nows[] = {"now", "nowadays", "today", "jetzt", "heute", "maintenant",
                                       "ahora", "agora", "adesso", "ora"};
    uint32_t from = l->from;
    bool now = false;

    for (uint32_t i = l->from; i < l->to; i++)
        now |= i > l->from && token_at(l->t, i)->kind == TOKEN_WORD && LOOK_ANY(l->t, i, nows);
    for (uint32_t i = l->from; now && i + 1 < l->first; i++) {
        uint32_t next = look_next(l, i);
        if (token_at(l->t, i)->kind == TOKEN_COMMA &&
            (LOOK_ANY(l->t, next, nows) || is(token_at(l->t, next)->is, GATE_BIT(SELF))))
            from = i + 1;
    }
    return from;
}

// "My cat Biscuit won't eat": what denies has the cat for its subject, and the name stands.
static bool is_apposed(const struct gate_look *l)
{
    enum { BETWEEN = 2 };
    static const char *const copulas[] = {"is", "s", "are", "was", "ist", "est", "es"};

    for (uint32_t i = l->first; i-- > l->from && i + BETWEEN >= l->first;) {
        if (token_at(l->t, i)->kind != TOKEN_WORD || LOOK_ANY(l->t, i, copulas))
            return false;
        if (is(token_at(l->t, i)->is, GATE_BIT(MINE)))
            return i + 1 < l->first;
    }
    return false;
}

// What denies stands before the value in its clause, or behind it before a comma: "I live here, not
// there" denies nothing of "here". "No, I …" answers.
static bool is_denied(const struct gate_look *l)
{
    for (uint32_t i = said_from(l); i < l->to; i++) {
        const struct gate_token *k = token_at(l->t, i);
        bool answers = k->kind == TOKEN_WORD && i + 1 < l->s->to && k[1].kind == TOKEN_COMMA &&
                       (i == l->s->from);

        if (i > l->last && is_apposed(l))
            return false;
        if (i > l->last && (k->kind == TOKEN_COMMA || opens_other(l, i)))
            return false;
        if (is(k->is, GATE_BIT(NOT)) && !answers)
            return true;
    }
    return false;
}

// "I'm a wizard, haha, no."
static bool ends_in_no(const struct gate_look *l)
{
    uint32_t i = l->s->to;

    while (i > l->last + 1 && token_at(l->t, i - 1)->kind != TOKEN_WORD)
        i--;
    return i > l->last + 1 && is(token_at(l->t, i - 1)->is, GATE_BIT(NOT));
}

// Words that end what was so, where nothing but that is claimed: "I sold my car".
static bool is_ended(const struct gate_look *l)
{
    static const char *const words[] = {"lived", "moved", "left", "sold", "died", "lost", "quit",
                                        "retired", "divorced", "fired", "laid"};

    for (uint32_t i = l->from; i < l->to; i++)
        if (LOOK_ANY(l->t, i, words))
            return true;
    return false;
}

// "I have no experience with it" says that one is new to it; "I am not new to it" does not.
static bool is_inexperienced(const struct gate_look *l)
{
    static const char *const words[] = {"experience", "familiar", "used", "tried", "done", "know",
                                        "worked", "programmed", "nothing", "clue", "idea", "never",
                                        "erfahrung", "ahnung", "experiencia", "esperienza"};

    if (!look_has(l->claim->predicate, "new_to") && !look_has(l->claim->predicate, "beginner"))
        return false;
    for (uint32_t i = l->from; i < l->first; i++)
        if (LOOK_ANY(l->t, i, words))
            return true;
    return false;
}

// "Don't let me forget to …" denies nothing; "Remind me not to …" does.
static bool is_reminded(const struct gate_look *l)
{
    if (l->claim->negates || !look_reminds(l))
        return false;
    for (uint32_t i = l->first; i-- > l->s->from;) {
        if (is(token_at(l->t, i)->is, GATE_BIT(REMIND)))
            return true;
        if (is(token_at(l->t, i)->is, GATE_BIT(NOT)))
            return false;
    }
    return false;
}

static const char *no_contrary(struct gate_look *l)
{
    if (is_reminded(l))
        return NULL;
    bool no = is_denied(l) || ends_in_no(l);
    bool over = look_between(l, now_from(l), l->to, GATE_BIT(PAST));
    bool averse = look_between(l, l->from, l->to, GATE_BIT(AVERSE));
    bool denies = claim_denies(l) || is_inexperienced(l);

    if (l->claim->negates)
        return no || over || averse || is_ended(l) ? NULL : "it states what is claimed to be over";
    if ((no || over) && !denies)
        return "it says the contrary";
    if (averse && claim_likes(l) && !denies)
        return "it says the contrary";
    return NULL;
}

static const char *no_wish(struct gate_look *l)
{
    if (claim_wishes(l))
        return NULL;
    for (uint32_t i = l->from; i < l->first; i++)
        if (is(token_at(l->t, i)->is, GATE_BIT(WISH)))
            return "it is wished or planned, not so";
    return NULL;
}

// ---- the table

static bool begins_clause(const struct gate_text *t, uint32_t i)
{
    static const char *const all[] = {"anything", "nothing"};

    bool word = i > 0 && token_at(t, i)->kind == TOKEN_WORD;
    if (word && look_is(t, i, "but") && LOOK_ANY(t, i - 1, all))
        return false;
    return is(token_at(t, i)->is, GATE_BIT(BUT)) || token_at(t, i)->kind == TOKEN_SEMICOLON;
}

// The clause: from what begins one before the value to what begins one behind it.
static void find_clause(struct gate_look *l)
{
    l->from = l->s->from;
    l->to = l->s->to;
    for (uint32_t i = l->s->from; i < l->first; i++)
        if (begins_clause(l->t, i))
            l->from = i + 1;
    for (uint32_t i = l->s->to; i > l->last + 1; i--)
        if (begins_clause(l->t, i - 1))
            l->to = i - 1;
}

void gate_state(const struct gate *g, const struct gate_claim *claim, const struct gate_text *value,
                const struct gate_place *place, struct gate_verdict *out)
{
    static const struct {
        const char *(*why_not)(struct gate_look *l);
        enum gate_result result;
        bool user_only;
    } rules[] = {
        {look_by_the_user, GATE_REFUSED, true},
        {no_question, GATE_REFUSED, false},
        {no_supposition, GATE_REFUSED, false},
        {no_report, GATE_QUARANTINE, false},
        {no_contrary, GATE_REFUSED, false},
        {no_wish, GATE_REFUSED, false},
        {look_of_the_user, GATE_QUARANTINE, true},
        {look_in_first_person, GATE_QUARANTINE, true},
        {look_opens, GATE_QUARANTINE, true},
        {look_names_subject, GATE_QUARANTINE, false},
    };
    struct gate_look l = {.g = g,
                          .t = &g->t,
                          .claim = claim,
                          .s = place->s,
                          .first = place->first,
                          .last = place->last,
                          .predicate = look_kinds_of_name(claim->predicate),
                          .about_user = look_is_user(claim->subject)};

    for (size_t i = 0; i < value->sentences.len; i++)
        l.value |= sentence_at(value, i)->is;
    *out = (struct gate_verdict){.result = GATE_QUARANTINE, .author = GATE_BY_USER};
    if (l.s->words > SPAN_WORDS) {
        out->why = "the sentence is too long to be told apart";
        return;
    }
    find_clause(&l);
    for (size_t i = 0; i < sizeof(rules) / sizeof(*rules); i++) {
        if ((rules[i].user_only && !l.about_user) ||
            (rules[i].why_not == look_names_subject && l.about_user))
            continue;
        out->why = rules[i].why_not(&l);
        out->result = rules[i].result;
        if (out->why)
            return;
    }
    out->result = GATE_SUPPORTED;
    out->why = "the user states it";
    out->start = sentence_start(l.t, l.s);
    out->end = sentence_end(l.t, l.s);
}
