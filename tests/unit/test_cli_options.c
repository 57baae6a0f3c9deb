// SPDX-License-Identifier: MIT
// The command line: what is understood, what is refused and with which words; the tables
// themselves; slash commands.
#include "cli/options.h"
#include "cli/slash.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { ARGS_MAX = 80 };

struct line {
    char text[4096];
    char *argv[ARGS_MAX];
    int argc;
};

// Splits at blanks; "" stands for an empty word.
static void split(struct line *l, const char *text)
{
    *l = (struct line){0};
    strncpy(l->text, text, sizeof l->text - 1);
    for (char *at = l->text; *at && l->argc < ARGS_MAX;) {
        l->argv[l->argc++] = at;
        at += strcspn(at, " ");
        if (*at)
            *at++ = '\0';
    }
    for (int i = 0; i < l->argc; i++)
        if (strcmp(l->argv[i], "\"\"") == 0)
            l->argv[i] += 2;
}

static void accept(struct line *l, struct options *o, const char *text)
{
    struct err err = ERR_INIT;

    split(l, text);
    if (options_parse(o, l->argc, l->argv, &err) != E_OK)
        fail_msg("%s: %s", text, err.message);
}

static void refuse(const char *text, const char *words)
{
    struct options o;
    struct err err = ERR_INIT;
    struct line l;

    split(&l, text);
    if (options_parse(&o, l.argc, l.argv, &err) != E_USAGE)
        fail_msg("%s: was accepted", text);
    if (!strstr(err.message, words))
        fail_msg("%s: '%s' does not say '%s'", text, err.message, words);
}

static void test_cli_options__without_words_chats(void **state)
{
    struct options o;
    struct line l;

    (void)state;
    accept(&l, &o, "parley");
    assert_int_equal(o.command->id, CMD_CHAT);
    assert_int_equal(o.format, FORMAT_TABLE);
    assert_int_equal(o.n_words, 0);
    assert_null(o.settings[0]);
    accept(&l, &o, "parley --user ann -c");
    assert_int_equal(o.command->id, CMD_CHAT);
    assert_string_equal(o.value[FLAG_USER], "ann");
    assert_true(option_on(&o, FLAG_CONTINUE));
    split(&l, "");
    assert_int_equal(options_parse(&o, 0, l.argv, NULL), E_OK);
}

static void test_cli_options__options_stand_anywhere(void **state)
{
    struct options o;
    struct line l;

    (void)state;
    accept(&l, &o, "parley --user=ann ask -ojson one --bot desk two -- --three -c");
    assert_int_equal(o.command->id, CMD_ASK);
    assert_string_equal(o.value[FLAG_USER], "ann");
    assert_string_equal(o.value[FLAG_BOT], "desk");
    assert_int_equal(o.format, FORMAT_JSON);
    assert_false(option_on(&o, FLAG_CONTINUE));
    assert_int_equal(o.n_words, 4);
    assert_string_equal(o.words[0], "one");
    assert_string_equal(o.words[1], "two");
    assert_string_equal(o.words[2], "--three");
    assert_string_equal(o.words[3], "-c");
}

static void test_cli_options__values(void **state)
{
    struct options o;
    struct line l;

    (void)state;
    accept(&l, &o, "parley --context \"\" --user a --user b --key --strange ask");
    assert_string_equal(o.value[FLAG_CONTEXT], "");
    assert_string_equal(o.value[FLAG_USER], "b");
    assert_string_equal(o.value[FLAG_KEY], "--strange");
    accept(&l, &o, "parley ask --model= -");
    assert_string_equal(o.value[FLAG_MODEL], "");
    assert_string_equal(o.words[0], "-");
    accept(&l, &o, "parley verify -o jsonl"); // one object: the same
    assert_int_equal(o.format, FORMAT_JSON);
    accept(&l, &o, "parley show -c -o jsonl");
    assert_int_equal(o.format, FORMAT_JSONL);
    accept(&l, &o, "parley sessions -cqo csv");
    assert_true(option_on(&o, FLAG_CONTINUE) && option_on(&o, FLAG_QUIET));
    assert_int_equal(o.format, FORMAT_CSV);
    accept(&l, &o, "parley usage --by session --csv");
    assert_string_equal(o.value[FLAG_BY], "session");
    assert_int_equal(o.format, FORMAT_CSV);
}

static void test_cli_options__settings_add_up(void **state)
{
    char text[4096] = "parley ask";
    struct options o;
    struct line l;

    (void)state;
    accept(&l, &o, "parley --set a.b=1 ask --set=c=x=y --set d=");
    assert_int_equal(o.n_settings, 3);
    assert_string_equal(o.settings[0], "a.b=1");
    assert_string_equal(o.settings[1], "c=x=y");
    assert_string_equal(o.settings[2], "d=");
    assert_null(o.settings[3]);
    refuse("parley --set a", "NAME=VALUE");
    refuse("parley --set =a", "NAME=VALUE");
    for (int i = 0; i < SETTINGS_MAX; i++)
        strcat(text, " --set=a=b");
    accept(&l, &o, text);
    assert_int_equal(o.n_settings, SETTINGS_MAX);
    assert_null(o.settings[SETTINGS_MAX]);
    strcat(text, " --set=a=b");
    refuse(text, "parley.lua");
}

static void test_cli_options__refuses_with_a_hint(void **state)
{
    (void)state;
    refuse("parley sesions", "did you mean 'sessions'?");
    refuse("parley frobnicate", "parley help");
    refuse("parley \"\"", "there is no command");
    refuse("parley ask --modle x", "did you mean --model?");
    refuse("parley --=x", "there is no option");
    refuse("parley --zzzzzzzz", "parley help");
    refuse("parley -z", "there is no option -z");
    refuse("parley -cz", "there is no option -z");
    refuse("parley --user", "--user ID");
    refuse("parley ask -o", "table|json|jsonl|csv");
    refuse("parley ask --continue=yes", "takes no value");
    refuse("parley version -o xml", "table|json|jsonl|csv");
    refuse("parley version -o json|jsonl", "table|json|jsonl|csv");
    refuse("parley version -o jso", "table|json|jsonl|csv");
    refuse("parley usage --by month", "day|bot|model|user|session");
}

static void test_cli_options__refuses_what_does_not_belong(void **state)
{
    (void)state;
    refuse("parley ask --by day", "it is for: usage");
    refuse("parley --dry-run sessions", "it is for: migrate");
    refuse("parley sessions --stateless", "chat, ask");
    refuse("parley export -o jsonl", "cannot answer as jsonl, only as table|json");
    refuse("parley ask -o csv", "cannot answer as csv, only as table|json|jsonl");
    refuse("parley chat -o json", "cannot answer as json");
    refuse("parley sessions all", "'all' is too much");
    refuse("parley show a b", "'b' is too much");
    refuse("parley import", "FILE.jsonl");
    refuse("parley import a b", "'b' is too much");
}

static void test_cli_options__help_goes_before_complaints(void **state)
{
    struct options o;
    struct line l;

    (void)state;
    accept(&l, &o, "parley import --help");
    assert_int_equal(o.command->id, CMD_IMPORT);
    assert_true(option_on(&o, FLAG_HELP));
    accept(&l, &o, "parley -h");
    assert_true(option_on(&o, FLAG_HELP));
}

static void test_cli_options__later_commands_are_known(void **state)
{
    static const char *const later[] = {"serve", "reload", "status", "new", "tasks"};
    struct options o;
    struct line l;
    char text[64];

    (void)state;
    for (size_t i = 0; i < sizeof later / sizeof *later; i++) {
        snprintf(text, sizeof text, "parley %s --whatever x", later[i]);
        accept(&l, &o, text);
        assert_int_equal(o.command->id, CMD_LATER);
        assert_string_equal(o.command->name, later[i]);
    }
}

// Every entry can be printed and reached by its own name, and no two share one.
static void test_cli_options__tables_are_whole(void **state)
{
    (void)state;
    for (const struct command *c = command_table; c->name; c++) {
        assert_ptr_equal(command_find(c->name, NULL), c);
        assert_non_null(c->words);
        assert_non_null(c->help);
        assert_true(c->formats & 1U << FORMAT_TABLE);
    }
    for (size_t i = 0; i < FLAGS; i++) {
        const struct flag *f = &flag_table[i];
        assert_non_null(f->name);
        assert_non_null(f->help);
        assert_int_equal(f->argument == NULL, f->type == FLAG_SWITCH);
        for (size_t k = 0; k < i; k++) {
            assert_string_not_equal(f->name, flag_table[k].name);
            assert_true(!f->letter || f->letter != flag_table[k].letter);
        }
    }
}

static void test_cli_options__slash_commands(void **state)
{
    struct err err = ERR_INIT;
    struct slice argument;

    (void)state;
    for (const struct slash *s = slash_table; s->name; s++)
        assert_ptr_equal(slash_find(slice_str(s->name), &argument, &err), s);
    assert_int_equal(slash_find(SLICE_LIT("/save  a file.txt \r"), &argument, &err)->id,
                     SLASH_SAVE);
    assert_true(slice_is(argument, "a file.txt"));
    assert_null(slash_find(SLICE_LIT("/hisotry"), &argument, &err));
    assert_non_null(strstr(err.message, "did you mean /history?"));
    assert_null(slash_find(SLICE_LIT("/"), &argument, &err));
    assert_null(slash_find(SLICE_LIT("/etc/passwd is a file"), &argument, &err));
    assert_non_null(strstr(err.message, "a space before the slash"));
    assert_string_equal(slash_name(0), "/help");
    assert_null(slash_name(1000));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cli_options__without_words_chats),
        cmocka_unit_test(test_cli_options__options_stand_anywhere),
        cmocka_unit_test(test_cli_options__values),
        cmocka_unit_test(test_cli_options__settings_add_up),
        cmocka_unit_test(test_cli_options__refuses_with_a_hint),
        cmocka_unit_test(test_cli_options__refuses_what_does_not_belong),
        cmocka_unit_test(test_cli_options__help_goes_before_complaints),
        cmocka_unit_test(test_cli_options__later_commands_are_known),
        cmocka_unit_test(test_cli_options__tables_are_whole),
        cmocka_unit_test(test_cli_options__slash_commands),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
