// SPDX-License-Identifier: MIT
// gate_paragraph.c: what lines and paragraphs show by their number and their length: verse, forms,
// texts that are too long for talk.
#include "memory/gate_int.h"

#include <string.h>

enum {
    PARAGRAPH_WORDS = 120,    // more of them are no talk
    BEHIND_WORDS = 25,        // of a paragraph behind a request: more of them are what it is about
    MESSAGE_WORDS = 250,
    MONOLOGUE_WORDS = 45,     // that are said to nobody
    VERSE_LINES = 4,
};

static const uint64_t FIRST = GATE_BIT(SELF) | GATE_BIT(MINE) | GATE_BIT(ME);

// The first words of a sentence.
static struct slice head_of(const struct gate_text *t, const struct gate_sentence *s)
{
    enum { HEAD_WORDS = 3 };
    const struct gate_token *first = NULL;
    uint32_t words = 0;

    for (uint32_t i = s->from; i < s->to; i++) {
        const struct gate_token *k = token_at(t, i);

        if (k->kind != TOKEN_WORD)
            continue;
        first = first ? first : k;
        if (++words == HEAD_WORDS)
            return slice_of(t->keys.ptr + first->key, k->key + k->key_len - first->key);
    }
    return SLICE_NONE;
}

// Lines of a few words that no mark ends, or that begin alike: a song, a poem, a form.
void gate_mark_verse(struct gate_text *t)
{
    uint32_t lines = 0;
    struct slice last = SLICE_NONE;

    for (size_t i = 0; i < t->sentences.len; i++) {
        const struct gate_sentence *s = sentence_at(t, i);
        bool unfinished = s->ends == TOKEN_LINE || s->ends == TOKEN_BREAK ||
                          (i + 1 == t->sentences.len && s->ends == TOKEN_WORD);

        if (token_why(t, token_at(t, s->from)) != OWN)
            continue;
        struct slice head = head_of(t, s);
        bool again = head.len && slice_eq(head, last);
        last = head;
        lines = unfinished ? lines + 1 : 0;
        if (lines >= VERSE_LINES || (again && i > 0 && s[-1].ends == TOKEN_LINE)) {
            gate_mark(t, 0, t->text.len, WHY_VERSE);
            return;
        }
    }
}

struct paragraph {
    size_t start, end;    // bytes
    uint32_t words;
    uint64_t kinds;       // of its last sentence
    bool asks;            // that is a question, or says what is to be done
    bool any;
};

static void mark_paragraph(struct gate_text *t, const struct paragraph *p, bool behind_request,
                           uint32_t words_before)
{
    if (p->words > PARAGRAPH_WORDS || (behind_request && p->words > BEHIND_WORDS) ||
        words_before + p->words > MESSAGE_WORDS)
        gate_mark(t, p->start, p->end, WHY_LONG);
}

// Whether a message is said to somebody: it asks, orders, says "you". A greeting may be pasted.
static bool is_addressed(const struct gate_text *t)
{
    const uint64_t to = GATE_BIT(YOU) | GATE_BIT(ADVICE) | GATE_BIT(PLEASE) | GATE_BIT(REMIND) |
                        GATE_BIT(LETS) | GATE_BIT(STYLE);

    for (size_t i = 0; i < t->sentences.len; i++)
        if (sentence_at(t, i)->ends == TOKEN_ASK || is(sentence_at(t, i)->is, to))
            return true;
    return false;
}

// Whether a word that no list has stands in what the assistant said last.
static bool is_taken_up(const struct gate_text *t, const struct gate_token *k, struct slice asked)
{
    enum { TAKEN_BYTES = 4 };  // shorter ones say little
    const char *key = t->keys.ptr + k->key - 1;  // with the blanks around it

    return k->kind == TOKEN_WORD && k->is == 0 && k->key_len >= TAKEN_BYTES &&
           memmem(asked.ptr, asked.len, key, k->key_len + 2u);
}

// Whether the message answers the assistant: it agrees, or begins with a word of what it was
// asked, "What did you do at the beach?" "The beach was great! We …". A text on what is talked
// about anyway has such words too, so that without a question they say nothing.
static bool is_answer(const struct gate *g)
{
    enum { SENTENCES = 2, TOKENS = 64 };  // that are looked at; tokens of each
    const struct gate_text *t = &g->t;
    bool question = memchr(g->source.asked.ptr, '?', g->source.asked.len) != NULL;
    unsigned opening = 0;

    for (size_t i = 0; i < t->sentences.len && opening < SENTENCES; i++) {
        const struct gate_sentence *s = sentence_at(t, i);

        if (opening == 0 && is(token_at(t, s->from)->is, GATE_BIT(YES)))
            return true;
        for (uint32_t k = s->from; question && k < s->to && k < s->from + TOKENS; k++)
            if (is_taken_up(t, token_at(t, k), buf_slice(&g->asked)))
                return true;
        opening += s->words > 0;
    }
    return false;
}

// Paragraphs that are too long for talk; those behind a request that is not about the user, which
// then is about them.
void gate_mark_paragraphs(struct gate *g)
{
    struct gate_text *t = &g->t;
    struct paragraph p = {0};
    uint32_t words = 0;
    bool request = false;

    for (size_t i = 0; i < t->sentences.len; i++) {
        const struct gate_sentence *s = sentence_at(t, i);

        if (!p.any)
            p.start = sentence_start(t, s);
        p.any = true;
        p.end = sentence_end(t, s);
        p.words += s->words;
        p.kinds = s->is;
        p.asks = s->ends == TOKEN_ASK || is(s->is, GATE_BIT(TASK));
        if (i + 1 < t->sentences.len && sentence_at(t, i + 1)->paragraph == s->paragraph)
            continue;
        mark_paragraph(t, &p, request, words);
        request |= p.asks && !is(p.kinds, FIRST);
        words += p.words;
        p = (struct paragraph){0};
    }
    if (words > MONOLOGUE_WORDS && !is_addressed(t) && !(g->source.asked.len && is_answer(g)))
        gate_mark(t, 0, t->text.len, WHY_LONG);
}
