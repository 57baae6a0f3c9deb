// SPDX-License-Identifier: MIT
// pin.c: `parley pin` and `constraint`, /pin, /constraint and what undoes them: what a session
// keeps in every request.
#include "base/mem.h"
#include "cli/cli.h"

#include <inttypes.h>

enum { TEXT_MAX = 256 << 10 };

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

// ---- constraints

static void print_constraints(struct output *o, struct json constraints)
{
    struct json_iter it = {0};
    struct json key, item;

    while (json_next(constraints, &it, &key, &item)) {
        struct buf text = BUF_INIT(TEXT_MAX);

        outputf(o, "%" PRId64 ". ", json_i64(json_get(item, "number"), 0));
        json_string(json_get(item, "text"), &text);
        output_text(o, buf_slice(&text));
        output_end_line(o);
        buf_release(&text);
    }
    if (json_count(constraints) == 0)
        output_str(o, "There are no constraints.\n");
}

// Takes what was asked for, if that went well.
static int print_answer(struct cli *cli, int code, struct answer *answer)
{
    if (code < 0)
        return code;
    if (cli->options.format == FORMAT_JSON)
        output_line(&cli->output, answer->event->json);
    else
        print_constraints(&cli->output, json_get(json_root(&answer->doc), "constraints"));
    cli_answer_free(answer);
    return PARLEY_OK;
}

// Of all that there is to show of a session.
int constraint_list(struct cli *cli, const parley_scope *scope)
{
    struct answer answer;
    int code = cli_ask_engine(cli, parley_show, scope, &answer);

    if (code < 0)
        return code;
    struct json root = json_root(&answer.doc), list = json_get(root, "constraints");
    struct slice id = json_raw(json_get(root, "session")), raw = json_raw(list);
    if (cli->options.format == FORMAT_JSON)
        outputf(&cli->output, "{\"session\":%.*s,\"constraints\":%.*s}\n", SLICE_FMT(id),
                SLICE_FMT(raw));
    else
        print_constraints(&cli->output, list);
    cli_answer_free(&answer);
    return PARLEY_OK;
}

int constraint_add(struct cli *cli, const parley_scope *scope, struct slice text)
{
    parley_error error = PARLEY_ERROR_INIT;
    uint64_t request = 0;
    struct answer answer;
    char *copy = mem_slicedup(text);

    if (!copy) {
        output_error(&cli->output, "out of memory for a constraint");
        return PARLEY_E_NOMEM;
    }
    int code = parley_constrain(cli->engine, scope, copy, &request, &error);
    mem_free(copy);
    return print_answer(cli, cli_answer(cli, code, request, &error, &answer), &answer);
}

int constraint_remove(struct cli *cli, const parley_scope *scope, struct slice word)
{
    parley_error error = PARLEY_ERROR_INIT;
    uint64_t request = 0;
    struct answer answer;
    uint32_t number;

    if (!cli_turn(word, &number)) {
        output_error(&cli->output, "'%.*s' is no constraint's number: they are listed with theirs",
                     SLICE_FMT(word));
        return PARLEY_E_USAGE;
    }
    int code = parley_unconstrain(cli->engine, scope, number, &request, &error);
    return print_answer(cli, cli_answer(cli, code, request, &error, &answer), &answer);
}

static int run_constraint(struct cli *cli, const parley_scope *scope, struct slice text)
{
    bool remove = option_on(&cli->options, FLAG_REMOVE);
    int code = cli_open(cli);

    if (code < 0)
        return code;
    if (remove)
        return constraint_remove(cli, scope, text);
    return text.len ? constraint_add(cli, scope, text) : constraint_list(cli, scope);
}

int command_constraint(struct cli *cli)
{
    const struct options *o = &cli->options;
    struct buf text = BUF_INIT(TEXT_MAX);
    struct err err = ERR_INIT;
    parley_scope scope;
    size_t from;

    if (!cli_session_named(cli, &scope, &from))
        return PARLEY_E_USAGE;
    for (size_t i = from; i < o->n_words; i++) {
        buf_add_str(&text, i > from ? " " : "");
        buf_add_str(&text, o->words[i]);
    }
    int code = buf_check(&text, "the constraint", &err);
    code = code ? cli_fail_err(cli, &err) : run_constraint(cli, &scope, buf_slice(&text));
    buf_release(&text);
    return code;
}
