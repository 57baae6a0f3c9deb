// SPDX-License-Identifier: MIT
// log.h: what operators read. One line an event, "key=value" fields, never message text or secrets.
//
// A log is made by whoever builds an engine and handed down; there is no global one. Any thread.
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdbool.h>

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };

struct log {
    // Called with one finished line without newline, from any thread.
    void (*sink)(void *user, enum log_level level, const char *line);
    void *user;
    enum log_level min_level;
};

// log may be NULL (nothing happens). Lines over 1 KiB are cut.
void log_line(const struct log *log, enum log_level level, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
// "debug" "info" "warn" "error".
const char *log_level_word(enum log_level level);

#endif
