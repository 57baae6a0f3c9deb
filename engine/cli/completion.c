// SPDX-License-Identifier: MIT
// completion.c: `parley completion`: a script for a shell, or the names that such a script asks for
// while somebody types. Asking makes nothing: neither a store nor a keyring.
#include "base/hint.h"
#include "cli/cli.h"
#include "cli/completion.h"

#include <inttypes.h>

enum { NAME_MAX_BYTES = 4096 };

// One line, if a shell can take the name for a word.
static void print_name(struct output *o, struct slice name, struct slice about)
{
    for (size_t i = 0; i < name.len; i++)
        if ((unsigned char)name.ptr[i] <= ' ' || name.ptr[i] == 0x7F)
            return;
    if (!name.len)
        return;
    output_bytes(o, name);
    if (about.len) {
        output_str(o, "\t");
        output_bytes(o, about);
    }
    output_str(o, "\n");
}

// The text members of each object in a list that are called `key`.
static void print_members(struct output *o, struct json list, const char *key)
{
    struct buf scratch = BUF_INIT(NAME_MAX_BYTES);
    struct json_iter it = {0};
    struct json none, item;

    while (json_next(list, &it, &none, &item))
        print_name(o, json_text(json_get(item, key), &scratch), SLICE_NONE);
    buf_release(&scratch);
}

// Whether a pattern without its star is a model's name: "claude-sonnet-4-5*" is one that goes on,
// "gpt-4o-20*" and "claude-3-5-*" stop amid one.
static bool is_name(struct slice pattern, struct slice *name)
{
    size_t part = pattern.len;

    *name = pattern;
    if (!pattern.len || pattern.ptr[pattern.len - 1] != '*')
        return true;
    name->len--;
    while (part && pattern.ptr[part - 1] != '-')
        part--;
    return part > 0 && part < name->len &&
           !slice_starts(slice_of(pattern.ptr + part, name->len - part), SLICE_LIT("20"));
}

// Models that have a price are models that there are.
static void print_models(struct cli *cli, struct json root)
{
    const char *provider = cli->options.value[FLAG_PROVIDER];
    struct buf scratch = BUF_INIT(NAME_MAX_BYTES);
    struct json_iter it = {0};
    struct json none, item;
    struct slice name;
    bool any = false;

    for (struct json list = json_get(root, "providers"); json_next(list, &it, &none, &item);) {
        if (provider && !json_is_string(json_get(item, "provider"), provider))
            continue;
        any = any || json_type(json_get(item, "model")) == JSON_STRING;
        print_name(&cli->output, json_text(json_get(item, "model"), &scratch), SLICE_NONE);
    }
    it = (struct json_iter){0};
    for (struct json list = json_get(root, "models"); json_next(list, &it, &none, &item);) {
        bool speaks = !provider || json_is_string(json_get(item, "api"), provider);
        if (speaks && json_type(json_get(item, "input_usd")) == JSON_NUMBER &&
            is_name(json_text(json_get(item, "model"), &scratch), &name) && !(any && name.len == 1))
            print_name(&cli->output, name, SLICE_NONE);
    }
    buf_release(&scratch);
}

static void print_sessions(struct output *o, struct json list)
{
    struct buf id = BUF_INIT(NAME_MAX_BYTES), bot = BUF_INIT(NAME_MAX_BYTES);
    struct buf about = BUF_INIT(NAME_MAX_BYTES);
    struct json_iter it = {0};
    struct json none, item;

    while (json_next(list, &it, &none, &item)) {
        struct slice name = json_text(json_get(item, "bot"), &bot);
        int64_t turns = json_i64(json_get(item, "turns"), 0);
        buf_clear(&about);
        buf_addf(&about, "%.*s, %" PRId64 " turn%s", SLICE_FMT(name), turns, turns == 1 ? "" : "s");
        print_name(o, json_text(json_get(item, "session"), &id), buf_slice(&about));
    }
    buf_release(&id);
    buf_release(&bot);
    buf_release(&about);
}

// "lives_in" says what it is about, and not what was said.
static void print_facts(struct output *o, struct json list)
{
    struct buf id = BUF_INIT(NAME_MAX_BYTES), about = BUF_INIT(NAME_MAX_BYTES);
    struct json_iter it = {0};
    struct json none, item;

    while (json_next(list, &it, &none, &item))
        print_name(o, json_text(json_get(item, "fact"), &id),
                   json_text(json_get(item, "predicate"), &about));
    buf_release(&id);
    buf_release(&about);
}

static int ask_facts(parley *engine, const parley_scope *scope, uint64_t *request,
                     parley_error *error)
{
    return parley_memory(engine, scope, PARLEY_MEMORY_FACTS | PARLEY_MEMORY_KNOWLEDGE, request,
                         error);
}

// Names that only the store knows.
static int names_in_store(struct cli *cli, bool facts)
{
    struct answer answer;
    parley_options options;
    parley_scope scope;
    char *report = NULL;

    // A dry run makes nothing, and fails where there is no store.
    cli_engine_options(cli, &options);
    int code = parley_migrate(&options, 1, &report, NULL);
    parley_free(report);
    if (code < 0)
        return PARLEY_OK;
    code = cli_open(cli);
    if (code < 0)
        return code;
    cli_scope(cli, &scope);
    code = cli_ask_engine(cli, facts ? ask_facts : parley_sessions, &scope, &answer);
    if (code < 0)
        return code;
    struct json root = json_root(&answer.doc);
    if (facts) {
        print_facts(&cli->output, json_get(root, "facts"));
        print_facts(&cli->output, json_get(root, "knowledge"));
    } else {
        print_sessions(&cli->output, root);
    }
    cli_answer_free(&answer);
    return PARLEY_OK;
}

static int print_names(struct cli *cli, const char *kind)
{
    bool bots = strcmp(kind, "bots") == 0;
    struct report report;

    if (strcmp(kind, "sessions") == 0 || strcmp(kind, "facts") == 0)
        return names_in_store(cli, strcmp(kind, "facts") == 0);
    int code = cli_report(cli, bots ? parley_bots : parley_models, &report);
    if (code < 0)
        return code;
    struct json root = json_root(&report.doc);
    if (bots)
        print_members(&cli->output, root, "bot");
    else if (strcmp(kind, "providers") == 0)
        print_members(&cli->output, json_get(root, "providers"), "provider");
    else
        print_models(cli, root);
    cli_report_free(&report);
    return PARLEY_OK;
}

static int refuse_shell(struct cli *cli, const char *shell)
{
    struct hint hint = {.word = slice_str(shell)};

    for (size_t i = 0; completion_shells[i]; i++)
        hint_offer(&hint, slice_str(completion_shells[i]));
    output_error(&cli->output, "there is no completion for '%s'%s%.*s%s; write one of %s", shell,
                 hint.best.ptr ? " (did you mean " : "", SLICE_FMT(hint.best),
                 hint.best.ptr ? "?)" : "", cli->options.command->words);
    return PARLEY_E_USAGE;
}

int command_completion(struct cli *cli)
{
    const struct options *o = &cli->options;

    if (option_on(o, FLAG_NAMES))
        return print_names(cli, o->value[FLAG_NAMES]);
    if (!o->n_words) {
        output_error(&cli->output, "for which shell? write parley completion %s",
                     o->command->words);
        return PARLEY_E_USAGE;
    }
    return completion_print(&cli->output, o->words[0]) ? PARLEY_OK : refuse_shell(cli, o->words[0]);
}
