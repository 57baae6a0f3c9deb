// SPDX-License-Identifier: MIT
// pin.c: `parley pin`, /pin and /unpin: what a session keeps in every request.
#include "cli/cli.h"

// The pinned turns, in one line.
static void print_turns(struct output *o, struct json pinned)
{
    struct json_iter it = {0};
    struct json key, pin;
    const char *lead = "Pinned: ";

    while (json_next(pinned, &it, &key, &pin)) {
        struct buf text = BUF_INIT(64);

        buf_add_str(&text, lead);
        json_string(json_get(pin, "turn"), &text);
        if (json_is_string(json_get(pin, "by"), "policy"))
            buf_add_str(&text, " (by the policy)");
        output_text(o, buf_slice(&text));
        buf_release(&text);
        lead = ", ";
    }
    output_str(o, json_count(pinned) ? ".\n" : "Nothing is pinned.\n");
}

int pin_turn(struct cli *cli, const parley_scope *scope, uint32_t turn, bool remove)
{
    parley_error error = PARLEY_ERROR_INIT;
    uint64_t request = 0;
    struct answer answer;

    int code = remove ? parley_unpin(cli->engine, scope, turn, &request, &error)
                      : parley_pin(cli->engine, scope, turn, &request, &error);
    code = cli_answer(cli, code, request, &error, &answer);
    if (code < 0)
        return code;
    if (cli->options.format == FORMAT_JSON)
        output_line(&cli->output, answer.event->json);
    else
        print_turns(&cli->output, json_get(json_root(&answer.doc), "pinned"));
    cli_answer_free(&answer);
    return PARLEY_OK;
}

int command_pin(struct cli *cli)
{
    const struct options *o = &cli->options;
    parley_scope scope;
    uint32_t turn = 0;
    int code = cli_session_turn(cli, &scope, &turn);

    if (code == PARLEY_OK)
        code = cli_open(cli);
    return code < 0 ? code : pin_turn(cli, &scope, turn, option_on(o, FLAG_REMOVE));
}
