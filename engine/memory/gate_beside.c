// SPDX-License-Identifier: MIT
// gate_beside.c: texts that nothing announces, betrayed by what stands beside them.
//
// Talk is made of sentences that are whole: a statement, a question, a request with its object.
// A message in the first person is in doubt if it also has one of these:
//
//   "Shorter, please."  "Too long?"     a request or question that lacks its object: the rest is it
//   "About me"  "200 OK"  "Tom"         a line that is no sentence: a heading, a prompt, a signature
//   "(Tom, 34)"  "- Tom, 34"            who says so
//   "#foodie"  "@tom"                   how posts are marked
//   "This is what I got from the bot."  a word about the message itself
//   "Find the subject." + 30 words in the first person   a request, and a text that it is for
//
// Looked at before what is announced is marked, of what no marks show to be material.
// All of the message is material then: what is the user's own in it is lost until it is said plainly.
#include "memory/gate_look.h"

static const uint64_t FIRST = GATE_BIT(SELF) | GATE_BIT(MINE) | GATE_BIT(ME);

enum {
    LACKING_WORDS = 6,   // of a request without its object
    CONTENT_BYTES = 3,   // shorter words that no list has name nothing
    STORY_WORDS = 30,    // more of them beside a request are what it is for
};

static bool is_word(const struct gate_text *t, uint32_t i)
{
    return token_at(t, i)->kind == TOKEN_WORD;
}

static bool is_line_end(const struct gate_text *t, uint32_t i)
{
    return token_at(t, i)->kind == TOKEN_LINE || token_at(t, i)->kind == TOKEN_BREAK;
}

static uint32_t first_word(const struct gate_text *t, const struct gate_sentence *s)
{
    uint32_t i = s->from;

    while (i < s->to && !is_word(t, i))
        i++;
    return i;
}

// A word that names something, as far as the lists tell: they do not have it.
static bool is_content(const struct gate_token *k)
{
    return k->kind == TOKEN_WORD && k->is == 0 && k->key_len >= CONTENT_BYTES;
}

static uint32_t contents(const struct gate_text *t, const struct gate_sentence *s)
{
    uint32_t n = 0;

    for (uint32_t i = s->from; i < s->to; i++)
        n += is_content(token_at(t, i));
    return n;
}

static bool is_all_own(const struct gate_text *t, const struct gate_sentence *s)
{
    for (uint32_t i = s->from; i < s->to; i++)
        if (token_why(t, token_at(t, i)) != OWN)
            return false;
    return true;
}

// "Hi!", "Thanks a lot", "Hello Parley": a name may be greeted, but not as letters do, "Hi Ann,".
static bool is_courtesy(const struct gate_text *t, const struct gate_sentence *s)
{
    const uint64_t fine = GATE_BIT(LEAD) | GATE_BIT(YES) | GATE_BIT(SMALL) | GATE_BIT(LABEL) |
                          GATE_BIT(PLEASE) | GATE_BIT(TOPIC) | GATE_BIT(ADVICE);
    uint32_t first = first_word(t, s), names = 0;
    bool comma = false;

    for (uint32_t i = first; i < s->to; i++) {
        const struct gate_token *k = token_at(t, i);

        if (is_word(t, i) && !is(k->is, fine)) {
            if (k->is || i == first)
                return false;
            names++;
        }
        comma = is_line_end(t, i) ? comma : k->kind == TOKEN_COMMA;
    }
    return names == 0 || (names == 1 && s->words <= 2 && !comma);
}

// "Be brief.", "No emojis please.": whole, as it is about answers; "Shorter" may be about a text.
static bool is_order(const struct gate_text *t, const struct gate_sentence *s)
{
    static const char *const opens[] = {"no", "show", "stop", "never", "don", "keine"};
    uint32_t i = first_word(t, s);

    while (i < s->to && (!is_word(t, i) || is(token_at(t, i)->is, GATE_BIT(PLEASE))))
        i++;
    return i < s->to && (is(token_at(t, i)->is, GATE_BIT(ORDER)) || LOOK_ANY(t, i, opens)) &&
           gate_is_style(t, s);
}

static bool has_copula(const struct gate_text *t, const struct gate_sentence *s)
{
    static const char *const words[] = {"is", "are", "was", "were", "s", "re", "has", "have", "ist",
                                        "sind", "war", "est", "sont", "es", "son", "sao", "e"};

    for (uint32_t i = s->from; i < s->to; i++)
        if (is_word(t, i) && LOOK_ANY(t, i, words))
            return true;
    return false;
}

// "Some music", "a gym": an object of its own.
static bool has_object(const struct gate_text *t, const struct gate_sentence *s)
{
    static const char *const articles[] = {"a", "an", "some", "any", "the", "ein", "eine", "einen",
                                           "un", "une", "una", "uno", "um", "uma", "des"};

    for (uint32_t i = s->from; i + 1 < s->to; i++)
        if (is_word(t, i) && LOOK_ANY(t, i, articles))
            for (uint32_t k = i + 1; k < s->to && k <= i + 3; k++)
                if (is_content(token_at(t, k)))
                    return true;
    return false;
}

// Whether a sentence opens as questions do, a greeting aside: "Hey Ann, what …", "Any plans …"
static bool opens_question(const struct gate_text *t, const struct gate_sentence *s)
{
    static const char *const words[] = {"any", "anything", "wanna", "got", "anyone"};
    uint32_t i = first_word(t, s);

    for (uint32_t k = i; k < s->to && k < i + 3; k++)
        if (token_at(t, k)->kind == TOKEN_COMMA && is(token_at(t, i)->is, GATE_BIT(LEAD)))
            i = k + 1;
    return i < s->to && is_word(t, i) &&
           (is(token_at(t, i)->is, GATE_BIT(ASK)) || LOOK_ANY(t, i, words));
}

// A question that says what it is about: "Is sushi ok?", but not "Too long?"
static bool is_whole_question(const struct gate_text *t, const struct gate_sentence *s)
{
    uint32_t n = contents(t, s);

    return n > 1 || (n == 1 && opens_question(t, s));
}

// "Give it a title.", but not "Love it."
static bool points_within(const struct gate_text *t, const struct gate_sentence *s)
{
    for (uint32_t i = first_word(t, s) + 1; i + 1 < s->to; i++)
        if (is_word(t, i) && is_word(t, i + 1) && !look_is(t, i, "here") &&
            is(token_at(t, i)->is, GATE_BIT(THIS) | GATE_BIT(THAT)))
            return true;
    return false;
}

// A request or a question that means nothing without something else.
static bool lacks_object(const struct gate_text *t, const struct gate_sentence *s)
{
    const uint64_t whole = GATE_BIT(SELF) | GATE_BIT(MINE) | GATE_BIT(REMIND);
    bool advice = is(s->is, GATE_BIT(ADVICE)) && !is(s->is, GATE_BIT(OTHER) | GATE_BIT(KIN));
    const uint64_t asks = GATE_BIT(PLEASE) | GATE_BIT(TASK);
    const uint64_t work = asks | GATE_BIT(STYLE) | GATE_BIT(TONGUE);

    if (s->words == 0 || s->words > LACKING_WORDS || is(s->is, whole) || advice || is_courtesy(t, s) ||
        is_order(t, s) || (is(s->is, GATE_BIT(YOU)) && !is(s->is, GATE_BIT(PLEASE))) ||
        (s->ends == TOKEN_BANG && !is(s->is, asks)))
        return false;
    if (s->ends == TOKEN_ASK)
        return !is_whole_question(t, s) && !is(s->is, GATE_BIT(OTHER));
    if ((has_copula(t, s) && !is(s->is, GATE_BIT(PLEASE))) || has_object(t, s) || (is(s->is, GATE_BIT(ME)) && contents(t, s)))
        return false;
    return is(s->is, work) || points_within(t, s);
}

// A line of its own that is no sentence of talk.
static bool is_bare_line(const struct gate_text *t, const struct gate_sentence *s)
{
    const uint64_t talk = GATE_BIT(SELF) | GATE_BIT(MINE) | GATE_BIT(YOU) | GATE_BIT(ADVICE) |
                          GATE_BIT(LETS);
    bool begins = s->from == 0 || is_line_end(t, s->from - 1);
    bool ends = begins ? s->to == t->tokens.len || is_line_end(t, s->to - 1)
                       : s->ends == TOKEN_LINE || s->ends == TOKEN_BREAK;
    bool finished = s->ends == TOKEN_STOP || s->ends == TOKEN_ASK || s->ends == TOKEN_BANG;
    uint32_t first = first_word(t, s);

    // What a colon introduces is looked at elsewhere; that of "https://" introduces nothing.
    for (uint32_t i = s->from; i + 1 < s->to; i++)
        finished |= token_at(t, i)->kind == TOKEN_COLON &&
                    (token_at(t, i + 1)->at > token_at(t, i)->end || is_line_end(t, i + 1));
    if (s->words == 0 || !ends || finished || (s->from == 0 && s->to == t->tokens.len))
        return false;
    if (is(s->is, talk) || is_courtesy(t, s) || is_order(t, s))
        return false;
    // "find me a gym", but not "About me"
    bool for_me = is(s->is, GATE_BIT(ME)) && !is(token_at(t, first)->is, GATE_BIT(SMALL));
    return !for_me && !is(token_at(t, first)->is, GATE_BIT(WISH)) &&
           !(is_whole_question(t, s) && opens_question(t, s));
}

// ---- who says so

// "— my landlord.", a sentence of its own.
static bool is_dashed_name(const struct gate_text *t, const struct gate_sentence *s)
{
    enum { NAME_WORDS = 3 };

    return token_at(t, s->from)->kind == TOKEN_DASH && s->words <= NAME_WORDS &&
           !is(s->is, GATE_BIT(SELF));
}

// Whether from token i to the sentence's end stand a name and a number, and nothing else: "Tom, 34".
static bool is_name_and_number(const struct gate_text *t, const struct gate_sentence *s, uint32_t i)
{
    uint32_t names = 0, numbers = 0;

    for (; i < s->to; i++) {
        char c = t->text.ptr[token_at(t, i)->at];

        if (!is_word(t, i))
            continue;
        numbers += c >= '0' && c <= '9';
        names += is_content(token_at(t, i));
        if (!(c >= '0' && c <= '9') && !is_content(token_at(t, i)))
            return false;
    }
    return names && numbers;
}

static bool is_attributed(const struct gate_text *t, const struct gate_sentence *s)
{
    if (is_dashed_name(t, s))
        return true;
    if (t->text.ptr[token_at(t, s->from)->at] == '(' && is_name_and_number(t, s, s->from))
        return true;
    for (uint32_t i = s->from + 1; i + 1 < s->to; i++)
        if (token_at(t, i)->kind == TOKEN_DASH && token_at(t, i - 1)->end < token_at(t, i)->at &&
            is_name_and_number(t, s, i + 1))
            return true;
    return false;
}

// "#foodie", "@tom": a mark and a word behind it, in one, with a blank before.
static bool is_tagged(const struct gate_text *t)
{
    for (size_t i = 0; i + 1 < t->tokens.len; i++) {
        const struct gate_token *k = token_at(t, i);
        char c = t->text.ptr[k->at], next = t->text.ptr[k->end < t->text.len ? k->end : k->at];

        if (k->kind == TOKEN_MARK && (c == '#' || c == '@') && k[1].kind == TOKEN_WORD &&
            k[1].at == k->end && !(next >= '0' && next <= '9') && (i == 0 || k[-1].end < k->at))
            return true;
    }
    return false;
}

static bool is_from(const struct gate_text *t, uint32_t i)
{
    static const char *const from[] = {"from", "off", "von", "aus", "de", "da", "dal", "du", "van"};

    return is_word(t, i) && LOOK_ANY(t, i, from);
}

// "This is what I got from the bot.", "That's what he says.", "This is from Ann."
static bool is_about_message(const struct gate_text *t, const struct gate_sentence *s)
{
    static const char *const are[] = {"is", "s", "was"};
    uint32_t i = first_word(t, s), next = i + 1;
    bool what = false;

    if (next >= s->to || (!look_is(t, i, "that") && !look_is(t, i, "this")) ||
        !is_word(t, next) || !LOOK_ANY(t, next, are))
        return false;
    for (uint32_t k = next; k < s->to; k++)
        what |= is_word(t, k) && (look_is(t, k, "what") || look_is(t, k, "how"));
    return is(s->is, GATE_BIT(TEXT)) || (what && is(s->is, GATE_BIT(SAY) | GATE_BIT(GOT))) ||
           (next + 1 < s->to && is_from(t, next + 1));
}

// "Copied from a forum.", "Got this from my landlord."
static bool tells_source(const struct gate_text *t, const struct gate_sentence *s)
{
    uint32_t i = first_word(t, s);

    if (i == s->to || !is(token_at(t, i)->is, GATE_BIT(GOT)) || is(s->is, GATE_BIT(SELF)))
        return false;
    bool this = i + 1 < s->to && is(token_at(t, i + 1)->is, GATE_BIT(THIS) | GATE_BIT(THAT));
    return i + 1u + this < s->to && is_from(t, i + 1u + this);
}

// ---- all of it

static bool is_request(const struct gate_sentence *s)
{
    return is(s->is, GATE_BIT(TASK)) && !is(s->is, FIRST | GATE_BIT(YOU));
}

static bool is_beside(const struct gate_text *t, const struct gate_sentence *s)
{
    if (is_attributed(t, s) || is_about_message(t, s) || tells_source(t, s))
        return true;
    return is_all_own(t, s) && (lacks_object(t, s) || is_bare_line(t, s));
}

bool gate_is_beside(const struct gate_text *t)
{
    bool first = false, beside = is_tagged(t), request = false;
    uint32_t words = 0;

    for (size_t i = 0; i < t->sentences.len; i++) {
        const struct gate_sentence *s = sentence_at(t, i);

        if (s->words == 0)
            continue;
        first |= is(s->is, FIRST);
        bool asks = is_request(s);
        words += asks ? 0 : s->words;
        request |= asks && is_all_own(t, s);
        beside |= is_beside(t, s);
    }
    return first && (beside || (request && words > STORY_WORDS));
}
