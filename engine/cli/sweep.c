// SPDX-License-Identifier: MIT
// sweep.c: `parley sweep`: learns from sessions whose time has come and archives them, and deletes
// those that are to be deleted, now.
#include "cli/cli.h"

#include <inttypes.h>

static void print(struct cli *cli, struct json root)
{
    int64_t left = json_i64(json_get(root, "left"), 0);
    int64_t ahead = json_i64(json_get(root, "clock_ahead_seconds"), 0);
    int64_t failed = json_i64(json_get(root, "failed"), 0);
    int64_t purged = json_i64(json_get(root, "purged"), 0);

    outputf(&cli->output, "archived: %" PRId64 ", purged: %" PRId64,
            json_i64(json_get(root, "archived"), 0), purged);
    if (purged)
        outputf(&cli->output, " (%" PRId64 " records)", json_i64(json_get(root, "records"), 0));
    output_end_line(&cli->output);
    if (failed)
        output_note(&cli->output, "%" PRId64 " session%s could not be learnt from yet: a later "
                    "sweep tries again", failed, failed == 1 ? "" : "s");
    if (left)
        output_note(&cli->output, "%" PRId64 " session%s could not be handled: run parley verify",
                    left, left == 1 ? "" : "s");
    if (json_bool(json_get(root, "paused"), false))
        output_note(&cli->output,
                    "the clock is %" PRId64 " h ahead of the time that is known to have passed, "
                    "so deletions wait; if the clock is right: parley sweep --trust-clock",
                    ahead / 3600);
}

int command_sweep(struct cli *cli)
{
    const struct options *o = &cli->options;
    parley_error error = PARLEY_ERROR_INIT;
    uint64_t request = 0;
    struct answer answer;

    int code = cli_open(cli);
    if (code < 0)
        return code;
    unsigned flags = option_on(o, FLAG_TRUST_CLOCK) ? PARLEY_TRUST_CLOCK : 0;
    code = parley_sweep(cli->engine, flags, &request, &error);
    code = cli_answer(cli, code, request, &error, &answer);
    if (code < 0)
        return code;
    if (o->format == FORMAT_JSON)
        output_line(&cli->output, answer.event->json);
    else
        print(cli, json_root(&answer.doc));
    cli_answer_free(&answer);
    return PARLEY_OK;
}
