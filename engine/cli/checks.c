// SPDX-License-Identifier: MIT
// checks.c: the commands that look after an installation: check, verify, migrate, version, help.
#include "cli/cli.h"

#include <inttypes.h>

// Most errors begin with their file's name; the others get it.
static void print_file(struct output *o, struct json file)
{
    struct buf scratch = BUF_INIT(1 << 20), why = BUF_INIT(1 << 20);
    bool good = json_bool(json_get(file, "ok"), false);
    struct slice name = json_text(json_get(file, "file"), &scratch);
    struct slice error = json_text(json_get(file, "error"), &why);
    struct json_iter it = {0};
    struct json none, note;

    output_str(o, good ? "ok     " : "error  ");
    if (good || !slice_starts(error, name))
        output_text(o, name);
    if (!good && !slice_starts(error, name))
        output_str(o, ": ");
    if (!good)
        output_text(o, error);
    output_str(o, "\n");
    while (json_next(json_get(file, "notes"), &it, &none, &note)) {
        output_str(o, "note   ");
        output_text(o, name);
        output_str(o, ": ");
        output_text(o, json_text(note, &why));
        output_str(o, "\n");
    }
    buf_release(&scratch);
    buf_release(&why);
}

static void print_files(struct cli *cli, struct json files)
{
    struct json_iter it = {0};
    struct json key, file;

    while (json_next(files, &it, &key, &file))
        print_file(&cli->output, file);
}

int command_check(struct cli *cli)
{
    struct report report;
    int code = PARLEY_OK;

    int read = cli_report_on_words(cli, parley_check, &code, &report);
    if (read < 0)
        return read;
    if (cli->options.format == FORMAT_JSON)
        output_line(&cli->output, report.text);
    else
        print_files(cli, json_get(json_root(&report.doc), "files"));
    cli_report_free(&report);
    return code;
}

int command_verify(struct cli *cli)
{
    const struct options *o = &cli->options;
    struct answer answer;
    parley_scope scope;

    int code = cli_open_kept(cli);
    if (code < 0)
        return code;
    cli_scope_of_all(cli, &scope);
    code = cli_ask_engine(cli, parley_verify, &scope, &answer);
    if (code < 0)
        return code;
    struct json root = json_root(&answer.doc), problems = json_get(root, "problems");
    if (o->format == FORMAT_JSON) {
        output_line(&cli->output, answer.event->json);
    } else {
        cli_print_lines(cli, problems);
        outputf(&cli->output, "sessions: %" PRId64 ", turns: %" PRId64 ", problems: %u\n",
                json_i64(json_get(root, "sessions"), 0), json_i64(json_get(root, "turns"), 0),
                (unsigned)json_count(problems));
    }
    code = json_count(problems) ? PARLEY_E_CORRUPT : PARLEY_OK;
    cli_answer_free(&answer);
    return code;
}

int command_migrate(struct cli *cli)
{
    parley_error error = PARLEY_ERROR_INIT;
    parley_options options;
    char *report = NULL;

    cli_engine_options(cli, &options);
    int code = parley_migrate(&options, option_on(&cli->options, FLAG_DRY_RUN), &report, &error);
    if (report) {
        output_text(&cli->output, slice_str(report));
        output_end_line(&cli->output);
    }
    if (code < 0)
        cli_fail(cli, &error);
    parley_free(report);
    return code;
}

static void print_libraries(struct cli *cli, struct json libraries)
{
    struct buf name = BUF_INIT(1024), version = BUF_INIT(1024);
    struct json_iter it = {0};
    struct json none, library;

    while (json_next(libraries, &it, &none, &library)) {
        struct slice n = json_text(json_get(library, "name"), &name);
        struct slice v = json_text(json_get(library, "version"), &version);

        outputf(&cli->output, "%.*s %.*s\n", SLICE_FMT(n), SLICE_FMT(v));
    }
    buf_release(&name);
    buf_release(&version);
}

int command_version(struct cli *cli)
{
    bool verbose = cli->options.command && option_on(&cli->options, FLAG_VERBOSE);
    parley_error error = PARLEY_ERROR_INIT;
    struct report report = {0};
    char *text = NULL;

    int code = verbose ? parley_libraries(&text, &error) : PARLEY_OK;
    if (verbose)
        code = cli_report_read(cli, code, text, &error, &report);
    if (code < 0)
        return code;
    if (cli->options.format == FORMAT_JSON)
        outputf(&cli->output, "{\"version\":\"%s\"%s%s}\n", parley_version(),
                verbose ? ",\"libraries\":" : "", verbose ? report.text : "");
    else
        outputf(&cli->output, "parley %s\n", parley_version());
    if (verbose && cli->options.format != FORMAT_JSON)
        print_libraries(cli, json_root(&report.doc));
    if (verbose)
        cli_report_free(&report);
    return PARLEY_OK;
}

int command_help(struct cli *cli)
{
    const struct options *o = &cli->options;
    struct err err = ERR_INIT;

    if (option_on(o, FLAG_MAN))
        return help_manual(cli);
    if (option_on(o, FLAG_SETTINGS))
        return help_settings(cli);
    if (!o->n_words)
        return help_overview(cli);
    const struct command *command = command_find(o->words[0], &err);
    return command ? help_command(cli, command) : cli_fail_err(cli, &err);
}
