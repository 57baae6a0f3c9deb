// SPDX-License-Identifier: MIT
// drift.c: names, numbers and quotations of a summary, looked up in its source. See drift.h.
//
//   source ─▶ words, their stems and numbers as a set; all of it folded, for quotations
//   summary ─▶ sentence by sentence: tokens ─▶ each that must be borne out is looked up
#include "memory/drift_int.h"

#include "base/map.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "memory/stem.h"
#include "memory/terms.h"

#include <stdio.h>
#include <string.h>

enum {
    SOURCE_BYTES_MAX = 8 << 20,
    WORDS_MAX = 1 << 20,
    NUMBER_WAYS = 3,           // to read one number
    KEY_BYTES_MAX = 96,        // of a word; longer ones are compared by their beginning
    CAPITALS_WORDS_MIN = 200,  // fewer words do not tell what capitals mean
    CAPITALS_SHARE = 5,        // one word in so many: then every noun has one
};

struct drift {
    struct map *words;         // keys alone: lower case, stems; numbers as "#12.5"
    struct buf folded;         // all of the source
    uint64_t inner, capitals;  // words within sentences; of them, with a capital
};

int drift_new(struct drift **out, struct err *err)
{
    struct drift *d = mem_zalloc(sizeof(*d));

    *out = NULL;
    if (!d || map_new(&d->words, WORDS_MAX)) {
        mem_free(d);
        return err_set(err, E_NOMEM, "out of memory for the check of a summary");
    }
    buf_init(&d->folded, SOURCE_BYTES_MAX);
    *out = d;
    return E_OK;
}

void drift_free(struct drift *d)
{
    if (!d)
        return;
    map_free(d->words);
    buf_release(&d->folded);
    mem_free(d);
}

// ---- keys

// A word in lower case without a possessive ending; its length.
static size_t word_key(struct slice word, char out[KEY_BYTES_MAX])
{
    struct buf folded = BUF_INIT(KEY_BYTES_MAX * 8);
    size_t len;

    drift_fold_text(word, &folded);
    len = folded.len < KEY_BYTES_MAX ? folded.len : KEY_BYTES_MAX;
    if (len)
        memcpy(out, folded.ptr, len);
    buf_release(&folded);
    if (len > 2 && memcmp(out + len - 2, "'s", 2) == 0)
        len -= 2;
    return len;
}

// The same word's stem; 0: it has none.
static size_t stem_key(const char *key, size_t len, char out[KEY_BYTES_MAX])
{
    if (len == 0 || len > STEM_WORD_MAX)
        return 0;
    for (size_t i = 0; i < len; i++) {
        if (key[i] < 'a' || key[i] > 'z')
            return 0;
    }
    memcpy(out, key, len);
    return stem_english(out, len);
}

// Digits without zeros in front, as "#12".
static size_t digits_key(struct slice digits, char *out)
{
    size_t len = 0, at = 0;

    out[len++] = '#';
    while (at + 1 < digits.len && digits.ptr[at] == '0')
        at++;
    for (; at < digits.len && len < KEY_BYTES_MAX; at++) {
        if (drift_is_digit((unsigned char)digits.ptr[at]))
            out[len++] = digits.ptr[at];
    }
    return len;
}

// All marks part groups of three digits: "1,000,000".
static bool is_grouped(struct slice n)
{
    size_t since = 0;
    bool any = false;

    for (size_t i = 0; i < n.len; i++) {
        bool mark = !drift_is_digit((unsigned char)n.ptr[i]);

        if (mark && (any ? since != 3 : since == 0 || since > 3))
            return false;
        since = mark ? 0 : since + 1;
        any |= mark;
    }
    return any && since == 3;
}

// The last mark is the decimal one: "#12.5".
static size_t decimal_key(struct slice n, char *out)
{
    size_t mark = n.len, end = n.len;

    while (mark > 0 && drift_is_digit((unsigned char)n.ptr[mark - 1]))
        mark--;
    if (mark == 0)
        return digits_key(n, out);
    size_t len = digits_key(slice_of(n.ptr, mark - 1), out);
    while (end > mark && n.ptr[end - 1] == '0')
        end--;
    if (end > mark && len < KEY_BYTES_MAX)
        out[len++] = '.';
    for (size_t i = mark; i < end && len < KEY_BYTES_MAX; i++)
        out[len++] = n.ptr[i];
    return len;
}

static unsigned marks_of(struct slice n)
{
    unsigned marks = 0;

    for (size_t i = 0; i < n.len; i++)
        marks += !drift_is_digit((unsigned char)n.ptr[i]);
    return marks;
}

// As it is written: "#12.03.2026".
static size_t written_key(struct slice n, char *out)
{
    size_t len = n.len < KEY_BYTES_MAX ? n.len : KEY_BYTES_MAX - 1;

    out[0] = '#';
    memcpy(out + 1, n.ptr, len);
    return len + 1;
}

// The ways to read a number as it is written; how many. "1.000" is a thousand to some, and one.
static unsigned number_keys(struct slice n, char out[NUMBER_WAYS][KEY_BYTES_MAX],
                            size_t len[NUMBER_WAYS])
{
    unsigned marks = marks_of(n), ways = 0;
    bool grouped = is_grouped(n), comma = memchr(n.ptr, ',', n.len) != NULL;

    if (grouped) {
        len[ways] = digits_key(n, out[ways]);
        ways++;
    }
    if (marks == 0 || (marks == 1 && !(grouped && comma)) ||
        (marks > 1 && !grouped && comma && memchr(n.ptr, '.', n.len))) {
        len[ways] = decimal_key(n, out[ways]);
        ways++;
    }
    if (marks > 1) {
        len[ways] = written_key(n, out[ways]);
        ways++;
    }
    return ways;
}

static unsigned number_word(struct slice key)
{
    static const struct {
        const char *word;
        unsigned value;
    } words[] = {
        {"one", 1},        {"two", 2},        {"three", 3},      {"four", 4},     {"five", 5},
        {"six", 6},        {"seven", 7},      {"eight", 8},      {"nine", 9},     {"ten", 10},
        {"eleven", 11},    {"twelve", 12},    {"thirteen", 13},  {"fourteen", 14},
        {"fifteen", 15},   {"sixteen", 16},   {"seventeen", 17}, {"eighteen", 18},
        {"nineteen", 19},  {"twenty", 20},    {"thirty", 30},    {"forty", 40},   {"fifty", 50},
        {"sixty", 60},     {"seventy", 70},   {"eighty", 80},    {"ninety", 90},
        {"hundred", 100},  {"thousand", 1000}, {"million", 1000000}, {"dozen", 12},
        {"first", 1},      {"second", 2},     {"third", 3},      {"once", 1},     {"twice", 2},
    };

    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (slice_is(key, words[i].word))
            return words[i].value;
    }
    return 0;
}

// ---- the source

static void put(struct drift *d, const char *key, size_t len, int *code)
{
    if (len && !*code)
        *code = map_set(d->words, slice_of(key, len), d, NULL);
}

static void put_value(struct drift *d, unsigned value, int *code)
{
    char key[KEY_BYTES_MAX];
    int len = snprintf(key, sizeof(key), "#%u", value);

    put(d, key, (size_t)len, code);
}

// `tens`: of the word before ("twenty" of "twenty-five").
static void put_word(struct drift *d, const struct token *t, unsigned *tens, int *code)
{
    char key[KEY_BYTES_MAX], stem[KEY_BYTES_MAX];
    size_t len = word_key(t->text, key);
    unsigned value = number_word(slice_of(key, len));

    put(d, key, len, code);
    put(d, stem, stem_key(key, len, stem), code);
    if (value)
        put_value(d, value, code);
    if (value && value < 10 && *tens)
        put_value(d, *tens + value, code);
    *tens = value >= 20 && value <= 90 ? value : 0;
}

static void put_number(struct drift *d, struct slice n, int *code)
{
    char keys[NUMBER_WAYS][KEY_BYTES_MAX];
    size_t len[NUMBER_WAYS];
    unsigned ways = number_keys(n, keys, len);

    for (unsigned i = 0; i < ways; i++)
        put(d, keys[i], len[i], code);
    // And its parts: the year of a date, the dollars of a sum.
    for (size_t from = 0; from < n.len;) {
        size_t to = from;
        while (to < n.len && drift_is_digit((unsigned char)n.ptr[to]))
            to++;
        put(d, keys[0], digits_key(slice_of(n.ptr + from, to - from), keys[0]), code);
        from = to + 1;
    }
}

// What is quoted, or an address, is found as a whole in what was folded; its parts are here too.
static void put_tokens(struct drift *d, struct slice text, bool boundary, int *code)
{
    bool opens = boundary;
    unsigned tens = 0;
    struct token t;

    for (size_t at = 0; (t = drift_next_token(text, &at, &boundary)).kind != TOKEN_END && !*code;) {
        switch (t.kind) {
        case TOKEN_WORD:
            put_word(d, &t, &tens, code);
            d->inner += !opens;
            d->capitals += !opens && t.capital && !t.identifier;
            opens = false;
            break;
        case TOKEN_NUMBER:
            put_number(d, t.text, code);
            break;
        case TOKEN_QUOTED:
        case TOKEN_ADDRESS:
            put_tokens(d, t.text, false, code);
            break;
        case TOKEN_END:
            break;
        }
    }
}

int drift_add(struct drift *d, struct slice text, struct err *err)
{
    int code = E_OK;

    for (size_t from = 0; from < text.len && !code;) {
        size_t to = drift_sentence_end(text, from);

        put_tokens(d, slice_of(text.ptr + from, to - from), true, &code);
        from = to;
    }
    drift_fold_text(text, &d->folded);
    buf_add_char(&d->folded, '\n');
    if (!code && d->folded.no_memory)
        code = E_NOMEM;
    if (code == E_NOMEM)
        return err_set(err, code, "out of memory for the check of a summary");
    return buf_check(&d->folded, "what a summary is made of", err);
}

// ---- the summary

static bool has(const struct drift *d, const char *key, size_t len)
{
    return len && map_get(d->words, slice_of(key, len)) != NULL;
}

static bool has_number(const struct drift *d, struct slice n)
{
    char keys[NUMBER_WAYS][KEY_BYTES_MAX];
    size_t len[NUMBER_WAYS];
    unsigned ways = number_keys(n, keys, len);

    for (unsigned i = 0; i < ways; i++) {
        if (has(d, keys[i], len[i]))
            return true;
    }
    return false;
}

static bool has_words(const struct drift *d, struct slice words, struct err *err, int *code)
{
    struct buf folded = BUF_INIT(SOURCE_BYTES_MAX);

    drift_fold_text(words, &folded);
    while (folded.len && strchr(" .,;:!?", folded.ptr[folded.len - 1]))
        buf_truncate(&folded, folded.len - 1);
    if (folded.failed)
        *code = err_set(err, E_NOMEM, "out of memory for the check of a summary");
    bool found = folded.len == 0 ||
                 (d->folded.len && memmem(d->folded.ptr, d->folded.len, folded.ptr, folded.len));
    buf_release(&folded);
    return found;
}

// Words that a summary's own sentences have.
static bool is_ours(struct slice key)
{
    static const char *const words[] = {"i",  "user", "assistant", "ai", "ok",
                                        "mr", "mrs",  "ms",        "dr", "prof"};

    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (slice_is(key, words[i]))
            return true;
    }
    return term_is_function_word(key);
}

static bool has_word(const struct drift *d, const struct token *t, bool opens)
{
    char key[KEY_BYTES_MAX], stem[KEY_BYTES_MAX];
    bool names = d->inner < CAPITALS_WORDS_MIN || d->capitals * CAPITALS_SHARE < d->inner;

    if (!t->identifier && !(t->capital && !opens && names))
        return true;
    size_t len = word_key(t->text, key), stemmed = stem_key(key, len, stem);
    return has(d, key, len) || has(d, stem, stemmed) || is_ours(slice_of(key, len)) ||
           is_ours(slice_of(stem, stemmed));
}

// The number of a list's item, which opens it: "1. …", "2) …".
static bool numbers_item(struct slice sentence, const struct token *t)
{
    const char *end = t->text.ptr + t->text.len, *last = sentence.ptr + sentence.len;
    size_t from = drift_skip_spaces(sentence, 0);

    return t->text.ptr == sentence.ptr + from && end < last && (*end == '.' || *end == ')') &&
           end + 1 < last && drift_is_space((unsigned char)end[1]);
}

static bool borne_out(const struct drift *d, struct slice sentence, struct slice *what,
                      struct err *err, int *code)
{
    bool boundary = true, opens = true;
    struct token t;

    for (size_t at = 0; (t = drift_next_token(sentence, &at, &boundary)).kind != TOKEN_END;) {
        bool good = t.kind == TOKEN_WORD     ? has_word(d, &t, opens)
                    : t.kind == TOKEN_NUMBER ? numbers_item(sentence, &t) || has_number(d, t.text)
                                             : has_words(d, t.text, err, code);

        *what = t.text;
        if (!good || *code)
            return false;
        opens &= t.kind != TOKEN_WORD;
    }
    return true;
}

int drift_check(const struct drift *d, struct slice text,
                void (*each)(void *user, struct slice sentence, bool borne_out), void *user,
                struct drift_found *out, struct err *err)
{
    int code = E_OK;

    *out = (struct drift_found){0};
    for (size_t from = 0; from < text.len && !code;) {
        size_t to = drift_sentence_end(text, from);
        struct slice sentence = slice_of(text.ptr + from, to - from), what;
        bool good = borne_out(d, sentence, &what, err, &code);

        if (!good && out->unborne++ == 0) {
            size_t len = utf8_cut(what, sizeof(out->what) - 1);
            memcpy(out->what, what.ptr, len);
        }
        out->sentences++;
        if (each && !code)
            each(user, sentence, good);
        from = to;
    }
    return code;
}
