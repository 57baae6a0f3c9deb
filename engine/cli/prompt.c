// SPDX-License-Identifier: MIT
// prompt.c: lines into messages.
#include "cli/prompt.h"

#include "cli/slash.h"

#include <stdio.h>
#include <unistd.h>

// A little more than the engine takes, so that it can say what the limit is.
enum { MESSAGE_MAX = 512 << 10 };

static const struct slice fence = {"\"\"\"", 3};

void prompt_init(struct prompt *p, struct cli *cli)
{
    *p = (struct prompt){.cli = cli, .text = BUF_INIT(MESSAGE_MAX)};
    p->interactive = isatty(STDIN_FILENO) && cli->output.terminal;
    p->editor = editor_new(cli, slash_name);
    input_init(&p->input, STDIN_FILENO, cli->signals);
}

void prompt_release(struct prompt *p)
{
    editor_free(p->editor);
    input_release(&p->input);
    buf_release(&p->text);
}

void prompt_format(char out[PROMPT_BYTES_MAX], long long tokens, int percent)
{
    char count[32];

    if (tokens < 0) {
        snprintf(out, PROMPT_BYTES_MAX, "you> ");
        return;
    }
    if (tokens < 1000)
        snprintf(count, sizeof count, "%lld", tokens);
    else if (tokens < 10000)
        snprintf(count, sizeof count, "%lld.%lldk", tokens / 1000, tokens % 1000 / 100);
    else if (tokens < 1000000)
        snprintf(count, sizeof count, "%lldk", tokens / 1000);
    else
        snprintf(count, sizeof count, "%lld.%lldM", tokens / 1000000, tokens % 1000000 / 100000);
    snprintf(out, PROMPT_BYTES_MAX, "you [%s %d%%]> ", count, percent);
}

static int read_line(struct prompt *p, const char *prompt, struct slice *line)
{
    struct err err = ERR_INIT;

    if (p->editor)
        return editor_line(p->editor, prompt, line, &p->signal_number);
    if (p->interactive)
        output_str(&p->cli->output, prompt);
    output_flush(&p->cli->output);
    for (;;) {
        int code = input_line(&p->input, line, &err);
        if (code != E_CANCELLED)
            return code < 0 ? cli_fail_err(p->cli, &err) : code;
        p->signal_number = cli_take_signal(p->cli);
        if (p->signal_number)
            return E_CANCELLED;
    }
}

static bool ends_with_fence(struct slice line)
{
    return line.len >= fence.len &&
           memcmp(line.ptr + line.len - fence.len, fence.ptr, fence.len) == 0;
}

// The lines up to the closing fence; `line` is what follows the opening one.
static int read_block(struct prompt *p, struct slice line)
{
    bool first = true;

    while (!ends_with_fence(line)) {
        if (!first || line.len) {
            buf_add_slice(&p->text, line);
            buf_add_char(&p->text, '\n');
        }
        first = false;
        int code = read_line(p, "... ", &line);
        if (code < 0)
            return code;
        if (code == 0)
            return 1; // the end of input closes the block too
    }
    line.len -= fence.len;
    buf_add_slice(&p->text, line);
    // A closing fence on a line of its own ends the line before it, and says nothing itself.
    if (!line.len && p->text.len && p->text.ptr[p->text.len - 1] == '\n')
        buf_truncate(&p->text, p->text.len - 1);
    return 1;
}

int prompt_read(struct prompt *p, const char *prompt, struct slice *text)
{
    struct err err = ERR_INIT;
    struct slice line;

    buf_clear(&p->text);
    int code = read_line(p, prompt, &line);
    if (code <= 0)
        return code;
    if (line.len && line.ptr[line.len - 1] == '\r')
        line.len--;
    if (slice_starts(line, fence)) {
        code = read_block(p, slice_of(line.ptr + fence.len, line.len - fence.len));
        if (code < 0)
            return code;
    } else {
        buf_add_slice(&p->text, line);
    }
    if (buf_check(&p->text, "the message", &err) < 0)
        return cli_fail_err(p->cli, &err);
    *text = buf_slice(&p->text);
    return 1;
}
