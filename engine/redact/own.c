// SPDX-License-Identifier: MIT
// own.c: patterns of a policy, by PCRE2 with JIT.
#define PCRE2_CODE_UNIT_WIDTH 8
#include "redact/own.h"

#include "base/mem.h"
#include "base/utf8.h"

#include <pcre2.h>

enum { LOOKBEHIND_MAX = 16, REASON_BYTES = 128 };  // characters, so OWN_BACK_BYTES hold them

struct own_pattern {
    char word[REDACT_OWN_NAME_BYTES + 1];
    char mask[REDACT_OWN_NAME_BYTES + 1];
    pcre2_code *code;  // anchored
    bool begins[256];
};

struct own_patterns {
    pcre2_general_context *memory;
    pcre2_match_context *limits;
    size_t len;
    struct own_pattern list[];
};

struct own_matcher {
    const struct own_patterns *patterns;
    pcre2_match_data *data;
    size_t exhausted;
};

static void *pcre_alloc(size_t bytes, void *user)
{
    (void)user;
    return mem_alloc(bytes);
}

static void pcre_free(void *p, void *user)
{
    (void)user;
    mem_free(p);
}

static const uint32_t compile_options = PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE |
                                        PCRE2_NEVER_BACKSLASH_C | PCRE2_MATCH_INVALID_UTF;

static int set_name(struct own_pattern *p, struct slice name, struct err *err)
{
    bool fine = name.len > 0 && name.len <= REDACT_OWN_NAME_BYTES && name.ptr[0] >= 'a' &&
                name.ptr[0] <= 'z';

    for (size_t i = 0; fine && i < name.len; i++) {
        char c = name.ptr[i];
        bool letter = c >= 'a' && c <= 'z';
        fine = letter || is_digit(c) || c == '_';
        p->word[i] = c;
        p->mask[i] = (char)(letter ? c - ('a' - 'A') : c);
    }
    if (!fine)
        return err_set(err, E_POLICY, "pattern '%.*s': a name is 1 to %d of a-z, 0-9 and _, and "
                       "begins with a letter", SLICE_FMT(name), REDACT_OWN_NAME_BYTES);
    if (redact_kind_find(name) >= 0)
        return err_set(err, E_POLICY, "pattern '%s': the name is that of a kind that is built in: "
                       "take another", p->word);
    return E_OK;
}

// Of PCRE2's knowledge of how matches begin.
static void learn_begins(struct own_pattern *p, const pcre2_code *code)
{
    const uint8_t *bitmap = NULL;
    uint32_t type = 0, unit = 0;

    pcre2_pattern_info(code, PCRE2_INFO_FIRSTCODETYPE, &type);
    pcre2_pattern_info(code, PCRE2_INFO_FIRSTCODEUNIT, &unit);
    pcre2_pattern_info(code, PCRE2_INFO_FIRSTBITMAP, &bitmap);
    for (unsigned i = 0; i < 256; i++) {
        bool first = to_lower((int)i) == to_lower((int)unit);  // it may be caseless
        bool listed = bitmap && (bitmap[i / 8] & (1U << (i % 8)));
        p->begins[i] = type == 1 && unit < 0x80 ? first : type == 0 && bitmap ? listed : true;
    }
}

static int compile(const struct own_patterns *o, struct own_pattern *p, struct slice text,
                   uint32_t options, pcre2_code **code, struct err *err)
{
    pcre2_compile_context *context = pcre2_compile_context_create(o->memory);
    PCRE2_SIZE at = 0;
    int why = 0;

    if (!context)
        return err_set(err, E_NOMEM, "out of memory for pattern '%s'", p->word);
    *code = pcre2_compile((PCRE2_SPTR)text.ptr, text.len, compile_options | options, &why, &at,
                          context);
    pcre2_compile_context_free(context);
    if (*code)
        return E_OK;
    PCRE2_UCHAR reason[REASON_BYTES] = "";
    pcre2_get_error_message(why, reason, sizeof(reason));
    if (why == PCRE2_ERROR_NOMEMORY || why == 121)  // ERR21 of a compilation: no heap memory
        return err_set(err, E_NOMEM, "out of memory for pattern '%s'", p->word);
    return err_set(err, E_POLICY, "pattern '%s': at byte %zu: %s", p->word, (size_t)at,
                   (const char *)reason);
}

// Texts on which repetition inside repetition shows: each is one character over and over, or two in
// turn, then one that no pattern is about, and last what PCRE2 knows that a match must
// have: without that it does not even begin.
static int try_out(const struct own_patterns *o, const struct own_pattern *p, struct err *err)
{
    static const char others[] = {'\0', ' ', '.'};
    char text[OWN_MATCH_BYTES];
    uint32_t last = 0;
    struct own_matcher *m;
    struct match found;

    pcre2_pattern_info(p->code, PCRE2_INFO_LASTCODEUNIT, &last);
    int code = own_matcher_new(&m, o, err);
    for (int c = ' '; code == E_OK && c < 0x7F; c++) {
        for (int pair = 0; pair < 3; pair++) {
            struct view v = {.ptr = text, .len = sizeof(text)};
            for (size_t i = 0; i < sizeof(text); i++)
                text[i] = (char)(pair && i % 2 ? others[pair] : c);
            text[sizeof(text) - 2] = '\1';
            text[sizeof(text) - 1] = (char)(last && last < 0x80 ? last : '\1');
            own_at(m, (size_t)(p - o->list), &v, 0, &found);
        }
        if (m->exhausted)
            code = err_set(err, E_POLICY, "pattern '%s' tries too many ways (on a line of '%c'): "
                           "let no repetition stand inside another, as in (a+)+", p->word, c);
    }
    own_matcher_free(m);
    return code;
}

static int make(struct own_patterns *o, const struct redact_own *from, struct err *err)
{
    struct own_pattern *p = &o->list[o->len++];
    uint32_t lookbehind = 0;
    pcre2_code *plain = NULL;

    int code = set_name(p, from->name, err);
    for (size_t i = 0; code == E_OK && i + 1 < o->len; i++)
        if (strcmp(o->list[i].word, p->word) == 0)
            code = err_set(err, E_POLICY, "pattern '%s' is there twice", p->word);
    if (code == E_OK && (from->pattern.len == 0 || from->pattern.len > REDACT_OWN_PATTERN_BYTES))
        code = err_set(err, E_POLICY, "pattern '%s': 1 to %d bytes", p->word,
                       REDACT_OWN_PATTERN_BYTES);
    if (code == E_OK)
        code = compile(o, p, from->pattern, 0, &plain, err);
    if (code == E_OK)
        code = compile(o, p, from->pattern, PCRE2_ANCHORED, &p->code, err);
    if (code == E_OK) {
        pcre2_pattern_info(plain, PCRE2_INFO_MAXLOOKBEHIND, &lookbehind);
        learn_begins(p, plain);
        // Without JIT (no executable memory, say) it is interpreted: slower, the same results.
        pcre2_jit_compile(p->code, PCRE2_JIT_COMPLETE | PCRE2_JIT_PARTIAL_HARD);
    }
    pcre2_code_free(plain);
    if (code == E_OK && lookbehind > LOOKBEHIND_MAX)
        code = err_set(err, E_POLICY, "pattern '%s' looks behind by %u characters: %d at most",
                       p->word, (unsigned)lookbehind, LOOKBEHIND_MAX);
    return code == E_OK ? try_out(o, p, err) : code;
}

int own_patterns_new(struct own_patterns **out, const struct redact_own *list, size_t n,
                     struct err *err)
{
    int code = E_OK;

    *out = NULL;
    if (n > REDACT_OWN_MAX)
        return err_set(err, E_POLICY, "%zu patterns: %d at most", n, REDACT_OWN_MAX);
    struct own_patterns *o = mem_zalloc(sizeof(*o) + n * sizeof(o->list[0]));
    if (o)
        o->memory = pcre2_general_context_create(pcre_alloc, pcre_free, NULL);
    if (o && o->memory)
        o->limits = pcre2_match_context_create(o->memory);
    if (!o || !o->limits)
        code = err_set(err, E_NOMEM, "out of memory for patterns");
    if (code == E_OK) {
        pcre2_set_match_limit(o->limits, OWN_STEPS_MAX);
        pcre2_set_depth_limit(o->limits, OWN_DEPTH_MAX);
        pcre2_set_heap_limit(o->limits, OWN_HEAP_KIB_MAX);
    }
    for (size_t i = 0; code == E_OK && i < n; i++)
        code = make(o, &list[i], err);
    if (code != E_OK)
        own_patterns_free(o);
    else
        *out = o;
    return code;
}

void own_patterns_free(struct own_patterns *o)
{
    if (!o)
        return;
    for (size_t i = 0; i < o->len; i++)
        pcre2_code_free(o->list[i].code);
    pcre2_match_context_free(o->limits);
    pcre2_general_context_free(o->memory);
    mem_free(o);
}

size_t own_patterns_len(const struct own_patterns *o)
{
    return o->len;
}

const char *own_word(const struct own_patterns *o, size_t i)
{
    BUG_ON(i >= o->len);
    return o->list[i].word;
}

const char *own_mask(const struct own_patterns *o, size_t i)
{
    BUG_ON(i >= o->len);
    return o->list[i].mask;
}

bool own_begins(const struct own_patterns *o, size_t i, unsigned char byte)
{
    return o->list[i].begins[byte];
}

int own_matcher_new(struct own_matcher **out, const struct own_patterns *o, struct err *err)
{
    struct own_matcher *m = mem_zalloc(sizeof(*m));

    *out = NULL;
    if (m)
        m->data = pcre2_match_data_create(1, o->memory);
    if (!m || !m->data) {
        own_matcher_free(m);
        return err_set(err, E_NOMEM, "out of memory for matching patterns");
    }
    m->patterns = o;
    *out = m;
    return E_OK;
}

void own_matcher_free(struct own_matcher *m)
{
    if (m)
        pcre2_match_data_free(m->data);
    mem_free(m);
}

size_t own_exhausted(const struct own_matcher *m)
{
    return m->exhausted;
}

// Where what a pattern sees begins: in the line, at a character.
static size_t sight_start(const struct view *v, size_t at)
{
    size_t start = at, least = at > OWN_BACK_BYTES ? at - OWN_BACK_BYTES : 0;

    while (start > least && view_before(v, start) != '\n')
        start--;
    while (start < at && (v->ptr[start] & 0xC0) == 0x80)
        start++;
    return start;
}

bool own_at(struct own_matcher *m, size_t i, struct view *v, size_t at, struct match *out)
{
    const struct own_pattern *p = &m->patterns->list[i];
    size_t from = sight_start(v, at), end = at;
    uint32_t options = from > 0 && v->ptr[from - 1] != '\n' ? PCRE2_NOTBOL : 0;

    if (at >= v->len || (v->ptr[at] & 0xC0) == 0x80)
        return false;
    const char *line_end = memchr(v->ptr + at, '\n', v->len - at);
    end = line_end ? (size_t)(line_end - v->ptr) : v->len;
    if (end - at > OWN_MATCH_BYTES)
        end = at + utf8_cut(slice_of(v->ptr + at, end - at), OWN_MATCH_BYTES);
    else if (!line_end && v->open)
        options |= PCRE2_PARTIAL_HARD;
    int rc = pcre2_match(p->code, (PCRE2_SPTR)(v->ptr + from), end - from, at - from, options,
                         m->data, m->patterns->limits);
    if (rc == PCRE2_ERROR_PARTIAL)
        v->hit = true;
    else if (rc < 0 && rc != PCRE2_ERROR_NOMATCH)
        m->exhausted++;
    if (rc < 0)
        return false;
    *out = (struct match){.end = from + pcre2_get_ovector_pointer(m->data)[1], .score = OWN_SCORE};
    return out->end > at;
}
