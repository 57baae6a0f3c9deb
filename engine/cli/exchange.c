// SPDX-License-Identifier: MIT
// exchange.c: one turn on the terminal or in a pipe.
//
//            ACCEPTED, DELTA, WARNING            DONE
//   sent ──────────────────────────▶ streaming ────────▶ settled
//     │ ERROR                           │ 1st signal: stop, go on until DONE
//     └──────▶ refused                  │ 2nd signal: leave (the engine settles it on closing)
//
// Promises that everything of the reply that came is on standard output before an error is told.
#include "cli/cli.h"

#include <stdio.h>

struct watch {
    struct cli *cli;
    struct exchange *exchange;
    uint64_t request;
    bool streamed; // some of the reply is on standard output
};

static void print_line(struct output *o, struct buf *line)
{
    buf_add_char(line, '\n');
    output_bytes(o, buf_slice(line));
    output_flush(o);
}

// Why there is no whole reply.
static const char *why(const parley_event *event)
{
    return *event->text ? event->text : "the reply was lost on the way; what came is kept";
}

// One line about an event: as what it is, or a DONE without a whole reply as the error in it.
static void print_event(struct watch *w, parley_event_type as, const parley_event *event)
{
    struct buf line = BUF_INIT(JSON_BYTES_MAX);
    struct json_writer jw;
    struct slice json = slice_str(event->json);

    jw_init(&jw, &line);
    if (as == PARLEY_EVENT_DONE && json.len > 2) {
        // The same members as of `-o json`, with their event's name before them.
        buf_add_str(&line, "{\"event\":\"done\",");
        buf_add(&line, json.ptr + 1, json.len - 1);
    } else {
        jw_object(&jw);
        if (as == PARLEY_EVENT_ACCEPTED) {
            char turn[16];
            snprintf(turn, sizeof turn, "%u", (unsigned)event->turn);
            jw_kv_str(&jw, "event", "accepted");
            jw_kv_str(&jw, "session", event->session);
            jw_kv_str(&jw, "turn", turn);
        } else if (as == PARLEY_EVENT_MOVED) {
            jw_kv_str(&jw, "event", "moved");
            jw_kv_str(&jw, "session", event->session);
            jw_kv_str(&jw, "device", event->text);
        } else if (as == PARLEY_EVENT_DELTA) {
            jw_kv_str(&jw, "event", "delta");
            jw_kv_slice(&jw, "text", slice_of(event->text, event->text_bytes));
        } else {
            jw_kv_str(&jw, "event", "error");
            jw_kv_str(&jw, "code", parley_code_word(event->code));
            jw_kv_str(&jw, "message", why(event));
        }
        jw_object_end(&jw);
    }
    print_line(&w->cli->output, &line);
    buf_release(&line);
}

// Nothing was accepted: there is no turn, and why is all that there is to tell.
static void print_refusal(struct cli *cli, int code, const char *message)
{
    struct buf line = BUF_INIT(JSON_BYTES_MAX);
    struct json_writer jw;
    bool jsonl = cli->options.format == FORMAT_JSONL;

    if (!jsonl && cli->options.format != FORMAT_JSON)
        return;
    jw_init(&jw, &line);
    jw_object(&jw);
    if (jsonl) {
        jw_kv_str(&jw, "event", "error");
    } else {
        jw_key(&jw, "error");
        jw_object(&jw);
    }
    jw_kv_str(&jw, "code", parley_code_word(code));
    jw_kv_str(&jw, "message", message);
    if (!jsonl)
        jw_object_end(&jw);
    jw_object_end(&jw);
    print_line(&cli->output, &line);
    buf_release(&line);
}

// A reply that never came in pieces (a repeated key's, for one) is in DONE alone.
static void print_whole(struct watch *w, const parley_event *event)
{
    struct json_doc doc = JSON_DOC_INIT;
    struct buf scratch = BUF_INIT(JSON_BYTES_MAX);

    if (json_parse(&doc, slice_str(event->json), 0, NULL) == E_OK)
        output_text(&w->cli->output, json_text(json_get(json_root(&doc), "reply"), &scratch));
    buf_release(&scratch);
    json_doc_release(&doc);
}

// The session before was too old to go on: how this one began.
static void tell_beginning(struct watch *w, const parley_event *event)
{
    struct json_doc doc = JSON_DOC_INIT;
    struct buf greeting = BUF_INIT(1 << 16);

    if (json_parse(&doc, slice_str(event->json), 0, NULL) == E_OK) {
        struct json origin = json_get(json_root(&doc), "origin");

        json_string(json_get(json_root(&doc), "greeting"), &greeting);
        buf_add(&greeting, "", 1);
        if (json_type(origin) == JSON_STRING)
            output_note(&w->cli->output, "a new session%s%s%s",
                        json_is_string(origin, "primed") ? ", which knows how the last one ended"
                                                         : "",
                        greeting.len > 1 ? "; greeting: " : "",
                        greeting.ptr ? greeting.ptr : "");
    }
    buf_release(&greeting);
    json_doc_release(&doc);
}

void tell_moved(struct cli *cli, const parley_event *event)
{
    output_note(&cli->output, "this session goes on on %s%s; /here or --here takes it back",
                *event->text ? "device " : "a device without a name", event->text);
}

static void finish(struct watch *w, parley_event *event)
{
    struct cli *cli = w->cli;
    struct exchange *exchange = w->exchange;

    if (cli->options.format == FORMAT_TABLE) {
        if (!w->streamed)
            print_whole(w, event);
        output_end_line(&cli->output);
    } else if (cli->options.format == FORMAT_JSON) {
        output_line(&cli->output, event->json);
    }
    if (cli->options.format == FORMAT_TABLE)
        tell_beginning(w, event);
    output_flush(&cli->output);
    exchange->done = event;
    exchange->code = event->code;
    if (event->code < 0 && !exchange->signal)
        output_error(&cli->output, "%s", why(event));
}

// Whether the turn is over. Takes the event.
static bool handle(struct watch *w, parley_event *event)
{
    struct cli *cli = w->cli;
    bool jsonl = cli->options.format == FORMAT_JSONL;

    // What failed comes before the end that it led to: `done` is the last line of an accepted turn.
    if (jsonl && event->type == PARLEY_EVENT_DONE && event->code < 0)
        print_event(w, PARLEY_EVENT_ERROR, event);
    if (jsonl && event->type != PARLEY_EVENT_WARNING && event->type != PARLEY_EVENT_ERROR)
        print_event(w, event->type, event);
    if (*event->session)
        snprintf(w->exchange->session, SESSION_BYTES, "%s", event->session);
    switch (event->type) {
    case PARLEY_EVENT_DONE:
        finish(w, event);
        return true;
    case PARLEY_EVENT_ERROR:
        w->exchange->code = event->code;
        print_refusal(cli, event->code, why(event));
        output_error(&cli->output, "%s", event->text);
        parley_event_free(event);
        return true;
    case PARLEY_EVENT_DELTA:
        if (cli->options.format == FORMAT_TABLE)
            output_more(&cli->output, slice_of(event->text, event->text_bytes));
        w->streamed = true;
        break;
    case PARLEY_EVENT_WARNING:
        if (cli->output.terminal && !cli->output.quiet)
            output_end_line(&cli->output);
        output_flush(&cli->output);
        output_note(&cli->output, "%s", event->text);
        break;
    case PARLEY_EVENT_MOVED:
        if (cli->output.terminal && !cli->output.quiet)
            output_end_line(&cli->output);
        tell_moved(cli, event);
        break;
    case PARLEY_EVENT_ACCEPTED:
    case PARLEY_EVENT_RESULT:
    case PARLEY_EVENT_WATCHING:
    case PARLEY_EVENT_CHANGED:
        break;
    }
    parley_event_free(event);
    return false;
}

void exchange_run(struct cli *cli, const parley_message *message, struct exchange *exchange)
{
    struct watch w = {.cli = cli, .exchange = exchange};
    parley_error error = PARLEY_ERROR_INIT;
    bool over = false;

    *exchange = (struct exchange){0};
    exchange->code = parley_send(cli->engine, message, &w.request, &error);
    if (exchange->code < 0) {
        print_refusal(cli, error.code, error.message);
        cli_fail(cli, &error);
        return;
    }
    while (!over) {
        parley_event *event = NULL;
        int signal_number = cli_wait(cli, &event);
        if (signal_number && exchange->signal) {
            exchange->impatient = true;
            exchange->code = PARLEY_E_CANCELLED;
            output_end_line(&cli->output);
            return;
        }
        if (signal_number) {
            exchange->signal = signal_number;
            // The terminal has echoed the key.
            cli->output.line_open = cli->output.line_open || cli->output.terminal;
            parley_stop(cli->engine, w.request);
        } else if (event->request == w.request) {
            over = handle(&w, event);
        } else {
            parley_event_free(event);
        }
    }
}

void exchange_release(struct exchange *exchange)
{
    parley_event_free(exchange->done);
    exchange->done = NULL;
}
