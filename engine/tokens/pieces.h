// SPDX-License-Identifier: MIT
// pieces.h: cuts a text into the pieces that are encoded one by one: words with what stands before
// them, numbers, punctuation, white space. No token crosses a piece's end.
//
// Each function is one encoding's rule, which its authors give as a regular expression, quoted in
// pieces.c; the pieces are those that the expression matches one after the other. Every character
// belongs to a piece. Linear: a piece is looked at at most twice, and one character after it. Pure.
#ifndef TOKENS_PIECES_H
#define TOKENS_PIECES_H

#include <stdint.h>

// The end of the piece that begins at p. p < end; the text is valid UTF-8.
typedef const uint8_t *piece_rule(const uint8_t *p, const uint8_t *end);

piece_rule piece_cl100k, piece_o200k;

#endif
