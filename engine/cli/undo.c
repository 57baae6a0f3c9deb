// SPDX-License-Identifier: MIT
// undo.c: `parley undo` and /undo: the newest turn of a session, taken back.
#include "cli/cli.h"

enum { TEXT_BYTES_MAX = 1 << 20 };

int undo_newest(struct cli *cli, const parley_scope *scope)
{
    struct buf text = BUF_INIT(TEXT_BYTES_MAX);
    struct answer answer;
    int code = cli_ask_engine(cli, parley_undo, scope, &answer);

    if (code < 0)
        return code;
    if (cli->options.format == FORMAT_JSON) {
        output_line(&cli->output, answer.event->json);
    } else {
        json_string(json_get(json_root(&answer.doc), "text"), &text);
        output_str(&cli->output, "Taken back: ");
        output_text(&cli->output, buf_slice(&text));
        output_end_line(&cli->output);
    }
    buf_release(&text);
    cli_answer_free(&answer);
    return PARLEY_OK;
}

int command_undo(struct cli *cli)
{
    parley_scope scope;
    size_t words;

    if (!cli_session_named(cli, &scope, &words))
        return PARLEY_E_USAGE;
    if (cli->options.n_words > words) {
        output_error(&cli->output, "'%s' is one word too many: the newest turn is taken back",
                     cli->options.words[words]);
        return PARLEY_E_USAGE;
    }
    int code = cli_open(cli);
    return code < 0 ? code : undo_newest(cli, &scope);
}
