// SPDX-License-Identifier: MIT
// why.c: `parley why` and /why: what a turn's request was made of, in runs of turns alike.
#include "cli/cli.h"
#include "cli/table.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

// Turns that follow each other and have the same reason: one line.
struct stretch {
    char why[32];
    int64_t first, last, turns, tokens;
};

static int64_t number_of(struct json turn)
{
    struct buf text = BUF_INIT(32);
    int64_t n = json_string(json_get(turn, "turn"), &text) && buf_ok(&text) && text.ptr
                    ? strtoll(text.ptr, NULL, 10)
                    : 0;

    buf_release(&text);
    return n;
}

static void add_row(struct table *t, const struct stretch *s)
{
    char turns[48], tokens[24];

    if (s->turns == 0)
        return;
    if (s->first == s->last)
        snprintf(turns, sizeof turns, "%" PRId64, s->first);
    else
        snprintf(turns, sizeof turns, "%" PRId64 "-%" PRId64, s->first, s->last);
    snprintf(tokens, sizeof tokens, "%" PRId64, s->tokens);
    table_add_str(t, s->why);
    table_add_str(t, turns);
    table_add_str(t, tokens);
}

static void add_turns(struct table *t, struct json turns)
{
    struct stretch s = {0};
    struct json_iter it = {0};
    struct json key, turn;

    while (json_next(turns, &it, &key, &turn)) {
        int64_t n = number_of(turn);
        struct json why = json_get(turn, "why");

        if (s.turns == 0 || n != s.last + 1 || !json_is_string(why, s.why)) {
            struct buf word = BUF_INIT(sizeof s.why - 1);

            add_row(t, &s);
            json_string(why, &word);
            s = (struct stretch){.first = n};
            snprintf(s.why, sizeof s.why, "%s", word.ptr ? word.ptr : "");
            buf_release(&word);
        }
        s.last = n;
        s.turns++;
        s.tokens += json_i64(json_get(turn, "tokens"), 0);
    }
    add_row(t, &s);
}

static void add_fixed(struct table *t, const char *what, int64_t turn, int64_t tokens)
{
    struct stretch s = {.first = turn, .last = turn, .turns = 1, .tokens = tokens};

    snprintf(s.why, sizeof s.why, "%s", what);
    add_row(t, &s);
}

// Turns up to one of them, in fewer words.
static void add_summary(struct table *t, struct json summary)
{
    struct buf upto = BUF_INIT(64);
    char turns[96], tokens[24];

    if (json_type(summary) != JSON_OBJECT)
        return;
    struct slice last = json_text(json_get(summary, "upto_turn"), &upto);
    snprintf(turns, sizeof turns, "1-%.*s", (int)last.len, last.ptr);
    snprintf(tokens, sizeof tokens, "%" PRId64, json_i64(json_get(summary, "tokens"), 0));
    table_add_str(t, "summary");
    table_add_str(t, turns);
    table_add_str(t, tokens);
    buf_release(&upto);
}

// A line for each: they are of any session, and have scores; their tokens are those of all.
static void add_recalled(struct table *t, struct json root)
{
    struct json_iter it = {0};
    struct json key, item;
    struct buf id = BUF_INIT(64), kind = BUF_INIT(16);
    int64_t tokens = json_i64(json_get(root, "recalled_tokens"), 0);
    char what[128], sum[24];

    while (json_next(json_get(root, "recalled"), &it, &key, &item)) {
        struct json fact = json_get(item, "fact");
        bool is_turn = json_type(json_get(item, "turn")) != JSON_NONE;
        double score = json_double(json_get(item, "score"), 0);
        struct slice word = json_text(json_get(item, "kind"), &kind);
        struct slice of = json_text(json_type(fact) == JSON_NONE ? json_get(item, "session") : fact,
                                    &id);
        if (is_turn)
            snprintf(what, sizeof what, "%" PRId64 " of %.*s (%.3f)", number_of(item),
                     SLICE_FMT(of), score);
        else
            snprintf(what, sizeof what, "%.*s %.*s (%.3f)", SLICE_FMT(word), SLICE_FMT(of), score);
        snprintf(sum, sizeof sum, "%" PRId64, tokens);
        table_add_str(t, "recalled");
        table_add_str(t, what);
        table_add_str(t, tokens ? sum : "");
        tokens = 0;
    }
    buf_release(&id);
    buf_release(&kind);
}

static void add_constraints(struct table *t, struct json root)
{
    char count[24], tokens[24];
    int64_t n = json_i64(json_get(root, "constraints"), 0);

    if (n == 0)
        return;
    snprintf(count, sizeof count, "(%" PRId64 ")", n);
    snprintf(tokens, sizeof tokens, "%" PRId64,
             json_i64(json_get(root, "constraints_tokens"), 0));
    table_add_str(t, "constraints");
    table_add_str(t, count);
    table_add_str(t, tokens);
}

static void add_core(struct table *t, struct json root)
{
    char tokens[24];
    int64_t n = json_i64(json_get(root, "core_tokens"), 0);

    if (n == 0)
        return;
    snprintf(tokens, sizeof tokens, "%" PRId64, n);
    table_add_str(t, "core memory");
    table_add_str(t, "");
    table_add_str(t, tokens);
}

static void print_usage(struct output *o, const char *what, struct json usage)
{
    double cost = json_double(json_get(usage, "cost_usd"), -1);
    int64_t cached = json_i64(json_get(usage, "cached_tokens"), 0);

    outputf(o, "%s %" PRId64 " tokens in", what, json_i64(json_get(usage, "input_tokens"), 0));
    if (cached)
        outputf(o, " (%" PRId64 " cached)", cached);
    outputf(o, ", %" PRId64 " out", json_i64(json_get(usage, "output_tokens"), 0));
    if (cost >= 0)
        outputf(o, ", $%.6f", cost);
    output_str(o, "\n");
}

static void print_member(struct output *o, const char *lead, struct json v)
{
    struct buf text = BUF_INIT(1 << 16);

    json_string(v, &text);
    if (text.len) {
        output_str(o, lead);
        output_text(o, buf_slice(&text));
    }
    buf_release(&text);
}

static int print_table(struct cli *cli, struct json root)
{
    struct output *o = &cli->output;
    struct err err = ERR_INIT;
    struct table t;
    int64_t turn = number_of(root);
    bool sent = !json_is_string(json_get(root, "strategy"), "");

    print_member(o, "turn ", json_get(root, "turn"));
    print_member(o, " · ", json_get(root, "status"));
    print_member(o, " · ", json_get(root, "policy"));
    print_member(o, " · ", json_get(root, "model"));
    output_str(o, "\n");
    if (!sent) {
        // Of a process that ended it is not known how far it came; its call may be billed.
        output_str(o, json_is_string(json_get(root, "status"), "interrupted")
                          ? "It is not known what was sent: the process ended during the turn.\n"
                          : "Nothing was sent: the policy answered.\n");
        return PARLEY_OK;
    }
    print_member(o, "", json_get(root, "strategy"));
    print_member(o, ", as ", json_get(root, "by"));
    output_str(o, json_bool(json_get(root, "cut_moved"), false) ? " says; the cut moved here\n\n"
                                                                : " says\n\n");
    table_init(&t, 3, 1 << 2);
    table_add_str(&t, "WHY");
    table_add_str(&t, "TURNS");
    table_add_str(&t, "TOKENS");
    table_add_str(&t, "system");
    table_add_str(&t, "");
    char system[24];
    snprintf(system, sizeof system, "%" PRId64, json_i64(json_get(root, "system_tokens"), 0));
    table_add_str(&t, system);
    add_core(&t, root);
    add_constraints(&t, root);
    add_summary(&t, json_get(root, "summary"));
    add_turns(&t, json_get(root, "sent"));
    add_recalled(&t, root);
    add_fixed(&t, "new", turn, json_i64(json_get(root, "text_tokens"), 0));
    add_turns(&t, json_get(root, "dropped"));
    int code = table_print(&t, o, &err);
    table_release(&t);
    if (code < 0)
        return cli_fail_err(cli, &err);
    output_str(o, "\n");
    print_usage(o, "predicted", json_get(root, "predicted"));
    print_usage(o, "billed   ", json_get(root, "billed"));
    return PARLEY_OK;
}

int why_print(struct cli *cli, const parley_scope *scope, uint32_t turn)
{
    parley_error error = PARLEY_ERROR_INIT;
    uint64_t request = 0;
    struct answer answer;

    int code = parley_why(cli->engine, scope, turn, &request, &error);
    code = cli_answer(cli, code, request, &error, &answer);
    if (code < 0)
        return code;
    if (cli->options.format == FORMAT_JSON) {
        output_line(&cli->output, answer.event->json);
    } else {
        code = print_table(cli, json_root(&answer.doc));
    }
    cli_answer_free(&answer);
    return code;
}

static int why_fact(struct cli *cli, const char *fact)
{
    parley_scope scope;
    int code = PARLEY_OK;

    if (cli->options.n_words) {
        output_error(&cli->output, "'%s' is one word too many: a fact is of no session",
                     cli->options.words[0]);
        return PARLEY_E_USAGE;
    }
    cli_scope(cli, &scope);
    code = cli_open(cli);
    return code < 0 ? code : memory_why(cli, &scope, fact);
}

int command_why(struct cli *cli)
{
    parley_scope scope;
    uint32_t turn = 0;

    if (option_on(&cli->options, FLAG_FACT))
        return why_fact(cli, cli->options.value[FLAG_FACT]);
    int code = cli_session_turn(cli, &scope, &turn);

    if (code == PARLEY_OK)
        code = cli_open(cli);
    return code < 0 ? code : why_print(cli, &scope, turn);
}
