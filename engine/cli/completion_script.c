// SPDX-License-Identifier: MIT
// completion_script.c: the tables of options.c in the words of a shell, put into its template.
//
// bash and zsh get functions that print lines: a word, a tab, what it is; or one line ":files",
// ":folders" or ":names KIND". fish gets `complete` commands. No list is written twice: what
// parses a command line is what completes it.
#include "base/embed.h"
#include "cli/completion.h"
#include "cli/options.h"

#include <stdio.h>

const char *const completion_shells[] = {"bash", "zsh", "fish", NULL};

enum { PATH_BYTES = 64 };

static bool is_there(const struct command *c)
{
    return c->id != CMD_LATER;
}

// In single quotes, where only they themselves need care: `quote` is what stands for one.
static void print_quoted(struct output *o, const char *text, const char *quote)
{
    output_str(o, "'");
    for (; *text; text++) {
        if (*text == '\'')
            output_str(o, quote);
        else
            output_bytes(o, slice_of(text, 1));
    }
    output_str(o, "'");
}

// "a|b|c" with something else between them; "[a|b]", which may be left out, offers the same.
static void print_choices(struct output *o, const char *choices, const char *between)
{
    for (; *choices; choices++) {
        if (*choices == '|')
            output_str(o, between);
        else if (*choices != '[' && *choices != ']')
            output_bytes(o, slice_of(choices, 1));
    }
}

static void print_formats(struct output *o, const struct command *c, const char *between)
{
    for (size_t i = 0, n = 0; i < FORMATS; i++)
        if (c->formats & 1U << i)
            outputf(o, "%s%s", n++ ? between : "", format_words[i]);
}

static const char *names_of(enum offer offer)
{
    switch (offer) {
    case OFFER_BOTS:
        return "bots";
    case OFFER_PROVIDERS:
        return "providers";
    case OFFER_MODELS:
        return "models";
    case OFFER_SESSIONS:
        return "sessions";
    case OFFER_FACTS:
        return "facts";
    default:
        return NULL;
    }
}

// "own": only the command itself can tell; "where": names are looked for where it says.
static const char *value_kind(const struct flag *f)
{
    return f->commands || f->type == FLAG_CHOICE ? "own" : "where";
}

// ---- bash and zsh

// "--output | -o", with what the command's pattern needs before each.
static void print_flag_pattern(struct output *o, const char *command, const struct flag *f)
{
    outputf(o, "%s--%s", command, f->name);
    if (f->letter)
        outputf(o, " | %s-%c", command, f->letter);
}

static void print_word(struct output *o, const char *word, const char *help)
{
    char line[256];

    snprintf(line, sizeof line, "%s\t%s", word, help);
    output_str(o, " \\\n        ");
    print_quoted(o, line, "'\\''");
}

static void sh_commands(struct output *o)
{
    output_str(o, "_parley_commands() {\n    printf '%s\\n'");
    for (const struct command *c = command_table; c->name; c++)
        if (is_there(c))
            print_word(o, c->name, c->help);
    output_str(o, "\n}\n\n");
}

static void sh_flags(struct output *o, const struct command *command, bool common)
{
    char word[64];

    for (size_t i = 0; i < FLAGS; i++) {
        const struct flag *f = &flag_table[i];
        if (common != !f->commands || !flag_goes_with(f, command))
            continue;
        snprintf(word, sizeof word, "--%s", f->name);
        print_word(o, word, f->help);
        snprintf(word, sizeof word, "-%c", f->letter);
        if (f->letter)
            print_word(o, word, f->help);
    }
}

// Without a command it is the first of the table's.
static void print_command_pattern(struct output *o, const struct command *c)
{
    outputf(o, "    %s%s)", c == command_table ? "'' | " : "", c->name);
}

static void sh_options(struct output *o)
{
    output_str(o, "# Of the command $1.\n_parley_options() {\n    printf '%s\\n'");
    sh_flags(o, command_table, true);
    output_str(o, "\n    case $1 in\n");
    for (const struct command *c = command_table; c->name; c++) {
        if (!is_there(c) || !command_has_flags(c))
            continue;
        print_command_pattern(o, c);
        output_str(o, " printf '%s\\n'");
        sh_flags(o, c, false);
        output_str(o, " ;;\n");
    }
    output_str(o, "    esac\n}\n\n");
}

static void sh_values(struct output *o)
{
    output_str(o, "# What kind of value the option $1 takes, nothing for one that takes none.\n"
                  "_parley_value() {\n    case $1 in\n");
    for (const struct flag *f = flag_table; f < flag_table + FLAGS; f++) {
        if (f->type == FLAG_SWITCH)
            continue;
        output_str(o, "    ");
        print_flag_pattern(o, "", f);
        outputf(o, ") echo %s ;;\n", value_kind(f));
    }
    output_str(o, "    esac\n}\n\n");
}

static void sh_offer(struct output *o, enum offer offer, const char *written)
{
    if (offer == OFFER_FILES || offer == OFFER_FOLDERS)
        outputf(o, " echo :%s ;;\n", offer == OFFER_FILES ? "files" : "folders");
    else if (offer == OFFER_COMMANDS)
        output_str(o, " _parley_commands ;;\n");
    else if (offer == OFFER_CHOICES) {
        output_str(o, " printf '%s\\n' ");
        print_choices(o, written, " ");
        output_str(o, " ;;\n");
    } else
        outputf(o, " echo ':names %s' ;;\n", names_of(offer));
}

static void sh_offers(struct output *o)
{
    output_str(o, "# For the option $2 of the command $1, or for its words if $2 is empty.\n"
                  "_parley_offer() {\n    case ${1:-");
    outputf(o, "%s},$2 in\n", command_table->name);
    for (const struct command *c = command_table; c->name; c++) {
        if (!is_there(c))
            continue;
        char pattern[32];
        snprintf(pattern, sizeof pattern, "%s,", c->name);
        output_str(o, "    ");
        print_flag_pattern(o, pattern, &flag_table[FLAG_OUTPUT]);
        output_str(o, ") printf '%s\\n' ");
        print_formats(o, c, " ");
        output_str(o, " ;;\n");
        if (c->offer != OFFER_NOTHING) {
            outputf(o, "    %s)", pattern);
            sh_offer(o, c->offer, c->words);
        }
    }
    for (const struct flag *f = flag_table; f < flag_table + FLAGS; f++) {
        if (f->offer == OFFER_NOTHING || f == &flag_table[FLAG_OUTPUT])
            continue;
        output_str(o, "    ");
        print_flag_pattern(o, "*,", f);
        output_str(o, ")");
        sh_offer(o, f->offer, f->argument);
    }
    output_str(o, "    esac\n}\n\n");
}

static void sh_tables(struct output *o)
{
    sh_commands(o);
    sh_options(o);
    sh_values(o);
    sh_offers(o);
}

// ---- fish

static void fish_values(struct output *o)
{
    for (const struct flag *f = flag_table; f < flag_table + FLAGS; f++) {
        if (f->type == FLAG_SWITCH)
            continue;
        outputf(o, "        case --%s", f->name);
        if (f->letter)
            outputf(o, " -%c", f->letter);
        outputf(o, "\n            echo %s\n", value_kind(f));
    }
}

// Begins a line that holds for a command, or for all.
static void fish_begin(struct output *o, const struct command *c)
{
    output_str(o, "complete -c parley");
    if (c)
        outputf(o, " -n '__parley_in %s%s'", c == command_table ? "\"\" " : "", c->name);
}

static void fish_offer(struct output *o, enum offer offer, const char *written, bool option)
{
    static const char *const exclusive[] = {" ", " -x "};

    if (offer == OFFER_FILES) {
        output_str(o, option ? " -r -F" : " -F");
        return;
    }
    output_str(o, exclusive[option]);
    if (offer == OFFER_NOTHING)
        return;
    output_str(o, "-a '");
    if (offer == OFFER_FOLDERS)
        output_str(o, "(__fish_complete_directories)");
    else if (offer == OFFER_CHOICES)
        print_choices(o, written, " ");
    else if (offer == OFFER_COMMANDS) {
        for (const struct command *c = command_table; c->name; c++)
            if (is_there(c))
                outputf(o, "%s ", c->name);
    } else
        outputf(o, "(__parley_names %s)", names_of(offer));
    output_str(o, "'");
}

static void fish_flag_name(struct output *o, const struct flag *f)
{
    outputf(o, " -l %s", f->name);
    if (f->letter)
        outputf(o, " -s %c", f->letter);
}

static void fish_help(struct output *o, const char *help)
{
    output_str(o, " -d ");
    print_quoted(o, help, "\\'");
    output_str(o, "\n");
}

static void fish_flag(struct output *o, const struct flag *f, const struct command *c)
{
    fish_begin(o, c);
    fish_flag_name(o, f);
    if (f->type != FLAG_SWITCH)
        fish_offer(o, f->offer, f->argument, true);
    fish_help(o, f->help);
}

static void fish_command(struct output *o, const struct command *c)
{
    const struct flag *output = &flag_table[FLAG_OUTPUT];

    outputf(o, "complete -c parley -n '__parley_in \"\"' -a %s", c->name);
    fish_help(o, c->help);
    if (c->offer != OFFER_NOTHING) {
        fish_begin(o, c);
        fish_offer(o, c->offer, c->words, false);
        output_str(o, "\n");
    }
    fish_begin(o, c);
    fish_flag_name(o, output);
    output_str(o, " -x -a '");
    print_formats(o, c, " ");
    output_str(o, "'");
    fish_help(o, output->help);
    for (const struct flag *f = flag_table; f < flag_table + FLAGS; f++)
        if (f->commands && flag_goes_with(f, c))
            fish_flag(o, f, c);
}

static void fish_completes(struct output *o)
{
    for (const struct command *c = command_table; c->name; c++)
        if (is_there(c))
            fish_command(o, c);
    for (const struct flag *f = flag_table; f < flag_table + FLAGS; f++)
        if (!f->commands && f != &flag_table[FLAG_OUTPUT])
            fish_flag(o, f, NULL);
}

// ---- the templates

static const struct {
    const char *name;
    void (*print)(struct output *o);
} parts[] = {{"@tables@", sh_tables}, {"@values@", fish_values}, {"@completes@", fish_completes}};

static void print_line(struct output *o, struct slice line)
{
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        if (slice_starts(line, slice_str(parts[i].name))) {
            parts[i].print(o);
            line.ptr += strlen(parts[i].name);
            line.len -= strlen(parts[i].name);
            if (line.len == 1)
                return; // nothing but its newline
        }
    }
    output_bytes(o, line);
}

bool completion_print(struct output *o, const char *shell)
{
    char path[PATH_BYTES];

    snprintf(path, sizeof path, "scripts/completion/parley.%s", shell);
    const struct embed_file *template = embed_find(path);
    if (!template)
        return false;
    for (struct slice rest = template->bytes; rest.len;) {
        const char *end = memchr(rest.ptr, '\n', rest.len);
        struct slice line = slice_of(rest.ptr, end ? (size_t)(end - rest.ptr) + 1 : rest.len);
        print_line(o, line);
        rest.ptr += line.len;
        rest.len -= line.len;
    }
    return true;
}
