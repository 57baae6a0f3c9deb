// SPDX-License-Identifier: MIT
// gate_beside.c: texts that nothing announces, betrayed by what stands beside them.
//
// Talk is made of sentences that are whole: a statement, a question, a request with its object.
// A message in the first person is in doubt if it also has one of these:
//
//   "Shorter, please."  "Too long?"     a request or question that lacks its object: the rest is it
//   "Wedding toast."  "12 comments"     no sentence: it names what the rest is
//   "About me"  "200 OK"  "Tom"         a line that is none: a heading, a prompt, a signature
//   "What job does she have?"           it asks of somebody of whom only the rest can tell
//   "Where do you live? I live in …"    an interview, which answers itself
//   "Find the subject." + 30 words in the first person: a request, and a text that it is for
//   who says so (gate_source.c)
//
// What people leave out in talk is no lack: "Can't wait.", "Any plans for the weekend?", and
// "Yes, Ann." where there was something to say yes to.
//
// Looked at before what is announced is marked, of what no marks show to be material. All of the
// message is material then: what is the user's own in it is lost until it is said plainly.
#include "memory/gate_look.h"

static const uint64_t FIRST = GATE_BIT(SELF) | GATE_BIT(MINE) | GATE_BIT(ME);

enum {
    LACKING_WORDS = 7,   // of a request without its object
    GREETING_WORDS = 4,
    CONTENT_BYTES = 3,   // shorter words that no list has name nothing
    INTERVIEW_WORDS = 6, // of a question
    STORY_WORDS = 30,    // more of them beside a request are what it is for
};

static bool is_line_end(const struct gate_text *t, uint32_t i)
{
    return token_at(t, i)->kind == TOKEN_LINE || token_at(t, i)->kind == TOKEN_BREAK;
}

// A word that names something, as far as the lists tell: they do not have it.
static bool is_content(const struct gate_text *t, const struct gate_token *k)
{
    char c = t->text.ptr[k->at];
    bool number = c >= '0' && c <= '9';

    return k->kind == TOKEN_WORD && k->is == 0 && k->key_len >= CONTENT_BYTES && !number;
}

static uint32_t contents(const struct gate_text *t, const struct gate_sentence *s)
{
    uint32_t n = 0;

    for (uint32_t i = s->from; i < s->to; i++)
        n += is_content(t, token_at(t, i));
    return n;
}

static bool is_all_own(const struct gate_text *t, const struct gate_sentence *s)
{
    for (uint32_t i = s->from; i < s->to; i++)
        if (token_why(t, token_at(t, i)) != OWN)
            return false;
    return true;
}

// "Yes, Ann.", "Absolutely, Ann!": an answer to who is named, where something was said before it.
static bool is_agreement(const struct gate_text *t, const struct gate_sentence *s)
{
    const uint64_t fine = GATE_BIT(LEAD) | GATE_BIT(YES);
    uint32_t last = s->to;

    while (last > s->from && !is_word(t, last - 1))
        last--;
    if (s->words < 2 || s->words > GREETING_WORDS || last < s->from + 2 ||
        (s->ends != TOKEN_STOP && s->ends != TOKEN_BANG) ||
        !is(token_at(t, first_word(t, s))->is, GATE_BIT(YES)) ||
        token_at(t, last - 2)->kind != TOKEN_COMMA || token_at(t, last - 1)->is)
        return false;
    for (uint32_t i = s->from; i + 1 < last; i++)
        if (is_word(t, i) && !is(token_at(t, i)->is, fine))
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
            if (k->is || !is(token_at(t, first)->is, GATE_BIT(LEAD)))
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

// A verb, behind what it is said of.
static bool has_verb(const struct gate_text *t, const struct gate_sentence *s)
{
    static const char *const words[] = {
        "is", "are", "was", "were", "s", "re", "has", "have", "had", "can", "could", "will",
        "would", "may", "did", "does", "sounds", "looks", "feels", "seems", "helps", "makes",
        "sucks", "hurts", "works", "means", "takes", "keeps", "gives", "brings",
        "ist", "sind", "war", "hat", "est", "sont", "es", "son", "sao", "e"};

    for (uint32_t i = first_word(t, s) + 1; i < s->to; i++)
        if (is_word(t, i) && (LOOK_ANY(t, i, words) || is(token_at(t, i)->is, GATE_BIT(THIRD))))
            return true;
    return false;
}

// "Some music", "a gym", "five questions": an object of its own. "The subject" is another's.
static bool has_object(const struct gate_text *t, const struct gate_sentence *s)
{
    static const char *const articles[] = {"a", "an", "some", "any", "ein", "eine", "einen",
                                           "un", "une", "una", "uno", "um", "uma", "des"};

    for (uint32_t i = s->from; i + 1 < s->to; i++)
        if (is_word(t, i) && LOOK_ANY(t, i, articles))
            for (uint32_t k = i + 1; k < s->to && k <= i + 3; k++)
                if (is_content(t, token_at(t, k)))
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

// "Pancake recipe please."
static bool names_wish(const struct gate_text *t, const struct gate_sentence *s)
{
    const uint64_t work = GATE_BIT(TASK) | GATE_BIT(STYLE) | GATE_BIT(TONGUE) | GATE_BIT(TEXT) |
                          GATE_BIT(THIS) | GATE_BIT(THAT);
    bool please = false;

    for (uint32_t i = s->from; i < s->to; i++)
        please |= is_word(t, i) && look_is(t, i, "please");
    return please && contents(t, s) > 1 && !is(s->is, work);
}

// "Start of my novel.", "Text I got from Ann.": it has a first person and is no statement.
static bool is_titled(const struct gate_text *t, const struct gate_sentence *s)
{
    const uint64_t talk = FIRST | GATE_BIT(LEAD) | GATE_BIT(ASK) | GATE_BIT(WISH) | GATE_BIT(YOU);

    return is(s->is, GATE_BIT(TEXT) | GATE_BIT(STORE)) && !has_verb(t, s) &&
           s->ends != TOKEN_ASK && !is(token_at(t, first_word(t, s))->is, talk);
}

// "Should I believe this?", "Is my mail ok?": asked of a text.
static bool asks_of_this(const struct gate_text *t, const struct gate_sentence *s)
{
    bool this = false;

    if (s->ends != TOKEN_ASK || is(s->is, GATE_BIT(YOU)) || s->words > LACKING_WORDS)
        return false;
    for (uint32_t i = s->from; i < s->to; i++)
        this |= is_word(t, i) && (look_is(t, i, "this") || look_is(t, i, "these") ||
                                  (look_is(t, i, "here") && i > s->from &&
                                   look_is(t, i - 1, "in")));
    return this || (is(s->is, GATE_BIT(MINE)) && is(s->is, GATE_BIT(TEXT)));
}

// "About moving.": what one wants to talk about; "About the author." is another's.
static bool names_topic(const struct gate_text *t, const struct gate_sentence *s)
{
    static const char *const words[] = {"about", "regarding", "concerning"};
    const uint64_t others = FIRST | GATE_BIT(TEXT) | GATE_BIT(KIN) | GATE_BIT(OTHER);
    uint32_t first = first_word(t, s);

    return first < s->to && LOOK_ANY(t, first, words) && s->ends == TOKEN_STOP &&
           !is(s->is, others);
}

// "Can't wait.", "Looking forward to it.", "So excited to go.": of the speaker, who goes without
// saying. "Loved the breakfast.", "Proud father." leave him out as reviews and profiles do.
static bool is_elliptic(const struct gate_text *t, const struct gate_sentence *s)
{
    static const char *const open[] = {"just", "so", "really", "still", "super", "very"};
    static const char *const verbs[] = {"appreciate", "gonna", "gotta", "trying", "hoping"};
    static const char *const moods[] = {"excited", "stoked", "pumped", "relieved", "thrilled"};
    static const char *const of[] = {"to", "about", "for"};
    static const char *const pairs[][2] = {
        {"can", "wait"}, {"looking", "forward"}, {"would", "love"}, {"would", "like"}};
    const uint64_t others = GATE_BIT(PLEASE) | GATE_BIT(TASK) | GATE_BIT(TEXT) | GATE_BIT(OTHER) |
                            GATE_BIT(KIN) | GATE_BIT(TONGUE) | GATE_BIT(STYLE) | GATE_BIT(SAY);
    uint32_t i = first_word(t, s);

    if (is(s->is, others) || (s->ends != TOKEN_STOP && s->ends != TOKEN_BANG))
        return false;
    i += i < s->to && LOOK_ANY(t, i, open);
    uint32_t next = i + 1;
    if (next >= s->to || !is_word(t, i) || !is_word(t, next))
        return false;
    if (LOOK_ANY(t, i, verbs) || (LOOK_ANY(t, i, moods) && LOOK_ANY(t, next, of)))
        return true;
    next += next + 1 < s->to && token_at(t, next)->joined && is_word(t, next + 1);  // "can't"
    for (size_t p = 0; p < sizeof(pairs) / sizeof(*pairs); p++)
        if (look_is(t, i, pairs[p][0]) && look_is(t, next, pairs[p][1]))
            return true;
    return false;
}

// "Any plans for the weekend?", "Seen any good films lately?": of who is spoken to.
static bool asks_of_you(const struct gate_text *t, const struct gate_sentence *s)
{
    enum { ASKING_WORDS = 4 };
    static const char *const words[] = {"any", "anything", "wanna", "seen", "tried", "heard",
                                        "been", "picked", "ever", "got", "had", "read", "watched"};
    const uint64_t of_text = GATE_BIT(TASK) | GATE_BIT(TEXT) | GATE_BIT(TONGUE) | GATE_BIT(STYLE) |
                             GATE_BIT(THIS) | GATE_BIT(THAT) | GATE_BIT(OTHER) | GATE_BIT(SAY) |
                             GATE_BIT(KIN);

    return s->ends == TOKEN_ASK && s->words >= ASKING_WORDS && !is(s->is, of_text) &&
           LOOK_ANY(t, first_word(t, s), words);
}

// Whether it is talk whatever it says: in the first person, to the assistant, of what one seeks.
static bool is_talk(const struct gate_text *t, const struct gate_sentence *s)
{
    const uint64_t others = GATE_BIT(OTHER) | GATE_BIT(KIN) | GATE_BIT(TASK);

    if (is(s->is, GATE_BIT(REMIND) | GATE_BIT(LETS)))
        return true;
    if (is(s->is, GATE_BIT(SELF) | GATE_BIT(MINE)))
        return !is_titled(t, s);
    if (is(s->is, GATE_BIT(YOU)) && !is(s->is, GATE_BIT(PLEASE)))
        return true;
    if (is(s->is, GATE_BIT(ADVICE)) && !is(s->is, others))
        return true;
    return is_courtesy(t, s) || is_order(t, s) || names_wish(t, s) || names_topic(t, s) ||
           is_elliptic(t, s) || asks_of_you(t, s);
}

// What a colon introduces is looked at elsewhere; that of "https://" introduces nothing.
static bool introduces(const struct gate_text *t, const struct gate_sentence *s)
{
    for (uint32_t i = s->from; i + 1 < s->to; i++)
        if (token_at(t, i)->kind == TOKEN_COLON &&
            (token_at(t, i + 1)->at > token_at(t, i)->end || is_line_end(t, i + 1)))
            return true;
    return false;
}

static bool is_in_brackets(const struct gate_text *t, const struct gate_sentence *s)
{
    return t->text.ptr[token_at(t, s->from)->at] == '(';
}

// A sentence that is none, or means nothing without something else.
static bool lacks_object(const struct gate_text *t, const struct gate_sentence *s)
{
    const uint64_t asks = GATE_BIT(PLEASE) | GATE_BIT(TASK);
    const uint64_t work = asks | GATE_BIT(STYLE) | GATE_BIT(TONGUE);
    uint32_t first = first_word(t, s);

    if (s->words == 0 || s->words > LACKING_WORDS || is_talk(t, s) ||
        introduces(t, s))
        return false;
    if (s->ends == TOKEN_ASK)
        return !is_whole_question(t, s) && !is(s->is, GATE_BIT(OTHER));
    if (s->ends == TOKEN_BANG && !is(s->is, asks))
        return false;
    bool states = has_verb(t, s) && !is(s->is, GATE_BIT(PLEASE));
    if (states || has_object(t, s) || (is(s->is, GATE_BIT(ME)) && contents(t, s)))
        return false;
    // "They left.", "Looking for a plumber.", "Nice weather here."
    const uint64_t begins = GATE_BIT(OTHER) | GATE_BIT(WISH) | GATE_BIT(NOT) | GATE_BIT(LEAD);
    if (is(s->is, work) || points_within(t, s))
        return true;
    return !s->unknown && !is(token_at(t, first)->is, begins) && !is_in_brackets(t, s) &&
           contents(t, s) > 0;
}

// "What job does she have?": nobody in the message is she, unless somebody was named before.
static bool asks_of_stranger(const struct gate_text *t, const struct gate_sentence *s,
                             uint64_t before)
{
    static const char *const anybody[] = {"someone", "somebody", "everyone", "everybody", "anyone",
                                          "anybody", "nobody", "people", "others", "man"};
    const uint64_t known = GATE_BIT(SELF) | GATE_BIT(MINE);
    bool stranger = false, pronoun = false;

    for (uint32_t i = s->from; i < s->to; i++) {
        if (!is_word(t, i) || !is(token_at(t, i)->is, GATE_BIT(OTHER)))
            continue;
        if (look_is(t, i, "man"))  // German: anybody
            return false;
        // "someone who …"
        bool of_anybody = i > s->from && is_word(t, i - 1) && look_is(t, i, "who") && pronoun;
        bool any = i > first_word(t, s) && LOOK_ANY(t, i, anybody);
        stranger |= !any && !of_anybody;
        pronoun |= any;
    }
    return s->ends == TOKEN_ASK && stranger && !is(s->is, known) &&
           !is(before, GATE_BIT(KIN) | GATE_BIT(OTHER));
}

// "Where do you live? I live …", "What is your city? I live …"; but not "I love tea. What's your
// favourite way to make it? I …", of who spoke before and goes on: interviews ask short questions.
static bool answers_itself(const struct gate_text *t, const struct gate_sentence *s,
                           uint64_t before)
{
    static const char *const verbs[] = {"live", "work", "name", "old", "job", "from", "wohnst",
                                        "habites", "vives", "abiti"};
    uint32_t first = first_word(t, s);
    bool last = s == sentence_at(t, t->sentences.len - 1), yours = false;
    bool goes_on = is(before, FIRST) && s->words > INTERVIEW_WORDS;

    if (s->ends != TOKEN_ASK || !is(s->is, GATE_BIT(YOU)) || is(s->is, FIRST) ||
        !is(token_at(t, first)->is, GATE_BIT(ASK)) || last ||
        !is(s[1].is, GATE_BIT(SELF) | GATE_BIT(MINE)))
        return false;
    for (uint32_t i = first; i < s->to; i++)
        yours |= is_word(t, i) && (LOOK_ANY(t, i, verbs) ||
                                   (look_is(t, i, "your") && !goes_on) ||
                                   (i > first + 1 && look_is(t, i, "do") &&
                                    token_at(t, i + 1)->kind == TOKEN_ASK));
    return yours;
}

// "Me: …" and "You: …": a talk, copied.
static bool opens_as_role(const struct gate_text *t, const struct gate_sentence *s)
{
    return s->to > s->from + 1 && is(token_at(t, s->from)->is, FIRST | GATE_BIT(YOU)) &&
           token_at(t, s->from + 1)->kind == TOKEN_COLON;
}

// A line of its own that is no sentence of talk.
static bool is_bare_line(const struct gate_text *t, const struct gate_sentence *s)
{
    bool begins = s->from == 0 || is_line_end(t, s->from - 1);
    bool ends = begins ? s->to == t->tokens.len || is_line_end(t, s->to - 1)
                       : s->ends == TOKEN_LINE || s->ends == TOKEN_BREAK;
    bool finished = s->ends == TOKEN_STOP || s->ends == TOKEN_ASK || s->ends == TOKEN_BANG;
    uint32_t first = first_word(t, s);

    if (s->words == 0 || !ends || finished || introduces(t, s) ||
        (s->from == 0 && s->to == t->tokens.len))
        return false;
    bool verbless = is(s->is, GATE_BIT(MINE)) && !is(s->is, GATE_BIT(SELF)) && !has_verb(t, s);
    bool title = is_courtesy(t, s) && s->words > GREETING_WORDS;  // "A Day in the Life"
    if (is_talk(t, s) && !verbless && !title)
        return false;
    // "find me a gym", but not "About me"
    bool for_me = is(s->is, GATE_BIT(ME)) && !is(token_at(t, first)->is, GATE_BIT(SMALL));
    return !for_me && !is(token_at(t, first)->is, GATE_BIT(WISH)) &&
           !(is_whole_question(t, s) && opens_question(t, s));
}

// ---- all of it

// "Find the subject.", "Anything to correct here?"; in a longer sentence only if it opens it.
static bool is_request(const struct gate_text *t, const struct gate_sentence *s)
{
    enum { OPENING_WORDS = 4 };
    uint32_t words = 0;
    bool opens = s->words <= LACKING_WORDS || s->ends == TOKEN_ASK ||
                 is(s->is, GATE_BIT(PLEASE));

    for (uint32_t i = s->from; i < s->to && words < OPENING_WORDS; i++) {
        words += is_word(t, i);
        opens |= is(token_at(t, i)->is, GATE_BIT(TASK));
    }
    return opens && is(s->is, GATE_BIT(TASK)) && !is(s->is, FIRST | GATE_BIT(YOU));
}

static bool is_beside(const struct gate_text *t, const struct gate_sentence *s, uint64_t before)
{
    if (gate_tells_source(t, s) || asks_of_stranger(t, s, before) || asks_of_this(t, s) ||
        answers_itself(t, s, before))
        return true;
    return is_all_own(t, s) && (lacks_object(t, s) || is_bare_line(t, s));
}

bool gate_is_beside(const struct gate_text *t, bool replies)
{
    bool beside = gate_is_tagged(t), request = false;
    uint32_t words = 0, roles = 0;
    uint64_t before = 0;

    for (size_t i = 0; i < t->sentences.len; i++) {
        const struct gate_sentence *s = sentence_at(t, i);
        bool asks = is_request(t, s);

        if (s->words == 0)
            continue;
        words += asks ? 0 : s->words;
        request |= asks && is_all_own(t, s);
        roles += opens_as_role(t, s);
        beside |= !(replies && i == 0 && is_agreement(t, s)) && is_beside(t, s, before);
        before |= s->is;
    }
    beside |= roles > 1 || (request && words > STORY_WORDS);
    return is(before, FIRST) && beside;
}
