// SPDX-License-Identifier: MIT
// ask.c: `parley ask`: one turn; the message from the words, from standard input, or from both.
#include "cli/cli.h"
#include "cli/input.h"

#include <unistd.h>

// What the engine takes; a longer text is passed on one byte longer and refused there.
enum { TEXT_MAX = 256 << 10 };

static void add_words(struct buf *text, const struct options *o)
{
    for (size_t i = 0; i < o->n_words; i++) {
        if (i)
            buf_add_char(text, ' ');
        buf_add_str(text, o->words[i]);
    }
}

static int add_input(struct cli *cli, struct buf *text)
{
    struct input in;
    struct buf all = BUF_INIT(TEXT_MAX + 1);
    struct err err = ERR_INIT;

    input_init(&in, STDIN_FILENO, cli->signals);
    int code = input_all(&in, &all, TEXT_MAX, &err);
    while (code == E_CANCELLED && !cli_take_signal(cli)) // a resized window, or back from a stop
        code = input_all(&in, &all, TEXT_MAX, &err);
    input_release(&in);
    // The newline that ends a file or an `echo` is not part of what is said.
    if (all.len && all.ptr[all.len - 1] == '\n')
        buf_truncate(&all, all.len - 1);
    if (text->len && all.len)
        buf_add_str(text, "\n\n");
    buf_add_slice(text, buf_slice(&all));
    buf_release(&all);
    return code < 0 ? cli_fail_err(cli, &err) : code;
}

static int make_text(struct cli *cli, struct buf *text)
{
    struct err err = ERR_INIT;
    bool typed = isatty(STDIN_FILENO);
    int code = E_OK;

    add_words(text, &cli->options);
    if (typed && !cli->options.n_words && cli->output.err_terminal)
        output_note(&cli->output, "type the message; Ctrl-D on a line of its own sends it");
    if (!typed || !cli->options.n_words)
        code = add_input(cli, text);
    if (code == E_OK && buf_check(text, "the message", &err) < 0)
        code = cli_fail_err(cli, &err);
    if (code == E_OK && !text->len) {
        output_error(&cli->output, "there is no message: write parley ask TEXT, or pipe it in");
        code = PARLEY_E_USAGE;
    }
    return code;
}

// What was said before is said again: there is no text, and none is waited for.
static int check_no_text(struct cli *cli)
{
    if (cli->options.n_words == 0)
        return PARLEY_OK;
    output_error(&cli->output, "--regenerate takes no message: it asks for another answer to what "
                               "was said; --edit TURN takes one");
    return PARLEY_E_USAGE;
}

int command_ask(struct cli *cli)
{
    const struct options *o = &cli->options;
    struct buf text = BUF_INIT(4 * TEXT_MAX);
    struct exchange exchange = {0};
    parley_message message;
    uint32_t turn = 0;

    if (option_on(o, FLAG_EDIT) && !cli_take_turn(cli, slice_str(o->value[FLAG_EDIT]), &turn))
        return PARLEY_E_USAGE;
    int code = option_on(o, FLAG_REGENERATE) ? check_no_text(cli) : make_text(cli, &text);
    if (code == PARLEY_OK)
        code = cli_open(cli);
    if (code == PARLEY_OK) {
        cli_message(cli, &message);
        message.flags |= option_on(o, FLAG_REGENERATE) ? PARLEY_REGENERATE : 0;
        message.edit_turn = turn;
        message.text = text.ptr;
        message.text_bytes = text.len;
        exchange_run(cli, &message, &exchange);
        code = exchange.signal ? PARLEY_E_CANCELLED : exchange.code;
    }
    exchange_release(&exchange);
    buf_release(&text);
    return code;
}
