// SPDX-License-Identifier: MIT
// transcript.c: `parley show`, and the transcripts that chat prints and saves.
#include "cli/listing.h"

#include <inttypes.h>

enum { TRANSCRIPT_MAX = 256 << 20, TIME_START = 11, MINUTES_END = 16 };

static void add_content(struct buf *out, struct json content)
{
    struct json_iter it = {0};
    struct json key, block;

    while (json_next(content, &it, &key, &block)) {
        if (json_is_string(json_get(block, "type"), "text")) {
            json_string(json_get(block, "text"), out);
        } else {
            buf_add_char(out, '[');
            json_string(json_get(block, "type"), out);
            buf_add_char(out, ']');
        }
    }
}

static void add_turn(struct buf *out, struct json turn)
{
    struct json_iter it = {0};
    struct json key, step, stop = json_get(turn, "stop");
    struct buf at = BUF_INIT(64);

    json_string(json_get(turn, "at"), &at);
    buf_add_str(out, "\n[");
    json_string(json_get(turn, "turn"), out);
    buf_add_str(out, "] ");
    if (at.len >= MINUTES_END)
        buf_addf(out, "%.10s %.5s · ", at.ptr, at.ptr + TIME_START);
    if (json_bool(json_get(turn, "damaged"), false))
        buf_add_str(out, "damaged: what can be read of it");
    else
        json_string(json_get(turn, "status"), out);
    if (json_type(stop) == JSON_STRING && !json_is_string(stop, "end") &&
        !json_is_string(stop, "")) {
        buf_add_str(out, ", ");
        json_string(stop, out);
    }
    if (json_bool(json_get(turn, "superseded"), false))
        buf_add_str(out, " · superseded");
    if (json_type(json_get(turn, "pinned")) == JSON_STRING)
        buf_add_str(out, " · pinned");
    buf_add_char(out, '\n');
    while (json_next(json_get(turn, "steps"), &it, &key, &step)) {
        json_string(json_get(step, "role"), out);
        buf_add_str(out, ": ");
        add_content(out, json_get(step, "content"));
        buf_add_char(out, '\n');
    }
    buf_release(&at);
}

static void add_constraints(struct buf *out, struct json constraints)
{
    struct json_iter it = {0};
    struct json key, item;

    while (json_next(constraints, &it, &key, &item)) {
        buf_addf(out, "constraint %" PRId64 ": ", json_i64(json_get(item, "number"), 0));
        json_string(json_get(item, "text"), out);
        buf_add_char(out, '\n');
    }
}

void transcript_write(struct buf *out, const struct json_doc *doc)
{
    struct json root = json_root(doc), key, turn;
    struct json_iter it = {0};

    buf_add_str(out, "session ");
    json_string(json_get(root, "session"), out);
    buf_add_str(out, " · ");
    json_string(json_get(root, "user"), out);
    buf_add_str(out, " with ");
    json_string(json_get(root, "bot"), out);
    if (!json_is_string(json_get(root, "context"), "")) {
        buf_add_str(out, " · ");
        json_string(json_get(root, "context"), out);
    }
    buf_add_str(out, " · ");
    json_string(json_get(root, "status"), out);
    buf_add_char(out, '\n');
    int64_t purged = json_i64(json_get(root, "purged"), 0);
    if (purged)
        buf_addf(out, "%" PRId64 " turn%s, deleted as the policy says\n", purged,
                 purged == 1 ? "" : "s");
    if (json_type(json_get(root, "before")) == JSON_STRING) {
        buf_add_str(out, "goes on from ");
        json_string(json_get(root, "before"), out);
        buf_add_char(out, '\n');
    }
    add_constraints(out, json_get(root, "constraints"));
    if (!json_is_string(json_get(root, "greeting"), "") &&
        json_type(json_get(root, "greeting")) == JSON_STRING) {
        buf_add_str(out, "assistant, greeting: ");
        json_string(json_get(root, "greeting"), out);
        buf_add_char(out, '\n');
    }
    while (json_next(json_get(root, "turns"), &it, &key, &turn))
        add_turn(out, turn);
}

static int print_text(struct cli *cli, const struct json_doc *doc)
{
    struct buf text = BUF_INIT(TRANSCRIPT_MAX);
    struct err err = ERR_INIT;

    transcript_write(&text, doc);
    output_text(&cli->output, buf_slice(&text));
    int code = buf_check(&text, "the transcript", &err);
    buf_release(&text);
    return code < 0 ? cli_fail_err(cli, &err) : code;
}

int transcript_print(struct cli *cli, const struct answer *answer)
{
    struct json turns = json_get(json_root(&answer->doc), "turns");

    return listing_json(cli, answer->event->json, turns) ? PARLEY_OK
                                                         : print_text(cli, &answer->doc);
}

// A transcript with holes says so where errors are said, and by its status.
static int tell_damage(struct cli *cli, const struct answer *answer)
{
    struct json root = json_root(&answer->doc), key, line;
    struct buf scratch = BUF_INIT(1 << 20);
    struct json_iter it = {0};

    if (!json_bool(json_get(root, "quarantined"), false))
        return PARLEY_OK;
    while (json_next(json_get(root, "damage"), &it, &key, &line)) {
        struct slice text = json_text(line, &scratch);
        output_error(&cli->output, "%.*s", SLICE_FMT(text));
    }
    output_error(&cli->output, "this session is quarantined: it can be shown and not continued; "
                               "restore the store from a backup, or start a new session");
    buf_release(&scratch);
    return PARLEY_E_CORRUPT;
}

int command_show(struct cli *cli)
{
    const struct options *o = &cli->options;
    struct answer answer;
    parley_scope scope;

    cli_scope(cli, &scope);
    if (option_on(o, FLAG_REVEAL))
        scope.flags |= PARLEY_REVEAL;
    if (o->n_words)
        scope.session = o->words[0];
    if (!scope.session && !(scope.flags & PARLEY_CONTINUE)) {
        output_error(&cli->output,
                     "which session? write parley show SESSION (`parley sessions` lists them), "
                     "or parley show -c for the newest");
        return PARLEY_E_USAGE;
    }
    int code = cli_open(cli);
    if (code < 0)
        return code;
    code = cli_ask_engine(cli, parley_show, &scope, &answer);
    if (code < 0)
        return code;
    code = transcript_print(cli, &answer);
    if (code == PARLEY_OK)
        code = tell_damage(cli, &answer);
    cli_answer_free(&answer);
    return code;
}
