// SPDX-License-Identifier: MIT
// output.h: what goes to standard output and standard error.
//
// Standard output carries the answer and nothing else; everything else goes to standard error as
// "parley: …". On a terminal, text is shown without control characters (screen.h); off one it is
// passed as it is. A reader that goes away (EPIPE) is no error: later output is dropped in silence.
// One thread. (What the engine logs comes from its own threads: cli.c writes it, a line at a time.)
#ifndef CLI_OUTPUT_H
#define CLI_OUTPUT_H

#include "base/err.h"
#include "base/slice.h"
#include "cli/screen.h"

#include <stdbool.h>

enum style { STYLE_PLAIN, STYLE_BOLD, STYLE_DIM, STYLES };

struct output {
    bool terminal, err_terminal; // what the two streams are
    bool color;                  // standard output may be coloured
    bool quiet;                  // no notes
    bool line_open;              // standard output is in the middle of a line
    int error;                   // errno of the first write that failed, else 0
    struct screen screen;        // of the text that is being streamed
};

// color_wanted: false for --no-color. Ignores SIGPIPE and SIGXFSZ: a reader that went away, and a
// limit to the size of files, are what a write says of them.
void output_init(struct output *o, bool color_wanted, bool quiet);
// Writes what is buffered. E_OK, or E_STORE with a message when the answer could not be written.
int output_finish(struct output *o, struct err *err);

void output_bytes(struct output *o, struct slice s); // as they are
void output_str(struct output *o, const char *s);    // as it is: our own text
void output_text(struct output *o, struct slice s);  // somebody else's text, whole
void output_more(struct output *o, struct slice s);  // the same, in pieces up to output_end_line
void outputf(struct output *o, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void output_style(struct output *o, enum style style); // only where colour is
void output_end_line(struct output *o);                // unless at the start of one
void output_line(struct output *o, const char *s);     // as it is, then output_end_line
void output_flush(struct output *o);

// One line on standard error: "parley: …". A note is left out when quiet; an error never.
void output_note(struct output *o, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void output_error(struct output *o, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
