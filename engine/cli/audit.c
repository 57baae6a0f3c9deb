// SPDX-License-Identifier: MIT
// audit.c: `parley audit`: the trail, whether it is whole, and its signed head.
#include "base/clock.h"
#include "cli/listing.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { HEAD_BYTES_MAX = 4096 };

static const struct column columns[] = {
    {"n", "N", KIND_COUNT},           {"at", "TIME", KIND_TIME},
    {"action", "ACTION", KIND_TEXT},  {"detail", "DETAIL", KIND_TEXT},
    {"actor", "ACTOR", KIND_TEXT},    {"subject", "SUBJECT", KIND_TEXT},
    {"bot", "BOT", KIND_TEXT},        {"policy", "POLICY", KIND_TEXT},
    {"count", "COUNT", KIND_COUNT},   {"hash", "HASH", KIND_TEXT},
};
// Hashes are for machines.
enum { COLUMNS = sizeof columns / sizeof *columns, COLUMNS_SHOWN = COLUMNS - 1 };

// ---- the list

static int print_list(struct cli *cli, const struct answer *answer)
{
    struct json rows = json_root(&answer->doc), key, row;
    bool csv = cli->options.format == FORMAT_CSV;
    size_t n = csv ? COLUMNS : COLUMNS_SHOWN;
    struct json_iter it = {0};
    struct table table;

    if (listing_json(cli, answer->event->json, rows))
        return PARLEY_OK;
    listing_start(&table, columns, n, 0, csv);
    while (json_next(rows, &it, &key, &row))
        listing_row(&table, columns, n, row, csv);
    return listing_end(cli, &table, csv);
}

// "7d", or a day, or a time.
static int read_since(struct cli *cli, int64_t *since_ms)
{
    const char *text = cli->options.value[FLAG_SINCE];
    struct err err = ERR_INIT;
    int64_t span_ms;

    if (!text)
        return PARLEY_OK;
    if (clock_parse_span(slice_str(text), &span_ms, NULL) == E_OK) {
        *since_ms = clock_wall_ms(clock_system()) - span_ms;
        return PARLEY_OK;
    }
    if (clock_parse(slice_str(text), since_ms, &err)) {
        err_prefix(&err, "--since: neither a span such as 7d nor a time: ");
        return cli_fail_err(cli, &err);
    }
    return PARLEY_OK;
}

static int list(struct cli *cli)
{
    parley_error error = PARLEY_ERROR_INIT;
    struct answer answer;
    int64_t since_ms = 0;
    uint64_t request = 0;
    parley_scope scope;

    int code = read_since(cli, &since_ms);
    if (code < 0)
        return code;
    cli_scope_of_all(cli, &scope);
    int asked = parley_audit(cli->engine, &scope, since_ms, &request, &error);
    code = cli_answer(cli, asked, request, &error, &answer);
    if (code < 0)
        return code;
    code = print_list(cli, &answer);
    cli_answer_free(&answer);
    return code;
}

// ---- verifying

static int read_head(struct cli *cli, char out[HEAD_BYTES_MAX])
{
    const char *name = cli->options.value[FLAG_HEAD];
    FILE *file = NULL;

    out[0] = '\0';
    if (!name)
        return PARLEY_OK;
    file = fopen(name, "re");
    size_t n = file ? fread(out, 1, HEAD_BYTES_MAX - 1, file) : 0;
    bool good = file && !ferror(file);
    if (file)
        fclose(file);
    while (n && (out[n - 1] == '\n' || out[n - 1] == '\r'))
        n--;
    out[n] = '\0';
    if (good && n && strlen(out) == n)
        return PARLEY_OK;
    output_error(&cli->output, "--head %s: %s: name a file that `parley audit head` was saved to",
                 name, good ? "no head is in it" : "it cannot be read");
    return PARLEY_E_USAGE;
}

static void print_check(struct cli *cli, const struct answer *answer)
{
    struct json root = json_root(&answer->doc), problems = json_get(root, "problems");
    struct json head = json_get(root, "head"), newest = json_get(root, "newest");
    int64_t last = json_i64(json_get(newest, "n"), 0);
    struct buf at = BUF_INIT(HEAD_BYTES_MAX);

    cli_print_lines(cli, problems);
    outputf(&cli->output, "entries: %" PRId64, json_i64(json_get(root, "entries"), 0));
    if (json_type(head) == JSON_OBJECT) {
        outputf(&cli->output, ", signed up to entry %" PRId64 " of %" PRId64 " at ",
                json_i64(json_get(head, "n"), 0), last);
        output_text(&cli->output, json_text(json_get(head, "at"), &at));
    } else if (last) {
        output_str(&cli->output, ", no signed head");
    }
    outputf(&cli->output, ", problems: %u\n", (unsigned)json_count(problems));
    buf_release(&at);
}

static int verify(struct cli *cli)
{
    bool accept = option_on(&cli->options, FLAG_ACCEPT);
    parley_error error = PARLEY_ERROR_INIT;
    char head[HEAD_BYTES_MAX];
    struct answer answer;
    uint64_t request = 0;

    int code = read_head(cli, head);
    if (code < 0)
        return code;
    if (accept && head[0]) {
        output_error(&cli->output, "--accept is about the house's own head: leave --head out");
        return PARLEY_E_USAGE;
    }
    int asked = accept ? parley_audit_accept(cli->engine, &request, &error)
                       : parley_audit_verify(cli->engine, head[0] ? head : NULL, &request, &error);
    code = cli_answer(cli, asked, request, &error, &answer);
    if (code < 0)
        return code;
    if (cli->options.format == FORMAT_JSON || cli->options.format == FORMAT_JSONL)
        output_line(&cli->output, answer.event->json);
    else
        print_check(cli, &answer);
    code = json_count(json_get(json_root(&answer.doc), "problems")) ? PARLEY_E_CORRUPT : PARLEY_OK;
    cli_answer_free(&answer);
    return code;
}

static int print_head(struct cli *cli)
{
    parley_error error = PARLEY_ERROR_INIT;
    struct answer answer;
    uint64_t request = 0;

    int asked = parley_audit_head(cli->engine, &request, &error);
    int code = cli_answer(cli, asked, request, &error, &answer);
    if (code < 0)
        return code;
    output_line(&cli->output, answer.event->json);
    cli_answer_free(&answer);
    return PARLEY_OK;
}

// ---- the command

static const struct {
    const char *word;
    int (*run)(struct cli *cli);
    bool takes_since, takes_head;
} words[] = {
    {"", list, true, false},
    {"verify", verify, false, true},
    {"head", print_head, false, false},
};

static int check_flags(struct cli *cli, bool takes_since, bool takes_head)
{
    const struct options *o = &cli->options;

    if (option_on(o, FLAG_SINCE) && !takes_since) {
        output_error(&cli->output, "--since is for the list of entries: leave it out");
        return PARLEY_E_USAGE;
    }
    if (o->format == FORMAT_CSV && !takes_since) {
        output_error(&cli->output, "only the list of entries can be csv: leave -o csv out");
        return PARLEY_E_USAGE;
    }
    if ((option_on(o, FLAG_HEAD) || option_on(o, FLAG_ACCEPT)) && !takes_head) {
        output_error(&cli->output, "--head and --accept are for `parley audit verify`");
        return PARLEY_E_USAGE;
    }
    return PARLEY_OK;
}

int command_audit(struct cli *cli)
{
    const struct options *o = &cli->options;
    const char *word = o->n_words ? o->words[0] : "";

    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (strcmp(words[i].word, word) != 0)
            continue;
        int code = check_flags(cli, words[i].takes_since, words[i].takes_head);
        if (code == PARLEY_OK)
            code = cli_open_kept(cli);
        return code < 0 ? code : words[i].run(cli);
    }
    output_error(&cli->output, "audit %s: it is verify, head, or nothing for the list", word);
    return PARLEY_E_USAGE;
}
