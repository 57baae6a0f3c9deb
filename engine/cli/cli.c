// SPDX-License-Identifier: MIT
// cli.c: the engine as the commands use it.
#include "base/mem.h"
#include "cli/cli.h"
#include "cli/input.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

static void log_to_stderr(void *user, parley_log_level level, const char *line)
{
    static const char *const words[] = {"debug", "info", "warning", "error"};
    const struct cli *cli = user;

    if (level >= cli->log_level)
        fprintf(stderr, "parley: %s: %s\n", words[level], line);
}

void cli_engine_options(struct cli *cli, parley_options *options)
{
    const struct options *o = &cli->options;

    *options = (parley_options)PARLEY_OPTIONS_INIT;
    options->config = o->value[FLAG_CONFIG];
    options->store = o->value[FLAG_STORE];
    options->policies = o->value[FLAG_POLICIES];
    options->settings = o->settings;
    options->log = log_to_stderr;
    options->user = cli;
    options->timer_signal = SIGRTMIN + 4;
}

static int open_engine(struct cli *cli, bool kept)
{
    parley_options options;
    parley_error error = PARLEY_ERROR_INIT;

    cli_engine_options(cli, &options);
    options.store_must_exist = kept;
    if (parley_open(&cli->engine, &options, &error) < 0)
        return cli_fail(cli, &error);
    return PARLEY_OK;
}

int cli_open(struct cli *cli)
{
    return open_engine(cli, false);
}

int cli_open_kept(struct cli *cli)
{
    return open_engine(cli, true);
}

void cli_close(struct cli *cli)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigprocmask(SIG_UNBLOCK, &set, NULL);
    parley_close(cli->engine);
    cli->engine = NULL;
}

// Whose words are shown are somebody else's than who chats here without a name.
static bool is_operator(const struct options *o)
{
    const unsigned reads = 1U << CMD_SESSIONS | 1U << CMD_SHOW | 1U << CMD_WATCH | 1U << CMD_WHY |
                           1U << CMD_RECALL | 1U << CMD_MEMORY;
    const char *user = o->value[FLAG_USER];

    return (reads >> o->command->id & 1U) != 0 &&
           (option_on(o, FLAG_ALL_USERS) || (user && strcmp(user, "local") != 0));
}

void cli_scope(const struct cli *cli, parley_scope *scope)
{
    const struct options *o = &cli->options;

    *scope = (parley_scope)PARLEY_SCOPE_INIT;
    scope->flags = (option_on(o, FLAG_CONTINUE) ? PARLEY_CONTINUE : 0) |
                   (is_operator(o) ? PARLEY_AS_OPERATOR : 0) |
                   (option_on(o, FLAG_HERE) ? PARLEY_CONTINUE_HERE : 0);
    scope->device = o->value[FLAG_DEVICE];
    scope->user = o->value[FLAG_USER];
    scope->bot = o->value[FLAG_BOT];
    scope->context = o->value[FLAG_CONTEXT];
    scope->session = o->value[FLAG_SESSION];
    scope->provider = o->value[FLAG_PROVIDER];
    scope->model = o->value[FLAG_MODEL];
}

void cli_scope_of_all(const struct cli *cli, parley_scope *scope)
{
    const struct options *o = &cli->options;

    cli_scope(cli, scope);
    if (!option_on(o, FLAG_USER) || option_on(o, FLAG_ALL_USERS))
        scope->flags |= PARLEY_ALL_USERS;
}

void cli_message(const struct cli *cli, parley_message *message)
{
    const struct options *o = &cli->options;

    *message = (parley_message)PARLEY_MESSAGE_INIT;
    message->flags = (option_on(o, FLAG_CONTINUE) ? PARLEY_CONTINUE : 0) |
                     (option_on(o, FLAG_STATELESS) ? PARLEY_STATELESS : 0) |
                     (option_on(o, FLAG_HERE) ? PARLEY_CONTINUE_HERE : 0);
    message->device = o->value[FLAG_DEVICE];
    message->user = o->value[FLAG_USER];
    message->bot = o->value[FLAG_BOT];
    message->context = o->value[FLAG_CONTEXT];
    message->session = o->value[FLAG_SESSION];
    message->key = o->value[FLAG_KEY];
    message->provider = o->value[FLAG_PROVIDER];
    message->model = o->value[FLAG_MODEL];
}

bool cli_turn(struct slice word, uint32_t *turn)
{
    uint64_t n = 0;

    for (size_t i = 0; i < word.len; i++) {
        if (word.ptr[i] < '0' || word.ptr[i] > '9' || n > UINT32_MAX)
            return false;
        n = n * 10 + (uint64_t)(word.ptr[i] - '0');
    }
    *turn = (uint32_t)n;
    return n > 0 && n <= UINT32_MAX;
}

bool cli_take_turn(struct cli *cli, struct slice word, uint32_t *turn)
{
    if (cli_turn(word, turn))
        return true;
    output_error(&cli->output, "'%.*s' is no turn: turns are numbers from 1", SLICE_FMT(word));
    return false;
}

bool cli_session_named(struct cli *cli, parley_scope *scope, size_t *words)
{
    const struct options *o = &cli->options;
    const char *name = o->command->name;

    cli_scope(cli, scope);
    *words = 0;
    // With -c or --session no word names it.
    if (option_on(o, FLAG_CONTINUE) || option_on(o, FLAG_SESSION))
        return true;
    if (o->n_words == 0) {
        output_error(&cli->output,
                     "which session? write parley %s %s (`parley sessions` lists them), or parley "
                     "%s -c for the newest", name, o->command->words, name);
        return false;
    }
    scope->session = o->words[0];
    *words = 1;
    return true;
}

int cli_session_turn(struct cli *cli, parley_scope *scope, uint32_t *turn)
{
    const struct options *o = &cli->options;
    size_t at;

    *turn = 0;
    if (!cli_session_named(cli, scope, &at))
        return PARLEY_E_USAGE;
    if (o->n_words > at + 1) {
        output_error(&cli->output, "'%s' is one word too many: at most a turn follows",
                     o->words[at + 1]);
        return PARLEY_E_USAGE;
    }
    if (o->n_words > at && !cli_take_turn(cli, slice_str(o->words[at]), turn))
        return PARLEY_E_USAGE;
    return PARLEY_OK;
}

int cli_fail(struct cli *cli, const parley_error *error)
{
    output_error(&cli->output, "%s", error->message);
    return error->code;
}

int cli_fail_err(struct cli *cli, const struct err *err)
{
    // An interruption needs no words: whoever caused it knows.
    if (err->code != E_CANCELLED)
        output_error(&cli->output, "%s", err->message);
    return err->code;
}

int cli_take_signal(struct cli *cli)
{
    struct signalfd_siginfo info;

    while (read(cli->signals, &info, sizeof info) == (ssize_t)sizeof info) {
        int number = (int)info.ssi_signo;
        if (number == SIGTSTP)
            raise(SIGSTOP);
        else if (number != SIGWINCH)
            return number;
    }
    return 0;
}

int cli_wait(struct cli *cli, parley_event **event)
{
    struct pollfd fds[] = {{.fd = cli->signals, .events = POLLIN},
                           {.fd = parley_wakeup_fd(cli->engine), .events = POLLIN}};

    for (;;) {
        int signal_number = cli_take_signal(cli);
        if (signal_number)
            return signal_number;
        if (parley_poll(cli->engine, event) > 0)
            return 0;
        output_flush(&cli->output);
        if (poll(fds, 2, -1) < 0 && errno != EINTR)
            BUG("poll: %s", strerror(errno));
    }
}

static int read_json(struct cli *cli, struct json_doc *doc, const char *json)
{
    struct err err = ERR_INIT;

    if (json_parse(doc, slice_str(json), 0, &err) == E_OK)
        return PARLEY_OK;
    err_prefix(&err, "the engine's answer: ");
    return cli_fail_err(cli, &err);
}

static int read_answer(struct cli *cli, struct answer *answer)
{
    int code = read_json(cli, &answer->doc, answer->event->json);

    if (code < 0)
        cli_answer_free(answer);
    return code;
}

int cli_answer(struct cli *cli, int asked, uint64_t request, const parley_error *error,
               struct answer *answer)
{
    *answer = (struct answer){0};
    if (asked < 0)
        return cli_fail(cli, error);
    for (;;) {
        parley_event *event = NULL;
        cli->signal = cli_wait(cli, &event);
        if (cli->signal)
            return PARLEY_E_CANCELLED;
        if (event->request == request && event->type == PARLEY_EVENT_RESULT) {
            answer->event = event;
            return read_answer(cli, answer);
        }
        if (event->request == request && event->type == PARLEY_EVENT_ERROR) {
            int code = event->code;
            output_error(&cli->output, "%s", event->text);
            parley_event_free(event);
            return code;
        }
        if (event->request == request && event->type == PARLEY_EVENT_WARNING)
            output_note(&cli->output, "%s", event->text);
        parley_event_free(event);
    }
}

void cli_answer_free(struct answer *answer)
{
    json_doc_release(&answer->doc);
    parley_event_free(answer->event);
    *answer = (struct answer){0};
}

void cli_print_lines(struct cli *cli, struct json texts)
{
    struct buf scratch = BUF_INIT(1 << 20);
    struct json_iter it = {0};
    struct json none, item;

    while (json_next(texts, &it, &none, &item)) {
        struct slice text = json_text(item, &scratch);
        output_text(&cli->output, text.ptr ? text : json_raw(item));
        output_str(&cli->output, "\n");
    }
    buf_release(&scratch);
}

int cli_ask_engine(struct cli *cli,
                   int (*ask)(parley *, const parley_scope *, uint64_t *, parley_error *),
                   const parley_scope *scope, struct answer *answer)
{
    parley_error error = PARLEY_ERROR_INIT;
    uint64_t request = 0;
    int asked = ask(cli->engine, scope, &request, &error);

    return cli_answer(cli, asked, request, &error, answer);
}

int cli_report_read(struct cli *cli, int made, char *text, const parley_error *error,
                    struct report *report)
{
    *report = (struct report){.text = text};
    int code = made < 0 ? cli_fail(cli, error) : read_json(cli, &report->doc, text);
    if (code < 0)
        cli_report_free(report);
    return code;
}

int cli_report(struct cli *cli, int (*make)(const parley_options *, char **, parley_error *),
               struct report *report)
{
    parley_error error = PARLEY_ERROR_INIT;
    parley_options options;
    char *text = NULL;

    cli_engine_options(cli, &options);
    int made = make(&options, &text, &error);
    return cli_report_read(cli, made, text, &error, report);
}

int cli_report_on_words(struct cli *cli,
                        int (*make)(const parley_options *, const char *const *, char **,
                                    parley_error *),
                        int *code, struct report *report)
{
    const struct options *o = &cli->options;
    parley_error error = PARLEY_ERROR_INIT;
    parley_options options;
    char *text = NULL;

    const char **paths = mem_calloc(o->n_words + 1, sizeof *paths);
    if (!paths) {
        output_error(&cli->output, "out of memory");
        return PARLEY_E_NOMEM;
    }
    for (size_t i = 0; i < o->n_words; i++)
        paths[i] = o->words[i];
    cli_engine_options(cli, &options);
    *code = make(&options, paths, &text, &error);
    mem_free(paths);
    return cli_report_read(cli, text ? PARLEY_OK : *code, text, &error, report);
}

void cli_report_free(struct report *report)
{
    json_doc_release(&report->doc);
    parley_free(report->text);
    *report = (struct report){0};
}

int cli_read_text(struct cli *cli, const char *name, size_t max, struct buf *text)
{
    bool from_stdin = !name || strcmp(name, "-") == 0;
    struct err err = ERR_INIT;
    struct input in;

    int fd = from_stdin ? STDIN_FILENO : open(name, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        output_error(&cli->output, "cannot read %s: %s", name, strerror(errno));
        return PARLEY_E_USAGE;
    }
    input_init(&in, fd, cli->signals);
    int code = input_all(&in, text, max, &err);
    while (code == E_CANCELLED && !cli_take_signal(cli)) // a resized window, or back from a stop
        code = input_all(&in, text, max, &err);
    input_release(&in);
    if (!from_stdin)
        close(fd);
    if (code < 0)
        err_prefix(&err, "%s: ", from_stdin ? "standard input" : name);
    return code < 0 ? cli_fail_err(cli, &err) : code;
}
