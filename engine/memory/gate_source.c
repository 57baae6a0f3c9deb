// SPDX-License-Identifier: MIT
// gate_source.c: words about a message itself, which tell whose it is or where it was found.
//
//   "— my landlord."  "(Tom, 34)"  "- Tom, 34"  "… Jess"    who says so, behind it
//   "I (34M) …"  "#foodie"  "@tom"                          how posts are marked
//   "This is what I got from the bot."                      what it is
//   "Copied from a forum."  "My ex texted out of the blue." where it is from, who sent it
//   "… said no one ever"                                    who says it
#include "memory/gate_look.h"

enum {
    CONTENT_BYTES = 3,
    SOURCE_TOKENS = 8,  // of a name or a source; what is longer is none
};

static bool is_content(const struct gate_text *t, const struct gate_token *k)
{
    char c = t->text.ptr[k->at];
    bool number = c >= '0' && c <= '9';

    return k->kind == TOKEN_WORD && k->is == 0 && k->key_len >= CONTENT_BYTES && !number;
}

// "— my landlord.", a sentence of its own.
static bool is_dashed_name(const struct gate_text *t, const struct gate_sentence *s)
{
    enum { NAME_WORDS = 3 };

    return token_at(t, s->from)->kind == TOKEN_DASH && s->words <= NAME_WORDS &&
           !is(s->is, GATE_BIT(SELF));
}

// Whether from token i to the sentence's end stand a name and a number and no more: "Tom, 34".
static bool is_name_and_number(const struct gate_text *t, const struct gate_sentence *s, uint32_t i)
{
    uint32_t names = 0, numbers = 0;

    if (s->to - i > SOURCE_TOKENS)
        return false;
    for (; i < s->to; i++) {
        char c = t->text.ptr[token_at(t, i)->at];

        if (!is_word(t, i))
            continue;
        numbers += c >= '0' && c <= '9';
        names += is_content(t, token_at(t, i));
        if (!(c >= '0' && c <= '9') && !is_content(t, token_at(t, i)))
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

// "34M", "f27"
static bool is_age_and_sex(struct slice key)
{
    return key.len == 3 && ((key.ptr[0] >= '1' && key.ptr[0] <= '9' && key.ptr[1] >= '0' &&
                             key.ptr[1] <= '9' && strchr("mf", key.ptr[2])) ||
                            (strchr("mf", key.ptr[0]) && key.ptr[1] >= '1' && key.ptr[1] <= '9' &&
                             key.ptr[2] >= '0' && key.ptr[2] <= '9'));
}

// "la la la"
static bool is_sung(const struct gate_text *t, size_t i)
{
    for (size_t k = i; k < i + 3; k++)
        if (k >= t->tokens.len || !is_word(t, (uint32_t)k) || token_at(t, k)->key_len > 4 ||
            !slice_eq(token_key(t, token_at(t, k)), token_key(t, token_at(t, i))))
            return false;
    return true;
}

// "#foodie", "@tom", "(34M)": a mark and a word behind it, in one, with a blank before.
bool gate_is_tagged(const struct gate_text *t)
{
    for (size_t i = 0; i + 1 < t->tokens.len; i++) {
        const struct gate_token *k = token_at(t, i);
        char c = t->text.ptr[k->at], next = t->text.ptr[k->end < t->text.len ? k->end : k->at];

        if (is_sung(t, i))
            return true;
        if (c == '(' && k[1].kind == TOKEN_WORD && is_age_and_sex(token_key(t, k + 1)))
            return true;
        bool apart = i == 0 || k[-1].end < k->at || k[-1].kind == TOKEN_LINE ||
                     k[-1].kind == TOKEN_BREAK;
        if (k->kind == TOKEN_MARK && (c == '#' || c == '@') && k[1].kind == TOKEN_WORD &&
            k[1].at == k->end && !(next >= '0' && next <= '9') && apart)
            return true;
    }
    return false;
}

static bool is_from(const struct gate_text *t, uint32_t i)
{
    static const char *const from[] = {"from", "off", "von", "aus", "de", "da", "dal", "du", "van"};

    return is_word(t, i) && LOOK_ANY(t, i, from);
}

// "(from a blog)", "…, from my backup"
static bool ends_in_source(const struct gate_text *t, const struct gate_sentence *s)
{
    for (uint32_t i = s->from; i + 1 < s->to; i++) {
        char c = t->text.ptr[token_at(t, i)->at];

        if (c == '(' && is_from(t, i + 1))
            return true;
        if (token_at(t, i)->kind != TOKEN_COMMA || !is_from(t, i + 1))
            continue;
        for (uint32_t k = i + 2; k < s->to && k < i + SOURCE_TOKENS; k++)
            if (is(token_at(t, k)->is, GATE_BIT(TEXT) | GATE_BIT(STORE)))
                return true;
    }
    return false;
}

// "This is what you know about me."
static bool is_known_of_user(const struct gate_text *t, const struct gate_sentence *s)
{
    bool about = false;

    for (uint32_t i = s->from; i + 1 < s->to; i++)
        about |= is_word(t, i) && (look_is(t, i, "about") || look_is(t, i, "on")) &&
                 is(token_at(t, i + 1)->is, GATE_BIT(ME));
    return about && is(s->is, GATE_BIT(YOU)) && s->ends != TOKEN_ASK &&
           !is(s->is, GATE_BIT(SELF));
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
static bool is_from_there(const struct gate_text *t, const struct gate_sentence *s)
{
    uint32_t i = first_word(t, s);

    if (i == s->to || !is(token_at(t, i)->is, GATE_BIT(GOT)) || is(s->is, GATE_BIT(SELF)))
        return false;
    bool this = i + 1 < s->to && is(token_at(t, i + 1)->is, GATE_BIT(THIS) | GATE_BIT(THAT));
    return i + 1u + this < s->to && is_from(t, i + 1u + this);
}

// "My ex texted out of the blue.", "WhatsApp from Jess.": somebody says something, not what.
static bool tells_sender(const struct gate_text *t, const struct gate_sentence *s)
{
    enum { SENDER_WORDS = 8 };
    const uint64_t who = GATE_BIT(KIN) | GATE_BIT(OTHER);

    return s->ends != TOKEN_ASK && s->words <= SENDER_WORDS && is(s->is, GATE_BIT(SAY)) &&
           is(s->is, who) && !is(s->is, GATE_BIT(SELF) | GATE_BIT(YOU) | GATE_BIT(ME)) &&
           !is(token_at(t, first_word(t, s))->is, GATE_BIT(OTHER));
}

// "… said no one ever", "asks my landlord"
static bool begins_with_saying(const struct gate_text *t, const struct gate_sentence *s)
{
    static const char *const words[] = {"said", "says", "wrote", "writes", "asked", "asks"};
    uint32_t i = first_word(t, s);

    return i < s->to && LOOK_ANY(t, i, words) && s->ends != TOKEN_ASK &&
           !is(s->is, GATE_BIT(SELF));
}

// "Dear editor, …", "… your article": said to somebody who is no assistant.
static bool is_to_another(const struct gate_text *t, const struct gate_sentence *s)
{
    static const char *const dear[] = {"dear", "liebe", "lieber", "querido", "querida", "cher",
                                       "chere", "caro", "cara"};
    static const char *const theirs[] = {
        "article", "ad", "advert", "post", "blog", "profile", "website", "site", "listing",
        "newsletter", "video", "channel", "page", "book", "song", "shop", "store", "hotel",
        "company", "magazine", "podcast", "restaurant", "vacancy", "application", "bank"};
    uint32_t i = first_word(t, s);

    if (s->from == 0 && i + 1 < s->to && LOOK_ANY(t, i, dear) && is_word(t, i + 1))
        return true;
    for (; i + 1 < s->to; i++)
        if (is_word(t, i) && is_word(t, i + 1) && look_is(t, i, "your") &&
            LOOK_ANY(t, i + 1, theirs))
            return true;
    return false;
}

// A name alone at the end of a message: "… Jess"
static bool is_signature(const struct gate_text *t, const struct gate_sentence *s)
{
    const struct gate_token *name = token_at(t, s->words ? first_word(t, s) : s->from);

    return s->to == t->tokens.len && s->words == 1 && s->from > 0 && s->ends == TOKEN_WORD &&
           is_content(t, name) && token_why(t, name) == OWN;
}

bool gate_tells_source(const struct gate_text *t, const struct gate_sentence *s)
{
    if (is_attributed(t, s) || is_signature(t, s) || begins_with_saying(t, s))
        return true;
    if (ends_in_source(t, s) || is_known_of_user(t, s) || is_to_another(t, s))
        return true;
    return is_about_message(t, s) || is_from_there(t, s) || tells_sender(t, s);
}
