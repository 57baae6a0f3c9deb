// SPDX-License-Identifier: MIT
// chat_slash.c: what the slash commands do. None of them ends the chat but /bye; what fails has
// been told on standard error and changes nothing.
#include "cli/chat.h"
#include "cli/slash.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

enum { TRANSCRIPT_MAX = 256 << 20, NAME_MAX_BYTES = 1024 };

static void slash_help(struct chat *chat)
{
    for (const struct slash *s = slash_table; s->name; s++)
        outputf(&chat->cli->output, "  %-12s %-10s %s\n", s->name, s->argument, s->help);
    output_str(&chat->cli->output,
               "  \"\"\"                     opens and closes a message of several "
               "lines\n");
}

static void take_session(struct chat *chat, struct json session)
{
    struct buf text = BUF_INIT(SESSION_BYTES);

    if (json_string(session, &text) && buf_ok(&text))
        snprintf(chat->session, sizeof chat->session, "%s", text.ptr ? text.ptr : "");
    buf_release(&text);
}

// Whether there is a session to speak of; says so when there is none. With -c the engine has chosen
// one before the first message; it is ours from now on.
static bool has_session(struct chat *chat)
{
    struct answer answer;

    if (!*chat->session && chat_look(chat, &answer) == PARLEY_OK) {
        take_session(chat, json_get(json_root(&answer.doc), "session"));
        cli_answer_free(&answer);
    }
    if (!*chat->session)
        output_note(&chat->cli->output, "nothing was said yet");
    return *chat->session;
}

// Hears of the window again after the session changed.
static void look_again(struct chat *chat)
{
    struct answer answer;

    if (chat_look(chat, &answer) == PARLEY_OK)
        cli_answer_free(&answer);
}

static void slash_reset(struct chat *chat)
{
    struct answer answer;
    parley_scope scope;

    chat_scope(chat, &scope);
    if (cli_ask_engine(chat->cli, parley_reset, &scope, &answer) < 0)
        return;
    take_session(chat, json_get(json_root(&answer.doc), "session"));
    cli_answer_free(&answer);
    output_str(&chat->cli->output,
               "A new session; /resume goes back to the old one, with its pins and constraints.\n");
    look_again(chat);
}

static void slash_undo(struct chat *chat)
{
    parley_scope scope;

    if (!has_session(chat))
        return;
    chat_scope(chat, &scope);
    if (undo_newest(chat->cli, &scope) == PARLEY_OK)
        look_again(chat);
}

static void slash_regenerate(struct chat *chat)
{
    if (has_session(chat))
        chat_say(chat, SLICE_NONE, PARLEY_REGENERATE, 0);
}

static void slash_edit(struct chat *chat, struct slice argument)
{
    size_t n = 0;
    uint32_t turn;

    while (n < argument.len && !strchr(" \t\n", argument.ptr[n]))
        n++;
    struct slice text = slice_of(argument.ptr + n, argument.len - n);
    while (text.len && strchr(" \t\n", *text.ptr))
        text = slice_of(text.ptr + 1, text.len - 1);
    if (!text.len)
        output_error(&chat->cli->output, "write /edit TURN TEXT; /history shows the turns");
    else if (has_session(chat) && cli_take_turn(chat->cli, slice_of(argument.ptr, n), &turn))
        chat_say(chat, text, 0, turn);
}

static void slash_tokens(struct chat *chat)
{
    struct answer answer;

    if (chat_look(chat, &answer) < 0)
        return;
    outputf(&chat->cli->output, "%" PRId64 " of %" PRId64 " tokens, %d %%\n", chat->tokens,
            chat->limit, chat->percent);
    cli_answer_free(&answer);
}

static void print_usage(struct output *o, struct json row)
{
    double cost = json_double(json_get(row, "cost_usd"), -1);
    outputf(
        o, "calls: %" PRId64 ", tokens in: %" PRId64 " (%" PRId64 " cached), out: %" PRId64 ", ",
        json_i64(json_get(row, "calls"), 0), json_i64(json_get(row, "input_tokens"), 0),
        json_i64(json_get(row, "cached_tokens"), 0), json_i64(json_get(row, "output_tokens"), 0));
    if (cost < 0)
        output_str(o, "price not known\n");
    else
        outputf(o, "$%.6f\n", cost);
}

static void slash_usage(struct chat *chat)
{
    parley_error error = PARLEY_ERROR_INIT;
    uint64_t request = 0;
    struct answer answer;
    parley_scope scope;

    if (!has_session(chat))
        return;
    chat_scope(chat, &scope);
    int code = parley_usage(chat->cli->engine, &scope, "session", &request, &error);
    if (cli_answer(chat->cli, code, request, &error, &answer) < 0)
        return;
    // Of one session there is one row, or none.
    struct json row = json_at(json_get(json_root(&answer.doc), "rows"), 0);
    if (json_type(row) == JSON_OBJECT)
        print_usage(&chat->cli->output, row);
    else
        output_note(&chat->cli->output, "nothing was sent in this session yet");
    cli_answer_free(&answer);
}

static int show_session(struct chat *chat, struct answer *answer)
{
    parley_scope scope;

    chat_scope(chat, &scope);
    return cli_ask_engine(chat->cli, parley_show, &scope, answer);
}

static void slash_why(struct chat *chat, struct slice wanted)
{
    parley_scope scope;
    uint32_t turn = 0;

    if (!has_session(chat))
        return;
    if (wanted.len && !cli_take_turn(chat->cli, wanted, &turn))
        return;
    chat_scope(chat, &scope);
    why_print(chat->cli, &scope, turn);
}

static void slash_memory(struct chat *chat, struct slice fact, bool forget)
{
    unsigned part = forget ? 0 : memory_part(fact);
    char id[NAME_MAX_BYTES];
    parley_scope scope;

    if (forget && !fact.len) {
        output_error(&chat->cli->output, "write /forget FACT; /memory lists them");
        return;
    }
    snprintf(id, sizeof id, "%.*s", SLICE_FMT(fact));
    chat_scope(chat, &scope);
    if (forget)
        memory_forget(chat->cli, &scope, id);
    else if (fact.len && !part)
        memory_why(chat->cli, &scope, id);
    else
        memory_list(chat->cli, &scope, part);
}

static void slash_pin(struct chat *chat, struct slice wanted, bool remove)
{
    parley_scope scope;
    uint32_t turn = 0;

    if (!has_session(chat) || (wanted.len && !cli_take_turn(chat->cli, wanted, &turn)))
        return;
    chat_scope(chat, &scope);
    if (pin_turn(chat->cli, &scope, turn, remove) == PARLEY_OK)
        look_again(chat);
}

static void slash_constraint(struct chat *chat, struct slice argument, bool remove)
{
    parley_scope scope;
    int code;

    if (!has_session(chat))
        return;
    chat_scope(chat, &scope);
    if (remove && !argument.len) {
        output_error(&chat->cli->output,
                     "write /unconstrain NUMBER; /constraint lists them with theirs");
        return;
    }
    if (remove)
        code = constraint_remove(chat->cli, &scope, argument);
    else if (argument.len)
        code = constraint_add(chat->cli, &scope, argument);
    else
        code = constraint_list(chat->cli, &scope);
    if (code == PARLEY_OK)
        look_again(chat);
}

static void slash_history(struct chat *chat)
{
    struct answer answer;

    if (!has_session(chat) || show_session(chat, &answer) < 0)
        return;
    transcript_print(chat->cli, &answer);
    cli_answer_free(&answer);
}

// Every session of the user, whatever the bot and context.
static int list_sessions(struct chat *chat, struct answer *answer)
{
    parley_scope scope = PARLEY_SCOPE_INIT;

    scope.user = chat->cli->options.value[FLAG_USER];
    return cli_ask_engine(chat->cli, parley_sessions, &scope, answer);
}

static void slash_sessions(struct chat *chat)
{
    struct answer answer;

    if (list_sessions(chat, &answer) < 0)
        return;
    listing_sessions(chat->cli, &answer, false);
    cli_answer_free(&answer);
}

// The one session that begins with `wanted`, or with nothing wanted the newest that is not ours.
static struct json find_session(struct chat *chat, struct json rows, struct slice wanted,
                                unsigned *matches)
{
    struct buf scratch = BUF_INIT(SESSION_BYTES);
    struct json found = {0}, key, row;
    struct json_iter it = {0};

    *matches = 0;
    while (json_next(rows, &it, &key, &row)) {
        struct slice id = json_text(json_get(row, "session"), &scratch);
        if (wanted.len ? !slice_starts(id, wanted) : slice_is(id, chat->session))
            continue;
        if ((*matches)++ == 0)
            found = row;
        if (!wanted.len)
            break;
    }
    buf_release(&scratch);
    return found;
}

static void replace(char **old, struct json value)
{
    struct buf text = BUF_INIT(1 << 20);

    json_string(value, &text);
    char *copy = mem_slicedup(buf_slice(&text));
    buf_release(&text);
    // Without memory the old value stays: the engine then says that the session is another's.
    if (copy) {
        mem_free(*old);
        *old = copy;
    }
}

static void slash_resume(struct chat *chat, struct slice wanted)
{
    struct answer answer;
    unsigned matches;

    if (list_sessions(chat, &answer) < 0)
        return;
    struct json row = find_session(chat, json_root(&answer.doc), wanted, &matches);
    if (matches == 1) {
        take_session(chat, json_get(row, "session"));
        replace(&chat->bot, json_get(row, "bot"));
        replace(&chat->context, json_get(row, "context"));
        int64_t turns = json_i64(json_get(row, "turns"), 0);
        outputf(&chat->cli->output, "Going on in %s, after %" PRId64 " turn%s.\n", chat->session,
                turns, turns == 1 ? "" : "s");
        look_again(chat);
    } else if (matches) {
        output_error(&chat->cli->output, "%u sessions begin with %.*s: write more of it", matches,
                     SLICE_FMT(wanted));
    } else if (wanted.len) {
        output_error(&chat->cli->output, "there is no session %.*s; /sessions lists them",
                     SLICE_FMT(wanted));
    } else {
        output_note(&chat->cli->output, "there is no other session");
    }
    cli_answer_free(&answer);
}

static void slash_here(struct chat *chat)
{
    struct answer answer;
    parley_scope scope;

    if (!has_session(chat))
        return;
    chat_scope(chat, &scope);
    scope.flags |= PARLEY_CONTINUE_HERE;
    if (cli_ask_engine(chat->cli, parley_resume, &scope, &answer) < 0)
        return;
    cli_answer_free(&answer);
    output_str(&chat->cli->output, "Going on here.\n");
    look_again(chat);
}

static int write_all(int fd, struct slice text)
{
    while (text.len) {
        ssize_t n = write(fd, text.ptr, text.len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        text.ptr += n;
        text.len -= (size_t)n;
    }
    return 0;
}

// A new file, whole or not at all: 0, or the negative errno.
static int write_file(const char *name, struct slice text)
{
    // Only for its owner: it is the conversation in plain.
    int fd = open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

    if (fd < 0)
        return -errno;
    int failed = write_all(fd, text);
    if (close(fd) < 0 && !failed)
        failed = -errno;
    if (failed)
        unlink(name);
    return failed;
}

static void slash_save(struct chat *chat, struct slice wanted)
{
    struct buf text = BUF_INIT(TRANSCRIPT_MAX);
    struct err err = ERR_INIT;
    struct answer answer;
    char name[NAME_MAX_BYTES];

    if (!has_session(chat) || show_session(chat, &answer) < 0)
        return;
    if (wanted.len)
        snprintf(name, sizeof name, "%.*s", SLICE_FMT(wanted));
    else
        snprintf(name, sizeof name, "parley-%.8s.txt", chat->session);
    transcript_write(&text, &answer.doc);
    if (buf_check(&text, "the transcript", &err) < 0) {
        cli_fail_err(chat->cli, &err);
    } else {
        int failed = write_file(name, buf_slice(&text));
        if (failed)
            output_error(&chat->cli->output, "cannot write %s: %s; /save FILE writes another", name,
                         strerror(-failed));
        else
            outputf(&chat->cli->output, "Saved as %s.\n", name);
    }
    buf_release(&text);
    cli_answer_free(&answer);
}

static void slash_policy(struct chat *chat)
{
    static const char *const members[] = {"bot", "title", "provider", "model", "session"};
    struct buf scratch = BUF_INIT(1 << 20);
    struct answer answer;

    if (chat_look(chat, &answer) < 0)
        return;
    for (size_t i = 0; i < sizeof members / sizeof *members; i++) {
        struct slice text = json_text(json_get(json_root(&answer.doc), members[i]), &scratch);
        outputf(&chat->cli->output, "  %-9s ", members[i]);
        output_text(&chat->cli->output, text);
        output_str(&chat->cli->output, "\n");
    }
    buf_release(&scratch);
    cli_answer_free(&answer);
}

static void run_slash(struct chat *chat, const struct slash *slash, struct slice argument)
{
    switch (slash->id) {
    case SLASH_HELP:
        slash_help(chat);
        break;
    case SLASH_RESET:
        slash_reset(chat);
        break;
    case SLASH_WHY:
        slash_why(chat, argument);
        break;
    case SLASH_MEMORY:
    case SLASH_FORGET:
        slash_memory(chat, argument, slash->id == SLASH_FORGET);
        break;
    case SLASH_PIN:
    case SLASH_UNPIN:
        slash_pin(chat, argument, slash->id == SLASH_UNPIN);
        break;
    case SLASH_CONSTRAINT:
    case SLASH_UNCONSTRAIN:
        slash_constraint(chat, argument, slash->id == SLASH_UNCONSTRAIN);
        break;
    case SLASH_REGENERATE:
        slash_regenerate(chat);
        break;
    case SLASH_EDIT:
        slash_edit(chat, argument);
        break;
    case SLASH_UNDO:
        slash_undo(chat);
        break;
    case SLASH_TOKENS:
        slash_tokens(chat);
        break;
    case SLASH_USAGE:
        slash_usage(chat);
        break;
    case SLASH_HISTORY:
        slash_history(chat);
        break;
    case SLASH_SESSIONS:
        slash_sessions(chat);
        break;
    case SLASH_RESUME:
        slash_resume(chat, argument);
        break;
    case SLASH_HERE:
        slash_here(chat);
        break;
    case SLASH_SAVE:
        slash_save(chat, argument);
        break;
    case SLASH_POLICY:
        slash_policy(chat);
        break;
    case SLASH_BYE:
        chat->leave = true;
        break;
    }
}

void chat_slash(struct chat *chat, struct slice line)
{
    struct err err = ERR_INIT;
    struct slice argument;
    const struct slash *slash = slash_find(line, &argument, &err);

    if (!slash) {
        cli_fail_err(chat->cli, &err);
        return;
    }
    // "/undo 3" is no /undo: nothing is done but what was meant.
    if (argument.len && !*slash->argument) {
        output_error(&chat->cli->output, "'%.*s' is too much: write %s", SLICE_FMT(argument),
                     slash->name);
        return;
    }
    run_slash(chat, slash, argument);
}
