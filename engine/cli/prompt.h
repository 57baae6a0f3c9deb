// SPDX-License-Identifier: MIT
// prompt.h: what the person says next: a line, or several between """ and """.
//
// On a terminal with a prompt and editing, off one line by line without. One thread.
#ifndef CLI_PROMPT_H
#define CLI_PROMPT_H

#include "cli/editline.h"
#include "cli/input.h"

struct prompt {
    struct cli *cli;
    struct editor *editor; // NULL: lines come from `input`
    struct input input;
    bool interactive;  // a person sees what we print and types the answer
    struct buf text;   // the message
    int signal_number; // after E_CANCELLED: which
};

void prompt_init(struct prompt *p, struct cli *cli);
void prompt_release(struct prompt *p);
// 1: *text, borrowed until the next call; 0: the end; E_CANCELLED: a signal; E_REFUSED: a message
// that is too long was reported and dropped, and the next may be read; else reported.
int prompt_read(struct prompt *p, const char *prompt, struct slice *text);

enum { PROMPT_BYTES_MAX = 64 };
// "you [1.2k 3%]> "; tokens below 0: "you> ".
void prompt_format(char out[PROMPT_BYTES_MAX], long long tokens, int percent);

#endif
