// SPDX-License-Identifier: MIT
// gate.c: a turn, read once, and claims held against it. See gate.h.
//
//   quote ─▶ each place where it stands in the message ─▶ own words? ─▶ the sentence with the
//            value ─▶ gate_state; the best of the places counts
//   nowhere in the message ─▶ who else said it, or the answer to a question of the assistant
#include "memory/gate_int.h"

#include "base/mem.h"
#include "base/utf8.h"
#include "memory/stem.h"

#include <string.h>

enum {
    PLACES_MAX = 32,        // where a quote stands; more are not looked at
    VALUE_WORDS_MAX = 24,
    ASKED_BYTES_MAX = 1 << 20,
    RECALLED_KEYS_MAX = 8 * GATE_RECALLED_BYTES,
    OVERLAP_BYTES = 4 << 10,  // of pieces of a long text: a sentence that is copied stands in one
    VALUE_BYTES_MAX = 4096, // a longer quote or value is no fact
    SENTENCES_MAX = 3,      // that a quote may go over
    TAINTED_WORDS = 8,      // a sentence of so many words that was recalled is a copy of it
    PARTICLE_BYTES = 12,
    YES_WORDS = 8,          // of an answer that confirms
};

const char *gate_result_word(enum gate_result r)
{
    static const char *const words[] = {"refused", "quarantine", "supported"};
    return words[r];
}

const char *gate_author_word(enum gate_author a)
{
    static const char *const words[] = {"nobody", "user", "material", "assistant", "tool",
                                        "recalled"};
    return words[a];
}

const char *const gate_why_words[WHY_LEN] = {
    [OWN] = "",
    [WHY_QUOTED] = "it stands in a quoted line",
    [WHY_FENCE] = "it stands between code fences",
    [WHY_CODE] = "it stands in code or data",
    [WHY_MARKUP] = "it stands in markup",
    [WHY_LIST] = "it stands in a list",
    [WHY_LOG] = "it stands in a log",
    [WHY_QUOTATION] = "it stands in quotation marks",
    [WHY_QUOTE_OPEN] = "it stands behind a quotation mark that nothing closes",
    [WHY_HIDDEN] = "the message has characters that nobody sees, or that look like others",
    [WHY_INTRODUCED] = "the message introduces it as somebody else's",
    [WHY_WORKED] = "it is a text to be worked on",
    [WHY_PLAYED] = "it is played or told, not stated",
    [WHY_JOKE] = "the message takes it back",
    [WHY_INJECTED] = "the message gives orders that users do not give",
    [WHY_LETTER] = "it stands in a letter or a page",
    [WHY_PAGE] = "it stands in a page",
    [WHY_VERSE] = "it stands in verse or in a form",
    [WHY_LONG] = "it stands in a text that is too long for talk",
    [WHY_BEFORE] = "the message asks for something to be done to it",
    [WHY_BESIDE] = "what stands beside it makes it a text",
    [WHY_END] = "it stands behind what is read of a message",
};

// ---- a turn

static int read_piece(struct gate *g, struct slice piece, struct err *err)
{
    struct gate_text t;
    int rc = gate_read(&t, piece, err);

    buf_add_slice(&g->recalled, buf_slice(&t.keys));
    buf_add_char(&g->recalled, '\n');
    gate_text_release(&t);
    return rc;
}

// What was recalled, folded like the message.
static int read_recalled(struct gate *g, struct err *err)
{
    size_t left = GATE_RECALLED_BYTES;
    int rc = E_OK;

    buf_init(&g->recalled, RECALLED_KEYS_MAX);
    for (uint32_t i = 0; i < g->source.recalled_len && !rc && !g->source.tainted; i++) {
        struct slice text = g->source.recalled[i];

        g->source.tainted = text.len > left;
        left -= g->source.tainted ? left : text.len;
        for (size_t at = 0; at < text.len && !g->source.tainted && !rc;) {
            struct slice rest = slice_of(text.ptr + at, text.len - at);
            size_t len = rest.len > GATE_TEXT_BYTES ? utf8_cut(rest, GATE_TEXT_BYTES) : rest.len;

            rc = read_piece(g, slice_of(rest.ptr, len), err);
            at += len == rest.len ? len : utf8_cut(rest, len - OVERLAP_BYTES);
        }
    }
    if (!rc && g->recalled.no_memory)
        rc = err_set(err, E_NOMEM, "out of memory for the gate of facts");
    g->source.tainted |= !buf_ok(&g->recalled);
    return rc;
}

// What the assistant said last, folded: the user may be copying it, as exercises have it.
static int read_asked(struct gate *g, struct err *err)
{
    struct gate_text t;
    int rc;

    buf_init(&g->asked, ASKED_BYTES_MAX);
    rc = gate_read(&t, g->source.asked, err);
    buf_add_slice(&g->asked, buf_slice(&t.keys));
    gate_text_release(&t);
    if (!rc && g->asked.no_memory)
        rc = err_set(err, E_NOMEM, "out of memory for the gate of facts");
    return rc;
}

int gate_open(struct gate **out, const struct gate_source *source, struct err *err)
{
    struct gate *g = mem_zalloc(sizeof(*g));

    *out = NULL;
    if (!g)
        return err_set(err, E_NOMEM, "out of memory for the gate of facts");
    g->source = *source;
    g->source.tainted |= g->source.recalled_len > GATE_RECALLED_MAX;
    int rc = gate_read(&g->t, source->text, err);
    if (rc) {
        gate_close(g);
        return rc;
    }
    rc = read_recalled(g, err);
    if (!rc)
        rc = read_asked(g, err);
    if (rc) {
        gate_close(g);
        return rc;
    }
    gate_open_statements(&g->t);
    gate_shape(&g->t);
    gate_frame(g);
    *out = g;
    return E_OK;
}

void gate_close(struct gate *g)
{
    if (!g)
        return;
    gate_text_release(&g->t);
    buf_release(&g->recalled);
    buf_release(&g->asked);
    mem_free(g);
}

bool gate_next_zone(const struct gate *g, size_t *at, struct gate_zone *out)
{
    const struct gate_text *t = &g->t;
    size_t end = *at;

    if (*at >= g->source.text.len)
        return false;
    if (*at >= t->text.len) {
        *out = (struct gate_zone){*at, g->source.text.len, false, gate_why_words[WHY_END]};
        *at = g->source.text.len;
        return true;
    }
    while (end < t->text.len && t->zone[end] == t->zone[*at])
        end++;
    *out = (struct gate_zone){*at, end, t->zone[*at] == OWN, gate_why_words[t->zone[*at]]};
    *at = end;
    return true;
}

// ---- where words stand

// Words of a quote or a value, and those of them that say something.
struct words {
    struct gate_text t;
    uint32_t at[VALUE_WORDS_MAX];  // tokens
    uint32_t len;
    bool too_many;
};

static int read_words(struct words *w, struct slice text, struct err *err)
{
    *w = (struct words){0};
    int rc = gate_read(&w->t, slice_of(text.ptr, text.len < VALUE_BYTES_MAX ? text.len : 0), err);

    w->too_many = text.len >= VALUE_BYTES_MAX;
    for (int all = 0; all < 2 && !rc && w->len == 0; all++)
        for (uint32_t i = 0; i < w->t.tokens.len; i++) {
            const struct gate_token *k = token_at(&w->t, i);
            bool says = k->kind == TOKEN_WORD && (all || !is(k->is, GATE_BIT(SMALL)));

            if (says && w->len == VALUE_WORDS_MAX)
                w->too_many = true;
            else if (says)
                w->at[w->len++] = i;
        }
    return rc;
}

static bool same_word(struct slice a, struct slice b)
{
    char x[STEM_WORD_MAX], y[STEM_WORD_MAX];

    if (slice_eq(a, b))
        return true;
    // A script that writes particles together with the word: "서울에" has "서울" in it.
    if (b.len >= 6 && (unsigned char)b.ptr[0] >= 0xe1 && slice_starts(a, b))
        return a.len - b.len <= PARTICLE_BYTES;
    if (a.len < 4 || b.len < 4 || a.len >= STEM_WORD_MAX || b.len >= STEM_WORD_MAX ||
        a.ptr[0] != b.ptr[0])
        return false;
    memcpy(x, a.ptr, a.len);
    memcpy(y, b.ptr, b.len);
    size_t x_len = stem_porter2(x, a.len), y_len = stem_porter2(y, b.len);
    return slice_eq(slice_of(x, x_len), slice_of(y, y_len));
}

// The words of w, all of them, from token `from` to `to`: in a row if they stand so, else anywhere.
static bool find_words(const struct gate_text *t, uint32_t from, uint32_t to, const struct words *w,
                       struct gate_place *out)
{
    uint32_t first = UINT32_MAX, last = 0;

    for (uint32_t i = 0; i < w->len; i++) {
        struct slice key = token_key(&w->t, token_at(&w->t, w->at[i]));
        uint32_t found = UINT32_MAX;

        // The next one behind the word before it, if there is one.
        for (uint32_t k = from; k < to; k++) {
            if (token_at(t, k)->kind != TOKEN_WORD || !same_word(token_key(t, token_at(t, k)), key))
                continue;
            if (found == UINT32_MAX || (i && found <= last))
                found = k;
            if (i == 0 || k > last)
                break;
        }
        if (found == UINT32_MAX)
            return false;
        first = found < first ? found : first;
        last = found > last || i == 0 ? found : last;
    }
    out->first = first;
    out->last = last;
    return w->len > 0;
}

static bool own_between(const struct gate_text *t, uint32_t first, uint32_t last,
                        enum gate_why *why)
{
    for (uint32_t i = first; i <= last; i++)
        if (token_why(t, token_at(t, i)) != OWN) {
            *why = token_why(t, token_at(t, i));
            return false;
        }
    return true;
}

// The token whose key begins at `key` in t->keys.
static uint32_t token_of_key(const struct gate_text *t, size_t key)
{
    size_t low = 0, high = t->tokens.len;

    // Only words have keys; of others the one of the word before counts.
    while (low < high) {
        size_t mid = (low + high) / 2, at = mid;
        while (at > low && token_at(t, at)->kind != TOKEN_WORD)
            at--;
        bool word = token_at(t, at)->kind == TOKEN_WORD;
        if (!word || token_at(t, at)->key < key)
            low = mid + 1;
        else
            high = at;
    }
    return (uint32_t)low;
}

static size_t sentence_of(const struct gate_text *t, uint32_t token)
{
    size_t low = 0, high = t->sentences.len;

    while (low + 1 < high) {
        size_t mid = (low + high) / 2;
        if (sentence_at(t, mid)->from <= token)
            low = mid;
        else
            high = mid;
    }
    return low;
}

static bool has_bytes(struct slice text, struct slice part)
{
    return part.len && text.len >= part.len && memmem(text.ptr, text.len, part.ptr, part.len);
}

// ---- a claim

struct judging {
    const struct gate *g;
    const struct gate_claim *claim;
    struct words quote, value;
    struct gate_verdict *out;
    bool found;               // the quote stands in the message
};

static void verdict(struct gate_verdict *out, enum gate_result result, enum gate_author author,
                    const char *why)
{
    *out = (struct gate_verdict){.result = result, .author = author, .why = why};
}

// What is better for the claim replaces what is worse; what is said of own words tells more than
// that others have them too.
static void take(struct judging *j, const struct gate_verdict *v)
{
    bool first = !j->found;

    j->found = true;
    if (first || v->result > j->out->result ||
        (v->result == j->out->result && v->author == GATE_BY_USER))
        *j->out = *v;
}

// What is shorter people say again by themselves.
static bool may_be_copy(const struct gate_sentence *s)
{
    return s->words >= TAINTED_WORDS;
}

// Whether a sentence stands there word for word.
static bool is_copy(const struct gate *g, const struct gate_sentence *s, struct slice in)
{
    const struct gate_text *t = &g->t;
    size_t start = SIZE_MAX, end = 0;

    for (uint32_t i = s->from; i < s->to; i++) {
        const struct gate_token *k = token_at(t, i);
        if (k->kind != TOKEN_WORD)
            continue;
        start = start == SIZE_MAX ? k->key - 1 : start;
        end = k->key + k->key_len + 1u;
    }
    struct slice said = slice_of(t->keys.ptr + start, s->words ? end - start : 0);
    return may_be_copy(s) && has_bytes(in, said);
}

// The quote stands from token a to b.
static void judge_place(struct judging *j, uint32_t a, uint32_t b)
{
    const struct gate_text *t = &j->g->t;
    size_t from = sentence_of(t, a), to = sentence_of(t, b);
    struct gate_verdict v;
    enum gate_why why = OWN;

    if (!own_between(t, a, b, &why)) {
        verdict(&v, GATE_QUARANTINE, GATE_BY_MATERIAL, gate_why_words[why]);
        take(j, &v);
        return;
    }
    verdict(&v, GATE_QUARANTINE, GATE_BY_USER, "the value is not in these words");
    for (size_t i = from; i <= to && to - from < SENTENCES_MAX; i++) {
        struct gate_place place = {.s = sentence_at(t, i)};
        uint32_t first = place.s->from > a ? place.s->from : a;
        uint32_t last = place.s->to - 1 < b ? place.s->to - 1 : b;

        if (!find_words(t, first, last + 1, &j->value, &place))
            continue;
        if (is_copy(j->g, place.s, buf_slice(&j->g->recalled)))
            verdict(&v, GATE_REFUSED, GATE_BY_RECALLED, "it was recalled, and is only repeated");
        else if (is_copy(j->g, place.s, buf_slice(&j->g->asked)))
            verdict(&v, GATE_QUARANTINE, GATE_BY_ASSISTANT, "the assistant said it before");
        else if (j->g->source.tainted && may_be_copy(place.s))
            verdict(&v, GATE_QUARANTINE, GATE_BY_RECALLED, "it may have been recalled");
        else
            gate_state(j->g, j->claim, &j->value.t, &place, &v);
        break;
    }
    take(j, &v);
}

// Each place where the quote stands, word by word.
static void judge_quote(struct judging *j, const struct words *w)
{
    const struct gate_text *t = &j->g->t;
    struct slice keys = buf_slice(&w->t.keys), in = buf_slice(&t->keys);
    size_t words = 0;

    for (size_t i = 0; i < w->t.tokens.len; i++)
        words += token_at(&w->t, i)->kind == TOKEN_WORD;
    for (size_t n = 0, at = 0; n < PLACES_MAX && words && at < in.len; n++) {
        const char *found = memmem(in.ptr + at, in.len - at, keys.ptr, keys.len);
        if (!found)
            return;
        size_t key = (size_t)(found - in.ptr);
        uint32_t a = token_of_key(t, key + 1), b = a;
        for (size_t left = words - 1; left && b + 1 < t->tokens.len;)
            left -= token_at(t, ++b)->kind == TOKEN_WORD;
        judge_place(j, a, b);
        at = key + 1;
    }
}

// Each sentence that has the words of the value.
static void judge_sentences(struct judging *j)
{
    const struct gate_text *t = &j->g->t;

    for (size_t i = 0, n = 0; i < t->sentences.len && n < PLACES_MAX; i++) {
        struct gate_place place = {.s = sentence_at(t, i)};

        if (!find_words(t, place.s->from, place.s->to, &j->value, &place))
            continue;
        judge_place(j, place.first, place.last);
        n++;
    }
}

// ---- what the user did not say

static bool text_has(struct slice text, const struct words *w)
{
    struct gate_text t;
    bool has = false;

    if (text.len && gate_read(&t, text, NULL) == E_OK)
        has = has_bytes(buf_slice(&t.keys), buf_slice(&w->t.keys));
    if (text.len)
        gate_text_release(&t);
    return has;
}

static bool any_has(const struct slice *texts, uint32_t len, const struct words *w)
{
    for (uint32_t i = 0; i < len; i++)
        if (text_has(texts[i], w))
            return true;
    return false;
}

// "Yes, still.": nothing but small words behind it.
static bool is_yes(const struct gate_text *t)
{
    if (t->sentences.len == 0 || t->tokens.len == 0 || t->hidden)
        return false;
    const struct gate_sentence *s = sentence_at(t, 0);
    uint64_t never = GATE_BIT(NOT) | GATE_BIT(IF) | GATE_BIT(PLAY) | GATE_BIT(JOKE) |
                     GATE_BIT(SAY) | GATE_BIT(BUT) | GATE_BIT(PAST) | GATE_BIT(INJECT);
    const struct gate_token *k = token_at(t, s->from);
    bool yes = s->words <= YES_WORDS && s->ends != TOKEN_ASK && is(k->is, GATE_BIT(YES)) &&
               token_why(t, k) == OWN;

    for (size_t i = 0; i < t->sentences.len; i++)
        yes &= !is(sentence_at(t, i)->is, never);
    return yes;
}

// Whether the assistant asked, in its last words, for the value.
static bool is_asked(struct slice asked, const struct words *value)
{
    struct gate_text t;
    struct gate_place place;
    bool is_so = false;

    if (gate_read(&t, asked, NULL) == E_OK && t.sentences.len) {
        const struct gate_sentence *s = sentence_at(&t, t.sentences.len - 1);
        is_so = s->ends == TOKEN_ASK && is(s->is, GATE_BIT(YOU)) &&
                find_words(&t, s->from, s->to, value, &place);
    }
    gate_text_release(&t);
    return is_so;
}

static void judge_unsaid(struct judging *j)
{
    const struct gate_source *s = &j->g->source;
    const struct words *w = j->quote.len ? &j->quote : &j->value;
    struct gate_verdict *out = j->out;

    bool confirmed = j->claim->known && !j->claim->negates && is_yes(&j->g->t) &&
                     is_asked(s->asked, &j->value);
    if (confirmed) {
        verdict(out, GATE_SUPPORTED, GATE_BY_USER, "the user confirms what was asked");
        out->end = sentence_end(&j->g->t, sentence_at(&j->g->t, 0));
    } else if (any_has(s->tools, s->tools_len, w)) {
        verdict(out, GATE_QUARANTINE, GATE_BY_TOOL, "a tool said it");
    } else if (has_bytes(buf_slice(&j->g->recalled), buf_slice(&w->t.keys))) {
        verdict(out, GATE_REFUSED, GATE_BY_RECALLED, "it was recalled, not said");
    } else if (text_has(s->reply, w) || text_has(s->asked, w)) {
        verdict(out, GATE_QUARANTINE, GATE_BY_ASSISTANT, "the assistant said it");
    } else {
        verdict(out, GATE_QUARANTINE, GATE_BY_NOBODY, "nobody said it in these words");
    }
}

int gate_judge(const struct gate *g, const struct gate_claim *claim, struct gate_verdict *out,
               struct err *err)
{
    struct judging j = {.g = g, .claim = claim, .out = out};
    // "I have no job any more" ends all values: it names none.
    struct slice value = claim->value.len || !claim->negates ? claim->value : claim->quote;
    int rc = read_words(&j.quote, claim->quote, err);

    verdict(out, GATE_QUARANTINE, GATE_BY_NOBODY, "nobody said it in these words");
    if (!rc)
        rc = read_words(&j.value, value, err);
    bool sound = !rc && !j.value.too_many && j.value.len && claim->quote.len < VALUE_BYTES_MAX;
    if (sound && j.quote.len)
        judge_quote(&j, &j.quote);
    else if (sound)
        judge_sentences(&j);
    if (sound && !j.found)
        judge_unsaid(&j);
    gate_text_release(&j.quote.t);
    gate_text_release(&j.value.t);
    return rc;
}

// ---- what turns begin

// "Translate: …": an exercise, to which the next message is the answer.
static bool sets_task(const struct gate_text *t)
{
    for (size_t i = 0; i + 1 < t->tokens.len; i++)
        if (is(token_at(t, i)->is, GATE_BIT(TASK)) && token_at(t, i + 1)->kind == TOKEN_COLON)
            return true;
    return false;
}

// Whether a reply asks for a text: "Please paste the article."
static int asks_for_text(struct slice reply, bool *out, struct err *err)
{
    struct gate_text t;
    int rc = gate_read(&t, reply, err);

    *out = false;
    if (!rc && t.sentences.len) {
        const struct gate_sentence *s = sentence_at(&t, t.sentences.len - 1);
        bool task = is(s->is, GATE_BIT(TASK)) && (s->ends == TOKEN_ASK || s->ends == TOKEN_COLON);
        *out = task || is(s->is, GATE_BIT(NEXT) | GATE_BIT(HAND)) || sets_task(&t);
    }
    gate_text_release(&t);
    return rc;
}

int gate_past_add(struct gate_past *past, struct slice text, struct slice reply, struct err *err)
{
    const struct gate_source source = {.text = text, .reply = reply};
    struct gate *g;
    bool asks;
    int rc = gate_open(&g, &source, err);

    if (rc)
        return rc;
    rc = asks_for_text(reply, &asks, err);
    past->next = g->began.next || asks;
    past->play = (past->play && !g->ends_play) || g->began.play;
    past->work = (past->work && !g->ends_play) || g->began.work;
    gate_close(g);
    return rc;
}
