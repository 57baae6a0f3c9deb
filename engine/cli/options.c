// SPDX-License-Identifier: MIT
// options.c: the two tables, and the parser that reads argv by them.
//
// Promises that every word of argv is understood or named in an error; nothing is skipped.
// Pure but for argv, whose pointers it moves: the command's own words are gathered at its start,
// always at or before the place where they were found. Any thread.
#include "cli/options.h"

#include "base/hint.h"

#include <stdio.h>
#include <string.h>

enum {
    AS_TABLE = 1 << FORMAT_TABLE,
    AS_JSON = 1 << FORMAT_JSON,
    AS_JSONL = 1 << FORMAT_JSONL,
    AS_CSV = 1 << FORMAT_CSV,
    // One object, on one line: its JSON is its JSON lines, too.
    AS_OBJECT = AS_TABLE | AS_JSON | AS_JSONL | FORMATS_ONE_OBJECT,
};

#define LATER(name, words, help)                                                                   \
    {                                                                                              \
        name, CMD_LATER, words, 0, WORDS_ANY, OFFER_NOTHING, AS_TABLE, help                        \
    }

const struct command command_table[] = {
    {"chat", CMD_CHAT, "", 0, 0, OFFER_NOTHING, AS_TABLE,
     "a conversation in the terminal (without a command: this)"},
    {"ask", CMD_ASK, "[TEXT…]", 0, WORDS_ANY, OFFER_NOTHING, AS_TABLE | AS_JSON | AS_JSONL,
     "one turn; standard input is appended to TEXT, only the reply is printed"},
    {"sessions", CMD_SESSIONS, "", 0, 0, OFFER_NOTHING, AS_TABLE | AS_JSON | AS_JSONL | AS_CSV,
     "lists a user's sessions, newest first"},
    {"show", CMD_SHOW, "SESSION", 0, 1, OFFER_SESSIONS, AS_TABLE | AS_JSON | AS_JSONL,
     "prints the transcript of a session"},
    {"watch", CMD_WATCH, "SESSION", 0, 1, OFFER_SESSIONS, AS_TABLE | AS_JSON | AS_JSONL,
     "shows a session as it goes on, wherever somebody talks in it; -o json: an event a line"},
    {"why", CMD_WHY, "SESSION [TURN]", 0, 2, OFFER_SESSIONS, AS_OBJECT,
     "what was sent for a turn, what was left out, and by whose choice; why a fact is "
     "remembered"},
    {"undo", CMD_UNDO, "SESSION", 0, 1, OFFER_SESSIONS, AS_OBJECT,
     "takes the newest turn back; it is kept, and not sent any more"},
    {"pin", CMD_PIN, "SESSION [TURN]", 0, 2, OFFER_SESSIONS, AS_OBJECT,
     "keeps a turn, the newest one, in every request from now on"},
    {"constraint", CMD_CONSTRAINT, "SESSION [TEXT…]", 0, WORDS_ANY, OFFER_SESSIONS,
     AS_OBJECT,
     "states what is to be kept in mind, word for word; without TEXT lists them"},
    {"recall", CMD_RECALL, "QUERY…", 1, WORDS_ANY, OFFER_NOTHING,
     AS_TABLE | AS_JSON | AS_JSONL | AS_CSV,
     "what was said before that bears on QUERY, and what is remembered of the user; best first"},
    {"memory", CMD_MEMORY, "", 0, 0, OFFER_NOTHING, AS_TABLE | AS_JSON | AS_JSONL | AS_CSV,
     "what is remembered of a user, and which of their words bear it out"},
    {"forget", CMD_FORGET, "FACT", 1, 1, OFFER_FACTS, AS_OBJECT,
     "forgets a fact for good, and says where it was said"},
    {"usage", CMD_USAGE, "", 0, 0, OFFER_NOTHING, AS_TABLE | AS_JSON | AS_JSONL | AS_CSV,
     "tokens and money, as a table with bars; today's budgets"},
    {"check", CMD_CHECK, "[FILE|DIR…]", 0, WORDS_ANY, OFFER_FILES, AS_OBJECT,
     "loads and checks configuration and policies, changes nothing"},
    {"test", CMD_TEST, "[DIR…]", 0, WORDS_ANY, OFFER_FILES, AS_OBJECT,
     "runs the policies' own tests, NAME_test.lua beside NAME.lua; offline"},
    {"verify", CMD_VERIFY, "", 0, 0, OFFER_NOTHING, AS_OBJECT,
     "checks every session in the store against the ledger's rules"},
    {"sweep", CMD_SWEEP, "", 0, 0, OFFER_NOTHING, AS_OBJECT,
     "learns from sessions whose time has come, archives them, deletes old ones"},
    {"audit", CMD_AUDIT, "[verify|head]", 0, 1, OFFER_CHOICES,
     AS_TABLE | AS_JSON | AS_JSONL | AS_CSV,
     "the audit trail; whether it is whole; its signed head, to be kept elsewhere"},
    {"import", CMD_IMPORT, "FILE.jsonl", 1, 1, OFFER_FILES, AS_OBJECT,
     "makes sessions of recorded conversations, one a line; - is standard input"},
    {"migrate", CMD_MIGRATE, "", 0, 0, OFFER_NOTHING, AS_TABLE,
     "brings the store's schema up to date"},
    {"backup", CMD_BACKUP, "FILE", 1, 1, OFFER_FILES, AS_OBJECT,
     "copies the store to FILE, verified, while others go on using it"},
    {"restore", CMD_RESTORE, "FILE", 1, 1, OFFER_FILES, AS_OBJECT,
     "puts a backup, verified, in the store's place; the store as it was is kept beside"},
    {"export", CMD_EXPORT, "", 0, 0, OFFER_NOTHING, AS_TABLE | AS_JSON,
     "all that is kept of a user, as JSON"},
    {"erase", CMD_ERASE, "", 0, 0, OFFER_NOTHING, AS_OBJECT,
     "erases all that is kept of a user, for ever, and prints a signed receipt"},
    {"keys", CMD_KEYS, "init|status|rotate", 1, 1, OFFER_CHOICES, AS_OBJECT,
     "makes the keyring, shows it, or rotates its keys while others go on"},
    {"models", CMD_MODELS, "", 0, 0, OFFER_NOTHING, AS_TABLE | AS_JSON | AS_JSONL | AS_CSV,
     "the providers that are configured, and the models that are known"},
    {"completion", CMD_COMPLETION, "bash|zsh|fish", 0, 1, OFFER_CHOICES, AS_TABLE,
     "prints a completion script for a shell"},
    {"tokens", CMD_TOKENS, "[FILE]", 0, 1, OFFER_FILES, AS_OBJECT,
     "counts the tokens of a file or of standard input, at most 64 MiB"},
    {"redact", CMD_REDACT, "[FILE]", 0, 1, OFFER_FILES, AS_OBJECT,
     "what redaction makes of a file or of standard input, at most 16 MiB"},
    {"replay", CMD_REPLAY, "[FILE…]", 0, WORDS_ANY, OFFER_FILES,
     AS_TABLE | AS_JSON | AS_JSONL | AS_CSV,
     "what policies would have sent in recorded conversations, and its cost"},
    {"version", CMD_VERSION, "", 0, 0, OFFER_NOTHING, AS_OBJECT, "prints the version"},
    {"help", CMD_HELP, "[COMMAND]", 0, 1, OFFER_COMMANDS, AS_TABLE, "explains a command"},
    LATER("serve", "", "HTTP API, chat page, operator console"),
    LATER("reload", "", "asks the running server to reload"),
    LATER("status", "", "versions, workers and sessions of the running server"),
    LATER("tasks", "", "what is waiting or running in the background"),
    LATER("new", "policy NAME", "starts a policy from a template"),
    {0},
};

#define ON(command) (UINT64_C(1) << CMD_##command)
#define TALKS (ON(CHAT) | ON(ASK))
#define WRITES (TALKS | ON(UNDO) | ON(PIN) | ON(CONSTRAINT))
#define LISTS_USERS (ON(SESSIONS) | ON(USAGE) | ON(VERIFY))

const struct flag flag_table[FLAGS] = {
    [FLAG_CONFIG] = {"config", 0, FLAG_TEXT, "FILE", OFFER_FILES, 0,
                     "the configuration, a parley.lua"},
    [FLAG_STORE] = {"store", 0, FLAG_TEXT, "URL", OFFER_NOTHING, 0, "sqlite:PATH or memory:"},
    [FLAG_POLICIES] = {"policies", 0, FLAG_TEXT, "DIR", OFFER_FOLDERS, 0,
                       "folder of policies, one file a bot"},
    [FLAG_BOT] = {"bot", 0, FLAG_TEXT, "NAME", OFFER_BOTS, 0, "whom to talk to: a policy's name"},
    [FLAG_USER] = {"user", 0, FLAG_TEXT, "ID", OFFER_NOTHING, 0,
                   "who is talking (default: local)"},
    [FLAG_CONTEXT] = {"context", 0, FLAG_TEXT, "ID", OFFER_NOTHING, 0,
                      "ticket, document or task; each has a history of its own"},
    [FLAG_SESSION] = {"session", 0, FLAG_TEXT, "ID", OFFER_SESSIONS, 0, "go on in this session"},
    [FLAG_CONTINUE] = {"continue", 'c', FLAG_SWITCH, NULL, OFFER_NOTHING, 0,
                       "go on in the newest session of this user, bot and context"},
    [FLAG_PROVIDER] = {"provider", 0, FLAG_TEXT, "NAME", OFFER_PROVIDERS, 0,
                       "a provider of the configuration"},
    [FLAG_MODEL] = {"model", 0, FLAG_TEXT, "NAME", OFFER_MODELS, 0, "the provider's model"},
    [FLAG_KEY] = {"key", 0, FLAG_TEXT, "KEY", OFFER_NOTHING, 0,
                  "idempotency key: repeated with the same text it is the same turn"},
    [FLAG_OUTPUT] = {"output", 'o', FLAG_CHOICE, "table|json|jsonl|csv", OFFER_CHOICES, 0,
                     "form of the answer"},
    [FLAG_QUIET] = {"quiet", 'q', FLAG_SWITCH, NULL, OFFER_NOTHING, 0,
                    "on standard error only errors"},
    [FLAG_SET] = {"set", 0, FLAG_LIST, "NAME=VALUE", OFFER_NOTHING, 0,
                  "one setting, as in the configuration; may be repeated"},
    [FLAG_NO_COLOR] = {"no-color", 0, FLAG_SWITCH, NULL, OFFER_NOTHING, 0,
                       "no colour, even on a terminal"},
    [FLAG_HELP] = {"help", 'h', FLAG_SWITCH, NULL, OFFER_NOTHING, 0,
                   "explains the command and does nothing"},
    [FLAG_VERSION] = {"version", 0, FLAG_SWITCH, NULL, OFFER_NOTHING, 0,
                      "prints the version and does nothing"},
    [FLAG_STATELESS] = {"stateless", 0, FLAG_SWITCH, NULL, OFFER_NOTHING, TALKS,
                        "sends only the new message, to show what remembering is for"},
    [FLAG_ALL_USERS] = {"all-users", 0, FLAG_SWITCH, NULL, OFFER_NOTHING, LISTS_USERS,
                        "over every user"},
    [FLAG_BY] = {"by", 0, FLAG_CHOICE, "day|bot|model|user|session", OFFER_CHOICES, ON(USAGE),
                 "what makes a row (default: day)"},
    [FLAG_CSV] = {"csv", 0, FLAG_SWITCH, NULL, OFFER_NOTHING, ON(USAGE) | ON(SESSIONS),
                  "the same as -o csv"},
    [FLAG_DRY_RUN] = {"dry-run", 0, FLAG_SWITCH, NULL, OFFER_NOTHING, ON(MIGRATE),
                      "only tells what would be done"},
    [FLAG_FORCE] = {"force", 0, FLAG_SWITCH, NULL, OFFER_NOTHING, ON(BACKUP),
                    "replaces FILE if it is there already"},
    [FLAG_DAMAGED] = {"damaged", 0, FLAG_SWITCH, NULL, OFFER_NOTHING,
                      ON(BACKUP) | ON(RESTORE),
                      "keeps the copy even with problems, a backup also unverified"},
    [FLAG_TRUST_CLOCK] = {"trust-clock", 0, FLAG_SWITCH, NULL, OFFER_NOTHING, ON(SWEEP),
                          "this machine's clock is right, though it jumped"},
    [FLAG_MAN] = {"man", 0, FLAG_SWITCH, NULL, OFFER_NOTHING, ON(HELP),
                  "the manual page, for man(1)"},
    [FLAG_SETTINGS] = {"settings", 0, FLAG_SWITCH, NULL, OFFER_NOTHING, ON(HELP),
                       "every setting that parley.lua and --set can hold"},
    [FLAG_DISCOVER] = {"discover", 0, FLAG_SWITCH, NULL, OFFER_NOTHING, ON(MODELS),
                       "looks for model servers on this machine and prints what to add"},
    [FLAG_PORTS] = {"ports", 0, FLAG_TEXT, "PORT,…", OFFER_NOTHING, ON(MODELS),
                    "with --discover: looks at these ports (default: the usual ones)"},
    [FLAG_NAMES] = {"names", 0, FLAG_CHOICE, "bots|providers|models|sessions|facts", OFFER_CHOICES,
                    ON(COMPLETION), "names that there are, one a line, for the scripts"},
    [FLAG_ENCODING] = {"encoding", 0, FLAG_CHOICE, "cl100k_base|o200k_base", OFFER_CHOICES,
                       ON(TOKENS),
                       "a public vocabulary (default: o200k_base, unless --model names another)"},
    [FLAG_IDS] = {"ids", 0, FLAG_SWITCH, NULL, OFFER_NOTHING, ON(TOKENS),
                  "prints the tokens' ids"},
    [FLAG_K] = {"count", 'k', FLAG_TEXT, "N", OFFER_NOTHING, ON(RECALL),
                "so many messages, facts and lines of the journal at most (default: 10)"},
    [FLAG_SPECIAL] = {"special", 0, FLAG_SWITCH, NULL, OFFER_NOTHING, ON(TOKENS),
                      "special tokens such as <|endoftext|> are those tokens, not text"},
    [FLAG_REGION] = {"region", 0, FLAG_TEXT, "CODE", OFFER_NOTHING, ON(REDACT),
                     "telephone numbers without a country are this one's: US, DE, …"},
    [FLAG_REVEAL] = {"reveal", 0, FLAG_SWITCH, NULL, OFFER_NOTHING, ON(SHOW),
                     "originals instead of masks, as far as they are kept; the audit trail has it"},
    [FLAG_PREVIEW] = {"preview", 0, FLAG_SWITCH, NULL, OFFER_NOTHING, ON(SESSIONS),
                      "with how what was said last begins, of the first 100"},
    [FLAG_ALL] = {"all", 0, FLAG_SWITCH, NULL, OFFER_NOTHING, ON(MEMORY),
                  "also what is so no more, and what was forgotten"},
    [FLAG_KIND] = {"kind", 0, FLAG_CHOICE, "facts|knowledge|journal|core", OFFER_CHOICES,
                   ON(MEMORY), "this part of it alone"},
    [FLAG_FACT] = {"fact", 0, FLAG_TEXT, "ID", OFFER_FACTS, ON(WHY),
                   "of a fact, not of a turn: from which turns it is, by which extractor and "
                   "policy, what superseded it"},
    [FLAG_POLICY] = {"policy", 0, FLAG_MANY, "FILE", OFFER_FILES, ON(REPLAY),
                     "a policy's file, or a bot's name; may be repeated, or further ones follow"},
    [FLAG_FROM] = {"from", 0, FLAG_TEXT, "FILE.jsonl", OFFER_FILES, ON(REPLAY),
                   "recorded conversations, as import takes them; - is standard input (without "
                   "it: the store's sessions)"},
    [FLAG_SINCE] = {"since", 0, FLAG_TEXT, "SPAN", OFFER_NOTHING, ON(REPLAY) | ON(AUDIT),
                    "of the store, sessions that were active lately, as in 7d or 12h; of the "
                    "trail, what was done lately, or since a time as 2026-01-31"},
    [FLAG_BASELINE] = {"baseline", 0, FLAG_TEXT, "N", OFFER_NOTHING, ON(REPLAY),
                       "beside them a window of N messages that slides by one (default: 40; 0: "
                       "none)"},
    [FLAG_SVG] = {"svg", 0, FLAG_TEXT, "FILE", OFFER_NOTHING, ON(REPLAY),
                  "draws cost and tokens per turn by policy"},
    [FLAG_HEAD] = {"head", 0, FLAG_TEXT, "FILE", OFFER_FILES, ON(AUDIT),
                   "verify: holds the trail against this head, too"},
    [FLAG_ACCEPT] = {"accept", 0, FLAG_SWITCH, NULL, OFFER_NOTHING, ON(AUDIT),
                     "verify: signs the trail as it is, which the trail tells, where the head "
                     "does not go with it and that is right (an older store was put in place)"},
    [FLAG_VERBOSE] = {"verbose", 'v', FLAG_SWITCH, NULL, OFFER_NOTHING, ON(VERSION),
                      "the libraries that are linked, too, with their versions"},
    [FLAG_REMOVE] = {"remove", 0, FLAG_SWITCH, NULL, OFFER_NOTHING,
                     ON(PIN) | ON(CONSTRAINT),
                     "lets the turn go again, or takes back the constraint of this number"},
    [FLAG_REGENERATE] = {"regenerate", 0, FLAG_SWITCH, NULL, OFFER_NOTHING, ON(ASK),
                         "another answer to the newest message, or to that of --edit TURN; the "
                         "old one is kept, and superseded"},
    [FLAG_EDIT] = {"edit", 0, FLAG_TEXT, "TURN", OFFER_NOTHING, ON(ASK),
                   "the message takes the place of this turn and of all after it"},
    [FLAG_FORMAT] = {"format", 0, FLAG_CHOICE, "plain|tap|junit", OFFER_CHOICES, ON(TEST),
                     "form of the results (default: plain)"},
    [FLAG_YES] = {"yes", 0, FLAG_SWITCH, NULL, OFFER_NOTHING, ON(ERASE),
                  "does not ask whether it is meant"},
    [FLAG_VERIFY_RECEIPT] = {"verify-receipt", 0, FLAG_TEXT, "FILE", OFFER_FILES, ON(ERASE),
                             "erases nothing: checks the signature of a receipt (exit 5: it is "
                             "another house's)"},
    [FLAG_OPERATOR_KEY] = {"operator-key", 0, FLAG_TEXT, "FILE", OFFER_FILES, ON(KEYS),
                           "where the key is that wraps the others: a file, fd:N or "
                           "credential:NAME (as the setting operator_key)"},
    [FLAG_OPERATOR_ONLY] = {"operator-only", 0, FLAG_SWITCH, NULL, OFFER_NOTHING, ON(KEYS),
                            "rotates the operator key alone, which takes a moment"},
    [FLAG_USERS] = {"users", 0, FLAG_SWITCH, NULL, OFFER_NOTHING, ON(KEYS),
                    "rotates the users' keys alone"},
    [FLAG_DESTROY] = {"destroy", 0, FLAG_SWITCH, NULL, OFFER_NOTHING, ON(KEYS),
                      "destroys older keys although other stores were sealed with this keyring"},
    [FLAG_DEVICE] = {"device", 0, FLAG_TEXT, "NAME", OFFER_NOTHING, WRITES,
                     "which of the user's devices this is, where a bot goes on on one at a time "
                     "(chat on a terminal: its name)"},
    [FLAG_HERE] = {"here", 0, FLAG_SWITCH, NULL, OFFER_NOTHING, WRITES,
                   "goes on on this device, although another one has the session"},
};

// In the order of enum format, as in the table above.
const char *const format_words[FORMATS] = {"table", "json", "jsonl", "csv"};

struct cursor {
    int argc, at;
    char **argv;
};

const struct command *command_find(const char *name, struct err *err)
{
    struct hint hint = {.word = slice_str(name)};

    for (const struct command *c = command_table; c->name; c++) {
        if (strcmp(c->name, name) == 0)
            return c;
        hint_offer(&hint, slice_str(c->name));
    }
    if (hint.best.ptr)
        err_set(err, E_USAGE, "there is no command '%s'; did you mean '%.*s'?", name,
                SLICE_FMT(hint.best));
    else
        err_set(err, E_USAGE, "there is no command '%s'; `parley help` lists them", name);
    return NULL;
}

bool command_has_flags(const struct command *c)
{
    for (size_t i = 0; i < FLAGS; i++)
        if (flag_table[i].commands && flag_goes_with(&flag_table[i], c))
            return true;
    return false;
}

static int unknown_flag(struct slice name, struct err *err)
{
    struct hint hint = {.word = name};

    for (size_t i = 0; i < FLAGS; i++)
        hint_offer(&hint, slice_str(flag_table[i].name));
    if (hint.best.ptr)
        return err_set(err, E_USAGE, "there is no option --%.*s; did you mean --%.*s?",
                       SLICE_FMT(name), SLICE_FMT(hint.best));
    return err_set(err, E_USAGE, "there is no option --%.*s; `parley help` lists them",
                   SLICE_FMT(name));
}

// Whether `word` is one of the words of "a|b|c".
static bool is_choice(const char *choices, const char *word)
{
    size_t len = strlen(word);

    for (const char *at = choices; at; at = strchr(at, '|')) {
        at += *at == '|';
        if (strcspn(at, "|") == len && strncmp(at, word, len) == 0)
            return true;
    }
    return false;
}

static int add_setting(struct options *o, const char *value, struct err *err)
{
    if (!strchr(value, '=') || *value == '=')
        return err_set(err, E_USAGE, "--set %s: write --set NAME=VALUE", value);
    if (o->n_settings == SETTINGS_MAX)
        return err_set(err, E_USAGE,
                       "more than %d --set options; put the settings into a parley.lua",
                       SETTINGS_MAX);
    o->settings[o->n_settings++] = value;
    return E_OK;
}

static int add_policy(struct options *o, const char *value, struct err *err)
{
    if (o->n_policies == NAMED_POLICIES_MAX)
        return err_set(err, E_USAGE, "more than %d --policy options", NAMED_POLICIES_MAX);
    o->policies[o->n_policies++] = value;
    return E_OK;
}

static int take_value(struct options *o, const struct flag *f, const char *value, struct err *err)
{
    if (f->type == FLAG_LIST)
        return add_setting(o, value, err);
    if (f->type == FLAG_MANY && add_policy(o, value, err))
        return err->code;
    if (f->type == FLAG_CHOICE && !is_choice(f->argument, value))
        return err_set(err, E_USAGE, "--%s %s: write one of %s", f->name, value, f->argument);
    o->value[f - flag_table] = value;
    return E_OK;
}

// `given` is the value that came in the same word, NULL without one.
static int take_flag(struct options *o, const struct flag *f, const char *given, struct cursor *c,
                     struct err *err)
{
    if (f->type == FLAG_SWITCH) {
        if (given)
            return err_set(err, E_USAGE, "--%s takes no value", f->name);
        o->value[f - flag_table] = "";
        return E_OK;
    }
    if (!given) {
        if (c->at + 1 >= c->argc)
            return err_set(err, E_USAGE, "--%s needs a value: --%s %s", f->name, f->name,
                           f->argument);
        given = c->argv[++c->at];
    }
    return take_value(o, f, given, err);
}

static int take_long(struct options *o, const char *word, struct cursor *c, struct err *err)
{
    size_t len = strcspn(word, "=");

    for (size_t i = 0; i < FLAGS; i++)
        if (slice_is(slice_of(word, len), flag_table[i].name))
            return take_flag(o, &flag_table[i], word[len] ? word + len + 1 : NULL, c, err);
    return unknown_flag(slice_of(word, len), err);
}

static const struct flag *flag_of_letter(char letter)
{
    for (size_t i = 0; i < FLAGS; i++)
        if (flag_table[i].letter == letter)
            return &flag_table[i];
    return NULL;
}

// "-c", "-cq", "-o json", "-ojson", "-cojson".
static int take_letters(struct options *o, const char *word, struct cursor *c, struct err *err)
{
    for (; *word; word++) {
        const struct flag *f = flag_of_letter(*word);
        if (!f)
            return err_set(err, E_USAGE, "there is no option -%s; `parley help` lists them", word);
        if (f->type != FLAG_SWITCH)
            return take_flag(o, f, word[1] ? word + 1 : NULL, c, err);
        o->value[f - flag_table] = "";
    }
    return E_OK;
}

static int take_word(struct options *o, char *word, struct err *err)
{
    if (!o->command) {
        o->command = command_find(word, err);
        return o->command ? E_OK : E_USAGE;
    }
    o->words[o->n_words++] = word;
    return E_OK;
}

// Which commands an option is for, as "usage and sessions".
static int not_with(const struct flag *f, const struct command *command, struct err *err)
{
    char list[128] = "";
    struct slice rest = slice_of(list, 0);

    for (const struct command *c = command_table; c->name; c++) {
        if (c->id == CMD_LATER || !flag_goes_with(f, c))
            continue;
        size_t room = sizeof list - 1 - rest.len;
        strncat(list, rest.len ? ", " : "", room);
        strncat(list, c->name, room > 2 ? room - 2 : 0);
        rest.len = strlen(list);
    }
    return err_set(err, E_USAGE, "--%s does not go with %s; it is for: %s", f->name, command->name,
                   list);
}

void command_formats(const struct command *c, char *out)
{
    size_t len = 0;

    for (size_t i = 0; i < FORMATS; i++)
        if (c->formats & (1U << i))
            len += (size_t)snprintf(out + len, FORMATS_BYTES - len, "%s%s", len ? "|" : "",
                                    format_words[i]);
}

static int check_format(struct options *o, struct err *err)
{
    const char *word = o->value[FLAG_OUTPUT];
    char formats[FORMATS_BYTES];

    for (size_t i = 0; word && i < FORMATS; i++)
        if (strcmp(word, format_words[i]) == 0)
            o->format = (enum format)i;
    if (option_on(o, FLAG_CSV))
        o->format = FORMAT_CSV;
    if (o->format == FORMAT_JSONL && o->command->formats & FORMATS_ONE_OBJECT)
        o->format = FORMAT_JSON;
    if (o->command->formats & (1U << o->format))
        return E_OK;
    command_formats(o->command, formats);
    return err_set(err, E_USAGE, "%s cannot answer as %s, only as %s", o->command->name,
                   format_words[o->format], formats);
}

static int check_words(const struct options *o, struct err *err)
{
    const struct command *c = o->command;

    if (o->n_words < (size_t)c->words_min)
        return err_set(err, E_USAGE, "something is missing: write parley %s %s", c->name, c->words);
    if (c->words_max == WORDS_ANY || o->n_words <= (size_t)c->words_max)
        return E_OK;
    return err_set(err, E_USAGE, "'%s' is too much: write parley %s%s%s", o->words[c->words_max],
                   c->name, *c->words ? " " : "", c->words);
}

static int check_whole(struct options *o, struct err *err)
{
    o->named = o->command != NULL;
    if (!o->command)
        o->command = command_table; // chat stands first
    if (option_on(o, FLAG_HELP) || option_on(o, FLAG_VERSION))
        return E_OK;
    for (size_t i = 0; i < FLAGS; i++)
        if (o->value[i] && !flag_goes_with(&flag_table[i], o->command))
            return not_with(&flag_table[i], o->command, err);
    int code = check_format(o, err);
    return code < 0 ? code : check_words(o, err);
}

int options_parse(struct options *o, int argc, char **argv, struct err *err)
{
    struct cursor c = {.argc = argc, .at = 1, .argv = argv};
    bool words_only = false;

    *o = (struct options){.words = argv};
    for (; c.at < argc; c.at++) {
        char *word = argv[c.at];
        int code = E_OK;
        if (words_only || word[0] != '-' || !word[1])
            code = take_word(o, word, err);
        else if (strcmp(word, "--") == 0)
            words_only = true;
        else if (word[1] == '-')
            code = take_long(o, word + 2, &c, err);
        else
            code = take_letters(o, word + 1, &c, err);
        if (code < 0)
            return code;
        // A later command's options are not known yet: its name is all there is to answer.
        if (o->command && o->command->id == CMD_LATER)
            return E_OK;
    }
    return check_whole(o, err);
}
