// SPDX-License-Identifier: MIT
// log.c: one event, one line. Invariant: a sink never gets a control character, so no value can
// end its line and forge the next. Nothing here allocates or locks; any thread.
#include "base/log.h"

#include "base/utf8.h"

#include <stdarg.h>
#include <stdio.h>

enum { LINE_BYTES_MAX = 1024, CHARACTER_BYTES_MAX = 4 };

void log_line(const struct log *log, enum log_level level, const char *fmt, ...)
{
    // Room for one character more than a line may have: utf8_cut wants to see what it cuts.
    char line[LINE_BYTES_MAX + CHARACTER_BYTES_MAX + 1];
    va_list ap;

    if (!log || level < log->min_level)
        return;
    va_start(ap, fmt);
    int n = vsnprintf(line, sizeof(line), fmt, ap);
    va_end(ap);
    size_t len = n < 0 ? 0 : (size_t)n < sizeof(line) ? (size_t)n : sizeof(line) - 1;
    line[utf8_cut(slice_of(line, len), LINE_BYTES_MAX)] = '\0';
    for (char *c = line; *c; c++) {
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            *c = ' ';
    }
    log->sink(log->user, level, line);
}

const char *log_level_word(enum log_level level)
{
    static const char *const words[] = {"debug", "info", "warn", "error"};

    return level >= LOG_DEBUG && level <= LOG_ERROR ? words[level] : "unknown";
}
