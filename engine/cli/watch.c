// SPDX-License-Identifier: MIT
// watch.c: `parley watch`: a session as it goes on, wherever somebody talks in it: each turn once,
// its reply as it is written by this program, and when it is whole where another one asks.
//
//   WATCHING ─▶ ( ACCEPTED ─▶ DELTA … ─▶ DONE | CHANGED | MOVED ) … until a signal
#include "cli/cli.h"

#include <stdio.h>

struct view {
    struct cli *cli;
    uint64_t request;
    bool stopped;  // a signal came: what comes is the end
};

// ---- lines of JSON

static const char *event_word(parley_event_type type)
{
    switch (type) {
    case PARLEY_EVENT_ACCEPTED:
        return "accepted";
    case PARLEY_EVENT_DELTA:
        return "delta";
    case PARLEY_EVENT_DONE:
        return "done";
    case PARLEY_EVENT_MOVED:
        return "moved";
    case PARLEY_EVENT_WATCHING:
        return "watching";
    case PARLEY_EVENT_CHANGED:
        return "changed";
    case PARLEY_EVENT_WARNING:
    case PARLEY_EVENT_RESULT:
    case PARLEY_EVENT_ERROR:
        break;
    }
    return NULL;
}

static void print_members(struct json_writer *w, const parley_event *event)
{
    char turn[16];

    jw_kv_str(w, "event", event_word(event->type));
    jw_kv_str(w, "session", event->session);
    snprintf(turn, sizeof turn, "%u", (unsigned)event->turn);
    if (event->type == PARLEY_EVENT_MOVED)
        jw_kv_str(w, "device", event->text);
    else if (event->type != PARLEY_EVENT_CHANGED)
        jw_kv_str(w, "turn", turn);
    if (event->type == PARLEY_EVENT_ACCEPTED || event->type == PARLEY_EVENT_DELTA)
        jw_kv_slice(w, "text", slice_of(event->text, event->text_bytes));
}

// DONE has the members that it has of `ask -o jsonl`.
static void print_json(struct cli *cli, const parley_event *event)
{
    struct buf line = BUF_INIT(JSON_BYTES_MAX);
    struct slice json = slice_str(event->json);
    struct json_writer w;

    if (event->type == PARLEY_EVENT_DONE && json.len > 2) {
        buf_add_str(&line, "{\"event\":\"done\",");
        buf_add(&line, json.ptr + 1, json.len - 1);
    } else {
        jw_init(&w, &line);
        jw_object(&w);
        print_members(&w, event);
        jw_object_end(&w);
    }
    buf_add_char(&line, '\n');
    output_bytes(&cli->output, buf_slice(&line));
    buf_release(&line);
}

// ---- for people

static void print_said(struct output *o, const parley_event *event)
{
    output_end_line(o);
    outputf(o, "\n[%u]\nuser: ", (unsigned)event->turn);
    output_text(o, slice_of(event->text, event->text_bytes));
    output_str(o, "\nassistant: ");
}

static void print_text(struct cli *cli, const parley_event *event)
{
    struct output *o = &cli->output;

    switch (event->type) {
    case PARLEY_EVENT_WATCHING:
        output_note(o, "watching session %s from turn %u on; Ctrl-C leaves", event->session,
                    (unsigned)event->turn + 1);
        break;
    case PARLEY_EVENT_ACCEPTED:
        print_said(o, event);
        break;
    case PARLEY_EVENT_DELTA:
        output_more(o, slice_of(event->text, event->text_bytes));
        break;
    case PARLEY_EVENT_DONE:
        output_end_line(o);
        if (event->code < 0)
            output_note(o, "turn %u has no whole reply: %s", (unsigned)event->turn,
                        *event->text ? event->text : "it was lost on the way");
        break;
    case PARLEY_EVENT_MOVED:
        output_end_line(o);
        output_note(o, "the session goes on on %s%s",
                    *event->text ? "device " : "a device without a name", event->text);
        break;
    case PARLEY_EVENT_CHANGED:
        output_end_line(o);
        output_note(o, "a turn was taken back or replaced: `parley show %.8s` tells what is so now",
                    event->session);
        break;
    case PARLEY_EVENT_WARNING:
    case PARLEY_EVENT_RESULT:
    case PARLEY_EVENT_ERROR:
        break;
    }
}

// ---- what comes

// Whether it is over; *code is then how it ended. Borrows the event.
static bool take(struct view *v, const parley_event *event, int *code)
{
    struct cli *cli = v->cli;

    if (event->request != v->request)
        return false;
    if (event->type == PARLEY_EVENT_ERROR) {
        *code = event->code;
        if (!v->stopped)
            output_error(&cli->output, "%s", event->text);
        return true;
    }
    if (event->type == PARLEY_EVENT_WARNING)
        output_note(&cli->output, "%s", event->text);
    else if (cli->options.format == FORMAT_TABLE)
        print_text(cli, event);
    else
        print_json(cli, event);
    output_flush(&cli->output);
    return false;
}

static int follow(struct view *v)
{
    int code = PARLEY_OK;

    for (bool over = false; !over;) {
        parley_event *event = NULL;
        int signal_number = cli_wait(v->cli, &event);
        if (signal_number && v->stopped)
            return PARLEY_E_CANCELLED;
        if (signal_number) {
            v->stopped = true;
            parley_stop(v->cli->engine, v->request);
            continue;
        }
        over = take(v, event, &code);
        parley_event_free(event);
    }
    output_end_line(&v->cli->output);
    return code;
}

int command_watch(struct cli *cli)
{
    const struct options *o = &cli->options;
    parley_error error = PARLEY_ERROR_INIT;
    struct view view = {.cli = cli};
    parley_scope scope;

    cli_scope(cli, &scope);
    if (o->n_words)
        scope.session = o->words[0];
    if (!scope.session && !(scope.flags & PARLEY_CONTINUE)) {
        output_error(&cli->output,
                     "which session? write parley watch SESSION (`parley sessions` lists them), "
                     "or parley watch -c for the newest");
        return PARLEY_E_USAGE;
    }
    int code = cli_open(cli);
    if (code < 0)
        return code;
    code = parley_watch(cli->engine, &scope, &view.request, &error);
    return code < 0 ? cli_fail(cli, &error) : follow(&view);
}
