// SPDX-License-Identifier: MIT
// talk_file.h: reads a dialogue file into lines, each a word with what stands behind it. The format
// is told at the top of test_talk.c.
//
// Invariant: a line whose word is not in the table below is an error, never skipped.
#ifndef TALK_FILE_H
#define TALK_FILE_H

#include "base/buf.h"
#include "base/hint.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "base/vec.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

enum { TALK_LINES_MAX = 1000, TALK_TEXT_BYTES_MAX = 4 << 20, TALK_REPEATS_MAX = 1 << 20 };

enum word {
    // settings and what holds for the messages that follow
    W_PROVIDER,
    W_SET,
    W_POLICY,
    W_STORE,
    W_AS,
    W_CONTEXT,
    W_BOT,
    W_DEVICE,
    // for the next message only
    W_NEW,
    W_IN,
    W_KEY,
    W_STATELESS,
    W_WITH,
    W_HERE,
    // what happens
    W_USER,
    W_EDIT,
    W_REGENERATE,
    W_UNDO,
    W_PIN,
    W_UNPIN,
    W_FORGET,
    W_CONSTRAINT,
    W_UNCONSTRAIN,
    W_RESET,
    W_SWEEP,
    W_RESUME,
    W_DAMAGE,
    W_STOP,
    W_GOES_ON,
    W_RESTART,
    W_TIME,
    W_MESSAGE,
    // what the provider answers
    W_MODEL,
    W_COUNT,
    // what must be so
    W_SENT,
    W_BODY,
    W_REPLY,
    W_STATUS,
    W_STOPPED,
    W_TURN,
    W_SESSION,
    W_WARNING,
    W_ERROR,
    W_LOG,
    W_LEDGER,
    W_SYSTEM,
    W_TOKENS,
    W_USAGE,
    W_WINDOW,
    W_FROM,
    W_WHY,
    W_SWEPT,
    W_STATUSES,
    W_FACTS,
    W_GREETING,
    W_RESUMED,
    W_MOVED,
    W_VERIFY,
    WORDS
};

enum word_kind { K_SETTING, K_ACTION, K_ANSWER, K_CHECK };
// How the rest of the line goes on: ": text", " text", either nothing, or " argument: text".
enum word_form { F_TEXT, F_ARGUMENT, F_ALONE, F_BOTH };

static const struct {
    const char *name;
    enum word_kind kind;
    enum word_form form;
} WORD_TABLE[WORDS] = {
    [W_PROVIDER] = {"provider", K_SETTING, F_ARGUMENT},
    [W_SET] = {"set", K_SETTING, F_ARGUMENT},
    [W_STORE] = {"store", K_SETTING, F_ARGUMENT},
    [W_POLICY] = {"policy", K_SETTING, F_ARGUMENT},
    [W_AS] = {"as", K_SETTING, F_ARGUMENT},
    [W_CONTEXT] = {"context", K_SETTING, F_ARGUMENT},
    [W_BOT] = {"bot", K_SETTING, F_ARGUMENT},
    [W_DEVICE] = {"device", K_SETTING, F_ARGUMENT},
    [W_NEW] = {"new", K_SETTING, F_ALONE},
    [W_IN] = {"in", K_SETTING, F_ARGUMENT},
    [W_KEY] = {"key", K_SETTING, F_ARGUMENT},
    [W_STATELESS] = {"stateless", K_SETTING, F_ALONE},
    [W_WITH] = {"with", K_SETTING, F_ARGUMENT},
    [W_HERE] = {"here", K_SETTING, F_ALONE},
    [W_USER] = {"user", K_ACTION, F_TEXT},
    [W_EDIT] = {"edit", K_ACTION, F_BOTH},
    [W_REGENERATE] = {"regenerate", K_ACTION, F_ARGUMENT},
    [W_UNDO] = {"undo", K_ACTION, F_ALONE},
    [W_PIN] = {"pin", K_ACTION, F_ARGUMENT},
    [W_UNPIN] = {"unpin", K_ACTION, F_ARGUMENT},
    [W_FORGET] = {"forget", K_ACTION, F_ARGUMENT},
    [W_CONSTRAINT] = {"constraint", K_ACTION, F_TEXT},
    [W_UNCONSTRAIN] = {"unconstrain", K_ACTION, F_ARGUMENT},
    [W_RESET] = {"reset", K_ACTION, F_ALONE},
    [W_SWEEP] = {"sweep", K_ACTION, F_ALONE},
    [W_RESUME] = {"resume", K_ACTION, F_ALONE},
    [W_DAMAGE] = {"damage", K_ACTION, F_ARGUMENT},
    [W_STOP] = {"stop", K_ACTION, F_ALONE},
    [W_GOES_ON] = {"goes-on", K_ACTION, F_ALONE},
    [W_RESTART] = {"restart", K_ACTION, F_ALONE},
    [W_TIME] = {"+", K_ACTION, F_ARGUMENT},
    [W_MESSAGE] = {"message", K_ACTION, F_ARGUMENT},
    [W_MODEL] = {"model", K_ANSWER, F_TEXT},
    [W_COUNT] = {"count", K_ANSWER, F_TEXT},
    [W_SENT] = {"sent", K_CHECK, F_TEXT},
    [W_BODY] = {"body", K_CHECK, F_TEXT},
    [W_REPLY] = {"reply", K_CHECK, F_TEXT},
    [W_STATUS] = {"status", K_CHECK, F_TEXT},
    [W_STOPPED] = {"stopped", K_CHECK, F_TEXT},
    [W_TURN] = {"turn", K_CHECK, F_TEXT},
    [W_SESSION] = {"session", K_CHECK, F_TEXT},
    [W_WARNING] = {"warning", K_CHECK, F_TEXT},
    [W_ERROR] = {"error", K_CHECK, F_TEXT},
    [W_LOG] = {"log", K_CHECK, F_TEXT},
    [W_LEDGER] = {"ledger", K_CHECK, F_BOTH},
    [W_SYSTEM] = {"system", K_CHECK, F_TEXT},
    [W_TOKENS] = {"tokens", K_CHECK, F_TEXT},
    [W_USAGE] = {"usage", K_CHECK, F_TEXT},
    [W_WINDOW] = {"window", K_CHECK, F_TEXT},
    [W_FROM] = {"from", K_CHECK, F_TEXT},
    [W_WHY] = {"why", K_CHECK, F_TEXT},
    [W_SWEPT] = {"swept", K_CHECK, F_TEXT},
    [W_STATUSES] = {"statuses", K_CHECK, F_TEXT},
    [W_FACTS] = {"facts", K_CHECK, F_TEXT},
    [W_GREETING] = {"greeting", K_CHECK, F_TEXT},
    [W_RESUMED] = {"resumed", K_CHECK, F_TEXT},
    [W_MOVED] = {"moved", K_CHECK, F_TEXT},
    [W_VERIFY] = {"verify", K_CHECK, F_ALONE},
};

struct line {
    unsigned n; // in the file, from 1
    enum word word;
    char *argument;      // "" if none; owned
    struct slice text;   // with its escapes undone, NUL-terminated; owned
    struct slice source; // as it stands in the file (of a policy: the lines under it); borrowed
};

// ---- text with escapes: \n \t \r \\ \! \xHH \u{HEX} and \*N(text), the text N times

static bool talk_unescape(struct slice in, struct buf *out, const char **why);

static bool talk_repeat(struct slice in, size_t *at, struct buf *out, const char **why)
{
    char *end;
    unsigned long n = strtoul(in.ptr + *at, &end, 10);
    const char *close = *end == '(' ? memchr(end, ')', (size_t)(in.ptr + in.len - end)) : NULL;
    struct buf once = BUF_INIT(TALK_TEXT_BYTES_MAX);

    *why = "\\*N(text) says what to repeat how often";
    if (!close || n == 0 || n > TALK_REPEATS_MAX)
        return false;
    bool ok = talk_unescape(slice_of(end + 1, (size_t)(close - end - 1)), &once, why);
    while (ok && n-- > 0)
        buf_add_slice(out, buf_slice(&once));
    buf_release(&once);
    *at = (size_t)(close + 1 - in.ptr);
    return ok;
}

static bool talk_hex(struct slice in, size_t *at, struct buf *out)
{
    char *end, utf8[4];
    bool braces = in.ptr[*at] == 'u' && in.ptr[*at + 1] == '{';
    unsigned long n = strtoul(in.ptr + *at + 1 + braces, &end, 16);

    if (braces && *end == '}' && n <= 0x10ffff) {
        buf_add(out, utf8, utf8_put(utf8, (uint32_t)n));
        *at = (size_t)(end + 1 - in.ptr);
        return true;
    }
    if (in.ptr[*at] != 'x' || !isxdigit(in.ptr[*at + 1]) || !isxdigit(in.ptr[*at + 2]))
        return false;
    char pair[3] = {in.ptr[*at + 1], in.ptr[*at + 2], '\0'};
    buf_add_char(out, (char)strtoul(pair, NULL, 16));
    *at += 3;
    return true;
}

static bool talk_unescape(struct slice in, struct buf *out, const char **why)
{
    static const char from[] = "ntr\\!", to[] = "\n\t\r\\!";

    for (size_t at = 0; at < in.len;) {
        if (in.ptr[at] != '\\') {
            buf_add_char(out, in.ptr[at++]);
            continue;
        }
        const char *known = ++at < in.len ? strchr(from, in.ptr[at]) : NULL;
        if (known && *known) {
            buf_add_char(out, to[known - from]);
            at++;
        } else if (at < in.len && in.ptr[at] == '*') {
            at++;
            if (!talk_repeat(in, &at, out, why))
                return false;
        } else if (at + 2 >= in.len || !talk_hex(in, &at, out)) {
            *why = "an escape is one of \\n \\t \\r \\\\ \\! \\xHH \\u{HEX} \\*N(text)";
            return false;
        }
    }
    *why = "the text is too long";
    return buf_ok(out);
}

// ---- lines

static struct slice talk_trim(struct slice s)
{
    while (s.len && isspace((unsigned char)s.ptr[0]))
        s = slice_of(s.ptr + 1, s.len - 1);
    while (s.len && isspace((unsigned char)s.ptr[s.len - 1]))
        s.len--;
    return s;
}

static bool talk_line_error(struct buf *why, unsigned n, const char *what, struct slice about)
{
    buf_addf(why, "%u: %s: %.*s", n, what, SLICE_FMT(about));
    return false;
}

static bool talk_unknown(struct buf *why, unsigned n, struct slice word)
{
    const char *names[WORDS];

    for (size_t i = 0; i < WORDS; i++)
        names[i] = WORD_TABLE[i].name;
    const char *near = hint_nearest(word, names, WORDS);
    buf_addf(why, "%u: no line begins with '%.*s'%s%s%s", n, SLICE_FMT(word),
             near ? " (did you mean " : "", near ? near : "", near ? "?)" : "");
    return false;
}

// Splits "word argument: text" and undoes the escapes of the text.
static bool talk_read_line(struct slice source, unsigned n, struct line *out, struct buf *why)
{
    struct slice rest = talk_trim(source);
    struct buf text = BUF_INIT(TALK_TEXT_BYTES_MAX);
    const char *reason = "";
    size_t len = 0;

    while (len < rest.len && !isspace((unsigned char)rest.ptr[len]) && rest.ptr[len] != ':' &&
           !(len == 1 && rest.ptr[0] == '+'))
        len++;
    struct slice word = slice_of(rest.ptr, len);
    *out = (struct line){.n = n, .word = WORDS};
    for (enum word w = 0; w < WORDS; w++) {
        if (slice_is(word, WORD_TABLE[w].name))
            out->word = w;
    }
    if (out->word == WORDS)
        return talk_unknown(why, n, word);
    enum word_form form = WORD_TABLE[out->word].form;
    rest = slice_of(rest.ptr + len, rest.len - len);
    const char *colon = form == F_TEXT || form == F_BOTH ? memchr(rest.ptr, ':', rest.len) : NULL;
    size_t before = colon ? (size_t)(colon - rest.ptr) : rest.len;
    struct slice argument = talk_trim(slice_of(rest.ptr, before));
    if ((form == F_TEXT || form == F_BOTH) && !colon)
        return talk_line_error(why, n, "a colon is missing", source);
    if ((form == F_TEXT || form == F_ALONE) && argument.len)
        return talk_line_error(why, n, "nothing is expected there", argument);
    out->argument = mem_slicedup(argument);
    out->source = colon ? talk_trim(slice_of(colon + 1, rest.len - before - 1)) : SLICE_NONE;
    // The provider's lines are split at their orders first (talk_model.h); a body is compared as it
    // is.
    bool raw = out->word == W_MODEL || out->word == W_COUNT || out->word == W_BODY;
    if (raw)
        buf_add_slice(&text, out->source);
    if (!raw && !talk_unescape(out->source, &text, &reason)) {
        buf_release(&text);
        return talk_line_error(why, n, reason, out->source);
    }
    buf_reserve(&text, 1);
    out->text = slice_of(text.ptr, text.len);
    text.ptr[text.len] = '\0';
    return true;
}

static void talk_lines_release(struct vec *lines)
{
    for (size_t i = 0; i < lines->len; i++) {
        struct line *l = VEC_AT(lines, struct line, i);
        mem_free(l->argument);
        mem_free((void *)(uintptr_t)l->text.ptr);
    }
    vec_release(lines);
}

// Reads all lines (struct line); false with "LINE: what" in why. `file` must outlive the lines.
static bool talk_read(struct slice file, struct vec *lines, struct buf *why)
{
    const char *at = file.ptr, *end = file.ptr + file.len;

    for (unsigned n = 1; at < end; n++) {
        const char *eol = memchr(at, '\n', (size_t)(end - at));
        struct slice source = slice_of(at, (size_t)((eol ? eol : end) - at));
        struct slice bare = talk_trim(source);
        struct line *last = lines->len ? VEC_AT(lines, struct line, lines->len - 1) : NULL;
        at += source.len + 1;
        bool indented = bare.len && source.ptr[0] == ' ';
        if (indented && (!last || last->word != W_POLICY))
            return talk_line_error(why, n, "only a policy's text is indented", bare);
        if (indented) {
            const char *start = last->source.ptr ? last->source.ptr : source.ptr;
            last->source = slice_of(start, (size_t)(source.ptr + source.len - start));
            continue;
        }
        if (bare.len == 0 || bare.ptr[0] == '#')
            continue;
        struct line *line = vec_push(lines);
        if (!line)
            return talk_line_error(why, n, "the dialogue has too many lines", bare);
        if (!talk_read_line(source, n, line, why))
            return false;
    }
    return true;
}

#endif
