// SPDX-License-Identifier: MIT
// main.c: the program: reads the command line, runs one command, makes an exit status of its code.
#include "cli/cli.h"

#include <fcntl.h>
#include <langinfo.h>
#include <locale.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    EXIT_OK = 0,
    EXIT_PROVIDER = 1,
    EXIT_USAGE = 2,
    EXIT_POLICY = 3,
    EXIT_STORE = 4,
    EXIT_REFUSED = 5,
    EXIT_INTERRUPTED = 130,
};

static int (*const run[])(struct cli *cli) = {
    [CMD_CHAT] = command_chat,         [CMD_ASK] = command_ask,
    [CMD_SESSIONS] = command_sessions, [CMD_SHOW] = command_show,
    [CMD_WATCH] = command_watch,
    [CMD_WHY] = command_why,           [CMD_RECALL] = command_recall,
    [CMD_MEMORY] = command_memory,     [CMD_FORGET] = command_forget,
    [CMD_USAGE] = command_usage,       [CMD_CHECK] = command_check,
    [CMD_VERIFY] = command_verify,     [CMD_IMPORT] = command_import,
    [CMD_MIGRATE] = command_migrate,   [CMD_BACKUP] = command_backup,
    [CMD_RESTORE] = command_restore,   [CMD_MODELS] = command_models,
    [CMD_VERSION] = command_version,   [CMD_COMPLETION] = command_completion,
    [CMD_HELP] = command_help,         [CMD_TOKENS] = command_tokens,
    [CMD_REPLAY] = command_replay,     [CMD_PIN] = command_pin,
    [CMD_CONSTRAINT] = command_constraint,
    [CMD_SWEEP] = command_sweep,       [CMD_KEYS] = command_keys,
    [CMD_AUDIT] = command_audit,       [CMD_UNDO] = command_undo,
    [CMD_TEST] = command_test,         [CMD_EXPORT] = command_export,
    [CMD_ERASE] = command_erase,
    [CMD_REDACT] = command_redact,
};

static int exit_status(int code)
{
    switch ((parley_code)code) {
    case PARLEY_OK:
        return EXIT_OK;
    case PARLEY_E_PROVIDER:
        return EXIT_PROVIDER;
    case PARLEY_E_USAGE:
    case PARLEY_E_NOT_FOUND:
        return EXIT_USAGE;
    case PARLEY_E_POLICY:
        return EXIT_POLICY;
    case PARLEY_E_STORE:
    case PARLEY_E_CORRUPT:
    case PARLEY_E_NOMEM:
        return EXIT_STORE;
    case PARLEY_E_REFUSED:
    case PARLEY_E_BUSY:
    case PARLEY_E_CONFLICT:
    case PARLEY_E_FENCED:
    case PARLEY_E_ERASED:
        return EXIT_REFUSED;
    case PARLEY_E_CANCELLED:
        return EXIT_INTERRUPTED;
    }
    return EXIT_STORE;
}

// Characters are UTF-8 whatever the locale says; numbers stay as C writes them.
static void set_locale(void)
{
    if (!setlocale(LC_CTYPE, "") || strcmp(nl_langinfo(CODESET), "UTF-8") != 0)
        setlocale(LC_CTYPE, "C.UTF-8");
}

// A standard stream that came closed would lend its number to the next file that is opened, and the
// store would get what was meant for the screen.
static int open_streams(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) != fd)
            return -1;
    return 0;
}

// Before any thread is made, so that all of them inherit it.
static int block_signals(void)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGHUP);
    sigaddset(&set, SIGTSTP);
    sigaddset(&set, SIGWINCH);
    sigprocmask(SIG_BLOCK, &set, NULL);
    return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static parley_log_level log_level(struct output *o)
{
    static const char *const words[] = {"debug", "info", "warn", "error"};
    const char *wanted = getenv("PARLEY_LOG");

    for (size_t i = 0; wanted && i < sizeof words / sizeof *words; i++)
        if (strcmp(wanted, words[i]) == 0)
            return (parley_log_level)i;
    if (wanted && *wanted)
        output_note(o, "PARLEY_LOG=%s is ignored: it is debug, info, warn or error", wanted);
    return o->quiet ? PARLEY_LOG_ERROR : PARLEY_LOG_WARN;
}

static int dispatch(struct cli *cli)
{
    const struct command *command = cli->options.command;

    if (option_on(&cli->options, FLAG_VERSION))
        return command_version(cli);
    if (command->id == CMD_LATER) {
        output_error(&cli->output, "%s is not in this version (%s); `parley help` lists what is",
                     command->name, parley_version());
        return PARLEY_E_USAGE;
    }
    if (option_on(&cli->options, FLAG_HELP))
        return cli->options.named ? help_command(cli, command) : help_overview(cli);
    return run[command->id](cli);
}

int main(int argc, char **argv)
{
    struct cli cli = {0};
    struct err err = ERR_INIT;

    if (open_streams() < 0)
        return EXIT_STORE; // and nowhere to say so
    parley_no_core_dumps(NULL); // what cannot be had is no reason not to run
    umask(S_IRWXG | S_IRWXO);
    set_locale();
    int code = options_parse(&cli.options, argc, argv, &err);
    output_init(&cli.output, !option_on(&cli.options, FLAG_NO_COLOR),
                option_on(&cli.options, FLAG_QUIET));
    if (code < 0)
        return exit_status(cli_fail_err(&cli, &err));
    cli.log_level = log_level(&cli.output);
    cli.signals = block_signals();
    if (cli.signals < 0) {
        output_error(&cli.output, "cannot make a signal descriptor: raise the limit of open files");
        return EXIT_STORE;
    }
    code = dispatch(&cli);
    cli_close(&cli);
    int written = output_finish(&cli.output, &err);
    if (written < 0)
        cli_fail_err(&cli, &err);
    return exit_status(code < 0 ? code : written);
}
