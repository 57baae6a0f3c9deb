// SPDX-License-Identifier: MIT
// output.c: the two streams.
#include "cli/output.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { LINE_BYTES = 1024 };

static const char *const style_codes[STYLES] = {"\033[0m", "\033[1m", "\033[2m"};

static bool color_allowed(void)
{
    const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");

    return !(no_color && *no_color) && term && *term && strcmp(term, "dumb") != 0;
}

void output_init(struct output *o, bool color_wanted, bool quiet)
{
    *o = (struct output){
        .terminal = isatty(STDOUT_FILENO),
        .err_terminal = isatty(STDERR_FILENO),
        .quiet = quiet,
    };
    o->color = o->terminal && color_wanted && color_allowed();
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN);
}

// Remembers why a write failed, once: what comes after is dropped.
static void failed(struct output *o)
{
    if (!o->error)
        o->error = errno ? errno : EIO;
}

void output_bytes(struct output *o, struct slice s)
{
    if (!s.len || o->error)
        return;
    if (fwrite(s.ptr, 1, s.len, stdout) != s.len)
        failed(o);
    o->line_open = s.ptr[s.len - 1] != '\n';
}

void output_str(struct output *o, const char *s)
{
    output_bytes(o, slice_str(s));
}

void output_text(struct output *o, struct slice s)
{
    o->screen = (struct screen){0};
    output_more(o, s);
}

void output_more(struct output *o, struct slice s)
{
    struct slice run;

    if (!o->terminal) {
        output_bytes(o, s);
        return;
    }
    while (screen_next(&o->screen, &s, &run))
        output_bytes(o, run);
}

void outputf(struct output *o, const char *fmt, ...)
{
    char line[LINE_BYTES];
    va_list ap;

    va_start(ap, fmt);
    int len = vsnprintf(line, sizeof line, fmt, ap);
    va_end(ap);
    if (len > 0)
        output_bytes(o, slice_of(line, (size_t)len < sizeof line ? (size_t)len : sizeof line - 1));
}

void output_style(struct output *o, enum style style)
{
    bool line_open = o->line_open;

    if (!o->color)
        return;
    output_str(o, style_codes[style]);
    o->line_open = line_open;
}

void output_end_line(struct output *o)
{
    o->screen = (struct screen){0};
    if (o->line_open)
        output_str(o, "\n");
}

void output_line(struct output *o, const char *s)
{
    output_str(o, s);
    output_end_line(o);
}

void output_flush(struct output *o)
{
    if (!o->error && fflush(stdout) != 0)
        failed(o);
}

int output_finish(struct output *o, struct err *err)
{
    output_flush(o);
    if (!o->error || o->error == EPIPE)
        return E_OK;
    return err_set(err, E_STORE, "cannot write to standard output: %s", strerror(o->error));
}

static void write_note(const struct output *o, const char *fmt, va_list ap)
    __attribute__((format(printf, 2, 0)));

static void write_note(const struct output *o, const char *fmt, va_list ap)
{
    char line[LINE_BYTES];
    struct screen screen = {0};
    struct slice run, rest;

    vsnprintf(line, sizeof line, fmt, ap);
    rest = slice_str(line);
    flockfile(stderr);
    fputs("parley: ", stderr);
    if (o->err_terminal)
        while (screen_next(&screen, &rest, &run))
            fwrite(run.ptr, 1, run.len, stderr);
    else
        fputs(line, stderr);
    fputc('\n', stderr);
    funlockfile(stderr);
}

void output_note(struct output *o, const char *fmt, ...)
{
    va_list ap;

    if (o->quiet)
        return;
    va_start(ap, fmt);
    write_note(o, fmt, ap);
    va_end(ap);
}

void output_error(struct output *o, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    write_note(o, fmt, ap);
    va_end(ap);
}
