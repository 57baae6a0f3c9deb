// SPDX-License-Identifier: MIT
// erase.c: `parley erase`: a user is erased for ever; the receipt is on standard output. And
// whether a receipt is one.
#include "cli/cli.h"
#include "cli/input.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

enum { RECEIPT_BYTES_MAX = 1 << 20, TEXT_BYTES_MAX = 4096 };

// Whoever is asked types the name again: a key pressed too fast erases nobody.
static int ask(struct cli *cli, const char *user)
{
    struct err err = ERR_INIT;
    struct input input;
    struct slice line = SLICE_NONE;

    if (!isatty(STDIN_FILENO)) {
        output_error(&cli->output, "this erases all that is kept of user %s, for ever: add --yes "
                     "if it is meant", user);
        return PARLEY_E_USAGE;
    }
    output_note(&cli->output, "this erases all that is kept of user %s, for ever. Type the name to "
                "go on:", user);
    input_init(&input, STDIN_FILENO, cli->signals);
    int code = input_line(&input, &line, &err);
    bool meant = code == 1 && slice_is(line, user);
    input_release(&input);
    if (code < 0)
        return cli_fail_err(cli, &err);
    if (meant)
        return PARLEY_OK;
    output_error(&cli->output, "nothing was erased");
    return PARLEY_E_CANCELLED;
}

static int print_receipt(struct cli *cli, struct json answer)
{
    struct json receipt = json_get(answer, "receipt");
    struct buf at = BUF_INIT(TEXT_BYTES_MAX);

    output_bytes(&cli->output, json_raw(receipt));
    output_str(&cli->output, "\n");
    json_string(json_get(receipt, "erased_at"), &at);
    if (json_bool(json_get(answer, "again"), false) && buf_ok(&at))
        output_note(&cli->output, "user %s was erased already, at %s; this is that receipt",
                    cli->options.value[FLAG_USER], at.ptr);
    else
        output_note(&cli->output, "user %s is erased; keep the receipt. Backups hold nothing that "
                    "can be read, unless a copy of the keyring from before is kept with them",
                    cli->options.value[FLAG_USER]);
    buf_release(&at);
    return PARLEY_OK;
}

static int erase(struct cli *cli)
{
    const char *user = cli->options.value[FLAG_USER];
    struct answer answer;
    parley_scope scope;

    // An empty name is, as everywhere, "local"; here it is more likely a variable that is not set.
    if (!user || !*user) {
        output_error(&cli->output, "who is to be erased? write parley erase --user ID (who named "
                     "no user is \"local\")");
        return PARLEY_E_USAGE;
    }
    int code = option_on(&cli->options, FLAG_YES) ? PARLEY_OK : ask(cli, user);
    if (code == PARLEY_OK)
        code = cli_open(cli);
    if (code < 0)
        return code;
    cli_scope(cli, &scope);
    code = cli_ask_engine(cli, parley_erase, &scope, &answer);
    if (code < 0)
        return code;
    code = print_receipt(cli, json_root(&answer.doc));
    cli_answer_free(&answer);
    return code;
}

// ---- a receipt

// Prints what was found; a receipt of another house's is refused.
static int print_verdict(struct cli *cli, const struct report *report)
{
    struct json root = json_root(&report->doc), ours = json_get(root, "ours");
    bool known = json_type(ours) != JSON_NULL;
    int code = known && !json_bool(ours, false) ? PARLEY_E_REFUSED : PARLEY_OK;
    struct buf key = BUF_INIT(TEXT_BYTES_MAX);

    if (cli->options.format == FORMAT_JSON) {
        output_line(&cli->output, report->text);
        return code;
    }
    json_string(json_get(root, "public_key"), &key);
    outputf(&cli->output, "the signature holds: nothing in the receipt was changed since it was "
            "signed\nsigned with %s%s\n", buf_ok(&key) && key.len ? key.ptr : "",
            !known ? "" : code ? ", which is not the key of this house"
                               : ", the key of this house");
    buf_release(&key);
    return code;
}

static int fail_of_file(struct cli *cli, const char *name, const parley_error *error)
{
    output_error(&cli->output, "%s: %s", name, error->message);
    return error->code;
}

static int verify_receipt(struct cli *cli, const char *name)
{
    struct buf text = BUF_INIT(RECEIPT_BYTES_MAX + 1);
    parley_error error = PARLEY_ERROR_INIT;
    parley_options options;
    struct report report;
    char *answer = NULL;

    int code = cli_read_text(cli, name, RECEIPT_BYTES_MAX, &text);
    if (code == PARLEY_OK) {
        cli_engine_options(cli, &options);
        int made = parley_receipt_check(&options, text.ptr ? text.ptr : "", text.len, &answer,
                                        &error);
        code = made < 0 ? fail_of_file(cli, name, &error)
                        : cli_report_read(cli, made, answer, &error, &report);
    }
    buf_release(&text);
    if (code < 0)
        return code;
    code = print_verdict(cli, &report);
    cli_report_free(&report);
    return code;
}

int command_erase(struct cli *cli)
{
    const char *receipt = cli->options.value[FLAG_VERIFY_RECEIPT];

    return receipt ? verify_receipt(cli, receipt) : erase(cli);
}
