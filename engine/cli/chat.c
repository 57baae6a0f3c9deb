// SPDX-License-Identifier: MIT
// chat.c: `parley chat`: a conversation in the terminal, or from a script on standard input.
//
//            line                 message               DONE
//   prompt ─────────▶ slash? ─no──────────▶ replying ─────────▶ prompt
//     │ end, /bye       │ yes: answered, ▶ prompt     │ interrupt: stop, then as DONE
//     └──▶ leave                                      └ twice, or terminate: leave
//
// Invariant: `session` is the session that the next message goes to; while it is empty the engine
// makes a new one.
#include "cli/chat.h"

#include <signal.h>
#include <stdio.h>
#include <unistd.h>

static bool is_interrupt(int signal_number)
{
    return signal_number == SIGINT;
}

void chat_scope(const struct chat *chat, parley_scope *scope)
{
    cli_scope(chat->cli, scope);
    scope->bot = chat->bot;
    scope->context = chat->context;
    if (*chat->session) {
        scope->session = chat->session;
        scope->flags &= ~(unsigned)PARLEY_CONTINUE;
    }
}

void chat_set_window(struct chat *chat, struct json window)
{
    if (json_type(window) != JSON_OBJECT)
        return;
    chat->tokens = json_i64(json_get(window, "tokens"), -1);
    chat->limit = json_i64(json_get(window, "limit"), 0);
    chat->percent = (int)(json_double(json_get(window, "percent"), 0) + 0.5);
}

int chat_look(struct chat *chat, struct answer *answer)
{
    parley_scope scope;

    chat_scope(chat, &scope);
    int code = cli_ask_engine(chat->cli, parley_session, &scope, answer);
    if (code == PARLEY_OK)
        chat_set_window(chat, json_get(json_root(&answer->doc), "window"));
    return code;
}

static void greet(struct chat *chat, struct json root)
{
    struct output *o = &chat->cli->output;
    struct buf text = BUF_INIT(4096);
    int64_t turns = json_i64(json_get(root, "turns"), 0);

    json_string(json_get(root, "title"), &text);
    buf_add_str(&text, " · ");
    json_string(json_get(root, "provider"), &text);
    buf_add_str(&text, "/");
    json_string(json_get(root, "model"), &text);
    if (turns)
        buf_addf(&text, " · going on after %lld turn%s", (long long)turns,
                 turns == 1 ? "" : "s");
    buf_add_str(&text, " · /help lists commands\n");
    if (json_is_string(json_get(root, "provider"), "scripted"))
        buf_add_str(&text, "Offline: the replies come from a script, not from a language model.\n");
    if (json_bool(json_get(root, "held"), false)) {
        buf_add_str(&text, "In use on another device");
        if (json_type(json_get(root, "device")) == JSON_STRING) {
            buf_add_str(&text, ", ");
            json_string(json_get(root, "device"), &text);
        }
        buf_add_str(&text, ": /here goes on here.\n");
    }
    output_style(o, STYLE_DIM);
    output_text(o, buf_slice(&text));
    output_style(o, STYLE_PLAIN);
    buf_release(&text);
}

// With -c the session is chosen as the policy's `resume` says, before anything is said in it.
static int come_back(struct chat *chat)
{
    struct output *o = &chat->cli->output;
    struct buf text = BUF_INIT(SESSION_BYTES), greeting = BUF_INIT(1 << 16);
    struct answer answer;
    parley_scope scope;

    chat_scope(chat, &scope);
    if (!(scope.flags & PARLEY_CONTINUE))
        return PARLEY_OK;
    int code = cli_ask_engine(chat->cli, parley_resume, &scope, &answer);
    if (code < 0)
        return code;
    struct json root = json_root(&answer.doc);
    if (json_string(json_get(root, "session"), &text) && buf_ok(&text))
        snprintf(chat->session, sizeof chat->session, "%s", text.ptr ? text.ptr : "");
    bool primed = json_is_string(json_get(root, "resumed"), "primed");
    bool offered = json_is_string(json_get(root, "resumed"), "offered");
    if (primed || offered || json_is_string(json_get(root, "resumed"), "fresh"))
        output_note(o, "a new session%s; /resume goes back to the old one",
                    primed ? ", which knows how the last one ended" : "");
    json_string(json_get(root, "greeting"), &greeting);
    chat->greeting = buf_take(&greeting, NULL);
    buf_release(&text);
    cli_answer_free(&answer);
    return PARLEY_OK;
}

static int start(struct chat *chat)
{
    struct answer answer;

    int code = cli_open(chat->cli);
    if (code == PARLEY_OK)
        code = come_back(chat);
    if (code == PARLEY_OK)
        code = chat_look(chat, &answer);
    if (code < 0)
        return code;
    if (chat->prompt.interactive && !chat->cli->output.quiet)
        greet(chat, json_root(&answer.doc));
    cli_answer_free(&answer);
    if (chat->greeting && *chat->greeting) {
        output_text(&chat->cli->output, slice_str(chat->greeting));
        output_end_line(&chat->cli->output);
    }
    return PARLEY_OK;
}

static void read_done(struct chat *chat, const parley_event *done)
{
    struct json_doc doc = JSON_DOC_INIT;

    if (json_parse(&doc, slice_str(done->json), 0, NULL) == E_OK)
        chat_set_window(chat, json_get(json_root(&doc), "window"));
    json_doc_release(&doc);
}

// A script learns only at the end whether something failed: its first failure stays.
static void keep_code(struct chat *chat, int code)
{
    if (chat->prompt.interactive || chat->code >= 0)
        chat->code = code;
}

// A signal came while an answer was awaited. A key of a person at a terminal ends only the waiting.
static void take_signal(struct chat *chat, int signal_number, bool impatient, const char *note)
{
    chat->leave = impatient || !is_interrupt(signal_number) || !chat->prompt.interactive;
    chat->code = chat->leave ? PARLEY_E_CANCELLED : PARLEY_OK;
    if (!chat->leave)
        output_note(&chat->cli->output, "%s", note);
}

void chat_say(struct chat *chat, struct slice text, unsigned flags, uint32_t edit_turn)
{
    const struct options *o = &chat->cli->options;
    parley_message message;
    struct exchange exchange;

    cli_message(chat->cli, &message);
    message.bot = chat->bot;
    message.context = chat->context;
    if (*chat->session) {
        message.session = chat->session;
        message.flags &= ~(unsigned)PARLEY_CONTINUE;
    }
    message.flags |= flags;
    message.edit_turn = edit_turn;
    // A key names one message: the first.
    message.key = chat->said ? NULL : o->value[FLAG_KEY];
    message.text = text.ptr;
    message.text_bytes = text.len;
    exchange_run(chat->cli, &message, &exchange);
    chat->said = true;
    if (*exchange.session)
        memcpy(chat->session, exchange.session, sizeof chat->session);
    if (exchange.done)
        read_done(chat, exchange.done);
    keep_code(chat, exchange.code);
    if (exchange.done)  // from now on it is this device's as long as no other one takes it
        chat->cli->options.value[FLAG_HERE] = NULL;
    if (exchange.signal)
        take_signal(chat, exchange.signal, exchange.impatient, "stopped; what came is kept");
    exchange_release(&exchange);
}

static void slash(struct chat *chat, struct slice text)
{
    chat->cli->signal = 0;
    chat_slash(chat, text);
    if (chat->cli->signal)
        take_signal(chat, chat->cli->signal, false, "stopped");
}

static void handle(struct chat *chat, struct slice text)
{
    if (slice_is(text, "exit") || slice_is(text, "quit") || slice_is(text, "/exit") ||
        slice_is(text, "/quit"))
        chat->leave = true;
    else if (text.len && *text.ptr == '/')
        slash(chat, text);
    else if (text.len)
        chat_say(chat, text, 0, 0);
}

// ---- while the prompt waits

// The session went to another device. Whether anything was printed.
static bool heard(void *user)
{
    struct chat *chat = user;
    struct output *o = &chat->cli->output;
    parley_event *event = NULL;
    bool moved = false;

    while (parley_poll(chat->cli->engine, &event) > 0) {
        if (event->request == chat->watch && event->type == PARLEY_EVENT_MOVED) {
            if (!moved)
                output_str(o, "\n");  // below the line that is being written
            output_flush(o);
            moved = true;
            tell_moved(chat->cli, event);
        }
        parley_event_free(event);
    }
    return moved;
}

static void stop_watch(struct chat *chat)
{
    if (chat->watch)
        parley_stop(chat->cli->engine, chat->watch);
    chat->watch = 0;
}

// Where the policy has one device at a time, a person at the prompt hears that another one took the
// session: it is watched from now on. Once for each session: what fails here is told by the next
// message.
static void listen(struct chat *chat)
{
    struct answer answer;
    parley_scope scope;

    if (!chat->prompt.editor || !*chat->session || strcmp(chat->watched, chat->session) == 0)
        return;
    stop_watch(chat);
    memcpy(chat->watched, chat->session, sizeof chat->watched);
    if (chat_look(chat, &answer) < 0)
        return;
    bool leased = json_type(json_get(json_root(&answer.doc), "since")) == JSON_STRING;
    cli_answer_free(&answer);
    if (!leased)
        return;
    chat_scope(chat, &scope);
    scope.flags &= ~(unsigned)(PARLEY_CONTINUE | PARLEY_CONTINUE_HERE);
    if (parley_watch(chat->cli->engine, &scope, &chat->watch, NULL) < 0)
        chat->watch = 0;
    editor_listen(chat->prompt.editor, parley_wakeup_fd(chat->cli->engine), heard, chat);
}

static void talk(struct chat *chat)
{
    char prompt[PROMPT_BYTES_MAX];
    struct slice text;

    while (!chat->leave) {
        listen(chat);
        prompt_format(prompt, chat->tokens, chat->percent);
        int code = prompt_read(&chat->prompt, prompt, &text);
        if (code == 1) {
            handle(chat, text);
            continue;
        }
        if (code == E_REFUSED) { // too long; the engine's word for that is wrong usage
            keep_code(chat, PARLEY_E_USAGE);
            continue;
        }
        if (chat->prompt.interactive)
            output_str(&chat->cli->output, "\n");
        if (code == E_CANCELLED && chat->prompt.interactive &&
            is_interrupt(chat->prompt.signal_number)) {
            output_note(&chat->cli->output, "Ctrl-D or /bye leaves");
            continue;
        }
        chat->leave = true;
        chat->code = code < 0 ? code : chat->code;
    }
}

// A copy, as slash commands may put another in its place.
static int take_option(struct cli *cli, enum flag_id flag, char **out)
{
    const char *value = cli->options.value[flag];
    struct err err = ERR_INIT;

    *out = value ? mem_strdup(value) : NULL;
    if (!value || *out)
        return PARLEY_OK;
    err_set(&err, E_NOMEM, "out of memory");
    return cli_fail_err(cli, &err);
}

// Two terminals are two devices, unless the person says which they are.
static void name_device(struct chat *chat)
{
    struct options *o = &chat->cli->options;
    const char *name = chat->prompt.interactive ? ttyname(STDIN_FILENO) : NULL;

    if (o->value[FLAG_DEVICE] || !name)
        return;
    if (strncmp(name, "/dev/", 5) == 0)
        name += 5;
    if (strlen("terminal ") + strlen(name) >= sizeof chat->device)
        return;
    snprintf(chat->device, sizeof chat->device, "terminal %s", name);
    o->value[FLAG_DEVICE] = chat->device;
}

int command_chat(struct cli *cli)
{
    struct chat chat = {.cli = cli, .tokens = -1};

    prompt_init(&chat.prompt, cli);
    name_device(&chat);
    int code = take_option(cli, FLAG_BOT, &chat.bot);
    if (code == PARLEY_OK)
        code = take_option(cli, FLAG_CONTEXT, &chat.context);
    if (code == PARLEY_OK)
        code = start(&chat);
    if (code == PARLEY_OK) {
        talk(&chat);
        stop_watch(&chat);
        // A person has seen what went wrong; a script has only the exit status.
        code = chat.prompt.interactive && chat.code != PARLEY_E_CANCELLED ? PARLEY_OK : chat.code;
    }
    prompt_release(&chat.prompt);
    mem_free(chat.bot);
    mem_free(chat.context);
    mem_free(chat.greeting);
    return code;
}
