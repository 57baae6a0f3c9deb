// SPDX-License-Identifier: MIT
// options.h: the command line as data. One table of commands and one of options; parsing, --help,
// `help COMMAND`, the manual page and the completion scripts all read them.
//
// Options may stand before and after the command and between its words; "--" ends them. Of an
// option given twice the last counts, except --set, which adds. Values are borrowed from argv.
#ifndef CLI_OPTIONS_H
#define CLI_OPTIONS_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum command_id {
    CMD_CHAT,
    CMD_ASK,
    CMD_SESSIONS,
    CMD_SHOW,
    CMD_WATCH,
    CMD_WHY,
    CMD_UNDO,
    CMD_PIN,
    CMD_CONSTRAINT,
    CMD_RECALL,
    CMD_MEMORY,
    CMD_FORGET,
    CMD_USAGE,
    CMD_CHECK,
    CMD_TEST,
    CMD_VERIFY,
    CMD_AUDIT,
    CMD_IMPORT,
    CMD_MIGRATE,
    CMD_BACKUP,
    CMD_RESTORE,
    CMD_EXPORT,
    CMD_SWEEP,
    CMD_KEYS,
    CMD_ERASE,
    CMD_MODELS,
    CMD_COMPLETION,
    CMD_TOKENS,
    CMD_REDACT,
    CMD_REPLAY,
    CMD_VERSION,
    CMD_HELP,
    CMD_LATER, // known by name and promised, but not in this version
};

enum format { FORMAT_TABLE, FORMAT_JSON, FORMAT_JSONL, FORMAT_CSV, FORMATS };
extern const char *const format_words[FORMATS];

enum flag_id {
    FLAG_CONFIG,
    FLAG_STORE,
    FLAG_POLICIES,
    FLAG_BOT,
    FLAG_USER,
    FLAG_CONTEXT,
    FLAG_SESSION,
    FLAG_CONTINUE,
    FLAG_PROVIDER,
    FLAG_MODEL,
    FLAG_KEY,
    FLAG_OUTPUT,
    FLAG_QUIET,
    FLAG_SET,
    FLAG_NO_COLOR,
    FLAG_HELP,
    FLAG_VERSION,
    FLAG_STATELESS,
    FLAG_ALL_USERS,
    FLAG_BY,
    FLAG_CSV,
    FLAG_DRY_RUN,
    FLAG_FORCE,
    FLAG_DAMAGED,
    FLAG_TRUST_CLOCK,
    FLAG_MAN,
    FLAG_SETTINGS,
    FLAG_DISCOVER,
    FLAG_PORTS,
    FLAG_NAMES,
    FLAG_ENCODING,
    FLAG_IDS,
    FLAG_K,
    FLAG_SPECIAL,
    FLAG_REGION,
    FLAG_REVEAL,
    FLAG_PREVIEW,
    FLAG_ALL,
    FLAG_KIND,
    FLAG_FACT,
    FLAG_POLICY,
    FLAG_FROM,
    FLAG_SINCE,
    FLAG_BASELINE,
    FLAG_SVG,
    FLAG_HEAD,
    FLAG_ACCEPT,
    FLAG_VERBOSE,
    FLAG_REMOVE,
    FLAG_REGENERATE,
    FLAG_EDIT,
    FLAG_FORMAT,
    FLAG_YES,
    FLAG_VERIFY_RECEIPT,
    FLAG_OPERATOR_KEY,
    FLAG_OPERATOR_ONLY,
    FLAG_USERS,
    FLAG_DESTROY,
    FLAG_DEVICE,
    FLAG_HERE,
    FLAGS
};

enum {
    WORDS_ANY = -1,
    FORMATS_ONE_OBJECT = 1 << FORMATS, // the answer is one object: JSON lines are asked for as JSON
};

// What completion offers where a value or one of a command's words is due.
enum offer {
    OFFER_NOTHING,
    OFFER_FILES,
    OFFER_FOLDERS,
    OFFER_CHOICES,  // the words of "a|b|c", which is how it is written
    OFFER_COMMANDS, // those of command_table
    // Names that only the configuration and the store know: `parley completion --names KIND`.
    OFFER_BOTS,
    OFFER_PROVIDERS,
    OFFER_MODELS,
    OFFER_SESSIONS,
    OFFER_FACTS,
};

struct command {
    const char *name; // NULL ends the table
    enum command_id id;
    const char *words; // how its arguments are written; "": none
    int words_min, words_max;
    enum offer offer;
    unsigned formats; // bit per enum format, and FORMATS_ONE_OBJECT
    const char *help; // one line
};

enum flag_type {
    FLAG_SWITCH, // on or absent
    FLAG_TEXT,   // any text
    FLAG_CHOICE, // one of the words of `argument`
    FLAG_LIST,   // name=value, may be repeated
    FLAG_MANY,   // any text, may be repeated
};

struct flag {
    const char *name; // without the dashes
    char letter;      // 0: none
    enum flag_type type;
    const char *argument; // how its value is written; NULL for a switch
    enum offer offer;
    uint64_t commands;    // bit per enum command_id; 0: every command
    const char *help;     // one line
};

extern const struct command command_table[];
extern const struct flag flag_table[FLAGS];

enum { SETTINGS_MAX = 64, NAMED_POLICIES_MAX = 32 };

struct options {
    const struct command *command;
    bool named;                             // argv names it
    const char *value[FLAGS];               // NULL: not given; a switch that is on: ""
    const char *settings[SETTINGS_MAX + 1]; // --set, ends with NULL
    size_t n_settings;
    const char *policies[NAMED_POLICIES_MAX]; // --policy
    size_t n_policies;
    char **words; // the command's own arguments
    size_t n_words;
    enum format format;
};

// Reads argv; its pointers are reordered. E_USAGE with a message that says what to do.
int options_parse(struct options *o, int argc, char **argv, struct err *err);

// NULL, with the nearest name in the message, when there is no such command.
const struct command *command_find(const char *name, struct err *err);

static inline bool flag_goes_with(const struct flag *f, const struct command *c)
{
    return !f->commands || (f->commands & (UINT64_C(1) << c->id)) != 0;
}

// The forms of answer that a command has, as "table|json"; `out` holds FORMATS_BYTES.
enum { FORMATS_BYTES = 32 };
void command_formats(const struct command *c, char *out);

// Whether it has options that not every command has.
bool command_has_flags(const struct command *c);

static inline bool option_on(const struct options *o, enum flag_id id)
{
    return o->value[id] != NULL;
}

#endif
