// SPDX-License-Identifier: MIT
// pieces.h: cuts a text into the pieces that are encoded one by one: words with what stands before
// them, numbers, punctuation, white space. No token crosses a piece's end.
//
// Each rule is one encoding's, which its authors give as a regular expression, quoted in
// pieces.c; the pieces are those that the expression matches one after the other. Every character
// belongs to a piece. Linear: a piece is looked at at most twice, and one character after it. Pure.
#ifndef TOKENS_PIECES_H
#define TOKENS_PIECES_H

#include <stddef.h>
#include <stdint.h>

// Cuts pieces from p on, at most `max` of them: their lengths, each > 0, go to lengths; returns how
// many there are, 0 only at the end of the text. The text is valid UTF-8.
typedef size_t piece_rule(const uint8_t *p, const uint8_t *end, uint32_t *lengths, size_t max);

piece_rule pieces_cl100k, pieces_o200k;

#endif
