// SPDX-License-Identifier: MIT
// fold.h: the form of a text in which it is matched, and the way back to the text as it came.
//
// Each character that Unicode's NFKC turns into something with ASCII in it is that: full-width and
// mathematical letters and digits, ligatures, blanks of other widths. Decimal digits of all scripts
// are 0 to 9, and dashes of all lengths '-'. What nobody sees is left out (soft hyphens, zero-width
// characters, variation selectors, the frames of keycaps), FOLD_SKIP_MAX in a row at most, so that
// what is matched is bounded in the text, too. All else stays, byte for byte.
//
// A text that has none of these is not copied. Pure; any thread.
#ifndef REDACT_FOLD_H
#define REDACT_FOLD_H

#include "base/buf.h"
#include "base/slice.h"
#include "base/vec.h"
#include <stdbool.h>
#include <stddef.h>

enum { FOLD_SKIP_MAX = 8, FOLD_CHAR_BYTES = 96 };

struct folded {
    struct slice text;   // in that form: borrowed from the text, or from `own`
    size_t origin_len;   // bytes of the text that it stands for
    struct buf own;
    struct vec marks;    // where the two differ
    struct vec wide;     // those of characters that are several when folded
};

// Open: an unfinished character at the end of text is left out. E_NOMEM.
int fold_text(struct folded *f, struct slice text, bool open, struct err *err);
void fold_release(struct folded *f);
// Appends text in that form.
void fold_append(struct slice text, struct buf *out);

// Where in the text the character is that has the byte at `at` (<= len) of the folded one; and
// where the one ends that has the byte before `at`.
size_t fold_origin(const struct folded *f, size_t at);
size_t fold_origin_end(const struct folded *f, size_t at);
// The first byte of the folded text that comes of origin or what is behind it.
size_t fold_find(const struct folded *f, size_t origin);
// Whether a character of the text begins at `at`: one may be several when folded.
bool fold_is_start(const struct folded *f, size_t at);

// What a code point is folded to: the bytes in out, 0 of them where it is left out; -1: it stays.
int fold_char(char out[FOLD_CHAR_BYTES], int cp);
// Whether fold_char is other than -1, from a table.
bool fold_changes(int cp);

#endif
