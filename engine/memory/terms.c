// SPDX-License-Identifier: MIT
// terms.c: see terms.h. Text is turned into characters first, then cut at the borders of words.
#include "memory/terms.h"

#include "base/mem.h"
#include "base/utf8.h"
#include "memory/stem.h"
#include <stdlib.h>
#include <utf8proc.h>

enum { DECOMPOSED_MAX = 32 };  // characters that one can become (U+FDFA: 18)

enum kind { OTHER, LETTER, DIGIT, SPACELESS, APOSTROPHE, JOINT };

void terms_init(struct terms *t)
{
    *t = (struct terms){0};
    buf_init(&t->text, (size_t)TERMS_MAX * (TERM_BYTES_MAX + 1));
    vec_init(&t->list, sizeof(struct term), TERMS_MAX);
}

void terms_release(struct terms *t)
{
    buf_release(&t->text);
    vec_release(&t->list);
    mem_free(t->chars);
    *t = (struct terms){0};
}

// ---- characters

static int make_room(struct terms *t, size_t need, struct err *err)
{
    if (need <= t->chars_cap)
        return E_OK;
    size_t cap = need + need / 2;
    int32_t *grown = mem_realloc(t->chars, cap * sizeof(*grown));
    if (!grown)
        return err_set(err, E_NOMEM, "memory: out of memory while reading a text's characters");
    t->chars = grown;
    t->chars_cap = cap;
    return E_OK;
}

// Marks that people leave out when they type.
static bool is_dropped_mark(int32_t c)
{
    return (c >= 0x300 && c <= 0x36f) || (c >= 0x483 && c <= 0x487) ||
           (c >= 0x591 && c <= 0x5c7 && c != 0x5be && c != 0x5c0 && c != 0x5c3 && c != 0x5c6) ||
           (c >= 0x610 && c <= 0x61a) || c == 0x640 || (c >= 0x64b && c <= 0x65f) || c == 0x670;
}

static int read_chars(struct terms *t, struct slice text, size_t *len, struct err *err)
{
    const utf8proc_option_t how =
        UTF8PROC_COMPAT | UTF8PROC_DECOMPOSE | UTF8PROC_CASEFOLD | UTF8PROC_IGNORE;
    size_t n = 0;
    bool ascii = true;

    for (size_t at = 0; at < text.len;) {
        int rc = make_room(t, n + DECOMPOSED_MAX, err);
        if (rc)
            return rc;
        unsigned char byte = (unsigned char)text.ptr[at];
        if (byte < 0x80) {
            t->chars[n++] = byte >= 'A' && byte <= 'Z' ? byte + ('a' - 'A') : byte;
            at++;
            continue;
        }
        int32_t c = utf8_next(text, &at);
        int32_t made[DECOMPOSED_MAX];
        int boundary = 0;
        utf8proc_ssize_t got =
            c < 0 ? -1 : utf8proc_decompose_char(c, made, DECOMPOSED_MAX, how, &boundary);
        ascii = false;
        if (got < 0 || got > DECOMPOSED_MAX) {
            t->chars[n++] = ' ';
            continue;
        }
        for (utf8proc_ssize_t i = 0; i < got; i++)
            if (!is_dropped_mark(made[i]))
                t->chars[n++] = made[i];
    }
    if (!ascii) {
        utf8proc_ssize_t whole = utf8proc_normalize_utf32(t->chars, (utf8proc_ssize_t)n,
                                                          UTF8PROC_COMPOSE | UTF8PROC_STABLE);
        n = whole < 0 ? 0 : (size_t)whole;
    }
    *len = n;
    return E_OK;
}

static bool is_han(int32_t c)
{
    return (c >= 0x3400 && c <= 0x4dbf) || (c >= 0x4e00 && c <= 0x9fff) ||
           (c >= 0xf900 && c <= 0xfaff) || (c >= 0x20000 && c <= 0x323af) || c == 0x3005;
}

static bool is_spaceless(int32_t c)
{
    return is_han(c) || (c >= 0x3041 && c <= 0x30ff && c != 0x30fb) ||
           (c >= 0x31f0 && c <= 0x31ff) || (c >= 0xac00 && c <= 0xd7a3) ||
           (c >= 0x0e01 && c <= 0x0ecd) || (c >= 0x1000 && c <= 0x103f) ||
           (c >= 0x1780 && c <= 0x17d3);
}

static enum kind kind_of(int32_t c)
{
    if (c < 0x80) {
        if (c >= 'a' && c <= 'z')
            return LETTER;
        if (c >= '0' && c <= '9')
            return DIGIT;
        return c == '\'' ? APOSTROPHE : c && strchr("-.:/_@+,", c) ? JOINT : OTHER;
    }
    if (c == 0x2019 || c == 0x2bc)
        return APOSTROPHE;
    if (c == 0x2010)
        return JOINT;
    utf8proc_category_t category = utf8proc_category(c);
    if (category >= UTF8PROC_CATEGORY_ND && category <= UTF8PROC_CATEGORY_NO)
        return DIGIT;
    if (category < UTF8PROC_CATEGORY_LU || category > UTF8PROC_CATEGORY_ME)
        return OTHER;
    return is_spaceless(c) ? SPACELESS : LETTER;
}

// ---- terms

// Appends one term of these characters; what passes TERM_BYTES_MAX is left out.
static void add(struct terms *t, const int32_t *chars, size_t len, bool whole)
{
    char bytes[TERM_BYTES_MAX];
    size_t n = 0;

    for (size_t i = 0; i < len && n + 4 <= sizeof(bytes); i++)
        n += utf8_put(bytes + n, (uint32_t)chars[i]);
    if (!n || t->list.len == TERMS_MAX)
        return;
    if (n < STEM_WORD_MAX)
        n = stem_english(bytes, n);
    size_t at = t->text.len;
    buf_add(&t->text, bytes, n);
    struct term *term = buf_ok(&t->text) ? vec_push(&t->list) : NULL;
    if (!term) {
        t->text.failed = true;
        return;
    }
    *term = (struct term){.at = (uint32_t)at, .len = (uint8_t)n, .whole = whole};
    t->words += !whole;
}

// Whether a word's last piece, behind an apostrophe, is a clitic of English.
static bool is_clitic(const int32_t *chars, size_t len)
{
    static const char *const clitics[] = {"s", "ll", "re", "ve", "d", "m"};
    char text[4];

    if (len == 0 || len > 2)
        return len == 0;
    for (size_t i = 0; i < len; i++)
        text[i] = (char)(chars[i] < 0x80 ? chars[i] : '?');
    text[len] = '\0';
    for (size_t i = 0; i < sizeof(clitics) / sizeof(*clitics); i++)
        if (strcmp(text, clitics[i]) == 0)
            return true;
    return false;
}

// A word: letters and digits, with apostrophes between them.
static void add_word(struct terms *t, const int32_t *chars, size_t len)
{
    int32_t joined[TERM_BYTES_MAX];
    size_t first = len, last = 0, n = 0;

    for (size_t i = 0; i < len; i++) {
        if (kind_of(chars[i]) != APOSTROPHE)
            continue;
        first = first == len ? i : first;
        last = i;
    }
    if (first < len) {
        if (is_clitic(chars + last + 1, len - last - 1))
            len = last;
        if (first < len && first <= 2 && len - first - 1 >= 3) {
            chars += first + 1;
            len -= first + 1;
        }
    }
    for (size_t i = 0; i < len && n < TERM_BYTES_MAX; i++)
        if (kind_of(chars[i]) != APOSTROPHE)
            joined[n++] = chars[i];
    add(t, joined, n, false);
}

// A chunk: words held together by joints.
static void add_chunk(struct terms *t, const int32_t *chars, size_t len)
{
    bool joints = false, digits = false;
    size_t from = 0;

    for (size_t i = 0; i <= len; i++) {
        enum kind k = i < len ? kind_of(chars[i]) : JOINT;
        digits |= k == DIGIT || (i < len && chars[i] == '_');
        if (k != JOINT)
            continue;
        joints |= i < len;
        add_word(t, chars + from, i - from);
        from = i + 1;
    }
    if (!joints || !digits)
        return;
    int32_t whole[TERM_BYTES_MAX];
    size_t n = 0;
    for (size_t i = 0; i < len && n < TERM_BYTES_MAX; i++)
        if (chars[i] != ',' && kind_of(chars[i]) != APOSTROPHE)
            whole[n++] = chars[i];
    add(t, whole, n, true);
}

static void add_spaceless(struct terms *t, const int32_t *chars, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (i + 1 < len)
            add(t, chars + i, 2, false);
        if (len == 1 || is_han(chars[i]))
            add(t, chars + i, 1, len > 1);
    }
}

static bool in_word(enum kind k)
{
    return k == LETTER || k == DIGIT;
}

int terms_read(struct terms *t, struct slice text, struct err *err)
{
    size_t len = 0;

    buf_clear(&t->text);
    vec_clear(&t->list);
    t->words = 0;
    text.len = utf8_cut(text, TERMS_TEXT_BYTES_MAX);
    int rc = read_chars(t, text, &len, err);
    if (rc)
        return rc;
    for (size_t i = 0; i < len;) {
        enum kind k = kind_of(t->chars[i]);
        size_t from = i;
        if (k == SPACELESS) {
            while (i < len && kind_of(t->chars[i]) == SPACELESS)
                i++;
            add_spaceless(t, t->chars + from, i - from);
        } else if (in_word(k)) {
            // A joint or an apostrophe belongs to the chunk where a word goes on behind it.
            while (i < len && (in_word(k = kind_of(t->chars[i])) ||
                               ((k == JOINT || k == APOSTROPHE) && i + 1 < len &&
                                in_word(kind_of(t->chars[i + 1])))))
                i++;
            add_chunk(t, t->chars + from, i - from);
        } else {
            i++;
        }
    }
    if (buf_ok(&t->text))
        return E_OK;
    buf_clear(&t->text);
    vec_clear(&t->list);
    t->words = 0;
    return err_set(err, E_NOMEM, "memory: out of memory while reading a text's terms");
}

static int by_text(const void *key, const void *item)
{
    return slice_cmp(*(const struct slice *)key, slice_str(*(const char *const *)item));
}

bool term_is_function_word(struct slice term)
{
    // As stems, sorted.
    static const char *const words[] = {
        "a",     "about",  "an",   "and",   "at",    "be",   "by",    "can",  "could",
        "do",    "for",    "from", "have",  "he",    "her",  "him",   "his",  "how",
        "i",     "in",     "it",   "me",    "my",    "of",   "on",    "or",   "our",
        "she",   "should", "that", "the",   "their", "them", "they",  "this", "to",
        "us",    "we",     "what", "when",  "where", "whi",  "which", "who",  "whom",
        "whose", "will",   "with", "would", "you",   "your",
    };
    return bsearch(&term, words, sizeof(words) / sizeof(*words), sizeof(*words), by_text) != NULL;
}
