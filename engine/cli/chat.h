// SPDX-License-Identifier: MIT
// chat.h: a conversation under way, shared by chat.c and chat_slash.c.
#ifndef CLI_CHAT_H
#define CLI_CHAT_H

#include "base/mem.h"
#include "cli/cli.h"
#include "cli/prompt.h"

enum { DEVICE_NAME_BYTES = 64 };

struct chat {
    struct cli *cli;
    struct prompt prompt;
    char session[SESSION_BYTES]; // "": the engine chooses
    char *bot, *context;         // owned; NULL: the default
    char device[DEVICE_NAME_BYTES]; // the terminal's name, where --device gives none
    char watched[SESSION_BYTES]; // the session whose moving to another device is listened for
    uint64_t watch;              // the request that does; 0: it moves to none
    char *greeting;              // what the policy said first; owned; NULL or "": nothing
    int64_t tokens, limit;       // the window's, as last heard; tokens -1: not heard yet
    int percent;
    int code;  // how the last turn went; of a script, its first failure
    bool said; // a message was sent
    bool leave;
};

void chat_scope(const struct chat *chat, parley_scope *scope);
void chat_set_window(struct chat *chat, struct json window);
// Asks where the next message would go, and hears of the window. The answer is the caller's.
int chat_look(struct chat *chat, struct answer *answer);
// One turn: a message, or with PARLEY_REGENERATE another answer; `edit_turn` as in parley_message.
void chat_say(struct chat *chat, struct slice text, unsigned flags, uint32_t edit_turn);
// One slash command.
void chat_slash(struct chat *chat, struct slice line);

#endif
