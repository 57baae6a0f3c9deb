// SPDX-License-Identifier: MIT
// source.c: reading files; a small scanner of Lua's tokens. See source.h.
#include "lua/source.h"

#include <ctype.h>
#include <errno.h>
#include <lua.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

int source_read(const char *path, struct buf *out, struct err *err)
{
    struct stat st;
    int code = E_OK;
    FILE *f = fopen(path, "rbe");

    if (!f && (errno == ENOENT || errno == ENOTDIR))
        return err_set(err, E_NOT_FOUND, "%s: there is no such file", path);
    if (!f || fstat(fileno(f), &st) != 0 || !S_ISREG(st.st_mode)) {
        // Without memory the file is not at fault, and may be read the next time.
        code = err_set(err, !f && errno == ENOMEM ? E_NOMEM : E_POLICY, "%s: cannot be read: %s",
                       path, f ? "not a file" : strerror(errno));
        goto out;
    }
    for (char *room; (room = buf_reserve(out, 4096)) != NULL;) {
        size_t n = fread(room, 1, 4096, f);

        buf_grew(out, n);
        if (n == 0)
            break;
    }
    if (ferror(f))
        code = err_set(err, E_POLICY, "%s: cannot be read: %s", path, strerror(errno));
    else if (buf_check(out, "file", err) != E_OK)
        code = out->no_memory ? err_prefix(err, "%s: ", path)
                              : err_set(err, E_POLICY, "%s: larger than %zu KiB", path,
                                        out->max >> 10);
out:
    if (f)
        fclose(f);
    return code;
}

const char *source_shown(const char *path)
{
    while (strlen(path) > LUA_IDSIZE - 2) {  // one for the mark of a file name, one for the NUL
        const char *slash = strchr(path, '/');

        if (!slash)
            break;
        path = slash + 1;
    }
    return path;
}

// ---- tokens

enum token_kind { TOKEN_END, TOKEN_NAME, TOKEN_STRING, TOKEN_OTHER };

struct scanner {
    struct slice text;
    size_t at;
    int line;
    // the current token
    enum token_kind kind;
    struct slice word;  // of a name, or between a string's quotes; one character of others
    int word_line;
};

static char peek(const struct scanner *s, size_t ahead)
{
    return s->at + ahead < s->text.len ? s->text.ptr[s->at + ahead] : '\0';
}

static void advance(struct scanner *s, size_t n)
{
    for (; n > 0 && s->at < s->text.len; n--)
        s->line += s->text.ptr[s->at++] == '\n';
}

// At "[[" or "[=[": skips to behind the end and returns true.
static bool skip_long(struct scanner *s)
{
    size_t level = 0;

    if (peek(s, 0) != '[')
        return false;
    while (peek(s, 1 + level) == '=')
        level++;
    if (peek(s, 1 + level) != '[')
        return false;
    for (advance(s, level + 2); s->at < s->text.len; advance(s, 1)) {
        size_t equals = 0;

        if (peek(s, 0) != ']')
            continue;
        while (peek(s, 1 + equals) == '=')
            equals++;
        if (equals == level && peek(s, 1 + equals) == ']')
            break;
    }
    advance(s, level + 2);
    return true;
}

static void skip_blank(struct scanner *s)
{
    while (s->at < s->text.len) {
        if (isspace((unsigned char)peek(s, 0))) {
            advance(s, 1);
        } else if (peek(s, 0) == '-' && peek(s, 1) == '-') {
            advance(s, 2);
            if (!skip_long(s))
                while (s->at < s->text.len && peek(s, 0) != '\n')
                    advance(s, 1);
        } else {
            return;
        }
    }
}

static void take_string(struct scanner *s)
{
    char quote = peek(s, 0);

    advance(s, 1);
    size_t start = s->at;
    while (s->at < s->text.len && peek(s, 0) != quote)
        advance(s, peek(s, 0) == '\\' ? 2 : 1);
    s->word = slice_of(s->text.ptr + start, s->at - start);
    advance(s, 1);
    s->kind = TOKEN_STRING;
}

static bool is_word(char c)
{
    return isalnum((unsigned char)c) || c == '_';
}

static enum token_kind next_token(struct scanner *s)
{
    skip_blank(s);
    s->word = SLICE_NONE;
    s->word_line = s->line;
    char c = peek(s, 0);
    if (s->at >= s->text.len) {
        s->kind = TOKEN_END;
    } else if (c == '"' || c == '\'') {
        take_string(s);
    } else if (skip_long(s)) {
        s->kind = TOKEN_STRING;
    } else if (is_word(c)) {
        size_t start = s->at;

        while (is_word(peek(s, 0)))
            advance(s, 1);
        s->word = slice_of(s->text.ptr + start, s->at - start);
        s->kind = TOKEN_NAME;
    } else {
        s->word = slice_of(s->text.ptr + s->at, 1);
        s->kind = TOKEN_OTHER;
        advance(s, 1);
    }
    return s->kind;
}

static bool is_sign(const struct scanner *s, char c)
{
    return s->kind == TOKEN_OTHER && s->word.ptr[0] == c;
}

// Whether the token just read is a key: `name =` or `["name"] =`.
static bool is_key(const struct scanner *s, const char *name)
{
    struct scanner ahead = *s;

    if ((s->kind != TOKEN_NAME && s->kind != TOKEN_STRING) || !slice_is(s->word, name))
        return false;
    next_token(&ahead);
    if (s->kind == TOKEN_STRING && is_sign(&ahead, ']'))
        next_token(&ahead);
    return is_sign(&ahead, '=') && peek(&ahead, 0) != '=';
}

// How much deeper in blocks the token leads: functions return tables too, and are passed over.
static int block_step(const struct scanner *s)
{
    static const char *const opening[] = {"function", "do", "if", "repeat"};

    if (s->kind != TOKEN_NAME)
        return 0;
    for (size_t i = 0; i < sizeof(opening) / sizeof(opening[0]); i++)
        if (slice_is(s->word, opening[i]))
            return 1;
    return slice_is(s->word, "end") || slice_is(s->word, "until") ? -1 : 0;
}

// Stands behind the `return {` of the file itself, or false.
static bool seek_return(struct scanner *s)
{
    bool after_return = false;

    for (int depth = 0; next_token(s) != TOKEN_END; depth += block_step(s)) {
        if (after_return && is_sign(s, '{'))
            return true;
        after_return = depth == 0 && s->kind == TOKEN_NAME && slice_is(s->word, "return");
    }
    return false;
}

// Goes from behind the table's `{` to the key; 0 if it is not written there.
static int seek_key(struct scanner *s, const char *const *path, unsigned len)
{
    unsigned depth = 1, found = 0;  // open braces; keys of the path that were found

    while (depth >= found && depth > 0 && next_token(s) != TOKEN_END) {
        if (is_sign(s, '{'))
            depth++;
        else if (is_sign(s, '}'))
            depth--;
        else if (depth == found && is_sign(s, ','))
            return 0;  // the value is over
        else if (depth == found + 1 && is_key(s, path[found]) && ++found == len)
            return s->word_line;
    }
    return 0;
}

int source_key_line(struct slice text, const char *const *path, unsigned len)
{
    struct scanner s = {.text = text, .line = 1};
    int fallback = 1, line = 0;

    if (len == 0)
        return 1;
    if (seek_return(&s)) {
        fallback = s.word_line;
        line = seek_key(&s, path, len);
    }
    s = (struct scanner){.text = text, .line = 1};
    while (line == 0 && next_token(&s) != TOKEN_END)
        if (is_key(&s, path[len - 1]))
            line = s.word_line;
    return line ? line : fallback;
}
