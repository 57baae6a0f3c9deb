// SPDX-License-Identifier: MIT
// backup.c: backup and restore. The answer says what was copied; the notes, what else to keep.
#include "cli/cli.h"

#include <inttypes.h>
#include <string.h>

enum { PATH_BYTES_MAX = 8192 };

static int interrupted(void *user, uint64_t done_bytes, uint64_t total_bytes)
{
    (void)done_bytes;
    (void)total_bytes;
    return cli_take_signal(user);
}

static void print_copied(struct cli *cli, struct json root, const char *what)
{
    struct json problems = json_get(root, "problems");

    cli_print_lines(cli, problems);
    outputf(&cli->output, "%s %s: %" PRId64 " bytes, sessions: %" PRId64 ", turns: %" PRId64
            ", problems: %u\n", what, cli->options.words[0], json_i64(json_get(root, "bytes"), 0),
            json_i64(json_get(root, "sessions"), 0), json_i64(json_get(root, "turns"), 0),
            (unsigned)json_count(problems));
}

static void note_keyring(struct cli *cli, struct json root)
{
    struct buf keyring = BUF_INIT(PATH_BYTES_MAX);

    if (json_string(json_get(root, "keyring"), &keyring) && buf_ok(&keyring))
        output_note(&cli->output, "the keyring %s is not in it, and nothing in it can be read "
                    "without: keep a copy of the keyring too, elsewhere", keyring.ptr);
    buf_release(&keyring);
}

static void note_kept(struct cli *cli, struct json root)
{
    struct buf kept = BUF_INIT(PATH_BYTES_MAX);

    if (json_string(json_get(root, "kept"), &kept) && buf_ok(&kept))
        output_note(&cli->output, "the store as it was is kept as %s: remove it when nothing in "
                    "it is missed", kept.ptr);
    buf_release(&kept);
}

static void print_report(struct cli *cli, const struct report *report, bool backup, bool done)
{
    struct json root = json_root(&report->doc);

    if (cli->options.format == FORMAT_JSON)
        output_line(&cli->output, report->text);
    else if (done)
        print_copied(cli, root, backup ? "backed up to" : "restored from");
    else
        cli_print_lines(cli, json_get(root, "problems"));
    if (done && backup)
        note_keyring(cli, root);
    else if (done)
        note_kept(cli, root);
}

static int copy(struct cli *cli, bool backup)
{
    const struct options *o = &cli->options;
    parley_copy_options how = PARLEY_COPY_OPTIONS_INIT;
    parley_error error = PARLEY_ERROR_INIT;
    parley_options options;
    struct report report;
    char *text = NULL;

    if (strcmp(o->words[0], "-") == 0) {
        output_error(&cli->output, "a copy is a file, not a stream: name one");
        return PARLEY_E_USAGE;
    }
    how.flags = (option_on(o, FLAG_FORCE) ? PARLEY_COPY_REPLACE : 0) |
                (option_on(o, FLAG_DAMAGED) ? PARLEY_COPY_DAMAGED : 0);
    how.progress = interrupted;
    how.user = cli;
    cli_engine_options(cli, &options);
    int code = backup ? parley_backup(&options, &how, o->words[0], &text, &error)
                      : parley_restore(&options, &how, o->words[0], &text, &error);
    if (text) {
        int read = cli_report_read(cli, PARLEY_OK, text, &error, &report);
        if (read < 0)
            return read;
        print_report(cli, &report, backup, code == PARLEY_OK);
        cli_report_free(&report);
    }
    // An interruption needs no words: whoever caused it knows.
    if (code < 0 && code != PARLEY_E_CANCELLED)
        cli_fail(cli, &error);
    return code;
}

int command_backup(struct cli *cli)
{
    return copy(cli, true);
}

int command_restore(struct cli *cli)
{
    return copy(cli, false);
}
