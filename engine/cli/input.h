// SPDX-License-Identifier: MIT
// input.h: reading lines or all of a descriptor, while a signal may come.
//
// One thread.
#ifndef CLI_INPUT_H
#define CLI_INPUT_H

#include "base/buf.h"
#include "base/err.h"

#include <stdbool.h>

struct input {
    int fd;      // borrowed
    int signals; // a signalfd whose readability ends the wait; borrowed
    struct buf bytes;
    size_t at; // what of bytes was handed out
    bool ended;
};

enum { INPUT_LINE_MAX = 16 << 20 }; // what the engine takes

void input_init(struct input *in, int fd, int signals);
void input_release(struct input *in);
// 1: *line, without its newline, borrowed until the next call; 0: the end; E_CANCELLED: a signal is
// there; E_USAGE: a line over INPUT_LINE_MAX or an unreadable descriptor; E_NOMEM.
int input_line(struct input *in, struct slice *line, struct err *err);
// Appends everything up to the end, at most `max` bytes and one more. E_OK or as input_line.
int input_all(struct input *in, struct buf *out, size_t max, struct err *err);

#endif
