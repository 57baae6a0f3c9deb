// SPDX-License-Identifier: MIT
// help.c: help on the terminal and the manual page, both rendered from the tables in options.c and
// slash.c, that of the settings and the few below, so that they cannot say different things.
#include "base/utf8.h"
#include "cli/cli.h"
#include "cli/slash.h"

#include <stdio.h>
#include <string.h>

enum { MAN_COLUMNS = 72, SETTING_BYTES = 256 };

struct entry {
    const char *name, *help; // name == NULL ends the list
};

static const struct entry exits[] = {
    {"0", "all is well; a reply that ended at its token limit or a filter too, with a warning"},
    {"1", "the provider failed, or its reply was lost on the way"},
    {"2", "usage or input: a flag, a message, a session that is not there"},
    {"3", "a policy or the configuration is wrong, a test of a policy failed, or there is no "
          "such bot"},
    {"4", "storage: the store failed, or its contents are not what they should be"},
    {"5", "refused: a limit, a lock held, a key reused with other text, not allowed"},
    {"130", "interrupted"},
    {0},
};

static const struct entry variables[] = {
    {"PARLEY_CONFIG", "path of the configuration"},
    {"PARLEY_STORE", "as --store"},
    {"PARLEY_POLICIES", "as --policies"},
    {"PARLEY_BOT", "the default bot"},
    {"PARLEY_PROVIDER", "the default provider"},
    {"PARLEY_MODEL", "the default model"},
    {"PARLEY_LISTEN", "the address of the server, once there is one"},
    {"PARLEY_LOG", "what is logged to standard error: debug, info, warn (default) or error"},
    {"ANTHROPIC_API_KEY, ANTHROPIC_BASE_URL", "key and address of the provider anthropic"},
    {"OPENAI_API_KEY, OPENAI_BASE_URL", "key and address of the provider openai"},
    {"NAME_FILE", "a file with the key that would be in the variable NAME"},
    {"CREDENTIALS_DIRECTORY", "folder of files with keys, each called as its variable"},
    {"TERM", "dumb: no colour, no line editing"},
    {"NO_COLOR", "when not empty: no colour"},
    {0},
};

static const struct entry files[] = {
    {"parley.lua, /etc/parley/parley.lua", "the configuration, unless --config or PARLEY_CONFIG "
                                           "names another"},
    {"parley.db", "the default store"},
    {"parley.keys", "the keys that seal it, beside the store; without them it cannot be read, nor "
                    "can a backup, which does not hold them"},
    {"policies/", "a Lua file for each bot, NAME.lua; its tests, NAME_test.lua"},
    {0},
};

static const struct entry examples[] = {
    {"parley", "talk, offline and without any key"},
    {"parley chat -c", "go on where you left off"},
    {"parley ask -o json \"What did I say?\"", "one turn, as JSON"},
    {"git diff | parley ask --provider anthropic \"Review this.\"", "text from a pipe"},
    {"parley usage --by model --csv", "what it cost, for a spreadsheet"},
    {"parley models --discover", "which model servers run on this machine, and what to add"},
    {"parley redact -o json letter.txt", "what a text holds that would be masked, and where"},
    {"parley tokens --model gpt-4o README.md", "how much of a model's window a file takes"},
    {0},
};

// What stands above the settings.
static const char settings_words[] =
    "parley.lua returns a table: default.bot is return { default = { bot = \"mine\" } }. For * "
    "stands a name of your own, a provider's. --set NAME=VALUE sets one for one command.";

// Hands out a setting after the other, in words: its name, and what it is, with what holds where
// nobody sets it.
static int each_setting(struct cli *cli, void (*fn)(struct output *o, const char *name,
                                                    const char *help))
{
    struct json_iter it = {0};
    struct json key, setting;
    parley_error error = PARLEY_ERROR_INIT;
    struct report report;
    char *text = NULL;

    int made = parley_settings(&text, &error);
    int code = cli_report_read(cli, made, text, &error, &report);
    if (code < 0)
        return code;
    while (json_next(json_root(&report.doc), &it, &key, &setting)) {
        struct buf name = BUF_INIT(SETTING_BYTES), help = BUF_INIT(SETTING_BYTES);
        struct json fallback = json_get(setting, "default");

        json_string(json_get(setting, "name"), &name);
        json_string(json_get(setting, "help"), &help);
        if (json_type(fallback) == JSON_STRING) {
            buf_add_str(&help, " Default: ");
            json_string(fallback, &help);
            buf_add_char(&help, '.');
        }
        fn(&cli->output, name.ptr ? name.ptr : "", help.ptr ? help.ptr : "");
        buf_release(&name);
        buf_release(&help);
    }
    cli_report_free(&report);
    return PARLEY_OK;
}

// What stands above the kinds of what is personal.
static const char kinds_words[] =
    "Kinds, of which a policy's privacy.redact names some; all, where it says nothing:";

static const char marks_words[] =
    "Marks behind what is remembered; what has none is sent where a message bears on it:";
static const struct entry marks[] = {
    {"quarantined", "the user's own words do not bear it out: never sent, and dropped (30 days)"},
    {"stale", "nobody confirmed it for long (90 days): sent as a question, not as a truth"},
    {"superseded", "with --all: it was so, until the user said otherwise"},
    {"forgotten", "with --all: taken back for good, its words are gone"},
    {NULL, NULL},
};

// Hands out a kind of what redaction looks for after the other.
static int each_kind(struct cli *cli, void (*fn)(struct output *o, const char *name,
                                                 const char *help))
{
    struct json_iter it = {0};
    struct json kind;
    parley_error error = PARLEY_ERROR_INIT;
    struct report report;
    char *text = NULL;

    int made = parley_redact_kinds(&text, &error);
    int code = cli_report_read(cli, made, text, &error, &report);
    if (code < 0)
        return code;
    while (json_next(json_root(&report.doc), &it, NULL, &kind)) {
        struct buf name = BUF_INIT(SETTING_BYTES), help = BUF_INIT(SETTING_BYTES);

        json_string(json_get(kind, "kind"), &name);
        json_string(json_get(kind, "help"), &help);
        fn(&cli->output, name.ptr ? name.ptr : "", help.ptr ? help.ptr : "");
        buf_release(&name);
        buf_release(&help);
    }
    cli_report_free(&report);
    return PARLEY_OK;
}

// How an option is written: "-o, --output table|json|jsonl|csv"; with a command, of the forms of
// answer only those that it has.
static void flag_usage(char *out, size_t size, const struct flag *f, const struct command *command)
{
    const char *argument = f->argument ? f->argument : "";
    char letter[8] = "", formats[FORMATS_BYTES];

    if (f->letter)
        snprintf(letter, sizeof letter, "-%c, ", f->letter);
    if (command && f == &flag_table[FLAG_OUTPUT]) {
        command_formats(command, formats);
        argument = formats;
    }
    snprintf(out, size, "%s--%s%s%s", letter, f->name, *argument ? " " : "", argument);
}

// ---- on the terminal

// Two columns; the first is `width` wide.
static void print_pair(struct output *o, const char *left, size_t width, const char *right)
{
    size_t columns = utf8_columns(slice_str(left));

    outputf(o, "  %s%*s %s\n", left, columns < width ? (int)(width - columns) : 0, "", right);
}

// Those that every command has (`common`), or those of one; without one, of all.
static void print_flags(struct output *o, const struct command *command, bool common)
{
    char usage[80];

    for (size_t i = 0; i < FLAGS; i++) {
        const struct flag *f = &flag_table[i];
        if (common != !f->commands || (command && !flag_goes_with(f, command)))
            continue;
        flag_usage(usage, sizeof usage, f, command);
        print_pair(o, usage, 34, f->help);
    }
}

static void print_kind(struct output *o, const char *name, const char *help)
{
    print_pair(o, name, 22, help);
}

int help_command(struct cli *cli, const struct command *command)
{
    struct output *o = &cli->output;

    outputf(o, "Usage: parley %s%s%s [options]\n\n%s%s.\n", command->name,
            *command->words ? " " : "", command->words, command->help,
            command->id == CMD_LATER ? "; not in this version" : "");
    if (command->id == CMD_LATER)
        return PARLEY_E_USAGE;
    if (command_has_flags(command)) {
        output_str(o, "\nOptions of this command:\n");
        print_flags(o, command, false);
    }
    output_str(o, "\nOptions everywhere:\n");
    print_flags(o, command, true);
    if (command->id == CMD_MEMORY) {
        outputf(o, "\n%s\n", marks_words);
        for (const struct entry *e = marks; e->name; e++)
            print_pair(o, e->name, 22, e->help);
    }
    if (command->id != CMD_REDACT)
        return PARLEY_OK;
    outputf(o, "\n%s\n", kinds_words);
    return each_kind(cli, print_kind);
}

static void print_later(struct output *o)
{
    size_t column = 0;

    output_str(o, "\nNot in this version yet:");
    for (const struct command *c = command_table; c->name; c++) {
        if (c->id != CMD_LATER)
            continue;
        column += strlen(c->name) + 1;
        outputf(o, "%s%s", column > 60 || column == strlen(c->name) + 1 ? "\n  " : " ", c->name);
        column = column > 60 ? strlen(c->name) + 1 : column;
    }
    output_str(o, "\n");
}

int help_overview(struct cli *cli)
{
    struct output *o = &cli->output;

    output_str(o, "parley: a chatbot engine that remembers\n\n"
                  "Usage: parley [COMMAND] [options]\n\nCommands:\n");
    for (const struct command *c = command_table; c->name; c++) {
        char usage[48];
        if (c->id == CMD_LATER)
            continue;
        snprintf(usage, sizeof usage, "%s %s", c->name, c->words);
        print_pair(o, usage, 22, c->help);
    }
    output_str(o, "\nOptions everywhere:\n");
    print_flags(o, NULL, true);
    output_str(o, "\nExit status:\n");
    for (const struct entry *e = exits; e->name; e++)
        print_pair(o, e->name, 4, e->help);
    print_later(o);
    output_str(o, "\n`parley help COMMAND` says more, `parley help --settings` what parley.lua can "
                  "hold;\n`parley help --man` is the manual page.\n");
    return PARLEY_OK;
}

static void print_setting(struct output *o, const char *name, const char *help)
{
    print_pair(o, name, 31, help);
}

int help_settings(struct cli *cli)
{
    output_str(&cli->output, settings_words);
    output_str(&cli->output, "\n\n");
    return each_setting(cli, print_setting);
}

// ---- as a manual page, in the man(7) macros

// A word in which nothing is taken for a request or a special character.
static void man_word(struct output *o, struct slice word)
{
    if (word.len && (*word.ptr == '.' || *word.ptr == '\''))
        output_str(o, "\\&");
    for (size_t i = 0; i < word.len; i++) {
        if (word.ptr[i] == '-')
            output_str(o, "\\-");
        else if (word.ptr[i] == '\\')
            output_str(o, "\\e");
        else
            output_bytes(o, slice_of(word.ptr + i, 1));
    }
}

// Words, in lines that are no longer than the source of a manual page should have.
static void man_text(struct output *o, const char *text)
{
    for (size_t column = 0; *text;) {
        struct slice word = slice_of(text, strcspn(text, " "));
        if (column)
            output_str(o, column + word.len > MAN_COLUMNS ? "\n" : " ");
        column = column + word.len > MAN_COLUMNS ? word.len : column + word.len + 1;
        man_word(o, word);
        text += word.len + (text[word.len] == ' ');
    }
}

static void man_paragraph(struct output *o, const char *macro, const char *text)
{
    outputf(o, "%s\n", macro);
    man_text(o, text);
    output_str(o, "\n");
}

static void man_entry(struct output *o, const char *name, const char *more, const char *help)
{
    output_str(o, ".TP\n\\fB");
    man_text(o, name);
    output_str(o, "\\fR");
    if (*more) {
        output_str(o, " \\fI");
        man_text(o, more);
        output_str(o, "\\fR");
    }
    output_str(o, "\n");
    man_text(o, help);
    output_str(o, "\n");
}

static void man_list(struct output *o, const char *heading, const struct entry *entries)
{
    outputf(o, ".SH %s\n", heading);
    for (; entries->name; entries++)
        man_entry(o, entries->name, "", entries->help);
}

static void man_flags(struct output *o, const struct command *command, bool common)
{
    char name[64];

    for (size_t i = 0; i < FLAGS; i++) {
        const struct flag *f = &flag_table[i];
        if (common != !f->commands || !flag_goes_with(f, command))
            continue;
        if (f->letter)
            snprintf(name, sizeof name, "-%c, --%s", f->letter, f->name);
        else
            snprintf(name, sizeof name, "--%s", f->name);
        man_entry(o, name, f->argument ? f->argument : "", f->help);
    }
}

static void man_commands(struct output *o)
{
    output_str(o, ".SH COMMANDS\n");
    for (const struct command *c = command_table; c->name; c++) {
        if (c->id == CMD_LATER)
            continue;
        man_entry(o, c->name, c->words, c->help);
        if (command_has_flags(c)) {
            output_str(o, ".RS\n");
            man_flags(o, c, false);
            output_str(o, ".RE\n");
        }
    }
}

static void man_chat(struct output *o)
{
    man_paragraph(o, ".SH CHAT",
                  "A line is a message. Several lines pasted at once are one message, too; three "
                  "quotation marks (\"\"\") open a message of several lines and close it. Ctrl-C "
                  "stops a reply and keeps what came; Ctrl-D leaves. Tab completes the commands:");
    for (const struct slash *s = slash_table; s->name; s++)
        man_entry(o, s->name, s->argument, s->help);
}

static void man_setting(struct output *o, const char *name, const char *help)
{
    man_entry(o, name, "", help);
}

static void man_completion(struct output *o)
{
    man_paragraph(o, ".SH COMPLETION",
                  "The scripts are installed where the shells look for them. For one shell only: "
                  "eval \"$(parley completion bash)\" in ~/.bashrc, the same with zsh in ~/.zshrc "
                  "after compinit, parley completion fish | source in config.fish.");
}

int help_manual(struct cli *cli)
{
    struct output *o = &cli->output;

    outputf(o, ".TH PARLEY 1 \"" PARLEY_RELEASED "\" \"parley %s\" \"User Commands\"\n",
            parley_version());
    output_str(o, ".SH NAME\nparley \\- a chatbot engine that remembers\n"
                  ".SH SYNOPSIS\n.B parley\n[\\fICOMMAND\\fR] [\\fIoptions\\fR]\n");
    man_paragraph(o, ".SH DESCRIPTION",
                  "Language models remember nothing: whoever calls them is the memory. parley is "
                  "that memory. It keeps conversations in a store on this machine, decides by a "
                  "policy what of them is sent to the model, and loses nothing that it has "
                  "accepted, whatever dies when.");
    man_paragraph(o, ".PP", "Standard output carries the answer, standard error everything else.");
    man_commands(o);
    output_str(o, ".SH OPTIONS\n");
    man_flags(o, command_table, true);
    man_chat(o);
    man_paragraph(o, ".SH CONFIGURATION", settings_words);
    int code = each_setting(cli, man_setting);
    man_paragraph(o, ".SH MEMORY", marks_words);
    for (const struct entry *e = marks; e->name; e++)
        man_entry(o, e->name, "", e->help);
    man_paragraph(o, ".SH REDACTION", kinds_words);
    int kinds = each_kind(cli, man_setting);
    man_completion(o);
    man_list(o, "ENVIRONMENT", variables);
    man_list(o, "FILES", files);
    man_list(o, "EXIT STATUS", exits);
    man_list(o, "EXAMPLES", examples);
    return code < 0 ? code : kinds;
}
