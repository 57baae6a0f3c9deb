// SPDX-License-Identifier: MIT
// editline.c: libedit, with characters read by us, so that a signal can end the wait.
//
// While a line is edited the terminal brackets what is pasted (xterm's mode 2004), so that pasted
// lines become one line with newlines in it, not as many messages, and pasted keys do nothing.
#include "cli/editline.h"

#include "base/mem.h"

#include <errno.h>
#include <histedit.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <wchar.h>

enum {
    HISTORY_LINES = 1000,
    PROMPT_BYTES = 128,
    LITERAL = 1,
    REPLACEMENT = 0xFFFD,
    PIECE_CHARACTERS = 256, // of a paste, inserted at once
};

struct editor {
    struct cli *cli;
    const char *(*word_at)(size_t i);
    EditLine *line;
    History *history;
    int signal_number;         // what ended the line, 0 for nothing
    int fd;                    // what is listened to besides keys; -1: nothing
    bool (*woken)(void *user);
    void *user;
    char prompt[PROMPT_BYTES]; // with what makes it bold between LITERAL marks
};

static struct editor *editor_of(EditLine *line)
{
    void *editor = NULL;

    el_get(line, EL_CLIENTDATA, &editor);
    return editor;
}

static char *prompt_of(EditLine *line)
{
    return editor_of(line)->prompt;
}

// Makes the terminal ours, or as other programs expect it.
static void prepare_terminal(const struct editor *e, bool ours)
{
    fputs(ours ? "\033[?2004h" : "\033[?2004l", stdout);
    fflush(stdout);
    el_set(e->line, EL_PREP_TERM, (int)ours);
}

// The terminal is as other programs expect it while a signal is looked at, for it may suspend us.
static int take_signal(struct editor *e)
{
    prepare_terminal(e, false);
    int number = cli_take_signal(e->cli);
    prepare_terminal(e, true);
    el_resize(e->line);
    if (!number)
        el_set(e->line, EL_REFRESH);
    return number;
}

// What is printed comes below the line that is edited, which is then shown again.
static void wake(struct editor *e)
{
    if (!e->woken(e->user))
        return;
    output_flush(&e->cli->output);
    el_set(e->line, EL_REFRESH);
}

void editor_listen(struct editor *e, int fd, bool (*woken)(void *user), void *user)
{
    e->fd = fd;
    e->woken = woken;
    e->user = user;
}

// 1: a byte; 0: the end; -1: a signal or an error.
static int read_byte(struct editor *e, char *byte)
{
    struct pollfd fds[] = {{.fd = e->cli->signals, .events = POLLIN},
                           {.fd = STDIN_FILENO, .events = POLLIN},
                           {.fd = e->fd, .events = POLLIN}};

    for (;;) {
        if (poll(fds, 3, -1) < 0 && errno != EINTR)
            return -1;
        if (fds[2].revents)
            wake(e);
        if (fds[0].revents && (e->signal_number = take_signal(e)) != 0) {
            errno = EINTR;
            return -1;
        }
        if (!fds[1].revents)
            continue;
        ssize_t n = read(STDIN_FILENO, byte, 1);
        if (n >= 0 || errno != EINTR)
            return (int)n;
    }
}

static int read_character(EditLine *line, wchar_t *out)
{
    mbstate_t state = {0};
    char byte;

    for (;;) {
        int n = read_byte(editor_of(line), &byte);
        if (n <= 0)
            return n;
        size_t used = mbrtowc(out, &byte, 1, &state);
        if (used == (size_t)-2)
            continue;
        if (used == (size_t)-1)
            *out = REPLACEMENT;
        return 1;
    }
}

// How many of the leading bytes of a and b agree.
static size_t common(struct slice a, struct slice b)
{
    size_t n = 0;

    while (n < a.len && n < b.len && a.ptr[n] == b.ptr[n])
        n++;
    return n;
}

static void list_matches(struct editor *e, struct slice typed)
{
    struct output *o = &e->cli->output;
    const char *word;

    output_str(o, "\n");
    for (size_t i = 0; (word = e->word_at(i)) != NULL; i++)
        if (slice_starts(slice_str(word), typed))
            outputf(o, "%s  ", word);
    output_str(o, "\n");
    output_flush(o);
}

static unsigned char complete(EditLine *line, int key)
{
    struct editor *e = editor_of(line);
    const LineInfo *info = el_line(line);
    struct slice typed = slice_of(info->buffer, (size_t)(info->cursor - info->buffer));
    struct slice agreed = SLICE_NONE;
    const char *word;
    size_t matches = 0;
    char more[32];

    (void)key;
    for (size_t i = 0; typed.len && (word = e->word_at(i)) != NULL; i++) {
        if (!slice_starts(slice_str(word), typed))
            continue;
        agreed =
            matches++ ? slice_of(agreed.ptr, common(agreed, slice_str(word))) : slice_str(word);
    }
    if (!matches)
        return CC_ERROR;
    if (matches > 1 && agreed.len == typed.len) {
        list_matches(e, typed);
        return CC_REDISPLAY;
    }
    snprintf(more, sizeof more, "%.*s%s", (int)(agreed.len - typed.len), agreed.ptr + typed.len,
             matches == 1 ? " " : "");
    return el_insertstr(line, more) < 0 ? CC_ERROR : CC_REFRESH;
}

// The next character of a paste, no control character but newline and tab. 0: the paste is over;
// WEOF: the input is. `seen` counts what has come of the paste's end, between calls too.
static wint_t next_pasted(EditLine *line, size_t *seen)
{
    static const wchar_t end[] = L"\033[201~";
    wchar_t c;

    while (el_wgetc(line, &c) == 1) {
        *seen = c == end[*seen] ? *seen + 1 : c == end[0];
        if (!end[*seen])
            return 0;
        if (*seen)
            continue;
        if (c == L'\r') // what terminals send for a newline
            return L'\n';
        if (c == L'\n' || c == L'\t' || (c >= L' ' && c != 0x7F))
            return (wint_t)c;
    }
    return WEOF;
}

static unsigned char paste(EditLine *line, int key)
{
    wchar_t piece[PIECE_CHARACTERS + 1];
    size_t len = 0, seen = 0;
    wint_t c;

    (void)key;
    do {
        c = next_pasted(line, &seen);
        if (c && c != WEOF)
            piece[len++] = (wchar_t)c;
        if (len && (len == PIECE_CHARACTERS || !c)) {
            piece[len] = L'\0';
            len = 0;
            if (el_winsertstr(line, piece) < 0)
                return CC_ERROR;
        }
    } while (c && c != WEOF);
    return c ? CC_EOF : CC_REFRESH;
}

static bool setup(struct editor *e)
{
    HistEvent event;

    e->line = el_init("parley", stdin, stdout, stderr);
    e->history = history_init();
    if (!e->line || !e->history)
        return false;
    history(e->history, &event, H_SETSIZE, HISTORY_LINES);
    history(e->history, &event, H_SETUNIQUE, 1);
    el_set(e->line, EL_CLIENTDATA, (void *)e);
    el_set(e->line, EL_SIGNAL, 0);
    el_set(e->line, EL_EDITOR, "emacs");
    el_set(e->line, EL_PROMPT_ESC, prompt_of, LITERAL);
    el_set(e->line, EL_HIST, history, e->history);
    el_set(e->line, EL_GETCFN, read_character);
    // Wide, as libedit never frees the copies that it makes of narrow names.
    el_wset(e->line, EL_ADDFN, L"parley-complete", L"completes a slash command", complete);
    el_wset(e->line, EL_ADDFN, L"parley-paste", L"takes what is pasted as it is", paste);
    el_set(e->line, EL_BIND, "^I", "parley-complete", NULL);
    el_set(e->line, EL_BIND, "\\e[200~", "parley-paste", NULL);
    el_set(e->line, EL_BIND, "^R", "em-inc-search-prev", NULL);
    return true;
}

struct editor *editor_new(struct cli *cli, const char *(*word_at)(size_t i))
{
    const char *term = getenv("TERM");

    if (!isatty(STDIN_FILENO) || !cli->output.terminal || !term || !*term ||
        strcmp(term, "dumb") == 0)
        return NULL;
    struct editor *e = mem_zalloc(sizeof *e);
    if (!e)
        return NULL;
    e->cli = cli;
    e->word_at = word_at;
    e->fd = -1;
    if (setup(e))
        return e;
    editor_free(e);
    return NULL;
}

void editor_free(struct editor *e)
{
    if (!e)
        return;
    if (e->line)
        el_end(e->line);
    if (e->history)
        history_end(e->history);
    mem_free(e);
}

// Bold but for its last character: libedit draws what is literal with the character after it.
static void set_prompt(struct editor *e, const char *prompt)
{
    size_t len = strlen(prompt);

    if (e->cli->output.color && len)
        snprintf(e->prompt, sizeof e->prompt, "\1\033[1m\1%.*s\1\033[0m\1%s", (int)(len - 1),
                 prompt, prompt + len - 1);
    else
        snprintf(e->prompt, sizeof e->prompt, "%s", prompt);
}

int editor_line(struct editor *e, const char *prompt, struct slice *line, int *signal_number)
{
    HistEvent event;
    int len = 0;

    set_prompt(e, prompt);
    e->signal_number = 0;
    output_flush(&e->cli->output);
    // Before the prompt shows: libedit does it after, and a Ctrl-D in between would be no Ctrl-D.
    prepare_terminal(e, true);
    const char *text = el_gets(e->line, &len);
    prepare_terminal(e, false);
    if (e->signal_number) {
        *signal_number = e->signal_number;
        return E_CANCELLED;
    }
    if (!text || len <= 0)
        return 0;
    *line = slice_of(text, (size_t)len);
    if (line->ptr[line->len - 1] == '\n')
        line->len--;
    if (line->len)
        history(e->history, &event, H_ENTER, text);
    return 1;
}
