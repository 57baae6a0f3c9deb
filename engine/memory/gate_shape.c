// SPDX-License-Identifier: MIT
// gate_shape.c: what marks show to be material, and what nobody sees.
//
// Lines first: fences (all between the first and the last, as what is pasted may have fences of its
// own), quoted lines with those that lean on them, code, markup from its first sign to its last,
// lists, logs, rules across the page and headings (to the end). Then quotations, of as many marks
// as the world's languages have.
#include "memory/gate_int.h"

#include "base/utf8.h"

#include <string.h>

enum { NONE = -1 };

void gate_mark(struct gate_text *t, size_t start, size_t end, enum gate_why why)
{
    for (size_t i = start; i < end && i < t->text.len; i++)
        if (t->zone[i] == OWN)
            t->zone[i] = (uint8_t)why;
}

bool gate_is_delimited(enum gate_why why)
{
    return why == WHY_QUOTED || why == WHY_FENCE || why == WHY_QUOTATION || why == WHY_MARKUP ||
           why == WHY_CODE;
}

// ---- lines

// From the first to the last place that shows a thing.
struct hull {
    size_t first, last;
    size_t count;
};

static void hull_add(struct hull *h, size_t start, size_t end)
{
    if (h->count++ == 0)
        h->first = start;
    h->last = end;
}

static bool begins(struct slice line, const char *with)
{
    return slice_starts(line, slice_str(with));
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (unsigned char)c >= 0x80;
}

static bool is_quoted_line(struct slice line)
{
    return begins(line, ">") || begins(line, "|") || begins(line, "&gt;") || begins(line, "&GT;") ||
           begins(line, "\xef\xbc\x9e") /* fullwidth > */ || begins(line, "\xe2\x94\x82") ||
           begins(line, "\xe2\x80\xba");
}

// "- this", "* this", "1. this", "(2) this", "• this"
static bool is_list_item(struct slice line)
{
    static const char *const bullets[] = {"- ", "* ", "+ ", "\xe2\x80\xa2", "\xe2\x80\x93 ",
                                          "\xe2\x80\x94 ", "\xe2\x97\xa6", "\xe2\x96\xaa",
                                          "\xc2\xb7", "[ ]", "[x]", "\xe2\x80\x94", "\xe2\x80\x93"};
    size_t at = line.len && line.ptr[0] == '(';

    for (size_t i = 0; i < sizeof(bullets) / sizeof(*bullets); i++)
        if (begins(line, bullets[i]))
            return true;
    if (line.len > 1 && strchr("-*+", line.ptr[0]) && line.ptr[1] == '\xc2')  // a wide blank
        return true;
    while (at < line.len && at < 4 && is_digit(line.ptr[at]))
        at++;
    // "a) this", "Q1. this"
    bool lettered = line.len > 2 && is_letter(line.ptr[0]) &&
                    (line.ptr[1] == ')' || (is_digit(line.ptr[1]) && strchr(".)", line.ptr[2])));
    if (lettered)
        return true;
    return at && at + 1 < line.len && is_digit(line.ptr[at - 1]) &&
           strchr(".)", line.ptr[at]) && line.ptr[at + 1] == ' ';
}

// "[12:34]", "2026-03-01 10:00", "12:34:56,789 -->", "10:02 Bob"
static bool is_logged(struct slice line)
{
    size_t at = line.len && strchr("[(", line.ptr[0]) ? 1 : 0, digits = 0;
    unsigned parts = 0;

    for (; at < line.len && at < 30; at++) {
        char c = line.ptr[at];
        digits += is_digit(c);
        if (!is_digit(c) && !strchr("-:/.,T ", c))
            break;
        parts += c == ':' || c == '-' || c == '/';
    }
    return digits >= 3 && parts >= 1;
}

// "— Oscar Wilde", "~ Oscar", "- Oscar Wilde": who said what stands before.
static bool is_attribution(struct slice line)
{
    static const char *const dashes[] = {"\xe2\x80\x94", "\xe2\x80\x93", "\xe2\x80\x95", "~", "--",
                                         "-"};
    size_t at = 0, words = 0;

    for (size_t i = 0; i < sizeof(dashes) / sizeof(*dashes) && !at; i++)
        at = begins(line, dashes[i]) ? strlen(dashes[i]) : 0;
    while (at && at < line.len && line.ptr[at] == ' ')
        at++;
    bool hyphen = line.len && line.ptr[0] == '-';
    if (at == 0 || at == line.len || !is_letter(line.ptr[at]) ||
        (hyphen && line.ptr[at] >= 'a' && line.ptr[at] <= 'z'))
        return false;
    for (size_t i = at; i < line.len; i++)
        words += line.ptr[i] == ' ';
    return words < 4 && !strchr(".!?", line.ptr[line.len - 1]);
}

static bool is_rule(struct slice line)
{
    static const char *const titles[] = {"===", "***", "+++", "___", "---", "###", "~~~", "<<<"};
    size_t marks = 0;

    for (size_t i = 0; i < sizeof(titles) / sizeof(*titles); i++)
        if (begins(line, titles[i]))
            return true;
    for (size_t i = 0; i < line.len; i++) {
        if (!strchr("-=_*~#+. ", line.ptr[i]))
            return false;
        marks += line.ptr[i] != ' ' && line.ptr[i] != '.';
    }
    return marks >= 2;
}

static bool has(struct slice line, const char *what)
{
    return memmem(line.ptr, line.len, what, strlen(what)) != NULL;
}

// An equals sign that is no smiley.
static bool has_equals(struct slice line)
{
    for (size_t i = 0; i < line.len; i++)
        if (line.ptr[i] == '=' && !(i + 1 < line.len && strchr(")(DPp]/", line.ptr[i + 1])))
            return true;
    return false;
}

// "mail.read(id=4)", and nothing else on the line.
static bool is_call(struct slice line)
{
    size_t at = 0;
    bool joined = false;

    while (at < line.len && (is_letter(line.ptr[at]) || is_digit(line.ptr[at]) ||
                             strchr("._", line.ptr[at])))
        joined |= strchr("._", line.ptr[at++]) != NULL;
    return joined && at < line.len && line.ptr[at] == '(' && line.ptr[line.len - 1] == ')';
}

// "$ whoami", "sqlite> select", "git log --oneline": what follows is what a machine answers.
static bool is_command(struct slice line)
{
    if (line.ptr[0] == '$' && line.len > 1 && strchr(" \xc2", line.ptr[1]))
        return true;
    for (size_t i = 1; i + 2 < line.len && line.ptr[i] != '<'; i++) {
        const char *at = line.ptr + i;
        bool prompt = strchr("$%>#", at[0]) && strchr(" \xc2", at[1]);
        bool option = strchr(" \xa0", at[-1]) && at[0] == '-' && at[1] == '-';
        bool path = at[-1] == '~' || at[-1] == '/';

        if (prompt && (path || (at[0] != '#' && is_letter(at[-1]))))
            return true;
        if (option && is_letter(at[2]) && (at[2] & 0x80) == 0)
            return true;
    }
    return false;
}

// "; this", "' this", "% this"
static bool is_remark(struct slice line)
{
    return line.len > 1 && ((strchr(";'%:,$", line.ptr[0]) && strchr(" \xc2", line.ptr[1])) ||
                            begins(line, "\xe2\x80\x99 "));
}

// "*enters the tavern*"
static bool is_acted(struct slice line)
{
    return line.len > 2 && strchr("*_", line.ptr[0]) && is_letter(line.ptr[1]) &&
           memchr(line.ptr + 1, line.ptr[0], line.len - 1);
}

// "parse("x")", "run()"
static bool has_call(struct slice line)
{
    for (size_t i = 1; i + 1 < line.len; i++)
        if (line.ptr[i] == '(' && is_letter(line.ptr[i - 1]) && strchr("\"')", line.ptr[i + 1]))
            return true;
    return false;
}

static bool is_code(struct slice line)
{
    static const char *const signs[] = {"{", "}", "\t", "\\", "/*", "*/", "-->", "->", "<-", "=>",
                                        "::", "&&", "||", "\",\"", "\":", "','", "':", "();",
                                        "$(", " | ", "%%", "[[", "]]", "<|", "|>", "\xe2\x86\x92"};
    size_t commas = 0;

    for (size_t i = 0; i < sizeof(signs) / sizeof(*signs); i++)
        if (has(line, signs[i]))
            return true;
    if (is_remark(line) || has_call(line))
        return true;
    if (has_equals(line) || line.ptr[line.len - 1] == ';' || begins(line, "//") ||
        has(line, " // "))
        return true;
    for (size_t i = 0; i + 1 < line.len; i++)
        commas += (line.ptr[i] == ',' || line.ptr[i] == ';') && is_letter(line.ptr[i + 1]) &&
                  (unsigned char)line.ptr[i + 1] < 0x80;
    return commas >= 2;
}

// "<b>", "</p>", "<!--", "<?php": where a tag stands, NONE without one.
static long find_tag(struct slice line)
{
    for (size_t i = 0; i + 1 < line.len; i++) {
        char c = line.ptr[i + 1];
        if (line.ptr[i] == '<' && ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                                   strchr("/!?_", c)))
            return (long)i;
    }
    return NONE;
}

// A bracket that is no mask of redaction and no aside: "[Chorus]", "[Music]", "[INST]".
static bool has_bracket(struct slice line)
{
    for (size_t i = 0; i + 1 < line.len; i++)
        if (line.ptr[i] == '[') {
            size_t at = i + 1 + (line.ptr[i + 1] == '\\');
            while (at < line.len && ((line.ptr[at] >= 'A' && line.ptr[at] <= 'Z') ||
                                     line.ptr[at] == '_' || is_digit(line.ptr[at])))
                at++;
            bool mask = at < line.len && line.ptr[at] == ']' && is_digit(line.ptr[at - 1]) &&
                        memchr(line.ptr + i, '_', at - i);
            if (!mask)
                return true;
            i = at;
        }
    return false;
}

// Signs of pages and songs: they are all of the message.
static bool is_page(struct slice line)
{
    static const char *const signs[] = {"\xe2\xad\x90", "\xc2\xa9", "\xe2\x98\x85", "\xe2\x98\x86",
                                        "\xe2\x99\xaa", "\xe2\x99\xab", "\xe2\x80\xbb",
                                        "\xc2\xb6", "\xe2\x96\xba", "\xe2\x9c\x93",
                                        " \xc2\xb7", "\xa0\xc2\xb7"};

    for (size_t i = 0; i < sizeof(signs) / sizeof(*signs); i++)
        if (has(line, signs[i]))
            return true;
    // What is not meant ends so.
    return slice_ends(line, SLICE_LIT(" /s")) || slice_ends(line, SLICE_LIT(" /S"));
}

// "(laughs)", "(soft music)": a line of its own that nobody says.
static bool is_staged(struct slice line)
{
    enum { WORDS_MAX = 3 };
    size_t blanks = 0;

    for (size_t i = 0; i < line.len; i++)
        blanks += line.ptr[i] == ' ';
    return line.len > 3 && line.ptr[0] == '(' && line.ptr[line.len - 1] == ')' &&
           is_letter(line.ptr[1]) && blanks < WORDS_MAX;
}

static bool is_markup(struct slice line)
{
    static const char *const signs[] = {"](", "&nbsp;", "&quot;", "&amp;", "&lt;", "&#", "**",
                                        "__", " / ", "\xa0/"};

    for (size_t i = 0; i < sizeof(signs) / sizeof(*signs); i++)
        if (has(line, signs[i]))
            return true;
    return is_acted(line) || find_tag(line) != NONE;
}

static bool is_heading(struct slice line)
{
    return line.ptr[0] == '#' && line.len > 1 && !is_digit(line.ptr[1]);
}

// A line with nothing but an address, or one that ends with it: a page follows.
static bool is_link(struct slice line)
{
    for (size_t i = line.len; i > 0 && line.ptr[i - 1] != ' '; i--) {
        struct slice rest = slice_of(line.ptr + i - 1, line.len - i + 1);
        if (has(slice_of(rest.ptr, rest.len < 12 ? rest.len : 12), "://") ||
            begins(rest, "www.") || begins(rest, "WWW.") || begins(rest, "[URL_"))
            return true;
    }
    return false;
}

// What begins lines of material, within one: after words that were put before it.
static size_t inner_sign(struct slice line)
{
    static const char *const signs[] = {" > ", " >> ", "&gt;", " ~~~", " -- ", " --- ", " ===",
                                        " ***", " # ", "## ", " | "};
    size_t first = has_bracket(line) ? 0 : line.len;

    for (size_t i = 0; i < sizeof(signs) / sizeof(*signs); i++) {
        const char *at = memmem(line.ptr, line.len, signs[i], strlen(signs[i]));
        if (at && (size_t)(at - line.ptr) < first)
            first = (size_t)(at - line.ptr);
    }
    for (size_t i = 0; i + 2 < line.len && i < first; i++) {
        struct slice rest = slice_of(line.ptr + i + 2, line.len - i - 2);
        bool begun = strchr(".!?", line.ptr[i]) && line.ptr[i + 1] == ' ' &&
                     (unsigned char)rest.ptr[0] < 0x80;
        if (begun && (is_list_item(rest) || is_logged(rest) || is_remark(rest) || is_acted(rest)))
            first = i + 2;
    }
    // "(00:12)"
    for (size_t i = 0; i + 5 < line.len && i < first; i++)
        if (line.ptr[i] == '(' && is_digit(line.ptr[i + 1]) &&
            (line.ptr[i + 2] == ':' || line.ptr[i + 3] == ':'))
            first = i;
    return first;
}

static size_t find_fence(struct slice line)
{
    for (size_t i = 0; i + 2 < line.len; i++)
        if ((line.ptr[i] == '`' || line.ptr[i] == '~') && line.ptr[i + 1] == line.ptr[i] &&
            line.ptr[i + 2] == line.ptr[i])
            return i;
    return line.len;
}

struct lines {
    struct hull fences, markup, code;
    size_t rest;          // what a line opens that goes on to the end; SIZE_MAX: none does
    enum gate_why rest_why;
    bool page;            // it has signs of a page
    size_t attributed;    // what stands before it is said by who is named there
    bool leans;           // the line before was material; one that follows it at once leans on it
    enum gate_why leans_on;
};

static void open_rest(struct lines *l, size_t at, enum gate_why why)
{
    if (l->rest == SIZE_MAX) {
        l->rest = at;
        l->rest_why = why;
    }
}

// A blank that breaks no line, U+00A0.
static bool is_wide_blank(const struct gate_text *t, size_t at)
{
    return at + 1 < t->text.len && t->text.ptr[at] == '\xc2' && t->text.ptr[at + 1] == '\xa0';
}

static void one_line(struct gate_text *t, struct lines *l, size_t start, size_t end)
{
    size_t from = start, to = end;
    enum gate_why why = OWN;

    while (from < to && (strchr(" \t\r", t->text.ptr[from]) || is_wide_blank(t, from)))
        from += is_wide_blank(t, from) ? 2 : 1;
    while (to > from && strchr(" \t\r\n", t->text.ptr[to - 1]))
        to--;
    struct slice line = slice_of(t->text.ptr + from, to - from);
    if (line.len == 0) {
        l->leans = false;
        return;
    }
    bool tab = memchr(t->text.ptr + start, '\t', from - start) != NULL;
    size_t fence = find_fence(line);
    if (fence < line.len)
        hull_add(&l->fences, fence ? from + fence : start, end);
    l->page |= is_page(line) || (is_staged(line) && line.len + 2 < t->text.len);
    if (is_attribution(line))
        l->attributed = end;
    if (is_quoted_line(line))
        why = WHY_QUOTED;
    else if (is_rule(line) || begins(line, "--") || is_heading(line))
        open_rest(l, start, WHY_PAGE);
    else if (is_logged(line) || is_command(line) || is_call(line) || has(line, " --> "))
        open_rest(l, start, WHY_LOG);
    else if (is_markup(line))
        hull_add(&l->markup, find_tag(line) > 0 ? from + (size_t)find_tag(line) : start, end);
    else if (is_code(line) || tab || from - start >= 4)
        hull_add(&l->code, start, end);
    else if (is_list_item(line))
        why = WHY_LIST;
    else if (l->leans)
        why = l->leans_on;
    // "**Tom** wrote:" introduces what follows.
    if (is_link(line) || (is_markup(line) && line.ptr[line.len - 1] == ':'))
        open_rest(l, end, WHY_PAGE);
    size_t inside = inner_sign(line);
    if (inside < line.len)
        open_rest(l, from + inside, WHY_PAGE);
    if (why != OWN)
        gate_mark(t, start, end, why);
    l->leans = why != OWN;
    l->leans_on = why;
}

static void shape_lines(struct gate_text *t)
{
    struct lines l = {.rest = SIZE_MAX};

    for (size_t start = 0; start < t->text.len;) {
        const char *feed = memchr(t->text.ptr + start, '\n', t->text.len - start);
        size_t end = feed ? (size_t)(feed - t->text.ptr) + 1 : t->text.len;

        one_line(t, &l, start, end);
        start = end;
    }
    // What is fenced may have fences: without a partner, the last one is open.
    if (l.fences.count)
        gate_mark(t, l.fences.first, l.fences.count % 2 ? t->text.len : l.fences.last, WHY_FENCE);
    // Of both, all between them: a page with code in it, data with tags in them.
    if (l.markup.count && l.code.count) {
        hull_add(&l.code, l.code.first, l.code.last > l.markup.last ? l.code.last : l.markup.last);
        l.code.first = l.code.first < l.markup.first ? l.code.first : l.markup.first;
    }
    if (l.markup.count)
        gate_mark(t, l.markup.first, l.markup.last, WHY_MARKUP);
    if (l.code.count)
        gate_mark(t, l.code.first, l.code.last, WHY_CODE);
    gate_mark(t, 0, l.attributed, WHY_LETTER);
    if (l.page)
        gate_mark(t, 0, t->text.len, WHY_PAGE);
    if (l.rest != SIZE_MAX)
        gate_mark(t, l.rest, t->text.len, l.rest_why);
}

// ---- quotations

static int32_t closer(int32_t c)
{
    switch (c) {
    case '"': return '"';
    case '`': return '`';
    case 0xff02: return 0xff02;
    case 0x201c: case 0x201f: return 0x201d;
    case 0x201e: return 0x201c;
    case 0xab: return 0xbb;
    case 0xbb: return 0xab;
    case 0x2039: return 0x203a;
    case 0x203a: return 0x2039;
    case 0x300c: return 0x300d;
    case 0x300e: return 0x300f;
    case 0x300a: return 0x300b;
    case 0x301d: return 0x301e;
    default: return 0;
    }
}

static bool closes(int32_t c, int32_t opened)
{
    int32_t wanted = closer(opened);
    // German and English marks, and what keyboards make of them.
    bool double_mark = wanted == 0x201d || wanted == 0x201c || wanted == '"';

    if (c == wanted)
        return true;
    return double_mark && opened != '"' && (c == 0x201d || c == 0x201c || c == '"');
}

static void shape_quotations(struct gate_text *t)
{
    int32_t opened = 0;
    size_t start = 0;
    struct hull all = {0};

    for (size_t at = 0; at < t->text.len;) {
        size_t from = at;
        int32_t c = utf8_next(t->text, &at);

        if (c < 0x80 && c != '"' && c != '`')
            continue;
        if ((closer(c) || c == 0x201d) && t->zone[from] != WHY_FENCE && t->zone[from] != WHY_QUOTED)
            hull_add(&all, from, at);
        if (opened && closes(c, opened)) {
            gate_mark(t, start, at, WHY_QUOTATION);
            opened = 0;
        } else if (!opened && c == 0x201d) {
            gate_mark(t, start, at, WHY_QUOTATION);  // closed and never opened
        } else if (!opened && closer(c) && t->zone[from] != WHY_FENCE &&
                   t->zone[from] != WHY_QUOTED &&
                   !(c == '"' && from && is_digit(t->text.ptr[from - 1]))) {
            opened = c;
            start = from;
        }
    }
    // Of more than one, who is to say which marks belong together: all between the first and last.
    if (all.count > 2)
        gate_mark(t, all.first, all.last, WHY_QUOTATION);
    if (opened)
        gate_mark(t, start, t->text.len, WHY_QUOTE_OPEN);
}

static bool is_wordish(const struct gate_text *t, size_t at)
{
    return at < t->text.len && (is_letter(t->text.ptr[at]) || is_digit(t->text.ptr[at]));
}

// 'Single marks', which apostrophes look like: one opens before a word and closes behind one.
static void shape_single(struct gate_text *t)
{
    size_t start = SIZE_MAX;

    for (size_t at = 0; at < t->text.len;) {
        size_t from = at;
        int32_t c = utf8_next(t->text, &at);

        if (c == '\n' && at < t->text.len && t->text.ptr[at] == '\n')
            start = SIZE_MAX;  // no quotation goes on in the next paragraph
        if (c != '\'' && c != 0x2018 && c != 0x2019 && c != 0x201a)
            continue;
        bool before = from > 0 && !strchr(" \n\t(,", t->text.ptr[from - 1]);
        if (start == SIZE_MAX && !before && is_wordish(t, at)) {
            start = from;
        } else if (start != SIZE_MAX && before && !is_wordish(t, at)) {
            gate_mark(t, start, at, WHY_QUOTATION);
            start = SIZE_MAX;
        }
    }
}

void gate_shape(struct gate_text *t)
{
    t->hidden = gate_is_hidden(t->text);
    if (t->hidden)
        gate_mark(t, 0, t->text.len, WHY_HIDDEN);
    shape_lines(t);
    shape_quotations(t);
    shape_single(t);
}
