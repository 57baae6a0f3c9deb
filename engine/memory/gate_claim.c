// SPDX-License-Identifier: MIT
// gate_claim.c: whether a sentence, in the user's own words, states what is claimed.
//
// It is a statement if it is no question, supposition or report; it is about the user if it is in
// the first person and nobody else stands between that and the value; it states the claim if it
// denies what the claim denies, and wishes what the claim has for a wish. Rules are tried in the
// order of the table at the end; the first that objects decides.
#include "memory/gate_int.h"

#include <string.h>

enum { SPAN_WORDS = 60, SHORT_MESSAGE_WORDS = 12, ORDER_WORDS = 25 };

static const uint64_t FIRST = GATE_BIT(SELF) | GATE_BIT(MINE) | GATE_BIT(ME);

struct look {
    const struct gate *g;
    const struct gate_text *t;
    const struct gate_claim *claim;
    const struct gate_sentence *s;
    uint32_t first, last;      // tokens of the value
    uint32_t from, to;         // the clause that it stands in
    uint64_t predicate, value; // kinds of their words
    bool about_user;
};

// ---- the claim's own words

static uint64_t kinds_of_name(struct slice name)
{
    char word[GATE_WORD_BYTES];
    size_t len = 0;
    uint64_t kinds = 0;

    for (size_t i = 0; i <= name.len; i++) {
        char c = i < name.len ? name.ptr[i] : '_';

        if (c >= 'A' && c <= 'Z')
            c = (char)(c + ('a' - 'A'));
        if (c != '_' && c != ' ' && c != '.' && c != '-') {
            if (len < sizeof(word))
                word[len++] = c;
            continue;
        }
        kinds |= len ? gate_kinds_of(slice_of(word, len)) : 0;
        len = 0;
    }
    return kinds;
}

static bool name_has(struct slice name, const char *part)
{
    return memmem(name.ptr, name.len, part, strlen(part)) != NULL;
}

// Whether the claim itself denies, or tells what is over.
static bool claim_denies(const struct look *l)
{
    const uint64_t no = GATE_BIT(NOT) | GATE_BIT(AVERSE) | GATE_BIT(PAST);
    const char *const parts[] = {"dislike", "hate", "avoid", "allerg", "intoler", "not_", "no_",
                                 "former", "previous", "past", "never", "cannot", "without",
                                 "ended", "lacks", "fear", "ex_", "was_", "lived", "worked"};

    if (l->claim->negates || is(l->predicate | l->value, no))
        return true;
    for (size_t i = 0; i < sizeof(parts) / sizeof(*parts); i++)
        if (name_has(l->claim->predicate, parts[i]))
            return true;
    return false;
}

static bool claim_likes(const struct look *l)
{
    const char *const parts[] = {"like", "love", "prefer", "favo", "enjoy", "interest", "hobby",
                                 "fan", "passion", "taste"};

    for (size_t i = 0; i < sizeof(parts) / sizeof(*parts); i++)
        if (name_has(l->claim->predicate, parts[i]))
            return true;
    return false;
}

static bool claim_wishes(const struct look *l)
{
    const char *const parts[] = {"want", "wish", "plan", "goal", "hope", "intend", "aim", "need",
                                 "follow", "decision", "decid", "dream", "learn", "todo", "going"};

    if (l->claim->wish || l->claim->style || is(l->predicate, GATE_BIT(WISH)))
        return true;
    for (size_t i = 0; i < sizeof(parts) / sizeof(*parts); i++)
        if (name_has(l->claim->predicate, parts[i]))
            return true;
    return claim_likes(l);
}

// ---- tokens

static bool word_is(const struct gate_text *t, uint32_t i, const char *word)
{
    return slice_is(token_key(t, token_at(t, i)), word);
}

static bool any_word(const struct gate_text *t, uint32_t i, const char *const *words, size_t len)
{
    for (size_t w = 0; w < len; w++)
        if (word_is(t, i, words[w]))
            return true;
    return false;
}
#define ANY_WORD(t, i, list) any_word(t, i, list, sizeof(list) / sizeof(*(list)))

static bool has_between(const struct look *l, uint32_t from, uint32_t to, uint64_t kinds)
{
    for (uint32_t i = from; i < to; i++)
        if (is(token_at(l->t, i)->is, kinds))
            return true;
    return false;
}

// The next word behind i in the sentence, or s->to.
static uint32_t next_word(const struct look *l, uint32_t i)
{
    for (i++; i < l->s->to && token_at(l->t, i)->kind != TOKEN_WORD; i++)
        ;
    return i;
}

// "would like", "d love", "d rather"
static bool is_polite(const struct look *l, uint32_t i)
{
    static const char *const likes[] = {"like", "love", "prefer", "rather", "appreciate",
                                        "gern", "gerne", "lieber", "bevorzugen", "enjoy"};

    for (int steps = 0; steps < 2; steps++) {
        i = next_word(l, i);
        if (i < l->s->to && ANY_WORD(l->t, i, likes))
            return true;
    }
    return false;
}

// ---- rules: each says why not, or NULL

static const char *by_the_user(struct look *l)
{
    if (l->about_user)
        for (uint32_t i = l->s->from; i < l->s->to; i++) {
            if (is(token_at(l->t, i)->is, FIRST))
                break;
            if (is(token_at(l->t, i)->is, GATE_BIT(USER)))
                return "it speaks of the user in the third person";
        }
    return NULL;
}

// Where the question begins in a sentence that ends as one: behind the last comma, dash or line
// that a word which asks follows. s->from: all of it asks; s->to: it is no question.
static uint32_t question_from(const struct look *l)
{
    const struct gate_sentence *s = l->s;
    uint32_t at = s->from;

    if (s->ends != TOKEN_ASK)
        return s->to;
    for (uint32_t i = s->from; i + 1 < s->to; i++) {
        uint8_t kind = token_at(l->t, i)->kind;
        const struct gate_token *next = token_at(l->t, i + 1);
        bool mark = kind == TOKEN_COMMA || kind == TOKEN_DASH || kind == TOKEN_SEMICOLON ||
                    is(token_at(l->t, i)->is, GATE_BIT(BUT)) || word_is(l->t, i, "so") ||
                    word_is(l->t, i, "and");

        if (mark && i > s->from && is(next->is, GATE_BIT(ASK)))
            at = i;
    }
    // "right?", "don't I?": what is before is what is asked.
    uint32_t words = 0;
    bool tag = false;
    for (uint32_t i = at; i < s->to; i++) {
        tag |= words == 0 && is(token_at(l->t, i)->is, GATE_BIT(TAG));
        words += token_at(l->t, i)->kind == TOKEN_WORD;
    }
    return words <= 3 || tag ? s->from : at;
}

static const char *no_question(struct look *l)
{
    const struct gate_sentence *s = l->s;
    uint32_t from = question_from(l), i = s->from;

    if (l->last >= from)
        return "it is a question";
    // Without its mark: "do I live in Lisbon", "where do I live"
    while (i < s->to && token_at(l->t, i)->kind != TOKEN_WORD)
        i++;
    uint32_t second = i < s->to ? next_word(l, i) : s->to;
    bool inverted = second < s->to && is(token_at(l->t, i)->is, GATE_BIT(ASK)) &&
                    is(token_at(l->t, second)->is, GATE_BIT(SELF) | GATE_BIT(YOU) |
                                                       GATE_BIT(OTHER) | GATE_BIT(ASK)) &&
                    !is(token_at(l->t, i)->is, GATE_BIT(SELF)) && !token_at(l->t, second)->joined &&
                    !word_is(l->t, i, "when");
    return inverted ? "it is a question" : NULL;
}

static const char *no_supposition(struct look *l)
{
    bool wishes = claim_wishes(l);

    for (uint32_t i = l->s->from; i < l->to; i++) {
        bool would = word_is(l->t, i, "d") && i > 0 && token_at(l->t, i)->joined &&
                     is(token_at(l->t, i - 1)->is, GATE_BIT(SELF)) && !l->s->unknown;

        if (!is(token_at(l->t, i)->is, GATE_BIT(IF)) && !would)
            continue;
        if (wishes && is_polite(l, i))
            continue;
        return "it supposes, and states nothing";
    }
    return is(l->s->before, GATE_BIT(IF)) ? "it supposes, and states nothing" : NULL;
}

static const char *no_report(struct look *l)
{
    uint32_t words = 0, self = 0;

    for (uint32_t i = l->s->from; i < l->s->to; i++) {
        const struct gate_token *k = token_at(l->t, i);

        words += k->kind == TOKEN_WORD;
        if (is(k->is, GATE_BIT(SELF)))
            self = words;
        bool by_self = self && words - self <= 3;
        if (is(k->is, GATE_BIT(SAY)) && !by_self && !(i >= l->first && i <= l->last))
            return "it tells what somebody else says";
        if (is(k->is, GATE_BIT(YOU)) && i < l->first &&
            has_between(l, i + 1, i + 4 < l->s->to ? i + 4 : l->s->to,
                        GATE_BIT(STORE) | GATE_BIT(SAY)))
            return "it tells what the assistant is to have kept";
    }
    return is(l->s->before, GATE_BIT(SAY)) ? "it tells what somebody else says" : NULL;
}

// What denies stands before the value in its clause, or behind it before a comma: "I live here, not
// there" denies nothing of "here". "No, I …" answers.
static bool is_denied(const struct look *l)
{
    for (uint32_t i = l->from; i < l->to; i++) {
        const struct gate_token *k = token_at(l->t, i);
        bool answers = k->kind == TOKEN_WORD && i + 1 < l->s->to && k[1].kind == TOKEN_COMMA &&
                       (i == l->s->from);

        if (i > l->last && k->kind == TOKEN_COMMA)
            return false;
        if (is(k->is, GATE_BIT(NOT)) && !answers)
            return true;
    }
    return false;
}

static const char *no_contrary(struct look *l)
{
    bool no = is_denied(l);
    bool over = has_between(l, l->from, l->to, GATE_BIT(PAST));
    bool averse = has_between(l, l->from, l->to, GATE_BIT(AVERSE));
    bool denies = claim_denies(l);

    if (l->claim->negates)
        return no || over || averse ? NULL : "it states what is claimed to be over";
    if ((no || over) && !denies)
        return "it says the contrary";
    if (averse && claim_likes(l) && !denies)
        return "it says the contrary";
    return NULL;
}

static const char *no_wish(struct look *l)
{
    if (claim_wishes(l))
        return NULL;
    for (uint32_t i = l->from; i < l->first; i++)
        if (is(token_at(l->t, i)->is, GATE_BIT(WISH)))
            return "it is wished or planned, not so";
    return NULL;
}

// Whether the predicate is about somebody whom the user has: "sister", "has_children", "partner".
static bool is_of_kin(const struct look *l)
{
    static const char *const parts[] = {"famil", "relation", "pet", "partner", "child", "people",
                                        "contact", "marri", "has_"};

    for (size_t i = 0; i < sizeof(parts) / sizeof(*parts); i++)
        if (name_has(l->claim->predicate, parts[i]))
            return true;
    return is(l->predicate, GATE_BIT(KIN));
}

// Between the user and the value stands nobody else.
static const char *of_the_user(struct look *l)
{
    uint32_t self = UINT32_MAX;
    // "I am a teacher at …": what one is oneself is nobody else.
    static const char *const copulas[] = {"am", "m", "was", "been", "become", "became", "as", "re",
                                          "bin", "als", "suis", "comme", "soy", "como", "sou",
                                          "sono", "come", "are", "being"};
    bool third = false, other = false, kin = false, copula = false;

    for (uint32_t i = l->s->from; i < l->first; i++) {
        uint64_t k = token_at(l->t, i)->is;

        if (token_why(l->t, token_at(l->t, i)) != OWN)
            continue;
        if (is(k, GATE_BIT(SELF) | GATE_BIT(MINE))) {
            self = i;
            third = other = kin = false;
            copula = ANY_WORD(l->t, i, copulas);
        }
        third |= is(k, GATE_BIT(THIRD)) && !is(k, GATE_BIT(SELF));
        other |= is(k, GATE_BIT(OTHER)) && !is(k, GATE_BIT(SMALL));
        copula |= self != UINT32_MAX && token_at(l->t, i)->kind == TOKEN_WORD &&
                  ANY_WORD(l->t, i, copulas);
        kin |= is(k, GATE_BIT(KIN)) && !copula;
        uint32_t next = next_word(l, i);
        // "I want you to …", but not "I think you are …"
        if (is(k, GATE_BIT(YOU)) && next < l->s->to && !word_is(l->t, next, "to"))
            other |= self != UINT32_MAX;
    }
    if (is_of_kin(l))
        return NULL;
    if (kin || other)
        return "it is said of somebody else";
    bool mine = self != UINT32_MAX && is(token_at(l->t, self)->is, GATE_BIT(MINE));
    return third && !mine ? "it is said of somebody else" : NULL;
}

static bool is_order(const struct look *l)
{
    uint32_t i = l->s->from;

    while (i < l->s->to && token_at(l->t, i)->kind != TOKEN_WORD)
        i++;
    return i < l->s->to && is(token_at(l->t, i)->is, GATE_BIT(ORDER)) &&
           l->s->words <= ORDER_WORDS && !is(l->s->is, GATE_BIT(USER) | GATE_BIT(STORE));
}

static bool is_first_person(const struct look *l)
{
    uint64_t kinds = 0;

    for (uint32_t i = l->s->from; i < l->s->to; i++)
        if (token_why(l->t, token_at(l->t, i)) == OWN)
            kinds |= token_at(l->t, i)->is;
    if (is(kinds, GATE_BIT(SELF) | GATE_BIT(MINE)))
        return true;
    return is(kinds, GATE_BIT(ME)) && !is(kinds, GATE_BIT(OTHER) | GATE_BIT(KIN) | GATE_BIT(YOU));
}

// A short message in a language that is none of ours, with nothing but its words.
static bool is_short_unknown(const struct look *l)
{
    uint32_t words = 0;

    if (!l->s->unknown)
        return false;
    for (size_t i = 0; i < l->t->tokens.len; i++) {
        const struct gate_token *k = token_at(l->t, i);
        words += k->kind == TOKEN_WORD;
        if (k->kind != TOKEN_WORD && k->kind != TOKEN_STOP && k->kind != TOKEN_BANG)
            return false;
    }
    return words <= SHORT_MESSAGE_WORDS;
}

static const char *in_first_person(struct look *l)
{
    if (is_first_person(l) || (l->claim->style && is_order(l)) || is_short_unknown(l))
        return NULL;
    return "it is no statement in the first person";
}

// ---- of somebody else than the user

static bool is_user(struct slice subject)
{
    uint64_t kinds = kinds_of_name(subject);

    return is(kinds, GATE_BIT(USER) | GATE_BIT(SELF) | GATE_BIT(ME)) || slice_is(subject, "user");
}

// The sentence names the subject, and the message is the user's talk: it has a first person.
static const char *names_subject(struct look *l)
{
    static const char *const never[] = {"assistant", "system", "everyone", "everybody", "bot",
                                        "you", "all", "admin", "users", "ai", "model"};
    struct gate_text subject;
    const char *why = NULL;

    for (size_t i = 0; i < sizeof(never) / sizeof(*never); i++)
        if (slice_is(l->claim->subject, never[i]))
            return "facts are kept of people, not of the assistant";
    if (gate_read(&subject, l->claim->subject, NULL)) {
        gate_text_release(&subject);
        return "out of memory";
    }
    uint32_t found = 0, words = 0;
    for (size_t w = 0; w < subject.tokens.len && w < 8; w++) {
        struct slice key = token_key(&subject, token_at(&subject, w));
        if (token_at(&subject, w)->kind != TOKEN_WORD)
            continue;
        words++;
        for (uint32_t i = l->s->from; i < l->s->to; i++)
            if (token_at(l->t, i)->kind == TOKEN_WORD &&
                slice_eq(token_key(l->t, token_at(l->t, i)), key)) {
                found++;
                break;
            }
    }
    if (words == 0 || found < words)
        why = "it does not name whom it is claimed of";
    gate_text_release(&subject);
    bool first = false;
    for (size_t i = 0; i < l->t->tokens.len && !why && !first; i++)
        first = token_why(l->t, token_at(l->t, i)) == OWN && is(token_at(l->t, i)->is, FIRST);
    return why ? why : first ? NULL : "it is no statement in the first person";
}

// ---- the table

static bool begins_clause(const struct gate_text *t, uint32_t i)
{
    return is(token_at(t, i)->is, GATE_BIT(BUT)) || token_at(t, i)->kind == TOKEN_SEMICOLON;
}

// The clause: from what begins one before the value to what begins one behind it.
static void find_clause(struct look *l)
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
        const char *(*why_not)(struct look *l);
        enum gate_result result;
        bool user_only;
    } rules[] = {
        {by_the_user, GATE_REFUSED, true},      {no_question, GATE_REFUSED, false},
        {no_supposition, GATE_REFUSED, false},  {no_report, GATE_QUARANTINE, false},
        {no_contrary, GATE_REFUSED, false},     {no_wish, GATE_REFUSED, false},
        {of_the_user, GATE_QUARANTINE, true},   {in_first_person, GATE_QUARANTINE, true},
        {names_subject, GATE_QUARANTINE, false},
    };
    struct look l = {.g = g, .t = &g->t, .claim = claim, .s = place->s, .first = place->first,
                     .last = place->last, .predicate = kinds_of_name(claim->predicate),
                     .about_user = is_user(claim->subject)};

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
            (rules[i].why_not == names_subject && l.about_user))
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
