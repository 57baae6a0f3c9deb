// SPDX-License-Identifier: MIT
// gate_person.c: of whom a sentence speaks, and who says it.
//
// About the user speaks what is in the first person, if that opens its clause and nobody else comes
// between it and the value: "I work with Ann, who lives in Rome" is not about where the user lives.
#include "memory/gate_look.h"

enum { SHORT_MESSAGE_WORDS = 12, ORDER_WORDS = 25 };

static const uint64_t FIRST = GATE_BIT(SELF) | GATE_BIT(MINE) | GATE_BIT(ME);

uint64_t look_kinds_of_name(struct slice name)
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

// ---- who says it

// "Two weeks ago I said …", "As I said in an earlier chat": what is quoted of another day is no
// statement of this one.
static bool is_of_another_day(const struct gate_text *t, const struct gate_sentence *s,
                              uint32_t say)
{
    static const char *const before[] = {"ago", "last", "once", "before", "when", "back"};
    static const char *const ever[] = {"earlier", "previous", "session", "sessions", "yesterday",
                                       "chat", "conversation", "ago"};

    enum { AROUND = 12 };  // tokens
    uint32_t from = say > s->from + AROUND ? say - AROUND : s->from;
    uint32_t to = say + AROUND < s->to ? say + AROUND : s->to;

    for (uint32_t i = from; i < to; i++)
        if (token_at(t, i)->kind == TOKEN_WORD &&
            (LOOK_ANY(t, i, ever) || (i < say && LOOK_ANY(t, i, before))))
            return true;
    return false;
}

// Whether the words from token a to b are the user's saying: "I already told", not "I live, says".
static bool is_said_by_self(const struct gate_text *t, const struct gate_sentence *s, uint32_t say)
{
    static const char *const others[] = {"says", "writes", "claims", "states", "goes", "reads"};
    enum { AROUND_WORDS = 3 };
    uint32_t words = 0;

    if (LOOK_ANY(t, say, others))
        return false;
    // "I told him …": what one tells others need not be so.
    if (say + 1 < s->to && is(token_at(t, say + 1)->is, GATE_BIT(OTHER) | GATE_BIT(KIN)))
        return false;
    if (say + 1 < s->to && (look_is(t, say + 1, "the") || look_is(t, say + 1, "a")))
        return false;
    if (is_of_another_day(t, s, say))
        return false;
    for (uint32_t i = say; i-- > s->from && words < AROUND_WORDS;) {
        const struct gate_token *k = token_at(t, i);

        if (is(k->is, GATE_BIT(SELF)))
            return true;
        if (k->kind != TOKEN_WORD || !is(k->is, GATE_BIT(SMALL)))
            return false;
        words++;
    }
    return false;
}

bool gate_is_reported(const struct gate_text *t, const struct gate_sentence *s, uint32_t last)
{
    uint32_t words = 0, found = 0;

    for (uint32_t i = s->from; i < s->to; i++) {
        const struct gate_token *k = token_at(t, i);

        words += k->kind == TOKEN_WORD;
        if (is(k->is, GATE_BIT(SAY)) && token_why(t, k) == OWN && !is_said_by_self(t, s, i))
            found = words;
    }
    return found && (last == UINT32_MAX || words - found < last);
}

const char *look_by_the_user(struct gate_look *l)
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

// ---- where the first person stands

static bool is_preposition(const struct gate_text *t, uint32_t i)
{
    static const char *const words[] = {
        "in", "at", "on", "since", "during", "after", "before", "by", "with", "from", "to", "until",
        "besides", "back", "over", "im", "am", "bei", "seit", "nach", "vor", "a", "en", "dans",
        "depuis", "pendant", "desde", "durante", "em", "da", "per", "dopo", "no", "na"};

    return LOOK_ANY(t, i, words);
}

// The first person that governs the value: the last one before it, else the first one at all.
static uint32_t governing(const struct gate_look *l)
{
    uint32_t found = UINT32_MAX;

    for (uint32_t i = l->s->from; i < l->s->to; i++) {
        bool first = is(token_at(l->t, i)->is, FIRST) && token_why(l->t, token_at(l->t, i)) == OWN;
        if (i >= l->first && found != UINT32_MAX)
            break;
        if (first && !(i >= l->first && i <= l->last))
            found = i;
    }
    return found;
}

// What stands before the first person in its clause leads to it: "Well, since May I …". A word or
// two that the list does not know may be among them; more are somebody else's, or a title's.
const char *look_opens(struct gate_look *l)
{
    const uint64_t fine = FIRST | GATE_BIT(SMALL) | GATE_BIT(LEAD) | GATE_BIT(LABEL) |
                          GATE_BIT(TOPIC) | GATE_BIT(YES) | GATE_BIT(BUT) | GATE_BIT(NOT) |
                          GATE_BIT(WISH) | GATE_BIT(AVERSE) | GATE_BIT(PAST);
    const uint64_t never = GATE_BIT(TEXT) | GATE_BIT(KIN) | GATE_BIT(OTHER) | GATE_BIT(USER);
    if (look_reminds(l) || look_proposes(l) || (l->claim->style && gate_is_style(l->t, l->s)))
        return NULL;
    uint32_t self = governing(l), from = l->s->from, unknown = 0, words = 0, may = 1;

    if (self == UINT32_MAX || self > l->last || l->s->unknown)
        return NULL;
    for (uint32_t i = l->s->from; i < self; i++) {
        uint8_t kind = token_at(l->t, i)->kind;
        if (kind == TOKEN_COMMA || kind == TOKEN_SEMICOLON || kind == TOKEN_COLON ||
            is(token_at(l->t, i)->is, GATE_BIT(BUT)) || look_is(l->t, i, "and"))
            from = i + 1;
    }
    // "Vivo en Cusco (I live in Cusco)"
    if (self > l->s->from && l->t->text.ptr[token_at(l->t, self - 1)->at] == '(' &&
        self - 1 > l->s->from)
        return "it stands in brackets behind other words";
    bool led = false;  // by a first person: "We look forward to our trip"
    for (uint32_t i = from; i < self; i++) {
        const struct gate_token *k = token_at(l->t, i);
        char c = l->t->text.ptr[k->at];

        if (k->kind != TOKEN_WORD)
            continue;
        if (words++ == 0 && is_preposition(l->t, i))
            may = 3;
        led |= is(k->is, FIRST);
        // "It gave me I live …", "When I run it I get I live …"
        bool given = i > from && is(k->is, GATE_BIT(ME)) && !is(k->is, GATE_BIT(SELF)) &&
                     !is_preposition(l->t, i - 1) && !look_is(l->t, i - 1, "for");
        if (i + 1 == self && given)
            return "what stands before the first person is not the user's";
        if (led && i + 1 == self && is(k->is, GATE_BIT(GOT)) && !is(k->is, GATE_BIT(LEAD)))
            return "what stands before the first person is not the user's";
        if (led && !is(k->is, never))
            continue;
        bool known = (is(k->is, fine) && !is(k->is, never)) || (c >= '0' && c <= '9');
        unknown += !known;
        if (!known && (words == 1 || k->is))
            return "what stands before the first person is not the user's";
    }
    return unknown > may ? "what stands before the first person is not the user's" : NULL;
}

// ---- nobody else

// Whether the predicate is about somebody whom the user has: "sister", "has_children", "partner".
static bool is_of_kin(const struct gate_look *l)
{
    static const char *const parts[] = {"famil", "relation", "pet", "partner", "child", "people",
                                        "contact", "marri", "has_", "sibling", "parent",
                                        "relative", "spouse"};

    for (size_t i = 0; i < sizeof(parts) / sizeof(*parts); i++)
        if (look_has(l->claim->predicate, parts[i]))
            return true;
    return is(l->predicate, GATE_BIT(KIN));
}

// Between the user and the value stands nobody else.
const char *look_of_the_user(struct gate_look *l)
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
            copula = LOOK_ANY(l->t, i, copulas);
        }
        third |= is(k, GATE_BIT(THIRD)) && !is(k, GATE_BIT(SELF));
        other |= is(k, GATE_BIT(OTHER)) && !is(k, GATE_BIT(SMALL));
        copula |= self != UINT32_MAX && token_at(l->t, i)->kind == TOKEN_WORD &&
                  LOOK_ANY(l->t, i, copulas);
        kin |= is(k, GATE_BIT(KIN)) && !copula;
        uint32_t next = look_next(l, i);
        // "I want you to …", but not "I think you are …"
        bool told = look_has(l->claim->predicate, "follow");  // "I'll let you know …"
        if (is(k, GATE_BIT(YOU)) && !told && next < l->s->to && !look_is(l->t, next, "to"))
            other |= self != UINT32_MAX;
    }
    if (is_of_kin(l) || look_reminds(l))
        return NULL;
    if (kin || other)
        return "it is said of somebody else";
    bool mine = self != UINT32_MAX && is(token_at(l->t, self)->is, GATE_BIT(MINE));
    return third && !mine ? "it is said of somebody else" : NULL;
}

static bool is_order(const struct gate_look *l)
{
    uint32_t i = l->s->from;

    while (i < l->s->to && token_at(l->t, i)->kind != TOKEN_WORD)
        i++;
    return i < l->s->to && is(token_at(l->t, i)->is, GATE_BIT(ORDER)) &&
           l->s->words <= ORDER_WORDS && !is(l->s->is, GATE_BIT(USER) | GATE_BIT(STORE));
}

static bool asks_for_style(const struct gate_look *l)
{
    return is_order(l) || gate_is_style(l->t, l->s);
}

static bool is_first_person(const struct gate_look *l)
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
static bool is_short_unknown(const struct gate_look *l)
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

// Whether the message is one sentence of at most so many words, and nothing but talk.
static bool is_single(const struct gate_look *l, uint32_t words)
{
    const uint64_t never = GATE_BIT(NOT) | GATE_BIT(OTHER) | GATE_BIT(KIN) | GATE_BIT(USER) |
                           GATE_BIT(TEXT) | GATE_BIT(SAY) | GATE_BIT(TASK) | GATE_BIT(YOU);

    if (l->t->sentences.len != 1 || l->s->words > words || l->s->ends == TOKEN_ASK ||
        is(l->s->is, never))
        return false;
    for (uint32_t i = l->s->from; i < l->s->to; i++)
        if (token_at(l->t, i)->kind == TOKEN_MARK || token_at(l->t, i)->kind == TOKEN_COLON)
            return false;
    return true;
}

// "The deadline is on Friday.": the predicate's own word, that it is, and the value.
static bool is_named_plainly(const struct gate_look *l)
{
    enum { NAMED_WORDS = 7 };
    bool named = false, copula = false;

    if (!is_single(l, NAMED_WORDS))
        return false;
    for (uint32_t i = l->s->from; i < l->first; i++) {
        struct slice key = token_key(l->t, token_at(l->t, i));
        copula |= named && token_at(l->t, i)->kind == TOKEN_WORD &&
                  (slice_is(key, "is") || slice_is(key, "s") || slice_is(key, "ist"));
        named |= key.len >= 4 && key.len <= l->claim->predicate.len &&
                 memmem(l->claim->predicate.ptr, l->claim->predicate.len, key.ptr, key.len);
    }
    return named && copula;
}

// "Where do you live?" "In Lyon.": the value and small words, to a question about the user.
static bool is_answer(const struct gate_look *l)
{
    const uint64_t fine = GATE_BIT(SMALL) | GATE_BIT(LEAD) | GATE_BIT(YES) | GATE_BIT(LABEL);
    const uint64_t never = GATE_BIT(TEXT) | GATE_BIT(SAY) | GATE_BIT(TASK) | GATE_BIT(TONGUE) |
                           GATE_BIT(STORE) | GATE_BIT(PLAY) | GATE_BIT(NEXT) | GATE_BIT(HAND);
    enum { ANSWER_WORDS = 5 };
    struct gate_text asked;
    bool is_so = false;

    if (!l->g->source.asked.len || !is_single(l, ANSWER_WORDS))
        return false;
    for (uint32_t i = l->s->from; i < l->s->to; i++)
        if (token_at(l->t, i)->kind == TOKEN_WORD && (i < l->first || i > l->last) &&
            !is(token_at(l->t, i)->is, fine))
            return false;
    if (gate_read(&asked, l->g->source.asked, NULL) == E_OK && asked.sentences.len) {
        const struct gate_sentence *s = sentence_at(&asked, asked.sentences.len - 1);
        is_so = s->ends == TOKEN_ASK && is(s->is, GATE_BIT(YOU)) && !is(s->is, never);
    }
    gate_text_release(&asked);
    return is_so;
}

// "Hey! Piotr here."
static bool is_named_here(const struct gate_look *l)
{
    enum { HERE_WORDS = 4 };
    uint32_t next = look_next(l, l->last), i = l->s->from;

    if (!look_has(l->claim->predicate, "name") || l->s->words > HERE_WORDS || next >= l->s->to ||
        !look_is(l->t, next, "here") || l->s->ends == TOKEN_ASK)
        return false;
    while (i < l->first && (token_at(l->t, i)->kind != TOKEN_WORD ||
                            is(token_at(l->t, i)->is, GATE_BIT(LEAD))))
        i++;
    return i == l->first;
}

const char *look_in_first_person(struct gate_look *l)
{
    if (look_reminds(l) || look_proposes(l) || is_named_plainly(l) ||
        is_named_here(l) || is_answer(l))
        return NULL;
    if (is_first_person(l) || (l->claim->style && asks_for_style(l)) || is_short_unknown(l))
        return NULL;
    return "it is no statement in the first person";
}

// ---- of somebody else than the user

bool look_is_user(struct slice subject)
{
    uint64_t kinds = look_kinds_of_name(subject);

    return is(kinds, GATE_BIT(USER) | GATE_BIT(SELF) | GATE_BIT(ME)) || slice_is(subject, "user");
}

// The sentence names the subject, and the message is the user's talk: it has a first person.
const char *look_names_subject(struct gate_look *l)
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

