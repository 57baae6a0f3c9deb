// SPDX-License-Identifier: MIT
// alike.c: see alike.h. No I/O; any thread.
#include "memory/alike.h"

#include "base/utf8.h"
#include "memory/terms.h"
#include <stdlib.h>
#include <strings.h>
#include <utf8proc.h>

enum { DECOMPOSED_MAX = 32, COMMON_MIN = 3, LONGER_OF = 4 };

static const utf8proc_option_t folding =
    UTF8PROC_COMPAT | UTF8PROC_DECOMPOSE | UTF8PROC_CASEFOLD | UTF8PROC_IGNORE;

// ---- the normal form

static bool is_white(int32_t c)
{
    utf8proc_category_t category = utf8proc_category(c);

    return c <= ' ' || c == 0x7f || category == UTF8PROC_CATEGORY_ZS ||
           category == UTF8PROC_CATEGORY_ZL || category == UTF8PROC_CATEGORY_ZP;
}

static bool is_quote(int32_t c)
{
    utf8proc_category_t category = utf8proc_category(c);

    // Those that open low, as in German, are of another category.
    return c == '"' || c == '\'' || c == '`' || c == 0x201a || c == 0x201e ||
           category == UTF8PROC_CATEGORY_PI || category == UTF8PROC_CATEGORY_PF;
}

static bool is_stop(int32_t c)
{
    return c == '.' || c == ',' || c == ';' || c == ':' || c == '!' || c == '?' || c == 0x3002;
}

// Without quotes and blanks around, and stops behind.
static struct slice trimmed(struct slice text)
{
    size_t end = 0, start = text.len;

    for (size_t at = 0; at < text.len;) {
        size_t from = at;
        int32_t c = utf8_next(text, &at);

        if (is_white(c) || is_quote(c))
            continue;
        if (start == text.len)
            start = from;
        if (!is_stop(c))
            end = at;
    }
    return end > start ? slice_of(text.ptr + start, end - start) : slice_of(text.ptr, 0);
}

static void add_folded(struct buf *out, int32_t c, bool *blank)
{
    int32_t made[DECOMPOSED_MAX];
    int boundary = 0;
    utf8proc_ssize_t n = utf8proc_decompose_char(c, made, DECOMPOSED_MAX, folding, &boundary);

    for (utf8proc_ssize_t i = 0; i < n && n <= DECOMPOSED_MAX; i++) {
        char bytes[4];

        if (is_white(made[i])) {
            *blank = out->len > 0;
            continue;
        }
        if (*blank)
            buf_add_char(out, ' ');
        *blank = false;
        buf_add(out, bytes, utf8_put(bytes, (uint32_t)made[i]));
    }
}

// Small letters and digits are their own normal form: "user", which most facts are of.
static bool is_normal(struct slice s)
{
    bool is = s.len > 0;

    for (size_t i = 0; i < s.len && is; i++)
        is = (s.ptr[i] >= 'a' && s.ptr[i] <= 'z') || (s.ptr[i] >= '0' && s.ptr[i] <= '9');
    return is;
}

int alike_normal(struct slice value, struct buf *out, struct err *err)
{
    if (is_normal(value)) {
        buf_add_slice(out, value);
        return buf_check(out, "a fact", err);
    }
    struct slice inner = trimmed(value);
    // A value of nothing but quotes and stops is what it is.
    struct slice text = inner.len ? inner : value;
    struct buf folded = BUF_INIT(text.len * 4 * DECOMPOSED_MAX + 1);
    bool blank = false;

    for (size_t at = 0; at < text.len;) {
        int32_t c = utf8_next(text, &at);

        if (c >= 0)
            add_folded(&folded, c, &blank);
    }
    buf_add_slice(out, buf_slice(&folded));
    int code = buf_check(&folded, "a fact", err);
    buf_release(&folded);
    return code ? code : buf_check(out, "a fact", err);
}

// ---- nearly the same

static int by_text(const void *key, const void *word)
{
    return slice_cmp(*(const struct slice *)key, slice_str(*(const char *const *)word));
}

// Words that say nothing of what a value is. Others that shape a sentence do: "to", "from", "with".
static bool is_light(struct slice stem)
{
    static const char *const words[] = {"a", "am", "an", "at", "be", "i", "in", "it", "my", "of",
                                        "on", "our", "that", "the", "this", "we"};

    return bsearch(&stem, words, sizeof(words) / sizeof(*words), sizeof(*words), by_text) != NULL;
}

// Words that turn a value into its contrary or end it, as stems; English, and the commonest others.
static bool denies(struct slice stem)
{
    static const char *const words[] = {
        "arent", "aucun", "cannot", "cant", "didnt", "doesnt", "dont", "except", "former",
        "formerli", "geen", "hardli", "hate", "ikke", "inte", "isnt", "jamai", "jamais", "kein",
        "keine", "keinen", "never", "nicht", "nie", "niemal", "niet", "no", "non", "none", "nor",
        "not", "nunca", "pas", "quit", "sans", "sin", "stop", "unless", "use", "wasnt", "without",
        "wont",
    };

    return bsearch(&stem, words, sizeof(words) / sizeof(*words), sizeof(*words), by_text) != NULL;
}

static bool has_digit(struct slice stem)
{
    for (size_t i = 0; i < stem.len; i++)
        if (stem.ptr[i] >= '0' && stem.ptr[i] <= '9')
            return true;
    return false;
}

static size_t next_sign(struct slice text, size_t at)
{
    static const char signs[] = "+#*%&@=<>^~|$/\\";

    while (at < text.len && (text.ptr[at] == '\0' || !strchr(signs, text.ptr[at])))
        at++;
    return at;
}

static bool same_signs(struct slice a, struct slice b)
{
    size_t i = next_sign(a, 0), k = next_sign(b, 0);

    while (i < a.len && k < b.len && a.ptr[i] == b.ptr[k]) {
        i = next_sign(a, i + 1);
        k = next_sign(b, k + 1);
    }
    return i == a.len && k == b.len;
}

// The next word that counts, from *at on; empty at the end.
static struct slice next_stem(const struct terms *t, size_t *at)
{
    while (*at < t->list.len) {
        const struct term *term = VEC_AT(&t->list, struct term, (*at)++);
        struct slice text = term_text(t, term);

        if (!term->whole && !is_light(text))
            return text;
    }
    return SLICE_NONE;
}

static size_t count_stems(const struct terms *t)
{
    size_t n = 0;

    for (size_t at = 0; next_stem(t, &at).len;)
        n++;
    return n;
}

// Whether the words of `few` are among those of `many` in the same order, and whether what `many`
// has more changes nothing.
static bool is_part(const struct terms *few, const struct terms *many)
{
    size_t i = 0, k = 0;
    struct slice want = next_stem(few, &i), got;

    while ((got = next_stem(many, &k)).len) {
        if (want.len && slice_eq(want, got))
            want = next_stem(few, &i);
        else if (has_digit(got) || denies(got))
            return false;
    }
    return !want.len;
}

// Whether a value is one word of a-z with a capital: a name, it may be. Only those are stemmed.
static bool is_name(struct slice value)
{
    size_t letters = 0;

    while (letters < value.len && ((value.ptr[letters] | 0x20) >= 'a') &&
           ((value.ptr[letters] | 0x20) <= 'z'))
        letters++;
    return letters && letters == value.len && value.ptr[0] <= 'Z';
}

static bool terms_near(const struct terms *a, const struct terms *b)
{
    size_t in_a = count_stems(a), in_b = count_stems(b);
    const struct terms *few = in_a < in_b ? a : b, *many = in_a < in_b ? b : a;
    size_t fewer = in_a < in_b ? in_a : in_b, more = in_a < in_b ? in_b : in_a;

    if (!fewer || (more > fewer && (fewer < COMMON_MIN || (more - fewer) * LONGER_OF > more)))
        return false;
    return is_part(few, many);
}

int alike_near(struct slice a, struct slice b, bool *near, struct err *err)
{
    struct terms in_a, in_b;
    int code = E_OK;

    *near = false;
    if (!same_signs(a, b))
        return E_OK;
    // Stems tell no names apart: "Ann", "Anne".
    if (is_name(a) && is_name(b)) {
        *near = a.len == b.len && strncasecmp(a.ptr, b.ptr, a.len) == 0;
        return E_OK;
    }
    terms_init(&in_a);
    terms_init(&in_b);
    code = terms_read(&in_a, a, err);
    if (!code)
        code = terms_read(&in_b, b, err);
    if (!code)
        *near = terms_near(&in_a, &in_b);
    terms_release(&in_a);
    terms_release(&in_b);
    return code;
}
