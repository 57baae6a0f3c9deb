// SPDX-License-Identifier: MIT
// cli.h: what the commands share: the options, the output, the engine, and waiting for it.
//
// Every command returns a parley_code and has said on standard error what is wrong before it does;
// main turns the code into an exit status. Signals (interrupt, terminate, hang-up, stop, window
// size) are blocked and read from a descriptor, so nothing runs between two instructions of ours.
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"
#include "cli/options.h"
#include "cli/output.h"
#include "parley.h"

enum { SESSION_BYTES = 64 };

struct cli {
    struct options options;
    struct output output;
    int signals; // a signalfd
    int signal;  // what cli_answer was last ended by, 0 for an answer
    parley_log_level log_level;
    parley *engine; // NULL until cli_open
};

// ---- cli.c: every function that returns a code has reported what is below 0

// What parley_open and the functions without an engine are told. Borrows from cli.
void cli_engine_options(struct cli *cli, parley_options *options);
int cli_open(struct cli *cli);
// For who looks at what is kept: a store that is not there is an error, and none is made.
int cli_open_kept(struct cli *cli);
// From here on an interrupt ends the process at once: a reply that does not settle cannot hold it.
void cli_close(struct cli *cli);

// The scope that the options name, the same over every user unless one is named, and the same for a
// message.
void cli_scope(const struct cli *cli, parley_scope *scope);
void cli_scope_of_all(const struct cli *cli, parley_scope *scope);
void cli_message(const struct cli *cli, parley_message *message);
// A turn's number, from 1; false if word is none. cli_take_turn says so, too.
bool cli_turn(struct slice word, uint32_t *turn);
bool cli_take_turn(struct cli *cli, struct slice word, uint32_t *turn);
// The session that a command is about, as -c, --session or its first word says; *words is how many
// words that took. False, and said, when nothing does.
bool cli_session_named(struct cli *cli, parley_scope *scope, size_t *words);
// The same of a command that takes [SESSION] [TURN]: 0 for no turn. E_USAGE, and said.
int cli_session_turn(struct cli *cli, parley_scope *scope, uint32_t *turn);

// Says what failed; returns its code.
int cli_fail(struct cli *cli, const parley_error *error);
int cli_fail_err(struct cli *cli, const struct err *err);

// All of a file, or of standard input where name is NULL or "-": at most max bytes.
int cli_read_text(struct cli *cli, const char *name, size_t max, struct buf *text);

// Waits for an event or a signal. 0: *event is the caller's. Else the number of the signal.
int cli_wait(struct cli *cli, parley_event **event);
// The signal that is there, 0 for none. Suspends the process on a terminal's stop.
int cli_take_signal(struct cli *cli);
// The answer to a question: asked is what the asking function returned. *doc reads (*event)->json;
// both are the caller's: cli_answer_free. On failure there is nothing to free; when a signal came
// first (PARLEY_E_CANCELLED), cli->signal is its number.
struct answer {
    parley_event *event;
    struct json_doc doc;
};
int cli_answer(struct cli *cli, int asked, uint64_t request, const parley_error *error,
               struct answer *answer);
void cli_answer_free(struct answer *answer);
// The texts of a list, a line each, on standard output.
void cli_print_lines(struct cli *cli, struct json texts);
// A question about a scope, asked and answered.
int cli_ask_engine(struct cli *cli,
                   int (*ask)(parley *, const parley_scope *, uint64_t *, parley_error *),
                   const parley_scope *scope, struct answer *answer);

// What a function answers that needs no engine; the report is the caller's: cli_report_free. On
// failure there is nothing to free.
struct report {
    char *text;
    struct json_doc doc; // reads text
};
int cli_report(struct cli *cli, int (*make)(const parley_options *, char **, parley_error *),
               struct report *report);
// The same for what was made already: `made` is what the function returned. Takes text.
int cli_report_read(struct cli *cli, int made, char *text, const parley_error *error,
                    struct report *report);
// What a function reports on the files and folders that the command's words name (none: its own).
// *code is what it answered: a report names what is wrong, and only without one it is a failure.
int cli_report_on_words(struct cli *cli,
                        int (*make)(const parley_options *, const char *const *, char **,
                                    parley_error *),
                        int *code, struct report *report);
void cli_report_free(struct report *report);

// ---- exchange.c: one turn, from its message to its end

struct exchange {
    int code;                    // parley_code; below 0 it has been reported
    int signal;                  // the first that came while waiting, 0 for none
    bool impatient;              // a second one came: the reply was not waited for
    char session[SESSION_BYTES]; // "" when nothing was accepted
    parley_event *done;          // NULL when there is none; owned by the exchange
};
// Streams to the output in the format that the options name.
void exchange_run(struct cli *cli, const parley_message *message, struct exchange *exchange);
void exchange_release(struct exchange *exchange);
// Notes that the session of a MOVED goes on on another device.
void tell_moved(struct cli *cli, const parley_event *event);

// ---- listing.c: answers as tables, JSON, lines or CSV

int listing_sessions(struct cli *cli, const struct answer *answer, bool with_user);
int listing_usage(struct cli *cli, const struct answer *answer, const char *by);

// ---- transcript.c

int transcript_print(struct cli *cli, const struct answer *answer);
// Appends it as plain text, for a file.
void transcript_write(struct buf *out, const struct json_doc *doc);

// ---- why.c

// What a turn's request was made of (0: the newest turn), in the format that the options name.
int why_print(struct cli *cli, const parley_scope *scope, uint32_t turn);

// ---- memory.c

// What is remembered (PARLEY_MEMORY_…); why one fact is; and that one is forgotten: in the format
// that the options name.
int memory_list(struct cli *cli, const parley_scope *scope, unsigned what);
// The part of it that a word names: "all", "facts", "knowledge", "journal", "core"; 0: none.
unsigned memory_part(struct slice word);
int memory_why(struct cli *cli, const parley_scope *scope, const char *fact);
int memory_forget(struct cli *cli, const parley_scope *scope, const char *fact);

// ---- pin.c

// Pins a turn (0: the newest) or lets it go, and says which are.
int pin_turn(struct cli *cli, const parley_scope *scope, uint32_t turn, bool remove);
// Takes the newest turn back, and says what it was.
int undo_newest(struct cli *cli, const parley_scope *scope);
// States a constraint, takes back the one with the number in `word`, and says which there are.
int constraint_add(struct cli *cli, const parley_scope *scope, struct slice text);
int constraint_remove(struct cli *cli, const parley_scope *scope, struct slice word);
int constraint_list(struct cli *cli, const parley_scope *scope);

// ---- help.c

int help_overview(struct cli *cli);
int help_command(struct cli *cli, const struct command *command);
int help_manual(struct cli *cli);
int help_settings(struct cli *cli);

// ---- the commands

int command_chat(struct cli *cli);
int command_ask(struct cli *cli);
int command_sessions(struct cli *cli);
int command_show(struct cli *cli);
int command_watch(struct cli *cli);
int command_why(struct cli *cli);
int command_pin(struct cli *cli);
int command_constraint(struct cli *cli);
int command_undo(struct cli *cli);
int command_recall(struct cli *cli);
int command_memory(struct cli *cli);
int command_forget(struct cli *cli);
int command_usage(struct cli *cli);
int command_check(struct cli *cli);
int command_test(struct cli *cli);
int command_verify(struct cli *cli);
int command_audit(struct cli *cli);
int command_import(struct cli *cli);
int command_migrate(struct cli *cli);
int command_backup(struct cli *cli);
int command_restore(struct cli *cli);
int command_export(struct cli *cli);
int command_sweep(struct cli *cli);
int command_keys(struct cli *cli);
int command_erase(struct cli *cli);
int command_models(struct cli *cli);
int command_completion(struct cli *cli);
int command_tokens(struct cli *cli);
int command_redact(struct cli *cli);
int command_replay(struct cli *cli);
int command_version(struct cli *cli);
int command_help(struct cli *cli);

#endif
