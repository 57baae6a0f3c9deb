// SPDX-License-Identifier: MIT
// redact.c: `parley redact`: a file or standard input as it is once it is masked.
#include "cli/cli.h"

#include <string.h>

enum { TEXT_MAX = 16 << 20 }; // what parley_redact takes

int command_redact(struct cli *cli)
{
    const struct options *o = &cli->options;
    struct buf text = BUF_INIT(TEXT_MAX + 1);
    parley_error error = PARLEY_ERROR_INIT;
    char *report = NULL;

    if (option_on(o, FLAG_BOT) && option_on(o, FLAG_REGION)) {
        output_error(&cli->output, "--region does not go with --bot: its policy says the region, "
                     "or the setting privacy.region");
        return PARLEY_E_USAGE;
    }
    int code = cli_read_text(cli, o->n_words ? o->words[0] : NULL, TEXT_MAX, &text);
    if (code == PARLEY_OK) {
        unsigned flags = o->format == FORMAT_JSON ? 0 : PARLEY_REDACT_TEXT;
        parley_options options;

        cli_engine_options(cli, &options);
        if (option_on(o, FLAG_BOT))
            code = parley_redact_bot(&options, o->value[FLAG_BOT], text.ptr, text.len, flags,
                                     &report, &error);
        else
            code = parley_redact(o->value[FLAG_REGION], text.ptr, text.len, flags, &report,
                                 &error);
        if (code < 0)
            cli_fail(cli, &error);
    }
    if (code == PARLEY_OK) {
        output_str(&cli->output, report);
        if (o->format == FORMAT_JSON)
            output_end_line(&cli->output);
    }
    parley_free(report);
    buf_release(&text);
    return code;
}
