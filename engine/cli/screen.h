// SPDX-License-Identifier: MIT
// screen.h: what of a text is safe to show on a terminal.
//
// A model's reply, a user's id or a provider's error is somebody else's text. Control characters
// and escape sequences in it could move the cursor, retitle the window or answer on the person's
// behalf, so on a terminal they are left out; newline and tab stay. Text comes in pieces of whole
// UTF-8 characters; a sequence may be split between pieces. Pure, allocates nothing; one thread.
#ifndef CLI_SCREEN_H
#define CLI_SCREEN_H

#include "base/slice.h"

#include <stdbool.h>

enum screen_state { SCREEN_TEXT, SCREEN_ESCAPE, SCREEN_CONTROL, SCREEN_STRING };

struct screen {
    enum screen_state state; // zero at the start of a text
};

// The next run of *rest that may be shown; moves *rest past it. False at the end. No run is empty.
bool screen_next(struct screen *s, struct slice *rest, struct slice *run);

#endif
