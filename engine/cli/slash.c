// SPDX-License-Identifier: MIT
// slash.c: the table of slash commands.
#include "cli/slash.h"

#include "base/hint.h"

const struct slash slash_table[] = {
    {"/help", SLASH_HELP, "", "this list"},
    {"/reset", SLASH_RESET, "", "starts afresh; the old session is kept"},
    {"/undo", SLASH_UNDO, "", "takes the newest turn back"},
    {"/regenerate", SLASH_REGENERATE, "", "asks for another answer to the newest message"},
    {"/edit", SLASH_EDIT, "TURN TEXT", "says something else in a turn, and goes on from there"},
    {"/tokens", SLASH_TOKENS, "", "how full the model's window is"},
    {"/usage", SLASH_USAGE, "", "tokens and money of this session"},
    {"/memory", SLASH_MEMORY, "[all|FACT]",
     "what is remembered about you; all that ever was; why one fact is"},
    {"/forget", SLASH_FORGET, "FACT", "forgets a fact for good"},
    {"/history", SLASH_HISTORY, "", "this session's transcript"},
    {"/sessions", SLASH_SESSIONS, "", "your sessions"},
    {"/resume", SLASH_RESUME, "[SESSION]", "goes on in another session; the newest other one"},
    {"/here", SLASH_HERE, "", "goes on here, where another device has the session"},
    {"/why", SLASH_WHY, "[TURN]", "what was sent for a turn, the newest one, and why"},
    {"/pin", SLASH_PIN, "[TURN]", "keeps a turn, the newest one, in every request from now on"},
    {"/unpin", SLASH_UNPIN, "[TURN]", "lets it go again"},
    {"/constraint", SLASH_CONSTRAINT, "[TEXT]",
     "keeps TEXT in mind, word for word; without it lists what is"},
    {"/unconstrain", SLASH_UNCONSTRAIN, "NUMBER", "takes one back"},
    {"/save", SLASH_SAVE, "[FILE]", "writes the transcript to a new file"},
    {"/policy", SLASH_POLICY, "", "the bot, its provider and model"},
    {"/bye", SLASH_BYE, "", "leaves; so do /exit, /quit and Ctrl-D"},
    {0},
};

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

static struct slice trim(struct slice s)
{
    while (s.len && is_blank(s.ptr[s.len - 1]))
        s.len--;
    while (s.len && is_blank(*s.ptr)) {
        s.ptr++;
        s.len--;
    }
    return s;
}

const struct slash *slash_find(struct slice line, struct slice *argument, struct err *err)
{
    struct slice word = slice_of(line.ptr, 0);
    struct hint hint = {0};

    while (word.len < line.len && !is_blank(line.ptr[word.len]))
        word.len++;
    *argument = trim(slice_of(line.ptr + word.len, line.len - word.len));
    hint.word = word;
    for (const struct slash *s = slash_table; s->name; s++) {
        if (slice_is(word, s->name))
            return s;
        hint_offer(&hint, slice_str(s->name));
    }
    if (hint.best.ptr)
        err_set(err, E_USAGE, "there is no %.*s; did you mean %.*s?", SLICE_FMT(word),
                SLICE_FMT(hint.best));
    else
        err_set(err, E_USAGE,
                "there is no %.*s; /help lists what there is, and a space before the slash makes "
                "it a message",
                SLICE_FMT(word));
    return NULL;
}

const char *slash_name(size_t i)
{
    return i < sizeof slash_table / sizeof *slash_table ? slash_table[i].name : NULL;
}
