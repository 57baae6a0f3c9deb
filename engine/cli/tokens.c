// SPDX-License-Identifier: MIT
// tokens.c: `parley tokens`: how many tokens a file or standard input is.
#include "cli/cli.h"

#include <inttypes.h>
#include <string.h>

enum { TEXT_MAX = 64 << 20 }; // what parley_tokens takes

// The ids with a space between them. They come last in the report, which may be longer than what
// the reader of JSON takes.
static void print_ids(struct cli *cli, const char *report)
{
    for (const char *id = strrchr(report, '['); id && *id != ']';) {
        size_t len = strcspn(++id, ",]");

        output_bytes(&cli->output, slice_of(id, len));
        id += len;
        output_str(&cli->output, *id == ',' ? " " : "\n");
    }
}

// A number alone does not tell what it is.
static void note_estimate(struct cli *cli, struct json root)
{
    if (json_bool(json_get(root, "estimated"), false))
        output_note(&cli->output, "estimated: the vocabulary of model %s is not public",
                    cli->options.value[FLAG_MODEL]);
}

static int print_count(struct cli *cli, const char *report)
{
    struct json_doc doc = JSON_DOC_INIT;
    struct err err = ERR_INIT;

    int code = json_parse(&doc, slice_str(report), 0, &err);
    if (code == E_OK) {
        outputf(&cli->output, "%" PRId64 "\n", json_i64(json_get(json_root(&doc), "tokens"), -1));
        note_estimate(cli, json_root(&doc));
    }
    json_doc_release(&doc);
    return code < 0 ? cli_fail_err(cli, &err) : PARLEY_OK;
}

static int count(struct cli *cli, const struct buf *text)
{
    const struct options *o = &cli->options;
    unsigned flags = (option_on(o, FLAG_IDS) ? PARLEY_TOKEN_IDS : 0) |
                     (option_on(o, FLAG_SPECIAL) ? PARLEY_TOKEN_SPECIAL : 0);
    parley_error error = PARLEY_ERROR_INIT;
    char *report;

    int code = parley_tokens(o->value[FLAG_ENCODING], o->value[FLAG_MODEL], text->ptr, text->len,
                             flags, &report, &error);
    if (code < 0)
        return cli_fail(cli, &error);
    if (o->format == FORMAT_JSON) {
        output_str(&cli->output, report);
        output_end_line(&cli->output);
    } else if (flags & PARLEY_TOKEN_IDS) {
        print_ids(cli, report);
    } else {
        code = print_count(cli, report);
    }
    parley_free(report);
    return code;
}

int command_tokens(struct cli *cli)
{
    struct buf text = BUF_INIT(TEXT_MAX + 1);

    int code = cli_read_text(cli, cli->options.n_words ? cli->options.words[0] : NULL, TEXT_MAX,
                             &text);
    if (code == PARLEY_OK)
        code = count(cli, &text);
    buf_release(&text);
    return code;
}
