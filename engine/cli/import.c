// SPDX-License-Identifier: MIT
// import.c: `parley import`: a file of recorded conversations, a JSON object a line.
//
// The file is streamed. Up to IN_FLIGHT lines are with the engine at a time, so that its commits
// can be grouped; answers come in any order. A user's conversations go one after the other, so that
// they are as old to each other in the store as in the file. A line that is refused is named by its
// number and the rest goes on; a store that fails ends it, for every later line would fail the same
// way.
#include "base/mem.h"
#include "cli/cli.h"
#include "cli/input.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

enum { IN_FLIGHT = 64 };

struct flight {
    uint64_t request; // 0: free
    uint64_t line;
    char *user; // owned
};

struct import {
    struct cli *cli;
    struct input input;
    struct json_doc doc; // of the line that was read last
    struct flight flights[IN_FLIGHT];
    size_t flying;
    uint64_t line; // the number of the line that was read last
    bool over;     // nothing more is read
    int code;      // what ended it early, else E_OK
    int64_t sessions, turns, failed;
};

static void line_failed(struct import *im, uint64_t line, int code, const char *message)
{
    output_error(&im->cli->output, "line %" PRIu64 ": %s", line, message);
    im->failed++;
    if (code == PARLEY_E_STORE || code == PARLEY_E_CORRUPT || code == PARLEY_E_NOMEM) {
        im->over = true;
        im->code = code;
    }
}

static struct flight *find_flight(struct import *im, uint64_t request)
{
    for (size_t i = 0; i < IN_FLIGHT; i++)
        if (im->flights[i].request == request)
            return &im->flights[i];
    return NULL;
}

static void count(struct import *im, const char *json)
{
    struct json_doc doc = JSON_DOC_INIT;

    if (json_parse(&doc, slice_str(json), 0, NULL) == E_OK)
        im->turns += json_i64(json_get(json_root(&doc), "turns"), 0);
    json_doc_release(&doc);
    im->sessions++;
}

// One answer. A signal ends the reading, a second one the waiting.
static void wait_one(struct import *im)
{
    parley_event *event = NULL;

    if (cli_wait(im->cli, &event)) {
        if (im->code == PARLEY_E_CANCELLED)
            im->flying = 0;
        im->over = true;
        im->code = PARLEY_E_CANCELLED;
        return;
    }
    struct flight *flight = event->request ? find_flight(im, event->request) : NULL;
    if (flight) {
        if (event->type == PARLEY_EVENT_RESULT)
            count(im, event->json);
        else
            line_failed(im, flight->line, event->code, event->text);
        mem_free(flight->user);
        *flight = (struct flight){0};
        im->flying--;
    }
    parley_event_free(event);
}

static bool user_flies(const struct import *im, const char *user)
{
    for (size_t i = 0; i < IN_FLIGHT; i++)
        if (im->flights[i].request && strcmp(im->flights[i].user, user) == 0)
            return true;
    return false;
}

// Whose line it is; "" for one that the engine will refuse anyway. NULL: out of memory.
static char *user_of(struct import *im, struct slice line)
{
    struct buf user = BUF_INIT(INPUT_LINE_MAX);
    char *copy = NULL;

    if (json_parse(&im->doc, line, 0, NULL) == E_OK)
        json_string(json_get(json_root(&im->doc), "user"), &user);
    if (buf_ok(&user))
        copy = mem_slicedup(buf_slice(&user));
    buf_release(&user);
    return copy;
}

static int send_for(struct import *im, struct slice line, char *user)
{
    parley_error error = PARLEY_ERROR_INIT;
    struct flight flight = {.line = im->line, .user = user};
    int code;

    while (user_flies(im, user) && !im->over)
        wait_one(im);
    if (im->over)
        return PARLEY_E_CANCELLED;
    while ((code = parley_import(im->cli->engine, line.ptr, line.len, &flight.request, &error)) ==
               PARLEY_E_BUSY &&
           im->flying)
        wait_one(im);
    if (code < 0) {
        line_failed(im, im->line, code, error.message);
        return code;
    }
    struct flight *place = find_flight(im, 0);
    if (!place)
        BUG("%zu lines in flight", im->flying);
    *place = flight;
    im->flying++;
    return E_OK;
}

static void send_line(struct import *im, struct slice line)
{
    char *user = user_of(im, line);

    if (!user)
        line_failed(im, im->line, PARLEY_E_NOMEM, "out of memory");
    else if (send_for(im, line, user) < 0)
        mem_free(user);
}

static bool is_blank(struct slice line)
{
    for (size_t i = 0; i < line.len; i++)
        if (!memchr(" \t\r", line.ptr[i], 3))
            return false;
    return true;
}

static void read_next(struct import *im)
{
    struct err err = ERR_INIT;
    struct slice line;
    int code = input_line(&im->input, &line, &err);

    if (code == 1) {
        im->line++;
        if (!is_blank(line))
            send_line(im, line);
        return;
    }
    if (code == E_CANCELLED && !cli_take_signal(im->cli))
        return;
    im->over = true;
    im->code = code;
    if (code < 0) {
        err_prefix(&err, "%s: ", im->cli->options.words[0]);
        cli_fail_err(im->cli, &err);
    }
}

static void print_counts(struct import *im)
{
    const char *form =
        im->cli->options.format == FORMAT_JSON
            ? "{\"sessions\":%" PRId64 ",\"turns\":%" PRId64 ",\"failed\":%" PRId64 "}\n"
            : "sessions: %" PRId64 ", turns: %" PRId64 ", lines failed: %" PRId64 "\n";

    outputf(&im->cli->output, form, im->sessions, im->turns, im->failed);
}

static void import_release(struct import *im)
{
    for (size_t i = 0; i < IN_FLIGHT; i++)
        mem_free(im->flights[i].user);
    json_doc_release(&im->doc);
    input_release(&im->input);
}

int command_import(struct cli *cli)
{
    struct import im = {.cli = cli};
    const char *name = cli->options.words[0];
    bool from_stdin = strcmp(name, "-") == 0;

    int fd = from_stdin ? STDIN_FILENO : open(name, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        output_error(&cli->output, "cannot read %s: %s", name, strerror(errno));
        return PARLEY_E_USAGE;
    }
    int code = cli_open(cli);
    if (code == PARLEY_OK) {
        input_init(&im.input, fd, cli->signals);
        while (!im.over || im.flying) {
            if (!im.over && im.flying < IN_FLIGHT)
                read_next(&im);
            else
                wait_one(&im);
        }
        import_release(&im);
        print_counts(&im);
        code = im.code < 0 ? im.code : im.failed ? PARLEY_E_USAGE : PARLEY_OK;
    }
    if (!from_stdin)
        close(fd);
    return code;
}
