// SPDX-License-Identifier: MIT
// input.c: reads in large pieces, hands out lines.
#include "cli/input.h"

#include <errno.h>
#include <poll.h>
#include <unistd.h>

enum { PIECE_BYTES = 64 << 10 };

void input_init(struct input *in, int fd, int signals)
{
    *in = (struct input){.fd = fd, .signals = signals, .bytes = BUF_INIT(INPUT_LINE_MAX)};
}

void input_release(struct input *in)
{
    buf_release(&in->bytes);
}

// Waits until fd may be read. A signal goes first.
static int wait_readable(const struct input *in, struct err *err)
{
    struct pollfd fds[] = {{.fd = in->signals, .events = POLLIN}, {.fd = in->fd, .events = POLLIN}};

    while (poll(fds, 2, -1) < 0)
        if (errno != EINTR)
            return err_set(err, E_USAGE, "cannot wait for input: %s", strerror(errno));
    return fds[0].revents ? err_set(err, E_CANCELLED, "interrupted") : E_OK;
}

static int read_piece(struct input *in, struct err *err)
{
    buf_consume(&in->bytes, in->at);
    in->at = 0;
    int code = wait_readable(in, err);
    if (code < 0)
        return code;
    char *room = buf_reserve(&in->bytes, PIECE_BYTES);
    if (!room) {
        if (in->bytes.no_memory)
            return err_set(err, E_NOMEM, "out of memory while reading input");
        return err_set(err, E_USAGE, "a line of the input is over %d MiB", INPUT_LINE_MAX >> 20);
    }
    ssize_t n = read(in->fd, room, PIECE_BYTES);
    if (n < 0 && errno != EINTR)
        return err_set(err, E_USAGE, "cannot read the input: %s", strerror(errno));
    in->ended = n == 0;
    buf_grew(&in->bytes, n > 0 ? (size_t)n : 0);
    return E_OK;
}

int input_line(struct input *in, struct slice *line, struct err *err)
{
    size_t looked = 0;

    for (;;) {
        size_t left = in->bytes.len - in->at;
        char *start = left ? in->bytes.ptr + in->at : NULL;
        char *end = left > looked ? memchr(start + looked, '\n', left - looked) : NULL;
        if (end || (in->ended && left)) {
            *line = slice_of(start, end ? (size_t)(end - start) : left);
            in->at += line->len + (end != NULL);
            return 1;
        }
        if (in->ended)
            return 0;
        looked = left;
        int code = read_piece(in, err);
        if (code < 0)
            return code;
    }
}

int input_all(struct input *in, struct buf *out, size_t max, struct err *err)
{
    while (!in->ended && out->len <= max) {
        int code = read_piece(in, err);
        if (code < 0)
            return code;
        size_t room = max + 1 - out->len;
        buf_add(out, in->bytes.ptr, in->bytes.len < room ? in->bytes.len : room);
        in->at = in->bytes.len;
    }
    return buf_check(out, "standard input", err);
}
