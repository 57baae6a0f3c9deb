// SPDX-License-Identifier: MIT
// gate_read.c: a message as tokens and sentences, and what its words are.
//
// Words are folded (gate_words.h), so that what is claimed is found whatever its case, its forms
// and its white space. What they are depends on the language: "was" asks in German. A sentence has
// the languages of which it has the most words, and those that come near; a first person counts in
// the former only, all else, which only forbids, in the latter too.
#include "memory/gate_int.h"

#include "base/mem.h"
#include "base/utf8.h"

#include <string.h>

enum {
    KEYS_BYTES_MAX = 8 * GATE_TEXT_BYTES,
    TOKENS_MAX = GATE_TEXT_BYTES + 1,
    KEY_BYTES_MAX = 128,   // of one word; longer ones are cut
    MATCHES_MAX = 4096,    // words of the list in one sentence; what is more is not looked at
    NEAR = 3,              // a language with a third of the most words may be the sentence's
    RESTRICTING = 24,
};

struct match {
    uint32_t token;
    const struct gate_word *word;
};

// ---- characters

static bool is_word_char(int32_t c)
{
    if (c < 0x80)
        return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    utf8proc_category_t k = utf8proc_category(c);
    return (k >= UTF8PROC_CATEGORY_LU && k <= UTF8PROC_CATEGORY_NO) || k == UTF8PROC_CATEGORY_CF;
}

static bool is_apostrophe(int32_t c)
{
    return c == '\'' || c == 0x2019 || c == 0x2bc || c == 0x2018 || c == 0xff07;
}

static bool is_space(int32_t c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == 0xa0 || c == 0x202f || c == 0x3000 ||
           (c >= 0x2000 && c <= 0x200a);
}

static enum gate_token_kind mark_kind(int32_t c)
{
    switch (c) {
    case '.': case 0x2026: case 0x3002: case 0x964: case 0xff0e: case 0x6d4:
        return TOKEN_STOP;
    case '?': case 0xff1f: case 0x61f: case 0x37e: case 0x203d: case 0x2047: case 0x2048:
        return TOKEN_ASK;
    case '!': case 0xff01: case 0x203c: case 0x2049:
        return TOKEN_BANG;
    case ',': case 0x3001: case 0xff0c: case 0x60c:
        return TOKEN_COMMA;
    case ':': case 0xff1a: case 0x2236: case 0xfe55:
        return TOKEN_COLON;
    case ';': case 0xff1b: case 0x61b:
        return TOKEN_SEMICOLON;
    case '-': case 0x2010: case 0x2011: case 0x2012: case 0x2013: case 0x2014: case 0x2015:
        return TOKEN_DASH;
    default:
        return TOKEN_MARK;
    }
}

// Bytes of a mask of redaction, "[EMAIL_1]", that begins here; 0: none does.
static size_t mask_len(struct slice rest)
{
    size_t at = 1, digits = 0;

    while (at < rest.len && at < 32 && ((rest.ptr[at] >= 'A' && rest.ptr[at] <= 'Z') ||
                                        rest.ptr[at] == '_'))
        at++;
    while (at + digits < rest.len && digits < 10 && rest.ptr[at + digits] >= '0' &&
           rest.ptr[at + digits] <= '9')
        digits++;
    bool whole = at > 2 && rest.ptr[at - 1] == '_' && digits && at + digits < rest.len &&
                 rest.ptr[at + digits] == ']';
    return whole ? at + digits + 1 : 0;
}

// ---- tokens

static struct gate_token *push(struct gate_text *t, size_t at, enum gate_token_kind kind)
{
    struct gate_token *k = vec_push(&t->tokens);

    if (k) {
        k->at = (uint32_t)at;
        k->kind = (uint8_t)kind;
    } else {
        t->keys.failed = t->keys.no_memory = true;
    }
    return k;
}

static void add_folded(struct gate_text *t, int32_t c)
{
    int32_t made[GATE_FOLDED_MAX];
    int n = gate_fold(c, made);
    char bytes[4];

    for (int i = 0; i < n; i++)
        if (made[i] > ' ')
            buf_add(&t->keys, bytes, utf8_put(bytes, (uint32_t)made[i]));
}

// A word from `from`; where it ends.
static size_t read_word(struct gate_text *t, size_t from, bool joined)
{
    struct gate_token *k = push(t, from, TOKEN_WORD);
    size_t at = from, mask = t->text.ptr[from] == '[' ? mask_len(slice_of(
                                 t->text.ptr + from, t->text.len - from)) : 0;

    if (!k)
        return t->text.len;
    k->key = (uint32_t)t->keys.len;
    k->joined = joined;
    for (bool first = true; at < t->text.len; first = false) {
        size_t next = at;
        int32_t c = utf8_next(t->text, &next);

        if (mask ? at >= from + mask : !is_word_char(c) || (!first && gate_is_spaceless(c)))
            break;
        if (t->keys.len - k->key < KEY_BYTES_MAX)
            add_folded(t, c);
        at = next;
        if (gate_is_spaceless(c))
            break;
    }
    k->end = (uint32_t)at;
    k->key_len = (uint16_t)(t->keys.len - k->key);
    if (k->key_len == 0)
        t->tokens.len--;  // what nobody sees is no word
    else
        buf_add_char(&t->keys, ' ');
    return at;
}

// The end of a line and all blank ones behind it.
static size_t read_lines(struct gate_text *t, size_t from)
{
    size_t at = from, lines = 0, end = from;

    while (at < t->text.len) {
        size_t next = at;
        int32_t c = utf8_next(t->text, &next);

        if (c != '\n' && !is_space(c))
            break;
        lines += c == '\n';
        at = next;
        if (c == '\n')
            end = at;
    }
    struct gate_token *k = push(t, from, lines > 1 ? TOKEN_BREAK : TOKEN_LINE);
    if (k)
        k->end = (uint32_t)end;
    return end;
}

static void read_tokens(struct gate_text *t)
{
    bool joined = false;

    buf_add_char(&t->keys, ' ');
    for (size_t at = 0; at < t->text.len && buf_ok(&t->keys);) {
        size_t next = at;
        int32_t c = utf8_next(t->text, &next);

        if (is_word_char(c) || (c == '[' && mask_len(slice_of(t->text.ptr + at,
                                                              t->text.len - at)))) {
            at = read_word(t, at, joined);
            joined = false;
            continue;
        }
        joined = is_apostrophe(c) && t->tokens.len &&
                 token_at(t, t->tokens.len - 1)->end == at &&
                 token_at(t, t->tokens.len - 1)->kind == TOKEN_WORD;
        if (c == '\n') {
            at = read_lines(t, at);
            continue;
        }
        if (!is_space(c) && !joined) {
            struct gate_token *k = push(t, at, mark_kind(c));
            if (k)
                k->end = (uint32_t)next;
        }
        at = next;
    }
}

// ---- the list of words

static int compare(const struct gate_word *w, struct slice key)
{
    return slice_cmp(slice_of(w->word, w->len), key);
}

// The first row of a word, NULL if there is none.
static const struct gate_word *find(struct slice key)
{
    size_t low = 0, high = gate_words_len;

    while (low < high) {
        size_t mid = (low + high) / 2;

        if (compare(&gate_words[mid], key) < 0)
            low = mid + 1;
        else
            high = mid;
    }
    bool found = low < gate_words_len && compare(&gate_words[low], key) == 0;
    return found ? &gate_words[low] : NULL;
}

// The row after w of the same word, or NULL.
static const struct gate_word *again(const struct gate_word *w)
{
    const struct gate_word *next = w + 1;
    bool same = next < gate_words + gate_words_len && next->len == w->len &&
                memcmp(next->word, w->word, w->len) == 0;
    return same ? next : NULL;
}

// Rows that are the key, or of whose stem it is; how many.
static unsigned rows_of(struct slice key, const struct gate_word *out[RESTRICTING])
{
    unsigned n = 0;

    if (key.len >= GATE_WORD_BYTES)
        key.len = GATE_WORD_BYTES - 1;
    for (size_t len = key.len; len >= GATE_STEM_MIN || len == key.len; len--) {
        const struct gate_word *w = len ? find(slice_of(key.ptr, len)) : NULL;

        for (; w && n < RESTRICTING; w = again(w))
            if (len == key.len || w->stem)
                out[n++] = w;
        if (len == 0)
            break;
    }
    return n;
}

uint64_t gate_kinds_of(struct slice folded)
{
    const struct gate_word *rows[RESTRICTING];
    uint64_t kinds = 0;
    unsigned n = rows_of(folded, rows);

    for (unsigned i = 0; i < n; i++)
        kinds |= rows[i]->kinds;
    return kinds & ~GATE_OPENS;
}

static void take_match(struct match *matches, size_t *len, uint32_t token,
                       const struct gate_word *w)
{
    if (*len < MATCHES_MAX)
        matches[(*len)++] = (struct match){token, w};
}

// A mark within a phrase: "role-play", "tl;dr", "j/k", "p.s".
static bool joins_words(const struct gate_text *t, uint32_t i)
{
    const struct gate_token *k = token_at(t, i);

    if (i == 0 || i + 1 == t->tokens.len || k->end - k->at != 1 || k->kind == TOKEN_WORD)
        return false;
    return strchr("-;/.&", t->text.ptr[k->at]) && k[-1].end == k->at && k[1].at == k->end &&
           k[1].kind == TOKEN_WORD;
}

// Phrases that begin with token i, of words that follow each other with nothing but blanks, hyphens
// and apostrophes between them. A phrase of `idiom` stands for what it begins with; the token
// behind the longest of them is returned, or i.
// `before`: matches that were there before token i.
static uint32_t match_phrases(const struct gate_text *t, const struct gate_sentence *s, uint32_t i,
                              size_t before, struct match *matches, size_t *len)
{
    char key[GATE_PHRASE_WORDS * GATE_WORD_BYTES];
    size_t key_len = 0;
    unsigned words = 0;
    uint32_t idiom = i;

    for (uint32_t j = i; j < s->to && words < GATE_PHRASE_WORDS; j++) {
        const struct gate_token *k = token_at(t, j);
        const struct gate_word *rows[RESTRICTING];

        if (joins_words(t, j))
            continue;
        if (k->kind != TOKEN_WORD || k->key_len >= GATE_WORD_BYTES)
            break;
        if (key_len)
            key[key_len++] = '_';
        memcpy(key + key_len, t->keys.ptr + k->key, k->key_len);
        key_len += k->key_len;
        if (++words < 2)
            continue;
        unsigned n = rows_of(slice_of(key, key_len), rows);
        for (unsigned r = 0; r < n; r++) {
            // A stem of one word would be found again with each word behind it.
            if (!memchr(rows[r]->word, '_', rows[r]->len))
                continue;
            if (is(rows[r]->kinds, GATE_BIT(IDIOM))) {
                *len = before;
                idiom = j + 1;
            }
            take_match(matches, len, i, rows[r]);
        }
    }
    return idiom;
}

// Words within an idiom say nothing of a text: "means a lot", "how it goes".
static bool is_in_idiom(uint32_t i, uint32_t idiom, const struct gate_word *w)
{
    const uint64_t text = GATE_BIT(SAY) | GATE_BIT(TEXT) | GATE_BIT(TASK) | GATE_BIT(GOT) |
                          GATE_BIT(NEXT);

    return i < idiom && is(w->kinds, text);
}

static void match_words(const struct gate_text *t, const struct gate_sentence *s,
                        struct match *matches, size_t *len)
{
    uint32_t idiom = s->from;  // behind the last one

    for (uint32_t i = s->from; i < s->to; i++) {
        const struct gate_token *k = token_at(t, i);
        const struct gate_word *rows[RESTRICTING];
        size_t before = *len;
        bool opens = false;

        if (k->kind != TOKEN_WORD)
            continue;
        unsigned n = rows_of(token_key(t, k), rows);
        for (unsigned r = 0; r < n; r++) {
            opens |= is(rows[r]->kinds, GATE_OPENS);
            if (rows[r]->kinds != GATE_OPENS && !is_in_idiom(i, idiom, rows[r]))
                take_match(matches, len, i, rows[r]);
        }
        uint32_t end = opens ? match_phrases(t, s, i, before, matches, len) : i;
        idiom = end > i && end > idiom ? end : idiom;
    }
}

// ---- sentences

static const uint64_t FIRST = GATE_BIT(SELF) | GATE_BIT(MINE) | GATE_BIT(ME);

// A language with two thirds of the most words is as good as the one that has them.
static bool is_near(uint32_t n, uint32_t most)
{
    return n * 3 >= most * 2;
}

static void say_kinds(struct gate_text *t, struct gate_sentence *s, struct match *matches)
{
    uint32_t counts[GATE_LANGUAGES_MAX] = {0}, most = 0;
    size_t len = 0;

    match_words(t, s, matches, &len);
    for (size_t i = 0; i < len; i++) {
        uint32_t n = ++counts[matches[i].word->language];
        most = matches[i].word->language && n > most ? n : most;
    }
    s->unknown = most == 0;
    for (size_t i = 0; i < len;) {
        size_t end = i;
        bool at_home = false;  // the word is one of the sentence's own language

        for (; end < len && matches[end].token == matches[i].token; end++)
            at_home |= matches[end].word->language && counts[matches[end].word->language] == most;
        for (; i < end; i++) {
            const struct gate_word *w = matches[i].word;
            uint32_t n = w->language ? counts[w->language] : most;

            if (at_home ? n < most && !is_near(n, most) : n * NEAR < most)
                continue;
            uint64_t kinds = w->kinds & ~GATE_OPENS;
            if (at_home && n < most)
                kinds &= FIRST;
            token_at(t, matches[i].token)->is |= is_near(n, most) ? kinds : kinds & ~FIRST;
        }
    }
    for (uint32_t i = s->from; i < s->to; i++)
        s->is |= token_at(t, i)->is;
}

uint8_t gate_tongue_of(const struct gate_text *t, uint32_t from, uint32_t to)
{
    enum { WORDS_MIN = 2 };
    uint32_t counts[GATE_LANGUAGES_MAX] = {0}, most = 0, next = 0;
    uint8_t best = 0;

    for (uint32_t i = from; i < to; i++) {
        const struct gate_word *rows[RESTRICTING];
        const struct gate_token *k = token_at(t, i);
        unsigned n = k->kind == TOKEN_WORD ? rows_of(token_key(t, k), rows) : 0;
        uint32_t seen = 0;  // a bit for each language: a word counts once

        for (unsigned r = 0; r < n; r++) {
            uint32_t bit = UINT32_C(1) << rows[r]->language;
            bool says = is(rows[r]->kinds, FIRST | GATE_BIT(SMALL)) && !(seen & bit);
            seen |= says ? bit : 0;
            counts[rows[r]->language] += says;
        }
    }
    for (uint8_t i = 1; i < GATE_LANGUAGES_MAX; i++) {
        next = counts[i] > most ? most : counts[i] > next ? counts[i] : next;
        best = counts[i] > most ? i : best;
        most = counts[i] > most ? counts[i] : most;
    }
    return most >= WORDS_MIN && most > next ? best : 0;
}

// "Dr. Smith", "J. Smith", "e.g. this"
static bool is_abbreviation(const struct gate_text *t, const struct gate_token *stop)
{
    static const char *const words[] = {"mr", "mrs", "ms", "dr", "prof", "st", "vs", "etc", "sr",
                                        "sra", "bzw", "ca", "nr", "approx", "mt", "jr"};
    const struct gate_token *k = stop - 1;

    if (k < token_at(t, 0) || k->kind != TOKEN_WORD || k->end != stop->at)
        return false;
    struct slice key = token_key(t, k);
    if (key.len == 1 && key.ptr[0] >= 'a' && key.ptr[0] <= 'z' && key.ptr[0] != 'i')
        return true;
    for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
        if (slice_is(key, words[i]))
            return true;
    return false;
}

static bool ends_sentence(const struct gate_text *t, size_t i)
{
    const struct gate_token *k = token_at(t, i);
    const struct gate_token *next = i + 1 < t->tokens.len ? k + 1 : NULL;
    bool apart = !next || next->at > k->end || next->kind != TOKEN_WORD || k->end - k->at > 1;

    switch (k->kind) {
    case TOKEN_LINE: case TOKEN_BREAK:
        return true;
    case TOKEN_STOP:
        return apart && !(next && next->kind == TOKEN_STOP) && !is_abbreviation(t, k);
    case TOKEN_ASK: case TOKEN_BANG:
        return apart && !(next && next->at == k->end &&
                          (next->kind == TOKEN_ASK || next->kind == TOKEN_BANG));
    default:
        return false;
    }
}

// What closes a quotation or a bracket belongs to the sentence before it, and so does the line's
// end.
static size_t closing_end(const struct gate_text *t, size_t i)
{
    while (i < t->tokens.len && token_at(t, i)->kind == TOKEN_MARK &&
           token_at(t, i)->at == token_at(t, i - 1)->end &&
           !strchr("([{<", t->text.ptr[token_at(t, i)->at]))
        i++;
    return i;
}

static int add_sentence(struct gate_text *t, size_t from, size_t to, uint32_t paragraph,
                        struct match *matches)
{
    struct gate_sentence *s = vec_push(&t->sentences);

    if (!s)
        return E_NOMEM;
    *s = (struct gate_sentence){.from = (uint32_t)from, .to = (uint32_t)to, .paragraph = paragraph};
    for (size_t i = from; i < to; i++) {
        uint8_t kind = token_at(t, i)->kind;
        s->words += kind == TOKEN_WORD;
        if (kind != TOKEN_MARK && kind != TOKEN_DASH)
            s->ends = kind;
    }
    say_kinds(t, s, matches);
    // A line that is not finished goes on in the next one, whatever else that says.
    if (t->sentences.len > 1 && s[-1].paragraph == paragraph && s[-1].ends == TOKEN_LINE)
        s->before = s[-1].is | s[-1].before;
    return E_OK;
}

static int read_sentences(struct gate_text *t)
{
    struct match *matches = mem_alloc(MATCHES_MAX * sizeof(*matches));
    uint32_t paragraph = 0;
    size_t from = 0;
    int rc = matches ? E_OK : E_NOMEM;

    for (size_t i = 0; i < t->tokens.len && !rc; i++) {
        uint8_t kind = token_at(t, i)->kind;

        if (!ends_sentence(t, i) && i + 1 < t->tokens.len)
            continue;
        size_t to = closing_end(t, i + 1);
        bool empty = to - from == 1 && (kind == TOKEN_LINE || kind == TOKEN_BREAK);
        if (!empty)
            rc = add_sentence(t, from, to, paragraph, matches);
        paragraph += kind == TOKEN_BREAK;
        from = to;
        i = to - 1;
    }
    mem_free(matches);
    return rc;
}

int gate_read(struct gate_text *t, struct slice text, struct err *err)
{
    *t = (struct gate_text){.text = text};
    if (text.len > GATE_TEXT_BYTES)
        t->text.len = utf8_cut(text, GATE_TEXT_BYTES);
    buf_init(&t->keys, KEYS_BYTES_MAX);
    vec_init(&t->tokens, sizeof(struct gate_token), TOKENS_MAX);
    vec_init(&t->sentences, sizeof(struct gate_sentence), TOKENS_MAX);
    t->zone = mem_zalloc(t->text.len + 1);
    read_tokens(t);
    if (!t->zone || !buf_ok(&t->keys) || read_sentences(t))
        return err_set(err, E_NOMEM, "out of memory for the gate of facts");
    return E_OK;
}

void gate_text_release(struct gate_text *t)
{
    if (!t->zone && !t->tokens.item_bytes)
        return;  // it was never read
    buf_release(&t->keys);
    vec_release(&t->tokens);
    vec_release(&t->sentences);
    mem_free(t->zone);
    t->zone = NULL;
}
