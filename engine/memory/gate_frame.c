// SPDX-License-Identifier: MIT
// gate_frame.c: what sentences announce, and what so is material without any mark.
//
//   forward    "Translate this.", "My friend wrote me:", "I got this letter." — what follows, to
//              the end of the message; if marks follow at once, to where those end
//   backward   "Is this good German?" at the end — what stands before it
//   whole      a play, a joke taken back, orders to an assistant's memory, a letter's close
//   past       a play that goes on, a text announced for this message or asked for
//
// A colon introduces, unless what is before it is plainly one's own ("my plan:", "by the way:").
#include "memory/gate_int.h"

#include "base/utf8.h"

#include <string.h>

enum {
    SHORT_WORDS = 5,          // of a request that says nothing but what is to be done
    LAST_WORDS = 3,           // "… she wrote me", "… was his reply"
    LABEL_WORDS = 8,
    PASTED_WORDS = 15,
};

static const uint64_t FIRST = GATE_BIT(SELF) | GATE_BIT(MINE) | GATE_BIT(ME);

static bool is_own(const struct gate_text *t, const struct gate_token *k)
{
    return token_why(t, k) == OWN;
}

// Kinds of a sentence's own words.
static uint64_t own_kinds(const struct gate_text *t, const struct gate_sentence *s)
{
    uint64_t kinds = 0;

    for (uint32_t i = s->from; i < s->to; i++)
        if (is_own(t, token_at(t, i)))
            kinds |= token_at(t, i)->is;
    return kinds;
}

// ---- colons

static bool is_colon(const struct gate_text *t, uint32_t i)
{
    const struct gate_token *k = token_at(t, i), *next = k + 1;

    if (k->kind != TOKEN_COLON || i == 0)
        return false;
    if (i + 1 == t->tokens.len || next->at > k->end || next->kind == TOKEN_LINE ||
        next->kind == TOKEN_BREAK)
        return true;
    char c = t->text.ptr[next->at];
    bool letters = next->kind == TOKEN_WORD && !(c >= '0' && c <= '9');
    bool after = k[-1].kind == TOKEN_WORD && k[-1].end == k->at;
    return after && (letters || c == '"' || c == '\'' || (unsigned char)c >= 0x80);
}

// Whether what stands before a colon says that what follows is one's own.
static bool is_label(const struct gate_text *t, uint32_t from, uint32_t colon)
{
    const uint64_t never = GATE_BIT(SAY) | GATE_BIT(TEXT) | GATE_BIT(GOT) | GATE_BIT(KIN) |
                           GATE_BIT(TASK) | GATE_BIT(OTHER) | GATE_BIT(USER) | GATE_BIT(YOU) |
                           GATE_BIT(PLAY) | GATE_BIT(MAKE) | GATE_BIT(STORE) | GATE_BIT(INJECT) |
                           GATE_BIT(TONGUE) | GATE_BIT(THIS);
    const uint64_t fine = FIRST | GATE_BIT(SMALL) | GATE_BIT(LABEL) | GATE_BIT(TOPIC);
    uint64_t all = 0;
    uint32_t words = 0;

    for (uint32_t i = from; i < colon; i++) {
        const struct gate_token *k = token_at(t, i);

        if (k->kind != TOKEN_WORD)
            continue;
        all |= k->is;
        bool greets = words == 0 && is(k->is, GATE_BIT(LEAD));
        if ((!is(k->is, fine) && !greets) || ++words > LABEL_WORDS)
            return false;
    }
    return !is(all, never) && (is(all, GATE_BIT(LABEL)) || is(all, FIRST));
}

// "(Source: …)": where what stands before it is from.
static bool is_source(const struct gate_text *t, uint32_t colon)
{
    static const char *const words[] = {"source", "sources", "quelle", "fuente", "fonte", "via",
                                        "credit", "author", "autor", "by"};

    for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
        if (token_at(t, colon - 1)->kind == TOKEN_WORD &&
            slice_is(token_key(t, token_at(t, colon - 1)), words[i]))
            return true;
    return false;
}

// ---- forward

// The first token behind i that is no end of a line, or the number of tokens.
static uint32_t behind(const struct gate_text *t, uint32_t i)
{
    while (i < t->tokens.len && (token_at(t, i)->kind == TOKEN_LINE ||
                                 token_at(t, i)->kind == TOKEN_BREAK))
        i++;
    return i;
}

struct frame {
    struct gate *g;
    size_t delimited_end[WHY_LEN];  // where the last token of such material ends
    size_t taken_back;              // all before it was a joke
    size_t asked_before;            // all before it is what an order how to answer is about
    uint32_t later;                 // from this token on all is, once all sentences are read
};

// What follows token i is material: to where the marks that follow at once end, or to the end of
// the message. False: to the end.
static bool mark_behind(struct frame *f, uint32_t i, enum gate_why why)
{
    struct gate_text *t = &f->g->t;
    uint32_t next = behind(t, i);
    size_t start = next < t->tokens.len ? token_at(t, next)->at : t->text.len;

    if (next == t->tokens.len)
        return false;
    enum gate_why marked = token_why(t, token_at(t, next));
    bool closed = gate_is_delimited(marked);
    gate_mark(t, start, closed ? f->delimited_end[marked] : t->text.len, why);
    return closed;
}

// Whether a sentence has quoted words of its own, which then are what it is about.
static bool has_quotation(const struct gate_text *t, const struct gate_sentence *s)
{
    for (uint32_t i = s->from; i < s->to; i++)
        if (token_why(t, token_at(t, i)) == WHY_QUOTATION)
            return true;
    return false;
}

static uint32_t words_from(const struct gate_text *t, size_t sentence)
{
    uint32_t words = 0;

    for (size_t i = sentence; i < t->sentences.len && words <= PASTED_WORDS; i++)
        words += sentence_at(t, i)->words;
    return words;
}

// What a request about a text makes material, before it and behind it.
static void mark_worked(struct frame *f, size_t at)
{
    struct gate_text *t = &f->g->t;
    const struct gate_sentence *s = sentence_at(t, at);
    uint32_t last = s->to - 1;
    bool before_marked = s->from > 0 && !is_own(t, token_at(t, s->from - 1));

    if (has_quotation(t, s)) {
        // What is quoted may have quotations of its own: all to the last one.
        gate_mark(t, sentence_start(t, s), f->delimited_end[WHY_QUOTATION], WHY_WORKED);
        return;
    }
    // The paragraph that it stands in goes on with a longer text: that is what it is about.
    bool opens = token_at(t, last)->kind == TOKEN_BREAK ||
                 (last + 1 < t->tokens.len && token_at(t, last + 1)->kind == TOKEN_BREAK);
    bool pasted = opens && words_from(t, at + 1) > PASTED_WORDS &&
                  (at == 0 || sentence_at(t, at - 1)->paragraph == s->paragraph);
    if (gate_is_own_plan(t, s, own_kinds(t, s))) {
        f->later = s->to < f->later ? s->to : f->later;
        return;
    }
    gate_mark(t, sentence_start(t, s), sentence_end(t, s), WHY_WORKED);
    if (mark_behind(f, s->to, WHY_WORKED) || pasted || before_marked)
        return;
    gate_mark(t, 0, sentence_start(t, s), WHY_BEFORE);
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

// "10:02 Bob", "Bob, today at 10:02"
static bool has_time(const struct gate_text *t, const struct gate_sentence *s)
{
    for (uint32_t i = s->from + 1; i + 1 < s->to; i++) {
        const struct gate_token *k = token_at(t, i);

        if (k->kind == TOKEN_COLON && is_digit(t->text.ptr[k->at - 1]) &&
            is_digit(t->text.ptr[k->end]))
            return true;
    }
    return false;
}

// ---- sentences, in order

// "I'll share the photos tomorrow": of another day, and of no text. "Anything coming up?" asks.
static bool announces(const struct gate_sentence *s, uint64_t kinds)
{
    const uint64_t text = GATE_BIT(TEXT) | GATE_BIT(TASK) | GATE_BIT(THIS) | GATE_BIT(THAT);

    if (s->ends == TOKEN_ASK && !is(kinds, FIRST | text))
        return false;
    return is(kinds, GATE_BIT(NEXT)) && (!is(kinds, GATE_BIT(LATER)) ||
                                         is(kinds, text));
}

// "You are Watson.": who the assistant is to be. Without the case of a name it may be "you are
// nice": then only the next message is in doubt, and this one if it has "I am Holmes, you are …".
enum named { NOT_NAMED, MAYBE_NAMED, BOTH_NAMED, NAMED };

static enum named gives_a_name(const struct gate_text *t, const struct gate_sentence *s)
{
    enum { NAMED_WORDS = 8, MAYBE_WORDS = 4 };
    static const char *const are[] = {"are", "re", "bist", "es", "eres", "sei"};
    bool you = false, copula = false, named = false, both = false, cased = false;

    if (s->ends == TOKEN_ASK || s->words > NAMED_WORDS)
        return NOT_NAMED;
    for (uint32_t i = s->from; i < s->to; i++) {
        const struct gate_token *k = token_at(t, i);
        const char *at = t->text.ptr + k->at;

        if (k->kind != TOKEN_WORD)
            continue;
        named = copula && k->is == 0 && k->end - k->at > 1;
        cased = named && at[0] >= 'A' && at[0] <= 'Z' && at[1] >= 'a' && at[1] <= 'z';
        copula = false;
        for (size_t w = 0; you && w < sizeof(are) / sizeof(*are); w++)
            copula |= slice_is(token_key(t, k), are[w]);
        you = is(k->is, GATE_BIT(YOU));
        both |= you && i > s->from && k[-1].kind == TOKEN_COMMA && is(s->is, GATE_BIT(SELF));
    }
    if (!named || cased)
        return cased ? NAMED : NOT_NAMED;
    return both ? BOTH_NAMED : s->words <= MAYBE_WORDS ? MAYBE_NAMED : NOT_NAMED;
}

static void mark_all(struct gate_text *t, enum gate_why why)
{
    gate_mark(t, 0, t->text.len, why);
}

// "The user likes horses.": notes on a user, not a user's words.
static bool notes_user(const struct gate_sentence *s, uint64_t kinds)
{
    return is(kinds, GATE_BIT(USER)) && is(kinds, GATE_BIT(THIRD)) && !is(kinds, FIRST) &&
           s->words <= PASTED_WORDS && s->ends != TOKEN_ASK;
}

// What concerns the whole message. True: it does.
static bool whole(struct frame *f, const struct gate_sentence *s, uint64_t kinds)
{
    struct gate *g = f->g;
    struct gate_text *t = &g->t;
    enum named named = gives_a_name(t, s);

    if (is(kinds, GATE_BIT(STOP)))
        g->ends_play = true;
    else if (is(kinds, GATE_BIT(PLAY)) || named == NAMED)
        g->began.play = true;
    if (gate_is_always(t, s, kinds))
        g->began.work = true;
    if (announces(s, kinds))
        g->began.next = true;
    // "Let's practise English dictation."
    if (is(kinds, GATE_BIT(LETS)) && is(kinds, GATE_BIT(TONGUE)))
        g->began.work = true;
    // Several of them will come, and nothing tells when it is over.
    if (is(kinds, GATE_BIT(NEXT)) && is(kinds, GATE_BIT(TASK)))
        g->began.work = true;
    if (named == MAYBE_NAMED || named == BOTH_NAMED)
        g->began.next = true;
    if (is(kinds, GATE_BIT(PLAY)) || named >= BOTH_NAMED)
        mark_all(t, WHY_PLAYED);
    else if (is(kinds, GATE_BIT(INJECT)))
        mark_all(t, WHY_INJECTED);
    else if (is(kinds, GATE_BIT(CLOSE)))
        mark_all(t, WHY_LETTER);
    else if (is(kinds, GATE_BIT(JOKE)) ||
             (s->words == 1 && s->from > 0 && is(kinds, GATE_BIT(NOT))))
        f->taken_back = sentence_end(t, s);
    else
        return false;
    return true;
}

// "How cold does it get in winter here?"
static bool is_about_place(const struct gate_text *t, const struct gate_sentence *s)
{
    bool here = false, else_ = false;

    for (uint32_t i = s->from; i < s->to; i++) {
        const struct gate_token *k = token_at(t, i);
        bool place = slice_is(token_key(t, k), "here") || slice_is(token_key(t, k), "hier");
        here |= k->kind == TOKEN_WORD && place;
        else_ |= is(k->is, GATE_BIT(THIS)) && !place;
    }
    return here && !else_ && s->words > SHORT_WORDS;
}

// "testimonial", "Screenshot text", "10:02 Bob" on lines of their own; "Exercise 3.", "Diary of
// Ann."; "BOB", "BOB."; "Is OP right here?"
static bool is_title(const struct gate_text *t, const struct gate_sentence *s, uint64_t kinds)
{
    bool line = s->ends == TOKEN_LINE || s->ends == TOKEN_BREAK;

    if (is(kinds, FIRST) || s->words == 0)
        return false;
    if (s->ends == TOKEN_ASK)
        return is(kinds, GATE_BIT(THIS)) && !is(kinds, GATE_BIT(YOU)) && !is_about_place(t, s);
    if (s->words > SHORT_WORDS || !(line || s->ends == TOKEN_STOP))
        return false;
    if (s->words == 1 && kinds == 0)
        return true;
    bool text = is(kinds, GATE_BIT(TEXT));
    return line ? text || has_time(t, s)
                : text && (s->words <= LAST_WORDS || is(token_at(t, s->from)->is, GATE_BIT(TEXT)));
}

// Whether nothing but one short statement is behind an order how to answer: "Reply in English,
// please. I live in Ghent."
static bool is_followed_shortly(const struct gate_text *t, const struct gate_sentence *s)
{
    enum { STATED_WORDS = 8 };
    const struct gate_sentence *last = sentence_at(t, t->sentences.len - 1);

    return last == s + 1 && last->words <= STATED_WORDS && last->ends != TOKEN_ASK &&
           is(last->is, GATE_BIT(SELF)) && !is(last->is, GATE_BIT(YOU) | GATE_BIT(THIS));
}

// How to answer: what stands around it may be what is to be explained, the order is the user's own.
static void mark_around_style(struct frame *f, const struct gate_sentence *s, uint64_t kinds)
{
    if (gate_is_order(&f->g->t, s) &&
        (!is(kinds, GATE_BIT(SAY)) || is_followed_shortly(&f->g->t, s)))
        return;
    if (is(kinds, GATE_BIT(TASK) | GATE_BIT(SAY)) && s->to < f->later)
        f->later = s->to;
    if (is(kinds, GATE_BIT(TASK)))
        f->asked_before = sentence_start(&f->g->t, s);
}

static void forward(struct frame *f, size_t at, uint64_t kinds)
{
    struct gate_text *t = &f->g->t;
    const struct gate_sentence *s = sentence_at(t, at);
    uint32_t colon = s->to;

    for (uint32_t i = s->from; i < s->to && colon == s->to; i++)
        if (is_own(t, token_at(t, i)) && is_colon(t, i) && !is_label(t, s->from, i))
            colon = i;
    if (colon == s->to && gate_is_style(t, s)) {
        mark_around_style(f, s, kinds);
        return;
    }
    bool work = gate_is_textual(t, s, kinds);
    if (work && colon == s->to) {
        // "How do you say … in English?": what comes next may be tried on it.
        f->g->began.next |= s->ends == TOKEN_ASK && is(kinds, GATE_BIT(TONGUE)) &&
                            behind(t, s->to) == t->tokens.len;
        mark_worked(f, at);
        return;
    }
    if (work)
        f->g->began.next |= behind(t, colon + 1) == t->tokens.len;
    bool said = gate_is_reported(t, s, LAST_WORDS) ||
                (gate_is_reported(t, s, UINT32_MAX) && is(kinds, GATE_BIT(TEXT) | GATE_BIT(THIS)));
    bool line = s->ends == TOKEN_LINE || s->ends == TOKEN_BREAK ||
                (s->to < t->tokens.len && token_at(t, s->to)->kind >= TOKEN_LINE &&
                 token_at(t, s->to)->kind <= TOKEN_BREAK);
    bool got = is(kinds, GATE_BIT(GOT)) && is(kinds, GATE_BIT(TEXT) | GATE_BIT(OTHER)) && line;
    bool always = gate_is_always(t, s, kinds);
    // "That's the dialogue that I learn."
    const struct gate_token *opens = token_at(t, s->from);
    if (is(opens->is, GATE_BIT(THAT)) && opens->key_len > 2 && is(kinds, GATE_BIT(TEXT)))
        f->taken_back = sentence_start(t, s);
    got |= is_title(t, s, kinds) || gate_is_heading(t, s);
    // "got this from him this morning", a line of its own
    got |= line && is(kinds, GATE_BIT(GOT)) && is(kinds, GATE_BIT(THIS)) && !is(kinds, FIRST);
    // "Write a poem", "I want you to write one", but not "I write a blog"
    bool make = is(kinds, GATE_BIT(MAKE)) &&
                (!is(kinds, GATE_BIT(SELF)) || is(kinds, GATE_BIT(YOU) | GATE_BIT(WISH)));
    if (make && gate_is_own_plan(t, s, kinds)) {
        f->later = s->to < f->later ? s->to : f->later;
        make = false;
    }
    if (colon < s->to && is_source(t, colon))
        f->taken_back = sentence_end(t, s);
    if (colon < s->to) {
        gate_mark(t, sentence_start(t, s), token_at(t, colon)->end, WHY_INTRODUCED);
        mark_behind(f, colon + 1, WHY_INTRODUCED);
    } else if ((said && gate_is_promise(t, s)) || notes_user(s, kinds)) {
        f->later = s->to < f->later ? s->to : f->later;
    } else if (said || got || always || announces(s, kinds) || make) {
        gate_mark(t, sentence_start(t, s), sentence_end(t, s), WHY_INTRODUCED);
        mark_behind(f, s->to, WHY_INTRODUCED);
    } else if (gate_is_work_order(t, s) && !gate_is_order(t, s) &&
               !gate_is_explained(t, s, kinds)) {
        gate_mark(t, sentence_start(t, s), sentence_end(t, s), WHY_WORKED);
    }
}

// ---- all of it

// Short names in quotation marks are one's own words: my band is called "The Frogs".
static void own_names(struct gate_text *t)
{
    enum { NAME_WORDS = 4 };
    size_t from = 0;

    while (from < t->tokens.len) {
        size_t to = from, words = 0;
        uint64_t kinds = 0;

        while (to < t->tokens.len && token_why(t, token_at(t, to)) == WHY_QUOTATION) {
            words += token_at(t, to)->kind == TOKEN_WORD;
            kinds |= token_at(t, to)->is;
            to++;
        }
        bool within = from > 0 && is_own(t, token_at(t, from - 1));
        if (to > from && within && words <= NAME_WORDS && !is(kinds, FIRST | GATE_BIT(USER)))
            for (size_t i = from; i < to; i++)
                memset(t->zone + token_at(t, i)->at, OWN, token_at(t, i)->end - token_at(t, i)->at);
        from = to + (to == from);
    }
}

void gate_frame(struct gate *g)
{
    struct gate_text *t = &g->t;
    const struct gate_past *past = g->source.past;
    struct frame f = {.g = g, .later = UINT32_MAX};
    bool beside = gate_is_beside(t, g->source.asked.len > 0);

    for (size_t i = 0; i < t->tokens.len; i++)
        f.delimited_end[token_why(t, token_at(t, i))] = token_at(t, i)->end;
    for (size_t i = 0; i < t->sentences.len; i++) {
        const struct gate_sentence *s = sentence_at(t, i);
        uint64_t kinds = own_kinds(t, s);

        if (is_own(t, token_at(t, s->from)) && !whole(&f, s, kinds))
            forward(&f, i, kinds);
    }
    gate_mark(t, 0, f.taken_back, WHY_JOKE);
    gate_mark(t, 0, f.asked_before, WHY_BEFORE);
    if (f.later < t->tokens.len)
        mark_behind(&f, f.later, WHY_WORKED);
    gate_mark_translations(t);
    gate_mark_verse(t);
    gate_mark_paragraphs(g);
    if (beside)
        mark_all(t, WHY_BESIDE);
    if (past && past->play)
        mark_all(t, WHY_PLAYED);
    if (past && (past->work || past->next))
        mark_all(t, WHY_WORKED);
    own_names(t);
}
