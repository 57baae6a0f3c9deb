// SPDX-License-Identifier: MIT
// editline.h: editing a line on a terminal, with history and Tab completion.
//
// The history is in memory only: on disk it would be personal text in plain, beside a store that
// seals it. One thread.
#ifndef CLI_EDITLINE_H
#define CLI_EDITLINE_H

#include "cli/cli.h"

struct editor;

// `word_at` gives the words that Tab completes at the start of a line, NULL after the last.
// NULL when the terminal cannot do it; lines are then read as they come.
struct editor *editor_new(struct cli *cli, const char *(*word_at)(size_t i));
void editor_free(struct editor *e); // NULL allowed
// While a line waits for keys and `fd` can be read, calls woken(user), which reads what is there;
// true: it printed lines, below which the line is shown again.
void editor_listen(struct editor *e, int fd, bool (*woken)(void *user), void *user);
// 1: *line without its newline, borrowed until the next call; 0: the end (Ctrl-D); E_CANCELLED: the
// signal in *signal_number came and the line was dropped. `prompt` is borrowed for the call.
int editor_line(struct editor *e, const char *prompt, struct slice *line, int *signal_number);

#endif
