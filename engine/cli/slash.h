// SPDX-License-Identifier: MIT
// slash.h: the commands inside a chat, as one table: dispatch, completion, /help and the manual
// page read it. Pure.
#ifndef CLI_SLASH_H
#define CLI_SLASH_H

#include "base/err.h"
#include "base/slice.h"

enum slash_id {
    SLASH_HELP,
    SLASH_RESET,
    SLASH_UNDO,
    SLASH_WHY,
    SLASH_MEMORY,
    SLASH_FORGET,
    SLASH_REGENERATE,
    SLASH_EDIT,
    SLASH_PIN,
    SLASH_UNPIN,
    SLASH_CONSTRAINT,
    SLASH_UNCONSTRAIN,
    SLASH_TOKENS,
    SLASH_USAGE,
    SLASH_HISTORY,
    SLASH_SESSIONS,
    SLASH_RESUME,
    SLASH_HERE,
    SLASH_SAVE,
    SLASH_POLICY,
    SLASH_BYE,
};

struct slash {
    const char *name; // with its slash; NULL ends the table
    enum slash_id id;
    const char *argument; // "" for none
    const char *help;
};

extern const struct slash slash_table[];

// The command that a line begins with; *argument is the rest without the blanks around it. NULL,
// with the nearest name in the message, when there is none of that name.
const struct slash *slash_find(struct slice line, struct slice *argument, struct err *err);
// The i-th name, NULL after the last; for completion.
const char *slash_name(size_t i);

#endif
