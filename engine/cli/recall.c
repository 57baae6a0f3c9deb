// SPDX-License-Identifier: MIT
// recall.c: `parley recall`: the messages, facts and lines of the journal that bear on a query,
// best first, and why.
#include "cli/listing.h"

#include <stdlib.h>

enum { QUERY_BYTES_MAX = 256 << 10, K_MAX = 256 };

static const struct column columns[] = {
    {"score", "SCORE", KIND_COUNT}, {"kind", "KIND", KIND_TEXT}, {"fact", "FACT", KIND_TEXT},
    {"session", "SESSION", KIND_TEXT}, {"turn", "TURN", KIND_TEXT}, {"role", "ROLE", KIND_TEXT},
    {"text", "TEXT", KIND_TEXT}, {"why", "WHY", KIND_TEXT},
};
enum { COLUMNS = sizeof columns / sizeof *columns };

// "  session 0192…", if there is one.
static void print_member(struct output *o, struct json row, const char *member, struct buf *text)
{
    struct json v = json_get(row, member);
    if (json_type(v) != JSON_STRING)
        return;
    outputf(o, "  %s ", member);
    output_text(o, json_text(v, text));
}

// Messages are long: as text, each stands under a line that says which one it is.
static void print_message(struct output *o, struct json row)
{
    struct buf text = BUF_INIT(QUERY_BYTES_MAX * 4);
    struct json role = json_get(row, "role");

    outputf(o, "%.3f", json_double(json_get(row, "score"), 0));
    print_member(o, row, "fact", &text);
    print_member(o, row, "session", &text);
    print_member(o, row, "turn", &text);
    output_str(o, "  (");
    output_text(o, json_text(json_get(row, "why"), &text));
    output_str(o, ")\n");
    output_text(o, json_text(json_type(role) == JSON_STRING ? role : json_get(row, "kind"), &text));
    output_str(o, ": ");
    output_text(o, json_text(json_get(row, "text"), &text));
    output_end_line(o);
    output_str(o, "\n");
    buf_release(&text);
}

static int print(struct cli *cli, const struct answer *answer)
{
    struct json rows = json_root(&answer->doc), key, row;
    struct json_iter it = {0};
    struct table table;

    if (listing_json(cli, answer->event->json, rows))
        return PARLEY_OK;
    if (cli->options.format == FORMAT_CSV) {
        listing_start(&table, columns, COLUMNS, 0, true);
        while (json_next(rows, &it, &key, &row))
            listing_row(&table, columns, COLUMNS, row, true);
        return listing_end(cli, &table, true);
    }
    if (json_count(rows) == 0)
        output_note(&cli->output, "nothing that was said with this bot, in this context, bears on "
                                  "it");
    while (json_next(rows, &it, &key, &row))
        print_message(&cli->output, row);
    return PARLEY_OK;
}

static int read_count(struct cli *cli, unsigned *k)
{
    const char *value = cli->options.value[FLAG_K];
    char *end = NULL;
    unsigned long n = value ? strtoul(value, &end, 10) : 0;

    if (value && (n == 0 || n > K_MAX || *end || value[0] == '-')) {
        output_error(&cli->output, "-k %s: it is a number of hits, from 1 to %d", value, K_MAX);
        return PARLEY_E_USAGE;
    }
    *k = (unsigned)n;
    return PARLEY_OK;
}

int command_recall(struct cli *cli)
{
    const struct options *o = &cli->options;
    parley_error error = PARLEY_ERROR_INIT;
    struct buf query = BUF_INIT(QUERY_BYTES_MAX);
    struct err err = ERR_INIT;
    uint64_t request = 0;
    struct answer answer;
    parley_scope scope;
    unsigned k = 0;

    int code = read_count(cli, &k);
    if (code < 0)
        return code;
    for (size_t i = 0; i < o->n_words; i++) {
        buf_add_str(&query, i ? " " : "");
        buf_add_str(&query, o->words[i]);
    }
    if (buf_check(&query, "the query", &err)) {
        buf_release(&query);
        return cli_fail_err(cli, &err);
    }
    code = cli_open(cli);
    if (code == PARLEY_OK) {
        cli_scope(cli, &scope);
        code = parley_recall(cli->engine, &scope, query.ptr, k, &request, &error);
        code = cli_answer(cli, code, request, &error, &answer);
    }
    buf_release(&query);
    if (code < 0)
        return code;
    code = print(cli, &answer);
    cli_answer_free(&answer);
    return code;
}
