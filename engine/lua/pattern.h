// SPDX-License-Identifier: MIT
// pattern.h: Lua's patterns, matched step by step under the caller's eye.
//
// Same language and same results as Lua 5.4's own (manual, 6.4.1), but every step is counted: after
// PATTERN_TICK_STEPS of them `tick` is asked whether to go on. A match that backtracks for ever
// ends there. Classes are ASCII's whatever the locale. No allocation, no longjmp; any thread.
#ifndef LUA_PATTERN_H
#define LUA_PATTERN_H

#include "base/slice.h"
#include <stdint.h>

enum {
    PATTERN_CAPTURES_MAX = 32,
    PATTERN_DEPTH_MAX = 200,
    PATTERN_TICK_STEPS = 4096,
    PATTERN_ERROR_BYTES = 64,
};

// Results beside the end of a match.
enum { PATTERN_NONE = -1, PATTERN_MALFORMED = -2, PATTERN_STOPPED = -3 };

enum { CAPTURE_OPEN = -1, CAPTURE_POSITION = -2 };
struct pattern_capture {
    const char *start;
    ptrdiff_t len;  // or CAPTURE_OPEN (not closed), CAPTURE_POSITION (start alone counts)
};

struct pattern {
    // in
    struct slice subject;
    struct slice text;          // of the pattern, without the anchor '^'
    bool (*tick)(void *user);   // false: stop
    void *user;
    // out
    unsigned captures;
    struct pattern_capture capture[PATTERN_CAPTURES_MAX];
    char error[PATTERN_ERROR_BYTES];  // with PATTERN_MALFORMED
    // private
    unsigned depth, steps;
    bool has_first;             // the class at `first` is known to be what a match begins with
    bool looked_for_first;
    const char *first, *first_end;
};

// Matches at byte `at` of the subject, nowhere else. The offset after the match, or PATTERN_NONE,
// PATTERN_MALFORMED, PATTERN_STOPPED.
ptrdiff_t pattern_match(struct pattern *p, size_t at);
// The next place from `at` on where a match may begin, found faster than by trying; at most
// PATTERN_TICK_STEPS further on. Behind the subject's end: there is none.
size_t pattern_skip(struct pattern *p, size_t at);
// Whether the text has no special characters, so that it matches itself.
bool pattern_is_plain(struct slice text);

#endif
